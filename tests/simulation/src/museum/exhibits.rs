//! For each defect the small scenarios that show it. Chance would, too, but takes longer.

use std::time::Duration;

use postroom_core::museum::Defect;
use postroom_core::tracking::TrackingFilter;

use super::strike::Strike;
use crate::action::{Action, AdminAction, Answer, ClientAction, Recipient, Scenario, Shape};
use crate::crash_points::Kind::{CrashAfter, CrashBefore, FailAfter, FailBefore};
use crate::crash_scenarios::{BEGIN, Plot, scenarios};
use crate::fault::{FaultKind, FaultWindow, Target};
use crate::setup::Protocol::{self, Ews, Memory};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60;
/// Whoever wants to see whether a message was read leaves it for so many minutes.
const LONG_ENOUGH: u64 = 130;

/// A scenario in which a defect shows.
#[derive(Clone, Debug)]
pub struct Exhibit {
    /// Its name.
    pub name: String,
    /// What happens.
    pub scenario: Scenario,
    /// What happens to single calls on top.
    pub strikes: Vec<Strike>,
}

impl Exhibit {
    fn new(name: &str, scenario: Scenario) -> Self {
        Self {
            name: name.to_owned(),
            scenario,
            strikes: Vec::new(),
        }
    }

    fn with(mut self, strike: Strike) -> Self {
        self.strikes.push(strike);
        self
    }
}

/// Where a defect shows; chance alone finds it where there is nothing here.
#[must_use]
pub fn of(defect: Defect) -> Vec<Exhibit> {
    use Defect as D;

    match defect {
        // What shows in an ordinary day, with nothing that goes wrong.
        D::DuplicatePerMailbox | D::IdentityByServerId | D::DeleteForEverybody => {
            vec![small("conversation-memory"), small("conversation-ews")]
        }
        D::TestMessageTracked | D::SecretLogged | D::SecretUnsealed => vec![small("enable")],
        D::WrongMailboxSends | D::DecisionNotKept => vec![small("outgoing-memory")],
        D::FailedMessageSkipped | D::PoisonNotCounted | D::BadItemStopsMailbox => {
            vec![small("quarantine-memory"), small("quarantine-ews")]
        }
        D::InvalidCursorStartsFromNow => vec![small("relisting-ews"), small("relisting-memory")],
        // What shows between two calls.
        D::AckBeforeCommit => vec![small("conversation-memory").with(Strike::once(
            "record_emails",
            CrashBefore,
            BEGIN,
        ))],
        D::CursorBeforeRows => vec![
            small("conversation-memory")
                .with(Strike::once("record_page", CrashBefore, BEGIN).skip(1)),
        ],
        D::OutageCountsAsAttempt => vec![application_away()],
        D::NewWriteKeyPerAttempt => {
            vec![small("conversation-memory").with(Strike::once("record_emails", FailAfter, BEGIN))]
        }
        D::DeleteBeforeRecord => {
            vec![small("delete-memory").with(Strike::once("record_emails", FailBefore, BEGIN))]
        }
        D::SendBeforeRecording => {
            vec![small("outgoing-memory").with(Strike::once("submit.send", CrashAfter, BEGIN))]
        }
        D::RetryAfterLostAnswer => {
            vec![small("outgoing-memory").with(Strike::once("submit.send", FailAfter, BEGIN))]
        }
        D::ReportedBeforeTold => {
            vec![small("outgoing-memory").with(Strike::once("report_outgoing", FailBefore, BEGIN))]
        }
        D::FeedCursorBeforeEnqueue => {
            vec![written().with(Strike::once("enqueue_outgoing", FailBefore, BEGIN).skip(1))]
        }
        D::JobsLostOnRestart => {
            vec![small("enable").with(Strike::once("submit.send", CrashAfter, 0))]
        }
        D::ScheduledPermitLeaked => vec![
            one_connection().with(Strike::once("finish_cycle", FailBefore, BEGIN).times(2)),
            one_connection().with(Strike::once("record_cycle", FailBefore, BEGIN).times(2)),
        ],
        D::AbsenceLicensesRepeat | D::UnknownResent => {
            vec![forgotten(Memory), forgotten(Ews)]
        }
        // What takes an afternoon.
        D::LookBackTooShort => vec![outage(3)],
        D::AlertStorm | D::BackOffNeverGrows => vec![outage(8)],
        D::OutageDisables | D::AlertStaysOpen => vec![after_lost(Memory), after_lost(Ews)],
        D::ProbeNeverEnds => vec![after_outage(Memory), after_outage(Ews)],
        D::WatermarkByReceivedTime => vec![moved_back()],
        D::GoneStaysGone => vec![gone_and_back(Memory), gone_and_back(Ews)],
        D::PageTailDropped => vec![short_pages(Memory), short_pages(Ews)],
        D::MessageIdAloneIsIdentity => vec![repeated_id()],
        D::TokenCounterWraps => vec![many_written()],
        D::DeleteAfterQuarantine => vec![poison_in_queue()],
        D::ConnectionLimitPerMailbox => vec![crowd(Memory), crowd(Ews)],
        D::ThrottlingHintIgnored => vec![throttled(Memory), throttled(Ews)],
        D::PollingMinimumIgnored => vec![half_hourly()],
        D::ApprovalUncheckedOutgoing => vec![closed(AdminAction::Reject(0))],
        D::DisabledStillSends => vec![closed(AdminAction::Outgoing(0, false))],
        D::CachedProfileNotRenewed => vec![new_password(true)],
        D::SecretInReport => vec![new_password(false), small("enable")],
        D::ClockBackStopsFeed => vec![clock_ahead()],
        D::IdleWaitUnbounded => vec![idle()],
        _ => Vec::new(),
    }
}

