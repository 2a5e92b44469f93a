//! The server: from an HTTP request to an HTTP answer.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use roxmltree::{Document, Node};
use tokio::sync::watch;

use super::PATH;
use super::call::{Call, Counters, Outcome};
use super::capture::Capture;
use super::code::Refusal;
use super::fault::{Fault, Faults};
use super::http::{Cut, HttpRequest, HttpResponse, ResponseBody};
use super::ops::{self, EventStream, OutOfOffice, Subscriptions};
use super::permit::Running;
use super::schema;
use super::soap::{self, Envelope};
use super::version::ServerVersion;
use super::xml::Xml;
use crate::model::{
    Account, AccountId, Clock, ItemId, MailSystem, ModelError, Random, SystemClock,
};

/// The request size that Exchange 2013 and later accept.
const REQUEST_MAX: u64 = 67_108_864;
/// Requests that are remembered because nothing had changed.
const KNOWN_MAX: usize = 1024;

/// What builds an [`Exchange`].
#[derive(Debug)]
pub struct ExchangeBuilder {
    mail: Option<Arc<MailSystem>>,
    clock: Arc<dyn Clock>,
    seed: u64,
    accounts: Vec<Account>,
    version: ServerVersion,
    request_max: u64,
    concurrency_max: Option<u32>,
    latency: Duration,
    capture: Option<PathBuf>,
}

impl ExchangeBuilder {
    /// Serves a mail system that exists already. Clock and seed are then its own.
    #[must_use]
    pub fn mail(mut self, mail: Arc<MailSystem>) -> Self {
        self.mail = Some(mail);
        self
    }

    /// Sets the clock; the computer's if not called.
    #[must_use]
    pub fn clock(mut self, clock: Arc<impl Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the seed for identifiers and chances.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Adds an account.
    #[must_use]
    pub fn account(mut self, account: Account) -> Self {
        self.accounts.push(account);
        self
    }

    /// Sets the product version; Exchange SE if not called.
    #[must_use]
    pub fn version(mut self, version: ServerVersion) -> Self {
        self.version = version;
        self
    }

    /// Sets the largest request body in bytes; beyond it the answer is 413.
    #[must_use]
    pub const fn request_max(mut self, bytes: u64) -> Self {
        self.request_max = bytes;
        self
    }

    /// Sets how many requests an account may have running; beyond it they are throttled.
    #[must_use]
    pub const fn concurrency_max(mut self, requests: u32) -> Self {
        self.concurrency_max = Some(requests);
        self
    }

    /// Delays every answer.
    #[must_use]
    pub const fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Keeps each request and each answer in a folder, without HTTP headers and so without secrets.
    #[must_use]
    pub fn capture(mut self, folder: impl Into<PathBuf>) -> Self {
        self.capture = Some(folder.into());
        self
    }

    /// Builds the server.
    ///
    /// # Errors
    /// [`ModelError::AccountExists`] if two accounts collide.
    pub fn build(self) -> Result<Exchange, ModelError> {
        let mail = self
            .mail
            .unwrap_or_else(|| Arc::new(MailSystem::with_clock(self.clock, self.seed)));
        for account in self.accounts {
            mail.add_account(account)?;
        }
        let (changes, _) = watch::channel(0_u64);
        let heard = changes.clone();
        mail.on_change(move |_| heard.send_modify(|count| *count = count.wrapping_add(1)));
        let inner = Inner {
            mail,
            changes,
            subscriptions: Mutex::new(Subscriptions::new()),
            out_of_office: Mutex::new(OutOfOffice::new()),
            faults: Faults::new(self.seed),
            version: self.version,
            request_max: self.request_max,
            concurrency_max: self.concurrency_max,
            latency: Mutex::new(self.latency),
            running: Running::default(),
            counters: Mutex::new(Counters::new()),
            random: Mutex::new(Random::new(self.seed ^ 0x5EED)),
            capture: self.capture.map(Capture::new),
            known: Mutex::default(),
        };
        Ok(Exchange {
            inner: Arc::new(inner),
        })
    }
}

/// Subscriptions with the numbers of their connections, and how long to stream.
pub(super) type Opened = (Vec<(String, u64)>, Duration);

/// A simulated Exchange server. Clones are handles to the same one.
#[derive(Clone)]
pub struct Exchange {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) mail: Arc<MailSystem>,
    pub(super) changes: watch::Sender<u64>,
    subscriptions: Mutex<Subscriptions>,
    pub(super) out_of_office: Mutex<OutOfOffice>,
    pub(super) faults: Faults,
    pub(super) version: ServerVersion,
    pub(super) request_max: u64,
    concurrency_max: Option<u32>,
    latency: Mutex<Duration>,
    running: Running,
    counters: Mutex<Counters>,
    random: Mutex<Random>,
    capture: Option<Capture>,
    known: Mutex<BTreeMap<Bytes, Known>>,
}

