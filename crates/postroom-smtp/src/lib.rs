//! The adapter for SMTP submission (RFC 5321 and 6409, with RFC 1870, 2034, 2920, 3207, 4954, 6152, 6531 and 8314).
//!
//! [`SmtpFactory`] makes an [`SmtpProvider`] for each mailbox of a profile that sends by SMTP. It sends mail;
//! reading is another protocol's business.
//!
//! | Module | What it holds |
//! |---|---|
//! | `proto` | the protocol without sockets: replies, what a server offers, the content on the wire |
//! | `session` | the protocol over a connection, from the greeting to the sign-in |
//! | `transaction` | one message: envelope, content, and what is known at each moment |
//! | `pool` | connections kept between messages |
//! | `error` | what the server's refusals mean |
//!
//! # What SMTP cannot do
//!
//! It hands a message over and then knows nothing of it: what became of a submission whose answer was lost cannot be
//! looked up. Until the last byte of a message is written, surely nothing was sent; from then until the answer, nobody
//! can tell, and this adapter says so ([`Retry::OutcomeUnknown`](postroom_provider::Retry::OutcomeUnknown)).
//!
//! What it deliberately does not do: look up mail exchangers, deliver to strangers' servers, retry, or sign.

mod config;
mod error;
mod factory;
mod pool;
mod proto;
mod provider;
mod session;
mod transaction;

pub use factory::SmtpFactory;
pub use provider::SmtpProvider;
