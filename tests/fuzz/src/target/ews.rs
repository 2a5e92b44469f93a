//! Answers of an Exchange server, through the adapter: whatever it says, every operation ends, in a
//! result or a coded error, and asks a bounded number of times.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use postroom_core::outbox::{StagedSubmission, SubmissionKey};
use postroom_core::{EmailAddress, RawMessage};
use postroom_net::http::{HeaderMap, StatusCode};
use postroom_net::{HttpRequest, HttpResponse, HttpTransport, NetError, ResponseBody};
use postroom_provider::{
    DeleteMode, FolderId, MailChange, OpContext, PageLimit, Provider, ProviderError, RemoteId,
    Submission, SubmissionIdentity, WellKnownFolder,
};
use postroom_simulator::exchange::{self, Exchange, Fault, FaultRule};
use postroom_simulator::memory::SharedClock;
use postroom_simulator::model::{Account, MailSystem};

use super::ews_families::FAMILIES;
use super::wire::{self, Answer, DESK, Still, Wire, check, context, now};
use super::{Target, magnitude, observed};
use crate::bytes::Source;
use crate::family::Family;

const OPERATIONS: &[&str] = &[
    "list_folders",
    "find_folder",
    "ensure_folder",
    "changes",
    "changes_since",
    "headers",
    "fetch",
    "move",
    "delete",
    "stage",
    "send",
    "send_staged",
    "find",
    "discard",
];

/// Separates answers to several requests.
const NEXT: u8 = 0x1e;

/// Answers of an Exchange server.
pub(super) struct Answers {
    wire: Arc<Wire>,
    provider: Arc<dyn Provider>,
    ctx: OpContext,
}

impl Answers {
    pub(super) fn new() -> Self {
        let wire = Arc::new(Wire::silent());
        Self {
            provider: wire::provider(&wire),
            wire,
            ctx: context(),
        }
    }
}

/// Carries requests to the simulated server and keeps its answers.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) exchange: Exchange,
    answers: Mutex<Vec<(u16, Bytes)>>,
}

impl Recorder {
    /// A server with some messages.
    pub(super) fn new() -> Arc<Self> {
        let mail = Arc::new(MailSystem::new(
            Arc::new(SharedClock::new(Arc::new(Still))),
            7,
        ));
        let exchange = Exchange::builder()
            .mail(mail)
            .account(
                Account::new("postroom@contoso.example")
                    .login("postroom@contoso.example", "service-pw")
                    .impersonates_everybody(),
            )
            .account(Account::new(DESK))
            .account(Account::new("jo@x.example"))
            .build()
            .expect("a server");
        for raw in super::mime::SEEDS {
            exchange.mail().deliver(raw.to_vec(), &[DESK]);
        }
        Arc::new(Self {
            exchange,
            answers: Mutex::default(),
        })
    }

