//! What is fed with bytes, and what must hold for all of them.

mod address;
mod compose;
mod config;
mod cursor;
mod database;
mod engine;
mod ews;
mod ews_families;
mod mime;
mod request;
mod rules;
mod sqlite_file;
mod subject;
mod wire;

use std::hash::{DefaultHasher, Hash, Hasher as _};

use crate::family::Family;

/// Something that reads bytes.
pub trait Target {
    /// Inputs to begin with; valid ones above all.
    fn seeds(&self) -> Vec<Vec<u8>>;

    /// Texts that mean something here.
    fn dictionary(&self) -> &'static [&'static [u8]] {
        &[]
    }

    /// Longest input that is made, in bytes.
    fn length_max(&self) -> usize {
        16 * 1024
    }

    /// Ways to grow, for which time must not grow faster.
    fn families(&self) -> Vec<Family> {
        Vec::new()
    }

    /// Takes the bytes. Answers a number for what could be observed: an input that shows something
    /// new is worth going on from.
    ///
    /// # Panics
    /// Where a promise is broken.
    fn run(&mut self, input: &[u8]) -> u64;
}

/// A target by name.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Inputs of an ordinary test run.
    pub runs: u64,
    /// Makes it.
    pub make: fn() -> Box<dyn Target>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// All of them.
///
/// A new reader of foreign bytes (autodiscover documents, iCalendar, ...) gets a file here and a line
/// in this list; the drivers, the bench and the tests take it from there.
pub const ALL: &[Entry] = &[
    Entry {
        name: "address",
        runs: 6000,
        make: || Box::new(address::Addresses),
    },
    Entry {
        name: "compose",
        runs: 1500,
        make: || Box::new(compose::Compose),
    },
    Entry {
        name: "config",
        runs: 1500,
        make: || Box::new(config::Configuration::new()),
    },
    Entry {
        name: "cursor",
        runs: 2000,
        make: || Box::new(cursor::Cursors::new()),
    },
    Entry {
        name: "database",
        runs: 150,
        make: || Box::new(database::Database::new()),
    },
    Entry {
        name: "engine",
        runs: 120,
        make: || Box::new(engine::Messages::new()),
    },
    Entry {
        name: "ews",
        runs: 3000,
        make: || Box::new(ews::Answers::new()),
    },
    Entry {
        name: "mime",
        runs: 3000,
        make: || Box::new(mime::Mime),
    },
    Entry {
        name: "request",
        runs: 1500,
        make: || Box::new(request::Requests::new()),
    },
    Entry {
        name: "rules",
        runs: 1000,
        make: || Box::new(rules::Rules),
    },
    Entry {
        name: "subject",
        runs: 4000,
        make: || Box::new(subject::Subjects::new()),
    },
];

/// The target of that name.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn find(name: &str) -> &'static Entry {
    ALL.iter()
        .find(|entry| entry.name == name)
        .unwrap_or_else(|| panic!("there is no target {name}; there are {ALL:?}"))
}

/// A number for what was observed.
fn observed(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// The order of magnitude of a count: observations that differ in it differ.
const fn magnitude(count: usize) -> u32 {
    usize::BITS - count.leading_zeros()
}
