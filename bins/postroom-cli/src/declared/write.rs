//! A declaration as TOML.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::api::Declaration;

/// What comes first in a table, in this order.
const FIRST: [&str; 4] = ["name", "kind", "address", "description"];

/// The text of the file.
pub(crate) fn write(declaration: &Declaration) -> String {
    let mut text = String::from(
        "# An organization, as postroom export writes it; postroom apply sets it up.\n\
         # What a file does not name is left alone. An empty text takes away what may be absent.\n\
         # Passwords are never here: password_file or password_env says where one comes from.\n",
    );
    if let Value::Object(tables) = declaration.document() {
        for noun in [
            "organization",
            "profile",
            "user",
            "queue",
            "forward_mailbox",
            "party",
        ] {
            match tables.get(noun) {
                Some(Value::Object(fields)) => table(&mut text, noun, fields, false),
                Some(Value::Array(entries)) => {
                    for entry in entries.iter().filter_map(Value::as_object) {
                        table(&mut text, noun, entry, true);
                    }
                }
                _ => {}
            }
        }
    }
    text
}

fn table(text: &mut String, path: &str, fields: &Map<String, Value>, listed: bool) {
    let is_table = |value: &Value| value.is_object();
    if listed || fields.values().any(|value| !is_table(value)) {
        let (open, close) = if listed { ("[[", "]]") } else { ("[", "]") };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{open}{path}{close}");
    }
    let first = FIRST.iter().filter_map(|name| fields.get_key_value(*name));
    let rest = fields
        .iter()
        .filter(|(name, _)| !FIRST.contains(&name.as_str()));
    for (name, value) in first.chain(rest).filter(|(_, value)| !is_table(value)) {
        let _ = writeln!(text, "{name} = {}", literal(value));
        if name == "user_name" {
            text.push_str("# password_file = \"FILE\"\n");
        }
    }
    for (name, value) in fields {
        if let Value::Object(below) = value {
            table(text, &format!("{path}.{name}"), below, false);
        }
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(literal).collect();
            format!("[{}]", values.join(", "))
        }
        // Numbers and switches look the same in both; nothing else is declared.
        other => other.to_string(),
    }
}
