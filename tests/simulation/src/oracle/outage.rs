//! Promise 9, a server outage disables nobody, says so once, and is over when it is over.

use std::collections::BTreeMap;

use postroom_core::alert::{Incident, Subject};
use postroom_core::catalogue::Class;
use postroom_core::health::Health;
use postroom_core::mailbox::Workload;
use postroom_core::{Code, MailboxId};

use super::Violation;
use super::facts::Facts;
use super::gates;
use super::view::View;
use crate::history::Side;

/// Checks the promise.
#[must_use]
pub fn check(view: &View, facts: &Facts) -> Vec<Violation> {
    let mut violations = disabled(view, facts);
    violations.extend(storms(view, facts));
    violations
}

/// Nothing that goes away by itself switches a workload off.
fn disabled(view: &View, facts: &Facts) -> Vec<Violation> {
    let mut violations = Vec::new();
    for mailbox in &view.mailboxes {
        for workload in [Workload::Incoming, Workload::Outgoing] {
            let state = mailbox.workload(workload);
            let off = !state.enabled || matches!(state.health, Health::Disabled { .. });
            if off && gates::must_be_enabled(facts, mailbox.id, workload, view.now) {
                let text = format!(
                    "{workload} email of {} is switched off ({:?}), and nobody did that; alerts: {:?}",
                    mailbox.id,
                    state.health,
                    open_about(view, mailbox.id)
                );
                violations.push(Violation::new(9, text));
            }
        }
    }
    violations
}

/// What is told about a mailbox.
pub(super) fn open_about(view: &View, mailbox: MailboxId) -> Vec<&'static str> {
    view.alerts
        .iter()
        .filter(|alert| alert.closed_at.is_none())
        .filter(|alert| alert.incident.subject == Subject::Mailbox(mailbox))
        .map(|alert| alert.incident.code.as_str())
        .collect()
}

/// One open alert for one incident, and not a new one for each failure.
fn storms(view: &View, facts: &Facts) -> Vec<Violation> {
    let mut open: BTreeMap<String, u32> = BTreeMap::new();
    let mut all: BTreeMap<String, usize> = BTreeMap::new();
    for alert in &view.alerts {
        let incident = &alert.incident;
        let class = incident.code.spec().class;
        let about = if matches!(class, Class::Transient | Class::Permanent) {
            // About a workload as a whole: nothing tells two of them apart.
            let mut whole = Incident::new(incident.code, incident.subject, incident.workload);
            if incident.code == Code::ProfileFailing {
                whole.workload = None;
            }
            whole
        } else {
            incident.clone()
        };
        let key = format!(
            "{} about {:?} {:?} {}",
            about.code, about.subject, about.workload, about.discriminator
        );
        if alert.closed_at.is_none() {
            *open.entry(key.clone()).or_default() += 1;
        }
        if class == Class::Transient {
            *all.entry(key).or_default() += 1;
        }
    }
    let mut violations: Vec<_> = open
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(key, count)| Violation::new(9, format!("{count} open alerts: {key}")))
        .collect();
    // Each ends with a success; so there are not more than things that went wrong.
    let wrong = facts.strikes.len() + facts.windows.len() * 2 + facts.crashes.len() + 4;
    let wrong = wrong + turns(facts);
    violations.extend(
        all.into_iter()
            .filter(|(_, count)| *count > wrong)
            .map(|(key, count)| {
                Violation::new(9, format!("{count} alerts for {wrong} troubles: {key}"))
            }),
    );
    violations
}

/// How often something worked again after it had failed, of the profile where that happened most:
/// what servers do wrong by themselves is no strike, and where every other call fails, an outage ends
/// as often.
fn turns(facts: &Facts) -> usize {
    let provider = facts.calls.iter();
    let provider = provider.filter(|call| call.side == Side::Provider && call.until.is_some());
    let mut calls: Vec<_> = provider.collect();
    calls.sort_by_key(|call| call.until);
    let mut profiles: BTreeMap<_, (bool, usize)> = BTreeMap::new();
    for call in calls {
        let (failed, turns) = profiles.entry(call.profile).or_default();
        let fails = !call.is_ok() || !call.failed.is_empty();
        *turns += usize::from(*failed && !fails);
        *failed = fails;
    }
    let counts = profiles.into_values().map(|(_, turns)| turns);
    counts.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{CallEnd, Event, FaultClass, FaultFacts};
    use crate::oracle::fixture::{World, minutes};

    fn texts(world: &World) -> Vec<String> {
        let facts = Facts::of(&world.view.history);
        check(&world.view, &facts)
            .into_iter()
            .map(|violation| violation.text)
            .collect()
    }

    fn fault(world: &mut World, class: FaultClass) {
        world.push(
            minutes(600),
            Event::FaultBegan(FaultFacts {
                window: 1,
                name: "outage".to_owned(),
                class,
                hint: None,
                accounts: Vec::new(),
            }),
        );
        world.push(minutes(700), Event::FaultEnded { window: 1 });
    }

    #[test]
    fn a_good_world_is_good() {
        assert_eq!(texts(&World::good()), Vec::<String>::new());
    }

    #[test]
    fn an_outage_disables_nobody_and_a_wrong_password_does() {
        let mut world = World::good();
        fault(&mut world, FaultClass::Transient);
        world.view.mailboxes[0].incoming.enabled = false;
        assert!(texts(&world)[0].contains("switched off"));
        let mut world = World::good();
        fault(&mut world, FaultClass::Permanent);
        world.view.mailboxes[0].incoming.enabled = false;
        assert_eq!(texts(&world), Vec::<String>::new());
    }

    #[test]
    fn two_open_alerts_about_one_outage() {
        let mut world = World::good();
        world.alert(Code::ServerUnavailable, "");
        assert_eq!(texts(&world), Vec::<String>::new());
        world.alert(Code::ServerUnavailable, "2");
        assert!(texts(&world)[0].contains("2 open alerts"));
    }

    #[test]
    fn as_many_alerts_as_things_that_got_well_again() {
        let mut world = World::good();
        for _ in 0..5 {
            world.alert(Code::ServerUnavailable, "");
        }
        let now = world.view.clock;
        for alert in &mut world.view.alerts {
            alert.closed_at = Some(now);
        }
        let fails = || CallEnd::Failed {
            code: "server-busy".to_owned(),
        };
        for minute in 0..3 {
            world.call(minutes(600 + minute), world.desk, "mail.changes", fails());
        }
        assert!(texts(&world)[0].contains("5 alerts for 4 troubles"));
        world.call(minutes(610), world.desk, "mail.changes", CallEnd::Ok);
        assert_eq!(texts(&world), Vec::<String>::new());
    }

    #[test]
    fn a_storm_of_alerts() {
        let mut world = World::good();
        for _ in 0..5 {
            world.alert(Code::ServerUnavailable, "");
        }
        let now = world.view.clock;
        for alert in &mut world.view.alerts {
            alert.closed_at = Some(now);
        }
        assert!(texts(&world)[0].contains("5 alerts for 4 troubles"));
    }
}
