//! The engine, with one mailbox that takes all email.

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use postroom_core::channel::Channel;
use postroom_core::job::JobKind;
use postroom_core::ledger::{FolderId, LedgerState};
use postroom_core::mailbox::{DeliveryMethod, MailboxOwner};
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::party::PartyKind;
use postroom_core::principal::Principal;
use postroom_core::tracking::TrackingFilter;
use postroom_core::{MailboxId, Organization, OrganizationId, Secret, ServerProfile};
use postroom_engine::{Engine, MailboxEdit, NewMailbox, ProfileDirection};
use postroom_provider::{
    Credentials, OpContext, PageLimit, Provider, ProviderFactory, ProviderRegistry, ProviderRequest,
};
use postroom_store::{LedgerFilter, Page};
use postroom_store_sqlite::{KeySource, SqliteStorage, StorageOptions, create_key_file};
use tempfile::TempDir;

pub(crate) struct Subject {
    engine: Engine,
    storage: SqliteStorage,
    mailbox: MailboxId,
    provider: Arc<dyn Provider>,
    _folder: TempDir,
}

/// Who signs in where, for which mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) profile: ServerProfile,
    pub(crate) address: &'static str,
    pub(crate) user: &'static str,
    pub(crate) password: &'static str,
}

impl Subject {
    /// Approved, tested and enabled.
    pub(crate) async fn prepare(
        factory: Arc<dyn ProviderFactory>,
        account: &Account,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let key = folder.path().join("key");
        create_key_file(&key)?;
        let options = StorageOptions::new(folder.path().join("postroom.sqlite"))
            .with_key(KeySource::File(key.clone()));
        let organization = Organization::new(
            OrganizationId::from_random([1; 16]),
            "Bench",
            Deployment::new(DeploymentKind::OnPremises),
        );
        let storage = SqliteStorage::create(&options, &organization)?;
        let Account {
            profile,
            address,
            user,
            password,
        } = account;
        let password = Secret::new(*password);
        let credentials = Credentials::new(*user, password.clone());
        let request = ProviderRequest::new(profile.clone(), address.parse()?, Some(credentials));
        let provider = factory.create(&request)?;
        let registry = ProviderRegistry::new().with(factory);
        let engine = Engine::builder(storage.store(), storage.crm(), registry).build()?;
        let (admin, operator) = (engine.admin(), Principal::operator("bench"));
        let profile = admin.create_profile(&operator, profile).await?;
        let (direction, entry) = (ProfileDirection::Incoming, Channel::Local);
        admin
            .set_profile_credentials(&operator, profile.id, direction, user, &password, entry)
            .await?;
        let queue = storage
            .crm()
            .create_party(PartyKind::Queue, "Desk", &[address.parse()?], None)
            .await?;
        let new = NewMailbox::new("Desk", MailboxOwner::Queue(queue), Some(address.parse()?));
        let mailbox = admin.create_mailbox(&operator, new).await?;
        let mut edit = MailboxEdit::new();
        edit.profile = Some(Some(profile.id));
        edit.incoming = Some(DeliveryMethod::ServerSide);
        edit.outgoing = Some(DeliveryMethod::None);
        edit.items = Some(DeliveryMethod::None);
        edit.filter = Some(TrackingFilter::All);
        admin.edit_mailbox(&operator, mailbox.id, &edit).await?;
        for (_, outcome) in admin.approve(&operator, &[mailbox.id]).await {
            outcome?;
        }
        let job = admin
            .test_mailbox(&operator, mailbox.id, JobKind::TestAndEnable)
            .await?;
        let job = admin.run_job(&operator, job.id).await?;
        ensure!(
            job.steps.iter().all(|step| step.failure.is_none()),
            "the test failed: {:?}",
            job.steps
        );
        Ok(Self {
            engine,
            storage,
            mailbox: mailbox.id,
            provider,
            _folder: folder,
        })
    }

    /// Runs until every message is a record.
    pub(crate) async fn ingest(&self, count: u64) -> anyhow::Result<()> {
        for _ in 0..1000 {
            self.engine.step().await?;
            let counts = self.storage.store().ledger_counts(None).await?;
            let settled: u64 = counts
                .iter()
                .filter(|(state, _)| **state != "pending")
                .map(|(_, number)| number)
                .sum();
            if settled >= count {
                let delivered = counts.get("delivered").copied();
                ensure!(delivered == Some(count) && settled == count, "{counts:?}");
                return Ok(());
            }
        }
        bail!("the engine does not come to an end")
    }

    /// Looks for news where the engine stopped; answers how many there are.
    pub(crate) async fn poll(&self) -> anyhow::Result<usize> {
        let inbox = FolderId::new("INBOX");
        let store = self.storage.store();
        let state = store.folder_state(self.mailbox, &inbox).await?;
        let Some(mail) = self.provider.mail() else {
            bail!("the provider reads mail")
        };
        let (ctx, limit) = (OpContext::system()?, PageLimit::new(500));
        let page = mail
            .changes(&ctx, &inbox, state.cursor.as_ref(), limit)
            .await?;
        Ok(page.changes.len())
    }

    /// How many bytes the only email has, as it is kept.
    pub(crate) async fn bytes_of_only_email(&self) -> anyhow::Result<u64> {
        let mut filter = LedgerFilter::default();
        filter.state = Some("delivered");
        let rows = self.storage.store().ledger(&filter, Page::first(2)).await?;
        let [row] = rows.as_slice() else {
            bail!("{} rows, not one", rows.len())
        };
        let LedgerState::Delivered { record, .. } = row.state else {
            bail!("not delivered")
        };
        let raw = self.storage.crm().raw(record).await?;
        Ok(raw.context("the raw message is not kept")?.len())
    }
}
