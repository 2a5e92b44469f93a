use super::*;
use proptest::prelude::*;

fn of(text: &str) -> Response {
    read(text.as_bytes(), false)
}

fn fetch(text: &str) -> Fetch {
    match of(text) {
        Response::Fetch(fetch) => fetch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn status_responses() {
    let Response::Done(tag, Status::No, word) = of("p7 NO [InUse] try \u{e9} later") else {
        panic!("it is one");
    };
    assert_eq!((tag.as_str(), word.code_name()), ("p7", Some("INUSE")));
    assert_eq!(word.text, "try \u{e9} later");
    let Response::Untagged(Status::Ok, word) = of("* OK [UIDVALIDITY 3857529045] valid") else {
        panic!("it is one");
    };
    assert_eq!(word.argument("UIDVALIDITY"), Some("3857529045"));
    let word = word_of(b"[COPYUID 38 304,319:320 3956:3958] Done");
    assert_eq!(word.argument("COPYUID"), Some("38 304,319:320 3956:3958"));
    assert!(matches!(of("+ idling"), Response::Continue(text) if text == "idling"));
    assert!(matches!(of("+"), Response::Continue(text) if text.is_empty()));
    assert!(matches!(of("* BYE"), Response::Untagged(Status::Bye, _)));
    assert!(matches!(of("* OKAY"), Response::Other));
    // The library panics on this one.
    assert!(matches!(
        of("* OK [READ-ONLY]\u{e9}"),
        Response::Untagged(Status::Ok, _)
    ));
}

#[test]
fn data() {
    assert_eq!(of("* 23 EXISTS"), Response::Exists(23));
    assert_eq!(of("* 5 EXPUNGE"), Response::Expunge(5));
    assert_eq!(of("* SEARCH 2 84 882"), Response::Search(vec![2, 84, 882]));
    assert_eq!(of("* SEARCH"), Response::Search(vec![]));
    assert_eq!(
        of("* VANISHED (EARLIER) 41,43:116"),
        Response::Vanished(vec![41..=41, 43..=116])
    );
    assert!(
        matches!(of("* CAPABILITY IMAP4rev2 AUTH=PLAIN"), Response::Capabilities(c) if c.authenticates("PLAIN"))
    );
    let Response::List(name) = of(r#"* LIST (\HasNoChildren \Sent) "/" "a\"b\\c""#) else {
        panic!("it is one");
    };
    assert_eq!((name.name.as_str(), name.delimiter), ("a\"b\\c", Some('/')));
    assert_eq!(name.attributes, [Attribute::Other, Attribute::Sent]);
    let Response::List(name) = of(r#"* LIST () NIL inbox"#) else {
        panic!("it is one");
    };
    assert_eq!((name.name.as_str(), name.delimiter), ("INBOX", None));
}

#[test]
fn what_was_fetched() {
    let fetched = fetch(
        r#"* 12 FETCH (FLAGS (\Seen $Forwarded) UID 7 INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 4286 MODSEQ (7) BODY[HEADER] "a\"b")"#,
    );
    assert_eq!((fetched.uid, fetched.size), (Some(7), Some(4286)));
    assert_eq!(fetched.flags.unwrap(), ["\\seen", "$forwarded"]);
    assert_eq!(fetched.internal_date.unwrap(), "17-Jul-1996 02:44:25 -0700");
    let body = fetched.body.unwrap();
    assert_eq!(body.content, Content::Inline(b"a\"b".to_vec()));
    let body = fetch("* 1 FETCH (UID 7 BODY[]<0> NIL)").body.unwrap();
    assert_eq!((body.origin, body.content), (Some(0), Content::Nil));
    let Response::Fetch(fetched) = read(b"* 1 FETCH (BODY[]<1048576> \"\" UID 9)", true) else {
        panic!("it is one");
    };
    assert_eq!(fetched.uid, Some(9));
    assert_eq!(fetched.body.unwrap().content, Content::Streamed);
}

#[test]
fn what_the_library_cannot_bear_is_not_given_to_it() {
    let nested = format!("* 1 FETCH (UID 5 BODYSTRUCTURE {}", "(".repeat(60_000));
    for text in [
        nested.as_str(),
        "* 1 FETCH (UID 5 INTERNALDATE NIL)",
        "* 1 FETCH (UID 5 internaldate nil)",
        "* 1 FETCH (UID 5",
    ] {
        let fetched = fetch(text);
        assert!(fetched.strange && fetched.uid == Some(5), "{fetched:?}");
    }
    assert_eq!(
        fetch("* 1 FETCH (UID 5 RFC822.SIZE 99999999999999)").size,
        None
    );
    for text in [
        "* METADATA (((",
        "* 1 RECENT",
        "* STATUS",
        "",
        "*",
        "* ",
        "hello",
        "* LIST",
        "* 99999999999 EXISTS",
    ] {
        assert_eq!(of(text), Response::Other, "{text}");
    }
}

#[test]
fn literals() {
    assert_eq!(announced(b"* 1 FETCH (BODY[] {310}"), Some((310, 18)));
    assert_eq!(announced(b"* LIST () \"/\" {3+}"), Some((3, 14)));
    assert_eq!(announced(b"{99999999999999999999}"), Some((u64::MAX, 0)));
    for none in ["{}", "{x}", "}", "{1} ", "1}"] {
        assert_eq!(announced(none.as_bytes()), None, "{none}");
    }
    assert!(may_hold_literal(b"* 1 FETCH (") && may_hold_literal(b"* LIST"));
    for text in ["* OK hello {5}", "p1 OK {5}", "+ {5}", "* BYE {1}"] {
        assert!(!may_hold_literal(text.as_bytes()), "{text}");
    }
    for (text, body) in [
        ("* 1 FETCH (UID 4 BODY[] ", true),
        ("* 1 FETCH (BODY[HEADER]<0> ", true),
        ("* 1 FETCH (INTERNALDATE ", false),
        ("* LIST () \"/\" ", false),
        ("* BODY[] ", false),
    ] {
        assert_eq!(is_body(text.as_bytes()), body, "{text}");
    }
}

proptest! {
    #[test]
    fn any_line_can_be_read(text in proptest::collection::vec(any::<u8>(), 0..200), kind in 0_usize..8, streamed: bool) {
        let starts = ["", "* ", "* 1 FETCH (", "* LIST (", "* OK [", "p1 NO ", "* SEARCH ", "* VANISHED "];
        let line = [starts[kind].as_bytes(), &text].concat();
        read(&line, streamed);
        announced(&line);
        is_body(&line);
    }

    #[test]
    fn lines_that_are_nearly_right_can_be_read(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("("), Just(")"), Just("\""), Just("\\"), Just(" "), Just("NIL"), Just("UID 5"), Just("FLAGS"), Just("\\Seen"),
                Just("BODY[]"), Just("BODY[HEADER]"), Just("<0>"), Just("INTERNALDATE"), Just("ENVELOPE"), Just("BODYSTRUCTURE"),
                Just("RFC822.SIZE"), Just("99999999999"), Just("{3}\r\nabc"), Just("X-GM-LABELS"), Just("\u{e9}"),
            ],
            0..30,
        )
    ) {
        read(format!("* 1 FETCH ({}", parts.concat()).as_bytes(), false);
        read(format!("* LIST ({}", parts.concat()).as_bytes(), false);
    }
}
