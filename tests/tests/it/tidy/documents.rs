//! Documents: links lead somewhere, examples say their language, words are explained.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::{files, none, quoted, read, root, table};

/// The words that carry the design. Each stands in the glossary, as a row of its own.
const WORDS: [&str; 10] = [
    "Organization",
    "ServerProfile",
    "Mailbox",
    "Workload",
    "Principal",
    "Record",
    "Ledger",
    "Outbox",
    "Link",
    "Alert",
];

/// The lines of a document that are prose: code blocks are left out.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut in_code = false;
    text.lines()
        .enumerate()
        .filter(|(_, line)| {
            let fence = line.trim_start().starts_with("```");
            in_code ^= fence;
            !fence && !in_code
        })
        .map(|(index, line)| (index + 1, line))
        .collect()
}

/// The targets of the inline links of a line.
fn links(line: &str) -> Vec<&str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .collect()
}

/// The name under which a heading can be linked to.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

fn anchors(path: &str) -> BTreeSet<String> {
    prose(&read(path))
        .into_iter()
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| anchor(line))
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut findings = Vec::new();
    for path in files(&["md"]) {
        let folder = root().join(&path).parent().expect("a folder").to_path_buf();
        for (number, line) in prose(&read(&path)) {
            for target in links(line) {
                if target.contains("://") || target.starts_with("mailto:") {
                    continue;
                }
                let (file, name) = target.split_once('#').unwrap_or((target, ""));
                let file = if file.is_empty() {
                    root().join(&path)
                } else {
                    folder.join(file)
                };
                let Ok(file) = fs::canonicalize(&file) else {
                    findings.push(format!("{path}:{number}: {target}"));
                    continue;
                };
                if !name.is_empty() && !anchors(&super::from_top(&file)).contains(name) {
                    findings.push(format!("{path}:{number}: {target}: no such heading"));
                }
            }
        }
    }
    none(&findings, "links that lead nowhere:");
}

#[test]
fn a_code_block_says_its_language() {
    let mut findings = Vec::new();
    for path in files(&["md"]) {
        let mut in_code = false;
        for (index, line) in read(&path).lines().enumerate() {
            if let Some(language) = line.trim_start().strip_prefix("```") {
                if !in_code && language.is_empty() {
                    findings.push(format!("{path}:{}", index + 1));
                }
                in_code = !in_code;
            }
        }
        assert!(!in_code, "{path}: a code block does not end");
    }
    none(
        &findings,
        "code blocks without a language (text, sh, rust, toml, ...):",
    );
}

#[test]
fn rust_code_in_documents_is_compiled() {
    let compiled = read("tests/src/lib.rs");
    let findings: Vec<String> = files(&["md"])
        .into_iter()
        .filter(|path| {
            read(path)
                .lines()
                .any(|line| line.trim().starts_with("```rust"))
        })
        .filter(|path| !compiled.contains(&format!("include_str!(\"../../{path}\")")))
        .collect();
    none(
        &findings,
        "include in tests/src/lib.rs as a documentation test:",
    );
}

#[test]
fn the_glossary_explains_the_words() {
    let mut meanings = BTreeMap::new();
    for row in table("docs/glossary.md", "glossary") {
        let [word, meaning, ..] = row.as_slice() else {
            panic!("a row of the glossary has two cells: {row:?}");
        };
        assert!(meaning.ends_with('.'), "{word}: a full sentence, please");
        let word = word.trim_matches('*').to_owned();
        assert!(
            meanings
                .insert(word.to_lowercase(), meaning.clone())
                .is_none(),
            "{word} stands there twice"
        );
    }
    for word in WORDS {
        assert!(
            meanings.contains_key(&word.to_lowercase()),
            "{word} is not in docs/glossary.md"
        );
    }
}

#[test]
fn decisions_are_numbered_once() {
    let mut numbers = BTreeMap::new();
    for path in files(&["md"]) {
        let Some(name) = path.strip_prefix("docs/adr/") else {
            continue;
        };
        if name == "template.md" || name == "README.md" {
            continue;
        }
        let number = name.split('-').next().unwrap_or_default().to_owned();
        assert!(
            number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit()),
            "{path}: NNNN-title.md"
        );
        let text = read(&path);
        assert!(
            text.starts_with(&format!("# {number}")),
            "{path} begins with its number"
        );
        for heading in ["## Context", "## Decision", "## Consequences"] {
            assert!(text.contains(heading), "{path} has no '{heading}'");
        }
        if let Some(other) = numbers.insert(number, path.clone()) {
            panic!("{path} and {other} have the same number");
        }
    }
    assert!(!numbers.is_empty(), "docs/adr holds the decisions");
}

#[test]
fn the_readme_prints_the_commands_that_run() {
    let readme = read("README.md");
    for name in ["demo", "test"] {
        assert!(
            readme.contains(&format!("<!-- run: {name} -->\n```sh\ncargo ")),
            "{name}"
        );
    }
}

#[test]
fn the_code_map_names_every_folder() {
    let map = read("ARCHITECTURE.md");
    for parent in ["crates", "bins"] {
        for entry in fs::read_dir(root().join(parent)).expect("a folder of crates") {
            let name = entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned();
            let named = map.lines().any(|line| quoted(line).contains(&name));
            assert!(named, "ARCHITECTURE.md does not mention `{name}`");
        }
    }
}
