//! The engine: pure plans and the effects that carry them out.
//!
//! | Item | What it is |
//! |---|---|
//! | [`Engine`] | runs everything that is due until told to stop; [`Engine::step`] does it once |
//! | [`Admin`] | everything that an administrator can do, with or without a running engine |
//! | [`declaration`] | an organization as one declaration: export, the difference, apply |
//! | [`MailboxEdit`] | a change of one mailbox or many |
//! | [`EngineError`] | what failed, its code in the catalogue, and what to do about it |
//!
//! Inside, `plan` decides (values in, values out) and `run` does, one file for each workload in
//! both. The order of effects is what keeps the promises:
//! - incoming: intents are stored with the cursor, records are written by key, outcomes last;
//! - outgoing: every state is stored before the step that it announces.
//!
//! What it deliberately does not do: know a protocol, a database, the time of day or a random
//! number; all of them are given to [`Engine::builder`].

mod admin;
mod bounds;
mod engine;
mod environment;
mod error;
mod plan;
mod run;

pub use admin::declaration;
pub use admin::{
    Admin, AfterDefaults, BulkOutcome, Counts, Explanation, ExplanationKind, MailboxDetails,
    MailboxFindings, MailboxOverview, NewMailbox, OutgoingDecision, Overview, ProfileDirection,
    SavedProfile, SupportReport, WorkloadOverview,
};
pub use bounds::Bounds;
pub use engine::{Engine, EngineBuilder, EngineHandle, StepReport};
pub use error::{AdminError, EngineError, ErrorKind, Result};
pub use plan::edit::MailboxEdit;
