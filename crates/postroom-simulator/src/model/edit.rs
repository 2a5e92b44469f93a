//! Items: storing, changing, moving and deleting them.

use std::ops::ControlFlow;
use std::sync::Arc;

use postroom_core::Timestamp;

use super::changes::{ChangeKind, Event, EventKind};
use super::error::ModelError;
use super::folder::{FolderId, WellKnown};
use super::item::{Content, Item, ItemId, NewItem};
use super::system::{Disposal, MailSystem, State};

impl State {
    pub(super) fn item(&self, id: ItemId) -> Result<Arc<Item>, ModelError> {
        self.items
            .get(&id)
            .map(Arc::clone)
            .ok_or(ModelError::NoItem)
    }

    pub(super) fn store(
        &mut self,
        folder: FolderId,
        new: NewItem,
        event: EventKind,
        now: Timestamp,
    ) -> Result<Arc<Item>, ModelError> {
        self.folder(folder)?;
        let id = ItemId(self.next());
        let content = Content::new(new.content);
        let item = Item {
            id,
            folder,
            change: self.next(),
            arrival: 0,
            kind: new.kind,
            class: new.class,
            search_key: self.random.bytes16(),
            created: now,
            received: new.received.unwrap_or(now),
            sent: if new.draft {
                None
            } else {
                new.sent.or(content.summary.date)
            },
            modified: now,
            read: new.read,
            draft: new.draft,
            hidden: new.hidden,
            categories: new.categories,
            bcc: new.bcc,
            properties: new.properties,
            fields: new.fields,
            attachments: new.attachments,
            content,
        };
        let item = self.insert(item, now)?;
        self.event(event, &item, None, now);
        Ok(item)
    }

    /// Puts an item into its folder under a new arrival number.
    fn insert(&mut self, mut item: Item, now: Timestamp) -> Result<Arc<Item>, ModelError> {
        let number = self.next();
        item.arrival = number;
        let (id, folder) = (item.id, item.folder);
        let item = Arc::new(item);
        let place = self.folder_mut(folder)?;
        place.items.insert(number, id);
        place.log.push(number, id, ChangeKind::Created);
        place.change = number;
        place.changed = now;
        let account = place.account;
        self.items.insert(id, Arc::clone(&item));
        self.touched.insert(account);
        Ok(item)
    }

    fn remove(&mut self, id: ItemId, now: Timestamp) -> Result<Arc<Item>, ModelError> {
        let item = self.items.remove(&id).ok_or(ModelError::NoItem)?;
        let number = self.next();
        let place = self.folder_mut(item.folder)?;
        place.items.remove(&item.arrival);
        place.log.push(number, id, ChangeKind::Deleted);
        place.change = number;
        place.changed = now;
        place.deleted_count = place.deleted_count.saturating_add(1);
        let account = place.account;
        self.touched.insert(account);
        Ok(item)
    }

    pub(super) fn relocate(
        &mut self,
        id: ItemId,
        to: FolderId,
        edit: impl FnOnce(&mut Item),
        now: Timestamp,
    ) -> Result<Arc<Item>, ModelError> {
        let item = self.item(id)?;
        if self.folder(to)?.account != self.folder(item.folder)?.account {
            return Err(ModelError::CrossAccount);
        }
        self.remove(id, now)?;
        let origin = (item.folder, id);
        let mut moved = Item::clone(&item);
        moved.id = ItemId(self.next());
        moved.folder = to;
        // A move to Deleted Items keeps the change key: Microsoft's page on deleting items says so.
        if self.folder(to)?.well_known != Some(WellKnown::DeletedItems) {
            moved.change = self.next();
        }
        edit(&mut moved);
        let moved = self.insert(moved, now)?;
        self.event(EventKind::Moved, &moved, Some(origin), now);
        Ok(moved)
    }

    fn event(
        &mut self,
        kind: EventKind,
        item: &Item,
        origin: Option<(FolderId, ItemId)>,
        at: Timestamp,
    ) {
        let number = self.next();
        let Ok(account) = self.folder(item.folder).map(|folder| folder.account) else {
            return;
        };
        if let Ok(mailbox) = self.mailbox_mut(account) {
            mailbox.events.push(Event {
                number,
                kind,
                at,
                folder: item.folder,
                item: item.id,
                origin,
            });
        }
    }

    fn save(
        &mut self,
        mut item: Item,
        change: ChangeKind,
        now: Timestamp,
    ) -> Result<Arc<Item>, ModelError> {
        item.change = self.next();
        item.modified = now;
        let number = self.next();
        let place = self.folder_mut(item.folder)?;
        place.log.push(number, item.id, change);
        place.change = number;
        place.changed = now;
        let account = place.account;
        let item = Arc::new(item);
        self.items.insert(item.id, Arc::clone(&item));
        self.touched.insert(account);
        self.event(EventKind::Modified, &item, None, now);
        Ok(item)
    }
}

impl MailSystem {
    /// An item as it is now.
    ///
    /// # Errors
    /// [`ModelError::NoItem`].
    pub fn item(&self, id: ItemId) -> Result<Arc<Item>, ModelError> {
        self.lock().item(id)
    }

    /// The items of a folder in order of arrival, hidden ones left out; empty for an unknown folder.
    #[must_use]
    pub fn items(&self, folder: FolderId) -> Vec<Arc<Item>> {
        let mut items = Vec::new();
        self.walk(folder, u64::MAX, |item| {
            if !item.hidden {
                items.push(Arc::clone(item));
            }
            ControlFlow::Continue(())
        });
        items.reverse();
        items
    }

