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
    Mailbox, MailboxId, Organization, PartyId, ProfileId, ServerProfile, Workload,
};
use postroom_store::{MailboxChange, MailboxFilter, Page};

use super::profiles::too_early;
use super::support::refuse_unsupported;
use super::{Admin, AfterDefaults, BulkOutcome};
use crate::error::{EngineError, ErrorKind, Result};
use crate::plan::authorize::{Right, authorize};
use crate::plan::edit::{self, MailboxEdit};

/// At most so often a change is tried again because somebody else changed the mailbox meanwhile.
const CONFLICTS_MAX: u32 = 5;
/// So many mailboxes are one unit of work.
const BATCH: usize = 500;
/// So many ids are asked for at once.
const IDS: u32 = 10_000;

/// What becomes of a mailbox, and what the audit trail says of it.
type Next<'a> = &'a (dyn Fn(&Mailbox) -> Result<(Mailbox, String)> + Send + Sync);

/// A mailbox before and after.
pub(super) struct Changed {
    pub(super) before: Mailbox,
    pub(super) after: Mailbox,
}

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
        let rules = match self.edit_rules(ACTION, edit).await {
            Ok(rules) => rules,
            Err(error) => return for_all(ids, ACTION, error),
        };
        self.edit_by(principal, ACTION, ids, &rules, &|_| edit.clone())
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
        let rules = match self.edit_rules(ACTION, &MailboxEdit::new()).await {
            Ok(rules) => rules,
            Err(error) => return for_all(ids, ACTION, error),
        };
        let defaults = rules.organization.settings.mailbox_defaults.clone();
        let edited = self
            .edit_by(principal, ACTION, ids, &rules, &|mailbox| {
                MailboxEdit::defaults(&defaults, &mailbox.owner)
            })
            .await;
        let mut outcomes = Vec::with_capacity(edited.len());
        for (id, outcome) in edited {
            let outcome = match (outcome, after) {
                (Ok(mailbox), AfterDefaults::TestAndEnable) => self
                    .test_mailbox(principal, id, JobKind::TestAndEnable)
                    .await
                    .map(|job| (mailbox, Some(job))),
                (Ok(mailbox), AfterDefaults::Nothing) => Ok((mailbox, None)),
                (Err(error), _) => Err(error),
            };
            outcomes.push((id, outcome));
        }
        outcomes
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
                    Ok((next, note.to_owned()))
                })
                .await;
            for (id, outcome) in changed {
                let outcome = match outcome {
                    Ok(changed) if active => {
                        let due = self.make_due(&changed.after).await;
                        due.map(|()| changed.after)
                    }
                    Ok(changed) => Ok(changed.after),
                    Err(error) => Err(error),
                };
                outcomes.push((id, outcome));
            }
        }
        outcomes
    }

    /// What an edit has to keep to.
    async fn edit_rules(&self, action: &'static str, edit: &MailboxEdit) -> Result<EditRules> {
        let store = &self.environment.store;
        let organization = store.organization().await?;
        let profiles: BTreeMap<_, _> = store
            .profiles()
            .await?
            .into_iter()
            .map(|profile| (profile.id, profile))
            .collect();
        if let Some(Some(profile)) = edit.profile
            && !profiles.contains_key(&profile)
        {
            return Err(EngineError::not_found(action, "profile"));
        }
        let now = self.environment.now();
        let from = edit.process_email_from.flatten();
        Ok(EditRules {
            error: too_early(&organization, from, now),
            organization,
            profiles,
        })
    }

    async fn edit_by(
        &self,
        principal: &Principal,
        action: &'static str,
        ids: &[MailboxId],
        rules: &EditRules,
        edit: &(dyn Fn(&Mailbox) -> MailboxEdit + Send + Sync),
    ) -> BulkOutcome<Mailbox> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            let changed = self
                .change_batch(principal, action, batch, &|mailbox| {
                    let edit = edit(mailbox);
                    let after = rules.edited(action, mailbox, &edit)?;
                    let note = edit::told(mailbox, &after);
                    Ok((after, note))
                })
                .await;
            for (id, outcome) in changed {
                let outcome = match outcome {
                    Ok(changed) => self
                        .look_again(rules, &changed)
                        .await
                        .map(|()| changed.after),
                    Err(error) => Err(error),
                };
                outcomes.push((id, outcome));
            }
        }
        outcomes
    }

    /// Where email is processed from an earlier date on now, what was left out for its age is looked
    /// at again.
    async fn look_again(&self, rules: &EditRules, changed: &Changed) -> Result<()> {
        let Changed { before, after } = changed;
        let profile = after.profile.and_then(|id| rules.profiles.get(&id));
        let (true, Some(profile)) = (
            before.process_email_from != after.process_email_from,
            profile,
        ) else {
            return Ok(());
        };
        let start = process_from(after, profile);
        if start >= process_from(before, profile) {
            return Ok(());
        }
        let Some(start) = start else {
            return Ok(());
        };
        let now = self.environment.now();
        let store = &self.environment.store;
        let count = store
            .replay_filtered(after.id, FilterReason::BeforeStart, start, now)
            .await?;
        if count > 0 && after.incoming.enabled {
            store.set_due(after.id, Workload::Incoming, now).await?;
        }
        Ok(())
    }

    /// Changes a batch of mailboxes: read together, decided one by one, written together. Those that
    /// somebody else changed meanwhile are tried again alone.
    pub(super) async fn change_batch(
        &self,
        principal: &Principal,
        action: &'static str,
        ids: &[MailboxId],
        next: Next<'_>,
    ) -> BulkOutcome<Changed> {
        let mut outcomes = match self.try_batch(principal, action, ids, next).await {
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
                *outcome = match self.try_batch(principal, action, &[*id], next).await {
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
        next: Next<'_>,
    ) -> Result<BulkOutcome<Changed>> {
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
                Some(before) => next(before).map(|(after, note)| {
                    let subject = Subject::Mailbox(*id);
                    let entry = AuditEntry::allowed(now, &principal.name, action, subject, note);
                    changes.push(MailboxChange::new(after, Some(entry)));
                    before
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
                let outcome = outcome.and_then(|before| match stored.next() {
                    Some(Ok(after)) => Ok(Changed {
                        before: before.clone(),
                        after,
                    }),
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
struct EditRules {
    organization: Organization,
    profiles: BTreeMap<ProfileId, ServerProfile>,
    /// What is wrong with the edit for every mailbox.
    error: Option<FieldError>,
}

impl EditRules {
    fn edited(
        &self,
        action: &'static str,
        mailbox: &Mailbox,
        edit: &MailboxEdit,
    ) -> Result<Mailbox> {
        let fields = |errors: &[FieldError]| EngineError::fields(action, errors);
        if let Some(error) = &self.error {
            return Err(fields(std::slice::from_ref(error)));
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

/// The same failure for every one of them.
pub(super) fn for_all<T>(
    ids: &[MailboxId],
    action: &'static str,
    error: EngineError,
) -> BulkOutcome<T> {
    let again = |error: &EngineError| {
        error.context().iter().fold(
            EngineError::new(error.kind(), error.code(), action),
            |new, (name, value)| new.with(name, value),
        )
    };
    let mut outcomes: BulkOutcome<T> = ids
        .iter()
        .skip(1)
        .map(|id| (*id, Err(again(&error))))
        .collect();
    if let Some(first) = ids.first() {
        outcomes.insert(0, (*first, Err(error)));
    }
    outcomes
}
