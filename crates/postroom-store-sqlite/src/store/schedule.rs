//! Due times and leases.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use postroom_core::{
    HolderId, MailboxId, Organization, ProfileId, ServerProfile, Timestamp, Workload, planted,
};
use postroom_store::{CycleRecord, CycleStart, Due, Lease};
use rusqlite::{Connection, params};

use super::{config, incoming, mailboxes, outgoing};
use crate::database::Write;
use crate::failure::{Failure, Outcome};
use crate::sql::{Id, Prepared, all, change, int, one};

macro_rules! due_workloads {
    ($enabled:literal) => {
        concat!(
            "SELECT mailboxes.id, mailboxes.profile, workloads.workload, workloads.next_due_ms
             FROM workloads JOIN mailboxes ON mailboxes.no = workloads.mailbox_no
             WHERE ",
            $enabled,
            " AND workloads.next_due_ms IS NOT NULL
               AND workloads.next_due_ms <= ?1 AND mailboxes.active = 1
               AND (workloads.holder IS NULL OR workloads.lease_until_ms <= ?1)
             ORDER BY workloads.next_due_ms, workloads.mailbox_no, workloads.workload LIMIT ?2"
        )
    };
}

/// What became due while the cycle ran stays due; a failure's wait is kept.
macro_rules! record_columns {
    () => {
        "UPDATE workloads SET health = ?3,
             next_due_ms = CASE WHEN ?7 IS NOT NULL AND next_due_ms > ?6 THEN min(next_due_ms, ?4) ELSE ?4 END,
             idle_cycles = ?5, last_started_ms = ?6, last_succeeded_ms = coalesce(?7, last_succeeded_ms)"
    };
}

pub(super) fn due(connection: &Connection, now: Timestamp, limit: u32) -> Outcome<Vec<Due>> {
    all(
        connection,
        "workloads",
        if planted!(DisabledStillSends) {
            due_workloads!("(workloads.enabled = 1 OR workloads.workload = 'outgoing')")
        } else {
            due_workloads!("workloads.enabled = 1")
        },
        params![now.as_millis(), limit],
        |row| {
            Ok(Due::new(
                row.id(0)?,
                row.maybe_id(1)?,
                mailboxes::workload(row, 2)?,
                row.time(3)?,
            ))
        },
    )
}

pub(super) fn next_due(connection: &Connection) -> Outcome<Option<Timestamp>> {
    one(
        connection,
        "workloads",
        "SELECT workloads.next_due_ms
         FROM workloads JOIN mailboxes ON mailboxes.no = workloads.mailbox_no
         WHERE workloads.enabled = 1 AND workloads.next_due_ms IS NOT NULL AND mailboxes.active = 1
         ORDER BY workloads.next_due_ms LIMIT 1",
        [],
        |row| row.time(0),
    )
}

pub(super) fn set_due(
    write: &Write<'_>,
    mailbox: MailboxId,
    workload: Workload,
    at: Timestamp,
) -> Outcome<()> {
    change(
        write,
        "UPDATE workloads SET next_due_ms = ?3
         WHERE mailbox_no = ?1 AND workload = ?2 AND next_due_ms IS NOT ?3",
        params![
            mailboxes::number_kept(write, mailbox)?,
            workload.as_str(),
            at.as_millis()
        ],
    )?;
    Ok(())
}

/// Begins cycles, in one transaction: reads what each needs, and takes its lease last, so that one
/// that cannot be read leaves nothing behind.
struct Beginning<'w> {
    write: &'w Write<'w>,
    holder: HolderId,
    now: Timestamp,
    duration: Duration,
    organization: Arc<Organization>,
    secrets: u64,
    profiles: BTreeMap<ProfileId, Option<Arc<ServerProfile>>>,
    mailboxes: mailboxes::Reading<'w>,
    folders: Prepared<'w>,
    pending: Prepared<'w>,
    take: Prepared<'w>,
}

