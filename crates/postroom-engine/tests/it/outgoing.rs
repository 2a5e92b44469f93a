//! Outgoing email.

use std::time::Duration;

use postroom_core::Code;
use postroom_core::outbox::OutboxState;
use postroom_engine::OutgoingDecision;
use postroom_provider::{Clock as _, ErrorKind};
use postroom_simulator::memory::{FaultEffect, MemoryFault};
use postroom_simulator::model::WellKnown;
use postroom_store_sqlite::{EmailStatus, NewEmail};

use crate::world::{ADA, World};

const LATER: Duration = Duration::from_secs(900);

async fn status(world: &World, record: postroom_core::RecordId) -> EmailStatus {
    world
        .crm()
        .email(record)
        .await
        .unwrap()
        .unwrap()
        .summary
        .status
}

#[tokio::test]
async fn an_email_goes_out_once_with_its_token_and_the_record_says_so() {
    let world = World::ready().await;
    let record = world.ada_writes("Offer").await;
    world.step().await;
    assert_eq!(
        world.seen_outside("Offer"),
        1,
        "no waiting for the polling interval"
    );
    assert_eq!(status(&world, record).await, EmailStatus::Sent);
    let outside = world.server.mail().outside();
    let text = String::from_utf8_lossy(&outside[0].content).into_owned();
    assert!(text.contains("CRM:001001"), "{text}");
    assert_eq!(world.in_folder(ADA, WellKnown::SentItems, "Offer"), 1);
    world.pass(LATER).await;
    assert_eq!(world.seen_outside("Offer"), 1);
}

#[tokio::test]
async fn a_lost_answer_is_reconciled_and_not_sent_again() {
    let world = World::ready().await;
    world.server.arm(
        MemoryFault::new(FaultEffect::LoseAnswer)
            .on("submit.send")
            .times(1),
    );
    let record = world.ada_writes("Offer").await;
    world.step().await;
    world.pass(LATER).await;
    assert_eq!(world.seen_outside("Offer"), 1);
    assert_eq!(status(&world, record).await, EmailStatus::Sent);
}

#[tokio::test]
async fn a_break_before_sending_sends_the_same_draft() {
    let world = World::ready().await;
    world.server.arm(
        MemoryFault::new(FaultEffect::DropBeforeEffect)
            .on("submit.send")
            .times(1),
    );
    let record = world.ada_writes("Offer").await;
    world.step().await;
    for _ in 0..3 {
        world.pass(LATER).await;
    }
    assert_eq!(world.seen_outside("Offer"), 1);
    assert_eq!(status(&world, record).await, EmailStatus::Sent);
    assert_eq!(
        world.in_folder(ADA, WellKnown::Drafts, "Offer"),
        0,
        "no draft stays behind"
    );
}

#[tokio::test]
async fn what_cannot_be_traced_is_held_until_somebody_decides() {
    let mut world = World::ready().await;
    // A server that neither stages nor files copies, as plain SMTP.
    world.server = world.server.clone().with_capabilities(|offers| {
        offers.submit_staged = false;
        offers.submit_traceable = false;
    });
    world.restart(None);
    world.server.arm(
        MemoryFault::new(FaultEffect::LoseAnswer)
            .on("submit.send")
            .times(1),
    );
    let record = world.ada_writes("Offer").await;
    world.step().await;
    world.pass(LATER).await;
    world.pass(LATER).await;
    assert_eq!(
        world.seen_outside("Offer"),
        1,
        "it did leave, but nobody can know"
    );
    assert_eq!(status(&world, record).await, EmailStatus::Unknown);
    assert!(world.alert_codes().await.contains(&Code::OutcomeUnknown));
    let entry = world
        .outbox()
        .await
        .into_iter()
        .find(|entry| entry.record == Some(record))
        .unwrap();
    let admin = world.admin();
    let decided = admin
        .decide_outgoing(&world.operator, entry.id, OutgoingDecision::Sent)
        .await
        .unwrap();
    assert!(matches!(decided.state, OutboxState::Sent { .. }));
    assert_eq!(status(&world, record).await, EmailStatus::Sent);
    assert!(!world.alert_codes().await.contains(&Code::OutcomeUnknown));
    let again = admin
        .decide_outgoing(&world.operator, entry.id, OutgoingDecision::Resend)
        .await;
    assert_eq!(
        again.unwrap_err().kind(),
        postroom_engine::ErrorKind::Conflict
    );
}

