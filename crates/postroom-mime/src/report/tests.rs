use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Option<DeliveryReport> {
    let raw = RawMessage::from_bytes(text.replace('\n', "\r\n").into_bytes());
    delivery_report(&raw, Timestamp::EPOCH, &ParseLimits::default()).unwrap()
}

fn looks_like_one(text: &str) -> bool {
    parse_headers(text.as_bytes()).headers.delivery_report
}

/// Address, outcome, status, diagnostic of each recipient.
fn rows(report: &DeliveryReport) -> Vec<(&str, &str, &str, &str)> {
    report
        .recipients
        .iter()
        .map(|said| {
            let status = said.status.as_deref().unwrap_or("-");
            let address = said.address.as_str();
            (
                address,
                said.outcome.name(),
                status,
                said.diagnostic.as_str(),
            )
        })
        .collect()
}

const POSTFIX: &str = "\
Return-Path: <>
From: MAILER-DAEMON@mx.example (Mail Delivery System)
To: ada@example.org
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary=\"8DF421.1700000000/mx.example\"
Subject: Undelivered Mail Returned to Sender

This is a MIME-encapsulated message.

--8DF421.1700000000/mx.example
Content-Type: text/plain; charset=us-ascii

It was not delivered.

--8DF421.1700000000/mx.example
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example
X-Postfix-Queue-ID: 8DF421
Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000 (UTC)

Final-Recipient: rfc822; gone@northwind.example
Original-Recipient: rfc822;gone@northwind.example
Action: failed
Status: 5.1.1
Remote-MTA: dns; mail.northwind.example
Diagnostic-Code: smtp; 550 5.1.1 <gone@northwind.example>: Recipient address
    rejected: User unknown

Final-Recipient: rfc822; slow@northwind.example
Action: delayed
Status: 4.4.1
Diagnostic-Code: X-Postfix; connect to mail: Connection timed out

--8DF421.1700000000/mx.example
Content-Type: text/rfc822-headers

Message-ID: <our-own@example.org>
From: ada@example.org

--8DF421.1700000000/mx.example--
";

#[test]
fn the_standard_form_names_each_recipient_and_the_message() {
    assert!(looks_like_one(POSTFIX));
    let report = read(POSTFIX).unwrap();
    assert_eq!(
        report.message_id.as_ref().unwrap().as_str(),
        "our-own@example.org"
    );
    let words = "550 5.1.1 <gone@northwind.example>: Recipient address rejected: User unknown";
    let expected = [
        ("gone@northwind.example", "failed", "5.1.1", words),
        (
            "slow@northwind.example",
            "delayed",
            "4.4.1",
            "connect to mail: Connection timed out",
        ),
    ];
    assert_eq!(rows(&report), expected);
}

#[test]
fn what_exchange_makes_has_the_message_attached_or_its_id_alone() {
    let text = POSTFIX
        .replace("text/rfc822-headers", "message/rfc822")
        .replace("Remote-MTA", "X-Display-Name: Gone\nRemote-MTA");
    assert_eq!(
        read(&text).unwrap().message_id,
        read(POSTFIX).unwrap().message_id
    );
    // In Base64, which RFC 3464 forbids and gateways do.
    let part = "Original-Message-ID: <b@example.org>\n\nFinal-Recipient: rfc822;x@y.example\n\
                Action: failed (permanently)\nStatus: 5.0.0 (undefined)\n";
    let mut encoded = Vec::new();
    {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(part);
        encoded.extend_from_slice(text.as_bytes());
    }
    let encoded = String::from_utf8(encoded).unwrap();
    let text = format!(
        "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\
         Content-Transfer-Encoding: base64\n\n{encoded}\n--b--\n"
    );
    let report = read(&text).unwrap();
    assert_eq!(
        report.message_id.as_ref().unwrap().as_str(),
        "b@example.org"
    );
    assert_eq!(rows(&report), [("x@y.example", "failed", "5.0.0", "")]);
}

