//! How a workload fares, and what a cycle's outcome does to that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalogue::{Class, Code, Level};
use crate::time::Timestamp;

/// How a workload fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "health")]
#[expect(
    clippy::exhaustive_enums,
    reason = "scheduling and alerts match every state"
)]
pub enum Health {
    /// The last cycle succeeded, or none has run yet.
    #[default]
    Healthy,
    /// It fails for causes that go away; a warning.
    Retrying {
        /// With what.
        code: Code,
        /// Failures in a row.
        failures: u32,
        /// Since when.
        since: Timestamp,
    },
    /// It has failed for so long that somebody should know; slow probes. Never disables.
    Failing {
        /// With what.
        code: Code,
        /// Failures in a row.
        failures: u32,
        /// Since when.
        since: Timestamp,
    },
    /// Only a person can mend it.
    Disabled {
        /// Why.
        code: Code,
        /// Since when.
        since: Timestamp,
    },
}

/// How a cycle of a workload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a cycle succeeds or fails")]
pub enum CycleOutcome {
    /// It did what it could; single messages may have failed.
    Succeeded,
    /// It failed as a whole.
    Failed {
        /// With what.
        code: Code,
        /// The wait that the server asked for; kept to the letter.
        retry_after: Option<Duration>,
    },
}

/// When trouble becomes serious, and how often it is tried meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct HealthPolicy {
    /// So many failures in a row make it failing (10, as in the reference).
    pub failures_before_failing: u32,
    /// The wait after the first failure; doubled after each further one (30 s).
    pub delay_min: Duration,
    /// The longest wait while retrying (5 minutes, as in the reference).
    pub delay_max: Duration,
    /// The wait between probes while failing (15 minutes).
    pub probe_delay: Duration,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self {
            failures_before_failing: 10,
            delay_min: Duration::from_secs(30),
            delay_max: Duration::from_secs(5 * 60),
            probe_delay: Duration::from_secs(15 * 60),
        }
    }
}

/// What is to happen to alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever carries it out matches both"
)]
pub enum AlertAction {
    /// Raise or count the incident, with this level: less than the catalogue's while it is retried.
    Raise {
        /// The condition.
        code: Code,
        /// How serious.
        level: Level,
    },
    /// Close the incident: its cause is gone.
    Close {
        /// The condition.
        code: Code,
    },
}

/// What an outcome does to a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthChange {
    /// How it fares from now on.
    pub health: Health,
    /// When to try again, where that differs from the ordinary schedule. `None`: the schedule
    /// decides, or (disabled) a person.
    pub next_attempt: Option<Timestamp>,
    /// What is to happen to alerts.
    pub alerts: Vec<AlertAction>,
}

impl Health {
    /// What a cycle's outcome does to a workload. Promise 9: what goes away by itself never
    /// disables, however long it lasts.
    ///
    /// - Success: healthy, and the alert of the trouble is closed.
    /// - [`Class::Transient`]: retrying with a warning; after
    ///   [`failures_before_failing`](HealthPolicy::failures_before_failing) in a row failing with an
    ///   error and slow probes.
    /// - [`Class::Permanent`]: disabled with an error; only Test & Enable leads back.
    /// - [`Class::Item`] and [`Class::Event`] do not concern the workload.
    ///
    /// `jitter` is any random number: it spreads attempts over a quarter of the wait, so that
    /// mailboxes do not come back all at once.
    #[must_use]
    pub fn after(
        &self,
        outcome: CycleOutcome,
        policy: &HealthPolicy,
        now: Timestamp,
        jitter: u32,
    ) -> HealthChange {
        let (code, retry_after) = match outcome {
            CycleOutcome::Succeeded => {
                return HealthChange {
                    health: Self::Healthy,
                    next_attempt: None,
                    alerts: self
                        .code()
                        .filter(|_| !crate::planted!(AlertStaysOpen))
                        .map(|code| AlertAction::Close { code })
                        .into_iter()
                        .collect(),
                };
            }
            CycleOutcome::Failed { code, retry_after } => (code, retry_after),
        };
        match code.spec().class {
            Class::Event | Class::Item => HealthChange {
                health: self.clone(),
                next_attempt: retry_after.map(|wait| now.plus(wait)),
                alerts: Vec::new(),
            },
            Class::Permanent => HealthChange {
                health: Self::Disabled {
                    code,
                    since: match self {
                        Self::Disabled { since, .. } => *since,
                        Self::Healthy | Self::Retrying { .. } | Self::Failing { .. } => now,
                    },
                },
                next_attempt: None,
                alerts: self.replace_alert(code, Level::Error),
            },
            Class::Transient => self.after_transient(code, retry_after, policy, now, jitter),
        }
    }

