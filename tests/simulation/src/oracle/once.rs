//! Promise 2, effectively once inwards: one record for each distinct message, tied to what it answers.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use super::facts::Facts;
use super::inward::rebuilt;
use super::view::View;
use crate::history::Thread;

/// Checks the promise.
#[must_use]
pub fn check(view: &View, facts: &Facts) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (identity, records) in by_identity(view, facts) {
        if records.len() > 1
            && !concerns_identity(facts, &records)
            && !unrecognisable(view, facts, &records)
        {
            let ids: Vec<_> = records.iter().map(|(_, id)| id.as_str()).collect();
            let text = format!("{identity} is on record {} times: {ids:?}", records.len());
            violations.push(Violation::new(2, text));
        }
    }
    for record in view.records.iter().filter(|record| record.incoming) {
        match record.marker.as_deref() {
            Some(marker) if facts.written.contains_key(marker) => {
                let text = format!(
                    "{marker} was written here, and its copy is on record as {}, too",
                    record.id
                );
                violations.push(Violation::new(2, text));
            }
            Some(marker) if facts.letters.contains_key(marker) => {}
            other => {
                let text = format!(
                    "the record {} holds {other:?}, which nobody sent",
                    record.id
                );
                violations.push(Violation::new(2, text));
            }
        }
    }
    replies(view, facts, &mut violations);
    violations
}

/// Records of incoming email by what makes messages the same.
pub(super) fn by_identity(
    view: &View,
    facts: &Facts,
) -> BTreeMap<String, BTreeSet<(String, String)>> {
    let mut all: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for record in view.records.iter().filter(|record| record.incoming) {
        if let Some(marker) = &record.marker {
            all.entry(facts.identity(marker))
                .or_default()
                .insert((marker.clone(), record.id.to_string()));
        }
    }
    all
}

/// Whether mailboxes that these messages lay in were restored or migrated: then it is promise 7.
pub(super) fn concerns_identity(facts: &Facts, records: &BTreeSet<(String, String)>) -> bool {
    facts.lives.iter().any(|life| {
        records.iter().any(|(marker, _)| *marker == life.marker)
            && (facts.replaced.contains_key(&life.account)
                || facts.windows.iter().any(|window| {
                    window.facts.class == crate::history::FaultClass::Identity
                        && window.concerns(&life.account)
                }))
    })
}

/// Whether nothing makes copies of a message the same: where it has neither Message-ID nor Date, the
/// length of the whole counts (ADR 0003), and with it the fields that another server or another
/// client added, and those that are left where the server could only give properties.
pub(super) fn unrecognisable(
    view: &View,
    facts: &Facts,
    records: &BTreeSet<(String, String)>,
) -> bool {
    records.iter().all(|(marker, _)| {
        let bare = facts
            .letters
            .get(marker)
            .is_some_and(|letter| letter.message_id.is_none() && letter.date.is_none());
        let servers: BTreeSet<_> = facts
            .brought
            .keys()
            .filter(|(_, brought)| brought == marker)
            .filter_map(|(account, _)| account.rsplit('@').next())
            .collect();
        bare && (servers.len() > 1 || facts.edited.contains(marker) || rebuilt(view, facts, marker))
    })
}

