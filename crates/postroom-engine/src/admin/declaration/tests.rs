use postroom_core::approval::ApprovalState;
use postroom_core::mailbox::MailboxOwner;
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::party::{Party, PartyKind};
use postroom_core::profile::ProfileKind;
use postroom_core::support::SupportPolicy;
use postroom_core::{
    Mailbox, MailboxId, Organization, OrganizationId, PartyId, ProfileId, ServerProfile,
};
use proptest::prelude::*;

use super::fields::Names;
use super::shape::{
    mailbox_fields, mailbox_with, organization_fields, organization_with, profile_fields,
    profile_with,
};
use super::*;

fn id(number: u8) -> [u8; 16] {
    [number; 16]
}

/// An organization with two profiles, a user, a queue, a forward mailbox and a contact.
fn office() -> Snapshot {
    let deployment = Deployment::new(DeploymentKind::OnPremises);
    let organization = Organization::new(OrganizationId::from_random(id(1)), "Lamps", deployment);
    let mut snapshot = Snapshot::new(organization);
    snapshot.providers = vec!["exchange-online".to_owned(), "exchange-server".to_owned()];
    for (number, name) in [(2, "Lisbon"), (3, "London")] {
        let id = ProfileId::from_random(id(number));
        let mut profile = ServerProfile::new(id, name, ProfileKind::ExchangeServer);
        profile.incoming.location = Some(format!("https://{}.example/EWS", name.to_lowercase()));
        profile.incoming.user_name = Some("service".to_owned());
        snapshot.profiles.push(profile);
    }
    let lisbon = snapshot.profiles[0].id;
    snapshot.organization.settings.mailbox_defaults.profile = Some(lisbon);
    for (number, kind, name, address) in [
        (10, PartyKind::User, "Ada", "ada@example.org"),
        (11, PartyKind::Queue, "Support", "support@example.org"),
        (12, PartyKind::Contact, "Carla", "carla@northwind.example"),
    ] {
        let party = Party::new(PartyId::from_random(id(number)), kind, name);
        snapshot
            .parties
            .push((party, vec![address.parse().unwrap()]));
    }
    for (number, owner, name, address) in [
        (
            20,
            MailboxOwner::User(PartyId::from_random(id(10))),
            "Ada",
            "ada@example.org",
        ),
        (
            21,
            MailboxOwner::Queue(PartyId::from_random(id(11))),
            "Support",
            "support@example.org",
        ),
        (22, MailboxOwner::Forward, "Router", "router@example.org"),
    ] {
        let address = Some(address.parse().unwrap());
        let mut mailbox = Mailbox::new(MailboxId::from_random(id(number)), name, owner, address);
        mailbox.profile = Some(lisbon);
        mailbox.approval = ApprovalState::Approved;
        snapshot.mailboxes.push(mailbox);
    }
    snapshot
}

/// Another value for a field; `None` where it has none that would be valid by itself.
fn altered(field: &str, value: &Value, turn: u64) -> Value {
    let pick = |values: &[&str]| -> Value {
        let others: Vec<_> = values
            .iter()
            .filter(|other| json!(other) != *value)
            .collect();
        json!(others[usize::try_from(turn).unwrap_or_default() % others.len()])
    };
    match value {
        Value::Bool(on) => return json!(!on),
        // Within every range there is.
        Value::Number(number) => return json!(if number.as_u64() == Some(2) { 3 } else { 2 }),
        Value::Array(_) => return json!([format!("OLD{turn}:")]),
        _ => {}
    }
    match field {
        "settings.mailbox_defaults.profile" | "profile" => pick(&["Lisbon", "London"]),
        "owner" => pick(&["ada@example.org", "support@example.org"]),
        "process_email_from" => pick(&["2026-11-22T00:00:00Z", "2026-11-01T08:30:00Z"]),
        "address" | "owner_address" => json!(format!("other{turn}@example.org")),
        "kind" => pick(&["exchange-server", "exchange-online"]),
        "deployment.kind" => pick(&["online", "on_premises"]),
        "settings.permission_model" => pick(&["seed", "newest"]),
        "filter"
        | "settings.mailbox_defaults.user_filter"
        | "settings.mailbox_defaults.queue_filter" => {
            pick(&["all", "from_leads_contacts_accounts", "none"])
        }
        "approval" => pick(&["rejected", "approved"]),
        "settings.support_policy" => pick(&["strict", "extended"]),
        "outgoing_protocol" => pick(&["ews", "smtp"]),
        "server_version" => pick(&["2016", "2019"]),
        "settings.correlation.token.prefix" => json!("TKT:"),
        _ if field.ends_with("authentication") => pick(&["basic", "ntlm"]),
        _ if field.ends_with("credentials") => pick(&["mailbox", "profile"]),
        _ if field.ends_with("port") => json!(8443),
        _ if ["incoming", "outgoing", "items"].contains(&field)
            || field.starts_with("settings.mailbox_defaults.") =>
        {
            pick(&["server_side", "none", "other"])
        }
        _ => json!(format!("another {turn}")),
    }
}

