//! What goes in and out of the store.

use std::sync::Arc;
use std::time::Duration;

use postroom_core::alert::{Incident, Subject};
use postroom_core::approval::ApprovalState;
use postroom_core::audit::AuditEntry;
use postroom_core::email::{ContentIdentity, ContentKey, MessageId};
use postroom_core::health::Health;
use postroom_core::job::JobState;
use postroom_core::ledger::{
    FilterReason, FolderId, LedgerEntry, LedgerEvent, RemoteId, SyncCursor,
};
use postroom_core::mailbox::{MailboxStatus, OwnerKind};
use postroom_core::outbox::OutboxEntry;
use postroom_core::tracking::{Decision, IndexedEmail, Verdict};
use postroom_core::{
    AlertId, Audience, EmailAddress, HolderId, JobId, LedgerId, Level, Mailbox, MailboxId,
    Organization, PartyId, ProfileId, RawMessage, RecordId, ServerProfile, Timestamp, Workload,
};

use crate::crm::RecordedEmail;

/// Whose password it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SecretOwner {
    /// The profile's, for incoming connections (and outgoing ones, where the settings are the same).
    ProfileIncoming(ProfileId),
    /// The profile's, for outgoing connections.
    ProfileOutgoing(ProfileId),
    /// The mailbox's own.
    Mailbox(MailboxId),
}

/// Which mailboxes to list. Empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailboxFilter {
    /// Only those of that profile.
    pub profile: Option<ProfileId>,
    /// Only active or only inactive ones.
    pub active: Option<bool>,
    /// Only those whose name or address holds this text, without regard to case.
    pub text: Option<String>,
    /// Only those whose address is in that state.
    pub approval: Option<ApprovalState>,
    /// Only those of that kind of owner.
    pub kind: Option<OwnerKind>,
    /// Only those that fare so.
    pub status: Option<MailboxStatus>,
}

impl MailboxFilter {
    /// Whether a mailbox is one of those.
    #[must_use]
    pub fn fits(&self, mailbox: &Mailbox) -> bool {
        let text = self.text.as_ref().is_none_or(|text| {
            let text = text.to_lowercase();
            mailbox.name.to_lowercase().contains(&text)
                || mailbox
                    .address
                    .as_ref()
                    .is_some_and(|address| address.normalized().contains(&text))
        });
        let workloads = || Workload::ALL.into_iter().map(|w| mailbox.workload(w));
        let status = self.status.is_none_or(|status| match status {
            MailboxStatus::Enabled => workloads().any(|state| state.enabled),
            MailboxStatus::NotEnabled => workloads().all(|state| !state.enabled),
            MailboxStatus::Failing => workloads().any(|state| {
                matches!(
                    state.health,
                    Health::Retrying { .. } | Health::Failing { .. }
                )
            }),
            MailboxStatus::Disabled => {
                workloads().any(|state| matches!(state.health, Health::Disabled { .. }))
            }
            _ => false,
        });
        text && status
            && self.profile.is_none_or(|id| mailbox.profile == Some(id))
            && self.active.is_none_or(|active| mailbox.active == active)
            && self.approval.is_none_or(|state| mailbox.approval == state)
            && self.kind.is_none_or(|kind| mailbox.owner.kind() == kind)
    }
}

/// A change of one mailbox among several, and what goes with it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MailboxChange {
    /// The mailbox as it is to be; its revision says what it was made from.
    pub mailbox: Mailbox,
    /// Kept with the change, where there is one.
    pub audit: Option<AuditEntry>,
    /// What was filtered is looked at again, as [`Store::replay_filtered`](crate::Store::replay_filtered)
    /// does; where that is anything, incoming email becomes due if it is enabled.
    pub look_again: Option<LookAgain>,
    /// Every enabled workload becomes due at that time.
    pub due: Option<Timestamp>,
}

/// Which messages are looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookAgain {
    /// Those that were filtered for this reason.
    pub reason: FilterReason,
    /// And received from then on.
    pub since: Timestamp,
    /// They are pending from now on.
    pub now: Timestamp,
}

impl LookAgain {
    /// Messages filtered for that reason and received from then on.
    #[must_use]
    pub const fn new(reason: FilterReason, since: Timestamp, now: Timestamp) -> Self {
        Self { reason, since, now }
    }
}

impl MailboxChange {
    /// A change with its entry in the audit trail.
    #[must_use]
    pub const fn new(mailbox: Mailbox, audit: Option<AuditEntry>) -> Self {
        Self {
            mailbox,
            audit,
            look_again: None,
            due: None,
        }
    }
}

