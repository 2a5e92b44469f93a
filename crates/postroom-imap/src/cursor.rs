//! How far a folder was told. See ADR 0021.

use postroom_core::Code;
use postroom_provider::{ErrorKind, FolderId, ProviderError, RemoteId, Result, SyncCursor};
use serde::{Deserialize, Serialize};

use crate::proto::uid_set::UidSet;

const VERSION: u32 = 1;
/// Longest cursor that is read, in bytes.
const BYTES_MAX: usize = 8 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    imap: u32,
    folder: String,
    validity: u32,
    next: u32,
    modseq: u64,
    more: bool,
    told: String,
}

/// What was told of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) validity: u32,
    /// UIDs below this one were told, or never will be: there are no new ones among them.
    pub(crate) next: u32,
    /// The state from which on the server is to tell what vanished; 0 where there is none.
    pub(crate) mod_sequence: u64,
    /// Whether the page behind which it stands was not the last.
    pub(crate) more: bool,
    /// Messages that were told as being there.
    pub(crate) there: UidSet,
}

impl Told {
    /// Nothing was told yet.
    pub(crate) fn nothing(validity: u32) -> Self {
        Self {
            validity,
            next: 1,
            mod_sequence: 0,
            more: false,
            there: UidSet::default(),
        }
    }

    /// Its text.
    pub(crate) fn write(&self, folder: &FolderId) -> SyncCursor {
        let stored = Stored {
            imap: VERSION,
            folder: folder.as_str().to_owned(),
            validity: self.validity,
            next: self.next,
            modseq: self.mod_sequence,
            more: self.more,
            told: self.there.pack(),
        };
        // Strings and numbers: this cannot fail; an empty cursor would be refused, not taken for the
        // beginning.
        SyncCursor::new(serde_json::to_string(&stored).unwrap_or_default())
    }

    /// Reads a text.
    ///
    /// # Errors
    /// `CursorInvalid` where it is not ours, of a version that is not known, or of another folder.
    pub(crate) fn read(
        operation: &'static str,
        folder: &FolderId,
        cursor: &SyncCursor,
    ) -> Result<Self> {
        let text = cursor.as_str();
        let stored = if text.len() <= BYTES_MAX {
            serde_json::from_str::<Stored>(text).ok()
        } else {
            None
        };
        stored
            .filter(|stored| stored.imap == VERSION && stored.folder == folder.as_str())
            .and_then(|stored| {
                Some(Self {
                    validity: stored.validity,
                    next: stored.next,
                    mod_sequence: stored.modseq,
                    more: stored.more,
                    there: UidSet::unpack(&stored.told)?,
                })
            })
            .ok_or_else(|| invalid(operation, "it was made for something else"))
    }
}

pub(crate) fn invalid(operation: &'static str, because: &str) -> ProviderError {
    ProviderError::new(ErrorKind::CursorInvalid, Code::CursorInvalid, operation)
        .with("because", because)
}

/// The id of a message: `UIDVALIDITY.UID`. It means something within its folder only.
pub(crate) fn id_of(validity: u32, uid: u32) -> RemoteId {
    RemoteId::new(format!("{validity}.{uid}"))
}

/// The UID in an id, where it is of this UIDVALIDITY: an id from before a reset names nothing any more.
pub(crate) fn uid_of(validity: u32, id: &RemoteId) -> Option<u32> {
    let (of, uid) = id.as_str().split_once('.')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let uid = (digits(of) && digits(uid)).then(|| uid.parse().ok())??;
    (of.parse() == Ok(validity) && uid > 0).then_some(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> FolderId {
        FolderId::new("INBOX")
    }

    #[test]
    fn a_cursor_comes_back() {
        let told = Told {
            validity: 7,
            next: 12,
            mod_sequence: 99,
            more: true,
            there: UidSet::of(vec![1, 2, 5]),
        };
        let text = told.write(&folder());
        assert_eq!(Told::read("mail.changes", &folder(), &text).unwrap(), told);
        let other = Told::read("mail.changes", &FolderId::new("Sent"), &text);
        assert_eq!(other.unwrap_err().kind(), ErrorKind::CursorInvalid);
    }

    #[test]
    fn ids_hold_the_validity() {
        let id = id_of(3, 9);
        assert_eq!(uid_of(3, &id), Some(9));
        assert_eq!(uid_of(4, &id), None);
        for bad in ["3", "3.", ".9", "3.0", "3.+9", "3.9.1", "", "3.99999999999"] {
            assert_eq!(uid_of(3, &RemoteId::new(bad)), None, "{bad}");
        }
    }
}
