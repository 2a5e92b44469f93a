//! Promise 4, no destructive surprise: what vanished from a folder was removed by a person, or policy
//! allowed it.

use std::collections::BTreeMap;

use postroom_core::ledger::LedgerState;

use super::Violation;
use super::facts::{Facts, Life};
use super::view::View;

/// Where messages go that could not be recorded.
const UNDELIVERABLE: &str = "Undeliverable";

/// Checks the promise.
#[must_use]
pub fn check(view: &View, facts: &Facts) -> Vec<Violation> {
    let mut there: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    let mut by_remote = std::collections::BTreeSet::new();
    for copy in &view.copies {
        by_remote.insert((
            copy.account.as_str(),
            copy.folder.as_str(),
            copy.remote.as_str(),
        ));
        if let Some(marker) = &copy.marker {
            there
                .entry((&copy.account, marker))
                .or_default()
                .push(&copy.folder);
        }
    }
    let mut violations = Vec::new();
    for life in facts.lives.iter().filter(|life| life.until.is_none()) {
        let place = (
            life.account.as_str(),
            life.folder.as_str(),
            life.remote.as_str(),
        );
        if by_remote.contains(&place) {
            continue;
        }
        let elsewhere = there
            .get(&(life.account.as_str(), life.marker.as_str()))
            .map(Vec::as_slice)
            .unwrap_or_default();
        // Of several copies in one folder nobody wrote down which one was moved.
        let twins = facts.lives.iter().filter(|other| {
            other.until.is_none()
                && other.account == life.account
                && other.folder == life.folder
                && other.marker == life.marker
        });
        let here = elsewhere.iter().filter(|folder| **folder == life.folder);
        if here.count() >= twins.count() {
            continue;
        }
        if let Some(what) = surprise(view, facts, life, elsewhere) {
            let text = format!(
                "{} no longer lies in {} of {} as {}, and nobody removed it: {what}; copies: \
                 {elsewhere:?}",
                life.marker, life.folder, life.account, life.remote
            );
            violations.push(Violation::new(4, text));
        }
    }
    violations
}

/// What is wrong with a message that is not where it was left; `None` where policy allowed it.
fn surprise(view: &View, facts: &Facts, life: &Life, elsewhere: &[&str]) -> Option<&'static str> {
    let staged = matches!(life.folder.as_str(), "Drafts" | "Outbox");
    if staged && facts.written.contains_key(&life.marker) {
        // The engine's own draft, found there when the mailbox was migrated or restored: it is sent
        // or discarded.
        return None;
    }
    if life.folder != "Inbox" {
        return Some("the engine has no business there");
    }
    let mailboxes = facts.mailboxes_at(&life.account);
    if elsewhere.contains(&UNDELIVERABLE) {
        let allowed = mailboxes.iter().any(|id| {
            facts
                .mailboxes
                .get(id)
                .into_iter()
                .flatten()
                .any(|(_, _, mailbox)| {
                    mailbox.profile.is_some_and(|profile| {
                        let timeline = facts.profiles.get(&profile).into_iter().flatten();
                        timeline
                            .into_iter()
                            .any(|(_, _, facts)| facts.move_undelivered)
                    })
                })
        });
        let quarantined = view.ledger.iter().any(|row| {
            mailboxes.contains(&row.mailbox) && matches!(row.state, LedgerState::Quarantined { .. })
        });
        // A row that was replayed meanwhile is another state's; that it was set aside is enough.
        let replayed = !facts.replays.is_empty();
        return match (allowed, quarantined || replayed) {
            (true, true) => None,
            (false, _) => Some("no profile moves what could not be recorded"),
            (true, false) => Some("it was not set aside"),
        };
    }
    let deletes = mailboxes.iter().any(|id| {
        let timeline = facts.mailboxes.get(id).into_iter().flatten();
        timeline
            .into_iter()
            .any(|(_, _, mailbox)| mailbox.delete_after_processing && mailbox.queue)
    });
    if !deletes {
        return Some("the mailbox keeps its mail");
    }
    let identity = facts.identity(&life.marker);
    let on_record = view.records.iter().any(|record| {
        record
            .marker
            .as_ref()
            .is_some_and(|marker| facts.identity(marker) == identity)
    });
    if !on_record {
        return Some("it was deleted and is not on record");
    }
    if !elsewhere.contains(&"DeletedItems") {
        return Some("it was deleted for good");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::fixture::World;

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
    fn a_message_that_vanished() {
        let mut world = World::good();
        world.view.copies.retain(|copy| copy.remote != "i1");
        assert!(texts(&world)[0].contains("keeps its mail"));
    }

    #[test]
    fn a_message_that_was_moved_without_a_policy() {
        let mut world = World::good();
        world.copy_mut("i1").folder = UNDELIVERABLE.to_owned();
        assert!(texts(&world)[0].contains("no profile moves"));
    }

    #[test]
    fn delete_after_processing_deletes_what_is_on_record_only() {
        let mut world = World::good();
        world.desk_deletes();
        let copy = world.copy_mut("i1");
        copy.folder = "DeletedItems".to_owned();
        copy.remote = "i9".to_owned();
        assert_eq!(texts(&world), Vec::<String>::new());
        world.view.records.retain(|record| !record.incoming);
        assert!(texts(&world)[0].contains("not on record"));
    }

    #[test]
    fn other_folders_are_none_of_its_business() {
        let mut world = World::good();
        world.arrives("m5", "i5", "Archive");
        world.view.copies.retain(|copy| copy.remote != "i5");
        assert!(texts(&world)[0].contains("no business"));
    }

    #[test]
    fn a_draft_of_what_the_application_wrote_is_the_engines() {
        let mut world = World::good();
        world.arrives("m5", "i5", "Drafts");
        world.arrives("w1", "i6", "Drafts");
        world.view.copies.retain(|copy| copy.folder != "Drafts");
        let texts = texts(&world);
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(texts[0].contains("m5 no longer lies in Drafts"));
    }
}
