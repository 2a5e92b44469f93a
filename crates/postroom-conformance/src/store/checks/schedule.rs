//! Due times and leases.

use postroom_core::ledger::LedgerState;
use postroom_core::outbox::OutboxState;
use postroom_core::schedule::LatestTimes;
use postroom_core::{Secret, Workload};
use postroom_store::{CycleRecord, ErrorKind, LEASE_DURATION, SecretOwner};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::store::case::{Case, MINUTE, NOW, deliver, holder, inbox, outgoing, page, refused};

pub(in crate::store) async fn what_is_due_comes_longest_overdue_first(
    case: &mut Case,
) -> CheckResult {
    let store = case.store();
    let (one, two) = (case.mailbox(1).await?, case.mailbox(2).await?);
    ensure_eq!(
        store.next_due().await?,
        None,
        "the next due time where nothing is scheduled"
    );
    store
        .set_due(one.id, Workload::Incoming, NOW.minus(MINUTE))
        .await?;
    store
        .set_due(two.id, Workload::Incoming, NOW.minus(3 * MINUTE))
        .await?;
    store
        .set_due(two.id, Workload::Outgoing, NOW.plus(MINUTE))
        .await?;
    let due = store.due(NOW, 10).await?;
    let seen: Vec<_> = due.iter().map(|due| (due.mailbox, due.workload)).collect();
    ensure_eq!(
        seen,
        [(two.id, Workload::Incoming), (one.id, Workload::Incoming)],
        "what is due"
    );
    ensure_eq!(
        store.due(NOW, 1).await?.len(),
        1,
        "how many where one is asked for"
    );
    ensure_eq!(
        store.next_due().await?,
        Some(NOW.minus(3 * MINUTE)),
        "the next due time"
    );
    refused(
        store
            .set_due(
                postroom_core::MailboxId::from_random([99; 16]),
                Workload::Incoming,
                NOW,
            )
            .await,
        ErrorKind::NotFound,
        "scheduling a mailbox that is not there",
    )
}

pub(in crate::store) async fn what_is_switched_off_is_not_due(case: &mut Case) -> CheckResult {
    let store = case.store();
    let mut user = case.mailbox(1).await?;
    store.set_due(user.id, Workload::Incoming, NOW).await?;
    user.incoming.enabled = false;
    let mut user = store.update_mailbox(&user).await?;
    ensure!(
        store.due(NOW, 10).await?.is_empty(),
        "a disabled workload is due"
    );
    user.incoming.enabled = true;
    user.active = false;
    let mut user = store.update_mailbox(&user).await?;
    ensure!(
        store.due(NOW, 10).await?.is_empty(),
        "a workload of an inactive mailbox is due"
    );
    ensure_eq!(
        store.next_due().await?,
        None,
        "the next due time of an inactive mailbox"
    );
    user.active = true;
    store.update_mailbox(&user).await?;
    ensure_eq!(
        store.due(NOW, 10).await?.len(),
        1,
        "due workloads after switching it on again"
    );
    Ok(())
}

pub(in crate::store) async fn what_was_written_by_a_clock_that_ran_ahead_is_brought_back(
    case: &mut Case,
) -> CheckResult {
    let store = case.store();
    let settings = &case.organization.settings;
    let latest = LatestTimes::at(NOW, settings, &[], LEASE_DURATION);
    let ahead = NOW.plus(3 * 24 * 60 * MINUTE);
    let (ran, lease) = case.incoming(1).await?;
    let waits = case.mailbox(2).await?;
    let record = CycleRecord::succeeded(ahead, ahead, ahead.plus(5 * MINUTE), 0);
    store.record_cycle(&lease, &record).await?;
    let lease = store.renew_lease(&lease, ahead, MINUTE).await?;
    let mut listing = page(ran.id, &[61], "after");
    for entry in &mut listing.listed {
        entry.state = LedgerState::listed(ahead);
    }
    store.record_page(&lease, &listing, ahead).await?;
    store.set_due(waits.id, Workload::Outgoing, ahead).await?;
    store
        .set_due(waits.id, Workload::Incoming, NOW.plus(10 * MINUTE))
        .await?;
    let mut email = outgoing(&waits, 62)?;
    email.entry.state = OutboxState::pending(ahead);
    store.enqueue_outgoing(&[email], None).await?;
    store.set_due(waits.id, Workload::Outgoing, ahead).await?;
    ensure_eq!(
        store.correct_times(&latest).await?,
        4,
        "how many rows are brought back"
    );
    let due = store
        .mailbox(ran.id)
        .await?
        .map(|mailbox| (mailbox.incoming.next_due, mailbox.incoming.last_started));
    ensure_eq!(
        due,
        Some((Some(NOW.plus(5 * MINUTE)), Some(NOW))),
        "a wait that was meant, from now on"
    );
    let due = store
        .mailbox(waits.id)
        .await?
        .map(|mailbox| (mailbox.outgoing.next_due, mailbox.incoming.next_due));
    ensure_eq!(
        due,
        Some((Some(NOW), Some(NOW.plus(10 * MINUTE)))),
        "a time that nothing can have meant, and one that can be"
    );
    ensure_eq!(
        store.pending(ran.id, NOW, 10).await?.len(),
        1,
        "messages to be worked on now"
    );
    let waiting = store.outbox_due(waits.id, NOW, 10).await?;
    ensure_eq!(
        waiting.iter().map(|entry| &entry.state).collect::<Vec<_>>(),
        [&OutboxState::pending(NOW)],
        "emails to be sent now"
    );
    ensure_eq!(
        store.correct_times(&latest).await?,
        0,
        "how many rows are brought back a second time"
    );
    let next = NOW.plus(LEASE_DURATION);
    let other = store
        .acquire_lease(ran.id, Workload::Incoming, holder(2), next, MINUTE)
        .await?;
    ensure!(
        other.is_some(),
        "the lease lasts until the clock has caught up"
    );
    Ok(())
}

