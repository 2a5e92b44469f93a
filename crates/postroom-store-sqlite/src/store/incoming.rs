//! The ledger and the reading of folders.

use std::collections::BTreeMap;

use postroom_core::catalogue::Code;
use postroom_core::email::ContentIdentity;
use postroom_core::ledger::{
    FilterReason, FolderId, GoneEvidence, LedgerEntry, LedgerEvent, LedgerState, RemoteId,
    SyncCursor,
};
use postroom_core::tracking::Decision;
use postroom_core::{LedgerId, MailboxId, RecordId, Timestamp, Workload, planted};
use postroom_store::{
    EmailWrite, ErrorKind, FolderState, Lease, PageOutcome, PageRecord, RecordedEmail, Settlement,
};
use rusqlite::{Connection, params};

use super::ledger::{
    StateColumns, UPDATE_STATE, become_gone, entries, entry, pack_identity, state, write_state,
};
use super::{mailboxes, schedule};
use crate::crm::emails;
use crate::database::{Read, Write};
use crate::failure::{Failure, Outcome};
use crate::index::Indexing;
use crate::sql::{Id, Prepared, Row, all, change, hash_of, insert, int, json, one};

struct Folder {
    no: i64,
    cursor: Option<String>,
    relisting: bool,
    generation: i64,
}

fn folder(connection: &Connection, mailbox_no: i64, folder: &FolderId) -> Outcome<Option<Folder>> {
    one(
        connection,
        "folders",
        "SELECT no, cursor, relisting, generation FROM folders WHERE mailbox_no = ?1 AND folder = ?2",
        params![mailbox_no, folder.as_str()],
        |row| {
            Ok(Folder {
                no: row.get(0)?,
                cursor: row.get(1)?,
                relisting: row.get(2)?,
                generation: row.get(3)?,
            })
        },
    )
}

fn folder_or_new(write: &Write<'_>, mailbox_no: i64, id: &FolderId) -> Outcome<Folder> {
    if let Some(folder) = folder(write, mailbox_no, id)? {
        return Ok(folder);
    }
    let no = insert(
        write,
        "INSERT INTO folders (mailbox_no, folder) VALUES (?1, ?2)",
        params![mailbox_no, id.as_str()],
    )?;
    Ok(Folder {
        no,
        cursor: None,
        relisting: false,
        generation: 0,
    })
}

pub(super) fn folder_state(
    connection: &Connection,
    mailbox: MailboxId,
    id: &FolderId,
) -> Outcome<FolderState> {
    let no = mailboxes::number(connection, mailbox)?;
    Ok(match folder(connection, no, id)? {
        Some(folder) => FolderState::new(folder.cursor.map(SyncCursor::new), folder.relisting),
        None => FolderState::new(None, false),
    })
}

/// Where the reading of every folder of a mailbox stands, in the order of their ids; for
/// [`read_folder_state`].
pub(super) const FOLDER_STATES: &str =
    "SELECT folder, cursor, relisting FROM folders WHERE mailbox_no = ?1";

pub(super) fn read_folder_state(row: &Row<'_>) -> Outcome<(FolderId, FolderState)> {
    let cursor = row.get::<Option<String>>(1)?.map(SyncCursor::new);
    Ok((
        FolderId::new(row.text(0)?),
        FolderState::new(cursor, row.get(2)?),
    ))
}

/// Whether [`pending`] would answer any row.
pub(super) const ANY_PENDING: &str =
    "SELECT 1 FROM ledger WHERE mailbox_no = ?1 AND state_no = 0 AND not_before_ms <= ?2 LIMIT 1";

pub(super) fn begin_relisting(write: &Write<'_>, lease: &Lease, id: &FolderId) -> Outcome<()> {
    let mailbox_no = schedule::check(write, lease)?;
    let folder = folder_or_new(write, mailbox_no, id)?;
    change(
        write,
        "UPDATE folders SET cursor = NULL, relisting = 1, generation = generation + 1 WHERE no = ?1",
        params![folder.no],
    )?;
    Ok(())
}