/// Whatever the types hold, a declaration says it, and what it says can be set: a field that somebody
/// adds and that serde writes in another way fails here.
#[test]
fn every_field_is_declared_and_can_be_set() {
    let office = office();
    let names = office.names();
    let all = |fields: Fields| -> Vec<(Fields, String)> {
        fields
            .iter()
            .map(|(field, value)| {
                let new = altered(field, value, 0);
                (Fields::from([(field.clone(), new)]), field.clone())
            })
            .collect()
    };
    for (given, field) in all(organization_fields(&office.organization, &names)) {
        let (next, problems) = organization_with(&office.organization, &given, &names);
        assert_eq!(problems, [], "{given:?}");
        assert_eq!(organization_fields(&next, &names)[&field], given[&field]);
        assert_ne!(next, office.organization, "{field}");
    }
    let profile = &office.profiles[0];
    for (given, field) in all(profile_fields(profile, &names)) {
        let (next, problems) = profile_with(profile, &given, &names);
        assert_eq!(problems, [], "{given:?}");
        assert_eq!(profile_fields(&next, &names)[&field], given[&field]);
        assert_ne!(next, *profile, "{field}");
    }
    let queue = &office.mailboxes[1];
    for (given, field) in all(mailbox_fields(queue, &names)) {
        let (next, problems) = mailbox_with(queue, &given, &names);
        assert_eq!(problems, [], "{given:?}");
        assert_eq!(mailbox_fields(&next, &names)[&field], given[&field]);
        // What an edit does not know must be one of what is done apart.
        let edit = crate::plan::edit::MailboxEdit::between(queue, &next);
        let apart = ["active", "approval"].contains(&field.as_str());
        let changes = edit != crate::plan::edit::MailboxEdit::new();
        assert!(
            changes != apart,
            "{field} can be declared, but no edit sets it"
        );
    }
}

#[test]
fn no_id_and_no_bare_number_of_milliseconds_is_declared() {
    let mut office = office();
    let ada = office.parties[0].0.id;
    let profile = &mut office.profiles[0];
    profile.owner = Some(ada);
    profile.process_email_from = Some("2026-11-22".parse().unwrap());
    office.mailboxes[0].process_email_from = Some("2026-11-22".parse().unwrap());
    office.parties[2].0.owner = Some(ada);
    let declaration = office.declaration();
    for noun in Noun::ALL {
        for fields in declaration.entries(noun) {
            for (field, value) in fields {
                if let Some(text) = value.as_str() {
                    assert!(
                        text.parse::<ProfileId>().is_err(),
                        "{noun:?} {field} {text}"
                    );
                }
                let number = value.as_i64().unwrap_or_default();
                assert!(number < 10_000_000_000, "{noun:?} {field} {number}");
            }
        }
    }
}

