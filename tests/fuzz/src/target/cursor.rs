//! Cursors as they lie in the store: damaged, of other folders, of other adapters.

use std::sync::Arc;

use postroom_provider::{
    ErrorKind, FolderId, OpContext, PageLimit, Provider, SyncCursor, WellKnownFolder,
};
use postroom_simulator::memory::{MemoryServer, SharedClock};
use postroom_simulator::model::{Account, MailSystem};

use super::wire::{self, Answer, DESK, Still, Wire, check, context, now};
use super::{Target, magnitude, observed};
use crate::family::{Family, filled};

/// Cursors.
pub(super) struct Cursors {
    ews: Arc<dyn Provider>,
    wire: Arc<Wire>,
    memory: Arc<dyn Provider>,
    inbox: FolderId,
    ctx: OpContext,
}

const PAGE: &str = "<s:Envelope xmlns:s='s'><s:Body><SyncFolderItemsResponse><ResponseMessages>\
    <SyncFolderItemsResponseMessage ResponseClass='Success'><ResponseCode>NoError</ResponseCode>\
    <SyncState>next</SyncState><IncludesLastItemInRange>true</IncludesLastItemInRange><Changes/>\
    </SyncFolderItemsResponseMessage></ResponseMessages></SyncFolderItemsResponse></s:Body></s:Envelope>";

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
        let inbox = now(memory
            .mail()
            .expect("mail")
            .find_folder(&ctx, WellKnownFolder::Inbox));
        Self {
            ews: wire::provider(&wire),
            wire,
            inbox: inbox.expect("the inbox"),
            memory,
            ctx,
        }
    }
}

impl Target for Cursors {
    fn seeds(&self) -> Vec<Vec<u8>> {
        let changes = |provider: &dyn Provider| {
            let page = now(provider.mail().expect("mail").changes(
                &self.ctx,
                &self.inbox,
                None,
                PageLimit::new(2),
            ));
            page.expect("a page").cursor.as_str().as_bytes().to_vec()
        };
        let seeds = vec![
            changes(&*self.ews),
            changes(&*self.memory),
            b"{}".to_vec(),
            Vec::new(),
        ];
        self.wire.take_requests();
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
        let cursor = SyncCursor::new(String::from_utf8_lossy(input));
        let stored = serde_json::to_string(&cursor).expect("a cursor can be stored");
        assert_eq!(
            serde_json::from_str::<SyncCursor>(&stored).expect("and read"),
            cursor
        );
        self.wire.take_requests();
        let mut shape = Vec::new();
        for provider in [&self.ews, &self.memory] {
            let page = now(provider.mail().expect("mail").changes(
                &self.ctx,
                &self.inbox,
                Some(&cursor),
                PageLimit::new(3),
            ));
            shape.push(match page {
                Ok(page) => {
                    assert!(page.changes.len() <= 3);
                    magnitude(page.changes.len())
                }
                Err(error) => {
                    check(&error);
                    assert_eq!(error.kind(), ErrorKind::CursorInvalid, "{error}");
                    99
                }
            });
        }
        observed(&(shape, self.wire.take_requests().len()))
    }
}