/// An answer that says that nothing has changed.
struct Known {
    operation: String,
    caller: AccountId,
    account: AccountId,
    /// Of the caller and of the account: while they are the same, so is the answer.
    revisions: [(u64, u64); 2],
    answer: ResponseBody,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("mail", &self.inner.mail)
            .field("version", &self.inner.version)
            .finish_non_exhaustive()
    }
}

impl Exchange {
    /// Begins to build a server.
    #[must_use]
    pub fn builder() -> ExchangeBuilder {
        ExchangeBuilder {
            mail: None,
            clock: Arc::new(SystemClock),
            seed: 0,
            accounts: Vec::new(),
            version: ServerVersion::default(),
            request_max: REQUEST_MAX,
            concurrency_max: None,
            latency: Duration::ZERO,
            capture: None,
        }
    }

    /// The mailboxes: the back door for tests.
    #[must_use]
    pub fn mail(&self) -> &Arc<MailSystem> {
        &self.inner.mail
    }

    /// The id under which clients know an item of that account.
    #[must_use]
    pub fn client_id(&self, account: AccountId, item: ItemId) -> String {
        super::ids::encode(account, super::ids::Named::Item(item))
    }

    /// The faults that can be switched on.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// How many requests of an operation came in, those that were refused included.
    #[must_use]
    pub fn requests(&self, operation: &str) -> u64 {
        self.inner
            .counters()
            .get(operation)
            .copied()
            .unwrap_or_default()
    }

    /// How many requests of each operation came in.
    #[must_use]
    pub fn request_counts(&self) -> Counters {
        self.inner.counters().clone()
    }

    /// Forgets all subscriptions, as a restart of the service does.
    pub fn forget_subscriptions(&self) {
        self.inner.subscriptions().clear();
        self.inner
            .changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Changes the delay of every answer.
    pub fn set_latency(&self, latency: Duration) {
        *self
            .inner
            .latency
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = latency;
    }

    /// Serves one request. It does not wait: a delay or a broken connection is said in the answer.
    #[must_use]
    pub fn handle(&self, request: &HttpRequest) -> HttpResponse {
        let (operation, mut response) = self.inner.handle(request);
        if let Some((subscriptions, duration)) = response.opened.take() {
            response.stream = Some(EventStream::new(self.clone(), subscriptions, duration));
        }
        let latency = *self
            .inner
            .latency
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        response.delay = response.delay.saturating_add(latency);
        if let (Some(capture), Some(operation)) = (&self.inner.capture, operation) {
            capture.keep(&operation, &request.body, &response);
        }
        response
    }
}

impl Inner {
    fn counters(&self) -> std::sync::MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn subscriptions(&self) -> std::sync::MutexGuard<'_, Subscriptions> {
        self.subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A boundary for a message that the server puts together.
    pub(super) fn boundary(&self) -> String {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        format!("_{:016x}_", random.next_u64())
    }

