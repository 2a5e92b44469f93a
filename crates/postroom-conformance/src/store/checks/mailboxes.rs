//! Mailboxes.

use postroom_core::alert::Subject;
use postroom_core::approval::ApprovalState;
use postroom_core::audit::AuditEntry;
use postroom_core::catalogue::Code;
use postroom_core::health::Health;
use postroom_core::ledger::{FilterReason, LedgerEvent};
use postroom_core::mailbox::{MailboxOwner, MailboxStatus, OwnerKind};
use postroom_core::tracking::TrackingFilter;
use postroom_core::{Mailbox, MailboxId, Workload};
use postroom_store::{
    CycleRecord, ErrorKind, LookAgain, MailboxChange, MailboxFilter, Page, Settlement,
};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::store::case::{
    Case, MINUTE, NOW, address, ledger_id, mailbox, party, profile_id, refused,
};

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

/// The filter that fits, whatever else there is.
fn filter(set: impl FnOnce(&mut MailboxFilter)) -> MailboxFilter {
    let mut filter = MailboxFilter::default();
    set(&mut filter);
    filter
}

pub(in crate::store) async fn every_filter_selects(case: &mut Case) -> CheckResult {
    let mut approved = mailbox(1)?;
    approved.approval = ApprovalState::Approved;
    let mut queue = mailbox(2)?;
    queue.owner = MailboxOwner::Queue(party(2));
    queue.approval = ApprovalState::Rejected;
    let mut retrying = mailbox(3)?;
    retrying.outgoing.health = Health::Retrying {
        code: Code::ServerBusy,
        failures: 2,
        since: NOW,
    };
    let mut failing = mailbox(4)?;
    failing.owner = MailboxOwner::Forward;
    failing.incoming.health = Health::Failing {
        code: Code::ServerBusy,
        failures: 20,
        since: NOW,
    };
    let mut disabled = mailbox(5)?;
    disabled.incoming.health = Health::Disabled {
        code: Code::AccessDenied,
        since: NOW,
    };
    let mut off = mailbox(6)?;
    for workload in Workload::ALL {
        off.workload_mut(workload).enabled = false;
    }
    let all = [approved, queue, retrying, failing, disabled, off];
    for one in &all {
        case.store().create_mailbox(one).await?;
    }
    let filters = [
        filter(|f| f.approval = Some(ApprovalState::Approved)),
        filter(|f| f.approval = Some(ApprovalState::Rejected)),
        filter(|f| f.kind = Some(OwnerKind::User)),
        filter(|f| f.kind = Some(OwnerKind::Queue)),
        filter(|f| f.kind = Some(OwnerKind::Forward)),
        filter(|f| f.status = Some(MailboxStatus::Enabled)),
        filter(|f| f.status = Some(MailboxStatus::NotEnabled)),
        filter(|f| f.status = Some(MailboxStatus::Failing)),
        filter(|f| f.status = Some(MailboxStatus::Disabled)),
        filter(|f| {
            f.status = Some(MailboxStatus::Failing);
            f.kind = Some(OwnerKind::User);
        }),
        filter(|f| {
            f.status = Some(MailboxStatus::Disabled);
            f.text = Some("user4@".to_owned());
        }),
    ];
    for filter in filters {
        let seen = case.store().mailboxes(&filter, Page::first(9)).await?;
        let expected: Vec<_> = all.iter().filter(|one| filter.fits(one)).cloned().collect();
        ensure_eq!(seen, expected, "what fits the filter");
        for n in 0..2 {
            let mut page = Page::first(1);
            page.offset = n;
            let ids = case.store().mailbox_ids(&filter, page).await?;
            let wanted = expected.get(usize::try_from(n).unwrap_or(usize::MAX));
            let wanted: Vec<_> = wanted.map(|one| one.id).into_iter().collect();
            ensure_eq!(ids, wanted, "the ids, page by page");
        }
    }
    // A cycle changes how a mailbox fares.
    let lease = case.lease(&mailbox(3)?, Workload::Outgoing).await?;
    let well = CycleRecord::succeeded(NOW, NOW, NOW.plus(MINUTE), 0);
    case.store().record_cycle(&lease, &well).await?;
    let failing = filter(|f| f.status = Some(MailboxStatus::Failing));
    let ids = case.store().mailbox_ids(&failing, Page::first(9)).await?;
    ensure_eq!(ids, [mailbox(4)?.id], "those that still fail");
    Ok(())
}

pub(in crate::store) async fn several_are_read_in_the_order_asked_for(
    case: &mut Case,
) -> CheckResult {
    for n in [1, 2, 3] {
        case.mailbox(n).await?;
    }
    let ids = [mailbox(3)?.id, mailbox(9)?.id, mailbox(1)?.id];
    let found = case.store().mailboxes_by_id(&ids).await?;
    ensure_eq!(found, [mailbox(3)?, mailbox(1)?], "those that there are");
    ensure_eq!(
        case.store().mailboxes_by_id(&[]).await?,
        [],
        "none where none is asked for"
    );
    Ok(())
}

fn entry(mailbox: &Mailbox, note: &str) -> AuditEntry {
    let subject = Subject::Mailbox(mailbox.id);
    AuditEntry::allowed(NOW, "admin", "mailbox.edit", subject, note)
}

/// What the audit trail says, oldest first.
async fn notes(case: &Case) -> CheckResult<Vec<String>> {
    let trail = case.store().audit_trail(Page::first(99)).await?;
    Ok(trail.into_iter().rev().map(|entry| entry.note).collect())
}

