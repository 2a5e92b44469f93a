//! Passwords stay where they belong: nothing that Postroom writes, at the highest log level, holds one.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::{Office, PASSWORD, SERVICE, binary, finish};

const ADA: &str = "ada@example.org";

#[tokio::test]
async fn no_password_in_logs_outputs_or_files() {
    let office = Office::open().await;
    let forms = [
        PASSWORD.to_owned(),
        STANDARD.encode(PASSWORD),
        STANDARD.encode(format!("{SERVICE}:{PASSWORD}")),
        "not-the-password".to_owned(),
        STANDARD.encode(format!("{SERVICE}:not-the-password")),
    ];
    let mut written = Vec::new();
    for arguments in [
        &["user", "create", "Ada", ADA][..],
        &["approve", ADA],
        &["profile", "test", "Office", ADA],
        &["test", ADA],
        &[
            "email",
            "send",
            "--from",
            ADA,
            "--to",
            "c@far.example",
            "--subject",
            "Hi",
            "--text",
            "Hi",
        ],
        &["sync"],
        &[
            "profile",
            "set-password",
            "Office",
            "--user",
            SERVICE,
            "--password-file",
            "wrong-password",
        ],
        &["test", ADA],
        &["sync"],
        &["profile", "show", "Office"],
        &["mailbox", "show", ADA],
        &["alert", "list"],
        &["status"],
    ] {
        let mut command = office.folder.command(binary());
        command
            .env("RUST_LOG", "trace")
            .args(arguments)
            .args(["--output", "json"]);
        let ran = finish(command).await;
        // Wrong usage would look like a pass.
        assert_ne!(ran.code, 2, "{ran:?}");
        written.push((format!("{arguments:?} output"), ran.out.into_bytes()));
        written.push((format!("{arguments:?} log"), ran.err.into_bytes()));
    }
    let logged: usize = written.iter().map(|(_, text)| text.len()).sum();
    assert!(logged > 10_000, "nothing was logged: {logged} bytes");
    files(&office.folder.path("."), &mut written);
    assert!(
        written
            .iter()
            .any(|(name, _)| name.ends_with("postroom.sqlite"))
    );
    for (name, text) in &written {
        for form in &forms {
            let found = text
                .windows(form.len())
                .any(|window| window == form.as_bytes());
            assert!(!found, "{name} holds a password");
        }
    }
}

/// Everything below a folder but the files that the passwords were given in.
fn files(folder: &Path, written: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, written);
        } else if !path.to_string_lossy().ends_with("password") {
            written.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}
