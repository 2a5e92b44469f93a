//! What the server's refusals mean. Sources: RFC 5321 section 4.2, RFC 3463, RFC 4954 section 6, and what servers say.

use postroom_core::{Code, Scope};
use postroom_provider::{ErrorKind, ProviderError, Retry};

use crate::config::SmtpConfig;
use crate::proto::reply::Reply;
use crate::proto::sasl::SaslError;
use crate::session::{SessionError, Step};

/// Words by which servers say that there is too much at once.
const TOO_MUCH: [&str; 8] = [
    "too many",
    "rate limit",
    "rate-limit",
    "throttl",
    "quota exceeded",
    "sending limit",
    "limit exceeded",
    "too fast",
];

/// What kind of failure, the condition, and for whom it may pass.
struct Meaning {
    kind: ErrorKind,
    code: Code,
    scope: Option<Scope>,
    retry: Option<Retry>,
}

const fn meaning(kind: ErrorKind, code: Code) -> Meaning {
    Meaning {
        kind,
        code,
        scope: None,
        retry: None,
    }
}

impl Meaning {
    /// Only this message is concerned.
    const fn of_item(mut self) -> Self {
        self.scope = Some(Scope::Item);
        self
    }

    /// It passes.
    const fn passing(mut self) -> Self {
        self.retry = Some(Retry::After(None));
        self
    }
}

/// The error of an operation that a session could not carry out.
pub(crate) fn failed(
    operation: &'static str,
    error: SessionError,
    config: &SmtpConfig,
) -> ProviderError {
    let new = |kind, code| ProviderError::new(kind, code, operation);
    let item = |kind, code| new(kind, code).with_scope(Scope::Item);
    match error {
        SessionError::Net(error) => error.into_provider(operation),
        SessionError::Refused { step, reply } => refused(operation, step, &reply, config),
        SessionError::NotSmtp(what) => {
            new(ErrorKind::ConfigInvalid, Code::NotAMailServer).with("problem", what)
        }
        SessionError::TlsNotOffered => {
            new(ErrorKind::Untrusted, Code::TlsFailed).with("problem", error)
        }
        SessionError::NoSignIn | SessionError::Sasl(SaslError::NoMethod) => {
            new(ErrorKind::ConfigInvalid, Code::ConfigurationInvalid)
                .with("field", "outgoing.authentication")
                .with("command", Step::SignIn.name())
                .with("problem", error)
        }
        SessionError::Sasl(SaslError::CannotBeSaid) => {
            new(ErrorKind::ConfigInvalid, Code::ConfigurationInvalid)
                .with_scope(config.credentials_scope)
                .with("field", "outgoing.password")
                .with("command", Step::SignIn.name())
                .with("problem", error)
        }
        SessionError::Odd(problem) => {
            new(ErrorKind::Protocol, Code::ProtocolViolation).with("problem", problem)
        }
        SessionError::Local(source) => {
            item(ErrorKind::Internal, Code::Internal).with_source(source)
        }
        SessionError::TooLarge { max } => item(ErrorKind::TooLarge, Code::TooLarge)
            .with("limit_bytes", max)
            .with_retry(Retry::Never),
        SessionError::Utf8NotOffered | SessionError::EightBitNotOffered => {
            item(ErrorKind::InvalidInput, Code::RequestRefused)
                .with("problem", error)
                .with_retry(Retry::Never)
        }
        SessionError::NoRecipients => item(ErrorKind::InvalidInput, Code::RecipientsRefused)
            .with("problem", error)
            .with_retry(Retry::Never),
    }
}

fn refused(
    operation: &'static str,
    step: Step,
    reply: &Reply,
    config: &SmtpConfig,
) -> ProviderError {
    let Meaning {
        kind,
        code,
        scope,
        retry,
    } = weigh(step, reply, config);
    let mut error = ProviderError::new(kind, code, operation)
        .with("command", step.name())
        .with("server_said", reply.said(config.user()));
    if let Some(scope) = scope {
        error = error.with_scope(scope);
    }
    if let Some(retry) = retry {
        error = error.with_retry(retry);
    }
    error
}

fn weigh(step: Step, reply: &Reply, config: &SmtpConfig) -> Meaning {
    let code = reply.code();
    let enhanced = reply.enhanced().map(|code| (code.subject, code.detail));
    let too_much = reply.says(&TOO_MUCH);
    if code == 421 {
        return if too_much || matches!(enhanced, Some((7, _))) {
            meaning(ErrorKind::RateLimited, Code::ServerBusy)
        } else {
            meaning(ErrorKind::Unavailable, Code::ServerUnavailable)
        };
    }
    match step {
        Step::Greeting if reply.is_transient() => {
            meaning(ErrorKind::Unavailable, Code::ServerUnavailable)
        }
        Step::Greeting | Step::Hello if reply.is_negative() && !reply.is_transient() => {
            meaning(ErrorKind::PermissionDenied, Code::ServerUnavailable)
        }
        Step::Greeting | Step::Hello if reply.is_negative() => {
            meaning(ErrorKind::Unavailable, Code::ServerUnavailable)
        }
        Step::Greeting | Step::Hello => meaning(ErrorKind::Protocol, Code::ProtocolViolation),
        Step::StartTls if reply.is_transient() => {
            meaning(ErrorKind::Unavailable, Code::ServerUnavailable)
        }
        Step::StartTls => meaning(ErrorKind::Untrusted, Code::TlsFailed),
        Step::SignIn => sign_in(reply, enhanced, config),
        Step::Sender => sender(reply, enhanced, too_much),
        Step::Recipients => recipients(reply, enhanced, too_much),
        Step::Content => content(reply, enhanced, too_much),
    }
}

