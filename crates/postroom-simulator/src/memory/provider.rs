//! The provider itself.

use std::sync::Arc;

use postroom_provider::provider::ProviderInfo;
use postroom_provider::{Capabilities, MailSource, MailSubmitter, Provider};

use super::factory;
use super::server::MemoryServer;
use crate::model::AccountId;

/// One mailbox of a [`MemoryServer`], by the traits.
#[derive(Clone, Debug)]
pub struct MemoryProvider {
    pub(super) server: MemoryServer,
    pub(super) account: AccountId,
    info: ProviderInfo,
}

impl MemoryProvider {
    /// A provider for that account of the server.
    #[must_use]
    pub fn new(server: MemoryServer, account: AccountId) -> Self {
        Self {
            server,
            account,
            info: ProviderInfo::new(factory::NAME, "memory"),
        }
    }
}

impl Provider for MemoryProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn capabilities(&self) -> Arc<Capabilities> {
        Arc::clone(self.server.capabilities())
    }

    fn mail(&self) -> Option<&dyn MailSource> {
        self.server.capabilities().mail.then_some(self)
    }

    fn submitter(&self) -> Option<&dyn MailSubmitter> {
        self.server.capabilities().submit.then_some(self)
    }
}
