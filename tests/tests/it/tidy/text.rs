//! What no file may hold, and how long a file may be.

use super::{files, none, read};

/// Longest source file, in lines: beyond it there is a seam to look for.
const LINES_MAX: usize = 700;

/// Text that no file may hold, and why. Cut in two, so that this file does not hold it.
const FORBIDDEN: &[(&str, &str)] = &[
    (
        concat!("index.", "crates.io"),
        "a registry's host: clients know it",
    ),
    (
        concat!("static.", "crates.io"),
        "a registry's host: clients know it",
    ),
    (
        concat!("pypi.", "org"),
        "a registry's host: clients know it",
    ),
    (
        concat!("python", "hosted"),
        "a registry's host: clients know it",
    ),
    (
        concat!("registry.", "npmjs"),
        "a registry's host: clients know it",
    ),
    (
        concat!("deb.", "debian"),
        "a registry's host: clients know it",
    ),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/ho", "me/"), "a path of one machine"),
    (
        concat!("TO", "DO"),
        "do it, or say what is missing and what would break",
    ),
    (
        concat!("FIX", "ME"),
        "do it, or say what is missing and what would break",
    ),
];

/// Text that no Rust source may hold, and why.
const FORBIDDEN_IN_RUST: &[(&str, &str)] = &[
    (
        concat!("to", "do!("),
        "an unfinished branch is a typed error",
    ),
    (
        concat!("unimple", "mented!("),
        "an unfinished branch is a typed error",
    ),
    (
        concat!("#[ig", "nore"),
        "a test that does not run proves nothing",
    ),
    (
        concat!("#[al", "low("),
        "an exception is `expect` with a reason",
    ),
    (
        concat!("#![al", "low("),
        "an exception is `expect` with a reason",
    ),
];

/// Where such text stands all the same: file, text, reason.
const EXCUSED: &[(&str, &str, &str)] = &[
    (
        "crates/postroom-conformance/src/provider/list.rs",
        concat!("#[al", "low("),
        "inside a macro: whether the lint fires depends on the caller",
    ),
    (
        "crates/postroom-conformance/src/store/list.rs",
        concat!("#[al", "low("),
        "inside a macro: whether the lint fires depends on the caller",
    ),
];

const TEXT: &[&str] = &["rs", "md", "toml", "sql", "py", "sh", "json", "xml", "txt"];

fn search(path: &str, forbidden: &[(&str, &str)], findings: &mut Vec<String>) {
    for (number, line) in read(path).lines().enumerate() {
        for (text, why) in forbidden {
            let excused = EXCUSED
                .iter()
                .any(|(file, which, _)| *file == path && which == text);
            if line.contains(text) && !excused {
                findings.push(format!("{path}:{}: '{text}': {why}", number + 1));
            }
        }
    }
}

#[test]
fn no_file_holds_what_does_not_belong_there() {
    let mut findings = Vec::new();
    let scripts = [".ci/run".to_owned(), ".ci/setup".to_owned()];
    for path in files(TEXT).iter().chain(&scripts) {
        search(path, FORBIDDEN, &mut findings);
    }
    for path in files(&["rs"]) {
        search(&path, FORBIDDEN_IN_RUST, &mut findings);
    }
    none(&findings, "remove:");
}

#[test]
fn no_source_file_is_too_long() {
    let mut findings = Vec::new();
    for path in files(&["rs"]) {
        let lines = read(&path).lines().count();
        if lines > LINES_MAX {
            findings.push(format!("{path}: {lines} lines"));
        }
    }
    none(&findings, "at most 700 lines a file:");
}
