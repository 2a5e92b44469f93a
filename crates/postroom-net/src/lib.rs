//! How a connection is made and proves who it is.
//!
//! The adapters speak HTTP through one method, [`HttpTransport::send`], so that a simulation can
//! take its place. [`ReqwestTransport`] is the real one. Protocols of lines are spoken over the
//! connections that a [`line::Connector`] makes.
//!
//! | Module | What it holds |
//! |---|---|
//! | [`http`] | requests, answers and the transport trait |
//! | [`auth`] | how a request proves who asks |
//! | [`mod@line`] | connections for POP3, IMAP and SMTP |
//! | [`mod@dns`] | service records and mail exchangers |
//! | [`discovery`] | the servers of Internet mail for an address |
//! | [`error`] | why there is no answer |
//! | [`reqwest_transport`] | HTTP over TCP and TLS |
//! | [`mod@probe`] | reaching a server step by step |
//!
//! What it deliberately does not do: retry, follow redirects (but for discovery), keep cookies, or know what the bytes
//! mean.

pub mod auth;
pub mod discovery;
pub mod dns;
pub mod error;
pub mod http;
pub mod line;
pub mod probe;
pub mod reqwest_transport;

pub use auth::Authentication;
pub use error::{NetError, NetFailure};
pub use http::{BodyPart, ChunkSource, HttpRequest, HttpResponse, HttpTransport, ResponseBody};
pub use reqwest_transport::{ReqwestTransport, TransportSettings};
