//! MAPI properties: what a message carries beside its MIME.

use std::fmt;

/// Names a property, however a client spelled it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "MAPI knows these three ways and no other"
)]
pub enum PropertyPath {
    /// A tag, such as `0x0E07`.
    Tag(u16),
    /// A name in a property set.
    Named {
        /// GUID of the set, lower case, with hyphens.
        set: String,
        /// Name, lower case only in the InternetHeaders set, where case does not count.
        name: String,
    },
    /// A number in a property set.
    Numbered {
        /// GUID of the set, lower case, with hyphens.
        set: String,
        /// The number.
        id: u32,
    },
}

/// The set whose names are those of message headers.
pub(crate) const INTERNET_HEADERS: &str = "00020386-0000-0000-c000-000000000046";

impl PropertyPath {
    /// A named property; the GUID may come in either case.
    #[must_use]
    pub fn named(set: &str, name: &str) -> Self {
        let set = set.to_ascii_lowercase();
        let name = if set == INTERNET_HEADERS {
            name.to_ascii_lowercase()
        } else {
            name.to_owned()
        };
        Self::Named { set, name }
    }

    /// A numbered property; the GUID may come in either case.
    #[must_use]
    pub fn numbered(set: &str, id: u32) -> Self {
        Self::Numbered {
            set: set.to_ascii_lowercase(),
            id,
        }
    }
}

impl fmt::Display for PropertyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "0x{tag:04X}"),
            Self::Named { set, name } => write!(f, "{set}/{name}"),
            Self::Numbered { set, id } => write!(f, "{set}/0x{id:04X}"),
        }
    }
}

/// The value of a property: its type by MAPI name and the text of its one or many values
/// (binary as base64, times in RFC 3339).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PropertyValue {
    /// `String`, `Integer`, `Binary`, `StringArray`, ...
    pub kind: String,
    /// The values; one unless the type is an array.
    pub values: Vec<String>,
}

impl PropertyValue {
    /// One value.
    #[must_use]
    pub fn one(kind: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            values: vec![value.into()],
        }
    }

    /// Several values.
    #[must_use]
    pub fn many(kind: impl Into<String>, values: Vec<String>) -> Self {
        Self {
            kind: kind.into(),
            values,
        }
    }

    /// A string.
    #[must_use]
    pub fn string(value: impl Into<String>) -> Self {
        Self::one("String", value)
    }

    /// The first value, empty where there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        self.values.first().map_or("", String::as_str)
    }
}
