//! Emails on record.

use std::collections::BTreeMap;

use postroom_core::email::{Attachment, Defect, Direction, Email, EmailHeaders};
use postroom_core::party::Participation;
use postroom_core::tracking::{CorrelationMethod, TrackingToken};
use postroom_core::{MailboxId, PartyId, RawMessage, RecordId, Timestamp};
use postroom_store::{EmailParty, EmailWrite, IdempotencyKey, OutgoingStatus, Page, RecordedEmail};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::body;
use super::types::{EmailAttachment, EmailFilter, EmailStatus, EmailSummary, EmailView, QueueItem};
use crate::database::{Read, Write};
use crate::failure::Outcome;
use crate::segment::{maybe_placed, placed};
use crate::sql::{Id, Prepared, Row, all, change, first_bits, int, json, one, word};

/// What an email is connected with, as one JSON value.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "P: Default + Deserialize<'de>"))]
pub(super) struct Link<P = Vec<EmailParty>> {
    pub(super) parties: P,
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
    /// A [`Link`] as JSON.
    pub(super) link: String,
    pub(super) raw: Option<&'a RawMessage>,
}

/// The record that a key made before.
pub(super) fn known(connection: &Connection, key: &IdempotencyKey) -> Outcome<Option<RecordId>> {
    Prepared::new(connection, "crm_emails", KNOWN)
        .and_then(|mut statement| find_known(&mut statement, key))
}

const KNOWN: &str = "SELECT record, idempotency_key FROM crm_emails WHERE key_hash = ?1";

fn find_known(statement: &mut Prepared<'_>, key: &IdempotencyKey) -> Outcome<Option<RecordId>> {
    let bytes = key.as_bytes();
    statement.find((first_bits(bytes),), |row| {
        if row.bytes(1)? == bytes {
            row.id(0).map(Some)
        } else {
            Ok(None)
        }
    })
}

/// An email as its column has it: without the bodies, which go where the large things are. They are
/// read one at a time and never searched.
#[derive(Serialize)]
struct WithoutBodies<'a> {
    headers: &'a EmailHeaders,
    attachments: &'a [Attachment],
    defects: &'a [Defect],
}

/// Ids of new records: they begin with the number of their row, so that every index over them grows
/// at its end.
pub(super) struct RecordIds {
    next: u64,
}

impl RecordIds {
    pub(super) fn new(write: &Write<'_>) -> Outcome<Self> {
        let last = one(
            write,
            "crm_emails",
            "SELECT max(no) FROM crm_emails",
            [],
            |row| row.maybe_unsigned(0),
        )?;
        Ok(Self {
            next: last.flatten().unwrap_or(0).saturating_add(1),
        })
    }

    pub(super) fn next(&mut self, write: &Write<'_>) -> Outcome<RecordId> {
        let mut bytes = write.random()?;
        for (target, byte) in bytes
            .iter_mut()
            .zip(self.next.to_be_bytes().into_iter().skip(2))
        {
            *target = byte;
        }
        self.next = self.next.saturating_add(1);
        Ok(RecordId::from_random(bytes))
    }
}

const INSERT: &str =
    "INSERT INTO crm_emails (record, key_hash, idempotency_key, direction, status_name, at_ms,
         regarding, email, link, text_body, html_body, raw)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

pub(super) fn write_row(write: &mut Write<'_>, row: &NewRow<'_>) -> Outcome<i64> {
    let mut insert = Prepared::new(write.connection(), "crm_emails", INSERT)?;
    insert_row(write, &mut insert, row)
}

