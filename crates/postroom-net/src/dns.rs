//! What the domain name system says beside addresses: services and mail exchangers.

use std::fmt;
use std::net::SocketAddr;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use postroom_provider::OpContext;

use crate::error::{NetError, NetFailure};

/// Where a service is to be had. Source: RFC 2782.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ServiceTarget {
    /// Lower comes first.
    pub priority: u16,
    /// Among equals, the higher is preferred.
    pub weight: u16,
    /// The host, without a dot at the end; empty where the service is decidedly not offered.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl ServiceTarget {
    /// A target.
    #[must_use]
    pub fn new(priority: u16, weight: u16, host: impl Into<String>, port: u16) -> Self {
        Self {
            priority,
            weight,
            host: host.into(),
            port,
        }
    }
}

/// Asks the domain name system. A trait, so that a simulation can take its place.
///
/// # Contract
/// - What does not exist is an empty answer, not an error.
/// - The caller bounds the time.
#[async_trait]
pub trait Dns: fmt::Debug + Send + Sync + 'static {
    /// The targets of a service, `_imaps._tcp.example.org`, in the order of RFC 2782; the weights decide
    /// without chance, the highest first.
    ///
    /// # Errors
    /// `NameNotResolved` where no server answers.
    async fn services(&self, ctx: &OpContext, name: &str) -> Result<Vec<ServiceTarget>, NetError>;

    /// The hosts that take in mail for a domain, preferred ones first, without a dot at the end.
    ///
    /// # Errors
    /// `NameNotResolved` where no server answers.
    async fn mail_exchangers(&self, ctx: &OpContext, domain: &str)
    -> Result<Vec<String>, NetError>;
}

/// Most records of an answer that are looked at.
const RECORDS_MAX: usize = 32;

/// The name servers that the system is configured with.
#[derive(Clone)]
pub struct SystemDns(TokioResolver);

impl SystemDns {
    /// Reads the system's configuration.
    ///
    /// # Errors
    /// `Misconfigured` where it has none.
    pub fn new() -> Result<Self, NetError> {
        let unusable = |error| {
            NetError::new(NetFailure::Misconfigured, false)
                .with_detail("the system's name servers cannot be read")
                .with_source(error)
        };
        let builder = TokioResolver::builder_tokio().map_err(unusable)?;
        Ok(Self(builder.build().map_err(unusable)?))
    }

    /// Asks one name server and no other.
    ///
    /// # Errors
    /// `Misconfigured` where the resolver cannot be made.
    pub fn at(server: SocketAddr) -> Result<Self, NetError> {
        let mut udp = ConnectionConfig::udp();
        let mut tcp = ConnectionConfig::tcp();
        (udp.port, tcp.port) = (server.port(), server.port());
        let server = NameServerConfig::new(server.ip(), true, vec![udp, tcp]);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let provider = TokioRuntimeProvider::default();
        let resolver = TokioResolver::builder_with_config(config, provider).build();
        resolver.map(Self).map_err(|error| {
            NetError::new(NetFailure::Misconfigured, false)
                .with_detail("the name server cannot be used")
                .with_source(error)
        })
    }

    async fn look_up(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, NetError> {
        // With a dot at the end the search list of this machine has no say.
        match self.0.lookup(format!("{name}."), kind).await {
            Ok(answer) => {
                let records = answer.answers().iter().take(RECORDS_MAX);
                Ok(records.map(|record| record.data.clone()).collect())
            }
            Err(error) if error.is_no_records_found() || error.is_nx_domain() => Ok(Vec::new()),
            Err(error) => Err(NetError::new(NetFailure::NameNotResolved, false).with_source(error)),
        }
    }
}

impl fmt::Debug for SystemDns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemDns")
    }
}

fn without_dot(name: &impl ToString) -> String {
    name.to_string().trim_end_matches('.').to_ascii_lowercase()
}

/// Sorts by RFC 2782, without chance.
pub(crate) fn in_order(targets: &mut [ServiceTarget]) {
    targets.sort_by(|a, b| {
        a.priority
            .cmp(&b.priority)
            .then(b.weight.cmp(&a.weight))
            .then_with(|| a.host.cmp(&b.host))
    });
}

