//! The engine: builder, running, stopping.

use std::sync::Arc;

use postroom_core::HolderId;
use postroom_provider::context::{SystemClock, SystemRandomness};
use postroom_provider::{Clock, OpContext, ProviderRegistry, Randomness, Spool};
use postroom_store::{Crm, Store};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::bounds::Bounds;
use crate::environment::{CompiledRules, Environment};
use crate::error::{EngineError, ErrorKind, Result};
use crate::run::breakers::Breakers;
use crate::run::outage::OutageWatch;
use crate::run::providers::Providers;
use crate::run::scheduler;

/// Builds an [`Engine`]; everything but store, application and providers has a default.
#[derive(Debug)]
pub struct EngineBuilder {
    store: Arc<dyn Store>,
    crm: Arc<dyn Crm>,
    registry: ProviderRegistry,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    spool: Option<Spool>,
    holder: Option<HolderId>,
    bounds: Bounds,
    inline_parsing: bool,
}

impl EngineBuilder {
    /// Where time comes from (the machine).
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where randomness comes from (the operating system).
    #[must_use]
    pub fn randomness(mut self, randomness: Arc<dyn Randomness>) -> Self {
        self.randomness = randomness;
        self
    }

    /// Where large messages go while they are worked on (the system's temporary folder).
    #[must_use]
    pub fn spool(mut self, spool: Spool) -> Self {
        self.spool = Some(spool);
        self
    }

    /// The name under which leases are held (random).
    #[must_use]
    pub const fn holder(mut self, holder: HolderId) -> Self {
        self.holder = Some(holder);
        self
    }

    /// How much is done at once.
    #[must_use]
    pub const fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Parses messages on the calling task instead of on threads beside it: for simulations, which
    /// must come out the same each time.
    #[must_use]
    pub const fn inline_parsing(mut self) -> Self {
        self.inline_parsing = true;
        self
    }

    /// Builds the engine. Nothing runs yet, and the store is not claimed.
    ///
    /// # Errors
    /// `Unavailable` where no temporary folder can be used.
    pub fn build(self) -> Result<Engine> {
        let spool = match self.spool {
            Some(spool) => spool,
            None => Spool::in_temporary_folder().map_err(|error| {
                EngineError::new(
                    ErrorKind::Unavailable,
                    postroom_core::Code::StoreUnavailable,
                    "engine.build",
                )
                .with("what", "temporary folder")
                .with_source(error)
            })?,
        };
        let ctx = OpContext::new(self.clock, self.randomness, spool);
        let holder = self
            .holder
            .unwrap_or_else(|| HolderId::from_random(ctx.randomness.bytes16()));
        Ok(Engine {
            environment: Arc::new(Environment {
                joint: joint(self.store.as_ref(), self.crm.as_ref()),
                store: self.store,
                crm: self.crm,
                registry: self.registry,
                ctx,
                holder,
                providers: Providers::new(self.bounds.providers),
                bounds: self.bounds,
                breakers: Breakers::default(),
                outages: OutageWatch::default(),
                rules: CompiledRules::default(),
                wake: Notify::new(),
                inline_parsing: self.inline_parsing,
            }),
        })
    }
}

/// Whether the store writes the application's records in its own transactions.
fn joint(store: &dyn Store, crm: &dyn Crm) -> bool {
    let scope = store.transaction_scope();
    scope.is_some() && scope == crm.transaction_scope() && crm.resolves_provisional()
}

/// What one [`Engine::step`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepReport {
    /// Jobs that ran.
    pub jobs: u64,
    /// Cycles that ran.
    pub cycles: u64,
    /// Cycles that failed as a whole.
    pub failed: u64,
    /// Outgoing emails taken over from the application.
    pub taken_over: u64,
}

/// Keeps mailboxes and the application in step.
///
/// One engine may run on one store. Building one claims nothing: administration beside a running
/// engine is what [`Engine::admin`] is for.
#[derive(Clone, Debug)]
pub struct Engine {
    environment: Arc<Environment>,
}

impl Engine {
    /// Begins an engine on a store, the application's records and the mail systems it can reach.
    #[must_use]
    pub fn builder(
        store: Arc<dyn Store>,
        crm: Arc<dyn Crm>,
        registry: ProviderRegistry,
    ) -> EngineBuilder {
        EngineBuilder {
            store,
            crm,
            registry,
            clock: Arc::new(SystemClock::new()),
            randomness: Arc::new(SystemRandomness::new()),
            spool: None,
            holder: None,
            bounds: Bounds::default(),
            inline_parsing: false,
        }
    }

    /// Everything that an administrator can do, whether the engine runs or not.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::new(Arc::clone(&self.environment))
    }

    /// Runs until `cancellation` is set, then stops: cycles end at a safe point, leases are given
    /// back.
    ///
    /// # Errors
    /// `Locked` where another engine runs on the store; what the store answers where it cannot be
    /// used at all (`Corrupt`, `TooNew`, `Key`). A store that is unavailable for a while is waited
    /// for.
    pub async fn run(&self, cancellation: CancellationToken) -> Result<()> {
        let claim = self.environment.store.claim_engine().await?;
        let result = scheduler::run(&self.environment, &cancellation).await;
        drop(claim);
        result
    }

    /// Does everything that is due now, once, one after the other on the calling task: jobs, the
    /// application's outgoing email, every due workload. Spawns nothing.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn step(&self) -> Result<StepReport> {
        let claim = self.environment.store.claim_engine().await?;
        let report = scheduler::step(&self.environment).await;
        drop(claim);
        report
    }

    /// Runs in the background until the handle says stop. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(&self) -> EngineHandle {
        let cancellation = CancellationToken::new();
        let (engine, token) = (self.clone(), cancellation.clone());
        EngineHandle {
            admin: self.admin(),
            task: tokio::spawn(async move { engine.run(token).await }),
            cancellation,
        }
    }
}

/// A running engine. Dropped, it asks the engine to stop without waiting for it.
#[derive(Debug)]
pub struct EngineHandle {
    admin: Admin,
    cancellation: CancellationToken,
    task: JoinHandle<Result<()>>,
}

impl EngineHandle {
    /// Everything that an administrator can do.
    #[must_use]
    pub const fn admin(&self) -> &Admin {
        &self.admin
    }

    /// What stops the engine when it is set.
    #[must_use]
    pub const fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }

    /// Stops the engine and waits until it has.
    ///
    /// # Errors
    /// What [`Engine::run`] ended with.
    pub async fn stop(mut self) -> Result<()> {
        self.cancellation.cancel();
        self.join().await
    }

    /// Waits until the engine ends by itself or by its cancellation.
    ///
    /// # Errors
    /// What [`Engine::run`] ended with.
    pub async fn wait(mut self) -> Result<()> {
        self.join().await
    }

    async fn join(&mut self) -> Result<()> {
        match (&mut self.task).await {
            Ok(result) => result,
            Err(error) => Err(EngineError::new(
                ErrorKind::Internal,
                postroom_core::Code::Internal,
                "engine.run",
            )
            .with_source(error)),
        }
    }
}

impl Drop for EngineHandle {
    fn drop(&mut self) {
        self.cancellation.cancel();
    }
}
