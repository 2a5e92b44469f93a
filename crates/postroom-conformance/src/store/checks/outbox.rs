//! The outbox.

use postroom_core::catalogue::Code;
use postroom_core::health::Health;
use postroom_core::outbox::{OutboxEntry, OutboxState, SendPhase, SentReceipt};
use postroom_core::tracking::CorrelationQuery;
use postroom_core::{OutboxId, Workload};
use postroom_store::{CrmCursor, CycleRecord, ErrorKind, OutboxFilter, Page};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::store::case::{
    Case, MINUTE, NOW, bytes, holder, message_id, outgoing, party, record, refused,
};

fn sending() -> OutboxState {
    OutboxState::Sending {
        attempt: 1,
        phase: SendPhase::Submitting { staged: None },
    }
}

fn sent() -> OutboxState {
    OutboxState::Sent {
        receipt: SentReceipt::answered(),
        at: NOW,
    }
}

fn ids(entries: Vec<OutboxEntry>) -> Vec<OutboxId> {
    entries.into_iter().map(|entry| entry.id).collect()
}

fn id(n: u8) -> OutboxId {
    OutboxId::from_random([n; 16])
}

pub(in crate::store) async fn emails_and_cursor_are_taken_over_together(
    case: &mut Case,
) -> CheckResult {
    let user = case.mailbox(1).await?;
    ensure_eq!(
        case.store().outgoing_cursor().await?,
        None,
        "the cursor at the beginning"
    );
    let email = outgoing(&user, 1)?;
    let cursor = CrmCursor::new("7");
    case.store()
        .enqueue_outgoing(std::slice::from_ref(&email), Some(&cursor))
        .await?;
    case.reopen().await?;
    ensure_eq!(
        case.store().outgoing_cursor().await?,
        Some(cursor.clone()),
        "the cursor"
    );
    ensure_eq!(
        case.store().outbox_entry(id(1)).await?,
        Some(email.entry.clone()),
        "the entry"
    );
    ensure!(
        case.store().indexed(record(1)).await?.is_some(),
        "the email is not in the index"
    );
    let mut stranger = outgoing(&user, 2)?;
    stranger.entry.mailbox = postroom_core::MailboxId::from_random([99; 16]);
    let failed = case
        .store()
        .enqueue_outgoing(&[outgoing(&user, 3)?, stranger], Some(&CrmCursor::new("8")))
        .await;
    ensure!(failed.is_err(), "an email of no mailbox was taken over");
    ensure_eq!(
        case.store().outgoing_cursor().await?,
        Some(cursor),
        "the cursor after a refusal"
    );
    ensure_eq!(
        case.store().outbox_entry(id(3)).await?,
        None,
        "an entry after a refusal"
    );
    case.store()
        .enqueue_outgoing(&[outgoing(&user, 3)?], None)
        .await?;
    ensure!(
        case.store().outgoing_cursor().await?.is_some(),
        "the cursor was forgotten"
    );
    Ok(())
}

pub(in crate::store) async fn the_feed_may_repeat(case: &mut Case) -> CheckResult {
    let user = case.mailbox(1).await?;
    let lease = case.lease(&user, Workload::Outgoing).await?;
    let first = outgoing(&user, 1)?;
    case.store()
        .enqueue_outgoing(std::slice::from_ref(&first), None)
        .await?;
    let pending = first.entry.state.clone();
    case.store()
        .advance_outgoing(Some(&lease), id(1), &pending, &sending(), None)
        .await?;
    let mut again = outgoing(&user, 2)?;
    again.entry.record = first.entry.record;
    case.store()
        .enqueue_outgoing(&[again, outgoing(&user, 3)?], None)
        .await?;
    ensure_eq!(
        case.store().outbox_entry(id(2)).await?,
        None,
        "a second entry of a record"
    );
    let entry = case.store().outbox_entry(id(1)).await?;
    ensure_eq!(
        entry.map(|entry| entry.state),
        Some(sending()),
        "the state of the first"
    );
    ensure!(
        case.store().outbox_entry(id(3)).await?.is_some(),
        "the other email is missing"
    );
    // Postroom's own messages have no record, and each is its own.
    for n in [4, 5] {
        let mut own = outgoing(&user, n)?;
        own.entry.record = None;
        own.index = None;
        case.store().enqueue_outgoing(&[own], None).await?;
    }
    let counts = case.store().outbox_counts(Some(user.id)).await?;
    let seen: Vec<_> = counts
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    ensure_eq!(seen, [("pending_send", 3), ("sending", 1)], "the counts");
    Ok(())
}

