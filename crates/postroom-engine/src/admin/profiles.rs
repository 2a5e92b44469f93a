//! Server profiles.

use postroom_core::alert::Subject;
use postroom_core::principal::Principal;
use postroom_core::profile::ProfileKind;
use postroom_core::{Code, Organization, ProfileId, Secret, ServerProfile};
use postroom_store::SecretOwner;

use super::Admin;
use crate::error::{EngineError, ErrorKind, Result};
use crate::plan::authorize::Right;

/// How a password came in: over a channel that nobody else can read, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a channel is secure or it is not")]
pub enum CredentialEntry {
    /// At the machine itself, or over an encrypted connection.
    SecureChannel,
    /// Over a connection that is not encrypted: refused unless the deployment allows it. Source:
    /// seed 000.
    NonSecureChannel,
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
    /// `InvalidInput` naming the fields; `AlreadyExists` where the name or id is taken.
    pub async fn create_profile(
        &self,
        principal: &Principal,
        profile: &ServerProfile,
    ) -> Result<ServerProfile> {
        const ACTION: &str = "profile.create";
        let subject = Subject::Profile(profile.id);
        self.allow(principal, Right::WriteProfile, ACTION, subject)
            .await?;
        self.check_profile(ACTION, profile)?;
        if self.environment.store.profile(profile.id).await?.is_some() {
            return Err(EngineError::new(
                ErrorKind::AlreadyExists,
                Code::AlreadyExists,
                ACTION,
            ));
        }
        self.environment.store.save_profile(profile).await?;
        self.audit(principal, ACTION, subject, "created").await?;
        Ok(profile.clone())
    }

    /// Changes a profile.
    ///
    /// # Errors
    /// `InvalidInput` naming the fields; `NotFound`; `AlreadyExists` where the name is taken.
    pub async fn update_profile(
        &self,
        principal: &Principal,
        profile: &ServerProfile,
    ) -> Result<ServerProfile> {
        const ACTION: &str = "profile.update";
        let subject = Subject::Profile(profile.id);
        self.allow(principal, Right::WriteProfile, ACTION, subject)
            .await?;
        self.check_profile(ACTION, profile)?;
        self.known_profile(ACTION, profile.id).await?;
        self.environment.store.save_profile(profile).await?;
        self.audit(principal, ACTION, subject, "changed").await?;
        self.environment.breakers.forget(profile.id);
        self.environment.outages.forget(profile.id);
        self.environment.wake.notify_one();
        Ok(profile.clone())
    }

    /// Sets user name and password of a profile.
    ///
    /// # Errors
    /// `NotFound`; `PermissionDenied` where they came over a channel that is not secure and the
    /// deployment does not allow that; `Key` where there is no key to seal them with.
    pub async fn set_profile_credentials(
        &self,
        principal: &Principal,
        id: ProfileId,
        direction: ProfileDirection,
        user_name: &str,
        password: &Secret,
        entry: CredentialEntry,
    ) -> Result<ServerProfile> {
        const ACTION: &str = "profile.set_credentials";
        let subject = Subject::Profile(id);
        self.allow(principal, Right::WriteProfile, ACTION, subject)
            .await?;
        self.check_entry(principal, ACTION, subject, entry).await?;
        if user_name.trim().is_empty() || user_name.chars().count() > 250 {
            return Err(EngineError::invalid(
                ACTION,
                "user_name",
                "must have 1 to 250 characters",
            ));
        }
        let mut profile = self.known_profile(ACTION, id).await?;
        let (endpoint, owner) = match direction {
            ProfileDirection::Incoming => (&mut profile.incoming, SecretOwner::ProfileIncoming(id)),
            ProfileDirection::Outgoing => (&mut profile.outgoing, SecretOwner::ProfileOutgoing(id)),
        };
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
    /// `Conflict` where a mailbox uses it; `NotFound`.
    pub async fn delete_profile(&self, principal: &Principal, id: ProfileId) -> Result<()> {
        const ACTION: &str = "profile.delete";
        let subject = Subject::Profile(id);
        self.allow(principal, Right::WriteProfile, ACTION, subject)
            .await?;
        self.environment.store.delete_profile(id).await?;
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

    fn check_profile(&self, action: &'static str, profile: &ServerProfile) -> Result<()> {
        profile
            .validate()
            .map_err(|fields| EngineError::fields(action, &fields))?;
        self.environment
            .registry
            .find(profile.kind.provider_name())?;
        Ok(())
    }

    pub(super) async fn check_entry(
        &self,
        principal: &Principal,
        action: &'static str,
        subject: Subject,
        entry: CredentialEntry,
    ) -> Result<()> {
        let Organization { deployment, .. } = self.environment.store.organization().await?;
        if entry == CredentialEntry::NonSecureChannel
            && !deployment.allow_credentials_entry_via_non_secure_channels
        {
            let needed = "an encrypted connection, or a deployment that allows credentials entry \
                          via non-secure channels";
            return self.refuse(principal, action, subject, needed).await;
        }
        Ok(())
    }
}
