//! A server with mail, and a store that is ready to take it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postroom::Postroom;
use postroom::core::channel::Channel;
use postroom::core::job::JobKind;
use postroom::core::mailbox::{DeliveryMethod, MailboxOwner};
use postroom::core::organization::{Deployment, DeploymentKind};
use postroom::core::party::PartyKind;
use postroom::core::principal::Principal;
use postroom::core::profile::{CredentialSource, ProfileKind};
use postroom::core::tracking::TrackingFilter;
use postroom::core::{Mailbox, PartyId, ProfileId, Secret, Timestamp};
use postroom::engine::{MailboxEdit, NewMailbox, ProfileDirection};
use postroom::provider::Clock as _;
use postroom::provider::context::SystemClock;
use postroom::sqlite::{KeySource, NewEmail, StorageOptions, create_key_file};
use postroom::store::LedgerCounts;
use postroom_simulator::exchange::{Exchange, ListenOptions, Listening};
use postroom_simulator::imap::{ImapListening, ImapServer, uid, uid_validity};
use postroom_simulator::model::{Account, AccountId, Item, MailSystem};
use postroom_simulator::pop3::{Pop3Listening, Pop3Server, uidl};
use postroom_simulator::smtp::{SmtpListening, SmtpServer};
use tempfile::TempDir;

use crate::Outcome;

/// Messages that wait on the server.
pub(crate) const INCOMING: usize = 1000;
/// Emails that wait in the application.
pub(crate) const OUTGOING: usize = 100;

pub(crate) const DESK: &str = "desk@here.example";
pub(crate) const ADA: &str = "ada@here.example";
const SERVICE: &str = "service@here.example";
const PASSWORD: &str = "service password";

/// How far the engine had got when it was killed.
#[derive(Debug)]
pub(crate) struct Progress {
    delivered: u64,
    pending: u64,
    sent: u64,
    under_way: u64,
    unknown: u64,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            delivered,
            pending,
            sent,
            under_way,
            unknown,
        } = self;
        write!(
            f,
            "{delivered} in (+{pending} pending) {sent} out (+{under_way} under way, {unknown} unknown)"
        )
    }
}

impl Progress {
    /// Nothing was listed and nothing sent yet.
    pub(crate) const fn is_beginning(&self) -> bool {
        self.delivered + self.pending + self.sent + self.under_way == 0
    }

    /// There was nothing left to do.
    pub(crate) const fn is_end(&self) -> bool {
        self.delivered == INCOMING as u64 && self.sent == OUTGOING as u64 && self.under_way == 0
    }
}

/// By what the mailboxes are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// Exchange, which keeps drafts: what became of an attempt can be seen there.
    Exchange,
    /// POP3 and SMTP: what became of a message whose answer was lost, nobody can see.
    Internet,
    /// IMAP and SMTP: a sent copy can be looked for, and is filed by us, after the fact.
    Imap,
}

/// The servers, which outlive the engine.
enum Servers {
    Exchange(Box<Exchange>, Listening),
    Internet {
        reading: Reading,
        sending: SmtpListening,
        authorities: String,
    },
}

/// What mail is read from.
enum Reading {
    Pop3(Pop3Listening),
    Imap(ImapListening),
}

/// The server, which outlives the engine, and the engine's store.
pub(crate) struct Office {
    pub(crate) mail: Arc<MailSystem>,
    pub(crate) folder: TempDir,
    servers: Servers,
}

async fn servers(system: System) -> Outcome<(Arc<MailSystem>, Servers)> {
    let service = Account::new(SERVICE)
        .login(SERVICE, PASSWORD)
        .impersonates_everybody();
    let exchange = Exchange::builder()
        .account(service)
        .account(Account::new(DESK).login(DESK, PASSWORD))
        .account(Account::new(ADA).login(ADA, PASSWORD))
        .build()?;
    let mail = Arc::clone(exchange.mail());
    if system == System::Exchange {
        let listening = exchange.listen(ListenOptions::http()).await?;
        return Ok((mail, Servers::Exchange(Box::new(exchange), listening)));
    }
    let smtp = SmtpServer::new(Arc::clone(&mail))?;
    let (reading, authority) = if system == System::Imap {
        let imap = ImapServer::new(Arc::clone(&mail))?;
        let listening = imap.listen(ListenOptions::https()).await?;
        (Reading::Imap(listening), imap.certificate_pem().to_owned())
    } else {
        let pop3 = Pop3Server::new(Arc::clone(&mail))?;
        let listening = pop3.listen(ListenOptions::https()).await?;
        (Reading::Pop3(listening), pop3.certificate_pem().to_owned())
    };
    let servers = Servers::Internet {
        reading,
        sending: smtp.listen(ListenOptions::https()).await?,
        authorities: authority + smtp.certificate_pem(),
    };
    Ok((mail, servers))
}

