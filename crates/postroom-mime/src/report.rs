//! Delivery status notifications, in the form of RFC 3464 and in those that came before it.
//!
//! | Form | Who | How it is told |
//! |---|---|---|
//! | `message/delivery-status` | nearly everybody, Exchange included | RFC 3464 |
//! | QSBMF | qmail and its kin | a text that begins with "Hi. This is the" |
//! | `X-Failed-Recipients` | Exim, Gmail | a header field, beside whatever the body says |
//!
//! What a mail system says in words alone is read for addresses and status codes only where the form is one
//! of these: a person who quotes a bounce has not bounced.

use std::io::Read as _;
use std::ops::Range;

use postroom_core::email::{DeliveryOutcome, DeliveryReport, MessageId, RecipientDelivery};
use postroom_core::{EmailAddress, RawMessage, Timestamp};

use crate::decode::Decoder;
use crate::error::MimeError;
use crate::fields::{Field, split, text};
use crate::headers::parse_headers;
use crate::limits::ParseLimits;
use crate::parse::structure_of;
use crate::structure::{Leaf, is_blank};

/// Most of a part that is read, in bytes, encoded.
const PART_BYTES_MAX: u64 = 256 * 1024;
/// Longest value that is looked at, in bytes.
const VALUE_BYTES_MAX: usize = 4 * 1024;
/// Most recipients of a report.
const RECIPIENTS_MAX: usize = 1000;

/// Reads what a delivery status notification says; `None` where the message is none. `told_at` is when it
/// came.
///
/// ```
/// use postroom_core::{RawMessage, Timestamp};
/// let raw = RawMessage::from_bytes(b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
/// --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n\
/// Final-Recipient: rfc822; ada@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n".to_vec());
/// let limits = postroom_mime::ParseLimits::default();
/// let report = postroom_mime::delivery_report(&raw, Timestamp::EPOCH, &limits)?.ok_or("it is a report")?;
/// assert_eq!(report.recipients[0].status.as_deref(), Some("5.1.1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Code::StoreUnavailable`](postroom_core::Code::StoreUnavailable) where the bytes cannot be read.
pub fn delivery_report(
    raw: &RawMessage,
    told_at: Timestamp,
    limits: &ParseLimits,
) -> Result<Option<DeliveryReport>, MimeError> {
    let structure = structure_of(raw, limits)?;
    let mut report = DeliveryReport::default();
    let status = structure.leaves.iter().find(|leaf| {
        matches!(
            leaf.content.media_type.as_str(),
            "message/delivery-status" | "message/global-delivery-status"
        )
    });
    let fields = split(&structure.header_block);
    let is_report = if let Some(status) = status {
        by_standard(&content(raw, status)?, told_at, &mut report);
        true
    } else if let Some(text) = structure.leaves.iter().find(|leaf| is_text(leaf)) {
        let text = content(raw, text)?;
        by_qmail(&text, told_at, &mut report) || by_header(&fields, &text, told_at, &mut report)
    } else {
        by_header(&fields, b"", told_at, &mut report)
    };
    if !is_report {
        return Ok(None);
    }
    if report.message_id.is_none()
        && let Some(original) = structure.leaves.iter().find(|leaf| is_original(leaf))
    {
        report.message_id = parse_headers(&content(raw, original)?).headers.message_id;
    }
    report.recipients.truncate(RECIPIENTS_MAX);
    Ok(Some(report))
}

fn is_text(leaf: &Leaf) -> bool {
    matches!(leaf.content.media_type.as_str(), "text/plain" | "")
}

/// The message that is reported on, or its headers.
fn is_original(leaf: &Leaf) -> bool {
    matches!(
        leaf.content.media_type.as_str(),
        "message/rfc822" | "text/rfc822-headers" | "message/global" | "message/global-headers"
    )
}

/// The first bytes of a part, decoded.
fn content(raw: &RawMessage, leaf: &Leaf) -> Result<Vec<u8>, MimeError> {
    let Range { start, end } = leaf.range;
    let mut reader = raw.open().map_err(MimeError::reading)?;
    std::io::copy(&mut reader.by_ref().take(start), &mut std::io::sink())
        .map_err(MimeError::reading)?;
    let mut encoded = Vec::new();
    reader
        .take(end.saturating_sub(start).min(PART_BYTES_MAX))
        .read_to_end(&mut encoded)
        .map_err(MimeError::reading)?;
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut decoder = Decoder::new(leaf.content.encoding);
    decoder.push(&encoded, &mut decoded);
    decoder.finish(&mut decoded);
    Ok(decoded)
}

/// The groups of fields that blank lines part: the first is about the message, each further one about a
/// recipient. Source: RFC 3464 section 2.1.
fn by_standard(content: &[u8], at: Timestamp, report: &mut DeliveryReport) {
    for group in groups(content) {
        let fields = split(group);
        let value = |name: &str| {
            fields
                .iter()
                .find(|field| field.is(name))
                .map(|field| text(field.value, VALUE_BYTES_MAX))
        };
        // Not of the standard, and told by several.
        let original = value("Original-Message-ID").or_else(|| value("X-Original-Message-ID"));
        if let Some(id) = original.and_then(|id| id.parse::<MessageId>().ok()) {
            report.message_id.get_or_insert(id);
        }
        let Some(outcome) = value("Action").and_then(|action| outcome_of(&action)) else {
            continue;
        };
        let address = value("Original-Recipient")
            .and_then(|value| address_of(&value))
            .or_else(|| value("Final-Recipient").and_then(|value| address_of(&value)));
        let Some(address) = address else {
            continue;
        };
        let mut said = RecipientDelivery::new(address, outcome, at);
        said.status = value("Status").and_then(|status| status_in(&status));
        let diagnostic = value("Diagnostic-Code").unwrap_or_default();
        let diagnostic = diagnostic
            .split_once(';')
            .map_or(diagnostic.as_str(), |(_, words)| words.trim());
        if said.status.is_none() {
            said.status = status_in(diagnostic);
        }
        if report.recipients.len() < RECIPIENTS_MAX {
            report.recipients.push(said.with_diagnostic(diagnostic));
        }
    }
}

