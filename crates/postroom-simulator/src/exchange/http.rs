//! HTTP as values, so that the server can be called with or without a socket.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};

use super::permit::Permit;

/// A request, its body complete.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpRequest {
    /// Method, such as `POST`.
    pub method: String,
    /// Path with the query, such as `/EWS/Exchange.asmx`.
    pub path: String,
    /// Header names and values; names compare without case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
}

impl HttpRequest {
    /// A POST of XML.
    #[must_use]
    pub fn post(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            method: "POST".to_owned(),
            path: path.into(),
            headers: vec![(
                "content-type".to_owned(),
                "text/xml; charset=utf-8".to_owned(),
            )],
            body: body.into(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds credentials.
    #[must_use]
    pub fn basic(self, user: &str, password: &str) -> Self {
        let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        self.header("authorization", value)
    }

    /// The first header of that name.
    #[must_use]
    pub fn header_value(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// How a connection ends before the answer is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "every transport must act on each of them"
)]
pub enum Cut {
    /// Nothing of the answer is sent: the connection is just closed.
    Before,
    /// This many bytes of the body are sent, then the connection is closed.
    After(u64),
}

/// An answer and how it is to be delivered.
#[derive(Debug)]
#[non_exhaustive]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Headers, lower-case names; without Content-Length.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: ResponseBody,
    /// Wait this long before the first byte.
    pub delay: Duration,
    /// Close the connection early.
    pub cut: Option<Cut>,
    /// Set when more follows the body: a streaming answer.
    pub stream: Option<super::ops::EventStream>,
    /// The request counts as running until this is dropped.
    pub(super) permit: Option<Permit>,
    pub(super) opened: Option<super::server::Opened>,
}

impl HttpResponse {
    /// An answer with a body of text.
    #[must_use]
    pub fn new(status: u16, media_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), media_type.to_owned())],
            body: ResponseBody::from(body.into()),
            delay: Duration::ZERO,
            cut: None,
            stream: None,
            permit: None,
            opened: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

#[derive(Debug, Clone)]
enum Segment {
    Plain(Bytes),
    /// To be encoded when it is sent.
    Base64(Bytes),
}

/// The body of an answer: pieces of XML and, between them, content that is encoded only while it
/// is being sent, so that a large message exists once and in its own form.
#[derive(Debug, Clone, Default)]
pub struct ResponseBody {
    segments: std::collections::VecDeque<Segment>,
}

/// Input bytes encoded at a time; a multiple of three, so that pieces join without padding.
const ENCODE_STEP: usize = 3 * 16 * 1024;

impl ResponseBody {
    pub(super) fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.segments.push_back(Segment::Plain(bytes));
        }
    }

    pub(super) fn push_base64(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.segments.push_back(Segment::Base64(bytes));
        }
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.segments.append(&mut other.segments);
    }

    /// Length in bytes as sent.
    #[must_use]
    pub fn len(&self) -> u64 {
        let lengths = self.segments.iter().map(|segment| match segment {
            Segment::Plain(bytes) => bytes.len(),
            Segment::Base64(bytes) => bytes.len().div_ceil(3).saturating_mul(4),
        });
        u64::try_from(lengths.fold(0, usize::saturating_add)).unwrap_or(u64::MAX)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Takes the next piece.
    pub fn next_chunk(&mut self) -> Option<Bytes> {
        match self.segments.pop_front()? {
            Segment::Plain(bytes) => Some(bytes),
            Segment::Base64(mut bytes) => {
                let piece = bytes.split_to(bytes.len().min(ENCODE_STEP));
                if !bytes.is_empty() {
                    self.segments.push_front(Segment::Base64(bytes));
                }
                Some(Bytes::from(STANDARD.encode(piece)))
            }
        }
    }

    /// All of it in one piece.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        if let (1, Some(Segment::Plain(bytes))) = (self.segments.len(), self.segments.front()) {
            return bytes.clone();
        }
        let mut all = BytesMut::with_capacity(usize::try_from(self.len()).unwrap_or_default());
        while let Some(chunk) = self.next_chunk() {
            all.extend_from_slice(&chunk);
        }
        all.freeze()
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        let mut body = Self::default();
        body.push(bytes);
        body
    }
}
