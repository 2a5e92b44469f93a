//! Accounts on the simulated server, and the back door to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use postroom_conformance::provider::{
    Account, Backdoor, BackdoorError, Fault, Fidelity, Fixture, StoredMessage,
};
use postroom_core::profile::ProfileKind;
use postroom_core::{EmailAddress, ProfileId, Secret, ServerProfile, Timestamp};
use postroom_net::line::TlsClients;
use postroom_pop3::Pop3Factory;
use postroom_provider::context::SystemRandomness;
use postroom_provider::{
    Clock, Credentials, FolderId, OpContext, Provider, ProviderFactory as _, ProviderRequest,
    RemoteId, Spool,
};
use postroom_simulator::memory::SharedClock;
use postroom_simulator::model::{self, Disposal, Item, MailSystem, ModelError, WellKnown};
use postroom_simulator::pop3::{Pop3Fault, Pop3FaultRule, Pop3Offers, Pop3Server, uidl};

const PASSWORD: &str = "open sesame \u{e9}";
/// What the server says of its pace, and asks for when it is told to.
const LOGIN_DELAY: Duration = Duration::from_secs(17);

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
pub(crate) struct Pop3Fixture {
    server: Pop3Server,
    clock: Arc<TokioClock>,
    accounts: AtomicU32,
}

impl Pop3Fixture {
    /// A server that has what it is told to have.
    pub(crate) fn new(offer: impl FnOnce(&mut Pop3Offers)) -> Self {
        tokio::time::pause();
        let clock = Arc::new(TokioClock {
            began: tokio::time::Instant::now(),
        });
        let shared = SharedClock::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let mail = Arc::new(MailSystem::new(Arc::new(shared), 7));
        let server = Pop3Server::new(mail).expect("a certificate can be made");
        server.offer(|offers| {
            offers.login_delay = Some(LOGIN_DELAY);
            // The suite opens a mailbox twice at a time; `tests/simulator` looks at what keeps others out.
            offers.lock = false;
            offer(offers);
        });
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
impl Fixture for Pop3Fixture {
    async fn account(&self) -> Backdoor<Box<dyn Account>> {
        let number = self.accounts.fetch_add(1, Ordering::SeqCst);
        let address = format!("desk{number}@example.org");
        let account = model::Account::new(&address).login(&address, PASSWORD);
        let account = self.server.mail().add_account(account).map_err(failed)?;
        Ok(Box::new(Pop3Account {
            provider: open(&self.server, &address),
            server: self.server.clone(),
            clock: Arc::clone(&self.clock),
            account,
            address,
        }))
    }
}

fn open(server: &Pop3Server, address: &str) -> Arc<dyn Provider> {
    let id = ProfileId::from_random([7; 16]);
    let mut profile = ServerProfile::new(id, "pop", ProfileKind::Pop3Smtp);
    profile.incoming.location = Some("pop.example.org".to_owned());
    profile.extra_authorities_pem = Some(server.certificate_pem().to_owned());
    let factory = Pop3Factory::new(TlsClients::new()).with_dialer(Arc::new(server.clone()));
    let credentials = Credentials::new(address, Secret::new(PASSWORD));
    let address = address.parse().expect("accounts have valid addresses");
    let request = ProviderRequest::new(profile, address, Some(credentials));
    factory.create(&request).expect("the profile suffices")
}

struct Pop3Account {
    server: Pop3Server,
    clock: Arc<TokioClock>,
    account: model::AccountId,
    address: String,
    provider: Arc<dyn Provider>,
}

impl Pop3Account {
    fn mail(&self) -> &MailSystem {
        self.server.mail()
    }

    fn inbox(&self) -> Backdoor<model::FolderId> {
        let inbox = self.mail().well_known(self.account, WellKnown::Inbox);
        inbox.map_err(failed)
    }

    fn item(&self, id: &RemoteId) -> Backdoor<Arc<Item>> {
        let mut items = self.mail().items(self.inbox()?).into_iter();
        items
            .find(|item| id.as_str() == format!("u:{}", uidl(self.mail(), item)))
            .ok_or_else(|| BackdoorError::failed("there is no such message"))
    }
}

#[async_trait]
impl Account for Pop3Account {
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
        self.mail().deliver(raw.to_vec(), &[self.address.as_str()]);
        Ok(None)
    }

    async fn reopen(&self) -> Backdoor<Arc<dyn Provider>> {
        // A restart ends the session of the process that was.
        if let Some(mail) = self.provider.mail() {
            let released = mail.release(&self.context()?).await;
            released.map_err(|error| BackdoorError::failed(error.to_string()))?;
        }
        Ok(open(&self.server, &self.address))
    }

    async fn edit(&self, _: &FolderId, _: &RemoteId) -> Backdoor<()> {
        Err(BackdoorError::unsupported(
            "POP3 tells no change of a message",
        ))
    }

    async fn delete(&self, _: &FolderId, id: &RemoteId) -> Backdoor<()> {
        let id = self.item(id)?.id;
        let deleted = self.mail().delete_item(id, Disposal::Hard);
        deleted.map(drop).map_err(failed)
    }

    async fn messages(&self, _: &FolderId) -> Backdoor<Vec<StoredMessage>> {
        let items = self.mail().items(self.inbox()?);
        let stored =
            |item: &Arc<Item>| StoredMessage::new(&item.summary().message_id, Some(item.read));
        Ok(items.iter().map(stored).collect())
    }

    async fn reset_identifiers(&self, _: &FolderId) -> Backdoor<()> {
        self.mail().invalidate_sync(self.inbox()?).map_err(failed)
    }

    async fn requests(&self) -> Backdoor<u64> {
        Ok(self.server.requests())
    }

    async fn arm(&self, fault: Fault) -> Backdoor<()> {
        let sign_in = if self.server.offers().capa {
            "AUTH"
        } else {
            "PASS"
        };
        self.server.arm(match fault {
            Fault::DropBeforeEffect => Pop3FaultRule::new(Pop3Fault::CloseBefore).times(1),
            Fault::Unavailable => {
                let refusal = Pop3Fault::Refuse("[SYS/TEMP] not now".to_owned());
                Pop3FaultRule::new(refusal).on(sign_in).times(1)
            }
            Fault::Throttle(hint) if hint == LOGIN_DELAY && self.server.offers().capa => {
                let refusal = Pop3Fault::Refuse("[LOGIN-DELAY] too soon".to_owned());
                Pop3FaultRule::new(refusal).on(sign_in).times(1)
            }
            Fault::Slow(by) => Pop3FaultRule::new(Pop3Fault::Slow(by)),
            Fault::Corrupt(_, id) => Pop3FaultRule::new(Pop3Fault::Damaged(self.item(&id)?.id)),
            other => {
                let reason = format!("POP3 knows no {other:?}");
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
