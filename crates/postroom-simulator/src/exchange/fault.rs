//! What a test can make go wrong.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::model::{Item, Random};

/// One way in which Exchange servers are known to fail or to be odd.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// HTTP 500 with an ErrorServerBusy fault: what a used-up budget looks like to most requests.
    Throttle {
        /// The BackOffMilliseconds that it asks for; zero has been seen.
        back_off: Duration,
    },
    /// HTTP 200 with ErrorServerBusy in the response messages: the same, from deeper inside.
    Busy {
        /// The BackOffMilliseconds that it asks for.
        back_off: Duration,
    },
    /// HTTP 503: IIS or the load balancer in front of Exchange refuses.
    Unavailable {
        /// Value of Retry-After, if there is one.
        retry_after: Option<Duration>,
    },
    /// The connection breaks in the middle of the answer, after the effect.
    Reset,
    /// The answer is complete as HTTP, but its XML ends in the middle.
    Truncated,
    /// The connection breaks before the answer, after the effect: the client cannot know it.
    LostAnswer,
    /// The connection breaks before the request had any effect.
    LostRequest,
    /// The answer takes longer by this much.
    Slow {
        /// How much longer.
        by: Duration,
    },
    /// An IIS error page in HTML with status 500 instead of SOAP: seen during restarts.
    HtmlPage,
    /// ErrorItemCorrupt for an item: one bad row in the store.
    Corrupt,
    /// ErrorMimeContentConversionFailed for an item whose MIME is asked for: meeting requests and
    /// damaged mail do that.
    MimeFailure,
    /// Extended properties come without a value: it once stopped a whole mailbox elsewhere.
    PropertyWithoutValue,
    /// Extended properties come back under another spelling of their path.
    PathSpelledDifferently,
    /// Characters that XML forbids stand in subjects, as references.
    ForbiddenCharacters,
    /// ErrorInvalidSyncStateData for a sync with a state: failover, repair, or an old state.
    InvalidSyncState,
    /// A sync names an item that GetItem cannot find: Exchange Online is known for it.
    PhantomItem,
    /// A created item gets another change key at once: assistants touch fresh items.
    ChangeKeyBumped,
    /// Pages hold at most so many entries, whatever was asked for: budgets do that.
    ShortPages {
        /// Entries on a page.
        at_most: usize,
    },
    /// A list is empty, does not advance, and yet says that there is more: seen from FindItem, and
    /// clients looped on it for ever.
    ContradictoryPaging,
    /// ErrorBatchProcessingStopped for all items of a batch after the first few.
    BatchStopped {
        /// How many items are still served.
        after: usize,
    },
    /// 401 although the password is right: seen on throttled and on locked accounts.
    Unauthorized,
    /// ErrorImpersonateUserDenied although the right was given: role changes take effect late.
    ImpersonationRevoked,
    /// ErrorQuotaExceeded for everything that writes: the mailbox is full.
    QuotaExceeded,
    /// ErrorSendAsDenied for sending: a missing right.
    SendAsDenied,
    /// Any other code, as an error in every response message of the request.
    Code(String),
}

impl Fault {
    /// Whether the fault concerns single items, and so is counted by items.
    const fn is_about_items(&self) -> bool {
        matches!(
            self,
            Self::Corrupt
                | Self::MimeFailure
                | Self::PropertyWithoutValue
                | Self::PathSpelledDifferently
                | Self::ForbiddenCharacters
        )
    }
}

/// A fault and when it strikes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FaultRule {
    /// What goes wrong.
    pub fault: Fault,
    operation: Option<String>,
    mailbox: Option<String>,
    item: Option<[u8; 16]>,
    skip: u32,
    times: Option<u32>,
    per_mille: Option<u16>,
}

impl FaultRule {
    /// A fault that strikes every time until it is taken away.
    #[must_use]
    pub const fn new(fault: Fault) -> Self {
        Self {
            fault,
            operation: None,
            mailbox: None,
            item: None,
            skip: 0,
            times: None,
            per_mille: None,
        }
    }

    /// Only for one operation, such as `GetItem`.
    #[must_use]
    pub fn operation(mut self, name: impl Into<String>) -> Self {
        self.operation = Some(name.into());
        self
    }

