//! A small world to run the engine in: a mail server in memory, an embedded store, a clock that
//! moves only when told (and when somebody waits).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use postroom_core::alert::Alert;
use postroom_core::job::JobKind;
use postroom_core::ledger::{LedgerEntry, LedgerState};
use postroom_core::mailbox::MailboxOwner;
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::outbox::OutboxEntry;
use postroom_core::party::PartyKind;
use postroom_core::principal::Principal;
use postroom_core::profile::ProfileKind;
use postroom_core::{
    Code, Mailbox, MailboxId, Organization, OrganizationId, PartyId, ProfileId, RecordId, Timestamp,
};
use postroom_engine::{Admin, Engine, NewMailbox};
use postroom_provider::{Clock, ProviderFactory, ProviderRegistry, Randomness, Spool};
use postroom_simulator::memory::{MemoryFactory, MemoryServer, SharedClock};
use postroom_simulator::model::{Account, MailSystem, WellKnown};
use postroom_store::{AlertFilter, Crm, LedgerFilter, OutboxFilter, Page, Store};
use postroom_store_sqlite::{
    EmailFilter, EmailSummary, NewEmail, SqliteCrm, SqliteStorage, StorageOptions,
};

use crate::crash::{CrashingCrm, CrashingFactory, CrashingStore, Fuse};

pub(crate) const ADA: &str = "ada@contoso.example";
pub(crate) const DESK: &str = "desk@contoso.example";
pub(crate) const JO: &str = "jo@fabrikam.example";

/// A clock that stands still, except that whoever waits moves it.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).expect("a test waits less than for ever");
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    pub(crate) fn set_back(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).expect("a test goes back less than for ever");
        self.0.fetch_sub(millis, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for TestClock {
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

/// Numbers that look random and come out the same each time.
#[derive(Debug)]
struct TestRandomness(AtomicU64);

impl Randomness for TestRandomness {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            // SplitMix64.
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (z ^ (z >> 31)).to_le_bytes()[0];
        }
    }
}

pub(crate) struct World {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) server: MemoryServer,
    pub(crate) storage: SqliteStorage,
    pub(crate) engine: Engine,
    pub(crate) operator: Principal,
    pub(crate) ada: PartyId,
    pub(crate) desk: PartyId,
    pub(crate) jo: PartyId,
    pub(crate) profile: ProfileId,
    pub(crate) ada_mailbox: MailboxId,
    pub(crate) desk_mailbox: MailboxId,
    folder: tempfile::TempDir,
    engines: u64,
}

impl World {
    /// A user and a queue with mailboxes, a contact; nothing is approved or tested.
    pub(crate) async fn bare() -> Self {
        let clock = Arc::new(TestClock(AtomicI64::new(1_790_000_000_000)));
        let shared: Arc<dyn Clock> = Arc::<TestClock>::clone(&clock);
        let mail = MailSystem::with_clock(Arc::new(SharedClock::new(shared)), 7);
        for address in [ADA, DESK] {
            mail.add_account(Account::new(address)).unwrap();
        }
        let server = MemoryServer::new(Arc::new(mail));
        let folder = tempfile::tempdir().unwrap();
        let options = StorageOptions::new(folder.path()).inline().without_sync();
        let organization = Organization::new(
            OrganizationId::from_random([1; 16]),
            "Contoso",
            Deployment::new(DeploymentKind::OnPremises),
        );
        let storage = SqliteStorage::create(&options, &organization).unwrap();
        let crm = storage.crm();
        let party = async |kind, name: &str, address: &str| {
            let address = address.parse().unwrap();
            crm.create_party(kind, name, &[address], None)
                .await
                .unwrap()
        };
        let ada = party(PartyKind::User, "Ada", ADA).await;
        let desk = party(PartyKind::Queue, "Desk", DESK).await;
        let jo = party(PartyKind::Contact, "Jo", JO).await;
        let engine = engine_on(&clock, &server, &storage, folder.path(), 0, None);
        let operator = Principal::operator("operator");
        let admin = engine.admin();
        let profile = admin.new_profile("Main", ProfileKind::Custom("memory".to_owned()));
        admin.create_profile(&operator, &profile).await.unwrap();
        let mut organization = admin.organization(&operator).await.unwrap();
        organization.settings.mailbox_defaults.profile = Some(profile.id);
        admin
            .update_organization(&operator, &organization)
            .await
            .unwrap();
        let mut mailboxes = Vec::new();
        for (name, owner, address) in [
            ("Ada", MailboxOwner::User(ada), ADA),
            ("Desk", MailboxOwner::Queue(desk), DESK),
        ] {
            let new = NewMailbox::new(name, owner, Some(address.parse().unwrap()));
            mailboxes.push(admin.create_mailbox(&operator, new).await.unwrap().id);
        }
        Self {
            clock,
            server,
            storage,
            engine,
            operator,
            ada,
            desk,
            jo,
            profile: profile.id,
            ada_mailbox: mailboxes[0],
            desk_mailbox: mailboxes[1],
            folder,
            engines: 0,
        }
    }

    /// The same, approved, tested and enabled, the test messages seen.
    pub(crate) async fn ready() -> Self {
        let world = Self::bare().await;
        let ids = [world.ada_mailbox, world.desk_mailbox];
        for (_, outcome) in world.admin().approve(&world.operator, &ids).await {
            outcome.unwrap();
        }
        let kind = JobKind::TestAndEnable;
        for (_, job) in world
            .admin()
            .test_mailboxes(&world.operator, &ids, kind)
            .await
        {
            job.unwrap();
        }
        world.step().await;
        world.pass(Duration::from_secs(600)).await;
        world
    }

