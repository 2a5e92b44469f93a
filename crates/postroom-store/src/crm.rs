//! The application's records.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use postroom_core::email::{
    ContentKey, Direction, Email, Importance, MessageId, RecipientDelivery,
};
use postroom_core::outbox::RefusedRecipient;
use postroom_core::party::{Participation, Party};
use postroom_core::tracking::{CorrelationMethod, TrackingToken};
use postroom_core::{
    Code, EmailAddress, MailboxId, NamedAddress, PartyId, RawMessage, RecordId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::scope::TransactionScope;

/// The key under which a write is done once, however often it is asked for: 32 bytes.
pub type IdempotencyKey = ContentKey;

/// How far a feed of the application was read: opaque, the application's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CrmCursor(String);

impl CrmCursor {
    /// Takes the application's text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The application's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Somebody named in an email, with whom the address resolves to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EmailParty {
    /// In which role.
    pub participation: Participation,
    /// As written in the email.
    pub address: NamedAddress,
    /// Whom it resolves to: one for the sender, any number for recipients, none where unresolved.
    pub parties: Vec<PartyId>,
}

impl EmailParty {
    /// Somebody named in an email.
    #[must_use]
    pub const fn new(
        participation: Participation,
        address: NamedAddress,
        parties: Vec<PartyId>,
    ) -> Self {
        Self {
            participation,
            address,
            parties,
        }
    }
}

/// An email to be recorded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EmailWrite {
    /// Writes with the same key make one record.
    pub key: IdempotencyKey,
    /// Which way it went.
    pub direction: Direction,
    /// The email; shared, since stores hand writes over to a thread of their own.
    pub email: Arc<Email>,
    /// Its bytes.
    pub raw: RawMessage,
    /// When the server received it.
    pub received_at: Timestamp,
    /// The mailbox that it was met in.
    pub receiving_mailbox: MailboxId,
    /// The user or queue whose filter accepted it.
    pub accepting: Option<PartyId>,
    /// Who is to own the record.
    pub owner: Option<PartyId>,
    /// Everybody named, with whom they resolve to.
    pub parties: Vec<EmailParty>,
    /// What it regards: inherited from the email it belongs to.
    pub regarding: Option<RecordId>,
    /// The email that it belongs to, and how that was found.
    pub correlated: Option<(RecordId, CorrelationMethod)>,
    /// The email that it answers, where that is known.
    pub parent: Option<RecordId>,
    /// Queues that get a queue item.
    pub queues: Vec<PartyId>,
    /// What later writes of the same call name this one by in `correlated` and `parent`. Means
    /// nothing beyond the call, and nothing at all where [`Crm::resolves_provisional`] is `false`.
    pub provisional: Option<RecordId>,
}

impl EmailWrite {
    /// An incoming email that belongs to nothing yet.
    #[must_use]
    pub fn incoming(
        key: IdempotencyKey,
        email: Email,
        raw: RawMessage,
        received_at: Timestamp,
        mailbox: MailboxId,
    ) -> Self {
        Self {
            key,
            direction: Direction::Incoming,
            email: Arc::new(email),
            raw,
            received_at,
            receiving_mailbox: mailbox,
            accepting: None,
            owner: None,
            parties: Vec::new(),
            regarding: None,
            correlated: None,
            parent: None,
            queues: Vec::new(),
            provisional: None,
        }
    }
}

/// An email that is on record now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedEmail {
    /// The record.
    pub record: RecordId,
    /// Whether this write made it; `false` where the key was known.
    pub created: bool,
}

impl RecordedEmail {
    /// An email that is on record.
    #[must_use]
    pub const fn new(record: RecordId, created: bool) -> Self {
        Self { record, created }
    }
}

/// A file to go out with an email.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutgoingAttachment {
    /// The file name.
    pub name: String,
    /// The media type.
    pub content_type: String,
    /// The decoded content.
    pub content: RawMessage,
}

impl OutgoingAttachment {
    /// A file.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        content_type: impl Into<String>,
        content: RawMessage,
    ) -> Self {
        Self {
            name: name.into(),
            content_type: content_type.into(),
            content,
        }
    }
}

/// An email that somebody put into Pending Send.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutgoingEmail {
    /// The record.
    pub record: RecordId,
    /// The sending user or queue; its tracking number goes into the token.
    pub sender: PartyId,
    /// The author; the address of a mailbox.
    pub from: NamedAddress,
    /// Primary recipients.
    pub to: Vec<NamedAddress>,
    /// Copies.
    pub cc: Vec<NamedAddress>,
    /// Blind copies.
    pub bcc: Vec<NamedAddress>,
    /// The subject, without token.
    pub subject: String,
    /// The plain text body.
    pub text: Option<String>,
    /// The HTML body.
    pub html: Option<String>,
    /// Files.
    pub attachments: Vec<OutgoingAttachment>,
    /// The email that it answers, by its Message-ID.
    pub in_reply_to: Option<MessageId>,
    /// Ancestors, oldest first.
    pub references: Vec<MessageId>,
    /// What it regards.
    pub regarding: Option<RecordId>,
    /// How important.
    pub importance: Importance,
    /// Whether nobody wrote it: an acknowledgement, an absence notice. It says so in its header, and is not
    /// sent where it answers email that is automatic itself. Source: RFC 3834.
    pub automatic: bool,
}

