//! HTTP that loses requests and answers, breaks off, and meets devices with opinions.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use postroom_core::{MailboxId, ProfileId};
use postroom_net::http::{HeaderMap, HeaderValue, StatusCode, header};
use postroom_net::{
    ChunkSource, HttpRequest, HttpResponse, HttpTransport, NetError, NetFailure, ResponseBody,
};
use postroom_provider::OpContext;

use super::plan::{FaultError, Seam, Verdict};
use super::seams::{Seams, Spot};
use crate::history::{CallEnd, Side};

/// For whom a request is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) mailbox: Option<MailboxId>,
    pub(super) profile: Option<ProfileId>,
}

tokio::task_local! {
    /// Set by the provider's decorator around each of its calls.
    pub(super) static CALLER: Caller;
}

/// A transport behind the seams of one engine.
#[derive(Debug)]
pub struct FaultyTransport {
    inner: Arc<dyn HttpTransport>,
    seams: Seams,
}

impl FaultyTransport {
    /// A transport as that engine sees it.
    #[must_use]
    pub fn new(inner: Arc<dyn HttpTransport>, seams: Seams) -> Self {
        Self { inner, seams }
    }
}

#[async_trait]
impl HttpTransport for FaultyTransport {
    async fn send(&self, ctx: &OpContext, request: HttpRequest) -> Result<HttpResponse, NetError> {
        let caller = CALLER.try_with(|caller| *caller).unwrap_or(Caller {
            mailbox: None,
            profile: None,
        });
        let operation = operation(&request);
        let spot = Spot {
            seam: Seam::Http,
            operation: &operation,
            mailbox: caller.mailbox,
            profile: caller.profile,
            writes: !(operation.starts_with("Get")
                || operation.starts_with("Find")
                || operation.starts_with("Sync")),
            behind: false,
            over_http: false,
        };
        let probe = caller.profile.map(|profile| {
            let items = Vec::new();
            self.seams
                .probe(Side::Request, caller.mailbox, profile, &operation, items)
        });
        let (inner, later) = (&self.inner, (ctx.clone(), request.clone()));
        let answer = self
            .seams
            .carry(spot, NetError::to_string, move |verdict| async move {
                let (ctx, request) = later;
                match verdict {
                    Verdict::Late(by) => {
                        let inner = Arc::clone(inner);
                        // The network's, not the process's: it outlives both the call and a crash.
                        tokio::spawn(async move {
                            tokio::time::sleep(by).await;
                            let _ = inner.send(&ctx, request).await;
                        });
                        Err(NetError::new(NetFailure::Lost, true))
                    }
                    Verdict::FailBefore(error) => instead(error),
                    Verdict::FailAfter(error) => spoiled(error, inner.send(&ctx, request).await?),
                    _ => inner.send(&ctx, request).await,
                }
            })
            .await;
        if let Some(probe) = probe {
            let end = match &answer {
                Ok(_) => CallEnd::Ok,
                Err(error) => CallEnd::Failed {
                    code: error.to_string(),
                },
            };
            probe.ended(end, Vec::new());
        }
        answer
    }
}

/// The name of a SOAP request, or the method of another.
fn operation(request: &HttpRequest) -> String {
    let Ok(body) = request.body_bytes() else {
        return request.method.to_string();
    };
    let head = &body[..body.len().min(4096)];
    let text = String::from_utf8_lossy(head);
    let operation = text.split_once(":Body>").and_then(|(_, body)| {
        let name = body.trim_start().strip_prefix('<')?;
        let end = name.find([' ', '>', '/'])?;
        let name = &name[..end];
        Some(name.rsplit(':').next().unwrap_or(name).to_owned())
    });
    operation.unwrap_or_else(|| request.method.to_string())
}

/// What comes in place of an answer, without any effect.
fn instead(error: FaultError) -> Result<HttpResponse, NetError> {
    let lost = |failure, arrived| Err(NetError::new(failure, arrived));
    match error {
        FaultError::Refused => lost(NetFailure::ConnectionRefused, false),
        FaultError::TimedOut => lost(NetFailure::TimedOut, true),
        FaultError::Html => Ok(page(
            500,
            "text/html",
            "<html><body>Runtime Error</body></html>",
        )),
        FaultError::Unserved(hint) => {
            let mut answer = page(503, "text/html", "<html><body>Unavailable</body></html>");
            if let Some(hint) = hint {
                let value = HeaderValue::from(hint.as_secs());
                answer.headers.insert(header::RETRY_AFTER, value);
            }
            Ok(answer)
        }
        FaultError::Throttled(hint) => Ok(throttled(hint.map(|hint| hint.as_millis()))),
        _ => lost(NetFailure::Lost, true),
    }
}

/// What becomes of an answer on its way.
fn spoiled(error: FaultError, mut answer: HttpResponse) -> Result<HttpResponse, NetError> {
    match error {
        FaultError::Reset | FaultError::Truncated => {
            let whole = std::mem::replace(&mut answer.body, ResponseBody::from_bytes(Bytes::new()));
            answer.body = ResponseBody::new(Broken {
                body: whole,
                passed: 0,
                resets: error == FaultError::Reset,
            });
            Ok(answer)
        }
        FaultError::TimedOut => Err(NetError::new(NetFailure::TimedOut, true)),
        FaultError::Html | FaultError::Unserved(_) => instead(error),
        _ => Err(NetError::new(NetFailure::Lost, true)),
    }
}

fn page(status: u16, media_type: &'static str, text: &str) -> HttpResponse {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    let status = StatusCode::from_u16(status).expect("a status");
    let body = ResponseBody::from_bytes(text.as_bytes().to_vec());
    HttpResponse::new(status, headers, body)
}

fn throttled(back_off_millis: Option<u128>) -> HttpResponse {
    const TYPES: &str = "http://schemas.microsoft.com/exchange/services/2006/types";
    const ERRORS: &str = "http://schemas.microsoft.com/exchange/services/2006/errors";
    let hint = back_off_millis.map_or_else(String::new, |millis| {
        format!(
            "<t:MessageXml xmlns:t=\"{TYPES}\"><t:Value Name=\"BackOffMilliseconds\">{millis}\
             </t:Value></t:MessageXml>"
        )
    });
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
         <s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault>\
         <faultcode xmlns:a=\"{TYPES}\">a:ErrorServerBusy</faultcode>\
         <faultstring xml:lang=\"en-US\">The server cannot service this request right now.\
         </faultstring><detail>\
         <e:ResponseCode xmlns:e=\"{ERRORS}\">ErrorServerBusy</e:ResponseCode>\
         <e:Message xmlns:e=\"{ERRORS}\">The server cannot service this request right now.\
         </e:Message>{hint}</detail></s:Fault></s:Body></s:Envelope>"
    );
    page(500, "text/xml; charset=utf-8", &text)
}

/// Breaks off in the middle of the first piece that is longer than a few bytes.
struct Broken {
    body: ResponseBody,
    passed: usize,
    resets: bool,
}

#[async_trait]
impl ChunkSource for Broken {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        if self.passed > 0 {
            return if self.resets {
                Err(NetError::new(NetFailure::Lost, true))
            } else {
                Ok(None)
            };
        }
        let Some(mut chunk) = self.body.next_chunk().await? else {
            return Ok(None);
        };
        chunk.truncate(chunk.len() / 2);
        self.passed += 1;
        Ok(Some(chunk))
    }
}
