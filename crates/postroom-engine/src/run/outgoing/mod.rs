//! The outgoing cycle of a mailbox: first what an earlier attempt left open, then what waits.
//!
//! Each state is stored before the step that it announces, so that after a crash at any point the
//! next cycle knows how far the attempt can have got.

mod sending;

use postroom_core::outbox::{OutboxEntry, OutboxEvent, OutboxState};
use postroom_core::{Code, Timestamp, planted};
use postroom_provider::{Provider, SubmissionTrace};
use postroom_store::{OutboxFilter, Page};
use tracing::warn;

use crate::plan::alerts::About;
use crate::plan::failure::CycleStop;
use crate::plan::outgoing::{Recovery, SECOND_LOOK, recover};
use crate::run::cycle::{Cycle, CycleEnd};
use crate::run::feed;
use crate::run::providers::Direction;

use sending::prepared;

/// At most so many emails of unknown outcome are looked for again in one cycle.
const SECOND_LOOKS_MAX: u32 = 20;

/// Runs the outgoing cycle.
pub(crate) async fn run(cycle: &mut Cycle<'_>) -> Result<CycleEnd, CycleStop> {
    let environment = cycle.environment;
    let mut end = CycleEnd::default();
    if !cycle.loaded.pending {
        return Ok(end);
    }
    let provider = environment
        .provider_of(cycle.loaded, cycle.profile, Direction::Outgoing)
        .await?;
    let result = send_all(cycle, provider.as_ref(), &mut end).await;
    if end.found && !environment.joint {
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
    let unfinished = if cycle.loaded.under_way {
        store.outbox_unfinished(mailbox, limit).await?
    } else {
        Vec::new()
    };
    for entry in unfinished {
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
    if cycle.loaded.in_doubt {
        second_look(cycle, provider).await?;
    }
    Ok(())
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

/// A new attempt with an email that waits.
async fn attempt(
    cycle: &mut Cycle<'_>,
    provider: &dyn Provider,
    entry: OutboxEntry,
) -> Result<OutboxState, CycleStop> {
    let capabilities = provider.capabilities();
    let mut sending = prepared(cycle, provider, &capabilities, entry).await?;
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
    // An earlier attempt may have left its draft; and whoever found it there may have sent it.
    let traceable = capabilities.submit_traceable && !planted!(RetryAfterLostAnswer);
    if attempts > 0 && traceable {
        match sending.find(cycle, None).await? {
            SubmissionTrace::Staged(draft) => return sending.submit(cycle, Some(draft)).await,
            SubmissionTrace::Sent(mut receipt) => {
                receipt.reconciled = true;
                let at = cycle.environment.now();
                sending
                    .advance(cycle, OutboxEvent::Submit { staged: None })
                    .await?;
                return sending
                    .settle(cycle, OutboxEvent::Confirm { receipt, at })
                    .await;
            }
            SubmissionTrace::InTransit => {
                // The next cycle looks what has become of it.
                sending
                    .advance(cycle, OutboxEvent::Submit { staged: None })
                    .await?;
                return Ok(sending.entry.state);
            }
            SubmissionTrace::Nowhere => {}
        }
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
    let mut sending = prepared(cycle, provider, &capabilities, entry).await?;
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

/// Looks again for email whose outcome became unknown lately: a copy that is found later settles
/// the question, and nobody needs to decide.
async fn second_look(cycle: &mut Cycle<'_>, provider: &dyn Provider) -> Result<(), CycleStop> {
    let capabilities = provider.capabilities();
    if !capabilities.submit_traceable && !planted!(UnknownResent) {
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
        let mut sending = prepared(cycle, provider, &capabilities, entry).await?;
        if planted!(UnknownResent) {
            sending.settle(cycle, OutboxEvent::Resend { now }).await?;
            continue;
        }
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
