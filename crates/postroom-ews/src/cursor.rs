//! Where reading a folder stopped: the server's sync state, and which folder it belongs to.

use postroom_core::Code;
use postroom_provider::{ErrorKind, FolderId, ProviderError, Result, SyncCursor};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    ews: u32,
    /// A state belongs to one folder; mixed up, servers answer anything.
    folder: String,
    state: String,
}

/// The cursor after a page.
pub(crate) fn write(folder: &FolderId, state: &str) -> SyncCursor {
    let stored = Stored {
        ews: VERSION,
        folder: folder.as_str().to_owned(),
        state: state.to_owned(),
    };
    // Two strings and a number: this cannot fail; an empty cursor would be refused, not taken for
    // the beginning.
    SyncCursor::new(serde_json::to_string(&stored).unwrap_or_default())
}

/// The sync state in a cursor.
///
/// # Errors
/// `CursorInvalid` where it is not ours, of a version that is not known, or of another folder.
pub(crate) fn read(
    operation: &'static str,
    folder: &FolderId,
    cursor: &SyncCursor,
) -> Result<String> {
    match serde_json::from_str::<Stored>(cursor.as_str()) {
        Ok(stored) if stored.ews == VERSION && stored.folder == folder.as_str() => Ok(stored.state),
        _ => Err(
            ProviderError::new(ErrorKind::CursorInvalid, Code::CursorInvalid, operation)
                .with("because", "it was made for something else"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_and_nothing_else() {
        let inbox = FolderId::new("A");
        let cursor = write(&inbox, "H4sI\"<>");
        assert_eq!(read("mail.changes", &inbox, &cursor).unwrap(), "H4sI\"<>");
        for bad in [
            String::new(),
            "garbage".to_owned(),
            "{}".to_owned(),
            cursor.as_str().replace(":1", ":2"),
            cursor.as_str().replace("\"A\"", "\"a\""),
            format!("{}x", cursor.as_str()),
        ] {
            let error = read("mail.changes", &inbox, &SyncCursor::new(bad)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CursorInvalid);
        }
    }
}
