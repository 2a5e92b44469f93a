//! How long 1,000 submissions over SMTP take, against a bare pipelined client.
//!
//! ```text
//! cargo bench --package postroom-tests --bench smtp              1,000 messages
//! cargo bench --package postroom-tests --bench smtp -- --quick   100 messages
//! ```
//!
//! The server is the simulated one, on sockets, with STARTTLS and AUTH; it takes the messages and throws them away.
//! The floor makes the same exchange by the same kind of connection: sender, recipient and DATA in one write, then
//! the message; connections are kept. The adapter does it through its provider, the engine with its outbox: compose,
//! store before each step, one after the other, as one mailbox sends.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod bare;
mod subject;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use postroom_provider::OpContext;
use postroom_simulator::exchange::ListenOptions;
use postroom_simulator::model::{Account, MailSystem, ManualClock};
use postroom_simulator::smtp::SmtpServer;

/// Who sends.
pub(crate) const USER: &str = "desk@here.example";
/// The password.
pub(crate) const PASSWORD: &str = "open sesame";

/// Where it is sent to, and whom to trust.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) port: u16,
    pub(crate) authority: String,
}

/// A message of the usual size.
pub(crate) fn message(number: usize) -> String {
    let body = "All work and no play makes for long reports.\r\n".repeat(60);
    format!(
        "From: <{USER}>\r\nTo: <customer@far.example>\r\nSubject: Offer {number}\r\n\
         Message-ID: <m{number}@here.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n{body}"
    )
}

fn main() -> anyhow::Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (count, rounds) = if quick { (100, 1) } else { (1_000, 5) };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(runtime.spawn(all(count, rounds)))?
}

async fn all(count: usize, rounds: usize) -> anyhow::Result<()> {
    let clock = ManualClock::at("2026-11-22T10:00:00Z".parse()?);
    let mail = Arc::new(MailSystem::new(clock, 1));
    mail.add_account(Account::new(USER).login(USER, PASSWORD))?;
    let server = SmtpServer::new(mail)?;
    server.swallow();
    let listening = server.listen(ListenOptions::http()).await?;
    let target = Target {
        port: listening.address().port(),
        authority: server.certificate_pem().to_owned(),
    };
    for connections in [1, 10] {
        println!("{count} submissions, connections: {connections}");
        let mut ratios = Vec::new();
        for round in 1..=rounds {
            let ctx = OpContext::system()?;
            let before = server.messages();
            let ((), floor) = timed(bare::send(&ctx, &target, count, connections)).await?;
            let adapter = subject::Adapter::prepare(&target)?;
            let ((), adapter) = timed(adapter.send(&ctx, count, connections)).await?;
            let taken = server.messages() - before;
            ensure!(taken == 2 * count as u64, "the server took {taken}");
            let ratio = adapter.as_secs_f64() / floor.as_secs_f64();
            println!(
                "  round {round}: bare {}, adapter {}, ratio {ratio:.2}",
                seconds(floor),
                seconds(adapter)
            );
            ratios.push(ratio);
        }
        ratios.sort_by(f64::total_cmp);
        let median = ratios.get(ratios.len() / 2).context("no round")?;
        println!("  median ratio {median:.2} (aim: at most 1.2)");
    }
    let before = server.messages();
    let engine = subject::WithOutbox::prepare(&target, count).await?;
    let ((), took) = timed(engine.send(count)).await?;
    let taken = server.messages() - before;
    // One more: the message of the test.
    ensure!(taken == count as u64 + 1, "the server took {taken}");
    println!(
        "{count} emails through the outbox of one mailbox: {}",
        seconds(took)
    );
    listening.stop().await;
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
