//! Servers to test against, in one process and without a network.
//!
//! | Module | What it holds |
//! |---|---|
//! | [`model`] | the mailboxes behind every server, and a back door to them for tests |
//! | [`exchange`] | an Exchange server speaking EWS |
//! | [`imap`] | an IMAP server |
//! | [`pop3`] | a POP3 server |
//! | [`smtp`] | an SMTP server |
//! | [`memory`] | a provider without a protocol, straight on the mailboxes |

pub mod exchange;
pub mod imap;
pub mod memory;
pub mod model;
pub mod pop3;
pub mod smtp;