#[test]
fn the_form_of_qmail() {
    let text = "\
Return-Path: <>
From: MAILER-DAEMON@mx.example
Subject: failure notice

Hi. This is the qmail-send program at mx.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<gone@northwind.example>:
192.0.2.1 does not like recipient.
Remote host said: 550 5.1.1 no such user
Giving up on 192.0.2.1.

<other@northwind.example>:
Sorry, no mailbox here by that name.

--- Below this line is a copy of the message.

Return-Path: <ada@example.org>
Message-ID: <our-own@example.org>
Subject: Hello

<not@recipient.example>:
in the message
";
    assert!(looks_like_one(text));
    let report = read(text).unwrap();
    assert_eq!(
        report.message_id.as_ref().unwrap().as_str(),
        "our-own@example.org"
    );
    let got: Vec<_> = rows(&report)
        .iter()
        .map(|row| (row.0, row.1, row.2))
        .collect();
    let expected = [
        ("gone@northwind.example", "failed", "5.1.1"),
        ("other@northwind.example", "failed", "-"),
    ];
    assert_eq!(got, expected);
}

#[test]
fn the_form_of_exim() {
    let text = "\
X-Failed-Recipients: gone@northwind.example, other@northwind.example
Auto-Submitted: auto-replied
From: Mail Delivery System <Mailer-Daemon@mx.example>
Subject: Mail delivery failed: returning message to sender

This message was created automatically by mail delivery software.

  gone@northwind.example
    host mail.northwind.example [192.0.2.1]
    SMTP error from remote mail server after RCPT TO:<gone@northwind.example>:
    550 5.7.1 denied

------ This is a copy of the message, including all the headers. ------

Message-ID: <our-own@example.org>
Subject: Hello
";
    assert!(looks_like_one(text));
    let report = read(text).unwrap();
    assert_eq!(
        report.message_id.as_ref().unwrap().as_str(),
        "our-own@example.org"
    );
    assert_eq!(
        rows(&report)[0],
        ("gone@northwind.example", "failed", "5.7.1", "")
    );
    assert_eq!(report.recipients.len(), 2);
}

#[test]
fn what_is_no_report_is_none() {
    for text in [
        "From: ada@example.org\nSubject: Undeliverable\n\n<x@y.example>:\n550 5.1.1 no\n",
        "From: ada@example.org\n\nI quote: Hi. This is the qmail-send program\n\n<x@y.example>:\n5.1.1\n",
        // A receipt of reading is another kind of report.
        "From: ada@example.org\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n\
         --b\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822;x@y.example\n--b--\n",
        "",
    ] {
        assert_eq!(read(text), None, "{text}");
        assert!(!looks_like_one(text), "{text}");
    }
    // An empty report says nothing, and is one.
    let empty = "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n--b--\n";
    assert_eq!(read(empty), Some(DeliveryReport::default()));
}

#[test]
fn odd_reports_lose_what_cannot_be_read_and_nothing_else() {
    let part = |body: &str| {
        format!(
            "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n{body}\n--b--\n"
        )
    };
    let report = read(&part(
        "Reporting-MTA: x\n\nFinal-Recipient: rfc822; no address\nAction: failed\n\n\
         Final-Recipient: <ok@x.example>\nAction: exploded\n\n\
         Final-Recipient: ok@x.example\nAction: Failed\nStatus: later\nDiagnostic-Code: smtp; 552 5.2.2 full\n\n\
         Original-Recipient: rfc822;a+2Bb@x.example\nFinal-Recipient: rfc822;c@x.example\nAction: delivered\n",
    ))
    .unwrap();
    let expected = [
        ("ok@x.example", "failed", "5.2.2", "552 5.2.2 full"),
        ("a+b@x.example", "delivered", "-", ""),
    ];
    assert_eq!(rows(&report), expected);
    let many = "Final-Recipient: rfc822; a@x.example\nAction: failed\n\n".repeat(5000);
    assert_eq!(read(&part(&many)).unwrap().recipients.len(), RECIPIENTS_MAX);
}

proptest! {
    #[test]
    fn anything_is_read_without_a_panic(body in "(?s).{0,400}", kind in 0..3) {
        let text = match kind {
            0 => format!("Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n{body}\n--b--"),
            1 => format!("X: y\n\nHi. This is the {body}"),
            _ => format!("X-Failed-Recipients: {body}\n\n{body}"),
        };
        let _ = read(&text);
    }
}
