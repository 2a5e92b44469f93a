//! The outbox, the feed's cursor, and the numbers that tokens are made of.

use postroom_core::email::MessageId;
use postroom_core::health::Health;
use postroom_core::outbox::{OutboxEntry, OutboxState};
use postroom_core::{MailboxId, OutboxId, PartyId, RawMessage, RecordId, Timestamp};
use postroom_store::{
    CrmCursor, Lease, LedgerCounts, NewOutgoing, OutboxFilter, OutgoingReport, Page, TokenNumbers,
};
use rusqlite::{Connection, params};

use super::{mailboxes, schedule};
use crate::crm;
use crate::database::{Read, Write};
use crate::failure::{Failure, Outcome};
use crate::index::{self, Indexing};
use crate::segment::placed;
use crate::sql::{Id, Row, all, change, insert, int, json, one};

fn entry(row: &Row<'_>) -> Outcome<OutboxEntry> {
    let mut entry: OutboxEntry = row.json(0)?;
    entry.state = row.json(1)?;
    Ok(entry)
}

fn not_before(state: &OutboxState) -> i64 {
    match state {
        OutboxState::PendingSend { not_before, .. } => not_before.as_millis(),
        OutboxState::Sending { .. }
        | OutboxState::Sent { .. }
        | OutboxState::Failed { .. }
        | OutboxState::Unknown { .. } => 0,
    }
}

/// Whether the application is told of a state.
fn is_told(state: &OutboxState) -> bool {
    match state {
        OutboxState::PendingSend { .. } => false,
        OutboxState::Sending { .. }
        | OutboxState::Sent { .. }
        | OutboxState::Failed { .. }
        | OutboxState::Unknown { .. } => true,
    }
}

pub(super) fn cursor(connection: &Connection) -> Outcome<Option<CrmCursor>> {
    one(
        connection,
        "organization",
        "SELECT outgoing_cursor FROM organization WHERE only_row = 1",
        [],
        |row| row.get::<Option<String>>(0),
    )
    .map(|text| text.flatten().map(CrmCursor::new))
}

pub(super) fn enqueue(
    write: &mut Write<'_>,
    emails: &[NewOutgoing],
    cursor: Option<&CrmCursor>,
) -> Outcome<()> {
    let mut indexing = Indexing::new(write)?;
    let healthy = mailboxes::health_text(&Health::Healthy)?;
    for email in emails {
        let entry = &email.entry;
        if let Some(record) = &entry.record {
            let known = one(
                write,
                "outbox",
                "SELECT 1 FROM outbox WHERE record = ?1",
                params![record.bytes()],
                |_| Ok(()),
            )?;
            if known.is_some() {
                continue;
            }
        }
        let mailbox_no = mailboxes::number_kept(write, entry.mailbox)?;
        let place = write.append(&email.raw)?;
        insert(
            write,
            "INSERT INTO outbox (id, mailbox_no, record, entry, state_name, state, not_before_ms,
                 unreported, raw)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                entry.id.bytes(),
                mailbox_no,
                entry.record.as_ref().map(Id::bytes),
                json(entry)?,
                entry.state.name(),
                json(&entry.state)?,
                not_before(&entry.state),
                entry.record.is_some() && is_told(&entry.state),
                place.pack(),
            ],
        )
        .map_err(|failure| {
            if failure.is_duplicate() {
                Failure::exists("outbox entry of that id")
            } else {
                failure
            }
        })?;
        if let Some(indexed) = &email.index {
            indexing.put(indexed, None)?;
        }
        // One in trouble keeps its own time: its server may have asked for a wait.
        change(
            write,
            "UPDATE workloads SET next_due_ms = ?2
             WHERE mailbox_no = ?1 AND workload = 'outgoing' AND next_due_ms > ?2 AND health = ?3",
            params![mailbox_no, entry.created_at.as_millis(), healthy],
        )?;
    }
    indexing.finish()?;
    if let Some(cursor) = cursor {
        change(
            write,
            "UPDATE organization SET outgoing_cursor = ?1 WHERE only_row = 1",
            params![cursor.as_str()],
        )?;
    }
    Ok(())
}

