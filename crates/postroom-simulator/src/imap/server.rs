//! The server behind its connections.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use postroom_net::NetError;
use postroom_net::line::{Dialer, Io, ServerAddress};
use postroom_provider::OpContext;
use rustls::ServerConfig;
use tokio::io::DuplexStream;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use super::fault::{ImapFault, ImapFaultRule, striking};
use super::session;
use crate::exchange::{Certificate, ListenError, tls};
use crate::model::{FolderId, ItemId, MailSystem};

/// The port where TLS comes first.
const TLS_PORT: u16 = 993;
/// What a connection without a socket holds in each direction.
const PIPE_BYTES: usize = 256 * 1024;

/// Which parts of the protocol a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a part by itself")]
pub struct ImapOffers {
    /// Capabilities are told in the greeting and after the sign-in, unasked.
    pub tells_capabilities: bool,
    /// LOGIN; without it, LOGINDISABLED.
    pub login: bool,
    /// AUTHENTICATE PLAIN.
    pub plain: bool,
    /// AUTHENTICATE XOAUTH2; the account's password is the token.
    pub xoauth2: bool,
    /// AUTHENTICATE OAUTHBEARER; the account's password is the token.
    pub oauth_bearer: bool,
    /// The first part of a sign-in may come with the command.
    pub sasl_ir: bool,
    /// STARTTLS.
    pub starttls: bool,
    /// Literals may follow without waiting.
    pub literal_plus: bool,
    /// IDLE.
    pub idle: bool,
    /// UIDPLUS.
    pub uid_plus: bool,
    /// MOVE.
    pub moves: bool,
    /// CONDSTORE.
    pub condstore: bool,
    /// QRESYNC and ENABLE.
    pub qresync: bool,
    /// SPECIAL-USE and LIST-EXTENDED.
    pub special_use: bool,
    /// UIDNEXT is told, as the protocol asks for.
    pub uid_next: bool,
    /// Parts of messages can be fetched, as the protocol asks for.
    pub partial: bool,
}

impl Default for ImapOffers {
    /// Everything.
    fn default() -> Self {
        Self {
            tells_capabilities: true,
            login: true,
            plain: true,
            xoauth2: true,
            oauth_bearer: true,
            sasl_ir: true,
            starttls: true,
            literal_plus: true,
            idle: true,
            uid_plus: true,
            moves: true,
            condstore: true,
            qresync: true,
            special_use: true,
            uid_next: true,
            partial: true,
        }
    }
}

impl ImapOffers {
    /// What RFC 3501 has, and no extension.
    #[must_use]
    pub fn plain_rev1() -> Self {
        Self {
            tells_capabilities: false,
            login: true,
            plain: false,
            xoauth2: false,
            oauth_bearer: false,
            sasl_ir: false,
            starttls: true,
            literal_plus: false,
            idle: false,
            uid_plus: false,
            moves: false,
            condstore: false,
            qresync: false,
            special_use: false,
            uid_next: true,
            partial: true,
        }
    }
}

/// An IMAP server. Cheap to clone; clones are the same server.
#[derive(Clone)]
pub struct ImapServer {
    inner: Arc<Inner>,
}

struct Inner {
    mail: Arc<MailSystem>,
    offers: Mutex<ImapOffers>,
    faults: Mutex<Vec<ImapFaultRule>>,
    /// Messages that are marked as deleted.
    marked: Mutex<BTreeSet<ItemId>>,
    /// The highest UID that a folder has shown.
    highest: Mutex<BTreeMap<FolderId, u32>>,
    changed: Arc<Notify>,
    requests: AtomicU64,
    listed: AtomicU64,
    idling: AtomicU64,
    tls: Arc<ServerConfig>,
    authority: String,
}

