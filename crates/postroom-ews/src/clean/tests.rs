use super::*;
use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

#[derive(Default)]
struct Kept(Vec<Vec<u8>>);

impl ContentSink for Kept {
    fn begin(&mut self) -> usize {
        self.0.push(Vec::new());
        self.0.len() - 1
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.last_mut().unwrap().extend_from_slice(bytes);
    }

    fn end(&mut self) {}
}

fn clean(input: &[u8], sizes: &[usize]) -> Result<(String, Vec<Vec<u8>>), CleanError> {
    let mut cleaner = Cleaner::new(Limits::default(), Kept::default());
    let mut rest = input;
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let size = sizes
            .next()
            .copied()
            .unwrap_or(rest.len())
            .clamp(1, rest.len());
        let (chunk, after) = rest.split_at(size);
        cleaner.push(chunk)?;
        rest = after;
    }
    let (text, kept) = cleaner.finish()?;
    Ok((text, kept.0))
}

fn whole(input: &[u8]) -> (String, Vec<Vec<u8>>) {
    clean(input, &[]).unwrap()
}

#[test]
fn what_xml_forbids_is_dropped() {
    for (dirty, cleaned) in [
        (&b"\xEF\xBB\xBF<a>x</a>\0\0\0"[..], "<a>x</a>"),
        (b"\0 \r\n<a>x</a>\r\n", "<a>x</a>\r\n"),
        (
            b"<a>x\x01y&#x1;z&#x0;&#25;&#xFFFE;&#xD800;&#x110000;</a>",
            "<a>xyz</a>",
        ),
        (
            b"<a b=\"1\x02&#x3;2\">&#x20;&#10;&amp;&lt;</a>",
            "<a b=\"12\">&#x20;&#10;&amp;&lt;</a>",
        ),
        (
            b"<a>R&D &nbsp; &; &#; &#x; & &averyveryverylongname;</a>",
            "<a>R&amp;D &amp;nbsp; &amp;;   &amp; &amp;averyveryverylongname;</a>",
        ),
        (b"<a>\xEF\xBF\xBEx\xEF\xBF\xBF</a>", "<a>x</a>"),
        (b"<a>\xFFx</a>", "<a>\u{FFFD}x</a>"),
        (
            b"<?xml version='1.0'?><!-- <b> & --><a><![CDATA[<b>&\x01]]></a>",
            "<?xml version='1.0'?><!-- <b> & --><a><![CDATA[<b>&]]></a>",
        ),
        (b"<a b='>\"' c=\"'>\"/>", "<a b='>\"' c=\"'>\"/>"),
    ] {
        let expected = cleaned;
        let shown = String::from_utf8_lossy(dirty).into_owned();
        assert_eq!(whole(dirty).0, expected, "{shown:?}");
        assert_eq!(
            clean(dirty, &[1]).unwrap().0,
            expected,
            "{shown:?} byte by byte"
        );
    }
}

#[test]
fn contents_are_cut_out_and_decoded() {
    let (text, contents) = whole(
        b"<r><t:MimeContent CharacterSet=\"UTF-8\">aGVs\r\nbG8&#xD;\n=</t:MimeContent><MimeContent/>\
          <x:MimeContent></x:MimeContent><MimeContent>aGk</MimeContent></r>",
    );
    assert_eq!(
        text,
        "<r><t:MimeContent CharacterSet=\"UTF-8\">0</t:MimeContent><MimeContent/>\
         <x:MimeContent>1</x:MimeContent><MimeContent>2</MimeContent></r>"
    );
    assert_eq!(contents, [&b"hello"[..], b"", b"hi"]);
}

#[test]
fn base64_is_taken_as_it_comes() {
    let bytes: Vec<u8> = (0..100_000_u32)
        .map(|n| u8::try_from(n * 7 % 251).unwrap())
        .collect();
    for length in [99_998, 99_999, 100_000] {
        let plain = STANDARD.encode(&bytes[..length]);
        let mut lines = String::new();
        for (at, c) in plain.chars().enumerate() {
            lines.push(c);
            if at % 76 == 75 {
                lines.push_str("\r\n");
            }
        }
        for text in [&plain, plain.trim_end_matches('='), &lines] {
            let document = format!("<a><MimeContent>{text}</MimeContent></a>");
            for size in [1, 7, 1000, 70_001, 1 << 20] {
                let (_, contents) = clean(document.as_bytes(), &[size]).unwrap();
                assert!(
                    contents[0] == bytes[..length],
                    "{length} in pieces of {size}"
                );
            }
        }
    }
    // Joined pieces, each padded; and hostile nonsense in time that is in proportion.
    let (_, contents) = whole(b"<a><MimeContent>aA==aGk=\t-_aGk=</MimeContent></a>");
    assert_eq!(contents, [b"hhihi"]);
    let hostile = format!(
        "<a><MimeContent>{}</MimeContent></a>",
        "AAA=".repeat(500_000)
    );
    assert_eq!(
        clean(hostile.as_bytes(), &[100_000]).unwrap().1[0].len(),
        1_000_000
    );
}

