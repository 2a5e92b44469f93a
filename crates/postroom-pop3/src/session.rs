//! A session: the protocol over a connection.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use postroom_core::Timestamp;
use postroom_net::line::{Connection, Connector};
use postroom_net::{NetError, NetFailure};
use postroom_provider::{OpContext, RemoteId};

use crate::config::Pop3Config;
use crate::listing::{ContentIds, Entry, Listing, id_of_uidl, numbered};
use crate::proto::capa::Capa;
use crate::proto::command::Ask;
use crate::proto::content::{Content, LineEnd};
use crate::proto::reply::{self, Refusal, Reply};
use crate::proto::sign_in::{Heard, Next, SignIn, SignInError};
use crate::quirk::Quirk;

/// Requests in flight at a time where the server takes them; the next ones go out when half are answered.
const IN_FLIGHT: usize = 200;
/// Longest line. The protocol has 512 bytes.
const LINE_MAX: usize = 8 * 1024;
/// Most lines of a listing: a mailbox with more messages cannot be read.
const LINES_MAX: usize = 1_000_000;
/// What is kept of a header.
const HEADER_MAX: usize = 256 * 1024;

/// Why a session cannot go on, or begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error(transparent)]
    SignIn(Box<SignInFailure>),
    #[error("the server refuses {what}: {}", .refusal.text)]
    Refused {
        what: &'static str,
        refusal: Refusal,
    },
    #[error("the server's answer cannot be understood: {0}")]
    Odd(&'static str),
}

/// A sign-in that failed, and what is needed to weigh it.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct SignInFailure {
    #[source]
    pub(crate) error: SignInError,
    /// Whether the server's word is about the credentials, if it says nothing else.
    pub(crate) about_credentials: bool,
    pub(crate) capa: Option<Capa>,
}

/// Takes answers of many lines, one after the other.
pub(crate) trait Receive: Send {
    /// What becomes of one.
    type Out: Send;
    /// The next bytes.
    fn bytes(&mut self, part: &[u8]);
    /// The end.
    fn finish(&mut self) -> Self::Out;
}

/// How much of a message is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Its header.
    Header,
    /// All of it.
    Whole,
}

/// Nothing comes but status lines.
pub(crate) struct NoContent;

impl Receive for NoContent {
    type Out = ();
    fn bytes(&mut self, _: &[u8]) {}
    fn finish(&mut self) {}
}

/// Keeps headers; what comes behind the empty line is passed over.
#[derive(Default)]
pub(crate) struct Headers {
    block: Vec<u8>,
    over: bool,
}

impl Receive for Headers {
    type Out = Vec<u8>;

    fn bytes(&mut self, part: &[u8]) {
        if self.over {
            return;
        }
        let room = HEADER_MAX.saturating_sub(self.block.len());
        let searched = self.block.len().saturating_sub(3);
        self.block
            .extend_from_slice(part.get(..room).unwrap_or(part));
        let fresh = self.block.get(searched..).unwrap_or_default();
        let end = memchr::memmem::find(fresh, b"\n\r\n").map(|at| at + 3);
        let bare = memchr::memmem::find(fresh, b"\n\n").map(|at| at + 2);
        if let Some(end) = end.into_iter().chain(bare).min() {
            self.block.truncate(searched + end);
            self.over = true;
        }
        self.over |= self.block.len() >= HEADER_MAX;
    }

    fn finish(&mut self) -> Vec<u8> {
        self.over = false;
        std::mem::take(&mut self.block)
    }
}

/// A mailbox that is open. Dropped, it is closed without a word, and what was to be deleted stays.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    pub(crate) capa: Capa,
    pub(crate) quirks: BTreeSet<Quirk>,
    pub(crate) listing: Listing,
    /// Sizes by number, once they were asked for.
    sizes: Option<BTreeMap<u32, u64>>,
    pub(crate) used_at: Timestamp,
    line_end: LineEnd,
}

impl Session {
    /// Connects, signs in and lists.
    pub(crate) async fn open(
        ctx: &OpContext,
        connector: &Connector,
        config: &Pop3Config,
        known: Option<Capa>,
    ) -> Result<Self, SessionError> {
        let mut session = Self::sign_in(ctx, connector, config, known).await?;
        session.list(ctx).await?;
        session.used_at = ctx.clock.now();
        Ok(session)
    }

