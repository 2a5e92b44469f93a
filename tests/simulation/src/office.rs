//! What administrators do.

use std::time::Duration;

use postroom_core::channel::Channel;
use postroom_core::job::JobKind;
use postroom_core::ledger::LedgerState;
use postroom_core::mailbox::DeliveryMethod;
use postroom_core::outbox::OutboxState;
use postroom_core::{EmailAddress, Secret};
use postroom_engine::{
    Admin, EngineError, MailboxEdit, OutgoingDecision, ProfileDirection, Result,
};
use postroom_store::{
    AlertFilter, JobFilter, LedgerFilter, MailboxFilter, OutboxFilter, Page, Wall,
};

use crate::action::AdminAction;
use crate::establish::{mailbox_facts, profile_facts};
use crate::history::{Event, FaultClass, FaultFacts, MailboxFacts};
use crate::setup::Account;
use crate::world::World;

/// Names the windows in which a mailbox's password is not the one that the engine knows.
const PASSWORD: u32 = 1_000_000;
/// Names the windows in which a mailbox has an address that the server does not know it by.
const ADDRESS: u32 = 2_000_000;

impl World {
    /// Does something in administration. Where no engine runs, there is no administration either.
    pub async fn administer(&mut self, action: &AdminAction) {
        if let AdminAction::PasswordOnServer(at) = *action {
            self.change_password(at);
            return;
        }
        let Some(admin) = self.admin() else {
            self.trace.line(format_args!("nobody to ask: {action:?}"));
            return;
        };
        let number = self.next_admin_call();
        self.note(Event::AdminBegan {
            number,
            action: format!("{action:?}"),
        });
        let result = self.call(&admin, action).await;
        let failed = result.err().map(|error| error.code().to_string());
        self.note(Event::AdminEnded { number, failed });
        self.found(action).await;
    }

