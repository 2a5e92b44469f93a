//! The server in a process of its own, and an organization whose mailboxes are to be tested.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use postroom_core::channel::Channel;
use postroom_core::job::JobKind;
use postroom_core::mailbox::{DeliveryMethod, MailboxOwner};
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::party::PartyKind;
use postroom_core::principal::Principal;
use postroom_core::profile::ProfileKind;
use postroom_core::{
    EmailAddress, MailboxId, Organization, OrganizationId, ProfileId, Secret, ServerProfile,
};
use postroom_engine::{Engine, MailboxEdit, NewMailbox, ProfileDirection};
use postroom_ews::EwsFactory;
use postroom_provider::ProviderRegistry;
use postroom_simulator::exchange::{Exchange, ListenOptions};
use postroom_simulator::model::Account;
use postroom_store::{MailboxFilter, Page};
use postroom_store_sqlite::{KeySource, SqliteStorage, StorageOptions, create_key_file};
use tempfile::TempDir;

use crate::client::Client;
use crate::{CONNECTIONS, LATENCY};

const SERVICE: &str = "service@here.example";
const PASSWORD: &str = "service password";

fn address(number: u32) -> String {
    format!("user{number}@here.example")
}

/// The simulated server, in a process of its own; it ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    url: String,
    authority: Option<String>,
}

impl Server {
    pub(crate) fn start(mailboxes: u32, tls: bool) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--serve", &mailboxes.to_string()])
            .arg(if tls { "tls" } else { "plain" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().context("the server has no output")?;
        let mut lines = BufReader::new(output).lines();
        let url = lines.next().context("the server did not start")??;
        let path = lines.next().context("the server did not start")??;
        let authority = tls.then(|| std::fs::read_to_string(path)).transpose()?;
        Ok(Self {
            process,
            url,
            authority,
        })
    }

    /// A profile for this server.
    pub(crate) fn profile(&self) -> ServerProfile {
        let mut profile = ServerProfile::new(
            ProfileId::from_random([7; 16]),
            "Simulated Exchange",
            ProfileKind::ExchangeServer,
        );
        profile.incoming.location = Some(self.url.clone());
        profile.incoming.user_name = Some(SERVICE.to_owned());
        profile.danger_allow_plain_http = self.authority.is_none();
        profile.extra_authorities_pem.clone_from(&self.authority);
        profile.connections_max = CONNECTIONS;
        profile
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its input closes with the handle; that is what it waits for.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// The server's side: prints where it is, serves until the input closes.
pub(crate) fn serve(mailboxes: u32, tls: bool) -> anyhow::Result<()> {
    let mut builder = Exchange::builder().latency(LATENCY).account(
        Account::new(SERVICE)
            .login(SERVICE, PASSWORD)
            .impersonates_everybody(),
    );
    for number in 0..mailboxes {
        builder = builder.account(Account::new(address(number)));
    }
    let exchange = builder.build()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("server")
        .enable_all()
        .build()?;
    let options = if tls {
        ListenOptions::https()
    } else {
        ListenOptions::http()
    };
    let listening = runtime.block_on(exchange.listen(options))?;
    let mut authority = tempfile::NamedTempFile::new()?;
    authority.write_all(listening.certificate_pem().unwrap_or_default().as_bytes())?;
    let mut out = std::io::stdout();
    writeln!(out, "{}\n{}", listening.url(), authority.path().display())?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(listening);
    Ok(())
}

/// An organization with approved mailboxes of one profile; none of them has been tested.
#[derive(Debug)]
pub(crate) struct Subject {
    engine: Engine,
    operator: Principal,
    profile: ProfileId,
    mailboxes: usize,
    _folder: TempDir,
}

impl Subject {
    pub(crate) async fn prepare(
        server: &Server,
        client: &Client,
        mailboxes: u32,
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
        let registry = ProviderRegistry::new().with(Arc::new(
            EwsFactory::exchange_server().with_transport(Arc::new(client.clone())),
        ));
        let engine = Engine::builder(storage.store(), storage.crm(), registry).build()?;
        let (admin, operator) = (engine.admin(), Principal::operator("bench"));
        let profile = admin.create_profile(&operator, &server.profile()).await?;
        admin
            .set_profile_credentials(
                &operator,
                profile.id,
                ProfileDirection::Incoming,
                SERVICE,
                &Secret::new(PASSWORD),
                Channel::Local,
            )
            .await?;
        let mut ids: Vec<MailboxId> = Vec::new();
        for number in 0..mailboxes {
            let own: EmailAddress = address(number).parse()?;
            let user = storage
                .crm()
                .create_party(
                    PartyKind::User,
                    own.as_str(),
                    std::slice::from_ref(&own),
                    None,
                )
                .await?;
            let new = NewMailbox::new(own.to_string(), MailboxOwner::User(user), Some(own));
            ids.push(admin.create_mailbox(&operator, new).await?.id);
        }
        let mut edit = MailboxEdit::new();
        edit.profile = Some(Some(profile.id));
        edit.incoming = Some(DeliveryMethod::ServerSide);
        edit.outgoing = Some(DeliveryMethod::ServerSide);
        edit.items = Some(DeliveryMethod::None);
        for (_, outcome) in admin.edit_mailboxes(&operator, &ids, &edit).await {
            outcome?;
        }
        for (_, outcome) in admin.approve(&operator, &ids).await {
            outcome?;
        }
        Ok(Self {
            engine,
            operator,
            profile: profile.id,
            mailboxes: ids.len(),
            _folder: folder,
        })
    }

    /// Asks for the tests and waits until all of them are done.
    pub(crate) async fn test_and_enable(&self) -> anyhow::Result<()> {
        let admin = self.engine.admin();
        let kind = JobKind::TestAndEnable;
        let asked = admin.test_profile(&self.operator, self.profile, kind);
        let mut jobs = Vec::new();
        for (_, job) in asked.await? {
            jobs.push(job?.id);
        }
        ensure!(jobs.len() == self.mailboxes, "{} jobs", jobs.len());
        admin.run_jobs(&self.operator, &jobs).await?;
        Ok(())
    }

    /// All of them are enabled.
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        let page = Page::first(10_000);
        let mailboxes = self
            .engine
            .admin()
            .mailboxes(&self.operator, &MailboxFilter::default(), page)
            .await?;
        let enabled = mailboxes
            .iter()
            .filter(|mailbox| mailbox.incoming.enabled && mailbox.outgoing.enabled)
            .count();
        ensure!(
            enabled == self.mailboxes,
            "only {enabled} of {} are enabled",
            self.mailboxes
        );
        Ok(())
    }
}
