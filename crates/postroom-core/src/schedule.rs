//! When a workload is due next, and why then.
//!
//! Counted from the end of a cycle, so that a slow server is not polled without a pause. Source:
//! domain section 12, "Frequency"; design section 5, "Scheduling".

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalogue::Code;
use crate::health::{Health, HealthChange};
use crate::mailbox::WorkloadState;
use crate::organization::OrganizationSettings;
use crate::profile::ServerProfile;
use crate::time::Timestamp;

/// Two polls of a workload are at least so far apart, whatever the profile says.
pub const INTERVAL_FLOOR: Duration = Duration::from_secs(1);

/// No wait is longer that is not an interval, a setting or a server's wish.
pub const WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// The longest wait that a server's wish is kept for after the clock was set back.
pub const SERVER_WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The latest times that can honestly have been written down by a moment. Whatever lies behind them
/// was written while the clock ran ahead, and would stand still until it has caught up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LatestTimes {
    /// The moment.
    pub now: Timestamp,
    /// When a workload that is well can be due.
    pub due: Timestamp,
    /// When one in trouble can be, whose server may have asked for a wait.
    pub due_in_trouble: Timestamp,
    /// When a single message can be tried again.
    pub retry: Timestamp,
    /// When a lease can end.
    pub lease: Timestamp,
}

impl LatestTimes {
    /// The latest times by now, with these settings and profiles and leases of that duration.
    #[must_use]
    pub fn at(
        now: Timestamp,
        settings: &OrganizationSettings,
        profiles: &[ServerProfile],
        lease: Duration,
    ) -> Self {
        let polled = profiles.iter().map(interval).max().unwrap_or_default();
        let due = polled.max(settings.idle_interval_max).max(WAIT_MAX);
        // Waits are spread over a quarter more.
        let probe = settings.health.probe_delay.max(settings.health.delay_max);
        let in_trouble = due.max(probe.saturating_mul(2)).max(SERVER_WAIT_MAX);
        Self {
            now,
            due: now.plus(due),
            due_in_trouble: now.plus(in_trouble),
            retry: now.plus(WAIT_MAX),
            lease: now.plus(lease),
        }
    }

    /// When a workload is to be due that was written down to be due then: the wait that was meant
    /// counts from now on where its last cycle began in the future, and a time that nothing can
    /// have meant is now.
    #[must_use]
    pub fn due(&self, due: Timestamp, started: Option<Timestamp>, health: &Health) -> Timestamp {
        let latest = match health {
            Health::Healthy => self.due,
            Health::Retrying { .. } | Health::Failing { .. } | Health::Disabled { .. } => {
                self.due_in_trouble
            }
        };
        match started {
            Some(started) if started > self.now => {
                self.now.plus(due.since(started)).min(latest).min(due)
            }
            _ if due > latest => self.now,
            _ => due,
        }
    }
}

/// When a workload is due, and why then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Due {
    /// When; `None`: not before somebody acts.
    pub at: Option<Timestamp>,
    /// Why then.
    pub why: DueReason,
}

/// Why a workload is due when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
#[non_exhaustive]
pub enum DueReason {
    /// It was enabled just now.
    Enabled,
    /// Somebody asked for it.
    Requested,
    /// The server said that there is something.
    Notified,
    /// There is more than one cycle could do.
    Unfinished,
    /// The polling interval has to pass.
    Interval,
    /// Nothing came for a while: the interval grows.
    Idle {
        /// Cycles in a row that found nothing.
        cycles: u32,
    },
    /// It failed and is tried again.
    Retry {
        /// With what it failed.
        code: Code,
        /// Failures in a row.
        failures: u32,
    },
    /// It is disabled until somebody acts.
    Disabled {
        /// Why.
        code: Code,
    },
}

impl Due {
    /// Due now.
    #[must_use]
    pub const fn now(now: Timestamp, why: DueReason) -> Self {
        Self { at: Some(now), why }
    }
}

/// When a workload is due after a cycle.
///
/// `state` is the workload with the counters as they are after the cycle, `change` what the outcome
/// did to its health, `unfinished` whether a cycle that succeeded left work behind. The first idle
/// cycle keeps the interval, each further one adds a quarter of it, up to `idle_interval_max`; the
/// profile's minimum holds in any case.
#[must_use]
pub fn due_after_cycle(
    state: &WorkloadState,
    change: &HealthChange,
    profile: &ServerProfile,
    idle_interval_max: Duration,
    unfinished: bool,
    ended_at: Timestamp,
) -> Due {
    match &change.health {
        Health::Disabled { code, .. } => Due {
            at: None,
            why: DueReason::Disabled { code: *code },
        },
        Health::Retrying { code, failures, .. } | Health::Failing { code, failures, .. } => Due {
            at: Some(
                change
                    .next_attempt
                    .unwrap_or_else(|| ended_at.plus(interval(profile))),
            ),
            why: DueReason::Retry {
                code: *code,
                failures: *failures,
            },
        },
        Health::Healthy if unfinished => Due::now(
            change.next_attempt.unwrap_or(ended_at).max(ended_at),
            DueReason::Unfinished,
        ),
        Health::Healthy => {
            let (wait, why) =
                idle_interval(interval(profile), state.idle_cycles, idle_interval_max);
            let at = ended_at.plus(wait);
            Due {
                at: Some(change.next_attempt.map_or(at, |asked| asked.max(at))),
                why,
            }
        }
    }
}

fn interval(profile: &ServerProfile) -> Duration {
    if crate::planted!(PollingMinimumIgnored) {
        return Duration::from_secs(60);
    }
    profile.polling_interval_min.max(INTERVAL_FLOOR)
}

