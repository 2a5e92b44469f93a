//! A scenario from a seed.

mod themes;

use std::time::Duration;

use postroom_core::tracking::TrackingFilter;

use crate::action::{
    Action, AdminAction, Answer, ClientAction, Number, Recipient, Scenario, Shape, Step,
};
use crate::fault::generate::FaultParams;
use crate::fault::generate_faults;
use crate::post::ODDITIES;
use crate::randomness::Draw;
use crate::setup::{Account, Contact, MailboxSetup, ProfileSetup, Protocol, Setup};
use themes::Theme;

/// How large scenarios are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// One to three mailboxes, a day.
    #[default]
    Small,
    /// Three to six mailboxes, two days.
    Medium,
    /// Eight to fifteen mailboxes, four days.
    Large,
    /// By seed: of a hundred 90 small ones, 9 medium ones and a large one.
    Mixed,
}

impl Size {
    /// The size of a seed's scenario.
    #[must_use]
    pub const fn of(self, seed: u64) -> Self {
        match self {
            Self::Mixed if seed % 100 == 50 => Self::Large,
            Self::Mixed if seed.is_multiple_of(10) => Self::Medium,
            Self::Mixed => Self::Small,
            Self::Small | Self::Medium | Self::Large => self,
        }
    }
}

/// What scenarios are like.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    /// How large.
    pub size: Size,
    /// Whether anything goes wrong.
    pub faults: bool,
    /// At most so many steps.
    pub steps_max: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            size: Size::default(),
            faults: true,
            steps_max: usize::MAX,
        }
    }
}

/// Nothing happens before: mailboxes are tested and enabled.
const QUIET: u64 = 15 * MINUTE;
const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// The scenario of a seed. Pure: the same again for the same arguments.
#[must_use]
pub fn generate(seed: u64, params: Params) -> Scenario {
    let size = params.size.of(seed);
    let mut draw = Draw::new(seed, 0);
    let mut setup = setup(&mut draw, size);
    let theme = Theme::of(seed).filter(|_| params.faults);
    if let Some(theme) = theme {
        theme.set_up(&mut setup);
    }
    let hours = match size {
        Size::Small => draw.between(6, 24),
        Size::Medium => draw.between(24, 48),
        Size::Large | Size::Mixed => draw.between(48, 96),
    };
    let end = hours * HOUR;
    let mut plot = Plot {
        draw,
        setup: &setup,
        end,
        steps: Vec::new(),
        number: 0,
        delivered: Vec::new(),
        written: Vec::new(),
        knobs: Knobs::default(),
    };
    plot.knobs = Knobs::draw(&mut plot.draw);
    plot.traffic(size);
    plot.clients();
    plot.offices();
    plot.process();
    let played = theme.map(|theme| theme.play(&mut plot));
    let mut steps = plot.steps;
    steps.sort_by_key(|step| step.at);
    steps.truncate(params.steps_max);
    let faults = match played {
        Some(windows) => windows,
        None if params.faults => {
            let end = Duration::from_millis(end);
            generate_faults(seed, &setup, FaultParams::of(end))
        }
        None => Vec::new(),
    };
    Scenario {
        seed,
        setup,
        steps,
        faults,
    }
}

fn setup(draw: &mut Draw, size: Size) -> Setup {
    let (mailboxes, profiles) = match size {
        Size::Small => (draw.between(1, 3), draw.weighted(&[3, 1]) as u64 + 1),
        Size::Medium => (draw.between(3, 6), draw.between(1, 2)),
        Size::Large | Size::Mixed => (draw.between(8, 15), draw.between(2, 3)),
    };
    let systems = if profiles > 1 && draw.chance(500) {
        2
    } else {
        1
    };
    let profiles: Vec<ProfileSetup> = (0..profiles)
        .map(|at| ProfileSetup {
            protocol: if draw.chance(600) {
                Protocol::Ews
            } else {
                Protocol::Memory
            },
            system: (at as usize) % systems,
            account: if draw.chance(700) {
                Account::Service
            } else {
                Account::Own
            },
            polling_minutes: *draw.pick(&[5, 5, 5, 10, 15, 30]),
            connections: *draw.pick(&[1, 2, 10, 10]),
            move_undelivered: draw.chance(400),
        })
        .collect();
    const FILTERS: [TrackingFilter; 5] = [
        TrackingFilter::All,
        TrackingFilter::RepliesToCrmEmail,
        TrackingFilter::FromLeadsContactsAccounts,
        TrackingFilter::FromEmailEnabledRecords,
        TrackingFilter::None,
    ];
    let mailboxes = (0..mailboxes)
        .map(|at| {
            let queue = draw.chance(400);
            MailboxSetup {
                queue,
                profile: if at < profiles.len() as u64 {
                    at as usize
                } else {
                    draw.index(profiles.len())
                },
                filter: FILTERS[draw.weighted(&[10, 5, 3, 2, 1])],
                delete_after_processing: queue && draw.chance(300),
            }
        })
        .collect();
    let contacts = (0..draw.between(2, 6))
        .map(|_| {
            *draw.pick(&[
                Contact::Contact,
                Contact::Contact,
                Contact::Lead,
                Contact::Unknown,
            ])
        })
        .collect();
    Setup {
        systems,
        profiles,
        mailboxes,
        contacts,
    }
}

