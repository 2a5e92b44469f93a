//! Users, queues and forward mailboxes, many at a time: what is read is read together, what is
//! written is written together, and each change answers for itself.

use std::collections::{BTreeMap, BTreeSet};

use postroom_core::alert::Subject;
use postroom_core::approval::ApprovalState;
use postroom_core::audit::AuditEntry;
use postroom_core::channel::Channel;
use postroom_core::mailbox::MailboxOwner;
use postroom_core::party::{Party, PartyKind};
use postroom_core::{EmailAddress, Mailbox, MailboxId, PartyId};
use postroom_store::MailboxChange;
use serde_json::{Value, json};

use super::{ACTION, Worker, mailbox_of, parsed, sound};
use crate::admin::bulk::{EditRules, again};
use crate::admin::declaration::change::Change;
use crate::admin::declaration::fields::{Fields, Names};
use crate::admin::declaration::shape::{APPROVAL, OTHER_ADDRESSES, mailbox_with};
use crate::admin::declaration::snapshot::party_kind_of;
use crate::admin::{BulkOutcome, NewMailbox};
use crate::error::{EngineError, Result};
use crate::plan::authorize::{Right, authorize};
use crate::plan::edit::MailboxEdit;

/// What a change sets, apart from what is not the mailbox's own.
struct Row<'a> {
    change: &'a Change,
    values: Fields,
    others: Option<Value>,
    approval: Option<Value>,
    /// How it went so far.
    outcome: Result<()>,
    /// The mailbox, once it is known.
    id: Option<MailboxId>,
}

impl<'a> Row<'a> {
    fn of(change: &'a Change) -> Self {
        let mut values = change.values();
        Self {
            change,
            others: values.remove(OTHER_ADDRESSES),
            approval: values.remove(APPROVAL),
            values,
            outcome: Ok(()),
            id: mailbox_of(change),
        }
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.values.get(field).and_then(Value::as_str)
    }

    fn address(&self) -> Option<EmailAddress> {
        self.text("address").and_then(|text| text.parse().ok())
    }

    /// The mailbox, where nothing has failed.
    fn sound_id(&self) -> Option<MailboxId> {
        self.id.filter(|_| self.outcome.is_ok())
    }

    fn fail(&mut self, error: EngineError) {
        if self.outcome.is_ok() {
            self.outcome = Err(error);
        }
    }
}

