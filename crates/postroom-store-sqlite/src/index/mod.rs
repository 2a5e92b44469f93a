//! The correlation index: what is kept of every email, and how it is found again.
//!
//! Emails are rows with their terms as packed bytes. Message-IDs, conversations and content keys
//! are found by 64-bit hashes and compared in full; tokens by themselves; smart matching by posting
//! lists, newest first, read only as far as an answer can use them (see [`smart`]).

mod rows;
mod smart;

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
use crate::sql::{Id, Prepared, all, change, one};
use rows::{BY_NUMBER, Stored, emails, hash_of, pack, stored};

/// One more than may be answered: tells that there were more.
const LOOKED_AT: i64 = 65;
const _: () = assert!(CANDIDATES_MAX + 1 == 65, "the bound that SQL is given");

pub(crate) fn put_all(
    write: &Write<'_>,
    emails: &[(IndexedEmail, Option<ContentKey>)],
) -> Outcome<()> {
    emails
        .iter()
        .try_for_each(|(email, key)| put(write, email, key.as_ref()))
}

/// Keeps an email, in place of what was kept of the same record.
pub(crate) fn put(
    write: &Write<'_>,
    email: &IndexedEmail,
    key: Option<&ContentKey>,
) -> Outcome<()> {
    let ids: Vec<&str> = email.message_ids.iter().map(MessageId::as_str).collect();
    let at = email.at.as_millis();
    let insert_row = || {
        insert_or_nothing(
            write,
            params![
                email.record.bytes(),
                email.regarding.as_ref().map(Id::bytes),
                rows::direction_number(email.direction),
                at,
                // No Message-ID holds a control character.
                ids.join("\n"),
                email.token.as_ref().map(TrackingToken::as_str),
                email
                    .conversation_index
                    .as_ref()
                    .map(|index| hash_of(index.root())),
                email
                    .conversation_index
                    .as_ref()
                    .map(|index| index.as_bytes()),
                email.subject_key.bits().cast_signed(),
                pack(&email.subject_terms),
                pack(&email.address_terms),
                key.map(|key| hash_of(key.as_bytes())),
                key.map(|key| key.as_bytes().as_slice()),
            ],
        )
    };
    let no = match insert_row()? {
        Some(no) => no,
        None => {
            let kept = remove(write, email.record)?;
            let Some(no) = insert_row()? else {
                return Ok(());
            };
            if key.is_none() && kept.is_some() {
                // Whoever adds old email again may not know the key.
                change(
                    write,
                    "UPDATE index_emails SET content_hash = ?2, content_key = ?3 WHERE no = ?1",
                    params![no, kept.as_deref().map(hash_of), kept],
                )?;
            }
            no
        }
    };
    for id in &ids {
        put_message_id(write, id, at, no)?;
    }
    if !email.subject_terms.is_empty() {
        for term in &email.address_terms {
            change(
                write,
                "INSERT INTO index_subject_postings (term, at_ms, email_no) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO NOTHING",
                params![smart::pair(email.subject_key, *term), at, no],
            )?;
            change(
                write,
                "INSERT INTO index_address_postings (term, at_ms, email_no) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO NOTHING",
                params![term.bits().cast_signed(), at, no],
            )?;
        }
    }
    Ok(())
}

fn insert_or_nothing(write: &Write<'_>, params: impl rusqlite::Params) -> Outcome<Option<i64>> {
    one(
        write,
        "index_emails",
        "INSERT INTO index_emails (record, regarding, direction, at_ms, message_ids, token,
             conversation_hash, conversation, subject_key, subject_terms, address_terms, content_hash,
             content_key)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (record) DO NOTHING RETURNING no",
        params,
        |row| row.get(0),
    )
}

fn put_message_id(write: &Write<'_>, id: &str, at: i64, no: i64) -> Outcome<()> {
    change(
        write,
        "INSERT INTO index_message_ids (hash, at_ms, email_no) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![hash_of(id.as_bytes()), at, no],
    )
    .map(|_| ())
}

/// Takes an email out of the index; answers the content key that it had.
fn remove(write: &Write<'_>, record: RecordId) -> Outcome<Option<Vec<u8>>> {
    let Some(Stored { no, email, key }) = by_record(write, record)? else {
        return Ok(None);
    };
    let at = email.at.as_millis();
    for id in &email.message_ids {
        change(
            write,
            "DELETE FROM index_message_ids WHERE hash = ?1 AND at_ms = ?2 AND email_no = ?3",
            params![hash_of(id.as_str().as_bytes()), at, no],
        )?;
    }
    for term in &email.address_terms {
        change(
            write,
            "DELETE FROM index_subject_postings WHERE term = ?1 AND at_ms = ?2 AND email_no = ?3",
            params![smart::pair(email.subject_key, *term), at, no],
        )?;
        change(
            write,
            "DELETE FROM index_address_postings WHERE term = ?1 AND at_ms = ?2 AND email_no = ?3",
            params![term.bits().cast_signed(), at, no],
        )?;
    }
    change(write, "DELETE FROM index_emails WHERE no = ?1", params![no])?;
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
    put_message_id(write, alias.as_str(), email.at.as_millis(), no)
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

/// The emails with one of these Message-IDs; those of the first ones come first.
fn with_message_ids(
    connection: &Connection,
    ids: &[MessageId],
    emails_max: usize,
) -> Outcome<Vec<Stored>> {
    let mut by_hash = Prepared::new(
        connection,
        "index_message_ids",
        "SELECT email_no FROM index_message_ids WHERE hash = ?1
         ORDER BY at_ms DESC, email_no DESC LIMIT ?2",
    )?;
    let mut numbers: Vec<i64> = Vec::new();
    for id in ids {
        let hash = hash_of(id.as_str().as_bytes());
        by_hash.read_into((hash, LOOKED_AT), &mut numbers, |row| row.get(0))?;
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
    found.retain(|stored| stored.email.message_ids.iter().any(|id| ids.contains(id)));
    Ok(found)
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
    let mut found = all(
        connection,
        "index_emails",
        emails!("FROM index_emails WHERE index_emails.content_hash = ?1 LIMIT ?2"),
        params![hash_of(query.key.as_bytes()), LOOKED_AT],
        stored,
    )?;
    found.retain(|stored| stored.key.as_deref() == Some(query.key.as_bytes()));
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
    emails.sort_by_key(|stored| std::cmp::Reverse((stored.email.at, stored.no)));
    emails.dedup_by_key(|stored| stored.no);
    let cut = emails.len() > CANDIDATES_MAX;
    emails.truncate(CANDIDATES_MAX);
    (emails.into_iter().map(|stored| stored.email).collect(), cut)
}