    async fn call(&mut self, admin: &Admin, action: &AdminAction) -> Result<()> {
        let operator = self.operator.clone();
        let mut edit = MailboxEdit::new();
        match *action {
            AdminAction::Approve(at) => {
                let id = self.boxes[at].id;
                self.intend(at, |facts| facts.approved = true).await;
                one(admin.approve(&operator, &[id]).await)?;
            }
            AdminAction::Reject(at) => {
                let id = self.boxes[at].id;
                self.intend(at, |facts| facts.approved = false).await;
                one(admin.reject(&operator, &[id]).await)?;
            }
            AdminAction::ChangeAddress(at) => {
                let id = self.boxes[at].id;
                let now = admin.mailbox(&operator, id).await?.address;
                let (first, other) = (self.setup.address(at), self.setup.alias(at));
                let back = now.as_ref().is_none_or(|now| now.as_str() != first);
                let next = if now.is_some_and(|now| now.as_str() == first) {
                    other
                } else {
                    first
                };
                let address: EmailAddress = next.parse().expect("an address of ours");
                edit.address = Some(Some(address));
                self.intend(at, |facts| {
                    facts.approved = false;
                    facts.incoming_enabled = false;
                    facts.outgoing_enabled = false;
                })
                .await;
                // The server knows a mailbox by its first address only.
                let window = ADDRESS + at as u32;
                if back {
                    admin.edit_mailbox(&operator, id, &edit).await?;
                    self.note(Event::FaultEnded { window });
                } else {
                    self.wrong(window, "address-changed", at);
                    admin.edit_mailbox(&operator, id, &edit).await?;
                }
            }
            AdminAction::Active(at, active) => {
                let id = self.boxes[at].id;
                self.intend(at, |facts| facts.active = active).await;
                one(if active {
                    admin.activate(&operator, &[id]).await
                } else {
                    admin.deactivate(&operator, &[id]).await
                })?;
            }
            AdminAction::Incoming(at, on) => {
                edit.incoming = Some(method(on));
                self.intend(at, |facts| {
                    facts.incoming = on;
                    facts.incoming_enabled = false;
                })
                .await;
                admin
                    .edit_mailbox(&operator, self.boxes[at].id, &edit)
                    .await?;
            }
            AdminAction::Outgoing(at, on) => {
                edit.outgoing = Some(method(on));
                self.intend(at, |facts| {
                    facts.outgoing = on;
                    facts.outgoing_enabled = false;
                })
                .await;
                admin
                    .edit_mailbox(&operator, self.boxes[at].id, &edit)
                    .await?;
            }
            AdminAction::Filter(at, filter) => {
                edit.filter = Some(filter);
                self.intend(at, |facts| facts.filter = filter).await;
                admin
                    .edit_mailbox(&operator, self.boxes[at].id, &edit)
                    .await?;
            }
            AdminAction::Test(at, enables) => self.test(admin, at, enables).await?,
            AdminAction::Sync(at) => {
                let mailbox = self.boxes[at].id;
                self.note(Event::SyncRequested {
                    mailbox,
                    workload: None,
                });
                one(admin.sync_now(&operator, &[mailbox]).await)?;
            }
            AdminAction::ProfileActive(at, active) => {
                self.intend_profile(at, |facts| facts.active = active).await;
                let id = self.profiles[at];
                if active {
                    admin.activate_profile(&operator, id).await?;
                } else {
                    admin.deactivate_profile(&operator, id).await?;
                }
            }
            AdminAction::Polling(at, minutes) => {
                let interval = Duration::from_secs(60 * minutes);
                self.intend_profile(at, |facts| facts.polling_interval_min = interval)
                    .await;
                let mut profile = admin.profile(&operator, self.profiles[at]).await?;
                profile.polling_interval_min = interval;
                admin.update_profile(&operator, &profile).await?;
            }
            AdminAction::Connections(at, connections) => {
                self.intend_profile(at, |facts| facts.connections_max = connections)
                    .await;
                let mut profile = admin.profile(&operator, self.profiles[at]).await?;
                profile.connections_max = connections;
                admin.update_profile(&operator, &profile).await?;
            }
            AdminAction::MoveUndelivered(at, moves) => {
                self.intend_profile(at, |facts| facts.move_undelivered = moves)
                    .await;
                let mut profile = admin.profile(&operator, self.profiles[at]).await?;
                profile.move_undelivered = moves;
                admin.update_profile(&operator, &profile).await?;
            }
            AdminAction::TestConnection(at) => {
                let profile = self.profiles[self.setup.mailboxes[at].profile];
                let address: EmailAddress = self.setup.address(at).parse().expect("an address");
                let found = admin
                    .test_connection(&operator, profile, Some(&address))
                    .await?;
                self.said("test connection", format!("{found:?}"));
            }
            AdminAction::TestProfileConnection(at) => {
                let profile = self.profiles[at];
                let found = admin.test_connection(&operator, profile, None).await?;
                let kept = admin.connection_test(&operator, profile).await?;
                self.said("test connection", format!("{found:?} {kept:?}"));
            }
            AdminAction::TestProfile(at, enables) => self.test_profile(admin, at, enables).await?,
            AdminAction::Walls(at) => {
                let own = &self.boxes[at];
                for wall in [
                    Wall::Mailbox(own.id),
                    Wall::Owner(own.party),
                    Wall::Profile(self.profiles[self.setup.mailboxes[at].profile]),
                ] {
                    let mut filter = AlertFilter::default();
                    filter.wall = Some(wall);
                    let alerts = admin.alerts(&operator, &filter, Page::first(100)).await?;
                    self.said("wall", format!("{alerts:?}"));
                }
                let mut filter = JobFilter::default();
                filter.mailbox = Some(own.id);
                let jobs = admin.jobs(&operator, &filter, Page::first(100)).await?;
                self.said("jobs", format!("{jobs:?}"));
            }
            AdminAction::Dismiss(pick) => {
                let alerts = admin
                    .alerts(&operator, &AlertFilter::default(), Page::first(100))
                    .await?;
                if let Some(alert) = picked(&alerts, pick) {
                    admin.dismiss_alert(&operator, alert.id).await?;
                }
            }
            AdminAction::Replay(pick) => {
                let rows = admin
                    .ledger(&operator, &LedgerFilter::default(), Page::first(500))
                    .await?;
                let rows: Vec<_> = rows
                    .into_iter()
                    .filter(|row| {
                        matches!(
                            row.state,
                            LedgerState::Quarantined { .. } | LedgerState::Filtered { .. }
                        )
                    })
                    .collect();
                if let Some(row) = picked(&rows, pick) {
                    self.note(Event::Replayed { row: row.id });
                    admin.replay(&operator, row.id).await?;
                }
            }
            AdminAction::Decide(pick, what) => {
                let all = admin
                    .outbox(&operator, &OutboxFilter::default(), Page::first(500))
                    .await?;
                let open: Vec<_> = all
                    .into_iter()
                    .filter(|entry| {
                        entry.record.is_some()
                            && matches!(
                                entry.state,
                                OutboxState::Unknown { .. } | OutboxState::Failed { .. }
                            )
                    })
                    .collect();
                if let Some(entry) = picked(&open, pick) {
                    let (decision, word) = match what % 3 {
                        0 => (OutgoingDecision::Sent, "sent"),
                        1 => (OutgoingDecision::Resend, "resend"),
                        _ => (OutgoingDecision::Failed, "failed"),
                    };
                    if let Some(record) = entry.record {
                        self.note(Event::Decided {
                            record,
                            decision: word.to_owned(),
                        });
                    }
                    admin.decide_outgoing(&operator, entry.id, decision).await?;
                }
            }
            AdminAction::Explain(pick) => {
                let rows = admin
                    .ledger(&operator, &LedgerFilter::default(), Page::first(500))
                    .await?;
                let what = match picked(&rows, pick) {
                    Some(row) if pick % 3 > 0 => row.id.to_string(),
                    _ => picked(&self.boxes, pick)
                        .map(|own| own.address.clone())
                        .unwrap_or_default(),
                };
                let answer = admin.explain(&operator, &what).await?;
                self.said("explain", format!("{answer:?}"));
            }
            AdminAction::Overview => {
                let overview = admin
                    .overview(&operator, &MailboxFilter::default(), Page::first(100))
                    .await?;
                self.said("overview", format!("{overview:?}"));
            }
            AdminAction::IdleInterval(minutes) => {
                let mut organization = admin.organization(&operator).await?;
                organization.settings.idle_interval_max = Duration::from_secs(60 * minutes);
                admin.update_organization(&operator, &organization).await?;
            }
            AdminAction::PasswordOnServer(_) => {}
            AdminAction::PasswordTold(at) => self.tell_password(admin, at).await?,
        }
        Ok(())
    }

