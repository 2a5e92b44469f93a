//! What the suite needs from whoever runs it.

use std::sync::Arc;

use async_trait::async_trait;
use postroom_core::party::PartyKind;
use postroom_core::{EmailAddress, Organization, PartyId, RecordId};
use postroom_store::{Crm, Store};

/// Makes stores to check.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A fresh store for that organization, with a key, that nobody else uses.
    ///
    /// # Errors
    /// Where it cannot be made: every check then fails.
    async fn create(&self, organization: &Organization) -> Result<Box<dyn Subject>, String>;
}

/// A store under test.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The store as it is open now.
    fn store(&self) -> Arc<dyn Store>;

    /// Closes the store and opens it again, as after a restart.
    ///
    /// # Errors
    /// Where it does not open.
    async fn reopen(&mut self) -> Result<(), String>;

    /// The same store, opened a second time beside the first one as another process would.
    ///
    /// # Errors
    /// Where that cannot be brought about; the checks that need it are skipped with the reason.
    async fn beside(&self) -> Result<Arc<dyn Store>, String>;

    /// The application's records, where there are any to check.
    fn crm(&self) -> Option<Arc<dyn Crm>> {
        None
    }

    /// The application gets a party with an address.
    ///
    /// # Errors
    /// Where it does not.
    async fn add_party(
        &self,
        _kind: PartyKind,
        _address: &EmailAddress,
    ) -> Result<PartyId, String> {
        Err("the fixture adds no parties".to_owned())
    }

    /// Somebody in the application puts an email with that subject into Pending Send.
    ///
    /// # Errors
    /// Where it does not get there.
    async fn write_email(
        &self,
        _sender: PartyId,
        _from: &EmailAddress,
        _to: &EmailAddress,
        _subject: &str,
    ) -> Result<RecordId, String> {
        Err("the fixture writes no email".to_owned())
    }
}
