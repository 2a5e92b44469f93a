//! Bad servers: each ends in the right kind, code, retry and scope.

use std::time::Duration;

use postroom_core::Scope;
use postroom_core::profile::AuthenticationProtocol;
use postroom_provider::registry::ProbeOutcome;
use postroom_provider::{ErrorKind, Retry};
use postroom_simulator::exchange::Certificate;
use postroom_simulator::imap::{ImapFault, ImapFaultRule, ImapOffers, ImapServer};

use crate::support::World;

fn refuse(text: &str) -> ImapFault {
    ImapFault::Refuse(text.to_owned())
}

/// What goes wrong, at which command; kind, code, whether it may be tried again, scope.
type Case = (
    ImapFault,
    &'static str,
    ErrorKind,
    &'static str,
    bool,
    Scope,
);

fn cases() -> Vec<Case> {
    use ErrorKind::{
        ConfigInvalid, PermissionDenied, Protocol, RateLimited, Timeout, Unauthenticated,
        Unavailable,
    };
    use ImapFault::{Bye, CloseAfter, CloseBefore, Cut, Greets, LongLine, Silent};
    use Scope::{Mailbox, Profile};
    let (lost, fault, busy) = ("connection-lost", "server-fault", "server-busy");
    let greets = |line: &str| Greets(line.to_owned());
    let bye = |line: &str| Bye(line.to_owned());
    let none = "not-a-mail-server";
    vec![
        (
            Silent,
            "GREETING",
            Timeout,
            "connection-timed-out",
            true,
            Profile,
        ),
        (
            Silent,
            "EXAMINE",
            Timeout,
            "connection-timed-out",
            true,
            Profile,
        ),
        (CloseBefore, "GREETING", Unavailable, lost, true, Mailbox),
        (CloseBefore, "EXAMINE", Unavailable, lost, true, Mailbox),
        (CloseAfter, "AUTHENTICATE", Unavailable, lost, true, Mailbox),
        (CloseAfter, "EXAMINE", Unavailable, lost, true, Mailbox),
        (Cut, "UID SEARCH", Unavailable, lost, true, Mailbox),
        (
            LongLine,
            "UID SEARCH",
            Protocol,
            "protocol-violation",
            true,
            Mailbox,
        ),
        (LongLine, "GREETING", ConfigInvalid, none, false, Profile),
        (
            greets("220 mail ESMTP"),
            "GREETING",
            ConfigInvalid,
            none,
            false,
            Profile,
        ),
        (
            greets("+OK POP3"),
            "GREETING",
            ConfigInvalid,
            none,
            false,
            Profile,
        ),
        (
            greets("HTTP/1.1 400 Bad"),
            "GREETING",
            ConfigInvalid,
            none,
            false,
            Profile,
        ),
        (
            greets("* BYE [UNAVAILABLE] full"),
            "GREETING",
            Unavailable,
            fault,
            true,
            Mailbox,
        ),
        (
            greets("* BYE too many"),
            "GREETING",
            Unavailable,
            fault,
            true,
            Mailbox,
        ),
        (
            refuse("[AUTHENTICATIONFAILED] no"),
            "AUTHENTICATE",
            Unauthenticated,
            "credentials-rejected",
            false,
            Profile,
        ),
        (
            refuse("no"),
            "AUTHENTICATE",
            Unauthenticated,
            "credentials-rejected",
            false,
            Profile,
        ),
        (
            refuse("[INUSE] repair"),
            "AUTHENTICATE",
            Unavailable,
            "mailbox-in-use",
            true,
            Mailbox,
        ),
        (
            refuse("[LIMIT] slow down"),
            "AUTHENTICATE",
            RateLimited,
            busy,
            true,
            Mailbox,
        ),
        (
            refuse("[UNAVAILABLE] no"),
            "AUTHENTICATE",
            Unavailable,
            fault,
            true,
            Mailbox,
        ),
        (
            refuse("[CONTACTADMIN] no"),
            "AUTHENTICATE",
            PermissionDenied,
            "account-unavailable",
            false,
            Mailbox,
        ),
        (
            bye("[UNAVAILABLE] restarting"),
            "EXAMINE",
            Unavailable,
            fault,
            true,
            Mailbox,
        ),
        (
            bye("idle for too long"),
            "UID FETCH",
            Unavailable,
            fault,
            true,
            Mailbox,
        ),
        (
            refuse("[INUSE] repair"),
            "EXAMINE",
            Unavailable,
            "mailbox-in-use",
            true,
            Mailbox,
        ),
        (
            refuse("no reason"),
            "EXAMINE",
            Unavailable,
            fault,
            true,
            Mailbox,
        ),
        (
            refuse("[LIMIT] slow down"),
            "UID SEARCH",
            RateLimited,
            busy,
            true,
            Mailbox,
        ),
        (
            refuse("[NOPERM] not yours"),
            "EXAMINE",
            PermissionDenied,
            "access-denied",
            false,
            Mailbox,
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_until_the_mailbox_is_listed() {
    for (fault, on, kind, code, again, scope) in cases() {
        let world = World::new();
        world.deliver(2);
        world.server.arm(ImapFaultRule::new(fault.clone()).on(on));
        let error = world.refusal().await;
        let found = (error.kind(), error.code().as_str(), error.scope());
        assert_eq!(found, (kind, code, scope), "{fault:?} on {on}: {error}");
        let may_be_tried = matches!(error.retry(), Retry::After(_));
        assert_eq!(may_be_tried, again, "{fault:?} on {on}");
        // When it has passed, it has passed.
        world.server.disarm();
        let listed = world.open().listed(None).await.0;
        assert_eq!(listed.len(), 2, "after {fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_ports_and_stripped_tls() {
    let tls_failed = |error: postroom_provider::ProviderError| {
        assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
        assert_eq!(error.code().as_str(), "tls-failed", "{error}");
        assert_eq!(error.retry(), Retry::Never);
    };
    let at = |location: &str| {
        let mut world = World::new();
        world.profile.incoming.location = Some(location.to_owned());
        world
    };
    // TLS at a port that is clear.
    tls_failed(at("imaps://imap.example.org:1143").refusal().await);
    // Clear at a port that begins with TLS: the server waits, and so do we, for a while.
    let error = at("imap://imap.example.org:993").refusal().await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("expect TLS"), "{error}");
    // Not offered, or not any more.
    let world = at("imap.example.org:143");
    world.server.offer(|offers| offers.starttls = false);
    tls_failed(world.refusal().await);
    assert_eq!(
        world.server.requests(),
        1,
        "nothing is said after the refusal"
    );
    // Signed in before TLS could begin, says somebody.
    let world = at("imap.example.org:143");
    world.arm(ImapFault::Greets("* PREAUTH welcome".to_owned()));
    tls_failed(world.refusal().await);
    assert_eq!(world.server.requests(), 0);
    // Clear text where TLS was agreed upon.
    let world = at("imap.example.org:143");
    world.arm(ImapFault::InjectAfterStartTls);
    tls_failed(world.refusal().await);
    // As it should be; capabilities from before TLS do not count.
    let world = at("imap.example.org:143");
    world.deliver(1);
    assert_eq!(world.open().listed(None).await.0.len(), 1);
    // Another name.
    let error = at("other.example.org").refusal().await;
    assert_eq!(error.code().as_str(), "certificate-wrong-name");
    // An old certificate.
    let mut world = World::new();
    let mail = std::sync::Arc::clone(world.server.mail());
    world.server = ImapServer::with_certificate(mail, Certificate::Expired).unwrap();
    world.profile.extra_authorities_pem = Some(world.server.certificate_pem().to_owned());
    let error = world.refusal().await;
    assert_eq!(error.code().as_str(), "certificate-expired");
}

#[tokio::test(start_paused = true)]
async fn passwords_may_hold_every_odd_byte() {
    let plain = ImapOffers::default();
    let mut login = ImapOffers::default();
    login.plain = false;
    let mut waits = login.clone();
    waits.literal_plus = false;
    waits.sasl_ir = false;
    let mut asks = plain.clone();
    asks.sasl_ir = false;
    for offers in [plain, login, waits, asks] {
        for password in [
            "a b",
            " lead and trail ",
            "\u{e9}\u{1f600}",
            "\r\n",
            "\x01\x7f",
            "+ =/",
            "a\"b\\c",
            "{5}",
        ] {
            let mut world = World::new();
            world.server.offer(|has| *has = offers.clone());
            let mail = world.server.mail();
            mail.update_account(world.account, |account| {
                account.password = password.to_owned();
            })
            .unwrap();
            world.password = password.to_owned();
            world.deliver(1);
            assert_eq!(world.open().listed(None).await.0.len(), 1, "{password:?}");
        }
    }
    // None can carry a zero byte.
    let mut world = World::new();
    world.password = "a\0b".to_owned();
    let error = world.refusal().await;
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
    assert!(!format!("{error:?}").contains("a\\0b"));
}

#[tokio::test(start_paused = true)]
async fn tokens_by_either_mechanism() {
    for xoauth2 in [true, false] {
        for sasl_ir in [true, false] {
            let mut world = World::new();
            world.profile.incoming.authentication = AuthenticationProtocol::OAuth;
            world.server.offer(|has| {
                has.xoauth2 = xoauth2;
                has.sasl_ir = sasl_ir;
            });
            world.deliver(1);
            assert_eq!(world.open().listed(None).await.0.len(), 1);
            world.password = "stale".to_owned();
            let error = world.refusal().await;
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        }
    }
    let mut world = World::new();
    world.profile.incoming.authentication = AuthenticationProtocol::OAuth;
    world.server.offer(|has| {
        has.xoauth2 = false;
        has.oauth_bearer = false;
    });
    let error = world.refusal().await;
    assert_eq!(error.code().as_str(), "configuration-invalid");
    assert!(error.to_string().contains("AUTH=PLAIN"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_password_is_not_sent_where_the_server_forbids_it() {
    let world = World::new();
    world.server.offer(|has| {
        has.login = false;
        has.plain = false;
    });
    let error = world.refusal().await;
    assert_eq!(error.code().as_str(), "configuration-invalid");
    assert_eq!(world.server.requests(), 0, "the greeting said enough");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_slow_is_waited_for_as_long_as_the_caller_says() {
    let world = World::new();
    world.deliver(1);
    world.arm(ImapFault::Slow(Duration::from_secs(5)));
    // Each answer comes in time; all of them together do not.
    let mut mailbox = world.open();
    mailbox.ctx = world.ctx.within(Duration::from_secs(3600));
    assert_eq!(mailbox.listed(None).await.0.len(), 1);
}

/// The steps of a probe, and which of them passed.
async fn steps(world: &World) -> Vec<(&'static str, bool)> {
    let report = world.probe().await;
    let passed = |outcome: &ProbeOutcome| *outcome == ProbeOutcome::Passed;
    let told = report.steps.iter();
    told.map(|step| (step.name, passed(&step.outcome)))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_probe_tells_how_far_it_came() {
    let world = World::new();
    let all = [("tls", true), ("authenticate", true), ("open inbox", true)];
    assert_eq!(steps(&world).await, all);
    let mut world = World::new();
    world.password = "wrong".to_owned();
    let rejected = [
        ("tls", true),
        ("authenticate", false),
        ("open inbox", false),
    ];
    assert_eq!(steps(&world).await, rejected);
    let world = World::new();
    world
        .server
        .arm(ImapFaultRule::new(refuse("[INUSE] no")).on("EXAMINE"));
    let refused = [("tls", true), ("authenticate", true), ("open inbox", false)];
    assert_eq!(steps(&world).await, refused);
}
