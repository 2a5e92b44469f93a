//! Raw RFC 5322 messages to and from the email of the domain.
//!
//! | Function | What it does |
//! |---|---|
//! | [`parse_headers`] | the headers that decisions are made of, from the first bytes of a message |
//! | [`parse`] | the whole email: headers, readable body, attachments described |
//! | [`delivery_report`] | what a delivery status notification says, recipient by recipient |
//! | [`write_attachment`] | the content of one attachment, streamed out of the raw message |
//! | [`compose`], [`compose_to`] | an outgoing email as bytes |
//!
//! Real mail is odd. What can be read is read, and what was odd is a
//! [`Defect`](postroom_core::email::Defect); only bytes that hold no header field at all are refused.
//! Memory does not grow with the message: the raw bytes are scanned line by line, and only headers
//! and bounded bodies are ever held. Depth, parts, addresses and identifiers are bounded by
//! [`ParseLimits`], and time is in proportion to the size.
//!
//! What it deliberately does not do: sanitize HTML, verify signatures, unpack TNEF, or descend into
//! attached messages (those are attachments; parse their content in turn).

mod attachment;
mod compose;
mod decode;
mod error;
mod fields;
mod headers;
mod limits;
mod parse;
mod report;
mod structure;
mod verbatim;

pub use attachment::{attachment_content, write_attachment};
pub use compose::{OutgoingAttachment, OutgoingEmail, compose, compose_to};
pub use error::MimeError;
pub use headers::{ParsedHeaders, parse_headers};
pub use limits::ParseLimits;
pub use parse::parse;
pub use report::delivery_report;
