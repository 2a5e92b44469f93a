//! The guide to embedding and its examples tell the same story.
#![expect(
    clippy::panic,
    reason = "a helper of tests stops at what it did not expect"
)]

use std::process::Command;

const GUIDE: &str = include_str!("../../docs/guides/embed.md");
const EMBED: &str = include_str!("../src/bin/embed.rs");
const HOST: [&str; 2] = [
    include_str!("../src/bin/host_database/crm.rs"),
    include_str!("../src/bin/host_database/main.rs"),
];

/// What the example prints; it has to succeed.
fn output(program: &str) -> String {
    let run = Command::new(program).output();
    let run = run.unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{program} failed: {errors}");
    String::from_utf8_lossy(&run.stdout).into_owned()
}

#[test]
fn the_code_of_the_guide_is_that_of_the_examples() {
    let pieces: Vec<&str> = GUIDE
        .split("```rs\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(pieces.len() > 5, "the guide has lost its code");
    for piece in pieces {
        let found = EMBED.contains(piece) || HOST.iter().any(|file| file.contains(piece));
        assert!(found, "not in the examples:\n{piece}");
    }
}

#[test]
fn embedding_takes_at_most_30_lines() {
    let body = EMBED.split("async fn embed(").nth(1).unwrap();
    let lines = body
        .lines()
        .skip(1)
        .take_while(|line| *line != "}")
        .filter(|line| !line.trim().is_empty() && !line.trim().starts_with("//"))
        .count();
    assert!((10..=30).contains(&lines), "{lines} lines");
}

#[test]
fn the_embedded_engine_records_what_arrives_and_stops() {
    let text = output(env!("CARGO_BIN_EXE_embed"));
    let mut lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.pop(), Some("stopped"));
    lines.sort_unstable();
    let expected = ["on record: Thank you", "on record: Where is my order?"];
    assert_eq!(lines, expected);
}

#[test]
fn the_host_with_its_own_database_makes_no_duplicate() {
    let text = output(env!("CARGO_BIN_EXE_host_database"));
    let expected = "3 messages wait on the server
the host died: it holds 3 emails, Postroom knows of none
after the restart: it holds [\"Order 1\", \"Order 2\", \"Order 3\"]
each message is there exactly once
";
    assert_eq!(text, expected);
}
