//! Jobs.

use postroom_core::JobId;
use postroom_core::audit::AuditEntry;
use postroom_core::job::{Job, JobState};
use postroom_store::{JOBS_KEPT, JobCounts, JobFilter, Page};
use rusqlite::{Connection, params};

use super::config;
use crate::database::Write;
use crate::failure::Outcome;
use crate::sql::{Id, Prepared, all, change, int, json, one, word};

const SAVE: &str = "INSERT INTO jobs (id, state_name, job, mailbox, batch, failed)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
     ON CONFLICT (id) DO UPDATE SET state_name = excluded.state_name, job = excluded.job,
         failed = excluded.failed";

const DROP_OLD: &str = "DELETE FROM jobs WHERE mailbox = ?1 AND state_name = 'done' AND no <= (
         SELECT no FROM jobs WHERE mailbox = ?1 AND state_name = 'done'
         ORDER BY no DESC LIMIT 1 OFFSET ?2)";

pub(super) fn queue(write: &Write<'_>, jobs: &[Job], entries: &[AuditEntry]) -> Outcome<()> {
    let mut dropped = Prepared::new(write, "jobs", DROP_OLD)?;
    for job in jobs {
        dropped.change(params![job.mailbox.bytes(), JOBS_KEPT])?;
    }
    for job in jobs {
        save(write, job)?;
    }
    for entry in entries {
        config::audit(write, entry)?;
    }
    Ok(())
}

pub(super) fn save(write: &Write<'_>, job: &Job) -> Outcome<()> {
    change(
        write,
        SAVE,
        params![
            job.id.bytes(),
            word(&job.state)?,
            json(job)?,
            job.mailbox.bytes(),
            job.batch.as_ref().map(Id::bytes),
            job.first_failure().is_some(),
        ],
    )?;
    Ok(())
}

pub(super) fn one_job(connection: &Connection, id: JobId) -> Outcome<Option<Job>> {
    one(
        connection,
        "jobs",
        "SELECT job FROM jobs WHERE id = ?1",
        params![id.bytes()],
        |row| row.json(0),
    )
}

/// State by state, each from its index: whoever looks for the next one does so after each one.
pub(super) fn oldest(
    connection: &Connection,
    states: &[JobState],
    limit: u32,
) -> Outcome<Vec<Job>> {
    let mut found: Vec<(i64, String)> = Vec::new();
    for state in [JobState::Queued, JobState::Running, JobState::Done] {
        if states.contains(&state) {
            found.extend(all(
                connection,
                "jobs",
                "SELECT no, job FROM jobs WHERE state_name = ?1 ORDER BY no LIMIT ?2",
                params![word(&state)?, limit],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?);
        }
    }
    found.sort_unstable();
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    found
        .iter()
        .map(|(_, text)| {
            serde_json::from_str(text).map_err(|_unreadable| crate::failure::Failure::Corrupt {
                table: "jobs",
                column: "job".to_owned(),
            })
        })
        .collect()
}

const FITS: &str = "(?1 IS NULL OR mailbox = ?1) AND (?2 IS NULL OR batch = ?2)
     AND (?3 IS NULL OR state_name = ?3)
     AND (?4 IS NULL OR mailbox IN (SELECT id FROM mailboxes WHERE profile = ?4))";

/// The one condition that finds the rows by an index stands alone.
fn indexed(filter: &JobFilter) -> &'static str {
    if filter.batch.is_some() {
        "batch = ?2 AND"
    } else if filter.mailbox.is_some() {
        "mailbox = ?1 AND"
    } else {
        ""
    }
}

pub(super) fn list(connection: &Connection, filter: &JobFilter, page: Page) -> Outcome<Vec<Job>> {
    let by = indexed(filter);
    all(
        connection,
        "jobs",
        &format!("SELECT job FROM jobs WHERE {by} {FITS} ORDER BY no DESC LIMIT ?5 OFFSET ?6"),
        params![
            filter.mailbox.as_ref().map(Id::bytes),
            filter.batch.as_ref().map(Id::bytes),
            filter.state.as_ref().map(word).transpose()?,
            filter.profile.as_ref().map(Id::bytes),
            page.limit,
            int(page.offset),
        ],
        |row| row.json(0),
    )
}

pub(super) fn counts(connection: &Connection, filter: &JobFilter) -> Outcome<JobCounts> {
    let by = indexed(filter);
    let rows = all(
        connection,
        "jobs",
        &format!(
            "SELECT state_name, failed, count(*) FROM jobs WHERE {by} {FITS}
             GROUP BY state_name, failed"
        ),
        params![
            filter.mailbox.as_ref().map(Id::bytes),
            filter.batch.as_ref().map(Id::bytes),
            filter.state.as_ref().map(word).transpose()?,
            filter.profile.as_ref().map(Id::bytes),
        ],
        |row| {
            Ok((
                row.word::<JobState>(0)?,
                row.get::<bool>(1)?,
                row.unsigned(2)?,
            ))
        },
    )?;
    let mut counts = JobCounts::default();
    for (state, failed, count) in rows {
        match (state, failed) {
            (JobState::Queued, _) => counts.queued += count,
            (JobState::Running, _) => counts.running += count,
            (JobState::Done, false) => counts.passed += count,
            (JobState::Done, true) => counts.failed += count,
        }
    }
    Ok(counts)
}
