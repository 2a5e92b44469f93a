//! `simulate`: a simulated Exchange server to try things on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use postroom_simulator::exchange::{Exchange, Fault, FaultRule, ListenOptions, Listening};
use postroom_simulator::model::{Account, Summary};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::output::Output;

/// Where messages to be delivered are put, below the folder of a simulator.
const PICKUP: &str = "pickup";
/// Where messages that left for outside are kept.
const OUTSIDE: &str = "outside";
/// The ending of messages that cannot be handed out.
const DAMAGED: &str = "damaged.eml";
/// The ending of a file that asks whether everything was written.
const QUESTION: &str = "question";
/// How often the pickup folder is looked at.
const WATCH: Duration = Duration::from_millis(50);
/// How long a delivery is waited for.
const DELIVERY_MAX: Duration = Duration::from_secs(15);

/// Simulated mail servers.
#[derive(Debug, Subcommand)]
pub(crate) enum Simulate {
    /// Run an Exchange server until Ctrl-C.
    Exchange(Server),
    /// Deliver messages to a running simulator, as if they came from outside.
    Deliver {
        /// The simulator's folder, as given to `simulate exchange --folder`.
        #[arg(long)]
        folder: PathBuf,
        /// The server stores them, but cannot hand them out: as if their stored form were damaged.
        #[arg(long)]
        damaged: bool,
        /// Files with one message each. They go to those recipients that have a mailbox there.
        #[arg(required = true)]
        messages: Vec<PathBuf>,
    },
    /// List what left a running simulator for outside.
    Outside {
        /// The simulator's folder, as given to `simulate exchange --folder`.
        #[arg(long)]
        folder: PathBuf,
    },
}

/// An Exchange server.
#[derive(Args, Debug)]
pub(crate) struct Server {
    /// The address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// The port; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Speak HTTPS, with a certificate made at start. Without it, plain HTTP.
    #[arg(long)]
    tls: bool,
    /// A mailbox and its password, such as ada@example.org:secret. The passwords are the
    /// simulator's own: nobody else's secret belongs here.
    #[arg(long, value_name = "ADDRESS[:PASSWORD]")]
    mailbox: Vec<String>,
    /// An account that may impersonate every mailbox.
    #[arg(
        long,
        value_name = "ADDRESS:PASSWORD",
        default_value = "postroom@example.org:postroom"
    )]
    service_account: String,
    /// An account in full, such as "ada@example.org=secret;alias=a@example.org"; further parts are
    /// user=NAME, name=NAME, impersonate and no-mailbox.
    #[arg(long, value_name = "SPEC")]
    account: Vec<Account>,
    /// Messages to deliver at start.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    deliver: Vec<PathBuf>,
    /// A folder for what others need: `url`, `certificate.pem`, `outside/` with what was sent, and
    /// `pickup/`, from where messages are delivered.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Keep each request and each answer here, without HTTP headers and so without passwords.
    #[arg(long, value_name = "DIR")]
    capture: Option<PathBuf>,
    /// Stop when standard input is closed, too: for programs that start a simulator.
    #[arg(long)]
    until_stdin_closes: bool,
}

impl Simulate {
    pub(crate) async fn run(self, output: &Output) -> Result {
        match self {
            Self::Exchange(server) => server.run(output).await,
            Self::Deliver {
                folder,
                damaged,
                messages,
            } => deliver(output, &folder, damaged, &messages),
            Self::Outside { folder } => list_outside(output, &folder),
        }
    }
}

impl Server {
    async fn run(self, output: &Output) -> Result {
        let accounts = self.accounts()?;
        let mut builder = Exchange::builder();
        if let Some(folder) = &self.capture {
            builder = builder.capture(folder);
        }
        for account in &accounts {
            builder = builder.account(account.clone());
        }
        let exchange = builder
            .build()
            .map_err(|error| Failure::usage(error.to_string()))?;
        for path in &self.deliver {
            deliver_file(&exchange, path)?;
        }
        let base = if self.tls {
            ListenOptions::https()
        } else {
            ListenOptions::http()
        };
        let listening = exchange
            .listen(base.address(SocketAddr::new(self.host, self.port)))
            .await
            .map_err(|error| {
                Failure::of(Exit::Failure, crate::api::Code::ConfigurationInvalid)
                    .message(error.to_string())
                    .hint("Choose another port, or --port 0 for a free one.")
            })?;
        let mut interrupt = Interrupt::listen()?;
        if let Some(folder) = &self.folder {
            prepare(folder, &listening)?;
        }
        self.announce(output, &listening, &accounts);
        self.serve(&exchange, &mut interrupt).await?;
        listening.stop().await;
        output.progress("stopped");
        Ok(())
    }

