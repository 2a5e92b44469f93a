//! Where the work of the store's methods is done.

use std::sync::Arc;

use postroom_core::Secret;
use postroom_store::{CycleRecord, EngineClaim, Result};

use super::claim::claim;
use super::{SqliteStore, schedule, secrets};
use crate::database::{Read, Write};
use crate::failure::Outcome;
use crate::seal::{KeySource, Seal};

impl SqliteStore {
    pub(super) async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Read<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        self.handle.read(operation, work).await
    }

    /// A read that is a single query.
    pub(super) async fn query<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Read<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        self.handle.query(operation, work).await
    }

    pub(super) async fn read_mapped<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Read<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        self.handle.read_mapped(operation, work).await
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Write<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        self.handle.write(operation, work).await
    }

    /// A write that may be behind.
    pub(super) async fn write_behind<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Write<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        self.handle.write_behind(operation, work).await
    }

    pub(super) async fn write_or_behind<T: Send + 'static>(
        &self,
        operation: &'static str,
        behind: bool,
        work: impl FnOnce(&mut Write<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        if behind {
            self.handle.write_behind(operation, work).await
        } else {
            self.handle.write(operation, work).await
        }
    }

    pub(super) async fn claim(&self) -> Result<Box<dyn EngineClaim>> {
        const OPERATION: &str = "engine.claim";
        let claim = claim(self.path())?;
        // Whoever holds a lease now is gone: it was killed, or dropped half way.
        let held = self.read(OPERATION, |db| schedule::any_held(db)).await?;
        if held {
            self.write(OPERATION, |db| schedule::release_all(db))
                .await?;
        }
        Ok(claim)
    }

    pub(super) async fn rotate(&self, key: &Secret) -> Result<u64> {
        const OPERATION: &str = "key.rotate";
        let seal = Seal::load(&KeySource::Text(key.clone()))
            .map(Arc::new)
            .map_err(|failure| failure.told(OPERATION))?;
        self.handle
            .with_database(OPERATION, move |database| {
                secrets::rotate_in(database, seal)
            })
            .await
    }
}

/// What became of each, as the caller is told.
pub(super) fn told<T>(operation: &'static str, outcomes: Vec<Outcome<T>>) -> Vec<Result<T>> {
    let told = |outcome: Outcome<T>| outcome.map_err(|failure| failure.told(operation));
    outcomes.into_iter().map(told).collect()
}

/// Whether a cycle leaves nothing that anybody would miss: it then runs again a little earlier.
pub(super) fn is_routine(cycle: &CycleRecord) -> bool {
    cycle.enabled && cycle.succeeded.is_some()
}
