//! Mailboxes.

use postroom_core::catalogue::Code;
use postroom_core::health::Health;
use postroom_core::mailbox::MailboxOwner;
use postroom_core::tracking::TrackingFilter;
use postroom_core::{Mailbox, MailboxId};
use postroom_store::{CycleRecord, ErrorKind, MailboxFilter, Page};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::store::case::{Case, MINUTE, NOW, address, mailbox, party, profile_id, refused};

async fn stored(case: &Case, id: MailboxId) -> CheckResult<Mailbox> {
    case.store()
        .mailbox(id)
        .await?
        .ok_or_else(|| Stop::failed("the mailbox is not there"))
}

pub(in crate::store) async fn a_mailbox_is_kept(case: &mut Case) -> CheckResult {
    let mut user = mailbox(1)?;
    user.filter = TrackingFilter::FromEmailEnabledRecords;
    user.incoming.next_due = Some(NOW);
    user.incoming.idle_cycles = 3;
    user.outgoing.health = Health::Retrying {
        code: Code::ServerBusy,
        failures: 2,
        since: NOW,
    };
    case.store().create_mailbox(&user).await?;
    case.reopen().await?;
    ensure_eq!(stored(case, user.id).await?, user, "the mailbox");
    let found = case
        .store()
        .mailbox_by_address(&address("USER1@contoso.EXAMPLE")?)
        .await?;
    ensure_eq!(
        found,
        Some(user.clone()),
        "the mailbox of the address in another case"
    );
    let of_party = case.store().mailboxes_of(&[party(7), party(1)]).await?;
    ensure_eq!(
        of_party.len(),
        1,
        "mailboxes of two users of whom one has one"
    );
    for found in of_party {
        ensure_eq!(found.mailbox, user.id, "the user's mailbox");
        ensure_eq!(found.filter, user.filter, "its filter");
        ensure_eq!(found.address, user.address, "its address");
    }
    Ok(())
}

pub(in crate::store) async fn addresses_and_parties_are_unique(case: &mut Case) -> CheckResult {
    let user = case.mailbox(1).await?;
    let mut other = mailbox(2)?;
    other.address = Some(address("User1@Contoso.example")?);
    refused(
        case.store().create_mailbox(&other).await,
        ErrorKind::AlreadyExists,
        "a second mailbox of an address",
    )?;
    other.address = None;
    other.owner = user.owner;
    refused(
        case.store().create_mailbox(&other).await,
        ErrorKind::AlreadyExists,
        "a second mailbox of a user",
    )?;
    // Neither an address nor a party is needed, any number of times.
    for n in [3, 4] {
        let mut forward = mailbox(n)?;
        forward.owner = MailboxOwner::Forward;
        forward.address = None;
        case.store().create_mailbox(&forward).await?;
    }
    let mut third = mailbox(5)?;
    case.store().create_mailbox(&third).await?;
    third.address = user.address;
    refused(
        case.store().update_mailbox(&third).await,
        ErrorKind::AlreadyExists,
        "taking another's address",
    )?;
    ensure_eq!(
        stored(case, third.id).await?.revision,
        0,
        "the revision after a refusal"
    );
    Ok(())
}

pub(in crate::store) async fn an_old_revision_is_refused(case: &mut Case) -> CheckResult {
    let mut user = case.mailbox(1).await?;
    user.name = "First".to_owned();
    let first = case.store().update_mailbox(&user).await?;
    ensure_eq!(first.revision, user.revision + 1, "the revision counts up");
    ensure_eq!(
        stored(case, user.id).await?,
        first,
        "what is answered is what is stored"
    );
    user.name = "Second".to_owned();
    refused(
        case.store().update_mailbox(&user).await,
        ErrorKind::Conflict,
        "a write with an old revision",
    )?;
    ensure_eq!(stored(case, user.id).await?.name, "First", "the name");
    let mut nobody = mailbox(9)?;
    nobody.revision = 0;
    refused(
        case.store().update_mailbox(&nobody).await,
        ErrorKind::NotFound,
        "changing a mailbox that is not there",
    )
}

