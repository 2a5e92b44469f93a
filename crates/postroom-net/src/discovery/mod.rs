//! Finds the servers of Internet mail for an address.
//!
//! In this order: the domain's own configuration document (Mozilla's autoconfig), its service records (RFC
//! 6186 and 8314), what is known of the provider that its mail goes to, the directory that Thunderbird keeps.
//! All of it over HTTPS, apart from the domain name system; no password is sent, and the address itself only to
//! its own domain. Servers without TLS are passed over.
//!
//! Answers of the domain name system are not authenticated: a server that lies outside of the domain and that only they
//! name is marked as [`Discovered::needs_confirmation`]. Source: RFC 6186 section 6.

mod autoconfig;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use postroom_core::profile::{AuthenticationProtocol, Preset, ProfileKind};
use postroom_core::{EmailAddress, ServerProfile};
use postroom_provider::OpContext;
use url::{Host, Url};

use crate::dns::Dns;
use crate::error::{NetError, NetFailure};
use crate::http::{HttpRequest, HttpTransport, Method, StatusCode};
use crate::line::{LineProtocol, Security, ServerAddress};

/// Longest document that is read, in bytes.
const DOCUMENT_MAX: usize = 256 * 1024;
/// Redirections that are followed for one document.
const REDIRECTS_MAX: usize = 3;
/// Longest that one place is waited for.
const PLACE_TIME_MAX: Duration = Duration::from_secs(10);
/// Where Thunderbird's directory is.
const DIRECTORY: &str = "https://autoconfig.thunderbird.net/v1.1/";

/// What a server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever makes a profile must treat all three"
)]
pub enum MailService {
    /// Reading by IMAP.
    Imap,
    /// Reading by POP3.
    Pop3,
    /// Sending.
    Submission,
}

impl MailService {
    const fn protocol(self) -> LineProtocol {
        match self {
            Self::Imap => LineProtocol::IMAP,
            Self::Pop3 => LineProtocol::POP3,
            Self::Submission => LineProtocol::SUBMISSION,
        }
    }
}

/// What an account is called.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserName {
    /// As its address.
    Address,
    /// As what stands before the `@`.
    LocalPart,
    /// Like that.
    Other(String),
}

/// A server that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailServer {
    /// What it is for.
    pub service: MailService,
    /// Where it listens.
    pub address: ServerAddress,
    /// When TLS begins: at once, or after the greeting.
    pub security: Security,
    /// What accounts are called, where it was said.
    pub user_name: Option<UserName>,
    /// Whether passwords are taken, as far as it was said.
    pub password: bool,
    /// Whether OAuth 2.0 is taken, as far as it was said.
    pub oauth: bool,
}

impl MailServer {
    const fn new(service: MailService, address: ServerAddress, security: Security) -> Self {
        Self {
            service,
            address,
            security,
            user_name: None,
            password: true,
            oauth: false,
        }
    }

    /// The location for a profile: the host, and the scheme too where the port does not tell when TLS begins.
    #[must_use]
    pub fn location(&self) -> String {
        let protocol = self.service.protocol();
        let by_port = if self.address.port == protocol.port {
            Security::Upgrade
        } else {
            Security::Tls
        };
        let host = &self.address.host;
        match self.security {
            security if security == by_port => host.clone(),
            Security::Tls => format!("{}://{host}", protocol.tls_scheme),
            Security::Upgrade | Security::Plain => format!("{}://{host}", protocol.scheme),
        }
    }
}

/// How servers were found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FoundBy {
    /// A configuration document at this URL.
    Document(Url),
    /// Service records of the domain.
    ServiceRecords,
    /// What is known of the provider with this name; see [`Preset`].
    Preset(&'static str),
}

/// Servers of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Discovered {
    /// How they were found.
    pub by: FoundBy,
    /// The servers, preferred ones first.
    pub servers: Vec<MailServer>,
    /// Servers outside of the address's domain that only unauthenticated answers name: a person should say
    /// that they are right before a password goes there.
    pub needs_confirmation: Vec<String>,
}

impl Discovered {
    fn of(&self, service: MailService) -> Option<&MailServer> {
        self.servers.iter().find(|server| server.service == service)
    }

    /// The kind of profile that these servers make: by IMAP where it is there.
    #[must_use]
    pub fn kind(&self) -> Option<ProfileKind> {
        self.of(MailService::Submission)?;
        if self.of(MailService::Imap).is_some() {
            Some(ProfileKind::ImapSmtp)
        } else {
            self.of(MailService::Pop3).map(|_| ProfileKind::Pop3Smtp)
        }
    }

    /// Fills in the servers of a profile by its kind; answers whether there were any for it.
    pub fn apply(&self, profile: &mut ServerProfile) -> bool {
        let incoming = match profile.kind {
            ProfileKind::ImapSmtp => self.of(MailService::Imap),
            ProfileKind::Pop3Smtp => self.of(MailService::Pop3),
            _ => None,
        };
        let (Some(incoming), Some(outgoing)) = (incoming, self.of(MailService::Submission)) else {
            return false;
        };
        let authentication = if incoming.password {
            AuthenticationProtocol::Basic
        } else {
            AuthenticationProtocol::OAuth
        };
        profile.use_internet_servers(
            (&incoming.location(), Some(incoming.address.port)),
            (&outgoing.location(), Some(outgoing.address.port)),
            authentication,
        );
        true
    }
}

