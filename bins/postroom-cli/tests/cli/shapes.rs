//! The JSON that scripts rely on, and what people are shown.

use crate::support::Office;

#[tokio::test]
async fn a_mailbox_goes_from_creation_to_mail() {
    let office = Office::open().await;
    let made = office
        .run(&[
            "user",
            "create",
            "Ada",
            "ada@example.org",
            "--output",
            "json",
        ])
        .await
        .ok()
        .json();
    assert_eq!(made["mailbox"]["approval"], "pending");
    assert_eq!(made["mailbox"]["incoming"]["enabled"], false);
    let approved = office
        .run(&["approve", "ada@example.org", "--output", "json"])
        .await
        .ok()
        .json();
    assert_eq!(approved["mailboxes"][0]["approval"], "approved");

    let dry = office
        .run(&[
            "test",
            "ada@example.org",
            "--no-side-effects",
            "--output",
            "json",
        ])
        .await
        .ok()
        .json();
    assert_eq!(
        dry["tests"][0]["mailbox"]["incoming"]["test_status"],
        "not_run"
    );
    let tested = office
        .run(&["test", "ada@example.org", "--output", "json"])
        .await
        .ok()
        .json();
    let mailbox = &tested["tests"][0]["mailbox"];
    assert_eq!(mailbox["incoming"]["test_status"], "success");
    assert_eq!(mailbox["outgoing"]["enabled"], true);

    let sent = office
        .run(&[
            "email",
            "send",
            "--from",
            "Ada",
            "--to",
            "carla@far.example",
            "--subject",
            "Hello",
            "--text",
            "Hi",
            "--output",
            "json",
        ])
        .await
        .ok()
        .json();
    let record = sent["record"].as_str().unwrap();
    let sync = office.run(&["sync", "--output", "json"]).await.ok().json();
    assert_eq!(sync["sync"]["taken_over"], 1);
    assert_eq!(office.exchange.mail().outside().len(), 1);
    let email = office
        .run(&["email", "show", record, "--output", "json"])
        .await
        .ok()
        .json();
    assert_eq!(email["email"]["status"], "sent");
    assert!(
        email["email"]["subject"]
            .as_str()
            .unwrap()
            .starts_with("Hello CRM:"),
        "{email}"
    );
    let why = office
        .run(&["explain", record, "--output", "json"])
        .await
        .ok()
        .json();
    assert_eq!(why["explanations"][0]["direction"], "outgoing");
    let ids = office
        .run(&["email", "list", "--outgoing", "--state", "sent", "--ids"])
        .await
        .ok();
    let raw = office
        .run(&["email", "raw", ids.out.lines().next().unwrap()])
        .await
        .ok();
    assert!(raw.out.contains("Subject: Hello CRM:"), "{}", raw.out);
    // A second round sends nothing again.
    office.run(&["sync"]).await.ok();
    assert_eq!(office.exchange.mail().outside().len(), 1);

    let status = office
        .run(&["status", "--output", "json"])
        .await
        .ok()
        .json();
    assert_eq!(
        status["status"]["mailboxes"][0]["workloads"][0]["health"],
        "healthy"
    );
    let alerts = office
        .run(&["alert", "list", "--output", "json"])
        .await
        .ok()
        .json();
    let id = alerts["alerts"][0]["id"].as_str().unwrap();
    office.run(&["alert", "show", id]).await.ok();
    office.run(&["alert", "dismiss", id]).await.ok();

    office.run(&["reject", "ada@example.org"]).await.ok();
    let status = office
        .run(&["status", "--output", "json"])
        .await
        .ok()
        .json();
    assert_eq!(
        status["status"]["mailboxes"][0]["workloads"][0]["closed_gate"],
        "not-approved"
    );
}

#[tokio::test]
async fn settings_and_profiles_are_changed_and_shown() {
    let office = Office::open().await;
    office
        .run(&[
            "organization",
            "set",
            "correlation.token.prefix=TKT:",
            "process_only_approved_users=off",
        ])
        .await
        .ok();
    let shown = office
        .run(&["organization", "show", "--output", "json"])
        .await
        .ok()
        .json();
    assert_eq!(
        shown["organization"]["settings"]["correlation"]["token"]["prefix"],
        "TKT:"
    );
    assert_eq!(
        shown["organization"]["settings"]["process_only_approved_users"],
        false
    );
    office
        .run(&[
            "profile",
            "update",
            "Office",
            "--connections",
            "3",
            "--polling-minutes",
            "1",
        ])
        .await
        .ok();
    let profile = office
        .run(&["profile", "show", "office", "--output", "json"])
        .await
        .ok()
        .json();
    assert_eq!(profile["profile"]["connections_max"], 3);
    assert_eq!(profile["profile"]["polling_interval_min_seconds"], 60);
    office
        .run(&["profile", "update", "Office", "--connections", "0"])
        .await
        .failed(2, "configuration-invalid");
    office
        .run(&[
            "profile",
            "set-password",
            "Office",
            "--password-file",
            "password",
        ])
        .await
        .ok();
    office
        .run(&["queue", "create", "Support", "support@example.org"])
        .await
        .ok();
    office
        .run(&[
            "mailbox",
            "edit",
            "Support",
            "--filter",
            "none",
            "--delete-after-processing",
            "true",
        ])
        .await
        .ok();
    let list = office
        .run(&["mailbox", "list", "--output", "json"])
        .await
        .ok()
        .json();
    assert_eq!(list["mailboxes"][0]["filter"], "none");
    office.run(&["mailbox", "deactivate", "Support"]).await.ok();
    office
        .run(&["test", "Support"])
        .await
        .failed(7, "mailbox-inactive");
}
