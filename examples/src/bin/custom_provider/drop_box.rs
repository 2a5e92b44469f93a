//! A drop box: a folder where a scanner leaves messages as files, `0000000001.eml` and so on.

use std::io::{self, ErrorKind as Io, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, time::UNIX_EPOCH};

use async_trait::async_trait;
use postroom_core::{Code, Timestamp};
use postroom_provider::*;

const INBOX: &str = "inbox";
const CURSOR: &str = "drop-box-1:";

#[derive(Debug)]
pub(crate) struct DropBox {
    folder: PathBuf,
    info: ProviderInfo,
    capabilities: Arc<Capabilities>,
}

impl DropBox {
    pub(crate) fn new(folder: &Path) -> Self {
        // What is not set is not offered.
        let mut capabilities = Capabilities::default();
        capabilities.mail = true;
        capabilities.mail_batch_max = 20;
        Self {
            folder: folder.to_owned(),
            info: ProviderInfo::new("drop-box", "files"),
            capabilities: Arc::new(capabilities),
        }
    }

    /// One outcome for each id, in order. Numbers begin with one, so a foreign id names no file.
    async fn each<T: Send>(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        (folder, ids): (&FolderId, &[RemoteId]),
        act: impl Fn(&Path) -> io::Result<T> + Send + Sync,
    ) -> Result<Vec<Result<T>>> {
        let outcome = |id: &RemoteId| {
            let number = number(id.as_str()).unwrap_or_default();
            let file = self.folder.join(format!("{number:010}.eml"));
            act(&file).map_err(|error| failed(error, operation))
        };
        ctx.bounded(operation, async {
            if ids.len() > self.capabilities.mail_batch_max {
                return Err(failed(Io::InvalidInput.into(), operation));
            }
            is_inbox(folder, operation)?;
            Ok(ids.iter().map(outcome).collect())
        })
        .await
    }

    /// The numbers of the messages after one, in order.
    fn after(&self, last: u64) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let name = file?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".eml"));
            numbers.extend(stem.and_then(number).filter(|number| *number > last));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

fn is_inbox(folder: &FolderId, operation: &'static str) -> Result<()> {
    match folder.as_str() {
        INBOX => Ok(()),
        _ => Err(failed(Io::NotFound.into(), operation)),
    }
}

/// The number in a file name, id or cursor: ten digits.
fn number(text: &str) -> Option<u64> {
    let ten_digits = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    ten_digits.then(|| text.parse().ok()).flatten()
}

/// Says what an error means for trying again: only the adapter knows.
fn failed(error: io::Error, operation: &'static str) -> ProviderError {
    let (kind, code) = match error.kind() {
        Io::NotFound => (ErrorKind::NotFound, Code::ItemNotFound),
        Io::FileTooLarge => (ErrorKind::TooLarge, Code::TooLarge),
        Io::InvalidInput => (ErrorKind::InvalidInput, Code::InvalidInput),
        _ => (ErrorKind::Unavailable, Code::ServerUnavailable),
    };
    ProviderError::new(kind, code, operation).with_source(error)
}

impl Provider for DropBox {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }
    fn capabilities(&self) -> Arc<Capabilities> {
        Arc::clone(&self.capabilities)
    }
    fn mail(&self) -> Option<&dyn MailSource> {
        Some(self)
    }
}

#[async_trait]
impl MailSource for DropBox {
    async fn list_folders(&self, ctx: &OpContext) -> Result<Vec<Folder>> {
        let mut inbox = Folder::new(FolderId::new(INBOX), "Inbox");
        inbox.role = Some(WellKnownFolder::Inbox);
        ctx.bounded("mail.list_folders", async { Ok(vec![inbox]) })
            .await
    }

    async fn find_folder(&self, ctx: &OpContext, role: WellKnownFolder) -> Result<FolderId> {
        let found = (role == WellKnownFolder::Inbox).then(|| FolderId::new(INBOX));
        let found = found.ok_or_else(|| failed(Io::NotFound.into(), "mail.find_folder"));
        ctx.bounded("mail.find_folder", async { found }).await
    }

    /// The cursor is the number of the last message that was told.
    async fn changes(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        since: Option<&SyncCursor>,
        limit: PageLimit,
    ) -> Result<ChangePage<MailChange>> {
        let operation = "mail.changes";
        let known = |cursor: &SyncCursor| {
            let (kind, code) = (ErrorKind::CursorInvalid, Code::CursorInvalid);
            let number = cursor.as_str().strip_prefix(CURSOR).and_then(number);
            number.ok_or_else(|| ProviderError::new(kind, code, operation))
        };
        ctx.bounded(operation, async {
            is_inbox(folder, operation)?;
            let mut last = since.map(known).transpose()?.unwrap_or_default();
            let new = self.after(last).map_err(|error| failed(error, operation))?;
            let most = limit.value().min(self.capabilities.mail_page_max);
            let mut page = Vec::new();
            for number in new.iter().take(usize::try_from(most).unwrap_or(1)) {
                last = *number;
                let id = RemoteId::new(format!("{number:010}"));
                page.push(MailChange::Present(MailListing::new(id)));
            }
            let more = page.len() < new.len();
            let cursor = SyncCursor::new(format!("{CURSOR}{last:010}"));
            Ok(ChangePage::new(page, cursor, more))
        })
        .await
    }

    async fn headers(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<MailHeaders>>> {
        let read = |file: &Path| {
            let file = fs::File::open(file)?;
            let arrived = file.metadata()?.modified()?.duration_since(UNIX_EPOCH);
            let received_at = Timestamp::EPOCH.plus(arrived.unwrap_or_default());
            let mut head = Vec::new();
            file.take(256 * 1024).read_to_end(&mut head)?;
            let headers = postroom_mime::parse_headers(&head).headers;
            Ok(MailHeaders::new(headers, received_at))
        };
        self.each(ctx, "mail.headers", (folder, ids), read).await
    }

    async fn fetch(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<FetchedMessage>>> {
        let read = |file: &Path| {
            let mut writer = ctx.spool.writer();
            io::copy(&mut fs::File::open(file)?, &mut writer)?;
            writer.finish().map(FetchedMessage::new)
        };
        self.each(ctx, "mail.fetch", (folder, ids), read).await
    }

    /// A dropped call has deleted some of the messages; deleting again is fine.
    async fn delete(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
        _: DeleteMode,
    ) -> Result<Vec<Result<()>>> {
        let delete = |file: &Path| match fs::remove_file(file) {
            Err(error) if error.kind() == Io::NotFound => Ok(()),
            deleted => deleted,
        };
        self.each(ctx, "mail.delete", (folder, ids), delete).await
    }
}
