//! The demo: the story, and a folder of messages.

use crate::support::Folder;

#[tokio::test]
async fn the_story_accounts_for_every_message() {
    let folder = Folder::new();
    let ran = folder
        .run(&[
            "demo",
            "--output",
            "json",
            "--keep",
            "kept",
            "--capture",
            "wire",
        ])
        .await
        .ok();
    let demo = &ran.json()["demo"];
    assert_eq!(demo["sums_match"], true);
    assert_eq!(demo["outgoing"]["sent_once"], 3);
    assert_eq!(demo["quarantine_attempts"], 3);
    let states = |mailbox: usize, state: &str| {
        demo["mailboxes"][mailbox]["ledger"][state]
            .as_u64()
            .unwrap_or_default()
    };
    // Ada: the reply by token and the one by In-Reply-To; test message, too early, cold.
    assert_eq!((states(0, "delivered"), states(0, "filtered")), (2, 3));
    // Ben: his test message and spam.
    assert_eq!((states(1, "delivered"), states(1, "filtered")), (0, 2));
    // Emma, by POP3 and SMTP: Dan's question; her test message.
    assert_eq!((states(2, "delivered"), states(2, "filtered")), (1, 1));
    // Support: Dan's question and the copy of the reply; the test message; the damaged one.
    assert_eq!(
        (
            states(3, "delivered"),
            states(3, "filtered"),
            states(3, "quarantined")
        ),
        (2, 1, 1)
    );
    assert!(std::fs::read_dir(folder.path("wire")).unwrap().count() > 20);

    let store = ["--store", "kept/postroom.sqlite", "--output", "json"];
    let list = folder
        .run(&[&store[..], &["email", "list"]].concat())
        .await
        .ok()
        .json();
    assert_eq!(list["emails"].as_array().unwrap().len(), 13);
    let records = folder
        .run(&[&store[..], &["email", "records"]].concat())
        .await
        .ok()
        .json();
    assert_eq!(
        records["records"].as_array().unwrap().len(),
        7,
        "three written, four received"
    );
    // It does not write over a store.
    folder
        .run(&["demo", "--keep", "kept"])
        .await
        .failed(2, "invalid-input");
}

#[tokio::test]
async fn the_story_is_told_to_people() {
    let ran = Folder::new().run(&["demo"]).await.ok();
    for words in [
        "Before approval nothing moves",
        "recorded, belongs to the quote by tracking token",
        "recorded, belongs to the quote by in reply to",
        "joined its record",
        "filtered: no filter accepts",
        "quarantined with item-corrupt",
        "Every message accounted for",
    ] {
        assert!(
            ran.out.contains(words),
            "the story lacks {words:?}:\n{}",
            ran.out
        );
    }
    assert!(!ran.out.contains('\u{1b}'), "colour away from a terminal");
}

#[tokio::test]
async fn every_file_of_a_folder_is_accounted_for() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("mail")).unwrap();
    let message = "From: a@far.example\r\nTo: b@near.example\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@far.example>\r\nSubject: One\r\n\r\nOne.\r\n";
    folder.write("mail/1.eml", message);
    folder.write("mail/2-the-same-again.eml", message);
    folder.write("mail/3-no-headers.eml", "\r\nnothing but a body\r\n");
    folder.write("mail/4-another-without.eml", "\r\nanother body\r\n");
    folder.write("mail/5-empty.eml", "");
    folder.write("mail/6-bytes.eml", (0..=255_u8).collect::<Vec<_>>());
    folder.write("mail/notes.txt", "not a message");
    let ran = folder
        .run(&["demo", "--messages", "mail", "--output", "json"])
        .await
        .ok();
    let demo = &ran.json()["demo"];
    assert_eq!(demo["sums_match"], true);
    let outcomes: Vec<(&str, &str)> = demo["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| {
            (
                file["file"].as_str().unwrap(),
                file["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(outcomes.len(), 6, "{outcomes:?}");
    let of = |name: &str| outcomes.iter().find(|(file, _)| *file == name).unwrap().1;
    let mut same = [of("1.eml"), of("2-the-same-again.eml")];
    same.sort_unstable();
    assert_eq!(same, ["delivered", "joined"]);
    // Two messages without any header came in the same second, and are two all the same.
    assert_ne!(of("3-no-headers.eml"), "joined");
    assert_ne!(of("4-another-without.eml"), "joined");
    for (file, outcome) in outcomes {
        let known = ["delivered", "joined", "filtered", "quarantined"];
        assert!(
            known.iter().any(|state| outcome.starts_with(state)),
            "{file}: {outcome}"
        );
    }
    folder
        .run(&["demo", "--messages", "nowhere"])
        .await
        .failed(1, "invalid-input");
}
