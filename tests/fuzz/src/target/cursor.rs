//! Cursors as they lie in the store: damaged, of other folders, of other adapters.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postroom_provider::{
    ChangePage, ErrorKind, FolderId, MailChange, OpContext, PageLimit, Provider, SyncCursor,
    WellKnownFolder,
};
use postroom_simulator::memory::{MemoryServer, SharedClock};
use postroom_simulator::model::{Account, MailSystem};

use super::ews::Recorder;
use super::wire::{self, Answer, DESK, Still, Wire, check, context, now};
use super::{Target, magnitude, observed};
use crate::bytes::Source;
use crate::family::{Family, filled};

/// Begins an input that says how to change a cursor that an adapter wrote; no text begins so. All
/// other inputs are the cursor.
const CHANGED: u8 = 0xff;

/// Pages until a folder of so few messages must be at its end.
const PAGES_MAX: usize = 40;

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "7",
    "255",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "",
    "-",
    "00",
    "+1",
    " 1",
    "1e3",
    "true",
    "i",
    "h",
];

/// A mailbox and cursors of it.
struct Reader {
    provider: Arc<dyn Provider>,
    inbox: FolderId,
}

/// Cursors.
pub(super) struct Cursors {
    /// An adapter whose server takes any state; one whose server reads them; one without a server.
    readers: [Reader; 3],
    wire: Arc<Wire>,
    exchange: Arc<Recorder>,
    ctx: OpContext,
    /// What the adapters wrote, at the beginning, in the middle and at the end of several folders.
    written: Vec<String>,
}

const PAGE: &str = "<s:Envelope xmlns:s='s'><s:Body><SyncFolderItemsResponse><ResponseMessages>\
    <SyncFolderItemsResponseMessage ResponseClass='Success'><ResponseCode>NoError</ResponseCode>\
    <SyncState>next</SyncState><IncludesLastItemInRange>true</IncludesLastItemInRange><Changes/>\
    </SyncFolderItemsResponseMessage></ResponseMessages></SyncFolderItemsResponse></s:Body></s:Envelope>";

impl Reader {
    fn page(
        &self,
        ctx: &OpContext,
        folder: &FolderId,
        since: Option<&SyncCursor>,
    ) -> postroom_provider::Result<ChangePage<MailChange>> {
        let mail = self.provider.mail().expect("mail");
        now(mail.changes(ctx, folder, since, PageLimit::new(2)))
    }

    /// The cursors of a folder from its beginning to its end, and one of nothing new.
    fn cursors(&self, ctx: &OpContext, folder: &FolderId) -> Vec<String> {
        let mut all = Vec::new();
        let mut since = None;
        for _ in 0..4 {
            let page = self.page(ctx, folder, since.as_ref()).expect("a page");
            all.push(page.cursor.as_str().to_owned());
            since = Some(page.cursor);
        }
        all
    }
}

impl Cursors {
    pub(super) fn new() -> Self {
        let wire = Arc::new(Wire::silent());
        wire.set(Answer {
            status: 200,
            bodies: vec![PAGE.into()],
            chunk: 4096,
            ..Answer::default()
        });
        let mail = Arc::new(MailSystem::new(
            Arc::new(SharedClock::new(Arc::new(Still))),
            7,
        ));
        mail.add_account(Account::new(DESK)).expect("an account");
        for raw in super::mime::SEEDS {
            mail.deliver(raw.to_vec(), &[DESK]);
        }
        let memory = MemoryServer::new(mail).provider(DESK).expect("a mailbox");
        let ctx = context();
        let exchange = Recorder::new();
        let folder = |provider: &dyn Provider, which| {
            now(provider.mail().expect("mail").find_folder(&ctx, which)).expect("a folder")
        };
        let mut written = Vec::new();
        let live = wire::provider(&exchange);
        let inbox = folder(&*live, WellKnownFolder::Inbox);
        let readers = [
            Reader {
                provider: wire::provider(&wire),
                inbox: inbox.clone(),
            },
            Reader {
                provider: live,
                inbox,
            },
            Reader {
                inbox: folder(&*memory, WellKnownFolder::Inbox),
                provider: memory,
            },
        ];
        for reader in &readers {
            written.extend(reader.cursors(&ctx, &reader.inbox));
        }
        for reader in &readers[1..] {
            let sent = folder(&*reader.provider, WellKnownFolder::SentItems);
            written.extend(reader.cursors(&ctx, &sent));
        }
        wire.take_requests();
        Self {
            readers,
            wire,
            exchange,
            ctx,
            written,
        }
    }

    /// The cursor that an input says.
    fn cursor(&self, input: &[u8]) -> String {
        let Some((&CHANGED, changes)) = input.split_first() else {
            return String::from_utf8_lossy(input).into_owned();
        };
        let mut source = Source::new(changes);
        let mut text = self.pick(source.byte()).clone();
        // Each change costs three bytes.
        for _ in 0..64 {
            if source.is_empty() {
                break;
            }
            let (kind, place, value) = (source.byte(), source.byte(), source.byte());
            text = if text.starts_with('{') {
                self.change_object(&text, kind, place, value)
            } else {
                self.change_parts(&text, ':', kind, place, value)
            };
            text.truncate(text.floor_char_boundary(4000));
        }
        text
    }

    fn pick(&self, number: u8) -> &String {
        &self.written[usize::from(number) % self.written.len()]
    }

