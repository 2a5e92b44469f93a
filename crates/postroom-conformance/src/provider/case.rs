//! What a check works with: a fresh account, and the steps that many checks share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use postroom_core::EmailAddress;
use postroom_core::outbox::SubmissionKey;
use postroom_core::{NamedAddress, RawMessage};
use postroom_provider::{
    Capabilities, FolderId, MailChange, MailListing, MailSource, MailSubmitter, OpContext,
    PageLimit, Provider, ProviderError, RemoteId, Submission, SyncCursor, WellKnownFolder,
};

use super::fixture::{Account, Backdoor, Fixture};
use super::sample::Sample;
use crate::check::{CheckResult, Stop, ensure, ensure_eq};

/// A listing that goes on for more pages than this does not end.
const PAGES_MAX: usize = 1000;

impl From<ProviderError> for Stop {
    fn from(error: ProviderError) -> Self {
        Self::Failed(format!("unexpected: {error} ({:?})", error.kind()))
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(format!("bytes cannot be read or written: {error}"))
    }
}

/// A fresh account under check.
pub(super) struct Case<'f> {
    pub(super) fixture: &'f dyn Fixture,
    pub(super) account: Box<dyn Account>,
    pub(super) provider: Arc<dyn Provider>,
    pub(super) ctx: OpContext,
    run: String,
    samples: AtomicU32,
}

/// What a listing told, page after page.
#[derive(Debug)]
pub(super) struct Told {
    /// All changes in order.
    pub(super) changes: Vec<MailChange>,
    /// How many changes each page held.
    pub(super) pages: Vec<usize>,
    pub(super) cursor: SyncCursor,
}

impl Told {
    /// What is there after all changes, by id.
    pub(super) fn present(&self) -> BTreeMap<RemoteId, MailListing> {
        let mut present = BTreeMap::new();
        for change in &self.changes {
            match change {
                MailChange::Present(listing) => {
                    present.insert(listing.id.clone(), listing.clone());
                }
                MailChange::Removed(id) => {
                    present.remove(id);
                }
            }
        }
        present
    }
}

impl<'f> Case<'f> {
    pub(super) async fn open(fixture: &'f dyn Fixture) -> CheckResult<Self> {
        let account = match fixture.account().await {
            Ok(account) => account,
            Err(error) => return Err(Stop::failed(format!("there is no account: {error}"))),
        };
        let ctx = account.context()?;
        let run = format!("{:016x}", ctx.randomness.number());
        Ok(Self {
            fixture,
            provider: account.provider(),
            account,
            ctx,
            run,
            samples: AtomicU32::new(0),
        })
    }

    pub(super) fn capabilities(&self) -> Arc<Capabilities> {
        self.provider.capabilities()
    }

    /// Reading mail; the check does not apply to a provider that cannot.
    pub(super) fn mail(&self) -> CheckResult<&dyn MailSource> {
        self.provider
            .mail()
            .ok_or_else(|| Stop::skipped("the provider does not read mail"))
    }

    /// Sending mail; the check does not apply to a provider that cannot.
    pub(super) fn submitter(&self) -> CheckResult<&dyn MailSubmitter> {
        self.provider
            .submitter()
            .ok_or_else(|| Stop::skipped("the provider does not send mail"))
    }

    /// Skips the check where the option is not offered.
    pub(super) fn needs(
        &self,
        option: &str,
        offered: impl Fn(&Capabilities) -> bool,
    ) -> CheckResult {
        if offered(&self.capabilities()) {
            Ok(())
        } else {
            Err(Stop::skipped(format!(
                "the provider does not offer {option}"
            )))
        }
    }

    pub(super) async fn inbox(&self) -> CheckResult<FolderId> {
        let inbox = WellKnownFolder::Inbox;
        Ok(self.mail()?.find_folder(&self.ctx, inbox).await?)
    }

    /// Another folder for messages, to move to and from.
    pub(super) async fn other_folder(&self) -> CheckResult<FolderId> {
        let mail = self.mail()?;
        if self.capabilities().mail_create_folder {
            return Ok(mail.ensure_folder(&self.ctx, None, "Conformance").await?);
        }
        let folders = mail.list_folders(&self.ctx).await?;
        folders
            .into_iter()
            .find(|folder| folder.role != Some(WellKnownFolder::Inbox))
            .map(|folder| folder.id)
            .ok_or_else(|| Stop::skipped("there is no folder but the inbox"))
    }

    /// A Message-ID that nobody else uses, without brackets.
    pub(super) fn message_id(&self) -> String {
        let number = self.samples.fetch_add(1, Ordering::Relaxed);
        format!("{}.{number}@conformance.example", self.run)
    }

    /// A small message arrives.
    pub(super) async fn deliver(&self) -> CheckResult<Sample> {
        let sample = Sample::plain(&self.message_id(), &self.account.address());
        self.account.deliver(&sample.raw).await?;
        Ok(sample)
    }

