//! Emails on record.

use std::collections::BTreeMap;
use std::io::Read as _;

use postroom_core::email::{Direction, Email};
use postroom_core::party::Participation;
use postroom_core::tracking::{CorrelationMethod, TrackingToken};
use postroom_core::{MailboxId, PartyId, RawMessage, RecordId, Timestamp};
use postroom_store::{EmailParty, EmailWrite, IdempotencyKey, OutgoingStatus, Page, RecordedEmail};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::types::{EmailAttachment, EmailFilter, EmailStatus, EmailSummary, EmailView, QueueItem};
use crate::database::{Read, Write};
use crate::failure::{Failure, Outcome};
use crate::segment::{PIECE_COLUMNS, piece, piece_of};
use crate::sql::{Id, Row, all, change, insert, int, json, one, word};

/// What an email is connected with, as one JSON value.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Link {
    pub(super) parties: Vec<EmailParty>,
    pub(super) sender: Option<PartyId>,
    pub(super) accepting: Option<PartyId>,
    pub(super) owner: Option<PartyId>,
    pub(super) receiving_mailbox: Option<MailboxId>,
    pub(super) parent: Option<RecordId>,
    pub(super) correlated: Option<(RecordId, CorrelationMethod)>,
}

/// A row to be written.
pub(super) struct NewRow<'a> {
    pub(super) record: RecordId,
    pub(super) key: Option<IdempotencyKey>,
    pub(super) direction: Direction,
    pub(super) status: EmailStatus,
    pub(super) at: Timestamp,
    pub(super) regarding: Option<RecordId>,
    pub(super) email: &'a Email,
    pub(super) link: &'a Link,
    pub(super) raw: Option<&'a RawMessage>,
}

/// The record that a key made before.
pub(super) fn known(connection: &Connection, key: &IdempotencyKey) -> Outcome<Option<RecordId>> {
    one(
        connection,
        "crm_emails",
        "SELECT record FROM crm_emails WHERE idempotency_key = ?1",
        params![key.as_bytes()],
        |row| row.id(0),
    )
}

pub(super) fn write_row(write: &mut Write<'_>, row: &NewRow<'_>) -> Outcome<i64> {
    let raw_no = row.raw.map(|raw| write.append(raw)).transpose()?;
    // Bodies are read one at a time and never searched: they go where the large things are.
    let (text, html) = (&row.email.text_body, &row.email.html_body);
    let mut body = Vec::new();
    for part in [text, html].into_iter().flatten() {
        body.extend_from_slice(part.as_bytes());
    }
    let body_no = if body.is_empty() {
        None
    } else {
        Some(write.append(&RawMessage::from_bytes(body))?)
    };
    let length = |body: &Option<String>| {
        body.as_ref()
            .map(|body| i64::try_from(body.len()).unwrap_or(i64::MAX))
    };
    let mut without_body = Email::new(row.email.headers.clone());
    without_body.attachments.clone_from(&row.email.attachments);
    without_body.defects.clone_from(&row.email.defects);
    insert(
        write,
        "INSERT INTO crm_emails (record, idempotency_key, direction, status_name, at_ms, regarding, message_id,
             email, link, body_no, text_bytes, html_bytes, raw_no)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            row.record.bytes(),
            row.key.as_ref().map(|key| key.as_bytes().as_slice()),
            word(&row.direction)?,
            row.status.as_str(),
            row.at.as_millis(),
            row.regarding.as_ref().map(Id::bytes),
            row.email.headers.message_id.as_ref().map(|id| id.as_str()),
            json(&without_body)?,
            json(row.link)?,
            body_no,
            length(text),
            length(html),
            raw_no,
        ],
    )
}

pub(super) fn record(write: &mut Write<'_>, emails: &[EmailWrite]) -> Outcome<Vec<RecordedEmail>> {
    // The records of this call by what later writes name them by.
    let mut made = BTreeMap::new();
    emails
        .iter()
        .map(|email| {
            let recorded = record_one(write, email, &made)?;
            if let Some(provisional) = email.provisional {
                made.insert(provisional, recorded.record);
            }
            Ok(recorded)
        })
        .collect()
}

