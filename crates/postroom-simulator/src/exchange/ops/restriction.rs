//! Restrictions: which items or folders are wanted.

use std::cmp::Ordering;

use roxmltree::Node;

use crate::exchange::call::{Call, Outcome, child, is_true};
use crate::exchange::code::Refusal;
use crate::exchange::extended;
use crate::exchange::path::Path;
use crate::exchange::render;
use crate::exchange::shape::{Shape, View};
use crate::exchange::value;
use crate::model::{Field, Folder, Item};

/// More conditions than this are refused, as Exchange does.
const NODES_MAX: usize = 255;

#[derive(Debug, Clone)]
pub(super) enum Restriction {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Exists(Path),
    Excludes(Path, u64),
    Compare(Path, Test, Other),
    Contains {
        path: Path,
        wanted: String,
        mode: Mode,
        exact_case: bool,
    },
}

#[derive(Debug, Clone)]
pub(super) enum Other {
    Constant(String),
    Path(Path),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Test {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    Full,
    Prefix,
    Substring,
}

/// A value to compare.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Missing,
    Time(jiff::Timestamp),
    Number(i64),
    Text(Vec<String>),
}

impl Operand {
    fn read(text: &str) -> Self {
        if let Ok(time) = text.parse() {
            Self::Time(time)
        } else if let Ok(number) = text.parse() {
            Self::Number(number)
        } else {
            Self::Text(vec![text.to_owned()])
        }
    }

    fn of_field(field: Option<Field>) -> Self {
        let Some(field) = field else {
            return Self::Missing;
        };
        if let Some(id) = field.attribute("Id").filter(|_| field.text.is_empty()) {
            // Ids have no text: a conversation, a folder, the item itself.
            Self::Text(vec![id.to_owned()])
        } else if field.children.is_empty() {
            Self::read(&field.text)
        } else {
            Self::Text(leaves(&field))
        }
    }

    /// The value of a path in an item.
    pub(super) fn of_item(call: &Call<'_>, item: &Item, path: &Path) -> Self {
        match path {
            Path::Field { element, .. } => {
                Self::of_field(value::value(call, item, element, &Shape::ids(View::Single)))
            }
            Path::Entry { element, key, .. } => {
                let field = value::value(call, item, element, &Shape::ids(View::Single));
                let entry = field.and_then(|field| {
                    field.children.into_iter().find(|entry| {
                        let name = entry
                            .attribute("Key")
                            .or_else(|| entry.attribute("HeaderName"));
                        name.is_some_and(|name| name.eq_ignore_ascii_case(key))
                    })
                });
                Self::of_field(entry)
            }
            Path::Extended(wanted) => match extended::item_value(item, wanted) {
                Some(value) if value.kind == "Binary" || value.kind == "String" => {
                    Self::Text(value.values)
                }
                Some(value) if value.values.len() == 1 => Self::read(value.text()),
                Some(value) => Self::Text(value.values),
                None => Self::Missing,
            },
        }
    }

    fn of_folder(call: &Call<'_>, folder: &Folder, path: &Path) -> Self {
        match path {
            Path::Field { element, .. } => {
                Self::of_field(render::folder_value(call, folder, element, "Folder"))
            }
            Path::Extended(wanted) => extended::folder_value(folder, wanted)
                .map_or(Self::Missing, |value| Self::read(value.text())),
            Path::Entry { .. } => Self::Missing,
        }
    }

    /// How two values relate; `None` where one is missing.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Missing, Self::Missing) => Some(Ordering::Equal),
            (Self::Missing, _) | (_, Self::Missing) => None,
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            (Self::Number(a), Self::Number(b)) => Some(a.cmp(b)),
            (a, b) => Some(a.shown().cmp(&b.shown())),
        }
    }

    /// Whether it is a boolean, which requests may write in two ways.
    fn is_flag(&self) -> bool {
        matches!(self, Self::Text(all) if matches!(all.as_slice(), [one] if one == "true" || one == "false"))
    }

    fn shown(&self) -> String {
        match self {
            Self::Missing => String::new(),
            Self::Time(time) => time.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(all) => all.first().cloned().unwrap_or_default(),
        }
    }

    fn all(&self) -> Vec<String> {
        match self {
            Self::Text(all) => all.clone(),
            Self::Missing => Vec::new(),
            Self::Time(_) | Self::Number(_) => vec![self.shown()],
        }
    }
}

fn leaves(field: &Field) -> Vec<String> {
    if field.children.is_empty() {
        return vec![field.text.clone()];
    }
    field.children.iter().flat_map(leaves).collect()
}

impl Restriction {
    /// Reads an `m:Restriction`.
    pub(super) fn read(node: Node<'_, '_>) -> Outcome<Self> {
        let conditions = node.descendants().filter(|node| {
            node.is_element()
                && matches!(
                    node.tag_name().name(),
                    "And" | "Or" | "Not" | "Exists" | "Excludes" | "Contains"
                )
                || node.tag_name().name().starts_with("Is")
        });
        if conditions.count() > NODES_MAX {
            return Err(Refusal::new("ErrorRestrictionTooLong"));
        }
        let inner = node
            .children()
            .find(Node::is_element)
            .ok_or_else(|| Refusal::new("ErrorInvalidRestriction"))?;
        Self::condition(inner)
    }

