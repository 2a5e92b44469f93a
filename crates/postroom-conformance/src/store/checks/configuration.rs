//! Organization, profiles, audit trail, the claim.

use postroom_core::ServerProfile;
use postroom_core::alert::Subject;
use postroom_core::audit::AuditEntry;
use postroom_core::profile::ProfileKind;
use postroom_core::settings::{SettingChange, changes};
use postroom_store::{ErrorKind, Page};

use crate::check::{CheckResult, ensure, ensure_eq};
use crate::store::case::{Case, NOW, mailbox, profile_id, refused};

pub(in crate::store) async fn the_organization_is_kept(case: &mut Case) -> CheckResult {
    let mut organization = case.organization.clone();
    ensure_eq!(
        case.store().organization().await?,
        organization,
        "the organization as made"
    );
    organization.name = "Contoso Ltd".to_owned();
    organization.settings.item_attempts_max = 5;
    case.store().save_organization(&organization).await?;
    case.reopen().await?;
    ensure_eq!(
        case.store().organization().await?,
        organization,
        "the organization as changed"
    );
    let mut stranger = organization.clone();
    stranger.id = postroom_core::OrganizationId::from_random([77; 16]);
    case.store().save_organization(&stranger).await?;
    ensure_eq!(
        case.store().organization().await?.id,
        organization.id,
        "the id, which stays"
    );
    Ok(())
}

pub(in crate::store) async fn settings_change_with_their_history(case: &mut Case) -> CheckResult {
    let first = case.organization.clone();
    let mut second = first.clone();
    second.settings.item_attempts_max = 5;
    second.settings.alerts.errors = false;
    let mut third = second.clone();
    third.settings.item_attempts_max = 6;
    for (before, after) in [(&first, &second), (&second, &third)] {
        let changes = changes(before, after, "admin", NOW);
        case.store()
            .change_organization(before, after, &changes)
            .await?;
    }
    // From what it no longer is: refused, and not in the history.
    let mut late = first.clone();
    late.settings.item_attempts_max = 9;
    let told = changes(&first, &late, "late", NOW);
    refused(
        case.store().change_organization(&first, &late, &told).await,
        ErrorKind::Conflict,
        "a change of what somebody else has changed",
    )?;
    case.reopen().await?;
    ensure_eq!(case.store().organization().await?, third, "the settings");
    let history = async |name: Option<&'static str>, page| {
        let changes = case.store().setting_changes(name, page).await?;
        let told = |change: SettingChange| format!("{}={}", change.name, change.to);
        CheckResult::Ok(changes.into_iter().map(told).collect::<Vec<_>>())
    };
    let (newest, oldest) = ("item_attempts_max=6", "item_attempts_max=5");
    let all = history(None, Page::first(9)).await?;
    ensure_eq!(all.len(), 3, "changes in all");
    ensure_eq!(
        all.first().map(String::as_str),
        Some(newest),
        "newest first"
    );
    let one = Some("item_attempts_max");
    ensure_eq!(
        history(one, Page::first(9)).await?,
        [newest, oldest],
        "of one setting"
    );
    let page = Page::first(1).next();
    ensure_eq!(history(one, page).await?, [oldest], "its second page");
    Ok(())
}

fn profile(n: u8, name: &str) -> ServerProfile {
    ServerProfile::new(profile_id(n), name, ProfileKind::ExchangeServer)
}

pub(in crate::store) async fn profiles_are_kept_by_name(case: &mut Case) -> CheckResult {
    let (late, early) = (profile(1, "Zeta"), profile(2, "alpha"));
    case.store().save_profile(&late).await?;
    case.store().save_profile(&early).await?;
    case.reopen().await?;
    ensure_eq!(
        case.store().profiles().await?,
        vec![early.clone(), late.clone()],
        "profiles by name"
    );
    let mut renamed = late.clone();
    renamed.name = "Aardvark".to_owned();
    case.store().save_profile(&renamed).await?;
    ensure_eq!(
        case.store().profile(late.id).await?,
        Some(renamed),
        "the changed profile"
    );
    case.store().delete_profile(early.id).await?;
    ensure_eq!(
        case.store().profile(early.id).await?,
        None,
        "the deleted profile"
    );
    refused(
        case.store().delete_profile(early.id).await,
        ErrorKind::NotFound,
        "deleting it again",
    )
}

pub(in crate::store) async fn a_profile_name_is_unique_without_case(
    case: &mut Case,
) -> CheckResult {
    case.store().save_profile(&profile(1, "Exchange")).await?;
    refused(
        case.store().save_profile(&profile(2, "EXCHANGE")).await,
        ErrorKind::AlreadyExists,
        "a second profile of that name",
    )?;
    case.store().save_profile(&profile(1, "exchange")).await?;
    Ok(())
}

pub(in crate::store) async fn a_profile_in_use_stays(case: &mut Case) -> CheckResult {
    case.store().save_profile(&profile(1, "Exchange")).await?;
    let mut user = mailbox(1)?;
    user.profile = Some(profile_id(1));
    case.store().create_mailbox(&user).await?;
    refused(
        case.store().delete_profile(profile_id(1)).await,
        ErrorKind::Conflict,
        "deleting a profile that a mailbox uses",
    )?;
    user.profile = None;
    case.store().update_mailbox(&user).await?;
    case.store().delete_profile(profile_id(1)).await?;
    Ok(())
}

pub(in crate::store) async fn the_audit_trail_is_newest_first(case: &mut Case) -> CheckResult {
    for action in ["one", "two", "three"] {
        let entry = AuditEntry::allowed(NOW, "admin", action, Subject::Organization, "note");
        case.store().audit(&entry).await?;
    }
    case.reopen().await?;
    let first = Page::first(2);
    let trail = case.store().audit_trail(first).await?;
    let actions: Vec<_> = trail.iter().map(|entry| entry.action.as_str()).collect();
    ensure_eq!(actions, ["three", "two"], "the first page");
    let rest = case.store().audit_trail(first.next()).await?;
    ensure_eq!(rest.len(), 1, "entries on the second page");
    Ok(())
}

pub(in crate::store) async fn one_engine_at_a_time(case: &mut Case) -> CheckResult {
    let claim = case.store().claim_engine().await?;
    refused(
        case.store().claim_engine().await,
        ErrorKind::Locked,
        "a second claim",
    )?;
    if let Ok(beside) = case.beside().await {
        refused(
            beside.claim_engine().await,
            ErrorKind::Locked,
            "a claim from beside",
        )?;
        // Working beside the engine is fine.
        ensure!(
            beside.organization().await.is_ok(),
            "the store cannot be read beside an engine"
        );
    }
    drop(claim);
    let again = case.store().claim_engine().await?;
    drop(again);
    Ok(())
}
