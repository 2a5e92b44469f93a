//! How long the first pull of a mailbox over POP3 takes, against the bare exchange and against mpop.
//!
//! ```text
//! cargo bench --package postroom-tests --bench pop3              10,000 messages
//! cargo bench --package postroom-tests --bench pop3 -- --quick   1,000 messages
//! ```
//!
//! The server is a Dovecot of its own (`tests/servers`). The floor is the same exchange, 200 requests in
//! flight, by the same kind of connection, everything thrown away. mpop writes a Maildir. The engine reads
//! headers first, parses, correlates, decides and commits durably. Then each looks once more, with nothing
//! new. mpop takes part where it is installed.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a bench prints its figures, and helpers of tests may fail"
)]

mod bare;
#[path = "../../servers/dovecot.rs"]
#[expect(dead_code, reason = "the suites use the rest")]
mod dovecot;
#[path = "../ingest/memory.rs"]
mod memory;
#[path = "../ingest/messages.rs"]
#[expect(dead_code, reason = "the other bench uses the rest")]
mod messages;
mod peer;
mod subject;

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use postroom_provider::OpContext;

use bare::Bare;
use dovecot::Dovecot;
use memory::Memory;
use subject::Subject;

/// Whose mail it is.
pub(crate) const USER: &str = "desk@here.example";

fn main() -> anyhow::Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let Some(server) = Dovecot::start(tempfile::tempdir()?) else {
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let all = runtime.spawn(async move {
        let (count, rounds) = if quick { (1_000, 1) } else { (10_000, 3) };
        server.add_user(USER)?;
        let mut bytes = 0;
        for message in messages::many(count, USER) {
            bytes += message.len();
            server.deliver(USER, &message)?;
        }
        println!("{count} messages, {:.1} MB", bytes as f64 / 1e6);
        // The server reads its folder for the first time.
        Bare::new(&server, "pop3s")?
            .poll(&OpContext::system()?)
            .await?;
        for service in ["pop3s", "pop3"] {
            pull(&server, service, count, rounds).await?;
        }
        anyhow::Ok(())
    });
    runtime.block_on(all)?
}

async fn pull(server: &Dovecot, service: &str, count: u32, rounds: u32) -> anyhow::Result<()> {
    let tls = service == "pop3s";
    println!("first pull, {}:", if tls { "TLS" } else { "in clear" });
    let ctx = OpContext::system()?;
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let bare = Bare::new(server, service)?;
        let (pulled, floor) = timed(bare.pull(&ctx)).await?;
        ensure!(pulled == count, "the bare exchange got {pulled} messages");
        let (_, idle) = timed(bare.poll(&ctx)).await?;
        let peer = peer::pull(server, service, count)?;
        let subject = Subject::prepare(server, service).await?;
        let memory = Memory::start();
        let ((), engine) = timed(subject.ingest(u64::from(count))).await?;
        let grown = memory.grown_mib();
        let (news, poll) = timed(subject.poll()).await?;
        ensure!(news == 0, "{news} messages were told twice");
        let ratio = engine.as_secs_f64() / floor.as_secs_f64();
        println!(
            "  round {round}: bare {}, mpop {}, engine {}, ratio {ratio:.2}, memory +{grown:.1} MiB; nothing new: bare {}, engine {}, ratio {:.2}",
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
    println!("  median ratio {median:.2} (aim: at most 1.5)");
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
