//! The museum: whether the simulation notices each planted defect, and after how many seeds.
//!
//! Only a build with `--cfg postroom_museum` has it; see `docs/testing.md`. A seed counts only where
//! the same seed without a defect is clean, so that nothing else can be what was noticed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};

use postroom_core::museum::{Defect, plant};

use crate::drive::{Options, run};
use crate::generate::{Params, generate};
use crate::oracle::Violation;

/// What became of one defect.
#[derive(Clone, Debug)]
pub struct Find {
    /// The defect.
    pub defect: Defect,
    /// How many seeds it took, and what was noticed first; `None` where nothing was.
    pub noticed: Option<(u64, Violation)>,
    /// In how many of the seeds that were run it was noticed; where all of them are run.
    pub of_all: Option<(u64, u64)>,
}

/// How the museum is visited.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// What is generated of a seed.
    pub params: Params,
    /// At most so many seeds for each defect, from 0 on.
    pub seeds_max: u64,
    /// Goes on after the first, and counts.
    pub count: bool,
    /// So many at a time.
    pub jobs: usize,
}

/// Seeds without a defect: their violations, each run once.
#[derive(Debug, Default)]
struct Clean(Mutex<BTreeMap<u64, bool>>);

impl Clean {
    fn is(&self, seed: u64, params: Params) -> bool {
        let known = |clean: &Self| {
            let runs = clean.0.lock().unwrap_or_else(PoisonError::into_inner);
            runs.get(&seed).copied()
        };
        if let Some(clean) = known(self) {
            return clean;
        }
        plant(None);
        let outcome = run(&generate(seed, params), &Options::default());
        let clean = outcome.violations.is_empty();
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.insert(seed, clean);
        clean
    }
}

/// Looks for each of these defects; `tell` gets what became of each as it comes. Also answers the
/// seeds that were not clean without any defect.
pub fn visit(
    defects: &[Defect],
    visit: Visit,
    mut tell: impl FnMut(&Find),
) -> (Vec<Find>, Vec<u64>) {
    let (next, clean) = (AtomicUsize::new(0), Clean::default());
    let (sender, results) = channel();
    let mut finds = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..visit.jobs.max(1) {
            let (next, clean, sender) = (&next, &clean, sender.clone());
            scope.spawn(move || {
                while let Some(defect) = defects.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if sender.send(look_for(*defect, visit, clean)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for find in results {
            tell(&find);
            finds.push(find);
        }
    });
    finds.sort_by_key(|find| find.defect);
    let runs = clean.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    let dirty = runs
        .into_iter()
        .filter(|(_, clean)| !clean)
        .map(|(seed, _)| seed)
        .collect();
    (finds, dirty)
}

fn look_for(defect: Defect, visit: Visit, clean: &Clean) -> Find {
    let mut find = Find {
        defect,
        noticed: None,
        of_all: None,
    };
    let (mut noticed, mut looked) = (0, 0);
    for seed in 0..visit.seeds_max {
        if !clean.is(seed, visit.params) {
            continue;
        }
        let scenario = generate(seed, visit.params);
        plant(Some(defect));
        let outcome = run(&scenario, &Options::default());
        plant(None);
        looked += 1;
        let Some(violation) = told(defect, outcome.violations) else {
            continue;
        };
        noticed += 1;
        find.noticed.get_or_insert((seed + 1, violation));
        if !visit.count {
            break;
        }
    }
    find.of_all = visit.count.then_some((noticed, looked));
    find
}

/// Of what was noticed the one that says best what is wrong. Only promises that the defect breaks
/// count, and a simulation that failed itself has noticed nothing.
fn told(defect: Defect, violations: Vec<Violation>) -> Option<Violation> {
    let rank = |violation: &Violation| {
        let mut promises = defect.promises().iter();
        promises.position(|promise| *promise == violation.promise)
    };
    violations
        .into_iter()
        .filter(|violation| !violation.text.starts_with("panic: "))
        .filter(|violation| rank(violation).is_some())
        .min_by_key(rank)
}

/// What was found as a table, in Markdown.
#[must_use]
pub fn table(finds: &[Find]) -> String {
    let mut text = String::from(
        "| Defect | What is wrong | Breaks | Noticed | By promise |\n|---|---|---|---|---|\n",
    );
    for find in finds {
        let promises = find
            .defect
            .promises()
            .iter()
            .filter(|promise| **promise > 0);
        let breaks: Vec<_> = promises.map(u8::to_string).collect();
        let (after, by) = match &find.noticed {
            Some((1, violation)) => ("first seed".to_owned(), by(violation)),
            Some((seeds, violation)) => (format!("{seeds} seeds"), by(violation)),
            None => ("**never**".to_owned(), String::new()),
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {after} | {by} |",
            find.defect.name(),
            find.defect.what().trim_end_matches('.'),
            breaks.join(", ")
        );
    }
    text
}

fn by(violation: &Violation) -> String {
    match violation.promise {
        0 => "settling".to_owned(),
        promise => promise.to_string(),
    }
}
