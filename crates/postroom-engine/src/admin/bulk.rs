//! Changes of many mailboxes alike. Each row answers for itself, and is written with its entry in
//! the audit trail.

use std::collections::BTreeMap;

use postroom_core::alert::Subject;
use postroom_core::audit::AuditEntry;
use postroom_core::job::{Job, JobKind};
use postroom_core::ledger::FilterReason;
use postroom_core::principal::Principal;
use postroom_core::profile::FieldError;
use postroom_core::support::{SupportPolicy, check};
use postroom_core::tracking::process_from;
use postroom_core::{
    Mailbox, MailboxId, Organization, PartyId, ProfileId, ServerProfile, Timestamp,
};
use postroom_store::{LookAgain, MailboxChange, MailboxFilter, Page};

use super::profiles::too_early;
use super::support::refuse_unsupported;
use super::{Admin, AfterDefaults, BulkOutcome};
use crate::error::{EngineError, ErrorKind, Result};
use crate::plan::authorize::{Right, authorize};
use crate::plan::edit::{self, MailboxEdit};

/// At most so often a change is tried again because somebody else changed the mailbox meanwhile.
const CONFLICTS_MAX: u32 = 5;
/// So many mailboxes are one unit of work.
pub(super) const BATCH: usize = 500;
/// So many ids are asked for at once.
const IDS: u32 = 10_000;

/// What becomes of a mailbox.
pub(super) struct Next {
    mailbox: Mailbox,
    /// What the audit trail says of it.
    note: String,
    /// What was left out for its age is looked at again from then on.
    look_again: Option<Timestamp>,
    /// Whether its enabled workloads are due at once.
    due: bool,
}

impl Next {
    pub(super) const fn new(mailbox: Mailbox, note: String) -> Self {
        Self {
            mailbox,
            note,
            look_again: None,
            due: false,
        }
    }

    pub(super) const fn due(mut self, due: bool) -> Self {
        self.due = due;
        self
    }
}

/// What is to become of each.
type Decide<'a> = &'a (dyn Fn(&Mailbox) -> Result<Next> + Send + Sync);

impl Admin {
    /// The ids of mailboxes, in the order in which they are listed: what bulk changes take.
    pub async fn select_mailboxes(
        &self,
        principal: &Principal,
        filter: &MailboxFilter,
    ) -> Result<Vec<MailboxId>> {
        const ACTION: &str = "mailbox.select";
        self.allow(principal, Right::ReadMailbox, ACTION, Subject::Organization)
            .await?;
        let mut ids = Vec::new();
        let mut page = Page::first(IDS);
        loop {
            let found = self.environment.store.mailbox_ids(filter, page).await?;
            let last = found.len() < usize::try_from(IDS).unwrap_or(usize::MAX);
            ids.extend(found);
            if last {
                return Ok(ids);
            }
            page = page.next();
        }
    }

    /// Changes one mailbox.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` naming the fields, or the rules where the support policy is strict;
    /// `AlreadyExists` where the address is taken; `Conflict` where others keep changing it.
    pub async fn edit_mailbox(
        &self,
        principal: &Principal,
        id: MailboxId,
        edit: &MailboxEdit,
    ) -> Result<Mailbox> {
        only(self.edit_mailboxes(principal, &[id], edit).await)
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
        const ACTION: &str = "mailbox.edit";
        let right = if edit.changes_delivery() {
            Right::ChangeDelivery
        } else {
            Right::WriteMailbox
        };
        if let Err(refused) = self.allow_all(principal, right, ACTION, ids).await {
            return for_all(ids, ACTION, refused);
        }
        let rules = match self.edit_rules().await {
            Ok(rules) => rules,
            Err(error) => return for_all(ids, ACTION, error),
        };
        self.edit_by(principal, ACTION, ids, &rules, &|_| Ok(edit.clone()))
            .await
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
        const ACTION: &str = "mailbox.apply_defaults";
        let allowed = self.allow_all(principal, Right::ChangeDelivery, ACTION, ids);
        if let Err(refused) = allowed.await {
            return for_all(ids, ACTION, refused);
        }
        let rules = match self.edit_rules().await {
            Ok(rules) => rules,
            Err(error) => return for_all(ids, ACTION, error),
        };
        let defaults = rules.organization.settings.mailbox_defaults.clone();
        let edited = self
            .edit_by(principal, ACTION, ids, &rules, &|mailbox| {
                Ok(MailboxEdit::defaults(&defaults, &mailbox.owner))
            })
            .await;
        if after == AfterDefaults::Nothing {
            let without = |(id, outcome): (_, Result<Mailbox>)| (id, outcome.map(|m| (m, None)));
            return edited.into_iter().map(without).collect();
        }
        let known: Vec<Option<Mailbox>> = edited
            .iter()
            .map(|(_, outcome)| outcome.as_ref().ok().cloned())
            .collect();
        let kind = JobKind::TestAndEnable;
        let asked = self.queue_all(principal, edited, kind).await;
        asked
            .into_iter()
            .zip(known)
            .map(|((id, job), mailbox)| {
                let job = job.and_then(|job| {
                    let missing = || EngineError::not_found(ACTION, "mailbox");
                    mailbox
                        .map(|mailbox| (mailbox, Some(job)))
                        .ok_or_else(missing)
                });
                (id, job)
            })
            .collect()
    }

