//! Pages, cursors, relisting, settling.

use postroom_core::catalogue::Code;
use postroom_core::ledger::{
    FilterReason, FolderId, GoneEvidence, LedgerEvent, LedgerState, RemoteId, SyncCursor,
};
use postroom_core::{Mailbox, MailboxId, RawMessage};
use postroom_store::{ErrorKind, LedgerFilter, Page, Settlement};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::store::case::{
    Case, MINUTE, NOW, bytes, deliver, inbox, ledger_id, page, record, refused, remote,
};

async fn state(case: &Case, mailbox: &Mailbox, n: u8) -> CheckResult<LedgerState> {
    case.store()
        .ledger_entry(ledger_id(mailbox.id, n))
        .await?
        .map(|entry| entry.state)
        .ok_or_else(|| Stop::failed(format!("message {n} has no row")))
}

async fn pending(case: &Case, mailbox: &Mailbox) -> CheckResult<Vec<RemoteId>> {
    let rows = case.store().pending(mailbox.id, NOW, 100).await?;
    Ok(rows.into_iter().map(|row| row.remote_id).collect())
}

fn filtered(mailbox: MailboxId, n: u8) -> Settlement {
    let reason = FilterReason::NoFilterAccepts;
    Settlement::new(ledger_id(mailbox, n), LedgerEvent::Filter { reason })
}

pub(in crate::store) async fn rows_and_cursor_are_stored_together(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    let fresh = case.store().folder_state(user.id, &inbox()).await?;
    ensure_eq!(
        (fresh.cursor, fresh.relisting),
        (None, false),
        "a folder that was never read"
    );
    let outcome = case
        .store()
        .record_page(&lease, &page(user.id, &[1, 2], "c1"), NOW)
        .await?;
    ensure_eq!((outcome.new, outcome.gone), (2, 0), "what the page changed");
    case.reopen().await?;
    let state = case.store().folder_state(user.id, &inbox()).await?;
    ensure_eq!(state.cursor, Some(SyncCursor::new("c1")), "the cursor");
    ensure_eq!(
        pending(case, &user).await?,
        [remote(1), remote(2)],
        "the rows, in order"
    );
    let other = case
        .store()
        .folder_state(user.id, &FolderId::new("Inbox"))
        .await?;
    ensure_eq!(
        other.cursor,
        None,
        "the cursor of a folder whose id differs in case"
    );
    Ok(())
}

pub(in crate::store) async fn a_listed_message_stays_what_it_is(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    case.list(&lease, &[1, 2]).await?;
    case.store().settle(&lease, &[deliver(user.id, 1)]).await?;
    let mut again = page(user.id, &[1, 2, 3], "c2");
    for (n, entry) in (100..).zip(&mut again.listed) {
        // Another listing brings other ids.
        entry.id = ledger_id(user.id, n);
    }
    if let Some(last) = again.listed.last_mut() {
        last.id = ledger_id(user.id, 3);
    }
    let outcome = case.store().record_page(&lease, &again, NOW).await?;
    ensure_eq!(outcome.new, 1, "new rows");
    ensure!(
        matches!(state(case, &user, 1).await?, LedgerState::Delivered { .. }),
        "a delivered message was taken up again"
    );
    ensure_eq!(
        pending(case, &user).await?,
        [remote(2), remote(3)],
        "pending rows"
    );
    Ok(())
}

pub(in crate::store) async fn what_left_is_gone_if_it_was_pending(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    case.list(&lease, &[1, 2]).await?;
    case.store().settle(&lease, &[deliver(user.id, 1)]).await?;
    let mut left = page(user.id, &[], "c2");
    left.removed = vec![remote(1), remote(2), remote(3)];
    let outcome = case.store().record_page(&lease, &left, NOW).await?;
    ensure_eq!(outcome.gone, 1, "rows that became gone");
    ensure_eq!(
        state(case, &user, 2).await?,
        LedgerState::Gone {
            evidence: GoneEvidence::ListedAsDeleted
        },
        "the pending message that left"
    );
    ensure!(
        matches!(state(case, &user, 1).await?, LedgerState::Delivered { .. }),
        "a delivered message changed because it left the folder"
    );
    Ok(())
}

