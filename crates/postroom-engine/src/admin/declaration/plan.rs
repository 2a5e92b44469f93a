//! Which changes lead from what there is to what is declared.

mod mailboxes;
mod parties;
mod profiles;

use std::collections::{BTreeMap, BTreeSet};

use postroom_core::party::Party;
use postroom_core::{
    EmailAddress, Mailbox, MailboxId, Organization, PartyId, ProfileId, ServerProfile,
};
use postroom_core::{settings, support};
use serde_json::{Value, json};

use super::change::{Action, Change, FieldChange, Target};
use super::fields::{Fields, Names, Problem, Reference};
use super::read::{Finding, PasswordUse, Slot, subject, without_passwords};
use super::shape::{DEFAULT_PROFILE, OWNER, organization_fields, organization_with};
use super::{Declaration, Noun, Snapshot};
use crate::environment;

/// What is planned beside what is declared.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PlanOptions {
    /// What the declaration does not name is taken out of use: mailboxes are deactivated, profiles
    /// deleted, or deactivated while a mailbox has them. The application's parties stay.
    pub prune: bool,
}

impl PlanOptions {
    /// Takes out of use what is not named.
    #[must_use]
    pub const fn prune(mut self, prune: bool) -> Self {
        self.prune = prune;
        self
    }
}

/// Which changes lead from `current` to `wanted`, in an order that works: what is referred to comes
/// first. No change is left where both agree.
///
/// # Errors
/// Everything that is wrong with the declaration; then nothing of it should be applied.
pub fn plan(
    current: &Snapshot,
    wanted: &Declaration,
    options: &PlanOptions,
) -> Result<Vec<Change>, Vec<Finding>> {
    let mut planner = Planner::new(current, wanted);
    let (organization, default_profile) = planner.organization();
    let (profiles, owners) = planner.profiles();
    let mailboxes = planner.mailboxes();
    let parties = planner.parties();
    let pruned = if options.prune {
        planner.prune()
    } else {
        Vec::new()
    };
    if !planner.findings.is_empty() {
        return Err(planner.findings);
    }
    Ok([
        organization,
        profiles,
        default_profile,
        mailboxes,
        parties,
        owners,
        pruned,
    ]
    .into_iter()
    .flatten()
    .collect())
}

struct Planner<'a> {
    current: &'a Snapshot,
    wanted: &'a Declaration,
    mailboxes: BTreeMap<MailboxId, &'a Mailbox>,
    parties: BTreeMap<PartyId, &'a (Party, Vec<EmailAddress>)>,
    /// The organization as it is declared.
    organization: Organization,
    /// Names of what there is and of what there will be, the latter with ids for the time being.
    names: Names,
    passwords: BTreeMap<(Noun, usize), Vec<PasswordUse>>,
    findings: Vec<Finding>,
    /// Mailboxes that are named.
    named: BTreeSet<MailboxId>,
    /// Profiles that mailboxes will have, or that are the default.
    used_profiles: BTreeSet<ProfileId>,
    /// Profiles as they are declared.
    profiles: BTreeMap<ProfileId, ServerProfile>,
}

impl<'a> Planner<'a> {
    fn new(current: &'a Snapshot, wanted: &'a Declaration) -> Self {
        let mut names = current.names();
        for (index, fields) in wanted.profiles.iter().enumerate() {
            if let Some(name) = text(fields, "name") {
                let id = ProfileId::from_random(for_the_time_being(Noun::Profile, index));
                names.add(Reference::Profile, id, name, []);
            }
        }
        for noun in [Noun::User, Noun::Queue, Noun::Party] {
            for (index, fields) in wanted.entries(noun).iter().enumerate() {
                let name = text(fields, "name");
                let first = fields
                    .get(super::shape::ADDRESSES)
                    .and_then(|addresses| addresses.get(0)?.as_str());
                if let Some(shown) = text(fields, "address").or(first).or(name) {
                    let id = PartyId::from_random(for_the_time_being(noun, index));
                    names.add(Reference::Party, id, shown, name);
                }
            }
        }
        let mut passwords: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for wanted in wanted.passwords() {
            let (noun, index, _) = wanted.key;
            passwords.entry((noun, index)).or_default().push(wanted);
        }
        let (organization, _) =
            organization_with(&current.organization, &wanted.organization, &names);
        Self {
            current,
            wanted,
            mailboxes: current.mailboxes.iter().map(|m| (m.id, m)).collect(),
            parties: current.parties.iter().map(|p| (p.0.id, p)).collect(),
            organization,
            names,
            passwords,
            findings: Vec::new(),
            named: BTreeSet::new(),
            used_profiles: BTreeSet::new(),
            profiles: BTreeMap::new(),
        }
    }

