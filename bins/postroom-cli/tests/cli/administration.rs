//! What an administrator sets: settings, support, the key, selections of mailboxes.

use serde_json::Value;

use crate::support::{Folder, Office, PASSWORD, Ran};

const ADA: &str = "ada@example.org";

async fn json(office: &Office, arguments: &[&str]) -> Value {
    let mut arguments = arguments.to_vec();
    arguments.extend(["--output", "json"]);
    office.run(&arguments).await.ok().json()
}

#[tokio::test]
async fn settings_are_listed_changed_and_their_history_is_kept() {
    let office = Office::bare().await;
    let listed = json(&office, &["organization", "settings", "list", "token"]).await;
    let names: Vec<_> = listed["settings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|setting| setting["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"correlation.token.prefix"), "{names:?}");
    let set = ["organization", "settings", "set"];
    let change = [
        &set[..],
        &["correlation.token.prefix=TKT:", "alerts.warnings=off"],
    ]
    .concat();
    office.run(&change).await.ok();
    let got = office
        .run(&[
            "organization",
            "settings",
            "get",
            "correlation.token.prefix",
        ])
        .await
        .ok();
    assert_eq!(got.out.trim(), "TKT:");
    let history = json(&office, &["organization", "settings", "history"]).await;
    let latest = &history["changes"][0];
    assert_eq!(latest["by"], "tester");
    assert_eq!(
        (&latest["from"], &latest["to"]),
        (&Value::from("on"), &Value::from("off"))
    );
    // All or none, and each wrong value is named.
    let bad = [&set[..], &["alerts.errors=off", "item_attempts_max=0"]].concat();
    let ran = office.run(&bad).await.failed(2, "configuration-invalid");
    assert!(
        ran.err.contains("item attempts max: must be 1 to 100"),
        "{ran:?}"
    );
    let shown = json(&office, &["organization", "show"]).await;
    assert_eq!(shown["organization"]["settings"]["alerts"]["errors"], true);
    let ran = office
        .run(&["organization", "settings", "get", "alert.errors"])
        .await
        .failed(4, "not-found");
    assert!(ran.err.contains("Did you mean alerts.errors?"), "{ran:?}");
}

