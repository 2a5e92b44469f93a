//! The record of what changed, in order.

use std::collections::{BTreeMap, VecDeque};

use postroom_core::Timestamp;

use super::folder::FolderId;
use super::item::ItemId;

/// What happened to something, seen from somebody who knew the state before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a server must report every kind")]
pub enum ChangeKind {
    /// It came into being here.
    Created,
    /// It was changed.
    Updated,
    /// Only its read flag was changed.
    ReadFlag,
    /// It is no longer here: deleted or moved away.
    Deleted,
}

/// One thing that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change<Id> {
    /// What changed.
    pub id: Id,
    /// How.
    pub kind: ChangeKind,
}

/// A stretch of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogPage<Id> {
    /// At most as many changes as asked for, one for each thing, in order of their first mention.
    pub changes: Vec<Change<Id>>,
    /// Ask again from here.
    pub next: u64,
    /// Whether nothing was left out.
    pub complete: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Log<Id> {
    entries: Vec<(u64, Change<Id>)>,
}

impl<Id> Default for Log<Id> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<Id: Copy + Ord> Log<Id> {
    pub(super) fn push(&mut self, number: u64, id: Id, kind: ChangeKind) {
        self.entries.push((number, Change { id, kind }));
    }

    /// The changes after `since`, several to the same thing joined into one.
    pub(super) fn since(&self, since: u64, limit: usize) -> LogPage<Id> {
        let start = self.entries.partition_point(|(number, _)| *number <= since);
        let mut seen: BTreeMap<Id, usize> = BTreeMap::new();
        let mut changes: Vec<Option<Change<Id>>> = Vec::new();
        let mut next = since;
        let mut complete = true;
        for (number, change) in self.entries.iter().skip(start) {
            if let Some(known) = seen.get(&change.id).and_then(|&at| changes.get_mut(at)) {
                *known = join(*known, *change);
            } else if seen.len() == limit {
                complete = false;
                break;
            } else {
                seen.insert(change.id, changes.len());
                changes.push(Some(*change));
            }
            next = *number;
        }
        LogPage {
            changes: changes.into_iter().flatten().collect(),
            next,
            complete,
        }
    }
}

/// What two changes come to for somebody who saw neither; `None` is nothing at all.
const fn join<Id: Copy>(first: Option<Change<Id>>, second: Change<Id>) -> Option<Change<Id>> {
    use ChangeKind::{Created, Deleted, ReadFlag, Updated};
    let Some(first) = first else {
        return Some(second);
    };
    let kind = match (first.kind, second.kind) {
        (Created, Deleted) => return None,
        (Created, Created | Updated | ReadFlag) => Created,
        (_, Deleted) => Deleted,
        (Deleted, Created | Updated | ReadFlag) => Updated,
        (ReadFlag, ReadFlag) => ReadFlag,
        (Updated | ReadFlag, Created | Updated | ReadFlag) => Updated,
    };
    Some(Change {
        id: second.id,
        kind,
    })
}

/// What a subscriber is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a server must report every kind")]
pub enum EventKind {
    /// A message was delivered.
    NewMail,
    /// An item was created by a client.
    Created,
    /// An item was changed.
    Modified,
    /// An item was deleted for good.
    Deleted,
    /// An item went to another folder.
    Moved,
    /// An item was copied.
    Copied,
}

/// One notice to a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Its number; grows.
    pub number: u64,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// Where the item is now, or was.
    pub folder: FolderId,
    /// The item, by its new id if it has one.
    pub item: ItemId,
    /// Where it came from and its id there, for moves and copies.
    pub origin: Option<(FolderId, ItemId)>,
}

/// Events kept for subscribers; older ones are forgotten, as a real server forgets them.
#[derive(Debug, Clone, Default)]
pub(super) struct Events {
    kept: VecDeque<Event>,
}

const EVENTS_KEPT_MAX: usize = 20_000;

impl Events {
    pub(super) fn push(&mut self, event: Event) {
        if self.kept.len() == EVENTS_KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(event);
    }

    pub(super) fn since(&self, number: u64) -> impl Iterator<Item = &Event> {
        let start = self.kept.partition_point(|event| event.number <= number);
        self.kept.iter().skip(start)
    }
}
