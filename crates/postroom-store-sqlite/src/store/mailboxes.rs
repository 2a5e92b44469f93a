//! Mailboxes: what administrators set is one JSON value, what cycles leave has rows of its own.

use std::borrow::Cow;
use std::sync::Arc;

use postroom_core::approval::ApprovalState;
use postroom_core::health::Health;
use postroom_core::mailbox::{MailboxStatus, OwnerKind, WorkloadState};
use postroom_core::{EmailAddress, Mailbox, MailboxId, PartyId, Timestamp, Workload};
use postroom_store::{LookAgain, MailboxChange, MailboxFilter, MailboxOfParty, Page};
use rusqlite::{Connection, params};

use super::{config, incoming, schedule};
use crate::database::{Database, Read, Write};
use crate::decoded::Kept;
use crate::failure::{Failure, Outcome};
use crate::sql::{Id, Prepared, Row, all, change, insert, int, json, one};

/// The number of a mailbox's row.
pub(super) fn number(connection: &Connection, id: MailboxId) -> Outcome<i64> {
    one(
        connection,
        "mailboxes",
        "SELECT no FROM mailboxes WHERE id = ?1",
        params![id.bytes()],
        |row| row.get(0),
    )?
    .ok_or_else(|| Failure::not_found("mailbox"))
}

/// The same, asked of the database once: mailboxes keep their number for ever.
pub(super) fn number_kept(write: &Write<'_>, id: MailboxId) -> Outcome<i64> {
    number_known(write, write.database, id)
}

/// The same for reads.
pub(super) fn number_read(read: &Read<'_>, id: MailboxId) -> Outcome<i64> {
    number_known(read, read.database, id)
}

fn number_known(connection: &Connection, database: &Database, id: MailboxId) -> Outcome<i64> {
    let numbers = &database.decoded.mailbox_numbers;
    if let Some(no) = numbers.get(&id) {
        return Ok(no);
    }
    let no = number(connection, id)?;
    numbers.put(id, no);
    Ok(no)
}

fn name_key(mailbox: &Mailbox) -> String {
    // The address behind a separator that no name holds: one column serves order and search.
    let address = mailbox
        .address
        .as_ref()
        .map(EmailAddress::normalized)
        .unwrap_or_default();
    format!("{}\n{address}", mailbox.name.to_lowercase())
}

pub(super) fn create(write: &Write<'_>, mailbox: &Mailbox) -> Outcome<()> {
    check_free(write, mailbox)?;
    let no = insert(
        write,
        "INSERT INTO mailboxes (id, name_key, address, party, profile, active, revision, definition,
             approval, kind)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            mailbox.id.bytes(),
            name_key(mailbox),
            mailbox.address.as_ref().map(EmailAddress::normalized),
            mailbox.owner.party().as_ref().map(Id::bytes),
            mailbox.profile.as_ref().map(Id::bytes),
            mailbox.active,
            int(mailbox.revision),
            json(mailbox)?,
            mailbox.approval.as_str(),
            mailbox.owner.kind().as_str(),
        ],
    )
    .map_err(|failure| {
        if failure.is_duplicate() {
            Failure::exists("mailbox")
        } else {
            failure
        }
    })?;
    for workload in Workload::ALL {
        let state = mailbox.workload(workload);
        change(
            write,
            "INSERT INTO workloads (mailbox_no, workload, enabled, health, next_due_ms, idle_cycles,
                 last_started_ms, last_succeeded_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                no,
                workload.as_str(),
                state.enabled,
                health_text(&state.health)?,
                state.next_due.map(Timestamp::as_millis),
                state.idle_cycles,
                state.last_started.map(Timestamp::as_millis),
                state.last_succeeded.map(Timestamp::as_millis),
            ],
        )?;
    }
    Ok(())
}

/// Says by name what is taken, rather than that some index refused the row.
fn check_free(connection: &Connection, mailbox: &Mailbox) -> Outcome<()> {
    if let Some(address) = &mailbox.address {
        let taken = one(
            connection,
            "mailboxes",
            "SELECT 1 FROM mailboxes WHERE address = ?1 AND id <> ?2",
            params![address.normalized(), mailbox.id.bytes()],
            |_| Ok(()),
        )?;
        if taken.is_some() {
            return Err(Failure::exists("mailbox of that address"));
        }
    }
    if let Some(party) = mailbox.owner.party() {
        let taken = one(
            connection,
            "mailboxes",
            "SELECT 1 FROM mailboxes WHERE party = ?1 AND id <> ?2",
            params![party.bytes(), mailbox.id.bytes()],
            |_| Ok(()),
        )?;
        if taken.is_some() {
            return Err(Failure::exists("mailbox of that user or queue"));
        }
    }
    Ok(())
}

