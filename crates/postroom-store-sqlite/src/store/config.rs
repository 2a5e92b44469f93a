//! Organization, profiles, the audit trail.

use std::sync::Arc;

use postroom_core::audit::AuditEntry;
use postroom_core::connection::ConnectionTest;
use postroom_core::settings::SettingChange;
use postroom_core::{Organization, ProfileId, ServerProfile};
use postroom_store::{Page, SecretOwner};
use rusqlite::{Connection, params};

use super::secrets;
use crate::database::{Database, Read, Write};
use crate::failure::{Failure, Outcome};
use crate::sql::{Id, all, change, insert, int, json, one};

pub(super) fn organization(read: &Read<'_>) -> Outcome<Organization> {
    let (organization, _) = organization_kept(read, read.database)?;
    Ok(Arc::unwrap_or_clone(organization))
}

/// The organization, decoded only where it has changed, and the number that changes with every
/// secret.
pub(super) fn organization_kept(
    connection: &Connection,
    database: &Database,
) -> Outcome<(Arc<Organization>, u64)> {
    one(
        connection,
        "organization",
        "SELECT id, definition, secrets_changed FROM organization WHERE only_row = 1",
        [],
        |row| {
            let id = row.id(0)?;
            let secrets = row.unsigned(2)?;
            let kept = database.decoded.organizations.json(id, row, 1)?;
            if kept.id == id {
                return Ok((kept, secrets));
            }
            let mut organization = Organization::clone(&kept);
            organization.id = id;
            Ok((Arc::new(organization), secrets))
        },
    )?
    .ok_or_else(|| Failure::Corrupt {
        table: "organization",
        column: "only_row".to_owned(),
    })
}

pub(super) fn save_organization(write: &Write<'_>, organization: &Organization) -> Outcome<()> {
    change(
        write,
        "UPDATE organization SET definition = ?1 WHERE only_row = 1",
        params![json(organization)?],
    )?;
    Ok(())
}

pub(super) fn change_organization(
    write: &Write<'_>,
    expected: &Organization,
    next: &Organization,
    changes: &[SettingChange],
) -> Outcome<()> {
    let (stored, _) = organization_kept(write, write.database)?;
    let mut stored = Arc::unwrap_or_clone(stored);
    stored.id = expected.id;
    if stored != *expected {
        return Err(Failure::conflict("the settings were changed meanwhile"));
    }
    save_organization(write, next)?;
    for entry in changes {
        insert(
            write,
            "INSERT INTO setting_changes (name, entry) VALUES (?1, ?2)",
            params![entry.name, json(entry)?],
        )?;
    }
    Ok(())
}

pub(super) fn setting_changes(
    connection: &Connection,
    name: Option<&str>,
    page: Page,
) -> Outcome<Vec<SettingChange>> {
    all(
        connection,
        "setting_changes",
        "SELECT entry FROM setting_changes WHERE (?1 IS NULL OR name = ?1)
         ORDER BY no DESC LIMIT ?2 OFFSET ?3",
        params![name, page.limit, int(page.offset)],
        |row| row.json(0),
    )
}

pub(super) fn profiles(read: &Read<'_>) -> Outcome<Vec<ServerProfile>> {
    all(
        read,
        "profiles",
        "SELECT id, definition FROM profiles ORDER BY name_key, no",
        [],
        |row| {
            let kept = read.database.decoded.profiles.json(row.id(0)?, row, 1)?;
            Ok(ServerProfile::clone(&kept))
        },
    )
}

pub(super) fn profile(connection: &Connection, id: ProfileId) -> Outcome<Option<ServerProfile>> {
    one(
        connection,
        "profiles",
        "SELECT definition FROM profiles WHERE id = ?1",
        params![id.bytes()],
        |row| row.json(0),
    )
}

/// The same, decoded only where it has changed.
pub(super) fn profile_kept(
    write: &Write<'_>,
    id: ProfileId,
) -> Outcome<Option<Arc<ServerProfile>>> {
    one(
        write,
        "profiles",
        "SELECT definition FROM profiles WHERE id = ?1",
        params![id.bytes()],
        |row| write.database.decoded.profiles.json(id, row, 0),
    )
}

pub(super) fn save_profile(write: &Write<'_>, profile: &ServerProfile) -> Outcome<()> {
    change(
        write,
        "INSERT INTO profiles (id, name_key, definition) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET name_key = excluded.name_key, definition = excluded.definition",
        params![profile.id.bytes(), profile.name.to_lowercase(), json(profile)?],
    )
    .map(|_| ())
    .map_err(|failure| {
        if failure.is_duplicate() {
            Failure::exists("profile of that name")
        } else {
            failure
        }
    })
}

pub(super) fn delete_profile(write: &Write<'_>, id: ProfileId) -> Outcome<()> {
    let used = one(
        write,
        "mailboxes",
        "SELECT count(*) FROM mailboxes WHERE profile = ?1",
        params![id.bytes()],
        |row| row.unsigned(0),
    )?
    .unwrap_or_default();
    if used > 0 {
        return Err(
            Failure::conflict("mailboxes use the profile").with("mailboxes", used.to_string())
        );
    }
    secrets::delete(write, SecretOwner::ProfileIncoming(id))?;
    secrets::delete(write, SecretOwner::ProfileOutgoing(id))?;
    match change(
        write,
        "DELETE FROM profiles WHERE id = ?1",
        params![id.bytes()],
    )? {
        0 => Err(Failure::not_found("profile")),
        _ => Ok(()),
    }
}

pub(super) fn save_connection_test(
    write: &Write<'_>,
    id: ProfileId,
    test: &ConnectionTest,
) -> Outcome<()> {
    match change(
        write,
        "UPDATE profiles SET connection_test = ?2 WHERE id = ?1",
        params![id.bytes(), json(test)?],
    )? {
        0 => Err(Failure::not_found("profile")),
        _ => Ok(()),
    }
}

pub(super) fn connection_test(
    connection: &Connection,
    id: ProfileId,
) -> Outcome<Option<ConnectionTest>> {
    one(
        connection,
        "profiles",
        "SELECT connection_test FROM profiles WHERE id = ?1",
        params![id.bytes()],
        |row| row.maybe_json(0),
    )
    .map(Option::flatten)
}

pub(super) fn audit(write: &Write<'_>, entry: &AuditEntry) -> Outcome<()> {
    insert(
        write,
        "INSERT INTO audit (entry) VALUES (?1)",
        params![json(entry)?],
    )
    .map(|_| ())
}

pub(super) fn audit_trail(connection: &Connection, page: Page) -> Outcome<Vec<AuditEntry>> {
    all(
        connection,
        "audit",
        "SELECT entry FROM audit ORDER BY no DESC LIMIT ?1 OFFSET ?2",
        params![page.limit, int(page.offset)],
        |row| row.json(0),
    )
}
