//! Promise 8, gates hold: no traffic without approval, test and permission, never more connections
//! and polls than allowed.
//!
//! The model of the gates is the oracle's own: what administrators did, not what the engine stored.

use std::collections::BTreeMap;
use std::time::Duration;

use postroom_core::mailbox::Workload;
use postroom_core::{MailboxId, ProfileId};

use super::Violation;
use super::facts::{Call, Facts};
use super::view::View;
use crate::history::{FaultClass, MailboxFacts, Side};

/// A cycle that is under way may go on for so long after its gate was closed.
const UNDER_WAY: Duration = Duration::from_secs(20 * 60);
/// A test that was asked for runs, or runs again after a restart, within this time.
const TEST_WITHIN: Duration = Duration::from_secs(2 * 60 * 60);
/// Two polls may be so much closer than the interval: clocks and rounding.
const ROUNDING: Duration = Duration::from_secs(2);

/// Checks the promise.
#[must_use]
pub fn check(view: &View, facts: &Facts) -> Vec<Violation> {
    let mut violations = closed(facts);
    violations.extend(connections(facts));
    violations.extend(polls(facts));
    violations.extend(enabled_untested(view, facts));
    violations
}

/// Whether configuration lets a workload be processed, apart from the test.
fn lets(mailbox: &MailboxFacts, workload: Workload) -> bool {
    let method = match workload {
        Workload::Incoming => mailbox.incoming,
        Workload::Outgoing => mailbox.outgoing,
        Workload::Items => false,
    };
    mailbox.active && mailbox.approved && method && mailbox.profile.is_some()
}

fn profile_lets(facts: &Facts, profile: ProfileId, from: Duration, until: Duration) -> bool {
    match facts.profiles.get(&profile) {
        Some(timeline) => Facts::in_force(timeline, from, until).any(|profile| profile.active),
        None => true,
    }
}

const fn switched_on(mailbox: &MailboxFacts, workload: Workload) -> bool {
    match workload {
        Workload::Incoming => mailbox.incoming_enabled,
        Workload::Outgoing => mailbox.outgoing_enabled,
        Workload::Items => false,
    }
}

/// When administrators last took back what a test had shown, up to a moment: another address,
/// profile or method, or switched off.
fn taken_back(
    facts: &Facts,
    mailbox: MailboxId,
    workload: Workload,
    until: Duration,
) -> Option<Duration> {
    let timeline = facts.mailboxes.get(&mailbox)?;
    let mut last = None;
    let mut known: Option<&MailboxFacts> = None;
    for (at, certain, now) in timeline {
        if !certain {
            continue;
        }
        if *at > until {
            break;
        }
        if known.is_some_and(|before| takes_back(before, now, workload)) {
            last = Some(*at);
        }
        known = Some(now);
    }
    last
}

/// When somebody began last to take it back, where nobody knows yet what came of it: the process died
/// meanwhile.
fn perhaps_taken_back(
    facts: &Facts,
    mailbox: MailboxId,
    workload: Workload,
    until: Duration,
) -> Option<Duration> {
    let timeline = facts.mailboxes.get(&mailbox)?;
    let mut begun = None;
    let mut known: Option<&MailboxFacts> = None;
    for (at, certain, now) in timeline.iter().take_while(|(at, _, _)| *at <= until) {
        if *certain {
            known = Some(now);
            begun = None;
        } else if known.is_some_and(|before| takes_back(before, now, workload)) {
            begun = Some(*at);
        }
    }
    begun
}

/// Whether a change takes back what a test has shown.
fn takes_back(before: &MailboxFacts, now: &MailboxFacts, workload: Workload) -> bool {
    let method = |facts: &MailboxFacts| match workload {
        Workload::Incoming => facts.incoming,
        Workload::Outgoing => facts.outgoing,
        Workload::Items => false,
    };
    before.address != now.address
        || before.profile != now.profile
        || method(before) != method(now)
        || switched_on(before, workload) && !switched_on(now, workload)
}

/// Whether a test that enables was asked for since the last time that its result was taken back.
fn tested(
    facts: &Facts,
    mailbox: MailboxId,
    workload: Workload,
    from: Duration,
    until: Duration,
) -> bool {
    let taken_back = taken_back(facts, mailbox, workload, from);
    facts
        .tests
        .get(&mailbox)
        .into_iter()
        .flatten()
        .any(|(at, enables)| {
            *enables && *at <= until && taken_back.is_none_or(|back| *at + TEST_WITHIN >= back)
        })
}

