//! Sending mail, recoverably: a stamped draft, then SendItem on it. Source: ews-notes section 10.

use async_trait::async_trait;
use postroom_core::Code;
use postroom_core::outbox::{SentReceipt, StagedSubmission};
use postroom_provider::{
    DeleteMode, ErrorKind, MailSubmitter, OpContext, ProviderError, RemoteId, Result, Retry,
    Submission, SubmissionIdentity, SubmissionTrace,
};

use crate::client::{CallError, misunderstood};
use crate::error::{About, Effect, effect, refused};
use crate::ops::create_item::Disposition;
use crate::ops::find_item::{By, Found};
use crate::ops::get_item::Shape;
use crate::ops::{
    Distinguished, ItemId, create_item, delete_item, find_item, get_item, item_id, send_item,
    stamp_of,
};
use crate::provider::EwsProvider;
use crate::soap::Refusal;
use crate::source::one;
use crate::xml::flag_of;

/// How often a draft that was touched meanwhile is read again. Assistants touch fresh drafts once or
/// twice.
const STALE_MAX: usize = 5;

/// Marks an error as: it may have been sent.
fn in_doubt(error: ProviderError) -> ProviderError {
    error.with_retry(Retry::OutcomeUnknown)
}

fn doubtful(call: CallError) -> ProviderError {
    match call.effect {
        Effect::None => call.error,
        Effect::Unclear => in_doubt(call.error),
    }
}

fn doubtful_refusal(operation: &'static str, refusal: &Refusal) -> ProviderError {
    let error = refused(operation, refusal, About::Item);
    match effect(refusal) {
        Effect::None => error,
        Effect::Unclear => in_doubt(error),
    }
}

/// A draft as it stands on the server.
struct Draft {
    id: ItemId,
    stamp: Option<String>,
    draft: bool,
    submitted: bool,
}

#[async_trait]
impl MailSubmitter for EwsProvider {
    /// Leaves a stamped draft in Drafts, by CreateItem.
    ///
    /// # Cancellation
    /// May leave the draft, which `find` tells by its stamp.
    async fn stage(&self, ctx: &OpContext, submission: &Submission) -> Result<StagedSubmission> {
        const OPERATION: &str = "submit.stage";
        check(OPERATION, submission)?;
        let drafts = self.folder(Distinguished::Drafts);
        let created = self
            .client
            .call(
                ctx,
                OPERATION,
                &|xml, _| create_item::write(xml, Disposition::Save, drafts, submission),
                &create_item::read,
            )
            .await?
            .map_err(|refusal| refused(OPERATION, &refusal, About::Item))?;
        // Saved, but nobody can say as what: the stamp will find it.
        let id = created.ok_or_else(|| misunderstood(OPERATION))?;
        Ok(StagedSubmission::new(id.id, id.change_key))
    }

    /// Sends the draft by SendItem, or the bytes by CreateItem where there is none.
    ///
    /// # Cancellation
    /// Leaves the outcome unknown.
    async fn send(
        &self,
        ctx: &OpContext,
        submission: &Submission,
        staged: Option<&StagedSubmission>,
    ) -> Result<SentReceipt> {
        match staged {
            Some(staged) => self.send_draft(ctx, submission, staged).await,
            None => self.send_bytes(ctx, submission).await,
        }
    }

    /// Looks for the stamp in Drafts, Outbox and Sent Items, then for the Message-ID in the last two.
    ///
    /// # Cancellation
    /// Changes nothing on the server.
    async fn find(
        &self,
        ctx: &OpContext,
        identity: &SubmissionIdentity,
    ) -> Result<SubmissionTrace> {
        const OPERATION: &str = "submit.find";
        let key = identity.key.as_str();
        // In the order in which a message travels: one that moves on meanwhile is seen again, not
        // missed.
        let way = [
            Distinguished::Drafts,
            Distinguished::Outbox,
            Distinguished::SentItems,
        ];
        let by_stamp = self.search(ctx, OPERATION, &way, By::Stamp(key)).await;
        match by_stamp {
            Ok(found) => {
                let ours = |found: &Found| found.stamp.as_deref().is_none_or(|s| s == key);
                let trace = trace_of(found, ours);
                if trace != SubmissionTrace::Nowhere {
                    return Ok(trace);
                }
            }
            // A store that cannot search by named properties may still do by the identifier.
            Err(error) if error.kind() == ErrorKind::Protocol => {}
            Err(error) => return Err(error),
        }
        let by_id = identity.message_id.to_string();
        let way = [Distinguished::Outbox, Distinguished::SentItems];
        let found = self
            .search(ctx, OPERATION, &way, By::MessageId(&by_id))
            .await?;
        // Another stamp is another submission; none is a copy that lost it.
        let ours = |found: &Found| found.stamp.as_deref().is_none_or(|stamp| stamp == key);
        Ok(trace_of(found, ours))
    }

