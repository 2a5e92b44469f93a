//! Reference pages that are written from the code: compared, and rewritten on request.

use std::fmt::Write as _;
use std::fs;

use postroom_core::approval::{
    ApprovalEvent, ApprovalState, MailServer, PermissionModel, ROLE_SETS, permission_table,
    role_name,
};
use postroom_core::catalogue::{Audience, Class, Code, Level, Scope};
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::settings::{Fate, MAILBOX_SETTINGS, REFERENCE_SWITCHES, SETTINGS};
use postroom_core::support::{MATRIX, RULES, Severity, Standing, SupportPolicy};
use postroom_core::{Organization, OrganizationId};

use super::{read, root};

/// Set to rewrite the pages instead of comparing them.
const BLESS: &str = "POSTROOM_BLESS";

/// The page is what the code says; with [`BLESS`] it is made so.
fn compare(path: &str, wanted: &str) {
    if std::env::var_os(BLESS).is_some() {
        fs::write(root().join(path), wanted).expect("the page can be written");
        return;
    }
    let found = fs::read_to_string(root().join(path)).unwrap_or_default();
    assert!(
        found == wanted,
        "{path} is not what the code says; rewrite it with: {BLESS}=1 cargo tidy"
    );
}

const GENERATED: &str =
    "<!-- Written from the code by `POSTROOM_BLESS=1 cargo tidy`; do not edit. -->";

const fn level(level: Level) -> &'static str {
    match level {
        Level::Information => "information",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

const fn audience(audience: Audience) -> &'static str {
    match audience {
        Audience::MailboxOwner => "owner of the mailbox",
        Audience::ProfileOwner => "owner of the server profile",
        Audience::MailboxAndProfileOwner => "owners of the mailbox and of the server profile",
        Audience::Administrator => "administrator",
    }
}

const fn reach(scope: Scope) -> &'static str {
    match scope {
        Scope::Item => "one message or item",
        Scope::Mailbox => "one mailbox",
        Scope::Profile => "all mailboxes of a server profile",
        Scope::Organization => "the organization",
    }
}

const fn consequence(class: Class) -> &'static str {
    match class {
        Class::Event => "nothing stops",
        Class::Transient => "tried again; disables nothing",
        Class::Permanent => "stops until somebody acts",
        Class::Item => "set aside; the rest goes on",
    }
}

fn alerts_page() -> String {
    let mut page = format!(
        "# Alerts and error codes\n\n{GENERATED}\n\n\
         Every condition has one code, the same in alerts, errors, logs and JSON output. Codes are \
         added, never renamed. What an alert says in addition names the mailbox or profile; it never \
         holds a secret, a subject or a body.\n\n\
         | Code | Level | What happens | Who is told |\n|---|---|---|---|\n"
    );
    for &code in Code::ALL {
        let spec = code.spec();
        writeln!(
            page,
            "| [`{code}`](#{code}) | {} | {} | {} |",
            level(spec.level),
            consequence(spec.class),
            audience(spec.audience),
        )
        .expect("a string takes it");
    }
    for &code in Code::ALL {
        let spec = code.spec();
        write!(
            page,
            "\n## {code}\n\n{}\n\n- Reach: {}.\n- Cause: {}\n- Remedy: {}\n",
            spec.summary,
            reach(spec.scope),
            spec.cause,
            spec.remedy,
        )
        .expect("a string takes it");
    }
    page
}

/// The variants of an enum with the first paragraph of their documentation, read from the source:
/// the kinds are open to growth, so the code cannot list them for us.
fn variants(path: &str, name: &str) -> Vec<(String, String)> {
    let head = format!("pub enum {name} {{");
    let mut doc = String::new();
    let mut found = Vec::new();
    for line in read(path)
        .lines()
        .skip_while(|line| *line != head)
        .skip(1)
        .take_while(|line| *line != "}")
    {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            doc.push_str(text);
        } else if let Some(variant) = line.strip_suffix(',') {
            assert!(
                !doc.is_empty(),
                "{path}: {name}::{variant} is not documented"
            );
            found.push((
                variant.to_owned(),
                std::mem::take(&mut doc).trim().to_owned(),
            ));
        }
    }
    assert!(!found.is_empty(), "{path} has no `{head}`");
    found
}

