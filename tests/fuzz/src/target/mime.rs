//! Raw messages: headers, structure, bodies, attachments; then what the core makes of them.

use std::io::Read;
use std::sync::Arc;

use postroom_core::email::{ContentIdentity, Defect, Email};
use postroom_core::raw::RawSource;
use postroom_core::tracking::{
    Candidates, CorrelationQuery, CorrelationRules, CorrelationSettings, IN_REPLY_TO_MAX,
    MESSAGE_IDS_MAX, correlate,
};
use postroom_core::{Code, RawMessage, Timestamp};
use postroom_mime::{MimeError, ParseLimits, attachment_content, parse, parse_headers};

use super::{Target, magnitude, observed};
use crate::family::{Family, filled, numbered};

/// Raw messages.
#[derive(Debug)]
pub(super) struct Mime;

pub(super) const SEEDS: &[&[u8]] = &[
    b"From: Ada <ada@contoso.example>\r\nTo: desk@contoso.example\r\nSubject: Plain\r\n\
      Message-ID: <p1@contoso.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0100\r\n\r\nHello.\r\n",
    b"Received: from a by b; Sun, 22 Nov 2026 10:00:00 GMT\r\n\
      From: =?iso-8859-1?Q?J=FCrgen?= <j@x.example>, \"Second, Author\" <s@x.example>\r\n\
      Sender: assistant@x.example\r\nReply-To: answers@x.example\r\n\
      To: Group: a@x.example, b@x.example;, c@x.example (a comment)\r\nCc: undisclosed-recipients:;\r\n\
      Bcc: secret@x.example\r\nDelivered-To: desk@contoso.example\r\nX-Original-To: <Desk@contoso.example>\r\n\
      In-Reply-To: <a@x.example>\r\nReferences: <r1@x.example> <r2@x.example>\r\n <r3@x.example>\r\n\
      Thread-Index: AQHR0wECAwQFBgcICQoLDA0ODxAREhMUFRY=\r\nAuto-Submitted: auto-replied (vacation)\r\n\
      Importance: high\r\nSensitivity: Company-Confidential\r\nDate: 22 Nov 26 10:00 EST\r\n\
      Subject: =?utf-8?B?w6TDtsO8?= =?utf-8?q?_CRM:001?=\r\n =?utf-8?q?042?=\r\n\r\nbody\r\n",
    b"From: a@x.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"outer\"\r\n\r\n\
      preamble\r\n--outer\r\nContent-Type: multipart/alternative; boundary=inner\r\n\r\n--inner\r\n\
      Content-Type: text/plain; charset=\"utf-8\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
      caf=C3=A9 soft=\r\nbreak\r\n--inner\r\nContent-Type: text/html; charset=iso-2022-jp\r\n\
      Content-Transfer-Encoding: base64\r\n\r\nPHA+aGk8L3A+\r\n--inner--\r\n--outer\r\n\
      Content-Type: application/pdf; name=\"=?utf-8?q?r=C3=A9sum=C3=A9.pdf?=\"\r\n\
      Content-Disposition: attachment; filename*0*=utf-8''..%2F; filename*1=x.pdf; size=12\r\n\
      Content-ID: <part1@x.example>\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n--outer\r\n\
      Content-Type: message/rfc822\r\n\r\nFrom: inner@x.example\r\nSubject: inner\r\n\r\ninner body\r\n\
      --outer--\r\nepilogue\r\n",
    b"From: b@x.example\nContent-Type: multipart/related; boundary=x\n\n--x\nContent-Type: text/html\n\n\
      <img src=cid:a>\n--x\nContent-Type: image/png\nContent-ID: <a>\nContent-Disposition: inline\n\
      Content-Transfer-Encoding: base64\n\niVBORw0KGgo=\n--x--\n",
    b"From someone Sun Nov 22 10:00:00 2026\nFrom: mbox@x.example\nContent-Type: text/plain; charset=utf-7\n\n+AOQ-\n",
    b"Subject: only this, and no end of line",
    b"\r\n\r\nFrom: late@x.example\r\n\r\n\r\n",
    b"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nFrom: x@y\r\n\r\n1\r\n--d\r\nno header\r\n--d--\r\n",
    b"From: z@x.example\r\nContent-Type: text/plain; charset=windows-1252\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\x80\x81\xff\r\n",
    b"From: w@x.example\r\nContent-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\neJ8+IgAA\r\n",
];

