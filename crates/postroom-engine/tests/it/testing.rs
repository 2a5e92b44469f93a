//! Tests of connections and of mailboxes: many at once, what they leave behind, and who is told.

use std::time::Duration;

use postroom_core::alert::Subject;
use postroom_core::catalogue::Audience;
use postroom_core::connection::{Direction, StepOutcome, TestOutcome};
use postroom_core::job::{JobKind, JobState};
use postroom_core::mailbox::MailboxOwner;
use postroom_core::party::PartyKind;
use postroom_core::profile::ProfileKind;
use postroom_core::{Code, MailboxId, Timestamp};
use postroom_engine::{ErrorKind, NewMailbox};
use postroom_provider::Clock as _;
use postroom_simulator::memory::{FaultEffect, MemoryFault};
use postroom_simulator::model::Account;
use postroom_store::{AlertFilter, JobFilter, Page, Wall};

use crate::world::{ADA, DESK, World};

/// Users with approved mailboxes of the world's profile.
async fn people(world: &World, count: usize) -> Vec<MailboxId> {
    let (admin, operator) = (world.admin(), &world.operator);
    let mut ids = Vec::new();
    for n in 0..count {
        let text = format!("user{n}@contoso.example");
        world
            .server
            .mail()
            .add_account(Account::new(&text))
            .unwrap();
        let address: postroom_core::EmailAddress = text.parse().unwrap();
        let party = world
            .crm()
            .create_party(PartyKind::User, &text, std::slice::from_ref(&address), None)
            .await
            .unwrap();
        let new = NewMailbox::new(
            format!("User {n}"),
            MailboxOwner::User(party),
            Some(address),
        );
        ids.push(admin.create_mailbox(operator, new).await.unwrap().id);
    }
    for (_, approved) in admin.approve(operator, &ids).await {
        approved.unwrap();
    }
    ids
}

#[tokio::test]
async fn the_last_test_of_a_connection_is_kept() {
    let world = World::bare().await;
    let (admin, operator, id) = (world.admin(), &world.operator, world.profile);
    assert_eq!(admin.connection_test(operator, id).await.unwrap(), None);
    // Nobody is approved: it is tried without a mailbox, which this provider cannot.
    let test = admin.test_connection(operator, id, None).await.unwrap();
    assert_eq!(
        (test.outcome(), &test.mailbox),
        (TestOutcome::Warning, &None)
    );
    let ids = [world.ada_mailbox];
    admin.approve(operator, &ids).await.remove(0).1.unwrap();
    let test = admin.test_connection(operator, id, None).await.unwrap();
    assert_eq!(test.outcome(), TestOutcome::Success, "{test:?}");
    assert_eq!(test.mailbox.as_ref().unwrap().as_str(), ADA);
    assert_eq!(test.by, operator.name);
    let nobody = "nobody@contoso.example".parse().unwrap();
    let test = admin
        .test_connection(operator, id, Some(&nobody))
        .await
        .unwrap();
    let (direction, step, code) = test.first_cause().unwrap();
    assert_eq!((direction, code), (Direction::Both, Code::MailboxNotFound));
    assert_eq!(step.outcome, StepOutcome::Failed(code));
    assert_eq!(
        admin.connection_test(operator, id).await.unwrap(),
        Some(test)
    );
    assert_eq!(world.open_alerts().await.len(), 0);
}

#[tokio::test]
async fn what_keeps_a_profile_from_being_tried_is_the_first_cause() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    let mut profile = admin.new_profile("Away", ProfileKind::ExchangeServer);
    profile.incoming.location = Some("mail.example".to_owned());
    // Past the Admin call, which would refuse a kind that is not registered.
    world.store().save_profile(&profile).await.unwrap();
    let test = admin
        .test_connection(operator, profile.id, None)
        .await
        .unwrap();
    let (_, step, code) = test.first_cause().unwrap();
    assert_eq!(
        (step.name.as_str(), code),
        ("provider", Code::ConfigurationInvalid)
    );
}

