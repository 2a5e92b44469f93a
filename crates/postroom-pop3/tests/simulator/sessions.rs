//! Signing in, and for how long others are kept out.

use postroom_core::profile::AuthenticationProtocol;
use postroom_simulator::pop3::{Pop3Fault, Pop3FaultRule};

use crate::support::World;

#[tokio::test(start_paused = true)]
async fn every_way_to_sign_in_and_every_way_to_tls() {
    for (location, ssl) in [
        ("pop.example.org", true),
        ("pop.example.org:110", true),
        ("pop.example.org", false),
    ] {
        for way in ["plain", "user", "apop", "token"] {
            let mut world = World::new();
            world.profile.incoming.location = Some(location.to_owned());
            world.profile.incoming.ssl = ssl;
            world.profile.danger_allow_plain_http = !ssl;
            world.server.offer(|offers| {
                offers.user = way == "user";
                offers.plain = way == "plain";
                offers.xoauth2 = way == "token";
                offers.apop = way == "apop" && !ssl;
                offers.user |= way == "apop" && ssl;
            });
            if way == "token" {
                world.profile.incoming.authentication = AuthenticationProtocol::OAuth;
            }
            world.deliver(2);
            let (ids, _) = world.open().listed(None).await;
            assert_eq!(ids.len(), 2, "{way} at {location}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_without_news_is_left_at_once() {
    let world = World::new();
    world.deliver(5);
    let (first, second) = (world.open(), world.open());
    let (ids, cursor) = first.listed(None).await;
    assert_eq!(ids.len(), 5);
    // There were messages to read: the session is kept for that, and keeps others out.
    let error = second.page(None, 10).await.unwrap_err();
    assert_eq!(error.code().as_str(), "mailbox-in-use");
    assert!(matches!(error.retry(), postroom_provider::Retry::After(_)));
    first.release().await;
    assert_eq!(second.listed(Some(cursor.clone())).await.0, []);
    assert_eq!(first.listed(Some(cursor)).await.0, []);
    second.source().list_folders(&second.ctx).await.unwrap();
    first.source().list_folders(&first.ctx).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_session_serves_a_whole_cycle() {
    let world = World::new();
    world.deliver(10);
    let mailbox = world.open();
    let (ids, cursor) = mailbox.listed(None).await;
    assert_eq!(mailbox.message_ids(&ids).await.len(), 10);
    assert_eq!(mailbox.content(&ids).await.len(), 10);
    mailbox.release().await;
    assert_eq!(world.server.sessions(), 1);
    // What the server offers is known by then.
    let before = world.server.requests();
    assert_eq!(mailbox.listed(Some(cursor)).await.0, []);
    assert_eq!(world.server.requests() - before, 3, "AUTH, UIDL, QUIT");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_leaves_no_half_of_a_dialogue() {
    let world = World::new();
    world.deliver(3);
    let mailbox = world.open();
    let (ids, _) = mailbox.listed(None).await;
    let slow = Pop3Fault::Slow(std::time::Duration::from_secs(60));
    world.server.arm(Pop3FaultRule::new(slow).on("RETR"));
    let within = std::time::Duration::from_secs(1);
    let dropped = tokio::time::timeout(within, mailbox.content(&ids)).await;
    assert!(dropped.is_err());
    world.server.disarm();
    world.server.offer(|offers| offers.lock = false);
    let content = mailbox.content(&ids).await;
    for (number, content) in content.iter().enumerate() {
        let text = String::from_utf8_lossy(content);
        assert!(text.ends_with(&format!("body {number}\r\n")), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_says_how_far_it_got() {
    let world = World::new();
    world.deliver(2);
    let report = world.probe().await;
    assert_eq!(report.first_failure(), None);
    let evidence: Vec<_> = report
        .steps
        .iter()
        .map(|step| step.evidence.as_str())
        .collect();
    assert!(evidence[0].contains("TLSv1_3"), "{evidence:?}");
    assert!(evidence[1].contains("simulator"), "{evidence:?}");
    assert_eq!(evidence[2], "2 messages");
    // Nobody is kept out.
    world.open().page(None, 10).await.unwrap();
    let mut world = World::new();
    world.password = "wrong".to_owned();
    let report = world.probe().await;
    let failed = report.first_failure().unwrap();
    assert_eq!(failed.as_str(), "credentials-rejected");
    let names: Vec<_> = report.steps.iter().map(|step| step.name).collect();
    assert_eq!(names, ["tls", "authenticate", "open inbox"]);
}