    fn find(&mut self, noun: Noun, index: usize, field: Option<&str>, message: impl Into<String>) {
        if let Some(fields) = self.wanted.entries(noun).get(index) {
            let finding = Finding::about(noun, index, fields, field, message);
            self.findings.push(finding);
        }
    }

    fn problems(&mut self, noun: Noun, index: usize, problems: Vec<Problem>) {
        if let Some(fields) = self.wanted.entries(noun).get(index) {
            let found = problems
                .into_iter()
                .map(|problem| Finding::problem(noun, index, fields, problem));
            self.findings.extend(found);
        }
    }

    /// Findings of the domain's own checks; they know fields by the domain's names. Where other
    /// fields could not be read, `only` what is declared counts: the rest may just be missing.
    fn refused<'f>(
        &mut self,
        noun: Noun,
        index: usize,
        known: &Fields,
        only: Option<&Fields>,
        errors: impl IntoIterator<Item = (&'f str, &'f str)>,
    ) {
        for (field, message) in errors {
            let spelled = [
                field.to_owned(),
                format!("{field}_seconds"),
                format!("settings.{field}"),
                format!("settings.{field}_seconds"),
            ]
            .into_iter()
            .find(|field| known.contains_key(field))
            .unwrap_or_else(|| field.to_owned());
            if only.is_some_and(|only| !only.contains_key(&spelled)) {
                continue;
            }
            let message = format!("{spelled} {message}");
            self.find(noun, index, Some(&spelled), message);
        }
    }

    /// What the support policy refuses.
    fn unsupported(&mut self, noun: Noun, index: usize, finding: &support::Finding) {
        if finding.severity == support::Severity::Refused {
            let field = Some(finding.field).filter(|field| !field.is_empty());
            let (rule, text, here) = (finding.rule, finding.text, finding.here);
            let message = format!("the support policy refuses it ({rule}): {text} {here}");
            self.find(noun, index, field, message);
        }
    }

    /// Whether a name means something that is not there yet.
    fn is_new(&self, reference: Reference, fields: &Fields, field: &str) -> bool {
        let there = self.current.names();
        text(fields, field).is_some_and(|name| {
            self.names.id_of(reference, name).is_some() && there.id_of(reference, name).is_none()
        })
    }

    fn organization(&mut self) -> (Vec<Change>, Vec<Change>) {
        let stored = &self.current.organization;
        let given = &self.wanted.organization;
        let (next, problems) = organization_with(stored, given, &self.names);
        let (before, after) = (
            organization_fields(stored, &self.names),
            organization_fields(&next, &self.names),
        );
        let sound = problems.is_empty();
        self.problems(Noun::Organization, 0, problems);
        if next.name.trim().is_empty() {
            self.find(
                Noun::Organization,
                0,
                Some("name"),
                "name must not be empty",
            );
        }
        if let Err(errors) = settings::validate(&next) {
            let errors = errors.iter().map(|e| (e.field, e.message.as_str()));
            let only = (!sound).then_some(given);
            self.refused(Noun::Organization, 0, &after, only, errors);
        } else if let Err(error) = environment::rules(&next) {
            let facts = error.context().clone();
            let facts = facts.iter().map(|(field, text)| (*field, text.as_str()));
            let only = (!sound).then_some(given);
            self.refused(Noun::Organization, 0, &after, only, facts);
        }
        self.used_profiles
            .extend(next.settings.mailbox_defaults.profile);
        let fields = differences(&before, &after, given);
        let later = self.is_new(Reference::Profile, given, DEFAULT_PROFILE);
        let (late, early): (Vec<_>, Vec<_>) = fields
            .into_iter()
            .partition(|change| later && change.field == DEFAULT_PROFILE);
        let change = |fields: Vec<FieldChange>| {
            let moved = fields
                .iter()
                .any(|change| change.field == "deployment.kind");
            (!fields.is_empty()).then(|| Change {
                action: Action::Update,
                noun: Noun::Organization,
                subject: subject(Noun::Organization, 0, given),
                target: Target::Organization,
                index: Some(0),
                fields,
                passwords: Vec::new(),
                support: Vec::new(),
                destroys: moved.then(|| "changes who may approve addresses".to_owned()),
            })
        };
        (
            change(early).into_iter().collect(),
            change(late).into_iter().collect(),
        )
    }

    /// The passwords of an entry that have to be set; what is wrong with them is told.
    fn passwords_of(
        &mut self,
        noun: Noun,
        index: usize,
        user_name: impl Fn(Slot) -> Option<String>,
    ) -> Vec<Slot> {
        let mut slots = BTreeSet::new();
        for wanted in self.passwords.remove(&(noun, index)).unwrap_or_default() {
            let (_, _, slot) = wanted.key;
            if !slots.insert(slot) {
                let message = "password_file and password_env are both there; leave out one";
                self.find(noun, index, Some(&wanted.field), message);
            }
            if user_name(slot).is_none_or(|name| name.trim().is_empty()) {
                let field = wanted.field.replace("password_file", "user_name");
                let field = field.replace("password_env", "user_name");
                let message = format!("{field} is needed for a password");
                self.find(noun, index, Some(&wanted.field), message);
            }
        }
        slots.retain(|slot| {
            !self
                .current
                .passwords_in_place
                .contains(&(noun, index, *slot))
        });
        slots.into_iter().collect()
    }

    fn prune(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        let change = |action, noun, subject, target, destroys: &str| Change {
            action,
            noun,
            subject,
            target,
            index: None,
            fields: Vec::new(),
            passwords: Vec::new(),
            support: Vec::new(),
            destroys: Some(destroys.to_owned()),
        };
        let left = self
            .current
            .mailboxes
            .iter()
            .filter(|mailbox| !self.named.contains(&mailbox.id));
        let mut used = self.used_profiles.clone();
        for mailbox in left {
            used.extend(mailbox.profile);
            if mailbox.active {
                let noun = super::snapshot::noun_of(&mailbox.owner);
                let mut fields = Fields::new();
                fields.insert("name".to_owned(), json!(mailbox.name));
                if let Some(address) = &mailbox.address {
                    fields.insert("address".to_owned(), json!(address.as_str()));
                }
                let subject = subject(noun, 0, &fields);
                let target = Target::Mailbox(mailbox.id);
                changes.push(change(
                    Action::Deactivate,
                    noun,
                    subject,
                    target,
                    "stops its traffic",
                ));
            }
        }
        let named: BTreeSet<String> = self
            .wanted
            .profiles
            .iter()
            .filter_map(|fields| Some(text(fields, "name")?.trim().to_lowercase()))
            .collect();
        for profile in &self.current.profiles {
            if named.contains(&profile.name.to_lowercase()) {
                continue;
            }
            let subject = format!("profile {:?}", profile.name);
            let target = Target::Profile(profile.id);
            if !used.contains(&profile.id) {
                let lost = "its settings and passwords are lost";
                changes.push(change(Action::Delete, Noun::Profile, subject, target, lost));
            } else if profile.active {
                let lost = "stops the traffic of all its mailboxes";
                changes.push(change(
                    Action::Deactivate,
                    Noun::Profile,
                    subject,
                    target,
                    lost,
                ));
            }
        }
        changes
    }
}

