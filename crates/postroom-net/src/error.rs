//! Why there is no answer.

use std::error::Error as StdError;
use std::fmt;

use postroom_core::{Code, Scope};
use postroom_provider::{ErrorKind, ProviderError, Retry};

/// What kept an answer from coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NetFailure {
    /// The name does not resolve.
    NameNotResolved,
    /// Nobody listens there.
    ConnectionRefused,
    /// No answer in time.
    TimedOut,
    /// The connection broke.
    Lost,
    /// The certificate is not trusted.
    CertificateUntrusted,
    /// The certificate is out of date, or not valid yet.
    CertificateExpired,
    /// The certificate is for another name.
    CertificateWrongName,
    /// TLS failed otherwise.
    TlsFailed,
    /// The port speaks TLS, and was spoken to in clear text.
    TlsExpected,
    /// The location begins with `http` and that is not allowed.
    InsecureRefused,
    /// The location or the settings cannot be used.
    Misconfigured,
    /// What was sent back is no HTTP.
    NotHttp,
    /// What was to be sent cannot be read on this machine.
    Local,
    /// A line is longer than the protocol can have it.
    LineTooLong,
    /// Clear text came where TLS was agreed upon: somebody between speaks for the server.
    PlaintextInjected,
}

impl NetFailure {
    /// The kind, and the condition in the catalogue.
    #[must_use]
    pub const fn classify(self) -> (ErrorKind, Code) {
        match self {
            Self::NameNotResolved => (ErrorKind::Unavailable, Code::NameNotResolved),
            Self::ConnectionRefused => (ErrorKind::Unavailable, Code::ConnectionRefused),
            Self::TimedOut => (ErrorKind::Timeout, Code::ConnectionTimedOut),
            Self::Lost => (ErrorKind::Unavailable, Code::ConnectionLost),
            Self::CertificateUntrusted => (ErrorKind::Untrusted, Code::CertificateUntrusted),
            Self::CertificateExpired => (ErrorKind::Untrusted, Code::CertificateExpired),
            Self::CertificateWrongName => (ErrorKind::Untrusted, Code::CertificateWrongName),
            Self::TlsFailed => (ErrorKind::Untrusted, Code::TlsFailed),
            Self::TlsExpected => (ErrorKind::ConfigInvalid, Code::TlsExpected),
            Self::InsecureRefused => (ErrorKind::ConfigInvalid, Code::InsecureConnectionRefused),
            Self::Misconfigured => (ErrorKind::ConfigInvalid, Code::ConfigurationInvalid),
            Self::NotHttp => (ErrorKind::ConfigInvalid, Code::NotAMailServer),
            Self::Local => (ErrorKind::Internal, Code::Internal),
            Self::LineTooLong => (ErrorKind::Protocol, Code::ProtocolViolation),
            Self::PlaintextInjected => (ErrorKind::Untrusted, Code::TlsFailed),
        }
    }
}

/// Why there is no answer.
pub struct NetError {
    failure: NetFailure,
    may_have_arrived: bool,
    detail: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl NetError {
    /// A failure; `may_have_arrived` where the server may have got the request.
    #[must_use]
    pub const fn new(failure: NetFailure, may_have_arrived: bool) -> Self {
        Self {
            failure,
            may_have_arrived,
            detail: None,
            source: None,
        }
    }

    /// Adds a fact for people, without secrets.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What happened.
    #[must_use]
    pub const fn failure(&self) -> NetFailure {
        self.failure
    }

    /// Whether the server may have got the request: an effect may have happened.
    #[must_use]
    pub const fn may_have_arrived(&self) -> bool {
        self.may_have_arrived
    }

    /// The innermost cause in words, for evidence.
    #[must_use]
    pub fn cause(&self) -> String {
        let mut cause: Option<&(dyn StdError + 'static)> =
            self.source.as_deref().map(|source| source as _);
        let mut text = self.detail.clone().unwrap_or_default();
        while let Some(error) = cause {
            text = error.to_string();
            cause = error.source();
        }
        if text.is_empty() {
            self.to_string()
        } else {
            text
        }
    }

    /// The error of a provider operation. Whether an effect is in doubt is for the caller to weigh,
    /// operation by operation; here it is an ordinary failure.
    #[must_use]
    pub fn into_provider(self, operation: &'static str) -> ProviderError {
        let (kind, code) = self.failure.classify();
        let mut error = ProviderError::new(kind, code, operation);
        if self.failure == NetFailure::Lost {
            // The catalogue has it transient; stated here because recovery rests on it.
            error = error.with_retry(Retry::After(None));
        }
        if self.failure == NetFailure::Local {
            error = error.with_scope(Scope::Item);
        }
        if let Some(detail) = &self.detail {
            error = error.with("detail", detail);
        }
        error.with_source(self)
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.failure {
            NetFailure::NameNotResolved => "the name does not resolve",
            NetFailure::ConnectionRefused => "the connection is refused",
            NetFailure::TimedOut => "there was no answer in time",
            NetFailure::Lost => "the connection broke",
            NetFailure::CertificateUntrusted => "the certificate is not trusted",
            NetFailure::CertificateExpired => "the certificate is not valid today",
            NetFailure::CertificateWrongName => "the certificate is for another name",
            NetFailure::TlsFailed => "no TLS connection could be made",
            NetFailure::TlsExpected => "the port speaks TLS only",
            NetFailure::InsecureRefused => "plain http is not allowed",
            NetFailure::Misconfigured => "the location cannot be used",
            NetFailure::NotHttp => "the answer is no HTTP",
            NetFailure::Local => "what was to be sent cannot be read",
            NetFailure::LineTooLong => "a line of the answer is too long",
            NetFailure::PlaintextInjected => "clear text came where TLS was agreed upon",
        })
    }
}

impl fmt::Debug for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetError")
            .field("failure", &self.failure)
            .field("may_have_arrived", &self.may_have_arrived)
            .field("detail", &self.detail)
            .field("source", &self.source)
            .finish()
    }
}

impl StdError for NetError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
