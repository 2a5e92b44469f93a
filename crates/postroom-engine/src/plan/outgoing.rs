//! What is done about an outgoing email: reconciling, sending, giving up.

use std::time::Duration;

use postroom_core::outbox::{OutboxEvent, SendPhase, StagedSubmission};
use postroom_core::{Code, Timestamp, planted};
use postroom_provider::{Capabilities, ProviderError, Retry, SubmissionTrace};

use crate::plan::failure::{CycleStop, item_retry_at, may_be_poisoned};

/// How often a message is tried again whose own failure goes away, before it is given up.
pub(crate) const ITEM_RETRIES_MAX: u32 = 10;

/// For how long after its outcome became unknown a message is looked for again.
pub(crate) const SECOND_LOOK: Duration = Duration::from_secs(24 * 60 * 60);

/// What is done about an attempt whose end nobody saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// Make a draft: surely nothing was sent.
    Stage,
    /// Send this draft: it still lies there, and sending it twice is made safe by the server.
    SendDraft(StagedSubmission),
    /// Store what is known.
    Settle(OutboxEvent),
    /// The server has it and will send it: look again later.
    Wait,
}

/// What is done about an attempt whose end nobody saw, by how far it had got and what was found.
///
/// Promise 3: found means sent; a draft that still lies there may be sent again; anything else is
/// unknown, and a person decides. Absence never licenses a repeat.
pub(crate) fn recover(
    phase: &SendPhase,
    trace: Option<SubmissionTrace>,
    capabilities: &Capabilities,
    now: Timestamp,
) -> Recovery {
    let doubt = || {
        Recovery::Settle(OutboxEvent::Doubt {
            code: Code::OutcomeUnknown,
            since: now,
        })
    };
    match (phase, trace) {
        (_, Some(SubmissionTrace::Sent(mut receipt))) => {
            receipt.reconciled = true;
            Recovery::Settle(OutboxEvent::Confirm { receipt, at: now })
        }
        (_, Some(SubmissionTrace::InTransit)) => Recovery::Wait,
        (SendPhase::Staging, Some(SubmissionTrace::Staged(draft)))
            if capabilities.submit_staged =>
        {
            Recovery::SendDraft(draft)
        }
        // Only the draft that was handed over: where an answer was lost while staging there may be
        // another one, and that the first is no longer there may mean that it was sent.
        (
            SendPhase::Submitting {
                staged: Some(handed_over),
            },
            Some(SubmissionTrace::Staged(draft)),
        ) if capabilities.submit_staged && draft.remote_id == handed_over.remote_id => {
            Recovery::SendDraft(draft)
        }
        (
            SendPhase::Staging,
            Some(SubmissionTrace::Staged(_) | SubmissionTrace::Nowhere) | None,
        ) => Recovery::Stage,
        (SendPhase::Submitting { .. }, Some(SubmissionTrace::Nowhere) | None)
            if planted!(AbsenceLicensesRepeat) =>
        {
            let (code, not_before) = (Code::ConnectionLost, now);
            Recovery::Settle(OutboxEvent::Retry { code, not_before })
        }
        (
            SendPhase::Submitting { .. },
            Some(SubmissionTrace::Staged(_) | SubmissionTrace::Nowhere) | None,
        ) => doubt(),
    }
}

/// What a failed attempt means for the email and for the cycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SendFailure {
    /// What happens to the email; `None`: it has to be reconciled.
    pub(crate) event: Option<OutboxEvent>,
    /// Whether the cycle ends.
    pub(crate) stop: Option<CycleStop>,
}

