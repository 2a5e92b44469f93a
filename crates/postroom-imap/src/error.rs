//! What the server's refusals mean. Source: RFC 5530, and what servers say.

use postroom_core::{Code, Scope};
use postroom_provider::{ErrorKind, ProviderError};

use crate::config::ImapConfig;
use crate::proto::response::Word;
use crate::session::{SessionError, SignInError, SignInFailure};

/// Words by which servers without response codes say that it will pass.
const PASSING: [&str; 6] = [
    "try again",
    "try later",
    "temporar",
    "too many",
    "unavailable",
    "internal error",
];

/// Why a folder that is there cannot be opened, where the server does not say.
const WITHOUT: &str = "none";

/// Whether it may be about the session, which was kept, rather than about the mailbox: Dovecot says no to a
/// session that saw the folder before its UIDVALIDITY changed, others say goodbye.
pub(crate) fn about_session(error: &ProviderError) -> bool {
    let says = |name, value| error.context().get(name).is_some_and(|said| said == value);
    says("command", "BYE") || says("reason", WITHOUT)
}

/// The error of an operation that a session could not carry out.
pub(crate) fn failed(
    operation: &'static str,
    error: SessionError,
    config: &ImapConfig,
) -> ProviderError {
    match error {
        SessionError::Net(error) => error.into_provider(operation),
        SessionError::SignIn(failure) => sign_in_failed(operation, &failure, config),
        SessionError::Refused { what, word, bad } => {
            let error = if bad {
                ProviderError::new(ErrorKind::Protocol, Code::ProtocolViolation, operation)
            } else {
                refused(operation, &word, config)
            };
            error.with("command", what)
        }
        SessionError::Bye(word) => refused(operation, &word, config).with("command", "BYE"),
        error @ (SessionError::Odd(_) | SessionError::Announced { .. }) => {
            ProviderError::new(ErrorKind::Protocol, Code::ProtocolViolation, operation)
                .with("problem", error)
        }
    }
}

/// The error of a command, or of the whole session, that the server refuses.
pub(crate) fn refused(operation: &'static str, word: &Word, config: &ImapConfig) -> ProviderError {
    coded(operation, word, config)
        .unwrap_or_else(|| ProviderError::new(ErrorKind::Unavailable, Code::ServerFault, operation))
        .with("server_said", said(word, config))
}

/// The error of a mailbox that cannot be opened.
pub(crate) fn folder_refused(
    operation: &'static str,
    word: &Word,
    config: &ImapConfig,
    exists: bool,
) -> ProviderError {
    let coded = match word.code_name() {
        // Servers that have no other code for it.
        Some("CANNOT") if !exists => None,
        _ => coded(operation, word, config),
    };
    let error = coded.unwrap_or_else(|| {
        if exists {
            ProviderError::new(ErrorKind::Unavailable, Code::ServerFault, operation)
                .with("reason", WITHOUT)
        } else {
            ProviderError::new(ErrorKind::NotFound, Code::FolderNotFound, operation)
        }
    });
    error.with("server_said", said(word, config))
}

/// The error of one message that the server refuses to give, to move or to delete.
pub(crate) fn item_refused(
    operation: &'static str,
    word: &Word,
    config: &ImapConfig,
    (kind, code): (ErrorKind, Code),
) -> ProviderError {
    let error = match word.code_name() {
        Some("UNAVAILABLE" | "INUSE" | "LIMIT" | "OVERQUOTA" | "NOPERM" | "EXPIRED") => {
            coded(operation, word, config)
        }
        _ => None,
    };
    error
        .unwrap_or_else(|| ProviderError::new(kind, code, operation))
        .with_scope(Scope::Item)
        .with("server_said", said(word, config))
}

fn sign_in_failed(
    operation: &'static str,
    failure: &SignInFailure,
    config: &ImapConfig,
) -> ProviderError {
    let SignInFailure {
        error,
        about_credentials,
    } = failure;
    let new = |kind, code| ProviderError::new(kind, code, operation);
    let weighed = match error {
        SignInError::NotImap(_) => new(ErrorKind::ConfigInvalid, Code::NotAMailServer),
        SignInError::TlsAtOnce | SignInError::TlsNotOffered => {
            new(ErrorKind::Untrusted, Code::TlsFailed)
        }
        SignInError::NoMethod(_) => new(ErrorKind::ConfigInvalid, Code::ConfigurationInvalid)
            .with("field", "incoming.authentication"),
        SignInError::CannotBeSaid => new(ErrorKind::ConfigInvalid, Code::ConfigurationInvalid)
            .with("field", "incoming.password")
            .with_scope(config.credentials_scope),
        SignInError::Refused(word) => {
            let text = word.text.to_lowercase();
            let passing = PASSING.iter().any(|words| text.contains(words));
            let error = match coded(operation, word, config) {
                Some(error) => error,
                None if passing || !about_credentials => {
                    new(ErrorKind::Unavailable, Code::ServerFault).with_scope(Scope::Mailbox)
                }
                None => rejected(operation, config),
            };
            return error.with("server_said", said(word, config));
        }
    };
    weighed.with("problem", error)
}