    /// The answers since the last time.
    pub(super) fn take(&self) -> Vec<(u16, Bytes)> {
        std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl HttpTransport for Recorder {
    async fn send(&self, _: &OpContext, request: HttpRequest) -> Result<HttpResponse, NetError> {
        let mut asked = exchange::HttpRequest::post(request.url.path(), request.body_bytes()?);
        for (name, value) in &request.headers {
            asked = asked.header(name.as_str(), value.to_str().expect("text"));
        }
        if let Some(value) = request.authentication.authorization() {
            asked = asked.header("authorization", value.to_str().expect("text"));
        }
        let answer = self.exchange.handle(&asked);
        let status = answer.status;
        let body = answer.body.into_bytes();
        self.answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((status, body.clone()));
        let status = StatusCode::from_u16(status).expect("a status");
        Ok(HttpResponse::new(
            status,
            HeaderMap::new(),
            ResponseBody::from_bytes(body),
        ))
    }
}

/// What the simulated server answers to each operation, well and with faults.
fn recorded() -> Vec<Vec<u8>> {
    let recorder = Recorder::new();
    let provider = wire::provider(&recorder);
    let ctx = context();
    let inbox = now(provider
        .mail()
        .expect("mail")
        .find_folder(&ctx, WellKnownFolder::Inbox))
    .expect("the inbox");
    let listed =
        now(provider
            .mail()
            .expect("mail")
            .changes(&ctx, &inbox, None, PageLimit::new(100)))
        .expect("a page");
    let mut ids: Vec<RemoteId> = listed
        .changes
        .into_iter()
        .filter_map(|change| match change {
            MailChange::Present(listing) => Some(listing.id),
            MailChange::Removed(_) => None,
        })
        .collect();
    ids.truncate(3);
    let mut seeds = Vec::new();
    let faults = [
        None,
        Some(Fault::Throttle {
            back_off: std::time::Duration::from_millis(100),
        }),
        Some(Fault::Corrupt),
        Some(Fault::Unavailable {
            retry_after: Some(std::time::Duration::from_secs(3)),
        }),
    ];
    for fault in faults {
        for operation in OPERATIONS {
            // Deleting and moving take the messages away.
            let ids: Vec<RemoteId> = match *operation {
                "move" | "delete" => ids
                    .iter()
                    .map(|id| RemoteId::new(format!("{}x", id.as_str())))
                    .collect(),
                _ => ids.clone(),
            };
            let id = fault
                .clone()
                .map(|fault| recorder.exchange.faults().add(FaultRule::new(fault)));
            recorder.take();
            let _ = operate(operation, &*provider, &ctx, &inbox, &ids);
            if id.is_some() {
                recorder.exchange.faults().clear();
            }
            let answers = recorder.take();
            let Some((status, _)) = answers.first() else {
                continue;
            };
            let mut seed = format!("{operation} {status} 100\n\n").into_bytes();
            for (_, body) in answers {
                seed.extend_from_slice(&body);
                seed.push(NEXT);
            }
            seed.pop();
            seeds.push(seed);
        }
    }
    seeds
}

const FOREIGN: &[&[u8]] = &[
    b"fetch 401 10\nwww-authenticate: NTLM\n\n",
    b"fetch 302 10\nlocation: https://elsewhere.example/owa/auth/logon.aspx?x\n\n<html>",
    b"changes 503 10\nretry-after: Sun, 22 Nov 2026 10:00:00 GMT\n\nService Unavailable",
    b"changes 503 10\nretry-after: 99999999999999999999\n\n<s:Envelope/>",
    b"headers 500 3\nx-ms-diagnostics: 2000003;reason=\"x\";error_category=\"invalid_token\"\n\n\xef\xbb\xbf<?xml version=\"1.0\"?><x/>",
    b"list_folders 200 1\n\n<s:Envelope xmlns:s='s'><s:Body><s:Fault><faultcode>a:ErrorServerBusy</faultcode>\
      <faultstring>busy</faultstring><detail><MessageXml><Value Name='BackOffMilliseconds'>-1</Value></MessageXml>\
      </detail></s:Fault></s:Body></s:Envelope>",
    b"send 0 1\n\n",
    b"stage 200 9 broken\n\n<s:Envelope xmlns:s='s'>",
    b"fetch 200 7\n\n<E:Envelope xmlns:E='e'><E:Body><GetItemResponse><ResponseMessages>\
      <M ResponseClass='Success'><ResponseCode>NoError</ResponseCode><Items><Message><MimeContent>aGk=</MimeContent></Message></Items></M>\
      <M ResponseClass='Error'><ResponseCode>ErrorMimeContentConversionFailed</ResponseCode></M>\
      <M ResponseClass='Warning'><ResponseCode>ErrorBatchProcessingStopped</ResponseCode></M>\
      </ResponseMessages></GetItemResponse></E:Body></E:Envelope>",
];

impl Target for Answers {
    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds = recorded();
        assert!(
            seeds.len() > 3 * OPERATIONS.len() / 2,
            "{} answers",
            seeds.len()
        );
        seeds.extend(FOREIGN.iter().map(|seed| seed.to_vec()));
        seeds
    }

    fn dictionary(&self) -> &'static [&'static [u8]] {
        &[
            b"ResponseClass=\"Error\"",
            b"ResponseClass=\"Warning\"",
            b"NoError",
            b"ErrorServerBusy",
            b"ErrorItemNotFound",
            b"ErrorBatchProcessingStopped",
            b"ErrorInvalidServerVersion",
            b"ErrorMimeContentConversionFailed",
            b"ErrorStaleObject",
            b"ErrorInternalServerError",
            b"ErrorFolderExists",
            b"ErrorInvalidSyncStateData",
            b"ErrorIrresolvableConflict",
            b"<t:ItemId Id=\"x\"/>",
            b"<t:MimeContent>",
            b"</t:MimeContent>",
            b"<MimeContent/>",
            b"<!DOCTYPE x>",
            b"<t:Mailbox>",
            b"IncludesLastItemInRange",
            b"<m:SyncState>",
            b"\x1e",
            b" broken\n",
            b"retry-after: 5\n",
            b"true",
            b"false",
            b"xmlns:t=\"\"",
            b"fetch ",
            b"headers ",
            b"find ",
            b"send_staged ",
            b"discard ",
        ]
    }

