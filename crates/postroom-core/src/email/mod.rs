//! The email as the application sees it.

mod delivery;
mod headers;
mod identity;

pub(crate) use delivery::merge as merge_delivery;
pub use delivery::{DeliveryOutcome, DeliveryReport, RecipientDelivery};
pub use headers::{
    ConversationIndex, EmailHeaders, Importance, MESSAGE_ID_BYTES_MAX, MessageId, MessageIdError,
    Sensitivity,
};
pub use identity::{ContentIdentity, ContentKey, KnownEmail};

use serde::{Deserialize, Serialize};

/// Which way an email went, seen from the organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Direction {
    /// Received.
    Incoming,
    /// Sent, or to be sent.
    Outgoing,
}

/// An attachment, described; its content stays in the raw message until somebody asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attachment {
    /// The file name as the sender wrote it, decoded, with path separators and control characters
    /// replaced; empty where there was none. Never to be used as a path.
    pub name: String,
    /// The media type, such as `image/png`.
    pub content_type: String,
    /// Decoded size in bytes.
    pub size: u64,
    /// The Content-ID without brackets, where there is one.
    pub content_id: Option<String>,
    /// Whether it is shown inside the body.
    pub inline: bool,
    /// The position of its part in the raw message, in the order of the MIME parser.
    pub part: u32,
}

impl Attachment {
    /// An attachment without Content-ID, not inline.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        content_type: impl Into<String>,
        size: u64,
        part: u32,
    ) -> Self {
        Self {
            name: name.into(),
            content_type: content_type.into(),
            size,
            content_id: None,
            inline: false,
            part,
        }
    }
}

/// What was odd about a message and how it was taken. Nothing here keeps it from being recorded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Defect {
    /// From is missing or holds no usable address.
    NoSender,
    /// Date is missing or cannot be read.
    NoDate,
    /// Message-ID is missing or cannot be read.
    NoMessageId,
    /// Addresses that could not be read were left out; how many.
    AddressesLeftOut(u32),
    /// The body was cut at the limit.
    BodyTruncated,
    /// Nested deeper or of more parts than is parsed; what lies beyond is in the raw message only.
    StructureLimited,
    /// The message is above the parsing limit: headers and structure only.
    HeadersOnly,
    /// The server could not deliver the original; the message was rebuilt from its properties.
    Rebuilt,
}

/// One email: headers, readable body, attachments described.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Email {
    /// The headers.
    pub headers: EmailHeaders,
    /// The plain text body, where there is one.
    pub text_body: Option<String>,
    /// The HTML body as sent, where there is one. Not sanitized: whoever shows it must do that.
    pub html_body: Option<String>,
    /// Attachments in the order of the message.
    pub attachments: Vec<Attachment>,
    /// What was odd, sorted, each once.
    pub defects: Vec<Defect>,
}

impl Email {
    /// An email with these headers and no body.
    #[must_use]
    pub fn new(headers: EmailHeaders) -> Self {
        Self {
            headers,
            ..Self::default()
        }
    }
}