/// One of the scenarios whose crash points are tried.
fn small(name: &str) -> Exhibit {
    let small = scenarios()
        .into_iter()
        .find(|small| small.name == name)
        .expect("a scenario of that name");
    Exhibit::new(name, small.scenario)
}

fn done(plot: Plot, name: &str, end: u64) -> Exhibit {
    Exhibit::new(name, plot.small("", "", 0, end).scenario)
}

fn named(name: &str, protocol: Protocol) -> String {
    format!("{name}-{}", format!("{protocol:?}").to_lowercase())
}

/// From minute to minute.
fn window(from: u64, until: u64, fault: FaultKind, target: Target) -> FaultWindow {
    FaultWindow {
        from: Duration::from_secs(60 * from),
        until: Duration::from_secs(60 * until),
        fault,
        target,
        per_mille: 1000,
        times: None,
    }
}

fn incoming(plot: &mut Plot, minute: u64, to: &[usize]) -> u32 {
    plot.deliver(minute, to, Shape::Plain, Answer::Nothing)
}

fn client(plot: &mut Plot, minute: u64, what: ClientAction) {
    let (mailbox, pick) = (0, 0);
    let action = Action::Client {
        mailbox,
        pick,
        what,
    };
    plot.step(minute, action);
}

/// A server that is away, and messages that come in meanwhile.
fn outage(hours: u64) -> Exhibit {
    let mut plot = Plot::new(&[Memory, Ews], 2);
    let (from, until) = (HOUR, HOUR + hours * HOUR);
    let away = FaultKind::Outage;
    plot.faults
        .push(window(from, until, away, Target::System(0)));
    incoming(&mut plot, from + 10, &[0, 1]);
    incoming(&mut plot, until + 10, &[0, 1]);
    done(plot, &format!("outage-{hours}h"), until + 20)
}

/// What comes in after trouble is read, and nobody has to do anything for that.
fn after(name: &str, protocol: Protocol, fault: FaultKind, target: Target) -> Exhibit {
    let mut plot = Plot::new(&[protocol], 1);
    plot.faults.push(window(HOUR, 3 * HOUR, fault, target));
    let comes = 8 * HOUR;
    incoming(&mut plot, comes, &[0]);
    client(&mut plot, comes + LONG_ENOUGH, ClientAction::Delete);
    done(plot, &named(name, protocol), comes + LONG_ENOUGH + 1)
}

fn after_outage(protocol: Protocol) -> Exhibit {
    let (away, target) = (FaultKind::Outage, Target::System(0));
    after("after-outage", protocol, away, target)
}

