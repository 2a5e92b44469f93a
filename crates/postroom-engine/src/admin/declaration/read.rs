//! Reading a document: its shape, and where passwords come from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use postroom_core::Secret;
use serde::Serialize;
use serde_json::Value;

use super::fields::{Fields, Problem, flatten};
use super::nearest::nearest;
use super::{Declaration, Noun};

/// Something that is wrong with a declaration, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Where it is in the document: keys, and positions in lists from 0.
    pub path: Vec<String>,
    /// What it is about, such as `profile "London"`.
    pub subject: String,
    /// The field, where it is about one.
    pub field: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What may have been meant.
    pub hint: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.message)
    }
}

impl std::error::Error for Finding {}

impl Finding {
    /// A finding about the document as a whole or a table of it.
    #[must_use]
    pub fn new(path: Vec<String>, message: impl Into<String>) -> Self {
        Self {
            subject: path.first().cloned().unwrap_or_default(),
            path,
            field: None,
            message: message.into(),
            hint: None,
        }
    }

    /// A finding about one field of an entry; the message says what the field must be.
    #[must_use]
    pub fn about(
        noun: Noun,
        index: usize,
        fields: &Fields,
        field: Option<&str>,
        message: impl Into<String>,
    ) -> Self {
        let mut path = vec![noun.key().to_owned()];
        if noun != Noun::Organization {
            path.push(index.to_string());
        }
        path.extend(
            field
                .iter()
                .flat_map(|field| field.split('.'))
                .map(str::to_owned),
        );
        Self {
            path,
            subject: subject(noun, index, fields),
            field: field.map(str::to_owned),
            message: message.into(),
            hint: None,
        }
    }

    /// Says what may have been meant.
    #[must_use]
    pub fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    pub(super) fn problem(noun: Noun, index: usize, fields: &Fields, problem: Problem) -> Self {
        let Problem {
            field,
            message,
            hint,
        } = problem;
        let message = if message.starts_with("there is no") {
            message
        } else {
            format!("{field} {message}")
        };
        Self::about(noun, index, fields, Some(&field), message).with_hint(hint)
    }
}

/// What an entry is called in findings and changes.
pub(super) fn subject(noun: Noun, index: usize, fields: &Fields) -> String {
    let text = |field: &str| {
        fields
            .get(field)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    match (noun, text("address"), text("name")) {
        (Noun::Organization, _, _) => noun.word().to_owned(),
        (Noun::User | Noun::Queue | Noun::ForwardMailbox, Some(address), _) => {
            format!("{} {address}", noun.word())
        }
        (Noun::Party, _, Some(name)) => format!("{} {name:?}", text("kind").unwrap_or("party")),
        (_, _, Some(name)) => format!("{} {name:?}", noun.word()),
        _ => format!("{} number {}", noun.word(), index + 1),
    }
}

/// Which password it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "there are these three")]
pub enum Slot {
    /// A profile's, for incoming connections (and outgoing ones, where the settings are the same).
    Incoming,
    /// A profile's, for outgoing connections.
    Outgoing,
    /// A mailbox's own.
    Mailbox,
}

impl Slot {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Incoming => "incoming.",
            Self::Outgoing => "outgoing.",
            Self::Mailbox => "",
        }
    }

    /// The field that it is shown as.
    #[must_use]
    pub fn field(self) -> String {
        format!("{}password", self.prefix())
    }

    const fn of(noun: Noun) -> &'static [Self] {
        match noun {
            Noun::Organization | Noun::Party => &[],
            Noun::Profile => &[Self::Incoming, Self::Outgoing],
            Noun::User | Noun::Queue | Noun::ForwardMailbox => &[Self::Mailbox],
        }
    }
}

/// Where a password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever reads secrets matches both"
)]
pub enum PasswordSource {
    /// The first line of a file (`password_file`).
    File(PathBuf),
    /// An environment variable (`password_env`).
    Environment(String),
}

