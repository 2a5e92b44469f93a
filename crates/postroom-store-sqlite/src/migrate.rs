//! Numbered migrations, forward only, one transaction for all that are due.

use postroom_core::Code;
use postroom_store::ErrorKind;
use rusqlite::{Connection, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Outcome};
use crate::sql::{all, change, one};

/// "POST" in the file's header says whose file it is.
pub(crate) const APPLICATION_ID: i64 = 0x504F_5354;

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "initial",
        sql: include_str!("../migrations/0001_initial.sql"),
    },
    Migration {
        version: 2,
        name: "walls_and_tests",
        sql: include_str!("../migrations/0002_walls_and_tests.sql"),
    },
    Migration {
        version: 3,
        name: "administration",
        sql: include_str!("../migrations/0003_administration.sql"),
    },
    Migration {
        version: 4,
        name: "status",
        sql: include_str!("../migrations/0004_status.sql"),
    },
];

/// What a file is, by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A database without anything in it.
    Empty,
    /// A store.
    Store,
    /// Somebody else's database.
    Foreign,
}

pub(crate) fn kind_of(connection: &Connection) -> Outcome<FileKind> {
    let number = |sql: &str| {
        one(connection, "sqlite_schema", sql, [], |row| {
            row.get::<i64>(0)
        })
        .map(Option::unwrap_or_default)
    };
    if number("PRAGMA application_id")? == APPLICATION_ID {
        return Ok(FileKind::Store);
    }
    if number("SELECT count(*) FROM sqlite_schema")? == 0 {
        return Ok(FileKind::Empty);
    }
    Ok(FileKind::Foreign)
}

/// Brings the file to this version. `begin` adds what a new store needs, in the same transaction.
///
/// A file of a newer version is refused before anything is read from it.
pub(crate) fn migrate(
    connection: &mut Connection,
    begin: impl FnOnce(&Connection) -> Outcome<()>,
) -> Outcome<()> {
    // WAL is a property of the file and cannot be set inside a transaction.
    one(
        connection,
        "sqlite_schema",
        "PRAGMA journal_mode = WAL",
        [],
        |_| Ok(()),
    )?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|source| Failure::sql("BEGIN IMMEDIATE", source))?;
    let kind = kind_of(&transaction)?;
    let new = kind == FileKind::Empty;
    if new {
        execute(
            &transaction,
            "CREATE TABLE schema_migrations (
                 version INTEGER PRIMARY KEY,
                 name TEXT NOT NULL,
                 checksum BLOB NOT NULL
             ) STRICT",
        )?;
    }
    let version = one(
        &transaction,
        "sqlite_schema",
        "PRAGMA user_version",
        [],
        |row| row.get::<i64>(0),
    )?
    .unwrap_or_default();
    let newest = MIGRATIONS.last().map_or(0, |migration| migration.version);
    if version > newest {
        return Err(Failure::refused(ErrorKind::TooNew, Code::StoreTooNew)
            .with("version", version.to_string())
            .with("known", newest.to_string()));
    }
    let done = all(
        &transaction,
        "schema_migrations",
        "SELECT version, checksum FROM schema_migrations ORDER BY version",
        [],
        |row| Ok((row.get::<i64>(0)?, row.get::<Vec<u8>>(1)?)),
    )?;
    for migration in MIGRATIONS {
        let checksum = Sha256::digest(migration.sql.as_bytes());
        match done
            .iter()
            .find(|(version, _)| *version == migration.version)
        {
            Some((_, stored)) if stored.as_slice() == checksum.as_slice() => {}
            Some(_) => {
                return Err(Failure::Corrupt {
                    table: "schema_migrations",
                    column: "checksum".to_owned(),
                });
            }
            None => {
                execute(&transaction, migration.sql)?;
                change(
                    &transaction,
                    "INSERT INTO schema_migrations (version, name, checksum) VALUES (?1, ?2, ?3)",
                    params![migration.version, migration.name, checksum.as_slice()],
                )?;
                execute(
                    &transaction,
                    &format!("PRAGMA user_version = {}", migration.version),
                )?;
            }
        }
    }
    if new {
        execute(
            &transaction,
            &format!("PRAGMA application_id = {APPLICATION_ID}"),
        )?;
        begin(&transaction)?;
    }
    transaction
        .commit()
        .map_err(|source| Failure::sql("COMMIT", source))
}

fn execute(connection: &Connection, sql: &str) -> Outcome<()> {
    connection
        .execute_batch(sql)
        .map_err(|source| Failure::sql(sql, source))
}
