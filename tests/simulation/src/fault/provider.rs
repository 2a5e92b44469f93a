//! A mail system, by the traits, that fails, loses answers, and from which the engine is cut off
//! when it dies. The probes that limits and gates are judged by are here, too.

use std::io::Read as _;
use std::sync::Arc;

use async_trait::async_trait;
use postroom_core::{Code, MailboxId, ProfileId, RawMessage, ServerProfile};
use postroom_provider::provider::ProviderInfo;
use postroom_provider::registry::{Credentials, ProbeOutcome};
use postroom_provider::{
    Capabilities, ChangePage, DeleteMode, ErrorKind, FetchedMessage, Folder, FolderId, MailChange,
    MailHeaders, MailSource, MailSubmitter, OpContext, PageLimit, ProbeReport, Provider,
    ProviderError, ProviderFactory, ProviderRequest, RemoteId, Result, Retry, SentItems,
    SentReceipt, Submission, SubmissionIdentity, SubmissionTrace, SyncCursor, Watcher,
    WellKnownFolder,
};

use postroom_core::outbox::StagedSubmission;

use super::plan::{FaultError, Seam};
use super::seams::{Seams, Spot};
use super::transport::{CALLER, Caller};
use crate::history::{CallEnd, Side};

const SEND: &str = "submit.send";

/// Makes providers behind the seams of one engine.
#[derive(Debug)]
pub struct FaultyFactory {
    inner: Arc<dyn ProviderFactory>,
    seams: Seams,
    over_http: bool,
}

impl FaultyFactory {
    /// A factory as that engine sees it. `over_http` where the providers make HTTP requests through
    /// a [`FaultyTransport`](super::FaultyTransport) of their own.
    #[must_use]
    pub fn new(inner: Arc<dyn ProviderFactory>, seams: Seams, over_http: bool) -> Self {
        Self {
            inner,
            seams,
            over_http,
        }
    }

