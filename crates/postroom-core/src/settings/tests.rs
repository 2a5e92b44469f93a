use super::*;
use crate::id::OrganizationId;
use crate::organization::{Deployment, DeploymentKind};

fn organization() -> Organization {
    let id = OrganizationId::from_random([1; 16]);
    Organization::new(id, "Contoso", Deployment::new(DeploymentKind::OnPremises))
}

#[test]
fn names_are_unique_and_texts_are_sentences() {
    let mut names = std::collections::BTreeSet::new();
    for setting in SETTINGS {
        assert!(names.insert(setting.name), "{} twice", setting.name);
        assert!(setting.doc.ends_with('.'), "{}", setting.name);
        assert!(!setting.source.is_empty(), "{}", setting.name);
    }
    for setting in MAILBOX_SETTINGS {
        assert!(names.insert(setting.name), "{} twice", setting.name);
        assert!(setting.doc.ends_with('.'), "{}", setting.name);
    }
    for switch in REFERENCE_SWITCHES {
        if let Fate::Setting(name) = switch.fate {
            assert!(find(name).is_some(), "{}: {name}", switch.name);
        }
    }
}

#[test]
fn every_setting_can_be_read_and_put_back() {
    let organization = organization();
    assert_eq!(validate(&organization), Ok(()));
    for setting in SETTINGS {
        let value = setting.get(&organization);
        let mut changed = organization.clone();
        let old = setting.set(&mut changed, &value.to_string()).unwrap();
        assert_eq!(old, value, "{}", setting.name);
        assert_eq!(changed, organization, "{}", setting.name);
    }
}

/// A value that is not the default one.
fn other(setting: &Setting, value: &SettingValue) -> String {
    match (setting.kind(), value) {
        (SettingKind::Switch, SettingValue::Switch(on)) => (if *on { "off" } else { "on" }).into(),
        (SettingKind::Number { min, max } | SettingKind::Seconds { min, max }, value) => {
            let other = if value.to_string() == max.to_string() {
                min
            } else {
                max
            };
            other.to_string()
        }
        (SettingKind::Choice(names), value) => names
            .iter()
            .find(|name| **name != value.to_string())
            .unwrap()
            .to_string(),
        (SettingKind::Profile, _) => ProfileId::from_random([7; 16]).to_string(),
        (SettingKind::Texts { .. }, _) => "A:, B:".to_owned(),
        _ => "T:".to_owned(),
    }
}

#[test]
fn every_setting_changes_itself_and_nothing_else() {
    for setting in SETTINGS {
        let before = organization();
        let mut after = before.clone();
        let text = other(setting, &setting.get(&before));
        setting.set(&mut after, &text).unwrap();
        assert_eq!(setting.get(&after).to_string(), text, "{}", setting.name);
        let changes = changes(&before, &after, "ada", Timestamp::EPOCH);
        assert_eq!(changes.len(), 1, "{}", setting.name);
        assert_eq!(changes[0].name, setting.name);
        assert_eq!(changes[0].to, text);
        assert_eq!(changes[0].by, "ada");
    }
}

#[test]
fn ranges_hold_and_the_finding_names_the_setting() {
    for setting in SETTINGS {
        let mut bad = vec![];
        match setting.kind() {
            SettingKind::Switch => bad.push("perhaps".to_owned()),
            SettingKind::Number { min, max } | SettingKind::Seconds { min, max } => {
                bad.push((max + 1).to_string());
                bad.push("-1".to_owned());
                bad.push("many".to_owned());
                if min > 0 {
                    bad.push((min - 1).to_string());
                }
                for good in [min, max] {
                    assert!(setting.parse(&good.to_string()).is_ok(), "{}", setting.name);
                }
            }
            SettingKind::Text { min, max } => {
                bad.push("x".repeat(max + 1));
                if min > 0 {
                    bad.push(String::new());
                }
            }
            SettingKind::Texts { max, characters } => {
                bad.push(vec!["x"; max + 1].join(","));
                bad.push("x".repeat(characters + 1));
            }
            SettingKind::Choice(_) => bad.push("something else".to_owned()),
            SettingKind::Profile => bad.push("Office".to_owned()),
            SettingKind::Time => {}
        }
        for text in bad {
            let error = setting.parse(&text).unwrap_err();
            assert_eq!(error.field, setting.name);
            assert!(error.message.starts_with("must"), "{error}");
        }
    }
}

#[test]
fn settings_that_contradict_each_other_are_found() {
    let mut organization = organization();
    organization.settings.health.delay_max = std::time::Duration::from_secs(1);
    let errors = validate(&organization).unwrap_err();
    assert_eq!(errors[0].field, "health.delay_min_seconds");
    organization.settings.item_attempts_max = 0;
    assert_eq!(
        validate(&organization).unwrap_err()[0].field,
        "item_attempts_max"
    );
}
