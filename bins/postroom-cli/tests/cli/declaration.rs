//! `export` and `apply`: an organization as one file.

use crate::support::{Folder, Office, PASSWORD, Ran};

const REFERENCE: &str = include_str!("../../../../docs/reference/declaration.md");

/// The example of the reference page.
fn example() -> &'static str {
    let (_, rest) = REFERENCE.split_once("```toml\n").unwrap();
    rest.split_once("```").unwrap().0
}

const ADA: &str = "pw-of-ada-lovelace";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("password", format!("{PASSWORD}\n"));
    folder.write("lamps.toml", example());
    folder
}

async fn run(folder: &Folder, arguments: &[&str]) -> Ran {
    let mut command = folder.command(crate::support::binary());
    command.args(arguments).env("ADA_PASSWORD", ADA);
    crate::support::finish(command).await
}

#[tokio::test]
async fn a_file_sets_an_organization_up_once() {
    let folder = folder();
    run(&folder, &["init"]).await.ok();
    let planned = run(&folder, &["apply", "lamps.toml", "--dry-run"])
        .await
        .ok();
    assert!(planned.out.contains("+ profile \"London\""), "{planned:?}");
    assert!(
        planned.out.contains("incoming.password: set"),
        "{planned:?}"
    );
    let empty = run(&folder, &["export"]).await.ok();
    assert!(
        !empty.out.contains("[[profile]]"),
        "a dry run changes nothing"
    );
    let done = run(&folder, &["apply", "lamps.toml"]).await.ok();
    assert!(done.out.contains("10 of 10 changes done"), "{done:?}");
    let again = run(&folder, &["apply", "lamps.toml"]).await.ok();
    assert_eq!(
        again.out.trim(),
        "nothing to change",
        "also of the passwords"
    );

    let exported = run(&folder, &["export", "out.toml"]).await.ok();
    assert!(
        exported.out.contains("2 profiles, 2 users, 1 queues"),
        "{exported:?}"
    );
    let text = std::fs::read_to_string(folder.path("out.toml")).unwrap();
    assert!(!text.contains(PASSWORD) && !text.contains(ADA), "{text}");
    for arguments in [
        &["apply", "out.toml", "--prune"][..],
        &["apply", "out.toml", "--prune", "--dry-run"],
    ] {
        let same = run(&folder, arguments).await.ok();
        assert_eq!(same.out.trim(), "nothing to change");
    }
    // What a store was exported to sets another one up alike.
    let other = ["--store", "other.sqlite"];
    run(&folder, &[&other[..], &["init"]].concat()).await.ok();
    run(&folder, &[&other[..], &["apply", "out.toml"]].concat())
        .await
        .ok();
    run(&folder, &[&other[..], &["export", "other.toml"]].concat())
        .await
        .ok();
    let copied = std::fs::read_to_string(folder.path("other.toml")).unwrap();
    assert_eq!(copied, text);

    // Another password is a change; the account of a mailbox keeps its own.
    folder.write("password", "another\n");
    let renewed = run(&folder, &["apply", "lamps.toml"]).await.ok();
    assert!(
        renewed
            .out
            .contains("~ profile \"Lisbon\"\n    incoming.password: set\n"),
        "{renewed:?}"
    );
    assert!(renewed.out.contains("1 of 1 changes done"), "{renewed:?}");
}

