//! The outgoing cycle of a mailbox: first what an earlier attempt left open, then what waits.
//!
//! Each state is stored before the step that it announces, so that after a crash at any point the
//! next cycle knows how far the attempt can have got.

use postroom_core::outbox::{OutboxEntry, OutboxEvent, OutboxState, SendPhase, StagedSubmission};
use postroom_core::{Code, Timestamp};
use postroom_provider::{
    Capabilities, MailSubmitter, Provider, Submission, SubmissionIdentity, SubmissionTrace,
};
use postroom_store::OutboxFilter;
use postroom_store::Page;
use tracing::warn;

use crate::error::{EngineError, ErrorKind};
use crate::plan::alerts::About;
use crate::plan::failure::{CycleFailure, CycleStop};
use crate::plan::outgoing::{Recovery, SECOND_LOOK, recover, send_failed};
use crate::run::alerts::detail;
use crate::run::cycle::{Cycle, CycleEnd};
use crate::run::feed;
use crate::run::providers::Direction;

/// How soon an email whose outcome was not found yet is looked for again.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(30);
/// At most so many emails of unknown outcome are looked for again in one cycle.
const SECOND_LOOKS_MAX: u32 = 20;

/// Runs the outgoing cycle.
pub(crate) async fn run(cycle: &mut Cycle<'_>) -> Result<CycleEnd, CycleStop> {
    let environment = cycle.environment;
    let provider = environment
        .provider(cycle.mailbox(), cycle.profile, Direction::Outgoing)
        .await?;
    let mut end = CycleEnd::default();
    let result = send_all(cycle, provider.as_ref(), &mut end).await;
    if end.found {
        // The application hears of what was done even where the cycle ended early. A failure to
        // tell it is not this mailbox's: the feed tells it again.
        if let Err(error) = feed::report(environment).await {
            warn!(code = %error.code(), %error, "the application could not be told");
        }
    }
    result.map(|()| end)
}

async fn send_all(
    cycle: &mut Cycle<'_>,
    provider: &dyn Provider,
    end: &mut CycleEnd,
) -> Result<(), CycleStop> {
    let environment = cycle.environment;
    let store = &environment.store;
    let mailbox = cycle.mailbox().id;
    let limit = environment.bounds.sends_per_cycle;
    for entry in store.outbox_unfinished(mailbox, limit).await? {
        end.found = true;
        cycle.checkpoint().await?;
        let settled = resume(cycle, provider, entry).await?;
        end.note(settled);
    }
    let due = store.outbox_due(mailbox, environment.now(), limit).await?;
    end.unfinished = u32::try_from(due.len()).unwrap_or(u32::MAX) >= limit;
    for entry in due {
        end.found = true;
        cycle.checkpoint().await?;
        let settled = attempt(cycle, provider, entry).await?;
        end.note(settled);
    }
    second_look(cycle, provider).await
}

impl CycleEnd {
    fn note(&mut self, state: OutboxState) {
        let again = match state {
            OutboxState::PendingSend { not_before, .. } => Some(not_before),
            OutboxState::Sending { .. }
            | OutboxState::Sent { .. }
            | OutboxState::Failed { .. }
            | OutboxState::Unknown { .. } => None,
        };
        self.again_at = match (self.again_at, again) {
            (Some(known), Some(again)) => Some(known.min(again)),
            (known, again) => known.or(again),
        };
    }
}

/// An entry on its way through its states.
struct Sending<'a> {
    submitter: &'a dyn MailSubmitter,
    capabilities: &'a Capabilities,
    submission: Submission,
    entry: OutboxEntry,
}

/// Begins or repeats an attempt with an email that waits, or goes on with one that was under way;
/// answers its state. Used by Test & Enable, too.
pub(crate) async fn deliver(
    cycle: &mut Cycle<'_>,
    provider: &dyn Provider,
    entry: OutboxEntry,
) -> Result<OutboxState, CycleStop> {
    match entry.state {
        OutboxState::PendingSend { .. } => attempt(cycle, provider, entry).await,
        OutboxState::Sending { .. } => resume(cycle, provider, entry).await,
        OutboxState::Sent { .. } | OutboxState::Failed { .. } | OutboxState::Unknown { .. } => {
            Ok(entry.state)
        }
    }
}

fn submitter(provider: &dyn Provider) -> Result<&dyn MailSubmitter, CycleStop> {
    provider.submitter().ok_or_else(|| {
        CycleFailure::new(Code::MethodNotSupported, "the provider cannot send mail").into()
    })
}

async fn prepared<'a>(
    cycle: &Cycle<'_>,
    submitter: &'a dyn MailSubmitter,
    capabilities: &'a Capabilities,
    entry: OutboxEntry,
) -> Result<Sending<'a>, CycleStop> {
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
        capabilities,
        submission,
        entry,
    })
}

