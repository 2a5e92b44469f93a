//! One email on its way through its states.

use postroom_core::outbox::{OutboxEntry, OutboxEvent, OutboxState, SendPhase, StagedSubmission};
use postroom_core::{Code, planted};
use postroom_provider::{
    Capabilities, MailSubmitter, Provider, SentItems, Submission, SubmissionIdentity,
    SubmissionTrace,
};
use tracing::warn;

use crate::error::{EngineError, ErrorKind};
use crate::plan::alerts::About;
use crate::plan::failure::{CycleFailure, CycleStop};
use crate::plan::outgoing::send_failed;
use crate::run::alerts::detail;
use crate::run::cycle::Cycle;
use crate::run::feed::report_of;

/// How soon an email whose outcome was not found yet is looked for again.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(30);

/// An entry on its way through its states.
pub(super) struct Sending<'a> {
    pub(super) submitter: &'a dyn MailSubmitter,
    /// Where copies are filed, where the server that sends does not see to that.
    sent: Option<&'a dyn SentItems>,
    pub(super) capabilities: &'a Capabilities,
    pub(super) submission: Submission,
    pub(super) entry: OutboxEntry,
}

/// The email with everything that sending it takes.
pub(super) async fn prepared<'a>(
    cycle: &Cycle<'_>,
    provider: &'a dyn Provider,
    capabilities: &'a Capabilities,
    entry: OutboxEntry,
) -> Result<Sending<'a>, CycleStop> {
    let submitter = provider.submitter().ok_or_else(|| {
        CycleFailure::new(Code::MethodNotSupported, "the provider cannot send mail")
    })?;
    let files = capabilities.sent_file && !capabilities.submit_files_copy;
    let raw = cycle.environment.store.outgoing_raw(entry.id).await?;
    let mut submission = Submission::new(
        entry.key.clone(),
        entry.message_id.clone(),
        entry.from.clone(),
        entry.recipients.clone(),
        raw,
    );
    submission.bcc.clone_from(&entry.bcc);
    Ok(Sending {
        submitter,
        sent: provider.sent_items().filter(|_| files),
        capabilities,
        submission,
        entry,
    })
}

