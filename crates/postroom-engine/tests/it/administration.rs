//! What administrators do, and may not do.

use std::time::Duration;

use postroom_core::approval::ApprovalState;
use postroom_core::channel::Channel;
use postroom_core::job::{JobKind, JobState};
use postroom_core::mailbox::{DeliveryMethod, TestStatus};
use postroom_core::principal::{Principal, Privilege};
use postroom_core::profile::ProfileKind;
use postroom_core::{Code, Secret};
use postroom_engine::{AfterDefaults, ErrorKind, MailboxEdit, ProfileDirection};
use postroom_simulator::memory::{FaultEffect, MemoryFault};
use postroom_simulator::model::WellKnown;
use postroom_store::{MailboxFilter, Page};

use crate::world::{ADA, DESK, World};

#[tokio::test]
async fn without_the_right_nothing_happens_and_it_is_on_record() {
    let world = World::bare().await;
    let nobody = Principal::user(world.ada, "ada").with_privilege(Privilege::ReadMailbox);
    let admin = world.admin();
    let id = world.ada_mailbox;
    let refused = |error: postroom_engine::EngineError| {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert_eq!(error.code(), Code::PermissionDenied);
    };
    refused(admin.approve(&nobody, &[id]).await.remove(0).1.unwrap_err());
    refused(
        admin
            .deactivate(&nobody, &[id])
            .await
            .remove(0)
            .1
            .unwrap_err(),
    );
    refused(
        admin
            .edit_mailbox(&nobody, id, &MailboxEdit::new())
            .await
            .unwrap_err(),
    );
    refused(
        admin
            .test_mailbox(&nobody, id, JobKind::TestAndEnable)
            .await
            .unwrap_err(),
    );
    refused(admin.profiles(&nobody).await.unwrap_err());
    refused(
        admin
            .delete_profile(&nobody, world.profile)
            .await
            .unwrap_err(),
    );
    assert_eq!(world.mailbox(id).await.approval, ApprovalState::Pending);
    let trail = admin
        .audit_trail(&world.operator, Page::first(100))
        .await
        .unwrap();
    assert_eq!(
        trail
            .iter()
            .filter(|entry| !entry.allowed && entry.by == "ada")
            .count(),
        6
    );
}

#[tokio::test]
async fn a_test_needs_the_approval_and_leaves_the_three_statuses() {
    let world = World::bare().await;
    let admin = world.admin();
    let job = admin
        .test_mailbox(&world.operator, world.ada_mailbox, JobKind::TestAndEnable)
        .await
        .unwrap();
    assert_eq!(job.state, JobState::Queued);
    let requests = world.server.requests();
    let job = admin.run_job(&world.operator, job.id).await.unwrap();
    assert_eq!(job.state, JobState::Done);
    assert_eq!(
        world.server.requests(),
        requests,
        "no traffic before the approval"
    );
    assert!(
        job.steps
            .iter()
            .any(|step| step.failure == Some(Code::NotApproved))
    );
    let mailbox = world.mailbox(world.ada_mailbox).await;
    assert_eq!(mailbox.incoming.test_status, TestStatus::Failure);
    assert_eq!(mailbox.outgoing.test_status, TestStatus::Failure);
    assert_eq!(mailbox.items.test_status, TestStatus::NotRun);
    assert!(world.alert_codes().await.contains(&Code::NotApproved));

    admin
        .approve(&world.operator, &[world.ada_mailbox])
        .await
        .remove(0)
        .1
        .unwrap();
    let job = admin
        .test_mailbox(&world.operator, world.ada_mailbox, JobKind::TestAndEnable)
        .await
        .unwrap();
    let job = admin.run_job(&world.operator, job.id).await.unwrap();
    assert!(
        job.steps.iter().all(|step| step.failure.is_none()),
        "{:?}",
        job.steps
    );
    let mailbox = world.mailbox(world.ada_mailbox).await;
    assert!(mailbox.incoming.enabled && mailbox.outgoing.enabled);
    assert_eq!(mailbox.outgoing.test_status, TestStatus::Success);
    let codes = world.alert_codes().await;
    assert_eq!(
        codes,
        [Code::IncomingTestSucceeded, Code::OutgoingTestSucceeded]
    );
    assert_eq!(world.in_folder(ADA, WellKnown::Inbox, "Test message"), 1);
}

