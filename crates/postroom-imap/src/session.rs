//! The protocol over a connection: bounded responses in, commands out.
//!
//! Memory: a line has a bound, a literal that is no message too, and a message is handed on while it comes.

mod mailbox;
mod sign_in;

use postroom_core::{Secret, Timestamp};
use postroom_net::line::{Connection, Connector};
use postroom_net::{NetError, NetFailure};
use postroom_provider::OpContext;

use crate::config::ImapConfig;
use crate::proto::capability::Capabilities;
use crate::proto::command::{Command, Part};
use crate::proto::response::{self, Response, Status, Word};

pub(crate) use mailbox::{Access, Opened, Since};
pub(crate) use sign_in::{Known, SignInError};

/// Longest response, literals that are no message included.
const RESPONSE_MAX: usize = 64 * 1024;
/// Longest list of UIDs in one line: a million of them. A mailbox with more cannot be read.
const UIDS_MAX: usize = 11_000_000;
/// Longest message. Whoever announces more lies, or has one that is refused anyway.
pub(crate) const MESSAGE_MAX: u64 = postroom_provider::spool::MESSAGE_BYTES_MAX;

/// Why a session cannot go on, or begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error(transparent)]
    SignIn(Box<SignInFailure>),
    #[error("the server refuses {what}")]
    Refused { what: String, word: Word, bad: bool },
    #[error("the server says goodbye")]
    Bye(Word),
    #[error("the server's answer cannot be understood: {0}")]
    Odd(&'static str),
    /// A message, or a part, is announced with more bytes than there can be.
    #[error("the server announces {announced} bytes where {max} may come")]
    Announced {
        announced: u64,
        max: u64,
        uid: Option<u32>,
    },
}

/// A sign-in that failed, and what is needed to weigh it.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct SignInFailure {
    #[source]
    pub(crate) error: SignInError,
    /// Whether the credentials had been sent.
    pub(crate) about_credentials: bool,
}

/// Takes what the server says while a command is carried out.
pub(crate) trait Receive: Send {
    /// Most bytes that a part of a message may have; its beginning tells of which it is. 0 where none was
    /// asked for.
    fn body_max(&mut self, text: &[u8]) -> u64 {
        let _ = text;
        0
    }
    /// A part of a message begins, and that many bytes of it come.
    fn body_begins(&mut self, announced: u64) {
        let _ = announced;
    }
    /// The next bytes of it.
    fn bytes(&mut self, part: &[u8]) {
        let _ = part;
    }
    /// A response, after its body where it has one.
    fn take(&mut self, response: Response);
}

impl<F: FnMut(Response) + Send> Receive for F {
    fn take(&mut self, response: Response) {
        self(response);
    }
}

/// Whatever is said is passed over.
pub(crate) fn ignore(_: Response) {}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: Status,
    pub(crate) word: Word,
    what: String,
}

impl Done {
    /// The server's words, where it agreed.
    pub(crate) fn ok(self) -> Result<Word, SessionError> {
        let Self { status, word, what } = self;
        match status {
            Status::Ok => Ok(word),
            status => Err(SessionError::Refused {
                what,
                word,
                bad: status == Status::Bad,
            }),
        }
    }
}

/// A command that was sent and is not finished yet.
#[derive(Debug)]
pub(crate) struct Sent {
    tag: String,
    what: String,
}

impl Sent {
    /// Whether this is its end.
    pub(crate) fn is_ended_by(&self, response: &Response) -> bool {
        matches!(response, Response::Done(tag, ..) if *tag == self.tag)
    }
}

/// A connection that is signed in. Dropped, it is closed without a word.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    pub(crate) capabilities: Capabilities,
    /// Whether the server was asked to tell which messages vanish.
    pub(crate) tells_vanished: bool,
    /// The mailbox that is open.
    pub(crate) opened: Option<Opened>,
    pub(crate) used_at: Timestamp,
    /// What the server had before the sign-in.
    pub(crate) before: Capabilities,
    tags: u32,
    greeting: Word,
}

impl Session {
    /// Connects and signs in.
    pub(crate) async fn open(
        ctx: &OpContext,
        connector: &Connector,
        config: &ImapConfig,
        known: Option<Known>,
    ) -> Result<Self, SessionError> {
        let connection = connector
            .connect(ctx, &config.server, config.security)
            .await?;
        let mut session = Self {
            connection,
            capabilities: Capabilities::default(),
            tells_vanished: false,
            opened: None,
            used_at: ctx.clock.now(),
            before: Capabilities::default(),
            tags: 0,
            greeting: Word::default(),
        };
        session.sign_in(ctx, config, known).await?;
        session.used_at = ctx.clock.now();
        Ok(session)
    }

