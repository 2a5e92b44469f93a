//! One line for everything that happens: always hashed, kept only where somebody wants to read it.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use postroom_core::Timestamp;

use crate::clock::TrueClock;

/// FNV-1a of 128 bits, by sixteen bytes: what tells two runs apart, not what keeps anybody from
/// forging one.
const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// What is done with the lines, apart from hashing them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    #[default]
    Nothing,
    /// There are none, and no hash: for measuring how fast the engine is, not how fast it is watched.
    Off,
    /// They are kept.
    Lines,
    /// They are written to the standard error output at once: for runs that do not end.
    Print,
}

#[derive(Debug)]
struct Inner {
    hash: u128,
    count: u64,
    line: String,
    lines: Vec<String>,
    keep: Keep,
}

/// The trace of a run. Clones write to the same one.
#[derive(Clone, Debug)]
pub struct Trace {
    time: TrueClock,
    off: bool,
    inner: Arc<Mutex<Inner>>,
}

impl Trace {
    /// An empty trace.
    #[must_use]
    pub fn new(time: TrueClock, keep: Keep) -> Self {
        let inner = Inner {
            hash: OFFSET,
            count: 0,
            line: String::new(),
            lines: Vec::new(),
            keep,
        };
        Self {
            time,
            off: keep == Keep::Off,
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// The true time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// Adds a line. It must not hold anything that differs between two runs of one seed, such as the
    /// path of a temporary folder.
    pub fn line(&self, text: fmt::Arguments<'_>) {
        if self.off {
            return;
        }
        let millis = self.time.elapsed().as_millis();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        inner.line.clear();
        let _ = write!(inner.line, "{millis} ");
        let _ = inner.line.write_fmt(text);
        inner.line.push('\n');
        for bytes in inner.line.as_bytes().chunks(16) {
            let mut word = [0; 16];
            word[..bytes.len()].copy_from_slice(bytes);
            inner.hash = (inner.hash ^ u128::from_le_bytes(word)).wrapping_mul(PRIME);
        }
        inner.count += 1;
        match inner.keep {
            Keep::Nothing | Keep::Off => {}
            Keep::Lines => inner.lines.push(readable(&inner.line)),
            Keep::Print => eprint!("{}", readable(&inner.line)),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        self.off
    }

    /// The hash of all lines so far.
    #[must_use]
    pub fn hash(&self) -> u128 {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .hash
    }

    /// How many lines there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .count
    }

    /// The lines that were kept.
    #[must_use]
    pub fn take_lines(&self) -> Vec<String> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut inner.lines)
    }
}

/// Day and time of day in place of the milliseconds.
fn readable(line: &str) -> String {
    let (millis, text) = line.split_once(' ').unwrap_or(("0", line));
    let millis: u64 = millis.parse().unwrap_or_default();
    let seconds = millis / 1000;
    format!(
        "{}d {:02}:{:02}:{:02}.{:03}  {text}",
        seconds / 86_400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        millis % 1000
    )
}