impl<'w> Beginning<'w> {
    fn new(
        write: &'w Write<'w>,
        holder: HolderId,
        now: Timestamp,
        duration: Duration,
    ) -> Outcome<Self> {
        let connection = write.connection();
        let (organization, secrets) = config::organization_kept(write, write.database)?;
        Ok(Self {
            write,
            holder,
            now,
            duration,
            organization,
            secrets,
            profiles: BTreeMap::new(),
            mailboxes: mailboxes::Reading::new(connection)?,
            folders: Prepared::new(connection, "folders", incoming::FOLDER_STATES)?,
            pending: Prepared::new(connection, "ledger", incoming::ANY_PENDING)?,
            take: Prepared::new(connection, "workloads", WRITE_LEASE)?,
        })
    }

    /// What a cycle begins with; `None` where somebody holds its lease. Nothing is written yet.
    fn read(
        &mut self,
        mailbox: MailboxId,
        workload: Workload,
    ) -> Outcome<Option<(i64, CycleStart)>> {
        let found = self.mailboxes.read(self.write, mailbox, workload)?;
        let (no, mailbox) = (found.no, found.mailbox);
        let (held, fence, until) = found.lease;
        if held && until > self.now {
            return Ok(None);
        }
        let profile = match mailbox.profile {
            Some(id) => match self.profiles.entry(id) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(entry) => entry.insert(config::profile_kept(self.write, id)?).clone(),
            },
            None => None,
        };
        let lease = Lease::new(
            mailbox.id,
            workload,
            self.holder,
            fence.saturating_add(1),
            self.now.plus(self.duration),
        );
        let organization = Arc::clone(&self.organization);
        let mut start = CycleStart::new(lease, organization, mailbox, profile);
        start.secrets = Some(self.secrets);
        match workload {
            Workload::Incoming => {
                self.folders.read_into(
                    params![no],
                    &mut start.folders,
                    incoming::read_folder_state,
                )?;
                let now = self.now.as_millis();
                let pending = self.pending.find(params![no, now], |_| Ok(Some(())))?;
                start.pending = pending.is_some();
            }
            Workload::Outgoing => {
                let (waiting, under_way, in_doubt) = outgoing::open(self.write, no)?;
                start.pending = waiting || under_way || in_doubt;
                start.under_way = under_way;
                start.in_doubt = in_doubt;
            }
            Workload::Items => {}
        }
        Ok(Some((no, start)))
    }

    /// Takes the lease of what was read.
    fn take(&mut self, (no, start): (i64, CycleStart)) -> Outcome<CycleStart> {
        let lease = &start.lease;
        self.take.change(params![
            no,
            lease.workload.as_str(),
            lease.holder.bytes(),
            int(lease.fence),
            lease.expires_at.as_millis(),
        ])?;
        Ok(start)
    }
}

/// Who begins cycles, when, and for how long they hold their leases.
type Holding = (HolderId, Timestamp, Duration);

pub(super) fn begin(
    write: &Write<'_>,
    mailbox: MailboxId,
    workload: Workload,
    (holder, now, duration): Holding,
) -> Outcome<Option<CycleStart>> {
    let mut beginning = Beginning::new(write, holder, now, duration)?;
    match beginning.read(mailbox, workload)? {
        Some(start) => beginning.take(start).map(Some),
        None => Ok(None),
    }
}

/// Each for itself: what cannot be read keeps only its own cycle from beginning. What cannot be
/// written is everybody's trouble.
pub(super) fn begin_all(
    write: &Write<'_>,
    wanted: &[(MailboxId, Workload)],
    (holder, now, duration): Holding,
) -> Outcome<Vec<Outcome<Option<CycleStart>>>> {
    let mut beginning = Beginning::new(write, holder, now, duration)?;
    let mut begun = Vec::with_capacity(wanted.len());
    for (mailbox, workload) in wanted {
        begun.push(match beginning.read(*mailbox, *workload) {
            Ok(Some(start)) => Ok(Some(beginning.take(start)?)),
            Ok(None) => Ok(None),
            Err(failure) => Err(failure),
        });
    }
    Ok(begun)
}

