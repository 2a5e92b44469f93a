//! Mailboxes and their workloads.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::address::EmailAddress;
use crate::approval::ApprovalState;
use crate::health::Health;
use crate::id::{MailboxId, PartyId, ProfileId};
use crate::time::Timestamp;
use crate::tracking::TrackingFilter;

/// One of the three things that are kept in step for a mailbox, each on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "scheduling and health match all three"
)]
pub enum Workload {
    /// Incoming email.
    Incoming,
    /// Outgoing email.
    Outgoing,
    /// Appointments, contacts and tasks.
    Items,
}

impl Workload {
    /// All three, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Incoming, Self::Outgoing, Self::Items];

    /// The text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Outgoing => "outgoing",
            Self::Items => "items",
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a workload; use incoming, outgoing or items")]
#[non_exhaustive]
pub struct ParseWorkloadError;

impl FromStr for Workload {
    type Err = ParseWorkloadError;

    fn from_str(text: &str) -> Result<Self, ParseWorkloadError> {
        Self::ALL
            .into_iter()
            .find(|w| w.as_str() == text)
            .ok_or(ParseWorkloadError)
    }
}

/// How a workload is delivered. Source: domain section 2.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliveryMethod {
    /// Not at all.
    #[default]
    None,
    /// By Postroom ("Server-Side Synchronization").
    ServerSide,
    /// By way of a forward mailbox; incoming only.
    ForwardMailbox,
    /// By something else, such as a client add-in: Postroom keeps away.
    Other,
}

/// The outcome of the last Test & Enable. Source: seed 000.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the three statuses of the seeds")]
pub enum TestStatus {
    /// Never tested since the settings that matter were changed.
    #[default]
    NotRun,
    /// The last test passed.
    Success,
    /// The last test failed.
    Failure,
}

/// The state of one workload of a mailbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkloadState {
    /// How it is delivered.
    pub method: DeliveryMethod,
    /// The outcome of the last test.
    pub test_status: TestStatus,
    /// When a test last tried it, with these settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tested_at: Option<Timestamp>,
    /// Whether it is processed; set by Test & Enable, cleared by what only a person can mend.
    pub enabled: bool,
    /// How it fares.
    pub health: Health,
    /// When it is due next; `None` while it is not scheduled.
    pub next_due: Option<Timestamp>,
    /// Cycles in a row that found nothing; lengthens the interval, bounded.
    pub idle_cycles: u32,
    /// When the last cycle began.
    pub last_started: Option<Timestamp>,
    /// When the last cycle that succeeded ended.
    pub last_succeeded: Option<Timestamp>,
}

impl WorkloadState {
    /// A workload with that method, never tested, not enabled.
    #[must_use]
    pub const fn new(method: DeliveryMethod) -> Self {
        Self {
            method,
            test_status: TestStatus::NotRun,
            tested_at: None,
            enabled: false,
            health: Health::Healthy,
            next_due: None,
            idle_cycles: 0,
            last_started: None,
            last_succeeded: None,
        }
    }
}

/// Whom a mailbox belongs to. Source: domain section 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
#[expect(clippy::exhaustive_enums, reason = "gates and rules match every kind")]
pub enum MailboxOwner {
    /// A user.
    User(PartyId),
    /// A queue.
    Queue(PartyId),
    /// Nobody: a mailbox that others' mail is forwarded to as attachments.
    Forward,
}

impl MailboxOwner {
    /// The user or queue.
    #[must_use]
    pub const fn party(&self) -> Option<PartyId> {
        match self {
            Self::User(id) | Self::Queue(id) => Some(*id),
            Self::Forward => None,
        }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> OwnerKind {
        match self {
            Self::User(_) => OwnerKind::User,
            Self::Queue(_) => OwnerKind::Queue,
            Self::Forward => OwnerKind::Forward,
        }
    }
}

/// The kinds of owners, to select by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "one for each kind of owner")]
pub enum OwnerKind {
    /// A user's.
    User,
    /// A queue's.
    Queue,
    /// A forward mailbox.
    Forward,
}

impl OwnerKind {
    /// The text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Queue => "queue",
            Self::Forward => "forward",
        }
    }
}

