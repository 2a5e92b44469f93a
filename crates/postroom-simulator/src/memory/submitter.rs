//! Sending mail.

use std::io::Read as _;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use postroom_core::outbox::{SentReceipt, StagedSubmission, SubmissionKey};
use postroom_core::{Code, RawMessage};
use postroom_provider::{
    ErrorKind, MailSubmitter, OpContext, ProviderError, Result, Retry, Submission,
    SubmissionIdentity, SubmissionTrace,
};

use super::ids::{item_id, remote_id};
use super::provider::MemoryProvider;
use super::server::require;
use super::source::refused;
use crate::model::{
    self, Address, Disposal, Item, ModelError, NewItem, PropertyPath, PropertyValue, Summary,
    WellKnown,
};

const STAGE: &str = "submit.stage";
/// An error of this operation must say whether the message may have left.
pub(super) const SEND: &str = "submit.send";
const FIND: &str = "submit.find";
const DISCARD: &str = "submit.discard";

/// The property that holds the submission key.
fn stamp() -> PropertyPath {
    PropertyPath::named("6f6f2a52-52b0-4f0e-9d0c-1d8f4b0a7a11", "submission")
}

/// The submission key on an item.
pub(super) fn stamp_of(item: &Item) -> Option<SubmissionKey> {
    item.properties
        .get(&stamp())
        .map(|value| SubmissionKey::from_text(value.text()))
}

fn content(raw: &RawMessage, operation: &'static str) -> Result<Bytes> {
    let mut bytes = Vec::new();
    raw.open()
        .and_then(|mut reader| reader.read_to_end(&mut bytes))
        .map_err(|error| {
            ProviderError::new(ErrorKind::Internal, Code::StoreUnavailable, operation)
                .with_source(error)
        })?;
    Ok(Bytes::from(bytes))
}

fn unknown(reason: &'static str) -> ProviderError {
    ProviderError::new(ErrorKind::NotFound, Code::OutcomeUnknown, SEND)
        .with_retry(Retry::OutcomeUnknown)
        .with("reason", reason)
}

impl MemoryProvider {
    fn fits(&self, submission: &Submission, operation: &'static str) -> Result<()> {
        if submission.recipients.is_empty() {
            let (kind, code) = (ErrorKind::InvalidInput, Code::RecipientsRefused);
            return Err(ProviderError::new(kind, code, operation));
        }
        let limit = self.server.capabilities().submit_size_max;
        match limit.filter(|&limit| submission.raw.len() > limit) {
            None => Ok(()),
            Some(limit) => Err(
                ProviderError::new(ErrorKind::TooLarge, Code::TooLarge, operation)
                    .with("size", submission.raw.len())
                    .with("size_max", limit),
            ),
        }
    }

    fn folder_of(&self, known: WellKnown, operation: &'static str) -> Result<model::FolderId> {
        self.server
            .mail()
            .well_known(self.account, known)
            .map_err(|error| refused(&error, operation))
    }

    fn save_draft(&self, submission: &Submission) -> Result<StagedSubmission> {
        let content = content(&submission.raw, STAGE)?;
        let summary = Summary::read(&content);
        let mut draft = NewItem::draft(content)
            .property(stamp(), PropertyValue::string(submission.key.as_str()));
        // The server sends a draft to To, Cc and Bcc; whoever the headers do not name is blind.
        let named = |address: &str| {
            let mut named = summary.to.iter().chain(&summary.cc);
            named.any(|known| known.address.eq_ignore_ascii_case(address))
        };
        draft.bcc = submission
            .recipients
            .iter()
            .map(postroom_core::EmailAddress::as_str)
            .filter(|address| !named(address))
            .map(|address| Address::new("", address))
            .collect();
        let drafts = self.folder_of(WellKnown::Drafts, STAGE)?;
        let item = self
            .server
            .mail()
            .append(drafts, draft)
            .map_err(|error| refused(&error, STAGE))?;
        let version = Some(item.change.to_string());
        Ok(StagedSubmission::new(remote_id(item.id), version))
    }

    /// The copy goes to Sent Items where the server files one.
    fn sent_items(&self) -> Result<Option<model::FolderId>> {
        self.server
            .capabilities()
            .submit_files_copy
            .then(|| self.folder_of(WellKnown::SentItems, SEND))
            .transpose()
    }

