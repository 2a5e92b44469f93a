//! The outbox: outgoing email as a state machine with an identity fixed before the first attempt.

use serde::{Deserialize, Serialize};

use crate::address::{EmailAddress, NamedAddress};
use crate::catalogue::Code;
use crate::email::{MessageId, RecipientDelivery, merge_delivery};
use crate::id::{MailboxId, OutboxId, RecordId};
use crate::ledger::RemoteId;
use crate::time::Timestamp;
use crate::tracking::TrackingToken;

/// The key of one submission: stamped on the draft, looked for after an unclear outcome. 32 lower
/// case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubmissionKey(String);

impl SubmissionKey {
    /// Makes a key of 16 random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(32);
        for byte in bytes {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// Takes a key that was stored or read from a server.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message that lies on the server, stamped and ready, and that nobody has received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StagedSubmission {
    /// The draft's id.
    pub remote_id: RemoteId,
    /// Its version, where the server keeps one (EWS change key): sending again under the same id and
    /// version is what the server makes safe.
    pub version: Option<String>,
}

impl StagedSubmission {
    /// A draft.
    #[must_use]
    pub const fn new(remote_id: RemoteId, version: Option<String>) -> Self {
        Self { remote_id, version }
    }
}

/// A recipient that the server refused while it took the message for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RefusedRecipient {
    /// Who.
    pub address: EmailAddress,
    /// The server's words, bounded.
    pub reason: String,
}

impl RefusedRecipient {
    /// A refusal.
    #[must_use]
    pub fn new(address: EmailAddress, reason: impl Into<String>) -> Self {
        Self {
            address,
            reason: reason.into(),
        }
    }
}

/// How it is known that a message was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SentReceipt {
    /// The sent copy, where it can be named.
    pub remote_id: Option<RemoteId>,
    /// The Message-ID that the server put in place of ours; kept as an alias.
    pub message_id: Option<MessageId>,
    /// Recipients that were refused.
    pub refused: Vec<RefusedRecipient>,
    /// Whether it was found afterwards rather than answered.
    pub reconciled: bool,
    /// What mail systems said afterwards about its recipients, each once.
    #[serde(default)]
    pub deliveries: Vec<RecipientDelivery>,
}

impl SentReceipt {
    /// The server said yes.
    #[must_use]
    pub const fn answered() -> Self {
        Self {
            remote_id: None,
            message_id: None,
            refused: Vec::new(),
            reconciled: false,
            deliveries: Vec::new(),
        }
    }

    /// The sent copy was found.
    #[must_use]
    pub const fn found(remote_id: RemoteId) -> Self {
        Self {
            remote_id: Some(remote_id),
            message_id: None,
            refused: Vec::new(),
            reconciled: true,
            deliveries: Vec::new(),
        }
    }
}

/// How far an attempt has got. Stored before each step is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
#[expect(clippy::exhaustive_enums, reason = "recovery matches every phase")]
pub enum SendPhase {
    /// A draft is being made; nothing can have been sent.
    Staging,
    /// The message may have been sent from here on.
    Submitting {
        /// The draft, where the provider stages.
        staged: Option<StagedSubmission>,
    },
}

/// The state of an outbox entry. Promise 3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
#[expect(clippy::exhaustive_enums, reason = "everybody matches all of them")]
pub enum OutboxState {
    /// Waiting.
    PendingSend {
        /// Attempts that failed before anything could be sent.
        attempts: u32,
        /// Not before then.
        not_before: Timestamp,
        /// What the last attempt failed with.
        last: Option<Code>,
    },
    /// An attempt is under way, or was when the process ended.
    Sending {
        /// Which attempt, from 1.
        attempt: u32,
        /// How far it has got.
        phase: SendPhase,
    },
    /// Sent.
    Sent {
        /// How that is known.
        receipt: SentReceipt,
        /// When that became known.
        at: Timestamp,
    },
    /// Not sent, and not going to be by itself.
    Failed {
        /// Why.
        code: Code,
    },
    /// It may have been sent; a person decides.
    Unknown {
        /// What is known.
        code: Code,
        /// Since when.
        since: Timestamp,
    },
}

