//! A transport that answers what it is told, and calls that must not wait for anything.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;
use postroom_core::profile::ProfileKind;
use postroom_core::{ProfileId, Secret, ServerProfile, Timestamp};
use postroom_ews::EwsFactory;
use postroom_net::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use postroom_net::{
    ChunkSource, HttpRequest, HttpResponse, HttpTransport, NetError, NetFailure, ResponseBody,
};
use postroom_provider::{
    Clock, Credentials, OpContext, Provider, ProviderError, ProviderFactory, ProviderRequest,
    Randomness, Spool,
};

pub(super) const DESK: &str = "desk@contoso.example";

/// No operation may ask more often than this: a list of folders has at most 100 pages.
const REQUESTS_MAX: usize = 400;

/// What is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    /// One after the other, then from the first again.
    pub(super) bodies: Vec<Bytes>,
    /// Bytes of a chunk.
    pub(super) chunk: usize,
    /// After the last chunk the connection breaks.
    pub(super) broken: bool,
}

/// A server that says always the same.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pub(super) answer: Mutex<Answer>,
    pub(super) requests: Mutex<Vec<Bytes>>,
}

impl Wire {
    /// Nobody is to ask.
    pub(super) fn silent() -> Self {
        Self::default()
    }

    pub(super) fn take_requests(&self) -> Vec<Bytes> {
        std::mem::take(&mut *self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, answer: Answer) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }
}

#[async_trait]
impl HttpTransport for Wire {
    async fn send(&self, _: &OpContext, request: HttpRequest) -> Result<HttpResponse, NetError> {
        let answer = self
            .answer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let number = requests.len();
        assert!(number < REQUESTS_MAX, "one operation asks for ever");
        let body = request.body_bytes()?;
        assert_eq!(
            body.len() as u64,
            request.content_length(),
            "the announced length"
        );
        requests.push(body);
        let Ok(status) = StatusCode::from_u16(answer.status) else {
            return Err(NetError::new(
                NetFailure::Lost,
                answer.status.is_multiple_of(2),
            ));
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &answer.headers {
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_str(value))
            {
                headers.append(name, value);
            }
        }
        let body = match answer.bodies.len() {
            0 => Bytes::new(),
            count => answer.bodies[number % count].clone(),
        };
        let body = Chunks {
            body,
            chunk: answer.chunk.max(1),
            broken: answer.broken,
        };
        Ok(HttpResponse::new(status, headers, ResponseBody::new(body)))
    }
}

struct Chunks {
    body: Bytes,
    chunk: usize,
    broken: bool,
}

#[async_trait]
impl ChunkSource for Chunks {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        if self.body.is_empty() {
            if self.broken {
                return Err(NetError::new(NetFailure::Lost, true));
            }
            return Ok(None);
        }
        Ok(Some(self.body.split_to(self.chunk.min(self.body.len()))))
    }
}

/// Time stands still, and whoever waits waits for ever: nothing here has a reason to.
#[derive(Debug)]
pub(super) struct Still;

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }

    async fn sleep(&self, _: Duration) {
        std::future::pending().await
    }
}

/// The same bytes each time.
#[derive(Debug)]
pub(super) struct Zeros;

impl Randomness for Zeros {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

/// A context whose spool uses files early.
pub(super) fn context() -> OpContext {
    let spool = Spool::with_bounds(std::env::temp_dir(), 4096, 64 * 1024, 1024 * 1024);
    OpContext::new(
        Arc::new(Still),
        Arc::new(Zeros),
        spool.expect("a temporary folder"),
    )
}

/// The answer of what must not wait.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    future
        .now_or_never()
        .expect("it waits for what never comes")
}

pub(super) fn request() -> ProviderRequest {
    let mut profile = ServerProfile::new(
        ProfileId::from_random([7; 16]),
        "exchange",
        ProfileKind::ExchangeServer,
    );
    profile.incoming.location = Some("https://mail.contoso.example".to_owned());
    let credentials = Credentials::new("postroom@contoso.example", Secret::new("service-pw"));
    ProviderRequest::new(
        profile,
        DESK.parse().expect("an address"),
        Some(credentials),
    )
}

/// A provider over a transport.
pub(super) fn provider(wire: &Arc<impl HttpTransport>) -> Arc<dyn Provider> {
    let wire = Arc::clone(wire) as Arc<dyn HttpTransport>;
    EwsFactory::exchange_server()
        .with_transport(wire)
        .create(&request())
        .expect("the profile is good")
}

/// An error says what it is in one bounded line, and never the password.
pub(super) fn check(error: &ProviderError) {
    let text = error.to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(text.len() <= 16 * 1024, "{} bytes of error", text.len());
    assert!(!text.contains("service-pw"), "{text}");
    let code = error.code().to_string();
    assert!(!code.is_empty());
}