    async fn sign_in(
        ctx: &OpContext,
        connector: &Connector,
        config: &Pop3Config,
        known: Option<Capa>,
    ) -> Result<Self, SessionError> {
        let connection = connector
            .connect(ctx, &config.server, config.security)
            .await?;
        let mut session = Self {
            connection,
            capa: Capa::untold(),
            quirks: config.quirks.clone(),
            listing: Listing::default(),
            sizes: None,
            used_at: ctx.clock.now(),
            line_end: LineEnd::CrLf,
        };
        let secure = session.connection.is_secure();
        let mut sign_in = SignIn::new(&config.account, secure, config.upgrade(), known);
        let mut heard = Heard::Line(session.greeting(ctx).await?);
        loop {
            let asked = sign_in.asked_for_verdict();
            let next = match sign_in.hear(heard) {
                Ok(next) => next,
                Err(error) => {
                    return Err(SessionError::SignIn(Box::new(SignInFailure {
                        error,
                        about_credentials: asked,
                        capa: sign_in.capa().cloned(),
                    })));
                }
            };
            heard = match next {
                Next::Done => break,
                Next::BeginTls => {
                    session.connection.start_tls(ctx).await?;
                    Heard::Tls
                }
                Next::Say(line) => {
                    let line = postroom_core::Secret::new(format!("{}\r\n", line.expose()));
                    session
                        .connection
                        .send(ctx, line.expose().as_bytes())
                        .await?;
                    Heard::Line(session.line(ctx).await?)
                }
                Next::Ask(line) => {
                    let mut lines = Vec::new();
                    let keep = |line: &[u8]| lines.push(Bytes::copy_from_slice(line));
                    match session.ask_lines(ctx, line, keep).await? {
                        Ok(()) => Heard::Lines(lines),
                        Err(_) => Heard::Line(Bytes::from_static(b"-ERR")),
                    }
                }
            };
        }
        session.capa = sign_in.into_capa();
        if !session.capa.told {
            session.quirks.insert(Quirk::NoCapa);
        }
        Ok(session)
    }

    async fn greeting(&mut self, ctx: &OpContext) -> Result<Bytes, SessionError> {
        match self.line(ctx).await {
            Err(SessionError::Net(error)) => Err(SessionError::Net(match error.failure() {
                NetFailure::TimedOut => error.with_detail(
                    "the server says nothing: does it expect TLS at once, or speak another protocol?",
                ),
                NetFailure::Lost => error.with_detail("the server closes before it says anything"),
                // No POP3 server greets like that.
                NetFailure::LineTooLong => {
                    let failure = SignInFailure {
                        error: SignInError::NotPop3("its first line has no end"),
                        about_credentials: false,
                        capa: None,
                    };
                    return Err(SessionError::SignIn(Box::new(failure)));
                }
                _ => error,
            })),
            other => other,
        }
    }

    /// The version of TLS, for people.
    pub(crate) fn tls_version(&self) -> Option<String> {
        self.connection.tls_version()
    }

    async fn line(&mut self, ctx: &OpContext) -> Result<Bytes, SessionError> {
        match self.connection.read_line(ctx, LINE_MAX).await? {
            Some(line) => {
                self.line_end = if self.connection.ended_in_bare_lf() {
                    self.quirks.insert(Quirk::BareLf);
                    LineEnd::Lf
                } else {
                    LineEnd::CrLf
                };
                Ok(line)
            }
            None => Err(ended().into()),
        }
    }

    async fn status(&mut self, ctx: &OpContext) -> Result<Result<(), Refusal>, SessionError> {
        match reply::read(&self.line(ctx).await?) {
            Some(Reply::Ok(_)) => Ok(Ok(())),
            Some(Reply::Refused(refusal)) => Ok(Err(refusal)),
            Some(Reply::Continue) | None => Err(SessionError::Odd("it is no status line")),
        }
    }

    /// A command whose answer has many lines.
    async fn ask_lines(
        &mut self,
        ctx: &OpContext,
        command: &str,
        mut each: impl FnMut(&[u8]) + Send,
    ) -> Result<Result<(), Refusal>, SessionError> {
        let command = format!("{command}\r\n");
        self.connection.send(ctx, command.as_bytes()).await?;
        if let Err(refusal) = self.status(ctx).await? {
            return Ok(Err(refusal));
        }
        for _ in 0..LINES_MAX {
            let line = self.line(ctx).await?;
            if line.as_ref() == b"." {
                return Ok(Ok(()));
            }
            each(&line);
        }
        Err(SessionError::Odd("a listing has no end"))
    }

