//! The whole engine in a deterministic simulation, and an oracle that watches its promises.

pub mod fault;
pub mod history;
pub mod oracle;
pub mod trace;