pub(in crate::store) async fn what_comes_back_is_pending_again(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    case.list(&lease, &[1]).await?;
    let mut left = page(user.id, &[], "c2");
    left.removed = vec![remote(1)];
    case.store().record_page(&lease, &left, NOW).await?;
    let outcome = case
        .store()
        .record_page(&lease, &page(user.id, &[1], "c3"), NOW)
        .await?;
    ensure_eq!(outcome.new, 1, "rows that are to be worked on");
    ensure_eq!(pending(case, &user).await?, [remote(1)], "pending rows");
    Ok(())
}

pub(in crate::store) async fn a_relisting_finds_what_is_missing(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    case.list(&lease, &[1, 2, 3, 4]).await?;
    case.store().settle(&lease, &[deliver(user.id, 4)]).await?;
    case.store().begin_relisting(&lease, &inbox()).await?;
    let begun = case.store().folder_state(user.id, &inbox()).await?;
    ensure_eq!(
        (begun.cursor, begun.relisting),
        (None, true),
        "a relisting that has begun"
    );
    let mut first = page(user.id, &[1], "r1");
    first.last = false;
    let outcome = case.store().record_page(&lease, &first, NOW).await?;
    ensure_eq!(outcome.gone, 0, "rows gone before the last page");
    case.reopen().await?;
    let outcome = case
        .store()
        .record_page(&lease, &page(user.id, &[3, 5], "r2"), NOW)
        .await?;
    ensure_eq!(
        (outcome.new, outcome.gone),
        (1, 1),
        "what the last page changed"
    );
    ensure_eq!(
        state(case, &user, 2).await?,
        LedgerState::Gone {
            evidence: GoneEvidence::MissingFromListing
        },
        "the pending message that was not listed"
    );
    ensure!(
        matches!(state(case, &user, 4).await?, LedgerState::Delivered { .. }),
        "a delivered message that was not listed changed"
    );
    let ended = case.store().folder_state(user.id, &inbox()).await?;
    ensure!(!ended.relisting, "the relisting did not end");
    let outcome = case
        .store()
        .record_page(&lease, &page(user.id, &[], "r3"), NOW)
        .await?;
    ensure_eq!(outcome.gone, 0, "rows gone by an ordinary page");
    ensure_eq!(
        pending(case, &user).await?,
        [remote(1), remote(3), remote(5)],
        "pending rows"
    );
    Ok(())
}

pub(in crate::store) async fn pending_rows_come_untried_first(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    case.list(&lease, &[1, 2, 3, 4]).await?;
    let code = Code::ServerFault;
    let fail = |n, not_before| {
        Settlement::new(
            ledger_id(user.id, n),
            LedgerEvent::Fail { code, not_before },
        )
    };
    let settled = [fail(1, NOW), fail(3, NOW.plus(MINUTE))];
    case.store().settle(&lease, &settled).await?;
    ensure_eq!(
        pending(case, &user).await?,
        [remote(2), remote(4), remote(1)],
        "rows that may be worked on now"
    );
    let later = case.store().pending(user.id, NOW.plus(MINUTE), 100).await?;
    ensure_eq!(later.len(), 4, "rows that may be worked on later");
    ensure_eq!(
        case.store().pending(user.id, NOW, 2).await?.len(),
        2,
        "rows where two are asked for"
    );
    let LedgerState::Pending { attempts, last, .. } = state(case, &user, 1).await? else {
        return Err(Stop::failed("a failed attempt is not pending"));
    };
    ensure_eq!((attempts, last), (1, Some(code)), "the attempt");
    Ok(())
}

pub(in crate::store) async fn settling_is_all_or_none(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    case.list(&lease, &[1, 2]).await?;
    refused(
        case.store()
            .settle(&lease, &[deliver(user.id, 1), deliver(user.id, 9)])
            .await,
        ErrorKind::NotFound,
        "settling with a row that is not there",
    )?;
    ensure_eq!(
        pending(case, &user).await?.len(),
        2,
        "pending rows after the refusal"
    );
    case.store().settle(&lease, &[filtered(user.id, 2)]).await?;
    refused(
        case.store()
            .settle(&lease, &[deliver(user.id, 1), deliver(user.id, 2)])
            .await,
        ErrorKind::Conflict,
        "settling with a row that is settled",
    )?;
    case.reopen().await?;
    ensure_eq!(
        pending(case, &user).await?,
        [remote(1)],
        "pending rows after the refusals"
    );
    Ok(())
}

