//! The checks, by group.

pub(super) mod alerts;
pub(super) mod configuration;
pub(super) mod crm;
pub(super) mod index;
pub(super) mod joint;
pub(super) mod ledger;
pub(super) mod mailboxes;
pub(super) mod outbox;
pub(super) mod schedule;
pub(super) mod secrets;
