//! Themes: things that show much together, and that seldom meet by chance.
//!
//! One of so many seeds has a theme. Its faults are the theme's alone, so that what they do is not
//! taken for another fault's.

use std::time::Duration;

use postroom_core::tracking::TrackingFilter;

use super::{HOUR, MINUTE, Plot, SECOND};
use crate::action::{Action, Answer, ClientAction, Recipient, Shape};
use crate::fault::{FaultKind, FaultWindow, Target};
use crate::setup::{Account, Setup};

/// One seed of so many has a theme.
const EVERY: u64 = 8;
/// Whoever wants to see whether a message was read leaves it for so long.
const LONG_ENOUGH: u64 = 130 * MINUTE;

/// What a scenario is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    /// More comes at once than a page holds.
    ShortPages,
    /// Many mailboxes, one account, one connection, a slow server.
    Crowd,
    /// A server is away for long, and nobody has to do anything afterwards.
    LongOutage,
    /// The application takes nothing for long, while mail comes in.
    ApplicationAway,
    /// Answers to sends are lost, and then the server is set back to before them.
    Forgotten,
    /// Listed, not recorded yet, deleted; and then the server is set back to before.
    GoneAndBack,
    /// Queues whose messages are deleted once on record, and an application that is often away.
    DeletingQueues,
}

impl Theme {
    const ALL: [Self; 7] = [
        Self::ShortPages,
        Self::Crowd,
        Self::LongOutage,
        Self::ApplicationAway,
        Self::Forgotten,
        Self::GoneAndBack,
        Self::DeletingQueues,
    ];

    /// That of a seed.
    pub(super) fn of(seed: u64) -> Option<Self> {
        let turn = (seed / EVERY) as usize % Self::ALL.len();
        (seed % EVERY == EVERY - 2).then(|| Self::ALL[turn])
    }

    /// Makes the organization one in which it shows.
    pub(super) fn set_up(self, setup: &mut Setup) {
        match self {
            Self::Crowd => {
                let profile = &mut setup.profiles[0];
                (profile.connections, profile.account) = (1, Account::Service);
                profile.polling_minutes = 5;
                while setup.mailboxes.len() < 3 {
                    setup.mailboxes.push(setup.mailboxes[0].clone());
                }
                for mailbox in &mut setup.mailboxes {
                    mailbox.profile = 0;
                }
            }
            Self::DeletingQueues => {
                let mailbox = &mut setup.mailboxes[0];
                (mailbox.queue, mailbox.delete_after_processing) = (true, true);
                mailbox.filter = TrackingFilter::All;
            }
            Self::GoneAndBack => {
                let profile = setup.mailboxes[0].profile;
                setup.profiles[profile].polling_minutes = 5;
            }
            Self::ShortPages | Self::LongOutage | Self::ApplicationAway | Self::Forgotten => {}
        }
    }

