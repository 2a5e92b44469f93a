//! Reading what there is, and carrying changes out.

use postroom_core::alert::Subject;
use postroom_core::approval::ApprovalState;
use postroom_core::channel::Channel;
use postroom_core::mailbox::MailboxOwner;
use postroom_core::party::{Party, PartyKind};
use postroom_core::principal::Principal;
use postroom_core::{EmailAddress, Mailbox, MailboxId, PartyId, ProfileId, Secret};
use postroom_store::{Directory, MailboxFilter, Page, SecretOwner};
use serde_json::{Value, json};

use super::change::{Action, Change, Target};
use super::fields::{Fields, Names, Problem};
use super::read::{PasswordKey, Secrets, Slot};
use super::shape::{
    ADDRESSES, APPROVAL, OTHER_ADDRESSES, OWNER, mailbox_with, organization_with, party_with,
    profile_with,
};
use super::snapshot::party_kind_of;
use super::{Declaration, Noun, Snapshot};
use crate::admin::{Admin, BulkOutcome, NewMailbox, ProfileDirection};
use crate::error::{EngineError, Result};
use crate::plan::authorize::Right;
use crate::plan::edit::MailboxEdit;

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
        let worker = Worker {
            admin: self,
            principal,
            directory,
            secrets,
        };
        match (change.action, change.target, change.noun) {
            (Action::Delete, Target::Profile(id), _) => self.delete_profile(principal, id).await,
            (Action::Deactivate, Target::Profile(id), _) => {
                self.deactivate_profile(principal, id).await.map(drop)
            }
            (Action::Deactivate, Target::Mailbox(id), _) => {
                only(self.deactivate(principal, &[id]).await).map(drop)
            }
            (_, _, Noun::Organization) => worker.organization(change).await,
            (_, _, Noun::Profile) => worker.profile(change).await,
            (_, _, Noun::User | Noun::Queue | Noun::ForwardMailbox) => worker.mailbox(change).await,
            (_, _, Noun::Party) => worker.party(change).await,
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

fn only<T>(outcomes: BulkOutcome<T>) -> Result<T> {
    match outcomes.into_iter().next() {
        Some((_, outcome)) => outcome,
        None => Err(EngineError::not_found(ACTION, "mailbox")),
    }
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
}

impl Worker<'_> {
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

    async fn mailbox(&self, change: &Change) -> Result<()> {
        let (admin, principal) = (self.admin, self.principal);
        let names = self.names(change).await?;
        let mut values = change.values();
        let others = values.remove(OTHER_ADDRESSES);
        let approval = values.remove(APPROVAL);
        let id = match change.target {
            Target::Mailbox(id) => {
                self.update_party(id, &values, others.as_ref()).await?;
                id
            }
            _ => {
                self.create_mailbox(change.noun, &values, others.as_ref())
                    .await?
            }
        };
        for (_, secret) in self.secrets_of(change) {
            let mailbox = admin.mailbox(principal, id).await?;
            let user = values.get("user_name").and_then(Value::as_str);
            let user = user.map(str::to_owned).or(mailbox.user_name);
            let user = user.or_else(|| mailbox.address.map(|address| address.to_string()));
            let user = user.unwrap_or_default();
            let entry = Channel::Local;
            admin
                .set_mailbox_credentials(principal, id, &user, secret, entry)
                .await?;
        }
        let stored = admin.mailbox(principal, id).await?;
        let (next, problems) = mailbox_with(&stored, &values, &names);
        sound(problems)?;
        let edit = MailboxEdit::between(&stored, &next);
        if edit != MailboxEdit::new() {
            admin.edit_mailbox(principal, id, &edit).await?;
        }
        self.decide(id, approval.as_ref()).await?;
        match (stored.active, next.active) {
            (true, false) => only(admin.deactivate(principal, &[id]).await).map(drop),
            (false, true) => only(admin.activate(principal, &[id]).await).map(drop),
            (true, true) | (false, false) => Ok(()),
        }
    }

    async fn decide(&self, id: MailboxId, approval: Option<&Value>) -> Result<()> {
        let (admin, principal) = (self.admin, self.principal);
        let outcome = match approval {
            Some(state) if *state == json!(ApprovalState::Approved) => {
                admin.approve(principal, &[id]).await
            }
            Some(state) if *state == json!(ApprovalState::Rejected) => {
                admin.reject(principal, &[id]).await
            }
            _ => return Ok(()),
        };
        only(outcome).map(drop)
    }

    /// Makes a user or queue, unless the application has it already, and the mailbox.
    async fn create_mailbox(
        &self,
        noun: Noun,
        values: &Fields,
        others: Option<&Value>,
    ) -> Result<MailboxId> {
        let name = values
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let address = values.get("address").and_then(Value::as_str);
        let address: Option<EmailAddress> = address.and_then(|text| text.parse().ok());
        let owner = match party_kind_of(noun) {
            None => MailboxOwner::Forward,
            Some(kind) => {
                let id = self.party_for(kind, name, address.as_ref(), others).await?;
                if kind == PartyKind::Queue {
                    MailboxOwner::Queue(id)
                } else {
                    MailboxOwner::User(id)
                }
            }
        };
        let new = NewMailbox::new(name, owner, address);
        let mailbox = self.admin.create_mailbox(self.principal, new).await?;
        Ok(mailbox.id)
    }

    async fn party_for(
        &self,
        kind: PartyKind,
        name: &str,
        address: Option<&EmailAddress>,
        others: Option<&Value>,
    ) -> Result<PartyId> {
        let environment = &self.admin.environment;
        let known = match address {
            None => Vec::new(),
            Some(address) => environment
                .crm
                .parties(std::slice::from_ref(address))
                .await?
                .into_iter()
                .flatten()
                .filter(|party| party.kind == kind)
                .collect(),
        };
        // One without a mailbox: of an application that had it before, or of an attempt that failed.
        let ids: Vec<PartyId> = known.iter().map(|party| party.id).collect();
        let taken = environment.store.mailboxes_of(&ids).await?;
        let free = known
            .into_iter()
            .find(|party| taken.iter().all(|mailbox| mailbox.party != party.id));
        if let Some(party) = free {
            return Ok(party.id);
        }
        let id = PartyId::from_random(environment.bytes16());
        let party = Party::new(id, kind, name);
        let mut all: Vec<EmailAddress> = address.cloned().into_iter().collect();
        all.extend(others.map(parsed).unwrap_or_default());
        self.directory.put_party(&party, &all).await?;
        Ok(id)
    }

    /// A user or queue follows its mailbox's name and address.
    async fn update_party(
        &self,
        id: MailboxId,
        values: &Fields,
        others: Option<&Value>,
    ) -> Result<()> {
        let concerned = values.contains_key("name") || values.contains_key("address");
        if !concerned && others.is_none() {
            return Ok(());
        }
        let mailbox: Mailbox = self.admin.mailbox(self.principal, id).await?;
        let Some(owner) = mailbox.owner.party() else {
            return Ok(());
        };
        let parties = self.directory.all_parties().await?;
        let Some((mut party, there)) = parties.into_iter().find(|(party, _)| party.id == owner)
        else {
            return Ok(());
        };
        if let Some(name) = values.get("name").and_then(Value::as_str) {
            name.clone_into(&mut party.name);
        }
        let address = match values.get("address").and_then(Value::as_str) {
            None => mailbox.address.clone(),
            Some(text) => text.parse().ok(),
        };
        let others = others.map_or_else(
            || {
                let old = mailbox.address.as_ref();
                there.into_iter().filter(|one| Some(one) != old).collect()
            },
            parsed,
        );
        let all: Vec<EmailAddress> = address.into_iter().chain(others).collect();
        Ok(self.directory.put_party(&party, &all).await?)
    }

    async fn party(&self, change: &Change) -> Result<()> {
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
        let (next, problems) = party_with(&base, &values, &names);
        sound(problems)?;
        let addresses = addresses.as_ref().map_or(there, parsed);
        Ok(self.directory.put_party(&next, &addresses).await?)
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
