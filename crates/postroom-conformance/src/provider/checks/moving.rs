//! Moving and deleting.

use postroom_provider::{DeleteMode, ErrorKind, FolderId, RemoteId, WellKnownFolder};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::provider::case::Case;

async fn moved(
    case: &Case<'_>,
    folder: &FolderId,
    id: &RemoteId,
    target: &FolderId,
) -> CheckResult<Option<RemoteId>> {
    let ids = [id.clone()];
    let outcomes = case
        .mail()?
        .move_to(&case.ctx, folder, &ids, target)
        .await?;
    ensure_eq!(outcomes.len(), 1, "number of outcomes");
    match outcomes.into_iter().next() {
        Some(outcome) => Ok(outcome?),
        None => Err(Stop::failed("moving has no outcome")),
    }
}

pub(in crate::provider) async fn a_moved_message_changes_its_folder(
    case: &Case<'_>,
) -> CheckResult {
    case.needs("mail_move", |offers| offers.mail_move)?;
    let sample = case.deliver().await?;
    let inbox = case.inbox().await?;
    let target = case.other_folder().await?;
    let id = case.id_of(&inbox, &sample.message_id).await?;
    moved(case, &inbox, &id, &target).await?;
    let left = case.listed(&inbox).await?;
    ensure!(
        !left.contains_key(&sample.message_id),
        "it is still where it was"
    );
    let there = case.listed(&target).await?;
    ensure!(
        there.contains_key(&sample.message_id),
        "it is not where it should be"
    );
    Ok(())
}

pub(in crate::provider) async fn the_new_id_is_told_as_promised(case: &Case<'_>) -> CheckResult {
    case.needs("mail_move", |offers| offers.mail_move)?;
    let sample = case.deliver().await?;
    let inbox = case.inbox().await?;
    let target = case.other_folder().await?;
    let id = case.id_of(&inbox, &sample.message_id).await?;
    let told = moved(case, &inbox, &id, &target).await?;
    if !case.capabilities().mail_move_tells_id {
        ensure_eq!(told, None, "new id where none is promised");
        return Ok(());
    }
    let there = case.listed(&target).await?;
    ensure_eq!(
        told.as_ref(),
        there.get(&sample.message_id),
        "new id of the message"
    );
    Ok(())
}

pub(in crate::provider) async fn moving_a_missing_message_is_not_found(
    case: &Case<'_>,
) -> CheckResult {
    case.needs("mail_move", |offers| offers.mail_move)?;
    let (inbox, mut ids) = case.filled_inbox(2).await?;
    let gone = case.vanished(&inbox).await?;
    ids.insert(1, gone);
    if case.capabilities().mail_batch_max < ids.len() {
        return Err(Stop::skipped("a batch holds fewer than three"));
    }
    let target = case.other_folder().await?;
    let outcomes = case
        .mail()?
        .move_to(&case.ctx, &inbox, &ids, &target)
        .await?;
    let kinds: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.as_ref().err().map(|error| error.kind()))
        .collect();
    let expected = [None, Some(ErrorKind::NotFound), None];
    ensure_eq!(kinds, expected, "failures by input, the second missing");
    Ok(())
}

async fn deleted(
    case: &Case<'_>,
    folder: &FolderId,
    id: &RemoteId,
    mode: DeleteMode,
) -> CheckResult {
    let ids = [id.clone()];
    let outcomes = case.mail()?.delete(&case.ctx, folder, &ids, mode).await?;
    ensure_eq!(outcomes.len(), 1, "number of outcomes");
    for outcome in outcomes {
        outcome?;
    }
    Ok(())
}

const MODES: [DeleteMode; 2] = [DeleteMode::ToDeletedItems, DeleteMode::Permanently];

pub(in crate::provider) async fn a_deleted_message_is_gone(case: &Case<'_>) -> CheckResult {
    for mode in MODES {
        let sample = case.deliver().await?;
        let kept = case.deliver().await?;
        let inbox = case.inbox().await?;
        let id = case.id_of(&inbox, &sample.message_id).await?;
        deleted(case, &inbox, &id, mode).await?;
        let left = case.listed(&inbox).await?;
        ensure!(
            !left.contains_key(&sample.message_id),
            "a message deleted {mode:?} is still there"
        );
        ensure!(
            left.contains_key(&kept.message_id),
            "another message went, too"
        );
    }
    Ok(())
}

/// Deletes a message and tells whether Deleted Items holds it then.
async fn kept_after(case: &Case<'_>, mode: DeleteMode) -> CheckResult<bool> {
    let (mail, role) = (case.mail()?, WellKnownFolder::DeletedItems);
    let bin = match mail.find_folder(&case.ctx, role).await {
        Ok(bin) => bin,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Stop::skipped(
                "the mail system has no place for deleted items",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let sample = case.deliver().await?;
    let inbox = case.inbox().await?;
    let id = case.id_of(&inbox, &sample.message_id).await?;
    deleted(case, &inbox, &id, mode).await?;
    let there = case.listed(&bin).await?;
    Ok(there.contains_key(&sample.message_id))
}

pub(in crate::provider) async fn deleted_items_keep_what_is_sent_there(
    case: &Case<'_>,
) -> CheckResult {
    let kept = kept_after(case, DeleteMode::ToDeletedItems).await?;
    ensure!(kept, "Deleted Items does not hold the message");
    Ok(())
}

pub(in crate::provider) async fn deleting_for_good_leaves_nothing(case: &Case<'_>) -> CheckResult {
    let kept = kept_after(case, DeleteMode::Permanently).await?;
    ensure!(
        !kept,
        "Deleted Items holds a message that was deleted for good"
    );
    Ok(())
}

pub(in crate::provider) async fn deleting_again_is_fine(case: &Case<'_>) -> CheckResult {
    for mode in MODES {
        let (inbox, ids) = case.filled_inbox(1).await?;
        for id in &ids {
            deleted(case, &inbox, id, mode).await?;
            deleted(case, &inbox, id, mode).await?;
        }
    }
    Ok(())
}
