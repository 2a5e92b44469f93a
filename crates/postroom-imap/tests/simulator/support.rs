//! A server with one account, and a provider for it.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use postroom_core::profile::ProfileKind;
use postroom_core::{ProfileId, Secret, ServerProfile};
use postroom_imap::ImapFactory;
use postroom_net::line::TlsClients;
use postroom_provider::{
    ChangePage, Credentials, FolderId, MailChange, MailSource, OpContext, PageLimit, ProbeReport,
    Provider, ProviderError, ProviderFactory as _, ProviderRequest, RemoteId, Result, SyncCursor,
};
use postroom_simulator::imap::{ImapFault, ImapFaultRule, ImapServer, uid, uid_validity};
use postroom_simulator::model::{
    Account, AccountId, Disposal, Item, MailSystem, ManualClock, WellKnown,
};

pub(crate) const ADDRESS: &str = "desk@example.org";
pub(crate) const PASSWORD: &str = "pass word";

/// A server, an account on it, and how it is reached.
pub(crate) struct World {
    pub(crate) server: ImapServer,
    pub(crate) account: AccountId,
    pub(crate) profile: ServerProfile,
    pub(crate) password: String,
    pub(crate) ctx: OpContext,
}

impl World {
    /// For tests whose time is paused: waiting costs nothing.
    pub(crate) fn new() -> Self {
        let clock = ManualClock::at("2026-11-22T10:00:00Z".parse().unwrap());
        let mail = Arc::new(MailSystem::new(clock, 1));
        let account = Account::new(ADDRESS).login(ADDRESS, PASSWORD);
        let account = mail.add_account(account).unwrap();
        let server = ImapServer::new(mail).unwrap();
        let id = ProfileId::from_random([7; 16]);
        let mut profile = ServerProfile::new(id, "imap", ProfileKind::ImapSmtp);
        profile.incoming.location = Some("imap.example.org".to_owned());
        profile.extra_authorities_pem = Some(server.certificate_pem().to_owned());
        profile.request_timeout = Duration::from_secs(30);
        Self {
            server,
            account,
            profile,
            password: PASSWORD.to_owned(),
            ctx: OpContext::system().unwrap(),
        }
    }

    pub(crate) fn deliver(&self, count: usize) {
        for number in 0..count {
            self.deliver_raw(&format!(
                "From: a@b.example\r\nMessage-ID: <m{number}@b.example>\r\nSubject: s\r\n\r\nbody {number}\r\n"
            ));
        }
    }

    pub(crate) fn deliver_raw(&self, raw: &str) {
        let reached = self.server.mail().deliver(raw.to_owned(), &[ADDRESS]);
        assert_eq!(reached.len(), 1);
    }

    pub(crate) fn arm(&self, fault: ImapFault) {
        self.server.arm(ImapFaultRule::new(fault));
    }

    pub(crate) fn stored(&self) -> Vec<Arc<Item>> {
        self.stored_in(WellKnown::Inbox)
    }

    pub(crate) fn stored_in(&self, folder: WellKnown) -> Vec<Arc<Item>> {
        let mail = self.server.mail();
        mail.items(mail.well_known(self.account, folder).unwrap())
    }

    pub(crate) fn delete(&self, item: &Item) {
        let deleted = self.server.mail().delete_item(item.id, Disposal::Hard);
        deleted.unwrap();
    }

    /// The id of a message in the inbox.
    pub(crate) fn id_of(&self, item: &Item) -> RemoteId {
        let mail = self.server.mail();
        let validity = uid_validity(mail, item.folder);
        RemoteId::new(format!("{validity}.{}", uid(mail, item)))
    }

    fn factory(&self) -> ImapFactory {
        ImapFactory::new(TlsClients::new()).with_dialer(Arc::new(self.server.clone()))
    }

    fn request(&self) -> ProviderRequest {
        let credentials = Credentials::new(ADDRESS, Secret::new(self.password.as_str()));
        let address = ADDRESS.parse().unwrap();
        ProviderRequest::new(self.profile.clone(), address, Some(credentials))
    }

    pub(crate) fn open(&self) -> Mailbox {
        Mailbox {
            provider: self.factory().create(&self.request()).unwrap(),
            ctx: self.ctx.clone(),
        }
    }

    pub(crate) async fn probe(&self) -> ProbeReport {
        self.factory().probe(&self.ctx, &self.request()).await
    }

    /// The error of listing the mailbox, in a session of its own.
    pub(crate) async fn refusal(&self) -> ProviderError {
        self.open().page(None, 100).await.unwrap_err()
    }
}

/// A provider, and the shortest ways to use it.
pub(crate) struct Mailbox {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) ctx: OpContext,
}

pub(crate) fn inbox() -> FolderId {
    FolderId::new("INBOX")
}

impl Mailbox {
    pub(crate) fn source(&self) -> &dyn MailSource {
        self.provider.mail().unwrap()
    }

    pub(crate) async fn page(
        &self,
        since: Option<&SyncCursor>,
        limit: u32,
    ) -> Result<ChangePage<MailChange>> {
        let limit = PageLimit::new(limit);
        self.source()
            .changes(&self.ctx, &inbox(), since, limit)
            .await
    }

    /// The ids of everything that is listed from a cursor on, and the cursor at the end.
    pub(crate) async fn listed(&self, since: Option<SyncCursor>) -> (Vec<RemoteId>, SyncCursor) {
        let (mut ids, mut since) = (Vec::new(), since);
        loop {
            let page = self.page(since.as_ref(), 3).await.unwrap();
            ids.extend(page.changes.into_iter().map(|change| match change {
                MailChange::Present(listing) => listing.id,
                MailChange::Removed(id) => panic!("nothing is gone, and {id:?} was told so"),
            }));
            if !page.more {
                return (ids, page.cursor);
            }
            since = Some(page.cursor);
        }
    }

    /// The bytes of messages, by id.
    pub(crate) async fn content(&self, ids: &[RemoteId]) -> Vec<Vec<u8>> {
        let fetched = self.source().fetch(&self.ctx, &inbox(), ids).await.unwrap();
        let read = fetched.into_iter().map(|message| {
            let mut bytes = Vec::new();
            let mut reader = message.unwrap().raw.open().unwrap();
            reader.read_to_end(&mut bytes).unwrap();
            bytes
        });
        read.collect()
    }

    /// The Message-IDs of messages, by id.
    pub(crate) async fn message_ids(&self, ids: &[RemoteId]) -> Vec<String> {
        let headers = self
            .source()
            .headers(&self.ctx, &inbox(), ids)
            .await
            .unwrap();
        let read = headers.into_iter().map(|headers| {
            let id = headers.unwrap().headers.message_id;
            id.map(|id| id.as_str().to_owned()).unwrap_or_default()
        });
        read.collect()
    }

    pub(crate) async fn release(&self) {
        self.source().release(&self.ctx).await.unwrap();
    }

    /// What is told since a cursor: what is there, what is gone, and the cursor at the end.
    pub(crate) async fn told(
        &self,
        since: &SyncCursor,
    ) -> (Vec<RemoteId>, Vec<RemoteId>, SyncCursor) {
        let page = self.page(Some(since), 1000).await.unwrap();
        assert!(!page.more);
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        for change in page.changes {
            match change {
                MailChange::Present(listing) => there.push(listing.id),
                MailChange::Removed(id) => gone.push(id),
            }
        }
        (there, gone, page.cursor)
    }
}
