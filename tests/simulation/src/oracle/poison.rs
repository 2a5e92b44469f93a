//! Promise 6, poison is cheap: a bad message costs three attempts and holds up nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use postroom_core::ledger::LedgerState;
use postroom_core::mailbox::Workload;

use super::Violation;
use super::facts::Facts;
use super::gates;
use super::view::View;
use crate::history::{FaultClass, Side};

/// Attempts with one message.
const ATTEMPTS_MAX: usize = 3;
/// A message is read within this time of its arrival where nothing but poison is in its way.
const READ_WITHIN: Duration = Duration::from_secs(90 * 60);

/// Checks the promise.
#[must_use]
pub fn check(view: &View, facts: &Facts) -> Vec<Violation> {
    let mut violations = attempts(view, facts);
    violations.extend(held_up(view, facts));
    violations.extend(stopped(view, facts));
    violations
}

/// How often the server was asked in vain for each message.
fn attempts(view: &View, facts: &Facts) -> Vec<Violation> {
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for call in facts
        .calls
        .iter()
        .filter(|call| call.side == Side::Provider)
    {
        if !matches!(call.operation.as_str(), "headers" | "fetch") {
            continue;
        }
        for (item, code) in &call.failed {
            if code == "item-corrupt" || code == "message-malformed" {
                let key = (call.mailbox, item.as_str(), call.operation.as_str());
                *counts.entry(key).or_default() += 1;
            }
        }
    }
    // An attempt whose outcome could not be written down is made again.
    let unsettled = facts.crashes.len()
        + facts
            .strikes
            .iter()
            .filter(|strike| matches!(strike.class, FaultClass::Local | FaultClass::Process))
            .count();
    counts
        .into_iter()
        .filter_map(|((mailbox, item, operation), count)| {
            let replays = facts
                .replays
                .iter()
                .filter(|(_, id)| {
                    view.ledger
                        .iter()
                        .any(|row| row.id == *id && row.mailbox == mailbox)
                })
                .count();
            // A backup brings a message that was set aside back into the Inbox: it is a new one.
            let returns: usize = facts
                .accounts_of(mailbox)
                .iter()
                .filter_map(|account| facts.replaced.get(*account))
                .map(Vec::len)
                .sum();
            // Both workloads of one message: a poisoned page is asked for once as a whole.
            let allowed = ATTEMPTS_MAX * (1 + replays + returns) + unsettled;
            (count > allowed).then(|| {
                let text = format!(
                    "{operation} of {item} in {mailbox} failed {count} times, {allowed} are allowed"
                );
                Violation::new(6, text)
            })
        })
        .collect()
}

/// Messages that were not read in time beside poisoned ones.
fn held_up(view: &View, facts: &Facts) -> Vec<Violation> {
    let probed = facts.calls.iter().any(|call| !call.items.is_empty());
    if facts.poisoned.is_empty() || !probed {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for life in facts.lives.iter().filter(|life| life.folder == "Inbox") {
        let until = life.from + READ_WITHIN;
        let stayed = life.until.is_none_or(|(end, _)| end > until) && view.now > until;
        let beside = facts.lives.iter().any(|other| {
            other.account == life.account && facts.is_poisoned(&other.account, &other.marker)
        });
        if !stayed || !beside || facts.is_poisoned(&life.account, &life.marker) {
            continue;
        }
        for mailbox in facts.mailboxes_at(&life.account) {
            let open = gates::always_open(facts, mailbox, Workload::Incoming, life.from, until);
            if !open || disturbed(facts, life.from.saturating_sub(READ_WITHIN), until) {
                continue;
            }
            let read = facts.calls.iter().any(|call| {
                call.mailbox == mailbox
                    && matches!(call.operation.as_str(), "headers" | "fetch")
                    && call.from >= life.from
                    && call.from <= until
                    && call.items.contains(&life.remote)
            });
            if !read {
                let text = format!(
                    "{} ({} of {}) was not read within {READ_WITHIN:?} of its arrival at {:?}, beside \
                     a poisoned message",
                    life.marker, life.remote, life.account, life.from
                );
                violations.push(Violation::new(6, text));
            }
        }
    }
    violations
}

/// Whether anything but poison disturbed the run.
fn disturbed(facts: &Facts, from: Duration, until: Duration) -> bool {
    let within = |at: Duration| at >= from && at <= until;
    facts
        .windows
        .iter()
        .any(|window| window.facts.class != FaultClass::Item && window.overlaps(from, until))
        || facts
            .crashes
            .iter()
            .chain(&facts.starts)
            .any(|at| within(*at))
        || facts.jumps.iter().any(|(at, _)| within(*at))
        || facts
            .strikes
            .iter()
            .any(|strike| strike.class != FaultClass::Item && within(strike.at))
        || facts.replaced.values().flatten().any(|at| within(*at))
}

/// At the end nothing in a mailbox waits because of poison.
fn stopped(view: &View, facts: &Facts) -> Vec<Violation> {
    if !view.settled {
        return Vec::new();
    }
    let poisoned = |account: &str| {
        facts.poisoned.values().flatten().any(|(_, one)| {
            one.as_deref()
                .is_none_or(|one| one.eq_ignore_ascii_case(account))
        })
    };
    let mut violations = Vec::new();
    for row in &view.ledger {
        let waits = matches!(row.state, LedgerState::Pending { .. });
        let old = view.age(row.first_seen) > super::liveness::ROW_AGE_MAX;
        let accounts = facts.accounts_of(row.mailbox);
        if waits
            && old
            && accounts.iter().any(|account| poisoned(account))
            && gates::healthy_at_end(view, facts, row.mailbox, Workload::Incoming)
        {
            let text = format!(
                "row {} ({}) of {} still waits in a mailbox with a poisoned message",
                row.id, row.remote, row.mailbox
            );
            violations.push(Violation::new(6, text));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use postroom_core::Timestamp;

    use super::*;
    use crate::oracle::fixture::{DESK, World};

    fn texts(world: &World) -> Vec<String> {
        let facts = Facts::of(&world.view.history);
        check(&world.view, &facts)
            .into_iter()
            .map(|violation| violation.text)
            .collect()
    }

    #[test]
    fn a_good_world_is_good() {
        assert_eq!(texts(&World::good()), Vec::<String>::new());
    }

    #[test]
    fn a_fourth_attempt() {
        let mut world = World::good();
        world.poison(DESK, "m1");
        for _ in 0..3 {
            world.fetch_fails("i1");
        }
        assert_eq!(texts(&world), Vec::<String>::new());
        world.fetch_fails("i1");
        assert!(texts(&world)[0].contains("failed 4 times"));
    }

    #[test]
    fn a_message_beside_a_poisoned_one_is_read_in_time() {
        let mut world = World::good();
        world.poison(DESK, "m1");
        world.arrives("m5", "i5", "Inbox");
        world.fetch(&["i5"]);
        assert_eq!(texts(&world), Vec::<String>::new());
        world.view.history.pop();
        world.view.history.pop();
        world.fetch(&["i6"]);
        assert!(texts(&world)[0].contains("was not read"));
    }

    #[test]
    fn nothing_waits_for_ever_beside_poison() {
        let mut world = World::good();
        world.poison(DESK, "m1");
        world.row_mut("i1").state = LedgerState::listed(Timestamp::EPOCH);
        assert!(texts(&world)[0].contains("still waits"));
    }
}
