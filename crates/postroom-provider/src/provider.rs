//! The traits.
//!
//! What a provider may lack has a body here that says so: an adapter writes what it offers. A
//! decorator must pass on every method; `clippy::missing_trait_methods` sees to it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use postroom_core::outbox::{SentReceipt, StagedSubmission};

use crate::capabilities::Capabilities;
use crate::context::OpContext;
use crate::error::{ProviderError, Result};
use crate::types::{
    ChangePage, DeleteMode, FetchedMessage, Folder, FolderId, MailChange, MailHeaders, PageLimit,
    RemoteId, Submission, SubmissionIdentity, SubmissionTrace, SyncCursor, WellKnownFolder,
};

/// What a provider is; fixed for its life.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderInfo {
    /// The name of its kind, as registered: `exchange-server`.
    pub kind: String,
    /// The protocol, for people: `EWS`.
    pub protocol: String,
}

impl ProviderInfo {
    /// A provider of that kind and protocol.
    #[must_use]
    pub fn new(kind: impl Into<String>, protocol: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            protocol: protocol.into(),
        }
    }
}

/// A mail system as seen by one mailbox.
///
/// # Contract
/// - Operations spawn nothing that outlives the call, and neither sleep nor retry on their own
///   (a version step-down that the protocol asks for is no retry).
/// - Every operation honours the deadline and the cancellation of its [`OpContext`], and says in
///   its documentation what a dropped future leaves behind on the server.
/// - A family that is missing is `None`; an option that is missing is `false` in [`Capabilities`]
///   and answers `Unsupported` before any byte is sent.
#[async_trait]
pub trait Provider: fmt::Debug + Send + Sync + 'static {
    /// What it is.
    fn info(&self) -> &ProviderInfo;

    /// What it offers, as negotiated with this server; may change after a fallback.
    fn capabilities(&self) -> Arc<Capabilities>;

    /// Reading mail, where it can.
    fn mail(&self) -> Option<&dyn MailSource> {
        None
    }

    /// Sending mail, where it can.
    fn submitter(&self) -> Option<&dyn MailSubmitter> {
        None
    }

    /// The copies of what was sent, where it keeps them and somebody else sends.
    fn sent_items(&self) -> Option<&dyn SentItems> {
        None
    }

    /// Hearing of changes, where the mail system tells them by itself.
    fn watcher(&self) -> Option<&dyn Watcher> {
        None
    }
}

/// Reading mail.
///
/// # Contract
/// - A batch gives one outcome per input, in input order; one bad item never fails the others.
/// - Ids are opaque and compared byte by byte. A message that moves may get another id.
/// - A batch of nothing gives nothing; one above [`Capabilities::mail_batch_max`] is `InvalidInput`.
/// - A page may repeat what an earlier one told, and never skips.
/// - Reading changes nothing on the server: nothing is marked as read.
#[async_trait]
pub trait MailSource: Send + Sync {
    /// All folders of the mailbox.
    ///
    /// # Errors
    /// Any but `CursorInvalid`, `Conflict` and `TooLarge`.
    async fn list_folders(&self, ctx: &OpContext) -> Result<Vec<Folder>>;

    /// The folder with that role.
    ///
    /// # Errors
    /// `NotFound` where the mailbox has none.
    async fn find_folder(&self, ctx: &OpContext, role: WellKnownFolder) -> Result<FolderId>;

    /// The folder of that name in `parent` (at the top where `None`), made where it is missing.
    /// Requires [`Capabilities::mail_create_folder`].
    ///
    /// # Behavior
    /// - Calling it again gives the same id. Names compare without case.
    ///
    /// # Errors
    /// `Unsupported`; `NotFound` where the parent is missing; `PermissionDenied`.
    async fn ensure_folder(
        &self,
        ctx: &OpContext,
        parent: Option<&FolderId>,
        name: &str,
    ) -> Result<FolderId> {
        let _ = (ctx, parent, name);
        let option = "mail_create_folder";
        Err(ProviderError::unsupported("mail.ensure_folder", option))
    }

