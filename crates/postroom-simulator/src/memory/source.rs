//! Reading mail.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::Arc;

use async_trait::async_trait;
use postroom_core::Code;
use postroom_provider::{
    ChangePage, DeleteMode, ErrorKind, FetchedMessage, Folder, FolderId, MailChange, MailHeaders,
    MailListing, MailSource, OpContext, PageLimit, ProviderError, RemoteId, Result, SyncCursor,
    WellKnownFolder,
};

use super::cursor::Place;
use super::fault::{Listing, Unreadable, lost};
use super::headers;
use super::ids::{folder_id, item_id, model_folder_id, remote_id};
use super::provider::MemoryProvider;
use super::server::require;
use super::submitter::stamp_of;
use crate::model::{self, ChangeKind, Disposal, Item, ModelError, WellKnown};

const LIST_FOLDERS: &str = "mail.list_folders";
const FIND_FOLDER: &str = "mail.find_folder";
const ENSURE_FOLDER: &str = "mail.ensure_folder";
const CHANGES: &str = "mail.changes";
const HEADERS: &str = "mail.headers";
const FETCH: &str = "mail.fetch";
const MOVE: &str = "mail.move_to";
const DELETE: &str = "mail.delete";

/// Written to the spool at once.
const CHUNK_BYTES: usize = 64 * 1024;

const ROLES: [(WellKnownFolder, WellKnown); 5] = [
    (WellKnownFolder::Inbox, WellKnown::Inbox),
    (WellKnownFolder::Drafts, WellKnown::Drafts),
    (WellKnownFolder::SentItems, WellKnown::SentItems),
    (WellKnownFolder::DeletedItems, WellKnown::DeletedItems),
    (WellKnownFolder::Junk, WellKnown::JunkEmail),
];

fn no_folder(operation: &'static str) -> ProviderError {
    ProviderError::new(ErrorKind::NotFound, Code::FolderNotFound, operation)
}

fn no_message(operation: &'static str) -> ProviderError {
    ProviderError::new(ErrorKind::NotFound, Code::ItemNotFound, operation)
}

/// What the model refuses, in the words of the traits.
pub(super) fn refused(error: &ModelError, operation: &'static str) -> ProviderError {
    let (kind, code) = match error {
        ModelError::NoAccount => (ErrorKind::NotFound, Code::MailboxNotFound),
        ModelError::NoFolder => (ErrorKind::NotFound, Code::FolderNotFound),
        ModelError::NoItem => (ErrorKind::NotFound, Code::ItemNotFound),
        ModelError::AccountExists | ModelError::FolderExists => {
            (ErrorKind::AlreadyExists, Code::AlreadyExists)
        }
        ModelError::Stale => (ErrorKind::Conflict, Code::ItemChanged),
        ModelError::NoRecipients => (ErrorKind::InvalidInput, Code::RecipientsRefused),
        ModelError::SendAsDenied => (ErrorKind::PermissionDenied, Code::SendAsDenied),
        ModelError::WellKnownFolder | ModelError::FolderLoop | ModelError::CrossAccount => {
            (ErrorKind::InvalidInput, Code::RequestRefused)
        }
    };
    ProviderError::new(kind, code, operation)
}

impl MemoryProvider {
    fn mail_system(&self) -> &model::MailSystem {
        self.server.mail()
    }

    /// The folder of that id, if it is one of this mailbox.
    fn own_folder(&self, id: &FolderId, operation: &'static str) -> Result<model::Folder> {
        model_folder_id(id)
            .and_then(|id| self.mail_system().folder(id).ok())
            .filter(|folder| folder.account == self.account)
            .ok_or_else(|| no_folder(operation))
    }

    fn own_message(
        &self,
        folder: &model::Folder,
        id: &RemoteId,
        operation: &'static str,
    ) -> Result<Arc<Item>> {
        item_id(id)
            .and_then(|id| self.mail_system().item(id).ok())
            .filter(|item| item.folder == folder.id && !item.hidden)
            .ok_or_else(|| no_message(operation))
    }

    /// One outcome for each id, in order; a message that is named corrupt has a bad one, and one that
    /// breaks answers leaves none.
    fn each<T>(
        &self,
        folder: &FolderId,
        ids: &[RemoteId],
        unreadable: &Unreadable,
        operation: &'static str,
        mut act: impl FnMut(&Arc<Item>) -> Result<T>,
    ) -> Result<Vec<Result<T>>> {
        let folder = self.own_folder(folder, operation)?;
        if ids.iter().any(|id| unreadable.breaking.contains(id)) {
            return Err(lost(operation));
        }
        let outcome = |(at, id)| {
            let item = self.own_message(&folder, id, operation)?;
            match unreadable.failure(at, id, item.id.number(), operation) {
                Some(error) => Err(error),
                None => act(&item),
            }
        };
        Ok(ids.iter().enumerate().map(outcome).collect())
    }

