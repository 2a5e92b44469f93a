//! The suites that every provider and every store must pass.
//!
//! They are public so that whoever writes an adapter of their own can hold it against the same
//! promises as ours: as tests, one for each check, or by a call that answers a report.
//!
//! | Module | What it holds |
//! |---|---|
//! | [`provider`] | the suite for providers: [`provider_conformance!`] and [`provider::run_all`] |
//! | [`store`] | the suite for stores: [`store_conformance!`] and [`store::run_all`] |
//! | [`check`], [`report`] | what a check is made of, what came of them |
//!
//! What it deliberately does not do: know any adapter, or test one without being told how to bring
//! things about on its server (a [`provider::Fixture`]).

pub mod check;
pub mod provider;
pub mod report;
pub mod store;

pub use check::Outcome;
pub use report::Report;
