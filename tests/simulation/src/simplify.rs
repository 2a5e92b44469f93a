//! Scenarios made simpler, one change at a time; positions go on meaning the same mailboxes,
//! profiles and people.

use std::time::Duration;

use postroom_core::tracking::TrackingFilter;

use crate::action::{Action, AdminAction, Answer, Recipient, Scenario, Shape};
use crate::fault::Target;
use crate::setup::{Account, Protocol};

/// A change of something by position; `None` where there is nothing to change there.
pub type Change = fn(&Scenario, usize) -> Option<Scenario>;

/// What makes a scenario plainer.
pub const CHANGES: &[Change] = &[
    |scenario, at| mailbox(scenario, at, |own| own.filter = TrackingFilter::All),
    |scenario, at| mailbox(scenario, at, |own| own.delete_after_processing = false),
    |scenario, at| profile(scenario, at, |own| own.move_undelivered = false),
    |scenario, at| profile(scenario, at, |own| own.connections = 10),
    |scenario, at| profile(scenario, at, |own| own.polling_minutes = 5),
    |scenario, at| profile(scenario, at, |own| own.account = Account::Service),
    |scenario, at| profile(scenario, at, |own| own.protocol = Protocol::Memory),
    |scenario, at| step(scenario, at, one_recipient),
    |scenario, at| step(scenario, at, plain),
    |scenario, at| step(scenario, at, answers_nothing),
    |scenario, at| fault_once(scenario, at),
    |scenario, at| fault_briefly(scenario, at),
];

fn changed(scenario: &Scenario, change: impl FnOnce(&mut Scenario)) -> Option<Scenario> {
    let mut candidate = scenario.clone();
    change(&mut candidate);
    (candidate != *scenario).then_some(candidate)
}

fn mailbox(
    scenario: &Scenario,
    at: usize,
    change: fn(&mut crate::setup::MailboxSetup),
) -> Option<Scenario> {
    changed(scenario, |candidate| {
        candidate.setup.mailboxes.get_mut(at).map(change);
    })
}

fn profile(
    scenario: &Scenario,
    at: usize,
    change: fn(&mut crate::setup::ProfileSetup),
) -> Option<Scenario> {
    changed(scenario, |candidate| {
        candidate.setup.profiles.get_mut(at).map(change);
    })
}

fn step(scenario: &Scenario, at: usize, change: fn(&mut Action)) -> Option<Scenario> {
    changed(scenario, |candidate| {
        if let Some(step) = candidate.steps.get_mut(at) {
            change(&mut step.action);
        }
    })
}

fn one_recipient(action: &mut Action) {
    match action {
        Action::Deliver { to, .. } => to.truncate(1),
        Action::Write { to, .. } => to.truncate(1),
        Action::Client { .. } | Action::Admin(_) | Action::Restart { .. } | Action::Crash => {}
    }
}

fn plain(action: &mut Action) {
    if let Action::Deliver { shape, .. } = action {
        *shape = Shape::Plain;
    }
}

fn answers_nothing(action: &mut Action) {
    match action {
        Action::Deliver { answer, .. } => *answer = Answer::Nothing,
        Action::Write { answers, .. } => *answers = None,
        Action::Client { .. } | Action::Admin(_) | Action::Restart { .. } | Action::Crash => {}
    }
}

/// A fault that strikes at its first opportunity, and then no more.
fn fault_once(scenario: &Scenario, at: usize) -> Option<Scenario> {
    changed(scenario, |candidate| {
        if let Some(fault) = candidate.faults.get_mut(at) {
            fault.per_mille = 1000;
            fault.times = Some(1);
        }
    })
}

/// A fault for half the time.
fn fault_briefly(scenario: &Scenario, at: usize) -> Option<Scenario> {
    changed(scenario, |candidate| {
        if let Some(fault) = candidate.faults.get_mut(at) {
            let length = fault.until.saturating_sub(fault.from);
            if length > Duration::from_secs(60) {
                fault.until = fault.from + length / 2;
            }
        }
    })
}

/// Where a position comes to lie when one is left out; `None` for the one left out.
const fn moved(at: usize, left_out: usize) -> Option<usize> {
    if at == left_out {
        None
    } else if at > left_out {
        Some(at - 1)
    } else {
        Some(at)
    }
}

/// Without a mailbox, and what is done with it alone. One always remains.
#[must_use]
pub fn without_mailbox(scenario: &Scenario, out: usize) -> Option<Scenario> {
    if scenario.setup.mailboxes.len() < 2 || out >= scenario.setup.mailboxes.len() {
        return None;
    }
    let mut candidate = scenario.clone();
    candidate.setup.mailboxes.remove(out);
    candidate.steps.retain_mut(|step| match &mut step.action {
        Action::Deliver { to, .. } => {
            *to = to.iter().filter_map(|at| moved(*at, out)).collect();
            !to.is_empty()
        }
        Action::Write { from, to, .. } => {
            to.retain_mut(|recipient| match recipient {
                Recipient::Outside(_) => true,
                Recipient::Inside(at) => place(at, out),
            });
            !to.is_empty() && place(from, out)
        }
        Action::Client { mailbox, .. } => place(mailbox, out),
        Action::Admin(action) => mailbox_of(action).is_none_or(|at| place(at, out)),
        Action::Restart { .. } | Action::Crash => true,
    });
    candidate
        .faults
        .retain_mut(|fault| match &mut fault.target {
            Target::Mailbox(at) => place(at, out),
            Target::Everybody | Target::Profile(_) | Target::System(_) => true,
        });
    Some(candidate)
}

