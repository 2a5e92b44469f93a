//! Sending mail, with a defect.

use std::io::Read as _;

use async_trait::async_trait;
use postroom_core::outbox::{SentReceipt, StagedSubmission};
use postroom_core::{Code, RawMessage};
use postroom_provider::{DeleteMode, MailSource as _};
use postroom_provider::{
    ErrorKind, MailSubmitter, OpContext, ProviderError, RemoteId, Result, Retry, Submission,
    SubmissionIdentity, SubmissionTrace, WellKnownFolder,
};

use super::DefectiveProvider;
use crate::memory::defect::Defect;
use crate::model::with_headers;

impl DefectiveProvider {
    /// What the defect makes of a message before it is sent or staged.
    fn miswritten(&self, submission: &Submission) -> Submission {
        let mut seen = submission.clone();
        match self.defect {
            Defect::ForgetsTheEnvelope => seen
                .recipients
                .retain(|address| !submission.bcc.contains(address)),
            Defect::NamesBlindCopies => {
                let mut bytes = Vec::new();
                let read = submission.raw.open();
                // What cannot be read is sent empty, which no check takes for right.
                let _ = read.and_then(|mut raw| raw.read_to_end(&mut bytes));
                let blind: Vec<&str> = submission.bcc.iter().map(|bcc| bcc.as_str()).collect();
                let edit = ("X-Blind-Copies", Some(blind.join(", ")));
                seen.raw = RawMessage::from_bytes(with_headers(&bytes, &[edit]).to_vec());
            }
            Defect::ReadsMemoryOnly => {
                let bytes = submission.raw.in_memory().unwrap_or_default();
                seen.raw = RawMessage::from_bytes(bytes);
            }
            _ => {}
        }
        seen
    }

    /// Sends a copy of the draft and leaves the draft.
    async fn send_beside(&self, ctx: &OpContext, submission: &Submission) -> Result<SentReceipt> {
        self.inner.send(ctx, submission, None).await
    }

    /// Removes the copy from Sent Items.
    async fn unfile(&self, ctx: &OpContext, receipt: &SentReceipt) -> Result<()> {
        let sent = WellKnownFolder::SentItems;
        let folder = self.inner.find_folder(ctx, sent).await?;
        let ids: Vec<RemoteId> = receipt.remote_id.iter().cloned().collect();
        let mode = DeleteMode::Permanently;
        self.inner.delete(ctx, &folder, &ids, mode).await.map(drop)
    }

    async fn sent(
        &self,
        ctx: &OpContext,
        submission: &Submission,
        staged: Option<&StagedSubmission>,
    ) -> Result<SentReceipt> {
        let staged = match self.defect {
            Defect::LeavesTheDraft => None,
            _ => staged,
        };
        let answer = self.inner.send(ctx, submission, staged).await;
        match (self.defect, answer) {
            (Defect::SendsTwice, Ok(_)) => self.send_beside(ctx, submission).await,
            (Defect::FilesNoCopy, Ok(receipt)) => {
                self.unfile(ctx, &receipt).await?;
                Ok(receipt)
            }
            (Defect::SendsBytesForMissingDraft, Err(error))
                if error.code() == Code::OutcomeUnknown =>
            {
                self.send_beside(ctx, submission).await
            }
            (Defect::SwallowsTheTooLarge, Err(error)) if error.kind() == ErrorKind::TooLarge => {
                Ok(SentReceipt::answered())
            }
            (Defect::TakesLostForNotSent, Err(error)) => Err(error.with_retry(Retry::After(None))),
            (Defect::TakesLostForSent, Err(error)) if error.code() == Code::ConnectionLost => {
                Ok(SentReceipt::answered())
            }
            (_, answer) => answer,
        }
    }
}

#[async_trait]
impl MailSubmitter for DefectiveProvider {
    async fn stage(&self, ctx: &OpContext, submission: &Submission) -> Result<StagedSubmission> {
        let (ctx, submission) = (self.context(ctx), self.miswritten(submission));
        self.refuses(&ctx, "submit.stage").await?;
        if self.has(Defect::StagesBySending) {
            self.send_beside(&ctx, &submission).await?;
        }
        let staged = self.inner.stage(&ctx, &submission);
        self.call("submit.stage", staged).await
    }

    async fn send(
        &self,
        ctx: &OpContext,
        submission: &Submission,
        staged: Option<&StagedSubmission>,
    ) -> Result<SentReceipt> {
        let (ctx, submission) = (self.context(ctx), self.miswritten(submission));
        if self.has(Defect::SendsToNobody) && submission.recipients.is_empty() {
            return Ok(SentReceipt::answered());
        }
        self.call("submit.send", self.sent(&ctx, &submission, staged))
            .await
    }

    async fn find(
        &self,
        ctx: &OpContext,
        identity: &SubmissionIdentity,
    ) -> Result<SubmissionTrace> {
        let ctx = self.context(ctx);
        self.refuses(&ctx, "submit.find").await?;
        let trace = self.call("submit.find", self.inner.find(&ctx, identity));
        let trace = trace.await?;
        Ok(match self.defect {
            Defect::FindsNothing => SubmissionTrace::Nowhere,
            Defect::FindsAnything => {
                SubmissionTrace::Sent(SentReceipt::found(RemoteId::new("anything")))
            }
            _ => trace,
        })
    }

    async fn discard(&self, ctx: &OpContext, staged: &StagedSubmission) -> Result<()> {
        let ctx = self.context(ctx);
        self.refuses(&ctx, "submit.discard").await?;
        let discarded = self.inner.discard(&ctx, staged);
        self.call("submit.discard", discarded).await?;
        let again = !self.memory().discarded.insert(staged.remote_id.clone());
        if again && self.has(Defect::SecondDiscardFails) {
            let (kind, code) = (ErrorKind::NotFound, Code::ItemNotFound);
            return Err(ProviderError::new(kind, code, "submit.discard"));
        }
        Ok(())
    }
}
