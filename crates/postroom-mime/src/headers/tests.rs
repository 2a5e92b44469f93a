use super::*;

fn headers(text: &str) -> EmailHeaders {
    parse_headers(text.as_bytes()).headers
}

fn ids(list: &[MessageId]) -> Vec<&str> {
    list.iter().map(MessageId::as_str).collect()
}

#[test]
fn reads_what_decisions_need() {
    let parsed = parse_headers(
        b"Delivered-To: support@example.org\r\n\
        Message-ID: <1@x>\r\nIn-Reply-To: <0@x>\r\nReferences: <a@x>\r\n <b@x>\r\n\
        From: \"Lovelace, Ada\" <ada@example.org>\r\nSender: Office <office@example.org>\r\n\
        To: support@example.org, Bob <bob@example.org>\r\nCc: (home) carl@example.org\r\n\
        Date: Sun, 22 Nov 2026 13:00:00 +0100\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n of the day\r\n\
        Auto-Submitted: Auto-Replied; owner=x\r\nSensitivity: Company-Confidential\r\nX-Priority: 1 (Highest)\r\n\r\nbody",
    );
    let headers = parsed.headers;
    assert!(parsed.defects.is_empty(), "{:?}", parsed.defects);
    assert_eq!(headers.message_id.unwrap().as_str(), "1@x");
    assert_eq!(ids(&headers.in_reply_to), ["0@x"]);
    assert_eq!(ids(&headers.references), ["a@x", "b@x"]);
    assert_eq!(
        headers.from.as_ref().unwrap().name.as_deref(),
        Some("Lovelace, Ada")
    );
    assert_eq!(headers.to.len(), 2);
    assert_eq!(headers.cc[0].address.as_str(), "carl@example.org");
    assert_eq!(
        headers.sent_at,
        Some("2026-11-22T12:00:00Z".parse().unwrap())
    );
    assert_eq!(headers.subject, "café of the day");
    assert_eq!(headers.auto_submitted.as_deref(), Some("auto-replied"));
    assert_eq!(headers.sensitivity, Sensitivity::Confidential);
    assert_eq!(headers.importance, Importance::High);
    assert_eq!(headers.delivered_to[0].as_str(), "support@example.org");
}

#[test]
fn odd_identifiers_are_read() {
    assert_eq!(
        headers("Message-ID: 1@x\n").message_id.unwrap().as_str(),
        "1@x"
    );
    assert_eq!(
        headers("Message-ID: <1@\r\n x>\n")
            .message_id
            .unwrap()
            .as_str(),
        "1@x"
    );
    assert_eq!(
        headers("Message-ID: <no-at-sign>\n")
            .message_id
            .unwrap()
            .as_str(),
        "no-at-sign"
    );
    assert_eq!(
        headers("Message-ID: <>\nMessage-Id: <2@x>\n")
            .message_id
            .unwrap()
            .as_str(),
        "2@x"
    );
    assert_eq!(
        ids(&headers("In-Reply-To: Your message of \"Fri\" <1@x>\n").in_reply_to),
        ["1@x"]
    );
    assert_eq!(
        ids(&headers("In-Reply-To: message of 1@x from Friday\n").in_reply_to),
        ["1@x"]
    );
    assert_eq!(
        ids(&headers("References: <a@x><b@x>,<c@x\n").references),
        ["a@x", "b@x", "c@x"]
    );
    assert!(
        headers("References: garbage all over\n")
            .references
            .is_empty()
    );
}

#[test]
fn of_many_ancestors_the_first_and_the_nearest_stay() {
    let many: String = (0..3000).map(|n| format!(" <{n}@x>\r\n")).collect();
    let headers = headers(&format!("References:{many}\r\n"));
    assert_eq!(headers.references.len(), 100);
    assert_eq!(headers.references[0].as_str(), "0@x");
    assert_eq!(headers.references[99].as_str(), "2999@x");
}

#[test]
fn odd_addresses_are_read_or_counted() {
    let read = |value: &str| {
        let parsed = parse_headers(format!("To: {value}\n").as_bytes());
        let to: Vec<_> = parsed.headers.to.iter().map(ToString::to_string).collect();
        let left_out = parsed.defects.iter().find_map(|defect| match defect {
            Defect::AddressesLeftOut(count) => Some(*count),
            _ => None,
        });
        (to.join("|"), left_out.unwrap_or_default())
    };
    for (value, to, left_out) in [
        ("undisclosed-recipients:;", "", 0),
        ("Team: a@x, B <b@x>;, c@x", "a@x|B <b@x>|c@x", 0),
        ("nobody", "", 1),
        ("a@x, nobody, b@x", "a@x|b@x", 1),
        ("mailto:a@x", "a@x", 0),
        ("'a@x'", "a@x", 0),
        ("\"a@x\" <a@x>", "a@x <a@x>", 0),
        ("=?utf-8?q?J=C3=B6rg?= <j@x>", "Jörg <j@x>", 0),
        ("<a@x", "a@x", 0),
        ("", "", 0),
    ] {
        assert_eq!(read(value), (to.to_owned(), left_out), "{value}");
    }
}