    fn accounts(&self) -> Result<Vec<Account>> {
        let (address, password) = self
            .service_account
            .split_once(':')
            .ok_or_else(|| Failure::usage("--service-account needs ADDRESS:PASSWORD"))?;
        let service = Account::new(address).login(address, password);
        let mut accounts = vec![
            service
                .display_name("Service account")
                .impersonates_everybody()
                .without_mailbox(),
        ];
        for text in &self.mailbox {
            let (address, password) = text.split_once(':').unwrap_or((text, "secret"));
            if address.parse::<crate::api::EmailAddress>().is_err() {
                return Err(Failure::usage(format!("not an address: {address}"))
                    .hint("Write mailboxes as ADDRESS:PASSWORD."));
            }
            accounts.push(Account::new(address).login(address, password));
        }
        accounts.extend(self.account.iter().cloned());
        Ok(accounts)
    }

    fn announce(&self, output: &Output, listening: &Listening, accounts: &[Account]) {
        output.line(listening.url());
        let certificate = self
            .folder
            .as_ref()
            .map(|folder| folder.join("certificate.pem"));
        if self.tls {
            match &certificate {
                Some(path) => output.note(format!("certificate: {}", path.display())),
                None => output.note("certificate: self-made; use --folder DIR to have it written"),
            }
        }
        for account in accounts {
            let rights = if account.has_mailbox {
                "mailbox"
            } else {
                "service account, may impersonate"
            };
            output.note(format!(
                "{rights}: {} password {}",
                account.user, account.password
            ));
        }
        output.note("Ctrl-C stops it.");
        output.json(&json!({ "simulator": {
            "url": listening.url(),
            "certificate": certificate.filter(|_| self.tls),
            "accounts": accounts.iter().map(|account| json!({
                "address": account.address, "user": account.user, "password": account.password,
                "mailbox": account.has_mailbox,
            })).collect::<Vec<_>>(),
        }}));
    }

    async fn serve(&self, exchange: &Exchange, interrupt: &mut Interrupt) -> Result {
        let mut stdin = tokio::io::stdin();
        let mut scrap = [0_u8; 1024];
        let mut ticks = tokio::time::interval(WATCH);
        let mut written = 0;
        loop {
            tokio::select! {
                () = interrupt.wanted() => return Ok(()),
                read = stdin.read(&mut scrap), if self.until_stdin_closes => {
                    if matches!(read, Ok(0) | Err(_)) {
                        return Ok(());
                    }
                }
                _ = ticks.tick(), if self.folder.is_some() => {
                    if let Some(folder) = &self.folder {
                        let pickup = folder.join(PICKUP);
                        pick_up(exchange, &pickup);
                        // Whoever asks finds everything written that was there when the question came.
                        let questions = files_ending(&pickup, QUESTION);
                        written = keep_outside(exchange, &folder.join(OUTSIDE), written)?;
                        questions.iter().for_each(|path| drop(std::fs::remove_file(path)));
                    }
                }
            }
        }
    }
}

fn prepare(folder: &Path, listening: &Listening) -> Result {
    for below in [PICKUP, OUTSIDE] {
        let path = folder.join(below);
        std::fs::create_dir_all(&path).map_err(|error| Failure::file("create", &path, &error))?;
    }
    let write = |name: &str, text: &str| {
        // By way of another name, so that nobody reads half a file.
        let (path, draft) = (folder.join(name), folder.join(format!("{name}.new")));
        std::fs::write(&draft, text)
            .and_then(|()| std::fs::rename(&draft, &path))
            .map_err(|error| Failure::file("write", &path, &error))
    };
    if let Some(pem) = listening.certificate_pem() {
        write("certificate.pem", pem)?;
    }
    write("url", &listening.url())
}