    /// What changed in a folder since a cursor (everything, where `None`), one bounded page.
    ///
    /// # Behavior
    /// - A cursor may be used again and then answers at least what it answered before, as far as it
    ///   still holds.
    /// - It never restarts from zero by itself.
    /// - A page that says that there is more has another cursor than the one it was asked with.
    ///
    /// # Errors
    /// `CursorInvalid` where the server or provider does not know the cursor (any more), or it is of
    /// another folder: compare the folder with what is known, starting from `None`. `NotFound` where
    /// the folder is gone.
    async fn changes(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        since: Option<&SyncCursor>,
        limit: PageLimit,
    ) -> Result<ChangePage<MailChange>>;

    /// The headers of messages, at most [`Capabilities::mail_batch_max`] of them.
    ///
    /// # Errors
    /// For all: what concerns the connection or mailbox. For one: `NotFound`, `Corrupt`, `Protocol`.
    async fn headers(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<MailHeaders>>>;

    /// Whole messages, at most [`Capabilities::mail_batch_max`] of them, written to the spool of `ctx`.
    ///
    /// # Behavior
    /// - Memory stays within the spool's bounds whatever the size of the messages.
    ///
    /// # Errors
    /// As [`headers`](Self::headers), and `TooLarge` for one above the spool's limit.
    async fn fetch(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<FetchedMessage>>>;

    /// Moves messages to another folder; the new id where [`Capabilities::mail_move_tells_id`].
    /// Requires [`Capabilities::mail_move`].
    ///
    /// # Errors
    /// `Unsupported`; for one: `NotFound` where it is not there (any more).
    async fn move_to(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
        target: &FolderId,
    ) -> Result<Vec<Result<Option<RemoteId>>>> {
        let _ = (ctx, folder, ids, target);
        Err(ProviderError::unsupported("mail.move_to", "mail_move"))
    }

    /// Deletes messages.
    ///
    /// # Behavior
    /// - A message that is not there counts as deleted.
    ///
    /// # Errors
    /// For one: `PermissionDenied`.
    async fn delete(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
        mode: DeleteMode,
    ) -> Result<Vec<Result<()>>>;

    /// Nothing will be asked for a while: gives up what keeps others out of the mailbox, such as a session
    /// of POP3, or is kept open for nothing. The next call begins anew by itself. Means something with
    /// [`Capabilities::mail_exclusive`] and [`Capabilities::mail_keeps_connection`] only.
    ///
    /// # Errors
    /// Where the server does not agree; it is given up all the same.
    async fn release(&self, ctx: &OpContext) -> Result<()> {
        let _ = ctx;
        Ok(())
    }
}

/// Sending mail, recoverably.
///
/// # Contract
/// - An outcome that is not known is said to be unknown
///   ([`Retry::OutcomeUnknown`](crate::Retry::OutcomeUnknown)), never guessed.
/// - Any other error of [`send`](Self::send) means that surely nothing was sent.
/// - A submission without recipients, or above [`Capabilities::submit_size_max`] where that is
///   known, is refused before a byte is sent (`InvalidInput`, `TooLarge`).
#[async_trait]
pub trait MailSubmitter: Send + Sync {
    /// Leaves the message on the server as a draft, stamped with its key; nobody receives anything.
    /// Requires [`Capabilities::submit_staged`].
    ///
    /// # Cancellation
    /// A dropped future may leave a draft, which [`find`](Self::find) tells.
    ///
    /// # Errors
    /// `Unsupported`; `TooLarge`; `QuotaExceeded`. Nothing was sent, whatever the error.
    async fn stage(&self, ctx: &OpContext, submission: &Submission) -> Result<StagedSubmission> {
        let _ = (ctx, submission);
        Err(ProviderError::unsupported("submit.stage", "submit_staged"))
    }

    /// Sends a message: the draft where `staged` is given, the bytes otherwise.
    ///
    /// # Behavior
    /// - With a draft, repeating it is safe: the same draft is sent at most once, and a draft that
    ///   is no longer there is an unknown outcome, not a reason to send the bytes.
    ///
    /// # Cancellation
    /// A dropped future leaves the outcome unknown.
    ///
    /// # Errors
    /// `OutcomeUnknown` in [`ProviderError::retry`](crate::ProviderError::retry) where it may have
    /// been sent; anything else means that it was not.
    async fn send(
        &self,
        ctx: &OpContext,
        submission: &Submission,
        staged: Option<&StagedSubmission>,
    ) -> Result<SentReceipt>;

    /// Looks for a submission among drafts, waiting and sent messages.
    /// Requires [`Capabilities::submit_traceable`].
    ///
    /// # Errors
    /// `Unsupported`, and what concerns the connection or mailbox.
    async fn find(
        &self,
        ctx: &OpContext,
        identity: &SubmissionIdentity,
    ) -> Result<SubmissionTrace> {
        let _ = (ctx, identity);
        Err(ProviderError::unsupported(
            "submit.find",
            "submit_traceable",
        ))
    }

    /// Removes a draft that is not going to be sent. One that is not there counts as removed.
    /// Requires [`Capabilities::submit_staged`].
    ///
    /// # Errors
    /// `Unsupported`; `PermissionDenied`.
    async fn discard(&self, ctx: &OpContext, staged: &StagedSubmission) -> Result<()> {
        let _ = (ctx, staged);
        Err(ProviderError::unsupported(
            "submit.discard",
            "submit_staged",
        ))
    }
}

/// The copies of sent messages that a mailbox keeps, for a sender that cannot look there itself: with IMAP
/// and SMTP, one protocol sends and the other sees the mailbox.
///
/// # Contract
/// - Nothing here sends anything, and nothing that fails here says anything about whether something was sent.
#[async_trait]
pub trait SentItems: Send + Sync {
    /// Looks for the copy of a submission among the sent messages, by its key where copies carry one, and by its
    /// Message-ID. Requires [`Capabilities::sent_find`].
    ///
    /// # Behavior
    /// - `None` proves nothing: servers file late, or not at all.
    ///
    /// # Errors
    /// `Unsupported`, and what concerns the connection or mailbox. A mailbox without a place for sent messages
    /// has no copy: that is no error.
    async fn find_copy(
        &self,
        ctx: &OpContext,
        identity: &SubmissionIdentity,
    ) -> Result<Option<SentReceipt>> {
        let _ = (ctx, identity);
        Err(ProviderError::unsupported("sent.find_copy", "sent_find"))
    }

    /// Files a copy of what was sent, read already. Requires [`Capabilities::sent_file`].
    ///
    /// # Behavior
    /// - It does not look whether there is one: the caller knows whether the server files copies by itself
    ///   ([`Capabilities::sent_filed_by_server`]).
    ///
    /// # Errors
    /// `Unsupported`; `NotFound` where there is no place for it; `QuotaExceeded`; `TooLarge`.
    async fn file_copy(
        &self,
        ctx: &OpContext,
        submission: &Submission,
    ) -> Result<Option<RemoteId>> {
        let _ = (ctx, submission);
        Err(ProviderError::unsupported("sent.file_copy", "sent_file"))
    }
}

/// Hearing of changes instead of asking for them.
///
/// # Contract
/// - What is heard is a hint: whoever hears it asks for the changes. Hearing nothing proves nothing, so asking
///   goes on, more seldom.
/// - Waiting takes a connection of its own and keeps nobody out: other operations go on beside it. It is not
///   counted among them; whoever waits counts its connections.
#[async_trait]
pub trait Watcher: Send + Sync {
    /// Waits until a folder is not as it was told up to a cursor, or, without one, until anything changes.
    /// Requires [`Capabilities::watch`].
    ///
    /// # Behavior
    /// - Where the folder has changed already it returns at once: nothing falls between two calls.
    /// - It waits for as long as the context lets it, and keeps the connection alive.
    ///
    /// # Cancellation
    /// A dropped future gives the connection up, and changes nothing on the server.
    ///
    /// # Errors
    /// `Unsupported`; `CursorInvalid` as for [`MailSource::changes`]; `Timeout` at the deadline; what concerns
    /// the connection or mailbox.
    async fn wait(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        since: Option<&SyncCursor>,
    ) -> Result<()>;

    /// Nobody is going to wait for a while: gives the connection up.
    async fn rest(&self, ctx: &OpContext);
}

// The families are used as trait objects: keep them dyn-safe.
const _: fn(&dyn Provider, &dyn MailSource, &dyn MailSubmitter, &dyn SentItems) = |_, _, _, _| {};
const _: fn(&dyn Watcher) = |_| {};
