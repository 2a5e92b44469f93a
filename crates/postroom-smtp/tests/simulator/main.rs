//! The adapter against a simulated server, good and bad.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

mod failing;
mod sending;
mod support;
