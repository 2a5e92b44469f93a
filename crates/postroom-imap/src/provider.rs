//! The provider of one mailbox.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use postroom_net::line::Connector;
use postroom_provider::{
    Capabilities, MailSource, OpContext, Provider, ProviderInfo, ProviderRequest, Result,
    SentItems, SyncCursor, Watcher,
};

use crate::config::ImapConfig;
use crate::proto::capability;
use crate::session::{Known, Session, SessionError};
use crate::source::Listing;

/// Most messages of one call: one command for them all, of a length that servers take.
pub(crate) const BATCH_MAX: usize = 500;
/// Most changes of a page.
const PAGE_MAX: u32 = 2000;
/// A session that was not used for so long may be gone: another one is begun rather than found out.
/// Servers wait for half an hour by the protocol, and for less in practice.
const UNUSED_MAX: Duration = Duration::from_secs(60);

/// Servers that file a copy of what is sent through their own submission. Source: the providers' help.
const FILES_COPIES: [&str; 4] = [
    "imap.gmail.com",
    "imap.googlemail.com",
    "outlook.office365.com",
    "imap-mail.outlook.com",
];

/// IMAP, for one mailbox.
///
/// Cheap to make: it connects when something is asked of it. It has one session at a time, which operations
/// use one after the other.
#[derive(Debug)]
pub struct ImapProvider {
    pub(crate) config: ImapConfig,
    connector: Connector,
    info: ProviderInfo,
    pub(crate) held: tokio::sync::Mutex<Held>,
    /// The session that waits, beside the one that works.
    pub(crate) waiting: tokio::sync::Mutex<Option<Session>>,
    learned: Mutex<Option<Learned>>,
}

/// What is kept between calls. Whoever works with the session takes it out: dropped in the middle of a
/// dialogue, it is gone.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) session: Option<Session>,
    /// What is left of a listing, for whoever goes on with this cursor.
    pub(crate) listing: Option<(SyncCursor, Listing)>,
}

/// What earlier sessions told about the server.
#[derive(Clone, Debug)]
struct Learned {
    before: capability::Capabilities,
    after: capability::Capabilities,
    product: String,
    /// Whether they can be taken for granted by the next session.
    fresh: bool,
}

impl ImapProvider {
    /// A provider over a connector.
    ///
    /// # Errors
    /// `ConfigInvalid` where the profile or the credentials do not suffice.
    pub fn new(connector: Connector, request: &ProviderRequest) -> Result<Self> {
        Ok(Self {
            config: ImapConfig::of(request)?,
            connector,
            info: ProviderInfo::new(request.profile.kind.provider_name(), "IMAP"),
            held: tokio::sync::Mutex::default(),
            waiting: tokio::sync::Mutex::default(),
            learned: Mutex::default(),
        })
    }

    fn learned(&self) -> MutexGuard<'_, Option<Learned>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session. What the server offers is asked for the first time only, and again after a failure.
    pub(crate) async fn open(&self, ctx: &OpContext) -> std::result::Result<Session, SessionError> {
        let known = self.learned().as_mut().and_then(|learned| {
            let fresh = std::mem::take(&mut learned.fresh);
            fresh.then(|| Known {
                before: Some(learned.before.clone()),
                after: Some(learned.after.clone()),
            })
        });
        let session = Session::open(ctx, &self.connector, &self.config, known).await?;
        *self.learned() = Some(Learned {
            before: session.before.clone(),
            after: session.capabilities.clone(),
            product: session.product().to_owned(),
            fresh: true,
        });
        Ok(session)
    }

    /// The session in use, or another one.
    pub(crate) async fn session(
        &self,
        ctx: &OpContext,
        held: &mut Held,
    ) -> std::result::Result<Session, SessionError> {
        if let Some(session) = held.session.take() {
            if ctx.clock.now().since(session.used_at) < UNUSED_MAX {
                return Ok(session);
            }
            let _ = session.close(ctx).await;
        }
        held.listing = None;
        self.open(ctx).await
    }
}

#[async_trait]
impl Provider for ImapProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    /// Before the first session, what all servers have.
    fn capabilities(&self) -> Arc<Capabilities> {
        let mut capabilities = Capabilities::default();
        let learned = self.learned();
        let offers = learned.as_ref().map(|learned| &learned.after);
        capabilities.server_product = learned
            .as_ref()
            .map(|learned| learned.product.clone())
            .filter(|product| !product.is_empty());
        capabilities.mail = true;
        capabilities.mail_create_folder = true;
        capabilities.mail_move = true;
        capabilities.mail_move_tells_id = offers.is_some_and(capability::Capabilities::uid_plus);
        capabilities.mail_reports_deletions = true;
        capabilities.mail_keeps_connection = true;
        capabilities.sent = true;
        capabilities.sent_find = true;
        capabilities.sent_file = true;
        let host = self.config.server.host.to_ascii_lowercase();
        capabilities.sent_filed_by_server = FILES_COPIES.contains(&host.as_str())
            || offers.is_some_and(|has| has.has("X-GM-EXT-1"));
        capabilities.watch = offers.is_some_and(|has| has.has("IDLE"));
        capabilities.mail_batch_max = BATCH_MAX;
        capabilities.mail_page_max = PAGE_MAX;
        Arc::new(capabilities)
    }

    fn mail(&self) -> Option<&dyn MailSource> {
        Some(self)
    }

    fn sent_items(&self) -> Option<&dyn SentItems> {
        Some(self)
    }

    fn watcher(&self) -> Option<&dyn Watcher> {
        Some(self)
    }
}