    /// Visits the items of a folder, the latest arrival first, beginning below `before`, until
    /// the visitor breaks.
    pub fn walk(
        &self,
        folder: FolderId,
        before: u64,
        mut visit: impl FnMut(&Arc<Item>) -> ControlFlow<()>,
    ) {
        let state = self.lock();
        let Ok(place) = state.folder(folder) else {
            return;
        };
        for id in place.items.range(..before).rev().map(|(_, id)| id) {
            if let Some(item) = state.items.get(id)
                && visit(item).is_break()
            {
                return;
            }
        }
    }

    /// Stores an item in a folder, as a client does.
    ///
    /// # Errors
    /// [`ModelError::NoFolder`].
    pub fn append(&self, folder: FolderId, new: NewItem) -> Result<Arc<Item>, ModelError> {
        self.change(|state, now| state.store(folder, new, EventKind::Created, now))
    }

    /// Changes an item. Its id, folder and search key cannot be changed.
    ///
    /// # Errors
    /// [`ModelError::NoItem`]; [`ModelError::Stale`] if `expected` is given and is not the
    /// present change key.
    pub fn update(
        &self,
        id: ItemId,
        expected: Option<u64>,
        edit: impl FnOnce(&mut Item),
    ) -> Result<Arc<Item>, ModelError> {
        self.change(|state, now| {
            let old = state.item(id)?;
            if expected.is_some_and(|expected| expected != old.change) {
                return Err(ModelError::Stale);
            }
            let mut item = Item::clone(&old);
            edit(&mut item);
            item.id = old.id;
            item.folder = old.folder;
            item.arrival = old.arrival;
            item.search_key = old.search_key;
            state.save(item, ChangeKind::Updated, now)
        })
    }

    /// Sets the read flag; tells nobody if it was so already.
    ///
    /// # Errors
    /// [`ModelError::NoItem`].
    pub fn set_read(&self, id: ItemId, read: bool) -> Result<Arc<Item>, ModelError> {
        self.change(|state, now| {
            let old = state.item(id)?;
            if old.read == read {
                return Ok(old);
            }
            let mut item = Item::clone(&old);
            item.read = read;
            state.save(item, ChangeKind::ReadFlag, now)
        })
    }

    /// Gives an item a new change key and nothing else, as Exchange's assistants do to fresh items.
    ///
    /// # Errors
    /// [`ModelError::NoItem`].
    pub fn touch(&self, id: ItemId) -> Result<Arc<Item>, ModelError> {
        self.update(id, None, |_| ())
    }

    /// Moves an item. What comes back has a new id.
    ///
    /// # Errors
    /// [`ModelError::NoItem`], [`ModelError::NoFolder`], [`ModelError::CrossAccount`].
    pub fn move_item(&self, id: ItemId, to: FolderId) -> Result<Arc<Item>, ModelError> {
        self.change(|state, now| state.relocate(id, to, |_| (), now))
    }

    /// Copies an item. The copy has an id of its own and the same search key.
    ///
    /// # Errors
    /// [`ModelError::NoItem`], [`ModelError::NoFolder`], [`ModelError::CrossAccount`].
    pub fn copy_item(&self, id: ItemId, to: FolderId) -> Result<Arc<Item>, ModelError> {
        self.change(|state, now| {
            let item = state.item(id)?;
            if state.folder(to)?.account != state.folder(item.folder)?.account {
                return Err(ModelError::CrossAccount);
            }
            let mut copy = Item::clone(&item);
            copy.id = ItemId(state.next());
            copy.change = state.next();
            copy.folder = to;
            let copy = state.insert(copy, now)?;
            state.event(EventKind::Copied, &copy, Some((item.folder, id)), now);
            Ok(copy)
        })
    }

    /// Deletes an item. What comes back is the item in its new place, where it has one.
    ///
    /// # Errors
    /// [`ModelError::NoItem`].
    pub fn delete_item(
        &self,
        id: ItemId,
        disposal: Disposal,
    ) -> Result<Option<Arc<Item>>, ModelError> {
        self.change(|state, now| {
            let item = state.item(id)?;
            let account = state.folder(item.folder)?.account;
            let bin = match disposal {
                Disposal::Hard => None,
                Disposal::Soft => Some(WellKnown::Deletions),
                Disposal::ToDeletedItems => Some(WellKnown::DeletedItems),
            };
            let bin = bin
                .map(|known| state.well_known(account, known))
                .transpose()?;
            match bin.filter(|&bin| bin != item.folder) {
                Some(bin) => state.relocate(id, bin, |_| (), now).map(Some),
                None => {
                    let gone = state.remove(id, now)?;
                    state.event(EventKind::Deleted, &gone, None, now);
                    Ok(None)
                }
            }
        })
    }

    /// Deletes everything in a folder, hidden items too, and says how many that were.
    ///
    /// # Errors
    /// [`ModelError::NoFolder`].
    pub fn empty_folder(&self, folder: FolderId, disposal: Disposal) -> Result<usize, ModelError> {
        let ids: Vec<ItemId> = self
            .lock()
            .folder(folder)?
            .items
            .values()
            .copied()
            .collect();
        for &id in &ids {
            self.delete_item(id, disposal)?;
        }
        Ok(ids.len())
    }
}
