//! One mailbox, reached by whatever is asked for.

use std::sync::Arc;

use postroom::core::channel::Channel;
use postroom::core::job::JobKind;
use postroom::core::mailbox::{DeliveryMethod, MailboxOwner};
use postroom::core::organization::{Deployment, DeploymentKind};
use postroom::core::outbox::{OutboxEntry, OutboxState};
use postroom::core::party::PartyKind;
use postroom::core::principal::Principal;
use postroom::core::profile::{OutgoingProtocol, ProfileKind};
use postroom::core::tracking::TrackingFilter;
use postroom::core::{
    Code, EmailAddress, MailboxId, Organization, OrganizationId, PartyId, Secret, ServerProfile,
};
use postroom::engine::{Engine, MailboxEdit, NewMailbox, OutgoingDecision, ProfileDirection};
use postroom::net::line::TlsClients;
use postroom::provider::context::SystemClock;
use postroom::provider::{Clock as _, ProviderRegistry};
use postroom::sqlite::{KeySource, NewEmail, SqliteStorage, StorageOptions, create_key_file};
use postroom::store::{AlertFilter, OutboxFilter, Page};
use postroom_simulator::exchange::{Exchange, ListenOptions, Listening};
use postroom_simulator::imap::{ImapFault, ImapFaultRule, ImapServer};
use postroom_simulator::model::{Account, AccountId, MailSystem, NewItem, WellKnown};
use postroom_simulator::pop3::Pop3Server;
use postroom_simulator::smtp::SmtpServer;

pub(crate) const DESK: &str = "desk@here.example";
pub(crate) const CUSTOMER: &str = "customer@far.example";
pub(crate) const SECOND: &str = "second@far.example";
const PASSWORD: &str = "open sesame";
const ALL: Page = Page::first(1000);

/// Servers, engine and one mailbox.
pub(crate) struct Office {
    pub(crate) mail: Arc<MailSystem>,
    pub(crate) smtp: SmtpServer,
    imap: ImapServer,
    account: AccountId,
    engine: Engine,
    storage: SqliteStorage,
    operator: Principal,
    owner: PartyId,
    mailbox: MailboxId,
    _listening: Listening,
    _folder: tempfile::TempDir,
}

/// Somebody asks something.
pub(crate) fn question() -> String {
    format!(
        "From: <{CUSTOMER}>\r\nTo: <{DESK}>\r\nSubject: Question\r\nMessage-ID: <q@far.example>\r\n\r\nHow much?\r\n"
    )
}

impl Office {
    pub(crate) async fn open(kind: ProfileKind, outgoing: Option<OutgoingProtocol>) -> Self {
        let desk = Account::new(DESK).login(DESK, PASSWORD);
        let exchange = Exchange::builder().account(desk).build().expect("a server");
        let listening = exchange
            .listen(ListenOptions::http())
            .await
            .expect("a port");
        let mail = Arc::clone(exchange.mail());
        let pop3 = Pop3Server::new(Arc::clone(&mail)).expect("a certificate");
        let imap = ImapServer::new(Arc::clone(&mail)).expect("a certificate");
        let smtp = SmtpServer::new(Arc::clone(&mail)).expect("a certificate");
        let registry = registry(&pop3, &imap, &smtp);
        let folder = tempfile::tempdir().expect("a folder");
        let storage = storage(&folder);
        let engine = Engine::builder(storage.store(), storage.crm(), registry);
        let engine = engine.build().expect("an engine");
        let operator = Principal::operator("test");

        let admin = engine.admin();
        let mut profile = admin.new_profile("Office", kind.clone());
        profile.outgoing_protocol = outgoing;
        profile.incoming.impersonation = false;
        profile.danger_allow_plain_http = true;
        profile.incoming.location = Some(match kind {
            ProfileKind::Pop3Smtp => "pop.example.org".to_owned(),
            ProfileKind::ImapSmtp => "imap.example.org".to_owned(),
            _ => listening.url(),
        });
        profile.outgoing.location = Some(match outgoing {
            Some(OutgoingProtocol::Ews) => listening.url(),
            _ => "smtp://smtp.example.org".to_owned(),
        });
        let authorities = [
            pop3.certificate_pem(),
            imap.certificate_pem(),
            smtp.certificate_pem(),
        ];
        profile.extra_authorities_pem = Some(authorities.concat());
        let (owner, mailbox) = set_up(&engine, &storage, &operator, &profile).await;
        let account = mail.account(DESK).expect("it was made");
        Self {
            mail,
            smtp,
            imap,
            account,
            engine,
            storage,
            operator,
            owner,
            mailbox,
            _listening: listening,
            _folder: folder,
        }
    }

    /// An email waits in the application.
    pub(crate) async fn write(&self, subject: &str) {
        self.write_to(subject, &[CUSTOMER]).await;
    }

    pub(crate) async fn write_to(&self, subject: &str, to: &[&str]) {
        let from: EmailAddress = DESK.parse().expect("an address");
        let mut email = NewEmail::new(self.owner, from.into(), subject);
        for to in to {
            let to: EmailAddress = to.parse().expect("an address");
            email.to.push(to.into());
        }
        email.text = Some("As agreed.".to_owned());
        let now = SystemClock::new().now();
        let written = self.storage.crm().send_email(&email, now).await;
        written.expect("the application keeps it");
    }

    /// Everything that is to be done, now.
    pub(crate) async fn sync(&self) {
        let admin = self.engine.admin();
        for (_, outcome) in admin.sync_now(&self.operator, &[self.mailbox]).await {
            outcome.expect("it can be asked for");
        }
        self.engine.step().await.expect("the engine works");
    }

