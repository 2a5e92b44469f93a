//! Mailboxes: create, edit, defaults, approval, activation.

use postroom_core::alert::Subject;
use postroom_core::channel::Channel;
use postroom_core::mailbox::MailboxOwner;
use postroom_core::principal::Principal;
use postroom_core::{EmailAddress, Mailbox, MailboxId, Organization, Secret};
use postroom_store::{MailboxFilter, Page, SecretOwner};

use super::Admin;
use super::bulk::{Next, only};
use crate::error::{EngineError, Result};
use crate::plan::authorize::Right;
use crate::plan::edit::{self, MailboxEdit};

/// A mailbox to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewMailbox {
    /// Its name, for people.
    pub name: String,
    /// Whom it belongs to.
    pub owner: MailboxOwner,
    /// Its address, where it is known already.
    pub address: Option<EmailAddress>,
}

impl NewMailbox {
    /// A mailbox to be created.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        owner: MailboxOwner,
        address: Option<EmailAddress>,
    ) -> Self {
        Self {
            name: name.into(),
            owner,
            address,
        }
    }
}

/// What happens to mailboxes after the defaults were applied to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the check box of seed 000")]
pub enum AfterDefaults {
    /// They are tested and enabled.
    #[default]
    TestAndEnable,
    /// Nothing.
    Nothing,
}

impl Admin {
    /// Mailboxes by name.
    pub async fn mailboxes(
        &self,
        principal: &Principal,
        filter: &MailboxFilter,
        page: Page,
    ) -> Result<Vec<Mailbox>> {
        self.allow(
            principal,
            Right::ReadMailbox,
            "mailbox.list",
            Subject::Organization,
        )
        .await?;
        Ok(self.environment.store.mailboxes(filter, page).await?)
    }

    /// One mailbox.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn mailbox(&self, principal: &Principal, id: MailboxId) -> Result<Mailbox> {
        const ACTION: &str = "mailbox.read";
        self.allow(principal, Right::ReadMailbox, ACTION, Subject::Mailbox(id))
            .await?;
        self.known_mailbox(ACTION, id).await
    }

    /// The mailbox of that address, id or name (without regard to case).
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` where several have the name.
    pub async fn find_mailbox(&self, principal: &Principal, text: &str) -> Result<Mailbox> {
        const ACTION: &str = "mailbox.find";
        self.allow(principal, Right::ReadMailbox, ACTION, Subject::Organization)
            .await?;
        let store = &self.environment.store;
        if let Ok(id) = text.parse::<MailboxId>() {
            return self.known_mailbox(ACTION, id).await;
        }
        if let Ok(address) = text.parse::<EmailAddress>()
            && let Some(mailbox) = store.mailbox_by_address(&address).await?
        {
            return Ok(mailbox);
        }
        let mut filter = MailboxFilter::default();
        filter.text = Some(text.to_owned());
        let wanted = text.trim().to_lowercase();
        let mut named = store
            .mailboxes(&filter, Page::first(100))
            .await?
            .into_iter()
            .filter(|mailbox| mailbox.name.to_lowercase() == wanted);
        match (named.next(), named.next()) {
            (Some(mailbox), None) => Ok(mailbox),
            (Some(_), Some(_)) => Err(EngineError::invalid(
                ACTION,
                "name",
                "several mailboxes have this name; use the address or id",
            )),
            (None, _) => Err(EngineError::not_found(ACTION, "mailbox")),
        }
    }

    /// Creates the mailbox of a user or queue (or a forward mailbox), with the organization's
    /// defaults. Its address is pending approval, and nothing is tested.
    ///
    /// # Errors
    /// `AlreadyExists` where the address is taken or the user or queue has one; `InvalidInput`.
    pub async fn create_mailbox(&self, principal: &Principal, new: NewMailbox) -> Result<Mailbox> {
        const ACTION: &str = "mailbox.create";
        self.allow(
            principal,
            Right::WriteMailbox,
            ACTION,
            Subject::Organization,
        )
        .await?;
        let environment = &self.environment;
        let organization = environment.store.organization().await?;
        let mailbox = self.made(ACTION, &organization, new)?;
        environment.store.create_mailbox(&mailbox).await?;
        self.audit(principal, ACTION, Subject::Mailbox(mailbox.id), "created")
            .await?;
        Ok(mailbox)
    }

    /// A mailbox as it comes to be, not stored yet.
    pub(super) fn made(
        &self,
        action: &'static str,
        organization: &Organization,
        new: NewMailbox,
    ) -> Result<Mailbox> {
        if let Some(error) = new.address.as_ref().and_then(edit::address_error) {
            return Err(EngineError::fields(action, &[error]));
        }
        let id = MailboxId::from_random(self.environment.bytes16());
        let bare = Mailbox::new(id, "", new.owner, new.address);
        let defaults = &organization.settings.mailbox_defaults;
        let mut edit = MailboxEdit::defaults(defaults, &bare.owner);
        edit.name = Some(new.name);
        // Chosen once: what applying the defaults later sets is the profile and the methods.
        edit.filter = Some(match bare.owner {
            MailboxOwner::User(_) => defaults.user_filter,
            MailboxOwner::Queue(_) | MailboxOwner::Forward => defaults.queue_filter,
        });
        edit::edited(&bare, &edit).map_err(|fields| EngineError::fields(action, &fields))
    }

    /// Sets user name and password of a mailbox, which came in over that channel, and allows their
    /// use.
    ///
    /// # Errors
    /// `NotFound`; `PermissionDenied` where the channel is not secure and the deployment does not
    /// allow that; `Key` where there is no key to seal them with.
    pub async fn set_mailbox_credentials(
        &self,
        principal: &Principal,
        id: MailboxId,
        user_name: &str,
        password: &Secret,
        channel: Channel,
    ) -> Result<Mailbox> {
        const ACTION: &str = "mailbox.set_credentials";
        let subject = Subject::Mailbox(id);
        self.allow(principal, Right::WriteMailbox, ACTION, subject)
            .await?;
        self.check_channel(principal, ACTION, subject, channel)
            .await?;
        self.known_mailbox(ACTION, id).await?;
        self.environment
            .store
            .put_secret(SecretOwner::Mailbox(id), password)
            .await?;
        let mut edit = MailboxEdit::new();
        edit.user_name = Some(Some(user_name.trim().to_owned()));
        edit.allow_credentials = Some(true);
        let changed = self
            .change_batch(principal, ACTION, &[id], &|mailbox| {
                let next = edit::edited(mailbox, &edit)
                    .map_err(|fields| EngineError::fields(ACTION, &fields))?;
                Ok(Next::new(next, "credentials were set".to_owned()))
            })
            .await;
        only(changed)
    }

    pub(super) async fn known_mailbox(
        &self,
        action: &'static str,
        id: MailboxId,
    ) -> Result<Mailbox> {
        self.environment
            .store
            .mailbox(id)
            .await?
            .ok_or_else(|| EngineError::not_found(action, "mailbox"))
    }
}
