//! The application: its own tables, its own rules, and what Postroom needs of it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use postroom::core::party::{Party, PartyKind};
use postroom::core::{Code, EmailAddress, PartyId, RecordId};
use postroom::provider::Randomness;
use postroom::provider::context::SystemRandomness;
use postroom::store::{
    Crm, CrmCursor, EmailWrite, ErrorKind, OutgoingPage, OutgoingReport, RecordedEmail, Result,
    StoreError,
};
use rusqlite::{Connection, OptionalExtension as _, params};

/// The records of the host.
#[derive(Debug)]
pub(crate) struct HostCrm {
    database: Mutex<Connection>,
    /// It dies after each commit, before it can answer.
    dies: AtomicBool,
}

impl HostCrm {
    pub(crate) fn open(path: &Path, dies: bool) -> anyhow::Result<Arc<Self>> {
        let database = Connection::open(path)?;
        database.execute_batch(
            "CREATE TABLE IF NOT EXISTS person (
                 id TEXT PRIMARY KEY, kind TEXT, name TEXT, address TEXT COLLATE NOCASE);
             CREATE TABLE IF NOT EXISTS email (
                 id TEXT PRIMARY KEY, postroom_key BLOB NOT NULL UNIQUE, subject TEXT, body TEXT);",
        )?;
        let (database, dies) = (Mutex::new(database), AtomicBool::new(dies));
        Ok(Arc::new(Self { database, dies }))
    }

    pub(crate) fn add_person(
        &self,
        kind: &str,
        name: &str,
        address: &str,
    ) -> anyhow::Result<PartyId> {
        let id = PartyId::from_random(random16());
        let row = params![id.to_string(), kind, name, address];
        self.lock()
            .execute("INSERT INTO person VALUES (?1, ?2, ?3, ?4)", row)?;
        Ok(id)
    }

    pub(crate) fn emails(&self) -> anyhow::Result<Vec<String>> {
        let database = self.lock();
        let mut statement = database.prepare("SELECT subject FROM email ORDER BY subject")?;
        let subjects = statement.query_map([], |row| row.get(0))?;
        Ok(subjects.collect::<Result<_, _>>()?)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One transaction: the key decides whether a row is made.
    fn write(&self, write: &EmailWrite) -> Result<RecordedEmail> {
        let mut database = self.lock();
        let transaction = database.transaction().map_err(unavailable)?;
        let key = write.key.as_bytes().as_slice();
        let by_key = "SELECT id FROM email WHERE postroom_key = ?1";
        let known: Option<String> = transaction
            .query_row(by_key, [key], |row| row.get(0))
            .optional()
            .map_err(unavailable)?;
        let outcome = match known {
            Some(id) => RecordedEmail::new(id.parse().map_err(damaged)?, false),
            None => {
                let record = RecordId::from_random(random16());
                let (id, email) = (record.to_string(), &write.email);
                let row = params![id, key, email.headers.subject, email.text_body];
                transaction
                    .execute("INSERT INTO email VALUES (?1, ?2, ?3, ?4)", row)
                    .map_err(unavailable)?;
                RecordedEmail::new(record, true)
            }
        };
        transaction.commit().map_err(unavailable)?;
        Ok(outcome)
    }
}

/// What the database cannot do now: it is asked again later, and no message is blamed.
fn unavailable(error: rusqlite::Error) -> StoreError {
    StoreError::new(ErrorKind::Unavailable, Code::CrmUnavailable, "host").with_source(error)
}

/// What the database can never answer.
fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::new(ErrorKind::Internal, Code::Internal, "host").with_source(error)
}

pub(crate) fn random16() -> [u8; 16] {
    let randomness: &dyn Randomness = &SystemRandomness::new();
    randomness.bytes16()
}

#[async_trait]
impl Crm for HostCrm {
    async fn parties(&self, addresses: &[EmailAddress]) -> Result<Vec<Vec<Party>>> {
        let database = self.lock();
        let mut statement = database
            .prepare_cached("SELECT id, kind, name FROM person WHERE address = ?1")
            .map_err(unavailable)?;
        let mut answers = Vec::new();
        for address in addresses {
            let mut rows = statement.query([address.as_str()]).map_err(unavailable)?;
            let mut parties = Vec::new();
            while let Some(row) = rows.next().map_err(unavailable)? {
                let text = |column| row.get::<_, String>(column).map_err(unavailable);
                let kind = match text(1)?.as_str() {
                    "queue" => PartyKind::Queue,
                    _ => PartyKind::Contact,
                };
                parties.push(Party::new(
                    text(0)?.parse().map_err(damaged)?,
                    kind,
                    text(2)?,
                ));
            }
            answers.push(parties);
        }
        Ok(answers)
    }

    async fn record_emails(&self, writes: &[EmailWrite]) -> Result<Vec<Result<RecordedEmail>>> {
        let outcomes = writes.iter().map(|write| self.write(write)).collect();
        if self.dies.load(Ordering::SeqCst) {
            // Everything is committed, and nobody will ever hear of it.
            return Err(StoreError::new(
                ErrorKind::Unavailable,
                Code::CrmUnavailable,
                "host",
            ));
        }
        Ok(outcomes)
    }

    /// This host sends nothing.
    async fn outgoing(&self, since: Option<&CrmCursor>, _: u32) -> Result<OutgoingPage> {
        let cursor = since.cloned().unwrap_or_else(|| CrmCursor::new("0"));
        Ok(OutgoingPage::new(Vec::new(), cursor))
    }

    async fn report_outgoing(&self, _: &[OutgoingReport]) -> Result<()> {
        Ok(())
    }
}
