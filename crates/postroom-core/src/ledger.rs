//! The ledger: one row for every server message that was ever in scope.

use serde::{Deserialize, Serialize};

use crate::catalogue::Code;
use crate::email::ContentIdentity;
use crate::id::{LedgerId, MailboxId, RecordId};
use crate::time::Timestamp;
use crate::tracking::Decision;

/// The id of a message on its server, as its provider spells it: opaque, case sensitive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RemoteId(String);

impl RemoteId {
    /// Takes the provider's spelling.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The provider's spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id of a folder on its server, as its provider spells it: opaque, case sensitive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FolderId(String);

impl FolderId {
    /// Takes the provider's spelling.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The provider's spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a provider's reading of a folder stopped: opaque, versioned by the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SyncCursor(String);

impl SyncCursor {
    /// Takes the provider's text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The provider's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a message was not recorded though nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FilterReason {
    /// No recipient's filter accepts it. The reference's `NoCorrelationMatch`.
    NoFilterAccepts,
    /// No recipient resolves to a user or queue. The reference's `NoRecipientMatch`.
    NoRecipientMatch,
    /// The second copy of email between two users. The reference's `InternalEmailReject`.
    InternalEmail,
    /// Received before the date from which email is processed.
    BeforeStart,
    /// It is the mailbox's own test message, or another message of Postroom itself.
    OwnMessage,
    /// It is a draft: nobody has sent it.
    Draft,
    /// No recipient's filter accepts it, and it has no usable sender. The reference's `InvalidSender`.
    NoSender,
}

/// Why a message is believed to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GoneEvidence {
    /// The server listed it as deleted.
    ListedAsDeleted,
    /// The server no longer knew it when it was to be fetched.
    NotFoundOnFetch,
    /// It was missing from a complete listing after the cursor was lost.
    MissingFromListing,
}

/// The state of a ledger row. Promise 1: exactly one of these, always.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
#[expect(
    clippy::exhaustive_enums,
    reason = "promise 1 names the states; everybody matches all of them"
)]
pub enum LedgerState {
    /// Known, not yet done.
    Pending {
        /// Attempts so far.
        attempts: u32,
        /// Not before then.
        not_before: Timestamp,
        /// What the last attempt failed with.
        last: Option<Code>,
    },
    /// Recorded, or joined to a record of the same content.
    Delivered {
        /// The record.
        record: RecordId,
        /// Whether this message created it (else it joined).
        created: bool,
    },
    /// Deliberately not recorded.
    Filtered {
        /// Why.
        reason: FilterReason,
    },
    /// Set aside after repeated failure; the raw form is kept where it could be had.
    Quarantined {
        /// What the last attempt failed with.
        code: Code,
        /// Whether the raw message is kept.
        raw_kept: bool,
    },
    /// Vanished from the server before it could be fetched.
    Gone {
        /// How that is known.
        evidence: GoneEvidence,
    },
}

/// What happens to a ledger row.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the transition table matches all of them"
)]
pub enum LedgerEvent {
    /// Recorded or joined.
    Deliver {
        /// The record.
        record: RecordId,
        /// Whether it was created.
        created: bool,
    },
    /// Decided against.
    Filter {
        /// Why.
        reason: FilterReason,
    },
    /// An attempt failed and counts.
    Fail {
        /// With what.
        code: Code,
        /// Not before then.
        not_before: Timestamp,
    },
    /// The attempt could not be made; it does not count (an outage is not the message's fault).
    Postpone {
        /// Because of what.
        code: Code,
        /// Not before then.
        not_before: Timestamp,
    },
    /// Given up for now.
    Quarantine {
        /// With what.
        code: Code,
        /// Whether the raw message is kept.
        raw_kept: bool,
    },
    /// Vanished.
    Vanish {
        /// How that is known.
        evidence: GoneEvidence,
    },
    /// A person wants it tried again.
    Replay {
        /// From then on.
        now: Timestamp,
    },
}

/// The event does not fit the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message that is {from} cannot {event}")]
#[non_exhaustive]
pub struct IllegalTransition {
    /// The state, in a word.
    pub from: &'static str,
    /// The event, in a word.
    pub event: &'static str,
}

impl LedgerState {
    /// A message just listed.
    #[must_use]
    pub const fn listed(now: Timestamp) -> Self {
        Self::Pending {
            attempts: 0,
            not_before: now,
            last: None,
        }
    }