    /// A command whose answer is a status line.
    pub(crate) async fn no_operation(&mut self, ctx: &OpContext) -> Result<(), SessionError> {
        self.connection.send(ctx, b"NOOP\r\n").await?;
        self.used_at = ctx.clock.now();
        let refused = |refusal| SessionError::Refused {
            what: "NOOP",
            refusal,
        };
        self.status(ctx).await?.map_err(refused)
    }

    /// Ends the session: what was to be deleted is deleted, and others get in again.
    pub(crate) async fn quit(mut self, ctx: &OpContext) -> Result<(), SessionError> {
        self.connection.send(ctx, b"QUIT\r\n").await?;
        let refused = |refusal| SessionError::Refused {
            what: "QUIT",
            refusal,
        };
        self.status(ctx).await?.map_err(refused)
    }

    /// Which messages there are.
    async fn list(&mut self, ctx: &OpContext) -> Result<(), SessionError> {
        let mut found: Vec<(u32, Option<RemoteId>)> = Vec::new();
        let (mut odd, mut strange) = (false, false);
        let mut listed = Err(Refusal {
            code: None,
            text: String::new(),
        });
        if self.capa.uidl {
            let take = |line: &[u8]| match numbered(line) {
                Some((number, uidl)) => {
                    let id = id_of_uidl(uidl);
                    odd |= id.as_ref().is_some_and(|(_, odd)| *odd);
                    found.push((number, id.map(|(id, _)| id)));
                }
                None => strange = true,
            };
            listed = self.ask_lines(ctx, "UIDL", take).await?;
        }
        if let Err(refusal) = listed {
            // A server that has UIDL and cannot carry it out has trouble: its messages keep their ids.
            if refusal.code.is_some() {
                let what = "UIDL";
                return Err(SessionError::Refused { what, refusal });
            }
            self.quirks.insert(Quirk::NoUidl);
            let sizes = self.sizes(ctx).await?;
            found = sizes.keys().map(|number| (*number, None)).collect();
        }
        if strange {
            return Err(SessionError::Odd("a line of UIDL has no number"));
        }
        if odd {
            self.quirks.insert(Quirk::OddUidl);
        }
        self.listing = Listing::new(self.identified(ctx, found).await?);
        Ok(())
    }

    /// Gives an id to each message that has none of its own.
    async fn identified(
        &mut self,
        ctx: &OpContext,
        found: Vec<(u32, Option<RemoteId>)>,
    ) -> Result<Vec<Entry>, SessionError> {
        let mut ids: Vec<&RemoteId> = found.iter().filter_map(|(_, id)| id.as_ref()).collect();
        ids.sort_unstable();
        let shared: BTreeSet<RemoteId> = ids
            .windows(2)
            .filter_map(|pair| match pair {
                [first, second] if first == second => Some((*first).clone()),
                _ => None,
            })
            .collect();
        if !shared.is_empty() {
            self.quirks.insert(Quirk::DuplicateUidl);
        }
        let own = |id: &Option<RemoteId>| id.as_ref().is_some_and(|id| !shared.contains(id));
        let nameless: Vec<u32> = found
            .iter()
            .filter(|(_, id)| !own(id))
            .map(|(number, _)| *number)
            .collect();
        let mut receive = Headers::default();
        let headers = self.get(ctx, &nameless, Part::Header, &mut receive);
        let mut headers = headers.await?.into_iter();
        let mut contents = ContentIds::default();
        let mut entries = Vec::with_capacity(found.len());
        for (number, id) in found {
            let id = match id.filter(|id| !shared.contains(id)) {
                Some(id) => id,
                // What cannot be read has no name, and is asked for again the next time.
                None => match headers.next() {
                    Some(Ok(header)) => contents.id_of(&header),
                    _ => continue,
                },
            };
            entries.push(Entry::new(number, id));
        }
        Ok(entries)
    }

