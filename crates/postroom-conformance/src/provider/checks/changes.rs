//! Listings: bounded pages, nothing skipped, every kind of change told.

use std::collections::BTreeSet;

use postroom_provider::{ErrorKind, FolderId, MailChange, PageLimit, RemoteId, SyncCursor};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::provider::case::{Case, Told};

async fn all_there(
    case: &Case<'_>,
    inbox: &FolderId,
    told: &Told,
    wanted: &[String],
) -> CheckResult {
    let ids = told.present().into_keys().collect();
    let known = case.identify(inbox, ids).await?;
    let missing = wanted.iter().filter(|id| !known.contains_key(*id)).count();
    ensure_eq!(missing, 0, "number of messages that were skipped");
    Ok(())
}

pub(in crate::provider) async fn the_first_listing_is_complete(case: &Case<'_>) -> CheckResult {
    let wanted = case.deliver_many(7).await?;
    let inbox = case.inbox().await?;
    for limit in [1, 2, 3, 100] {
        let told = case.changes(&inbox, None, limit).await?;
        all_there(case, &inbox, &told, &wanted).await?;
        ensure_eq!(told.present().len(), wanted.len(), "number of messages");
    }
    Ok(())
}

pub(in crate::provider) async fn pages_keep_to_the_limit(case: &Case<'_>) -> CheckResult {
    case.deliver_many(5).await?;
    let inbox = case.inbox().await?;
    for limit in [1, 2] {
        let told = case.changes(&inbox, None, limit).await?;
        let longest = told.pages.iter().max().copied().unwrap_or_default();
        ensure!(
            u32::try_from(longest).is_ok_and(|longest| longest <= limit),
            "a page of at most {limit} holds {longest}"
        );
    }
    Ok(())
}

pub(in crate::provider) async fn a_listing_comes_to_an_end(case: &Case<'_>) -> CheckResult {
    case.deliver_many(3).await?;
    let inbox = case.inbox().await?;
    let told = case.changes(&inbox, None, 2).await?;
    // Nothing has happened since: what is repeated must come to an end, too.
    case.changes(&inbox, Some(&told.cursor), 2).await?;
    Ok(())
}

pub(in crate::provider) async fn mail_between_pages_is_not_skipped(case: &Case<'_>) -> CheckResult {
    let mut wanted = case.deliver_many(4).await?;
    let (mail, inbox) = (case.mail()?, case.inbox().await?);
    let limit = PageLimit::new(2);
    let first = mail.changes(&case.ctx, &inbox, None, limit).await?;
    wanted.extend(case.deliver_many(2).await?);
    let mut told = case.changes(&inbox, Some(&first.cursor), 2).await?;
    // What came in between may be told on the way or the next time, but it must be told.
    let later = case.changes(&inbox, Some(&told.cursor), 2).await?;
    told.changes = [first.changes, told.changes, later.changes].concat();
    all_there(case, &inbox, &told, &wanted).await
}

pub(in crate::provider) async fn new_mail_is_told(case: &Case<'_>) -> CheckResult {
    case.deliver_many(2).await?;
    let inbox = case.inbox().await?;
    let told = case.changes(&inbox, None, 10).await?;
    let wanted = case.deliver_many(3).await?;
    let later = case.changes(&inbox, Some(&told.cursor), 2).await?;
    all_there(case, &inbox, &later, &wanted).await
}

/// The inbox with one message that was told, its id and the cursor behind it.
async fn one_told(case: &Case<'_>) -> CheckResult<(FolderId, RemoteId, String, SyncCursor)> {
    let sample = case.deliver().await?;
    let inbox = case.inbox().await?;
    let told = case.changes(&inbox, None, 10).await?;
    let id = told.present().into_keys().next();
    let id = id.ok_or_else(|| Stop::failed("a delivered message is not listed"))?;
    Ok((inbox, id, sample.message_id, told.cursor))
}

pub(in crate::provider) async fn an_edit_is_told(case: &Case<'_>) -> CheckResult {
    let (inbox, id, message_id, cursor) = one_told(case).await?;
    case.account.edit(&inbox, &id).await?;
    let later = case.changes(&inbox, Some(&cursor), 10).await?;
    all_there(case, &inbox, &later, &[message_id]).await
}

/// A message that left is told as removed, or at least no longer there.
async fn left(
    case: &Case<'_>,
    folder: &FolderId,
    id: &RemoteId,
    cursor: &SyncCursor,
) -> CheckResult {
    let later = case.changes(folder, Some(cursor), 10).await?;
    if case.capabilities().mail_reports_deletions {
        let removed = MailChange::Removed(id.clone());
        ensure!(
            later.changes.contains(&removed),
            "a message that left is not told, against mail_reports_deletions"
        );
    }
    ensure!(
        !later.present().contains_key(id),
        "a message that left is told as present"
    );
    let anew = case.changes(folder, None, 10).await?;
    ensure!(
        !anew.present().contains_key(id),
        "a message that left is listed"
    );
    Ok(())
}

pub(in crate::provider) async fn a_deletion_shows(case: &Case<'_>) -> CheckResult {
    let (inbox, id, _, cursor) = one_told(case).await?;
    case.account.delete(&inbox, &id).await?;
    left(case, &inbox, &id, &cursor).await
}

pub(in crate::provider) async fn a_message_moved_out_is_gone(case: &Case<'_>) -> CheckResult {
    let (inbox, id, _, cursor) = one_told(case).await?;
    let target = case.other_folder().await?;
    case.account.move_to(&inbox, &id, &target).await?;
    left(case, &inbox, &id, &cursor).await
}

pub(in crate::provider) async fn a_message_moved_in_is_told(case: &Case<'_>) -> CheckResult {
    let (inbox, id, message_id, _) = one_told(case).await?;
    let target = case.other_folder().await?;
    let before = case.changes(&target, None, 10).await?;
    case.account.move_to(&inbox, &id, &target).await?;
    let later = case.changes(&target, Some(&before.cursor), 10).await?;
    all_there(case, &target, &later, &[message_id]).await
}

pub(in crate::provider) async fn listings_agree_with_headers(case: &Case<'_>) -> CheckResult {
    case.deliver_many(2).await?;
    let inbox = case.inbox().await?;
    let told = case.changes(&inbox, None, 10).await?;
    for (id, listing) in told.present() {
        let outcomes = case.mail()?.headers(&case.ctx, &inbox, &[id]).await?;
        for outcome in outcomes {
            let headers = outcome?;
            if let Some(at) = listing.received_at {
                ensure_eq!(at, headers.received_at, "time of receipt in the listing");
            }
            if let (Some(listed), Some(size)) = (listing.size, headers.size) {
                ensure_eq!(listed, size, "size in the listing");
            }
        }
    }
    let ids: BTreeSet<_> = told.present().into_keys().collect();
    ensure_eq!(ids.len(), 2, "number of different ids");
    Ok(())
}

pub(in crate::provider) async fn an_unknown_folder_is_not_found(case: &Case<'_>) -> CheckResult {
    let folder = FolderId::new("no-such-folder");
    let limit = PageLimit::new(10);
    let page = case.mail()?.changes(&case.ctx, &folder, None, limit).await;
    let kind = page.err().map(|error| error.kind());
    ensure_eq!(kind, Some(ErrorKind::NotFound), "answer");
    Ok(())
}
