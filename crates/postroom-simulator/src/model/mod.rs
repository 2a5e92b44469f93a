//! One mailbox model behind every simulated server.
//!
//! A [`MailSystem`] holds [`Account`]s, each with a tree of [`Folder`]s holding [`Item`]s. The
//! protocol servers (Exchange, later IMAP, POP3 and SMTP) and the memory provider are thin views
//! of it, so that a message that came in by one of them is seen by all.
//!
//! * Everything is synchronous behind one lock; no call waits for anything else.
//! * Time comes from a [`Clock`], identifiers from counters and a seeded generator: two systems
//!   with the same clock, seed and calls are equal.
//! * An [`ItemId`] names an item *in its folder*: a move or copy gives a new one. The search key
//!   stays the same. A change key grows with each save.
//! * A message is its MIME bytes. They are shared, never copied, however many copies of the
//!   message there are.
//! * Each folder keeps a log of changes numbered by a counter that never goes back, which is what
//!   a sync state, a MODSEQ or a notification is made of.
//!
//! ```
//! use postroom_simulator::model::{Account, MailSystem, ManualClock, WellKnown};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = ManualClock::at("2026-11-22T12:00:00Z".parse()?);
//! let mail = MailSystem::new(clock, 7);
//! let desk = mail.add_account(Account::new("desk@example.org").login("desk", "secret"))?;
//! mail.deliver(&b"From: jo@example.net\r\nSubject: Hello\r\n\r\nHi.\r\n"[..], &["desk@example.org"]);
//! let inbox = mail.well_known(desk, WellKnown::Inbox)?;
//! assert_eq!(mail.items(inbox)[0].summary().subject, "Hello");
//! # Ok(())
//! # }
//! ```

mod account;
mod backup;
mod changes;
mod clock;
mod edit;
mod error;
mod folder;
mod item;
mod message;
mod property;
mod random;
mod system;
mod transport;

pub use account::{Account, AccountId, AccountSpecError, Impersonation};
pub use backup::{Backup, Restored};
pub use changes::{Change, ChangeKind, Event, EventKind, LogPage};
pub use clock::{Clock, ManualClock, SystemClock};
pub use error::ModelError;
pub use folder::{Folder, FolderId, WellKnown};
pub use item::{Field, Item, ItemId, ItemKind, NewItem};
pub use message::{Address, Attachment, Body, MessageParts, Summary, compose, with_headers};
pub(crate) use message::{header_addresses, header_lines, header_text};
pub use property::{PropertyPath, PropertyValue};
pub use random::Random;
pub use system::{Disposal, MailSystem};
pub use transport::{OutsideMessage, Submission};

#[cfg(test)]
mod tests;
