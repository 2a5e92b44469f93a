//! Many seeds, on several threads: each seed on one thread, with a runtime of its own.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;

use crate::drive::{Options, run};
use crate::generate::{Params, generate};
use crate::report::{Outcome, Totals};

/// Seeds from one up to, not including, another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    /// The first.
    pub from: u64,
    /// The one after the last.
    pub until: u64,
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, until) = text.split_once("..").ok_or("write it as A..B")?;
        let number = |text: &str| text.parse().map_err(|error| format!("{text}: {error}"));
        Ok(Self {
            from: number(from)?,
            until: number(until)?,
        })
    }
}

/// Runs seeds; `tell` gets each outcome as it comes.
pub fn run_many(
    seeds: Seeds,
    params: Params,
    options: &Options,
    jobs: Option<usize>,
    mut tell: impl FnMut(&Outcome),
) -> Totals {
    let mut totals = Totals::default();
    let one = |seed| run(&generate(seed, params), options);
    each(seeds, jobs, one, |outcome| {
        totals.add(&outcome.totals);
        tell(&outcome);
    });
    totals
}

/// Runs each seed twice; answers those whose second run was not the first one again.
pub fn run_twice(seeds: Seeds, params: Params, options: &Options, jobs: Option<usize>) -> Vec<u64> {
    let mut differing = Vec::new();
    let both = |seed| {
        let scenario = generate(seed, params);
        (run(&scenario, options), run(&scenario, options))
    };
    each(seeds, jobs, both, |(one, other)| {
        let same = one.hash == other.hash
            && one.lines == other.lines
            && one.totals == other.totals
            && one.violations == other.violations;
        if !same {
            differing.push(one.seed);
        }
    });
    differing.sort_unstable();
    differing
}

/// Does something for each seed, on so many threads.
fn each<T: Send>(
    seeds: Seeds,
    jobs: Option<usize>,
    work: impl Fn(u64) -> T + Sync,
    mut tell: impl FnMut(T),
) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(seeds.from);
    let (outcomes, results) = channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.unwrap_or(cores) {
            let (next, outcomes, work) = (&next, outcomes.clone(), &work);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.until || outcomes.send(work(seed)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(outcomes);
        for outcome in results {
            tell(outcome);
        }
    });
}
