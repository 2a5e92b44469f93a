//! A server, two mailboxes, and providers for them.

use std::sync::Arc;
use std::time::Duration;

use postroom_core::profile::ProfileKind;
use postroom_core::{ProfileId, Secret, ServerProfile, Timestamp};
use postroom_ews::EwsFactory;
use postroom_provider::context::SystemRandomness;
use postroom_provider::{
    Clock, Credentials, FolderId, MailChange, MailSource, MailSubmitter, OpContext, PageLimit,
    Provider, ProviderFactory, ProviderRequest, RemoteId, Spool, WellKnownFolder,
};
use postroom_simulator::exchange::{
    Exchange, ExchangeBuilder, Fault, FaultId, FaultRule, ListenOptions, Listening,
};
use postroom_simulator::model::{Account, AccountId, Item, WellKnown};

pub(crate) const DESK: &str = "desk@example.org";
pub(crate) const ADA: &str = "ada@example.org";
const SERVICE: &str = "postroom@example.org";

/// The accounts that every test has.
pub(crate) fn builder() -> ExchangeBuilder {
    Exchange::builder()
        .account(Account::new(DESK).login(DESK, "desk-pw"))
        .account(
            Account::new(ADA)
                .alias("ada.l@example.org")
                .login(ADA, "ada-pw"),
        )
        .account(
            Account::new(SERVICE)
                .login(SERVICE, "service-pw")
                .impersonates_everybody(),
        )
}

pub(crate) struct Lab {
    pub(crate) exchange: Exchange,
    pub(crate) listening: Listening,
    pub(crate) ctx: OpContext,
}

impl Lab {
    pub(crate) async fn new() -> Self {
        Self::of(builder(), ListenOptions::http()).await
    }

    pub(crate) async fn of(builder: ExchangeBuilder, options: ListenOptions) -> Self {
        // Where captures of all requests and answers are wanted, to check them against the schema.
        let builder = match std::env::var_os("POSTROOM_EWS_CAPTURE") {
            Some(folder) => {
                let own = uuid_like();
                builder.capture(std::path::Path::new(&folder).join(own))
            }
            None => builder,
        };
        let exchange = builder.build().unwrap();
        let listening = exchange.listen(options).await.unwrap();
        Self {
            exchange,
            listening,
            ctx: OpContext::system().unwrap(),
        }
    }

    pub(crate) fn profile(&self) -> ServerProfile {
        let id = ProfileId::from_random([7; 16]);
        let mut profile = ServerProfile::new(id, "exchange", ProfileKind::ExchangeServer);
        profile.incoming.location = Some(self.listening.url());
        profile.danger_allow_plain_http = true;
        profile.extra_authorities_pem = self.listening.certificate_pem().map(str::to_owned);
        profile
    }

    pub(crate) fn request(&self, address: &str) -> ProviderRequest {
        ProviderRequest::new(
            self.profile(),
            address.parse().unwrap(),
            Some(Credentials::new(SERVICE, Secret::new("service-pw"))),
        )
    }

    pub(crate) fn provider(&self, address: &str) -> Arc<dyn Provider> {
        EwsFactory::exchange_server()
            .create(&self.request(address))
            .unwrap()
    }

    pub(crate) fn arm(&self, fault: Fault) -> FaultId {
        self.exchange.faults().add(FaultRule::new(fault).times(1))
    }

    pub(crate) fn arm_for(&self, operation: &str, fault: Fault) -> FaultId {
        let rule = FaultRule::new(fault).operation(operation).times(1);
        self.exchange.faults().add(rule)
    }

    pub(crate) fn deliver(&self, raw: impl Into<Vec<u8>>) -> Arc<Item> {
        let ids = self.exchange.mail().deliver(raw.into(), &[DESK]);
        self.exchange.mail().item(ids[0]).unwrap()
    }

    pub(crate) fn account(&self, address: &str) -> AccountId {
        self.exchange.mail().account(address).unwrap()
    }

    pub(crate) fn items(&self, address: &str, folder: WellKnown) -> Vec<Arc<Item>> {
        let mail = self.exchange.mail();
        let folder = mail.well_known(self.account(address), folder).unwrap();
        mail.items(folder)
    }
}

fn uuid_like() -> String {
    let bytes = (&SystemRandomness::new() as &dyn postroom_provider::Randomness).bytes16();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn mail(provider: &Arc<dyn Provider>) -> &dyn MailSource {
    provider.mail().unwrap()
}

pub(crate) fn submitter(provider: &Arc<dyn Provider>) -> &dyn MailSubmitter {
    provider.submitter().unwrap()
}

pub(crate) async fn inbox(lab: &Lab, provider: &Arc<dyn Provider>) -> FolderId {
    mail(provider)
        .find_folder(&lab.ctx, WellKnownFolder::Inbox)
        .await
        .unwrap()
}

/// The ids of all messages in a folder, oldest first.
pub(crate) async fn listed(
    lab: &Lab,
    provider: &Arc<dyn Provider>,
    folder: &FolderId,
) -> Vec<RemoteId> {
    let page = mail(provider)
        .changes(&lab.ctx, folder, None, PageLimit::new(512))
        .await
        .unwrap();
    assert!(!page.more);
    let mut ids: Vec<_> = page
        .changes
        .into_iter()
        .map(|change| match change {
            MailChange::Present(listing) => listing.id,
            MailChange::Removed(id) => panic!("{id:?}"),
        })
        .collect();
    ids.reverse();
    ids
}

pub(crate) fn raw(number: usize, body: &str) -> Vec<u8> {
    format!(
        "Message-ID: <m{number}@x.example>\r\nFrom: Jo <jo@x.example>\r\nTo: {DESK}\r\n\
         Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nSubject: Number {number}\r\n\r\n{body}\r\n"
    )
    .into_bytes()
}

/// A clock on which every wait is over at once: whatever is not there already comes too late.
#[derive(Debug)]
pub(crate) struct Impatient;

#[async_trait::async_trait]
impl Clock for Impatient {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }

    async fn sleep(&self, _duration: Duration) {}
}

pub(crate) fn impatient() -> OpContext {
    OpContext::new(
        Arc::new(Impatient),
        Arc::new(SystemRandomness::new()),
        Spool::in_temporary_folder().unwrap(),
    )
}
