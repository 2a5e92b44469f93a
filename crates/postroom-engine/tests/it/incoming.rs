//! Incoming email.

use std::time::Duration;

use postroom_core::ledger::{FilterReason, LedgerState};
use postroom_core::tracking::{CorrelationMethod, TrackingFilter};
use postroom_engine::MailboxEdit;
use postroom_simulator::memory::{FaultEffect, MemoryFault, remote_id};
use postroom_simulator::model::WellKnown;

use crate::world::{ADA, DESK, JO, World, is_delivered};

const LATER: Duration = Duration::from_secs(900);

#[tokio::test]
async fn a_cold_mail_is_tracked_for_the_queue_and_refused_for_the_user() {
    let world = World::ready().await;
    world.mail_from_jo(&[DESK], "cold-desk@x", "For the desk", "");
    world.mail_from_jo(&[ADA], "cold-ada@x", "For Ada", "");
    world.pass(LATER).await;
    let emails = world.emails().await;
    assert_eq!(emails.len(), 1, "{emails:?}");
    let view = world.crm().email(emails[0].record).await.unwrap().unwrap();
    assert_eq!(view.accepting, Some(world.desk));
    assert_eq!(
        view.parties[0].parties,
        [world.jo],
        "the sender is the contact"
    );
    assert_eq!(view.text.as_deref().map(str::trim), Some("Hello."));
    let refused = world.ledger().await.into_iter().find(|row| {
        matches!(
            row.state,
            LedgerState::Filtered {
                reason: FilterReason::NoFilterAccepts
            }
        )
    });
    let refused = refused.expect("Ada's filter takes replies only");
    let explained = world
        .admin()
        .explain(&world.operator, &refused.id.to_string())
        .await
        .unwrap();
    assert!(
        explained[0]
            .evidence
            .iter()
            .any(|line| line.contains("replies_to_crm_email")),
        "{explained:?}"
    );
    let queue = world
        .crm()
        .queue_items(Some(world.desk), postroom_store::Page::first(10))
        .await;
    assert_eq!(queue.unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_message_in_two_mailboxes_is_one_record() {
    let world = World::ready().await;
    world.mail_from_jo(&[ADA, DESK], "both@x", "To both", "");
    world.pass(LATER).await;
    assert_eq!(world.emails().await.len(), 1);
    let delivered: Vec<_> = world
        .ledger()
        .await
        .into_iter()
        .filter(is_delivered)
        .collect();
    assert_eq!(delivered.len(), 2, "both copies are accounted for");
}

#[tokio::test]
async fn the_same_message_twice_in_one_batch_is_one_record() {
    let world = World::ready().await;
    world.mail_from_jo(&[DESK], "twice@x", "Twice", "");
    world.mail_from_jo(&[DESK], "twice@x", "Twice", "");
    world.pass(LATER).await;
    assert_eq!(world.emails().await.len(), 1);
    let made = world
        .ledger()
        .await
        .into_iter()
        .filter(|row| matches!(row.state, LedgerState::Delivered { created: true, .. }))
        .count();
    assert_eq!(made, 1);
}

#[tokio::test]
async fn a_reply_finds_its_email_and_the_answer_to_it_in_the_same_batch() {
    let world = World::ready().await;
    let record = world.ada_writes("Offer").await;
    world.pass(LATER).await;
    let sent = world.crm().email(record).await.unwrap().unwrap();
    let id = world.outbox().await[0].message_id.clone();
    world.mail_from_jo(
        &[ADA],
        "reply@x",
        &format!("Re: {}", sent.summary.subject_with_token()),
        &format!("\r\nIn-Reply-To: {id}"),
    );
    // Answers the reply, which nobody has recorded yet.
    world.clock.advance(Duration::from_secs(1));
    world.mail_from_jo(
        &[ADA],
        "again@x",
        "something else",
        "\r\nIn-Reply-To: <reply@x>",
    );
    world.pass(LATER).await;
    let emails = world.emails().await;
    assert_eq!(emails.len(), 3, "{:?}", world.states().await);
    let by = |subject: &str| {
        let found = emails
            .iter()
            .find(|email| email.headers.subject.contains(subject));
        found.expect("recorded").record
    };
    let reply = world.crm().email(by("Re: Offer")).await.unwrap().unwrap();
    assert_eq!(
        reply.summary.correlated,
        Some((record, CorrelationMethod::InReplyTo))
    );
    let again = world
        .crm()
        .email(by("something else"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        again.summary.correlated,
        Some((reply.summary.record, CorrelationMethod::InReplyTo))
    );
}

#[tokio::test]
async fn a_token_alone_is_enough() {
    let world = World::ready().await;
    let record = world.ada_writes("Offer").await;
    world.pass(LATER).await;
    let sent = world.crm().email(record).await.unwrap().unwrap();
    let subject = sent.summary.subject_with_token();
    assert!(subject.contains("CRM:"), "{subject}");
    world.mail_from_jo(&[ADA], "token@x", &format!("Re: {subject}"), "");
    world.pass(LATER).await;
    let reply = world
        .emails()
        .await
        .into_iter()
        .find(|email| email.record != record)
        .unwrap();
    assert_eq!(
        reply.correlated,
        Some((record, CorrelationMethod::TrackingToken))
    );
}

#[tokio::test]
async fn test_messages_are_nobodys_email() {
    let world = World::ready().await;
    assert_eq!(world.in_folder(ADA, WellKnown::Inbox, "Test message"), 1);
    assert_eq!(world.emails().await.len(), 0);
    let reasons: Vec<_> = world
        .ledger()
        .await
        .into_iter()
        .map(|row| row.state)
        .collect();
    assert_eq!(reasons.len(), 2);
    for state in reasons {
        assert_eq!(
            state,
            LedgerState::Filtered {
                reason: FilterReason::OwnMessage
            }
        );
    }
}

#[tokio::test]
async fn an_email_of_ours_met_in_an_inbox_joins_its_record() {
    let world = World::ready().await;
    let from: postroom_core::EmailAddress = ADA.parse().unwrap();
    let mut email = postroom_store_sqlite::NewEmail::new(world.ada, from.into(), "Handover");
    let desk: postroom_core::EmailAddress = DESK.parse().unwrap();
    email.to = vec![desk.into()];
    email.text = Some("Please take over".to_owned());
    let record = world
        .crm()
        .send_email(&email, postroom_provider::Clock::now(&*world.clock))
        .await
        .unwrap();
    world.pass(LATER).await;
    world.pass(LATER).await;
    assert_eq!(world.in_folder(DESK, WellKnown::Inbox, "Handover"), 1);
    assert_eq!(
        world.emails().await.len(),
        1,
        "one activity stands for both"
    );
    let joined = world.ledger().await.into_iter().find(is_delivered).unwrap();
    assert_eq!(
        joined.state,
        LedgerState::Delivered {
            record,
            created: false
        }
    );
}

#[tokio::test]
async fn mail_from_before_the_mailbox_was_enabled_is_left_alone() {
    let world = World::bare().await;
    world.mail_from_jo(&[DESK], "old@x", "Old", "");
    world.clock.advance(LATER);
    let ids = [world.desk_mailbox];
    world
        .admin()
        .approve(&world.operator, &ids)
        .await
        .remove(0)
        .1
        .unwrap();
    let kind = postroom_core::job::JobKind::TestAndEnable;
    world
        .admin()
        .test_mailbox(&world.operator, ids[0], kind)
        .await
        .unwrap();
    world.pass(LATER).await;
    assert_eq!(world.emails().await.len(), 0);
    let states: Vec<_> = world
        .ledger()
        .await
        .into_iter()
        .map(|row| row.state)
        .collect();
    assert!(
        states.contains(&LedgerState::Filtered {
            reason: FilterReason::BeforeStart
        }),
        "{states:?}"
    );
}

#[tokio::test]
async fn a_lost_cursor_makes_nothing_twice() {
    let world = World::ready().await;
    for n in 0..20 {
        world.mail_from_jo(&[DESK], &format!("m{n}@x"), &format!("Number {n}"), "");
    }
    world.pass(LATER).await;
    assert_eq!(world.emails().await.len(), 20);
    let mail = world.server.mail();
    let inbox = mail
        .well_known(mail.account(DESK).unwrap(), WellKnown::Inbox)
        .unwrap();
    mail.invalidate_sync(inbox).unwrap();
    world.mail_from_jo(&[DESK], "new@x", "Number new", "");
    world.pass(LATER).await;
    assert_eq!(world.emails().await.len(), 21);
    assert!(
        world
            .states()
            .await
            .iter()
            .all(|(state, _)| state != "pending")
    );
}

#[tokio::test]
async fn a_setting_changes_what_is_tracked_and_a_replay_brings_it_in() {
    let world = World::ready().await;
    world.mail_from_jo(&[ADA], "cold@x", "Cold", "");
    world.pass(LATER).await;
    assert_eq!(world.emails().await.len(), 0);
    let mut edit = MailboxEdit::new();
    edit.filter = Some(TrackingFilter::FromLeadsContactsAccounts);
    world
        .admin()
        .edit_mailbox(&world.operator, world.ada_mailbox, &edit)
        .await
        .unwrap();
    let row = world
        .ledger()
        .await
        .into_iter()
        .find(|row| {
            matches!(
                row.state,
                LedgerState::Filtered {
                    reason: FilterReason::NoFilterAccepts
                }
            )
        })
        .unwrap();
    world.admin().replay(&world.operator, row.id).await.unwrap();
    world.step().await;
    let emails = world.emails().await;
    assert_eq!(emails.len(), 1);
    assert_eq!(
        emails[0].headers.from.as_ref().unwrap().address,
        JO.parse().unwrap()
    );
}

#[tokio::test]
async fn large_folders_are_worked_through_in_pages_and_batches() {
    let world = World::ready().await;
    for n in 0..700 {
        world.mail_from_jo(&[DESK], &format!("m{n}@x"), &format!("Number {n}"), "");
    }
    world.pass(LATER).await;
    assert_eq!(
        world.crm().count_emails(&Default::default()).await.unwrap(),
        700
    );
}

#[tokio::test]
async fn a_copy_of_a_message_that_fails_is_recorded_itself() {
    // In the same batch, and in the one after it.
    for between in [0, 520] {
        let world = World::ready().await;
        world.mail_from_jo(&[DESK], "copy@x", "Copied", "");
        let mail = world.server.mail();
        let inbox = mail
            .well_known(mail.account(DESK).unwrap(), WellKnown::Inbox)
            .unwrap();
        let first = mail
            .items(inbox)
            .into_iter()
            .find(|item| item.summary().subject == "Copied")
            .unwrap();
        for n in 0..between {
            world.clock.advance(Duration::from_secs(1));
            world.mail_from_jo(&[DESK], &format!("{n}@x"), "Other", "");
        }
        world.clock.advance(Duration::from_secs(1));
        world.mail_from_jo(&[DESK], "copy@x", "Copied", "");
        let corrupt = FaultEffect::Corrupt(remote_id(first.id));
        world.server.arm(MemoryFault::new(corrupt).on("mail.fetch"));
        for _ in 0..5 {
            world.pass(Duration::from_secs(3600)).await;
        }
        let emails = world.emails().await;
        for row in world.ledger().await {
            if let LedgerState::Delivered { record, .. } = row.state {
                let known = emails.iter().any(|email| email.record == record);
                assert!(known, "delivered to a record that does not exist: {row:?}");
            }
        }
        let copies = emails
            .iter()
            .filter(|email| email.headers.subject == "Copied");
        assert_eq!(copies.count(), 1);
    }
}

#[tokio::test]
async fn a_mailbox_that_was_moved_to_another_server_goes_on() {
    let world = World::ready().await;
    world.mail_from_jo(&[DESK], "before@fabrikam.example", "Before", "");
    world.pass(Duration::from_secs(600)).await;
    let recorded = world.emails().await.len();

    // Same mail, other ids: of the messages and of the Inbox itself.
    let mail = world.server.mail();
    let account = mail.account(DESK).unwrap();
    mail.migrate(account, true).unwrap();
    world.mail_from_jo(&[DESK], "after@fabrikam.example", "After", "");
    world.pass(Duration::from_secs(3600)).await;

    let desk = world.mailbox(world.desk_mailbox).await;
    assert!(desk.incoming.enabled, "{:?}", desk.incoming.health);
    assert_eq!(world.emails().await.len(), recorded + 1);
}

#[tokio::test]
async fn what_waits_in_an_inbox_that_is_no_more_switches_nothing_off() {
    let world = World::ready().await;
    world.server.arm(
        MemoryFault::new(FaultEffect::Unavailable)
            .on("mail.headers")
            .for_account(DESK),
    );
    world.mail_from_jo(&[DESK], "waits@fabrikam.example", "It waits", "");
    world.pass(Duration::from_secs(600)).await;
    assert!(world.states().await.contains(&("pending".to_owned(), 1)));
    // The mailbox is moved while the message waits for its next attempt.
    let mail = world.server.mail();
    mail.migrate(mail.account(DESK).unwrap(), true).unwrap();
    world.server.disarm();
    for _ in 0..3 {
        world.pass(Duration::from_secs(3600)).await;
    }
    let desk = world.mailbox(world.desk_mailbox).await;
    assert!(desk.incoming.enabled, "{:?}", desk.incoming.health);
    assert_eq!(world.emails().await.len(), 1);
    let left: Vec<_> = world
        .states()
        .await
        .into_iter()
        .map(|(state, _)| state)
        .collect();
    assert!(!left.contains(&"pending".to_owned()), "{left:?}");
}
