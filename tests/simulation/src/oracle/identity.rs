//! Promise 7, identity survives: after resets, restores and new ids nothing is on record twice.

use super::Violation;
use super::facts::Facts;
use super::once::{by_identity, concerns_identity, unrecognisable};
use super::view::View;

/// Checks the promise. That nobody is written to twice is promise 3's check.
#[must_use]
pub fn check(view: &View, facts: &Facts) -> Vec<Violation> {
    by_identity(view, facts)
        .into_iter()
        .filter(|(_, records)| {
            records.len() > 1
                && concerns_identity(facts, records)
                && !unrecognisable(view, facts, records)
        })
        .map(|(identity, records)| {
            let ids: Vec<_> = records.iter().map(|(_, id)| id.as_str()).collect();
            let text = format!(
                "{identity} is on record {} times after its mailbox changed its identity: {ids:?}",
                records.len()
            );
            Violation::new(7, text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use postroom_core::RecordId;

    use super::*;
    use crate::history::Event;
    use crate::oracle::fixture::{DESK, World};

    #[test]
    fn a_second_record_after_a_restore() {
        let mut world = World::good();
        let contents = vec![("Inbox".to_owned(), "m1".to_owned(), "i1".to_owned())];
        world.push(
            Duration::from_secs(7000),
            Event::Replaced {
                account: DESK.to_owned(),
                contents,
            },
        );
        let look = |world: &World| {
            let facts = Facts::of(&world.view.history);
            check(&world.view, &facts).len()
        };
        assert_eq!(look(&world), 0);
        let mut again = world.record_mut("m1").clone();
        again.id = RecordId::from_random([77; 16]);
        world.view.records.push(again);
        assert_eq!(look(&world), 1);
        let (account, marker) = (DESK.to_owned(), "m1".to_owned());
        world.push(Duration::from_secs(7001), Event::Edited { account, marker });
        assert_eq!(look(&world), 1, "it has a Message-ID");
        for entry in &mut world.view.history {
            if let Event::Arrived { letter, .. } = &mut entry.event {
                letter.message_id = None;
                letter.date = None;
            }
        }
        assert_eq!(look(&world), 0, "nothing tells what it is the same as");
    }
}
