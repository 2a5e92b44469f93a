//! A connection: bounded lines in, whole commands out.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use postroom_provider::OpContext;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connector::within;
use super::dial::Io;
use crate::error::{NetError, NetFailure};
use crate::reqwest_transport::failure_of;

/// Longest line that is read where the caller has no better bound. Protocols ask for 1,000 bytes or less;
/// real servers send more.
pub const LINE_MAX: usize = 64 * 1024;

/// What is read ahead; a line may make it grow up to its own bound.
const BUFFER: usize = 64 * 1024;

/// Who is at the other end, and how long is waited for it.
pub(super) struct Peer {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
    pub(super) handshake_timeout: Duration,
    pub(super) silence_timeout: Duration,
}

enum Stream {
    Plain(Box<dyn Io>),
    Tls(Box<TlsStream<Box<dyn Io>>>),
    /// A handshake failed, or was abandoned.
    Broken,
}

/// A connection to a server that speaks in lines.
///
/// Reads through a buffer; [`AsyncRead`] and [`AsyncWrite`] are there for libraries that speak a protocol
/// themselves, and leave the time to the caller. Dropped, it is closed without a word.
pub struct Connection {
    stream: Stream,
    peer: Peer,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    bare_lf: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("server", &self.peer.name)
            .field("secure", &self.is_secure())
            .field("buffered", &(self.end - self.start))
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) const fn new(io: Box<dyn Io>, peer: Peer) -> Self {
        Self {
            stream: Stream::Plain(io),
            peer,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            bare_lf: false,
        }
    }

    /// Whether TLS protects it.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// The version of TLS, for people.
    #[must_use]
    pub fn tls_version(&self) -> Option<String> {
        match &self.stream {
            Stream::Tls(stream) => {
                let (_, session) = stream.get_ref();
                session.protocol_version().map(|v| format!("{v:?}"))
            }
            Stream::Plain(_) | Stream::Broken => None,
        }
    }

    /// What was read and not consumed yet.
    #[must_use]
    pub fn buffered(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Takes so many bytes off the front of what is [`buffered`](Self::buffered).
    pub const fn consume(&mut self, bytes: usize) {
        let held = self.end - self.start;
        self.start += if bytes < held { bytes } else { held };
    }

    /// Begins TLS on an open connection, after the server agreed to it.
    ///
    /// # Errors
    /// `PlaintextInjected` where clear text followed the server's agreement: somebody between wants it
    /// to be taken for the server's secured words. `CertificateUntrusted`, `TlsFailed`, `TimedOut`.
    pub async fn start_tls(&mut self, ctx: &OpContext) -> Result<(), NetError> {
        if !self.buffered().is_empty() {
            self.stream = Stream::Broken;
            return Err(NetError::new(NetFailure::PlaintextInjected, false));
        }
        let Stream::Plain(io) = std::mem::replace(&mut self.stream, Stream::Broken) else {
            return Err(NetError::new(NetFailure::TlsFailed, false)
                .with_detail("the connection is secure already, or broken"));
        };
        let connector = TlsConnector::from(Arc::clone(&self.peer.config));
        let handshake = async {
            connector
                .connect(self.peer.name.clone(), io)
                .await
                .map_err(|error| failed(error, false))
        };
        let stream = within(ctx, self.peer.handshake_timeout, handshake).await?;
        self.stream = Stream::Tls(Box::new(stream));
        Ok(())
    }

    /// Reads more into the buffer; 0 at the end. Where the buffer is full it grows, by as much again: who
    /// waits for something of unknown length bounds it.
    ///
    /// # Errors
    /// `Lost`; `TimedOut` where nothing arrives.
    pub async fn fill(&mut self, ctx: &OpContext) -> Result<usize, NetError> {
        self.make_room();
        let Self {
            stream,
            buffer,
            end,
            peer,
            ..
        } = self;
        let room = buffer.get_mut(*end..).unwrap_or_default();
        let read = within(ctx, peer.silence_timeout, async {
            match stream {
                Stream::Plain(io) => io.read(room).await,
                Stream::Tls(io) => io.read(room).await,
                Stream::Broken => Err(io::ErrorKind::NotConnected.into()),
            }
            .or_else(closed_without_a_word)
            .map_err(|error| failed(error, true))
        })
        .await?;
        self.end += read;
        Ok(read)
    }

    fn make_room(&mut self) {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        if self.buffer.is_empty() {
            self.buffer = vec![0; BUFFER];
        } else if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            } else {
                let size = self.buffer.len();
                self.buffer.resize(size.saturating_mul(2), 0);
            }
        }
    }

    /// Reads a line of at most `max` bytes and takes it off, without its CRLF or bare LF; `None` at the
    /// end.
    ///
    /// # Errors
    /// `LineTooLong`; `Lost`, in the middle of a line too; `TimedOut`.
    pub async fn read_line(
        &mut self,
        ctx: &OpContext,
        max: usize,
    ) -> Result<Option<Bytes>, NetError> {
        let mut searched = 0;
        loop {
            let held = self.buffered();
            let rest = held.get(searched..).unwrap_or_default();
            if let Some(found) = memchr::memchr(b'\n', rest) {
                let length = searched + found;
                let line = held.get(..length).unwrap_or_default();
                let stripped = line.strip_suffix(b"\r");
                let bare_lf = stripped.is_none();
                let line = stripped.unwrap_or(line);
                if line.len() > max {
                    return Err(NetError::new(NetFailure::LineTooLong, true));
                }
                let line = Bytes::copy_from_slice(line);
                self.bare_lf = bare_lf;
                self.consume(length + 1);
                return Ok(Some(line));
            }
            searched = held.len();
            if searched > max.saturating_add(1) {
                return Err(NetError::new(NetFailure::LineTooLong, true));
            }
            if self.fill(ctx).await? == 0 {
                if searched == 0 {
                    return Ok(None);
                }
                return Err(NetError::new(NetFailure::Lost, true)
                    .with_detail("the connection ended within a line"));
            }
        }
    }

    /// Whether the line that was read last ended in an LF without a CR.
    #[must_use]
    pub const fn ended_in_bare_lf(&self) -> bool {
        self.bare_lf
    }

    /// Writes all of it and sends it on its way.
    ///
    /// # Errors
    /// `Lost`; `TimedOut` where nothing can be sent.
    pub async fn send(&mut self, ctx: &OpContext, bytes: &[u8]) -> Result<(), NetError> {
        let stream = &mut self.stream;
        within(ctx, self.peer.silence_timeout, async {
            match stream {
                Stream::Plain(io) => {
                    io.write_all(bytes).await.map_err(|e| failed(e, true))?;
                    io.flush().await.map_err(|e| failed(e, true))
                }
                Stream::Tls(io) => {
                    io.write_all(bytes).await.map_err(|e| failed(e, true))?;
                    io.flush().await.map_err(|e| failed(e, true))
                }
                Stream::Broken => Err(failed(io::ErrorKind::NotConnected.into(), false)),
            }
        })
        .await
    }
}

