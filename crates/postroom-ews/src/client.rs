//! One request and its answer: envelope, headers, version negotiation, failures.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use postroom_core::{Code, EmailAddress, RawMessage, Scope};
use postroom_net::http::{HeaderName, HeaderValue, Method, header};
use postroom_net::{HttpRequest, HttpResponse, HttpTransport, NetError, NetFailure};
use postroom_provider::{ErrorKind, OpContext, ProviderError, Retry};
use roxmltree::Node;

use crate::clean::{CleanError, Cleaner, ContentError, Limits, SpoolSink};
use crate::config::EwsConfig;
use crate::echo::{self, Ear, Heard};
use crate::error::{About, Effect, back_off, effect, may_be_one_items_fault, refused};
use crate::http_status::{self, Head, Verdict};
use crate::soap::{self, NoAnswer, Refusal};
use crate::version::{Negotiated, SchemaVersion};
use crate::xml::Xml;

/// A content that was cut out of an answer.
pub(crate) type Content = Result<RawMessage, ContentError>;

/// An answer, open for reading.
pub(crate) struct Reply<'a, 'i> {
    /// The element below the SOAP body, such as `GetItemResponse`.
    pub(crate) response: Node<'a, 'i>,
    /// What was cut out of it; `MimeContent` holds the index.
    pub(crate) contents: &'a [Content],
}

/// A call that came to nothing.
#[derive(Debug)]
pub(crate) struct CallError {
    pub(crate) error: ProviderError,
    /// Whether what was asked for may have happened.
    pub(crate) effect: Effect,
    /// Whether asking for fewer items may help.
    pub(crate) splittable: bool,
}

impl CallError {
    pub(crate) const fn new(error: ProviderError, effect: Effect) -> Self {
        Self {
            error,
            effect,
            splittable: false,
        }
    }

    const fn splittable(mut self) -> Self {
        self.splittable = true;
        self
    }
}

impl From<CallError> for ProviderError {
    fn from(call: CallError) -> Self {
        call.error
    }
}

/// Speaks EWS for one mailbox.
#[derive(Debug)]
pub(crate) struct EwsClient {
    transport: Arc<dyn HttpTransport>,
    config: EwsConfig,
    version: Negotiated,
    /// Whether this location has answered as Exchange before: then a page of HTML is an accident.
    spoken: AtomicBool,
    product: Mutex<Option<String>>,
}

/// Bytes of an answer that decide whether it is SOAP.
const SNIFF: usize = 512;
/// Bytes of an answer that is none which are looked at.
const FOREIGN_MAX: usize = 16 * 1024;

/// Writes the body of a request.
pub(crate) type Build<'f> = &'f (dyn Fn(&mut Xml, SchemaVersion) + Send + Sync);
/// Reads an answer; `None` where it has not the shape that the operation promises.
pub(crate) type Read<'f, T> = &'f (dyn Fn(&Reply<'_, '_>) -> Option<T> + Send + Sync);

impl EwsClient {
    pub(crate) fn new(transport: Arc<dyn HttpTransport>, config: EwsConfig) -> Self {
        Self {
            transport,
            config,
            version: Negotiated::default(),
            spoken: AtomicBool::new(false),
            product: Mutex::new(None),
        }
    }

    pub(crate) fn transport(&self) -> &dyn HttpTransport {
        self.transport.as_ref()
    }

    pub(crate) const fn config(&self) -> &EwsConfig {
        &self.config
    }

    pub(crate) fn version(&self) -> SchemaVersion {
        self.version.version()
    }

