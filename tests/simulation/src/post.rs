//! Messages as people outside write them.

use std::fmt::Write as _;

use bytes::Bytes;
use postroom_core::Timestamp;

use crate::action::{Answer, Shape};
use crate::randomness::Draw;

/// What every text of this world begins with.
const MARKER: &str = "marker: ";

/// A message as somebody saw it who may answer it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its Message-ID, in angle brackets; empty where it has none.
    pub id: String,
    /// Its subject, with any token.
    pub subject: String,
    /// Its Thread-Index; empty where it has none.
    pub index: String,
}

/// What a message is made of.
#[derive(Debug)]
pub struct Draft<'a> {
    /// Its marker.
    pub marker: &'a str,
    /// The sender.
    pub from: &'a str,
    /// The recipients.
    pub to: &'a [String],
    /// When it is written.
    pub now: Timestamp,
    /// How it looks.
    pub shape: Shape,
    /// How it answers what.
    pub answer: Answer,
    /// What it answers, as its writer saw it.
    pub seen: Option<&'a Seen>,
    /// The Message-ID that it repeats, where it does.
    pub repeats: Option<&'a str>,
}

/// The line that every message has, by which the oracle finds it everywhere.
#[must_use]
pub fn marker_line(marker: &str) -> String {
    format!("{MARKER}{marker}.")
}

/// The marker of a message; bodies in Base64 are looked into.
#[must_use]
pub fn marker_in(raw: &[u8]) -> Option<String> {
    plain_marker(raw).or_else(|| {
        const SIGN: &[u8] = b"base64";
        let mut rest = raw;
        while let Some(at) = find(rest, SIGN) {
            rest = &rest[at + SIGN.len()..];
            let body = find(rest, b"\r\n\r\n").map(|at| &rest[at + 4..])?;
            if let Some(marker) = plain_marker(&unpack(body)) {
                return Some(marker);
            }
        }
        None
    })
}

fn find(bytes: &[u8], sign: &[u8]) -> Option<usize> {
    bytes.windows(sign.len()).position(|window| window == sign)
}

fn plain_marker(text: &[u8]) -> Option<String> {
    let rest = &text[find(text, MARKER.as_bytes())? + MARKER.len()..];
    let end = rest
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'-'))?;
    String::from_utf8(rest[..end].to_vec()).ok()
}

/// The first bytes of a body in Base64: as far as markers stand.
fn unpack(body: &[u8]) -> Vec<u8> {
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in body.iter().take(400) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'\r' | b'\n' => continue,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    out
}

/// The value of a header, unfolded; only of the message itself.
#[must_use]
pub fn header(raw: &[u8], name: &str) -> Option<String> {
    let end = raw
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or(raw.len());
    let head = String::from_utf8_lossy(&raw[..end]);
    let mut lines = head.split("\r\n").peekable();
    while let Some(line) = lines.next() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        if line.starts_with([' ', '\t']) || !key.eq_ignore_ascii_case(name) {
            continue;
        }
        let mut value = value.trim().to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with([' ', '\t'])) {
            value.push(' ');
            value.push_str(more.trim());
        }
        return Some(value);
    }
    None
}

/// A date as messages have it: `21 Sep 2026 08:00:00 +0000`.
#[must_use]
pub fn date(at: Timestamp) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    // 2026-09-21T08:00:00[.123]Z
    let text = at.to_string();
    let month: usize = text[5..7].parse().expect("a month");
    format!(
        "{} {} {} {} +0000",
        &text[8..10],
        MONTHS[month - 1],
        &text[..4],
        &text[11..19]
    )
}

/// Words that no other message of the run has together.
#[must_use]
pub fn subject(draw: &mut Draw, number: u32) -> String {
    const WORDS: [&str; 24] = [
        "offer",
        "invoice",
        "delivery",
        "meeting",
        "contract",
        "complaint",
        "order",
        "visit",
        "question",
        "report",
        "travel",
        "printer",
        "garden",
        "bridge",
        "lamp",
        "engine",
        "paint",
        "window",
        "harbour",
        "letter",
        "piano",
        "violet",
        "copper",
        "orchard",
    ];
    let mut words = String::new();
    for _ in 0..draw.between(2, 4) {
        let _ = write!(words, "{} ", draw.pick(&WORDS));
    }
    // Letters that are a word of their own.
    let mut name = String::new();
    let mut rest = u64::from(number) + 26 * 26;
    while rest > 0 {
        name.push(char::from(b'a' + (rest % 26) as u8));
        rest /= 26;
    }
    format!("{words}q{name}")
}

