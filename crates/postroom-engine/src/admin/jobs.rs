//! Test & Enable, and alerts.

use std::collections::BTreeMap;
use std::time::Duration;

use postroom_core::alert::{Alert, Subject};
use postroom_core::audit::AuditEntry;
use postroom_core::job::{Job, JobKind, JobState};
use postroom_core::principal::Principal;
use postroom_core::{AlertId, JobId, Mailbox, MailboxId, ProfileId, Timestamp};
use postroom_store::{AlertFilter, JobCounts, JobFilter, MailboxFilter, Page};

use super::bulk::for_all;
use super::profiles::too_early;
use super::{Admin, BulkOutcome};
use crate::error::{EngineError, Result};
use crate::plan::authorize::Right;
use crate::run::test_enable;

/// How often a job that another process runs is looked at.
const WATCH: Duration = Duration::from_millis(200);

/// So many jobs are queued in one transaction: others want to write, too.
const QUEUED_TOGETHER: usize = 500;

/// At most so many waiting jobs of a mailbox are looked at.
const WAITING_MAX: u32 = 100;

/// Whether a job that waits does what is asked for, so that asking twice tests once.
fn does_the_same(waiting: &Job, asked: &Job) -> bool {
    waiting.state == JobState::Queued
        && waiting.kind == asked.kind
        && waiting.profile == asked.profile
        && waiting.incoming_from == asked.incoming_from
}