#[tokio::test]
async fn an_exported_office_still_works_as_it_did() {
    let office = Office::open().await;
    office
        .run(&["user", "create", "Ada", "ada@example.org"])
        .await
        .ok();
    office.run(&["approve", "ada@example.org"]).await.ok();
    office.run(&["test", "ada@example.org"]).await.ok();
    office.run(&["export", "office.toml"]).await.ok();
    let text = std::fs::read_to_string(office.folder.path("office.toml")).unwrap();
    assert!(text.contains("-----BEGIN CERTIFICATE-----"), "{text}");
    let same = office.run(&["apply", "office.toml"]).await.ok();
    assert_eq!(same.out.trim(), "nothing to change");
    let status = office
        .run(&["mailbox", "show", "ada@example.org"])
        .await
        .ok();
    assert!(status.out.contains("tested, enabled"), "{status:?}");
    // Elsewhere: the file, the certificate and the password are all that is needed.
    let elsewhere = text.replace("# password_file = \"FILE\"", "password_file = \"password\"");
    office.folder.write("elsewhere.toml", elsewhere);
    let there = ["--store", "there.sqlite"];
    for arguments in [
        &["init"][..],
        &["apply", "elsewhere.toml"],
        &["test", "ada@example.org"],
    ] {
        office.run(&[&there[..], arguments].concat()).await.ok();
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_told_with_its_line_and_nothing_is_changed() {
    let folder = folder();
    run(&folder, &["init"]).await.ok();
    let before = run(&folder, &["export"]).await.ok().out;
    let bad = example()
        .replace("incoming.location", "incoming.locaton")
        .replace("profile = \"Lisbon\"", "profile = \"Lisbonn\"")
        .replace("active = false", "active = \"no\"")
        .replace("\"password\"", "\"passwort\"")
        .replace("[[queue]]", "[[queu]]")
        + "\n[[user]]\naddress = \"zoe@@example.org\"\napproval = \"maybe\"\n";
    folder.write("bad.toml", &bad);
    let line = |part: &str| bad.lines().position(|line| line.contains(part)).unwrap() + 1;
    let refused = run(&folder, &["apply", "bad.toml", "--yes"]).await;
    let refused = refused.failed(2, "invalid-input");
    for (part, said) in [
        (
            "Lisbonn",
            "there is no profile \"Lisbonn\". Did you mean \"Lisbon\"?",
        ),
        (
            "locaton",
            "there is no field incoming.locaton. Did you mean incoming.location?",
        ),
        (
            "passwort",
            "incoming.password_file: cannot read the password from passwort",
        ),
        (
            "active =",
            "user ben@example.org: active must be true or false",
        ),
        ("[[queu]]", "there is no table queu. Did you mean queue?"),
        // Without a name everything else is told all the same.
        ("zoe@@", "address must have one @"),
        ("maybe", "approval must be approved or rejected"),
    ] {
        let place = format!("bad.toml:{}:", line(part));
        let told = refused.err.lines().find(|told| told.starts_with(&place));
        assert!(
            told.is_some_and(|told| told.contains(said)),
            "{part}: {refused:?}"
        );
    }
    assert!(
        refused
            .err
            .contains("bad.toml has 8 errors; nothing was changed"),
        "{refused:?}"
    );
    assert_eq!(run(&folder, &["export"]).await.ok().out, before);

    folder.write("bad.toml", "[organization\nname = \"x");
    run(&folder, &["apply", "bad.toml"])
        .await
        .failed(2, "invalid-input");
    run(&folder, &["apply", "missing.toml"])
        .await
        .failed(1, "invalid-input");
    let json = run(&folder, &["apply", "bad.toml", "--output", "json"]).await;
    assert_eq!(json.code, 2);
    assert_eq!(json.json()["findings"][0]["line"], 1);
}

#[tokio::test]
async fn what_is_lost_is_asked_about() {
    let folder = folder();
    run(&folder, &["init"]).await.ok();
    run(&folder, &["apply", "lamps.toml"]).await.ok();
    folder.write(
        "less.toml",
        "[[profile]]\nname = \"Lisbon\"\nactive = false\n",
    );
    let refused = run(&folder, &["apply", "less.toml"])
        .await
        .failed(2, "invalid-input");
    assert!(
        refused
            .out
            .contains("! stops the traffic of all its mailboxes"),
        "{refused:?}"
    );
    assert!(refused.err.contains("--yes"), "{refused:?}");
    let kept = run(&folder, &["apply", "lamps.toml"]).await.ok();
    assert_eq!(kept.out.trim(), "nothing to change");
    let done = run(&folder, &["apply", "less.toml", "--yes", "--prune"])
        .await
        .ok();
    assert!(
        done.out.contains("- user ada@example.org: deactivated"),
        "{done:?}"
    );
    let shown = run(&folder, &["export"]).await.ok().out;
    let inactive = shown.lines().filter(|line| *line == "active = false");
    assert_eq!(inactive.count(), 6, "{shown}");
    // An export is not overwritten unasked.
    run(&folder, &["export", "less.toml"])
        .await
        .failed(2, "invalid-input");
    run(&folder, &["export", "less.toml", "--yes"]).await.ok();
    // What the file does not say stays as it is.
    let changes = run(&folder, &["apply", "lamps.toml", "--output", "json"])
        .await
        .ok()
        .json();
    assert_eq!(changes["apply"]["changes"], serde_json::json!([]));
}

#[tokio::test]
async fn each_change_answers_for_itself() {
    let folder = folder();
    run(&folder, &["init"]).await.ok();
    std::fs::remove_file(folder.path("postroom.key")).unwrap();
    let partly = run(&folder, &["apply", "lamps.toml"]).await;
    assert_eq!(partly.code, 3, "{partly:?}");
    assert!(partly.out.contains("8 of 10 changes done"), "{partly:?}");
    for subject in ["profile \"Lisbon\"", "user ada@example.org"] {
        let row = partly
            .out
            .lines()
            .find(|line| line.trim().starts_with(subject) && line.contains("key"));
        assert!(row.is_some(), "{subject}: {partly:?}");
    }
}

#[tokio::test]
async fn what_is_not_supported_is_told_before_anything_is_changed() {
    let folder = folder();
    run(&folder, &["init", "--online"]).await.ok();
    let document = "[[profile]]\nname = \"Tenant\"\nkind = \"exchange-online\"\n\
        incoming.location = \"https://mail.example.org/EWS/Exchange.asmx\"\n\
        incoming.credentials = \"mailbox\"\nincoming.impersonation = false\n";
    folder.write("tenant.toml", document);
    let planned = run(&folder, &["apply", "tenant.toml", "--dry-run"])
        .await
        .ok();
    assert!(planned.out.contains("+ profile \"Tenant\""), "{planned:?}");
    let rule = "online.mailbox-credentials";
    assert!(
        planned.out.contains(&format!("warning {rule}: ")),
        "{planned:?}"
    );
    let json = ["apply", "tenant.toml", "--dry-run", "--output", "json"];
    let json = run(&folder, &json).await.ok().json();
    let findings = json["apply"]["changes"][0]["support"].as_array().unwrap();
    assert!(findings.iter().any(|one| one["rule"] == rule), "{json}");
    // Under the strict policy it is an error of the file, with its line.
    let strict = format!("[organization]\nsettings.support_policy = \"strict\"\n{document}");
    folder.write("strict.toml", strict);
    let before = run(&folder, &["export"]).await.ok().out;
    let refused = run(&folder, &["apply", "strict.toml", "--yes"]).await;
    let refused = refused.failed(2, "invalid-input");
    let found = refused
        .err
        .lines()
        .any(|told| told.starts_with("strict.toml:7:") && told.contains(rule));
    assert!(found, "{refused:?}");
    assert_eq!(run(&folder, &["export"]).await.ok().out, before);
}
