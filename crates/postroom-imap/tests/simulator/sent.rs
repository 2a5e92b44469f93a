//! The copies of what was sent.

use postroom_core::outbox::SubmissionKey;
use postroom_core::{NamedAddress, RawMessage};
use postroom_provider::{ErrorKind, SentItems, Submission, SubmissionIdentity};
use postroom_simulator::imap::{ImapFault, ImapFaultRule, ImapOffers};
use postroom_simulator::model::{NewItem, WellKnown};

use crate::support::{ADDRESS, Mailbox, World};

fn submission(raw: &[u8]) -> Submission {
    Submission::new(
        SubmissionKey::from_text("key"),
        "<ours@here.example>".parse().unwrap(),
        NamedAddress::new("Desk", ADDRESS.parse().unwrap()),
        vec!["b@far.example".parse().unwrap()],
        RawMessage::from_bytes(raw.to_vec()),
    )
}

fn identity() -> SubmissionIdentity {
    let submission = submission(b"");
    SubmissionIdentity::new(submission.key, submission.message_id)
}

fn sent(mailbox: &Mailbox) -> &dyn SentItems {
    mailbox.provider.sent_items().unwrap()
}

const RAW: &str = "From: desk@example.org\r\nMessage-ID: <ours@here.example>\r\n\r\nhello\r\n";

#[tokio::test(start_paused = true)]
async fn a_copy_is_filed_and_found() {
    for offers in [ImapOffers::default(), ImapOffers::plain_rev1()] {
        let world = World::new();
        world.server.offer(|has| *has = offers.clone());
        let mailbox = world.open();
        let nothing = sent(&mailbox).find_copy(&mailbox.ctx, &identity()).await;
        assert_eq!(nothing.unwrap(), None);
        let large = format!("{RAW}{}", "0123456789\r\n".repeat(100_000));
        for raw in [RAW, &large] {
            let submission = submission(raw.as_bytes());
            let id = sent(&mailbox).file_copy(&mailbox.ctx, &submission).await;
            let id = id.unwrap();
            assert_eq!(id.is_some(), offers.uid_plus);
            let stored = world.stored_in(WellKnown::SentItems);
            let last = stored.last().unwrap();
            assert_eq!(last.content().as_ref(), raw.as_bytes());
            assert!(last.read && !last.draft);
            let found = sent(&mailbox).find_copy(&mailbox.ctx, &identity()).await;
            let found = found.unwrap().unwrap();
            assert!(found.reconciled);
            assert_eq!(found.remote_id, Some(world.id_of(last)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_draft_was_not_sent() {
    let world = World::new();
    let mail = world.server.mail();
    let folder = mail
        .well_known(world.account, WellKnown::SentItems)
        .unwrap();
    mail.append(folder, NewItem::draft(RAW)).unwrap();
    let mailbox = world.open();
    let found = sent(&mailbox).find_copy(&mailbox.ctx, &identity()).await;
    assert_eq!(found.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_filed_is_told() {
    for (text, kind) in [
        ("[OVERQUOTA] full", ErrorKind::QuotaExceeded),
        ("[TOOBIG] no", ErrorKind::TooLarge),
        ("[TRYCREATE] where", ErrorKind::NotFound),
        ("no", ErrorKind::PermissionDenied),
    ] {
        let world = World::new();
        let fault = ImapFault::Refuse(text.to_owned());
        world.server.arm(ImapFaultRule::new(fault).on("APPEND"));
        let mailbox = world.open();
        let filed = sent(&mailbox)
            .file_copy(&mailbox.ctx, &submission(RAW.as_bytes()))
            .await;
        assert_eq!(filed.unwrap_err().kind(), kind, "{text}");
        assert!(world.stored_in(WellKnown::SentItems).is_empty());
    }
}
