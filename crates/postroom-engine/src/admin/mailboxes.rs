//! Mailboxes: create, edit, defaults, approval, activation.

use postroom_core::alert::Subject;
use postroom_core::approval::{ApprovalEvent, may_approve};
use postroom_core::job::{Job, JobKind};
use postroom_core::mailbox::MailboxOwner;
use postroom_core::principal::Principal;
use postroom_core::{Code, EmailAddress, Mailbox, MailboxId, Secret, Workload};
use postroom_store::{IncidentPattern, MailboxFilter, Page, SecretOwner};

use super::{Admin, BulkOutcome, CredentialEntry};
use crate::error::{EngineError, ErrorKind, Result};
use crate::plan::authorize::Right;
use crate::plan::edit::{self, MailboxEdit};

/// At most so often a change is tried again because somebody else changed the mailbox meanwhile.
const CONFLICTS_MAX: u32 = 5;

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
        let id = MailboxId::from_random(environment.bytes16());
        let bare = Mailbox::new(id, "", new.owner, new.address);
        let mut edit = MailboxEdit::defaults(&organization.settings.mailbox_defaults, &bare.owner);
        edit.name = Some(new.name);
        let mailbox =
            edit::edited(&bare, &edit).map_err(|fields| EngineError::fields(ACTION, &fields))?;
        environment.store.create_mailbox(&mailbox).await?;
        self.audit(principal, ACTION, Subject::Mailbox(id), "created")
            .await?;
        Ok(mailbox)
    }

    /// Changes one mailbox.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` naming the fields; `AlreadyExists` where the address is taken;
    /// `Conflict` where others keep changing it.
    pub async fn edit_mailbox(
        &self,
        principal: &Principal,
        id: MailboxId,
        edit: &MailboxEdit,
    ) -> Result<Mailbox> {
        const ACTION: &str = "mailbox.edit";
        let right = if edit.changes_delivery() {
            Right::ChangeDelivery
        } else {
            Right::WriteMailbox
        };
        self.allow(principal, right, ACTION, Subject::Mailbox(id))
            .await?;
        if let Some(Some(profile)) = edit.profile {
            self.known_profile(ACTION, profile).await?;
        }
        let mailbox = self
            .change(ACTION, id, |mailbox| {
                edit::edited(mailbox, edit).map_err(|fields| EngineError::fields(ACTION, &fields))
            })
            .await?;
        self.audit(principal, ACTION, Subject::Mailbox(id), "changed")
            .await?;
        Ok(mailbox)
    }

    /// Changes several mailboxes alike ("Change multiple records").
    ///
    /// # Errors
    /// For each: as [`edit_mailbox`](Self::edit_mailbox).
    pub async fn edit_mailboxes(
        &self,
        principal: &Principal,
        ids: &[MailboxId],
        edit: &MailboxEdit,
    ) -> BulkOutcome<Mailbox> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            outcomes.push((*id, self.edit_mailbox(principal, *id, edit).await));
        }
        outcomes
    }

    /// Gives mailboxes the organization's default profile and methods; then tests and enables them
    /// unless told not to.
    ///
    /// # Errors
    /// For each: as [`edit_mailbox`](Self::edit_mailbox).
    pub async fn apply_defaults(
        &self,
        principal: &Principal,
        ids: &[MailboxId],
        after: AfterDefaults,
    ) -> BulkOutcome<(Mailbox, Option<Job>)> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            outcomes.push((*id, self.apply_defaults_to(principal, *id, after).await));
        }
        outcomes
    }

    async fn apply_defaults_to(
        &self,
        principal: &Principal,
        id: MailboxId,
        after: AfterDefaults,
    ) -> Result<(Mailbox, Option<Job>)> {
        let organization = self.environment.store.organization().await?;
        let mailbox = self.known_mailbox("mailbox.apply_defaults", id).await?;
        let edit = MailboxEdit::defaults(&organization.settings.mailbox_defaults, &mailbox.owner);
        let mailbox = self.edit_mailbox(principal, id, &edit).await?;
        let job = match after {
            AfterDefaults::TestAndEnable => Some(
                self.test_mailbox(principal, id, JobKind::TestAndEnable)
                    .await?,
            ),
            AfterDefaults::Nothing => None,
        };
        Ok((mailbox, job))
    }

    /// Sets user name and password of a mailbox, and allows their use.
    ///
    /// # Errors
    /// `NotFound`; `PermissionDenied` where they came over a channel that is not secure and the
    /// deployment does not allow that; `Key` where there is no key to seal them with.
    pub async fn set_mailbox_credentials(
        &self,
        principal: &Principal,
        id: MailboxId,
        user_name: &str,
        password: &Secret,
        entry: CredentialEntry,
    ) -> Result<Mailbox> {
        const ACTION: &str = "mailbox.set_credentials";
        let subject = Subject::Mailbox(id);
        self.allow(principal, Right::WriteMailbox, ACTION, subject)
            .await?;
        self.check_entry(principal, ACTION, subject, entry).await?;
        self.known_mailbox(ACTION, id).await?;
        self.environment
            .store
            .put_secret(SecretOwner::Mailbox(id), password)
            .await?;
        let mut edit = MailboxEdit::new();
        edit.user_name = Some(Some(user_name.trim().to_owned()));
        edit.allow_credentials = Some(true);
        let mailbox = self
            .change(ACTION, id, |mailbox| {
                edit::edited(mailbox, &edit).map_err(|fields| EngineError::fields(ACTION, &fields))
            })
            .await?;
        self.audit(principal, ACTION, subject, "credentials were set")
            .await?;
        Ok(mailbox)
    }

    /// Approves the addresses of mailboxes. Source: seed 001, permission model.
    ///
    /// # Errors
    /// For each: `NotFound`; `Conflict` where there is no address; `PermissionDenied` naming what
    /// the permission model asks for.
    pub async fn approve(&self, principal: &Principal, ids: &[MailboxId]) -> BulkOutcome<Mailbox> {
        self.decide_approval(principal, ids, "mailbox.approve", ApprovalEvent::Approve)
            .await
    }

    /// Rejects the addresses of mailboxes: no traffic from now on.
    ///
    /// # Errors
    /// As [`approve`](Self::approve).
    pub async fn reject(&self, principal: &Principal, ids: &[MailboxId]) -> BulkOutcome<Mailbox> {
        self.decide_approval(principal, ids, "mailbox.reject", ApprovalEvent::Reject)
            .await
    }

    async fn decide_approval(
        &self,
        principal: &Principal,
        ids: &[MailboxId],
        action: &'static str,
        event: ApprovalEvent,
    ) -> BulkOutcome<Mailbox> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            let outcome = self.decide_approval_of(principal, *id, action, event);
            outcomes.push((*id, outcome.await));
        }
        outcomes
    }

    async fn decide_approval_of(
        &self,
        principal: &Principal,
        id: MailboxId,
        action: &'static str,
        event: ApprovalEvent,
    ) -> Result<Mailbox> {
        let subject = Subject::Mailbox(id);
        let organization = self.environment.store.organization().await?;
        let mailbox = self.known_mailbox(action, id).await?;
        let profile = match mailbox.profile {
            Some(profile) => self.environment.store.profile(profile).await?,
            None => None,
        };
        let allowed = may_approve(
            principal,
            organization.deployment.kind,
            profile.as_ref().map(|profile| &profile.kind),
            organization.settings.permission_model,
        );
        if let Err(refusal) = allowed {
            return self
                .refuse(principal, action, subject, &refusal.needed)
                .await;
        }
        let before = mailbox.approval;
        let mailbox = self
            .change(action, id, |mailbox| {
                let mut next = mailbox.clone();
                next.approval = mailbox.approval.next(event).map_err(|error| {
                    EngineError::new(ErrorKind::Conflict, Code::NoAddress, action)
                        .with_source(error)
                })?;
                Ok(next)
            })
            .await?;
        let note = format!(
            "{} became {}",
            edit::approval_name(before),
            edit::approval_name(mailbox.approval)
        );
        self.audit(principal, action, subject, note).await?;
        if event == ApprovalEvent::Approve {
            let mut pattern = IncidentPattern::about(subject);
            pattern.code = Some(Code::NotApproved);
            let now = self.environment.now();
            self.environment.store.close_alerts(&pattern, now).await?;
            self.make_due(&mailbox).await?;
        }
        Ok(mailbox)
    }

    /// Lets mailboxes be processed again.
    ///
    /// # Errors
    /// For each: `NotFound`.
    pub async fn activate(&self, principal: &Principal, ids: &[MailboxId]) -> BulkOutcome<Mailbox> {
        self.switch(principal, ids, "mailbox.activate", true).await
    }

    /// Stops all traffic of mailboxes until they are activated again.
    ///
    /// # Errors
    /// For each: `NotFound`.
    pub async fn deactivate(
        &self,
        principal: &Principal,
        ids: &[MailboxId],
    ) -> BulkOutcome<Mailbox> {
        self.switch(principal, ids, "mailbox.deactivate", false)
            .await
    }

    async fn switch(
        &self,
        principal: &Principal,
        ids: &[MailboxId],
        action: &'static str,
        active: bool,
    ) -> BulkOutcome<Mailbox> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            let outcome = self.switch_one(principal, *id, action, active);
            outcomes.push((*id, outcome.await));
        }
        outcomes
    }

    async fn switch_one(
        &self,
        principal: &Principal,
        id: MailboxId,
        action: &'static str,
        active: bool,
    ) -> Result<Mailbox> {
        let subject = Subject::Mailbox(id);
        self.allow(principal, Right::WriteMailbox, action, subject)
            .await?;
        let mailbox = self
            .change(action, id, |mailbox| {
                let mut next = mailbox.clone();
                next.active = active;
                Ok(next)
            })
            .await?;
        self.audit(principal, action, subject, "done").await?;
        if active {
            self.make_due(&mailbox).await?;
        }
        Ok(mailbox)
    }

    /// Makes every enabled workload of mailboxes due now ("sync now").
    ///
    /// # Errors
    /// For each: `NotFound`.
    pub async fn sync_now(&self, principal: &Principal, ids: &[MailboxId]) -> BulkOutcome<()> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            outcomes.push((*id, self.sync_one(principal, *id).await));
        }
        outcomes
    }

    async fn sync_one(&self, principal: &Principal, id: MailboxId) -> Result<()> {
        const ACTION: &str = "mailbox.sync";
        self.allow(principal, Right::WriteMailbox, ACTION, Subject::Mailbox(id))
            .await?;
        let mailbox = self.known_mailbox(ACTION, id).await?;
        if let Some(profile) = mailbox.profile {
            self.environment.breakers.forget(profile);
        }
        self.make_due(&mailbox).await
    }

    async fn make_due(&self, mailbox: &Mailbox) -> Result<()> {
        let now = self.environment.now();
        for workload in Workload::ALL {
            if mailbox.workload(workload).enabled {
                self.environment
                    .store
                    .set_due(mailbox.id, workload, now)
                    .await?;
            }
        }
        self.environment.wake.notify_one();
        Ok(())
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

    /// Reads, changes and writes, again where somebody else was faster.
    async fn change(
        &self,
        action: &'static str,
        id: MailboxId,
        next: impl Fn(&Mailbox) -> Result<Mailbox> + Send + Sync,
    ) -> Result<Mailbox> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mailbox = next(&self.known_mailbox(action, id).await?)?;
            match self.environment.store.update_mailbox(&mailbox).await {
                Ok(stored) => {
                    self.environment.wake.notify_one();
                    return Ok(stored);
                }
                Err(error)
                    if error.kind() == postroom_store::ErrorKind::Conflict
                        && tries < CONFLICTS_MAX => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
