//! `alert`.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::api::{
    Alert as Record, AlertFilter, AlertId, Audience, Code, Level, Page, PartyId, Subject, Wall,
};
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
        #[command(flatten)]
        wall: OnWall,
        /// Only those for that audience.
        #[arg(long = "for", value_enum, value_name = "AUDIENCE")]
        audience: Option<Whom>,
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
        #[arg(required_unless_present = "all")]
        ids: Vec<AlertId>,
        /// All that are open, or all on that wall.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        #[command(flatten)]
        wall: OnWall,
    },
}

/// Whose wall is looked at.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub(crate) struct OnWall {
    /// What is on the wall of a mailbox, by address, name or id.
    #[arg(long)]
    mailbox: Option<String>,
    /// What is on the wall of a profile: about it, and about its mailboxes as far as it concerns the
    /// profile's owner.
    #[arg(long)]
    profile: Option<String>,
    /// What a user or queue is told, by the address or name of their mailbox, or by their id.
    #[arg(long, value_name = "WHO")]
    owner: Option<String>,
}

impl OnWall {
    async fn wall(&self, app: &App<'_>) -> Result<Option<Wall>> {
        if let Some(mailbox) = &self.mailbox {
            return Ok(Some(Wall::Mailbox(app.mailbox(mailbox).await?.id)));
        }
        if let Some(profile) = &self.profile {
            return Ok(Some(Wall::Profile(app.profile(profile).await?.id)));
        }
        let Some(who) = &self.owner else {
            return Ok(None);
        };
        if let Ok(id) = who.parse::<PartyId>() {
            return Ok(Some(Wall::Owner(id)));
        }
        match app.mailbox(who).await?.owner.party() {
            Some(party) => Ok(Some(Wall::Owner(party))),
            None => Err(Failure::usage("a forward mailbox belongs to nobody")),
        }
    }
}

/// Who is told.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Whom {
    MailboxOwner,
    ProfileOwner,
    Both,
    Administrator,
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
                wall,
                audience,
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
                filter.wall = wall.wall(app).await?;
                filter.audience = audience.map(|whom| match whom {
                    Whom::MailboxOwner => Audience::MailboxOwner,
                    Whom::ProfileOwner => Audience::ProfileOwner,
                    Whom::Both => Audience::MailboxAndProfileOwner,
                    Whom::Administrator => Audience::Administrator,
                });
                let alerts = admin.alerts(principal, &filter, Page::first(limit)).await?;
                list(app, &alerts);
                Ok(())
            }
            Self::Show { id } => {
                let mut filter = AlertFilter::default();
                filter.closed = true;
                filter.id = Some(id);
                let alerts = admin.alerts(principal, &filter, Page::first(1)).await?;
                let alert = alerts.first().ok_or_else(|| {
                    Failure::not_found(format!("there is no alert {id}"))
                        .hint("postroom alert list shows them.")
                })?;
                show(app, alert);
                Ok(())
            }
            Self::Dismiss { ids, all, wall } => {
                let ids = if all { open(app, &wall).await? } else { ids };
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

/// The open alerts on a wall, or all of them.
async fn open(app: &App<'_>, wall: &OnWall) -> Result<Vec<AlertId>> {
    let mut filter = AlertFilter::default();
    filter.wall = wall.wall(app).await?;
    let page = Page::first(10_000);
    let alerts = app.admin.alerts(&app.principal, &filter, page).await?;
    Ok(alerts.into_iter().map(|alert| alert.id).collect())
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
        "mailbox": alert.mailbox.map(|id| id.to_string()),
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
