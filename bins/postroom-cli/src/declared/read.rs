//! A TOML file as a document whose values know their place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::api::Finding;

/// A line and a column, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Document {
    /// What it says.
    pub(crate) value: Value,
    text: String,
    /// Where each key and each element of a list begins, in bytes.
    offsets: BTreeMap<Vec<String>, usize>,
}

impl Document {
    /// Reads a file's text. What is wrong with its form is told with its place.
    pub(crate) fn parse(text: &str) -> (Self, Vec<(Place, String)>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut document = Self {
            value: Value::Null,
            text: text.to_owned(),
            offsets: BTreeMap::new(),
        };
        let mut path = Vec::new();
        document.value = document.table(table.get_ref(), &mut path);
        let findings = errors
            .iter()
            .map(|error| {
                let start = error.span().map_or(0, |span| span.start);
                let message = error.message().lines().collect::<Vec<_>>().join(", ");
                (document.at(start), message)
            })
            .collect();
        (document, findings)
    }

    fn table(&mut self, table: &DeTable<'_>, path: &mut Vec<String>) -> Value {
        let mut fields = Map::new();
        for (key, value) in table {
            path.push(key.get_ref().to_string());
            self.offsets.insert(path.clone(), key.span().start);
            fields.insert(key.get_ref().to_string(), self.value(value, path));
            path.pop();
        }
        Value::Object(fields)
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, path: &mut Vec<String>) -> Value {
        match value.get_ref() {
            DeValue::String(text) => json!(text),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_too_long| json!(number.as_str()), |number| json!(number)),
            DeValue::Float(number) => number
                .as_str()
                .parse::<f64>()
                .map_or_else(|_strange| json!(number.as_str()), |number| json!(number)),
            DeValue::Boolean(on) => json!(on),
            DeValue::Datetime(time) => json!(time.to_string()),
            DeValue::Array(values) => {
                let mut list = Vec::new();
                for (index, value) in values.iter().enumerate() {
                    path.push(index.to_string());
                    self.offsets.insert(path.clone(), value.span().start);
                    list.push(self.value(value, path));
                    path.pop();
                }
                Value::Array(list)
            }
            DeValue::Table(table) => self.table(table, path),
        }
    }

    /// Where a finding is: at the field that it is about, or at what comes nearest.
    pub(crate) fn place(&self, finding: &Finding) -> Place {
        let mut path = finding.path.as_slice();
        loop {
            if let Some(offset) = self.offsets.get(path) {
                return self.at(*offset);
            }
            match path.split_last() {
                Some((_, shorter)) => path = shorter,
                None => return Place { line: 1, column: 1 },
            }
        }
    }

    fn at(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Place {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }

    /// Puts the text of files in the place of their names: `extra_authorities_file` of profiles
    /// becomes `extra_authorities_pem`. Answers what could not be read.
    pub(crate) fn include_files(&mut self, folder: &Path) -> Vec<(Place, String)> {
        const NAME: &str = "extra_authorities_file";
        const TEXT: &str = "extra_authorities_pem";
        let mut failed = Vec::new();
        let profiles = self.value.get_mut("profile").and_then(Value::as_array_mut);
        for (index, profile) in profiles.into_iter().flatten().enumerate() {
            let Some(fields) = profile.as_object_mut() else {
                continue;
            };
            let Some(Value::String(name)) = fields.get(NAME) else {
                continue;
            };
            let path: PathBuf = folder.join(name);
            let here = ["profile", &index.to_string(), NAME].map(str::to_owned);
            let offset = self.offsets.get(here.as_slice()).copied();
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    fields.remove(NAME);
                    fields.insert(TEXT.to_owned(), json!(text));
                    let there = ["profile", &index.to_string(), TEXT].map(str::to_owned);
                    if let Some(offset) = offset {
                        self.offsets.insert(there.to_vec(), offset);
                    }
                }
                Err(error) => {
                    fields.remove(NAME);
                    let offset = offset.unwrap_or_default();
                    failed.push((
                        offset,
                        format!("{NAME}: cannot read {}: {error}", path.display()),
                    ));
                }
            }
        }
        failed
            .into_iter()
            .map(|(offset, message)| (self.at(offset), message))
            .collect()
    }
}
