//! Messages to check with.

use postroom_core::EmailAddress;

/// A word that stands in subjects and nowhere else: an error must not tell it.
pub(super) const SUBJECT_WORD: &str = "quagga-ledger";
/// A word that stands in bodies and nowhere else.
pub(super) const BODY_WORD: &str = "velvet-otter";
/// The author of what is delivered.
pub(super) const AUTHOR: &str = "vera.example@conformance.example";

/// A message and its identity.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Message-ID without brackets.
    pub(super) message_id: String,
    pub(super) raw: Vec<u8>,
}

impl Sample {
    /// A message made of header lines, without Message-ID, and a body.
    pub(super) fn of(message_id: &str, lines: &[&str], body: &[u8]) -> Self {
        let mut raw = Vec::new();
        for line in lines {
            raw.extend_from_slice(line.as_bytes());
            raw.extend_from_slice(b"\r\n");
        }
        raw.extend_from_slice(format!("Message-ID: <{message_id}>\r\n\r\n").as_bytes());
        raw.extend_from_slice(body);
        Self {
            message_id: message_id.to_owned(),
            raw,
        }
    }

    /// A small message to the account.
    pub(super) fn plain(message_id: &str, to: &EmailAddress) -> Self {
        Self::with_body(
            message_id,
            to,
            format!("{BODY_WORD}: nothing of interest.\r\n").as_bytes(),
        )
    }

    /// A message to the account with this body.
    pub(super) fn with_body(message_id: &str, to: &EmailAddress, body: &[u8]) -> Self {
        let lines = [
            format!("From: Vera Example <{AUTHOR}>"),
            format!("To: <{to}>"),
            format!("Subject: {SUBJECT_WORD} {message_id}"),
            "Date: Sun, 22 Nov 2026 09:15:00 +0100".to_owned(),
            "MIME-Version: 1.0".to_owned(),
            "Content-Type: text/plain; charset=utf-8".to_owned(),
        ];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        Self::of(message_id, &lines, body)
    }

    /// A message from the account to somebody.
    pub(super) fn outgoing(message_id: &str, from: &EmailAddress, to: &EmailAddress) -> Self {
        let lines = [
            format!("From: <{from}>"),
            format!("To: <{to}>"),
            format!("Subject: {SUBJECT_WORD} {message_id}"),
            "Date: Sun, 22 Nov 2026 09:20:00 +0100".to_owned(),
            "MIME-Version: 1.0".to_owned(),
            "Content-Type: text/plain; charset=utf-8".to_owned(),
        ];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let body = format!("{BODY_WORD}: an answer.\r\n");
        Self::of(message_id, &lines, body.as_bytes())
    }

    /// A message to the account of about so many bytes.
    pub(super) fn large(message_id: &str, to: &EmailAddress, bytes: usize) -> Self {
        const LINE: &[u8] = b"All work and no play makes a dull message, again and again.\r\n";
        let body = LINE.repeat(bytes.div_ceil(LINE.len()));
        Self::with_body(message_id, to, &body)
    }
}
