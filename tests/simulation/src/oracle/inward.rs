//! Promise 1, no silent loss: every message in a watched Inbox has exactly one fate, and it is the
//! right one.

use std::collections::BTreeMap;
use std::time::Duration;

use postroom_core::MailboxId;
use postroom_core::ledger::{FilterReason, LedgerState};
use postroom_core::mailbox::Workload;

use super::facts::{Facts, Life};
use super::view::{Row, View};
use super::{Violation, filters, gates};
use crate::history::{Actor, FaultClass};

/// Where messages go that could not be recorded.
const UNDELIVERABLE: &str = "Undeliverable";

/// So many attempts in vain outlast the patience with a server: three cycles that put it down to the
/// server, and the three attempts of a message.
const ATTEMPTS_IN_VAIN: usize = 6;
/// A message that lay for so long in an Inbox that was read undisturbed has been listed.
const LISTED_WITHIN: Duration = Duration::from_secs(60 * 60);
/// How much later than it was switched on a mailbox may count as such.
const START_TOLERANCE: Duration = Duration::from_secs(2 * 60 * 60);

/// Checks the promise.
#[must_use]
pub fn check(view: &View, facts: &Facts) -> Vec<Violation> {
    let mut violations = Vec::new();
    let rows = rows_by_remote(view, facts);
    twice(view, &mut violations);
    for life in facts.lives.iter().filter(|life| life.folder == "Inbox") {
        for mailbox in facts.mailboxes_at(&life.account) {
            let row = rows.get(&(mailbox, life.remote.as_str())).copied();
            match row {
                Some(row) => fate(view, facts, life, row, &mut violations),
                None => missing(view, facts, life, mailbox, &mut violations),
            }
        }
    }
    violations
}

