//! A POP3 server on top of the [model](crate::model): an account's Inbox is its maildrop.
//!
//! [`Pop3Server`] speaks to whoever connects: on real sockets by [`Pop3Server::listen`], or without one by
//! [`Pop3Server::connect`], which is also how it takes the network's place for an adapter
//! ([`Dialer`](postroom_net::line::Dialer)). [`Pop3Offers`] says which parts of the protocol it has, and
//! [`Pop3Fault`] what can be made to go wrong.
//!
//! ```
//! use postroom_simulator::model::{Account, MailSystem, ManualClock};
//! use postroom_simulator::pop3::{Pop3Fault, Pop3FaultRule, Pop3Server};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = ManualClock::at("2026-11-22T10:00:00Z".parse()?);
//! let mail = std::sync::Arc::new(MailSystem::new(clock, 1));
//! mail.add_account(Account::new("desk@example.org").login("desk", "pw"))?;
//! let server = Pop3Server::new(mail)?;
//! server.arm(Pop3FaultRule::new(Pop3Fault::CloseBefore).on("RETR").times(1));
//! # Ok(())
//! # }
//! ```
//!
//! What it deliberately does not do: take mail in, or keep anything of its own; a message that is deleted
//! is gone.

mod fault;
mod listen;
mod server;
mod session;

pub use fault::{Pop3Fault, Pop3FaultRule};
pub use listen::Pop3Listening;
pub use server::{Pop3Offers, Pop3Server, uidl};

#[cfg(test)]
mod tests;
