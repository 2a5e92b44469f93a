//! Sealed secrets.

use postroom_core::profile::ProfileKind;
use postroom_core::{MailboxId, Secret, ServerProfile};
use postroom_store::{ErrorKind, SecretOwner};

use crate::check::{CheckResult, ensure, ensure_eq};
use crate::store::case::{Case, profile_id, refused};

async fn owners(case: &Case) -> CheckResult<[SecretOwner; 3]> {
    let profile = ServerProfile::new(profile_id(1), "Exchange", ProfileKind::ExchangeServer);
    case.store().save_profile(&profile).await?;
    let mailbox = case.mailbox(1).await?;
    Ok([
        SecretOwner::ProfileIncoming(profile.id),
        SecretOwner::ProfileOutgoing(profile.id),
        SecretOwner::Mailbox(mailbox.id),
    ])
}

pub(in crate::store) async fn a_secret_comes_back(case: &mut Case) -> CheckResult {
    let [owner, ..] = owners(case).await?;
    ensure!(
        case.store().secret(owner).await?.is_none(),
        "there is a secret before any was stored"
    );
    case.store()
        .put_secret(owner, &Secret::new("first"))
        .await?;
    case.store()
        .put_secret(owner, &Secret::new("pässwörd"))
        .await?;
    case.reopen().await?;
    ensure!(
        case.store().secret(owner).await? == Some(Secret::new("pässwörd")),
        "the secret is not the one that was stored last"
    );
    case.store().delete_secret(owner).await?;
    ensure!(
        case.store().secret(owner).await?.is_none(),
        "a forgotten secret is still there"
    );
    case.store().delete_secret(owner).await?;
    Ok(())
}

pub(in crate::store) async fn secrets_of_different_owners_are_apart(
    case: &mut Case,
) -> CheckResult {
    let owners = owners(case).await?;
    for (owner, text) in owners.iter().zip(["in", "out", "own"]) {
        case.store().put_secret(*owner, &Secret::new(text)).await?;
    }
    for (owner, text) in owners.iter().zip(["in", "out", "own"]) {
        ensure!(
            case.store().secret(*owner).await? == Some(Secret::new(text)),
            "{owner:?} has another's secret"
        );
    }
    Ok(())
}

pub(in crate::store) async fn a_secret_goes_with_its_profile(case: &mut Case) -> CheckResult {
    let [incoming, outgoing, _] = owners(case).await?;
    case.store()
        .put_secret(incoming, &Secret::new("in"))
        .await?;
    case.store()
        .put_secret(outgoing, &Secret::new("out"))
        .await?;
    case.store().delete_profile(profile_id(1)).await?;
    for owner in [incoming, outgoing] {
        ensure!(
            case.store().secret(owner).await?.is_none(),
            "{owner:?} outlived its profile"
        );
    }
    Ok(())
}

pub(in crate::store) async fn an_unknown_owner_has_no_secret(case: &mut Case) -> CheckResult {
    let nobody = SecretOwner::Mailbox(MailboxId::from_random([99; 16]));
    refused(
        case.store().put_secret(nobody, &Secret::new("x")).await,
        ErrorKind::NotFound,
        "a secret of nobody",
    )?;
    ensure_eq!(
        case.store().secret(nobody).await?.is_some(),
        false,
        "a secret of nobody"
    );
    Ok(())
}
