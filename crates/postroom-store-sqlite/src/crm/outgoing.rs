//! Email that is written here, and what becomes of it.

use postroom_core::email::{Direction, Email, EmailHeaders, MessageId};
use postroom_core::{NamedAddress, RawMessage, RecordId, Timestamp};
use postroom_store::{
    CrmCursor, OutgoingAttachment, OutgoingEmail, OutgoingPage, OutgoingReport, OutgoingStatus,
};
use rusqlite::params;

use super::emails::{self, Link, NewRow, RecordIds, StoredEmail};
use super::types::{EmailStatus, NewEmail};
use crate::database::{Read, Write};
use crate::failure::{Failure, Outcome};
use crate::sql::{Id, all, change, insert, json, one};

pub(super) fn send(write: &mut Write<'_>, new: &NewEmail, now: Timestamp) -> Outcome<RecordId> {
    if let Some(key) = &new.key
        && let Some(record) = emails::known(write, key)?
    {
        return Ok(record);
    }
    if new.to.is_empty() && new.cc.is_empty() && new.bcc.is_empty() {
        return Err(Failure::invalid("an email needs a recipient"));
    }
    let mut email = Email::new(EmailHeaders::default());
    email.headers.subject.clone_from(&new.subject);
    email.headers.from = Some(new.from.clone());
    email.headers.to.clone_from(&new.to);
    email.headers.cc.clone_from(&new.cc);
    email.headers.bcc.clone_from(&new.bcc);
    email.headers.importance = new.importance;
    email.headers.automatic = new.automatic;
    email.text_body.clone_from(&new.text);
    email.html_body.clone_from(&new.html);
    let mut regarding = new.regarding;
    if let Some(answered) = new.in_reply_to {
        let answered = emails::get(write, answered)?
            .ok_or_else(|| Failure::not_found("email that is answered"))?;
        regarding = regarding.or(answered.summary.regarding);
        if let Some(id) = answered.email.headers.message_id {
            email.headers.references = answered.email.headers.references;
            email.headers.references.push(id.clone());
            email.headers.in_reply_to = vec![id];
        }
    }
    let link = Link {
        parties: emails::parties_of(write, &email)?,
        sender: Some(new.sender),
        owner: Some(new.sender),
        parent: new.in_reply_to,
        ..Link::default()
    };
    let files = new.attachments.iter().map(|file| {
        (
            file.name.as_str(),
            file.content_type.as_str(),
            &file.content,
        )
    });
    let row = NewRow {
        record: RecordIds::new(write)?.next(write)?,
        key: new.key,
        direction: Direction::Outgoing,
        status: EmailStatus::PendingSend,
        at: now,
        regarding,
        email: &email,
        link: json(&link)?,
        raw: None,
    };
    put_into_feed(write, &row, files)?;
    Ok(row.record)
}

fn put_into_feed<'a>(
    write: &mut Write<'_>,
    row: &NewRow<'_>,
    files: impl Iterator<Item = (&'a str, &'a str, &'a RawMessage)>,
) -> Outcome<()> {
    let no = emails::write_row(write, row)?;
    for (position, (name, content_type, content)) in (0_i64..).zip(files) {
        let place = write.append(content)?;
        insert(
            write,
            "INSERT INTO crm_files (email_no, position, name, content_type, content) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![no, position, name, content_type, place.pack()],
        )?;
    }
    insert(
        write,
        "INSERT INTO crm_outgoing_feed (email_no) VALUES (?1)",
        params![no],
    )?;
    Ok(())
}

/// Writes the email once more as a new record: the outbox keeps the old one's story for good.
pub(super) fn resend(write: &mut Write<'_>, record: RecordId, now: Timestamp) -> Outcome<RecordId> {
    let StoredEmail {
        no,
        summary,
        mut email,
        link,
    } = emails::get(write, record)?.ok_or_else(|| Failure::not_found("email"))?;
    if !matches!(summary.status, EmailStatus::Failed | EmailStatus::Canceled) {
        return Err(Failure::conflict(
            "only an email that failed or was called back can be sent once more",
        )
        .with("status", summary.status.as_str()));
    }
    // Message-ID and token are the old one's.
    email.headers.message_id = None;
    let (bodies, files) =
        write.reading(|read| Ok((emails::bodies(read, no)?, emails::files(read, no)?)))?;
    (email.text_body, email.html_body) = bodies;
    let row = NewRow {
        record: RecordIds::new(write)?.next(write)?,
        key: None,
        direction: Direction::Outgoing,
        status: EmailStatus::PendingSend,
        at: now,
        regarding: summary.regarding,
        email: &email,
        link: json(&link)?,
        raw: None,
    };
    let files = files
        .iter()
        .map(|(name, content_type, content)| (name.as_str(), content_type.as_str(), content));
    put_into_feed(write, &row, files)?;
    Ok(row.record)
}

