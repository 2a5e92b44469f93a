//! Hostile bytes for everything that reads bytes.
//!
//! A [`target::Target`] takes any bytes and panics where a promise is broken: no panic below it, no
//! waiting for what never comes, no output out of proportion, and whatever else must hold for all
//! input. Two drivers feed the targets:
//!
//! | Driver | Where | Steered by |
//! |---|---|---|
//! | [`session::Session`] | `cargo test -p postroom-fuzz`, stable, deterministic | what the target observed |
//! | libFuzzer | `cargo bench --bench coverage`, with `--cfg fuzzing` | coverage |
//!
//! `cargo bench --bench growth` measures processor time against size on families of input that are
//! known to hurt parsers. docs/testing.md says how to run each for hours; ADR 0010 says why so.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::print_stderr,
    clippy::exhaustive_structs,
    reason = "test code: a panic is how a target says that a promise is broken"
)]

use anyhow as _; // With `toml`, for the configuration of the daemon, which is read here as it stands there.
use toml as _;

pub mod bytes;
pub mod family;
pub mod mutate;
pub mod random;
pub mod session;
pub mod target;
pub mod watch;
