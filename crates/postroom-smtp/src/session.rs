//! A session: the protocol over a connection, from the greeting to the sign-in.

use bytes::Bytes;
use lettre::transport::smtp::commands::{Ehlo, Quit, Starttls};
use lettre::transport::smtp::extension::ClientId;
use postroom_core::Timestamp;
use postroom_net::line::{Connection, Connector};
use postroom_net::{NetError, NetFailure};
use postroom_provider::OpContext;

use crate::config::SmtpConfig;
use crate::proto::offers::Offers;
use crate::proto::reply::{self, LINES_MAX, LineKind, Reply};
use crate::proto::sasl::{SaslError, SignIn};

/// Longest line of a reply. The protocol has 512 bytes.
const LINE_MAX: usize = 8 * 1024;
/// Most questions of a sign-in.
const QUESTIONS_MAX: usize = 8;

/// Which part of the dialogue a refusal answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Greeting,
    Hello,
    StartTls,
    SignIn,
    Sender,
    Recipients,
    Content,
}

impl Step {
    /// The command, for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::SignIn => "AUTH",
            Self::Sender => "MAIL",
            Self::Recipients => "RCPT",
            Self::Content => "DATA",
        }
    }
}

/// Why a session cannot go on, or begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("the server refuses {}", .step.name())]
    Refused { step: Step, reply: Reply },
    #[error("the server's answer cannot be understood: {0}")]
    Odd(&'static str),
    #[error("no SMTP server greets like that: {0}")]
    NotSmtp(&'static str),
    #[error("the server does not offer STARTTLS: nothing is said in clear text")]
    TlsNotOffered,
    #[error(transparent)]
    Sasl(#[from] SaslError),
    #[error("the server does not let anybody sign in")]
    NoSignIn,
    #[error("the message cannot be read")]
    Local(#[source] std::io::Error),
    #[error("the server takes no addresses or headers beyond ASCII")]
    Utf8NotOffered,
    #[error("the server takes no content beyond ASCII")]
    EightBitNotOffered,
    #[error("the server takes at most {max} bytes")]
    TooLarge { max: u64 },
    /// None of them can be put into an envelope for this server.
    #[error("no recipient can be reached through this server")]
    NoRecipients,
}

/// A connection on which somebody has signed in. Dropped, it is closed without a word.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) offers: Offers,
    /// A transaction was begun and not ended.
    pub(crate) dirty: bool,
    pub(crate) used_at: Timestamp,
}

impl Session {
    /// Connects and signs in.
    pub(crate) async fn open(
        ctx: &OpContext,
        connector: &Connector,
        config: &SmtpConfig,
    ) -> Result<Self, SessionError> {
        let identity = &config.identity;
        let connection = connector
            .connect(ctx, &identity.server, identity.security)
            .await?;
        let mut session = Self {
            connection,
            offers: Offers::default(),
            dirty: false,
            used_at: ctx.clock.now(),
        };
        let greeting = session.greeting(ctx).await?;
        accepted(Step::Greeting, greeting)?;
        session.hello(ctx).await?;
        if config.upgrade() {
            if !session.offers.starttls {
                return Err(SessionError::TlsNotOffered);
            }
            let reply = session.ask(ctx, Starttls.to_string().as_bytes()).await?;
            accepted(Step::StartTls, reply)?;
            session.connection.start_tls(ctx).await?;
            // Nothing that was heard before counts.
            session.hello(ctx).await?;
        }
        session.sign_in(ctx, config).await?;
        session.used_at = ctx.clock.now();
        Ok(session)
    }

    async fn greeting(&mut self, ctx: &OpContext) -> Result<Reply, SessionError> {
        match self.reply(ctx).await {
            Err(SessionError::Net(error)) => Err(match error.failure() {
                NetFailure::TimedOut => error
                    .with_detail(
                        "the server says nothing: does it expect TLS at once, or speak another protocol?",
                    )
                    .into(),
                NetFailure::Lost => error
                    .with_detail("the server closes before it says anything")
                    .into(),
                NetFailure::LineTooLong => SessionError::NotSmtp("its first line has no end"),
                _ => error.into(),
            }),
            Err(SessionError::Odd(what)) => Err(SessionError::NotSmtp(what)),
            other => other,
        }
    }

    async fn hello(&mut self, ctx: &OpContext) -> Result<(), SessionError> {
        // An address literal, as a client in somebody's office has no name that means anything.
        let id = ClientId::default();
        let reply = self
            .ask(ctx, Ehlo::new(id.clone()).to_string().as_bytes())
            .await?;
        if reply.is_done() {
            self.offers = Offers::read(&reply);
            return Ok(());
        }
        // The protocol before its extensions (RFC 5321 section 3.2).
        if reply.is_negative() && matches!(reply.code(), 500 | 501 | 502 | 504 | 550) {
            let old = self.ask(ctx, format!("HELO {id}\r\n").as_bytes()).await?;
            if old.is_done() {
                self.offers = Offers::default();
                return Ok(());
            }
        }
        Err(SessionError::Refused {
            step: Step::Hello,
            reply,
        })
    }

    async fn sign_in(&mut self, ctx: &OpContext, config: &SmtpConfig) -> Result<(), SessionError> {
        let Some(account) = &config.identity.account else {
            return Ok(());
        };
        if !self.offers.auth {
            return Err(SessionError::NoSignIn);
        }
        let mut sign_in = SignIn::choose(account, &self.offers)?;
        let mut line = sign_in.first();
        for _ in 0..QUESTIONS_MAX {
            let whole = postroom_core::Secret::new(format!("{}\r\n", line.expose()));
            let reply = self.ask(ctx, whole.expose().as_bytes()).await?;
            if reply.code() != 334 {
                return accepted(Step::SignIn, reply);
            }
            line = sign_in.next();
        }
        Err(SessionError::Odd("it asks without end"))
    }

    /// The version of TLS, for people.
    pub(crate) fn tls_version(&self) -> Option<String> {
        self.connection.tls_version()
    }

    /// One command and its reply.
    pub(crate) async fn ask(
        &mut self,
        ctx: &OpContext,
        line: &[u8],
    ) -> Result<Reply, SessionError> {
        self.connection.send(ctx, line).await?;
        self.reply(ctx).await
    }

    /// The next reply.
    pub(crate) async fn reply(&mut self, ctx: &OpContext) -> Result<Reply, SessionError> {
        let mut lines: Vec<Bytes> = Vec::new();
        loop {
            let Some(line) = self.connection.read_line(ctx, LINE_MAX).await? else {
                return Err(NetError::new(NetFailure::Lost, true)
                    .with_detail("the server closed the connection")
                    .into());
            };
            let kind = reply::kind(&line);
            lines.push(line);
            match kind {
                LineKind::Alien => return Err(SessionError::Odd("it is no reply")),
                LineKind::More if lines.len() < LINES_MAX => {}
                LineKind::More => return Err(SessionError::Odd("it has too many lines")),
                LineKind::Last => {
                    return Reply::read(&lines).ok_or(SessionError::Odd("it is no reply"));
                }
            }
        }
    }

    /// Whether the server has said something that nobody asked for: it is closing, usually.
    pub(crate) fn spoke_unasked(&self) -> bool {
        !self.connection.buffered().is_empty()
    }

    /// Takes leave. Nothing depends on it.
    pub(crate) async fn quit(mut self, ctx: &OpContext) {
        let _ = self.ask(ctx, Quit.to_string().as_bytes()).await;
    }
}

fn accepted(step: Step, reply: Reply) -> Result<(), SessionError> {
    if reply.is_done() {
        Ok(())
    } else {
        Err(SessionError::Refused { step, reply })
    }
}
