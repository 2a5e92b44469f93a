//! Who may import whom: the code, `deny.toml` and the documents say the same.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::DependencyKind;

use super::{none, quoted, read, table, workspace};

/// These show and test the whole, and may use anything.
const FREE: [&str; 4] = [
    "postroom-examples",
    "postroom-fuzz",
    "postroom-sim",
    "postroom-tests",
];

type Names = BTreeSet<String>;

/// `ARCHITECTURE.md`: for each crate, which of ours it may import.
fn allowed_arrows() -> BTreeMap<String, Names> {
    let mut arrows = BTreeMap::new();
    for row in table("ARCHITECTURE.md", "arrows") {
        let [crates, imports, ..] = row.as_slice() else {
            panic!("a row of the arrows table has two cells: {row:?}");
        };
        for name in quoted(crates) {
            let imports: Names = quoted(imports).into_iter().collect();
            assert!(
                arrows.insert(name.clone(), imports).is_none(),
                "{name} twice"
            );
        }
    }
    arrows
}

/// `docs/dependencies.md`: for each outside library, the crates that may use it; `None` means all.
fn owners() -> BTreeMap<String, Option<Names>> {
    let mut owners = BTreeMap::new();
    for row in table("docs/dependencies.md", "dependencies") {
        let [libraries, owner, ..] = row.as_slice() else {
            panic!("a row of the dependencies table has an owner: {row:?}");
        };
        let owner = if owner == "everybody" {
            None
        } else {
            Some(quoted(owner).into_iter().collect::<Names>())
        };
        for library in quoted(libraries) {
            assert!(
                owners.insert(library.clone(), owner.clone()).is_none(),
                "{library} twice"
            );
        }
    }
    owners
}

/// `deny.toml`: for each banned crate, who may use it all the same.
fn wrappers() -> BTreeMap<String, Names> {
    let config: toml::Table = read("deny.toml").parse().expect("deny.toml is TOML");
    let entries = config["bans"]["deny"]
        .as_array()
        .expect("bans.deny")
        .clone();
    let mut wrappers = BTreeMap::new();
    for entry in entries {
        let Some(list) = entry.get("wrappers") else {
            continue;
        };
        let name = entry["crate"].as_str().expect("a crate's name").to_owned();
        let list = list
            .as_array()
            .expect("wrappers is a list")
            .iter()
            .map(|name| name.as_str().expect("a name").to_owned())
            .collect();
        wrappers.insert(name, list);
    }
    wrappers
}

#[test]
fn the_table_names_every_crate() {
    let crates: Names = workspace()
        .packages
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    let named: Names = allowed_arrows().into_keys().collect();
    assert_eq!(
        crates, named,
        "crates (left) and the arrows table of ARCHITECTURE.md (right)"
    );
}

#[test]
fn no_crate_imports_against_the_arrows() {
    let arrows = allowed_arrows();
    let mut findings = Vec::new();
    for package in &workspace().packages {
        let name = package.name.as_str();
        if FREE.contains(&name) {
            continue;
        }
        for dependency in &package.dependencies {
            let ours = arrows.contains_key(&dependency.name);
            let test_only = dependency.kind == DependencyKind::Development;
            if ours && !test_only && !arrows[name].contains(&dependency.name) {
                findings.push(format!("{name} -> {}", dependency.name));
            }
        }
    }
    none(&findings, "arrows that ARCHITECTURE.md does not have:");
}

#[test]
fn outside_libraries_stay_with_their_owners() {
    let owners = owners();
    let ours = allowed_arrows();
    let mut findings = Vec::new();
    for package in &workspace().packages {
        let name = package.name.as_str();
        for dependency in &package.dependencies {
            let library = &dependency.name;
            if ours.contains_key(library) {
                continue;
            }
            let Some(owner) = owners.get(library) else {
                findings.push(format!(
                    "{library}, used by {name}, is not in docs/dependencies.md"
                ));
                continue;
            };
            let free = FREE.contains(&name) || dependency.kind == DependencyKind::Development;
            if !free && owner.as_ref().is_some_and(|owner| !owner.contains(name)) {
                findings.push(format!("{name} uses {library}, which belongs to {owner:?}"));
            }
        }
    }
    none(&findings, "libraries out of place:");
}

#[test]
fn every_listed_library_is_declared_and_used() {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let ours = allowed_arrows();
    let declared: Names = manifest["workspace"]["dependencies"]
        .as_table()
        .expect("the workspace's dependencies")
        .keys()
        .filter(|name| !ours.contains_key(*name))
        .cloned()
        .collect();
    let listed: Names = owners().into_keys().collect();
    let unlisted: Vec<String> = declared.difference(&listed).cloned().collect();
    none(
        &unlisted,
        "declared, but without a row in docs/dependencies.md:",
    );
    let stale: Vec<String> = listed.difference(&declared).cloned().collect();
    none(&stale, "in docs/dependencies.md, but no longer declared:");

    let used: Names = workspace()
        .packages
        .iter()
        .flat_map(|package| &package.dependencies)
        .map(|dependency| dependency.name.clone())
        .collect();
    let unused: Vec<String> = declared.difference(&used).cloned().collect();
    none(&unused, "declared in the workspace, used by nobody:");
}

#[test]
fn deny_toml_has_the_same_arrows() {
    let arrows = allowed_arrows();
    let wrappers = wrappers();
    let importers = |library: &str| -> Names {
        arrows
            .iter()
            .filter(|(name, imports)| imports.contains(library) && !FREE.contains(&name.as_str()))
            .map(|(name, _)| name.clone())
            .collect()
    };
    let mut findings = Vec::new();
    for library in arrows.keys() {
        let wanted = importers(library);
        let stated = wrappers.get(library).map(without_free).unwrap_or_default();
        if wanted != stated {
            findings.push(format!("{library}: {stated:?} should be {wanted:?}"));
        }
    }
    none(
        &findings,
        "deny.toml has other arrows than ARCHITECTURE.md:",
    );
}

#[test]
fn deny_toml_has_the_same_owners() {
    let ours = allowed_arrows();
    let owners = owners();
    let mut findings = Vec::new();
    for (library, stated) in wrappers() {
        if ours.contains_key(&library) {
            continue;
        }
        let stated: Names = without_free(&stated)
            .into_iter()
            .filter(|name| ours.contains_key(name))
            .collect();
        let wanted = owners
            .get(&library)
            .and_then(Option::as_ref)
            .map(without_free)
            .unwrap_or_default();
        if wanted != stated {
            findings.push(format!("{library}: {stated:?} should be {wanted:?}"));
        }
    }
    none(
        &findings,
        "deny.toml has other owners than docs/dependencies.md:",
    );
}

fn without_free(names: &Names) -> Names {
    names
        .iter()
        .filter(|name| !FREE.contains(&name.as_str()))
        .cloned()
        .collect()
}
