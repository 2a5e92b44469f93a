//! `test`: Test & Enable.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::api::{
    BulkOutcome, Code, DeliveryMethod, Job, JobFilter, JobId, JobKind, JobState, Mailbox,
    TestStatus, Timestamp, Workload,
};
use crate::app::App;
use crate::command::mailbox::ids;
use crate::failure::{Exit, Failure, Result};
use crate::view;

/// How often the steps so far are looked at.
const WATCH: Duration = Duration::from_millis(100);
/// How far many tests are is told every so many looks.
const TELL_EVERY: usize = 10;
/// At most so many tests are shown step by step.
const DETAILED_MAX: usize = 10;

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
    /// Once incoming email is enabled, process email received from then on; later than the date of
    /// the profile, for one mailbox.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["profile", "no_side_effects"])]
    incoming_from: Option<Timestamp>,
    /// Ask for the tests and leave them to the engine that runs; postroom job list shows them.
    #[arg(long)]
    no_wait: bool,
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
                let jobs = match (self.incoming_from, mailboxes.as_slice()) {
                    (None, _) => {
                        app.admin
                            .test_mailboxes(&app.principal, &ids(&mailboxes), kind)
                            .await
                    }
                    (Some(from), [one]) => {
                        let asked = app.admin.test_mailbox_from(&app.principal, one.id, from);
                        vec![(one.id, Ok(asked.await?))]
                    }
                    (Some(_), _) => {
                        return Err(Failure::usage("a start date is for one mailbox at a time"));
                    }
                };
                (mailboxes, jobs)
            }
        };
        if jobs.is_empty() {
            return Err(Failure::not_found("no active mailbox has this profile"));
        }
        if self.no_wait {
            return queued(app, &mailboxes, jobs);
        }
        wait(app, &mailboxes, jobs).await
    }
}

/// Waits for jobs, showing how far they are, and says what came of them: step by step where they are
/// few, one line for each otherwise.
pub(crate) async fn wait(app: &App<'_>, mailboxes: &[Mailbox], jobs: BulkOutcome<Job>) -> Result {
    let all = jobs.len();
    let detailed = all <= DETAILED_MAX;
    let names: BTreeMap<_, _> = mailboxes
        .iter()
        .map(|mailbox| (mailbox.id, view::address(mailbox)))
        .collect();
    let waiting: Vec<_> = jobs
        .iter()
        .filter_map(|(_, job)| job.as_ref().ok())
        .collect();
    let mut tests = Tests::of(app, &waiting);
    let (mut documents, mut failures) = (Vec::new(), Vec::new());
    for (id, job) in jobs {
        let name = names.get(&id).cloned().unwrap_or_else(|| id.to_string());
        if detailed {
            app.output.line(app.output.bold(&name));
        }
        let outcome = match job {
            Ok(job) => tests.watch(job, detailed).await,
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(job) => {
                let mailbox = app.admin.mailbox(&app.principal, id).await?;
                if detailed {
                    verdict(app, &mailbox, &job);
                } else {
                    app.output.line(in_a_line(app, &name, &job));
                }
                if let Some(code) = job.first_failure() {
                    failures.push(Failure::of(Exit::MailSystem, code));
                }
                documents
                    .push(json!({ "mailbox": view::mailbox(&mailbox), "job": view::job(&job) }));
            }
            Err(failure) => {
                let line = if detailed {
                    format!("  {}", failure.line())
                } else {
                    format!("{name}: {}", failure.line())
                };
                app.output.line(line);
                documents.push(
                    json!({ "mailbox": { "id": id.to_string() }, "error": failure.as_json() }),
                );
                failures.push(failure);
            }
        }
    }
    let count = failures.len();
    if !detailed {
        let passed = all.saturating_sub(count);
        app.output
            .note(format!("{passed} of {all} passed, {count} failed"));
    }
    app.output.json(&json!({ "tests": documents }));
    match failures.into_iter().next() {
        None => Ok(()),
        Some(_) if count < all => Err(Failure::said(Exit::Partly)),
        Some(failure) if app.output.is_json() => Err(Failure::said(failure.exit_code())),
        Some(failure) => Err(failure),
    }
}

/// Tests that run here, or in an engine that is watched.
struct Tests<'a> {
    app: &'a App<'a>,
    running: Option<Pin<Box<dyn Future<Output = Result> + Send + 'a>>>,
    ticks: tokio::time::Interval,
    all: usize,
    filter: JobFilter,
    told: u64,
}

impl<'a> Tests<'a> {
    fn of(app: &'a App<'a>, jobs: &[&Job]) -> Self {
        let mut filter = JobFilter::default();
        // Some may have waited before, in a batch of their own: most are in that of the last.
        filter.batch = jobs.last().and_then(|job| job.batch);
        let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
        let running = async move { Ok(app.admin.run_jobs(&app.principal, &ids).await?) };
        Self {
            app,
            running: Some(Box::pin(running)),
            ticks: tokio::time::interval(WATCH),
            all: 0,
            filter,
            told: 0,
        }
    }

    /// Waits until a job is done, printing each of its steps once where they are wanted.
    async fn watch(&mut self, job: Job, detailed: bool) -> Result<Job> {
        let app = self.app;
        let mut shown = 0;
        loop {
            let job = app.admin.job(&app.principal, job.id).await?;
            if detailed {
                shown = show_steps(app, &job, shown);
            }
            if job.state == JobState::Done {
                return Ok(job);
            }
            match &mut self.running {
                Some(running) => tokio::select! {
                    biased;
                    done = running => {
                        self.running = None;
                        done?;
                    }
                    _ = self.ticks.tick() => {}
                },
                None => {
                    self.ticks.tick().await;
                }
            }
            if !detailed {
                self.tell().await?;
            }
        }
    }

    /// Says how far all of them are, now and then.
    async fn tell(&mut self) -> Result {
        self.all = self.all.wrapping_add(1);
        if !self.all.is_multiple_of(TELL_EVERY) {
            return Ok(());
        }
        let app = self.app;
        let counts = app.admin.job_counts(&app.principal, &self.filter).await?;
        if counts.done() != self.told {
            self.told = counts.done();
            let (done, all, failed) = (counts.done(), counts.all(), counts.failed);
            app.output
                .progress(format!("tested {done} of {all}, {failed} failed"));
        }
        Ok(())
    }
}

fn show_steps(app: &App<'_>, job: &Job, shown: usize) -> usize {
    for step in job.steps.iter().skip(shown) {
        app.output.line(view::test_step(app.output, step));
    }
    job.steps.len().max(shown)
}

/// A job in a line: what failed, where something did.
fn in_a_line(app: &App<'_>, name: &str, job: &Job) -> String {
    match job.steps.iter().find(|step| step.failure.is_some()) {
        None => format!("{} {name}", app.output.green(" ok ")),
        Some(step) => {
            let code = step.failure.map_or("", Code::as_str);
            let workload = step
                .workload
                .map(|workload| format!("{workload}: "))
                .unwrap_or_default();
            let mark = app.output.bad("FAIL");
            format!("{mark} {name}: {workload}{} [{code}]", step.name)
        }
    }
}

/// Says which tests wait.
fn queued(app: &App<'_>, mailboxes: &[Mailbox], jobs: BulkOutcome<Job>) -> Result {
    app.bulk(
        mailboxes,
        jobs,
        |job| format!("waits as job {}", job.id),
        view::job,
    )
}

/// The statuses, one line for each workload that Postroom delivers.
fn verdict(app: &App<'_>, mailbox: &Mailbox, job: &Job) {
    if job.kind == JobKind::TestOnly {
        let text = match job.first_failure() {
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