/// Whether a workload can have been open at some moment between two.
#[must_use]
pub fn open_sometime(
    facts: &Facts,
    mailbox: MailboxId,
    workload: Workload,
    from: Duration,
    until: Duration,
) -> bool {
    let Some(timeline) = facts.mailboxes.get(&mailbox) else {
        return false;
    };
    Facts::in_force(timeline, from, until).any(|one| {
        lets(one, workload)
            && one
                .profile
                .is_some_and(|profile| profile_lets(facts, profile, from, until))
    }) && tested(facts, mailbox, workload, from, until)
}

/// Whether a workload was open without interruption between two moments, switched on by a test that
/// nothing disturbed.
#[must_use]
pub fn always_open(
    facts: &Facts,
    mailbox: MailboxId,
    workload: Workload,
    from: Duration,
    until: Duration,
) -> bool {
    let Some(timeline) = facts.mailboxes.get(&mailbox) else {
        return false;
    };
    let profiles_open = |profile: ProfileId| {
        facts.profiles.get(&profile).is_none_or(|timeline| {
            Facts::in_force(timeline, from, until).all(|profile| profile.active)
        })
    };
    let open = Facts::in_force(timeline, from, until)
        .all(|one| lets(one, workload) && one.profile.is_some_and(profiles_open));
    open && well_tested(facts, mailbox, workload, until).is_some_and(|at| at + UNDER_WAY < from)
}

/// When the test was asked for that certainly switched the workload on, where nothing has switched
/// it off since.
fn well_tested(
    facts: &Facts,
    mailbox: MailboxId,
    workload: Workload,
    until: Duration,
) -> Option<Duration> {
    let taken_back = taken_back(facts, mailbox, workload, until)
        .max(perhaps_taken_back(facts, mailbox, workload, until));
    let accounts = facts.accounts_of(mailbox);
    let timeline = facts.mailboxes.get(&mailbox)?;
    let mut tests = facts.tests.get(&mailbox)?.iter();
    let test = tests.find(|(at, enables)| {
        let (from, end) = (at.saturating_sub(UNDER_WAY), *at + UNDER_WAY);
        let undisturbed = !facts.windows.iter().any(|window| {
            window.overlaps(from, end)
                && (window.facts.accounts.is_empty()
                    || accounts.iter().any(|account| window.concerns(account)))
        }) && !facts
            .crashes
            .iter()
            .any(|crash| *crash >= from && *crash <= end)
            && !facts
                .strikes
                .iter()
                .any(|strike| strike.at >= from && strike.at <= end)
            // While no engine runs, no test does.
            && !facts.stops.iter().any(|stop| stop >= at && *stop <= end);
        let open = Facts::in_force(timeline, *at, end).all(|one| lets(one, workload))
            && Facts::in_force(timeline, *at, end)
                .filter_map(|one| one.profile)
                .all(|profile| {
                    facts.profiles.get(&profile).is_none_or(|timeline| {
                        Facts::in_force(timeline, *at, end).all(|profile| profile.active)
                    })
                });
        *enables
            && *at <= until
            && taken_back.is_none_or(|back| *at > back)
            && undisturbed
            && open
            && knows_password(facts, mailbox, *at)
            // Nothing came after that only a person can mend.
            && !accounts
                .iter()
                .any(|account| facts.faulted(account, &[FaultClass::Permanent], *at, until))
            && !password_changes(facts, mailbox).any(|changed| changed > *at && changed <= until)
    })?;
    Some(test.0)
}

/// When the passwords were changed that may open a mailbox.
fn password_changes(facts: &Facts, mailbox: MailboxId) -> impl Iterator<Item = Duration> {
    let own = facts.accounts_of(mailbox);
    facts.passwords.iter().filter_map(move |(at, login)| {
        // That of a service account may open any mailbox.
        let others = facts.mailboxes_at(login);
        let concerned = others.is_empty() || own.iter().any(|one| one.eq_ignore_ascii_case(login));
        concerned.then_some(*at)
    })
}

/// Whether a test at that moment had the password that the server wants: each change was told, by
/// a call that tests the mailbox, too.
fn knows_password(facts: &Facts, mailbox: MailboxId, test: Duration) -> bool {
    let tests = facts.tests.get(&mailbox).map(Vec::as_slice);
    password_changes(facts, mailbox)
        .filter(|changed| *changed <= test)
        .all(|changed| {
            facts.admin.values().any(|(began, action, ended)| {
                action.starts_with("PasswordTold")
                    && *began > changed
                    && *began <= test
                    && tests
                        .unwrap_or_default()
                        .iter()
                        .any(|(at, _)| at >= began && ended.is_some_and(|ended| *at <= ended))
            })
        })
}

