//! The simulated world: mail systems, the store on its disk, and the process with the engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use postroom_core::principal::Principal;
use postroom_core::{MailboxId, PartyId, ProfileId, RecordId, Timestamp};
use postroom_engine::{Admin, Bounds, Engine};
use postroom_ews::EwsFactory;
use postroom_net::HttpTransport;
use postroom_provider::{Clock, ProviderFactory, ProviderRegistry, Randomness, Spool};
use postroom_simulator::memory::MemoryFactory;
use postroom_simulator::model::AccountId;
use postroom_store::{Crm, Store};
use postroom_store_sqlite::{SqliteCrm, SqliteStorage};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::action::Number;
use crate::clock::{SimClock, TrueClock};
use crate::fault::{
    Crash, CrashSwitch, Directory, FaultPlan, FaultyCrm, FaultyFactory, FaultyStore,
    FaultyTransport, FreezableClock, Seams,
};
use crate::history::{Event, History};
use crate::log::Log;
use crate::post::Seen;
use crate::randomness::{Draw, SimRandomness};
use crate::servers::{Network, Protocols, System, Threads};
use crate::setup::{Protocol, Setup};
use crate::storage::Disk;
use crate::trace::{Keep, Trace};

/// How often the engine looks into the store for what others changed.
pub const POLL: Duration = Duration::from_secs(180);
/// One seed of so many has a store that writes the application's records in its own transactions; with
/// others they are kept apart, as with an application that has a database of its own.
const JOINT_OF: u64 = 4;
/// The first of those seeds.
pub const JOINT_SEED: u64 = 3;
/// How long a stop in good order may take.
const STOP_PATIENCE: Duration = Duration::from_secs(600);

/// A mailbox of the world.
#[derive(Clone, Debug)]
pub struct WorldMailbox {
    /// Its id.
    pub id: MailboxId,
    /// Whose it is.
    pub party: PartyId,
    /// The address of its account.
    pub address: String,
    /// Its account.
    pub account: AccountId,
    /// On which system.
    pub system: usize,
    /// How it is reached.
    pub protocol: Protocol,
}

/// A process with an engine.
#[derive(Debug)]
pub struct Process {
    /// Counts processes, from 0.
    pub number: u32,
    /// The engine.
    pub engine: Engine,
    /// What stands between it and everything else.
    pub seams: Seams,
    token: CancellationToken,
    /// The engine's run.
    pub task: JoinHandle<postroom_engine::Result<()>>,
}

/// A second engine on the store of the first, which it believes gone.
#[derive(Debug)]
struct Rival {
    token: CancellationToken,
    task: JoinHandle<postroom_engine::Result<()>>,
}

/// Everything there is in a run.
#[derive(Debug)]
pub struct World {
    /// The seed.
    pub seed: u64,
    /// How it began.
    pub setup: Setup,
    /// True time.
    pub time: TrueClock,
    /// The clock of the engine's machine.
    pub clock: SimClock,
    /// The trace.
    pub trace: Trace,
    /// What really happened.
    pub history: History,
    /// What the engine wrote into its log.
    pub log: Log,
    /// The mail systems.
    pub systems: Vec<System>,
    /// What messages answer.
    pub threads: Threads,
    /// How accounts are reached.
    pub protocols: Protocols,
    /// The files.
    pub disk: Disk,
    storage: Option<SqliteStorage>,
    /// The seams of the whole run.
    pub seams: Seams,
    /// How often the engine looks into the store for what others changed.
    pub poll: Duration,
    /// Whether the store writes the application's records in its own transactions.
    joint: bool,
    /// The process with the engine, where one runs.
    pub process: Option<Process>,
    rival: Option<Rival>,
    processes: u32,
    /// Who administers.
    pub operator: Principal,
    /// The profiles, by position.
    pub profiles: Vec<ProfileId>,
    /// The mailboxes, by position.
    pub boxes: Vec<WorldMailbox>,
    /// Passwords by login, as the servers know them.
    pub passwords: BTreeMap<String, String>,
    /// How messages looked to those who may answer them.
    pub seen: BTreeMap<Number, Seen>,
    /// The record of each email that was written in the application.
    pub written: BTreeMap<Number, RecordId>,
    /// Decides what nobody else decides.
    pub draw: Draw,
    randomness: Arc<SimRandomness>,
    admin_calls: u32,
}

