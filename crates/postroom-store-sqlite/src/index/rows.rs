//! Rows of the index and their packed columns.

use postroom_core::Timestamp;
use postroom_core::email::{ContentKey, ConversationIndex, Direction, KnownEmail};
use postroom_core::tracking::{IndexedEmail, TermHash, TrackingToken};

use crate::failure::{Failure, Outcome};
use crate::sql::{Row, first_bits, hash_of};

/// A query for whole emails of the index.
macro_rules! emails {
    ($rest:literal) => {
        concat!(
            "SELECT index_emails.no, index_emails.record, index_emails.regarding, index_emails.direction,
                 index_emails.at_ms, index_emails.message_ids, index_emails.token,
                 index_emails.conversation, index_emails.subject_key, index_emails.subject_terms,
                 index_emails.address_terms, index_emails.content_key, index_emails.automatic ",
            $rest
        )
    };
}
pub(super) use emails;

/// The email of that number.
pub(super) const BY_NUMBER: &str = emails!("FROM index_emails WHERE index_emails.no = ?1");

/// An email as its row has it.
pub(super) struct Stored {
    pub(super) no: i64,
    pub(super) email: IndexedEmail,
    pub(super) key: Option<Vec<u8>>,
}

impl Stored {
    pub(super) fn into_known(self) -> Outcome<KnownEmail> {
        let mut known = KnownEmail::new(self.email.record, self.email.direction);
        known.key = match self.key {
            Some(key) => Some(ContentKey::from_bytes(key.try_into().map_err(
                |_length| Failure::Corrupt {
                    table: "index_emails",
                    column: "content_key".to_owned(),
                },
            )?)),
            None => None,
        };
        known.message_ids = self.email.message_ids;
        Ok(known)
    }
}

/// Reads what a query made by `emails!` answers.
pub(super) fn stored(row: &Row<'_>) -> Outcome<Stored> {
    let mut email = IndexedEmail::new(
        row.id(1)?,
        direction(row, 3)?,
        Timestamp::from_millis(row.get(4)?),
    );
    email.regarding = row.maybe_id(2)?;
    let ids = row.text(5)?;
    if !ids.is_empty() {
        email.message_ids = ids
            .split('\n')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_unreadable| row.corrupt(5))?;
    }
    email.token = row
        .get::<Option<String>>(6)?
        .map(|token| TrackingToken::new(&token));
    email.conversation_index = match row.get::<Option<Vec<u8>>>(7)? {
        Some(bytes) => Some(ConversationIndex::from_bytes(bytes).ok_or_else(|| row.corrupt(7))?),
        None => None,
    };
    email.subject_key = TermHash::from_bits(row.get::<i64>(8)?.cast_unsigned());
    email.subject_terms = unpack(row.bytes(9)?).ok_or_else(|| row.corrupt(9))?;
    email.address_terms = unpack(row.bytes(10)?).ok_or_else(|| row.corrupt(10))?;
    email.automatic = row.get(12)?;
    Ok(Stored {
        no: row.get(0)?,
        email,
        key: row.get(11)?,
    })
}

pub(super) const fn direction_number(direction: Direction) -> i64 {
    match direction {
        Direction::Incoming => 0,
        Direction::Outgoing => 1,
    }
}

fn direction(row: &Row<'_>, index: usize) -> Outcome<Direction> {
    match row.get::<i64>(index)? {
        0 => Ok(Direction::Incoming),
        1 => Ok(Direction::Outgoing),
        _ => Err(row.corrupt(index)),
    }
}

/// Terms as bytes, most significant first.
pub(super) fn pack(terms: &[TermHash]) -> Vec<u8> {
    terms
        .iter()
        .flat_map(|term| term.bits().to_be_bytes())
        .collect()
}

fn unpack(bytes: &[u8]) -> Option<Vec<TermHash>> {
    let chunks = bytes.chunks_exact(8);
    if !chunks.remainder().is_empty() {
        return None;
    }
    chunks
        .map(|chunk| {
            let bits = <[u8; 8]>::try_from(chunk).ok()?;
            Some(TermHash::from_bits(u64::from_be_bytes(bits)))
        })
        .collect()
}

/// The term of a content key: such keys are hashes already.
pub(super) fn key_hash(key: &[u8]) -> i64 {
    key.try_into()
        .map_or_else(|_length| hash_of(key), first_bits)
}
