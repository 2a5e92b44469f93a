//! What failed, whether to try again, and how far it reaches.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use postroom_core::failure::Failure;
use postroom_core::{Code, Scope};

/// The result of a provider operation.
pub type Result<T, E = ProviderError> = std::result::Result<T, E>;

/// What kind of failure it is: callers branch on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server does not accept the credentials.
    Unauthenticated,
    /// The server knows who asks, and refuses.
    PermissionDenied,
    /// There is no such mailbox, folder or message.
    NotFound,
    /// It exists already.
    AlreadyExists,
    /// It was changed meanwhile.
    Conflict,
    /// The server does not know the cursor any more.
    CursorInvalid,
    /// The provider does not offer this; no byte was sent.
    Unsupported,
    /// The caller's values cannot be used.
    InvalidInput,
    /// The profile or mailbox is configured wrongly.
    ConfigInvalid,
    /// The server asks to slow down.
    RateLimited,
    /// A quota is used up.
    QuotaExceeded,
    /// A message is larger than allowed.
    TooLarge,
    /// The server cannot be reached, or says that it cannot serve now.
    Unavailable,
    /// The deadline passed.
    Timeout,
    /// The server's certificate is not trusted, or TLS failed.
    Untrusted,
    /// The answer breaks the protocol.
    Protocol,
    /// The item itself is damaged or cannot be converted.
    Corrupt,
    /// The operation was cancelled.
    Cancelled,
    /// A defect of the provider.
    Internal,
}

/// Whether to try again. Set by the adapter, the one place that read the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the engine must weigh every answer"
)]
pub enum Retry {
    /// The same request will fail again.
    Never,
    /// Trying again may succeed, not before this long (the server's own word), where it gave one.
    After(Option<Duration>),
    /// It may have happened: find out before anything is repeated.
    OutcomeUnknown,
    /// It was tried as often as is sensible.
    Exhausted,
}

/// A failed provider operation.
///
/// `Display` is one line: the operation, the catalogue's summary and the context. It never holds a
/// secret, a subject, a body or a person's address; server text is kept under `server_said`,
/// bounded. The cause is in [`source`](StdError::source), not in the text.
pub struct ProviderError(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    retry: Retry,
    scope: Scope,
    failure: Failure,
}

impl ProviderError {
    /// A failure of `operation` (such as `mail.changes`), by its code in the catalogue.
    ///
    /// Retry and scope start out as the catalogue has them for the code: transient codes may be
    /// tried again, others not.
    #[must_use]
    pub fn new(kind: ErrorKind, code: Code, operation: &'static str) -> Self {
        let spec = code.spec();
        let retry = match spec.class {
            postroom_core::Class::Transient => Retry::After(None),
            postroom_core::Class::Event
            | postroom_core::Class::Permanent
            | postroom_core::Class::Item => Retry::Never,
        };
        Self(Box::new(Inner {
            kind,
            retry,
            scope: spec.scope,
            failure: Failure::new(code, operation),
        }))
    }

    /// The option is not among the capabilities; no byte was sent.
    #[must_use]
    pub fn unsupported(operation: &'static str, option: &'static str) -> Self {
        Self::new(ErrorKind::Unsupported, Code::Unsupported, operation).with("option", option)
    }

    /// The operation was cancelled.
    #[must_use]
    pub fn cancelled(operation: &'static str) -> Self {
        Self::new(ErrorKind::Cancelled, Code::Cancelled, operation)
    }

    /// Sets whether to try again.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Sets how far it reaches.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.0.scope = scope;
        self
    }

    /// Adds a fact; the value is cut at [`FACT_CHARS_MAX`](postroom_core::failure::FACT_CHARS_MAX) and control characters are replaced.
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

    /// Whether to try again.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        self.0.retry
    }

    /// How far it reaches.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        self.0.scope
    }

    /// The operation that failed, such as `mail.changes`.
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

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.failure.fmt(f)
    }
}

impl fmt::Debug for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderError")
            .field("kind", &self.0.kind)
            .field("retry", &self.0.retry)
            .field("scope", &self.0.scope)
            .field("failure", &self.0.failure)
            .finish()
    }
}

impl StdError for ProviderError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.failure.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_bounded_line() {
        let error =
            ProviderError::new(ErrorKind::Protocol, Code::ProtocolViolation, "mail.changes")
                .with("server_said", format!("a\r\nb{}", "x".repeat(10_000)));
        let text = error.to_string();
        assert!(
            text.len() < 700 && !text.contains('\n') && !text.contains('\r'),
            "{text}"
        );
        assert_eq!(error.retry(), Retry::After(None));
        assert_eq!(
            ProviderError::unsupported("mail.move", "move").retry(),
            Retry::Never
        );
    }
}
