//! What the museum's defects showed to be looked at too little: patience with a server that is away
//! or asks for a wait (promises 9 and 8), tokens that stand for one email only (promise 2), tests that
//! come to an end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use postroom_core::mailbox::Workload;
use postroom_core::{MailboxId, ProfileId};

use super::Violation;
use super::facts::Facts;
use super::view::View;
use crate::history::{Event, FaultClass, Side};

/// A server that is away is asked at most so often in an hour for each workload: every five minutes
/// at first, every quarter of an hour later, and some more for what people ask for.
const CALLS_AN_HOUR: u64 = 14;
/// How many calls more at the beginning of an outage, when the waits are still short.
const CALLS_AT_FIRST: u64 = 30;
/// Outages shorter than this say nothing.
const OUTAGE_MIN: Duration = Duration::from_secs(60 * 60);
/// Shorter waits than this cannot be told from usual ones.
const HINT_MIN: Duration = Duration::from_secs(60);
/// Nobody believes a server that asks for more.
const HINT_MAX: Duration = Duration::from_secs(60 * 60);
/// What was asked for by people explains calls for so long.
const ASKED_FOR: Duration = Duration::from_secs(2 * 60 * 60);

/// Checks all of it.
#[must_use]
pub fn check(view: &View, facts: &Facts) -> Vec<Violation> {
    let mut violations = outages(view, facts);
    violations.extend(hints(view, facts));
    violations.extend(tokens(view));
    if view.settled {
        violations.extend(view.open_jobs.iter().map(|job| {
            let text = format!("the test {job} was asked for and never came to an end");
            Violation::new(0, text)
        }));
    }
    violations
}

/// How often a server was asked that was away.
fn outages(view: &View, facts: &Facts) -> Vec<Violation> {
    let mut violations = Vec::new();
    for window in facts.windows.iter().filter(|w| w.facts.name == "outage") {
        let (from, until) = (window.from, window.until.unwrap_or(view.now));
        let length = until.saturating_sub(from);
        if length < OUTAGE_MIN {
            continue;
        }
        let mut counts: BTreeMap<(MailboxId, Workload), u64> = BTreeMap::new();
        let mut of_profiles: BTreeMap<ProfileId, (BTreeSet<MailboxId>, u64)> = BTreeMap::new();
        for call in facts
            .calls
            .iter()
            .filter(|call| call.side == Side::Provider)
        {
            if call.from >= from
                && call.from < until
                && !call.is_ok()
                && let Some(workload) = call.workload()
                && facts
                    .accounts_of(call.mailbox)
                    .iter()
                    .any(|one| window.concerns(one))
            {
                *counts.entry((call.mailbox, workload)).or_default() += 1;
                let (mailboxes, count) = of_profiles.entry(call.profile).or_default();
                mailboxes.insert(call.mailbox);
                *count += 1;
            }
        }
        let allowed = CALLS_AT_FIRST + length.as_secs() * CALLS_AN_HOUR / 3600;
        for ((mailbox, workload), count) in counts.into_iter().filter(|(_, n)| *n > allowed) {
            let text = format!(
                "{workload} email of {mailbox} asked a server that was away for {length:?} \
                 {count} times; {allowed} are allowed"
            );
            violations.push(Violation::new(9, text));
        }
        // One mailbox asks for all of its profile, once it is known to be away.
        let of_all = length.as_secs() * CALLS_AN_HOUR / 3600;
        for (profile, (mailboxes, count)) in of_profiles {
            let allowed = CALLS_AT_FIRST * mailboxes.len() as u64 + of_all;
            if count > allowed {
                let text = format!(
                    "mailboxes of {profile} asked a server that was away for {length:?} {count} \
                     times; {allowed} are allowed"
                );
                violations.push(Violation::new(9, text));
            }
        }
    }
    violations
}