const WORDS: &[&[u8]] = &[
    b"From: ",
    b"To: ",
    b"Cc: ",
    b"Bcc: ",
    b"Subject: ",
    b"Date: ",
    b"Message-ID: ",
    b"References: ",
    b"In-Reply-To: ",
    b"Thread-Index: ",
    b"Delivered-To: ",
    b"Content-Type: multipart/mixed; boundary=x\r\n",
    b"Content-Type: text/plain; charset=",
    b"Content-Type: message/rfc822\r\n\r\n",
    b"utf-16",
    b"utf-7",
    b"gb18030",
    b"iso-2022-kr",
    b"big5",
    b"hz-gb-2312",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"Content-Disposition: attachment; filename=",
    b"boundary=",
    b"filename*0*=utf-8''",
    b"--x\r\n",
    b"--x--\r\n",
    b"--outer\r\n",
    b"--inner--\r\n",
    b"CRM:001042",
    b"a@x.example, ",
    b"<r@x.example> ",
    b"group:",
    b";",
    b"Sun, 30 Feb 99999 25:61:61 +9999",
];

fn family_headers(field: &'static str, piece: &'static str) -> impl Fn(usize) -> Vec<u8> {
    move |size| {
        filled(
            format!("From: a@b\r\n{field}: ").as_bytes(),
            piece.as_bytes(),
            b"\r\n\r\nbody\r\n",
            size,
        )
    }
}

macro_rules! headers {
    ($($name:literal: $field:literal, $piece:literal;)*) => {
        &[$(Family { name: $name, make: |size| family_headers($field, $piece)(size) }),*]
    };
}

const HEADER_FAMILIES: &[Family] = headers! {
    "open comments": "To", "(";
    "closed comments": "To", "(x)";
    "open quotes": "To", "\"x ";
    "open angles": "To", "<";
    "addresses": "To", "a@b, ";
    "groups": "Cc", "g: a@b; ";
    "open groups": "Cc", "g:";
    "delivered to": "Delivered-To", "a@b,";
    "folds": "Subject", "\r\n ";
    "encoded words": "Subject", "=?utf-8?q?a?= ";
    "open encoded words": "Subject", "=?utf-8?q?a";
    "encoded words without text": "Subject", "=?a?b?";
    "open encoded words in names": "From", "=?utf-8?b?";
    "raw bytes": "Subject", "\u{e9}";
    "references": "References", "<r@x> ";
    "open references": "References", "<r";
    "words as references": "In-Reply-To", "a@b ";
    "date words": "Date", "1:1 ";
    "date comments": "Date", "(((";
    "thread index": "Thread-Index", "QUJD";
    "type parameters": "Content-Type", "text/plain; a=b";
    "continued parameters": "Content-Type", "; name*0*=a";
    "open type quotes": "Content-Type", "\"\\";
    "disposition": "Content-Disposition", "a; filename=\"";
    "content id": "Content-ID", "<<";
    "encoding": "Content-Transfer-Encoding", "base64 ";
    "backslashes": "To", "\\";
    "dots": "From", ".";
    "ats": "From", "@";
    "keywords": "Importance", "high;";
};

