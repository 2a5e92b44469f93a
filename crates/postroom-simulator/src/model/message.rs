//! Reading and writing the MIME of a message: as much as a mail server needs, and no more.
//!
//! This is deliberately not the parser that the product uses to decide anything: a server that
//! shared it would share its mistakes.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use jiff::fmt::strtime;
use mail_parser::{MessageParser, MessagePart, MimeHeaders, PartType};
use memchr::memmem;
use postroom_core::Timestamp;

/// A name and an address, as a header has them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Address {
    /// Name for people; empty where there is none.
    pub name: String,
    /// The address, as written.
    pub address: String,
}

impl Address {
    /// An address with a name.
    #[must_use]
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
        }
    }

    /// The name, or the address where there is none.
    #[must_use]
    pub fn shown(&self) -> &str {
        if self.name.is_empty() {
            &self.address
        } else {
            &self.name
        }
    }

    fn header(&self) -> String {
        if self.name.is_empty() {
            return format!("<{}>", self.address);
        }
        if self.name.is_ascii() {
            let quoted = self.name.replace('\\', "\\\\").replace('"', "\\\"");
            return format!("\"{quoted}\" <{}>", self.address);
        }
        format!("{} <{}>", encode_words(&self.name), self.address)
    }
}

/// What the headers of a message say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Subject, decoded; empty where there is none.
    pub subject: String,
    /// First author.
    pub from: Option<Address>,
    /// Who sent it, where that is somebody else.
    pub sender: Option<Address>,
    /// To.
    pub to: Vec<Address>,
    /// Cc.
    pub cc: Vec<Address>,
    /// Reply-To.
    pub reply_to: Vec<Address>,
    /// Date.
    pub date: Option<Timestamp>,
    /// Message-ID with its angle brackets; empty where there is none.
    pub message_id: String,
    /// In-Reply-To as written; empty where there is none.
    pub in_reply_to: String,
    /// References as written; empty where there are none.
    pub references: String,
    /// Thread-Index, base64; empty where there is none.
    pub thread_index: String,
    /// Thread-Topic; empty where there is none.
    pub thread_topic: String,
    /// `Low`, `Normal` or `High`.
    pub importance: String,
    /// Media type of the whole in lower case, such as `multipart/mixed`.
    pub media_type: String,
    /// Length of the header section in bytes, the empty line included.
    pub header_length: usize,
}

impl Summary {
    /// Reads the headers of a message. Whatever is wrong with them gives empty fields.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let header_length = header_length(bytes);
        let mut summary = Self {
            importance: "Normal".to_owned(),
            header_length,
            ..Self::default()
        };
        let head = bytes.get(..header_length).unwrap_or_default();
        if let Some(parsed) = MessageParser::default().parse_headers(head) {
            summary.subject = parsed.subject().unwrap_or_default().to_owned();
            summary.from = addresses(parsed.from()).into_iter().next();
            summary.sender = addresses(parsed.sender()).into_iter().next();
            summary.to = parsed
                .all_to()
                .flat_map(|list| addresses(Some(list)))
                .collect();
            summary.cc = parsed
                .all_cc()
                .flat_map(|list| addresses(Some(list)))
                .collect();
            summary.reply_to = addresses(parsed.reply_to());
            summary.date = parsed
                .date()
                .map(|date| Timestamp::from_seconds(date.to_timestamp()));
            if let Some(media) = parsed.content_type() {
                let subtype = media.subtype().unwrap_or_default();
                summary.media_type = format!("{}/{subtype}", media.ctype()).to_ascii_lowercase();
            }
        }
        for (name, value) in header_lines(head) {
            let slot = match name.to_ascii_lowercase().as_str() {
                "message-id" => &mut summary.message_id,
                "in-reply-to" => &mut summary.in_reply_to,
                "references" => &mut summary.references,
                "thread-index" => &mut summary.thread_index,
                "thread-topic" => &mut summary.thread_topic,
                "importance" | "x-priority" => {
                    summary.importance = importance(&value).to_owned();
                    continue;
                }
                _ => continue,
            };
            if slot.is_empty() {
                *slot = value;
            }
        }
        summary
    }
}

