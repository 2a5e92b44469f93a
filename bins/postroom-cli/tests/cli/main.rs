//! The built `postroom` binary, driven as people and scripts do.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

mod administration;
mod bad_input;
mod bad_mail;
mod canary;
mod consent;
mod declaration;
mod demo;
mod guide;
mod guides;
mod limits;
mod presets;
mod shapes;
mod shell;
mod support;