const FAMILIES: &[Family] = &[
    Family {
        name: "fields",
        make: |size| numbered("", |n| format!("X-{n}: v\r\n"), "\r\nbody", size),
    },
    Family {
        name: "from fields",
        make: |size| filled(b"", b"From: a@b\r\n", b"\r\nbody", size),
    },
    Family {
        name: "lines without colon",
        make: |size| filled(b"A: b\r\n", b"xxxx\n", b"", size),
    },
    Family {
        name: "one long line",
        make: |size| filled(b"A: ", b"x", b"", size),
    },
    Family {
        name: "blank lines first",
        make: |size| filled(b"", b"\r\n", b"From: a@b\r\n\r\n", size),
    },
    Family {
        name: "mbox lines",
        make: |size| filled(b"", b"From x\n", b"From: a@b\r\n\r\n", size),
    },
    Family {
        name: "parts",
        make: |size| {
            filled(
                b"From: a@b\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n",
                b"--x\r\n\r\na\r\n",
                b"--x--\r\n",
                size,
            )
        },
    },
    Family {
        name: "empty parts",
        make: |size| {
            filled(
                b"From: a@b\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n",
                b"--x\n",
                b"",
                size,
            )
        },
    },
    Family {
        name: "nested multiparts",
        make: |size| {
            numbered(
                "From: a@b\r\n",
                |n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"),
                "x",
                size,
            )
        },
    },
    Family {
        name: "nested multiparts of one boundary",
        make: |size| {
            filled(
                b"From: a@b\r\n",
                b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
                b"x",
                size,
            )
        },
    },
    Family {
        name: "nested messages",
        make: |size| {
            filled(
                b"From: a@b\r\n",
                b"Content-Type: message/rfc822\r\n\r\n",
                b"x",
                size,
            )
        },
    },
    Family {
        name: "almost boundaries",
        make: |size| {
            let mut all = Vec::new();
            for depth in 0..32 {
                all.extend_from_slice(
                    format!(
                        "Content-Type: multipart/mixed; boundary={}{depth}\r\n\r\n--{0}{depth}\r\n",
                        "b".repeat(60)
                    )
                    .as_bytes(),
                );
            }
            filled(
                &all,
                &[b"--".as_slice(), &b"b".repeat(60), b"x\r\n"].concat(),
                b"",
                size,
            )
        },
    },
    Family {
        name: "texts to join",
        make: |size| {
            filled(
                b"From: a@b\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n",
                b"--x\r\nContent-Type: text/plain\r\n\r\nabc\r\n",
                b"",
                size,
            )
        },
    },
    Family {
        name: "base64",
        make: |size| {
            filled(
                b"From: a@b\r\nContent-Transfer-Encoding: base64\r\n\r\n",
                b"QUJD=\r\n",
                b"",
                size,
            )
        },
    },
    Family {
        name: "quoted-printable escapes",
        make: |size| {
            filled(
                b"From: a@b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
                b"=A",
                b"",
                size,
            )
        },
    },
    Family {
        name: "quoted-printable blanks",
        make: |size| {
            filled(
                b"From: a@b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
                b" \t",
                b"",
                size,
            )
        },
    },
    Family {
        name: "utf-7",
        make: |size| {
            filled(
                b"From: a@b\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n",
                b"+AOQ",
                b"",
                size,
            )
        },
    },
    Family {
        name: "iso-2022-jp",
        make: |size| {
            filled(
                b"From: a@b\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n",
                b"\x1b$B",
                b"",
                size,
            )
        },
    },
    Family {
        name: "html",
        make: |size| {
            filled(
                b"From: a@b\r\nContent-Type: text/html\r\n\r\n",
                b"<p",
                b"",
                size,
            )
        },
    },
    Family {
        name: "attachments",
        make: |size| {
            numbered(
                "From: a@b\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n",
                |n| format!("--x\r\nContent-Type: image/png; name=n{n}\r\n\r\nq\r\n"),
                "",
                size,
            )
        },
    },
    Family {
        name: "participants",
        make: |size| {
            numbered(
                "From: a@b\r\nTo: x@y",
                |n| format!(", p{n}@example.org"),
                "\r\nSubject: s\r\n\r\n",
                size,
            )
        },
    },
    Family {
        name: "different references",
        make: |size| {
            numbered(
                "From: a@b\r\nReferences:",
                |n| format!(" <{n}@x>"),
                "\r\n\r\n",
                size,
            )
        },
    },
];

/// Bytes that have to be read: the other way through the parser.
#[derive(Debug)]
struct Stream(Arc<[u8]>);

impl RawSource for Stream {
    fn open(&self) -> std::io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Trickle(Arc::clone(&self.0), 0)))
    }
}

/// Gives few bytes at a time.
struct Trickle(Arc<[u8]>, usize);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.0[self.1..];
        let count = rest.len().min(buffer.len()).min(7 + self.1 % 1000);
        buffer[..count].copy_from_slice(&rest[..count]);
        self.1 += count;
        Ok(count)
    }
}

impl Target for Mime {
    fn seeds(&self) -> Vec<Vec<u8>> {
        SEEDS.iter().map(|seed| seed.to_vec()).collect()
    }

    fn dictionary(&self) -> &'static [&'static [u8]] {
        WORDS
    }

    fn families(&self) -> Vec<Family> {
        [HEADER_FAMILIES, FAMILIES].concat()
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let limits = ParseLimits::default();
        let head = parse_headers(input);
        let raw = RawMessage::from_bytes(input.to_vec());
        let streamed = RawMessage::new(Arc::new(Stream(input.into())), input.len() as u64);
        let whole = parse(&raw, &limits);
        match (&whole, parse(&streamed, &limits)) {
            (Ok(one), Ok(two)) => assert_eq!(*one, two, "in memory and streamed"),
            (Err(one), Err(two)) => assert_eq!(one.code(), two.code(), "in memory and streamed"),
            (one, two) => panic!("in memory and streamed: {one:?} and {two:?}"),
        }
        let email = match whole {
            Ok(email) => email,
            Err(error) => {
                check_error(&error);
                assert_eq!(error.code(), Code::MessageMalformed);
                return observed(&("malformed", magnitude(head.field_count)));
            }
        };
        if !email.defects.contains(&Defect::StructureLimited) && head.field_count > 0 {
            assert_eq!(
                head.headers, email.headers,
                "headers alone and of the whole"
            );
        }
        check(&email, input, &limits);
        check_attachments(&email, &raw, &streamed, &limits);
        let method = decide(&email, input.len() as u64);
        observed(&(
            &email
                .defects
                .iter()
                .map(std::mem::discriminant)
                .collect::<Vec<_>>(),
            magnitude(email.attachments.len()),
            magnitude(email.text_body.as_ref().map_or(0, String::len)),
            magnitude(email.html_body.as_ref().map_or(0, String::len)),
            magnitude(email.headers.to.len()),
            magnitude(email.headers.references.len()),
            magnitude(email.headers.subject.len()),
            (
                email.headers.sent_at.is_some(),
                email.headers.conversation_index.is_some(),
            ),
            email.headers.sensitivity,
            method,
        ))
    }
}

