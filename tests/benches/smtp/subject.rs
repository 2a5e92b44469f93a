//! The adapter alone, and the engine with its outbox.

use std::sync::Arc;

use anyhow::{bail, ensure};
use postroom_core::channel::Channel;
use postroom_core::job::JobKind;
use postroom_core::mailbox::{DeliveryMethod, MailboxOwner};
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::outbox::SubmissionKey;
use postroom_core::party::PartyKind;
use postroom_core::principal::Principal;
use postroom_core::profile::{OutgoingProtocol, ProfileKind};
use postroom_core::{
    EmailAddress, NamedAddress, Organization, OrganizationId, ProfileId, RawMessage, Secret,
    ServerProfile,
};
use postroom_engine::{Engine, MailboxEdit, NewMailbox, ProfileDirection};
use postroom_net::line::TlsClients;
use postroom_pop3::Pop3Factory;
use postroom_provider::{
    Clock as _, Credentials, OpContext, Provider, ProviderFactory as _, ProviderRegistry,
    ProviderRequest, Submission, context::SystemClock,
};
use postroom_simulator::exchange::ListenOptions;
use postroom_simulator::model::{Account, MailSystem, ManualClock};
use postroom_simulator::pop3::{Pop3Listening, Pop3Server};
use postroom_smtp::SmtpFactory;
use postroom_store_sqlite::{KeySource, NewEmail, SqliteStorage, StorageOptions, create_key_file};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{PASSWORD, Target, USER, message};

fn profile(target: &Target) -> ServerProfile {
    let id = ProfileId::from_random([7; 16]);
    let mut profile = ServerProfile::new(id, "Provider", ProfileKind::Pop3Smtp);
    profile.outgoing.location = Some(format!("smtp://localhost:{}", target.port));
    profile.incoming.user_name = Some(USER.to_owned());
    profile.extra_authorities_pem = Some(target.authority.clone());
    profile
}

/// The adapter alone.
pub(crate) struct Adapter(Arc<dyn Provider>);

impl Adapter {
    pub(crate) fn prepare(target: &Target) -> anyhow::Result<Self> {
        let credentials = Credentials::new(USER, Secret::new(PASSWORD));
        let request = ProviderRequest::new(profile(target), USER.parse()?, Some(credentials));
        Ok(Self(SmtpFactory::new(TlsClients::new()).create(&request)?))
    }

    /// Sends so many messages, so many at a time.
    pub(crate) async fn send(
        &self,
        ctx: &OpContext,
        count: usize,
        connections: usize,
    ) -> anyhow::Result<()> {
        let mut senders = JoinSet::new();
        for first in 0..connections {
            let (ctx, provider) = (ctx.clone(), Arc::clone(&self.0));
            senders.spawn(async move {
                let Some(submitter) = provider.submitter() else {
                    bail!("SMTP sends mail")
                };
                let from = NamedAddress::from(USER.parse::<EmailAddress>()?);
                let to: EmailAddress = "customer@far.example".parse()?;
                for number in (first..count).step_by(connections) {
                    let submission = Submission::new(
                        SubmissionKey::from_random([1; 16]),
                        format!("m{number}@here.example").parse()?,
                        from.clone(),
                        vec![to.clone()],
                        RawMessage::from_bytes(message(number).into_bytes()),
                    );
                    submitter.send(&ctx, &submission, None).await?;
                }
                Ok(())
            });
        }
        while let Some(done) = senders.join_next().await {
            done??;
        }
        Ok(())
    }
}

/// The engine, with one mailbox that sends.
pub(crate) struct WithOutbox {
    engine: Engine,
    storage: SqliteStorage,
    _reading: Pop3Listening,
    _folder: TempDir,
}

impl WithOutbox {
    pub(crate) async fn prepare(target: &Target, count: usize) -> anyhow::Result<Self> {
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
        // A mailbox is tested by reading it, too.
        let mail = Arc::new(MailSystem::new(
            ManualClock::at("2026-11-22T10:00:00Z".parse()?),
            1,
        ));
        mail.add_account(Account::new(USER).login(USER, PASSWORD))?;
        let pop3 = Pop3Server::new(mail)?;
        let reading = pop3.listen(ListenOptions::https()).await?;
        let clients = TlsClients::new();
        let registry = ProviderRegistry::new()
            .with(Arc::new(Pop3Factory::new(clients.clone())))
            .with_sender(OutgoingProtocol::Smtp, Arc::new(SmtpFactory::new(clients)));
        let engine = Engine::builder(storage.store(), storage.crm(), registry).build()?;
        let (admin, operator) = (engine.admin(), Principal::operator("bench"));
        let mut profile = profile(target);
        let port = reading.address().port();
        profile.incoming.location = Some(format!("pop3s://localhost:{port}"));
        profile.extra_authorities_pem =
            Some([target.authority.as_str(), pop3.certificate_pem()].concat());
        let profile = admin.create_profile(&operator, &profile).await?;
        let password = Secret::new(PASSWORD);
        let (direction, entry) = (ProfileDirection::Incoming, Channel::Local);
        admin
            .set_profile_credentials(&operator, profile.id, direction, USER, &password, entry)
            .await?;
        let crm = storage.crm();
        let user = crm
            .create_party(PartyKind::User, "Desk", &[USER.parse()?], None)
            .await?;
        let new = NewMailbox::new("Desk", MailboxOwner::User(user), Some(USER.parse()?));
        let mailbox = admin.create_mailbox(&operator, new).await?;
        let mut edit = MailboxEdit::new();
        edit.profile = Some(Some(profile.id));
        edit.incoming = Some(DeliveryMethod::None);
        edit.outgoing = Some(DeliveryMethod::ServerSide);
        edit.items = Some(DeliveryMethod::None);
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
        let now = SystemClock::new().now();
        for number in 0..count {
            let from = NamedAddress::from(USER.parse::<EmailAddress>()?);
            let mut email = NewEmail::new(user, from, format!("Offer {number}"));
            let to: EmailAddress = "customer@far.example".parse()?;
            email.to = vec![to.into()];
            email.text = Some("All work and no play makes for long reports.\n".repeat(60));
            crm.send_email(&email, now).await?;
        }
        Ok(Self {
            engine,
            storage,
            _reading: reading,
            _folder: folder,
        })
    }

    /// Runs until every email is sent.
    pub(crate) async fn send(&self, count: usize) -> anyhow::Result<()> {
        for _ in 0..1000 {
            self.engine.step().await?;
            let counts = self.storage.store().outbox_counts(None).await?;
            let sent = counts.get("sent").copied().unwrap_or_default();
            // One more: the message of the test.
            if sent > count as u64 {
                return Ok(());
            }
        }
        bail!("the engine does not come to an end")
    }
}
