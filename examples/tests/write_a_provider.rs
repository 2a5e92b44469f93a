//! The guide and the example tell the same story.

use std::process::Command;

const GUIDE: &str = include_str!("../../docs/guides/write-a-provider.md");
const EXAMPLE: [&str; 3] = [
    include_str!("../src/bin/custom_provider/drop_box.rs"),
    include_str!("../src/bin/custom_provider/fixture.rs"),
    include_str!("../src/bin/custom_provider/main.rs"),
];

#[test]
fn the_code_of_the_guide_is_that_of_the_example() {
    let pieces: Vec<&str> = GUIDE
        .split("```rs\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(pieces.len() > 5, "the guide has lost its code");
    for piece in pieces {
        let found = EXAMPLE.iter().any(|file| file.contains(piece));
        assert!(found, "not in the example:\n{piece}");
    }
}

#[test]
fn the_provider_has_at_most_200_lines() {
    let lines = EXAMPLE[0].lines().count();
    assert!(lines <= 200, "{lines} lines");
}

#[test]
fn it_runs_without_arguments_and_passes() {
    let run = Command::new(env!("CARGO_BIN_EXE_custom_provider"))
        .output()
        .unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{text}");
    assert!(text.contains(" passed, 0 failed, "), "{text}");
}