/// Whether a workload must be switched on and well at the end: its gate is open, it was switched on
/// in peace, and nothing that only a person can mend came after.
#[must_use]
pub fn healthy_at_end(view: &View, facts: &Facts, mailbox: MailboxId, workload: Workload) -> bool {
    let Some(now) = facts.mailbox_now(mailbox) else {
        return false;
    };
    let profile_open = now
        .profile
        .is_some_and(|id| facts.profile_now(id).is_none_or(|profile| profile.active));
    lets(now, workload) && profile_open && must_be_enabled(facts, mailbox, workload, view.now)
}

/// Whether a workload must be switched on at a moment, whatever its gate says.
#[must_use]
pub fn must_be_enabled(
    facts: &Facts,
    mailbox: MailboxId,
    workload: Workload,
    at: Duration,
) -> bool {
    well_tested(facts, mailbox, workload, at).is_some_and(|test| test + UNDER_WAY < at)
}

/// Traffic behind a closed gate.
fn closed(facts: &Facts) -> Vec<Violation> {
    let mut violations = Vec::new();
    for call in facts
        .calls
        .iter()
        .filter(|call| call.side == Side::Provider)
    {
        let Some(workload) = call.workload() else {
            continue;
        };
        let from = call.from.saturating_sub(UNDER_WAY);
        if open_sometime(facts, call.mailbox, workload, from, call.from)
            || under_test(facts, call, workload)
        {
            continue;
        }
        let text = format!(
            "{} of the mailbox {} at {:?}, whose {workload} email is not open",
            call.operation, call.mailbox, call.from
        );
        violations.push(Violation::new(8, text));
    }
    violations
}

/// Whether the call may be a test's: asked for lately, where processing would be approved.
fn under_test(facts: &Facts, call: &Call, workload: Workload) -> bool {
    let from = call.from.saturating_sub(TEST_WITHIN);
    let asked = facts
        .tests
        .get(&call.mailbox)
        .into_iter()
        .flatten()
        .any(|(at, _)| *at <= call.from && *at >= from);
    let may = facts.mailboxes.get(&call.mailbox).is_some_and(|timeline| {
        Facts::in_force(timeline, call.from.saturating_sub(UNDER_WAY), call.from)
            .any(|one| lets(one, workload))
    });
    asked && may
}

/// More requests at once than allowed.
fn connections(facts: &Facts) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut edges: BTreeMap<_, Vec<(Duration, i32)>> = BTreeMap::new();
    for call in facts
        .calls
        .iter()
        .filter(|call| call.side == Side::Provider)
    {
        let per_mailbox = facts
            .profile_now(call.profile)
            .is_some_and(|profile| profile.per_mailbox);
        let key = (call.profile, per_mailbox.then_some(call.mailbox));
        let until = call.until.unwrap_or(Duration::MAX);
        let edges = edges.entry(key).or_default();
        edges.push((call.from, 1));
        edges.push((until, -1));
    }
    for ((profile, mailbox), mut edges) in edges {
        let Some(timeline) = facts.profiles.get(&profile) else {
            continue;
        };
        // What ends at a moment ends before what begins then.
        edges.sort_unstable();
        let mut open = 0;
        for (at, step) in edges {
            open += step;
            if step < 0 {
                continue;
            }
            let max = Facts::in_force(timeline, at.saturating_sub(UNDER_WAY), at)
                .map(|profile| i32::from(profile.connections_max))
                .max();
            if max.is_some_and(|max| open > max) {
                let text = format!(
                    "{open} requests at once at {at:?} to {profile} {mailbox:?}; {max:?} are allowed"
                );
                violations.push(Violation::new(8, text));
                break;
            }
        }
    }
    violations
}

