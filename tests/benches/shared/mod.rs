//! What the benches share: messages, an engine that takes them, memory, a server and a first pull of it.
#![expect(dead_code, reason = "each bench uses its part")]

#[path = "../../servers/dovecot.rs"]
pub(crate) mod dovecot;
pub(crate) mod memory;
pub(crate) mod messages;
pub(crate) mod pull;
pub(crate) mod subject;