fn message(number: usize) -> String {
    // Subjects repeat and some answer others, so that correlation has something to find.
    let reply = if number % 5 == 4 {
        format!("In-Reply-To: <m{}@far.example>\r\n", number - 3)
    } else {
        String::new()
    };
    format!(
        "From: Customer {} <customer{}@far.example>\r\nTo: <{DESK}>\r\nSubject: Order {}\r\n\
         Message-ID: <m{number}@far.example>\r\n{reply}Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n\
         This is message {number}.\r\n",
        number % 50,
        number % 50,
        number % 200,
    )
}

pub(crate) fn recipient(number: usize) -> String {
    format!("customer{number}@far.example")
}

pub(crate) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(what().into()) }
}

impl Office {
    /// A fresh server and a fresh store, tested and enabled, all mail waiting.
    pub(crate) async fn prepare(system: System) -> Outcome<Self> {
        let (mail, servers) = servers(system).await?;
        let office = Self {
            mail,
            folder: tempfile::tempdir()?,
            servers,
        };
        create_key_file(&office.folder.path().join("postroom.key"))?;
        let postroom = Postroom::create(
            &options(office.folder.path()),
            "Kill",
            Deployment::new(DeploymentKind::OnPremises),
        )?;
        let profile = office.profile(&postroom).await?;
        let desk = mailbox(&postroom, profile, PartyKind::Queue, "Desk", DESK)
            .await?
            .1;
        let (ada, ada_mailbox) = mailbox(&postroom, profile, PartyKind::User, "Ada", ADA).await?;
        for mailbox in [&desk, &ada_mailbox] {
            if system != System::Exchange {
                sign_in(&postroom, mailbox).await?;
            }
            enable(&postroom, mailbox).await?;
        }
        // What the test sent to itself is no part of the count.
        office.mail.take_outside();
        for number in 0..INCOMING {
            office.mail.deliver(message(number), &[DESK]);
        }
        let now = SystemClock::new().now();
        for number in 0..OUTGOING {
            let mut email = NewEmail::new(
                ada,
                ADA.parse::<postroom::core::EmailAddress>()?.into(),
                format!("Offer {number}"),
            );
            email.to = vec![
                recipient(number)
                    .parse::<postroom::core::EmailAddress>()?
                    .into(),
            ];
            email.text = Some(format!("This is offer {number}."));
            postroom.crm().send_email(&email, now).await?;
        }
        Ok(office)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("postroom.sqlite")
    }

    async fn profile(&self, postroom: &Postroom) -> Outcome<ProfileId> {
        let (admin, operator) = (postroom.admin(), Principal::operator("kill"));
        let mut profile = match &self.servers {
            Servers::Exchange(_, listening) => {
                let mut profile =
                    admin.new_profile("Simulated Exchange", ProfileKind::ExchangeServer);
                profile.incoming.location = Some(listening.url());
                profile.incoming.user_name = Some(SERVICE.to_owned());
                profile.danger_allow_plain_http = true;
                profile
            }
            Servers::Internet {
                reading,
                sending,
                authorities,
            } => {
                let (kind, location) = match reading {
                    Reading::Pop3(pop3) => {
                        (ProfileKind::Pop3Smtp, format!("pop3s://{}", pop3.address()))
                    }
                    Reading::Imap(imap) => {
                        (ProfileKind::ImapSmtp, format!("imaps://{}", imap.address()))
                    }
                };
                let mut profile = admin.new_profile("Simulated provider", kind);
                profile.incoming.location = Some(location);
                profile.outgoing.location = Some(format!("smtps://{}", sending.address()));
                profile.incoming.credentials = CredentialSource::Mailbox;
                profile.incoming.impersonation = false;
                profile.extra_authorities_pem = Some(authorities.clone());
                profile
            }
        };
        profile.process_email_from = Some(Timestamp::EPOCH);
        let profile = admin.create_profile(&operator, &profile).await?;
        if matches!(self.servers, Servers::Exchange(..)) {
            admin
                .set_profile_credentials(
                    &operator,
                    profile.id,
                    ProfileDirection::Incoming,
                    SERVICE,
                    &Secret::new(PASSWORD),
                    Channel::Local,
                )
                .await?;
        }
        Ok(profile.id)
    }

    /// By what its mailboxes are reached.
    pub(crate) fn system(&self) -> System {
        match self.servers {
            Servers::Exchange(..) => System::Exchange,
            Servers::Internet {
                reading: Reading::Pop3(_),
                ..
            } => System::Internet,
            Servers::Internet {
                reading: Reading::Imap(_),
                ..
            } => System::Imap,
        }
    }