pub(in crate::store) async fn a_lease_keeps_others_away(case: &mut Case) -> CheckResult {
    let store = case.store();
    let (user, lease) = case.incoming(1).await?;
    store
        .set_due(user.id, Workload::Incoming, NOW.minus(MINUTE))
        .await?;
    let second = store
        .acquire_lease(
            user.id,
            Workload::Incoming,
            holder(2),
            NOW.plus(MINUTE),
            MINUTE,
        )
        .await?;
    ensure_eq!(second, None, "a second lease while the first lasts");
    ensure!(
        store.due(NOW, 10).await?.is_empty(),
        "a leased workload is due"
    );
    // Another workload of the same mailbox is free.
    case.lease(&user, Workload::Outgoing).await?;
    let renewed = store
        .renew_lease(&lease, NOW.plus(MINUTE), 2 * MINUTE)
        .await?;
    ensure_eq!(
        renewed.expires_at,
        NOW.plus(3 * MINUTE),
        "the end of a renewed lease"
    );
    ensure_eq!(renewed.fence, lease.fence, "the fence of a renewed lease");
    ensure_eq!(
        store.due(NOW.plus(4 * MINUTE), 10).await?.len(),
        1,
        "due workloads once the lease is over"
    );
    refused(
        store
            .acquire_lease(
                postroom_core::MailboxId::from_random([99; 16]),
                Workload::Incoming,
                holder(1),
                NOW,
                MINUTE,
            )
            .await,
        ErrorKind::NotFound,
        "a lease of a mailbox that is not there",
    )
}

pub(in crate::store) async fn fences_rise_with_every_holder(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    let mut last = lease;
    for n in 2..5 {
        case.store().release_lease(&last).await?;
        let next = case
            .store()
            .acquire_lease(user.id, Workload::Incoming, holder(n), NOW, MINUTE)
            .await?
            .ok_or_else(|| Stop::failed("a released lease was not given"))?;
        ensure!(next.fence > last.fence, "the fence did not rise");
        last = next;
    }
    Ok(())
}