#[test]
fn bounds_hold() {
    assert_eq!(
        clean(b"<!DOCTYPE a><a/>", &[]),
        Err(CleanError::DocumentType)
    );
    assert_eq!(
        clean(b"<!ENTITY a><a/>", &[1]),
        Err(CleanError::DocumentType)
    );
    assert_eq!(
        clean("<a>".repeat(200).as_bytes(), &[]),
        Err(CleanError::TooDeep)
    );
    assert_eq!(
        clean(&vec![b'x'; 17 << 20], &[1 << 20]),
        Err(CleanError::TooLarge)
    );
    // What is cut out does not count.
    let mut large = b"<a><MimeContent>".to_vec();
    large.extend(std::iter::repeat_n(b'A', 20 << 20));
    large.extend_from_slice(b"</MimeContent></a>");
    let (text, contents) = clean(&large, &[100_000]).unwrap();
    assert_eq!(text, "<a><MimeContent>0</MimeContent></a>");
    assert_eq!(contents[0].len(), 15 << 20);
    for cut in [
        "",
        "<a>",
        "<a",
        "<a>x&am",
        "<a><MimeContent>aGk",
        "<a><!-- ",
        "<a></a",
    ] {
        assert_eq!(
            clean(cut.as_bytes(), &[]),
            Err(CleanError::Truncated),
            "{cut}"
        );
    }
}

#[test]
fn a_message_above_the_limit_of_the_spool_costs_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::with_bounds(folder.path(), 100, 100, 100).unwrap();
    let mut cleaner = Cleaner::new(Limits::default(), SpoolSink::new(spool));
    let document = format!(
        "<a><MimeContent>{}</MimeContent><MimeContent>aGk=</MimeContent></a>",
        "A".repeat(400)
    );
    cleaner.push(document.as_bytes()).unwrap();
    let contents = cleaner.finish().unwrap().1.into_contents();
    assert_eq!(contents[0].as_ref().unwrap_err(), &ContentError::TooLarge);
    assert_eq!(contents[1].as_ref().unwrap().in_memory(), Some(&b"hi"[..]));
}