pub(super) fn update(write: &Write<'_>, mailbox: &Mailbox) -> Outcome<Mailbox> {
    let key = name_key(mailbox);
    let (no, revision, unchanged, listed) = one(
        write,
        "mailboxes",
        "SELECT no, revision, address, party, name_key, profile, active, approval, kind
         FROM mailboxes WHERE id = ?1",
        params![mailbox.id.bytes()],
        |row| {
            let address = mailbox.address.as_ref().map(EmailAddress::normalized);
            let party = mailbox.owner.party();
            let unchanged = row.get::<Option<String>>(2)?.as_deref() == address.as_deref()
                && row.maybe_id(3)? == party;
            let listed = unchanged
                && row.text(4)? == key
                && row.maybe_id(5)? == mailbox.profile
                && row.get::<bool>(6)? == mailbox.active
                && row.text(7)? == mailbox.approval.as_str()
                && row.text(8)? == mailbox.owner.kind().as_str();
            Ok((row.get::<i64>(0)?, row.unsigned(1)?, unchanged, listed))
        },
    )?
    .ok_or_else(|| Failure::not_found("mailbox"))?;
    if revision != mailbox.revision {
        return Err(Failure::conflict("the mailbox was changed meanwhile")
            .with("revision", revision.to_string()));
    }
    if !unchanged {
        check_free(write, mailbox)?;
    }
    let mut changed = mailbox.clone();
    changed.revision = revision.saturating_add(1);
    let stored = complete(write, (no, mailbox.clone()))?;
    for workload in Workload::ALL {
        let before = stored.workload(workload);
        let after = changed.workload_mut(workload);
        let enabled = after.enabled;
        after.next_due = before.next_due;
        after.last_started = before.last_started;
        after.last_succeeded = before.last_succeeded;
        if enabled && !before.enabled {
            // Put back into processing by a person or a test that passed: a new start.
            after.health = Health::Healthy;
            after.idle_cycles = 0;
        } else {
            after.health = before.health.clone();
            after.idle_cycles = before.idle_cycles;
        }
        if enabled == before.enabled {
            // Nothing in this row is an administrator's but that.
            continue;
        }
        change(
            write,
            "UPDATE workloads SET enabled = ?3, health = ?4, idle_cycles = ?5
             WHERE mailbox_no = ?1 AND workload = ?2",
            params![
                no,
                workload.as_str(),
                enabled,
                health_text(&after.health)?,
                after.idle_cycles
            ],
        )?;
    }
    if listed {
        // No index holds what changed: none of them is written.
        change(
            write,
            "UPDATE mailboxes SET revision = ?2, definition = ?3 WHERE no = ?1",
            params![no, int(changed.revision), json(&changed)?],
        )?;
        return Ok(changed);
    }
    change(
        write,
        "UPDATE mailboxes SET name_key = ?2, address = ?3, party = ?4, profile = ?5, active = ?6,
             revision = ?7, definition = ?8, approval = ?9, kind = ?10 WHERE no = ?1",
        params![
            no,
            key,
            changed.address.as_ref().map(EmailAddress::normalized),
            changed.owner.party().as_ref().map(Id::bytes),
            changed.profile.as_ref().map(Id::bytes),
            changed.active,
            int(changed.revision),
            json(&changed)?,
            changed.approval.as_str(),
            changed.owner.kind().as_str(),
        ],
    )?;
    Ok(changed)
}

/// One after the other in one transaction: a refusal comes before anything of its row is written.
pub(super) fn create_all(write: &Write<'_>, new: &[MailboxChange]) -> Outcome<Vec<Outcome<()>>> {
    let mut outcomes = Vec::with_capacity(new.len());
    for one in new {
        match create(write, &one.mailbox) {
            Ok(()) => {
                if let Some(entry) = &one.audit {
                    config::audit(write, entry)?;
                }
                outcomes.push(Ok(()));
            }
            Err(refused @ Failure::Refused { .. }) => outcomes.push(Err(refused)),
            Err(failure) => return Err(failure),
        }
    }
    Ok(outcomes)
}

