//! IMAP against the simulated server: bad servers, poor servers, and what is not disturbed.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may fail the test"
)]

mod failing;
mod independent;
mod listing;
mod moving;
mod reading;
mod sent;
mod support;
mod watching;
