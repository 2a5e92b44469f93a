use std::io::Read as _;

use postroom_core::email::Defect;
use postroom_provider::{
    DeleteMode, ErrorKind, FolderId, MailChange, PageLimit, RemoteId, Spool, SyncCursor,
    WellKnownFolder,
};
use postroom_simulator::exchange::{Fault, FaultRule};
use postroom_simulator::model::WellKnown;

use crate::support::{DESK, Lab, inbox, listed, mail, raw};

#[tokio::test]
async fn folders_are_found_listed_and_made_once() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let source = mail(&provider);
    let folders = source.list_folders(&lab.ctx).await.unwrap();
    for role in [
        WellKnownFolder::Inbox,
        WellKnownFolder::Drafts,
        WellKnownFolder::SentItems,
        WellKnownFolder::DeletedItems,
        WellKnownFolder::Junk,
    ] {
        let id = source.find_folder(&lab.ctx, role).await.unwrap();
        let found = folders.iter().find(|folder| folder.role == Some(role));
        assert_eq!(found.unwrap().id, id, "{role:?}");
    }
    let inbox = inbox(&lab, &provider).await;
    let made = source
        .ensure_folder(&lab.ctx, Some(&inbox), "Undeliverable")
        .await
        .unwrap();
    let again = source
        .ensure_folder(&lab.ctx, Some(&inbox), "UNDELIVERABLE")
        .await
        .unwrap();
    assert_eq!(made, again);
    let top = source
        .ensure_folder(&lab.ctx, None, "Undeliverable")
        .await
        .unwrap();
    assert_ne!(top, made);
    for bad in ["", "   "] {
        let error = source.ensure_folder(&lab.ctx, None, bad).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let nowhere = FolderId::new("bm93aGVyZQ==");
    let error = source
        .ensure_folder(&lab.ctx, Some(&nowhere), "x")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
}

#[tokio::test]
async fn changes_come_page_by_page_without_gap() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let inbox = inbox(&lab, &provider).await;
    for number in 0..25 {
        lab.deliver(raw(number, "x"));
    }
    let mut seen = Vec::new();
    let mut cursor: Option<SyncCursor> = None;
    let mut pages = 0;
    loop {
        let page = mail(&provider)
            .changes(&lab.ctx, &inbox, cursor.as_ref(), PageLimit::new(10))
            .await
            .unwrap();
        pages += 1;
        assert!(page.changes.len() <= 10 && pages < 10);
        for change in page.changes {
            let MailChange::Present(listing) = change else {
                panic!("{change:?}")
            };
            assert!(listing.received_at.is_some() && listing.size.is_some());
            seen.push(listing.id);
        }
        cursor = Some(page.cursor);
        if !page.more {
            break;
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!((seen.len(), pages), (25, 3));
    // Nothing new, then a deletion.
    let source = mail(&provider);
    let page = source
        .changes(&lab.ctx, &inbox, cursor.as_ref(), PageLimit::new(10))
        .await
        .unwrap();
    assert!(page.changes.is_empty() && !page.more);
    let gone = seen[..1].to_vec();
    source
        .delete(&lab.ctx, &inbox, &gone, DeleteMode::Permanently)
        .await
        .unwrap();
    let page = source
        .changes(&lab.ctx, &inbox, Some(&page.cursor), PageLimit::new(10))
        .await
        .unwrap();
    assert_eq!(page.changes, [MailChange::Removed(gone[0].clone())]);
}

#[tokio::test]
async fn an_answer_heard_before_hides_nothing_that_is_new() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let source = mail(&provider);
    let inbox = inbox(&lab, &provider).await;
    let limit = PageLimit::new(10);
    let mut cursor = source
        .changes(&lab.ctx, &inbox, None, limit)
        .await
        .unwrap()
        .cursor;
    for round in 0..3 {
        for poll in 0..3 {
            let page = source
                .changes(&lab.ctx, &inbox, Some(&cursor), limit)
                .await
                .unwrap();
            assert!(page.changes.is_empty() && !page.more, "{round}, {poll}");
            assert_eq!(page.cursor, cursor, "{round}, {poll}");
        }
        lab.deliver(raw(round, "new"));
        let page = source
            .changes(&lab.ctx, &inbox, Some(&cursor), limit)
            .await
            .unwrap();
        assert_eq!(page.changes.len(), 1, "{round}");
        cursor = page.cursor;
    }
    let again = source.changes(&lab.ctx, &inbox, Some(&cursor), limit).await;
    assert!(again.unwrap().changes.is_empty());
    let mail_system = lab.exchange.mail();
    let folder = mail_system.well_known(lab.account(DESK), WellKnown::Inbox);
    mail_system.invalidate_sync(folder.unwrap()).unwrap();
    let error = source
        .changes(&lab.ctx, &inbox, Some(&cursor), limit)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CursorInvalid);
}

