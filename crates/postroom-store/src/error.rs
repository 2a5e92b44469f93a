//! What can go wrong in a store.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;

use postroom_core::Code;
use postroom_core::failure::Failure;

/// The result of a store operation.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What kind of failure it is: callers branch on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such thing.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// It was changed meanwhile (an old revision, another state), or is in use.
    Conflict,
    /// The lease of this write is no longer the current one; nothing was written.
    LeaseLost,
    /// The values cannot be stored.
    InvalidInput,
    /// The medium cannot be used now: busy, full, read-only, failing. Trying again may succeed.
    Unavailable,
    /// The store is damaged, or is none.
    Corrupt,
    /// A newer version wrote it.
    TooNew,
    /// Another engine holds it.
    Locked,
    /// The key is missing or is not the one that sealed the secrets.
    Key,
    /// The application refuses this record; another attempt will fail the same way.
    Rejected,
    /// A defect of the store.
    Internal,
}

/// A failed store operation.
///
/// `Display` is one line without secrets, subjects, bodies or addresses.
pub struct StoreError(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    failure: Failure,
}

impl StoreError {
    /// A failure of `operation`, such as `ledger.settle`.
    #[must_use]
    pub fn new(kind: ErrorKind, code: Code, operation: &'static str) -> Self {
        Self(Box::new(Inner {
            kind,
            failure: Failure::new(code, operation),
        }))
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(operation: &'static str, what: &'static str) -> Self {
        Self::new(ErrorKind::NotFound, Code::NotFound, operation).with("what", what)
    }

    /// The lease is no longer the current one.
    #[must_use]
    pub fn lease_lost(operation: &'static str) -> Self {
        Self::new(ErrorKind::LeaseLost, Code::LeaseLost, operation)
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.0.failure.add(name, value);
        self
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

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.failure.fmt(f)
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("kind", &self.0.kind)
            .field("failure", &self.0.failure)
            .finish()
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.failure.source()
    }
}
