//! Test & Enable, and alerts.

use std::time::Duration;

use postroom_core::alert::{Alert, Subject};
use postroom_core::job::{Job, JobKind, JobState};
use postroom_core::principal::Principal;
use postroom_core::{AlertId, JobId, MailboxId, ProfileId};
use postroom_store::{AlertFilter, MailboxFilter, Page};

use super::{Admin, BulkOutcome};
use crate::error::{EngineError, Result};
use crate::plan::authorize::Right;
use crate::run::test_enable;

/// How often a job that another process runs is looked at.
const WATCH: Duration = Duration::from_millis(200);

impl Admin {
    /// Asks for a test of one mailbox. The running engine picks the job up within a second; where
    /// none runs, [`run_job`](Self::run_job) does it.
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
        let subject = Subject::Mailbox(id);
        self.allow(principal, Right::WriteMailbox, ACTION, subject)
            .await?;
        self.known_mailbox(ACTION, id).await?;
        let environment = &self.environment;
        let job = Job::queued(
            JobId::from_random(environment.bytes16()),
            kind,
            id,
            principal.name.clone(),
            environment.now(),
        );
        environment.store.save_job(&job).await?;
        self.audit(principal, ACTION, subject, "a test was asked for")
            .await?;
        environment.wake.notify_one();
        Ok(job)
    }

    /// Asks for a test of each of several mailboxes.
    ///
    /// # Errors
    /// For each: `NotFound`.
    pub async fn test_mailboxes(
        &self,
        principal: &Principal,
        ids: &[MailboxId],
        kind: JobKind,
    ) -> BulkOutcome<Job> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            outcomes.push((*id, self.test_mailbox(principal, *id, kind).await));
        }
        outcomes
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
                return Ok(outcomes);
            }
            for mailbox in mailboxes {
                let job = self.test_mailbox(principal, mailbox.id, kind).await;
                outcomes.push((mailbox.id, job));
            }
            page = page.next();
        }
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
