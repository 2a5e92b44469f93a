//! The server in a process of its own, and the engine that reads from it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use postroom_core::profile::ProfileKind;
use postroom_core::{ProfileId, ServerProfile, Timestamp};
use postroom_ews::EwsFactory;
use postroom_simulator::exchange::{Exchange, ListenOptions};
use postroom_simulator::model;

use crate::recording::Recording;
use crate::shared::messages;
use crate::shared::subject::{Account, Subject};

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
        profile.process_email_from = Some(Timestamp::EPOCH);
        profile
    }

    /// An engine with one mailbox that takes all email, ready to ingest.
    pub(crate) async fn subject(&self, recording: &Recording) -> anyhow::Result<Subject> {
        let factory = EwsFactory::exchange_server().with_transport(Arc::new(recording.clone()));
        let account = Account {
            profile: self.profile(),
            address: DESK,
            user: SERVICE,
            password: PASSWORD,
        };
        Subject::prepare(Arc::new(factory), &account).await
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
        .account(model::Account::new(DESK))
        .account(
            model::Account::new(SERVICE)
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
