//! IMAP without sockets.

pub(crate) mod capability;
pub(crate) mod command;
pub(crate) mod response;
pub(crate) mod uid_set;
pub(crate) mod utf7;
