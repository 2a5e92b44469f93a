//! What arrives, and in how many exchanges.

use postroom_core::profile::{AuthenticationProtocol, CredentialSource};
use postroom_provider::{ErrorKind, Retry};
use postroom_simulator::smtp::{SmtpFault, SmtpFaultRule};

use crate::support::{DESK, GRACE, World, letter, letter_of};

#[tokio::test(start_paused = true)]
async fn a_message_arrives_as_it_was_composed() {
    let world = World::new();
    let receipt = world.send(&letter(&[GRACE])).await.unwrap();
    assert!(receipt.refused.is_empty() && !receipt.reconciled);
    let arrived = world.arrived(GRACE);
    assert_eq!(arrived.len(), 1);
    assert!(arrived[0].ends_with(b"\r\n\r\nhello\r\n.\r\nbye\r\n"));
    let envelope = &world.server.received()[0];
    assert_eq!(envelope.recipients, [GRACE]);
    assert!(envelope.sender.starts_with("<desk@example.org> SIZE="));
}

#[tokio::test(start_paused = true)]
async fn every_way_of_signing_in_and_of_beginning_tls() {
    type Change = fn(&mut World);
    let ways: [(&str, Change); 6] = [
        ("TLS at once", |world| {
            world.profile.outgoing.location = Some("smtp.example.org".to_owned());
        }),
        ("LOGIN", |world| {
            world.server.offer(|offers| offers.plain = false);
        }),
        ("a token", |world| {
            world.profile.incoming.authentication = AuthenticationProtocol::OAuth;
        }),
        ("nobody", |world| {
            world.profile.same_settings_for_outgoing = false;
            world.profile.outgoing.credentials = CredentialSource::Anonymous;
            world.server.offer(|offers| offers.open = true);
        }),
        ("no extension but TLS and AUTH", |world| {
            world.server.offer(|offers| {
                offers.pipelining = false;
                offers.eight_bit = false;
                offers.utf8 = false;
                offers.enhanced = false;
            });
        }),
        ("no extension at all", |world| {
            world.profile.danger_allow_plain_http = true;
            world.profile.outgoing.ssl = false;
            world.profile.same_settings_for_outgoing = false;
            world.profile.outgoing.credentials = CredentialSource::Anonymous;
            world.server.offer(|offers| {
                offers.ehlo = false;
                offers.open = true;
                offers.pipelining = false;
            });
        }),
    ];
    for (name, change) in ways {
        let mut world = World::new();
        change(&mut world);
        world.send(&letter(&[GRACE])).await.expect(name);
        assert_eq!(world.arrived(GRACE).len(), 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_and_a_closed_one_is_no_failure() {
    let world = World::new();
    for _ in 0..5 {
        world.send(&letter(&[GRACE])).await.unwrap();
    }
    assert_eq!(world.server.sessions(), 1);
    // The server loses patience: before the next message, and at its first command.
    let closing = [
        SmtpFault::CloseBefore,
        SmtpFault::Refuse("421 4.4.2 idle for too long".to_owned()),
    ];
    for (at, fault) in closing.into_iter().enumerate() {
        world
            .server
            .arm(SmtpFaultRule::new(fault).on("MAIL").times(1));
        world.send(&letter(&[GRACE])).await.unwrap();
        assert_eq!(world.server.sessions(), 2 + u64::try_from(at).unwrap());
    }
    // Somebody else's messages never go over it.
    let mut other = world;
    other.profile.danger_allow_plain_http = true;
    other.send(&letter(&[GRACE])).await.unwrap();
    assert_eq!(other.server.sessions(), 4);
    assert_eq!(other.arrived(GRACE).len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_leaves_the_connection_usable() {
    let world = World::new();
    let refusal = SmtpFault::RefuseRecipient(GRACE.to_owned(), "550 5.1.1 no".to_owned());
    world.server.arm(SmtpFaultRule::new(refusal).times(1));
    world.refusal().await;
    world.send(&letter(&[GRACE])).await.unwrap();
    assert_eq!(
        (world.server.sessions(), world.arrived(GRACE).len()),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn refused_recipients_are_kept_and_the_others_get_it() {
    for pipelining in [true, false] {
        let world = World::new();
        world.server.offer(|offers| {
            offers.knows_recipients = true;
            offers.pipelining = pipelining;
        });
        let receipt = world
            .send(&letter(&[
                "nobody@example.org",
                GRACE,
                "no.one@example.org",
            ]))
            .await
            .unwrap();
        let refused: Vec<_> = receipt.refused.iter().map(|r| r.address.as_str()).collect();
        assert_eq!(refused, ["nobody@example.org", "no.one@example.org"]);
        assert_eq!(receipt.refused[0].reason, "550 5.1.1 no such user here");
        assert_eq!(world.arrived(GRACE).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_to_wait_keeps_the_message_from_everybody_and_nobody_gets_an_empty_one() {
    for pipelining in [true, false] {
        let world = World::new();
        world.server.offer(|offers| offers.pipelining = pipelining);
        let later = SmtpFault::RefuseRecipient(DESK.to_owned(), "450 4.2.0 greylisted".to_owned());
        world.server.arm(SmtpFaultRule::new(later).times(1));
        let error = world.send(&letter(&[GRACE, DESK])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.retry(), Retry::After(None));
        assert_eq!(world.server.messages(), 0, "nothing was sent to anybody");
        world.send(&letter(&[GRACE, DESK])).await.unwrap();
        assert_eq!(world.arrived(GRACE).len(), 1);
        assert_eq!(world.arrived(DESK).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_for_one_transaction_are_served_by_several() {
    let world = World::new();
    world.server.offer(|offers| offers.recipients_max = 3);
    let names: Vec<String> = (0..8).map(|n| format!("p{n}@outside.example")).collect();
    let to: Vec<&str> = names.iter().map(String::as_str).collect();
    let receipt = world.send(&letter(&to)).await.unwrap();
    assert!(receipt.refused.is_empty());
    let served: Vec<usize> = world
        .server
        .received()
        .iter()
        .map(|envelope| envelope.recipients.len())
        .collect();
    assert_eq!(served, [3, 3, 2]);
    // What fails after some were served is told of those who were not.
    let many = SmtpFault::RefuseRecipient(names[4].clone(), "452 4.5.3 too many".to_owned());
    world.server.arm(SmtpFaultRule::new(many).times(1));
    let later = SmtpFault::RefuseRecipient(names[4].clone(), "450 4.2.0 later".to_owned());
    world.server.arm(SmtpFaultRule::new(later));
    let receipt = world.send(&letter(&to)).await.unwrap();
    assert_eq!(receipt.refused.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn very_many_recipients_wait_for_nobody() {
    let world = World::new();
    world.server.offer(|offers| offers.recipients_max = 10_000);
    let names: Vec<String> = (0..5_000)
        .map(|n| format!("person.number.{n}@some.where.outside.example"))
        .collect();
    let to: Vec<&str> = names.iter().map(String::as_str).collect();
    world.send(&letter(&to)).await.unwrap();
    assert_eq!(world.server.received()[0].recipients.len(), 5_000);
}

#[tokio::test(start_paused = true)]
async fn addresses_and_content_beyond_ascii() {
    let world = World::new();
    let bytes = "From: desk@example.org\r\n\r\ngr\u{fc}n\r\n".as_bytes();
    world
        .send(&letter_of(&["j\u{f6}rg@b\u{fc}cher.example"], bytes))
        .await
        .unwrap();
    let envelope = &world.server.received()[0];
    assert!(
        envelope.sender.ends_with("BODY=8BITMIME SMTPUTF8"),
        "{}",
        envelope.sender
    );
    assert_eq!(envelope.recipients, ["j\u{f6}rg@b\u{fc}cher.example"]);

    // A server that knows nothing of it takes the domain in its other spelling.
    let world = World::new();
    world.server.offer(|offers| offers.utf8 = false);
    let receipt = world
        .send(&letter(&[
            "jorg@b\u{fc}cher.example",
            "j\u{f6}rg@example.com",
        ]))
        .await
        .unwrap();
    assert_eq!(
        world.server.received()[0].recipients,
        ["jorg@xn--bcher-kva.example"]
    );
    assert_eq!(
        receipt.refused.len(),
        1,
        "the local part has no other spelling"
    );

    let fresh = World::new();
    fresh.server.offer(|offers| offers.eight_bit = false);
    let error = fresh.send(&letter_of(&[GRACE], bytes)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::InvalidInput, Retry::Never)
    );
    assert_eq!(fresh.server.messages(), 0);
}

#[tokio::test(start_paused = true)]
async fn sizes_are_respected() {
    let world = World::new();
    let provider = world.open();
    assert_eq!(
        provider.capabilities().submit_size_max,
        None,
        "nobody has asked yet"
    );
    let submitter = provider.submitter().unwrap();
    submitter
        .send(&world.ctx, &letter(&[GRACE]), None)
        .await
        .unwrap();
    assert_eq!(
        provider.capabilities().submit_size_max,
        Some(35 * 1024 * 1024)
    );
    // A size that the server lies about is learned the hard way.
    let world = World::new();
    world.server.offer(|offers| offers.size_max = 1000);
    world.arm(SmtpFault::TellsSize(0), "EHLO");
    let large = letter_of(&[GRACE], &[b"a: b\r\n\r\n", &[b'x'; 2000][..]].concat());
    let error = world.send(&large).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::TooLarge, Retry::Never)
    );
    assert_eq!(world.server.messages(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_probe_shows_how_far_it_gets() {
    let mut world = World::new();
    let outcomes = |report: postroom_provider::ProbeReport| -> Vec<String> {
        let steps = report.steps.iter();
        steps
            .map(|step| format!("{}: {:?}", step.name, step.outcome))
            .collect()
    };
    assert_eq!(
        outcomes(world.probe().await),
        ["tls: Passed", "authenticate: Passed"]
    );
    world.password = "wrong".to_owned();
    assert_eq!(
        outcomes(world.probe().await),
        ["tls: Passed", "authenticate: Failed(CredentialsRejected)"]
    );
    world.server.offer(|offers| offers.starttls = false);
    assert_eq!(
        outcomes(world.probe().await),
        ["tls: Failed(TlsFailed)", "authenticate: NotReached"]
    );
}