#[tokio::test]
async fn an_online_organization_has_its_profile_and_the_check_agrees() {
    let folder = Folder::new();
    folder.run(&["init", "--online"]).await.ok();
    let listed = folder
        .run(&["profile", "list", "--output", "json"])
        .await
        .ok()
        .json();
    assert_eq!(listed["profiles"][0]["name"], "Microsoft Exchange Online");
    assert_eq!(
        listed["profiles"][0]["incoming"]["credentials"],
        "server_to_server"
    );
    let strict = ["support", "check", "--strict", "--output", "json"];
    assert_eq!(folder.run(&strict).await.ok().json()["allowed"], true);
    let update = [
        "profile",
        "update",
        "Microsoft Exchange Online",
        "--credentials",
        "mailbox",
    ];
    let saved = [
        &update[..],
        &["--authentication", "basic", "--output", "json"],
    ]
    .concat();
    let saved = folder.run(&saved).await.ok().json();
    assert!(
        saved["findings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|finding| finding["rule"] == "online.mailbox-credentials"),
        "{saved}"
    );
    let ran = folder.run(&strict).await;
    assert_eq!(ran.code, 1);
    assert_eq!(ran.json()["allowed"], false);
    folder
        .run(&["organization", "set", "support_policy=strict"])
        .await
        .ok();
    let again = ["--description", "Again"];
    let ran = folder.run(&[&update[..3], &again].concat()).await;
    ran.failed(2, "configuration-unsupported");
    folder.run(&["support", "rules"]).await.ok();
    folder.run(&["support", "matrix"]).await.ok();
}

#[tokio::test]
async fn contradictions_of_a_profile_name_their_field() {
    let office = Office::open().await;
    for (arguments, field) in [
        (&["--credentials", "anonymous"][..], "incoming.credentials"),
        (
            &[
                "--authentication",
                "oauth",
                "--credentials",
                "windows-integrated",
            ],
            "incoming.authentication",
        ),
        (
            &["--auto-discover", "true", "--port", "8443"],
            "incoming.port",
        ),
        (
            &["--url", "https://ada:secret@mail.example.org/EWS"],
            "incoming.location",
        ),
        (&["--connections", "301"], "connections max"),
        (&["--polling-minutes", "1441"], "polling interval min"),
        (&["--email-alert", "true"], "owner address"),
        (&["--tenant", "contoso"], "tenant"),
        (
            &["--same-settings-for-outgoing", "false"],
            "outgoing.location",
        ),
    ] {
        let command = [&["profile", "update", "Office"], arguments].concat();
        let ran = office
            .run(&command)
            .await
            .failed(2, "configuration-invalid");
        assert!(ran.err.contains(&format!("{field}: ")), "{field}: {ran:?}");
    }
    // Of what is no number of that kind it is told what it may be, not that there is no such flag.
    for (flag, value) in [
        ("--port", "-1"),
        ("--connections", "-5"),
        ("--timeout", "-1"),
    ] {
        let ran = office
            .run(&["profile", "update", "Office", flag, value])
            .await;
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(
            ran.err.contains(flag) && !ran.err.contains("unexpected"),
            "{ran:?}"
        );
    }
    office.run(&["user", "create", "Ada", ADA]).await.ok();
    let ran = office.run(&["profile", "delete", "Office"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("used by: Ada"), "{ran:?}");
    assert!(
        ran.err.contains("mailboxes use the profile Office"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_profile_has_an_owner_by_name() {
    let office = Office::open().await;
    office.run(&["user", "create", "Ada", ADA]).await.ok();
    let update = ["profile", "update", "Office", "--owner"];
    for who in ["ada", ADA] {
        office.run(&[&update[..], &[who]].concat()).await.ok();
        let shown = office.run(&["profile", "show", "Office"]).await.ok();
        let row = shown.out.lines().find(|line| line.contains("Owner"));
        assert!(row.is_some_and(|row| row.contains("Ada")), "{shown:?}");
        office.run(&[&update[..], &["none"]].concat()).await.ok();
        let shown = json(&office, &["profile", "show", "Office"]).await;
        assert_eq!(shown["profile"]["owner"], Value::Null);
    }
    let ran = office.run(&[&update[..], &["Adda"]].concat()).await;
    let ran = ran.failed(4, "not-found");
    assert!(ran.err.contains("Did you mean Ada?"), "{ran:?}");
    let url = office.listening.url();
    let made = [
        "profile",
        "create",
        "Second",
        "--url",
        &url,
        "--credentials",
        "mailbox",
        "--owner",
        "Ada",
        "--output",
        "json",
    ];
    let made = office.run(&made).await.ok().json();
    assert!(made["profile"]["owner"].is_string(), "{made}");
}

fn secrets_work(ran: Ran) {
    assert!(!ran.out.contains(PASSWORD) && !ran.err.contains(PASSWORD));
    ran.ok();
}

#[tokio::test]
async fn the_key_is_rotated_and_the_old_one_is_wrong() {
    let office = Office::open().await;
    office.run(&["profile", "test", "Office", ADA]).await.ok();
    let old = std::fs::read(office.folder.path("postroom.key")).unwrap();
    office.folder.write("old.key", &old);
    secrets_work(office.run(&["key", "rotate"]).await);
    assert_ne!(
        std::fs::read(office.folder.path("postroom.key")).unwrap(),
        old
    );
    office.run(&["profile", "test", "Office", ADA]).await.ok();
    office
        .run(&["--key-file", "old.key", "status"])
        .await
        .failed(6, "key-wrong");
    office
        .run(&["key", "rotate", "--to", "other.key"])
        .await
        .failed(2, "invalid-input");
    // A key in the environment cannot be put into place: it goes to a file of its own.
    let text = std::fs::read_to_string(office.folder.path("postroom.key")).unwrap();
    let mut command = office.folder.command(crate::support::binary());
    command.env("POSTROOM_KEY", text.trim());
    command.args(["key", "rotate", "--to", "next.key"]);
    secrets_work(crate::support::finish(command).await);
    office
        .run(&["--key-file", "next.key", "profile", "test", "Office", ADA])
        .await
        .ok();
}

#[tokio::test]
async fn mailboxes_are_selected_by_what_they_have_in_common() {
    let office = Office::open().await;
    for (name, address) in [("Ada", ADA), ("Bob", "bob@example.org")] {
        office.run(&["user", "create", name, address]).await.ok();
    }
    office
        .run(&["queue", "create", "Desk", "desk@example.org"])
        .await
        .ok();
    let names = async |arguments: &[&str]| -> Vec<String> {
        let listed = json(&office, &[&["mailbox", "list"], arguments].concat()).await;
        let mailboxes = listed["mailboxes"].as_array().unwrap().clone();
        mailboxes
            .iter()
            .map(|mailbox| mailbox["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&["--of", "queue"]).await, ["Desk"]);
    assert_eq!(names(&["--matching", "BOB"]).await, ["Bob"]);
    assert_eq!(names(&["--limit", "1", "--offset", "1"]).await, ["Bob"]);
    office.run(&["approve", "--of", "user"]).await.ok();
    assert_eq!(names(&["--approval", "approved"]).await, ["Ada", "Bob"]);
    let shown = json(&office, &["mailbox", "show", ADA]).await;
    assert_eq!(shown["mailbox"]["approved_by"], "tester");
    office.run(&["reject", "bob@example.org"]).await.ok();
    assert_eq!(names(&["--approval", "rejected"]).await, ["Bob"]);
    office.run(&["test", ADA]).await.ok();
    assert_eq!(names(&["--status", "enabled"]).await, ["Ada"]);
    assert_eq!(names(&["--status", "not-enabled"]).await, ["Bob", "Desk"]);

    // Each row answers for itself: queues cannot have items.
    let edit = ["mailbox", "edit", "--all", "--items", "server-side"];
    let ran = office.run(&edit).await;
    assert_eq!(ran.code, 3, "{ran:?}");
    let row = ran
        .out
        .lines()
        .find(|line| line.contains("desk@example.org"));
    assert!(row.is_some_and(|row| row.contains("items: ")), "{ran:?}");
    let by_filter = ["mailbox", "edit", "--of", "queue", "--incoming", "none"];
    office.run(&by_filter).await.ok();
    let shown = json(&office, &["mailbox", "show", "Desk"]).await;
    assert_eq!(shown["mailbox"]["incoming"]["method"], "none");
    office
        .run(&["mailbox", "edit", "--incoming", "none"])
        .await
        .failed(2, "invalid-input");

    let details = office.run(&["mailbox", "details", ADA]).await.ok();
    for part in [
        "Approval: approved, by tester",
        "Last test: success",
        "Next: due",
        "Open alerts",
    ] {
        assert!(details.out.contains(part), "{part}: {details:?}");
    }
    // The mailbox goes with its user.
    office.run(&["user", "deactivate", "Ada"]).await.ok();
    assert_eq!(names(&["--active", "false"]).await, ["Ada"]);
    office
        .run(&["test", ADA])
        .await
        .failed(7, "mailbox-inactive");
    office.run(&["user", "activate", ADA]).await.ok();
    assert_eq!(names(&["--active", "false"]).await, Vec::<String>::new());
    let ran = office.run(&["user", "deactivate", "Adda"]).await;
    assert!(ran.failed(4, "not-found").err.contains("Did you mean Ada?"));
}
