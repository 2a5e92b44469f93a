//! Domain values as fields, flat and by path, the way people write them; and back.
//!
//! What there is follows from the domain types themselves: a field that is added to one of them is
//! exported, compared and applied without a line here. Only what serde's form of a value would make
//! unreadable is translated: lengths of time become seconds (`polling_interval_min_seconds`), points
//! in time RFC 3339, ids the names of what they refer to.

use std::collections::BTreeMap;

use postroom_core::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::nearest::nearest;

/// Values by path, such as `incoming.location`; lists are values. An empty text takes away what may
/// be absent.
pub type Fields = BTreeMap<String, Value>;

/// The ending of fields that are lengths of time.
const SECONDS: &str = "_seconds";

/// So many names are told where none is near.
const NAMES_MAX: usize = 8;

/// What a field refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reference {
    Profile,
    Party,
}

impl Reference {
    const fn word(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Party => "user or party",
        }
    }
}

/// What is special about the fields of a type.
#[derive(Debug)]
pub(super) struct Shape {
    /// Identity and state: not for anybody to declare.
    pub(super) left_out: &'static [&'static str],
    /// Points in time.
    pub(super) times: &'static [&'static str],
    /// Ids of something else.
    pub(super) references: &'static [(&'static str, Reference)],
}

impl Shape {
    pub(super) fn reference(&self, field: &str) -> Option<Reference> {
        self.references
            .iter()
            .find(|(name, _)| *name == field)
            .map(|(_, reference)| *reference)
    }

    fn leaves_out(&self, field: &str) -> bool {
        self.left_out.iter().any(|name| {
            field
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

/// The names of what has an id, and the ids of what has a name.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    by_id: BTreeMap<(Reference, String), String>,
    by_name: BTreeMap<(Reference, String), String>,
}

impl Names {
    /// Makes something known: by `name` in what is shown, and by each of `aliases`, too, in what is
    /// read. Who came first keeps a name.
    pub(super) fn add<'a>(
        &mut self,
        reference: Reference,
        id: impl ToString,
        name: &'a str,
        aliases: impl IntoIterator<Item = &'a str>,
    ) {
        let id = id.to_string();
        for alias in [name].into_iter().chain(aliases) {
            self.by_name
                .entry((reference, alias.trim().to_lowercase()))
                .or_insert_with(|| id.clone());
        }
        self.by_id
            .entry((reference, id))
            .or_insert_with(|| name.to_owned());
    }

    pub(super) fn id_of(&self, reference: Reference, name: &str) -> Option<&str> {
        self.by_name
            .get(&(reference, name.trim().to_lowercase()))
            .map(String::as_str)
    }

    pub(super) fn name(&self, reference: Reference, id: &str) -> Option<&str> {
        self.by_id
            .get(&(reference, id.to_owned()))
            .map(String::as_str)
    }

    fn missing(&self, reference: Reference, name: &str) -> (String, Option<String>) {
        let names = self
            .by_id
            .iter()
            .filter(|((known, _), _)| *known == reference)
            .map(|(_, name)| name.as_str());
        let few: Vec<&str> = names.clone().take(NAMES_MAX + 1).collect();
        let hint = match nearest(name, names) {
            Some(name) => Some(format!("Did you mean {name:?}?")),
            None if few.is_empty() || few.len() > NAMES_MAX => None,
            None => Some(format!("There are: {}.", few.join(", "))),
        };
        (format!("there is no {} {name:?}", reference.word()), hint)
    }
}

/// A field that cannot be as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) field: String,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Problem {
    pub(super) fn new(field: &str, message: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            message: message.into(),
            hint: None,
        }
    }

    /// There is no such field.
    pub(super) fn unknown<'a>(
        field: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Self {
        let meant = nearest(field, known.clone()).or_else(|| {
            let last = |path: &str| path.rsplit('.').next().map(str::to_owned);
            known.into_iter().find(|name| {
                last(name) == last(field) || name.strip_prefix(field).is_some_and(|r| r == SECONDS)
            })
        });
        Self {
            hint: meant.map(|name| format!("Did you mean {name}?")),
            ..Self::new(field, format!("there is no field {field}"))
        }
    }
}

/// The values of a nested document, by path.
pub(super) fn flatten(document: &Value) -> Fields {
    fn walk(prefix: &str, value: &Value, into: &mut Fields) {
        let Value::Object(fields) = value else {
            into.insert(prefix.to_owned(), value.clone());
            return;
        };
        if let Some(seconds) = seconds_of(value) {
            into.insert(format!("{prefix}{SECONDS}"), seconds);
            return;
        }
        for (name, field) in fields {
            let path = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            walk(&path, field, into);
        }
    }
    let mut fields = Fields::new();
    walk("", document, &mut fields);
    fields
}

/// The nested document of values by path.
pub(super) fn nest(fields: &Fields) -> Value {
    let mut document = json!({});
    for (path, value) in fields {
        place(&mut document, path, value.clone());
    }
    document
}

fn place(document: &mut Value, path: &str, value: Value) {
    let mut place = document;
    for name in path.split('.') {
        if !place.is_object() {
            *place = json!({});
        }
        let Value::Object(fields) = place else { return };
        place = fields.entry(name).or_insert(Value::Null);
    }
    *place = value;
}