    /// Asks for a test of a mailbox.
    async fn test(&mut self, admin: &Admin, at: usize, enables: bool) -> Result<()> {
        let mailbox = self.boxes[at].id;
        let kind = if enables {
            JobKind::TestAndEnable
        } else {
            JobKind::TestOnly
        };
        if enables {
            self.intend(at, |facts| {
                facts.incoming_enabled |= facts.incoming;
                facts.outgoing_enabled |= facts.outgoing;
            })
            .await;
        }
        self.note(Event::TestRequested {
            mailbox,
            job: None,
            enables,
        });
        let job = admin.test_mailbox(&self.operator, mailbox, kind).await?;
        self.note(Event::TestRequested {
            mailbox,
            job: Some(job.id),
            enables,
        });
        Ok(())
    }

    /// Asks for a test of all mailboxes of a profile.
    async fn test_profile(&mut self, admin: &Admin, at: usize, enables: bool) -> Result<()> {
        let kind = if enables {
            JobKind::TestAndEnable
        } else {
            JobKind::TestOnly
        };
        for (mailbox, own) in self.boxes.iter().enumerate() {
            if self.setup.mailboxes[mailbox].profile != at {
                continue;
            }
            if enables {
                self.intend(mailbox, |facts| {
                    facts.incoming_enabled |= facts.incoming;
                    facts.outgoing_enabled |= facts.outgoing;
                })
                .await;
            }
            self.note(Event::TestRequested {
                mailbox: own.id,
                job: None,
                enables,
            });
        }
        let asked = admin
            .test_profile(&self.operator, self.profiles[at], kind)
            .await?;
        for (mailbox, job) in asked {
            self.note(Event::TestRequested {
                mailbox,
                job: Some(job?.id),
                enables,
            });
        }
        Ok(())
    }

