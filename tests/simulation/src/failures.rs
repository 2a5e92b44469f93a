//! What becomes of a scenario in which something was found: made small, kept as a file, told.

use std::path::{Path, PathBuf};

use crate::action::{Scenario, print};
use crate::shrink::{Shrunk, shrink};

/// What it is called when a scenario from a file is run.
const RUN: &str = "cargo run --profile sim -p postroom-sim --";

/// Makes a failing scenario small, telling how far it has come, and writes it to
/// `FOLDER/NAME.json`. `None` where nothing is found in it.
///
/// # Errors
/// Where the file cannot be written.
pub fn keep(
    scenario: &Scenario,
    name: &str,
    folder: &Path,
    runs_max: u32,
) -> std::io::Result<Option<(PathBuf, Shrunk)>> {
    let mut told = 0;
    let shrunk = shrink(scenario, runs_max, |progress| {
        if progress.runs >= told + 25 {
            told = progress.runs;
            eprintln!(
                "  shrinking: {} runs, {} steps and {} faults left",
                progress.runs, progress.steps, progress.faults
            );
        }
    });
    let Some(shrunk) = shrunk else {
        return Ok(None);
    };
    std::fs::create_dir_all(folder)?;
    let file = folder.join(format!("{name}.json"));
    std::fs::write(&file, print(&shrunk.scenario))?;
    Ok(Some((file, shrunk)))
}

/// What a person wants to know about it.
#[must_use]
pub fn text(before: &Scenario, file: &Path, shrunk: &Shrunk) -> String {
    use std::fmt::Write as _;

    let Shrunk {
        scenario,
        violations,
        runs,
    } = shrunk;
    let mut text = format!(
        "  shrunk from {} steps and {} faults to {} and {}, in {runs} runs:\n",
        before.steps.len(),
        before.faults.len(),
        scenario.steps.len(),
        scenario.faults.len(),
    );
    for violation in violations {
        let _ = writeln!(text, "    {violation}");
    }
    let _ = writeln!(text, "  again: {RUN} --scenario {} --trace", file.display());
    text
}
