//! A mailbox that is open: what one session knows of it.

use std::sync::Arc;

use super::server::ImapServer;
use crate::model::{ChangeKind, FolderId, Item, ItemId, MailSystem};

/// The UIDVALIDITY of a folder: another one after [`MailSystem::invalidate_sync`].
#[must_use]
pub fn uid_validity(mail: &MailSystem, folder: FolderId) -> u32 {
    let epoch = mail.folder(folder).map_or(0, |folder| folder.epoch);
    let number = u32::try_from(folder.number()).unwrap_or(u32::MAX);
    number.saturating_mul(1000).saturating_add(epoch).max(1)
}

/// The UID of a message in its folder: another one after [`MailSystem::invalidate_sync`].
#[must_use]
pub fn uid(mail: &MailSystem, item: &Item) -> u32 {
    let epoch = mail.folder(item.folder).map_or(0, |folder| folder.epoch);
    let arrival = u32::try_from(item.arrival).unwrap_or(u32::MAX);
    arrival.saturating_add(epoch.saturating_mul(7))
}

/// What a session sees of a folder.
pub(super) struct Mailbox {
    pub(super) folder: FolderId,
    pub(super) writable: bool,
    /// Messages in their order, as far as the client was told.
    pub(super) view: Vec<(u32, ItemId)>,
}

impl Mailbox {
    pub(super) fn open(mail: &MailSystem, folder: FolderId, writable: bool) -> Self {
        Self {
            folder,
            writable,
            view: current(mail, folder),
        }
    }

    /// The UIDs of the view.
    pub(super) fn uids(&self) -> Vec<u32> {
        self.view.iter().map(|(uid, _)| *uid).collect()
    }

    /// The number of a message in the view, and its id.
    pub(super) fn find(&self, uid: u32) -> Option<(usize, ItemId)> {
        let at = self.view.binary_search_by_key(&uid, |(uid, _)| *uid).ok()?;
        self.view.get(at).map(|(_, id)| (at + 1, *id))
    }

    /// What a client is told when it may be told: what is gone, and what came.
    pub(super) fn news(&mut self, mail: &MailSystem, by_uid: bool) -> String {
        let now = current(mail, self.folder);
        let mut text = String::new();
        let gone: Vec<u32> = self
            .view
            .iter()
            .filter(|known| now.binary_search(known).is_err())
            .map(|(uid, _)| *uid)
            .collect();
        if by_uid && !gone.is_empty() {
            text.push_str(&format!("* VANISHED {}\r\n", super::line::runs(&gone)));
        }
        for uid in gone {
            if let Ok(at) = self.view.binary_search_by_key(&uid, |(uid, _)| *uid) {
                if !by_uid {
                    text.push_str(&format!("* {} EXPUNGE\r\n", at + 1));
                }
                self.view.remove(at);
            }
        }
        if now.len() != self.view.len() {
            text.push_str(&format!("* {} EXISTS\r\n", now.len()));
        }
        self.view = now;
        text
    }
}

fn current(mail: &MailSystem, folder: FolderId) -> Vec<(u32, ItemId)> {
    let items = mail.items(folder).into_iter();
    let visible = items.filter(|item| !item.hidden);
    let mut view: Vec<(u32, ItemId)> = visible.map(|item| (uid(mail, &item), item.id)).collect();
    view.sort_unstable();
    view
}

/// What changed and what vanished since a state: VANISHED names every UID that is not there, as servers do
/// that remember no single ones.
pub(super) fn since(
    server: &ImapServer,
    mailbox: &Mailbox,
    mod_sequence: u64,
    next: u32,
) -> String {
    let mail = server.mail();
    let Ok(page) = mail.item_changes(mailbox.folder, mod_sequence, usize::MAX) else {
        return String::new();
    };
    let mut text = String::new();
    if page
        .changes
        .iter()
        .any(|change| change.kind == ChangeKind::Deleted)
    {
        let there = mailbox.uids();
        let gone = (1..next).filter(|uid| there.binary_search(uid).is_err());
        let gone: Vec<u32> = gone.collect();
        if !gone.is_empty() {
            text.push_str(&format!(
                "* VANISHED (EARLIER) {}\r\n",
                super::line::runs(&gone)
            ));
        }
    }
    for change in page.changes {
        let found = mail
            .item(change.id)
            .ok()
            .filter(|_| change.kind != ChangeKind::Deleted);
        let found = found.and_then(|item| {
            let (number, _) = mailbox.find(uid(mail, &item))?;
            Some((number, item))
        });
        if let Some((number, item)) = found {
            let flags = flags(server, &item);
            let uid = uid(mail, &item);
            text.push_str(&format!(
                "* {number} FETCH (UID {uid} FLAGS ({flags}) MODSEQ ({}))\r\n",
                item.change
            ));
        }
    }
    text
}

/// The flags of a message.
pub(super) fn flags(server: &ImapServer, item: &Arc<Item>) -> String {
    let flags = [
        ("\\Seen", item.read),
        ("\\Draft", item.draft),
        ("\\Deleted", server.is_marked(item.id)),
    ];
    let set = flags.into_iter().filter(|(_, set)| *set);
    set.map(|(flag, _)| flag).collect::<Vec<_>>().join(" ")
}
