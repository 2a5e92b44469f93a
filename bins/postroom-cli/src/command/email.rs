//! `email`.

mod list;
mod send;

use std::io::Write as _;

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use crate::api::{
    AdminError, EmailFilter, EmailView, ErrorKind, LedgerId, OutboxFilter, OutboxId, OutboxState,
    OutgoingDecision, Page, Participation, RawMessage, RecipientDelivery, RecordId,
};
use crate::app::App;
use crate::failure::{Failure, Result};
use crate::output::{printable, short};
use crate::view;
use list::{List, incoming_json, outgoing_json};
use send::Send;

pub(crate) use list::state_words;

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

/// What mail systems told about the recipients of an outgoing email.
async fn deliveries(app: &App<'_>, record: RecordId) -> Result<Vec<RecipientDelivery>> {
    let mut filter = OutboxFilter::default();
    filter.record = Some(record);
    let entries = app
        .admin
        .outbox(&app.principal, &filter, Page::first(1))
        .await?;
    Ok(entries
        .into_iter()
        .find_map(|entry| match entry.state {
            OutboxState::Sent { receipt, .. } => Some(receipt.deliveries),
            _ => None,
        })
        .unwrap_or_default())
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
    let deliveries = deliveries(app, record).await?;
    for said in &deliveries {
        let status = said.status.as_deref().unwrap_or("no status");
        rows.push(view::row(
            "Delivery",
            format!(
                "{}: {} ({status}) {}",
                said.address,
                said.outcome.name(),
                printable(&said.diagnostic)
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
        "deliveries": deliveries,
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
    if let Ok(record) = id.parse::<RecordId>()
        && let Some(raw) = app.crm().raw(record).await.map_err(AdminError::from)?
    {
        return Ok(Some(raw));
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
