//! What makes two copies of a message the same message.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::email::{Direction, Email, EmailHeaders, MessageId};
use crate::id::RecordId;
use crate::time::Timestamp;

/// The key under which the content of a message is known, whatever mailbox or protocol it came by:
/// 32 bytes of SHA-256. It is also the idempotency key of the record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentKey([u8; 32]);

impl ContentKey {
    /// A key that was stored before.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentKey({self})")
    }
}

/// How a message is recognised when it is met again.
///
/// A Message-ID alone is not enough: some senders repeat it on messages that differ, and joining
/// those would lose mail. With the Date it is (ADR 0003). Without a Message-ID everything counts
/// that survives delivery to another mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ContentIdentity {
    /// By Message-ID and Date.
    MessageId(ContentKey),
    /// By Date, From, recipients and subject: there is no Message-ID. Not enough to join by; see
    /// [`Self::with_content`].
    Headers(ContentKey),
    /// By headers, body and attachments: there is no Message-ID.
    Content(ContentKey),
}

impl ContentIdentity {
    /// The identity of a message with these headers; `received_at` stands in for a missing Date of
    /// a message that has no Message-ID either.
    #[must_use]
    pub fn of(headers: &EmailHeaders, received_at: Timestamp) -> Self {
        let mut hash = Hasher(Sha256::new());
        if let Some(id) = &headers.message_id {
            hash.field(b"message-id", id.as_str().as_bytes());
            let dated = headers
                .sent_at
                .filter(|_| !crate::planted!(MessageIdAloneIsIdentity));
            if let Some(at) = dated {
                // Whole seconds: servers that rebuild a message drop the rest.
                hash.field(b"date", &at.as_millis().div_euclid(1000).to_be_bytes());
            }
            return Self::MessageId(hash.finish());
        }
        let at = headers.sent_at.unwrap_or(received_at);
        hash.field(b"date", &at.as_millis().div_euclid(1000).to_be_bytes());
        if let Some(from) = &headers.from {
            hash.field(b"from", from.address.normalized().as_bytes());
        }
        let mut to: Vec<_> = headers
            .recipients()
            .map(|named| named.address.normalized())
            .collect();
        to.sort();
        to.dedup();
        for address in &to {
            hash.field(b"to", address.as_bytes());
        }
        hash.field(b"subject", headers.subject.trim().as_bytes());
        Self::Headers(hash.finish())
    }

    /// The identity once the whole message is known.
    ///
    /// A Message-ID with its Date is enough. Headers alone are not: a script that writes two
    /// notifications within a second gives both the same headers, and what is left of a damaged
    /// message's headers may be nothing at all. Joining those would lose mail, so body and
    /// attachments count, too; without a Date even `raw_bytes`, the length of the raw message, for
    /// of such a ruin there may be nothing else to see (ADR 0003).
    #[must_use]
    pub fn with_content(self, email: &Email, raw_bytes: u64) -> Self {
        let Self::Headers(key) = self else {
            return self;
        };
        let mut hash = Hasher(Sha256::new());
        hash.field(b"headers", key.as_bytes());
        if email.headers.sent_at.is_none() {
            hash.field(b"length", &raw_bytes.to_be_bytes());
        }
        for (name, body) in [
            (b"text".as_slice(), &email.text_body),
            (b"html", &email.html_body),
        ] {
            if let Some(body) = body {
                hash.field(name, body.trim_end().as_bytes());
            }
        }
        for attachment in &email.attachments {
            hash.field(b"attachment", attachment.name.as_bytes());
            hash.field(b"size", &attachment.size.to_be_bytes());
        }
        Self::Content(hash.finish())
    }

