//! Questions before what cannot be taken back, or changes much. Here nobody can answer them.

use std::fmt::Write as _;

use crate::support::Folder;

#[tokio::test]
async fn what_changes_much_is_asked_about() {
    let folder = Folder::new();
    folder.run(&["init"]).await.ok();
    let mut file = String::new();
    for number in 0..12 {
        writeln!(
            file,
            "[[queue]]\nname = \"Desk {number}\"\naddress = \"desk{number}@example.org\""
        )
        .unwrap();
    }
    folder.write("desks.toml", file);
    folder.run(&["apply", "desks.toml"]).await.ok();

    for command in [&["approve"][..], &["mailbox", "deactivate"], &["reject"]] {
        let all = [command, &["--all"]].concat();
        let refused = folder.run(&all).await.failed(2, "invalid-input");
        assert!(refused.err.contains("12 mailboxes"), "{refused:?}");
        assert!(refused.err.contains("--yes"), "{refused:?}");
        let shown = folder
            .run(&[command, &["--all", "--dry-run"]].concat())
            .await
            .ok();
        assert!(shown.out.contains("desk11@example.org"), "{shown:?}");
    }
    let list = folder.run(&["mailbox", "list"]).await.ok().out;
    assert_eq!(
        list.matches("pending approval").count(),
        12,
        "nothing was done: {list}"
    );

    // Whoever names them, or says so, is not asked.
    let named: Vec<String> = (0..11)
        .map(|number| format!("desk{number}@example.org"))
        .collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    folder.run(&[&["approve"][..], &named].concat()).await.ok();
    folder
        .run(&["mailbox", "deactivate", "--all", "--yes"])
        .await
        .ok();
    let none = folder
        .run(&["mailbox", "deactivate", "--active", "true"])
        .await
        .ok();
    assert_eq!(none.out.trim(), "no mailbox to deactivate");
}

#[tokio::test]
async fn what_is_lost_for_good_is_asked_about() {
    let folder = Folder::new();
    folder.run(&["init"]).await.ok();
    let url = "https://mail.example.org/EWS/Exchange.asmx";
    let create = [
        "profile",
        "create",
        "Old",
        "--url",
        url,
        "--credentials",
        "mailbox",
    ];
    folder.run(&create).await.ok();
    folder.run(&["profile", "deactivate", "Old"]).await.ok();
    folder
        .run(&["profile", "delete", "Old"])
        .await
        .failed(2, "invalid-input");
    folder.run(&["profile", "show", "Old"]).await.ok();
    folder
        .run(&["profile", "delete", "Old", "--yes"])
        .await
        .ok();
    folder
        .run(&["profile", "show", "Old"])
        .await
        .failed(4, "not-found");
}
