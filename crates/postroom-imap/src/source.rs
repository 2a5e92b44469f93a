//! Reading mail.

mod listing;
mod moving;
mod reading;

use async_trait::async_trait;
use postroom_core::Code;
use postroom_provider::{
    ChangePage, DeleteMode, ErrorKind, FetchedMessage, Folder, FolderId, MailChange, MailHeaders,
    MailSource, OpContext, PageLimit, ProviderError, RemoteId, Result, SyncCursor, WellKnownFolder,
};

use crate::cursor::Told;
use crate::error::{failed, folder_refused};
use crate::folders::{self, Folders};
use crate::proto::command::{Command, can_be_said};
use crate::proto::response::Status;
use crate::proto::utf7;
use crate::provider::{BATCH_MAX, ImapProvider};
use crate::session::{Access, Session, SessionError, Since, ignore};

pub(crate) use listing::Listing;

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

fn no_folder(operation: &'static str) -> ProviderError {
    ProviderError::new(ErrorKind::NotFound, Code::FolderNotFound, operation)
}

fn not_found(operation: &'static str) -> ProviderError {
    ProviderError::new(ErrorKind::NotFound, Code::ItemNotFound, operation)
}

impl ImapProvider {
    pub(crate) fn failed(&self, operation: &'static str, error: SessionError) -> ProviderError {
        failed(operation, error, &self.config)
    }

    /// Opens a folder as it is now.
    pub(crate) async fn open_folder(
        &self,
        ctx: &OpContext,
        session: &mut Session,
        operation: &'static str,
        folder: &FolderId,
        access: Access,
        since: Option<Since>,
    ) -> Result<()> {
        let name = folder.as_str();
        if name.is_empty() || !can_be_said(name) {
            return Err(no_folder(operation));
        }
        match session.select(ctx, name, access, since).await {
            Ok(_) => Ok(()),
            Err(SessionError::Refused { word, .. }) => {
                // Many servers say no without saying why.
                let folders = folders::list(ctx, session).await;
                let folders = folders.map_err(|error| self.failed(operation, error))?;
                let exists = folders.find(name).is_some_and(folders::can_be_opened);
                Err(folder_refused(operation, &word, &self.config, exists))
            }
            Err(error) => Err(self.failed(operation, error)),
        }
    }

    async fn folders(&self, ctx: &OpContext, operation: &'static str) -> Result<Folders> {
        let mut held = self.held.lock().await;
        let listed = async {
            let mut session = self.session(ctx, &mut held).await?;
            let folders = folders::list(ctx, &mut session).await?;
            held.session = Some(session);
            Ok(folders)
        };
        listed.await.map_err(|error| self.failed(operation, error))
    }

    async fn made(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        parent: Option<&FolderId>,
        name: &str,
    ) -> Result<FolderId> {
        let mut held = self.held.lock().await;
        let begun = self.session(ctx, &mut held).await;
        let mut session = begun.map_err(|error| self.failed(operation, error))?;
        let folders = folders::list(ctx, &mut session).await;
        let folders = folders.map_err(|error| self.failed(operation, error))?;
        let delimiter = folders.delimiter();
        let above = match parent {
            None => folders.prefix(),
            Some(parent) => {
                let found = folders.find(parent.as_str());
                let Some(delimiter) = found.map(|found| found.delimiter) else {
                    held.session = Some(session);
                    return Err(no_folder(operation));
                };
                let Some(delimiter) = delimiter else {
                    held.session = Some(session);
                    let error = ProviderError::unsupported(operation, "folders below folders");
                    return Err(error);
                };
                format!("{}{delimiter}", parent.as_str())
            }
        };
        let bad = name.trim().is_empty()
            || name.chars().any(char::is_control)
            || delimiter.is_some_and(|delimiter| name.contains(delimiter));
        if bad {
            held.session = Some(session);
            return Err(
                ProviderError::new(ErrorKind::InvalidInput, Code::InvalidInput, operation)
                    .with("field", "name"),
            );
        }
        let existing = folders.child(&above, name).map(|found| found.name.clone());
        let id = match existing {
            Some(id) => id,
            None => {
                let id = format!("{above}{}", utf7::encode(name));
                self.make(ctx, &mut session, operation, &id).await?;
                id
            }
        };
        held.session = Some(session);
        Ok(FolderId::new(id))
    }

    async fn make(
        &self,
        ctx: &OpContext,
        session: &mut Session,
        operation: &'static str,
        id: &str,
    ) -> Result<()> {
        let failed = |error| self.failed(operation, error);
        let create = Command::new("CREATE").string(id);
        let done = session
            .run(ctx, &create, &mut ignore)
            .await
            .map_err(failed)?;
        // Somebody else may have been faster.
        let exists = done.word.code_name() == Some("ALREADYEXISTS");
        if done.status != Status::Ok && !exists {
            let kind = (ErrorKind::PermissionDenied, Code::AccessDenied);
            let error = crate::error::item_refused(operation, &done.word, &self.config, kind);
            return Err(error.with_scope(postroom_core::Scope::Mailbox));
        }
        // Clients show folders that are subscribed to; whether it worked does not matter.
        let subscribe = Command::new("SUBSCRIBE").string(id);
        session
            .run(ctx, &subscribe, &mut ignore)
            .await
            .map_err(failed)?;
        Ok(())
    }
}