pub(in crate::store) async fn illegal_steps_are_conflicts(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    case.list(&lease, &[1]).await?;
    case.store().settle(&lease, &[deliver(user.id, 1)]).await?;
    let conflict = ErrorKind::Conflict;
    refused(
        case.store().settle(&lease, &[filtered(user.id, 1)]).await,
        conflict,
        "filtering",
    )?;
    let id = ledger_id(user.id, 1);
    refused(
        case.store().replay(id, NOW).await,
        conflict,
        "replaying a delivered row",
    )?;
    let nobody = ledger_id(user.id, 99);
    refused(
        case.store().replay(nobody, NOW).await,
        ErrorKind::NotFound,
        "replaying no row",
    )
}

fn quarantine(mailbox: MailboxId, n: u8, raw: &[u8]) -> Settlement {
    let mut settlement = Settlement::new(
        ledger_id(mailbox, n),
        LedgerEvent::Quarantine {
            code: Code::MessageMalformed,
            raw_kept: true,
        },
    );
    settlement.raw = Some(RawMessage::from_bytes(raw.to_vec()));
    settlement
}

pub(in crate::store) async fn quarantined_bytes_are_kept(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    case.list(&lease, &[1, 2, 3]).await?;
    let odd: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let settled = [quarantine(user.id, 1, &odd), quarantine(user.id, 2, b"")];
    case.store().settle(&lease, &settled).await?;
    case.reopen().await?;
    for (n, expected) in [(1, odd.as_slice()), (2, b"")] {
        let raw = case
            .store()
            .quarantined_raw(ledger_id(user.id, n))
            .await?
            .ok_or_else(|| Stop::failed("the raw message is not there"))?;
        ensure_eq!(raw.len(), expected.len() as u64, "the length");
        ensure!(bytes(&raw)? == expected, "the bytes differ");
        ensure!(bytes(&raw)? == expected, "the bytes differ when read again");
    }
    let none = case.store().quarantined_raw(ledger_id(user.id, 3)).await?;
    ensure!(none.is_none(), "a pending row has a quarantined message");
    Ok(())
}

pub(in crate::store) async fn a_replay_makes_it_pending(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    case.list(&lease, &[1, 2]).await?;
    let settled = [quarantine(user.id, 1, b"x"), filtered(user.id, 2)];
    case.store().settle(&lease, &settled).await?;
    for n in [1, 2] {
        case.store().replay(ledger_id(user.id, n), NOW).await?;
    }
    let kept = case.store().quarantined_raw(ledger_id(user.id, 1)).await?;
    ensure!(kept.is_some(), "replaying it threw the raw message away");
    ensure_eq!(
        pending(case, &user).await?,
        [remote(1), remote(2)],
        "pending rows"
    );
    let LedgerState::Pending { attempts, .. } = state(case, &user, 1).await? else {
        return Err(Stop::failed("a replayed row is not pending"));
    };
    ensure_eq!(attempts, 0, "attempts of a replayed row");
    Ok(())
}

pub(in crate::store) async fn what_was_filtered_is_looked_at_again(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    let (other, other_lease) = case.incoming(2).await?;
    let mut listed = page(user.id, &[1, 2, 3, 4, 5], "c1");
    for (row, minutes) in listed.listed.iter_mut().zip([10, 20, 30]) {
        row.received_at = Some(NOW.minus(MINUTE * minutes));
    }
    case.store().record_page(&lease, &listed, NOW).await?;
    case.list(&other_lease, &[1]).await?;
    let too_old = |mailbox, n| {
        let reason = FilterReason::BeforeStart;
        Settlement::new(ledger_id(mailbox, n), LedgerEvent::Filter { reason })
    };
    let settled = [
        too_old(user.id, 1),
        too_old(user.id, 2),
        too_old(user.id, 3),
        too_old(user.id, 4),
        filtered(user.id, 5),
    ];
    case.store().settle(&lease, &settled).await?;
    let other_settled = [too_old(other.id, 1)];
    case.store().settle(&other_lease, &other_settled).await?;
    let since = NOW.minus(MINUTE * 20);
    let replay = async |mailbox| {
        let reason = FilterReason::BeforeStart;
        let store = case.store();
        store.replay_filtered(mailbox, reason, since, NOW).await
    };
    // From that time on, and what says nothing of its time.
    ensure_eq!(replay(user.id).await?, 3, "rows that are pending again");
    ensure_eq!(
        pending(case, &user).await?,
        [remote(1), remote(2), remote(4)],
        "pending rows"
    );
    ensure_eq!(pending(case, &other).await?, [], "another mailbox's rows");
    ensure_eq!(replay(user.id).await?, 0, "rows the second time");
    refused(
        case.store().settle(&lease, &[too_old(user.id, 1)]).await,
        ErrorKind::LeaseLost,
        "filtering again by a cycle that began before",
    )?;
    case.store().settle(&other_lease, &[]).await?;
    refused(
        replay(MailboxId::from_random([99; 16])).await,
        ErrorKind::NotFound,
        "the rows of no mailbox",
    )
}

