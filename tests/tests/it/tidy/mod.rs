//! The project keeps its own rules. What a reviewer would have to remember is checked here instead.
//!
//! Run them alone with `cargo tidy`. Documents that are generated from the code are compared here
//! and rewritten by `POSTROOM_BLESS=1 cargo tidy`.

mod arrows;
mod documents;
mod manifests;
mod museum;
mod reference;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand};

/// The top folder of the project.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package is a folder of the project")
}

/// A file's text, by its path from the top.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The workspace's packages with their declared dependencies. Nothing is resolved, so that no
/// network is needed.
fn workspace() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata reads the workspace")
}

/// Every file of the project with one of these extensions (all, where none are given), as paths
/// from the top with `/`, sorted. What builds and runs leave behind is left out.
fn files(extensions: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("an entry of the project").path();
            let name = name_of(&path);
            if path.is_dir() {
                let left_out = [".git", "captures", "__pycache__", "node_modules"];
                let built = name == "target" && folder == root();
                if !built && !left_out.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if extensions.is_empty()
                || path
                    .extension()
                    .is_some_and(|e| extensions.iter().any(|wanted| e == *wanted))
            {
                found.push(from_top(&path));
            }
        }
    }
    assert!(!found.is_empty(), "no file with {extensions:?}");
    found.sort();
    found
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn from_top(path: &Path) -> String {
    let relative: PathBuf = path
        .strip_prefix(root())
        .expect("a path inside the project")
        .to_path_buf();
    relative.to_string_lossy().replace('\\', "/")
}

/// The rows of the first table below a marker line `<!-- tidy: NAME -->`, heading left out, each cut
/// into cells.
fn table(path: &str, name: &str) -> Vec<Vec<String>> {
    let marker = format!("<!-- tidy: {name} -->");
    let text = read(path);
    let rows: Vec<Vec<String>> = text
        .lines()
        .skip_while(|line| line.trim() != marker)
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect();
    assert!(!rows.is_empty(), "{path} has no table below '{marker}'");
    rows
}

/// The words in backticks of a cell.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(ToOwned::to_owned)
        .collect()
}

/// Fails with all findings at once, one a line.
fn none(findings: &[String], advice: &str) {
    assert!(
        findings.is_empty(),
        "{advice}\n  {}\n",
        findings.join("\n  ")
    );
}
