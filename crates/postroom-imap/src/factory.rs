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
use crate::folders::INBOX;
use crate::provider::ImapProvider;
use crate::session::Access;

const STEPS: [&str; 5] = ["resolve", "connect", "tls", "authenticate", "open inbox"];

/// Makes [`ImapProvider`]s, for profiles of the kind `imap-smtp`.
///
/// ```
/// use postroom_net::line::TlsClients;
/// use postroom_imap::ImapFactory;
/// use postroom_provider::{ProviderFactory, ProviderRegistry};
/// use std::sync::Arc;
/// let registry = ProviderRegistry::new().with(Arc::new(ImapFactory::new(TlsClients::new())));
/// assert!(registry.find("imap-smtp").is_ok());
/// ```
#[derive(Debug)]
pub struct ImapFactory {
    clients: TlsClients,
    dialer: Option<Arc<dyn Dialer>>,
}

impl ImapFactory {
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

    fn provider(&self, request: &ProviderRequest) -> Result<ImapProvider> {
        let settings = ConnectorSettings::of_profile(&request.profile);
        let mut connector = Connector::new(&self.clients, settings)
            .map_err(|error| error.into_provider("provider.create"))?;
        if let Some(dialer) = &self.dialer {
            connector = connector.with_dialer(Arc::clone(dialer));
        }
        ImapProvider::new(connector, request)
    }
}

#[async_trait]
impl ProviderFactory for ImapFactory {
    fn name(&self) -> &'static str {
        "imap-smtp"
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
async fn open_inbox(ctx: &OpContext, provider: &ImapProvider, report: &mut ProbeReport) {
    const OPERATION: &str = "provider.probe";
    let [_, _, tls, authenticate, open] = STEPS;
    let signed_in = ctx
        .bounded(OPERATION, async {
            let session = provider.open(ctx).await;
            session.map_err(|error| failed(OPERATION, error, &provider.config))
        })
        .await;
    let mut session = match signed_in {
        Ok(session) => session,
        Err(error) => {
            let at_sign_in = matches!(
                error.code(),
                Code::CredentialsRejected
                    | Code::AccountUnavailable
                    | Code::MailboxInUse
                    | Code::ServerBusy
                    | Code::ServerFault
            );
            if at_sign_in {
                let evidence = "as far as the profile asks for it";
                report.push(tls, ProbeOutcome::Passed, evidence);
                report.push(authenticate, outcome(&error), error.to_string());
                not_reached(report, &[open]);
            } else {
                report.push(tls, outcome(&error), error.to_string());
                not_reached(report, &[authenticate, open]);
            }
            return;
        }
    };
    let secured = session.tls_version().map_or_else(
        || "not used: clear text is allowed for this profile".to_owned(),
        |version| format!("certificate trusted for this name, {version}"),
    );
    report.push(tls, ProbeOutcome::Passed, secured);
    let product = match session.product() {
        "" => "IMAP",
        product => product,
    };
    report.push(authenticate, ProbeOutcome::Passed, product);
    let opened = ctx
        .bounded(OPERATION, async {
            let opened = session.select(ctx, INBOX, Access::Read, None).await;
            let opened = opened.map(|opened| opened.count);
            opened.map_err(|error| failed(OPERATION, error, &provider.config))
        })
        .await;
    match opened {
        Ok(count) => {
            // Nothing was to be changed: how the session ends does not matter.
            let has = |name, has: bool| has.then_some(name);
            let offers = &session.capabilities;
            let extensions: Vec<&str> = [
                has("CONDSTORE", offers.has("CONDSTORE")),
                has("QRESYNC", offers.vanished()),
                has("UIDPLUS", offers.uid_plus()),
                has("MOVE", offers.moves()),
                has("IDLE", offers.has("IDLE")),
                has("SPECIAL-USE", offers.has("SPECIAL-USE")),
            ]
            .into_iter()
            .flatten()
            .collect();
            let evidence = format!("{count} messages; extensions: {}", extensions.join(", "));
            let _ = session.close(ctx).await;
            report.push(open, ProbeOutcome::Passed, evidence);
        }
        Err(error) => report.push(open, outcome(&error), error.to_string()),
    }
}
