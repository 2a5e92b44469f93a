//! Faults as data: what, where, when, how often.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::action::millis;
use crate::history::FaultClass;

/// What goes wrong. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    // ---- the network ---------------------------------------------------------------------------
    /// A request is lost before it had an effect.
    RequestLost,
    /// An answer is lost after the effect.
    AnswerLost,
    /// A request is lost, and arrives all the same that much later.
    RequestLate(u64),
    /// A request takes that long to arrive.
    SlowRequest(u64),
    /// An answer takes that long to arrive.
    SlowAnswer(u64),
    /// The connection breaks in the middle of an answer.
    Reset,
    /// An answer ends in the middle.
    Truncated,
    /// A device answers with a page of its own.
    HtmlPage,
    /// 503, with a Retry-After or without.
    Unserved(Option<u64>),
    /// The server asks to slow down, with a hint (zero has been seen) or without.
    Throttled(Option<u64>),
    /// Nobody listens.
    Outage,
    // ---- the server ----------------------------------------------------------------------------
    /// Every response message says that the server is busy, with a hint.
    Busy(u64),
    /// The password is right, and the server says that it is not.
    Unauthorized,
    /// The right to impersonate is gone.
    ImpersonationRevoked,
    /// The mailbox is full.
    QuotaExceeded,
    /// The right to send is missing.
    SendAsDenied,
    /// No sync state is known.
    InvalidSyncState,
    /// A listing names a message that is not there.
    PhantomItem,
    /// A property comes without a value.
    PropertyWithoutValue,
    /// A property's path comes back in another spelling.
    PathSpelledDifferently,
    /// Characters that XML forbids.
    ForbiddenCharacters,
    /// A page is empty, does not advance, and says that there is more.
    ContradictoryPaging,
    /// Pages hold at most so many entries.
    ShortPages(u32),
    /// Of a batch only the first so many are served.
    BatchStopped(u32),
    /// What is created gets another change key at once.
    ChangeKeyBumped,
    /// Items cannot be read.
    ItemCorrupt,
    /// The MIME of items cannot be made.
    MimeFailure,
    // ---- identity ------------------------------------------------------------------------------
    /// At the beginning of the window every sync state becomes invalid.
    SyncReset,
    /// At the end of the window the system is set back to the state at its beginning.
    Restored,
    /// At the beginning of the window the mailbox is moved: items have other ids, folders too where
    /// `true`.
    Migrated(bool),
    // ---- the engine's own side -----------------------------------------------------------------
    /// The database is busy.
    StoreBusy,
    /// The disk is full: every write fails.
    DiskFull,
    /// An I/O error, before the effect.
    StoreIo,
    /// An I/O error, after the effect.
    StoreAnswerLost,
    /// The application does not answer.
    CrmUnavailable,
    /// The application did it, and its answer is lost.
    CrmAnswerLost,
    // ---- the process ---------------------------------------------------------------------------
    /// The process dies, before the effect of a call.
    CrashBefore,
    /// The process dies, after the effect of a call.
    CrashAfter,
    /// The machine loses power within a write.
    TornCrash,
    /// The engine is frozen for the whole window, another one takes over; both believe that they
    /// own what they work on when it goes on.
    StaleLease,
    // ---- the clock -----------------------------------------------------------------------------
    /// The engine's clock is behind by that much, for the whole window.
    ClockBack(u64),
    /// The engine's clock is ahead by that much, for the whole window.
    ClockForward(u64),
}

