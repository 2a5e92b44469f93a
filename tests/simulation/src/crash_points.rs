//! Every point at which a process can die or a call can fail, one run each: for small scenarios
//! whose calls can all be counted.
//!
//! A clean run numbers the calls that leave the engine. Then each of them is, in a run of its own,
//! the one before which the process dies, after which it dies, during whose write the machine loses
//! power, which fails without its effect, which fails after its effect. What comes before the point
//! is the same each time; what comes after has to converge, and the oracle looks at all of it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::action::Scenario;
use crate::crash_scenarios::{Small, scenarios};
use crate::drive::{Options, run};
use crate::fault::{AtCall, Call, Decision, FaultError, FaultPlan, Seam, Verdict};
use crate::oracle::Violation;
use crate::report::{Outcome, Totals};

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The process dies before the call's effect.
    CrashBefore,
    /// The process dies after the call's effect.
    CrashAfter,
    /// The machine loses power while the call writes.
    Torn,
    /// The call fails and has no effect.
    FailBefore,
    /// The call has its effect and fails.
    FailAfter,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Torn,
        Self::FailBefore,
        Self::FailAfter,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CrashBefore => "crash-before",
            Self::CrashAfter => "crash-after",
            Self::Torn => "torn",
            Self::FailBefore => "fail-before",
            Self::FailAfter => "fail-after",
        }
    }

    /// What happens to such a call, where the kind means anything for it.
    #[must_use]
    pub const fn verdict(self, called: &Called) -> Option<Verdict> {
        let error = match called.seam {
            Seam::Store => FaultError::Io,
            Seam::Crm => FaultError::Unavailable,
            Seam::Provider | Seam::Http => FaultError::Lost,
        };
        let database = matches!(called.seam, Seam::Store | Seam::Crm);
        Some(match self {
            Self::CrashBefore => Verdict::CrashBefore,
            Self::CrashAfter => Verdict::CrashAfter,
            Self::Torn if database && called.writes => Verdict::TornCrash,
            Self::Torn => return None,
            Self::FailBefore => Verdict::FailBefore(error),
            Self::FailAfter => Verdict::FailAfter(error),
        })
    }
}

/// A call of the clean run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// Its number in the run.
    pub number: u64,
    /// Where.
    pub seam: Seam,
    /// What.
    pub operation: String,
    /// Whether it can change anything.
    pub writes: bool,
}

/// One point: a scenario, a call and what happens to it. Written `scenario:number:kind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The scenario's name.
    pub scenario: String,
    /// The number of the call.
    pub number: u64,
    /// What happens.
    pub kind: Kind,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.scenario, self.number, self.kind.name())
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let (Some(scenario), Some(number), Some(kind), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("write it as SCENARIO:NUMBER:KIND".to_owned());
        };
        let number = number
            .parse()
            .map_err(|error| format!("{number}: {error}"))?;
        let kind = Kind::ALL
            .into_iter()
            .find(|known| known.name() == kind)
            .ok_or_else(|| {
                let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
                format!("{kind}: one of {}", names.join(", "))
            })?;
        Ok(Self {
            scenario: scenario.to_owned(),
            number,
            kind,
        })
    }
}

/// Passes every call, and remembers those that count.
#[derive(Debug)]
struct Recorder {
    from: Duration,
    calls: Mutex<Vec<Called>>,
}

impl FaultPlan for Recorder {
    fn decide(&self, call: &Call<'_>) -> Decision {
        if call.at >= self.from {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.push(Called {
                number: call.number,
                seam: call.seam,
                operation: call.operation.to_owned(),
                writes: call.writes,
            });
        }
        Decision::PASS
    }
}

/// The calls of a clean run, and the run itself.
#[must_use]
pub fn clean(small: &Small) -> (Vec<Called>, Outcome) {
    let recorder = Arc::new(Recorder {
        from: small.from,
        calls: Mutex::default(),
    });
    let plan: Arc<dyn FaultPlan> = Arc::<Recorder>::clone(&recorder);
    let outcome = run(&small.scenario, &options(plan));
    let mut calls = recorder
        .calls
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    (std::mem::take(&mut *calls), outcome)
}