    fn batch_fits(&self, ids: &[RemoteId], operation: &'static str) -> Result<()> {
        let most = self.server.capabilities().mail_batch_max;
        if ids.len() <= most {
            return Ok(());
        }
        Err(
            ProviderError::new(ErrorKind::InvalidInput, Code::InvalidInput, operation)
                .with("batch", ids.len())
                .with("batch_max", most),
        )
    }

    fn page(
        &self,
        folder: &FolderId,
        since: Option<&SyncCursor>,
        limit: PageLimit,
        faults: &Listing,
    ) -> Result<ChangePage<MailChange>> {
        let folder = self.own_folder(folder, CHANGES)?;
        let mut place = Place::start(&folder);
        if let Some(cursor) = since {
            place = Place::parse(cursor)
                .filter(|_| !faults.forgets_cursors)
                .filter(|known| (known.folder, known.epoch) == (place.folder, place.epoch))
                .filter(|known| self.mail_system().remembers(known.number))
                .ok_or_else(|| {
                    ProviderError::new(ErrorKind::CursorInvalid, Code::CursorInvalid, CHANGES)
                })?;
        }
        if faults.contradicts {
            return Ok(ChangePage::new(Vec::new(), place.cursor(), true));
        }
        let capabilities = self.server.capabilities();
        let most = limit.value().min(capabilities.mail_page_max);
        let most = most.min(faults.page_max.unwrap_or(most)).max(1);
        let log = self
            .mail_system()
            .item_changes(folder.id, place.number, usize::try_from(most).unwrap_or(1))
            .map_err(|error| refused(&error, CHANGES))?;
        let mut changes = Vec::with_capacity(log.changes.len());
        for change in log.changes {
            match change.kind {
                ChangeKind::Deleted => {
                    if capabilities.mail_reports_deletions {
                        changes.push(MailChange::Removed(remote_id(change.id)));
                    }
                }
                ChangeKind::Created | ChangeKind::Updated | ChangeKind::ReadFlag => {
                    // What has gone since is told by a later entry of the log.
                    let item = self.mail_system().item(change.id).ok();
                    if let Some(item) = item.filter(|item| !item.hidden) {
                        changes.push(MailChange::Present(listing(&item)));
                    }
                }
            }
        }
        if faults.phantom {
            let id = remote_id(model::ItemId(u64::MAX));
            changes.push(MailChange::Present(MailListing::new(id)));
        }
        place.number = log.next;
        Ok(ChangePage::new(changes, place.cursor(), !log.complete))
    }

    fn visible_folders(&self) -> Result<Vec<Folder>> {
        let system = self.mail_system();
        let top = system
            .well_known(self.account, WellKnown::MessageRoot)
            .map_err(|error| refused(&error, LIST_FOLDERS))?;
        // Parents come first, so that one pass finds all that lies below the top.
        let mut shown = BTreeMap::from([(top, None)]);
        let mut folders = Vec::new();
        for folder in system.folders(self.account) {
            let Some(parent) = folder.parent.filter(|parent| shown.contains_key(parent)) else {
                continue;
            };
            shown.insert(folder.id, Some(parent));
            if !(folder.class.is_empty() || folder.class.starts_with("IPF.Note")) {
                continue;
            }
            let mut listed = Folder::new(folder_id(folder.id), folder.name);
            listed.parent = (parent != top).then(|| folder_id(parent));
            listed.role = ROLES
                .iter()
                .find(|(_, known)| Some(*known) == folder.well_known)
                .map(|(role, _)| *role);
            folders.push(listed);
        }
        Ok(folders)
    }
}

fn listing(item: &Item) -> MailListing {
    let mut listing = MailListing::new(remote_id(item.id));
    listing.received_at = Some(item.received);
    listing.size = Some(item.size());
    listing
}

fn mail_headers(item: &Item) -> MailHeaders {
    let mut answer = MailHeaders::new(headers::read(item), item.received);
    answer.size = Some(item.size());
    answer.draft = item.draft;
    answer.submission_key = stamp_of(item);
    answer
}

fn spooled(ctx: &OpContext, item: &Item) -> Result<FetchedMessage> {
    let write = || {
        let mut writer = ctx.spool.writer();
        for chunk in item.content().chunks(CHUNK_BYTES) {
            writer.write_all(chunk)?;
        }
        writer.finish()
    };
    write().map(FetchedMessage::new).map_err(|error| {
        let (kind, code) = match error.kind() {
            io::ErrorKind::FileTooLarge => (ErrorKind::TooLarge, Code::TooLarge),
            _ => (ErrorKind::Internal, Code::StoreUnavailable),
        };
        ProviderError::new(kind, code, FETCH).with_source(error)
    })
}

