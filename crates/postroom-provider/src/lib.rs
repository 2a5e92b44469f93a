//! The traits that a mail system adapter implements.
//!
//! A [`Provider`] serves one mailbox. It says what it can do ([`Capabilities`]) and hands out its
//! families: a [`MailSource`] to read from, a [`MailSubmitter`] to send by, [`SentItems`] for the copies
//! of what somebody else sent. A [`ProviderFactory`]
//! makes providers; a [`ProviderRegistry`] knows the factories by name, ours and yours alike.
//!
//! | Module | What it holds |
//! |---|---|
//! | [`provider`] | the traits |
//! | [`capabilities`] | what a provider offers, options and limits |
//! | [`types`] | folders, changes, submissions |
//! | [`context`] | what every operation gets: clock, randomness, deadline, cancellation, spool |
//! | [`spool`] | large messages: memory up to a bound, files beyond, one budget for all |
//! | [`error`] | what failed, whether to try again, how far it reaches |
//! | [`registry`] | factories by name |
//! | [`combined`] | one provider in, another one out |
//! | [`decorate`] | providers around providers: connection limit, trace |
//!
//! What it deliberately does not do: speak a protocol, retry, or decide anything.

pub mod capabilities;
pub mod combined;
pub mod context;
pub mod decorate;
pub mod error;
pub mod provider;
pub mod registry;
pub mod spool;
pub mod types;

pub use capabilities::Capabilities;
pub use combined::CombinedFactory;
pub use context::{Clock, OpContext, Randomness};
pub use error::{ErrorKind, ProviderError, Result, Retry};
pub use provider::{MailSource, MailSubmitter, Provider, ProviderInfo, SentItems, Watcher};
pub use registry::{
    Credentials, ProbeOutcome, ProbeReport, ProbeStep, ProviderFactory, ProviderRegistry,
    ProviderRequest,
};
pub use spool::{Spool, SpoolWriter};
pub use types::*;
