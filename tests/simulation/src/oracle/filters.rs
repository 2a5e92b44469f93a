//! Promise 1, the right fate: what a filter takes is on record, and what no filter takes is not.
//!
//! A small model of the filters, by what people set and whom the application knows. Where a filter was
//! changed meanwhile, only what each setting would have done is judged.

use postroom_core::tracking::TrackingFilter;
use postroom_core::{MailboxId, RecordId};

use super::Violation;
use super::conversation::Conversations;
use super::facts::{Facts, Written};
use super::view::{Record, View};
use super::words;
use crate::history::{Letter, Thread};

/// Checks that nothing is on record that no filter can have taken. What must be on record is looked at
/// with the fates of messages, and [`surely_taken`] says so.
#[must_use]
pub fn check(view: &View, facts: &Facts) -> Vec<Violation> {
    let conversations = Conversations::of(facts);
    let mut violations = Vec::new();
    for record in view.records.iter().filter(|record| record.incoming) {
        let Some(letter) = record.marker.as_ref().and_then(|m| facts.letters.get(m)) else {
            continue;
        };
        let mut concerned = concerned(facts, letter).into_iter().peekable();
        if concerned.peek().is_some()
            && concerned.all(|id| surely_refuses(view, facts, &conversations, id, record))
        {
            let text = format!(
                "{} of {} is on record as {}, and no filter takes it",
                letter.marker, letter.from, record.id
            );
            violations.push(Violation::new(1, text));
        }
    }
    violations
}

/// The mailboxes that a message names, and those in which it lay.
fn concerned(facts: &Facts, letter: &Letter) -> Vec<MailboxId> {
    let lives = facts.lives.iter();
    let lay = lives.filter(|life| life.marker == letter.marker);
    let mut all: Vec<_> = letter
        .to
        .iter()
        .chain(lay.map(|life| &life.account))
        .flat_map(|account| facts.mailboxes_at(account))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Who wrote it, as the application knows them: `None` for nobody, else whether a customer.
fn sender(facts: &Facts, letter: &Letter) -> Option<bool> {
    facts.known.get(&letter.from.to_ascii_lowercase()).copied()
}

/// Whether no setting that the mailbox ever had takes the message on record.
#[must_use]
pub fn surely_refuses(
    view: &View,
    facts: &Facts,
    conversations: &Conversations,
    mailbox: MailboxId,
    record: &Record,
) -> bool {
    let letter = record.marker.as_ref().and_then(|m| facts.letters.get(m));
    let Some(letter) = letter else {
        return false;
    };
    let sender = sender(facts, letter);
    // What was answered before it was recorded may be tied to its answer, and a copy that nothing
    // shows to be one to the first: to any record of the conversation that was made before, as the
    // order of their ids tells.
    let strange = letter.thread == Thread::None
        && !view.records.iter().any(|other| {
            let marker = other.marker.as_deref();
            other.id < record.id
                && marker.is_some_and(|m| conversations.together(m, &letter.marker))
        });
    facts.always(mailbox, |mailbox| match mailbox.filter {
        TrackingFilter::All => false,
        TrackingFilter::RepliesToCrmEmail => strange,
        TrackingFilter::FromLeadsContactsAccounts => strange && sender != Some(true),
        TrackingFilter::FromEmailEnabledRecords => strange && sender.is_none(),
        TrackingFilter::None => true,
    })
}

/// Whether every setting that the mailbox ever had takes the message, which names it; and why.
#[must_use]
pub fn surely_taken(
    view: &View,
    facts: &Facts,
    mailbox: MailboxId,
    letter: &Letter,
) -> Option<&'static str> {
    let named = facts.accounts_of(mailbox).iter().any(|account| {
        let mut to = letter.to.iter();
        to.any(|one| one.eq_ignore_ascii_case(account))
    });
    let sender = sender(facts, letter);
    let answers = answers(view, facts, letter);
    let takes = |filter| match filter {
        TrackingFilter::All => Some("the filter takes all email"),
        TrackingFilter::None => None,
        _ if answers => Some("it answers email of the application"),
        TrackingFilter::FromLeadsContactsAccounts if sender == Some(true) => {
            Some("the filter takes email of customers")
        }
        TrackingFilter::FromEmailEnabledRecords if sender.is_some() => {
            Some("the filter takes email of everybody known")
        }
        _ => None,
    };
    let now = facts.mailbox_now(mailbox)?.filter;
    let always = facts.always(mailbox, |mailbox| takes(mailbox.filter).is_some());
    takes(now).filter(|_| named && always)
}

/// Whether it certainly answers email that was sent from here: it names its Message-ID, its token or
/// its conversation, or has its words and two of its people.
#[must_use]
pub fn answers(view: &View, facts: &Facts, letter: &Letter) -> bool {
    let sent = |written: &Written| {
        view.record(written.record)
            .is_some_and(|record| record.status == "sent")
    };
    let parent = match &letter.thread {
        Thread::None => return false,
        Thread::ReplyTo(parent) | Thread::Maybe(parent) => facts.written.get(parent),
    };
    let by_header = matches!(letter.thread, Thread::ReplyTo(_)) || letter.index.is_some();
    by_header && parent.is_some_and(sent)
        || !token_holders(view, facts, letter).is_empty()
        || words::shows(view, facts, letter)
}

/// Whether a subject names a token.
#[must_use]
pub fn names_token(subject: &str, token: &str) -> bool {
    let (subject, token) = (subject.to_ascii_uppercase(), token.to_ascii_uppercase());
    let mut places = subject.match_indices(&token);
    !token.is_empty()
        && places.any(|(at, _)| {
            let rest = &subject[at + token.len()..];
            !rest.starts_with(|next: char| next.is_alphanumeric())
        })
}

