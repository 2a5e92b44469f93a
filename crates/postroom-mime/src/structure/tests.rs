use super::*;
use proptest::prelude::*;

fn leaves(message: &str) -> Vec<(u32, String, String)> {
    let structure = scan(message.as_bytes(), &ParseLimits::default()).unwrap();
    structure
        .leaves
        .iter()
        .map(|leaf| {
            let start = usize::try_from(leaf.range.start).unwrap();
            let end = usize::try_from(leaf.range.end).unwrap();
            (
                leaf.index,
                leaf.content.media_type.clone(),
                message.get(start..end).unwrap().to_owned(),
            )
        })
        .collect()
}

fn leaf(index: u32, media_type: &str, body: &str) -> (u32, String, String) {
    (index, media_type.to_owned(), body.to_owned())
}

#[test]
fn a_message_without_parts_is_one_leaf() {
    assert_eq!(
        leaves("Subject: a\r\n\r\nbody\r\n"),
        [leaf(0, "text/plain", "body\r\n")]
    );
    assert_eq!(
        leaves("Subject: a\n\nbody"),
        [leaf(0, "text/plain", "body")]
    );
    assert_eq!(leaves("Subject: a\r\n"), [leaf(0, "text/plain", "")]);
    assert_eq!(leaves("Subject: a"), [leaf(0, "text/plain", "")]);
}

#[test]
fn nested_multiparts_are_numbered_in_order() {
    let message = "Content-Type: multipart/mixed; boundary=out\r\n\r\npreamble\r\n\
        --out\r\nContent-Type: multipart/alternative; boundary=\"in ner\"\r\n\r\n\
        --in ner\r\n\r\nplain\r\n--in ner  \r\nContent-Type: TEXT/HTML\r\n\r\n<p>\r\n--in ner--\r\nepilogue\r\n\
        --out\r\nContent-Type: image/png\r\n\r\nPNG\r\n\r\n--out--\r\nepilogue\r\n";
    assert_eq!(
        leaves(message),
        [
            leaf(2, "text/plain", "plain"),
            leaf(3, "text/html", "<p>"),
            leaf(4, "image/png", "PNG\r\n"),
        ]
    );
}

#[test]
fn an_outer_boundary_closes_what_nobody_closed() {
    let message = "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n\
        --i\n\ninner\n--o\n\nouter\n";
    assert_eq!(
        leaves(message),
        [
            leaf(2, "text/plain", "inner"),
            leaf(3, "text/plain", "outer\n")
        ]
    );
}

#[test]
fn a_boundary_that_begins_like_another_is_not_it() {
    let message =
        "Content-Type: multipart/mixed; boundary=a\n\n--ab\nnothing\n--a\n\nbody\n--abc\n--a--\n";
    assert_eq!(leaves(message), [leaf(1, "text/plain", "body\n--abc")]);
}

#[test]
fn a_multipart_without_its_boundary_is_text() {
    let message = "Content-Type: multipart/mixed; boundary=gone\n\nwhat it says\n";
    assert_eq!(leaves(message), [leaf(0, "text/plain", "what it says\n")]);
    let message = "Content-Type: multipart/mixed\n\nwhat it says\n";
    assert_eq!(
        leaves(message),
        [leaf(0, "multipart/mixed", "what it says\n")]
    );
}

#[test]
fn forgotten_semicolons_and_blank_lines_are_put_up_with() {
    let message =
        "Content-Type: multipart/mixed\n\tboundary=\"b\"\n\n--b\nno header here\nmore\n--b--\n";
    assert_eq!(
        leaves(message),
        [leaf(1, "text/plain", "no header here\nmore")]
    );
}

#[test]
fn attached_messages_are_leaves_and_a_digest_holds_messages() {
    let message =
        "Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: inner\n\nx\n--d--\n";
    assert_eq!(
        leaves(message),
        [leaf(1, "message/rfc822", "Subject: inner\n\nx")]
    );
}

