//! What happens to a call, and who decides it.

use std::fmt;
use std::time::Duration;

use postroom_core::MailboxId;
use serde::{Deserialize, Serialize};

use crate::history::FaultClass;

/// Where a call leaves the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Seam {
    /// The engine's store.
    Store,
    /// The application's records.
    Crm,
    /// A mail system, by the traits.
    Provider,
    /// A mail system, by HTTP; always within a call of [`Seam::Provider`].
    Http,
}

/// A call that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// Counts the calls of a run, from 1, over all seams and engines.
    pub number: u64,
    /// Where.
    pub seam: Seam,
    /// What: the trait's method, or the operation as errors name it.
    pub operation: &'a str,
    /// Whose mailbox, where that is known.
    pub mailbox: Option<MailboxId>,
    /// The mailbox by position in the setup.
    pub mailbox_index: Option<usize>,
    /// The profile by position in the setup.
    pub profile_index: Option<usize>,
    /// Whether it can change anything.
    pub writes: bool,
    /// Whether it will make HTTP requests, where faults of the network strike.
    pub over_http: bool,
    /// True time since the start.
    pub at: Duration,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultError {
    /// The database is busy.
    Busy,
    /// The disk is full.
    Full,
    /// An I/O error.
    Io,
    /// It does not answer.
    Unavailable,
    /// The connection broke.
    Lost,
    /// Nobody listens.
    Refused,
    /// No answer in time.
    TimedOut,
    /// The connection broke within the answer.
    Reset,
    /// The answer ends too early.
    Truncated,
    /// A page of a device in between.
    Html,
    /// 503, with a hint.
    Unserved(Option<Duration>),
    /// The server asks to slow down, with a hint.
    Throttled(Option<Duration>),
}

impl FaultError {
    /// Whether whoever sees it cannot know if the call had its effect.
    #[must_use]
    pub const fn is_ambiguous(self) -> bool {
        !matches!(self, Self::Refused | Self::Unserved(_) | Self::Throttled(_))
    }
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Pass,
    /// It begins that much later.
    Delay(Duration),
    /// Its answer comes that much later.
    DelayAfter(Duration),
    /// It fails and has no effect.
    FailBefore(FaultError),
    /// It has its effect and fails.
    FailAfter(FaultError),
    /// It fails now and has its effect later: a request that lay in a queue of the network.
    Late(Duration),
    /// The process dies before the effect.
    CrashBefore,
    /// The process dies after the effect, before the answer.
    CrashAfter,
    /// The machine loses power while the effect is being written.
    TornCrash,
}

impl Verdict {
    /// Whether the caller cannot know if the call had its effect.
    #[must_use]
    pub const fn is_ambiguous(self) -> bool {
        match self {
            Self::Pass | Self::Delay(_) | Self::DelayAfter(_) => false,
            Self::FailBefore(error) => error.is_ambiguous(),
            Self::FailAfter(_) | Self::Late(_) => true,
            Self::CrashBefore | Self::CrashAfter | Self::TornCrash => true,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("pass"),
            Self::Delay(by) => write!(f, "{}s late", by.as_secs_f32()),
            Self::DelayAfter(by) => write!(f, "answered {}s late", by.as_secs_f32()),
            Self::FailBefore(error) => write!(f, "{error:?} before"),
            Self::FailAfter(error) => write!(f, "{error:?} after"),
            Self::Late(by) => write!(f, "lost, effect {}s later", by.as_secs_f32()),
            Self::CrashBefore => f.write_str("crash before"),
            Self::CrashAfter => f.write_str("crash after"),
            Self::TornCrash => f.write_str("torn"),
        }
    }
}

/// A verdict, and what it counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happens.
    pub verdict: Verdict,
    /// The fault, by name.
    pub name: &'static str,
    /// What the fault does.
    pub class: FaultClass,
}

impl Decision {
    /// Nothing happens.
    pub const PASS: Self = Self {
        verdict: Verdict::Pass,
        name: "none",
        class: FaultClass::Transient,
    };

    /// The process dies: it makes calls without an end.
    pub const LIVELOCK: Self = Self {
        verdict: Verdict::CrashBefore,
        name: "livelock",
        class: FaultClass::Process,
    };

    /// Something happens.
    #[must_use]
    pub const fn new(verdict: Verdict, name: &'static str, class: FaultClass) -> Self {
        Self {
            verdict,
            name,
            class,
        }
    }
}

/// Decides what happens to each call.
pub trait FaultPlan: fmt::Debug + Send + Sync + 'static {
    /// What happens to this one. Asked once for each call, in order.
    fn decide(&self, call: &Call<'_>) -> Decision;
}

/// Nothing ever happens.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl FaultPlan for NoFaults {
    fn decide(&self, _: &Call<'_>) -> Decision {
        Decision::PASS
    }
}

/// One thing happens, to one call: for going through all of them.
#[derive(Clone, Copy, Debug)]
pub struct AtCall {
    /// Which call.
    pub number: u64,
    /// What happens to it.
    pub verdict: Verdict,
}

impl AtCall {
    /// What it is called where faults are counted.
    pub const NAME: &str = "at-call";
}

impl FaultPlan for AtCall {
    fn decide(&self, call: &Call<'_>) -> Decision {
        if call.number != self.number {
            return Decision::PASS;
        }
        let class = match (self.verdict, call.seam) {
            (Verdict::CrashBefore | Verdict::CrashAfter | Verdict::TornCrash, _) => {
                FaultClass::Process
            }
            (_, Seam::Store | Seam::Crm) => FaultClass::Local,
            (_, Seam::Provider | Seam::Http) => FaultClass::Transient,
        };
        Decision::new(self.verdict, Self::NAME, class)
    }
}
