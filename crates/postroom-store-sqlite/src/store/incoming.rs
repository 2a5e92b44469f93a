//! The ledger and the reading of folders.

use postroom_core::catalogue::Code;
use postroom_core::ledger::{
    FolderId, GoneEvidence, LedgerEntry, LedgerEvent, LedgerState, RemoteId, SyncCursor,
};
use postroom_core::{LedgerId, MailboxId, RawMessage, Timestamp, planted};
use postroom_store::{
    ErrorKind, FolderState, Lease, LedgerCounts, LedgerFilter, Page, PageOutcome, PageRecord,
    Settlement,
};
use rusqlite::{Connection, params};

use super::{mailboxes, schedule};
use crate::database::{Read, Write};
use crate::failure::{Failure, Outcome};
use crate::index;
use crate::segment::piece_of;
use crate::sql::{Id, Row, all, change, insert, int, json, one};

/// What [`entry`] reads.
macro_rules! entries {
    ($rest:literal) => {
        concat!(
            "SELECT ledger.id, mailboxes.id, folders.folder, ledger.remote_id, ledger.received_at_ms,
                 ledger.size_bytes, ledger.first_seen_ms, ledger.identity, ledger.state, ledger.decision
             FROM ledger JOIN mailboxes ON mailboxes.no = ledger.mailbox_no
             JOIN folders ON folders.no = ledger.folder_no ",
            $rest
        )
    };
}

