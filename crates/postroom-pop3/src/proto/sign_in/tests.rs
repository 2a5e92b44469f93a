use super::*;

fn account(user: &str, password: &str) -> Account {
    Account {
        method: Method::Password,
        user: user.to_owned(),
        secret: Secret::new(password),
    }
}

fn line(text: &str) -> Heard {
    Heard::Line(Bytes::copy_from_slice(text.as_bytes()))
}

fn lines(texts: &[&str]) -> Heard {
    let lines = texts.iter();
    Heard::Lines(
        lines
            .map(|text| Bytes::copy_from_slice(text.as_bytes()))
            .collect(),
    )
}

/// What was said, step by step; ends at the first error, with its text.
fn dialogue(account: &Account, secure: bool, upgrade: bool, heard: Vec<Heard>) -> Vec<String> {
    let mut sign_in = SignIn::new(account, secure, upgrade, None);
    let mut said = Vec::new();
    for heard in heard {
        match sign_in.hear(heard) {
            Ok(Next::Say(line)) => said.push(line.expose().to_owned()),
            Ok(Next::Ask(line)) => said.push(line.to_owned()),
            Ok(Next::BeginTls) => said.push("(tls)".to_owned()),
            Ok(Next::Done) => said.push("(done)".to_owned()),
            Err(error) => {
                said.push(error.to_string());
                break;
            }
        }
    }
    said
}

#[test]
fn user_and_pass() {
    let account = account("ada", "open sesame");
    let said = dialogue(
        &account,
        true,
        false,
        vec![
            line("+OK <1@x>"),
            lines(&["USER", "UIDL"]),
            line("+OK"),
            line("+OK"),
        ],
    );
    assert_eq!(said, ["CAPA", "USER ada", "PASS open sesame", "(done)"]);
}

#[test]
fn plain_carries_every_byte_but_zero() {
    let account = account("ada", "a\r\nb \u{e9}");
    let said = dialogue(
        &account,
        true,
        false,
        vec![line("+OK"), lines(&["SASL PLAIN"])],
    );
    let expected = format!("AUTH PLAIN {}", STANDARD.encode("\0ada\0a\r\nb \u{e9}"));
    assert_eq!(said, ["CAPA".to_owned(), expected]);
    // Where only PASS is left, it cannot be said.
    let said = dialogue(&account, true, false, vec![line("+OK"), line("-ERR what?")]);
    assert!(said[1].contains("cannot carry"), "{said:?}");
}

#[test]
fn a_long_password_goes_in_a_line_of_its_own() {
    let account = account("ada", &"x".repeat(300));
    let heard = vec![line("+OK"), lines(&["SASL PLAIN"]), line("+ "), line("+OK")];
    let said = dialogue(&account, true, false, heard);
    assert_eq!(said[1], "AUTH PLAIN");
    assert_eq!(
        said[2],
        STANDARD.encode(format!("\0ada\0{}", "x".repeat(300)))
    );
    assert_eq!(said[3], "(done)");
}

#[test]
fn a_digest_in_clear_text() {
    // The example of RFC 1939 section 7.
    let account = account("mrose", "tanstaaf");
    let greeting = "+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>";
    let said = dialogue(
        &account,
        false,
        false,
        vec![line(greeting), lines(&["SASL PLAIN"])],
    );
    assert_eq!(said[1], "APOP mrose c4c9334bac560ecc979e58001b3e22fb");
}

#[test]
fn tls_before_anything_else() {
    let account = account("ada", "pw");
    let heard = vec![line("+OK <1@x>"), line("+OK"), Heard::Tls, lines(&["USER"])];
    let said = dialogue(&account, false, true, heard);
    assert_eq!(said, ["STLS", "(tls)", "CAPA", "USER ada"]);
    // Not offered: nothing is said any more.
    let said = dialogue(&account, false, true, vec![line("+OK"), line("-ERR no")]);
    assert_eq!(said, ["STLS", "the server does not offer to begin TLS"]);
}

#[test]
fn tokens() {
    let account = Account {
        method: Method::Token,
        ..account("ada@x", "ya29.t")
    };
    let heard = || vec![line("+OK"), lines(&["SASL PLAIN XOAUTH2"]), line("+ ")];
    let mut good = heard();
    good.push(line("+OK"));
    let said = dialogue(&account, true, false, good);
    let expected = STANDARD.encode("user=ada@x\x01auth=Bearer ya29.t\x01\x01");
    assert_eq!(said, ["CAPA", "AUTH XOAUTH2", expected.as_str(), "(done)"]);
    // The reason comes first, the refusal after an empty line.
    let mut bad = heard();
    bad.extend([line("+ eyJzdGF0dXMiOiI0MDEifQ=="), line("-ERR [AUTH] no")]);
    let said = dialogue(&account, true, false, bad);
    assert_eq!(said[3..], ["", "the server refuses: no"]);
    let said = dialogue(
        &account,
        true,
        false,
        vec![line("+OK"), lines(&["SASL PLAIN"])],
    );
    assert!(said[1].contains("no way to sign in"), "{said:?}");
}

#[test]
fn who_is_no_pop3_server() {
    let account = account("ada", "pw");
    for (greeting, expected) in [
        ("220 mail ESMTP", "SMTP"),
        ("* OK IMAP4rev1", "IMAP"),
        ("HTTP/1.1 400 Bad Request", "HTTP"),
        ("SSH-2.0-x", "SSH"),
        ("", "+OK"),
        ("\x15\x03\x01", "begins with TLS"),
        ("-ERR [SYS/TEMP] too many connections", "too many"),
    ] {
        let said = dialogue(&account, true, false, vec![line(greeting)]);
        assert!(said[0].contains(expected), "{greeting}: {said:?}");
    }
}

#[test]
fn nothing_that_is_said_is_shown() {
    let account = account("ada", "pw");
    let mut sign_in = SignIn::new(&account, true, false, Some(Capa::untold()));
    let next = sign_in.hear(line("+OK")).unwrap();
    assert!(!format!("{next:?} {sign_in:?}").contains("pw"));
    assert!(sign_in.asked_for_verdict());
}
