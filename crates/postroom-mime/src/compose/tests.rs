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

#[test]
fn a_subject_that_looks_encoded_arrives_as_it_was_written() {
    for subject in [
        "=?utf-8?q?a?=",
        "how to write =?utf-8?B?w6Q=?= in a subject, at some length, so that it takes several words \u{e4}\u{1f600}",
        "=?",
    ] {
        let mut email = email();
        email.subject = subject.to_owned();
        email.extra_headers = vec![("X-Note".to_owned(), subject.to_owned())];
        let bytes = compose(&email).unwrap();
        assert_eq!(crate::parse_headers(&bytes).headers.subject, subject);
        for line in bytes.split(|byte| *byte == b'\n') {
            assert!(line.len() <= 78, "{}", String::from_utf8_lossy(line));
        }
    }
}

#[test]
fn no_line_is_too_long_for_the_wire() {
    let mut email = email();
    email.conversation_index = ConversationIndex::from_bytes(vec![7; ConversationIndex::BYTES_MAX]);
    let own: MessageId = "i".repeat(2000).parse().unwrap();
    email.references = vec![own.clone(), own.clone()];
    email.in_reply_to = vec![own.clone()];
    email.message_id = own;
    let media_type = format!("a{0}/b{0}", "x".repeat(1000));
    let content = RawMessage::from_bytes(b"content".to_vec());
    email.attachments = vec![OutgoingAttachment::new("file", media_type, content)];
    let bytes = compose(&email).unwrap();
    for line in bytes.split(|byte| *byte == b'\n') {
        assert!(line.len() <= 999, "{} bytes", line.len());
    }
    let read = crate::parse_headers(&bytes)
        .headers
        .conversation_index
        .unwrap();
    assert_eq!(read.root(), &[7; ConversationIndex::ROOT_BYTES]);
}

#[test]
fn the_longest_name_of_a_file_spoils_nothing_but_itself() {
    let name = format!("{}.pdf", "\u{fc} ".repeat(50_000));
    let mut email = email();
    let content = RawMessage::from_bytes(b"content".to_vec());
    email.attachments = vec![OutgoingAttachment::new(name, "application/pdf", content)];
    let raw = RawMessage::from_bytes(compose(&email).unwrap());
    let limits = ParseLimits::default();
    let file = parse(&raw, &limits).unwrap().attachments.remove(0);
    assert!(file.name.ends_with(".pdf") && file.name.chars().count() == 255);
    let content = attachment_content(&raw, file.part, &limits, 100).unwrap();
    assert_eq!(content, b"content");
}

#[test]
fn names_and_addresses_that_look_encoded_arrive_as_they_were_written() {
    let mut email = email();
    let odd = named("=?utf-8?q?Bcc?=", "=?utf-8?q?a?=@example.org");
    email.from = odd.clone();
    email.to = vec![
        named("", "\"=?utf-8?q?b?= (c\"@example.org"),
        odd.clone(),
        named("M\u{fc}ller, \"J\" =?", "joerg@example.org"),
        named(&"=?".repeat(100), "long@example.org"),
    ];
    email.cc = vec![
        named("", "=?utf-8?q?c?=@example.org"),
        named("", "c@=?utf-8?q?d"),
        named("Ada", "\"a>,\\\"(<b\"@example.org"),
    ];
    // More than are believed to be an accident.
    let many = (0..40).map(|n| named("", &format!("{n}=?@example.org")));
    email.cc.extend(many);
    let bytes = compose(&email).unwrap();
    let headers = crate::parse_headers(&bytes).headers;
    assert_eq!(headers.from, Some(odd));
    assert_eq!(headers.to, email.to);
    assert_eq!(headers.cc, email.cc);
    for line in bytes.split(|byte| *byte == b'\n') {
        assert!(line.len() <= 78, "{}", String::from_utf8_lossy(line));
    }
}

#[test]
fn an_identifier_that_looks_encoded_arrives_as_it_was_written() {
    let mut email = email();
    email.message_id = format!("{}@example.org", "=?".repeat(50)).parse().unwrap();
    let headers = crate::parse_headers(&compose(&email).unwrap()).headers;
    assert_eq!(headers.message_id, Some(email.message_id));
}
