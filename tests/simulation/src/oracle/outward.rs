//! Promise 3, at most one visible send: what recipients saw, and what the application was told.

use postroom_core::outbox::OutboxState;

use super::Violation;
use super::facts::{Facts, Written};
use super::view::View;
use crate::history::FaultClass;

/// Checks the promise.
#[must_use]
pub fn check(view: &View, facts: &Facts) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (marker, written) in &facts.written {
        email(view, facts, marker, written, &mut violations);
    }
    entries(view, &mut violations);
    violations
}

/// How often the recipient who saw it most often saw it.
#[must_use]
pub fn seen(view: &View, facts: &Facts, marker: &str, written: &Written) -> usize {
    let outside = written.outside.iter().map(|to| {
        view.outside
            .iter()
            .filter(|message| message.marker.as_deref() == Some(marker))
            .filter(|message| {
                message
                    .recipients
                    .iter()
                    .any(|one| one.eq_ignore_ascii_case(to))
            })
            .count()
    });
    let inside = written.inside.iter().map(|to| {
        let key = (to.clone(), marker.to_owned());
        match facts.brought.get(&key) {
            Some(count) => usize::try_from(*count).unwrap_or(usize::MAX),
            None => view
                .copies
                .iter()
                .filter(|copy| copy.account.eq_ignore_ascii_case(to))
                .filter(|copy| copy.marker.as_deref() == Some(marker))
                .filter(|copy| !is_senders(&copy.folder))
                .count(),
        }
    });
    outside.chain(inside).max().unwrap_or_default()
}

/// A folder in which the sender's own copies lie.
fn is_senders(folder: &str) -> bool {
    matches!(folder, "SentItems" | "Drafts" | "Outbox")
}

fn email(
    view: &View,
    facts: &Facts,
    marker: &str,
    written: &Written,
    violations: &mut Vec<Violation>,
) {
    let decisions = |what: &str| {
        facts
            .decided
            .iter()
            .filter(|(_, record, decision)| *record == written.record && decision == what)
            .count()
    };
    let mut wrong = |what: String| {
        let text = format!("{marker} (record {}): {what}", written.record);
        violations.push(Violation::new(3, text));
    };
    let seen = seen(view, facts, marker, written);
    let allowed = 1 + decisions("resend");
    if seen > allowed {
        wrong(format!("was sent {seen} times, {allowed} are allowed"));
    }
    let sender = written.mailbox.map(|id| facts.accounts_of(id));
    let restored = |account: &str| facts.replaced.contains_key(account);
    let sender_restored = sender.iter().flatten().any(|account| restored(account));
    let filed = view
        .copies
        .iter()
        .filter(|copy| copy.marker.as_deref() == Some(marker))
        .filter(|copy| copy.folder == "SentItems" && !copy.draft)
        .count();
    if filed > allowed && !sender_restored {
        wrong(format!(
            "{filed} copies lie in Sent Items, {allowed} are allowed"
        ));
    }
    let Some(record) = view.record(written.record) else {
        return wrong("its record is gone".to_owned());
    };
    let reachable =
        !written.outside.is_empty() || !written.inside.iter().any(|account| restored(account));
    match record.status.as_str() {
        "sent" if seen == 0 && decisions("sent") == 0 && reachable => {
            wrong("is said to be sent, and nobody has seen it".to_owned());
        }
        "sent" if decisions("sent") == 0 => missed(view, marker, written, &mut wrong),
        "failed" if seen > decisions("resend") && decisions("failed") == 0 => {
            wrong("is said to have failed, and was sent".to_owned());
        }
        "failed"
            if facts.windows.is_empty() && facts.strikes.is_empty() && decisions("failed") == 0 =>
        {
            wrong("failed though nothing was wrong".to_owned());
        }
        "unknown" if !ambiguous(facts, written) => {
            wrong("is unknown, and no answer was ever lost".to_owned());
        }
        "pending_send" | "sending" if view.settled && seen > decisions("resend") => {
            wrong(format!("was sent, and is said to be {}", record.status));
        }
        "canceled" if seen > 0 && view.settled => {
            wrong("was sent, and is said to be canceled".to_owned());
        }
        _ => {}
    }
}

