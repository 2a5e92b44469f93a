use super::*;
use crate::api::{Declaration, Finding};

fn finding(path: &[&str]) -> Finding {
    Finding::new(path.iter().map(|part| (*part).to_owned()).collect(), "")
}

#[test]
fn every_finding_has_its_line() {
    let text = "[organization]\nname = \"x\"\n\n[[profile]]\nname = \"a\"\n[[profile]]\n  incoming.location = \"b\"\n[profile.outgoing]\nport = 0x10\n";
    let (document, wrong) = Document::parse(text);
    assert_eq!(wrong, []);
    assert_eq!(document.value["profile"][1]["outgoing"]["port"], 16);
    for (path, line, column) in [
        (&["organization", "name"][..], 2, 1),
        (&["profile", "0", "name"], 5, 1),
        (&["profile", "0", "kind"], 4, 1),
        (&["profile", "1", "incoming", "location"], 7, 12),
        (&["profile", "1", "incoming", "port"], 7, 3),
        (&["profile", "1", "outgoing", "port"], 9, 1),
        (&["nowhere"], 1, 1),
    ] {
        assert_eq!(
            document.place(&finding(path)),
            Place { line, column },
            "{path:?}"
        );
    }
}

#[test]
fn everything_wrong_with_the_form_is_told() {
    let (_, wrong) = Document::parse("a = 1\nb = \n[c\nd = 3\nd = 4\n");
    let lines: Vec<usize> = wrong.iter().map(|(place, _)| place.line).collect();
    assert_eq!(lines, [3, 2], "{wrong:?}");
}

#[test]
fn what_is_written_reads_the_same() {
    let document = serde_json::json!({
        "organization": { "name": "Lamps & \"Sons\"\n\tLtd", "settings": { "list": ["a", "b'"], "on": true, "n": 150 } },
        "profile": [
            { "name": "London", "incoming": { "user_name": "svc", "port": 443 }, "x": { "y_seconds": 2.5 } },
            { "name": "'''", "pem": "-----BEGIN\nabc\n-----END\n" },
        ],
        "user": [{ "name": "\u{1b}[2J\u{e9}", "other_addresses": [] }],
        "queue": [], "forward_mailbox": [], "party": [],
    });
    let (declaration, findings) = Declaration::read(&document);
    assert_eq!(findings, []);
    let text = write(&declaration);
    let (read, wrong) = Document::parse(&text);
    assert_eq!(wrong, [], "{text}");
    assert_eq!(Declaration::read(&read.value).0, declaration, "{text}");
}