/// How a mailbox fares as a whole, to select by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MailboxStatus {
    /// At least one workload is enabled.
    Enabled,
    /// No workload is enabled.
    NotEnabled,
    /// A workload is tried again, or probed slowly.
    Failing,
    /// A workload was disabled until a person mends it.
    Disabled,
}

/// What a mailbox keeps of its profile as it was when the mailbox came to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Association {
    /// Its date ("Process Email From").
    pub process_email_from: Option<Timestamp>,
}

impl Association {
    /// With a profile that has that date.
    #[must_use]
    pub const fn new(process_email_from: Option<Timestamp>) -> Self {
        Self { process_email_from }
    }
}

/// One address of one user or queue, with one profile and three workloads. Source: domain section 2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mailbox {
    /// Its id.
    pub id: MailboxId,
    /// Its name, for people.
    pub name: String,
    /// The address, unique among the organization's mailboxes; `None` until one is set.
    pub address: Option<EmailAddress>,
    /// Whom it belongs to.
    pub owner: MailboxOwner,
    /// How to reach it.
    pub profile: Option<ProfileId>,
    /// Whether it is active at all.
    pub active: bool,
    /// Whether the address is approved.
    pub approval: ApprovalState,
    /// Incoming email.
    pub incoming: WorkloadState,
    /// Outgoing email.
    pub outgoing: WorkloadState,
    /// Appointments, contacts and tasks.
    pub items: WorkloadState,
    /// Which incoming email is tracked for its owner.
    pub filter: TrackingFilter,
    /// Process email received from then on; the later of this and the profile's counts.
    pub process_email_from: Option<Timestamp>,
    /// When it was first enabled for incoming email: where no date is set, older mail is left alone.
    pub incoming_enabled_at: Option<Timestamp>,
    /// The profile's date when the mailbox was first enabled with it: an earlier one that the profile
    /// gets later is for newly associated mailboxes only.
    #[serde(default)]
    pub associated: Option<Association>,
    /// Who approved the address; `None` unless it is approved.
    #[serde(default)]
    pub approved_by: Option<String>,
    /// When the address was approved.
    #[serde(default)]
    pub approved_at: Option<Timestamp>,
    /// The user name, where the profile takes credentials from the mailbox. The password is kept
    /// sealed in the store.
    pub user_name: Option<String>,
    /// Whether those credentials may be used.
    pub allow_credentials: bool,
    /// Delete messages from the server once they are recorded; queues and forward mailboxes only.
    pub delete_after_processing: bool,
    /// Counts changes; a write with an old number is refused.
    pub revision: u64,
}

impl Mailbox {
    /// A mailbox without profile, its address (if any) pending approval. Queues track everything,
    /// users what answers the application's email (domain section 6).
    #[must_use]
    pub fn new(
        id: MailboxId,
        name: impl Into<String>,
        owner: MailboxOwner,
        address: Option<EmailAddress>,
    ) -> Self {
        let approval = if address.is_some() {
            ApprovalState::Pending
        } else {
            ApprovalState::Empty
        };
        let filter = match owner {
            MailboxOwner::User(_) => TrackingFilter::RepliesToCrmEmail,
            MailboxOwner::Queue(_) | MailboxOwner::Forward => TrackingFilter::All,
        };
        Self {
            id,
            name: name.into(),
            address,
            owner,
            profile: None,
            active: true,
            approval,
            incoming: WorkloadState::new(DeliveryMethod::None),
            outgoing: WorkloadState::new(DeliveryMethod::None),
            items: WorkloadState::new(DeliveryMethod::None),
            filter,
            process_email_from: None,
            incoming_enabled_at: None,
            associated: None,
            approved_by: None,
            approved_at: None,
            user_name: None,
            allow_credentials: false,
            delete_after_processing: false,
            revision: 0,
        }
    }

    /// The state of one workload.
    #[must_use]
    pub const fn workload(&self, workload: Workload) -> &WorkloadState {
        match workload {
            Workload::Incoming => &self.incoming,
            Workload::Outgoing => &self.outgoing,
            Workload::Items => &self.items,
        }
    }

    /// The state of one workload, to change.
    pub const fn workload_mut(&mut self, workload: Workload) -> &mut WorkloadState {
        match workload {
            Workload::Incoming => &mut self.incoming,
            Workload::Outgoing => &mut self.outgoing,
            Workload::Items => &mut self.items,
        }
    }
}