/// The right to work on one workload of one mailbox, for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The workload.
    pub workload: Workload,
    /// Who holds it.
    pub holder: HolderId,
    /// Rises with every holder; a write with a lower one than the current is refused.
    pub fence: u64,
    /// Until when.
    pub expires_at: Timestamp,
}

impl Lease {
    /// A lease, as a store grants it.
    #[must_use]
    pub const fn new(
        mailbox: MailboxId,
        workload: Workload,
        holder: HolderId,
        fence: u64,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            mailbox,
            workload,
            holder,
            fence,
            expires_at,
        }
    }
}

/// A workload that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Due {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its profile, where it has one.
    pub profile: Option<ProfileId>,
    /// The workload.
    pub workload: Workload,
    /// Since when.
    pub at: Timestamp,
}

impl Due {
    /// A workload that is due since then.
    #[must_use]
    pub const fn new(
        mailbox: MailboxId,
        profile: Option<ProfileId>,
        workload: Workload,
        at: Timestamp,
    ) -> Self {
        Self {
            mailbox,
            profile,
            workload,
            at,
        }
    }
}

/// What a cycle begins with: its lease, and what is read under it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CycleStart {
    /// The lease.
    pub lease: Lease,
    /// The organization.
    pub organization: Arc<Organization>,
    /// The mailbox.
    pub mailbox: Mailbox,
    /// Its profile, where it has one.
    pub profile: Option<Arc<ServerProfile>>,
    /// Where the reading of its folders stands, as far as they were read.
    pub folders: Vec<(FolderId, FolderState)>,
    /// Whether there may be something to work on: pending rows of the ledger for incoming email,
    /// entries of the outbox that have not come to an end for outgoing email.
    pub pending: bool,
    /// Whether an attempt with an entry of the outbox may be under way.
    pub under_way: bool,
    /// Whether an entry of the outbox may be of unknown outcome.
    pub in_doubt: bool,
    /// Changes whenever any secret is stored or deleted, where the store knows: whoever sees the same
    /// number again need not read a secret again.
    pub secrets: Option<u64>,
}

impl CycleStart {
    /// The beginning of a cycle that knows no folders and may have pending rows.
    #[must_use]
    pub const fn new(
        lease: Lease,
        organization: Arc<Organization>,
        mailbox: Mailbox,
        profile: Option<Arc<ServerProfile>>,
    ) -> Self {
        Self {
            lease,
            organization,
            mailbox,
            profile,
            folders: Vec::new(),
            pending: true,
            under_way: true,
            in_doubt: true,
            secrets: None,
        }
    }
}

/// What a cycle leaves in the workload's state. Does not touch what administrators set.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CycleRecord {
    /// The workload's health now.
    pub health: Health,
    /// When it is due next; `None`: not scheduled.
    pub next_due: Option<Timestamp>,
    /// Cycles in a row that found nothing.
    pub idle_cycles: u32,
    /// When this cycle began.
    pub started: Timestamp,
    /// When it succeeded; `None`: it did not.
    pub succeeded: Option<Timestamp>,
    /// `false` takes the workload out of processing; `true` never puts it back.
    pub enabled: bool,
}

impl CycleRecord {
    /// A cycle that succeeded.
    #[must_use]
    pub const fn succeeded(
        started: Timestamp,
        ended: Timestamp,
        next_due: Timestamp,
        idle_cycles: u32,
    ) -> Self {
        Self {
            health: Health::Healthy,
            next_due: Some(next_due),
            idle_cycles,
            started,
            succeeded: Some(ended),
            enabled: true,
        }
    }
}

/// Where the reading of a folder stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FolderState {
    /// The cursor; `None` at the very beginning, or after it was lost.
    pub cursor: Option<SyncCursor>,
    /// A listing from the beginning is under way because the cursor was lost; what it does not show
    /// is gone.
    pub relisting: bool,
}

impl FolderState {
    /// The state of a folder.
    #[must_use]
    pub const fn new(cursor: Option<SyncCursor>, relisting: bool) -> Self {
        Self { cursor, relisting }
    }
}

/// A page of a folder, to be recorded as intents before anything is made of it. Promise 1: the
/// cursor is stored together with the rows that it passes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PageRecord {
    /// The folder.
    pub folder: FolderId,
    /// Messages that are there. Those already in the ledger under the same id are left as they are;
    /// only one that was `gone` is pending again: it is back, and leaving it would lose it.
    pub listed: Vec<LedgerEntry>,
    /// Messages that left. Pending ones become `gone`; others stay what they are. What is named here
    /// and in `listed` is there.
    pub removed: Vec<RemoteId>,
    /// The cursor behind this page.
    pub cursor: SyncCursor,
    /// Whether it is the last page for now: ends a relisting, whose unseen pending rows become `gone`.
    pub last: bool,
}

