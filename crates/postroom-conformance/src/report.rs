//! What came of a whole suite.

use std::fmt;

use crate::check::Outcome;

/// One check and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Group and name: `changes::pages_keep_to_the_limit`.
    pub name: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// All checks of a suite, in its order.
///
/// `Display` is for people: failures and skips with their reasons, then the counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The checks.
    pub checks: Vec<CheckReport>,
}

impl Report {
    /// An empty report.
    #[must_use]
    pub const fn new() -> Self {
        Self { checks: Vec::new() }
    }

    /// Adds a check.
    pub fn push(&mut self, name: impl Into<String>, outcome: Outcome) {
        self.checks.push(CheckReport {
            name: name.into(),
            outcome,
        });
    }

    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &CheckReport> {
        let checks = self.checks.iter();
        checks.filter(|check| matches!(check.outcome, Outcome::Failed(_)))
    }

    /// The checks that were skipped.
    pub fn skips(&self) -> impl Iterator<Item = &CheckReport> {
        let checks = self.checks.iter();
        checks.filter(|check| matches!(check.outcome, Outcome::Skipped(_)))
    }

    /// Whether something passed and nothing failed.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failures().next().is_none()
            && self
                .checks
                .iter()
                .any(|check| check.outcome == Outcome::Passed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            match &check.outcome {
                Outcome::Passed => writeln!(f, "passed   {}", check.name)?,
                Outcome::Failed(seen) => writeln!(f, "FAILED   {}: {seen}", check.name)?,
                Outcome::Skipped(reason) => writeln!(f, "skipped  {}: {reason}", check.name)?,
            }
        }
        let (failed, skipped) = (self.failures().count(), self.skips().count());
        let passed = self.checks.len().saturating_sub(failed + skipped);
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passed_is_no_success() {
        let mut report = Report::new();
        assert!(!report.is_success());
        report.push("a", Outcome::Skipped("no".to_owned()));
        assert!(!report.is_success(), "skips alone prove nothing");
        report.push("b", Outcome::Passed);
        assert!(report.is_success());
        report.push("c", Outcome::Failed("bad".to_owned()));
        assert!(!report.is_success());
        let text = report.to_string();
        assert!(text.contains("FAILED   c: bad") && text.contains("skipped  a: no"));
        assert!(text.ends_with("1 passed, 1 failed, 1 skipped"), "{text}");
    }
}