    /// Only for one mailbox, by primary address.
    #[must_use]
    pub fn mailbox(mut self, address: &str) -> Self {
        self.mailbox = Some(address.to_lowercase());
        self
    }

    /// Only for one item, wherever it is moved, and its copies.
    #[must_use]
    pub const fn item(mut self, item: &Item) -> Self {
        self.item = Some(item.search_key);
        self
    }

    /// Spares the first few that would be struck.
    #[must_use]
    pub const fn skip(mut self, count: u32) -> Self {
        self.skip = count;
        self
    }

    /// Strikes that often and then no more.
    #[must_use]
    pub const fn times(mut self, count: u32) -> Self {
        self.times = Some(count);
        self
    }

    /// Strikes with a chance in thousandths, drawn from the server's seed.
    #[must_use]
    pub const fn chance(mut self, per_mille: u16) -> Self {
        self.per_mille = Some(per_mille);
        self
    }
}

/// Names a rule that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultId(u64);

/// The faults that are switched on.
#[derive(Debug)]
pub struct Faults(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    rules: Vec<(FaultId, FaultRule, u64)>,
    last: u64,
    random: Random,
}

impl Faults {
    pub(super) const fn new(seed: u64) -> Self {
        Self(Mutex::new(Inner {
            rules: Vec::new(),
            last: 0,
            random: Random::new(seed),
        }))
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Switches a fault on.
    pub fn add(&self, rule: FaultRule) -> FaultId {
        let mut inner = self.inner();
        inner.last = inner.last.saturating_add(1);
        let id = FaultId(inner.last);
        inner.rules.push((id, rule, 0));
        id
    }

    /// Switches one off; nothing happens if it is off.
    pub fn remove(&self, id: FaultId) {
        self.inner().rules.retain(|(other, ..)| *other != id);
    }

    /// Switches all off.
    pub fn clear(&self) {
        self.inner().rules.clear();
    }

    /// How often a fault has struck.
    #[must_use]
    pub fn hits(&self, id: FaultId) -> u64 {
        self.inner()
            .rules
            .iter()
            .find(|(other, ..)| *other == id)
            .map_or(0, |(.., hits)| *hits)
    }

    /// Whether none is switched on.
    pub(super) fn is_empty(&self) -> bool {
        self.inner().rules.is_empty()
    }

    /// The faults that strike a request.
    pub(super) fn strike(&self, operation: &str, mailbox: &str) -> Vec<Fault> {
        self.draw(|rule| {
            !rule.fault.is_about_items() && rule.item.is_none() && rule.fits(operation, mailbox)
        })
    }

    /// The faults that strike an item of a request.
    pub(super) fn strike_item(&self, operation: &str, mailbox: &str, item: &Item) -> Vec<Fault> {
        self.draw(|rule| {
            let scoped = rule.item.is_none_or(|key| key == item.search_key);
            let about = rule.fault.is_about_items() || rule.item.is_some();
            scoped && about && rule.fits(operation, mailbox)
        })
    }

    fn draw(&self, applies: impl Fn(&FaultRule) -> bool) -> Vec<Fault> {
        let mut inner = self.inner();
        let Inner { rules, random, .. } = &mut *inner;
        let mut struck = Vec::new();
        for (_, rule, hits) in rules.iter_mut().filter(|(_, rule, _)| applies(rule)) {
            if rule.per_mille.is_some_and(|chance| !random.chance(chance)) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip = rule.skip.saturating_sub(1);
                continue;
            }
            match &mut rule.times {
                Some(0) => continue,
                Some(times) => *times = times.saturating_sub(1),
                None => {}
            }
            *hits = hits.saturating_add(1);
            struck.push(rule.fault.clone());
        }
        struck
    }
}

impl FaultRule {
    fn fits(&self, operation: &str, mailbox: &str) -> bool {
        self.operation
            .as_deref()
            .is_none_or(|wanted| wanted == operation)
            && self
                .mailbox
                .as_deref()
                .is_none_or(|wanted| mailbox.eq_ignore_ascii_case(wanted))
    }
}