fn importance(value: &str) -> &'static str {
    match value.trim().to_ascii_lowercase().as_str() {
        "high" | "1" | "2" => "High",
        "low" | "4" | "5" => "Low",
        _ => "Normal",
    }
}

fn addresses(list: Option<&mail_parser::Address<'_>>) -> Vec<Address> {
    let Some(list) = list else { return Vec::new() };
    list.iter()
        .filter_map(|one| {
            let address = one.address()?;
            Some(Address::new(one.name().unwrap_or_default(), address))
        })
        .collect()
}

/// Where the header section ends, the empty line included.
fn header_length(bytes: &[u8]) -> usize {
    let crlf = memmem::find(bytes, b"\r\n\r\n").map(|at| at.saturating_add(4));
    let until = crlf.unwrap_or(bytes.len());
    let lf = memmem::find(bytes.get(..until).unwrap_or_default(), b"\n\n")
        .map(|at| at.saturating_add(2));
    lf.unwrap_or(until)
}

/// The headers of a message in order, unfolded, their values otherwise as written.
pub(crate) fn header_lines(bytes: &[u8]) -> Vec<(String, String)> {
    let head = bytes.get(..header_length(bytes)).unwrap_or_default();
    let text = String::from_utf8_lossy(head);
    let mut lines: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = lines.last_mut() {
                if !value.is_empty() {
                    value.push(' ');
                }
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            lines.push((name.trim_end().to_owned(), value.trim().to_owned()));
        }
    }
    lines
}

/// The text of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Body {
    /// The plain text, made from the HTML where there is no other.
    pub text: String,
    /// The HTML, where the message has some.
    pub html: Option<String>,
}

impl Body {
    /// A plain body.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            html: None,
        }
    }

    /// An HTML body.
    #[must_use]
    pub fn html(html: impl Into<String>) -> Self {
        Self {
            text: String::new(),
            html: Some(html.into()),
        }
    }
}

/// One attachment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Attachment {
    /// File name as the sender wrote it: never to be used as a path.
    pub name: String,
    /// Media type.
    pub media_type: String,
    /// Content-ID without angle brackets; empty where there is none.
    pub content_id: String,
    /// Whether it belongs to the text, such as a picture in it.
    pub inline: bool,
    /// Whether it is a message itself.
    pub message: bool,
    /// Decoded content.
    pub content: Bytes,
}

impl Attachment {
    /// A file.
    #[must_use]
    pub fn file(
        name: impl Into<String>,
        media_type: impl Into<String>,
        content: impl Into<Bytes>,
    ) -> Self {
        Self {
            name: name.into(),
            media_type: media_type.into(),
            content: content.into(),
            ..Self::default()
        }
    }
}

/// Body and attachments of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MessageParts {
    /// The text.
    pub body: Body,
    /// The attachments in order.
    pub attachments: Vec<Attachment>,
}

impl MessageParts {
    /// Reads them from MIME. What cannot be read is missing.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let Some(message) = MessageParser::default().parse(bytes) else {
            return Self::default();
        };
        let html = message
            .html_bodies()
            .any(MessagePart::is_text_html)
            .then(|| message.body_html(0))
            .flatten();
        let body = Body {
            text: message
                .body_text(0)
                .map(Cow::into_owned)
                .unwrap_or_default(),
            html: html.map(Cow::into_owned),
        };
        let attachments = message.attachments().map(attachment).collect();
        Self { body, attachments }
    }
}

