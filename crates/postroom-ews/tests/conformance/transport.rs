//! The server called without a socket, on the time of the test.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use postroom_net::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use postroom_net::{
    ChunkSource, HttpRequest, HttpResponse, HttpTransport, NetError, NetFailure, ResponseBody,
};
use postroom_provider::OpContext;
use postroom_simulator::exchange::{self, Cut, Exchange};

#[derive(Debug, Clone)]
pub(crate) struct InProcess {
    pub(crate) exchange: Exchange,
    /// Before anything is done.
    pub(crate) delay: Arc<Mutex<Duration>>,
}

#[async_trait]
impl HttpTransport for InProcess {
    async fn send(&self, ctx: &OpContext, request: HttpRequest) -> Result<HttpResponse, NetError> {
        let delay = *self.delay.lock().unwrap();
        if !delay.is_zero() {
            ctx.clock.sleep(delay).await;
        }
        let mut asked = exchange::HttpRequest::post(request.url.path(), request.body_bytes()?);
        for (name, value) in &request.headers {
            asked = asked.header(name.as_str(), value.to_str().unwrap());
        }
        if let Some(value) = request.authentication.authorization() {
            asked = asked.header("authorization", value.to_str().unwrap());
        }
        let answer = self.exchange.handle(&asked);
        if answer.cut == Some(Cut::Before) {
            return Err(NetError::new(NetFailure::Lost, true));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &answer.headers {
            let name: HeaderName = name.parse().unwrap();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let status = StatusCode::from_u16(answer.status).unwrap();
        let left = match answer.cut {
            Some(Cut::After(bytes)) => bytes,
            Some(Cut::Before) | None => u64::MAX,
        };
        let body = Body {
            left,
            body: answer.body,
        };
        Ok(HttpResponse::new(status, headers, ResponseBody::new(body)))
    }
}

struct Body {
    body: exchange::ResponseBody,
    left: u64,
}

#[async_trait]
impl ChunkSource for Body {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        let Some(mut chunk) = self.body.next_chunk() else {
            return Ok(None);
        };
        if self.left == 0 {
            return Err(NetError::new(NetFailure::Lost, true));
        }
        chunk.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= u64::try_from(chunk.len()).unwrap();
        Ok(Some(chunk))
    }
}
