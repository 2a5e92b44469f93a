//! What can go wrong in the engine and in administration.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;

use postroom_core::Code;
use postroom_core::failure::Failure;
use postroom_core::profile::FieldError;
use postroom_provider::ProviderError;
use postroom_store::StoreError;

/// The result of an engine operation.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// The error of administrative calls; the same as the engine's.
pub type AdminError = EngineError;

/// What kind of failure it is: callers branch on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such thing.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// It was changed meanwhile, or its state does not allow this.
    Conflict,
    /// The principal lacks the right.
    PermissionDenied,
    /// A value cannot be used.
    InvalidInput,
    /// The store, the application or a server cannot serve now; trying again may succeed.
    Unavailable,
    /// The store is damaged, or is none.
    Corrupt,
    /// A newer version wrote the store.
    TooNew,
    /// Another engine runs on the store.
    Locked,
    /// The key is missing or wrong.
    Key,
    /// The mail system refused or failed.
    Provider,
    /// The work was stopped.
    Cancelled,
    /// A defect.
    Internal,
}

/// A failed operation of the engine or of administration.
///
/// `Display` is one line without secrets, subjects, bodies or addresses.
pub struct EngineError(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    failure: Failure,
}

impl EngineError {
    /// A failure of `operation`, such as `mailbox.approve`.
    #[must_use]
    pub fn new(kind: ErrorKind, code: Code, operation: &'static str) -> Self {
        Self(Box::new(Inner {
            kind,
            failure: Failure::new(code, operation),
        }))
    }

    pub(crate) fn not_found(operation: &'static str, what: &'static str) -> Self {
        Self::new(ErrorKind::NotFound, Code::NotFound, operation).with("what", what)
    }

    pub(crate) fn invalid(operation: &'static str, field: &'static str, message: &str) -> Self {
        Self::new(ErrorKind::InvalidInput, Code::InvalidInput, operation).with(field, message)
    }

    pub(crate) fn fields(operation: &'static str, fields: &[FieldError]) -> Self {
        fields.iter().fold(
            Self::new(
                ErrorKind::InvalidInput,
                Code::ConfigurationInvalid,
                operation,
            ),
            |error, field| error.with(field.field, &field.message),
        )
    }

    /// Adds a fact; cut at 500 characters, control characters replaced.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.0.failure.add(name, value);
        self
    }

    fn with_facts(self, facts: &BTreeMap<&'static str, String>) -> Self {
        facts
            .iter()
            .fold(self, |error, (name, value)| error.with(name, value))
    }

    /// Sets the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.failure.caused_by(source);
        self
    }

    /// What kind of failure.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The condition in the catalogue.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.0.failure.code()
    }

    /// What to do about it, from the catalogue.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        self.0.failure.code().spec().remedy
    }

    /// The operation that failed.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.0.failure.operation()
    }

    /// The facts, by name.
    #[must_use]
    pub const fn context(&self) -> &BTreeMap<&'static str, String> {
        self.0.failure.facts()
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.failure.fmt(f)
    }
}

impl fmt::Debug for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineError")
            .field("kind", &self.0.kind)
            .field("failure", &self.0.failure)
            .finish()
    }
}

impl StdError for EngineError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.failure.source()
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        use postroom_store::ErrorKind as From;
        let kind = match error.kind() {
            From::NotFound => ErrorKind::NotFound,
            From::AlreadyExists => ErrorKind::AlreadyExists,
            From::Conflict | From::LeaseLost => ErrorKind::Conflict,
            From::InvalidInput | From::Rejected => ErrorKind::InvalidInput,
            From::Unavailable => ErrorKind::Unavailable,
            From::Corrupt => ErrorKind::Corrupt,
            From::TooNew => ErrorKind::TooNew,
            From::Locked => ErrorKind::Locked,
            From::Key => ErrorKind::Key,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, error.code(), error.operation())
            .with_facts(error.context())
            .with_source(error)
    }
}

impl From<ProviderError> for EngineError {
    fn from(error: ProviderError) -> Self {
        let kind = match error.kind() {
            postroom_provider::ErrorKind::Cancelled => ErrorKind::Cancelled,
            _ => ErrorKind::Provider,
        };
        Self::new(kind, error.code(), error.operation())
            .with_facts(error.context())
            .with_source(error)
    }
}