/// Each for itself, unless something cannot be written.
pub(super) fn finish_all(
    write: &Write<'_>,
    ended: &[(Lease, CycleRecord)],
) -> Outcome<Vec<Outcome<()>>> {
    let mut finished = Vec::with_capacity(ended.len());
    let mut at_once = Prepared::new(write.connection(), "workloads", FINISH)?;
    for (lease, cycle) in ended {
        finished.push(match finish(write, &mut at_once, lease, cycle) {
            Err(failure) if !failure.is_refusal() => return Err(failure),
            outcome => outcome,
        });
    }
    Ok(finished)
}

/// Records what a cycle leaves and gives its lease back.
pub(super) fn finish_cycle(write: &Write<'_>, lease: &Lease, cycle: &CycleRecord) -> Outcome<()> {
    let mut at_once = Prepared::new(write.connection(), "workloads", FINISH)?;
    finish(write, &mut at_once, lease, cycle)
}

/// All at once, where the lease still is the current one.
const FINISH: &str = concat!(
    record_columns!(),
    ", holder = NULL, lease_until_ms = 0
     WHERE mailbox_no = ?1 AND workload = ?2 AND holder = ?8 AND fence = ?9"
);

fn finish(
    write: &Write<'_>,
    at_once: &mut Prepared<'_>,
    lease: &Lease,
    cycle: &CycleRecord,
) -> Outcome<()> {
    if cycle.enabled {
        let no = mailboxes::number_kept(write, lease.mailbox)?;
        let finished = at_once.change(params![
            no,
            lease.workload.as_str(),
            mailboxes::health_text(&cycle.health)?,
            due_after(write, no, lease.workload, cycle)?,
            cycle.idle_cycles,
            cycle.started.as_millis(),
            cycle.succeeded.map(Timestamp::as_millis),
            lease.holder.bytes(),
            int(lease.fence),
        ])?;
        if finished > 0 {
            return Ok(());
        }
    }
    record_cycle(write, lease, cycle)?;
    release(write, lease)
}

/// The lease as its row has it: holder, fence, end.
fn current(
    connection: &Connection,
    mailbox_no: i64,
    workload: Workload,
) -> Outcome<(Option<HolderId>, u64, Timestamp)> {
    one(
        connection,
        "workloads",
        "SELECT holder, fence, lease_until_ms FROM workloads WHERE mailbox_no = ?1 AND workload = ?2",
        params![mailbox_no, workload.as_str()],
        |row| Ok((row.maybe_id(0)?, row.unsigned(1)?, row.time(2)?)),
    )?
    .ok_or_else(|| Failure::not_found("workload"))
}

const WRITE_LEASE: &str = "UPDATE workloads SET holder = ?3, fence = ?4, lease_until_ms = ?5
     WHERE mailbox_no = ?1 AND workload = ?2";

fn write_lease(write: &Write<'_>, mailbox_no: i64, lease: &Lease) -> Outcome<()> {
    change(
        write,
        WRITE_LEASE,
        params![
            mailbox_no,
            lease.workload.as_str(),
            lease.holder.bytes(),
            int(lease.fence),
            lease.expires_at.as_millis(),
        ],
    )?;
    Ok(())
}

pub(super) fn acquire(
    write: &Write<'_>,
    mailbox: MailboxId,
    workload: Workload,
    holder: HolderId,
    now: Timestamp,
    duration: Duration,
) -> Outcome<Option<Lease>> {
    let no = mailboxes::number_kept(write, mailbox)?;
    let (held_by, fence, until) = current(write, no, workload)?;
    if held_by.is_some() && until > now {
        return Ok(None);
    }
    let lease = Lease::new(
        mailbox,
        workload,
        holder,
        fence.saturating_add(1),
        now.plus(duration),
    );
    write_lease(write, no, &lease)?;
    Ok(Some(lease))
}

pub(super) fn renew(
    write: &Write<'_>,
    lease: &Lease,
    now: Timestamp,
    duration: Duration,
) -> Outcome<Lease> {
    let no = check(write, lease)?;
    let mut renewed = lease.clone();
    renewed.expires_at = now.plus(duration);
    write_lease(write, no, &renewed)?;
    Ok(renewed)
}

