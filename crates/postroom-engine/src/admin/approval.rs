//! Approval of addresses, and "sync now".

use std::collections::{BTreeMap, BTreeSet};

use postroom_core::alert::Subject;
use postroom_core::approval::{ApprovalEvent, Refusal, may_approve};
use postroom_core::principal::Principal;
use postroom_core::{Code, Mailbox, MailboxId, Organization, ProfileId, ServerProfile, Workload};
use postroom_store::{AlertFilter, IncidentPattern, Page};

use super::bulk::{Next, for_all};
use super::{Admin, BulkOutcome};
use crate::error::{EngineError, ErrorKind, Result};
use crate::plan::authorize::Right;
use crate::plan::edit;

/// So many mailboxes are one unit of work.
const BATCH: usize = 500;
/// Up to so many approvals close their alerts one by one; more look up first which have one.
const FEW: usize = 20;
const ALERTS: u32 = 10_000;

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
        let approvers = match self.approvers().await {
            Ok(approvers) => approvers,
            Err(error) => return for_all(ids, action, error),
        };
        let mut outcomes = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            outcomes.extend(
                self.decide_batch(principal, batch, action, event, &approvers)
                    .await,
            );
        }
        if event == ApprovalEvent::Approve
            && let Err(error) = self.after_approval(&outcomes).await
        {
            // The approvals are done: the alerts close with the next test.
            tracing::warn!(%error, "alerts of approved mailboxes stay open");
        }
        outcomes
    }

    async fn decide_batch(
        &self,
        principal: &Principal,
        ids: &[MailboxId],
        action: &'static str,
        event: ApprovalEvent,
        approvers: &Approvers,
    ) -> BulkOutcome<Mailbox> {
        let now = self.environment.now();
        let changed = self
            .change_batch(principal, action, ids, &|mailbox| {
                if let Err(refusal) = approvers.allow(principal, mailbox) {
                    return Err(EngineError::new(
                        ErrorKind::PermissionDenied,
                        refusal.code(),
                        action,
                    )
                    .with("needed", &refusal.needed));
                }
                let mut next = mailbox.clone();
                next.approval = mailbox.approval.next(event).map_err(|error| {
                    EngineError::new(ErrorKind::Conflict, Code::NoAddress, action)
                        .with_source(error)
                })?;
                let approved = event == ApprovalEvent::Approve;
                next.approved_by = approved.then(|| principal.name.clone());
                next.approved_at = approved.then_some(now);
                let note = format!(
                    "{} became {}",
                    edit::approval_name(mailbox.approval),
                    edit::approval_name(next.approval)
                );
                Ok(Next::new(next, note).due(approved))
            })
            .await;
        let mut outcomes = Vec::with_capacity(ids.len());
        for (id, outcome) in changed {
            let outcome = match outcome {
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    let needed = error.context().get("needed").cloned().unwrap_or_default();
                    let subject = Subject::Mailbox(id);
                    self.refuse(principal, action, subject, &needed).await
                }
                outcome => outcome,
            };
            outcomes.push((id, outcome));
        }
        outcomes
    }

    /// The alerts that said it was missing end.
    async fn after_approval(&self, outcomes: &BulkOutcome<Mailbox>) -> Result<()> {
        let approved = || {
            outcomes
                .iter()
                .filter_map(|(_, outcome)| outcome.as_ref().ok())
        };
        let alerted = if outcomes.len() <= FEW {
            approved().map(|mailbox| mailbox.id).collect()
        } else {
            self.alerted().await?
        };
        let now = self.environment.now();
        for mailbox in approved() {
            if alerted.contains(&mailbox.id) {
                let mut pattern = IncidentPattern::about(Subject::Mailbox(mailbox.id));
                pattern.code = Some(Code::NotApproved);
                self.environment.store.close_alerts(&pattern, now).await?;
            }
        }
        Ok(())
    }

    /// The mailboxes with an open alert that their address is not approved.
    async fn alerted(&self) -> Result<BTreeSet<MailboxId>> {
        let mut found = BTreeSet::new();
        let mut page = Page::first(ALERTS);
        loop {
            let filter = AlertFilter::default();
            let alerts = self.environment.store.alerts(&filter, page).await?;
            if alerts.is_empty() {
                return Ok(found);
            }
            for alert in alerts {
                if let (Code::NotApproved, Subject::Mailbox(id)) =
                    (alert.incident.code, alert.incident.subject)
                {
                    found.insert(id);
                }
            }
            page = page.next();
        }
    }

    async fn approvers(&self) -> Result<Approvers> {
        let store = &self.environment.store;
        Ok(Approvers {
            organization: store.organization().await?,
            profiles: store
                .profiles()
                .await?
                .into_iter()
                .map(|profile| (profile.id, profile))
                .collect(),
        })
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

/// What decides who may approve.
struct Approvers {
    organization: Organization,
    profiles: BTreeMap<ProfileId, ServerProfile>,
}

impl Approvers {
    fn allow(&self, principal: &Principal, mailbox: &Mailbox) -> Result<(), Refusal> {
        let profile = mailbox.profile.and_then(|id| self.profiles.get(&id));
        may_approve(
            principal,
            self.organization.deployment.kind,
            profile.map(|profile| &profile.kind),
            self.organization.settings.permission_model,
        )
    }
}
