//! What the error of every boundary carries: the condition, the operation, facts, the cause.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use crate::catalogue::Code;

/// Longest value of a fact that is kept, in characters.
pub const FACT_CHARS_MAX: usize = 500;

/// What the error of every boundary carries; the boundary adds its own kind.
///
/// `Display` is one line: the operation, the code and the facts. Whoever adds a fact sees to it that
/// it is no secret, subject, body or person's address.
///
/// ```
/// use postroom_core::Code;
/// use postroom_core::failure::Failure;
/// let mut failure = Failure::new(Code::ProtocolViolation, "mail.changes");
/// failure.add("server_said", "no\r\nway");
/// assert_eq!(failure.to_string(), "mail.changes failed: protocol-violation, server_said: no  way");
/// ```
#[derive(Debug)]
pub struct Failure {
    code: Code,
    operation: &'static str,
    facts: BTreeMap<&'static str, String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure of `operation`, such as `mail.changes`.
    #[must_use]
    pub const fn new(code: Code, operation: &'static str) -> Self {
        Self {
            code,
            operation,
            facts: BTreeMap::new(),
            source: None,
        }
    }

    /// Adds a fact; the value is cut at [`FACT_CHARS_MAX`] and control characters are replaced.
    pub fn add(&mut self, name: &'static str, value: impl fmt::Display) {
        let value = value
            .to_string()
            .chars()
            .take(FACT_CHARS_MAX)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        self.facts.insert(name, value);
    }

    /// Sets the cause.
    pub fn caused_by(&mut self, source: impl Into<Box<dyn Error + Send + Sync>>) {
        self.source = Some(source.into());
    }

    /// The condition in the catalogue.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The operation that failed.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// The facts, by name.
    #[must_use]
    pub const fn facts(&self) -> &BTreeMap<&'static str, String> {
        &self.facts
    }

    /// The cause.
    #[must_use]
    pub fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.operation, self.code)?;
        for (name, value) in &self.facts {
            write!(f, ", {name}: {value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_bounded_line() {
        let mut failure = Failure::new(Code::ServerFault, "mail.fetch");
        failure.add("server_said", "x\ny".repeat(10_000));
        let text = failure.to_string();
        assert!(text.chars().count() < 600 && !text.contains('\n'), "{text}");
    }
}
