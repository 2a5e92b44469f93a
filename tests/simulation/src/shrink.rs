//! Makes a failing scenario small: leaves out what is not needed for the same promise to break.
//!
//! First steps and faults are left out in ever smaller groups (delta debugging), then mailboxes,
//! profiles and people, then what is unusual about those that remain, then waiting. Each candidate is
//! run; the number of runs is bounded.

use std::time::Duration;

use crate::action::Scenario;
use crate::drive::{Options, run};
use crate::oracle::Violation;
use crate::simplify;

/// A smaller scenario that breaks the same promise.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The scenario.
    pub scenario: Scenario,
    /// What is found in it.
    pub violations: Vec<Violation>,
    /// How many runs it took.
    pub runs: u32,
}

/// How far shrinking has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Runs so far.
    pub runs: u32,
    /// Steps that are left.
    pub steps: usize,
    /// Faults that are left.
    pub faults: usize,
}

/// Shrinks a scenario, with at most so many runs; `None` where nothing is found in it.
pub fn shrink(
    scenario: &Scenario,
    runs_max: u32,
    progress: impl FnMut(Progress),
) -> Option<Shrunk> {
    let options = Options::default();
    let promise = run(scenario, &options).violations.first()?.promise;
    let breaks = |candidate: &Scenario| {
        let found = run(candidate, &options).violations;
        found.iter().any(|violation| violation.promise == promise)
    };
    let (scenario, runs) = shrink_with(scenario, runs_max, breaks, progress);
    let violations = run(&scenario, &options).violations;
    Some(Shrunk {
        scenario,
        violations,
        runs,
    })
}

/// Shrinks a scenario for as long as it `breaks` something, with at most so many questions. Answers
/// the smallest one that does, and how often it asked.
pub fn shrink_with(
    scenario: &Scenario,
    runs_max: u32,
    breaks: impl FnMut(&Scenario) -> bool,
    progress: impl FnMut(Progress),
) -> (Scenario, u32) {
    let mut search = Search {
        best: scenario.clone(),
        runs: 0,
        runs_max,
        breaks,
        progress,
    };
    loop {
        let before = search.best.clone();
        search.leave_out();
        search.fewer();
        search.plainer();
        search.sooner();
        if search.best == before || search.exhausted() {
            return (search.best, search.runs);
        }
    }
}

struct Search<B, P> {
    best: Scenario,
    runs: u32,
    runs_max: u32,
    breaks: B,
    progress: P,
}

impl<B: FnMut(&Scenario) -> bool, P: FnMut(Progress)> Search<B, P> {
    fn exhausted(&self) -> bool {
        self.runs >= self.runs_max
    }

    /// Takes a candidate where it still breaks.
    fn take(&mut self, candidate: Scenario) -> bool {
        if self.exhausted() || candidate == self.best {
            return false;
        }
        self.runs += 1;
        let breaks = (self.breaks)(&candidate);
        if breaks {
            self.best = candidate;
            (self.progress)(Progress {
                runs: self.runs,
                steps: self.best.steps.len(),
                faults: self.best.faults.len(),
            });
        }
        breaks
    }

    /// Steps and faults, in groups of half of them, a quarter, and so on down to one.
    fn leave_out(&mut self) {
        let mut groups = 2;
        loop {
            let count = self.best.steps.len() + self.best.faults.len();
            if count == 0 || self.exhausted() {
                return;
            }
            let size = count.div_ceil(groups);
            let mut at = 0;
            let mut any = false;
            // From the end: what comes later depends on what came before, not the other way round.
            while at < self.best.steps.len() + self.best.faults.len() {
                let left = self.best.steps.len() + self.best.faults.len();
                let until = left - at;
                let from = until.saturating_sub(size);
                if self.take(without(&self.best, from, until)) {
                    any = true;
                } else {
                    at += size;
                }
            }
            if size == 1 && !any {
                return;
            }
            groups = if any { groups.max(2) } else { groups * 2 };
            groups = groups.min(count.max(2));
        }
    }

    /// Fewer mailboxes, profiles and people.
    fn fewer(&mut self) {
        let of: [fn(&Scenario, usize) -> Option<Scenario>; 3] = [
            simplify::without_mailbox,
            simplify::without_profile,
            simplify::without_contact,
        ];
        for without in of {
            let setup = &self.best.setup;
            let most = setup.mailboxes.len().max(setup.contacts.len());
            for at in (0..most).rev() {
                if let Some(candidate) = without(&self.best, at) {
                    self.take(candidate);
                }
            }
        }
    }

