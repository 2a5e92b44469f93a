use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use postroom_core::ProfileId;

use super::*;
use crate::dns::{ServiceTarget, in_order};
use crate::http::{HeaderMap, HttpResponse, ResponseBody};
use crate::line::locate;

const DOCUMENT: &str = r#"<?xml version="1.0"?>
<clientConfig version="1.1"><emailProvider id="example.org">
  <domain>example.org</domain>
  <incomingServer type="pop3"><hostname>pop.example.org</hostname><port>110</port>
    <socketType>plain</socketType><authentication>password-cleartext</authentication></incomingServer>
  <incomingServer type="pop3"><hostname>pop.example.org</hostname><port>1995</port>
    <socketType>STARTTLS</socketType><username>%EMAILLOCALPART%</username>
    <authentication>OAuth2</authentication></incomingServer>
  <incomingServer type="imap"><hostname>imap.example.org</hostname><port>993</port>
    <socketType>SSL</socketType><username>%EMAILADDRESS%</username>
    <authentication>OAuth2</authentication><authentication>password-cleartext</authentication></incomingServer>
  <outgoingServer type="smtp"><hostname>mail.example.org</hostname><port>587</port>
    <socketType>STARTTLS</socketType></outgoingServer>
</emailProvider></clientConfig>"#;

/// What the web and the domain name system hold.
#[derive(Debug, Default)]
struct World {
    documents: BTreeMap<String, (u16, String)>,
    services: BTreeMap<String, Vec<ServiceTarget>>,
    exchangers: Vec<String>,
    silent: bool,
    asked: Mutex<Vec<String>>,
}

impl World {
    fn with(mut self, url: &str, status: u16, text: impl Into<String>) -> Self {
        self.documents.insert(url.to_owned(), (status, text.into()));
        self
    }

    fn serving(mut self, name: &str, target: ServiceTarget) -> Self {
        let targets = self.services.entry(name.to_owned()).or_default();
        targets.push(target);
        in_order(targets);
        self
    }

    async fn find(self, address: &str) -> (Discovery, Vec<String>) {
        let world = Arc::new(self);
        let ctx = OpContext::system().unwrap();
        let address: EmailAddress = address.parse().unwrap();
        let found = Discoverer::new(Arc::<Self>::clone(&world), Arc::<Self>::clone(&world))
            .find(&ctx, &address)
            .await;
        let asked = world.asked.lock().unwrap().clone();
        (found, asked)
    }
}

