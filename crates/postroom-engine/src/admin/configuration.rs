//! The organization and the audit trail.

use postroom_core::Organization;
use postroom_core::alert::Subject;
use postroom_core::audit::AuditEntry;
use postroom_core::principal::Principal;
use postroom_store::Page;

use super::Admin;
use crate::error::Result;
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

    /// Changes name, deployment and settings of the organization, all at once; the id stays.
    /// [`change_settings`](Self::change_settings) changes single ones.
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
        self.store_settings(principal, ACTION, |stored| {
            organization.clone_into(stored);
            Ok(())
        })
        .await
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