    /// A message's id, as the engine knows it.
    pub(crate) fn client_id(&self, account: AccountId, item: &Item) -> String {
        match &self.servers {
            Servers::Exchange(exchange, _) => exchange.client_id(account, item.id),
            Servers::Internet {
                reading: Reading::Pop3(_),
                ..
            } => format!("u:{}", uidl(&self.mail, item)),
            Servers::Internet {
                reading: Reading::Imap(_),
                ..
            } => {
                let validity = uid_validity(&self.mail, item.folder);
                format!("{validity}.{}", uid(&self.mail, item))
            }
        }
    }

    /// How far the engine had got. Looks at a copy: what the dead process left is for its successor.
    pub(crate) async fn progress(&self) -> Outcome<Progress> {
        let copy = tempfile::tempdir()?;
        copy_files(self.folder.path(), copy.path())?;
        self.count(&Postroom::open(&options(copy.path()))?).await
    }

    /// Waits until an engine that runs on the store has done everything.
    pub(crate) async fn all_done(&self) -> Outcome {
        let postroom = Postroom::open(&options(self.folder.path()))?;
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            let reported = postroom.store().outbox_unreported(1).await?.is_empty();
            if reported && self.count(&postroom).await?.is_end() {
                return Ok(());
            }
        }
    }

    async fn count(&self, postroom: &Postroom) -> Outcome<Progress> {
        let ledger = postroom.store().ledger_counts(None).await?;
        let outbox = postroom.store().outbox_counts(None).await?;
        let count =
            |counts: &LedgerCounts, state: &str| counts.get(state).copied().unwrap_or_default();
        Ok(Progress {
            delivered: count(&ledger, "delivered"),
            pending: count(&ledger, "pending"),
            sent: self.mail.outside().len() as u64,
            under_way: count(&outbox, "sending"),
            unknown: count(&outbox, "unknown"),
        })
    }
}

pub(crate) fn options(folder: &Path) -> StorageOptions {
    // What this process writes and reads needs no waiting for the disk: it is not killed.
    StorageOptions::new(folder.join("postroom.sqlite"))
        .with_key(KeySource::File(folder.join("postroom.key")))
        .without_sync()
}

async fn mailbox(
    postroom: &Postroom,
    profile: ProfileId,
    kind: PartyKind,
    name: &str,
    address: &str,
) -> Outcome<(PartyId, Mailbox)> {
    let (admin, operator) = (postroom.admin(), Principal::operator("kill"));
    let party = postroom
        .crm()
        .create_party(kind, name, &[address.parse()?], None)
        .await?;
    let (owner, incoming, outgoing) = match kind {
        PartyKind::Queue => (
            MailboxOwner::Queue(party),
            DeliveryMethod::ServerSide,
            DeliveryMethod::None,
        ),
        _ => (
            MailboxOwner::User(party),
            DeliveryMethod::None,
            DeliveryMethod::ServerSide,
        ),
    };
    let mailbox = admin
        .create_mailbox(
            &operator,
            NewMailbox::new(name, owner, Some(address.parse()?)),
        )
        .await?;
    let mut edit = MailboxEdit::new();
    edit.profile = Some(Some(profile));
    edit.incoming = Some(incoming);
    edit.outgoing = Some(outgoing);
    edit.items = Some(DeliveryMethod::None);
    edit.filter = Some(TrackingFilter::All);
    Ok((
        party,
        admin.edit_mailbox(&operator, mailbox.id, &edit).await?,
    ))
}

/// The password of a mailbox that has its own.
async fn sign_in(postroom: &Postroom, mailbox: &Mailbox) -> Outcome {
    let (admin, operator) = (postroom.admin(), Principal::operator("kill"));
    let mut edit = MailboxEdit::new();
    edit.allow_credentials = Some(true);
    admin.edit_mailbox(&operator, mailbox.id, &edit).await?;
    let user = mailbox.address.as_ref().ok_or("no address")?.to_string();
    let password = Secret::new(PASSWORD);
    admin
        .set_mailbox_credentials(&operator, mailbox.id, &user, &password, Channel::Local)
        .await?;
    Ok(())
}

async fn enable(postroom: &Postroom, mailbox: &Mailbox) -> Outcome {
    let (admin, operator) = (postroom.admin(), Principal::operator("kill"));
    for (_, outcome) in admin.approve(&operator, &[mailbox.id]).await {
        outcome?;
    }
    let job = admin
        .test_mailbox(&operator, mailbox.id, JobKind::TestAndEnable)
        .await?;
    let job = admin.run_job(&operator, job.id).await?;
    let failed: Vec<_> = job
        .steps
        .iter()
        .filter(|step| step.failure.is_some())
        .collect();
    ensure(failed.is_empty(), || format!("the test failed: {failed:?}"))
}

fn copy_files(from: &Path, to: &Path) -> Outcome {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(&target)?;
            copy_files(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
