//! What a test comes to: statuses, enabled, alerts, due times.

use std::collections::BTreeMap;

use postroom_core::alert::Subject;
use postroom_core::catalogue::{Class, Level};
use postroom_core::health::{AlertAction, CycleOutcome};
use postroom_core::job::Job;
use postroom_core::ledger::FilterReason;
use postroom_core::mailbox::{Association, TestStatus};
use postroom_core::tracking::process_from;
use postroom_core::{Code, Mailbox, ServerProfile, Timestamp, Workload};
use postroom_store::{AlertFilter, CycleRecord, IncidentPattern, Page};

use super::lease;
use crate::environment::{Environment, Loaded};
use crate::error::Result;
use crate::plan::alerts::{About, incident};
use crate::run::alerts::detail;
use crate::run::outage::profile_fails;

/// At most so often the outcome is written again because somebody changed the mailbox meanwhile.
const CONFLICTS_MAX: u32 = 5;

/// What a test failed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: Code,
    /// Whether anything was tried. Behind a closed gate nothing is, so that nothing is known about what
    /// worked before: it goes on when the gate is open again.
    pub(super) tried: bool,
}

/// Stores what a test came to for one workload: status, enabled, alerts, due time.
pub(super) async fn conclude(
    environment: &Environment,
    loaded: &Loaded,
    job: &Job,
    workload: Workload,
    failure: Option<Failure>,
) -> Result<()> {
    let now = environment.now();
    if failure.is_some_and(|failure| failure.code == Code::Cancelled) {
        return Ok(());
    }
    if !store_status(environment, loaded, job, workload, failure, now).await? {
        // Another configuration than the one that was tested: it has its own test.
        return Ok(());
    }
    let about = About {
        mailbox: Some(&loaded.mailbox),
        profile: loaded.profile.as_deref(),
        workload: Some(workload),
        record: None,
    };
    let settings = &loaded.organization.settings.alerts;
    let Some(Failure { code, tried }) = failure else {
        close_earlier(environment, &about).await?;
        recover(environment, job, workload, now).await?;
        if let Some(profile) = &loaded.profile {
            environment.outages.forget(profile.id);
        }
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
        .raise_of_test(code, &about, details, settings)
        .await?;
    if let (true, Some(profile)) = (tried, loaded.profile.as_deref()) {
        profile_fails(environment, loaded, profile, &about, code).await?;
    }
    if code.spec().class == Class::Transient {
        remember_trouble(environment, loaded, job, workload, code, &about).await?;
    }
    Ok(())
}

/// A workload that goes on after a test met a trouble that passes is in that trouble like one whose
/// cycle failed: its next success closes the alert.
async fn remember_trouble(
    environment: &Environment,
    loaded: &Loaded,
    job: &Job,
    workload: Workload,
    code: Code,
    about: &About<'_>,
) -> Result<()> {
    let Some(lease) = lease(environment, job, workload).await? else {
        return Ok(());
    };
    let mailbox = environment.load(job.mailbox).await?.mailbox;
    let state = mailbox.workload(workload);
    let now = environment.now();
    let outcome = CycleOutcome::Failed {
        code,
        retry_after: None,
    };
    let policy = &loaded.organization.settings.health;
    let change = state
        .health
        .after(outcome, policy, now, environment.jitter());
    if state.enabled {
        for action in &change.alerts {
            if let AlertAction::Close { code: other } = action
                && *other != code
            {
                environment.close(*other, about).await?;
            }
        }
        let mut record = CycleRecord::succeeded(now, now, now, state.idle_cycles);
        record.succeeded = None;
        record.next_due = Some(change.next_attempt.unwrap_or(now));
        record.health = change.health;
        return Ok(environment.store.finish_cycle(&lease, &record).await?);
    }
    environment.store.release_lease(&lease).await?;
    Ok(())
}

/// Answers whether the outcome still is about the mailbox as it stands: somebody may have changed
/// meanwhile what was tested. Promise 8.
async fn store_status(
    environment: &Environment,
    loaded: &Loaded,
    job: &Job,
    workload: Workload,
    failure: Option<Failure>,
    now: Timestamp,
) -> Result<bool> {
    let mut tries = 0;
    loop {
        tries += 1;
        let current = environment.load(job.mailbox).await?;
        if !same_configuration(loaded, &current, workload) {
            return Ok(false);
        }
        let mut mailbox = current.mailbox;
        let mut earlier = false;
        let state = mailbox.workload_mut(workload);
        match failure {
            None => {
                state.test_status = TestStatus::Success;
                state.tested_at = Some(now);
                state.enabled = true;
            }
            Some(Failure { code, tried }) => {
                state.test_status = TestStatus::Failure;
                if tried {
                    state.tested_at = Some(now);
                }
                // An outage disables nobody (promise 9): what worked before goes on when it is over.
                if tried && code.spec().class == Class::Permanent {
                    state.enabled = false;
                }
            }
        }
        if failure.is_none() && workload == Workload::Incoming {
            earlier = mailbox.incoming_enabled_at.is_some() && mailbox.associated.is_none();
            if job.incoming_from.is_some() {
                // Together with what enables it: no cycle begins with another date in between.
                mailbox.process_email_from = job.incoming_from;
                earlier = true;
            }
            mailbox.incoming_enabled_at.get_or_insert(now);
            if let Some(profile) = &current.profile {
                mailbox
                    .associated
                    .get_or_insert_with(|| Association::new(profile.process_email_from));
            }
        }
        match environment.store.update_mailbox(&mailbox).await {
            Ok(mailbox) => {
                if earlier && let Some(profile) = &current.profile {
                    look_again(environment, &mailbox, profile, now).await?;
                }
                return Ok(true);
            }
            Err(error)
                if error.kind() == postroom_store::ErrorKind::Conflict && tries < CONFLICTS_MAX => {
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// A mailbox that has come to another profile, or whose test asked for a date, may have to process
/// older email than before: what was left out for its age is looked at again. Source: seed 000,
/// Process Email From; domain section 4.
async fn look_again(
    environment: &Environment,
    mailbox: &Mailbox,
    profile: &ServerProfile,
    now: Timestamp,
) -> Result<()> {
    if let Some(start) = process_from(mailbox, profile) {
        environment
            .store
            .replay_filtered(mailbox.id, FilterReason::BeforeStart, start, now)
            .await?;
    }
    Ok(())
}

/// Whether a test of the one says something about the other.
fn same_configuration(tested: &Loaded, current: &Loaded, workload: Workload) -> bool {
    let (was, is) = (&tested.mailbox, &current.mailbox);
    was.address == is.address
        && was.profile == is.profile
        && was.user_name == is.user_name
        && was.allow_credentials == is.allow_credentials
        && was.workload(workload).method == is.workload(workload).method
        && tested.profile == current.profile
}

/// The workload is well and due now, whatever it was before.
async fn recover(
    environment: &Environment,
    job: &Job,
    workload: Workload,
    now: Timestamp,
) -> Result<()> {
    let Some(lease) = lease(environment, job, workload).await? else {
        // Whoever holds it sees to its health; it is due all the same.
        let store = &environment.store;
        return Ok(store.set_due(job.mailbox, workload, now).await?);
    };
    let mut record = CycleRecord::succeeded(now, now, now, 0);
    record.succeeded = None;
    let recorded = environment.store.finish_cycle(&lease, &record).await;
    if recorded.is_err() {
        environment.store.release_lease(&lease).await?;
    }
    Ok(recorded?)
}

/// Closes what the test has shown to be over; what concerns single messages stays.
async fn close_earlier(environment: &Environment, about: &About<'_>) -> Result<()> {
    close_over(
        environment,
        incident(Code::NotEnabled, about).subject,
        about,
    )
    .await?;
    let reaches_further = incident(Code::ImpersonationDenied, about).subject;
    close_over(environment, reaches_further, about).await
}

/// Closes what a failed test told of a mailbox, now that its workload works: the workload's health need not know
/// of it, as a test that cannot have the lease tells and does not remember.
pub(crate) async fn close_told_by_test(environment: &Environment, about: &About<'_>) -> Result<()> {
    close_over(
        environment,
        incident(Code::NotEnabled, about).subject,
        about,
    )
    .await
}

async fn close_over(environment: &Environment, subject: Subject, about: &About<'_>) -> Result<()> {
    let now = environment.now();
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
    Ok(())
}