    fn after_transient(
        &self,
        code: Code,
        retry_after: Option<Duration>,
        policy: &HealthPolicy,
        now: Timestamp,
        jitter: u32,
    ) -> HealthChange {
        let (failures, since) = match self {
            Self::Healthy => (1, now),
            Self::Retrying {
                failures, since, ..
            }
            | Self::Failing {
                failures, since, ..
            } => (failures.saturating_add(1), *since),
            // A test of a disabled workload met an outage: nobody has mended anything yet.
            Self::Disabled { .. } => {
                return HealthChange {
                    health: self.clone(),
                    next_attempt: None,
                    alerts: Vec::new(),
                };
            }
        };
        let failing = failures >= policy.failures_before_failing.max(1);
        if failing && crate::planted!(OutageDisables) {
            return HealthChange {
                health: Self::Disabled { code, since: now },
                next_attempt: None,
                alerts: self.replace_alert(code, Level::Error),
            };
        }
        let wait = if failing {
            policy.probe_delay
        } else {
            let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
            policy
                .delay_min
                .saturating_mul(doubled)
                .min(policy.delay_max)
        };
        let wait = if crate::planted!(BackOffNeverGrows) {
            policy.delay_min
        } else {
            wait
        };
        let wait = spread(wait, jitter).max(retry_after.unwrap_or_default());
        HealthChange {
            health: if failing {
                Self::Failing {
                    code,
                    failures,
                    since,
                }
            } else {
                Self::Retrying {
                    code,
                    failures,
                    since,
                }
            },
            next_attempt: Some(now.plus(wait)),
            alerts: self.replace_alert(
                code,
                if failing {
                    Level::Error
                } else {
                    Level::Warning
                },
            ),
        }
    }

    /// The trouble, where there is any.
    #[must_use]
    pub const fn code(&self) -> Option<Code> {
        match self {
            Self::Healthy => None,
            Self::Retrying { code, .. }
            | Self::Failing { code, .. }
            | Self::Disabled { code, .. } => Some(*code),
        }
    }

    /// The state in a word, as shown.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Retrying { .. } => "retrying",
            Self::Failing { .. } => "failing",
            Self::Disabled { .. } => "disabled",
        }
    }

    fn replace_alert(&self, code: Code, level: Level) -> Vec<AlertAction> {
        let closed = self
            .code()
            .filter(|old| *old != code)
            .map(|code| AlertAction::Close { code });
        closed
            .into_iter()
            .chain([AlertAction::Raise { code, level }])
            .collect()
    }
}

/// The wait, and up to a quarter more.
fn spread(wait: Duration, jitter: u32) -> Duration {
    let quarter = u64::try_from((wait / 4).as_millis()).unwrap_or(u64::MAX);
    let more = (u128::from(quarter) * u128::from(jitter)) / u128::from(u32::MAX);
    wait.saturating_add(Duration::from_millis(
        u64::try_from(more).unwrap_or(u64::MAX),
    ))
}

/// Whether so many of a profile's mailboxes failed within an hour that it is the profile's trouble:
/// more than half. Then its owner gets one alert instead of one for each mailbox. Source: seed 000.
#[must_use]
pub const fn profile_outage(mailboxes: usize, failing_within_hour: usize) -> bool {
    mailboxes > 0 && failing_within_hour.saturating_mul(2) > mailboxes
}

#[cfg(test)]
mod tests;