fn options(plan: Arc<dyn FaultPlan>) -> Options {
    Options {
        plan: Some(plan),
        ..Options::default()
    }
}

/// What was found for one kind of point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Points.
    pub points: u64,
    /// Points after which a promise was broken.
    pub violated: u64,
}

/// What going through the points came to.
#[derive(Clone, Debug, Default)]
pub struct Tour {
    /// By scenario and kind.
    pub counts: BTreeMap<(&'static str, Kind), Count>,
    /// By seam, over all scenarios: calls of the clean runs.
    pub calls: BTreeMap<Seam, u64>,
    /// What happened in all runs together.
    pub totals: Totals,
}

impl Tour {
    /// All points.
    #[must_use]
    pub fn points(&self) -> u64 {
        self.counts.values().map(|count| count.points).sum()
    }

    /// Points after which a promise was broken, and clean runs in which one was.
    #[must_use]
    pub fn violated(&self) -> u64 {
        self.counts.values().map(|count| count.violated).sum()
    }

    /// A table for people.
    #[must_use]
    pub fn text(&self) -> String {
        use std::fmt::Write as _;

        let mut text = format!("{:<22}", "scenario");
        for kind in Kind::ALL {
            let _ = write!(text, "{:>14}", kind.name());
        }
        text.push('\n');
        let mut names: Vec<_> = self.counts.keys().map(|(name, _)| *name).collect();
        names.dedup();
        let cell = |count: Count| match count.violated {
            0 => count.points.to_string(),
            violated => format!("{} ({violated}!)", count.points),
        };
        for name in names {
            let _ = write!(text, "{name:<22}");
            for kind in Kind::ALL {
                let count = self.counts.get(&(name, kind)).copied();
                let _ = write!(text, "{:>14}", cell(count.unwrap_or_default()));
            }
            text.push('\n');
        }
        let _ = write!(text, "{:<22}", "all");
        for kind in Kind::ALL {
            let mut sum = Count::default();
            for ((_, of), count) in &self.counts {
                if *of == kind {
                    sum.points += count.points;
                    sum.violated += count.violated;
                }
            }
            let _ = write!(text, "{:>14}", cell(sum));
        }
        let calls: Vec<_> = self
            .calls
            .iter()
            .map(|(seam, count)| format!("{count} {seam:?}"))
            .collect();
        let _ = writeln!(
            text,
            "\ncalls in the clean runs: {}\npoints                {}\nviolated              {}",
            calls.join(", "),
            self.points(),
            self.violated()
        );
        text
    }
}

/// Which points are gone through, and how.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// Only scenarios of these names; all where empty.
    pub only: &'a [String],
    /// Every so many points one: 1 for all.
    pub every: usize,
    /// So many at a time.
    pub jobs: usize,
}

