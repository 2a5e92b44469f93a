//! Promise 1, for queues: email on record lies in each queue that it is for, and in no other.

use std::collections::BTreeSet;

use postroom_core::mailbox::MailboxOwner;
use postroom_core::{MailboxId, PartyId, RecordId};

use super::Violation;
use super::conversation::Conversations;
use super::facts::Facts;
use super::filters::{surely_refuses, surely_taken};
use super::view::{Record, View};

/// Checks the items of queues.
#[must_use]
pub fn check(view: &View, facts: &Facts) -> Vec<Violation> {
    let queues: Vec<(PartyId, MailboxId)> = view
        .mailboxes
        .iter()
        .filter_map(|mailbox| match mailbox.owner {
            MailboxOwner::Queue(queue) => Some((queue, mailbox.id)),
            _ => None,
        })
        .collect();
    let items: BTreeSet<(PartyId, RecordId)> = view.queued.iter().copied().collect();
    let conversations = Conversations::of(facts);
    let mut violations = Vec::new();
    let mut wrong = |text: String| violations.push(Violation::new(1, text));
    for (queue, record) in &items {
        let known = queues.iter().any(|(party, _)| party == queue);
        let email = view.record(*record).filter(|record| record.incoming);
        if !known || email.is_none() {
            wrong(format!(
                "an item of {queue} is {record}, which is no queue's or no email that came in"
            ));
        }
    }
    for record in view.records.iter().filter(|record| record.incoming) {
        for (queue, mailbox) in &queues {
            let there = items.contains(&(*queue, record.id));
            if let Some(what) = judge(view, facts, &conversations, record, *mailbox, there) {
                let marker = record.marker.as_deref().unwrap_or_default();
                wrong(format!("{marker} (record {}) {what} {queue}", record.id));
            }
        }
    }
    violations
}

fn judge(
    view: &View,
    facts: &Facts,
    conversations: &Conversations,
    record: &Record,
    mailbox: MailboxId,
    there: bool,
) -> Option<&'static str> {
    let letter = facts.letters.get(record.marker.as_ref()?)?;
    let accounts = facts.accounts_of(mailbox);
    let own = |one: &str| {
        accounts
            .iter()
            .any(|account| account.eq_ignore_ascii_case(one))
    };
    if !there {
        return surely_taken(view, facts, mailbox, letter)
            .map(|_| "is for a queue, and does not lie in");
    }
    let lay = |marker: &str| {
        let mut lives = facts.lives.iter();
        lives.any(|life| life.marker == marker && own(&life.account))
    };
    let concerns = letter.to.iter().any(|to| own(to)) || lay(&letter.marker);
    if !concerns {
        return Some("names another address, and lies in the queue");
    }
    surely_refuses(view, facts, conversations, mailbox, record)
        .then_some("is refused by its filter, and lies in")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::fixture::World;

    fn texts(world: &World) -> Vec<String> {
        let facts = Facts::of(&world.view.history);
        let violations = check(&world.view, &facts);
        violations.into_iter().map(|one| one.text).collect()
    }

    fn complains(change: impl FnOnce(&mut World), of: &str) {
        let mut world = World::good();
        change(&mut world);
        let texts = texts(&world);
        assert!(texts.iter().any(|text| text.contains(of)), "{texts:?}");
    }

    #[test]
    fn a_good_world_is_good() {
        let world = World::good();
        assert!(!world.view.queued.is_empty());
        assert_eq!(texts(&world), Vec::<String>::new());
    }

    #[test]
    fn what_is_for_a_queue_lies_in_it() {
        complains(|world| world.view.queued.clear(), "does not lie in");
    }

    #[test]
    fn nothing_else_lies_in_it() {
        complains(
            |world| {
                let (queue, _) = world.view.queued[0];
                let written = world.record_mut("w1").id;
                world.view.queued.push((queue, written));
            },
            "no email that came in",
        );
        complains(
            |world| {
                let (queue, _) = world.view.queued[0];
                world.reply_to_ada("m3", "i3", crate::history::Thread::None);
                let record = world.recorded("m3", "i3", None);
                world.view.queued.push((queue, record));
            },
            "another address",
        );
        complains(
            |world| {
                let (_, record) = world.view.queued[0];
                let nobody = PartyId::from_random([9; 16]);
                world.view.queued.push((nobody, record));
            },
            "no queue's",
        );
    }

    #[test]
    fn what_its_filter_refuses_does_not_lie_in_it() {
        use postroom_core::tracking::TrackingFilter;

        use crate::history::Event;

        complains(
            |world| {
                for entry in &mut world.view.history {
                    if let Event::MailboxConfigured(facts) = &mut entry.event {
                        facts.filter = TrackingFilter::None;
                    }
                }
            },
            "refused by its filter",
        );
    }
}