    fn length_max(&self) -> usize {
        64 * 1024
    }

    fn families(&self) -> Vec<Family> {
        FAMILIES.to_vec()
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let mut source = Source::new(input);
        let first = source.text();
        let mut words = first.split(' ');
        let name = words.next().unwrap_or_default();
        let operation = OPERATIONS
            .iter()
            .find(|known| **known == name)
            .unwrap_or_else(|| {
                &OPERATIONS[name.bytes().map(usize::from).sum::<usize>() % OPERATIONS.len()]
            });
        let mut answer = Answer {
            status: words
                .next()
                .and_then(|word| word.parse().ok())
                .unwrap_or(200),
            chunk: words.next().and_then(|word| word.parse().ok()).unwrap_or(1),
            broken: words.next() == Some("broken"),
            ..Answer::default()
        };
        while !source.is_empty() {
            let line = source.text();
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            answer.headers.push((name.to_owned(), value.to_owned()));
        }
        let rest = Bytes::copy_from_slice(source.rest());
        answer.bodies = rest
            .split(|byte| *byte == NEXT)
            .map(|body| rest.slice_ref(body))
            .collect();
        self.wire.set(answer);
        self.wire.take_requests();
        // What a server has said before changes what the next answer means.
        self.provider = wire::provider(&self.wire);
        let ids = ["AAMk1", "AAMk2", "AAMk3"].map(RemoteId::new);
        let inbox = FolderId::new("AQMkInbox");
        let outcome = operate(operation, &*self.provider, &self.ctx, &inbox, &ids);
        let requests = self.wire.take_requests().len();
        let _ = self.provider.capabilities();
        let shape = match outcome {
            Ok(size) => {
                assert!(
                    size <= 16 * input.len() + 4096,
                    "{size} bytes of {}",
                    input.len()
                );
                (size, String::new(), String::new())
            }
            Err(error) => {
                check(&error);
                (
                    usize::MAX,
                    format!("{:?} {:?} {:?}", error.kind(), error.retry(), error.scope()),
                    error.code().to_string(),
                )
            }
        };
        observed(&(
            operation,
            magnitude(shape.0),
            shape.1,
            shape.2,
            magnitude(requests),
        ))
    }
}

