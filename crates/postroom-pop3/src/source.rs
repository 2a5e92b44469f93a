//! Reading mail.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::time::Duration;

use async_trait::async_trait;
use postroom_core::{Code, RawMessage};
use postroom_provider::{
    ChangePage, DeleteMode, ErrorKind, FetchedMessage, Folder, FolderId, MailChange, MailHeaders,
    MailListing, MailSource, OpContext, PageLimit, ProviderError, RemoteId, Result, Spool,
    SpoolWriter, SyncCursor, WellKnownFolder,
};

use crate::cursor::{self, Told};
use crate::error::{failed, item_refused};
use crate::map;
use crate::proto::command::Ask;
use crate::proto::reply::{Refusal, ResponseCode};
use crate::provider::{BATCH_MAX, Pop3Provider};
use crate::session::{Headers, NoContent, Part, Receive, Session, SessionError};

/// The one folder there is.
const INBOX: &str = "INBOX";
/// A session that was not used for so long may be gone: another one is begun rather than found out.
/// Servers wait for ten minutes by the protocol, and for less in practice.
const UNUSED_MAX: Duration = Duration::from_secs(60);

fn check_folder(operation: &'static str, folder: &FolderId) -> Result<()> {
    if folder.as_str() == INBOX {
        return Ok(());
    }
    Err(ProviderError::new(
        ErrorKind::NotFound,
        Code::FolderNotFound,
        operation,
    ))
}

fn check_batch(operation: &'static str, ids: &[RemoteId]) -> Result<()> {
    if ids.len() > BATCH_MAX {
        return Err(
            ProviderError::new(ErrorKind::InvalidInput, Code::InvalidInput, operation)
                .with("batch", ids.len())
                .with("batch_max", BATCH_MAX),
        );
    }
    Ok(())
}

fn not_found(operation: &'static str) -> ProviderError {
    ProviderError::new(ErrorKind::NotFound, Code::ItemNotFound, operation)
}

/// Writes messages to the spool.
struct Messages<'a> {
    spool: &'a Spool,
    writer: Option<io::Result<SpoolWriter>>,
}

impl Receive for Messages<'_> {
    type Out = io::Result<RawMessage>;

    fn bytes(&mut self, part: &[u8]) {
        let writer = self.writer.get_or_insert_with(|| Ok(self.spool.writer()));
        // After a failure the rest is passed over: the session goes on with the next message.
        if let Ok(open) = writer
            && let Err(error) = open.write_all(part)
        {
            *writer = Err(error);
        }
    }

    fn finish(&mut self) -> Self::Out {
        let writer = self.writer.take();
        writer.unwrap_or_else(|| Ok(self.spool.writer()))?.finish()
    }
}

fn spool_error(operation: &'static str, error: io::Error) -> ProviderError {
    let (kind, code) = match error.kind() {
        io::ErrorKind::FileTooLarge => (ErrorKind::TooLarge, Code::TooLarge),
        _ => (ErrorKind::Internal, Code::StoreUnavailable),
    };
    ProviderError::new(kind, code, operation).with_source(error)
}

/// What became of one message that was asked for.
enum Answer<T> {
    /// It came.
    Came(T, Option<u64>),
    /// It is not there.
    Missing,
    /// It is there, and refused.
    Refused(Refusal),
}

impl Pop3Provider {
    /// The session in use, or another one; whether it was begun now.
    async fn session(
        &self,
        ctx: &OpContext,
        held: &mut Option<Session>,
    ) -> std::result::Result<(Session, bool), SessionError> {
        if let Some(session) = held.take() {
            if ctx.clock.now().since(session.used_at) < UNUSED_MAX {
                return Ok((session, false));
            }
            // Its place may still be taken on the server.
            let _ = session.quit(ctx).await;
        }
        Ok((self.open(ctx).await?, true))
    }

    /// The session in its state of now: what came since it was begun is not in it.
    async fn renewed(
        &self,
        ctx: &OpContext,
        session: Session,
    ) -> std::result::Result<Session, SessionError> {
        session.quit(ctx).await?;
        self.open(ctx).await
    }

    /// Whether the mailbox can be opened: by a word in the session in use, or by a session for that alone.
    async fn reach(&self, ctx: &OpContext, operation: &'static str) -> Result<()> {
        ctx.bounded(operation, async {
            let mut held = self.session.lock().await;
            let reached = async {
                let (mut session, begun) = self.session(ctx, &mut held).await?;
                if begun {
                    session.quit(ctx).await
                } else {
                    session.no_operation(ctx).await?;
                    self.keep(&mut held, session);
                    Ok(())
                }
            };
            reached
                .await
                .map_err(|error| failed(operation, error, &self.config))
        })
        .await
    }

