//! Reading messages: one command for many, bounded memory, one outcome for each.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use postroom_core::{Code, RawMessage, Scope};
use postroom_provider::{
    ErrorKind, FetchedMessage, FolderId, MailHeaders, OpContext, ProviderError, RemoteId, Result,
    Spool, SpoolWriter,
};

use crate::cursor::uid_of;
use crate::error::{item_refused, refused};
use crate::map;
use crate::proto::command::Command;
use crate::proto::response::{Content, Fetch, Response, Status, Word};
use crate::proto::uid_set::UidSet;
use crate::provider::{Held, ImapProvider};
use crate::session::{Access, MESSAGE_MAX, Receive, Session, SessionError};

use super::not_found;

/// What is read of a header.
const HEADER_MAX: u64 = 256 * 1024;
/// What is read of a message in one go; most messages have less.
const FIRST_PART: u64 = 1024 * 1024;
/// What is read of a large one in each further go.
const NEXT_PART: u64 = 4 * 1024 * 1024;
/// So often a lie about a message costs only the message, and a session; then it costs the call.
const LIES_MAX: u32 = 3;

/// What became of one message that was asked for. One that is not there has no outcome.
#[derive(Debug)]
enum Answer<T> {
    Came(T),
    /// The server refuses it.
    Refused(Word),
    /// The server gives it, without content.
    Nothing,
    /// What the server says about it cannot be understood.
    Odd(&'static str),
}

/// Takes what is fetched.
trait Fetching: Receive {
    type Out: Send;
    fn answers(&mut self) -> &mut BTreeMap<u32, Answer<Self::Out>>;
}

/// Headers.
struct Headers {
    block: Vec<u8>,
    answers: BTreeMap<u32, Answer<(Vec<u8>, Fetch)>>,
}

impl Receive for Headers {
    fn body_max(&mut self, text: &[u8]) -> u64 {
        // A server that gives no parts gives all of it; what is too much is passed over.
        if in_parts(text) {
            HEADER_MAX
        } else {
            MESSAGE_MAX
        }
    }

    fn body_begins(&mut self, _: u64) {
        self.block.clear();
    }

    fn bytes(&mut self, part: &[u8]) {
        let most = usize::try_from(HEADER_MAX).unwrap_or(usize::MAX);
        let room = most.saturating_sub(self.block.len());
        self.block
            .extend_from_slice(part.get(..room).unwrap_or(part));
    }

    fn take(&mut self, response: Response) {
        let Response::Fetch(mut fetch) = response else {
            return;
        };
        let Some(uid) = fetch.uid else {
            return;
        };
        let answer = match fetch.body.take().map(|body| body.content) {
            Some(Content::Streamed) => Answer::Came((std::mem::take(&mut self.block), fetch)),
            Some(Content::Inline(block)) => Answer::Came((block, fetch)),
            Some(Content::Nil) => Answer::Nothing,
            None if fetch.strange => Answer::Odd("it is no FETCH"),
            // A change of flags, told in between.
            None => return,
        };
        self.answers.insert(uid, answer);
    }
}

impl Fetching for Headers {
    type Out = (Vec<u8>, Fetch);
    fn answers(&mut self) -> &mut BTreeMap<u32, Answer<Self::Out>> {
        &mut self.answers
    }
}

/// A message as far as it came.
struct Begun {
    writer: io::Result<SpoolWriter>,
    /// How many bytes came this time.
    came: u64,
    /// Whether the server gave all of it at once.
    whole: bool,
}

/// Messages, or parts of them.
struct Messages<'a> {
    spool: &'a Spool,
    /// Where the part that was asked for begins, and how long it may be.
    origin: u64,
    part: u64,
    writer: Option<io::Result<SpoolWriter>>,
    came: u64,
    answers: BTreeMap<u32, Answer<Begun>>,
}

impl<'a> Messages<'a> {
    const fn new(spool: &'a Spool) -> Self {
        Self {
            spool,
            origin: 0,
            part: FIRST_PART,
            writer: None,
            came: 0,
            answers: BTreeMap::new(),
        }
    }
}