impl PageRecord {
    /// A page.
    #[must_use]
    pub const fn new(
        folder: FolderId,
        listed: Vec<LedgerEntry>,
        removed: Vec<RemoteId>,
        cursor: SyncCursor,
        last: bool,
    ) -> Self {
        Self {
            folder,
            listed,
            removed,
            cursor,
            last,
        }
    }
}

/// What recording a page changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageOutcome {
    /// Rows that are new, or pending again because the message is back.
    pub new: u64,
    /// Pending rows that became `gone`.
    pub gone: u64,
}

/// What came of one ledger row.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settlement {
    /// The row.
    pub id: LedgerId,
    /// What happened to it; refused as `Conflict` where it does not fit the stored state.
    pub event: LedgerEvent,
    /// What the content is known by, where it became known.
    pub identity: Option<ContentIdentity>,
    /// The decision, where there is one.
    pub decision: Option<Decision>,
    /// What the correlation index is to keep, for a message that was recorded, with the content key
    /// by which it is known from now on.
    pub index: Option<(IndexedEmail, Option<ContentKey>)>,
    /// The raw message to keep, for one that is quarantined.
    pub raw: Option<RawMessage>,
    /// The message's id on the server from now on, where it was moved, and the folder.
    pub moved: Option<(FolderId, RemoteId)>,
}

impl Settlement {
    /// An outcome without anything beside it.
    #[must_use]
    pub const fn new(id: LedgerId, event: LedgerEvent) -> Self {
        Self {
            id,
            event,
            identity: None,
            decision: None,
            index: None,
            raw: None,
            moved: None,
        }
    }

    /// Puts records in place of what stood for them before they were made. A row has created its
    /// record only where the record was created by then.
    pub fn resolve(&mut self, made: impl Fn(RecordId) -> Option<RecordedEmail>) {
        let resolve = |record: &mut RecordId| {
            if let Some(recorded) = made(*record) {
                *record = recorded.record;
            }
        };
        if let LedgerEvent::Deliver { record, created } = &mut self.event {
            *created = *created && made(*record).is_none_or(|recorded| recorded.created);
            resolve(record);
        }
        if let Some(decision) = &mut self.decision {
            if let Some(matched) = &mut decision.correlation.matched {
                resolve(&mut matched.email);
            }
            if let Verdict::Join { record } = &mut decision.verdict {
                resolve(record);
            }
        }
        if let Some((index, _)) = &mut self.index {
            resolve(&mut index.record);
        }
    }
}

/// What is asked of the known emails for one message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownQuery {
    /// The key of its content.
    pub key: ContentKey,
    /// Its Message-ID.
    pub message_id: Option<MessageId>,
}

impl KnownQuery {
    /// Asks for emails with that key, or that Message-ID.
    #[must_use]
    pub const fn new(key: ContentKey, message_id: Option<MessageId>) -> Self {
        Self { key, message_id }
    }
}

/// Which ledger rows to list, newest first. Empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LedgerFilter {
    /// Only that mailbox's.
    pub mailbox: Option<MailboxId>,
    /// Only that state, by its name.
    pub state: Option<&'static str>,
    /// Only those of that record.
    pub record: Option<RecordId>,
}

/// How many ledger rows are in each state, by the state's name.
pub type LedgerCounts = std::collections::BTreeMap<String, u64>;

/// An outgoing email to put into the outbox.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewOutgoing {
    /// The entry.
    pub entry: OutboxEntry,
    /// The composed message.
    pub raw: RawMessage,
    /// What the correlation index is to keep; `None` for Postroom's own messages.
    pub index: Option<IndexedEmail>,
}

impl NewOutgoing {
    /// An outgoing email.
    #[must_use]
    pub const fn new(entry: OutboxEntry, raw: RawMessage, index: Option<IndexedEmail>) -> Self {
        Self { entry, raw, index }
    }
}

/// Which outbox entries to list, newest first. Empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxFilter {
    /// Only that mailbox's.
    pub mailbox: Option<MailboxId>,
    /// Only that state, by its name.
    pub state: Option<&'static str>,
    /// Only that record's.
    pub record: Option<RecordId>,
}

