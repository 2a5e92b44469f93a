//! Every example runs with no arguments and no server, and ends well.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests: a failure is a failed test"
)]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// An example that takes longer hangs.
const RUN_MAX: Duration = Duration::from_secs(120);

/// The names of the programs below `src/bin`.
fn names() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("examples lie in src/bin")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir() || path.extension().is_some_and(|e| e == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

/// Cargo builds a package's programs before its tests, one folder above them.
fn program(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().expect("this test is a program");
    path.pop();
    path.pop();
    path.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

fn run(name: &str) -> Output {
    let path = program(name);
    let child = Command::new(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    receiver
        .recv_timeout(RUN_MAX)
        .unwrap_or_else(|_| panic!("{name} did not end within {RUN_MAX:?}"))
        .expect("its output can be read")
}

#[test]
fn each_example_runs() {
    let names = names();
    assert!(!names.is_empty(), "there are examples");
    for name in names {
        let output = run(&name);
        assert!(
            output.status.success(),
            "{name}: {}\n{}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(!output.stdout.is_empty(), "{name} shows what it does");
    }
}