fn attachment(part: &MessagePart<'_>) -> Attachment {
    let media = part.content_type();
    let media_type = media.map_or_else(
        || "application/octet-stream".to_owned(),
        |media| {
            format!(
                "{}/{}",
                media.ctype(),
                media.subtype().unwrap_or("octet-stream")
            )
        },
    );
    let message = matches!(part.body, PartType::Message(_));
    let content = match &part.body {
        PartType::Message(inner) => Bytes::copy_from_slice(inner.raw_message()),
        _ => Bytes::copy_from_slice(part.contents()),
    };
    let named = part.attachment_name().map(str::to_owned);
    let nested = part
        .message()
        .and_then(|inner| inner.subject().map(str::to_owned));
    let disposition_inline = part
        .content_disposition()
        .is_some_and(mail_parser::ContentType::is_inline);
    let content_id = part.content_id().unwrap_or_default().to_owned();
    Attachment {
        name: named.or(nested).unwrap_or_default(),
        inline: disposition_inline || (!content_id.is_empty() && media_type.starts_with("image/")),
        media_type,
        content_id,
        message,
        content,
    }
}

/// Beyond this size the question "attachments?" is answered by looking for the words, since
/// decoding a huge message for a list of messages would cost more than the answer is worth.
const PARSE_FOR_FLAG_MAX: usize = 4 << 20;

pub(super) fn has_attachments<'a>(
    bytes: &[u8],
    summary: &Summary,
    parts: impl FnOnce() -> &'a MessageParts,
) -> bool {
    let single_text = summary.media_type.is_empty() || summary.media_type.starts_with("text/");
    if bytes.is_empty() || single_text || summary.media_type == "multipart/alternative" {
        return false;
    }
    if bytes.len() <= PARSE_FOR_FLAG_MAX {
        return parts()
            .attachments
            .iter()
            .any(|attachment| !attachment.inline);
    }
    let words: [&[u8]; 2] = [
        b"Content-Disposition: attachment",
        b"content-disposition: attachment",
    ];
    words.iter().any(|word| memmem::find(bytes, word).is_some())
}

/// The same message with some headers replaced: each named header is removed wherever it stands,
/// and added at the end with its new value if there is one. The body is not looked at.
#[must_use]
pub fn with_headers(bytes: &[u8], edits: &[(&str, Option<String>)]) -> Bytes {
    let length = header_length(bytes);
    let head = bytes.get(..length).unwrap_or_default();
    let body = bytes.get(length..).unwrap_or_default();
    let mut out = BytesMut::with_capacity(bytes.len().saturating_add(256));
    let mut dropping = false;
    for line in head.split_inclusive(|&byte| byte == b'\n') {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            if !dropping {
                out.extend_from_slice(line);
            }
            continue;
        }
        if matches!(line, b"\r\n" | b"\n") {
            break;
        }
        let name = line
            .split(|&byte| byte == b':')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        dropping = edits
            .iter()
            .any(|(edited, _)| name.eq_ignore_ascii_case(edited.as_bytes()));
        if !dropping {
            out.extend_from_slice(line);
        }
    }
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
    for (name, value) in edits {
        if let Some(value) = value {
            push_header(&mut out, name, value);
        }
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out.freeze()
}