/// Rows by mailbox and message. A message that went through a quarantine may be known by the id that
/// it got when it was moved; its row is then another life's.
fn rows_by_remote<'a>(view: &'a View, _facts: &Facts) -> BTreeMap<(MailboxId, &'a str), &'a Row> {
    view.ledger
        .iter()
        .map(|row| ((row.mailbox, row.remote.as_str()), row))
        .collect()
}

/// One message in one folder has one row.
fn twice(view: &View, violations: &mut Vec<Violation>) {
    let mut seen = BTreeMap::new();
    for row in &view.ledger {
        let key = (row.mailbox, row.folder.as_str(), row.remote.as_str());
        if let Some(other) = seen.insert(key, row.id) {
            let text = format!(
                "message {} has two rows, {other} and {}",
                row.remote, row.id
            );
            violations.push(Violation::new(1, text));
        }
    }
}

/// No row: nobody has read the mailbox, or the message was passed.
fn missing(
    view: &View,
    facts: &Facts,
    life: &Life,
    mailbox: MailboxId,
    violations: &mut Vec<Violation>,
) {
    if moved_away(view, facts, life, mailbox) {
        return;
    }
    let until = life.until.map_or(view.now, |(at, _)| at);
    let undisturbed = match life.until {
        None => view.settled && gates::healthy_at_end(view, facts, mailbox, Workload::Incoming),
        Some((_, Actor::Person)) => {
            until.saturating_sub(life.from) >= LISTED_WITHIN
                && !facts.disturbed(life.from.saturating_sub(LISTED_WITHIN * 4), until)
                && gates::always_open(facts, mailbox, Workload::Incoming, life.from, until)
        }
        Some(_) => false,
    };
    if undisturbed {
        let text = format!(
            "{} lay in the Inbox of {} as {} from {:?} to {until:?} and has no row",
            life.marker, life.account, life.remote, life.from
        );
        violations.push(Violation::new(1, text));
    }
}

/// Whether it was set aside: it lies in Undeliverable, and its row names that place.
fn moved_away(view: &View, facts: &Facts, life: &Life, mailbox: MailboxId) -> bool {
    let unreadable = facts.is_poisoned(&life.account, &life.marker)
        || facts.faulted(&life.account, &[FaultClass::Item], life.from, view.now);
    let mut copies = view.copies.iter().filter(|copy| {
        copy.folder == UNDELIVERABLE
            && copy.account == life.account
            && copy.marker.as_deref() == Some(life.marker.as_str())
    });
    unreadable
        && copies.any(|copy| {
            let mut rows = view.ledger.iter();
            rows.any(|row| row.mailbox == mailbox && row.remote == copy.remote)
        })
}

/// Whether a trouble of the server looked like bad messages for long: while it lasted, each of several
/// attempts to read any message was in vain, and none that had been read before could witness.
fn nothing_read(facts: &Facts, life: &Life, mailbox: MailboxId, now: Duration) -> bool {
    let until = life.until.map_or(now, |(at, _)| at);
    facts.windows.iter().any(|window| {
        let (from, end) = (life.from.max(window.from), window.until.unwrap_or(now));
        let asked = facts.calls.iter().filter(|call| {
            call.mailbox == mailbox
                && matches!(call.operation.as_str(), "headers" | "fetch")
                && call.from >= from
                && call.from <= end.min(until)
        });
        let in_vain: Vec<_> = asked
            .map(|call| !call.is_ok() || call.failed.len() >= call.items.len())
            .collect();
        window.concerns(&life.account)
            && in_vain.len() >= ATTEMPTS_IN_VAIN
            && in_vain.iter().all(|vain| *vain)
    })
}

/// Whether a server that could not give a message as it arrived gave its properties instead: the
/// record is made from these.
pub(super) fn rebuilt(view: &View, facts: &Facts, marker: &str) -> bool {
    let identity = facts.identity(marker);
    let mut copies = facts.lives.iter();
    copies.any(|life| {
        let until = life.until.map_or(view.now, |(at, _)| at);
        (life.marker == marker || facts.identity(&life.marker) == identity)
            && facts.windows.iter().any(|window| {
                window.facts.name == "mime-failure"
                    && window.concerns(&life.account)
                    && window.overlaps(life.from, until)
            })
    })
}

fn fate(view: &View, facts: &Facts, life: &Life, row: &Row, violations: &mut Vec<Violation>) {
    let mut wrong = |what: &str| {
        let text = format!(
            "{} in the Inbox of {} (row {}, {}): {what}",
            life.marker,
            life.account,
            row.id,
            row.state.name()
        );
        violations.push(Violation::new(1, text));
    };
    match &row.state {
        LedgerState::Pending { .. } => {}
        LedgerState::Delivered { record, .. } => match view.record(*record) {
            None => wrong(&format!("the record {record} does not exist")),
            Some(record) => {
                let same = record.marker.as_deref().is_some_and(|known| {
                    known == life.marker || facts.identity(known) == facts.identity(&life.marker)
                });
                if !same {
                    let other = record.marker.as_deref().unwrap_or("nothing");
                    wrong(&format!("the record {} holds {other}", record.id));
                }
                if record.intact == Some(false) && !rebuilt(view, facts, &life.marker) {
                    wrong("the bytes on record are not those that arrived");
                }
            }
        },
        LedgerState::Filtered { reason } => {
            if let Some(why) = wrongly_filtered(view, facts, life, row, *reason) {
                wrong(&format!("{reason:?}: {why}"));
            }
        }
        LedgerState::Quarantined { .. } => {
            let cause = facts.is_poisoned(&life.account, &life.marker)
                || facts.faulted(
                    &life.account,
                    &[FaultClass::Item],
                    life.from,
                    life.until.map_or(view.now, |(at, _)| at.max(view.now)),
                );
            if !cause && !nothing_read(facts, life, row.mailbox, view.now) {
                wrong("nothing was wrong with it");
            }
            let told = view
                .alerts
                .iter()
                .any(|alert| alert.incident.discriminator == row.id.to_string());
            if !told {
                wrong("nobody was told");
            }
        }
        LedgerState::Gone { .. } => {
            // A move whose answer was lost is none for the history; the folder itself tells.
            let there = view.copies.iter().any(|copy| {
                copy.folder == "Inbox" && copy.account == life.account && copy.remote == life.remote
            });
            if life.until.is_none() && view.settled && there {
                wrong("it is still there");
            }
        }
    }
}

/// A small model of the filters, for what is simple; `None` where refusing was right or nobody can tell.
fn wrongly_filtered(
    view: &View,
    facts: &Facts,
    life: &Life,
    row: &Row,
    reason: FilterReason,
) -> Option<&'static str> {
    let letter = facts.letters.get(&life.marker)?;
    if view
        .records
        .iter()
        .any(|record| record.marker.as_deref() == Some(life.marker.as_str()))
    {
        // On record through another mailbox, or written in the application.
        return None;
    }
    match reason {
        FilterReason::BeforeStart => {
            let enabled = facts.tests.get(&row.mailbox)?.iter().find(|(_, on)| *on)?.0;
            let late = life.received > enabled + START_TOLERANCE;
            let honest = facts.jumps.is_empty() && !facts.replaced.contains_key(&life.account);
            return (late && honest).then_some("it came after the mailbox was switched on");
        }
        FilterReason::OwnMessage => return Some("it is not one of Postroom's own"),
        FilterReason::Draft => return Some("it is no draft"),
        _ => {}
    }
    // That of any recipient decides, not only that of the mailbox in which it lies.
    let named = letter.to.iter().flat_map(|to| facts.mailboxes_at(to));
    named
        .filter(|id| *id == row.mailbox || facts.always(*id, |mailbox| mailbox.active))
        .find_map(|id| filters::surely_taken(view, facts, id, letter))
}

