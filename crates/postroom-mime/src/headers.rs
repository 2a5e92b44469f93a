//! The headers that decisions are made of.

use mail_parser::HeaderValue;
use mail_parser::parsers::MessageStream;
use postroom_core::email::{
    ConversationIndex, Defect, EmailHeaders, Importance, MessageId, Sensitivity,
};
use postroom_core::{EmailAddress, NamedAddress, Timestamp};

use crate::decode::{Decoder, TransferEncoding};
use crate::fields::{Field, defuse, split, text, unfold, unfold_verbatim, without_controls};
use crate::limits::ParseLimits;
use crate::verbatim::Verbatim;

/// Longest subject that is kept, in bytes.
const SUBJECT_BYTES_MAX: usize = 8 * 1024;

/// Longest short value (a date, a priority) that is looked at, in bytes.
const SHORT_BYTES_MAX: usize = 1024;

/// Longest address field that is looked at, in bytes.
const ADDRESSES_BYTES_MAX: usize = 256 * 1024;

/// At most so many addresses of delivery are kept.
const DELIVERED_TO_MAX: usize = 32;

/// Longest display name that is kept, in characters.
const NAME_LENGTH_MAX: usize = 500;

/// The headers of a message, and what was odd about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParsedHeaders {
    /// The headers.
    pub headers: EmailHeaders,
    /// What was odd, sorted, each once.
    pub defects: Vec<Defect>,
    /// How many header fields there are; with none the bytes are no message.
    pub field_count: usize,
}

/// Reads the headers from the first bytes of a message, up to the empty line that ends them or to
/// the end of the bytes. Never fails: without any field the result is empty, with its defects.
///
/// ```
/// let parsed = postroom_mime::parse_headers(b"From: Ada <ada@example.org>\r\nSubject: hi\r\n\r\nbody");
/// assert_eq!(parsed.headers.subject, "hi");
/// assert_eq!(parsed.headers.from.unwrap().address.as_str(), "ada@example.org");
/// ```
#[must_use]
pub fn parse_headers(bytes: &[u8]) -> ParsedHeaders {
    let limits = ParseLimits::default();
    let mut block = Vec::new();
    let mut limited = false;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if crate::structure::is_blank(line) {
            if block.is_empty() {
                continue;
            }
            break;
        }
        if block.is_empty() && crate::structure::is_mbox_line(line) {
            continue;
        }
        if block.len() + line.len() > limits.header_bytes_max {
            limited = true;
            break;
        }
        block.extend_from_slice(line);
    }
    let mut parsed = from_block(&block, &limits);
    if limited {
        parsed.defects.push(Defect::StructureLimited);
        parsed.defects.sort();
    }
    parsed
}

pub(crate) fn from_block(block: &[u8], limits: &ParseLimits) -> ParsedHeaders {
    let fields = split(block);
    let mut reader = Reader {
        fields: &fields,
        addresses_left: limits.addresses_max,
        left_out: 0,
    };
    let mut headers = EmailHeaders::default();
    headers.message_id = reader.identifiers("Message-ID", 1).into_iter().next();
    headers.in_reply_to = reader.identifiers("In-Reply-To", limits.identifiers_max);
    headers.references = reader.identifiers("References", usize::MAX);
    headers.conversation_index = reader
        .first("Thread-Index")
        .and_then(|field| conversation_index(field.value));
    headers.subject = reader
        .first("Subject")
        .map(|field| text(field.value, SUBJECT_BYTES_MAX))
        .unwrap_or_default();
    headers.from = reader.addresses("From").into_iter().next();
    headers.sender = reader.addresses("Sender").into_iter().next();
    headers.reply_to = reader.addresses("Reply-To");
    headers.to = reader.addresses("To");
    headers.cc = reader.addresses("Cc");
    headers.bcc = reader.addresses("Bcc");
    headers.sent_at = reader.first("Date").and_then(|field| date(field.value));
    headers.auto_submitted = reader
        .keyword("Auto-Submitted")
        .filter(|value| value != "no");
    headers.delivery_report = reader.is_delivery_report(headers.from.as_ref());
    headers.automatic =
        headers.auto_submitted.is_some() || headers.delivery_report || reader.is_automatic();
    headers.sensitivity = reader.sensitivity();
    headers.importance = reader.importance();
    let left_out = reader.left_out;
    headers.delivered_to = reader.delivered_to();
    keep_nearest(&mut headers.references, limits.identifiers_max);

    let mut defects = Vec::new();
    if headers.from.is_none() {
        defects.push(Defect::NoSender);
        // Who sent it for an author that is missing is the best there is to answer to.
        headers.from = headers.sender.clone();
    }
    if headers.sent_at.is_none() {
        defects.push(Defect::NoDate);
    }
    if headers.message_id.is_none() {
        defects.push(Defect::NoMessageId);
    }
    if left_out > 0 {
        defects.push(Defect::AddressesLeftOut(left_out));
    }
    defects.sort();
    ParsedHeaders {
        headers,
        defects,
        field_count: fields.len(),
    }
}