/// Polls that follow each other sooner than the profile allows, where nothing explains it.
fn polls(facts: &Facts) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut last: BTreeMap<MailboxId, &Call> = BTreeMap::new();
    let mut troubled: BTreeMap<MailboxId, Duration> = BTreeMap::new();
    let mut busy: BTreeMap<MailboxId, Duration> = BTreeMap::new();
    for call in facts
        .calls
        .iter()
        .filter(|call| call.side == Side::Provider)
    {
        if call.workload() != Some(Workload::Incoming) {
            continue;
        }
        if call.operation != "changes" {
            // Within a cycle with work to do pages follow each other.
            busy.insert(call.mailbox, call.from);
            note_trouble(call, &mut troubled);
            continue;
        }
        if let Some(before) = last.insert(call.mailbox, call) {
            let gap = call.from.saturating_sub(before.from);
            let quiet = busy.get(&call.mailbox).is_none_or(|at| *at < before.from)
                && troubled
                    .get(&call.mailbox)
                    .is_none_or(|at| *at < before.from)
                && before.is_ok()
                && before.failed.is_empty();
            let interval = facts.profiles.get(&call.profile).and_then(|timeline| {
                Facts::in_force(timeline, before.from.saturating_sub(UNDER_WAY), call.from)
                    .map(|profile| profile.polling_interval_min)
                    .min()
            });
            let same_cycle = gap < Duration::from_millis(1);
            if let Some(interval) = interval
                && quiet
                && !same_cycle
                && gap + ROUNDING < interval
                && !asked_for(facts, call.mailbox, before.from, call.from)
            {
                let text = format!(
                    "{} was polled at {:?} and again after {gap:?}; the interval is {interval:?}",
                    call.mailbox, before.from
                );
                violations.push(Violation::new(8, text));
            }
        }
        note_trouble(call, &mut troubled);
    }
    violations
}

fn note_trouble(call: &Call, troubled: &mut BTreeMap<MailboxId, Duration>) {
    if !call.is_ok() || !call.failed.is_empty() {
        troubled.insert(call.mailbox, call.until.unwrap_or(call.from).max(call.from));
    }
}

/// Whether anything between two moments is a reason to poll at once.
fn asked_for(facts: &Facts, mailbox: MailboxId, from: Duration, until: Duration) -> bool {
    let early = from.saturating_sub(Duration::from_secs(60));
    let within = |at: Duration| at >= early && at <= until;
    let accounts = facts.accounts_of(mailbox);
    facts.syncs.get(&mailbox).into_iter().flatten().any(|at| within(*at))
        // A test opens the Inbox by itself, and what it enables is due at once.
        || facts.tests.get(&mailbox).into_iter().flatten().any(|(at, _)| {
            *at <= until && *at + TEST_WITHIN >= from
        })
        || facts.replays.iter().any(|(at, _)| within(*at))
        || facts.admin.values().any(|(began, _, ended)| {
            *began <= until && ended.is_none_or(|end| end >= early)
        })
        || facts.starts.iter().chain(&facts.crashes).any(|at| within(*at))
        || facts.jumps.iter().any(|(at, _)| within(*at))
        || facts.mailboxes.get(&mailbox).into_iter().flatten().any(|(at, _, _)| within(*at))
        || facts.profiles.values().flatten().any(|(at, _, _)| within(*at))
        || facts.strikes.iter().any(|strike| within(strike.at))
        // A message that failed is tried again in a cycle of its own.
        || accounts.iter().any(|account| {
            let classes = [FaultClass::Item, FaultClass::Local, FaultClass::Process];
            facts.faulted(account, &classes, from.saturating_sub(TEST_WITHIN), until)
                || facts.poisoned.values().flatten().any(|(at, one)| {
                    *at <= until && one.as_deref().is_none_or(|one| one.eq_ignore_ascii_case(account))
                })
        })
}

/// Switched on without anything that can have been a successful test.
fn enabled_untested(view: &View, facts: &Facts) -> Vec<Violation> {
    let probed = facts.calls.iter().any(|call| call.side == Side::Provider);
    if !probed {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for mailbox in &view.mailboxes {
        for workload in [Workload::Incoming, Workload::Outgoing] {
            if !mailbox.workload(workload).enabled {
                continue;
            }
            let since = taken_back(facts, mailbox.id, workload, view.now).unwrap_or_default();
            let since = since.saturating_sub(TEST_WITHIN);
            let worked = facts.calls.iter().any(|call| {
                call.mailbox == mailbox.id
                    && call.side == Side::Provider
                    && call.workload() == Some(workload)
                    && call.is_ok()
                    && call.until.is_some_and(|end| end >= since)
            });
            if !worked {
                let text = format!(
                    "{workload} email of {} is switched on, and nothing ever worked there",
                    mailbox.id
                );
                violations.push(Violation::new(8, text));
            }
        }
    }
    violations
}

#[cfg(test)]
#[path = "gates_tests.rs"]
mod tests;
