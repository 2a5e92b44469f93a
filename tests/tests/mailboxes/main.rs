//! One mailbox, read by several protocols: the same records, and never a second one.
//!
//! | Variable | Meaning |
//! |---|---|
//! | `POSTROOM_CORPUS` | a folder of `.eml` files that a real Dovecot serves too, beside our own odd messages |
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests may fail the test, and say what was checked"
)]

mod corpus;
#[path = "../../servers/dovecot.rs"]
#[expect(dead_code, reason = "the suites use the rest")]
mod dovecot;
mod moved;
mod odd;
mod office;
