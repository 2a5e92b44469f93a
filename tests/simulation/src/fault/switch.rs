//! What stops a process: it dies, or it is frozen for a while.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use postroom_core::Timestamp;
use postroom_provider::Clock;
use tokio::sync::{Notify, watch};

use crate::storage::Lengths;

/// How a process died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Crash {
    /// What the operating system was given stays.
    Plain,
    /// The machine lost power within a call: of what the call wrote any first part may be there.
    Torn {
        /// The files before the call.
        before: Lengths,
        /// The files after it.
        after: Lengths,
    },
}

/// Kills one process: once tripped, no decorated call of it has an effect or an answer any more.
#[derive(Clone, Default)]
pub struct CrashSwitch(Arc<Switch>);

#[derive(Default)]
struct Switch {
    crash: Mutex<Option<Crash>>,
    tripped: Notify,
}

impl CrashSwitch {
    /// Kills the process; the first crash counts.
    pub fn trip(&self, crash: Crash) {
        let mut known = self.0.crash.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert(crash);
        drop(known);
        self.0.tripped.notify_waiters();
    }

    /// Whether the process is dead.
    #[must_use]
    pub fn tripped(&self) -> bool {
        self.crash().is_some()
    }

    /// How it died.
    #[must_use]
    pub fn crash(&self) -> Option<Crash> {
        let crash = self.0.crash.lock();
        crash.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it dies.
    pub async fn wait(&self) -> Crash {
        loop {
            let tripped = self.0.tripped.notified();
            if let Some(crash) = self.crash() {
                return crash;
            }
            tripped.await;
        }
    }

    /// Goes on where the process lives; never comes back where it is dead.
    pub(super) async fn alive(&self) {
        let dead = {
            let crash = self.0.crash.lock();
            crash.unwrap_or_else(PoisonError::into_inner).is_some()
        };
        if dead {
            std::future::pending::<()>().await;
        }
    }
}

impl fmt::Debug for CrashSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CrashSwitch").field(&self.crash()).finish()
    }
}

/// Freezes one process, as a suspended virtual machine is: nothing in it goes on, no timer of it
/// fires, and when it is thawed it knows of nothing.
#[derive(Clone, Debug)]
pub struct Freezer(Arc<watch::Sender<bool>>);

impl Default for Freezer {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Freezer {
    /// Freezes it.
    pub fn freeze(&self) {
        self.0.send_replace(true);
    }

    /// Thaws it.
    pub fn thaw(&self) {
        self.0.send_replace(false);
    }

    /// Whether it is frozen.
    #[must_use]
    pub fn frozen(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits while it is frozen; answers how long that was.
    pub async fn pass(&self) -> Duration {
        if !self.frozen() {
            return Duration::ZERO;
        }
        let since = tokio::time::Instant::now();
        let mut frozen = self.0.subscribe();
        // Cannot fail: the sender is here.
        let _ = frozen.wait_for(|frozen| !frozen).await;
        since.elapsed()
    }
}

/// The clock of a process that can be frozen: its timers wait with it.
#[derive(Debug)]
pub struct FreezableClock {
    inner: Arc<dyn Clock>,
    freezer: Freezer,
}

impl FreezableClock {
    /// The clock of a process.
    #[must_use]
    pub fn new(inner: Arc<dyn Clock>, freezer: Freezer) -> Self {
        Self { inner, freezer }
    }
}

#[async_trait]
impl Clock for FreezableClock {
    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.inner.sleep(duration).await;
        self.freezer.pass().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_dead_process_goes_no_further() {
        let switch = CrashSwitch::default();
        switch.alive().await;
        assert!(!switch.tripped());
        let waiter = tokio::spawn({
            let switch = switch.clone();
            async move { switch.wait().await }
        });
        tokio::task::yield_now().await;
        switch.trip(Crash::Plain);
        assert_eq!(waiter.await.unwrap(), Crash::Plain);
        assert_eq!(switch.wait().await, Crash::Plain);
        let late = tokio::time::timeout(Duration::from_secs(3600), switch.alive()).await;
        assert!(late.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_frozen_process_waits_with_its_timers() {
        let freezer = Freezer::default();
        assert_eq!(freezer.pass().await, Duration::ZERO);
        let inner: Arc<dyn Clock> = Arc::new(postroom_provider::context::SystemClock::new());
        let clock = FreezableClock::new(inner, freezer.clone());
        freezer.freeze();
        let begin = tokio::time::Instant::now();
        let sleeper = tokio::spawn(async move {
            clock.sleep(Duration::from_secs(1)).await;
            begin.elapsed()
        });
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(freezer.frozen());
        freezer.thaw();
        assert_eq!(sleeper.await.unwrap(), Duration::from_secs(600));
    }
}
