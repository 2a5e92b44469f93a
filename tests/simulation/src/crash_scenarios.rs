//! The small scenarios whose every crash point is tried.

use std::time::Duration;

use postroom_core::tracking::TrackingFilter;

use crate::action::{
    Action, AdminAction, Answer, ClientAction, Number, Recipient, Scenario, Shape, Step,
};
use crate::fault::{FaultKind, FaultWindow, Target};
use crate::setup::{Account, Contact, MailboxSetup, ProfileSetup, Protocol, Setup};
use crate::world::JOINT_SEED;

/// When things begin to happen: mailboxes are tested and enabled, and so long ago that the oracle does
/// not hold what happens against the test.
pub(crate) const BEGIN: u64 = 30;

/// When edits begin: so early that the oracle holds what happens against the test. Later, a process that
/// dies in the very moment of an edit, or a test that runs beside a failing cycle, would be seen as trouble.
const EARLY: u64 = 6;

/// A scenario with a name, and the part of it that is gone through.
#[derive(Clone, Debug)]
pub struct Small {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Calls before then are not points: they are those of another scenario.
    pub from: Duration,
    /// The scenario.
    pub scenario: Scenario,
}

impl Small {
    /// The same where the store writes the application's records in its own transactions.
    fn joint(mut self) -> Self {
        self.scenario.seed = JOINT_SEED;
        self
    }
}

/// All of them.
#[must_use]
pub fn scenarios() -> Vec<Small> {
    use Protocol::{Ews, Memory};

    vec![
        enable(
            "enable",
            "two mailboxes are tested and enabled",
            &[Ews, Memory],
        ),
        conversation("conversation-ews", "one conversation, in one batch", Ews),
        conversation(
            "conversation-memory",
            "the same, without a protocol",
            Memory,
        ),
        outgoing("outgoing-ews", "email leaves, and an answer comes", Ews),
        outgoing("outgoing-memory", "the same, without a protocol", Memory),
        quarantine("quarantine-ews", "one message that nobody can read", Ews),
        quarantine("quarantine-memory", "the same, without a protocol", Memory),
        relisting("relisting-ews", "the server forgets its sync states", Ews),
        relisting("relisting-memory", "the same, without a protocol", Memory),
        delete(
            "delete-ews",
            "queues whose messages are deleted once on record",
            Ews,
        ),
        delete("delete-memory", "the same, without a protocol", Memory),
        conversation(
            "conversation-joint",
            "one conversation, rows and records in one write",
            Memory,
        )
        .joint(),
        outgoing("outgoing-joint", "email leaves, told as it is", Memory).joint(),
        quarantine(
            "quarantine-joint",
            "an unreadable message beside records",
            Memory,
        )
        .joint(),
        delete(
            "delete-joint",
            "queues, rows and records in one write",
            Memory,
        )
        .joint(),
        editing(
            "editing",
            "an administrator switches things off and on",
            Ews,
        ),
        moved(
            "moved",
            "items get other ids while email comes and goes",
            Ews,
        ),
    ]
}

/// Builds one.
pub(crate) struct Plot {
    pub(crate) setup: Setup,
    steps: Vec<Step>,
    pub(crate) faults: Vec<FaultWindow>,
    number: Number,
}

impl Plot {
    pub(crate) fn new(protocols: &[Protocol], mailboxes: usize) -> Self {
        let profiles = protocols.iter().map(|protocol| ProfileSetup {
            protocol: *protocol,
            system: 0,
            account: Account::Service,
            polling_minutes: 5,
            connections: 10,
            move_undelivered: false,
        });
        let mailboxes = (0..mailboxes).map(|at| MailboxSetup {
            queue: false,
            profile: at % protocols.len(),
            filter: TrackingFilter::All,
            delete_after_processing: false,
        });
        Self {
            setup: Setup {
                systems: 1,
                profiles: profiles.collect(),
                mailboxes: mailboxes.collect(),
                contacts: vec![Contact::Contact, Contact::Unknown],
            },
            steps: Vec::new(),
            faults: Vec::new(),
            number: 0,
        }
    }

    pub(crate) fn step(&mut self, minute: u64, action: Action) {
        let at = Duration::from_secs(60 * minute);
        self.steps.push(Step { at, action });
    }

    pub(crate) fn admin(&mut self, minute: u64, action: AdminAction) {
        self.step(minute, Action::Admin(action));
    }

    pub(crate) fn deliver(
        &mut self,
        minute: u64,
        to: &[usize],
        shape: Shape,
        answer: Answer,
    ) -> Number {
        self.number += 1;
        let number = self.number;
        let action = Action::Deliver {
            number,
            from: 0,
            to: to.to_vec(),
            shape,
            answer,
        };
        self.step(minute, action);
        number
    }

    pub(crate) fn write(&mut self, minute: u64, from: usize, to: &[Recipient]) -> Number {
        self.number += 1;
        let number = self.number;
        let action = Action::Write {
            number,
            from,
            to: to.to_vec(),
            answers: None,
        };
        self.step(minute, action);
        number
    }

    /// Everything until `end` minutes belongs to it; from `from` minutes on, calls are points.
    pub(crate) fn small(
        mut self,
        name: &'static str,
        about: &'static str,
        from: u64,
        end: u64,
    ) -> Small {
        // Something at the end, so that what is under way is gone through, too.
        self.admin(end, AdminAction::Overview);
        Small {
            name,
            about,
            from: Duration::from_secs(60 * from),
            scenario: Scenario {
                seed: 1,
                setup: self.setup,
                steps: self.steps,
                faults: self.faults,
            },
        }
    }
}

