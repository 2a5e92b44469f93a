//! Server profiles.

use std::ops::Deref;
use std::time::Duration;

use postroom_core::alert::Subject;
use postroom_core::channel::{Channel, may_enter_credentials};
use postroom_core::principal::Principal;
use postroom_core::profile::{CredentialSource, FieldError, ProfileKind};
use postroom_core::support::{Finding, check};
use postroom_core::{Code, Organization, ProfileId, Secret, ServerProfile, Timestamp};
use postroom_store::{MailboxFilter, Page, SecretOwner};

use super::Admin;
use super::support::refuse_unsupported;
use crate::error::{EngineError, ErrorKind, Result};
use crate::plan::authorize::Right;

/// A profile as stored, with what the support check says about it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SavedProfile {
    /// The profile.
    pub profile: ServerProfile,
    /// Rules that apply to it; none of them refuses it.
    pub findings: Vec<Finding>,
}

impl Deref for SavedProfile {
    type Target = ServerProfile;

    fn deref(&self) -> &ServerProfile {
        &self.profile
    }
}

/// Which direction of a profile credentials are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two directions")]
pub enum ProfileDirection {
    /// Incoming connections, and outgoing ones where the settings are the same.
    Incoming,
    /// Outgoing connections.
    Outgoing,
}

impl Admin {
    /// All profiles, by name.
    pub async fn profiles(&self, principal: &Principal) -> Result<Vec<ServerProfile>> {
        self.allow(
            principal,
            Right::ReadProfile,
            "profile.list",
            Subject::Organization,
        )
        .await?;
        Ok(self.environment.store.profiles().await?)
    }