fn idle_interval(
    interval: Duration,
    idle_cycles: u32,
    idle_interval_max: Duration,
) -> (Duration, DueReason) {
    let growth = (interval / 4).saturating_mul(idle_cycles.saturating_sub(1));
    let wait = if crate::planted!(IdleWaitUnbounded) {
        interval.saturating_mul(2_u32.saturating_pow(idle_cycles.min(16)))
    } else {
        interval
            .saturating_add(growth)
            .min(idle_interval_max.max(interval))
    };
    if wait > interval {
        (
            wait,
            DueReason::Idle {
                cycles: idle_cycles,
            },
        )
    } else {
        (interval, DueReason::Interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{CycleOutcome, HealthPolicy};
    use crate::id::ProfileId;
    use crate::mailbox::DeliveryMethod;
    use crate::profile::ProfileKind;

    const END: Timestamp = Timestamp::from_seconds(1000);
    const MAX: Duration = Duration::from_secs(12 * 60);

    fn profile() -> ServerProfile {
        ServerProfile::new(
            ProfileId::from_random([1; 16]),
            "p",
            ProfileKind::ExchangeServer,
        )
    }

    fn due(
        idle_cycles: u32,
        outcome: CycleOutcome,
        profile: &ServerProfile,
        unfinished: bool,
    ) -> Due {
        let mut state = WorkloadState::new(DeliveryMethod::ServerSide);
        state.idle_cycles = idle_cycles;
        let change = Health::Healthy.after(outcome, &HealthPolicy::default(), END, 0);
        due_after_cycle(&state, &change, profile, MAX, unfinished, END)
    }

    fn minutes(due: Due) -> f64 {
        due.at.unwrap().since(END).as_secs_f64() / 60.0
    }

    #[test]
    fn the_interval_counts_from_the_end_and_grows_when_idle() {
        let all: Vec<_> = [0, 1, 2, 3, 6, 7, 1000, u32::MAX]
            .map(|idle| minutes(due(idle, CycleOutcome::Succeeded, &profile(), false)))
            .into();
        assert_eq!(all, [5.0, 5.0, 6.25, 7.5, 11.25, 12.0, 12.0, 12.0]);
        assert_eq!(
            due(0, CycleOutcome::Succeeded, &profile(), false).why,
            DueReason::Interval
        );
        assert_eq!(
            due(3, CycleOutcome::Succeeded, &profile(), false).why,
            DueReason::Idle { cycles: 3 }
        );
    }

    #[test]
    fn the_profiles_minimum_holds_above_the_idle_limit_and_zero_is_not_a_busy_loop() {
        let mut slow = profile();
        slow.polling_interval_min = Duration::from_secs(60 * 60);
        assert_eq!(
            minutes(due(50, CycleOutcome::Succeeded, &slow, false)),
            60.0
        );
        let mut busy = profile();
        busy.polling_interval_min = Duration::ZERO;
        assert_eq!(
            due(0, CycleOutcome::Succeeded, &busy, false).at,
            Some(END.plus(INTERVAL_FLOOR))
        );
    }

    #[test]
    fn what_was_written_while_the_clock_ran_ahead_does_not_count() {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        let mut slow = profile();
        slow.polling_interval_min = minutes(120);
        let lease = minutes(2);
        let settings = OrganizationSettings::default();
        let latest = LatestTimes::at(END, &settings, &[profile(), slow], lease);
        assert_eq!(latest.due, END.plus(minutes(120)));
        assert_eq!(latest.lease, END.plus(lease));
        let ahead = END.plus(minutes(3 * 24 * 60));
        let well = Health::Healthy;
        let failing = Health::Failing {
            code: Code::ServerBusy,
            failures: 12,
            since: END,
        };
        let fine = END.plus(minutes(100));
        assert_eq!(latest.due(fine, Some(END), &well), fine);
        assert_eq!(latest.due(fine, None, &failing), fine);
        assert_eq!(latest.due(ahead, None, &well), END, "a mere due time");
        assert_eq!(latest.due(ahead, Some(END), &failing), END);
        let asked = END.plus(minutes(20 * 60));
        assert_eq!(latest.due(asked, None, &failing), asked, "a server's wish");
        // The wait that was meant counts from now on, however far the clock was ahead.
        for by in [5, 3 * 24 * 60] {
            let started = END.plus(minutes(by));
            let due = started.plus(minutes(12));
            assert_eq!(
                latest.due(due, Some(started), &well),
                END.plus(minutes(12)).min(due)
            );
        }
        let overdue = END.minus(minutes(5));
        assert_eq!(latest.due(overdue, Some(ahead), &well), overdue);
    }

    #[test]
    fn unfinished_work_goes_on_at_once() {
        let due = due(9, CycleOutcome::Succeeded, &profile(), true);
        assert_eq!((due.at, due.why), (Some(END), DueReason::Unfinished));
    }

    #[test]
    fn failures_wait_as_health_says() {
        let failed = |code| CycleOutcome::Failed {
            code,
            retry_after: Some(Duration::from_secs(400)),
        };
        let retry = due(0, failed(Code::ServerBusy), &profile(), true);
        assert_eq!(retry.at, Some(END.plus(Duration::from_secs(400))));
        assert_eq!(
            retry.why,
            DueReason::Retry {
                code: Code::ServerBusy,
                failures: 1
            }
        );
        let disabled = due(0, failed(Code::CredentialsRejected), &profile(), true);
        assert_eq!(
            (disabled.at, disabled.why),
            (
                None,
                DueReason::Disabled {
                    code: Code::CredentialsRejected
                }
            )
        );
    }
}
