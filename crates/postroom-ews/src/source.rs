//! Reading mail.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use postroom_core::email::Defect;
use postroom_core::{Code, RawMessage, Scope};
use postroom_provider::{
    ChangePage, DeleteMode, ErrorKind, FetchedMessage, Folder, FolderId, MailChange, MailHeaders,
    MailSource, OpContext, PageLimit, ProviderError, RemoteId, Result, SyncCursor, WellKnownFolder,
};

use crate::batch::{self, Outcomes};
use crate::client::{Answer, Content, misunderstood};
use crate::cursor;
use crate::echo::{Ear, Idle};
use crate::error::{About, refused};
use crate::map::{mail, rebuilt};
use crate::ops::get_folder::FolderInfo;
use crate::ops::get_item::Shape;
use crate::ops::{
    Distinguished, FolderRef, create_folder, delete_item, find_folder, get_folder, get_item,
    move_item, send_item, sync_folder_items,
};
use crate::provider::{BATCH_MAX, EwsProvider};
use crate::soap::Refusal;

/// Most pages of folders that are read: 50,000 folders.
const FOLDER_PAGES_MAX: usize = 100;
/// Longest name of a folder, in characters. Source: MS-OXCFOLD, PidTagDisplayName in practice.
const FOLDER_NAME_MAX: usize = 250;

const ROLES: [WellKnownFolder; 5] = [
    WellKnownFolder::Inbox,
    WellKnownFolder::Drafts,
    WellKnownFolder::SentItems,
    WellKnownFolder::DeletedItems,
    WellKnownFolder::Junk,
];

fn check_batch(operation: &'static str, ids: &[RemoteId]) -> Result<()> {
    if ids.len() > BATCH_MAX {
        return Err(
            ProviderError::new(ErrorKind::InvalidInput, Code::InvalidInput, operation)
                .with("batch", ids.len())
                .with("batch_max", BATCH_MAX),
        );
    }
    Ok(())
}

/// A message with what it is to become, as one answer tells it.
enum Fetched {
    Whole(Content),
    /// The server says that there is an item, and gives no content.
    Empty,
}

#[async_trait]
impl MailSource for EwsProvider {
    /// All folders of the mailbox.
    ///
    /// # Cancellation
    /// Changes nothing on the server.
    async fn list_folders(&self, ctx: &OpContext) -> Result<Vec<Folder>> {
        const OPERATION: &str = "mail.list_folders";
        let roles = self.roles(ctx, OPERATION).await?;
        let root = self.folder(Distinguished::Root);
        let mut folders = Vec::new();
        let mut offset = 0;
        for _ in 0..FOLDER_PAGES_MAX {
            let page = self
                .client
                .call(
                    ctx,
                    OPERATION,
                    &|xml, _| find_folder::write(xml, root, find_folder::Wanted::All, offset),
                    &|reply| find_folder::read(reply, offset),
                )
                .await?
                .map_err(|refusal| refused(OPERATION, &refusal, About::Folder))?;
            folders.extend(page.folders.into_iter().map(|info| {
                let mut folder = Folder::new(info.id, info.name);
                folder.parent = info.parent;
                folder.role = roles.get(&folder.id).copied();
                folder
            }));
            match page.next {
                Some(next) => offset = next,
                None => break,
            }
        }
        Ok(without_top(folders))
    }

    /// The folder with that role.
    ///
    /// # Cancellation
    /// Changes nothing on the server.
    async fn find_folder(&self, ctx: &OpContext, role: WellKnownFolder) -> Result<FolderId> {
        const OPERATION: &str = "mail.find_folder";
        let Some(named) = Distinguished::of(role) else {
            return Err(ProviderError::new(
                ErrorKind::NotFound,
                Code::FolderNotFound,
                OPERATION,
            ));
        };
        let folder = self.folder(named);
        let found = self.get_folders(ctx, OPERATION, &[folder]).await?;
        one(OPERATION, found)?
            .map(|info| info.id)
            .map_err(|refusal| refused(OPERATION, &refusal, About::Folder))
    }