pub(in crate::store) async fn a_moved_message_keeps_its_row(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    case.list(&lease, &[1, 2]).await?;
    let (folder, id) = (FolderId::new("undeliverable"), RemoteId::new("elsewhere"));
    let mut moved = quarantine(user.id, 1, b"x");
    moved.moved = Some((folder.clone(), id.clone()));
    case.store().settle(&lease, &[moved]).await?;
    let entry = case
        .store()
        .ledger_entry(ledger_id(user.id, 1))
        .await?
        .ok_or_else(|| Stop::failed("the row is not there"))?;
    ensure_eq!(
        (&entry.folder, &entry.remote_id),
        (&folder, &id),
        "where the message is"
    );
    // The old id is free for another message.
    let mut next = page(user.id, &[1], "c2");
    if let Some(entry) = next.listed.first_mut() {
        entry.id = ledger_id(user.id, 50);
    }
    let outcome = case.store().record_page(&lease, &next, NOW).await?;
    ensure_eq!(outcome.new, 1, "new rows under the old id");
    Ok(())
}

pub(in crate::store) async fn counts_and_pages_agree(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    let (other, other_lease) = case.incoming(2).await?;
    case.list(&lease, &[1, 2, 3, 4]).await?;
    case.list(&other_lease, &[1]).await?;
    let settled = [deliver(user.id, 1), filtered(user.id, 2)];
    case.store().settle(&lease, &settled).await?;
    let counts = case.store().ledger_counts(Some(user.id)).await?;
    let seen: Vec<_> = counts
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    ensure_eq!(
        seen,
        [("delivered", 1), ("filtered", 1), ("pending", 2)],
        "counts of a mailbox"
    );
    let all = case.store().ledger_counts(None).await?;
    ensure_eq!(all.values().sum::<u64>(), 5, "rows in all");

    let numbers = |rows: Vec<postroom_core::ledger::LedgerEntry>| {
        rows.into_iter()
            .map(|row| row.remote_id)
            .collect::<Vec<_>>()
    };
    let mut filter = LedgerFilter::default();
    filter.mailbox = Some(user.id);
    let first = Page::first(3);
    let seen = numbers(case.store().ledger(&filter, first).await?);
    ensure_eq!(
        seen,
        [remote(4), remote(3), remote(2)],
        "the first page, newest first"
    );
    let seen = numbers(case.store().ledger(&filter, first.next()).await?);
    ensure_eq!(seen, [remote(1)], "the second page");
    filter.state = Some("pending");
    let seen = numbers(case.store().ledger(&filter, first).await?);
    ensure_eq!(seen, [remote(4), remote(3)], "pending rows");
    let mut of_record = LedgerFilter::default();
    of_record.record = Some(record(1));
    let seen = numbers(case.store().ledger(&of_record, first).await?);
    ensure_eq!(seen, [remote(1)], "rows of a record");
    let everything = case
        .store()
        .ledger(&LedgerFilter::default(), Page::first(10))
        .await?;
    ensure_eq!(everything.len(), 5, "all rows");
    ensure!(
        everything.iter().any(|row| row.mailbox == other.id),
        "another mailbox's row is missing"
    );
    Ok(())
}

pub(in crate::store) async fn another_mailboxs_row_is_not_found(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    let (_, other_lease) = case.incoming(2).await?;
    case.list(&lease, &[1]).await?;
    refused(
        case.store()
            .settle(&other_lease, &[deliver(user.id, 1)])
            .await,
        ErrorKind::NotFound,
        "settling another mailbox's row",
    )
}