    /// Lets mailboxes be processed again.
    ///
    /// # Errors
    /// For each: `NotFound`.
    pub async fn activate(&self, principal: &Principal, ids: &[MailboxId]) -> BulkOutcome<Mailbox> {
        self.switch(principal, ids, "mailbox.activate", true, "became active")
            .await
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
        self.switch(
            principal,
            ids,
            "mailbox.deactivate",
            false,
            "became inactive",
        )
        .await
    }

    /// Follows a user or queue that was activated or deactivated in the application: the mailbox goes
    /// with it. `None` where there is no mailbox. Source: domain section 2, `StateCode`.
    pub async fn owner_switched(
        &self,
        principal: &Principal,
        owner: PartyId,
        active: bool,
    ) -> Result<Option<Mailbox>> {
        let found = self.environment.store.mailboxes_of(&[owner]).await?;
        let Some(mailbox) = found.first() else {
            return Ok(None);
        };
        let (action, note) = if active {
            ("mailbox.activate", "became active with its owner")
        } else {
            ("mailbox.deactivate", "became inactive with its owner")
        };
        let ids = [mailbox.mailbox];
        only(self.switch(principal, &ids, action, active, note).await).map(Some)
    }

    async fn switch(
        &self,
        principal: &Principal,
        ids: &[MailboxId],
        action: &'static str,
        active: bool,
        note: &'static str,
    ) -> BulkOutcome<Mailbox> {
        let allowed = self.allow_all(principal, Right::WriteMailbox, action, ids);
        if let Err(refused) = allowed.await {
            return for_all(ids, action, refused);
        }
        let mut outcomes = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            let changed = self
                .change_batch(principal, action, batch, &|mailbox| {
                    let mut next = mailbox.clone();
                    next.active = active;
                    Ok(Next::new(next, note.to_owned()).due(active))
                })
                .await;
            outcomes.extend(changed);
        }
        outcomes
    }

    /// What an edit has to keep to.
    pub(super) async fn edit_rules(&self) -> Result<EditRules> {
        let store = &self.environment.store;
        let organization = store.organization().await?;
        let profiles: BTreeMap<_, _> = store
            .profiles()
            .await?
            .into_iter()
            .map(|profile| (profile.id, profile))
            .collect();
        Ok(EditRules {
            organization,
            profiles,
            now: self.environment.now(),
        })
    }

    pub(super) async fn edit_by(
        &self,
        principal: &Principal,
        action: &'static str,
        ids: &[MailboxId],
        rules: &EditRules,
        edit: &(dyn Fn(&Mailbox) -> Result<MailboxEdit> + Send + Sync),
    ) -> BulkOutcome<Mailbox> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            let changed = self
                .change_batch(principal, action, batch, &|mailbox| {
                    let edit = edit(mailbox)?;
                    let after = rules.edited(action, mailbox, &edit)?;
                    let note = edit::told(mailbox, &after);
                    let look_again = rules.look_again(mailbox, &after);
                    Ok(Next {
                        look_again,
                        ..Next::new(after, note)
                    })
                })
                .await;
            outcomes.extend(changed);
        }
        outcomes
    }

    /// Changes a batch of mailboxes: read together, decided one by one, written together. Those that
    /// somebody else changed meanwhile are tried again alone.
    pub(super) async fn change_batch(
        &self,
        principal: &Principal,
        action: &'static str,
        ids: &[MailboxId],
        decide: Decide<'_>,
    ) -> BulkOutcome<Mailbox> {
        let mut outcomes = match self.try_batch(principal, action, ids, decide).await {
            Ok(outcomes) => outcomes,
            Err(error) => return for_all(ids, action, error),
        };
        for (id, outcome) in &mut outcomes {
            let mut tries = 1;
            while tries < CONFLICTS_MAX
                && outcome
                    .as_ref()
                    .is_err_and(|error| error.kind() == ErrorKind::Conflict && changed_by(error))
            {
                tries += 1;
                *outcome = match self.try_batch(principal, action, &[*id], decide).await {
                    Ok(again) => only(again),
                    Err(error) => Err(error),
                };
            }
        }
        self.environment.wake.notify_one();
        outcomes
    }

    async fn try_batch(
        &self,
        principal: &Principal,
        action: &'static str,
        ids: &[MailboxId],
        decide: Decide<'_>,
    ) -> Result<BulkOutcome<Mailbox>> {
        let store = &self.environment.store;
        let now = self.environment.now();
        let known: BTreeMap<MailboxId, Mailbox> = store
            .mailboxes_by_id(ids)
            .await?
            .into_iter()
            .map(|mailbox| (mailbox.id, mailbox))
            .collect();
        let mut decided = Vec::with_capacity(ids.len());
        let mut changes = Vec::with_capacity(ids.len());
        for id in ids {
            let outcome = match known.get(id) {
                None => Err(EngineError::not_found(action, "mailbox")),
                Some(before) => decide(before).map(|next| {
                    let (by, subject) = (&principal.name, Subject::Mailbox(*id));
                    let entry = AuditEntry::allowed(now, by, action, subject, next.note);
                    let mut change = MailboxChange::new(next.mailbox, Some(entry));
                    change.look_again = next
                        .look_again
                        .map(|since| LookAgain::new(FilterReason::BeforeStart, since, now));
                    change.due = next.due.then_some(now);
                    changes.push(change);
                }),
            };
            decided.push((*id, outcome));
        }
        let stored = if changes.is_empty() {
            Vec::new()
        } else {
            store.update_mailboxes(&changes).await?
        };
        let mut stored = stored.into_iter();
        Ok(decided
            .into_iter()
            .map(|(id, outcome)| {
                let outcome = outcome.and_then(|()| match stored.next() {
                    Some(Ok(after)) => Ok(after),
                    Some(Err(error)) => Err(error.into()),
                    None => Err(EngineError::not_found(action, "mailbox")),
                });
                (id, outcome)
            })
            .collect())
    }

    /// Whether the principal has a right on all of them; refused once, and audited once.
    pub(super) async fn allow_all(
        &self,
        principal: &Principal,
        right: Right,
        action: &'static str,
        ids: &[MailboxId],
    ) -> Result<()> {
        let subject = match ids {
            [id] => Subject::Mailbox(*id),
            _ => Subject::Organization,
        };
        match authorize(principal, right) {
            Ok(()) => Ok(()),
            Err(needed) => self.refuse(principal, action, subject, needed).await,
        }
    }
}

