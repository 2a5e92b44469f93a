//! A provider without a protocol: the traits of `postroom-provider` straight on the mailbox model.
//!
//! A [`MemoryServer`] stands for the mail server: it holds a [`MailSystem`](crate::model::MailSystem),
//! counts requests, and misbehaves on demand ([`MemoryFault`]). It hands out providers, one for each
//! mailbox; [`MemoryFactory`] does so by profile, under the name `memory`.
//!
//! * The clock, the deadline and the cancellation are those of the
//!   [`OpContext`](postroom_provider::OpContext); nothing else waits. With a [`SharedClock`] the
//!   mailboxes read the same clock, so that a simulation is deterministic.
//! * Faults are what real servers do. A [`Defect`] is what a wrong adapter does: each one breaks a
//!   promise of the traits and exists so that the conformance suite can be seen to notice.
//!
//! ```
//! use std::sync::Arc;
//! use postroom_provider::{OpContext, PageLimit, WellKnownFolder};
//! use postroom_simulator::memory::MemoryServer;
//! use postroom_simulator::model::{Account, MailSystem, SystemClock};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mail = Arc::new(MailSystem::new(Arc::new(SystemClock), 7));
//! mail.add_account(Account::new("desk@example.org"))?;
//! mail.deliver(&b"From: jo@example.net\r\nSubject: Hello\r\n\r\nHi.\r\n"[..], &["desk@example.org"]);
//!
//! let provider = MemoryServer::new(mail).provider("desk@example.org").ok_or("no such mailbox")?;
//! let (source, ctx) = (provider.mail().ok_or("no mail")?, OpContext::system()?);
//! let inbox = source.find_folder(&ctx, WellKnownFolder::Inbox).await?;
//! let page = source.changes(&ctx, &inbox, None, PageLimit::new(10)).await?;
//! assert_eq!(page.changes.len(), 1);
//! # Ok(())
//! # }
//! ```

mod clock;
mod cursor;
mod defect;
mod defective;
mod factory;
mod fault;
mod headers;
mod ids;
mod provider;
mod server;
mod source;
mod submitter;

pub use clock::SharedClock;
pub use defect::Defect;
pub use factory::MemoryFactory;
pub use fault::{FaultEffect, MemoryFault, MemoryFaultId};
pub use ids::{folder_id, item_id, model_folder_id, remote_id};
pub use provider::MemoryProvider;
pub use server::MemoryServer;

#[cfg(test)]
mod tests;