pub(super) fn record_page(
    write: &Write<'_>,
    lease: &Lease,
    page: &PageRecord,
    now: Timestamp,
) -> Outcome<PageOutcome> {
    let mailbox_no = schedule::check(write, lease)?;
    let folder = folder_or_new(write, mailbox_no, &page.folder)?;
    let mut outcome = PageOutcome::default();
    // What left comes first: a message that is named both ways is there.
    let mut rows = Rows::new(write.connection())?;
    for id in &page.removed {
        if let Some((no, LedgerState::Pending { .. })) = rows.of_remote(folder.no, id)? {
            become_gone(write, no, GoneEvidence::ListedAsDeleted)?;
            outcome.gone += 1;
        }
    }
    for entry in &page.listed {
        if entry.mailbox != lease.mailbox || entry.folder != page.folder {
            return Err(Failure::invalid(
                "a listed message belongs to another mailbox or folder",
            ));
        }
        if list(write, &mut rows, mailbox_no, &folder, entry, now)? {
            outcome.new += 1;
        }
    }
    if folder.relisting && page.last {
        let unseen = all(
            write,
            "ledger",
            "SELECT no FROM ledger
             WHERE mailbox_no = ?1 AND state_no = 0 AND folder_no = ?2 AND generation < ?3",
            params![mailbox_no, folder.no, folder.generation],
            |row| row.get(0),
        )?;
        for no in unseen {
            become_gone(write, no, GoneEvidence::MissingFromListing)?;
            outcome.gone += 1;
        }
    }
    change(
        write,
        "UPDATE folders SET cursor = ?2, relisting = ?3 WHERE no = ?1",
        params![
            folder.no,
            page.cursor.as_str(),
            folder.relisting && !page.last
        ],
    )?;
    Ok(outcome)
}

/// The statements that every message of a batch goes through.
struct Rows<'c> {
    by_remote: Prepared<'c>,
    insert: Prepared<'c>,
}

impl<'c> Rows<'c> {
    fn new(connection: &'c Connection) -> Outcome<Self> {
        let prepared = |sql| Prepared::new(connection, "ledger", sql);
        Ok(Self {
            by_remote: prepared(
                "SELECT no, remote_id, state_no, state, not_before_ms, record FROM ledger
                 WHERE folder_no = ?1 AND remote_hash = ?2",
            )?,
            insert: prepared(
                "INSERT INTO ledger (id, mailbox_no, folder_no, remote_hash, remote_id, generation,
                     received_at_ms, size_bytes, first_seen_ms, state_no, tried, not_before_ms, record, state)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?,
        })
    }

    /// The row of a message of a folder.
    fn of_remote(
        &mut self,
        folder_no: i64,
        remote_id: &RemoteId,
    ) -> Outcome<Option<(i64, LedgerState)>> {
        let hash = hash_of(remote_id.as_str().as_bytes());
        self.by_remote.find((folder_no, hash), |row| {
            if row.text(1)? != remote_id.as_str() {
                return Ok(None);
            }
            Ok(Some((row.get(0)?, state(row, 2)?)))
        })
    }
}

/// Records one message of a listing; answers whether there is new work.
fn list(
    write: &Write<'_>,
    rows: &mut Rows<'_>,
    mailbox_no: i64,
    folder: &Folder,
    entry: &LedgerEntry,
    now: Timestamp,
) -> Outcome<bool> {
    let Some((no, state)) = rows.of_remote(folder.no, &entry.remote_id)? else {
        let columns = StateColumns::of(&entry.state)?;
        rows.insert
            .change(params![
                entry.id.bytes(),
                mailbox_no,
                folder.no,
                hash_of(entry.remote_id.as_str().as_bytes()),
                entry.remote_id.as_str(),
                folder.generation,
                entry.received_at.map(Timestamp::as_millis),
                entry.size.map(int),
                entry.first_seen.as_millis(),
                columns.number,
                columns.tried,
                columns.not_before,
                columns.record,
                columns.state,
            ])
            .map_err(|failure| {
                if failure.is_duplicate() {
                    Failure::exists("ledger row of that id")
                } else {
                    failure
                }
            })?;
        if entry.identity.is_some() || entry.decision.is_some() {
            let mut decisions = Prepared::new(write, "ledger_decisions", PUT_DECISION)?;
            put_decision(
                &mut decisions,
                write.last_insert_rowid(),
                entry.identity.as_ref(),
                entry.decision.as_ref(),
            )?;
        }
        return Ok(true);
    };
    if folder.relisting {
        change(
            write,
            "UPDATE ledger SET generation = ?2 WHERE no = ?1",
            params![no, folder.generation],
        )?;
    }
    if matches!(state, LedgerState::Gone { .. }) && !planted!(GoneStaysGone) {
        // It is back: restored, or moved out and in again. Leaving it would lose it.
        write_state(write, no, &LedgerState::listed(now))?;
        return Ok(true);
    }
    Ok(false)
}