    /// Whose password is changed for a mailbox: its own, or that of its profile's service account.
    fn login(&self, mailbox: usize) -> String {
        let profile = self.setup.mailboxes[mailbox].profile;
        match self.setup.profiles[profile].account {
            Account::Service => self.setup.service(profile),
            Account::Own => self.setup.address(mailbox),
        }
    }

    fn change_password(&mut self, at: usize) {
        let login = self.login(at);
        let password = self.new_password();
        let mail = &self.systems[self.setup.system_of(at)].mail;
        if let Some(account) = mail.account(&login) {
            let next = password.clone();
            mail.update_account(account, |account| account.password = next)
                .expect("an account that was found");
            self.note(Event::PasswordChanged {
                login: login.clone(),
            });
            self.passwords.insert(login, password);
        }
    }

    /// The mailboxes that sign in with the same password.
    fn sharing(&self, at: usize) -> Vec<usize> {
        let login = self.login(at);
        let all = 0..self.setup.mailboxes.len();
        all.filter(|other| self.login(*other) == login).collect()
    }

    /// Only a person can mend what is wrong with a mailbox now.
    fn wrong(&self, window: u32, name: &str, at: usize) {
        self.note(Event::FaultBegan(FaultFacts {
            window,
            name: name.to_owned(),
            class: FaultClass::Permanent,
            accounts: vec![self.setup.address(at)],
            hint: None,
        }));
    }

    async fn tell_password(&mut self, admin: &Admin, at: usize) -> Result<()> {
        let operator = self.operator.clone();
        let login = self.login(at);
        let password = Secret::new(self.passwords[&login].as_str());
        let profile = self.setup.mailboxes[at].profile;
        let entry = Channel::Local;
        match self.setup.profiles[profile].account {
            Account::Service => {
                let (id, direction) = (self.profiles[profile], ProfileDirection::Incoming);
                admin
                    .set_profile_credentials(&operator, id, direction, &login, &password, entry)
                    .await?;
            }
            Account::Own => {
                let id = self.boxes[at].id;
                admin
                    .set_mailbox_credentials(&operator, id, &login, &password, entry)
                    .await?;
            }
        }
        for at in self.sharing(at) {
            self.note(Event::FaultEnded {
                window: PASSWORD + at as u32,
            });
            let mailbox = admin.mailbox(&operator, self.boxes[at].id).await?;
            if !mailbox.incoming.enabled || !mailbox.outgoing.enabled {
                self.test(admin, at, true).await?;
            }
        }
        Ok(())
    }

    /// Writes down how a mailbox is about to be configured.
    async fn intend(&self, at: usize, change: impl FnOnce(&mut MailboxFacts)) {
        if let Ok(Some(mailbox)) = self.store().mailbox(self.boxes[at].id).await {
            let mut facts = mailbox_facts(&mailbox);
            change(&mut facts);
            self.note(Event::MailboxIntended(facts));
        }
    }

    async fn intend_profile(
        &self,
        at: usize,
        change: impl FnOnce(&mut crate::history::ProfileFacts),
    ) {
        if let Ok(Some(profile)) = self.store().profile(self.profiles[at]).await {
            let mut facts = profile_facts(&profile);
            change(&mut facts);
            self.note(Event::ProfileIntended(facts));
        }
    }