impl Admin {
    /// Asks for a test of one mailbox. The running engine picks the job up within a second; where
    /// none runs, [`run_job`](Self::run_job) does it. Where the same test waits already, it is that
    /// one.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn test_mailbox(
        &self,
        principal: &Principal,
        id: MailboxId,
        kind: JobKind,
    ) -> Result<Job> {
        const ACTION: &str = "mailbox.test";
        self.allow(principal, Right::WriteMailbox, ACTION, Subject::Mailbox(id))
            .await?;
        let mailbox = self.known_mailbox(ACTION, id).await?;
        let job = self.job_for(principal, &mailbox, kind);
        self.queue_one(principal, job).await
    }

    /// Tests and enables a mailbox; once incoming email is enabled, email received from then on is
    /// processed. Source: domain section 4, the start date of Test & Enable.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` where the date is not later than the profile's own ("Process Email
    /// From"), or lies further back than the organization allows.
    pub async fn test_mailbox_from(
        &self,
        principal: &Principal,
        id: MailboxId,
        from: Timestamp,
    ) -> Result<Job> {
        const ACTION: &str = "mailbox.test";
        let subject = Subject::Mailbox(id);
        self.allow(principal, Right::WriteMailbox, ACTION, subject)
            .await?;
        let mailbox = self.known_mailbox(ACTION, id).await?;
        let floor = match mailbox.profile {
            Some(profile) => {
                self.known_profile(ACTION, profile)
                    .await?
                    .process_email_from
            }
            None => None,
        };
        if floor.is_some_and(|floor| from <= floor) {
            let problem = "must be later than the date from which the profile processes email";
            return Err(EngineError::invalid(ACTION, "incoming_from", problem));
        }
        let organization = self.environment.store.organization().await?;
        if let Some(error) = too_early(&organization, Some(from), self.environment.now()) {
            return Err(EngineError::invalid(
                ACTION,
                "incoming_from",
                &error.message,
            ));
        }
        let mut job = self.job_for(principal, &mailbox, JobKind::TestAndEnable);
        job.incoming_from = Some(from);
        self.queue_one(principal, job).await
    }

    /// Asks for a test of each of several mailboxes; those that wait already are not asked for twice.
    ///
    /// # Errors
    /// For each: `NotFound`.
    pub async fn test_mailboxes(
        &self,
        principal: &Principal,
        ids: &[MailboxId],
        kind: JobKind,
    ) -> BulkOutcome<Job> {
        const ACTION: &str = "mailbox.test";
        let allowed = self.allow_all(principal, Right::WriteMailbox, ACTION, ids);
        if let Err(refused) = allowed.await {
            return for_all(ids, ACTION, refused);
        }
        let mut outcomes = Vec::with_capacity(ids.len());
        for batch in ids.chunks(QUEUED_TOGETHER) {
            let known = match self.environment.store.mailboxes_by_id(batch).await {
                Ok(known) => known,
                Err(error) => return for_all(ids, ACTION, error.into()),
            };
            let known: BTreeMap<_, _> = known.into_iter().map(|one| (one.id, one)).collect();
            outcomes.extend(batch.iter().map(|id| {
                let missing = || EngineError::not_found(ACTION, "mailbox");
                (*id, known.get(id).cloned().ok_or_else(missing))
            }));
        }
        self.queue_all(principal, outcomes, kind).await
    }

    /// Asks for a test of every active mailbox of a profile.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn test_profile(
        &self,
        principal: &Principal,
        id: ProfileId,
        kind: JobKind,
    ) -> Result<BulkOutcome<Job>> {
        const ACTION: &str = "profile.test";
        self.allow(principal, Right::WriteMailbox, ACTION, Subject::Profile(id))
            .await?;
        self.known_profile(ACTION, id).await?;
        let mut filter = MailboxFilter::default();
        filter.profile = Some(id);
        filter.active = Some(true);
        let mut outcomes = Vec::new();
        let mut page = Page::first(1000);
        loop {
            let mailboxes = self.environment.store.mailboxes(&filter, page).await?;
            if mailboxes.is_empty() {
                return Ok(self.queue_all(principal, outcomes, kind).await);
            }
            outcomes.extend(
                mailboxes
                    .into_iter()
                    .map(|mailbox| (mailbox.id, Ok(mailbox))),
            );
            page = page.next();
        }
    }

    fn job_for(&self, principal: &Principal, mailbox: &Mailbox, kind: JobKind) -> Job {
        let environment = &self.environment;
        let id = JobId::from_random(environment.bytes16());
        let by = principal.name.clone();
        let mut job = Job::queued(id, kind, mailbox.id, by, environment.now());
        job.batch = Some(id);
        job.profile = mailbox.profile;
        job
    }

    /// Queues a job, unless one waits that does the same.
    async fn queue_one(&self, principal: &Principal, job: Job) -> Result<Job> {
        let mut filter = JobFilter::default();
        filter.mailbox = Some(job.mailbox);
        filter.state = Some(JobState::Queued);
        let store = &self.environment.store;
        let mut waiting = store.job_list(&filter, Page::first(WAITING_MAX)).await?;
        waiting.retain(|one| does_the_same(one, &job));
        match waiting.pop() {
            Some(same) => Ok(same),
            None => {
                self.queue(principal, std::slice::from_ref(&job)).await?;
                Ok(job)
            }
        }
    }

    /// Queues a job for each mailbox that there is, all of one batch; where one waits that does the
    /// same, it is that one.
    pub(super) async fn queue_all(
        &self,
        principal: &Principal,
        mailboxes: BulkOutcome<Mailbox>,
        kind: JobKind,
    ) -> BulkOutcome<Job> {
        let mut batch = None;
        let mut outcomes = Vec::with_capacity(mailboxes.len());
        // Which ones wait only saves work: where they cannot be read, queueing says why.
        let store = &self.environment.store;
        let waiting = store.jobs(&[JobState::Queued], u32::MAX).await;
        let mut waiting: BTreeMap<MailboxId, Job> = waiting
            .unwrap_or_default()
            .into_iter()
            .filter(|job| job.kind == kind && job.incoming_from.is_none())
            .map(|job| (job.mailbox, job))
            .collect();
        let mut mailboxes = mailboxes.into_iter().peekable();
        while mailboxes.peek().is_some() {
            let mut chunk: BulkOutcome<Job> = Vec::new();
            let mut jobs = Vec::new();
            for (id, outcome) in mailboxes.by_ref().take(QUEUED_TOGETHER) {
                let outcome = outcome.map(|mailbox| {
                    let mut job = self.job_for(principal, &mailbox, kind);
                    if let Some(same) = waiting.get(&id).filter(|one| does_the_same(one, &job)) {
                        return same.clone();
                    }
                    job.batch = Some(*batch.get_or_insert(job.id));
                    jobs.push(job.clone());
                    waiting.insert(id, job.clone());
                    job
                });
                chunk.push((id, outcome));
            }
            if let Err(error) = self.queue(principal, &jobs).await {
                // All of them or none: each row answers for itself all the same.
                let (kind, code) = (error.kind(), error.code());
                for (_, outcome) in &mut chunk {
                    if outcome.is_ok() {
                        *outcome = Err(EngineError::new(kind, code, "mailbox.test"));
                    }
                }
            }
            outcomes.extend(chunk);
        }
        outcomes
    }

    async fn queue(&self, principal: &Principal, jobs: &[Job]) -> Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        let now = self.environment.now();
        let entries: Vec<_> = jobs
            .iter()
            .map(|job| {
                let subject = Subject::Mailbox(job.mailbox);
                let note = "a test was asked for";
                AuditEntry::allowed(now, &principal.name, "mailbox.test", subject, note)
            })
            .collect();
        self.environment.store.queue_jobs(jobs, &entries).await?;
        self.environment.wake.notify_one();
        Ok(())
    }

    /// Jobs, newest first: with the filter for a mailbox the first one says when it was last tested,
    /// and by whom.
    pub async fn jobs(
        &self,
        principal: &Principal,
        filter: &JobFilter,
        page: Page,
    ) -> Result<Vec<Job>> {
        const ACTION: &str = "job.list";
        self.allow(principal, Right::ReadMailbox, ACTION, Subject::Organization)
            .await?;
        Ok(self.environment.store.job_list(filter, page).await?)
    }

    /// How far jobs are.
    pub async fn job_counts(&self, principal: &Principal, filter: &JobFilter) -> Result<JobCounts> {
        const ACTION: &str = "job.counts";
        self.allow(principal, Right::ReadMailbox, ACTION, Subject::Organization)
            .await?;
        Ok(self.environment.store.job_counts(filter).await?)
    }

    /// A job with its steps so far.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn job(&self, principal: &Principal, id: JobId) -> Result<Job> {
        const ACTION: &str = "job.read";
        self.allow(principal, Right::ReadMailbox, ACTION, Subject::Organization)
            .await?;
        self.environment
            .store
            .job(id)
            .await?
            .ok_or_else(|| EngineError::not_found(ACTION, "job"))
    }

    /// Waits until a job is done: runs it here where no engine runs on the store, and watches it
    /// otherwise. Drop the future to stop waiting.
    ///
    /// # Errors
    /// `NotFound`; what the store answers.
    pub async fn run_job(&self, principal: &Principal, id: JobId) -> Result<Job> {
        const ACTION: &str = "job.run";
        self.allow(
            principal,
            Right::WriteMailbox,
            ACTION,
            Subject::Organization,
        )
        .await?;
        let environment = &self.environment;
        loop {
            let job = environment
                .store
                .job(id)
                .await?
                .ok_or_else(|| EngineError::not_found(ACTION, "job"))?;
            if job.state == JobState::Done {
                return Ok(job);
            }
            match environment.store.claim_engine().await {
                Ok(claim) => {
                    let job = test_enable::run(environment, job).await?;
                    drop(claim);
                    return Ok(job);
                }
                Err(error) if error.kind() == postroom_store::ErrorKind::Locked => {
                    environment.ctx.clock.sleep(WATCH).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until several jobs are done: runs them here, as many at once as the engine would, where
    /// no engine runs on the store, and watches them otherwise. [`job_counts`](Self::job_counts)
    /// tells meanwhile how far they are. Drop the future to stop waiting; what was not done is done
    /// by the next engine.
    ///
    /// # Errors
    /// `NotFound`; what the store answers.
    pub async fn run_jobs(&self, principal: &Principal, ids: &[JobId]) -> Result<()> {
        const ACTION: &str = "job.run";
        let subject = Subject::Organization;
        self.allow(principal, Right::WriteMailbox, ACTION, subject)
            .await?;
        let environment = &self.environment;
        let mut waiting = ids.iter().copied();
        let mut next = waiting.next();
        while let Some(id) = next {
            let job = environment
                .store
                .job(id)
                .await?
                .ok_or_else(|| EngineError::not_found(ACTION, "job"))?;
            if job.state == JobState::Done {
                next = waiting.next();
                continue;
            }
            match environment.store.claim_engine().await {
                Ok(claim) => {
                    let all: Vec<_> = [id].into_iter().chain(waiting).collect();
                    test_enable::run_all(environment, &all).await?;
                    drop(claim);
                    return Ok(());
                }
                Err(error) if error.kind() == postroom_store::ErrorKind::Locked => {
                    environment.ctx.clock.sleep(WATCH).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Alerts, newest first.
    pub async fn alerts(
        &self,
        principal: &Principal,
        filter: &AlertFilter,
        page: Page,
    ) -> Result<Vec<Alert>> {
        self.allow(
            principal,
            Right::ReadMailbox,
            "alert.list",
            Subject::Organization,
        )
        .await?;
        Ok(self.environment.store.alerts(filter, page).await?)
    }

    /// Closes an alert.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn dismiss_alert(&self, principal: &Principal, id: AlertId) -> Result<()> {
        const ACTION: &str = "alert.dismiss";
        self.allow(
            principal,
            Right::WriteMailbox,
            ACTION,
            Subject::Organization,
        )
        .await?;
        let now = self.environment.now();
        self.environment.store.dismiss_alert(id, now).await?;
        self.audit(principal, ACTION, Subject::Organization, id.to_string())
            .await
    }
}
