//! Accounts on the memory server, and the back door to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use postroom_conformance::provider::{
    Account, Backdoor, BackdoorError, Effect, Fault, Fidelity, Fixture, StoredMessage,
};
use postroom_core::{EmailAddress, Timestamp};
use postroom_provider::context::SystemRandomness;
use postroom_provider::{Capabilities, Clock, FolderId, OpContext, Provider, RemoteId, Spool};
use postroom_simulator::memory::{
    Defect, FaultEffect, MemoryFault, MemoryServer, SharedClock, item_id, model_folder_id,
    remote_id,
};
use postroom_simulator::model::{self, Disposal, MailSystem, ModelError, WellKnown};

const RECIPIENTS: [&str; 2] = ["reader@post.example", "blind.reader@post.example"];

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

/// A memory server with any number of accounts.
pub(crate) struct MemoryFixture {
    server: MemoryServer,
    clock: Arc<TokioClock>,
    accounts: AtomicU32,
}

impl MemoryFixture {
    /// A server that offers everything.
    pub(crate) fn new() -> Self {
        Self::with(|server| server)
    }

    /// A server that breaks a promise.
    pub(crate) fn with_defect(defect: Defect) -> Self {
        Self::with(|server| server.with_defect(defect))
    }

    /// A server that offers less.
    pub(crate) fn offering(change: impl FnOnce(&mut Capabilities)) -> Self {
        Self::with(|server| server.with_capabilities(change))
    }

    fn with(change: impl FnOnce(MemoryServer) -> MemoryServer) -> Self {
        tokio::time::pause();
        let clock = Arc::new(TokioClock {
            began: tokio::time::Instant::now(),
        });
        let shared = SharedClock::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let mail = Arc::new(MailSystem::new(Arc::new(shared), 7));
        Self {
            server: change(MemoryServer::new(mail)),
            clock,
            accounts: AtomicU32::new(0),
        }
    }
}

fn failed(error: ModelError) -> BackdoorError {
    BackdoorError::failed(error.to_string())
}

fn item(id: &RemoteId) -> Backdoor<model::ItemId> {
    item_id(id).ok_or_else(|| BackdoorError::failed("there is no such message"))
}

fn folder(id: &FolderId) -> Backdoor<model::FolderId> {
    // A defective provider decorates its ids.
    let bare = id.as_str().split('#').next().unwrap_or_default();
    model_folder_id(&FolderId::new(bare))
        .ok_or_else(|| BackdoorError::failed("there is no such folder"))
}

#[async_trait]
impl Fixture for MemoryFixture {
    async fn account(&self) -> Backdoor<Box<dyn Account>> {
        let mail = self.server.mail();
        let number = self.accounts.fetch_add(1, Ordering::SeqCst);
        let address = format!("desk{number}@example.org");
        mail.add_account(model::Account::new(&address))
            .map_err(failed)?;
        for recipient in RECIPIENTS {
            if mail.account(recipient).is_none() {
                mail.add_account(model::Account::new(recipient))
                    .map_err(failed)?;
            }
        }
        Ok(Box::new(MemoryAccount {
            server: self.server.clone(),
            clock: Arc::clone(&self.clock),
            provider: open(&self.server, &address)?,
            address,
        }))
    }
}

fn open(server: &MemoryServer, address: &str) -> Backdoor<Arc<dyn Provider>> {
    server
        .provider(address)
        .ok_or_else(|| BackdoorError::failed("there is no such account"))
}

struct MemoryAccount {
    server: MemoryServer,
    clock: Arc<TokioClock>,
    address: String,
    provider: Arc<dyn Provider>,
}

impl MemoryAccount {
    fn mail(&self) -> &MailSystem {
        self.server.mail()
    }
}

#[async_trait]
impl Account for MemoryAccount {
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
        Ok(OpContext::new(
            clock,
            Arc::new(SystemRandomness::new()),
            spool,
        ))
    }

    fn fidelity(&self) -> Fidelity {
        Fidelity::Bytes
    }

    async fn deliver(&self, raw: &[u8]) -> Backdoor<Option<RemoteId>> {
        let copies = self.mail().deliver(raw.to_vec(), &[self.address.as_str()]);
        Ok(copies.first().copied().map(remote_id))
    }

    async fn reopen(&self) -> Backdoor<Arc<dyn Provider>> {
        open(&self.server, &self.address)
    }

    async fn edit(&self, _: &FolderId, id: &RemoteId) -> Backdoor<()> {
        let category = |item: &mut model::Item| item.categories.push("Red".to_owned());
        let edited = self.mail().update(item(id)?, None, category);
        edited.map(drop).map_err(failed)
    }

    async fn move_to(&self, _: &FolderId, id: &RemoteId, target: &FolderId) -> Backdoor<()> {
        let moved = self.mail().move_item(item(id)?, folder(target)?);
        moved.map(drop).map_err(failed)
    }

    async fn delete(&self, _: &FolderId, id: &RemoteId) -> Backdoor<()> {
        let deleted = self.mail().delete_item(item(id)?, Disposal::Hard);
        deleted.map(drop).map_err(failed)
    }

    async fn messages(&self, id: &FolderId) -> Backdoor<Vec<StoredMessage>> {
        let items = self.mail().items(folder(id)?);
        let stored = |item: &Arc<model::Item>| {
            StoredMessage::new(&item.summary().message_id, Some(item.read))
        };
        Ok(items.iter().map(stored).collect())
    }

    async fn reset_identifiers(&self, id: &FolderId) -> Backdoor<()> {
        self.mail().invalidate_sync(folder(id)?).map_err(failed)
    }

    async fn recipients(&self) -> Backdoor<Vec<EmailAddress>> {
        let parsed = RECIPIENTS.iter().map(|address| address.parse());
        parsed
            .collect::<Result<_, _>>()
            .map_err(|error| BackdoorError::failed(format!("{error}")))
    }

    async fn received(&self, recipient: &EmailAddress) -> Backdoor<Vec<Vec<u8>>> {
        let account = self.mail().account(recipient.as_str());
        let account = account.ok_or_else(|| BackdoorError::failed("no such recipient"))?;
        let inbox = self
            .mail()
            .well_known(account, WellKnown::Inbox)
            .map_err(failed)?;
        let items = self.mail().items(inbox);
        Ok(items.iter().map(|item| item.content().to_vec()).collect())
    }

    async fn requests(&self) -> Backdoor<u64> {
        Ok(self.server.requests())
    }

    async fn arm(&self, fault: Fault) -> Backdoor<()> {
        let next = |effect| MemoryFault::new(effect).times(1);
        self.server.arm(match fault {
            Fault::DropBeforeEffect => next(FaultEffect::DropBeforeEffect),
            Fault::LoseAnswer(Effect::Stage) => next(FaultEffect::LoseAnswer).on("submit.stage"),
            Fault::LoseAnswer(Effect::Send) => next(FaultEffect::LoseAnswer).on("submit.send"),
            Fault::Unavailable => next(FaultEffect::Unavailable),
            Fault::Throttle(hint) => next(FaultEffect::Throttle(Some(hint))),
            Fault::Slow(delay) => MemoryFault::new(FaultEffect::Slow(delay)),
            Fault::Corrupt(_, id) => MemoryFault::new(FaultEffect::Corrupt(id)),
            other => {
                let reason = format!("the memory server knows no {other:?}");
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
