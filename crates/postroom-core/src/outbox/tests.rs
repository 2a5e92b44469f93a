use super::*;
use crate::email::DeliveryOutcome;

const NOW: Timestamp = Timestamp::from_seconds(100);

fn staged() -> StagedSubmission {
    StagedSubmission::new(RemoteId::new("draft"), Some("1".to_owned()))
}

fn delivery(outcome: DeliveryOutcome) -> RecipientDelivery {
    RecipientDelivery::new("ada@example.org".parse().unwrap(), outcome, NOW)
}

fn states() -> Vec<OutboxState> {
    vec![
        OutboxState::PendingSend {
            attempts: 2,
            not_before: NOW,
            last: None,
        },
        OutboxState::Sending {
            attempt: 3,
            phase: SendPhase::Staging,
        },
        OutboxState::Sending {
            attempt: 3,
            phase: SendPhase::Submitting {
                staged: Some(staged()),
            },
        },
        OutboxState::Sent {
            receipt: SentReceipt::answered(),
            at: NOW,
        },
        OutboxState::Failed {
            code: Code::RecipientsRefused,
        },
        OutboxState::Unknown {
            code: Code::OutcomeUnknown,
            since: NOW,
        },
    ]
}

fn events() -> Vec<OutboxEvent> {
    vec![
        OutboxEvent::Stage,
        OutboxEvent::Submit {
            staged: Some(staged()),
        },
        OutboxEvent::Confirm {
            receipt: SentReceipt::found(RemoteId::new("sent")),
            at: NOW,
        },
        OutboxEvent::Retry {
            code: Code::ServerBusy,
            not_before: NOW,
        },
        OutboxEvent::Reject {
            code: Code::SendAsDenied,
        },
        OutboxEvent::Doubt {
            code: Code::OutcomeUnknown,
            since: NOW,
        },
        OutboxEvent::Resend { now: NOW },
        OutboxEvent::Report {
            deliveries: vec![delivery(DeliveryOutcome::Failed)],
            at: NOW,
        },
    ]
}

/// Every state against every event; `-` is refused.
#[test]
fn the_whole_table() {
    let expected = [
        "sending sending - pending_send failed - - -",
        "sending sending sent pending_send failed unknown - -",
        "- sending sent pending_send failed unknown - -",
        "- - - - - - - sent",
        "- - - - - - pending_send -",
        "- - sent - failed - pending_send sent",
    ];
    for (state, row) in states().iter().zip(expected) {
        for (event, name) in events().iter().zip(row.split(' ')) {
            let got = state.next(event).map_or("-", |next| next.name());
            assert_eq!(got, name, "{state:?} {event:?}");
        }
    }
}

/// Promise 3: out of doubt only evidence or a person leads, never the engine by itself.
#[test]
fn doubt_is_left_by_evidence_or_a_person_only() {
    let unknown = &states()[5];
    for event in [&events()[0], &events()[1], &events()[3], &events()[5]] {
        assert!(unknown.next(event).is_err(), "{event:?}");
    }
}

#[test]
fn an_attempt_keeps_its_number_through_its_phases() {
    let number = |state: OutboxState| match state {
        OutboxState::Sending { attempt, .. } => attempt,
        other => panic!("{other:?}"),
    };
    assert_eq!(number(states()[0].next(&OutboxEvent::Stage).unwrap()), 3);
    assert_eq!(number(states()[1].next(&events()[1]).unwrap()), 3);
    assert_eq!(number(states()[1].next(&OutboxEvent::Stage).unwrap()), 3);
    let retried = states()[2].next(&events()[3]).unwrap();
    assert!(matches!(
        retried,
        OutboxState::PendingSend {
            attempts: 3,
            last: Some(Code::ServerBusy),
            ..
        }
    ));
}

#[test]
fn a_refusal_names_state_and_event() {
    let error = states()[3]
        .next(&OutboxEvent::Resend { now: NOW })
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "an email that is sent cannot be sent again"
    );
}

/// A report proves that the email was sent; what it says is kept beside what was said before.
#[test]
fn a_report_ends_doubt_and_adds_to_what_is_known() {
    let mut state = states()[5].clone();
    for outcome in [DeliveryOutcome::Delayed, DeliveryOutcome::Failed] {
        let event = OutboxEvent::Report {
            deliveries: vec![delivery(outcome)],
            at: NOW,
        };
        state = state.next(&event).unwrap();
        let OutboxState::Sent { receipt, .. } = &state else {
            panic!("{state:?}");
        };
        assert!(receipt.reconciled);
        assert_eq!(receipt.deliveries, [delivery(outcome)]);
    }
}
