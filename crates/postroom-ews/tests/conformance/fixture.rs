//! Accounts on the simulated Exchange, and the back door to them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use postroom_conformance::provider::{
    Account, Backdoor, BackdoorError, Effect, Fault, Fidelity, Fixture, StoredMessage,
};
use postroom_core::profile::ProfileKind;
use postroom_core::{EmailAddress, ProfileId, Secret, ServerProfile, Timestamp};
use postroom_ews::EwsFactory;
use postroom_provider::context::SystemRandomness;
use postroom_provider::{
    Clock, Credentials, FolderId, OpContext, Provider, ProviderFactory, ProviderRequest, RemoteId,
    Spool,
};
use postroom_simulator::exchange::{self, Exchange, FaultRule};
use postroom_simulator::memory::SharedClock;
use postroom_simulator::model::{self, Disposal, MailSystem, ModelError, WellKnown};

use crate::transport::InProcess;

const SERVICE: &str = "postroom@example.org";
const RECIPIENTS: [&str; 2] = ["reader@example.org", "blind.reader@example.org"];

type Decorate = fn(Arc<dyn Provider>) -> Arc<dyn Provider>;

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

/// A server with any number of accounts, all opened by impersonation.
pub(crate) struct ExchangeFixture {
    wire: InProcess,
    clock: Arc<TokioClock>,
    accounts: AtomicU32,
    decorate: Decorate,
}

impl ExchangeFixture {
    pub(crate) fn new(decorate: Decorate) -> Self {
        tokio::time::pause();
        let clock = Arc::new(TokioClock {
            began: tokio::time::Instant::now(),
        });
        let shared = SharedClock::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let service = model::Account::new(SERVICE)
            .login(SERVICE, "service-pw")
            .impersonates_everybody();
        let exchange = Exchange::builder()
            .mail(Arc::new(MailSystem::new(Arc::new(shared), 7)))
            .account(service)
            .account(model::Account::new(RECIPIENTS[0]))
            .account(model::Account::new(RECIPIENTS[1]))
            .build()
            .unwrap();
        Self {
            wire: InProcess {
                exchange,
                delay: Arc::new(Mutex::new(Duration::ZERO)),
            },
            clock,
            accounts: AtomicU32::new(0),
            decorate,
        }
    }
}

fn failed(error: ModelError) -> BackdoorError {
    BackdoorError::failed(error.to_string())
}

#[async_trait]
impl Fixture for ExchangeFixture {
    async fn account(&self) -> Backdoor<Box<dyn Account>> {
        let number = self.accounts.fetch_add(1, Ordering::SeqCst);
        let address = format!("desk{number}@example.org");
        let mail = self.wire.exchange.mail();
        mail.add_account(model::Account::new(&address))
            .map_err(failed)?;
        let mut account = ExchangeAccount {
            wire: self.wire.clone(),
            clock: Arc::clone(&self.clock),
            address: address.parse().unwrap(),
            decorate: self.decorate,
            provider: None,
        };
        account.provider = Some(account.open());
        Ok(Box::new(account))
    }
}

struct ExchangeAccount {
    wire: InProcess,
    clock: Arc<TokioClock>,
    address: EmailAddress,
    decorate: Decorate,
    provider: Option<Arc<dyn Provider>>,
}

impl ExchangeAccount {
    fn open(&self) -> Arc<dyn Provider> {
        let id = ProfileId::from_random([7; 16]);
        let mut profile = ServerProfile::new(id, "exchange", ProfileKind::ExchangeServer);
        profile.incoming.location = Some("https://exchange.example.org".to_owned());
        let credentials = Credentials::new(SERVICE, Secret::new("service-pw"));
        let request = ProviderRequest::new(profile, self.address.clone(), Some(credentials));
        let factory = EwsFactory::exchange_server().with_transport(Arc::new(self.wire.clone()));
        (self.decorate)(factory.create(&request).unwrap())
    }

    fn mail(&self) -> &MailSystem {
        self.wire.exchange.mail()
    }

    fn item(&self, id: &RemoteId) -> Backdoor<model::ItemId> {
        let item = self.wire.exchange.item_of_client(id.as_str());
        item.ok_or_else(|| BackdoorError::failed("there is no such message"))
    }

