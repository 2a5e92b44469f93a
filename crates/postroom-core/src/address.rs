//! Email addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest address that is accepted, in bytes. RFC 5321 section 4.5.3.1.3 allows 254 in a path.
pub const ADDRESS_BYTES_MAX: usize = 254;

/// One email address, `local@domain`, without a display name.
///
/// The spelling is kept; comparison, order and hashing ignore ASCII case throughout, as every
/// mail system met in the field does (RFC 5321 section 2.4 would let the local part differ).
///
/// ```
/// use postroom_core::EmailAddress;
/// let a: EmailAddress = "Ada@Example.org".parse()?;
/// assert_eq!(a, "ada@example.ORG".parse()?);
/// assert_eq!(a.as_str(), "Ada@Example.org");
/// assert_eq!(a.domain(), "Example.org");
/// # Ok::<(), postroom_core::AddressError>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress {
    text: String,
    /// Byte offset of the `@` that separates local part and domain.
    at: usize,
}

impl EmailAddress {
    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the last `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// What stands after the last `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.text.get(self.at + 1..).unwrap_or_default()
    }

    /// The address without its detail, `support@example.org` for `support+case42@example.org`; `None` where it
    /// has none. Source: RFC 5233 section 1.
    #[must_use]
    pub fn without_detail(&self) -> Option<Self> {
        let (user, _) = self.local_part().split_once('+')?;
        if user.is_empty() || user.starts_with('"') {
            return None;
        }
        Some(Self {
            text: format!("{user}@{}", self.domain()),
            at: user.len(),
        })
    }

    /// Whether a mailbox can have it: one `@` outside quotes, and a domain of labels, or a number in
    /// brackets, after it. Headers hold worse, which is kept as it stands.
    ///
    /// ```
    /// # use postroom_core::EmailAddress;
    /// let plain = |text: &str| text.parse::<EmailAddress>().is_ok_and(|one| one.is_plain());
    /// assert!(plain("ada@example.org") && plain("\"a@b\"@example.org") && plain("ada@[127.0.0.1]"));
    /// assert!(!plain("ada@@example.org") && !plain("ada@example..org") && !plain("ada@-x.org"));
    /// ```
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let (local, domain) = (self.local_part(), self.domain());
        let label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .chars()
                    .all(|c| c.is_alphanumeric() || c == '-' || c == '_')
        };
        let literal = domain.starts_with('[') && domain.ends_with(']');
        (!local.contains('@') || is_quoted(local)) && (literal || domain.split('.').all(label))
    }

    /// The form under which addresses are compared and indexed: ASCII lower case.
    #[must_use]
    pub fn normalized(&self) -> String {
        self.text.to_ascii_lowercase()
    }
}

impl FromStr for EmailAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        let at = text.rfind('@').ok_or(AddressError::NoAt)?;
        let (local, domain) = (
            text.get(..at).unwrap_or_default(),
            text.get(at + 1..).unwrap_or_default(),
        );
        if local.is_empty() || domain.is_empty() {
            return Err(AddressError::EmptyPart);
        }
        // Between angle brackets in a header a parenthesis begins a comment, a quote a text, and a
        // backslash hides what follows: that would swallow whoever stands behind it.
        let special = |c: char| {
            c.is_control()
                || c.is_whitespace()
                || matches!(c, '<' | '>' | '(' | ')' | ',' | ';' | '"' | '\\')
        };
        if domain.contains(special) || (local.contains(special) && !is_quoted(local)) {
            return Err(AddressError::ForbiddenCharacter);
        }
        if text.chars().any(char::is_control) {
            return Err(AddressError::ForbiddenCharacter);
        }
        Ok(Self {
            text: text.to_owned(),
            at,
        })
    }
}

/// Whether the text is one quoted string (RFC 5322 section 3.2.4): no quote inside but after a
/// backslash.
fn is_quoted(text: &str) -> bool {
    let Some(inside) = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return false;
    };
    let mut escaped = false;
    for c in inside.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return false,
            _ => {}
        }
    }
    !escaped
}