    /// The version of TLS, for people.
    pub(crate) fn tls_version(&self) -> Option<String> {
        self.connection.tls_version()
    }

    /// What the server calls itself in its greeting, for people.
    pub(crate) fn product(&self) -> &str {
        &self.greeting.text
    }

    /// Sends a command, without waiting for its end. What is to be waited for on the way, because the
    /// server takes no literal before it agrees, is waited for.
    pub(crate) async fn send(
        &mut self,
        ctx: &OpContext,
        command: &Command,
    ) -> Result<Sent, SessionError> {
        self.tags = self.tags.wrapping_add(1);
        let tag = format!("p{}", self.tags);
        let mut line = format!("{tag} ");
        let at_once = self.capabilities.literal_at_once();
        for part in command.parts() {
            match part {
                Part::Text(text) => line.push_str(text.expose()),
                Part::Literal(text) => {
                    let length = text.expose().len();
                    let plus = if length <= at_once { "+" } else { "" };
                    line.push_str(&format!("{{{length}{plus}}}\r\n"));
                    if plus.is_empty() {
                        let so_far = Secret::new(std::mem::take(&mut line));
                        let so_far = so_far.expose().as_bytes();
                        self.connection.send(ctx, so_far).await?;
                        self.agreed(ctx, &tag, command).await?;
                    }
                    line.push_str(text.expose());
                }
            }
        }
        line.push_str("\r\n");
        // It may hold a password.
        let line = Secret::new(line);
        self.connection.send(ctx, line.expose().as_bytes()).await?;
        Ok(Sent {
            tag,
            what: command.name(),
        })
    }

    /// Waits until the server asks for the literal at the end of a command that was sent; how the command ended
    /// where it does not.
    pub(crate) async fn asked(
        &mut self,
        ctx: &OpContext,
        sent: Sent,
    ) -> Result<Result<Sent, Done>, SessionError> {
        loop {
            match self.response(ctx, &mut ignore).await? {
                Response::Continue(_) => return Ok(Ok(sent)),
                Response::Done(tag, status, word) if tag == sent.tag => {
                    let what = sent.what;
                    return Ok(Err(Done { status, word, what }));
                }
                _ => {}
            }
        }
    }

    /// Waits until the server asks for the rest of a command.
    async fn agreed(
        &mut self,
        ctx: &OpContext,
        tag: &str,
        command: &Command,
    ) -> Result<(), SessionError> {
        loop {
            match self.response(ctx, &mut ignore).await? {
                Response::Continue(_) => return Ok(()),
                Response::Done(of, status, word) if of == tag => {
                    let what = command.name();
                    let done = Done { status, word, what };
                    done.ok()?;
                    return Err(SessionError::Odd("a command ended before it was said"));
                }
                _ => {}
            }
        }
    }

    /// Hears the server out until a command that was sent is finished.
    pub(crate) async fn finish<R: Receive>(
        &mut self,
        ctx: &OpContext,
        sent: Sent,
        receive: &mut R,
    ) -> Result<Done, SessionError> {
        let done = loop {
            match self.response(ctx, receive).await? {
                Response::Done(tag, status, word) if tag == sent.tag => {
                    break Done {
                        status,
                        word,
                        what: sent.what,
                    };
                }
                Response::Done(..) => {
                    return Err(SessionError::Odd("it is about another command"));
                }
                Response::Continue(_) => {
                    return Err(SessionError::Odd(
                        "the server waits for more of a whole command",
                    ));
                }
                other => receive.take(other),
            }
        };
        self.used_at = ctx.clock.now();
        Ok(done)
    }

    /// Sends a command and hears the server out.
    pub(crate) async fn run<R: Receive>(
        &mut self,
        ctx: &OpContext,
        command: &Command,
        receive: &mut R,
    ) -> Result<Done, SessionError> {
        let sent = self.send(ctx, command).await?;
        self.finish(ctx, sent, receive).await
    }

    /// Ends the session. Nothing that the server could still say matters.
    pub(crate) async fn close(mut self, ctx: &OpContext) -> Result<(), SessionError> {
        self.send(ctx, &Command::new("LOGOUT")).await?;
        Ok(())
    }

