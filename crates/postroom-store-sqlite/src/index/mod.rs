//! The correlation index: what is kept of every email, and how it is found again.
//!
//! Emails are rows with their terms as packed bytes. Message-IDs, conversations and content keys
//! are found by 64-bit hashes and compared in full; tokens by themselves; smart matching by posting
//! lists, newest first, read only as far as an answer can use them (see [`smart`]).

mod rows;
mod smart;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use postroom_core::RecordId;
use postroom_core::email::{ContentKey, MessageId};
use postroom_core::tracking::{
    CANDIDATES_MAX, Candidates, CorrelationQuery, IndexedEmail, TrackingToken,
};
use postroom_store::KnownQuery;
use rusqlite::{Connection, params};

pub(crate) use postroom_core::email::KnownEmail;

use crate::database::Write;
use crate::failure::Outcome;
use crate::sql::{Id, Prepared, all, change, hash_of, one};
use rows::{BY_NUMBER, Stored, emails, pack, stored};

/// One more than may be answered: tells that there were more.
const LOOKED_AT: i64 = 65;
const _: () = assert!(CANDIDATES_MAX + 1 == 65, "the bound that SQL is given");

/// Puts emails into the index within one write.
///
/// Terms are collected and written together, in the order of their tree: it is gone through once
/// instead of once for each of them. Nothing of it can be found before [`Self::finish`].
pub(crate) struct Indexing<'c> {
    connection: &'c Connection,
    insert: Prepared<'c>,
    terms: Vec<(i64, Reverse<i64>, Reverse<i64>)>,
}

impl<'c> Indexing<'c> {
    pub(crate) fn new(write: &Write<'c>) -> Outcome<Self> {
        let connection = write.connection();
        Ok(Self {
            connection,
            insert: Prepared::new(
                connection,
                "index_emails",
                "INSERT INTO index_emails (record, regarding, direction, at_ms, message_ids, token,
                     conversation_hash, conversation, subject_key, subject_terms, address_terms,
                     content_key, automatic)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
                 ON CONFLICT (record) DO NOTHING",
            )?,
            terms: Vec::new(),
        })
    }

    /// Keeps an email, in place of what was kept of the same record.
    pub(crate) fn put(&mut self, email: &IndexedEmail, key: Option<&ContentKey>) -> Outcome<()> {
        let key = key.map(|key| key.as_bytes().as_slice());
        if self.insert_row(email, key)? {
            return Ok(());
        }
        // Its terms may be among those that were collected.
        self.write_terms()?;
        let kept = remove(self.connection, email.record)?;
        // Whoever adds old email again may not know the key.
        self.insert_row(email, key.or(kept.as_deref()))?;
        Ok(())
    }

    /// Answers whether there was no row of that record.
    fn insert_row(&mut self, email: &IndexedEmail, key: Option<&[u8]>) -> Outcome<bool> {
        let ids: Vec<&str> = email.message_ids.iter().map(MessageId::as_str).collect();
        let at = email.at.as_millis();
        let conversation = email.conversation_index.as_ref();
        let inserted = self.insert.change(params![
            email.record.bytes(),
            email.regarding.as_ref().map(Id::bytes),
            rows::direction_number(email.direction),
            at,
            // No Message-ID holds a control character.
            ids.join("\n"),
            email.token.as_ref().map(TrackingToken::as_str),
            conversation.map(|index| hash_of(index.root())),
            conversation.map(|index| index.as_bytes()),
            email.subject_key.bits().cast_signed(),
            pack(&email.subject_terms),
            pack(&email.address_terms),
            key,
            email.automatic,
        ])?;
        if inserted == 0 {
            return Ok(false);
        }
        let no = self.connection.last_insert_rowid();
        let terms = terms_of(email, key)
            .into_iter()
            .map(|term| (term, Reverse(at), Reverse(no)));
        self.terms.extend(terms);
        Ok(true)
    }

    fn write_terms(&mut self) -> Outcome<()> {
        self.terms.sort_unstable();
        self.terms.dedup();
        let mut insert = Prepared::new(self.connection, "index_terms", PUT_TERM)?;
        for (term, Reverse(at), Reverse(no)) in self.terms.drain(..) {
            insert.change((term, at, no))?;
        }
        Ok(())
    }

    /// Writes what was collected; to be called last.
    pub(crate) fn finish(mut self) -> Outcome<()> {
        self.write_terms()
    }
}

