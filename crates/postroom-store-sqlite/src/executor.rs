//! Where the work on the file is done.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Which queue a job belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "SQLite has one writer and many readers, and no third kind"
)]
pub enum Lane {
    /// It writes: one after the other.
    Write,
    /// It only reads: several at once.
    Read,
}

/// A piece of work on the file.
pub type Job = Box<dyn FnOnce() + Send + 'static>;

/// Runs jobs somewhere: on threads of its own, or at once on the caller's.
///
/// # Contract
/// - Each job runs exactly once, whether or not anybody waits for it.
/// - Jobs of [`Lane::Write`] run in the order in which they came.
pub trait Executor: fmt::Debug + Send + Sync + 'static {
    /// Runs a job, now or later.
    fn execute(&self, lane: Lane, job: Job);
}

/// Runs each job at once on the thread that asks: for deterministic tests and simulations, and for
/// programs without an async runtime.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct InlineExecutor;

impl InlineExecutor {
    /// The executor.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Executor for InlineExecutor {
    fn execute(&self, _lane: Lane, job: Job) {
        job();
    }
}

/// One thread that writes and some that read, so that no async thread waits for a disk.
///
/// The queues are as long as there are callers waiting, and no longer. Dropping it waits for what
/// is queued.
pub struct ThreadExecutor {
    write: Option<Sender<Job>>,
    read: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl fmt::Debug for ThreadExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ThreadExecutor({} threads)", self.threads.len())
    }
}

impl ThreadExecutor {
    /// Starts the threads: one writer and `readers` readers, at least one.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(readers: usize) -> std::io::Result<Self> {
        let (write, write_jobs) = channel::<Job>();
        let (read, read_jobs) = channel::<Job>();
        let mut executor = Self {
            write: Some(write),
            read: Some(read),
            threads: Vec::new(),
        };
        executor.spawn("store-writer", Arc::new(Mutex::new(write_jobs)))?;
        let read_jobs = Arc::new(Mutex::new(read_jobs));
        for _ in 0..readers.max(1) {
            executor.spawn("store-reader", Arc::clone(&read_jobs))?;
        }
        Ok(executor)
    }

    fn spawn(&mut self, name: &str, jobs: Arc<Mutex<Receiver<Job>>>) -> std::io::Result<()> {
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(&jobs))?;
        self.threads.push(thread);
        Ok(())
    }
}

/// Takes jobs until nobody can send any more.
fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else {
            return;
        };
        // A defect in one job must not end the thread that all others wait for. Its caller learns
        // of it by the answer that never comes.
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a job on the store failed unexpectedly");
        }
    }
}

impl Executor for ThreadExecutor {
    fn execute(&self, lane: Lane, job: Job) {
        let queue = match lane {
            Lane::Write => &self.write,
            Lane::Read => &self.read,
        };
        if let Some(queue) = queue {
            // Fails only when every thread is gone; dropping the job tells its caller.
            let _ = queue.send(job);
        }
    }
}

impl Drop for ThreadExecutor {
    fn drop(&mut self) {
        self.write = None;
        self.read = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