fn insert_row(write: &mut Write<'_>, insert: &mut Prepared<'_>, row: &NewRow<'_>) -> Outcome<i64> {
    let raw = match row.raw {
        Some(raw) => Some((raw, write.append(raw)?)),
        None => None,
    };
    let mut body = |body: &Option<String>| {
        body.as_ref()
            .map(|body| body::keep(write, body, raw))
            .transpose()
    };
    let text = body(&row.email.text_body)?;
    let html = body(&row.email.html_body)?;
    insert.change(params![
        row.record.bytes(),
        row.key.as_ref().map(|key| first_bits(key.as_bytes())),
        row.key.as_ref().map(|key| key.as_bytes().as_slice()),
        match row.direction {
            Direction::Incoming => "incoming",
            Direction::Outgoing => "outgoing",
        },
        row.status.as_str(),
        row.at.as_millis(),
        row.regarding.as_ref().map(Id::bytes),
        json(&WithoutBodies {
            headers: &row.email.headers,
            attachments: &row.email.attachments,
            defects: &row.email.defects,
        })?,
        row.link,
        text,
        html,
        raw.map(|(_, place)| place.pack()),
    ])?;
    Ok(write.last_insert_rowid())
}

pub(crate) fn record(write: &mut Write<'_>, emails: &[EmailWrite]) -> Outcome<Vec<RecordedEmail>> {
    let connection = write.connection();
    let mut recording = Recording {
        ids: RecordIds::new(write)?,
        known: Prepared::new(connection, "crm_emails", KNOWN)?,
        insert: Prepared::new(connection, "crm_emails", INSERT)?,
        made: BTreeMap::new(),
    };
    emails
        .iter()
        .map(|email| {
            let recorded = recording.record(write, email)?;
            if let Some(provisional) = email.provisional {
                recording.made.insert(provisional, recorded.record);
            }
            Ok(recorded)
        })
        .collect()
}

/// What every email of a call goes through.
struct Recording<'c> {
    ids: RecordIds,
    known: Prepared<'c>,
    insert: Prepared<'c>,
    /// The records of this call by what later writes name them by.
    made: BTreeMap<RecordId, RecordId>,
}

impl Recording<'_> {
    fn record(&mut self, write: &mut Write<'_>, email: &EmailWrite) -> Outcome<RecordedEmail> {
        if let Some(record) = find_known(&mut self.known, &email.key)? {
            return Ok(RecordedEmail::new(record, false));
        }
        let record = self.ids.next(write)?;
        let resolved = |id| self.made.get(&id).copied().unwrap_or(id);
        let link = Link {
            parties: email.parties.as_slice(),
            sender: None,
            accepting: email.accepting,
            owner: email.owner,
            receiving_mailbox: Some(email.receiving_mailbox),
            parent: email.parent.map(resolved),
            correlated: email
                .correlated
                .map(|(email, method)| (resolved(email), method)),
        };
        let row = NewRow {
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
            link: json(&link)?,
            raw: Some(&email.raw),
        };
        let no = insert_row(write, &mut self.insert, &row)?;
        for queue in &email.queues {
            change(
                write,
                "INSERT INTO crm_queue_items (queue, email_no) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![queue.bytes(), no],
            )?;
        }
        Ok(RecordedEmail::new(record, true))
    }
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
    one(
        read,
        "crm_emails",
        "SELECT text_body, html_body FROM crm_emails WHERE no = ?1",
        params![no],
        |row| Ok((body::read(read, row, 0)?, body::read(read, row, 1)?)),
    )
    .map(Option::unwrap_or_default)
}

/// The files of an email that was written here: name, media type, content.
pub(super) fn files(read: &Read<'_>, no: i64) -> Outcome<Vec<(String, String, RawMessage)>> {
    all(
        read,
        "crm_files",
        "SELECT name, content_type, content FROM crm_files WHERE email_no = ?1 ORDER BY position",
        params![no],
        |row| Ok((row.get(0)?, row.get(1)?, placed(read.segments(), row, 2)?)),
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
        "SELECT raw FROM crm_emails WHERE record = ?1",
        params![record.bytes()],
        |row| maybe_placed(read.segments(), row, 0),
    )
    .map(Option::flatten)
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
         ORDER BY crm_queue_items.email_no DESC, crm_queue_items.queue LIMIT ?2 OFFSET ?3",
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