pub(super) fn release(write: &Write<'_>, lease: &Lease) -> Outcome<()> {
    let Ok(no) = mailboxes::number_kept(write, lease.mailbox) else {
        return Ok(());
    };
    change(
        write,
        "UPDATE workloads SET holder = NULL, lease_until_ms = 0
         WHERE mailbox_no = ?1 AND workload = ?2 AND holder = ?3 AND fence = ?4",
        params![
            no,
            lease.workload.as_str(),
            lease.holder.bytes(),
            int(lease.fence)
        ],
    )?;
    Ok(())
}

/// Ends the lease of a workload, whoever holds it: what its cycle still writes is refused.
pub(super) fn interrupt(write: &Write<'_>, mailbox_no: i64, workload: Workload) -> Outcome<()> {
    change(
        write,
        "UPDATE workloads SET holder = NULL, lease_until_ms = 0
         WHERE mailbox_no = ?1 AND workload = ?2 AND holder IS NOT NULL",
        params![mailbox_no, workload.as_str()],
    )?;
    Ok(())
}

/// Whether any lease is held, its time up or not.
pub(super) fn any_held(connection: &Connection) -> Outcome<bool> {
    let held = one(
        connection,
        "workloads",
        "SELECT 1 FROM workloads WHERE holder IS NOT NULL LIMIT 1",
        [],
        |_| Ok(()),
    )?;
    Ok(held.is_some())
}

/// Ends every lease. Fences stay: what an earlier holder still writes is refused.
pub(super) fn release_all(write: &Write<'_>) -> Outcome<()> {
    change(
        write,
        "UPDATE workloads SET holder = NULL, lease_until_ms = 0 WHERE holder IS NOT NULL",
        [],
    )?;
    Ok(())
}

/// Whether a lease is the current one; answers the number of its mailbox's row.
///
/// The fence decides, not the time: who is late but was not replaced still holds it.
pub(super) fn check(write: &Write<'_>, lease: &Lease) -> Outcome<i64> {
    let no = mailboxes::number_kept(write, lease.mailbox)?;
    let (holder, fence, _) = current(write, no, lease.workload)?;
    let held = holder == Some(lease.holder) && fence == lease.fence;
    if held {
        Ok(no)
    } else {
        Err(Failure::lease_lost())
    }
}

pub(super) fn record_cycle(write: &Write<'_>, lease: &Lease, cycle: &CycleRecord) -> Outcome<()> {
    let no = check(write, lease)?;
    if !cycle.enabled {
        let disabled = change(
            write,
            "UPDATE workloads SET enabled = 0 WHERE mailbox_no = ?1 AND workload = ?2 AND enabled = 1",
            params![no, lease.workload.as_str()],
        )?;
        if disabled > 0 {
            // An administrator who has the mailbox open must see this before writing it back.
            change(
                write,
                "UPDATE mailboxes SET revision = revision + 1 WHERE no = ?1",
                params![no],
            )?;
        }
    }
    change(
        write,
        concat!(
            record_columns!(),
            " WHERE mailbox_no = ?1 AND workload = ?2"
        ),
        params![
            no,
            lease.workload.as_str(),
            mailboxes::health_text(&cycle.health)?,
            due_after(write, no, lease.workload, cycle)?,
            cycle.idle_cycles,
            cycle.started.as_millis(),
            cycle.succeeded.map(Timestamp::as_millis),
        ],
    )?;
    Ok(())
}

/// When the workload is due after a cycle: email that was taken over behind the cycle's back is not
/// left until the next look.
fn due_after(
    write: &Write<'_>,
    mailbox_no: i64,
    workload: Workload,
    cycle: &CycleRecord,
) -> Outcome<Option<i64>> {
    let due = cycle.next_due.map(Timestamp::as_millis);
    let (Workload::Outgoing, Some(due), Some(ended)) = (workload, due, cycle.succeeded) else {
        return Ok(due);
    };
    let waits = outgoing::first_waiting(write, mailbox_no)?;
    let waits = waits.map_or(due, |at| at.as_millis().max(ended.as_millis()));
    Ok(Some(due.min(waits)))
}