impl fmt::Debug for ImapServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImapServer")
            .field("mail", &self.inner.mail)
            .field("requests", &self.requests())
            .finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ImapServer {
    /// A server for these mailboxes, with a certificate for `localhost`, `127.0.0.1` and
    /// `imap.example.org`.
    ///
    /// # Errors
    /// [`ListenError::Certificate`].
    pub fn new(mail: Arc<MailSystem>) -> Result<Self, ListenError> {
        Self::with_certificate(mail, Certificate::Valid)
    }

    /// The same with another certificate: an expired one, say.
    ///
    /// # Errors
    /// [`ListenError::Certificate`].
    pub fn with_certificate(
        mail: Arc<MailSystem>,
        certificate: Certificate,
    ) -> Result<Self, ListenError> {
        let names = ["localhost", "127.0.0.1", "imap.example.org"].map(str::to_owned);
        let identity = tls::identity(&names, certificate)?;
        let changed = Arc::new(Notify::new());
        let told = Arc::clone(&changed);
        mail.on_change(move |_| told.notify_waiters());
        Ok(Self {
            inner: Arc::new(Inner {
                mail,
                offers: Mutex::default(),
                faults: Mutex::default(),
                marked: Mutex::default(),
                highest: Mutex::default(),
                changed,
                requests: AtomicU64::new(0),
                listed: AtomicU64::new(0),
                idling: AtomicU64::new(0),
                tls: identity.config,
                authority: identity.authority,
            }),
        })
    }

    /// The mailboxes: a back door for tests.
    #[must_use]
    pub fn mail(&self) -> &Arc<MailSystem> {
        &self.inner.mail
    }

    /// The certificate of the authority that clients must trust, as PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.inner.authority
    }

    /// Changes what the server has.
    pub fn offer(&self, change: impl FnOnce(&mut ImapOffers)) {
        change(&mut locked(&self.inner.offers));
    }

    /// What the server has.
    #[must_use]
    pub fn offers(&self) -> ImapOffers {
        locked(&self.inner.offers).clone()
    }

    /// Switches a fault on, in addition to those that are on.
    pub fn arm(&self, rule: ImapFaultRule) {
        locked(&self.inner.faults).push(rule);
    }

    /// Switches all faults off.
    pub fn disarm(&self) {
        locked(&self.inner.faults).clear();
    }

    /// Another client marks a message as deleted.
    pub fn mark_deleted(&self, id: ItemId) {
        locked(&self.inner.marked).insert(id);
    }

    /// How many commands the server has heard.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }

    /// Of how many messages the server has told anything: found by a search, or fetched.
    #[must_use]
    pub fn listed(&self) -> u64 {
        self.inner.listed.load(Ordering::Relaxed)
    }

    /// How often a client has begun to wait for changes.
    #[must_use]
    pub fn idling(&self) -> u64 {
        self.inner.idling.load(Ordering::Relaxed)
    }

    /// A connection without a socket, with TLS at once or in clear. Needs a tokio runtime.
    #[must_use]
    pub fn connect(&self, tls: bool) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let server = self.clone();
        // It ends when the other end is dropped.
        tokio::spawn(async move { server.serve(Box::new(theirs), tls).await });
        ours
    }

    /// Speaks to a client until it goes.
    pub(super) async fn serve(self, io: Box<dyn Io>, tls: bool) {
        // Broken connections are the client's business, or ordered by a fault.
        if tls {
            if let Ok(stream) = self.acceptor().accept(io).await {
                session::run(&self, Box::new(stream), true).await;
            }
        } else {
            session::run(&self, io, false).await;
        }
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.inner.tls))
    }

    pub(super) fn struck(&self, command: &str) -> Vec<ImapFault> {
        striking(&mut locked(&self.inner.faults), command)
    }

    pub(super) fn count_request(&self) {
        self.inner.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_listed(&self, messages: usize) {
        let messages = u64::try_from(messages).unwrap_or(u64::MAX);
        self.inner.listed.fetch_add(messages, Ordering::Relaxed);
    }

    pub(super) fn count_idling(&self) {
        self.inner.idling.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_marked(&self, id: ItemId) -> bool {
        locked(&self.inner.marked).contains(&id)
    }

    pub(super) fn mark(&self, id: ItemId, deleted: bool) {
        let mut marked = locked(&self.inner.marked);
        if deleted {
            marked.insert(id);
        } else {
            marked.remove(&id);
        }
    }

    /// The UID that the next message will have at least, a folder's highest one being known.
    pub(super) fn next_uid(&self, folder: FolderId, last: u32) -> u32 {
        let mut highest = locked(&self.inner.highest);
        let known = highest.entry(folder).or_default();
        *known = last.max(*known);
        known.saturating_add(1)
    }

    /// Waits until anything changes in any mailbox.
    pub(super) fn changed(&self) -> &Notify {
        &self.inner.changed
    }
}

#[async_trait]
impl Dialer for ImapServer {
    /// Whatever the host; port 993 begins with TLS.
    async fn dial(&self, _: &OpContext, server: &ServerAddress) -> Result<Box<dyn Io>, NetError> {
        Ok(Box::new(self.connect(server.port == TLS_PORT)))
    }
}
