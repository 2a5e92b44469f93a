//! What the database alone takes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use postroom_store::Page;
use rusqlite::{Connection, params};

/// The same file, opened anew for each measurement.
#[derive(Debug)]
pub(crate) struct Floor(PathBuf);

impl Floor {
    pub(crate) fn of(path: &Path) -> Self {
        Self(path.to_owned())
    }

    fn open(&self) -> anyhow::Result<Connection> {
        let connection = Connection::open(&self.0)?;
        connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -16384")?;
        Ok(connection)
    }

    /// Reads the rows of a page and nothing else.
    pub(crate) fn page(&self, page: Page) -> anyhow::Result<(usize, Duration)> {
        let connection = self.open()?;
        let sql = "SELECT definition FROM mailboxes ORDER BY name_key, no LIMIT ?1 OFFSET ?2";
        let mut statement = connection.prepare(sql)?;
        let started = Instant::now();
        let range = params![page.limit, i64::try_from(page.offset)?];
        let rows = statement.query_map(range, |row| row.get::<_, String>(0))?;
        let mut found = 0;
        for row in rows {
            row?;
            found += 1;
        }
        Ok((found, started.elapsed()))
    }

    /// Writes every row as it is, and an entry of the audit trail for it.
    pub(crate) fn rewrite(&self) -> anyhow::Result<Duration> {
        let connection = self.open()?;
        let mut all = connection.prepare("SELECT no, definition FROM mailboxes")?;
        let rows: Vec<(i64, String)> = all
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let sql = "UPDATE mailboxes SET revision = revision + 1, definition = ?2 WHERE no = ?1";
        let mut update = connection.prepare(sql)?;
        let mut audit = connection.prepare("INSERT INTO audit (entry) VALUES (?1)")?;
        let started = Instant::now();
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for (no, definition) in rows {
            update.execute(params![no, definition])?;
            audit.execute(params!["{}"])?;
        }
        connection.execute_batch("COMMIT")?;
        Ok(started.elapsed())
    }
}
