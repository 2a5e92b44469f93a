//! Servers and messages in trouble.

use std::time::Duration;

use postroom_core::alert::Subject;
use postroom_core::health::Health;
use postroom_core::job::JobKind;
use postroom_core::ledger::LedgerState;
use postroom_core::{Code, HolderId, Workload};
use postroom_provider::{Clock as _, ErrorKind};
use postroom_simulator::memory::{FaultEffect, MemoryFault, remote_id};
use postroom_simulator::model::{Disposal, WellKnown};
use postroom_store::LEASE_DURATION;

use crate::world::{ADA, DESK, World};

const LATER: Duration = Duration::from_secs(900);

#[tokio::test]
async fn an_outage_of_days_disables_nobody_and_says_so_once() {
    let world = World::ready().await;
    world.server.arm(MemoryFault::new(FaultEffect::Unavailable));
    world.mail_from_jo(&[DESK], "during@x", "During", "");
    let before = world.server.requests();
    for _ in 0..(3 * 24 * 4) {
        world.pass(LATER).await;
    }
    let requests = world.server.requests() - before;
    assert!(
        requests < 2 * 3 * 24 * 4 * 4,
        "{requests} requests: probes are slow"
    );
    let alerts = world.open_alerts().await;
    let about: Vec<_> = alerts
        .iter()
        .filter(|alert| alert.incident.code == Code::ServerUnavailable)
        .collect();
    assert_eq!(about.len(), 1, "{alerts:?}");
    assert!(matches!(about[0].incident.subject, Subject::Profile(_)));
    for id in [world.ada_mailbox, world.desk_mailbox] {
        let mailbox = world.mailbox(id).await;
        assert!(mailbox.incoming.enabled && mailbox.outgoing.enabled);
    }
    world.server.disarm();
    for _ in 0..4 {
        world.pass(LATER).await;
    }
    assert_eq!(world.emails().await.len(), 1, "it resumes by itself");
    let codes = world.alert_codes().await;
    assert!(!codes.contains(&Code::ServerUnavailable), "{codes:?}");
    assert!(!codes.contains(&Code::ProfileFailing), "{codes:?}");
    let mailbox = world.mailbox(world.desk_mailbox).await;
    assert_eq!(mailbox.incoming.health, Health::Healthy);
}

#[tokio::test]
async fn a_bad_message_costs_three_attempts_and_the_rest_goes_on_at_once() {
    let world = World::ready().await;
    let mut profile = world
        .admin()
        .profile(&world.operator, world.profile)
        .await
        .unwrap();
    profile.move_undelivered = true;
    world
        .admin()
        .update_profile(&world.operator, &profile)
        .await
        .unwrap();
    world.mail_from_jo(&[DESK], "a@x", "Good one", "");
    world.mail_from_jo(&[DESK], "b@x", "Bad", "");
    world.mail_from_jo(&[DESK], "c@x", "Good two", "");
    let mail = world.server.mail();
    let inbox = mail
        .well_known(mail.account(DESK).unwrap(), WellKnown::Inbox)
        .unwrap();
    let bad = mail
        .items(inbox)
        .into_iter()
        .find(|item| item.summary().subject == "Bad")
        .unwrap();
    world
        .server
        .arm(MemoryFault::new(FaultEffect::Corrupt(remote_id(bad.id))));
    world.pass(LATER).await;
    assert_eq!(
        world.emails().await.len(),
        2,
        "the rest goes on in the same cycle"
    );
    for _ in 0..3 {
        world.pass(Duration::from_secs(3600)).await;
    }
    let row = world
        .ledger()
        .await
        .into_iter()
        .find(|row| matches!(row.state, LedgerState::Quarantined { .. }))
        .expect("set aside");
    assert_eq!(
        row.state,
        LedgerState::Quarantined {
            code: Code::ItemCorrupt,
            raw_kept: false
        }
    );
    assert!(
        world
            .alert_codes()
            .await
            .contains(&Code::MessageQuarantined)
    );
    assert!(world.mailbox(world.desk_mailbox).await.incoming.enabled);
    assert_eq!(
        world.in_folder(DESK, WellKnown::Inbox, "Bad"),
        0,
        "moved to Undeliverable"
    );
    // The cause is mended, somebody replays it from where it lies now.
    world.server.disarm();
    world.admin().replay(&world.operator, row.id).await.unwrap();
    world.step().await;
    assert_eq!(world.emails().await.len(), 3);
    assert!(
        !world
            .alert_codes()
            .await
            .contains(&Code::MessageQuarantined)
    );
}

