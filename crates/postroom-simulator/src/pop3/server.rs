//! The server behind its connections.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use postroom_net::NetError;
use postroom_net::line::{Dialer, Io, ServerAddress};
use postroom_provider::OpContext;
use rustls::ServerConfig;
use tokio::io::DuplexStream;
use tokio_rustls::TlsAcceptor;

use super::fault::{Pop3Fault, Pop3FaultRule, striking};
use super::session;
use crate::exchange::{Certificate, ListenError, tls};
use crate::model::{AccountId, Item, MailSystem};

/// The port where TLS comes first.
const TLS_PORT: u16 = 995;
/// What a connection without a socket holds in each direction.
const PIPE_BYTES: usize = 256 * 1024;

/// Which parts of the protocol a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pop3Offers {
    /// CAPA is known; without it nothing is told.
    pub capa: bool,
    /// UIDL.
    pub uidl: bool,
    /// TOP.
    pub top: bool,
    /// USER and PASS.
    pub user: bool,
    /// AUTH PLAIN.
    pub plain: bool,
    /// AUTH XOAUTH2; the account's password is the token.
    pub xoauth2: bool,
    /// APOP, by a time stamp in the greeting.
    pub apop: bool,
    /// STLS.
    pub stls: bool,
    /// Commands may follow each other without waiting.
    pub pipelining: bool,
    /// Refusals of credentials are marked.
    pub resp_codes: bool,
    /// So long must be between two sign-ins, says CAPA.
    pub login_delay: Option<Duration>,
    /// A session keeps others out.
    pub lock: bool,
}

impl Default for Pop3Offers {
    /// Everything but APOP.
    fn default() -> Self {
        Self {
            capa: true,
            uidl: true,
            top: true,
            user: true,
            plain: true,
            xoauth2: true,
            apop: false,
            stls: true,
            pipelining: true,
            resp_codes: true,
            login_delay: None,
            lock: true,
        }
    }
}

/// A POP3 server. Cheap to clone; clones are the same server.
#[derive(Clone)]
pub struct Pop3Server {
    inner: Arc<Inner>,
}

struct Inner {
    mail: Arc<MailSystem>,
    offers: Mutex<Pop3Offers>,
    faults: Mutex<Vec<Pop3FaultRule>>,
    locked: Mutex<BTreeSet<AccountId>>,
    requests: AtomicU64,
    sessions: AtomicU64,
    tls: Arc<ServerConfig>,
    authority: String,
}

impl fmt::Debug for Pop3Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pop3Server")
            .field("mail", &self.inner.mail)
            .field("requests", &self.requests())
            .finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pop3Server {
    /// A server for these mailboxes, with a certificate for `localhost`, `127.0.0.1` and
    /// `pop.example.org`.
    ///
    /// # Errors
    /// [`ListenError::Certificate`].
    pub fn new(mail: Arc<MailSystem>) -> Result<Self, ListenError> {
        let names = ["localhost", "127.0.0.1", "pop.example.org"].map(str::to_owned);
        let identity = tls::identity(&names, Certificate::Valid)?;
        Ok(Self {
            inner: Arc::new(Inner {
                mail,
                offers: Mutex::default(),
                faults: Mutex::default(),
                locked: Mutex::default(),
                requests: AtomicU64::new(0),
                sessions: AtomicU64::new(0),
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

    /// Changes what the server has, for sessions to come.
    pub fn offer(&self, change: impl FnOnce(&mut Pop3Offers)) {
        change(&mut locked(&self.inner.offers));
    }

    /// What the server has.
    #[must_use]
    pub fn offers(&self) -> Pop3Offers {
        locked(&self.inner.offers).clone()
    }

    /// Switches a fault on, in addition to those that are on.
    pub fn arm(&self, rule: Pop3FaultRule) {
        locked(&self.inner.faults).push(rule);
    }

    /// Switches all faults off.
    pub fn disarm(&self) {
        locked(&self.inner.faults).clear();
    }

    /// How many commands the server has heard.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }

    /// How many mailboxes were opened.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.inner.sessions.load(Ordering::Relaxed)
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
                let _ = session::run(&self, Box::new(stream), true).await;
            }
        } else {
            let _ = session::run(&self, io, false).await;
        }
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.inner.tls))
    }

    pub(super) fn struck(&self, command: &str) -> Vec<Pop3Fault> {
        striking(&mut locked(&self.inner.faults), command)
    }

    pub(super) fn count_request(&self) {
        self.inner.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Opens a mailbox; `None` where somebody else has it open.
    pub(super) fn lock(&self, account: AccountId) -> Option<Lock> {
        let exclusive = self.offers().lock;
        if exclusive && !locked(&self.inner.locked).insert(account) {
            return None;
        }
        self.inner.sessions.fetch_add(1, Ordering::Relaxed);
        Some(Lock {
            server: self.clone(),
            account,
            exclusive,
        })
    }
}

impl Lock {
    /// The mailboxes.
    pub(super) fn mail(&self) -> &MailSystem {
        self.server.mail()
    }
}

/// A mailbox that is open.
pub(super) struct Lock {
    server: Pop3Server,
    pub(super) account: AccountId,
    exclusive: bool,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.exclusive {
            locked(&self.server.inner.locked).remove(&self.account);
        }
    }
}

/// The UIDL of a message: other ones after the folder's [`MailSystem::invalidate_sync`].
#[must_use]
pub fn uidl(mail: &MailSystem, item: &Item) -> String {
    let epoch = mail.folder(item.folder).map_or(0, |folder| folder.epoch);
    format!("{:x}.{epoch:x}", item.id.number())
}

#[async_trait]
impl Dialer for Pop3Server {
    /// Whatever the host; port 995 begins with TLS.
    async fn dial(&self, _: &OpContext, server: &ServerAddress) -> Result<Box<dyn Io>, NetError> {
        Ok(Box::new(self.connect(server.port == TLS_PORT)))
    }
}