#[tokio::test]
async fn a_test_without_side_effects_has_none() {
    let world = World::bare().await;
    let admin = world.admin();
    admin
        .approve(&world.operator, &[world.ada_mailbox])
        .await
        .remove(0)
        .1
        .unwrap();
    let job = admin
        .test_mailbox(&world.operator, world.ada_mailbox, JobKind::TestOnly)
        .await
        .unwrap();
    let job = admin.run_job(&world.operator, job.id).await.unwrap();
    assert!(job.steps.iter().all(|step| step.failure.is_none()));
    let mailbox = world.mailbox(world.ada_mailbox).await;
    assert_eq!(mailbox.incoming.test_status, TestStatus::NotRun);
    assert!(!mailbox.incoming.enabled);
    assert_eq!(world.in_folder(ADA, WellKnown::Inbox, ""), 0);
    assert_eq!(world.open_alerts().await.len(), 0);
}

#[tokio::test]
async fn a_test_that_runs_again_after_a_crash_sends_one_message() {
    let world = World::bare().await;
    let admin = world.admin();
    admin
        .approve(&world.operator, &[world.ada_mailbox])
        .await
        .remove(0)
        .1
        .unwrap();
    let job = admin
        .test_mailbox(&world.operator, world.ada_mailbox, JobKind::TestAndEnable)
        .await
        .unwrap();
    let mut job = admin.run_job(&world.operator, job.id).await.unwrap();
    job.state = JobState::Running;
    world.store().save_job(&job).await.unwrap();
    world.step().await;
    assert_eq!(world.in_folder(ADA, WellKnown::Inbox, "Test message"), 1);
}

#[tokio::test]
async fn credentials_need_a_secure_channel_unless_the_deployment_says_otherwise() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    let password = Secret::new("secret");
    let set = async |entry| {
        let incoming = ProfileDirection::Incoming;
        admin
            .set_profile_credentials(operator, world.profile, incoming, "svc", &password, entry)
            .await
            .map_err(|error| error.kind())
    };
    let refused = set(Channel::Insecure).await;
    assert_eq!(refused.unwrap_err(), ErrorKind::PermissionDenied);
    let mut organization = admin.organization(operator).await.unwrap();
    organization
        .deployment
        .allow_credentials_entry_via_non_secure_channels = true;
    admin
        .update_organization(operator, &organization)
        .await
        .unwrap();
    // Allowed now; this store has no key to seal it with, which is another matter.
    assert_eq!(set(Channel::Insecure).await.unwrap_err(), ErrorKind::Key);
}

#[tokio::test]
async fn defaults_are_applied_and_tested_unless_told_not_to() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    let ids = [world.ada_mailbox, world.desk_mailbox];
    let mut edit = MailboxEdit::new();
    edit.incoming = Some(DeliveryMethod::None);
    for (_, outcome) in admin.edit_mailboxes(operator, &ids, &edit).await {
        assert_eq!(outcome.unwrap().incoming.method, DeliveryMethod::None);
    }
    for (_, outcome) in admin
        .apply_defaults(operator, &ids, AfterDefaults::Nothing)
        .await
    {
        let (mailbox, job) = outcome.unwrap();
        assert_eq!(mailbox.incoming.method, DeliveryMethod::ServerSide);
        assert!(job.is_none());
    }
    for (_, outcome) in admin
        .apply_defaults(operator, &ids, AfterDefaults::default())
        .await
    {
        assert_eq!(outcome.unwrap().1.unwrap().kind, JobKind::TestAndEnable);
    }
}

