//! The embedded records: parties, emails, queue items, and records that email can regard.

mod body;
mod directory;
pub(crate) mod emails;
pub(crate) mod outgoing;
mod parties;
mod types;

pub use types::{
    EmailAttachment, EmailFilter, EmailStatus, EmailSummary, EmailView, GenericRecord, NewEmail,
    PartyFilter, PartyView, QueueItem,
};

use async_trait::async_trait;
use postroom_core::party::{Party, PartyKind};
use postroom_core::{EmailAddress, PartyId, RawMessage, RecordId, Timestamp};
use postroom_store::{
    Crm, CrmCursor, EmailWrite, OutgoingPage, OutgoingReport, Page, RecordedEmail, Result,
    TransactionScope,
};

use crate::database::Handle;

/// The embedded records in a SQLite file. Made by [`SqliteStorage`](crate::SqliteStorage).
///
/// Beside [`Crm`], which is all that the engine uses, it has what a host or the command line needs
/// to fill and show it.
///
/// # Errors
/// Every method may answer `Unavailable`, `Corrupt` and `Internal`; others are named where they can
/// occur.
#[derive(Clone, Debug)]
pub struct SqliteCrm {
    handle: Handle,
}

impl SqliteCrm {
    pub(crate) const fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// Adds a party.
    ///
    /// # Errors
    /// See the type.
    pub async fn create_party(
        &self,
        kind: PartyKind,
        name: impl Into<String> + Send,
        addresses: &[EmailAddress],
        owner: Option<PartyId>,
    ) -> Result<PartyId> {
        let (name, addresses) = (name.into(), addresses.to_vec());
        self.handle
            .write("party.create", move |db| {
                parties::create(db, kind, &name, &addresses, owner)
            })
            .await
    }

    /// Adds or changes a party with an id of the caller's; addresses stay as they are.
    ///
    /// # Errors
    /// See the type.
    pub async fn save_party(&self, party: &Party) -> Result<()> {
        let party = party.clone();
        self.handle
            .write("party.save", move |db| parties::save(db, &party))
            .await
    }