    /// One profile.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn profile(&self, principal: &Principal, id: ProfileId) -> Result<ServerProfile> {
        const ACTION: &str = "profile.read";
        self.allow(principal, Right::ReadProfile, ACTION, Subject::Profile(id))
            .await?;
        self.known_profile(ACTION, id).await
    }

    /// The profile of that name (without regard to case) or id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn find_profile(&self, principal: &Principal, text: &str) -> Result<ServerProfile> {
        let wanted = text.trim().to_lowercase();
        self.profiles(principal)
            .await?
            .into_iter()
            .find(|profile| {
                profile.name.to_lowercase() == wanted || profile.id.to_string() == wanted
            })
            .ok_or_else(|| EngineError::not_found("profile.find", "profile"))
    }

    /// A profile with defaults and a fresh id, not stored yet: fill it in, then
    /// [`create_profile`](Self::create_profile).
    #[must_use]
    pub fn new_profile(&self, name: impl Into<String>, kind: ProfileKind) -> ServerProfile {
        let id = ProfileId::from_random(self.environment.bytes16());
        ServerProfile::new(id, name, kind)
    }

    /// Stores a new profile.
    ///
    /// # Errors
    /// `InvalidInput` naming the fields, or the rules where the support policy is strict;
    /// `AlreadyExists` where the name or id is taken.
    pub async fn create_profile(
        &self,
        principal: &Principal,
        profile: &ServerProfile,
    ) -> Result<SavedProfile> {
        const ACTION: &str = "profile.create";
        let subject = Subject::Profile(profile.id);
        self.allow(principal, Right::WriteProfile, ACTION, subject)
            .await?;
        let findings = self.check_profile(ACTION, profile, None).await?;
        if self.environment.store.profile(profile.id).await?.is_some() {
            return Err(EngineError::new(
                ErrorKind::AlreadyExists,
                Code::AlreadyExists,
                ACTION,
            ));
        }
        self.environment.store.save_profile(profile).await?;
        self.audit(principal, ACTION, subject, "created").await?;
        Ok(SavedProfile {
            profile: profile.clone(),
            findings,
        })
    }

    /// Changes a profile. Its kind stays what it is; a password that is not used any more is forgotten.
    ///
    /// # Errors
    /// `InvalidInput` naming the fields, or the rules where the support policy is strict; `NotFound`;
    /// `AlreadyExists` where the name is taken.
    pub async fn update_profile(
        &self,
        principal: &Principal,
        profile: &ServerProfile,
    ) -> Result<SavedProfile> {
        const ACTION: &str = "profile.update";
        let subject = Subject::Profile(profile.id);
        self.allow(principal, Right::WriteProfile, ACTION, subject)
            .await?;
        let before = self.known_profile(ACTION, profile.id).await?;
        let findings = self.check_profile(ACTION, profile, Some(&before)).await?;
        self.environment.store.save_profile(profile).await?;
        for (was, is, owner) in [
            (
                before.incoming.credentials,
                profile.incoming.credentials,
                SecretOwner::ProfileIncoming(profile.id),
            ),
            (
                before.outgoing.credentials,
                profile.outgoing.credentials,
                SecretOwner::ProfileOutgoing(profile.id),
            ),
        ] {
            if was == CredentialSource::Profile && is != CredentialSource::Profile {
                self.environment.store.delete_secret(owner).await?;
            }
        }
        self.audit(principal, ACTION, subject, "changed").await?;
        self.environment.breakers.forget(profile.id);
        self.environment.outages.forget(profile.id);
        self.environment.wake.notify_one();
        Ok(SavedProfile {
            profile: profile.clone(),
            findings,
        })
    }

    /// Makes a profile the one that new mailboxes get, and that applying the defaults sets.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where the profile is not active.
    pub async fn set_default_profile(&self, principal: &Principal, id: ProfileId) -> Result<()> {
        const ACTION: &str = "profile.set_default";
        let subject = Subject::Profile(id);
        self.allow(principal, Right::WriteOrganization, ACTION, subject)
            .await?;
        if !self.known_profile(ACTION, id).await?.active {
            return Err(conflict(ACTION, "the profile is not active"));
        }
        self.store_settings(principal, ACTION, |organization| {
            organization.settings.mailbox_defaults.profile = Some(id);
            Ok(())
        })
        .await?;
        self.audit(principal, ACTION, subject, "the default from now on")
            .await
    }

    /// Sets user name and password of a profile, which came in over that channel.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` where the profile does not use credentials of its own;
    /// `PermissionDenied` where the channel is not secure and the deployment does not allow that;
    /// `Key` where there is no key to seal them with.
    pub async fn set_profile_credentials(
        &self,
        principal: &Principal,
        id: ProfileId,
        direction: ProfileDirection,
        user_name: &str,
        password: &Secret,
        channel: Channel,
    ) -> Result<ServerProfile> {
        const ACTION: &str = "profile.set_credentials";
        let subject = Subject::Profile(id);
        self.allow(principal, Right::WriteProfile, ACTION, subject)
            .await?;
        self.check_channel(principal, ACTION, subject, channel)
            .await?;
        if user_name.trim().is_empty() || user_name.chars().count() > 250 {
            return Err(EngineError::invalid(
                ACTION,
                "user_name",
                "must have 1 to 250 characters",
            ));
        }
        let mut profile = self.known_profile(ACTION, id).await?;
        if direction == ProfileDirection::Outgoing && profile.same_settings_for_outgoing {
            return Err(EngineError::invalid(
                ACTION,
                "same_settings_for_outgoing",
                "is on: outgoing connections use the credentials of incoming ones",
            ));
        }
        let (endpoint, owner) = match direction {
            ProfileDirection::Incoming => (&mut profile.incoming, SecretOwner::ProfileIncoming(id)),
            ProfileDirection::Outgoing => (&mut profile.outgoing, SecretOwner::ProfileOutgoing(id)),
        };
        if endpoint.credentials != CredentialSource::Profile
            && !matches!(profile.kind, ProfileKind::Custom(_))
        {
            return Err(EngineError::invalid(
                ACTION,
                "credentials",
                "are not the profile's: set them to profile first",
            ));
        }
        endpoint.user_name = Some(user_name.trim().to_owned());
        self.environment.store.put_secret(owner, password).await?;
        self.environment.store.save_profile(&profile).await?;
        self.audit(principal, ACTION, subject, "credentials were set")
            .await?;
        self.environment.breakers.forget(id);
        Ok(profile)
    }

    /// Lets the profile's mailboxes be processed again.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn activate_profile(
        &self,
        principal: &Principal,
        id: ProfileId,
    ) -> Result<ServerProfile> {
        self.switch_profile(principal, id, "profile.activate", true)
            .await
    }

    /// Stops all traffic of the profile's mailboxes until it is activated again.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn deactivate_profile(
        &self,
        principal: &Principal,
        id: ProfileId,
    ) -> Result<ServerProfile> {
        self.switch_profile(principal, id, "profile.deactivate", false)
            .await
    }

    async fn switch_profile(
        &self,
        principal: &Principal,
        id: ProfileId,
        action: &'static str,
        active: bool,
    ) -> Result<ServerProfile> {
        let subject = Subject::Profile(id);
        self.allow(principal, Right::WriteProfile, action, subject)
            .await?;
        let mut profile = self.known_profile(action, id).await?;
        profile.active = active;
        self.environment.store.save_profile(&profile).await?;
        self.audit(principal, action, subject, "done").await?;
        self.environment.breakers.forget(id);
        self.environment.wake.notify_one();
        Ok(profile)
    }

    /// Removes a profile and its passwords.
    ///
    /// # Errors
    /// `Conflict` where mailboxes use it, naming some of them; `NotFound`. Where it was the default,
    /// there is none afterwards.
    pub async fn delete_profile(&self, principal: &Principal, id: ProfileId) -> Result<()> {
        const ACTION: &str = "profile.delete";
        let subject = Subject::Profile(id);
        self.allow(principal, Right::WriteProfile, ACTION, subject)
            .await?;
        let store = &self.environment.store;
        let mut filter = MailboxFilter::default();
        filter.profile = Some(id);
        let users = store.mailboxes(&filter, Page::first(USERS_NAMED)).await?;
        let defaults = store.organization().await?.settings.mailbox_defaults;
        if users.is_empty() && defaults.profile == Some(id) {
            // First: a default that is no more would stand in the way of every other setting.
            self.store_settings(principal, ACTION, |organization| {
                organization.settings.mailbox_defaults.profile = None;
                Ok(())
            })
            .await?;
        }
        store.delete_profile(id).await.map_err(|error| {
            let error = EngineError::from(error);
            if error.kind() != ErrorKind::Conflict {
                return error;
            }
            let names: Vec<_> = users.iter().map(|mailbox| mailbox.name.as_str()).collect();
            error.with("used_by", names.join(", "))
        })?;
        self.audit(principal, ACTION, subject, "deleted").await
    }

    pub(super) async fn known_profile(
        &self,
        action: &'static str,
        id: ProfileId,
    ) -> Result<ServerProfile> {
        self.environment
            .store
            .profile(id)
            .await?
            .ok_or_else(|| EngineError::not_found(action, "profile"))
    }

    /// Whether a profile can be stored: its fields, what changed, and the support policy.
    async fn check_profile(
        &self,
        action: &'static str,
        profile: &ServerProfile,
        before: Option<&ServerProfile>,
    ) -> Result<Vec<Finding>> {
        let organization = self.environment.store.organization().await?;
        let mut errors = profile.validate().err().unwrap_or_default();
        if before.is_some_and(|before| before.kind != profile.kind) {
            errors.push(FieldError::new(
                "kind",
                "cannot be changed; make a new profile and give it to the mailboxes",
            ));
        }
        if before.is_none_or(|before| before.process_email_from != profile.process_email_from) {
            let now = self.environment.now();
            errors.extend(too_early(&organization, profile.process_email_from, now));
        }
        if !errors.is_empty() {
            return Err(EngineError::fields(action, &errors));
        }
        self.environment
            .registry
            .find(profile.kind.provider_name())?;
        let policy = organization.settings.support_policy;
        let findings = check(&organization, profile, None, policy);
        refuse_unsupported(action, &findings)?;
        Ok(findings)
    }

    /// Refused and audited where credentials may not come in over that channel.
    pub(super) async fn check_channel(
        &self,
        principal: &Principal,
        action: &'static str,
        subject: Subject,
        channel: Channel,
    ) -> Result<()> {
        let Organization { deployment, .. } = self.environment.store.organization().await?;
        match may_enter_credentials(&deployment, channel) {
            Ok(()) => Ok(()),
            Err(refusal) => {
                self.refuse(principal, action, subject, &refusal.needed)
                    .await
            }
        }
    }
}

/// So many of the mailboxes that use a profile are named.
const USERS_NAMED: u32 = 5;

fn conflict(action: &'static str, what: &str) -> EngineError {
    EngineError::new(ErrorKind::Conflict, Code::InvalidInput, action).with("what", what)
}

/// A date from which email is processed that lies further back than the organization allows.
pub(super) fn too_early(
    organization: &Organization,
    from: Option<Timestamp>,
    now: Timestamp,
) -> Option<FieldError> {
    let days = organization.settings.process_email_from_days_max;
    let earliest = now.minus(Duration::from_secs(u64::from(days) * 24 * 3600));
    (days > 0 && from.is_some_and(|from| from < earliest)).then(|| {
        FieldError::new(
            "process_email_from",
            format!("must be at most {days} days back"),
        )
    })
}
