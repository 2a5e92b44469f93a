//! What the server does wrong on demand.

use std::time::Duration;

use postroom_core::Code;
use postroom_provider::{ErrorKind, ProviderError, RemoteId, Retry};

use crate::model::Random;

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
    /// The server does not know any cursor: a failover or a repair.
    InvalidCursor,
    /// A listing ends with a message that is not there.
    Phantom,
    /// Pages hold at most so many changes.
    ShortPages(u32),
    /// A page is empty, does not advance, and says that there is more.
    ContradictoryPaging,
    /// Of a batch only the first so many are served; the others are told to be asked for again.
    BatchStopped(usize),
    /// Messages cannot be read, so many of a thousand, always the same ones.
    CorruptShare(u16),
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
    /// The chance that it strikes, in thousandths; always where `None`.
    pub per_mille: Option<u16>,
}

/// Names a fault that was switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoryFaultId(pub(super) u64);

/// A fault that is on, and how often it has struck.
#[derive(Debug)]
pub(super) struct Armed {
    pub(super) id: MemoryFaultId,
    pub(super) fault: MemoryFault,
    pub(super) hits: u64,
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
            per_mille: None,
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

    /// Strikes with that chance, in thousandths, drawn from the server's seed.
    #[must_use]
    pub const fn chance(mut self, per_mille: u16) -> Self {
        self.per_mille = Some(per_mille);
        self
    }

    /// Whether it strikes now; counts the request.
    fn strikes(&mut self, operation: &str, account: &str, random: &mut Random) -> bool {
        let concerned = self.operation.is_none_or(|on| on == operation)
            && self
                .account
                .as_deref()
                .is_none_or(|on| on.eq_ignore_ascii_case(account));
        if !concerned || self.times == Some(0) {
            return false;
        }
        if self.per_mille.is_some_and(|chance| !random.chance(chance)) {
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
    /// How listings go wrong.
    pub(super) listing: Listing,
}

/// How listings go wrong.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Most changes on a page.
    pub(super) page_max: Option<u32>,
    /// A page contradicts itself.
    pub(super) contradicts: bool,
    /// No cursor is known.
    pub(super) forgets_cursors: bool,
    /// A page names a message that is not there.
    pub(super) phantom: bool,
}

/// Messages that cannot be read.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    /// Each has a failure of its own.
    pub(super) corrupt: Vec<RemoteId>,
    /// The whole answer breaks off.
    pub(super) breaking: Vec<RemoteId>,
    /// So many of a thousand messages are corrupt, always the same ones.
    pub(super) share: u16,
    /// Only the first so many of a batch are served.
    pub(super) served: Option<usize>,
}

impl Unreadable {
    /// What keeps the message at that place of a batch from being read.
    pub(super) fn failure(
        &self,
        at: usize,
        id: &RemoteId,
        number: u64,
        operation: &'static str,
    ) -> Option<ProviderError> {
        if self.served.is_some_and(|served| at >= served) {
            // As where Exchange stops a batch: asked for again, it is served.
            let (kind, code) = (ErrorKind::Unavailable, Code::ServerFault);
            let error = ProviderError::new(kind, code, operation);
            let item = error.with_scope(postroom_core::Scope::Item);
            return Some(item.with_retry(Retry::After(None)));
        }
        let share = u64::from(self.share);
        let drawn = Random::new(number).next_u64() % 1000 < share;
        (drawn || self.corrupt.contains(id)).then(|| {
            let (kind, code) = (ErrorKind::Corrupt, Code::ItemCorrupt);
            ProviderError::new(kind, code, operation).with("id", id.as_str())
        })
    }
}

/// Weighs the faults for one request; the first refusal counts.
pub(super) fn weigh(
    faults: &mut Vec<Armed>,
    operation: &'static str,
    account: &str,
    random: &mut Random,
) -> Verdict {
    let mut verdict = Verdict::default();
    for Armed { fault, hits, .. } in faults.iter_mut() {
        if !fault.strikes(operation, account, random) {
            continue;
        }
        *hits = hits.saturating_add(1);
        match &fault.effect {
            FaultEffect::Slow(delay) => verdict.delay = verdict.delay.saturating_add(*delay),
            FaultEffect::LoseAnswer => verdict.lost = true,
            FaultEffect::Corrupt(id) => verdict.unreadable.corrupt.push(id.clone()),
            FaultEffect::BreaksOff(id) => verdict.unreadable.breaking.push(id.clone()),
            FaultEffect::CorruptShare(share) => verdict.unreadable.share = *share,
            FaultEffect::BatchStopped(served) => verdict.unreadable.served = Some(*served),
            FaultEffect::ShortPages(most) => verdict.listing.page_max = Some(*most),
            FaultEffect::ContradictoryPaging => verdict.listing.contradicts = true,
            FaultEffect::InvalidCursor => verdict.listing.forgets_cursors = true,
            FaultEffect::Phantom => verdict.listing.phantom = true,
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
    faults.retain(|armed| armed.fault.times != Some(0));
    verdict
}

fn refusal(effect: &FaultEffect, operation: &'static str) -> ProviderError {
    let unavailable = ErrorKind::Unavailable;
    match effect {
        FaultEffect::DropBeforeEffect => lost(operation),
        FaultEffect::Throttle(hint) => {
            ProviderError::new(ErrorKind::RateLimited, Code::ServerBusy, operation)
                .with_retry(Retry::After(*hint))
        }
        FaultEffect::Refuse(kind, code) => ProviderError::new(*kind, *code, operation),
        _ => ProviderError::new(unavailable, Code::ServerUnavailable, operation),
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