fn errors_page() -> String {
    let mut page = format!(
        "# Kinds of errors\n\n{GENERATED}\n\n\
         A boundary has one error type. Its `kind()` is for callers to branch on; its `code()` is the \
         condition in [alerts](alerts.md), with cause and remedy for people.\n"
    );
    for (title, path) in [
        (
            "postroom_provider::ProviderError",
            "crates/postroom-provider/src/error.rs",
        ),
        (
            "postroom_engine::EngineError",
            "crates/postroom-engine/src/error.rs",
        ),
        (
            "postroom_store::StoreError",
            "crates/postroom-store/src/error.rs",
        ),
    ] {
        write!(page, "\n## `{title}`\n\n| Kind | Meaning |\n|---|---|\n")
            .expect("a string takes it");
        for (variant, meaning) in variants(path, "ErrorKind") {
            writeln!(page, "| `{variant}` | {meaning} |").expect("a string takes it");
        }
    }
    page
}

/// A cell of a table: a bar would end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn settings_page() -> String {
    let organization = Organization::new(
        OrganizationId::from_random([0; 16]),
        "My organization",
        Deployment::new(DeploymentKind::OnPremises),
    );
    let mut page = format!(
        "# Settings\n\n{GENERATED}\n\n\
         `postroom organization settings list` shows them with their values, `set NAME=VALUE` changes \
         them, `history` says who changed which, when, from what to what. In Rust: `Admin::settings`, \
         `Admin::change_settings`, `Admin::setting_history`.\n\n\
         ## Of the organization\n\n\
         | Setting | Takes | Default | Meaning | Source |\n|---|---|---|---|---|\n"
    );
    for setting in SETTINGS {
        let default = setting.get(&organization).to_string();
        let default = match default.as_str() {
            "" => "none".to_owned(),
            text if text.contains(['*', '\\', '`', '[']) => format!("`{text}`"),
            text => text.to_owned(),
        };
        writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            setting.name,
            cell(&setting.kind().to_string()),
            cell(&default),
            cell(setting.doc),
            setting.source,
        )
        .expect("a string takes it");
    }
    page.push_str(
        "\n## Of mailboxes and users\n\n\
         Changed with the mailbox: `postroom mailbox edit`, `Admin::edit_mailbox`.\n\n\
         | Setting | Of | Takes | Default | Meaning | Source |\n|---|---|---|---|---|---|\n",
    );
    for setting in MAILBOX_SETTINGS {
        writeln!(
            page,
            "| `{}` | {} | {} | {} | {} | {} |",
            setting.name,
            setting.scope.as_str(),
            cell(&setting.kind.to_string()),
            setting.default,
            cell(setting.doc),
            setting.source,
        )
        .expect("a string takes it");
    }
    page.push_str(
        "\n## Switches that the reference hides\n\n\
         What became of each switch of the reference that its administrators do not find (domain \
         section 12).\n\n| Switch there | Default there | Here |\n|---|---|---|\n",
    );
    for switch in REFERENCE_SWITCHES {
        let here = match switch.fate {
            Fate::Setting(name) => format!("The setting `{name}`."),
            Fate::Always(text) => format!("Always so. {text}"),
            Fate::Without(text) => format!("Not offered. {text}"),
            Fate::Later(text) => format!("Open. {text}"),
            _ => "Unknown.".to_owned(),
        };
        writeln!(
            page,
            "| {} | {} | {here} |",
            cell(switch.name),
            switch.default
        )
        .expect("a string takes it");
    }
    page
}

fn support_page() -> String {
    let mut page = format!(
        "# Supported configurations\n\n{GENERATED}\n\n\
         What the reference supports, as data. Under the policy `extended` (the setting \
         `support_policy`) the findings are notes and warnings; under `strict` what is not supported \
         there is refused here, too. `postroom support check` holds an organization against it.\n\n\
         ## The matrix\n\n\
         Email is supported for each line.\n\n\
         | Deployment | Mail system | Protocol | Items | With FIPS | Source |\n|---|---|---|---|---|---|\n"
    );
    let yes = |value| if value { "yes" } else { "no" };
    for row in MATRIX {
        let deployment = match row.deployment {
            DeploymentKind::OnPremises => "own servers",
            DeploymentKind::Online => "online",
        };
        writeln!(
            page,
            "| {deployment} | {} | {} | {} | {} | {} |",
            row.system.name(),
            row.protocol.name(),
            yes(row.items),
            yes(row.fips),
            row.source,
        )
        .expect("a string takes it");
    }
    page.push_str("\n## The rules\n\n| Rule | There | Extended | Rule in words | Here | Source |\n|---|---|---|---|---|---|\n");
    for rule in RULES {
        let standing = match rule.standing {
            Standing::Unsupported => "not supported",
            Standing::NotRecommended => "advised against",
            Standing::Advice => "advice",
            Standing::General => "in general",
        };
        let extended = match rule.severity(SupportPolicy::Extended) {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Refused => "refused",
        };
        writeln!(
            page,
            "| `{}` | {standing} | {extended} | {} | {} | {} |",
            rule.id,
            cell(rule.text),
            cell(rule.here),
            rule.source,
        )
        .expect("a string takes it");
    }
    page
}

