//! A server that is set back to an earlier day, and mailboxes that get new ids.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::account::AccountId;
use super::changes::{ChangeKind, Log};
use super::error::ModelError;
use super::folder::{FolderId, Place};
use super::item::{Item, ItemId};
use super::system::{MailSystem, Mailbox};

/// The contents of all mailboxes as they were at one moment. Messages are shared, not copied.
#[derive(Clone)]
pub struct Backup {
    number: u64,
    mailboxes: BTreeMap<AccountId, Mailbox>,
    folders: BTreeMap<FolderId, Place>,
    items: BTreeMap<ItemId, Arc<Item>>,
}

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backup")
            .field("number", &self.number)
            .field("items", &self.items.len())
            .finish_non_exhaustive()
    }
}

/// What a restored backup changed.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Restored {
    /// Items that are no longer there, as they were.
    pub vanished: Vec<Arc<Item>>,
    /// Items that are there again under their old ids.
    pub returned: Vec<Arc<Item>>,
}

impl MailSystem {
    /// What all mailboxes hold now.
    #[must_use]
    pub fn snapshot(&self) -> Backup {
        let state = self.lock();
        Backup {
            number: state.counter,
            mailboxes: state.mailboxes.clone(),
            folders: state.folders.clone(),
            items: state.items.clone(),
        }
    }

    /// Sets the contents of the mailboxes back, as the restoring of a backup does. Accounts keep
    /// their present settings, mail that left stays outside, accounts made since are kept.
    ///
    /// What came since vanishes and its ids are never given again; what was deleted, moved or
    /// changed since is back under its old id. A sync state from before the backup goes on; one
    /// from after it is invalid, whatever happens later ([`Self::remembers`]).
    pub fn restore(&self, backup: &Backup) -> Restored {
        self.change(|state, _| {
            let gone = |(id, item): (&ItemId, &Arc<Item>)| {
                let same = backup.items.get(id).map(|old| old.folder) == Some(item.folder);
                (!same).then(|| Arc::clone(item))
            };
            let back = |(id, item): (&ItemId, &Arc<Item>)| {
                let same = state.items.get(id).map(|now| now.folder) == Some(item.folder);
                (!same).then(|| Arc::clone(item))
            };
            let restored = Restored {
                vanished: state.items.iter().filter_map(gone).collect(),
                returned: backup.items.iter().filter_map(back).collect(),
            };
            let since: Vec<_> = state.mailboxes.keys().copied().collect();
            for account in since {
                let (Some(old), Ok(now)) =
                    (backup.mailboxes.get(&account), state.mailbox_mut(account))
                else {
                    continue;
                };
                let settings = Arc::clone(&now.account);
                let folders = std::mem::take(&mut now.folders);
                *now = Mailbox {
                    account: settings,
                    ..old.clone()
                };
                for id in folders {
                    if let Some(folder) = state.folders.remove(&id) {
                        for item in folder.items.values() {
                            state.items.remove(item);
                        }
                    }
                }
                state.touched.insert(account);
            }
            for (id, folder) in &backup.folders {
                state.folders.insert(*id, folder.clone());
            }
            for (id, item) in &backup.items {
                state.items.insert(*id, Arc::clone(item));
            }
            let now = state.next();
            state.forgotten.push((backup.number, now));
            // Accounts that were made since are not touched, and their sync states are forgotten.
            state.edition = state.edition.wrapping_add(1);
            restored
        })
    }

