//! Accounts on a real Postfix, and Dovecot's Maildirs as the back door.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use postroom_conformance::provider::{Account, Backdoor, BackdoorError, Fixture};
use postroom_core::outbox::SubmissionKey;
use postroom_core::profile::ProfileKind;
use postroom_core::{EmailAddress, NamedAddress, ProfileId, RawMessage, Secret, ServerProfile};
use postroom_net::line::TlsClients;
use postroom_provider::{
    Credentials, ErrorKind, OpContext, Provider, ProviderFactory as _, ProviderRequest, RemoteId,
    Retry, Submission,
};
use postroom_smtp::SmtpFactory;

use crate::dovecot::{Dovecot, PASSWORD};
use crate::postfix::Postfix;

/// How long a delivery may take.
const DELIVERY_MAX: Duration = Duration::from_secs(60);
/// How often it is looked whether it is through: nothing tells it.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What takes the mail, and what keeps it.
pub(crate) struct Servers {
    pub(crate) dovecot: Dovecot,
    pub(crate) postfix: Postfix,
}

/// A Postfix with any number of accounts, reached by one of its services.
pub(crate) struct PostfixFixture {
    servers: Arc<Servers>,
    service: &'static str,
    accounts: AtomicU32,
}

impl PostfixFixture {
    pub(crate) fn new(servers: Arc<Servers>, service: &'static str) -> Self {
        Self {
            servers,
            service,
            accounts: AtomicU32::new(0),
        }
    }
}

fn failed(error: io::Error) -> BackdoorError {
    BackdoorError::failed(error.to_string())
}

#[async_trait]
impl Fixture for PostfixFixture {
    async fn account(&self) -> Backdoor<Box<dyn Account>> {
        let number = self.accounts.fetch_add(1, Ordering::SeqCst);
        let named = |name: &str| format!("{name}-{}-{number}@example.org", self.service);
        let (user, others) = (named("desk"), [named("grace"), named("blind")]);
        for user in [&user, &others[0], &others[1]] {
            self.servers.dovecot.add_user(user).map_err(failed)?;
        }
        Ok(Box::new(PostfixAccount {
            provider: open(&self.servers, self.service, &user),
            servers: Arc::clone(&self.servers),
            service: self.service,
            user,
            others,
        }))
    }
}

fn open(servers: &Servers, service: &str, user: &str) -> Arc<dyn Provider> {
    let id = ProfileId::from_random([7; 16]);
    let mut profile = ServerProfile::new(id, "smtp", ProfileKind::Pop3Smtp);
    let scheme = if service == "submissions" {
        "smtps"
    } else {
        "smtp"
    };
    let port = servers.postfix.port(service);
    profile.outgoing.location = Some(format!("{scheme}://localhost:{port}"));
    profile.extra_authorities_pem = Some(servers.dovecot.certificate_pem());
    let credentials = Credentials::new(user, Secret::new(PASSWORD));
    let address = user.parse().expect("accounts have valid addresses");
    let request = ProviderRequest::new(profile, address, Some(credentials));
    let factory = SmtpFactory::new(TlsClients::new());
    factory.create(&request).expect("the profile suffices")
}

struct PostfixAccount {
    servers: Arc<Servers>,
    service: &'static str,
    user: String,
    others: [String; 2],
    provider: Arc<dyn Provider>,
}

#[async_trait]
impl Account for PostfixAccount {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.provider)
    }

    fn address(&self) -> EmailAddress {
        self.user.parse().expect("accounts have valid addresses")
    }

    async fn deliver(&self, raw: &[u8]) -> Backdoor<Option<RemoteId>> {
        let delivered = self.servers.dovecot.deliver(&self.user, raw);
        delivered.map_err(failed)?;
        Ok(None)
    }

    async fn reopen(&self) -> Backdoor<Arc<dyn Provider>> {
        Ok(open(&self.servers, self.service, &self.user))
    }

    async fn recipients(&self) -> Backdoor<Vec<EmailAddress>> {
        let others = self.others.iter();
        Ok(others
            .map(|address| address.parse().expect("accounts have valid addresses"))
            .collect())
    }

    async fn received(&self, recipient: &EmailAddress) -> Backdoor<Vec<Vec<u8>>> {
        delivered(&self.servers).await.map_err(failed)?;
        let user = recipient.as_str();
        let mut received = Vec::new();
        for file in self
            .servers
            .dovecot
            .files(&self.servers.dovecot.maildir(user))
            .map_err(failed)?
        {
            received.push(std::fs::read(file).map_err(failed)?);
        }
        Ok(received)
    }
}

