//! A store, an application and a mail system that stop working at a chosen call, as if the process
//! had died there: before the call had its effect, or right after it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use postroom_core::alert::Alert;
use postroom_core::audit::AuditEntry;
use postroom_core::connection::ConnectionTest;
use postroom_core::email::{ContentKey, KnownEmail, MessageId};
use postroom_core::job::{Job, JobState};
use postroom_core::ledger::{FilterReason, LedgerEntry};
use postroom_core::outbox::{OutboxEntry, OutboxState, StagedSubmission};
use postroom_core::party::Party;
use postroom_core::schedule::LatestTimes;
use postroom_core::settings::SettingChange;
use postroom_core::tracking::{Candidates, CorrelationQuery, IndexedEmail, TrackingToken};
use postroom_core::{
    AlertId, Code, EmailAddress, HolderId, JobId, LedgerId, Mailbox, MailboxId, Organization,
    OutboxId, PartyId, ProfileId, RawMessage, RecordId, Secret, ServerProfile, Timestamp, Workload,
};
use postroom_provider::{
    Capabilities, ChangePage, DeleteMode, FetchedMessage, Folder, FolderId, MailChange,
    MailHeaders, MailSource, MailSubmitter, OpContext, PageLimit, ProbeReport, Provider,
    ProviderError, ProviderFactory, ProviderInfo, ProviderRequest, RemoteId, SentReceipt,
    Submission, SubmissionIdentity, SubmissionTrace, SyncCursor, WellKnownFolder,
};
use postroom_store::{
    AlertFilter, Crm, CrmCursor, CycleRecord, CycleStart, Due, EmailWrite, EngineClaim, ErrorKind,
    FolderState, IncidentPattern, JobCounts, JobFilter, KnownQuery, Lease, LedgerCounts,
    LedgerFilter, MailboxChange, MailboxFilter, MailboxOfParty, NewOutgoing, OutboxFilter,
    OutgoingPage, OutgoingReport, Page, PageOutcome, PageRecord, RecordedEmail, Result,
    SecretOwner, Settlement, Store, StoreError, TokenNumbers,
};

/// When the process dies.
#[derive(Debug)]
pub(crate) struct Fuse {
    left: AtomicI64,
    blown: AtomicBool,
    after_effect: bool,
    crm_down: bool,
    /// Somebody else changes these mailboxes right before they are written, so often.
    meddling: Mutex<(Vec<MailboxId>, u32)>,
}

impl Fuse {
    /// Dies at call number `at` (from 0): before its effect, or after it.
    pub(crate) fn new(at: i64, after_effect: bool) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicI64::new(at),
            blown: AtomicBool::new(false),
            after_effect,
            crm_down: false,
            meddling: Mutex::default(),
        })
    }

    /// Nobody dies; the application does not answer.
    pub(crate) fn crm_down() -> Arc<Self> {
        Arc::new(Self {
            left: AtomicI64::new(-1),
            blown: AtomicBool::new(false),
            after_effect: false,
            crm_down: true,
            meddling: Mutex::default(),
        })
    }

    /// Nobody dies; somebody else changes these mailboxes right before they are written, so often.
    pub(crate) fn meddling(mailboxes: Vec<MailboxId>, times: u32) -> Arc<Self> {
        let fuse = Self::new(-1, false);
        *fuse.meddling.lock().unwrap_or_else(PoisonError::into_inner) = (mailboxes, times);
        fuse
    }

    async fn meddle(&self, store: &dyn Store) {
        let ids = {
            let mut meddling = self.meddling.lock().unwrap_or_else(PoisonError::into_inner);
            let (ids, times) = &mut *meddling;
            match times.checked_sub(1) {
                None => return,
                Some(left) => *times = left,
            }
            ids.clone()
        };
        for mut mailbox in store.mailboxes_by_id(&ids).await.unwrap_or_default() {
            mailbox.name.push('*');
            store.update_mailbox(&mailbox).await.unwrap();
        }
    }

    pub(crate) fn blown(&self) -> bool {
        self.blown.load(Ordering::SeqCst)
    }

    /// Whether the process is dead before this call.
    fn dead_before(&self) -> bool {
        if self.blown() {
            return true;
        }
        if self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.blown.store(true, Ordering::SeqCst);
            return !self.after_effect;
        }
        false
    }

    fn store_error() -> StoreError {
        StoreError::new(ErrorKind::Unavailable, Code::StoreUnavailable, "crash")
    }

    fn provider_error() -> ProviderError {
        ProviderError::cancelled("crash")
    }

    async fn guard<T>(&self, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        if self.dead_before() {
            return Err(Self::store_error());
        }
        let answer = call.await;
        if self.blown() {
            return Err(Self::store_error());
        }
        answer
    }

    async fn guard_crm<T>(&self, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        if self.crm_down {
            return Err(Self::store_error());
        }
        self.guard(call).await
    }

    async fn guard_provider<T>(
        &self,
        call: impl Future<Output = postroom_provider::Result<T>> + Send,
    ) -> postroom_provider::Result<T> {
        if self.dead_before() {
            return Err(Self::provider_error());
        }
        let answer = call.await;
        if self.blown() {
            return Err(Self::provider_error());
        }
        answer
    }
}

