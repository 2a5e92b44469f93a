//! What hosts and the command line see of the embedded records.

use postroom_core::email::{Direction, EmailHeaders, Importance};
use postroom_core::party::{Party, PartyKind};
use postroom_core::tracking::{CorrelationMethod, TrackingToken};
use postroom_core::{
    EmailAddress, MailboxId, NamedAddress, PartyId, RawMessage, RecordId, Timestamp,
};
use postroom_store::{EmailParty, IdempotencyKey, OutgoingAttachment, OutgoingStatus};
use serde::{Deserialize, Serialize};

/// An email that somebody writes in the application.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewEmail {
    /// Sending it twice under one key makes one email.
    pub key: Option<IdempotencyKey>,
    /// The sending user or queue.
    pub sender: PartyId,
    /// The author.
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
    /// The email on record that it answers.
    pub in_reply_to: Option<RecordId>,
    /// What it regards; where it is an answer and this is `None`, what the answered email regards.
    pub regarding: Option<RecordId>,
    /// How important.
    pub importance: Importance,
    /// Whether nobody wrote it, such as an acknowledgement; see [`OutgoingEmail`](postroom_store::OutgoingEmail).
    pub automatic: bool,
}

impl NewEmail {
    /// An email without recipients and body; fill in what applies.
    #[must_use]
    pub fn new(sender: PartyId, from: NamedAddress, subject: impl Into<String>) -> Self {
        Self {
            key: None,
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
            regarding: None,
            importance: Importance::Normal,
            automatic: false,
        }
    }
}

/// Where an email on record stands. Source: domain section 9, status reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EmailStatus {
    /// It came in.
    Received,
    /// It waits to be sent.
    PendingSend,
    /// An attempt is under way.
    Sending,
    /// It was sent.
    Sent,
    /// It was not sent.
    Failed,
    /// It may have been sent.
    Unknown,
    /// Somebody called it back before it was sent.
    Canceled,
}

impl EmailStatus {
    /// The text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::PendingSend => "pending_send",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Canceled => "canceled",
        }
    }
}

/// Which emails to list, newest first. Empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmailFilter {
    /// Only those that went this way.
    pub direction: Option<Direction>,
    /// Only those of that status.
    pub status: Option<EmailStatus>,
    /// Only those that regard that record.
    pub regarding: Option<RecordId>,
}

/// One line of a listing of emails.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EmailSummary {
    /// The record.
    pub record: RecordId,
    /// Which way it went.
    pub direction: Direction,
    /// Where it stands.
    pub status: EmailStatus,
    /// When it was received, or put into Pending Send.
    pub at: Timestamp,
    /// The headers.
    pub headers: EmailHeaders,
    /// The token that was added to its subject.
    pub token: Option<TrackingToken>,
    /// What it regards.
    pub regarding: Option<RecordId>,
    /// The email that it belongs to, and how that was found.
    pub correlated: Option<(RecordId, CorrelationMethod)>,
}

impl EmailSummary {
    /// The subject as recipients see it: with the token, where one was added.
    #[must_use]
    pub fn subject_with_token(&self) -> String {
        match &self.token {
            Some(token) if !self.headers.subject.contains(token.as_str()) => {
                format!("{} {token}", self.headers.subject)
                    .trim()
                    .to_owned()
            }
            _ => self.headers.subject.clone(),
        }
    }
}

/// An attachment of an email on record.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EmailAttachment {
    /// The file name; never to be used as a path.
    pub name: String,
    /// The media type.
    pub content_type: String,
    /// Decoded size in bytes.
    pub size: u64,
    /// Whether it is shown inside the body.
    pub inline: bool,
    /// The position of its part in the raw message, for received email.
    pub part: Option<u32>,
    /// Its content, for email that was written here.
    pub content: Option<RawMessage>,
}

/// An email on record with everything that is known about it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EmailView {
    /// What a listing shows.
    pub summary: EmailSummary,
    /// What became of it, as it was told last; `None` for received email and before any attempt.
    pub outgoing: Option<OutgoingStatus>,
    /// Everybody named, with whom they resolve to.
    pub parties: Vec<EmailParty>,
    /// The sending user or queue, for email that was written here.
    pub sender: Option<PartyId>,
    /// The user or queue whose filter accepted it.
    pub accepting: Option<PartyId>,
    /// Who owns the record.
    pub owner: Option<PartyId>,
    /// The mailbox that it was met in.
    pub receiving_mailbox: Option<MailboxId>,
    /// The email that it answers.
    pub parent: Option<RecordId>,
    /// The plain text body.
    pub text: Option<String>,
    /// The HTML body, not sanitized.
    pub html: Option<String>,
    /// Attachments, described.
    pub attachments: Vec<EmailAttachment>,
    /// The bytes as received; `None` for email that was written here.
    pub raw: Option<RawMessage>,
}

/// Which parties to list, by name. Empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartyFilter {
    /// Only that kind.
    pub kind: Option<PartyKind>,
    /// Only those whose name or address holds this text, without regard to case.
    pub text: Option<String>,
}

/// A party with its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartyView {
    /// The party.
    pub party: Party,
    /// Its addresses, sorted.
    pub addresses: Vec<EmailAddress>,
}

/// A record of any kind that email can regard, such as a case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GenericRecord {
    /// Its id.
    pub id: RecordId,
    /// Its kind, such as `case`.
    pub kind: String,
    /// Its title.
    pub title: String,
}

/// An email that waits in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueItem {
    /// The queue.
    pub queue: PartyId,
    /// The email.
    pub email: RecordId,
}

impl QueueItem {
    pub(super) const fn new(queue: PartyId, email: RecordId) -> Self {
        Self { queue, email }
    }
}
