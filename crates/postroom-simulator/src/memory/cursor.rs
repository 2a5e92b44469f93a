//! Where a listing stopped.

use postroom_provider::SyncCursor;

use crate::model::Folder;

const VERSION: &str = "memory-1";

/// A place in the change log of one folder: `memory-1:FOLDER:EPOCH:NUMBER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) folder: u64,
    pub(super) epoch: u32,
    pub(super) number: u64,
}

impl Place {
    /// The beginning of a folder.
    pub(super) const fn start(folder: &Folder) -> Self {
        Self {
            folder: folder.id.number(),
            epoch: folder.epoch,
            number: 0,
        }
    }

    /// The place that a cursor names; `None` where the text is not one of ours.
    pub(super) fn parse(cursor: &SyncCursor) -> Option<Self> {
        let mut parts = cursor.as_str().split(':');
        if parts.next() != Some(VERSION) {
            return None;
        }
        let place = Self {
            folder: parts.next()?.parse().ok()?,
            epoch: parts.next()?.parse().ok()?,
            number: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(place)
    }

    pub(super) fn cursor(self) -> SyncCursor {
        let Self {
            folder,
            epoch,
            number,
        } = self;
        SyncCursor::new(format!("{VERSION}:{folder}:{epoch}:{number}"))
    }
}
