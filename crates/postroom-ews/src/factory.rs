//! Makes providers, pools their connections, probes servers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use postroom_core::{Code, ProfileId, Scope, ServerProfile};
use postroom_net::probe::not_reached;
use postroom_net::{HttpTransport, NetError, ReqwestTransport, TransportSettings, probe};
use postroom_provider::registry::{Credentials, ProbeOutcome};
use postroom_provider::{
    FolderId, MailSource as _, OpContext, ProbeReport, Provider, ProviderError, ProviderFactory,
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
        profile: &ServerProfile,
        credentials: Option<&Credentials>,
    ) -> std::result::Result<Arc<dyn HttpTransport>, NetError> {
        if let Some(fixed) = &self.fixed {
            return Ok(Arc::clone(fixed));
        }
        let settings = TransportSettings::of_profile(profile);
        let identity = credentials.map(|c| c.user_name.clone());
        let key = (profile.id, identity, settings.clone());
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

    fn provider(
        &self,
        profile: &ServerProfile,
        credentials: Option<&Credentials>,
        config: EwsConfig,
    ) -> Result<EwsProvider> {
        let transport = self
            .transport(profile, credentials)
            .map_err(|error| error.into_provider("provider.create"))?;
        Ok(EwsProvider::of_config(transport, config, self.name))
    }

    fn provider_of(&self, request: &ProviderRequest) -> Result<EwsProvider> {
        let credentials = request.credentials.as_ref();
        self.provider(&request.profile, credentials, EwsConfig::of(request)?)
    }
}

#[async_trait]
impl ProviderFactory for EwsFactory {
    fn name(&self) -> &str {
        self.name
    }

    fn create(&self, request: &ProviderRequest) -> Result<Arc<dyn Provider>> {
        Ok(Arc::new(self.provider_of(request)?))
    }

    /// Steps: `resolve`, `connect`, `tls`, `http` (with a transport of its own only), then
    /// `authenticate`, `impersonate`, `open inbox`. Where the Inbox opens, that is the only request.
    async fn probe(&self, ctx: &OpContext, request: &ProviderRequest) -> ProbeReport {
        let account = request.credentials.is_some();
        self.walk(ctx, self.provider_of(request), account).await
    }

    /// The same steps; the last two are not reached.
    async fn probe_account(
        &self,
        ctx: &OpContext,
        profile: &ServerProfile,
        credentials: Option<&Credentials>,
    ) -> ProbeReport {
        let provider = EwsConfig::of_account(profile, credentials)
            .and_then(|config| self.provider(profile, credentials, config));
        self.walk(ctx, provider, credentials.is_some()).await
    }
}

/// The steps behind those of the network.
const SIGN_IN: [&str; 3] = ["authenticate", "impersonate", "open inbox"];

impl EwsFactory {
    async fn walk(
        &self,
        ctx: &OpContext,
        provider: Result<EwsProvider>,
        signs_in: bool,
    ) -> ProbeReport {
        let mut report = ProbeReport::new();
        let provider = match provider {
            Ok(provider) => provider,
            Err(error) => {
                report.push("configuration", failed(&error), error.to_string());
                not_reached(&mut report, &probe::STEPS);
                not_reached(&mut report, &SIGN_IN);
                return report;
            }
        };
        // Time is left to find out why there is no answer.
        let patience = provider.client.config().request_timeout / 2;
        let opened = provider
            .find_folder(&ctx.within(patience), WellKnownFolder::Inbox)
            .await;
        let own_network = self.fixed.is_none();
        match opened {
            Err(error) if ended_at(&error, &provider) == Ended::OnTheWay => {
                if own_network {
                    let client = &provider.client;
                    let config = client.config();
                    let (transport, plain) = (client.transport(), config.allow_plain_http);
                    if probe::probe(ctx, transport, &config.url, plain, &mut report).await {
                        // It works now: what went wrong is all that there is to tell.
                        report.steps.pop();
                        report.push("http", failed(&error), error.to_string());
                    }
                } else {
                    report.push("http", failed(&error), error.to_string());
                }
                not_reached(&mut report, &SIGN_IN);
            }
            opened => {
                if own_network {
                    let url = &provider.client.config().url;
                    probe::reached(ctx, url, &product(&provider), &mut report).await;
                }
                sign_in(&provider, opened, signs_in, &mut report);
            }
        }
        report
    }
}