/// Writes a message. Answers it with its Message-ID (empty where it has none) and its subject.
#[must_use]
pub fn write(draft: &Draft<'_>, draw: &mut Draw, number: u32) -> (Bytes, Seen) {
    let mut head: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: String| head.push((name.to_owned(), value));
    let seen = draft.seen;
    let text = |seen: &Seen| seen.subject.clone();
    let own = subject(draw, number);
    let without_token = |seen: &Seen| {
        let mut words: Vec<&str> = seen.subject.split_whitespace().collect();
        words.retain(|word| !word.contains(':') || word.len() < 5);
        words.join(" ")
    };
    let mut subject = match (draft.answer, seen) {
        (Answer::Id(_) | Answer::Token(_), Some(seen)) => format!("RE: {}", text(seen)),
        (Answer::Subject(_) | Answer::Index(_), Some(seen)) => {
            format!("RE: {}", without_token(seen))
        }
        (Answer::Forward(_), Some(seen)) => format!("FW: {}", text(seen)),
        (_, _) => own,
    };
    if let Shape::LongSubject(length) = draft.shape {
        while subject.len() < usize::from(length) {
            subject.push_str(" and more of it");
        }
    }
    let domain = draft.from.rsplit('@').next().unwrap_or("outside.example");
    let fresh = format!("<{}.{}@{domain}>", draft.marker, draw.below(1 << 40));
    let id = match draft.shape {
        Shape::NoId | Shape::NoIdNoDate => String::new(),
        Shape::RepeatedId(_) => draft.repeats.map_or(fresh, str::to_owned),
        _ => fresh,
    };
    add("From", format!("Somebody <{}>", draft.from));
    add("To", draft.to.join(", "));
    add("Subject", fold(&subject));
    if draft.shape != Shape::NoIdNoDate {
        add("Date", date(draft.now));
    }
    if !id.is_empty() {
        add("Message-ID", id.clone());
    }
    let mut index = String::new();
    if let Some(seen) = seen {
        match draft.answer {
            Answer::Id(_) if !seen.id.is_empty() => {
                add("In-Reply-To", seen.id.clone());
                add("References", seen.id.clone());
            }
            Answer::Forward(_) if !seen.id.is_empty() => add("References", seen.id.clone()),
            Answer::Index(_) if !seen.index.is_empty() => {
                index.clone_from(&seen.index);
                add("Thread-Index", index.clone());
            }
            _ => {}
        }
    }
    add("MIME-Version", "1.0".to_owned());
    let line = marker_line(draft.marker);
    let raw = body(&mut head, draft.shape, &line, draw);
    let seen = Seen { id, subject, index };
    (raw, seen)
}

fn fold(subject: &str) -> String {
    let mut folded = String::new();
    let mut width = 9;
    for word in subject.split(' ') {
        if width + word.len() > 76 && width > 9 {
            folded.push_str("\r\n");
            width = 0;
        }
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
        width += word.len() + 1;
    }
    folded
}

fn body(head: &mut Vec<(String, String)>, shape: Shape, line: &str, draw: &mut Draw) -> Bytes {
    let plain = "text/plain; charset=utf-8".to_owned();
    let boundary = format!("b{:x}", draw.number());
    let multipart = |kind: &str| format!("multipart/{kind}; boundary=\"{boundary}\"");
    let part = |kind: &str, more: &str, text: &str| {
        format!("--{boundary}\r\nContent-Type: {kind}\r\n{more}\r\n{text}\r\n")
    };
    let end = format!("--{boundary}--\r\n");
    let (kind, text) = match shape {
        Shape::Alternative => (
            multipart("alternative"),
            part(&plain, "", line)
                + &part("text/html; charset=utf-8", "", &format!("<p>{line}</p>"))
                + &end,
        ),
        Shape::Attachment(bytes) => {
            let mut data = String::new();
            for number in 0..bytes / 60 {
                let _ = write!(data, "{number:060}\r\n");
            }
            let disposition = "Content-Disposition: attachment; filename=\"data.txt\"\r\n";
            (
                multipart("mixed"),
                part(&plain, "", line) + &part("text/plain", disposition, &data) + &end,
            )
        }
        Shape::Odd(kind) => return odd(head, kind, line, &boundary),
        _ => (plain, format!("{line}\r\nGood day.\r\n")),
    };
    head.push(("Content-Type".to_owned(), kind));
    assemble(head, text.as_bytes())
}

