//! What a profile's location means for a protocol of lines.

use postroom_core::profile::Endpoint;
use url::{Host, Url};

use super::connector::Security;
use super::dial::ServerAddress;
use crate::error::{NetError, NetFailure};

/// The ports and schemes of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LineProtocol {
    /// The scheme in front of a location where TLS comes later or never: `pop3`.
    pub scheme: &'static str,
    /// The scheme where TLS comes first: `pop3s`.
    pub tls_scheme: &'static str,
    /// The port where TLS comes later or never.
    pub port: u16,
    /// The port where TLS comes first.
    pub tls_port: u16,
}

impl LineProtocol {
    /// POP3. Source: RFC 1939, RFC 8314.
    pub const POP3: Self = Self::new("pop3", "pop3s", 110, 995);
    /// IMAP. Source: RFC 9051, RFC 8314.
    pub const IMAP: Self = Self::new("imap", "imaps", 143, 993);
    /// Submission. Source: RFC 6409, RFC 8314.
    pub const SUBMISSION: Self = Self::new("smtp", "smtps", 587, 465);

    const fn new(scheme: &'static str, tls_scheme: &'static str, port: u16, tls_port: u16) -> Self {
        Self {
            scheme,
            tls_scheme,
            port,
            tls_port,
        }
    }
}

/// Where the server of an endpoint listens, and when TLS begins there.
///
/// A location is a host, with a port or without, or a URL of the protocol's schemes. With `ssl`, TLS comes
/// first, except at the protocol's clear port or behind its clear scheme: there the connection is upgraded,
/// or given up. Without `ssl` there is no TLS.
///
/// # Errors
/// `Misconfigured`, with what is wrong about the location.
pub fn locate(
    protocol: &LineProtocol,
    endpoint: &Endpoint,
) -> Result<(ServerAddress, Security), NetError> {
    let bad = |problem: &str| NetError::new(NetFailure::Misconfigured, false).with_detail(problem);
    let text = endpoint.location.as_deref().unwrap_or_default().trim();
    if text.is_empty() {
        return Err(bad("the location is needed: a host name"));
    }
    let whole = if text.contains("://") {
        text.to_owned()
    } else if text.parse::<std::net::Ipv6Addr>().is_ok() {
        format!("any://[{text}]")
    } else {
        format!("any://{text}")
    };
    let url = Url::parse(&whole)
        .map_err(|error| bad("the location is no host name").with_source(error))?;
    let scheme = match url.scheme() {
        "any" => None,
        scheme if scheme == protocol.scheme || scheme == protocol.tls_scheme => Some(scheme),
        _ => return Err(bad("the location belongs to another protocol")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("the location must not hold a user name or password"));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("the location must be a host name, without a path"));
    }
    let host = match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(Host::Domain(_)) | None => return Err(bad("the location is no host name")),
    };
    let named = url.port().or(endpoint.port);
    let clear = match scheme {
        Some(scheme) => scheme == protocol.scheme,
        None => named == Some(protocol.port),
    };
    let security = match (endpoint.ssl, clear) {
        (true, false) => Security::Tls,
        (true, true) => Security::Upgrade,
        (false, _) => Security::Plain,
    };
    let port = named.unwrap_or(match security {
        Security::Tls => protocol.tls_port,
        Security::Upgrade | Security::Plain => protocol.port,
    });
    Ok((ServerAddress::new(host, port), security))
}

/// The spelling of a domain in ASCII (IDNA), as it stands in the commands of servers that know nothing else;
/// `None` where it has none.
#[must_use]
pub fn ascii_domain(domain: &str) -> Option<String> {
    match Host::parse(domain) {
        Ok(Host::Domain(name)) if !name.is_empty() => Some(name),
        _ => None,
    }
}
