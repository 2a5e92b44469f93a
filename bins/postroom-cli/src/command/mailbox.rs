//! `mailbox`.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::api::{
    AfterDefaults, Channel, DeliveryMethod, EmailAddress, Mailbox as Record, MailboxEdit,
    MailboxOwner, NewMailbox, Page, Timestamp, TrackingFilter, Workload,
};
use crate::app::{App, LIST_MAX};
use crate::command::job;
use crate::command::selection::{Only, Selection};
use crate::command::test;
use crate::failure::{Failure, Result};
use crate::output::printable;
use crate::secret::PasswordSource;
use crate::view;

/// Mailboxes.
#[derive(Debug, Subcommand)]
pub(crate) enum Mailbox {
    /// List the mailboxes, by name.
    List {
        #[command(flatten)]
        only: Only,
        /// At most so many.
        #[arg(long, default_value_t = LIST_MAX, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Leave out so many first ones.
        #[arg(long, default_value_t = 0)]
        offset: u64,
    },
    /// Show a mailbox.
    Show {
        /// Its address, name or id.
        mailbox: String,
    },
    /// Show everything that is known about a mailbox: state, health, when it is due next and why.
    Details {
        /// Its address, name or id.
        mailbox: String,
    },
    /// Create a forward mailbox. Those of users and queues come with `user create`, `queue create`.
    Create {
        /// Its name.
        name: String,
        /// Its address.
        address: EmailAddress,
    },
    /// Change mailboxes, several alike.
    Edit {
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        changes: Changes,
    },
    /// Give mailboxes the organization's default profile and methods, then test and enable them.
    ApplyDefaults {
        #[command(flatten)]
        selection: Selection,
        /// Leave out the test.
        #[arg(long)]
        no_test: bool,
    },
    /// Let mailboxes be processed.
    Activate {
        #[command(flatten)]
        selection: Selection,
    },
    /// Stop all traffic of mailboxes.
    Deactivate {
        #[command(flatten)]
        selection: Selection,
    },
    /// Set the mailbox's own user name and password, and allow their use.
    SetPassword {
        /// Its address, name or id.
        mailbox: String,
        /// The user name; without it the one from before, or the address.
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        password: PasswordSource,
    },
}

/// How a workload is delivered.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Method {
    /// Not at all.
    None,
    /// By Postroom.
    ServerSide,
    /// By way of a forward mailbox; incoming only.
    ForwardMailbox,
    /// By another program: Postroom keeps away.
    Other,
}

impl From<Method> for DeliveryMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::None => Self::None,
            Method::ServerSide => Self::ServerSide,
            Method::ForwardMailbox => Self::ForwardMailbox,
            Method::Other => Self::Other,
        }
    }
}

/// Which incoming email is tracked.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Filter {
    /// All email.
    All,
    /// Email in response to the application's email.
    Replies,
    /// Email from leads, contacts and accounts.
    FromCustomers,
    /// Email from any record that has an email address.
    FromRecords,
    /// None.
    None,
}

impl From<Filter> for TrackingFilter {
    fn from(filter: Filter) -> Self {
        match filter {
            Filter::All => Self::All,
            Filter::Replies => Self::RepliesToCrmEmail,
            Filter::FromCustomers => Self::FromLeadsContactsAccounts,
            Filter::FromRecords => Self::FromEmailEnabledRecords,
            Filter::None => Self::None,
        }
    }
}

/// What can be changed of a mailbox.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub(crate) struct Changes {
    /// Another name.
    #[arg(long)]
    name: Option<String>,
    /// Another address: it has to be approved and tested again. Empty clears it.
    #[arg(long)]
    address: Option<String>,
    /// Another profile, by name or id; `none` takes it away.
    #[arg(long)]
    profile: Option<String>,
    /// How incoming email is delivered.
    #[arg(long, value_enum)]
    incoming: Option<Method>,
    /// How outgoing email is delivered.
    #[arg(long, value_enum)]
    outgoing: Option<Method>,
    /// How appointments, contacts and tasks are synchronized.
    #[arg(long, value_enum)]
    items: Option<Method>,
    /// Which incoming email is tracked.
    #[arg(long, value_enum)]
    filter: Option<Filter>,
    /// Process email received from then on, such as 2026-11-22; `none` takes the date away.
    #[arg(long, value_name = "TIME")]
    process_from: Option<String>,
    /// Whether the mailbox's own credentials may be used.
    #[arg(long, value_name = "BOOL")]
    allow_credentials: Option<bool>,
    /// Delete messages from the server once they are recorded; queues and forward mailboxes only.
    #[arg(long, value_name = "BOOL")]
    delete_after_processing: Option<bool>,
}