    /// Sizes by number; asked for once.
    pub(crate) async fn sizes(
        &mut self,
        ctx: &OpContext,
    ) -> Result<&BTreeMap<u32, u64>, SessionError> {
        if self.sizes.is_none() {
            let mut sizes = BTreeMap::new();
            let take = |line: &[u8]| {
                if let Some((number, size)) = numbered(line) {
                    let size = std::str::from_utf8(size).ok().and_then(|s| s.parse().ok());
                    sizes.insert(number, size.unwrap_or_default());
                }
            };
            let what = "LIST";
            self.ask_lines(ctx, what, take)
                .await?
                .map_err(|refusal| SessionError::Refused { what, refusal })?;
            self.sizes = Some(sizes);
        }
        Ok(self.sizes.get_or_insert_default())
    }

    /// The size of a message, where sizes were asked for.
    pub(crate) fn size_of(&self, number: u32) -> Option<u64> {
        self.sizes.as_ref()?.get(&number).copied()
    }

    /// Messages by number, or their headers alone: by TOP where the server has it.
    pub(crate) async fn get<R: Receive>(
        &mut self,
        ctx: &OpContext,
        numbers: &[u32],
        part: Part,
        receive: &mut R,
    ) -> Result<Vec<Result<R::Out, Refusal>>, SessionError> {
        let ask = match part {
            Part::Header if self.capa.top => Ask::Header,
            Part::Header => {
                self.quirks.insert(Quirk::NoTop);
                Ask::Whole
            }
            Part::Whole => Ask::Whole,
        };
        let asks: Vec<Ask> = numbers.iter().map(|number| ask(*number)).collect();
        let mut outcomes = self.each(ctx, &asks, receive).await?;
        let by_top = part == Part::Header && self.capa.top;
        // A server that told nothing may lack TOP.
        if by_top && !self.capa.told && outcomes.iter().any(Result::is_err) {
            let again: Vec<usize> = (0..outcomes.len())
                .filter(|at| outcomes.get(*at).is_some_and(Result::is_err))
                .collect();
            let asks: Vec<Ask> = again
                .iter()
                .filter_map(|at| numbers.get(*at).copied().map(Ask::Whole))
                .collect();
            let whole = self.each(ctx, &asks, receive).await?;
            if whole.iter().any(Result::is_ok) {
                self.capa.top = false;
                self.quirks.insert(Quirk::NoTop);
            }
            for (at, outcome) in again.into_iter().zip(whole) {
                if let Some(place) = outcomes.get_mut(at) {
                    *place = outcome;
                }
            }
        }
        Ok(outcomes)
    }

    /// Asks for many, as many in flight as the server takes; one outcome for each, in order.
    pub(crate) async fn each<R: Receive>(
        &mut self,
        ctx: &OpContext,
        asks: &[Ask],
        receive: &mut R,
    ) -> Result<Vec<Result<R::Out, Refusal>>, SessionError> {
        let window = if self.capa.pipelining { IN_FLIGHT } else { 1 };
        let mut outcomes = Vec::with_capacity(asks.len());
        let mut commands = Vec::new();
        let mut sent = 0;
        for (at, ask) in asks.iter().enumerate() {
            if sent < asks.len() && sent.saturating_sub(at) <= window / 2 {
                let until = at.saturating_add(window).min(asks.len());
                commands.clear();
                for ask in asks.get(sent..until).unwrap_or_default() {
                    ask.write(&mut commands);
                }
                self.connection.send(ctx, &commands).await?;
                sent = until;
            }
            let outcome = match self.status(ctx).await? {
                Ok(()) => {
                    if !matches!(ask, Ask::Delete(_)) {
                        self.content(ctx, receive).await?;
                    }
                    Ok(receive.finish())
                }
                Err(refusal) => Err(refusal),
            };
            outcomes.push(outcome);
        }
        self.used_at = ctx.clock.now();
        Ok(outcomes)
    }

    async fn content<R: Receive>(
        &mut self,
        ctx: &OpContext,
        receive: &mut R,
    ) -> Result<(), SessionError> {
        let mut content = Content::new(self.line_end);
        loop {
            let held = self.connection.buffered();
            let used = content.feed(held, |part| receive.bytes(part));
            self.connection.consume(used);
            if content.ended() {
                return Ok(());
            }
            if self.connection.fill(ctx).await? == 0 {
                return Err(ended().into());
            }
        }
    }
}

fn ended() -> NetError {
    NetError::new(NetFailure::Lost, true).with_detail("the server closed the connection")
}
