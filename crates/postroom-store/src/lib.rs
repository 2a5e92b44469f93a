//! The storage traits: the engine's truth ([`Store`]) and the application's records ([`Crm`]).
//!
//! `Store` owns ledger, outbox, cursors, leases, alerts, decisions and the correlation index. `Crm`
//! owns the records. They are separate on purpose: a host that keeps its own records implements
//! `Crm` (four methods) and takes an embedded `Store`.
//!
//! Both speak the domain: no method shows SQL, a row number or a connection. Every method is one
//! unit of work: it happens as a whole and durably before it answers, or not at all.
//!
//! What it deliberately does not do: read a clock. Time is an argument wherever it matters.

pub mod crm;
mod directory;
pub mod error;
mod scope;
pub mod store;
pub mod types;

pub use crm::*;
pub use directory::Directory;
pub use error::{ErrorKind, Result, StoreError};
pub use scope::TransactionScope;
pub use store::{EngineClaim, Store};
pub use types::*;
