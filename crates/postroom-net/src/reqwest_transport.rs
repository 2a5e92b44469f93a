//! HTTP over TCP and TLS, by reqwest.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use postroom_core::ServerProfile;
use postroom_provider::OpContext;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::error::{NetError, NetFailure};
use crate::http::{
    BodyPart, ChunkSource, HeaderValue, HttpRequest, HttpResponse, HttpTransport, PartReader,
    ResponseBody, header,
};

/// Who we say we are: organizations filter on it, so it is the truth.
pub const USER_AGENT: &str = concat!("Postroom/", env!("CARGO_PKG_VERSION"));

/// How a [`ReqwestTransport`] connects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct TransportSettings {
    /// PEM certificates of authorities to trust beside the platform's.
    pub extra_authorities_pem: Option<String>,
    /// Accept `http` locations.
    pub danger_allow_plain_http: bool,
    /// Connections that are kept open while idle.
    pub idle_connections_max: usize,
    /// How long an idle connection is kept. Below the two minutes after which IIS closes it, so that
    /// a request is seldom written to a connection that the server has just given up.
    pub idle_timeout: Duration,
    /// Give up connecting (TCP and TLS) after this long.
    pub connect_timeout: Duration,
    /// Give up when nothing arrives for this long.
    pub read_timeout: Duration,
    /// Connect directly, whatever proxy the environment names: for addresses of this machine.
    pub no_proxy: bool,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            extra_authorities_pem: None,
            danger_allow_plain_http: false,
            idle_connections_max: 10,
            idle_timeout: Duration::from_secs(90),
            connect_timeout: Duration::from_secs(20),
            read_timeout: postroom_core::profile::REQUEST_TIMEOUT_MAX,
            no_proxy: false,
        }
    }
}

impl TransportSettings {
    /// The settings that a profile asks for.
    #[must_use]
    pub fn of_profile(profile: &ServerProfile) -> Self {
        let defaults = Self::default();
        Self {
            extra_authorities_pem: profile.extra_authorities_pem.clone(),
            danger_allow_plain_http: profile.danger_allow_plain_http,
            idle_connections_max: usize::from(profile.connections_max),
            connect_timeout: defaults.connect_timeout.min(profile.request_timeout),
            read_timeout: profile.request_timeout,
            no_proxy: profile.incoming.location.as_deref().is_some_and(is_local),
            ..defaults
        }
    }
}

/// HTTP over TCP and TLS: rustls with the platform's authorities, connections kept alive, gzip
/// answers, no redirects, no cookies.
///
/// Proxies are taken from the environment (`HTTPS_PROXY`, `NO_PROXY`), unless the settings say
/// otherwise.
pub struct ReqwestTransport {
    client: reqwest::Client,
    settings: TransportSettings,
}

impl ReqwestTransport {
    /// A transport with a connection pool of its own.
    ///
    /// # Errors
    /// `Misconfigured` where the extra authorities are no PEM certificates.
    pub fn new(settings: TransportSettings) -> Result<Self, NetError> {
        Ok(Self {
            client: client(&settings)?,
            settings,
        })
    }
}

impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestTransport")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

fn client(settings: &TransportSettings) -> Result<reqwest::Client, NetError> {
    let misconfigured = |error: reqwest::Error| {
        NetError::new(NetFailure::Misconfigured, false)
            .with_detail("the extra authorities or the platform's cannot be used")
            .with_source(error)
    };
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .gzip(true)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .http1_only()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(settings.idle_connections_max)
        .pool_idle_timeout(settings.idle_timeout)
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.read_timeout)
        .dns_resolver(Arc::new(SystemResolver));
    if settings.no_proxy {
        builder = builder.no_proxy();
    }
    if let Some(pem) = &settings.extra_authorities_pem {
        let authorities =
            reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(misconfigured)?;
        builder = builder.tls_certs_merge(authorities);
    }
    builder.build().map_err(misconfigured)
}

/// Whether a location, a URL or a host, is on this machine, to which no proxy leads.
fn is_local(location: &str) -> bool {
    let url = if location.contains("://") {
        Url::parse(location)
    } else {
        Url::parse(&format!("https://{location}"))
    };
    match url.as_ref().map(Url::host) {
        Ok(Some(Host::Ipv4(ip))) => ip.is_loopback(),
        Ok(Some(Host::Ipv6(ip))) => ip.is_loopback(),
        Ok(Some(Host::Domain(name))) => name == "localhost" || name.ends_with(".localhost"),
        Ok(None) | Err(_) => false,
    }
}

#[async_trait]
impl HttpTransport for ReqwestTransport {
    async fn send(&self, _ctx: &OpContext, request: HttpRequest) -> Result<HttpResponse, NetError> {
        check_scheme(&request.url, self.settings.danger_allow_plain_http)?;
        let length = request.content_length();
        let mut headers = request.headers;
        if let Some(value) = request.authentication.authorization() {
            headers.insert(header::AUTHORIZATION, value);
        }
        let mut builder = self.client.request(request.method, request.url);
        if length > 0 {
            // With it in place the body is sent as it is, not in chunks.
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            builder = builder.body(body(request.body));
        }
        let response = builder.headers(headers).send().await.map_err(classify)?;
        let status = response.status();
        let headers = response.headers().clone();
        Ok(HttpResponse::new(
            status,
            headers,
            ResponseBody::new(Chunks(response)),
        ))
    }
}