/// Waits until the queue is empty: twice in a row, as a message may be between two folders of it.
async fn delivered(servers: &Servers) -> io::Result<()> {
    let mut idle = 0;
    for _ in 0..DELIVERY_MAX.as_millis() / LOOK_EVERY.as_millis() {
        idle = if servers.postfix.is_idle()? {
            idle + 1
        } else {
            0
        };
        if idle == 2 {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// One message to these.
fn letter(from: &str, to: &[&str], id: &str) -> Submission {
    let raw = format!("From: {from}\r\nMessage-ID: <{id}>\r\nSubject: s\r\n\r\nhello\r\n");
    Submission::new(
        SubmissionKey::from_random([3; 16]),
        id.parse().expect("an id"),
        NamedAddress::new("", from.parse().expect("an address")),
        to.iter()
            .map(|to| to.parse().expect("an address"))
            .collect(),
        RawMessage::from_bytes(raw.into_bytes()),
    )
}

/// What a real server says of recipients, as it is told here.
pub(crate) async fn refusals_are_told(servers: &Servers) {
    let (from, grace) = ("desk@example.org", "grace@example.org");
    for user in [from, grace] {
        servers.dovecot.add_user(user).expect("a folder");
    }
    let provider = open(servers, "submission", from);
    let submitter = provider.submitter().expect("it sends");
    let ctx = OpContext::system().expect("a spool");

    let two = letter(from, &[grace, "refused@example.org"], "two@example.org");
    let receipt = submitter
        .send(&ctx, &two, None)
        .await
        .expect("one is taken");
    let reasons: Vec<_> = receipt.refused.iter().map(|one| &one.reason).collect();
    assert_eq!(reasons.len(), 1);
    assert!(
        reasons.iter().all(|reason| reason.starts_with("550 5.1.1")),
        "{reasons:?}"
    );

    let none = letter(from, &["refused@example.org"], "none@example.org");
    let error = submitter.send(&ctx, &none, None).await.expect_err("nobody");
    let found = (error.kind(), error.code().as_str(), error.retry());
    assert_eq!(
        found,
        (ErrorKind::InvalidInput, "recipients-refused", Retry::Never)
    );

    let later = letter(from, &[grace, "later@example.org"], "later@example.org");
    let error = submitter
        .send(&ctx, &later, None)
        .await
        .expect_err("greylisted");
    let found = (error.kind(), error.code().as_str(), error.retry());
    assert_eq!(
        found,
        (
            ErrorKind::Unavailable,
            "recipients-refused",
            Retry::After(None)
        )
    );

    let wide = letter(from, &["gr\u{fc}n@example.org"], "wide@example.org");
    submitter
        .send(&ctx, &wide, None)
        .await
        .expect("it takes SMTPUTF8");

    delivered(servers).await.expect("it is delivered");
    let arrived = servers
        .dovecot
        .files(&servers.dovecot.maildir(grace))
        .expect("a folder");
    assert_eq!(arrived.len(), 1, "the first, and not the one that waits");

    let wrong = Credentials::new(from, Secret::new("wrong"));
    let mut profile = ServerProfile::new(
        ProfileId::from_random([8; 16]),
        "smtp",
        ProfileKind::Pop3Smtp,
    );
    let port = servers.postfix.port("submission");
    profile.outgoing.location = Some(format!("smtp://localhost:{port}"));
    profile.extra_authorities_pem = Some(servers.dovecot.certificate_pem());
    let address = from.parse().expect("an address");
    let request = ProviderRequest::new(profile, address, Some(wrong));
    let provider = SmtpFactory::new(TlsClients::new())
        .create(&request)
        .expect("it suffices");
    let submitter = provider.submitter().expect("it sends");
    let error = submitter
        .send(&ctx, &two, None)
        .await
        .expect_err("a wrong password");
    let found = (error.kind(), error.code().as_str(), error.retry());
    assert_eq!(
        found,
        (
            ErrorKind::Unauthenticated,
            "credentials-rejected",
            Retry::Never
        )
    );
}
