//! Checks tables of behaviour against the output of `cargo test`.
//!
//! ```text
//! cargo test --workspace 2>&1 | tee test.log
//! cargo run -p postroom-tests --example coverage -- test.log docs/reference/seed-coverage.md
//! ```
//!
//! Exits with 1 where a row names a test that did not run or failed.

#![expect(
    clippy::print_stdout,
    reason = "it is a command: what it finds is its output"
)]

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use postroom_tests::coverage::{Proof, findings, outcomes, rows};

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let log = arguments
        .next()
        .context("usage: coverage TEST-LOG TABLE.md [TABLE.md ...]")?;
    let output = std::fs::read(&log).with_context(|| format!("cannot read {log}"))?;
    let outcomes = outcomes(&String::from_utf8_lossy(&output));
    ensure!(
        !outcomes.is_empty(),
        "{log} holds no test's outcome; is it the output of `cargo test`, with standard error?"
    );
    let mut failed = false;
    for path in arguments {
        let document =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let rows = match rows(&document) {
            Ok(rows) => rows,
            Err(errors) => {
                failed = true;
                for error in errors {
                    println!("{path}: {error}");
                }
                continue;
            }
        };
        let findings = findings(&rows, &outcomes);
        for finding in &findings {
            println!("{path}: {finding}");
        }
        failed |= !findings.is_empty();
        let count =
            |wanted: fn(&Proof) -> bool| rows.iter().filter(|row| wanted(&row.proof)).count();
        println!(
            "{path}: {} rows: {} proven by tests, {} deliberately different, {} not yet",
            rows.len(),
            count(|proof| matches!(proof, Proof::Tests(_))),
            count(|proof| matches!(proof, Proof::Different { .. })),
            count(|proof| matches!(proof, Proof::NotYet(_))),
        );
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
