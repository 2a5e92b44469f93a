use super::*;
use crate::history::{CallEnd, Event};
use crate::oracle::fixture::{World, minutes};

fn texts(world: &World) -> Vec<String> {
    let facts = Facts::of(&world.view.history);
    check(&world.view, &facts)
        .into_iter()
        .map(|violation| violation.text)
        .collect()
}

fn complains(world: &World, of: &str) {
    let texts = texts(world);
    assert!(texts.iter().any(|text| text.contains(of)), "{texts:?}");
}

#[test]
fn a_good_world_is_good() {
    let world = World::good();
    assert_eq!(texts(&world), Vec::<String>::new());
    let facts = Facts::of(&world.view.history);
    for workload in [Workload::Incoming, Workload::Outgoing] {
        assert!(healthy_at_end(&world.view, &facts, world.desk, workload));
    }
}

#[test]
fn traffic_without_approval() {
    for change in [
        (|desk| desk.approved = false) as fn(&mut MailboxFacts),
        |desk| desk.active = false,
        |desk| desk.incoming = false,
        |desk| desk.profile = None,
    ] {
        let mut world = World::good();
        let mut desk = world.desk_facts();
        change(&mut desk);
        world.view.mailboxes.clear();
        world.push(minutes(1000), Event::MailboxConfigured(desk));
        world.call(minutes(1010), world.desk, "mail.changes", CallEnd::Ok);
        assert_eq!(texts(&world), Vec::<String>::new(), "still under way");
        world.call(minutes(1030), world.desk, "mail.changes", CallEnd::Ok);
        complains(&world, "is not open");
    }
}

#[test]
fn traffic_while_the_profile_is_inactive() {
    let mut world = World::good();
    let mut profile = world.profile_facts();
    profile.active = false;
    world.push(minutes(1000), Event::ProfileConfigured(profile));
    world.call(minutes(1030), world.desk, "submit.send", CallEnd::Ok);
    complains(&world, "is not open");
}

#[test]
fn traffic_without_a_test() {
    let mut world = World::good();
    world
        .view
        .history
        .retain(|entry| !matches!(entry.event, Event::TestRequested { .. }));
    complains(&world, "is not open");
}

#[test]
fn an_address_that_changed_needs_another_test() {
    let mut world = World::good();
    world.view.mailboxes.clear();
    let mut desk = world.desk_facts();
    desk.address = Some("help@contoso.example".to_owned());
    world.push(minutes(1000), Event::MailboxConfigured(desk));
    world.call(minutes(1300), world.desk, "mail.changes", CallEnd::Ok);
    complains(&world, "is not open");
    world.push(
        minutes(1290),
        Event::TestRequested {
            mailbox: world.desk,
            job: None,
            enables: true,
        },
    );
    world.view.history.sort_by_key(|entry| entry.at);
    assert_eq!(texts(&world), Vec::<String>::new());
}

#[test]
fn more_requests_at_once_than_connections() {
    let mut world = World::good();
    for call in 900..902 {
        world.begin_call(minutes(1000), call, world.desk, "mail.fetch");
    }
    assert_eq!(texts(&world), Vec::<String>::new());
    world.begin_call(minutes(1000), 902, world.ada, "submit.send");
    complains(&world, "3 requests at once");
}

#[test]
fn a_crash_ends_the_calls_of_its_engine() {
    let mut world = World::good();
    for call in 900..902 {
        world.begin_call(minutes(1000), call, world.desk, "mail.fetch");
    }
    world.push(
        minutes(1001),
        Event::EngineCrashed {
            engine: 0,
            torn: false,
        },
    );
    world.begin_call(minutes(1002), 902, world.ada, "submit.send");
    assert_eq!(texts(&world), Vec::<String>::new());
}

#[test]
fn polls_too_close_together() {
    let mut world = World::good();
    world.call(minutes(1000), world.desk, "mail.changes", CallEnd::Ok);
    world.call(minutes(1005), world.desk, "mail.changes", CallEnd::Ok);
    assert_eq!(texts(&world), Vec::<String>::new());
    world.call(minutes(1007), world.desk, "mail.changes", CallEnd::Ok);
    complains(&world, "was polled");
    world.push(
        minutes(1006),
        Event::SyncRequested {
            mailbox: world.desk,
            workload: None,
        },
    );
    assert_eq!(texts(&world), Vec::<String>::new(), "somebody asked for it");
}

#[test]
fn switched_on_though_nothing_worked() {
    let mut world = World::good();
    for entry in &mut world.view.history {
        if let Event::CallEnded { end, .. } = &mut entry.event {
            *end = CallEnd::Failed {
                code: "credentials-rejected".to_owned(),
            };
        }
    }
    complains(&world, "nothing ever worked");
}

#[test]
fn who_does_not_know_the_password_need_not_be_well() {
    let mut world = World::good();
    world.push(
        minutes(1000),
        Event::PasswordChanged {
            login: "service@contoso.example".to_owned(),
        },
    );
    let well = |world: &World| {
        let facts = Facts::of(&world.view.history);
        healthy_at_end(&world.view, &facts, world.desk, Workload::Incoming)
    };
    assert!(!well(&world));
    let number = 1;
    world.push(
        minutes(1100),
        Event::AdminBegan {
            number,
            action: "PasswordTold(1)".to_owned(),
        },
    );
    world.push(
        minutes(1100),
        Event::TestRequested {
            mailbox: world.desk,
            job: None,
            enables: true,
        },
    );
    world.push(
        minutes(1100),
        Event::AdminEnded {
            number,
            failed: None,
        },
    );
    assert!(well(&world));
}

#[test]
fn a_test_behind_a_closed_gate_switches_off_nothing() {
    let mut world = World::good();
    let mut profile = world.profile_facts();
    profile.active = false;
    world.push(minutes(1000), Event::ProfileConfigured(profile));
    world.push(
        minutes(1100),
        Event::TestRequested {
            mailbox: world.desk,
            job: None,
            enables: true,
        },
    );
    world.push(
        minutes(1200),
        Event::ProfileConfigured(world.profile_facts()),
    );
    let facts = Facts::of(&world.view.history);
    let well = healthy_at_end(&world.view, &facts, world.desk, Workload::Incoming);
    assert!(well);
}

#[test]
fn a_change_that_a_crash_cut_short_may_have_switched_off() {
    let must = |world: &World| {
        let facts = Facts::of(&world.view.history);
        must_be_enabled(&facts, world.desk, Workload::Incoming, minutes(1100))
    };
    let mut world = World::good();
    assert!(must(&world));
    let mut desk = world.desk_facts();
    desk.incoming = false;
    world.push(minutes(1000), Event::MailboxIntended(desk));
    assert!(!must(&world));
    let desk = world.desk_facts();
    world.push(minutes(1001), Event::MailboxConfigured(desk));
    assert!(must(&world), "it did not");
}

#[test]
fn a_test_before_a_restart_may_be_run_after_it() {
    let mut world = World::good();
    let must = |world: &World| {
        let facts = Facts::of(&world.view.history);
        must_be_enabled(&facts, world.desk, Workload::Outgoing, minutes(30))
    };
    assert!(must(&world));
    world.push(minutes(2), Event::EngineStopped { engine: 0 });
    world.view.history.sort_by_key(|entry| entry.at);
    assert!(!must(&world));
}
