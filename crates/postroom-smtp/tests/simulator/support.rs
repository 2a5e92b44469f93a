//! A server with two accounts, and a provider for one of them.

use std::sync::Arc;
use std::time::Duration;

use postroom_core::outbox::SubmissionKey;
use postroom_core::profile::ProfileKind;
use postroom_core::{NamedAddress, ProfileId, RawMessage, Secret, ServerProfile};
use postroom_net::line::TlsClients;
use postroom_provider::{
    Credentials, OpContext, ProbeReport, Provider, ProviderError, ProviderFactory as _,
    ProviderRequest, Result, SentReceipt, Submission,
};
use postroom_simulator::exchange::Certificate;
use postroom_simulator::model::{Account, MailSystem, ManualClock, WellKnown};
use postroom_simulator::smtp::{SmtpFault, SmtpFaultRule, SmtpServer};
use postroom_smtp::SmtpFactory;

pub(crate) const DESK: &str = "desk@example.org";
pub(crate) const GRACE: &str = "grace@example.org";
pub(crate) const PASSWORD: &str = "pass word";

/// A server, an account on it, and how it is reached.
pub(crate) struct World {
    pub(crate) server: SmtpServer,
    pub(crate) profile: ServerProfile,
    pub(crate) password: String,
    pub(crate) ctx: OpContext,
    factory: SmtpFactory,
}

impl World {
    /// TLS by upgrade, as most submission servers want it. For tests whose time is paused: waiting costs nothing.
    pub(crate) fn new() -> Self {
        Self::with(Certificate::Valid, "smtp.example.org:587")
    }

    pub(crate) fn with(certificate: Certificate, location: &str) -> Self {
        let clock = ManualClock::at("2026-11-22T10:00:00Z".parse().unwrap());
        let mail = Arc::new(MailSystem::new(clock, 1));
        for address in [DESK, GRACE] {
            let account = Account::new(address).login(address, PASSWORD);
            mail.add_account(account).unwrap();
        }
        let server = SmtpServer::with_certificate(mail, certificate).unwrap();
        let id = ProfileId::from_random([7; 16]);
        let mut profile = ServerProfile::new(id, "smtp", ProfileKind::Pop3Smtp);
        profile.outgoing.location = Some(location.to_owned());
        profile.extra_authorities_pem = Some(server.certificate_pem().to_owned());
        profile.request_timeout = Duration::from_secs(30);
        let factory = SmtpFactory::new(TlsClients::new()).with_dialer(Arc::new(server.clone()));
        Self {
            server,
            profile,
            password: PASSWORD.to_owned(),
            ctx: OpContext::system().unwrap(),
            factory,
        }
    }

    pub(crate) fn arm(&self, fault: SmtpFault, on: &str) {
        self.server.arm(SmtpFaultRule::new(fault).on(on));
    }

    fn request(&self) -> ProviderRequest {
        let credentials = Credentials::new(DESK, Secret::new(self.password.as_str()));
        let address = DESK.parse().unwrap();
        ProviderRequest::new(self.profile.clone(), address, Some(credentials))
    }

    pub(crate) fn open(&self) -> Arc<dyn Provider> {
        self.factory.create(&self.request()).unwrap()
    }

    pub(crate) async fn probe(&self) -> ProbeReport {
        self.factory.probe(&self.ctx, &self.request()).await
    }

    pub(crate) async fn send(&self, submission: &Submission) -> Result<SentReceipt> {
        let provider = self.open();
        let submitter = provider.submitter().unwrap();
        submitter.send(&self.ctx, submission, None).await
    }

    /// The error of sending something simple.
    pub(crate) async fn refusal(&self) -> ProviderError {
        self.send(&letter(&[GRACE])).await.unwrap_err()
    }

    /// The messages that reached somebody.
    pub(crate) fn arrived(&self, address: &str) -> Vec<Vec<u8>> {
        let mail = self.server.mail();
        let account = mail.account(address).unwrap();
        let inbox = mail.well_known(account, WellKnown::Inbox).unwrap();
        let items = mail.items(inbox);
        items.iter().map(|item| item.content().to_vec()).collect()
    }
}

/// A message from the account to these.
pub(crate) fn letter(to: &[&str]) -> Submission {
    let raw = format!(
        "From: {DESK}\r\nTo: x\r\nMessage-ID: <m1@example.org>\r\nSubject: s\r\n\r\nhello\r\n.\r\nbye\r\n"
    );
    letter_of(to, raw.as_bytes())
}

/// The same with other bytes.
pub(crate) fn letter_of(to: &[&str], raw: &[u8]) -> Submission {
    Submission::new(
        SubmissionKey::from_random([3; 16]),
        "m1@example.org".parse().unwrap(),
        NamedAddress::new("Desk", DESK.parse().unwrap()),
        to.iter().map(|address| address.parse().unwrap()).collect(),
        RawMessage::from_bytes(raw.to_vec()),
    )
}
