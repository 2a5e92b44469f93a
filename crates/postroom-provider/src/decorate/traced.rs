//! What operations do, as tracing spans.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use postroom_core::MailboxId;
use postroom_core::outbox::{SentReceipt, StagedSubmission};
use tracing::{Instrument as _, Span, debug};

use crate::capabilities::Capabilities;
use crate::context::OpContext;
use crate::error::{ProviderError, Result};
use crate::provider::{MailSource, MailSubmitter, Provider, ProviderInfo, SentItems, Watcher};
use crate::types::{
    ChangePage, DeleteMode, FetchedMessage, Folder, FolderId, MailChange, MailHeaders, PageLimit,
    RemoteId, Submission, SubmissionIdentity, SubmissionTrace, SyncCursor, WellKnownFolder,
};

/// Puts each operation into a span `provider` with the fields `operation` and `mailbox`; inside,
/// one event says how it ended. Ids and codes only: an error is logged where it is handled.
pub struct Traced {
    inner: Arc<dyn Provider>,
    mailbox: MailboxId,
}

impl Traced {
    /// The provider of a mailbox, traced.
    #[must_use]
    pub fn new(inner: Arc<dyn Provider>, mailbox: MailboxId) -> Self {
        Self { inner, mailbox }
    }

    fn span(&self, operation: &'static str) -> Span {
        tracing::debug_span!("provider", operation, mailbox = %self.mailbox)
    }

    async fn traced<T>(
        &self,
        operation: &'static str,
        future: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        async {
            let outcome = future.await;
            match &outcome {
                Ok(_) => debug!("done"),
                Err(error) => debug!(code = %error.code(), "failed"),
            }
            outcome
        }
        .instrument(self.span(operation))
        .await
    }

    fn source(&self, operation: &'static str) -> Result<&dyn MailSource> {
        self.inner
            .mail()
            .ok_or_else(|| ProviderError::unsupported(operation, "mail"))
    }

    fn sender(&self, operation: &'static str) -> Result<&dyn MailSubmitter> {
        self.inner
            .submitter()
            .ok_or_else(|| ProviderError::unsupported(operation, "submit"))
    }

    fn sent(&self, operation: &'static str) -> Result<&dyn SentItems> {
        self.inner
            .sent_items()
            .ok_or_else(|| ProviderError::unsupported(operation, "sent"))
    }
}

impl fmt::Debug for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traced")
            .field("inner", &self.inner)
            .field("mailbox", &self.mailbox)
            .finish()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Provider for Traced {
    fn info(&self) -> &ProviderInfo {
        self.inner.info()
    }

    fn capabilities(&self) -> Arc<Capabilities> {
        self.inner.capabilities()
    }

    fn mail(&self) -> Option<&dyn MailSource> {
        self.inner.mail().map(|_| self as &dyn MailSource)
    }

    fn submitter(&self) -> Option<&dyn MailSubmitter> {
        self.inner.submitter().map(|_| self as &dyn MailSubmitter)
    }

    fn sent_items(&self) -> Option<&dyn SentItems> {
        self.inner.sent_items().map(|_| self as &dyn SentItems)
    }

    fn watcher(&self) -> Option<&dyn Watcher> {
        self.inner.watcher()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl MailSource for Traced {
    async fn list_folders(&self, ctx: &OpContext) -> Result<Vec<Folder>> {
        let source = self.source("mail.list_folders")?;
        self.traced("mail.list_folders", source.list_folders(ctx))
            .await
    }

    async fn find_folder(&self, ctx: &OpContext, role: WellKnownFolder) -> Result<FolderId> {
        let source = self.source("mail.find_folder")?;
        self.traced("mail.find_folder", source.find_folder(ctx, role))
            .await
    }

    async fn ensure_folder(
        &self,
        ctx: &OpContext,
        parent: Option<&FolderId>,
        name: &str,
    ) -> Result<FolderId> {
        let source = self.source("mail.ensure_folder")?;
        self.traced(
            "mail.ensure_folder",
            source.ensure_folder(ctx, parent, name),
        )
        .await
    }

    async fn changes(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        since: Option<&SyncCursor>,
        limit: PageLimit,
    ) -> Result<ChangePage<MailChange>> {
        let source = self.source("mail.changes")?;
        self.traced("mail.changes", source.changes(ctx, folder, since, limit))
            .await
    }

    async fn headers(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<MailHeaders>>> {
        let source = self.source("mail.headers")?;
        self.traced("mail.headers", source.headers(ctx, folder, ids))
            .await
    }

    async fn fetch(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<FetchedMessage>>> {
        let source = self.source("mail.fetch")?;
        self.traced("mail.fetch", source.fetch(ctx, folder, ids))
            .await
    }

    async fn move_to(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
        target: &FolderId,
    ) -> Result<Vec<Result<Option<RemoteId>>>> {
        let source = self.source("mail.move")?;
        self.traced("mail.move", source.move_to(ctx, folder, ids, target))
            .await
    }

    async fn delete(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
        mode: DeleteMode,
    ) -> Result<Vec<Result<()>>> {
        let source = self.source("mail.delete")?;
        self.traced("mail.delete", source.delete(ctx, folder, ids, mode))
            .await
    }

    async fn release(&self, ctx: &OpContext) -> Result<()> {
        let source = self.source("mail.release")?;
        self.traced("mail.release", source.release(ctx)).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl MailSubmitter for Traced {
    async fn stage(&self, ctx: &OpContext, submission: &Submission) -> Result<StagedSubmission> {
        let sender = self.sender("submit.stage")?;
        self.traced("submit.stage", sender.stage(ctx, submission))
            .await
    }

    async fn send(
        &self,
        ctx: &OpContext,
        submission: &Submission,
        staged: Option<&StagedSubmission>,
    ) -> Result<SentReceipt> {
        let sender = self.sender("submit.send")?;
        self.traced("submit.send", sender.send(ctx, submission, staged))
            .await
    }

    async fn find(
        &self,
        ctx: &OpContext,
        identity: &SubmissionIdentity,
    ) -> Result<SubmissionTrace> {
        let sender = self.sender("submit.find")?;
        self.traced("submit.find", sender.find(ctx, identity)).await
    }

    async fn discard(&self, ctx: &OpContext, staged: &StagedSubmission) -> Result<()> {
        let sender = self.sender("submit.discard")?;
        self.traced("submit.discard", sender.discard(ctx, staged))
            .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SentItems for Traced {
    async fn find_copy(
        &self,
        ctx: &OpContext,
        identity: &SubmissionIdentity,
    ) -> Result<Option<SentReceipt>> {
        let sent = self.sent("sent.find_copy")?;
        self.traced("sent.find_copy", sent.find_copy(ctx, identity))
            .await
    }

    async fn file_copy(
        &self,
        ctx: &OpContext,
        submission: &Submission,
    ) -> Result<Option<RemoteId>> {
        let sent = self.sent("sent.file_copy")?;
        self.traced("sent.file_copy", sent.file_copy(ctx, submission))
            .await
    }
}