#[tokio::test]
async fn a_cursor_that_is_lost_or_foreign_is_said_to_be_invalid() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let source = mail(&provider);
    let inbox = inbox(&lab, &provider).await;
    let drafts = source
        .find_folder(&lab.ctx, WellKnownFolder::Drafts)
        .await
        .unwrap();
    let limit = PageLimit::new(10);
    let page = source.changes(&lab.ctx, &inbox, None, limit).await.unwrap();
    for (folder, cursor) in [
        (&drafts, page.cursor.clone()),
        (&inbox, SyncCursor::new("something else")),
    ] {
        let error = source
            .changes(&lab.ctx, folder, Some(&cursor), limit)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CursorInvalid);
    }
    let mailbox = lab.account(DESK);
    let folder = lab
        .exchange
        .mail()
        .well_known(mailbox, WellKnown::Inbox)
        .unwrap();
    lab.exchange.mail().invalidate_sync(folder).unwrap();
    let error = source
        .changes(&lab.ctx, &inbox, Some(&page.cursor), limit)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CursorInvalid);
    assert!(source.changes(&lab.ctx, &inbox, None, limit).await.is_ok());
    let nowhere = FolderId::new("bm93aGVyZQ==");
    let error = source
        .changes(&lab.ctx, &nowhere, None, limit)
        .await
        .unwrap_err();
    assert_eq!(
        error.code(),
        postroom_core::Code::FolderNotFound,
        "{error:?}"
    );
}

#[tokio::test]
async fn headers_come_from_the_transport_headers() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let inbox = inbox(&lab, &provider).await;
    lab.deliver(
        "Message-ID: <rich@x.example>\r\nIn-Reply-To: <0@x.example>\r\nReferences: <a@x.example> <0@x.example>\r\n\
         From: =?utf-8?q?J=C3=B6rg?= <joerg@x.example>\r\nTo: desk@example.org, Eve <eve@x.example>\r\n\
         Cc: cc@x.example\r\nDate: Sun, 22 Nov 2026 10:00:00 +0100\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
         Thread-Index: AQHR0wECAwQFBgcICQoLDA0ODxAREg==\r\nAuto-Submitted: auto-replied\r\n\
         Importance: high\r\n\r\nhi\r\n"
            .as_bytes(),
    );
    let ids = listed(&lab, &provider, &inbox).await;
    let missing = RemoteId::new("QUFNa2FkZmFzZGY=");
    let asked = [ids[0].clone(), missing];
    let read = mail(&provider)
        .headers(&lab.ctx, &inbox, &asked)
        .await
        .unwrap();
    let first = read[0].as_ref().unwrap();
    assert!(!first.draft);
    assert!(first.size.unwrap() > 100);
    let headers = &first.headers;
    assert_eq!(headers.subject, "Grüße");
    assert_eq!(
        headers.message_id.as_ref().unwrap().as_str(),
        "rich@x.example"
    );
    assert_eq!(headers.from.as_ref().unwrap().name.as_deref(), Some("Jörg"));
    assert_eq!(
        (headers.to.len(), headers.cc.len(), headers.references.len()),
        (2, 1, 2)
    );
    assert_eq!(headers.auto_submitted.as_deref(), Some("auto-replied"));
    assert!(headers.conversation_index.is_some());
    assert_eq!(headers.sent_at.unwrap().to_string(), "2026-11-22T09:00:00Z");
    assert_eq!(read[1].as_ref().unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn messages_come_byte_for_byte_and_large_ones_are_spooled() {
    let mut lab = Lab::new().await;
    let folder = tempfile::tempdir().unwrap();
    lab.ctx.spool = Spool::with_bounds(folder.path(), 10_000, 20_000, 1 << 30).unwrap();
    let provider = lab.provider(DESK);
    let inbox = inbox(&lab, &provider).await;
    let large = raw(1, &"0123456789abcdef\r\n".repeat(200_000));
    for message in [raw(0, "small"), large, raw(2, "")] {
        lab.deliver(message);
    }
    let ids = listed(&lab, &provider, &inbox).await;
    let fetched = mail(&provider).fetch(&lab.ctx, &inbox, &ids).await.unwrap();
    let stored = lab.items(DESK, WellKnown::Inbox);
    assert_eq!(fetched.len(), 3);
    for (number, outcome) in fetched.iter().enumerate() {
        let message = outcome.as_ref().unwrap();
        assert!(message.defects.is_empty());
        let mut bytes = Vec::new();
        message.raw.open().unwrap().read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains(&format!("Subject: Number {number}\r\n")));
        let item = stored
            .iter()
            .find(|i| i.summary().subject == format!("Number {number}"));
        assert!(
            bytes == item.unwrap().content().as_ref(),
            "message {number}"
        );
        assert_eq!(message.raw.in_memory().is_none(), number == 1);
    }
    assert!(lab.ctx.spool.bytes_in_memory() <= 20_000);
}