/// A new attempt with an email that waits.
async fn attempt(
    cycle: &mut Cycle<'_>,
    provider: &dyn Provider,
    entry: OutboxEntry,
) -> Result<OutboxState, CycleStop> {
    let capabilities = provider.capabilities();
    let mut sending = prepared(cycle, submitter(provider)?, &capabilities, entry).await?;
    let OutboxState::PendingSend { attempts, .. } = sending.entry.state else {
        return Ok(sending.entry.state);
    };
    if let Some(max) = capabilities.submit_size_max
        && sending.entry.size > max
    {
        let code = Code::TooLarge;
        sending.advance(cycle, OutboxEvent::Reject { code }).await?;
        sending.alert(cycle, code).await?;
        return Ok(sending.entry.state);
    }
    if !capabilities.submit_staged {
        return sending.submit(cycle, None).await;
    }
    // An earlier attempt may have left its draft.
    if attempts > 0
        && capabilities.submit_traceable
        && let SubmissionTrace::Staged(draft) = sending.find(cycle, None).await?
    {
        return sending.submit(cycle, Some(draft)).await;
    }
    sending.stage(cycle).await
}

/// Goes on with an attempt whose end nobody saw.
async fn resume(
    cycle: &mut Cycle<'_>,
    provider: &dyn Provider,
    entry: OutboxEntry,
) -> Result<OutboxState, CycleStop> {
    let capabilities = provider.capabilities();
    let mut sending = prepared(cycle, submitter(provider)?, &capabilities, entry).await?;
    let OutboxState::Sending { phase, .. } = sending.entry.state.clone() else {
        return Ok(sending.entry.state);
    };
    let trace = sending.trace(cycle, &phase).await?;
    let now = cycle.environment.now();
    match recover(&phase, trace, &capabilities, now) {
        Recovery::Stage if capabilities.submit_staged => sending.stage(cycle).await,
        Recovery::Stage => sending.submit(cycle, None).await,
        Recovery::SendDraft(draft) => sending.submit(cycle, Some(draft)).await,
        Recovery::Settle(event) => sending.settle(cycle, event).await,
        Recovery::Wait => Ok(sending.entry.state),
    }
}

impl Sending<'_> {
    /// Makes the draft, then sends it.
    async fn stage(&mut self, cycle: &mut Cycle<'_>) -> Result<OutboxState, CycleStop> {
        self.advance(cycle, OutboxEvent::Stage).await?;
        let ctx = cycle.uncancelled_op();
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
    async fn submit(
        &mut self,
        cycle: &mut Cycle<'_>,
        draft: Option<StagedSubmission>,
    ) -> Result<OutboxState, CycleStop> {
        let staged = draft.clone();
        self.advance(cycle, OutboxEvent::Submit { staged }).await?;
        // Never abandoned half way by stopping: the outcome would be unknown.
        let ctx = cycle.uncancelled_op();
        let answer = self
            .submitter
            .send(&ctx, &self.submission, draft.as_ref())
            .await;
        let now = cycle.environment.now();
        match answer {
            Ok(receipt) => {
                self.settle(cycle, OutboxEvent::Confirm { receipt, at: now })
                    .await
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
                    if let Err(error) = self.submitter.discard(&cycle.op(), &draft).await {
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
    async fn settle(
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

    async fn trace(
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

    async fn find(
        &self,
        cycle: &Cycle<'_>,
        staged: Option<StagedSubmission>,
    ) -> Result<SubmissionTrace, CycleStop> {
        let key = self.entry.key.clone();
        let mut identity = SubmissionIdentity::new(key, self.entry.message_id.clone());
        identity.staged = staged;
        Ok(self.submitter.find(&cycle.op(), &identity).await?)
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
    async fn advance(
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
        cycle
            .environment
            .store
            .advance_outgoing(
                Some(&cycle.lease),
                self.entry.id,
                &self.entry.state,
                &next,
                alias.as_ref(),
            )
            .await?;
        self.entry.state = next;
        Ok(())
    }

    /// Tells the owner about an email that was not sent. A test has its own report.
    async fn alert(&self, cycle: &Cycle<'_>, code: Code) -> Result<(), CycleStop> {
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

/// Looks again for email whose outcome became unknown lately: a copy that is found later settles
/// the question, and nobody needs to decide.
async fn second_look(cycle: &mut Cycle<'_>, provider: &dyn Provider) -> Result<(), CycleStop> {
    let capabilities = provider.capabilities();
    if !capabilities.submit_traceable {
        return Ok(());
    }
    let environment = cycle.environment;
    let mut filter = OutboxFilter::default();
    filter.mailbox = Some(cycle.mailbox().id);
    filter.state = Some("unknown");
    let entries = environment
        .store
        .outbox(&filter, Page::first(SECOND_LOOKS_MAX))
        .await?;
    for entry in entries {
        let now: Timestamp = environment.now();
        let recent = match entry.state {
            OutboxState::Unknown { since, .. } => now.since(since) < SECOND_LOOK,
            _ => false,
        };
        if !recent {
            continue;
        }
        cycle.checkpoint().await?;
        let mut sending = prepared(cycle, submitter(provider)?, &capabilities, entry).await?;
        if let SubmissionTrace::Sent(mut receipt) = sending.find(cycle, None).await? {
            receipt.reconciled = true;
            let record = sending.entry.record;
            sending
                .settle(cycle, OutboxEvent::Confirm { receipt, at: now })
                .await?;
            let about = About {
                record,
                ..cycle.about()
            };
            environment.close(Code::OutcomeUnknown, &about).await?;
        }
    }
    Ok(())
}
