//! The engine on a mail server in memory and the embedded store, on one thread and simulated time.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

mod administration;
mod configuration;
mod connections;
mod crash;
mod crashes;
mod incoming;
mod many;
mod outgoing;
mod reports;
mod running;
mod testing;
mod trouble;
mod world;