fn record_one(
    write: &mut Write<'_>,
    email: &EmailWrite,
    made: &BTreeMap<RecordId, RecordId>,
) -> Outcome<RecordedEmail> {
    if let Some(record) = known(write, &email.key)? {
        return Ok(RecordedEmail::new(record, false));
    }
    let record = RecordId::from_random(write.random()?);
    let resolved = |id| made.get(&id).copied().unwrap_or(id);
    let link = Link {
        parties: email.parties.clone(),
        sender: None,
        accepting: email.accepting,
        owner: email.owner,
        receiving_mailbox: Some(email.receiving_mailbox),
        parent: email.parent.map(resolved),
        correlated: email
            .correlated
            .map(|(email, method)| (resolved(email), method)),
    };
    let no = write_row(
        write,
        &NewRow {
            record,
            key: Some(email.key),
            direction: email.direction,
            status: match email.direction {
                Direction::Incoming => EmailStatus::Received,
                Direction::Outgoing => EmailStatus::Sent,
            },
            at: email.received_at,
            regarding: email.regarding,
            email: &email.email,
            link: &link,
            raw: Some(&email.raw),
        },
    )?;
    for queue in &email.queues {
        change(
            write,
            "INSERT INTO crm_queue_items (queue, email_no) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![queue.bytes(), no],
        )?;
    }
    Ok(RecordedEmail::new(record, true))
}

const SUMMARY: &str =
    "SELECT record, direction, status_name, at_ms, email, token, regarding, link, no";

/// An email as its row has it.
pub(super) struct StoredEmail {
    pub(super) no: i64,
    pub(super) summary: EmailSummary,
    pub(super) email: Email,
    pub(super) link: Link,
}

fn stored(row: &Row<'_>) -> Outcome<StoredEmail> {
    let email: Email = row.json(4)?;
    let link: Link = row.json(7)?;
    Ok(StoredEmail {
        no: row.get(8)?,
        summary: EmailSummary {
            record: row.id(0)?,
            direction: row.word(1)?,
            status: row.word(2)?,
            at: row.time(3)?,
            headers: email.headers.clone(),
            token: row
                .get::<Option<String>>(5)?
                .map(|token| TrackingToken::new(&token)),
            regarding: row.maybe_id(6)?,
            correlated: link.correlated,
        },
        email,
        link,
    })
}

pub(super) fn get(connection: &Connection, record: RecordId) -> Outcome<Option<StoredEmail>> {
    one(
        connection,
        "crm_emails",
        &format!("{SUMMARY} FROM crm_emails WHERE record = ?1"),
        params![record.bytes()],
        stored,
    )
}

pub(super) fn list(
    connection: &Connection,
    filter: &EmailFilter,
    page: Page,
) -> Outcome<Vec<EmailSummary>> {
    all(
        connection,
        "crm_emails",
        &format!(
            "{SUMMARY} FROM crm_emails
             WHERE (?1 IS NULL OR direction = ?1) AND (?2 IS NULL OR status_name = ?2)
               AND (?3 IS NULL OR regarding = ?3)
             ORDER BY at_ms DESC, no DESC LIMIT ?4 OFFSET ?5"
        ),
        params![
            filter.direction.as_ref().map(word).transpose()?,
            filter.status.map(EmailStatus::as_str),
            filter.regarding.as_ref().map(Id::bytes),
            page.limit,
            int(page.offset),
        ],
        |row| stored(row).map(|stored| stored.summary),
    )
}

pub(super) fn count(connection: &Connection, filter: &EmailFilter) -> Outcome<u64> {
    one(
        connection,
        "crm_emails",
        "SELECT count(*) FROM crm_emails
         WHERE (?1 IS NULL OR direction = ?1) AND (?2 IS NULL OR status_name = ?2)
           AND (?3 IS NULL OR regarding = ?3)",
        params![
            filter.direction.as_ref().map(word).transpose()?,
            filter.status.map(EmailStatus::as_str),
            filter.regarding.as_ref().map(Id::bytes),
        ],
        |row| row.unsigned(0),
    )
    .map(Option::unwrap_or_default)
}

/// The text and HTML bodies of an email.
pub(super) fn bodies(read: &Read<'_>, no: i64) -> Outcome<(Option<String>, Option<String>)> {
    let found = one(
        read,
        "crm_emails",
        "SELECT body_no, text_bytes, html_bytes FROM crm_emails WHERE no = ?1",
        params![no],
        |row| {
            Ok((
                row.get::<Option<i64>>(0)?,
                row.maybe_unsigned(1)?,
                row.maybe_unsigned(2)?,
            ))
        },
    )?;
    let Some((body_no, text_bytes, html_bytes)) = found else {
        return Ok((None, None));
    };
    let mut bytes = Vec::new();
    if let Some(body_no) = body_no {
        piece_of(read, read.segments(), body_no)?
            .open()
            .and_then(|mut body| body.read_to_end(&mut bytes))
            .map_err(Failure::Segment)?;
    }
    let damaged = || Failure::Corrupt {
        table: "crm_emails",
        column: "body_no".to_owned(),
    };
    let split = usize::try_from(text_bytes.unwrap_or(0)).map_err(|_range| damaged())?;
    let (text, html) = bytes.split_at_checked(split).ok_or_else(damaged)?;
    let body = |present: Option<u64>, bytes: &[u8]| match present {
        Some(_) => std::str::from_utf8(bytes)
            .map(|body| Some(body.to_owned()))
            .map_err(|_not_text| damaged()),
        None => Ok(None),
    };
    Ok((body(text_bytes, text)?, body(html_bytes, html)?))
}