fn assemble(head: &[(String, String)], text: &[u8]) -> Bytes {
    let mut raw = String::new();
    for (name, value) in head {
        let _ = write!(raw, "{name}: {value}\r\n");
    }
    raw.push_str("\r\n");
    let mut raw = raw.into_bytes();
    raw.extend_from_slice(text);
    raw.into()
}

/// How many ways of being unusual there are.
pub const ODDITIES: u8 = 10;

fn odd(head: &mut Vec<(String, String)>, kind: u8, line: &str, boundary: &str) -> Bytes {
    let mut add = |name: &str, value: &str| head.push((name.to_owned(), value.to_owned()));
    let mut text = format!("{line}\r\n").into_bytes();
    match kind % ODDITIES {
        // A character set that nobody knows.
        0 => add("Content-Type", "text/plain; charset=x-klingon"),
        // A multipart without its end.
        1 => {
            add(
                "Content-Type",
                &format!("multipart/mixed; boundary=\"{boundary}\""),
            );
            text =
                format!("--{boundary}\r\nContent-Type: text/plain\r\n\r\n{line}\r\n").into_bytes();
        }
        // A multipart without its boundary.
        2 => add("Content-Type", "multipart/mixed"),
        // Bytes that are no text.
        3 => {
            add("Content-Type", "text/plain; charset=utf-8");
            text.extend_from_slice(&[0xff, 0xfe, 0x00, 0x80, b'\r', b'\n']);
        }
        // Broken quoted-printable.
        4 => {
            add("Content-Type", "text/plain");
            add("Content-Transfer-Encoding", "quoted-printable");
            text.extend_from_slice(b"=ZZ=\r\n=4\r\n");
        }
        // Many references.
        5 => {
            let mut all = String::new();
            for number in 0..200 {
                let _ = write!(all, "<r{number}@elsewhere.example>\r\n ");
            }
            add("References", all.trim_end());
        }
        // Parts within parts.
        6 => {
            let mut inner = format!("Content-Type: text/plain\r\n\r\n{line}\r\n");
            for level in 0..30 {
                inner = format!(
                    "Content-Type: multipart/mixed; boundary=\"{boundary}{level}\"\r\n\r\n\
                     --{boundary}{level}\r\n{inner}\r\n--{boundary}{level}--\r\n"
                );
            }
            let (kind, rest) = inner.split_once("\r\n\r\n").expect("just made");
            add("Content-Type", kind.trim_start_matches("Content-Type: "));
            text = rest.as_bytes().to_vec();
        }
        // A line that is far too long.
        7 => {
            text.extend(std::iter::repeat_n(b'x', 30_000));
            text.extend_from_slice(b"\r\n");
        }
        // Headers that make no sense.
        8 => {
            add("Date", "yesterday");
            add("Importance", "=?utf-8?q?=zz?=");
            add("Sender", "<>, @, nobody");
        }
        // Another message inside.
        _ => {
            add(
                "Content-Type",
                &format!("multipart/mixed; boundary=\"{boundary}\""),
            );
            text = format!(
                "--{boundary}\r\nContent-Type: text/plain\r\n\r\n{line}\r\n\
                 --{boundary}\r\nContent-Type: message/rfc822\r\n\r\n\
                 From: x@elsewhere.example\r\nMessage-ID: <inner@elsewhere.example>\r\n\
                 Subject: inner\r\n\r\nInner.\r\n--{boundary}--\r\n"
            )
            .into_bytes();
        }
    }
    assemble(head, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_found_in_text_and_in_base64() {
        assert_eq!(
            marker_in(b"x\r\n\r\nmarker: m1-2.").as_deref(),
            Some("m1-2")
        );
        let packed =
            b"Content-Transfer-Encoding: base64\r\n\r\nRGVhciBhbGwsDQptYXJrZXI6IG03LTEyLg0K\r\n";
        assert_eq!(marker_in(packed).as_deref(), Some("m7-12"));
        assert_eq!(marker_in(b"base64\r\n\r\nRGVhcg=="), None);
    }
}
