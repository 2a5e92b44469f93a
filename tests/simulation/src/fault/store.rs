//! A store that fails, loses answers, and dies.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use postroom_core::alert::Alert;
use postroom_core::audit::AuditEntry;
use postroom_core::connection::ConnectionTest;
use postroom_core::email::{ContentKey, KnownEmail, MessageId};
use postroom_core::job::{Job, JobState};
use postroom_core::ledger::{FilterReason, LedgerEntry};
use postroom_core::outbox::{OutboxEntry, OutboxState};
use postroom_core::schedule::LatestTimes;
use postroom_core::settings::SettingChange;
use postroom_core::tracking::{Candidates, CorrelationQuery, IndexedEmail, TrackingToken};
use postroom_core::{
    AlertId, Code, EmailAddress, HolderId, JobId, LedgerId, Mailbox, MailboxId, Organization,
    OutboxId, PartyId, ProfileId, RawMessage, RecordId, Secret, ServerProfile, Timestamp, Workload,
};
use postroom_provider::{FolderId, RemoteId};
use postroom_store::{
    AlertFilter, CrmCursor, CycleRecord, CycleStart, Due, EmailWrite, EngineClaim, ErrorKind,
    FolderState, IncidentPattern, JobCounts, JobFilter, KnownQuery, Lease, LedgerCounts,
    LedgerFilter, MailboxChange, MailboxFilter, MailboxOfParty, NewOutgoing, OutboxFilter,
    OutgoingReport, Page, PageOutcome, PageRecord, RecordedEmail, Result, SecretOwner, Settlement,
    Store, StoreError, TokenNumbers, TransactionScope,
};

use super::plan::{FaultError, Seam};
use super::seams::{Seams, Spot};
use crate::history::Event;

/// A store behind the seams of one engine.
#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    seams: Seams,
    /// Whether it writes the application's records in its own transactions, where it can.
    joint: bool,
}

impl FaultyStore {
    /// A store as that engine sees it.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, seams: Seams, joint: bool) -> Self {
        Self {
            inner,
            seams,
            joint,
        }
    }

    async fn guard<T: Send>(
        &self,
        operation: &'static str,
        mailbox: Option<MailboxId>,
        effect: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let spot = Spot {
            seam: Seam::Store,
            operation,
            mailbox,
            profile: None,
            writes: writes(operation),
            behind: may_be_behind(operation),
            over_http: false,
        };
        let failing = |error| failure(operation, Code::StoreUnavailable, error);
        let code = |error: &StoreError| error.code().to_string();
        self.seams.guard(spot, failing, code, effect).await
    }
}

/// Leases as the store gives them, whatever the engine hears of it.
impl FaultyStore {
    fn held<'a>(&self, leases: impl IntoIterator<Item = &'a Lease>, lasts: Duration) {
        for lease in leases {
            self.seams.note(Event::LeaseHeld {
                engine: self.seams.number(),
                mailbox: lease.mailbox,
                workload: lease.workload,
                lasts,
            });
        }
    }

    fn returned(&self, lease: &Lease) {
        self.seams.note(Event::LeaseReturned {
            engine: self.seams.number(),
            mailbox: lease.mailbox,
            workload: lease.workload,
        });
    }
}

/// What a caller is told of a store or an application that cannot be used now.
pub(super) fn failure(operation: &'static str, code: Code, error: FaultError) -> StoreError {
    let what = match error {
        FaultError::Busy => "the database is locked",
        FaultError::Full => "the database or disk is full",
        FaultError::Io => "disk I/O error",
        _ => "it does not answer",
    };
    StoreError::new(ErrorKind::Unavailable, code, operation)
        .with_source(std::io::Error::other(what))
}