/// A dropped call has either not begun on the server or is complete.
#[async_trait]
impl MailSource for MemoryProvider {
    async fn list_folders(&self, ctx: &OpContext) -> Result<Vec<Folder>> {
        self.server
            .request(ctx, LIST_FOLDERS, self.account, |_| self.visible_folders())
            .await
    }

    async fn find_folder(&self, ctx: &OpContext, role: WellKnownFolder) -> Result<FolderId> {
        self.server
            .request(ctx, FIND_FOLDER, self.account, |_| {
                let known = ROLES.iter().find(|(known, _)| *known == role);
                let (_, known) = known.ok_or_else(|| no_folder(FIND_FOLDER))?;
                self.mail_system()
                    .well_known(self.account, *known)
                    .map(folder_id)
                    .map_err(|error| refused(&error, FIND_FOLDER))
            })
            .await
    }

    async fn ensure_folder(
        &self,
        ctx: &OpContext,
        parent: Option<&FolderId>,
        name: &str,
    ) -> Result<FolderId> {
        require(
            self.server.capabilities().mail_create_folder,
            ENSURE_FOLDER,
            "mail_create_folder",
        )?;
        self.server
            .request(ctx, ENSURE_FOLDER, self.account, |_| {
                let system = self.mail_system();
                let failed = |error| refused(&error, ENSURE_FOLDER);
                let parent = match parent {
                    Some(parent) => self.own_folder(parent, ENSURE_FOLDER)?.id,
                    None => system
                        .well_known(self.account, WellKnown::MessageRoot)
                        .map_err(failed)?,
                };
                if let Some(known) = system.child(parent, name) {
                    return Ok(folder_id(known));
                }
                system
                    .create_folder(parent, name, "IPF.Note")
                    .map(folder_id)
                    .map_err(failed)
            })
            .await
    }

    async fn changes(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        since: Option<&SyncCursor>,
        limit: PageLimit,
    ) -> Result<ChangePage<MailChange>> {
        self.server
            .request(ctx, CHANGES, self.account, |verdict| {
                self.page(folder, since, limit, &verdict.listing)
            })
            .await
    }

    async fn headers(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<MailHeaders>>> {
        self.batch_fits(ids, HEADERS)?;
        self.server
            .request(ctx, HEADERS, self.account, |verdict| {
                self.each(folder, ids, &verdict.unreadable, HEADERS, |item| {
                    Ok(mail_headers(item))
                })
            })
            .await
    }

    async fn fetch(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<FetchedMessage>>> {
        self.batch_fits(ids, FETCH)?;
        self.server
            .request(ctx, FETCH, self.account, |verdict| {
                self.each(folder, ids, &verdict.unreadable, FETCH, |item| {
                    spooled(ctx, item)
                })
            })
            .await
    }

    async fn move_to(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
        target: &FolderId,
    ) -> Result<Vec<Result<Option<RemoteId>>>> {
        let capabilities = self.server.capabilities();
        require(capabilities.mail_move, MOVE, "mail_move")?;
        self.batch_fits(ids, MOVE)?;
        self.server
            .request(ctx, MOVE, self.account, |_| {
                let target = self.own_folder(target, MOVE)?.id;
                self.each(folder, ids, &Unreadable::default(), MOVE, |item| {
                    let moved = self
                        .mail_system()
                        .move_item(item.id, target)
                        .map_err(|error| refused(&error, MOVE))?;
                    Ok(capabilities.mail_move_tells_id.then(|| remote_id(moved.id)))
                })
            })
            .await
    }

    async fn delete(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
        mode: DeleteMode,
    ) -> Result<Vec<Result<()>>> {
        self.batch_fits(ids, DELETE)?;
        let disposal = match mode {
            DeleteMode::ToDeletedItems => Disposal::ToDeletedItems,
            DeleteMode::Permanently => Disposal::Hard,
        };
        self.server
            .request(ctx, DELETE, self.account, |_| {
                let outcomes =
                    self.each(
                        folder,
                        ids,
                        &Unreadable::default(),
                        DELETE,
                        |item| match self.mail_system().delete_item(item.id, disposal) {
                            Ok(_) | Err(ModelError::NoItem) => Ok(()),
                            Err(error) => Err(refused(&error, DELETE)),
                        },
                    )?;
                // What is not there counts as deleted.
                let deleted = |outcome: Result<()>| match outcome {
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                    outcome => outcome,
                };
                Ok(outcomes.into_iter().map(deleted).collect())
            })
            .await
    }
}
