//! Finding, listing and making folders.

use std::collections::BTreeSet;

use postroom_provider::{ErrorKind, FolderId, WellKnownFolder};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::provider::case::Case;

pub(in crate::provider) async fn the_inbox_is_listed(case: &Case<'_>) -> CheckResult {
    let inbox = case.inbox().await?;
    let folders = case.mail()?.list_folders(&case.ctx).await?;
    let listed = folders.iter().find(|folder| folder.id == inbox);
    let Some(listed) = listed else {
        return Err(Stop::failed("the inbox that was found is not listed"));
    };
    ensure_eq!(listed.role, Some(WellKnownFolder::Inbox), "its role");
    Ok(())
}

pub(in crate::provider) async fn each_folder_is_listed_once(case: &Case<'_>) -> CheckResult {
    let folders = case.mail()?.list_folders(&case.ctx).await?;
    let mut ids = BTreeSet::new();
    for folder in &folders {
        ensure!(!folder.name.is_empty(), "a folder has no name");
        ensure!(
            ids.insert(folder.id.clone()),
            "a folder is listed more than once"
        );
    }
    for parent in folders.iter().filter_map(|folder| folder.parent.as_ref()) {
        ensure!(
            ids.contains(parent),
            "a folder lies in one that is not listed"
        );
    }
    Ok(())
}

pub(in crate::provider) async fn an_ensured_folder_is_made_once(case: &Case<'_>) -> CheckResult {
    case.needs("mail_create_folder", |offers| offers.mail_create_folder)?;
    let (mail, name) = (case.mail()?, "Conformance Éé");
    let first = mail.ensure_folder(&case.ctx, None, name).await?;
    let second = mail.ensure_folder(&case.ctx, None, name).await?;
    ensure_eq!(second, first, "id of the folder when asked for again");
    let folders = mail.list_folders(&case.ctx).await?;
    let count = folders.iter().filter(|folder| folder.name == name).count();
    ensure_eq!(count, 1, "number of folders of that name");
    let told = case.changes(&first, None, 10).await?;
    ensure_eq!(
        told.changes.len(),
        0,
        "number of messages in the new folder"
    );
    Ok(())
}

pub(in crate::provider) async fn ensured_names_compare_without_case(
    case: &Case<'_>,
) -> CheckResult {
    case.needs("mail_create_folder", |offers| offers.mail_create_folder)?;
    let mail = case.mail()?;
    let first = mail.ensure_folder(&case.ctx, None, "Conformance").await?;
    let second = mail.ensure_folder(&case.ctx, None, "CONFORMANCE").await?;
    ensure_eq!(second, first, "id of the folder in other letters");
    Ok(())
}

pub(in crate::provider) async fn an_ensured_folder_lies_below_its_parent(
    case: &Case<'_>,
) -> CheckResult {
    case.needs("mail_create_folder", |offers| offers.mail_create_folder)?;
    let (mail, inbox) = (case.mail()?, case.inbox().await?);
    let name = "Conformance";
    let below = mail.ensure_folder(&case.ctx, Some(&inbox), name).await?;
    let top = mail.ensure_folder(&case.ctx, None, name).await?;
    ensure!(below != top, "a parent makes no difference");
    let folders = mail.list_folders(&case.ctx).await?;
    let parent = |id| {
        let folder = folders.iter().find(|folder| folder.id == id)?;
        Some(folder.parent.clone())
    };
    ensure_eq!(
        parent(below),
        Some(Some(inbox)),
        "parent of the inner folder"
    );
    ensure!(parent(top).is_some(), "the folder at the top is not listed");
    Ok(())
}

pub(in crate::provider) async fn a_missing_parent_is_not_found(case: &Case<'_>) -> CheckResult {
    case.needs("mail_create_folder", |offers| offers.mail_create_folder)?;
    let parent = FolderId::new("no-such-folder");
    let made = case
        .mail()?
        .ensure_folder(&case.ctx, Some(&parent), "Conformance")
        .await;
    let kind = made.err().map(|error| error.kind());
    ensure_eq!(kind, Some(ErrorKind::NotFound), "answer");
    Ok(())
}

pub(in crate::provider) async fn ids_survive_reopening(case: &Case<'_>) -> CheckResult {
    let (inbox, ids) = case.filled_inbox(2).await?;
    let again = case.account.reopen().await?;
    let Some(mail) = again.mail() else {
        return Err(Stop::failed("the reopened provider reads no mail"));
    };
    let found = mail.find_folder(&case.ctx, WellKnownFolder::Inbox).await?;
    ensure_eq!(found, inbox, "id of the inbox");
    let told = case.changes_by(mail, &inbox, None, 100).await?;
    let mut listed: Vec<_> = told.present().into_keys().collect();
    let mut ids = ids;
    listed.sort();
    ids.sort();
    ensure_eq!(listed, ids, "ids of the messages");
    Ok(())
}

pub(in crate::provider) async fn accounts_are_apart(case: &Case<'_>) -> CheckResult {
    let other = Case::open(case.fixture).await?;
    let theirs = other.deliver().await?;
    let ours = case.deliver().await?;
    for (case, own) in [(case, ours), (&other, theirs)] {
        let inbox = case.inbox().await?;
        let listed: Vec<String> = case.listed(&inbox).await?.into_keys().collect();
        ensure_eq!(listed, [own.message_id], "messages in the account's inbox");
    }
    Ok(())
}
