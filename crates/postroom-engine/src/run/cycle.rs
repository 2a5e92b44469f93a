//! One cycle of one workload: gate, lease, work, health, next due time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postroom_core::approval::{Purpose, gate};
use postroom_core::catalogue::{Class, Scope};
use postroom_core::health::{AlertAction, CycleOutcome, Health};
use postroom_core::mailbox::TestStatus;
use postroom_core::profile::CredentialSource;
use postroom_core::schedule::{WAIT_MAX, due_after_cycle};
use postroom_core::{Code, Mailbox, ServerProfile, Timestamp, Workload, planted};
use postroom_provider::{ErrorKind, OpContext, ProviderError};
use postroom_store::{
    CycleRecord, CycleStart, Due, ErrorKind as StoreErrorKind, LEASE_DURATION, Lease, StoreError,
};
use tracing::{Instrument as _, debug, warn};

use crate::environment::{Environment, Loaded};
use crate::error::Result;
use crate::plan::alerts::About;
use crate::plan::failure::{CycleFailure, CycleStop};
use crate::run::alerts::detail;
use crate::run::breakers::Admission;
use crate::run::outage::{profile_fails, profile_recovers};
use crate::run::test_enable::close_told_by_test;
use crate::run::{incoming, outgoing};

/// How long a workload whose gate is closed is left alone. Opening the gate makes it due at once.
const GATE_PAUSE: Duration = Duration::from_secs(5 * 60);
/// Outgoing email makes its workload due when it is taken over. Where none is open, this is how long
/// until the next look all the same.
const OUTGOING_LOOK: Duration = WAIT_MAX;
/// A lease with less than this left is renewed before the next request.
const LEASE_MARGIN: Duration = Duration::from_secs(105);
/// What a cycle works with.
#[derive(Debug)]
pub(crate) struct Cycle<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) ctx: &'a OpContext,
    pub(crate) loaded: &'a Loaded,
    pub(crate) profile: &'a ServerProfile,
    pub(crate) lease: Lease,
    /// When the lease ends, as it was last renewed.
    lease_until: Mutex<Timestamp>,
}

/// What a cycle that was not stopped leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CycleEnd {
    /// Whether there was anything to do.
    pub(crate) found: bool,
    /// Whether there is more to do right away.
    pub(crate) unfinished: bool,
    /// When something that was put off may be tried again.
    pub(crate) again_at: Option<Timestamp>,
}

/// How a cycle went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// It succeeded.
    Succeeded,
    /// It failed as a whole.
    Failed,
    /// There was none: leased by another, paused, behind a closed gate, or stopped.
    Not,
}

impl<'a> Cycle<'a> {
    /// A cycle under a lease that was just taken.
    pub(crate) const fn new(
        environment: &'a Environment,
        ctx: &'a OpContext,
        loaded: &'a Loaded,
        profile: &'a ServerProfile,
        lease: Lease,
    ) -> Self {
        let lease_until = Mutex::new(lease.expires_at);
        Self {
            environment,
            ctx,
            loaded,
            profile,
            lease,
            lease_until,
        }
    }
}

