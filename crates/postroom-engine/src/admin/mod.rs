//! Everything that an administrator can do.
//!
//! Each call takes the [`Principal`] who asks. Without the right it is refused and audited; what
//! changes something is audited, too.

mod approval;
mod bulk;
mod configuration;
mod connection;
pub mod declaration;
mod details;
mod explain;
mod jobs;
mod mailboxes;
mod messages;
mod overview;
mod profiles;
mod settings;
mod support;

pub use details::MailboxDetails;
pub use explain::{Explanation, ExplanationKind};
pub use mailboxes::{AfterDefaults, NewMailbox};
pub use messages::OutgoingDecision;
pub use overview::{Counts, MailboxOverview, Overview, WorkloadOverview};
pub use profiles::{ProfileDirection, SavedProfile};
pub use support::{MailboxFindings, SupportReport};

use std::sync::Arc;

use postroom_core::alert::Subject;
use postroom_core::audit::AuditEntry;
use postroom_core::principal::Principal;
use postroom_core::{Code, MailboxId};

use crate::environment::Environment;
use crate::error::{EngineError, ErrorKind, Result};
use crate::plan::authorize::{Right, authorize};

/// The outcomes of an operation on several mailboxes, in the order asked for: one that is refused
/// does not keep the others from being done.
pub type BulkOutcome<T> = Vec<(MailboxId, Result<T>)>;

/// Everything that an administrator can do. Cheap to clone.
///
/// # Errors
/// Every method may answer `PermissionDenied` (audited) and what the store answers; others are
/// named where they can occur.
#[derive(Clone, Debug)]
pub struct Admin {
    environment: Arc<Environment>,
}

impl Admin {
    pub(crate) const fn new(environment: Arc<Environment>) -> Self {
        Self { environment }
    }

    async fn allow(
        &self,
        principal: &Principal,
        right: Right,
        action: &'static str,
        subject: Subject,
    ) -> Result<()> {
        match authorize(principal, right) {
            Ok(()) => Ok(()),
            Err(needed) => self.refuse(principal, action, subject, needed).await,
        }
    }

    async fn refuse<T>(
        &self,
        principal: &Principal,
        action: &'static str,
        subject: Subject,
        needed: &str,
    ) -> Result<T> {
        let now = self.environment.now();
        let note = format!("needs {needed}");
        let entry = AuditEntry::refused(now, &principal.name, action, subject, note);
        self.environment.store.audit(&entry).await?;
        Err(
            EngineError::new(ErrorKind::PermissionDenied, Code::PermissionDenied, action)
                .with("needed", needed),
        )
    }

    async fn audit(
        &self,
        principal: &Principal,
        action: &'static str,
        subject: Subject,
        note: impl Into<String>,
    ) -> Result<()> {
        let now = self.environment.now();
        let entry = AuditEntry::allowed(now, &principal.name, action, subject, note);
        Ok(self.environment.store.audit(&entry).await?)
    }
}
