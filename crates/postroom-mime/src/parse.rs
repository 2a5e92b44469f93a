//! The whole email out of a raw message.

use std::borrow::Cow;
use std::io::{BufReader, Read};
use std::ops::Range;

use mail_parser::decoders::charsets::map::charset_decoder;
use postroom_core::RawMessage;
use postroom_core::email::{Attachment, Defect, Email};

use crate::decode::{Decoder, TransferEncoding};
use crate::error::MimeError;
use crate::headers::from_block;
use crate::limits::ParseLimits;
use crate::structure::{Content, Disposition, Leaf, Structure, scan, scan_slice};

/// Read buffer for messages that do not lie in memory, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// Bodies are joined from at most so many parts.
const BODY_PARTS_MAX: usize = 16;

/// Longest attachment name that is kept, in characters.
const NAME_LENGTH_MAX: usize = 255;

/// Reads a message: headers, readable body, attachments described.
///
/// Whatever is odd becomes a [`Defect`]; the content of attachments stays where it is until
/// [`write_attachment`](crate::write_attachment) is asked for it. Of a message above
/// [`message_bytes_max`](ParseLimits::message_bytes_max) the bodies stay there, too.
///
/// ```
/// use postroom_core::RawMessage;
/// let raw = RawMessage::from_bytes(b"From: a@example.org\r\nSubject: hi\r\n\r\nhello\r\n".to_vec());
/// let email = postroom_mime::parse(&raw, &postroom_mime::ParseLimits::default())?;
/// assert_eq!(email.text_body.as_deref(), Some("hello\n"));
/// # Ok::<(), postroom_mime::MimeError>(())
/// ```
///
/// # Errors
/// [`Code::MessageMalformed`](postroom_core::Code::MessageMalformed) where the bytes hold no header
/// field at all, and [`Code::StoreUnavailable`](postroom_core::Code::StoreUnavailable) where they
/// cannot be read.
pub fn parse(raw: &RawMessage, limits: &ParseLimits) -> Result<Email, MimeError> {
    let structure = structure_of(raw, limits)?;
    let parsed = from_block(&structure.header_block, limits);
    if parsed.field_count == 0 {
        return Err(MimeError::malformed());
    }
    let mut email = Email::new(parsed.headers);
    email.defects = parsed.defects;
    if structure.limited {
        email.defects.push(Defect::StructureLimited);
    }
    let roles = Roles::of(&structure.leaves);
    email.attachments = roles
        .attachments
        .iter()
        .map(|leaf| describe(leaf))
        .collect();
    if raw.len() > limits.message_bytes_max {
        email.defects.push(Defect::HeadersOnly);
    } else {
        let mut truncated = false;
        email.text_body = body(raw, &roles.text, limits, &mut truncated)?.map(with_plain_line_ends);
        email.html_body = body(raw, &roles.html, limits, &mut truncated)?.map(Cow::into_owned);
        if truncated {
            email.defects.push(Defect::BodyTruncated);
        }
    }
    email.defects.sort();
    email.defects.dedup();
    Ok(email)
}

/// One pass over the raw bytes.
pub(crate) fn structure_of(raw: &RawMessage, limits: &ParseLimits) -> Result<Structure, MimeError> {
    match raw.in_memory() {
        Some(bytes) => Ok(scan_slice(bytes, limits)),
        None => raw
            .open()
            .and_then(|reader| scan(BufReader::with_capacity(BUFFER_BYTES, reader), limits)),
    }
    .map_err(MimeError::reading)
}

/// What each leaf is for.
#[derive(Default)]
struct Roles<'a> {
    text: Vec<&'a Leaf>,
    html: Vec<&'a Leaf>,
    attachments: Vec<&'a Leaf>,
}

impl<'a> Roles<'a> {
    fn of(leaves: &'a [Leaf]) -> Self {
        let mut roles = Self::default();
        for leaf in leaves {
            let alone = leaf.parent.is_none();
            let readable = leaf.content.disposition != Disposition::Attachment
                // A named text is a file, unless it is all there is.
                && (leaf.content.name.is_empty() || alone);
            let body = match leaf.content.media_type.as_str() {
                "text/plain" => &mut roles.text,
                "text/html" => &mut roles.html,
                _ => {
                    roles.attachments.push(leaf);
                    continue;
                }
            };
            // Of alternatives of one kind the first counts.
            let repeated = leaf
                .parent
                .as_ref()
                .is_some_and(|(_, kind)| kind == "multipart/alternative")
                && body.iter().any(|earlier| earlier.parent == leaf.parent);
            if readable && !repeated && body.len() < BODY_PARTS_MAX {
                body.push(leaf);
            } else {
                roles.attachments.push(leaf);
            }
        }
        roles
    }
}

fn describe(leaf: &Leaf) -> Attachment {
    let content = &leaf.content;
    let mut attachment = Attachment::new(
        safe_name(&content.name),
        content.media_type.clone(),
        leaf.size,
        leaf.index,
    );
    attachment.content_id = content.content_id.clone();
    attachment.inline = content.disposition == Disposition::Inline
        || (content.disposition == Disposition::Unsaid && content.content_id.is_some());
    attachment
}

/// A name that is no path.
fn safe_name(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_control() || matches!(c, '/' | '\\' | ':' | '\u{202e}') {
                '_'
            } else {
                c
            }
        })
        .take(NAME_LENGTH_MAX)
        .collect();
    match name.trim() {
        "." | ".." => "_".to_owned(),
        name => name.to_owned(),
    }
}

