//! The oracle: compares what the world did with what can be observed, promise by promise.
//!
//! It is independent of the engine's bookkeeping: expectations come from the [`history`](crate::history),
//! written by the world and by probes nearest to the servers; what is judged is what can be seen from
//! outside (records, folders, mail that left, alerts, explanations, bytes on the disk) and, where a
//! promise is about the bookkeeping itself, the rows. None of the engine's planners is asked.
//!
//! [`check`] runs at the end of a run, after the faults have stopped and the world has settled
//! ([`View::settled`]), and at checkpoints during it, where only what must hold at any time is judged.

pub mod accident;
pub mod conversation;
pub mod destructive;
pub mod explain;
pub mod facts;
pub mod filters;
pub mod gates;
pub mod gather;
pub mod identity;
pub mod inward;
pub mod leases;
pub mod liveness;
pub mod once;
pub mod outage;
pub mod outward;
pub mod patience;
pub mod poison;
pub mod queues;
pub mod secrets;
pub mod threads;
pub mod view;
pub mod words;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

use std::fmt;

pub use facts::Facts;
pub use view::View;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Which promise, 1 to 11; 0: that things settle.
    pub promise: u8,
    /// What was found, with markers and ids to look for in the trace.
    pub text: String,
}

impl Violation {
    /// A broken promise.
    #[must_use]
    pub fn new(promise: u8, text: impl Into<String>) -> Self {
        Self {
            promise,
            text: text.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "promise {}: {}", self.promise, self.text)
    }
}

/// At most so many violations of one promise are told: the first ones say enough.
const TOLD_MAX: usize = 10;

/// Runs every check.
#[must_use]
pub fn check(view: &View) -> Vec<Violation> {
    type Check = fn(&View, &Facts) -> Vec<Violation>;
    const CHECKS: [Check; 17] = [
        inward::check,
        filters::check,
        queues::check,
        once::check,
        threads::check,
        outward::check,
        destructive::check,
        accident::check,
        poison::check,
        identity::check,
        gates::check,
        leases::check,
        outage::check,
        secrets::check,
        explain::check,
        liveness::check,
        patience::check,
    ];
    let facts = Facts::of(&view.history);
    CHECKS
        .iter()
        .flat_map(|check| check(view, &facts).into_iter().take(TOLD_MAX))
        .collect()
}
