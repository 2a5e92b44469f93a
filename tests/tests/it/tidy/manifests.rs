//! Every crate takes lints, versions and metadata from the workspace.

use super::{files, from_top, name_of, none, read, workspace};

/// Each package's manifest, as its path and its content.
fn manifests() -> Vec<(String, toml::Table)> {
    workspace()
        .packages
        .iter()
        .map(|package| {
            let path = from_top(package.manifest_path.as_std_path());
            let manifest = read(&path).parse().expect("a manifest is TOML");
            (path, manifest)
        })
        .collect()
}

fn inherits(value: Option<&toml::Value>) -> bool {
    value
        .and_then(|value| value.get("workspace"))
        .and_then(toml::Value::as_bool)
        == Some(true)
}

#[test]
fn every_crate_takes_the_lints() {
    let findings: Vec<String> = manifests()
        .into_iter()
        .filter(|(_, manifest)| !inherits(manifest.get("lints")))
        .map(|(path, _)| path)
        .collect();
    none(&findings, "without `[lints] workspace = true`:");
}

/// A crate's `clippy.toml` takes the place of the root's, whole: it must say the same and may add.
#[test]
fn a_crates_clippy_file_repeats_the_roots() {
    let common: toml::Table = read("clippy.toml").parse().expect("clippy.toml is TOML");
    let mut findings = Vec::new();
    for path in files(&["toml"]) {
        if !path.ends_with("/clippy.toml") {
            continue;
        }
        let own: toml::Table = read(&path).parse().expect("clippy.toml is TOML");
        for (key, value) in &common {
            if own.get(key) != Some(value) {
                findings.push(format!("{path}: {key} = {value}"));
            }
        }
    }
    none(&findings, "missing or different:");
}

#[test]
fn every_crate_takes_its_metadata() {
    let mut findings = Vec::new();
    for (path, manifest) in manifests() {
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if !inherits(manifest["package"].get(key)) {
                findings.push(format!("{path}: {key}"));
            }
        }
        if manifest["package"].get("description").is_none() {
            findings.push(format!("{path}: description"));
        }
    }
    none(&findings, "not taken from the workspace:");
}

#[test]
fn no_crate_declares_a_version_of_its_own() {
    let mut findings = Vec::new();
    for (path, manifest) in manifests() {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let dependencies = manifest.get(section).and_then(toml::Value::as_table);
            for (name, value) in dependencies.into_iter().flatten() {
                if !inherits(Some(value)) {
                    findings.push(format!("{path}: {section}.{name}"));
                }
            }
        }
    }
    none(&findings, "dependencies that bypass the workspace's table:");
}

/// A dependency that no source file of the crate names is a leftover.
#[test]
fn every_dependency_is_named_in_the_code() {
    let sources = files(&["rs"]);
    let mut findings = Vec::new();
    for package in &workspace().packages {
        let folder = from_top(
            package
                .manifest_path
                .parent()
                .expect("a manifest lies in a folder")
                .as_std_path(),
        );
        let code: Vec<String> = sources
            .iter()
            .filter(|path| path.starts_with(&format!("{folder}/")))
            .map(|path| read(path))
            .collect();
        for dependency in &package.dependencies {
            // A package's library may have another name.
            let name = match dependency.name.as_str() {
                "md-5" => "md5".to_owned(),
                name => name.replace('-', "_"),
            };
            let paths = [
                format!("{name}::"),
                format!("use {name}"),
                format!("as {name}"),
            ];
            let named = code
                .iter()
                .any(|text| paths.iter().any(|path| text.contains(path.as_str())));
            if !named {
                findings.push(format!("{}: {}", package.name, dependency.name));
            }
        }
    }
    findings.sort();
    findings.dedup();
    none(&findings, "declared, but not named in the code:");
}

#[test]
fn a_library_is_declared_without_its_default_features() {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let findings: Vec<String> = manifest["workspace"]["dependencies"]
        .as_table()
        .expect("the workspace's dependencies")
        .iter()
        .filter(|(_, value)| value.get("path").is_none())
        .filter(|(_, value)| {
            value.get("default-features").and_then(toml::Value::as_bool) != Some(false)
        })
        .map(|(name, _)| name.clone())
        .collect();
    none(&findings, "without `default-features = false`:");
}

#[test]
fn a_folder_is_named_as_its_crate() {
    for package in &workspace().packages {
        let folder = package
            .manifest_path
            .parent()
            .expect("a manifest lies in a folder");
        let path = from_top(folder.as_std_path());
        if path.starts_with("crates/") || path.starts_with("bins/") {
            assert_eq!(
                name_of(folder.as_std_path()),
                package.name.as_str(),
                "{path}"
            );
        }
    }
}

#[test]
fn every_package_comes_from_the_registry() {
    let lock: toml::Table = read("Cargo.lock").parse().expect("Cargo.lock is TOML");
    let packages = lock["package"].as_array().expect("packages");
    let findings: Vec<String> = packages
        .iter()
        .filter_map(|package| {
            let source = package.get("source")?.as_str()?;
            let usual = source.starts_with("registry+") && source.ends_with("/crates.io-index");
            (!usual).then(|| format!("{} from {source}", package["name"]))
        })
        .collect();
    none(&findings, "packages from elsewhere:");
}
