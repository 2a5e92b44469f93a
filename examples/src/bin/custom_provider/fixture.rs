//! What the conformance suite needs to try a drop box: fresh ones, and a back door to them.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use postroom_conformance::provider::{
    Account, Backdoor, BackdoorError, Fidelity, Fixture, StoredMessage,
};
use postroom_core::EmailAddress;
use postroom_provider::{FolderId, Provider, RemoteId};
use tempfile::TempDir;

use crate::drop_box::DropBox;

/// Makes drop boxes in temporary folders.
pub(crate) struct DropBoxes;

#[async_trait]
impl Fixture for DropBoxes {
    async fn account(&self) -> Backdoor<Box<dyn Account>> {
        Ok(Box::new(TemporaryBox {
            folder: tempfile::tempdir().map_err(failed)?,
            address: "scanner@example.org".parse().map_err(failed)?,
            last: AtomicU32::new(0),
        }))
    }
}

struct TemporaryBox {
    folder: TempDir,
    address: EmailAddress,
    last: AtomicU32,
}

fn failed(error: impl std::fmt::Display) -> BackdoorError {
    BackdoorError::failed(error.to_string())
}

impl TemporaryBox {
    fn file(&self, id: &RemoteId) -> PathBuf {
        self.folder.path().join(format!("{}.eml", id.as_str()))
    }
}

#[async_trait]
impl Account for TemporaryBox {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(DropBox::new(self.folder.path()))
    }

    fn address(&self) -> EmailAddress {
        self.address.clone()
    }

    fn fidelity(&self) -> Fidelity {
        Fidelity::Bytes
    }

    async fn reopen(&self) -> Backdoor<Arc<dyn Provider>> {
        Ok(self.provider())
    }

    async fn deliver(&self, raw: &[u8]) -> Backdoor<Option<RemoteId>> {
        let number = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        let id = RemoteId::new(format!("{number:010}"));
        // Written beside and renamed, so that nobody reads half a message.
        let half = self.folder.path().join("half");
        fs::write(&half, raw).map_err(failed)?;
        fs::rename(&half, self.file(&id)).map_err(failed)?;
        Ok(Some(id))
    }

    async fn delete(&self, _: &FolderId, id: &RemoteId) -> Backdoor<()> {
        fs::remove_file(self.file(id)).map_err(failed)
    }

    async fn edit(&self, _: &FolderId, _: &RemoteId) -> Backdoor<()> {
        Err(BackdoorError::unsupported("nobody edits what was scanned"))
    }

    async fn messages(&self, _: &FolderId) -> Backdoor<Vec<StoredMessage>> {
        let mut messages = Vec::new();
        for file in fs::read_dir(self.folder.path()).map_err(failed)? {
            let raw = fs::read(file.map_err(failed)?.path()).map_err(failed)?;
            let id = postroom_mime::parse_headers(&raw).headers.message_id;
            let id = id.map(|id| id.to_string()).unwrap_or_default();
            // Files bear no mark for having been read.
            messages.push(StoredMessage::new(&id, None));
        }
        Ok(messages)
    }
}
