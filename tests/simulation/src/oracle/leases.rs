//! Promise 8, a worker works under its lease: whoever asks a server something about a workload holds
//! that workload's lease at this moment.
//!
//! Leases are those that the store really gave, noted where the engine meets it; what counts is true
//! time, not what a worker's clock says. One thing no worker can avoid: the machine stands still
//! between the look at the lease and the request.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use postroom_core::MailboxId;
use postroom_core::mailbox::Workload;

use super::Violation;
use super::facts::{Call, Facts};
use super::view::View;
use crate::history::{Event, Side};

/// Events of one moment stand in the order in which they happened, a little apart.
const MOMENT: Duration = Duration::from_secs(1);

/// Who held the leases of workloads.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    held: BTreeMap<(MailboxId, Workload), Vec<Tenure>>,
    /// Which engines went on after they had stood still, and when.
    thawed: Vec<(Duration, u32)>,
}

/// A time for which an engine held a lease without a gap.
#[derive(Clone, Copy, Debug)]
struct Tenure {
    engine: u32,
    from: Duration,
    until: Duration,
}

impl Leases {
    /// Takes note of what happened to a lease.
    pub fn take(&mut self, at: Duration, event: &Event) {
        match *event {
            Event::LeaseHeld {
                engine,
                mailbox,
                workload,
                lasts,
            } => self.begin(at, engine, (mailbox, workload), lasts),
            Event::LeaseReturned {
                engine,
                mailbox,
                workload,
            } => {
                let tenures = self.held.get_mut(&(mailbox, workload));
                let last = tenures.and_then(|tenures| tenures.last_mut());
                if let Some(last) = last.filter(|last| last.engine == engine) {
                    last.until = last.until.min(at);
                }
            }
            Event::EngineThawed { engine } => self.thawed.push((at, engine)),
            _ => {}
        }
    }

    fn begin(&mut self, at: Duration, engine: u32, of: (MailboxId, Workload), lasts: Duration) {
        let tenures = self.held.entry(of).or_default();
        match tenures.last_mut() {
            Some(last) if last.engine == engine && last.until >= at => last.until = at + lasts,
            last => {
                if let Some(last) = last {
                    last.until = last.until.min(at);
                }
                tenures.push(Tenure {
                    engine,
                    from: at,
                    until: at + lasts,
                });
            }
        }
    }

    fn covers(&self, call: &Call, workload: Workload) -> bool {
        let tenures = self.held.get(&(call.mailbox, workload));
        tenures.into_iter().flatten().any(|tenure| {
            tenure.engine == call.engine && tenure.from <= call.from && call.from <= tenure.until
        })
    }
}

/// Requests of a worker that did not hold the lease.
#[must_use]
pub fn check(_view: &View, facts: &Facts) -> Vec<Violation> {
    let leases = &facts.leases;
    if leases.held.is_empty() {
        return Vec::new();
    }
    let mut violations = Vec::new();
    // Each worker that stood still may have been about to make one request for each workload.
    let mut excused = BTreeSet::new();
    for call in facts
        .calls
        .iter()
        .filter(|call| call.side == Side::Provider)
    {
        let Some(workload) = call.workload() else {
            continue;
        };
        if leases.covers(call, workload) {
            continue;
        }
        let thawed = leases.thawed.iter().find(|(at, engine)| {
            *engine == call.engine && *at <= call.from && call.from < *at + MOMENT
        });
        if let Some((at, engine)) = thawed
            && excused.insert((*at, *engine, call.mailbox, workload))
        {
            continue;
        }
        let text = format!(
            "engine {} makes {} of the mailbox {} at {:?}, and does not hold the lease of its \
             {workload} email",
            call.engine, call.operation, call.mailbox, call.from
        );
        violations.push(Violation::new(8, text));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::CallEnd;
    use crate::oracle::fixture::{World, minutes};

    const TWO_MINUTES: Duration = Duration::from_secs(120);

    /// A day on which each request of before is made under a lease.
    fn world() -> World {
        let mut world = World::good();
        for mailbox in [world.ada, world.desk] {
            for workload in [Workload::Incoming, Workload::Outgoing] {
                let lasts = minutes(900);
                let (engine, at) = (0, Duration::ZERO);
                let held = Event::LeaseHeld {
                    engine,
                    mailbox,
                    workload,
                    lasts,
                };
                world.push(at, held);
            }
        }
        world.view.history.sort_by_key(|entry| entry.at);
        world
    }

    fn held(world: &mut World, minute: u64, engine: u32) {
        let (mailbox, workload) = (world.desk, Workload::Incoming);
        let lasts = TWO_MINUTES;
        world.push(
            minutes(minute),
            Event::LeaseHeld {
                engine,
                mailbox,
                workload,
                lasts,
            },
        );
    }

    fn asks(world: &mut World, minute: u64) {
        world.call(minutes(minute), world.desk, "mail.changes", CallEnd::Ok);
    }

    fn found(world: &World) -> usize {
        let facts = Facts::of(&world.view.history);
        check(&world.view, &facts).len()
    }

    #[test]
    fn whoever_holds_the_lease_may_ask() {
        let mut world = world();
        assert_eq!(found(&world), 0);
        held(&mut world, 1000, 0);
        held(&mut world, 1001, 0);
        asks(&mut world, 1002);
        assert_eq!(found(&world), 0, "it was renewed");
        asks(&mut world, 1004);
        assert_eq!(found(&world), 1, "it ran out");
    }

    #[test]
    fn a_lease_that_was_given_back_or_taken_over_is_none() {
        let mut world = world();
        held(&mut world, 1000, 0);
        let (mailbox, workload) = (world.desk, Workload::Incoming);
        let returned = Event::LeaseReturned {
            engine: 0,
            mailbox,
            workload,
        };
        world.push(minutes(1000), returned);
        asks(&mut world, 1001);
        assert_eq!(found(&world), 1);
        held(&mut world, 1010, 0);
        held(&mut world, 1011, 1);
        asks(&mut world, 1011);
        assert_eq!(found(&world), 2);
        let mail = "submit.send";
        world.call(minutes(1011), world.desk, mail, CallEnd::Ok);
        assert_eq!(found(&world), 3, "each workload has its own");
    }

    #[test]
    fn one_request_may_have_been_on_its_way_when_the_machine_stood_still() {
        let mut world = world();
        held(&mut world, 1000, 0);
        world.push(minutes(1010), Event::EngineThawed { engine: 0 });
        asks(&mut world, 1010);
        assert_eq!(found(&world), 0);
        asks(&mut world, 1010);
        assert_eq!(found(&world), 1, "the second one");
        asks(&mut world, 1011);
        assert_eq!(found(&world), 2, "later");
    }
}
