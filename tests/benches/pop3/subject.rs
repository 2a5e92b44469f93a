//! The engine, with one mailbox that takes all email.

use std::sync::Arc;

use anyhow::{bail, ensure};
use postroom_core::channel::Channel;
use postroom_core::job::JobKind;
use postroom_core::ledger::FolderId;
use postroom_core::mailbox::{DeliveryMethod, MailboxOwner};
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::party::PartyKind;
use postroom_core::principal::Principal;
use postroom_core::profile::ProfileKind;
use postroom_core::tracking::TrackingFilter;
use postroom_core::{
    MailboxId, Organization, OrganizationId, ProfileId, Secret, ServerProfile, Timestamp,
};
use postroom_engine::{Engine, MailboxEdit, NewMailbox, ProfileDirection};
use postroom_net::line::TlsClients;
use postroom_pop3::Pop3Factory;
use postroom_provider::{
    Credentials, OpContext, PageLimit, Provider, ProviderFactory as _, ProviderRegistry,
    ProviderRequest,
};
use postroom_store_sqlite::{KeySource, SqliteStorage, StorageOptions, create_key_file};
use tempfile::TempDir;

use crate::USER;
use crate::dovecot::{Dovecot, PASSWORD};

pub(crate) struct Subject {
    engine: Engine,
    storage: SqliteStorage,
    mailbox: MailboxId,
    provider: Arc<dyn Provider>,
    _folder: TempDir,
}

fn profile(server: &Dovecot, service: &str) -> ServerProfile {
    let id = ProfileId::from_random([7; 16]);
    let mut profile = ServerProfile::new(id, "Dovecot", ProfileKind::Pop3Smtp);
    let port = server.port(service);
    profile.incoming.location = Some(format!("{service}://localhost:{port}"));
    profile.incoming.ssl = service == "pop3s";
    profile.danger_allow_plain_http = !profile.incoming.ssl;
    profile.incoming.user_name = Some(USER.to_owned());
    profile.extra_authorities_pem = Some(server.certificate_pem());
    profile.process_email_from = Some(Timestamp::EPOCH);
    profile
}

impl Subject {
    pub(crate) async fn prepare(server: &Dovecot, service: &str) -> anyhow::Result<Self> {
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
        let factory = Arc::new(Pop3Factory::new(TlsClients::new()));
        let profile = profile(server, service);
        let credentials = Credentials::new(USER, Secret::new(PASSWORD));
        let request = ProviderRequest::new(profile.clone(), USER.parse()?, Some(credentials));
        let provider = factory.create(&request)?;
        let registry = ProviderRegistry::new().with(factory);
        let engine = Engine::builder(storage.store(), storage.crm(), registry).build()?;
        let (admin, operator) = (engine.admin(), Principal::operator("bench"));
        let profile = admin.create_profile(&operator, &profile).await?;
        let password = Secret::new(PASSWORD);
        let (direction, entry) = (ProfileDirection::Incoming, Channel::Local);
        admin
            .set_profile_credentials(&operator, profile.id, direction, USER, &password, entry)
            .await?;
        let queue = storage
            .crm()
            .create_party(PartyKind::Queue, "Desk", &[USER.parse()?], None)
            .await?;
        let new = NewMailbox::new("Desk", MailboxOwner::Queue(queue), Some(USER.parse()?));
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
            bail!("POP3 reads mail")
        };
        let (ctx, limit) = (OpContext::system()?, PageLimit::new(500));
        let page = mail
            .changes(&ctx, &inbox, state.cursor.as_ref(), limit)
            .await?;
        Ok(page.changes.len())
    }
}