#[tokio::test]
async fn many_mailboxes_are_tested_together() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    let mut ids = people(&world, 40).await;
    // One that is not approved fails alone.
    ids.push(world.desk_mailbox);
    let kind = JobKind::TestAndEnable;
    let jobs = admin.test_mailboxes(operator, &ids, kind).await;
    let asked: Vec<_> = jobs.iter().map(|(id, _)| *id).collect();
    assert_eq!(asked, ids, "in the order asked for");
    let jobs: Vec<_> = jobs.into_iter().map(|(_, job)| job.unwrap().id).collect();
    let mut filter = JobFilter::default();
    filter.batch = jobs.first().copied();
    assert_eq!(
        admin.job_counts(operator, &filter).await.unwrap().queued,
        41
    );
    admin.run_jobs(operator, &jobs).await.unwrap();
    let counts = admin.job_counts(operator, &filter).await.unwrap();
    assert_eq!((counts.passed, counts.failed, counts.all()), (40, 1, 41));
    for id in &ids[..40] {
        let mailbox = world.mailbox(*id).await;
        assert!(
            mailbox.incoming.enabled && mailbox.outgoing.enabled,
            "{mailbox:?}"
        );
    }
    assert!(!world.mailbox(world.desk_mailbox).await.incoming.enabled);
    // When it was last tested, and by whom.
    let mut filter = JobFilter::default();
    filter.mailbox = Some(ids[0]);
    let last = admin.jobs(operator, &filter, Page::first(1)).await.unwrap();
    assert_eq!(last[0].requested_by, operator.name);
    assert!(last[0].finished_at.is_some());
    // A second call has nothing left to do.
    admin.run_jobs(operator, &jobs).await.unwrap();
}

#[tokio::test]
async fn what_is_asked_for_twice_is_tested_once() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    let (ada, desk) = (world.ada_mailbox, world.desk_mailbox);
    let (enable, only) = (JobKind::TestAndEnable, JobKind::TestOnly);
    let first = admin.test_mailbox(operator, ada, enable).await.unwrap();
    let again = admin.test_mailbox(operator, ada, enable).await.unwrap();
    assert_eq!(again, first);
    let both = admin.test_mailboxes(operator, &[ada, desk], enable).await;
    let both: Vec<_> = both.into_iter().map(|(_, job)| job.unwrap()).collect();
    assert_eq!(both[0], first);
    let twice = admin.test_mailboxes(operator, &[desk, desk], enable).await;
    for (_, job) in twice {
        assert_eq!(job.unwrap(), both[1]);
    }
    // Another kind of test, or another date, is another test; so is one after the first was done.
    let other = admin.test_mailbox(operator, ada, only).await.unwrap();
    let from = world.clock.now();
    let dated = admin.test_mailbox_from(operator, ada, from).await.unwrap();
    for job in [&other, &dated] {
        assert_ne!(job.id, first.id);
    }
    admin.run_job(operator, first.id).await.unwrap();
    let after = admin.test_mailbox(operator, ada, enable).await.unwrap();
    assert_ne!(after.id, first.id);
    let counts = admin.job_counts(operator, &JobFilter::default()).await;
    assert_eq!(counts.unwrap().all(), 5);
}

#[tokio::test]
async fn the_engine_tests_all_mailboxes_of_a_profile() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    people(&world, 50).await;
    let kind = JobKind::TestAndEnable;
    let jobs = admin
        .test_profile(operator, world.profile, kind)
        .await
        .unwrap();
    assert_eq!(jobs.len(), 52, "those of the world, too");
    let running = world.engine.start();
    let mut filter = JobFilter::default();
    filter.batch = jobs[0].1.as_ref().unwrap().batch;
    for _ in 0..100_000 {
        let counts = admin.job_counts(operator, &filter).await.unwrap();
        if counts.done() == counts.all() {
            break;
        }
        world.clock.sleep(Duration::from_millis(100)).await;
    }
    running.stop().await.unwrap();
    let mut filter = JobFilter::default();
    filter.profile = Some(world.profile);
    let counts = admin.job_counts(operator, &filter).await.unwrap();
    assert_eq!(
        (counts.passed, counts.failed),
        (50, 2),
        "two are not approved"
    );
}