    fn handle(&self, request: &HttpRequest) -> (Option<String>, HttpResponse) {
        let path = request.path.split('?').next().unwrap_or_default();
        if !path.eq_ignore_ascii_case(PATH) {
            return (None, html(404, "Not Found"));
        }
        let size = u64::try_from(request.body.len()).unwrap_or(u64::MAX);
        if size > self.request_max {
            return (None, html(413, "Request Entity Too Large"));
        }
        let Some(caller) = self.authenticate(request) else {
            return (None, unauthorized());
        };
        match request.method.as_str() {
            "POST" => {}
            "GET" | "HEAD" => return (None, html(200, "Service")),
            _ => return (None, html(405, "Method Not Allowed")),
        }
        if let Some(answered) = self.again(caller, request) {
            return answered;
        }
        let body = request
            .body
            .strip_prefix(b"\xEF\xBB\xBF")
            .unwrap_or(&request.body);
        let Ok(text) = std::str::from_utf8(body) else {
            return (None, html(400, "Bad Request"));
        };
        let Some(document) = soap::parse(text) else {
            return (None, html(400, "Bad Request"));
        };
        let Some(envelope) = Envelope::read(&document) else {
            return (
                None,
                soap::fault(&self.version, &Refusal::new("ErrorInvalidRequest")),
            );
        };
        let operation = envelope.operation().to_owned();
        self.counters()
            .entry(operation.clone())
            .and_modify(|count| *count = count.saturating_add(1))
            .or_insert(1);
        let mut idle = None;
        let response = self
            .serve(caller, &document, &envelope, &operation, &mut idle)
            .unwrap_or_else(|refusal| soap::fault(&self.version, &refusal));
        if let Some(account) = idle {
            let known = Known {
                operation: operation.clone(),
                caller,
                account,
                revisions: self.revisions(caller, account),
                answer: response.body.clone(),
            };
            let mut kept = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KNOWN_MAX {
                kept.clear();
            }
            kept.insert(request.body.clone(), known);
        }
        (Some(operation), response)
    }

    fn revisions(&self, caller: AccountId, account: AccountId) -> [(u64, u64); 2] {
        [self.mail.revision(caller), self.mail.revision(account)]
    }

    /// The answer to a request that was answered by "nothing has changed" before, where that still
    /// holds.
    fn again(
        &self,
        caller: AccountId,
        request: &HttpRequest,
    ) -> Option<(Option<String>, HttpResponse)> {
        if !self.faults.is_empty() {
            return None;
        }
        let (operation, answer) = {
            let kept = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let known = kept.get(&request.body)?;
            let same =
                known.caller == caller && known.revisions == self.revisions(caller, known.account);
            if !same {
                return None;
            }
            (known.operation.clone(), known.answer.clone())
        };
        // One that may not run now is refused as any other.
        let permit = self.running.begin(caller, self.concurrency_max)?;
        if let Some(count) = self.counters().get_mut(&operation) {
            *count = count.saturating_add(1);
        }
        let mut response = soap::answer(answer);
        response.permit = Some(permit);
        Some((Some(operation), response))
    }

    fn authenticate(&self, request: &HttpRequest) -> Option<AccountId> {
        let value = request.header_value("authorization")?;
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(encoded.trim())
            .ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (user, password) = text.split_once(':')?;
        self.mail.authenticate(user, password)
    }