#[tokio::test]
async fn bytes_that_are_no_message_are_kept_raw() {
    let world = World::ready().await;
    let mail = world.server.mail();
    let inbox = mail
        .well_known(mail.account(DESK).unwrap(), WellKnown::Inbox)
        .unwrap();
    let bytes = &b"\x00\x01\x02 nothing like a header\x00\r\n"[..];
    let mut item = postroom_simulator::model::NewItem::message(bytes);
    item.draft = false;
    mail.append(inbox, item).unwrap();
    for _ in 0..5 {
        world.pass(Duration::from_secs(3600)).await;
    }
    let rows = world.ledger().await;
    let row = rows
        .iter()
        .find(|row| matches!(row.state, LedgerState::Quarantined { .. }));
    let row = row.unwrap_or_else(|| panic!("{rows:?}"));
    let raw = world
        .admin()
        .quarantined_raw(&world.operator, row.id)
        .await
        .unwrap();
    assert!(raw.is_some());
}

#[tokio::test]
async fn wrong_credentials_disable_and_test_and_enable_mends() {
    let world = World::ready().await;
    let refusal = FaultEffect::Refuse(ErrorKind::Unauthenticated, Code::CredentialsRejected);
    world.server.arm(MemoryFault::new(refusal).for_account(ADA));
    world.pass(LATER).await;
    let mailbox = world.mailbox(world.ada_mailbox).await;
    assert!(!mailbox.incoming.enabled);
    assert!(matches!(
        mailbox.incoming.health,
        Health::Disabled {
            code: Code::CredentialsRejected,
            ..
        }
    ));
    assert!(
        world.mailbox(world.desk_mailbox).await.incoming.enabled,
        "others go on"
    );
    world.server.disarm();
    let kind = JobKind::TestAndEnable;
    let job = world
        .admin()
        .test_mailbox(&world.operator, world.ada_mailbox, kind)
        .await
        .unwrap();
    world.step().await;
    let job = world.admin().job(&world.operator, job.id).await.unwrap();
    assert!(
        job.steps.iter().all(|step| step.failure.is_none()),
        "{:?}",
        job.steps
    );
    let mailbox = world.mailbox(world.ada_mailbox).await;
    assert!(mailbox.incoming.enabled && mailbox.outgoing.enabled);
    assert_eq!(mailbox.incoming.health, Health::Healthy);
    assert!(
        !world
            .alert_codes()
            .await
            .contains(&Code::CredentialsRejected)
    );
}

#[tokio::test]
async fn a_throttling_server_is_left_alone_for_as_long_as_it_asks() {
    let world = World::ready().await;
    let hint = Some(Duration::from_secs(3600));
    world
        .server
        .arm(MemoryFault::new(FaultEffect::Throttle(hint)).times(1));
    world.pass(LATER).await;
    let requests = world.server.requests();
    world.pass(Duration::from_secs(1800)).await;
    assert_eq!(world.server.requests(), requests, "not a single request");
    world.mail_from_jo(&[DESK], "after@x", "After", "");
    world.pass(Duration::from_secs(4000)).await;
    assert_eq!(world.emails().await.len(), 1);
}

#[tokio::test]
async fn the_application_being_down_is_nobodys_fault() {
    let mut world = World::ready().await;
    let fuse = crate::crash::Fuse::crm_down();
    world.restart(Some(&fuse));
    world.mail_from_jo(&[DESK], "m@x", "Wait for it", "");
    for _ in 0..10 {
        world.clock.advance(LATER);
        // The feed cannot be read either: the step says so.
        let _ = world.engine.step().await;
    }
    assert_eq!(world.emails().await.len(), 0);
    assert!(world.mailbox(world.desk_mailbox).await.incoming.enabled);
    world.restart(None);
    world.pass(LATER).await;
    assert_eq!(world.emails().await.len(), 1);
    let row = &world.ledger().await[0];
    assert!(crate::world::is_delivered(row), "{row:?}");
}