impl fmt::Display for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "from the file {}", path.display()),
            Self::Environment(name) => write!(f, "from the environment variable {name}"),
        }
    }
}

/// Which password of which entry.
pub type PasswordKey = (Noun, usize, Slot);

/// The passwords that a declaration asks for, as far as they were read.
pub type Secrets = BTreeMap<PasswordKey, Secret>;

/// A password that a declaration asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PasswordUse {
    /// Which.
    pub key: PasswordKey,
    /// The field that says where it comes from.
    pub field: String,
    /// Where it comes from.
    pub source: PasswordSource,
}

const FILE: &str = "password_file";
const ENVIRONMENT: &str = "password_env";

/// Takes the fields that say where passwords come from out of an entry.
pub(super) fn without_passwords(noun: Noun, fields: &Fields) -> Fields {
    let mut rest = fields.clone();
    for slot in Slot::of(noun) {
        for name in [FILE, ENVIRONMENT] {
            rest.remove(&format!("{}{name}", slot.prefix()));
        }
    }
    rest
}

impl Declaration {
    /// Reads a document. What cannot be read is left out and told.
    ///
    /// This looks at the shape only; whether the values can be used is for
    /// [`plan`](super::plan) to say.
    #[must_use]
    pub fn read(document: &Value) -> (Self, Vec<Finding>) {
        let mut declaration = Self::default();
        let mut findings = Vec::new();
        let Value::Object(tables) = document else {
            return (
                declaration,
                vec![Finding::new(Vec::new(), "a declaration is a table")],
            );
        };
        for (key, value) in tables {
            let noun = Noun::ALL.into_iter().find(|noun| noun.key() == key);
            match (noun, value) {
                (None, _) => {
                    let known = Noun::ALL.map(Noun::key);
                    let hint = nearest(key, known).map(|name| format!("Did you mean {name}?"));
                    let message = format!("there is no table {key}");
                    findings.push(Finding::new(vec![key.clone()], message).with_hint(hint));
                }
                (Some(Noun::Organization), Value::Object(_)) => {
                    declaration.organization = flatten(value);
                }
                (Some(Noun::Organization), _) => findings.push(Finding::new(
                    vec![key.clone()],
                    "organization must be a table: [organization]",
                )),
                (Some(noun), Value::Array(entries)) => {
                    for (index, entry) in entries.iter().enumerate() {
                        if !entry.is_object() {
                            let path = vec![key.clone(), index.to_string()];
                            findings.push(Finding::new(path, format!("{key} must be a table")));
                        }
                        // Kept all the same, so that positions stay what they are.
                        let fields = entry.as_object().map(|_| flatten(entry));
                        if let Some(list) = declaration.entries_mut(noun) {
                            list.push(fields.unwrap_or_default());
                        }
                    }
                }
                (Some(_), _) => findings.push(Finding::new(
                    vec![key.clone()],
                    format!("{key} must be a list of tables: [[{key}]]"),
                )),
            }
        }
        (declaration, findings)
    }

    /// The passwords that it asks for.
    #[must_use]
    pub fn passwords(&self) -> Vec<PasswordUse> {
        let mut uses = Vec::new();
        for noun in Noun::ALL {
            for (index, fields) in self.entries(noun).iter().enumerate() {
                for slot in Slot::of(noun) {
                    for name in [FILE, ENVIRONMENT] {
                        let field = format!("{}{name}", slot.prefix());
                        let Some(text) = fields.get(&field).and_then(Value::as_str) else {
                            continue;
                        };
                        let source = if name == FILE {
                            PasswordSource::File(PathBuf::from(text))
                        } else {
                            PasswordSource::Environment(text.to_owned())
                        };
                        uses.push(PasswordUse {
                            key: (noun, index, *slot),
                            field,
                            source,
                        });
                    }
                }
            }
        }
        uses
    }
}
