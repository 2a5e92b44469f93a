//! An Exchange server: EWS over HTTP and HTTPS on top of the [model](crate::model).
//!
//! [`Exchange`] is the server. It can be called without a socket, by [`Exchange::handle`], which
//! neither waits nor reads a clock: what should take time or break is *said* in the
//! [`HttpResponse`], and whoever carries it acts on it. [`Exchange::listen`] is the carrier on
//! real sockets.
//!
//! Requests are checked against the schema of Exchange SE, and answers follow it. [`Fault`] lists
//! what can be made to go wrong.
//!
//! ```
//! use postroom_simulator::exchange::{Exchange, HttpRequest};
//! use postroom_simulator::model::Account;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let exchange = Exchange::builder().account(Account::new("desk@example.org").login("desk", "pw")).build()?;
//! let answer = exchange.handle(&HttpRequest::post("/EWS/Exchange.asmx", "<x/>").basic("desk", "wrong"));
//! assert_eq!(answer.status, 401);
//! # Ok(())
//! # }
//! ```
//!
//! What it deliberately does not do: expand recurring series, evaluate calendars, or send meeting
//! requests. Appointments, contacts and tasks are stored and given back as they came.

mod backdoor;
mod call;
mod capture;
mod code;
mod extended;
mod fault;
mod generic;
mod http;
mod ids;
mod input;
mod listen;
mod ops;
mod path;
mod permit;
mod render;
mod schema;
mod server;
mod shape;
mod soap;
pub(crate) mod tls;
mod value;
mod version;
mod xml;

pub use fault::{Fault, FaultId, FaultRule, Faults};
pub use http::{Cut, HttpRequest, HttpResponse, ResponseBody};
pub use listen::{Certificate, ListenError, ListenOptions, Listening};
pub use ops::EventStream;
pub use server::{Exchange, ExchangeBuilder};
pub use version::ServerVersion;

/// The path of the service.
pub const PATH: &str = "/EWS/Exchange.asmx";

#[cfg(test)]
mod tests;