impl OutgoingEmail {
    /// An email without recipients and body; fill in what applies.
    #[must_use]
    pub fn new(
        record: RecordId,
        sender: PartyId,
        from: NamedAddress,
        subject: impl Into<String>,
    ) -> Self {
        Self {
            record,
            sender,
            from,
            to: Vec::new(),
            cc: Vec::new(),
            bcc: Vec::new(),
            subject: subject.into(),
            text: None,
            html: None,
            attachments: Vec::new(),
            in_reply_to: None,
            references: Vec::new(),
            regarding: None,
            importance: Importance::Normal,
            automatic: false,
        }
    }
}

/// A page of outgoing emails.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutgoingPage {
    /// The emails, in the order in which they were put into Pending Send.
    pub emails: Vec<OutgoingEmail>,
    /// Where the next page begins.
    pub cursor: CrmCursor,
}

impl OutgoingPage {
    /// A page.
    #[must_use]
    pub const fn new(emails: Vec<OutgoingEmail>, cursor: CrmCursor) -> Self {
        Self { emails, cursor }
    }
}

/// What has become of an outgoing email. Source: domain section 9, status reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
#[non_exhaustive]
pub enum OutgoingStatus {
    /// An attempt is under way.
    Sending,
    /// Sent.
    Sent {
        /// When that became known.
        at: Timestamp,
        /// The Message-ID that it is known by.
        message_id: MessageId,
        /// Recipients that were refused.
        refused: Vec<RefusedRecipient>,
        /// What mail systems said afterwards about recipients, each once.
        deliveries: Vec<RecipientDelivery>,
    },
    /// Not sent.
    Failed {
        /// Why.
        code: Code,
    },
    /// It may have been sent; somebody has to decide.
    Unknown {
        /// What is known.
        code: Code,
    },
}

/// What has become of an outgoing email, told to the application.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutgoingReport {
    /// The record.
    pub record: RecordId,
    /// Its status now.
    pub status: OutgoingStatus,
    /// The token that was added to its subject, where one was.
    pub token: Option<TrackingToken>,
}

impl OutgoingReport {
    /// A report.
    #[must_use]
    pub const fn new(record: RecordId, status: OutgoingStatus) -> Self {
        Self {
            record,
            status,
            token: None,
        }
    }
}

/// The application's records, as far as Postroom has to know them.
///
/// # Contract
/// - [`record_emails`](Self::record_emails) is idempotent by key, also across restarts and also
///   when two calls with the same key run at once.
/// - Each write is durable before it is answered.
///
/// # Errors
/// Every method may answer `Unavailable` (it is asked again later; nothing is counted against a
/// message) and `Internal`.
#[async_trait]
pub trait Crm: fmt::Debug + Send + Sync + 'static {
    /// The parties that have each address, active and inactive; one answer per address, in order.
    async fn parties(&self, addresses: &[EmailAddress]) -> Result<Vec<Vec<Party>>>;

    /// Records emails; one outcome per write, in order.
    ///
    /// # Errors
    /// For one: `Rejected` where a rule of the application refuses it (counts as an attempt).
    async fn record_emails(&self, writes: &[EmailWrite]) -> Result<Vec<Result<RecordedEmail>>>;

    /// Whether [`Self::record_emails`] resolves what earlier writes of the same call are named by
    /// ([`EmailWrite::provisional`]): a conversation is then recorded in one call. Where one that is
    /// named was refused, the one that names it is refused, too. Otherwise (the default) replies
    /// come in a later call than what they answer.
    fn resolves_provisional(&self) -> bool {
        false
    }

    /// What one transaction of the application can write, where a [`Store`](crate::Store) can write in
    /// it, too: the engine then records and reports through that store's
    /// [`record_and_settle`](crate::Store::record_and_settle) and
    /// [`advance_and_report`](crate::Store::advance_and_report).
    fn transaction_scope(&self) -> Option<TransactionScope> {
        None
    }

    /// Emails put into Pending Send since the cursor (ever, where `None`), at most `limit`, oldest
    /// first. May repeat, never skips. Fewer than `limit` are the last for now: the next page is asked
    /// for a little later.
    async fn outgoing(&self, since: Option<&CrmCursor>, limit: u32) -> Result<OutgoingPage>;

    /// Tells what has become of outgoing emails. May be told again.
    async fn report_outgoing(&self, reports: &[OutgoingReport]) -> Result<()>;
}

const _: fn(&dyn Crm) = |_| {};
