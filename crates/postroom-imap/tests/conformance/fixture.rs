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
use postroom_imap::ImapFactory;
use postroom_net::line::TlsClients;
use postroom_provider::context::SystemRandomness;
use postroom_provider::{
    Clock, Credentials, FolderId, OpContext, Provider, ProviderFactory as _, ProviderRequest,
    RemoteId, Spool,
};
use postroom_simulator::imap::{
    ImapFault, ImapFaultRule, ImapOffers, ImapServer, uid, uid_validity,
};
use postroom_simulator::memory::SharedClock;
use postroom_simulator::model::{self, Disposal, Item, MailSystem, ModelError, WellKnown};

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
pub(crate) struct ImapFixture {
    server: ImapServer,
    clock: Arc<TokioClock>,
    accounts: AtomicU32,
}

impl ImapFixture {
    /// A server that has what it is told to have.
    pub(crate) fn new(offer: impl FnOnce(&mut ImapOffers)) -> Self {
        tokio::time::pause();
        let clock = Arc::new(TokioClock {
            began: tokio::time::Instant::now(),
        });
        let shared = SharedClock::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let mail = Arc::new(MailSystem::new(Arc::new(shared), 7));
        let server = ImapServer::new(mail).expect("a certificate can be made");
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
impl Fixture for ImapFixture {
    async fn account(&self) -> Backdoor<Box<dyn Account>> {
        let number = self.accounts.fetch_add(1, Ordering::SeqCst);
        let address = format!("desk{number}@example.org");
        let account = model::Account::new(&address).login(&address, PASSWORD);
        let account = self.server.mail().add_account(account).map_err(failed)?;
        Ok(Box::new(ImapAccount {
            provider: open(&self.server, &address),
            server: self.server.clone(),
            clock: Arc::clone(&self.clock),
            account,
            address,
        }))
    }
}

fn open(server: &ImapServer, address: &str) -> Arc<dyn Provider> {
    let id = ProfileId::from_random([7; 16]);
    let mut profile = ServerProfile::new(id, "imap", ProfileKind::ImapSmtp);
    profile.incoming.location = Some("imap.example.org".to_owned());
    profile.extra_authorities_pem = Some(server.certificate_pem().to_owned());
    let factory = ImapFactory::new(TlsClients::new()).with_dialer(Arc::new(server.clone()));
    let credentials = Credentials::new(address, Secret::new(PASSWORD));
    let address = address.parse().expect("accounts have valid addresses");
    let request = ProviderRequest::new(profile, address, Some(credentials));
    factory.create(&request).expect("the profile suffices")
}

struct ImapAccount {
    server: ImapServer,
    clock: Arc<TokioClock>,
    account: model::AccountId,
    address: String,
    provider: Arc<dyn Provider>,
}

impl ImapAccount {
    fn mail(&self) -> &MailSystem {
        self.server.mail()
    }

    /// The folder of an id, which is its name.
    fn folder(&self, id: &FolderId) -> Backdoor<model::FolderId> {
        let mail = self.mail();
        let known = match id.as_str() {
            "INBOX" => Some(WellKnown::Inbox),
            "Sent Items" => Some(WellKnown::SentItems),
            "Drafts" => Some(WellKnown::Drafts),
            "Deleted Items" => Some(WellKnown::DeletedItems),
            _ => None,
        };
        if let Some(known) = known {
            return mail.well_known(self.account, known).map_err(failed);
        }
        let top = mail
            .well_known(self.account, WellKnown::MessageRoot)
            .map_err(failed)?;
        mail.child(top, id.as_str())
            .ok_or_else(|| BackdoorError::failed("there is no such folder"))
    }

    fn item(&self, folder: &FolderId, id: &RemoteId) -> Backdoor<Arc<Item>> {
        let folder = self.folder(folder)?;
        let validity = uid_validity(self.mail(), folder);
        let mut items = self.mail().items(folder).into_iter();
        items
            .find(|item| id.as_str() == format!("{validity}.{}", uid(self.mail(), item)))
            .ok_or_else(|| BackdoorError::failed("there is no such message"))
    }
}

#[async_trait]
impl Account for ImapAccount {
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
            "a message never changes, and changes of flags are not told",
        ))
    }

    async fn move_to(&self, folder: &FolderId, id: &RemoteId, target: &FolderId) -> Backdoor<()> {
        let (item, target) = (self.item(folder, id)?, self.folder(target)?);
        let moved = self.mail().move_item(item.id, target);
        moved.map(drop).map_err(failed)
    }

    async fn delete(&self, folder: &FolderId, id: &RemoteId) -> Backdoor<()> {
        let id = self.item(folder, id)?.id;
        let deleted = self.mail().delete_item(id, Disposal::Hard);
        deleted.map(drop).map_err(failed)
    }

    async fn messages(&self, folder: &FolderId) -> Backdoor<Vec<StoredMessage>> {
        let items = self.mail().items(self.folder(folder)?);
        let stored =
            |item: &Arc<Item>| StoredMessage::new(&item.summary().message_id, Some(item.read));
        Ok(items.iter().map(stored).collect())
    }

    async fn reset_identifiers(&self, folder: &FolderId) -> Backdoor<()> {
        let folder = self.folder(folder)?;
        self.mail().invalidate_sync(folder).map_err(failed)
    }

    async fn requests(&self) -> Backdoor<u64> {
        Ok(self.server.requests())
    }

    async fn arm(&self, fault: Fault) -> Backdoor<()> {
        self.server.arm(match fault {
            Fault::DropBeforeEffect => ImapFaultRule::new(ImapFault::CloseBefore).times(1),
            Fault::Unavailable => {
                let refusal = ImapFault::Refuse("[UNAVAILABLE] not now".to_owned());
                ImapFaultRule::new(refusal).times(1)
            }
            Fault::Slow(by) => ImapFaultRule::new(ImapFault::Slow(by)),
            Fault::Corrupt(folder, id) => {
                ImapFaultRule::new(ImapFault::Damaged(self.item(&folder, &id)?.id))
            }
            other => {
                let reason = format!("IMAP knows no {other:?}");
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