#[tokio::test]
async fn a_batch_whose_answer_breaks_off_is_tried_one_by_one() {
    let world = World::ready().await;
    for n in 0..5 {
        world.mail_from_jo(&[DESK], &format!("m{n}@x"), &format!("Number {n}"), "");
    }
    world.server.arm(
        MemoryFault::new(FaultEffect::LoseAnswer)
            .on("mail.fetch")
            .times(1),
    );
    world.pass(LATER).await;
    assert_eq!(world.emails().await.len(), 5, "in the same cycle");
    // One that breaks every answer it is in is to blame itself.
    world.mail_from_jo(&[DESK], "poison@x", "Poison", "");
    let mail = world.server.mail();
    let inbox = mail
        .well_known(mail.account(DESK).unwrap(), WellKnown::Inbox)
        .unwrap();
    let poison = mail
        .items(inbox)
        .into_iter()
        .find(|item| item.summary().subject == "Poison")
        .unwrap();
    let breaks = FaultEffect::BreaksOff(remote_id(poison.id));
    world.server.arm(MemoryFault::new(breaks).on("mail.fetch"));
    for _ in 0..4 {
        world.pass(Duration::from_secs(3600)).await;
    }
    assert!(
        world
            .states()
            .await
            .contains(&("quarantined".to_owned(), 1))
    );
    assert!(world.mailbox(world.desk_mailbox).await.incoming.enabled);
}

#[tokio::test]
async fn what_a_server_said_about_a_message_counts_though_its_batch_came_to_no_end() {
    let world = World::ready().await;
    world.mail_from_jo(&[DESK], "poison@x", "Poison", "");
    world.pass(Duration::from_secs(1)).await;
    world.mail_from_jo(&[DESK], "breaks@x", "Breaks", "");
    let mail = world.server.mail();
    let inbox = mail
        .well_known(mail.account(DESK).unwrap(), WellKnown::Inbox)
        .unwrap();
    let named = |subject: &str| {
        let mut items = mail.items(inbox).into_iter();
        let item = items.find(|item| item.summary().subject == subject);
        remote_id(item.unwrap().id)
    };
    let corrupt = FaultEffect::Corrupt(named("Poison"));
    world.server.arm(MemoryFault::new(corrupt));
    // The batch breaks off; one by one the first answer is clear, and at the second one the server is away.
    let breaks = FaultEffect::BreaksOff(named("Breaks"));
    world
        .server
        .arm(MemoryFault::new(breaks).on("mail.headers"));
    for _ in 0..24 {
        let away = MemoryFault::new(FaultEffect::Unavailable).on("mail.find_folder");
        world.server.arm(away.after(1).times(1));
        world.pass(LATER).await;
    }
    let states = world.states().await;
    assert!(
        states.contains(&("quarantined".to_owned(), 1)),
        "{states:?}"
    );
    assert!(states.contains(&("pending".to_owned(), 1)), "{states:?}");
}

#[tokio::test]
async fn a_worker_holds_its_lease_for_as_long_as_it_asks() {
    let world = World::ready().await;
    for number in 0..6 {
        world.mail_from_jo(&[DESK], &format!("{number}@x"), "Slowly", "");
    }
    let mail = world.server.mail();
    let inbox = mail
        .well_known(mail.account(DESK).unwrap(), WellKnown::Inbox)
        .unwrap();
    let poison = mail.items(inbox).pop().unwrap();
    // One answer breaks off, so that all are asked for one by one, which takes longer than a lease lasts.
    let breaks = FaultEffect::BreaksOff(remote_id(poison.id));
    world.server.arm(MemoryFault::new(breaks).on("mail.fetch"));
    let slow = FaultEffect::Slow(Duration::from_secs(40));
    world.server.arm(MemoryFault::new(slow).on("mail.fetch"));
    world.clock.advance(LATER);
    let before = world.clock.now();
    let another = async {
        loop {
            tokio::task::yield_now().await;
            let now = world.clock.now();
            if now == before {
                continue;
            }
            let (of, workload) = (world.desk_mailbox, Workload::Incoming);
            let holder = HolderId::from_random([9; 16]);
            let store = world.store();
            let lease = store
                .acquire_lease(of, workload, holder, now, LEASE_DURATION)
                .await
                .unwrap();
            if lease.is_some() {
                // The cycle's record is stored with the end of its lease.
                let mailbox = world.mailbox(of).await;
                let through = mailbox.incoming.last_succeeded > Some(before);
                assert!(through, "the lease ran out");
                return;
            }
        }
    };
    tokio::join!(world.step(), another);
    assert!(world.clock.now().since(before) > LEASE_DURATION * 2);
}