pub(in crate::store) async fn what_was_taken_over_is_due(case: &mut Case) -> CheckResult {
    let user = case.mailbox(1).await?;
    let later = NOW.plus(60 * MINUTE);
    let due = async |case: &Case| {
        let due = case.store().due(NOW, 10).await?;
        CheckResult::Ok(
            due.into_iter()
                .any(|due| due.workload == Workload::Outgoing),
        )
    };
    case.store()
        .set_due(user.id, Workload::Outgoing, later)
        .await?;
    ensure!(!due(case).await?, "outgoing email is due before its time");
    case.store()
        .enqueue_outgoing(&[outgoing(&user, 1)?], None)
        .await?;
    case.reopen().await?;
    ensure!(due(case).await?, "what was taken over is not due");
    // In trouble, it keeps its time.
    let lease = case.lease(&user, Workload::Outgoing).await?;
    let mut record = CycleRecord::succeeded(NOW, NOW, later, 0);
    record.succeeded = None;
    record.health = Health::Retrying {
        code: Code::ServerBusy,
        failures: 1,
        since: NOW,
    };
    case.store().record_cycle(&lease, &record).await?;
    case.store().release_lease(&lease).await?;
    case.store()
        .enqueue_outgoing(&[outgoing(&user, 2)?], None)
        .await?;
    ensure!(
        !due(case).await?,
        "outgoing email in trouble is due before its time"
    );
    Ok(())
}

pub(in crate::store) async fn what_is_taken_over_beside_a_cycle_is_due_after_it(
    case: &mut Case,
) -> CheckResult {
    let (user, later) = (case.mailbox(1).await?, NOW.plus(60 * MINUTE));
    case.store()
        .set_due(user.id, Workload::Outgoing, NOW)
        .await?;
    let next_due = async |case: &Case| {
        let mailbox = case.store().mailbox(user.id).await?;
        CheckResult::Ok(mailbox.and_then(|mailbox| mailbox.outgoing.next_due))
    };
    let lease = case.lease(&user, Workload::Outgoing).await?;
    // Taken over when the cycle had looked already, in the same moment; to be tried a little later.
    let mut email = outgoing(&user, 1)?;
    email.entry.state = OutboxState::pending(NOW.plus(MINUTE));
    case.store().enqueue_outgoing(&[email], None).await?;
    let record = CycleRecord::succeeded(NOW, NOW, later, 0);
    case.store().finish_cycle(&lease, &record).await?;
    let due = next_due(case).await?;
    ensure_eq!(due, Some(NOW.plus(MINUTE)), "the due time after the cycle");
    // A cycle that sent everything leaves nothing.
    let lease = case.lease(&user, Workload::Outgoing).await?;
    let state = OutboxState::pending(NOW.plus(MINUTE));
    case.store()
        .advance_outgoing(None, id(1), &state, &sent(), None)
        .await?;
    let at = NOW.plus(2 * MINUTE);
    let record = CycleRecord::succeeded(at, at, later, 0);
    case.store().record_cycle(&lease, &record).await?;
    let due = next_due(case).await?;
    ensure_eq!(due, Some(later), "the due time where nothing waits");
    Ok(())
}

pub(in crate::store) async fn due_entries_come_oldest_first(case: &mut Case) -> CheckResult {
    let (user, other) = (case.mailbox(1).await?, case.mailbox(2).await?);
    let mut later = outgoing(&user, 2)?;
    later.entry.state = OutboxState::pending(NOW.plus(MINUTE));
    let emails = [
        outgoing(&user, 3)?,
        later,
        outgoing(&user, 1)?,
        outgoing(&other, 4)?,
    ];
    case.store().enqueue_outgoing(&emails, None).await?;
    let due = ids(case.store().outbox_due(user.id, NOW, 10).await?);
    ensure_eq!(due, [id(3), id(1)], "what is due now");
    let due = ids(case
        .store()
        .outbox_due(user.id, NOW.plus(MINUTE), 2)
        .await?);
    ensure_eq!(due, [id(3), id(2)], "two of what is due later");
    let mut filter = OutboxFilter::default();
    filter.mailbox = Some(user.id);
    let listed = ids(case.store().outbox(&filter, Page::first(2)).await?);
    ensure_eq!(listed, [id(1), id(2)], "a listing, newest first");
    filter = OutboxFilter::default();
    filter.record = Some(record(4));
    let listed = ids(case.store().outbox(&filter, Page::first(2)).await?);
    ensure_eq!(listed, [id(4)], "the entry of a record");
    filter.record = None;
    filter.state = Some("sent");
    ensure!(
        case.store()
            .outbox(&filter, Page::first(2))
            .await?
            .is_empty(),
        "nothing was sent"
    );
    Ok(())
}

