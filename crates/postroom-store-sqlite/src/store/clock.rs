//! Brings back what was written while the clock ran ahead.

use postroom_core::Timestamp;
use postroom_core::health::Health;
use postroom_core::ledger::LedgerState;
use postroom_core::outbox::OutboxState;
use postroom_core::schedule::LatestTimes;
use rusqlite::params;

use super::ledger;
use crate::database::Write;
use crate::failure::Outcome;
use crate::sql::{all, change, json};

pub(super) fn correct(write: &Write<'_>, latest: &LatestTimes) -> Outcome<u64> {
    let rows = workloads(write, latest)? + messages(write, latest)? + emails(write, latest)?;
    Ok(u64::try_from(rows).unwrap_or(u64::MAX))
}

fn workloads(write: &Write<'_>, latest: &LatestTimes) -> Outcome<usize> {
    let now = latest.now;
    let found = all(
        write,
        "workloads",
        "SELECT mailbox_no, workload, next_due_ms, last_started_ms, last_succeeded_ms, lease_until_ms,
             health
         FROM workloads
         WHERE next_due_ms > ?2 OR last_started_ms > ?1 OR last_succeeded_ms > ?1 OR lease_until_ms > ?3",
        params![
            now.as_millis(),
            latest.due.min(latest.due_in_trouble).as_millis(),
            latest.lease.as_millis(),
        ],
        |row| {
            let (due, started) = (row.maybe_time(2)?, row.maybe_time(3)?);
            let health: Health = row.json(6)?;
            let due = due.map(|due| latest.due(due, started, &health));
            let succeeded = row.maybe_time(4)?;
            Ok((
                (row.get::<i64>(0)?, row.text(1)?.to_owned()),
                due.map(Timestamp::as_millis),
                started.map(|at| at.min(now).as_millis()),
                succeeded.map(|at| at.min(now).as_millis()),
                row.time(5)?.min(latest.lease).as_millis(),
            ))
        },
    )?;
    for ((mailbox, workload), due, started, succeeded, lease) in &found {
        change(
            write,
            "UPDATE workloads SET next_due_ms = ?3, last_started_ms = ?4, last_succeeded_ms = ?5,
                 lease_until_ms = ?6
             WHERE mailbox_no = ?1 AND workload = ?2",
            params![mailbox, workload, due, started, succeeded, lease],
        )?;
    }
    Ok(found.len())
}

fn messages(write: &Write<'_>, latest: &LatestTimes) -> Outcome<usize> {
    // Those that nobody has tried yet may be very many.
    let untried = change(
        write,
        "UPDATE ledger SET not_before_ms = ?1
         WHERE mailbox_no IN (SELECT no FROM mailboxes) AND state_no = 0 AND state IS NULL
             AND not_before_ms > ?2",
        params![latest.now.as_millis(), latest.retry.as_millis()],
    )?;
    let found = all(
        write,
        "ledger",
        "SELECT no, state_no, state, not_before_ms, record FROM ledger
         WHERE mailbox_no IN (SELECT no FROM mailboxes) AND state_no = 0 AND not_before_ms > ?1",
        params![latest.retry.as_millis()],
        |row| Ok((row.get::<i64>(0)?, ledger::state(row, 1)?)),
    )?;
    let tried = found.len();
    for (no, mut state) in found {
        if let LedgerState::Pending { not_before, .. } = &mut state {
            *not_before = latest.now;
        }
        ledger::write_state(write, no, &state)?;
    }
    Ok(untried + tried)
}

fn emails(write: &Write<'_>, latest: &LatestTimes) -> Outcome<usize> {
    let found = all(
        write,
        "outbox",
        "SELECT no, state FROM outbox
         WHERE mailbox_no IN (SELECT no FROM mailboxes) AND state_name = 'pending_send'
             AND not_before_ms > ?1",
        params![latest.retry.as_millis()],
        |row| Ok((row.get::<i64>(0)?, row.json::<OutboxState>(1)?)),
    )?;
    let count = found.len();
    for (no, mut state) in found {
        if let OutboxState::PendingSend { not_before, .. } = &mut state {
            *not_before = latest.now;
        }
        change(
            write,
            "UPDATE outbox SET state = ?2, not_before_ms = ?3 WHERE no = ?1",
            params![no, json(&state)?, latest.now.as_millis()],
        )?;
    }
    Ok(count)
}
