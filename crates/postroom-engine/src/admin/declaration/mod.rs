//! An organization as one declaration: what it is to look like, and what would have to change.
//!
//! A [`Declaration`] names an organization's settings, profiles, users, queues, forward mailboxes and
//! parties with their fields. [`Snapshot::declaration`] writes what there is as one; [`plan`] says,
//! without touching anything, which [`Change`]s lead from a [`Snapshot`] to a declaration, or
//! everything that is wrong with it; [`Admin::apply_changes`](super::Admin::apply_changes) carries
//! them out. What a declaration does not name is left alone.
//!
//! The fields are those of the domain types, so that what is added there can be declared at once (see
//! `fields`). Passwords are never part of a declaration, only where they come from.
//!
//! ```
//! use postroom_core::organization::{Deployment, DeploymentKind};
//! use postroom_core::{Organization, OrganizationId};
//! use postroom_engine::declaration::{Declaration, PlanOptions, Snapshot, plan};
//!
//! let id = OrganizationId::from_random([1; 16]);
//! let deployment = Deployment::new(DeploymentKind::OnPremises);
//! let current = Snapshot::new(Organization::new(id, "Contoso", deployment));
//! let document = serde_json::json!({
//!     "organization": { "settings": { "correlation": { "token": { "prefix": "TKT:" } } } },
//!     "queue": [{ "name": "Support", "address": "support@example.org" }],
//! });
//! let (wanted, findings) = Declaration::read(&document);
//! assert!(findings.is_empty());
//! let changes = plan(&current, &wanted, &PlanOptions::default()).expect("nothing is wrong with it");
//! let shown: Vec<String> = changes.iter().map(ToString::to_string).collect();
//! assert_eq!(shown, ["~ organization", "+ queue support@example.org"]);
//! ```

mod apply;
mod change;
mod fields;
mod nearest;
mod plan;
mod read;
mod shape;
mod snapshot;

pub use change::{Action, Change, FieldChange, Target};
pub use fields::Fields;
pub use nearest::nearest;
pub use plan::{PlanOptions, plan};
pub use read::{Finding, PasswordKey, PasswordSource, PasswordUse, Secrets, Slot};
pub use snapshot::Snapshot;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Noun {
    /// The organization: name, deployment, settings.
    Organization,
    /// A contact, an account and so on; a user or queue without a mailbox.
    Party,
    /// A server profile.
    Profile,
    /// A user and their mailbox.
    User,
    /// A queue and its mailbox.
    Queue,
    /// A forward mailbox.
    ForwardMailbox,
}

impl Noun {
    /// All of them, in the order in which a declaration is written.
    pub const ALL: [Self; 6] = [
        Self::Organization,
        Self::Profile,
        Self::User,
        Self::Queue,
        Self::ForwardMailbox,
        Self::Party,
    ];

    /// The name of its table in a document.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Party => "party",
            Self::Profile => "profile",
            Self::User => "user",
            Self::Queue => "queue",
            Self::ForwardMailbox => "forward_mailbox",
        }
    }

    /// Its word, for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ForwardMailbox => "forward mailbox",
            other => other.key(),
        }
    }
}

/// What an organization is to look like, or looks like. As a document (JSON, TOML) it has the table
/// `organization` and the lists of tables `profile`, `user`, `queue`, `forward_mailbox` and `party`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Value", try_from = "Value")]
#[non_exhaustive]
pub struct Declaration {
    /// The organization: `name`, `deployment.*`, `settings.*`.
    pub organization: Fields,
    /// The profiles; each has a `name`.
    pub profiles: Vec<Fields>,
    /// The users; each has a `name`, and the fields of their mailbox.
    pub users: Vec<Fields>,
    /// The queues; each has a `name`, and the fields of its mailbox.
    pub queues: Vec<Fields>,
    /// The forward mailboxes.
    pub forward_mailboxes: Vec<Fields>,
    /// The parties: `kind`, `name`, `addresses`.
    pub parties: Vec<Fields>,
}

impl Declaration {
    /// The entries of a kind; the organization is one.
    #[must_use]
    pub fn entries(&self, noun: Noun) -> &[Fields] {
        match noun {
            Noun::Organization => std::slice::from_ref(&self.organization),
            Noun::Party => &self.parties,
            Noun::Profile => &self.profiles,
            Noun::User => &self.users,
            Noun::Queue => &self.queues,
            Noun::ForwardMailbox => &self.forward_mailboxes,
        }
    }

    const fn entries_mut(&mut self, noun: Noun) -> Option<&mut Vec<Fields>> {
        match noun {
            Noun::Organization => None,
            Noun::Party => Some(&mut self.parties),
            Noun::Profile => Some(&mut self.profiles),
            Noun::User => Some(&mut self.users),
            Noun::Queue => Some(&mut self.queues),
            Noun::ForwardMailbox => Some(&mut self.forward_mailboxes),
        }
    }

    /// As a nested document.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut document = Map::new();
        for noun in Noun::ALL {
            let value = match noun {
                Noun::Organization => fields::nest(&self.organization),
                _ => json!(
                    self.entries(noun)
                        .iter()
                        .map(fields::nest)
                        .collect::<Vec<_>>()
                ),
            };
            document.insert(noun.key().to_owned(), value);
        }
        Value::Object(document)
    }
}

impl From<Declaration> for Value {
    fn from(declaration: Declaration) -> Self {
        declaration.document()
    }
}

impl TryFrom<Value> for Declaration {
    type Error = Finding;

    /// The declaration of a document.
    ///
    /// # Errors
    /// The first finding; [`Declaration::read`] lists them all.
    fn try_from(document: Value) -> Result<Self, Finding> {
        let (declaration, findings) = Self::read(&document);
        match findings.into_iter().next() {
            None => Ok(declaration),
            Some(finding) => Err(finding),
        }
    }
}

#[cfg(test)]
mod tests;
