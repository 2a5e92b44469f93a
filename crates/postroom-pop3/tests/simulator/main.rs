//! POP3 against the simulated server: odd servers, bad servers, and what is kept free for others.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may fail the test"
)]

mod deleting;
mod failing;
mod quirks;
mod sessions;
mod support;
