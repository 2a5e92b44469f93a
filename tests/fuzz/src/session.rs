//! The stable driver: seeds first, then what becomes of them, the same each time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::mutate::mutate;
use crate::random::Random;
use crate::target::{Entry, Target};
use crate::watch::Watch;

/// At most so many inputs are kept to go on from.
const POOL_MAX: usize = 4096;

/// At most so many runs to make a failing input smaller.
const SHRINK_MAX: usize = 2000;

/// No input of a test may take longer, on the slowest machine and without optimization.
const PATIENCE: Duration = Duration::from_secs(60);

thread_local! {
    /// What the last panic of this thread said, by the hook.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
    /// Whether an input is being run.
    static TRYING: Cell<bool> = const { Cell::new(false) };
}

/// How one target is driven.
#[derive(Clone, Debug)]
pub struct Session {
    /// Where the numbers begin.
    pub seed: u64,
    /// How many inputs are made, beside the seeds.
    pub runs: u64,
    /// Goes on for that long instead.
    pub duration: Option<Duration>,
    /// A folder with more inputs to begin with.
    pub corpus: Option<PathBuf>,
    /// Runs that file and nothing else.
    pub input: Option<PathBuf>,
}

/// What a session did.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Inputs that were run.
    pub runs: u64,
    /// Different observations.
    pub observations: usize,
}

impl Session {
    /// As the environment says: `POSTROOM_FUZZ_SEED`, `_RUNS` (a factor, 1), `_SECONDS` (for each
    /// target), `_CORPUS` (a folder), `_INPUT` (a file).
    ///
    /// # Panics
    /// Where a number is none.
    #[must_use]
    pub fn from_environment(entry: &Entry) -> Self {
        let number = |name: &str| -> Option<u64> {
            let text = std::env::var(format!("POSTROOM_FUZZ_{name}")).ok()?;
            let number = text.parse();
            Some(number.unwrap_or_else(|_| panic!("POSTROOM_FUZZ_{name} is no number: {text}")))
        };
        let path =
            |name: &str| std::env::var_os(format!("POSTROOM_FUZZ_{name}")).map(PathBuf::from);
        Self {
            seed: number("SEED").unwrap_or(1),
            runs: entry.runs * number("RUNS").unwrap_or(1),
            duration: number("SECONDS").map(Duration::from_secs),
            corpus: path("CORPUS"),
            input: path("INPUT"),
        }
    }

    /// Drives a target.
    ///
    /// # Panics
    /// Where an input breaks a promise. The input, made smaller, is saved, and the message says where
    /// and how to repeat it.
    #[must_use]
    pub fn run(&self, entry: &Entry) -> Report {
        listen();
        let watch = Watch::new(PATIENCE, save);
        let mut driver = Driver {
            entry,
            target: (entry.make)(),
            watch,
            seen: BTreeSet::new(),
            pool: Vec::new(),
            runs: 0,
        };
        if let Some(path) = &self.input {
            let input = std::fs::read(path).expect("POSTROOM_FUZZ_INPUT can be read");
            driver.check(&input);
            return driver.report();
        }
        let mut beginnings = driver.target.seeds();
        beginnings.extend(files(&own_corpus(entry.name)));
        if let Some(folder) = &self.corpus {
            beginnings.extend(files(folder));
        }
        assert!(!beginnings.is_empty(), "{} has no seeds", entry.name);
        for input in beginnings {
            driver.check(&input);
            driver.pool.push(input);
        }
        let mut random = Random::new(self.seed ^ u64::from_le_bytes(*b"postroom"));
        let dictionary = driver.target.dictionary();
        let length_max = driver.target.length_max();
        let begin = Instant::now();
        for done in 0.. {
            let over = match self.duration {
                Some(duration) => begin.elapsed() >= duration,
                None => done >= self.runs,
            };
            if over {
                break;
            }
            // The newest finds are tried more often than all the others.
            let count = driver.pool.len();
            let at = if random.one_in(2) {
                count - 1 - random.mostly_small(count)
            } else {
                random.below(count)
            };
            let mut input = driver.pool[at].clone();
            let other = driver.pool[random.below(count)].clone();
            mutate(&mut random, &mut input, &other, dictionary, length_max);
            if driver.check(&input) {
                if driver.pool.len() == POOL_MAX {
                    let out = random.below(POOL_MAX);
                    driver.pool.swap_remove(out);
                }
                driver.pool.push(input);
            }
        }
        driver.report()
    }
}