    /// The state in a word, as stored and shown.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Delivered { .. } => "delivered",
            Self::Filtered { .. } => "filtered",
            Self::Quarantined { .. } => "quarantined",
            Self::Gone { .. } => "gone",
        }
    }

    /// The state after an event.
    ///
    /// A delivered or filtered message stays what it is when its server copy vanishes: that is
    /// ordinary housekeeping, and not an event of the ledger at all.
    ///
    /// # Errors
    /// [`IllegalTransition`] where the event does not fit; the state is then unchanged.
    pub fn next(&self, event: &LedgerEvent) -> Result<Self, IllegalTransition> {
        let illegal = || IllegalTransition {
            from: self.name(),
            event: event.name(),
        };
        match (self, event) {
            (Self::Pending { .. }, LedgerEvent::Deliver { record, created }) => {
                Ok(Self::Delivered {
                    record: *record,
                    created: *created,
                })
            }
            (Self::Delivered { .. }, LedgerEvent::Deliver { record, created })
                if crate::planted!(AckBeforeCommit) =>
            {
                Ok(Self::Delivered {
                    record: *record,
                    created: *created,
                })
            }
            (Self::Pending { .. }, LedgerEvent::Filter { reason }) => {
                Ok(Self::Filtered { reason: *reason })
            }
            (Self::Pending { attempts, .. }, LedgerEvent::Fail { code, not_before }) => {
                Ok(Self::Pending {
                    attempts: attempts
                        .saturating_add(u32::from(!crate::planted!(PoisonNotCounted))),
                    not_before: *not_before,
                    last: Some(*code),
                })
            }
            (Self::Pending { attempts, .. }, LedgerEvent::Postpone { code, not_before }) => {
                Ok(Self::Pending {
                    attempts: *attempts,
                    not_before: *not_before,
                    last: Some(*code),
                })
            }
            (Self::Pending { .. }, LedgerEvent::Quarantine { code, raw_kept }) => {
                Ok(Self::Quarantined {
                    code: *code,
                    raw_kept: *raw_kept,
                })
            }
            (Self::Pending { .. }, LedgerEvent::Vanish { evidence }) => Ok(Self::Gone {
                evidence: *evidence,
            }),
            (
                Self::Filtered { .. } | Self::Quarantined { .. } | Self::Gone { .. },
                LedgerEvent::Replay { now },
            ) => Ok(Self::listed(*now)),
            (Self::Pending { .. } | Self::Delivered { .. }, LedgerEvent::Replay { .. })
            | (
                Self::Delivered { .. }
                | Self::Filtered { .. }
                | Self::Quarantined { .. }
                | Self::Gone { .. },
                LedgerEvent::Deliver { .. }
                | LedgerEvent::Filter { .. }
                | LedgerEvent::Fail { .. }
                | LedgerEvent::Postpone { .. }
                | LedgerEvent::Quarantine { .. }
                | LedgerEvent::Vanish { .. },
            ) => Err(illegal()),
        }
    }
}

impl LedgerEvent {
    const fn name(&self) -> &'static str {
        match self {
            Self::Deliver { .. } => "be delivered",
            Self::Filter { .. } => "be filtered",
            Self::Fail { .. } => "fail",
            Self::Postpone { .. } => "be postponed",
            Self::Quarantine { .. } => "be quarantined",
            Self::Vanish { .. } => "vanish",
            Self::Replay { .. } => "be replayed",
        }
    }
}

/// One row of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LedgerEntry {
    /// Its id.
    pub id: LedgerId,
    /// The mailbox that it was met in.
    pub mailbox: MailboxId,
    /// The folder.
    pub folder: FolderId,
    /// The message's id there; may change when the server says so.
    pub remote_id: RemoteId,
    /// When the server received it, where it says so in the listing.
    pub received_at: Option<Timestamp>,
    /// Size in bytes, where the listing says so.
    pub size: Option<u64>,
    /// When it was first listed.
    pub first_seen: Timestamp,
    /// What the content is known by, once the headers were read.
    pub identity: Option<ContentIdentity>,
    /// Its state.
    pub state: LedgerState,
    /// The decision and its evidence, once there is one.
    pub decision: Option<Decision>,
}

impl LedgerEntry {
    /// A message just listed.
    #[must_use]
    pub const fn listed(
        id: LedgerId,
        mailbox: MailboxId,
        folder: FolderId,
        remote_id: RemoteId,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            mailbox,
            folder,
            remote_id,
            received_at: None,
            size: None,
            first_seen: now,
            identity: None,
            state: LedgerState::listed(now),
            decision: None,
        }
    }
}

#[cfg(test)]
mod tests;
