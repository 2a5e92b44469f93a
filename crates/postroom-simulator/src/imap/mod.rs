//! An IMAP server on top of the [model](crate::model).
//!
//! [`ImapServer`] speaks to whoever connects: on real sockets by [`ImapServer::listen`], or without one by
//! [`ImapServer::connect`], which is also how it takes the network's place for an adapter
//! ([`Dialer`](postroom_net::line::Dialer)). [`ImapOffers`] says which parts of the protocol it has, and
//! [`ImapFault`] what can be made to go wrong.
//!
//! ```
//! use postroom_simulator::imap::{ImapFault, ImapFaultRule, ImapServer};
//! use postroom_simulator::model::{Account, MailSystem, ManualClock};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = ManualClock::at("2026-11-22T10:00:00Z".parse()?);
//! let mail = std::sync::Arc::new(MailSystem::new(clock, 1));
//! mail.add_account(Account::new("desk@example.org").login("desk", "pw"))?;
//! let server = ImapServer::new(mail)?;
//! server.offer(|offers| offers.qresync = false);
//! server.arm(ImapFaultRule::new(ImapFault::CloseBefore).on("UID FETCH").times(1));
//! # Ok(())
//! # }
//! ```
//!
//! A message's UID is the number of its arrival. Folders of mail are there, and no other ones. What it
//! deliberately does not do: parts of messages other than the header and the whole, and searches other than
//! by UID, header and mark of deletion.

mod act;
mod fault;
mod fetch;
mod folders;
mod line;
mod listen;
mod mailbox;
mod server;
mod session;
mod sign_in;

pub use fault::{ImapFault, ImapFaultRule};
pub use listen::ImapListening;
pub use mailbox::{uid, uid_validity};
pub use server::{ImapOffers, ImapServer};

#[cfg(test)]
mod tests;
