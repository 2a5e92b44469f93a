//! Memory providers by profile.

use std::sync::Arc;

use async_trait::async_trait;
use postroom_core::Code;
use postroom_provider::registry::ProbeOutcome;
use postroom_provider::{
    ErrorKind, OpContext, ProbeReport, Provider, ProviderError, ProviderFactory, ProviderRequest,
    Result,
};

use super::server::MemoryServer;

/// The name under which the factory registers.
pub(super) const NAME: &str = "memory";

/// Makes providers for the mailboxes of one [`MemoryServer`]; profiles call it `memory`.
///
/// Credentials are not looked at; a mailbox that the server does not have is found out by `probe`
/// and by the first operation, as on a real server.
#[derive(Clone, Debug)]
pub struct MemoryFactory {
    server: MemoryServer,
    name: String,
}

impl MemoryFactory {
    /// A factory for that server.
    #[must_use]
    pub fn new(server: MemoryServer) -> Self {
        Self {
            server,
            name: NAME.to_owned(),
        }
    }

    /// Registers under another name, to take the place of a real factory in a simulation.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

#[async_trait]
impl ProviderFactory for MemoryFactory {
    fn name(&self) -> &str {
        &self.name
    }

    fn create(&self, request: &ProviderRequest) -> Result<Arc<dyn Provider>> {
        self.server
            .provider(request.address.as_str())
            .ok_or_else(|| {
                ProviderError::new(
                    ErrorKind::NotFound,
                    Code::MailboxNotFound,
                    "provider.create",
                )
            })
    }

    async fn probe(&self, ctx: &OpContext, request: &ProviderRequest) -> ProbeReport {
        let mut report = ProbeReport::new();
        let Ok(provider) = self.create(request) else {
            let failed = ProbeOutcome::Failed(Code::MailboxNotFound);
            report.push("open inbox", failed, "the server has no such mailbox");
            return report;
        };
        let outcome = match provider.mail() {
            Some(mail) => mail.list_folders(ctx).await.map(|folders| folders.len()),
            None => Ok(0),
        };
        match outcome {
            Ok(folders) => report.push(
                "open inbox",
                ProbeOutcome::Passed,
                format!("{folders} folders"),
            ),
            Err(error) => report.push(
                "open inbox",
                ProbeOutcome::Failed(error.code()),
                error.to_string(),
            ),
        }
        report
    }
}
