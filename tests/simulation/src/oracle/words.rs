//! Answers that show by their words alone: the same subject, and two people in common.
//!
//! A small model of what smart matching promises with the settings that these worlds have. Where the
//! words of a subject are cut, or are none, it says nothing.

use std::collections::BTreeSet;

use super::facts::Facts;
use super::view::View;
use crate::history::{Letter, Thread};

/// Longer subjects are cut somewhere.
const SUBJECT_MAX: usize = 255;
/// With more words not all of them count.
const WORDS_MAX: usize = 20;
/// So many people take part in both.
const PEOPLE_MIN: usize = 2;

/// Whether a message answers email that was sent from here, and shows it by the words of its subject
/// and the people who take part.
#[must_use]
pub fn shows(view: &View, facts: &Facts, letter: &Letter) -> bool {
    let (Thread::ReplyTo(parent) | Thread::Maybe(parent)) = &letter.thread else {
        return false;
    };
    let sent = facts.written.get(parent).is_some_and(|written| {
        let record = view.record(written.record);
        record.is_some_and(|record| record.status == "sent")
    });
    let mut left = view.outside.iter();
    let Some(left) = left.find(|left| left.marker.as_ref() == Some(parent)) else {
        return false;
    };
    let own = words(view, &letter.subject);
    sent && own.is_some()
        && own == words(view, &left.subject)
        && people(&letter.from, &letter.to)
            .intersection(&people(&left.from, &left.named))
            .count()
            >= PEOPLE_MIN
}

fn people(from: &str, to: &[String]) -> BTreeSet<String> {
    let all = to.iter().map(String::as_str).chain([from]);
    all.map(str::to_ascii_lowercase).collect()
}

/// What a subject says, apart from its marks and its token.
fn words(view: &View, subject: &str) -> Option<BTreeSet<String>> {
    let is_token = |word: &str| {
        let mut tokens = view.tokens.iter();
        tokens.any(|(_, token)| token.eq_ignore_ascii_case(word))
    };
    let said = subject.split_whitespace().filter(|word| !is_token(word));
    let words: BTreeSet<String> = said
        .skip_while(|word| word.ends_with(':'))
        .flat_map(|word| word.split(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let tellable = subject.len() <= SUBJECT_MAX && (1..WORDS_MAX).contains(&words.len());
    tellable.then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::fixture::{ADA, JO, World};

    fn judged(subject: &str, from: &str, to: &[&str]) -> bool {
        let mut world = World::good();
        let record = world.record_mut("w1").id;
        world.view.tokens.push((record, "CRM:001002".to_owned()));
        world.view.outside[0].subject = "RE: Copper lamp CRM:001002".to_owned();
        let facts = Facts::of(&world.view.history);
        let letter = Letter {
            marker: "m9".to_owned(),
            message_id: None,
            date: None,
            from: from.to_owned(),
            to: to.iter().map(|to| (*to).to_owned()).collect(),
            thread: Thread::Maybe("w1".to_owned()),
            subject: subject.to_owned(),
            index: None,
        };
        shows(&world.view, &facts, &letter)
    }

    #[test]
    fn the_same_words_and_two_people_are_an_answer() {
        for subject in ["RE: Copper lamp", "AW: RE: lamp, COPPER", "Copper lamp"] {
            assert!(judged(subject, JO, &[ADA]), "{subject}");
        }
        let long = format!("RE: Copper lamp {}", "lamp ".repeat(60));
        for subject in ["RE: Copper", "RE: Copper lamp paint", "RE:", long.as_str()] {
            assert!(!judged(subject, JO, &[ADA]), "{subject}");
        }
        assert!(!judged("RE: Copper lamp", "stranger@x.example", &[ADA]));
        assert!(!judged("RE: Copper lamp", JO, &["other@x.example"]));
    }
}