    /// The folder of that name, made where it is missing.
    ///
    /// # Cancellation
    /// May leave the folder; the next call finds it.
    async fn ensure_folder(
        &self,
        ctx: &OpContext,
        parent: Option<&FolderId>,
        name: &str,
    ) -> Result<FolderId> {
        const OPERATION: &str = "mail.ensure_folder";
        let length = name.chars().count();
        if name.trim().is_empty() || length > FOLDER_NAME_MAX {
            return Err(
                ProviderError::new(ErrorKind::InvalidInput, Code::InvalidInput, OPERATION)
                    .with("field", "name"),
            );
        }
        let parent = parent.map_or_else(
            || self.folder(Distinguished::Root),
            |id| FolderRef::Id(id.as_str()),
        );
        let created = self
            .client
            .call(
                ctx,
                OPERATION,
                &|xml, _| create_folder::write(xml, parent, name),
                &get_folder::read,
            )
            .await?;
        match one(OPERATION, created)? {
            Ok(info) => Ok(info.id),
            // Creating first and looking then is safe against another who does the same now.
            Err(refusal) if refusal.code == "ErrorFolderExists" => {
                self.folder_named(ctx, OPERATION, parent, name).await
            }
            Err(refusal) => Err(refused(OPERATION, &refusal, About::Folder)),
        }
    }

    /// What changed in a folder, by SyncFolderItems.
    ///
    /// # Cancellation
    /// Changes nothing on the server.
    async fn changes(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        since: Option<&SyncCursor>,
        limit: PageLimit,
    ) -> Result<ChangePage<MailChange>> {
        const OPERATION: &str = "mail.changes";
        let before = self.idle.find(folder, since, limit.value());
        let state = match (&before, since) {
            (Some(before), _) => Some(before.state.clone()),
            (None, Some(since)) => Some(cursor::read(OPERATION, folder, since)?),
            (None, None) => None,
        };
        let mut ear = Ear {
            before: before.as_deref().map(|before| &before.heard),
            now: None,
        };
        let page = self
            .client
            .call_listening(
                ctx,
                OPERATION,
                &|xml, _| {
                    sync_folder_items::write(xml, folder, state.as_deref(), limit.value());
                },
                &sync_folder_items::read,
                &mut ear,
            )
            .await
            .map_err(|call| about_folder(call.error))?;
        let page = match (page, since) {
            (Answer::New(page), _) => {
                page.map_err(|refusal| refused(OPERATION, &refusal, About::Folder))?
            }
            (Answer::Again, Some(since)) => {
                return Ok(ChangePage::new(Vec::new(), since.clone(), false));
            }
            (Answer::Again, None) => return Err(misunderstood(OPERATION)),
        };
        // A server that neither tells anything nor moves on would be asked for ever.
        let stuck = page.changes.is_empty() && state.as_deref() == Some(page.state.as_str());
        if stuck && let (Some(cursor), Some(heard)) = (since, ear.now) {
            self.idle.keep(Idle {
                folder: folder.clone(),
                cursor: cursor.clone(),
                limit: limit.value(),
                state: page.state.clone(),
                heard,
            });
        }
        Ok(ChangePage::new(
            page.changes,
            cursor::write(folder, &page.state),
            page.more && !stuck,
        ))
    }