    /// Asks for messages. One that the session does not have, or refuses, is looked for in a fresh one before
    /// anything is said about it.
    async fn read<R: Receive>(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        ids: &[RemoteId],
        part: Part,
        mut receive: R,
    ) -> Result<Vec<Answer<R::Out>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut held = self.session.lock().await;
        let answers = async {
            let (mut session, mut begun) = self.session(ctx, &mut held).await?;
            if !begun && ids.iter().any(|id| session.listing.number_of(id).is_none()) {
                session = self.renewed(ctx, session).await?;
                begun = true;
            }
            let numbers: Vec<Option<u32>> =
                ids.iter().map(|id| session.listing.number_of(id)).collect();
            let there: Vec<u32> = numbers.iter().flatten().copied().collect();
            let came = session.get(ctx, &there, part, &mut receive).await?;
            let mut came = came.into_iter();
            let mut answers: Vec<Answer<R::Out>> = numbers
                .iter()
                .map(|number| match number.and_then(|_| came.next()) {
                    None => Answer::Missing,
                    Some(Ok(out)) => {
                        Answer::Came(out, number.and_then(|number| session.size_of(number)))
                    }
                    Some(Err(refusal)) => Answer::Refused(refusal),
                })
                .collect();
            let doubtful = |answer: &Answer<_>| match answer {
                Answer::Refused(refusal) => refusal.code != Some(ResponseCode::SysTemp),
                Answer::Came(..) | Answer::Missing => false,
            };
            if !begun && answers.iter().any(doubtful) {
                // Deleted by somebody else, or damaged? A session of now knows.
                session = self.renewed(ctx, session).await?;
                for (answer, id) in answers.iter_mut().zip(ids) {
                    if doubtful(answer) && session.listing.number_of(id).is_none() {
                        *answer = Answer::Missing;
                    }
                }
            }
            self.keep(&mut held, session);
            Ok(answers)
        };
        answers
            .await
            .map_err(|error| failed(operation, error, &self.config))
    }

    fn outcome<T, U>(
        &self,
        operation: &'static str,
        answer: Answer<T>,
        take: impl FnOnce(T, Option<u64>) -> Result<U>,
    ) -> Result<U> {
        match answer {
            Answer::Came(out, size) => take(out, size),
            Answer::Missing => Err(not_found(operation)),
            Answer::Refused(refusal) => {
                let damaged = (ErrorKind::Corrupt, Code::ItemCorrupt);
                Err(item_refused(operation, &refusal, &self.config, damaged))
            }
        }
    }

    async fn page(
        &self,
        ctx: &OpContext,
        held: &mut Option<Session>,
        since: Option<&Told>,
        limit: usize,
    ) -> std::result::Result<Option<(Vec<MailChange>, Told)>, SessionError> {
        // A session shows the mailbox as it was when it began: one is begun for each listing, not for
        // each page.
        let goes_on = since.is_some_and(|told| told.more);
        if !goes_on && let Some(session) = held.take() {
            let _ = session.quit(ctx).await;
        }
        let (mut session, _) = self.session(ctx, held).await?;
        let nothing = Told::default();
        let told = since.unwrap_or(&nothing);
        let mut known = told.among(session.listing.entries());
        if !told.is_empty() && !known.is_empty() && !known.contains(&true) {
            // None of the messages that were told is there: the server may have named them anew.
            self.keep(held, session);
            return Ok(None);
        }
        let new: Vec<usize> = (0..known.len())
            .filter(|at| known.get(*at) == Some(&false))
            .collect();
        let more = new.len() > limit;
        if !new.is_empty() {
            session.sizes(ctx).await?;
        }
        let mut changes = Vec::with_capacity(new.len().min(limit));
        for at in new.into_iter().take(limit) {
            if let Some(known) = known.get_mut(at) {
                *known = true;
            }
            if let Some(entry) = session.listing.entries().get(at) {
                let mut listing = MailListing::new(entry.id.clone());
                listing.size = session.size_of(entry.number);
                changes.push(MailChange::Present(listing));
            }
        }
        let told = Told::of(session.listing.entries(), &known, more);
        if changes.is_empty() {
            // The most common answer of all: nobody is kept out for longer than it takes.
            let _ = session.quit(ctx).await;
        } else {
            self.keep(held, session);
        }
        Ok(Some((changes, told)))
    }
}

#[async_trait]
impl MailSource for Pop3Provider {
    /// The inbox, which is all there is; after it was reached.
    ///
    /// # Cancellation
    /// Changes nothing on the server.
    async fn list_folders(&self, ctx: &OpContext) -> Result<Vec<Folder>> {
        self.reach(ctx, "mail.list_folders").await?;
        let mut inbox = Folder::new(FolderId::new(INBOX), "Inbox");
        inbox.role = Some(WellKnownFolder::Inbox);
        Ok(vec![inbox])
    }

    /// The inbox; after it was reached.
    ///
    /// # Cancellation
    /// Changes nothing on the server.
    async fn find_folder(&self, ctx: &OpContext, role: WellKnownFolder) -> Result<FolderId> {
        const OPERATION: &str = "mail.find_folder";
        if role != WellKnownFolder::Inbox {
            let missing = Err(ProviderError::new(
                ErrorKind::NotFound,
                Code::FolderNotFound,
                OPERATION,
            ));
            return ctx.bounded(OPERATION, async { missing }).await;
        }
        self.reach(ctx, OPERATION).await?;
        Ok(FolderId::new(INBOX))
    }

