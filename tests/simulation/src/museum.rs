//! The museum: whether the simulation notices each planted defect, where, and by which promise.
//!
//! Only a build with `--cfg postroom_museum` has it; see `docs/testing.md`. First come the scenarios
//! that were made to show the defect, then seeds. A run counts only where the same run without the
//! defect is clean, so that nothing else can be what was noticed.

pub mod exhibits;
pub mod strike;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};

use postroom_core::museum::{Defect, plant};

use self::exhibits::Exhibit;
use self::strike::Struck;
use crate::drive::{Options, run};
use crate::generate::{Params, generate};
use crate::oracle::Violation;
use crate::report::Outcome;

/// What became of one defect.
#[derive(Clone, Debug)]
pub struct Find {
    /// The defect.
    pub defect: Defect,
    /// Where it was noticed first, and what; `None` where nothing was.
    pub noticed: Option<(Place, Violation)>,
    /// After how many seeds of the workload it was noticed, and what.
    pub by_chance: Option<(u64, Violation)>,
    /// Seeds that were run with it, and in how many it was noticed.
    pub seeds: (u64, u64),
}

/// Where a defect was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a scenario of that name.
    Exhibit(String),
    /// After so many seeds.
    Seeds(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exhibit(name) => f.write_str(name),
            Self::Seeds(1) => f.write_str("first seed"),
            Self::Seeds(seeds) => write!(f, "{seeds} seeds"),
        }
    }
}

/// For which defects seeds are run, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeds {
    /// Where no exhibit shows the defect, until one does.
    WhereNeeded,
    /// For each defect, until one shows it.
    UntilNoticed,
    /// For each defect all of them.
    All,
}

/// How the museum is visited.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// What is generated of a seed.
    pub params: Params,
    /// At most so many seeds for each defect, from 0 on.
    pub seeds_max: u64,
    /// Which seeds are run.
    pub seeds: Seeds,
    /// So many at a time.
    pub jobs: usize,
}

/// Seeds without a defect: whether they are clean, each run once.
#[derive(Debug, Default)]
struct Clean {
    seeds: Mutex<BTreeMap<u64, bool>>,
    exhibits: Mutex<BTreeSet<String>>,
}

impl Clean {
    fn seed(&self, seed: u64, params: Params) -> bool {
        let known = |clean: &Self| {
            let runs = clean.seeds.lock().unwrap_or_else(PoisonError::into_inner);
            runs.get(&seed).copied()
        };
        if let Some(clean) = known(self) {
            return clean;
        }
        plant(None);
        let outcome = run(&generate(seed, params), &Options::default());
        let clean = outcome.violations.is_empty();
        let mut runs = self.seeds.lock().unwrap_or_else(PoisonError::into_inner);
        runs.insert(seed, clean);
        clean
    }

    fn exhibit(&self, exhibit: &Exhibit) -> bool {
        let outcome = show(exhibit, None, Options::default());
        let clean = outcome.violations.is_empty();
        if !clean {
            let mut dirty = self.exhibits.lock().unwrap_or_else(PoisonError::into_inner);
            dirty.insert(exhibit.name.clone());
        }
        clean
    }
}

/// Runs an exhibit, with a defect or without.
#[must_use]
pub fn show(exhibit: &Exhibit, defect: Option<Defect>, mut options: Options) -> Outcome {
    options.plan = Some(Arc::new(Struck::new(&exhibit.scenario, &exhibit.strikes)));
    plant(defect);
    let outcome = run(&exhibit.scenario, &options);
    plant(None);
    outcome
}

/// Looks for each of these defects; `tell` gets what became of each as it comes. Also answers what
/// was not clean without any defect.
pub fn visit(
    defects: &[Defect],
    visit: Visit,
    mut tell: impl FnMut(&Find),
) -> (Vec<Find>, Vec<String>) {
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
    let seeds = clean.seeds.into_inner();
    let seeds = seeds.unwrap_or_else(PoisonError::into_inner).into_iter();
    let seeds = seeds.filter(|(_, clean)| !clean);
    let exhibits = clean.exhibits.into_inner();
    let exhibits = exhibits.unwrap_or_else(PoisonError::into_inner).into_iter();
    let dirty = exhibits.chain(seeds.map(|(seed, _)| format!("seed {seed}")));
    (finds, dirty.collect())
}

fn look_for(defect: Defect, visit: Visit, clean: &Clean) -> Find {
    let mut find = Find {
        defect,
        noticed: None,
        by_chance: None,
        seeds: (0, 0),
    };
    for exhibit in exhibits::of(defect) {
        let outcome = show(&exhibit, Some(defect), Options::default());
        if let Some(violation) = told(defect, outcome.violations)
            && clean.exhibit(&exhibit)
        {
            find.noticed = Some((Place::Exhibit(exhibit.name), violation));
            break;
        }
    }
    if find.noticed.is_some() && visit.seeds == Seeds::WhereNeeded {
        return find;
    }
    for seed in 0..visit.seeds_max {
        let scenario = generate(seed, visit.params);
        plant(Some(defect));
        let outcome = run(&scenario, &Options::default());
        plant(None);
        find.seeds.0 += 1;
        // The other run is made only where it matters.
        let Some(violation) = told(defect, outcome.violations) else {
            continue;
        };
        if !clean.seed(seed, visit.params) {
            continue;
        }
        find.seeds.1 += 1;
        find.by_chance.get_or_insert((seed + 1, violation));
        if visit.seeds != Seeds::All {
            break;
        }
    }
    if find.noticed.is_none() {
        let by_chance = find.by_chance.clone();
        find.noticed = by_chance.map(|(seeds, violation)| (Place::Seeds(seeds), violation));
    }
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
        "| Defect | What is wrong | Breaks | Shown by | Promise | Seeds of the workload |\n\
         |---|---|---|---|---|---|\n",
    );
    for find in finds {
        let promises = find
            .defect
            .promises()
            .iter()
            .filter(|promise| **promise > 0);
        let breaks: Vec<_> = promises.map(u8::to_string).collect();
        let (place, promise) = match &find.noticed {
            Some((place @ Place::Exhibit(_), violation)) => (format!("`{place}`"), by(violation)),
            Some((Place::Seeds(_), violation)) => ("seeds".to_owned(), by(violation)),
            None => ("**nowhere**".to_owned(), String::new()),
        };
        let seeds = match (&find.by_chance, find.seeds) {
            (Some((seeds, violation)), _) if by(violation) == promise => seeds.to_string(),
            (Some((seeds, violation)), _) => format!("{seeds}, by {}", by(violation)),
            (None, (0, _)) => String::new(),
            (None, (all, _)) => format!("none of {all}"),
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {place} | {promise} | {seeds} |",
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
