//! Parties and records of other kinds.

use postroom_core::party::{Party, PartyKind};
use postroom_core::{EmailAddress, PartyId, RecordId};
use postroom_store::Page;
use rusqlite::{Connection, params};

use super::types::{GenericRecord, PartyFilter, PartyView};
use crate::database::Write;
use crate::failure::{Failure, Outcome};
use crate::sql::{Id, Row, all, change, insert, int, one, word};

fn party(row: &Row<'_>) -> Outcome<Party> {
    let mut party = Party::new(row.id(0)?, row.word(1)?, row.text(2)?);
    party.active = row.get(3)?;
    party.owner = row.maybe_id(4)?;
    Ok(party)
}

pub(super) fn resolve(
    connection: &Connection,
    addresses: &[EmailAddress],
) -> Outcome<Vec<Vec<Party>>> {
    addresses
        .iter()
        .map(|address| {
            all(
                connection,
                "crm_parties",
                "SELECT crm_parties.id, crm_parties.kind, crm_parties.name, crm_parties.active, crm_parties.owner
                 FROM crm_addresses JOIN crm_parties ON crm_parties.no = crm_addresses.party_no
                 WHERE crm_addresses.address = ?1 ORDER BY crm_parties.no",
                params![address.normalized()],
                party,
            )
        })
        .collect()
}

pub(super) fn save(write: &Write<'_>, party: &Party) -> Outcome<()> {
    change(
        write,
        "INSERT INTO crm_parties (id, kind, name, active, owner) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = excluded.name,
             active = excluded.active, owner = excluded.owner",
        params![
            party.id.bytes(),
            word(&party.kind)?,
            party.name,
            party.active,
            party.owner.as_ref().map(Id::bytes),
        ],
    )?;
    Ok(())
}

pub(super) fn create(
    write: &Write<'_>,
    kind: PartyKind,
    name: &str,
    addresses: &[EmailAddress],
    owner: Option<PartyId>,
) -> Outcome<PartyId> {
    let id = PartyId::from_random(write.random()?);
    let mut party = Party::new(id, kind, name);
    party.owner = owner;
    save(write, &party)?;
    for address in addresses {
        add_address(write, id, address)?;
    }
    Ok(id)
}

pub(super) fn add_address(write: &Write<'_>, id: PartyId, address: &EmailAddress) -> Outcome<()> {
    let no = one(
        write,
        "crm_parties",
        "SELECT no FROM crm_parties WHERE id = ?1",
        params![id.bytes()],
        |row| row.get::<i64>(0),
    )?
    .ok_or_else(|| Failure::not_found("party"))?;
    change(
        write,
        "INSERT INTO crm_addresses (address, party_no, spelling) VALUES (?1, ?2, ?3)
         ON CONFLICT (address, party_no) DO UPDATE SET spelling = excluded.spelling",
        params![address.normalized(), no, address.as_str()],
    )?;
    Ok(())
}

/// These are all of the party's addresses from now on.
pub(super) fn set_addresses(
    write: &Write<'_>,
    id: PartyId,
    addresses: &[EmailAddress],
) -> Outcome<()> {
    change(
        write,
        "DELETE FROM crm_addresses
         WHERE party_no = (SELECT no FROM crm_parties WHERE id = ?1)",
        params![id.bytes()],
    )?;
    for address in addresses {
        add_address(write, id, address)?;
    }
    Ok(())
}

fn with_addresses(connection: &Connection, rows: Vec<(i64, Party)>) -> Outcome<Vec<PartyView>> {
    rows.into_iter()
        .map(|(no, party)| {
            let addresses = all(
                connection,
                "crm_addresses",
                "SELECT spelling FROM crm_addresses WHERE party_no = ?1 ORDER BY address",
                params![no],
                |row| row.text(0)?.parse().map_err(|_unreadable| row.corrupt(0)),
            )?;
            Ok(PartyView { party, addresses })
        })
        .collect()
}

pub(super) fn get(connection: &Connection, id: PartyId) -> Outcome<Option<PartyView>> {
    let row = one(
        connection,
        "crm_parties",
        "SELECT id, kind, name, active, owner, no FROM crm_parties WHERE id = ?1",
        params![id.bytes()],
        |row| Ok((row.get(5)?, party(row)?)),
    )?;
    with_addresses(connection, row.into_iter().collect()).map(|mut found| found.pop())
}

pub(super) fn list(
    connection: &Connection,
    filter: &PartyFilter,
    page: Page,
) -> Outcome<Vec<PartyView>> {
    let rows = all(
        connection,
        "crm_parties",
        "SELECT id, kind, name, active, owner, no FROM crm_parties
         WHERE (?1 IS NULL OR kind = ?1)
           AND (?2 IS NULL OR instr(lower(name), ?2) > 0 OR EXISTS (
               SELECT 1 FROM crm_addresses
               WHERE crm_addresses.party_no = crm_parties.no AND instr(crm_addresses.address, ?2) > 0))
         ORDER BY name, no LIMIT ?3 OFFSET ?4",
        params![
            filter.kind.as_ref().map(word).transpose()?,
            filter.text.as_ref().map(|text| text.to_lowercase()),
            page.limit,
            int(page.offset),
        ],
        |row| Ok((row.get(5)?, party(row)?)),
    )?;
    with_addresses(connection, rows)
}

pub(super) fn create_record(write: &Write<'_>, kind: &str, title: &str) -> Outcome<RecordId> {
    let id = RecordId::from_random(write.random()?);
    insert(
        write,
        "INSERT INTO crm_records (id, kind, title) VALUES (?1, ?2, ?3)",
        params![id.bytes(), kind, title],
    )?;
    Ok(id)
}

fn record(row: &Row<'_>) -> Outcome<GenericRecord> {
    Ok(GenericRecord {
        id: row.id(0)?,
        kind: row.get(1)?,
        title: row.get(2)?,
    })
}

pub(super) fn get_record(connection: &Connection, id: RecordId) -> Outcome<Option<GenericRecord>> {
    one(
        connection,
        "crm_records",
        "SELECT id, kind, title FROM crm_records WHERE id = ?1",
        params![id.bytes()],
        record,
    )
}

pub(super) fn records(connection: &Connection, page: Page) -> Outcome<Vec<GenericRecord>> {
    all(
        connection,
        "crm_records",
        "SELECT id, kind, title FROM crm_records ORDER BY no DESC LIMIT ?1 OFFSET ?2",
        params![page.limit, int(page.offset)],
        record,
    )
}
