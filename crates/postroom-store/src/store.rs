//! The engine's truth.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use postroom_core::alert::Alert;
use postroom_core::audit::AuditEntry;
use postroom_core::connection::ConnectionTest;
use postroom_core::email::{ContentKey, KnownEmail, MessageId};
use postroom_core::job::{Job, JobState};
use postroom_core::ledger::{FilterReason, FolderId, LedgerEntry, RemoteId};
use postroom_core::outbox::{OutboxEntry, OutboxState};
use postroom_core::schedule::LatestTimes;
use postroom_core::settings::SettingChange;
use postroom_core::tracking::{Candidates, CorrelationQuery, IndexedEmail, TrackingToken};
use postroom_core::{
    AlertId, Code, EmailAddress, HolderId, JobId, LedgerId, Mailbox, MailboxId, Organization,
    OutboxId, PartyId, ProfileId, RawMessage, RecordId, Secret, ServerProfile, Timestamp, Workload,
};

use crate::crm::{CrmCursor, EmailWrite, OutgoingReport, RecordedEmail};
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::TransactionScope;
use crate::types::{
    AlertFilter, CycleRecord, CycleStart, Due, FolderState, IncidentPattern, JobCounts, JobFilter,
    KnownQuery, Lease, LedgerCounts, LedgerFilter, MailboxChange, MailboxFilter, MailboxOfParty,
    NewOutgoing, OutboxFilter, Page, PageOutcome, PageRecord, SecretOwner, Settlement,
    TokenNumbers,
};

/// The right to run an engine on a store; given back when dropped.
pub trait EngineClaim: fmt::Debug + Send + Sync {}

