//! The beginning of a world: accounts, profiles, mailboxes; approved, and tests asked for.

use postroom_core::channel::Channel;
use postroom_core::job::JobKind;
use postroom_core::mailbox::{DeliveryMethod, MailboxOwner};
use postroom_core::party::PartyKind;
use postroom_core::profile::{CredentialSource, ProfileKind};
use postroom_core::{EmailAddress, Mailbox, Secret, ServerProfile};
use postroom_engine::{Admin, MailboxEdit, NewMailbox, ProfileDirection};
use postroom_simulator::model;
use std::time::Duration;

use crate::history::{Event, MailboxFacts, ProfileFacts};
use crate::randomness::hash;
use crate::setup::{Account, Contact, ProfileSetup, Protocol, Setup};
use crate::world::{World, WorldMailbox, memory_name};

/// What gates and filters look at.
#[must_use]
pub fn mailbox_facts(mailbox: &Mailbox) -> MailboxFacts {
    MailboxFacts {
        mailbox: mailbox.id,
        // Both addresses of a mailbox are those of one account, whose name is the first.
        address: mailbox
            .address
            .as_ref()
            .map(|address| address.as_str().replacen("alias", "box", 1)),
        profile: mailbox.profile,
        active: mailbox.active,
        approved: matches!(
            mailbox.approval,
            postroom_core::approval::ApprovalState::Approved
        ),
        incoming: mailbox.incoming.method == DeliveryMethod::ServerSide,
        outgoing: mailbox.outgoing.method == DeliveryMethod::ServerSide,
        incoming_enabled: mailbox.incoming.enabled,
        outgoing_enabled: mailbox.outgoing.enabled,
        filter: mailbox.filter,
        queue: matches!(mailbox.owner, MailboxOwner::Queue(_)),
        delete_after_processing: mailbox.delete_after_processing,
    }
}

/// What gates and limits look at.
#[must_use]
pub fn profile_facts(profile: &ServerProfile) -> ProfileFacts {
    ProfileFacts {
        profile: profile.id,
        active: profile.active,
        connections_max: profile.connections_max,
        per_mailbox: profile.incoming.credentials == CredentialSource::Mailbox,
        polling_interval_min: profile.polling_interval_min,
        move_undelivered: profile.move_undelivered,
    }
}

impl World {
    /// A password like no other text of the run.
    pub fn new_password(&mut self) -> String {
        let number = self.draw.number();
        let canary = format!("canary-{:016x}", hash(&[self.seed, number]));
        self.history.push(Event::SecretSet {
            canary: canary.clone(),
        });
        canary
    }

    /// Makes everything there is at the beginning, on the bare store.
    pub async fn establish(&mut self) {
        let engine = self.engine(None);
        let admin = engine.admin();
        let setup = self.setup.clone();
        for (at, profile) in setup.profiles.iter().enumerate() {
            self.profile(&admin, at, profile).await;
        }
        for at in 0..setup.contacts.len() {
            let kind = match setup.contacts[at] {
                Contact::Contact => PartyKind::Contact,
                Contact::Lead => PartyKind::Lead,
                Contact::Unknown => continue,
            };
            let address: EmailAddress = Setup::outsider(at).parse().expect("an address");
            self.history.push(Event::Known {
                address: address.as_str().to_owned(),
                customer: true,
            });
            self.crm()
                .create_party(kind, &format!("Outsider {at}"), &[address], None)
                .await
                .expect("a party");
        }
        for at in 0..setup.mailboxes.len() {
            self.mailbox(&admin, at).await;
        }
    }