/// A length of time as serde writes it, in seconds.
fn seconds_of(value: &Value) -> Option<Value> {
    let fields = value.as_object().filter(|fields| fields.len() == 2)?;
    let seconds = fields.get("secs")?.as_u64()?;
    let nanos = fields.get("nanos")?.as_u64()?;
    if nanos == 0 {
        return Some(json!(seconds));
    }
    let whole = std::time::Duration::new(seconds, u32::try_from(nanos).ok()?);
    Some(json!(whole.as_secs_f64()))
}

fn length_of(value: &Value) -> Option<Value> {
    if let Some(seconds) = value.as_u64() {
        return Some(json!({ "secs": seconds, "nanos": 0 }));
    }
    let length = std::time::Duration::try_from_secs_f64(value.as_f64()?).ok()?;
    Some(json!({ "secs": length.as_secs(), "nanos": length.subsec_nanos() }))
}

/// A value's fields. What is absent is `null`.
pub(super) fn encode(value: &impl Serialize, shape: &Shape, names: &Names) -> Fields {
    // The domain's types have text keys and finite numbers only: they can always be written.
    let document = serde_json::to_value(value).unwrap_or_default();
    let mut fields = flatten(&document);
    fields.retain(|field, _| !shape.leaves_out(field));
    for (field, value) in &mut fields {
        if shape.times.contains(&field.as_str())
            && let Some(millis) = value.as_i64()
        {
            *value = json!(Timestamp::from_millis(millis).to_string());
        } else if let Some(reference) = shape.reference(field)
            && let Some(name) = value.as_str().and_then(|id| names.name(reference, id))
        {
            *value = json!(name);
        }
    }
    fields
}

/// The value with those fields set, and every field that cannot be.
pub(super) fn decode<T: Clone + Serialize + DeserializeOwned>(
    base: &T,
    fields: &Fields,
    shape: &Shape,
    names: &Names,
) -> (T, Vec<Problem>) {
    let template = encode(base, shape, names);
    let mut document = serde_json::to_value(base).unwrap_or_default();
    let mut next = base.clone();
    let mut problems = Vec::new();
    for (field, value) in fields {
        let bare = field.strip_suffix(SECONDS);
        let absent_length = bare.is_some_and(|bare| template.get(bare).is_some_and(Value::is_null));
        if !template.contains_key(field) && !absent_length {
            let known = template.keys().map(String::as_str);
            problems.push(Problem::unknown(field, known));
            continue;
        }
        let mut set = |path: &str, value: Value| -> Result<(), serde_json::Error> {
            let mut changed = document.clone();
            place(&mut changed, path, value);
            next = serde_json::from_value(changed.clone())?;
            document = changed;
            Ok(())
        };
        // An empty text takes away what may be absent.
        if value.as_str() == Some("") && set(field, Value::Null).is_ok() {
            continue;
        }
        let outcome = match raw(field, value, shape, names) {
            Ok(Raw::Value(value)) => set(field, value),
            Ok(Raw::Length(path, value)) => set(path, value),
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        if let Err(error) = outcome {
            problems.push(unfit(field, value, &error.to_string()));
        }
    }
    (next, problems)
}

enum Raw<'a> {
    Value(Value),
    Length(&'a str, Value),
}

fn raw<'a>(
    field: &'a str,
    value: &Value,
    shape: &Shape,
    names: &Names,
) -> Result<Raw<'a>, Problem> {
    if shape.times.contains(&field) {
        let time = value
            .as_str()
            .and_then(|text| text.parse::<Timestamp>().ok());
        return time.map(|time| Raw::Value(json!(time))).ok_or_else(|| {
            Problem::new(
                field,
                "must be a time such as 2026-11-22 or 2026-11-22T08:00:00Z",
            )
        });
    }
    if let Some(reference) = shape.reference(field) {
        let Some(name) = value.as_str() else {
            return Err(Problem::new(field, "must be a name"));
        };
        return match names.id_of(reference, name) {
            Some(id) => Ok(Raw::Value(json!(id))),
            None => {
                let (message, hint) = names.missing(reference, name);
                Err(Problem {
                    hint,
                    ..Problem::new(field, message)
                })
            }
        };
    }
    if let Some(bare) = field.strip_suffix(SECONDS) {
        return match length_of(value) {
            Some(length) => Ok(Raw::Length(bare, length)),
            None => Err(Problem::new(
                field,
                "must be a number of seconds, not negative",
            )),
        };
    }
    Ok(Raw::Value(value.clone()))
}

/// Serde's words about a value, in ours.
fn unfit(field: &str, value: &Value, error: &str) -> Problem {
    if let Some((_, expected)) = error.split_once("unknown variant ")
        && let Some((_, expected)) = expected.split_once("expected ")
    {
        let words: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        let typed = value.as_str().unwrap_or_default();
        return Problem {
            hint: nearest(typed, words.iter().copied()).map(|word| format!("Did you mean {word}?")),
            ..Problem::new(field, format!("must be one of {}", words.join(", ")))
        };
    }
    let expected = error
        .split_once("expected ")
        .map(|(_, rest)| rest.split(" at ").next().unwrap_or(rest));
    let message = match (expected, error.starts_with("invalid value")) {
        (Some("u8" | "u16" | "u32" | "u64" | "i64"), true) => {
            format!("cannot be {value}: out of range")
        }
        (Some("u8" | "u16" | "u32" | "u64" | "i64"), _) => "must be a whole number".to_owned(),
        (Some("a boolean"), _) => "must be true or false".to_owned(),
        (Some("a string"), _) => "must be a text".to_owned(),
        (Some("a sequence"), _) => "must be a list".to_owned(),
        _ => format!("cannot be {value}: {error}"),
    };
    Problem::new(field, message)
}
