//! The embedded store with an engine on it.

use std::sync::Arc;

use postroom_core::organization::Deployment;
use postroom_core::{Organization, OrganizationId};
use postroom_engine::{Admin, Engine, EngineError};
use postroom_provider::context::SystemRandomness;
use postroom_provider::{ProviderRegistry, Randomness};
use postroom_store::{Crm, Store};
use postroom_store_sqlite::{SqliteCrm, SqliteStorage, StorageOptions};

use crate::default_providers;

/// The embedded store, the embedded records, and an engine on both that speaks to every mail system
/// that is switched on.
///
/// Nothing runs until [`Engine::run`], [`Engine::start`] or [`Engine::step`].
#[derive(Clone, Debug)]
pub struct Postroom {
    storage: SqliteStorage,
    engine: Engine,
}

impl Postroom {
    /// Makes a new store for an organization, and opens it. Blocks for a moment.
    ///
    /// # Errors
    /// What [`SqliteStorage::create`] answers.
    pub fn create(
        options: &StorageOptions,
        organization: &str,
        deployment: Deployment,
    ) -> Result<Self, EngineError> {
        let randomness: &dyn Randomness = &SystemRandomness::new();
        let id = OrganizationId::from_random(randomness.bytes16());
        let organization = Organization::new(id, organization, deployment);
        let storage = SqliteStorage::create(options, &organization)?;
        Self::on(storage, default_providers())
    }

    /// Opens a store. Blocks for a moment.
    ///
    /// # Errors
    /// What [`SqliteStorage::open`] answers.
    pub fn open(options: &StorageOptions) -> Result<Self, EngineError> {
        Self::on(SqliteStorage::open(options)?, default_providers())
    }

    /// Puts an engine on an open store, with mail systems of the caller's choice.
    ///
    /// # Errors
    /// `Unavailable` where no temporary folder can be used.
    pub fn on(storage: SqliteStorage, providers: ProviderRegistry) -> Result<Self, EngineError> {
        let crm: Arc<dyn Crm> = storage.crm();
        let engine = Engine::builder(storage.store(), crm, providers).build()?;
        Ok(Self { storage, engine })
    }

    /// The engine.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Everything that an administrator can do.
    #[must_use]
    pub fn admin(&self) -> Admin {
        self.engine.admin()
    }

    /// The embedded records.
    #[must_use]
    pub fn crm(&self) -> Arc<SqliteCrm> {
        self.storage.crm()
    }

    /// The engine's truth.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        self.storage.store()
    }

    /// The embedded store.
    #[must_use]
    pub const fn storage(&self) -> &SqliteStorage {
        &self.storage
    }
}