fn enable(name: &'static str, about: &'static str, protocols: &[Protocol]) -> Small {
    Plot::new(protocols, protocols.len()).small(name, about, 0, BEGIN)
}

fn conversation(name: &'static str, about: &'static str, protocol: Protocol) -> Small {
    let mut plot = Plot::new(&[protocol], 2);
    let first = plot.deliver(BEGIN, &[0, 1], Shape::Alternative, Answer::Nothing);
    let second = plot.deliver(BEGIN, &[0], Shape::Plain, Answer::Id(first));
    plot.deliver(BEGIN, &[0, 1], Shape::NoId, Answer::Id(second));
    plot.deliver(
        BEGIN,
        &[1],
        Shape::Attachment(30_000),
        Answer::Subject(first),
    );
    plot.small(name, about, BEGIN, BEGIN + 7)
}

fn outgoing(name: &'static str, about: &'static str, protocol: Protocol) -> Small {
    let mut plot = Plot::new(&[protocol], 2);
    plot.setup.mailboxes[0].filter = TrackingFilter::RepliesToCrmEmail;
    let first = plot.write(BEGIN, 0, &[Recipient::Outside(0), Recipient::Inside(1)]);
    plot.write(BEGIN, 1, &[Recipient::Outside(0)]);
    plot.deliver(BEGIN + 6, &[0], Shape::Plain, Answer::Id(first));
    plot.deliver(BEGIN + 6, &[0], Shape::Plain, Answer::Nothing);
    plot.small(name, about, BEGIN, BEGIN + 13)
}

fn quarantine(name: &'static str, about: &'static str, protocol: Protocol) -> Small {
    let mut plot = Plot::new(&[protocol], 1);
    plot.setup.profiles[0].move_undelivered = true;
    plot.deliver(BEGIN, &[0], Shape::Plain, Answer::Nothing);
    plot.deliver(BEGIN, &[0], Shape::Poison, Answer::Nothing);
    plot.deliver(BEGIN, &[0], Shape::Plain, Answer::Nothing);
    // Three attempts, with their pauses.
    plot.small(name, about, BEGIN, BEGIN + 20)
}

fn relisting(name: &'static str, about: &'static str, protocol: Protocol) -> Small {
    let mut plot = Plot::new(&[protocol], 1);
    let first = plot.deliver(BEGIN - 1, &[0], Shape::Plain, Answer::Nothing);
    plot.deliver(BEGIN - 1, &[0], Shape::NoIdNoDate, Answer::Nothing);
    plot.faults.push(FaultWindow {
        from: Duration::from_secs(60 * (BEGIN + 5)),
        until: Duration::from_secs(60 * (BEGIN + 6)),
        fault: FaultKind::SyncReset,
        target: Target::Everybody,
        per_mille: 1000,
        times: None,
    });
    plot.step(
        BEGIN + 5,
        Action::Client {
            mailbox: 0,
            pick: 1,
            what: ClientAction::Archive,
        },
    );
    plot.deliver(BEGIN + 5, &[0], Shape::Plain, Answer::Id(first));
    plot.small(name, about, BEGIN + 5, BEGIN + 12)
}

fn delete(name: &'static str, about: &'static str, protocol: Protocol) -> Small {
    let mut plot = Plot::new(&[protocol], 2);
    for mailbox in &mut plot.setup.mailboxes {
        mailbox.queue = true;
        mailbox.delete_after_processing = true;
    }
    let first = plot.deliver(BEGIN, &[0, 1], Shape::Plain, Answer::Nothing);
    plot.deliver(BEGIN, &[0], Shape::Plain, Answer::Id(first));
    plot.small(name, about, BEGIN, BEGIN + 12)
}

fn editing(name: &'static str, about: &'static str, protocol: Protocol) -> Small {
    let mut plot = Plot::new(&[protocol], 2);
    plot.admin(EARLY, AdminAction::Outgoing(0, false));
    plot.write(EARLY, 0, &[Recipient::Outside(0)]);
    plot.deliver(EARLY, &[0, 1], Shape::Plain, Answer::Nothing);
    plot.admin(EARLY + 1, AdminAction::Filter(1, TrackingFilter::None));
    plot.admin(EARLY + 1, AdminAction::ProfileActive(0, false));
    plot.deliver(EARLY + 2, &[0, 1], Shape::Plain, Answer::Nothing);
    plot.admin(EARLY + 4, AdminAction::Outgoing(0, true));
    plot.admin(EARLY + 5, AdminAction::ProfileActive(0, true));
    plot.admin(EARLY + 5, AdminAction::Test(0, true));
    plot.admin(EARLY + 6, AdminAction::Filter(1, TrackingFilter::All));
    plot.admin(EARLY + 7, AdminAction::Sync(0));
    plot.small(name, about, EARLY, EARLY + 12)
}

fn moved(name: &'static str, about: &'static str, protocol: Protocol) -> Small {
    let mut plot = Plot::new(&[protocol], 1);
    plot.deliver(BEGIN - 1, &[0], Shape::Plain, Answer::Nothing);
    plot.write(BEGIN + 4, 0, &[Recipient::Outside(0)]);
    plot.faults.push(FaultWindow {
        from: Duration::from_secs(60 * (BEGIN + 5)),
        until: Duration::from_secs(60 * (BEGIN + 6)),
        fault: FaultKind::Migrated(true),
        target: Target::Everybody,
        per_mille: 1000,
        times: None,
    });
    plot.deliver(BEGIN + 5, &[0], Shape::Plain, Answer::Nothing);
    plot.small(name, about, BEGIN + 4, BEGIN + 12)
}