    async fn profile(&mut self, admin: &Admin, at: usize, setup: &ProfileSetup) {
        let kind = match setup.protocol {
            Protocol::Ews => ProfileKind::ExchangeServer,
            Protocol::Memory => ProfileKind::Custom(memory_name(setup.system)),
        };
        let mut profile = admin.new_profile(format!("Profile {at}"), kind);
        profile.polling_interval_min = Duration::from_secs(60 * setup.polling_minutes);
        profile.connections_max = setup.connections;
        profile.move_undelivered = setup.move_undelivered;
        profile.request_timeout = Duration::from_secs(100);
        profile.incoming.credentials = match setup.account {
            Account::Service => CredentialSource::Profile,
            Account::Own => CredentialSource::Mailbox,
        };
        profile.incoming.impersonation = setup.account == Account::Service;
        if setup.protocol == Protocol::Ews {
            let host = Setup::host(setup.system);
            profile.incoming.location = Some(format!("https://{host}/EWS/Exchange.asmx"));
        }
        let facts = profile_facts(&profile);
        self.history.push(Event::ProfileIntended(facts.clone()));
        admin
            .create_profile(&self.operator, &profile)
            .await
            .expect("a profile");
        self.history.push(Event::ProfileConfigured(facts));
        self.profiles.push(profile.id);
        self.seams.directory().add_profile(profile.id);
        if setup.account == Account::Service {
            let password = self.new_password();
            let login = self.setup.service(at);
            let account = model::Account::new(login.clone())
                .login(login.clone(), password.clone())
                .impersonates_everybody()
                .without_mailbox();
            self.systems[setup.system]
                .mail
                .add_account(account)
                .expect("a service account");
            admin
                .set_profile_credentials(
                    &self.operator,
                    profile.id,
                    ProfileDirection::Incoming,
                    &login,
                    &Secret::new(password.as_str()),
                    Channel::Local,
                )
                .await
                .expect("credentials");
            self.passwords.insert(login, password);
        }
    }

    async fn mailbox(&mut self, admin: &Admin, at: usize) {
        let setup = self.setup.mailboxes[at].clone();
        let profile = self.setup.profiles[setup.profile].clone();
        let (address, alias) = (self.setup.address(at), self.setup.alias(at));
        let password = self.new_password();
        let account = model::Account::new(address.clone())
            .login(address.clone(), password.clone())
            .alias(alias.clone());
        let account = self.systems[profile.system]
            .mail
            .add_account(account)
            .expect("an account");
        self.passwords.insert(address.clone(), password.clone());
        let parsed: EmailAddress = address.parse().expect("an address");
        let (kind, owner): (_, fn(_) -> MailboxOwner) = if setup.queue {
            (PartyKind::Queue, MailboxOwner::Queue)
        } else {
            (PartyKind::User, MailboxOwner::User)
        };
        let also: EmailAddress = alias.parse().expect("an address");
        for known in [&parsed, &also] {
            self.history.push(Event::Known {
                address: known.as_str().to_owned(),
                customer: false,
            });
        }
        let party = self
            .crm()
            .create_party(kind, &format!("Box {at}"), &[parsed.clone(), also], None)
            .await
            .expect("a party");
        let new = NewMailbox::new(format!("Box {at}"), owner(party), Some(parsed));
        let mailbox = admin
            .create_mailbox(&self.operator, new)
            .await
            .expect("a mailbox");
        let mut edit = MailboxEdit::new();
        edit.profile = Some(Some(self.profiles[setup.profile]));
        edit.incoming = Some(DeliveryMethod::ServerSide);
        edit.outgoing = Some(DeliveryMethod::ServerSide);
        edit.items = Some(DeliveryMethod::None);
        edit.filter = Some(setup.filter);
        edit.delete_after_processing = Some(setup.delete_after_processing);
        let id = mailbox.id;
        self.seams
            .directory()
            .add_mailbox(id, vec![address.clone(), alias]);
        let mailbox = admin
            .edit_mailbox(&self.operator, id, &edit)
            .await
            .expect("an edit");
        let mut facts = mailbox_facts(&mailbox);
        facts.approved = true;
        facts.incoming_enabled = true;
        facts.outgoing_enabled = true;
        self.history.push(Event::MailboxIntended(facts));
        if profile.account == Account::Own {
            admin
                .set_mailbox_credentials(
                    &self.operator,
                    id,
                    &address,
                    &Secret::new(password.as_str()),
                    Channel::Local,
                )
                .await
                .expect("credentials");
        }
        for (_, approved) in admin.approve(&self.operator, &[id]).await {
            let mailbox = approved.expect("approval");
            self.history
                .push(Event::MailboxConfigured(mailbox_facts(&mailbox)));
        }
        let job = admin
            .test_mailbox(&self.operator, id, JobKind::TestAndEnable)
            .await
            .expect("a test");
        self.history.push(Event::TestRequested {
            mailbox: id,
            job: Some(job.id),
            enables: true,
        });
        self.boxes.push(WorldMailbox {
            id,
            party,
            address,
            account,
            system: profile.system,
            protocol: profile.protocol,
        });
    }
}