#[tokio::test]
async fn a_permanent_refusal_fails_the_email_and_the_rest_goes_on() {
    let world = World::ready().await;
    let refusal = FaultEffect::Refuse(ErrorKind::PermissionDenied, Code::SendAsDenied);
    world
        .server
        .arm(MemoryFault::new(refusal).on("submit.send").times(1));
    let refused = world.ada_writes("First").await;
    let sent = world.ada_writes("Second").await;
    world.step().await;
    assert_eq!(status(&world, refused).await, EmailStatus::Failed);
    assert_eq!(status(&world, sent).await, EmailStatus::Sent);
    assert!(world.alert_codes().await.contains(&Code::SendAsDenied));
    assert!(world.mailbox(world.ada_mailbox).await.outgoing.enabled);
}

#[tokio::test]
async fn nobody_sends_in_a_name_that_has_no_mailbox() {
    let world = World::ready().await;
    let stranger: postroom_core::EmailAddress = "stranger@contoso.example".parse().unwrap();
    let mut email = NewEmail::new(world.ada, stranger.into(), "Hello");
    email.to = vec![
        "x@y.example"
            .parse::<postroom_core::EmailAddress>()
            .unwrap()
            .into(),
    ];
    let record = world
        .crm()
        .send_email(&email, world.clock.now())
        .await
        .unwrap();
    world.step().await;
    assert_eq!(status(&world, record).await, EmailStatus::Failed);
    assert_eq!(world.seen_outside("Hello"), 0);
}

#[tokio::test]
async fn an_unapproved_mailbox_sends_nothing_until_it_is_approved() {
    let world = World::ready().await;
    let ids = [world.ada_mailbox];
    world
        .admin()
        .reject(&world.operator, &ids)
        .await
        .remove(0)
        .1
        .unwrap();
    let record = world.ada_writes("Held").await;
    world.pass(LATER).await;
    assert_eq!(world.seen_outside("Held"), 0);
    assert!(world.alert_codes().await.contains(&Code::NotApproved));
    let explained = world
        .admin()
        .explain(&world.operator, &record.to_string())
        .await
        .unwrap();
    let why = explained[0].why_not_yet.clone().unwrap_or_default();
    assert!(why.contains("not approved"), "{why}");
    world
        .admin()
        .approve(&world.operator, &ids)
        .await
        .remove(0)
        .1
        .unwrap();
    world.step().await;
    assert_eq!(world.seen_outside("Held"), 1);
    assert!(!world.alert_codes().await.contains(&Code::NotApproved));
}

#[tokio::test]
async fn a_draft_that_somebody_sent_by_hand_is_not_sent_again() {
    let world = World::ready().await;
    world.server.arm(
        MemoryFault::new(FaultEffect::Unavailable)
            .on("submit.send")
            .times(1),
    );
    let record = world.ada_writes("Offer").await;
    world.step().await;
    assert_eq!(world.in_folder(ADA, WellKnown::Drafts, "Offer"), 1);
    let mail = world.server.mail();
    let ada = mail.account(ADA).unwrap();
    let drafts = mail.well_known(ada, WellKnown::Drafts).unwrap();
    let sent_items = mail.well_known(ada, WellKnown::SentItems).unwrap();
    let draft = mail.items(drafts)[0].id;
    mail.send_item(draft, None, Some(sent_items)).unwrap();
    for _ in 0..3 {
        world.pass(LATER).await;
    }
    assert_eq!(world.seen_outside("Offer"), 1);
    assert_eq!(status(&world, record).await, EmailStatus::Sent);
}

#[tokio::test]
async fn an_email_that_breaks_the_connection_lets_those_behind_it_go_first() {
    let world = World::ready().await;
    world.server.arm(
        MemoryFault::new(FaultEffect::DropBeforeEffect)
            .on("submit.stage")
            .times(1),
    );
    world.ada_writes("Poison").await;
    world.ada_writes("Harmless").await;
    world.step().await;
    world.pass(Duration::from_secs(40)).await;
    assert_eq!(world.seen_outside("Harmless"), 1);
    assert_eq!(world.seen_outside("Poison"), 0, "it waits a minute");
    world.pass(LATER).await;
    assert_eq!(world.seen_outside("Poison"), 1);
}

#[tokio::test]
async fn an_email_that_is_on_its_way_is_not_called_back() {
    let world = World::ready().await;
    let record = world.ada_writes("Too late").await;
    world.server.arm(MemoryFault::new(FaultEffect::Unavailable));
    world.pass(Duration::from_secs(900)).await;
    let refused = world.crm().cancel(record).await.unwrap_err();
    assert_eq!(refused.kind(), postroom_store::ErrorKind::Conflict);
    world.server.disarm();
    for _ in 0..4 {
        world.pass(Duration::from_secs(900)).await;
    }
    assert_eq!(world.seen_outside("Too late"), 1);
    let early = world.ada_writes("In time").await;
    world.crm().cancel(early).await.unwrap();
    world.pass(Duration::from_secs(900)).await;
    assert_eq!(world.seen_outside("In time"), 0);
}
