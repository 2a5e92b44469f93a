//! What goes in and out of the provider operations.

use std::num::NonZeroU32;

use postroom_core::email::{Defect, EmailHeaders, MessageId};
use postroom_core::outbox::{StagedSubmission, SubmissionKey};
use postroom_core::{EmailAddress, NamedAddress, RawMessage, Timestamp};
use serde::{Deserialize, Serialize};

pub use postroom_core::ledger::{FolderId, RemoteId, SyncCursor};
pub use postroom_core::outbox::{RefusedRecipient, SentReceipt};

/// A folder that every mail system knows by role, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WellKnownFolder {
    /// Where mail arrives.
    Inbox,
    /// Unfinished messages.
    Drafts,
    /// Copies of what was sent.
    SentItems,
    /// What was deleted.
    DeletedItems,
    /// Junk.
    Junk,
}

/// A folder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Folder {
    /// Its id.
    pub id: FolderId,
    /// The folder it lies in, where there is one.
    pub parent: Option<FolderId>,
    /// Its name for people, in the mailbox's language.
    pub name: String,
    /// Its role, where it has one.
    pub role: Option<WellKnownFolder>,
}

impl Folder {
    /// A folder without role at the top.
    #[must_use]
    pub fn new(id: FolderId, name: impl Into<String>) -> Self {
        Self {
            id,
            parent: None,
            name: name.into(),
            role: None,
        }
    }
}

/// At most how many changes a page may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageLimit(NonZeroU32);

impl PageLimit {
    /// A limit; zero counts as one.
    #[must_use]
    pub const fn new(limit: u32) -> Self {
        match NonZeroU32::new(limit) {
            Some(limit) => Self(limit),
            None => Self(NonZeroU32::MIN),
        }
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0.get()
    }
}

/// A page of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangePage<C> {
    /// The changes, in the server's order. May repeat what an earlier page told; never skips.
    pub changes: Vec<C>,
    /// Where the next page begins. To be stored together with what was made of the changes.
    pub cursor: SyncCursor,
    /// Whether more is waiting.
    pub more: bool,
}

impl<C> ChangePage<C> {
    /// A page.
    #[must_use]
    pub const fn new(changes: Vec<C>, cursor: SyncCursor, more: bool) -> Self {
        Self {
            changes,
            cursor,
            more,
        }
    }
}

/// A change in a mail folder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the engine must account for every kind of change"
)]
pub enum MailChange {
    /// A message is there: new, moved in, or changed.
    Present(MailListing),
    /// A message left: deleted or moved away.
    Removed(RemoteId),
}

/// What a listing says about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailListing {
    /// Its id.
    pub id: RemoteId,
    /// When the server received it, where the listing says so.
    pub received_at: Option<Timestamp>,
    /// Its size in bytes, roughly, where the listing says so.
    pub size: Option<u64>,
}

impl MailListing {
    /// A listing that says nothing but the id.
    #[must_use]
    pub const fn new(id: RemoteId) -> Self {
        Self {
            id,
            received_at: None,
            size: None,
        }
    }
}

/// The headers of a message, and what the server knows beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailHeaders {
    /// The headers.
    pub headers: EmailHeaders,
    /// When the server received it.
    pub received_at: Timestamp,
    /// Its size in bytes, roughly, where the server says so.
    pub size: Option<u64>,
    /// Whether it is a draft: nobody has sent it.
    pub draft: bool,
    /// The submission key stamped on it, where it is a copy of our own.
    pub submission_key: Option<SubmissionKey>,
}

impl MailHeaders {
    /// Headers of a received message.
    #[must_use]
    pub const fn new(headers: EmailHeaders, received_at: Timestamp) -> Self {
        Self {
            headers,
            received_at,
            size: None,
            draft: false,
            submission_key: None,
        }
    }
}

/// A whole message.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FetchedMessage {
    /// Its bytes.
    pub raw: RawMessage,
    /// What the server did to it on the way, such as [`Defect::Rebuilt`].
    pub defects: Vec<Defect>,
}

impl FetchedMessage {
    /// A message as the server has it.
    #[must_use]
    pub const fn new(raw: RawMessage) -> Self {
        Self {
            raw,
            defects: Vec::new(),
        }
    }
}

/// How a message is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "adapters must map both")]
pub enum DeleteMode {
    /// To where deleted things go, if the mail system has such a place.
    ToDeletedItems,
    /// For good.
    Permanently,
}

/// A message to be sent, its identity fixed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Submission {
    /// The key of this submission: stamped on what is left on the server, looked for afterwards.
    pub key: SubmissionKey,
    /// The Message-ID in the message.
    pub message_id: MessageId,
    /// The author.
    pub from: NamedAddress,
    /// Everybody who is to get it, Bcc included; at least one.
    pub recipients: Vec<EmailAddress>,
    /// Those of them who are not named in the headers.
    pub bcc: Vec<EmailAddress>,
    /// The composed message, without a Bcc header.
    pub raw: RawMessage,
}

impl Submission {
    /// A submission without blind copies.
    #[must_use]
    pub const fn new(
        key: SubmissionKey,
        message_id: MessageId,
        from: NamedAddress,
        recipients: Vec<EmailAddress>,
        raw: RawMessage,
    ) -> Self {
        Self {
            key,
            message_id,
            from,
            recipients,
            bcc: Vec::new(),
            raw,
        }
    }
}

/// What to look for when the outcome of a submission is unclear.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubmissionIdentity {
    /// The key.
    pub key: SubmissionKey,
    /// The Message-ID.
    pub message_id: MessageId,
    /// The draft, where one was made.
    pub staged: Option<StagedSubmission>,
}

impl SubmissionIdentity {
    /// An identity without a known draft.
    #[must_use]
    pub const fn new(key: SubmissionKey, message_id: MessageId) -> Self {
        Self {
            key,
            message_id,
            staged: None,
        }
    }
}

/// What was found of a submission. `Nowhere` proves nothing: absence never licenses a repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "reconciliation matches every finding"
)]
pub enum SubmissionTrace {
    /// Not among drafts, waiting messages or sent ones.
    Nowhere,
    /// A draft, which the server has not sent.
    Staged(StagedSubmission),
    /// With the server, waiting to go out.
    InTransit,
    /// Sent.
    Sent(SentReceipt),
}
