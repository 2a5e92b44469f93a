//! The engine's process is killed at random points (SIGKILL), again and again, and runs once more:
//! nothing is lost, nothing is there twice, nothing was sent twice.
//!
//! Each point begins with a fresh server, which outlives the kills, and a fresh store: 1,000 messages
//! wait for a queue that tracks all of them, 100 emails wait to be sent to the outside. What counts in
//! the end is what can be seen from outside: the server's mailboxes, the messages that left it, the
//! records.
//!
//! | Variable | Meaning |
//! |---|---|
//! | `POSTROOM_KILL_POINTS` | how many points (4) |
//! | `POSTROOM_KILL_SEED` | repeats the delays of an earlier run; the seed is printed |
//! | `POSTROOM_KILL_BINARY` | another build of `postroom`, such as an optimized one |

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect, and tells how to repeat it"
)]

mod audit;
mod office;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use office::{Office, Progress, System};
use postroom::provider::Randomness;
use postroom::provider::context::SystemRandomness;
use tokio::io::AsyncReadExt as _;

/// At most so many kills for one point.
const KILLS_MAX: u32 = 3;
/// No run takes longer, kill or not.
const PATIENCE: Duration = Duration::from_secs(120);

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// SplitMix64.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A duration below that one, to the microsecond.
    fn below(&mut self, limit: Duration) -> Duration {
        let micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.next() % micros.max(1))
    }
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
    )
}

/// How the engine is run.
#[derive(Clone, Copy, Debug)]
enum Mode {
    /// One workload after the other, to the end.
    Sync,
    /// All workloads at once, until it is stopped.
    Run,
}

/// Starts `postroom` on the office's store.
fn start(office: &Office, mode: Mode) -> std::io::Result<tokio::process::Child> {
    let built = || env!("CARGO_BIN_EXE_postroom").to_owned();
    let mut command =
        Command::new(std::env::var("POSTROOM_KILL_BINARY").unwrap_or_else(|_| built()));
    command
        .arg(match mode {
            Mode::Sync => "sync",
            Mode::Run => "run",
        })
        .arg("--store")
        .arg(office.store())
        .env_remove("POSTROOM_KEY")
        .env_remove("POSTROOM_KEY_FILE")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn()
}

/// Runs the engine, and kills it after `delay` unless it has ended by then; answers whether it was
/// killed.
async fn run_and_kill(office: &Office, mode: Mode, delay: Duration) -> Outcome<bool> {
    let mut child = start(office, mode)?;
    let mut errors = child.stderr.take();
    let ended = async {
        let mut text = String::new();
        if let Some(errors) = &mut errors {
            errors.read_to_string(&mut text).await?;
        }
        Ok::<_, std::io::Error>((child.wait().await?.success(), text))
    };
    match tokio::time::timeout(delay, ended).await {
        Ok(ended) => match ended? {
            (true, _) => Ok(false),
            (false, errors) => Err(format!("{mode:?} failed: {errors}").into()),
        },
        Err(_) => {
            child.kill().await?;
            Ok(true)
        }
    }
}

/// One run from the beginning to the end; answers how long it took.
async fn uninterrupted(office: &Office, mode: Mode) -> Outcome<Duration> {
    let started = Instant::now();
    match mode {
        Mode::Sync => {
            if run_and_kill(office, mode, PATIENCE).await? {
                return Err("postroom sync does not come to an end".into());
            }
        }
        Mode::Run => {
            let mut child = start(office, mode)?;
            tokio::time::timeout(PATIENCE, office.all_done()).await??;
            child.kill().await?;
        }
    }
    Ok(started.elapsed())
}

/// The kills of one point, then the run that has to make everything good.
async fn point(
    system: System,
    mode: Mode,
    whole: Duration,
    random: &mut Sequence,
) -> Outcome<Vec<Progress>> {
    let office = Office::prepare(system).await?;
    let mut left = whole;
    let mut kills = Vec::new();
    for _ in 0..KILLS_MAX {
        let delay = random.below(left);
        left = left.saturating_sub(delay);
        if !run_and_kill(&office, mode, delay).await? {
            break;
        }
        let progress = office.progress().await?;
        let is_end = progress.is_end();
        kills.push(progress);
        if is_end {
            break;
        }
    }
    uninterrupted(&office, Mode::Sync).await?;
    office.verify().await?;
    Ok(kills)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_point_and_run_again_everything_is_there_once() {
    killed(
        System::Exchange,
        setting("POSTROOM_KILL_POINTS").unwrap_or(4),
    )
    .await;
}

/// POP3 and SMTP: nothing is sent twice, and what nobody can know is said to be unknown, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_where_nobody_can_look_nothing_is_sent_twice_and_doubt_is_told() {
    killed(
        System::Internet,
        setting("POSTROOM_KILL_POINTS").unwrap_or(2),
    )
    .await;
}

/// IMAP and SMTP: a copy among the sent messages ends the doubt, where there is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_where_sent_copies_can_be_found_nothing_is_sent_twice() {
    killed(System::Imap, setting("POSTROOM_KILL_POINTS").unwrap_or(2)).await;
}

async fn killed(system: System, points: u64) {
    let randomness: &dyn Randomness = &SystemRandomness::new();
    let seed = setting("POSTROOM_KILL_SEED").unwrap_or_else(|| randomness.number());
    println!("POSTROOM_KILL_SEED={seed}");
    let mut random = Sequence(seed);
    let began = Instant::now();

    let mut modes = Vec::new();
    for mode in [Mode::Sync, Mode::Run] {
        let office = Office::prepare(system).await.unwrap();
        let whole = uninterrupted(&office, mode).await.unwrap();
        office.verify().await.unwrap();
        println!(
            "{system:?}, {mode:?}, uninterrupted: {:.2} s",
            whole.as_secs_f64()
        );
        modes.push((mode, whole));
    }

    let mut kills = Vec::new();
    for (number, (mode, whole)) in (0..points).zip(modes.into_iter().cycle()) {
        match point(system, mode, whole, &mut random).await {
            Ok(progress) => {
                let at: Vec<_> = progress.iter().map(ToString::to_string).collect();
                println!("point {number}, {mode:?}: killed at {}", at.join("; "));
                kills.extend(progress);
            }
            Err(error) => panic!("seed {seed}, point {number}, {mode:?}: {error}"),
        }
    }
    let early = kills.iter().filter(|at| at.is_beginning()).count();
    let late = kills.iter().filter(|at| at.is_end()).count();
    println!(
        "{points} points in {:.0} s, {} kills: {early} before anything was done, {} on the way, {late} after all was done",
        began.elapsed().as_secs_f64(),
        kills.len(),
        kills.len() - early - late,
    );
    assert!(!kills.is_empty(), "nothing was killed");
}
