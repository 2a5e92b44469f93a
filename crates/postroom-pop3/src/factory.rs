//! Makes providers and probes servers.

use std::sync::Arc;

use async_trait::async_trait;
use postroom_core::Code;
use postroom_net::line::{Connector, ConnectorSettings, Dialer, TlsClients};
use postroom_net::probe::{not_reached, reach};
use postroom_provider::registry::ProbeOutcome;
use postroom_provider::{
    OpContext, ProbeReport, Provider, ProviderError, ProviderFactory, ProviderRequest, Result,
};

use crate::error::failed;
use crate::provider::Pop3Provider;

const STEPS: [&str; 5] = ["resolve", "connect", "tls", "authenticate", "open inbox"];

/// Makes [`Pop3Provider`]s, for profiles of the kind `pop3-smtp`.
///
/// ```
/// use postroom_net::line::TlsClients;
/// use postroom_pop3::Pop3Factory;
/// use postroom_provider::{ProviderFactory, ProviderRegistry};
/// use std::sync::Arc;
/// let registry = ProviderRegistry::new().with(Arc::new(Pop3Factory::new(TlsClients::new())));
/// assert!(registry.find("pop3-smtp").is_ok());
/// ```
#[derive(Debug)]
pub struct Pop3Factory {
    clients: TlsClients,
    dialer: Option<Arc<dyn Dialer>>,
}

impl Pop3Factory {
    /// Over TCP, with TLS configurations that others may share.
    #[must_use]
    pub const fn new(clients: TlsClients) -> Self {
        Self {
            clients,
            dialer: None,
        }
    }

    /// The same over another dialer, for all profiles: a simulation, or one that goes through a proxy.
    #[must_use]
    pub fn with_dialer(mut self, dialer: Arc<dyn Dialer>) -> Self {
        self.dialer = Some(dialer);
        self
    }

    fn provider(&self, request: &ProviderRequest) -> Result<Pop3Provider> {
        let settings = ConnectorSettings::of_profile(&request.profile);
        let mut connector = Connector::new(&self.clients, settings)
            .map_err(|error| error.into_provider("provider.create"))?;
        if let Some(dialer) = &self.dialer {
            connector = connector.with_dialer(Arc::clone(dialer));
        }
        Pop3Provider::new(connector, request)
    }
}

#[async_trait]
impl ProviderFactory for Pop3Factory {
    fn name(&self) -> &'static str {
        "pop3-smtp"
    }

    fn create(&self, request: &ProviderRequest) -> Result<Arc<dyn Provider>> {
        Ok(Arc::new(self.provider(request)?))
    }

    /// Steps: `resolve`, `connect` (over TCP only), then `tls`, `authenticate`, `open inbox`.
    async fn probe(&self, ctx: &OpContext, request: &ProviderRequest) -> ProbeReport {
        let mut report = ProbeReport::new();
        let provider = match self.provider(request) {
            Ok(provider) => provider,
            Err(error) => {
                report.push("configuration", outcome(&error), error.to_string());
                not_reached(&mut report, &STEPS);
                return report;
            }
        };
        let [resolve, connect, rest @ ..] = STEPS;
        if self.dialer.is_none() && !reach(ctx, &provider.config.server, &mut report).await {
            if !report.steps.iter().any(|step| step.name == connect) {
                not_reached(&mut report, &[connect]);
            }
            debug_assert!(report.steps.iter().any(|step| step.name == resolve));
            not_reached(&mut report, &rest);
            return report;
        }
        open_inbox(ctx, &provider, &mut report).await;
        report
    }
}

fn outcome(error: &ProviderError) -> ProbeOutcome {
    ProbeOutcome::Failed(error.code())
}

/// One session shows three things; its failure says at which it ended.
async fn open_inbox(ctx: &OpContext, provider: &Pop3Provider, report: &mut ProbeReport) {
    const OPERATION: &str = "provider.probe";
    let opened = ctx
        .bounded(OPERATION, async {
            let session = provider.open(ctx).await;
            session.map_err(|error| failed(OPERATION, error, &provider.config))
        })
        .await;
    let session = match opened {
        Ok(session) => session,
        Err(error) => {
            let evidence = error.to_string();
            let passed = match error.code() {
                Code::CredentialsRejected
                | Code::AccountUnavailable
                | Code::MailboxInUse
                | Code::ServerBusy
                | Code::ServerFault => 1,
                _ => 0,
            };
            let [_, _, steps @ ..] = STEPS;
            for (at, step) in steps.into_iter().enumerate() {
                match at.cmp(&passed) {
                    std::cmp::Ordering::Less => {
                        report.push(
                            step,
                            ProbeOutcome::Passed,
                            "as far as the profile asks for it",
                        );
                    }
                    std::cmp::Ordering::Equal => report.push(step, outcome(&error), &*evidence),
                    std::cmp::Ordering::Greater => report.push(step, ProbeOutcome::NotReached, ""),
                }
            }
            return;
        }
    };
    let secured = session.tls_version().map_or_else(
        || "not used: clear text is allowed for this profile".to_owned(),
        |version| format!("certificate trusted for this name, {version}"),
    );
    report.push("tls", ProbeOutcome::Passed, secured);
    let product = session.capa.implementation.as_deref().unwrap_or("POP3");
    report.push("authenticate", ProbeOutcome::Passed, product);
    let quirks: Vec<&str> = session.quirks.iter().map(|quirk| quirk.name()).collect();
    let messages = session.listing.entries().len();
    let found = if quirks.is_empty() {
        format!("{messages} messages")
    } else {
        format!("{messages} messages; quirks: {}", quirks.join(", "))
    };
    // Nothing was to be changed: how the session ends does not matter.
    let _ = session.quit(ctx).await;
    report.push("open inbox", ProbeOutcome::Passed, found);
}