#[tokio::test]
async fn more_than_half_of_a_profile_failing_is_one_alert_for_its_owner() {
    let world = World::ready().await;
    let refusal = FaultEffect::Refuse(ErrorKind::Unauthenticated, Code::CredentialsRejected);
    let (admin, operator) = (world.admin(), &world.operator);
    let mut profile = admin.profile(operator, world.profile).await.unwrap();
    profile.email_alert_to_owner = true;
    profile.owner_address = Some("admin@elsewhere.example".parse().unwrap());
    admin.update_profile(operator, &profile).await.unwrap();
    world.server.arm(
        MemoryFault::new(refusal.clone())
            .on("mail.changes")
            .for_account(ADA),
    );
    world.pass(LATER).await;
    let codes = world.alert_codes().await;
    assert!(
        !codes.contains(&Code::ProfileFailing),
        "one of two is not more than half"
    );
    // Neither can be read any more, but both still send.
    world.server.arm(
        MemoryFault::new(refusal)
            .on("mail.changes")
            .for_account(DESK),
    );
    world.pass(LATER).await;
    world.pass(LATER).await;
    assert_eq!(world.seen_outside("Mailboxes of the profile Main fail"), 1);
    let alerts = world.open_alerts().await;
    let failing: Vec<_> = alerts
        .iter()
        .filter(|alert| alert.incident.code == Code::ProfileFailing)
        .collect();
    assert_eq!(failing.len(), 1, "{alerts:?}");
    assert_eq!(failing[0].incident.subject, Subject::Profile(world.profile));
    assert_eq!(
        failing[0].details.get("failing").map(String::as_str),
        Some("2")
    );
}

#[tokio::test]
async fn the_alert_about_a_profile_ends_with_a_successful_test_and_with_another_engine() {
    for restarts in [false, true] {
        let mut world = World::ready().await;
        let refusal = FaultEffect::Refuse(ErrorKind::Unauthenticated, Code::CredentialsRejected);
        world
            .server
            .arm(MemoryFault::new(refusal).on("mail.changes"));
        world.pass(LATER).await;
        world.pass(LATER).await;
        let failing = |codes: &[Code]| codes.contains(&Code::ProfileFailing);
        assert!(failing(&world.alert_codes().await));
        // Somebody mends it and tests both; nobody's cycle sees that anything was wrong.
        world.server.disarm();
        for mailbox in [world.ada_mailbox, world.desk_mailbox] {
            world
                .admin()
                .test_mailbox(&world.operator, mailbox, JobKind::TestAndEnable)
                .await
                .unwrap();
        }
        if restarts {
            world.restart(None);
        }
        world.pass(LATER).await;
        let codes = world.alert_codes().await;
        assert!(!failing(&codes), "restarts: {restarts}: {codes:?}");
    }
}

#[tokio::test]
async fn a_defect_on_our_side_disables_nobody() {
    let world = World::ready().await;
    let refusal = FaultEffect::Refuse(ErrorKind::InvalidInput, Code::InvalidInput);
    world
        .server
        .arm(MemoryFault::new(refusal).on("mail.changes"));
    world.mail_from_jo(&[DESK], "m@x", "Wait for it", "");
    world.pass(LATER).await;
    assert!(world.mailbox(world.desk_mailbox).await.incoming.enabled);
    assert!(world.alert_codes().await.contains(&Code::Internal));
    world.server.disarm();
    for _ in 0..2 {
        world.pass(LATER).await;
    }
    assert_eq!(world.emails().await.len(), 1);
    assert!(!world.alert_codes().await.contains(&Code::Internal));
}

