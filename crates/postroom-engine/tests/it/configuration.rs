//! Profiles, settings, the support check and the key, as administrators meet them.

use std::time::Duration;

use postroom_core::alert::Subject;
use postroom_core::mailbox::DeliveryMethod;
use postroom_core::organization::DeploymentKind;
use postroom_core::principal::{Principal, Privilege, Role};
use postroom_core::profile::{CredentialSource, EXCHANGE_ONLINE_PROFILE_NAME, ProfileKind};
use postroom_core::support::{Severity, SupportPolicy};
use postroom_core::{Code, Secret};
use postroom_engine::{ErrorKind, MailboxEdit};
use postroom_store::Page;

use crate::world::World;

fn settings(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

#[tokio::test]
async fn settings_are_changed_all_or_none_and_keep_their_history() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    let wanted = settings(&[
        ("correlation.token.prefix", "TKT:"),
        ("item_attempts_max", "5"),
    ]);
    let changed = admin.change_settings(operator, &wanted).await.unwrap();
    assert_eq!(changed.settings.correlation.token.prefix, "TKT:");
    world.clock.advance(Duration::from_secs(60));
    let bad = settings(&[("alerts.errors", "off"), ("item_attempts_max", "0")]);
    let error = admin.change_settings(operator, &bad).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.context().contains_key("item_attempts_max"), "{error}");
    assert!(
        admin
            .organization(operator)
            .await
            .unwrap()
            .settings
            .alerts
            .errors
    );
    let unknown = settings(&[("item_attempts", "1")]);
    let error = admin.change_settings(operator, &unknown).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);

    let again = settings(&[("item_attempts_max", "3")]);
    admin.change_settings(operator, &again).await.unwrap();
    let page = Page::first(10);
    let history = admin.setting_history(operator, None, page).await.unwrap();
    let told: Vec<_> = history
        .iter()
        .map(|one| (one.name.as_str(), one.from.as_str(), one.to.as_str()))
        .collect();
    assert_eq!(
        told[..3],
        [
            ("item_attempts_max", "5", "3"),
            ("item_attempts_max", "3", "5"),
            ("correlation.token.prefix", "CRM:", "TKT:"),
        ]
    );
    assert_eq!(history[0].by, operator.name);
    assert!(history[0].at > history[1].at);
    let one = Some("correlation.token.prefix");
    let history = admin.setting_history(operator, one, page).await.unwrap();
    assert_eq!(history.len(), 1);
    let nobody = Principal::user(world.ada, "ada").with_privilege(Privilege::ReadMailbox);
    let error = admin.change_settings(&nobody, &again).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn the_support_policy_decides_what_is_refused() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    let profile = admin.profile(operator, world.profile).await.unwrap();
    let saved = admin.update_profile(operator, &profile).await.unwrap();
    let rules: Vec<_> = saved.findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["custom.provider"]);
    assert_eq!(saved.findings[0].severity, Severity::Note);
    let reports = admin.support_check(operator, None).await.unwrap();
    assert!(reports.iter().all(|report| report.is_allowed()));
    let strict = Some(SupportPolicy::Strict);
    let reports = admin.support_check(operator, strict).await.unwrap();
    assert!(!reports[0].is_allowed());

    let policy = settings(&[("support_policy", "strict")]);
    admin.change_settings(operator, &policy).await.unwrap();
    let error = admin.update_profile(operator, &profile).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::InvalidInput, Code::ConfigurationUnsupported)
    );
    assert!(error.context().contains_key("custom.provider"), "{error}");
    let mut edit = MailboxEdit::new();
    edit.outgoing = Some(DeliveryMethod::None);
    let error = admin
        .edit_mailbox(operator, world.ada_mailbox, &edit)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::ConfigurationUnsupported);
    // What does not concern the delivery goes on.
    let mut edit = MailboxEdit::new();
    edit.name = Some("Ada L.".to_owned());
    admin
        .edit_mailbox(operator, world.ada_mailbox, &edit)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_deployment_that_goes_online_has_its_profile() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    let count = admin.profiles(operator).await.unwrap().len();
    let online = settings(&[
        ("deployment.kind", "online"),
        ("mailbox_defaults.profile", "none"),
    ]);
    admin.change_settings(operator, &online).await.unwrap();
    let profile = admin
        .find_profile(operator, EXCHANGE_ONLINE_PROFILE_NAME)
        .await
        .unwrap();
    assert_eq!(profile.kind, ProfileKind::ExchangeOnline);
    assert_eq!(
        profile.incoming.credentials,
        CredentialSource::ServerToServer
    );
    assert!(profile.auto_discover && profile.active);
    let organization = admin.organization(operator).await.unwrap();
    assert_eq!(organization.deployment.kind, DeploymentKind::Online);
    assert_eq!(
        organization.settings.mailbox_defaults.profile,
        Some(profile.id)
    );
    // Going there and back makes no second one.
    let there_and_back = ["on_premises", "online"];
    for kind in there_and_back {
        let wanted = settings(&[("deployment.kind", kind)]);
        admin.change_settings(operator, &wanted).await.unwrap();
    }
    assert_eq!(admin.profiles(operator).await.unwrap().len(), count + 1);
}

