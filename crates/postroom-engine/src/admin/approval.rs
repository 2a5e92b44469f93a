//! Approval and activation of mailboxes, and "sync now".

use postroom_core::alert::Subject;
use postroom_core::approval::{ApprovalEvent, may_approve};
use postroom_core::principal::Principal;
use postroom_core::{Code, Mailbox, MailboxId, Workload};
use postroom_store::IncidentPattern;

use super::{Admin, BulkOutcome};
use crate::error::{EngineError, ErrorKind, Result};
use crate::plan::authorize::Right;
use crate::plan::edit;

impl Admin {
    /// Approves the addresses of mailboxes. Source: seed 001, permission model.
    ///
    /// # Errors
    /// For each: `NotFound`; `Conflict` where there is no address; `PermissionDenied` naming what
    /// the permission model asks for.
    pub async fn approve(&self, principal: &Principal, ids: &[MailboxId]) -> BulkOutcome<Mailbox> {
        self.decide_approval(principal, ids, "mailbox.approve", ApprovalEvent::Approve)
            .await
    }

    /// Rejects the addresses of mailboxes: no traffic from now on.
    ///
    /// # Errors
    /// As [`approve`](Self::approve).
    pub async fn reject(&self, principal: &Principal, ids: &[MailboxId]) -> BulkOutcome<Mailbox> {
        self.decide_approval(principal, ids, "mailbox.reject", ApprovalEvent::Reject)
            .await
    }

    async fn decide_approval(
        &self,
        principal: &Principal,
        ids: &[MailboxId],
        action: &'static str,
        event: ApprovalEvent,
    ) -> BulkOutcome<Mailbox> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            let outcome = self.decide_approval_of(principal, *id, action, event);
            outcomes.push((*id, outcome.await));
        }
        outcomes
    }

    async fn decide_approval_of(
        &self,
        principal: &Principal,
        id: MailboxId,
        action: &'static str,
        event: ApprovalEvent,
    ) -> Result<Mailbox> {
        let subject = Subject::Mailbox(id);
        let organization = self.environment.store.organization().await?;
        let mailbox = self.known_mailbox(action, id).await?;
        let profile = match mailbox.profile {
            Some(profile) => self.environment.store.profile(profile).await?,
            None => None,
        };
        let allowed = may_approve(
            principal,
            organization.deployment.kind,
            profile.as_ref().map(|profile| &profile.kind),
            organization.settings.permission_model,
        );
        if let Err(refusal) = allowed {
            return self
                .refuse(principal, action, subject, &refusal.needed)
                .await;
        }
        let before = mailbox.approval;
        let mailbox = self
            .change(action, id, |mailbox| {
                let mut next = mailbox.clone();
                next.approval = mailbox.approval.next(event).map_err(|error| {
                    EngineError::new(ErrorKind::Conflict, Code::NoAddress, action)
                        .with_source(error)
                })?;
                Ok(next)
            })
            .await?;
        let note = format!(
            "{} became {}",
            edit::approval_name(before),
            edit::approval_name(mailbox.approval)
        );
        self.audit(principal, action, subject, note).await?;
        if event == ApprovalEvent::Approve {
            let mut pattern = IncidentPattern::about(subject);
            pattern.code = Some(Code::NotApproved);
            let now = self.environment.now();
            self.environment.store.close_alerts(&pattern, now).await?;
            self.make_due(&mailbox).await?;
        }
        Ok(mailbox)
    }

    /// Lets mailboxes be processed again.
    ///
    /// # Errors
    /// For each: `NotFound`.
    pub async fn activate(&self, principal: &Principal, ids: &[MailboxId]) -> BulkOutcome<Mailbox> {
        self.switch(principal, ids, "mailbox.activate", true).await
    }

    /// Stops all traffic of mailboxes until they are activated again.
    ///
    /// # Errors
    /// For each: `NotFound`.
    pub async fn deactivate(
        &self,
        principal: &Principal,
        ids: &[MailboxId],
    ) -> BulkOutcome<Mailbox> {
        self.switch(principal, ids, "mailbox.deactivate", false)
            .await
    }

    async fn switch(
        &self,
        principal: &Principal,
        ids: &[MailboxId],
        action: &'static str,
        active: bool,
    ) -> BulkOutcome<Mailbox> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            let outcome = self.switch_one(principal, *id, action, active);
            outcomes.push((*id, outcome.await));
        }
        outcomes
    }

    async fn switch_one(
        &self,
        principal: &Principal,
        id: MailboxId,
        action: &'static str,
        active: bool,
    ) -> Result<Mailbox> {
        let subject = Subject::Mailbox(id);
        self.allow(principal, Right::WriteMailbox, action, subject)
            .await?;
        let mailbox = self
            .change(action, id, |mailbox| {
                let mut next = mailbox.clone();
                next.active = active;
                Ok(next)
            })
            .await?;
        self.audit(principal, action, subject, "done").await?;
        if active {
            self.make_due(&mailbox).await?;
        }
        Ok(mailbox)
    }

    /// Makes every enabled workload of mailboxes due now ("sync now").
    ///
    /// # Errors
    /// For each: `NotFound`.
    pub async fn sync_now(&self, principal: &Principal, ids: &[MailboxId]) -> BulkOutcome<()> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            outcomes.push((*id, self.sync_one(principal, *id).await));
        }
        outcomes
    }

    async fn sync_one(&self, principal: &Principal, id: MailboxId) -> Result<()> {
        const ACTION: &str = "mailbox.sync";
        self.allow(principal, Right::WriteMailbox, ACTION, Subject::Mailbox(id))
            .await?;
        let mailbox = self.known_mailbox(ACTION, id).await?;
        if let Some(profile) = mailbox.profile {
            self.environment.breakers.forget(profile);
            self.environment.outages.forget(profile);
        }
        self.make_due(&mailbox).await
    }

    async fn make_due(&self, mailbox: &Mailbox) -> Result<()> {
        let now = self.environment.now();
        for workload in Workload::ALL {
            if mailbox.workload(workload).enabled {
                self.environment
                    .store
                    .set_due(mailbox.id, workload, now)
                    .await?;
            }
        }
        self.environment.wake.notify_one();
        Ok(())
    }
}
