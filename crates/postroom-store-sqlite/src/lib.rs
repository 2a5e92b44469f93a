//! The embedded store: the engine's truth and the application's records, in one SQLite file.
//!
//! | Part | What it does |
//! |---|---|
//! | [`SqliteStorage`], [`StorageOptions`] | make and open a store; one file, and segment files beside it |
//! | [`SqliteStore`] | [`postroom_store::Store`] |
//! | [`SqliteCrm`] | [`postroom_store::Crm`], and what hosts and the command line need beside it |
//! | [`KeySource`], [`create_key_file`] | the key that seals passwords |
//! | [`Executor`] | where the work is done: on threads of its own, or at once |
//!
//! Durability: a write is answered when the write-ahead log that it is in is on the disk, and one
//! wait for the disk serves all writes that wait for it. Raw messages go to append-only segment files, which are
//! synced before the rows that name them commit. Every method is one transaction.
//!
//! What it deliberately does not do: read a clock, or parse a message.

mod crm;
mod database;
mod decoded;
mod executor;
mod failure;
mod index;
mod log;
mod migrate;
mod seal;
mod segment;
mod sql;
mod storage;
mod store;

pub use crm::{
    EmailAttachment, EmailFilter, EmailStatus, EmailSummary, EmailView, GenericRecord, NewEmail,
    PartyFilter, PartyView, QueueItem, SqliteCrm,
};
pub use executor::{Executor, InlineExecutor, Job, Lane, ThreadExecutor};
pub use seal::{KeySource, begin_key_rotation, create_key_file, finish_key_rotation};
pub use storage::{SqliteStorage, StorageOptions};
pub use store::SqliteStore;
