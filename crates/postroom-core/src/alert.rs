//! Alerts: conditions that somebody should know about.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalogue::{Audience, Code, Level};
use crate::id::{AlertId, MailboxId, ProfileId, RecordId};
use crate::mailbox::Workload;
use crate::time::Timestamp;

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
#[non_exhaustive]
pub enum Subject {
    /// The organization.
    Organization,
    /// A profile.
    Profile(ProfileId),
    /// A mailbox.
    Mailbox(MailboxId),
    /// A record, such as an outgoing email that failed.
    Record(RecordId),
}

/// What makes two occurrences the same incident: one alert that counts instead of many.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Incident {
    /// The condition.
    pub code: Code,
    /// What it is about.
    pub subject: Subject,
    /// The workload, where it concerns one.
    pub workload: Option<Workload>,
    /// Tells apart what would otherwise fall together, such as the ledger id of a message.
    pub discriminator: String,
}

impl Incident {
    /// An incident about something as a whole.
    #[must_use]
    pub const fn new(code: Code, subject: Subject, workload: Option<Workload>) -> Self {
        Self {
            code,
            subject,
            workload,
            discriminator: String::new(),
        }
    }

    /// The same, for one thing of several.
    #[must_use]
    pub fn about(mut self, discriminator: impl Into<String>) -> Self {
        self.discriminator = discriminator.into();
        self
    }
}

/// A condition that somebody should know about: one incident, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// What it is.
    pub incident: Incident,
    /// How serious, which may be less than the catalogue says while it is retried.
    pub level: Level,
    /// Who is told.
    pub audience: Audience,
    /// What happened, for people: names the mailbox or profile, never a secret or a subject line.
    pub text: String,
    /// Facts, by name: the server's answer, the step of a test, the attempt.
    pub details: BTreeMap<String, String>,
    /// How often it was met.
    pub count: u64,
    /// When first.
    pub first_seen: Timestamp,
    /// When last.
    pub last_seen: Timestamp,
    /// When the cause went away or somebody dismissed it; `None` while it is open.
    pub closed_at: Option<Timestamp>,
    /// The mailbox on whose wall it is, also where it is about one of its messages.
    pub mailbox: Option<MailboxId>,
}

impl Alert {
    /// A new incident, with level and audience of the catalogue.
    #[must_use]
    pub fn new(id: AlertId, incident: Incident, text: impl Into<String>, now: Timestamp) -> Self {
        let spec = incident.code.spec();
        let mailbox = match incident.subject {
            Subject::Mailbox(id) => Some(id),
            Subject::Organization | Subject::Profile(_) | Subject::Record(_) => None,
        };
        Self {
            id,
            level: spec.level,
            audience: spec.audience,
            incident,
            text: text.into(),
            details: BTreeMap::new(),
            count: 1,
            first_seen: now,
            last_seen: now,
            closed_at: None,
            mailbox,
        }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with_detail(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }
}
