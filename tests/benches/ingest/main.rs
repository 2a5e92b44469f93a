//! How long the engine takes to ingest a mailbox over EWS, against merely fetching it.
//!
//! ```text
//! cargo bench --package postroom-tests --bench ingest              10,000 messages and one of 150 MB
//! cargo bench --package postroom-tests --bench ingest -- --quick   1,000 messages
//!                                                     -- --tls     only over TLS
//!                                                     -- --plain   only without TLS
//! ```
//!
//! The simulated Exchange server runs in a process of its own. The floor is measured in the same run:
//! the very requests that the engine made, sent again one after the other over the same transport,
//! the answers read to the end and thrown away. The engine parses, correlates, decides and commits
//! durably beside that. Both use the same kind of connection: TLS, as every profile has it unless it is
//! told otherwise, and plain HTTP.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a bench prints its figures, and helpers of tests may fail"
)]

mod processor;
mod recording;
mod setup;
#[path = "../shared/mod.rs"]
mod shared;

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use processor::Processor;
use recording::Recording;
use setup::Server;
use shared::memory::Memory;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(position) = arguments.iter().position(|argument| argument == "--serve") {
        let plan = arguments
            .get(position + 1)
            .context("--serve needs a plan")?;
        let tls = arguments
            .get(position + 2)
            .is_some_and(|word| word == "tls");
        return setup::serve(plan, tls);
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    // As a task, as the scheduler runs a cycle.
    let all = runtime.spawn(async move {
        let given = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
        let (count, rounds) = if quick { (1_000, 1) } else { (10_000, 3) };
        if !given("--plain") {
            many(count, rounds, true).await?;
        }
        if !given("--tls") {
            many(count, rounds, false).await?;
        }
        one_large(if quick { 20 } else { 150 }).await
    });
    runtime.block_on(all)?
}

/// Many messages of ordinary sizes.
async fn many(count: u32, rounds: u32, tls: bool) -> anyhow::Result<()> {
    let server = Server::start(&format!("many:{count}"), tls)?;
    println!(
        "ingest of {count} messages over {}, {:.1} MB, median {:.1} KB",
        if tls { "TLS" } else { "plain HTTP" },
        server.bytes as f64 / 1e6,
        server.median as f64 / 1e3
    );
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let recording = Recording::new(&server)?;
        let subject = server.subject(&recording).await?;
        let memory = Memory::start();
        let processor = Processor::of(&server);
        recording.start();
        let started = Instant::now();
        subject.ingest(u64::from(count)).await?;
        let engine = started.elapsed();
        let ingesting = processor.used()?;
        let requests = recording.stop();
        let grown = memory.grown_mib();
        let processor = Processor::of(&server);
        let started = Instant::now();
        let bytes = recording.replay(&requests).await?;
        let floor = started.elapsed();
        let fetching = processor.used()?;
        let ratio = engine.as_secs_f64() / floor.as_secs_f64();
        println!(
            "  round {round}: engine {} ({:.0} messages/s), fetching alone {} ({} requests, {:.1} MB), ratio {ratio:.2}, memory +{grown:.1} MiB",
            seconds(engine),
            f64::from(count) / engine.as_secs_f64(),
            seconds(floor),
            requests.len(),
            bytes as f64 / 1e6,
        );
        println!(
            "    processor time: engine {} and server {} while ingesting, {} and {} while fetching alone",
            seconds(ingesting.here),
            seconds(ingesting.server),
            seconds(fetching.here),
            seconds(fetching.server),
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2).context("no round")?;
    println!("  median ratio {median:.2} (aim: at most 1.5)");
    Ok(())
}

/// One very large message.
async fn one_large(megabytes: u32) -> anyhow::Result<()> {
    let server = Server::start(&format!("large:{megabytes}"), true)?;
    let recording = Recording::new(&server)?;
    let subject = server.subject(&recording).await?;
    let memory = Memory::start();
    let started = Instant::now();
    subject.ingest(1).await?;
    let took = started.elapsed();
    let kept = subject.bytes_of_only_email().await?;
    ensure!(
        kept >= u64::from(megabytes) * 1_000_000,
        "the message was cut: {kept} bytes are kept"
    );
    println!(
        "one message of {megabytes} MB: {}, memory +{:.1} MiB (aim: at most 64), {kept} bytes kept",
        seconds(took),
        memory.grown_mib()
    );
    Ok(())
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}
