//! What a command ends with when it does not succeed, and how that is shown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::api::{AdminError, Code, ErrorKind, nearest};

use serde::Serialize;
use serde_json::{Value, json};

use crate::output::{Format, Output};

/// The exit codes. docs/reference/cli.md lists them; a test keeps the two equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did not work, for a reason that none of the others names.
    Failure = 1,
    /// The command line cannot be understood, or a value cannot be used.
    Usage = 2,
    /// It worked for some of the rows.
    Partly = 3,
    /// There is nothing of that name.
    NotFound = 4,
    /// The right is missing.
    Permission = 5,
    /// The store cannot be used: not there, locked, newer, damaged, wrong key.
    Store = 6,
    /// The mail system cannot be reached or refuses; a test failed.
    MailSystem = 7,
}

/// Every exit code, for `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  it worked
  1  it failed for another reason than those below
  2  the command line or a value in it cannot be used
  3  it worked for some of the rows, not for all
  4  there is nothing of that name
  5  the right is missing
  6  the store cannot be used: not there, locked, newer, damaged, wrong key
  7  the mail system cannot be reached or refuses; a test failed";

/// A command that did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    code: &'static str,
    message: String,
    cause: Option<String>,
    hint: Option<String>,
    facts: BTreeMap<String, String>,
    /// What has been shown already: only the exit code is left to say.
    shown: bool,
}

/// The result of a command.
pub(crate) type Result<T = (), E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure with the catalogue's words.
    pub(crate) fn of(exit: Exit, code: Code) -> Self {
        let spec = code.spec();
        Self {
            exit,
            code: spec.text,
            message: spec.summary.trim_end_matches('.').to_owned(),
            cause: Some(spec.cause.to_owned()),
            hint: Some(spec.remedy.to_owned()),
            facts: BTreeMap::new(),
            shown: false,
        }
    }

    /// A value that cannot be used.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            cause: None,
            hint: None,
            message: message.into(),
            ..Self::of(Exit::Usage, Code::InvalidInput)
        }
    }

    /// There is nothing of that name.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self {
            cause: None,
            message: message.into(),
            ..Self::of(Exit::NotFound, Code::NotFound)
        }
    }

    /// Something is there already.
    pub(crate) fn exists(message: impl Into<String>) -> Self {
        Self {
            cause: None,
            message: message.into(),
            ..Self::of(Exit::Failure, Code::AlreadyExists)
        }
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self {
            cause: Some(error.to_string()),
            hint: Some("Check the path and the permissions.".to_owned()),
            message: format!("cannot {what} {}", path.display()),
            ..Self::of(Exit::Failure, Code::InvalidInput)
        }
    }

    /// Everything was said in the output; only the exit code is left.
    pub(crate) fn said(exit: Exit) -> Self {
        Self {
            shown: true,
            ..Self::of(exit, Code::Internal)
        }
    }

    /// Sets the sentence.
    pub(crate) fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Sets why it is so.
    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Sets what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code.
    pub(crate) const fn exit(&self) -> u8 {
        self.exit as u8
    }

    /// The exit code, by name.
    pub(crate) const fn exit_code(&self) -> Exit {
        self.exit
    }

    /// The code of the catalogue.
    pub(crate) const fn code(&self) -> &'static str {
        self.code
    }

    /// What it is and why, without its code.
    pub(crate) fn reason(&self) -> String {
        match &self.cause {
            Some(cause) => format!("{}: {cause}", self.message),
            None => self.message.clone(),
        }
    }

    /// What it is, in a line.
    pub(crate) fn line(&self) -> String {
        format!("{} [{}]", self.message, self.code)
    }

    /// The same with the facts that say why.
    pub(crate) fn full_line(&self) -> String {
        let facts: Vec<String> = self
            .facts
            .iter()
            .filter(|(name, _)| {
                name.as_str() != "operation" && (self.facts.len() < 3 || name.as_str() != "detail")
            })
            .map(|(name, value)| format!("{}: {value}", name.replace('_', " ")))
            .collect();
        if facts.is_empty() {
            self.line()
        } else {
            format!("{} ({})", self.line(), facts.join(", "))
        }
    }

    /// Shows it: on standard error for people, as the one document on standard output for programs.
    pub(crate) fn show(&self, output: &Output) {
        if self.shown {
            return;
        }
        match output.format() {
            Format::Json => output.json(&json!({ "error": self.as_json() })),
            Format::Human => output.complain(&self.as_text(output)),
        }
    }

    pub(crate) fn as_json(&self) -> Value {
        json!(ErrorView {
            code: self.code,
            message: &self.message,
            cause: self.cause.as_deref(),
            hint: self.hint.as_deref(),
            facts: &self.facts,
        })
    }

    fn as_text(&self, output: &Output) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {}", output.red("error:"), self.line());
        for (name, value) in &self.facts {
            let _ = writeln!(text, "  {}: {value}", name.replace('_', " "));
        }
        if let Some(cause) = &self.cause {
            let _ = writeln!(text, "cause: {cause}");
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "{} {hint}", output.cyan("hint:"));
        }
        text
    }
}

#[derive(Serialize)]
struct ErrorView<'a> {
    code: &'static str,
    message: &'a str,
    cause: Option<&'a str>,
    hint: Option<&'a str>,
    facts: &'a BTreeMap<String, String>,
}

/// Which exit code a code of the catalogue leads to.
pub(crate) const fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::NotFound => Exit::NotFound,
        ErrorKind::PermissionDenied => Exit::Permission,
        ErrorKind::InvalidInput => Exit::Usage,
        ErrorKind::Corrupt
        | ErrorKind::TooNew
        | ErrorKind::Locked
        | ErrorKind::Key
        | ErrorKind::Unavailable => Exit::Store,
        ErrorKind::Provider => Exit::MailSystem,
        _ => Exit::Failure,
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        let mut failure = Self::of(exit_of(error.kind()), error.code());
        failure
            .facts
            .insert("operation".to_owned(), error.operation().to_owned());
        for (name, value) in error.context() {
            failure.facts.insert((*name).to_owned(), value.clone());
        }
        let mut source = std::error::Error::source(&error);
        let mut detail = None;
        while let Some(inner) = source {
            detail = Some(inner.to_string());
            source = inner.source();
        }
        // What the facts say already is not said again.
        let said = format!("{} failed: {}", error.operation(), failure.code);
        if let Some(detail) = detail.filter(|detail| !detail.starts_with(&said)) {
            failure.facts.entry("detail".to_owned()).or_insert(detail);
        }
        // Whoever misspelled a kind of mail system did not meet one that refuses.
        if let (Some(kind), Some(known)) = (
            error.context().get("kind"),
            error.context().get("known_kinds"),
        ) {
            failure.exit = Exit::Usage;
            failure.message = format!("there is no kind of mail system {kind}");
            failure.cause = None;
            failure.hint = Some(match nearest(kind, known.split(", ")) {
                Some(name) => format!("Did you mean {name}?"),
                None => format!("There are: {known}."),
            });
            failure.facts.clear();
        }
        failure
    }
}
