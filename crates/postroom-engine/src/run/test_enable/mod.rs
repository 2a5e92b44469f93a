//! Test & Enable: a job of one mailbox, its workloads in parallel, step by step with evidence.

mod conclude;
mod workloads;

use std::sync::Arc;
use std::time::Duration;

use postroom_core::approval::{Purpose, gate};
use postroom_core::job::{Job, JobKind, JobState, TestStep};
use postroom_core::ledger::FolderId;
use postroom_core::mailbox::DeliveryMethod;
use postroom_core::{Code, JobId, Mailbox, ServerProfile, Workload, planted};
use postroom_provider::registry::ProbeOutcome;
use postroom_store::{LEASE_DURATION, Lease};
use tokio::task::JoinSet;

use crate::environment::{Environment, Loaded};
use crate::error::{EngineError, ErrorKind, Result};
use crate::plan::failure::{CycleFailure, CycleStop};
use crate::run::cycle::Cycle;
use crate::run::providers::Direction;

pub(crate) use conclude::close_told_by_test;
use conclude::{Failure, conclude};
use workloads::{test_incoming, test_outgoing};

/// How long a test waits for a cycle that is under way on the same workload.
const LEASE_PATIENCE: Duration = Duration::from_secs(150);
/// How often it looks whether that cycle has ended.
const LEASE_WATCH: Duration = Duration::from_secs(1);

/// Runs several jobs to their end, as many at once as the engine would.
pub(crate) async fn run_all(environment: &Arc<Environment>, jobs: &[JobId]) -> Result<()> {
    let mut running = JoinSet::new();
    let mut waiting = jobs.iter().copied();
    loop {
        while running.len() < environment.bounds.jobs.max(1) {
            let Some(id) = waiting.next() else { break };
            let environment = Arc::clone(environment);
            running.spawn(async move {
                match environment.store.job(id).await? {
                    Some(job) => Box::pin(run(&environment, job)).await.map(drop),
                    None => Err(EngineError::not_found("job.run", "job")),
                }
            });
        }
        match running.join_next().await {
            None => return Ok(()),
            Some(Ok(result)) => result?,
            Some(Err(defect)) => {
                return Err(
                    EngineError::new(ErrorKind::Internal, Code::Internal, "job.run")
                        .with_source(defect),
                );
            }
        }
    }
}

/// Runs a job to its end and stores every step on the way. A job that was cut short runs again; the
/// test message has its identity from the job and is not sent twice.
pub(crate) async fn run(environment: &Environment, mut job: Job) -> Result<Job> {
    if job.state == JobState::Done {
        return Ok(job);
    }
    let store = &environment.store;
    job.state = JobState::Running;
    job.steps.clear();
    let loaded = environment.load(job.mailbox).await?;
    let tested: Vec<Workload> = Workload::ALL
        .into_iter()
        .filter(|workload| loaded.mailbox.workload(*workload).method == DeliveryMethod::ServerSide)
        .collect();
    if tested.is_empty() {
        let evidence = "no workload of the mailbox is delivered by Postroom";
        job.steps
            .push(TestStep::failed(None, "gate", Code::MethodNone, evidence));
    }
    let mut outcomes = Vec::new();
    let mut open = Vec::new();
    for workload in tested {
        match gated(&loaded, workload) {
            Ok(()) => {
                let evidence = "approved, active and configured";
                job.steps
                    .push(TestStep::passed(Some(workload), "gate", evidence));
                open.push(workload);
            }
            Err(code) => {
                job.steps.push(TestStep::failed(
                    Some(workload),
                    "gate",
                    code,
                    code.spec().summary,
                ));
                outcomes.push((workload, Some(Failure { code, tried: false })));
            }
        }
    }
    store.save_job(&job).await?;
    if let (false, Some(profile)) = (open.is_empty(), &loaded.profile) {
        match probe(environment, &loaded.mailbox, profile, &mut job).await {
            Err(code) => {
                let failure = Some(Failure { code, tried: true });
                outcomes.extend(open.iter().map(|workload| (*workload, failure)));
            }
            Ok(inbox) => {
                store.save_job(&job).await?;
                let tested = Tested {
                    loaded: &loaded,
                    profile,
                    inbox: inbox.as_ref(),
                };
                let tests = test_all(environment, &tested, &job, &open).await?;
                for (workload, steps) in tests {
                    let failure = steps.iter().find_map(|step| step.failure);
                    job.steps.extend(steps);
                    let failure = failure.map(|code| Failure { code, tried: true });
                    outcomes.push((workload, failure));
                }
            }
        }
    }
    if job.kind == JobKind::TestAndEnable {
        outcomes.sort_by_key(|(workload, _)| *workload);
        for (workload, failure) in outcomes {
            Box::pin(conclude(environment, &loaded, &job, workload, failure)).await?;
        }
    }
    job.state = JobState::Done;
    job.finished_at = Some(environment.now());
    store.save_job(&job).await?;
    environment.wake.notify_one();
    Ok(job)
}