/// The same failure for all that have not failed yet.
fn fail_all(rows: &mut [Row<'_>], error: &EngineError) {
    for row in rows {
        row.fail(again(ACTION, error));
    }
}

fn outcomes(rows: Vec<Row<'_>>) -> Vec<Result<()>> {
    rows.into_iter().map(|row| row.outcome).collect()
}

/// A mailbox that is to be, and its user or queue where that is to be, too.
struct Made {
    mailbox: Mailbox,
    party: Option<(Party, Vec<EmailAddress>)>,
}

impl Worker<'_> {
    pub(super) async fn add_mailboxes(&mut self, batch: &[&Change]) -> Vec<Result<()>> {
        let mut rows: Vec<_> = batch.iter().map(|change| Row::of(change)).collect();
        if let Err(error) = self.add(&mut rows).await {
            fail_all(&mut rows, &error);
        }
        for row in &mut rows {
            self.passwords(row).await;
        }
        self.decide(&mut rows).await;
        outcomes(rows)
    }

    async fn add(&mut self, rows: &mut [Row<'_>]) -> Result<()> {
        let (admin, principal) = (self.admin, self.principal);
        admin
            .allow_all(principal, Right::WriteMailbox, "mailbox.create", &[])
            .await?;
        let names = self.profile_names().await?;
        let rules = admin.edit_rules().await?;
        let mut free = self.free_parties(rows).await?;
        let mut parties = Vec::new();
        let (mut waiting, mut new) = (Vec::new(), Vec::new());
        for row in rows {
            match self.made(row, &names, &rules, &mut free).await {
                Ok(made) => {
                    let by = &principal.name;
                    let subject = Subject::Mailbox(made.mailbox.id);
                    let now = admin.environment.now();
                    let entry = AuditEntry::allowed(now, by, "mailbox.create", subject, "created");
                    parties.extend(made.party);
                    new.push(MailboxChange::new(made.mailbox, Some(entry)));
                    waiting.push(row);
                }
                Err(error) => row.fail(error),
            }
        }
        // Parties first: one that is left without a mailbox gets it the next time.
        let stored = async {
            self.directory.put_parties(&parties).await?;
            admin.environment.store.create_mailboxes(&new).await
        };
        let stored = match stored.await {
            Ok(stored) => stored,
            Err(error) => {
                let error = EngineError::from(error);
                for row in waiting {
                    row.fail(again(ACTION, &error));
                }
                return Ok(());
            }
        };
        for (party, addresses) in parties {
            if let Some(known) = &mut self.parties {
                known.insert(party.id, (party, addresses));
            }
        }
        for ((row, change), outcome) in waiting.into_iter().zip(new).zip(stored) {
            row.id = Some(change.mailbox.id);
            if let Err(error) = outcome {
                row.fail(error.into());
            }
        }
        admin.environment.wake.notify_one();
        Ok(())
    }

    /// A mailbox as its row has it, and the party that it needs.
    async fn made(
        &self,
        row: &Row<'_>,
        names: &Names,
        rules: &EditRules,
        free: &mut BTreeMap<(PartyKind, EmailAddress), Vec<PartyId>>,
    ) -> Result<Made> {
        let name = row.text("name").unwrap_or_default();
        let address = row.address();
        let mut party = None;
        let owner = match party_kind_of(row.change.noun) {
            None => MailboxOwner::Forward,
            Some(kind) => {
                let known = address
                    .as_ref()
                    .and_then(|address| free.get_mut(&(kind, address.clone())))
                    .and_then(Vec::pop);
                let id = known.unwrap_or_else(|| {
                    let id = PartyId::from_random(self.admin.environment.bytes16());
                    let mut all: Vec<EmailAddress> = address.iter().cloned().collect();
                    all.extend(row.others.as_ref().map(parsed).unwrap_or_default());
                    party = Some((Party::new(id, kind, name), all));
                    id
                });
                // Two rows never mean the same one.
                for ids in free.values_mut() {
                    ids.retain(|other| *other != id);
                }
                if kind == PartyKind::Queue {
                    MailboxOwner::Queue(id)
                } else {
                    MailboxOwner::User(id)
                }
            }
        };
        let new = NewMailbox::new(name, owner, address);
        let bare = self.admin.made(ACTION, &rules.organization, new)?;
        let (wanted, problems) = mailbox_with(&bare, &row.values, names);
        sound(problems)?;
        let edit = MailboxEdit::between(&bare, &wanted);
        if edit.changes_delivery()
            && let Err(needed) = authorize(self.principal, Right::ChangeDelivery)
        {
            let subject = Subject::Mailbox(bare.id);
            let (admin, by) = (self.admin, self.principal);
            return admin.refuse(by, "mailbox.edit", subject, needed).await;
        }
        let mut mailbox = rules.edited(ACTION, &bare, &edit)?;
        mailbox.active = wanted.active;
        Ok(Made { mailbox, party })
    }

    /// Users and queues that the application has, without a mailbox: of one that had them before, or
    /// of an attempt that failed.
    async fn free_parties(
        &self,
        rows: &[Row<'_>],
    ) -> Result<BTreeMap<(PartyKind, EmailAddress), Vec<PartyId>>> {
        let environment = &self.admin.environment;
        let addresses: Vec<EmailAddress> = rows.iter().filter_map(Row::address).collect();
        let known = environment.crm.parties(&addresses).await?;
        let ids: BTreeSet<PartyId> = known.iter().flatten().map(|party| party.id).collect();
        let ids: Vec<PartyId> = ids.into_iter().collect();
        let taken = environment.store.mailboxes_of(&ids).await?;
        let taken: BTreeSet<PartyId> = taken.iter().map(|mailbox| mailbox.party).collect();
        let mut free: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (address, parties) in addresses.into_iter().zip(known) {
            // The last is taken first.
            for party in parties.into_iter().rev() {
                if !taken.contains(&party.id) {
                    let key = (party.kind, address.clone());
                    free.entry(key).or_default().push(party.id);
                }
            }
        }
        Ok(free)
    }

    pub(super) async fn edit_mailboxes(&mut self, batch: &[&Change]) -> Vec<Result<()>> {
        let mut rows: Vec<_> = batch.iter().map(|change| Row::of(change)).collect();
        if let Err(error) = self.edit(&mut rows).await {
            fail_all(&mut rows, &error);
        }
        outcomes(rows)
    }

    async fn edit(&mut self, rows: &mut [Row<'_>]) -> Result<()> {
        let admin = self.admin;
        let names = self.profile_names().await?;
        let rules = admin.edit_rules().await?;
        let ids: Vec<_> = rows.iter().filter_map(|row| row.id).collect();
        admin
            .allow_all(self.principal, Right::WriteMailbox, ACTION, &ids)
            .await?;
        let stored = admin.environment.store.mailboxes_by_id(&ids).await?;
        let stored: BTreeMap<_, _> = stored.into_iter().map(|one| (one.id, one)).collect();
        for row in &mut *rows {
            if row.id.is_none_or(|id| !stored.contains_key(&id)) {
                row.fail(EngineError::not_found(ACTION, "mailbox"));
            }
        }
        self.put_owners(rows, &stored).await?;
        for row in &mut *rows {
            self.passwords(row).await;
        }
        self.change(rows, &stored, &names, &rules).await;
        self.decide(rows).await;
        for active in [false, true] {
            let wanted = |row: &Row<'_>| {
                let now = row.id.and_then(|id| stored.get(&id)).map(|one| one.active);
                row.values.get("active").and_then(Value::as_bool) == Some(active)
                    && now != Some(active)
            };
            let ids: Vec<_> = rows.iter().filter(|row| wanted(row)).collect();
            let ids: Vec<_> = ids.into_iter().filter_map(Row::sound_id).collect();
            let outcomes = if active {
                admin.activate(self.principal, &ids).await
            } else {
                admin.deactivate(self.principal, &ids).await
            };
            take(rows, outcomes);
        }
        Ok(())
    }

    /// What is the mailboxes' own.
    async fn change(
        &self,
        rows: &mut [Row<'_>],
        stored: &BTreeMap<MailboxId, Mailbox>,
        names: &Names,
        rules: &EditRules,
    ) {
        let (admin, principal) = (self.admin, self.principal);
        let values: BTreeMap<MailboxId, Fields> = rows
            .iter()
            .filter_map(|row| Some((row.sound_id()?, row.values.clone())))
            .collect();
        let edit = |mailbox: &Mailbox| {
            let nothing = Fields::new();
            let values = values.get(&mailbox.id).unwrap_or(&nothing);
            let (wanted, problems) = mailbox_with(mailbox, values, names);
            sound(problems)?;
            Ok(MailboxEdit::between(mailbox, &wanted))
        };
        let mut ids = Vec::new();
        for row in &mut *rows {
            let Some(before) = row.sound_id().and_then(|id| stored.get(&id)) else {
                continue;
            };
            match edit(before) {
                Ok(edit) if edit == MailboxEdit::new() => {}
                Ok(edit) => {
                    let needed = Right::ChangeDelivery;
                    let delivery = edit.changes_delivery();
                    match authorize(principal, needed) {
                        Err(needed) if delivery => {
                            let subject = Subject::Mailbox(before.id);
                            let refused = admin.refuse(principal, "mailbox.edit", subject, needed);
                            if let Err::<(), _>(error) = refused.await {
                                row.fail(error);
                            }
                        }
                        _ => ids.push(before.id),
                    }
                }
                Err(error) => row.fail(error),
            }
        }
        let outcomes = admin
            .edit_by(principal, "mailbox.edit", &ids, rules, &edit)
            .await;
        take(rows, outcomes);
    }

    /// Users and queues follow their mailbox's name and address.
    async fn put_owners(
        &mut self,
        rows: &mut [Row<'_>],
        stored: &BTreeMap<MailboxId, Mailbox>,
    ) -> Result<()> {
        let mut changed = Vec::new();
        for row in rows {
            let concerned = row.text("name").is_some()
                || row.values.contains_key("address")
                || row.others.is_some();
            let mailbox = row.sound_id().and_then(|id| stored.get(&id));
            let (true, Some(mailbox)) = (concerned, mailbox) else {
                continue;
            };
            let Some(owner) = mailbox.owner.party() else {
                continue;
            };
            let parties = self.parties().await?;
            let Some((mut party, there)) = parties.get(&owner).cloned() else {
                continue;
            };
            if let Some(name) = row.text("name") {
                name.clone_into(&mut party.name);
            }
            let address = match row.text("address") {
                None => mailbox.address.clone(),
                Some(text) => text.parse().ok(),
            };
            let others = row.others.as_ref().map_or_else(
                || {
                    let old = mailbox.address.as_ref();
                    there.into_iter().filter(|one| Some(one) != old).collect()
                },
                parsed,
            );
            let all: Vec<EmailAddress> = address.into_iter().chain(others).collect();
            parties.insert(owner, (party.clone(), all.clone()));
            changed.push((party, all));
        }
        if changed.is_empty() {
            return Ok(());
        }
        Ok(self.directory.put_parties(&changed).await?)
    }

    /// Sets the passwords that come with a change.
    async fn passwords(&self, row: &mut Row<'_>) {
        let Some(id) = row.sound_id() else { return };
        let (admin, principal) = (self.admin, self.principal);
        for (_, secret) in self.secrets_of(row.change) {
            let set = async {
                let mailbox = admin.mailbox(principal, id).await?;
                let user = row.text("user_name").map(str::to_owned);
                let user = user.or(mailbox.user_name);
                let user = user.or_else(|| mailbox.address.map(|address| address.to_string()));
                let user = user.unwrap_or_default();
                let entry = Channel::Local;
                admin
                    .set_mailbox_credentials(principal, id, &user, secret, entry)
                    .await
            };
            if let Err(error) = set.await {
                row.fail(error);
            }
        }
    }

    /// Approves and rejects.
    async fn decide(&self, rows: &mut [Row<'_>]) {
        let (admin, principal) = (self.admin, self.principal);
        for state in [ApprovalState::Approved, ApprovalState::Rejected] {
            let wanted = Some(json!(state));
            let ids: Vec<_> = rows
                .iter()
                .filter(|row| row.approval == wanted)
                .filter_map(Row::sound_id)
                .collect();
            let outcomes = if state == ApprovalState::Approved {
                admin.approve(principal, &ids).await
            } else {
                admin.reject(principal, &ids).await
            };
            take(rows, outcomes);
        }
    }
}

/// What became of some of the rows.
fn take<T>(rows: &mut [Row<'_>], outcomes: BulkOutcome<T>) {
    let mut failures: BTreeMap<MailboxId, EngineError> = outcomes
        .into_iter()
        .filter_map(|(id, outcome)| Some((id, outcome.err()?)))
        .collect();
    for row in rows {
        if let Some(error) = row.id.and_then(|id| failures.remove(&id)) {
            row.fail(error);
        }
    }
}