/// Polls before the time that the server asked for.
fn hints(view: &View, facts: &Facts) -> Vec<Violation> {
    let mut open: BTreeMap<u32, (&str, Duration)> = BTreeMap::new();
    let mut asked: Vec<(Duration, MailboxId, Duration)> = Vec::new();
    for entry in &view.history {
        match &entry.event {
            Event::FaultBegan(fault) => {
                if let Some(hint) = fault.hint {
                    open.insert(fault.window, (&fault.name, hint));
                }
            }
            Event::FaultEnded { window } => {
                open.remove(window);
            }
            Event::FaultStruck {
                name,
                operation,
                mailbox: Some(mailbox),
                ..
            } if is_poll(operation) => {
                let hints = open.values().filter(|(fault, _)| fault == name);
                if let Some(hint) = hints.map(|(_, hint)| *hint).min()
                    && hint >= HINT_MIN
                {
                    asked.push((entry.at, *mailbox, hint.min(HINT_MAX)));
                }
            }
            _ => {}
        }
    }
    let mut violations = Vec::new();
    for (at, mailbox, hint) in asked {
        let end = (at + hint).saturating_sub(Duration::from_secs(5));
        let sooner = facts.calls.iter().find(|call| {
            call.mailbox == mailbox
                && call.side == Side::Provider
                && call.workload() == Some(Workload::Incoming)
                && call.from > at + Duration::from_secs(5)
                && call.from < end
        });
        if let Some(sooner) = sooner
            && !excused(facts, mailbox, at, sooner.from)
        {
            let text = format!(
                "{mailbox} was asked at {at:?} to wait for {hint:?}, and asked again at {:?}",
                sooner.from
            );
            violations.push(Violation::new(8, text));
        }
    }
    violations
}

fn is_poll(operation: &str) -> bool {
    matches!(
        operation,
        "SyncFolderItems" | "GetFolder" | "mail.changes" | "mail.find_folder"
    )
}

/// Whether people, a restart, the clock or the own disk made the wait void.
fn excused(facts: &Facts, mailbox: MailboxId, from: Duration, until: Duration) -> bool {
    let early = from.saturating_sub(ASKED_FOR);
    let within = |at: Duration| at >= early && at <= until;
    facts
        .syncs
        .get(&mailbox)
        .into_iter()
        .flatten()
        .any(|at| within(*at))
        || facts
            .tests
            .get(&mailbox)
            .into_iter()
            .flatten()
            .any(|(at, _)| within(*at))
        || facts
            .admin
            .values()
            .any(|(began, _, ended)| *began <= until && ended.is_none_or(|end| end >= early))
        || facts
            .starts
            .iter()
            .chain(&facts.crashes)
            .any(|at| within(*at))
        || facts.jumps.iter().any(|(at, _)| within(*at))
        || facts.strikes.iter().any(|strike| {
            matches!(strike.class, FaultClass::Local | FaultClass::Process) && within(strike.at)
        })
}

/// A token is one email's: otherwise answers reach the wrong record.
fn tokens(view: &View) -> Vec<Violation> {
    let mut holders: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, token) in &view.tokens {
        *holders.entry(token).or_default() += 1;
    }
    holders
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(token, count)| {
            Violation::new(
                2,
                format!("{count} emails were sent with the token {token}"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use postroom_core::RecordId;

    use super::*;
    use crate::history::{CallEnd, FaultFacts};
    use crate::oracle::fixture::{World, minutes};

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
    fn a_server_that_is_away_is_asked_seldom() {
        let asked = |times: u64, of_both: bool| {
            let mut world = World::good();
            let began = minutes(600);
            let window = FaultFacts {
                window: 1,
                name: "outage".to_owned(),
                class: FaultClass::Transient,
                accounts: Vec::new(),
                hint: None,
            };
            world.push(began, Event::FaultBegan(window));
            for time in 0..times {
                let mailbox = match of_both && time % 2 == 1 {
                    true => world.ada,
                    false => world.desk,
                };
                let code = "server-unavailable".to_owned();
                let end = CallEnd::Failed { code };
                let at = began + Duration::from_secs(time * 10);
                world.call(at, mailbox, "mail.changes", end);
            }
            world.push(began + minutes(120), Event::FaultEnded { window: 1 });
            texts(&world)
        };
        let none = Vec::<String>::new();
        assert_eq!(asked(58, false), none);
        assert!(asked(59, false)[0].contains("59 times"));
        assert_eq!(asked(88, true), none);
        assert!(asked(89, true)[0].contains("mailboxes of"));
    }

    #[test]
    fn a_token_of_two_emails_and_a_test_without_an_end() {
        let mut world = World::good();
        for n in [1, 2] {
            let record = RecordId::from_random([n; 16]);
            world.view.tokens.push((record, "CRM:001001".to_owned()));
        }
        world.view.open_jobs.push("j1".to_owned());
        let found = texts(&world);
        assert!(found[0].contains("2 emails"), "{found:?}");
        assert!(found[1].contains("never came"), "{found:?}");
    }
}
