//! Outgoing email: composed, parsed again, and the same as before.

use postroom_core::email::{ConversationIndex, Defect, MessageId};
use postroom_core::{EmailAddress, NamedAddress, RawMessage, Timestamp};
use postroom_mime::{
    OutgoingAttachment, OutgoingEmail, ParseLimits, attachment_content, compose, parse,
};

use super::{Target, magnitude, observed};
use crate::bytes::Source;
use crate::family::{Family, filled};

/// Outgoing email.
#[derive(Debug)]
pub(super) struct Compose;

/// In this order: sender's name, sender, subject, identifier, text, HTML, then pairs of recipients'
/// names and addresses, attachments' names and types, references, further fields.
const SEEDS: &[&[u8]] = &[
    b"Ada\nada@contoso.example\nHello\nid1@contoso.example\nDear Jo,\n<p>Hi</p>\nJo\njo@x.example\n",
    b"J\xc3\xbcrgen \"the\" M\xc3\xbcller, Dr.\nj@x.example\nAngebot f\xc3\xbcr \xe2\x82\xac 5 CRM:001042\n\
      a+b@x.example\n\n<img src=cid:a>\n@lone\nx@y.example\n!r\xc3\xa9sum\xc3\xa9.pdf\napplication/pdf\n\
      #r1@x.example\n#r2@x.example\n%X-Extra\nvalue\n",
    b"\n\"odd name\"@x.example\n\nx\n.\n\n,\nq@x.example\n",
    b"=?utf-8?q?a?=\n=?utf-8?q?b?=@x.example\ns\ni@x\nt\n\n=?x?b?Yg==?=\n\"=?utf-8?q?a?= b\"@x.example\n\
      \n\"<c>,(\\\"\"@x.example\n",
];

impl Target for Compose {
    fn seeds(&self) -> Vec<Vec<u8>> {
        SEEDS.iter().map(|seed| seed.to_vec()).collect()
    }

    fn dictionary(&self) -> &'static [&'static [u8]] {
        &[
            b"a@x.example\n",
            b"!",
            b"#",
            b"%",
            b"=?utf-8?q?a?=",
            b"\r",
            b"Bcc",
            b"text/html; x=y",
            b"multipart/mixed",
        ]
    }

    fn families(&self) -> Vec<Family> {
        vec![
            Family {
                name: "recipients",
                make: |size| filled(SEEDS[0], b"n\na@b\n", b"", size),
            },
            Family {
                name: "long subject",
                make: |size| filled(b"A\na@b\n", "ä".as_bytes(), b"\ni@b\n\n", size),
            },
            Family {
                name: "long subject without a blank",
                make: |size| filled(b"A\na@b\n", b"x", b"\ni@b\n\n", size),
            },
            Family {
                name: "long name",
                make: |size| filled(b"", b"\"\\", b"\na@b\ns\ni@b\n", size),
            },
            Family {
                name: "long text",
                make: |size| filled(b"A\na@b\ns\ni@b\n", b"\rx", b"\n", size),
            },
            Family {
                name: "references",
                make: |size| filled(SEEDS[0], b"#r@x\n", b"", size),
            },
            Family {
                name: "attachments",
                make: |size| filled(SEEDS[0], b"!n\nt/t\n", b"", size),
            },
            Family {
                name: "long attachment name",
                make: |size| {
                    filled(
                        &[SEEDS[0], b"!"].concat(),
                        "ü ".as_bytes(),
                        b"\na/b\n",
                        size,
                    )
                },
            },
            Family {
                name: "fields",
                make: |size| filled(SEEDS[0], b"%X-A\nb\n", b"", size),
            },
        ]
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let mut source = Source::new(input);
        let name = source.text();
        let from: EmailAddress = source
            .text()
            .parse()
            .ok()
            .filter(|address| !is_stripped(address))
            .unwrap_or_else(|| "a@x.example".parse().unwrap());
        let subject = source.text();
        let id: MessageId = source
            .text()
            .parse()
            .unwrap_or_else(|_| "id@x.example".parse().unwrap());
        let mut email = OutgoingEmail::new(
            NamedAddress::new(name, from),
            subject,
            id,
            Timestamp::from_seconds(1_800_000_000 + i64::from(source.byte())),
        );
        email.text = Some(source.text()).filter(|text| !text.is_empty());
        email.html = Some(source.text()).filter(|text| !text.is_empty());
        while !source.is_empty() {
            let line = source.text();
            let rest = line.get(1..).unwrap_or_default().to_owned();
            match line.as_bytes().first() {
                Some(b'!') => {
                    let content = RawMessage::from_bytes(rest.clone().into_bytes());
                    let mut file = OutgoingAttachment::new(rest, source.text(), content);
                    file.content_id = file
                        .name
                        .contains('c')
                        .then(|| format!("{}@cid", file.name.len()));
                    email.attachments.push(file);
                }
                Some(b'#') => {
                    if let Ok(id) = rest.parse() {
                        email.references.push(id);
                    }
                }
                Some(b'%') => email.extra_headers.push((rest, source.text())),
                Some(b'$') => {
                    email.conversation_index = ConversationIndex::from_bytes(rest.into_bytes())
                }
                _ => {
                    let address = source.text().parse::<EmailAddress>();
                    if let Some(address) = address.ok().filter(|address| !is_stripped(address)) {
                        email.to.push(NamedAddress::new(line, address));
                    }
                }
            }
        }
        check(&email, input.len())
    }
}

/// Whether it has what readers take away from addresses, as nobody's has it.
fn is_stripped(address: &EmailAddress) -> bool {
    let text = address.as_str();
    text.contains('\'') || text.to_lowercase().contains("mailto:")
}

