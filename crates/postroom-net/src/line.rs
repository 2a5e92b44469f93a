//! Connections for protocols of lines: POP3, IMAP, SMTP.
//!
//! A [`Connector`] knows how to reach a server: it resolves, connects and begins TLS, at once or when the
//! protocol asks for it. What it makes is a [`Connection`], which reads bounded lines and writes whole
//! commands. Where the bytes come from is a [`Dialer`]'s business, so that a simulation can take the
//! place of the network.
//!
//! ```no_run
//! # async fn f(ctx: postroom_provider::OpContext) -> Result<(), postroom_net::NetError> {
//! use postroom_net::line::{Connector, ConnectorSettings, Security, ServerAddress, TlsClients};
//! let connector = Connector::new(&TlsClients::new(), ConnectorSettings::default())?;
//! let server = ServerAddress::new("pop.example.org", 995);
//! let mut connection = connector.connect(&ctx, &server, Security::Tls).await?;
//! let greeting = connection.read_line(&ctx, 512).await?;
//! # Ok(()) }
//! ```

mod connection;
mod connector;
mod dial;
mod location;
mod tls;

#[cfg(test)]
mod tests;

pub use connection::{Connection, LINE_MAX};
pub use connector::{Connector, ConnectorSettings, Security};
pub use dial::{Dialer, Io, ServerAddress, TcpDialer};
pub use location::{LineProtocol, ascii_domain, locate};
pub use tls::TlsClients;