/// What edits have to keep to.
pub(super) struct EditRules {
    pub(super) organization: Organization,
    profiles: BTreeMap<ProfileId, ServerProfile>,
    now: Timestamp,
}

impl EditRules {
    pub(super) fn edited(
        &self,
        action: &'static str,
        mailbox: &Mailbox,
        edit: &MailboxEdit,
    ) -> Result<Mailbox> {
        let fields = |errors: &[FieldError]| EngineError::fields(action, errors);
        if let Some(Some(profile)) = edit.profile
            && !self.profiles.contains_key(&profile)
        {
            return Err(EngineError::not_found(action, "profile"));
        }
        let from = edit.process_email_from.flatten();
        if let Some(error) = too_early(&self.organization, from, self.now) {
            return Err(fields(&[error]));
        }
        let after = edit::edited(mailbox, edit).map_err(|errors| fields(&errors))?;
        let policy = self.organization.settings.support_policy;
        let profile = after.profile.and_then(|id| self.profiles.get(&id));
        if policy == SupportPolicy::Strict
            && edit.changes_delivery()
            && let Some(profile) = profile
        {
            let findings = check(&self.organization, profile, Some(&after), policy);
            refuse_unsupported(action, &findings)?;
        }
        Ok(after)
    }

    /// Where email is processed from an earlier date on after an edit: that date.
    fn look_again(&self, before: &Mailbox, after: &Mailbox) -> Option<Timestamp> {
        if before.process_email_from == after.process_email_from {
            return None;
        }
        let profile = self.profiles.get(&after.profile?)?;
        let start = process_from(after, profile);
        start.filter(|_| start < process_from(before, profile))
    }
}

/// Whether a conflict comes from somebody else's change, and not from what was asked for.
fn changed_by(error: &EngineError) -> bool {
    error.context().contains_key("revision")
}

/// The one outcome of an operation on one mailbox.
pub(super) fn only<T>(outcomes: BulkOutcome<T>) -> Result<T> {
    outcomes.into_iter().next().map_or_else(
        || Err(EngineError::not_found("mailbox", "mailbox")),
        |(_, o)| o,
    )
}

/// The same failure once more.
pub(super) fn again(action: &'static str, error: &EngineError) -> EngineError {
    error.context().iter().fold(
        EngineError::new(error.kind(), error.code(), action),
        |new, (name, value)| new.with(name, value),
    )
}

/// The same failure for every one of them.
pub(super) fn for_all<T>(
    ids: &[MailboxId],
    action: &'static str,
    error: EngineError,
) -> BulkOutcome<T> {
    let mut outcomes: BulkOutcome<T> = ids
        .iter()
        .skip(1)
        .map(|id| (*id, Err(again(action, &error))))
        .collect();
    if let Some(first) = ids.first() {
        outcomes.insert(0, (*first, Err(error)));
    }
    outcomes
}