pub(in crate::store) async fn a_cycle_begins_with_its_lease_and_ends_without(
    case: &mut Case,
) -> CheckResult {
    let store = case.store();
    let user = case.mailbox(1).await?;
    let begin = |n| store.begin_cycle(user.id, Workload::Incoming, holder(n), NOW, MINUTE);
    let not_given = || Stop::failed("a free lease was not given");
    let first = begin(1).await?.ok_or_else(not_given)?;
    ensure_eq!(
        Some(first.mailbox),
        store.mailbox(user.id).await?,
        "the mailbox of a cycle"
    );
    ensure_eq!(
        *first.organization,
        store.organization().await?,
        "the organization of a cycle"
    );
    ensure!(
        begin(2).await?.is_none(),
        "a second cycle began while the first lasts"
    );
    case.list(&first.lease, &[1]).await?;
    let mut changed = user.clone();
    changed.name = "Changed meanwhile".to_owned();
    store.update_mailbox(&changed).await?;
    let record = CycleRecord::succeeded(NOW, NOW, NOW.plus(MINUTE), 3);
    store.finish_cycle(&first.lease, &record).await?;
    let second = begin(2).await?.ok_or_else(not_given)?;
    ensure!(
        second.lease.fence > first.lease.fence,
        "the fence did not rise"
    );
    ensure_eq!(
        second.mailbox.name,
        changed.name,
        "the mailbox of the next cycle"
    );
    ensure_eq!(
        second.mailbox.incoming.idle_cycles,
        3,
        "what the cycle before left"
    );
    ensure!(second.pending, "a pending row was passed over");
    // Whoever sees the same number again does not read secrets again.
    let secret = SecretOwner::Mailbox(user.id);
    store.put_secret(secret, &Secret::new("one")).await?;
    store.finish_cycle(&second.lease, &record).await?;
    let third = begin(3).await?.ok_or_else(not_given)?;
    store.put_secret(secret, &Secret::new("two")).await?;
    store.finish_cycle(&third.lease, &record).await?;
    let second = begin(2).await?.ok_or_else(not_given)?;
    ensure!(
        third.secrets.is_none() || third.secrets != second.secrets,
        "a changed secret goes unnoticed"
    );
    store.enqueue_outgoing(&[outgoing(&user, 1)?], None).await?;
    let sends = store
        .begin_cycle(user.id, Workload::Outgoing, holder(1), NOW, MINUTE)
        .await?
        .ok_or_else(not_given)?;
    ensure!(sends.pending, "an email that waits was passed over");
    if let Some((_, state)) = second.folders.iter().find(|(folder, _)| *folder == inbox()) {
        ensure_eq!(
            *state,
            store.folder_state(user.id, &inbox()).await?,
            "where the reading of the folder stands"
        );
    }
    refused(
        store.finish_cycle(&first.lease, &record).await,
        ErrorKind::LeaseLost,
        "ending a cycle once more",
    )
}

pub(in crate::store) async fn cycles_that_begin_and_end_together_do_so_each_for_itself(
    case: &mut Case,
) -> CheckResult {
    let store = case.store();
    let one = case.mailbox(1).await?;
    let held = case.mailbox(2).await?;
    let other = case.mailbox(3).await?;
    let incoming = Workload::Incoming;
    case.lease(&held, incoming).await?;
    let nobody = postroom_core::MailboxId::from_random([99; 16]);
    let wanted = [one.id, held.id, nobody, other.id].map(|id| (id, incoming));
    let begun = store.begin_cycles(&wanted, holder(2), NOW, MINUTE).await?;
    ensure_eq!(
        begun.len(),
        wanted.len(),
        "answers for cycles that begin together"
    );
    let mut begun = begun.into_iter();
    let mut next = || {
        begun
            .next()
            .ok_or_else(|| Stop::failed("an answer is missing"))
    };
    let mut given = Vec::new();
    for (at, mailbox) in [(0, Some(&one)), (1, None), (2, None), (3, Some(&other))] {
        match (next()?, mailbox) {
            (Ok(Some(start)), Some(mailbox)) => {
                ensure_eq!(
                    Some(&start.mailbox),
                    store.mailbox(mailbox.id).await?.as_ref(),
                    "the mailbox of a cycle"
                );
                given.push(start.lease);
            }
            (Ok(None), None) if at == 1 => {}
            (Err(error), None) if at == 2 => {
                ensure_eq!(
                    error.kind(),
                    ErrorKind::NotFound,
                    "a mailbox that is not there"
                );
            }
            (answer, _) => {
                return Err(Stop::failed(format!("answer {at} is {answer:?}")));
            }
        }
    }
    let record = CycleRecord::succeeded(NOW, NOW, NOW.plus(MINUTE), 3);
    let mut ended: Vec<_> = given
        .into_iter()
        .map(|lease| (lease, record.clone()))
        .collect();
    let lost = ended
        .first()
        .cloned()
        .ok_or_else(|| Stop::failed("no lease"))?;
    store.release_lease(&lost.0).await?;
    let finished = store.finish_cycles(&ended).await?;
    let kinds: Vec<_> = finished
        .iter()
        .map(|finished| {
            finished
                .as_ref()
                .err()
                .map(postroom_store::StoreError::kind)
        })
        .collect();
    ensure_eq!(
        kinds,
        [Some(ErrorKind::LeaseLost), None],
        "cycles that end together, one without its lease"
    );
    let after = store
        .mailbox(other.id)
        .await?
        .map(|mailbox| (mailbox.incoming.idle_cycles, mailbox.incoming.next_due));
    ensure_eq!(
        after,
        Some((3, Some(NOW.plus(MINUTE)))),
        "what a cycle leaves"
    );
    let free = store
        .acquire_lease(other.id, incoming, holder(1), NOW, MINUTE)
        .await?;
    ensure!(free.is_some(), "the lease of a cycle that ended is held");
    // Asked again, because the answer was lost: nothing is stored twice.
    ended.remove(0);
    let finished = store.finish_cycles(&ended).await?;
    ensure!(
        finished.iter().all(Result::is_err),
        "a cycle ended a second time"
    );
    Ok(())
}

