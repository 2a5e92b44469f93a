//! The protocol without sockets.

pub(crate) mod content;
pub(crate) mod offers;
pub(crate) mod reply;
pub(crate) mod sasl;