    fn gate(&self, request: &ProviderRequest) -> Gate {
        let known = self.seams.directory().by_address(request.address.as_str());
        Gate {
            seams: self.seams.clone(),
            mailbox: known.map(|(_, id)| id),
            profile: request.profile.id,
            over_http: self.over_http,
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ProviderFactory for FaultyFactory {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn create(&self, request: &ProviderRequest) -> Result<Arc<dyn Provider>> {
        let inner = self.inner.create(request)?;
        let gate = self.gate(request);
        Ok(Arc::new(FaultyProvider { inner, gate }))
    }

    async fn probe(&self, ctx: &OpContext, request: &ProviderRequest) -> ProbeReport {
        let gate = self.gate(request);
        let probed = gate
            .pass(ctx, "provider.probe", Vec::new(), |ctx| async move {
                Ok(self.inner.probe(&ctx, request).await)
            })
            .await;
        probed.unwrap_or_else(|error| {
            let mut report = ProbeReport::new();
            let failed = ProbeOutcome::Failed(error.code());
            report.push("connect", failed, error.to_string());
            report
        })
    }

    async fn probe_account(
        &self,
        ctx: &OpContext,
        profile: &ServerProfile,
        credentials: Option<&Credentials>,
    ) -> ProbeReport {
        let gate = Gate {
            seams: self.seams.clone(),
            mailbox: None,
            profile: profile.id,
            over_http: self.over_http,
        };
        let probed = gate
            .pass(ctx, "provider.probe", Vec::new(), |ctx| async move {
                Ok(self.inner.probe_account(&ctx, profile, credentials).await)
            })
            .await;
        probed.unwrap_or_else(|error| {
            let mut report = ProbeReport::new();
            let failed = ProbeOutcome::Failed(error.code());
            report.push("connect", failed, error.to_string());
            report
        })
    }
}

/// The seams, and for whom.
#[derive(Debug)]
struct Gate {
    seams: Seams,
    mailbox: Option<MailboxId>,
    profile: ProfileId,
    over_http: bool,
}

/// Outcomes of single items, for the history.
trait Items {
    fn failed(&self, ids: &[String]) -> Vec<(String, String)>;
}

impl<T> Items for Vec<Result<T>> {
    fn failed(&self, ids: &[String]) -> Vec<(String, String)> {
        let pairs = ids.iter().zip(self);
        pairs
            .filter_map(|(id, outcome)| {
                let code = outcome.as_ref().err()?.code();
                Some((id.clone(), code.as_str().to_owned()))
            })
            .collect()
    }
}

macro_rules! whole {
    ($($ty:ty),*) => {
        $(impl Items for $ty {
            fn failed(&self, _: &[String]) -> Vec<(String, String)> {
                Vec::new()
            }
        })*
    };
}

whole!(
    Option<RemoteId>,
    Option<SentReceipt>,
    (),
    Vec<Folder>,
    FolderId,
    ChangePage<MailChange>,
    StagedSubmission,
    SentReceipt,
    SubmissionTrace,
    ProbeReport
);

impl Gate {
    async fn pass<T, F>(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        items: Vec<String>,
        effect: impl FnOnce(OpContext) -> F + Send,
    ) -> Result<T>
    where
        T: Items + Send,
        F: Future<Output = Result<T>> + Send,
    {
        let spot = Spot {
            seam: Seam::Provider,
            operation,
            mailbox: self.mailbox,
            profile: Some(self.profile),
            writes: matches!(
                operation,
                "mail.ensure_folder"
                    | "mail.move_to"
                    | "mail.delete"
                    | "submit.stage"
                    | SEND
                    | "submit.discard"
            ),
            behind: false,
            over_http: self.over_http,
        };
        let caller = Caller {
            mailbox: self.mailbox,
            profile: Some(self.profile),
        };
        let frozen = self.seams.thawed().await;
        let mut ctx = ctx.clone();
        // The clocks of a frozen process stand still: its time for this call is not over.
        ctx.deadline = ctx.deadline.map(|deadline| deadline.plus(frozen));
        let probed = items.clone();
        let probe = self.seams.probe(
            Side::Provider,
            self.mailbox,
            self.profile,
            operation,
            probed,
        );
        let guarded = self.seams.guard(
            spot,
            |error| failure(operation, error),
            |error: &ProviderError| error.code().to_string(),
            CALLER.scope(caller, effect(ctx.clone())),
        );
        // What comes late comes too late at the deadline; frozen clocks see to it that this is not so
        // for a process that was frozen.
        let answer = ctx.bounded(operation, guarded).await;
        let answer = answer.map_err(|error| match error.kind() {
            ErrorKind::Timeout if operation == SEND => error.with_retry(Retry::OutcomeUnknown),
            _ => error,
        });
        let (end, failed) = match &answer {
            Ok(answer) => (CallEnd::Ok, answer.failed(&items)),
            Err(error) => {
                let code = error.code().as_str().to_owned();
                (CallEnd::Failed { code }, Vec::new())
            }
        };
        probe.ended(end, failed);
        answer
    }
}

/// What an adapter says of a network that fails.
fn failure(operation: &'static str, error: FaultError) -> ProviderError {
    let unavailable = |code| ProviderError::new(ErrorKind::Unavailable, code, operation);
    let failed = match error {
        FaultError::Refused => unavailable(Code::ConnectionRefused),
        FaultError::TimedOut => {
            ProviderError::new(ErrorKind::Timeout, Code::ConnectionTimedOut, operation)
        }
        FaultError::Unserved(hint) => {
            let error = unavailable(Code::ServerUnavailable);
            error.with_retry(Retry::After(hint))
        }
        FaultError::Throttled(hint) => {
            let error = ProviderError::new(ErrorKind::RateLimited, Code::ServerBusy, operation);
            error.with_retry(Retry::After(hint))
        }
        FaultError::Html => unavailable(Code::ServerUnavailable),
        _ => unavailable(Code::ConnectionLost),
    };
    if error.is_ambiguous() && operation == SEND {
        failed.with_retry(Retry::OutcomeUnknown)
    } else {
        failed
    }
}

#[derive(Debug)]
struct FaultyProvider {
    inner: Arc<dyn Provider>,
    gate: Gate,
}

impl FaultyProvider {
    fn source(&self) -> &dyn MailSource {
        self.inner.mail().expect("asked for only where it is there")
    }

    fn sender(&self) -> &dyn MailSubmitter {
        let sender = self.inner.submitter();
        sender.expect("asked for only where it is there")
    }

    fn sent(&self) -> &dyn SentItems {
        let sent = self.inner.sent_items();
        sent.expect("asked for only where it is there")
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Provider for FaultyProvider {
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

fn ids(ids: &[RemoteId]) -> Vec<String> {
    ids.iter().map(|id| id.as_str().to_owned()).collect()
}

/// The marker of a message that is sent, so that the history can say which it was.
fn marker(raw: &RawMessage) -> Vec<String> {
    let mut bytes = Vec::new();
    if let Ok(mut reader) = raw.open() {
        let _ = reader.read_to_end(&mut bytes);
    }
    crate::post::marker_in(&bytes).into_iter().collect()
}

macro_rules! provider {
    ($trait:ident, $inner:ident: $($op:literal $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty [$items:expr];)*) => {
        #[deny(clippy::missing_trait_methods)]
        #[async_trait]
        impl $trait for FaultyProvider {
            $(async fn $name(&self, ctx: &OpContext, $($arg: $ty),*) -> Result<$ret> {
                let items: Vec<String> = $items;
                let effect = |ctx: OpContext| async move { self.$inner().$name(&ctx, $($arg),*).await };
                self.gate.pass(ctx, $op, items, effect).await
            })*
        }
    };
}

provider! { MailSource, source:
    "mail.list_folders" list_folders() -> Vec<Folder> [Vec::new()];
    "mail.find_folder" find_folder(role: WellKnownFolder) -> FolderId [Vec::new()];
    "mail.ensure_folder" ensure_folder(parent: Option<&FolderId>, name: &str) -> FolderId [Vec::new()];
    "mail.changes" changes(folder: &FolderId, since: Option<&SyncCursor>, limit: PageLimit)
        -> ChangePage<MailChange> [Vec::new()];
    "mail.headers" headers(folder: &FolderId, messages: &[RemoteId]) -> Vec<Result<MailHeaders>> [ids(messages)];
    "mail.fetch" fetch(folder: &FolderId, messages: &[RemoteId]) -> Vec<Result<FetchedMessage>> [ids(messages)];
    "mail.move_to" move_to(folder: &FolderId, messages: &[RemoteId], target: &FolderId)
        -> Vec<Result<Option<RemoteId>>> [ids(messages)];
    "mail.delete" delete(folder: &FolderId, messages: &[RemoteId], mode: DeleteMode) -> Vec<Result<()>> [ids(messages)];
    "mail.release" release() -> () [Vec::new()];
}

provider! { MailSubmitter, sender:
    "submit.stage" stage(submission: &Submission) -> StagedSubmission [marker(&submission.raw)];
    "submit.send" send(submission: &Submission, staged: Option<&StagedSubmission>) -> SentReceipt [marker(&submission.raw)];
    "submit.find" find(identity: &SubmissionIdentity) -> SubmissionTrace [Vec::new()];
    "submit.discard" discard(staged: &StagedSubmission) -> () [Vec::new()];
}

provider! { SentItems, sent:
    "sent.find_copy" find_copy(identity: &SubmissionIdentity) -> Option<SentReceipt> [Vec::new()];
    "sent.file_copy" file_copy(submission: &Submission) -> Option<RemoteId> [marker(&submission.raw)];
}