/// Carries an operation out and answers roughly how much came of it.
fn operate(
    operation: &str,
    provider: &dyn Provider,
    ctx: &OpContext,
    folder: &FolderId,
    ids: &[RemoteId],
) -> Result<usize, ProviderError> {
    let mail = provider.mail().expect("mail");
    let submitter = provider.submitter().expect("a submitter");
    match operation {
        "list_folders" => now(mail.list_folders(ctx)).map(|folders| {
            folders
                .iter()
                .map(|folder| folder.id.as_str().len() + folder.name.len())
                .sum()
        }),
        "find_folder" => {
            now(mail.find_folder(ctx, WellKnownFolder::Junk)).map(|id| id.as_str().len())
        }
        "ensure_folder" => {
            now(mail.ensure_folder(ctx, None, "Undeliverable")).map(|id| id.as_str().len())
        }
        "changes" | "changes_since" => {
            let page = now(mail.changes(ctx, folder, None, PageLimit::new(512)))?;
            if operation == "changes" {
                // A cursor of ours can be read again, whatever the server put into it.
                return Ok(page.changes.len() + page.cursor.as_str().len());
            }
            let next = now(mail.changes(ctx, folder, Some(&page.cursor), PageLimit::new(512)))?;
            assert!(
                !(next.more && next.changes.is_empty() && next.cursor == page.cursor),
                "it would go on for ever"
            );
            Ok(next.changes.len())
        }
        "headers" => {
            let all = now(mail.headers(ctx, folder, ids))?;
            assert_eq!(all.len(), ids.len(), "one outcome for each");
            all.into_iter().map(|one| Ok(size_of_headers(one))).sum()
        }
        "fetch" => {
            let all = now(mail.fetch(ctx, folder, ids))?;
            assert_eq!(all.len(), ids.len(), "one outcome for each");
            let mut size = 0;
            for one in all {
                match one {
                    Ok(message) => {
                        let bytes = message.raw.read_up_to(u64::MAX).expect("it can be read");
                        assert_eq!(bytes.len() as u64, message.raw.len(), "the length as told");
                        size += bytes.len();
                    }
                    Err(error) => check(&error),
                }
            }
            Ok(size)
        }
        "move" => {
            let all = now(mail.move_to(ctx, folder, ids, folder))?;
            assert_eq!(all.len(), ids.len(), "one outcome for each");
            all.iter()
                .filter_map(|one| one.as_ref().err())
                .for_each(check);
            Ok(all.len())
        }
        "delete" => {
            let all = now(mail.delete(ctx, folder, ids, DeleteMode::Permanently))?;
            assert_eq!(all.len(), ids.len(), "one outcome for each");
            all.iter()
                .filter_map(|one| one.as_ref().err())
                .for_each(check);
            Ok(all.len())
        }
        "stage" => {
            now(submitter.stage(ctx, &submission())).map(|staged| staged.remote_id.as_str().len())
        }
        "send" => {
            now(submitter.send(ctx, &submission(), None)).map(|receipt| receipt.refused.len())
        }
        "send_staged" => now(submitter.send(ctx, &submission(), Some(&staged(ids))))
            .map(|receipt| receipt.refused.len()),
        "find" => {
            let submission = submission();
            let mut identity = SubmissionIdentity::new(submission.key, submission.message_id);
            identity.staged = Some(staged(ids));
            now(submitter.find(ctx, &identity)).map(|trace| format!("{trace:?}").len())
        }
        _ => now(submitter.discard(ctx, &staged(ids))).map(|()| 0),
    }
}

fn size_of_headers(one: Result<postroom_provider::MailHeaders, ProviderError>) -> usize {
    match one {
        Ok(mail) => serde_json::to_string(&mail.headers)
            .expect("headers can be stored")
            .len(),
        Err(error) => {
            check(&error);
            0
        }
    }
}

fn staged(ids: &[RemoteId]) -> StagedSubmission {
    let id = ids.first().cloned().unwrap_or_else(|| RemoteId::new("x"));
    StagedSubmission::new(id, Some("CQAAAA==".to_owned()))
}

pub(super) fn submission() -> Submission {
    let from: EmailAddress = DESK.parse().expect("an address");
    let to: EmailAddress = "jo@x.example".parse().expect("an address");
    Submission::new(
        SubmissionKey::from_random([3; 16]),
        "out-1@contoso.example".parse().expect("an identifier"),
        from.into(),
        vec![to],
        RawMessage::from_bytes(b"From: desk@contoso.example\r\nTo: jo@x.example\r\nMessage-ID: <out-1@contoso.example>\r\nSubject: x\r\n\r\nx\r\n".to_vec()),
    )
}
