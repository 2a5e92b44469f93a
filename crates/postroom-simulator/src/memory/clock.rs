//! One clock for the mailboxes and for whoever works on them.

use std::sync::Arc;

use postroom_core::Timestamp;

use crate::model::Clock;

/// Lets the mailbox model read the clock of the operations.
#[derive(Clone, Debug)]
pub struct SharedClock(Arc<dyn postroom_provider::Clock>);

impl SharedClock {
    /// Reads that clock.
    #[must_use]
    pub fn new(clock: Arc<dyn postroom_provider::Clock>) -> Self {
        Self(clock)
    }
}

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}