    /// Gives a party one more address.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn add_address(&self, party: PartyId, address: &EmailAddress) -> Result<()> {
        let address = address.clone();
        self.handle
            .write("party.add_address", move |db| {
                parties::add_address(db, party, &address)
            })
            .await
    }

    /// One party.
    ///
    /// # Errors
    /// See the type.
    pub async fn party(&self, id: PartyId) -> Result<Option<PartyView>> {
        self.handle
            .read("party.read", move |db| parties::get(db, id))
            .await
    }

    /// Parties by name.
    ///
    /// # Errors
    /// See the type.
    pub async fn list_parties(&self, filter: &PartyFilter, page: Page) -> Result<Vec<PartyView>> {
        let filter = filter.clone();
        self.handle
            .read("party.list", move |db| parties::list(db, &filter, page))
            .await
    }

    /// Adds a record that email can regard, such as a case.
    ///
    /// # Errors
    /// See the type.
    pub async fn create_record(
        &self,
        kind: impl Into<String> + Send,
        title: impl Into<String> + Send,
    ) -> Result<RecordId> {
        let (kind, title) = (kind.into(), title.into());
        self.handle
            .write("record.create", move |db| {
                parties::create_record(db, &kind, &title)
            })
            .await
    }

    /// One record that email can regard.
    ///
    /// # Errors
    /// See the type.
    pub async fn record(&self, id: RecordId) -> Result<Option<GenericRecord>> {
        self.handle
            .read("record.read", move |db| parties::get_record(db, id))
            .await
    }

    /// Records that email can regard, newest first.
    ///
    /// # Errors
    /// See the type.
    pub async fn records(&self, page: Page) -> Result<Vec<GenericRecord>> {
        self.handle
            .read("record.list", move |db| parties::records(db, page))
            .await
    }

    /// Puts an email into Pending Send; answers its record.
    ///
    /// # Errors
    /// `InvalidInput` without a recipient, `NotFound` where it answers an email that is not on
    /// record.
    pub async fn send_email(&self, email: &NewEmail, now: Timestamp) -> Result<RecordId> {
        let email = email.clone();
        self.handle
            .write("email.send", move |db| outgoing::send(db, &email, now))
            .await
    }

    /// Puts an email that failed or was called back into Pending Send once more, as a new record.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it stands otherwise: of an unknown outcome the engine's
    /// administrator decides.
    pub async fn resend(&self, record: RecordId, now: Timestamp) -> Result<RecordId> {
        self.handle
            .write("email.resend", move |db| outgoing::resend(db, record, now))
            .await
    }

    /// Calls back an email that waits to be sent. The engine may have taken it over already: then
    /// it goes out, and its status says so.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where sending has begun.
    pub async fn cancel(&self, record: RecordId) -> Result<()> {
        self.handle
            .write("email.cancel", move |db| outgoing::cancel(db, record))
            .await
    }

    /// An email with everything that is known about it.
    ///
    /// # Errors
    /// See the type.
    pub async fn email(&self, record: RecordId) -> Result<Option<EmailView>> {
        self.handle
            .read("email.read", move |db| emails::view(db, record))
            .await
    }

    /// Emails, newest first.
    ///
    /// # Errors
    /// See the type.
    pub async fn emails(&self, filter: &EmailFilter, page: Page) -> Result<Vec<EmailSummary>> {
        let filter = filter.clone();
        self.handle
            .read("email.list", move |db| emails::list(db, &filter, page))
            .await
    }

    /// How many emails a filter finds.
    ///
    /// # Errors
    /// See the type.
    pub async fn count_emails(&self, filter: &EmailFilter) -> Result<u64> {
        let filter = filter.clone();
        self.handle
            .read("email.count", move |db| emails::count(db, &filter))
            .await
    }

    /// The bytes of a received email; `None` where there are none.
    ///
    /// # Errors
    /// See the type.
    pub async fn raw(&self, record: RecordId) -> Result<Option<RawMessage>> {
        self.handle
            .read("email.raw", move |db| emails::raw(db, record))
            .await
    }

    /// Emails that wait in a queue (in any, where `None`), newest first.
    ///
    /// # Errors
    /// See the type.
    pub async fn queue_items(&self, queue: Option<PartyId>, page: Page) -> Result<Vec<QueueItem>> {
        self.handle
            .read("queue.list", move |db| emails::queue_items(db, queue, page))
            .await
    }
}

#[async_trait]
impl Crm for SqliteCrm {
    async fn parties(&self, addresses: &[EmailAddress]) -> Result<Vec<Vec<Party>>> {
        let addresses = addresses.to_vec();
        self.handle
            .query("crm.parties", move |db| parties::resolve(db, &addresses))
            .await
    }

    async fn record_emails(&self, writes: &[EmailWrite]) -> Result<Vec<Result<RecordedEmail>>> {
        let writes = writes.to_vec();
        self.handle
            .write("crm.record_emails", move |db| emails::record(db, &writes))
            .await
            .map(|recorded| recorded.into_iter().map(Ok).collect())
    }

    fn resolves_provisional(&self) -> bool {
        true
    }

    fn transaction_scope(&self) -> Option<TransactionScope> {
        Some(self.handle.scope.clone())
    }

    async fn outgoing(&self, since: Option<&CrmCursor>, limit: u32) -> Result<OutgoingPage> {
        let since = since.cloned();
        self.handle
            .read("crm.outgoing", move |db| {
                outgoing::feed(db, since.as_ref(), limit)
            })
            .await
    }

    async fn report_outgoing(&self, reports: &[OutgoingReport]) -> Result<()> {
        let reports = reports.to_vec();
        self.handle
            .write("crm.report_outgoing", move |db| {
                outgoing::report(db, &reports)
            })
            .await
    }
}
