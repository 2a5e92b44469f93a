//! Servers to test against, in one process and without a network.
//!
//! | Module | What it holds |
//! |---|---|
//! | [`model`] | the mailboxes behind every server, and a back door to them for tests |

pub mod model;
