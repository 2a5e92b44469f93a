//! What the server's refusals mean. Source: RFC 2449 section 8, RFC 3206, and what servers say.

use postroom_core::{Code, Scope};
use postroom_provider::{ErrorKind, ProviderError, Retry};

use crate::config::Pop3Config;
use crate::proto::reply::{Refusal, ResponseCode};
use crate::proto::sign_in::SignInError;
use crate::session::{SessionError, SignInFailure};

/// Words by which servers without response codes say that another session has the mailbox.
const LOCKED: [&str; 4] = ["lock", "in use", "in-use", "busy"];
/// Words by which they say that it will pass.
const PASSING: [&str; 4] = ["try again", "try later", "temporar", "too many"];

/// The error of an operation that a session could not carry out.
pub(crate) fn failed(
    operation: &'static str,
    error: SessionError,
    config: &Pop3Config,
) -> ProviderError {
    match error {
        SessionError::Net(error) => error.into_provider(operation),
        SessionError::SignIn(failure) => sign_in_failed(operation, *failure, config),
        SessionError::Refused { what, refusal } => {
            let error = match refusal.code {
                Some(code) => by_code(operation, code, config, None),
                None => ProviderError::new(ErrorKind::Unavailable, Code::ServerFault, operation),
            };
            let error = error.with("command", what);
            error.with("server_said", said(&refusal, config))
        }
        error @ SessionError::Odd(_) => {
            ProviderError::new(ErrorKind::Protocol, Code::ProtocolViolation, operation)
                .with("problem", error)
        }
    }
}

/// The error of one message that the server refuses to give, or to delete.
pub(crate) fn item_refused(
    operation: &'static str,
    refusal: &Refusal,
    config: &Pop3Config,
    (kind, code): (ErrorKind, Code),
) -> ProviderError {
    let error = if refusal.code == Some(ResponseCode::SysTemp) {
        ProviderError::new(ErrorKind::Unavailable, Code::ServerFault, operation)
    } else {
        ProviderError::new(kind, code, operation)
    };
    let error = error.with_scope(Scope::Item);
    error.with("server_said", said(refusal, config))
}

fn sign_in_failed(
    operation: &'static str,
    failure: SignInFailure,
    config: &Pop3Config,
) -> ProviderError {
    let SignInFailure {
        error,
        about_credentials,
        capa,
    } = failure;
    let new = |kind, code| ProviderError::new(kind, code, operation).with("problem", &error);
    match &error {
        SignInError::NotPop3(_) => new(ErrorKind::ConfigInvalid, Code::NotAMailServer),
        SignInError::TlsAtOnce | SignInError::TlsNotOffered => {
            new(ErrorKind::Untrusted, Code::TlsFailed)
        }
        SignInError::NoMethod(_) => new(ErrorKind::ConfigInvalid, Code::ConfigurationInvalid)
            .with("field", "incoming.authentication"),
        SignInError::CannotBeSaid => new(ErrorKind::ConfigInvalid, Code::ConfigurationInvalid)
            .with("field", "incoming.password")
            .with_scope(config.credentials_scope),
        SignInError::Unexpected => new(ErrorKind::Protocol, Code::ProtocolViolation),
        SignInError::Refused(refusal) => {
            let marked = capa.as_ref().is_some_and(|capa| capa.auth_resp_code);
            let text = refusal.text.to_lowercase();
            let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
            let error = match refusal.code {
                Some(ResponseCode::Other) | None => {
                    if says(&LOCKED) {
                        by_code(operation, ResponseCode::InUse, config, None)
                            .with("quirk", crate::Quirk::LockWithoutCode.name())
                    } else if says(&PASSING) || marked || !about_credentials {
                        // A server that marks refusals of credentials means something else here.
                        by_code(operation, ResponseCode::SysTemp, config, None)
                    } else {
                        by_code(operation, ResponseCode::Auth, config, None)
                    }
                }
                Some(code) => {
                    let delay = capa.as_ref().and_then(|capa| capa.login_delay);
                    by_code(operation, code, config, delay)
                }
            };
            error.with("server_said", said(refusal, config))
        }
    }
}