/// Lines end as they do in text files. Most bodies are copied here for the first time.
fn with_plain_line_ends(text: Cow<'_, str>) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest: &str = &text;
    while let Some(at) = memchr::memchr(b'\r', rest.as_bytes())
        && let Some((before, after)) = rest.split_at_checked(at)
    {
        plain.push_str(before);
        rest = match after.strip_prefix("\r\n") {
            Some(after) => {
                plain.push('\n');
                after
            }
            None => {
                plain.push('\r');
                after.get(1..).unwrap_or_default()
            }
        };
    }
    plain.push_str(rest);
    plain
}

/// The text of the parts, joined; `None` where there is no part.
fn body<'r>(
    raw: &'r RawMessage,
    leaves: &[&Leaf],
    limits: &ParseLimits,
    truncated: &mut bool,
) -> Result<Option<Cow<'r, str>>, MimeError> {
    let mut body: Option<Cow<'r, str>> = None;
    for leaf in leaves {
        let length = body.as_ref().map_or(0, |body| body.len());
        let room = limits.body_bytes_max.saturating_sub(length);
        if room == 0 {
            *truncated = true;
            break;
        }
        let text = leaf_text(raw, leaf, room, truncated)?;
        body = Some(match body {
            Some(body) if !body.is_empty() => {
                let mut body = body.into_owned();
                if !body.ends_with('\n') {
                    body.push('\n');
                }
                body.push_str(&text);
                body.into()
            }
            _ => text,
        });
    }
    Ok(body.map(|body| {
        if body.len() <= limits.body_bytes_max {
            return body;
        }
        *truncated = true;
        let mut end = limits.body_bytes_max;
        while !body.is_char_boundary(end) {
            end -= 1;
        }
        let mut body = body.into_owned();
        body.truncate(end);
        body.into()
    }))
}

fn leaf_text<'r>(
    raw: &'r RawMessage,
    leaf: &Leaf,
    room: usize,
    truncated: &mut bool,
) -> Result<Cow<'r, str>, MimeError> {
    // Three encoded bytes for one decoded is the worst that quoted-printable does.
    let encoded_max = u64::try_from(room)
        .unwrap_or(u64::MAX)
        .saturating_mul(3)
        .saturating_add(1024);
    let length = leaf.range.end - leaf.range.start;
    let encoded = read_range(
        raw,
        &(leaf.range.start..leaf.range.start + length.min(encoded_max)),
    )?;
    let mut bytes = if leaf.content.encoding == TransferEncoding::Identity {
        encoded
    } else {
        let mut bytes = Vec::with_capacity(encoded.len().min(room));
        let mut decoder = Decoder::new(leaf.content.encoding);
        decoder.push(&encoded, &mut bytes);
        decoder.finish(&mut bytes);
        bytes.into()
    };
    let cut = bytes.len() > room || length > encoded_max;
    if cut {
        *truncated = true;
        bytes = match bytes {
            Cow::Borrowed(bytes) => bytes.get(..room).unwrap_or(bytes).into(),
            Cow::Owned(mut bytes) => {
                bytes.truncate(room);
                bytes.into()
            }
        };
    }
    let text = match bytes {
        Cow::Borrowed(bytes) => decode_charset(bytes, &leaf.content, cut),
        Cow::Owned(bytes) => decode_charset(&bytes, &leaf.content, cut)
            .into_owned()
            .into(),
    };
    // Databases and terminals choke on it, and it says nothing.
    if memchr::memchr(0, text.as_bytes()).is_none() {
        return Ok(text);
    }
    let mut text = text.into_owned();
    text.retain(|c| c != '\0');
    Ok(text.into())
}

/// The bytes of a range of the raw message; fewer where it ends early.
fn read_range<'r>(raw: &'r RawMessage, range: &Range<u64>) -> Result<Cow<'r, [u8]>, MimeError> {
    if let Some(bytes) = raw.in_memory() {
        let start = usize::try_from(range.start).unwrap_or(usize::MAX);
        let end = usize::try_from(range.end)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        return Ok(bytes.get(start..end).unwrap_or_default().into());
    }
    let mut reader = raw.open().map_err(MimeError::reading)?;
    std::io::copy(&mut reader.by_ref().take(range.start), &mut std::io::sink())
        .map_err(MimeError::reading)?;
    let mut bytes = Vec::new();
    reader
        .take(range.end - range.start)
        .read_to_end(&mut bytes)
        .map_err(MimeError::reading)?;
    Ok(bytes.into())
}

fn decode_charset<'b>(bytes: &'b [u8], content: &Content, cut: bool) -> Cow<'b, str> {
    let label = content.charset.as_deref().unwrap_or_default().trim();
    // Wrong labels are common, and bytes that are valid UTF-8 beyond ASCII are hardly anything else.
    let generic = label.is_empty()
        || ["utf-8", "utf8", "us-ascii", "ascii", "unicode-1-1-utf-8"]
            .iter()
            .any(|known| label.eq_ignore_ascii_case(known));
    let decoder = if generic {
        None
    } else {
        charset_decoder(label.as_bytes())
    };
    match (decoder, std::str::from_utf8(bytes)) {
        (Some(decode), _) => decode(bytes).into(),
        (None, Ok(text)) => text.into(),
        // Cut within a character, or a few bad bytes in what says it is UTF-8.
        (None, Err(err))
            if (cut && err.error_len().is_none())
                || label.to_ascii_lowercase().starts_with("utf") =>
        {
            String::from_utf8_lossy(bytes)
        }
        (None, Err(_)) => crate::fields::windows_1252(bytes).into(),
    }
}

#[cfg(test)]
mod tests;
