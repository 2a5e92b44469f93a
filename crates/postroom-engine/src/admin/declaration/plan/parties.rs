//! Parties that have no mailbox.

use std::collections::{BTreeMap, BTreeSet};

use postroom_core::party::{Party, PartyKind};
use postroom_core::{EmailAddress, PartyId};
use serde_json::{Value, json};

use super::{
    Action, Change, FieldChange, Noun, OWNER, Planner, Problem, Target, addresses, differences,
    everything, for_the_time_being, subject, text,
};
use crate::admin::declaration::shape::{ADDRESSES, party_fields, party_with};

type Addresses = BTreeSet<EmailAddress>;

/// The parties of a kind and name.
type ByName = BTreeMap<(PartyKind, String), Vec<(PartyId, Addresses)>>;

/// Whether the addresses that are declared are near enough to those that are there.
type Alike = fn(&Addresses, &Addresses) -> bool;

/// What an entry says a party is.
struct Wanted {
    kind: PartyKind,
    name: String,
    addresses: Addresses,
}

impl Planner<'_> {
    pub(super) fn parties(&mut self) -> Vec<Change> {
        let mut wanted = BTreeMap::new();
        for index in 0..self.wanted.parties.len() {
            if let Some(read) = self.wanted_party(index) {
                wanted.insert(index, read);
            }
        }
        let matched = self.matched_parties(&wanted);
        let mut changes = Vec::new();
        for (index, wanted) in &wanted {
            let stored = matched.get(index).copied();
            changes.extend(self.party(*index, wanted, stored));
        }
        // Whoever owns others comes before them.
        changes.sort_by_key(|change| change.value(OWNER).is_some());
        changes
    }

    fn wanted_party(&mut self, index: usize) -> Option<Wanted> {
        let entry = self.wanted.parties.get(index)?;
        let Some(name) = text(entry, "name").filter(|name| !name.trim().is_empty()) else {
            self.find(Noun::Party, index, Some("name"), "name is needed");
            return None;
        };
        // A kind that cannot be read is told when the fields are.
        let kind = entry
            .get("kind")
            .cloned()
            .unwrap_or_else(|| json!("contact"));
        let kind = serde_json::from_value(kind).unwrap_or(PartyKind::Contact);
        let addresses = match entry.get(ADDRESSES).map(addresses) {
            None => BTreeSet::new(),
            Some(Ok(addresses)) => addresses.into_iter().collect(),
            Some(Err(problem)) => {
                let field = ADDRESSES.to_owned();
                self.problems(Noun::Party, index, vec![Problem { field, ..problem }]);
                return None;
            }
        };
        Some(Wanted {
            kind,
            name: name.to_owned(),
            addresses,
        })
    }

    /// Which entries mean a party that is there: the same in everything, or in name and an address,
    /// or else in the name alone.
    fn matched_parties(&self, wanted: &BTreeMap<usize, Wanted>) -> BTreeMap<usize, PartyId> {
        let mut by_name = ByName::new();
        for (party, addresses) in self.current.parties_without_mailbox() {
            let key = (party.kind, party.name.trim().to_lowercase());
            let addresses = addresses.iter().cloned().collect();
            by_name.entry(key).or_default().push((party.id, addresses));
        }
        let mut matched = BTreeMap::new();
        let mut taken = BTreeSet::new();
        let alike: [Alike; 3] = [
            |wanted, there| wanted == there,
            |wanted, there| !wanted.is_disjoint(there),
            |_, _| true,
        ];
        for alike in alike {
            for (index, wanted) in wanted {
                let key = (wanted.kind, wanted.name.trim().to_lowercase());
                if matched.contains_key(index) {
                    continue;
                }
                let found = by_name
                    .get(&key)
                    .into_iter()
                    .flatten()
                    .find(|(id, there)| !taken.contains(id) && alike(&wanted.addresses, there));
                if let Some((id, _)) = found {
                    taken.insert(*id);
                    matched.insert(*index, *id);
                }
            }
        }
        matched
    }

    fn party(&mut self, index: usize, wanted: &Wanted, stored: Option<PartyId>) -> Option<Change> {
        let findings = self.findings.len();
        let entry = self.wanted.parties.get(index)?;
        let stored = stored.and_then(|id| self.parties.get(&id).copied());
        let mut given = entry.clone();
        let listed = given.remove(ADDRESSES).is_some();
        let base = stored.map_or_else(
            || {
                let id = PartyId::from_random(for_the_time_being(Noun::Party, index));
                Party::new(id, wanted.kind, wanted.name.as_str())
            },
            |(party, _)| party.clone(),
        );
        let (next, problems) = party_with(&base, &given, &self.names);
        self.problems(Noun::Party, index, problems);
        let after = party_fields(&next, &self.names);
        let mut fields = if stored.is_some() {
            differences(&party_fields(&base, &self.names), &after, &given)
        } else {
            everything(&after, &given)
        };
        let there: Addresses = stored
            .into_iter()
            .flat_map(|(_, addresses)| addresses.iter().cloned())
            .collect();
        let list = |addresses: &Addresses| -> Value {
            json!(
                addresses
                    .iter()
                    .map(EmailAddress::as_str)
                    .collect::<Vec<_>>()
            )
        };
        if listed && there != wanted.addresses {
            let from = stored.map(|_| list(&there));
            fields.push(FieldChange::new(ADDRESSES, from, list(&wanted.addresses)));
        }
        let nothing = stored.is_some() && fields.is_empty();
        if nothing || self.findings.len() > findings {
            return None;
        }
        Some(Change {
            support: Vec::new(),
            action: stored.map_or(Action::Create, |_| Action::Update),
            noun: Noun::Party,
            subject: subject(Noun::Party, index, entry),
            target: stored.map_or(Target::New, |(party, _)| Target::Party(party.id)),
            index: Some(index),
            fields,
            passwords: Vec::new(),
            destroys: None,
        })
    }
}
