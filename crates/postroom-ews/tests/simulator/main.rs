//! The adapter against the simulated Exchange, over real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has failed"
)]

mod connecting;
mod failing;
mod reading;
mod sending;
mod support;