    /// What is listed and was not told, in a session that is begun for each listing.
    ///
    /// # Cancellation
    /// Changes nothing on the server.
    async fn changes(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        since: Option<&SyncCursor>,
        limit: PageLimit,
    ) -> Result<ChangePage<MailChange>> {
        const OPERATION: &str = "mail.changes";
        check_folder(OPERATION, folder)?;
        let since = since
            .map(|since| Told::read(OPERATION, folder, since))
            .transpose()?;
        let limit = usize::try_from(limit.value()).unwrap_or(usize::MAX);
        ctx.bounded(OPERATION, async {
            let mut held = self.session.lock().await;
            let page = self
                .page(ctx, &mut held, since.as_ref(), limit)
                .await
                .map_err(|error| failed(OPERATION, error, &self.config))?;
            let Some((changes, told)) = page else {
                return Err(cursor::invalid(
                    OPERATION,
                    "no message that was told is there any more",
                ));
            };
            let more = told.more;
            Ok(ChangePage::new(changes, told.write(folder), more))
        })
        .await
    }

    /// Headers, by TOP.
    ///
    /// # Cancellation
    /// Changes nothing on the server.
    async fn headers(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<MailHeaders>>> {
        const OPERATION: &str = "mail.headers";
        check_folder(OPERATION, folder)?;
        check_batch(OPERATION, ids)?;
        ctx.bounded(OPERATION, async {
            let receive = Headers::default();
            let answers = self
                .read(ctx, OPERATION, ids, Part::Header, receive)
                .await?;
            let now = ctx.clock.now();
            let outcome = |answer| {
                self.outcome(OPERATION, answer, |block: Vec<u8>, size| {
                    Ok(map::headers(&block, size, now))
                })
            };
            Ok(answers.into_iter().map(outcome).collect())
        })
        .await
    }

    /// Whole messages, by RETR, with as many requests in flight as the server takes.
    ///
    /// # Cancellation
    /// Changes nothing on the server. What was written to the spool vanishes.
    async fn fetch(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<FetchedMessage>>> {
        const OPERATION: &str = "mail.fetch";
        check_folder(OPERATION, folder)?;
        check_batch(OPERATION, ids)?;
        ctx.bounded(OPERATION, async {
            let receive = Messages {
                spool: &ctx.spool,
                writer: None,
            };
            let answers = self.read(ctx, OPERATION, ids, Part::Whole, receive).await?;
            let outcome = |answer| {
                self.outcome(OPERATION, answer, |raw: io::Result<RawMessage>, _| {
                    raw.map(FetchedMessage::new)
                        .map_err(|error| spool_error(OPERATION, error))
                })
            };
            Ok(answers.into_iter().map(outcome).collect())
        })
        .await
    }

    /// Deletes messages for good, by DELE and the end of the session, which makes it so: there is no place
    /// for deleted things.
    ///
    /// # Cancellation
    /// All of them are deleted or none, as a rule.
    async fn delete(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        ids: &[RemoteId],
        _mode: DeleteMode,
    ) -> Result<Vec<Result<()>>> {
        const OPERATION: &str = "mail.delete";
        check_folder(OPERATION, folder)?;
        check_batch(OPERATION, ids)?;
        ctx.bounded(OPERATION, async {
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            let mut held = self.session.lock().await;
            let deleted = async {
                let (mut session, _) = self.session(ctx, &mut held).await?;
                // Ids may come twice, and a message can be deleted but once.
                let mut once = BTreeSet::new();
                let number = |id| session.listing.number_of(id).filter(|n| once.insert(*n));
                let numbers: Vec<Option<u32>> = ids.iter().map(number).collect();
                let asks: Vec<Ask> = numbers.iter().flatten().map(|n| Ask::Delete(*n)).collect();
                let answers = session.each(ctx, &asks, &mut NoContent).await?;
                session.quit(ctx).await?;
                Ok((numbers, answers))
            };
            let (numbers, answers) = deleted
                .await
                .map_err(|error| failed(OPERATION, error, &self.config))?;
            let mut answers = answers.into_iter();
            let outcome = |number: &Option<u32>| match number.and_then(|_| answers.next()) {
                None | Some(Ok(())) => Ok(()),
                Some(Err(refusal)) => {
                    let denied = (ErrorKind::PermissionDenied, Code::AccessDenied);
                    Err(item_refused(OPERATION, &refusal, &self.config, denied))
                }
            };
            Ok(numbers.iter().map(outcome).collect())
        })
        .await
    }

    /// Ends the session, so that others get in.
    ///
    /// # Cancellation
    /// The connection is closed all the same.
    async fn release(&self, ctx: &OpContext) -> Result<()> {
        const OPERATION: &str = "mail.release";
        // Whoever is still at it keeps it. It is taken out before anything is waited for: it is given up
        // however this call ends.
        let session = self
            .session
            .try_lock()
            .ok()
            .and_then(|mut held| held.take());
        let Some(session) = session else {
            return Ok(());
        };
        let quit = session.quit(ctx);
        ctx.bounded(OPERATION, async {
            quit.await
                .map_err(|error| failed(OPERATION, error, &self.config))
        })
        .await
    }
}