pub(in crate::store) async fn several_are_added_each_for_itself(case: &mut Case) -> CheckResult {
    case.mailbox(1).await?;
    let mut taken = mailbox(2)?;
    taken.address = Some(address("user1@contoso.example")?);
    let (fresh, mut twice) = (mailbox(3)?, mailbox(4)?);
    twice.owner = fresh.owner;
    let new: Vec<_> = [&taken, &fresh, &twice, &mailbox(5)?]
        .into_iter()
        .map(|one| MailboxChange::new(one.clone(), Some(entry(one, &one.name))))
        .collect();
    let mut outcomes = case.store().create_mailboxes(&new).await?.into_iter();
    for (what, expected) in [
        ("a taken address", Some(ErrorKind::AlreadyExists)),
        ("a free one", None),
        ("a user who has one by now", Some(ErrorKind::AlreadyExists)),
        ("another free one", None),
    ] {
        let outcome = outcomes.next().ok_or_else(|| Stop::failed("no answer"))?;
        let kind = outcome.err().map(|error| error.kind());
        ensure_eq!(kind, expected, "{what}");
    }
    case.reopen().await?;
    ensure_eq!(stored(case, fresh.id).await?, fresh, "what was added");
    ensure_eq!(notes(case).await?, ["Mailbox 3", "Mailbox 5"], "the trail");
    let all = case
        .store()
        .mailboxes(&MailboxFilter::default(), Page::first(9))
        .await?;
    ensure_eq!(all.len(), 3, "mailboxes in all");
    Ok(())
}

pub(in crate::store) async fn several_are_changed_each_for_itself(case: &mut Case) -> CheckResult {
    let mut changes = Vec::new();
    for n in [1, 2, 3] {
        let mut one = case.mailbox(n).await?;
        one.name = format!("Changed {n}");
        changes.push(MailboxChange::new(
            one.clone(),
            Some(entry(&one, &one.name)),
        ));
    }
    // The second was changed meanwhile, and the last is not there.
    let mut meanwhile = mailbox(2)?;
    meanwhile.name = "Meanwhile".to_owned();
    case.store().update_mailbox(&meanwhile).await?;
    let nobody = mailbox(9)?;
    changes.push(MailboxChange::new(
        nobody.clone(),
        Some(entry(&nobody, "x")),
    ));
    let outcomes = case.store().update_mailboxes(&changes).await?;
    let kinds: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.as_ref().err().map(postroom_store::StoreError::kind))
        .collect();
    let (conflict, missing) = (Some(ErrorKind::Conflict), Some(ErrorKind::NotFound));
    ensure_eq!(kinds, [None, conflict, None, missing], "the outcomes");
    case.reopen().await?;
    for (change, outcome) in changes.iter().zip(outcomes) {
        if let Ok(after) = outcome {
            ensure_eq!(after.name, change.mailbox.name, "the name");
            ensure_eq!(stored(case, after.id).await?, after, "what is stored");
        }
    }
    ensure_eq!(
        stored(case, meanwhile.id).await?.name,
        "Meanwhile",
        "the second"
    );
    ensure_eq!(notes(case).await?, ["Changed 1", "Changed 3"], "the trail");
    Ok(())
}

pub(in crate::store) async fn what_goes_with_a_change_goes_with_it(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    case.list(&lease, &[1]).await?;
    let reason = FilterReason::BeforeStart;
    let filtered = LedgerEvent::Filter { reason };
    let settled = [Settlement::new(ledger_id(user.id, 1), filtered)];
    case.store().settle(&lease, &settled).await?;
    let mut quiet = case.mailbox(2).await?;
    quiet.outgoing.enabled = false;
    let again = LookAgain::new(reason, NOW.minus(MINUTE), NOW.plus(MINUTE));
    let change = |mailbox: &Mailbox, look_again, due| {
        let mut change = MailboxChange::new(mailbox.clone(), None);
        (change.look_again, change.due) = (look_again, due);
        change
    };
    // Refused: then nothing else happens either.
    let mut old = user.clone();
    old.revision = 7;
    let refused = [change(&old, Some(again), Some(NOW))];
    let outcomes = case.store().update_mailboxes(&refused).await?;
    ensure!(outcomes.iter().all(Result::is_err), "it was not refused");
    let seen = stored(case, user.id).await?;
    ensure_eq!(seen.incoming.next_due, None, "due after a refusal");
    let pending = case.store().pending(user.id, again.now, 9).await?;
    ensure_eq!(pending.len(), 0, "pending after a refusal");

    let done = [
        change(&user, Some(again), None),
        change(&quiet, Some(again), Some(NOW)),
    ];
    for outcome in case.store().update_mailboxes(&done).await? {
        outcome?;
    }
    let pending = case.store().pending(user.id, again.now, 9).await?;
    ensure_eq!(pending.len(), 1, "what is looked at again");
    let seen = stored(case, user.id).await?;
    let due = Workload::ALL.map(|workload| seen.workload(workload).next_due);
    ensure_eq!(
        due,
        [Some(again.now), None, None],
        "due for what is pending"
    );
    let seen = stored(case, quiet.id).await?;
    let due = Workload::ALL.map(|workload| seen.workload(workload).next_due);
    ensure_eq!(due, [Some(NOW), None, Some(NOW)], "due where it is enabled");
    Ok(())
}
