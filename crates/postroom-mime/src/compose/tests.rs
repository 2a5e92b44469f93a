use proptest::prelude::*;

use super::*;
use crate::{ParseLimits, attachment_content, parse};
use postroom_core::EmailAddress;

fn named(name: &str, address: &str) -> NamedAddress {
    NamedAddress::new(name, address.parse::<EmailAddress>().unwrap())
}

fn email() -> OutgoingEmail {
    let mut email = OutgoingEmail::new(
        named("Ada Lovelace", "ada@example.org"),
        "Offer CRM:001001",
        "1@example.org".parse().unwrap(),
        Timestamp::from_seconds(1_795_348_800),
    );
    email.to = vec![named("Müller, Jörg", "joerg@example.org")];
    email.text = Some("hello\n".to_owned());
    email
}

#[test]
fn a_plain_email_is_what_the_standards_show() {
    let text = String::from_utf8(compose(&email()).unwrap()).unwrap();
    assert_eq!(
        text,
        "Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n\
        From: \"Ada Lovelace\" <ada@example.org>\r\n\
        To: =?utf-8?B?TcO8bGxlciwgSsO2cmc=?= <joerg@example.org>\r\n\
        Subject: Offer CRM:001001\r\n\
        Message-ID: <1@example.org>\r\n\
        MIME-Version: 1.0\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: base64\r\n\
        \r\n\
        aGVsbG8NCg==\r\n"
    );
}

#[test]
fn the_same_email_gives_the_same_bytes() {
    let mut email = email();
    email.html = Some("<p>hello</p>".to_owned());
    assert_eq!(compose(&email).unwrap(), compose(&email).unwrap());
}

#[test]
fn everything_comes_back() {
    let mut email = email();
    email.sender = Some(named("", "office@example.org"));
    email.reply_to = vec![named("Desk", "desk@example.org")];
    email.cc = vec![named("", "c@example.org"), named("日本", "d@example.org")];
    email.html = Some("<img src=\"cid:logo@x\">".to_owned());
    email.in_reply_to = vec!["0@x".parse().unwrap()];
    email.references = (0..50)
        .map(|n| format!("{n}.{}@x", "r".repeat(40)).parse().unwrap())
        .collect();
    email.conversation_index = ConversationIndex::from_bytes((0..27).collect());
    email.importance = Importance::High;
    email.sensitivity = Sensitivity::Confidential;
    email.extra_headers = vec![("Auto-Submitted".to_owned(), "auto-generated".to_owned())];
    let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let mut logo = OutgoingAttachment::new(
        "logo.png",
        "image/png",
        RawMessage::from_bytes(b"PNG".to_vec()),
    );
    logo.content_id = Some("logo@x".to_owned());
    email.attachments = vec![
        OutgoingAttachment::new(
            "größe \"1\".bin",
            "application/x-test",
            RawMessage::from_bytes(content.clone()),
        ),
        logo,
        OutgoingAttachment::new("", "message/rfc822", RawMessage::from_bytes(b"".to_vec())),
    ];
    let mut bytes = Vec::new();
    let written = compose_to(&email, &mut bytes).unwrap();
    assert_eq!(written, bytes.len() as u64);
    assert!(
        bytes
            .split(|b| *b == b'\n')
            .all(|line| line.len() < 998 && line.ends_with(b"\r") || line.is_empty())
    );
    let raw = RawMessage::from_bytes(bytes);
    let back = parse(&raw, &ParseLimits::default()).unwrap();
    assert_eq!(back.defects, []);
    assert_eq!(back.text_body.as_deref(), Some("hello\n"));
    assert_eq!(back.html_body, email.html);
    let headers = back.headers;
    assert_eq!(headers.from, Some(email.from));
    assert_eq!(headers.sender, email.sender);
    assert_eq!(headers.reply_to, email.reply_to);
    assert_eq!(headers.to, email.to);
    assert_eq!(headers.cc, email.cc);
    assert_eq!(headers.subject, email.subject);
    assert_eq!(headers.message_id, Some(email.message_id));
    assert_eq!(headers.sent_at, Some(email.date));
    assert_eq!(headers.in_reply_to, email.in_reply_to);
    assert_eq!(headers.references, email.references);
    assert_eq!(headers.conversation_index, email.conversation_index);
    assert_eq!(
        (headers.importance, headers.sensitivity),
        (email.importance, email.sensitivity)
    );
    assert_eq!(headers.auto_submitted.as_deref(), Some("auto-generated"));
    assert_eq!(headers.bcc, []);
    let names: Vec<_> = back
        .attachments
        .iter()
        .map(|a| (a.name.as_str(), a.content_type.as_str(), a.inline))
        .collect();
    assert_eq!(
        names,
        [
            ("logo.png", "image/png", true),
            ("größe \"1\".bin", "application/x-test", false),
            ("", "application/octet-stream", false)
        ]
    );
    let read = attachment_content(
        &raw,
        back.attachments[1].part,
        &ParseLimits::default(),
        1 << 20,
    )
    .unwrap();
    assert_eq!(read, content);
}

