use std::fmt::Write as _;
use std::io::Cursor;
use std::sync::Arc;

use postroom_core::raw::RawSource;
use proptest::prelude::*;

use super::*;
use crate::{attachment_content, write_attachment};

fn read(message: impl AsRef<[u8]>) -> Email {
    parse(
        &RawMessage::from_bytes(message.as_ref().to_vec()),
        &ParseLimits::default(),
    )
    .unwrap()
}

/// A message that has to be read from a medium.
#[derive(Debug)]
struct Spooled(Arc<Vec<u8>>);

impl RawSource for Spooled {
    fn open(&self) -> std::io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.0.as_ref().clone())))
    }
}

fn spooled(bytes: &[u8]) -> RawMessage {
    RawMessage::new(
        Arc::new(Spooled(Arc::new(bytes.to_vec()))),
        bytes.len() as u64,
    )
}

const MIXED: &str = "From: a@example.org\r\nSubject: s\r\nMessage-ID: <1@x>\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n\
    Content-Type: multipart/mixed; boundary=m\r\n\r\n\
    --m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n\
    --a\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9\r\nline\r\n\
    --a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>caf\u{e9}</p>\r\n--a--\r\n\
    --m\r\nContent-Type: image/png; name=\"../../etc/pass\\\\wd\"\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0K\r\n\
    --m\r\nContent-Type: image/gif\r\nContent-ID: <logo@x>\r\n\r\nGIF\r\n\
    --m\r\nContent-Type: text/plain; name=notes.txt\r\n\r\nnotes\r\n\
    --m\r\nContent-Type: text/plain\r\n\r\n-- \r\nfooter\r\n--m--\r\n";

#[test]
fn bodies_and_attachments_are_told_apart() {
    for raw in [
        RawMessage::from_bytes(MIXED.as_bytes().to_vec()),
        spooled(MIXED.as_bytes()),
    ] {
        let email = parse(&raw, &ParseLimits::default()).unwrap();
        assert_eq!(email.defects, []);
        assert_eq!(email.text_body.as_deref(), Some("café\nline\n-- \nfooter"));
        assert_eq!(email.html_body.as_deref(), Some("<p>café</p>"));
        let names: Vec<_> = email
            .attachments
            .iter()
            .map(|a| (a.name.as_str(), a.content_type.as_str(), a.size, a.inline))
            .collect();
        assert_eq!(
            names,
            [
                (".._.._etc_pass_wd", "image/png", 6, false),
                ("", "image/gif", 3, true),
                ("notes.txt", "text/plain", 5, false)
            ]
        );
        assert_eq!(email.attachments[1].content_id.as_deref(), Some("logo@x"));
        let png = attachment_content(&raw, email.attachments[0].part, &ParseLimits::default(), 6)
            .unwrap();
        assert_eq!(png, b"\x89PNG\r\n");
    }
}

#[test]
fn an_attachment_that_is_not_there_or_too_large_is_refused() {
    let raw = RawMessage::from_bytes(MIXED.as_bytes().to_vec());
    let limits = ParseLimits::default();
    let code = |part, max| {
        attachment_content(&raw, part, &limits, max)
            .unwrap_err()
            .code()
    };
    assert_eq!(code(99, 1000), postroom_core::Code::NotFound);
    // Part 1 is a multipart: nothing to read.
    assert_eq!(code(1, 1000), postroom_core::Code::NotFound);
    assert_eq!(code(4, 5), postroom_core::Code::TooLarge);
}

#[test]
fn bytes_that_are_no_message_are_refused() {
    for bytes in [
        &b""[..],
        b"\r\n\r\n",
        b"hello",
        b"\x00\xff\xfe",
        b"just\ntext\n\nlines\n",
    ] {
        let raw = RawMessage::from_bytes(bytes.to_vec());
        let error = parse(&raw, &ParseLimits::default()).unwrap_err();
        assert_eq!(
            error.code(),
            postroom_core::Code::MessageMalformed,
            "{bytes:?}"
        );
    }
}

#[test]
fn a_medium_that_fails_is_not_the_messages_fault() {
    #[derive(Debug)]
    struct Broken;
    impl RawSource for Broken {
        fn open(&self) -> std::io::Result<Box<dyn Read + Send>> {
            Err(std::io::Error::other("disk"))
        }
    }
    let error = parse(
        &RawMessage::new(Arc::new(Broken), 10),
        &ParseLimits::default(),
    )
    .unwrap_err();
    assert_eq!(error.code(), postroom_core::Code::StoreUnavailable);
}

#[test]
fn charset_oddities_are_read() {
    let body = |charset: &str, bytes: &[u8]| {
        let mut message =
            format!("Subject: s\r\nContent-Type: text/plain; charset={charset}\r\n\r\n")
                .into_bytes();
        message.extend_from_slice(bytes);
        read(message).text_body.unwrap()
    };
    assert_eq!(body("utf-8", "café".as_bytes()), "café");
    assert_eq!(body("utf-8", b"caf\xe9"), "caf\u{fffd}");
    assert_eq!(body("us-ascii", "café".as_bytes()), "café");
    assert_eq!(body("us-ascii", b"caf\xe9"), "café");
    assert_eq!(body("x-unknown", b"caf\xe9"), "café");
    assert_eq!(body("iso-8859-1", b"caf\xe9"), "café");
    assert_eq!(body("windows-1251", b"\xcf\xf0\xe8"), "При");
    assert_eq!(body("\"shift_jis\"", b"\x82\xa0"), "あ");
    assert_eq!(body("utf-8", b"a\0b"), "ab");
}