#[tokio::test]
async fn a_test_can_say_from_when_email_is_processed() {
    let world = World::bare().await;
    let (admin, operator, id) = (world.admin(), &world.operator, world.desk_mailbox);
    admin.approve(operator, &[id]).await.remove(0).1.unwrap();
    world.mail_from_jo(&[DESK], "old@x", "Old", "");
    world.clock.advance(Duration::from_secs(60));
    let job = admin.test_mailbox(operator, id, JobKind::TestAndEnable);
    let job = job.await.unwrap();
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(
        admin.job(operator, job.id).await.unwrap().state,
        JobState::Done
    );
    assert_eq!(world.emails().await.len(), 0, "older than the test");
    // Not before what the profile says.
    let mut profile = admin.profile(operator, world.profile).await.unwrap();
    let floor = Timestamp::from_seconds(1_000_000);
    profile.process_email_from = Some(floor);
    admin.update_profile(operator, &profile).await.unwrap();
    let refused = admin.test_mailbox_from(operator, id, floor).await;
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("incoming_from"), "{error}");
    // What was left alone is looked at again.
    let from = Timestamp::from_seconds(1_000_001);
    admin.test_mailbox_from(operator, id, from).await.unwrap();
    world.pass(Duration::from_secs(600)).await;
    assert_eq!(world.mailbox(id).await.process_email_from, Some(from));
    assert_eq!(world.emails().await.len(), 1);
}

#[tokio::test]
async fn owners_are_told_of_failures_and_of_success() {
    let world = World::bare().await;
    let (admin, operator, id) = (world.admin(), &world.operator, world.ada_mailbox);
    let mut profile = admin.profile(operator, world.profile).await.unwrap();
    profile.owner = Some(world.desk);
    admin.update_profile(operator, &profile).await.unwrap();
    admin.approve(operator, &[id]).await.remove(0).1.unwrap();
    let test = async || {
        let kind = JobKind::TestAndEnable;
        let job = admin.test_mailbox(operator, id, kind).await.unwrap();
        admin.run_job(operator, job.id).await.unwrap()
    };
    let seen = async |wall: Wall| {
        let mut filter = AlertFilter::default();
        filter.wall = Some(wall);
        let alerts = admin
            .alerts(operator, &filter, Page::first(9))
            .await
            .unwrap();
        let mut codes: Vec<_> = alerts.iter().map(|alert| alert.incident.code).collect();
        codes.sort();
        codes
    };
    let refuse = FaultEffect::Refuse(
        postroom_provider::ErrorKind::Unauthenticated,
        Code::CredentialsRejected,
    );
    world
        .server
        .arm(MemoryFault::new(refuse).on("mail.changes").times(1));
    let job = test().await;
    assert_eq!(
        job.first_failure(),
        Some(Code::CredentialsRejected),
        "{job:?}"
    );
    let both = [Code::CredentialsRejected, Code::OutgoingTestSucceeded];
    assert_eq!(seen(Wall::Owner(world.ada)).await, both);
    assert_eq!(seen(Wall::Mailbox(id)).await, both);
    assert_eq!(
        seen(Wall::Owner(world.desk)).await,
        [Code::CredentialsRejected]
    );
    assert_eq!(
        seen(Wall::Profile(world.profile)).await,
        [Code::CredentialsRejected]
    );
    let alert = world.open_alerts().await;
    let alert = alert
        .iter()
        .find(|alert| alert.incident.code == Code::CredentialsRejected)
        .unwrap();
    assert_eq!(alert.audience, Audience::MailboxAndProfileOwner);
    // It closes by itself.
    test().await;
    let both = [Code::IncomingTestSucceeded, Code::OutgoingTestSucceeded];
    assert_eq!(seen(Wall::Owner(world.ada)).await, both);
    assert_eq!(seen(Wall::Owner(world.desk)).await, []);
}

