//! Questions before what cannot be taken back, or changes much.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use clap::Args;

use crate::api::Code;
use crate::failure::{Exit, Failure, Result};

/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64;

/// More things than this are many: changing them asks first.
pub(crate) const MANY: usize = 10;

/// Whether to ask.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Consent {
    /// Do it without a question.
    #[arg(long, short)]
    yes: bool,
}

impl Consent {
    /// Asks, unless that is settled. Where nobody can answer, nothing is done.
    pub(crate) fn obtain(self, question: &str) -> Result {
        if self.yes {
            return Ok(());
        }
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Err(Failure::usage(format!(
                "{question} There is no terminal to answer on, so nothing was changed"
            ))
            .hint("Say --yes to do it without a question."));
        }
        let _ = write!(io::stderr(), "{question} [y/N] ");
        let _ = io::stderr().flush();
        let mut line = String::new();
        let read = stdin.lock().take(ANSWER_BYTES_MAX).read_line(&mut line);
        let agreed = matches!(line.trim().to_lowercase().as_str(), "y" | "yes");
        if read.is_ok() && agreed {
            return Ok(());
        }
        Err(Failure::of(Exit::Failure, Code::Cancelled)
            .message("nothing was changed")
            .hint("Answer y, or say --yes, to do it."))
    }
}
