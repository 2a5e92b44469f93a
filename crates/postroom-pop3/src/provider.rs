//! The provider of one mailbox.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use postroom_net::line::Connector;
use postroom_provider::{
    Capabilities, MailSource, OpContext, Provider, ProviderInfo, ProviderRequest, Result,
};

use crate::config::Pop3Config;
use crate::proto::capa::Capa;
use crate::quirk::Quirk;
use crate::session::{Session, SessionError};

/// Most messages of one call. Requests are in flight side by side within a call; more of them gain little.
pub(crate) const BATCH_MAX: usize = 500;
/// Most changes of a page.
const PAGE_MAX: u32 = 2000;

/// POP3, for one mailbox.
///
/// Cheap to make: it connects when something is asked of it. It has one session at a time, which operations
/// use one after the other.
#[derive(Debug)]
pub struct Pop3Provider {
    pub(crate) config: Pop3Config,
    connector: Connector,
    info: ProviderInfo,
    /// The session in use, if any. Whoever works with it takes it out: dropped in the middle of a
    /// dialogue, it is gone.
    pub(crate) session: tokio::sync::Mutex<Option<Session>>,
    learned: Mutex<Learned>,
}

/// What earlier sessions told about the server.
#[derive(Debug, Default)]
struct Learned {
    capa: Option<Capa>,
    quirks: BTreeSet<Quirk>,
}

impl Pop3Provider {
    /// A provider over a connector.
    ///
    /// # Errors
    /// `ConfigInvalid` where the profile or the credentials do not suffice.
    pub fn new(connector: Connector, request: &ProviderRequest) -> Result<Self> {
        Ok(Self {
            config: Pop3Config::of(request)?,
            connector,
            info: ProviderInfo::new(request.profile.kind.provider_name(), "POP3"),
            session: tokio::sync::Mutex::new(None),
            learned: Mutex::default(),
        })
    }

    /// The quirks that the server has shown so far.
    #[must_use]
    pub fn quirks(&self) -> BTreeSet<Quirk> {
        self.learned().quirks.clone()
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session. What the server offers is asked for the first time only, and again after a failure.
    pub(crate) async fn open(&self, ctx: &OpContext) -> std::result::Result<Session, SessionError> {
        let known = self.learned().capa.take();
        let session = Session::open(ctx, &self.connector, &self.config, known).await?;
        let mut learned = self.learned();
        learned.capa = Some(session.capa.clone());
        learned.quirks.extend(&session.quirks);
        Ok(session)
    }

    /// Puts a session back for the next operation.
    pub(crate) fn keep(&self, held: &mut Option<Session>, session: Session) {
        let mut learned = self.learned();
        learned.quirks.extend(&session.quirks);
        if let Some(capa) = &mut learned.capa {
            capa.top = session.capa.top;
        }
        *held = Some(session);
    }
}

#[async_trait]
impl Provider for Pop3Provider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn capabilities(&self) -> Arc<Capabilities> {
        let mut capabilities = Capabilities::default();
        let learned = self.learned();
        let product = learned.capa.as_ref();
        capabilities.server_product = product.and_then(|capa| capa.implementation.clone());
        capabilities.mail = true;
        capabilities.mail_exclusive = true;
        capabilities.mail_batch_max = BATCH_MAX;
        capabilities.mail_page_max = PAGE_MAX;
        Arc::new(capabilities)
    }

    fn mail(&self) -> Option<&dyn MailSource> {
        Some(self)
    }
}
