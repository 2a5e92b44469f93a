//! Circuit breakers: a server in trouble pauses its profile, and one probe at a time finds out when
//! it is over. Promise 9.
//!
//! The state is in memory only: after a restart the first failure opens the breaker again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postroom_core::health::HealthPolicy;
use postroom_core::{Code, ProfileId, Timestamp, planted};

/// How long a probe is waited for before others are told to come back.
const PROBE_PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Breaker {
    code: Code,
    since: Timestamp,
    until: Timestamp,
    failures: u32,
    probing: bool,
}

/// Whether a cycle may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Yes.
    Go,
    /// The profile is paused until then.
    Paused(Timestamp),
}

/// The breakers of all profiles.
#[derive(Debug, Default)]
pub(crate) struct Breakers {
    open: Mutex<BTreeMap<ProfileId, Breaker>>,
}

impl Breakers {
    fn open(&self) -> MutexGuard<'_, BTreeMap<ProfileId, Breaker>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks to begin a cycle. The first to ask after the pause is the probe.
    pub(crate) fn admit(&self, profile: ProfileId, now: Timestamp) -> Admission {
        match self.open().get_mut(&profile) {
            None => Admission::Go,
            Some(breaker) if now < breaker.until => Admission::Paused(breaker.until),
            Some(breaker) if breaker.probing => Admission::Paused(now.plus(PROBE_PATIENCE)),
            Some(breaker) => {
                breaker.probing = true;
                Admission::Go
            }
        }
    }

    /// The server is in trouble: pauses the profile, longer each time.
    pub(crate) fn failed(
        &self,
        profile: ProfileId,
        code: Code,
        retry_after: Option<Duration>,
        policy: &HealthPolicy,
        now: Timestamp,
    ) {
        let mut open = self.open();
        let breaker = open.entry(profile).or_insert(Breaker {
            code,
            since: now,
            until: now,
            failures: 0,
            probing: false,
        });
        breaker.probing = planted!(ProbeNeverEnds) && breaker.probing;
        breaker.code = code;
        breaker.since = now;
        // Cycles that were under way when it opened are the same trouble, told again.
        if now >= breaker.until {
            if !planted!(BackOffNeverGrows) {
                breaker.failures = breaker.failures.saturating_add(1);
            }
            let doubled = 2_u32.saturating_pow(breaker.failures.saturating_sub(1).min(16));
            let wait = policy
                .delay_min
                .saturating_mul(doubled)
                .min(policy.delay_max);
            breaker.until = now.plus(wait);
        }
        if let Some(asked) = retry_after {
            breaker.until = breaker.until.max(now.plus(asked));
        }
    }

    /// The server answers: resumes the profile. Answers what the trouble was.
    pub(crate) fn succeeded(&self, profile: ProfileId) -> Option<Code> {
        self.open().remove(&profile).map(|breaker| breaker.code)
    }

    /// A probe ended without finding out.
    pub(crate) fn undecided(&self, profile: ProfileId) {
        if let Some(breaker) = self.open().get_mut(&profile) {
            breaker.probing = false;
        }
    }

    /// A cycle begins that may be the probe. However it ends, dropped or not even written down, others
    /// may probe afterwards.
    pub(crate) const fn begun(&self, profile: ProfileId) -> Begun<'_> {
        let breakers = self;
        Begun { breakers, profile }
    }

    /// Somebody changed the profile or wants it tried now.
    pub(crate) fn forget(&self, profile: ProfileId) {
        self.open().remove(&profile);
    }

    /// Pauses that began in the future begin now.
    pub(crate) fn clock_set_back(&self, now: Timestamp) {
        for breaker in self.open().values_mut() {
            if breaker.since > now {
                let wait = breaker.until.since(breaker.since);
                breaker.until = now.plus(wait).min(breaker.until);
                breaker.since = now;
            }
        }
    }

    /// Until when the profile is paused.
    pub(crate) fn open_until(&self, profile: ProfileId) -> Option<Timestamp> {
        self.open().get(&profile).map(|breaker| breaker.until)
    }
}

/// A cycle that was admitted, until it is dropped.
#[derive(Debug)]
pub(crate) struct Begun<'a> {
    breakers: &'a Breakers,
    profile: ProfileId,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !planted!(ProbeNeverEnds) {
            self.breakers.undecided(self.profile);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_pause_lasts_as_long_as_was_meant_when_the_clock_is_set_back() {
        let (breakers, policy) = (Breakers::default(), HealthPolicy::default());
        let id = ProfileId::from_random([1; 16]);
        breakers.failed(id, Code::ServerUnavailable, None, &policy, at(300_000));
        breakers.clock_set_back(at(300_001));
        assert_eq!(breakers.open_until(id), Some(at(300_030)));
        breakers.clock_set_back(at(100));
        assert_eq!(breakers.open_until(id), Some(at(130)));
    }

    #[test]
    fn pauses_probes_one_at_a_time_and_resumes() {
        let (breakers, policy) = (Breakers::default(), HealthPolicy::default());
        let id = ProfileId::from_random([1; 16]);
        assert_eq!(breakers.admit(id, at(0)), Admission::Go);
        breakers.failed(id, Code::ServerUnavailable, None, &policy, at(0));
        assert_eq!(breakers.admit(id, at(10)), Admission::Paused(at(30)));
        assert_eq!(breakers.admit(id, at(30)), Admission::Go, "the probe");
        assert_eq!(breakers.admit(id, at(31)), Admission::Paused(at(61)));
        breakers.failed(id, Code::ServerUnavailable, None, &policy, at(32));
        assert_eq!(
            breakers.admit(id, at(60)),
            Admission::Paused(at(92)),
            "longer each time"
        );
        assert_eq!(breakers.admit(id, at(92)), Admission::Go);
        assert_eq!(breakers.succeeded(id), Some(Code::ServerUnavailable));
        assert_eq!(breakers.admit(id, at(93)), Admission::Go);
        assert_eq!(breakers.succeeded(id), None);
    }

    #[test]
    fn a_probe_that_was_dropped_is_over() {
        let (breakers, policy) = (Breakers::default(), HealthPolicy::default());
        let id = ProfileId::from_random([1; 16]);
        breakers.failed(id, Code::ServerUnavailable, None, &policy, at(0));
        assert_eq!(breakers.admit(id, at(30)), Admission::Go);
        let probe = breakers.begun(id);
        assert_eq!(breakers.admit(id, at(31)), Admission::Paused(at(61)));
        drop(probe);
        assert_eq!(breakers.admit(id, at(61)), Admission::Go);
    }

    #[test]
    fn cycles_under_way_do_not_lengthen_the_pause_but_the_servers_word_does() {
        let (breakers, policy) = (Breakers::default(), HealthPolicy::default());
        let id = ProfileId::from_random([1; 16]);
        for _ in 0..20 {
            breakers.failed(id, Code::ServerBusy, None, &policy, at(0));
        }
        assert_eq!(breakers.open_until(id), Some(at(30)));
        let asked = Some(Duration::from_secs(600));
        breakers.failed(id, Code::ServerBusy, asked, &policy, at(1));
        assert_eq!(breakers.open_until(id), Some(at(601)));
    }
}
