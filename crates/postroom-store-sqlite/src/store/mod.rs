//! The engine's truth: one method, one transaction. The modules hold the statements.

mod alerts;
mod claim;
mod clock;
mod config;
mod incoming;
mod jobs;
mod ledger;
mod mailboxes;
mod outgoing;
mod schedule;
pub(crate) mod secrets;
mod work;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use postroom_core::alert::Alert;
use postroom_core::audit::AuditEntry;
use postroom_core::connection::ConnectionTest;
use postroom_core::email::{ContentKey, MessageId};
use postroom_core::job::{Job, JobState};
use postroom_core::ledger::{FilterReason, FolderId, LedgerEntry, RemoteId};
use postroom_core::outbox::{OutboxEntry, OutboxState};
use postroom_core::schedule::LatestTimes;
use postroom_core::settings::SettingChange;
use postroom_core::tracking::{Candidates, CorrelationQuery, IndexedEmail, TrackingToken};
use postroom_core::{
    AlertId, EmailAddress, HolderId, JobId, LedgerId, Mailbox, MailboxId, Organization, OutboxId,
    PartyId, ProfileId, RawMessage, RecordId, Secret, ServerProfile, Timestamp, Workload,
};
use postroom_store::{
    AlertFilter, CrmCursor, CycleRecord, CycleStart, Due, EmailWrite, EngineClaim, FolderState,
    IncidentPattern, JobCounts, JobFilter, KnownQuery, Lease, LedgerCounts, LedgerFilter,
    MailboxChange, MailboxFilter, MailboxOfParty, NewOutgoing, OutboxFilter, OutgoingReport, Page,
    PageOutcome, PageRecord, RecordedEmail, Result, SecretOwner, Settlement, Store, TokenNumbers,
    TransactionScope,
};

use self::work::{is_routine, told};
use crate::crm;
use crate::database::Handle;
use crate::index::{self, KnownEmail};

/// The engine's truth in a SQLite file. Made by [`SqliteStorage`](crate::SqliteStorage).
#[derive(Clone, Debug)]
pub struct SqliteStore {
    handle: Handle,
}

impl SqliteStore {
    pub(crate) const fn new(handle: Handle) -> Self {
        Self { handle }
    }