#[tokio::test]
async fn a_message_above_the_limit_costs_only_itself() {
    let mut lab = Lab::new().await;
    let folder = tempfile::tempdir().unwrap();
    lab.ctx.spool = Spool::with_bounds(folder.path(), 1000, 1000, 5000).unwrap();
    let provider = lab.provider(DESK);
    let inbox = inbox(&lab, &provider).await;
    lab.deliver(raw(0, &"x".repeat(20_000)));
    lab.deliver(raw(1, "small"));
    let ids = listed(&lab, &provider, &inbox).await;
    let fetched = mail(&provider).fetch(&lab.ctx, &inbox, &ids).await.unwrap();
    assert_eq!(fetched[0].as_ref().unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(fetched[1].is_ok());
}

#[tokio::test]
async fn bad_items_cost_only_themselves() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let inbox = inbox(&lab, &provider).await;
    let items: Vec<_> = (0..6)
        .map(|number| lab.deliver(raw(number, "body")))
        .collect();
    let ids = listed(&lab, &provider, &inbox).await;
    let faults = lab.exchange.faults();
    faults.add(FaultRule::new(Fault::Corrupt).item(&items[1]));
    faults.add(FaultRule::new(Fault::MimeFailure).item(&items[3]));
    faults.add(FaultRule::new(Fault::ForbiddenCharacters).item(&items[4]));
    faults.add(FaultRule::new(Fault::PropertyWithoutValue).item(&items[5]));
    let source = mail(&provider);
    let fetched = source.fetch(&lab.ctx, &inbox, &ids).await.unwrap();
    for (number, outcome) in fetched.iter().enumerate() {
        match number {
            1 => assert_eq!(outcome.as_ref().unwrap_err().kind(), ErrorKind::Corrupt),
            3 => {
                let message = outcome.as_ref().unwrap();
                assert_eq!(message.defects, [Defect::Rebuilt]);
                let bytes = message.raw.read_up_to(10_000).unwrap();
                let headers = postroom_mime::parse_headers(&bytes).headers;
                assert_eq!(headers.message_id.unwrap().as_str(), "m3@x.example");
                assert_eq!(headers.subject, "Number 3");
            }
            _ => assert!(outcome.as_ref().unwrap().defects.is_empty(), "{number}"),
        }
    }
    let headers = source.headers(&lab.ctx, &inbox, &ids).await.unwrap();
    for number in [0, 3, 4, 5] {
        let headers = &headers[number].as_ref().unwrap().headers;
        assert_eq!(
            headers.message_id.as_ref().unwrap().as_str(),
            format!("m{number}@x.example")
        );
    }
}

