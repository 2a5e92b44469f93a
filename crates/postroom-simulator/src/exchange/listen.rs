//! The server on real sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use http_body_util::{BodyExt as _, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::PATH;
use super::http::{Cut, HttpRequest, HttpResponse, ResponseBody};
use super::ops::EventStream;
use super::server::Exchange;
use super::tls;

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The port is taken or may not be used.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(String),
}

/// What is wrong with a server's certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Certificate {
    /// Nothing.
    #[default]
    Valid,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It is for another name.
    OtherName,
}

/// Where and how to listen.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ListenOptions {
    /// The address; a port of 0 takes a free one.
    pub address: SocketAddr,
    /// Whether to speak TLS.
    pub tls: bool,
    /// Names and addresses in the certificate beside `localhost` and the address itself.
    pub names: Vec<String>,
    /// What is wrong with the certificate.
    pub certificate: Certificate,
}

impl ListenOptions {
    /// Plain HTTP on a free port of the loopback interface.
    #[must_use]
    pub const fn http() -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            tls: false,
            names: Vec::new(),
            certificate: Certificate::Valid,
        }
    }

    /// HTTPS on a free port of the loopback interface.
    #[must_use]
    pub const fn https() -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            tls: true,
            names: Vec::new(),
            certificate: Certificate::Valid,
        }
    }

    /// Sets what is wrong with the certificate.
    #[must_use]
    pub const fn certificate(mut self, certificate: Certificate) -> Self {
        self.certificate = certificate;
        self
    }

    /// Sets the address.
    #[must_use]
    pub const fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }
}

/// A server that is listening. It stops when this is dropped.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    authority: Option<String>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Listening {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the service.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}{PATH}", self.address)
    }

    /// The certificate of the authority that clients must trust, as PEM; `None` without TLS.
    #[must_use]
    pub fn certificate_pem(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// Stops, and waits until all connections are closed.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // The task neither panics nor is aborted by anybody else.
            let _ = task.await;
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Exchange {
    /// Starts to listen. Needs a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// [`ListenError`] if the port or the certificate cannot be had.
    pub async fn listen(&self, options: ListenOptions) -> Result<Listening, ListenError> {
        let bind = |source| ListenError::Bind {
            address: options.address,
            source,
        };
        let listener = TcpListener::bind(options.address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let mut acceptor = None;
        let mut authority = None;
        if options.tls {
            let mut names = vec!["localhost".to_owned(), address.ip().to_string()];
            names.extend(options.names);
            let identity = tls::identity(&names, options.certificate)?;
            acceptor = Some(TlsAcceptor::from(identity.config));
            authority = Some(identity.authority);
        }
        let stop = CancellationToken::new();
        let task = tokio::spawn(accept(self.clone(), listener, acceptor, stop.clone()));
        Ok(Listening {
            address,
            authority,
            stop,
            task: Some(task),
        })
    }
}

async fn accept(
    exchange: Exchange,
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of descriptors, say: the next accept may work.
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::task::yield_now().await;
                    continue;
                }
            },
        };
        // Answers go out in one piece; waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        let exchange = exchange.clone();
        let acceptor = acceptor.clone();
        let stop = stop.clone();
        connections.spawn(async move {
            let serving = async {
                match acceptor {
                    None => serve(exchange, stream).await,
                    // A client that does not trust the certificate ends up here, too.
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(exchange, stream).await;
                        }
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = serving => {}
            }
        });
    }
    connections.shutdown().await;
}

async fn serve(exchange: Exchange, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let exchange = Arc::new(exchange);
    let service = service_fn(move |request| answer(Arc::clone(&exchange), request));
    let connection = http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    // Broken connections are the client's business, or ordered by a fault.
    let _ = connection.await;
}

/// Why a connection is closed without a complete answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed on purpose")]
struct Closed;

/// The body of an answer, piece by piece.
type Pieces = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Closed>> + Send>>;

type Answer = http::Response<StreamBody<Pieces>>;