/// What a failed attempt means. `staging`: nothing can have been sent yet.
pub(crate) fn send_failed(
    error: &ProviderError,
    staging: bool,
    attempt: u32,
    now: Timestamp,
) -> SendFailure {
    use postroom_core::catalogue::Class;
    use postroom_provider::ErrorKind;
    let in_doubt = error.retry() == Retry::OutcomeUnknown && !staging;
    if in_doubt && !planted!(RetryAfterLostAnswer) {
        return SendFailure {
            event: None,
            stop: None,
        };
    }
    let code = error.code();
    let retry = |not_before| Some(OutboxEvent::Retry { code, not_before });
    if error.kind() == ErrorKind::Cancelled {
        return SendFailure {
            event: retry(now),
            stop: Some(CycleStop::Cancelled),
        };
    }
    match code.spec().class {
        // The message's own: it will fail the same way.
        Class::Item if !matches!(error.retry(), Retry::After(_)) => SendFailure {
            event: Some(OutboxEvent::Reject { code }),
            stop: None,
        },
        Class::Item | Class::Event => SendFailure {
            event: if attempt >= ITEM_RETRIES_MAX {
                Some(OutboxEvent::Reject { code })
            } else {
                retry(item_retry_at(attempt, now))
            },
            stop: None,
        },
        // The mailbox's or the server's: the email waits until that is mended. Where the email may
        // be to blame itself, those behind it get their turn first. Promise 6.
        Class::Transient | Class::Permanent => SendFailure {
            event: retry(if may_be_poisoned(error) {
                item_retry_at(attempt.saturating_sub(1), now)
            } else {
                now
            }),
            stop: Some(error.into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroom_core::ledger::RemoteId;
    use postroom_core::outbox::SentReceipt;
    use postroom_provider::ErrorKind;

    fn draft() -> StagedSubmission {
        StagedSubmission::new(RemoteId::new("draft"), Some("1".to_owned()))
    }

    fn other() -> StagedSubmission {
        StagedSubmission::new(RemoteId::new("another draft"), Some("1".to_owned()))
    }

    fn capabilities(staged: bool) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.submit_staged = staged;
        capabilities
    }

    #[test]
    fn absence_never_licenses_a_repeat() {
        let now = Timestamp::from_seconds(5);
        let submitting = SendPhase::Submitting {
            staged: Some(draft()),
        };
        let bare = SendPhase::Submitting { staged: None };
        let doubt = Recovery::Settle(OutboxEvent::Doubt {
            code: Code::OutcomeUnknown,
            since: now,
        });
        let sent = SubmissionTrace::Sent(SentReceipt::found(RemoteId::new("sent")));
        for (phase, trace, staged, expected) in [
            (
                &submitting,
                Some(SubmissionTrace::Nowhere),
                true,
                doubt.clone(),
            ),
            (&bare, Some(SubmissionTrace::Nowhere), false, doubt.clone()),
            (&bare, None, false, doubt.clone()),
            (&submitting, None, true, doubt.clone()),
            (
                &submitting,
                Some(SubmissionTrace::Staged(draft())),
                false,
                doubt.clone(),
            ),
            (
                &submitting,
                Some(SubmissionTrace::Staged(other())),
                true,
                doubt.clone(),
            ),
            (&bare, Some(SubmissionTrace::Staged(draft())), true, doubt),
            (
                &submitting,
                Some(SubmissionTrace::InTransit),
                true,
                Recovery::Wait,
            ),
            (
                &submitting,
                Some(SubmissionTrace::Staged(draft())),
                true,
                Recovery::SendDraft(draft()),
            ),
            (
                &SendPhase::Staging,
                Some(SubmissionTrace::Staged(draft())),
                true,
                Recovery::SendDraft(draft()),
            ),
            (
                &SendPhase::Staging,
                Some(SubmissionTrace::Nowhere),
                true,
                Recovery::Stage,
            ),
            (&SendPhase::Staging, None, true, Recovery::Stage),
        ] {
            let recovery = recover(phase, trace.clone(), &capabilities(staged), now);
            assert_eq!(recovery, expected, "{phase:?} {trace:?}");
        }
        let found = recover(&submitting, Some(sent), &capabilities(true), now);
        assert!(
            matches!(found, Recovery::Settle(OutboxEvent::Confirm { receipt, .. }) if receipt.reconciled)
        );
    }

    #[test]
    fn failures_before_sending_wait_or_reject() {
        let now = Timestamp::EPOCH;
        let check = |kind, code| {
            let failure = send_failed(
                &ProviderError::new(kind, code, "submit.send"),
                false,
                1,
                now,
            );
            (failure.event, failure.stop.is_some())
        };
        let (event, stop) = check(ErrorKind::PermissionDenied, Code::SendAsDenied);
        assert!(matches!(event, Some(OutboxEvent::Reject { .. })) && !stop);
        let (event, stop) = check(ErrorKind::Unavailable, Code::ServerUnavailable);
        assert!(matches!(event, Some(OutboxEvent::Retry { .. })) && stop);
        let (event, stop) = check(ErrorKind::QuotaExceeded, Code::QuotaExceeded);
        assert!(
            matches!(event, Some(OutboxEvent::Retry { .. })) && stop,
            "the email waits"
        );
        let unknown =
            ProviderError::new(ErrorKind::Timeout, Code::ConnectionTimedOut, "submit.send")
                .with_retry(Retry::OutcomeUnknown);
        assert_eq!(send_failed(&unknown, false, 1, now).event, None);
        assert!(
            send_failed(&unknown, true, 1, now).event.is_some(),
            "nothing was sent yet"
        );
    }
}