impl FaultKind {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestLost => "request-lost",
            Self::AnswerLost => "answer-lost",
            Self::RequestLate(_) => "request-late",
            Self::SlowRequest(_) => "slow-request",
            Self::SlowAnswer(_) => "slow-answer",
            Self::Reset => "reset",
            Self::Truncated => "truncated",
            Self::HtmlPage => "html-page",
            Self::Unserved(_) => "unserved",
            Self::Throttled(_) => "throttled",
            Self::Outage => "outage",
            Self::Busy(_) => "busy",
            Self::Unauthorized => "unauthorized",
            Self::ImpersonationRevoked => "impersonation-revoked",
            Self::QuotaExceeded => "quota-exceeded",
            Self::SendAsDenied => "send-as-denied",
            Self::InvalidSyncState => "invalid-sync-state",
            Self::PhantomItem => "phantom-item",
            Self::PropertyWithoutValue => "property-without-value",
            Self::PathSpelledDifferently => "path-spelled-differently",
            Self::ForbiddenCharacters => "forbidden-characters",
            Self::ContradictoryPaging => "contradictory-paging",
            Self::ShortPages(_) => "short-pages",
            Self::BatchStopped(_) => "batch-stopped",
            Self::ChangeKeyBumped => "change-key-bumped",
            Self::ItemCorrupt => "item-corrupt",
            Self::MimeFailure => "mime-failure",
            Self::SyncReset => "sync-reset",
            Self::Restored => "restored",
            Self::Migrated(_) => "migrated",
            Self::StoreBusy => "store-busy",
            Self::DiskFull => "disk-full",
            Self::StoreIo => "store-io",
            Self::StoreAnswerLost => "store-answer-lost",
            Self::CrmUnavailable => "crm-unavailable",
            Self::CrmAnswerLost => "crm-answer-lost",
            Self::CrashBefore => "crash-before",
            Self::CrashAfter => "crash-after",
            Self::TornCrash => "torn-crash",
            Self::StaleLease => "stale-lease",
            Self::ClockBack(_) => "clock-back",
            Self::ClockForward(_) => "clock-forward",
        }
    }

    /// How long the server asks to wait, where it does.
    #[must_use]
    pub fn hint(self) -> Option<Duration> {
        match self {
            Self::Unserved(hint) | Self::Throttled(hint) => hint.map(Duration::from_millis),
            Self::Busy(hint) => Some(Duration::from_millis(hint)),
            _ => None,
        }
    }

    /// What it does, as far as promises depend on it.
    #[must_use]
    pub const fn class(self) -> FaultClass {
        match self {
            Self::RequestLost
            | Self::AnswerLost
            | Self::RequestLate(_)
            | Self::SlowRequest(_)
            | Self::SlowAnswer(_)
            | Self::Reset
            | Self::Truncated
            | Self::HtmlPage
            | Self::Unserved(_)
            | Self::Throttled(_)
            | Self::Outage
            | Self::Busy(_)
            | Self::ContradictoryPaging
            | Self::ShortPages(_)
            | Self::BatchStopped(_)
            | Self::ChangeKeyBumped
            | Self::PathSpelledDifferently
            | Self::ForbiddenCharacters => FaultClass::Transient,
            Self::Unauthorized
            | Self::ImpersonationRevoked
            | Self::QuotaExceeded
            | Self::SendAsDenied => FaultClass::Permanent,
            Self::PhantomItem
            | Self::PropertyWithoutValue
            | Self::ItemCorrupt
            | Self::MimeFailure => FaultClass::Item,
            Self::InvalidSyncState | Self::SyncReset | Self::Restored | Self::Migrated(_) => {
                FaultClass::Identity
            }
            Self::StoreBusy
            | Self::DiskFull
            | Self::StoreIo
            | Self::StoreAnswerLost
            | Self::CrmUnavailable
            | Self::CrmAnswerLost => FaultClass::Local,
            Self::CrashBefore | Self::CrashAfter | Self::TornCrash | Self::StaleLease => {
                FaultClass::Process
            }
            Self::ClockBack(_) | Self::ClockForward(_) => FaultClass::Clock,
        }
    }
}

/// Whom it concerns, by position in the setup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Everybody.
    Everybody,
    /// The mailboxes of a profile.
    Profile(usize),
    /// One mailbox.
    Mailbox(usize),
    /// One mail system.
    System(usize),
}

/// A time in which something goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultWindow {
    /// Its beginning, since the start of the run.
    #[serde(with = "millis")]
    pub from: Duration,
    /// Its end.
    #[serde(with = "millis")]
    pub until: Duration,
    /// What.
    pub fault: FaultKind,
    /// Whom it concerns.
    pub target: Target,
    /// The chance that it strikes a call, in thousandths.
    pub per_mille: u16,
    /// How often it strikes at most; without a limit where missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

impl FaultWindow {
    /// Whether it is open at that time.
    #[must_use]
    pub fn is_open(&self, at: Duration) -> bool {
        at >= self.from && at < self.until
    }
}