async fn answer(
    exchange: Arc<Exchange>,
    request: http::Request<Incoming>,
) -> Result<Answer, Closed> {
    let (head, body) = request.into_parts();
    let limit = usize::try_from(exchange.inner.request_max).unwrap_or(usize::MAX);
    let method = head.method.as_str().to_owned();
    let path = head
        .uri
        .path_and_query()
        .map_or_else(String::new, ToString::to_string);
    let headers = head.headers.iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    let headers: Vec<(String, String)> = headers.collect();
    // A client that says so is not read to the end.
    let declared = head
        .headers
        .get("content-length")
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|declared| declared > exchange.inner.request_max) {
        return Ok(convert(too_large()));
    }
    let response = match Limited::new(body, limit).collect().await {
        Ok(body) => exchange.handle(&HttpRequest {
            method,
            path,
            headers,
            body: body.to_bytes(),
        }),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => too_large(),
        Err(_) => return Err(Closed),
    };
    if !response.delay.is_zero() {
        tokio::time::sleep(response.delay).await;
    }
    if response.cut == Some(Cut::Before) {
        return Err(Closed);
    }
    Ok(convert(response))
}

fn too_large() -> HttpResponse {
    HttpResponse::new(413, "text/html", "Request Entity Too Large").header("connection", "close")
}

fn convert(response: HttpResponse) -> Answer {
    let HttpResponse {
        status,
        headers,
        body,
        cut,
        permit,
        stream,
        ..
    } = response;
    let mut builder = http::Response::builder().status(status);
    // Only a streaming answer has no length.
    if stream.is_none() {
        builder = builder.header("content-length", body.len());
    }
    for (name, value) in &headers {
        builder = builder.header(name, value);
    }
    let left = match cut {
        Some(Cut::After(bytes)) => Some(bytes),
        Some(Cut::Before) | None => None,
    };
    // The permit travels with the body: the request is over when its answer has gone.
    let pieces = stream::unfold(
        (body, left, permit),
        |(mut body, left, permit)| async move {
            if left == Some(0) {
                // Without this pause nothing of a small answer would leave before the end.
                tokio::task::yield_now().await;
            }
            let piece = next(&mut body, left)?;
            let gone = piece
                .as_ref()
                .map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(0));
            Some((
                piece.map(Frame::data),
                (body, left.map(|left| left.saturating_sub(gone)), permit),
            ))
        },
    );
    let pieces: Pieces = match stream {
        None => Box::pin(pieces),
        Some(events) => Box::pin(pieces.chain(notices(events))),
    };
    builder.body(StreamBody::new(pieces)).unwrap_or_else(|_| {
        // Only a fault with a header that HTTP forbids gets here.
        let empty: Pieces = Box::pin(stream::empty());
        http::Response::new(StreamBody::new(empty))
    })
}

/// How often a silent stream gives a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(30);

fn notices(events: EventStream) -> impl Stream<Item = Result<Frame<Bytes>, Closed>> + Send {
    let end = tokio::time::Instant::now() + events.duration();
    stream::unfold(events, move |mut events| async move {
        if events.is_closed() {
            return None;
        }
        let piece = loop {
            if let Some(piece) = events.poll() {
                break piece;
            }
            tokio::select! {
                () = events.changed() => {}
                () = tokio::time::sleep_until(end) => break events.close(),
                () = tokio::time::sleep(HEARTBEAT) => break events.heartbeat(),
            }
        };
        Some((Ok(Frame::data(piece)), events))
    })
}

fn next(body: &mut ResponseBody, left: Option<u64>) -> Option<Result<Bytes, Closed>> {
    let left = left.map(|left| usize::try_from(left).unwrap_or(usize::MAX));
    if left == Some(0) {
        return Some(Err(Closed));
    }
    let mut piece = body.next_chunk()?;
    if let Some(left) = left {
        piece.truncate(left);
    }
    Some(Ok(piece))
}