    /// Product and build, once an answer has told them.
    pub(crate) fn product(&self) -> Option<String> {
        self.product
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sends a request and reads the answer. Steps down where the server refuses the version; that
    /// is remembered, and the only case in which a request is sent again.
    pub(crate) async fn call<T: Send>(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        build: Build<'_>,
        read: Read<'_, T>,
    ) -> Result<T, CallError> {
        match self.begin(ctx, operation, build, read, None).await? {
            Answer::New(answer) => Ok(answer),
            // Nobody listened.
            Answer::Again => Err(CallError::new(misunderstood(operation), Effect::Unclear)),
        }
    }

    /// The same for what is asked again and again: an answer that was heard before is not read again.
    pub(crate) async fn call_listening<T: Send>(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        build: Build<'_>,
        read: Read<'_, T>,
        ear: &mut Ear<'_>,
    ) -> Result<Answer<T>, CallError> {
        self.begin(ctx, operation, build, read, Some(ear)).await
    }

    async fn begin<T: Send>(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        build: Build<'_>,
        read: Read<'_, T>,
        ear: Option<&mut Ear<'_>>,
    ) -> Result<Answer<T>, CallError> {
        if ctx.cancellation.is_cancelled() {
            return Err(CallError::new(
                ProviderError::cancelled(operation),
                Effect::None,
            ));
        }
        if ctx.remaining().is_some_and(|left| left.is_zero()) {
            let (kind, code) = NetFailure::TimedOut.classify();
            return Err(CallError::new(
                ProviderError::new(kind, code, operation),
                Effect::None,
            ));
        }
        let bounded = ctx
            .bounded(operation, async {
                Ok(self.negotiate(ctx, operation, build, read, ear).await)
            })
            .await;
        // Cancelled or past the deadline: the request may be under way.
        bounded.unwrap_or_else(|error| Err(CallError::new(error, Effect::Unclear)))
    }

    async fn negotiate<T>(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        build: Build<'_>,
        read: Read<'_, T>,
        mut ear: Option<&mut Ear<'_>>,
    ) -> Result<Answer<T>, CallError> {
        // As many as there are versions.
        for _ in 0..4 {
            let version = self.version.version();
            let ear = ear.as_deref_mut();
            let attempt = self.attempt(ctx, operation, version, build, read, ear);
            match attempt.await {
                Attempt::Done(outcome) => return outcome.map(Answer::New),
                Attempt::Again => return Ok(Answer::Again),
                Attempt::VersionRefused => {
                    if !self.version.step_down(version) {
                        break;
                    }
                }
            }
        }
        Err(CallError::new(
            ProviderError::new(
                ErrorKind::ConfigInvalid,
                Code::VersionUnsupported,
                operation,
            )
            .with("version", self.version.version().as_str()),
            Effect::None,
        ))
    }

    async fn attempt<T>(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        version: SchemaVersion,
        build: Build<'_>,
        read: Read<'_, T>,
        mut ear: Option<&mut Ear<'_>>,
    ) -> Attempt<T> {
        let mut request = HttpRequest::new(Method::POST, self.config.url.clone());
        let before = ear.as_deref().and_then(|ear| ear.before);
        request.body = match before.filter(|before| before.version == version) {
            Some(before) => before.request.clone(),
            None => soap::envelope(version, self.config.impersonate(), |xml| {
                build(xml, version);
            }),
        };
        let asked = ear.is_some().then(|| request.body.clone());
        request.authentication = self.config.authentication.clone();
        let request_id = uuid::Builder::from_random_bytes(ctx.randomness.bytes16()).into_uuid();
        self.headers(&mut request, &request_id);
        let length = request.content_length();

        let sent = self.patient(ctx, self.transport.send(ctx, request)).await;
        let mut response = match sent {
            Ok(response) => response,
            Err(error) => return Attempt::Done(Err(lost(operation, error))),
        };
        let server_id = response
            .header("request-id")
            .map_or_else(|| request_id.to_string(), str::to_owned);
        let outcome = self
            .receive(
                ctx,
                operation,
                &mut response,
                length,
                read,
                ear.as_deref_mut(),
            )
            .await;
        if let (Some(heard), Some(asked)) = (ear.and_then(|ear| ear.now.as_mut()), asked) {
            heard.version = version;
            heard.request = asked;
        }
        match outcome {
            Attempt::Done(Err(mut failed)) => {
                failed.error = failed.error.with("request_id", server_id);
                Attempt::Done(Err(failed))
            }
            other => other,
        }
    }

    fn headers(&self, request: &mut HttpRequest, request_id: &uuid::Uuid) {
        let headers = &mut request.headers;
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/xml; charset=utf-8"),
        );
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/xml"));
        // Without it requests land on the wrong back end and take twice as long, or fail.
        let address = self.config.address.as_ref().map(EmailAddress::as_str);
        if let Some(Ok(anchor)) = address.map(HeaderValue::from_str) {
            headers.insert(HeaderName::from_static("x-anchormailbox"), anchor);
        }
        if let Ok(id) = HeaderValue::from_str(&request_id.to_string()) {
            headers.insert(HeaderName::from_static("client-request-id"), id);
            headers.insert(
                HeaderName::from_static("return-client-request-id"),
                HeaderValue::from_static("true"),
            );
        }
    }