    fn folder(&self, id: &FolderId) -> Backdoor<model::FolderId> {
        let folder = self.wire.exchange.folder_of_client(id.as_str());
        folder.ok_or_else(|| BackdoorError::failed("there is no such folder"))
    }

    fn add(&self, rule: FaultRule) {
        self.wire.exchange.faults().add(rule);
    }
}

#[async_trait]
impl Account for ExchangeAccount {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(self.provider.as_ref().unwrap())
    }

    fn address(&self) -> EmailAddress {
        self.address.clone()
    }

    fn context(&self) -> Backdoor<OpContext> {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let spool = Spool::in_temporary_folder().unwrap();
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
        Ok(self.open())
    }

    async fn edit(&self, _: &FolderId, id: &RemoteId) -> Backdoor<()> {
        let category = |item: &mut model::Item| item.categories.push("Red".to_owned());
        let edited = self.mail().update(self.item(id)?, None, category);
        edited.map(drop).map_err(failed)
    }

    async fn move_to(&self, _: &FolderId, id: &RemoteId, target: &FolderId) -> Backdoor<()> {
        let moved = self.mail().move_item(self.item(id)?, self.folder(target)?);
        moved.map(drop).map_err(failed)
    }

    async fn delete(&self, _: &FolderId, id: &RemoteId) -> Backdoor<()> {
        let deleted = self.mail().delete_item(self.item(id)?, Disposal::Hard);
        deleted.map(drop).map_err(failed)
    }

    async fn messages(&self, id: &FolderId) -> Backdoor<Vec<StoredMessage>> {
        let items = self.mail().items(self.folder(id)?);
        let stored = |item: &Arc<model::Item>| {
            StoredMessage::new(&item.summary().message_id, Some(item.read))
        };
        Ok(items.iter().map(stored).collect())
    }

    async fn reset_identifiers(&self, id: &FolderId) -> Backdoor<()> {
        let folder = self.folder(id)?;
        self.mail().invalidate_sync(folder).map_err(failed)
    }

    async fn recipients(&self) -> Backdoor<Vec<EmailAddress>> {
        Ok(RECIPIENTS
            .iter()
            .map(|text| text.parse().unwrap())
            .collect())
    }

    async fn received(&self, recipient: &EmailAddress) -> Backdoor<Vec<Vec<u8>>> {
        let account = self.mail().account(recipient.as_str()).unwrap();
        let inbox = self.mail().well_known(account, WellKnown::Inbox);
        let items = self.mail().items(inbox.map_err(failed)?);
        Ok(items.iter().map(|item| item.content().to_vec()).collect())
    }

    async fn requests(&self) -> Backdoor<u64> {
        Ok(self.wire.exchange.request_counts().values().sum())
    }

    async fn arm(&self, fault: Fault) -> Backdoor<()> {
        let next = |fault| FaultRule::new(fault).times(1);
        match fault {
            Fault::DropBeforeEffect => self.add(next(exchange::Fault::LostRequest)),
            Fault::LoseAnswer(effect) => {
                let operation = match effect {
                    Effect::Stage => "CreateItem",
                    Effect::Send => "SendItem",
                };
                self.add(next(exchange::Fault::LostAnswer).operation(operation));
            }
            Fault::Unavailable => {
                self.add(next(exchange::Fault::Unavailable { retry_after: None }));
            }
            Fault::Throttle(back_off) => {
                self.add(next(exchange::Fault::Throttle { back_off }));
            }
            Fault::Slow(delay) => *self.wire.delay.lock().unwrap() = delay,
            Fault::Corrupt(_, id) => {
                let item = self.mail().item(self.item(&id)?).map_err(failed)?;
                self.add(FaultRule::new(exchange::Fault::Corrupt).item(&item));
            }
            other => {
                let reason = format!("the simulated Exchange knows no {other:?}");
                return Err(BackdoorError::unsupported(reason));
            }
        }
        Ok(())
    }

    async fn disarm(&self) -> Backdoor<()> {
        self.wire.exchange.faults().clear();
        *self.wire.delay.lock().unwrap() = Duration::ZERO;
        Ok(())
    }
}