    /// Gives the items of an account other ids, and its own folders too where asked, and makes all
    /// its sync states invalid, as moving a mailbox to another server does.
    ///
    /// # Errors
    /// [`ModelError::NoAccount`].
    pub fn migrate(&self, account: AccountId, folders_too: bool) -> Result<(), ModelError> {
        self.change(|state, _| {
            let known: BTreeSet<FolderId> = state.mailbox_mut(account)?.folders.clone();
            let mut renamed: BTreeMap<FolderId, FolderId> = BTreeMap::new();
            for id in known {
                let new = if folders_too {
                    FolderId(state.next())
                } else {
                    id
                };
                renamed.insert(id, new);
            }
            let rename = |id: FolderId| renamed.get(&id).copied().unwrap_or(id);
            for (old, new) in &renamed {
                let Some(mut place) = state.folders.remove(old) else {
                    continue;
                };
                place.info.id = *new;
                place.info.parent = place.info.parent.map(rename);
                place.info.epoch = place.info.epoch.saturating_add(1);
                let mut log = Log::default();
                for (arrival, old) in std::mem::take(&mut place.items) {
                    let Some(item) = state.items.remove(&old) else {
                        continue;
                    };
                    let mut item = Arc::unwrap_or_clone(item);
                    item.id = ItemId(state.next());
                    item.folder = *new;
                    // The order of arrival stays; the log starts afresh.
                    item.arrival = arrival;
                    place.items.insert(arrival, item.id);
                    let number = state.next();
                    log.push(number, item.id, ChangeKind::Created);
                    state.items.insert(item.id, Arc::new(item));
                }
                place.log = log;
                state.folders.insert(*new, place);
            }
            let mut numbers = Vec::with_capacity(renamed.len());
            for new in renamed.values() {
                numbers.push((state.next(), *new));
            }
            let mailbox = state.mailbox_mut(account)?;
            mailbox.folders = mailbox.folders.iter().copied().map(rename).collect();
            for folder in mailbox.well_known.values_mut() {
                *folder = rename(*folder);
            }
            mailbox.folder_log = Log::default();
            for (number, id) in numbers {
                mailbox.folder_log.push(number, id, ChangeKind::Created);
            }
            state.touched.insert(account);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Account, Disposal, ManualClock, NewItem, WellKnown};
    use super::*;

    fn system() -> (MailSystem, AccountId, FolderId) {
        let mail = MailSystem::new(ManualClock::at("2026-11-22T12:00:00Z".parse().unwrap()), 1);
        let account = mail.add_account(Account::new("a@x.example")).unwrap();
        let inbox = mail.well_known(account, WellKnown::Inbox).unwrap();
        (mail, account, inbox)
    }

    fn add(mail: &MailSystem, folder: FolderId, subject: &str) -> Arc<Item> {
        let raw = format!("Subject: {subject}\r\n\r\nx\r\n");
        mail.append(folder, NewItem::message(raw)).unwrap()
    }

    fn subjects(mail: &MailSystem, folder: FolderId) -> Vec<String> {
        let items = mail.items(folder);
        items.iter().map(|i| i.summary().subject.clone()).collect()
    }

    #[test]
    fn backup_brings_back_what_was_and_drops_what_came() {
        let (mail, account, inbox) = system();
        let one = add(&mail, inbox, "one");
        let two = add(&mail, inbox, "two");
        let early = mail.change_number();
        let backup = mail.snapshot();
        mail.delete_item(one.id, Disposal::Hard).unwrap();
        let sent = mail.well_known(account, WellKnown::SentItems).unwrap();
        let moved = mail.move_item(two.id, sent).unwrap();
        let three = add(&mail, inbox, "three");
        let late = mail.change_number();
        mail.update_account(account, |account| account.password = "new".to_owned())
            .unwrap();

        let restored = mail.restore(&backup);
        let mut vanished: Vec<_> = restored.vanished.iter().map(|item| item.id).collect();
        vanished.sort();
        assert!(vanished.contains(&moved.id) && vanished.contains(&three.id));
        let returned: Vec<_> = restored.returned.iter().map(|item| item.id).collect();
        assert_eq!(returned, [one.id, two.id]);
        assert_eq!(subjects(&mail, inbox), ["one", "two"]);
        assert_eq!(mail.items(sent).len(), 0);
        assert!(mail.item(three.id).is_err());
        assert_eq!(mail.account_info(account).unwrap().password, "new");
        assert!(mail.remembers(early), "a state from before goes on");
        assert!(!mail.remembers(late), "a state from after does not");
        let four = add(&mail, inbox, "four");
        assert!(four.id > three.id, "ids are not given twice");
        assert!(!mail.remembers(late), "nor later");
        assert!(mail.remembers(mail.change_number()));
        let changes = mail.item_changes(inbox, early, 10).unwrap();
        assert_eq!(changes.changes.len(), 1, "{changes:?}");
    }

    #[test]
    fn migrated_mailbox_has_the_same_mail_under_other_ids() {
        for folders_too in [false, true] {
            let (mail, account, inbox) = system();
            let one = add(&mail, inbox, "one");
            let two = add(&mail, inbox, "two");
            let epoch = mail.folder(inbox).unwrap().epoch;
            mail.migrate(account, folders_too).unwrap();
            let now = mail.well_known(account, WellKnown::Inbox).unwrap();
            assert_eq!(now != inbox, folders_too);
            assert!(mail.folder(now).unwrap().epoch > epoch);
            assert_eq!(subjects(&mail, now), ["one", "two"]);
            assert!(mail.item(one.id).is_err() && mail.item(two.id).is_err());
            let same = mail.items(now);
            assert_eq!(same[0].search_key, one.search_key);
            assert_eq!(same[0].folder, now);
            assert_eq!(mail.item_changes(now, 0, 10).unwrap().changes.len(), 2);
            add(&mail, now, "three");
            assert_eq!(subjects(&mail, now), ["one", "two", "three"]);
            let top = mail.well_known(account, WellKnown::MessageRoot).unwrap();
            assert!(mail.child(top, "Inbox").is_some());
        }
    }
}