#[tokio::test]
async fn a_test_tells_both_owners_what_a_cycle_tells_the_mailboxs_alone() {
    let world = World::ready().await;
    let (admin, operator, id) = (world.admin(), &world.operator, world.ada_mailbox);
    let mut profile = admin.profile(operator, world.profile).await.unwrap();
    profile.owner = Some(world.desk);
    admin.update_profile(operator, &profile).await.unwrap();
    let walls = async || {
        let mut seen = Vec::new();
        for wall in [
            Wall::Mailbox(id),
            Wall::Owner(world.ada),
            Wall::Profile(world.profile),
            Wall::Owner(world.desk),
        ] {
            let mut filter = AlertFilter::default();
            filter.wall = Some(wall);
            let alerts = admin.alerts(operator, &filter, Page::first(99)).await;
            let codes = alerts.unwrap().into_iter().map(|one| one.incident.code);
            seen.push(codes.filter(|code| *code == Code::QuotaExceeded).count());
        }
        seen
    };
    let full = FaultEffect::Refuse(
        postroom_provider::ErrorKind::QuotaExceeded,
        Code::QuotaExceeded,
    );
    let arm = || {
        let fault = MemoryFault::new(full.clone()).on("mail.changes");
        world.server.arm(fault.for_account(ADA).times(1));
    };
    arm();
    world.pass(Duration::from_secs(3600)).await;
    assert_eq!(walls().await, [1, 1, 0, 0], "of a cycle");
    arm();
    let kind = JobKind::TestAndEnable;
    let job = admin.test_mailbox(operator, id, kind).await.unwrap();
    let job = admin.run_job(operator, job.id).await.unwrap();
    assert_eq!(job.first_failure(), Some(Code::QuotaExceeded), "{job:?}");
    assert_eq!(walls().await, [1, 1, 1, 1], "of a test");
}

#[tokio::test]
async fn a_failed_test_of_a_whole_profile_is_one_alert_for_its_owner() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    let mut ids = people(&world, 20).await;
    let failing = async || {
        let alerts = world.open_alerts().await;
        let found = alerts
            .into_iter()
            .filter(|alert| alert.incident.code == Code::ProfileFailing);
        found.collect::<Vec<_>>()
    };
    let test = async |ids: &[MailboxId]| {
        let kind = JobKind::TestAndEnable;
        let jobs = admin.test_mailboxes(operator, ids, kind).await;
        let jobs: Vec<_> = jobs.into_iter().map(|(_, job)| job.unwrap().id).collect();
        admin.run_jobs(operator, &jobs).await.unwrap();
    };
    // What is not tried says nothing about the profile: two are not approved.
    test(&[world.ada_mailbox, world.desk_mailbox]).await;
    assert_eq!(failing().await, []);
    let refuse = FaultEffect::Refuse(
        postroom_provider::ErrorKind::Unauthenticated,
        Code::CredentialsRejected,
    );
    let fault = MemoryFault::new(refuse).on("mail.changes");
    world.server.arm(fault);
    test(&ids[..11]).await;
    assert_eq!(failing().await, [], "11 of 22 are not more than half");
    test(&ids).await;
    let alerts = failing().await;
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0].incident.subject, Subject::Profile(world.profile));
    assert_eq!(alerts[0].audience, Audience::ProfileOwner);
    assert_eq!(alerts[0].details["mailboxes"], "22");
    // Mended, it ends by itself.
    world.server.disarm();
    ids.truncate(15);
    test(&ids).await;
    world.pass(Duration::from_secs(600)).await;
    assert_eq!(failing().await, []);
}

#[tokio::test]
async fn an_alert_about_an_email_is_on_the_wall_of_its_mailbox() {
    let world = World::ready().await;
    let refuse = FaultEffect::Refuse(
        postroom_provider::ErrorKind::InvalidInput,
        Code::RecipientsRefused,
    );
    world
        .server
        .arm(MemoryFault::new(refuse).on("submit.send").times(1));
    world.ada_writes("Refused").await;
    world.pass(Duration::from_secs(60)).await;
    let mut filter = AlertFilter::default();
    filter.wall = Some(Wall::Mailbox(world.ada_mailbox));
    let alerts = world
        .admin()
        .alerts(&world.operator, &filter, Page::first(9))
        .await
        .unwrap();
    let about_records = alerts
        .iter()
        .filter(|alert| matches!(alert.incident.subject, Subject::Record(_)))
        .count();
    assert_eq!(about_records, 1, "{alerts:?}");
}