/// Runs of lines without a blank one.
fn groups(content: &[u8]) -> Vec<&[u8]> {
    let mut groups = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        if is_blank(line) {
            groups.push(content.get(start..at).unwrap_or_default());
            start = at + line.len();
        }
        at += line.len();
    }
    groups.push(content.get(start..).unwrap_or_default());
    groups.retain(|group| !group.is_empty());
    groups.truncate(RECIPIENTS_MAX + 1);
    groups
}

fn outcome_of(action: &str) -> Option<DeliveryOutcome> {
    let word = action.split([' ', '(', ';']).next().unwrap_or_default();
    Some(match word.to_ascii_lowercase().as_str() {
        "failed" => DeliveryOutcome::Failed,
        "delayed" => DeliveryOutcome::Delayed,
        "delivered" => DeliveryOutcome::Delivered,
        "relayed" => DeliveryOutcome::Relayed,
        "expanded" => DeliveryOutcome::Expanded,
        _ => return None,
    })
}

/// The address in `rfc822; ada@example.org`; some leave the type out or put brackets around.
fn address_of(value: &str) -> Option<EmailAddress> {
    let address = value.split_once(';').map_or(value, |(_, address)| address);
    let address = address.trim().trim_matches(['<', '>']);
    // Original-Recipient is in xtext where a client put it there. Source: RFC 3461 section 4.
    address.replace("+2B", "+").replace("+3D", "=").parse().ok()
}

/// The first enhanced status code of a text. Source: RFC 3463 section 2.
fn status_in(text: &str) -> Option<String> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.'))
        .map(|word| word.trim_matches('.'))
        .find(|word| {
            let parts: Vec<&str> = word.split('.').collect();
            let short = parts.iter().all(|part| (1..=3).contains(&part.len()));
            short && matches!(parts.as_slice(), ["2" | "4" | "5", _, _])
        })
        .map(str::to_owned)
}

/// qmail's own form: a paragraph for each recipient, its address in brackets with a colon, then why; at last the
/// message. Source: <https://cr.yp.to/proto/qsbmf.txt>.
fn by_qmail(content: &[u8], at: Timestamp, report: &mut DeliveryReport) -> bool {
    let text = String::from_utf8_lossy(content);
    let text = text.trim_start().replace("\r\n", "\n");
    if !text.starts_with("Hi. This is the ") {
        return false;
    }
    let mut paragraphs = text.split("\n\n").skip(1);
    for paragraph in paragraphs.by_ref() {
        let paragraph = paragraph.trim_start_matches('\n');
        if paragraph.starts_with('-') {
            break;
        }
        let Some((recipient, words)) = paragraph
            .strip_prefix('<')
            .and_then(|rest| rest.split_once(">:\n"))
        else {
            continue;
        };
        if let Ok(address) = recipient.parse::<EmailAddress>()
            && report.recipients.len() < RECIPIENTS_MAX
        {
            let mut said = RecipientDelivery::new(address, DeliveryOutcome::Failed, at);
            said.status = status_in(words);
            let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
            report.recipients.push(said.with_diagnostic(&words));
        }
    }
    let original = paragraphs.collect::<Vec<_>>().join("\n\n");
    report.message_id = parse_headers(original.as_bytes()).headers.message_id;
    !report.recipients.is_empty()
}

/// Exim's field; the message follows in the text, after a line of its own.
fn by_header(
    fields: &[Field<'_>],
    content: &[u8],
    at: Timestamp,
    report: &mut DeliveryReport,
) -> bool {
    let text_of_body = String::from_utf8_lossy(content).replace("\r\n", "\n");
    let (words, original) = text_of_body
        .split_once("\n------ This is a copy of")
        .map_or((text_of_body.as_str(), ""), |(words, original)| {
            (
                words,
                original.split_once("\n\n").map_or("", |(_, rest)| rest),
            )
        });
    let named = fields
        .iter()
        .filter(|field| field.is("X-Failed-Recipients"));
    for field in named {
        for address in text(field.value, VALUE_BYTES_MAX).split(',') {
            let Ok(address) = address.trim().parse::<EmailAddress>() else {
                continue;
            };
            if report.recipients.len() < RECIPIENTS_MAX {
                let mut said = RecipientDelivery::new(address, DeliveryOutcome::Failed, at);
                let about = words
                    .split_once(said.address.as_str())
                    .map_or(words, |(_, about)| about);
                said.status = status_in(about);
                report.recipients.push(said);
            }
        }
    }
    report.message_id = parse_headers(original.as_bytes()).headers.message_id;
    !report.recipients.is_empty()
}

#[cfg(test)]
mod tests;