/// Delivers a file to those of its recipients that have a mailbox, or else to the first mailbox.
fn deliver_file(exchange: &Exchange, path: &Path) -> Result {
    let bytes = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    let mail = exchange.mail();
    let summary = Summary::read(&bytes);
    let named = summary
        .to
        .iter()
        .chain(&summary.cc)
        .map(|to| to.address.clone());
    let mut recipients: Vec<String> = named
        .filter(|address| mail.account(address).is_some())
        .collect();
    if recipients.is_empty() {
        let first = mail.accounts().into_iter().find_map(|id| {
            let account = mail.account_info(id).ok()?;
            account.has_mailbox.then(|| account.address.clone())
        });
        recipients.extend(first);
    }
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let stored = mail.deliver(bytes, &recipients);
    if path.to_string_lossy().ends_with(DAMAGED) {
        for item in stored.into_iter().filter_map(|id| mail.item(id).ok()) {
            exchange.faults().add(
                FaultRule::new(Fault::Corrupt)
                    .operation("GetItem")
                    .item(&item),
            );
        }
    }
    Ok(())
}

fn files_ending(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    paths.sort();
    paths
}

fn pick_up(exchange: &Exchange, folder: &Path) {
    for path in files_ending(folder, "eml") {
        match deliver_file(exchange, &path).map(|()| std::fs::remove_file(&path)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a picked up message could not be removed"),
            Err(failure) => {
                tracing::warn!(code = failure.code(), "a message could not be picked up")
            }
        }
    }
}

/// Keeps what left for outside, one file each; answers how many there are now.
fn keep_outside(exchange: &Exchange, folder: &Path, written: usize) -> Result<usize> {
    let outside = exchange.mail().outside();
    for (index, message) in outside.iter().enumerate().skip(written) {
        let path = folder.join(format!("{:04}.eml", index + 1));
        let draft = path.with_extension("new");
        std::fs::write(&draft, &message.content)
            .and_then(|()| std::fs::rename(&draft, &path))
            .map_err(|error| Failure::file("write", &path, &error))?;
    }
    Ok(outside.len())
}

fn deliver(output: &Output, folder: &Path, damaged: bool, messages: &[PathBuf]) -> Result {
    for (index, message) in messages.iter().enumerate() {
        let bytes =
            std::fs::read(message).map_err(|error| Failure::file("read", message, &error))?;
        let ending = if damaged { DAMAGED } else { "eml" };
        hand_over(
            folder,
            &format!("{}-{index:04}.{ending}", std::process::id()),
            &bytes,
        )?;
        output.line(format!("delivered {}", message.display()));
    }
    output.json(&json!({ "delivered": messages.len() }));
    Ok(())
}

fn list_outside(output: &Output, folder: &Path) -> Result {
    hand_over(folder, &format!("{}.{QUESTION}", std::process::id()), b"")?;
    let (mut rows, mut documents) = (Vec::new(), Vec::new());
    for path in files_ending(&folder.join(OUTSIDE), "eml") {
        let bytes = std::fs::read(&path).map_err(|error| Failure::file("read", &path, &error))?;
        let summary = Summary::read(&bytes);
        let to: Vec<_> = summary.to.iter().map(|to| to.address.clone()).collect();
        documents.push(json!({ "file": path, "to": to, "subject": summary.subject }));
        rows.push([path.display().to_string(), to.join(", "), summary.subject]);
    }
    output.table(["File", "To", "Subject"], rows);
    output.json(&json!({ "outside": documents }));
    Ok(())
}

/// Puts a file into the pickup folder and waits until the simulator has dealt with it.
fn hand_over(folder: &Path, name: &str, bytes: &[u8]) -> Result {
    let pickup = folder.join(PICKUP);
    if !pickup.is_dir() {
        return Err(Failure::not_found(format!(
            "no simulator keeps its things in {}",
            folder.display()
        ))
        .hint("Start one: postroom simulate exchange --folder DIR."));
    }
    let (draft, path) = (pickup.join(format!("{name}.new")), pickup.join(name));
    std::fs::write(&draft, bytes)
        .and_then(|()| std::fs::rename(&draft, &path))
        .map_err(|error| Failure::file("write", &path, &error))?;
    let begun = std::time::Instant::now();
    while path.exists() {
        if begun.elapsed() > DELIVERY_MAX {
            let _ = std::fs::remove_file(&path);
            return Err(
                Failure::of(Exit::MailSystem, crate::api::Code::ConnectionTimedOut)
                    .message("the simulator does not answer")
                    .hint("Is it running with this --folder?"),
            );
        }
        std::thread::sleep(WATCH);
    }
    Ok(())
}
