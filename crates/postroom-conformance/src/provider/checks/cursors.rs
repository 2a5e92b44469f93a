//! Cursors: reuse, reopening, and honest refusal.

use std::collections::BTreeSet;

use postroom_provider::{ErrorKind, FolderId, MailChange, PageLimit, RemoteId, SyncCursor};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::provider::case::Case;

fn present_in(changes: &[MailChange]) -> BTreeSet<RemoteId> {
    let present = |change: &MailChange| match change {
        MailChange::Present(listing) => Some(listing.id.clone()),
        MailChange::Removed(_) => None,
    };
    changes.iter().filter_map(present).collect()
}

async fn is_refused(
    case: &Case<'_>,
    folder: &FolderId,
    cursor: &SyncCursor,
    what: &str,
) -> CheckResult {
    let limit = PageLimit::new(10);
    let page = case
        .mail()?
        .changes(&case.ctx, folder, Some(cursor), limit)
        .await;
    let kind = page.err().map(|error| error.kind());
    ensure_eq!(kind, Some(ErrorKind::CursorInvalid), "answer to {what}");
    Ok(())
}

pub(in crate::provider) async fn a_cursor_can_be_used_again(case: &Case<'_>) -> CheckResult {
    case.deliver_many(2).await?;
    let inbox = case.inbox().await?;
    let start = case.changes(&inbox, None, 10).await?;
    case.deliver_many(2).await?;
    let first = case.changes(&inbox, Some(&start.cursor), 10).await?;
    let second = case.changes(&inbox, Some(&start.cursor), 10).await?;
    let (first, second) = (present_in(&first.changes), present_in(&second.changes));
    ensure!(
        first.is_subset(&second),
        "a cursor told {} messages the first time and {} of them the second",
        first.len(),
        first.intersection(&second).count()
    );
    Ok(())
}

pub(in crate::provider) async fn a_cursor_survives_reopening(case: &Case<'_>) -> CheckResult {
    case.deliver_many(2).await?;
    let inbox = case.inbox().await?;
    let start = case.changes(&inbox, None, 10).await?;
    let new = case.deliver().await?;
    // Stored and read again: nothing but the text survives.
    let stored = SyncCursor::new(start.cursor.as_str().to_owned());
    let again = case.account.reopen().await?;
    let Some(mail) = again.mail() else {
        return Err(Stop::failed("the reopened provider reads no mail"));
    };
    let later = case.changes_by(mail, &inbox, Some(&stored), 10).await?;
    let ids = later.present().into_keys().collect();
    let known = case.identify(&inbox, ids).await?;
    ensure!(
        known.contains_key(&new.message_id),
        "a message that came after the cursor is not told"
    );
    Ok(())
}

pub(in crate::provider) async fn garbage_is_invalid(case: &Case<'_>) -> CheckResult {
    case.deliver().await?;
    let inbox = case.inbox().await?;
    let told = case.changes(&inbox, None, 10).await?;
    let good = told.cursor.as_str();
    let half: String = good.chars().take(good.chars().count() / 2).collect();
    let garbage = [
        String::new(),
        "garbage".to_owned(),
        "{}".to_owned(),
        "\u{0}\u{7f}<&>\"'".to_owned(),
        half,
        "x".repeat(100_000),
    ];
    for (number, text) in garbage.into_iter().enumerate() {
        let cursor = SyncCursor::new(text);
        is_refused(case, &inbox, &cursor, &format!("garbage number {number}")).await?;
    }
    Ok(())
}

pub(in crate::provider) async fn another_folders_cursor_is_invalid(case: &Case<'_>) -> CheckResult {
    let inbox = case.inbox().await?;
    let other = case.other_folder().await?;
    let told = case.changes(&other, None, 10).await?;
    is_refused(case, &inbox, &told.cursor, "a cursor of another folder").await
}

pub(in crate::provider) async fn reset_identifiers_make_cursors_invalid(
    case: &Case<'_>,
) -> CheckResult {
    let wanted = case.deliver_many(3).await?;
    let inbox = case.inbox().await?;
    let told = case.changes(&inbox, None, 10).await?;
    case.account.reset_identifiers(&inbox).await?;
    is_refused(case, &inbox, &told.cursor, "a cursor from before the reset").await?;
    let listed = case.listed(&inbox).await?;
    let missing = wanted.iter().filter(|id| !listed.contains_key(*id)).count();
    ensure_eq!(missing, 0, "number of messages missing from a new listing");
    Ok(())
}