/// Recipients outside who never saw what was sent; those that the server refused are told.
fn missed(view: &View, marker: &str, written: &Written, wrong: &mut impl FnMut(String)) {
    let refused = view.outbox.iter().any(|entry| {
        entry.record == Some(written.record)
            && matches!(&entry.state, OutboxState::Sent { receipt, .. } if !receipt.refused.is_empty())
    });
    if refused {
        return;
    }
    for to in &written.outside {
        let saw = view.outside.iter().any(|message| {
            message.marker.as_deref() == Some(marker)
                && message
                    .recipients
                    .iter()
                    .any(|one| one.eq_ignore_ascii_case(to))
        });
        if !saw {
            wrong(format!("is said to be sent, and {to} never saw it"));
        }
    }
}

/// Whether anything can have hidden the outcome of sending it.
fn ambiguous(facts: &Facts, written: &Written) -> bool {
    let ours = |mailbox: Option<postroom_core::MailboxId>| {
        mailbox.is_none() || written.mailbox.is_none() || mailbox == written.mailbox
    };
    let later = |at: &std::time::Duration| *at >= written.at;
    facts
        .strikes
        .iter()
        .any(|strike| strike.ambiguous && later(&strike.at) && ours(strike.mailbox))
        || facts.crashes.iter().any(later)
        || facts.replaced.values().flatten().any(later)
        || facts.windows.iter().any(|window| {
            matches!(
                window.facts.class,
                FaultClass::Process | FaultClass::Identity
            ) && window.until.is_none_or(|end| later(&end))
        })
        || facts.calls.iter().any(|call| {
            call.operation == "send"
                && ours(Some(call.mailbox))
                && call.until.is_none_or(|end| later(&end))
                && !call.is_ok()
        })
}

/// One entry for each record.
fn entries(view: &View, violations: &mut Vec<Violation>) {
    let mut seen = std::collections::BTreeSet::new();
    for entry in &view.outbox {
        if let Some(record) = entry.record
            && !seen.insert(record)
        {
            let text = format!("the record {record} has two outbox entries; {}", entry.id);
            violations.push(Violation::new(3, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::history::Event;
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
        let texts = texts(&world);
        assert!(texts.iter().any(|text| text.contains(of)), "{texts:?}");
    }

    #[test]
    fn a_good_world_is_good() {
        assert_eq!(texts(&World::good()), Vec::<String>::new());
    }

    fn send_again(world: &mut World) {
        let again = world.view.outside[0].clone();
        world.view.outside.push(again);
    }

    #[test]
    fn a_second_send_needs_a_decision() {
        complains(send_again, "sent 2 times");
        let mut world = World::good();
        send_again(&mut world);
        let record = world.record_mut("w1").id;
        world.push(
            Duration::from_secs(30_000),
            Event::Decided {
                record,
                decision: "resend".to_owned(),
            },
        );
        assert_eq!(texts(&world), Vec::<String>::new());
    }

    #[test]
    fn what_the_application_is_told_is_what_was_seen() {
        complains(|world| world.view.outside.clear(), "nobody has seen it");
        complains(
            |world| world.record_mut("w1").status = "failed".to_owned(),
            "failed, and was sent",
        );
        complains(
            |world| world.record_mut("w1").status = "pending_send".to_owned(),
            "said to be pending_send",
        );
        complains(
            |world| {
                world.record_mut("w1").status = "failed".to_owned();
                world.view.outside.clear();
            },
            "nothing was wrong",
        );
    }

    #[test]
    fn unknown_needs_a_lost_answer() {
        complains(
            |world| world.record_mut("w1").status = "unknown".to_owned(),
            "no answer was ever lost",
        );
        let mut world = World::good();
        world.record_mut("w1").status = "unknown".to_owned();
        world.push(
            Duration::from_secs(20_000),
            Event::EngineCrashed {
                engine: 0,
                torn: false,
            },
        );
        assert_eq!(texts(&world), Vec::<String>::new());
    }

    #[test]
    fn one_entry_for_each_record() {
        complains(
            |world| {
                let again = world.view.outbox[0].clone();
                world.view.outbox.push(again);
            },
            "two outbox entries",
        );
    }
}
