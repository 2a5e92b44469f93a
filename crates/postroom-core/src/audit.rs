//! Who did what, when: the trail of administrative actions.

use serde::{Deserialize, Serialize};

use crate::alert::Subject;
use crate::time::Timestamp;

/// One administrative action, done or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who, by the name of the principal.
    pub by: String,
    /// What, such as `mailbox.approve`.
    pub action: String,
    /// On what.
    pub subject: Subject,
    /// The state before and after or the reason of the refusal, for people.
    pub note: String,
    /// Whether it was allowed.
    pub allowed: bool,
}

impl AuditEntry {
    /// An action that was allowed.
    #[must_use]
    pub fn allowed(
        at: Timestamp,
        by: &str,
        action: &str,
        subject: Subject,
        note: impl Into<String>,
    ) -> Self {
        Self {
            at,
            by: by.to_owned(),
            action: action.to_owned(),
            subject,
            note: note.into(),
            allowed: true,
        }
    }

    /// An action that was refused.
    #[must_use]
    pub fn refused(
        at: Timestamp,
        by: &str,
        action: &str,
        subject: Subject,
        note: impl Into<String>,
    ) -> Self {
        Self {
            allowed: false,
            ..Self::allowed(at, by, action, subject, note)
        }
    }
}