#[derive(Debug)]
pub(crate) struct CrashingStore(pub(crate) Arc<dyn Store>, pub(crate) Arc<Fuse>);

macro_rules! store {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $ret:ty;)*) => {
        #[async_trait]
        impl Store for CrashingStore {
            $(async fn $name(&self, $($arg: $ty),*) -> Result<$ret> {
                if stringify!($name) == "update_mailboxes" {
                    self.1.meddle(&*self.0).await;
                }
                self.1.guard(self.0.$name($($arg),*)).await
            })*
        }
    };
}

store! {
    claim_engine() -> Box<dyn EngineClaim>;
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
    create_mailboxes(new: &[MailboxChange]) -> Vec<Result<()>>;
    update_mailbox(mailbox: &Mailbox) -> Mailbox;
    mailbox(id: MailboxId) -> Option<Mailbox>;
    mailbox_by_address(address: &EmailAddress) -> Option<Mailbox>;
    mailboxes_of(parties: &[PartyId]) -> Vec<MailboxOfParty>;
    mailboxes(filter: &MailboxFilter, page: Page) -> Vec<Mailbox>;
    mailbox_ids(filter: &MailboxFilter, page: Page) -> Vec<MailboxId>;
    mailboxes_by_id(ids: &[MailboxId]) -> Vec<Mailbox>;
    update_mailboxes(changes: &[MailboxChange]) -> Vec<Result<Mailbox>>;
    audit(entry: &AuditEntry) -> ();
    audit_trail(page: Page) -> Vec<AuditEntry>;
    due(now: Timestamp, limit: u32) -> Vec<Due>;
    next_due() -> Option<Timestamp>;
    set_due(mailbox: MailboxId, workload: Workload, at: Timestamp) -> ();
    correct_times(latest: &LatestTimes) -> u64;
    acquire_lease(mailbox: MailboxId, workload: Workload, holder: HolderId, now: Timestamp, duration: Duration) -> Option<Lease>;
    renew_lease(lease: &Lease, now: Timestamp, duration: Duration) -> Lease;
    release_lease(lease: &Lease) -> ();
    record_cycle(lease: &Lease, cycle: &CycleRecord) -> ();
    begin_cycle(mailbox: MailboxId, workload: Workload, holder: HolderId, now: Timestamp, duration: Duration) -> Option<CycleStart>;
    begin_cycles(wanted: &[(MailboxId, Workload)], holder: HolderId, now: Timestamp, duration: Duration) -> Vec<Result<Option<CycleStart>>>;
    finish_cycles(ended: &[(Lease, CycleRecord)]) -> Vec<Result<()>>;
    finish_cycle(lease: &Lease, cycle: &CycleRecord) -> ();
    folder_state(mailbox: MailboxId, folder: &FolderId) -> FolderState;
    record_page(lease: &Lease, page: &PageRecord, now: Timestamp) -> PageOutcome;
    begin_relisting(lease: &Lease, folder: &FolderId) -> ();
    pending(mailbox: MailboxId, now: Timestamp, limit: u32) -> Vec<LedgerEntry>;
    settle(lease: &Lease, settlements: &[Settlement]) -> ();
    note_moved(lease: &Lease, id: LedgerId, folder: &FolderId, remote_id: &RemoteId) -> ();
    replay(id: LedgerId, now: Timestamp) -> ();
    replay_filtered(mailbox: MailboxId, reason: FilterReason, since: Timestamp, now: Timestamp) -> u64;
    ledger_entry(id: LedgerId) -> Option<LedgerEntry>;
    ledger(filter: &LedgerFilter, page: Page) -> Vec<LedgerEntry>;
    ledger_counts(mailbox: Option<MailboxId>) -> LedgerCounts;
    quarantined_raw(id: LedgerId) -> Option<RawMessage>;
    known_emails(queries: &[KnownQuery]) -> Vec<Vec<KnownEmail>>;
    candidates(queries: &[CorrelationQuery]) -> Vec<Candidates>;
    index_emails(emails: &[(IndexedEmail, Option<ContentKey>)]) -> ();
    tokens_taken(tokens: &[TrackingToken]) -> Vec<bool>;
    next_token_numbers(sender: PartyId) -> TokenNumbers;
    outgoing_cursor() -> Option<CrmCursor>;
    enqueue_outgoing(emails: &[NewOutgoing], cursor: Option<&CrmCursor>) -> ();
    outbox_due(mailbox: MailboxId, now: Timestamp, limit: u32) -> Vec<OutboxEntry>;
    outbox_unfinished(mailbox: MailboxId, limit: u32) -> Vec<OutboxEntry>;
    outbox_entry(id: OutboxId) -> Option<OutboxEntry>;
    outbox(filter: &OutboxFilter, page: Page) -> Vec<OutboxEntry>;
    outgoing_raw(id: OutboxId) -> RawMessage;
    advance_outgoing(lease: Option<&Lease>, id: OutboxId, from: &OutboxState, to: &OutboxState, alias: Option<&MessageId>) -> ();
    outbox_unreported(limit: u32) -> Vec<OutboxEntry>;
    mark_reported(told: &[(OutboxId, OutboxState)]) -> ();
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

#[derive(Debug)]
pub(crate) struct CrashingCrm(pub(crate) Arc<dyn Crm>, pub(crate) Arc<Fuse>);

#[async_trait]
impl Crm for CrashingCrm {
    async fn parties(&self, addresses: &[EmailAddress]) -> Result<Vec<Vec<Party>>> {
        self.1.guard_crm(self.0.parties(addresses)).await
    }

    async fn record_emails(&self, writes: &[EmailWrite]) -> Result<Vec<Result<RecordedEmail>>> {
        self.1.guard_crm(self.0.record_emails(writes)).await
    }

    async fn outgoing(&self, since: Option<&CrmCursor>, limit: u32) -> Result<OutgoingPage> {
        self.1.guard_crm(self.0.outgoing(since, limit)).await
    }

    async fn report_outgoing(&self, reports: &[OutgoingReport]) -> Result<()> {
        self.1.guard_crm(self.0.report_outgoing(reports)).await
    }
}

#[derive(Debug)]
pub(crate) struct CrashingFactory(pub(crate) Arc<dyn ProviderFactory>, pub(crate) Arc<Fuse>);

#[async_trait]
impl ProviderFactory for CrashingFactory {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn create(&self, request: &ProviderRequest) -> postroom_provider::Result<Arc<dyn Provider>> {
        let provider = self.0.create(request)?;
        Ok(Arc::new(CrashingProvider(provider, Arc::clone(&self.1))))
    }

    async fn probe(&self, ctx: &OpContext, request: &ProviderRequest) -> ProbeReport {
        self.0.probe(ctx, request).await
    }
}

#[derive(Debug)]
struct CrashingProvider(Arc<dyn Provider>, Arc<Fuse>);

impl CrashingProvider {
    fn source(&self) -> &dyn MailSource {
        self.0.mail().expect("the memory provider reads mail")
    }

    fn sender(&self) -> &dyn MailSubmitter {
        self.0.submitter().expect("the memory provider sends mail")
    }
}

impl Provider for CrashingProvider {
    fn info(&self) -> &ProviderInfo {
        self.0.info()
    }

    fn capabilities(&self) -> Arc<Capabilities> {
        self.0.capabilities()
    }

    fn mail(&self) -> Option<&dyn MailSource> {
        Some(self)
    }

    fn submitter(&self) -> Option<&dyn MailSubmitter> {
        Some(self)
    }
}

macro_rules! provider {
    ($trait:ident, $inner:ident: $($name:ident($($arg:ident: $ty:ty),*) -> $ret:ty;)*) => {
        #[async_trait]
        impl $trait for CrashingProvider {
            $(async fn $name(&self, $($arg: $ty),*) -> postroom_provider::Result<$ret> {
                self.1.guard_provider(self.$inner().$name($($arg),*)).await
            })*
        }
    };
}

provider! { MailSource, source:
    list_folders(ctx: &OpContext) -> Vec<Folder>;
    find_folder(ctx: &OpContext, role: WellKnownFolder) -> FolderId;
    ensure_folder(ctx: &OpContext, parent: Option<&FolderId>, name: &str) -> FolderId;
    changes(ctx: &OpContext, folder: &FolderId, since: Option<&SyncCursor>, limit: PageLimit)
        -> ChangePage<MailChange>;
    headers(ctx: &OpContext, folder: &FolderId, ids: &[RemoteId])
        -> Vec<postroom_provider::Result<MailHeaders>>;
    fetch(ctx: &OpContext, folder: &FolderId, ids: &[RemoteId])
        -> Vec<postroom_provider::Result<FetchedMessage>>;
    move_to(ctx: &OpContext, folder: &FolderId, ids: &[RemoteId], target: &FolderId)
        -> Vec<postroom_provider::Result<Option<RemoteId>>>;
    delete(ctx: &OpContext, folder: &FolderId, ids: &[RemoteId], mode: DeleteMode)
        -> Vec<postroom_provider::Result<()>>;
}

provider! { MailSubmitter, sender:
    stage(ctx: &OpContext, submission: &Submission) -> StagedSubmission;
    send(ctx: &OpContext, submission: &Submission, staged: Option<&StagedSubmission>) -> SentReceipt;
    find(ctx: &OpContext, identity: &SubmissionIdentity) -> SubmissionTrace;
    discard(ctx: &OpContext, staged: &StagedSubmission) -> ();
}
