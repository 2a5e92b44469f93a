//! Delivery status notifications come back to the email that they are about; automatic email is not answered
//! automatically.

use std::time::Duration;

use postroom_core::Code;
use postroom_core::email::DeliveryOutcome;
use postroom_core::ledger::{FilterReason, LedgerState};
use postroom_core::outbox::{OutboxEntry, OutboxState};
use postroom_core::tracking::CorrelationMethod;
use postroom_simulator::memory::{FaultEffect, MemoryFault};
use postroom_store_sqlite::{EmailStatus, NewEmail};

use crate::world::{ADA, DESK, JO, World};

const LATER: Duration = Duration::from_secs(900);

/// A report without any header that answers: what it belongs to stands in its body alone.
fn deliver_report(world: &World, message_id: &str, recipients: &str) {
    let headers = "From: Mail Delivery System <MAILER-DAEMON@mx.example>\r\n\
        Subject: Delivery Status Notification\r\nMessage-ID: <report@mx.example>\r\n\
        Date: Tue, 14 Nov 2023 22:20:00 +0000\r\n\
        Content-Type: multipart/report; report-type=delivery-status; boundary=b";
    let body = format!(
        "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; mx.example\r\n\r\n{recipients}\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n\
         Message-ID: <{message_id}>\r\n\r\n--b--\r\n"
    );
    let to = format!("To: {ADA}\r\n{headers}");
    world.deliver(&[ADA], &to, &body);
}

fn said(recipient: &str, action: &str, status: &str) -> String {
    format!("Final-Recipient: rfc822; {recipient}\r\nAction: {action}\r\nStatus: {status}\r\n\r\n")
}

async fn entry_of(world: &World, record: postroom_core::RecordId) -> OutboxEntry {
    let outbox = world.outbox().await;
    outbox
        .into_iter()
        .find(|entry| entry.record == Some(record))
        .unwrap()
}