    fn send_draft(&self, staged: &StagedSubmission) -> Result<SentReceipt> {
        let draft = item_id(&staged.remote_id).and_then(|id| self.server.mail().item(id).ok());
        let drafts = self.folder_of(WellKnown::Drafts, SEND)?;
        let Some(draft) = draft.filter(|item| item.draft && item.folder == drafts) else {
            return Err(unknown("the draft is no longer there"));
        };
        let sent = self
            .server
            .mail()
            .send_item(draft.id, None, self.sent_items()?);
        match sent {
            Ok(copy) => Ok(receipt(copy.as_ref())),
            Err(ModelError::NoItem) => Err(unknown("the draft is no longer there")),
            Err(error) => Err(refused(&error, SEND)),
        }
    }

    fn send_bytes(&self, submission: &Submission) -> Result<SentReceipt> {
        let recipients = submission
            .recipients
            .iter()
            .map(|address| address.as_str().to_owned())
            .collect();
        let message =
            model::Submission::new(self.account, content(&submission.raw, SEND)?, recipients);
        let key = PropertyValue::string(submission.key.as_str());
        let copy = self
            .server
            .mail()
            .submit(&message, self.sent_items()?, |copy| {
                copy.properties.insert(stamp(), key);
            })
            .map_err(|error| refused(&error, SEND))?;
        Ok(receipt(copy.as_ref()))
    }

    fn trace(&self, identity: &SubmissionIdentity) -> Result<SubmissionTrace> {
        let message_id = identity.message_id.to_string();
        let matches = |item: &Item| {
            stamp_of(item).as_ref() == Some(&identity.key)
                || item.summary().message_id == message_id
        };
        let look = |known| -> Result<Option<Arc<Item>>> {
            let items = self.server.mail().items(self.folder_of(known, FIND)?);
            Ok(items.into_iter().find(|item| matches(item)))
        };
        if let Some(copy) = look(WellKnown::SentItems)? {
            return Ok(SubmissionTrace::Sent(SentReceipt::found(remote_id(
                copy.id,
            ))));
        }
        if look(WellKnown::Outbox)?.is_some() {
            return Ok(SubmissionTrace::InTransit);
        }
        Ok(
            look(WellKnown::Drafts)?.map_or(SubmissionTrace::Nowhere, |draft| {
                let version = Some(draft.change.to_string());
                SubmissionTrace::Staged(StagedSubmission::new(remote_id(draft.id), version))
            }),
        )
    }
}

fn receipt(copy: Option<&Arc<Item>>) -> SentReceipt {
    let mut receipt = SentReceipt::answered();
    receipt.remote_id = copy.map(|copy| remote_id(copy.id));
    receipt
}

/// A dropped `stage` or `send` has either not begun on the server or is complete; only `find`
/// tells which.
#[async_trait]
impl MailSubmitter for MemoryProvider {
    async fn stage(&self, ctx: &OpContext, submission: &Submission) -> Result<StagedSubmission> {
        require(
            self.server.capabilities().submit_staged,
            STAGE,
            "submit_staged",
        )?;
        self.fits(submission, STAGE)?;
        self.server
            .request(ctx, STAGE, self.account, |_| self.save_draft(submission))
            .await
    }

    async fn send(
        &self,
        ctx: &OpContext,
        submission: &Submission,
        staged: Option<&StagedSubmission>,
    ) -> Result<SentReceipt> {
        require(
            staged.is_none() || self.server.capabilities().submit_staged,
            SEND,
            "submit_staged",
        )?;
        self.fits(submission, SEND)?;
        self.server
            .request(ctx, SEND, self.account, |_| match staged {
                Some(staged) => self.send_draft(staged),
                None => self.send_bytes(submission),
            })
            .await
    }

    async fn find(
        &self,
        ctx: &OpContext,
        identity: &SubmissionIdentity,
    ) -> Result<SubmissionTrace> {
        require(
            self.server.capabilities().submit_traceable,
            FIND,
            "submit_traceable",
        )?;
        self.server
            .request(ctx, FIND, self.account, |_| self.trace(identity))
            .await
    }

    async fn discard(&self, ctx: &OpContext, staged: &StagedSubmission) -> Result<()> {
        require(
            self.server.capabilities().submit_staged,
            DISCARD,
            "submit_staged",
        )?;
        self.server
            .request(ctx, DISCARD, self.account, |_| {
                let drafts = self.folder_of(WellKnown::Drafts, DISCARD)?;
                let draft = item_id(&staged.remote_id)
                    .and_then(|id| self.server.mail().item(id).ok())
                    .filter(|item| item.draft && item.folder == drafts);
                let Some(draft) = draft else {
                    return Ok(());
                };
                match self.server.mail().delete_item(draft.id, Disposal::Hard) {
                    Ok(_) | Err(ModelError::NoItem) => Ok(()),
                    Err(error) => Err(refused(&error, DISCARD)),
                }
            })
            .await
    }
}
