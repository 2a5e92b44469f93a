//! Promise 5, nobody gets mail by accident: what left was written by somebody, to them.

use std::collections::BTreeMap;

use super::Violation;
use super::facts::Facts;
use super::view::{Copy, View};

/// The subject of the email that tells a profile's owner about an outage begins so.
const OUTAGE_SUBJECT: &str = "Mailboxes of the profile";

/// Checks the promise.
#[must_use]
pub fn check(view: &View, facts: &Facts) -> Vec<Violation> {
    let mut violations = Vec::new();
    for message in view
        .outside
        .iter()
        .filter(|message| !message.sender.is_empty())
    {
        let Some(marker) = &message.marker else {
            if !message.subject.contains(OUTAGE_SUBJECT) {
                let text = format!(
                    "{} sent {:?} to {:?}, which nobody wrote",
                    message.sender, message.subject, message.recipients
                );
                violations.push(Violation::new(5, text));
            }
            continue;
        };
        let Some(written) = facts.written.get(marker) else {
            let by_person = facts
                .letters
                .get(marker)
                .is_some_and(|letter| letter.from.eq_ignore_ascii_case(&message.sender));
            if !by_person {
                let text = format!("{} sent {marker} outside, which came in", message.sender);
                violations.push(Violation::new(5, text));
            }
            continue;
        };
        for recipient in &message.recipients {
            if !written
                .outside
                .iter()
                .any(|to| to.eq_ignore_ascii_case(recipient))
            {
                let text = format!("{marker} went to {recipient}, to whom it was not written");
                violations.push(Violation::new(5, text));
            }
        }
        if message.shows_bcc == Some(true) {
            let text = format!("{marker} names its blind copies in the headers");
            violations.push(Violation::new(5, text));
        }
        let accounts = written.mailbox.map(|id| facts.accounts_of(id));
        let own = |name: &str| {
            accounts
                .as_ref()
                .is_some_and(|all| all.iter().any(|one| one.eq_ignore_ascii_case(name)))
        };
        if accounts.is_some() && !(own(&message.sender) && own(&message.from)) {
            let text = format!(
                "{marker} went out as from {} in the name of {}, which is not its mailbox",
                message.sender, message.from
            );
            violations.push(Violation::new(5, text));
        }
    }
    inside(view, facts, &mut violations);
    violations
}

/// What lies in Inboxes came by the world's own hand, was written to them, or is a test message.
fn inside(view: &View, facts: &Facts, violations: &mut Vec<Violation>) {
    let mut tests: BTreeMap<&str, u32> = BTreeMap::new();
    for copy in view.copies.iter().filter(|copy| copy.folder == "Inbox") {
        match &copy.marker {
            Some(marker)
                if facts.letters.contains_key(marker) && !facts.written.contains_key(marker) => {}
            Some(marker) => {
                let meant = facts.written.get(marker).is_some_and(|written| {
                    let mut to = written.inside.iter();
                    to.any(|to| to.eq_ignore_ascii_case(&copy.account))
                });
                if !meant {
                    let text = format!(
                        "{marker} lies in the Inbox of {}, to whom nobody wrote it",
                        copy.account
                    );
                    violations.push(Violation::new(5, text));
                }
            }
            None if is_test(copy) => *tests.entry(&copy.account).or_default() += 1,
            None if copy.subject.contains(OUTAGE_SUBJECT) || is_report(copy) => {}
            None => {
                let text = format!(
                    "{:?} from {} lies in the Inbox of {}, and nobody wrote it",
                    copy.subject, copy.from, copy.account
                );
                violations.push(Violation::new(5, text));
            }
        }
    }
    for (account, count) in tests {
        let asked: usize = facts
            .mailboxes_at(account)
            .iter()
            .filter_map(|id| facts.tests.get(id))
            .map(Vec::len)
            .sum();
        if usize::try_from(count).is_ok_and(|count| count > asked) {
            let text = format!("{account} got {count} test messages, {asked} tests were asked for");
            violations.push(Violation::new(5, text));
        }
    }
}

/// A message of a mailbox to itself, by whichever of its addresses.
fn is_test(copy: &Copy) -> bool {
    copy.to.len() == 1 && copy.to.iter().all(|to| to.eq_ignore_ascii_case(&copy.from))
}

/// A server's report about what it could not deliver.
fn is_report(copy: &Copy) -> bool {
    let from = copy.from.to_ascii_lowercase();
    from.is_empty() || from.starts_with("postmaster@") || from.starts_with("microsoftexchange")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::fixture::{ADA, World};

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

    #[test]
    fn mail_that_nobody_wrote_or_not_to_them() {
        complains(|world| world.view.outside[0].marker = None, "nobody wrote");
        complains(
            |world| world.view.outside[0].marker = Some("m1".to_owned()),
            "which came in",
        );
        complains(
            |world| {
                world.view.outside[0]
                    .recipients
                    .push("eve@else.example".to_owned())
            },
            "not written",
        );
        complains(
            |world| world.view.outside[0].shows_bcc = Some(true),
            "blind",
        );
        complains(
            |world| world.view.outside[0].from = "desk@contoso.example".to_owned(),
            "not its mailbox",
        );
    }

    #[test]
    fn one_test_message_for_each_test() {
        let mut world = World::good();
        world.test_message(ADA);
        assert_eq!(texts(&world), Vec::<String>::new());
        world.test_message(ADA);
        assert!(texts(&world)[0].contains("2 test messages"));
    }

    #[test]
    fn mail_inside_that_nobody_wrote() {
        complains(
            |world| world.copy_mut("i1").marker = Some("w1".to_owned()),
            "to whom nobody wrote it",
        );
        complains(
            |world| world.copy_mut("i1").marker = None,
            "nobody wrote it",
        );
    }
}
