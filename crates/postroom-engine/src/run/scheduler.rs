//! Runs what is due: jobs, the application's outgoing email, workloads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use postroom_core::job::{Job, JobState};
use postroom_core::{JobId, MailboxId, ProfileId, ServerProfile, Timestamp, Workload, planted};
use postroom_store::{
    CycleRecord, CycleStart, Due, ErrorKind as StoreErrorKind, LEASE_DURATION, Lease,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::engine::StepReport;
use crate::environment::Environment;
use crate::error::{EngineError, ErrorKind, Result};
use crate::plan::pick::{PermitKey, Permits, pick};
use crate::run::cycle::{self, Ending, Ran};
use crate::run::{clock, feed, test_enable};

/// A step ends after so many rounds even where cycles keep leaving work behind.
const STEP_ROUNDS_MAX: u32 = 10_000;
/// So many jobs are read at once.
const BACKLOG_MAX: u32 = 1000;
/// How long the store is left alone after it could not be used.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// Does everything that is due, one after the other.
pub(crate) async fn step(environment: &Arc<Environment>) -> Result<StepReport> {
    let mut report = StepReport::default();
    clock::correct_times(environment).await?;
    let jobs = environment
        .store
        .jobs(&[JobState::Running, JobState::Queued], 1000)
        .await?;
    for job in jobs {
        Box::pin(test_enable::run(environment, job)).await?;
        report.jobs += 1;
    }
    report.taken_over = feed::take_over(environment).await?;
    let ctx = environment.ctx.clone();
    for _ in 0..STEP_ROUNDS_MAX {
        let due = environment
            .store
            .due(environment.now(), environment.bounds.due_window)
            .await?;
        let mut ran_any = false;
        for due in &due {
            match Box::pin(cycle::run(environment, &ctx, due)).await? {
                Ran::Succeeded => report.cycles += 1,
                Ran::Failed => {
                    report.cycles += 1;
                    report.failed += 1;
                }
                Ran::Not => continue,
            }
            ran_any = true;
        }
        if !ran_any {
            break;
        }
    }
    feed::report(environment).await?;
    Ok(report)
}

/// What a task was.
#[derive(Debug)]
enum Task {
    Cycle(MailboxId, Workload, Option<PermitKey>),
    Job(JobId),
    Feed,
}

#[derive(Debug)]
struct Ended {
    task: Task,
    result: Result<()>,
    /// What a cycle left to be stored together with what others leave.
    left: Option<(Lease, CycleRecord)>,
}

impl Ended {
    const fn new(task: Task, result: Result<()>) -> Self {
        Self {
            task,
            result,
            left: None,
        }
    }
}

/// How a cycle begins.
#[derive(Debug)]
enum Beginning {
    /// By itself.
    Alone,
    /// It has begun together with others.
    Begun(Box<CycleStart>),
    /// Somebody else holds its lease.
    Held,
    /// It could not begin.
    Failed(EngineError),
}

struct Scheduler<'a> {
    environment: &'a Arc<Environment>,
    stop: CancellationToken,
    tasks: JoinSet<Ended>,
    running: BTreeSet<(MailboxId, Workload)>,
    /// Jobs that run, with the profile of their mailbox.
    jobs: BTreeMap<JobId, Option<ProfileId>>,
    /// Jobs that wait, oldest first, as far as they were read.
    backlog: VecDeque<Job>,
    /// Somebody may have asked for a job just now, or one that has to wait can begin.
    look_for_jobs: bool,
    /// When jobs were looked for, those asked for by other processes too.
    jobs_at: Option<Timestamp>,
    /// The time of the last look.
    looked_at: Option<Timestamp>,
    feeding: bool,
    fed_at: Option<Timestamp>,
    permits: Permits,
    /// What cycles left that have ended, not yet stored.
    left: Vec<(Lease, CycleRecord)>,
    /// Something may have become due since the last look.
    look_for_due: bool,
    /// When it was looked what is due.
    due_at: Option<Timestamp>,
    /// What was due then and was not started: it waits for connections that become free.
    waiting: Vec<Due>,
    /// The profiles, where they were read since.
    profiles: Option<BTreeMap<ProfileId, ServerProfile>>,
}

/// Runs what is due until told to stop; then waits for what is under way.
pub(crate) async fn run(environment: &Arc<Environment>, stop: &CancellationToken) -> Result<()> {
    let mut scheduler = Scheduler {
        environment,
        stop: stop.clone(),
        tasks: JoinSet::new(),
        running: BTreeSet::new(),
        jobs: BTreeMap::new(),
        backlog: VecDeque::new(),
        look_for_jobs: true,
        jobs_at: None,
        looked_at: None,
        feeding: false,
        fed_at: None,
        permits: Permits::default(),
        left: Vec::new(),
        look_for_due: true,
        due_at: None,
        waiting: Vec::new(),
        profiles: None,
    };
    let result = scheduler.run().await;
    // Whatever made the loop end: nothing outlives it.
    scheduler.stop.cancel();
    while let Some(ended) = scheduler.tasks.join_next().await {
        scheduler.ended(ended);
    }
    if let Err(error) = scheduler.finish().await {
        warn!(code = %error.code(), %error, "cycles could not be recorded");
    }
    result
}

