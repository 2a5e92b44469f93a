//! How connections are made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use postroom_core::ServerProfile;
use postroom_provider::OpContext;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use super::connection::{Connection, Peer};
use super::dial::{Dialer, ServerAddress, TcpDialer};
use super::tls::TlsClients;
use crate::error::{NetError, NetFailure};

/// When a connection becomes secure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever speaks a protocol must treat all three"
)]
pub enum Security {
    /// At once: the first byte is TLS's.
    Tls,
    /// When the protocol asks for it (STLS, STARTTLS), before credentials are sent; a server that does
    /// not offer it is refused.
    Upgrade,
    /// Never. Needs [`ConnectorSettings::danger_allow_plain`].
    Plain,
}

/// How a [`Connector`] connects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ConnectorSettings {
    /// PEM certificates of authorities to trust beside the platform's.
    pub extra_authorities_pem: Option<String>,
    /// Allow connections without TLS.
    pub danger_allow_plain: bool,
    /// Give up connecting, and then on TLS, after this long each.
    pub connect_timeout: Duration,
    /// Give up when nothing arrives, or nothing can be sent, for this long.
    pub silence_timeout: Duration,
}

impl Default for ConnectorSettings {
    fn default() -> Self {
        Self {
            extra_authorities_pem: None,
            danger_allow_plain: false,
            connect_timeout: Duration::from_secs(20),
            silence_timeout: postroom_core::profile::REQUEST_TIMEOUT_MAX,
        }
    }
}

impl ConnectorSettings {
    /// The settings that a profile asks for.
    #[must_use]
    pub fn of_profile(profile: &ServerProfile) -> Self {
        let defaults = Self::default();
        Self {
            extra_authorities_pem: profile.extra_authorities_pem.clone(),
            danger_allow_plain: profile.danger_allow_plain_http,
            connect_timeout: defaults.connect_timeout.min(profile.request_timeout),
            silence_timeout: profile.request_timeout,
        }
    }
}

/// Makes connections. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    dialer: Arc<dyn Dialer>,
    config: Arc<ClientConfig>,
    settings: Arc<ConnectorSettings>,
}

impl Connector {
    /// A connector over TCP.
    ///
    /// # Errors
    /// `Misconfigured` where the extra authorities are no PEM certificates.
    pub fn new(clients: &TlsClients, settings: ConnectorSettings) -> Result<Self, NetError> {
        Ok(Self {
            dialer: Arc::new(TcpDialer::new()),
            config: clients.config(settings.extra_authorities_pem.as_deref())?,
            settings: Arc::new(settings),
        })
    }

    /// The same over another dialer: a simulation, or one that goes through a proxy.
    #[must_use]
    pub fn with_dialer(mut self, dialer: Arc<dyn Dialer>) -> Self {
        self.dialer = dialer;
        self
    }

    /// Connects, with TLS at once where `security` is [`Security::Tls`].
    ///
    /// # Errors
    /// `InsecureRefused` without TLS unless that is allowed; `Misconfigured` where the host is no name
    /// that a certificate could have; what dialling and the handshake come to.
    pub async fn connect(
        &self,
        ctx: &OpContext,
        server: &ServerAddress,
        security: Security,
    ) -> Result<Connection, NetError> {
        if security == Security::Plain && !self.settings.danger_allow_plain {
            return Err(NetError::new(NetFailure::InsecureRefused, false));
        }
        let name = ServerName::try_from(server.host.clone()).map_err(|error| {
            NetError::new(NetFailure::Misconfigured, false)
                .with_detail("the host is neither a name nor an address")
                .with_source(error)
        })?;
        let limit = self.settings.connect_timeout;
        let io = within(ctx, limit, self.dialer.dial(ctx, server)).await?;
        let peer = Peer {
            config: Arc::clone(&self.config),
            name,
            handshake_timeout: limit,
            silence_timeout: self.settings.silence_timeout,
        };
        let mut connection = Connection::new(io, peer);
        if security == Security::Tls {
            connection.start_tls(ctx).await?;
        }
        Ok(connection)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("dialer", &self.dialer)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Runs a future that long at most.
pub(super) async fn within<T>(
    ctx: &OpContext,
    limit: Duration,
    future: impl Future<Output = Result<T, NetError>> + Send,
) -> Result<T, NetError> {
    tokio::select! {
        biased;
        result = future => result,
        () = ctx.clock.sleep(limit) => Err(NetError::new(NetFailure::TimedOut, true)),
    }
}
