//! Promise 2, tied to what it answers: by token and conversation, too, and to nothing else.

use super::Violation;
use super::conversation::Conversations;
use super::facts::Facts;
use super::filters::{names_token, token_holders};
use super::view::{Record, View};
use super::words;
use crate::history::{Letter, Thread};

/// Checks the ties of incoming email. Answers by In-Reply-To to the application's email are looked at
/// with the records.
#[must_use]
pub fn check(view: &View, facts: &Facts) -> Vec<Violation> {
    let conversations = Conversations::of(facts);
    let mut violations = Vec::new();
    for record in view.records.iter().filter(|record| record.incoming) {
        let Some(letter) = record.marker.as_ref().and_then(|m| facts.letters.get(m)) else {
            continue;
        };
        if let Some(what) = wrong(view, facts, &conversations, record, letter) {
            let how = record
                .method
                .map(|method| format!(" by {method:?}"))
                .unwrap_or_default();
            let text = format!("{} (record {}) {what}{how}", letter.marker, record.id);
            violations.push(Violation::new(2, text));
        }
    }
    violations
}

fn wrong(
    view: &View,
    facts: &Facts,
    conversations: &Conversations,
    record: &Record,
    letter: &Letter,
) -> Option<String> {
    let tied = |tie| view.record(tie).and_then(|tied| tied.marker.as_deref());
    let (Thread::ReplyTo(parent) | Thread::Maybe(parent)) = &letter.thread else {
        let marker = tied(record.correlated?)?;
        // What was answered before it was recorded may be tied to its answer.
        return (!conversations.together(marker, &letter.marker))
            .then(|| format!("answers nothing, and is tied to {marker}"));
    };
    let holders = token_holders(view, facts, letter);
    let Some(tie) = record.correlated else {
        if let Some((holder, _)) = holders.first() {
            return Some(format!(
                "names the token of {holder}, and is tied to nothing"
            ));
        }
        let written = facts.written.get(parent)?;
        let sent = view.record(written.record)?.status == "sent";
        if sent && letter.index.is_some() {
            return Some(format!(
                "lies in the conversation of {parent}, and is tied to nothing"
            ));
        }
        return words::shows(view, facts, letter)
            .then(|| format!("has the words and people of {parent}, and is tied to nothing"));
    };
    let marker = tied(tie)?;
    if !conversations.together(marker, &letter.marker) {
        return Some(format!(
            "answers {parent}, and is tied to {marker} of another conversation"
        ));
    }
    // A Message-ID and a token name single emails, a token also those that repeat it; of a
    // conversation any may be the answer.
    let other = facts.letters.get(marker);
    let repeats = |token: &str| other.is_some_and(|other| names_token(&other.subject, token));
    let by_token = view.tokens.iter().any(|(holder, token)| {
        names_token(&letter.subject, token) && (*holder == tie || repeats(token))
    });
    let certain = !holders.is_empty() && letter.index.is_none();
    (certain && !by_token && !facts.same_id(marker, parent))
        .then(|| format!("answers {parent} with the token of {holders:?}, and is tied to {marker}"))
}

#[cfg(test)]
mod tests {
    use postroom_core::RecordId;

    use super::*;
    use crate::history::Event;
    use crate::oracle::fixture::World;

    fn texts(world: &World) -> Vec<String> {
        let facts = Facts::of(&world.view.history);
        let violations = check(&world.view, &facts);
        violations.into_iter().map(|one| one.text).collect()
    }

    /// Jo answers Ada's `w1`, which has a token, with a subject and perhaps an index; what comes of
    /// it is tied.
    fn answer(
        thread: Thread,
        subject: &str,
        index: Option<&str>,
        tie: impl FnOnce(&mut World) -> Option<RecordId>,
    ) -> Vec<String> {
        let mut world = World::good();
        let parent = world.record_mut("w1").id;
        world.view.tokens.push((parent, "CRM:001002".to_owned()));
        world.reply_to_ada("m3", "i3", thread);
        for entry in &mut world.view.history {
            if let Event::Arrived { letter, .. } = &mut entry.event
                && letter.marker == "m3"
            {
                subject.clone_into(&mut letter.subject);
                letter.index = index.map(str::to_owned);
            }
        }
        let tie = tie(&mut world);
        world.recorded("m3", "i3", tie);
        texts(&world)
    }

    fn maybe() -> Thread {
        Thread::Maybe("w1".to_owned())
    }

    const TOKEN: &str = "RE: Hello CRM:001002";

    #[test]
    fn a_good_world_is_good() {
        assert_eq!(texts(&World::good()), Vec::<String>::new());
        let right = |world: &mut World| Some(world.record_mut("w1").id);
        for (subject, index) in [
            (TOKEN, None),
            ("RE: Hello", Some("AQ")),
            ("RE: Hello", None),
        ] {
            let found = answer(maybe(), subject, index, right);
            assert_eq!(found, Vec::<String>::new(), "{subject}");
        }
    }

    #[test]
    fn token_conversation_and_words_tie() {
        let found = answer(maybe(), TOKEN, None, |_| None);
        assert!(found[0].contains("names the token"), "{found:?}");
        let found = answer(maybe(), "RE: Hello", Some("AQ"), |_| None);
        assert!(found[0].contains("in the conversation"), "{found:?}");
        let found = answer(maybe(), "RE: Greetings", None, |_| None);
        assert!(found[0].contains("has the words"), "{found:?}");
        // One of them alone is a guess.
        let found = answer(maybe(), "RE: Greetings again", None, |_| None);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn nothing_is_tied_to_what_it_does_not_answer() {
        let wrong = |world: &mut World| Some(world.record_mut("m1").id);
        let found = answer(Thread::None, "Hello", None, wrong);
        assert!(found[0].contains("answers nothing"), "{found:?}");
        let found = answer(maybe(), TOKEN, None, wrong);
        assert!(found[0].contains("another conversation"), "{found:?}");
        // m1 answers w1, too, so that they are of one conversation; the token says which.
        let found = answer(maybe(), TOKEN, None, |world| {
            for entry in &mut world.view.history {
                if let Event::Arrived { letter, .. } = &mut entry.event
                    && letter.marker == "m1"
                {
                    letter.thread = maybe();
                }
            }
            wrong(world)
        });
        assert!(found[0].contains("is tied to m1"), "{found:?}");
    }
}
