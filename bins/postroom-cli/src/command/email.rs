//! `email`.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::api::{
    AdminError, EmailAddress, EmailFilter, EmailView, ErrorKind, LedgerEntry, LedgerFilter,
    LedgerId, LedgerState, NamedAddress, NewEmail, OutboxEntry, OutboxFilter, OutboxId,
    OutboxState, OutgoingAttachment, OutgoingDecision, Page, Participation, RawMessage, RecordId,
};
use crate::app::App;
use crate::failure::{Failure, Result};
use crate::output::{printable, short};
use crate::view;

/// Largest file that is attached: what Exchange takes at most by default, and no more than a memory
/// can hold.
const FILE_BYTES_MAX: u64 = 150 * 1024 * 1024;

/// Email.
#[derive(Debug, Subcommand)]
pub(crate) enum Email {
    /// List what was met in mailboxes, or with --outgoing what was to be sent, and what became of it.
    List(List),
    /// List the emails on record in the application.
    Records {
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Show an email on record.
    Show {
        /// The record's id.
        record: RecordId,
    },
    /// Write an email in the application; the next sync sends it.
    Send(Send),
    /// Write the raw form of an email to standard output.
    Raw {
        /// A record's id, or the id of a message that was set aside or is to be sent.
        id: String,
    },
    /// Decide about an outgoing email whose outcome is unknown, or send a failed one again.
    Decide {
        /// Its id in `email list --outgoing`.
        id: OutboxId,
        /// What was found out.
        #[arg(value_enum)]
        decision: Decision,
    },
    /// Have messages that were filtered, set aside or believed gone tried again.
    Replay {
        /// Their ids in `email list`.
        #[arg(required = true)]
        ids: Vec<LedgerId>,
    },
}

/// Which messages to list.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// What was to be sent.
    #[arg(long)]
    outgoing: bool,
    /// Only of one mailbox, by address, name or id.
    #[arg(long)]
    mailbox: Option<String>,
    /// Only in one state: pending, delivered, filtered, quarantined, gone; or of outgoing email
    /// pending_send, sending, sent, failed, unknown.
    #[arg(long)]
    state: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only the ids, one a line, newest first.
    #[arg(long)]
    ids: bool,
}

/// An email to be written.
#[derive(Args, Debug)]
pub(crate) struct Send {
    /// The mailbox that sends it, by address, name or id.
    #[arg(long)]
    from: String,
    /// Recipients.
    #[arg(long, required = true, num_args = 1..)]
    to: Vec<EmailAddress>,
    /// Copies.
    #[arg(long, num_args = 1..)]
    cc: Vec<EmailAddress>,
    /// Blind copies.
    #[arg(long, num_args = 1..)]
    bcc: Vec<EmailAddress>,
    /// The subject; the tracking token is added by the engine.
    #[arg(long, default_value = "")]
    subject: String,
    /// The text.
    #[arg(long, conflicts_with = "text_file")]
    text: Option<String>,
    /// The text, from a file; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    text_file: Option<PathBuf>,
    /// Files to attach.
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// The email on record that it answers.
    #[arg(long, value_name = "RECORD")]
    reply_to: Option<RecordId>,
    /// The record that it regards.
    #[arg(long, value_name = "RECORD")]
    regarding: Option<RecordId>,
}

/// What was found out about an outgoing email.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Decision {
    /// It was sent: somebody saw it.
    Sent,
    /// Send it again.
    Resend,
    /// It was not sent and is not to be.
    Failed,
}

impl Email {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        match self {
            Self::List(list) if list.outgoing => list.outgoing(app).await,
            Self::List(list) => list.incoming(app).await,
            Self::Records { limit } => records(app, limit).await,
            Self::Show { record } => show(app, record).await,
            Self::Send(send) => send.run(app).await,
            Self::Raw { id } => raw(app, &id).await,
            Self::Decide { id, decision } => {
                let decision = match decision {
                    Decision::Sent => OutgoingDecision::Sent,
                    Decision::Resend => OutgoingDecision::Resend,
                    Decision::Failed => OutgoingDecision::Failed,
                };
                let entry = app
                    .admin
                    .decide_outgoing(&app.principal, id, decision)
                    .await?;
                app.output
                    .line(format!("{id} is {}", view::words(&entry.state.name())));
                app.output.json(&json!({ "email": outgoing_json(&entry) }));
                Ok(())
            }
            Self::Replay { ids } => {
                let mut documents = Vec::new();
                for id in ids {
                    let entry = app.admin.replay(&app.principal, id).await?;
                    app.output.line(format!("{id} will be tried again"));
                    documents.push(incoming_json(&entry, None));
                }
                app.output.json(&json!({ "emails": documents }));
                Ok(())
            }
        }
    }
}

