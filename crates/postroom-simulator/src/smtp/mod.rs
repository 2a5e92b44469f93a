//! An SMTP server on top of the [model](crate::model): what is submitted arrives in the accounts, or leaves for outside.
//!
//! [`SmtpServer`] speaks to whoever connects: on real sockets by [`SmtpServer::listen`], or without one by
//! [`SmtpServer::connect`], which is also how it takes the network's place for an adapter
//! ([`Dialer`](postroom_net::line::Dialer)). [`SmtpOffers`] says which parts of the protocol it has, and [`SmtpFault`]
//! what can be made to go wrong.
//!
//! ```
//! use postroom_simulator::model::{Account, MailSystem, ManualClock};
//! use postroom_simulator::smtp::{SmtpFault, SmtpFaultRule, SmtpServer};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = ManualClock::at("2026-11-22T10:00:00Z".parse()?);
//! let mail = std::sync::Arc::new(MailSystem::new(clock, 1));
//! mail.add_account(Account::new("desk@example.org").login("desk", "pw"))?;
//! let server = SmtpServer::new(mail)?;
//! // The message is taken, and nobody hears of it.
//! server.arm(SmtpFaultRule::new(SmtpFault::LoseAnswer).on("CONTENT").times(1));
//! # Ok(())
//! # }
//! ```
//!
//! What it deliberately does not do: queue, try again, or relay anywhere.

mod fault;
mod listen;
mod server;
mod session;

pub use fault::{SmtpFault, SmtpFaultRule};
pub use listen::SmtpListening;
pub use server::{SmtpEnvelope, SmtpOffers, SmtpServer};

#[cfg(test)]
mod tests;
