//! Notices that an input takes for ever, saves it and ends the process.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is being worked on, since when.
type Current = Arc<Mutex<Option<(Instant, String, Vec<u8>)>>>;

/// Watches one thread's work.
#[derive(Debug)]
pub struct Watch {
    current: Current,
}

impl Watch {
    /// Ends the process where one input takes longer than `patience`, after saving it.
    #[must_use]
    pub fn new(patience: Duration, save: impl Fn(&str, &[u8]) -> PathBuf + Send + 'static) -> Self {
        let current = Current::default();
        let watched = Arc::downgrade(&current);
        std::thread::spawn(move || {
            while let Some(current) = watched.upgrade() {
                let stuck = current
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take_if(|(since, ..)| since.elapsed() > patience);
                drop(current);
                if let Some((_, name, input)) = stuck {
                    let path = save(&name, &input);
                    eprintln!(
                        "{name}: no end within {patience:?}\n  input: {}\n  again: {}",
                        path.display(),
                        crate::session::command(&name, &path),
                    );
                    std::process::abort();
                }
                std::thread::park_timeout(Duration::from_millis(200));
            }
        });
        Self { current }
    }

    /// Work on an input begins.
    pub fn begin(&self, name: &str, input: &[u8]) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), name.to_owned(), input.to_vec()));
    }

    /// It is done.
    pub fn end(&self) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
