//! The windows of a seed.

use std::time::Duration;

use super::window::{FaultKind, FaultWindow, Target};
use crate::randomness::Draw;
use crate::setup::Setup;

/// Keeps the draws of faults apart from those of everything else.
const STREAM: u64 = 0xfa01;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// How many faults a scenario gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultParams {
    /// Windows, at least.
    pub at_least: u64,
    /// Windows, at most.
    pub at_most: u64,
    /// Faults end by then, so that what follows is the settling.
    pub end: Duration,
}

impl FaultParams {
    /// A sensible number for a run of that length: about four a day.
    #[must_use]
    pub fn of(end: Duration) -> Self {
        let days = end.as_secs() / 86_400 + 1;
        Self {
            at_least: 0,
            at_most: 5 * days,
            end,
        }
    }
}

/// The families, and how likely each is. Within a family all kinds are about as likely.
const FAMILIES: [(Family, u64); 6] = [
    (Family::Network, 34),
    (Family::Server, 22),
    (Family::Identity, 10),
    (Family::Local, 14),
    (Family::Process, 14),
    (Family::Clock, 6),
];

#[derive(Clone, Copy, Debug)]
enum Family {
    Network,
    Server,
    Identity,
    Local,
    Process,
    Clock,
}

/// The fault windows of a seed: the same for the same seed and setup.
#[must_use]
pub fn generate_faults(seed: u64, setup: &Setup, params: FaultParams) -> Vec<FaultWindow> {
    let mut draw = Draw::new(seed, STREAM);
    let end = u64::try_from(params.end.as_millis()).expect("a run of less than a geological age");
    if end < HOUR {
        return Vec::new();
    }
    let count = draw.between(params.at_least, params.at_most);
    let mut windows: Vec<_> = (0..count).map(|_| window(&mut draw, setup, end)).collect();
    windows.sort_by_key(|window| (window.from, window.until, window.fault));
    one_at_a_time(&mut windows);
    windows
}

/// Windows that move the clock, freeze the engine, or set a server back do not overlap with others
/// of their family: two wrong clocks are one that nobody can say is right again.
fn one_at_a_time(windows: &mut Vec<FaultWindow>) {
    let mut free = [Duration::ZERO; 3];
    windows.retain(|window| {
        let slot = match window.fault {
            FaultKind::ClockBack(_) | FaultKind::ClockForward(_) => 0,
            FaultKind::StaleLease => 1,
            FaultKind::Restored | FaultKind::Migrated(_) => 2,
            _ => return true,
        };
        let keep = window.from >= free[slot];
        if keep {
            free[slot] = window.until;
        }
        keep
    });
}

fn window(draw: &mut Draw, setup: &Setup, end: u64) -> FaultWindow {
    let weights: Vec<u64> = FAMILIES.iter().map(|(_, weight)| *weight).collect();
    let family = FAMILIES[draw.weighted(&weights)].0;
    let fault = kind(draw, family);
    let target = target(draw, setup, fault);
    let length = length(draw, fault).min(end / 2);
    let from = draw.between(10 * MINUTE, end - length);
    let (per_mille, times) = odds(draw, fault);
    FaultWindow {
        from: Duration::from_millis(from),
        until: Duration::from_millis(from + length),
        fault,
        target,
        per_mille,
        times,
    }
}

fn hint(draw: &mut Draw) -> Option<u64> {
    *draw.pick(&[
        None,
        Some(0),
        Some(500),
        Some(10 * SECOND),
        Some(5 * MINUTE),
        Some(HOUR),
    ])
}