    /// Writes down what an action left, as far as it concerns configuration.
    async fn found(&self, action: &AdminAction) {
        match *action {
            AdminAction::Approve(at)
            | AdminAction::Reject(at)
            | AdminAction::ChangeAddress(at)
            | AdminAction::Active(at, _)
            | AdminAction::Incoming(at, _)
            | AdminAction::Outgoing(at, _)
            | AdminAction::Filter(at, _) => self.found_mailbox(at).await,
            AdminAction::ProfileActive(at, _)
            | AdminAction::Polling(at, _)
            | AdminAction::Connections(at, _)
            | AdminAction::MoveUndelivered(at, _) => self.found_profile(at).await,
            AdminAction::PasswordTold(at) => {
                self.found_profile(self.setup.mailboxes[at].profile).await;
                self.found_mailbox(at).await;
            }
            _ => {}
        }
    }

    async fn found_mailbox(&self, at: usize) {
        if let Ok(Some(mailbox)) = self.store().mailbox(self.boxes[at].id).await {
            self.note(Event::MailboxConfigured(mailbox_facts(&mailbox)));
        }
    }

    async fn found_profile(&self, at: usize) {
        if let Ok(Some(profile)) = self.store().profile(self.profiles[at]).await {
            self.note(Event::ProfileConfigured(profile_facts(&profile)));
        }
    }

    /// Writes down how everything is configured: after a process has started.
    pub async fn found_everything(&self) {
        for at in 0..self.profiles.len() {
            self.found_profile(at).await;
        }
        for at in 0..self.boxes.len() {
            self.found_mailbox(at).await;
        }
    }

    /// The administrator mends what only a person can: once faults have stopped, everybody works.
    pub async fn mend(&mut self) {
        let Some(admin) = self.admin() else {
            return;
        };
        let logins: Vec<usize> = (0..self.boxes.len()).collect();
        for at in 0..self.profiles.len() {
            if let Ok(Some(profile)) = self.store().profile(self.profiles[at]).await
                && !profile.active
            {
                self.administer(&AdminAction::ProfileActive(at, true)).await;
            }
        }
        for at in logins {
            let Ok(Some(mailbox)) = self.store().mailbox(self.boxes[at].id).await else {
                continue;
            };
            let facts = mailbox_facts(&mailbox);
            // A server knows a mailbox by its first address.
            let first = self.setup.address(at);
            if mailbox
                .address
                .is_none_or(|address| address.as_str() != first)
            {
                self.administer(&AdminAction::ChangeAddress(at)).await;
            }
            if !facts.active {
                self.administer(&AdminAction::Active(at, true)).await;
            }
            if !facts.incoming {
                self.administer(&AdminAction::Incoming(at, true)).await;
            }
            if !facts.outgoing {
                self.administer(&AdminAction::Outgoing(at, true)).await;
            }
            let mailbox = self.store().mailbox(self.boxes[at].id).await;
            if mailbox.is_ok_and(|mailbox| mailbox.is_some_and(|m| !mailbox_facts(&m).approved)) {
                self.administer(&AdminAction::Approve(at)).await;
            }
            // Tells the password, and tests what is not enabled.
            self.administer(&AdminAction::PasswordTold(at)).await;
        }
        drop(admin);
    }

    /// Keeps what administration answered, for whoever looks for secrets.
    fn said(&self, what: &str, answer: String) {
        self.log.add(&format!("{what}: {answer}\n"));
    }
}

fn method(on: bool) -> DeliveryMethod {
    if on {
        DeliveryMethod::ServerSide
    } else {
        DeliveryMethod::None
    }
}

fn one<I, T>(outcome: Vec<(I, Result<T, EngineError>)>) -> Result<()> {
    for (_, result) in outcome {
        result?;
    }
    Ok(())
}

fn picked<T>(of: &[T], pick: u32) -> Option<&T> {
    of.get(pick as usize % of.len().max(1))
}
