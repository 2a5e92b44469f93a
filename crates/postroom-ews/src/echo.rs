//! Polls that find nothing. They are the most common requests of all: the same request again and the
//! same answer, byte for byte, which need not be written and read anew.

use std::sync::{Arc, Mutex, PoisonError};

use postroom_net::BodyPart;
use postroom_provider::{FolderId, SyncCursor};

use crate::version::SchemaVersion;

/// A longer answer does not say "nothing".
pub(crate) const ANSWER_MAX: usize = 4096;

/// A request and its answer, as bytes.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) version: SchemaVersion,
    pub(crate) request: Vec<BodyPart>,
    pub(crate) answer: Vec<u8>,
}

/// Listens whether an answer is one that was heard before.
#[derive(Debug)]
pub(crate) struct Ear<'a> {
    /// What was heard before, for the same question.
    pub(crate) before: Option<&'a Heard>,
    /// What was heard now, where that was something else.
    pub(crate) now: Option<Heard>,
}

/// A poll that found nothing.
#[derive(Debug)]
pub(crate) struct Idle {
    pub(crate) folder: FolderId,
    pub(crate) cursor: SyncCursor,
    pub(crate) limit: u32,
    /// The sync state in the cursor.
    pub(crate) state: String,
    pub(crate) heard: Heard,
}

/// The last poll of a mailbox that found nothing.
#[derive(Debug, Default)]
pub(crate) struct LastIdle(Mutex<Option<Arc<Idle>>>);

impl LastIdle {
    /// The same question as this one, where it was the last that found nothing.
    pub(crate) fn find(
        &self,
        folder: &FolderId,
        cursor: Option<&SyncCursor>,
        limit: u32,
    ) -> Option<Arc<Idle>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref()
            .filter(|idle| {
                idle.folder == *folder && Some(&idle.cursor) == cursor && idle.limit == limit
            })
            .cloned()
    }

    pub(crate) fn keep(&self, idle: Idle) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(Arc::new(idle));
    }
}