/// The same, slowly and with the whole document at hand.
fn naive(input: &[u8]) -> (String, Vec<Vec<u8>>) {
    let mut contents = Vec::new();
    let mut text = Vec::new();
    let begin = input
        .iter()
        .position(|b| *b > b' ' && !matches!(b, 0xEF | 0xBB | 0xBF))
        .unwrap_or(input.len());
    let mut at = begin;
    let mut in_tag = false;
    while at < input.len() {
        let byte = input[at];
        if byte == b'&' {
            let name: Vec<u8> = input[at + 1..]
                .iter()
                .copied()
                .take(12)
                .take_while(|b| b.is_ascii_alphanumeric() || *b == b'#')
                .collect();
            let terminated = input.get(at + 1 + name.len()) == Some(&b';');
            let spelled = String::from_utf8(name.clone()).unwrap();
            let number = spelled.strip_prefix("#x").map_or_else(
                || {
                    spelled.strip_prefix('#').and_then(|d| {
                        d.bytes()
                            .all(|b| b.is_ascii_digit())
                            .then(|| d.parse::<u32>().unwrap_or(u32::MAX))
                    })
                },
                |h| {
                    h.bytes()
                        .all(|b| b.is_ascii_hexdigit())
                        .then(|| u32::from_str_radix(h, 16).unwrap_or(u32::MAX))
                },
            );
            let named = ["amp", "lt", "gt", "quot", "apos"].contains(&spelled.as_str());
            if terminated && (named || number.is_some()) {
                let good = number.is_none_or(|n| char::from_u32(n).is_some_and(is_xml_char));
                if good {
                    text.extend_from_slice(format!("&{spelled};").as_bytes());
                }
                at += name.len() + 2;
            } else {
                text.extend_from_slice(b"&amp;");
                text.extend_from_slice(&name);
                at += name.len() + 1;
            }
            continue;
        }
        at += 1;
        if byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r') {
            continue;
        }
        text.push(byte);
        in_tag = (in_tag || byte == b'<') && byte != b'>';
        if byte == b'>' && text.ends_with(b"<t:MimeContent>") {
            let end = at + input[at..].iter().position(|b| *b == b'<').unwrap();
            let mut encoded = String::new();
            let mut skip = false;
            for byte in &input[at..end] {
                skip = *byte == b'&' || skip;
                if !skip && (byte.is_ascii_alphanumeric() || b"+/".contains(byte)) {
                    encoded.push(char::from(*byte));
                }
                skip = skip && *byte != b';';
            }
            text.extend_from_slice(contents.len().to_string().as_bytes());
            if encoded.len() % 4 == 1 {
                encoded.pop();
            }
            while !encoded.len().is_multiple_of(4) {
                encoded.push('=');
            }
            contents.push(
                ::base64::engine::GeneralPurpose::new(
                    &::base64::alphabet::STANDARD,
                    ::base64::engine::GeneralPurposeConfig::new()
                        .with_decode_allow_trailing_bits(true),
                )
                .decode(encoded)
                .unwrap(),
            );
            at = end;
        }
    }
    let text = String::from_utf8_lossy(&text).replace(['\u{FFFE}', '\u{FFFF}'], "");
    (text, contents)
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"<b>".to_vec()),
        Just(b"<c d=\"x&#x1;>y\x03&amp;\"/>".to_vec()),
        Just(b"</b>".to_vec()),
        Just(b"&#x1;&#65;&".to_vec()),
        Just(b"&nbsp;&#xD;".to_vec()),
        "[ -%'-;=?-~\u{80}-\u{FFFF}]{0,20}".prop_map(String::into_bytes),
        proptest::collection::vec(0_u8..32, 0..8),
        proptest::collection::vec(128_u8..=255, 0..8),
        proptest::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| {
            let mut text = b"<t:MimeContent>".to_vec();
            for (at, byte) in STANDARD
                .encode(&bytes)
                .trim_end_matches('=')
                .bytes()
                .enumerate()
            {
                text.push(byte);
                if bytes.len() % 3 == 0 && at % 76 == 75 {
                    text.extend_from_slice(b"&#xD;\r\n");
                }
            }
            text.extend_from_slice(b"</t:MimeContent>");
            text
        }),
    ]
}

proptest! {
    #[test]
    fn equals_the_naive_one_however_it_is_cut(
        pieces in proptest::collection::vec(piece(), 0..20),
        sizes in proptest::collection::vec(1_usize..40, 1..10),
    ) {
        // Balanced, so that the only thing left to differ is the cleaning.
        let mut document = b"<a>".to_vec();
        let mut open = 0_usize;
        for piece in &pieces {
            if piece == b"</b>" {
                if open == 0 { continue; }
                open -= 1;
            }
            open += usize::from(piece == b"<b>");
            document.extend_from_slice(piece);
        }
        for _ in 0..open { document.extend_from_slice(b"</b>"); }
        document.extend_from_slice(b"</a>");
        let expected = naive(&document);
        prop_assert_eq!(clean(&document, &sizes).unwrap(), expected.clone());
        prop_assert_eq!(clean(&document, &[]).unwrap(), expected);
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300), size in 1_usize..20) {
        prop_assert_eq!(clean(&bytes, &[size]), clean(&bytes, &[]));
    }
}

#[test]
fn attributes_and_namespaces_are_bounded() {
    // A parser that compares each attribute with those before it took 0.4 s for 256 KiB of them.
    let attributes = |count: usize| -> String {
        let all: String = (0..count).map(|n| format!(" a{n}='{n}'")).collect();
        format!("<a{all}/>")
    };
    assert!(clean(attributes(500).as_bytes(), &[]).is_ok());
    for sizes in [&[][..], &[1]] {
        let result = clean(attributes(5000).as_bytes(), sizes);
        assert_eq!(result, Err(CleanError::TooManyAttributes));
    }
    // One that copies the namespaces in scope for each element that adds one took gigabytes.
    let scope = |count: usize| -> String {
        let all: String = (0..count).map(|n| format!(" xmlns:n{n}='{n}'")).collect();
        format!("<b><a{all}><c xmlns='c'/><d xmlns:d='d'>xmlns xmlns xmlns</d></a></b>")
    };
    assert!(clean(scope(31).as_bytes(), &[]).is_ok());
    assert_eq!(
        clean(scope(32).as_bytes(), &[]),
        Err(CleanError::TooManyAttributes)
    );
    // What is closed is out of scope.
    let many = format!("<b>{}</b>", "<a xmlns='u'><c xmlns='v'/></a>".repeat(1000));
    assert!(clean(many.as_bytes(), &[7]).is_ok());
}