impl Cycle<'_> {
    pub(crate) const fn mailbox(&self) -> &Mailbox {
        &self.loaded.mailbox
    }

    /// The context of one request: the profile's time limit. Whoever asks the server holds the lease
    /// when the request begins, however long the requests before it took. Promise 8.
    ///
    /// # Errors
    /// `LeaseLost` where the lease is another's by now, or ran out and cannot be renewed: the cycle
    /// stops where it is.
    pub(crate) async fn op(&self) -> postroom_provider::Result<OpContext> {
        self.hold().await?;
        Ok(self.ctx.within(self.profile.request_timeout))
    }

    /// The context of a request that must not be abandoned half way when the engine stops: its
    /// outcome would be unknown.
    pub(crate) async fn uncancelled_op(&self) -> postroom_provider::Result<OpContext> {
        let ctx = self.op().await?;
        Ok(ctx.with_cancellation(tokio_util::sync::CancellationToken::new()))
    }

    pub(crate) fn about(&self) -> About<'_> {
        About {
            mailbox: Some(&self.loaded.mailbox),
            profile: Some(self.profile),
            workload: Some(self.lease.workload),
            record: None,
        }
    }

    /// Whether [`checkpoint`](Self::checkpoint) would do anything.
    pub(crate) fn needs_checkpoint(&self) -> bool {
        self.ctx.cancellation.is_cancelled() || self.lease_needs_renewal()
    }

    /// A lease that lasts for longer than one can was taken before the clock was set back: the store
    /// has another end for it.
    fn lease_needs_renewal(&self) -> bool {
        let left = self.lease_until().since(self.environment.now());
        (left < LEASE_MARGIN || left > LEASE_DURATION) && !planted!(LeaseSeenOnce)
    }

    fn lease_until(&self) -> Timestamp {
        *self
            .lease_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn renew(&self) -> Result<(), StoreError> {
        let now = self.environment.now();
        let store = &self.environment.store;
        let renewed = store.renew_lease(&self.lease, now, LEASE_DURATION).await?;
        *self
            .lease_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = renewed.expires_at;
        Ok(())
    }

    /// Holds on to the lease. While a renewal fails for the store's sake, the lease still lasts for
    /// as long as it was granted.
    async fn hold(&self) -> postroom_provider::Result<()> {
        if !self.lease_needs_renewal() {
            return Ok(());
        }
        let Err(error) = self.renew().await else {
            return Ok(());
        };
        let left = self.lease_until().since(self.environment.now());
        let lost = error.kind() == StoreErrorKind::LeaseLost;
        if !lost && !left.is_zero() && left <= LEASE_DURATION {
            return Ok(());
        }
        let lost = ProviderError::new(ErrorKind::Cancelled, Code::LeaseLost, "lease.renew");
        Err(lost.with_source(error))
    }

    /// Holds on to the lease, and notices that the engine is stopping.
    pub(crate) async fn checkpoint(&self) -> Result<(), CycleStop> {
        if self.ctx.cancellation.is_cancelled() {
            return Err(CycleStop::Cancelled);
        }
        if self.lease_needs_renewal() {
            self.renew().await?;
        }
        Ok(())
    }
}

/// What becomes of a cycle's lease when it ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It is given back, with the cycle's record or without.
    Itself,
    /// Whoever began the cycle stores its record and gives its lease back, together with others'.
    Together,
    /// It is given back.
    Done,
    /// This is to be stored, and the lease given back with it.
    Left(Lease, CycleRecord),
}

/// Runs a cycle of a due workload.
pub(crate) async fn run(environment: &Environment, ctx: &OpContext, due: &Due) -> Result<Ran> {
    let begin = environment.store.begin_cycle(
        due.mailbox,
        due.workload,
        environment.holder,
        environment.now(),
        LEASE_DURATION,
    );
    match begin.await? {
        Some(start) => run_begun(environment, ctx, start, &mut Ending::Itself).await,
        None => Ok(Ran::Not),
    }
}

/// Runs a cycle that has begun: what it started with was read under its lease, and nobody else
/// changes the workload's state now.
pub(crate) async fn run_begun(
    environment: &Environment,
    ctx: &OpContext,
    start: CycleStart,
    ending: &mut Ending,
) -> Result<Ran> {
    let lease = start.lease.clone();
    let span = tracing::info_span!("cycle", mailbox = %lease.mailbox, workload = %lease.workload);
    async {
        let result = match environment.started(start) {
            Ok(loaded) => run_gated(environment, ctx, &loaded, lease.clone(), ending).await,
            Err(error) => Err(error),
        };
        if matches!(ending, Ending::Done | Ending::Left(..)) {
            return result;
        }
        let released = environment.store.release_lease(&lease).await;
        let ran = result?;
        released?;
        Ok(ran)
    }
    .instrument(span)
    .await
}