/// The stored name of a state that was typed.
fn state_named(text: Option<&str>, known: &[&'static str]) -> Result<Option<&'static str>> {
    let Some(text) = text else { return Ok(None) };
    let wanted = text.replace([' ', '-'], "_");
    known
        .iter()
        .find(|name| **name == wanted)
        .map(|name| Some(*name))
        .ok_or_else(|| {
            Failure::usage(format!("there is no state {text}"))
                .hint(format!("The states are {}.", known.join(", ")))
        })
}

impl List {
    async fn incoming(self, app: &App<'_>) -> Result {
        let mut filter = LedgerFilter::default();
        filter.state = state_named(
            self.state.as_deref(),
            &["pending", "delivered", "filtered", "quarantined", "gone"],
        )?;
        if let Some(mailbox) = &self.mailbox {
            filter.mailbox = Some(app.mailbox(mailbox).await?.id);
        }
        let entries = app
            .admin
            .ledger(&app.principal, &filter, Page::first(self.limit))
            .await?;
        if self.ids && !app.output.is_json() {
            entries
                .iter()
                .for_each(|entry| app.output.line(entry.id.to_string()));
            return Ok(());
        }
        let mailboxes = app.mailboxes().await?;
        let (mut rows, mut documents) = (Vec::new(), Vec::new());
        for entry in &entries {
            let subject = subject_of(app, entry).await?;
            let mailbox = mailboxes.iter().find(|m| m.id == entry.mailbox);
            rows.push([
                entry.received_at.map_or_else(String::new, view::clock),
                mailbox.map_or_else(String::new, view::address),
                state_words(&entry.state),
                short(subject.as_deref().unwrap_or_default(), 60),
                entry.id.to_string(),
            ]);
            documents.push(incoming_json(entry, subject.as_deref()));
        }
        app.output
            .table(["Received", "Mailbox", "State", "Subject", "Id"], rows);
        app.output.json(&json!({ "emails": documents }));
        Ok(())
    }

    async fn outgoing(self, app: &App<'_>) -> Result {
        let mut filter = OutboxFilter::default();
        filter.state = state_named(
            self.state.as_deref(),
            &["pending_send", "sending", "sent", "failed", "unknown"],
        )?;
        if let Some(mailbox) = &self.mailbox {
            filter.mailbox = Some(app.mailbox(mailbox).await?.id);
        }
        let entries = app
            .admin
            .outbox(&app.principal, &filter, Page::first(self.limit))
            .await?;
        if self.ids && !app.output.is_json() {
            entries
                .iter()
                .for_each(|entry| app.output.line(entry.id.to_string()));
            return Ok(());
        }
        let mailboxes = app.mailboxes().await?;
        app.output.table(
            ["Written", "From", "To", "State", "Token", "Id"],
            entries.iter().map(|entry| {
                let mailbox = mailboxes.iter().find(|m| m.id == entry.mailbox);
                [
                    view::clock(entry.created_at),
                    mailbox.map_or_else(String::new, view::address),
                    entry
                        .recipients
                        .iter()
                        .map(EmailAddress::as_str)
                        .collect::<Vec<_>>()
                        .join(", "),
                    outbox_words(entry),
                    entry
                        .token
                        .as_ref()
                        .map_or_else(String::new, ToString::to_string),
                    entry.id.to_string(),
                ]
            }),
        );
        let documents: Vec<_> = entries.iter().map(outgoing_json).collect();
        app.output.json(&json!({ "emails": documents }));
        Ok(())
    }
}

/// The subject of a message that is on record. Others keep theirs to themselves.
async fn subject_of(app: &App<'_>, entry: &LedgerEntry) -> Result<Option<String>> {
    let LedgerState::Delivered { record, .. } = &entry.state else {
        return Ok(None);
    };
    let email = app.crm().email(*record).await.map_err(AdminError::from)?;
    Ok(email.map(|email| email.summary.subject_with_token()))
}

/// The state of a message with its reason, for people.
pub(crate) fn state_words(state: &LedgerState) -> String {
    match state {
        LedgerState::Pending { last: None, .. } => "pending".to_owned(),
        LedgerState::Pending {
            last: Some(code),
            attempts,
            ..
        } => format!("pending, {attempts} attempts: {code}"),
        LedgerState::Delivered { created: true, .. } => "delivered".to_owned(),
        LedgerState::Delivered { created: false, .. } => "joined".to_owned(),
        LedgerState::Filtered { reason } => format!("filtered: {}", view::words(reason)),
        LedgerState::Quarantined { code, .. } => format!("quarantined: {code}"),
        LedgerState::Gone { evidence } => format!("gone: {}", view::words(evidence)),
    }
}

fn outbox_words(entry: &OutboxEntry) -> String {
    let name = entry.state.name().replace('_', " ");
    match &entry.state {
        OutboxState::Failed { code } | OutboxState::Unknown { code, .. } => {
            format!("{name}: {code}")
        }
        OutboxState::PendingSend {
            last: Some(code),
            attempts,
            ..
        } => format!("{name}, {attempts} attempts: {code}"),
        OutboxState::PendingSend { .. }
        | OutboxState::Sending { .. }
        | OutboxState::Sent { .. } => name,
    }
}

/// A message that was met in a mailbox, for programs.
pub(crate) fn incoming_json(entry: &LedgerEntry, subject: Option<&str>) -> Value {
    json!({
        "id": entry.id.to_string(),
        "mailbox": entry.mailbox.to_string(),
        "remote_id": entry.remote_id.as_str(),
        "received_at": view::time(entry.received_at),
        "size": entry.size,
        "subject": subject,
        "state": entry.state.name(),
        "state_detail": entry.state,
    })
}

fn outgoing_json(entry: &OutboxEntry) -> Value {
    json!({
        "id": entry.id.to_string(),
        "mailbox": entry.mailbox.to_string(),
        "record": entry.record.map(|id| id.to_string()),
        "message_id": entry.message_id.as_str(),
        "token": entry.token.as_ref().map(ToString::to_string),
        "recipients": entry.recipients.iter().map(EmailAddress::as_str).collect::<Vec<_>>(),
        "created_at": entry.created_at.to_string(),
        "state": entry.state.name(),
        "state_detail": entry.state,
    })
}

async fn records(app: &App<'_>, limit: u32) -> Result {
    let emails = app
        .crm()
        .emails(&EmailFilter::default(), Page::first(limit))
        .await
        .map_err(AdminError::from)?;
    app.output.table(
        ["When", "Status", "From", "Subject", "Belongs to", "Record"],
        emails.iter().map(|email| {
            [
                view::clock(email.at),
                view::words(&email.status),
                email
                    .headers
                    .from
                    .as_ref()
                    .map_or_else(String::new, |from| from.address.to_string()),
                short(&email.subject_with_token(), 60),
                email.correlated.map_or_else(String::new, |(_, method)| {
                    format!("by {}", view::words(&method))
                }),
                email.record.to_string(),
            ]
        }),
    );
    let documents: Vec<_> = emails
        .iter()
        .map(|email| {
            json!({
                "record": email.record.to_string(),
                "direction": view::name_of(&email.direction),
                "status": email.status.as_str(),
                "at": email.at.to_string(),
                "from": email.headers.from.as_ref().map(|from| from.address.as_str()),
                "subject": email.subject_with_token(),
                "token": email.token.as_ref().map(ToString::to_string),
                "regarding": email.regarding.map(|id| id.to_string()),
                "belongs_to": email.correlated.map(|(id, _)| id.to_string()),
                "correlated_by": email.correlated.map(|(_, method)| view::name_of(&method)),
            })
        })
        .collect();
    app.output.json(&json!({ "records": documents }));
    Ok(())
}

async fn view_of(app: &App<'_>, record: RecordId) -> Result<EmailView> {
    app.crm()
        .email(record)
        .await
        .map_err(AdminError::from)?
        .ok_or_else(|| {
            Failure::not_found(format!("there is no email {record} on record"))
                .hint("postroom email records shows them.")
        })
}

async fn show(app: &App<'_>, record: RecordId) -> Result {
    let email = view_of(app, record).await?;
    let summary = &email.summary;
    let mut rows = vec![
        view::row("Record", summary.record),
        view::row("Status", view::words(&summary.status)),
        view::row("When", view::clock(summary.at)),
        [
            String::from("Subject"),
            printable(&summary.subject_with_token()),
        ],
    ];
    for party in &email.parties {
        let resolved = match party.parties.len() {
            0 => "nobody on record".to_owned(),
            1 => "on record".to_owned(),
            n => format!("{n} records"),
        };
        rows.push([
            role(party.participation).to_owned(),
            format!("{} ({resolved})", party.address),
        ]);
    }
    if let Some((other, method)) = summary.correlated {
        rows.push(view::row(
            "Belongs to",
            format!("{other}, by {}", view::words(&method)),
        ));
    }
    if let Some(regarding) = summary.regarding {
        rows.push(view::row("Regarding", regarding));
    }
    for file in &email.attachments {
        rows.push(view::row(
            "Attachment",
            format!(
                "{} ({}, {} bytes)",
                printable(&file.name),
                file.content_type,
                file.size
            ),
        ));
    }
    app.output.table(["Email", ""], rows);
    if let Some(text) = &email.text {
        app.output.line(printable(&short(text, 4000)));
    }
    app.output.json(&json!({ "email": {
        "record": summary.record.to_string(),
        "direction": view::name_of(&summary.direction),
        "status": summary.status.as_str(),
        "at": summary.at.to_string(),
        "subject": summary.subject_with_token(),
        "token": summary.token.as_ref().map(ToString::to_string),
        "message_id": summary.headers.message_id.as_ref().map(|id| id.as_str()),
        "regarding": summary.regarding.map(|id| id.to_string()),
        "belongs_to": summary.correlated.map(|(id, _)| id.to_string()),
        "correlated_by": summary.correlated.map(|(_, method)| view::name_of(&method)),
        "parties": email.parties.iter().map(|party| json!({
            "role": role(party.participation),
            "address": party.address.address.as_str(),
            "name": party.address.name,
            "parties": party.parties.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "text": email.text,
        "attachments": email.attachments.iter().map(|file| json!({
            "name": file.name, "content_type": file.content_type, "size": file.size, "inline": file.inline,
        })).collect::<Vec<_>>(),
    }}));
    Ok(())
}

const fn role(participation: Participation) -> &'static str {
    match participation {
        Participation::From => "from",
        Participation::To => "to",
        Participation::Cc => "cc",
        Participation::Bcc => "bcc",
    }
}

impl Send {
    async fn run(self, app: &App<'_>) -> Result {
        let mailbox = app.mailbox(&self.from).await?;
        let (Some(sender), Some(address)) = (mailbox.owner.party(), mailbox.address.clone()) else {
            return Err(Failure::usage(format!(
                "{} cannot send: it is a forward mailbox or has no address",
                self.from
            )));
        };
        let named =
            |addresses: Vec<EmailAddress>| addresses.into_iter().map(NamedAddress::from).collect();
        let from = NamedAddress::new(mailbox.name.clone(), address);
        let mut email = NewEmail::new(sender, from, self.subject);
        email.to = named(self.to);
        email.cc = named(self.cc);
        email.bcc = named(self.bcc);
        email.text = match self.text_file {
            Some(path) => Some(text_of(&path)?),
            None => Some(self.text.unwrap_or_default()),
        };
        for path in &self.attach {
            email.attachments.push(attachment(path)?);
        }
        email.in_reply_to = self.reply_to;
        email.regarding = self.regarding;
        let record = app
            .crm()
            .send_email(&email, app.now())
            .await
            .map_err(AdminError::from)?;
        app.output.line(format!("{record} is pending send"));
        app.output
            .note("A running engine sends it within a second; otherwise: postroom sync");
        app.output.json(&json!({ "record": record.to_string() }));
        Ok(())
    }
}

fn text_of(path: &std::path::Path) -> Result<String> {
    let mut text = String::new();
    let read = if path == std::path::Path::new("-") {
        std::io::stdin()
            .lock()
            .take(FILE_BYTES_MAX)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::file("read", path, &error))?;
    Ok(text)
}

fn attachment(path: &std::path::Path) -> Result<OutgoingAttachment> {
    let failed = |error| Failure::file("read", path, &error);
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(Failure::usage(format!(
            "{} is larger than {FILE_BYTES_MAX} bytes",
            path.display()
        )));
    }
    let name = path.file_name().map_or_else(
        || "file".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    Ok(OutgoingAttachment::new(
        name,
        "application/octet-stream",
        RawMessage::from_bytes(bytes),
    ))
}

async fn raw(app: &App<'_>, id: &str) -> Result {
    let raw = find_raw(app, id).await?.ok_or_else(|| {
        Failure::not_found(format!("no raw form is kept of {id}"))
            .hint("Kept are received emails on record, messages that were set aside, and composed outgoing email.")
    })?;
    let failed = |error: std::io::Error| {
        Failure::file("read the raw form of", std::path::Path::new(id), &error)
    };
    let mut from = raw.open().map_err(failed)?;
    let mut out = std::io::stdout().lock();
    match std::io::copy(&mut from, &mut out).and_then(|_| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(failed),
    }
}

async fn find_raw(app: &App<'_>, id: &str) -> Result<Option<RawMessage>> {
    if let Ok(record) = id.parse::<RecordId>() {
        if let Some(raw) = app.crm().raw(record).await.map_err(AdminError::from)? {
            return Ok(Some(raw));
        }
    }
    if let Ok(row) = id.parse::<LedgerId>() {
        match app.admin.quarantined_raw(&app.principal, row).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Ok(None) => {}
            other => return Ok(other?),
        }
    }
    if let Ok(entry) = id.parse::<OutboxId>() {
        match app.admin.outgoing_raw(&app.principal, entry).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => return Ok(Some(other?)),
        }
    }
    Ok(None)
}
