//! Sealed secrets.

use std::sync::Arc;

use postroom_core::{OrganizationId, Secret};
use postroom_store::SecretOwner;
use rusqlite::{Connection, params};

use crate::database::{Database, Read, Write};
use crate::failure::{Failure, Outcome};
use crate::seal::{NONCE_BYTES, Seal, Sealed, wrong};
use crate::sql::{Id, Row, all, change, one};

/// What the key check seals.
const CHECK: &[u8] = b"postroom key check 1";

/// The row of an owner: kind and id.
fn row_of(owner: SecretOwner) -> Outcome<(&'static str, [u8; 16])> {
    match owner {
        SecretOwner::ProfileIncoming(id) => Ok(("profile_incoming", *id.bytes())),
        SecretOwner::ProfileOutgoing(id) => Ok(("profile_outgoing", *id.bytes())),
        SecretOwner::Mailbox(id) => Ok(("mailbox", *id.bytes())),
        _ => Err(Failure::invalid("secrets of this owner are not kept here")),
    }
}

/// What a sealed value is bound to. The fields have fixed or final lengths: no two rows share it.
fn bound_to(organization: &OrganizationId, kind: &str, owner: &[u8; 16]) -> Vec<u8> {
    let mut data = b"postroom.secret.v1\0".to_vec();
    data.extend_from_slice(organization.bytes());
    data.extend_from_slice(owner);
    data.extend_from_slice(kind.as_bytes());
    data
}

fn organization_id(connection: &Connection) -> Outcome<OrganizationId> {
    one(
        connection,
        "organization",
        "SELECT id FROM organization WHERE only_row = 1",
        [],
        |row| row.id(0),
    )?
    .ok_or_else(|| Failure::Corrupt {
        table: "organization",
        column: "only_row".to_owned(),
    })
}

fn sealed(row: &Row<'_>, nonce: usize) -> Outcome<Sealed> {
    Ok(Sealed {
        nonce: row.get::<[u8; NONCE_BYTES]>(nonce)?,
        bytes: row.get(nonce + 1)?,
    })
}

pub(super) fn put(write: &Write<'_>, owner: SecretOwner, secret: &Secret) -> Outcome<()> {
    let (kind, id) = row_of(owner)?;
    let table = if kind == "mailbox" {
        "mailboxes"
    } else {
        "profiles"
    };
    one(
        write,
        table,
        if kind == "mailbox" {
            "SELECT 1 FROM mailboxes WHERE id = ?1"
        } else {
            "SELECT 1 FROM profiles WHERE id = ?1"
        },
        params![id],
        |_| Ok(()),
    )?
    .ok_or_else(|| Failure::not_found("owner of the secret"))?;
    let organization = organization_id(write)?;
    let seal = claim_key(write, &organization)?;
    let mut nonce = [0; NONCE_BYTES];
    write.database.fill(&mut nonce)?;
    let sealed = seal.seal(
        nonce,
        secret.expose().as_bytes(),
        &bound_to(&organization, kind, &id),
    )?;
    change(
        write,
        "INSERT INTO secrets (owner_kind, owner, nonce, sealed) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (owner_kind, owner) DO UPDATE SET nonce = excluded.nonce, sealed = excluded.sealed",
        params![kind, id, sealed.nonce, sealed.bytes],
    )?;
    changed(write)
}

/// Tells whoever remembers secrets that they are others now.
fn changed(write: &Write<'_>) -> Outcome<()> {
    change(
        write,
        "UPDATE organization SET secrets_changed = secrets_changed + 1 WHERE only_row = 1",
        [],
    )?;
    Ok(())
}

pub(super) fn get(read: &Read<'_>, owner: SecretOwner) -> Outcome<Option<Secret>> {
    let (kind, id) = row_of(owner)?;
    let Some(sealed) = one(
        read,
        "secrets",
        "SELECT nonce, sealed FROM secrets WHERE owner_kind = ?1 AND owner = ?2",
        params![kind, id],
        |row| sealed(row, 0),
    )?
    else {
        return Ok(None);
    };
    let organization = organization_id(read)?;
    let value =
        current_seal(read, read.database)?.open(&sealed, &bound_to(&organization, kind, &id))?;
    std::str::from_utf8(&value)
        .map(|text| Some(Secret::new(text)))
        .map_err(|_not_text| Failure::Corrupt {
            table: "secrets",
            column: "sealed".to_owned(),
        })
}

pub(super) fn delete(write: &Write<'_>, owner: SecretOwner) -> Outcome<()> {
    let (kind, id) = row_of(owner)?;
    change(
        write,
        "DELETE FROM secrets WHERE owner_kind = ?1 AND owner = ?2",
        params![kind, id],
    )?;
    changed(write)
}

/// Forgets all secrets and the key that sealed them.
pub(crate) fn discard(write: &Write<'_>) -> Outcome<()> {
    change(write, "DELETE FROM secrets", [])?;
    change(
        write,
        "UPDATE organization SET key_id = '', key_nonce = x'', key_check = x'' WHERE only_row = 1",
        [],
    )?;
    changed(write)
}