/// What happens to an outbox entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the transition table matches all of them"
)]
pub enum OutboxEvent {
    /// An attempt begins: a draft will be made.
    Stage,
    /// The draft is there and will be submitted; or the provider does not stage.
    Submit {
        /// The draft.
        staged: Option<StagedSubmission>,
    },
    /// It was sent.
    Confirm {
        /// How that is known.
        receipt: SentReceipt,
        /// When.
        at: Timestamp,
    },
    /// Surely nothing was sent, and it is worth trying again.
    Retry {
        /// With what it failed.
        code: Code,
        /// Not before then.
        not_before: Timestamp,
    },
    /// Surely nothing was sent, and it is not worth trying again.
    Reject {
        /// Why.
        code: Code,
    },
    /// Nobody can tell.
    Doubt {
        /// What is known.
        code: Code,
        /// Since when.
        since: Timestamp,
    },
    /// A mail system told what has become of it: so it was sent.
    Report {
        /// What was said about its recipients.
        deliveries: Vec<RecipientDelivery>,
        /// When.
        at: Timestamp,
    },
    /// A person decided to send it again.
    Resend {
        /// From then on.
        now: Timestamp,
    },
}

/// The event does not fit the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an email that is {from} cannot {event}")]
#[non_exhaustive]
pub struct IllegalTransition {
    /// The state, in words.
    pub from: &'static str,
    /// The event, in words.
    pub event: &'static str,
}

impl OutboxState {
    /// An email that waits to be sent.
    #[must_use]
    pub const fn pending(now: Timestamp) -> Self {
        Self::PendingSend {
            attempts: 0,
            not_before: now,
            last: None,
        }
    }

    /// The state in a word, as stored and shown.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::PendingSend { .. } => "pending_send",
            Self::Sending { .. } => "sending",
            Self::Sent { .. } => "sent",
            Self::Failed { .. } => "failed",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// The state after an event.
    ///
    /// # Errors
    /// [`IllegalTransition`] where the event does not fit; the state is then unchanged.
    pub fn next(&self, event: &OutboxEvent) -> Result<Self, IllegalTransition> {
        use OutboxEvent as E;
        let illegal = || IllegalTransition {
            from: self.name(),
            event: event.name(),
        };
        match (self, event) {
            (Self::PendingSend { attempts, .. }, E::Stage) => Ok(Self::Sending {
                attempt: attempts.saturating_add(1),
                phase: SendPhase::Staging,
            }),
            (Self::PendingSend { attempts, .. }, E::Submit { staged }) => Ok(Self::Sending {
                attempt: attempts.saturating_add(1),
                phase: SendPhase::Submitting {
                    staged: staged.clone(),
                },
            }),
            // Submitting again is for the same draft; the engine sees to that.
            (Self::Sending { attempt, .. }, E::Submit { staged }) => Ok(Self::Sending {
                attempt: *attempt,
                phase: SendPhase::Submitting {
                    staged: staged.clone(),
                },
            }),
            (
                Self::Sending {
                    attempt,
                    phase: SendPhase::Staging,
                },
                E::Stage,
            ) => Ok(Self::Sending {
                attempt: *attempt,
                phase: SendPhase::Staging,
            }),
            (Self::Sending { .. } | Self::Unknown { .. }, E::Confirm { receipt, at }) => {
                Ok(Self::Sent {
                    receipt: receipt.clone(),
                    at: *at,
                })
            }
            (Self::Sent { receipt, at }, E::Report { deliveries, .. }) => {
                let mut receipt = receipt.clone();
                for said in deliveries {
                    merge_delivery(&mut receipt.deliveries, said.clone());
                }
                Ok(Self::Sent { receipt, at: *at })
            }
            (Self::Unknown { .. }, E::Report { deliveries, at }) => {
                let mut receipt = SentReceipt::answered();
                receipt.reconciled = true;
                receipt.deliveries.clone_from(deliveries);
                Ok(Self::Sent { receipt, at: *at })
            }
            (Self::PendingSend { attempts, .. }, E::Retry { code, not_before }) => {
                Ok(Self::PendingSend {
                    attempts: *attempts,
                    not_before: *not_before,
                    last: Some(*code),
                })
            }
            (Self::Sending { attempt, .. }, E::Retry { code, not_before }) => {
                Ok(Self::PendingSend {
                    attempts: *attempt,
                    not_before: *not_before,
                    last: Some(*code),
                })
            }
            (
                Self::PendingSend { .. } | Self::Sending { .. } | Self::Unknown { .. },
                E::Reject { code },
            ) => Ok(Self::Failed { code: *code }),
            (Self::Sending { .. }, E::Doubt { code, since }) => Ok(Self::Unknown {
                code: *code,
                since: *since,
            }),
            (Self::Failed { .. } | Self::Unknown { .. }, E::Resend { now }) => {
                Ok(Self::pending(*now))
            }
            (
                Self::PendingSend { .. },
                E::Confirm { .. } | E::Doubt { .. } | E::Report { .. } | E::Resend { .. },
            )
            | (Self::Sending { .. }, E::Report { .. } | E::Resend { .. })
            | (
                Self::Sending {
                    phase: SendPhase::Submitting { .. },
                    ..
                },
                E::Stage,
            )
            | (
                Self::Sent { .. },
                E::Stage
                | E::Submit { .. }
                | E::Confirm { .. }
                | E::Retry { .. }
                | E::Reject { .. }
                | E::Doubt { .. }
                | E::Resend { .. },
            )
            | (
                Self::Failed { .. },
                E::Stage
                | E::Submit { .. }
                | E::Confirm { .. }
                | E::Retry { .. }
                | E::Reject { .. }
                | E::Doubt { .. }
                | E::Report { .. },
            )
            | (
                Self::Unknown { .. },
                E::Stage | E::Submit { .. } | E::Retry { .. } | E::Doubt { .. },
            ) => Err(illegal()),
        }
    }
}