    /// Deletes the draft for good, if it still is one.
    ///
    /// # Cancellation
    /// May have deleted it; discarding again does no harm.
    async fn discard(&self, ctx: &OpContext, staged: &StagedSubmission) -> Result<()> {
        const OPERATION: &str = "submit.discard";
        let draft = match self.draft(ctx, OPERATION, &staged.remote_id).await? {
            Ok(draft) => draft,
            Err(refusal) => {
                return match refused(OPERATION, &refusal, About::Item) {
                    error if error.kind() == ErrorKind::NotFound => Ok(()),
                    error => Err(error),
                };
            }
        };
        if !draft.draft || draft.submitted {
            // It has been sent: a copy of a sent message is not ours to delete.
            return Ok(());
        }
        let ids = [staged.remote_id.clone()];
        let deleted = self
            .client
            .call(
                ctx,
                OPERATION,
                &|xml, _| delete_item::write(xml, DeleteMode::Permanently, &ids),
                &send_item::read,
            )
            .await?;
        match one(OPERATION, deleted)? {
            Ok(()) => Ok(()),
            Err(refusal) => match refused(OPERATION, &refusal, About::Item) {
                error if error.kind() == ErrorKind::NotFound => Ok(()),
                error => Err(error),
            },
        }
    }
}

fn check(operation: &'static str, submission: &Submission) -> Result<()> {
    if submission.recipients.is_empty() {
        return Err(ProviderError::new(
            ErrorKind::InvalidInput,
            Code::RecipientsRefused,
            operation,
        )
        .with("recipients", 0));
    }
    Ok(())
}

/// What was found in folders in the order of the way; the furthest counts.
fn trace_of(
    found: Vec<(Distinguished, Vec<Found>)>,
    ours: impl Fn(&Found) -> bool,
) -> SubmissionTrace {
    let mut trace = SubmissionTrace::Nowhere;
    for (folder, items) in found {
        for item in items.into_iter().filter(&ours) {
            let next = match folder {
                Distinguished::SentItems if !item.draft => {
                    SubmissionTrace::Sent(SentReceipt::found(item.id.id))
                }
                Distinguished::Outbox => SubmissionTrace::InTransit,
                // Over its rate, a server keeps what it has accepted in Drafts for a while.
                Distinguished::Drafts if item.submitted => SubmissionTrace::InTransit,
                Distinguished::Drafts if item.draft => {
                    SubmissionTrace::Staged(StagedSubmission::new(item.id.id, item.id.change_key))
                }
                _ => continue,
            };
            if rank(&next) > rank(&trace) {
                trace = next;
            }
        }
    }
    trace
}

const fn rank(trace: &SubmissionTrace) -> u8 {
    match trace {
        SubmissionTrace::Nowhere => 0,
        SubmissionTrace::Staged(_) => 1,
        SubmissionTrace::InTransit => 2,
        SubmissionTrace::Sent(_) => 3,
    }
}

