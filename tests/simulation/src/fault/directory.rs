//! Who is who.

use std::sync::{Arc, Mutex, PoisonError};

use postroom_core::{MailboxId, ProfileId};

/// Mailboxes and profiles of a run by position, id and address. Clones are the same directory.
#[derive(Clone, Debug, Default)]
pub struct Directory(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    mailboxes: Vec<(MailboxId, Vec<String>)>,
    profiles: Vec<ProfileId>,
}

impl Directory {
    /// Adds the next mailbox, with every address that it may ever have.
    pub fn add_mailbox(&self, id: MailboxId, addresses: Vec<String>) {
        self.lock().mailboxes.push((id, addresses));
    }

    /// Adds the next profile.
    pub fn add_profile(&self, id: ProfileId) {
        self.lock().profiles.push(id);
    }

    /// The position of a mailbox.
    #[must_use]
    pub fn mailbox_index(&self, id: MailboxId) -> Option<usize> {
        let inner = self.lock();
        inner.mailboxes.iter().position(|(known, _)| *known == id)
    }

    /// The mailbox of an address, with its position.
    #[must_use]
    pub fn by_address(&self, address: &str) -> Option<(usize, MailboxId)> {
        let inner = self.lock();
        let mut mailboxes = inner.mailboxes.iter().enumerate();
        let owns = |addresses: &[String]| {
            let mut addresses = addresses.iter();
            addresses.any(|known| known.eq_ignore_ascii_case(address))
        };
        mailboxes
            .find(|(_, (_, addresses))| owns(addresses))
            .map(|(index, (id, _))| (index, *id))
    }

    /// The position of a profile.
    #[must_use]
    pub fn profile_index(&self, id: ProfileId) -> Option<usize> {
        self.lock().profiles.iter().position(|known| *known == id)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