/// Without a profile that no mailbox uses.
#[must_use]
pub fn without_profile(scenario: &Scenario, out: usize) -> Option<Scenario> {
    let setup = &scenario.setup;
    let used = setup.mailboxes.iter().any(|mailbox| mailbox.profile == out);
    if used || out >= setup.profiles.len() {
        return None;
    }
    let mut candidate = scenario.clone();
    candidate.setup.profiles.remove(out);
    for mailbox in &mut candidate.setup.mailboxes {
        place(&mut mailbox.profile, out);
    }
    candidate.steps.retain_mut(|step| match &mut step.action {
        Action::Admin(action) => profile_of(action).is_none_or(|at| place(at, out)),
        _ => true,
    });
    candidate
        .faults
        .retain_mut(|fault| match &mut fault.target {
            Target::Profile(at) => place(at, out),
            Target::Everybody | Target::Mailbox(_) | Target::System(_) => true,
        });
    Some(candidate)
}

/// Without somebody outside who neither writes nor is written to. One always remains.
#[must_use]
pub fn without_contact(scenario: &Scenario, out: usize) -> Option<Scenario> {
    if scenario.setup.contacts.len() < 2 || out >= scenario.setup.contacts.len() {
        return None;
    }
    let mut candidate = scenario.clone();
    candidate.setup.contacts.remove(out);
    for step in &mut candidate.steps {
        let all = match &mut step.action {
            Action::Deliver { from, .. } => place(from, out),
            Action::Write { to, .. } => to.iter_mut().all(|recipient| match recipient {
                Recipient::Outside(at) => place(at, out),
                Recipient::Inside(_) => true,
            }),
            _ => true,
        };
        if !all {
            return None;
        }
    }
    Some(candidate)
}

/// Moves a position; answers whether it still is one.
fn place(at: &mut usize, out: usize) -> bool {
    match moved(*at, out) {
        Some(now) => {
            *at = now;
            true
        }
        None => false,
    }
}

const fn mailbox_of(action: &mut AdminAction) -> Option<&mut usize> {
    match action {
        AdminAction::Approve(at)
        | AdminAction::Reject(at)
        | AdminAction::ChangeAddress(at)
        | AdminAction::Active(at, _)
        | AdminAction::Incoming(at, _)
        | AdminAction::Outgoing(at, _)
        | AdminAction::Filter(at, _)
        | AdminAction::Test(at, _)
        | AdminAction::Sync(at)
        | AdminAction::TestConnection(at)
        | AdminAction::Walls(at)
        | AdminAction::PasswordOnServer(at)
        | AdminAction::PasswordTold(at) => Some(at),
        AdminAction::ProfileActive(..)
        | AdminAction::Polling(..)
        | AdminAction::Connections(..)
        | AdminAction::MoveUndelivered(..)
        | AdminAction::TestProfileConnection(_)
        | AdminAction::TestProfile(..)
        | AdminAction::Dismiss(_)
        | AdminAction::Replay(_)
        | AdminAction::Decide(..)
        | AdminAction::Explain(_)
        | AdminAction::Overview
        | AdminAction::IdleInterval(_) => None,
    }
}

const fn profile_of(action: &mut AdminAction) -> Option<&mut usize> {
    match action {
        AdminAction::ProfileActive(at, _)
        | AdminAction::Polling(at, _)
        | AdminAction::Connections(at, _)
        | AdminAction::MoveUndelivered(at, _)
        | AdminAction::TestProfileConnection(at)
        | AdminAction::TestProfile(at, _) => Some(at),
        _ => None,
    }
}

/// When something happens.
fn times(scenario: &Scenario) -> Vec<Duration> {
    let steps = scenario.steps.iter().map(|step| step.at);
    let faults = scenario
        .faults
        .iter()
        .flat_map(|fault| [fault.from, fault.until]);
    let mut times: Vec<Duration> = steps.chain(faults).chain([Duration::ZERO]).collect();
    times.sort_unstable();
    times.dedup();
    times
}

/// The moments after which nothing happens for a while, the longest pause first.
#[must_use]
pub fn pauses(scenario: &Scenario) -> Vec<Duration> {
    let times = times(scenario);
    let mut pauses: Vec<(Duration, Duration)> = times
        .windows(2)
        .map(|pair| (pair[1] - pair[0], pair[0]))
        .collect();
    pauses.sort_by_key(|(length, at)| (std::cmp::Reverse(*length), *at));
    pauses.into_iter().map(|(_, at)| at).collect()
}

/// Makes the pause after a moment that long, where it is longer.
#[must_use]
pub fn shorter(scenario: &Scenario, after: Duration, pause: Duration) -> Option<Scenario> {
    let next = times(scenario).into_iter().find(|at| *at > after)?;
    let by = (next - after).checked_sub(pause)?;
    let sooner = |at: &mut Duration| {
        if *at > after {
            *at -= by;
        }
    };
    changed(scenario, |candidate| {
        candidate
            .steps
            .iter_mut()
            .for_each(|step| sooner(&mut step.at));
        for fault in &mut candidate.faults {
            sooner(&mut fault.from);
            sooner(&mut fault.until);
        }
    })
}
