//! The commands, one file per noun.

pub(crate) mod alert;
pub(crate) mod apply;
pub(crate) mod approve;
pub(crate) mod connection;
pub(crate) mod email;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod init;
pub(crate) mod job;
pub(crate) mod key;
pub(crate) mod mailbox;
pub(crate) mod organization;
pub(crate) mod party;
pub(crate) mod profile;
pub(crate) mod run;
pub(crate) mod selection;
pub(crate) mod shell;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod support;
pub(crate) mod sync;
pub(crate) mod test;
