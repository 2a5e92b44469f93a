use postroom_core::profile::CredentialSource;
use postroom_core::{Code, Secret};
use postroom_ews::EwsFactory;
use postroom_provider::{
    Credentials, ErrorKind, ProbeOutcome, ProviderFactory, ProviderRequest, WellKnownFolder,
};
use postroom_simulator::exchange::{Certificate, Exchange, Fault, ListenOptions};
use postroom_simulator::model::Account;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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

/// Answers every request with the same bytes, whatever is asked.
struct Canned {
    port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Canned {
    async fn answering(answer: String) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut seen = Vec::new();
                    let mut buffer = [0; 4096];
                    // A request is over with its envelope, or with its headers where it has none.
                    let over = |seen: &[u8]| {
                        let text = String::from_utf8_lossy(seen).into_owned();
                        // What is no HTTP, such as a greeting of TLS, is over at once.
                        (!seen.is_empty() && !seen[0].is_ascii_uppercase())
                            || text.contains(":Envelope>")
                            || (text.starts_with("GET") && text.contains("\r\n\r\n"))
                    };
                    while !over(&seen) {
                        match stream.read(&mut buffer).await {
                            Ok(read) if read > 0 => seen.extend_from_slice(&buffer[..read]),
                            _ => return,
                        }
                    }
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { port, task }
    }