impl EwsProvider {
    async fn send_draft(
        &self,
        ctx: &OpContext,
        submission: &Submission,
        staged: &StagedSubmission,
    ) -> Result<SentReceipt> {
        const OPERATION: &str = "submit.send";
        let sent_items = self.folder(Distinguished::SentItems);
        let mut item = ItemId {
            id: staged.remote_id.clone(),
            change_key: staged.version.clone(),
        };
        for _ in 0..STALE_MAX {
            let outcome = self
                .client
                .call(
                    ctx,
                    OPERATION,
                    &|xml, _| send_item::write(xml, &item, sent_items),
                    &send_item::read,
                )
                .await
                .map_err(doubtful)?;
            let refusal = match one(OPERATION, outcome).map_err(in_doubt)? {
                Ok(()) => return Ok(SentReceipt::answered()),
                Err(refusal) => refusal,
            };
            let error = refused(OPERATION, &refusal, About::Item);
            match error.kind() {
                ErrorKind::Conflict => {
                    item = self.current(ctx, OPERATION, submission, &item.id).await?;
                }
                // The draft is gone: sent by an earlier attempt whose answer was lost, or deleted.
                ErrorKind::NotFound => return Err(in_doubt(error)),
                _ => return Err(doubtful_refusal(OPERATION, &refusal)),
            }
        }
        // Refused each time: nothing was sent.
        Err(
            ProviderError::new(ErrorKind::Conflict, Code::ItemChanged, OPERATION)
                .with("attempts", STALE_MAX)
                .with_retry(Retry::After(None)),
        )
    }

    /// The draft as it is now, after it was touched by somebody: an assistant of the server, as a
    /// rule. It must still be ours and unsent.
    async fn current(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        submission: &Submission,
        id: &RemoteId,
    ) -> Result<ItemId> {
        let draft = match self.draft(ctx, operation, id).await? {
            Ok(draft) => draft,
            Err(refusal) => {
                let error = refused(operation, &refusal, About::Item);
                return Err(if error.kind() == ErrorKind::NotFound {
                    in_doubt(error)
                } else {
                    error
                });
            }
        };
        if draft.stamp.as_deref() != Some(submission.key.as_str()) {
            return Err(
                ProviderError::new(ErrorKind::Conflict, Code::ItemChanged, operation)
                    .with_retry(Retry::Never)
                    .with("because", "the draft no longer carries our stamp"),
            );
        }
        if draft.submitted || !draft.draft {
            return Err(in_doubt(ProviderError::new(
                ErrorKind::Conflict,
                Code::OutcomeUnknown,
                operation,
            )));
        }
        Ok(draft.id)
    }

    async fn draft(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        id: &RemoteId,
    ) -> Result<std::result::Result<Draft, Refusal>> {
        let ids = std::slice::from_ref(id);
        let read = self
            .client
            .call(
                ctx,
                operation,
                &|xml, _| get_item::write(xml, Shape::Identity, ids),
                &|reply| {
                    get_item::read(reply, |item| {
                        Some(Draft {
                            id: item_id(item)?,
                            stamp: stamp_of(item).map(str::to_owned),
                            draft: flag_of(item, "IsDraft").unwrap_or(true),
                            submitted: flag_of(item, "IsSubmitted").unwrap_or(false),
                        })
                    })
                },
            )
            .await?;
        one(operation, read)
    }

    async fn send_bytes(&self, ctx: &OpContext, submission: &Submission) -> Result<SentReceipt> {
        const OPERATION: &str = "submit.send";
        check(OPERATION, submission)?;
        let sent_items = self.folder(Distinguished::SentItems);
        self.client
            .call(
                ctx,
                OPERATION,
                &|xml, _| create_item::write(xml, Disposition::Send, sent_items, submission),
                &create_item::read,
            )
            .await
            .map_err(doubtful)?
            .map_err(|refusal| doubtful_refusal(OPERATION, &refusal))?;
        Ok(SentReceipt::answered())
    }

    /// What the folders hold; a folder that the mailbox lacks holds nothing.
    async fn search(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        way: &[Distinguished],
        by: By<'_>,
    ) -> Result<Vec<(Distinguished, Vec<Found>)>> {
        let folders: Vec<_> = way.iter().map(|folder| self.folder(*folder)).collect();
        let found = self
            .client
            .call(
                ctx,
                operation,
                &|xml, _| find_item::write(xml, &folders, by),
                &find_item::read,
            )
            .await?;
        if found.len() != way.len() {
            return Err(misunderstood(operation).with("answers", found.len()));
        }
        let mut all = Vec::with_capacity(way.len());
        for (folder, outcome) in way.iter().zip(found) {
            match outcome {
                Ok(items) => all.push((*folder, items)),
                Err(refusal) => {
                    let error = refused(operation, &refusal, About::Folder);
                    if error.kind() != ErrorKind::NotFound {
                        return Err(error);
                    }
                }
            }
        }
        Ok(all)
    }
}
