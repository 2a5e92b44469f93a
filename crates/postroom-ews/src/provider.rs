//! The provider of one mailbox.

use std::sync::Arc;

use async_trait::async_trait;
use postroom_net::HttpTransport;
use postroom_provider::{
    Capabilities, MailSource, MailSubmitter, Provider, ProviderInfo, ProviderRequest, Result,
};

use crate::client::EwsClient;
use crate::config::EwsConfig;
use crate::echo::LastIdle;
use crate::ops::sync_folder_items::PAGE_MAX;
use crate::ops::{Distinguished, FolderRef};

/// Most items of one GetItem, MoveItem or DeleteItem. Microsoft advises 10, others ask for 100 and
/// more; 25 to 50 were fastest here (`benches/fetch.rs`). A batch that is too heavy is cut off by the
/// server at one minute, and halved.
pub(crate) const BATCH_MAX: usize = 50;

/// Exchange takes requests of 64 MiB, of which Base64 leaves three quarters. Source: Microsoft Learn,
/// "Configure client-specific message size limits".
const SUBMIT_SIZE_MAX: u64 = 48 * 1024 * 1024;

/// Exchange by EWS, for one mailbox.
///
/// Cheap to make: connections belong to the transport, which is shared. The version that the server
/// speaks is found out by the first call and remembered.
#[derive(Debug)]
pub struct EwsProvider {
    pub(crate) client: EwsClient,
    pub(crate) idle: LastIdle,
    info: ProviderInfo,
}

impl EwsProvider {
    /// A provider over a transport.
    ///
    /// # Errors
    /// `ConfigInvalid` where the profile or the credentials do not suffice.
    pub fn new(transport: Arc<dyn HttpTransport>, request: &ProviderRequest) -> Result<Self> {
        let config = EwsConfig::of(request)?;
        Ok(Self::of_config(
            transport,
            config,
            request.profile.kind.provider_name(),
        ))
    }

    pub(crate) fn of_config(
        transport: Arc<dyn HttpTransport>,
        config: EwsConfig,
        kind: &str,
    ) -> Self {
        Self {
            client: EwsClient::new(transport, config),
            idle: LastIdle::default(),
            info: ProviderInfo::new(kind, "EWS"),
        }
    }

    /// A folder that EWS knows by name, in this mailbox.
    pub(crate) fn folder(&self, folder: Distinguished) -> FolderRef<'_> {
        FolderRef::Distinguished(folder, self.client.config().folder_owner())
    }
}

#[async_trait]
impl Provider for EwsProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn capabilities(&self) -> Arc<Capabilities> {
        let mut capabilities = Capabilities::default();
        capabilities.server_product = self.client.product();
        capabilities.mail = true;
        capabilities.mail_create_folder = true;
        capabilities.mail_move = true;
        capabilities.mail_move_tells_id = self.client.version().tells_new_ids();
        capabilities.mail_reports_deletions = true;
        capabilities.mail_batch_max = BATCH_MAX;
        capabilities.mail_page_max = PAGE_MAX;
        capabilities.submit = true;
        capabilities.submit_staged = true;
        capabilities.submit_traceable = true;
        capabilities.submit_files_copy = true;
        capabilities.submit_size_max = Some(SUBMIT_SIZE_MAX);
        Arc::new(capabilities)
    }

    fn mail(&self) -> Option<&dyn MailSource> {
        Some(self)
    }

    fn submitter(&self) -> Option<&dyn MailSubmitter> {
        Some(self)
    }
}
