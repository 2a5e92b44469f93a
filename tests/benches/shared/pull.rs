//! A first pull from a Dovecot of its own, against the bare exchange and against another program.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use postroom_core::profile::ProfileKind;
use postroom_core::{ProfileId, ServerProfile, Timestamp};
use postroom_net::line::{
    Connection, Connector, ConnectorSettings, Security, ServerAddress, TlsClients,
};
use postroom_provider::{OpContext, ProviderFactory};

use super::dovecot::{Dovecot, PASSWORD};
use super::memory::Memory;
use super::messages;
use super::subject::{Account, Subject};

/// Whose mail it is.
pub(crate) const USER: &str = "desk@here.example";

/// The bare exchange of a protocol, everything thrown away.
#[async_trait]
pub(crate) trait Floor: Send + Sync {
    /// Looks for news.
    async fn poll(&self, ctx: &OpContext) -> anyhow::Result<()>;
    /// Reads everything; answers how many messages that was.
    async fn pull(&self, ctx: &OpContext) -> anyhow::Result<u32>;
}

/// What is measured of a protocol.
pub(crate) struct Protocol {
    /// Dovecot's name of the service in clear text; with an `s` behind it, over TLS.
    pub(crate) service: &'static str,
    pub(crate) kind: ProfileKind,
    pub(crate) factory: Arc<dyn ProviderFactory>,
    pub(crate) floor: fn(Wire) -> Box<dyn Floor>,
    /// Another program, by name, and how long it takes for all; `None` where it is not installed.
    pub(crate) peer: (&'static str, Peer),
    /// Most times of the bare exchange that the engine may take.
    pub(crate) aim: f64,
}

/// How long another program takes for so many messages.
pub(crate) type Peer = fn(&Dovecot, &str, u32) -> anyhow::Result<Option<Duration>>;

/// How the bare exchange reaches the server.
pub(crate) struct Wire {
    connector: Connector,
    server: ServerAddress,
    security: Security,
}

impl Wire {
    fn new(server: &Dovecot, service: &str) -> anyhow::Result<Self> {
        let mut settings = ConnectorSettings::default();
        settings.extra_authorities_pem = Some(server.certificate_pem());
        settings.danger_allow_plain = true;
        Ok(Self {
            connector: Connector::new(&TlsClients::new(), settings)?,
            server: ServerAddress::new("localhost", server.port(service)),
            security: if service.ends_with('s') {
                Security::Tls
            } else {
                Security::Plain
            },
        })
    }

    /// A connection.
    pub(crate) async fn connect(&self, ctx: &OpContext) -> anyhow::Result<Connection> {
        let connection = self.connector.connect(ctx, &self.server, self.security);
        Ok(connection.await?)
    }
}

/// Measures a protocol, by the words of the command line.
pub(crate) fn run(protocol: Protocol) -> anyhow::Result<()> {
    let given = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    let (quick, large) = (given("--quick"), given("--large"));
    let Some(server) = Dovecot::start(tempfile::tempdir()?) else {
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    // As a task, as the scheduler runs a cycle.
    let all = runtime.spawn(async move {
        if large {
            return one_large(&server, &protocol, 150).await;
        }
        let (count, rounds) = if quick { (1_000, 1) } else { (10_000, 3) };
        server.add_user(USER)?;
        let mut bytes = 0;
        for message in messages::many(count, USER) {
            bytes += message.len();
            server.deliver(USER, &message)?;
        }
        println!("{count} messages, {:.1} MB", bytes as f64 / 1e6);
        let secure = format!("{}s", protocol.service);
        // The server reads its folder for the first time.
        let floor = (protocol.floor)(Wire::new(&server, &secure)?);
        floor.poll(&OpContext::system()?).await?;
        for service in [secure.as_str(), protocol.service] {
            pull(&server, &protocol, service, count, rounds).await?;
        }
        anyhow::Ok(())
    });
    runtime.block_on(all)?
}

fn account(server: &Dovecot, protocol: &Protocol, service: &str) -> Account {
    let id = ProfileId::from_random([7; 16]);
    let mut profile = ServerProfile::new(id, "Dovecot", protocol.kind.clone());
    let port = server.port(service);
    profile.incoming.location = Some(format!("{service}://localhost:{port}"));
    profile.incoming.ssl = service.ends_with('s');
    profile.danger_allow_plain_http = !profile.incoming.ssl;
    profile.incoming.user_name = Some(USER.to_owned());
    profile.extra_authorities_pem = Some(server.certificate_pem());
    profile.process_email_from = Some(Timestamp::EPOCH);
    Account {
        profile,
        address: USER,
        user: USER,
        password: PASSWORD,
    }
}

async fn pull(
    server: &Dovecot,
    protocol: &Protocol,
    service: &str,
    count: u32,
    rounds: u32,
) -> anyhow::Result<()> {
    let tls = service.ends_with('s');
    println!("first pull, {}:", if tls { "TLS" } else { "in clear" });
    let ctx = OpContext::system()?;
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let bare = (protocol.floor)(Wire::new(server, service)?);
        let (pulled, floor) = timed(bare.pull(&ctx)).await?;
        ensure!(pulled == count, "the bare exchange got {pulled} messages");
        let ((), idle) = timed(bare.poll(&ctx)).await?;
        let (name, peer) = protocol.peer;
        let peer = peer(server, service, count)?;
        let account = account(server, protocol, service);
        let subject = Subject::prepare(Arc::clone(&protocol.factory), &account).await?;
        let memory = Memory::start();
        let ((), engine) = timed(subject.ingest(u64::from(count))).await?;
        let grown = memory.grown_mib();
        let (news, poll) = timed(subject.poll()).await?;
        ensure!(news == 0, "{news} messages were told twice");
        let ratio = engine.as_secs_f64() / floor.as_secs_f64();
        println!(
            "  round {round}: bare {}, {name} {}, engine {}, ratio {ratio:.2}, memory +{grown:.1} MiB; nothing new: bare {}, engine {}, ratio {:.2}",
            seconds(floor),
            peer.map_or_else(|| "not installed".to_owned(), seconds),
            seconds(engine),
            seconds(idle),
            seconds(poll),
            poll.as_secs_f64() / idle.as_secs_f64(),
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2).context("no round")?;
    println!("  median ratio {median:.2} (aim: at most {})", protocol.aim);
    Ok(())
}

async fn one_large(server: &Dovecot, protocol: &Protocol, megabytes: u32) -> anyhow::Result<()> {
    server.add_user(USER)?;
    let message = messages::large(megabytes, USER);
    let bytes = u64::try_from(message.len())?;
    server.deliver(USER, &message)?;
    drop(message);
    let account = account(server, protocol, &format!("{}s", protocol.service));
    let subject = Subject::prepare(Arc::clone(&protocol.factory), &account).await?;
    let memory = Memory::start();
    let ((), took) = timed(subject.ingest(1)).await?;
    let grown = memory.grown_mib();
    let kept = subject.bytes_of_only_email().await?;
    if kept != bytes {
        bail!("{kept} bytes were kept of {bytes}");
    }
    println!(
        "one message of {megabytes} MB: {}, memory +{grown:.1} MiB (aim: at most 64)",
        seconds(took)
    );
    Ok(())
}

async fn timed<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<(T, Duration)> {
    let started = Instant::now();
    let done = work.await?;
    Ok((done, started.elapsed()))
}

fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}