impl Scheduler<'_> {
    async fn run(&mut self) -> Result<()> {
        let clock = Arc::clone(&self.environment.ctx.clock);
        while !self.stop.is_cancelled() {
            let pause = match self.dispatch().await {
                Ok(()) => self.environment.bounds.poll,
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    warn!(code = %error.code(), error = %error, "the store cannot be used now");
                    STORE_PAUSE
                }
                Err(error) => return Err(error),
            };
            // In this order, not in a random one: the same run comes out the same again.
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                Some(ended) = self.tasks.join_next() => self.ended(ended),
                () = self.environment.wake.notified() => {
                    self.look_for_jobs = true;
                    self.look_for_due = true;
                }
                () = clock.sleep(pause) => {}
            }
            while let Some(ended) = self.tasks.try_join_next() {
                self.ended(ended);
            }
        }
        Ok(())
    }

    async fn dispatch(&mut self) -> Result<()> {
        self.finish().await?;
        let bounds = &self.environment.bounds;
        let store = &self.environment.store;
        let now = self.environment.now();
        // A clock that was set back must not stop anything until it has caught up.
        let ahead = |at: Timestamp| now.plus(clock::SET_BACK_MIN) < at;
        if self.looked_at.is_none_or(ahead) {
            clock::correct_times(self.environment).await?;
        }
        self.looked_at = Some(now);
        let set_back = |at: Timestamp| now < at && !planted!(ClockBackStopsFeed);
        let rested = |at: Timestamp| set_back(at) || now.since(at) >= bounds.poll;
        let look = self.look_for_jobs && self.backlog.is_empty();
        if (look || self.jobs_at.is_none_or(rested)) && self.jobs.len() < bounds.jobs {
            let claimed = !planted!(JobsLostOnRestart);
            let jobs = store
                .jobs(&[JobState::Running, JobState::Queued], BACKLOG_MAX)
                .await?;
            self.backlog = jobs
                .into_iter()
                .filter(|job| claimed || job.state == JobState::Queued)
                .filter(|job| !self.jobs.contains_key(&job.id))
                .collect();
            self.look_for_jobs = false;
            self.jobs_at = Some(now);
        }
        self.start_jobs();
        if !self.feeding && self.fed_at.is_none_or(rested) {
            self.feeding = true;
            self.fed_at = Some(now);
            let environment = Arc::clone(self.environment);
            self.tasks.spawn(async move {
                let result = async {
                    feed::take_over(&environment).await?;
                    feed::report(&environment).await
                };
                Ended::new(Task::Feed, result.await)
            });
        }
        let now = self.environment.now();
        let free = bounds.active.saturating_sub(self.running.len());
        if free > 0 && (self.look_for_due || self.due_at.is_none_or(rested)) {
            let window = bounds.due_window;
            self.waiting = store.due(now, window).await?;
            self.profiles = None;
            self.due_at = Some(now);
            let count = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
            self.look_for_due = count >= window;
        }
        if free > 0 && !self.waiting.is_empty() {
            self.start_cycles(free).await?;
        }
        Ok(())
    }

    /// Starts jobs that wait. No profile takes more than half of the places: one whose server does
    /// not answer must not keep the others from being tested.
    fn start_jobs(&mut self) {
        let bounds = &self.environment.bounds;
        let share = (bounds.jobs / 2).max(1);
        let mut later = VecDeque::new();
        while self.jobs.len() < bounds.jobs
            && let Some(job) = self.backlog.pop_front()
        {
            let same = |other: &&Option<ProfileId>| **other == job.profile;
            if job.profile.is_some() && self.jobs.values().filter(same).count() >= share {
                later.push_back(job);
                continue;
            }
            self.jobs.insert(job.id, job.profile);
            let environment = Arc::clone(self.environment);
            let stop = self.stop.clone();
            self.tasks.spawn(async move {
                let id = job.id;
                let result = Box::pin(test_enable::run(&environment, job)).await;
                if result.is_err() {
                    // It is still open: not in a tight loop.
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => {}
                        () = environment.ctx.clock.sleep(STORE_PAUSE) => {}
                    }
                }
                Ended::new(Task::Job(id), result.map(drop))
            });
        }
        later.append(&mut self.backlog);
        self.backlog = later;
    }

    async fn start_cycles(&mut self, free: usize) -> Result<()> {
        let profiles = match &mut self.profiles {
            Some(profiles) => profiles,
            none => {
                let profiles = self.environment.store.profiles().await?;
                let profiles = profiles.into_iter().map(|profile| (profile.id, profile));
                none.insert(profiles.collect())
            }
        };
        let picked = pick(
            &self.waiting,
            profiles,
            &self.running,
            &mut self.permits,
            free,
        );
        let begins: BTreeSet<_> = picked
            .iter()
            .map(|(due, _)| (due.mailbox, due.workload))
            .collect();
        self.waiting.retain(|due| {
            let key = (due.mailbox, due.workload);
            !begins.contains(&key) && !self.running.contains(&key)
        });
        let mut begun = self.begin(&picked).await;
        for (due, key) in picked {
            self.running.insert((due.mailbox, due.workload));
            let environment = Arc::clone(self.environment);
            let ctx = environment.ctx.with_cancellation(self.stop.child_token());
            let beginning = begun
                .remove(&(due.mailbox, due.workload))
                .unwrap_or(Beginning::Alone);
            self.tasks.spawn(async move {
                let mut ending = Ending::Together;
                let result = match beginning {
                    Beginning::Alone => Box::pin(cycle::run(&environment, &ctx, &due)).await,
                    Beginning::Begun(start) => {
                        Box::pin(cycle::run_begun(&environment, &ctx, *start, &mut ending)).await
                    }
                    Beginning::Held => Ok(Ran::Not),
                    Beginning::Failed(error) => Err(error),
                };
                if result.is_err() {
                    // It could not even be written down, so it is still due: not in a tight loop.
                    tokio::select! {
                        biased;
                        () = ctx.cancellation.cancelled() => {}
                        () = environment.ctx.clock.sleep(STORE_PAUSE) => {}
                    }
                }
                let task = Task::Cycle(due.mailbox, due.workload, key);
                let mut ended = Ended::new(task, result.map(drop));
                if let Ending::Left(lease, record) = ending {
                    ended.left = Some((lease, record));
                }
                ended
            });
        }
        Ok(())
    }

    /// Begins cycles together, where there are several: one write for all of them.
    async fn begin(
        &self,
        picked: &[(Due, Option<PermitKey>)],
    ) -> BTreeMap<(MailboxId, Workload), Beginning> {
        let wanted: Vec<_> = picked
            .iter()
            .map(|(due, _)| (due.mailbox, due.workload))
            .collect();
        if wanted.len() < 2 {
            return BTreeMap::new();
        }
        let environment = self.environment;
        let begun = environment
            .store
            .begin_cycles(
                &wanted,
                environment.holder,
                environment.now(),
                LEASE_DURATION,
            )
            .await;
        let begun = match begun {
            Ok(begun) => begun,
            Err(error) => {
                // Each tries by itself, and tells.
                warn!(code = %error.code(), %error, "cycles could not begin together");
                return BTreeMap::new();
            }
        };
        wanted
            .into_iter()
            .zip(begun)
            .map(|(key, begun)| {
                let beginning = match begun {
                    Ok(Some(start)) => Beginning::Begun(Box::new(start)),
                    Ok(None) => Beginning::Held,
                    Err(error) => Beginning::Failed(error.into()),
                };
                (key, beginning)
            })
            .collect()
    }

    /// Stores what cycles left, and gives their leases back. While the store cannot be used it is
    /// kept: the leases keep the workloads from running again meanwhile.
    async fn finish(&mut self) -> Result<()> {
        let store = &self.environment.store;
        let finished = match self.left.as_slice() {
            [] => return Ok(()),
            [(lease, record)] => match store.finish_cycle(lease, record).await {
                Err(error) if error.kind() == StoreErrorKind::Unavailable => Err(error),
                finished => Ok(vec![finished]),
            },
            left => store.finish_cycles(left).await,
        };
        let finished = match finished {
            Err(error) if error.kind() == StoreErrorKind::Unavailable => return Err(error.into()),
            Ok(finished) => finished,
            Err(error) => vec![Err(error)],
        };
        self.left.clear();
        for error in finished.into_iter().filter_map(Result::err) {
            warn!(code = %error.code(), %error, "a cycle could not be recorded");
        }
        Ok(())
    }

    fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        let Ended { task, result, left } = match ended {
            Ok(ended) => ended,
            Err(panic) => {
                // Its entry in `running` stays: that workload is not touched again by this engine.
                error!(error = %panic, "a task ended by a defect");
                return;
            }
        };
        // What a cycle left says when it is due again; otherwise anything may have happened.
        let now = self.environment.now();
        let later = |(_, record): &(Lease, CycleRecord)| record.next_due.is_none_or(|at| at > now);
        self.look_for_due |= !matches!(task, Task::Feed) && !left.as_ref().is_some_and(later);
        self.left.extend(left);
        match task {
            Task::Cycle(mailbox, workload, key) => {
                self.running.remove(&(mailbox, workload));
                let leaked = planted!(ScheduledPermitLeaked) && result.is_err();
                if let Some(key) = key.filter(|_| !leaked) {
                    self.permits.give_back(key, 1);
                }
                log(&result, "a cycle could not be recorded", Some(mailbox));
            }
            Task::Job(id) => {
                self.jobs.remove(&id);
                self.look_for_jobs = true;
                log(&result, "a test could not be recorded", None);
            }
            Task::Feed => {
                self.feeding = false;
                log(&result, "the application's feed could not be read", None);
            }
        }
    }
}

fn log(result: &Result<()>, what: &str, mailbox: Option<MailboxId>) {
    if let Err(error) = result {
        let code = error.code();
        warn!(%code, mailbox = mailbox.map(tracing::field::display), %error, "{what}");
    }
}