#[cfg(test)]
mod tests {
    use postroom_core::ledger::GoneEvidence;
    use postroom_core::{Code, LedgerId};

    use super::*;
    use crate::history::{Event, FaultFacts, Thread};
    use crate::oracle::fixture::{ADA, DESK, World, minutes};

    fn texts(world: &World) -> Vec<String> {
        let facts = Facts::of(&world.view.history);
        check(&world.view, &facts)
            .into_iter()
            .map(|violation| violation.text)
            .collect()
    }

    fn complains(world: &World, of: &str) {
        let texts = texts(world);
        assert!(texts.iter().any(|text| text.contains(of)), "{texts:?}");
    }

    #[test]
    fn a_good_world_is_good() {
        assert_eq!(texts(&World::good()), Vec::<String>::new());
    }

    #[test]
    fn a_message_without_a_row_was_passed() {
        let mut world = World::good();
        world.view.ledger.retain(|row| row.remote != "i1");
        complains(&world, "has no row");
        world.view.settled = false;
        assert_eq!(texts(&world), Vec::<String>::new(), "it may still come");
    }

    #[test]
    fn a_row_whose_record_does_not_exist_or_holds_another_message() {
        let mut world = World::good();
        world.view.records.retain(|record| !record.incoming);
        complains(&world, "does not exist");
        let mut world = World::good();
        world.record_mut("m1").marker = Some("m2".to_owned());
        complains(&world, "holds m2");
    }

    #[test]
    fn what_a_filter_takes_must_not_be_filtered() {
        let mut world = World::good();
        world.view.records.retain(|record| !record.incoming);
        world.row_mut("i1").state = LedgerState::Filtered {
            reason: FilterReason::NoFilterAccepts,
        };
        complains(&world, "takes all email");
    }

    #[test]
    fn an_answer_to_the_applications_email_must_be_recorded() {
        let mut world = World::good();
        world.reply_to_ada("m3", "i3", Thread::ReplyTo("w1".to_owned()));
        world.row(
            "i3",
            LedgerState::Filtered {
                reason: FilterReason::NoFilterAccepts,
            },
        );
        complains(&world, "answers email of the application");
        let mut world = World::good();
        world.reply_to_ada("m3", "i3", Thread::Maybe("w1".to_owned()));
        world.row(
            "i3",
            LedgerState::Filtered {
                reason: FilterReason::NoFilterAccepts,
            },
        );
        assert_eq!(texts(&world), Vec::<String>::new());
    }