fn after_lost(protocol: Protocol) -> Exhibit {
    let (lost, target) = (FaultKind::RequestLost, Target::Mailbox(0));
    after("after-lost-requests", protocol, lost, target)
}

/// The application takes nothing for an hour.
fn application_away() -> Exhibit {
    let mut plot = Plot::new(&[Memory], 1);
    incoming(&mut plot, BEGIN, &[0]);
    let away = Strike::once("record_emails", FailBefore, BEGIN);
    done(plot, "application-away", BEGIN + 120).with(away.until(BEGIN + 60).times(u32::MAX))
}

fn written() -> Exhibit {
    let mut plot = Plot::new(&[Memory], 1);
    plot.write(BEGIN, 0, &[Recipient::Outside(0)]);
    done(plot, "written", BEGIN + 90)
}

/// Moved out of the Inbox before anybody read it there, and back in much later.
fn moved_back() -> Exhibit {
    let mut plot = Plot::new(&[Memory], 1);
    incoming(&mut plot, HOUR, &[0]);
    client(&mut plot, HOUR, ClientAction::Archive);
    client(&mut plot, 3 * HOUR, ClientAction::MoveBack);
    done(plot, "moved-back", 3 * HOUR + 10)
}

/// Listed, not recorded yet, deleted; and then the server is set back to before.
fn gone_and_back(protocol: Protocol) -> Exhibit {
    let mut plot = Plot::new(&[protocol], 1);
    incoming(&mut plot, BEGIN, &[0]);
    let back = window(
        BEGIN + 1,
        BEGIN + 55,
        FaultKind::Restored,
        Target::System(0),
    );
    plot.faults.push(back);
    client(&mut plot, BEGIN + 15, ClientAction::Delete);
    done(plot, &named("gone-and-back", protocol), BEGIN + 65)
        .with(Strike::once("record_emails", FailBefore, BEGIN).times(100))
}

/// More at once than a page holds.
fn short_pages(protocol: Protocol) -> Exhibit {
    let mut plot = Plot::new(&[protocol], 1);
    for _ in 0..7 {
        incoming(&mut plot, BEGIN, &[0]);
    }
    let short = FaultKind::ShortPages(2);
    plot.faults
        .push(window(BEGIN - 1, BEGIN + 60, short, Target::Everybody));
    done(plot, &named("short-pages", protocol), BEGIN + 60)
}

fn repeated_id() -> Exhibit {
    let mut plot = Plot::new(&[Memory], 1);
    let first = incoming(&mut plot, BEGIN, &[0]);
    plot.deliver(BEGIN + 30, &[0], Shape::RepeatedId(first), Answer::Nothing);
    done(plot, "repeated-id", BEGIN + 40)
}

fn many_written() -> Exhibit {
    let mut plot = Plot::new(&[Memory], 1);
    for at in 0..5 {
        plot.write(BEGIN + 10 * at, 0, &[Recipient::Outside(0)]);
    }
    done(plot, "many-written", BEGIN + 70)
}

/// A queue whose messages are deleted once on record, and one that never will be.
fn poison_in_queue() -> Exhibit {
    let mut plot = Plot::new(&[Memory], 1);
    plot.setup.mailboxes[0].queue = true;
    plot.setup.mailboxes[0].delete_after_processing = true;
    plot.deliver(BEGIN, &[0], Shape::Poison, Answer::Nothing);
    incoming(&mut plot, BEGIN, &[0]);
    done(plot, "poison-in-queue", BEGIN + 60)
}

/// Four mailboxes, one account, one connection, a slow server.
fn crowd(protocol: Protocol) -> Exhibit {
    let mut plot = Plot::new(&[protocol], 4);
    plot.setup.profiles[0].connections = 1;
    let slow = FaultKind::SlowAnswer(MINUTE);
    plot.faults.push(window(60, 180, slow, Target::Everybody));
    for minute in [60, 90, 120] {
        incoming(&mut plot, minute, &[0, 1, 2, 3]);
    }
    done(plot, &named("crowd", protocol), 180)
}