    /// Whose mailbox the request opens, by the impersonation header.
    fn target(
        &self,
        caller: AccountId,
        document: &Document<'_>,
        envelope: &Envelope<'_, '_>,
    ) -> Outcome<AccountId> {
        let Some(header) = envelope.header("ExchangeImpersonation")? else {
            return Ok(caller);
        };
        soap::validate(document, header)?;
        let sid = header
            .children()
            .find(Node::is_element)
            .and_then(|sid| sid.children().find(Node::is_element));
        let sid = sid.ok_or_else(|| Refusal::new("ErrorInvalidExchangeImpersonationHeaderData"))?;
        let wanted = sid.text().unwrap_or_default().trim();
        let found = match sid.tag_name().name() {
            "PrincipalName" => {
                let accounts = self.mail.accounts().into_iter();
                let mut named = accounts.filter(|id| {
                    self.mail.account_info(*id).is_ok_and(|account| {
                        account.user.eq_ignore_ascii_case(wanted) || account.owns(wanted)
                    })
                });
                named.next()
            }
            "PrimarySmtpAddress" | "SmtpAddress" => self.mail.account(wanted),
            _ => return Err(Refusal::new("ErrorInvalidUserSid")),
        };
        let found = found.ok_or_else(|| Refusal::new("ErrorNonExistentMailbox"))?;
        let target = self.mail.account_info(found)?;
        if sid.tag_name().name() == "PrimarySmtpAddress"
            && !target.address.eq_ignore_ascii_case(wanted)
        {
            return Err(Refusal::new("ErrorNonPrimarySmtpAddress"));
        }
        if found != caller && !self.mail.account_info(caller)?.may_impersonate(&target) {
            return Err(Refusal::new("ErrorImpersonateUserDenied"));
        }
        Ok(found)
    }

    fn serve(
        &self,
        caller: AccountId,
        document: &Document<'_>,
        envelope: &Envelope<'_, '_>,
        operation: &str,
        idle: &mut Option<AccountId>,
    ) -> Outcome<HttpResponse> {
        let target = self.target(caller, document, envelope);
        let info = self
            .mail
            .account_info(*target.as_ref().unwrap_or(&caller))?;
        let faults = self.faults.strike(operation, &info.address);
        if let Some(response) = self.instead(&faults) {
            return Ok(response);
        }
        let Some(permit) = self.running.begin(caller, self.concurrency_max) else {
            return Err(Refusal::new("ErrorServerBusy")
                .value("Policy", "MaxConcurrency")
                .value("BackOffMilliseconds", 1000));
        };
        let account = target?;
        if faults.contains(&Fault::ImpersonationRevoked) && account != caller {
            return Err(Refusal::new("ErrorImpersonateUserDenied"));
        }
        if !info.ews_enabled || !self.mail.account_info(caller)?.ews_enabled {
            return Ok(html(403, "Forbidden"));
        }
        self.check_version(envelope)?;
        if !schema::schema().knows(envelope.request) {
            return Err(ops::unknown(operation));
        }
        soap::validate(document, envelope.request)?;
        let call = Call {
            server: self,
            mail: &self.mail,
            account,
            info,
            operation,
            faults,
            idle: Cell::new(false),
        };
        let mut opened = None;
        let mut response = soap::answer(self.answer(&call, envelope.request, &mut opened));
        if call.idle.get() && call.faults.is_empty() {
            *idle = Some(account);
        }
        response.opened = opened;
        response.permit = Some(permit);
        Ok(self.spoil(&call.faults, response))
    }

    fn check_version(&self, envelope: &Envelope<'_, '_>) -> Outcome {
        let Some(header) = envelope.header("RequestServerVersion")? else {
            return Ok(());
        };
        let requested = header.attribute("Version").unwrap_or_default();
        if self.version.takes(requested) {
            Ok(())
        } else {
            Err(Refusal::new("ErrorInvalidServerVersion"))
        }
    }

