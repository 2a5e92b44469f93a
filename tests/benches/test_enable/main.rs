//! How long Test & Enable of all mailboxes of a profile takes, against the same requests alone.
//!
//! ```text
//! cargo bench --package postroom-tests --bench test_enable              1,000 mailboxes
//! cargo bench --package postroom-tests --bench test_enable -- --quick   100 mailboxes
//!                                                          -- --plain   without TLS
//! ```
//!
//! The simulated Exchange server runs in a process of its own and delays every answer by 40 ms; the
//! profile allows 10 connections. There are two floors: what the requests must take by delay and
//! connections alone, and what a bare client needs that sends the very same requests over the same
//! transport, as many at once, and throws the answers away.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod client;
mod setup;

use std::time::{Duration, Instant};

use anyhow::Context as _;

use client::Client;
use setup::{Server, Subject};

/// How much later every answer comes.
const LATENCY: Duration = Duration::from_millis(40);
/// Connections that the profile allows.
const CONNECTIONS: u16 = 10;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    if let Some(position) = arguments.iter().position(|argument| argument == "--serve") {
        let count = arguments
            .get(position + 1)
            .context("--serve needs a count")?;
        return setup::serve(count.parse()?, given("tls"));
    }
    let count = if given("--quick") { 100 } else { 1_000 };
    let tls = !given("--plain");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let bench = runtime.spawn(all(count, tls));
    runtime.block_on(bench)?
}

async fn all(count: u32, tls: bool) -> anyhow::Result<()> {
    let server = Server::start(count, tls)?;
    let client = Client::new(&server)?;
    let subject = Subject::prepare(&server, &client, count).await?;
    client.start();
    let (used, started) = (processor_time()?, Instant::now());
    subject.test_and_enable().await?;
    let took = started.elapsed();
    let used = processor_time()?.saturating_sub(used);
    let requests = client.stop();
    subject.check().await?;
    let (bare_used, started) = (processor_time()?, Instant::now());
    client.replay(&requests, CONNECTIONS).await?;
    let bare = started.elapsed();
    let bare_used = processor_time()?.saturating_sub(bare_used);
    let sent = u32::try_from(requests.len())?;
    let floor = LATENCY * sent / u32::from(CONNECTIONS);
    let ratio = |to: Duration| took.as_secs_f64() / to.as_secs_f64();
    println!(
        "Test & Enable of {count} mailboxes over {}, {} ms and {CONNECTIONS} connections",
        if tls { "TLS" } else { "plain HTTP" },
        LATENCY.as_millis()
    );
    println!(
        "  took {}, {sent} requests, {:.1} a mailbox",
        seconds(took),
        f64::from(sent) / f64::from(count)
    );
    println!(
        "  floor by delay and connections {}: ratio {:.2}",
        seconds(floor),
        ratio(floor)
    );
    println!(
        "  bare client, the same requests {}: ratio {:.2} (aim: at most 1.3)",
        seconds(bare),
        ratio(bare)
    );
    println!(
        "  processor time: engine {}, bare client {}",
        seconds(used),
        seconds(bare_used)
    );
    Ok(())
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

/// Processor time of this process, as the kernel counts it.
fn processor_time() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // Behind the name in parentheses: state, parent and so on; user and system time are the twelfth
    // and thirteenth, in hundredths of a second on every architecture.
    let (_, fields) = stat.rsplit_once(')').context("no process name")?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u32>);
    let mut next = || times.next().context("no processor time");
    Ok(Duration::from_millis(10) * (next()?? + next()??))
}
