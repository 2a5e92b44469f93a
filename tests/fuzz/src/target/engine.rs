//! Any bytes as a message in a mailbox, through the whole engine: it is recorded, filtered or set
//! aside; nothing stays behind, and what comes after it arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use postroom_core::job::JobKind;
use postroom_core::ledger::LedgerState;
use postroom_core::mailbox::MailboxOwner;
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::party::PartyKind;
use postroom_core::principal::Principal;
use postroom_core::profile::ProfileKind;
use postroom_core::tracking::TrackingFilter;
use postroom_core::{Code, Organization, OrganizationId, Timestamp};
use postroom_engine::{Engine, NewMailbox};
use postroom_provider::{Clock, ProviderRegistry, Randomness, Spool};
use postroom_simulator::memory::{MemoryFactory, MemoryServer, SharedClock};
use postroom_simulator::model::{Account, MailSystem};
use postroom_store::{LedgerFilter, Page};
use postroom_store_sqlite::{EmailFilter, SqliteStorage, StorageOptions};

use super::wire::DESK;
use super::{Target, magnitude, observed};
use crate::family::Family;

/// So many messages go through one engine; then another begins.
const MESSAGES_MAX: u32 = 100;

/// Messages, through the whole engine.
pub(super) struct Messages {
    world: World,
    runtime: tokio::runtime::Runtime,
}

impl Messages {
    pub(super) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        Self {
            world: runtime.block_on(World::new()),
            runtime,
        }
    }
}

/// A clock that stands still, except that whoever waits moves it.
#[derive(Debug)]
struct Moving(AtomicI64);

impl Moving {
    fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for Moving {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, duration: Duration) {
        // Others first: who waits does so because there is nothing to do.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.advance(duration);
    }
}

#[derive(Debug)]
struct Seeded(AtomicU64);

impl Randomness for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            let seed = self.0.fetch_add(1, Ordering::SeqCst);
            *byte = crate::random::Random::new(seed).next() as u8;
        }
    }
}

struct World {
    clock: Arc<Moving>,
    mail: Arc<MailSystem>,
    storage: SqliteStorage,
    engine: Engine,
    delivered: u32,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(Moving(AtomicI64::new(1_790_000_000_000)));
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        let mail = Arc::new(MailSystem::with_clock(
            Arc::new(SharedClock::new(shared)),
            7,
        ));
        mail.add_account(Account::new(DESK)).expect("an account");
        let server = MemoryServer::new(Arc::clone(&mail));
        let folder = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .expect("a temporary folder");
        let options = StorageOptions::new(folder.path()).inline().without_sync();
        let organization = Organization::new(
            OrganizationId::from_random([1; 16]),
            "Contoso",
            Deployment::new(DeploymentKind::OnPremises),
        );
        let storage = SqliteStorage::create(&options, &organization).expect("a store");
        let address = DESK.parse().expect("an address");
        let desk = storage
            .crm()
            .create_party(PartyKind::Queue, "Desk", &[address], None)
            .await
            .expect("a queue");
        let registry = ProviderRegistry::new().with(Arc::new(MemoryFactory::new(server)));
        let engine = Engine::builder(storage.store(), storage.crm(), registry)
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .randomness(Arc::new(Seeded(AtomicU64::new(1))))
            .spool(Spool::in_folder(folder.path()).expect("a spool"))
            .inline_parsing()
            .build()
            .expect("an engine");
        let operator = Principal::operator("operator");
        let admin = engine.admin();
        let profile = admin.new_profile("Main", ProfileKind::Custom("memory".to_owned()));
        admin
            .create_profile(&operator, &profile)
            .await
            .expect("a profile");
        let mut organization = admin
            .organization(&operator)
            .await
            .expect("the organization");
        organization.settings.mailbox_defaults.profile = Some(profile.id);
        admin
            .update_organization(&operator, &organization)
            .await
            .expect("a setting");
        let new = NewMailbox::new("Desk", MailboxOwner::Queue(desk), DESK.parse().ok());
        let mailbox = admin
            .create_mailbox(&operator, new)
            .await
            .expect("a mailbox");
        let ids = [mailbox.id];
        admin
            .approve(&operator, &ids)
            .await
            .into_iter()
            .for_each(|(_, outcome)| drop(outcome.expect("approved")));
        for (_, job) in admin
            .test_mailboxes(&operator, &ids, JobKind::TestAndEnable)
            .await
        {
            job.expect("a job");
        }
        let world = Self {
            clock,
            mail,
            storage,
            engine,
            delivered: 0,
            _folder: folder,
        };
        world.pass(Duration::ZERO).await;
        world.pass(Duration::from_secs(600)).await;
        world
    }

    async fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
        self.engine.step().await.expect("a step");
    }

    /// Delivers a message and answers what became of it.
    async fn deliver(&mut self, raw: &[u8]) -> LedgerState {
        self.delivered += 1;
        self.mail.deliver(raw.to_vec(), &[DESK]);
        let newest = async || {
            let rows = self
                .storage
                .store()
                .ledger(&LedgerFilter::default(), Page::first(1))
                .await;
            rows.expect("rows").pop()
        };
        let before = newest().await.map(|row| row.id);
        // Three attempts with a growing pause between, and some more.
        for _ in 0..12 {
            self.pass(Duration::from_secs(1800)).await;
            match newest().await {
                Some(row)
                    if Some(row.id) != before
                        && !matches!(row.state, LedgerState::Pending { .. }) =>
                {
                    return row.state;
                }
                _ => {}
            }
        }
        panic!(
            "it is still not settled: {:?}",
            newest().await.map(|row| row.state)
        );
    }
}

impl Target for Messages {
    fn seeds(&self) -> Vec<Vec<u8>> {
        super::mime::SEEDS
            .iter()
            .map(|seed| seed.to_vec())
            .collect()
    }

    fn dictionary(&self) -> &'static [&'static [u8]] {
        &[
            b"Message-ID: <p1@contoso.example>\r\n",
            b"In-Reply-To: <p1@contoso.example>\r\n",
            b"CRM:000001",
            b"To: desk@contoso.example\r\n",
            b"From: desk@contoso.example\r\n",
        ]
    }

    fn families(&self) -> Vec<Family> {
        super::mime::Mime.families()
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let _ = TrackingFilter::All;
        let Self { world, runtime } = self;
        runtime.block_on(async {
            if world.delivered >= MESSAGES_MAX {
                *world = World::new().await;
            }
            let state = world.deliver(input).await;
            if let LedgerState::Quarantined { code, raw_kept } = &state {
                assert_eq!(
                    *code,
                    Code::MessageMalformed,
                    "only what is no message at all is set aside"
                );
                assert!(raw_kept, "what is set aside is kept");
            }
            let emails = world
                .storage
                .crm()
                .count_emails(&EmailFilter::default())
                .await
                .expect("a count");
            observed(&(
                state.name(),
                magnitude(emails as usize),
                matches!(state, LedgerState::Delivered { created: false, .. }),
            ))
        })
    }
}
