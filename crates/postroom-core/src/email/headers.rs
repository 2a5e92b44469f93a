//! The headers that decisions are made of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::address::{EmailAddress, NamedAddress};
use crate::time::Timestamp;

/// Longest message identifier that is kept, in bytes; a longer one is cut. It must fit into a line of
/// 998 characters beside the name of its field (RFC 5322 section 2.1.1).
pub const MESSAGE_ID_BYTES_MAX: usize = 980;

/// A message identifier without its angle brackets. Source: RFC 5322 section 3.6.4.
///
/// Compared byte by byte: identifiers are opaque.
///
/// ```
/// use postroom_core::email::MessageId;
/// assert_eq!("<a@b>".parse::<MessageId>(), "a@b".parse());
/// assert!("<>".parse::<MessageId>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageId(String);

impl MessageId {
    /// The identifier without brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a character at an end of an identifier is no part of it.
fn is_wrapping(bracket: char) -> impl Fn(char) -> bool {
    move |c| c == bracket || c.is_whitespace()
}

/// The text holds no identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message identifier cannot be empty or hold control characters")]
#[non_exhaustive]
pub struct MessageIdError;

impl FromStr for MessageId {
    type Err = MessageIdError;

    fn from_str(text: &str) -> Result<Self, MessageIdError> {
        // What is stored is read again by these rules: however often, it must stay what it is. So all
        // brackets around it go, and what is left after the cut begins and ends with neither a
        // bracket nor a blank.
        let bare = |text: &'_ str| {
            let start = text.len() - text.trim_start_matches(is_wrapping('<')).len();
            let end = text.trim_end_matches(is_wrapping('>')).len();
            start..end.max(start)
        };
        let text = text.get(bare(text)).unwrap_or_default();
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(MessageIdError);
        }
        let mut end = text.len().min(MESSAGE_ID_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or_default();
        match text.get(bare(text)).unwrap_or_default() {
            "" => Err(MessageIdError),
            text => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for MessageId {
    type Error = MessageIdError;

    fn try_from(text: String) -> Result<Self, MessageIdError> {
        text.parse()
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        id.0
    }
}

impl fmt::Display for MessageId {
    /// With angle brackets, as in a header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.0)
    }
}

/// A conversation index: the bytes of a Thread-Index header. Source: MS-OXOMSG section 2.2.1.3.
///
/// The first 22 bytes name the conversation; each reply appends five.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct ConversationIndex(Vec<u8>);

impl ConversationIndex {
    /// Length of the part that names the conversation, in bytes.
    pub const ROOT_BYTES: usize = 22;
    /// Longest index that is kept, in bytes: a thousand replies deep.
    pub const BYTES_MAX: usize = Self::ROOT_BYTES + 5 * 1000;

    /// Takes the decoded bytes; `None` where they are fewer than 22 or absurdly many.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        (Self::ROOT_BYTES..=Self::BYTES_MAX)
            .contains(&bytes.len())
            .then_some(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The part that names the conversation.
    #[must_use]
    pub fn root(&self) -> &[u8] {
        self.0.get(..Self::ROOT_BYTES).unwrap_or_default()
    }
}

impl fmt::Debug for ConversationIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConversationIndex(")?;
        for byte in &self.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

impl From<ConversationIndex> for Vec<u8> {
    fn from(index: ConversationIndex) -> Self {
        index.0
    }
}

impl TryFrom<Vec<u8>> for ConversationIndex {
    type Error = &'static str;

    fn try_from(bytes: Vec<u8>) -> Result<Self, Self::Error> {
        Self::from_bytes(bytes).ok_or("a conversation index has at least 22 bytes")
    }
}

/// How private the sender marked the message. Source: RFC 4021 section 2.1.54.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Sensitivity {
    /// Not marked.
    #[default]
    Normal,
    /// Personal.
    Personal,
    /// Private.
    Private,
    /// Company-confidential.
    Confidential,
}

/// How important the sender marked the message. Source: RFC 4021 section 2.1.53.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Importance {
    /// Low.
    Low,
    /// Not marked.
    #[default]
    Normal,
    /// High.
    High,
}

/// The headers that decisions are made of: enough to resolve parties, correlate and decide.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EmailHeaders {
    /// The message's own identifier.
    pub message_id: Option<MessageId>,
    /// What it answers, in order.
    pub in_reply_to: Vec<MessageId>,
    /// Its ancestors, oldest first.
    pub references: Vec<MessageId>,
    /// The conversation index of Microsoft clients.
    pub conversation_index: Option<ConversationIndex>,
    /// The subject, decoded and unfolded; empty where there is none.
    pub subject: String,
    /// The author; the first where several are named.
    pub from: Option<NamedAddress>,
    /// Who sent it for the author, where that is somebody else.
    pub sender: Option<NamedAddress>,
    /// Where answers should go.
    pub reply_to: Vec<NamedAddress>,
    /// Primary recipients.
    pub to: Vec<NamedAddress>,
    /// Copies.
    pub cc: Vec<NamedAddress>,
    /// Blind copies; empty on received mail as a rule.
    pub bcc: Vec<NamedAddress>,
    /// Addresses that it was really delivered to (Delivered-To, X-Original-To, Envelope-To).
    pub delivered_to: Vec<EmailAddress>,
    /// When it was sent, by its Date.
    pub sent_at: Option<Timestamp>,
    /// The Auto-Submitted value, lower case, where it is present and not `no`. Source: RFC 3834.
    pub auto_submitted: Option<String>,
    /// Whether it must not be answered automatically: nobody wrote it by hand, it came over a list, or its sender
    /// asks for that. Source: RFC 3834 section 2; MS-OXCMAIL (X-Auto-Response-Suppress).
    #[serde(default)]
    pub automatic: bool,
    /// Whether it looks like a delivery status notification: its body may tell what has become of an
    /// email.
    #[serde(default)]
    pub delivery_report: bool,
    /// The email that it reports on, once its body was read.
    #[serde(default)]
    pub reported: Option<MessageId>,
    /// How private.
    pub sensitivity: Sensitivity,
    /// How important.
    pub importance: Importance,
}

impl EmailHeaders {
    /// Everybody named in To, Cc and Bcc, in this order, repetitions included.
    pub fn recipients(&self) -> impl Iterator<Item = &NamedAddress> {
        self.to.iter().chain(&self.cc).chain(&self.bcc)
    }

    /// From and everybody in To, Cc and Bcc, each address once, sorted.
    #[must_use]
    pub fn participants(&self) -> Vec<&EmailAddress> {
        let mut all: Vec<_> = self
            .from
            .iter()
            .chain(self.recipients())
            .map(|named| &named.address)
            .collect();
        all.sort();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_read_again_is_the_same() {
        let long = format!("{}\u{3000} tail", "x".repeat(MESSAGE_ID_BYTES_MAX - 3));
        for text in ["<a@b>", "<<a@b>>", "< <a@b> >", "a>b<c", ">a<", &long] {
            let id: MessageId = text.parse().unwrap();
            assert_eq!(id.as_str().parse().as_ref(), Ok(&id), "{text}");
            assert_eq!(id.to_string().parse().as_ref(), Ok(&id), "{text}");
        }
        assert_eq!("<<a@b>>".parse::<MessageId>().unwrap().as_str(), "a@b");
        assert!("<<>>".parse::<MessageId>().is_err());
        assert!(">".repeat(2000).parse::<MessageId>().is_err());
    }
}