/// Whether a method can change anything.
fn writes(operation: &str) -> bool {
    !matches!(
        operation,
        "organization"
            | "profiles"
            | "profile"
            | "secret"
            | "mailbox"
            | "mailbox_by_address"
            | "mailboxes_of"
            | "mailboxes"
            | "mailbox_ids"
            | "mailboxes_by_id"
            | "setting_changes"
            | "audit_trail"
            | "due"
            | "next_due"
            | "folder_state"
            | "pending"
            | "ledger_entry"
            | "ledger"
            | "ledger_counts"
            | "quarantined_raw"
            | "known_emails"
            | "candidates"
            | "tokens_taken"
            | "outgoing_cursor"
            | "outbox_due"
            | "outbox_unfinished"
            | "outbox_entry"
            | "outbox"
            | "outgoing_raw"
            | "outbox_unreported"
            | "outbox_counts"
            | "alerts"
            | "job"
            | "jobs"
            | "job_list"
            | "job_counts"
            | "connection_test"
            | "indexed"
    )
}

/// Whether the contract lets what a method writes be behind.
fn may_be_behind(operation: &str) -> bool {
    matches!(
        operation,
        "acquire_lease"
            | "renew_lease"
            | "release_lease"
            | "begin_cycle"
            | "begin_cycles"
            | "finish_cycle"
            | "finish_cycles"
            | "record_page"
            | "begin_relisting"
            | "next_token_numbers"
            | "token_numbers"
            | "enqueue_outgoing"
    )
}

/// The claim of an engine that believes the other one gone.
#[derive(Debug)]
struct BelievedClaim;

impl EngineClaim for BelievedClaim {}

macro_rules! store {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $ret:ty $([$mailbox:expr])?;)*) => {
        #[deny(clippy::missing_trait_methods)]
        #[async_trait]
        impl Store for FaultyStore {
            async fn claim_engine(&self) -> Result<Box<dyn EngineClaim>> {
                if self.seams.is_rival() {
                    // Leases of the other engine go on until their time is up.
                    return Ok(Box::new(BelievedClaim));
                }
                self.guard("claim_engine", None, self.inner.claim_engine()).await
            }

            fn transaction_scope(&self) -> Option<TransactionScope> {
                self.inner.transaction_scope().filter(|_| self.joint)
            }

            async fn acquire_lease(
                &self,
                mailbox: MailboxId,
                workload: Workload,
                holder: HolderId,
                now: Timestamp,
                duration: Duration,
            ) -> Result<Option<Lease>> {
                let effect = async {
                    let lease = self
                        .inner
                        .acquire_lease(mailbox, workload, holder, now, duration)
                        .await?;
                    self.held(lease.iter(), duration);
                    Ok(lease)
                };
                self.guard("acquire_lease", Some(mailbox), effect).await
            }

            async fn renew_lease(
                &self,
                lease: &Lease,
                now: Timestamp,
                duration: Duration,
            ) -> Result<Lease> {
                let effect = async {
                    let renewed = self.inner.renew_lease(lease, now, duration).await?;
                    self.held([&renewed], duration);
                    Ok(renewed)
                };
                self.guard("renew_lease", Some(lease.mailbox), effect).await
            }

            async fn release_lease(&self, lease: &Lease) -> Result<()> {
                let effect = async {
                    self.inner.release_lease(lease).await?;
                    self.returned(lease);
                    Ok(())
                };
                self.guard("release_lease", Some(lease.mailbox), effect).await
            }

            async fn begin_cycle(
                &self,
                mailbox: MailboxId,
                workload: Workload,
                holder: HolderId,
                now: Timestamp,
                duration: Duration,
            ) -> Result<Option<CycleStart>> {
                let effect = async {
                    let start = self
                        .inner
                        .begin_cycle(mailbox, workload, holder, now, duration)
                        .await?;
                    self.held(start.iter().map(|start| &start.lease), duration);
                    Ok(start)
                };
                self.guard("begin_cycle", Some(mailbox), effect).await
            }

            async fn begin_cycles(
                &self,
                wanted: &[(MailboxId, Workload)],
                holder: HolderId,
                now: Timestamp,
                duration: Duration,
            ) -> Result<Vec<Result<Option<CycleStart>>>> {
                let effect = async {
                    let starts = self
                        .inner
                        .begin_cycles(wanted, holder, now, duration)
                        .await?;
                    let begun = starts.iter().flatten().flatten();
                    self.held(begun.map(|start| &start.lease), duration);
                    Ok(starts)
                };
                self.guard("begin_cycles", None, effect).await
            }

            async fn finish_cycles(
                &self,
                ended: &[(Lease, CycleRecord)],
            ) -> Result<Vec<Result<()>>> {
                let effect = async {
                    let finished = self.inner.finish_cycles(ended).await?;
                    for ((lease, _), outcome) in ended.iter().zip(&finished) {
                        if outcome.is_ok() {
                            self.returned(lease);
                        }
                    }
                    Ok(finished)
                };
                self.guard("finish_cycles", None, effect).await
            }

            async fn finish_cycle(&self, lease: &Lease, cycle: &CycleRecord) -> Result<()> {
                let effect = async {
                    self.inner.finish_cycle(lease, cycle).await?;
                    self.returned(lease);
                    Ok(())
                };
                self.guard("finish_cycle", Some(lease.mailbox), effect).await
            }

            $(async fn $name(&self, $($arg: $ty),*) -> Result<$ret> {
                // Most calls concern no one mailbox.
                let mailbox = Option::<MailboxId>::None$(.or(Some($mailbox)))?;
                self.guard(stringify!($name), mailbox, self.inner.$name($($arg),*)).await
            })*
        }
    };
}

