//! How fast simulated time goes by: mailboxes that are polled every five minutes, one message in and
//! one out an hour, and nothing that goes wrong.

use std::time::{Duration, Instant};

use postroom_core::tracking::TrackingFilter;

use crate::action::{Action, AdminAction, Answer, Number, Recipient, Scenario, Shape, Step};
use crate::drive::{Options, run};
use crate::oracle::Violation;
use crate::report::Totals;
use crate::setup::{Account, Contact, MailboxSetup, ProfileSetup, Protocol, Setup};
use crate::world::JOINT_SEED;

/// How often each mailbox is polled, in minutes.
const POLLING: u64 = 5;
/// How often the engine looks for outgoing email. A whole part of the polling interval: polls come as
/// often as they are said to.
const LOOK: Duration = Duration::from_secs(150);
/// Nothing is asked of mailboxes before they are tested and enabled.
const QUIET: Duration = Duration::from_secs(15 * 60);
const HOUR: Duration = Duration::from_secs(3600);

/// How fast it went.
#[derive(Clone, Debug)]
pub struct Speed {
    /// How the mailboxes were reached.
    pub protocol: Protocol,
    /// Mailboxes, times the hours in which each got and sent its messages.
    pub mailbox_hours: f64,
    /// What the clock on the wall says, from the empty store to the end.
    pub real: Duration,
    /// How long a processor worked on it, where the system tells.
    pub processor: Option<Duration>,
    /// What happened.
    pub totals: Totals,
    /// What the oracle found, where it was asked.
    pub violations: Vec<Violation>,
}

impl Speed {
    /// Mailbox-hours in a second of the clock on the wall.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.mailbox_hours / self.real.as_secs_f64().max(0.001)
    }

    /// Mailbox-hours in a second of one processor's work: what the wall would say on an idle machine.
    #[must_use]
    pub fn per_processor_second(&self) -> Option<f64> {
        let processor = self.processor?.as_secs_f64().max(0.001);
        Some(self.mailbox_hours / processor)
    }

    /// One line for people.
    #[must_use]
    pub fn text(&self) -> String {
        let name = match self.protocol {
            Protocol::Ews => "EWS",
            Protocol::Memory => "memory",
        };
        let processor = self
            .per_processor_second()
            .map_or_else(String::new, |speed| {
                format!(", {speed:.0} per second of processor time")
            });
        format!(
            "{name:<7} {:.0} mailbox-hours in {:.1} s: {:.0} per second{processor} ({} in, {} out, {} calls)",
            self.mailbox_hours,
            self.real.as_secs_f64(),
            self.per_second(),
            self.totals.recorded,
            self.totals.sent,
            self.totals.calls,
        )
    }
}

/// The scenario that is measured.
#[must_use]
pub fn scenario(protocol: Protocol, mailboxes: usize, hours: u32) -> Scenario {
    let setup = Setup {
        systems: 1,
        profiles: vec![ProfileSetup {
            protocol,
            system: 0,
            account: Account::Service,
            polling_minutes: POLLING,
            connections: 10,
            move_undelivered: false,
        }],
        mailboxes: (0..mailboxes)
            .map(|_| MailboxSetup {
                queue: false,
                profile: 0,
                filter: TrackingFilter::All,
                delete_after_processing: false,
            })
            .collect(),
        contacts: vec![Contact::Contact; 3],
    };
    // However long nothing comes in: no interval longer than the shortest.
    let idle = Action::Admin(AdminAction::IdleInterval(POLLING));
    let mut steps = vec![Step {
        at: Duration::from_secs(1),
        action: idle,
    }];
    let mut number: Number = 0;
    let mailbox_count = u32::try_from(mailboxes).expect("some mailboxes");
    for hour in 0..hours {
        for mailbox in 0..mailboxes {
            let apart = HOUR * u32::try_from(mailbox).expect("some mailboxes") / mailbox_count;
            let at = QUIET + HOUR * hour + apart;
            number += 2;
            steps.push(Step {
                at,
                action: Action::Deliver {
                    number: number - 1,
                    from: mailbox % 3,
                    to: vec![mailbox],
                    shape: Shape::Plain,
                    answer: Answer::Nothing,
                },
            });
            steps.push(Step {
                at: at + HOUR / 2,
                action: Action::Write {
                    number,
                    from: mailbox,
                    to: vec![Recipient::Outside(mailbox % 3)],
                    answers: None,
                },
            });
        }
    }
    steps.sort_by_key(|step| step.at);
    Scenario {
        seed: JOINT_SEED,
        setup,
        steps,
        faults: Vec::new(),
    }
}

/// Runs it, on this thread.
#[must_use]
pub fn measure(protocol: Protocol, mailboxes: usize, hours: u32, options: &Options) -> Speed {
    let scenario = scenario(protocol, mailboxes, hours);
    let (began, worked) = (Instant::now(), processor_time());
    let options = Options {
        poll: Some(LOOK),
        ..options.clone()
    };
    let outcome = run(&scenario, &options);
    let real = began.elapsed();
    let processor = processor_time()
        .zip(worked)
        .map(|(now, before)| now.saturating_sub(before));
    Speed {
        protocol,
        mailbox_hours: mailboxes as f64 * f64::from(hours),
        real,
        processor,
        totals: outcome.totals,
        violations: outcome.violations,
    }
}

/// How long a processor has worked for this thread.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mailbox_gets_and_sends_one_message_an_hour() {
        let speed = measure(Protocol::Memory, 3, 2, &Options::default());
        assert_eq!(speed.totals.recorded, 6);
        // The test message of each mailbox is sent, too.
        assert_eq!(speed.totals.sent, 6 + 3);
        assert_eq!(speed.violations, []);
    }
}