fn check_error(error: &MimeError) {
    assert!(error.to_string().len() < 500);
}

pub(super) fn check(email: &Email, input: &[u8], limits: &ParseLimits) {
    let headers = &email.headers;
    let single_line = |text: &str| !text.chars().any(char::is_control);
    assert!(
        single_line(&headers.subject),
        "subject {:?}",
        headers.subject
    );
    // Decoding makes at most three bytes of one, but for ligatures of old encodings.
    let bound = input.len() * 4 + 64;
    assert!(headers.subject.len() <= bound);
    let addresses = headers.recipients().count() + headers.reply_to.len();
    assert!(addresses <= limits.addresses_max);
    assert!(headers.references.len() <= limits.identifiers_max);
    assert!(headers.in_reply_to.len() <= limits.identifiers_max);
    for named in headers
        .recipients()
        .chain(&headers.from)
        .chain(&headers.sender)
    {
        assert!(
            named.name.as_deref().is_none_or(single_line),
            "name {:?}",
            named.name
        );
        let again = named.address.as_str().parse();
        assert_eq!(again.as_ref(), Ok(&named.address));
    }
    for id in headers
        .references
        .iter()
        .chain(&headers.in_reply_to)
        .chain(&headers.message_id)
    {
        assert_eq!(
            id.as_str().parse().as_ref(),
            Ok(id),
            "identifiers are read as they are written"
        );
    }
    for body in [&email.text_body, &email.html_body].into_iter().flatten() {
        assert!(
            body.len() <= limits.body_bytes_max && body.len() <= bound,
            "{} bytes",
            body.len()
        );
        assert!(!body.contains('\0'));
    }
    assert!(email.attachments.len() <= limits.parts_max as usize);
    for file in &email.attachments {
        assert!(
            single_line(&file.name) && !file.name.contains(['/', '\\']),
            "{:?}",
            file.name
        );
        assert!(!matches!(file.name.as_str(), "." | ".."));
    }
    let mut defects = email.defects.clone();
    defects.sort();
    defects.dedup();
    assert_eq!(defects, email.defects);
    // It is stored as JSON.
    let text = serde_json::to_string(email).expect("an email can be written");
    let again: Email = serde_json::from_str(&text).expect("and read again");
    assert_eq!(again, *email);
}

fn check_attachments(email: &Email, raw: &RawMessage, streamed: &RawMessage, limits: &ParseLimits) {
    // Each costs a pass over the message.
    for file in email.attachments.iter().take(8) {
        let content = attachment_content(raw, file.part, limits, usize::MAX).expect("it is there");
        assert_eq!(content.len() as u64, file.size, "the size as described");
        let again =
            attachment_content(streamed, file.part, limits, usize::MAX).expect("it is there");
        assert_eq!(content, again);
        if let Some(less) = content.len().checked_sub(1) {
            let error = attachment_content(raw, file.part, limits, less).expect_err("too large");
            assert_eq!(error.code(), Code::TooLarge);
        }
    }
    let error = attachment_content(raw, u32::MAX, limits, 10).expect_err("there is no such part");
    assert_eq!(error.code(), Code::NotFound);
}

/// What the core makes of it, without an index that knows anything.
fn decide(email: &Email, length: u64) -> usize {
    let now = Timestamp::from_seconds(1_800_000_000);
    let identity = ContentIdentity::of(&email.headers, now);
    assert!(identity.with_content(email, length).is_certain());
    let rules =
        CorrelationRules::new(CorrelationSettings::default()).expect("the defaults are good");
    let query = CorrelationQuery::full(&email.headers, &rules, now);
    assert!(query.message_ids.len() <= MESSAGE_IDS_MAX.max(IN_REPLY_TO_MAX));
    let correlation = correlate(&email.headers, &query, &Candidates::default(), &rules);
    assert!(correlation.matched.is_none());
    correlation.steps.len()
}
