//! The museum's defects stay in the museum: nothing that is shipped can have them.

use std::collections::{BTreeMap, BTreeSet};

use super::{files, none, read};

const CFG: &str = "postroom_museum";
const COLLECTION: &str = "crates/postroom-core/src/museum/collection.rs";

/// Where the cfg may be named: where it is declared, set, asked for and explained.
fn may_name_it(path: &str) -> bool {
    matches!(
        path,
        "Cargo.toml"
            | ".ci/run"
            | "docs/testing.md"
            | "crates/postroom-core/src/museum.rs"
            | "tests/tests/it/tidy/museum.rs"
    ) || path.starts_with("tests/simulation/")
}

/// The collection's defects, by name.
fn defects() -> BTreeSet<String> {
    let text = read(COLLECTION);
    let (_, pieces) = text.split_once("\ncollection! {").expect("the collection");
    let (pieces, _) = pieces.split_once("\n}\n").expect("its end");
    let found: BTreeSet<String> = pieces
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split_once(", \""))
        .filter(|(name, _)| name.chars().all(char::is_alphanumeric))
        .map(|(name, _)| name.to_owned())
        .collect();
    assert!(found.len() >= 36, "{} defects", found.len());
    found
}

#[test]
fn nothing_shipped_switches_it_on() {
    let mut findings: Vec<String> = files(&[])
        .into_iter()
        .filter(|path| !may_name_it(path) && !path.starts_with("Cargo.lock"))
        .filter(|path| std::fs::read(super::root().join(path)).is_ok_and(|bytes| names_it(&bytes)))
        .collect();
    // The root manifest declares that the name exists; it has no way to set it.
    let manifest = read("Cargo.toml");
    let lines = manifest.lines().filter(|line| line.contains(CFG));
    findings.extend(
        lines
            .filter(|line| !line.starts_with("unexpected_cfgs = "))
            .map(|line| format!("Cargo.toml: {line}")),
    );
    // Features and build scripts could do it by another name.
    for path in files(&["toml", "rs"]) {
        let text = read(&path);
        let sets = [
            concat!("cargo:", "rustc-cfg"),
            concat!("cargo::", "rustc-cfg"),
        ];
        let by_script = path.ends_with(".rs") && sets.iter().any(|words| text.contains(words));
        let by_flags = path.ends_with(".toml") && text.contains(concat!("rust", "flags"));
        if by_script || by_flags {
            findings.push(path);
        }
    }
    none(&findings, "these name the museum's cfg, or could set it:");
}

fn names_it(bytes: &[u8]) -> bool {
    bytes
        .windows(CFG.len())
        .any(|window| window == CFG.as_bytes())
}

#[test]
fn every_defect_has_a_site_and_every_site_a_defect() {
    let defects = defects();
    let mut sites: BTreeMap<String, usize> = BTreeMap::new();
    let mut findings = Vec::new();
    for path in files(&["rs"]) {
        let shipped = ["crates/", "bins/"].iter().any(|top| path.starts_with(top));
        if !shipped || path.starts_with("crates/postroom-core/src/museum") {
            continue;
        }
        let text = read(&path);
        if text.contains("museum::plant") {
            findings.push(format!("{path} plants a defect"));
        }
        for site in text.split("planted!(").skip(1) {
            let name = site.split(')').next().unwrap_or_default().trim();
            if !defects.contains(name) {
                findings.push(format!("{path}: no such defect: {name}"));
            }
            *sites.entry(name.to_owned()).or_default() += 1;
        }
    }
    let idle = defects.iter().filter(|name| !sites.contains_key(*name));
    findings.extend(idle.map(|name| format!("{COLLECTION}: {name} is planted nowhere")));
    none(&findings, "the collection and its sites differ:");
}