/// What goes with a change that was stored.
fn follow(write: &Write<'_>, change: &MailboxChange, mailbox: &Mailbox) -> Outcome<()> {
    if let Some(entry) = &change.audit {
        config::audit(write, entry)?;
    }
    if let Some(again) = change.look_again {
        let LookAgain {
            reason, since, now, ..
        } = again;
        let found = incoming::replay_filtered(write, mailbox.id, reason, since, now)?;
        if found > 0 && mailbox.incoming.enabled {
            schedule::set_due(write, mailbox.id, Workload::Incoming, now)?;
        }
    }
    if let Some(at) = change.due {
        for workload in Workload::ALL {
            if mailbox.workload(workload).enabled {
                schedule::set_due(write, mailbox.id, workload, at)?;
            }
        }
    }
    Ok(())
}

/// One after the other in one transaction: a refusal comes before anything of its row is written.
pub(super) fn update_all(
    write: &Write<'_>,
    changes: &[MailboxChange],
) -> Outcome<Vec<Outcome<Mailbox>>> {
    let mut outcomes = Vec::with_capacity(changes.len());
    for one in changes {
        match update(write, &one.mailbox) {
            Ok(mailbox) => {
                follow(write, one, &mailbox)?;
                outcomes.push(Ok(mailbox));
            }
            Err(refused @ Failure::Refused { .. }) => outcomes.push(Err(refused)),
            Err(failure) => return Err(failure),
        }
    }
    Ok(outcomes)
}

/// A mailbox as its row has it, without what cycles leave.
fn read(row: &Row<'_>) -> Outcome<(i64, Mailbox)> {
    let mut mailbox: Mailbox = row.json(2)?;
    mailbox.revision = row.unsigned(1)?;
    Ok((row.get(0)?, mailbox))
}

/// The health of a workload that is well: nearly all of them, and no need to parse.
const HEALTHY: &str = r#"{"health":"healthy"}"#;

/// A workload's health as its column has it.
pub(super) fn health_text(health: &Health) -> Outcome<Cow<'static, str>> {
    match health {
        Health::Healthy => Ok(HEALTHY.into()),
        _ => json(health).map(Into::into),
    }
}

fn health(row: &Row<'_>, column: usize) -> Outcome<Health> {
    if row.text(column)? == HEALTHY {
        return Ok(Health::Healthy);
    }
    row.json(column)
}

/// The name of a workload.
pub(super) fn workload(row: &Row<'_>, column: usize) -> Outcome<Workload> {
    let name = row.text(column)?;
    Workload::ALL
        .into_iter()
        .find(|workload| workload.as_str() == name)
        .ok_or_else(|| row.corrupt(column))
}

/// What cycles leave, one row for each workload.
macro_rules! states {
    ($more:literal) => {
        concat!(
            "SELECT workload, enabled, health, next_due_ms, idle_cycles, last_started_ms,
                 last_succeeded_ms",
            $more,
            " FROM workloads WHERE mailbox_no = ?1"
        )
    };
}

fn read_state(row: &Row<'_>, mailbox: &Mailbox) -> Outcome<(Workload, WorkloadState)> {
    let workload = workload(row, 0)?;
    let mut state = WorkloadState::new(mailbox.workload(workload).method);
    let defined = mailbox.workload(workload);
    (state.test_status, state.tested_at) = (defined.test_status, defined.tested_at);
    state.enabled = row.get(1)?;
    state.health = health(row, 2)?;
    state.next_due = row.maybe_time(3)?;
    state.idle_cycles = row.small(4)?;
    state.last_started = row.maybe_time(5)?;
    state.last_succeeded = row.maybe_time(6)?;
    Ok((workload, state))
}

/// Adds what cycles leave.
fn complete(connection: &Connection, (no, mut mailbox): (i64, Mailbox)) -> Outcome<Mailbox> {
    let rows = all(connection, "workloads", states!(""), params![no], |row| {
        read_state(row, &mailbox)
    })?;
    for (workload, state) in rows {
        *mailbox.workload_mut(workload) = state;
    }
    Ok(mailbox)
}

fn complete_all(connection: &Connection, rows: Vec<(i64, Mailbox)>) -> Outcome<Vec<Mailbox>> {
    rows.into_iter()
        .map(|row| complete(connection, row))
        .collect()
}

pub(super) fn get(connection: &Connection, id: MailboxId) -> Outcome<Option<Mailbox>> {
    one(
        connection,
        "mailboxes",
        "SELECT no, revision, definition FROM mailboxes WHERE id = ?1",
        params![id.bytes()],
        read,
    )?
    .map(|row| complete(connection, row))
    .transpose()
}