/// The sent emails whose token the subject names, as far as their sender is among the recipients: a
/// token alone is not believed.
#[must_use]
pub fn token_holders<'a>(
    view: &'a View,
    facts: &Facts,
    letter: &Letter,
) -> Vec<(RecordId, &'a str)> {
    let named = view.tokens.iter();
    let named = named.filter(|(_, token)| names_token(&letter.subject, token));
    let believed = named.filter(|(record, _)| {
        let sent = view.record(*record).is_some_and(|one| one.status == "sent");
        let written = facts.written_as(*record).filter(|_| sent);
        let sender = written.and_then(|(_, written)| written.mailbox);
        let accounts = sender.map(|id| facts.accounts_of(id));
        letter.to.iter().any(|to| {
            let mut own = accounts.iter().flatten();
            own.any(|account| account.eq_ignore_ascii_case(to))
        })
    });
    believed
        .map(|(record, token)| (*record, token.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Event, MailboxFacts};
    use crate::oracle::fixture::{ADA, JO, World, minutes};

    fn texts(world: &World) -> Vec<String> {
        let facts = Facts::of(&world.view.history);
        let mut violations = check(&world.view, &facts);
        violations.extend(crate::oracle::inward::check(&world.view, &facts));
        violations.into_iter().map(|one| one.text).collect()
    }

    /// Jo's message to Ada, who has that filter, is on record or filtered.
    fn fate(filter: TrackingFilter, known: Option<bool>, thread: Thread, tracked: bool) -> World {
        let mut world = World::good();
        let ada = world.ada;
        for entry in &mut world.view.history {
            if let Event::MailboxConfigured(MailboxFacts {
                mailbox,
                filter: of,
                ..
            }) = &mut entry.event
                && *mailbox == ada
            {
                *of = filter;
            }
        }
        if let Some(customer) = known {
            let address = JO.to_owned();
            world.push(minutes(299), Event::Known { address, customer });
        }
        world.reply_to_ada("m3", "i3", thread);
        world.settles("m3", "i3", tracked);
        world
    }

    #[test]
    fn nothing_is_on_record_that_no_filter_takes() {
        use TrackingFilter as F;
        let wrong = "no filter takes it";
        for (filter, known, right) in [
            (F::All, None, true),
            (F::None, Some(true), false),
            (F::RepliesToCrmEmail, Some(true), false),
            (F::FromLeadsContactsAccounts, Some(true), true),
            (F::FromLeadsContactsAccounts, Some(false), false),
            (F::FromLeadsContactsAccounts, None, false),
            (F::FromEmailEnabledRecords, Some(false), true),
            (F::FromEmailEnabledRecords, None, false),
        ] {
            let found = texts(&fate(filter, known, Thread::None, true));
            let complains = found.iter().any(|text| text.contains(wrong));
            assert_eq!(complains, !right, "{filter:?} {known:?}: {found:?}");
            // An answer may be taken by all but one.
            let thread = Thread::Maybe("w1".to_owned());
            let found = texts(&fate(filter, known, thread, true));
            let complains = found.iter().any(|text| text.contains(wrong));
            assert_eq!(complains, filter == F::None, "{filter:?}: {found:?}");
        }
    }

    #[test]
    fn what_a_filter_takes_is_on_record() {
        use TrackingFilter as F;
        for (filter, known, taken) in [
            (F::All, None, true),
            (F::None, Some(true), false),
            (F::RepliesToCrmEmail, Some(true), false),
            (F::FromLeadsContactsAccounts, Some(true), true),
            (F::FromLeadsContactsAccounts, Some(false), false),
            (F::FromEmailEnabledRecords, Some(false), true),
            (F::FromEmailEnabledRecords, None, false),
        ] {
            let found = texts(&fate(filter, known, Thread::None, false));
            assert_eq!(!found.is_empty(), taken, "{filter:?} {known:?}: {found:?}");
        }
    }

    #[test]
    fn what_is_on_record_of_a_conversation_draws_the_rest_of_it_after_it() {
        let complains = |other: u8| {
            let mut world = fate(TrackingFilter::RepliesToCrmEmail, None, Thread::None, true);
            let mut copy = world.record_mut("m3").clone();
            let name = copy.id.to_string();
            copy.id = RecordId::from_random([other; 16]);
            world.view.records.push(copy);
            texts(&world).iter().any(|text| text.contains(&name))
        };
        assert!(!complains(0));
        assert!(complains(255));
    }

    #[test]
    fn a_token_with_its_sender_is_an_answer() {
        let judged = |subject: &str, to: &str| {
            let thread = Thread::Maybe("w1".to_owned());
            let mut world = fate(TrackingFilter::RepliesToCrmEmail, None, thread, false);
            let record = world.record_mut("w1").id;
            world.view.tokens.push((record, "CRM:001002".to_owned()));
            for entry in &mut world.view.history {
                if let Event::Arrived { letter, .. } = &mut entry.event
                    && letter.marker == "m3"
                {
                    letter.subject = subject.to_owned();
                    letter.to = vec![ADA.to_owned(), to.to_owned()];
                    letter.to.retain(|one| one.contains(to));
                }
            }
            texts(&world)
        };
        let wrong = "it answers email of the application";
        assert!(judged("RE: Hello crm:001002", ADA)[0].contains(wrong));
        let none = Vec::<String>::new();
        assert_eq!(judged("RE: Hello CRM:0010027", ADA), none);
        assert_eq!(judged("RE: Hello", ADA), none);
        // Nobody of the email takes part in the answer.
        assert_eq!(judged("RE: Hello CRM:001002", "stranger@x.example"), none);
    }
}