struct Driver<'a> {
    entry: &'a Entry,
    target: Box<dyn Target>,
    watch: Watch,
    seen: BTreeSet<u64>,
    pool: Vec<Vec<u8>>,
    runs: u64,
}

impl Driver<'_> {
    /// Runs an input; tells whether it showed something new.
    fn check(&mut self, input: &[u8]) -> bool {
        match self.attempt(input) {
            Ok(observed) => self.seen.insert(observed),
            Err(said) => self.fail(input, &said),
        }
    }

    fn attempt(&mut self, input: &[u8]) -> Result<u64, String> {
        self.runs += 1;
        self.watch.begin(self.entry.name, input);
        let target = &mut self.target;
        TRYING.set(true);
        let outcome = catch_unwind(AssertUnwindSafe(|| target.run(input)));
        TRYING.set(false);
        self.watch.end();
        outcome.map_err(|_panicked| {
            // It may be in any state now.
            self.target = (self.entry.make)();
            SAID.take()
        })
    }

    fn fail(&mut self, input: &[u8], said: &str) -> ! {
        let small = self.shrink(input.to_vec());
        let path = save(self.entry.name, &small);
        panic!(
            "{}: {said}\n  input: {} ({} bytes): {:?}\n  again: {}",
            self.entry.name,
            path.display(),
            small.len(),
            String::from_utf8_lossy(&small[..small.len().min(600)]),
            command(self.entry.name, &path),
        );
    }

    /// Leaves out pieces, larger ones first, as long as it still fails.
    fn shrink(&mut self, mut input: Vec<u8>) -> Vec<u8> {
        let mut tries = 0;
        let mut size = input.len() / 2;
        while size > 0 && tries < SHRINK_MAX {
            let mut at = 0;
            while at < input.len() && tries < SHRINK_MAX {
                let mut smaller = input.clone();
                smaller.drain(at..(at + size).min(input.len()));
                tries += 1;
                if self.attempt(&smaller).is_err() {
                    input = smaller;
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
        input
    }

    fn report(&self) -> Report {
        Report {
            runs: self.runs,
            observations: self.seen.len(),
        }
    }
}

/// Keeps what panics say, in place of printing each while an input is made smaller.
fn listen() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Panics that a test ends with are told as usual.
            if !TRYING.get() {
                usual(info);
                return;
            }
            SAID.set(info.to_string());
        }));
    });
}

/// The folder of this package; inputs that once broke something lie in `corpus/TARGET`.
fn own_corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name)
}

/// The contents of all files of a folder, by name; none where there is no such folder.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a folder can be listed").path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| std::fs::read(path).expect("an input can be read"))
        .collect()
}

/// Writes an input to where failing ones are kept, below the build's folder.
fn save(name: &str, input: &[u8]) -> PathBuf {
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let folder = folder.join("fuzz");
    std::fs::create_dir_all(&folder).expect("a folder for failing inputs");
    let path = folder.join(format!("{name}-{hash:016x}"));
    std::fs::write(&path, input).expect("a failing input is saved");
    path.canonicalize().unwrap_or(path)
}

/// The command that runs one input again.
#[must_use]
pub fn command(name: &str, path: &Path) -> String {
    format!(
        "POSTROOM_FUZZ_INPUT={} cargo test -p postroom-fuzz --test fuzz {}",
        path.display(),
        name.replace('-', "_"),
    )
}
