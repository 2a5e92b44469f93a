//! Parties: whom an email address resolves to in the application.

use serde::{Deserialize, Serialize};

use crate::id::PartyId;

/// The kind of a party. Source: domain section 6, "Party resolution and owner".
///
/// The order is the order of preference when several parties share the sender's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PartyKind {
    /// A user of the application.
    User,
    /// A contact.
    Contact,
    /// An account.
    Account,
    /// A lead.
    Lead,
    /// A facility or piece of equipment.
    Equipment,
    /// A team.
    Team,
    /// A business unit.
    BusinessUnit,
    /// A queue.
    Queue,
    /// Any other record that has an email address.
    Other,
}

impl PartyKind {
    /// The text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Contact => "contact",
            Self::Account => "account",
            Self::Lead => "lead",
            Self::Equipment => "equipment",
            Self::Team => "team",
            Self::BusinessUnit => "business_unit",
            Self::Queue => "queue",
            Self::Other => "other",
        }
    }
}

/// A party as the application answers a look-up: enough to decide by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Party {
    /// Its id.
    pub id: PartyId,
    /// Its kind.
    pub kind: PartyKind,
    /// Its name, for people.
    pub name: String,
    /// Whether it is active.
    pub active: bool,
    /// The user or team that owns it; users own themselves.
    pub owner: Option<PartyId>,
}

impl Party {
    /// An active party that nobody owns.
    #[must_use]
    pub fn new(id: PartyId, kind: PartyKind, name: impl Into<String>) -> Self {
        Self {
            id,
            kind,
            name: name.into(),
            active: true,
            owner: None,
        }
    }
}

/// What a party's role in an email is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "the four address fields of RFC 5322 section 3.6"
)]
pub enum Participation {
    /// The author.
    From,
    /// A primary recipient.
    To,
    /// A copy.
    Cc,
    /// A blind copy.
    Bcc,
}