/// What is known later is added; what is known is kept.
const PUT_DECISION: &str =
    "INSERT INTO ledger_decisions (ledger_no, identity, decision) VALUES (?1, ?2, ?3)
     ON CONFLICT (ledger_no) DO UPDATE SET identity = coalesce(excluded.identity, identity),
         decision = coalesce(excluded.decision, decision)";

fn put_decision(
    decisions: &mut Prepared<'_>,
    no: i64,
    identity: Option<&ContentIdentity>,
    decision: Option<&Decision>,
) -> Outcome<()> {
    decisions.change(params![
        no,
        identity.map(pack_identity).transpose()?,
        decision.map(json).transpose()?,
    ])?;
    Ok(())
}

pub(super) fn pending(
    read: &Read<'_>,
    mailbox: MailboxId,
    now: Timestamp,
    limit: u32,
) -> Outcome<Vec<LedgerEntry>> {
    let no = mailboxes::number_read(read, mailbox)?;
    all(
        read,
        "ledger",
        entries!(
            "WHERE ledger.mailbox_no = ?1 AND ledger.state_no = 0 AND ledger.not_before_ms <= ?2
             ORDER BY ledger.tried, ledger.no LIMIT ?3"
        ),
        params![no, now.as_millis(), limit],
        entry,
    )
}

pub(super) fn settle(
    write: &mut Write<'_>,
    lease: &Lease,
    settlements: &[Settlement],
) -> Outcome<()> {
    let mailbox_no = schedule::check(write, lease)?;
    let mut settling = Settling::new(write)?;
    for settlement in settlements {
        settling
            .settle(write, mailbox_no, settlement)
            .map_err(|failure| failure.with("message", settlement.id.to_string()))?;
    }
    settling.indexing.finish()
}

/// Records emails and settles rows that may name them by what stands for them.
pub(super) fn record_and_settle(
    write: &mut Write<'_>,
    lease: &Lease,
    writes: &[EmailWrite],
    settlements: &mut [Settlement],
) -> Outcome<Vec<RecordedEmail>> {
    // Refused before anything is written: appended messages would have to be written over.
    schedule::check(write, lease)?;
    let recorded = emails::record(write, writes)?;
    let made: BTreeMap<RecordId, RecordedEmail> = writes
        .iter()
        .zip(&recorded)
        .filter_map(|(email, recorded)| Some((email.provisional?, *recorded)))
        .collect();
    for settlement in settlements.iter_mut() {
        settlement.resolve(|record| made.get(&record).copied());
    }
    settle(write, lease, settlements)?;
    Ok(recorded)
}

/// The statements that every settlement of a batch goes through.
struct Settling<'c> {
    by_id: Prepared<'c>,
    update: Prepared<'c>,
    decisions: Prepared<'c>,
    indexing: Indexing<'c>,
}

impl<'c> Settling<'c> {
    fn new(write: &Write<'c>) -> Outcome<Self> {
        let connection = write.connection();
        Ok(Self {
            by_id: Prepared::new(
                connection,
                "ledger",
                "SELECT no, mailbox_no, state_no, state, not_before_ms, record FROM ledger WHERE id = ?1",
            )?,
            update: Prepared::new(connection, "ledger", UPDATE_STATE)?,
            decisions: Prepared::new(connection, "ledger_decisions", PUT_DECISION)?,
            indexing: Indexing::new(write)?,
        })
    }