impl Sending<'_> {
    /// Makes the draft, then sends it.
    pub(super) async fn stage(&mut self, cycle: &mut Cycle<'_>) -> Result<OutboxState, CycleStop> {
        if !planted!(SendBeforeRecording) {
            self.advance(cycle, OutboxEvent::Stage).await?;
        }
        let ctx = cycle.uncancelled_op().await?;
        match self.submitter.stage(&ctx, &self.submission).await {
            Ok(draft) => self.submit(cycle, Some(draft)).await,
            Err(error) => {
                let now = cycle.environment.now();
                let failure = send_failed(&error, true, self.attempt(), now);
                self.failed(cycle, failure.event, failure.stop, None).await
            }
        }
    }

    /// Hands the message over.
    pub(super) async fn submit(
        &mut self,
        cycle: &mut Cycle<'_>,
        draft: Option<StagedSubmission>,
    ) -> Result<OutboxState, CycleStop> {
        let staged = draft.clone();
        let submit = OutboxEvent::Submit { staged };
        if !planted!(SendBeforeRecording) {
            self.advance(cycle, submit.clone()).await?;
        }
        // Never abandoned half way by stopping: the outcome would be unknown.
        let ctx = cycle.uncancelled_op().await?;
        let answer = self
            .submitter
            .send(&ctx, &self.submission, draft.as_ref())
            .await;
        if planted!(SendBeforeRecording) {
            self.advance(cycle, submit).await?;
        }
        let now = cycle.environment.now();
        match answer {
            Ok(receipt) => {
                let confirm = OutboxEvent::Confirm { receipt, at: now };
                let state = self.settle(cycle, confirm).await?;
                self.file(cycle).await;
                Ok(state)
            }
            Err(error) => {
                let failure = send_failed(&error, false, self.attempt(), now);
                match failure.event {
                    None => self.look(cycle, &error).await,
                    event => self.failed(cycle, event, failure.stop, draft).await,
                }
            }
        }
    }

    /// Files a copy of what was sent where people look for it. Whatever comes of that, it was sent: this is
    /// after the fact, once, and only for what people sent.
    async fn file(&self, cycle: &Cycle<'_>) {
        let Some(sent) = self.sent.filter(|_| self.entry.record.is_some()) else {
            return;
        };
        let filed = match cycle.op().await {
            Ok(ctx) => sent.file_copy(&ctx, &self.submission).await,
            Err(error) => Err(error),
        };
        if let Err(error) = filed {
            warn!(code = %error.code(), %error, "no copy of a sent email could be filed");
        }
    }

    /// The answer was lost: looks whether it was sent. What is not found now is looked for again
    /// in the next cycle, which then decides; servers file their copies a little later.
    async fn look(
        &mut self,
        cycle: &mut Cycle<'_>,
        error: &postroom_provider::ProviderError,
    ) -> Result<OutboxState, CycleStop> {
        let OutboxState::Sending { phase, .. } = self.entry.state.clone() else {
            return Ok(self.entry.state.clone());
        };
        if !self.capabilities.submit_traceable {
            let since = cycle.environment.now();
            let code = Code::OutcomeUnknown;
            return self.settle(cycle, OutboxEvent::Doubt { code, since }).await;
        }
        match self.trace(cycle, &phase).await {
            Ok(Some(SubmissionTrace::Sent(mut receipt))) => {
                receipt.reconciled = true;
                let at = cycle.environment.now();
                self.settle(cycle, OutboxEvent::Confirm { receipt, at })
                    .await
            }
            Ok(_) | Err(CycleStop::Failed(_)) => Err(CycleStop::Failed(CycleFailure {
                code: Code::ConnectionLost,
                retry_after: Some(LOOK_AGAIN),
                text: error.to_string(),
            })),
            Err(stop) => Err(stop),
        }
    }

    /// Surely nothing was sent.
    async fn failed(
        &mut self,
        cycle: &mut Cycle<'_>,
        event: Option<OutboxEvent>,
        stop: Option<CycleStop>,
        draft: Option<StagedSubmission>,
    ) -> Result<OutboxState, CycleStop> {
        if let Some(event) = event {
            let rejected = match &event {
                OutboxEvent::Reject { code } => Some(*code),
                _ => None,
            };
            self.advance(cycle, event).await?;
            if let Some(code) = rejected {
                self.alert(cycle, code).await?;
                if let Some(draft) = draft {
                    // The draft is of no use any more; one that stays does no harm.
                    let discarded = match cycle.op().await {
                        Ok(ctx) => self.submitter.discard(&ctx, &draft).await,
                        Err(error) => Err(error),
                    };
                    if let Err(error) = discarded {
                        warn!(code = %error.code(), %error, "a draft could not be removed");
                    }
                }
            }
        }
        match stop {
            Some(stop) => Err(stop),
            None => Ok(self.entry.state.clone()),
        }
    }

    /// Stores how it ended.
    pub(super) async fn settle(
        &mut self,
        cycle: &mut Cycle<'_>,
        event: OutboxEvent,
    ) -> Result<OutboxState, CycleStop> {
        if let OutboxEvent::Doubt { code, .. } = event {
            // Raised first: a crash in between raises it again, and it is one incident.
            self.alert(cycle, code).await?;
        }
        self.advance(cycle, event).await?;
        Ok(self.entry.state.clone())
    }

    pub(super) async fn trace(
        &self,
        cycle: &Cycle<'_>,
        phase: &SendPhase,
    ) -> Result<Option<SubmissionTrace>, CycleStop> {
        if !self.capabilities.submit_traceable {
            return Ok(None);
        }
        let staged = match phase {
            SendPhase::Staging => None,
            SendPhase::Submitting { staged } => staged.clone(),
        };
        Ok(Some(self.find(cycle, staged).await?))
    }

    pub(super) async fn find(
        &self,
        cycle: &Cycle<'_>,
        staged: Option<StagedSubmission>,
    ) -> Result<SubmissionTrace, CycleStop> {
        let key = self.entry.key.clone();
        let mut identity = SubmissionIdentity::new(key, self.entry.message_id.clone());
        identity.staged = staged;
        Ok(self.submitter.find(&cycle.op().await?, &identity).await?)
    }

    const fn attempt(&self) -> u32 {
        match &self.entry.state {
            OutboxState::Sending { attempt, .. } => *attempt,
            OutboxState::PendingSend { attempts, .. } => *attempts,
            OutboxState::Sent { .. } | OutboxState::Failed { .. } | OutboxState::Unknown { .. } => {
                0
            }
        }
    }

    /// Stores the next state.
    pub(super) async fn advance(
        &mut self,
        cycle: &mut Cycle<'_>,
        event: OutboxEvent,
    ) -> Result<(), CycleStop> {
        let next = self.entry.state.next(&event).map_err(|error| {
            EngineError::new(ErrorKind::Internal, Code::Internal, "outbox.advance")
                .with_source(error)
        })?;
        let alias = match &event {
            OutboxEvent::Confirm { receipt, .. } => receipt
                .message_id
                .clone()
                .filter(|id| *id != self.entry.message_id),
            _ => None,
        };
        let environment = cycle.environment;
        let (store, lease) = (&environment.store, Some(&cycle.lease));
        let (id, from) = (self.entry.id, &self.entry.state);
        // Where it is over, the application hears of it at once if that costs no write of its own.
        let over = matches!(
            next,
            OutboxState::Sent { .. } | OutboxState::Failed { .. } | OutboxState::Unknown { .. }
        );
        let report = report_of(&self.entry, &next).filter(|_| over && environment.joint);
        match report {
            Some(report) => {
                store
                    .advance_and_report(lease, id, from, &next, alias.as_ref(), &report)
                    .await?;
            }
            None => {
                store
                    .advance_outgoing(lease, id, from, &next, alias.as_ref())
                    .await?;
            }
        }
        self.entry.state = next;
        Ok(())
    }

    /// Tells the owner about an email that was not sent. A test has its own report.
    pub(super) async fn alert(&self, cycle: &Cycle<'_>, code: Code) -> Result<(), CycleStop> {
        let Some(record) = self.entry.record else {
            return Ok(());
        };
        let about = About {
            record: Some(record),
            ..cycle.about()
        };
        let details = detail("outbox", self.entry.id.to_string());
        let settings = &cycle.loaded.organization.settings.alerts;
        let level = code.spec().level;
        cycle
            .environment
            .raise(code, level, &about, details, settings)
            .await?;
        Ok(())
    }
}