    /// Waits for the server, but not longer than the profile says.
    async fn patient<T: Send>(
        &self,
        ctx: &OpContext,
        future: impl Future<Output = Result<T, NetError>> + Send,
    ) -> Result<T, NetError> {
        tokio::select! {
            biased;
            result = future => result,
            () = ctx.clock.sleep(self.config.request_timeout) => {
                Err(NetError::new(NetFailure::TimedOut, true))
            }
        }
    }

    async fn receive<T>(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        response: &mut HttpResponse,
        request_length: u64,
        read: Read<'_, T>,
        ear: Option<&mut Ear<'_>>,
    ) -> Attempt<T> {
        let mut first = Vec::new();
        let ended = loop {
            match self.patient(ctx, response.body.next_chunk()).await {
                Ok(Some(chunk)) if first.is_empty() && chunk.len() >= SNIFF => {
                    break if http_status::is_soap(&chunk) {
                        return self.soap(ctx, operation, response, &chunk, read, ear).await;
                    } else {
                        first = chunk.to_vec();
                        false
                    };
                }
                Ok(Some(chunk)) => {
                    first.extend_from_slice(&chunk);
                    if first.len() >= SNIFF {
                        break false;
                    }
                }
                Ok(None) => break true,
                // What is there may say why.
                Err(error) if first.is_empty() => {
                    return Attempt::Done(Err(lost(operation, error)));
                }
                Err(_) => break true,
            }
        };
        if http_status::is_soap(&first) {
            return self.soap(ctx, operation, response, &first, read, ear).await;
        }
        if !ended {
            let more = response.body.read_up_to(FOREIGN_MAX);
            first.extend(self.patient(ctx, more).await.unwrap_or_default());
        }
        let head = Head {
            status: response.status.as_u16(),
            location: response.header("location"),
            retry_after: response.header("retry-after"),
            diagnostics: response
                .header("x-ms-diagnostics")
                .or_else(|| response.header("x-cas-errorcode")),
            now: ctx.clock.now(),
            spoken: self.spoken.load(Ordering::Relaxed),
            request_length,
        };
        match http_status::judge(operation, &head, &String::from_utf8_lossy(&first)) {
            Verdict::VersionRefused => Attempt::VersionRefused,
            Verdict::Failed(error, effect) => {
                let error = if error.kind() == ErrorKind::Unauthenticated {
                    error.with_scope(self.config.credentials_scope)
                } else {
                    error
                };
                Attempt::Done(Err(CallError::new(error, effect)))
            }
        }
    }

    async fn soap<T>(
        &self,
        ctx: &OpContext,
        operation: &'static str,
        response: &mut HttpResponse,
        first: &[u8],
        read: Read<'_, T>,
        ear: Option<&mut Ear<'_>>,
    ) -> Attempt<T> {
        let mut first = Cow::Borrowed(first);
        let mut whole = false;
        while ear.is_some() && !whole && first.len() <= echo::ANSWER_MAX {
            match self.patient(ctx, response.body.next_chunk()).await {
                Ok(Some(chunk)) => first.to_mut().extend_from_slice(&chunk),
                Ok(None) => whole = true,
                Err(error) => return Attempt::Done(Err(lost(operation, error))),
            }
        }
        let before = ear.as_deref().and_then(|ear| ear.before);
        if whole && before.is_some_and(|before| before.answer == *first) {
            return Attempt::Again;
        }
        let mut cleaner = Cleaner::new(Limits::default(), SpoolSink::new(ctx.spool.clone()));
        let mut cleaned = cleaner.push(&first);
        while cleaned.is_ok() && !whole {
            match self.patient(ctx, response.body.next_chunk()).await {
                Ok(Some(chunk)) => cleaned = cleaner.push(&chunk),
                Ok(None) => break,
                Err(error) => return Attempt::Done(Err(lost(operation, error))),
            }
        }
        let (text, sink) = match cleaned.and_then(|()| cleaner.finish()) {
            Ok(done) => done,
            Err(error) => return Attempt::Done(Err(unclean(operation, error))),
        };
        let retry_after = response
            .header("retry-after")
            .and_then(|text| http_status::retry_after(text, ctx.clock.now()));
        let answered = self.interpret(operation, &text, &sink.into_contents(), retry_after, read);
        if let (Attempt::Done(Ok(_)), Some(ear), true) = (&answered, ear, whole) {
            ear.now = Some(Heard {
                version: self.version.version(),
                request: Vec::new(),
                answer: first.into_owned(),
            });
        }
        answered
    }