#[async_trait]
impl Dns for SystemDns {
    async fn services(&self, _: &OpContext, name: &str) -> Result<Vec<ServiceTarget>, NetError> {
        let records = self.look_up(name, RecordType::SRV).await?;
        let mut targets: Vec<_> = records
            .iter()
            .filter_map(|record| match record {
                RData::SRV(srv) => Some(ServiceTarget::new(
                    srv.priority,
                    srv.weight,
                    without_dot(&srv.target),
                    srv.port,
                )),
                _ => None,
            })
            .collect();
        in_order(&mut targets);
        Ok(targets)
    }

    async fn mail_exchangers(&self, _: &OpContext, domain: &str) -> Result<Vec<String>, NetError> {
        let records = self.look_up(domain, RecordType::MX).await?;
        let mut found: Vec<_> = records
            .iter()
            .filter_map(|record| match record {
                RData::MX(mx) => Some((mx.preference, without_dot(&mx.exchange))),
                _ => None,
            })
            .collect();
        found.sort();
        Ok(found.into_iter().map(|(_, host)| host).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::op::{Message, ResponseCode};
    use hickory_resolver::proto::rr::rdata::{MX, SRV};
    use hickory_resolver::proto::rr::{Name, Record};
    use tokio::net::UdpSocket;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    /// A name server that knows one service and one domain's mail, and refuses what begins with `refused`.
    async fn serve(socket: UdpSocket) {
        let mut buffer = [0; 1500];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let mut message = Message::from_vec(&buffer[..length])
                .unwrap()
                .into_response();
            let asked = message.queries[0].name().to_string();
            let data = match asked.as_str() {
                "_imaps._tcp.example.org." => vec![
                    RData::SRV(SRV::new(20, 0, 993, name("Late.example.org."))),
                    RData::SRV(SRV::new(10, 1, 993, name("light.example.org."))),
                    RData::SRV(SRV::new(10, 9, 1993, name("heavy.example.org."))),
                ],
                "_pop3s._tcp.example.org." => vec![RData::SRV(SRV::new(0, 0, 0, name(".")))],
                "example.org." => vec![
                    RData::MX(MX::new(20, name("Second.example.net."))),
                    RData::MX(MX::new(5, name("first.example.net."))),
                ],
                _ => Vec::new(),
            };
            message.metadata.response_code = match asked.as_str() {
                "refused.example.org." => ResponseCode::Refused,
                _ if data.is_empty() => ResponseCode::NXDomain,
                _ => ResponseCode::NoError,
            };
            let answers = data
                .into_iter()
                .map(|data| Record::from_rdata(name(&asked), 60, data));
            message.add_answers(answers);
            let answer = message.to_vec().unwrap();
            socket.send_to(&answer, from).await.unwrap();
        }
    }

    #[tokio::test]
    async fn records_come_in_their_order_and_what_does_not_exist_is_no_error() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let dns = SystemDns::at(socket.local_addr().unwrap()).unwrap();
        let ctx = OpContext::system().unwrap();
        let asking = async {
            let found = dns.services(&ctx, "_imaps._tcp.example.org").await.unwrap();
            let expected = [
                ServiceTarget::new(10, 9, "heavy.example.org", 1993),
                ServiceTarget::new(10, 1, "light.example.org", 993),
                ServiceTarget::new(20, 0, "late.example.org", 993),
            ];
            assert_eq!(found, expected);
            let none = dns.services(&ctx, "_pop3s._tcp.example.org").await.unwrap();
            assert_eq!(none, [ServiceTarget::new(0, 0, "", 0)]);
            let hosts = dns.mail_exchangers(&ctx, "example.org").await.unwrap();
            assert_eq!(hosts, ["first.example.net", "second.example.net"]);
            assert_eq!(
                dns.mail_exchangers(&ctx, "nobody.example.org")
                    .await
                    .unwrap(),
                [""; 0]
            );
            let refused = dns.mail_exchangers(&ctx, "refused.example.org").await;
            assert_eq!(refused.unwrap_err().failure(), NetFailure::NameNotResolved);
        };
        tokio::select! {
            () = asking => {}
            () = serve(socket) => {}
        }
    }
}