/// The engine's truth: configuration, ledger, outbox, cursors, leases, alerts, correlation index.
///
/// # Contract
/// - Each method is one unit of work: as a whole and durable before it answers, or not at all. A
///   dropped future leaves one of the two.
/// - A few methods say that they may be behind. What such a one wrote is there for everybody at once and
///   outlives the process; a power failure may take it, together with all that was written after it, as
///   long as no write that is not behind has come later. Nothing that is done outside of the store may
///   rely on them alone.
/// - A write that takes a [`Lease`] is refused with `LeaseLost` when the lease is not the current
///   one, whatever its time says: the fence decides.
/// - Listings are bounded by their [`Page`] and in a fixed order.
///
/// # Errors
/// Every method may answer `Unavailable`, `Corrupt` and `Internal`; others are named where they
/// can occur.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    // ---- engine -------------------------------------------------------------------------------

    /// Claims the store for one engine. Leases that an earlier engine left behind end with the
    /// claim: its successor need not wait for their time to be up.
    ///
    /// # Errors
    /// `Locked` where another engine runs on it.
    async fn claim_engine(&self) -> Result<Box<dyn EngineClaim>>;

    /// What one transaction of this store can write, where records of an application are among it:
    /// those of the [`Crm`](crate::Crm) that names the same scope.
    fn transaction_scope(&self) -> Option<TransactionScope> {
        None
    }

    // ---- configuration ------------------------------------------------------------------------

    /// The organization.
    async fn organization(&self) -> Result<Organization>;

    /// Changes the organization's name, deployment and settings; the id stays.
    async fn save_organization(&self, organization: &Organization) -> Result<()>;

    /// Changes the organization as [`Self::save_organization`] does, and adds to the history of
    /// settings, together; only where the stored one still is `expected`.
    ///
    /// # Errors
    /// `Conflict` where somebody else has changed it meanwhile.
    async fn change_organization(
        &self,
        expected: &Organization,
        next: &Organization,
        changes: &[SettingChange],
    ) -> Result<()>;

    /// The history of settings (of one, where `name` says so), newest first.
    async fn setting_changes(&self, name: Option<&str>, page: Page) -> Result<Vec<SettingChange>>;

    /// All profiles, by name.
    async fn profiles(&self) -> Result<Vec<ServerProfile>>;

    /// One profile.
    async fn profile(&self, id: ProfileId) -> Result<Option<ServerProfile>>;

    /// Adds or changes a profile.
    ///
    /// # Errors
    /// `AlreadyExists` where another one has the name (compared without case).
    async fn save_profile(&self, profile: &ServerProfile) -> Result<()>;

    /// Removes a profile and its secrets.
    ///
    /// # Errors
    /// `Conflict` where a mailbox uses it; `NotFound`.
    async fn delete_profile(&self, id: ProfileId) -> Result<()>;

    /// Seals and stores a secret in place of an earlier one.
    ///
    /// # Errors
    /// `Key` where there is none to seal with; `NotFound` where the owner does not exist.
    async fn put_secret(&self, owner: SecretOwner, secret: &Secret) -> Result<()>;

    /// Unseals a secret; `None` where there is none.
    ///
    /// # Errors
    /// `Key` where it was sealed with another key, or for another owner.
    async fn secret(&self, owner: SecretOwner) -> Result<Option<Secret>>;

    /// Seals every secret anew with another key, given as the text of a key file, all or none; from
    /// then on that is the store's key and the one before is wrong. Answers how many secrets there
    /// are. Other processes that have the store open must find the new key where they found the old
    /// one.
    ///
    /// # Errors
    /// `Key` where the text is no key, or the key in use does not open what is stored.
    async fn rotate_key(&self, key: &Secret) -> Result<u64>;

    /// Forgets a secret.
    async fn delete_secret(&self, owner: SecretOwner) -> Result<()>;

    /// Adds a mailbox.
    ///
    /// # Errors
    /// `AlreadyExists` where another one has the address or belongs to the same party.
    async fn create_mailbox(&self, mailbox: &Mailbox) -> Result<()>;

    /// Adds several mailboxes, each as [`Self::create_mailbox`] does and with its entry in the audit
    /// trail; one that is refused does not keep the others from being added. A store may do all in one
    /// unit of work.
    ///
    /// # Errors
    /// For each: as [`Self::create_mailbox`]. As a whole: what concerns all of them, and then nothing
    /// was added, or only the first ones.
    async fn create_mailboxes(&self, new: &[MailboxChange]) -> Result<Vec<Result<()>>> {
        let mut outcomes = Vec::with_capacity(new.len());
        for one in new {
            let outcome = self.create_mailbox(&one.mailbox).await;
            if let (Ok(()), Some(entry)) = (&outcome, &one.audit) {
                self.audit(entry).await?;
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// Changes what administrators set (everything but the runtime state of workloads: health,
    /// due times, idle cycles, when cycles ran) and counts the revision up; answers the mailbox as
    /// stored. A workload that is put back into processing starts healthy and without idle cycles.
    ///
    /// # Errors
    /// `Conflict` where the revision is not the stored one; `AlreadyExists`; `NotFound`.
    async fn update_mailbox(&self, mailbox: &Mailbox) -> Result<Mailbox>;

    /// One mailbox.
    async fn mailbox(&self, id: MailboxId) -> Result<Option<Mailbox>>;

    /// The mailbox of that address.
    async fn mailbox_by_address(&self, address: &EmailAddress) -> Result<Option<Mailbox>>;

    /// The mailboxes of those users and queues, as far as they have one; in no order.
    async fn mailboxes_of(&self, parties: &[PartyId]) -> Result<Vec<MailboxOfParty>>;

    /// Mailboxes by name.
    async fn mailboxes(&self, filter: &MailboxFilter, page: Page) -> Result<Vec<Mailbox>>;

    /// The ids of mailboxes, in the order in which [`Self::mailboxes`] lists them.
    async fn mailbox_ids(&self, filter: &MailboxFilter, page: Page) -> Result<Vec<MailboxId>> {
        let mailboxes = self.mailboxes(filter, page).await?;
        Ok(mailboxes.into_iter().map(|mailbox| mailbox.id).collect())
    }

    /// Those mailboxes, in the order asked for; one that does not exist is left out.
    async fn mailboxes_by_id(&self, ids: &[MailboxId]) -> Result<Vec<Mailbox>> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(self.mailbox(*id).await?);
        }
        Ok(found)
    }

    /// Changes several mailboxes, each as [`Self::update_mailbox`] does and with what goes with the
    /// change, such as its entry in the audit trail; one that is refused does not keep the others from being changed. A store may do
    /// all in one unit of work.
    ///
    /// # Errors
    /// For each: as [`Self::update_mailbox`]. As a whole: what concerns all of them, and then nothing
    /// was changed, or only the first ones.
    async fn update_mailboxes(&self, changes: &[MailboxChange]) -> Result<Vec<Result<Mailbox>>> {
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            let outcome = self.update_mailbox(&change.mailbox).await;
            if let Ok(mailbox) = &outcome {
                if let Some(entry) = &change.audit {
                    self.audit(entry).await?;
                }
                let mut due = change.due;
                if let Some(again) = change.look_again {
                    let found = self
                        .replay_filtered(mailbox.id, again.reason, again.since, again.now)
                        .await?;
                    if found > 0 && mailbox.incoming.enabled {
                        due = due.or(Some(again.now));
                    }
                }
                for workload in Workload::ALL {
                    let wanted = change.due.is_some() || workload == Workload::Incoming;
                    if let Some(at) = due.filter(|_| wanted && mailbox.workload(workload).enabled) {
                        self.set_due(mailbox.id, workload, at).await?;
                    }
                }
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// Adds to the audit trail.
    async fn audit(&self, entry: &AuditEntry) -> Result<()>;

    /// The audit trail, newest first.
    async fn audit_trail(&self, page: Page) -> Result<Vec<AuditEntry>>;

    // ---- scheduling ---------------------------------------------------------------------------

    /// Workloads of active mailboxes that are enabled and due, longest overdue first. Leased ones
    /// are left out while their lease lasts.
    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<Due>>;

    /// The earliest due time of all, past or future; `None` where nothing is scheduled.
    async fn next_due(&self) -> Result<Option<Timestamp>>;

    /// Makes a workload due at that time ("sync now" where it is now).
    ///
    /// # Errors
    /// `NotFound`.
    async fn set_due(&self, mailbox: MailboxId, workload: Workload, at: Timestamp) -> Result<()>;

    /// Brings back what was written while the clock ran ahead, and answers how many rows that were:
    /// due times as [`LatestTimes::due`] says, when cycles ran to now, the end of leases to the
    /// latest one there can be (holders and fences stay), and messages and outgoing email that wait
    /// for longer than anything can have meant to now.
    async fn correct_times(&self, latest: &LatestTimes) -> Result<u64>;

    /// Takes the lease of a workload where nobody holds it or the holder's time is up; `None`
    /// where somebody does.
    ///
    /// May be behind.
    ///
    /// # Errors
    /// `NotFound`.
    async fn acquire_lease(
        &self,
        mailbox: MailboxId,
        workload: Workload,
        holder: HolderId,
        now: Timestamp,
        duration: Duration,
    ) -> Result<Option<Lease>>;

    /// Holds on to a lease.
    ///
    /// May be behind.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn renew_lease(&self, lease: &Lease, now: Timestamp, duration: Duration)
    -> Result<Lease>;

    /// Gives a lease back; one that was lost is left alone.
    /// May be behind.
    async fn release_lease(&self, lease: &Lease) -> Result<()>;

    /// Stores what a cycle leaves in its workload's state. Taking it out of processing counts the
    /// mailbox's revision up, so that nobody puts it back without having seen that. A due time that
    /// was set after a successful cycle had started, and that comes earlier, stays. After a successful
    /// cycle of outgoing email the workload is due no later than the first entry of its outbox that
    /// waits: it may have been taken over after the cycle had looked.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn record_cycle(&self, lease: &Lease, cycle: &CycleRecord) -> Result<()>;

    /// Takes the lease as [`Self::acquire_lease`] does, and reads under it what a cycle needs; `None`
    /// where somebody else holds it.
    ///
    /// Cycles that find nothing are the most common thing that happens: a store may do this as one
    /// unit of work. Otherwise it is made of the other methods, says nothing of folders, and takes
    /// rows to be pending.
    ///
    /// May be behind.
    ///
    /// # Errors
    /// `NotFound`.
    async fn begin_cycle(
        &self,
        mailbox: MailboxId,
        workload: Workload,
        holder: HolderId,
        now: Timestamp,
        duration: Duration,
    ) -> Result<Option<CycleStart>> {
        let lease = self
            .acquire_lease(mailbox, workload, holder, now, duration)
            .await?;
        let Some(lease) = lease else {
            return Ok(None);
        };
        let read = async {
            let organization = self.organization().await?;
            let found = self.mailbox(mailbox).await?;
            let mailbox = found.ok_or_else(|| StoreError::not_found("cycle.begin", "mailbox"))?;
            let profile = match mailbox.profile {
                Some(id) => self.profile(id).await?,
                None => None,
            };
            Ok((organization, mailbox, profile))
        };
        match read.await {
            Ok((organization, mailbox, profile)) => Ok(Some(CycleStart::new(
                lease,
                Arc::new(organization),
                mailbox,
                profile.map(Arc::new),
            ))),
            Err(error) => {
                self.release_lease(&lease).await?;
                Err(error)
            }
        }
    }

    /// Stores what a cycle leaves as [`Self::record_cycle`] does, and gives the lease back.
    ///
    /// May be behind, for a cycle that succeeded.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn finish_cycle(&self, lease: &Lease, cycle: &CycleRecord) -> Result<()> {
        self.record_cycle(lease, cycle).await?;
        self.release_lease(lease).await
    }

    /// Begins several cycles, each as [`Self::begin_cycle`] does; an answer for each, in their order.
    /// What keeps one from beginning does not keep the others: its error is in its place.
    ///
    /// Cycles come in crowds: a store may do this as one unit of work, which waits for the disk once.
    ///
    /// # Errors
    /// Where none of them can begin.
    async fn begin_cycles(
        &self,
        wanted: &[(MailboxId, Workload)],
        holder: HolderId,
        now: Timestamp,
        duration: Duration,
    ) -> Result<Vec<Result<Option<CycleStart>>>> {
        let mut begun = Vec::with_capacity(wanted.len());
        for (mailbox, workload) in wanted {
            begun.push(
                self.begin_cycle(*mailbox, *workload, holder, now, duration)
                    .await,
            );
        }
        Ok(begun)
    }

    /// Ends several cycles, each as [`Self::finish_cycle`] does; an answer for each, in their order.
    ///
    /// # Errors
    /// Where none of them can be stored. Asking again is safe: what was stored answers `LeaseLost`.
    async fn finish_cycles(&self, ended: &[(Lease, CycleRecord)]) -> Result<Vec<Result<()>>> {
        let mut finished = Vec::with_capacity(ended.len());
        for (lease, cycle) in ended {
            finished.push(self.finish_cycle(lease, cycle).await);
        }
        Ok(finished)
    }

    // ---- incoming -----------------------------------------------------------------------------

    /// Where the reading of a folder stands.
    async fn folder_state(&self, mailbox: MailboxId, folder: &FolderId) -> Result<FolderState>;

    /// Records a page of a folder: rows and cursor together. In a relisting, rows that are seen are
    /// noted, and its last page turns pending rows that were not seen into `gone`.
    ///
    /// May be behind.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn record_page(
        &self,
        lease: &Lease,
        page: &PageRecord,
        now: Timestamp,
    ) -> Result<PageOutcome>;

    /// Drops a folder's cursor and begins a relisting.
    ///
    /// May be behind.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn begin_relisting(&self, lease: &Lease, folder: &FolderId) -> Result<()>;

    /// Pending rows of a mailbox that may be worked on, in the order in which they were listed,
    /// those never tried first.
    async fn pending(
        &self,
        mailbox: MailboxId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<LedgerEntry>>;

    /// Stores outcomes, all or none.
    ///
    /// # Errors
    /// `LeaseLost`; `Conflict` where an event does not fit the stored state; `NotFound`.
    async fn settle(&self, lease: &Lease, settlements: &[Settlement]) -> Result<()>;

    /// Records emails as [`Crm::record_emails`](crate::Crm::record_emails) does and stores outcomes as
    /// [`Self::settle`] does, in one unit of work: all of it, or nothing. Where settlements name what
    /// a write is named by ([`EmailWrite::provisional`]), the record comes in its place; a row is then
    /// said to have created its record where the write did. Answers one outcome for each write.
    ///
    /// Asked only of a store that has the application's [scope](Self::transaction_scope); the default is
    /// for others.
    ///
    /// # Errors
    /// As both of them.
    async fn record_and_settle(
        &self,
        lease: &Lease,
        writes: Vec<EmailWrite>,
        settlements: Vec<Settlement>,
    ) -> Result<Vec<RecordedEmail>> {
        let _ = (lease, writes, settlements);
        Err(no_records("ledger.record_and_settle"))
    }

    /// Notes where a settled message was moved to, and its id there.
    ///
    /// # Errors
    /// `LeaseLost`; `NotFound`.
    async fn note_moved(
        &self,
        lease: &Lease,
        id: LedgerId,
        folder: &FolderId,
        remote_id: &RemoteId,
    ) -> Result<()>;

    /// Puts a row that is filtered, quarantined or gone back to pending, for an administrator.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it is delivered or pending.
    async fn replay(&self, id: LedgerId, now: Timestamp) -> Result<()>;

    /// Puts the rows of a mailbox that were filtered for a reason, and received from a time on, back
    /// to pending; answers how many. For settings that were changed so that the reason no longer
    /// holds. The lease of the mailbox's incoming workload ends: a cycle that began before the change
    /// must not filter any more by what held then.
    ///
    /// # Errors
    /// `NotFound` where there is no such mailbox.
    async fn replay_filtered(
        &self,
        mailbox: MailboxId,
        reason: FilterReason,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<u64>;

    /// One ledger row.
    async fn ledger_entry(&self, id: LedgerId) -> Result<Option<LedgerEntry>>;

    /// Ledger rows, newest first.
    async fn ledger(&self, filter: &LedgerFilter, page: Page) -> Result<Vec<LedgerEntry>>;

    /// How many rows of a mailbox (of all, where `None`) are in each state.
    async fn ledger_counts(&self, mailbox: Option<MailboxId>) -> Result<LedgerCounts>;

    /// The raw message kept when a row was quarantined; it stays when the row is replayed, as it may
    /// be the only copy left.
    async fn quarantined_raw(&self, id: LedgerId) -> Result<Option<RawMessage>>;

    // ---- correlation --------------------------------------------------------------------------

    /// Emails on record that may be the same as the messages asked about; one answer per query, in
    /// order.
    async fn known_emails(&self, queries: &[KnownQuery]) -> Result<Vec<Vec<KnownEmail>>>;

    /// What the index holds for each query, in order.
    async fn candidates(&self, queries: &[CorrelationQuery]) -> Result<Vec<Candidates>>;

    /// Adds emails to the index, or changes what it keeps of them: for old email of a host.
    async fn index_emails(&self, emails: &[(IndexedEmail, Option<ContentKey>)]) -> Result<()>;

    /// Which of the tokens a stored email holds; one answer per token, in order.
    async fn tokens_taken(&self, tokens: &[TrackingToken]) -> Result<Vec<bool>>;

    /// The sender's number and its next message number, which is used up by asking.
    /// May be behind.
    async fn next_token_numbers(&self, sender: PartyId) -> Result<TokenNumbers>;

    /// The same for several emails, each of its sender; one answer for each, in order. A store may do
    /// this as one unit of work.
    async fn token_numbers(&self, senders: &[PartyId]) -> Result<Vec<TokenNumbers>> {
        let mut numbers = Vec::with_capacity(senders.len());
        for sender in senders {
            numbers.push(self.next_token_numbers(*sender).await?);
        }
        Ok(numbers)
    }

    // ---- outgoing -----------------------------------------------------------------------------

    /// How far the application's feed of outgoing email was taken over.
    async fn outgoing_cursor(&self) -> Result<Option<CrmCursor>>;

    /// Takes over outgoing emails and the cursor of the feed together. An entry whose record is in
    /// the outbox already is left out: the feed may repeat. Outgoing email of their mailboxes becomes due
    /// in the same unit of work, where it is healthy: no other look at it may be near. Where a cycle is
    /// under way, its end sees to that (see [`Self::record_cycle`]).
    /// May be behind.
    async fn enqueue_outgoing(
        &self,
        emails: &[NewOutgoing],
        cursor: Option<&CrmCursor>,
    ) -> Result<()>;

    /// Entries of a mailbox that wait and may be tried, oldest first.
    async fn outbox_due(
        &self,
        mailbox: MailboxId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>>;

    /// Entries of a mailbox whose attempt was under way when the last cycle ended, oldest first.
    async fn outbox_unfinished(&self, mailbox: MailboxId, limit: u32) -> Result<Vec<OutboxEntry>>;

    /// One entry.
    async fn outbox_entry(&self, id: OutboxId) -> Result<Option<OutboxEntry>>;

    /// Entries, newest first.
    async fn outbox(&self, filter: &OutboxFilter, page: Page) -> Result<Vec<OutboxEntry>>;

    /// The composed message of an entry.
    ///
    /// # Errors
    /// `NotFound`.
    async fn outgoing_raw(&self, id: OutboxId) -> Result<RawMessage>;

    /// Takes an entry from one state to the next. `lease` is `None` for an administrator's decision.
    /// A Message-ID that the server put in place of ours is indexed as an alias with the step to
    /// `Sent`.
    ///
    /// # Errors
    /// `Conflict` where the stored state is not `from`; `LeaseLost`; `NotFound`.
    async fn advance_outgoing(
        &self,
        lease: Option<&Lease>,
        id: OutboxId,
        from: &OutboxState,
        to: &OutboxState,
        alias: Option<&MessageId>,
    ) -> Result<()>;

    /// Takes an entry from one state to the next as [`Self::advance_outgoing`] does and tells the
    /// application as [`Crm::report_outgoing`](crate::Crm::report_outgoing) does, in one unit of work.
    ///
    /// Asked only of a store that has the application's [scope](Self::transaction_scope); the default is
    /// for others.
    ///
    /// # Errors
    /// As both of them.
    async fn advance_and_report(
        &self,
        lease: Option<&Lease>,
        id: OutboxId,
        from: &OutboxState,
        to: &OutboxState,
        alias: Option<&MessageId>,
        report: &OutgoingReport,
    ) -> Result<()> {
        let _ = (lease, id, from, to, alias, report);
        Err(no_records("outbox.advance_and_report"))
    }

    /// Entries whose latest state the application has not been told, oldest first. Only `Sending`,
    /// `Sent`, `Failed` and `Unknown` are told.
    async fn outbox_unreported(&self, limit: u32) -> Result<Vec<OutboxEntry>>;

    /// Notes that the application was told of these states; an entry that has moved on meanwhile
    /// stays unreported.
    async fn mark_reported(&self, told: &[(OutboxId, OutboxState)]) -> Result<()>;

    /// Tells the application of these states as
    /// [`Crm::report_outgoing`](crate::Crm::report_outgoing) does and notes that it was told as
    /// [`Self::mark_reported`] does, in one unit of work. Of an entry that has moved on meanwhile it
    /// is told nothing.
    ///
    /// Asked only of a store that has the application's [scope](Self::transaction_scope); the default is
    /// for others.
    ///
    /// # Errors
    /// As both of them.
    async fn report_and_mark(
        &self,
        told: &[(OutboxId, OutboxState, OutgoingReport)],
    ) -> Result<()> {
        let _ = told;
        Err(no_records("outbox.report_and_mark"))
    }

    /// How many entries of a mailbox (of all, where `None`) are in each state.
    async fn outbox_counts(&self, mailbox: Option<MailboxId>) -> Result<LedgerCounts>;

    // ---- alerts and jobs ----------------------------------------------------------------------

    /// Opens an alert, or counts up the open one of the same incident (newest text, details and
    /// level); answers its id.
    async fn raise_alert(&self, alert: &Alert) -> Result<AlertId>;

    /// Closes the open alerts that fit; answers how many.
    async fn close_alerts(&self, pattern: &IncidentPattern, now: Timestamp) -> Result<u64>;

    /// Closes one alert.
    ///
    /// # Errors
    /// `NotFound`.
    async fn dismiss_alert(&self, id: AlertId, now: Timestamp) -> Result<()>;

    /// Alerts, newest first.
    async fn alerts(&self, filter: &AlertFilter, page: Page) -> Result<Vec<Alert>>;

    /// Adds jobs that wait, with the audit entries about them: all of them or none. Of the done jobs
    /// of a mailbox that gets a new one the oldest are dropped, so that [`JOBS_KEPT`](crate::JOBS_KEPT) are left.
    async fn queue_jobs(&self, jobs: &[Job], entries: &[AuditEntry]) -> Result<()>;

    /// Adds or changes a job.
    /// May be behind, for a job that is not done.
    async fn save_job(&self, job: &Job) -> Result<()>;

    /// One job.
    async fn job(&self, id: JobId) -> Result<Option<Job>>;

    /// Jobs in one of those states, oldest first.
    async fn jobs(&self, states: &[JobState], limit: u32) -> Result<Vec<Job>>;

    /// Jobs, newest first.
    async fn job_list(&self, filter: &JobFilter, page: Page) -> Result<Vec<Job>>;

    /// How far jobs are.
    async fn job_counts(&self, filter: &JobFilter) -> Result<JobCounts>;

    /// Keeps what a test of a profile's connection found, instead of what the one before it found.
    ///
    /// # Errors
    /// `NotFound`.
    async fn save_connection_test(&self, profile: ProfileId, test: &ConnectionTest) -> Result<()>;

    /// What the last test of a profile's connection found.
    async fn connection_test(&self, profile: ProfileId) -> Result<Option<ConnectionTest>>;

    /// The email record's index entry, for `explain`.
    async fn indexed(&self, record: RecordId) -> Result<Option<IndexedEmail>>;
}

/// A store without an application's records was asked to write some.
fn no_records(operation: &'static str) -> StoreError {
    StoreError::new(ErrorKind::Internal, Code::Internal, operation)
        .with("what", "the store has no records of the application")
}

const _: fn(&dyn Store, &dyn EngineClaim) = |_, _| {};