/// A place that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The place.
    pub place: String,
    /// What came of it, for people.
    pub outcome: String,
}

/// What came of a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Discovery {
    /// The servers, where any were found.
    pub found: Option<Discovered>,
    /// All places that were asked, in order.
    pub attempts: Vec<Attempt>,
}

impl Discovery {
    fn tried(&mut self, place: impl fmt::Display, outcome: impl Into<String>) {
        self.attempts.push(Attempt {
            place: place.to_string(),
            outcome: outcome.into(),
        });
    }
}

/// Finds servers. See the [module](self).
#[derive(Clone, Debug)]
pub struct Discoverer {
    transport: Arc<dyn HttpTransport>,
    dns: Arc<dyn Dns>,
    directory: bool,
}

impl Discoverer {
    /// One that asks by that transport and name service.
    #[must_use]
    pub const fn new(transport: Arc<dyn HttpTransport>, dns: Arc<dyn Dns>) -> Self {
        Self {
            transport,
            dns,
            directory: true,
        }
    }

    /// The same without Thunderbird's directory: nobody but the domain learns of the question.
    #[must_use]
    pub const fn without_directory(mut self) -> Self {
        self.directory = false;
        self
    }

    /// Looks for the servers of an address.
    ///
    /// What fails is told among the attempts. The deadline of `ctx` holds for each place together with a limit of
    /// its own.
    pub async fn find(&self, ctx: &OpContext, address: &EmailAddress) -> Discovery {
        let mut discovery = Discovery::default();
        let Ok(Host::Domain(domain)) = Host::parse(address.domain()) else {
            let outcome = "it is no domain: there is nobody to ask";
            discovery.tried(address.domain(), outcome);
            return discovery;
        };
        discovery.found = self.search(ctx, address, &domain, &mut discovery).await;
        discovery
    }

    async fn search(
        &self,
        ctx: &OpContext,
        address: &EmailAddress,
        domain: &str,
        discovery: &mut Discovery,
    ) -> Option<Discovered> {
        let known = "its servers are known";
        if let Some(preset) = Preset::of_domain(domain) {
            discovery.tried(format!("presets: {domain}"), known);
            return Some(by_preset(preset));
        }
        let own = [
            format!("https://autoconfig.{domain}/mail/config-v1.1.xml"),
            format!("https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml"),
        ];
        for place in own {
            let mut url = Url::parse(&place).ok()?;
            url.query_pairs_mut()
                .append_pair("emailaddress", address.as_str());
            let found = self.document(ctx, url, discovery).await;
            if found.is_some() {
                return found;
            }
        }
        if let Some(found) = self.service_records(ctx, domain, discovery).await {
            return Some(found);
        }
        let place = format!("MX {domain}");
        let asked = ctx.within(PLACE_TIME_MAX);
        let exchangers = self.bounded(ctx, self.dns.mail_exchangers(&asked, domain));
        match exchangers.await {
            Ok(hosts) => {
                let preset = hosts
                    .iter()
                    .find_map(|host| Preset::of_mail_exchanger(host));
                if let Some(preset) = preset {
                    let outcome = format!("its mail goes to {}, and {known}", preset.title);
                    discovery.tried(place, outcome);
                    let mut found = by_preset(preset);
                    found.needs_confirmation = foreign(&found.servers, domain);
                    return Some(found);
                }
                discovery.tried(place, "names nobody whose servers are known");
            }
            Err(error) => discovery.tried(place, error.cause()),
        }
        if !self.directory {
            return None;
        }
        let url = Url::parse(DIRECTORY).and_then(|directory| directory.join(domain));
        self.document(ctx, url.ok()?, discovery).await
    }

    /// A configuration document, without its query among the attempts: that is the address.
    async fn document(
        &self,
        ctx: &OpContext,
        url: Url,
        discovery: &mut Discovery,
    ) -> Option<Discovered> {
        let mut place = url.clone();
        place.set_query(None);
        match self.bounded(ctx, self.read(ctx, url)).await {
            Ok(Some(text)) => match autoconfig::read(&text) {
                Ok(servers) => {
                    discovery.tried(&place, "has the servers");
                    return Some(Discovered {
                        by: FoundBy::Document(place),
                        servers,
                        needs_confirmation: Vec::new(),
                    });
                }
                Err(problem) => discovery.tried(&place, problem),
            },
            Ok(None) => discovery.tried(&place, "has no such document"),
            Err(error) => discovery.tried(&place, error.cause()),
        }
        None
    }