/// Which entries an outgoing cycle may find: some that wait, some under way, some in doubt.
pub(super) fn open(connection: &Connection, mailbox_no: i64) -> Outcome<(bool, bool, bool)> {
    let open = one(
        connection,
        "outbox",
        "SELECT EXISTS (SELECT 1 FROM outbox WHERE mailbox_no = ?1 AND state_name = 'pending_send'),
             EXISTS (SELECT 1 FROM outbox WHERE mailbox_no = ?1 AND state_name = 'sending'),
             EXISTS (SELECT 1 FROM outbox WHERE mailbox_no = ?1 AND state_name = 'unknown')",
        params![mailbox_no],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    Ok(open.unwrap_or_default())
}

/// When the first entry that waits may be tried.
pub(super) fn first_waiting(
    connection: &Connection,
    mailbox_no: i64,
) -> Outcome<Option<Timestamp>> {
    one(
        connection,
        "outbox",
        "SELECT min(not_before_ms) FROM outbox WHERE mailbox_no = ?1 AND state_name = 'pending_send'",
        params![mailbox_no],
        |row| row.maybe_time(0),
    )
    .map(Option::flatten)
}

pub(super) fn due(
    read: &Read<'_>,
    mailbox: MailboxId,
    now: Timestamp,
    limit: u32,
) -> Outcome<Vec<OutboxEntry>> {
    all(
        read,
        "outbox",
        "SELECT entry, state FROM outbox
         WHERE mailbox_no = ?1 AND state_name = 'pending_send' AND not_before_ms <= ?2
         ORDER BY no LIMIT ?3",
        params![
            mailboxes::number_read(read, mailbox)?,
            now.as_millis(),
            limit
        ],
        entry,
    )
}

pub(super) fn unfinished(
    read: &Read<'_>,
    mailbox: MailboxId,
    limit: u32,
) -> Outcome<Vec<OutboxEntry>> {
    all(
        read,
        "outbox",
        "SELECT entry, state FROM outbox
         WHERE mailbox_no = ?1 AND state_name = 'sending' ORDER BY no LIMIT ?2",
        params![mailboxes::number_read(read, mailbox)?, limit],
        entry,
    )
}

pub(super) fn get(connection: &Connection, id: OutboxId) -> Outcome<Option<OutboxEntry>> {
    one(
        connection,
        "outbox",
        "SELECT entry, state FROM outbox WHERE id = ?1",
        params![id.bytes()],
        entry,
    )
}

pub(super) fn list(
    read: &Read<'_>,
    filter: &OutboxFilter,
    page: Page,
) -> Outcome<Vec<OutboxEntry>> {
    let mailbox_no = match filter.mailbox {
        Some(id) => match mailboxes::number_read(read, id) {
            Ok(no) => Some(no),
            Err(Failure::Refused { .. }) => return Ok(Vec::new()),
            Err(failure) => return Err(failure),
        },
        None => None,
    };
    let record = filter.record.as_ref().map(Id::bytes);
    let (limit, offset) = (page.limit, int(page.offset));
    // Written out for the question that cycles ask, so that it has its index.
    if let (Some(mailbox_no), Some(state), None) = (mailbox_no, filter.state, record) {
        return all(
            read,
            "outbox",
            "SELECT entry, state FROM outbox WHERE mailbox_no = ?1 AND state_name = ?2
             ORDER BY no DESC LIMIT ?3 OFFSET ?4",
            params![mailbox_no, state, limit, offset],
            entry,
        );
    }
    all(
        read,
        "outbox",
        "SELECT entry, state FROM outbox
         WHERE (?1 IS NULL OR mailbox_no = ?1) AND (?2 IS NULL OR state_name = ?2)
           AND (?3 IS NULL OR record = ?3)
         ORDER BY no DESC LIMIT ?4 OFFSET ?5",
        params![mailbox_no, filter.state, record, limit, offset],
        entry,
    )
}

pub(super) fn raw(read: &Read<'_>, id: OutboxId) -> Outcome<RawMessage> {
    one(
        read,
        "outbox",
        "SELECT raw FROM outbox WHERE id = ?1",
        params![id.bytes()],
        |row| placed(read.segments(), row, 0),
    )?
    .ok_or_else(|| Failure::not_found("outbox entry"))
}

/// Takes an entry to its next state; `told` where the application is told in the same transaction.
pub(super) fn advance(
    write: &Write<'_>,
    lease: Option<&Lease>,
    id: OutboxId,
    from: &OutboxState,
    to: &OutboxState,
    alias: Option<&MessageId>,
    told: bool,
) -> Outcome<()> {
    let (no, mailbox_no, record, stored) = one(
        write,
        "outbox",
        "SELECT no, mailbox_no, record, state FROM outbox WHERE id = ?1",
        params![id.bytes()],
        |row| {
            let (no, mailbox_no) = (row.get::<i64>(0)?, row.get::<i64>(1)?);
            let record: Option<RecordId> = row.maybe_id(2)?;
            Ok((no, mailbox_no, record, row.json::<OutboxState>(3)?))
        },
    )?
    .ok_or_else(|| Failure::not_found("outbox entry"))?;
    if let Some(lease) = lease
        && schedule::check(write, lease)? != mailbox_no
    {
        return Err(Failure::invalid("the lease is for another mailbox"));
    }
    if &stored != from {
        return Err(Failure::conflict("the email has moved on").with("state", stored.name()));
    }
    change(
        write,
        "UPDATE outbox SET state_name = ?2, state = ?3, not_before_ms = ?4, unreported = ?5 WHERE no = ?1",
        params![
            no,
            to.name(),
            json(to)?,
            not_before(to),
            record.is_some() && is_told(to) && !told,
        ],
    )?;
    if let (Some(alias), Some(record)) = (alias, record) {
        index::add_alias(write, record, alias)?;
    }
    Ok(())
}

pub(super) fn unreported(connection: &Connection, limit: u32) -> Outcome<Vec<OutboxEntry>> {
    all(
        connection,
        "outbox",
        "SELECT entry, state FROM outbox WHERE unreported = 1 ORDER BY no LIMIT ?1",
        params![limit],
        entry,
    )
}

pub(super) fn mark_reported(write: &Write<'_>, told: &[(OutboxId, OutboxState)]) -> Outcome<()> {
    for (id, state) in told {
        mark_one_reported(write, *id, state)?;
    }
    Ok(())
}

/// Tells the application of these states, as far as they are the ones that are stored.
pub(super) fn report_and_mark(
    write: &Write<'_>,
    told: &[(OutboxId, OutboxState, OutgoingReport)],
) -> Outcome<()> {
    for (id, state, report) in told {
        if mark_one_reported(write, *id, state)? {
            crm::outgoing::report(write, std::slice::from_ref(report))?;
        }
    }
    Ok(())
}

/// Answers whether the entry still is in that state.
fn mark_one_reported(write: &Write<'_>, id: OutboxId, state: &OutboxState) -> Outcome<bool> {
    let stored = one(
        write,
        "outbox",
        "SELECT no, state FROM outbox WHERE id = ?1",
        params![id.bytes()],
        |row| Ok((row.get::<i64>(0)?, row.json::<OutboxState>(1)?)),
    )?;
    let Some((no, _)) = stored.filter(|(_, stored)| stored == state) else {
        return Ok(false);
    };
    change(
        write,
        "UPDATE outbox SET unreported = 0 WHERE no = ?1",
        params![no],
    )?;
    Ok(true)
}

pub(super) fn counts(connection: &Connection, mailbox: Option<MailboxId>) -> Outcome<LedgerCounts> {
    let mailbox = mailbox
        .map(|id| mailboxes::number(connection, id))
        .transpose()?;
    let rows = all(
        connection,
        "outbox",
        "SELECT state_name, count(*) FROM outbox WHERE (?1 IS NULL OR mailbox_no = ?1) GROUP BY state_name",
        params![mailbox],
        |row| Ok((row.get::<String>(0)?, row.unsigned(1)?)),
    )?;
    Ok(rows.into_iter().collect())
}

pub(super) fn token_numbers(write: &Write<'_>, senders: &[PartyId]) -> Outcome<Vec<TokenNumbers>> {
    senders
        .iter()
        .map(|sender| next_token_numbers(write, *sender))
        .collect()
}

pub(super) fn next_token_numbers(write: &Write<'_>, sender: PartyId) -> Outcome<TokenNumbers> {
    one(
        write,
        "token_numbers",
        "INSERT INTO token_numbers (party, counter) VALUES (?1, 1)
         ON CONFLICT (party) DO UPDATE SET counter = counter + 1
         RETURNING user_number, counter",
        params![sender.bytes()],
        |row| Ok(TokenNumbers::new(row.unsigned(0)?, row.unsigned(1)?)),
    )?
    .ok_or_else(|| Failure::not_found("sender"))
}
