//! The server behind the memory providers.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use postroom_provider::{
    Capabilities, ErrorKind, OpContext, Provider, ProviderError, Result, Retry,
};

use super::defect::Defect;
use super::defective::DefectiveProvider;
use super::fault::{self, Armed, MemoryFault, MemoryFaultId, Verdict};
use super::provider::MemoryProvider;
use super::submitter;
use crate::model::{AccountId, MailSystem, Random};

/// Largest message that the server takes (150 MiB), as large servers do.
const MESSAGE_BYTES_MAX: u64 = 150 << 20;

/// A mail server that is reached by function calls. Cheap to clone; clones are the same server.
#[derive(Clone)]
pub struct MemoryServer {
    mail: Arc<MailSystem>,
    shared: Arc<Shared>,
    capabilities: Arc<Capabilities>,
    defect: Option<Defect>,
}

struct Shared {
    faults: Mutex<Faults>,
    requests: AtomicU64,
}

struct Faults {
    armed: Vec<Armed>,
    last: u64,
    random: Random,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            faults: Mutex::new(Faults {
                armed: Vec::new(),
                last: 0,
                random: Random::new(0),
            }),
            requests: AtomicU64::new(0),
        }
    }
}

impl fmt::Debug for MemoryServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryServer")
            .field("mail", &self.mail)
            .field("requests", &self.requests())
            .finish_non_exhaustive()
    }
}

impl MemoryServer {
    /// A server for these mailboxes that offers everything there is.
    #[must_use]
    pub fn new(mail: Arc<MailSystem>) -> Self {
        Self {
            mail,
            shared: Arc::default(),
            capabilities: Arc::new(everything()),
            defect: None,
        }
    }

    /// The same server as seen by providers that offer something else: switch options off to get
    /// what POP3 or a plain IMAP server would offer. Options are obeyed, limits too.
    #[must_use]
    pub fn with_capabilities(mut self, change: impl FnOnce(&mut Capabilities)) -> Self {
        change(Arc::make_mut(&mut self.capabilities));
        self
    }

    /// The same server as seen by providers that break a promise.
    #[must_use]
    pub const fn with_defect(mut self, defect: Defect) -> Self {
        self.defect = Some(defect);
        self
    }

    /// The mailboxes: a back door for tests.
    #[must_use]
    pub const fn mail(&self) -> &Arc<MailSystem> {
        &self.mail
    }

    /// What its providers offer.
    #[must_use]
    pub const fn capabilities(&self) -> &Arc<Capabilities> {
        &self.capabilities
    }

    /// The same server, its faults drawing their chances from that seed.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        self.faults().random = Random::new(seed);
        self
    }

    /// Switches a fault on, in addition to those that are on.
    #[expect(
        clippy::must_use_candidate,
        reason = "most tests never switch a single fault off"
    )]
    pub fn arm(&self, fault: MemoryFault) -> MemoryFaultId {
        let mut faults = self.faults();
        faults.last = faults.last.saturating_add(1);
        let id = MemoryFaultId(faults.last);
        faults.armed.push(Armed { id, fault, hits: 0 });
        id
    }

    /// Switches all faults off.
    pub fn disarm(&self) {
        self.faults().armed.clear();
    }

    /// Switches one fault off; answers how often it struck, where it was still on.
    #[expect(
        clippy::must_use_candidate,
        reason = "the number is for those who count"
    )]
    pub fn disarm_one(&self, id: MemoryFaultId) -> u64 {
        let mut faults = self.faults();
        let armed = faults.armed.iter().find(|armed| armed.id == id);
        let hits = armed.map_or(0, |armed| armed.hits);
        faults.armed.retain(|armed| armed.id != id);
        hits
    }

    /// How many requests have arrived, answered or not.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// A provider for the mailbox with that address; `None` where there is none.
    #[must_use]
    pub fn provider(&self, address: &str) -> Option<Arc<dyn Provider>> {
        let account = self.mail.account(address)?;
        let first = self.mail.accounts().first().copied();
        let provider = |account| MemoryProvider::new(self.clone(), account);
        Some(match self.defect {
            None => Arc::new(provider(account)),
            Some(defect @ Defect::ServesTheFirstMailbox) => {
                Arc::new(DefectiveProvider::new(provider(first?), defect))
            }
            Some(defect) => Arc::new(DefectiveProvider::new(provider(account), defect)),
        })
    }

    fn faults(&self) -> std::sync::MutexGuard<'_, Faults> {
        self.shared
            .faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn verdict(&self, operation: &'static str, account: AccountId) -> Verdict {
        self.shared.requests.fetch_add(1, Ordering::SeqCst);
        let address = self
            .mail
            .account_info(account)
            .map(|info| info.address.clone())
            .unwrap_or_default();
        let mut faults = self.faults();
        let Faults { armed, random, .. } = &mut *faults;
        fault::weigh(armed, operation, &address, random)
    }

    /// One request: faults, deadline and cancellation first, then `effect` in one piece.
    pub(super) async fn request<T, E>(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        account: AccountId,
        effect: E,
    ) -> Result<T>
    where
        T: Send,
        E: FnOnce(&Verdict) -> Result<T> + Send,
    {
        let mut begun = false;
        let answer = ctx
            .bounded(operation, async {
                let mut verdict = self.verdict(operation, account);
                begun = true;
                if !verdict.delay.is_zero() {
                    ctx.clock.sleep(verdict.delay).await;
                }
                if let Some(refusal) = verdict.refusal.take() {
                    return Err(refusal);
                }
                let answer = effect(&verdict)?;
                if verdict.lost {
                    return Err(fault::lost(operation));
                }
                Ok(answer)
            })
            .await;
        answer.map_err(|error| match error.kind() {
            // The client cannot know how far the server got with a request that it gave up on.
            ErrorKind::Timeout | ErrorKind::Cancelled if begun && operation == submitter::SEND => {
                error.with_retry(Retry::OutcomeUnknown)
            }
            _ => error,
        })
    }
}

fn everything() -> Capabilities {
    let mut capabilities = Capabilities::default();
    capabilities.server_product = Some("Postroom memory".to_owned());
    capabilities.mail = true;
    capabilities.mail_create_folder = true;
    capabilities.mail_move = true;
    capabilities.mail_move_tells_id = true;
    capabilities.mail_reports_deletions = true;
    capabilities.mail_batch_max = 50;
    capabilities.mail_page_max = 256;
    capabilities.submit = true;
    capabilities.submit_staged = true;
    capabilities.submit_traceable = true;
    capabilities.submit_files_copy = true;
    capabilities.submit_size_max = Some(MESSAGE_BYTES_MAX);
    capabilities
}

/// An option that is off answers before anything is sent.
pub(super) fn require(offered: bool, operation: &'static str, option: &'static str) -> Result<()> {
    if offered {
        Ok(())
    } else {
        Err(ProviderError::unsupported(operation, option))
    }
}