/// Which alerts to list, newest first. Empty: all open ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlertFilter {
    /// Only those about that.
    pub subject: Option<Subject>,
    /// Only of that level or above.
    pub level_min: Option<Level>,
    /// Only for that audience.
    pub audience: Option<Audience>,
    /// Closed ones, too.
    pub closed: bool,
    /// Only that one.
    pub id: Option<AlertId>,
    /// Only what is on that wall.
    pub wall: Option<Wall>,
}

/// Where alerts are looked at. Source: domain section 5; seed 000, "Test configuration of mailboxes".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "every store answers for each wall")]
pub enum Wall {
    /// That of a mailbox: everything about it and its messages, and what its profile's trouble tells
    /// mailbox owners.
    Mailbox(MailboxId),
    /// That of a profile: everything about it, and of its mailboxes what concerns the profile's
    /// owner.
    Profile(ProfileId),
    /// That of a person: what concerns the owner of their mailbox, and the owner of their profiles.
    Owner(PartyId),
}

/// Which jobs to list, newest first. Empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobFilter {
    /// Only those of that mailbox.
    pub mailbox: Option<MailboxId>,
    /// Only those of mailboxes that have that profile now.
    pub profile: Option<ProfileId>,
    /// Only those that were asked for together with that one, by the first one's id.
    pub batch: Option<JobId>,
    /// Only those in that state.
    pub state: Option<JobState>,
}

/// How far jobs are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobCounts {
    /// Waiting.
    pub queued: u64,
    /// Under way.
    pub running: u64,
    /// Done, and every step passed.
    pub passed: u64,
    /// Done, and a step failed.
    pub failed: u64,
}

impl JobCounts {
    /// All of them.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.queued
            .saturating_add(self.running)
            .saturating_add(self.done())
    }

    /// Those that are done.
    #[must_use]
    pub const fn done(&self) -> u64 {
        self.passed.saturating_add(self.failed)
    }
}

/// Which open alerts to close: those whose incident agrees in everything that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncidentPattern {
    /// About that.
    pub subject: Subject,
    /// Of that code.
    pub code: Option<postroom_core::Code>,
    /// Of that workload.
    pub workload: Option<Workload>,
    /// With that discriminator.
    pub discriminator: Option<String>,
}

impl IncidentPattern {
    /// Everything about a subject.
    #[must_use]
    pub const fn about(subject: Subject) -> Self {
        Self {
            subject,
            code: None,
            workload: None,
            discriminator: None,
        }
    }

    /// Exactly that incident.
    #[must_use]
    pub fn exactly(incident: &Incident) -> Self {
        Self {
            subject: incident.subject,
            code: Some(incident.code),
            workload: incident.workload,
            discriminator: Some(incident.discriminator.clone()),
        }
    }
}

/// The numbers that a tracking token is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenNumbers {
    /// The sender's number, from 1; the same for ever.
    pub user: u64,
    /// The message's number, from 1; never given out twice for a sender.
    pub counter: u64,
}

impl TokenNumbers {
    /// The numbers of one message.
    #[must_use]
    pub const fn new(user: u64, counter: u64) -> Self {
        Self { user, counter }
    }
}

/// Where a listing goes on and how long its pages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// Leaves out so many.
    pub offset: u64,
    /// At most so many, 1 to 10,000.
    pub limit: u32,
}

impl Page {
    /// The first page.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { offset: 0, limit }
    }

    /// The page behind this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self {
            offset: self.offset + self.limit as u64,
            limit: self.limit,
        }
    }
}

/// So many done jobs of a mailbox are kept, newest first.
pub const JOBS_KEPT: u32 = 20;

/// How long a lease lasts unless it is renewed (2 minutes).
pub const LEASE_DURATION: Duration = Duration::from_secs(120);

/// A mailbox's party and address together, as the gates and rules ask for them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailboxOfParty {
    /// The user or queue.
    pub party: PartyId,
    /// Its mailbox.
    pub mailbox: MailboxId,
    /// The address.
    pub address: Option<EmailAddress>,
    /// Its filter.
    pub filter: postroom_core::tracking::TrackingFilter,
}

impl MailboxOfParty {
    /// The mailbox of a user or queue.
    #[must_use]
    pub const fn new(
        party: PartyId,
        mailbox: MailboxId,
        address: Option<EmailAddress>,
        filter: postroom_core::tracking::TrackingFilter,
    ) -> Self {
        Self {
            party,
            mailbox,
            address,
            filter,
        }
    }
}
