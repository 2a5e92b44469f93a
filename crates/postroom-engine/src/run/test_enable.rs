//! Test & Enable: a job of one mailbox, its workloads in parallel, step by step with evidence.

use std::collections::BTreeMap;
use std::time::Duration;

use postroom_core::approval::{Purpose, gate};
use postroom_core::catalogue::{Class, Level};
use postroom_core::job::{Job, JobKind, JobState, TestStep};
use postroom_core::mailbox::{DeliveryMethod, TestStatus};
use postroom_core::outbox::OutboxState;
use postroom_core::{Code, Mailbox, OutboxId, ServerProfile, Timestamp, Workload};
use postroom_provider::registry::ProbeOutcome;
use postroom_provider::{PageLimit, WellKnownFolder};
use postroom_store::{
    AlertFilter, CycleRecord, IncidentPattern, LEASE_DURATION, Lease, NewOutgoing, Page,
};

use crate::environment::{Environment, Loaded};
use crate::error::Result;
use crate::plan::alerts::{About, incident};
use crate::plan::failure::{CycleFailure, CycleStop};
use crate::run::alerts::detail;
use crate::run::cycle::Cycle;
use crate::run::message::test_message;
use crate::run::outgoing::deliver;
use crate::run::providers::Direction;

/// How long a test waits for a cycle that is under way on the same workload.
const LEASE_PATIENCE: Duration = Duration::from_secs(150);
/// How often it looks whether that cycle has ended.
const LEASE_WATCH: Duration = Duration::from_secs(1);
/// At most so often the outcome is written again because somebody changed the mailbox meanwhile.
const CONFLICTS_MAX: u32 = 5;

/// Runs a job to its end and stores every step on the way. A job that was cut short runs again; the
/// test message has its identity from the job and is not sent twice.
pub(crate) async fn run(environment: &Environment, mut job: Job) -> Result<Job> {
    if job.state == JobState::Done {
        return Ok(job);
    }
    let store = &environment.store;
    job.state = JobState::Running;
    job.steps.clear();
    store.save_job(&job).await?;
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
                outcomes.push((workload, Some(code)));
            }
        }
    }
    store.save_job(&job).await?;
    if let (false, Some(profile)) = (open.is_empty(), &loaded.profile) {
        match probe(environment, &loaded.mailbox, profile, &mut job).await {
            Some(code) => outcomes.extend(open.iter().map(|workload| (*workload, Some(code)))),
            None => {
                store.save_job(&job).await?;
                let tests = test_all(environment, &loaded, profile, &job, &open).await?;
                for (workload, steps) in tests {
                    let failure = steps.iter().find_map(|step| step.failure);
                    job.steps.extend(steps);
                    outcomes.push((workload, failure));
                }
            }
        }
    }
    if job.kind == JobKind::TestAndEnable {
        outcomes.sort();
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
        loaded.profile.as_ref(),
        workload,
        Purpose::Test,
    )
}

/// Whether the server can be reached at all: steps that all workloads share.
async fn probe(
    environment: &Environment,
    mailbox: &Mailbox,
    profile: &ServerProfile,
    job: &mut Job,
) -> Option<Code> {
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
            return Some(code);
        }
    };
    let factory = match environment.registry.find(profile.kind.provider_name()) {
        Ok(factory) => factory,
        Err(error) => {
            let code = error.code();
            job.steps
                .push(TestStep::failed(None, "provider", code, error.to_string()));
            return Some(code);
        }
    };
    let ctx = environment.ctx.within(profile.request_timeout);
    let report = factory.probe(&ctx, &request).await;
    job.steps
        .extend(report.steps.iter().map(|step| match step.outcome {
            ProbeOutcome::Passed => TestStep::passed(None, step.name, &step.evidence),
            ProbeOutcome::Failed(code) => TestStep::failed(None, step.name, code, &step.evidence),
            ProbeOutcome::NotReached => TestStep::skipped(None, step.name),
        }));
    report.first_failure()
}

