//! One engine per file.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use postroom_core::Code;
use postroom_store::{EngineClaim, ErrorKind, Result, StoreError};

/// Holds the lock on `<file>.lock`; the system gives it back even when the process is killed.
#[derive(Debug)]
struct Claim {
    #[expect(dead_code, reason = "held for its lock")]
    file: File,
}

impl EngineClaim for Claim {}

pub(super) fn claim(path: &Path) -> Result<Box<dyn EngineClaim>> {
    const OPERATION: &str = "engine.claim";
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let unavailable = |source| {
        StoreError::new(ErrorKind::Unavailable, Code::StoreUnavailable, OPERATION)
            .with_source(source)
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock)
        .map_err(unavailable)?;
    match file.try_lock() {
        Ok(()) => Ok(Box::new(Claim { file })),
        Err(TryLockError::WouldBlock) => {
            Err(
                StoreError::new(ErrorKind::Locked, Code::StoreLocked, OPERATION)
                    .with("path", path.display()),
            )
        }
        Err(TryLockError::Error(source)) => Err(unavailable(source)),
    }
}
