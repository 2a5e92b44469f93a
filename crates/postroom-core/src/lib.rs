//! The domain of Postroom: types and pure decisions, without I/O and without an async runtime.
//!
//! Everything here is a value or a function of values. Time, randomness and what the store or a
//! mail server knows come in as arguments, so that the same question always gets the same answer.
//!
//! | Module | What it holds |
//! |---|---|
//! | [`organization`], [`profile`], [`mailbox`] | what an administrator configures |
//! | [`settings`] | every setting with its type, range, default, scope and source |
//! | [`support`] | which configurations the reference supports, and what that means here |
//! | [`approval`], [`principal`], [`channel`] | who may do what, and over what |
//! | [`email`] | the email as the application sees it, [`raw`] the bytes it came from |
//! | [`party`] | whom an address resolves to |
//! | [`tracking`] | whether a message becomes a record, and which record it belongs to |
//! | [`ledger`], [`outbox`] | the two state machines that keep the promises |
//! | [`schedule`] | when a workload is due next |
//! | [`health`], [`catalogue`], [`alert`] | what goes wrong, whom it concerns, what to do |
//! | [`job`], [`connection`] | what tests found |
//!
//! What it deliberately does not do: open a socket, a file or a database, read a clock, or draw a
//! random number.

pub mod address;
pub mod alert;
pub mod approval;
pub mod audit;
pub mod catalogue;
pub mod channel;
pub mod connection;
pub mod email;
pub mod failure;
pub mod health;
pub mod id;
pub mod job;
pub mod ledger;
pub mod mailbox;
pub mod museum;
pub mod organization;
pub mod outbox;
pub mod party;
pub mod principal;
pub mod profile;
pub mod raw;
pub mod schedule;
pub mod secret;
pub mod settings;
pub mod support;
pub mod time;
pub mod tracking;

pub use address::{AddressError, EmailAddress, NamedAddress};
pub use catalogue::{Audience, Class, Code, Level, Scope};
pub use id::*;
pub use mailbox::{Mailbox, Workload};
pub use organization::Organization;
pub use profile::ServerProfile;
pub use raw::RawMessage;
pub use secret::Secret;
pub use time::Timestamp;
