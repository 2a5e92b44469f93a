//! Composes outgoing messages, their identity fixed here.

use postroom_core::email::{EmailHeaders, MessageId};
use postroom_core::outbox::{OutboxEntry, SubmissionKey};
use postroom_core::tracking::{TrackingToken, append_to_subject};
use postroom_core::{
    Code, EmailAddress, Mailbox, MailboxId, NamedAddress, Organization, OutboxId, RawMessage,
    Timestamp,
};
use postroom_mime::{OutgoingAttachment, compose, compose_to};
use postroom_provider::Spool;
use postroom_store::OutgoingEmail;

use crate::environment::Environment;
use crate::error::{EngineError, ErrorKind, Result};

/// The Message-ID of an outgoing email: the id of its outbox entry at the sender's domain, so that
/// a copy that is met again leads back to the entry.
pub(crate) fn message_id(id: OutboxId, from: &EmailAddress) -> Result<MessageId> {
    // A domain may hold what a Message-ID may not.
    let domain: String = from
        .domain()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        .collect();
    let domain = if domain.is_empty() {
        "localhost"
    } else {
        &domain
    };
    format!("{id}@{domain}").parse().map_err(|error| {
        EngineError::new(ErrorKind::Internal, Code::Internal, "message.compose").with_source(error)
    })
}

/// The key of its submission, which leads back to the entry, too.
pub(crate) fn submission_key(id: OutboxId) -> SubmissionKey {
    SubmissionKey::from_random(*id.as_uuid().as_bytes())
}

/// The outbox entry that a submission key or the local part of a Message-ID may name.
pub(crate) fn outbox_id(text: &str) -> Option<OutboxId> {
    let lower = text
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b) || b == b'-');
    let local = matches!(text.len(), 32 | 36) && lower;
    if local { text.parse().ok() } else { None }
}

/// An outgoing email, composed.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) entry: OutboxEntry,
    pub(crate) raw: RawMessage,
    pub(crate) headers: EmailHeaders,
}