#[test]
fn thousands_of_addresses_are_bounded_and_counted() {
    let many: String = (0..5000)
        .map(|n| format!("r{n}@example.org,\r\n "))
        .collect();
    let parsed = parse_headers(format!("To: {many}z@example.org\r\n").as_bytes());
    assert_eq!(parsed.headers.to.len(), 2000);
    assert!(
        parsed.defects.contains(&Defect::AddressesLeftOut(3001)),
        "{:?}",
        parsed.defects
    );
}

#[test]
fn a_missing_author_is_a_defect_and_the_sender_stands_in() {
    let parsed = parse_headers(b"Sender: office@example.org\n");
    assert_eq!(
        parsed.headers.from.unwrap().address.as_str(),
        "office@example.org"
    );
    assert!(parsed.defects.contains(&Defect::NoSender));
    assert_eq!(
        parsed.defects,
        [Defect::NoSender, Defect::NoDate, Defect::NoMessageId]
    );
}

#[test]
fn conversation_indexes_are_read_folded_and_refused_short() {
    let headers_of = |value: &str| headers(&format!("Thread-Index: {value}\n")).conversation_index;
    let index = headers_of("AdCABCDEFGHIJKLMNOPQRSTUVWXYZ\r\n ab==").unwrap();
    assert_eq!(index.as_bytes().len(), 23);
    assert!(headers_of("AdCABC").is_none());
    assert!(headers_of("****").is_none());
}

#[test]
fn odd_dates_are_read_or_missing() {
    let date = |value: &str| {
        headers(&format!("Date: {value}\n"))
            .sent_at
            .map(|at| at.to_string())
    };
    assert_eq!(
        date("22 Nov 26 12:00 GMT").as_deref(),
        Some("2026-11-22T12:00:00Z")
    );
    assert_eq!(
        date("Sun, 22 Nov 2026 12:00:00 -0500 (EST)").as_deref(),
        Some("2026-11-22T17:00:00Z")
    );
    assert_eq!(
        date("31 Dec 2016 23:59:60 +0000").as_deref(),
        Some("2016-12-31T23:59:59Z")
    );
    assert_eq!(
        date("22 Nov 2026 12:00:00").as_deref(),
        Some("2026-11-22T12:00:00Z")
    );
    assert_eq!(
        date("22 Nov 2026 7:00 EST").as_deref(),
        Some("2026-11-22T12:00:00Z")
    );
    for bad in [
        "",
        "yesterday",
        "99 Nov 2026 12:00:00 GMT",
        "22 Nov 2026 99:99:99 GMT",
    ] {
        assert_eq!(date(bad), None, "{bad}");
    }
}

#[test]
fn automatic_and_marked_mail_is_told() {
    assert_eq!(headers("Auto-Submitted: no\n").auto_submitted, None);
    assert!(!headers("Auto-Submitted: no\nPrecedence: first-class\n").automatic);
    assert!(!headers("X-Auto-Response-Suppress: DR, RN\nReturn-Path: <a@b>\n").automatic);
    for automatic in [
        "Auto-Submitted: auto-replied\n",
        "X-Auto-Response-Suppress: DR, OOF, AutoReply\n",
        "Precedence: bulk\n",
        "Return-Path: <>\n",
        "List-Id: Friends <friends.lists.example>\n",
        "X-Autorespond: yes\n",
        "From: MAILER-DAEMON@x.example\n",
    ] {
        assert!(headers(automatic).automatic, "{automatic}");
    }
    assert_eq!(headers("Importance: Low\n").importance, Importance::Low);
    assert_eq!(headers("X-Priority: 3\n").importance, Importance::Normal);
    assert_eq!(
        headers("Sensitivity: Private\n").sensitivity,
        Sensitivity::Private
    );
    assert_eq!(
        headers("Sensitivity: whatever\n").sensitivity,
        Sensitivity::Normal
    );
}

#[test]
fn the_body_is_not_read_and_nothing_is_no_message() {
    assert_eq!(headers("Subject: a\n\nSubject: b\n").subject, "a");
    assert_eq!(parse_headers(b"").field_count, 0);
    assert_eq!(parse_headers(b"no field\nat all\n").field_count, 0);
}