fn approval_page() -> String {
    let mut page = format!(
        "# Approval\n\n{GENERATED}\n\n\
         There is traffic for a mailbox only once its address is approved, as far as the settings \
         `process_only_approved_users` and `process_only_approved_queues` ask for it; a rejected \
         address has none in any case.\n\n\
         ## States\n\n\
         What becomes of an address. Writing it in other case is no change.\n\n\
         | State | set or changed | cleared | approved | rejected |\n|---|---|---|---|---|\n"
    );
    let states = [
        ApprovalState::Empty,
        ApprovalState::Pending,
        ApprovalState::Approved,
        ApprovalState::Rejected,
    ];
    let events = [
        ApprovalEvent::Set,
        ApprovalEvent::Clear,
        ApprovalEvent::Approve,
        ApprovalEvent::Reject,
    ];
    for state in states {
        write!(page, "| {} |", state.as_str()).expect("a string takes it");
        for event in events {
            let after = state.next(event).map_or("refused", ApprovalState::as_str);
            write!(page, " {after} |").expect("a string takes it");
        }
        page.push('\n');
    }
    page.push_str(
        "\n## Who may approve and reject\n\n\
         The privilege Approve Email Addresses for Users or Queues, and a set of roles with which the \
         table of the permission model (the setting `permission_model`) says yes. One such set is \
         enough, whatever other roles somebody holds. n/a: the roles have nothing to do with that \
         deployment and mail system, so they neither allow it nor stand in the way.\n",
    );
    for (model, name) in [
        (PermissionModel::Seed, "seed"),
        (PermissionModel::Newest, "newest"),
    ] {
        write!(page, "\n### `{name}`\n\n| Deployment | Mail system |").expect("a string takes it");
        for set in ROLE_SETS {
            let names: Vec<_> = set.iter().map(|role| role_name(*role)).collect();
            write!(page, " {} |", names.join(" and ")).expect("a string takes it");
        }
        let width = ROLE_SETS.len() + 3;
        writeln!(page, " Source |\n|{}", "---|".repeat(width)).expect("a string takes it");
        for row in permission_table(model) {
            let deployment = match row.deployment {
                DeploymentKind::OnPremises => "own servers",
                DeploymentKind::Online => "online",
            };
            let server = match row.server {
                MailServer::ExchangeOnline => "Exchange Online",
                MailServer::ExchangeServer => "Exchange Server",
                MailServer::Other => "POP3, IMAP, SMTP, custom",
            };
            let cells: Vec<_> = row.cells.iter().map(|cell| cell.as_str()).collect();
            let (cells, source) = (cells.join(" | "), row.source);
            writeln!(page, "| {deployment} | {server} | {cells} | {source} |")
                .expect("a string takes it");
        }
    }
    page
}

#[test]
fn the_approval_page_is_the_table_of_permissions() {
    compare("docs/reference/approval.md", &approval_page());
}

#[test]
fn the_settings_page_is_the_table_of_settings() {
    compare("docs/reference/settings.md", &settings_page());
}

#[test]
fn the_support_page_is_the_matrix_and_the_rules() {
    compare("docs/reference/support.md", &support_page());
}

#[test]
fn the_alerts_page_is_the_catalogue() {
    compare("docs/reference/alerts.md", &alerts_page());
}

#[test]
fn the_errors_page_has_every_kind() {
    compare("docs/reference/errors.md", &errors_page());
}

#[test]
fn the_coverage_table_can_be_read_and_is_whole() {
    let rows = postroom_tests::coverage::rows(&read("docs/reference/seed-coverage.md"))
        .unwrap_or_else(|errors| panic!("{}", errors.join("\n")));
    assert!(rows.len() >= 120, "only {} rows", rows.len());
    for seed in 0..=4 {
        let seed = seed.to_string();
        assert!(
            rows.iter().any(|row| row
                .columns
                .get(1)
                .is_some_and(|seeds| seeds.split(", ").any(|one| one == seed))),
            "no row of seed {seed}"
        );
    }
}