fn check(email: &OutgoingEmail, size: usize) -> u64 {
    let bytes = match compose(email) {
        Ok(bytes) => bytes,
        Err(error) => {
            assert!(
                !email.extra_headers.is_empty(),
                "only further fields are refused: {error}"
            );
            return observed(&error.to_string());
        }
    };
    assert_eq!(
        compose(email).expect("it went well before"),
        bytes,
        "the same bytes each time"
    );
    // Base64 and encoded words of single characters; headers of each part.
    let parts = 4 + email.attachments.len() + email.to.len() + email.references.len();
    assert!(
        bytes.len() <= size * 12 + parts * 600,
        "{} of {size}",
        bytes.len()
    );
    for line in bytes.split(|byte| *byte == b'\n') {
        assert!(
            line.is_empty() || line.ends_with(b"\r"),
            "a line without CR"
        );
        assert!(
            !line[..line.len().saturating_sub(1)].contains(&b'\r'),
            "a CR within a line"
        );
        assert!(
            line.len() <= 999,
            "a line of {} bytes (RFC 5322 section 2.1.1)",
            line.len()
        );
    }
    assert!(bytes.is_ascii() || !email.from.address.as_str().is_ascii() || has_foreign_ids(email));

    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let header_bytes = end.expect("a header ends") + 4;
    let raw = RawMessage::from_bytes(bytes);
    let limits = ParseLimits::default();
    let parsed = parse(&raw, &limits).expect("what was composed is a message");
    let headers = &parsed.headers;
    // Readers stop within a header that is this long.
    if header_bytes > limits.header_bytes_max {
        assert!(parsed.defects.contains(&Defect::StructureLimited));
        return observed(&());
    }
    // Longer ones are cut when they are read.
    if email.subject.len() < 4000 {
        assert_eq!(headers.subject, shown(&email.subject), "subject");
    }
    let from = headers.from.as_ref().expect("the author");
    assert_eq!(from.address, email.from.address);
    // Longer ones are cut when they are read.
    let name = |named: &NamedAddress| {
        let name = named.name.as_deref().map(shown).unwrap_or_default();
        (name.chars().count() <= 500).then_some(name)
    };
    let sent_and_read = email.to.iter().zip(&headers.to);
    for (sent, read) in sent_and_read.chain([(&email.from, from)]) {
        if let Some(name) = name(sent) {
            assert_eq!(read.name.clone().unwrap_or_default(), name, "a name");
        }
    }
    if email.to.len() < 500 {
        let to: Vec<_> = headers.to.iter().map(|named| &named.address).collect();
        let sent: Vec<_> = email.to.iter().map(|named| &named.address).collect();
        assert_eq!(to, sent, "recipients");
    }
    assert!(
        headers.bcc.is_empty() && headers.cc.is_empty(),
        "nobody else gets it"
    );
    assert_eq!(headers.sent_at, Some(email.date));
    let (read, written) = (&headers.conversation_index, &email.conversation_index);
    assert_eq!(
        read.as_ref().map(ConversationIndex::root),
        written.as_ref().map(ConversationIndex::root)
    );
    let written = |id: &MessageId| -> String {
        id.as_str()
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, '<' | '>'))
            .collect()
    };
    if let Some(id) = &headers.message_id {
        assert_eq!(id.as_str(), written(&email.message_id), "Message-ID");
    } else {
        assert!(written(&email.message_id).is_empty(), "a Message-ID");
    }
    if email.attachments.is_empty() || email.text.is_some() {
        let text = email
            .text
            .clone()
            .unwrap_or_default()
            .replace('\r', "\n")
            .replace('\0', "");
        let seen = parsed.text_body.clone().unwrap_or_default();
        assert_eq!(seen.trim_end(), text.trim_end(), "text");
    }
    check_files(email, &parsed.attachments, &raw, &limits);
    observed(&(
        magnitude(email.to.len()),
        magnitude(email.attachments.len()),
        magnitude(email.references.len()),
        magnitude(headers.references.len()),
        (
            email.text.is_some(),
            email.html.is_some(),
            email.conversation_index.is_some(),
        ),
        headers.subject.is_ascii(),
        magnitude(raw.len() as usize),
        from.name.is_some(),
    ))
}

fn has_foreign_ids(email: &OutgoingEmail) -> bool {
    let ids = email.references.iter().chain([&email.message_id]);
    ids.map(MessageId::as_str)
        .chain(email.to.iter().map(|to| to.address.as_str()))
        .any(|text| !text.is_ascii())
}

fn check_files(
    email: &OutgoingEmail,
    seen: &[postroom_core::email::Attachment],
    raw: &RawMessage,
    limits: &ParseLimits,
) {
    if email.attachments.len() > 500 {
        return;
    }
    let files: Vec<_> = seen.iter().filter(|file| !file.name.is_empty()).collect();
    let named = |file: &&OutgoingAttachment| !shown(&file.name).is_empty();
    // Those that the HTML shows come first.
    let inline = |file: &&&OutgoingAttachment| file.content_id.is_some() && email.html.is_some();
    let named: Vec<_> = email.attachments.iter().filter(named).collect();
    let order = named
        .iter()
        .filter(inline)
        .chain(named.iter().filter(|file| !inline(file)));
    assert_eq!(files.len(), named.len(), "attachments: {files:?}");
    for (sent, file) in order.zip(files).take(4) {
        let content = attachment_content(raw, file.part, limits, usize::MAX).expect("it is there");
        let bytes = sent.content.in_memory().expect("it lies in memory");
        assert_eq!(content, bytes, "content of {:?}", file.name);
    }
}

/// A text as it is shown in one line.
fn shown(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}
