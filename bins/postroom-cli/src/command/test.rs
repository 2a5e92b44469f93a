//! `test`: Test & Enable.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::api::{BulkOutcome, Code, DeliveryMethod, Job, JobKind, Mailbox, TestStatus, Workload};
use crate::app::App;
use crate::command::mailbox::ids;
use crate::failure::{Exit, Failure, Result};
use crate::view;

/// How often the steps so far are looked at.
const WATCH: Duration = Duration::from_millis(100);

/// Test mailboxes, and enable what passes.
#[derive(Args, Debug)]
pub(crate) struct Test {
    /// Addresses, names or ids of mailboxes.
    mailboxes: Vec<String>,
    /// Every active mailbox of that profile.
    #[arg(long, conflicts_with = "mailboxes")]
    profile: Option<String>,
    /// Send nothing, change nothing, enable nothing.
    #[arg(long)]
    no_side_effects: bool,
}

impl Test {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        let kind = if self.no_side_effects {
            JobKind::TestOnly
        } else {
            JobKind::TestAndEnable
        };
        let (mailboxes, jobs) = match &self.profile {
            Some(profile) => {
                let profile = app.profile(profile).await?;
                let jobs = app
                    .admin
                    .test_profile(&app.principal, profile.id, kind)
                    .await?;
                (app.mailboxes().await?, jobs)
            }
            None => {
                let mailboxes = app.chosen(&self.mailboxes, false).await?;
                let jobs = app
                    .admin
                    .test_mailboxes(&app.principal, &ids(&mailboxes), kind)
                    .await;
                (mailboxes, jobs)
            }
        };
        if jobs.is_empty() {
            return Err(Failure::not_found("no active mailbox has this profile"));
        }
        wait(app, &mailboxes, jobs).await
    }
}

/// Waits for jobs, showing their steps as they come, and says what came of them.
pub(crate) async fn wait(app: &App<'_>, mailboxes: &[Mailbox], jobs: BulkOutcome<Job>) -> Result {
    let all = jobs.len();
    let (mut documents, mut failures) = (Vec::new(), Vec::new());
    for (id, job) in jobs {
        let name = mailboxes
            .iter()
            .find(|m| m.id == id)
            .map_or_else(|| id.to_string(), view::address);
        app.output.line(app.output.bold(&name));
        let outcome = match job {
            Ok(job) => watch(app, job).await,
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(job) => {
                let mailbox = app.admin.mailbox(&app.principal, id).await?;
                verdict(app, &mailbox, &job);
                if let Some(code) = first_failure(&job) {
                    failures.push(Failure::of(Exit::MailSystem, code));
                }
                documents
                    .push(json!({ "mailbox": view::mailbox(&mailbox), "job": view::job(&job) }));
            }
            Err(failure) => {
                app.output.line(format!("  {}", failure.line()));
                documents.push(
                    json!({ "mailbox": { "id": id.to_string() }, "error": failure.as_json() }),
                );
                failures.push(failure);
            }
        }
    }
    app.output.json(&json!({ "tests": documents }));
    let count = failures.len();
    match failures.into_iter().next() {
        None => Ok(()),
        Some(_) if count < all => Err(Failure::said(Exit::Partly)),
        Some(failure) if app.output.is_json() => Err(Failure::said(failure.exit_code())),
        Some(failure) => Err(failure),
    }
}

/// Runs the job or watches the engine do it, printing each step once.
async fn watch(app: &App<'_>, job: Job) -> Result<Job> {
    let mut shown = 0;
    let mut ticks = tokio::time::interval(WATCH);
    let done = {
        let mut running = Box::pin(app.admin.run_job(&app.principal, job.id));
        loop {
            tokio::select! {
                biased;
                done = &mut running => break done?,
                _ = ticks.tick() => {
                    let job = app.admin.job(&app.principal, job.id).await?;
                    shown = show_steps(app, &job, shown);
                }
            }
        }
    };
    show_steps(app, &done, shown);
    Ok(done)
}

fn show_steps(app: &App<'_>, job: &Job, shown: usize) -> usize {
    for step in job.steps.iter().skip(shown) {
        app.output.line(view::test_step(app.output, step));
    }
    job.steps.len().max(shown)
}

fn first_failure(job: &Job) -> Option<Code> {
    job.steps.iter().find_map(|step| step.failure)
}

/// The statuses, one line for each workload that Postroom delivers.
fn verdict(app: &App<'_>, mailbox: &Mailbox, job: &Job) {
    if job.kind == JobKind::TestOnly {
        let text = match first_failure(job) {
            None => app.output.green("would pass; nothing was sent or changed"),
            Some(code) => app.output.bad(&format!(
                "would fail with {code}; nothing was sent or changed"
            )),
        };
        app.output.line(format!("  => {text}"));
        return;
    }
    for workload in Workload::ALL {
        let state = mailbox.workload(workload);
        if state.method != DeliveryMethod::ServerSide {
            continue;
        }
        let status = match state.test_status {
            TestStatus::NotRun => app.output.yellow("not run"),
            TestStatus::Success => app.output.green("success"),
            TestStatus::Failure => app.output.bad("failure"),
        };
        let enabled = if state.enabled {
            "enabled"
        } else {
            "not enabled"
        };
        app.output
            .line(format!("  => {workload}: {status}, {enabled}"));
    }
}