    /// Several small messages arrive; their Message-IDs.
    pub(super) async fn deliver_many(&self, count: usize) -> CheckResult<Vec<String>> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.deliver().await?.message_id);
        }
        Ok(ids)
    }

    /// Pages from `since` until there is no more.
    pub(super) async fn changes(
        &self,
        folder: &FolderId,
        since: Option<&SyncCursor>,
        limit: u32,
    ) -> CheckResult<Told> {
        self.changes_by(self.mail()?, folder, since, limit).await
    }

    /// The same by another instance.
    pub(super) async fn changes_by(
        &self,
        mail: &dyn MailSource,
        folder: &FolderId,
        since: Option<&SyncCursor>,
        limit: u32,
    ) -> CheckResult<Told> {
        let limit = PageLimit::new(limit);
        let mut page = mail.changes(&self.ctx, folder, since, limit).await?;
        let mut told = Told {
            pages: vec![page.changes.len()],
            changes: page.changes,
            cursor: page.cursor,
        };
        while page.more {
            ensure!(
                told.pages.len() < PAGES_MAX,
                "a small folder goes on for more than {PAGES_MAX} pages"
            );
            let since = Some(&told.cursor);
            page = mail.changes(&self.ctx, folder, since, limit).await?;
            told.pages.push(page.changes.len());
            told.changes.extend(page.changes);
            told.cursor = page.cursor;
        }
        Ok(told)
    }

    /// The messages of a folder by Message-ID, as a listing from scratch and their headers tell.
    pub(super) async fn listed(
        &self,
        folder: &FolderId,
    ) -> CheckResult<BTreeMap<String, RemoteId>> {
        let told = self.changes(folder, None, 100).await?;
        self.identify(folder, told.present().into_keys().collect())
            .await
    }

    /// The Message-IDs of messages.
    pub(super) async fn identify(
        &self,
        folder: &FolderId,
        ids: Vec<RemoteId>,
    ) -> CheckResult<BTreeMap<String, RemoteId>> {
        let mut known = BTreeMap::new();
        let most = self.capabilities().mail_batch_max.max(1);
        for batch in ids.chunks(most) {
            let outcomes = self.mail()?.headers(&self.ctx, folder, batch).await?;
            ensure_eq!(outcomes.len(), batch.len(), "number of outcomes of headers");
            for (id, outcome) in batch.iter().zip(outcomes) {
                if let Some(message_id) = outcome?.headers.message_id {
                    known.insert(message_id.as_str().to_owned(), id.clone());
                }
            }
        }
        Ok(known)
    }

    /// The id of a message in a folder, by its Message-ID.
    pub(super) async fn id_of(&self, folder: &FolderId, message_id: &str) -> CheckResult<RemoteId> {
        let mut listed = self.listed(folder).await?;
        listed
            .remove(message_id)
            .ok_or_else(|| Stop::failed("a delivered message is not listed"))
    }

    /// Delivers so many messages and answers the inbox and their ids, in order of delivery.
    pub(super) async fn filled_inbox(
        &self,
        count: usize,
    ) -> CheckResult<(FolderId, Vec<RemoteId>)> {
        let message_ids = self.deliver_many(count).await?;
        let inbox = self.inbox().await?;
        let listed = self.listed(&inbox).await?;
        let ids: Vec<RemoteId> = message_ids
            .iter()
            .filter_map(|id| listed.get(id).cloned())
            .collect();
        ensure_eq!(ids.len(), count, "number of delivered messages listed");
        Ok((inbox, ids))
    }

    /// An id of a message that another client has deleted.
    pub(super) async fn vanished(&self, folder: &FolderId) -> CheckResult<RemoteId> {
        let sample = self.deliver().await?;
        let id = self.id_of(folder, &sample.message_id).await?;
        self.account.delete(folder, &id).await?;
        Ok(id)
    }

    /// Whether the back door sees the message in the folder.
    pub(super) async fn holds(&self, folder: &FolderId, message_id: &str) -> Backdoor<bool> {
        let messages = self.account.messages(folder).await?;
        Ok(messages
            .iter()
            .any(|message| message.message_id == message_id))
    }

    /// Two addresses to write to.
    pub(super) async fn recipients(&self) -> CheckResult<(EmailAddress, EmailAddress)> {
        let recipients = self.account.recipients().await?;
        match recipients.as_slice() {
            [first, second, ..] => Ok((first.clone(), second.clone())),
            _ => Err(Stop::failed("the fixture has fewer than two recipients")),
        }
    }

    /// A message to one recipient, ready to be sent.
    pub(super) async fn submission(&self) -> CheckResult<Submission> {
        let (to, _) = self.recipients().await?;
        self.submission_to(&to, &[])
    }

    /// A message to one recipient, and blind copies to others.
    pub(super) fn submission_to(
        &self,
        to: &EmailAddress,
        blind: &[EmailAddress],
    ) -> CheckResult<Submission> {
        let message_id = self.message_id();
        let sample = Sample::outgoing(&message_id, &self.account.address(), to);
        let mut submission = Submission::new(
            SubmissionKey::from_random(self.ctx.randomness.bytes16()),
            message_id.parse().map_err(Stop::failed)?,
            NamedAddress::from(self.account.address()),
            std::iter::once(to).chain(blind).cloned().collect(),
            RawMessage::from_bytes(sample.raw),
        );
        submission.bcc = blind.to_vec();
        Ok(submission)
    }

    /// How often a submission has reached a recipient.
    pub(super) async fn copies(
        &self,
        submission: &Submission,
        recipient: &EmailAddress,
    ) -> CheckResult<usize> {
        let wanted = submission.message_id.as_str().as_bytes();
        let received = self.account.received(recipient).await?;
        let holds = |raw: &&Vec<u8>| raw.windows(wanted.len()).any(|part| part == wanted);
        Ok(received.iter().filter(holds).count())
    }

    /// How often a submission to one recipient has reached them.
    pub(super) async fn arrivals(&self, submission: &Submission) -> CheckResult<usize> {
        match submission.recipients.first() {
            Some(recipient) => self.copies(submission, recipient).await,
            None => Ok(0),
        }
    }

    /// Makes connections and negotiations happen before a fault is armed for the next request.
    pub(super) async fn warm_up(&self) -> CheckResult {
        if let Some(mail) = self.provider.mail() {
            mail.list_folders(&self.ctx).await?;
        }
        Ok(())
    }
}
