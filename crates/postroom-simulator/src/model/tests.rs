use std::time::Duration;

use super::*;

fn system() -> (std::sync::Arc<ManualClock>, MailSystem, AccountId) {
    let clock = ManualClock::at("2026-11-22T12:00:00Z".parse().unwrap());
    let mail = MailSystem::new(std::sync::Arc::clone(&clock), 1);
    let desk = mail
        .add_account(
            Account::new("desk@example.org")
                .login("desk", "pw")
                .alias("help@example.org"),
        )
        .unwrap();
    mail.add_account(Account::new("jo@example.org")).unwrap();
    (clock, mail, desk)
}

fn eml(from: &str, to: &str, subject: &str) -> Vec<u8> {
    format!("From: <{from}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x>\r\n\r\nHi.\r\n").into_bytes()
}

#[test]
fn delivery_by_alias_reaches_one_mailbox_once_and_adds_received() {
    let (_, mail, desk) = system();
    let copies = mail.deliver(
        eml("a@b.example", "help@example.org", "one"),
        &["help@example.org", "desk@example.org"],
    );
    assert_eq!(copies.len(), 1);
    let inbox = mail.well_known(desk, WellKnown::Inbox).unwrap();
    let items = mail.items(inbox);
    assert_eq!(items.len(), 1);
    assert!(items[0].content().starts_with(b"Received: "));
    assert_eq!(items[0].summary().message_id, "<one@x>");
    assert!(!items[0].read && !items[0].draft);
}

#[test]
fn a_move_changes_the_id_and_keeps_the_search_key() {
    let (_, mail, desk) = system();
    let id = mail.deliver(
        eml("a@b.example", "desk@example.org", "one"),
        &["desk@example.org"],
    )[0];
    let before = mail.item(id).unwrap();
    let junk = mail.well_known(desk, WellKnown::JunkEmail).unwrap();
    let after = mail.move_item(id, junk).unwrap();
    assert_ne!(after.id, id);
    assert_eq!(after.search_key, before.search_key);
    assert_eq!(mail.item(id).unwrap_err(), ModelError::NoItem);
    let inbox = mail.item_changes(before.folder, 0, 10).unwrap();
    assert!(
        inbox.changes.is_empty(),
        "seen from the start it was never there"
    );
    assert_eq!(
        mail.item_changes(before.folder, before.arrival, 10)
            .unwrap()
            .changes[0]
            .kind,
        ChangeKind::Deleted
    );
    assert_eq!(
        mail.item_changes(junk, 0, 10).unwrap().changes[0].kind,
        ChangeKind::Created
    );
}

#[test]
fn a_draft_goes_out_and_leaves_a_copy_with_its_properties() {
    let (clock, mail, desk) = system();
    let drafts = mail.well_known(desk, WellKnown::Drafts).unwrap();
    let sent = mail.well_known(desk, WellKnown::SentItems).unwrap();
    let stamp = PropertyPath::named("6A3C1F9E-2F0B-4D5E-9A77-0D4B8E5C1A20", "key");
    let mut new = NewItem::draft(eml(
        "desk@example.org",
        "jo@example.org>, <x@far.example",
        "out",
    ))
    .property(stamp.clone(), PropertyValue::string("k1"));
    new.bcc.push(Address::new("", "secret@far.example"));
    let draft = mail.append(drafts, new).unwrap();
    clock.advance(Duration::from_secs(5));
    assert_eq!(
        mail.send_item(draft.id, Some(draft.change + 1), Some(sent))
            .unwrap_err(),
        ModelError::Stale
    );
    let copy = mail
        .send_item(draft.id, Some(draft.change), Some(sent))
        .unwrap()
        .unwrap();
    assert_eq!(copy.folder, sent);
    assert_eq!(copy.properties[&stamp].text(), "k1");
    assert_eq!(copy.sent, Some(mail.now()));
    assert!(mail.items(drafts).is_empty());
    let outside = mail.outside();
    assert_eq!(outside.len(), 1);
    assert_eq!(
        outside[0].recipients,
        ["x@far.example", "secret@far.example"]
    );
    assert!(!String::from_utf8_lossy(&outside[0].content).contains("secret@"));
    let jo = mail.account("JO@example.org").unwrap();
    let received = &mail.items(mail.well_known(jo, WellKnown::Inbox).unwrap())[0];
    assert!(
        received.properties.is_empty(),
        "stamps stay with the sender"
    );
    assert_eq!(received.summary().message_id, "<out@x>");
    assert_eq!(
        mail.send_item(draft.id, None, Some(sent)).unwrap_err(),
        ModelError::NoItem
    );
}

