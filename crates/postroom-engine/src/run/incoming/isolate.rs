//! Batches that fail as a whole: finds the message that is to blame. Promise 6.

use postroom_core::health::Health;
use postroom_core::ledger::{FolderId, RemoteId};
use postroom_provider::{
    ErrorKind, FetchedMessage, MailHeaders, ProviderError, Result, WellKnownFolder,
};
use postroom_store::{LedgerFilter, Page};

use crate::plan::failure::{may_be_poisoned, may_be_the_servers};
use crate::run::cycle::Cycle;

use super::Reading;

/// So many messages that were read before are asked for again, to tell a bad message from a server
/// in trouble.
const WITNESSES: u32 = 4;
/// So many cycles in a row are put down to the server where no message can witness.
const DOUBTS: u32 = 3;
/// A message that failed while others were read is asked for so often again before it is to blame:
/// on a bad line single answers are lost, and a good message must not be set aside for three of them.
const CONFIRMATIONS: u32 = 2;

/// What a batch asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Headers,
    Content,
}

/// What a batch answers for one message.
enum Answer {
    Headers(Box<MailHeaders>),
    Content(FetchedMessage),
}

/// A batch that ended before all of it was answered.
pub(super) struct Halt {
    /// What ended it.
    pub(super) error: ProviderError,
    /// What the server had said by then about single messages, lest they be tried again and again
    /// beside a server in trouble.
    pub(super) failed: Vec<(RemoteId, ProviderError)>,
}

impl From<ProviderError> for Halt {
    fn from(error: ProviderError) -> Self {
        let failed = Vec::new();
        Self { error, failed }
    }
}

impl Halt {
    /// The end of a batch of which so much was answered.
    fn after(
        error: ProviderError,
        ids: &[RemoteId],
        answers: impl IntoIterator<Item = Result<Answer>>,
    ) -> Self {
        let clear = ids.iter().zip(answers).filter_map(|(id, answer)| {
            let error = answer.err()?;
            (!may_be_the_servers(&error)).then(|| (id.clone(), error))
        });
        let failed = clear.collect();
        Self { error, failed }
    }
}

/// The outcome of a batch: one for each of its messages.
pub(super) type Outcomes<T> = std::result::Result<Vec<Result<T>>, Halt>;

