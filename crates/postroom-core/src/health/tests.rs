use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

fn fail(code: Code) -> CycleOutcome {
    CycleOutcome::Failed {
        code,
        retry_after: None,
    }
}

fn after(health: &Health, outcome: CycleOutcome) -> HealthChange {
    health.after(outcome, &HealthPolicy::default(), NOW, 0)
}

#[test]
fn an_outage_retries_then_fails_and_never_disables() {
    let mut health = Health::Healthy;
    let mut waits = Vec::new();
    for failures in 1..=100_u32 {
        let change = after(&health, fail(Code::ServerUnavailable));
        waits.push(change.next_attempt.unwrap().since(NOW).as_secs());
        let level = if failures < 10 {
            Level::Warning
        } else {
            Level::Error
        };
        assert_eq!(
            change.alerts,
            [AlertAction::Raise {
                code: Code::ServerUnavailable,
                level
            }]
        );
        assert_eq!(
            change.health.name(),
            if failures < 10 { "retrying" } else { "failing" }
        );
        health = change.health;
    }
    assert_eq!(waits[..6], [30, 60, 120, 240, 300, 300]);
    assert_eq!(waits[9..12], [900, 900, 900]);
    let change = after(&health, CycleOutcome::Succeeded);
    assert_eq!(change.health, Health::Healthy);
    assert_eq!(change.next_attempt, None);
    assert_eq!(
        change.alerts,
        [AlertAction::Close {
            code: Code::ServerUnavailable
        }]
    );
}

#[test]
fn since_stays_when_the_cause_changes_and_the_old_alert_is_closed() {
    let first = after(&Health::Healthy, fail(Code::ServerBusy)).health;
    let change = first.after(
        fail(Code::ConnectionLost),
        &HealthPolicy::default(),
        NOW.plus(Duration::from_secs(60)),
        0,
    );
    assert_eq!(
        change.health,
        Health::Retrying {
            code: Code::ConnectionLost,
            failures: 2,
            since: NOW
        }
    );
    assert_eq!(
        change.alerts,
        [
            AlertAction::Close {
                code: Code::ServerBusy
            },
            AlertAction::Raise {
                code: Code::ConnectionLost,
                level: Level::Warning
            }
        ]
    );
}

#[test]
fn what_only_a_person_can_mend_disables_at_once() {
    for health in [
        Health::Healthy,
        after(&Health::Healthy, fail(Code::ServerBusy)).health,
    ] {
        let change = after(&health, fail(Code::CredentialsRejected));
        assert_eq!(
            change.health,
            Health::Disabled {
                code: Code::CredentialsRejected,
                since: NOW
            }
        );
        assert_eq!(change.next_attempt, None);
        assert!(change.alerts.contains(&AlertAction::Raise {
            code: Code::CredentialsRejected,
            level: Level::Error
        }));
    }
}

#[test]
fn an_outage_during_a_test_does_not_enable() {
    let disabled = Health::Disabled {
        code: Code::MailboxNotFound,
        since: NOW,
    };
    assert_eq!(
        after(&disabled, fail(Code::ConnectionTimedOut)).health,
        disabled
    );
    assert_eq!(
        after(&disabled, CycleOutcome::Succeeded).health,
        Health::Healthy
    );
    let other = after(&disabled, fail(Code::CredentialsRejected));
    assert_eq!(
        other.health,
        Health::Disabled {
            code: Code::CredentialsRejected,
            since: NOW
        }
    );
    assert_eq!(
        other.alerts[0],
        AlertAction::Close {
            code: Code::MailboxNotFound
        }
    );
}

#[test]
fn a_message_of_its_own_trouble_is_not_the_workloads() {
    let change = after(&Health::Healthy, fail(Code::MessageMalformed));
    assert_eq!(change.health, Health::Healthy);
    assert!(change.alerts.is_empty());
}

#[test]
fn the_servers_wait_is_kept_to_the_letter() {
    let outcome = CycleOutcome::Failed {
        code: Code::ServerBusy,
        retry_after: Some(Duration::from_secs(7200)),
    };
    let change = after(&Health::Healthy, outcome);
    assert_eq!(
        change.next_attempt,
        Some(NOW.plus(Duration::from_secs(7200)))
    );
}

#[test]
fn jitter_adds_at_most_a_quarter() {
    let wait = |jitter| {
        let change = Health::Healthy.after(
            fail(Code::ServerBusy),
            &HealthPolicy::default(),
            NOW,
            jitter,
        );
        change.next_attempt.unwrap().since(NOW)
    };
    assert_eq!(wait(0), Duration::from_secs(30));
    assert_eq!(wait(u32::MAX), Duration::from_millis(37_500));
    assert!(wait(u32::MAX / 2) < wait(u32::MAX));
}

#[test]
fn every_code_moves_health_by_its_class() {
    for &code in Code::ALL {
        let health = after(&Health::Healthy, fail(code)).health;
        let expected = match code.spec().class {
            Class::Event | Class::Item => "healthy",
            Class::Transient => "retrying",
            Class::Permanent => "disabled",
        };
        assert_eq!(health.name(), expected, "{code}");
    }
}

#[test]
fn more_than_half_is_the_profiles_trouble() {
    assert!(!profile_outage(0, 0));
    assert!(!profile_outage(4, 2));
    assert!(profile_outage(4, 3));
    assert!(profile_outage(1, 1));
    assert!(!profile_outage(usize::MAX, 1));
}