/// Refuses what would send credentials in clear text, and what is no URL of HTTP.
pub(crate) fn check_scheme(url: &Url, allow_plain: bool) -> Result<(), NetError> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if allow_plain => Ok(()),
        "http" => Err(NetError::new(NetFailure::InsecureRefused, false)),
        _ => Err(NetError::new(NetFailure::Misconfigured, false)
            .with_detail("the location must begin with https")),
    }
}

fn body(parts: Vec<BodyPart>) -> reqwest::Body {
    match <[BodyPart; 1]>::try_from(parts) {
        Ok([BodyPart::Bytes(bytes)]) => reqwest::Body::from(bytes),
        Ok(parts) => streamed(parts.into()),
        Err(parts) => streamed(parts),
    }
}

fn streamed(parts: Vec<BodyPart>) -> reqwest::Body {
    let state = (parts.into_iter(), None::<PartReader>);
    reqwest::Body::wrap_stream(stream::try_unfold(
        state,
        |(mut parts, mut open)| async move {
            loop {
                if let Some(reader) = &mut open
                    && let Some(chunk) = reader.next_chunk()?
                {
                    return Ok::<_, std::io::Error>(Some((chunk, (parts, open))));
                }
                match parts.next() {
                    Some(part) => open = Some(part.reader()),
                    None => return Ok(None),
                }
            }
        },
    ))
}

struct Chunks(reqwest::Response);

#[async_trait]
impl ChunkSource for Chunks {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        self.0.chunk().await.map_err(classify)
    }
}

/// The machine's own resolver, its failures recognisable.
struct SystemResolver;

/// The name has no address.
#[derive(Debug, thiserror::Error)]
#[error("no address for that name")]
struct NoAddress(#[source] Option<std::io::Error>);

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0))
                .await
                .map_err(|error| NoAddress(Some(error)))?
                .collect();
            if found.is_empty() {
                return Err(NoAddress(None).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Finds out what happened from the chain of causes, which holds it as types, not as text.
fn classify(error: reqwest::Error) -> NetError {
    let failure = failure_of(&error).unwrap_or_else(|| {
        if error.is_timeout() {
            NetFailure::TimedOut
        } else if error.is_builder() {
            NetFailure::Misconfigured
        } else {
            NetFailure::Lost
        }
    });
    let may_have_arrived = !error.is_connect()
        && !error.is_builder()
        && !matches!(
            failure,
            NetFailure::NameNotResolved
                | NetFailure::ConnectionRefused
                | NetFailure::CertificateUntrusted
                | NetFailure::CertificateExpired
                | NetFailure::CertificateWrongName
        );
    // The URL may hold what no log should.
    NetError::new(failure, may_have_arrived).with_source(error.without_url())
}

pub(crate) fn failure_of(error: &(dyn StdError + 'static)) -> Option<NetFailure> {
    let mut next = Some(error);
    // Causes do not form rings, but a bound costs nothing.
    for _ in 0..32 {
        let error = next?;
        if error.is::<NoAddress>() {
            return Some(NetFailure::NameNotResolved);
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls_failure(tls));
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            if let Some(inner) = io.get_ref() {
                let inner: &(dyn StdError + 'static) = inner;
                if let Some(found) = failure_of(inner) {
                    return Some(found);
                }
            }
            match io.kind() {
                std::io::ErrorKind::ConnectionRefused => {
                    return Some(NetFailure::ConnectionRefused);
                }
                std::io::ErrorKind::TimedOut => return Some(NetFailure::TimedOut),
                _ => {}
            }
        }
        next = error.source();
    }
    None
}

fn tls_failure(error: &rustls::Error) -> NetFailure {
    use rustls::CertificateError as Fault;
    match error {
        rustls::Error::InvalidCertificate(
            Fault::Expired
            | Fault::ExpiredContext { .. }
            | Fault::NotValidYet
            | Fault::NotValidYetContext { .. },
        ) => NetFailure::CertificateExpired,
        rustls::Error::InvalidCertificate(
            Fault::NotValidForName | Fault::NotValidForNameContext { .. },
        ) => NetFailure::CertificateWrongName,
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            NetFailure::CertificateUntrusted
        }
        _ => NetFailure::TlsFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_recognised() {
        for (location, local) in [
            ("http://127.0.0.1:1/x", true),
            ("localhost:8443", true),
            ("https://[::1]/", true),
            ("mail.example.org", false),
            ("https://localhost.example.org/", false),
            ("", false),
        ] {
            assert_eq!(is_local(location), local, "{location}");
        }
    }

    #[test]
    fn authorities_must_be_certificates() {
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let settings = TransportSettings {
            extra_authorities_pem: Some(pem.to_owned()),
            ..TransportSettings::default()
        };
        let error = ReqwestTransport::new(settings).unwrap_err();
        assert_eq!(error.failure(), NetFailure::Misconfigured);
        assert!(!error.may_have_arrived());
    }

    #[test]
    fn clear_text_needs_permission() {
        let url = Url::parse("http://x.example/").unwrap();
        let refused = check_scheme(&url, false).unwrap_err();
        assert_eq!(refused.failure(), NetFailure::InsecureRefused);
        assert!(check_scheme(&url, true).is_ok());
        let url = Url::parse("ftp://x.example/").unwrap();
        assert!(check_scheme(&url, true).is_err());
    }
}
