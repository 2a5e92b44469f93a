//! What would have to change.

use std::fmt;

use postroom_core::{MailboxId, PartyId, ProfileId, support};
use serde::Serialize;
use serde_json::Value;

use super::read::Slot;
use super::{Fields, Noun};

/// Longest value that is shown, in characters.
const SHOWN_MAX: usize = 60;

/// What happens to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "whoever shows changes matches all")]
pub enum Action {
    /// It is made.
    Create,
    /// Fields of it change.
    Update,
    /// It is no longer named, and nothing uses it: it is deleted.
    Delete,
    /// It is no longer named: its traffic stops.
    Deactivate,
}

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
#[non_exhaustive]
pub enum Target {
    /// Something that is not there yet.
    New,
    /// The organization.
    Organization,
    /// A profile.
    Profile(ProfileId),
    /// A mailbox, and the user or queue that it belongs to.
    Mailbox(MailboxId),
    /// A party.
    Party(PartyId),
}

/// A field that gets another value.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FieldChange {
    /// The field, by path.
    pub field: String,
    /// Its value before; `None` where there was nothing to compare with.
    pub from: Option<Value>,
    /// Its value then.
    pub to: Value,
}

impl FieldChange {
    pub(super) fn new(field: &str, from: Option<Value>, to: Value) -> Self {
        Self {
            field: field.to_owned(),
            from,
            to,
        }
    }
}

impl fmt::Display for FieldChange {
    /// `incoming: none -> server_side`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.field)?;
        if let Some(from) = &self.from {
            write!(f, "{} -> ", shown(from))?;
        }
        f.write_str(&shown(&self.to))
    }
}

/// A value in a line.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => return "nothing".to_owned(),
        Value::String(text) if text.is_empty() => return "nothing".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(shown).collect();
            format!("[{}]", values.join(", "))
        }
        other => other.to_string(),
    };
    let one_line = text.lines().next().unwrap_or_default();
    if one_line.len() == text.len() && text.chars().count() <= SHOWN_MAX {
        return text;
    }
    let short: String = one_line.chars().take(SHOWN_MAX).collect();
    format!("{short}\u{2026} ({} characters)", text.chars().count())
}

/// One change: of the organization, or of one entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// What happens.
    pub action: Action,
    /// To what kind of thing.
    pub noun: Noun,
    /// To which, as the declaration calls it: `profile "London"`, `user ada@example.org`.
    pub subject: String,
    /// To which, by id.
    pub target: Target,
    /// Its position in the declaration, where it has one.
    pub index: Option<usize>,
    /// What is set.
    pub fields: Vec<FieldChange>,
    /// Passwords that are set.
    pub passwords: Vec<Slot>,
    /// What is lost by it, where something is.
    pub destroys: Option<String>,
    /// What the support check says about a profile as it will be; nothing of it is refused.
    pub support: Vec<support::Finding>,
}

impl Change {
    /// The values that are set.
    #[must_use]
    pub fn values(&self) -> Fields {
        self.fields
            .iter()
            .map(|change| (change.field.clone(), change.to.clone()))
            .collect()
    }

    /// The value that a field gets.
    #[must_use]
    pub fn value(&self, field: &str) -> Option<&Value> {
        self.fields
            .iter()
            .find(|change| change.field == field)
            .map(|change| &change.to)
    }
}

impl fmt::Display for Change {
    /// `+ profile "London"`; the fields have lines of their own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.action {
            Action::Create => write!(f, "+ {}", self.subject),
            Action::Update => write!(f, "~ {}", self.subject),
            Action::Delete => write!(f, "- {}: deleted", self.subject),
            Action::Deactivate => write!(f, "- {}: deactivated", self.subject),
        }
    }
}
