//! Requests, answers and the transport between them.

use std::fmt;
use std::io::Read;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use postroom_core::RawMessage;
use postroom_provider::OpContext;
use url::Url;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::auth::Authentication;
use crate::error::{NetError, NetFailure};

/// Carries requests to a server. One method, so that a simulation can take its place.
///
/// # Contract
/// - One request, one answer: no retry, no redirect, no cookie.
/// - The caller bounds the time: the transport need not look at the deadline of `ctx`, and a dropped
///   future abandons the request (which may have reached the server).
/// - An answer with an error status is an answer, not an error.
#[async_trait]
pub trait HttpTransport: fmt::Debug + Send + Sync + 'static {
    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// Where there is no answer; [`NetError::may_have_arrived`] says whether the server may have
    /// got the request.
    async fn send(&self, ctx: &OpContext, request: HttpRequest) -> Result<HttpResponse, NetError>;
}

/// A request. Its length is known before the first byte is sent: servers in front of Exchange refuse
/// chunked requests.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// The headers, without `Content-Length` and `Authorization`.
    pub headers: HeaderMap,
    /// Who asks.
    pub authentication: Authentication,
    /// The body, piece by piece.
    pub body: Vec<BodyPart>,
}

impl HttpRequest {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            authentication: Authentication::Anonymous,
            body: Vec::new(),
        }
    }

    /// How many bytes the body has.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        self.body
            .iter()
            .fold(0, |sum, part| sum.saturating_add(part.len()))
    }

    /// The whole body in one piece. For simulations; a transport streams the parts.
    ///
    /// # Errors
    /// Where a message cannot be read.
    pub fn body_bytes(&self) -> std::io::Result<Bytes> {
        if let [BodyPart::Bytes(bytes)] = self.body.as_slice() {
            return Ok(bytes.clone());
        }
        let mut all = Vec::new();
        for part in &self.body {
            let mut reader = part.reader();
            while let Some(chunk) = reader.next_chunk()? {
                all.extend_from_slice(&chunk);
            }
        }
        Ok(all.into())
    }
}

impl fmt::Debug for HttpRequest {
    /// Method, host and length: the path's query and the headers may hold what no log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .field("path", &self.url.path())
            .field("content_length", &self.content_length())
            .finish_non_exhaustive()
    }
}

/// A piece of a request's body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BodyPart {
    /// Bytes as they are.
    Bytes(Bytes),
    /// The bytes of a message, as they are, read while they are sent.
    Raw(RawMessage),
    /// The bytes of a message in Base64, encoded while they are sent.
    Base64(RawMessage),
}

/// Bytes of a message that are read at a time; a multiple of three, so that pieces of Base64 join
/// without padding.
const READ_STEP: usize = 3 * 16 * 1024;

impl BodyPart {
    /// Its length as sent.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::Raw(raw) => raw.len(),
            Self::Base64(raw) => raw.len().div_ceil(3).saturating_mul(4),
        }
    }

    /// Whether nothing is sent for it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads it from the start.
    pub(crate) fn reader(&self) -> PartReader {
        match self {
            Self::Bytes(bytes) => PartReader::Bytes(Some(bytes.clone())),
            Self::Raw(raw) => PartReader::Message(MessageReader::new(raw, false)),
            Self::Base64(raw) => PartReader::Message(MessageReader::new(raw, true)),
        }
    }
}

/// Reads a [`BodyPart`] chunk by chunk.
pub(crate) enum PartReader {
    Bytes(Option<Bytes>),
    Message(MessageReader),
}

pub(crate) struct MessageReader {
    raw: RawMessage,
    open: Option<Box<dyn Read + Send>>,
    encode: bool,
    left: u64,
}

impl MessageReader {
    fn new(raw: &RawMessage, encode: bool) -> Self {
        Self {
            raw: raw.clone(),
            open: None,
            encode,
            left: raw.len(),
        }
    }
}

impl PartReader {
    pub(crate) fn next_chunk(&mut self) -> std::io::Result<Option<Bytes>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.take().filter(|bytes| !bytes.is_empty())),
            Self::Message(message) => message.next_chunk(),
        }
    }
}