#[test]
fn an_unknown_recipient_gives_a_report() {
    let (_, mail, desk) = system();
    let out = eml("desk@example.org", "nobody@example.org", "lost");
    mail.submit(
        &Submission::new(desk, out, vec!["nobody@example.org".into()]),
        None,
        |_| (),
    )
    .unwrap();
    let report = &mail.items(mail.well_known(desk, WellKnown::Inbox).unwrap())[0];
    assert_eq!(report.class, "REPORT.IPM.Note.NDR");
    let text = String::from_utf8_lossy(report.content()).into_owned();
    assert!(text.contains("Final-Recipient: rfc822; nobody@example.org"));
    assert!(text.contains("In-Reply-To: <lost@x>"));
}

#[test]
fn nobody_sends_in_a_foreign_name() {
    let (_, mail, desk) = system();
    let out = Submission::new(
        desk,
        eml("boss@example.org", "jo@example.org", "x"),
        vec!["jo@example.org".into()],
    );
    assert_eq!(
        mail.submit(&out, None, |_| ()).unwrap_err(),
        ModelError::SendAsDenied
    );
    mail.update_account(desk, |account| {
        account.send_as.insert("boss@example.org".into());
    })
    .unwrap();
    mail.submit(&out, None, |_| ()).unwrap();
}

#[test]
fn the_log_joins_changes_and_pages() {
    let (_, mail, desk) = system();
    let inbox = mail.well_known(desk, WellKnown::Inbox).unwrap();
    let start = mail.change_number();
    let ids: Vec<ItemId> = (0..3)
        .map(|n| {
            mail.deliver(
                eml("a@b.example", "d", &n.to_string()),
                &["desk@example.org"],
            )[0]
        })
        .collect();
    mail.set_read(ids[0], true).unwrap();
    let page = mail.item_changes(inbox, start, 2).unwrap();
    assert!(!page.complete);
    assert_eq!(page.changes.len(), 2);
    let rest = mail.item_changes(inbox, page.next, 2).unwrap();
    assert!(rest.complete);
    let kinds: Vec<ChangeKind> = rest.changes.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Created, ChangeKind::ReadFlag]);
    let now = mail.change_number();
    mail.delete_item(ids[1], Disposal::Hard).unwrap();
    assert_eq!(
        mail.item_changes(inbox, now, 9).unwrap().changes[0].kind,
        ChangeKind::Deleted
    );
}

#[test]
fn folders_keep_their_rules() {
    let (_, mail, desk) = system();
    let inbox = mail.well_known(desk, WellKnown::Inbox).unwrap();
    let a = mail.create_folder(inbox, "A", "IPF.Note").unwrap();
    assert_eq!(
        mail.create_folder(inbox, "a", "IPF.Note").unwrap_err(),
        ModelError::FolderExists
    );
    let b = mail.create_folder(a, "B/C", "IPF.Note").unwrap();
    assert_eq!(mail.move_folder(a, b).unwrap_err(), ModelError::FolderLoop);
    assert_eq!(
        mail.delete_folder(inbox, Disposal::Hard).unwrap_err(),
        ModelError::WellKnownFolder
    );
    mail.delete_folder(a, Disposal::ToDeletedItems).unwrap();
    assert_eq!(
        mail.folder(a).unwrap().parent,
        Some(mail.well_known(desk, WellKnown::DeletedItems).unwrap())
    );
    mail.delete_folder(a, Disposal::Hard).unwrap();
    assert_eq!(mail.folder(b).unwrap_err(), ModelError::NoFolder);
}

#[test]
fn headers_are_replaced_without_touching_the_body() {
    let edited = with_headers(
        b"A: 1\r\nSubject: old\r\n folded\r\nB: 2\r\n\r\nbody\r\nSubject: not a header\r\n",
        &[("subject", Some("new".into()))],
    );
    assert_eq!(
        edited,
        &b"A: 1\r\nB: 2\r\nsubject: new\r\n\r\nbody\r\nSubject: not a header\r\n"[..]
    );
}

#[test]
fn a_composed_message_reads_back() {
    let headers = vec![("Subject".to_owned(), "x".to_owned())];
    let file = Attachment::file("a.txt", "text/plain", &b"hello"[..]);
    let eml = compose(
        &headers,
        &Body::html("<p>Gr\u{fc}\u{df}e</p>"),
        &[file],
        "b1",
    );
    let parts = MessageParts::read(&eml);
    assert_eq!(parts.body.html.as_deref(), Some("<p>Gr\u{fc}\u{df}e</p>"));
    assert_eq!(parts.attachments[0].name, "a.txt");
    assert_eq!(parts.attachments[0].content, &b"hello"[..]);
}
