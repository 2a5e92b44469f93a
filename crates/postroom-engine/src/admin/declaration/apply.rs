//! Reading what there is, and carrying changes out.

mod mailboxes;

use std::collections::BTreeMap;

use postroom_core::alert::Subject;
use postroom_core::channel::Channel;
use postroom_core::party::{Party, PartyKind};
use postroom_core::principal::Principal;
use postroom_core::{EmailAddress, MailboxId, PartyId, ProfileId, Secret};
use postroom_store::{Directory, MailboxFilter, Page, SecretOwner};
use serde_json::Value;

use super::change::{Action, Change, Target};
use super::fields::{Fields, Names, Problem};
use super::read::{PasswordKey, Secrets, Slot};
use super::shape::{ADDRESSES, OWNER, organization_with, party_with, profile_with};
use super::{Declaration, Noun, Snapshot};
use crate::admin::bulk::BATCH;
use crate::admin::{Admin, ProfileDirection};
use crate::error::{EngineError, Result};
use crate::plan::authorize::Right;

const ACTION: &str = "organization.apply";

/// So many mailboxes are read at once.
const PAGE: u32 = 10_000;

impl Admin {
    /// What there is, as far as a declaration can speak of it.
    pub async fn snapshot(
        &self,
        principal: &Principal,
        directory: &dyn Directory,
    ) -> Result<Snapshot> {
        let mut snapshot = Snapshot::new(self.organization(principal).await?);
        snapshot.profiles = self.profiles(principal).await?;
        let mut page = Page::first(PAGE);
        loop {
            let filter = MailboxFilter::default();
            let found = self.mailboxes(principal, &filter, page).await?;
            let last = found.len() < PAGE as usize;
            snapshot.mailboxes.extend(found);
            if last {
                break;
            }
            page = page.next();
        }
        snapshot.parties = directory.all_parties().await?;
        let providers = self.environment.registry.names();
        snapshot.providers = providers.map(str::to_owned).collect();
        Ok(snapshot)
    }

    /// Notes in the snapshot which of a declaration's passwords are in place already: those need not
    /// be set again.
    ///
    /// # Errors
    /// `Key` where a stored password cannot be unsealed.
    pub async fn compare_passwords(
        &self,
        principal: &Principal,
        snapshot: &mut Snapshot,
        wanted: &Declaration,
        secrets: &Secrets,
    ) -> Result<()> {
        if secrets.is_empty() {
            return Ok(());
        }
        // Who may set them may learn that they are what he says they are.
        for right in [Right::WriteProfile, Right::WriteMailbox] {
            self.allow(principal, right, ACTION, Subject::Organization)
                .await?;
        }
        for (key, secret) in secrets {
            let Some(owner) = holder(snapshot, wanted, *key) else {
                continue;
            };
            if self.environment.store.secret(owner).await?.as_ref() == Some(secret) {
                snapshot.passwords_in_place.insert(*key);
            }
        }
        Ok(())
    }

    /// Carries out one change of a [`plan`](super::plan()). Those that come before it in the plan have
    /// to be done: what it refers to is looked up by name.
    ///
    /// # Errors
    /// Those of the calls that it stands for; `NotFound` where something that it refers to is not
    /// there, such as a profile that could not be created.
    pub async fn apply_change(
        &self,
        principal: &Principal,
        directory: &dyn Directory,
        change: &Change,
        secrets: &Secrets,
    ) -> Result<()> {
        let changes = std::slice::from_ref(change);
        let mut outcomes = self
            .apply_changes(principal, directory, changes, secrets, &mut |_| {})
            .await;
        outcomes
            .pop()
            .unwrap_or_else(|| Err(EngineError::not_found(ACTION, "change")))
    }

    /// Carries out the changes of a [`plan`](super::plan()), in their order, mailboxes many at a time.
    /// Each answers for itself: one that fails does not keep the others from being done. `progress` is
    /// told now and then how many of them are through.
    ///
    /// # Errors
    /// For each: as [`apply_change`](Self::apply_change).
    pub async fn apply_changes(
        &self,
        principal: &Principal,
        directory: &dyn Directory,
        changes: &[Change],
        secrets: &Secrets,
        progress: &mut (dyn FnMut(usize) + Send),
    ) -> Vec<Result<()>> {
        let mut worker = Worker {
            admin: self,
            principal,
            directory,
            secrets,
            parties: None,
        };
        let mut outcomes = Vec::with_capacity(changes.len());
        let mut rest = changes.iter().peekable();
        while let Some(first) = rest.next() {
            let step = Step::of(first);
            let mut batch = vec![first];
            while batch.len() < BATCH
                && step != Step::Alone
                && let Some(next) = rest.next_if(|next| Step::of(next) == step)
            {
                batch.push(next);
            }
            outcomes.extend(worker.carry_out(step, &batch).await);
            progress(outcomes.len());
        }
        outcomes
    }
}