    /// One of several parts becomes another number, is left out, repeated, or comes from elsewhere.
    fn change_parts(&self, text: &str, between: char, kind: u8, place: u8, value: u8) -> String {
        let mut parts: Vec<&str> = text.split(between).collect();
        let at = usize::from(place) % parts.len();
        let other: Vec<&str> = self.pick(value).split(between).collect();
        match kind % 5 {
            0 | 1 => parts[at] = NUMBERS[usize::from(value) % NUMBERS.len()],
            2 => drop(parts.remove(at)),
            3 => parts.insert(at, parts[usize::from(value) % parts.len()]),
            _ => parts[at] = other.get(at).copied().unwrap_or_default(),
        }
        parts.join(&between.to_string())
    }

    /// The same for an object of JSON, and for the state in it, which has parts itself.
    fn change_object(&self, text: &str, kind: u8, place: u8, value: u8) -> String {
        let Ok(serde_json::Value::Object(mut object)) = serde_json::from_str(text) else {
            // Not JSON any more.
            return self.change_parts(text, ',', kind, place, value);
        };
        let other: serde_json::Value = serde_json::from_str(self.pick(value)).unwrap_or_default();
        let keys = ["ews", "folder", "state", "more"];
        let key = keys[usize::from(place) % keys.len()];
        let number = NUMBERS[usize::from(value) % NUMBERS.len()];
        match kind % 10 {
            0 => drop(object.remove(key)),
            1 => drop(object.insert(key.to_owned(), other[key].clone())),
            2 => drop(object.insert(key.to_owned(), number.into())),
            3 => {
                let number = serde_json::from_str(number).unwrap_or_default();
                object.insert(key.to_owned(), number);
            }
            4 => {
                let nested = object.get(key).cloned().unwrap_or_default();
                object.insert(key.to_owned(), vec![nested; usize::from(value % 4)].into());
            }
            // A state as the simulated server makes them.
            5..=7 => {
                let state = object.get("state").and_then(|state| state.as_str());
                let state = state.and_then(|state| STANDARD.decode(state).ok());
                if let Some(state) = state.and_then(|state| String::from_utf8(state).ok()) {
                    let state = self.change_parts(&state, '|', kind / 10, place, value);
                    object.insert("state".to_owned(), STANDARD.encode(state).into());
                }
            }
            8 => {
                // The same key twice; or a text that is longer than the object.
                let twice = format!(
                    ",\"{key}\":{}}}",
                    object.get(key).cloned().unwrap_or_default()
                );
                return text.trim_end_matches('}').to_owned() + &twice;
            }
            _ => {
                let at = text.floor_char_boundary(usize::from(place) * 2 % (text.len() + 1));
                return text[..at].to_owned() + if value < 128 { "" } else { number };
            }
        }
        serde_json::Value::Object(object).to_string()
    }
}

impl Target for Cursors {
    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds: Vec<Vec<u8>> = self
            .written
            .iter()
            .map(|text| text.as_bytes().to_vec())
            .collect();
        seeds.extend([b"{}".to_vec(), Vec::new()]);
        for number in 0..self.written.len() as u8 {
            seeds.push(vec![CHANGED, number]);
            seeds.push(vec![CHANGED, number, 5, 5, 4]);
            seeds.push(vec![CHANGED, number, 4, 1, number + 5]);
            seeds.push(vec![CHANGED, number, 0, 3, 7]);
        }
        seeds
    }

    fn dictionary(&self) -> &'static [&'static [u8]] {
        &[
            b"memory-1:",
            b"\"ews\":1",
            b"\"folder\":",
            b"\"state\":",
            b":",
            b"{",
            b"\\ud800",
            b"null",
            b"\xff",
        ]
    }

    fn length_max(&self) -> usize {
        4000
    }

    fn families(&self) -> Vec<Family> {
        vec![
            Family {
                name: "open lists",
                make: |size| filled(b"", b"[", b"", size),
            },
            Family {
                name: "open objects",
                make: |size| filled(b"", b"{\"a\":", b"", size),
            },
            Family {
                name: "colons",
                make: |size| filled(b"memory-1", b":", b"", size),
            },
            Family {
                name: "a long state",
                make: |size| {
                    filled(
                        b"{\"ews\":1,\"folder\":\"x\",\"state\":\"",
                        b"\\u0041",
                        b"\"}",
                        size,
                    )
                },
            },
        ]
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let cursor = SyncCursor::new(self.cursor(input));
        let stored = serde_json::to_string(&cursor).expect("a cursor can be stored");
        assert_eq!(
            serde_json::from_str::<SyncCursor>(&stored).expect("and read"),
            cursor
        );
        let mut shape = Vec::new();
        for reader in &self.readers {
            let mut since = cursor.clone();
            let mut told = 0;
            let mut pages = 0;
            let end = loop {
                match reader.page(&self.ctx, &reader.inbox, Some(&since)) {
                    Ok(page) => {
                        assert!(page.changes.len() <= 2);
                        told += page.changes.len();
                        pages += 1;
                        assert!(pages <= PAGES_MAX, "a folder without an end");
                        if !page.more {
                            break 0;
                        }
                        since = page.cursor;
                    }
                    Err(error) => {
                        check(&error);
                        assert_eq!(error.kind(), ErrorKind::CursorInvalid, "{error}");
                        assert_eq!(pages, 0, "a cursor that was just given");
                        break 1;
                    }
                }
            };
            shape.push((end, told, magnitude(pages)));
            self.exchange.take();
        }
        let text = cursor.as_str();
        let count = |c: char| text.matches(c).count().min(8);
        observed(&(
            shape,
            self.wire.take_requests().len(),
            (count('{'), count(':'), count(',')),
            magnitude(text.len()),
        ))
    }
}