const PUT_TERM: &str = "INSERT INTO index_terms (term, at_ms, email_no) VALUES (?1, ?2, ?3)
     ON CONFLICT DO NOTHING";

/// Everything that an email is found by.
fn terms_of(email: &IndexedEmail, key: Option<&[u8]>) -> Vec<i64> {
    let mut terms: Vec<i64> = email
        .message_ids
        .iter()
        .map(|id| hash_of(id.as_str().as_bytes()))
        .collect();
    terms.extend(key.map(rows::key_hash));
    if !email.subject_terms.is_empty() {
        for term in &email.address_terms {
            terms.push(smart::pair(email.subject_key, *term));
            terms.push(term.bits().cast_signed());
        }
    }
    terms
}

pub(crate) fn put_all(
    write: &Write<'_>,
    emails: &[(IndexedEmail, Option<ContentKey>)],
) -> Outcome<()> {
    let mut indexing = Indexing::new(write)?;
    for (email, key) in emails {
        indexing.put(email, key.as_ref())?;
    }
    indexing.finish()
}

/// Takes an email out of the index; answers the content key that it had.
fn remove(connection: &Connection, record: RecordId) -> Outcome<Option<Vec<u8>>> {
    let Some(Stored { no, email, key }) = by_record(connection, record)? else {
        return Ok(None);
    };
    for term in terms_of(&email, key.as_deref()) {
        change(
            connection,
            "DELETE FROM index_terms WHERE term = ?1 AND at_ms = ?2 AND email_no = ?3",
            params![term, email.at.as_millis(), no],
        )?;
    }
    change(
        connection,
        "DELETE FROM index_emails WHERE no = ?1",
        params![no],
    )?;
    Ok(key)
}

/// Adds a Message-ID that a server gave an email; nothing happens where the email is not kept.
pub(crate) fn add_alias(write: &Write<'_>, record: RecordId, alias: &MessageId) -> Outcome<()> {
    let Some(Stored { no, mut email, .. }) = by_record(write, record)? else {
        return Ok(());
    };
    email.add_alias(alias.clone());
    if !email.message_ids.contains(alias) {
        return Ok(());
    }
    let ids: Vec<&str> = email.message_ids.iter().map(MessageId::as_str).collect();
    change(
        write,
        "UPDATE index_emails SET message_ids = ?2 WHERE no = ?1",
        params![no, ids.join("\n")],
    )?;
    change(
        write,
        PUT_TERM,
        params![hash_of(alias.as_str().as_bytes()), email.at.as_millis(), no],
    )?;
    Ok(())
}

fn by_record(connection: &Connection, record: RecordId) -> Outcome<Option<Stored>> {
    one(
        connection,
        "index_emails",
        emails!("FROM index_emails WHERE index_emails.record = ?1"),
        params![record.bytes()],
        stored,
    )
}

pub(crate) fn get(connection: &Connection, record: RecordId) -> Outcome<Option<IndexedEmail>> {
    by_record(connection, record).map(|found| found.map(|stored| stored.email))
}

/// The emails under these terms, those of the first ones first, as far as `keep` takes them.
fn with_terms(
    connection: &Connection,
    terms: impl Iterator<Item = i64>,
    emails_max: usize,
    keep: impl Fn(&Stored) -> bool,
) -> Outcome<Vec<Stored>> {
    let mut by_term = Prepared::new(
        connection,
        "index_terms",
        "SELECT email_no FROM index_terms WHERE term = ?1
         ORDER BY at_ms DESC, email_no DESC LIMIT ?2",
    )?;
    let mut numbers: Vec<i64> = Vec::new();
    for term in terms {
        by_term.read_into((term, LOOKED_AT), &mut numbers, |row| row.get(0))?;
    }
    let mut seen = BTreeSet::new();
    numbers.retain(|no| seen.insert(*no));
    let mut found = Vec::new();
    if numbers.is_empty() {
        return Ok(found);
    }
    let mut by_number = Prepared::new(connection, "index_emails", BY_NUMBER)?;
    for no in numbers.into_iter().take(emails_max) {
        by_number.read_into((no,), &mut found, stored)?;
    }
    found.retain(keep);
    Ok(found)
}