impl TryFrom<String> for EmailAddress {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.text
    }
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.text.eq_ignore_ascii_case(&other.text)
    }
}

impl Eq for EmailAddress {}

impl PartialOrd for EmailAddress {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for EmailAddress {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let lower = |text: &str| {
            text.bytes()
                .map(|b| b.to_ascii_lowercase())
                .collect::<Vec<_>>()
        };
        lower(&self.text).cmp(&lower(&other.text))
    }
}

impl std::hash::Hash for EmailAddress {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for byte in self.text.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress({})", self.text)
    }
}

/// An address with the name that was written beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NamedAddress {
    /// The display name, decoded; `None` where there was none or an empty one.
    pub name: Option<String>,
    /// The address.
    pub address: EmailAddress,
}

impl NamedAddress {
    /// An address with a display name; an empty name counts as none.
    #[must_use]
    pub fn new(name: impl Into<String>, address: EmailAddress) -> Self {
        let name = name.into();
        Self {
            name: (!name.trim().is_empty()).then_some(name),
            address,
        }
    }
}

impl From<EmailAddress> for NamedAddress {
    fn from(address: EmailAddress) -> Self {
        Self {
            name: None,
            address,
        }
    }
}

impl fmt::Display for NamedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => self.address.fmt(f),
        }
    }
}

/// Why a text is no email address. The text itself is left out: it may be a person's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no `@`.
    #[error("an email address needs an @, as in name@example.org")]
    NoAt,
    /// Nothing stands before or after the `@`.
    #[error("an email address needs a name before the @ and a domain after it")]
    EmptyPart,
    /// A space, control character, bracket, quote, comma or semicolon outside quotes.
    #[error(
        "an email address cannot hold spaces, control characters, brackets, quotes, commas or semicolons"
    )]
    ForbiddenCharacter,
    /// Longer than [`ADDRESS_BYTES_MAX`].
    #[error("an email address cannot be longer than 254 bytes")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_can_be_left_out() {
        for (text, without) in [
            ("Support+case42@Example.org", Some("Support@Example.org")),
            ("a+b+c@x.example", Some("a@x.example")),
            ("support@example.org", None),
            ("+b@x.example", None),
            ("\"a+b\"@x.example", None),
        ] {
            let address: EmailAddress = text.parse().unwrap();
            let found = address.without_detail();
            assert_eq!(found.as_ref().map(EmailAddress::as_str), without, "{text}");
            assert_eq!(found, without.map(|text| text.parse().unwrap()));
        }
    }

    #[test]
    fn accepts_and_refuses() {
        for good in [
            "a@b",
            "Ada.Lovelace+x@example.org",
            "\"odd name\"@example.org",
            "\"odd \\\" (name)\"@example.org",
            "jörg@müller.example",
            " a@b ",
        ] {
            assert!(good.parse::<EmailAddress>().is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", AddressError::NoAt),
            ("nobody", AddressError::NoAt),
            ("@b", AddressError::EmptyPart),
            ("a@", AddressError::EmptyPart),
            ("a b@c", AddressError::ForbiddenCharacter),
            ("a@b,c@d", AddressError::ForbiddenCharacter),
            ("a\r\nX: y@b", AddressError::ForbiddenCharacter),
            ("\"a\nb\"@c", AddressError::ForbiddenCharacter),
            ("a@(b", AddressError::ForbiddenCharacter),
            ("a@b\\", AddressError::ForbiddenCharacter),
            ("(a@b", AddressError::ForbiddenCharacter),
            ("a\"b@c", AddressError::ForbiddenCharacter),
            ("\"a\"b\"@c", AddressError::ForbiddenCharacter),
            ("\"a\\\"@c", AddressError::ForbiddenCharacter),
            ("\"@c", AddressError::ForbiddenCharacter),
        ] {
            assert_eq!(bad.parse::<EmailAddress>(), Err(why), "{bad:?}");
        }
        assert_eq!(
            format!("{}@b", "x".repeat(300)).parse::<EmailAddress>(),
            Err(AddressError::TooLong)
        );
    }
}