/// What answers the application's email by In-Reply-To belongs to it.
fn replies(view: &View, facts: &Facts, violations: &mut Vec<Violation>) {
    for record in view.records.iter().filter(|record| record.incoming) {
        let Some(letter) = record.marker.as_ref().and_then(|m| facts.letters.get(m)) else {
            continue;
        };
        let Thread::ReplyTo(parent) = &letter.thread else {
            continue;
        };
        let Some(parent) = facts.written.get(parent) else {
            continue;
        };
        let known = view
            .record(parent.record)
            .is_some_and(|record| record.status == "sent");
        if known && record.correlated != Some(parent.record) {
            let text = format!(
                "{} answers the record {}, and is tied to {:?}",
                letter.marker, parent.record, record.correlated
            );
            violations.push(Violation::new(2, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use postroom_core::RecordId;

    use super::*;
    use crate::history::{Event, FaultClass, FaultFacts};
    use crate::oracle::fixture::{DESK, World, minutes};

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
    fn a_second_record_of_the_same_message() {
        let mut world = World::good();
        let mut again = world.record_mut("m1").clone();
        again.id = RecordId::from_random([77; 16]);
        world.view.records.push(again);
        complains(&world, "2 times");
    }

    #[test]
    fn copies_without_message_id_and_date_differ_once_their_headers_do() {
        let twice = |bare: bool, change: fn(&mut World)| {
            let mut world = World::good();
            for entry in &mut world.view.history {
                if let Event::Arrived { letter, .. } = &mut entry.event
                    && bare
                {
                    letter.message_id = None;
                    letter.date = None;
                }
            }
            let mut again = world.record_mut("m1").clone();
            again.id = RecordId::from_random([77; 16]);
            world.view.records.push(again);
            change(&mut world);
            texts(&world)
        };
        let edited = |world: &mut World| {
            let (account, marker) = (DESK.to_owned(), "m1".to_owned());
            world.push(minutes(310), Event::Edited { account, marker });
        };
        let elsewhere = |world: &mut World| {
            let arrived = world
                .view
                .history
                .iter()
                .find(|entry| matches!(entry.event, Event::Arrived { .. }));
            let mut entry = arrived.unwrap().clone();
            if let Event::Arrived { account, .. } = &mut entry.event {
                "desk@fabrikam.example".clone_into(account);
            }
            world.view.history.push(entry);
        };
        assert_eq!(twice(true, |_| {}).len(), 1);
        assert_eq!(twice(false, edited).len(), 1);
        assert_eq!(twice(false, elsewhere).len(), 1);
        assert_eq!(twice(true, edited), Vec::<String>::new());
        assert_eq!(twice(true, elsewhere), Vec::<String>::new());
    }

    #[test]
    fn copies_without_message_id_and_date_differ_where_a_server_gave_properties_only() {
        let twice = |bare: bool, name: &str| {
            let mut world = World::good();
            for entry in &mut world.view.history {
                if let Event::Arrived { letter, .. } = &mut entry.event
                    && bare
                {
                    letter.message_id = None;
                    letter.date = None;
                }
            }
            let mut again = world.record_mut("m1").clone();
            again.id = RecordId::from_random([77; 16]);
            world.view.records.push(again);
            let window = FaultFacts {
                window: 1,
                name: name.to_owned(),
                class: FaultClass::Item,
                accounts: vec![DESK.to_owned()],
                hint: None,
            };
            world.push(minutes(290), Event::FaultBegan(window));
            world.push(minutes(310), Event::FaultEnded { window: 1 });
            world.view.history.sort_by_key(|entry| entry.at);
            texts(&world).len()
        };
        assert_eq!(twice(true, "mime-failure"), 0);
        assert_eq!(twice(false, "mime-failure"), 1);
        assert_eq!(twice(true, "item-corrupt"), 1);
    }

    #[test]
    fn a_record_of_what_was_written_here_or_by_nobody() {
        let mut world = World::good();
        world.record_mut("m1").marker = Some("w1".to_owned());
        complains(&world, "written here");
        world.record_mut("w1").incoming = true;
        let mut world = World::good();
        world.record_mut("m1").marker = None;
        complains(&world, "nobody sent");
    }

    #[test]
    fn an_answer_belongs_to_what_it_answers() {
        let mut world = World::good();
        world.reply_to_ada("m3", "i3", Thread::ReplyTo("w1".to_owned()));
        let id = world.recorded("m3", "i3", None);
        complains(&world, "tied to None");
        let parent = world.record_mut("w1").id;
        let at = world.view.records.iter().position(|r| r.id == id).unwrap();
        world.view.records[at].correlated = Some(parent);
        assert_eq!(texts(&world), Vec::<String>::new());
    }
}
