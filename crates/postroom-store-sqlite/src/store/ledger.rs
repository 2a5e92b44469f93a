//! The rows of the ledger: how a state lies in its columns, and the listings that read them.

use postroom_core::email::{ContentIdentity, ContentKey};
use postroom_core::ledger::{FolderId, GoneEvidence, LedgerEntry, LedgerState, RemoteId};
use postroom_core::{LedgerId, MailboxId, RawMessage};
use postroom_store::{LedgerCounts, LedgerFilter, Page};
use rusqlite::{Connection, params};

use super::mailboxes;
use crate::database::{Read, Write};
use crate::failure::{Failure, Outcome};
use crate::segment::maybe_placed;
use crate::sql::{Id, Prepared, Row, all, int, json, one};

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
pub(super) use entries;

pub(super) fn entry(row: &Row<'_>) -> Outcome<LedgerEntry> {
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
pub(super) fn pack_identity(identity: &ContentIdentity) -> Outcome<Vec<u8>> {
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

/// The states by the number that stands for them in their column.
pub(super) const STATE_NAMES: [&str; 5] =
    ["pending", "delivered", "filtered", "quarantined", "gone"];

pub(super) fn state_number(name: &str) -> Option<i64> {
    (0..)
        .zip(STATE_NAMES)
        .find_map(|(number, known)| (known == name).then_some(number))
}

/// A state as the columns take it.
pub(super) struct StateColumns {
    pub(super) number: i64,
    pub(super) tried: bool,
    pub(super) not_before: i64,
    pub(super) record: Option<[u8; 16]>,
    /// The whole, where the others do not tell it.
    pub(super) state: Option<String>,
}

impl StateColumns {
    pub(super) fn of(state: &LedgerState) -> Outcome<Self> {
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

    pub(super) fn update(&self, update: &mut Prepared<'_>, no: i64) -> Outcome<()> {
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

pub(super) const UPDATE_STATE: &str =
    "UPDATE ledger SET state_no = ?2, tried = ?3, not_before_ms = ?4, record = ?5, state = ?6
     WHERE no = ?1";

pub(super) fn write_state(write: &Write<'_>, no: i64, state: &LedgerState) -> Outcome<()> {
    let mut update = Prepared::new(write, "ledger", UPDATE_STATE)?;
    StateColumns::of(state)?.update(&mut update, no)
}

/// The state whose columns begin at `first`: number, the whole, not before, record.
pub(super) fn state(row: &Row<'_>, first: usize) -> Outcome<LedgerState> {
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

pub(super) fn become_gone(write: &Write<'_>, no: i64, evidence: GoneEvidence) -> Outcome<()> {
    write_state(write, no, &LedgerState::Gone { evidence })
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