impl Receive for Messages<'_> {
    fn body_max(&mut self, text: &[u8]) -> u64 {
        if in_parts(text) {
            self.part
        } else {
            MESSAGE_MAX
        }
    }

    fn body_begins(&mut self, announced: u64) {
        self.came = 0;
        let spool = self.spool;
        let writer = self.writer.get_or_insert_with(|| Ok(spool.writer()));
        if let (Ok(writer), Ok(announced)) = (writer, usize::try_from(announced)) {
            writer.reserve(announced);
        }
    }

    fn bytes(&mut self, part: &[u8]) {
        self.came = self
            .came
            .saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        // After a failure the rest is passed over: the session goes on with the next message.
        if let Some(Ok(writer)) = &mut self.writer
            && let Err(error) = writer.write_all(part)
        {
            self.writer = Some(Err(error));
        }
    }

    fn take(&mut self, response: Response) {
        let Response::Fetch(fetch) = response else {
            return;
        };
        let Some(body) = fetch.body else {
            if let (true, Some(uid)) = (fetch.strange, fetch.uid) {
                self.answers.insert(uid, Answer::Odd("it is no FETCH"));
                self.writer = None;
            }
            return;
        };
        if let Content::Inline(bytes) = &body.content {
            self.body_begins(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            self.bytes(bytes);
        }
        let writer = self.writer.take();
        let Some(uid) = fetch.uid else {
            return;
        };
        let answer = match (writer, body.content) {
            (_, Content::Nil) | (None, _) => Answer::Nothing,
            _ if body.origin.is_some_and(|origin| origin != self.origin) => {
                Answer::Odd("it is another part than was asked for")
            }
            _ if body.origin.is_none() && self.origin > 0 => {
                Answer::Odd("it is the whole where a part was asked for")
            }
            (Some(writer), _) => Answer::Came(Begun {
                writer,
                came: self.came,
                whole: body.origin.is_none(),
            }),
        };
        self.answers.insert(uid, answer);
    }
}

impl Fetching for Messages<'_> {
    type Out = Begun;
    fn answers(&mut self) -> &mut BTreeMap<u32, Answer<Begun>> {
        &mut self.answers
    }
}

/// Whether it is no refusal: somebody expunged some of them meanwhile. Source: RFC 2180, RFC 5530.
fn expunged(word: &Word) -> bool {
    word.code_name() == Some("EXPUNGEISSUED")
}

/// Whether what follows is said to be a part: `BODY[]<0> `.
fn in_parts(text: &[u8]) -> bool {
    text.trim_ascii_end().ends_with(b">")
}

fn spool_error(operation: &'static str, error: io::Error) -> ProviderError {
    let (kind, code) = match error.kind() {
        io::ErrorKind::FileTooLarge => (ErrorKind::TooLarge, Code::TooLarge),
        _ => (ErrorKind::Internal, Code::StoreUnavailable),
    };
    ProviderError::new(kind, code, operation).with_source(error)
}

impl ImapProvider {
    pub(super) async fn read_headers(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<MailHeaders>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let items =
            format!("(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER]<0.{HEADER_MAX}>)");
        let mut headers = Headers {
            block: Vec::new(),
            answers: BTreeMap::new(),
        };
        let mut held = self.held.lock().await;
        let read = self.read(ctx, operation, &mut held, folder, ids, &items, &mut headers);
        let (session, uids) = read.await?;
        held.session = session;
        let now = ctx.clock.now();
        let outcome = |uid: &Option<u32>| {
            let answer = uid.and_then(|uid| headers.answers.get(&uid));
            let (block, fetch) = self.outcome(operation, answer)?;
            Ok(map::headers(block, fetch, now))
        };
        Ok(uids.iter().map(outcome).collect())
    }

    pub(super) async fn read_messages(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<FetchedMessage>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let items = format!("(UID BODY.PEEK[]<0.{FIRST_PART}>)");
        let mut messages = Messages::new(&ctx.spool);
        let mut held = self.held.lock().await;
        let read = self.read(
            ctx,
            operation,
            &mut held,
            folder,
            ids,
            &items,
            &mut messages,
        );
        let (mut session, uids) = read.await?;
        let mut answers: BTreeMap<u32, Answer<io::Result<RawMessage>>> = BTreeMap::new();
        for (uid, answer) in std::mem::take(&mut messages.answers) {
            let answer = match answer {
                Answer::Came(begun) => {
                    self.completed(ctx, operation, &mut session, uid, begun)
                        .await?
                }
                Answer::Refused(word) => Some(Answer::Refused(word)),
                Answer::Nothing => Some(Answer::Nothing),
                Answer::Odd(what) => Some(Answer::Odd(what)),
            };
            if let Some(answer) = answer {
                answers.insert(uid, answer);
            }
        }
        held.session = session;
        let mut given: BTreeMap<u32, RawMessage> = BTreeMap::new();
        let mut outcomes = Vec::with_capacity(uids.len());
        for uid in &uids {
            // Ids may come twice.
            if let Some(raw) = uid.and_then(|uid| given.get(&uid)) {
                outcomes.push(Ok(FetchedMessage::new(raw.clone())));
                continue;
            }
            let answer = uid.and_then(|uid| answers.remove(&uid));
            outcomes.push(match answer {
                Some(Answer::Came(Ok(raw))) => {
                    if let Some(uid) = uid {
                        given.insert(*uid, raw.clone());
                    }
                    Ok(FetchedMessage::new(raw))
                }
                Some(Answer::Came(Err(error))) => Err(spool_error(operation, error)),
                other => self
                    .outcome(operation, other.as_ref())
                    .and_then(|_| Err(not_found(operation))),
            });
        }
        Ok(outcomes)
    }

