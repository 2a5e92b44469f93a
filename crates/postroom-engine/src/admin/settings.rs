//! Settings of the organization, one by one, with their history.

use postroom_core::Organization;
use postroom_core::alert::Subject;
use postroom_core::approval::{Permission, permission};
use postroom_core::organization::DeploymentKind;
use postroom_core::principal::Principal;
use postroom_core::profile::ProfileKind;
use postroom_core::settings::{
    self, SETTINGS, Setting, SettingChange, SettingValue, changes, validate,
};
use postroom_core::{ProfileId, Secret};
use postroom_store::Page;

use super::Admin;
use crate::environment;
use crate::error::{EngineError, Result};
use crate::plan::authorize::Right;

/// At most so often a change is tried again because somebody else changed settings meanwhile.
const CONFLICTS_MAX: u32 = 5;

impl Admin {
    /// Every setting of the organization with its value, in the order of the table.
    pub async fn settings(
        &self,
        principal: &Principal,
    ) -> Result<Vec<(&'static Setting, SettingValue)>> {
        let organization = self.organization(principal).await?;
        Ok(SETTINGS
            .iter()
            .map(|setting| (setting, setting.get(&organization)))
            .collect())
    }

    /// Changes settings by name, all or none; each change goes into the history.
    ///
    /// # Errors
    /// `NotFound` where there is no such setting; `InvalidInput` naming the settings whose values
    /// cannot be used; `PermissionDenied` where they say what has to be approved, or by whom, and the
    /// permission model does not let the principal approve.
    pub async fn change_settings(
        &self,
        principal: &Principal,
        wanted: &[(String, String)],
    ) -> Result<Organization> {
        const ACTION: &str = "settings.change";
        self.allow(
            principal,
            Right::WriteOrganization,
            ACTION,
            Subject::Organization,
        )
        .await?;
        let mut parsed = Vec::with_capacity(wanted.len());
        for (name, text) in wanted {
            let setting = settings::find(name)
                .ok_or_else(|| EngineError::not_found(ACTION, "setting").with("setting", name))?;
            parsed.push((setting, text));
        }
        self.store_settings(principal, ACTION, |organization| {
            let errors: Vec<_> = parsed
                .iter()
                .filter_map(|(setting, text)| setting.set(organization, text).err())
                .collect();
            if errors.is_empty() {
                Ok(())
            } else {
                Err(EngineError::fields(ACTION, &errors))
            }
        })
        .await
    }

    /// Who changed settings (one, where `name` says so), when, from what to what; newest first.
    pub async fn setting_history(
        &self,
        principal: &Principal,
        name: Option<&str>,
        page: Page,
    ) -> Result<Vec<SettingChange>> {
        const ACTION: &str = "settings.history";
        self.allow(principal, Right::ReadMailbox, ACTION, Subject::Organization)
            .await?;
        Ok(self.environment.store.setting_changes(name, page).await?)
    }

    /// Seals every stored password anew with another key, given as the text of a key file: all or
    /// none. From then on the key before is wrong. Answers how many passwords there are.
    ///
    /// # Errors
    /// `Key` where the text is no key, or the key in use does not open what is stored.
    pub async fn rotate_key(&self, principal: &Principal, key: &Secret) -> Result<u64> {
        const ACTION: &str = "key.rotate";
        self.allow(
            principal,
            Right::WriteOrganization,
            ACTION,
            Subject::Organization,
        )
        .await?;
        let count = self.environment.store.rotate_key(key).await?;
        let note = format!("{count} secrets were sealed anew");
        self.audit(principal, ACTION, Subject::Organization, note)
            .await?;
        Ok(count)
    }

