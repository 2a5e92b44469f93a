use super::*;

const NOW: Timestamp = Timestamp::from_seconds(100);

fn record() -> RecordId {
    RecordId::from_random([1; 16])
}

fn states() -> Vec<LedgerState> {
    vec![
        LedgerState::Pending {
            attempts: 2,
            not_before: NOW,
            last: Some(Code::ItemCorrupt),
        },
        LedgerState::Delivered {
            record: record(),
            created: true,
        },
        LedgerState::Filtered {
            reason: FilterReason::NoFilterAccepts,
        },
        LedgerState::Quarantined {
            code: Code::ItemCorrupt,
            raw_kept: true,
        },
        LedgerState::Gone {
            evidence: GoneEvidence::NotFoundOnFetch,
        },
    ]
}

fn events() -> Vec<LedgerEvent> {
    vec![
        LedgerEvent::Deliver {
            record: record(),
            created: false,
        },
        LedgerEvent::Filter {
            reason: FilterReason::Draft,
        },
        LedgerEvent::Fail {
            code: Code::CrmRejected,
            not_before: NOW,
        },
        LedgerEvent::Postpone {
            code: Code::CrmUnavailable,
            not_before: NOW,
        },
        LedgerEvent::Quarantine {
            code: Code::CrmRejected,
            raw_kept: false,
        },
        LedgerEvent::Vanish {
            evidence: GoneEvidence::ListedAsDeleted,
        },
        LedgerEvent::Replay { now: NOW },
    ]
}

/// Every state against every event; `-` is refused.
#[test]
fn the_whole_table() {
    let expected = [
        // deliver, filter, fail, postpone, quarantine, vanish, replay
        [
            "delivered",
            "filtered",
            "pending",
            "pending",
            "quarantined",
            "gone",
            "-",
        ],
        ["-", "-", "-", "-", "-", "-", "-"],
        ["-", "-", "-", "-", "-", "-", "pending"],
        ["-", "-", "-", "-", "-", "-", "pending"],
        ["-", "-", "-", "-", "-", "-", "pending"],
    ];
    for (state, row) in states().iter().zip(expected) {
        for (event, name) in events().iter().zip(row) {
            let got = state.next(event).map_or("-", |next| next.name());
            assert_eq!(got, name, "{state:?} {event:?}");
        }
    }
}

#[test]
fn a_refusal_names_state_and_event() {
    let error = states()[1].next(&events()[0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a message that is delivered cannot be delivered"
    );
}

#[test]
fn only_failures_count_as_attempts() {
    let pending = &states()[0];
    let attempts = |event: &LedgerEvent| match pending.next(event).unwrap() {
        LedgerState::Pending { attempts, last, .. } => (attempts, last),
        other => panic!("{other:?}"),
    };
    assert_eq!(attempts(&events()[2]), (3, Some(Code::CrmRejected)));
    assert_eq!(attempts(&events()[3]), (2, Some(Code::CrmUnavailable)));
}

#[test]
fn a_replay_starts_over() {
    let replayed = states()[3].next(&LedgerEvent::Replay { now: NOW }).unwrap();
    assert_eq!(replayed, LedgerState::listed(NOW));
}

#[test]
fn attempts_never_wrap() {
    let pending = LedgerState::Pending {
        attempts: u32::MAX,
        not_before: NOW,
        last: None,
    };
    assert!(matches!(
        pending.next(&events()[2]),
        Ok(LedgerState::Pending {
            attempts: u32::MAX,
            ..
        })
    ));
}
