use super::*;

use bytes::Bytes;
use postroom_core::profile::ProfileKind;
use postroom_core::{ProfileId, Secret, ServerProfile};
use postroom_provider::{Credentials, ProviderRequest};

fn config() -> SmtpConfig {
    let id = ProfileId::from_random([1; 16]);
    let mut profile = ServerProfile::new(id, "p", ProfileKind::Pop3Smtp);
    profile.outgoing.location = Some("smtp.example.org".to_owned());
    SmtpConfig::of(&ProviderRequest::new(
        profile,
        "ada@example.org".parse().unwrap(),
        Some(Credentials::new("ada@example.org", Secret::new("pw"))),
    ))
    .unwrap()
}

fn said(step: Step, text: &str) -> ProviderError {
    let reply = Reply::read(&[Bytes::copy_from_slice(text.as_bytes())]).unwrap();
    failed(
        "submit.send",
        SessionError::Refused { step, reply },
        &config(),
    )
}

#[test]
fn what_servers_say_and_what_it_means() {
    use ErrorKind as K;
    use Scope::{Item, Mailbox, Profile};
    const AGAIN: bool = true;
    const NEVER: bool = false;
    let cases: &[(Step, &str, K, Code, Scope, bool)] = &[
        (
            Step::Greeting,
            "421 4.7.0 too many connections",
            K::RateLimited,
            Code::ServerBusy,
            Profile,
            AGAIN,
        ),
        (
            Step::Greeting,
            "421 4.3.2 shutting down",
            K::Unavailable,
            Code::ServerUnavailable,
            Profile,
            AGAIN,
        ),
        (
            Step::StartTls,
            "454 4.7.0 TLS not available",
            K::Unavailable,
            Code::ServerUnavailable,
            Profile,
            AGAIN,
        ),
        (
            Step::StartTls,
            "502 what",
            K::Untrusted,
            Code::TlsFailed,
            Profile,
            NEVER,
        ),
        (
            Step::SignIn,
            "535 5.7.8 wrong",
            K::Unauthenticated,
            Code::CredentialsRejected,
            Profile,
            NEVER,
        ),
        (
            Step::SignIn,
            "534 5.7.9 application password required",
            K::Unauthenticated,
            Code::CredentialsRejected,
            Profile,
            NEVER,
        ),
        (
            Step::SignIn,
            "535 5.7.139 SmtpClientAuthentication is disabled",
            K::Unauthenticated,
            Code::CredentialsRejected,
            Profile,
            NEVER,
        ),
        (
            Step::SignIn,
            "454 4.7.0 temporary authentication failure",
            K::Unavailable,
            Code::ServerFault,
            Mailbox,
            AGAIN,
        ),
        (
            Step::SignIn,
            "525 5.7.13 account disabled",
            K::PermissionDenied,
            Code::AccountUnavailable,
            Mailbox,
            NEVER,
        ),
        (
            Step::SignIn,
            "538 5.7.11 encryption required",
            K::Untrusted,
            Code::TlsFailed,
            Profile,
            NEVER,
        ),
        (
            Step::SignIn,
            "504 5.5.4 unknown mechanism",
            K::ConfigInvalid,
            Code::ConfigurationInvalid,
            Profile,
            NEVER,
        ),
        (
            Step::Sender,
            "530 5.7.0 authentication required",
            K::Unauthenticated,
            Code::NoCredentials,
            Mailbox,
            NEVER,
        ),
        (
            Step::Sender,
            "553 5.7.1 sender address rejected: not owned by user",
            K::PermissionDenied,
            Code::SendAsDenied,
            Item,
            NEVER,
        ),
        (
            Step::Sender,
            "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
            K::PermissionDenied,
            Code::SendAsDenied,
            Item,
            NEVER,
        ),
        (
            Step::Sender,
            "552 5.3.4 message size exceeds fixed limit",
            K::TooLarge,
            Code::TooLarge,
            Item,
            NEVER,
        ),
        (
            Step::Sender,
            "452 4.3.1 insufficient system storage",
            K::Unavailable,
            Code::ServerFault,
            Mailbox,
            AGAIN,
        ),
        (
            Step::Sender,
            "550 5.4.5 daily user sending quota exceeded",
            K::RateLimited,
            Code::SendingLimitReached,
            Mailbox,
            AGAIN,
        ),
        (
            Step::Sender,
            "450 4.7.1 too many messages, slow down",
            K::RateLimited,
            Code::SendingLimitReached,
            Mailbox,
            AGAIN,
        ),
        (
            Step::Sender,
            "552 5.2.2 mailbox full",
            K::QuotaExceeded,
            Code::QuotaExceeded,
            Mailbox,
            NEVER,
        ),
        (
            Step::Recipients,
            "450 4.2.0 greylisted, try again in 300 seconds",
            K::Unavailable,
            Code::RecipientsRefused,
            Item,
            AGAIN,
        ),
        (
            Step::Recipients,
            "451 4.7.1 greylisting in action",
            K::Unavailable,
            Code::RecipientsRefused,
            Item,
            AGAIN,
        ),
        (
            Step::Recipients,
            "550 5.1.1 no such user",
            K::InvalidInput,
            Code::RecipientsRefused,
            Item,
            NEVER,
        ),
        (
            Step::Recipients,
            "554 5.7.1 relay access denied",
            K::InvalidInput,
            Code::RecipientsRefused,
            Item,
            NEVER,
        ),
        (
            Step::Content,
            "552 5.3.4 too big",
            K::TooLarge,
            Code::TooLarge,
            Item,
            NEVER,
        ),
        (
            Step::Content,
            "552 too big",
            K::TooLarge,
            Code::TooLarge,
            Item,
            NEVER,
        ),
        (
            Step::Content,
            "554 5.7.1 spam",
            K::PermissionDenied,
            Code::RequestRefused,
            Item,
            NEVER,
        ),
        (
            Step::Content,
            "550 5.6.0 malformed",
            K::Corrupt,
            Code::RequestRefused,
            Item,
            NEVER,
        ),
        (
            Step::Content,
            "451 4.7.1 try again",
            K::Unavailable,
            Code::RequestRefused,
            Item,
            AGAIN,
        ),
        (
            Step::Content,
            "452 4.3.1 disk full",
            K::Unavailable,
            Code::ServerFault,
            Mailbox,
            AGAIN,
        ),
        (
            Step::Content,
            "421 4.3.0 closing",
            K::Unavailable,
            Code::ServerUnavailable,
            Profile,
            AGAIN,
        ),
    ];
    for (step, text, kind, code, scope, again) in cases {
        let error = said(*step, text);
        let found = (
            error.kind(),
            error.code(),
            error.scope(),
            matches!(error.retry(), Retry::After(_)),
        );
        assert_eq!(found, (*kind, *code, *scope, *again), "{text}");
    }
}

#[test]
fn nobody_is_named() {
    let error = said(
        Step::SignIn,
        "535 5.7.8 <Ada@example.org>: ada@example.org has no such password",
    );
    let text = format!("{error} {error:?}");
    assert!(!text.to_lowercase().contains("ada@"), "{text}");
    assert!(text.contains("has no such password"), "{text}");
}
