//! Things settle: within a bound after the faults stop everything is delivered, nothing is stuck, and
//! whoever should be well is well.

use std::time::Duration;

use postroom_core::alert::Subject;
use postroom_core::catalogue::Class;
use postroom_core::health::Health;
use postroom_core::ledger::LedgerState;
use postroom_core::mailbox::Workload;
use postroom_core::outbox::OutboxState;

use super::Violation;
use super::facts::Facts;
use super::gates;
use super::view::View;

/// A row waits at most so long once nothing is in its way: three attempts fit into half an hour.
pub const ROW_AGE_MAX: Duration = Duration::from_secs(2 * 60 * 60);
/// A workload that is well has run at least so lately.
const RAN_WITHIN: Duration = Duration::from_secs(2 * 60 * 60);

/// Checks that things have settled; before that there is nothing to say.
#[must_use]
pub fn check(view: &View, facts: &Facts) -> Vec<Violation> {
    if !view.settled {
        return Vec::new();
    }
    let mut violations = mailboxes(view, facts);
    violations.extend(rows(view, facts));
    violations.extend(outbox(view, facts));
    violations.extend(alerts(view, facts));
    violations
}

fn mailboxes(view: &View, facts: &Facts) -> Vec<Violation> {
    let mut violations = Vec::new();
    for mailbox in &view.mailboxes {
        for workload in [Workload::Incoming, Workload::Outgoing] {
            if !gates::healthy_at_end(view, facts, mailbox.id, workload) {
                continue;
            }
            let state = mailbox.workload(workload);
            let mut wrong = |what: String| {
                let text = format!("{workload} email of {}: {what}", mailbox.id);
                violations.push(Violation::new(0, text));
            };
            if state.health != Health::Healthy {
                wrong(format!("is not well: {:?}", state.health));
            }
            let ran = state
                .last_succeeded
                .is_some_and(|at| view.age(at) <= RAN_WITHIN);
            if !ran {
                wrong(format!(
                    "has not run lately: last {:?}, due {:?}, now {}",
                    state.last_succeeded, state.next_due, view.clock
                ));
            }
        }
    }
    violations
}

fn rows(view: &View, facts: &Facts) -> Vec<Violation> {
    view.ledger
        .iter()
        .filter(|row| matches!(row.state, LedgerState::Pending { .. }))
        .filter(|row| view.age(row.first_seen) > ROW_AGE_MAX)
        .filter(|row| gates::healthy_at_end(view, facts, row.mailbox, Workload::Incoming))
        .map(|row| {
            let text = format!(
                "row {} ({}) still waits: {:?}",
                row.id, row.remote, row.state
            );
            Violation::new(0, text)
        })
        .collect()
}

fn outbox(view: &View, facts: &Facts) -> Vec<Violation> {
    let mut violations = Vec::new();
    let late = |at: Duration| view.now.saturating_sub(at) > ROW_AGE_MAX;
    for (marker, written) in &facts.written {
        let Some(mailbox) = written.mailbox else {
            continue;
        };
        let again = facts
            .decided
            .iter()
            .filter(|(_, record, _)| *record == written.record)
            .map(|(at, _, _)| *at)
            .max();
        if !late(again.unwrap_or(written.at))
            || !gates::healthy_at_end(view, facts, mailbox, Workload::Outgoing)
        {
            continue;
        }
        let status = view
            .record(written.record)
            .map_or("nothing", |record| record.status.as_str());
        if !matches!(status, "sent" | "failed" | "unknown" | "canceled") {
            let entry = view
                .outbox
                .iter()
                .find(|entry| entry.record == Some(written.record))
                .map(|entry| &entry.state);
            let text = format!(
                "{marker} (record {}) is {status}: {entry:?}",
                written.record
            );
            violations.push(Violation::new(0, text));
        }
    }
    for entry in &view.outbox {
        let waits = matches!(
            entry.state,
            OutboxState::PendingSend { .. } | OutboxState::Sending { .. }
        );
        // A test's message waits for nothing: it is sent or given up with the test.
        if waits
            && entry.record.is_none()
            && gates::healthy_at_end(view, facts, entry.mailbox, Workload::Outgoing)
        {
            let text = format!(
                "Postroom's own message {} waits: {:?}",
                entry.id, entry.state
            );
            violations.push(Violation::new(0, text));
        }
    }
    violations
}

/// What went away by itself is no longer told.
fn alerts(view: &View, facts: &Facts) -> Vec<Violation> {
    view.alerts
        .iter()
        .filter(|alert| alert.closed_at.is_none())
        .filter(|alert| alert.incident.code.spec().class == Class::Transient)
        .filter(|alert| match alert.incident.subject {
            Subject::Mailbox(id) => {
                let well = |workload| gates::healthy_at_end(view, facts, id, workload);
                match alert.incident.workload {
                    Some(workload) => well(workload),
                    None => well(Workload::Incoming) && well(Workload::Outgoing),
                }
            }
            Subject::Profile(id) => {
                let mut of_profile = view
                    .mailboxes
                    .iter()
                    .filter(|mailbox| mailbox.profile == Some(id))
                    .peekable();
                of_profile.peek().is_some()
                    && of_profile.all(|mailbox| {
                        [Workload::Incoming, Workload::Outgoing]
                            .into_iter()
                            .all(|w| gates::healthy_at_end(view, facts, mailbox.id, w))
                    })
            }
            _ => false,
        })
        .map(|alert| {
            let text = format!(
                "an alert is still open, and its cause is gone: {} about {:?} {:?}",
                alert.incident.code, alert.incident.subject, alert.incident.workload
            );
            Violation::new(0, text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use postroom_core::{Code, Timestamp};

    use super::*;
    use crate::oracle::fixture::World;

    fn texts(world: &World) -> Vec<String> {
        let facts = Facts::of(&world.view.history);
        check(&world.view, &facts)
            .into_iter()
            .map(|violation| violation.text)
            .collect()
    }

    fn complains(change: impl FnOnce(&mut World), of: &str) {
        let mut world = World::good();
        change(&mut world);
        let found = texts(&world);
        assert!(found.iter().any(|text| text.contains(of)), "{found:?}");
        world.view.settled = false;
        assert_eq!(texts(&world), Vec::<String>::new(), "there is still time");
    }

    #[test]
    fn a_good_world_is_good() {
        assert_eq!(texts(&World::good()), Vec::<String>::new());
    }

    #[test]
    fn who_should_be_well_is_well() {
        complains(
            |world| {
                world.view.mailboxes[0].incoming.health = Health::Retrying {
                    code: Code::ServerBusy,
                    failures: 1,
                    since: Timestamp::EPOCH,
                };
            },
            "is not well",
        );
        complains(
            |world| world.view.mailboxes[0].incoming.last_succeeded = Some(Timestamp::EPOCH),
            "has not run lately",
        );
    }

    #[test]
    fn nothing_waits_for_ever() {
        complains(
            |world| world.row_mut("i1").state = LedgerState::listed(Timestamp::EPOCH),
            "still waits",
        );
        complains(
            |world| world.record_mut("w1").status = "pending_send".to_owned(),
            "is pending_send",
        );
        complains(
            |world| {
                let mut test = world.view.outbox[0].clone();
                test.record = None;
                test.state = OutboxState::pending(Timestamp::EPOCH);
                world.view.outbox.push(test);
            },
            "own message",
        );
    }

    #[test]
    fn what_is_over_is_no_longer_told() {
        complains(
            |world| world.alert(Code::ServerUnavailable, ""),
            "still open",
        );
    }
}