struct Reader<'a> {
    fields: &'a [Field<'a>],
    addresses_left: usize,
    left_out: u32,
}

impl<'a> Reader<'a> {
    fn all(&self, name: &'static str) -> impl Iterator<Item = Field<'a>> + use<'a> {
        self.fields
            .iter()
            .copied()
            .filter(move |field| field.is(name))
    }

    fn first(&self, name: &'static str) -> Option<Field<'a>> {
        self.all(name).next()
    }

    /// A value that is a word, perhaps with parameters, in lower case.
    fn keyword(&self, name: &'static str) -> Option<String> {
        let value = text(self.first(name)?.value, SHORT_BYTES_MAX).to_ascii_lowercase();
        let word = value.split([';', '(']).next().unwrap_or_default().trim();
        (!word.is_empty()).then(|| word.to_owned())
    }

    /// Whether the header says that it is a delivery status notification: by its type, by the field that Exim
    /// adds, or by a sender that only mail systems have.
    fn is_delivery_report(&self, from: Option<&NamedAddress>) -> bool {
        let kind = self
            .first("Content-Type")
            .map(|field| text(field.value, SHORT_BYTES_MAX).to_ascii_lowercase())
            .unwrap_or_default();
        if kind.starts_with("multipart/report") {
            return kind.contains("delivery-status");
        }
        let local = from.map(|from| from.address.local_part().to_ascii_lowercase());
        self.first("X-Failed-Recipients").is_some() || local.as_deref() == Some("mailer-daemon")
    }

    /// Signs of programs and lists besides Auto-Submitted.
    fn is_automatic(&self) -> bool {
        let says = |name, words: &[&str]| {
            self.first(name).is_some_and(|field| {
                let value = text(field.value, SHORT_BYTES_MAX).to_ascii_lowercase();
                value
                    .split([',', ';', ' '])
                    .any(|word| words.contains(&word.trim()))
            })
        };
        let null_path = self
            .first("Return-Path")
            .is_some_and(|field| text(field.value, SHORT_BYTES_MAX) == "<>");
        null_path
            || says("X-Auto-Response-Suppress", &["all", "autoreply", "oof"])
            || says("Precedence", &["bulk", "junk", "list", "auto_reply"])
            || ["List-Id", "List-Post", "X-Autoreply", "X-Autorespond"]
                .into_iter()
                .any(|name| self.first(name).is_some())
    }

    fn sensitivity(&self) -> Sensitivity {
        match self.keyword("Sensitivity").as_deref() {
            Some("personal") => Sensitivity::Personal,
            Some("private") => Sensitivity::Private,
            Some("company-confidential" | "company confidential" | "confidential") => {
                Sensitivity::Confidential
            }
            _ => Sensitivity::Normal,
        }
    }

    fn importance(&self) -> Importance {
        let marks = ["Importance", "Priority", "X-MSMail-Priority", "X-Priority"];
        for mark in marks.into_iter().filter_map(|name| self.keyword(name)) {
            match mark.split_whitespace().next().unwrap_or_default() {
                "high" | "urgent" | "1" | "2" => return Importance::High,
                "low" | "non-urgent" | "4" | "5" => return Importance::Low,
                _ => {}
            }
        }
        Importance::Normal
    }

    fn identifiers(&self, name: &'static str, count_max: usize) -> Vec<MessageId> {
        let mut ids = Vec::new();
        for field in self.all(name) {
            identifiers(field.value, count_max, &mut ids);
        }
        ids
    }

    fn addresses(&mut self, name: &'static str) -> Vec<NamedAddress> {
        let mut found = Vec::new();
        for field in self.all(name) {
            let line = unfold_verbatim(field.value, ADDRESSES_BYTES_MAX);
            for address in mailboxes(line) {
                match address {
                    Some(address) if self.addresses_left > 0 => {
                        self.addresses_left -= 1;
                        found.push(address);
                    }
                    _ => self.left_out = self.left_out.saturating_add(1),
                }
            }
        }
        found
    }

    fn delivered_to(&mut self) -> Vec<EmailAddress> {
        let mut found: Vec<EmailAddress> = Vec::new();
        for name in [
            "Delivered-To",
            "X-Delivered-To",
            "X-Original-To",
            "Envelope-To",
            "X-Envelope-To",
        ] {
            for named in self.addresses(name) {
                if found.len() < DELIVERED_TO_MAX && !found.contains(&named.address) {
                    found.push(named.address);
                }
            }
        }
        found
    }
}

/// The mailboxes of an unfolded field; `None` for what is no address.
fn mailboxes(mut line: Vec<u8>) -> Vec<Option<NamedAddress>> {
    if let Some(mut verbatim) = Verbatim::of(&line) {
        let mut left = verbatim.count();
        let shown = verbatim.take_line();
        let read = addresses(&shown, |name, address| {
            match address.and_then(|address| verbatim.address(address)) {
                Some(whole) => {
                    left = left.saturating_sub(1);
                    usable(name, Some(whole))
                }
                None => usable(name, address),
            }
        });
        // Otherwise one of them was no address, but part of a comment or the like.
        if left == 0 {
            return read;
        }
    }
    defuse(&mut line);
    addresses(&line, usable)
}

fn addresses<T>(line: &[u8], mut take: impl FnMut(Option<&str>, Option<&str>) -> T) -> Vec<T> {
    let HeaderValue::Address(parsed) = MessageStream::new(line).parse_address() else {
        return Vec::new();
    };
    parsed
        .iter()
        .map(|one| take(one.name.as_deref(), one.address.as_deref()))
        .collect()
}

/// An address that can be used, from what the field parser took for name and address.
fn usable(name: Option<&str>, address: Option<&str>) -> Option<NamedAddress> {
    let parsed = |text: &str| {
        let text = text.trim().trim_matches(['\'', '<', '>']);
        let text = text
            .get(..7)
            .filter(|head| head.eq_ignore_ascii_case("mailto:"))
            .map_or(text, |_| text.get(7..).unwrap_or(text));
        text.parse::<EmailAddress>().ok()
    };
    let name = name.map(without_controls).unwrap_or_default();
    match address.and_then(parsed) {
        Some(address) => Some(NamedAddress::new(
            name.chars().take(NAME_LENGTH_MAX).collect::<String>(),
            address,
        )),
        // "ada@example.org <>" and the like: what looks like a name is the address.
        None => parsed(&name).map(NamedAddress::from),
    }
}

/// The identifiers of a value: what stands in angle brackets, or without any brackets, the words
/// that hold an `@`; a lone word otherwise. At most `count_max` in all.
fn identifiers(value: &[u8], count_max: usize, ids: &mut Vec<MessageId>) {
    let line = unfold_verbatim(value, ADDRESSES_BYTES_MAX);
    let line = String::from_utf8_lossy(&line);
    let mut push = |text: &str| {
        // Folding inside an identifier leaves white space that was never part of it.
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        if ids.len() < count_max
            && let Ok(id) = text.parse::<MessageId>()
            && !id.as_str().contains(['<', '>'])
            && ids.last() != Some(&id)
        {
            ids.push(id);
        }
    };
    if line.contains('<') {
        for piece in line.split('<').skip(1) {
            // A bracket that is never closed ends with the next blank.
            let end = piece
                .find('>')
                .or_else(|| piece.find(char::is_whitespace))
                .unwrap_or(piece.len());
            push(piece.get(..end).unwrap_or_default());
        }
        return;
    }
    let words: Vec<_> = line
        .split_whitespace()
        .map(|word| word.trim_matches([',', ';', '"']))
        .collect();
    if let [only] = words.as_slice() {
        push(only);
        return;
    }
    words
        .into_iter()
        .filter(|word| word.contains('@'))
        .for_each(push);
}

/// Of too many ancestors the first, which names the thread, and the nearest are kept.
fn keep_nearest(ids: &mut Vec<MessageId>, count_max: usize) {
    if ids.len() > count_max && count_max > 0 {
        ids.drain(1..=ids.len() - count_max);
    }
}

fn conversation_index(value: &[u8]) -> Option<ConversationIndex> {
    let value = value
        .get(..2 * ConversationIndex::BYTES_MAX)
        .unwrap_or(value);
    let mut bytes = Vec::new();
    let mut decoder = Decoder::new(TransferEncoding::Base64);
    decoder.push(value, &mut bytes);
    ConversationIndex::from_bytes(bytes)
}

fn date(value: &[u8]) -> Option<Timestamp> {
    let line = with_whole_time(&unfold(value, SHORT_BYTES_MAX));
    let HeaderValue::DateTime(mut date) = MessageStream::new(&line).parse_date() else {
        return None;
    };
    // Years of three digits, as RFC 5322 section 4.3 reads them.
    if (100..=999).contains(&date.year) {
        date.year += 1900;
    }
    // A leap second; the clock here has none.
    date.second = date
        .second
        .min(if date.second == 60 { 59 } else { u8::MAX });
    date.is_valid()
        .then(|| Timestamp::from_seconds(date.to_timestamp()))
}

/// Puts in the seconds and the zone that RFC 5322 lets senders leave out, or that they forget: the
/// field parser wants both.
fn with_whole_time(line: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(line);
    let mut out = String::with_capacity(text.len() + 16);
    let mut zone = None;
    for word in text.split_whitespace() {
        out.push_str(word);
        let is_time = word.contains(':') && word.bytes().all(|b| b.is_ascii_digit() || b == b':');
        if is_time && zone.is_none() {
            zone = Some(false);
            if word.matches(':').count() == 1 {
                out.push_str(":00");
            }
        } else if zone == Some(false)
            && word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '+' || c == '-')
        {
            zone = Some(true);
        }
        out.push(' ');
    }
    if zone == Some(false) {
        out.push_str("+0000");
    }
    out.push('\n');
    out.into_bytes()
}

#[cfg(test)]
mod tests;