fn rejected(operation: &'static str, config: &ImapConfig) -> ProviderError {
    ProviderError::new(
        ErrorKind::Unauthenticated,
        Code::CredentialsRejected,
        operation,
    )
    .with_scope(config.credentials_scope)
}

/// What a response code says by itself.
fn coded(operation: &'static str, word: &Word, config: &ImapConfig) -> Option<ProviderError> {
    let new = |kind, code| {
        let error = ProviderError::new(kind, code, operation);
        Some(error.with_scope(Scope::Mailbox))
    };
    match word.code_name()? {
        "UNAVAILABLE" | "SERVERBUG" => new(ErrorKind::Unavailable, Code::ServerFault),
        "INUSE" => new(ErrorKind::Unavailable, Code::MailboxInUse),
        "LIMIT" | "THROTTLED" => new(ErrorKind::RateLimited, Code::ServerBusy),
        "OVERQUOTA" => new(ErrorKind::QuotaExceeded, Code::QuotaExceeded),
        "NOPERM" => new(ErrorKind::PermissionDenied, Code::AccessDenied),
        "NONEXISTENT" | "TRYCREATE" => new(ErrorKind::NotFound, Code::FolderNotFound),
        "ALREADYEXISTS" => new(ErrorKind::AlreadyExists, Code::AlreadyExists),
        "CONTACTADMIN" => new(ErrorKind::PermissionDenied, Code::AccountUnavailable),
        "AUTHENTICATIONFAILED" | "AUTHORIZATIONFAILED" | "EXPIRED" => {
            Some(rejected(operation, config))
        }
        "PRIVACYREQUIRED" => new(ErrorKind::Untrusted, Code::InsecureConnectionRefused),
        "CORRUPTION" => new(ErrorKind::Unavailable, Code::ServerFault),
        _ => None,
    }
}

/// The server's words without what names a person.
fn said(word: &Word, config: &ImapConfig) -> String {
    let user = config.account.user.to_lowercase();
    let words = word.text.split_whitespace().map(|word| {
        let named = word.contains('@') || (user.len() > 2 && word.to_lowercase().contains(&user));
        if named { "..." } else { word }
    });
    let text = words.collect::<Vec<_>>().join(" ");
    match word.code_name() {
        Some(code) => format!("[{code}] {text}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;
    use crate::proto::response::{self, Response};
    use postroom_provider::Retry;

    fn word(text: &str) -> Word {
        match response::read(format!("p1 NO {text}").as_bytes(), false) {
            Response::Done(_, _, word) => word,
            other => panic!("{other:?}"),
        }
    }

    fn weighed(text: &str, about_credentials: bool) -> ProviderError {
        let error = SignInError::Refused(word(text));
        let failure = SignInFailure {
            error,
            about_credentials,
        };
        let error = SessionError::SignIn(Box::new(failure));
        failed("mail.changes", error, &config(|_| {}).unwrap())
    }

    #[test]
    fn refusals_of_a_sign_in() {
        use Code::{
            AccountUnavailable, CredentialsRejected, MailboxInUse, ServerBusy, ServerFault,
        };
        for (text, kind, code, scope, again) in [
            (
                "[AUTHENTICATIONFAILED] no",
                ErrorKind::Unauthenticated,
                CredentialsRejected,
                Scope::Profile,
                false,
            ),
            (
                "LOGIN failed",
                ErrorKind::Unauthenticated,
                CredentialsRejected,
                Scope::Profile,
                false,
            ),
            (
                "[UNAVAILABLE] directory is down",
                ErrorKind::Unavailable,
                ServerFault,
                Scope::Mailbox,
                true,
            ),
            (
                "[INUSE] repair is running",
                ErrorKind::Unavailable,
                MailboxInUse,
                Scope::Mailbox,
                true,
            ),
            (
                "[LIMIT] slow down",
                ErrorKind::RateLimited,
                ServerBusy,
                Scope::Mailbox,
                true,
            ),
            (
                "Too many simultaneous connections",
                ErrorKind::Unavailable,
                ServerFault,
                Scope::Mailbox,
                true,
            ),
            (
                "[CONTACTADMIN] suspended",
                ErrorKind::PermissionDenied,
                AccountUnavailable,
                Scope::Mailbox,
                false,
            ),
        ] {
            let error = weighed(text, true);
            assert_eq!(
                (error.kind(), error.code(), error.scope()),
                (kind, code, scope),
                "{text}"
            );
            assert_eq!(matches!(error.retry(), Retry::After(_)), again, "{text}");
        }
        assert_eq!(weighed("go away", false).kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn nobody_is_named() {
        let text = "[AUTHENTICATIONFAILED] <Ada@example.org>: ada@example.org locked out";
        let error = weighed(text, true);
        let text = format!("{error} {error:?}");
        assert!(!text.to_lowercase().contains("ada@"), "{text}");
        assert!(text.contains("locked out"), "{text}");
    }
}
