//! At most so many operations at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use postroom_core::outbox::{SentReceipt, StagedSubmission};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::capabilities::Capabilities;
use crate::context::OpContext;
use crate::error::{ErrorKind, ProviderError, Result};
use crate::provider::{MailSource, MailSubmitter, Provider, ProviderInfo, SentItems, Watcher};
use crate::types::{
    ChangePage, DeleteMode, FetchedMessage, Folder, FolderId, MailChange, MailHeaders, PageLimit,
    RemoteId, Submission, SubmissionIdentity, SubmissionTrace, SyncCursor, WellKnownFolder,
};

/// Lets at most so many operations run at a time; the others wait, in order, as long as their
/// context lets them. Providers that share a semaphore share the limit.
///
/// # Cancellation
/// A dropped future gives its place back.
pub struct Limited {
    inner: Arc<dyn Provider>,
    permits: Arc<Semaphore>,
}

impl Limited {
    /// A provider within a limit.
    #[must_use]
    pub fn new(inner: Arc<dyn Provider>, permits: Arc<Semaphore>) -> Self {
        Self { inner, permits }
    }

    async fn permit(
        &self,
        ctx: &OpContext,
        operation: &'static str,
    ) -> Result<OwnedSemaphorePermit> {
        wait(ctx, operation, &self.permits).await
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

impl fmt::Debug for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limited")
            .field("inner", &self.inner)
            .field("free", &self.permits.available_permits())
            .finish()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Provider for Limited {
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

    /// Not counted: waiting has connections of its own.
    fn watcher(&self) -> Option<&dyn Watcher> {
        self.inner.watcher()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl MailSource for Limited {
    async fn list_folders(&self, ctx: &OpContext) -> Result<Vec<Folder>> {
        let source = self.source("mail.list_folders")?;
        let _permit = self.permit(ctx, "mail.list_folders").await?;
        source.list_folders(ctx).await
    }

    async fn find_folder(&self, ctx: &OpContext, role: WellKnownFolder) -> Result<FolderId> {
        let source = self.source("mail.find_folder")?;
        let _permit = self.permit(ctx, "mail.find_folder").await?;
        source.find_folder(ctx, role).await
    }

    async fn ensure_folder(
        &self,
        ctx: &OpContext,
        parent: Option<&FolderId>,
        name: &str,
    ) -> Result<FolderId> {
        let source = self.source("mail.ensure_folder")?;
        let _permit = self.permit(ctx, "mail.ensure_folder").await?;
        source.ensure_folder(ctx, parent, name).await
    }

    async fn changes(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        since: Option<&SyncCursor>,
        limit: PageLimit,
    ) -> Result<ChangePage<MailChange>> {
        let source = self.source("mail.changes")?;
        let _permit = self.permit(ctx, "mail.changes").await?;
        source.changes(ctx, folder, since, limit).await
    }

    async fn headers(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<MailHeaders>>> {
        let source = self.source("mail.headers")?;
        let _permit = self.permit(ctx, "mail.headers").await?;
        source.headers(ctx, folder, ids).await
    }

    async fn fetch(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<FetchedMessage>>> {
        let source = self.source("mail.fetch")?;
        let _permit = self.permit(ctx, "mail.fetch").await?;
        source.fetch(ctx, folder, ids).await
    }

    async fn move_to(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
        target: &FolderId,
    ) -> Result<Vec<Result<Option<RemoteId>>>> {
        let source = self.source("mail.move")?;
        let _permit = self.permit(ctx, "mail.move").await?;
        source.move_to(ctx, folder, ids, target).await
    }

    async fn delete(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
        mode: DeleteMode,
    ) -> Result<Vec<Result<()>>> {
        let source = self.source("mail.delete")?;
        let _permit = self.permit(ctx, "mail.delete").await?;
        source.delete(ctx, folder, ids, mode).await
    }

    async fn release(&self, ctx: &OpContext) -> Result<()> {
        // Giving up takes no place of its own.
        self.source("mail.release")?.release(ctx).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl MailSubmitter for Limited {
    async fn stage(&self, ctx: &OpContext, submission: &Submission) -> Result<StagedSubmission> {
        let sender = self.sender("submit.stage")?;
        let _permit = self.permit(ctx, "submit.stage").await?;
        sender.stage(ctx, submission).await
    }

    async fn send(
        &self,
        ctx: &OpContext,
        submission: &Submission,
        staged: Option<&StagedSubmission>,
    ) -> Result<SentReceipt> {
        let sender = self.sender("submit.send")?;
        let _permit = self.permit(ctx, "submit.send").await?;
        sender.send(ctx, submission, staged).await
    }

    async fn find(
        &self,
        ctx: &OpContext,
        identity: &SubmissionIdentity,
    ) -> Result<SubmissionTrace> {
        let sender = self.sender("submit.find")?;
        let _permit = self.permit(ctx, "submit.find").await?;
        sender.find(ctx, identity).await
    }

    async fn discard(&self, ctx: &OpContext, staged: &StagedSubmission) -> Result<()> {
        let sender = self.sender("submit.discard")?;
        let _permit = self.permit(ctx, "submit.discard").await?;
        sender.discard(ctx, staged).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SentItems for Limited {
    async fn find_copy(
        &self,
        ctx: &OpContext,
        identity: &SubmissionIdentity,
    ) -> Result<Option<SentReceipt>> {
        let sent = self.sent("sent.find_copy")?;
        let _permit = self.permit(ctx, "sent.find_copy").await?;
        sent.find_copy(ctx, identity).await
    }

    async fn file_copy(
        &self,
        ctx: &OpContext,
        submission: &Submission,
    ) -> Result<Option<RemoteId>> {
        let sent = self.sent("sent.file_copy")?;
        let _permit = self.permit(ctx, "sent.file_copy").await?;
        sent.file_copy(ctx, submission).await
    }
}

/// The limits in force, by what they count for: a profile, or one of its mailboxes.
///
/// A limit lives as long as a [`Limited`] provider or a [`Connection`] uses it, so that its number can
/// change with the next provider that is made. While two numbers are in use each is kept on its own.
#[derive(Debug)]
pub struct ConnectionLimits<K> {
    known: Mutex<BTreeMap<(K, usize), Weak<Semaphore>>>,
}

impl<K: Ord + Clone> ConnectionLimits<K> {
    /// No limits yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            known: Mutex::new(BTreeMap::new()),
        }
    }

    /// The provider within the limit of `key`; a limit of zero counts as one.
    ///
    /// ```
    /// # fn f(provider: std::sync::Arc<dyn postroom_provider::Provider>) {
    /// use postroom_provider::decorate::ConnectionLimits;
    /// let limits = ConnectionLimits::new();
    /// let limited = limits.limit(&"profile 1", 10, provider);
    /// # }
    /// ```
    ///
    /// # Errors
    /// `ConfigInvalid` where the number is beyond what can be counted.
    pub fn limit(&self, key: &K, max: usize, provider: Arc<dyn Provider>) -> Result<Limited> {
        Ok(Limited::new(provider, self.semaphore(key, max)?))
    }

    fn semaphore(&self, key: &K, max: usize) -> Result<Arc<Semaphore>> {
        if max > Semaphore::MAX_PERMITS {
            return Err(ProviderError::new(
                ErrorKind::ConfigInvalid,
                postroom_core::Code::ConfigurationInvalid,
                "provider.limit",
            ));
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, semaphore| semaphore.strong_count() > 0);
        let entry = (key.clone(), max);
        let semaphore = known.get(&entry).and_then(Weak::upgrade);
        let semaphore = semaphore.unwrap_or_else(|| {
            let made = Arc::new(Semaphore::new(max.max(1)));
            known.insert(entry, Arc::downgrade(&made));
            made
        });
        Ok(semaphore)
    }
}

impl<K: Ord + Clone + Send + Sync> ConnectionLimits<K> {
    /// A connection within the limit of `key`, for what is asked without a provider; waits for it as
    /// long as the context lets it.
    ///
    /// # Errors
    /// `Cancelled` or `Timeout`; `ConfigInvalid` where the number is beyond what can be counted.
    pub async fn connection(&self, ctx: &OpContext, key: &K, max: usize) -> Result<Connection> {
        let permits = self.semaphore(key, max)?;
        wait(ctx, "provider.connection", &permits)
            .await
            .map(Connection)
    }
}

/// One of so many connections, for as long as it is kept.
#[derive(Debug)]
#[must_use = "it is given back when it is dropped"]
pub struct Connection(
    #[expect(dead_code, reason = "dropping it is all there is to do")] OwnedSemaphorePermit,
);

async fn wait(
    ctx: &OpContext,
    operation: &'static str,
    permits: &Arc<Semaphore>,
) -> Result<OwnedSemaphorePermit> {
    ctx.bounded(operation, async {
        Arc::clone(permits).acquire_owned().await.map_err(|closed| {
            // Closed by whoever owns it: the engine is stopping.
            ProviderError::cancelled(operation).with_source(closed)
        })
    })
    .await
}

impl<K: Ord + Clone> Default for ConnectionLimits<K> {
    fn default() -> Self {
        Self::new()
    }
}
