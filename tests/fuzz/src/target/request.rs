//! What the adapter writes: ids, names, addresses and messages of any kind make a document that a
//! strict parser reads, with the values in it unchanged.

use std::sync::Arc;

use postroom_core::outbox::{StagedSubmission, SubmissionKey};
use postroom_core::{EmailAddress, RawMessage};
use postroom_provider::{
    DeleteMode, FolderId, OpContext, PageLimit, Provider, RemoteId, Submission, SubmissionIdentity,
    SyncCursor,
};
use postroom_simulator::exchange::{self, Exchange};
use postroom_simulator::model::{Account, MailSystem, SystemClock};

use super::wire::{self, Answer, Wire, check, context, now};
use super::{Target, magnitude, observed};
use crate::bytes::Source;
use crate::family::{Family, filled};

/// Requests.
pub(super) struct Requests {
    wire: Arc<Wire>,
    provider: Arc<dyn Provider>,
    ctx: OpContext,
    exchange: Exchange,
}

impl Requests {
    pub(super) fn new() -> Self {
        let wire = Arc::new(Wire::silent());
        wire.set(Answer {
            status: 500,
            ..Answer::default()
        });
        let exchange = Exchange::builder()
            .mail(Arc::new(MailSystem::new(Arc::new(SystemClock), 7)))
            .account(Account::new("desk@contoso.example").login("desk", "pw"))
            .build()
            .expect("a server");
        Self {
            provider: wire::provider(&wire),
            wire,
            ctx: context(),
            exchange,
        }
    }
}

/// Operation, then lines: id, folder, name, address, key, Message-ID; then the message.
const SEEDS: &[&str] = &[
    "\0AAMkAGI1=\nAQMk+/==\nUndeliverable\njo@x.example\nkey\nid@x.example\nSubject: x\r\n\r\nbody",
    "\x01<&>\"' ]]>\n\u{1}\u{fffe}\nä/ö\\\n\"a&b\"@x.example\n\u{202e}\n<&>@x\n\0\u{1}",
    "\x02\n\n\na@b\n\n\n",
    "\x03&amp;\n<![CDATA[\nx\na@b\nk\ni@d\nm",
    "\x04\t\r\n\u{85}\n\u{2028}\na@b\nk\ni@d\nm",
    "\x05\u{10ffff}\u{d7ff}\nf\nn\na@b\nk\ni@d\nm",
    "\x06i\nf\nn\na@b\nk\ni@d\nm",
    "\x07i\nf\nn\na@b\nk\ni@d\nm",
    "\x08{\"ews\":1,\"folder\":\"f\",\"state\":\"&<\"}\nf\nn\na@b\nk\ni@d\nm",
];

const WORDS: &[&[u8]] = &[
    b"&",
    b"<",
    b">",
    b"\"",
    b"'",
    b"]]>",
    b"\x0b",
    "\u{ffff}".as_bytes(),
    b"a@b\n",
];

impl Target for Requests {
    fn seeds(&self) -> Vec<Vec<u8>> {
        SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect()
    }

    fn dictionary(&self) -> &'static [&'static [u8]] {
        WORDS
    }

    fn families(&self) -> Vec<Family> {
        vec![
            Family {
                name: "escapes",
                make: |size| filled(b"\x01", b"<", b"\nf\nn\na@b\nk\ni@d\nm", size),
            },
            Family {
                name: "forbidden",
                make: |size| filled(b"\x01", b"\x01", b"\nf\nn\na@b\nk\ni@d\nm", size),
            },
            Family {
                name: "message",
                make: |size| filled(SEEDS[0].as_bytes(), b"x", b"", size),
            },
        ]
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let mut source = Source::new(input);
        let operation = source.byte() % 9;
        let (id, folder, name) = (source.text(), source.text(), source.text());
        let address = source.text().parse::<EmailAddress>();
        let (key, message_id) = (source.text(), source.text());
        let raw = source.rest();
        let (mail, submitter) = (
            self.provider.mail().expect("mail"),
            self.provider.submitter().expect("a submitter"),
        );
        let ids = [RemoteId::new(id.clone())];
        let folder_id = FolderId::new(folder);
        let ctx = &self.ctx;
        let staged = StagedSubmission::new(ids[0].clone(), Some(name.clone()));
        let message_id = message_id
            .parse()
            .unwrap_or_else(|_| "i@d".parse().expect("an identifier"));
        let submission_key = SubmissionKey::from_text(key);
        self.wire.take_requests();
        let mut submission = super::ews::submission();
        submission.key = submission_key.clone();
        submission.raw = RawMessage::from_bytes(raw.to_vec());
        submission.bcc = address.clone().into_iter().collect();
        let error = match operation {
            0 => now(mail.ensure_folder(ctx, Some(&folder_id), &name)).err(),
            1 => now(mail.headers(ctx, &folder_id, &ids)).err(),
            2 => now(mail.fetch(ctx, &folder_id, &ids)).err(),
            3 => now(mail.move_to(ctx, &folder_id, &ids, &folder_id)).err(),
            4 => now(mail.delete(ctx, &folder_id, &ids, DeleteMode::ToDeletedItems)).err(),
            5 => now(submitter.stage(ctx, &submission)).err(),
            6 => now(submitter.send(ctx, &submission, Some(&staged))).err(),
            7 => {
                let identity = SubmissionIdentity::new(submission_key, message_id);
                now(submitter.find(ctx, &identity)).err()
            }
            _ => now(mail.changes(
                ctx,
                &folder_id,
                Some(&SyncCursor::new(id.clone())),
                PageLimit::new(u32::from(source.byte())),
            ))
            .err(),
        };
        check(&error.expect("the server answers nothing"));
        let requests = self.wire.take_requests();
        for request in &requests {
            self.check_document(request, &submission, operation, &id);
        }
        // The simulated server takes any bytes, too.
        let answer = self
            .exchange
            .handle(&exchange::HttpRequest::post(exchange::PATH, raw.to_vec()).basic("desk", "pw"));
        observed(&(
            operation,
            requests.len(),
            magnitude(requests.iter().map(bytes::Bytes::len).sum()),
            address.is_ok(),
            answer.status,
            id.is_ascii(),
        ))
    }
}

impl Requests {
    fn check_document(&self, request: &[u8], submission: &Submission, operation: u8, id: &str) {
        let text = std::str::from_utf8(request).expect("UTF-8");
        let document = roxmltree::Document::parse(text).expect("a document");
        let plain = |text: &str| !text.chars().any(|c| c.is_control() || c > '\u{fffd}');
        if (1..=4).contains(&operation) && plain(id) {
            let written = document
                .descendants()
                .find(|node| node.tag_name().name() == "ItemId")
                .and_then(|node| node.attribute("Id"));
            assert_eq!(written, Some(id), "the id as the server spells it");
        }
        if operation == 5 {
            let content = document
                .descendants()
                .find(|node| node.tag_name().name() == "MimeContent")
                .and_then(|node| node.text())
                .unwrap_or_default();
            assert_eq!(
                content.len() as u64,
                submission.raw.len().div_ceil(3) * 4,
                "the whole message"
            );
        }
        let answer = self.exchange.handle(
            &exchange::HttpRequest::post(exchange::PATH, request.to_vec()).basic("desk", "pw"),
        );
        assert_ne!(answer.status, 400, "the server takes it for garbage");
    }
}
