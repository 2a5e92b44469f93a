//! The server behind its connections.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use postroom_net::NetError;
use postroom_net::line::{Dialer, Io, ServerAddress};
use postroom_provider::OpContext;
use rustls::ServerConfig;
use tokio::io::DuplexStream;
use tokio_rustls::TlsAcceptor;

use super::fault::{SmtpFault, SmtpFaultRule, striking};
use super::session;
use crate::exchange::{Certificate, ListenError, tls};
use crate::model::MailSystem;

/// The port where TLS comes first.
const TLS_PORT: u16 = 465;
/// What a connection without a socket holds in each direction.
const PIPE_BYTES: usize = 256 * 1024;

/// Which parts of the protocol a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmtpOffers {
    /// EHLO is known; without it nothing below is.
    pub ehlo: bool,
    /// STARTTLS.
    pub starttls: bool,
    /// AUTH PLAIN.
    pub plain: bool,
    /// AUTH LOGIN.
    pub login: bool,
    /// AUTH XOAUTH2; the account's password is the token.
    pub xoauth2: bool,
    /// Commands may follow each other without waiting.
    pub pipelining: bool,
    /// Content beyond ASCII.
    pub eight_bit: bool,
    /// Addresses and headers beyond ASCII.
    pub utf8: bool,
    /// The largest message, told and kept to; zero: no limit.
    pub size_max: u64,
    /// The text of replies begins with an enhanced code.
    pub enhanced: bool,
    /// Who has not signed in may send, too.
    pub open: bool,
    /// Unknown recipients of own domains are refused at once; else a report follows.
    pub knows_recipients: bool,
    /// So many recipients fit into one transaction.
    pub recipients_max: usize,
    /// A copy of what an account sends is filed in its Sent Items.
    pub files_copy: bool,
}

impl Default for SmtpOffers {
    /// Everything, to those who sign in; copies are not filed.
    fn default() -> Self {
        Self {
            ehlo: true,
            starttls: true,
            plain: true,
            login: true,
            xoauth2: true,
            pipelining: true,
            eight_bit: true,
            utf8: true,
            size_max: 35 * 1024 * 1024,
            enhanced: true,
            open: false,
            knows_recipients: false,
            recipients_max: 100,
            files_copy: false,
        }
    }
}

/// A message as it was handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmtpEnvelope {
    /// The MAIL command's argument.
    pub sender: String,
    /// The recipients that were accepted.
    pub recipients: Vec<String>,
    /// The message, its dots as they were before they were doubled.
    pub content: Bytes,
}

/// An SMTP server. Cheap to clone; clones are the same server.
#[derive(Clone)]
pub struct SmtpServer {
    inner: Arc<Inner>,
}

struct Inner {
    mail: Arc<MailSystem>,
    offers: Mutex<SmtpOffers>,
    faults: Mutex<Vec<SmtpFaultRule>>,
    received: Mutex<Vec<SmtpEnvelope>>,
    keeps: Mutex<bool>,
    requests: AtomicU64,
    sessions: AtomicU64,
    messages: AtomicU64,
    tls: Arc<ServerConfig>,
    authority: String,
}

impl fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpServer")
            .field("mail", &self.inner.mail)
            .field("requests", &self.requests())
            .finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SmtpServer {
    /// A server for these mailboxes, with a certificate for `localhost`, `127.0.0.1` and
    /// `smtp.example.org`.
    ///
    /// # Errors
    /// [`ListenError::Certificate`].
    pub fn new(mail: Arc<MailSystem>) -> Result<Self, ListenError> {
        Self::with_certificate(mail, Certificate::Valid)
    }

    /// The same with a certificate of that kind.
    ///
    /// # Errors
    /// [`ListenError::Certificate`].
    pub fn with_certificate(
        mail: Arc<MailSystem>,
        certificate: Certificate,
    ) -> Result<Self, ListenError> {
        let names = ["localhost", "127.0.0.1", "smtp.example.org"].map(str::to_owned);
        let identity = tls::identity(&names, certificate)?;
        Ok(Self {
            inner: Arc::new(Inner {
                mail,
                offers: Mutex::default(),
                faults: Mutex::default(),
                received: Mutex::default(),
                keeps: Mutex::new(true),
                requests: AtomicU64::new(0),
                sessions: AtomicU64::new(0),
                messages: AtomicU64::new(0),
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
    pub fn offer(&self, change: impl FnOnce(&mut SmtpOffers)) {
        change(&mut locked(&self.inner.offers));
    }

    /// What the server has.
    #[must_use]
    pub fn offers(&self) -> SmtpOffers {
        locked(&self.inner.offers).clone()
    }

    /// Switches a fault on, in addition to those that are on.
    pub fn arm(&self, rule: SmtpFaultRule) {
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

    /// How many connections there were.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.inner.sessions.load(Ordering::Relaxed)
    }

    /// How many messages were taken.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.inner.messages.load(Ordering::Relaxed)
    }

    /// The messages that were taken, in order.
    #[must_use]
    pub fn received(&self) -> Vec<SmtpEnvelope> {
        locked(&self.inner.received).clone()
    }

    /// Takes messages and throws them away from now on: they are counted and reach nobody.
    pub fn swallow(&self) {
        *locked(&self.inner.keeps) = false;
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
        self.inner.sessions.fetch_add(1, Ordering::Relaxed);
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

    pub(super) fn struck(&self, command: &str, argument: &str) -> Vec<SmtpFault> {
        striking(&mut locked(&self.inner.faults), command, argument)
    }

    pub(super) fn count_request(&self) {
        self.inner.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes a message; answers whether it is to reach anybody.
    pub(super) fn note(&self, envelope: SmtpEnvelope) -> bool {
        self.inner.messages.fetch_add(1, Ordering::Relaxed);
        let keeps = *locked(&self.inner.keeps);
        if keeps {
            locked(&self.inner.received).push(envelope);
        }
        keeps
    }
}

#[async_trait]
impl Dialer for SmtpServer {
    /// Whatever the host; port 465 begins with TLS.
    async fn dial(&self, _: &OpContext, server: &ServerAddress) -> Result<Box<dyn Io>, NetError> {
        Ok(Box::new(self.connect(server.port == TLS_PORT)))
    }
}