impl MessageReader {
    fn next_chunk(&mut self) -> std::io::Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        let wanted = usize::try_from(self.left)
            .unwrap_or(READ_STEP)
            .min(READ_STEP);
        let mut buffer = vec![0; wanted];
        let reader = match &mut self.open {
            Some(reader) => reader,
            None => self.open.insert(self.raw.open()?),
        };
        // The announced length has been sent already: fewer bytes are a failure, more are ignored.
        reader.read_exact(&mut buffer)?;
        self.left -= u64::try_from(wanted).unwrap_or(self.left);
        Ok(Some(if self.encode {
            Bytes::from(STANDARD.encode(&buffer))
        } else {
            Bytes::from(buffer)
        }))
    }
}

/// The head of an answer, and its body as a stream.
#[derive(Debug)]
#[non_exhaustive]
pub struct HttpResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: ResponseBody,
}

impl HttpResponse {
    /// An answer.
    #[must_use]
    pub const fn new(status: StatusCode, headers: HeaderMap, body: ResponseBody) -> Self {
        Self {
            status,
            headers,
            body,
        }
    }

    /// The text of a header, where it is there and readable.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Gives the chunks of a body.
#[async_trait]
pub trait ChunkSource: Send {
    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// Where the connection broke before the end.
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError>;
}

/// The body of an answer. Never as a whole in memory: whoever reads it takes chunk by chunk.
pub struct ResponseBody(Box<dyn ChunkSource>);

impl ResponseBody {
    /// A body that comes from elsewhere.
    #[must_use]
    pub fn new(source: impl ChunkSource + 'static) -> Self {
        Self(Box::new(source))
    }

    /// A body that is already there.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self::new(Ready(Some(bytes.into())))
    }

    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// Where the connection broke before the end.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        self.0.next_chunk().await
    }

    /// At most the first `limit` bytes.
    ///
    /// # Errors
    /// Where the connection broke before that.
    pub async fn read_up_to(&mut self, limit: usize) -> Result<Vec<u8>, NetError> {
        let mut all = Vec::new();
        while all.len() < limit {
            let Some(chunk) = self.next_chunk().await? else {
                break;
            };
            let take = chunk.len().min(limit - all.len());
            all.extend_from_slice(chunk.get(..take).unwrap_or_default());
        }
        Ok(all)
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseBody")
    }
}

struct Ready(Option<Bytes>);

#[async_trait]
impl ChunkSource for Ready {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        Ok(self.0.take().filter(|bytes| !bytes.is_empty()))
    }
}

impl From<std::io::Error> for NetError {
    /// A message that was to be sent could not be read.
    fn from(error: std::io::Error) -> Self {
        Self::new(NetFailure::Local, true).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_what_is_sent() {
        for length in [
            0,
            1,
            2,
            3,
            4,
            READ_STEP - 1,
            READ_STEP,
            READ_STEP + 1,
            3 * READ_STEP + 2,
        ] {
            let bytes: Vec<u8> = (0..length)
                .map(|i| u8::try_from(i % 251).unwrap())
                .collect();
            let raw = RawMessage::from_bytes(bytes.clone());
            let mut request =
                HttpRequest::new(Method::POST, Url::parse("https://x.example/").unwrap());
            request.body = vec![
                BodyPart::Bytes(Bytes::from_static(b"<a>")),
                BodyPart::Base64(raw.clone()),
                BodyPart::Raw(raw),
            ];
            let sent = request.body_bytes().unwrap();
            assert_eq!(u64::try_from(sent.len()).unwrap(), request.content_length());
            let mut expected = b"<a>".to_vec();
            expected.extend_from_slice(STANDARD.encode(&bytes).as_bytes());
            expected.extend_from_slice(&bytes);
            assert!(sent == expected, "{length}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut request = HttpRequest::new(
            Method::POST,
            Url::parse("https://user:hunter2@x.example/p?token=hunter2").unwrap(),
        );
        request.authentication = Authentication::Basic(postroom_provider::Credentials::new(
            "u",
            postroom_core::Secret::new("hunter2"),
        ));
        assert!(!format!("{request:?}").contains("hunter2"));
        assert!(!format!("{:?}", request.authentication).contains("hunter2"));
        let header = request.authentication.authorization().unwrap();
        assert!(header.is_sensitive());
    }
}
