//! The server in a process of its own, and the engine that reads from it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use postroom_core::channel::Channel;
use postroom_core::job::JobKind;
use postroom_core::mailbox::{DeliveryMethod, MailboxOwner};
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::party::PartyKind;
use postroom_core::principal::Principal;
use postroom_core::profile::ProfileKind;
use postroom_core::tracking::TrackingFilter;
use postroom_core::{Organization, OrganizationId, ProfileId, Secret, ServerProfile, Timestamp};
use postroom_engine::{Engine, MailboxEdit, NewMailbox, ProfileDirection};
use postroom_ews::EwsFactory;
use postroom_provider::ProviderRegistry;
use postroom_simulator::exchange::{Exchange, ListenOptions};
use postroom_simulator::model::Account;
use postroom_store::{LedgerFilter, Page};
use postroom_store_sqlite::{KeySource, SqliteStorage, StorageOptions, create_key_file};
use tempfile::TempDir;

use crate::messages;
use crate::recording::Recording;

const DESK: &str = "desk@here.example";
const SERVICE: &str = "service@here.example";
const PASSWORD: &str = "service password";

/// The simulated server, in a process of its own; it ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    url: String,
    authority: Option<String>,
    pub(crate) bytes: u64,
    pub(crate) median: u64,
}

impl Server {
    pub(crate) fn start(plan: &str, tls: bool) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--serve", plan, if tls { "tls" } else { "plain" }])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().context("the server has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let mut word = || words.next().context("the server did not start");
        let (url, bytes, median) = (word()?.to_owned(), word()?.parse()?, word()?.parse()?);
        let authority = if tls {
            Some(std::fs::read_to_string(word()?)?)
        } else {
            None
        };
        Ok(Self {
            process,
            url,
            authority,
            bytes,
            median,
        })
    }

    /// Which process it is.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// A profile for this server.
    pub(crate) fn profile(&self) -> anyhow::Result<ServerProfile> {
        let mut profile = ServerProfile::new(
            ProfileId::from_random([7; 16]),
            "Simulated Exchange",
            ProfileKind::ExchangeServer,
        );
        profile.incoming.location = Some(self.url.clone());
        profile.incoming.user_name = Some(SERVICE.to_owned());
        profile.danger_allow_plain_http = self.authority.is_none();
        profile.extra_authorities_pem.clone_from(&self.authority);
        profile.process_email_from = Some(Timestamp::EPOCH);
        Ok(profile)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its input closes with the handle; that is what it waits for.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// The server's side: holds the messages, prints where it is, serves until the input closes.
pub(crate) fn serve(plan: &str, tls: bool) -> anyhow::Result<()> {
    let (kind, number) = plan
        .split_once(':')
        .context("a plan is many:N or large:N")?;
    let number: u32 = number.parse()?;
    let all = match kind {
        "many" => messages::many(number, DESK),
        "large" => vec![messages::large(number, DESK)],
        other => bail!("no such plan: {other}"),
    };
    let mut sizes: Vec<u64> = all
        .iter()
        .map(|message| u64::try_from(message.len()).unwrap_or(u64::MAX))
        .collect();
    sizes.sort_unstable();
    let (bytes, median) = (
        sizes.iter().sum::<u64>(),
        sizes.get(sizes.len() / 2).copied().unwrap_or_default(),
    );
    let exchange = Exchange::builder()
        .account(Account::new(DESK))
        .account(
            Account::new(SERVICE)
                .login(SERVICE, PASSWORD)
                .impersonates_everybody(),
        )
        .build()?;
    for message in all {
        exchange.mail().deliver(message, &[DESK]);
    }
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
    let path = authority.path().display();
    let mut out = std::io::stdout();
    writeln!(out, "{} {bytes} {median} {path}", listening.url())?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(listening);
    Ok(())
}

/// An engine with one mailbox that takes all email, ready to ingest.
#[derive(Debug)]
pub(crate) struct Subject {
    engine: Engine,
    storage: SqliteStorage,
    _folder: TempDir,
}

impl Subject {
    pub(crate) async fn prepare(server: &Server, recording: &Recording) -> anyhow::Result<Self> {
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
            EwsFactory::exchange_server().with_transport(Arc::new(recording.clone())),
        ));
        let engine = Engine::builder(storage.store(), storage.crm(), registry).build()?;
        let (admin, operator) = (engine.admin(), Principal::operator("bench"));
        let profile = admin.create_profile(&operator, &server.profile()?).await?;
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
        let queue = storage
            .crm()
            .create_party(PartyKind::Queue, "Desk", &[DESK.parse()?], None)
            .await?;
        let new = NewMailbox::new("Desk", MailboxOwner::Queue(queue), Some(DESK.parse()?));
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
            _folder: folder,
        })
    }

    /// Runs until every message is a record.
    pub(crate) async fn ingest(&self, count: u64) -> anyhow::Result<()> {
        for _ in 0..1000 {
            self.engine.step().await?;
            let counts = self.storage.store().ledger_counts(None).await?;
            let delivered = counts.get("delivered").copied().unwrap_or_default();
            if delivered == count {
                ensure!(
                    counts.values().sum::<u64>() == count,
                    "rows beside the delivered ones: {counts:?}"
                );
                return Ok(());
            }
            let others: u64 = counts
                .iter()
                .filter(|(state, _)| *state != "delivered" && *state != "pending")
                .map(|(_, n)| n)
                .sum();
            ensure!(others == 0, "not delivered: {counts:?}");
        }
        bail!("the engine does not come to an end")
    }

    pub(crate) async fn bytes_of_only_email(&self) -> anyhow::Result<u64> {
        let mut filter = LedgerFilter::default();
        filter.state = Some("delivered");
        let rows = self.storage.store().ledger(&filter, Page::first(2)).await?;
        let [row] = rows.as_slice() else {
            bail!("{} rows, not one", rows.len())
        };
        let postroom_core::ledger::LedgerState::Delivered { record, .. } = row.state else {
            bail!("not delivered")
        };
        let raw = self.storage.crm().raw(record).await?;
        Ok(raw.context("the raw message is not kept")?.len())
    }
}
