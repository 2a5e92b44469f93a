use std::sync::Mutex;

use super::*;
use crate::error::ErrorKind;
use crate::registry::{ProbeOutcome, ProviderRegistry};
use crate::types::RemoteId;
use postroom_core::outbox::SubmissionKey;
use postroom_core::{Code, ProfileId, Secret};

/// What a side was made of, and what it can do.
#[derive(Debug, Default)]
struct Side {
    name: &'static str,
    refuses: bool,
    copies: bool,
    made: Mutex<Vec<ProviderRequest>>,
}

#[derive(Debug)]
struct Family {
    info: ProviderInfo,
    sends: bool,
    copies: bool,
}

#[async_trait]
impl ProviderFactory for Side {
    fn name(&self) -> &str {
        self.name
    }

    fn create(&self, request: &ProviderRequest) -> Result<Arc<dyn Provider>> {
        if self.refuses {
            let code = Code::ConfigurationInvalid;
            return Err(ProviderError::new(
                ErrorKind::ConfigInvalid,
                code,
                "provider.create",
            ));
        }
        self.made.lock().unwrap().push(request.clone());
        Ok(Arc::new(Family {
            info: ProviderInfo::new(self.name, self.name),
            sends: self.name == "smtp",
            copies: self.copies,
        }))
    }

    async fn probe(&self, _: &OpContext, _: &ProviderRequest) -> ProbeReport {
        let mut report = ProbeReport::new();
        report.push(self.name, ProbeOutcome::Passed, "");
        report
    }
}

impl Provider for Family {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn capabilities(&self) -> Arc<Capabilities> {
        Arc::new(Capabilities {
            submit: self.sends,
            sent: self.copies,
            sent_find: self.copies,
            sent_file: self.copies,
            ..Capabilities::default()
        })
    }

    fn submitter(&self) -> Option<&dyn MailSubmitter> {
        self.sends.then_some(self)
    }

    fn sent_items(&self) -> Option<&dyn SentItems> {
        self.copies.then_some(self)
    }
}

#[async_trait]
impl MailSubmitter for Family {
    async fn send(
        &self,
        _: &OpContext,
        _: &Submission,
        _: Option<&StagedSubmission>,
    ) -> Result<SentReceipt> {
        Ok(SentReceipt::answered())
    }
}

#[async_trait]
impl SentItems for Family {
    async fn find_copy(
        &self,
        _: &OpContext,
        identity: &SubmissionIdentity,
    ) -> Result<Option<SentReceipt>> {
        let there = identity.message_id.as_str() == "there@example.org";
        Ok(there.then(|| SentReceipt::found(RemoteId::new("sent/1"))))
    }
}

fn side(name: &'static str) -> Side {
    Side {
        name,
        ..Side::default()
    }
}

fn profile(kind: ProfileKind) -> ServerProfile {
    let mut profile = ServerProfile::new(ProfileId::from_random([1; 16]), "p", kind);
    profile.incoming.location = Some("in.example.org".to_owned());
    profile.outgoing.location = Some("out.example.org".to_owned());
    profile
}

fn request(profile: &ServerProfile) -> ProviderRequest {
    let credentials = Credentials::new("in", Secret::new("pw"));
    let address = "ada@example.org".parse().unwrap();
    ProviderRequest::new(profile.clone(), address, Some(credentials))
}

fn looked_for(id: &str) -> SubmissionIdentity {
    let key = SubmissionKey::from_random([3; 16]);
    SubmissionIdentity::new(key, id.parse().unwrap())
}

#[tokio::test]
async fn what_became_of_a_submission_is_seen_where_mail_is_read() {
    let imap = Side {
        copies: true,
        ..side("imap-smtp")
    };
    let registry = ProviderRegistry::new()
        .with(Arc::new(imap))
        .with_sender(OutgoingProtocol::Smtp, Arc::new(side("smtp")));
    let profile = profile(ProfileKind::ImapSmtp);
    let factory = registry.for_profile(&profile, Direction::Outgoing).unwrap();
    let provider = factory.create(&request(&profile)).unwrap();
    assert!(provider.capabilities().submit_traceable);
    assert!(provider.mail().is_none(), "made for outgoing email alone");
    let ctx = OpContext::system().unwrap();
    let submitter = provider.submitter().unwrap();
    let found = submitter
        .find(&ctx, &looked_for("there@example.org"))
        .await
        .unwrap();
    assert!(matches!(found, SubmissionTrace::Sent(receipt) if receipt.reconciled));
    let found = submitter
        .find(&ctx, &looked_for("else@example.org"))
        .await
        .unwrap();
    assert_eq!(found, SubmissionTrace::Nowhere);
}