pub(in crate::store) async fn administrators_do_not_touch_what_cycles_leave(
    case: &mut Case,
) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    let mut cycle = CycleRecord::succeeded(NOW, NOW.plus(MINUTE), NOW.plus(5 * MINUTE), 4);
    cycle.health = Health::Retrying {
        code: Code::ServerBusy,
        failures: 1,
        since: NOW,
    };
    case.store().record_cycle(&lease, &cycle).await?;
    // The administrator's copy is older than the cycle.
    let mut edited = user.clone();
    edited.name = "Edited".to_owned();
    edited.incoming.next_due = None;
    let answer = case.store().update_mailbox(&edited).await?;
    let seen = stored(case, user.id).await?;
    ensure_eq!(answer, seen, "what is answered is what is stored");
    ensure_eq!(seen.name, "Edited", "what the administrator set");
    ensure_eq!(seen.incoming.health, cycle.health, "the health");
    ensure_eq!(seen.incoming.next_due, cycle.next_due, "the due time");
    ensure_eq!(seen.incoming.idle_cycles, 4, "the idle cycles");
    ensure_eq!(
        seen.incoming.last_succeeded,
        cycle.succeeded,
        "the last success"
    );
    Ok(())
}

pub(in crate::store) async fn a_cycle_that_disables_shows_to_administrators(
    case: &mut Case,
) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    let disabled = Health::Disabled {
        code: Code::AccessDenied,
        since: NOW,
    };
    let mut cycle = CycleRecord::succeeded(NOW, NOW, NOW.plus(MINUTE), 0);
    cycle.health = disabled.clone();
    cycle.succeeded = None;
    cycle.enabled = false;
    case.store().record_cycle(&lease, &cycle).await?;
    let seen = stored(case, user.id).await?;
    ensure!(!seen.incoming.enabled, "the workload is still enabled");
    ensure_eq!(seen.incoming.health, disabled, "the health");
    ensure!(
        seen.outgoing.enabled,
        "another workload was disabled as well"
    );
    refused(
        case.store().update_mailbox(&user).await,
        ErrorKind::Conflict,
        "a copy from before it was disabled",
    )?;
    cycle.enabled = true;
    case.store().record_cycle(&lease, &cycle).await?;
    ensure!(
        !stored(case, user.id).await?.incoming.enabled,
        "a cycle put the workload back"
    );
    let mut mended = seen;
    mended.incoming.enabled = true;
    let mended = case.store().update_mailbox(&mended).await?;
    ensure_eq!(
        mended.incoming.health,
        Health::Healthy,
        "the health of a new start"
    );
    Ok(())
}

pub(in crate::store) async fn listings_are_filtered_and_paged(case: &mut Case) -> CheckResult {
    for n in 1..=5 {
        let mut one = mailbox(n)?;
        one.active = n != 2;
        one.profile = (n > 3).then(|| profile_id(1));
        case.store().create_mailbox(&one).await?;
    }
    let names = |found: Vec<Mailbox>| found.into_iter().map(|one| one.name).collect::<Vec<_>>();
    let mut filter = MailboxFilter::default();
    let first = Page::first(2);
    let seen = names(case.store().mailboxes(&filter, first).await?);
    ensure_eq!(seen, ["Mailbox 1", "Mailbox 2"], "the first page");
    let seen = names(case.store().mailboxes(&filter, first.next()).await?);
    ensure_eq!(seen, ["Mailbox 3", "Mailbox 4"], "the second page");
    filter.active = Some(false);
    let seen = names(case.store().mailboxes(&filter, Page::first(9)).await?);
    ensure_eq!(seen, ["Mailbox 2"], "inactive ones");
    filter.active = None;
    filter.profile = Some(profile_id(1));
    let seen = names(case.store().mailboxes(&filter, Page::first(9)).await?);
    ensure_eq!(seen, ["Mailbox 4", "Mailbox 5"], "those of a profile");
    filter.profile = None;
    filter.text = Some("USER3@".to_owned());
    let seen = names(case.store().mailboxes(&filter, Page::first(9)).await?);
    ensure_eq!(seen, ["Mailbox 3"], "those whose address holds a text");
    Ok(())
}
