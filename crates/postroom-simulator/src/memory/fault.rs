//! What the server does wrong on demand.

use std::time::Duration;

use postroom_core::Code;
use postroom_provider::{ErrorKind, ProviderError, RemoteId, Retry};

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultEffect {
    /// The connection breaks before the server does anything.
    DropBeforeEffect,
    /// The server does it, then the connection breaks before its answer arrives.
    LoseAnswer,
    /// The server says that it cannot serve now.
    Unavailable,
    /// The server asks to slow down, for this long where it says so.
    Throttle(Option<Duration>),
    /// The server takes this long before it does anything.
    Slow(Duration),
    /// The server cannot read this message's headers and content.
    Corrupt(RemoteId),
    /// Whatever answer is to hold this message's headers or content breaks off.
    BreaksOff(RemoteId),
    /// The server refuses for this reason, as rights, quotas and sign-in do.
    Refuse(ErrorKind, Code),
}

/// A fault, and when it strikes.
///
/// ```
/// use postroom_simulator::memory::{FaultEffect, MemoryFault};
/// // The second and the third message sent from now on leave without an answer.
/// let fault = MemoryFault::new(FaultEffect::LoseAnswer).on("submit.send").after(1).times(2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryFault {
    /// What goes wrong.
    pub effect: FaultEffect,
    /// The operation it strikes, such as `mail.changes`; all where `None`.
    pub operation: Option<&'static str>,
    /// The account it strikes, by its address; all where `None`.
    pub account: Option<String>,
    /// Requests that pass before it strikes.
    pub skip: u32,
    /// How often it strikes; for ever where `None`.
    pub times: Option<u32>,
}

impl MemoryFault {
    /// A fault that strikes every request.
    #[must_use]
    pub const fn new(effect: FaultEffect) -> Self {
        Self {
            effect,
            operation: None,
            account: None,
            skip: 0,
            times: None,
        }
    }

    /// Strikes that operation only: the name that errors carry, such as `submit.send`.
    #[must_use]
    pub const fn on(mut self, operation: &'static str) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Strikes that account only.
    #[must_use]
    pub fn for_account(mut self, address: impl Into<String>) -> Self {
        self.account = Some(address.into());
        self
    }

    /// Lets so many requests pass first.
    #[must_use]
    pub const fn after(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// Strikes so often, then is over.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Whether it strikes now; counts the request.
    fn strikes(&mut self, operation: &str, account: &str) -> bool {
        let concerned = self.operation.is_none_or(|on| on == operation)
            && self
                .account
                .as_deref()
                .is_none_or(|on| on.eq_ignore_ascii_case(account));
        if !concerned || self.times == Some(0) {
            return false;
        }
        if let Some(skip) = self.skip.checked_sub(1) {
            self.skip = skip;
            return false;
        }
        self.times = self.times.map(|times| times.saturating_sub(1));
        true
    }
}

/// What the faults come to for one request.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// How long the server takes.
    pub(super) delay: Duration,
    /// What it answers without doing anything.
    pub(super) refusal: Option<ProviderError>,
    /// Whether the answer is lost.
    pub(super) lost: bool,
    /// Messages that cannot be read.
    pub(super) unreadable: Unreadable,
}

/// Messages that cannot be read.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    /// Each has a failure of its own.
    pub(super) corrupt: Vec<RemoteId>,
    /// The whole answer breaks off.
    pub(super) breaking: Vec<RemoteId>,
}

/// Weighs the faults for one request; the first refusal counts.
pub(super) fn weigh(
    faults: &mut Vec<MemoryFault>,
    operation: &'static str,
    account: &str,
) -> Verdict {
    let mut verdict = Verdict::default();
    for fault in faults.iter_mut() {
        if !fault.strikes(operation, account) {
            continue;
        }
        match &fault.effect {
            FaultEffect::Slow(delay) => verdict.delay = verdict.delay.saturating_add(*delay),
            FaultEffect::LoseAnswer => verdict.lost = true,
            FaultEffect::Corrupt(id) => verdict.unreadable.corrupt.push(id.clone()),
            FaultEffect::BreaksOff(id) => verdict.unreadable.breaking.push(id.clone()),
            FaultEffect::DropBeforeEffect
            | FaultEffect::Unavailable
            | FaultEffect::Throttle(_)
            | FaultEffect::Refuse(..) => {
                verdict
                    .refusal
                    .get_or_insert_with(|| refusal(&fault.effect, operation));
            }
        }
    }
    faults.retain(|fault| fault.times != Some(0));
    verdict
}

fn refusal(effect: &FaultEffect, operation: &'static str) -> ProviderError {
    let unavailable = ErrorKind::Unavailable;
    match effect {
        FaultEffect::DropBeforeEffect | FaultEffect::LoseAnswer | FaultEffect::BreaksOff(_) => {
            lost(operation)
        }
        FaultEffect::Throttle(hint) => {
            ProviderError::new(ErrorKind::RateLimited, Code::ServerBusy, operation)
                .with_retry(Retry::After(*hint))
        }
        FaultEffect::Refuse(kind, code) => ProviderError::new(*kind, *code, operation),
        FaultEffect::Unavailable | FaultEffect::Slow(_) | FaultEffect::Corrupt(_) => {
            ProviderError::new(unavailable, Code::ServerUnavailable, operation)
        }
    }
}

/// The connection broke.
pub(super) fn lost(operation: &'static str) -> ProviderError {
    let error = ProviderError::new(ErrorKind::Unavailable, Code::ConnectionLost, operation);
    if operation == super::submitter::SEND {
        // Seen from the client, a request that is cut off may have arrived.
        error.with_retry(Retry::OutcomeUnknown)
    } else {
        error
    }
}
