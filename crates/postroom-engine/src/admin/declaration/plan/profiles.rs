//! Profiles.

use std::collections::BTreeSet;

use postroom_core::profile::ProfileKind;
use postroom_core::{ProfileId, ServerProfile, support};

use super::{
    Action, Change, FieldChange, Noun, OWNER, Planner, Reference, Slot, Target, differences,
    everything, for_the_time_being, subject, text, without_passwords,
};
use crate::admin::declaration::nearest;
use crate::admin::declaration::read::Finding;
use crate::admin::declaration::shape::{profile_fields, profile_with};

impl Planner<'_> {
    /// The changes of profiles, and those that have to wait until their owners are there.
    pub(super) fn profiles(&mut self) -> (Vec<Change>, Vec<Change>) {
        let (mut changes, mut late) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for index in 0..self.wanted.profiles.len() {
            let before = self.findings.len();
            let planned = self.profile(index, &mut seen);
            if self.findings.len() > before {
                continue;
            }
            let Some(mut change) = planned else { continue };
            let waits = self.is_new(Reference::Party, &change.values(), OWNER);
            if waits && let Some(place) = change.fields.iter().position(|f| f.field == OWNER) {
                let owner = change.fields.remove(place);
                late.push(Change {
                    action: Action::Update,
                    fields: vec![owner],
                    passwords: Vec::new(),
                    destroys: None,
                    support: Vec::new(),
                    ..change.clone()
                });
            }
            let empty = change.fields.is_empty() && change.passwords.is_empty();
            if !(empty && change.action == Action::Update) {
                changes.push(change);
            }
        }
        (changes, late)
    }

    fn profile(&mut self, index: usize, seen: &mut BTreeSet<String>) -> Option<Change> {
        let entry = self.wanted.profiles.get(index)?;
        let Some(name) = text(entry, "name").filter(|name| !name.trim().is_empty()) else {
            self.find(Noun::Profile, index, Some("name"), "name is needed");
            return None;
        };
        if !seen.insert(name.trim().to_lowercase()) {
            let message = format!("there are two profiles {name:?}");
            self.find(Noun::Profile, index, Some("name"), message);
        }
        self.kind(index);
        let stored = self
            .current
            .profiles
            .iter()
            .find(|profile| profile.name.to_lowercase() == name.trim().to_lowercase());
        let base = stored.cloned().unwrap_or_else(|| {
            let kind = text(entry, "kind").map_or(ProfileKind::ExchangeServer, |kind| {
                ProfileKind::from_name(kind)
            });
            let id = ProfileId::from_random(for_the_time_being(Noun::Profile, index));
            ServerProfile::new(id, name, kind)
        });
        let given = without_passwords(Noun::Profile, entry);
        let (next, problems) = profile_with(&base, &given, &self.names);
        let sound = problems.is_empty();
        self.problems(Noun::Profile, index, problems);
        let (before, after) = (
            profile_fields(&base, &self.names),
            profile_fields(&next, &self.names),
        );
        if stored.is_some_and(|stored| stored.kind != next.kind) {
            let message = "cannot be changed; declare a profile of another name";
            self.find(Noun::Profile, index, Some("kind"), message);
        }
        if let Err(errors) = next.validate() {
            let errors = errors.iter().map(|e| (e.field, e.message.as_str()));
            let only = (!sound).then_some(&given);
            self.refused(Noun::Profile, index, &after, only, errors);
        }
        let passwords = self.passwords_of(Noun::Profile, index, |slot| match slot {
            Slot::Outgoing => next.outgoing.user_name.clone(),
            Slot::Incoming | Slot::Mailbox => next.incoming.user_name.clone(),
        });
        let support = if sound && stored != Some(&next) {
            self.supported(index, &next)
        } else {
            Vec::new()
        };
        self.profiles.insert(next.id, next.clone());
        let change = |action, target, fields: Vec<FieldChange>, destroys| Change {
            action,
            noun: Noun::Profile,
            subject: subject(Noun::Profile, index, entry),
            target,
            index: Some(index),
            fields,
            passwords: passwords.clone(),
            destroys,
            support: support.clone(),
        };
        let Some(stored) = stored else {
            let fields = everything(&after, &given);
            return Some(change(Action::Create, Target::New, fields, None));
        };
        let fields = differences(&before, &after, &given);
        let stops = stored.active && !next.active;
        let destroys = stops.then(|| "stops the traffic of all its mailboxes".to_owned());
        let target = Target::Profile(stored.id);
        Some(change(Action::Update, target, fields, destroys))
    }

    /// What the support check says about a profile; what the policy refuses is a finding.
    fn supported(&mut self, index: usize, profile: &ServerProfile) -> Vec<support::Finding> {
        let policy = self.organization.settings.support_policy;
        let said = support::check(&self.organization, profile, None, policy);
        for finding in &said {
            self.unsupported(Noun::Profile, index, finding);
        }
        said
    }

    /// There must be a provider for the kind.
    fn kind(&mut self, index: usize) {
        let providers = &self.current.providers;
        let Some(entry) = self.wanted.profiles.get(index) else {
            return;
        };
        let Some(kind) = text(entry, "kind") else {
            return;
        };
        if providers.is_empty() || providers.iter().any(|known| known == kind) {
            return;
        }
        let known = || providers.iter().map(String::as_str);
        let message = format!(
            "kind must be one of {}",
            known().collect::<Vec<_>>().join(", ")
        );
        let hint = nearest(kind, known()).map(|name| format!("Did you mean {name}?"));
        let finding = Finding::about(Noun::Profile, index, entry, Some("kind"), message);
        self.findings.push(finding.with_hint(hint));
    }
}