#[tokio::test]
async fn a_profile_in_use_stays_and_says_who_uses_it() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    let error = admin
        .delete_profile(operator, world.profile)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.context()["used_by"], "Ada, Desk");
    let organization = admin.organization(operator).await.unwrap();
    let default = organization.settings.mailbox_defaults.profile;
    assert_eq!(default, Some(world.profile), "it still is the default");
    let mut edit = MailboxEdit::new();
    edit.profile = Some(None);
    for id in [world.ada_mailbox, world.desk_mailbox] {
        admin.edit_mailbox(operator, id, &edit).await.unwrap();
    }
    admin.delete_profile(operator, world.profile).await.unwrap();
    let organization = admin.organization(operator).await.unwrap();
    assert_eq!(organization.settings.mailbox_defaults.profile, None);
}

#[tokio::test]
async fn the_kind_of_a_profile_is_fixed_and_the_default_is_active() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    let mut profile = admin.profile(operator, world.profile).await.unwrap();
    profile.kind = ProfileKind::ImapSmtp;
    let error = admin.update_profile(operator, &profile).await.unwrap_err();
    assert!(error.context().contains_key("kind"), "{error}");
    admin
        .deactivate_profile(operator, world.profile)
        .await
        .unwrap();
    let error = admin
        .set_default_profile(operator, world.profile)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    admin
        .activate_profile(operator, world.profile)
        .await
        .unwrap();
    admin
        .set_default_profile(operator, world.profile)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_date_from_which_email_is_processed_may_lie_only_so_far_back() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    let limit = settings(&[("process_email_from_days_max", "30")]);
    admin.change_settings(operator, &limit).await.unwrap();
    let day = Duration::from_secs(24 * 3600);
    let mut profile = admin.profile(operator, world.profile).await.unwrap();
    for (days, allowed) in [(29, true), (31, false)] {
        let from = Some(postroom_provider::Clock::now(&*world.clock).minus(day * days));
        profile.process_email_from = from;
        let outcome = admin.update_profile(operator, &profile).await;
        assert_eq!(outcome.is_ok(), allowed, "{days}");
        let mut edit = MailboxEdit::new();
        edit.process_email_from = Some(from);
        let outcome = admin.edit_mailbox(operator, world.ada_mailbox, &edit).await;
        assert_eq!(outcome.is_ok(), allowed, "{days}");
    }
    profile.process_email_from = None;
    admin.update_profile(operator, &profile).await.unwrap();
    for (days, allowed) in [(29, true), (31, false)] {
        let from = postroom_provider::Clock::now(&*world.clock).minus(day * days);
        let asked = admin.test_mailbox_from(operator, world.ada_mailbox, from);
        assert_eq!(asked.await.is_ok(), allowed, "{days}");
    }
}

#[tokio::test]
async fn who_may_approve_may_also_do_without_approval() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    let clerk = Principal::user(world.ada, "clerk")
        .with_privilege(Privilege::ReadMailbox)
        .with_privilege(Privilege::WriteOrganization);
    let mut administrator = clerk.clone();
    administrator.roles.insert(Role::SystemAdministrator);
    for (name, value) in [
        ("process_only_approved_users", "off"),
        ("process_only_approved_queues", "off"),
        ("permission_model", "newest"),
        ("deployment.kind", "online"),
    ] {
        let wanted = settings(&[(name, value)]);
        let error = admin.change_settings(&clerk, &wanted).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{name}");
    }
    // Whatever else there is, the privilege is enough for.
    let other = settings(&[("item_attempts_max", "5")]);
    admin.change_settings(&clerk, &other).await.unwrap();
    let off = settings(&[("process_only_approved_users", "off")]);
    let changed = admin.change_settings(&administrator, &off).await.unwrap();
    assert!(!changed.settings.process_only_approved_users);
    // Online that takes a role of the tenant, too.
    let online = settings(&[("deployment.kind", "online")]);
    admin.change_settings(operator, &online).await.unwrap();
    let on = settings(&[("process_only_approved_users", "on")]);
    let refused = admin.change_settings(&administrator, &on).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::PermissionDenied);
    administrator.roles.insert(Role::GlobalAdministrator);
    admin.change_settings(&administrator, &on).await.unwrap();
    let trail = admin.audit_trail(operator, Page::first(100)).await.unwrap();
    let refused = trail.iter().filter(|entry| !entry.allowed).count();
    assert_eq!(refused, 5, "each is on record");
}

#[tokio::test]
async fn rotating_the_key_needs_the_right_and_is_on_record() {
    let world = World::bare().await;
    let (admin, operator) = (world.admin(), &world.operator);
    let key = Secret::new("1".repeat(64));
    let nobody = Principal::user(world.ada, "ada");
    let error = admin.rotate_key(&nobody, &key).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(admin.rotate_key(operator, &key).await.unwrap(), 0);
    let trail = admin.audit_trail(operator, Page::first(1)).await.unwrap();
    assert_eq!(trail[0].action, "key.rotate");
    assert_eq!(trail[0].subject, Subject::Organization);
    let wrong = admin.rotate_key(operator, &Secret::new("no key")).await;
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Key);
}
