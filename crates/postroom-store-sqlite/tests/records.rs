//! The embedded records beyond what the engine needs of them.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests stop at what they did not expect"
)]

use std::future::Future;

use futures_util::FutureExt as _;
use postroom_core::email::{ContentKey, Email, EmailHeaders};
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::party::{Participation, PartyKind};
use postroom_core::tracking::{CorrelationMethod, TrackingToken};
use postroom_core::{
    Code, EmailAddress, MailboxId, NamedAddress, Organization, OrganizationId, PartyId, RawMessage,
    RecordId, Timestamp,
};
use postroom_store::{
    Crm, EmailWrite, ErrorKind, OutgoingAttachment, OutgoingReport, OutgoingStatus, Page,
};
use postroom_store_sqlite::{
    EmailFilter, EmailStatus, NewEmail, PartyFilter, SqliteStorage, StorageOptions,
};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn now<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().unwrap()
}

fn storage() -> (TempDir, SqliteStorage) {
    let folder = tempfile::tempdir().unwrap();
    let options = StorageOptions::new(folder.path()).inline().without_sync();
    let organization = Organization::new(
        OrganizationId::from_random([9; 16]),
        "Contoso",
        Deployment::new(DeploymentKind::OnPremises),
    );
    let storage = SqliteStorage::create(&options, &organization).unwrap();
    (folder, storage)
}

fn address(text: &str) -> EmailAddress {
    text.parse().unwrap()
}

fn named(text: &str) -> NamedAddress {
    address(text).into()
}

fn new_email(sender: PartyId) -> NewEmail {
    let mut email = NewEmail::new(sender, named("user@contoso.example"), "Your order");
    email.to = vec![named("ada@example.org")];
    email.bcc = vec![named("boss@contoso.example")];
    email.text = Some("Dear Ada".to_owned());
    email.html = Some("<p>Dear Ada, ümlaut</p>".to_owned());
    email
}

fn received(n: u8, queue: Option<PartyId>, regarding: Option<RecordId>) -> EmailWrite {
    let mut email = Email::new(EmailHeaders::default());
    email.headers.subject = format!("email {n}");
    email.headers.message_id = Some(format!("{n}@example.org").parse().unwrap());
    email.headers.references = vec!["root@example.org".parse().unwrap()];
    email.text_body = Some(format!("body {n}"));
    let raw = RawMessage::from_bytes(vec![n; 100]);
    let mut write = EmailWrite::incoming(
        ContentKey::from_bytes([n; 32]),
        email,
        raw,
        NOW,
        MailboxId::from_random([1; 16]),
    );
    write.queues = queue.into_iter().collect();
    write.regarding = regarding;
    write
}

