//! What every operation gets: clock, randomness, deadline, cancellation, spool.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use postroom_core::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::error::{ErrorKind, ProviderError, Result};
use crate::spool::Spool;

/// Where time comes from.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Waits that long.
    async fn sleep(&self, duration: Duration);
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl SystemClock {
    /// The clock of the machine.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::EPOCH.plus(since)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Where randomness comes from: ids, keys, jitter.
pub trait Randomness: fmt::Debug + Send + Sync + 'static {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// The randomness of the operating system.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemRandomness;

impl SystemRandomness {
    /// The randomness of the operating system.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Randomness for SystemRandomness {
    #[expect(
        clippy::expect_used,
        reason = "an operating system without randomness cannot make ids; going on would repeat them"
    )]
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the operating system gives randomness");
    }
}

impl dyn Randomness {
    /// Sixteen random bytes: an id.
    #[must_use]
    pub fn bytes16(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        bytes
    }

    /// A random number.
    #[must_use]
    pub fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// What every operation gets. Cheap to clone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpContext {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The randomness.
    pub randomness: Arc<dyn Randomness>,
    /// Where large messages go.
    pub spool: Spool,
    /// The operation must answer by then.
    pub deadline: Option<Timestamp>,
    /// Set when the caller has given up.
    pub cancellation: CancellationToken,
}

impl OpContext {
    /// A context without deadline.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, randomness: Arc<dyn Randomness>, spool: Spool) -> Self {
        Self {
            clock,
            randomness,
            spool,
            deadline: None,
            cancellation: CancellationToken::new(),
        }
    }

    /// The machine's clock and randomness, a spool in the system's temporary folder.
    ///
    /// # Errors
    /// Where no temporary folder can be used.
    pub fn system() -> std::io::Result<Self> {
        Ok(Self::new(
            Arc::new(SystemClock),
            Arc::new(SystemRandomness),
            Spool::in_temporary_folder()?,
        ))
    }

    /// The same with a deadline that far from now.
    #[must_use]
    pub fn within(&self, duration: Duration) -> Self {
        Self {
            deadline: Some(self.clock.now().plus(duration)),
            ..self.clone()
        }
    }

    /// The same with another cancellation.
    #[must_use]
    pub fn with_cancellation(&self, cancellation: CancellationToken) -> Self {
        Self {
            cancellation,
            ..self.clone()
        }
    }

    /// How long there is left; `None` without deadline.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline
            .map(|deadline| deadline.since(self.clock.now()))
    }

    /// Runs a future until it is done, cancelled or past the deadline; does not begin it where it is
    /// too late already.
    ///
    /// # Errors
    /// `Cancelled` or `Timeout`; the future's own otherwise.
    pub async fn bounded<T, F>(&self, operation: &'static str, future: F) -> Result<T>
    where
        T: Send,
        F: Future<Output = Result<T>> + Send,
    {
        let late = || {
            let code = postroom_core::Code::ConnectionTimedOut;
            Err(ProviderError::new(ErrorKind::Timeout, code, operation))
        };
        if self.remaining() == Some(Duration::ZERO) && !self.cancellation.is_cancelled() {
            return late();
        }
        let timeout = async {
            match self.remaining() {
                Some(left) => self.clock.sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.cancellation.cancelled() => Err(ProviderError::cancelled(operation)),
            result = future => result,
            () = timeout => late(),
        }
    }
}