/// Which changes are carried out together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Mailboxes that come to be.
    Add,
    /// Mailboxes that there are.
    Edit,
    /// Mailboxes that are no longer named.
    Deactivate,
    /// By itself.
    Alone,
}

impl Step {
    const fn of(change: &Change) -> Self {
        match (change.action, change.target, change.noun) {
            (Action::Deactivate, Target::Mailbox(_), _) => Self::Deactivate,
            (Action::Delete | Action::Deactivate, _, _) => Self::Alone,
            (_, Target::Mailbox(_), Noun::User | Noun::Queue | Noun::ForwardMailbox) => Self::Edit,
            (_, _, Noun::User | Noun::Queue | Noun::ForwardMailbox) => Self::Add,
            (_, _, Noun::Organization | Noun::Profile | Noun::Party) => Self::Alone,
        }
    }
}

/// Whose password it is, where its owner is there.
fn holder(snapshot: &Snapshot, wanted: &Declaration, key: PasswordKey) -> Option<SecretOwner> {
    let (noun, index, slot) = key;
    let fields = wanted.entries(noun).get(index)?;
    let text = |field: &str| fields.get(field).and_then(Value::as_str);
    if noun == Noun::Profile {
        let name = text("name")?.trim().to_lowercase();
        let named = snapshot
            .profiles
            .iter()
            .find(|profile| profile.name.to_lowercase() == name)?;
        return Some(match slot {
            Slot::Outgoing => SecretOwner::ProfileOutgoing(named.id),
            Slot::Incoming | Slot::Mailbox => SecretOwner::ProfileIncoming(named.id),
        });
    }
    let address: EmailAddress = text("address")?.parse().ok()?;
    let mailbox = snapshot
        .mailboxes
        .iter()
        .find(|mailbox| mailbox.address.as_ref() == Some(&address))?;
    Some(SecretOwner::Mailbox(mailbox.id))
}

/// What a plan let pass can only be refused because something that it refers to is missing.
fn sound(problems: Vec<Problem>) -> Result<()> {
    match problems.into_iter().next() {
        None => Ok(()),
        Some(problem) => Err(EngineError::not_found(ACTION, "reference")
            .with("field", problem.field)
            .with("reason", problem.message)),
    }
}

struct Worker<'a> {
    admin: &'a Admin,
    principal: &'a Principal,
    directory: &'a dyn Directory,
    secrets: &'a Secrets,
    /// The application's parties, once they were asked for.
    parties: Option<BTreeMap<PartyId, (Party, Vec<EmailAddress>)>>,
}

