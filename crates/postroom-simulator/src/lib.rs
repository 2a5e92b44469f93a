//! Servers to test against, in one process and without a network.
//!
//! | Module | What it holds |
//! |---|---|
//! | [`memory`] | a provider without a protocol, straight on the mailboxes |
//! | [`model`] | the mailboxes behind every server, and a back door to them for tests |

pub mod memory;
pub mod model;