fn by_code(
    operation: &'static str,
    code: ResponseCode,
    config: &Pop3Config,
    delay: Option<std::time::Duration>,
) -> ProviderError {
    let new = |kind, code| ProviderError::new(kind, code, operation).with_scope(Scope::Mailbox);
    match code {
        ResponseCode::InUse => new(ErrorKind::Unavailable, Code::MailboxInUse),
        ResponseCode::LoginDelay => {
            new(ErrorKind::RateLimited, Code::ServerBusy).with_retry(Retry::After(delay))
        }
        ResponseCode::SysTemp | ResponseCode::Other => {
            new(ErrorKind::Unavailable, Code::ServerFault)
        }
        ResponseCode::SysPerm => new(ErrorKind::PermissionDenied, Code::AccountUnavailable),
        ResponseCode::Auth => new(ErrorKind::Unauthenticated, Code::CredentialsRejected)
            .with_scope(config.credentials_scope),
    }
}

/// The server's words without what names a person.
fn said(refusal: &Refusal, config: &Pop3Config) -> String {
    let user = config.account.user.to_lowercase();
    let words = refusal.text.split_whitespace().map(|word| {
        let named = word.contains('@') || (user.len() > 2 && word.to_lowercase().contains(&user));
        if named { "..." } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::proto::capa::Capa;
    use crate::proto::reply;
    use bytes::Bytes;
    use postroom_core::profile::ProfileKind;
    use postroom_core::{ProfileId, Secret, ServerProfile};
    use postroom_provider::{Credentials, ProviderRequest};

    fn config() -> Pop3Config {
        let id = ProfileId::from_random([1; 16]);
        let mut profile = ServerProfile::new(id, "p", ProfileKind::Pop3Smtp);
        profile.incoming.location = Some("pop.example.org".to_owned());
        Pop3Config::of(&ProviderRequest::new(
            profile,
            "ada@example.org".parse().unwrap(),
            Some(Credentials::new("ada@example.org", Secret::new("pw"))),
        ))
        .unwrap()
    }

    fn weighed(line: &str, capa: Option<Capa>) -> ProviderError {
        let line = Bytes::copy_from_slice(line.as_bytes());
        let Some(reply::Reply::Refused(refusal)) = reply::read(&line) else {
            panic!("{line:?} is no refusal");
        };
        let failure = SignInFailure {
            error: SignInError::Refused(refusal),
            about_credentials: true,
            capa,
        };
        failed(
            "mail.changes",
            SessionError::SignIn(Box::new(failure)),
            &config(),
        )
    }

    #[test]
    fn refusals_of_a_sign_in() {
        use Code::{
            AccountUnavailable, CredentialsRejected, MailboxInUse, ServerBusy, ServerFault,
        };
        let mut marking = Capa::untold();
        marking.auth_resp_code = true;
        marking.login_delay = Some(Duration::from_secs(17));
        for (line, capa, kind, code, again) in [
            (
                "-ERR [AUTH] no",
                None,
                ErrorKind::Unauthenticated,
                CredentialsRejected,
                false,
            ),
            (
                "-ERR invalid password",
                None,
                ErrorKind::Unauthenticated,
                CredentialsRejected,
                false,
            ),
            (
                "-ERR disk trouble",
                Some(&marking),
                ErrorKind::Unavailable,
                ServerFault,
                true,
            ),
            (
                "-ERR [IN-USE] no",
                Some(&marking),
                ErrorKind::Unavailable,
                MailboxInUse,
                true,
            ),
            (
                "-ERR maildrop already locked",
                None,
                ErrorKind::Unavailable,
                MailboxInUse,
                true,
            ),
            (
                "-ERR [LOGIN-DELAY] no",
                Some(&marking),
                ErrorKind::RateLimited,
                ServerBusy,
                true,
            ),
            (
                "-ERR [SYS/TEMP] no",
                None,
                ErrorKind::Unavailable,
                ServerFault,
                true,
            ),
            (
                "-ERR please try again later",
                None,
                ErrorKind::Unavailable,
                ServerFault,
                true,
            ),
            (
                "-ERR [SYS/PERM] no",
                None,
                ErrorKind::PermissionDenied,
                AccountUnavailable,
                false,
            ),
        ] {
            let error = weighed(line, capa.cloned());
            assert_eq!((error.kind(), error.code()), (kind, code), "{line}");
            assert_eq!(matches!(error.retry(), Retry::After(_)), again, "{line}");
        }
        let hint = weighed("-ERR [LOGIN-DELAY] no", Some(marking)).retry();
        assert_eq!(hint, Retry::After(Some(Duration::from_secs(17))));
    }

    #[test]
    fn nobody_is_named() {
        let error = weighed(
            "-ERR [AUTH] <Ada@example.org>: account ada@example.org locked out",
            None,
        );
        let text = format!("{error} {error:?}");
        assert!(!text.to_lowercase().contains("ada@"), "{text}");
        assert!(text.contains("locked out"), "{text}");
    }
}