impl Worker<'_> {
    async fn carry_out(&mut self, step: Step, batch: &[&Change]) -> Vec<Result<()>> {
        match step {
            Step::Add => self.add_mailboxes(batch).await,
            Step::Edit => self.edit_mailboxes(batch).await,
            Step::Deactivate => {
                let ids: Vec<_> = batch.iter().filter_map(|one| mailbox_of(one)).collect();
                let outcomes = self.admin.deactivate(self.principal, &ids).await;
                let done = |(_, outcome): (_, Result<_>)| outcome.map(drop);
                outcomes.into_iter().map(done).collect()
            }
            Step::Alone => {
                let mut outcomes = Vec::with_capacity(batch.len());
                for change in batch {
                    outcomes.push(self.alone(change).await);
                }
                outcomes
            }
        }
    }

    async fn alone(&mut self, change: &Change) -> Result<()> {
        let (admin, principal) = (self.admin, self.principal);
        match (change.action, change.target, change.noun) {
            (Action::Delete, Target::Profile(id), _) => admin.delete_profile(principal, id).await,
            (Action::Deactivate, Target::Profile(id), _) => {
                admin.deactivate_profile(principal, id).await.map(drop)
            }
            (_, _, Noun::Organization) => self.organization(change).await,
            (_, _, Noun::Profile) => self.profile(change).await,
            (_, _, Noun::Party) => self.party(change).await,
            (_, _, Noun::User | Noun::Queue | Noun::ForwardMailbox) => {
                Err(EngineError::not_found(ACTION, "mailbox"))
            }
        }
    }

    /// The application's parties, asked for once.
    async fn parties(&mut self) -> Result<&mut BTreeMap<PartyId, (Party, Vec<EmailAddress>)>> {
        if self.parties.is_none() {
            let all = self.directory.all_parties().await?;
            let by_id = all.into_iter().map(|entry| (entry.0.id, entry));
            self.parties = Some(by_id.collect());
        }
        Ok(self.parties.get_or_insert_default())
    }

    /// The names of profiles.
    async fn profile_names(&self) -> Result<Names> {
        let organization = self.admin.organization(self.principal).await?;
        let mut snapshot = Snapshot::new(organization);
        snapshot.profiles = self.admin.profiles(self.principal).await?;
        Ok(snapshot.names())
    }

    /// The names that a change may refer to.
    async fn names(&self, change: &Change) -> Result<Names> {
        let organization = self.admin.organization(self.principal).await?;
        let mut snapshot = Snapshot::new(organization);
        snapshot.profiles = self.admin.profiles(self.principal).await?;
        if change.value(OWNER).is_some() {
            snapshot.parties = self.directory.all_parties().await?;
        }
        Ok(snapshot.names())
    }

    async fn organization(&self, change: &Change) -> Result<()> {
        let names = self.names(change).await?;
        let stored = self.admin.organization(self.principal).await?;
        let (next, problems) = organization_with(&stored, &change.values(), &names);
        sound(problems)?;
        let admin = self.admin;
        admin
            .update_organization(self.principal, &next)
            .await
            .map(drop)
    }

    async fn profile(&self, change: &Change) -> Result<()> {
        let (admin, principal) = (self.admin, self.principal);
        let names = self.names(change).await?;
        let values = change.values();
        let id = match change.target {
            Target::Profile(id) => {
                let stored = admin.profile(principal, id).await?;
                let (next, problems) = profile_with(&stored, &values, &names);
                sound(problems)?;
                if next != stored {
                    admin.update_profile(principal, &next).await?;
                }
                id
            }
            // A profile whose owner had to wait is there by now.
            _ => match self.created_profile(change, &values).await? {
                Some(stored) if change.action == Action::Update => {
                    let stored = admin.profile(principal, stored).await?;
                    let (next, problems) = profile_with(&stored, &values, &names);
                    sound(problems)?;
                    admin.update_profile(principal, &next).await?.id
                }
                _ => {
                    let name = values.get("name").and_then(Value::as_str);
                    let kind = postroom_core::profile::ProfileKind::ExchangeServer;
                    let bare = admin.new_profile(name.unwrap_or_default(), kind);
                    let (next, problems) = profile_with(&bare, &values, &names);
                    sound(problems)?;
                    admin.create_profile(principal, &next).await?.id
                }
            },
        };
        for (slot, secret) in self.secrets_of(change) {
            let profile = admin.profile(principal, id).await?;
            let (direction, endpoint) = match slot {
                Slot::Outgoing => (ProfileDirection::Outgoing, &profile.outgoing),
                Slot::Incoming | Slot::Mailbox => (ProfileDirection::Incoming, &profile.incoming),
            };
            let user = endpoint.user_name.as_deref().unwrap_or_default();
            let entry = Channel::Local;
            admin
                .set_profile_credentials(principal, id, direction, user, secret, entry)
                .await?;
        }
        Ok(())
    }

    /// The profile that an earlier change of the same entry made.
    async fn created_profile(&self, change: &Change, values: &Fields) -> Result<Option<ProfileId>> {
        if change.action == Action::Create || values.contains_key("name") {
            return Ok(None);
        }
        let profiles = self.admin.profiles(self.principal).await?;
        let made = profiles
            .iter()
            .find(|profile| change.subject == format!("profile {:?}", profile.name));
        made.map(|profile| Some(profile.id))
            .ok_or_else(|| EngineError::not_found(ACTION, "profile"))
    }

    fn secrets_of(&self, change: &Change) -> Vec<(Slot, &Secret)> {
        let index = change.index.unwrap_or_default();
        change
            .passwords
            .iter()
            .filter_map(|slot| Some((*slot, self.secrets.get(&(change.noun, index, *slot))?)))
            .collect()
    }

    async fn party(&mut self, change: &Change) -> Result<()> {
        let names = self.names(change).await?;
        let mut values = change.values();
        let addresses = values.remove(ADDRESSES);
        let (base, there) = match change.target {
            Target::Party(id) => {
                let parties = self.directory.all_parties().await?;
                parties
                    .into_iter()
                    .find(|(party, _)| party.id == id)
                    .ok_or_else(|| EngineError::not_found(ACTION, "party"))?
            }
            _ => {
                let id = PartyId::from_random(self.admin.environment.bytes16());
                (Party::new(id, PartyKind::Contact, ""), Vec::new())
            }
        };
        self.parties = None;
        let (next, problems) = party_with(&base, &values, &names);
        sound(problems)?;
        let addresses = addresses.as_ref().map_or(there, parsed);
        Ok(self.directory.put_party(&next, &addresses).await?)
    }
}

const fn mailbox_of(change: &Change) -> Option<MailboxId> {
    match change.target {
        Target::Mailbox(id) => Some(id),
        _ => None,
    }
}

/// Addresses that a plan has checked.
fn parsed(list: &Value) -> Vec<EmailAddress> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|value| value.as_str()?.parse().ok())
        .collect()
}
