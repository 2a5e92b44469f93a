//! Alerts.

use postroom_core::alert::{Alert, Incident, Subject};
use postroom_core::catalogue::{Audience, Code, Level};
use postroom_core::{AlertId, Timestamp, Workload};
use postroom_store::{AlertFilter, IncidentPattern, Page, Wall};
use rusqlite::{Connection, params};

use crate::database::Write;
use crate::failure::{Failure, Outcome};
use crate::sql::{Id, Row, all, change, int, json, one, word};

const fn rank(level: Level) -> i64 {
    match level {
        Level::Information => 0,
        Level::Warning => 1,
        Level::Error => 2,
    }
}

fn workload_text(workload: Option<Workload>) -> &'static str {
    workload.map_or("", Workload::as_str)
}

pub(super) fn raise(write: &Write<'_>, alert: &Alert) -> Outcome<AlertId> {
    one(
        write,
        "alerts",
        "INSERT INTO alerts (id, code, subject, workload, discriminator, level_rank, audience, message,
             details, occurrences, first_seen_ms, last_seen_ms, mailbox, profile)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (subject, code, workload, discriminator) WHERE closed_at_ms IS NULL
         DO UPDATE SET level_rank = excluded.level_rank, audience = excluded.audience,
             message = excluded.message, details = excluded.details,
             occurrences = occurrences + excluded.occurrences,
             last_seen_ms = max(last_seen_ms, excluded.last_seen_ms)
         RETURNING id",
        params![
            alert.id.bytes(),
            alert.incident.code.as_str(),
            json(&alert.incident.subject)?,
            workload_text(alert.incident.workload),
            alert.incident.discriminator,
            rank(alert.level),
            word(&alert.audience)?,
            alert.text,
            json(&alert.details)?,
            int(alert.count.max(1)),
            alert.first_seen.as_millis(),
            alert.last_seen.as_millis(),
            alert.mailbox.as_ref().map(Id::bytes),
            match &alert.incident.subject {
                Subject::Profile(id) => Some(id.bytes()),
                _ => None,
            },
        ],
        |row| row.id(0),
    )?
    .ok_or_else(|| Failure::not_found("alert"))
}

pub(super) fn close(write: &Write<'_>, pattern: &IncidentPattern, now: Timestamp) -> Outcome<u64> {
    let closed = change(
        write,
        "UPDATE alerts SET closed_at_ms = ?5
         WHERE closed_at_ms IS NULL AND subject = ?1 AND (?2 IS NULL OR code = ?2)
           AND (?3 IS NULL OR workload = ?3) AND (?4 IS NULL OR discriminator = ?4)",
        params![
            json(&pattern.subject)?,
            pattern.code.map(Code::as_str),
            pattern.workload.map(Workload::as_str),
            pattern.discriminator,
            now.as_millis(),
        ],
    )?;
    Ok(u64::try_from(closed).unwrap_or(u64::MAX))
}

pub(super) fn dismiss(write: &Write<'_>, id: AlertId, now: Timestamp) -> Outcome<()> {
    let found = change(
        write,
        "UPDATE alerts SET closed_at_ms = coalesce(closed_at_ms, ?2) WHERE id = ?1",
        params![id.bytes(), now.as_millis()],
    )?;
    if found == 0 {
        return Err(Failure::not_found("alert"));
    }
    Ok(())
}

fn alert(row: &Row<'_>) -> Outcome<Alert> {
    let mut incident = Incident::new(row.word(1)?, row.json::<Subject>(2)?, None);
    if !row.text(3)?.is_empty() {
        incident.workload = Some(row.word(3)?);
    }
    incident.discriminator = row.get(4)?;
    let mut alert = Alert::new(row.id(0)?, incident, row.text(7)?, row.time(10)?);
    alert.level = match row.get::<i64>(5)? {
        0 => Level::Information,
        1 => Level::Warning,
        2 => Level::Error,
        _ => return Err(row.corrupt(5)),
    };
    alert.audience = row.word::<Audience>(6)?;
    alert.details = row.json(8)?;
    alert.count = row.unsigned(9)?;
    alert.last_seen = row.time(11)?;
    alert.closed_at = row.maybe_time(12)?;
    alert.mailbox = row.maybe_id(13)?;
    Ok(alert)
}

/// What is on a wall: a condition, and the id that it takes as `?5`.
///
/// Profile-wide trouble is told to mailbox owners where the organization says so: then its audience
/// is both.
fn wall(wall: &Wall) -> (&'static str, &[u8; 16]) {
    match wall {
        Wall::Mailbox(id) => (
            "(mailbox = ?5 OR (audience = 'mailbox_and_profile_owner'
                AND profile = (SELECT profile FROM mailboxes WHERE id = ?5)))",
            id.bytes(),
        ),
        Wall::Profile(id) => (
            "(profile = ?5 OR (audience IN ('profile_owner', 'mailbox_and_profile_owner')
                AND mailbox IN (SELECT id FROM mailboxes WHERE profile = ?5)))",
            id.bytes(),
        ),
        Wall::Owner(id) => (
            "((audience IN ('mailbox_owner', 'mailbox_and_profile_owner')
                AND mailbox IN (SELECT id FROM mailboxes WHERE party = ?5))
              OR (audience = 'mailbox_and_profile_owner'
                AND profile IN (SELECT profile FROM mailboxes WHERE party = ?5))
              OR (audience IN ('profile_owner', 'mailbox_and_profile_owner')
                AND (profile IN (SELECT id FROM owned)
                  OR mailbox IN (SELECT id FROM mailboxes WHERE profile IN (SELECT id FROM owned)))))",
            id.bytes(),
        ),
    }
}

pub(super) fn list(
    connection: &Connection,
    filter: &AlertFilter,
    page: Page,
) -> Outcome<Vec<Alert>> {
    let (on_wall, whose) = match &filter.wall {
        Some(on) => {
            let (condition, id) = wall(on);
            (condition, Some(id))
        }
        None => ("?5 IS NULL", None),
    };
    let sql = format!(
        "WITH owned AS (SELECT id FROM profiles
             WHERE unhex(replace(definition ->> '$.owner', '-', '')) = ?5)
         SELECT id, code, subject, workload, discriminator, level_rank, audience, message, details,
             occurrences, first_seen_ms, last_seen_ms, closed_at_ms, mailbox
         FROM alerts
         WHERE (?1 IS NULL OR subject = ?1) AND level_rank >= ?2 AND (?3 IS NULL OR audience = ?3)
           AND (?4 OR closed_at_ms IS NULL) AND {on_wall} AND (?6 IS NULL OR id = ?6)
         ORDER BY last_seen_ms DESC, no DESC LIMIT ?7 OFFSET ?8"
    );
    all(
        connection,
        "alerts",
        &sql,
        params![
            filter.subject.as_ref().map(json).transpose()?,
            filter.level_min.map_or(0, rank),
            filter.audience.as_ref().map(word).transpose()?,
            filter.closed,
            whose,
            filter.id.as_ref().map(Id::bytes),
            page.limit,
            int(page.offset),
        ],
        alert,
    )
}