/// Calls an email back that nobody has begun to send.
pub(super) fn cancel(write: &Write<'_>, record: RecordId) -> Outcome<()> {
    let stored = emails::get(write, record)?.ok_or_else(|| Failure::not_found("email"))?;
    if !matches!(
        stored.summary.status,
        EmailStatus::PendingSend | EmailStatus::Failed
    ) {
        return Err(
            Failure::conflict("the email cannot be called back any more")
                .with("status", stored.summary.status.as_str()),
        );
    }
    let taken_over = one(
        write,
        "outbox",
        "SELECT state_name FROM outbox WHERE record = ?1 AND state_name <> 'failed'",
        params![record.bytes()],
        |row| row.get::<String>(0),
    )?;
    if let Some(state) = taken_over {
        return Err(Failure::conflict("the email is on its way already").with("outbox", state));
    }
    change(
        write,
        "UPDATE crm_emails SET status_name = 'canceled' WHERE no = ?1",
        params![stored.no],
    )?;
    Ok(())
}

pub(super) fn feed(
    read: &Read<'_>,
    since: Option<&CrmCursor>,
    limit: u32,
) -> Outcome<OutgoingPage> {
    let since = match since {
        Some(cursor) => cursor
            .as_str()
            .parse::<i64>()
            .map_err(|_unreadable| Failure::invalid("the cursor is not one of this feed"))?,
        None => 0,
    };
    let rows = all(
        read,
        "crm_outgoing_feed",
        "SELECT crm_outgoing_feed.seq, crm_emails.record
         FROM crm_outgoing_feed JOIN crm_emails ON crm_emails.no = crm_outgoing_feed.email_no
         WHERE crm_outgoing_feed.seq > ?1 AND crm_emails.status_name = 'pending_send'
         ORDER BY crm_outgoing_feed.seq LIMIT ?2",
        params![since, limit],
        |row| Ok((row.get::<i64>(0)?, row.id::<RecordId>(1)?)),
    )?;
    let full = u32::try_from(rows.len()).is_ok_and(|found| found >= limit);
    let end = match rows.last() {
        Some((seq, _)) if full => *seq,
        // Everything was seen, what is no longer waiting included.
        _ => one(
            read,
            "crm_outgoing_feed",
            "SELECT max(?1, coalesce(max(seq), 0)) FROM crm_outgoing_feed",
            params![since],
            |row| row.get(0),
        )?
        .unwrap_or(since),
    };
    let emails = rows
        .into_iter()
        .map(|(_, record)| compose(read, record))
        .collect::<Outcome<_>>()?;
    Ok(OutgoingPage::new(emails, CrmCursor::new(end.to_string())))
}

fn compose(read: &Read<'_>, record: RecordId) -> Outcome<OutgoingEmail> {
    let StoredEmail {
        no,
        summary,
        email,
        link,
    } = emails::get(read, record)?.ok_or_else(|| Failure::not_found("email"))?;
    let damaged = |column: &str| Failure::Corrupt {
        table: "crm_emails",
        column: column.to_owned(),
    };
    let sender = link.sender.ok_or_else(|| damaged("link"))?;
    let from: NamedAddress = email.headers.from.ok_or_else(|| damaged("email"))?;
    let mut outgoing = OutgoingEmail::new(record, sender, from, email.headers.subject);
    outgoing.to = email.headers.to;
    outgoing.cc = email.headers.cc;
    outgoing.bcc = email.headers.bcc;
    (outgoing.text, outgoing.html) = emails::bodies(read, no)?;
    outgoing.attachments = emails::files(read, no)?
        .into_iter()
        .map(|(name, content_type, content)| OutgoingAttachment::new(name, content_type, content))
        .collect();
    outgoing.in_reply_to = email.headers.in_reply_to.into_iter().next();
    outgoing.references = email.headers.references;
    outgoing.regarding = summary.regarding;
    outgoing.importance = email.headers.importance;
    outgoing.automatic = email.headers.automatic;
    Ok(outgoing)
}

pub(crate) fn report(write: &Write<'_>, reports: &[OutgoingReport]) -> Outcome<()> {
    for report in reports {
        let (status, message_id): (EmailStatus, Option<&MessageId>) = match &report.status {
            OutgoingStatus::Sending => (EmailStatus::Sending, None),
            OutgoingStatus::Sent { message_id, .. } => (EmailStatus::Sent, Some(message_id)),
            OutgoingStatus::Failed { .. } => (EmailStatus::Failed, None),
            OutgoingStatus::Unknown { .. } => (EmailStatus::Unknown, None),
            _ => return Err(Failure::invalid("a status that is not known here")),
        };
        let stored = one(
            write,
            "crm_emails",
            "SELECT no, email FROM crm_emails WHERE record = ?1",
            params![report.record.bytes()],
            |row| Ok((row.get::<i64>(0)?, row.json::<Email>(1)?)),
        )?;
        let Some((no, mut email)) = stored else {
            // Deleted meanwhile; the outbox keeps what became of it.
            tracing::warn!(record = %report.record, "a report on an email that is not on record");
            continue;
        };
        if let Some(id) = message_id {
            email.headers.message_id = Some(id.clone());
        }
        change(
            write,
            "UPDATE crm_emails SET status_name = ?2, status = ?3, token = coalesce(?4, token), email = ?5
             WHERE no = ?1",
            params![
                no,
                status.as_str(),
                json(&report.status)?,
                report.token.as_ref().map(|token| token.as_str()),
                json(&email)?,
            ],
        )?;
    }
    Ok(())
}
