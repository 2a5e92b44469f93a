//! The ledger and the reading of folders.

use postroom_core::catalogue::Code;
use postroom_core::email::{ContentIdentity, ContentKey};
use postroom_core::ledger::{
    FolderId, GoneEvidence, LedgerEntry, LedgerEvent, LedgerState, RemoteId, SyncCursor,
};
use postroom_core::tracking::Decision;
use postroom_core::{LedgerId, MailboxId, RawMessage, Timestamp, planted};
use postroom_store::{
    ErrorKind, FolderState, Lease, LedgerCounts, LedgerFilter, Page, PageOutcome, PageRecord,
    Settlement,
};
use rusqlite::{Connection, params};

use super::{mailboxes, schedule};
use crate::database::{Read, Write};
use crate::failure::{Failure, Outcome};
use crate::index::Indexing;
use crate::segment::maybe_placed;
use crate::sql::{Id, Prepared, Row, all, change, hash_of, insert, int, json, one};

/// What [`entry`] reads.
macro_rules! entries {
    ($rest:literal) => {
        concat!(
            "SELECT ledger.id, mailboxes.id, folders.folder, ledger.remote_id, ledger.received_at_ms,
                 ledger.size_bytes, ledger.first_seen_ms, ledger_decisions.identity,
                 ledger_decisions.decision, ledger.state_no, ledger.state, ledger.not_before_ms,
                 ledger.record
             FROM ledger JOIN mailboxes ON mailboxes.no = ledger.mailbox_no
             JOIN folders ON folders.no = ledger.folder_no
             LEFT JOIN ledger_decisions ON ledger_decisions.ledger_no = ledger.no ",
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
    entry.identity = match row.maybe_bytes(7)? {
        Some(bytes) => Some(unpack_identity(bytes).ok_or_else(|| row.corrupt(7))?),
        None => None,
    };
    entry.decision = row.maybe_json(8)?;
    entry.state = state(row, 9)?;
    Ok(entry)
}

/// An identity as a column keeps it: its kind and the key.
fn pack_identity(identity: &ContentIdentity) -> Outcome<Vec<u8>> {
    let kind = match identity {
        ContentIdentity::MessageId(_) => 0,
        ContentIdentity::Headers(_) => 1,
        ContentIdentity::Content(_) => 2,
        _ => {
            return Err(Failure::invalid(
                "identities of this kind are not kept here",
            ));
        }
    };
    let mut bytes = vec![kind];
    bytes.extend_from_slice(identity.key().as_bytes());
    Ok(bytes)
}

fn unpack_identity(bytes: &[u8]) -> Option<ContentIdentity> {
    let (kind, key) = bytes.split_first()?;
    let key = ContentKey::from_bytes(key.try_into().ok()?);
    match kind {
        0 => Some(ContentIdentity::MessageId(key)),
        1 => Some(ContentIdentity::Headers(key)),
        2 => Some(ContentIdentity::Content(key)),
        _ => None,
    }
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

/// Where the reading of every folder of a mailbox stands.
pub(super) fn folder_states(
    connection: &Connection,
    mailbox_no: i64,
) -> Outcome<Vec<(FolderId, FolderState)>> {
    all(
        connection,
        "folders",
        "SELECT folder, cursor, relisting FROM folders WHERE mailbox_no = ?1 ORDER BY no",
        params![mailbox_no],
        |row| {
            let cursor = row.get::<Option<String>>(1)?.map(SyncCursor::new);
            Ok((
                FolderId::new(row.text(0)?),
                FolderState::new(cursor, row.get(2)?),
            ))
        },
    )
}

/// Whether [`pending`] would answer any row.
pub(super) fn any_pending(
    connection: &Connection,
    mailbox_no: i64,
    now: Timestamp,
) -> Outcome<bool> {
    one(
        connection,
        "ledger",
        "SELECT 1 FROM ledger WHERE mailbox_no = ?1 AND state_no = 0 AND not_before_ms <= ?2 LIMIT 1",
        params![mailbox_no, now.as_millis()],
        |_| Ok(()),
    )
    .map(|found| found.is_some())
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

/// The states by the number that stands for them in their column.
const STATE_NAMES: [&str; 5] = ["pending", "delivered", "filtered", "quarantined", "gone"];

fn state_number(name: &str) -> Option<i64> {
    (0..)
        .zip(STATE_NAMES)
        .find_map(|(number, known)| (known == name).then_some(number))
}

/// A state as the columns take it.
struct StateColumns {
    number: i64,
    tried: bool,
    not_before: i64,
    record: Option<[u8; 16]>,
    /// The whole, where the others do not tell it.
    state: Option<String>,
}

impl StateColumns {
    fn of(state: &LedgerState) -> Outcome<Self> {
        let mut columns = Self {
            number: state_number(state.name())
                .ok_or_else(|| Failure::invalid("a state that is not known here"))?,
            tried: false,
            not_before: 0,
            record: None,
            state: None,
        };
        match state {
            LedgerState::Pending {
                attempts,
                not_before,
                last,
            } => {
                columns.tried = *attempts > 0;
                columns.not_before = not_before.as_millis();
                if *attempts == 0 && last.is_none() {
                    return Ok(columns);
                }
            }
            LedgerState::Delivered { record, created } => {
                columns.record = Some(*record.bytes());
                if *created {
                    return Ok(columns);
                }
            }
            LedgerState::Filtered { .. }
            | LedgerState::Quarantined { .. }
            | LedgerState::Gone { .. } => {}
        }
        columns.state = Some(json(state)?);
        Ok(columns)
    }

    fn update(&self, update: &mut Prepared<'_>, no: i64) -> Outcome<()> {
        update.change(params![
            no,
            self.number,
            self.tried,
            self.not_before,
            self.record,
            self.state
        ])?;
        Ok(())
    }
}

const UPDATE_STATE: &str =
    "UPDATE ledger SET state_no = ?2, tried = ?3, not_before_ms = ?4, record = ?5, state = ?6
     WHERE no = ?1";

fn write_state(write: &Write<'_>, no: i64, state: &LedgerState) -> Outcome<()> {
    let mut update = Prepared::new(write, "ledger", UPDATE_STATE)?;
    StateColumns::of(state)?.update(&mut update, no)
}

/// The state whose columns begin at `first`: number, the whole, not before, record.
fn state(row: &Row<'_>, first: usize) -> Outcome<LedgerState> {
    if let Some(state) = row.maybe_json(first + 1)? {
        return Ok(state);
    }
    match row.get::<i64>(first)? {
        0 => Ok(LedgerState::listed(row.time(first + 2)?)),
        1 => Ok(LedgerState::Delivered {
            record: row.id(first + 3)?,
            created: true,
        }),
        _ => Err(row.corrupt(first)),
    }
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
    let state = match filter.state.map(state_number) {
        Some(None) => return Ok(Vec::new()),
        Some(number) => number,
        None => None,
    };
    // Written out for each kind of question, so that each has its index.
    let (limit, offset) = (page.limit, int(page.offset));
    match (mailbox, record, state) {
        (_, Some(record), _) => all(
            connection,
            "ledger",
            entries!(
                "WHERE ledger.record = ?1 AND (?2 IS NULL OR ledger.mailbox_no = ?2)
                   AND (?3 IS NULL OR ledger.state_no = ?3)
                 ORDER BY ledger.no DESC LIMIT ?4 OFFSET ?5"
            ),
            params![record, mailbox, state, limit, offset],
            entry,
        ),
        // Nothing but what is pending is ever marked as tried.
        (Some(mailbox), None, Some(state)) if state != 0 => all(
            connection,
            "ledger",
            entries!(
                "WHERE ledger.mailbox_no = ?1 AND ledger.state_no = ?2 AND ledger.tried = 0
                 ORDER BY ledger.no DESC LIMIT ?3 OFFSET ?4"
            ),
            params![mailbox, state, limit, offset],
            entry,
        ),
        (Some(mailbox), None, Some(state)) => all(
            connection,
            "ledger",
            entries!(
                "WHERE ledger.mailbox_no = ?1 AND ledger.state_no = ?2
                 ORDER BY ledger.no DESC LIMIT ?3 OFFSET ?4"
            ),
            params![mailbox, state, limit, offset],
            entry,
        ),
        (mailbox, None, state) => all(
            connection,
            "ledger",
            entries!(
                "WHERE (?1 IS NULL OR ledger.mailbox_no = ?1) AND (?2 IS NULL OR ledger.state_no = ?2)
                 ORDER BY ledger.no DESC LIMIT ?3 OFFSET ?4"
            ),
            params![mailbox, state, limit, offset],
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
        "SELECT state_no, count(*) FROM ledger WHERE (?1 IS NULL OR mailbox_no = ?1) GROUP BY state_no",
        params![mailbox],
        |row| {
            let number = usize::try_from(row.get::<i64>(0)?).ok();
            let name = number.and_then(|number| STATE_NAMES.get(number));
            let name = name.ok_or_else(|| row.corrupt(0))?;
            Ok(((*name).to_owned(), row.unsigned(1)?))
        },
    )?;
    Ok(rows.into_iter().collect())
}

pub(super) fn quarantined_raw(read: &Read<'_>, id: LedgerId) -> Outcome<Option<RawMessage>> {
    one(
        read,
        "ledger",
        "SELECT raw FROM ledger WHERE id = ?1",
        params![id.bytes()],
        |row| maybe_placed(read.segments(), row, 0),
    )
    .map(Option::flatten)
}