/// Servers that close without TLS's own farewell are many; each protocol knows by itself whether it had
/// heard everything.
fn closed_without_a_word(error: io::Error) -> io::Result<usize> {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        Ok(0)
    } else {
        Err(error)
    }
}

fn failed(error: io::Error, may_have_arrived: bool) -> NetError {
    let failure = failure_of(&error).unwrap_or(NetFailure::Lost);
    NetError::new(failure, may_have_arrived).with_source(error)
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let held = this.buffered();
        if !held.is_empty() {
            let taken = held.len().min(buffer.remaining());
            buffer.put_slice(held.get(..taken).unwrap_or_default());
            this.consume(taken);
            return Poll::Ready(Ok(()));
        }
        match &mut this.stream {
            Stream::Plain(io) => Pin::new(io).poll_read(cx, buffer),
            Stream::Tls(io) => Pin::new(io).poll_read(cx, buffer),
            Stream::Broken => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(io) => Pin::new(io).poll_write(cx, bytes),
            Stream::Tls(io) => Pin::new(io).poll_write(cx, bytes),
            Stream::Broken => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(io) => Pin::new(io).poll_flush(cx),
            Stream::Tls(io) => Pin::new(io).poll_flush(cx),
            Stream::Broken => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Stream::Tls(io) => Pin::new(io).poll_shutdown(cx),
            Stream::Broken => Poll::Ready(Ok(())),
        }
    }
}
