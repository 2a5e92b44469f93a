//! Makes providers and probes servers.

use std::sync::Arc;

use async_trait::async_trait;
use postroom_core::{Code, EmailAddress, ServerProfile};
use postroom_net::line::{Connector, ConnectorSettings, Dialer, TlsClients};
use postroom_net::probe::{not_reached, reach};
use postroom_provider::registry::ProbeOutcome;
use postroom_provider::{
    Credentials, OpContext, ProbeReport, Provider, ProviderError, ProviderFactory, ProviderRequest,
    Result,
};

use crate::error::failed;
use crate::pool::Pool;
use crate::provider::SmtpProvider;

const STEPS: [&str; 4] = ["resolve", "connect", "tls", "authenticate"];

/// Makes [`SmtpProvider`]s, for profiles that send by SMTP.
///
/// ```
/// use postroom_core::profile::OutgoingProtocol;
/// use postroom_net::line::TlsClients;
/// use postroom_provider::ProviderRegistry;
/// use postroom_smtp::SmtpFactory;
/// use std::sync::Arc;
/// let smtp = Arc::new(SmtpFactory::new(TlsClients::new()));
/// let registry = ProviderRegistry::new().with_sender(OutgoingProtocol::Smtp, smtp);
/// # let _ = registry;
/// ```
#[derive(Debug)]
pub struct SmtpFactory {
    clients: TlsClients,
    dialer: Option<Arc<dyn Dialer>>,
    pool: Pool,
}

impl SmtpFactory {
    /// Over TCP, with TLS configurations that others may share.
    #[must_use]
    pub fn new(clients: TlsClients) -> Self {
        Self {
            clients,
            dialer: None,
            pool: Pool::default(),
        }
    }

    /// The same over another dialer, for all profiles: a simulation, or one that goes through a proxy.
    #[must_use]
    pub fn with_dialer(mut self, dialer: Arc<dyn Dialer>) -> Self {
        self.dialer = Some(dialer);
        self
    }

    fn provider(&self, request: &ProviderRequest) -> Result<SmtpProvider> {
        let settings = ConnectorSettings::of_profile(&request.profile);
        let mut connector = Connector::new(&self.clients, settings)
            .map_err(|error| error.into_provider("provider.create"))?;
        if let Some(dialer) = &self.dialer {
            connector = connector.with_dialer(Arc::clone(dialer));
        }
        SmtpProvider::new(connector, self.pool.clone(), request)
    }

    async fn walk(&self, ctx: &OpContext, request: &ProviderRequest) -> ProbeReport {
        let mut report = ProbeReport::new();
        let provider = match self.provider(request) {
            Ok(provider) => provider,
            Err(error) => {
                report.push("configuration", outcome(&error), error.to_string());
                not_reached(&mut report, &STEPS);
                return report;
            }
        };
        let [_, connect, rest @ ..] = STEPS;
        let server = &provider.config.identity.server;
        if self.dialer.is_none() && !reach(ctx, server, &mut report).await {
            if !report.steps.iter().any(|step| step.name == connect) {
                not_reached(&mut report, &[connect]);
            }
            not_reached(&mut report, &rest);
            return report;
        }
        sign_in(ctx, &provider, &mut report).await;
        report
    }
}

#[async_trait]
impl ProviderFactory for SmtpFactory {
    fn name(&self) -> &'static str {
        "smtp"
    }

    fn create(&self, request: &ProviderRequest) -> Result<Arc<dyn Provider>> {
        Ok(Arc::new(self.provider(request)?))
    }

    /// Steps: `resolve`, `connect` (over TCP only), then `tls`, `authenticate`.
    async fn probe(&self, ctx: &OpContext, request: &ProviderRequest) -> ProbeReport {
        self.walk(ctx, request).await
    }

    /// The same: nothing here needs a mailbox.
    async fn probe_account(
        &self,
        ctx: &OpContext,
        profile: &ServerProfile,
        credentials: Option<&Credentials>,
    ) -> ProbeReport {
        // Nobody is named to the server before something is sent.
        let Ok(nobody) = "nobody@localhost".parse::<EmailAddress>() else {
            return ProbeReport::new();
        };
        let request = ProviderRequest::new(profile.clone(), nobody, credentials.cloned());
        self.walk(ctx, &request).await
    }
}

fn outcome(error: &ProviderError) -> ProbeOutcome {
    ProbeOutcome::Failed(error.code())
}

/// One session shows two things; its failure says at which it ended.
async fn sign_in(ctx: &OpContext, provider: &SmtpProvider, report: &mut ProbeReport) {
    const OPERATION: &str = "provider.probe";
    let opened = ctx
        .bounded(OPERATION, async {
            let session = provider.open(ctx).await;
            session.map_err(|error| failed(OPERATION, error, &provider.config))
        })
        .await;
    match opened {
        Ok(session) => {
            let secured = session.tls_version().map_or_else(
                || "not used: clear text is allowed for this profile".to_owned(),
                |version| format!("certificate trusted for this name, {version}"),
            );
            report.push("tls", ProbeOutcome::Passed, secured);
            let name = session.offers.name.as_deref().unwrap_or("SMTP");
            let evidence = match provider.config.user() {
                Some(_) => name.to_owned(),
                None => format!("{name}, nobody signs in"),
            };
            report.push("authenticate", ProbeOutcome::Passed, evidence);
            session.quit(ctx).await;
        }
        Err(error) => {
            let signing_in = error.context().get("command").map(String::as_str) == Some("AUTH")
                || matches!(
                    error.code(),
                    Code::CredentialsRejected | Code::AccountUnavailable | Code::NoCredentials
                );
            let evidence = error.to_string();
            if signing_in {
                let passed = "as far as the profile asks for it";
                report.push("tls", ProbeOutcome::Passed, passed);
                report.push("authenticate", outcome(&error), evidence);
            } else {
                report.push("tls", outcome(&error), evidence);
                report.push("authenticate", ProbeOutcome::NotReached, "");
            }
        }
    }
}
