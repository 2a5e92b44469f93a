//! Passwords: from a file, the environment or a prompt, never from the command line, where every
//! other user of the machine could read them.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::api::Secret;
use clap::Args;

use crate::failure::{Failure, Result};

/// Longest password that is read.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// The environment variable that a password is taken from.
const VARIABLE: &str = "POSTROOM_PASSWORD";

/// Where a password comes from.
#[derive(Args, Clone, Debug)]
pub(crate) struct PasswordSource {
    /// Read the password from the first line of this file; `-` is standard input.
    ///
    /// Without it the environment variable POSTROOM_PASSWORD is used, and without that a prompt.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

impl PasswordSource {
    /// The password, if one was given without asking.
    pub(crate) fn given(&self) -> Result<Option<Secret>> {
        if let Some(path) = &self.password_file {
            return read(path).map(Some);
        }
        match std::env::var(VARIABLE) {
            Ok(text) if !text.is_empty() => Ok(Some(Secret::new(text))),
            Ok(_) | Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Failure::usage(format!("{VARIABLE} is not valid UTF-8")))
            }
        }
    }

    /// The password; asks where none was given.
    pub(crate) fn read(&self, prompt: &str) -> Result<Secret> {
        match self.given()? {
            Some(secret) => Ok(secret),
            None => ask(prompt),
        }
    }
}

/// The first line of a file; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Secret> {
    let failed = |error| Failure::file("read the password from", path, &error);
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin()
            .lock()
            .take(PASSWORD_BYTES_MAX)
            .read_line(&mut text)
            .map_err(failed)?;
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text))
            .map_err(failed)?;
    }
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(Failure::usage(format!("no password in {}", path.display())));
    }
    Ok(Secret::new(line))
}

/// The value of an environment variable.
pub(crate) fn from_environment(name: &str) -> Result<Secret> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => Ok(Secret::new(text)),
        Ok(_) | Err(std::env::VarError::NotPresent) => {
            Err(Failure::usage(format!("{name} is not set")))
        }
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Failure::usage(format!("{name} is not valid UTF-8")))
        }
    }
}

fn ask(prompt: &str) -> Result<Secret> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(
            Failure::usage("no password was given, and there is no terminal to ask on").hint(
                format!("Use --password-file FILE or the environment variable {VARIABLE}."),
            ),
        );
    }
    let _ = write!(io::stderr(), "{prompt}: ");
    let _ = io::stderr().flush();
    let mut line = String::new();
    let hidden = Hidden::begin();
    let outcome = stdin.lock().take(PASSWORD_BYTES_MAX).read_line(&mut line);
    drop(hidden);
    let _ = writeln!(io::stderr());
    outcome.map_err(|error| {
        Failure::file("read the password from", Path::new("the terminal"), &error)
    })?;
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(Failure::usage("the password is empty"));
    }
    Ok(Secret::new(line))
}

/// A terminal that does not show what is typed, until this is dropped.
#[cfg(unix)]
struct Hidden(Option<rustix::termios::Termios>);

#[cfg(unix)]
impl Hidden {
    fn begin() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let Ok(before) = tcgetattr(io::stdin()) else {
            return Self(None);
        };
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        match tcsetattr(io::stdin(), OptionalActions::Flush, &silent) {
            Ok(()) => Self(Some(before)),
            Err(_) => Self(None),
        }
    }
}

#[cfg(unix)]
impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = rustix::termios::tcsetattr(
                io::stdin(),
                rustix::termios::OptionalActions::Flush,
                before,
            );
        }
    }
}

#[cfg(not(unix))]
struct Hidden;

#[cfg(not(unix))]
impl Hidden {
    const fn begin() -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_the_file_is_the_password() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "correct horse \nsecond line\n").unwrap();
        assert_eq!(read(&path).unwrap().expose(), "correct horse ");
        std::fs::write(&path, "\n").unwrap();
        assert!(read(&path).is_err());
        assert!(read(&folder.path().join("missing")).is_err());
    }
}
