//! `party`, `user`, `queue`: the embedded records' people.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::api::{
    EmailAddress, MailboxOwner, NewMailbox, Page, PartyFilter, PartyId, PartyKind, PartyView,
    nearest,
};
use crate::app::{App, LIST_MAX};
use crate::failure::{Failure, Result};

use crate::view;

/// So many characters a name has at most.
const NAME_MAX: usize = 200;

/// Users.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Create a user and their mailbox.
    Create {
        /// Their name.
        #[arg(value_parser = party_name)]
        name: String,
        /// Their email address.
        #[arg(value_parser = mailbox_address)]
        address: EmailAddress,
    },
    /// List the users.
    List,
    /// Activate a user, and their mailbox.
    Activate {
        /// Their name, address or id.
        user: String,
    },
    /// Deactivate a user: their mailbox goes with them.
    Deactivate {
        /// Their name, address or id.
        user: String,
    },
}

/// Queues.
#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// Create a queue and its mailbox.
    Create {
        /// Its name.
        #[arg(value_parser = party_name)]
        name: String,
        /// Its email address.
        #[arg(value_parser = mailbox_address)]
        address: EmailAddress,
    },
    /// List the queues.
    List,
    /// Activate a queue, and its mailbox.
    Activate {
        /// Its name, address or id.
        queue: String,
    },
    /// Deactivate a queue: its mailbox goes with it.
    Deactivate {
        /// Its name, address or id.
        queue: String,
    },
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
        #[arg(value_parser = party_name)]
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
            Self::Activate { user } => switch(app, PartyKind::User, &user, true).await,
            Self::Deactivate { user } => switch(app, PartyKind::User, &user, false).await,
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
            Self::Activate { queue } => switch(app, PartyKind::Queue, &queue, true).await,
            Self::Deactivate { queue } => switch(app, PartyKind::Queue, &queue, false).await,
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

/// A name as a mailbox can have it: refused before there is a party without one.
fn party_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if (1..=NAME_MAX).contains(&name.chars().count()) {
        Ok(name.to_owned())
    } else {
        Err(format!("must have 1 to {NAME_MAX} characters"))
    }
}

/// An address as a mailbox can have it: refused before there is a party without one.
fn mailbox_address(text: &str) -> Result<EmailAddress, String> {
    let address: EmailAddress = text.parse().map_err(|error| format!("{error}"))?;
    if address.is_plain() {
        Ok(address)
    } else {
        Err("must have one @, and a domain such as example.org after it".to_owned())
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
        return Err(Failure::exists(format!(
            "{address} is the address of {}",
            mailbox.name
        )));
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
        app.output.note(format!(
            "It has no profile yet: postroom mailbox edit {address} --profile NAME"
        ));
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

/// The party of that name, address or id among those of some kinds.
pub(crate) async fn find(app: &App<'_>, kinds: &[PartyKind], text: &str) -> Result<PartyView> {
    let mut parties = Vec::new();
    for kind in kinds {
        let mut filter = PartyFilter::default();
        filter.kind = Some(*kind);
        let mut page = Page::first(LIST_MAX);
        loop {
            let found = app
                .crm()
                .list_parties(&filter, page)
                .await
                .map_err(stored)?;
            let last = u32::try_from(found.len()).is_ok_and(|count| count < LIST_MAX);
            parties.extend(found);
            if last {
                break;
            }
            page = page.next();
        }
    }
    let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
    let kinds = kinds.join(" or ");
    let wanted = text.trim().to_lowercase();
    let fits = |one: &PartyView| {
        one.party.name.to_lowercase() == wanted
            || one.party.id.to_string() == wanted
            || one.addresses.iter().any(|a| a.normalized() == wanted)
    };
    let names: Vec<_> = parties.iter().map(|one| one.party.name.clone()).collect();
    let mut found = parties.into_iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => {
            let message = format!("{text} is the name or address of more than one {kinds}");
            Err(Failure::usage(message).hint("Use the id, which postroom party list shows."))
        }
        (None, _) => {
            let failure = Failure::not_found(format!("there is no {kinds} {text}"));
            Err(match nearest(text, names.iter().map(String::as_str)) {
                Some(name) => failure.hint(format!("Did you mean {name}?")),
                None => failure.hint("postroom party list shows them."),
            })
        }
    }
}

/// Activates or deactivates a user or queue, and the mailbox with it.
async fn switch(app: &App<'_>, kind: PartyKind, text: &str, active: bool) -> Result {
    let mut party = find(app, &[kind], text).await?.party;
    party.active = active;
    app.crm().save_party(&party).await.map_err(stored)?;
    let mailbox = app
        .admin
        .owner_switched(&app.principal, party.id, active)
        .await?;
    let state = if active { "active" } else { "inactive" };
    app.output.line(match &mailbox {
        Some(mailbox) => format!(
            "{} and the mailbox {} are {state}",
            party.name, mailbox.name
        ),
        None => format!("{} is {state}", party.name),
    });
    app.output.json(&json!({
        "party": { "id": party.id.to_string(), "active": active },
        "mailbox": mailbox.as_ref().map(view::mailbox),
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