#[async_trait]
impl HttpTransport for World {
    async fn send(&self, _: &OpContext, request: HttpRequest) -> Result<HttpResponse, NetError> {
        let url = request.url.to_string();
        self.asked.lock().unwrap().push(url.clone());
        let mut headers = HeaderMap::new();
        let (status, text) = match self.documents.get(&url) {
            Some((status, text)) => (*status, text.clone()),
            None => return Err(NetError::new(NetFailure::NameNotResolved, false)),
        };
        if (300..400).contains(&status) {
            headers.insert("location", text.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let body = ResponseBody::from_bytes(text);
        Ok(HttpResponse::new(status, headers, body))
    }
}

#[async_trait]
impl Dns for World {
    async fn services(&self, _: &OpContext, name: &str) -> Result<Vec<ServiceTarget>, NetError> {
        if self.silent {
            return Err(NetError::new(NetFailure::NameNotResolved, false));
        }
        Ok(self.services.get(name).cloned().unwrap_or_default())
    }

    async fn mail_exchangers(&self, _: &OpContext, _: &str) -> Result<Vec<String>, NetError> {
        if self.silent {
            return Err(NetError::new(NetFailure::NameNotResolved, false));
        }
        Ok(self.exchangers.clone())
    }
}

const FIRST: &str =
    "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=anna%40example.org";
const SECOND: &str = "https://example.org/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=anna%40example.org";

fn profile(kind: ProfileKind) -> ServerProfile {
    ServerProfile::new(ProfileId::from_random([1; 16]), "p", kind)
}

#[tokio::test]
async fn the_domains_own_document_comes_first_and_servers_without_tls_are_passed_over() {
    let world = World::default().with(FIRST, 200, DOCUMENT);
    let (discovery, asked) = world.find("anna@example.org").await;
    assert_eq!(asked, [FIRST]);
    let found = discovery.found.unwrap();
    let hosts: Vec<_> = found
        .servers
        .iter()
        .map(|s| s.address.to_string())
        .collect();
    let expected = [
        "pop.example.org:1995",
        "imap.example.org:993",
        "mail.example.org:587",
    ];
    assert_eq!(hosts, expected);
    assert_eq!(found.servers[0].user_name, Some(UserName::LocalPart));
    assert!(!found.servers[0].password && found.servers[0].oauth);
    assert_eq!(found.kind(), Some(ProfileKind::ImapSmtp));

    for (kind, authentication) in [
        (ProfileKind::ImapSmtp, AuthenticationProtocol::Basic),
        (ProfileKind::Pop3Smtp, AuthenticationProtocol::OAuth),
    ] {
        let mut profile = profile(kind);
        assert!(found.apply(&mut profile));
        assert_eq!(profile.validate(), Ok(()));
        assert_eq!(profile.incoming.authentication, authentication);
    }
    assert!(!found.apply(&mut profile(ProfileKind::ExchangeServer)));
    // What the address is goes to its own domain and into no listing.
    assert!(!discovery.attempts.iter().any(|a| a.place.contains("anna")));
}

#[test]
fn a_location_says_when_tls_begins_where_the_port_does_not() {
    for (service, port, security, location) in [
        (MailService::Imap, 993, Security::Tls, "h.example"),
        (MailService::Imap, 143, Security::Upgrade, "h.example"),
        (MailService::Imap, 143, Security::Tls, "imaps://h.example"),
        (
            MailService::Submission,
            2525,
            Security::Upgrade,
            "smtp://h.example",
        ),
        (
            MailService::Pop3,
            1995,
            Security::Upgrade,
            "pop3://h.example",
        ),
    ] {
        let address = ServerAddress::new("h.example", port);
        let server = MailServer::new(service, address.clone(), security);
        assert_eq!(server.location(), location);
        // The adapters understand it so.
        let mut profile = profile(ProfileKind::ImapSmtp);
        profile.incoming.location = Some(server.location());
        profile.incoming.port = Some(port);
        let located = locate(&service.protocol(), &profile.incoming).unwrap();
        assert_eq!(located, (address, security), "{location}");
    }
}

#[tokio::test]
async fn redirections_are_followed_as_long_as_there_is_tls() {
    let elsewhere = "https://elsewhere.example/doc.xml";
    let world = World::default()
        .with(SECOND, 301, elsewhere)
        .with(elsewhere, 200, DOCUMENT);
    let (discovery, _) = world.find("anna@example.org").await;
    assert!(discovery.found.is_some());

    for bad in ["http://elsewhere.example/doc.xml", SECOND] {
        let world = World::default().with(SECOND, 302, bad);
        let (discovery, asked) = world.find("anna@example.org").await;
        assert_eq!(discovery.found, None);
        assert!(asked.len() < 10, "{asked:?}");
        let outcome = &discovery.attempts[1].outcome;
        assert!(
            outcome.contains("no TLS") || outcome.contains("circles"),
            "{outcome}"
        );
    }
}

#[tokio::test]
async fn service_records_are_taken_in_their_order_and_strangers_need_a_word() {
    let world = World::default()
        .serving(
            "_imaps._tcp.example.org",
            ServiceTarget::new(10, 0, "b.example.org", 993),
        )
        .serving(
            "_imaps._tcp.example.org",
            ServiceTarget::new(0, 1, "a.example.org", 993),
        )
        .serving("_imap._tcp.example.org", ServiceTarget::new(0, 0, "", 0))
        .serving(
            "_submission._tcp.example.org",
            ServiceTarget::new(0, 1, "out.host.example", 587),
        );
    let (discovery, _) = world.find("anna@example.org").await;
    let found = discovery.found.unwrap();
    assert_eq!(found.by, FoundBy::ServiceRecords);
    assert_eq!(found.needs_confirmation, ["out.host.example"]);
    let hosts: Vec<_> = found
        .servers
        .iter()
        .map(|s| s.address.host.as_str())
        .collect();
    assert_eq!(
        hosts,
        ["a.example.org", "b.example.org", "out.host.example"]
    );
    assert_eq!(found.servers[2].security, Security::Upgrade);
}

#[tokio::test]
async fn a_domain_whose_mail_goes_to_a_known_provider_has_its_servers() {
    let world = World {
        exchangers: vec!["aspmx.l.google.com".to_owned()],
        ..World::default()
    };
    let (discovery, _) = world.find("anna@example.org").await;
    let found = discovery.found.unwrap();
    assert_eq!(found.by, FoundBy::Preset("gmail"));
    assert!(
        found
            .needs_confirmation
            .contains(&"imap.gmail.com".to_owned())
    );
    assert_eq!(discovery.attempts.len(), 4, "{:?}", discovery.attempts);
    // Of its own domain it is known without asking anybody.
    let (discovery, asked) = World::default().find("anna@gmail.com").await;
    assert!(asked.is_empty());
    assert_eq!(
        discovery.found.unwrap().needs_confirmation,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn the_directory_comes_last_and_does_not_learn_the_address() {
    let directory = "https://autoconfig.thunderbird.net/v1.1/example.org";
    let world = World::default().with(directory, 200, DOCUMENT);
    let (discovery, asked) = world.find("anna@example.org").await;
    assert!(discovery.found.is_some());
    assert_eq!(asked.last().map(String::as_str), Some(directory));

    let world = Arc::new(World::default().with(directory, 200, DOCUMENT));
    let discoverer = Discoverer::new(Arc::<World>::clone(&world), world).without_directory();
    let ctx = OpContext::system().unwrap();
    let address = "anna@example.org".parse().unwrap();
    assert_eq!(discoverer.find(&ctx, &address).await.found, None);
}

#[tokio::test]
async fn whatever_comes_back_each_place_says_what_became_of_it() {
    let large = format!("<clientConfig>{}</clientConfig>", " ".repeat(DOCUMENT_MAX));
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bb\">]><clientConfig>&b;</clientConfig>";
    let no_port = DOCUMENT.replace("<port>", "<port>0");
    let no_port = no_port.replace("<port>0", "<port>99999");
    for (text, words) in [
        ("", "no XML"),
        ("<html/>", "no configuration document"),
        ("<clientConfig/>", "names no server"),
        (bomb, "no XML"),
        (large.as_str(), "longer than any"),
        (no_port.as_str(), "names no server"),
        (&DOCUMENT.replace("outgoingServer", "x"), "names no server"),
    ] {
        let world = World::default()
            .with(FIRST, 200, text)
            .with(SECOND, 404, "");
        let (discovery, _) = world.find("anna@example.org").await;
        assert_eq!(discovery.found, None);
        let outcomes: Vec<_> = discovery.attempts.iter().map(|a| &a.outcome).collect();
        assert!(outcomes[0].contains(words), "{outcomes:?}");
        assert_eq!(outcomes[1], "has no such document");
    }
    let world = World {
        silent: true,
        ..World::default()
    };
    let (discovery, _) = world.find("anna@example.org").await;
    assert_eq!(discovery.found, None);
    let (discovery, asked) = World::default().find("anna@[127.0.0.1]").await;
    assert!(asked.is_empty() && discovery.attempts.len() == 1);
}