#[tokio::test]
async fn nobody_is_disabled_in_silence_however_the_process_dies() {
    let mut call = 0;
    loop {
        let mut world = World::ready().await;
        let refusal = FaultEffect::Refuse(ErrorKind::Unauthenticated, Code::CredentialsRejected);
        world.server.arm(MemoryFault::new(refusal).for_account(ADA));
        world.clock.advance(LATER);
        let fuse = crate::crash::Fuse::new(call, true);
        world.restart(Some(&fuse));
        let _ = world.engine.step().await;
        world.restart(None);
        let mailbox = world.mailbox(world.ada_mailbox).await;
        if !(mailbox.incoming.enabled && mailbox.outgoing.enabled) {
            let codes = world.alert_codes().await;
            let told = codes.contains(&Code::CredentialsRejected);
            assert!(told, "died after call {call}: {codes:?}");
        }
        if !fuse.blown() {
            break;
        }
        call += 1;
    }
    assert!(call > 10, "only {call} calls: the fuse does not see them");
}

#[tokio::test]
async fn the_kept_raw_form_outlives_the_server_copy_and_a_replay() {
    let world = World::ready().await;
    let mail = world.server.mail();
    let inbox = mail
        .well_known(mail.account(DESK).unwrap(), WellKnown::Inbox)
        .unwrap();
    let bytes = &b"\x00\x01\x02 nothing like a header\x00\r\n"[..];
    let mut item = postroom_simulator::model::NewItem::message(bytes);
    item.draft = false;
    let item = mail.append(inbox, item).unwrap();
    for _ in 0..5 {
        world.pass(Duration::from_secs(3600)).await;
    }
    let quarantined = async || {
        let rows = world.ledger().await;
        let kept = |row: &postroom_core::ledger::LedgerEntry| {
            matches!(row.state, LedgerState::Quarantined { raw_kept: true, .. })
        };
        rows.into_iter().find(kept).map(|row| row.id)
    };
    let row = quarantined().await.expect("set aside");
    // Somebody tidies up, and somebody else replays.
    mail.delete_item(item.id, Disposal::Hard).unwrap();
    world.admin().replay(&world.operator, row).await.unwrap();
    for _ in 0..5 {
        world.pass(Duration::from_secs(3600)).await;
    }
    let raw = world.admin().quarantined_raw(&world.operator, row).await;
    assert!(raw.unwrap().is_some(), "the only copy there is");
}

#[tokio::test]
async fn a_server_that_reads_no_message_costs_no_message_an_attempt() {
    let world = World::ready().await;
    world.mail_from_jo(&[DESK], "before@x", "Before", "");
    world.pass(LATER).await;
    for operation in ["mail.headers", "mail.fetch"] {
        let refusal = FaultEffect::Refuse(ErrorKind::Internal, Code::ServerFault);
        world.server.arm(MemoryFault::new(refusal).on(operation));
    }
    for n in 0..3 {
        world.mail_from_jo(&[DESK], &format!("{n}@x"), "During", "");
    }
    for _ in 0..(24 * 4) {
        world.pass(LATER).await;
    }
    let rows = world.ledger().await;
    let untouched = |row: &&postroom_core::ledger::LedgerEntry| {
        matches!(row.state, LedgerState::Pending { attempts: 0, .. })
    };
    assert_eq!(rows.iter().filter(untouched).count(), 3, "{rows:?}");
    let mailbox = world.mailbox(world.desk_mailbox).await;
    assert!(mailbox.incoming.enabled);
    assert_ne!(mailbox.incoming.health, Health::Healthy);
    world.server.disarm();
    for _ in 0..4 {
        world.pass(LATER).await;
    }
    assert_eq!(world.emails().await.len(), 4, "it resumes by itself");
}

#[tokio::test]
async fn the_only_message_of_a_mailbox_does_not_hold_it_up_for_ever() {
    let world = World::ready().await;
    for operation in ["mail.headers", "mail.fetch"] {
        let refusal = FaultEffect::Refuse(ErrorKind::Internal, Code::ServerFault);
        world
            .server
            .arm(MemoryFault::new(refusal).on(operation).for_account(ADA));
    }
    // Nothing was ever read here that could tell a bad message from a bad server.
    let mail = world.server.mail();
    let ada = mail.account(ADA).unwrap();
    let inbox = mail.well_known(ada, WellKnown::Inbox).unwrap();
    for item in mail.items(inbox) {
        mail.delete_item(item.id, Disposal::Hard).unwrap();
    }
    world.mail_from_jo(&[ADA], "only@x", "Only", "");
    for _ in 0..24 {
        world.pass(Duration::from_secs(3600)).await;
    }
    let states = world.states().await;
    assert!(
        states.contains(&("quarantined".to_owned(), 1)),
        "{states:?}"
    );
}

