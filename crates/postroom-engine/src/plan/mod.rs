//! Decisions: pure functions of values. What they decide, `run` carries out.

pub(crate) mod alerts;
pub(crate) mod authorize;
pub(crate) mod edit;
pub(crate) mod failure;
pub(crate) mod incoming;
pub(crate) mod outgoing;
pub(crate) mod pick;
