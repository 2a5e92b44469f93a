//! Each kind of thing as fields.

use postroom_core::mailbox::DeliveryMethod;
use postroom_core::party::Party;
use postroom_core::profile::ProfileKind;
use postroom_core::{Mailbox, Organization, ServerProfile, Workload};
use serde_json::{Value, json};

use super::fields::{Fields, Names, Problem, Reference, Shape, decode, encode};

/// The organization's default profile.
pub(super) const DEFAULT_PROFILE: &str = "settings.mailbox_defaults.profile";
/// Who owns a profile or party.
pub(super) const OWNER: &str = "owner";
/// What was decided about an address.
pub(super) const APPROVAL: &str = "approval";
/// Addresses of a user or queue beside that of the mailbox.
pub(super) const OTHER_ADDRESSES: &str = "other_addresses";
/// Addresses of a party.
pub(super) const ADDRESSES: &str = "addresses";
const KIND: &str = "kind";

const ORGANIZATION: Shape = Shape {
    left_out: &["id"],
    times: &[],
    references: &[(DEFAULT_PROFILE, Reference::Profile)],
};

const PROFILE: Shape = Shape {
    left_out: &["id"],
    times: &["process_email_from"],
    references: &[(OWNER, Reference::Party)],
};

const MAILBOX: Shape = Shape {
    left_out: &[
        "id",
        "owner",
        "incoming_enabled_at",
        "associated",
        "approved_by",
        "approved_at",
        "revision",
    ],
    times: &["process_email_from"],
    references: &[("profile", Reference::Profile)],
};

const PARTY: Shape = Shape {
    left_out: &["id"],
    times: &[],
    references: &[(OWNER, Reference::Party)],
};

pub(super) fn organization_fields(organization: &Organization, names: &Names) -> Fields {
    encode(organization, &ORGANIZATION, names)
}

pub(super) fn organization_with(
    base: &Organization,
    fields: &Fields,
    names: &Names,
) -> (Organization, Vec<Problem>) {
    decode(base, fields, &ORGANIZATION, names)
}

pub(super) fn profile_fields(profile: &ServerProfile, names: &Names) -> Fields {
    let mut fields = encode(profile, &PROFILE, names);
    // A kind is written by the name of its provider, a custom one, too.
    fields.retain(|field, _| !field.starts_with("kind."));
    fields.insert(KIND.to_owned(), json!(profile.kind.provider_name()));
    fields
}

pub(super) fn profile_with(
    base: &ServerProfile,
    fields: &Fields,
    names: &Names,
) -> (ServerProfile, Vec<Problem>) {
    let mut rest = fields.clone();
    let kind = rest.remove(KIND);
    let (mut profile, mut problems) = decode(base, &rest, &PROFILE, names);
    match kind.as_ref().map(Value::as_str) {
        None => {}
        Some(Some(kind)) => profile.kind = ProfileKind::from_name(kind),
        Some(None) => problems.push(Problem::new(KIND, "must be a text")),
    }
    (profile, problems)
}

pub(super) fn mailbox_fields(mailbox: &Mailbox, names: &Names) -> Fields {
    let mut fields = encode(mailbox, &MAILBOX, names);
    for workload in Workload::ALL {
        let prefix = format!("{workload}.");
        fields.retain(|field, _| !field.starts_with(&prefix));
        fields.insert(
            workload.to_string(),
            method_name(mailbox.workload(workload).method),
        );
    }
    fields
}

fn method_name(method: DeliveryMethod) -> Value {
    serde_json::to_value(method).unwrap_or_default()
}

pub(super) fn mailbox_with(
    base: &Mailbox,
    fields: &Fields,
    names: &Names,
) -> (Mailbox, Vec<Problem>) {
    let known = mailbox_fields(base, names);
    let workload = |field: &str| Workload::ALL.into_iter().find(|w| w.as_str() == field);
    let mut problems = Vec::new();
    let mut given = Fields::new();
    for (field, value) in fields {
        if !known.contains_key(field) {
            let known = known.keys().map(String::as_str).chain([OTHER_ADDRESSES]);
            problems.push(Problem::unknown(field, known));
        } else if workload(field).is_some() {
            given.insert(format!("{field}.method"), value.clone());
        } else {
            given.insert(field.clone(), value.clone());
        }
    }
    let (mailbox, found) = decode(base, &given, &MAILBOX, names);
    problems.extend(found.into_iter().map(|mut problem| {
        if let Some(bare) = problem.field.strip_suffix(".method") {
            problem.field = bare.to_owned();
        }
        problem
    }));
    (mailbox, problems)
}

pub(super) fn party_fields(party: &Party, names: &Names) -> Fields {
    encode(party, &PARTY, names)
}

pub(super) fn party_with(base: &Party, fields: &Fields, names: &Names) -> (Party, Vec<Problem>) {
    decode(base, fields, &PARTY, names)
}