/// The files of an email that was written here: name, media type, content.
pub(super) fn files(read: &Read<'_>, no: i64) -> Outcome<Vec<(String, String, RawMessage)>> {
    all(
        read,
        "crm_files",
        &format!(
            "SELECT crm_files.name, crm_files.content_type, {PIECE_COLUMNS}
             FROM crm_files JOIN pieces ON pieces.no = crm_files.piece_no
             WHERE crm_files.email_no = ?1 ORDER BY crm_files.position"
        ),
        params![no],
        |row| Ok((row.get(0)?, row.get(1)?, piece(read.segments(), row, 2)?)),
    )
}

pub(super) fn view(read: &Read<'_>, record: RecordId) -> Outcome<Option<EmailView>> {
    let Some(stored) = get(read, record)? else {
        return Ok(None);
    };
    let outgoing = one(
        read,
        "crm_emails",
        "SELECT status FROM crm_emails WHERE no = ?1",
        params![stored.no],
        |row| row.maybe_json::<OutgoingStatus>(0),
    )?
    .flatten();
    let (text, html) = bodies(read, stored.no)?;
    let received = stored
        .email
        .attachments
        .iter()
        .map(|attachment| EmailAttachment {
            name: attachment.name.clone(),
            content_type: attachment.content_type.clone(),
            size: attachment.size,
            inline: attachment.inline,
            part: Some(attachment.part),
            content: None,
        });
    let written = files(read, stored.no)?
        .into_iter()
        .map(|(name, content_type, content)| EmailAttachment {
            name,
            content_type,
            size: content.len(),
            inline: false,
            part: None,
            content: Some(content),
        });
    Ok(Some(EmailView {
        attachments: received.chain(written).collect(),
        outgoing,
        parties: stored.link.parties,
        sender: stored.link.sender,
        accepting: stored.link.accepting,
        owner: stored.link.owner,
        receiving_mailbox: stored.link.receiving_mailbox,
        parent: stored.link.parent,
        text,
        html,
        raw: raw(read, record)?,
        summary: stored.summary,
    }))
}

pub(super) fn raw(read: &Read<'_>, record: RecordId) -> Outcome<Option<RawMessage>> {
    one(
        read,
        "crm_emails",
        "SELECT raw_no FROM crm_emails WHERE record = ?1",
        params![record.bytes()],
        |row| row.get::<Option<i64>>(0),
    )?
    .flatten()
    .map(|no| piece_of(read, read.segments(), no))
    .transpose()
}

pub(super) fn queue_items(
    connection: &Connection,
    queue: Option<PartyId>,
    page: Page,
) -> Outcome<Vec<QueueItem>> {
    all(
        connection,
        "crm_queue_items",
        "SELECT crm_queue_items.queue, crm_emails.record
         FROM crm_queue_items JOIN crm_emails ON crm_emails.no = crm_queue_items.email_no
         WHERE (?1 IS NULL OR crm_queue_items.queue = ?1)
         ORDER BY crm_queue_items.no DESC LIMIT ?2 OFFSET ?3",
        params![queue.as_ref().map(Id::bytes), page.limit, int(page.offset)],
        |row| Ok(QueueItem::new(row.id(0)?, row.id(1)?)),
    )
}

/// Everybody named in an email that is written here; whom they resolve to is looked up.
pub(super) fn parties_of(connection: &Connection, email: &Email) -> Outcome<Vec<EmailParty>> {
    let headers = &email.headers;
    let named = headers
        .from
        .iter()
        .map(|named| (Participation::From, named))
        .chain(headers.to.iter().map(|named| (Participation::To, named)))
        .chain(headers.cc.iter().map(|named| (Participation::Cc, named)))
        .chain(headers.bcc.iter().map(|named| (Participation::Bcc, named)));
    named
        .map(|(participation, named)| {
            let found = super::parties::resolve(connection, std::slice::from_ref(&named.address))?;
            let parties = found.iter().flatten().map(|party| party.id).collect();
            Ok(EmailParty::new(participation, named.clone(), parties))
        })
        .collect()
}