    /// Changes the organization as it is stored, again where somebody else was faster; checks it,
    /// keeps the history and the audit.
    pub(super) async fn store_settings(
        &self,
        principal: &Principal,
        action: &'static str,
        change: impl Fn(&mut Organization) -> Result<()> + Send + Sync,
    ) -> Result<Organization> {
        let store = &self.environment.store;
        let mut tries = 0;
        loop {
            tries += 1;
            let before = store.organization().await?;
            let mut after = before.clone();
            change(&mut after)?;
            after.id = before.id;
            validate(&after).map_err(|fields| EngineError::fields(action, &fields))?;
            environment::rules(&after)?;
            self.check_default_profile(action, &after).await?;
            if concerns_approval(&before, &after)
                && let Err(needed) = may_decide_about_approval(principal, &before)
            {
                let subject = Subject::Organization;
                return self.refuse(principal, action, subject, &needed).await;
            }
            let now = self.environment.now();
            let history = changes(&before, &after, &principal.name, now);
            match store.change_organization(&before, &after, &history).await {
                Ok(()) => {
                    for one in &history {
                        let note = format!("{}: {} became {}", one.name, one.from, one.to);
                        self.audit(principal, action, Subject::Organization, note)
                            .await?;
                    }
                    self.follow_deployment(principal, &before, &after).await?;
                    self.environment.wake.notify_one();
                    return Ok(store.organization().await?);
                }
                Err(error)
                    if error.kind() == postroom_store::ErrorKind::Conflict
                        && tries < CONFLICTS_MAX => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn check_default_profile(
        &self,
        action: &'static str,
        organization: &Organization,
    ) -> Result<()> {
        let Some(profile) = organization.settings.mailbox_defaults.profile else {
            return Ok(());
        };
        if self.environment.store.profile(profile).await?.is_some() {
            return Ok(());
        }
        Err(EngineError::invalid(
            action,
            "mailbox_defaults.profile",
            "names no profile",
        ))
    }

    /// A deployment that goes online has the profile for Exchange Online, unless it has one already.
    async fn follow_deployment(
        &self,
        principal: &Principal,
        before: &Organization,
        after: &Organization,
    ) -> Result<()> {
        const ACTION: &str = "profile.create";
        let goes_online = before.deployment.kind == DeploymentKind::OnPremises
            && after.deployment.kind == DeploymentKind::Online;
        if !goes_online {
            return Ok(());
        }
        let store = &self.environment.store;
        let known = store.profiles().await?;
        if known
            .iter()
            .any(|profile| profile.kind == ProfileKind::ExchangeOnline)
        {
            return Ok(());
        }
        let id = ProfileId::from_random(self.environment.bytes16());
        let mut next = after.clone();
        if let Some(profile) = next.begin_with_profile(id) {
            store.save_profile(&profile).await?;
            let note = "comes with an online deployment";
            self.audit(principal, ACTION, Subject::Profile(id), note)
                .await?;
            let now = self.environment.now();
            let history = changes(after, &next, &principal.name, now);
            store.change_organization(after, &next, &history).await?;
        }
        Ok(())
    }
}

/// Whether a change touches what has to be approved, or by whom.
fn concerns_approval(before: &Organization, after: &Organization) -> bool {
    let asked = |of: &Organization| {
        let settings = &of.settings;
        (
            settings.process_only_approved_users,
            settings.process_only_approved_queues,
            settings.permission_model,
            of.deployment.kind,
        )
    };
    asked(before) != asked(after)
}

/// Those who may approve by the permission model may also do without approval, and nobody else.
/// Source: seed 001, "Remove requirement to approve mailboxes".
fn may_decide_about_approval(
    principal: &Principal,
    organization: &Organization,
) -> std::result::Result<(), String> {
    let (kind, model) = (
        organization.deployment.kind,
        organization.settings.permission_model,
    );
    match permission(&principal.roles, kind, None, model) {
        Permission::Yes => Ok(()),
        Permission::No | Permission::NotApplicable => {
            Err("roles that may approve email addresses".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use postroom_core::OrganizationId;
    use postroom_core::organization::Deployment;
    use serde_json::Value;

    use super::*;

    /// The leaves of a document, by path; lengths of time are leaves that end in `_seconds`.
    fn leaves(prefix: &str, value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) if fields.contains_key("secs") => {
                into.insert(format!("{prefix}_seconds"));
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    let path = if prefix.is_empty() {
                        name.clone()
                    } else {
                        format!("{prefix}.{name}")
                    };
                    leaves(&path, value, into);
                }
            }
            _ => {
                into.insert(prefix.to_owned());
            }
        }
    }

    #[test]
    fn the_table_of_settings_is_complete() {
        let organization = Organization::new(
            OrganizationId::from_random([1; 16]),
            "Contoso",
            Deployment::new(DeploymentKind::OnPremises),
        );
        let mut stored = BTreeSet::from(["name".to_owned()]);
        let document = serde_json::to_value(&organization.settings).unwrap();
        leaves("", &document, &mut stored);
        let deployment = serde_json::to_value(&organization.deployment).unwrap();
        leaves("deployment", &deployment, &mut stored);
        let listed: BTreeSet<_> = SETTINGS.iter().map(|s| s.name.to_owned()).collect();
        assert_eq!(listed, stored);
    }
}