fn kind(draw: &mut Draw, family: Family) -> FaultKind {
    match family {
        Family::Network => match draw.below(14) {
            0 | 1 => FaultKind::RequestLost,
            2..=4 => FaultKind::AnswerLost,
            5 => FaultKind::RequestLate(draw.between(SECOND, 20 * MINUTE)),
            6 => FaultKind::SlowRequest(draw.between(SECOND, 5 * MINUTE)),
            7 => FaultKind::SlowAnswer(draw.between(SECOND, 5 * MINUTE)),
            8 => FaultKind::Reset,
            9 => FaultKind::Truncated,
            10 => FaultKind::HtmlPage,
            11 => FaultKind::Unserved(hint(draw)),
            12 => FaultKind::Throttled(hint(draw)),
            _ => FaultKind::Outage,
        },
        Family::Server => match draw.below(17) {
            0 => FaultKind::Busy(hint(draw).unwrap_or_default()),
            1 => FaultKind::Unauthorized,
            2 => FaultKind::ImpersonationRevoked,
            3 => FaultKind::QuotaExceeded,
            4 => FaultKind::SendAsDenied,
            5 => FaultKind::InvalidSyncState,
            6 => FaultKind::PhantomItem,
            7 => FaultKind::PropertyWithoutValue,
            8 => FaultKind::PathSpelledDifferently,
            9 => FaultKind::ForbiddenCharacters,
            10 => FaultKind::ContradictoryPaging,
            11 => FaultKind::ShortPages(draw.between(1, 5) as u32),
            12 => FaultKind::BatchStopped(draw.between(0, 3) as u32),
            13 => FaultKind::ChangeKeyBumped,
            14 | 15 => FaultKind::ItemCorrupt,
            _ => FaultKind::MimeFailure,
        },
        Family::Identity => match draw.below(4) {
            0 => FaultKind::SyncReset,
            1 => FaultKind::Restored,
            2 => FaultKind::Migrated(false),
            _ => FaultKind::Migrated(true),
        },
        Family::Local => match draw.below(6) {
            0 => FaultKind::StoreBusy,
            1 => FaultKind::DiskFull,
            2 => FaultKind::StoreIo,
            3 => FaultKind::StoreAnswerLost,
            4 => FaultKind::CrmUnavailable,
            _ => FaultKind::CrmAnswerLost,
        },
        Family::Process => match draw.below(7) {
            0 | 1 => FaultKind::CrashBefore,
            2 | 3 => FaultKind::CrashAfter,
            4 | 5 => FaultKind::TornCrash,
            _ => FaultKind::StaleLease,
        },
        Family::Clock => {
            let by = draw.pick(&[30 * SECOND, 3 * MINUTE, HOUR, 26 * HOUR, 3 * 24 * HOUR]);
            match draw.below(2) {
                0 => FaultKind::ClockBack(*by),
                _ => FaultKind::ClockForward(*by),
            }
        }
    }
}

fn target(draw: &mut Draw, setup: &Setup, fault: FaultKind) -> Target {
    let mailbox = Target::Mailbox(draw.index(setup.mailboxes.len()));
    let profile = Target::Profile(draw.index(setup.profiles.len()));
    let system = Target::System(draw.index(setup.systems));
    match fault {
        FaultKind::Restored => system,
        FaultKind::Migrated(_) => mailbox,
        FaultKind::Outage => match draw.below(3) {
            0 => Target::Everybody,
            _ => system,
        },
        FaultKind::ImpersonationRevoked => profile,
        FaultKind::StoreBusy
        | FaultKind::DiskFull
        | FaultKind::StoreIo
        | FaultKind::StoreAnswerLost
        | FaultKind::CrmUnavailable
        | FaultKind::CrmAnswerLost
        | FaultKind::CrashBefore
        | FaultKind::CrashAfter
        | FaultKind::TornCrash
        | FaultKind::StaleLease
        | FaultKind::ClockBack(_)
        | FaultKind::ClockForward(_) => Target::Everybody,
        _ => match draw.below(5) {
            0 => Target::Everybody,
            1 => system,
            2 => profile,
            _ => mailbox,
        },
    }
}

/// How long it lasts, in milliseconds.
fn length(draw: &mut Draw, fault: FaultKind) -> u64 {
    match fault {
        FaultKind::SyncReset | FaultKind::Migrated(_) => MINUTE,
        FaultKind::StaleLease => draw.between(3 * MINUTE, 15 * MINUTE),
        FaultKind::Restored => draw.between(5 * MINUTE, 12 * HOUR),
        FaultKind::Outage => *draw.pick(&[10 * MINUTE, 2 * HOUR, 8 * HOUR, 30 * HOUR]),
        FaultKind::DiskFull => draw.between(MINUTE, 2 * HOUR),
        FaultKind::CrashBefore | FaultKind::CrashAfter | FaultKind::TornCrash => {
            draw.between(10 * MINUTE, 6 * HOUR)
        }
        FaultKind::ContradictoryPaging => draw.between(5 * MINUTE, HOUR),
        _ => match draw.below(3) {
            0 => draw.between(5 * MINUTE, 30 * MINUTE),
            1 => draw.between(30 * MINUTE, 3 * HOUR),
            _ => draw.between(3 * HOUR, 10 * HOUR),
        },
    }
}

/// How likely it strikes a call, and how often at most.
fn odds(draw: &mut Draw, fault: FaultKind) -> (u16, Option<u32>) {
    match fault {
        FaultKind::Outage
        | FaultKind::DiskFull
        | FaultKind::Unauthorized
        | FaultKind::ImpersonationRevoked
        | FaultKind::QuotaExceeded
        | FaultKind::SendAsDenied
        | FaultKind::SyncReset
        | FaultKind::Restored
        | FaultKind::Migrated(_)
        | FaultKind::StaleLease
        | FaultKind::ClockBack(_)
        | FaultKind::ClockForward(_)
        | FaultKind::ShortPages(_) => (1000, None),
        FaultKind::CrashBefore | FaultKind::CrashAfter => {
            (*draw.pick(&[3, 20, 200]), Some(draw.between(1, 3) as u32))
        }
        // Of its calls only those that write to the disk are struck.
        FaultKind::TornCrash => (*draw.pick(&[10, 50, 300]), Some(draw.between(1, 2) as u32)),
        _ => (*draw.pick(&[20, 100, 400, 1000]), None),
    }
}