fn one_connection() -> Exhibit {
    let mut plot = Plot::new(&[Memory], 2);
    plot.setup.profiles[0].connections = 1;
    incoming(&mut plot, BEGIN, &[0, 1]);
    plot.write(BEGIN, 0, &[Recipient::Outside(0)]);
    incoming(&mut plot, BEGIN + 60, &[0, 1]);
    done(plot, "one-connection", BEGIN + 70)
}

/// The server asks for a wait, long after anybody asked for anything.
fn throttled(protocol: Protocol) -> Exhibit {
    let mut plot = Plot::new(&[protocol], 1);
    let slower = FaultKind::Throttled(Some(40 * MINUTE));
    plot.faults
        .push(window(4 * HOUR, 6 * HOUR, slower, Target::Everybody));
    done(plot, &named("throttled", protocol), 6 * HOUR)
}

fn half_hourly() -> Exhibit {
    let mut plot = Plot::new(&[Memory], 1);
    plot.setup.profiles[0].polling_minutes = 30;
    for at in 0..6 {
        incoming(&mut plot, 3 * HOUR + 10 * at, &[0]);
    }
    done(plot, "half-hourly", 5 * HOUR)
}

/// Outgoing email is closed while something is written.
fn closed(by: AdminAction) -> Exhibit {
    let mut plot = Plot::new(&[Memory], 1);
    plot.admin(3 * HOUR, by.clone());
    plot.write(4 * HOUR, 0, &[Recipient::Outside(0)]);
    let again = match by {
        AdminAction::Reject(at) => AdminAction::Approve(at),
        _ => AdminAction::Outgoing(0, true),
    };
    plot.admin(6 * HOUR, again);
    plot.admin(6 * HOUR + 1, AdminAction::Test(0, true));
    done(plot, "closed", 7 * HOUR)
}

/// Somebody changes the password on the server, and tells it much later, or only tests.
fn new_password(tells: bool) -> Exhibit {
    let mut plot = Plot::new(&[Ews], 1);
    plot.admin(HOUR, AdminAction::PasswordOnServer(0));
    if tells {
        plot.admin(2 * HOUR, AdminAction::PasswordTold(0));
        incoming(&mut plot, 3 * HOUR, &[0]);
        return done(plot, "new-password", 4 * HOUR);
    }
    plot.admin(HOUR + 1, AdminAction::Test(0, true));
    done(plot, "wrong-password", 2 * HOUR)
}

/// The clock is three days ahead for an hour: what was noted then lies in the future.
fn clock_ahead() -> Exhibit {
    let mut plot = Plot::new(&[Memory], 1);
    let ahead = FaultKind::ClockForward(3 * 24 * 60 * MINUTE);
    plot.faults
        .push(window(HOUR, 2 * HOUR, ahead, Target::Everybody));
    plot.write(3 * HOUR, 0, &[Recipient::Outside(0)]);
    done(plot, "clock-ahead", 4 * HOUR)
}

/// Nothing happens for a night; then something does.
fn idle() -> Exhibit {
    let mut plot = Plot::new(&[Memory], 1);
    plot.setup.mailboxes[0].filter = TrackingFilter::All;
    for at in 0..3 {
        let comes = (20 + 3 * at) * HOUR;
        incoming(&mut plot, comes, &[0]);
        client(&mut plot, comes + LONG_ENOUGH, ClientAction::Delete);
    }
    done(plot, "idle", 30 * HOUR)
}

/// Sent, the answer lost, the server set back to before: nowhere does a copy lie, and yet it was sent.
fn forgotten(protocol: Protocol) -> Exhibit {
    let mut plot = Plot::new(&[protocol], 1);
    let back = window(BEGIN, BEGIN + 30, FaultKind::Restored, Target::System(0));
    plot.faults.push(back);
    plot.write(BEGIN + 2, 0, &[Recipient::Outside(0)]);
    done(plot, &named("forgotten", protocol), BEGIN + 60)
        .with(Strike::once("submit.send", FailAfter, BEGIN))
        .with(
            Strike::once("submit.find", FailBefore, BEGIN)
                .until(BEGIN + 32)
                .times(u32::MAX),
        )
}