#[test]
fn mbox_lines_and_blank_lines_before_the_header_do_not_hide_it() {
    for head in [
        "From a@b Sat Jan  1 00:00:00 2000\n",
        "\r\n\r\n",
        "\n>From x\n",
    ] {
        let structure = scan(
            format!("{head}Subject: a\n\nbody").as_bytes(),
            &ParseLimits::default(),
        )
        .unwrap();
        assert_eq!(structure.header_block, b"Subject: a\n");
        assert_eq!(structure.leaves.len(), 1);
    }
}

#[test]
fn sizes_are_of_the_decoded_content() {
    let message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Transfer-Encoding: base64\r\n\r\naGVs\r\nbG8=\r\n\
        --b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=\r\nb=41\r\n\
        --b\r\n\r\nab\r\ncd\r\n--b--";
    let structure = scan(message.as_bytes(), &ParseLimits::default()).unwrap();
    let sizes: Vec<_> = structure.leaves.iter().map(|leaf| leaf.size).collect();
    assert_eq!(sizes, [5, 3, 6]);
}

#[test]
fn depth_and_parts_are_bounded() {
    let mut deep = String::new();
    for level in 0..10_000 {
        deep.push_str(&format!(
            "Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n"
        ));
    }
    let structure = scan(deep.as_bytes(), &ParseLimits::default()).unwrap();
    assert!(structure.limited);
    assert_eq!(structure.leaves.len(), 1);
    let mut wide = "Content-Type: multipart/mixed; boundary=b\n".to_owned();
    wide.push_str(&"\n--b\n\nx".repeat(5000));
    let structure = scan(wide.as_bytes(), &ParseLimits::default()).unwrap();
    assert!(structure.limited);
    assert_eq!(structure.leaves.len(), 999);
    let nested = "Content-Type: message/rfc822\n\n".repeat(100_000);
    assert_eq!(
        scan(nested.as_bytes(), &ParseLimits::default())
            .unwrap()
            .leaves
            .len(),
        1
    );
}

#[test]
fn a_header_block_without_end_is_bounded() {
    let endless = "X: y\n".repeat(200_000);
    let structure = scan(endless.as_bytes(), &ParseLimits::default()).unwrap();
    assert!(structure.limited);
    assert!(structure.header_block.len() <= 256 * 1024);
    let one_line = "X".repeat(1_000_000);
    assert!(
        scan(one_line.as_bytes(), &ParseLimits::default())
            .unwrap()
            .limited
    );
}

#[test]
fn small_reads_give_the_same_parts() {
    let body = "x".repeat(20_000);
    let message = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{body}\r\n--b\r\n\r\ny\r\n--b--\r\n"
    );
    let whole = scan(message.as_bytes(), &ParseLimits::default()).unwrap();
    for capacity in [1, 7, 8191, 8193] {
        let reader = io::BufReader::with_capacity(capacity, message.as_bytes());
        let pieces = scan(reader, &ParseLimits::default()).unwrap();
        let ranges = |structure: &Structure| {
            structure
                .leaves
                .iter()
                .map(|leaf| (leaf.range.clone(), leaf.size))
                .collect::<Vec<_>>()
        };
        assert_eq!(ranges(&pieces), ranges(&whole));
        assert_eq!(pieces.leaves[0].size, 20_000);
    }
}

#[test]
fn a_message_in_memory_has_the_same_parts() {
    let fragments = [
        "\r\n",
        "\n",
        "--b\r\n",
        "--b--\r\n",
        "--\n",
        "--c\n",
        "--b \n",
        "-",
        "text",
        "Content-Type: multipart/mixed; boundary=b\r\n",
        "Content-Type: multipart/digest; boundary=\"c\"\n",
        "Content-Transfer-Encoding: base64\n",
        "Content-Transfer-Encoding: quoted-printable\r\n",
        "YWJj=\r\n",
        "=41 \r",
        "X: y\r\n",
    ];
    let message = proptest::collection::vec(proptest::sample::select(fragments.to_vec()), 0..40);
    proptest!(|(message in message)| {
        let message = message.concat();
        let read = scan(message.as_bytes(), &ParseLimits::default()).unwrap();
        let sliced = scan_slice(message.as_bytes(), &ParseLimits::default());
        prop_assert_eq!(format!("{read:?}"), format!("{sliced:?}"));
    });
}
