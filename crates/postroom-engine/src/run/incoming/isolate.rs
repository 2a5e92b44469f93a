//! Batches that fail as a whole: finds the message that is to blame. Promise 6.

use postroom_core::ledger::{FolderId, RemoteId};
use postroom_provider::{FetchedMessage, MailHeaders, ProviderError, Result, WellKnownFolder};

use crate::plan::failure::may_be_poisoned;
use crate::run::cycle::Cycle;

use super::Reading;

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

impl Reading<'_> {
    /// The headers of messages of one folder, one outcome each.
    pub(super) async fn headers(
        &self,
        cycle: &Cycle<'_>,
        folder: &FolderId,
        ids: &[RemoteId],
    ) -> Result<Vec<Result<MailHeaders>>> {
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
    ) -> Result<Vec<Result<FetchedMessage>>> {
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
        let ctx = cycle.op();
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
        Err(ProviderError::new(
            postroom_provider::ErrorKind::Internal,
            postroom_core::Code::Internal,
            "mail.batch",
        )
        .with("asked", ids.len())
        .with("answered", answers.len()))
    }

    /// Asks for all at once, and for one after the other where that fails as one bad message makes
    /// it fail. One that fails alone while the server answers otherwise is to blame.
    async fn isolated(
        &self,
        cycle: &Cycle<'_>,
        folder: &FolderId,
        ids: &[RemoteId],
        what: Ask,
    ) -> Result<Vec<Result<Answer>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        match self.ask(cycle, folder, ids, what).await {
            Err(error) if may_be_poisoned(&error) => {}
            answer => return answer,
        }
        let mut answers = Vec::with_capacity(ids.len());
        for id in ids {
            let one = std::slice::from_ref(id);
            match self.ask(cycle, folder, one, what).await {
                Ok(mut one) => answers.extend(one.pop()),
                Err(error) if may_be_poisoned(&error) => {
                    self.source
                        .find_folder(&cycle.op(), WellKnownFolder::Inbox)
                        .await?;
                    answers.push(Err(blamed(&error)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(answers)
    }
}

/// The failure as the message's own.
fn blamed(error: &ProviderError) -> ProviderError {
    ProviderError::new(
        postroom_provider::ErrorKind::Corrupt,
        error.code(),
        error.operation(),
    )
    .with_scope(postroom_core::Scope::Item)
    .with("alone", "it fails alone while the server answers otherwise")
}