impl Changes {
    async fn edit(self, app: &App<'_>) -> Result<MailboxEdit> {
        let mut edit = MailboxEdit::new();
        edit.name = self.name;
        edit.address = match self.address.as_deref() {
            None => None,
            Some("") => Some(None),
            Some(text) => {
                let parsed = text.parse::<EmailAddress>();
                Some(Some(parsed.map_err(|error| {
                    Failure::usage(format!("{text}: {error}"))
                })?))
            }
        };
        edit.profile = match self.profile.as_deref() {
            None => None,
            Some("none") => Some(None),
            Some(name) => Some(Some(app.profile(name).await?.id)),
        };
        edit.incoming = self.incoming.map(Into::into);
        edit.outgoing = self.outgoing.map(Into::into);
        edit.items = self.items.map(Into::into);
        edit.filter = self.filter.map(Into::into);
        edit.process_email_from = match self.process_from.as_deref() {
            None => None,
            Some("none") => Some(None),
            Some(text) => {
                let parsed = text.parse::<Timestamp>();
                Some(Some(parsed.map_err(|error| {
                    Failure::usage(format!("{text}: {error}"))
                })?))
            }
        };
        edit.allow_credentials = self.allow_credentials;
        edit.delete_after_processing = self.delete_after_processing;
        Ok(edit)
    }
}

impl Mailbox {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        let (admin, principal) = (&app.admin, &app.principal);
        match self {
            Self::List {
                only,
                limit,
                offset,
            } => list(app, &only, limit, offset).await,
            Self::Details { mailbox } => {
                let mailbox = app.mailbox(&mailbox).await?;
                details(app, &mailbox).await
            }
            Self::Show { mailbox } => {
                let mailbox = app.mailbox(&mailbox).await?;
                show(app, &mailbox).await
            }
            Self::Create { name, address } => {
                let new = NewMailbox::new(name, MailboxOwner::Forward, Some(address));
                let mailbox = admin.create_mailbox(principal, new).await?;
                show(app, &mailbox).await
            }
            Self::Edit { selection, changes } => {
                let Some(mailboxes) = selection.agreed(app, "change").await? else {
                    return Ok(());
                };
                let edit = changes.edit(app).await?;
                let outcomes = admin
                    .edit_mailboxes(principal, &ids(&mailboxes), &edit)
                    .await;
                app.bulk(
                    &mailboxes,
                    outcomes,
                    |_| "changed".to_owned(),
                    view::mailbox,
                )
            }
            Self::ApplyDefaults { selection, no_test } => {
                let Some(mailboxes) = selection.agreed(app, "apply the defaults to").await? else {
                    return Ok(());
                };
                apply_defaults(app, &mailboxes, no_test).await
            }
            Self::Activate { selection } => {
                let Some(mailboxes) = selection.agreed(app, "activate").await? else {
                    return Ok(());
                };
                let outcomes = admin.activate(principal, &ids(&mailboxes)).await;
                app.bulk(&mailboxes, outcomes, |_| "active".to_owned(), view::mailbox)
            }
            Self::Deactivate { selection } => {
                let Some(mailboxes) = selection.agreed(app, "deactivate").await? else {
                    return Ok(());
                };
                let outcomes = admin.deactivate(principal, &ids(&mailboxes)).await;
                app.bulk(
                    &mailboxes,
                    outcomes,
                    |_| "inactive".to_owned(),
                    view::mailbox,
                )
            }
            Self::SetPassword {
                mailbox,
                user,
                password,
            } => {
                let mailbox = app.mailbox(&mailbox).await?;
                let user = user
                    .or_else(|| mailbox.user_name.clone())
                    .or_else(|| mailbox.address.as_ref().map(ToString::to_string))
                    .ok_or_else(|| {
                        Failure::usage("no user name is known").hint("Name it: --user NAME.")
                    })?;
                let secret = password.read(&format!("Password of {user}"))?;
                let mailbox = admin
                    .set_mailbox_credentials(principal, mailbox.id, &user, &secret, Channel::Local)
                    .await?;
                app.output.line(format!("the password of {user} is set"));
                app.output
                    .json(&json!({ "mailbox": view::mailbox(&mailbox) }));
                Ok(())
            }
        }
    }
}

pub(crate) fn ids(mailboxes: &[Record]) -> Vec<crate::api::MailboxId> {
    mailboxes.iter().map(|mailbox| mailbox.id).collect()
}