pub(in crate::store) async fn a_lost_lease_writes_nothing(case: &mut Case) -> CheckResult {
    let store = case.store();
    let (user, old) = case.incoming(1).await?;
    case.list(&old, &[1]).await?;
    let late = NOW.plus(3 * MINUTE);
    let new = store
        .acquire_lease(user.id, Workload::Incoming, holder(2), late, MINUTE)
        .await?
        .ok_or_else(|| Stop::failed("a lease whose time was up was not given"))?;
    let lost = ErrorKind::LeaseLost;
    refused(
        store.renew_lease(&old, late, MINUTE).await,
        lost,
        "renewing",
    )?;
    refused(
        store.settle(&old, &[deliver(user.id, 1)]).await,
        lost,
        "settling",
    )?;
    refused(
        store
            .record_page(&old, &page(user.id, &[2], "later"), late)
            .await,
        lost,
        "recording a page",
    )?;
    refused(
        store.begin_relisting(&old, &inbox()).await,
        lost,
        "a relisting",
    )?;
    let cycle = CycleRecord::succeeded(NOW, late, late, 0);
    refused(
        store.record_cycle(&old, &cycle).await,
        lost,
        "recording a cycle",
    )?;
    store.release_lease(&old).await?;
    store.renew_lease(&new, late, MINUTE).await?;
    let pending = store.pending(user.id, late, 10).await?;
    ensure_eq!(
        pending.len(),
        1,
        "pending rows after everything was refused"
    );
    let state = store.folder_state(user.id, &inbox()).await?;
    ensure_eq!(
        state.cursor.as_ref().map(|cursor| cursor.as_str()),
        Some("after"),
        "the cursor after everything was refused"
    );
    Ok(())
}

pub(in crate::store) async fn a_late_holder_that_nobody_replaced_still_writes(
    case: &mut Case,
) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    let late = NOW.plus(60 * MINUTE);
    case.store()
        .record_page(&lease, &page(user.id, &[1], "after"), late)
        .await?;
    case.store().renew_lease(&lease, late, MINUTE).await?;
    Ok(())
}

pub(in crate::store) async fn a_released_lease_is_gone(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    case.store().release_lease(&lease).await?;
    refused(
        case.store()
            .record_page(&lease, &page(user.id, &[1], "after"), NOW)
            .await,
        ErrorKind::LeaseLost,
        "a write with a released lease",
    )?;
    case.store().release_lease(&lease).await?;
    Ok(())
}

pub(in crate::store) async fn leases_survive_reopening(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    case.reopen().await?;
    let second = case
        .store()
        .acquire_lease(user.id, Workload::Incoming, holder(2), NOW, MINUTE)
        .await?;
    ensure_eq!(second, None, "a lease that another process holds");
    case.list(&lease, &[1]).await
}

pub(in crate::store) async fn a_claim_ends_the_leases_of_the_engine_before(
    case: &mut Case,
) -> CheckResult {
    let (user, dead) = case.incoming(1).await?;
    case.reopen().await?;
    let claim = case.store().claim_engine().await?;
    let next = case
        .store()
        .acquire_lease(user.id, Workload::Incoming, holder(2), NOW, MINUTE)
        .await?
        .ok_or_else(|| Stop::failed("the lease of an engine that is gone still lasts"))?;
    ensure!(next.fence > dead.fence, "the fence did not rise");
    refused(
        case.store().renew_lease(&dead, NOW, MINUTE).await,
        ErrorKind::LeaseLost,
        "renewing the lease of the engine before",
    )?;
    // A claim that is refused ends nothing.
    refused(
        case.store().claim_engine().await,
        ErrorKind::Locked,
        "a second claim",
    )?;
    case.store().renew_lease(&next, NOW, MINUTE).await?;
    drop(claim);
    Ok(())
}
