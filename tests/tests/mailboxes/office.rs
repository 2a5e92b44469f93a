//! An engine with one mailbox, whose server profile can be changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use postroom::Engine;
use postroom::core::channel::Channel;
use postroom::core::job::JobKind;
use postroom::core::mailbox::{DeliveryMethod, MailboxOwner};
use postroom::core::organization::{Deployment, DeploymentKind};
use postroom::core::party::PartyKind;
use postroom::core::principal::Principal;
use postroom::core::profile::ProfileKind;
use postroom::core::tracking::TrackingFilter;
use postroom::core::{MailboxId, Organization, OrganizationId, Secret, ServerProfile, Timestamp};
use postroom::engine::{MailboxEdit, NewMailbox, ProfileDirection};
use postroom::provider::Clock;
use postroom::provider::context::SystemClock;
use postroom::sqlite::{
    EmailFilter, EmailSummary, KeySource, SqliteStorage, StorageOptions, create_key_file,
};
use postroom::store::{LedgerCounts, LedgerFilter, Page};
use tempfile::TempDir;

/// Most records that are looked at.
const ALL: Page = Page::first(10_000);

/// An engine, its store, and one mailbox that takes all email.
pub(crate) struct Office {
    engine: Engine,
    storage: SqliteStorage,
    clock: Arc<Forward>,
    pub(crate) mailbox: MailboxId,
    _folder: TempDir,
}

/// The machine's clock, put forward.
#[derive(Debug, Default)]
struct Forward {
    by_seconds: AtomicU64,
}

#[async_trait]
impl Clock for Forward {
    fn now(&self) -> Timestamp {
        let by = Duration::from_secs(self.by_seconds.load(Ordering::SeqCst));
        SystemClock::new().now().plus(by)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

fn operator() -> Principal {
    Principal::operator("test")
}

impl Office {
    /// A mailbox without a profile.
    pub(crate) async fn new(address: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("postroom.key");
        create_key_file(&key).unwrap();
        let options = StorageOptions::new(folder.path().join("postroom.sqlite"))
            .with_key(KeySource::File(key))
            .without_sync();
        let organization = Organization::new(
            OrganizationId::from_random([1; 16]),
            "Test",
            Deployment::new(DeploymentKind::OnPremises),
        );
        let storage = SqliteStorage::create(&options, &organization).unwrap();
        let clock = Arc::new(Forward::default());
        let (store, providers) = (storage.store(), postroom::default_providers());
        let engine = Engine::builder(store, storage.crm(), providers)
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .build()
            .unwrap();
        let crm = storage.crm();
        let addresses = [address.parse().unwrap()];
        let queue = crm.create_party(PartyKind::Queue, "Desk", &addresses, None);
        let owner = MailboxOwner::Queue(queue.await.unwrap());
        let new = NewMailbox::new("Desk", owner, Some(address.parse().unwrap()));
        let mailbox = engine.admin().create_mailbox(&operator(), new).await;
        Self {
            mailbox: mailbox.unwrap().id,
            engine,
            storage,
            clock,
            _folder: folder,
        }
    }

    /// Reads the mailbox by another profile from now on: approved, tested, enabled.
    pub(crate) async fn read_by(
        &self,
        kind: ProfileKind,
        change: impl FnOnce(&mut ServerProfile),
        (user, password): (&str, &str),
    ) {
        let admin = self.engine.admin();
        let mut profile = admin.new_profile(format!("{kind:?}"), kind);
        profile.incoming.user_name = Some(user.to_owned());
        profile.process_email_from = Some(Timestamp::EPOCH);
        profile.request_timeout = Duration::from_secs(60);
        change(&mut profile);
        let profile = admin.create_profile(&operator(), &profile).await.unwrap();
        let (direction, secret) = (ProfileDirection::Incoming, Secret::new(password));
        let entry = Channel::Local;
        admin
            .set_profile_credentials(&operator(), profile.id, direction, user, &secret, entry)
            .await
            .unwrap();
        let mut edit = MailboxEdit::new();
        edit.profile = Some(Some(profile.id));
        edit.incoming = Some(DeliveryMethod::ServerSide);
        edit.outgoing = Some(DeliveryMethod::None);
        edit.items = Some(DeliveryMethod::None);
        edit.filter = Some(TrackingFilter::All);
        admin
            .edit_mailbox(&operator(), self.mailbox, &edit)
            .await
            .unwrap();
        for (_, outcome) in admin.approve(&operator(), &[self.mailbox]).await {
            outcome.unwrap();
        }
        let operator = operator();
        let job = admin.test_mailbox(&operator, self.mailbox, JobKind::TestAndEnable);
        let job = admin
            .run_job(&operator, job.await.unwrap().id)
            .await
            .unwrap();
        let failed: Vec<_> = job
            .steps
            .iter()
            .filter(|step| step.failure.is_some())
            .collect();
        assert!(failed.is_empty(), "the test failed: {failed:?}");
    }

    /// Looks for mail until nothing is left to be done; how the ledger stands then.
    pub(crate) async fn settle(&self) -> LedgerCounts {
        let admin = self.engine.admin();
        for _ in 0..50 {
            for (_, outcome) in admin.sync_now(&operator(), &[self.mailbox]).await {
                outcome.unwrap();
            }
            self.engine.step().await.unwrap();
            let counts = self.counts().await;
            if counts.get("pending").copied().unwrap_or_default() == 0 {
                return counts;
            }
            // What failed is tried again, and then set aside.
            self.clock.by_seconds.fetch_add(3600, Ordering::SeqCst);
        }
        let mut waiting = LedgerFilter::default();
        waiting.state = Some("pending");
        let rows = self.storage.store().ledger(&waiting, ALL).await.unwrap();
        panic!("the engine does not come to an end: {rows:?}");
    }

    pub(crate) async fn counts(&self) -> LedgerCounts {
        let counts = self.storage.store().ledger_counts(None).await.unwrap();
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// The records.
    pub(crate) async fn emails(&self) -> Vec<EmailSummary> {
        let crm = self.storage.crm();
        crm.emails(&EmailFilter::default(), ALL).await.unwrap()
    }

    /// The records by what they say, and how many there are of each: all that does not depend on when, and
    /// by which protocol, they were read.
    pub(crate) async fn contents(&self) -> BTreeMap<String, usize> {
        let mut contents = BTreeMap::new();
        let crm = self.storage.crm();
        for email in self.emails().await {
            let raw = crm.raw(email.record).await.unwrap().expect("it is kept");
            let bytes = raw.read_up_to(raw.len()).unwrap();
            // POP3 ends every message with a line end. IMAP cannot carry zero bytes: Dovecot puts 0x80 there.
            let bytes = bytes.trim_ascii_end().iter();
            let bytes: Vec<u8> = bytes
                .map(|byte| if *byte == 0 { 0x80 } else { *byte })
                .collect();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let said = format!("{:?}\n{text}", email.headers);
            *contents.entry(said).or_default() += 1;
        }
        contents
    }
}
