//! What every operation works with.

use std::sync::{Arc, Mutex, PoisonError};

use postroom_core::ledger::FolderId;
use postroom_core::tracking::CorrelationRules;
use postroom_core::{HolderId, Mailbox, MailboxId, Organization, ServerProfile, Timestamp};
use postroom_provider::{OpContext, ProviderRegistry};
use postroom_store::{Crm, CycleStart, FolderState, Store};
use tokio::sync::Notify;

use crate::bounds::Bounds;
use crate::error::{EngineError, Result};
use crate::run::breakers::Breakers;
use crate::run::outage::OutageWatch;
use crate::run::providers::Providers;

/// What every operation works with. Shared by the engine and by administration, so that a change
/// made here wakes the scheduler at once.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) crm: Arc<dyn Crm>,
    pub(crate) registry: ProviderRegistry,
    pub(crate) ctx: OpContext,
    pub(crate) holder: HolderId,
    pub(crate) bounds: Bounds,
    pub(crate) providers: Providers,
    pub(crate) breakers: Breakers,
    pub(crate) outages: OutageWatch,
    pub(crate) rules: CompiledRules,
    /// Something became due by a call in this process.
    pub(crate) wake: Notify,
    /// The store writes the application's records in its own transactions.
    pub(crate) joint: bool,
    /// Messages are parsed where they are fetched, on no other thread.
    pub(crate) inline_parsing: bool,
}

/// A mailbox with everything that decisions about it need, as it is now.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) organization: Arc<Organization>,
    pub(crate) rules: Arc<CorrelationRules>,
    pub(crate) mailbox: Mailbox,
    pub(crate) profile: Option<Arc<ServerProfile>>,
    /// Where the reading of its folders stood when it was loaded, as far as the store said so.
    pub(crate) folders: Vec<(FolderId, FolderState)>,
    /// Whether anything may have been waiting to be worked on.
    pub(crate) pending: bool,
    /// Whether an attempt to send may have been under way.
    pub(crate) under_way: bool,
    /// Whether the outcome of an attempt to send may have been unknown.
    pub(crate) in_doubt: bool,
    /// What changes with every secret, where the store said so.
    pub(crate) secrets: Option<u64>,
}

impl Environment {
    pub(crate) fn now(&self) -> Timestamp {
        self.ctx.clock.now()
    }

    pub(crate) fn bytes16(&self) -> [u8; 16] {
        self.ctx.randomness.bytes16()
    }

    pub(crate) fn jitter(&self) -> u32 {
        u32::try_from(self.ctx.randomness.number() >> 32).unwrap_or_default()
    }

    /// What a cycle begins with.
    pub(crate) fn started(&self, start: CycleStart) -> Result<Loaded> {
        Ok(Loaded {
            rules: self.rules.of(&start.organization)?,
            organization: start.organization,
            mailbox: start.mailbox,
            profile: start.profile,
            folders: start.folders,
            pending: start.pending,
            under_way: start.under_way,
            in_doubt: start.in_doubt,
            secrets: start.secrets,
        })
    }

    pub(crate) async fn load(&self, mailbox: MailboxId) -> Result<Loaded> {
        let organization = Arc::new(self.store.organization().await?);
        let rules = self.rules.of(&organization)?;
        let mailbox = self
            .store
            .mailbox(mailbox)
            .await?
            .ok_or_else(|| EngineError::not_found("mailbox.load", "mailbox"))?;
        let profile = match mailbox.profile {
            Some(id) => self.store.profile(id).await?.map(Arc::new),
            None => None,
        };
        Ok(Loaded {
            organization,
            rules,
            mailbox,
            profile,
            folders: Vec::new(),
            pending: true,
            under_way: true,
            in_doubt: true,
            secrets: None,
        })
    }
}

/// The compiled correlation settings of the organization, compiled anew where they have changed.
#[derive(Debug, Default)]
pub(crate) struct CompiledRules(Mutex<Option<Arc<CorrelationRules>>>);

impl CompiledRules {
    pub(crate) fn of(&self, organization: &Organization) -> Result<Arc<CorrelationRules>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rules) = &*kept
            && *rules.settings() == organization.settings.correlation
        {
            return Ok(Arc::clone(rules));
        }
        Ok(Arc::clone(kept.insert(Arc::new(rules(organization)?))))
    }
}

/// The compiled correlation settings of an organization.
pub(crate) fn rules(organization: &Organization) -> Result<CorrelationRules> {
    CorrelationRules::new(organization.settings.correlation.clone())
        .map_err(|field| EngineError::fields("organization.rules", &[field]))
}