async fn test_all(
    environment: &Environment,
    loaded: &Loaded,
    profile: &ServerProfile,
    job: &Job,
    workloads: &[Workload],
) -> Result<Vec<(Workload, Vec<TestStep>)>> {
    let tests = workloads
        .iter()
        .map(|workload| Box::pin(test_one(environment, loaded, profile, job, *workload)));
    // One connection for each workload, where the profile allows more than one.
    if profile.connections_max > 1 {
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
    loaded: &Loaded,
    profile: &ServerProfile,
    job: &Job,
    workload: Workload,
) -> Result<(Workload, Vec<TestStep>)> {
    let Some(lease) = lease(environment, job, workload).await? else {
        let evidence = "a cycle of the workload did not end in time";
        let step = TestStep::failed(Some(workload), "wait", Code::LeaseLost, evidence);
        return Ok((workload, vec![step]));
    };
    let mut cycle = Cycle {
        environment,
        ctx: &environment.ctx,
        loaded,
        profile,
        lease: lease.clone(),
    };
    let mut steps = Vec::new();
    let result = match workload {
        Workload::Incoming => test_incoming(&cycle, &mut steps).await,
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

async fn test_incoming(cycle: &Cycle<'_>, steps: &mut Vec<TestStep>) -> Result<(), CycleStop> {
    let workload = Some(Workload::Incoming);
    let provider = cycle
        .environment
        .provider(cycle.mailbox(), cycle.profile, Direction::Incoming)
        .await?;
    let Some(source) = provider.mail() else {
        let failure = CycleFailure::new(Code::MethodNotSupported, "the provider cannot read mail");
        return Err(failure.into());
    };
    let inbox = source
        .find_folder(&cycle.op(), WellKnownFolder::Inbox)
        .await?;
    steps.push(TestStep::passed(
        workload,
        "open inbox",
        "the Inbox was found",
    ));
    let page = source
        .changes(&cycle.op(), &inbox, None, PageLimit::new(1))
        .await?;
    let evidence = if page.changes.is_empty() {
        "the Inbox can be listed; it is empty"
    } else {
        "the Inbox can be listed"
    };
    steps.push(TestStep::passed(workload, "read", evidence));
    Ok(())
}

async fn test_outgoing(
    cycle: &mut Cycle<'_>,
    job: &Job,
    steps: &mut Vec<TestStep>,
) -> Result<(), CycleStop> {
    let workload = Some(Workload::Outgoing);
    let environment = cycle.environment;
    let provider = environment
        .provider(cycle.mailbox(), cycle.profile, Direction::Outgoing)
        .await?;
    if provider.submitter().is_none() {
        let failure = CycleFailure::new(Code::MethodNotSupported, "the provider cannot send mail");
        return Err(failure.into());
    }
    if job.kind == JobKind::TestOnly {
        let evidence = "the provider can send; nothing was sent, as asked for";
        steps.push(TestStep::passed(workload, "send", evidence));
        return Ok(());
    }
    let id = OutboxId::from_uuid(*job.id.as_uuid());
    let entry = match environment.store.outbox_entry(id).await? {
        Some(entry) => entry,
        None => {
            let address =
                cycle.mailbox().address.clone().ok_or_else(|| {
                    CycleFailure::new(Code::NoAddress, "the mailbox has no address")
                })?;
            let composed = test_message(
                id,
                cycle.mailbox().id,
                &cycle.mailbox().name,
                &address,
                &cycle.loaded.organization.name,
                environment.now(),
            )?;
            let new = NewOutgoing::new(composed.entry.clone(), composed.raw, None);
            let cursor = environment.store.outgoing_cursor().await?;
            environment
                .store
                .enqueue_outgoing(&[new], cursor.as_ref())
                .await?;
            composed.entry
        }
    };
    match deliver(cycle, provider.as_ref(), entry).await? {
        OutboxState::Sent { .. } => {
            let evidence = "the test message was sent to the mailbox itself";
            steps.push(TestStep::passed(workload, "send", evidence));
            Ok(())
        }
        OutboxState::Failed { code } | OutboxState::Unknown { code, .. } => {
            Err(CycleFailure::new(code, code.spec().summary).into())
        }
        OutboxState::PendingSend { last, .. } => {
            let code = last.unwrap_or(Code::ServerUnavailable);
            Err(CycleFailure::new(code, "the test message waits to be sent").into())
        }
        OutboxState::Sending { .. } => {
            let code = Code::OutcomeUnknown;
            Err(CycleFailure::new(code, "the server still has the test message").into())
        }
    }
}

/// Stores what a test came to for one workload: status, enabled, alerts, due time.
async fn conclude(
    environment: &Environment,
    loaded: &Loaded,
    job: &Job,
    workload: Workload,
    failure: Option<Code>,
) -> Result<()> {
    let now = environment.now();
    if failure == Some(Code::Cancelled) {
        return Ok(());
    }
    store_status(environment, job, workload, failure, now).await?;
    let about = About {
        mailbox: Some(&loaded.mailbox),
        profile: loaded.profile.as_ref(),
        workload: Some(workload),
        record: None,
    };
    let settings = &loaded.organization.settings.alerts;
    let Some(code) = failure else {
        close_earlier(environment, &about).await?;
        recover(environment, job, workload, now).await?;
        let event = match workload {
            Workload::Incoming => Code::IncomingTestSucceeded,
            Workload::Outgoing => Code::OutgoingTestSucceeded,
            Workload::Items => return Ok(()),
        };
        return environment
            .raise(event, Level::Information, &about, BTreeMap::new(), settings)
            .await;
    };
    let mut pattern = IncidentPattern::exactly(&incident(
        match workload {
            Workload::Outgoing => Code::OutgoingTestSucceeded,
            Workload::Incoming | Workload::Items => Code::IncomingTestSucceeded,
        },
        &about,
    ));
    pattern.discriminator = None;
    environment.store.close_alerts(&pattern, now).await?;
    let details = detail("job", job.id.to_string());
    environment
        .raise(code, code.spec().level, &about, details, settings)
        .await
}

async fn store_status(
    environment: &Environment,
    job: &Job,
    workload: Workload,
    failure: Option<Code>,
    now: Timestamp,
) -> Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut mailbox = environment.load(job.mailbox).await?.mailbox;
        let state = mailbox.workload_mut(workload);
        match failure {
            None => {
                state.test_status = TestStatus::Success;
                state.enabled = true;
            }
            Some(code) => {
                state.test_status = TestStatus::Failure;
                // An outage disables nobody (promise 9): what worked before goes on when it is over.
                if code.spec().class == Class::Permanent {
                    state.enabled = false;
                }
            }
        }
        if failure.is_none() && workload == Workload::Incoming {
            mailbox.incoming_enabled_at.get_or_insert(now);
        }
        match environment.store.update_mailbox(&mailbox).await {
            Ok(_) => return Ok(()),
            Err(error)
                if error.kind() == postroom_store::ErrorKind::Conflict && tries < CONFLICTS_MAX => {
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The workload is well and due now, whatever it was before.
async fn recover(
    environment: &Environment,
    job: &Job,
    workload: Workload,
    now: Timestamp,
) -> Result<()> {
    if let Some(lease) = lease(environment, job, workload).await? {
        let mut record = CycleRecord::succeeded(now, now, now, 0);
        record.succeeded = None;
        let recorded = environment.store.record_cycle(&lease, &record).await;
        environment.store.release_lease(&lease).await?;
        recorded?;
    }
    environment
        .store
        .set_due(job.mailbox, workload, now)
        .await?;
    Ok(())
}

/// Closes what the test has shown to be over; what concerns single messages stays.
async fn close_earlier(environment: &Environment, about: &About<'_>) -> Result<()> {
    let now = environment.now();
    let subjects = [
        incident(Code::NotEnabled, about).subject,
        incident(Code::ImpersonationDenied, about).subject,
    ];
    for subject in subjects {
        let mut filter = AlertFilter::default();
        filter.subject = Some(subject);
        let open = environment.store.alerts(&filter, Page::first(1000)).await?;
        for alert in open {
            let incident = &alert.incident;
            let ours = incident.workload.is_none() || incident.workload == about.workload;
            let over = matches!(
                incident.code.spec().class,
                Class::Permanent | Class::Transient
            );
            if ours && over && incident.code != Code::ProfileFailing {
                let pattern = IncidentPattern::exactly(incident);
                environment.store.close_alerts(&pattern, now).await?;
            }
        }
    }
    Ok(())
}
