//! What goes wrong inside, and how it is told.

use std::io;

use postroom_core::Code;
use postroom_store::{ErrorKind, StoreError};
use rusqlite::ErrorCode;

/// A failure inside the crate; becomes a [`StoreError`] at the border.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("a statement failed")]
    Sql {
        /// The beginning of the statement; statements hold no values.
        statement: String,
        source: rusqlite::Error,
    },
    #[error("{table}.{column} holds a value that cannot be read")]
    Corrupt { table: &'static str, column: String },
    #[error("a segment file cannot be used")]
    Segment(#[source] io::Error),
    #[error("no randomness is available")]
    Entropy(#[source] getrandom::Error),
    #[error("a value cannot be encoded")]
    Encode(#[source] serde_json::Error),
    #[error("refused")]
    Refused {
        kind: ErrorKind,
        code: Code,
        context: Vec<(&'static str, String)>,
    },
}

pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn sql(statement: &str, source: rusqlite::Error) -> Self {
        let statement = statement.split_whitespace().collect::<Vec<_>>().join(" ");
        Self::Sql {
            statement: statement.chars().take(80).collect(),
            source,
        }
    }

    pub(crate) const fn refused(kind: ErrorKind, code: Code) -> Self {
        Self::Refused {
            kind,
            code,
            context: Vec::new(),
        }
    }

    pub(crate) fn not_found(what: &'static str) -> Self {
        Self::refused(ErrorKind::NotFound, Code::NotFound).with("what", what)
    }

    pub(crate) fn exists(what: &'static str) -> Self {
        Self::refused(ErrorKind::AlreadyExists, Code::AlreadyExists).with("what", what)
    }

    pub(crate) fn conflict(what: impl Into<String>) -> Self {
        Self::refused(ErrorKind::Conflict, Code::InvalidInput).with("what", what)
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::refused(ErrorKind::InvalidInput, Code::InvalidInput).with("what", what)
    }

    pub(crate) const fn lease_lost() -> Self {
        Self::refused(ErrorKind::LeaseLost, Code::LeaseLost)
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Refused { context, .. } = &mut self {
            context.push((name, value.into()));
        }
        self
    }

    /// Whether what was asked for is refused, rather than that something failed.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// Whether a unique index or primary key refused the row.
    pub(crate) fn is_duplicate(&self) -> bool {
        matches!(
            self,
            Self::Sql {
                source: rusqlite::Error::SqliteFailure(error, _),
                ..
            } if matches!(
                error.extended_code,
                rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            )
        )
    }

    /// The failure of `operation`, for callers.
    pub(crate) fn told(self, operation: &'static str) -> StoreError {
        match self {
            Self::Sql { statement, source } => {
                let (kind, code) = classify(&source);
                StoreError::new(kind, code, operation)
                    .with("statement", statement)
                    .with_source(source)
            }
            Self::Corrupt { table, column } => {
                StoreError::new(ErrorKind::Corrupt, Code::StoreCorrupt, operation)
                    .with("table", table)
                    .with("column", column)
            }
            Self::Segment(source) => {
                let (kind, code) = if source.kind() == io::ErrorKind::InvalidData {
                    (ErrorKind::Corrupt, Code::StoreCorrupt)
                } else {
                    (ErrorKind::Unavailable, Code::StoreUnavailable)
                };
                StoreError::new(kind, code, operation).with_source(source)
            }
            Self::Entropy(source) => {
                StoreError::new(ErrorKind::Unavailable, Code::StoreUnavailable, operation)
                    .with("what", "randomness")
                    .with_source(source)
            }
            Self::Encode(source) => {
                StoreError::new(ErrorKind::Internal, Code::Internal, operation).with_source(source)
            }
            Self::Refused {
                kind,
                code,
                context,
            } => context.into_iter().fold(
                StoreError::new(kind, code, operation),
                |error, (name, value)| error.with(name, value),
            ),
        }
    }
}

/// What a failure of SQLite means for the caller.
fn classify(error: &rusqlite::Error) -> (ErrorKind, Code) {
    const UNAVAILABLE: (ErrorKind, Code) = (ErrorKind::Unavailable, Code::StoreUnavailable);
    const CORRUPT: (ErrorKind, Code) = (ErrorKind::Corrupt, Code::StoreCorrupt);
    const INTERNAL: (ErrorKind, Code) = (ErrorKind::Internal, Code::Internal);
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed => UNAVAILABLE,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => CORRUPT,
            ErrorCode::ConstraintViolation
                if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY =>
            {
                (ErrorKind::NotFound, Code::NotFound)
            }
            // A statement that was prepared before finds its table or column gone.
            ErrorCode::Unknown if failure.extended_code == rusqlite::ffi::SQLITE_ERROR => CORRUPT,
            ErrorCode::TooBig => (ErrorKind::InvalidInput, Code::InvalidInput),
            _ => INTERNAL,
        },
        // A table or column that ought to be there is not: somebody else's hand.
        rusqlite::Error::SqlInputError { .. }
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::InvalidColumnType(..) => CORRUPT,
        _ => INTERNAL,
    }
}