#[tokio::test]
async fn blind_sending_says_that_it_is_blind() {
    let registry = ProviderRegistry::new()
        .with(Arc::new(side("pop3-smtp")))
        .with_sender(OutgoingProtocol::Smtp, Arc::new(side("smtp")));
    let profile = profile(ProfileKind::Pop3Smtp);
    let factory = registry.for_profile(&profile, Direction::Outgoing).unwrap();
    let provider = factory.create(&request(&profile)).unwrap();
    assert!(!provider.capabilities().submit_traceable);
    assert!(provider.sent_items().is_none());
    let ctx = OpContext::system().unwrap();
    let submitter = provider.submitter().unwrap();
    let error = submitter
        .find(&ctx, &looked_for("there@example.org"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn email_leaves_where_mail_cannot_be_read() {
    let reader: Arc<dyn ProviderFactory> = Arc::new(Side {
        refuses: true,
        ..side("imap-smtp")
    });
    let sender: Arc<dyn ProviderFactory> = Arc::new(side("smtp"));
    let profile = profile(ProfileKind::ImapSmtp);
    let make = |direction| {
        let factory = CombinedFactory::new(Arc::clone(&reader), Arc::clone(&sender), direction);
        factory.create(&request(&profile))
    };
    assert!(make(Direction::Outgoing).unwrap().submitter().is_some());
    assert!(make(Direction::Both).is_err());
}

#[test]
fn a_sender_gets_the_settings_and_credentials_of_its_direction() {
    let (smtp, ews) = (Arc::new(side("smtp")), Arc::new(side("exchange-server")));
    let registry = ProviderRegistry::new()
        .with(Arc::new(side("pop3-smtp")))
        .with_sender(OutgoingProtocol::Smtp, Arc::<Side>::clone(&smtp))
        .with_sender(OutgoingProtocol::Ews, Arc::<Side>::clone(&ews));
    let mut profile = profile(ProfileKind::Pop3Smtp);
    let create = |profile: &ServerProfile, outgoing: Option<Credentials>| {
        let mut request = request(profile);
        request.outgoing_credentials = outgoing;
        let factory = registry.for_profile(profile, Direction::Outgoing).unwrap();
        factory.create(&request).unwrap();
    };
    let used = |side: &Side| side.made.lock().unwrap().pop().unwrap();

    create(&profile, None);
    assert_eq!(
        used(&smtp).credentials.unwrap().user_name,
        "in",
        "the same for both"
    );
    profile.same_settings_for_outgoing = false;
    create(&profile, None);
    assert_eq!(
        used(&smtp).credentials,
        None,
        "never those of the other server"
    );
    profile.outgoing_protocol = Some(OutgoingProtocol::Ews);
    profile.outgoing.location = Some("https://mail.example.org/ews".to_owned());
    create(&profile, Some(Credentials::new("out", Secret::new("pw"))));
    let made = used(&ews);
    assert_eq!(made.credentials.unwrap().user_name, "out");
    assert_eq!(made.profile.kind, ProfileKind::ExchangeServer);
    assert_eq!(made.profile.incoming, profile.outgoing);
}

#[tokio::test]
async fn a_profile_without_sender_says_so() {
    let registry = ProviderRegistry::new().with(Arc::new(side("exchange-server")));
    let mut profile = profile(ProfileKind::ExchangeServer);
    assert!(registry.for_profile(&profile, Direction::Outgoing).is_ok());
    profile.outgoing_protocol = Some(OutgoingProtocol::Smtp);
    assert!(registry.for_profile(&profile, Direction::Incoming).is_ok());
    let error = registry
        .for_profile(&profile, Direction::Outgoing)
        .unwrap_err();
    assert_eq!(error.code(), Code::ConfigurationInvalid);

    let registry = registry.with_sender(OutgoingProtocol::Smtp, Arc::new(side("smtp")));
    let both = registry.for_profile(&profile, Direction::Both).unwrap();
    let report = both
        .probe(&OpContext::system().unwrap(), &request(&profile))
        .await;
    let steps: Vec<&str> = report.steps.iter().map(|step| step.name).collect();
    assert_eq!(steps, ["exchange-server", "smtp"]);
}