    /// Lets it happen: adds to the plot, and answers what goes wrong.
    pub(super) fn play(self, plot: &mut Plot<'_>) -> Vec<FaultWindow> {
        let at = plot.draw.between(HOUR, plot.end - 5 * HOUR + 1);
        let mailboxes = plot.setup.mailboxes.len();
        let all: Vec<usize> = (0..mailboxes).collect();
        let one = plot.draw.index(mailboxes);
        let system = Target::System(plot.setup.system_of(0));
        match self {
            Self::ShortPages => {
                for _ in 0..plot.draw.between(6, 20) {
                    let comes = at + 10 * MINUTE + plot.draw.below(2 * MINUTE);
                    plot.plain(comes, &[one]);
                }
                let short = FaultKind::ShortPages(plot.draw.between(2, 5) as u32);
                vec![window(at, HOUR, short, Target::Mailbox(one), 1000)]
            }
            Self::Crowd => {
                for half_hour in 0..4 {
                    plot.plain(at + half_hour * 30 * MINUTE, &all);
                }
                let slow = FaultKind::SlowAnswer(plot.draw.between(20 * SECOND, 90 * SECOND));
                vec![window(at, 2 * HOUR, slow, Target::Everybody, 1000)]
            }
            Self::LongOutage => {
                let length = (plot.end - 4 * HOUR - HOUR).min(10 * HOUR);
                plot.plain(2 * HOUR, &all);
                let back = HOUR + length;
                let comes = back + 30 * MINUTE;
                plot.plain(comes, &all);
                for mailbox in all {
                    for _ in 0..6 {
                        let at = comes + LONG_ENOUGH + plot.draw.below(10 * MINUTE);
                        plot.deletes(at, mailbox);
                    }
                }
                let target = Target::System(plot.setup.system_of(one));
                vec![window(HOUR, length, FaultKind::Outage, target, 1000)]
            }
            Self::ApplicationAway => {
                let length = plot.draw.between(HOUR, 3 * HOUR);
                for _ in 0..5 {
                    let comes = at + plot.draw.below(length);
                    let to = plot.draw.index(mailboxes);
                    plot.plain(comes, &[to]);
                }
                let away = FaultKind::CrmUnavailable;
                // Not all calls fail: what comes before the one that matters may well be answered.
                vec![window(at, length, away, Target::Everybody, 600)]
            }
            Self::Forgotten => {
                for _ in 0..10 {
                    let at = at + plot.draw.between(2 * MINUTE, 18 * MINUTE);
                    let number = plot.next();
                    let (to, answers) = (vec![Recipient::Outside(0)], None);
                    let from = one;
                    plot.step(
                        at,
                        Action::Write {
                            number,
                            from,
                            to,
                            answers,
                        },
                    );
                }
                let system = Target::System(plot.setup.system_of(one));
                let lost = FaultKind::AnswerLost;
                vec![
                    window(at, 20 * MINUTE, FaultKind::Restored, system, 1000),
                    window(at + MINUTE, 24 * MINUTE, lost, Target::Mailbox(one), 400),
                ]
            }
            Self::GoneAndBack => {
                for _ in 0..4 {
                    plot.plain(at, &[0]);
                    let away = at + plot.draw.between(10 * MINUTE, 20 * MINUTE);
                    plot.deletes(away, 0);
                }
                let away = FaultKind::CrmUnavailable;
                vec![
                    window(at, 65 * MINUTE, away, Target::Everybody, 1000),
                    window(at + MINUTE, 54 * MINUTE, FaultKind::Restored, system, 1000),
                ]
            }
            Self::DeletingQueues => {
                for _ in 0..12 {
                    let comes = at + plot.draw.below(2 * HOUR);
                    plot.plain(comes, &[0]);
                }
                let away = FaultKind::CrmUnavailable;
                vec![window(at, 2 * HOUR, away, Target::Everybody, 400)]
            }
        }
    }
}

impl Plot<'_> {
    /// A message as most are.
    fn plain(&mut self, at: u64, to: &[usize]) {
        let number = self.next();
        let from = self.draw.index(self.setup.contacts.len());
        let to = to.to_vec();
        let (shape, answer) = (Shape::Plain, Answer::Nothing);
        let action = Action::Deliver {
            number,
            from,
            to,
            shape,
            answer,
        };
        self.step(at, action);
    }

    /// Somebody deletes one of the messages.
    fn deletes(&mut self, at: u64, mailbox: usize) {
        let pick = self.draw.below(1000) as u32;
        let what = ClientAction::Delete;
        let action = Action::Client {
            mailbox,
            pick,
            what,
        };
        self.step(at, action);
    }
}

fn window(from: u64, length: u64, fault: FaultKind, target: Target, per_mille: u16) -> FaultWindow {
    FaultWindow {
        from: Duration::from_millis(from),
        until: Duration::from_millis(from + length),
        fault,
        target,
        per_mille,
        times: None,
    }
}