    /// Reads the rest of a message that is larger than one part. `None` where it vanished meanwhile.
    async fn completed(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        session: &mut Option<Session>,
        uid: u32,
        begun: Begun,
    ) -> Result<Option<Answer<io::Result<RawMessage>>>> {
        let mut begun = begun;
        let mut parts = Messages::new(&ctx.spool);
        loop {
            let ended = begun.whole || begun.came < parts.part;
            let writer = match begun.writer {
                Ok(writer) if !ended => writer,
                writer => {
                    let raw = writer.and_then(SpoolWriter::finish);
                    return Ok(Some(Answer::Came(raw)));
                }
            };
            let Some(open) = session else {
                return Ok(Some(Answer::Odd("the session ended within it")));
            };
            parts.origin = parts.origin.saturating_add(begun.came);
            parts.part = NEXT_PART;
            parts.writer = Some(Ok(writer));
            let items = format!("(UID BODY.PEEK[]<{}.{}>)", parts.origin, parts.part);
            let command = Command::new(format!("UID FETCH {uid} {items}"));
            let done = match open.run(ctx, &command, &mut parts).await {
                Ok(done) => done,
                Err(SessionError::Announced { .. }) => {
                    *session = None;
                    return Ok(Some(Answer::Odd("it is announced larger than it can be")));
                }
                Err(error) => return Err(self.failed(operation, error)),
            };
            match parts.answers.remove(&uid) {
                Some(Answer::Came(next)) => begun = next,
                // Behind the end some give an empty string, some nothing.
                Some(Answer::Nothing) if done.status == Status::Ok => {
                    let writer = parts.writer.take();
                    return Ok(match writer {
                        Some(writer) => Some(Answer::Came(writer.and_then(SpoolWriter::finish))),
                        None => Some(Answer::Nothing),
                    });
                }
                Some(Answer::Nothing) => return Ok(Some(Answer::Nothing)),
                Some(Answer::Refused(word)) => return Ok(Some(Answer::Refused(word))),
                Some(Answer::Odd(what)) => return Ok(Some(Answer::Odd(what))),
                None if done.status == Status::Ok || expunged(&done.word) => return Ok(None),
                None => return Ok(Some(Answer::Refused(done.word))),
            }
        }
    }