    /// What is unusual becomes usual, one after the other.
    fn plainer(&mut self) {
        for change in simplify::CHANGES {
            let all = self.best.setup.mailboxes.len()
                + self.best.setup.profiles.len()
                + self.best.steps.len()
                + self.best.faults.len();
            for at in 0..all {
                if self.exhausted() {
                    return;
                }
                if let Some(candidate) = change(&self.best, at) {
                    self.take(candidate);
                }
            }
        }
    }

    /// Less waiting: the longest pauses become short ones.
    fn sooner(&mut self) {
        for pause in [Duration::from_secs(60), Duration::from_secs(600)] {
            for at in simplify::pauses(&self.best).into_iter().take(6) {
                if self.exhausted() {
                    break;
                }
                if let Some(candidate) = simplify::shorter(&self.best, at, pause) {
                    self.take(candidate);
                }
            }
        }
    }
}

/// Without those from one up to another, of steps and faults one after the other.
fn without(scenario: &Scenario, from: usize, until: usize) -> Scenario {
    let steps = scenario.steps.len();
    let keeps = |at: usize| !(from..until).contains(&at);
    let mut candidate = scenario.clone();
    let mut at = 0;
    candidate.steps.retain(|_| {
        at += 1;
        keeps(at - 1)
    });
    let mut at = steps;
    candidate.faults.retain(|_| {
        at += 1;
        keeps(at - 1)
    });
    candidate
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Action, Recipient};
    use crate::fault::FaultKind;
    use crate::generate::{Params, Size, generate};

    fn large(seed: u64) -> Scenario {
        let size = Size::Large;
        generate(
            seed,
            Params {
                size,
                ..Params::default()
            },
        )
    }

    #[test]
    fn only_what_breaks_is_left() {
        let scenario = large(3);
        let written = |scenario: &Scenario| {
            let writes = |action: &Action| matches!(action, Action::Write { .. });
            scenario
                .steps
                .iter()
                .filter(|step| writes(&step.action))
                .count()
        };
        assert!(written(&scenario) > 20);
        let (small, runs) = shrink_with(
            &scenario,
            5_000,
            |candidate| written(candidate) >= 2 && !candidate.faults.is_empty(),
            |_| {},
        );
        assert_eq!(
            (written(&small), small.steps.len(), small.faults.len()),
            (2, 2, 1)
        );
        // Those stay that the two emails name: their senders, and a recipient among them.
        assert!(small.setup.mailboxes.len() <= 3);
        assert!(small.setup.mailboxes.len() < scenario.setup.mailboxes.len());
        assert!(runs < 5_000);
    }

    #[test]
    fn positions_stay_those_of_the_same_mailbox() {
        let mut scenario = large(4);
        scenario.faults.clear();
        let last = scenario.setup.mailboxes.len() - 1;
        scenario.setup.mailboxes[last].queue = true;
        let writes_to_itself = |scenario: &Scenario| {
            scenario.steps.iter().any(|step| match &step.action {
                Action::Write { from, to, .. } => {
                    let queue = &scenario.setup.mailboxes[*from];
                    queue.queue && to.contains(&Recipient::Inside(*from))
                }
                _ => false,
            })
        };
        scenario.steps.push(crate::action::Step {
            at: Duration::from_secs(7 * 86_400),
            action: Action::Write {
                number: 9_999,
                from: last,
                to: vec![Recipient::Outside(0), Recipient::Inside(last)],
                answers: None,
            },
        });
        let (small, _) = shrink_with(&scenario, 5_000, writes_to_itself, |_| {});
        assert_eq!(small.steps.len(), 1);
        assert_eq!(small.setup.mailboxes.len(), 1);
        assert!(small.steps[0].at < Duration::from_secs(3600));
    }

    #[test]
    fn the_number_of_runs_is_bounded() {
        let mut asked = 0;
        let ask = |_: &Scenario| {
            asked += 1;
            asked % 2 == 0
        };
        let (_, runs) = shrink_with(&large(5), 50, ask, |_| {});
        assert_eq!(runs, 50);
        assert_eq!(asked, 50);
    }

    #[test]
    fn one_fault_is_found_among_many() {
        let scenario = (0..100)
            .map(large)
            .find(|scenario| {
                let crash =
                    |fault: &&crate::fault::FaultWindow| fault.fault == FaultKind::CrashAfter;
                scenario.faults.iter().any(|fault| crash(&fault)) && scenario.faults.len() > 5
            })
            .unwrap();
        let crashes = |scenario: &Scenario| {
            let crash = |kind: &FaultKind| *kind == FaultKind::CrashAfter;
            scenario.faults.iter().any(|fault| crash(&fault.fault))
        };
        let (small, _) = shrink_with(&scenario, 5_000, crashes, |_| {});
        assert_eq!((small.steps.len(), small.faults.len()), (0, 1));
    }
}