    /// Whether it is enough to call two messages the same.
    #[must_use]
    pub const fn is_certain(&self) -> bool {
        match self {
            Self::MessageId(_) | Self::Content(_) => true,
            Self::Headers(_) => false,
        }
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> ContentKey {
        match self {
            Self::MessageId(key) | Self::Headers(key) | Self::Content(key) => *key,
        }
    }
}

/// An email on record, as far as recognising another copy of it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KnownEmail {
    /// The record.
    pub record: RecordId,
    /// Which way it went.
    pub direction: Direction,
    /// The key of its content.
    pub key: Option<ContentKey>,
    /// Its Message-ID and the aliases that servers gave it.
    pub message_ids: Vec<MessageId>,
}

impl KnownEmail {
    /// An email on record without key or Message-ID; fill in what is known.
    #[must_use]
    pub const fn new(record: RecordId, direction: Direction) -> Self {
        Self {
            record,
            direction,
            key: None,
            message_ids: Vec::new(),
        }
    }
}

/// Length-prefixed fields, so that no two field lists give the same bytes.
struct Hasher(Sha256);

impl Hasher {
    fn field(&mut self, name: &[u8], value: &[u8]) {
        for part in [name, value] {
            self.0
                .update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            self.0.update(part);
        }
    }

    fn finish(self) -> ContentKey {
        ContentKey(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(id: Option<&str>, date: i64, subject: &str) -> EmailHeaders {
        EmailHeaders {
            message_id: id.map(|id| id.parse().unwrap()),
            sent_at: Some(Timestamp::from_seconds(date)),
            subject: subject.to_owned(),
            from: Some(
                "a@example.org"
                    .parse::<crate::EmailAddress>()
                    .unwrap()
                    .into(),
            ),
            ..EmailHeaders::default()
        }
    }

    #[test]
    fn without_a_message_id_the_content_decides() {
        let at = Timestamp::from_seconds(100);
        let whole = |text: &str| {
            let mut email = Email::new(headers(None, 100, "Backup done"));
            email.text_body = Some(text.to_owned());
            ContentIdentity::of(&email.headers, at).with_content(&email, 100)
        };
        assert_ne!(whole("host one"), whole("host two"));
        assert_eq!(whole("host one"), whole("host one\r\n"));
        assert!(whole("host one").is_certain());
        assert!(!ContentIdentity::of(&EmailHeaders::default(), at).is_certain());
        let mut named = Email::new(headers(Some("<1@x>"), 100, "hello"));
        let identity = ContentIdentity::of(&named.headers, at);
        named.text_body = Some("with a list's footer".to_owned());
        assert_eq!(identity.with_content(&named, 100), identity);
        let ruin = Email::default();
        let ruined = |length| ContentIdentity::of(&ruin.headers, at).with_content(&ruin, length);
        assert_ne!(ruined(51), ruined(129));
        assert_eq!(ruined(51), ruined(51));
    }

    #[test]
    fn a_copy_through_a_list_is_the_same_message() {
        let direct = ContentIdentity::of(
            &headers(Some("<1@x>"), 100, "hello"),
            Timestamp::from_seconds(101),
        );
        let listed = ContentIdentity::of(
            &headers(Some("<1@x>"), 100, "[list] hello"),
            Timestamp::from_seconds(900),
        );
        assert_eq!(direct, listed);
    }

    #[test]
    fn a_repeated_message_id_does_not_swallow_another_message() {
        let received = Timestamp::from_seconds(500);
        let first = ContentIdentity::of(&headers(Some("<same@x>"), 100, "one"), received);
        let second = ContentIdentity::of(&headers(Some("<same@x>"), 160, "two"), received);
        assert_ne!(first, second);
    }

    #[test]
    fn without_a_message_id_all_that_survives_delivery_counts() {
        let received = Timestamp::from_seconds(500);
        let one = ContentIdentity::of(&headers(None, 100, "one"), received);
        assert_eq!(
            one,
            ContentIdentity::of(&headers(None, 100, "one"), Timestamp::from_seconds(700))
        );
        assert_ne!(
            one,
            ContentIdentity::of(&headers(None, 100, "two"), received)
        );
        assert!(matches!(one, ContentIdentity::Headers(_)));
    }
}