    async fn page(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::answering(format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\
             Connection: close\r\n{headers}\r\n{body}"
        ))
        .await
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/EWS/Exchange.asmx", self.port)
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The steps up to the one that failed passed, those behind it were not reached, and the remedy is
/// in the catalogue.
fn stops_at(steps: &[(&'static str, ProbeOutcome)], step: &str, code: Code) {
    assert_eq!(
        first_failure(steps),
        Some((step_of(steps, step), code)),
        "{steps:?}"
    );
    let names: Vec<_> = steps.iter().map(|(name, _)| *name).collect();
    let all = [
        "resolve",
        "connect",
        "tls",
        "http",
        "authenticate",
        "impersonate",
        "open inbox",
    ];
    assert_eq!(names, all, "{steps:?}");
    let at = names.iter().position(|name| *name == step).unwrap();
    for (place, (_, outcome)) in steps.iter().enumerate() {
        match place.cmp(&at) {
            std::cmp::Ordering::Less => assert_eq!(*outcome, ProbeOutcome::Passed, "{steps:?}"),
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => {
                assert_eq!(*outcome, ProbeOutcome::NotReached, "{steps:?}");
            }
        }
    }
    assert!(code.spec().remedy.len() > 5, "{code} has no remedy");
}

fn step_of(steps: &[(&'static str, ProbeOutcome)], wanted: &str) -> &'static str {
    let mut names = steps.iter().map(|(name, _)| *name);
    names.find(|name| *name == wanted).unwrap_or("no such step")
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

#[tokio::test]
async fn each_wrong_setting_is_told_by_its_own_step() {
    let lab = Lab::new().await;
    let secure = Lab::of(builder(), ListenOptions::https()).await;
    let free = free_port();
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
    let clear = secure.listening.url().replace("https://", "http://");
    let elsewhere = plain.replace("/EWS/Exchange.asmx", "/owa/");
    for (request, step, code) in [
        (
            at("http://no-such-host.invalid/EWS/Exchange.asmx"),
            "resolve",
            Code::NameNotResolved,
        ),
        (
            at(&format!("http://127.0.0.1:{free}/EWS/Exchange.asmx")),
            "connect",
            Code::ConnectionRefused,
        ),
        (at(&tls), "tls", Code::TlsFailed),
        (at(&clear), "tls", Code::TlsExpected),
        (at(&elsewhere), "http", Code::NotAMailServer),
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
        stops_at(&steps, step, code);
        if code == Code::TlsExpected {
            // Only a probe finds out why nothing that can be understood comes back.
            continue;
        }
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
async fn a_wrong_certificate_is_told_from_an_unknown_authority() {
    for (certificate, code) in [
        (Certificate::Expired, Code::CertificateExpired),
        (Certificate::NotYetValid, Code::CertificateExpired),
        (Certificate::OtherName, Code::CertificateWrongName),
    ] {
        let options = ListenOptions::https().certificate(certificate);
        let lab = Lab::of(builder(), options).await;
        let steps = probed(&lab, &lab.request(DESK)).await;
        stops_at(&steps, "tls", code);
    }
    let lab = Lab::of(builder(), ListenOptions::https()).await;
    let mut untrusting = lab.request(DESK);
    untrusting.profile.extra_authorities_pem = None;
    let steps = probed(&lab, &untrusting).await;
    stops_at(&steps, "tls", Code::CertificateUntrusted);
}

#[tokio::test]
async fn each_answer_of_a_gateway_is_told_by_its_own_step() {
    let lab = Lab::new().await;
    let sign_in = "<html><title>Sign in</title></html>";
    let trouble = "<html><title>Server Error in '/EWS' Application.</title></html>";
    for (status, headers, body, step, code) in [
        ("200 OK", "", sign_in, "http", Code::NotAMailServer),
        (
            "302 Found",
            "Location: https://gw.example/sign-in\r\n",
            "",
            "http",
            Code::NotAMailServer,
        ),
        ("404 Not Found", "", "", "http", Code::NotAMailServer),
        (
            "401 Unauthorized",
            "WWW-Authenticate: Basic\r\n",
            "",
            "authenticate",
            Code::CredentialsRejected,
        ),
        ("403 Forbidden", "", "", "authenticate", Code::EwsDisabled),
        (
            "429 Too Many Requests",
            "Retry-After: 30\r\n",
            "",
            "http",
            Code::ServerBusy,
        ),
        ("500 Oops", "", trouble, "http", Code::ServerFault),
        ("502 Bad Gateway", "", "", "http", Code::ServerUnavailable),
        (
            "503 Service Unavailable",
            "Retry-After: 30\r\n",
            "",
            "http",
            Code::ServerUnavailable,
        ),
    ] {
        let server = Canned::page(status, headers, body).await;
        let mut request = lab.request(DESK);
        request.profile.incoming.location = Some(server.url());
        let steps = probed(&lab, &request).await;
        stops_at(&steps, step, code);
    }
    // Something that speaks another protocol.
    let server = Canned::answering("220 mail.example ESMTP\r\n".to_owned()).await;
    let mut request = lab.request(DESK);
    request.profile.incoming.location = Some(server.url());
    let steps = probed(&lab, &request).await;
    assert_eq!(first_failure(&steps).unwrap().0, "http", "{steps:?}");
}

#[tokio::test]
async fn what_exchange_itself_refuses_is_told_by_its_own_step() {
    let lab = Lab::new().await;
    let wait = Duration::from_secs(1);
    for (fault, step, code) in [
        (Fault::Throttle { back_off: wait }, "http", Code::ServerBusy),
        (Fault::Busy { back_off: wait }, "http", Code::ServerBusy),
        (
            Fault::Unauthorized,
            "authenticate",
            Code::CredentialsRejected,
        ),
        (
            Fault::ImpersonationRevoked,
            "impersonate",
            Code::ImpersonationDenied,
        ),
        (
            Fault::Code("ErrorAccountDisabled".to_owned()),
            "authenticate",
            Code::AccountUnavailable,
        ),
        (
            Fault::Code("ErrorAccessDenied".to_owned()),
            "open inbox",
            Code::AccessDenied,
        ),
        (
            Fault::Code("ErrorMailboxMoveInProgress".to_owned()),
            "open inbox",
            Code::ServerUnavailable,
        ),
        (
            Fault::Code("ErrorInternalServerError".to_owned()),
            "open inbox",
            Code::ServerFault,
        ),
    ] {
        lab.arm(fault);
        let steps = probed(&lab, &lab.request(DESK)).await;
        stops_at(&steps, step, code);
    }
    // One request shows all of it where all is well.
    let before = lab.exchange.requests("GetFolder");
    assert_eq!(first_failure(&probed(&lab, &lab.request(DESK)).await), None);
    assert_eq!(lab.exchange.requests("GetFolder") - before, 1);
}

#[tokio::test]
async fn an_account_is_tried_without_a_mailbox() {
    let quiet = Account::new("quiet@example.org")
        .login("quiet", "quiet-pw")
        .without_mailbox();
    let lab = Lab::of(builder().account(quiet), ListenOptions::http()).await;
    let factory = EwsFactory::exchange_server();
    let tried = async |user: Option<(&str, &str)>| {
        let credentials = user.map(|(user, pw)| Credentials::new(user, Secret::new(pw)));
        let mut profile = lab.profile();
        if credentials.is_none() {
            profile.incoming.credentials = CredentialSource::Mailbox;
        }
        let report = factory
            .probe_account(&lab.ctx, &profile, credentials.as_ref())
            .await;
        let steps: Vec<_> = report
            .steps
            .iter()
            .map(|step| (step.name, step.outcome))
            .collect();
        steps
    };
    for user in [
        ("postroom@example.org", "service-pw"),
        ("quiet", "quiet-pw"),
    ] {
        let steps = tried(Some(user)).await;
        assert_eq!(first_failure(&steps), None, "{steps:?}");
        assert_eq!(steps[4], ("authenticate", ProbeOutcome::Passed));
        assert_eq!(steps[5], ("impersonate", ProbeOutcome::NotReached));
        assert_eq!(steps.len(), 7, "{steps:?}");
    }
    let steps = tried(Some(("postroom@example.org", "wrong-pw"))).await;
    stops_at(&steps, "authenticate", Code::CredentialsRejected);
    // Without credentials it goes as far as it can.
    let steps = tried(None).await;
    assert_eq!(first_failure(&steps), None, "{steps:?}");
    assert_eq!(steps[3], ("http", ProbeOutcome::Passed));
    assert_eq!(steps[4], ("authenticate", ProbeOutcome::NotReached));
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