#[test]
fn parties_are_found_by_name_and_address() {
    let (_folder, storage) = storage();
    let crm = storage.crm();
    let user = now(crm.create_party(
        PartyKind::User,
        "Grace",
        &[address("Grace@contoso.example")],
        None,
    ))
    .unwrap();
    let ada = now(crm.create_party(PartyKind::Contact, "Ada", &[], Some(user))).unwrap();
    now(crm.add_address(ada, &address("Ada@Example.org"))).unwrap();
    let error = now(crm.add_address(PartyId::from_random([9; 16]), &address("x@y"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let mut filter = PartyFilter::default();
    let all = now(crm.list_parties(&filter, Page::first(9))).unwrap();
    assert_eq!(
        all.iter().map(|view| view.party.id).collect::<Vec<_>>(),
        [ada, user]
    );
    assert_eq!(all[0].party.owner, Some(user));
    assert_eq!(all[0].addresses[0].as_str(), "Ada@Example.org");
    filter.text = Some("EXAMPLE.ORG".to_owned());
    assert_eq!(
        now(crm.list_parties(&filter, Page::first(9)))
            .unwrap()
            .len(),
        1
    );
    filter.text = None;
    filter.kind = Some(PartyKind::User);
    assert_eq!(
        now(crm.list_parties(&filter, Page::first(9))).unwrap()[0]
            .party
            .id,
        user
    );
}

#[test]
fn an_email_written_here_goes_through_the_feed_whole() {
    let (_folder, storage) = storage();
    let crm = storage.crm();
    let sender = now(crm.create_party(
        PartyKind::User,
        "Grace",
        &[address("user@contoso.example")],
        None,
    ))
    .unwrap();
    let case = now(crm.create_record("case", "Late delivery")).unwrap();
    let answered = now(crm.record_emails(&[received(1, None, Some(case))]))
        .unwrap()
        .remove(0)
        .unwrap();
    let mut email = new_email(sender);
    email.in_reply_to = Some(answered.record);
    email.key = Some(ContentKey::from_bytes([7; 32]));
    email.attachments = vec![OutgoingAttachment::new(
        "a.txt",
        "text/plain",
        RawMessage::from_bytes(*b"file"),
    )];
    let record = now(crm.send_email(&email, NOW)).unwrap();
    assert_eq!(
        now(crm.send_email(&email, NOW)).unwrap(),
        record,
        "the same key"
    );

    let page = now(crm.outgoing(None, 10)).unwrap();
    assert_eq!(page.emails.len(), 1);
    let fed = &page.emails[0];
    assert_eq!(
        (fed.record, fed.sender, fed.regarding),
        (record, sender, Some(case))
    );
    assert_eq!(fed.in_reply_to, Some("1@example.org".parse().unwrap()));
    assert_eq!(fed.references.len(), 2);
    assert_eq!(
        (fed.text.as_deref(), fed.html.as_deref()),
        (Some("Dear Ada"), Some("<p>Dear Ada, ümlaut</p>"))
    );
    assert_eq!(fed.attachments[0].content.read_up_to(99).unwrap(), b"file");
    assert_eq!(fed.bcc, email.bcc);
    assert!(
        now(crm.outgoing(Some(&page.cursor), 10))
            .unwrap()
            .emails
            .is_empty()
    );

    let mut report = OutgoingReport::new(
        record,
        OutgoingStatus::Sent {
            at: NOW,
            message_id: "sent@contoso.example".parse().unwrap(),
            refused: Vec::new(),
            deliveries: Vec::new(),
        },
    );
    report.token = Some(TrackingToken::new("CRM:0001001"));
    now(crm.report_outgoing(&[report])).unwrap();
    let view = now(crm.email(record)).unwrap().unwrap();
    assert_eq!(view.summary.status, EmailStatus::Sent);
    assert_eq!(view.summary.subject_with_token(), "Your order CRM:0001001");
    assert_eq!(
        view.summary.headers.message_id,
        Some("sent@contoso.example".parse().unwrap())
    );
    assert_eq!(view.attachments[0].size, 4);
    assert_eq!(view.text.as_deref(), Some("Dear Ada"));
    assert_eq!(view.parent, Some(answered.record));
    let from = view
        .parties
        .iter()
        .find(|party| party.participation == Participation::From)
        .unwrap();
    assert_eq!(from.parties, [sender]);
}

#[test]
fn an_email_needs_a_recipient() {
    let (_folder, storage) = storage();
    let email = NewEmail::new(PartyId::from_random([1; 16]), named("a@b"), "x");
    let error = now(storage.crm().send_email(&email, NOW)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_called_back_email_is_not_fed_and_can_be_sent_once_more() {
    let (_folder, storage) = storage();
    let crm = storage.crm();
    let record = now(crm.send_email(&new_email(PartyId::from_random([1; 16])), NOW)).unwrap();
    assert_eq!(
        now(crm.resend(record, NOW)).unwrap_err().kind(),
        ErrorKind::Conflict
    );
    now(crm.cancel(record)).unwrap();
    let page = now(crm.outgoing(None, 10)).unwrap();
    assert!(page.emails.is_empty());
    let again = now(crm.resend(record, NOW)).unwrap();
    assert_ne!(again, record);
    let page = now(crm.outgoing(Some(&page.cursor), 10)).unwrap();
    assert_eq!(page.emails[0].record, again);
    assert_eq!(page.emails[0].text.as_deref(), Some("Dear Ada"));
    now(crm.report_outgoing(&[OutgoingReport::new(
        again,
        OutgoingStatus::Failed {
            code: Code::SendAsDenied,
        },
    )]))
    .unwrap();
    assert_eq!(
        now(crm.email(again)).unwrap().unwrap().summary.status,
        EmailStatus::Failed
    );
    assert!(now(crm.resend(again, NOW)).is_ok());
}

#[test]
fn received_email_is_listed_with_queue_items_and_bytes() {
    let (_folder, storage) = storage();
    let crm = storage.crm();
    let queue = PartyId::from_random([5; 16]);
    let case = now(crm.create_record("case", "Late delivery")).unwrap();
    let writes = [
        received(1, Some(queue), Some(case)),
        received(2, None, None),
    ];
    let records: Vec<_> = now(crm.record_emails(&writes))
        .unwrap()
        .into_iter()
        .map(|one| one.unwrap().record)
        .collect();
    now(crm.record_emails(&writes)).unwrap();
    let items = now(crm.queue_items(Some(queue), Page::first(9))).unwrap();
    assert_eq!(
        items.iter().map(|item| item.email).collect::<Vec<_>>(),
        [records[0]]
    );
    let mut filter = EmailFilter::default();
    filter.regarding = Some(case);
    assert_eq!(
        now(crm.emails(&filter, Page::first(9))).unwrap()[0].record,
        records[0]
    );
    let view = now(crm.email(records[1])).unwrap().unwrap();
    assert_eq!(
        (view.text.as_deref(), view.html.as_deref()),
        (Some("body 2"), None)
    );
    assert_eq!(view.raw.unwrap().read_up_to(999).unwrap(), vec![2; 100]);
    assert_eq!(
        now(crm.record(case)).unwrap().unwrap().title,
        "Late delivery"
    );
    assert!(
        now(crm.email(RecordId::from_random([99; 16])))
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_conversation_is_recorded_in_one_call() {
    let (_folder, storage) = storage();
    let crm = storage.crm();
    assert!(crm.resolves_provisional());
    let placeholder = RecordId::from_random([77; 16]);
    let mut question = received(1, None, None);
    question.provisional = Some(placeholder);
    let mut reply = received(2, None, None);
    reply.parent = Some(placeholder);
    reply.correlated = Some((placeholder, CorrelationMethod::InReplyTo));
    let known = now(crm.record_emails(&[question.clone()])).unwrap();
    let known = known[0].as_ref().unwrap().record;
    // The first one is on record already, and is met by its key.
    let recorded = now(crm.record_emails(&[question, reply])).unwrap();
    let reply = recorded[1].as_ref().unwrap().record;
    let view = now(crm.email(reply)).unwrap().unwrap();
    assert_eq!(view.parent, Some(known));
    assert_eq!(
        view.summary.correlated,
        Some((known, CorrelationMethod::InReplyTo))
    );
}

#[test]
fn a_body_that_stands_in_the_raw_message_is_kept_once_and_reads_the_same() {
    let (folder, storage) = storage();
    let crm = storage.crm();
    let text = "Dear Grace,\n\nthe order is late, and with it\nfive others. ümlaut\n".repeat(20);
    let html = format!("<html>\n{}</html>", "<p>the order is late</p>\n".repeat(20));
    // A beginning that stands there more than once, and the whole only then.
    let raw = format!(
        "Subject: late\r\n\r\n{}\r\n--x\r\n\r\n{}--x\r\n\r\n{html}\r\n--x--\r\n",
        text.replace('\n', "\r\n")
            .chars()
            .take(100)
            .collect::<String>(),
        text.replace('\n', "\r\n"),
    );
    let mut bodies = Vec::new();
    for (n, text, html) in [
        (1, Some(text.clone()), Some(html.clone())),
        (2, Some(text.replace("late", "lost")), None),
        (3, None, Some(String::new())),
    ] {
        let key = ContentKey::from_bytes([n; 32]);
        let mut email = Email::new(EmailHeaders::default());
        email.text_body = text.clone();
        email.html_body = html.clone();
        let raw = RawMessage::from_bytes(raw.clone().into_bytes());
        let write = EmailWrite::incoming(key, email, raw, NOW, MailboxId::from_random([1; 16]));
        let recorded = now(crm.record_emails(&[write])).unwrap().remove(0).unwrap();
        bodies.push((recorded.record, text, html));
    }
    for (record, text, html) in &bodies {
        let view = now(crm.email(*record)).unwrap().unwrap();
        assert_eq!((&view.text, &view.html), (text, html));
    }
    let segment = folder
        .path()
        .join("postroom.sqlite-segments/00000001.segment");
    let others = text.len() + html.len();
    assert_eq!(
        std::fs::metadata(segment).unwrap().len(),
        u64::try_from(8 + 3 * raw.len() + others).unwrap(),
        "the text that stands there was stored again, or another one was not"
    );
}