impl Reading<'_> {
    /// The headers of messages of one folder, one outcome each.
    pub(super) async fn headers(
        &self,
        cycle: &Cycle<'_>,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Outcomes<MailHeaders> {
        let answers = self.isolated(cycle, folder, ids, Ask::Headers).await?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| match answer {
                Ok(Answer::Headers(headers)) => Some(Ok(*headers)),
                Ok(Answer::Content(_)) => None,
                Err(error) => Some(Err(error)),
            })
            .collect())
    }

    /// Messages of one folder, one outcome each.
    pub(super) async fn fetch(
        &self,
        cycle: &Cycle<'_>,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Outcomes<FetchedMessage> {
        let answers = self.isolated(cycle, folder, ids, Ask::Content).await?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| match answer {
                Ok(Answer::Content(message)) => Some(Ok(message)),
                Ok(Answer::Headers(_)) => None,
                Err(error) => Some(Err(error)),
            })
            .collect())
    }

    async fn ask(
        &self,
        cycle: &Cycle<'_>,
        folder: &FolderId,
        ids: &[RemoteId],
        what: Ask,
    ) -> Result<Vec<Result<Answer>>> {
        let ctx = cycle.op().await?;
        let answers: Vec<Result<Answer>> = match what {
            Ask::Headers => {
                let answers = self.source.headers(&ctx, folder, ids).await?;
                let boxed = |headers| Answer::Headers(Box::new(headers));
                answers.into_iter().map(|one| one.map(boxed)).collect()
            }
            Ask::Content => {
                let answers = self.source.fetch(&ctx, folder, ids).await?;
                answers
                    .into_iter()
                    .map(|one| one.map(Answer::Content))
                    .collect()
            }
        };
        if answers.len() == ids.len() {
            return Ok(answers);
        }
        Err(no_answer(ids.len(), answers.len()))
    }

    /// Asks for all at once, and for one after the other where that fails as one bad message makes
    /// it fail. One that fails again and again while the server reads others is to blame; where it
    /// reads nothing, it is the server's trouble and costs no message an attempt.
    async fn isolated(
        &self,
        cycle: &Cycle<'_>,
        folder: &FolderId,
        ids: &[RemoteId],
        what: Ask,
    ) -> Outcomes<Answer> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (mut answers, alone) = match self.ask(cycle, folder, ids, what).await {
            Ok(answers) => (answers, ids.len() == 1),
            Err(error) if may_be_poisoned(&error) => {
                (self.one_by_one(cycle, folder, ids, what).await?, true)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let inbox = WellKnownFolder::Inbox;
                let ctx = cycle.op().await?;
                if self.source.find_folder(&ctx, inbox).await? == *folder {
                    return Err(error.into());
                }
                // Another Inbox took the place of that one; what lies in it is listed there.
                return Ok(ids.iter().map(|_| Err(no_more(&error))).collect());
            }
            Err(error) => return Err(error.into()),
        };
        if !answers.iter().any(is_unclear) {
            return Ok(answers);
        }
        if answers.iter().all(is_unclear) && !self.server_reads(cycle, folder, ids, what).await? {
            return Err(the_servers(answers.swap_remove(0)).into());
        }
        // Servers also give up on the rest of a batch: that was no answer about these.
        let confirmations = CONFIRMATIONS + u32::from(!alone);
        match self
            .confirm(cycle, folder, ids, what, &mut answers, confirmations)
            .await
        {
            Ok(()) => Ok(answers),
            Err(error) => Err(Halt::after(error, ids, answers)),
        }
    }

    /// Asks again, so often, for each message whose answer says nothing about it; one that fails all
    /// the same is to blame.
    async fn confirm(
        &self,
        cycle: &Cycle<'_>,
        folder: &FolderId,
        ids: &[RemoteId],
        what: Ask,
        answers: &mut [Result<Answer>],
        confirmations: u32,
    ) -> Result<()> {
        for (id, answer) in ids.iter().zip(answers) {
            for _ in 0..confirmations {
                if !is_unclear(answer) {
                    break;
                }
                let again = std::slice::from_ref(id);
                let one = self.one_by_one(cycle, folder, again, what).await;
                if let Some(one) = one.map_err(|halt| halt.error)?.pop() {
                    *answer = one;
                }
            }
            if let Err(error) = answer
                && may_be_the_servers(error)
            {
                *error = blamed(error);
            }
        }
        Ok(())
    }

    async fn one_by_one(
        &self,
        cycle: &Cycle<'_>,
        folder: &FolderId,
        ids: &[RemoteId],
        what: Ask,
    ) -> Outcomes<Answer> {
        let mut answers = Vec::with_capacity(ids.len());
        for id in ids {
            match self.ask_alone(cycle, folder, id, what).await {
                Ok(answer) => answers.push(answer),
                Err(error) => return Err(Halt::after(error, ids, answers)),
            }
        }
        Ok(answers)
    }

    async fn ask_alone(
        &self,
        cycle: &Cycle<'_>,
        folder: &FolderId,
        id: &RemoteId,
        what: Ask,
    ) -> Result<Result<Answer>> {
        let alone = std::slice::from_ref(id);
        match self.ask(cycle, folder, alone, what).await {
            Ok(mut one) => Ok(one.pop().unwrap_or_else(|| Err(no_answer(1, 0)))),
            Err(error) if may_be_poisoned(&error) => {
                // A server that answers nothing at all is not asked for the rest.
                let ctx = cycle.op().await?;
                let inbox = WellKnownFolder::Inbox;
                self.source.find_folder(&ctx, inbox).await?;
                Ok(Err(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the server reads messages that it read before. Where there is none to ask for, it is
    /// believed to be in trouble for the first few cycles, so that the attempts of messages outlast
    /// a short trouble, and a mailbox of nothing but bad messages goes on nevertheless.
    async fn server_reads(
        &self,
        cycle: &Cycle<'_>,
        folder: &FolderId,
        failed: &[RemoteId],
        what: Ask,
    ) -> Result<bool> {
        let mut filter = LedgerFilter::default();
        filter.mailbox = Some(cycle.mailbox().id);
        filter.state = Some("delivered");
        let store = &cycle.environment.store;
        // A store in trouble is met again by the next step; here it only means that nothing is known.
        let known = store
            .ledger(&filter, Page::first(WITNESSES))
            .await
            .unwrap_or_default();
        for entry in known.iter().filter(|entry| entry.folder == *folder) {
            if failed.contains(&entry.remote_id) {
                continue;
            }
            let id = std::slice::from_ref(&entry.remote_id);
            match self
                .ask(cycle, folder, id, what)
                .await
                .map(|mut one| one.pop())
            {
                Ok(Some(Ok(_))) => return Ok(true),
                Ok(Some(Err(error))) | Err(error) if may_be_the_servers(&error) => {
                    return Ok(false);
                }
                // Moved or deleted meanwhile, or bad itself: it says nothing.
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        let health = &cycle.mailbox().workload(cycle.lease.workload).health;
        Ok(match health {
            Health::Retrying { failures, .. } | Health::Failing { failures, .. } => {
                *failures >= DOUBTS
            }
            Health::Healthy | Health::Disabled { .. } => false,
        })
    }
}

/// A batch whose answers are not as many as its messages.
fn no_answer(asked: usize, answered: usize) -> ProviderError {
    let code = postroom_core::Code::Internal;
    ProviderError::new(ErrorKind::Internal, code, "mail.batch")
        .with("asked", asked)
        .with("answered", answered)
}

/// Whether an answer may say something about the server and nothing about the message.
fn is_unclear(answer: &Result<Answer>) -> bool {
    matches!(answer, Err(error) if may_be_the_servers(error))
}

/// The failure as the message's own.
fn blamed(error: &ProviderError) -> ProviderError {
    ProviderError::new(ErrorKind::Corrupt, error.code(), error.operation())
        .with_scope(postroom_core::Scope::Item)
        .with("alone", "it fails alone while the server answers otherwise")
}

/// That a message is gone, with the folder in which it lay.
fn no_more(error: &ProviderError) -> ProviderError {
    ProviderError::new(ErrorKind::NotFound, error.code(), error.operation())
        .with_scope(postroom_core::Scope::Item)
        .with("folder", "it is no more")
}

/// The failure as the server's: of so many messages none could be read.
fn the_servers(answer: Result<Answer>) -> ProviderError {
    let error = ProviderError::new(
        ErrorKind::Unavailable,
        postroom_core::Code::ServerFault,
        "mail.batch",
    )
    .with_scope(postroom_core::Scope::Mailbox)
    .with("read", "no message can be read");
    match answer {
        Ok(_) => error,
        Err(cause) => error.with_source(cause),
    }
}
