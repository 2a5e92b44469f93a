//! A memory provider with one defect: right but for the promise that the defect breaks.
//!
//! The defects are kept out of the provider itself, so that it reads as a provider should.

mod source;
mod submitter;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postroom_core::Code;
use postroom_provider::provider::ProviderInfo;
use postroom_provider::{
    Capabilities, ErrorKind, MailSource, MailSubmitter, OpContext, Provider, ProviderError,
    RemoteId, Result, Retry,
};
use tokio_util::sync::CancellationToken;

use super::defect::Defect;
use super::provider::MemoryProvider;

/// Tells instances apart.
static INSTANCES: AtomicU64 = AtomicU64::new(0);

/// A provider that breaks a promise.
#[derive(Debug)]
pub(super) struct DefectiveProvider {
    inner: MemoryProvider,
    defect: Defect,
    instance: u64,
    info: ProviderInfo,
    capabilities: Arc<Capabilities>,
    broken: AtomicBool,
    busy: AtomicU32,
    memory: Mutex<Memory>,
}

/// What some defects remember from call to call.
#[derive(Debug, Default)]
struct Memory {
    told: BTreeSet<RemoteId>,
    snapshot: Option<BTreeSet<RemoteId>>,
    used: BTreeSet<String>,
    deleted: BTreeSet<RemoteId>,
    discarded: BTreeSet<RemoteId>,
}

impl DefectiveProvider {
    pub(super) fn new(inner: MemoryProvider, defect: Defect) -> Self {
        let mut info = inner.info().clone();
        let mut capabilities = (*inner.capabilities()).clone();
        match defect {
            Defect::NamelessKind => info.kind.clear(),
            Defect::BatchOfNothing => capabilities.mail_batch_max = 0,
            Defect::WorksAgainstItsWord | Defect::AsksBeforeRefusing => {
                capabilities.mail_create_folder = false;
                capabilities.submit_traceable = false;
            }
            _ => {}
        }
        Self {
            inner,
            defect,
            instance: INSTANCES.fetch_add(1, Ordering::SeqCst),
            info,
            capabilities: Arc::new(capabilities),
            broken: AtomicBool::new(false),
            busy: AtomicU32::new(0),
            memory: Mutex::default(),
        }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The context as the provider below gets to see it.
    fn context(&self, ctx: &OpContext) -> OpContext {
        let mut seen = ctx.clone();
        match self.defect {
            Defect::IgnoresCancellation => seen.cancellation = CancellationToken::new(),
            Defect::IgnoresDeadline => seen.deadline = None,
            _ => {}
        }
        seen
    }

    /// Runs a call with the defects that concern every operation.
    async fn call<T, F>(&self, operation: &'static str, call: F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        let unavailable =
            || ProviderError::new(ErrorKind::Unavailable, Code::ServerUnavailable, operation);
        if self.broken.load(Ordering::SeqCst) {
            return Err(unavailable());
        }
        let others = self.busy.fetch_add(1, Ordering::SeqCst);
        if self.has(Defect::OneCallAtATime) {
            // Long enough for another call to begin.
            tokio::task::yield_now().await;
        }
        if self.has(Defect::WedgesWhenDropped) && others > 0 {
            return Err(unavailable());
        }
        let answer = call.await;
        let others = self.busy.fetch_sub(1, Ordering::SeqCst).saturating_sub(1);
        if self.has(Defect::OneCallAtATime) && others > 0 {
            return Err(unavailable());
        }
        answer.map_err(|error| self.misreported(error))
    }

    /// What the defect makes of an error.
    fn misreported(&self, error: ProviderError) -> ProviderError {
        let unavailable = error.kind() == ErrorKind::Unavailable;
        match self.defect {
            Defect::UnavailableIsForGood if unavailable => error.with_retry(Retry::Never),
            Defect::DropsTheHint if error.kind() == ErrorKind::RateLimited => {
                error.with_retry(Retry::After(None))
            }
            Defect::BreaksForGood if unavailable => {
                self.broken.store(true, Ordering::SeqCst);
                error
            }
            _ => error,
        }
    }

    /// Whether an option that is not offered is refused; the server may be asked first.
    async fn refuses(&self, ctx: &OpContext, operation: &'static str) -> Result<()> {
        match self.defect {
            Defect::PromisesWithoutKeeping => {
                Err(ProviderError::unsupported(operation, "conformance"))
            }
            Defect::AsksBeforeRefusing => {
                self.inner.list_folders(ctx).await?;
                Err(ProviderError::unsupported(operation, "conformance"))
            }
            _ => Ok(()),
        }
    }
}

impl Provider for DefectiveProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn capabilities(&self) -> Arc<Capabilities> {
        Arc::clone(&self.capabilities)
    }

    fn mail(&self) -> Option<&dyn MailSource> {
        (self.capabilities.mail && !self.has(Defect::FamilyMissing)).then_some(self)
    }

    fn submitter(&self) -> Option<&dyn MailSubmitter> {
        self.capabilities.submit.then_some(self)
    }
}