async fn run_gated(
    environment: &Environment,
    ctx: &OpContext,
    loaded: &Loaded,
    lease: Lease,
    ending: &mut Ending,
) -> Result<Ran> {
    let workload = lease.workload;
    let closed = gate(
        &loaded.organization,
        &loaded.mailbox,
        loaded.profile.as_deref(),
        workload,
        Purpose::Process,
    );
    let profile = match (closed, &loaded.profile) {
        (Ok(()), Some(profile)) => profile,
        (Ok(()), None) => return behind_gate(environment, loaded, &lease, Code::NoProfile).await,
        (Err(code), _) => return behind_gate(environment, loaded, &lease, code).await,
    };
    let started = environment.now();
    if let Admission::Paused(until) = environment.breakers.admit(profile.id, started) {
        environment
            .store
            .set_due(lease.mailbox, workload, until)
            .await?;
        return Ok(Ran::Not);
    }
    let _begun = environment.breakers.begun(profile.id);
    let mut cycle = Cycle::new(environment, ctx, loaded, profile, lease);
    let result = match workload {
        Workload::Incoming => Box::pin(incoming::run(&mut cycle)).await,
        Workload::Outgoing => Box::pin(outgoing::run(&mut cycle)).await,
        Workload::Items => Err(CycleFailure::new(
            Code::MethodNotSupported,
            "appointments, contacts and tasks are not synchronized yet",
        )
        .into()),
    };
    match result {
        Ok(end) => succeeded(&cycle, started, end, ending).await,
        Err(CycleStop::Failed(failure)) => failed(&cycle, started, failure).await,
        Err(stop @ (CycleStop::Cancelled | CycleStop::LeaseLost)) => {
            debug!(?stop, "the cycle was stopped");
            environment.breakers.undecided(profile.id);
            Ok(Ran::Not)
        }
    }
}

/// A closed gate pauses and says so; what opens it makes the workload due at once.
async fn behind_gate(
    environment: &Environment,
    loaded: &Loaded,
    lease: &Lease,
    code: Code,
) -> Result<Ran> {
    let now = environment.now();
    let about = About {
        mailbox: Some(&loaded.mailbox),
        profile: loaded.profile.as_deref(),
        workload: Some(lease.workload),
        record: None,
    };
    if matches!(code, Code::NotApproved | Code::NoProfile | Code::NoAddress) {
        let settings = &loaded.organization.settings.alerts;
        environment
            .raise(
                code,
                code.spec().level,
                &about,
                Default::default(),
                settings,
            )
            .await?;
    }
    environment
        .store
        .set_due(lease.mailbox, lease.workload, now.plus(GATE_PAUSE))
        .await?;
    Ok(Ran::Not)
}

async fn succeeded(
    cycle: &Cycle<'_>,
    started: Timestamp,
    end: CycleEnd,
    ending: &mut Ending,
) -> Result<Ran> {
    let environment = cycle.environment;
    let state = cycle.mailbox().workload(cycle.lease.workload);
    let settings = &cycle.loaded.organization.settings;
    let ended = environment.now();
    let change = state.health.after(
        CycleOutcome::Succeeded,
        &settings.health,
        ended,
        environment.jitter(),
    );
    let mut after = state.clone();
    after.idle_cycles = if end.found {
        0
    } else {
        state.idle_cycles.saturating_add(1)
    };
    let due = due_after_cycle(
        &after,
        &change,
        cycle.profile,
        settings.idle_interval_max,
        end.unfinished,
        ended,
    );
    let nobody_asked = cycle.lease.workload == Workload::Outgoing && !end.found;
    let due_at = if nobody_asked && !cycle.loaded.pending {
        due.at.map(|at| at.max(ended.plus(OUTGOING_LOOK)))
    } else {
        due.at
    };
    let next = match (due_at, end.again_at) {
        (Some(at), Some(again)) => at.min(again.max(ended)),
        (at, again) => at.or(again).unwrap_or(ended),
    };
    let record = CycleRecord::succeeded(started, ended, next, after.idle_cycles);
    // First: a crash in between closes them again, while a workload that is well closes nothing.
    carry_out(cycle, &change.alerts, String::new()).await?;
    if state.test_status == TestStatus::Failure {
        close_told_by_test(environment, &cycle.about()).await?;
    }
    let store = &environment.store;
    if state.health == Health::Healthy {
        *ending = if matches!(ending, Ending::Together) {
            Ending::Left(cycle.lease.clone(), record)
        } else {
            store.finish_cycle(&cycle.lease, &record).await?;
            Ending::Done
        };
    } else {
        store.record_cycle(&cycle.lease, &record).await?;
    }
    if nobody_asked {
        // Nothing was sent, so that the server was not heard: that is no sign that it is well.
        environment.breakers.undecided(cycle.profile.id);
    } else if let Some(code) = environment.breakers.succeeded(cycle.profile.id) {
        environment.close(code, &cycle.about()).await?;
    }
    // An engine that has just started does not know what another one left open.
    if state.health != Health::Healthy || environment.outages.is_unknown(cycle.profile.id) {
        profile_recovers(environment, cycle.profile, &cycle.about()).await?;
    }
    Ok(Ran::Succeeded)
}

