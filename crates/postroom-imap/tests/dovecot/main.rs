//! The provider suite on IMAP, against a real Dovecot.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests may fail the test, and say what was checked"
)]

#[path = "../../../../tests/servers/dovecot.rs"]
mod dovecot;
mod fixture;

use std::sync::Arc;

use dovecot::Dovecot;
use fixture::DovecotFixture;
use postroom_conformance::provider::Fixture as _;
use postroom_core::email::MessageId;
use postroom_core::outbox::SubmissionKey;
use postroom_core::{NamedAddress, RawMessage};
use postroom_provider::{FolderId, PageLimit, Submission, SubmissionIdentity};

/// The suite over TLS, at once and by upgrade.
#[test]
fn the_suite_passes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(server) = Dovecot::start(folder) else {
        return;
    };
    let server = Arc::new(server);
    for service in ["imaps", "imap"] {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let fixture = DovecotFixture::new(Arc::clone(&server), service);
        let report = runtime.block_on(postroom_conformance::provider::run_all(&fixture));
        println!("{service}:\n{report}");
        assert!(report.is_success(), "{service}:\n{report}");
    }
}

/// What the suite does not ask: copies of what was sent, and hearing of changes.
#[test]
fn copies_are_filed_and_found_and_changes_are_heard() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(server) = Dovecot::start(folder) else {
        return;
    };
    let fixture = DovecotFixture::new(Arc::new(server), "imaps");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let account = fixture.account().await.expect("an account");
        let (provider, ctx) = (account.provider(), account.context().expect("a context"));
        let sent = provider.sent_items().expect("it keeps copies");
        let id: MessageId = "<ours@here.example>".parse().expect("an id");
        let key = SubmissionKey::from_text("key");
        let identity = SubmissionIdentity::new(key.clone(), id.clone());
        let found = sent.find_copy(&ctx, &identity).await.expect("it can look");
        assert_eq!(found, None);
        let raw = b"From: a@here.example\r\nMessage-ID: <ours@here.example>\r\n\r\nhello\r\n";
        let from = NamedAddress::new("A", account.address());
        let raw = RawMessage::from_bytes(raw.to_vec());
        let submission = Submission::new(key, id, from, vec![account.address()], raw);
        let filed = sent.file_copy(&ctx, &submission).await.expect("it files");
        let found = sent.find_copy(&ctx, &identity).await.expect("it can look");
        assert_eq!(found.and_then(|receipt| receipt.remote_id), filed);
        assert!(filed.is_some());

        let mail = provider.mail().expect("it reads mail");
        let inbox = FolderId::new("INBOX");
        let limit = PageLimit::new(10);
        let page = mail.changes(&ctx, &inbox, None, limit).await;
        let cursor = page.expect("a page").cursor;
        let watcher = provider.watcher().expect("it hears");
        let (heard, ()) = tokio::join!(watcher.wait(&ctx, &inbox, Some(&cursor)), async {
            let arrived = account.deliver(b"Message-ID: <new@far.example>\r\n\r\nhello\r\n");
            arrived.await.expect("it arrives");
        });
        heard.expect("something came");
        let page = mail.changes(&ctx, &inbox, Some(&cursor), limit).await;
        assert_eq!(page.expect("a page").changes.len(), 1);
        watcher.rest(&ctx).await;
    });
}
