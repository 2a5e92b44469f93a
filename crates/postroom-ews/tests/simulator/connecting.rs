use postroom_core::profile::CredentialSource;
use postroom_core::{Code, Secret};
use postroom_ews::EwsFactory;
use postroom_provider::{
    Credentials, ErrorKind, ProbeOutcome, ProviderFactory, ProviderRequest, WellKnownFolder,
};
use postroom_simulator::exchange::{Exchange, ListenOptions};
use postroom_simulator::model::Account;

use crate::support::{ADA, DESK, Lab, builder, inbox, mail};

async fn probed(lab: &Lab, request: &ProviderRequest) -> Vec<(&'static str, ProbeOutcome)> {
    let report = EwsFactory::exchange_server().probe(&lab.ctx, request).await;
    let text = format!("{report:?}");
    assert!(
        !text.contains("service-pw") && !text.contains("wrong-pw"),
        "{text}"
    );
    report
        .steps
        .into_iter()
        .map(|step| (step.name, step.outcome))
        .collect()
}

fn first_failure(steps: &[(&'static str, ProbeOutcome)]) -> Option<(&'static str, Code)> {
    steps.iter().find_map(|(name, outcome)| match outcome {
        ProbeOutcome::Failed(code) => Some((*name, *code)),
        ProbeOutcome::Passed | ProbeOutcome::NotReached => None,
    })
}

#[tokio::test]
async fn over_tls_with_an_authority_of_our_own() {
    let lab = Lab::of(builder(), ListenOptions::https()).await;
    let request = lab.request(DESK);
    inbox(&lab, &lab.provider(DESK)).await;
    let steps = probed(&lab, &request).await;
    assert_eq!(steps.len(), 7);
    assert!(
        steps
            .iter()
            .all(|(_, outcome)| *outcome == ProbeOutcome::Passed),
        "{steps:?}"
    );

    let mut untrusting = lab.request(DESK);
    untrusting.profile.extra_authorities_pem = None;
    let steps = probed(&lab, &untrusting).await;
    assert_eq!(
        first_failure(&steps),
        Some(("tls", Code::CertificateUntrusted))
    );
    assert_eq!(steps.len(), 7);
    let provider = EwsFactory::exchange_server().create(&untrusting).unwrap();
    let error = mail(&provider)
        .find_folder(&lab.ctx, WellKnownFolder::Inbox)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Untrusted, Code::CertificateUntrusted)
    );
}

#[tokio::test]
async fn each_wrong_setting_is_told_by_its_own_step() {
    let lab = Lab::new().await;
    let free_port = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap().port()
    };
    let at = |location: &str| {
        let mut request = lab.request(DESK);
        request.profile.incoming.location = Some(location.to_owned());
        request
    };
    let with = |user: &str, password: &str, address: &str| {
        let mut request = lab.request(address);
        request.credentials = Some(Credentials::new(user, Secret::new(password)));
        request
    };
    let plain = lab.listening.url();
    let tls = plain.replace("http://", "https://");
    let elsewhere = plain.replace("/EWS/Exchange.asmx", "/owa/");
    for (request, step, code) in [
        (
            at("http://no-such-host.invalid/EWS/Exchange.asmx"),
            "resolve",
            Code::NameNotResolved,
        ),
        (
            at(&format!("http://127.0.0.1:{free_port}/EWS/Exchange.asmx")),
            "connect",
            Code::ConnectionRefused,
        ),
        (at(&tls), "tls", Code::TlsFailed),
        (at(&elsewhere), "authenticate", Code::NotAMailServer),
        (
            with("postroom@example.org", "wrong-pw", DESK),
            "authenticate",
            Code::CredentialsRejected,
        ),
        (
            with(ADA, "ada-pw", DESK),
            "impersonate",
            Code::ImpersonationDenied,
        ),
        (
            with("postroom@example.org", "service-pw", "nobody@example.org"),
            "impersonate",
            Code::MailboxNotFound,
        ),
        (
            with("postroom@example.org", "service-pw", "ada.l@example.org"),
            "impersonate",
            Code::MailboxNotFound,
        ),
    ] {
        let steps = probed(&lab, &request).await;
        assert_eq!(first_failure(&steps), Some((step, code)), "{steps:?}");
        assert_eq!(steps.len(), 7, "{steps:?}");
        // The operations say the same.
        let provider = EwsFactory::exchange_server().create(&request).unwrap();
        let error = mail(&provider)
            .find_folder(&lab.ctx, WellKnownFolder::Inbox)
            .await
            .unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
    }
}

#[tokio::test]
async fn plain_http_is_refused_unless_it_is_allowed() {
    let lab = Lab::new().await;
    let mut request = lab.request(DESK);
    request.profile.danger_allow_plain_http = false;
    let error = EwsFactory::exchange_server().create(&request).unwrap_err();
    assert_eq!(error.code(), Code::InsecureConnectionRefused);
    let steps = probed(&lab, &request).await;
    assert_eq!(
        steps[0],
        (
            "configuration",
            ProbeOutcome::Failed(Code::InsecureConnectionRefused)
        )
    );
}

#[tokio::test]
async fn a_mailbox_may_sign_in_by_itself() {
    let lab = Lab::new().await;
    let mut request = lab.request(DESK);
    request.profile.incoming.credentials = CredentialSource::Mailbox;
    request.credentials = Some(Credentials::new(DESK, Secret::new("desk-pw")));
    let steps = probed(&lab, &request).await;
    assert_eq!(first_failure(&steps), None);
}

#[tokio::test]
async fn ews_that_is_switched_off_is_told() {
    let builder =
        Exchange::builder().account(Account::new(DESK).login(DESK, "desk-pw").ews_disabled());
    let lab = Lab::of(builder, ListenOptions::http()).await;
    let mut request = lab.request(DESK);
    request.credentials = Some(Credentials::new(DESK, Secret::new("desk-pw")));
    let steps = probed(&lab, &request).await;
    assert_eq!(
        first_failure(&steps),
        Some(("authenticate", Code::EwsDisabled))
    );
}

#[tokio::test]
async fn connections_are_shared_by_a_profile_and_identity_only() {
    let lab = Lab::new().await;
    let factory = EwsFactory::exchange_server();
    let one = factory.create(&lab.request(DESK)).unwrap();
    let two = factory.create(&lab.request(ADA)).unwrap();
    let mut other = lab.request(DESK);
    other.credentials = Some(Credentials::new(DESK, Secret::new("desk-pw")));
    let three = factory.create(&other).unwrap();
    let first = inbox(&lab, &one).await;
    assert_ne!(first, inbox(&lab, &two).await);
    assert_eq!(first, inbox(&lab, &three).await);
    let text = format!("{factory:?} {one:?} {three:?}");
    assert!(
        !text.contains("service-pw") && !text.contains("desk-pw"),
        "{text}"
    );
}