store! {
    organization() -> Organization;
    save_organization(organization: &Organization) -> ();
    change_organization(expected: &Organization, next: &Organization, changes: &[SettingChange]) -> ();
    setting_changes(name: Option<&str>, page: Page) -> Vec<SettingChange>;
    profiles() -> Vec<ServerProfile>;
    profile(id: ProfileId) -> Option<ServerProfile>;
    save_profile(profile: &ServerProfile) -> ();
    delete_profile(id: ProfileId) -> ();
    put_secret(owner: SecretOwner, secret: &Secret) -> ();
    secret(owner: SecretOwner) -> Option<Secret>;
    rotate_key(key: &Secret) -> u64;
    delete_secret(owner: SecretOwner) -> ();
    create_mailbox(mailbox: &Mailbox) -> ();
    update_mailbox(mailbox: &Mailbox) -> Mailbox;
    mailbox(id: MailboxId) -> Option<Mailbox> [id];
    mailbox_by_address(address: &EmailAddress) -> Option<Mailbox>;
    mailboxes_of(parties: &[PartyId]) -> Vec<MailboxOfParty>;
    mailboxes(filter: &MailboxFilter, page: Page) -> Vec<Mailbox>;
    mailbox_ids(filter: &MailboxFilter, page: Page) -> Vec<MailboxId>;
    mailboxes_by_id(ids: &[MailboxId]) -> Vec<Mailbox>;
    create_mailboxes(new: &[MailboxChange]) -> Vec<Result<()>>;
    update_mailboxes(changes: &[MailboxChange]) -> Vec<Result<Mailbox>>;
    audit(entry: &AuditEntry) -> ();
    audit_trail(page: Page) -> Vec<AuditEntry>;
    due(now: Timestamp, limit: u32) -> Vec<Due>;
    next_due() -> Option<Timestamp>;
    set_due(mailbox: MailboxId, workload: Workload, at: Timestamp) -> () [mailbox];
    correct_times(latest: &LatestTimes) -> u64;
    record_cycle(lease: &Lease, cycle: &CycleRecord) -> () [lease.mailbox];
    folder_state(mailbox: MailboxId, folder: &FolderId) -> FolderState [mailbox];
    record_page(lease: &Lease, page: &PageRecord, now: Timestamp) -> PageOutcome [lease.mailbox];
    begin_relisting(lease: &Lease, folder: &FolderId) -> () [lease.mailbox];
    pending(mailbox: MailboxId, now: Timestamp, limit: u32) -> Vec<LedgerEntry> [mailbox];
    settle(lease: &Lease, settlements: &[Settlement]) -> () [lease.mailbox];
    record_and_settle(lease: &Lease, writes: Vec<EmailWrite>, settlements: Vec<Settlement>) -> Vec<RecordedEmail> [lease.mailbox];
    note_moved(lease: &Lease, id: LedgerId, folder: &FolderId, remote_id: &RemoteId) -> () [lease.mailbox];
    replay(id: LedgerId, now: Timestamp) -> ();
    replay_filtered(mailbox: MailboxId, reason: FilterReason, since: Timestamp, now: Timestamp) -> u64 [mailbox];
    ledger_entry(id: LedgerId) -> Option<LedgerEntry>;
    ledger(filter: &LedgerFilter, page: Page) -> Vec<LedgerEntry>;
    ledger_counts(mailbox: Option<MailboxId>) -> LedgerCounts;
    quarantined_raw(id: LedgerId) -> Option<RawMessage>;
    known_emails(queries: &[KnownQuery]) -> Vec<Vec<KnownEmail>>;
    candidates(queries: &[CorrelationQuery]) -> Vec<Candidates>;
    index_emails(emails: &[(IndexedEmail, Option<ContentKey>)]) -> ();
    tokens_taken(tokens: &[TrackingToken]) -> Vec<bool>;
    next_token_numbers(sender: PartyId) -> TokenNumbers;
    token_numbers(senders: &[PartyId]) -> Vec<TokenNumbers>;
    outgoing_cursor() -> Option<CrmCursor>;
    enqueue_outgoing(emails: &[NewOutgoing], cursor: Option<&CrmCursor>) -> ();
    outbox_due(mailbox: MailboxId, now: Timestamp, limit: u32) -> Vec<OutboxEntry> [mailbox];
    outbox_unfinished(mailbox: MailboxId, limit: u32) -> Vec<OutboxEntry> [mailbox];
    outbox_entry(id: OutboxId) -> Option<OutboxEntry>;
    outbox(filter: &OutboxFilter, page: Page) -> Vec<OutboxEntry>;
    outgoing_raw(id: OutboxId) -> RawMessage;
    advance_outgoing(lease: Option<&Lease>, id: OutboxId, from: &OutboxState, to: &OutboxState, alias: Option<&MessageId>) -> ();
    advance_and_report(lease: Option<&Lease>, id: OutboxId, from: &OutboxState, to: &OutboxState, alias: Option<&MessageId>, report: &OutgoingReport) -> ();
    outbox_unreported(limit: u32) -> Vec<OutboxEntry>;
    mark_reported(told: &[(OutboxId, OutboxState)]) -> ();
    report_and_mark(told: &[(OutboxId, OutboxState, OutgoingReport)]) -> ();
    outbox_counts(mailbox: Option<MailboxId>) -> LedgerCounts;
    raise_alert(alert: &Alert) -> AlertId;
    close_alerts(pattern: &IncidentPattern, now: Timestamp) -> u64;
    dismiss_alert(id: AlertId, now: Timestamp) -> ();
    alerts(filter: &AlertFilter, page: Page) -> Vec<Alert>;
    queue_jobs(jobs: &[Job], entries: &[AuditEntry]) -> ();
    save_job(job: &Job) -> ();
    job(id: JobId) -> Option<Job>;
    jobs(states: &[JobState], limit: u32) -> Vec<Job>;
    job_list(filter: &JobFilter, page: Page) -> Vec<Job>;
    job_counts(filter: &JobFilter) -> JobCounts;
    save_connection_test(profile: ProfileId, test: &ConnectionTest) -> ();
    connection_test(profile: ProfileId) -> Option<ConnectionTest>;
    indexed(record: RecordId) -> Option<IndexedEmail>;
}