/// A mailbox as a cycle needs it.
pub(super) struct Found {
    /// The number of its row.
    pub(super) no: i64,
    pub(super) mailbox: Mailbox,
    /// Of the workload that was asked for: whether it is held, its fence, and until when.
    pub(super) lease: (bool, u64, Timestamp),
}

/// Reads mailboxes for cycles, decoded only where they have changed.
pub(super) struct Reading<'c> {
    definition: Prepared<'c>,
    states: Prepared<'c>,
}

impl<'c> Reading<'c> {
    pub(super) fn new(connection: &'c Connection) -> Outcome<Self> {
        Ok(Self {
            definition: Prepared::new(connection, "mailboxes", DEFINITION)?,
            states: Prepared::new(
                connection,
                "workloads",
                "SELECT workload, enabled, health, next_due_ms, idle_cycles, last_started_ms,
                     last_succeeded_ms, holder IS NOT NULL, fence, lease_until_ms, revision
                 FROM mailboxes CROSS JOIN workloads WHERE no = ?1 AND mailbox_no = ?1",
            )?,
        })
    }

    pub(super) fn read(
        &mut self,
        write: &Write<'_>,
        id: MailboxId,
        wanted: Workload,
    ) -> Outcome<Found> {
        let no = number_kept(write, id)?;
        let kept = &write.database.decoded.mailboxes;
        let definition = &mut self.definition;
        let mut read: Option<Mailbox> = None;
        let mut lease = None;
        // Answers no row: each is taken in where it is read.
        self.states.find(params![no], |row| {
            let mailbox = match &mut read {
                Some(mailbox) => mailbox,
                none => {
                    // Every change of the definition counts its revision up.
                    let revision = row.unsigned(10)?;
                    let known = kept.known(&id).filter(|known| known.revision == revision);
                    let found = match known {
                        Some(known) => Mailbox::clone(&known),
                        None => decoded(definition, kept, no, id)?,
                    };
                    none.insert(found)
                }
            };
            let (workload, state) = read_state(row, mailbox)?;
            *mailbox.workload_mut(workload) = state;
            if workload == wanted {
                lease = Some((row.get(7)?, row.unsigned(8)?, row.time(9)?));
            }
            Ok(None::<()>)
        })?;
        let missing = || Failure::not_found("workload");
        Ok(Found {
            no,
            mailbox: read.ok_or_else(missing)?,
            lease: lease.ok_or_else(missing)?,
        })
    }
}

const DEFINITION: &str = "SELECT revision, definition FROM mailboxes WHERE no = ?1";

/// Decodes the definition of a mailbox, and keeps it.
fn decoded(
    definition: &mut Prepared<'_>,
    kept: &Kept<MailboxId, Mailbox>,
    no: i64,
    id: MailboxId,
) -> Outcome<Mailbox> {
    let found = definition.find(params![no], |row| {
        let mut mailbox: Mailbox = row.json(1)?;
        mailbox.revision = row.unsigned(0)?;
        Ok(Some(mailbox))
    })?;
    let mailbox = found.ok_or_else(|| Failure::not_found("mailbox"))?;
    kept.keep(id, mailbox.clone());
    Ok(mailbox)
}

pub(super) fn by_address(read: &Read<'_>, address: &EmailAddress) -> Outcome<Option<Mailbox>> {
    let found = one(
        read,
        "mailboxes",
        "SELECT no, id, revision FROM mailboxes WHERE address = ?1",
        params![address.normalized()],
        |row| {
            let id: MailboxId = row.id(1)?;
            Ok((row.get::<i64>(0)?, id, row.unsigned(2)?))
        },
    )?;
    let Some((no, id, revision)) = found else {
        return Ok(None);
    };
    let kept = &read.database.decoded.mailboxes;
    let known = kept.known(&id).filter(|known| known.revision == revision);
    let mailbox = match known {
        Some(known) => Mailbox::clone(&known),
        None => decoded(
            &mut Prepared::new(read, "mailboxes", DEFINITION)?,
            kept,
            no,
            id,
        )?,
    };
    complete(read, (no, mailbox)).map(Some)
}