/// The emails with one of these Message-IDs; those of the first ones come first.
fn with_message_ids(
    connection: &Connection,
    ids: &[MessageId],
    emails_max: usize,
) -> Outcome<Vec<Stored>> {
    let terms = ids.iter().map(|id| hash_of(id.as_str().as_bytes()));
    with_terms(connection, terms, emails_max, |stored| {
        stored.email.message_ids.iter().any(|id| ids.contains(id))
    })
}

pub(crate) fn known(
    connection: &Connection,
    queries: &[KnownQuery],
) -> Outcome<Vec<Vec<KnownEmail>>> {
    queries
        .iter()
        .map(|query| known_one(connection, query))
        .collect()
}

fn known_one(connection: &Connection, query: &KnownQuery) -> Outcome<Vec<KnownEmail>> {
    let key = query.key.as_bytes();
    let terms = std::iter::once(rows::key_hash(key));
    let mut found = with_terms(connection, terms, CANDIDATES_MAX + 1, |stored| {
        stored.key.as_deref() == Some(key)
    })?;
    if let Some(id) = &query.message_id {
        for stored in with_message_ids(connection, std::slice::from_ref(id), CANDIDATES_MAX)? {
            if !found.iter().any(|other| other.no == stored.no) {
                found.push(stored);
            }
        }
    }
    found.into_iter().map(Stored::into_known).collect()
}

pub(crate) fn tokens_taken(
    connection: &Connection,
    tokens: &[TrackingToken],
) -> Outcome<Vec<bool>> {
    tokens
        .iter()
        .map(|token| {
            one(
                connection,
                "index_emails",
                "SELECT 1 FROM index_emails WHERE token = ?1 LIMIT 1",
                params![token.as_str()],
                |_| Ok(()),
            )
            .map(|found| found.is_some())
        })
        .collect()
}

pub(crate) fn candidates(
    connection: &Connection,
    queries: &[CorrelationQuery],
) -> Outcome<Vec<Candidates>> {
    queries
        .iter()
        .map(|query| candidates_of(connection, query))
        .collect()
}

fn candidates_of(connection: &Connection, query: &CorrelationQuery) -> Outcome<Candidates> {
    let mut candidates = Candidates::default();
    if !query.message_ids.is_empty() {
        // The best identifiers come first: what is beyond the bound is the least of them.
        let found = with_message_ids(connection, &query.message_ids, CANDIDATES_MAX)?;
        candidates.by_message_id = newest_first(found).0;
    }

    let mut by_token = Vec::new();
    for token in &query.tokens {
        by_token.extend(all(
            connection,
            "index_emails",
            emails!(
                "FROM index_emails WHERE index_emails.token = ?1
                 ORDER BY index_emails.at_ms DESC LIMIT ?2"
            ),
            params![token.as_str(), LOOKED_AT],
            stored,
        )?);
        if by_token.len() >= CANDIDATES_MAX {
            break;
        }
    }
    candidates.by_token = newest_first(by_token).0;

    if let Some(root) = &query.conversation_root {
        let mut members = all(
            connection,
            "index_emails",
            emails!(
                "FROM index_emails WHERE index_emails.conversation_hash = ?1
                 ORDER BY index_emails.at_ms DESC LIMIT ?2"
            ),
            params![hash_of(root), LOOKED_AT],
            stored,
        )?;
        members.retain(|stored| {
            let index = stored.email.conversation_index.as_ref();
            index.is_some_and(|index| index.root() == root.as_slice())
        });
        (candidates.by_conversation, candidates.conversation_cut) = newest_first(members);
    }
    if let Some(smart) = &query.smart {
        (candidates.by_smart_matching, candidates.smart_cut) =
            smart::candidates(connection, smart)?;
    }
    Ok(candidates)
}

/// The emails newest first, as many as may be answered, and whether there were more.
///
/// Queries order by time alone, as their indexes do: one term more, and SQLite would sort whole rows.
fn newest_first(mut emails: Vec<Stored>) -> (Vec<IndexedEmail>, bool) {
    emails.sort_by_key(|stored| Reverse((stored.email.at, stored.no)));
    emails.dedup_by_key(|stored| stored.no);
    let cut = emails.len() > CANDIDATES_MAX;
    emails.truncate(CANDIDATES_MAX);
    (emails.into_iter().map(|stored| stored.email).collect(), cut)
}
