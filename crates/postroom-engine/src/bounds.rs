//! How much the engine does at once.

use std::time::Duration;

/// How much the engine does at once. Every loop, queue and page has its bound here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// Workloads that run at the same time, over all profiles (64).
    pub active: usize,
    /// Test & Enable jobs that run at the same time (32), half of them of one profile at most. Each
    /// waits for connections of its profile like a cycle.
    pub jobs: usize,
    /// Due workloads that are looked at for one round of scheduling (4,096).
    pub due_window: u32,
    /// The store is asked for changes made elsewhere at most this often (1 s).
    pub poll: Duration,
    /// Changes asked for in one page of a folder (512).
    pub page: u32,
    /// Messages that are decided about and committed together (500). A server that takes fewer at
    /// once is asked several times.
    pub batch: usize,
    /// Bytes of one batch, by the sizes that listings tell (8 MiB); one larger message goes alone.
    pub batch_bytes: u64,
    /// Messages that are listed before they are worked on, so that they can be put in the order in
    /// which they were received (4,000). While they are worked on, as many more are listed.
    pub listed_together: u64,
    /// Messages that one incoming cycle works on before others get their turn (20,000).
    pub messages_per_cycle: u64,
    /// How long one incoming cycle works on messages before others get their turn (30 s). What was
    /// listed together is brought to its end. Where the clock stands still, the number of messages
    /// above and that of pages (2,000) end the turn.
    pub turn: Duration,
    /// Emails that one outgoing cycle sends before others get their turn (100).
    pub sends_per_cycle: u32,
    /// Emails taken over from the application at once (100).
    pub feed: u32,
    /// Providers that are kept for the next cycle (2,000).
    pub providers: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            active: 64,
            jobs: 32,
            due_window: 4096,
            poll: Duration::from_secs(1),
            page: 512,
            batch: 500,
            batch_bytes: 8 * 1024 * 1024,
            listed_together: 4000,
            messages_per_cycle: 20_000,
            turn: Duration::from_secs(30),
            sends_per_cycle: 100,
            feed: 100,
            providers: 2000,
        }
    }
}