pub(super) fn of_parties(read: &Read<'_>, parties: &[PartyId]) -> Outcome<Vec<MailboxOfParty>> {
    let kept = &read.database.decoded.mailboxes;
    let mut by_party = Prepared::new(
        read,
        "mailboxes",
        "SELECT no, id, revision FROM mailboxes WHERE party = ?1",
    )?;
    let mut definition = Prepared::new(read, "mailboxes", DEFINITION)?;
    let mut found = Vec::new();
    for party in parties {
        let row = by_party.find(params![party.bytes()], |row| {
            let id: MailboxId = row.id(1)?;
            Ok(Some((row.get::<i64>(0)?, id, row.unsigned(2)?)))
        })?;
        let Some((no, id, revision)) = row else {
            continue;
        };
        let known = kept.known(&id).filter(|known| known.revision == revision);
        let mailbox = match known {
            Some(known) => known,
            None => Arc::new(decoded(&mut definition, kept, no, id)?),
        };
        let party = mailbox.owner.party().unwrap_or(*party);
        let address = mailbox.address.clone();
        found.push(MailboxOfParty::new(party, id, address, mailbox.filter));
    }
    Ok(found)
}

/// The listing's statement: which columns, of which mailboxes, in which order. The health of a
/// workload begins with its name.
macro_rules! listing {
    ($columns:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM mailboxes
             WHERE (?1 IS NULL OR profile = ?1) AND (?2 IS NULL OR active = ?2)
               AND (?3 IS NULL OR instr(name_key, ?3) > 0)
               AND (?4 IS NULL OR approval = ?4) AND (?5 IS NULL OR kind = ?5)
               AND CASE ?6
                   WHEN 'enabled' THEN EXISTS (SELECT 1
                       FROM workloads INDEXED BY workloads_enabled
                       WHERE mailbox_no = mailboxes.no AND enabled = 1)
                   WHEN 'not_enabled' THEN NOT EXISTS (SELECT 1
                       FROM workloads INDEXED BY workloads_enabled
                       WHERE mailbox_no = mailboxes.no AND enabled = 1)
                   WHEN 'failing' THEN EXISTS (SELECT 1
                       FROM workloads INDEXED BY workloads_unwell
                       WHERE mailbox_no = mailboxes.no AND health <> '{\"health\":\"healthy\"}'
                         AND json_extract(health, '$.health') IN ('retrying', 'failing'))
                   WHEN 'disabled' THEN EXISTS (SELECT 1
                       FROM workloads INDEXED BY workloads_unwell
                       WHERE mailbox_no = mailboxes.no AND health <> '{\"health\":\"healthy\"}'
                         AND json_extract(health, '$.health') = 'disabled')
                   ELSE 1 END
             ORDER BY name_key, no LIMIT ?7 OFFSET ?8"
        )
    };
}

fn select<T>(
    connection: &Connection,
    sql: &'static str,
    filter: &MailboxFilter,
    page: Page,
    read: impl FnMut(&Row<'_>) -> Outcome<T>,
) -> Outcome<Vec<T>> {
    let status = match filter.status {
        None => None,
        Some(MailboxStatus::Enabled) => Some("enabled"),
        Some(MailboxStatus::NotEnabled) => Some("not_enabled"),
        Some(MailboxStatus::Failing) => Some("failing"),
        Some(MailboxStatus::Disabled) => Some("disabled"),
        Some(_) => return Err(Failure::invalid("this status is not kept here")),
    };
    all(
        connection,
        "mailboxes",
        sql,
        params![
            filter.profile.as_ref().map(Id::bytes),
            filter.active,
            filter.text.as_ref().map(|text| text.to_lowercase()),
            filter.approval.map(ApprovalState::as_str),
            filter.kind.map(OwnerKind::as_str),
            status,
            page.limit,
            int(page.offset),
        ],
        read,
    )
}

pub(super) fn list(
    connection: &Connection,
    filter: &MailboxFilter,
    page: Page,
) -> Outcome<Vec<Mailbox>> {
    let rows = select(
        connection,
        listing!("no, revision, definition"),
        filter,
        page,
        read,
    )?;
    complete_all(connection, rows)
}

pub(super) fn list_ids(
    connection: &Connection,
    filter: &MailboxFilter,
    page: Page,
) -> Outcome<Vec<MailboxId>> {
    select(connection, listing!("id"), filter, page, |row| row.id(0))
}

pub(super) fn get_all(connection: &Connection, ids: &[MailboxId]) -> Outcome<Vec<Mailbox>> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(get(connection, *id)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_good_health_is_its_json() {
        assert_eq!(json(&Health::Healthy).expect("JSON"), HEALTHY);
        // The index of those that are not well, and what is asked of it.
        let quoted = format!("health <> '{HEALTHY}'");
        assert!(include_str!("../../migrations/0004_status.sql").contains(&quoted));
        assert!(listing!("id").contains(&quoted));
    }
}