#[tokio::test]
async fn a_batch_that_is_stopped_is_finished() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let inbox = inbox(&lab, &provider).await;
    for number in 0..10 {
        lab.deliver(raw(number, "x"));
    }
    let ids = listed(&lab, &provider, &inbox).await;
    let rule = FaultRule::new(Fault::BatchStopped { after: 4 });
    lab.exchange.faults().add(rule);
    let before = lab.exchange.requests("GetItem");
    let fetched = mail(&provider).fetch(&lab.ctx, &inbox, &ids).await.unwrap();
    assert!(fetched.iter().all(Result::is_ok));
    assert_eq!(lab.exchange.requests("GetItem") - before, 3);
}

#[tokio::test]
async fn a_fault_by_one_item_is_isolated() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let inbox = inbox(&lab, &provider).await;
    for number in 0..5 {
        lab.deliver(raw(number, "x"));
    }
    let mut ids = listed(&lab, &provider, &inbox).await;
    // A server answers an id that is none by a fault for the whole batch, or for the item alone.
    ids[2] = RemoteId::new("not base64 at all!");
    let fetched = mail(&provider).fetch(&lab.ctx, &inbox, &ids).await.unwrap();
    let good: Vec<_> = fetched.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, true, false, true, true]);
    assert_eq!(fetched[2].as_ref().unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn batches_have_bounds() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let inbox = inbox(&lab, &provider).await;
    let source = mail(&provider);
    let before = lab.exchange.requests("GetItem");
    assert!(
        source
            .fetch(&lab.ctx, &inbox, &[])
            .await
            .unwrap()
            .is_empty()
    );
    let many = vec![RemoteId::new("x"); provider.capabilities().mail_batch_max + 1];
    let error = source.headers(&lab.ctx, &inbox, &many).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(lab.exchange.requests("GetItem"), before);
}

#[tokio::test]
async fn messages_move_under_a_new_id_and_are_deleted_once() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let source = mail(&provider);
    let inbox = inbox(&lab, &provider).await;
    for number in 0..3 {
        lab.deliver(raw(number, "x"));
    }
    let mut ids = listed(&lab, &provider, &inbox).await;
    let target = source
        .ensure_folder(&lab.ctx, Some(&inbox), "Done")
        .await
        .unwrap();
    ids.push(RemoteId::new("QUFNa2FkZmFzZGY="));
    let moved = source
        .move_to(&lab.ctx, &inbox, &ids[1..], &target)
        .await
        .unwrap();
    let new: Vec<_> = moved[..2].iter().map(|m| m.clone_id()).collect();
    assert_eq!(moved[2].as_ref().unwrap_err().kind(), ErrorKind::NotFound);
    assert_ne!(new[0], ids[1]);
    assert_eq!(listed(&lab, &provider, &inbox).await, ids[..1]);
    assert_eq!(listed(&lab, &provider, &target).await.len(), 2);
    let nowhere = FolderId::new("bm93aGVyZQ==");
    let error = source.move_to(&lab.ctx, &target, &new, &nowhere).await;
    let error = match error {
        Err(error) => error,
        Ok(outcomes) => outcomes.into_iter().next().unwrap().unwrap_err(),
    };
    assert_eq!(error.kind(), ErrorKind::NotFound);
    for mode in [DeleteMode::ToDeletedItems, DeleteMode::Permanently] {
        let deleted = source.delete(&lab.ctx, &target, &new, mode).await.unwrap();
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    }
    assert_eq!(lab.items(DESK, WellKnown::DeletedItems).len(), 2);
}

trait CloneId {
    fn clone_id(&self) -> RemoteId;
}

impl CloneId for postroom_provider::Result<Option<RemoteId>> {
    fn clone_id(&self) -> RemoteId {
        self.as_ref().unwrap().clone().unwrap()
    }
}