async fn failed(cycle: &Cycle<'_>, started: Timestamp, failure: CycleFailure) -> Result<Ran> {
    let environment = cycle.environment;
    let CycleFailure {
        code,
        retry_after,
        text,
    } = failure;
    warn!(%code, error = %text, "the cycle failed");
    let state = cycle.mailbox().workload(cycle.lease.workload);
    let settings = &cycle.loaded.organization.settings;
    let ended = environment.now();
    let effective = effective(code);
    let change = state.health.after(
        CycleOutcome::Failed {
            code: effective,
            retry_after,
        },
        &settings.health,
        ended,
        environment.jitter(),
    );
    let due = due_after_cycle(
        state,
        &change,
        cycle.profile,
        settings.idle_interval_max,
        false,
        ended,
    );
    let mut record = CycleRecord::succeeded(started, ended, ended, state.idle_cycles);
    record.succeeded = None;
    record.next_due = due.at;
    record.enabled = !matches!(change.health, Health::Disabled { .. });
    record.health = change.health;
    // A workload that is disabled runs no cycle that could tell it later: the alert comes first. One
    // that goes on tells it again with its next failure, while one that is well by then closes only
    // what it knows of: the alert comes last.
    let (before, after): (Vec<_>, Vec<_>) = change
        .alerts
        .iter()
        .cloned()
        .partition(|action| !record.enabled || matches!(action, AlertAction::Close { .. }));
    carry_out(cycle, &before, text.clone()).await?;
    environment
        .store
        .record_cycle(&cycle.lease, &record)
        .await?;
    environment.providers.forget(cycle.lease.mailbox);
    if pauses_profile(effective, cycle.profile) {
        let policy = &settings.health;
        let id = cycle.profile.id;
        environment
            .breakers
            .failed(id, effective, retry_after, policy, ended);
    } else {
        environment.breakers.undecided(cycle.profile.id);
    }
    carry_out(cycle, &after, text).await?;
    // The application's or the store's trouble says nothing about the mail server.
    if effective.spec().scope != Scope::Organization {
        profile_fails(
            environment,
            cycle.loaded,
            cycle.profile,
            &cycle.about(),
            effective,
        )
        .await?;
    }
    Ok(Ran::Failed)
}

/// What the failure of a whole cycle counts as.
///
/// What concerns messages only does not end cycles; where it did, it is tried again. A defect of the
/// store, the application or ours is nothing that Test & Enable of a mailbox mends: it goes on when
/// that is mended.
const fn effective(code: Code) -> Code {
    let spec = code.spec();
    match (spec.class, spec.scope) {
        (Class::Item | Class::Event, _) => Code::ServerFault,
        (Class::Permanent, Scope::Organization) => Code::Internal,
        (Class::Transient | Class::Permanent, _) => code,
    }
}

/// Whether a failure means that the profile's server is in trouble for everybody.
fn pauses_profile(code: Code, profile: &ServerProfile) -> bool {
    let spec = code.spec();
    let whole = spec.class == Class::Transient && spec.scope == Scope::Profile;
    // Servers throttle the account that signs in: with accounts of their own, others go on.
    let own_account = profile.incoming.credentials == CredentialSource::Mailbox;
    whole && !(code == Code::ServerBusy && own_account)
}

async fn carry_out(cycle: &Cycle<'_>, actions: &[AlertAction], text: String) -> Result<()> {
    let environment = cycle.environment;
    let settings = &cycle.loaded.organization.settings.alerts;
    for action in actions {
        match action {
            AlertAction::Raise { code, level } => {
                let details = detail("error", text.clone());
                environment
                    .raise(*code, *level, &cycle.about(), details, settings)
                    .await?;
            }
            AlertAction::Close { code } => environment.close(*code, &cycle.about()).await?,
        }
    }
    Ok(())
}