fn gated(loaded: &Loaded, workload: Workload) -> Result<(), Code> {
    gate(
        &loaded.organization,
        &loaded.mailbox,
        loaded.profile.as_deref(),
        workload,
        Purpose::Test,
    )
}

/// What is tested.
#[derive(Clone, Copy, Debug)]
struct Tested<'a> {
    loaded: &'a Loaded,
    profile: &'a ServerProfile,
    /// The Inbox, where reaching the server has shown it.
    inbox: Option<&'a FolderId>,
}

/// Whether the server can be reached at all: steps that all workloads share. Answers the Inbox,
/// where it was seen on the way.
async fn probe(
    environment: &Environment,
    mailbox: &Mailbox,
    profile: &ServerProfile,
    job: &mut Job,
) -> Result<Option<FolderId>, Code> {
    let request = environment
        .provider_request(mailbox, profile, Direction::Incoming)
        .await;
    let request = match request {
        Ok(request) => request,
        Err(error) => {
            let code = error.code();
            job.steps.push(TestStep::failed(
                None,
                "credentials",
                code,
                error.to_string(),
            ));
            return Err(code);
        }
    };
    let incoming = Direction::Incoming.of_profile();
    let factory = match environment.registry.for_profile(profile, incoming) {
        Ok(factory) => factory,
        Err(error) => {
            let code = error.code();
            job.steps
                .push(TestStep::failed(None, "provider", code, error.to_string()));
            return Err(code);
        }
    };
    let report = environment
        .probe(factory.as_ref(), &request, Some(mailbox.id))
        .await;
    job.steps
        .extend(report.steps.iter().map(|step| match step.outcome {
            ProbeOutcome::Passed => TestStep::passed(None, step.name, &step.evidence),
            ProbeOutcome::Failed(code) => TestStep::failed(None, step.name, code, &step.evidence),
            ProbeOutcome::NotReached => TestStep::skipped(None, step.name),
        }));
    if planted!(SecretInReport)
        && let (Some(used), Some(last)) = (&request.credentials, job.steps.last_mut())
    {
        last.evidence.push_str(used.password.expose());
    }
    match report.first_failure() {
        Some(code) => Err(code),
        None => Ok(report.inbox),
    }
}

async fn test_all(
    environment: &Environment,
    tested: &Tested<'_>,
    job: &Job,
    workloads: &[Workload],
) -> Result<Vec<(Workload, Vec<TestStep>)>> {
    let tests = workloads
        .iter()
        .map(|workload| Box::pin(test_one(environment, tested, job, *workload)));
    // One connection for each workload, where the profile allows more than one.
    if tested.profile.connections_max > 1 {
        return futures_util::future::try_join_all(tests).await;
    }
    let mut outcomes = Vec::new();
    for test in tests {
        outcomes.push(test.await?);
    }
    Ok(outcomes)
}

/// Tests one workload while no cycle of it runs.
async fn test_one(
    environment: &Environment,
    tested: &Tested<'_>,
    job: &Job,
    workload: Workload,
) -> Result<(Workload, Vec<TestStep>)> {
    let Some(lease) = lease(environment, job, workload).await? else {
        let evidence = "a cycle of the workload did not end in time";
        let step = TestStep::failed(Some(workload), "wait", Code::LeaseLost, evidence);
        return Ok((workload, vec![step]));
    };
    let (loaded, profile) = (tested.loaded, tested.profile);
    let mut cycle = Cycle::new(
        environment,
        &environment.ctx,
        loaded,
        profile,
        lease.clone(),
    );
    let mut steps = Vec::new();
    let result = match workload {
        Workload::Incoming => test_incoming(&cycle, tested.inbox, &mut steps).await,
        Workload::Outgoing => test_outgoing(&mut cycle, job, &mut steps).await,
        Workload::Items => {
            let evidence = "the provider does not synchronize appointments, contacts and tasks";
            steps.push(TestStep::failed(
                Some(workload),
                "items",
                Code::MethodNotSupported,
                evidence,
            ));
            Ok(())
        }
    };
    environment.store.release_lease(&lease).await?;
    match result {
        Ok(()) => {}
        Err(CycleStop::Failed(CycleFailure { code, text, .. })) => {
            let name = if workload == Workload::Incoming {
                "read"
            } else {
                "send"
            };
            steps.push(TestStep::failed(Some(workload), name, code, text));
        }
        Err(CycleStop::Cancelled | CycleStop::LeaseLost) => {
            let evidence = "the test was stopped; it runs again";
            let step = TestStep::failed(Some(workload), "stopped", Code::Cancelled, evidence);
            steps.push(step);
        }
    }
    Ok((workload, steps))
}

async fn lease(environment: &Environment, job: &Job, workload: Workload) -> Result<Option<Lease>> {
    let until = environment.now().plus(LEASE_PATIENCE);
    loop {
        let now = environment.now();
        let lease = environment
            .store
            .acquire_lease(
                job.mailbox,
                workload,
                environment.holder,
                now,
                LEASE_DURATION,
            )
            .await?;
        if lease.is_some() || now >= until {
            return Ok(lease);
        }
        environment.ctx.clock.sleep(LEASE_WATCH).await;
    }
}