#[tokio::test]
async fn the_alert_of_a_test_that_met_an_outage_ends_with_the_outage() {
    // Of outgoing email, too, though there is nothing to be sent that would show it.
    for operation in ["mail.changes", "submit.send"] {
        let world = World::ready().await;
        let refusal = FaultEffect::Refuse(ErrorKind::Unavailable, Code::ConnectionLost);
        world
            .server
            .arm(MemoryFault::new(refusal).on(operation).for_account(DESK));
        let (admin, kind) = (world.admin(), JobKind::TestAndEnable);
        admin
            .test_mailbox(&world.operator, world.desk_mailbox, kind)
            .await
            .unwrap();
        world.step().await;
        let codes = world.alert_codes().await;
        assert!(codes.contains(&Code::ConnectionLost), "{codes:?}");
        let desk = world.mailbox(world.desk_mailbox).await;
        assert!(desk.incoming.enabled && desk.outgoing.enabled);
        world.server.disarm();
        for _ in 0..8 {
            world.pass(LATER).await;
        }
        let codes = world.alert_codes().await;
        assert!(
            !codes.contains(&Code::ConnectionLost),
            "{operation}: {codes:?}"
        );
    }
}

/// While a cycle runs no time passes here, so that only work can end a turn.
#[tokio::test]
async fn a_server_that_says_there_is_more_and_tells_nothing_is_not_asked_for_ever() {
    let world = World::ready().await;
    let contradictory = MemoryFault::new(FaultEffect::ContradictoryPaging);
    world.server.arm(contradictory.on("mail.changes"));
    world.mail_from_jo(&[DESK], "a@x", "Between", "");
    let before = world.server.requests();
    for _ in 0..4 {
        world.pass(LATER).await;
    }
    let requests = world.server.requests() - before;
    assert!(requests < 100, "{requests} requests");
    let codes = world.alert_codes().await;
    assert!(codes.contains(&Code::ProtocolViolation), "{codes:?}");
    assert!(world.emails().await.is_empty());
    world.server.disarm();
    for _ in 0..4 {
        world.pass(LATER).await;
    }
    assert_eq!(world.emails().await.len(), 1);
    let codes = world.alert_codes().await;
    assert!(!codes.contains(&Code::ProtocolViolation), "{codes:?}");
}

#[tokio::test]
async fn a_bad_message_costs_its_attempts_beside_a_server_that_asks_to_slow_down() {
    let world = World::ready().await;
    world.mail_from_jo(&[DESK], "a@x", "Bad", "");
    world.mail_from_jo(&[DESK], "b@x", "Good", "");
    let mail = world.server.mail();
    let inbox = mail
        .well_known(mail.account(DESK).unwrap(), WellKnown::Inbox)
        .unwrap();
    let items = mail.items(inbox);
    let bad = items.iter().find(|item| item.summary().subject == "Bad");
    let corrupt = FaultEffect::Corrupt(remote_id(bad.unwrap().id));
    world.server.arm(MemoryFault::new(corrupt));
    let busy = MemoryFault::new(FaultEffect::Throttle(None));
    world.server.arm(busy.on("mail.fetch"));
    for _ in 0..12 {
        world.pass(LATER).await;
    }
    let rows = world.ledger().await;
    let aside = |row: &&postroom_core::ledger::LedgerEntry| row.state.name() == "quarantined";
    assert_eq!(rows.iter().filter(aside).count(), 1, "{rows:?}");
    world.server.disarm();
    for _ in 0..4 {
        world.pass(LATER).await;
    }
    assert_eq!(world.emails().await.len(), 1, "the good one lost nothing");
}

#[tokio::test]
async fn a_message_is_not_to_blame_for_single_answers_that_are_lost() {
    let world = World::ready().await;
    world.mail_from_jo(&[DESK], "witness@x", "Read before", "");
    world.pass(LATER).await;
    world.mail_from_jo(&[DESK], "good@x", "Good", "");
    // The batch and the message alone; then others are read, and so is it.
    for operation in ["mail.headers", "mail.fetch"] {
        let lost = MemoryFault::new(FaultEffect::LoseAnswer);
        world.server.arm(lost.on(operation).times(2));
    }
    world.pass(LATER).await;
    assert_eq!(world.emails().await.len(), 2, "{:?}", world.ledger().await);
}