impl OutboxEvent {
    const fn name(&self) -> &'static str {
        match self {
            Self::Stage => "be staged",
            Self::Submit { .. } => "be submitted",
            Self::Confirm { .. } => "be confirmed",
            Self::Retry { .. } => "be retried",
            Self::Reject { .. } => "be rejected",
            Self::Doubt { .. } => "become unknown",
            Self::Report { .. } => "be reported on",
            Self::Resend { .. } => "be sent again",
        }
    }
}

/// One outgoing email, its identity fixed before the first attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OutboxEntry {
    /// Its id.
    pub id: OutboxId,
    /// The mailbox that sends it.
    pub mailbox: MailboxId,
    /// The application's record; `None` for Postroom's own messages (test, alert email).
    pub record: Option<RecordId>,
    /// The Message-ID that was put into it.
    pub message_id: MessageId,
    /// The tracking token in its subject, where there is one.
    pub token: Option<TrackingToken>,
    /// The key of its submission.
    pub key: SubmissionKey,
    /// Who sends it.
    pub from: NamedAddress,
    /// All who get it, Bcc included: the envelope.
    pub recipients: Vec<EmailAddress>,
    /// Those of them who are not to be named in the headers.
    pub bcc: Vec<EmailAddress>,
    /// Size of the composed message in bytes.
    pub size: u64,
    /// When it was composed.
    pub created_at: Timestamp,
    /// Its state.
    pub state: OutboxState,
}

impl OutboxEntry {
    /// An entry that waits to be sent.
    #[must_use]
    pub fn pending(
        id: OutboxId,
        mailbox: MailboxId,
        message_id: MessageId,
        key: SubmissionKey,
        from: NamedAddress,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            mailbox,
            record: None,
            message_id,
            token: None,
            key,
            from,
            recipients: Vec::new(),
            bcc: Vec::new(),
            size: 0,
            created_at: now,
            state: OutboxState::pending(now),
        }
    }
}

#[cfg(test)]
mod tests;
