//! Tables of behaviour against the tests that prove them.
//!
//! A table in `docs/reference` has a row for each behaviour; its last column names the tests. A
//! name that the test runner did not print as passed is a finding, so a table cannot claim what no
//! test shows. Names are written as `binary::path`, where `binary` is the test binary's name
//! without its hash: `postroom_core` for a library's unit tests, `it` for `tests/it`.

use std::collections::{BTreeMap, BTreeSet};

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The line of the document, from 1.
    pub line: usize,
    /// The first column, unique in the table.
    pub id: String,
    /// The columns between the first and the last.
    pub columns: Vec<String>,
    /// What the last column says.
    pub proof: Proof,
}

/// What stands behind a behaviour.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// Tests that prove it, by name.
    Tests(Vec<String>),
    /// Done otherwise on purpose, with the reason; tests that show it may be named.
    Different {
        /// Why.
        reason: String,
        /// The tests.
        tests: Vec<String>,
    },
    /// Not built yet, and where it belongs.
    NotYet(String),
}

impl Proof {
    /// The tests that it names.
    #[must_use]
    pub fn tests(&self) -> &[String] {
        match self {
            Self::Tests(tests) | Self::Different { tests, .. } => tests,
            Self::NotYet(_) => &[],
        }
    }
}

/// The rows of every table in a document whose first column is headed `id`.
///
/// # Errors
/// Each row that cannot be read, with its line: an id that stands twice, no proof, another number
/// of columns than the heading.
///
/// # Examples
/// ```
/// let document = "| id | behaviour | test |\n|---|---|---|\n| A1 | adds | `calc::adds` |\n";
/// let rows = postroom_tests::coverage::rows(document).unwrap();
/// assert_eq!(rows[0].proof.tests(), ["calc::adds"]);
/// ```
pub fn rows(document: &str) -> Result<Vec<Row>, Vec<String>> {
    let mut rows = Vec::new();
    let mut errors = Vec::new();
    let mut ids = BTreeSet::new();
    let mut width = None;
    for (index, line) in document.lines().enumerate() {
        let line_number = index + 1;
        let Some(cells) = cells(line) else {
            width = None;
            continue;
        };
        let Some((id, rest)) = cells.split_first() else {
            continue;
        };
        if id == "id" {
            width = Some(cells.len());
            continue;
        }
        let Some(expected) = width else { continue };
        if cells
            .iter()
            .all(|cell| cell.chars().all(|c| c == '-' || c == ':'))
        {
            continue;
        }
        if cells.len() != expected {
            errors.push(format!(
                "line {line_number}: {} columns, the heading has {expected}",
                cells.len()
            ));
            continue;
        }
        if !ids.insert(id.clone()) {
            errors.push(format!("line {line_number}: the id {id} stands twice"));
        }
        let Some((proof, columns)) = rest.split_last() else {
            continue;
        };
        match self::proof(proof) {
            Ok(proof) => rows.push(Row {
                line: line_number,
                id: id.clone(),
                columns: columns.to_vec(),
                proof,
            }),
            Err(error) => errors.push(format!("line {line_number}: {id}: {error}")),
        }
    }
    if errors.is_empty() {
        Ok(rows)
    } else {
        Err(errors)
    }
}

/// The cells of a table's line; `None` where it is not one. `\|` is a bar inside a cell.
fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let mut cells = vec![String::new()];
    let mut characters = inner.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('\\', Some('|')) => {
                characters.next();
                cells.last_mut()?.push('|');
            }
            ('|', _) => cells.push(String::new()),
            (other, _) => cells.last_mut()?.push(other),
        }
    }
    Some(cells.iter().map(|cell| cell.trim().to_owned()).collect())
}

fn proof(cell: &str) -> Result<Proof, String> {
    if let Some(place) = cell.strip_prefix("not yet:") {
        let place = place.trim();
        let named = place
            .strip_prefix("issue ")
            .and_then(|rest| rest.split_once(", "))
            .is_some_and(|(number, part)| number.parse::<u32>().is_ok() && !part.is_empty());
        return if named {
            Ok(Proof::NotYet(place.to_owned()))
        } else {
            Err("`not yet:` needs the issue and the part that it waits for".to_owned())
        };
    }
    let tests: Vec<String> = cell
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    if let Some(test) = tests.iter().find(|test| !test.contains("::")) {
        return Err(format!("`{test}` is no name of a test (binary::path)"));
    }
    if let Some(reason) = cell.strip_prefix("different:") {
        let reason = reason.split('`').next().unwrap_or_default().trim();
        return if reason.is_empty() {
            Err("`different:` needs its reason".to_owned())
        } else {
            Ok(Proof::Different {
                reason: reason.to_owned(),
                tests,
            })
        };
    }
    if tests.is_empty() {
        return Err("names no test, and says neither `different:` nor `not yet:`".to_owned());
    }
    Ok(Proof::Tests(tests))
}

