//! Bad servers: each ends in the right kind, code, retry and scope.

use std::time::Duration;

use postroom_core::Scope;
use postroom_provider::{ErrorKind, Retry};
use postroom_simulator::pop3::{Pop3Fault, Pop3FaultRule};

use crate::support::World;

fn refuse(text: &str) -> Pop3Fault {
    Pop3Fault::Refuse(text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_before_the_mailbox_is_open() {
    use ErrorKind::{ConfigInvalid, PermissionDenied, Protocol, Unauthenticated, Unavailable};
    let greets = |line: &str| Pop3Fault::Greets(line.to_owned());
    for (fault, on, kind, code, again, scope) in [
        (
            Pop3Fault::Silent,
            None,
            ErrorKind::Timeout,
            "connection-timed-out",
            true,
            Scope::Profile,
        ),
        (
            Pop3Fault::CloseBefore,
            Some("GREETING"),
            Unavailable,
            "connection-lost",
            true,
            Scope::Mailbox,
        ),
        (
            Pop3Fault::CloseBefore,
            Some("UIDL"),
            Unavailable,
            "connection-lost",
            true,
            Scope::Mailbox,
        ),
        (
            Pop3Fault::CloseAfter,
            None,
            Unavailable,
            "connection-lost",
            true,
            Scope::Mailbox,
        ),
        (
            Pop3Fault::Cut,
            Some("UIDL"),
            Unavailable,
            "connection-lost",
            true,
            Scope::Mailbox,
        ),
        (
            Pop3Fault::LongLine,
            Some("UIDL"),
            Protocol,
            "protocol-violation",
            true,
            Scope::Mailbox,
        ),
        (
            Pop3Fault::LongLine,
            Some("GREETING"),
            ConfigInvalid,
            "not-a-mail-server",
            false,
            Scope::Profile,
        ),
        (
            greets("220 mail ESMTP"),
            None,
            ConfigInvalid,
            "not-a-mail-server",
            false,
            Scope::Profile,
        ),
        (
            greets("-ERR [SYS/TEMP] full"),
            None,
            Unavailable,
            "server-fault",
            true,
            Scope::Mailbox,
        ),
        (
            greets("-ERR too many connections"),
            None,
            Unavailable,
            "server-fault",
            true,
            Scope::Mailbox,
        ),
        (
            refuse("[AUTH] no"),
            Some("AUTH"),
            Unauthenticated,
            "credentials-rejected",
            false,
            Scope::Profile,
        ),
        (
            refuse("[IN-USE] no"),
            Some("AUTH"),
            Unavailable,
            "mailbox-in-use",
            true,
            Scope::Mailbox,
        ),
        (
            refuse("[LOGIN-DELAY] no"),
            Some("AUTH"),
            ErrorKind::RateLimited,
            "server-busy",
            true,
            Scope::Mailbox,
        ),
        (
            refuse("[SYS/TEMP] no"),
            Some("AUTH"),
            Unavailable,
            "server-fault",
            true,
            Scope::Mailbox,
        ),
        (
            refuse("[SYS/PERM] no"),
            Some("AUTH"),
            PermissionDenied,
            "account-unavailable",
            false,
            Scope::Mailbox,
        ),
        (
            refuse("[SYS/TEMP] no"),
            Some("UIDL"),
            Unavailable,
            "server-fault",
            true,
            Scope::Mailbox,
        ),
    ] {
        let world = World::new();
        world.deliver(2);
        let mut rule = Pop3FaultRule::new(fault.clone());
        if let Some(on) = on {
            rule = rule.on(on);
        }
        world.server.arm(rule);
        let error = world.refusal().await;
        let found = (error.kind(), error.code().as_str(), error.scope());
        assert_eq!(found, (kind, code, scope), "{fault:?} on {on:?}: {error}");
        let may_be_tried = matches!(error.retry(), Retry::After(_));
        assert_eq!(
            may_be_tried,
            again,
            "{fault:?} on {on:?}: {:?}",
            error.retry()
        );
        // When it has passed, it has passed.
        world.server.disarm();
        assert_eq!(
            world.open().listed(None).await.0.len(),
            2,
            "after {fault:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_ports_and_stripped_tls() {
    let tls_failed = |error: postroom_provider::ProviderError| {
        assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
        assert_eq!(error.code().as_str(), "tls-failed", "{error}");
        assert_eq!(error.retry(), Retry::Never);
    };
    // TLS at a port that is clear.
    let mut world = World::new();
    world.profile.incoming.location = Some("pop3s://pop.example.org:1110".to_owned());
    tls_failed(world.refusal().await);
    // Clear at a port that begins with TLS: the server waits, and so do we, for a while.
    let mut world = World::new();
    world.profile.incoming.location = Some("pop3://pop.example.org:995".to_owned());
    let error = world.refusal().await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("expect TLS"), "{error}");
    // Not offered, or not any more.
    let mut world = World::new();
    world.profile.incoming.location = Some("pop.example.org:110".to_owned());
    world.server.offer(|offers| offers.stls = false);
    tls_failed(world.refusal().await);
    assert_eq!(
        world.server.requests(),
        1,
        "nothing is said after the refusal"
    );
    // Clear text where TLS was agreed upon.
    let mut world = World::new();
    world.profile.incoming.location = Some("pop.example.org:110".to_owned());
    world.arm(Pop3Fault::InjectAfterStls);
    tls_failed(world.refusal().await);
    // Another name.
    let mut world = World::new();
    world.profile.incoming.location = Some("other.example.org".to_owned());
    let error = world.refusal().await;
    assert_eq!(error.code().as_str(), "certificate-wrong-name");
}

#[tokio::test(start_paused = true)]
async fn passwords_may_hold_every_odd_byte() {
    for password in [
        "a b",
        " lead and trail ",
        "\u{e9}\u{1f600}",
        "\r\n",
        "\x01\x7f",
        "+ =/",
    ] {
        let mut world = World::new();
        let mail = world.server.mail();
        mail.update_account(world.account, |account| {
            account.password = password.to_owned()
        })
        .unwrap();
        world.password = password.to_owned();
        world.deliver(1);
        assert_eq!(world.open().listed(None).await.0.len(), 1, "{password:?}");
    }
    // None can carry a zero byte, and where there is only PASS, no line end either.
    let mut world = World::new();
    world.password = "a\0b".to_owned();
    let error = world.refusal().await;
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
    assert!(!format!("{error:?}").contains("a\\0b"));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_costs_only_itself() {
    let world = World::new();
    world.deliver(5);
    let mailbox = world.open();
    let (ids, _) = mailbox.listed(None).await;
    let mail = world.server.mail();
    let inbox = postroom_simulator::model::WellKnown::Inbox;
    let items = mail.items(mail.well_known(world.account, inbox).unwrap());
    world.arm(Pop3Fault::Damaged(items[1].id));
    mail.delete_item(items[3].id, postroom_simulator::model::Disposal::Hard)
        .unwrap();
    let source = mailbox.source();
    let fetched = source
        .fetch(&mailbox.ctx, &crate::support::inbox(), &ids)
        .await
        .unwrap();
    let kinds: Vec<_> = fetched
        .iter()
        .map(|outcome| {
            outcome
                .as_ref()
                .err()
                .map(postroom_provider::ProviderError::kind)
        })
        .collect();
    let expected = [
        None,
        Some(ErrorKind::Corrupt),
        None,
        Some(ErrorKind::NotFound),
        None,
    ];
    assert_eq!(kinds, expected);
}

#[tokio::test(start_paused = true)]
async fn sizes_are_hints_and_nothing_more() {
    let world = World::new();
    world.deliver(3);
    world.arm(Pop3Fault::WrongSizes);
    let mailbox = world.open();
    let (ids, _) = mailbox.listed(None).await;
    assert_eq!(mailbox.content(&ids).await.len(), 3);
    assert!(mailbox.ctx.spool.bytes_in_memory() < 10_000);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_within_a_message_gives_no_half_of_it() {
    let world = World::new();
    world.deliver(3);
    let mailbox = world.open();
    let (ids, _) = mailbox.listed(None).await;
    world
        .server
        .arm(Pop3FaultRule::new(Pop3Fault::Cut).on("RETR").times(1));
    let source = mailbox.source();
    let error = source
        .fetch(&mailbox.ctx, &crate::support::inbox(), &ids)
        .await
        .unwrap_err();
    assert_eq!(error.code().as_str(), "connection-lost");
    assert_eq!(mailbox.content(&ids).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_slow_is_waited_for_as_long_as_the_caller_says() {
    let world = World::new();
    world.deliver(1);
    world.arm(Pop3Fault::Slow(Duration::from_secs(5)));
    // Each answer comes in time; all of them together do not.
    let mut mailbox = world.open();
    mailbox.ctx = world.ctx.within(Duration::from_secs(3600));
    assert_eq!(mailbox.listed(None).await.0.len(), 1);
}