async fn details(app: &App<'_>, mailbox: &Record) -> Result {
    let details = app
        .admin
        .mailbox_details(&app.principal, mailbox.id)
        .await?;
    app.output.line(printable(&details.to_string()));
    let workloads: Vec<_> = details
        .workloads
        .iter()
        .map(|workload| {
            json!({
                "workload": workload.workload.as_str(),
                "health": view::health_name(&workload.health),
                "next_due": view::time(workload.next_due),
                "why": workload.why,
            })
        })
        .collect();
    let alerts: Vec<_> = details
        .alerts
        .iter()
        .map(|alert| json!({ "code": alert.incident.code.as_str(), "count": alert.count }))
        .collect();
    app.output.json(&json!({ "details": {
        "at": details.at.to_string(),
        "mailbox": view::mailbox(&details.mailbox),
        "profile": details.profile.as_ref().map(|profile| profile.name.as_str()),
        "processes_from": view::time(details.processes_from),
        "workloads": workloads,
        "incoming": details.counts.ledger,
        "outgoing": details.counts.outbox,
        "alerts": alerts,
    }}));
    Ok(())
}

async fn list(app: &App<'_>, only: &Only, limit: u32, offset: u64) -> Result {
    let mut page = Page::first(limit);
    page.offset = offset;
    let filter = only.filter(app).await?;
    let mailboxes = app.admin.mailboxes(&app.principal, &filter, page).await?;
    let profiles = app.admin.profiles(&app.principal).await?;
    app.output.table(
        [
            "Address", "Name", "Of", "Profile", "Approval", "Incoming", "Outgoing",
        ],
        mailboxes.iter().map(|mailbox| {
            let profile = profiles
                .iter()
                .find(|profile| mailbox.profile == Some(profile.id));
            [
                view::address(mailbox),
                mailbox.name.clone(),
                view::owner_name(&mailbox.owner).to_owned(),
                profile.map_or_else(|| "-".to_owned(), |profile| profile.name.clone()),
                view::approval_words(mailbox.approval).to_owned(),
                view::workload_words(&mailbox.incoming),
                view::workload_words(&mailbox.outgoing),
            ]
        }),
    );
    let documents: Vec<_> = mailboxes.iter().map(view::mailbox).collect();
    app.output.json(&json!({ "mailboxes": documents }));
    Ok(())
}

fn approval(mailbox: &Record) -> String {
    let words = view::approval_words(mailbox.approval);
    match (&mailbox.approved_by, mailbox.approved_at) {
        (Some(by), Some(at)) => format!("{words} by {by} at {}", view::clock(at)),
        _ => words.to_owned(),
    }
}

async fn show(app: &App<'_>, mailbox: &Record) -> Result {
    let profile = match mailbox.profile {
        Some(id) => app.admin.profile(&app.principal, id).await?.name,
        None => "-".to_owned(),
    };
    let mut rows = vec![
        view::row("Name", &mailbox.name),
        view::row("Id", mailbox.id),
        view::row("Address", view::address(mailbox)),
        view::row("Of", view::owner_name(&mailbox.owner)),
        view::row("Profile", profile),
        view::row("Active", view::yes(mailbox.active)),
        view::row("Approval", approval(mailbox)),
        view::row("Tracks", view::words(&mailbox.filter)),
    ];
    for workload in Workload::ALL {
        rows.push(view::row(
            workload.as_str(),
            view::workload_words(mailbox.workload(workload)),
        ));
    }
    if let Some(time) = mailbox.process_email_from.or(mailbox.incoming_enabled_at) {
        rows.push(view::row("Process email from", view::clock(time)));
    }
    if let Some(user) = &mailbox.user_name {
        rows.push(view::row("User name", user));
    }
    let last = job::last(app, mailbox.id).await?;
    rows.push(view::row("Last test", job::last_in_words(last.as_ref())));
    app.output.table(["Mailbox", ""], rows);
    app.output.json(&json!({
        "mailbox": view::mailbox(mailbox),
        "last_test": last.as_ref().map(view::job),
    }));
    Ok(())
}

async fn apply_defaults(app: &App<'_>, mailboxes: &[Record], no_test: bool) -> Result {
    let after = if no_test {
        AfterDefaults::Nothing
    } else {
        AfterDefaults::TestAndEnable
    };
    let outcomes = app
        .admin
        .apply_defaults(&app.principal, &ids(mailboxes), after)
        .await;
    if no_test {
        return app.bulk(
            mailboxes,
            outcomes,
            |_| "has the defaults".to_owned(),
            |(mailbox, _)| view::mailbox(mailbox),
        );
    }
    let jobs = outcomes
        .into_iter()
        .filter_map(|(id, outcome)| match outcome {
            Ok((_, job)) => job.map(|job| (id, Ok(job))),
            Err(error) => Some((id, Err(error))),
        })
        .collect();
    test::wait(app, mailboxes, jobs).await
}