/// What became of each test in the output of `cargo test`, by its full name.
///
/// Names that several binaries share pass only where all of them passed.
#[must_use]
pub fn outcomes(output: &str) -> BTreeMap<String, bool> {
    let mut outcomes = BTreeMap::new();
    let mut binary = String::new();
    for line in output.lines() {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("Running ") {
            binary = running(rest).unwrap_or_default();
        } else if line.starts_with("Doc-tests ") {
            binary.clear();
        } else if let Some((name, outcome)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.rsplit_once(" ... "))
            .filter(|_| !binary.is_empty())
        {
            let name = name.trim_end_matches(" - should panic");
            let passed = outcomes.entry(format!("{binary}::{name}")).or_insert(true);
            *passed = *passed && outcome == "ok";
        }
    }
    outcomes
}

/// The name of the binary in `unittests src/lib.rs (target/debug/deps/postroom_core-0123abcd)`.
fn running(line: &str) -> Option<String> {
    let path = line.rsplit_once('(')?.1.strip_suffix(')')?;
    let file = path.rsplit(['/', '\\']).next()?;
    let file = file.strip_suffix(".exe").unwrap_or(file);
    Some(file.rsplit_once('-')?.0.to_owned())
}

/// The rows whose tests did not run, or failed: one line for each.
#[must_use]
pub fn findings(rows: &[Row], outcomes: &BTreeMap<String, bool>) -> Vec<String> {
    rows.iter()
        .flat_map(|row| row.proof.tests().iter().map(move |test| (row, test)))
        .filter_map(|(row, test)| match outcomes.get(test) {
            Some(true) => None,
            Some(false) => Some(format!("line {}: {}: {test} failed", row.line, row.id)),
            None => Some(format!("line {}: {}: {test} did not run", row.line, row.id)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
   Compiling postroom-core v0.1.0
     Running unittests src/lib.rs (target/debug/deps/postroom_core-0a1b2c3d4e5f6071)

running 3 tests
test approval::tests::cell ... ok
test approval::tests::refused ... FAILED
test approval::tests::panics - should panic ... ok

     Running tests/it/main.rs (target/debug/deps/it-ffff)
test cli::walks ... ok
     Running tests/other/main.rs (target/debug/deps/it-eeee)
test cli::walks ... FAILED
   Doc-tests postroom_core
test crates/postroom-core/src/lib.rs - (line 3) ... ok
";

    fn table(proof: &str) -> String {
        format!("Text.\n\n| id | behaviour | test |\n|---|---|---|\n| S1 | x | {proof} |\n\nEnd.")
    }

    #[test]
    fn outcomes_are_named_after_their_binary() {
        let outcomes = outcomes(OUTPUT);
        assert_eq!(
            outcomes
                .iter()
                .map(|(name, ok)| (name.as_str(), *ok))
                .collect::<Vec<_>>(),
            [
                ("it::cli::walks", false),
                ("postroom_core::approval::tests::cell", true),
                ("postroom_core::approval::tests::panics", true),
                ("postroom_core::approval::tests::refused", false),
            ]
        );
    }

    #[test]
    fn a_test_that_did_not_run_or_failed_is_a_finding() {
        let document = table(
            "`postroom_core::approval::tests::cell` `postroom_core::approval::tests::refused`, `postroom_core::gone`",
        );
        let rows = rows(&document).expect("a table");
        assert_eq!(
            findings(&rows, &outcomes(OUTPUT)),
            [
                "line 5: S1: postroom_core::approval::tests::refused failed",
                "line 5: S1: postroom_core::gone did not run",
            ]
        );
    }

    #[test]
    fn what_is_different_or_not_yet_there_says_why() {
        for (cell, proof) in [
            (
                "different: safer `a::b`",
                Proof::Different {
                    reason: "safer".to_owned(),
                    tests: vec!["a::b".to_owned()],
                },
            ),
            (
                "not yet: issue 7, items",
                Proof::NotYet("issue 7, items".to_owned()),
            ),
        ] {
            let rows = rows(&table(cell)).expect("a table");
            assert_eq!(rows.first().map(|row| &row.proof), Some(&proof));
        }
    }

    #[test]
    fn rows_that_prove_nothing_are_errors() {
        for cell in [
            "",
            "see there",
            "`bare`",
            "different:",
            "not yet: ",
            "not yet: items",
            "not yet: issue 7",
            "not yet: issue x, items",
        ] {
            assert!(rows(&table(cell)).is_err(), "{cell:?}");
        }
    }

    #[test]
    fn an_id_twice_and_a_missing_column_are_errors() {
        let twice = format!(
            "{}| S1 | y | `a::b` |\n",
            "| id | b | test |\n|---|---|---|\n| S1 | x | `a::b` |\n"
        );
        assert!(rows(&twice).is_err());
        assert!(rows("| id | b | test |\n|---|---|---|\n| S1 | `a::b` |\n").is_err());
    }
}
