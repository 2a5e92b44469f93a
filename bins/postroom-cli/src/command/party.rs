//! `party`, `user`, `queue`: the embedded records' people.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::api::{EmailAddress, MailboxOwner, NewMailbox, Page, PartyFilter, PartyId, PartyKind};
use crate::app::{App, LIST_MAX};
use crate::failure::{Failure, Result};
use crate::view;

/// Users.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Create a user and their mailbox.
    Create {
        /// Their name.
        name: String,
        /// Their email address.
        address: EmailAddress,
    },
    /// List the users.
    List,
}

/// Queues.
#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// Create a queue and its mailbox.
    Create {
        /// Its name.
        name: String,
        /// Its email address.
        address: EmailAddress,
    },
    /// List the queues.
    List,
}

/// Parties.
#[derive(Debug, Subcommand)]
pub(crate) enum PartyCommand {
    /// Create a party. For users and queues there are commands that make the mailbox, too.
    Create {
        /// Its kind.
        #[arg(long, value_enum, default_value = "contact")]
        kind: Kind,
        /// Its name.
        name: String,
        /// Its email addresses.
        #[arg(required = true)]
        addresses: Vec<EmailAddress>,
    },
    /// List parties.
    List {
        /// Only that kind.
        #[arg(long, value_enum)]
        kind: Option<Kind>,
    },
}

/// The kinds of parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    User,
    Contact,
    Account,
    Lead,
    Equipment,
    Team,
    BusinessUnit,
    Queue,
    Other,
}

impl From<Kind> for PartyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::User => Self::User,
            Kind::Contact => Self::Contact,
            Kind::Account => Self::Account,
            Kind::Lead => Self::Lead,
            Kind::Equipment => Self::Equipment,
            Kind::Team => Self::Team,
            Kind::BusinessUnit => Self::BusinessUnit,
            Kind::Queue => Self::Queue,
            Kind::Other => Self::Other,
        }
    }
}

impl User {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        match self {
            Self::Create { name, address } => {
                with_mailbox(app, PartyKind::User, &name, address).await
            }
            Self::List => list(app, Some(PartyKind::User)).await,
        }
    }
}

impl Queue {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        match self {
            Self::Create { name, address } => {
                with_mailbox(app, PartyKind::Queue, &name, address).await
            }
            Self::List => list(app, Some(PartyKind::Queue)).await,
        }
    }
}

impl PartyCommand {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        match self {
            Self::Create {
                kind,
                name,
                addresses,
            } => {
                let id = app
                    .crm()
                    .create_party(kind.into(), name.as_str(), &addresses, None)
                    .await
                    .map_err(stored)?;
                app.output.line(format!(
                    "created the {} {name}",
                    view::words(&PartyKind::from(kind))
                ));
                app.output
                    .json(&json!({ "party": party(id, kind.into(), &name, &addresses) }));
                Ok(())
            }
            Self::List { kind } => list(app, kind.map(Into::into)).await,
        }
    }
}

fn stored(error: crate::api::StoreError) -> Failure {
    crate::api::AdminError::from(error).into()
}

fn party(id: PartyId, kind: PartyKind, name: &str, addresses: &[EmailAddress]) -> Value {
    json!({
        "id": id.to_string(),
        "kind": kind.as_str(),
        "name": name,
        "addresses": addresses.iter().map(EmailAddress::as_str).collect::<Vec<_>>(),
    })
}

async fn with_mailbox(app: &App<'_>, kind: PartyKind, name: &str, address: EmailAddress) -> Result {
    // Asked first, so that a taken address leaves no party without a mailbox behind.
    if let Ok(mailbox) = app
        .admin
        .find_mailbox(&app.principal, address.as_str())
        .await
    {
        return Err(Failure::of(
            crate::failure::Exit::Failure,
            crate::api::Code::AlreadyExists,
        )
        .message(format!("{address} is the address of {}", mailbox.name)));
    }
    let id = app
        .crm()
        .create_party(kind, name, std::slice::from_ref(&address), None)
        .await
        .map_err(stored)?;
    let owner = if kind == PartyKind::Queue {
        MailboxOwner::Queue(id)
    } else {
        MailboxOwner::User(id)
    };
    let new = NewMailbox::new(name, owner, Some(address.clone()));
    let mailbox = app.admin.create_mailbox(&app.principal, new).await?;
    app.output.line(format!(
        "created the {} {name} with the mailbox {address}",
        kind.as_str()
    ));
    if mailbox.profile.is_none() {
        app.output
            .note("It has no profile yet: postroom mailbox edit ADDRESS --profile NAME");
    }
    app.output.note(format!(
        "The address is pending approval: postroom approve {address}"
    ));
    app.output.json(&json!({
        "party": party(id, kind, name, std::slice::from_ref(&address)),
        "mailbox": view::mailbox(&mailbox),
    }));
    Ok(())
}

async fn list(app: &App<'_>, kind: Option<PartyKind>) -> Result {
    let mut filter = PartyFilter::default();
    filter.kind = kind;
    let parties = app
        .crm()
        .list_parties(&filter, Page::first(LIST_MAX))
        .await
        .map_err(stored)?;
    app.output.table(
        ["Kind", "Name", "Addresses", "Id"],
        parties.iter().map(|one| {
            [
                view::words(&one.party.kind),
                one.party.name.clone(),
                one.addresses
                    .iter()
                    .map(EmailAddress::as_str)
                    .collect::<Vec<_>>()
                    .join(", "),
                one.party.id.to_string(),
            ]
        }),
    );
    let documents: Vec<_> = parties
        .iter()
        .map(|one| {
            party(
                one.party.id,
                one.party.kind,
                &one.party.name,
                &one.addresses,
            )
        })
        .collect();
    app.output.json(&json!({ "parties": documents }));
    Ok(())
}
