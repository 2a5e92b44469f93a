//! Servers that need not be typed in.

use crate::support::Folder;

#[tokio::test]
async fn the_presets_are_listed_without_a_store() {
    let folder = Folder::new();
    let listed = folder
        .run(&["profile", "presets", "--output", "json"])
        .await
        .ok();
    let presets = listed.json();
    let presets = presets["presets"].as_array().unwrap();
    for name in ["gmail", "yahoo", "msn", "outlook-com", "windows-live"] {
        let preset = presets
            .iter()
            .find(|preset| preset["name"] == name)
            .unwrap();
        assert!(preset["pop3"]["port"] == 995, "{preset}");
    }
    let table = folder.run(&["profile", "presets"]).await.ok();
    assert!(table.out.contains("smtp.gmail.com:465"), "{table:?}");
}

#[tokio::test]
async fn the_servers_of_a_well_known_domain_are_found_without_asking_anybody() {
    let folder = Folder::new();
    let found = folder
        .run(&["profile", "discover", "anna@GMAIL.com", "--output", "json"])
        .await
        .ok()
        .json();
    assert_eq!(found["found"]["by"], "the preset gmail");
    assert_eq!(found["found"]["servers"][0]["host"], "imap.gmail.com");
    let shown = folder
        .run(&["profile", "discover", "anna@gmail.com"])
        .await
        .ok();
    assert!(shown.out.contains("app password"), "{shown:?}");
}

#[tokio::test]
async fn what_cannot_be_found_or_taken_is_said_and_nothing_is_created() {
    let folder = Folder::new();
    folder.run(&["init", "--name", "Lamps"]).await.ok();
    let create = |more: &[&'static str]| {
        let mut arguments = vec!["profile", "create", "Mail"];
        arguments.extend(more);
        arguments
    };
    let unknown = folder
        .run(&create(&["--preset", "gmial"]))
        .await
        .failed(4, "not-found");
    assert!(unknown.err.contains("Did you mean gmail?"), "{unknown:?}");
    let lacking = folder
        .run(&create(&["--preset", "icloud", "--kind", "pop3-smtp"]))
        .await;
    assert_eq!(lacking.code, 2, "{lacking:?}");
    assert!(lacking.err.contains("imap-smtp"), "{lacking:?}");
    let both = folder
        .run(&create(&["--preset", "gmail", "--discover", "a@gmail.com"]))
        .await;
    assert_eq!(both.code, 2, "{both:?}");
    // An address of a machine has nobody to ask.
    folder
        .run(&["profile", "discover", "anna@[192.0.2.1]"])
        .await
        .failed(4, "not-found");
    let profiles = folder
        .run(&["profile", "list", "--output", "json"])
        .await
        .ok();
    assert_eq!(
        profiles.json()["profiles"].as_array().map(Vec::len),
        Some(0)
    );
}

#[tokio::test]
async fn a_preset_makes_a_profile_and_says_what_to_switch_on() {
    let folder = Folder::new();
    folder.run(&["init", "--name", "Lamps"]).await.ok();
    let made = folder
        .run(&["profile", "create", "Gmail", "--preset", "gmail"])
        .await
        .ok();
    assert!(made.out.contains("app password"), "{made:?}");
    folder
        .run(&[
            "profile",
            "create",
            "By POP3",
            "--preset",
            "gmail",
            "--kind",
            "pop3-smtp",
        ])
        .await
        .ok();
    let shown = folder
        .run(&["profile", "list", "--output", "json"])
        .await
        .ok()
        .json();
    let mut found: Vec<_> = shown["profiles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|profile| (profile["kind"].as_str(), profile.to_string()))
        .collect();
    found.sort();
    assert_eq!(found[0].0, Some("imap-smtp"));
    assert!(found[0].1.contains("imap.gmail.com"), "{found:?}");
    assert_eq!(found[1].0, Some("pop3-smtp"));
    assert!(found[1].1.contains("pop.gmail.com"), "{found:?}");
}