    fn answer(
        &self,
        call: &Call<'_>,
        request: Node<'_, '_>,
        opened: &mut Option<Opened>,
    ) -> ResponseBody {
        let mut messages = Xml::new();
        let outcome = match instead_of_messages(&call.faults) {
            Some(refusal) => Err(refusal),
            None if call.operation == "GetStreamingEvents" => {
                ops::open_stream(call, request, &mut messages).map(|stream| {
                    *opened = Some(stream).filter(|(subscriptions, _)| !subscriptions.is_empty());
                })
            }
            None => ops::serve(call, request, &mut messages),
        };
        let mut xml = Xml::new();
        soap::write_envelope(&mut xml, &self.version, |xml| {
            let name = format!("m:{}Response", call.operation);
            xml.open(&name, &[]);
            if call.operation.ends_with("UserOofSettings") {
                ops::answer_oof(xml, outcome, messages);
            } else {
                xml.open("m:ResponseMessages", &[]);
                match outcome {
                    Ok(()) => xml.append(messages),
                    Err(refusal) => {
                        for _ in 0..batch_size(request) {
                            call.refuse(xml, &refusal);
                        }
                    }
                }
                xml.close("m:ResponseMessages");
            }
            xml.close(&name);
        });
        xml.into_body()
    }

    /// Faults that answer in place of the server.
    fn instead(&self, faults: &[Fault]) -> Option<HttpResponse> {
        faults.iter().find_map(|fault| match fault {
            Fault::Throttle { back_off } => {
                let refusal = Refusal::new("ErrorServerBusy")
                    .value("Policy", "MaxConcurrency")
                    .value("BackOffMilliseconds", back_off.as_millis());
                Some(soap::fault(&self.version, &refusal))
            }
            Fault::Unavailable { retry_after } => {
                let response = html(503, "Service Unavailable");
                Some(match retry_after {
                    Some(wait) => response.header("retry-after", wait.as_secs().to_string()),
                    None => response,
                })
            }
            Fault::HtmlPage => Some(html(500, "Server Error in '/EWS' Application.")),
            Fault::Unauthorized => Some(unauthorized()),
            Fault::LostRequest => {
                let mut response = html(500, "");
                response.cut = Some(Cut::Before);
                Some(response)
            }
            _ => None,
        })
    }

    /// Faults that damage an answer after the effect.
    fn spoil(&self, faults: &[Fault], mut response: HttpResponse) -> HttpResponse {
        for fault in faults {
            match fault {
                Fault::Slow { by } => response.delay = response.delay.saturating_add(*by),
                Fault::Reset => response.cut = Some(Cut::After(response.body.len() / 2)),
                Fault::LostAnswer => response.cut = Some(Cut::Before),
                Fault::Truncated => {
                    let mut whole = std::mem::take(&mut response.body).into_bytes();
                    whole.truncate(whole.len() / 2);
                    response.body = ResponseBody::from(whole);
                }
                _ => {}
            }
        }
        response
    }
}

/// Faults that stand in all response messages.
fn instead_of_messages(faults: &[Fault]) -> Option<Refusal> {
    faults.iter().find_map(|fault| match fault {
        Fault::Busy { back_off } => {
            Some(Refusal::new("ErrorServerBusy").value("BackOffMilliseconds", back_off.as_millis()))
        }
        Fault::Code(code) => Some(Refusal::new(code)),
        _ => None,
    })
}

/// How many response messages a request gets.
fn batch_size(request: Node<'_, '_>) -> usize {
    let lists = [
        "ItemIds",
        "FolderIds",
        "ParentFolderIds",
        "Items",
        "ItemChanges",
        "Folders",
        "FolderChanges",
        "Attachments",
        "AttachmentIds",
        "SourceIds",
    ];
    let list = request
        .children()
        .find(|child| lists.contains(&child.tag_name().name()));
    list.map_or(1, |list| {
        list.children().filter(Node::is_element).count().max(1)
    })
}

fn html(status: u16, text: &str) -> HttpResponse {
    let page = format!(
        "<!DOCTYPE html><html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>"
    );
    HttpResponse::new(status, "text/html; charset=utf-8", Bytes::from(page))
}

fn unauthorized() -> HttpResponse {
    html(401, "Unauthorized").header("www-authenticate", "Basic realm=\"exchange.example\"")
}