fn push_header(out: &mut BytesMut, name: &str, value: &str) {
    // A line break in a value would start another header.
    let value: String = value
        .chars()
        .map(|c| if c == '\r' || c == '\n' { ' ' } else { c })
        .collect();
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Text as a header value: as it is where it is ASCII, in encoded words otherwise.
pub(crate) fn header_text(text: &str) -> String {
    if text.is_ascii() {
        text.to_owned()
    } else {
        encode_words(text)
    }
}

/// A list of addresses as a header value.
pub(crate) fn header_addresses(list: &[Address]) -> Option<String> {
    let parts: Vec<String> = list.iter().map(Address::header).collect();
    (!parts.is_empty())
        .then(|| parts.join(",\r\n "))
        .map(|joined| joined.replace("\r\n ", " "))
}

fn encode_words(text: &str) -> String {
    use base64::Engine as _;
    let mut words = Vec::new();
    let mut chunk = String::new();
    for c in text.chars() {
        // An encoded word holds 75 characters, of which 12 frame a UTF-8 base64 one.
        if chunk.len().saturating_add(c.len_utf8()) > 45 {
            words.push(std::mem::take(&mut chunk));
        }
        chunk.push(c);
    }
    words.push(chunk);
    let words: Vec<String> = words
        .into_iter()
        .map(|word| {
            format!(
                "=?UTF-8?B?{}?=",
                base64::engine::general_purpose::STANDARD.encode(word)
            )
        })
        .collect();
    words.join(" ")
}

/// Puts a message together: the given header lines, then the body and the attachments as MIME.
/// Content headers among `headers` are left out.
#[must_use]
pub fn compose(
    headers: &[(String, String)],
    body: &Body,
    attachments: &[Attachment],
    boundary: &str,
) -> Bytes {
    let mut out = BytesMut::new();
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        if !lower.starts_with("content-") && lower != "mime-version" {
            push_header(&mut out, name, value);
        }
    }
    push_header(&mut out, "MIME-Version", "1.0");
    if attachments.is_empty() {
        push_body(&mut out, body);
        return out.freeze();
    }
    push_header(
        &mut out,
        "Content-Type",
        &format!("multipart/mixed; boundary=\"{boundary}\""),
    );
    out.extend_from_slice(b"\r\n");
    push_boundary(&mut out, boundary, "");
    push_body(&mut out, body);
    for attachment in attachments {
        push_boundary(&mut out, boundary, "");
        push_attachment(&mut out, attachment);
    }
    push_boundary(&mut out, boundary, "--");
    out.freeze()
}

fn push_boundary(out: &mut BytesMut, boundary: &str, end: &str) {
    out.extend_from_slice(format!("--{boundary}{end}\r\n").as_bytes());
}

fn push_body(out: &mut BytesMut, body: &Body) {
    let (subtype, text) = match &body.html {
        Some(html) => ("html", html),
        None => ("plain", &body.text),
    };
    push_header(
        out,
        "Content-Type",
        &format!("text/{subtype}; charset=utf-8"),
    );
    push_header(out, "Content-Transfer-Encoding", "base64");
    out.extend_from_slice(b"\r\n");
    push_base64(out, text.as_bytes());
}

fn push_attachment(out: &mut BytesMut, attachment: &Attachment) {
    let name = header_text(&attachment.name.replace(['"', '\\'], "_"));
    if attachment.message {
        push_header(out, "Content-Type", "message/rfc822");
        let disposition = if name.is_empty() {
            "attachment".to_owned()
        } else {
            format!("attachment; filename=\"{name}\"")
        };
        push_header(out, "Content-Disposition", &disposition);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&attachment.content);
        out.extend_from_slice(b"\r\n");
        return;
    }
    let media = if attachment.media_type.is_empty() {
        "application/octet-stream"
    } else {
        &attachment.media_type
    };
    push_header(out, "Content-Type", &format!("{media}; name=\"{name}\""));
    let disposition = if attachment.inline {
        "inline"
    } else {
        "attachment"
    };
    push_header(
        out,
        "Content-Disposition",
        &format!("{disposition}; filename=\"{name}\""),
    );
    if !attachment.content_id.is_empty() {
        push_header(out, "Content-ID", &format!("<{}>", attachment.content_id));
    }
    push_header(out, "Content-Transfer-Encoding", "base64");
    out.extend_from_slice(b"\r\n");
    push_base64(out, &attachment.content);
}

fn push_base64(out: &mut BytesMut, bytes: &[u8]) {
    use base64::Engine as _;
    let mut line = String::new();
    for chunk in bytes.chunks(57) {
        line.clear();
        base64::engine::general_purpose::STANDARD.encode_string(chunk, &mut line);
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// A time as the Date header has it.
pub(crate) fn header_date(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or_default();
    strtime::format("%a, %d %b %Y %H:%M:%S +0000", time).unwrap_or_default()
}