#[test]
fn an_email_without_body_is_a_message_all_the_same() {
    let mut email = email();
    email.text = None;
    email.to.clear();
    let raw = RawMessage::from_bytes(compose(&email).unwrap());
    assert_eq!(
        parse(&raw, &ParseLimits::default())
            .unwrap()
            .text_body
            .as_deref(),
        Some("")
    );
}

#[test]
fn no_value_can_make_a_line_of_its_own() {
    let mut email = email();
    email.subject = "hi\r\nBcc: victim@example.org\r\n\r\nbody".to_owned();
    email.from.name = Some("x\r\nBcc: victim@example.org".to_owned());
    email.attachments = vec![OutgoingAttachment::new(
        "a\r\nBcc: victim@example.org",
        "text/plain\r\nBcc: victim@example.org",
        RawMessage::from_bytes(b"x".to_vec()),
    )];
    email.attachments[0].content_id = Some("a>\r\nBcc: victim@example.org".to_owned());
    let text = String::from_utf8(compose(&email).unwrap()).unwrap();
    assert!(
        !text
            .lines()
            .any(|line| line.to_ascii_lowercase().starts_with("bcc")),
        "{text}"
    );
}

#[test]
fn further_fields_are_refused_where_they_could_do_harm() {
    for (name, value) in [
        ("Bcc", "x@y"),
        ("SUBJECT", "x"),
        ("Content-Type", "text/html"),
        ("", "x"),
        ("X Y", "x"),
        ("X:Y", "x"),
        ("X\r\nBcc", "x"),
        ("X-Y", "a\r\nBcc: x@y"),
        ("X-Y", "a\nb"),
    ] {
        let mut email = email();
        email.extra_headers = vec![(name.to_owned(), value.to_owned())];
        assert_eq!(
            compose(&email).unwrap_err().code(),
            postroom_core::Code::InvalidInput,
            "{name:?}"
        );
    }
}

proptest! {
    #[test]
    fn whatever_is_composed_is_read_back(
        subject in "\\PC{0,200}",
        name in "\\PC{0,60}",
        text in "[^\\r\\x00]{0,300}",
        html in proptest::option::of("[^\\x00]{0,100}"),
        file in "[^/\\\\:\u{202e}\\p{C}]{0,40}",
        content in prop::collection::vec(any::<u8>(), 0..500),
    ) {
        let mut email = email();
        email.subject = subject;
        email.to = vec![NamedAddress::new(name, "to@example.org".parse().unwrap())];
        email.text = Some(text);
        email.html = html;
        email.attachments = vec![OutgoingAttachment::new(file, "application/octet-stream", RawMessage::from_bytes(content.clone()))];
        let raw = RawMessage::from_bytes(compose(&email).unwrap());
        let back = parse(&raw, &ParseLimits::default()).unwrap();
        prop_assert_eq!(&back.defects, &[]);
        prop_assert_eq!(&back.headers.subject, &clean(&email.subject));
        prop_assert_eq!(&back.headers.to[0].address, &email.to[0].address);
        prop_assert_eq!(back.text_body, email.text);
        if let Some(html) = &email.html {
            prop_assert_eq!(back.html_body, Some(canonical(html)));
        }
        let read = attachment_content(&raw, back.attachments[0].part, &ParseLimits::default(), 1 << 20).unwrap();
        prop_assert_eq!(read, content);
    }
}
