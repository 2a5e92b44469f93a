//! `job`.

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use crate::api::{Job as Record, JobFilter, JobId, JobState, MailboxId, Page};
use crate::app::App;
use crate::failure::Result;
use crate::view;

/// Tests that wait, run or are done.
#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// List jobs, newest first.
    List {
        /// Only those of a mailbox, by address, name or id.
        #[arg(long)]
        mailbox: Option<String>,
        /// Only those of a profile's mailboxes.
        #[arg(long)]
        profile: Option<String>,
        /// Only those in that state.
        #[arg(long, value_enum)]
        state: Option<State>,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Show a job with its steps.
    Show {
        /// Its id.
        id: JobId,
    },
}

/// How far a job is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum State {
    Queued,
    Running,
    Done,
}

impl Job {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        match self {
            Self::List {
                mailbox,
                profile,
                state,
                limit,
            } => {
                let mut filter = JobFilter::default();
                if let Some(mailbox) = mailbox {
                    filter.mailbox = Some(app.mailbox(&mailbox).await?.id);
                }
                if let Some(profile) = profile {
                    filter.profile = Some(app.profile(&profile).await?.id);
                }
                filter.state = state.map(|state| match state {
                    State::Queued => JobState::Queued,
                    State::Running => JobState::Running,
                    State::Done => JobState::Done,
                });
                list(app, &filter, limit).await
            }
            Self::Show { id } => {
                let job = app.admin.job(&app.principal, id).await?;
                app.output.line(in_words(&job));
                for step in &job.steps {
                    app.output.line(view::test_step(app.output, step));
                }
                app.output.json(&json!({ "job": view::job(&job) }));
                Ok(())
            }
        }
    }
}

async fn list(app: &App<'_>, filter: &JobFilter, limit: u32) -> Result {
    let jobs = app
        .admin
        .jobs(&app.principal, filter, Page::first(limit))
        .await?;
    let counts = app.admin.job_counts(&app.principal, filter).await?;
    if jobs.is_empty() {
        app.output.line("no jobs");
    } else {
        let mut rows = Vec::new();
        for job in &jobs {
            let mailbox = app.admin.mailbox(&app.principal, job.mailbox).await;
            rows.push([
                mailbox.map_or_else(|_| job.mailbox.to_string(), |m| view::address(&m)),
                in_words(job),
                job.requested_by.clone(),
                view::clock(job.requested_at),
                job.id.to_string(),
            ]);
        }
        app.output
            .table(["Mailbox", "Test", "Asked for by", "At", "Id"], rows);
        app.output.note(format!(
            "{} wait, {} run, {} passed, {} failed",
            counts.queued, counts.running, counts.passed, counts.failed
        ));
    }
    let documents: Vec<_> = jobs.iter().map(view::job).collect();
    app.output.json(&json!({
        "jobs": documents,
        "counts": {
            "queued": counts.queued,
            "running": counts.running,
            "passed": counts.passed,
            "failed": counts.failed,
        },
    }));
    Ok(())
}

/// How far a job is, in words.
fn in_words(job: &Record) -> String {
    match (job.state, job.first_failure()) {
        (JobState::Queued, _) => "waits".to_owned(),
        (JobState::Running, _) => format!("runs, {} steps so far", job.steps.len()),
        (JobState::Done, None) => "passed".to_owned(),
        (JobState::Done, Some(code)) => format!("failed: {code}"),
    }
}

/// The newest job of a mailbox: when it was last tested, and by whom.
pub(crate) async fn last(app: &App<'_>, mailbox: MailboxId) -> Result<Option<Record>> {
    let mut filter = JobFilter::default();
    filter.mailbox = Some(mailbox);
    let jobs = app
        .admin
        .jobs(&app.principal, &filter, Page::first(1))
        .await?;
    Ok(jobs.into_iter().next())
}

/// That job in a line.
pub(crate) fn last_in_words(job: Option<&Record>) -> String {
    job.map_or_else(
        || "never".to_owned(),
        |job| {
            let when = view::clock(job.requested_at);
            format!("{when} by {}: {}", job.requested_by, in_words(job))
        },
    )
}