    #[test]
    fn quarantine_needs_a_cause_and_an_alert() {
        let mut world = World::good();
        world.view.records.retain(|record| !record.incoming);
        world.row_mut("i1").state = LedgerState::Quarantined {
            code: Code::ItemCorrupt,
            raw_kept: false,
        };
        complains(&world, "nothing was wrong");
        complains(&world, "nobody was told");
        world.poison(DESK, "m1");
        let id: LedgerId = world.row_mut("i1").id;
        world.alert_about_row(id);
        assert_eq!(texts(&world), Vec::<String>::new());
    }

    #[test]
    fn a_server_that_reads_nothing_for_long_is_not_told_from_bad_messages() {
        let quarantined = |attempts: usize, read: bool| {
            let mut world = World::good();
            let row = world.row_mut("i1");
            row.state = LedgerState::Quarantined {
                code: Code::ServerFault,
                raw_kept: false,
            };
            let id = row.id;
            world.alert_about_row(id);
            world.view.history.retain(|entry| entry.at != minutes(303));
            let window = FaultFacts {
                window: 1,
                name: "batch-stopped".to_owned(),
                class: FaultClass::Transient,
                accounts: vec![DESK.to_owned()],
                hint: None,
            };
            world.push(minutes(301), Event::FaultBegan(window));
            for _ in 0..attempts {
                world.fetch_fails("i1");
            }
            if read {
                world.fetch(&["i1"]);
            }
            world.push(minutes(600), Event::FaultEnded { window: 1 });
            texts(&world).len()
        };
        assert_eq!(quarantined(6, false), 0);
        assert_eq!(quarantined(5, false), 1);
        assert_eq!(quarantined(6, true), 1);
    }

    #[test]
    fn what_is_there_is_not_gone() {
        let mut world = World::good();
        world.view.records.retain(|record| !record.incoming);
        world.row_mut("i1").state = LedgerState::Gone {
            evidence: GoneEvidence::NotFoundOnFetch,
        };
        complains(&world, "still there");
        world.copy_mut("i1").folder = UNDELIVERABLE.to_owned();
        assert_eq!(
            texts(&world),
            Vec::<String>::new(),
            "a move of which nobody heard"
        );
    }

    #[test]
    fn a_message_set_aside_has_its_row_in_undeliverable() {
        let mut world = World::good();
        world.poison(DESK, "m1");
        let row = world.row_mut("i1");
        row.remote = "u1".to_owned();
        row.state = LedgerState::Quarantined {
            code: Code::ItemCorrupt,
            raw_kept: false,
        };
        complains(&world, "has no row");
        let copy = world.copy_mut("i1");
        copy.remote = "u1".to_owned();
        copy.folder = UNDELIVERABLE.to_owned();
        assert_eq!(texts(&world), Vec::<String>::new());
        world.row_mut("u1").remote = "u2".to_owned();
        complains(&world, "has no row");
    }

    #[test]
    fn bytes_that_a_server_could_not_give_may_be_rebuilt() {
        let began = |name: &str, account: &str| {
            let mut world = World::good();
            world.record_mut("m1").intact = Some(false);
            let window = FaultFacts {
                window: 1,
                name: name.to_owned(),
                class: FaultClass::Item,
                accounts: vec![account.to_owned()],
                hint: None,
            };
            world.push(minutes(290), Event::FaultBegan(window));
            world.push(minutes(310), Event::FaultEnded { window: 1 });
            world.view.history.sort_by_key(|entry| entry.at);
            world
        };
        complains(&began("mime-failure", ADA), "the bytes on record");
        complains(&began("item-corrupt", DESK), "the bytes on record");
        assert_eq!(texts(&began("mime-failure", DESK)), Vec::<String>::new());
    }

    #[test]
    fn one_row_for_one_message() {
        let mut world = World::good();
        let mut row = world.row_mut("i1").clone();
        row.id = LedgerId::from_random([99; 16]);
        world.view.ledger.push(row);
        complains(&world, "two rows");
    }
}