#[async_trait]
impl MailSource for ImapProvider {
    /// All folders, by LIST.
    ///
    /// # Cancellation
    /// Changes nothing on the server.
    async fn list_folders(&self, ctx: &OpContext) -> Result<Vec<Folder>> {
        const OPERATION: &str = "mail.list_folders";
        ctx.bounded(OPERATION, async {
            Ok(self.folders(ctx, OPERATION).await?.told())
        })
        .await
    }

    /// The folder with that role, by what the server says (SPECIAL-USE), or by its name.
    ///
    /// # Cancellation
    /// Changes nothing on the server.
    async fn find_folder(&self, ctx: &OpContext, role: WellKnownFolder) -> Result<FolderId> {
        const OPERATION: &str = "mail.find_folder";
        ctx.bounded(OPERATION, async {
            let folders = self.folders(ctx, OPERATION).await?;
            let found = folders.with_role(role);
            let found = found.ok_or_else(|| no_folder(OPERATION))?;
            Ok(FolderId::new(found.name.clone()))
        })
        .await
    }

    /// The folder of that name, made and subscribed to where it is missing.
    ///
    /// # Cancellation
    /// It may have been made.
    async fn ensure_folder(
        &self,
        ctx: &OpContext,
        parent: Option<&FolderId>,
        name: &str,
    ) -> Result<FolderId> {
        const OPERATION: &str = "mail.ensure_folder";
        ctx.bounded(OPERATION, self.made(ctx, OPERATION, parent, name))
            .await
    }

    /// What is new, and what is gone. Changes of flags are not told.
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
        let told = since
            .map(|since| Told::read(OPERATION, folder, since))
            .transpose()?;
        let limit = usize::try_from(limit.value()).unwrap_or(usize::MAX);
        ctx.bounded(OPERATION, async {
            let mut held = self.held.lock().await;
            self.page(ctx, &mut held, folder, since, told, limit).await
        })
        .await
    }

    /// Headers, by BODY.PEEK.
    ///
    /// # Cancellation
    /// Changes nothing on the server.
    async fn headers(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<MailHeaders>>> {
        const OPERATION: &str = "mail.headers";
        check_batch(OPERATION, ids)?;
        ctx.bounded(OPERATION, self.read_headers(ctx, OPERATION, folder, ids))
            .await
    }

    /// Whole messages, by BODY.PEEK: one command for all, large ones in parts.
    ///
    /// # Cancellation
    /// Changes nothing on the server. What was written to the spool vanishes.
    async fn fetch(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<FetchedMessage>>> {
        const OPERATION: &str = "mail.fetch";
        check_batch(OPERATION, ids)?;
        ctx.bounded(OPERATION, self.read_messages(ctx, OPERATION, folder, ids))
            .await
    }

    /// Moves messages, by MOVE; by COPY and expunging these alone where there is no MOVE. Without UIDPLUS
    /// either, only where nobody else has marked anything as deleted.
    ///
    /// # Cancellation
    /// Some may be moved; without MOVE, some may be in both folders.
    async fn move_to(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
        target: &FolderId,
    ) -> Result<Vec<Result<Option<RemoteId>>>> {
        const OPERATION: &str = "mail.move_to";
        check_batch(OPERATION, ids)?;
        ctx.bounded(OPERATION, self.moved(ctx, OPERATION, folder, ids, target))
            .await
    }

    /// Deletes messages: moves them to the folder for deleted things, or expunges these alone. Without
    /// UIDPLUS they are expunged only where nobody else has marked anything as deleted.
    ///
    /// # Cancellation
    /// Some may be deleted.
    async fn delete(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
        mode: DeleteMode,
    ) -> Result<Vec<Result<()>>> {
        const OPERATION: &str = "mail.delete";
        check_batch(OPERATION, ids)?;
        ctx.bounded(OPERATION, self.deleted(ctx, OPERATION, folder, ids, mode))
            .await
    }

    /// Ends the session, and with it the connection.
    ///
    /// # Cancellation
    /// The connection is closed all the same.
    async fn release(&self, ctx: &OpContext) -> Result<()> {
        const OPERATION: &str = "mail.release";
        // Whoever is still at it keeps it. It is taken out before anything is waited for: it is given up
        // however this call ends.
        let session = self.held.try_lock().ok().and_then(|mut held| {
            held.listing = None;
            held.session.take()
        });
        let Some(session) = session else {
            return Ok(());
        };
        let close = session.close(ctx);
        ctx.bounded(OPERATION, async {
            close.await.map_err(|error| self.failed(OPERATION, error))
        })
        .await
    }
}