    fn interpret<T>(
        &self,
        operation: &'static str,
        text: &str,
        contents: &[Content],
        retry_after: Option<std::time::Duration>,
        read: Read<'_, T>,
    ) -> Attempt<T> {
        let document = match soap::parse(text) {
            Ok(document) => document,
            Err(error) => {
                // The position only: the parser's message quotes the document.
                let error = misunderstood(operation).with("position", error.pos());
                return Attempt::Done(Err(CallError::new(error, Effect::Unclear).splittable()));
            }
        };
        match soap::open(&document) {
            Ok(answer) => {
                self.spoken.store(true, Ordering::Relaxed);
                if let Some(build) = answer.build {
                    let mut product = self.product.lock().unwrap_or_else(PoisonError::into_inner);
                    if product.is_none() {
                        *product = Some(build.to_string());
                    }
                }
                let version_refused = soap::messages(answer.response)
                    .first()
                    .and_then(|message| message.refusal.as_ref())
                    .is_some_and(|refusal| soap::refuses_version(&refusal.code));
                if version_refused {
                    return Attempt::VersionRefused;
                }
                let reply = Reply {
                    response: answer.response,
                    contents,
                };
                Attempt::Done(read(&reply).ok_or_else(|| {
                    let error =
                        misunderstood(operation).with("element", answer.response.tag_name().name());
                    CallError::new(error, Effect::Unclear)
                }))
            }
            Err(NoAnswer::Fault(refusal)) => {
                self.spoken.store(true, Ordering::Relaxed);
                if soap::refuses_version(&refusal.code) {
                    return Attempt::VersionRefused;
                }
                Attempt::Done(Err(fault(operation, refusal, retry_after)))
            }
            Err(NoAnswer::NotSoap) => Attempt::Done(Err(CallError::new(
                misunderstood(operation),
                Effect::Unclear,
            ))),
        }
    }
}

/// What an answer told.
pub(crate) enum Answer<T> {
    /// It was read.
    New(T),
    /// It is the one that was heard before.
    Again,
}

enum Attempt<T> {
    Done(Result<T, CallError>),
    Again,
    VersionRefused,
}

fn lost(operation: &'static str, error: NetError) -> CallError {
    let effect = if error.may_have_arrived() {
        Effect::Unclear
    } else {
        Effect::None
    };
    CallError::new(error.into_provider(operation), effect)
}

/// An answer that cannot be understood.
pub(crate) fn misunderstood(operation: &'static str) -> ProviderError {
    ProviderError::new(ErrorKind::Protocol, Code::ProtocolViolation, operation)
}

fn unclean(operation: &'static str, error: CleanError) -> CallError {
    match error {
        CleanError::Truncated => CallError::new(
            ProviderError::new(ErrorKind::Unavailable, Code::ConnectionLost, operation)
                .with_retry(Retry::After(None))
                .with_source(error),
            Effect::Unclear,
        ),
        CleanError::TooLarge | CleanError::TooDeep | CleanError::TooManyAttributes => {
            CallError::new(misunderstood(operation).with_source(error), Effect::Unclear)
                .splittable()
        }
        CleanError::DocumentType => {
            CallError::new(misunderstood(operation).with_source(error), Effect::Unclear)
        }
    }
}

fn fault(
    operation: &'static str,
    mut refusal: Refusal,
    retry_after: Option<std::time::Duration>,
) -> CallError {
    // The larger of what the body and the header ask for.
    refusal.back_off = back_off(refusal.back_off).max(back_off(retry_after));
    let mut call = CallError::new(
        refused(operation, &refusal, About::Request),
        effect(&refusal),
    );
    if call.error.code() == Code::ImpersonationDenied {
        // One mailbox outside the role's scope is as likely as a missing role.
        call.error = call.error.with_scope(Scope::Mailbox);
    }
    if may_be_one_items_fault(refusal.effective_code()) {
        call = call.splittable();
    }
    call
}
