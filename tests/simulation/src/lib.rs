//! The whole engine in a deterministic simulation, and an oracle that watches its promises.
//!
//! A run is data: [`action::Scenario`], made of a seed by [`generate::generate`] or read from a
//! file. [`drive::drive`] carries it out on one thread, on simulated time, without sockets: the real
//! engine, the real planners, the real store on a real file, simulated servers. The world writes down
//! what it did ([`history`]); the [`oracle`] compares that with what can be observed.
//!
//! The same scenario gives the same run, line by line: [`trace::Trace::hash`] tells.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::print_stderr,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "test code: a simulation that is broken itself may end with a panic; nobody depends on it"
)]

pub mod action;
pub mod clock;
pub mod crash_points;
pub mod crash_scenarios;
pub mod drive;
pub mod establish;
pub mod failures;
pub mod fault;
pub mod generate;
pub mod history;
pub mod log;
#[cfg(postroom_museum)]
pub mod museum;
pub mod office;
pub mod oracle;
pub mod people;
pub mod post;
pub mod randomness;
pub mod report;
pub mod run_many;
pub mod servers;
pub mod setup;
pub mod shrink;
pub mod simplify;
pub mod speed;
pub mod storage;
pub mod trace;
pub mod world;
