//! Users, queues and forward mailboxes.

use std::collections::{BTreeMap, BTreeSet};

use postroom_core::approval::ApprovalState;
use postroom_core::mailbox::MailboxOwner;
use postroom_core::support::{SupportPolicy, check};
use postroom_core::{EmailAddress, Mailbox, MailboxId, PartyId, Workload};
use serde_json::{Value, json};

use super::{
    Action, Change, FieldChange, Fields, Noun, Planner, Problem, Target, addresses, differences,
    everything, for_the_time_being, subject, text, without_passwords,
};
use crate::admin::declaration::shape::{APPROVAL, OTHER_ADDRESSES, mailbox_fields, mailbox_with};
use crate::admin::declaration::snapshot::noun_of;
use crate::plan::edit::{MailboxEdit, edited};

const NOUNS: [Noun; 3] = [Noun::User, Noun::Queue, Noun::ForwardMailbox];

impl Planner<'_> {
    pub(super) fn mailboxes(&mut self) -> Vec<Change> {
        let matched = self.matched();
        let mut changes = Vec::new();
        for noun in NOUNS {
            for index in 0..self.wanted.entries(noun).len() {
                let stored = matched.get(&(noun, index)).copied();
                let change = self.mailbox(noun, index, stored);
                changes.extend(change.filter(|change| {
                    change.action == Action::Create
                        || !change.fields.is_empty()
                        || !change.passwords.is_empty()
                }));
            }
        }
        changes
    }

    /// Which entries mean a mailbox that is there: by its address, or else by its name.
    fn matched(&mut self) -> BTreeMap<(Noun, usize), MailboxId> {
        let mut by_address = BTreeMap::new();
        let mut by_name: BTreeMap<(Noun, String), Vec<MailboxId>> = BTreeMap::new();
        for mailbox in &self.current.mailboxes {
            let noun = noun_of(&mailbox.owner);
            if let Some(address) = &mailbox.address {
                by_address.insert(address.clone(), (noun, mailbox.id));
            }
            let name = mailbox.name.trim().to_lowercase();
            by_name.entry((noun, name)).or_default().push(mailbox.id);
        }
        let mut matched = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut unmatched = Vec::new();
        for noun in NOUNS {
            for (index, fields) in self.wanted.entries(noun).iter().enumerate() {
                let address: Option<EmailAddress> =
                    text(fields, "address").and_then(|text| text.parse().ok());
                let Some(address) = address else {
                    unmatched.push((noun, index));
                    continue;
                };
                if !seen.insert(address.clone()) {
                    let message = format!("{address} is there twice");
                    self.find(noun, index, Some("address"), message);
                    continue;
                }
                match by_address.get(&address) {
                    Some((of, id)) if *of == noun => {
                        matched.insert((noun, index), *id);
                        self.named.insert(*id);
                    }
                    Some((of, _)) => {
                        let message = format!("{address} is the address of a {}", of.word());
                        self.find(noun, index, Some("address"), message);
                    }
                    None => unmatched.push((noun, index)),
                }
            }
        }
        for (noun, index) in unmatched {
            let fields = self.wanted.entries(noun).get(index);
            let Some(name) = fields.and_then(|fields| text(fields, "name")) else {
                continue;
            };
            let named = by_name.get(&(noun, name.trim().to_lowercase()));
            let mut free = named
                .into_iter()
                .flatten()
                .filter(|id| !self.named.contains(*id));
            if let (Some(id), None) = (free.next().copied(), free.next()) {
                matched.insert((noun, index), id);
                self.named.insert(id);
            }
        }
        matched
    }

    fn mailbox(&mut self, noun: Noun, index: usize, stored: Option<MailboxId>) -> Option<Change> {
        let findings = self.findings.len();
        let entry = self.wanted.entries(noun).get(index)?;
        let stored = stored.and_then(|id| self.mailboxes.get(&id).copied());
        if stored.is_none() && text(entry, "name").is_none_or(|name| name.trim().is_empty()) {
            self.find(noun, index, Some("name"), "name is needed");
        }
        let mut given = without_passwords(noun, entry);
        let others = self.other_addresses(noun, index, &mut given, stored);
        let wanted_approval = self.approval(noun, index, &mut given);
        let base = stored
            .cloned()
            .unwrap_or_else(|| self.new_mailbox(noun, index));
        let (next, problems) = mailbox_with(&base, &given, &self.names);
        let sound = problems.is_empty();
        self.problems(noun, index, problems);
        self.used_profiles.extend(next.profile);
        let edit = MailboxEdit::between(&base, &next);
        let (before, after) = (
            mailbox_fields(&base, &self.names),
            mailbox_fields(&next, &self.names),
        );
        let edited = match edited(&base, &edit) {
            Ok(edited) => edited,
            Err(errors) => {
                let errors = errors.iter().map(|e| (e.field, e.message.as_str()));
                let only = (!sound).then_some(&given);
                self.refused(noun, index, &after, only, errors);
                next.clone()
            }
        };
        if stored.is_none() || edit.changes_delivery() {
            self.mailbox_supported(noun, index, &edited);
        }
        let passwords = self.passwords_of(noun, index, |_| {
            let address = next.address.as_ref().map(ToString::to_string);
            next.user_name.clone().or(address)
        });
        let mut fields = if stored.is_some() {
            differences(&before, &after, &given)
        } else {
            everything(&after, &given)
        };
        if let Some(wanted) = wanted_approval
            && wanted != edited.approval
        {
            if edited.approval == ApprovalState::Empty {
                let message = "approval needs an address";
                self.find(noun, index, Some(APPROVAL), message);
            }
            let from = stored.map(|_| json!(edited.approval));
            fields.push(FieldChange::new(APPROVAL, from, json!(wanted)));
        }
        fields.extend(others);
        if self.findings.len() > findings {
            return None;
        }
        let destroys = stored.and_then(|stored| lost(stored, &next, &edited, wanted_approval));
        Some(Change {
            action: stored.map_or(Action::Create, |_| Action::Update),
            noun,
            subject: subject(noun, index, entry),
            target: stored.map_or(Target::New, |mailbox| Target::Mailbox(mailbox.id)),
            index: Some(index),
            fields,
            passwords,
            destroys,
            support: Vec::new(),
        })
    }

    /// What a strict support policy refuses of a mailbox is a finding.
    fn mailbox_supported(&mut self, noun: Noun, index: usize, mailbox: &Mailbox) {
        let policy = self.organization.settings.support_policy;
        let Some(profile) = mailbox.profile.filter(|_| policy == SupportPolicy::Strict) else {
            return;
        };
        let stored = || self.current.profiles.iter().find(|one| one.id == profile);
        let Some(profile) = self.profiles.get(&profile).or_else(stored).cloned() else {
            return;
        };
        let of_profile = check(&self.organization, &profile, None, policy);
        for finding in check(&self.organization, &profile, Some(mailbox), policy) {
            if !of_profile.contains(&finding) {
                self.unsupported(noun, index, &finding);
            }
        }
    }

    /// A mailbox as it comes to be, with the defaults that the declaration gives the organization.
    fn new_mailbox(&self, noun: Noun, index: usize) -> Mailbox {
        let owner = PartyId::from_random(for_the_time_being(noun, index));
        let owner = match noun {
            Noun::User => MailboxOwner::User(owner),
            Noun::Queue => MailboxOwner::Queue(owner),
            _ => MailboxOwner::Forward,
        };
        let id = MailboxId::from_random(for_the_time_being(noun, index));
        let bare = Mailbox::new(id, "", owner, None);
        let defaults = MailboxEdit::defaults(&self.organization.settings.mailbox_defaults, &owner);
        edited(&bare, &defaults).unwrap_or(bare)
    }

    /// What the file says about approval: `approved` or `rejected`.
    fn approval(&mut self, noun: Noun, index: usize, given: &mut Fields) -> Option<ApprovalState> {
        let value = given.remove(APPROVAL)?;
        match value.as_str() {
            Some("approved") => Some(ApprovalState::Approved),
            Some("rejected") => Some(ApprovalState::Rejected),
            _ => {
                let message = "approval must be approved or rejected; leave it out to decide later";
                self.find(noun, index, Some(APPROVAL), message);
                None
            }
        }
    }

    fn other_addresses(
        &mut self,
        noun: Noun,
        index: usize,
        given: &mut Fields,
        stored: Option<&Mailbox>,
    ) -> Option<FieldChange> {
        if noun == Noun::ForwardMailbox {
            return None;
        }
        let value = given.remove(OTHER_ADDRESSES)?;
        let wanted = match addresses(&value) {
            Ok(addresses) => BTreeSet::from_iter(addresses),
            Err(problem) => {
                let field = OTHER_ADDRESSES.to_owned();
                self.problems(noun, index, vec![Problem { field, ..problem }]);
                return None;
            }
        };
        let party = stored
            .and_then(|mailbox| mailbox.owner.party())
            .and_then(|id| self.parties.get(&id));
        let there: BTreeSet<EmailAddress> = party
            .into_iter()
            .flat_map(|(_, addresses)| addresses.iter().cloned())
            .filter(|address| Some(address) != stored.and_then(|m| m.address.as_ref()))
            .collect();
        let list = |addresses: &BTreeSet<EmailAddress>| -> Value {
            json!(
                addresses
                    .iter()
                    .map(EmailAddress::as_str)
                    .collect::<Vec<_>>()
            )
        };
        (wanted != there).then(|| {
            let from = stored.map(|_| list(&there));
            FieldChange::new(OTHER_ADDRESSES, from, list(&wanted))
        })
    }
}

/// What a mailbox loses.
fn lost(
    stored: &Mailbox,
    next: &Mailbox,
    edited: &Mailbox,
    approval: Option<ApprovalState>,
) -> Option<String> {
    let mut lost = Vec::new();
    if stored.active && !next.active {
        lost.push("stops its traffic".to_owned());
    }
    if approval == Some(ApprovalState::Rejected) && stored.approval != ApprovalState::Rejected {
        lost.push("stops its traffic: the address is rejected".to_owned());
    }
    if stored.approval == ApprovalState::Approved
        && edited.approval != ApprovalState::Approved
        && approval.is_none()
    {
        lost.push("the address has to be approved again".to_owned());
    }
    let untested: Vec<&str> = Workload::ALL
        .into_iter()
        .filter(|workload| {
            stored.workload(*workload).enabled && !edited.workload(*workload).enabled
        })
        .map(Workload::as_str)
        .collect();
    if !untested.is_empty() {
        lost.push(format!(
            "{} has to be tested and enabled again",
            untested.join(", ")
        ));
    }
    (!lost.is_empty()).then(|| lost.join("; "))
}
