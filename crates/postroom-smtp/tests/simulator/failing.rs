//! Bad servers: each ends in the right kind, code, retry and scope; and never is a message sent twice, or said to be
//! unsent when it may have been.

use std::time::Duration;

use postroom_core::Scope;
use postroom_provider::{ErrorKind, Retry};
use postroom_simulator::exchange::Certificate;
use postroom_simulator::smtp::{SmtpFault, SmtpFaultRule};

use crate::support::{GRACE, World, letter};

fn refuse(text: &str) -> SmtpFault {
    SmtpFault::Refuse(text.to_owned())
}

fn greets(line: &str) -> SmtpFault {
    SmtpFault::Greets(line.to_owned())
}

const UNKNOWN: Retry = Retry::OutcomeUnknown;
const AGAIN: Retry = Retry::After(None);
const NEVER: Retry = Retry::Never;

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_where() {
    use ErrorKind as K;
    use Scope::{Item, Mailbox, Profile};
    let garbles = || SmtpFault::Garbles("* OK IMAP4 ready".to_owned());
    for (fault, on, kind, code, retry, scope) in [
        // Before anybody signs in.
        (
            SmtpFault::Silent,
            "GREETING",
            K::Timeout,
            "connection-timed-out",
            AGAIN,
            Profile,
        ),
        (
            SmtpFault::CloseBefore,
            "GREETING",
            K::Unavailable,
            "connection-lost",
            AGAIN,
            Mailbox,
        ),
        (
            SmtpFault::CloseAfter,
            "GREETING",
            K::Unavailable,
            "connection-lost",
            AGAIN,
            Mailbox,
        ),
        (
            SmtpFault::LongLine,
            "GREETING",
            K::ConfigInvalid,
            "not-a-mail-server",
            NEVER,
            Profile,
        ),
        (
            greets("+OK POP3 ready"),
            "GREETING",
            K::ConfigInvalid,
            "not-a-mail-server",
            NEVER,
            Profile,
        ),
        (
            greets("* OK IMAP4rev1"),
            "GREETING",
            K::ConfigInvalid,
            "not-a-mail-server",
            NEVER,
            Profile,
        ),
        (
            greets("SSH-2.0-OpenSSH"),
            "GREETING",
            K::ConfigInvalid,
            "not-a-mail-server",
            NEVER,
            Profile,
        ),
        (
            greets("\u{0}\u{0}\u{0}"),
            "GREETING",
            K::ConfigInvalid,
            "not-a-mail-server",
            NEVER,
            Profile,
        ),
        (
            greets("421 4.7.0 too many connections"),
            "GREETING",
            K::RateLimited,
            "server-busy",
            AGAIN,
            Profile,
        ),
        (
            greets("554 5.7.1 no service for you"),
            "GREETING",
            K::PermissionDenied,
            "server-unavailable",
            AGAIN,
            Profile,
        ),
        (
            SmtpFault::CloseAfter,
            "EHLO",
            K::Unavailable,
            "connection-lost",
            AGAIN,
            Mailbox,
        ),
        (
            SmtpFault::LongLine,
            "EHLO",
            K::Protocol,
            "protocol-violation",
            AGAIN,
            Mailbox,
        ),
        (
            garbles(),
            "EHLO",
            K::Protocol,
            "protocol-violation",
            AGAIN,
            Mailbox,
        ),
        (
            SmtpFault::InjectAfterStartTls,
            "STARTTLS",
            K::Untrusted,
            "tls-failed",
            NEVER,
            Profile,
        ),
        (
            refuse("454 4.7.0 not now"),
            "STARTTLS",
            K::Unavailable,
            "server-unavailable",
            AGAIN,
            Profile,
        ),
        (
            SmtpFault::CloseBefore,
            "AUTH",
            K::Unavailable,
            "connection-lost",
            AGAIN,
            Mailbox,
        ),
        (
            refuse("535 5.7.8 no"),
            "AUTH",
            K::Unauthenticated,
            "credentials-rejected",
            NEVER,
            Profile,
        ),
        (
            refuse("454 4.7.0 later"),
            "AUTH",
            K::Unavailable,
            "server-fault",
            AGAIN,
            Mailbox,
        ),
        // The envelope: nothing was sent.
        (
            SmtpFault::Silent,
            "MAIL",
            K::Timeout,
            "connection-timed-out",
            AGAIN,
            Profile,
        ),
        (
            SmtpFault::CloseBefore,
            "MAIL",
            K::Unavailable,
            "connection-lost",
            AGAIN,
            Mailbox,
        ),
        (
            refuse("553 5.7.1 not yours"),
            "MAIL",
            K::PermissionDenied,
            "send-as-denied",
            NEVER,
            Item,
        ),
        (
            refuse("452 4.3.1 no room"),
            "MAIL",
            K::Unavailable,
            "server-fault",
            AGAIN,
            Mailbox,
        ),
        (
            refuse("552 5.2.2 mailbox full"),
            "MAIL",
            K::QuotaExceeded,
            "quota-exceeded",
            NEVER,
            Mailbox,
        ),
        (
            SmtpFault::CloseBefore,
            "RCPT",
            K::Unavailable,
            "connection-lost",
            AGAIN,
            Mailbox,
        ),
        (
            SmtpFault::CloseAfter,
            "RCPT",
            K::Unavailable,
            "connection-lost",
            AGAIN,
            Mailbox,
        ),
        (
            refuse("450 4.2.0 greylisted"),
            "RCPT",
            K::Unavailable,
            "recipients-refused",
            AGAIN,
            Item,
        ),
        (
            refuse("550 5.1.1 nobody"),
            "RCPT",
            K::InvalidInput,
            "recipients-refused",
            NEVER,
            Item,
        ),
        (
            refuse("421 4.3.2 closing"),
            "RCPT",
            K::Unavailable,
            "server-unavailable",
            AGAIN,
            Profile,
        ),
        (
            garbles(),
            "RCPT",
            K::Protocol,
            "protocol-violation",
            AGAIN,
            Mailbox,
        ),
        (
            SmtpFault::CloseBefore,
            "DATA",
            K::Unavailable,
            "connection-lost",
            AGAIN,
            Mailbox,
        ),
        (
            refuse("451 4.3.0 not now"),
            "DATA",
            K::Unavailable,
            "server-fault",
            AGAIN,
            Mailbox,
        ),
        (
            refuse("554 5.5.1 no"),
            "DATA",
            K::PermissionDenied,
            "request-refused",
            NEVER,
            Item,
        ),
        // The server has the whole message and says no: nothing was sent.
        (
            refuse("554 5.7.1 spam"),
            "CONTENT",
            K::PermissionDenied,
            "request-refused",
            NEVER,
            Item,
        ),
        (
            refuse("552 5.3.4 too large"),
            "CONTENT",
            K::TooLarge,
            "too-large",
            NEVER,
            Item,
        ),
        (
            refuse("451 4.7.1 later"),
            "CONTENT",
            K::Unavailable,
            "request-refused",
            AGAIN,
            Item,
        ),
        // It has the whole message and says nothing that can be understood: nobody knows.
        (
            SmtpFault::CloseBefore,
            "CONTENT",
            K::Unavailable,
            "connection-lost",
            UNKNOWN,
            Mailbox,
        ),
        (
            SmtpFault::LoseAnswer,
            "CONTENT",
            K::Unavailable,
            "connection-lost",
            UNKNOWN,
            Mailbox,
        ),
        (
            SmtpFault::Silent,
            "CONTENT",
            K::Timeout,
            "connection-timed-out",
            UNKNOWN,
            Profile,
        ),
        (
            garbles(),
            "CONTENT",
            K::Protocol,
            "protocol-violation",
            UNKNOWN,
            Mailbox,
        ),
        (
            SmtpFault::LongLine,
            "CONTENT",
            K::Protocol,
            "protocol-violation",
            UNKNOWN,
            Mailbox,
        ),
    ] {
        for pipelining in [true, false] {
            let world = World::new();
            world.server.offer(|offers| offers.pipelining = pipelining);
            world.arm(fault.clone(), on);
            let error = world.refusal().await;
            let found = (
                error.kind(),
                error.code().as_str(),
                error.retry(),
                error.scope(),
            );
            assert_eq!(
                found,
                (kind, code, retry, scope),
                "{fault:?} at {on}: {error}"
            );
            if retry != UNKNOWN {
                assert_eq!(
                    world.server.messages(),
                    0,
                    "{fault:?} at {on}: surely not sent"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_after_each_command() {
    let world = World::new();
    world.server.arm(SmtpFaultRule::new(SmtpFault::CloseAfter));
    let error = world.refusal().await;
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::Unavailable, AGAIN)
    );
    assert_eq!(world.server.messages(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_is_given_up_and_the_moment_decides() {
    let hour = SmtpFault::Slow(Duration::from_secs(3600));
    for (on, retry) in [("RCPT", AGAIN), ("CONTENT", UNKNOWN)] {
        let mut world = World::new();
        world.arm(hour.clone(), on);
        // By the silence of the connection, and by the deadline of the operation.
        let error = world.refusal().await;
        assert_eq!(
            (error.kind(), error.retry()),
            (ErrorKind::Timeout, retry),
            "{on}"
        );
        world.ctx = world.ctx.within(Duration::from_secs(5));
        let error = world.refusal().await;
        assert_eq!(
            (error.kind(), error.retry()),
            (ErrorKind::Timeout, retry),
            "{on}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn starttls_stripped_is_refused_before_anything_is_said() {
    let world = World::new();
    world.server.offer(|offers| offers.starttls = false);
    let error = world.refusal().await;
    let found = (
        error.kind(),
        error.code().as_str(),
        error.retry(),
        error.scope(),
    );
    assert_eq!(
        found,
        (ErrorKind::Untrusted, "tls-failed", NEVER, Scope::Profile)
    );
    assert_eq!(world.server.requests(), 1, "EHLO, and no password");
}

#[tokio::test(start_paused = true)]
async fn certificates_that_do_not_do() {
    for (certificate, code, retry) in [
        // It may be renewed any minute.
        (Certificate::Expired, "certificate-expired", AGAIN),
        (Certificate::OtherName, "certificate-wrong-name", NEVER),
    ] {
        let world = World::with(certificate, "smtp.example.org:587");
        let error = world.refusal().await;
        let found = (
            error.kind(),
            error.code().as_str(),
            error.retry(),
            error.scope(),
        );
        assert_eq!(found, (ErrorKind::Untrusted, code, retry, Scope::Profile));
    }
    let mut world = World::new();
    world.profile.extra_authorities_pem = None;
    assert_eq!(
        world.refusal().await.code().as_str(),
        "certificate-untrusted"
    );
}

#[tokio::test(start_paused = true)]
async fn the_wrong_port() {
    // TLS first, where the server speaks in clear; and the reverse, where it waits for TLS.
    let world = World::new();
    let mut wrong = World::new();
    wrong.profile.outgoing.location = Some("smtps://smtp.example.org:587".to_owned());
    let error = wrong.refusal().await;
    assert_eq!(
        (error.kind(), error.scope()),
        (ErrorKind::Untrusted, Scope::Profile),
        "{error}"
    );
    let mut wrong = world;
    wrong.profile.outgoing.location = Some("smtp://smtp.example.org:465".to_owned());
    let error = wrong.refusal().await;
    assert!(
        matches!(error.kind(), ErrorKind::Timeout | ErrorKind::ConfigInvalid),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_that_cannot_be() {
    let world = World::new();
    world.server.offer(|offers| {
        offers.plain = false;
        offers.login = false;
    });
    let error = world.refusal().await;
    assert_eq!(error.code().as_str(), "configuration-invalid");
    world.server.offer(|offers| offers.xoauth2 = false);
    let error = world.refusal().await;
    let found = (error.kind(), error.retry(), error.scope());
    assert_eq!(found, (ErrorKind::ConfigInvalid, NEVER, Scope::Profile));
    let mut world = World::new();
    world.password = "wrong".to_owned();
    let error = world.refusal().await;
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::Unauthenticated, NEVER)
    );
    let text = format!("{error} {error:?}");
    assert!(!text.contains("wrong") && !text.contains("desk@"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_sent_to_by_a_draft_or_to_nobody() {
    let world = World::new();
    let provider = world.open();
    let submitter = provider.submitter().unwrap();
    let mut nobody = letter(&[GRACE]);
    nobody.recipients.clear();
    let error = submitter.send(&world.ctx, &nobody, None).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::InvalidInput, NEVER)
    );
    let draft = postroom_core::outbox::StagedSubmission::new(
        postroom_provider::RemoteId::new("draft"),
        None,
    );
    let letter = letter(&[GRACE]);
    let error = submitter
        .send(&world.ctx, &letter, Some(&draft))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(world.server.requests(), 0, "no byte was sent");
}
