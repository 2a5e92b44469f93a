//! A private Postfix beside a private Dovecot, started by the script beside this file. Included by the tests that
//! use it, next to `dovecot.rs`.

use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The script answers so where there is no Postfix, or nobody may start it.
const NOT_INSTALLED: i32 = 3;

/// A Postfix that runs as long as this is kept.
#[derive(Debug)]
pub(crate) struct Postfix {
    child: Child,
    folder: tempfile::TempDir,
    ready: String,
}

impl Postfix {
    /// Starts one in a folder that is its own, beside the Dovecot in that folder; `None`, which is said, where that
    /// cannot be. In CI that is a failure.
    pub(crate) fn start(dovecot: &Path, folder: tempfile::TempDir) -> Option<Self> {
        let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let script = above
            .map(|folder| folder.join("tests/servers/postfix"))
            .find(|script| script.is_file())
            .expect("the script is in the project");
        let mut child = Command::new(script)
            .arg(dovecot)
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the script can be run");
        let mut ready = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut ready).expect("text");
        if !ready.starts_with("ready ") {
            let ended = child.wait().expect("the script ends");
            assert_eq!(ended.code(), Some(NOT_INSTALLED), "Postfix does not start");
            assert!(
                std::env::var_os("CI").is_none(),
                "CI needs root, and Postfix: packages postfix and dovecot-lmtpd"
            );
            println!("nothing was checked: Postfix is not installed, or this is not root");
            return None;
        }
        Some(Self {
            child,
            folder,
            ready,
        })
    }

    /// The port of a service: `submission`, `submissions`.
    pub(crate) fn port(&self, service: &str) -> u16 {
        let words = self.ready.split_whitespace();
        let mut values = words.filter_map(|word| word.strip_prefix(service)?.strip_prefix('='));
        let value = values.next().expect("the script tells it");
        value.parse().expect("a port")
    }

    /// Whether everything that was taken has been delivered.
    pub(crate) fn is_idle(&self) -> io::Result<bool> {
        for queue in ["incoming", "active", "deferred", "maildrop"] {
            if holds_file(&self.folder.path().join("queue").join(queue))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether there is a file in the folder or in one below.
fn holds_file(folder: &PathBuf) -> io::Result<bool> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        // What was moved on meanwhile is met again where it went.
        let Ok(kind) = entry.file_type() else {
            return Ok(true);
        };
        if !kind.is_dir() || holds_file(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // The end of its standard input is what stops it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