    /// Reads a document; `None` where there is none.
    async fn read(&self, ctx: &OpContext, mut url: Url) -> Result<Option<String>, NetError> {
        for _ in 0..=REDIRECTS_MAX {
            let request = HttpRequest::new(Method::GET, url.clone());
            let mut answer = self.transport.send(ctx, request).await?;
            if answer.status.is_redirection() {
                let next = answer
                    .header("location")
                    .and_then(|next| url.join(next).ok());
                match next.filter(|next| next.scheme() == "https") {
                    Some(next) => url = next,
                    None => {
                        return Err(NetError::new(NetFailure::InsecureRefused, false)
                            .with_detail("it leads to where there is no TLS"));
                    }
                }
                continue;
            }
            if answer.status != StatusCode::OK {
                return Ok(None);
            }
            let bytes = answer.body.read_up_to(DOCUMENT_MAX + 1).await?;
            if bytes.len() > DOCUMENT_MAX {
                return Err(NetError::new(NetFailure::NotHttp, false)
                    .with_detail("its document is longer than any real one"));
            }
            return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
        }
        Err(NetError::new(NetFailure::NotHttp, false).with_detail("it leads in circles"))
    }

    async fn service_records(
        &self,
        ctx: &OpContext,
        domain: &str,
        discovery: &mut Discovery,
    ) -> Option<Discovered> {
        // RFC 8314 section 5: TLS at once comes first.
        const SERVICES: [(&str, MailService, Security); 6] = [
            ("_imaps", MailService::Imap, Security::Tls),
            ("_imap", MailService::Imap, Security::Upgrade),
            ("_pop3s", MailService::Pop3, Security::Tls),
            ("_pop3", MailService::Pop3, Security::Upgrade),
            ("_submissions", MailService::Submission, Security::Tls),
            ("_submission", MailService::Submission, Security::Upgrade),
        ];
        let place = format!("SRV {domain}");
        let mut servers: Vec<MailServer> = Vec::new();
        for (label, service, security) in SERVICES {
            let name = format!("{label}._tcp.{domain}");
            let asked = ctx.within(PLACE_TIME_MAX);
            let targets = match self.bounded(ctx, self.dns.services(&asked, &name)).await {
                Ok(targets) => targets,
                Err(error) => {
                    // A name service that does not answer will not answer the next question either.
                    discovery.tried(place, error.cause());
                    return None;
                }
            };
            // An empty name says that the service is not offered: RFC 6186 section 3.4.
            servers.extend(targets.into_iter().filter_map(|target| {
                let host = Host::parse(&target.host).ok()?.to_string();
                let address = ServerAddress::new(host, target.port);
                Some(MailServer::new(service, address, security))
            }));
        }
        let found = Discovered {
            by: FoundBy::ServiceRecords,
            needs_confirmation: foreign(&servers, domain),
            servers,
        };
        if found.kind().is_none() {
            let outcome = if found.servers.is_empty() {
                "has no records of mail services"
            } else {
                "does not name both a server to read from and one to send by"
            };
            discovery.tried(place, outcome);
            return None;
        }
        discovery.tried(place, "has the servers");
        Some(found)
    }

    async fn bounded<T>(
        &self,
        ctx: &OpContext,
        future: impl Future<Output = Result<T, NetError>> + Send,
    ) -> Result<T, NetError> {
        let limit = ctx
            .remaining()
            .map_or(PLACE_TIME_MAX, |left| left.min(PLACE_TIME_MAX));
        tokio::select! {
            biased;
            result = future => result,
            () = ctx.clock.sleep(limit) => Err(NetError::new(NetFailure::TimedOut, false)),
            () = ctx.cancellation.cancelled() => Err(NetError::new(NetFailure::TimedOut, false)),
        }
    }
}

/// Hosts that do not belong to a domain.
fn foreign(servers: &[MailServer], domain: &str) -> Vec<String> {
    let within = |host: &str| {
        host.strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let mut hosts: Vec<String> = servers
        .iter()
        .map(|server| server.address.host.clone())
        .filter(|host| !within(host))
        .collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

fn by_preset(preset: &'static Preset) -> Discovered {
    let upgraded = [
        LineProtocol::IMAP,
        LineProtocol::POP3,
        LineProtocol::SUBMISSION,
    ];
    let known = [
        (MailService::Imap, preset.imap),
        (MailService::Pop3, preset.pop3),
        (MailService::Submission, Some(preset.smtp)),
    ];
    let servers = known.into_iter().filter_map(|(service, server)| {
        let server = server?;
        let upgrade = upgraded.iter().any(|protocol| protocol.port == server.port);
        let security = if upgrade {
            Security::Upgrade
        } else {
            Security::Tls
        };
        let address = ServerAddress::new(server.host, server.port);
        let mut found = MailServer::new(service, address, security);
        found.user_name = Some(UserName::Address);
        let oauth_only = preset.sign_in == postroom_core::profile::SignInWith::OAuth;
        found.password = !oauth_only;
        found.oauth = oauth_only;
        Some(found)
    });
    Discovered {
        by: FoundBy::Preset(preset.name),
        servers: servers.collect(),
        needs_confirmation: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
