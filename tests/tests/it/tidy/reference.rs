//! Reference pages that are written from the code: compared, and rewritten on request.

use std::fmt::Write as _;
use std::fs;

use postroom_core::catalogue::{Audience, Class, Code, Level, Scope};

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

#[test]
fn the_alerts_page_is_the_catalogue() {
    compare("docs/reference/alerts.md", &alerts_page());
}

#[test]
fn the_errors_page_has_every_kind() {
    compare("docs/reference/errors.md", &errors_page());
}