/// Composes an email of the application.
pub(crate) fn application_email(
    environment: &Environment,
    organization: &Organization,
    mailbox: MailboxId,
    email: &OutgoingEmail,
    token: Option<TrackingToken>,
) -> Result<Composed> {
    let now = environment.now();
    let id = OutboxId::from_random(environment.bytes16());
    let message_id = message_id(id, &email.from.address)?;
    let settings = &organization.settings.correlation.token;
    let subject = match &token {
        Some(token) => append_to_subject(&email.subject, token, settings),
        None => email.subject.clone(),
    };
    let mut outgoing = postroom_mime::OutgoingEmail::new(
        email.from.clone(),
        subject.clone(),
        message_id.clone(),
        now,
    );
    outgoing.to.clone_from(&email.to);
    outgoing.cc.clone_from(&email.cc);
    outgoing.text.clone_from(&email.text);
    outgoing.html.clone_from(&email.html);
    outgoing.importance = email.importance;
    outgoing.in_reply_to = email.in_reply_to.iter().cloned().collect();
    outgoing.references.clone_from(&email.references);
    if let Some(parent) = &email.in_reply_to
        && !outgoing.references.contains(parent)
    {
        outgoing.references.push(parent.clone());
    }
    outgoing.attachments = email
        .attachments
        .iter()
        .map(|file| {
            let content = file.content.clone();
            OutgoingAttachment::new(&file.name, &file.content_type, content)
        })
        .collect();
    if email.automatic {
        let fields = [
            ("Auto-Submitted", "auto-replied"),
            ("X-Auto-Response-Suppress", "All"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        outgoing.extra_headers.extend(fields);
    }
    let mut headers = EmailHeaders::default();
    headers.automatic = email.automatic;
    headers.message_id = Some(message_id.clone());
    headers.in_reply_to.clone_from(&outgoing.in_reply_to);
    headers.references.clone_from(&outgoing.references);
    headers.subject = subject;
    headers.from = Some(email.from.clone());
    headers.to.clone_from(&email.to);
    headers.cc.clone_from(&email.cc);
    headers.bcc.clone_from(&email.bcc);
    headers.sent_at = Some(now);
    let raw = spooled(&environment.ctx.spool, &outgoing)?;
    let key = submission_key(id);
    let mut entry = OutboxEntry::pending(id, mailbox, message_id, key, email.from.clone(), now);
    entry.record = Some(email.record);
    entry.token = token;
    let mut seen = std::collections::BTreeSet::new();
    entry.recipients = headers
        .recipients()
        .map(|named| named.address.clone())
        .filter(|address| seen.insert(address.clone()))
        .collect();
    let named = |address: &EmailAddress| {
        let mut shown = email.to.iter().chain(&email.cc);
        shown.any(|named| named.address == *address)
    };
    entry.bcc = email
        .bcc
        .iter()
        .map(|named| named.address.clone())
        .filter(|address| !named(address))
        .collect();
    entry.size = raw.len();
    Ok(Composed {
        entry,
        raw,
        headers,
    })
}

fn spooled(spool: &Spool, email: &postroom_mime::OutgoingEmail) -> Result<RawMessage> {
    let mut writer = spool.writer();
    compose_to(email, &mut writer).map_err(|error| {
        EngineError::new(
            ErrorKind::InvalidInput,
            Code::MessageMalformed,
            "message.compose",
        )
        .with_source(error)
    })?;
    writer.finish().map_err(|error| {
        EngineError::new(
            ErrorKind::Unavailable,
            Code::StoreUnavailable,
            "spool.write",
        )
        .with_source(error)
    })
}

/// Composes the test message of a mailbox to itself; its text names the mailbox's owner.
pub(crate) fn test_message(
    id: OutboxId,
    mailbox: &Mailbox,
    address: &EmailAddress,
    organization: &str,
    now: Timestamp,
) -> Result<Composed> {
    let name = &mailbox.name;
    let text = format!(
        "This message tests the outgoing email configuration of {name} in {organization}.\r\n\
         It was sent by Test & Enable; nothing needs to be done about it.\r\n"
    );
    let subject = "Test message of your mailbox";
    own_message(id, mailbox, (address, address), subject, text, now)
}

/// Composes a message of Postroom itself, from a mailbox's address to another.
pub(crate) fn own_message(
    id: OutboxId,
    mailbox: &Mailbox,
    (from, to): (&EmailAddress, &EmailAddress),
    subject: &str,
    text: String,
    now: Timestamp,
) -> Result<Composed> {
    let message_id = message_id(id, from)?;
    let from = NamedAddress::new(&mailbox.name, from.clone());
    let mut email =
        postroom_mime::OutgoingEmail::new(from.clone(), subject, message_id.clone(), now);
    email.to = vec![to.clone().into()];
    email.text = Some(text);
    email
        .extra_headers
        .push(("Auto-Submitted".to_owned(), "auto-generated".to_owned()));
    let bytes = compose(&email).map_err(|error| {
        EngineError::new(ErrorKind::Internal, Code::Internal, "message.compose").with_source(error)
    })?;
    let raw = RawMessage::from_bytes(bytes);
    let key = submission_key(id);
    let mut entry = OutboxEntry::pending(id, mailbox.id, message_id, key, from, now);
    entry.recipients = vec![to.clone()];
    entry.size = raw.len();
    Ok(Composed {
        entry,
        raw,
        headers: EmailHeaders::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_lead_back_to_the_entry() {
        let id = OutboxId::from_random([7; 16]);
        let from: EmailAddress = "desk@example.org".parse().unwrap();
        let message_id = message_id(id, &from).unwrap();
        let local = message_id.as_str().split('@').next().unwrap();
        assert_eq!(outbox_id(local), Some(id));
        assert_eq!(outbox_id(submission_key(id).as_str()), Some(id));
        assert_eq!(
            outbox_id("A1B2C3D4-0000-0000-0000-000000000000"),
            None,
            "not our spelling"
        );
        assert_eq!(outbox_id("hello"), None);
    }

    #[test]
    fn the_test_message_names_the_mailbox() {
        let id = OutboxId::from_random([7; 16]);
        let address: EmailAddress = "desk@example.org".parse().unwrap();
        let owner = postroom_core::mailbox::MailboxOwner::Forward;
        let mailbox = Mailbox::new(MailboxId::from_random([1; 16]), "Sales Desk", owner, None);
        let now = Timestamp::from_seconds(1_700_000_000);
        let composed = test_message(id, &mailbox, &address, "Contoso", now).unwrap();
        let email = postroom_mime::parse(&composed.raw, &Default::default()).unwrap();
        assert!(email.text_body.unwrap().contains("Sales Desk"));
        assert_eq!(email.headers.to[0].address, address);
        assert_eq!(composed.entry.recipients, [address]);
    }
}