    fn settle(
        &mut self,
        write: &mut Write<'_>,
        mailbox_no: i64,
        settlement: &Settlement,
    ) -> Outcome<()> {
        let (no, state) = self
            .by_id
            .find(params![settlement.id.bytes()], |row| {
                if row.get::<i64>(1)? != mailbox_no {
                    return Ok(None);
                }
                Ok(Some((row.get::<i64>(0)?, state(row, 2)?)))
            })?
            .ok_or_else(|| Failure::not_found("ledger row"))?;
        if matches!(settlement.event, LedgerEvent::Replay { .. }) {
            return Err(Failure::conflict("a replay is a person's, not a cycle's"));
        }
        StateColumns::of(&step(&state, &settlement.event)?)?.update(&mut self.update, no)?;
        if settlement.identity.is_some() || settlement.decision.is_some() {
            put_decision(
                &mut self.decisions,
                no,
                settlement.identity.as_ref(),
                settlement.decision.as_ref(),
            )?;
        }
        if let Some(raw) = &settlement.raw {
            let place = write.append(raw)?;
            change(
                write,
                "UPDATE ledger SET raw = ?2 WHERE no = ?1",
                params![no, place.pack()],
            )?;
        }
        if let Some((email, key)) = &settlement.index {
            self.indexing.put(email, key.as_ref())?;
        }
        if let Some((folder, remote_id)) = &settlement.moved {
            relocate(write, mailbox_no, no, folder, remote_id)?;
        }
        Ok(())
    }
}

fn relocate(
    write: &mut Write<'_>,
    mailbox_no: i64,
    no: i64,
    folder: &FolderId,
    remote_id: &RemoteId,
) -> Outcome<()> {
    let folder = folder_or_new(write, mailbox_no, folder)?;
    // Where the folder was listed meanwhile, its own row has the place; this one keeps its name.
    let taken = Rows::new(write)?.of_remote(folder.no, remote_id)?;
    if taken.is_none() {
        change(
            write,
            "UPDATE ledger SET folder_no = ?2, remote_hash = ?3, remote_id = ?4 WHERE no = ?1",
            params![
                no,
                folder.no,
                hash_of(remote_id.as_str().as_bytes()),
                remote_id.as_str()
            ],
        )?;
    }
    Ok(())
}

pub(super) fn note_moved(
    write: &mut Write<'_>,
    lease: &Lease,
    id: LedgerId,
    folder: &FolderId,
    remote_id: &RemoteId,
) -> Outcome<()> {
    let mailbox_no = schedule::check(write, lease)?;
    let no = one(
        write,
        "ledger",
        "SELECT no FROM ledger WHERE id = ?1 AND mailbox_no = ?2",
        params![id.bytes(), mailbox_no],
        |row| row.get::<i64>(0),
    )?
    .ok_or_else(|| Failure::not_found("ledger row"))?;
    relocate(write, mailbox_no, no, folder, remote_id)
}

fn step(state: &LedgerState, event: &LedgerEvent) -> Outcome<LedgerState> {
    state.next(event).map_err(|illegal| {
        Failure::refused(ErrorKind::Conflict, Code::InvalidInput).with("what", illegal.to_string())
    })
}

pub(super) fn replay_filtered(
    write: &Write<'_>,
    mailbox: MailboxId,
    reason: FilterReason,
    since: Timestamp,
    now: Timestamp,
) -> Outcome<u64> {
    let no = mailboxes::number(write, mailbox)?;
    schedule::interrupt(write, no, Workload::Incoming)?;
    let filtered = json(&LedgerState::Filtered { reason })?;
    let changed = change(
        write,
        "UPDATE ledger SET state_no = 0, tried = 0, not_before_ms = ?1, record = NULL, state = NULL
         WHERE mailbox_no = ?2 AND state_no = 2 AND tried = 0 AND state = ?3
           AND (received_at_ms IS NULL OR received_at_ms >= ?4)",
        params![now.as_millis(), no, filtered, since.as_millis()],
    )?;
    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
}

pub(super) fn replay(write: &Write<'_>, id: LedgerId, now: Timestamp) -> Outcome<()> {
    let (no, state) = one(
        write,
        "ledger",
        "SELECT no, state_no, state, not_before_ms, record FROM ledger WHERE id = ?1",
        params![id.bytes()],
        |row| Ok((row.get::<i64>(0)?, state(row, 1)?)),
    )?
    .ok_or_else(|| Failure::not_found("ledger row"))?;
    write_state(write, no, &step(&state, &LedgerEvent::Replay { now })?)
}