fn entry(row: &Row<'_>) -> Outcome<LedgerEntry> {
    let folder = FolderId::new(row.text(2)?);
    let remote_id = RemoteId::new(row.text(3)?);
    let mut entry = LedgerEntry::listed(row.id(0)?, row.id(1)?, folder, remote_id, row.time(6)?);
    entry.received_at = row.maybe_time(4)?;
    entry.size = row.maybe_unsigned(5)?;
    entry.identity = row.maybe_json(7)?;
    entry.state = row.json(8)?;
    entry.decision = row.maybe_json(9)?;
    Ok(entry)
}

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
    for id in &page.removed {
        let no = one(
            write,
            "ledger",
            "SELECT no FROM ledger WHERE folder_no = ?1 AND remote_id = ?2 AND state_name = 'pending'",
            params![folder.no, id.as_str()],
            |row| row.get(0),
        )?;
        if let Some(no) = no {
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
        if list(write, mailbox_no, &folder, entry, now)? {
            outcome.new += 1;
        }
    }
    if folder.relisting && page.last {
        let unseen = all(
            write,
            "ledger",
            "SELECT no FROM ledger
             WHERE mailbox_no = ?1 AND state_name = 'pending' AND folder_no = ?2 AND generation < ?3",
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

/// Records one message of a listing; answers whether there is new work.
fn list(
    write: &Write<'_>,
    mailbox_no: i64,
    folder: &Folder,
    entry: &LedgerEntry,
    now: Timestamp,
) -> Outcome<bool> {
    let columns = StateColumns::of(&entry.state)?;
    let inserted = change(
        write,
        "INSERT INTO ledger (id, mailbox_no, folder_no, remote_id, generation, received_at_ms, size_bytes,
             first_seen_ms, identity, state_name, state, tried, not_before_ms, record, decision)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (folder_no, remote_id) DO NOTHING",
        params![
            entry.id.bytes(),
            mailbox_no,
            folder.no,
            entry.remote_id.as_str(),
            folder.generation,
            entry.received_at.map(Timestamp::as_millis),
            entry.size.map(int),
            entry.first_seen.as_millis(),
            entry.identity.as_ref().map(json).transpose()?,
            columns.name,
            columns.state,
            columns.tried,
            columns.not_before,
            columns.record,
            entry.decision.as_ref().map(json).transpose()?,
        ],
    )
    .map_err(|failure| {
        if failure.is_duplicate() {
            Failure::exists("ledger row of that id")
        } else {
            failure
        }
    })?;
    if inserted > 0 {
        return Ok(true);
    }
    let (no, state) = one(
        write,
        "ledger",
        "SELECT no, state FROM ledger WHERE folder_no = ?1 AND remote_id = ?2",
        params![folder.no, entry.remote_id.as_str()],
        |row| Ok((row.get::<i64>(0)?, row.json::<LedgerState>(1)?)),
    )?
    .ok_or_else(|| Failure::not_found("ledger row"))?;
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

/// A state as the columns take it.
struct StateColumns {
    name: &'static str,
    state: String,
    tried: bool,
    not_before: i64,
    record: Option<[u8; 16]>,
}

impl StateColumns {
    fn of(state: &LedgerState) -> Outcome<Self> {
        let mut columns = Self {
            name: state.name(),
            state: json(state)?,
            tried: false,
            not_before: 0,
            record: None,
        };
        match state {
            LedgerState::Pending {
                attempts,
                not_before,
                ..
            } => {
                columns.tried = *attempts > 0;
                columns.not_before = not_before.as_millis();
            }
            LedgerState::Delivered { record, .. } => columns.record = Some(*record.bytes()),
            LedgerState::Filtered { .. }
            | LedgerState::Quarantined { .. }
            | LedgerState::Gone { .. } => {}
        }
        Ok(columns)
    }
}

fn write_state(write: &Write<'_>, no: i64, state: &LedgerState) -> Outcome<()> {
    let columns = StateColumns::of(state)?;
    change(
        write,
        "UPDATE ledger SET state_name = ?2, state = ?3, tried = ?4, not_before_ms = ?5, record = ?6
         WHERE no = ?1",
        params![
            no,
            columns.name,
            columns.state,
            columns.tried,
            columns.not_before,
            columns.record
        ],
    )?;
    Ok(())
}

fn become_gone(write: &Write<'_>, no: i64, evidence: GoneEvidence) -> Outcome<()> {
    write_state(write, no, &LedgerState::Gone { evidence })
}

pub(super) fn pending(
    connection: &Connection,
    mailbox: MailboxId,
    now: Timestamp,
    limit: u32,
) -> Outcome<Vec<LedgerEntry>> {
    let no = mailboxes::number(connection, mailbox)?;
    all(
        connection,
        "ledger",
        entries!(
            "WHERE ledger.mailbox_no = ?1 AND ledger.state_name = 'pending' AND ledger.not_before_ms <= ?2
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
    for settlement in settlements {
        settle_one(write, mailbox_no, settlement)
            .map_err(|failure| failure.with("message", settlement.id.to_string()))?;
    }
    Ok(())
}

fn settle_one(write: &mut Write<'_>, mailbox_no: i64, settlement: &Settlement) -> Outcome<()> {
    let (no, state) = one(
        write,
        "ledger",
        "SELECT no, state FROM ledger WHERE id = ?1 AND mailbox_no = ?2",
        params![settlement.id.bytes(), mailbox_no],
        |row| Ok((row.get::<i64>(0)?, row.json::<LedgerState>(1)?)),
    )?
    .ok_or_else(|| Failure::not_found("ledger row"))?;
    if matches!(settlement.event, LedgerEvent::Replay { .. }) {
        return Err(Failure::conflict("a replay is a person's, not a cycle's"));
    }
    let next = step(&state, &settlement.event)?;
    let columns = StateColumns::of(&next)?;
    change(
        write,
        "UPDATE ledger SET state_name = ?2, state = ?3, tried = ?4, not_before_ms = ?5, record = ?6,
             identity = coalesce(?7, identity), decision = coalesce(?8, decision)
         WHERE no = ?1",
        params![
            no,
            columns.name,
            columns.state,
            columns.tried,
            columns.not_before,
            columns.record,
            settlement.identity.as_ref().map(json).transpose()?,
            settlement.decision.as_ref().map(json).transpose()?,
        ],
    )?;
    if let Some(raw) = &settlement.raw {
        // On its own: a foreign key among the columns makes SQLite keep a journal of the statement.
        let raw_no = write.append(raw)?;
        change(
            write,
            "UPDATE ledger SET raw_no = ?2 WHERE no = ?1",
            params![no, raw_no],
        )?;
    }
    if let Some((email, key)) = &settlement.index {
        index::put(write, email, key.as_ref())?;
    }
    if let Some((folder, remote_id)) = &settlement.moved {
        relocate(write, mailbox_no, no, folder, remote_id)?;
    }
    Ok(())
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
    change(
        write,
        "UPDATE OR IGNORE ledger SET folder_no = ?2, remote_id = ?3 WHERE no = ?1",
        params![no, folder.no, remote_id.as_str()],
    )?;
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

pub(super) fn replay(write: &Write<'_>, id: LedgerId, now: Timestamp) -> Outcome<()> {
    let (no, state) = one(
        write,
        "ledger",
        "SELECT no, state FROM ledger WHERE id = ?1",
        params![id.bytes()],
        |row| Ok((row.get::<i64>(0)?, row.json::<LedgerState>(1)?)),
    )?
    .ok_or_else(|| Failure::not_found("ledger row"))?;
    write_state(write, no, &step(&state, &LedgerEvent::Replay { now })?)
}

pub(super) fn ledger_entry(connection: &Connection, id: LedgerId) -> Outcome<Option<LedgerEntry>> {
    one(
        connection,
        "ledger",
        entries!("WHERE ledger.id = ?1"),
        params![id.bytes()],
        entry,
    )
}

pub(super) fn ledger(
    connection: &Connection,
    filter: &LedgerFilter,
    page: Page,
) -> Outcome<Vec<LedgerEntry>> {
    let record = filter.record.as_ref().map(Id::bytes);
    let mailbox = match filter.mailbox {
        Some(id) => match mailboxes::number(connection, id) {
            Ok(no) => Some(no),
            Err(Failure::Refused { .. }) => return Ok(Vec::new()),
            Err(failure) => return Err(failure),
        },
        None => None,
    };
    // Written out for each kind of question, so that each has its index.
    let (limit, offset) = (page.limit, int(page.offset));
    match (mailbox, record) {
        (_, Some(record)) => all(
            connection,
            "ledger",
            entries!(
                "WHERE ledger.record = ?1 AND (?2 IS NULL OR ledger.mailbox_no = ?2)
                   AND (?3 IS NULL OR ledger.state_name = ?3)
                 ORDER BY ledger.no DESC LIMIT ?4 OFFSET ?5"
            ),
            params![record, mailbox, filter.state, limit, offset],
            entry,
        ),
        (Some(mailbox), None) if filter.state.is_some() => all(
            connection,
            "ledger",
            entries!(
                "WHERE ledger.mailbox_no = ?1 AND ledger.state_name = ?2
                 ORDER BY ledger.no DESC LIMIT ?3 OFFSET ?4"
            ),
            params![mailbox, filter.state, limit, offset],
            entry,
        ),
        (mailbox, None) => all(
            connection,
            "ledger",
            entries!(
                "WHERE (?1 IS NULL OR ledger.mailbox_no = ?1) AND (?2 IS NULL OR ledger.state_name = ?2)
                 ORDER BY ledger.no DESC LIMIT ?3 OFFSET ?4"
            ),
            params![mailbox, filter.state, limit, offset],
            entry,
        ),
    }
}

pub(super) fn counts(connection: &Connection, mailbox: Option<MailboxId>) -> Outcome<LedgerCounts> {
    let mailbox = mailbox
        .map(|id| mailboxes::number(connection, id))
        .transpose()?;
    let rows = all(
        connection,
        "ledger",
        "SELECT state_name, count(*) FROM ledger WHERE (?1 IS NULL OR mailbox_no = ?1) GROUP BY state_name",
        params![mailbox],
        |row| Ok((row.get::<String>(0)?, row.unsigned(1)?)),
    )?;
    Ok(rows.into_iter().collect())
}

pub(super) fn quarantined_raw(read: &Read<'_>, id: LedgerId) -> Outcome<Option<RawMessage>> {
    let raw = one(
        read,
        "ledger",
        "SELECT raw_no FROM ledger WHERE id = ?1",
        params![id.bytes()],
        |row| row.get::<Option<i64>>(0),
    )?
    .flatten();
    raw.map(|no| piece_of(read, read.segments(), no))
        .transpose()
}
