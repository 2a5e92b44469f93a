//! The protocol without sockets.

pub(crate) mod capa;
pub(crate) mod command;
pub(crate) mod content;
pub(crate) mod reply;
pub(crate) mod sign_in;