impl World {
    /// A world with its mail systems and an empty store. No engine runs.
    #[must_use]
    pub fn new(seed: u64, setup: &Setup, plan: Arc<dyn FaultPlan>, keep: Keep, log: Log) -> Self {
        let time = TrueClock::begin();
        let trace = Trace::new(time.clone(), keep);
        let history = History::new();
        let systems: Vec<System> = (0..setup.systems)
            .map(|number| System::new(&time, seed.wrapping_mul(31).wrapping_add(number as u64)))
            .collect();
        let threads = Threads::default();
        let protocols: Protocols = Arc::new(
            (0..setup.mailboxes.len())
                .map(|at| {
                    let profile = &setup.profiles[setup.mailboxes[at].profile];
                    (setup.address(at), profile.protocol)
                })
                .collect(),
        );
        for system in &systems {
            system.watch(&history, &threads, &protocols);
        }
        let seams = Seams::new(plan, trace.clone(), history.clone(), Directory::default());
        let disk = Disk::create(seed);
        let storage = disk.open().expect("a new store opens");
        Self {
            seed,
            setup: setup.clone(),
            clock: SimClock::new(time.clone()),
            time,
            trace,
            history,
            log,
            protocols,
            systems,
            threads,
            disk,
            storage: Some(storage),
            poll: POLL,
            joint: seed % JOINT_OF == JOINT_SEED,
            seams,
            process: None,
            rival: None,
            processes: 0,
            operator: Principal::operator("operator"),
            profiles: Vec::new(),
            boxes: Vec::new(),
            passwords: BTreeMap::new(),
            seen: BTreeMap::new(),
            written: BTreeMap::new(),
            draw: Draw::new(seed, 3),
            randomness: Arc::new(SimRandomness::new(seed, 1)),
            admin_calls: 0,
        }
    }

    /// The store itself, without anything in between.
    #[must_use]
    pub fn storage(&self) -> &SqliteStorage {
        self.storage.as_ref().expect("the store is open")
    }