    pub(crate) fn path(&self) -> &Path {
        self.handle.database.path()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn claim_engine(&self) -> Result<Box<dyn EngineClaim>> {
        self.claim().await
    }

    fn transaction_scope(&self) -> Option<TransactionScope> {
        Some(self.handle.scope.clone())
    }

    async fn organization(&self) -> Result<Organization> {
        self.query("organization.read", config::organization).await
    }

    async fn save_organization(&self, organization: &Organization) -> Result<()> {
        let organization = organization.clone();
        self.write("organization.save", move |db| {
            config::save_organization(db, &organization)
        })
        .await
    }

    async fn change_organization(
        &self,
        expected: &Organization,
        next: &Organization,
        changes: &[SettingChange],
    ) -> Result<()> {
        let (expected, next) = (expected.clone(), next.clone());
        let changes = changes.to_vec();
        self.write("organization.change", move |db| {
            config::change_organization(db, &expected, &next, &changes)
        })
        .await
    }

    async fn setting_changes(&self, name: Option<&str>, page: Page) -> Result<Vec<SettingChange>> {
        let name = name.map(str::to_owned);
        self.read("setting.history", move |db| {
            config::setting_changes(db, name.as_deref(), page)
        })
        .await
    }

    async fn profiles(&self) -> Result<Vec<ServerProfile>> {
        self.query("profile.list", config::profiles).await
    }

    async fn profile(&self, id: ProfileId) -> Result<Option<ServerProfile>> {
        self.query("profile.read", move |db| config::profile(db, id))
            .await
    }

    async fn save_profile(&self, profile: &ServerProfile) -> Result<()> {
        let profile = profile.clone();
        self.write("profile.save", move |db| config::save_profile(db, &profile))
            .await
    }

    async fn delete_profile(&self, id: ProfileId) -> Result<()> {
        self.write("profile.delete", move |db| config::delete_profile(db, id))
            .await
    }

    async fn put_secret(&self, owner: SecretOwner, secret: &Secret) -> Result<()> {
        let secret = secret.clone();
        self.write("secret.put", move |db| secrets::put(db, owner, &secret))
            .await
    }

    async fn secret(&self, owner: SecretOwner) -> Result<Option<Secret>> {
        self.query("secret.read", move |db| secrets::get(db, owner))
            .await
    }

    async fn rotate_key(&self, key: &Secret) -> Result<u64> {
        self.rotate(key).await
    }

    async fn delete_secret(&self, owner: SecretOwner) -> Result<()> {
        self.write("secret.delete", move |db| secrets::delete(db, owner))
            .await
    }

    async fn create_mailbox(&self, mailbox: &Mailbox) -> Result<()> {
        let mailbox = mailbox.clone();
        self.write("mailbox.create", move |db| mailboxes::create(db, &mailbox))
            .await
    }

    async fn create_mailboxes(&self, new: &[MailboxChange]) -> Result<Vec<Result<()>>> {
        const OPERATION: &str = "mailbox.create_several";
        let new = new.to_vec();
        self.write(OPERATION, move |db| mailboxes::create_all(db, &new))
            .await
            .map(|made| told(OPERATION, made))
    }

    async fn update_mailbox(&self, mailbox: &Mailbox) -> Result<Mailbox> {
        let mailbox = mailbox.clone();
        self.write("mailbox.update", move |db| mailboxes::update(db, &mailbox))
            .await
    }

    async fn mailbox(&self, id: MailboxId) -> Result<Option<Mailbox>> {
        self.read("mailbox.read", move |db| mailboxes::get(db, id))
            .await
    }

    async fn mailbox_by_address(&self, address: &EmailAddress) -> Result<Option<Mailbox>> {
        let address = address.clone();
        self.read("mailbox.by_address", move |db| {
            mailboxes::by_address(db, &address)
        })
        .await
    }

    async fn mailboxes_of(&self, parties: &[PartyId]) -> Result<Vec<MailboxOfParty>> {
        let parties = parties.to_vec();
        self.query("mailbox.of_parties", move |db| {
            mailboxes::of_parties(db, &parties)
        })
        .await
    }

    async fn mailboxes(&self, filter: &MailboxFilter, page: Page) -> Result<Vec<Mailbox>> {
        let filter = filter.clone();
        self.read("mailbox.list", move |db| mailboxes::list(db, &filter, page))
            .await
    }

    async fn mailbox_ids(&self, filter: &MailboxFilter, page: Page) -> Result<Vec<MailboxId>> {
        let filter = filter.clone();
        self.read("mailbox.ids", move |db| {
            mailboxes::list_ids(db, &filter, page)
        })
        .await
    }

    async fn mailboxes_by_id(&self, ids: &[MailboxId]) -> Result<Vec<Mailbox>> {
        let ids = ids.to_vec();
        self.read("mailbox.read_several", move |db| {
            mailboxes::get_all(db, &ids)
        })
        .await
    }

    async fn update_mailboxes(&self, changes: &[MailboxChange]) -> Result<Vec<Result<Mailbox>>> {
        const OPERATION: &str = "mailbox.update_several";
        let changes = changes.to_vec();
        self.write(OPERATION, move |db| mailboxes::update_all(db, &changes))
            .await
            .map(|changed| told(OPERATION, changed))
    }

    async fn audit(&self, entry: &AuditEntry) -> Result<()> {
        let entry = entry.clone();
        self.write("audit.add", move |db| config::audit(db, &entry))
            .await
    }

    async fn audit_trail(&self, page: Page) -> Result<Vec<AuditEntry>> {
        self.read("audit.list", move |db| config::audit_trail(db, page))
            .await
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<Due>> {
        self.query("schedule.due", move |db| schedule::due(db, now, limit))
            .await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.query("schedule.next_due", move |db| schedule::next_due(db))
            .await
    }

    async fn set_due(&self, mailbox: MailboxId, workload: Workload, at: Timestamp) -> Result<()> {
        self.write("schedule.set_due", move |db| {
            schedule::set_due(db, mailbox, workload, at)
        })
        .await
    }

    async fn correct_times(&self, latest: &LatestTimes) -> Result<u64> {
        let latest = *latest;
        self.write("schedule.correct_times", move |db| {
            clock::correct(db, &latest)
        })
        .await
    }

    async fn acquire_lease(
        &self,
        mailbox: MailboxId,
        workload: Workload,
        holder: HolderId,
        now: Timestamp,
        duration: Duration,
    ) -> Result<Option<Lease>> {
        self.write_behind("lease.acquire", move |db| {
            schedule::acquire(db, mailbox, workload, holder, now, duration)
        })
        .await
    }

    async fn renew_lease(
        &self,
        lease: &Lease,
        now: Timestamp,
        duration: Duration,
    ) -> Result<Lease> {
        let lease = lease.clone();
        self.write_behind("lease.renew", move |db| {
            schedule::renew(db, &lease, now, duration)
        })
        .await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<()> {
        let lease = lease.clone();
        self.write_behind("lease.release", move |db| schedule::release(db, &lease))
            .await
    }

    async fn record_cycle(&self, lease: &Lease, cycle: &CycleRecord) -> Result<()> {
        let (lease, cycle) = (lease.clone(), cycle.clone());
        self.write("schedule.record_cycle", move |db| {
            schedule::record_cycle(db, &lease, &cycle)
        })
        .await
    }

    async fn begin_cycle(
        &self,
        mailbox: MailboxId,
        workload: Workload,
        holder: HolderId,
        now: Timestamp,
        duration: Duration,
    ) -> Result<Option<CycleStart>> {
        self.write_behind("cycle.begin", move |db| {
            schedule::begin(db, mailbox, workload, (holder, now, duration))
        })
        .await
    }

    async fn begin_cycles(
        &self,
        wanted: &[(MailboxId, Workload)],
        holder: HolderId,
        now: Timestamp,
        duration: Duration,
    ) -> Result<Vec<Result<Option<CycleStart>>>> {
        const OPERATION: &str = "cycle.begin";
        let wanted = wanted.to_vec();
        self.write_behind(OPERATION, move |db| {
            schedule::begin_all(db, &wanted, (holder, now, duration))
        })
        .await
        .map(|begun| told(OPERATION, begun))
    }

    async fn finish_cycles(&self, ended: &[(Lease, CycleRecord)]) -> Result<Vec<Result<()>>> {
        const OPERATION: &str = "cycle.finish";
        let ended = ended.to_vec();
        let behind = ended.iter().all(|(_, cycle)| is_routine(cycle));
        self.write_or_behind(OPERATION, behind, move |db| {
            schedule::finish_all(db, &ended)
        })
        .await
        .map(|finished| told(OPERATION, finished))
    }

    async fn finish_cycle(&self, lease: &Lease, cycle: &CycleRecord) -> Result<()> {
        let (lease, cycle) = (lease.clone(), cycle.clone());
        let behind = is_routine(&cycle);
        self.write_or_behind("cycle.finish", behind, move |db| {
            schedule::finish_cycle(db, &lease, &cycle)
        })
        .await
    }

    async fn folder_state(&self, mailbox: MailboxId, folder: &FolderId) -> Result<FolderState> {
        let folder = folder.clone();
        self.query("folder.state", move |db| {
            incoming::folder_state(db, mailbox, &folder)
        })
        .await
    }

    async fn record_page(
        &self,
        lease: &Lease,
        page: &PageRecord,
        now: Timestamp,
    ) -> Result<PageOutcome> {
        let (lease, page) = (lease.clone(), page.clone());
        self.write_behind("ledger.record_page", move |db| {
            incoming::record_page(db, &lease, &page, now)
        })
        .await
    }

    async fn begin_relisting(&self, lease: &Lease, folder: &FolderId) -> Result<()> {
        let (lease, folder) = (lease.clone(), folder.clone());
        self.write_behind("folder.begin_relisting", move |db| {
            incoming::begin_relisting(db, &lease, &folder)
        })
        .await
    }

    async fn pending(
        &self,
        mailbox: MailboxId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<LedgerEntry>> {
        self.query("ledger.pending", move |db| {
            incoming::pending(db, mailbox, now, limit)
        })
        .await
    }

    async fn note_moved(
        &self,
        lease: &Lease,
        id: LedgerId,
        folder: &FolderId,
        remote_id: &RemoteId,
    ) -> Result<()> {
        let (lease, folder, remote_id) = (lease.clone(), folder.clone(), remote_id.clone());
        self.write("ledger.note_moved", move |db| {
            incoming::note_moved(db, &lease, id, &folder, &remote_id)
        })
        .await
    }

    async fn settle(&self, lease: &Lease, settlements: &[Settlement]) -> Result<()> {
        let (lease, settlements) = (lease.clone(), settlements.to_vec());
        self.write("ledger.settle", move |db| {
            incoming::settle(db, &lease, &settlements)
        })
        .await
    }

    async fn record_and_settle(
        &self,
        lease: &Lease,
        writes: Vec<EmailWrite>,
        mut settlements: Vec<Settlement>,
    ) -> Result<Vec<RecordedEmail>> {
        let lease = lease.clone();
        self.write("ledger.record_and_settle", move |db| {
            incoming::record_and_settle(db, &lease, &writes, &mut settlements)
        })
        .await
    }

    async fn replay(&self, id: LedgerId, now: Timestamp) -> Result<()> {
        self.write("ledger.replay", move |db| incoming::replay(db, id, now))
            .await
    }

    async fn replay_filtered(
        &self,
        mailbox: MailboxId,
        reason: FilterReason,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<u64> {
        self.write("ledger.replay_filtered", move |db| {
            incoming::replay_filtered(db, mailbox, reason, since, now)
        })
        .await
    }

    async fn ledger_entry(&self, id: LedgerId) -> Result<Option<LedgerEntry>> {
        self.read("ledger.read", move |db| ledger::ledger_entry(db, id))
            .await
    }

    async fn ledger(&self, filter: &LedgerFilter, page: Page) -> Result<Vec<LedgerEntry>> {
        let filter = filter.clone();
        self.read("ledger.list", move |db| ledger::ledger(db, &filter, page))
            .await
    }

    async fn ledger_counts(&self, mailbox: Option<MailboxId>) -> Result<LedgerCounts> {
        self.read("ledger.counts", move |db| ledger::counts(db, mailbox))
            .await
    }

    async fn quarantined_raw(&self, id: LedgerId) -> Result<Option<RawMessage>> {
        self.query("ledger.raw", move |db| ledger::quarantined_raw(db, id))
            .await
    }

    async fn known_emails(&self, queries: &[KnownQuery]) -> Result<Vec<Vec<KnownEmail>>> {
        let queries = queries.to_vec();
        self.read_mapped("index.known", move |db| index::known(db, &queries))
            .await
    }

    async fn candidates(&self, queries: &[CorrelationQuery]) -> Result<Vec<Candidates>> {
        let queries = queries.to_vec();
        self.read_mapped("index.candidates", move |db| {
            index::candidates(db, &queries)
        })
        .await
    }

    async fn index_emails(&self, emails: &[(IndexedEmail, Option<ContentKey>)]) -> Result<()> {
        let emails = emails.to_vec();
        self.write("index.put", move |db| index::put_all(db, &emails))
            .await
    }

    async fn tokens_taken(&self, tokens: &[TrackingToken]) -> Result<Vec<bool>> {
        let tokens = tokens.to_vec();
        self.query("index.tokens_taken", move |db| {
            index::tokens_taken(db, &tokens)
        })
        .await
    }

    async fn next_token_numbers(&self, sender: PartyId) -> Result<TokenNumbers> {
        self.write_behind("token.next", move |db| {
            outgoing::next_token_numbers(db, sender)
        })
        .await
    }

    async fn token_numbers(&self, senders: &[PartyId]) -> Result<Vec<TokenNumbers>> {
        let senders = senders.to_vec();
        self.write_behind("token.next", move |db| {
            outgoing::token_numbers(db, &senders)
        })
        .await
    }

    async fn outgoing_cursor(&self) -> Result<Option<CrmCursor>> {
        self.query("outbox.cursor", move |db| outgoing::cursor(db))
            .await
    }

    async fn enqueue_outgoing(
        &self,
        emails: &[NewOutgoing],
        cursor: Option<&CrmCursor>,
    ) -> Result<()> {
        let (emails, cursor) = (emails.to_vec(), cursor.cloned());
        self.write_behind("outbox.enqueue", move |db| {
            outgoing::enqueue(db, &emails, cursor.as_ref())
        })
        .await
    }

    async fn outbox_due(
        &self,
        mailbox: MailboxId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>> {
        self.query("outbox.due", move |db| {
            outgoing::due(db, mailbox, now, limit)
        })
        .await
    }

    async fn outbox_unfinished(&self, mailbox: MailboxId, limit: u32) -> Result<Vec<OutboxEntry>> {
        self.query("outbox.unfinished", move |db| {
            outgoing::unfinished(db, mailbox, limit)
        })
        .await
    }

    async fn outbox_entry(&self, id: OutboxId) -> Result<Option<OutboxEntry>> {
        self.query("outbox.read", move |db| outgoing::get(db, id))
            .await
    }

    async fn outbox(&self, filter: &OutboxFilter, page: Page) -> Result<Vec<OutboxEntry>> {
        let filter = filter.clone();
        self.read("outbox.list", move |db| outgoing::list(db, &filter, page))
            .await
    }

    async fn outgoing_raw(&self, id: OutboxId) -> Result<RawMessage> {
        self.query("outbox.raw", move |db| outgoing::raw(db, id))
            .await
    }

    async fn advance_outgoing(
        &self,
        lease: Option<&Lease>,
        id: OutboxId,
        from: &OutboxState,
        to: &OutboxState,
        alias: Option<&MessageId>,
    ) -> Result<()> {
        let (lease, alias) = (lease.cloned(), alias.cloned());
        let (from, to) = (from.clone(), to.clone());
        self.write("outbox.advance", move |db| {
            outgoing::advance(db, lease.as_ref(), id, &from, &to, alias.as_ref(), false)
        })
        .await
    }

    async fn advance_and_report(
        &self,
        lease: Option<&Lease>,
        id: OutboxId,
        from: &OutboxState,
        to: &OutboxState,
        alias: Option<&MessageId>,
        report: &OutgoingReport,
    ) -> Result<()> {
        let (lease, alias, report) = (lease.cloned(), alias.cloned(), report.clone());
        let (from, to) = (from.clone(), to.clone());
        self.write("outbox.advance_and_report", move |db| {
            outgoing::advance(db, lease.as_ref(), id, &from, &to, alias.as_ref(), true)?;
            crm::outgoing::report(db, std::slice::from_ref(&report))
        })
        .await
    }

    async fn outbox_unreported(&self, limit: u32) -> Result<Vec<OutboxEntry>> {
        self.query("outbox.unreported", move |db| {
            outgoing::unreported(db, limit)
        })
        .await
    }

    async fn mark_reported(&self, told: &[(OutboxId, OutboxState)]) -> Result<()> {
        let told = told.to_vec();
        self.write("outbox.mark_reported", move |db| {
            outgoing::mark_reported(db, &told)
        })
        .await
    }

    async fn report_and_mark(
        &self,
        told: &[(OutboxId, OutboxState, OutgoingReport)],
    ) -> Result<()> {
        let told = told.to_vec();
        self.write("outbox.report_and_mark", move |db| {
            outgoing::report_and_mark(db, &told)
        })
        .await
    }

    async fn outbox_counts(&self, mailbox: Option<MailboxId>) -> Result<LedgerCounts> {
        self.read("outbox.counts", move |db| outgoing::counts(db, mailbox))
            .await
    }

    async fn raise_alert(&self, alert: &Alert) -> Result<AlertId> {
        let alert = alert.clone();
        self.write("alert.raise", move |db| alerts::raise(db, &alert))
            .await
    }

    async fn close_alerts(&self, pattern: &IncidentPattern, now: Timestamp) -> Result<u64> {
        let pattern = pattern.clone();
        self.write("alert.close", move |db| alerts::close(db, &pattern, now))
            .await
    }

    async fn dismiss_alert(&self, id: AlertId, now: Timestamp) -> Result<()> {
        self.write("alert.dismiss", move |db| alerts::dismiss(db, id, now))
            .await
    }

    async fn alerts(&self, filter: &AlertFilter, page: Page) -> Result<Vec<Alert>> {
        let filter = filter.clone();
        self.read("alert.list", move |db| alerts::list(db, &filter, page))
            .await
    }

    async fn queue_jobs(&self, jobs: &[Job], entries: &[AuditEntry]) -> Result<()> {
        let (jobs, entries) = (jobs.to_vec(), entries.to_vec());
        self.write("job.queue", move |db| jobs::queue(db, &jobs, &entries))
            .await
    }

    async fn save_job(&self, job: &Job) -> Result<()> {
        let job = job.clone();
        let behind = job.state != JobState::Done;
        self.write_or_behind("job.save", behind, move |db| jobs::save(db, &job))
            .await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>> {
        self.query("job.read", move |db| jobs::one_job(db, id))
            .await
    }

    async fn jobs(&self, states: &[JobState], limit: u32) -> Result<Vec<Job>> {
        let states = states.to_vec();
        self.read("job.list", move |db| jobs::oldest(db, &states, limit))
            .await
    }

    async fn job_list(&self, filter: &JobFilter, page: Page) -> Result<Vec<Job>> {
        let filter = filter.clone();
        self.read("job.list", move |db| jobs::list(db, &filter, page))
            .await
    }

    async fn job_counts(&self, filter: &JobFilter) -> Result<JobCounts> {
        let filter = filter.clone();
        self.read("job.counts", move |db| jobs::counts(db, &filter))
            .await
    }

    async fn save_connection_test(&self, profile: ProfileId, test: &ConnectionTest) -> Result<()> {
        let test = test.clone();
        self.write("profile.save_test", move |db| {
            config::save_connection_test(db, profile, &test)
        })
        .await
    }

    async fn connection_test(&self, profile: ProfileId) -> Result<Option<ConnectionTest>> {
        self.read("profile.read_test", move |db| {
            config::connection_test(db, profile)
        })
        .await
    }

    async fn indexed(&self, record: RecordId) -> Result<Option<IndexedEmail>> {
        self.read("index.read", move |db| index::get(db, record))
            .await
    }
}