    /// Sends bytes of a command that the server has asked for.
    pub(crate) async fn send_raw(
        &mut self,
        ctx: &OpContext,
        bytes: &[u8],
    ) -> Result<(), SessionError> {
        Ok(self.connection.send(ctx, bytes).await?)
    }

    /// Reads a response. A message in it is handed on while it comes. What it says about the mailbox that is
    /// open is remembered.
    pub(crate) async fn response<R: Receive>(
        &mut self,
        ctx: &OpContext,
        receive: &mut R,
    ) -> Result<Response, SessionError> {
        let mut text = Vec::new();
        let mut streamed = false;
        loop {
            let max = if text.is_empty() {
                self.line_max(ctx).await?
            } else {
                RESPONSE_MAX
            };
            let room = max.saturating_sub(text.len());
            let line = self.connection.read_line(ctx, room).await?;
            let line = line.ok_or_else(ended)?;
            text.extend_from_slice(&line);
            let literal = response::announced(&line)
                .filter(|_| response::may_hold_literal(&text))
                .map(|(length, at)| (length, text.len() - line.len() + at));
            let Some((length, at)) = literal else {
                break;
            };
            if response::is_body(text.get(..at).unwrap_or_default()) {
                text.truncate(at);
                self.body(ctx, &text, length, receive).await?;
                text.extend_from_slice(b"\"\"");
                streamed = true;
            } else {
                text.extend_from_slice(b"\r\n");
                self.literal(ctx, length, &mut text).await?;
            }
        }
        let response = response::read(&text, streamed);
        if let Some(opened) = &mut self.opened {
            opened.hear(&response);
        }
        match response {
            Response::Untagged(Status::Bye, word) => Err(SessionError::Bye(word)),
            response => Ok(response),
        }
    }

    /// How long the next line may be: lists of UIDs may be long.
    async fn line_max(&mut self, ctx: &OpContext) -> Result<usize, SessionError> {
        const LONG: [&[u8]; 2] = [b"* SEARCH ", b"* VANISHED "];
        loop {
            let held = self.connection.buffered();
            let start = held.get(..11).unwrap_or(held);
            if LONG.iter().any(|word| start.starts_with(word)) {
                return Ok(UIDS_MAX);
            }
            if held.len() >= 11 || held.contains(&b'\n') {
                return Ok(RESPONSE_MAX);
            }
            if self.connection.fill(ctx).await? == 0 {
                return Ok(RESPONSE_MAX);
            }
        }
    }

    async fn body<R: Receive>(
        &mut self,
        ctx: &OpContext,
        text: &[u8],
        length: u64,
        receive: &mut R,
    ) -> Result<(), SessionError> {
        let max = receive.body_max(text);
        if length > max {
            return Err(SessionError::Announced {
                announced: length,
                max,
                uid: response::uid_in(text),
            });
        }
        receive.body_begins(length);
        self.taken(ctx, length, |part| receive.bytes(part)).await
    }

    async fn literal(
        &mut self,
        ctx: &OpContext,
        length: u64,
        text: &mut Vec<u8>,
    ) -> Result<(), SessionError> {
        let room = RESPONSE_MAX.saturating_sub(text.len());
        if usize::try_from(length).map_or(true, |length| length > room) {
            return Err(NetError::new(NetFailure::LineTooLong, true).into());
        }
        self.taken(ctx, length, |part| text.extend_from_slice(part))
            .await
    }

    /// Takes so many bytes off the connection.
    async fn taken(
        &mut self,
        ctx: &OpContext,
        length: u64,
        mut take: impl FnMut(&[u8]) + Send,
    ) -> Result<(), SessionError> {
        let mut left = length;
        while left > 0 {
            let held = self.connection.buffered();
            let some = usize::try_from(left).unwrap_or(usize::MAX).min(held.len());
            if some == 0 {
                if self.connection.fill(ctx).await? == 0 {
                    return Err(ended().into());
                }
                continue;
            }
            take(held.get(..some).unwrap_or_default());
            self.connection.consume(some);
            left = left.saturating_sub(u64::try_from(some).unwrap_or(left));
        }
        Ok(())
    }
}

fn ended() -> NetError {
    NetError::new(NetFailure::Lost, true).with_detail("the server closed the connection")
}