fn sign_in(reply: &Reply, enhanced: Option<(u16, u16)>, config: &SmtpConfig) -> Meaning {
    let mailbox = |mut meaning: Meaning| {
        meaning.scope = Some(Scope::Mailbox);
        meaning
    };
    match (reply.code(), enhanced) {
        // The password has to be entered anew elsewhere first (RFC 4954 section 6).
        (432, _) => credentials(config),
        _ if reply.is_transient() => mailbox(meaning(ErrorKind::Unavailable, Code::ServerFault)),
        (538, _) | (_, Some((7, 11))) => meaning(ErrorKind::Untrusted, Code::TlsFailed),
        (500..=504, _) => meaning(ErrorKind::ConfigInvalid, Code::ConfigurationInvalid),
        (_, Some((7, 13))) => mailbox(meaning(
            ErrorKind::PermissionDenied,
            Code::AccountUnavailable,
        )),
        _ if reply.is_negative() => credentials(config),
        _ => meaning(ErrorKind::Protocol, Code::ProtocolViolation),
    }
}

fn credentials(config: &SmtpConfig) -> Meaning {
    let mut meaning = meaning(ErrorKind::Unauthenticated, Code::CredentialsRejected);
    meaning.scope = Some(config.credentials_scope);
    meaning
}

/// What concerns every message of the mailbox, at whatever command it is said.
fn general(reply: &Reply, enhanced: Option<(u16, u16)>, too_much: bool) -> Option<Meaning> {
    Some(match (reply.code(), enhanced) {
        (530, _) => meaning(ErrorKind::Unauthenticated, Code::NoCredentials),
        (_, Some((3, 4))) => meaning(ErrorKind::TooLarge, Code::TooLarge).of_item(),
        // Gmail's number for a day's limit, and Exchange's words for a minute's.
        (_, Some((4, 5))) => meaning(ErrorKind::RateLimited, Code::SendingLimitReached).passing(),
        (400..=499, _) if too_much => {
            meaning(ErrorKind::RateLimited, Code::SendingLimitReached).passing()
        }
        (452, Some((3, 1)) | None) | (400..=499, Some((3 | 4, _))) => {
            meaning(ErrorKind::Unavailable, Code::ServerFault).passing()
        }
        _ => return None,
    })
}

fn sender(reply: &Reply, enhanced: Option<(u16, u16)>, too_much: bool) -> Meaning {
    if let Some(general) = general(reply, enhanced, too_much) {
        return general;
    }
    match (reply.code(), enhanced) {
        (_, Some((2, 2))) => meaning(ErrorKind::QuotaExceeded, Code::QuotaExceeded),
        _ if reply.is_transient() => meaning(ErrorKind::Unavailable, Code::RequestRefused)
            .of_item()
            .passing(),
        (552, _) => meaning(ErrorKind::TooLarge, Code::TooLarge).of_item(),
        (555, _) | (500..=504, _) => {
            meaning(ErrorKind::InvalidInput, Code::RequestRefused).of_item()
        }
        (_, Some((6, _))) => meaning(ErrorKind::InvalidInput, Code::RequestRefused).of_item(),
        _ if too_much => meaning(ErrorKind::RateLimited, Code::SendingLimitReached).passing(),
        _ => meaning(ErrorKind::PermissionDenied, Code::SendAsDenied).of_item(),
    }
}

/// Where nobody was taken, or somebody not yet.
fn recipients(reply: &Reply, enhanced: Option<(u16, u16)>, too_much: bool) -> Meaning {
    if let Some(general) = general(reply, enhanced, too_much) {
        return general;
    }
    if reply.is_transient() {
        // Greylisting, mostly: the same message may pass in a few minutes.
        return meaning(ErrorKind::Unavailable, Code::RecipientsRefused)
            .of_item()
            .passing();
    }
    meaning(ErrorKind::InvalidInput, Code::RecipientsRefused).of_item()
}

fn content(reply: &Reply, enhanced: Option<(u16, u16)>, too_much: bool) -> Meaning {
    if let Some(general) = general(reply, enhanced, too_much) {
        return general;
    }
    if reply.is_transient() {
        return meaning(ErrorKind::Unavailable, Code::RequestRefused)
            .of_item()
            .passing();
    }
    match (reply.code(), enhanced) {
        (552, None | Some((2, 3))) => meaning(ErrorKind::TooLarge, Code::TooLarge).of_item(),
        (_, Some((1 | 2, _))) => {
            meaning(ErrorKind::InvalidInput, Code::RecipientsRefused).of_item()
        }
        (_, Some((6, _))) => meaning(ErrorKind::Corrupt, Code::RequestRefused).of_item(),
        _ => meaning(ErrorKind::PermissionDenied, Code::RequestRefused).of_item(),
    }
}

#[cfg(test)]
mod tests;