/// What is known of the recipients; nothing where it is not sent.
fn outcomes(entry: &OutboxEntry) -> Vec<(String, DeliveryOutcome)> {
    match &entry.state {
        OutboxState::Sent { receipt, .. } => receipt
            .deliveries
            .iter()
            .map(|said| (said.address.as_str().to_owned(), said.outcome))
            .collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn a_report_is_recorded_with_its_email_and_tells_of_the_recipient() {
    let world = World::ready().await;
    let record = world.ada_writes("Offer").await;
    world.step().await;
    let entry = entry_of(&world, record).await;
    deliver_report(
        &world,
        entry.message_id.as_str(),
        &said(JO, "delayed", "4.4.1"),
    );
    world.pass(LATER).await;
    let delayed = outcomes(&entry_of(&world, record).await);
    assert_eq!(delayed, [(JO.to_owned(), DeliveryOutcome::Delayed)]);
    assert!(!world.alert_codes().await.contains(&Code::DeliveryFailed));
    let report = world
        .emails()
        .await
        .into_iter()
        .find(|email| email.headers.subject.contains("Notification"))
        .unwrap();
    assert_eq!(
        report.correlated,
        Some((record, CorrelationMethod::DeliveryReport))
    );

    let again = entry.message_id.as_str().to_owned();
    deliver_report_again(&world, &again);
    world.pass(LATER).await;
    let failed = outcomes(&entry_of(&world, record).await);
    assert_eq!(failed, [(JO.to_owned(), DeliveryOutcome::Failed)]);
    let alerts = world.open_alerts().await;
    let alert = alerts
        .iter()
        .find(|alert| alert.incident.code == Code::DeliveryFailed)
        .unwrap();
    assert_eq!(alert.details["status"], "5.1.1");
    assert!(!format!("{alert:?}").contains(JO), "{alert:?}");
}

/// The last word, in a report of its own.
fn deliver_report_again(world: &World, message_id: &str) {
    let body = format!(
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nOriginal-Message-ID: <{message_id}>\r\n\r\n{}\r\n--b--\r\n",
        said(JO, "failed", "5.1.1")
    );
    let headers = format!(
        "To: {ADA}\r\nFrom: postmaster@mx.example\r\nSubject: Undeliverable\r\nMessage-ID: <second@mx.example>\r\n\
         Content-Type: multipart/report; boundary=b; report-type=\"delivery-status\""
    );
    world.deliver(&[ADA], &headers, &body);
}

#[tokio::test]
async fn a_report_ends_the_doubt_whether_an_email_was_sent() {
    let mut world = World::ready().await;
    world.server = world.server.clone().with_capabilities(|offers| {
        offers.submit_staged = false;
        offers.submit_traceable = false;
    });
    world.restart(None);
    let lost = MemoryFault::new(FaultEffect::LoseAnswer).on("submit.send");
    world.server.arm(lost.times(1));
    let record = world.ada_writes("Offer").await;
    world.step().await;
    world.pass(LATER).await;
    assert!(world.alert_codes().await.contains(&Code::OutcomeUnknown));
    let entry = entry_of(&world, record).await;
    deliver_report(
        &world,
        entry.message_id.as_str(),
        &said(JO, "delivered", "2.0.0"),
    );
    world.pass(LATER).await;
    let told = outcomes(&entry_of(&world, record).await);
    assert_eq!(told, [(JO.to_owned(), DeliveryOutcome::Delivered)]);
    assert!(!world.alert_codes().await.contains(&Code::OutcomeUnknown));
    let view = world.crm().email(record).await.unwrap().unwrap();
    assert_eq!(view.summary.status, EmailStatus::Sent);
}

#[tokio::test]
async fn what_is_said_about_strangers_or_other_mail_changes_nothing() {
    let world = World::ready().await;
    let record = world.ada_writes("Offer").await;
    world.step().await;
    let before = entry_of(&world, record).await;
    let nobody = "0f0f0f0f-0000-4000-8000-000000000000@contoso.example";
    deliver_report(&world, nobody, &said(JO, "failed", "5.1.1"));
    world.pass(LATER).await;
    assert_eq!(entry_of(&world, record).await.state, before.state);
    assert!(!world.alert_codes().await.contains(&Code::DeliveryFailed));
}

#[tokio::test]
async fn a_report_on_a_test_message_is_no_record() {
    let world = World::ready().await;
    let own = world
        .outbox()
        .await
        .into_iter()
        .find(|entry| entry.record.is_none())
        .unwrap();
    deliver_report(
        &world,
        own.message_id.as_str(),
        &said(ADA, "failed", "5.2.2"),
    );
    world.pass(LATER).await;
    let filtered = LedgerState::Filtered {
        reason: FilterReason::OwnMessage,
    };
    let ledger = world.ledger().await;
    let newest = ledger.iter().max_by_key(|entry| entry.received_at).unwrap();
    assert_eq!(newest.state, filtered);
    assert!(!world.alert_codes().await.contains(&Code::DeliveryFailed));
}

#[tokio::test]
async fn an_automatic_answer_goes_to_people_and_never_to_programs() {
    let world = World::ready().await;
    let more = "\r\nAuto-Submitted: auto-replied";
    world.mail_from_jo(&[DESK], "absent@x", "I am away", more);
    world.mail_from_jo(&[DESK], "question@x", "A question", "");
    world.pass(LATER).await;
    let mut answers = Vec::new();
    for (subject, automatic) in [
        ("I am away", true),
        ("A question", true),
        ("I am away", false),
    ] {
        let emails = world.emails().await;
        let answered = emails
            .iter()
            .find(|email| email.headers.subject == subject)
            .unwrap();
        let from: postroom_core::EmailAddress = DESK.parse().unwrap();
        let answer = format!("Got it: {subject} {automatic}");
        let mut email = NewEmail::new(world.desk, from.into(), answer);
        let jo: postroom_core::EmailAddress = JO.parse().unwrap();
        email.to = vec![jo.into()];
        email.in_reply_to = Some(answered.record);
        email.automatic = automatic;
        let now = postroom_provider::Clock::now(&*world.clock);
        answers.push(world.crm().send_email(&email, now).await.unwrap());
    }
    world.step().await;
    world.pass(LATER).await;
    let mut statuses = Vec::new();
    for record in answers {
        let view = world.crm().email(record).await.unwrap().unwrap();
        statuses.push(view.summary.status);
    }
    let expected = [EmailStatus::Failed, EmailStatus::Sent, EmailStatus::Sent];
    assert_eq!(statuses, expected);
    let outside = world.server.mail().outside();
    let sent: Vec<_> = outside
        .iter()
        .map(|message| String::from_utf8_lossy(&message.content).into_owned())
        .collect();
    let to_a_person = sent
        .iter()
        .find(|text| text.contains("A question true"))
        .unwrap();
    assert!(
        to_a_person.contains("Auto-Submitted: auto-replied"),
        "{to_a_person}"
    );
    assert!(!sent.iter().any(|text| text.contains("I am away true")));
}
