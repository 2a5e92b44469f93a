//! The adapter for IMAP (RFC 3501 and 9051, with RFC 2177, 4315, 4959, 5161, 5530, 6154, 6851, 7162, 7628,
//! 7888 and 8314).
//!
//! [`ImapFactory`] makes an [`ImapProvider`] for each mailbox of a profile of the kind `imap-smtp`. It reads
//! mail, and finds and files the copies of what was sent; sending is another protocol's business.
//!
//! | Module | What it holds |
//! |---|---|
//! | `proto` | the protocol without sockets: commands, responses, sets of UIDs, names of mailboxes |
//! | `session` | the protocol over a connection: the sign-in, bounded responses, messages that are handed on while they come |
//! | `cursor` | how far a folder was told |
//! | `folders` | which folders there are, and what they are for |
//! | `source` | the operations of a mail source |
//! | `watch` | hearing of changes: IDLE |
//! | `sent` | the copies of what was sent: found, and filed |
//!
//! # What servers have, and what is made of it
//!
//! | Extension | With it | Without it |
//! |---|---|---|
//! | none at all | a poll that finds the number of messages and the next UID unchanged lists nothing | |
//! | QRESYNC | the server tells which messages vanished | after a deletion, all UIDs are listed and compared |
//! | MOVE, UIDPLUS | messages are moved, and their new ids told | copied and expunged by UID; with neither, nothing is moved or deleted while others have marked messages as deleted |
//! | SPECIAL-USE | folders have their roles from the server | by well-known names |
//!
//! What it deliberately does not do: retry, mark anything as read, expunge what others marked as deleted, or
//! tell changes of flags.

mod config;
mod cursor;
mod error;
mod factory;
mod folders;
mod map;
mod proto;
mod provider;
mod sent;
mod session;
mod source;
mod watch;

pub use factory::ImapFactory;
pub use provider::ImapProvider;
