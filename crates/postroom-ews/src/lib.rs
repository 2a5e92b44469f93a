//! The Exchange Web Services adapter: mail.
//!
//! [`EwsFactory`] makes an [`EwsProvider`] for a mailbox. Inside:
//!
//! | Module | What it holds |
//! |---|---|
//! | `config` | what a profile means: location, access, authentication |
//! | `client` | one request and its answer, version negotiation |
//! | `soap`, `xml` | the envelope, and elements to write and read |
//! | `clean` | answers made fit for a parser while they arrive, contents cut out |
//! | `ops` | the operations as pure functions |
//! | `map` | from EWS properties to the domain |
//! | `batch` | one outcome per item, whatever the server makes of a batch |
//! | `source`, `submit` | reading and sending |
//! | `error`, `http_status` | what refusals mean |
//!
//! What it deliberately does not do: retry, wait, keep a mailbox's state, find servers
//! (autodiscover), or speak NTLM, Negotiate and OAuth.

mod batch;
mod clean;
mod client;
mod config;
mod cursor;
mod echo;
mod error;
mod factory;
mod http_status;
mod map;
mod ops;
mod provider;
mod soap;
mod source;
mod submit;
mod version;
mod xml;

pub use factory::EwsFactory;
pub use provider::EwsProvider;
