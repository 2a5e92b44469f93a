//! Carries out a scenario, lets the world settle, and asks the oracle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use postroom_core::Workload;
use postroom_core::health::Health;
use postroom_core::job::JobState;
use postroom_core::mailbox::DeliveryMethod;
use tokio::time::Instant;

use crate::action::{Action, Scenario};
use crate::fault::servers::{Order, ServerFaults};
use crate::fault::{FaultPlan, WindowPlan};
use crate::history::Event;
use crate::log::Log;
use crate::oracle::gather::{Sources, gather};
use crate::oracle::liveness::ROW_AGE_MAX;
use crate::oracle::view::Text;
use crate::oracle::{self, Violation};
use crate::people::Incoming;
use crate::report::{Outcome, Totals};
use crate::trace::Keep;
use crate::world::World;

/// How long a process that died is away.
const AWAY: Duration = Duration::from_secs(5);
/// How long one that ended by itself is away: whoever watches over services gives it a moment.
const AWAY_ENDED: Duration = Duration::from_secs(30);
/// How long somebody waits for an action to be done.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks whether everything has settled.
const LOOK: Duration = Duration::from_secs(30 * 60);
/// The world is left alone for so long at least, however quiet it is: what the oracle gives two hours
/// to happen must have had them, even where it began with the last step.
const REST_MIN: Duration = ROW_AGE_MAX.saturating_add(LOOK);
/// What must have settled by then.
const BOUND: Duration = Duration::from_secs(24 * 3600);
/// At most so many looks of the oracle in the middle of a run.
const CHECKPOINTS_MAX: u32 = 3;

/// How a scenario is carried out.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What is done with the trace.
    pub keep: Keep,
    /// Another plan of faults in place of the scenario's windows.
    pub plan: Option<Arc<dyn FaultPlan>>,
    /// Leaves out the oracle, and the log that it looks for secrets in: for measuring speed.
    pub unchecked: bool,
    /// How often the engine looks for what others changed, where it is not as often as always.
    pub poll: Option<Duration>,
    /// How many calls within a simulated minute are taken for a circle, where not as many as always.
    pub pace: Option<u64>,
}

/// Carries out a scenario on a runtime of its own.
#[must_use]
pub fn run(scenario: &Scenario, options: &Options) -> Outcome {
    let log = Log::default();
    let listening = (!options.unchecked).then(|| log.listen());
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(drive(scenario, options, log))
    }));
    drop(listening);
    ran.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        let mut outcome = Outcome {
            seed: scenario.seed,
            violations: vec![Violation::new(0, format!("panic: {text}"))],
            ..Outcome::default()
        };
        outcome.totals.seeds = 1;
        outcome.totals.violations = 1;
        outcome
    })
}

/// Something in the agenda.
#[derive(Clone, Copy, Debug)]
enum Item {
    Begin(usize),
    End(usize),
    Step(usize),
}

struct Driver<'a> {
    world: World,
    scenario: &'a Scenario,
    servers: ServerFaults,
    start: Instant,
    violations: Vec<Violation>,
    checkpoints: u32,
    checked: bool,
}

/// Carries out a scenario. The runtime's time must be paused.
pub async fn drive(scenario: &Scenario, options: &Options, log: Log) -> Outcome {
    let plan = options.plan.clone().unwrap_or_else(|| {
        Arc::new(WindowPlan::new(
            scenario.seed,
            &scenario.setup,
            &scenario.faults,
        ))
    });
    let start = Instant::now();
    let mut world = World::new(scenario.seed, &scenario.setup, plan, options.keep, log);
    world.poll = options.poll.unwrap_or(world.poll);
    if let Some(most) = options.pace {
        world.seams.set_pace(most);
    }
    world.establish().await;
    let servers = ServerFaults::new(
        scenario.setup.clone(),
        world.systems.clone(),
        world.history.clone(),
        world.seams.tally().clone(),
    );
    let mut driver = Driver {
        world,
        scenario,
        servers,
        start,
        violations: Vec::new(),
        checkpoints: 0,
        checked: !options.unchecked,
    };
    driver.world.start();
    for (at, item) in agenda(scenario) {
        driver.wait_until(start + at).await;
        if driver.world.seams.livelock().is_some() {
            break;
        }
        match item {
            Item::Step(step) => driver.act(&scenario.steps[step].action).await,
            Item::Begin(window) => {
                let orders = driver
                    .servers
                    .apply(window as u32, &scenario.faults[window]);
                driver.obey(orders).await;
            }
            Item::End(window) => {
                let orders = driver
                    .servers
                    .clear(window as u32, &scenario.faults[window]);
                driver.obey(orders).await;
            }
        }
    }
    let settled = driver.settle().await;
    driver.finish(settled).await
}