    async fn first(&self) -> OutboxEntry {
        let store = self.storage.store();
        let entries = store.outbox(&OutboxFilter::default(), ALL).await;
        let written = entries.expect("the outbox").into_iter();
        let first = written
            .filter(|entry| entry.record.is_some())
            .min_by_key(|entry| entry.created_at);
        first.expect("an email was written")
    }

    /// What became of the first email.
    pub(crate) async fn outcome(&self) -> OutboxState {
        self.first().await.state
    }

    /// Somebody decides about the first email.
    pub(crate) async fn decide(&self, decision: OutgoingDecision) {
        let id = self.first().await.id;
        let admin = self.engine.admin();
        let decided = admin.decide_outgoing(&self.operator, id, decision).await;
        decided.expect("it waits for a decision");
    }

    /// How many messages have left for outside.
    pub(crate) fn left(&self) -> usize {
        self.mail.outside().len()
    }

    pub(crate) fn in_folder(&self, folder: WellKnown) -> usize {
        let folder = self.mail.well_known(self.account, folder);
        self.mail.items(folder.expect("every account has it")).len()
    }

    /// The mailbox takes no copies.
    pub(crate) fn refuse_append(&self) {
        let fault = ImapFault::Refuse("[OVERQUOTA] full".to_owned());
        self.imap.arm(ImapFaultRule::new(fault).on("APPEND"));
    }

    /// What left is found among the sent from now on, as where a server files late.
    pub(crate) fn file_what_left(&self) {
        let sent = self.mail.well_known(self.account, WellKnown::SentItems);
        let sent = sent.expect("every account has it");
        for message in self.mail.outside() {
            let filed = self.mail.append(sent, NewItem::message(message.content));
            filed.expect("there is room");
        }
    }

    /// How many open alerts say that.
    pub(crate) async fn alerts(&self, code: Code) -> usize {
        let store = self.storage.store();
        let alerts = store.alerts(&AlertFilter::default(), ALL).await;
        let alerts = alerts.expect("alerts").into_iter();
        alerts.filter(|alert| alert.incident.code == code).count()
    }

    /// How many messages are on record as received.
    pub(crate) async fn recorded(&self) -> u64 {
        let counts = self.storage.store().ledger_counts(None).await;
        let counts = counts.expect("counts");
        counts.get("delivered").copied().unwrap_or_default()
    }
}

fn registry(pop3: &Pop3Server, imap: &ImapServer, smtp: &SmtpServer) -> ProviderRegistry {
    use postroom::{ews::EwsFactory, imap::ImapFactory, pop3::Pop3Factory, smtp::SmtpFactory};
    let clients = TlsClients::new();
    let pop3 = Pop3Factory::new(clients.clone()).with_dialer(Arc::new(pop3.clone()));
    let imap = ImapFactory::new(clients.clone()).with_dialer(Arc::new(imap.clone()));
    let smtp = SmtpFactory::new(clients).with_dialer(Arc::new(smtp.clone()));
    ProviderRegistry::new()
        .with(Arc::new(EwsFactory::exchange_server()))
        .with(Arc::new(pop3))
        .with(Arc::new(imap))
        .with_sender(OutgoingProtocol::Smtp, Arc::new(smtp))
        .with_sender(
            OutgoingProtocol::Ews,
            Arc::new(EwsFactory::exchange_server()),
        )
}

fn storage(folder: &tempfile::TempDir) -> SqliteStorage {
    let key = folder.path().join("key");
    create_key_file(&key).expect("a key");
    let options = StorageOptions::new(folder.path().join("postroom.sqlite"))
        .with_key(KeySource::File(key))
        .without_sync();
    let deployment = Deployment::new(DeploymentKind::OnPremises);
    let id = OrganizationId::from_random([1; 16]);
    let organization = Organization::new(id, "Contoso", deployment);
    SqliteStorage::create(&options, &organization).expect("a store")
}

async fn set_up(
    engine: &Engine,
    storage: &SqliteStorage,
    operator: &Principal,
    profile: &ServerProfile,
) -> (PartyId, MailboxId) {
    let admin = engine.admin();
    let profile = admin.create_profile(operator, profile).await;
    let profile = profile.expect("the profile is valid");
    let (direction, entry) = (ProfileDirection::Incoming, Channel::Local);
    let password = Secret::new(PASSWORD);
    admin
        .set_profile_credentials(operator, profile.id, direction, DESK, &password, entry)
        .await
        .expect("credentials are kept");
    let address: EmailAddress = DESK.parse().expect("an address");
    let crm = storage.crm();
    let owner = crm
        .create_party(
            PartyKind::User,
            "Desk",
            std::slice::from_ref(&address),
            None,
        )
        .await
        .expect("a user");
    let new = NewMailbox::new("Desk", MailboxOwner::User(owner), Some(address));
    let mailbox = admin
        .create_mailbox(operator, new)
        .await
        .expect("a mailbox");
    let mut edit = MailboxEdit::new();
    edit.profile = Some(Some(profile.id));
    edit.incoming = Some(DeliveryMethod::ServerSide);
    edit.outgoing = Some(DeliveryMethod::ServerSide);
    edit.items = Some(DeliveryMethod::None);
    edit.filter = Some(TrackingFilter::All);
    let edited = admin.edit_mailbox(operator, mailbox.id, &edit).await;
    edited.expect("it can be edited");
    for (_, outcome) in admin.approve(operator, &[mailbox.id]).await {
        outcome.expect("it can be approved");
    }
    let job = admin.test_mailbox(operator, mailbox.id, JobKind::TestAndEnable);
    let job = job.await.expect("a job");
    let job = admin.run_job(operator, job.id).await.expect("it runs");
    let failed: Vec<_> = job
        .steps
        .iter()
        .filter(|step| step.failure.is_some())
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
    (owner, mailbox.id)
}