    fn condition(node: Node<'_, '_>) -> Outcome<Self> {
        let invalid = || Refusal::new("ErrorInvalidRestriction");
        let path = || Path::among(node)?.ok_or_else(invalid);
        let inner = || {
            node.children()
                .filter(Node::is_element)
                .map(Self::condition)
                .collect::<Outcome<Vec<Self>>>()
        };
        let test = match node.tag_name().name() {
            "And" => return Ok(Self::And(inner()?)),
            "Or" => return Ok(Self::Or(inner()?)),
            "Not" => {
                return inner()?
                    .into_iter()
                    .next()
                    .map(|one| Self::Not(Box::new(one)))
                    .ok_or_else(invalid);
            }
            "Exists" => return Ok(Self::Exists(path()?)),
            "Excludes" => {
                let mask = child(node, "Bitmask")
                    .and_then(|mask| mask.attribute("Value"))
                    .unwrap_or_default();
                let mask = mask.strip_prefix("0x").map_or_else(
                    || mask.parse().ok(),
                    |hex| u64::from_str_radix(hex, 16).ok(),
                );
                return Ok(Self::Excludes(path()?, mask.ok_or_else(invalid)?));
            }
            "Contains" => return Self::contains(node, path()?),
            "IsEqualTo" => Test::Equal,
            "IsNotEqualTo" => Test::NotEqual,
            "IsGreaterThan" => Test::Greater,
            "IsGreaterThanOrEqualTo" => Test::GreaterOrEqual,
            "IsLessThan" => Test::Less,
            "IsLessThanOrEqualTo" => Test::LessOrEqual,
            _ => return Err(Refusal::new("ErrorRestrictionTooComplex")),
        };
        let against = child(node, "FieldURIOrConstant").ok_or_else(invalid)?;
        let other = match child(against, "Constant") {
            Some(constant) => {
                Other::Constant(constant.attribute("Value").unwrap_or_default().to_owned())
            }
            None => Other::Path(Path::among(against)?.ok_or_else(invalid)?),
        };
        Ok(Self::Compare(path()?, test, other))
    }

    fn contains(node: Node<'_, '_>, path: Path) -> Outcome<Self> {
        if let Path::Extended(extended) = &path
            && extended.kind != "String"
            && extended.kind != "StringArray"
        {
            return Err(Refusal::new("ErrorContainsFilterWrongType"));
        }
        let wanted = child(node, "Constant")
            .and_then(|constant| constant.attribute("Value"))
            .unwrap_or_default()
            .to_owned();
        let mode = match node.attribute("ContainmentMode") {
            Some("Substring" | "ExactPhrase") => Mode::Substring,
            Some("Prefixed" | "PrefixOnWords") => Mode::Prefix,
            _ => Mode::Full,
        };
        let exact_case = matches!(
            node.attribute("ContainmentComparison"),
            None | Some("Exact")
        );
        Ok(Self::Contains {
            path,
            wanted,
            mode,
            exact_case,
        })
    }

    pub(super) fn fits_item(&self, call: &Call<'_>, item: &Item) -> bool {
        self.fits(&|path| Operand::of_item(call, item, path))
    }

    pub(super) fn fits_folder(&self, call: &Call<'_>, folder: &Folder) -> bool {
        self.fits(&|path| Operand::of_folder(call, folder, path))
    }

    fn fits(&self, value: &dyn Fn(&Path) -> Operand) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.fits(value)),
            Self::Or(all) => all.iter().any(|one| one.fits(value)),
            Self::Not(one) => !one.fits(value),
            Self::Exists(path) => value(path) != Operand::Missing,
            Self::Excludes(path, mask) => match value(path) {
                Operand::Number(number) => number.cast_unsigned() & mask == 0,
                _ => true,
            },
            Self::Compare(path, test, other) => {
                let left = value(path);
                let right = match other {
                    Other::Path(other) => value(other),
                    // A text is compared as text even if it looks like a number.
                    Other::Constant(constant) if left.is_flag() => Operand::Text(vec![
                        if is_true(constant) { "true" } else { "false" }.to_owned(),
                    ]),
                    Other::Constant(constant) if matches!(left, Operand::Text(_)) => {
                        Operand::Text(vec![constant.clone()])
                    }
                    Other::Constant(constant) => Operand::read(constant),
                };
                test.holds(path, &left, &right)
            }
            Self::Contains {
                path,
                wanted,
                mode,
                exact_case,
            } => {
                let fold = |text: &str| {
                    if *exact_case {
                        text.to_owned()
                    } else {
                        text.to_lowercase()
                    }
                };
                let wanted = fold(wanted);
                value(path).all().iter().any(|text| {
                    let text = fold(text);
                    match mode {
                        Mode::Full => text == wanted,
                        Mode::Prefix => text.starts_with(&wanted),
                        Mode::Substring => text.contains(&wanted),
                    }
                })
            }
        }
    }
}

impl Test {
    fn holds(self, path: &Path, left: &Operand, right: &Operand) -> bool {
        // Names of folders compare without case, and a list is equal to each of its members.
        if let (Operand::Text(all), Operand::Text(wanted)) = (left, right) {
            let folded = path.name() == "folder:DisplayName";
            let equal = all.iter().any(|text| {
                wanted.iter().any(|wanted| {
                    if folded {
                        text.to_lowercase() == wanted.to_lowercase()
                    } else {
                        text == wanted
                    }
                })
            });
            match self {
                Self::Equal => return equal,
                Self::NotEqual => return !equal,
                _ => {}
            }
        }
        let Some(ordering) = left.compare(right) else {
            return matches!(self, Self::NotEqual);
        };
        match self {
            Self::Equal => ordering == Ordering::Equal,
            Self::NotEqual => ordering != Ordering::Equal,
            Self::Greater => ordering == Ordering::Greater,
            Self::GreaterOrEqual => ordering != Ordering::Less,
            Self::Less => ordering == Ordering::Less,
            Self::LessOrEqual => ordering != Ordering::Greater,
        }
    }
}
