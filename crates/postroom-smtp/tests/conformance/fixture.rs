//! Accounts on the simulated server, and the back door to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use postroom_conformance::provider::{
    Account, Backdoor, BackdoorError, Effect, Fault, Fidelity, Fixture,
};
use postroom_core::profile::ProfileKind;
use postroom_core::{EmailAddress, ProfileId, Secret, ServerProfile, Timestamp};
use postroom_net::line::TlsClients;
use postroom_provider::context::SystemRandomness;
use postroom_provider::{
    Clock, Credentials, OpContext, Provider, ProviderFactory as _, ProviderRequest, RemoteId, Spool,
};
use postroom_simulator::memory::SharedClock;
use postroom_simulator::model::{self, MailSystem, ModelError, WellKnown};
use postroom_simulator::smtp::{SmtpFault, SmtpFaultRule, SmtpOffers, SmtpServer};
use postroom_smtp::SmtpFactory;

const PASSWORD: &str = "open sesame \u{e9}";

/// The clock of tokio, which stands still while tests run and jumps while they wait.
#[derive(Debug)]
struct TokioClock {
    began: tokio::time::Instant,
}

#[async_trait]
impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_795_000_000).plus(self.began.elapsed())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A server with any number of accounts.
pub(crate) struct SmtpFixture {
    server: SmtpServer,
    clock: Arc<TokioClock>,
    accounts: AtomicU32,
}

impl SmtpFixture {
    /// A server that has what it is told to have.
    pub(crate) fn new(offer: impl FnOnce(&mut SmtpOffers)) -> Self {
        tokio::time::pause();
        let clock = Arc::new(TokioClock {
            began: tokio::time::Instant::now(),
        });
        let shared = SharedClock::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let mail = Arc::new(MailSystem::new(Arc::new(shared), 7));
        let server = SmtpServer::new(mail).expect("a certificate can be made");
        server.offer(offer);
        Self {
            server,
            clock,
            accounts: AtomicU32::new(0),
        }
    }
}

fn failed(error: ModelError) -> BackdoorError {
    BackdoorError::failed(error.to_string())
}

#[async_trait]
impl Fixture for SmtpFixture {
    async fn account(&self) -> Backdoor<Box<dyn Account>> {
        let number = self.accounts.fetch_add(1, Ordering::SeqCst);
        let named = |name: &str| format!("{name}{number}@example.org");
        for name in ["grace", "blind"] {
            let account = model::Account::new(named(name));
            self.server.mail().add_account(account).map_err(failed)?;
        }
        let address = named("desk");
        let account = model::Account::new(&address).login(&address, PASSWORD);
        self.server.mail().add_account(account).map_err(failed)?;
        Ok(Box::new(SmtpAccount {
            provider: open(&self.server, &address),
            server: self.server.clone(),
            clock: Arc::clone(&self.clock),
            others: [named("grace"), named("blind")],
            address,
        }))
    }
}

fn open(server: &SmtpServer, address: &str) -> Arc<dyn Provider> {
    let id = ProfileId::from_random([7; 16]);
    let mut profile = ServerProfile::new(id, "smtp", ProfileKind::Pop3Smtp);
    profile.outgoing.location = Some("smtp.example.org:587".to_owned());
    profile.extra_authorities_pem = Some(server.certificate_pem().to_owned());
    let factory = SmtpFactory::new(TlsClients::new()).with_dialer(Arc::new(server.clone()));
    let credentials = Credentials::new(address, Secret::new(PASSWORD));
    let address = address.parse().expect("accounts have valid addresses");
    let request = ProviderRequest::new(profile, address, Some(credentials));
    factory.create(&request).expect("the profile suffices")
}

struct SmtpAccount {
    server: SmtpServer,
    clock: Arc<TokioClock>,
    address: String,
    others: [String; 2],
    provider: Arc<dyn Provider>,
}

#[async_trait]
impl Account for SmtpAccount {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.provider)
    }

    fn address(&self) -> EmailAddress {
        self.address.parse().expect("accounts have valid addresses")
    }

    fn context(&self) -> Backdoor<OpContext> {
        let spool = Spool::in_temporary_folder()
            .map_err(|error| BackdoorError::failed(error.to_string()))?;
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let randomness = Arc::new(SystemRandomness::new());
        Ok(OpContext::new(clock, randomness, spool))
    }

    fn fidelity(&self) -> Fidelity {
        Fidelity::Bytes
    }

    async fn deliver(&self, raw: &[u8]) -> Backdoor<Option<RemoteId>> {
        let mail = self.server.mail();
        mail.deliver(raw.to_vec(), &[self.address.as_str()]);
        Ok(None)
    }

    async fn reopen(&self) -> Backdoor<Arc<dyn Provider>> {
        Ok(open(&self.server, &self.address))
    }

    async fn recipients(&self) -> Backdoor<Vec<EmailAddress>> {
        let others = self.others.iter();
        Ok(others
            .map(|address| address.parse().expect("accounts have valid addresses"))
            .collect())
    }

    async fn received(&self, recipient: &EmailAddress) -> Backdoor<Vec<Vec<u8>>> {
        let mail: &MailSystem = self.server.mail();
        let Some(account) = mail.account(recipient.as_str()) else {
            return Err(BackdoorError::unsupported("nobody of this server"));
        };
        let inbox = mail.well_known(account, WellKnown::Inbox).map_err(failed)?;
        let items = mail.items(inbox);
        Ok(items.iter().map(|item| item.content().to_vec()).collect())
    }

    async fn requests(&self) -> Backdoor<u64> {
        Ok(self.server.requests())
    }

    async fn arm(&self, fault: Fault) -> Backdoor<()> {
        self.server.arm(match fault {
            Fault::DropBeforeEffect => SmtpFaultRule::new(SmtpFault::CloseBefore).times(1),
            Fault::LoseAnswer(Effect::Send) => SmtpFaultRule::new(SmtpFault::LoseAnswer)
                .on("CONTENT")
                .times(1),
            Fault::Unavailable => {
                let refusal = SmtpFault::Refuse("421 4.3.2 not now".to_owned());
                SmtpFaultRule::new(refusal).on("GREETING").times(1)
            }
            Fault::Slow(by) => SmtpFaultRule::new(SmtpFault::Slow(by)),
            other => {
                let reason = format!("SMTP knows no {other:?}");
                return Err(BackdoorError::unsupported(reason));
            }
        });
        Ok(())
    }

    async fn disarm(&self) -> Backdoor<()> {
        self.server.disarm();
        Ok(())
    }
}
