//! `email list`: what became of each message.

use clap::Args;
use serde_json::{Value, json};

use crate::api::{
    AdminError, DeliveryOutcome, EmailAddress, LedgerEntry, LedgerFilter, LedgerState, OutboxEntry,
    OutboxFilter, OutboxState, Page, RecipientDelivery, nearest,
};
use crate::app::App;
use crate::failure::{Failure, Result};
use crate::output::short;
use crate::view;

/// Which messages to list.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// What was to be sent.
    #[arg(long)]
    pub(super) outgoing: bool,
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

/// The stored name of a state that was typed.
fn state_named(text: Option<&str>, known: &[&'static str]) -> Result<Option<&'static str>> {
    let Some(text) = text else { return Ok(None) };
    let wanted = text.replace([' ', '-'], "_");
    known
        .iter()
        .find(|name| **name == wanted)
        .map(|name| Some(*name))
        .ok_or_else(|| {
            let meant = nearest(&wanted, known.iter().copied());
            Failure::usage(format!("there is no state {text}")).hint(match meant {
                Some(name) => format!("Did you mean {name}?"),
                None => format!("The states are {}.", known.join(", ")),
            })
        })
}

impl List {
    pub(super) async fn incoming(self, app: &App<'_>) -> Result {
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

    pub(super) async fn outgoing(self, app: &App<'_>) -> Result {
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
        OutboxState::Sent { receipt, .. } => {
            let failed = |said: &&RecipientDelivery| said.outcome == DeliveryOutcome::Failed;
            match receipt.deliveries.iter().filter(failed).count() {
                0 => name,
                failed => format!("{name}, not delivered to {failed}"),
            }
        }
        OutboxState::Failed { code } | OutboxState::Unknown { code, .. } => {
            format!("{name}: {code}")
        }
        OutboxState::PendingSend {
            last: Some(code),
            attempts,
            ..
        } => format!("{name}, {attempts} attempts: {code}"),
        OutboxState::PendingSend { .. } | OutboxState::Sending { .. } => name,
    }
}

/// A message that was met in a mailbox, for programs.
pub(super) fn incoming_json(entry: &LedgerEntry, subject: Option<&str>) -> Value {
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

pub(super) fn outgoing_json(entry: &OutboxEntry) -> Value {
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