pub(in crate::store) async fn a_state_that_has_moved_on_is_a_conflict(
    case: &mut Case,
) -> CheckResult {
    let user = case.mailbox(1).await?;
    let lease = case.lease(&user, Workload::Outgoing).await?;
    let email = outgoing(&user, 1)?;
    let pending = email.entry.state.clone();
    case.store().enqueue_outgoing(&[email], None).await?;
    case.store()
        .advance_outgoing(Some(&lease), id(1), &pending, &sending(), None)
        .await?;
    refused(
        case.store()
            .advance_outgoing(Some(&lease), id(1), &pending, &sending(), None)
            .await,
        ErrorKind::Conflict,
        "a step from a state that is past",
    )?;
    // An administrator needs no lease.
    case.store()
        .advance_outgoing(None, id(1), &sending(), &sent(), None)
        .await?;
    let entry = case.store().outbox_entry(id(1)).await?;
    ensure_eq!(entry.map(|entry| entry.state), Some(sent()), "the state");
    refused(
        case.store()
            .advance_outgoing(None, id(9), &pending, &sending(), None)
            .await,
        ErrorKind::NotFound,
        "a step of no entry",
    )
}

pub(in crate::store) async fn a_lost_lease_does_not_advance(case: &mut Case) -> CheckResult {
    let user = case.mailbox(1).await?;
    let lease = case.lease(&user, Workload::Outgoing).await?;
    let email = outgoing(&user, 1)?;
    let pending = email.entry.state.clone();
    case.store().enqueue_outgoing(&[email], None).await?;
    case.store()
        .acquire_lease(
            user.id,
            Workload::Outgoing,
            holder(2),
            NOW.plus(5 * MINUTE),
            MINUTE,
        )
        .await?;
    refused(
        case.store()
            .advance_outgoing(Some(&lease), id(1), &pending, &sending(), None)
            .await,
        ErrorKind::LeaseLost,
        "a step under a lost lease",
    )?;
    ensure_eq!(
        case.store().outbox_due(user.id, NOW, 9).await?.len(),
        1,
        "waiting entries"
    );
    Ok(())
}

pub(in crate::store) async fn unfinished_attempts_are_found_after_a_restart(
    case: &mut Case,
) -> CheckResult {
    let user = case.mailbox(1).await?;
    let lease = case.lease(&user, Workload::Outgoing).await?;
    for n in [2, 1, 3] {
        let email = outgoing(&user, n)?;
        let pending = email.entry.state.clone();
        case.store().enqueue_outgoing(&[email], None).await?;
        if n != 3 {
            case.store()
                .advance_outgoing(Some(&lease), id(n), &pending, &sending(), None)
                .await?;
        }
    }
    case.reopen().await?;
    let unfinished = case.store().outbox_unfinished(user.id, 9).await?;
    ensure!(
        unfinished.iter().all(|entry| entry.state == sending()),
        "a state was lost"
    );
    ensure_eq!(
        ids(unfinished),
        [id(2), id(1)],
        "unfinished attempts, oldest first"
    );
    Ok(())
}

pub(in crate::store) async fn an_alias_is_found_once_it_was_sent(case: &mut Case) -> CheckResult {
    let user = case.mailbox(1).await?;
    let lease = case.lease(&user, Workload::Outgoing).await?;
    let email = outgoing(&user, 1)?;
    let (pending, ours) = (email.entry.state.clone(), email.entry.message_id.clone());
    case.store().enqueue_outgoing(&[email], None).await?;
    case.store()
        .advance_outgoing(Some(&lease), id(1), &pending, &sending(), None)
        .await?;
    let alias = message_id("server-made@exchange")?;
    case.store()
        .advance_outgoing(Some(&lease), id(1), &sending(), &sent(), Some(&alias))
        .await?;
    for known_as in [ours, alias] {
        let mut query = CorrelationQuery::default();
        query.message_ids = vec![known_as];
        let found = case.store().candidates(&[query]).await?;
        let records: Vec<_> = found
            .iter()
            .flat_map(|found| &found.by_message_id)
            .map(|email| email.record)
            .collect();
        ensure_eq!(records, [record(1)], "the email by each of its Message-IDs");
    }
    Ok(())
}

