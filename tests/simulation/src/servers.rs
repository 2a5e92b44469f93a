//! The simulated mail systems, and the network between them and the engine.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use postroom_net::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use postroom_net::{
    ChunkSource, HttpRequest, HttpResponse, HttpTransport, NetError, NetFailure, ResponseBody,
};
use postroom_provider::OpContext;
use postroom_simulator::exchange::{self, Cut, Exchange};
use postroom_simulator::memory::{self, MemoryServer};
use postroom_simulator::model::{AccountId, EventKind, Folder, Item, ItemId, MailSystem};

use crate::clock::TrueClock;
use crate::history::{Actor, Event, History, Letter, Thread};
use crate::post::{header, marker_in};
use crate::setup::Protocol;

/// What messages answer, by marker; written down before they are delivered.
pub type Threads = Arc<Mutex<BTreeMap<String, Thread>>>;

/// By which protocol an account is reached, by address.
pub type Protocols = Arc<BTreeMap<String, Protocol>>;

/// One mail system, reached by either protocol.
#[derive(Clone, Debug)]
pub struct System {
    /// The mailboxes.
    pub mail: Arc<MailSystem>,
    /// Exchange Web Services.
    pub exchange: Exchange,
    /// Without a protocol.
    pub memory: MemoryServer,
}

impl System {
    /// A system without accounts.
    #[must_use]
    pub fn new(time: &TrueClock, seed: u64) -> Self {
        let mail = Arc::new(MailSystem::new(Arc::new(time.clone()), seed));
        let exchange = Exchange::builder()
            .mail(Arc::clone(&mail))
            .seed(seed)
            .build()
            .expect("a server on an empty system");
        let memory = MemoryServer::new(Arc::clone(&mail)).with_seed(seed);
        Self {
            mail,
            exchange,
            memory,
        }
    }

    /// Writes every message that transport brings into the history, as it arrives.
    pub fn watch(&self, history: &History, threads: &Threads, protocols: &Protocols) {
        let seen: Mutex<BTreeMap<AccountId, u64>> = Mutex::default();
        let system = Arc::downgrade(&self.mail);
        let (history, threads) = (history.clone(), Arc::clone(threads));
        let protocols = Arc::clone(protocols);
        self.mail.on_change(move |account| {
            let Some(mail) = system.upgrade() else {
                return;
            };
            let since = {
                let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.get(&account).copied().unwrap_or_default()
            };
            let Some(last) = mail.events(account, since, usize::MAX).last().copied() else {
                return;
            };
            for event in mail.events(account, since, usize::MAX) {
                if event.kind != EventKind::NewMail {
                    continue;
                }
                let (Ok(item), Ok(info)) = (mail.item(event.item), mail.account_info(account))
                else {
                    continue;
                };
                if let Some(letter) = letter(&item, &threads) {
                    let protocol = protocols.get(&info.address);
                    history.push(Event::Arrived {
                        account: info.address.clone(),
                        folder: "Inbox".to_owned(),
                        remote: remote(
                            protocol.copied().unwrap_or(Protocol::Memory),
                            account,
                            item.id,
                        ),
                        letter,
                        by: Actor::Transport,
                    });
                }
            }
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(account, last.number);
        });
    }
}

/// A folder's name in the history: well-known ones without blanks, such as `SentItems`.
#[must_use]
pub fn folder_name(folder: &Folder) -> String {
    match folder.well_known {
        Some(_) => folder.name.replace(' ', ""),
        None => folder.name.clone(),
    }
}

/// An item's id as the provider of that protocol spells it.
#[must_use]
pub fn remote(protocol: Protocol, account: AccountId, item: ItemId) -> String {
    /// Knows the spelling of ids, and nothing else.
    static SPELLING: OnceLock<Exchange> = OnceLock::new();
    match protocol {
        Protocol::Ews => SPELLING
            .get_or_init(|| Exchange::builder().build().expect("a server without mail"))
            .client_id(account, item),
        Protocol::Memory => memory::remote_id(item).as_str().to_owned(),
    }
}

/// What the history says of a message; `None` for one that nobody of this world wrote, such as a
/// test message or a report.
#[must_use]
pub fn letter(item: &Item, threads: &Threads) -> Option<Letter> {
    let summary = item.summary();
    if summary.subject.starts_with("Undeliverable:") {
        return None;
    }
    let marker = marker_in(item.content())?;
    let thread = threads
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&marker)
        .cloned()
        .unwrap_or_default();
    let to = summary.to.iter().chain(&summary.cc);
    Some(Letter {
        marker,
        message_id: (!summary.message_id.is_empty()).then(|| summary.message_id.clone()),
        date: header(item.content(), "Date"),
        from: summary
            .from
            .as_ref()
            .map(|from| from.address.clone())
            .unwrap_or_default(),
        to: to.map(|address| address.address.clone()).collect(),
        thread,
        subject: summary.subject.clone(),
        index: header(item.content(), "Thread-Index"),
    })
}

/// The network: requests go to the server whose name they carry, at once and as a whole.
#[derive(Clone, Debug)]
pub struct Network {
    /// By host name.
    servers: BTreeMap<String, Exchange>,
}

impl Network {
    /// A network with these servers.
    #[must_use]
    pub const fn new(servers: BTreeMap<String, Exchange>) -> Self {
        Self { servers }
    }
}

#[async_trait]
impl HttpTransport for Network {
    async fn send(&self, ctx: &OpContext, request: HttpRequest) -> Result<HttpResponse, NetError> {
        let host = request.url.host_str().unwrap_or_default();
        let Some(server) = self.servers.get(host) else {
            return Err(NetError::new(NetFailure::Lost, false));
        };
        let mut asked = exchange::HttpRequest::post(request.url.path(), request.body_bytes()?);
        for (name, value) in &request.headers {
            asked = asked.header(name.as_str(), value.to_str().expect("a header of ours"));
        }
        if let Some(value) = request.authentication.authorization() {
            asked = asked.header("authorization", value.to_str().expect("Basic is ASCII"));
        }
        let answer = server.handle(&asked);
        if !answer.delay.is_zero() {
            ctx.clock.sleep(answer.delay).await;
        }
        if answer.cut == Some(Cut::Before) {
            return Err(NetError::new(NetFailure::Lost, true));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &answer.headers {
            let name: HeaderName = name.parse().expect("a header of the server's");
            headers.insert(name, HeaderValue::from_str(value).expect("its value"));
        }
        let status = StatusCode::from_u16(answer.status).expect("a status");
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
        self.left -= chunk.len() as u64;
        Ok(Some(chunk))
    }
}