#[tokio::test]
async fn another_address_needs_approval_and_a_test_again() {
    let world = World::ready().await;
    let mut edit = MailboxEdit::new();
    edit.address = Some(Some("ada.l@contoso.example".parse().unwrap()));
    let mailbox = world
        .admin()
        .edit_mailbox(&world.operator, world.ada_mailbox, &edit)
        .await
        .unwrap();
    assert_eq!(mailbox.approval, ApprovalState::Pending);
    assert!(!mailbox.incoming.enabled && !mailbox.outgoing.enabled);
    let requests = world.server.requests();
    let desk = world
        .admin()
        .deactivate(&world.operator, &[world.desk_mailbox])
        .await;
    assert!(desk[0].1.is_ok());
    world.pass(Duration::from_secs(3600)).await;
    assert_eq!(world.server.requests(), requests, "the gates hold");
}

#[tokio::test]
async fn the_overview_says_when_and_why() {
    let world = World::ready().await;
    let overview = world
        .admin()
        .overview(&world.operator, &MailboxFilter::default(), Page::first(10))
        .await
        .unwrap();
    assert_eq!(overview.mailboxes.len(), 2);
    let ada = &overview.mailboxes[0];
    assert_eq!(
        (ada.name.as_str(), ada.profile_name.as_deref()),
        ("Ada", Some("Main"))
    );
    assert!(
        ada.workloads[0].why.contains("due at"),
        "{:?}",
        ada.workloads[0]
    );
    assert_eq!(ada.workloads[2].closed_gate, Some(Code::MethodNone));
    assert_eq!(overview.counts.ledger.get("filtered"), Some(&2));
    serde_json::to_string(&overview).unwrap();
}

#[tokio::test]
async fn a_test_enables_only_what_it_tested() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    let ids = [world.desk_mailbox];
    admin.approve(operator, &ids).await.remove(0).1.unwrap();
    let other = admin.new_profile("Other", ProfileKind::Custom("memory".to_owned()));
    admin.create_profile(operator, &other).await.unwrap();
    let kind = JobKind::TestAndEnable;
    admin.test_mailbox(operator, ids[0], kind).await.unwrap();
    // While the server takes its time, somebody gives the mailbox another profile.
    let slow = FaultEffect::Slow(Duration::from_secs(10));
    world
        .server
        .arm(MemoryFault::new(slow).on("mail.changes").times(1));
    let editing = async {
        let mut edit = MailboxEdit::new();
        edit.profile = Some(Some(other.id));
        admin.edit_mailbox(operator, ids[0], &edit).await.unwrap();
    };
    let (stepped, ()) = tokio::join!(world.engine.step(), editing);
    stepped.unwrap();
    let mailbox = world.mailbox(world.desk_mailbox).await;
    assert_eq!(mailbox.profile, Some(other.id));
    for state in [&mailbox.incoming, &mailbox.outgoing] {
        assert!(!state.enabled, "{mailbox:?}");
        assert_eq!(state.test_status, TestStatus::NotRun);
    }
}

#[tokio::test]
async fn a_test_behind_a_closed_gate_switches_off_nothing_that_worked() {
    let world = World::ready().await;
    let (admin, operator) = (world.admin(), &world.operator);
    let ids = [world.desk_mailbox];
    admin.reject(operator, &ids).await.remove(0).1.unwrap();
    let job = admin
        .test_mailbox(operator, world.desk_mailbox, JobKind::TestAndEnable)
        .await
        .unwrap();
    let job = admin.run_job(operator, job.id).await.unwrap();
    let refused = |step: &postroom_core::job::TestStep| step.failure == Some(Code::NotApproved);
    assert!(job.steps.iter().any(refused), "{:?}", job.steps);
    let mailbox = world.mailbox(world.desk_mailbox).await;
    assert_eq!(mailbox.incoming.test_status, TestStatus::Failure);
    assert!(mailbox.incoming.enabled && mailbox.outgoing.enabled);
    // ADR 0007: what opens the gate is enough.
    world.mail_from_jo(&[DESK], "a@x", "Meanwhile", "");
    admin.approve(operator, &ids).await.remove(0).1.unwrap();
    world.pass(Duration::from_secs(600)).await;
    assert_eq!(world.emails().await.len(), 1);
}
