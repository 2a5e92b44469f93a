//! Makes providers, pools their connections, probes servers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use postroom_core::{Code, ProfileId};
use postroom_net::probe::not_reached;
use postroom_net::{HttpTransport, NetError, ReqwestTransport, TransportSettings, probe};
use postroom_provider::registry::ProbeOutcome;
use postroom_provider::{
    MailSource as _, OpContext, ProbeReport, Provider, ProviderError, ProviderFactory,
    ProviderRequest, Result, WellKnownFolder,
};

use crate::config::EwsConfig;
use crate::provider::EwsProvider;

/// Most transports that are kept; with more identities than that the oldest settings go first.
const TRANSPORTS_MAX: usize = 1024;

/// Connections belong to a profile, an identity and the settings they were made with.
type PoolKey = (ProfileId, Option<String>, TransportSettings);

/// Makes [`EwsProvider`]s, for one of the kinds of Exchange.
///
/// ```
/// use postroom_ews::EwsFactory;
/// use postroom_provider::{ProviderFactory, ProviderRegistry};
/// use std::sync::Arc;
/// let registry = ProviderRegistry::new()
///     .with(Arc::new(EwsFactory::exchange_server()))
///     .with(Arc::new(EwsFactory::exchange_online()));
/// assert!(registry.find("exchange-server").is_ok());
/// ```
#[derive(Debug)]
pub struct EwsFactory {
    name: &'static str,
    fixed: Option<Arc<dyn HttpTransport>>,
    pool: Mutex<BTreeMap<PoolKey, Arc<dyn HttpTransport>>>,
}

impl EwsFactory {
    /// For Exchange Server: `exchange-server`.
    #[must_use]
    pub const fn exchange_server() -> Self {
        Self::named("exchange-server")
    }

    /// For Exchange Online, while it still speaks EWS: `exchange-online`.
    #[must_use]
    pub const fn exchange_online() -> Self {
        Self::named("exchange-online")
    }

    const fn named(name: &'static str) -> Self {
        Self {
            name,
            fixed: None,
            pool: Mutex::new(BTreeMap::new()),
        }
    }

    /// The same over another transport, for all profiles: a simulation, or one that records.
    #[must_use]
    pub fn with_transport(mut self, transport: Arc<dyn HttpTransport>) -> Self {
        self.fixed = Some(transport);
        self
    }

    fn transport(
        &self,
        request: &ProviderRequest,
    ) -> std::result::Result<Arc<dyn HttpTransport>, NetError> {
        if let Some(fixed) = &self.fixed {
            return Ok(Arc::clone(fixed));
        }
        let settings = TransportSettings::of_profile(&request.profile);
        let identity = request.credentials.as_ref().map(|c| c.user_name.clone());
        let key = (request.profile.id, identity, settings.clone());
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = pool.get(&key) {
            return Ok(Arc::clone(transport));
        }
        // What the profile's settings were before is not needed any more.
        pool.retain(|(profile, _, other), _| *profile != key.0 || *other == settings);
        if pool.len() >= TRANSPORTS_MAX {
            pool.pop_first();
        }
        let transport: Arc<dyn HttpTransport> = Arc::new(ReqwestTransport::new(settings)?);
        pool.insert(key, Arc::clone(&transport));
        Ok(transport)
    }

    fn provider(&self, request: &ProviderRequest) -> Result<EwsProvider> {
        let config = EwsConfig::of(request)?;
        let transport = self
            .transport(request)
            .map_err(|error| error.into_provider("provider.create"))?;
        Ok(EwsProvider::of_config(transport, config, self.name))
    }
}

#[async_trait]
impl ProviderFactory for EwsFactory {
    fn name(&self) -> &str {
        self.name
    }

    fn create(&self, request: &ProviderRequest) -> Result<Arc<dyn Provider>> {
        Ok(Arc::new(self.provider(request)?))
    }

    /// Steps: `resolve`, `connect`, `tls`, `http` (with a transport of its own only), then
    /// `authenticate`, `impersonate`, `open inbox`.
    async fn probe(&self, ctx: &OpContext, request: &ProviderRequest) -> ProbeReport {
        let mut report = ProbeReport::new();
        let provider = match self.provider(request) {
            Ok(provider) => provider,
            Err(error) => {
                report.push("configuration", failed(&error), error.to_string());
                not_reached(&mut report, &STEPS);
                return report;
            }
        };
        if self.fixed.is_none() && !self.reach(ctx, request, &provider, &mut report).await {
            let reached = report.steps.len();
            let rest: Vec<_> = STEPS.iter().copied().skip(reached).collect();
            not_reached(&mut report, &rest);
            return report;
        }
        open_inbox(ctx, &provider, &mut report).await;
        report
    }
}

const STEPS: [&str; 7] = [
    "resolve",
    "connect",
    "tls",
    "http",
    "authenticate",
    "impersonate",
    "open inbox",
];

impl EwsFactory {
    async fn reach(
        &self,
        ctx: &OpContext,
        request: &ProviderRequest,
        provider: &EwsProvider,
        report: &mut ProbeReport,
    ) -> bool {
        let config = provider.client.config();
        match self.transport(request) {
            Ok(transport) => {
                probe::probe(
                    ctx,
                    transport.as_ref(),
                    &config.url,
                    config.allow_plain_http,
                    report,
                )
                .await
            }
            Err(error) => {
                let error = error.into_provider("provider.probe");
                report.push("resolve", failed(&error), error.to_string());
                false
            }
        }
    }
}

fn failed(error: &ProviderError) -> ProbeOutcome {
    ProbeOutcome::Failed(error.code())
}

/// One request shows three things; its refusal says at which it ended.
async fn open_inbox(ctx: &OpContext, provider: &EwsProvider, report: &mut ProbeReport) {
    let opened = provider.find_folder(ctx, WellKnownFolder::Inbox).await;
    let impersonated = if provider.client.config().impersonate().is_some() {
        "the account may impersonate the mailbox"
    } else {
        "not used: the mailbox is opened without impersonation"
    };
    let product = provider
        .client
        .product()
        .unwrap_or_else(|| "Exchange".to_owned());
    match opened {
        Ok(_) => {
            report.push("authenticate", ProbeOutcome::Passed, product);
            report.push("impersonate", ProbeOutcome::Passed, impersonated);
            report.push("open inbox", ProbeOutcome::Passed, "the inbox can be read");
        }
        Err(error) => {
            let outcome = failed(&error);
            let evidence = error.to_string();
            match error.code() {
                Code::ImpersonationDenied | Code::MailboxNotFound => {
                    report.push("authenticate", ProbeOutcome::Passed, product);
                    report.push("impersonate", outcome, evidence);
                    not_reached(report, &["open inbox"]);
                }
                Code::AccessDenied | Code::FolderNotFound => {
                    report.push("authenticate", ProbeOutcome::Passed, product);
                    report.push("impersonate", ProbeOutcome::Passed, impersonated);
                    report.push("open inbox", outcome, evidence);
                }
                _ => {
                    report.push("authenticate", outcome, evidence);
                    not_reached(report, &["impersonate", "open inbox"]);
                }
            }
        }
    }
}