/// Whether the key of this store opens its secrets; a store without secrets takes any key, or none.
pub(crate) fn check_key(read: &Read<'_>) -> Outcome<()> {
    let seal = current_seal(read, read.database)?;
    if any_secrets(read)? && seal.key_id().is_some() {
        open_check(read, &seal)?;
    }
    Ok(())
}

/// The key that the stored secrets are sealed with, as far as it is known here.
fn current_seal(connection: &Connection, database: &Database) -> Outcome<Arc<Seal>> {
    let id = one(
        connection,
        "organization",
        "SELECT key_id FROM organization WHERE only_row = 1",
        [],
        |row| row.get::<String>(0),
    )?
    .filter(|id| !id.is_empty());
    Ok(database.keys.find(id.as_deref()))
}

/// Makes another key the store's, sealing everything anew with it.
pub(super) fn rotate_in(database: &Database, new: Arc<Seal>) -> Outcome<u64> {
    // Known before it is in use: nobody finds a secret that no known key opens.
    database.keys.add(Arc::clone(&new));
    let done = database.write(|write| rotate(write, &new));
    match &done {
        Ok(_) => database.keys.replace(new),
        Err(_) => database.keys.remove(&new),
    }
    done
}

/// Seals everything anew with another key.
fn rotate(write: &Write<'_>, new: &Seal) -> Outcome<u64> {
    let organization = organization_id(write)?;
    let old = current_seal(write, write.database)?;
    let any = any_secrets(write)?;
    if any {
        open_check(write, &old)?;
    }
    let rows = all(
        write,
        "secrets",
        "SELECT owner_kind, owner, nonce, sealed FROM secrets ORDER BY owner_kind, owner",
        [],
        |row| {
            Ok((
                row.get::<String>(0)?,
                row.get::<[u8; 16]>(1)?,
                sealed(row, 2)?,
            ))
        },
    )?;
    let mut count = 0;
    for (kind, owner, before) in rows {
        let aad = bound_to(&organization, &kind, &owner);
        let value = old.open(&before, &aad)?;
        let mut nonce = [0; NONCE_BYTES];
        write.database.fill(&mut nonce)?;
        let after = new.seal(nonce, &value, &aad)?;
        change(
            write,
            "UPDATE secrets SET nonce = ?3, sealed = ?4 WHERE owner_kind = ?1 AND owner = ?2",
            params![kind, owner, after.nonce, after.bytes],
        )?;
        count += 1;
    }
    store_check(write, new, &organization)?;
    changed(write)?;
    Ok(count)
}

fn any_secrets(connection: &Connection) -> Outcome<bool> {
    one(
        connection,
        "secrets",
        "SELECT EXISTS (SELECT 1 FROM secrets)",
        [],
        |row| row.get(0),
    )
    .map(|found| found.unwrap_or(false))
}

fn check_bound_to(organization: &OrganizationId) -> Vec<u8> {
    bound_to(organization, "key_check", &[0; 16])
}

fn open_check(connection: &Connection, seal: &Seal) -> Outcome<()> {
    let organization = organization_id(connection)?;
    let (key_id, check) = one(
        connection,
        "organization",
        "SELECT key_id, key_nonce, key_check FROM organization WHERE only_row = 1",
        [],
        |row| Ok((row.get::<String>(0)?, sealed(row, 1)?)),
    )?
    .ok_or_else(|| wrong("the store has no key check"))?;
    match seal.open(&check, &check_bound_to(&organization)) {
        Ok(value) if value.as_slice() == CHECK => Ok(()),
        Ok(_) => Err(wrong("the key check does not fit")),
        Err(failure) => Err(failure
            .with("sealed with key", key_id)
            .with("given key", seal.key_id().unwrap_or("none"))),
    }
}

/// Makes sure that all secrets are sealed with one key: this store's, from its first secret on.
fn claim_key(write: &Write<'_>, organization: &OrganizationId) -> Outcome<Arc<Seal>> {
    if any_secrets(write)? {
        let seal = current_seal(write, write.database)?;
        open_check(write, &seal)?;
        return Ok(seal);
    }
    let seal = write.database.keys.configured();
    store_check(write, &seal, organization)?;
    Ok(seal)
}

fn store_check(write: &Write<'_>, seal: &Seal, organization: &OrganizationId) -> Outcome<()> {
    let mut nonce = [0; NONCE_BYTES];
    write.database.fill(&mut nonce)?;
    let check = seal.seal(nonce, CHECK, &check_bound_to(organization))?;
    change(
        write,
        "UPDATE organization SET key_id = ?1, key_nonce = ?2, key_check = ?3 WHERE only_row = 1",
        params![seal.key_id().unwrap_or_default(), check.nonce, check.bytes],
    )?;
    Ok(())
}