    /// Asks for messages; the session, where it can go on, and the UID of each id, where it has one still.
    #[expect(
        clippy::too_many_arguments,
        reason = "what is asked, of whom, and where it goes"
    )]
    async fn read<F: Fetching>(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        held: &mut Held,
        folder: &FolderId,
        ids: &[RemoteId],
        items: &str,
        fetching: &mut F,
    ) -> Result<(Option<Session>, Vec<Option<u32>>)> {
        let begun = self.session(ctx, held).await;
        let mut session = begun.map_err(|error| self.failed(operation, error))?;
        let (mut lies, mut again) = (0, false);
        let is_open = session
            .opened
            .as_ref()
            .is_some_and(|opened| opened.name == folder.as_str());
        let mut fresh = !is_open;
        if fresh {
            self.open_or_keep(ctx, &mut session, held, operation, folder)
                .await?;
        }
        loop {
            let validity = session.opened.as_ref().map_or(0, |opened| opened.validity);
            let uids: Vec<Option<u32>> = ids.iter().map(|id| uid_of(validity, id)).collect();
            let answers = fetching.answers();
            let missing: Vec<u32> = uids
                .iter()
                .flatten()
                .copied()
                .filter(|uid| !answers.contains_key(uid))
                .collect();
            if missing.is_empty() && (fresh || uids.iter().all(Option::is_some)) {
                return Ok((Some(session), uids));
            }
            let wanted = UidSet::of(missing);
            match self
                .ask(ctx, operation, &mut session, &wanted, items, fetching)
                .await
            {
                Ok(()) => {}
                Err(Stop::Lie(uid, what)) if lies < LIES_MAX => {
                    // The rest of that session cannot be understood. The others are asked for in another one.
                    lies += 1;
                    fetching.answers().insert(uid, Answer::Odd(what));
                    let begun = self.open(ctx).await;
                    session = begun.map_err(|error| self.failed(operation, error))?;
                    self.open_or_keep(ctx, &mut session, held, operation, folder)
                        .await?;
                    fresh = true;
                    continue;
                }
                Err(Stop::Lie(_, what)) => {
                    return Err(self.failed(operation, SessionError::Odd(what)));
                }
                Err(Stop::Error(error)) => return Err(error),
            }
            let stale = session.opened.as_ref().is_some_and(|opened| opened.stale);
            let answers = fetching.answers();
            if stale && !again && answers.values().any(|a| matches!(a, Answer::Nothing)) {
                // Some servers give one without content that is being expunged.
                answers.retain(|_, answer| !matches!(answer, Answer::Nothing));
                again = true;
                fresh = false;
            }
            let all = uids
                .iter()
                .all(|uid| uid.is_some_and(|uid| answers.contains_key(&uid)));
            if fresh || all {
                return Ok((Some(session), uids));
            }
            // What came since the folder was opened may not be in it yet.
            self.open_or_keep(ctx, &mut session, held, operation, folder)
                .await?;
            fresh = true;
        }
    }

    /// Opens a folder; a session that can go on without it is kept.
    async fn open_or_keep(
        &self,
        ctx: &OpContext,
        session: &mut Session,
        held: &mut Held,
        operation: &'static str,
        folder: &FolderId,
    ) -> Result<()> {
        held.listing = None;
        self.open_folder(ctx, session, operation, folder, Access::Read, None)
            .await
    }

    async fn ask<F: Fetching>(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        session: &mut Session,
        wanted: &UidSet,
        items: &str,
        fetching: &mut F,
    ) -> Result<(), Stop> {
        if wanted.is_empty() {
            return Ok(());
        }
        let lie = |error| match error {
            SessionError::Announced { uid, .. } => {
                let only = (wanted.len() == 1).then(|| wanted.last()).flatten();
                match uid.or(only) {
                    Some(uid) => Stop::Lie(uid, "it is announced larger than it can be"),
                    None => Stop::Error(self.failed(operation, error)),
                }
            }
            error => Stop::Error(self.failed(operation, error)),
        };
        let command = Command::new(format!("UID FETCH {} {items}", wanted.write()));
        let done = session.run(ctx, &command, fetching).await.map_err(lie)?;
        if done.status == Status::Ok || expunged(&done.word) {
            return Ok(());
        }
        // The server does not say which of them it was.
        let passing = ["UNAVAILABLE", "INUSE", "LIMIT", "THROTTLED", "SERVERBUG"];
        if done
            .word
            .code_name()
            .is_some_and(|code| passing.contains(&code))
        {
            return Err(Stop::Error(refused(operation, &done.word, &self.config)));
        }
        for uid in wanted.iter() {
            if fetching.answers().contains_key(&uid) {
                continue;
            }
            if wanted.len() > 1 {
                let command = Command::new(format!("UID FETCH {uid} {items}"));
                let done = session.run(ctx, &command, fetching).await.map_err(lie)?;
                let refused = done.status != Status::Ok && !expunged(&done.word);
                if refused && !fetching.answers().contains_key(&uid) {
                    fetching.answers().insert(uid, Answer::Refused(done.word));
                }
            } else {
                fetching
                    .answers()
                    .insert(uid, Answer::Refused(done.word.clone()));
            }
        }
        Ok(())
    }

    fn outcome<'a, T>(
        &self,
        operation: &'static str,
        answer: Option<&'a Answer<T>>,
    ) -> Result<&'a T> {
        let damaged = (ErrorKind::Corrupt, Code::ItemCorrupt);
        match answer {
            Some(Answer::Came(out)) => Ok(out),
            None => Err(not_found(operation)),
            Some(Answer::Refused(word)) => {
                Err(item_refused(operation, word, &self.config, damaged))
            }
            Some(Answer::Nothing) => {
                let (kind, code) = damaged;
                let error = ProviderError::new(kind, code, operation);
                Err(error.with("problem", "the server gives it without content"))
            }
            Some(Answer::Odd(what)) => {
                let code = Code::ProtocolViolation;
                let error = ProviderError::new(ErrorKind::Protocol, code, operation);
                Err(error.with_scope(Scope::Item).with("problem", what))
            }
        }
    }
}

/// Why messages cannot be asked for any further.
enum Stop {
    /// What is said about one of them breaks the session.
    Lie(u32, &'static str),
    Error(ProviderError),
}
