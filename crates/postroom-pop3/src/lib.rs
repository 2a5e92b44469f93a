//! The adapter for POP3 (RFC 1939, with RFC 2449, 2595, 3206, 5034 and 8314).
//!
//! [`Pop3Factory`] makes a [`Pop3Provider`] for each mailbox of a profile of the kind `pop3-smtp`. It reads
//! mail; sending is another protocol's business.
//!
//! | Module | What it holds |
//! |---|---|
//! | `proto` | the protocol without sockets: commands, replies, the sign-in, dot-stuffing |
//! | `session` | the protocol over a connection, with as many requests in flight as the server takes |
//! | `listing`, `cursor` | which messages there are, and which of them were told |
//! | [`quirk`] | what odd servers do, and what is done about it |
//! | `source` | the operations of a mail source |
//!
//! # What POP3 cannot do
//!
//! It knows one folder, the inbox. A session sees the mailbox as it was when the session began and, on most
//! servers, keeps everybody else out of it: a session is kept while messages are read and given up by
//! [`MailSource::release`](postroom_provider::MailSource::release). What was deleted elsewhere is merely
//! missing; nothing can be moved; a message is marked in no way. When a message was received is read from
//! its topmost Received field.
//!
//! What it deliberately does not do: retry, keep a connection open between polls, or delete anything that it
//! is not told to delete.

mod config;
mod cursor;
mod error;
mod factory;
mod listing;
mod map;
mod proto;
mod provider;
pub mod quirk;
mod session;
mod source;

pub use factory::Pop3Factory;
pub use provider::Pop3Provider;
pub use quirk::Quirk;
