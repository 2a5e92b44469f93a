//! What a simulated organization looks like before anything happens.

use postroom_core::tracking::TrackingFilter;
use serde::{Deserialize, Serialize};

/// How a profile reaches its mail system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// The adapter for Exchange Web Services, over the simulated Exchange server, without a socket.
    Ews,
    /// The provider of the simulator that calls the mailbox model directly.
    Memory,
}

/// Whose credentials a profile uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Account {
    /// One service account that impersonates every mailbox.
    Service,
    /// Each mailbox its own.
    Own,
}

/// A server profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileSetup {
    /// How it reaches the system.
    pub protocol: Protocol,
    /// Which mail system.
    pub system: usize,
    /// Who signs in.
    pub account: Account,
    /// The shortest polling interval.
    pub polling_minutes: u64,
    /// Simultaneous connections.
    pub connections: u16,
    /// Whether what could not be recorded moves to Undeliverable.
    pub move_undelivered: bool,
}

/// A mailbox of a user or a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxSetup {
    /// Whether it is a queue's.
    pub queue: bool,
    /// Its profile, by position.
    pub profile: usize,
    /// What is tracked.
    pub filter: TrackingFilter,
    /// Whether recorded messages are deleted from the server (queues only).
    pub delete_after_processing: bool,
}

/// Somebody outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Contact {
    /// A contact of the CRM.
    Contact,
    /// A lead.
    Lead,
    /// Nobody that the CRM knows.
    Unknown,
}

/// A simulated organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// How many mail systems there are.
    pub systems: usize,
    /// The profiles.
    pub profiles: Vec<ProfileSetup>,
    /// The mailboxes.
    pub mailboxes: Vec<MailboxSetup>,
    /// The people outside.
    pub contacts: Vec<Contact>,
}

impl Setup {
    /// The host name of a mail system.
    #[must_use]
    pub fn host(system: usize) -> String {
        format!("s{system}.example")
    }

    /// The address of a mailbox.
    #[must_use]
    pub fn address(&self, mailbox: usize) -> String {
        let system = self.system_of(mailbox);
        format!("box{mailbox}@{}", Self::host(system))
    }

    /// Another address of the same mailbox.
    #[must_use]
    pub fn alias(&self, mailbox: usize) -> String {
        let system = self.system_of(mailbox);
        format!("alias{mailbox}@{}", Self::host(system))
    }

    /// The mail system on which a mailbox lies.
    #[must_use]
    pub fn system_of(&self, mailbox: usize) -> usize {
        self.profiles[self.mailboxes[mailbox].profile].system
    }

    /// The address of somebody outside.
    #[must_use]
    pub fn outsider(contact: usize) -> String {
        format!("c{contact}@outside.example")
    }

    /// The login of a profile's service account.
    #[must_use]
    pub fn service(&self, profile: usize) -> String {
        format!(
            "service{profile}@{}",
            Self::host(self.profiles[profile].system)
        )
    }
}