/// Goes through the points; `tell` gets each run after which something was found, and `None` for
/// a clean run in which something was.
pub fn tour(route: Route<'_>, mut tell: impl FnMut(&Small, Option<&Point>, &Outcome)) -> Tour {
    let wanted =
        |small: &Small| route.only.is_empty() || route.only.iter().any(|name| name == small.name);
    let smalls: Vec<Small> = scenarios().into_iter().filter(wanted).collect();
    let mut tour = Tour::default();
    let mut points = Vec::new();
    for (at, small) in smalls.iter().enumerate() {
        let (calls, outcome) = clean(small);
        if !outcome.violations.is_empty() {
            tell(small, None, &outcome);
            tour.counts
                .entry((small.name, Kind::CrashBefore))
                .or_default()
                .violated += 1;
        }
        for called in calls {
            *tour.calls.entry(called.seam).or_default() += 1;
            for kind in Kind::ALL {
                if let Some(verdict) = kind.verdict(&called) {
                    points.push((at, called.number, kind, verdict));
                }
            }
        }
    }
    let points: Vec<_> = points.into_iter().step_by(route.every.max(1)).collect();
    let next = AtomicUsize::new(0);
    let (outcomes, results) = channel();
    std::thread::scope(|scope| {
        for _ in 0..route.jobs.max(1) {
            let (next, outcomes, points, smalls) = (&next, outcomes.clone(), &points, &smalls);
            scope.spawn(move || {
                loop {
                    let this = next.fetch_add(1, Ordering::Relaxed);
                    let Some((at, number, _, verdict)) = points.get(this).copied() else {
                        return;
                    };
                    let outcome =
                        at_point(&smalls[at].scenario, number, verdict, Options::default());
                    if outcomes.send((this, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(outcomes);
        for (this, mut outcome) in results {
            let (at, number, kind, _) = points[this];
            if !outcome.totals.faults.contains_key(AtCall::NAME) {
                // A point that nothing happened at says nothing about what would happen there.
                let text = "the call was not made again: the run is not the clean one up to it";
                outcome.violations.push(Violation::new(0, text));
            }
            let small = &smalls[at];
            let count = tour.counts.entry((small.name, kind)).or_default();
            count.points += 1;
            tour.totals.add(&outcome.totals);
            if !outcome.violations.is_empty() {
                count.violated += 1;
                let point = Point {
                    scenario: small.name.to_owned(),
                    number,
                    kind,
                };
                tell(small, Some(&point), &outcome);
            }
        }
    });
    tour
}

/// The small scenario of a name.
///
/// # Errors
/// Where there is none.
pub fn find(name: &str) -> Result<Small, String> {
    let mut all = scenarios();
    match all.iter().position(|small| small.name == name) {
        Some(at) => Ok(all.swap_remove(at)),
        None => {
            let names: Vec<_> = all.iter().map(|small| small.name).collect();
            Err(format!("{name}: one of {}", names.join(", ")))
        }
    }
}

/// Runs one point again.
///
/// # Errors
/// Where there is no such scenario or call, or the kind means nothing for the call.
pub fn repeat(point: &Point, options: Options) -> Result<Outcome, String> {
    let small = find(&point.scenario)?;
    let (calls, _) = clean(&small);
    let called = calls
        .iter()
        .find(|called| called.number == point.number)
        .ok_or_else(|| match (calls.first(), calls.last()) {
            (Some(first), Some(last)) => {
                format!("its calls are numbered {} to {}", first.number, last.number)
            }
            _ => "it makes no calls".to_owned(),
        })?;
    let verdict = point
        .kind
        .verdict(called)
        .ok_or_else(|| format!("{} writes nothing that could be torn", called.operation))?;
    Ok(at_point(&small.scenario, point.number, verdict, options))
}

fn at_point(scenario: &Scenario, number: u64, verdict: Verdict, mut options: Options) -> Outcome {
    options.plan = Some(Arc::new(AtCall { number, verdict }));
    run(scenario, &options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::liveness::ROW_AGE_MAX;

    #[test]
    fn a_point_is_read_as_it_is_written() {
        let point: Point = "outgoing:17:fail-after".parse().unwrap();
        assert_eq!(point.number, 17);
        assert_eq!(point.kind, Kind::FailAfter);
        assert_eq!(point.to_string(), "outgoing:17:fail-after");
        assert!("outgoing:17".parse::<Point>().is_err());
        assert!("outgoing:17:sometimes".parse::<Point>().is_err());
    }

    #[test]
    fn clean_runs_are_clean_and_number_calls_at_every_seam() {
        let mut seams: BTreeMap<Seam, u64> = BTreeMap::new();
        for small in scenarios() {
            let (calls, outcome) = clean(&small);
            assert_eq!(outcome.violations, [], "{}", small.name);
            assert!(!calls.is_empty(), "{}", small.name);
            // What never happens after a point is noticed only where it had the time to happen.
            let rest = small.scenario.steps.last().unwrap().at + ROW_AGE_MAX;
            assert!(
                outcome.totals.simulated_seconds > rest.as_secs(),
                "{}",
                small.name
            );
            for called in calls {
                *seams.entry(called.seam).or_default() += 1;
            }
        }
        assert_eq!(seams.len(), 4, "{seams:?}");
    }

    #[test]
    fn an_unknown_point_is_refused() {
        for text in ["nowhere:1:torn", "outgoing:999999:torn"] {
            let point = text.parse().unwrap();
            assert!(repeat(&point, Options::default()).is_err(), "{text}");
        }
    }
}