#[test]
fn what_is_exported_needs_no_change() {
    let office = office();
    let declaration = office.declaration();
    let (read, findings) = Declaration::read(&declaration.document());
    assert_eq!(findings, []);
    assert_eq!(read, declaration);
    assert_eq!(
        plan(&office, &read, &PlanOptions::default().prune(true)),
        Ok(vec![])
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever an organization looks like: its export needs no change, also by way of a document.
    #[test]
    fn export_and_apply_agree(choices in proptest::collection::vec(any::<(u16, u8)>(), 0..60)) {
        let mut office = office();
        let names = office.names();
        for (which, turn) in choices {
            let (which, turn) = (usize::from(which), u64::from(turn));
            let some = |fields: Fields| {
                let place = which / 8 % fields.len();
                let (field, value) = fields.into_iter().nth(place).unwrap();
                let new = altered(&field, &value, turn);
                Fields::from([(field, new)])
            };
            let none = Names::default();
            match which % 8 {
                0 | 1 => {
                    let given = some(organization_fields(&office.organization, &names));
                    office.organization = organization_with(&office.organization, &given, &names).0;
                }
                2..=4 => {
                    let profile = &mut office.profiles[which % 2];
                    let mut given = some(profile_fields(profile, &names));
                    given.remove("name");
                    let next = profile_with(profile, &given, &names).0;
                    if next.validate().is_ok() {
                        *profile = next;
                    }
                }
                5 => office.parties[2].0.active = turn % 2 == 0,
                _ => {
                    let mailbox = &mut office.mailboxes[which % 3];
                    let mut given = some(mailbox_fields(mailbox, &names));
                    if let Some(address) = given.get_mut("address") {
                        // Two mailboxes with one address cannot be.
                        *address = json!(format!("other{turn}-{}@example.org", which % 3));
                    }
                    let next = mailbox_with(mailbox, &given, &names).0;
                    let edit = crate::plan::edit::MailboxEdit::between(mailbox, &next);
                    if crate::plan::edit::edited(mailbox, &edit).is_ok() {
                        *mailbox = next;
                    }
                }
            }
            drop(none);
        }
        let document = office.declaration().document();
        let text = serde_json::to_string(&document).unwrap();
        let (read, findings) = Declaration::read(&serde_json::from_str(&text).unwrap());
        prop_assert_eq!(findings, vec![]);
        match plan(&office, &read, &PlanOptions::default().prune(true)) {
            Ok(changes) => {
                // A mailbox that nobody named cannot be: prune only drops profiles nobody uses.
                prop_assert_eq!(changes, vec![]);
            }
            Err(findings) => {
                // An organization can come to hold what its own rules refuse only by this test.
                prop_assert!(findings.iter().all(|f| f.subject == "organization"), "{findings:?}");
            }
        }
    }
}

fn findings(document: Value) -> Vec<String> {
    let (wanted, mut findings) = Declaration::read(&document);
    if let Err(more) = plan(&office(), &wanted, &PlanOptions::default()) {
        findings.extend(more);
    }
    findings
        .iter()
        .map(|finding| {
            let hint = finding.hint.as_deref().map(|hint| format!(" ({hint})"));
            format!(
                "{}: {finding}{}",
                finding.path.join("."),
                hint.unwrap_or_default()
            )
        })
        .collect()
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let found = findings(json!({
        "profiles": [],
        "organization": {
            "nmae": "Lamps",
            "deployment": { "kind": "on-premises" },
            "settings": {
                "process_only_approved_users": "yes",
                "item_attempts_max": -1,
                "idle_interval_max_seconds": "long",
                "mailbox_defaults": { "profile": "Lisbonn" },
                "correlation": { "smart_matching": { "filter_keywords": "(" } },
            },
        },
        "profile": [
            { "kind": "exchange-sever", "name": "New York", "connections_max": 0,
              "incoming": { "locaton": "https://ny.example" } },
            { "connections_max": 5 },
            { "name": "london", "process_email_from": "yesterday",
              "incoming": { "user_name": "", "password_env": "X" } },
        ],
        "user": [
            { "name": "Ben", "address": "ben@", "incoming": "server_sid" },
            { "name": "Support", "address": "support@example.org" },
            { "address": "ada@example.org", "approval": "pending", "profile": "Tokyo" },
        ],
        "queue": [{ "name": "Sales", "address": "sales@example.org", "items": "server_side" }],
        "party": [{ "name": "Dan", "addresses": ["dan"] }, { "kind": "contakt", "name": "Eve" }],
    }));
    let expected = include_str!("tests/findings.txt");
    let found = found.join("\n") + "\n";
    assert_eq!(found, expected, "tests/findings.txt should be:\n{found}");
}

fn changes(snapshot: &Snapshot, document: Value, prune: bool) -> Vec<String> {
    let (wanted, findings) = Declaration::read(&document);
    assert_eq!(findings, []);
    plan(snapshot, &wanted, &PlanOptions::default().prune(prune))
        .unwrap()
        .iter()
        .map(|change| {
            let fields: Vec<_> = change.fields.iter().map(ToString::to_string).collect();
            let lost = change.destroys.as_ref().map(|lost| format!(" ({lost})"));
            let text = format!(
                "{change} | {}{}",
                fields.join(", "),
                lost.unwrap_or_default()
            );
            text.trim_end_matches(" | ").to_owned()
        })
        .collect()
}

#[test]
fn what_is_referred_to_comes_first() {
    let found = changes(
        &office(),
        json!({
            "organization": { "name": "Lamps & Sons", "settings": { "mailbox_defaults": { "profile": "New York" } } },
            "party": [
                { "name": "Dan", "addresses": ["dan@fabrikam.example"], "owner": "Nora" },
                { "kind": "team", "name": "Sales" },
            ],
            "user": [{ "name": "Nora", "address": "nora@example.org", "profile": "New York", "approval": "approved" }],
            "profile": [{ "name": "New York", "auto_discover": true, "owner": "nora@example.org" }],
        }),
        false,
    );
    let expected = [
        "~ organization | name: Lamps -> Lamps & Sons",
        "+ profile \"New York\" | auto_discover: true, name: New York",
        "~ organization | settings.mailbox_defaults.profile: Lisbon -> New York",
        "+ user nora@example.org | address: nora@example.org, name: Nora, profile: New York, approval: approved",
        "+ team \"Sales\" | kind: team, name: Sales",
        "+ party \"Dan\" | name: Dan, owner: nora@example.org, addresses: [dan@fabrikam.example]",
        "~ profile \"New York\" | owner: nora@example.org",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_is_lost_is_said() {
    let mut office = office();
    let ada = &mut office.mailboxes[0];
    ada.incoming.method = postroom_core::mailbox::DeliveryMethod::ServerSide;
    ada.incoming.enabled = true;
    let document = json!({
        "profile": [{ "name": "London", "active": false }],
        "user": [{ "name": "Ada", "address": "ada.lovelace@example.org" }],
        "queue": [{ "address": "support@example.org", "active": false, "profile": "" }],
        "forward_mailbox": [{ "address": "ROUTER@example.org", "approval": "rejected" }],
    });
    let expected = [
        "~ profile \"London\" | active: true -> false (stops the traffic of all its mailboxes)",
        "~ user ada.lovelace@example.org | address: ada@example.org -> ada.lovelace@example.org (the address has to be approved again; incoming has to be tested and enabled again)",
        "~ queue support@example.org | active: true -> false, profile: Lisbon -> nothing (stops its traffic)",
        "~ forward mailbox ROUTER@example.org | address: router@example.org -> ROUTER@example.org, approval: approved -> rejected (stops its traffic: the address is rejected)",
    ];
    assert_eq!(changes(&office, document, false), expected);
}

#[test]
fn only_a_prune_touches_what_is_not_named() {
    let document = json!({ "queue": [{ "address": "support@example.org" }] });
    assert_eq!(changes(&office(), document.clone(), false), [""; 0]);
    let expected = [
        "- user ada@example.org: deactivated |  (stops its traffic)",
        "- forward mailbox router@example.org: deactivated |  (stops its traffic)",
        "- profile \"Lisbon\": deactivated |  (stops the traffic of all its mailboxes)",
        "- profile \"London\": deleted |  (its settings and passwords are lost)",
    ];
    assert_eq!(changes(&office(), document, true), expected);
}

#[test]
fn a_password_is_set_once() {
    let mut office = office();
    let document =
        json!({ "profile": [{ "name": "London", "incoming": { "password_file": "p" } }] });
    let (wanted, _) = Declaration::read(&document);
    let uses = wanted.passwords();
    assert_eq!(uses[0].field, "incoming.password_file");
    let changes = plan(&office, &wanted, &PlanOptions::default()).unwrap();
    assert_eq!(changes[0].passwords, [Slot::Incoming]);
    assert_eq!(changes[0].fields, []);
    office.passwords_in_place.insert(uses[0].key);
    assert_eq!(plan(&office, &wanted, &PlanOptions::default()), Ok(vec![]));
}

#[test]
fn a_strict_support_policy_refuses_before_anything_is_done() {
    let mut current = office();
    current.providers.clear();
    let document = json!({
        "profile": [{
            "name": "Post", "kind": "pop3-smtp",
            "incoming": { "location": "pop.gmail.com" },
            "outgoing": { "location": "smtp.gmail.com" },
        }, {
            "name": "Other", "kind": "pop3-smtp",
            "incoming": { "location": "pop.fabrikam.example" },
            "outgoing": { "location": "smtp.fabrikam.example" },
        }],
        "user": [{
            "name": "Ben", "address": "ben@example.org", "profile": "Post", "items": "server_side",
        }],
    });
    let (wanted, _) = Declaration::read(&document);
    let changes = plan(&current, &wanted, &PlanOptions::default()).unwrap();
    let said: Vec<_> = changes[1].support.iter().map(|one| one.rule).collect();
    assert!(said.contains(&"matrix.email"), "{said:?}");
    assert_eq!(changes[2].support, []);
    current.organization.settings.support_policy = SupportPolicy::Strict;
    let findings = plan(&current, &wanted, &PlanOptions::default()).unwrap_err();
    for (whose, field, rule) in [
        ("profile \"Other\"", "kind", "(matrix.email)"),
        ("user ben@example.org", "items", "(matrix.items)"),
    ] {
        assert!(
            findings.iter().any(|finding| finding.subject == whose
                && finding.field.as_deref() == Some(field)
                && finding.message.contains(rule)),
            "{rule}: {findings:?}"
        );
    }
}