    /// Headers, by GetItem.
    ///
    /// # Cancellation
    /// Changes nothing on the server.
    async fn headers(
        &self,
        ctx: &OpContext,
        _folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<MailHeaders>>> {
        const OPERATION: &str = "mail.headers";
        check_batch(OPERATION, ids)?;
        batch::run(OPERATION, ids, |part: Vec<RemoteId>| async move {
            self.client
                .call(
                    ctx,
                    OPERATION,
                    &|xml, _| get_item::write(xml, Shape::Headers, &part),
                    &|reply| get_item::read(reply, |item| Some(mail::headers(item))),
                )
                .await
        })
        .await
        .map(|outcomes| errors_of_items(OPERATION, outcomes))
    }

    /// Whole messages, by GetItem with MIME; a message that the server cannot convert is rebuilt
    /// from its properties.
    ///
    /// # Cancellation
    /// Changes nothing on the server. What was written to the spool vanishes.
    async fn fetch(
        &self,
        ctx: &OpContext,
        _folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<FetchedMessage>>> {
        const OPERATION: &str = "mail.fetch";
        check_batch(OPERATION, ids)?;
        let outcomes = batch::run(OPERATION, ids, |part: Vec<RemoteId>| async move {
            self.client
                .call(
                    ctx,
                    OPERATION,
                    &|xml, _| get_item::write(xml, Shape::Mime, &part),
                    &|reply| {
                        get_item::read(reply, |item| {
                            let content = get_item::content(item, reply.contents);
                            Some(content.map_or(Fetched::Empty, Fetched::Whole))
                        })
                    },
                )
                .await
        })
        .await?;
        let mut fetched = Vec::with_capacity(ids.len());
        for (id, outcome) in ids.iter().zip(outcomes) {
            let outcome = match outcome {
                Ok(Ok(Fetched::Whole(Ok(raw)))) => Ok(FetchedMessage::new(raw)),
                Ok(Ok(Fetched::Whole(Err(error)))) => Err(spool_error(OPERATION, error)),
                Ok(Ok(Fetched::Empty)) => {
                    let refusal = Refusal::new("ErrorMimeContentConversionFailed", "");
                    self.rebuild(ctx, OPERATION, id, &refusal).await
                }
                Ok(Err(refusal)) if is_conversion_failure(&refusal) => {
                    self.rebuild(ctx, OPERATION, id, &refusal).await
                }
                Ok(Err(refusal)) => Err(refused(OPERATION, &refusal, About::Item)),
                Err(error) => Err(error),
            };
            fetched.push(outcome);
        }
        Ok(fetched)
    }

    /// Moves messages, by MoveItem.
    ///
    /// # Cancellation
    /// May have moved any of them; those then have other ids.
    async fn move_to(
        &self,
        ctx: &OpContext,
        _folder: &FolderId,
        ids: &[RemoteId],
        target: &FolderId,
    ) -> Result<Vec<Result<Option<RemoteId>>>> {
        const OPERATION: &str = "mail.move";
        check_batch(OPERATION, ids)?;
        batch::once(OPERATION, ids, |part: Vec<RemoteId>| async move {
            self.client
                .call(
                    ctx,
                    OPERATION,
                    &|xml, version| move_item::write(xml, version, target, &part),
                    &move_item::read,
                )
                .await
        })
        .await
        .map(|outcomes| errors_of_items(OPERATION, outcomes))
    }

    /// Deletes messages, by DeleteItem.
    ///
    /// # Cancellation
    /// May have deleted any of them; deleting again does no harm.
    async fn delete(
        &self,
        ctx: &OpContext,
        _folder: &FolderId,
        ids: &[RemoteId],
        mode: DeleteMode,
    ) -> Result<Vec<Result<()>>> {
        const OPERATION: &str = "mail.delete";
        check_batch(OPERATION, ids)?;
        let outcomes = batch::once(OPERATION, ids, |part: Vec<RemoteId>| async move {
            self.client
                .call(
                    ctx,
                    OPERATION,
                    &|xml, _| delete_item::write(xml, mode, &part),
                    &send_item::read,
                )
                .await
        })
        .await?;
        Ok(outcomes
            .into_iter()
            .map(|outcome| match outcome? {
                Ok(()) => Ok(()),
                Err(refusal) => match refused(OPERATION, &refusal, About::Item) {
                    error if error.kind() == ErrorKind::NotFound => Ok(()),
                    error => Err(error),
                },
            })
            .collect())
    }
}

impl EwsProvider {
    async fn get_folders(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        folders: &[FolderRef<'_>],
    ) -> Result<Vec<std::result::Result<FolderInfo, Refusal>>> {
        let found = self
            .client
            .call(
                ctx,
                operation,
                &|xml, _| get_folder::write(xml, folders),
                &get_folder::read,
            )
            .await
            .map_err(|call| about_folder(call.error))?;
        if found.len() == folders.len() {
            Ok(found)
        } else {
            Err(misunderstood(operation).with("answers", found.len()))
        }
    }

    /// Which folder has which role; a role that the mailbox lacks is left out.
    async fn roles(
        &self,
        ctx: &OpContext,
        operation: &'static str,
    ) -> Result<BTreeMap<FolderId, WellKnownFolder>> {
        let (known, asked): (Vec<_>, Vec<_>) = ROLES
            .into_iter()
            .filter_map(|role| Some((role, self.folder(Distinguished::of(role)?))))
            .unzip();
        let found = self.get_folders(ctx, operation, &asked).await?;
        Ok(known
            .into_iter()
            .zip(found)
            .filter_map(|(role, info)| Some((info.ok()?.id, role)))
            .collect())
    }

    async fn folder_named(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        parent: FolderRef<'_>,
        name: &str,
    ) -> Result<FolderId> {
        let page = self
            .client
            .call(
                ctx,
                operation,
                &|xml, _| find_folder::write(xml, parent, find_folder::Wanted::Named(name), 0),
                &|reply| find_folder::read(reply, 0),
            )
            .await?
            .map_err(|refusal| refused(operation, &refusal, About::Folder))?;
        let wanted = name.to_lowercase();
        page.folders
            .into_iter()
            .find(|info| info.name.to_lowercase() == wanted)
            .map(|info| info.id)
            .ok_or_else(|| {
                // It exists, says the server, and cannot be seen.
                ProviderError::new(ErrorKind::Conflict, Code::FolderNotFound, operation)
            })
    }

    /// Builds a message anew that the server cannot convert.
    async fn rebuild(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        id: &RemoteId,
        refusal: &Refusal,
    ) -> Result<FetchedMessage> {
        let ids = std::slice::from_ref(id);
        let read = self
            .client
            .call(
                ctx,
                operation,
                &|xml, _| get_item::write(xml, Shape::Properties, ids),
                &|reply| get_item::read(reply, |item| Some(rebuilt::properties(item))),
            )
            .await
            .map_err(|call| call.error.with_scope(Scope::Item))?;
        let properties =
            one(operation, read)?.map_err(|refusal| refused(operation, &refusal, About::Item))?;
        let raw: RawMessage = rebuilt::compose_from(properties, id.as_str())
            .ok_or_else(|| refused(operation, refusal, About::Item))?;
        let mut fetched = FetchedMessage::new(raw);
        fetched.defects.push(Defect::Rebuilt);
        Ok(fetched)
    }
}

/// Folders whose parent is the top, which is not listed, are those at the top.
fn without_top(mut folders: Vec<Folder>) -> Vec<Folder> {
    let listed: BTreeSet<FolderId> = folders.iter().map(|folder| folder.id.clone()).collect();
    for folder in &mut folders {
        folder.parent = folder.parent.take().filter(|id| listed.contains(id));
    }
    folders
}

/// A fault that is about an id, where the only id is a folder's.
fn about_folder(error: ProviderError) -> ProviderError {
    if error.code() != Code::ItemNotFound {
        return error;
    }
    let mut renamed = ProviderError::new(error.kind(), Code::FolderNotFound, error.operation());
    for (name, value) in error.context() {
        renamed = renamed.with(name, value);
    }
    renamed
}

fn is_conversion_failure(refusal: &Refusal) -> bool {
    matches!(
        refusal.effective_code(),
        "ErrorMimeContentConversionFailed"
            | "ErrorContentConversionFailed"
            | "ErrorUnsupportedMimeConversion"
    )
}

fn spool_error(operation: &'static str, error: crate::clean::ContentError) -> ProviderError {
    match error {
        crate::clean::ContentError::TooLarge => {
            ProviderError::new(ErrorKind::TooLarge, Code::TooLarge, operation)
        }
        crate::clean::ContentError::Spool => {
            ProviderError::new(ErrorKind::Internal, Code::StoreUnavailable, operation)
                .with("what", "the spool cannot be written")
        }
    }
}

/// The single outcome of a request about one thing.
pub(crate) fn one<T>(operation: &'static str, outcomes: Vec<T>) -> Result<T> {
    let count = outcomes.len();
    let mut outcomes = outcomes.into_iter();
    match (outcomes.next(), count) {
        (Some(outcome), 1) => Ok(outcome),
        _ => Err(misunderstood(operation).with("answers", count)),
    }
}

fn errors_of_items<T>(operation: &'static str, outcomes: Outcomes<T>) -> Vec<Result<T>> {
    outcomes
        .into_iter()
        .map(|outcome| outcome?.map_err(|refusal| refused(operation, &refusal, About::Item)))
        .collect()
}
