//! The organization and the audit trail.

use postroom_core::Organization;
use postroom_core::alert::Subject;
use postroom_core::audit::AuditEntry;
use postroom_core::principal::Principal;
use postroom_store::Page;

use super::Admin;
use crate::environment;
use crate::error::{EngineError, Result};
use crate::plan::authorize::Right;

impl Admin {
    /// The organization with its settings.
    pub async fn organization(&self, principal: &Principal) -> Result<Organization> {
        self.allow(
            principal,
            Right::ReadMailbox,
            "organization.read",
            Subject::Organization,
        )
        .await?;
        Ok(self.environment.store.organization().await?)
    }

    /// Changes name, deployment and settings of the organization; the id stays.
    ///
    /// # Errors
    /// `InvalidInput` where a setting cannot be used, naming the field.
    pub async fn update_organization(
        &self,
        principal: &Principal,
        organization: &Organization,
    ) -> Result<Organization> {
        const ACTION: &str = "organization.update";
        self.allow(
            principal,
            Right::WriteOrganization,
            ACTION,
            Subject::Organization,
        )
        .await?;
        environment::rules(organization)?;
        if let Some(profile) = organization.settings.mailbox_defaults.profile {
            let known = self.environment.store.profile(profile).await?;
            if known.is_none() {
                return Err(EngineError::invalid(
                    ACTION,
                    "mailbox_defaults.profile",
                    "names no profile",
                ));
            }
        }
        let stored = self.environment.store.organization().await?;
        let mut next = organization.clone();
        next.id = stored.id;
        self.environment.store.save_organization(&next).await?;
        self.audit(
            principal,
            ACTION,
            Subject::Organization,
            "the organization's settings were changed",
        )
        .await?;
        self.environment.wake.notify_one();
        Ok(next)
    }

    /// Who did what, newest first.
    pub async fn audit_trail(&self, principal: &Principal, page: Page) -> Result<Vec<AuditEntry>> {
        self.allow(
            principal,
            Right::WriteOrganization,
            "audit.read",
            Subject::Organization,
        )
        .await?;
        Ok(self.environment.store.audit_trail(page).await?)
    }
}
