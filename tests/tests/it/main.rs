//! One binary for everything that looks at the project from outside.
//!
//! | Module | What it holds |
//! |---|---|
//! | [`sending`] | sending where one protocol reads and another one sends |
//! | [`tidy`] | the project keeps its own rules: arrows, manifests, documents |

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests: a failure is a failed test"
)]

mod sending;
mod tidy;
