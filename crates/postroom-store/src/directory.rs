//! The application's parties, for administration: set up together with their mailboxes.

use std::fmt;

use async_trait::async_trait;
use postroom_core::EmailAddress;
use postroom_core::party::Party;

use crate::error::Result;

/// The application's parties, as far as administration sets them up.
///
/// [`Crm`](crate::Crm) is all that the engine needs. Whoever sets up users, queues and contacts from
/// a declaration implements this, too.
///
/// # Errors
/// Every method may answer `Unavailable` and `Internal`.
#[async_trait]
pub trait Directory: fmt::Debug + Send + Sync {
    /// All parties with their addresses, by name.
    async fn all_parties(&self) -> Result<Vec<(Party, Vec<EmailAddress>)>>;

    /// Adds the party, or changes the one that has its id; these are all of its addresses from now
    /// on. Idempotent.
    async fn put_party(&self, party: &Party, addresses: &[EmailAddress]) -> Result<()>;

    /// Several, each as [`Self::put_party`] does. An application may do all in one unit of work.
    async fn put_parties(&self, parties: &[(Party, Vec<EmailAddress>)]) -> Result<()> {
        for (party, addresses) in parties {
            self.put_party(party, addresses).await?;
        }
        Ok(())
    }
}
