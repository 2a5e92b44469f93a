//! `alert`.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::api::{Alert as Record, AlertFilter, AlertId, Code, Level, Page, Subject};
use crate::app::App;
use crate::failure::{Failure, Result};
use crate::output::{Output, printable, short};
use crate::view;

/// Alerts.
#[derive(Debug, Subcommand)]
pub(crate) enum Alert {
    /// List alerts, newest first.
    List {
        /// Only those of this level and above.
        #[arg(long, value_enum, default_value = "information")]
        level: AtLeast,
        /// Only those of a mailbox, by address, name or id.
        #[arg(long)]
        mailbox: Option<String>,
        /// Closed ones, too.
        #[arg(long)]
        closed: bool,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Show an alert with its cause, what to do, and the facts.
    Show {
        /// Its id.
        id: AlertId,
    },
    /// Close alerts.
    Dismiss {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<AlertId>,
    },
}

/// How serious.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AtLeast {
    Information,
    Warning,
    Error,
}

impl Alert {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        let (admin, principal) = (&app.admin, &app.principal);
        match self {
            Self::List {
                level,
                mailbox,
                closed,
                limit,
            } => {
                let mut filter = AlertFilter::default();
                filter.level_min = Some(match level {
                    AtLeast::Information => Level::Information,
                    AtLeast::Warning => Level::Warning,
                    AtLeast::Error => Level::Error,
                });
                filter.closed = closed;
                if let Some(mailbox) = mailbox {
                    filter.subject = Some(Subject::Mailbox(app.mailbox(&mailbox).await?.id));
                }
                let alerts = admin.alerts(principal, &filter, Page::first(limit)).await?;
                list(app, &alerts);
                Ok(())
            }
            Self::Show { id } => {
                let mut filter = AlertFilter::default();
                filter.closed = true;
                let alerts = admin
                    .alerts(principal, &filter, Page::first(10_000))
                    .await?;
                let alert = alerts.iter().find(|alert| alert.id == id).ok_or_else(|| {
                    Failure::not_found(format!("there is no alert {id}"))
                        .hint("postroom alert list shows them.")
                })?;
                show(app, alert);
                Ok(())
            }
            Self::Dismiss { ids } => {
                for id in &ids {
                    admin.dismiss_alert(principal, *id).await?;
                }
                app.output.line(format!("dismissed {}", ids.len()));
                app.output.json(&json!({ "dismissed": ids.iter().map(ToString::to_string).collect::<Vec<_>>() }));
                Ok(())
            }
        }
    }
}

fn list(app: &App<'_>, alerts: &[Record]) {
    table(app.output, alerts);
    let documents: Vec<_> = alerts.iter().map(document).collect();
    app.output.json(&json!({ "alerts": documents }));
}

/// The table of alerts.
fn table(output: &Output, alerts: &[Record]) {
    if alerts.is_empty() {
        output.line("no alerts");
    } else {
        output.table(
            ["Level", "What", "Times", "Last seen", "Id"],
            alerts.iter().map(|alert| {
                [
                    view::words(&alert.level),
                    short(&alert.text, 160),
                    alert.count.to_string(),
                    view::clock(alert.last_seen),
                    alert.id.to_string(),
                ]
            }),
        );
    }
}

fn document(alert: &Record) -> Value {
    let spec = alert.incident.code.spec();
    let (kind, id) = match alert.incident.subject {
        Subject::Profile(id) => ("profile", Some(id.to_string())),
        Subject::Mailbox(id) => ("mailbox", Some(id.to_string())),
        Subject::Record(id) => ("record", Some(id.to_string())),
        _ => ("organization", None),
    };
    json!({
        "id": alert.id.to_string(),
        "code": alert.incident.code.as_str(),
        "level": view::name_of(&alert.level),
        "audience": view::name_of(&alert.audience),
        "subject": { "kind": kind, "id": id },
        "workload": alert.incident.workload.map(crate::api::Workload::as_str),
        "about": alert.incident.discriminator,
        "text": alert.text,
        "cause": spec.cause,
        "remedy": spec.remedy,
        "details": alert.details,
        "count": alert.count,
        "first_seen": alert.first_seen.to_string(),
        "last_seen": alert.last_seen.to_string(),
        "closed_at": view::time(alert.closed_at),
    })
}

fn show(app: &App<'_>, alert: &Record) {
    let code: Code = alert.incident.code;
    let spec = code.spec();
    let mut rows = vec![
        view::row("Id", alert.id),
        view::row("What", &alert.text),
        view::row("Code", code),
        view::row("Level", view::words(&alert.level)),
        view::row("For", view::words(&alert.audience)),
        view::row("Cause", spec.cause),
        view::row("What to do", spec.remedy),
        view::row("Times", alert.count),
        view::row("First seen", view::clock(alert.first_seen)),
        view::row("Last seen", view::clock(alert.last_seen)),
    ];
    if let Some(time) = alert.closed_at {
        rows.push(view::row("Closed", view::clock(time)));
    }
    for (name, value) in &alert.details {
        rows.push([name.clone(), printable(value)]);
    }
    app.output.table(["Alert", ""], rows);
    app.output.json(&json!({ "alert": document(alert) }));
}