fn text<'f>(fields: &'f Fields, field: &str) -> Option<&'f str> {
    fields.get(field).and_then(Value::as_str)
}

/// An id for what is not there yet, while it is planned.
fn for_the_time_being(noun: Noun, index: usize) -> [u8; 16] {
    let mut bytes = [0xEE; 16];
    let number = (index as u64).to_be_bytes();
    for (byte, digit) in bytes.iter_mut().zip([noun as u8].into_iter().chain(number)) {
        *byte = digit;
    }
    bytes
}

/// The declared fields that have another value now.
fn differences(before: &Fields, after: &Fields, given: &Fields) -> Vec<FieldChange> {
    given
        .keys()
        .filter_map(|field| {
            let from = before.get(field).cloned().unwrap_or_default();
            let to = after.get(field).cloned().unwrap_or_default();
            (from != to).then(|| FieldChange::new(field, Some(from), written(to)))
        })
        .collect()
}

/// Everything that is declared of something new.
fn everything(after: &Fields, given: &Fields) -> Vec<FieldChange> {
    given
        .iter()
        .map(|(field, value)| {
            let to = after.get(field).unwrap_or(value).clone();
            FieldChange::new(field, None, written(to))
        })
        .collect()
}

/// What is absent, as it is declared.
fn written(value: Value) -> Value {
    if value.is_null() { json!("") } else { value }
}

/// A list of addresses.
fn addresses(value: &Value) -> Result<Vec<EmailAddress>, Problem> {
    let problem = |message: String| Problem::new("", message);
    let values = value
        .as_array()
        .ok_or_else(|| problem("must be a list of addresses".to_owned()))?;
    values
        .iter()
        .map(|value| {
            let text = value.as_str().unwrap_or_default();
            text.parse()
                .map_err(|error| problem(format!("holds {value}, which cannot be used: {error}")))
        })
        .collect()
}