    /// The store's trait, without anything in between.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        self.storage().store()
    }

    /// The application's records, without anything in between.
    #[must_use]
    pub fn crm(&self) -> Arc<SqliteCrm> {
        // Whoever writes here waits for the disk, and takes everything else there, too.
        self.seams.synced();
        self.storage().crm()
    }

    /// What the engine's machine takes for now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Administration by way of the running process, where one runs.
    #[must_use]
    pub fn admin(&self) -> Option<Admin> {
        let process = self.process.as_ref()?;
        (!process.seams.freezer().frozen()).then(|| process.engine.admin())
    }

    /// The next number of a call to administration.
    pub fn next_admin_call(&mut self) -> u32 {
        self.admin_calls += 1;
        self.admin_calls
    }

    /// What kills the running process.
    #[must_use]
    pub fn switch(&self) -> Option<CrashSwitch> {
        self.process
            .as_ref()
            .map(|process| process.seams.switch().clone())
    }

    /// The marker of a message.
    #[must_use]
    pub fn marker(&self, number: Number) -> String {
        format!("m{}-{number}", self.seed)
    }

    /// Notes something for the trace and the history.
    pub fn note(&self, event: Event) {
        self.trace.line(format_args!("{event:?}"));
        self.history.push(event);
    }

    /// An engine behind seams, or (`None`) on the bare store.
    #[must_use]
    pub fn engine(&self, seams: Option<&Seams>) -> Engine {
        let mut store = self.store();
        let mut crm: Arc<dyn Crm> = self.crm();
        let mut clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let servers = self.systems.iter().enumerate();
        let servers = servers.map(|(at, system)| (Setup::host(at), system.exchange.clone()));
        let mut network: Arc<dyn HttpTransport> = Arc::new(Network::new(servers.collect()));
        if let Some(seams) = seams {
            store = Arc::new(FaultyStore::new(store, seams.clone(), self.joint));
            crm = Arc::new(FaultyCrm::new(crm, seams.clone()));
            clock = Arc::new(FreezableClock::new(clock, seams.freezer().clone()));
            network = Arc::new(FaultyTransport::new(network, seams.clone()));
        }
        let behind = |factory: Arc<dyn ProviderFactory>, http| match seams {
            Some(seams) => Arc::new(FaultyFactory::new(factory, seams.clone(), http))
                as Arc<dyn ProviderFactory>,
            None => factory,
        };
        let exchange = EwsFactory::exchange_server().with_transport(network);
        let mut registry = ProviderRegistry::new().with(behind(Arc::new(exchange), true));
        for (at, system) in self.systems.iter().enumerate() {
            let factory = MemoryFactory::new(system.memory.clone()).named(memory_name(at));
            registry = registry.with(behind(Arc::new(factory), false));
        }
        let mut bounds = Bounds::default();
        bounds.poll = self.poll;
        let randomness: Arc<dyn Randomness> = Arc::<SimRandomness>::clone(&self.randomness);
        Engine::builder(store, crm, registry)
            .clock(clock)
            .randomness(randomness)
            .spool(Spool::in_folder(self.disk.folder()).expect("a folder for large messages"))
            .bounds(bounds)
            .inline_parsing()
            .build()
            .expect("an engine")
    }

    /// Starts a process; where one runs already, nothing happens.
    pub fn start(&mut self) {
        if self.process.is_some() {
            return;
        }
        let number = self.processes;
        self.processes += 1;
        let seams = self.seams.engine(number, self.disk.folder().to_owned());
        let engine = self.engine(Some(&seams));
        let token = CancellationToken::new();
        let (running, stop) = (engine.clone(), token.clone());
        self.note(Event::EngineStarted { engine: number });
        let task = tokio::spawn(async move { running.run(stop).await });
        self.process = Some(Process {
            number,
            engine,
            seams,
            token,
            task,
        });
    }

    /// Freezes the process, and starts another engine that takes over what leases let it.
    pub fn start_rival(&mut self) {
        let Some(process) = &self.process else {
            return;
        };
        if self.rival.is_some() {
            return;
        }
        process.seams.freezer().freeze();
        let number = self.processes;
        let seams = process.seams.rival(number);
        self.processes += 1;
        let engine = self.engine(Some(&seams));
        let token = CancellationToken::new();
        let stop = token.clone();
        self.note(Event::EngineStarted { engine: number });
        let task = tokio::spawn(async move { engine.run(stop).await });
        self.rival = Some(Rival { token, task });
    }

    /// Thaws the process; both run for a moment, then the second one stops.
    pub async fn stop_rival(&mut self) {
        if let Some(process) = &self.process {
            let engine = process.number;
            self.note(Event::EngineThawed { engine });
            process.seams.freezer().thaw();
        }
        let Some(mut rival) = self.rival.take() else {
            return;
        };
        tokio::time::sleep(Duration::from_secs(2)).await;
        rival.token.cancel();
        let stopped = tokio::time::timeout(STOP_PATIENCE, &mut rival.task).await;
        if stopped.is_err() {
            rival.task.abort();
        }
    }

    /// Stops the process in good order; where it cannot, it is killed.
    pub async fn stop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        if self.rival.is_some() {
            self.process = Some(process);
            self.stop_rival().await;
            let Some(again) = self.process.take() else {
                return;
            };
            process = again;
        }
        process.token.cancel();
        let switch = process.seams.switch().clone();
        let stopped = tokio::select! {
            biased;
            ended = &mut process.task => Some(ended),
            _ = switch.wait() => None,
            () = tokio::time::sleep(STOP_PATIENCE) => None,
        };
        let Some(ended) = stopped else {
            self.process = Some(process);
            self.crash().await;
            return;
        };
        self.ended(process.number, ended);
        drop(process);
        self.close().await;
    }

    fn ended(
        &mut self,
        number: u32,
        ended: Result<postroom_engine::Result<()>, tokio::task::JoinError>,
    ) {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let note = format!("engine {number} ended: {}", error.code());
                self.note(Event::Note(note));
            }
            Err(error) => panic!("the engine panicked: {error}"),
        }
        self.note(Event::EngineStopped { engine: number });
    }

    /// The process ended by itself.
    pub async fn process_ended(
        &mut self,
        number: u32,
        ended: Result<postroom_engine::Result<()>, tokio::task::JoinError>,
    ) {
        self.process = None;
        if let Some(rival) = self.rival.take() {
            rival.task.abort();
        }
        self.ended(number, ended);
        self.close().await;
    }

    /// Closes the store as a process does that ends.
    async fn close(&mut self) {
        settle_tasks().await;
        self.storage = None;
        self.storage = Some(self.disk.open().expect("a closed store opens again"));
    }

    /// The process is gone, where it stands; the files stay as they are, or torn.
    pub async fn crash(&mut self) {
        let Some(process) = self.process.take() else {
            return;
        };
        let crash = process.seams.switch().crash().unwrap_or(Crash::Plain);
        // Nothing of it has an effect any more, whatever is still there of its tasks.
        process.seams.switch().trip(Crash::Plain);
        if let Some(rival) = self.rival.take() {
            rival.task.abort();
            let _ = rival.task.await;
        }
        process.task.abort();
        let (number, task) = (process.number, process.task);
        drop(process.engine);
        let _ = task.await;
        self.disk.crash();
        let torn = match &crash {
            Crash::Plain => false,
            Crash::Torn { before, after } => self.disk.tear(before, after, &mut self.draw),
        };
        self.note(Event::EngineCrashed {
            engine: number,
            torn,
        });
        self.storage = None;
        settle_tasks().await;
        let storage = self.disk.open();
        self.storage = Some(storage.expect("the store opens after a crash"));
    }
}

/// Lets tasks that were aborted go.
async fn settle_tasks() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

/// The name of the provider that calls a mail system directly.
#[must_use]
pub fn memory_name(system: usize) -> String {
    format!("memory{system}")
}
