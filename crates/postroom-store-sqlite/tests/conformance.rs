//! The store suite on SQLite: on threads of its own and inline.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use postroom_conformance::store::{Fixture, Subject};
use postroom_core::party::PartyKind;
use postroom_core::{EmailAddress, Organization, PartyId, RecordId, Timestamp};
use postroom_store::{Crm, Store, StoreError};
use postroom_store_sqlite::{KeySource, NewEmail, SqliteStorage, StorageOptions, create_key_file};
use tempfile::TempDir;

struct Sqlite {
    inline: bool,
}

struct Opened {
    options: StorageOptions,
    /// `None` only while it is opened again.
    storage: Option<SqliteStorage>,
    _folder: TempDir,
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn seen(error: StoreError) -> String {
    format!("{error:?}")
}

#[async_trait]
impl Fixture for Sqlite {
    async fn create(&self, organization: &Organization) -> Result<Box<dyn Subject>, String> {
        let folder = tempfile::tempdir().map_err(told)?;
        let key: PathBuf = folder.path().join("key");
        create_key_file(&key).map_err(seen)?;
        let mut options = StorageOptions::new(folder.path())
            .with_key(KeySource::File(key))
            .with_segment_bytes_max(200_000)
            .without_sync();
        if self.inline {
            options = options.inline();
        }
        let storage = SqliteStorage::create(&options, organization).map_err(seen)?;
        Ok(Box::new(Opened {
            options,
            storage: Some(storage),
            _folder: folder,
        }))
    }
}

impl Opened {
    #[expect(clippy::expect_used, reason = "empty only inside reopen")]
    fn storage(&self) -> &SqliteStorage {
        self.storage.as_ref().expect("the store is open")
    }
}

#[async_trait]
impl Subject for Opened {
    fn store(&self) -> Arc<dyn Store> {
        self.storage().store()
    }

    async fn reopen(&mut self) -> Result<(), String> {
        self.storage = None;
        self.storage = Some(SqliteStorage::open(&self.options).map_err(seen)?);
        Ok(())
    }

    async fn beside(&self) -> Result<Arc<dyn Store>, String> {
        Ok(SqliteStorage::open(&self.options).map_err(seen)?.store())
    }

    fn crm(&self) -> Option<Arc<dyn Crm>> {
        Some(self.storage().crm())
    }

    async fn add_party(&self, kind: PartyKind, address: &EmailAddress) -> Result<PartyId, String> {
        let crm = self.storage().crm();
        crm.create_party(kind, "somebody", std::slice::from_ref(address), None)
            .await
            .map_err(seen)
    }

    async fn write_email(
        &self,
        sender: PartyId,
        from: &EmailAddress,
        to: &EmailAddress,
        subject: &str,
    ) -> Result<RecordId, String> {
        let mut email = NewEmail::new(sender, from.clone().into(), subject);
        email.to.push(to.clone().into());
        let crm = self.storage().crm();
        crm.send_email(&email, Timestamp::EPOCH).await.map_err(seen)
    }
}

postroom_conformance::store_conformance!(threads, Sqlite { inline: false });
postroom_conformance::store_conformance!(inline, Sqlite { inline: true });
