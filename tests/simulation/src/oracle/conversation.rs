//! Which messages belong together, as their writers know.

use std::collections::BTreeMap;

use super::facts::Facts;
use crate::history::Thread;

/// Messages that belong together: by what they answer, and by Message-IDs that they share.
#[derive(Debug, Default)]
pub struct Conversations {
    /// A message that it belongs together with, nearer to the root.
    towards: BTreeMap<String, String>,
}

impl Conversations {
    /// All of a run.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        let mut all = Self::default();
        let mut by_id: BTreeMap<&str, &str> = BTreeMap::new();
        for letter in facts.letters.values() {
            if let Thread::ReplyTo(parent) | Thread::Maybe(parent) = &letter.thread {
                all.join(&letter.marker, parent);
            }
            if let Some(id) = &letter.message_id {
                let first = *by_id.entry(id).or_insert(&letter.marker);
                all.join(&letter.marker, first);
            }
        }
        for (marker, written) in &facts.written {
            if let Some(parent) = &written.answers {
                all.join(marker, parent);
            }
        }
        all
    }

    /// Whether two messages belong together.
    #[must_use]
    pub fn together(&self, one: &str, other: &str) -> bool {
        self.root(one) == self.root(other)
    }

    fn root<'a>(&'a self, marker: &'a str) -> &'a str {
        let mut at = marker;
        while let Some(next) = self.towards.get(at) {
            at = next;
        }
        at
    }

    fn join(&mut self, one: &str, other: &str) {
        let (one, other) = (self.root(one).to_owned(), self.root(other).to_owned());
        if one != other {
            self.towards.insert(one, other);
        }
    }
}