    pub(crate) fn admin(&self) -> Admin {
        self.engine.admin()
    }

    pub(crate) fn crm(&self) -> Arc<SqliteCrm> {
        self.storage.crm()
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.storage.store()
    }

    pub(crate) async fn step(&self) {
        self.engine.step().await.unwrap();
    }

    /// Lets time pass, then does what is due.
    pub(crate) async fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
        self.step().await;
    }

    /// The process is gone; another one begins on what it left.
    pub(crate) fn restart(&mut self, fuse: Option<&Arc<Fuse>>) {
        self.engines += 1;
        self.engine = engine_on(
            &self.clock,
            &self.server,
            &self.storage,
            self.folder.path(),
            self.engines,
            fuse,
        );
    }

    /// Mail arrives from outside.
    pub(crate) fn deliver(&self, to: &[&str], headers: &str, body: &str) {
        let raw = format!("{headers}\r\nMIME-Version: 1.0\r\n\r\n{body}\r\n");
        let delivered = self.server.mail().deliver(raw.into_bytes(), to);
        assert_eq!(delivered.len(), to.len(), "somebody has no mailbox");
    }

    /// A plain message of Jo's.
    pub(crate) fn mail_from_jo(&self, to: &[&str], id: &str, subject: &str, more: &str) {
        let headers = format!(
            "From: Jo <{JO}>\r\nTo: {}\r\nSubject: {subject}\r\nMessage-ID: <{id}>\r\n\
             Date: {}{more}",
            to.join(", "),
            "Mon, 21 Sep 2026 14:13:20 +0000",
        );
        self.deliver(to, &headers, "Hello.");
    }

    /// Ada writes to Jo.
    pub(crate) async fn ada_writes(&self, subject: &str) -> RecordId {
        let from: postroom_core::EmailAddress = ADA.parse().unwrap();
        let mut email = NewEmail::new(self.ada, from.into(), subject);
        let jo: postroom_core::EmailAddress = JO.parse().unwrap();
        email.to = vec![jo.into()];
        email.text = Some("Dear Jo".to_owned());
        self.crm()
            .send_email(&email, self.clock.now())
            .await
            .unwrap()
    }

    pub(crate) async fn emails(&self) -> Vec<EmailSummary> {
        let page = Page::first(1000);
        self.crm()
            .emails(&EmailFilter::default(), page)
            .await
            .unwrap()
    }

    pub(crate) async fn ledger(&self) -> Vec<LedgerEntry> {
        let page = Page::first(1000);
        self.store()
            .ledger(&LedgerFilter::default(), page)
            .await
            .unwrap()
    }

    /// How many rows are in each state.
    pub(crate) async fn states(&self) -> Vec<(String, u64)> {
        self.store()
            .ledger_counts(None)
            .await
            .unwrap()
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .collect()
    }

    pub(crate) async fn outbox(&self) -> Vec<OutboxEntry> {
        let page = Page::first(1000);
        self.store()
            .outbox(&OutboxFilter::default(), page)
            .await
            .unwrap()
    }

    pub(crate) async fn open_alerts(&self) -> Vec<Alert> {
        let page = Page::first(1000);
        self.store()
            .alerts(&AlertFilter::default(), page)
            .await
            .unwrap()
    }

    pub(crate) async fn alert_codes(&self) -> Vec<Code> {
        let mut codes: Vec<_> = self
            .open_alerts()
            .await
            .iter()
            .map(|alert| alert.incident.code)
            .collect();
        codes.sort();
        codes.dedup();
        codes
    }

    pub(crate) async fn mailbox(&self, id: MailboxId) -> Mailbox {
        self.store().mailbox(id).await.unwrap().unwrap()
    }

    /// How many messages of that subject lie in a folder of an account.
    pub(crate) fn in_folder(&self, account: &str, folder: WellKnown, subject: &str) -> usize {
        let mail = self.server.mail();
        let account = mail.account(account).unwrap();
        let folder = mail.well_known(account, folder).unwrap();
        mail.items(folder)
            .iter()
            .filter(|item| item.summary().subject.contains(subject))
            .count()
    }

    /// How often messages of that subject left for outside.
    pub(crate) fn seen_outside(&self, subject: &str) -> usize {
        let outside = self.server.mail().outside();
        outside
            .iter()
            .filter(|message| String::from_utf8_lossy(&message.content).contains(subject))
            .count()
    }
}

fn engine_on(
    clock: &Arc<TestClock>,
    server: &MemoryServer,
    storage: &SqliteStorage,
    folder: &std::path::Path,
    number: u64,
    fuse: Option<&Arc<Fuse>>,
) -> Engine {
    let mut store = storage.store();
    let mut crm: Arc<dyn Crm> = storage.crm();
    let mut factory: Arc<dyn ProviderFactory> = Arc::new(MemoryFactory::new(server.clone()));
    if let Some(fuse) = fuse {
        store = Arc::new(CrashingStore(store, Arc::clone(fuse)));
        crm = Arc::new(CrashingCrm(crm, Arc::clone(fuse)));
        factory = Arc::new(CrashingFactory(factory, Arc::clone(fuse)));
    }
    let clock: Arc<dyn Clock> = Arc::<TestClock>::clone(clock);
    Engine::builder(store, crm, ProviderRegistry::new().with(factory))
        .clock(clock)
        .randomness(Arc::new(TestRandomness(AtomicU64::new(number << 32))))
        .spool(Spool::in_folder(folder).unwrap())
        .build()
        .unwrap()
}

/// Whether a row is delivered.
pub(crate) fn is_delivered(entry: &LedgerEntry) -> bool {
    matches!(entry.state, LedgerState::Delivered { .. })
}
