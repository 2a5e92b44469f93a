//! Accounts on a real Dovecot, and its Maildirs as the back door.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use postroom_conformance::provider::{
    Account, Backdoor, BackdoorError, Fidelity, Fixture, StoredMessage,
};
use postroom_core::profile::ProfileKind;
use postroom_core::{EmailAddress, ProfileId, Secret, ServerProfile};
use postroom_net::line::TlsClients;
use postroom_pop3::Pop3Factory;
use postroom_provider::{
    Credentials, FolderId, Provider, ProviderFactory as _, ProviderRequest, RemoteId,
};

use crate::dovecot::{Dovecot, PASSWORD};

/// A Dovecot with any number of accounts, reached by one of its services.
pub(crate) struct DovecotFixture {
    server: Arc<Dovecot>,
    service: &'static str,
    accounts: AtomicU32,
}

impl DovecotFixture {
    pub(crate) fn new(server: Arc<Dovecot>, service: &'static str) -> Self {
        Self {
            server,
            service,
            accounts: AtomicU32::new(0),
        }
    }
}

fn failed(error: io::Error) -> BackdoorError {
    BackdoorError::failed(error.to_string())
}

#[async_trait]
impl Fixture for DovecotFixture {
    async fn account(&self) -> Backdoor<Box<dyn Account>> {
        let number = self.accounts.fetch_add(1, Ordering::SeqCst);
        let user = format!("{}-{number}@example.org", self.service);
        self.server.add_user(&user).map_err(failed)?;
        let mut account = DovecotAccount {
            server: Arc::clone(&self.server),
            service: self.service,
            user,
            provider: None,
        };
        account.provider = Some(account.open());
        Ok(Box::new(account))
    }
}

struct DovecotAccount {
    server: Arc<Dovecot>,
    service: &'static str,
    user: String,
    provider: Option<Arc<dyn Provider>>,
}

impl DovecotAccount {
    fn open(&self) -> Arc<dyn Provider> {
        let id = ProfileId::from_random([7; 16]);
        let mut profile = ServerProfile::new(id, "pop", ProfileKind::Pop3Smtp);
        let scheme = self.service;
        let port = self.server.port(scheme);
        profile.incoming.location = Some(format!("{scheme}://localhost:{port}"));
        profile.extra_authorities_pem = Some(self.server.certificate_pem());
        let credentials = Credentials::new(&self.user, Secret::new(PASSWORD));
        let request = ProviderRequest::new(profile, self.address(), Some(credentials));
        let factory = Pop3Factory::new(TlsClients::new());
        factory.create(&request).expect("the profile suffices")
    }
}

/// The UID in an id: Dovecot's UIDLs are UID and UIDVALIDITY in hexadecimal.
fn uid(id: &RemoteId) -> Option<u32> {
    let uid = id.as_str().strip_prefix("u:")?.get(..8)?;
    u32::from_str_radix(uid, 16).ok()
}

#[async_trait]
impl Account for DovecotAccount {
    fn provider(&self) -> Arc<dyn Provider> {
        self.provider
            .as_ref()
            .map_or_else(|| self.open(), Arc::clone)
    }

    fn address(&self) -> EmailAddress {
        self.user.parse().expect("accounts have valid addresses")
    }

    // Dovecot ends every line with CRLF, and replaces zero bytes.
    fn fidelity(&self) -> Fidelity {
        Fidelity::Meaning
    }

    async fn deliver(&self, raw: &[u8]) -> Backdoor<Option<RemoteId>> {
        self.server.deliver(&self.user, raw).map_err(failed)?;
        Ok(None)
    }

    async fn reopen(&self) -> Backdoor<Arc<dyn Provider>> {
        Ok(self.open())
    }

    async fn edit(&self, _: &FolderId, _: &RemoteId) -> Backdoor<()> {
        Err(BackdoorError::unsupported(
            "POP3 tells no change of a message",
        ))
    }

    async fn delete(&self, _: &FolderId, id: &RemoteId) -> Backdoor<()> {
        let uid = uid(id).ok_or_else(|| BackdoorError::failed("no id of Dovecot's"))?;
        let file = self
            .server
            .file_of(&self.server.maildir(&self.user), uid)
            .map_err(failed)?;
        let file = file.ok_or_else(|| BackdoorError::failed("there is no such message"))?;
        fs::remove_file(file).map_err(failed)
    }

    async fn messages(&self, _: &FolderId) -> Backdoor<Vec<StoredMessage>> {
        let mut messages = Vec::new();
        for file in self
            .server
            .files(&self.server.maildir(&self.user))
            .map_err(failed)?
        {
            let raw = fs::read(&file).map_err(failed)?;
            let id = postroom_mime::parse_headers(&raw).headers.message_id;
            let name = file.to_string_lossy();
            let flags = name.rsplit_once(":2,").map_or("", |(_, flags)| flags);
            let id = id.map(|id| id.as_str().to_owned()).unwrap_or_default();
            messages.push(StoredMessage::new(&id, Some(flags.contains('S'))));
        }
        Ok(messages)
    }

    async fn reset_identifiers(&self, _: &FolderId) -> Backdoor<()> {
        self.server
            .reset_uids(&self.server.maildir(&self.user))
            .map_err(failed)
    }
}