fn failed(error: &ProviderError) -> ProbeOutcome {
    ProbeOutcome::Failed(error.code())
}

fn product(provider: &EwsProvider) -> String {
    provider
        .client
        .product()
        .unwrap_or_else(|| "Exchange Web Services".to_owned())
}

/// At which step a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Before anybody answered.
    OnTheWay,
    /// Somebody answered who is not Exchange, or not able to work.
    Http,
    Authenticate,
    Impersonate,
    OpenInbox,
}

fn ended_at(error: &ProviderError, provider: &EwsProvider) -> Ended {
    let config = provider.client.config();
    let answered = |name| error.context().contains_key(name);
    match error.code() {
        Code::CredentialsRejected
        | Code::NoCredentials
        | Code::AccountUnavailable
        | Code::EwsDisabled => Ended::Authenticate,
        Code::ImpersonationDenied => Ended::Impersonate,
        Code::MailboxNotFound if config.impersonate().is_some() => Ended::Impersonate,
        Code::MailboxNotFound | Code::AccessDenied | Code::FolderNotFound => Ended::OpenInbox,
        // Exchange itself speaks, and of this mailbox only.
        _ if answered("ews_code") && error.scope() == Scope::Mailbox => Ended::OpenInbox,
        // Sent in clear text to a port for TLS: some servers say so in a page.
        _ if answered("http_status") && config.url.scheme() == "http" => {
            match error.context().get("http_status").map(String::as_str) {
                Some("400") => Ended::OnTheWay,
                _ => Ended::Http,
            }
        }
        _ if answered("ews_code") || answered("http_status") => Ended::Http,
        Code::NameNotResolved
        | Code::ConnectionRefused
        | Code::ConnectionTimedOut
        | Code::ConnectionLost
        | Code::CertificateUntrusted
        | Code::CertificateExpired
        | Code::CertificateWrongName
        | Code::TlsFailed
        | Code::TlsExpected
        | Code::InsecureConnectionRefused
        | Code::NotAMailServer => Ended::OnTheWay,
        _ => Ended::Http,
    }
}

/// What one request for the Inbox shows of the steps behind the network.
fn sign_in(
    provider: &EwsProvider,
    opened: Result<FolderId>,
    signs_in: bool,
    report: &mut ProbeReport,
) {
    let config = provider.client.config();
    let impersonated = if config.impersonate().is_some() {
        "the account may impersonate the mailbox"
    } else {
        "not used: the mailbox is opened without impersonation"
    };
    let (end, outcome, evidence) = match &opened {
        Ok(_) => (None, ProbeOutcome::Passed, String::new()),
        Err(error) => (
            Some(ended_at(error, provider)),
            failed(error),
            error.to_string(),
        ),
    };
    if end == Some(Ended::Http) {
        // It was taken for passed, as somebody did answer.
        if report.steps.last().is_some_and(|step| step.name == "http") {
            report.steps.pop();
        }
        report.push("http", outcome, evidence);
        not_reached(report, &SIGN_IN);
        return;
    }
    if !signs_in {
        let without = "each mailbox signs in by itself, and none has this profile yet";
        report.push("authenticate", ProbeOutcome::NotReached, without);
        not_reached(report, &["impersonate", "open inbox"]);
        return;
    }
    if end == Some(Ended::Authenticate) {
        report.push("authenticate", outcome, evidence);
        not_reached(report, &["impersonate", "open inbox"]);
        return;
    }
    report.push("authenticate", ProbeOutcome::Passed, product(provider));
    if config.address.is_none() {
        // Whether the account has a mailbox of its own is nobody's concern.
        let without = "no mailbox has this profile yet";
        report.push("impersonate", ProbeOutcome::NotReached, without);
        report.push("open inbox", ProbeOutcome::NotReached, without);
        return;
    }
    if end == Some(Ended::Impersonate) {
        report.push("impersonate", outcome, evidence);
        not_reached(report, &["open inbox"]);
        return;
    }
    report.push("impersonate", ProbeOutcome::Passed, impersonated);
    if end.is_some() {
        report.push("open inbox", outcome, evidence);
    } else {
        report.push("open inbox", ProbeOutcome::Passed, "the inbox can be read");
    }
    report.inbox = opened.ok();
}