/// Steps and borders of windows, in order of time; at the same time, faults end first.
fn agenda(scenario: &Scenario) -> Vec<(Duration, Item)> {
    let mut agenda = Vec::new();
    for (at, window) in scenario.faults.iter().enumerate() {
        agenda.push((window.from, 1, Item::Begin(at)));
        agenda.push((window.until, 0, Item::End(at)));
    }
    for (at, step) in scenario.steps.iter().enumerate() {
        agenda.push((step.at, 2, Item::Step(at)));
    }
    agenda.sort_by_key(|(at, order, _)| (*at, *order));
    agenda.into_iter().map(|(at, _, item)| (at, item)).collect()
}

impl Driver<'_> {
    /// Lets the world run until then; looks after the process meanwhile.
    async fn wait_until(&mut self, until: Instant) {
        loop {
            if self.world.seams.livelock().is_some() {
                self.world.crash().await;
                return;
            }
            let Some(process) = &mut self.world.process else {
                self.restart(AWAY).await;
                continue;
            };
            let switch = process.seams.switch().clone();
            let ended = tokio::select! {
                biased;
                _ = switch.wait() => None,
                ended = &mut process.task => Some((process.number, ended)),
                () = tokio::time::sleep_until(until) => return,
            };
            match ended {
                None => {
                    self.world.crash().await;
                    self.checkpoint().await;
                    self.restart(AWAY).await;
                }
                Some((number, ended)) => {
                    self.world.process_ended(number, ended).await;
                    self.restart(AWAY_ENDED).await;
                }
            }
        }
    }

    async fn restart(&mut self, away: Duration) {
        tokio::time::sleep(away).await;
        self.world.start();
        self.world.found_everything().await;
    }

    async fn act(&mut self, action: &Action) {
        match action {
            Action::Deliver {
                number,
                from,
                to,
                shape,
                answer,
            } => self.world.deliver(&Incoming {
                number: *number,
                from: *from,
                to,
                shape: *shape,
                answer: *answer,
            }),
            Action::Write {
                number,
                from,
                to,
                answers,
            } => self.world.write(*number, *from, to, *answers).await,
            Action::Client {
                mailbox,
                pick,
                what,
            } => self.world.client(*mailbox, *pick, *what),
            Action::Admin(action) => {
                let Some(switch) = self.world.switch() else {
                    return;
                };
                tokio::select! {
                    biased;
                    () = self.world.administer(action) => {}
                    _ = switch.wait() => {}
                    () = tokio::time::sleep(PATIENCE) => {}
                }
            }
            Action::Restart { away_seconds } => {
                self.world.stop().await;
                self.restart(Duration::from_secs(*away_seconds)).await;
            }
            Action::Crash => {
                self.world.crash().await;
                self.checkpoint().await;
                self.restart(AWAY).await;
            }
        }
    }

    async fn obey(&mut self, orders: Vec<Order>) {
        for order in orders {
            match order {
                Order::Skew(millis) => {
                    let by_millis = millis - self.world.clock.skew_millis();
                    self.world.clock.set_skew_millis(millis);
                    self.world.note(Event::ClockJumped { by_millis });
                }
                Order::StartRival => self.world.start_rival(),
                Order::StopRival => self.world.stop_rival().await,
            }
        }
    }

    /// No fault strikes any more; what only a person can mend is mended. Answers whether everything
    /// came to rest within the bound.
    async fn settle(&mut self) -> bool {
        self.world.seams.calm();
        self.world.note(Event::FaultsEnded);
        // Before anybody mends anything: a test would switch on again what an outage switched off.
        self.look().await;
        let begin = Instant::now();
        let (mut looks, mut quiet) = (0_u32, false);
        loop {
            if !quiet && looks.is_multiple_of(4) {
                self.mend().await;
            }
            looks += 1;
            self.wait_until(Instant::now() + LOOK).await;
            if self.world.seams.livelock().is_some() {
                return true;
            }
            quiet = self.quiet().await;
            if quiet && begin.elapsed() >= REST_MIN {
                return true;
            }
            if begin.elapsed() >= BOUND {
                return quiet;
            }
        }
    }

    async fn mend(&mut self) {
        let Some(switch) = self.world.switch() else {
            return;
        };
        tokio::select! {
            biased;
            () = self.world.mend() => {}
            _ = switch.wait() => {}
        }
    }

    /// Whether there is nothing left to do.
    async fn quiet(&self) -> bool {
        const READ: &str = "the store can be read";
        let store = self.world.store();
        let jobs = store
            .jobs(&[JobState::Running, JobState::Queued], 10)
            .await
            .expect(READ);
        if !jobs.is_empty() {
            return false;
        }
        for own in &self.world.boxes {
            let mailbox = store.mailbox(own.id).await.expect(READ).expect("a mailbox");
            for workload in [Workload::Incoming, Workload::Outgoing] {
                let state = mailbox.workload(workload);
                let well = state.enabled && state.health == Health::Healthy;
                if state.method == DeliveryMethod::ServerSide && !well {
                    return false;
                }
            }
        }
        let counts = store.ledger_counts(None).await.expect(READ);
        let pending = counts
            .into_iter()
            .any(|(state, count)| state == "pending" && count > 0);
        let counts = store.outbox_counts(None).await.expect(READ);
        let sending = counts.into_iter().any(|(state, count)| {
            matches!(state.as_str(), "pending_send" | "sending") && count > 0
        });
        let unreported = store.outbox_unreported(1).await.expect(READ);
        !pending && !sending && unreported.is_empty()
    }

    /// A look of the oracle in the middle: only what must hold at any time.
    async fn checkpoint(&mut self) {
        if self.checkpoints < CHECKPOINTS_MAX {
            self.checkpoints += 1;
            self.look().await;
        }
    }

    /// Such a look, however many there were.
    async fn look(&mut self) {
        if !self.checked || !self.violations.is_empty() {
            return;
        }
        let (store, crm) = (self.world.store(), self.world.crm());
        let view = gather(Sources {
            history: &self.world.history,
            store: store.as_ref(),
            crm: &crm,
            systems: &self.world.systems,
            protocols: &self.world.protocols,
            clock: self.world.now(),
            settled: false,
            outside: &[],
            admin: None,
            texts: Vec::new(),
        })
        .await;
        self.violations = oracle::check(&view);
    }

    async fn finish(mut self, settled: bool) -> Outcome {
        let mut totals = self.totals().await;
        if let Some(livelock) = self.world.seams.livelock() {
            // What it left is nothing to judge.
            self.violations.push(Violation::new(0, livelock));
        } else if self.checked {
            if !settled {
                let text = "the world did not come to rest within the bound";
                self.violations.push(Violation::new(0, text));
            }
            let mut texts = vec![Text {
                source: "the log".to_owned(),
                bytes: self.world.log.text(),
            }];
            texts.extend(self.files());
            let admin = self.world.admin();
            let (store, crm) = (self.world.store(), self.world.crm());
            let view = gather(Sources {
                history: &self.world.history,
                store: store.as_ref(),
                crm: &crm,
                systems: &self.world.systems,
                protocols: &self.world.protocols,
                clock: self.world.now(),
                settled: true,
                outside: &[],
                admin: admin.as_ref().map(|admin| (admin, &self.world.operator)),
                texts,
            })
            .await;
            self.violations.extend(oracle::check(&view));
        }
        for violation in &self.violations {
            self.world.trace.line(format_args!("{violation}"));
        }
        self.world.stop().await;
        totals.violations = self.violations.len() as u64;
        totals.traces = self.world.trace.hash() as u64;
        Outcome {
            seed: self.scenario.seed,
            hash: self.world.trace.hash(),
            lines: self.world.trace.count(),
            trace: self.world.trace.take_lines(),
            violations: self.violations,
            totals,
        }
    }

    /// The bytes on the disk.
    fn files(&self) -> Vec<Text> {
        let mut texts = Vec::new();
        let mut folders = vec![self.world.disk.folder().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(bytes) = std::fs::read(&path) {
                    let source = entry.file_name().to_string_lossy().into_owned();
                    texts.push(Text { source, bytes });
                }
            }
        }
        texts.sort_by(|one, other| one.source.cmp(&other.source));
        texts
    }

    async fn totals(&self) -> Totals {
        let elapsed = self.start.elapsed().as_secs();
        let mut totals = Totals {
            seeds: 1,
            simulated_seconds: elapsed,
            mailbox_seconds: elapsed * self.scenario.setup.mailboxes.len() as u64,
            written: self.world.written.len() as u64,
            calls: self.world.seams.calls(),
            ..Totals::default()
        };
        for (name, count) in self.world.seams.tally().counts() {
            totals.faults.insert(name.to_owned(), count);
        }
        let store = self.world.store();
        for (state, count) in store.ledger_counts(None).await.unwrap_or_default() {
            if state == "delivered" {
                totals.recorded = count;
            }
        }
        for (state, count) in store.outbox_counts(None).await.unwrap_or_default() {
            if state == "sent" {
                totals.sent = count;
            }
        }
        self.world.history.with(|entries| {
            for entry in entries {
                match &entry.event {
                    Event::EngineStarted { .. } => totals.starts += 1,
                    Event::EngineCrashed { torn, .. } => {
                        totals.crashes += 1;
                        totals.torn += u64::from(*torn);
                    }
                    Event::Arrived { .. } => totals.delivered += 1,
                    _ => {}
                }
            }
        });
        totals
    }
}