/// What a scenario has more or less of: not everything at once, so that rare things meet.
#[derive(Clone, Copy, Debug, Default)]
struct Knobs {
    odd: u64,
    poison: u64,
    without_id: u64,
    repeated: u64,
    several: u64,
    clients: u64,
    offices: u64,
    passwords: u64,
    process: u64,
}

impl Knobs {
    fn draw(draw: &mut Draw) -> Self {
        let mut knob = |usual: u64| match draw.weighted(&[4, 4, 2]) {
            0 => 0,
            1 => usual,
            _ => usual * 4,
        };
        Self {
            odd: knob(60),
            poison: knob(25),
            without_id: knob(50),
            repeated: knob(40),
            several: knob(200),
            clients: knob(4),
            offices: knob(3),
            passwords: knob(1),
            process: knob(1),
        }
    }
}

struct Plot<'a> {
    draw: Draw,
    setup: &'a Setup,
    end: u64,
    steps: Vec<Step>,
    number: Number,
    /// What came in: when, its number, the mailboxes.
    delivered: Vec<(u64, Number, Vec<usize>)>,
    /// What was written to somebody outside: when, its number, to whom, by whom.
    written: Vec<(u64, Number, usize, usize)>,
    knobs: Knobs,
}

impl Plot<'_> {
    fn step(&mut self, at: u64, action: Action) {
        if at < self.end {
            let at = Duration::from_millis(at);
            self.steps.push(Step { at, action });
        }
    }

    fn time(&mut self) -> u64 {
        self.draw.between(QUIET, self.end)
    }

    fn next(&mut self) -> Number {
        self.number += 1;
        self.number
    }

    fn mailbox(&mut self) -> usize {
        self.draw.index(self.setup.mailboxes.len())
    }

    fn traffic(&mut self, size: Size) {
        let mailboxes = self.setup.mailboxes.len() as u64;
        let each = match size {
            Size::Small => self.draw.between(4, 14),
            Size::Medium => self.draw.between(10, 40),
            Size::Large | Size::Mixed => self.draw.between(15, 60),
        };
        let mut left = each * mailboxes;
        while left > 0 {
            let at = self.time();
            let burst = match self.draw.weighted(&[6, 2, 1]) {
                0 => 1,
                1 => self.draw.between(2, 5),
                _ => self.draw.between(6, 30),
            };
            for _ in 0..burst.min(left) {
                let at = at + self.draw.below(20 * SECOND);
                self.event(at);
            }
            left = left.saturating_sub(burst);
        }
    }

    fn event(&mut self, at: u64) {
        match self.draw.weighted(&[10, 6, 8]) {
            0 => {
                let from = self.draw.index(self.setup.contacts.len());
                self.deliver(at, from, None, Answer::Nothing);
            }
            1 => self.write(at),
            _ => self.answer(at),
        }
    }

    fn deliver(&mut self, at: u64, from: usize, to: Option<usize>, answer: Answer) {
        let number = self.next();
        let mut mailboxes = vec![to.unwrap_or_else(|| self.draw.index(self.setup.mailboxes.len()))];
        while mailboxes.len() < self.setup.mailboxes.len() && self.draw.chance(self.knobs.several) {
            let another = self.mailbox();
            if !mailboxes.contains(&another) {
                mailboxes.push(another);
            }
        }
        let shape = self.shape();
        self.delivered.push((at, number, mailboxes.clone()));
        self.step(
            at,
            Action::Deliver {
                number,
                from,
                to: mailboxes,
                shape,
                answer,
            },
        );
    }

    fn shape(&mut self) -> Shape {
        let knobs = self.knobs;
        if self.draw.chance(knobs.odd) {
            return if self.draw.chance(200) {
                Shape::LongSubject(self.draw.between(300, 5000) as u16)
            } else {
                Shape::Odd(self.draw.below(u64::from(ODDITIES)) as u8)
            };
        }
        if self.draw.chance(knobs.poison) {
            return Shape::Poison;
        }
        if self.draw.chance(knobs.without_id) {
            return *self.draw.pick(&[Shape::NoId, Shape::NoIdNoDate]);
        }
        if !self.delivered.is_empty() && self.draw.chance(knobs.repeated) {
            let (_, number, _) = self.draw.pick(&self.delivered);
            return Shape::RepeatedId(*number);
        }
        match self.draw.weighted(&[12, 3, 1]) {
            0 => Shape::Plain,
            1 => Shape::Alternative,
            _ => Shape::Attachment(self.draw.between(1_000, 60_000) as u32),
        }
    }

    fn write(&mut self, at: u64) {
        let number = self.next();
        let from = self.mailbox();
        let mut to = Vec::new();
        for _ in 0..self.draw.weighted(&[0, 8, 2, 1]) {
            let recipient = if self.setup.mailboxes.len() > 1 && self.draw.chance(250) {
                Recipient::Inside(self.mailbox())
            } else {
                Recipient::Outside(self.draw.index(self.setup.contacts.len()))
            };
            if recipient != Recipient::Inside(from) && !to.contains(&recipient) {
                to.push(recipient);
            }
        }
        if to.is_empty() {
            to.push(Recipient::Outside(0));
        }
        let answers = if !self.delivered.is_empty() && self.draw.chance(300) {
            Some(self.draw.pick(&self.delivered).1)
        } else {
            None
        };
        for recipient in &to {
            if let Recipient::Outside(contact) = *recipient {
                self.written.push((at, number, contact, from));
            }
        }
        self.step(
            at,
            Action::Write {
                number,
                from,
                to,
                answers,
            },
        );
    }

    /// Somebody answers or forwards what there is.
    fn answer(&mut self, at: u64) {
        let kind = self.draw.weighted(&[6, 2, 2, 2, 1]);
        let how = |of: Number| match kind {
            0 => Answer::Id(of),
            1 => Answer::Token(of),
            2 => Answer::Subject(of),
            3 => Answer::Index(of),
            _ => Answer::Forward(of),
        };
        let later = self.draw.between(MINUTE, 4 * HOUR);
        if self.written.is_empty() || self.draw.chance(200) {
            if self.delivered.is_empty() {
                let from = self.draw.index(self.setup.contacts.len());
                return self.deliver(at, from, None, Answer::Nothing);
            }
            // Another message of the same conversation.
            let (first, number, to) = self.draw.pick(&self.delivered).clone();
            let from = self.draw.index(self.setup.contacts.len());
            return self.deliver(
                first.max(at) + later,
                from,
                to.first().copied(),
                how(number),
            );
        }
        let (first, number, contact, sender) = *self.draw.pick(&self.written);
        let to = if self.draw.chance(850) {
            Some(sender)
        } else {
            None
        };
        self.deliver(first.max(at) + later, contact, to, how(number));
    }

    fn clients(&mut self) {
        let hours = self.end / HOUR;
        let count = self.knobs.clients * hours * self.setup.mailboxes.len() as u64 / 12;
        for _ in 0..count {
            let what = match self.draw.weighted(&[5, 2, 2, 4, 4, 2, 2, 2]) {
                0 => ClientAction::Read(self.draw.chance(700)),
                1 => ClientAction::Edit,
                2 => ClientAction::Touch,
                3 => ClientAction::Archive,
                4 => ClientAction::MoveBack,
                5 => ClientAction::Copy,
                6 => ClientAction::Bin,
                _ => ClientAction::Delete,
            };
            let (at, mailbox) = (self.time(), self.mailbox());
            let pick = self.draw.below(1000) as u32;
            self.step(
                at,
                Action::Client {
                    mailbox,
                    pick,
                    what,
                },
            );
        }
    }

    fn office(&mut self, at: u64, action: AdminAction) {
        self.step(at, Action::Admin(action));
    }

    fn offices(&mut self) {
        let hours = self.end / HOUR;
        for _ in 0..self.knobs.offices * hours / 6 {
            let at = self.time();
            let later = at + self.draw.between(MINUTE, 6 * HOUR);
            let then = later + self.draw.between(0, 10 * MINUTE);
            let mailbox = self.mailbox();
            let profile = self.draw.index(self.setup.profiles.len());
            let pick = self.draw.below(1000) as u32;
            match self.draw.below(18) {
                0 => {
                    self.office(at, AdminAction::Reject(mailbox));
                    self.office(later, AdminAction::Approve(mailbox));
                }
                1 => {
                    self.office(at, AdminAction::ChangeAddress(mailbox));
                    self.office(at + MINUTE, AdminAction::Approve(mailbox));
                    self.office(later, AdminAction::ChangeAddress(mailbox));
                    self.office(later + 1, AdminAction::Approve(mailbox));
                    self.office(then, AdminAction::Test(mailbox, true));
                }
                2 => {
                    self.office(at, AdminAction::Active(mailbox, false));
                    self.office(later, AdminAction::Active(mailbox, true));
                }
                3 => {
                    self.office(at, AdminAction::Incoming(mailbox, false));
                    self.office(later, AdminAction::Incoming(mailbox, true));
                    self.office(then, AdminAction::Test(mailbox, true));
                }
                4 => {
                    self.office(at, AdminAction::Outgoing(mailbox, false));
                    self.office(later, AdminAction::Outgoing(mailbox, true));
                    self.office(then, AdminAction::Test(mailbox, true));
                }
                5 => {
                    let filter = *self.draw.pick(&[
                        TrackingFilter::All,
                        TrackingFilter::RepliesToCrmEmail,
                        TrackingFilter::FromEmailEnabledRecords,
                        TrackingFilter::None,
                    ]);
                    self.office(at, AdminAction::Filter(mailbox, filter));
                }
                6 | 7 => {
                    let enables = self.draw.chance(700);
                    self.office(at, AdminAction::Test(mailbox, enables));
                }
                8 => self.office(at, AdminAction::Sync(mailbox)),
                9 => {
                    let enables = self.draw.chance(800);
                    self.office(at, AdminAction::Sync(mailbox));
                    self.office(later, AdminAction::TestProfile(profile, enables));
                }
                10 => {
                    self.office(at, AdminAction::ProfileActive(profile, false));
                    self.office(later, AdminAction::ProfileActive(profile, true));
                }
                11 => {
                    let minutes = *self.draw.pick(&[5, 10, 20, 60]);
                    self.office(at, AdminAction::Polling(profile, minutes));
                    self.office(later, AdminAction::Polling(profile, 5));
                }
                12 => {
                    let connections = *self.draw.pick(&[1, 2, 5, 10]);
                    self.office(at, AdminAction::Connections(profile, connections));
                }
                13 => {
                    let moves = self.draw.chance(500);
                    self.office(at, AdminAction::MoveUndelivered(profile, moves));
                }
                14 => {
                    self.office(at, AdminAction::TestConnection(mailbox));
                    self.office(later, AdminAction::TestProfileConnection(profile));
                }
                15 => {
                    let what = self.draw.below(3) as u8;
                    self.office(at, AdminAction::Walls(mailbox));
                    self.office(at + 1, AdminAction::Dismiss(pick));
                    self.office(later, AdminAction::Decide(pick, what));
                }
                16 => self.office(at, AdminAction::Replay(pick)),
                _ => {
                    self.office(at, AdminAction::Explain(pick));
                    self.office(later, AdminAction::Overview);
                    let minutes = *self.draw.pick(&[0, 12, 12, 30]);
                    self.office(then, AdminAction::IdleInterval(minutes));
                }
            }
        }
        for _ in 0..self.knobs.passwords {
            let (at, mailbox) = (self.time(), self.mailbox());
            self.office(at, AdminAction::PasswordOnServer(mailbox));
            let later = at + self.draw.between(MINUTE, 4 * HOUR);
            self.office(later, AdminAction::PasswordTold(mailbox));
        }
    }

    fn process(&mut self) {
        for _ in 0..self.knobs.process {
            let at = self.time();
            let action = if self.draw.chance(500) {
                Action::Crash
            } else {
                let away_seconds = self.draw.between(1, 3600);
                Action::Restart { away_seconds }
            };
            self.step(at, action);
        }
    }
}
