//! Reaching a server.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use postroom_provider::OpContext;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::error::{NetError, NetFailure};

/// Bytes in both directions.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ServerAddress {
    /// Its name or address, which its certificate has to name; an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl ServerAddress {
    /// A server.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Reaches servers. One method, so that a simulation can take its place.
///
/// # Contract
/// - The caller bounds the time; a dropped future gives the connection up.
/// - What comes back is clear: TLS is begun by the [`Connector`](super::Connector), whoever dialled.
#[async_trait]
pub trait Dialer: fmt::Debug + Send + Sync + 'static {
    /// Connects to a server.
    ///
    /// # Errors
    /// `NameNotResolved`, `ConnectionRefused`, `TimedOut`, `Lost`.
    async fn dial(&self, ctx: &OpContext, server: &ServerAddress) -> Result<Box<dyn Io>, NetError>;
}

/// The next address is tried after this long, beside those before it. Source: RFC 8305, section 8.
const STAGGER: Duration = Duration::from_millis(250);
/// Most addresses that are tried.
const ADDRESSES_MAX: usize = 8;

/// TCP by the machine's own resolver, both families side by side (RFC 8305).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TcpDialer;

impl TcpDialer {
    /// TCP.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

#[async_trait]
impl Dialer for TcpDialer {
    async fn dial(&self, ctx: &OpContext, server: &ServerAddress) -> Result<Box<dyn Io>, NetError> {
        let host = (server.host.as_str(), server.port);
        let found = tokio::net::lookup_host(host).await.map_err(|error| {
            NetError::new(NetFailure::NameNotResolved, false).with_source(error)
        })?;
        let addresses = interleaved(found.collect());
        if addresses.is_empty() {
            return Err(NetError::new(NetFailure::NameNotResolved, false));
        }
        let stream = race(ctx, addresses).await.map_err(|error| {
            NetError::new(
                match error.kind() {
                    io::ErrorKind::ConnectionRefused => NetFailure::ConnectionRefused,
                    io::ErrorKind::TimedOut => NetFailure::TimedOut,
                    _ => NetFailure::Lost,
                },
                false,
            )
            .with_source(error)
        })?;
        // Commands are written whole: waiting for more would only delay them.
        stream
            .set_nodelay(true)
            .map_err(|error| NetError::new(NetFailure::Lost, false).with_source(error))?;
        Ok(Box::new(stream))
    }
}

/// The resolver's order, the families taking turns: a family that leads nowhere costs one pause.
pub(super) fn interleaved(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let longer = first.len().max(second.len());
    let turns = (0..longer).flat_map(|turn| [first.get(turn), second.get(turn)]);
    turns.flatten().copied().take(ADDRESSES_MAX).collect()
}

async fn race(ctx: &OpContext, addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut trying = FuturesUnordered::new();
    let mut failed = None;
    loop {
        trying.extend(waiting.next().map(TcpStream::connect));
        let more = waiting.len() > 0;
        tokio::select! {
            biased;
            connected = trying.next() => match connected {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => failed = Some(error),
                None => return Err(failed.unwrap_or_else(|| io::ErrorKind::NotFound.into())),
            },
            () = ctx.clock.sleep(STAGGER), if more => {}
        }
    }
}