pub(in crate::store) async fn states_are_told_once(case: &mut Case) -> CheckResult {
    let user = case.mailbox(1).await?;
    let lease = case.lease(&user, Workload::Outgoing).await?;
    let (one, two) = (outgoing(&user, 1)?, outgoing(&user, 2)?);
    let mut own = outgoing(&user, 3)?;
    own.entry.record = None;
    own.index = None;
    let pending = one.entry.state.clone();
    case.store()
        .enqueue_outgoing(&[one, two, own], None)
        .await?;
    ensure!(
        case.store().outbox_unreported(9).await?.is_empty(),
        "waiting entries are told"
    );
    for n in [1, 2, 3] {
        case.store()
            .advance_outgoing(Some(&lease), id(n), &pending, &sending(), None)
            .await?;
    }
    case.reopen().await?;
    ensure_eq!(
        ids(case.store().outbox_unreported(9).await?),
        [id(1), id(2)],
        "what is to be told, without messages that are no record"
    );
    case.store().mark_reported(&[(id(1), sending())]).await?;
    ensure_eq!(
        ids(case.store().outbox_unreported(9).await?),
        [id(2)],
        "what is still to be told"
    );
    let retry = OutboxState::PendingSend {
        attempts: 1,
        not_before: NOW,
        last: Some(Code::ServerBusy),
    };
    case.store()
        .advance_outgoing(Some(&lease), id(2), &sending(), &retry, None)
        .await?;
    ensure!(
        case.store().outbox_unreported(9).await?.is_empty(),
        "waiting again is told"
    );
    Ok(())
}

pub(in crate::store) async fn a_newer_state_stays_untold(case: &mut Case) -> CheckResult {
    let user = case.mailbox(1).await?;
    let lease = case.lease(&user, Workload::Outgoing).await?;
    let email = outgoing(&user, 1)?;
    let pending = email.entry.state.clone();
    case.store().enqueue_outgoing(&[email], None).await?;
    case.store()
        .advance_outgoing(Some(&lease), id(1), &pending, &sending(), None)
        .await?;
    case.store()
        .advance_outgoing(Some(&lease), id(1), &sending(), &sent(), None)
        .await?;
    case.store()
        .mark_reported(&[(id(1), sending()), (id(9), sent())])
        .await?;
    ensure_eq!(
        ids(case.store().outbox_unreported(9).await?),
        [id(1)],
        "the newer state"
    );
    case.store().mark_reported(&[(id(1), sent())]).await?;
    ensure!(
        case.store().outbox_unreported(9).await?.is_empty(),
        "it is told twice"
    );
    Ok(())
}

pub(in crate::store) async fn token_numbers_are_never_repeated(case: &mut Case) -> CheckResult {
    let mut seen = Vec::new();
    for n in [5, 6, 5] {
        let numbers = case.store().next_token_numbers(party(n)).await?;
        seen.push((numbers.user, numbers.counter));
    }
    ensure_eq!(seen, [(1, 1), (2, 1), (1, 2)], "user and message numbers");
    case.reopen().await?;
    let numbers = case.store().next_token_numbers(party(5)).await?;
    ensure_eq!(
        (numbers.user, numbers.counter),
        (1, 3),
        "the numbers after a restart"
    );
    Ok(())
}

pub(in crate::store) async fn the_composed_message_is_kept(case: &mut Case) -> CheckResult {
    let user = case.mailbox(1).await?;
    case.store()
        .enqueue_outgoing(&[outgoing(&user, 1)?], None)
        .await?;
    case.reopen().await?;
    let raw = case.store().outgoing_raw(id(1)).await?;
    ensure_eq!(bytes(&raw)?, b"Subject: 1\r\n\r\n", "the message");
    match case.store().outgoing_raw(id(9)).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => Err(Stop::failed(format!("a message of no entry: {other:?}"))),
    }
}