#[test]
fn a_long_body_is_cut_at_the_limit() {
    let limits = ParseLimits {
        body_bytes_max: 10,
        ..ParseLimits::default()
    };
    for (message, expected) in [
        ("Subject: s\n\n123456789äöü\n", "123456789"),
        (
            "Subject: s\nContent-Transfer-Encoding: base64\n\nMTIzNDU2Nzg5MDEyMzQ1Njc4OTA=\n",
            "1234567890",
        ),
    ] {
        let email = parse(
            &RawMessage::from_bytes(message.as_bytes().to_vec()),
            &limits,
        )
        .unwrap();
        assert!(email.text_body.unwrap().starts_with(expected));
        assert!(email.defects.contains(&Defect::BodyTruncated));
    }
}

#[test]
fn above_the_limit_headers_and_structure_only() {
    let limits = ParseLimits::default().with_message_bytes_max(100);
    let email = parse(&spooled(MIXED.as_bytes()), &limits).unwrap();
    assert_eq!(email.headers.subject, "s");
    assert_eq!(email.attachments.len(), 3);
    assert_eq!(email.text_body, None);
    assert_eq!(email.defects, [Defect::HeadersOnly]);
}

#[test]
fn a_named_text_alone_is_the_body() {
    let email = read("Subject: s\nContent-Type: text/plain; name=a.txt\n\nhello\n");
    assert_eq!(email.text_body.as_deref(), Some("hello\n"));
    let email = read("Subject: s\nContent-Disposition: attachment\n\nhello\n");
    assert_eq!(email.text_body, None);
    assert_eq!(email.attachments.len(), 1);
}

#[test]
fn hostile_messages_cost_their_size_and_no_more() {
    // Whatever took the square of the size would not end today.
    let size = 2 << 20;
    let repeated = |head: &str, unit: &str| format!("{head}{}", unit.repeat(size / unit.len()));
    let mut deep = String::new();
    for level in 0..30_000 {
        writeln!(
            deep,
            "Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}"
        )
        .unwrap();
    }
    for message in [
        deep,
        repeated("", "Content-Type: message/rfc822\n\n"),
        repeated("Subject: ", "=?aa?q?"),
        repeated("Subject: ", "=?a?b?"),
        repeated("To: ", "a@b,"),
        repeated("To: ", "((((\"\"<"),
        repeated("To: ", "=?utf-8?q?x?= <a@b>, "),
        repeated("To: ", ":;"),
        repeated("References: ", "<"),
        repeated("References: ", "<a@b>"),
        repeated(
            "Content-Type: multipart/mixed; boundary=b\n\n",
            "--b\nContent-Type: multipart/mixed; boundary=c\n\n",
        ),
        repeated("Content-Type: multipart/mixed; boundary=b\n\n", "--b"),
        repeated("Content-Type: multipart/mixed; boundary=b\n\n", "--\n"),
        repeated("Content-Type: text/plain; ", "a*0*=b;"),
        repeated(
            "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n",
            "= ",
        ),
        repeated(
            "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n",
            " ",
        ),
        repeated("Date: ", "1 Jan "),
        repeated("Thread-Index: ", "AAAA"),
        repeated("X:y\n", "\n"),
        repeated("", "From x\n"),
        repeated("", "\r"),
    ] {
        // Either way will do; what counts is that it ends.
        let _outcome = parse(
            &RawMessage::from_bytes(message.into_bytes()),
            &ParseLimits::default(),
        );
    }
}

/// Pieces that messages are made of, so that random messages get past the first line.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"From: a <a@b>\r\n".to_vec()),
        Just(b"To: (x\r\n".to_vec()),
        Just(b"Subject: =?utf-8?b?".to_vec()),
        Just(b"?=".to_vec()),
        Just(b"Content-Type: multipart/mixed; boundary=b\r\n".to_vec()),
        Just(b"Content-Type: message/rfc822\r\n".to_vec()),
        Just(b"Content-Transfer-Encoding: quoted-printable\r\n".to_vec()),
        Just(b"Content-Transfer-Encoding: base64\n".to_vec()),
        Just(b"Content-Disposition: attachment; filename*0*=utf-8''%".to_vec()),
        Just(b"Date: Sun, 22 Nov 2026 12:00:00 +".to_vec()),
        Just(b"\r\n--b\r\n".to_vec()),
        Just(b"\r\n--b--\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        Just(b" ".to_vec()),
        Just(b"=".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"<".to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        exercise(&bytes)?;
    }

    #[test]
    fn arbitrary_pieces_never_panic(bytes in pieces()) {
        exercise(&bytes)?;
    }
}

fn exercise(bytes: &[u8]) -> Result<(), TestCaseError> {
    let limits = ParseLimits::default();
    let _headers = crate::parse_headers(bytes);
    let here = parse(&RawMessage::from_bytes(bytes.to_vec()), &limits);
    let there = parse(&spooled(bytes), &limits);
    // Where the bytes lie makes no difference.
    prop_assert_eq!(here.as_ref().ok(), there.as_ref().ok());
    if let Ok(email) = here {
        for attachment in &email.attachments {
            let mut content = Vec::new();
            let written =
                write_attachment(&spooled(bytes), attachment.part, &limits, &mut content).unwrap();
            prop_assert_eq!(written, attachment.size);
        }
        for named in email.headers.recipients() {
            prop_assert!(!named.to_string().contains(['\r', '\n']));
        }
        prop_assert!(!email.headers.subject.contains(['\r', '\n']));
    }
    Ok(())
}
