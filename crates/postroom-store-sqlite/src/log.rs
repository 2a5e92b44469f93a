//! The way of commits to the disk.
//!
//! SQLite appends what a transaction changed to the write-ahead log and is then done with it
//! (`synchronous=NORMAL`); that the log reaches the disk before anybody is answered is seen to here.
//! Nobody holds the writer's lock meanwhile: others commit, and one wait for the disk serves all of
//! them. What is appended later is never on the disk without what was appended before.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::failure::{Failure, Outcome};

/// The write-ahead log of an open database, as far as waiting for the disk goes.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    /// Opened when there is something to wait for; SQLite keeps the file for as long as the
    /// connection that writes is open.
    file: Mutex<Option<File>>,
    /// Commits that changed anything.
    committed: AtomicU64,
    /// So many of them are on the disk.
    synced: AtomicU64,
}

impl Log {
    pub(crate) fn of(database: &Path) -> Self {
        let mut path = database.to_owned().into_os_string();
        path.push("-wal");
        Self {
            path: path.into(),
            file: Mutex::default(),
            committed: AtomicU64::new(0),
            synced: AtomicU64::new(0),
        }
    }

    /// Something was committed.
    pub(crate) fn committed(&self) {
        self.committed.fetch_add(1, Ordering::AcqRel);
    }

    /// Waits until everything that was committed is on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let committed = self.committed.load(Ordering::Acquire);
        if self.synced.load(Ordering::Acquire) >= committed {
            return Ok(());
        }
        let file = match &mut *file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().write(true).open(&self.path)?),
        };
        file.sync_data()?;
        self.synced.fetch_max(committed, Ordering::AcqRel);
        Ok(())
    }
}

/// Is told whether what it waits for is on the disk.
type Waiting = Box<dyn FnOnce(Outcome<()>) + Send>;

/// A thread that waits for the disk, each time for all who have asked by then. Dropped, it answers
/// whoever is waiting still.
pub(crate) struct Syncer {
    queue: Option<Sender<Waiting>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Syncer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Syncer")
    }
}

impl Syncer {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(crate) fn start(log: Arc<Log>) -> io::Result<Self> {
        let (queue, asked) = channel();
        let thread = std::thread::Builder::new()
            .name("store-syncer".to_owned())
            .spawn(move || answer(&log, &asked))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Asks to be told when everything that is committed by now is on the disk.
    pub(crate) fn ask(&self, waiting: Waiting) {
        if let Some(queue) = &self.queue {
            // Fails only when the thread is gone; dropping the question tells whoever asks.
            let _ = queue.send(waiting);
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(log: &Log, asked: &Receiver<Waiting>) {
    while let Ok(first) = asked.recv() {
        let all: Vec<_> = std::iter::once(first).chain(asked.try_iter()).collect();
        let synced = log.sync();
        for waiting in all {
            waiting(match &synced {
                Ok(()) => Ok(()),
                Err(error) => Err(not_synced(error)),
            });
        }
    }
}

/// That the disk could not be waited for: one error for each who waited.
pub(crate) fn not_synced(error: &io::Error) -> Failure {
    Failure::Segment(io::Error::new(error.kind(), error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_is_answered_with_everybody_else() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.sqlite");
        let log = Arc::new(Log::of(&database));
        std::fs::write(folder.path().join("a.sqlite-wal"), b"frames").unwrap();
        let syncer = Syncer::start(Arc::clone(&log)).unwrap();
        let (answers, answered) = channel();
        for _ in 0..20 {
            log.committed();
            let answers = answers.clone();
            syncer.ask(Box::new(move |synced| {
                answers.send(synced.is_ok()).unwrap()
            }));
        }
        drop((answers, syncer));
        assert_eq!(answered.iter().collect::<Vec<_>>(), [true; 20]);
        assert_eq!(log.synced.load(Ordering::Acquire), 20);
    }

    #[test]
    fn a_log_that_cannot_be_synced_is_told_to_all() {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(Log::of(&folder.path().join("missing.sqlite")));
        log.sync().unwrap();
        log.committed();
        log.sync().unwrap_err();
        let syncer = Syncer::start(Arc::clone(&log)).unwrap();
        let (answers, answered) = channel();
        syncer.ask(Box::new(move |synced| {
            answers.send(synced.unwrap_err()).unwrap();
        }));
        let error = answered.recv().unwrap().told("test");
        assert_eq!(error.kind(), postroom_store::ErrorKind::Unavailable);
    }
}
