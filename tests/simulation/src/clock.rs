//! Simulated time: tokio's paused clock, and a host whose clock may be wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use postroom_core::Timestamp;
use postroom_provider::Clock;
use tokio::time::Instant;

/// When every simulation begins: a Monday, 2026-09-21 08:00 UTC.
pub const BEGIN: Timestamp = Timestamp::from_millis(1_789_977_600_000);

/// The time as it really is in the simulated world: what servers, people and the history go by.
#[derive(Clone, Debug)]
pub struct TrueClock(Instant);

impl TrueClock {
    /// Begins now. Must be called within a runtime whose time is paused.
    #[must_use]
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// How long the world has been running.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        BEGIN.plus(self.elapsed())
    }
}

impl postroom_simulator::model::Clock for TrueClock {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }
}

/// The clock of the machine on which the engine runs: true time, and how wrong it is set.
#[derive(Clone, Debug)]
pub struct SimClock {
    time: TrueClock,
    skew_millis: Arc<AtomicI64>,
}

impl SimClock {
    /// A clock that is right.
    #[must_use]
    pub fn new(time: TrueClock) -> Self {
        Self {
            time,
            skew_millis: Arc::default(),
        }
    }

    /// Sets the clock wrong by so many milliseconds, forward or (negative) back.
    pub fn set_skew_millis(&self, millis: i64) {
        self.skew_millis.store(millis, Ordering::Relaxed);
    }

    /// How wrong it is set.
    #[must_use]
    pub fn skew_millis(&self) -> i64 {
        self.skew_millis.load(Ordering::Relaxed)
    }

    /// The time as it really is.
    #[must_use]
    pub const fn true_time(&self) -> &TrueClock {
        &self.time
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let now = self.time.now().as_millis();
        Timestamp::from_millis(now.saturating_add(self.skew_millis()))
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
