//! A real Dovecot serves odd messages by POP3 and by IMAP: all are accounted for, as the same records.

use std::fs;

use postroom::core::profile::ProfileKind;

use crate::dovecot::{Dovecot, PASSWORD};
use crate::odd;
use crate::office::Office;

const USER: &str = "desk@here.example";

/// Our own odd messages, and those of a folder where one is named.
fn messages() -> Vec<Vec<u8>> {
    let mut messages = odd::messages();
    if let Some(folder) = std::env::var_os("POSTROOM_CORPUS") {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
            .collect();
        files.sort();
        println!("{} messages of the folder", files.len());
        messages.extend(files.iter().map(|file| fs::read(file).unwrap()));
    }
    messages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_messages_are_the_same_records_by_either_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Dovecot::start(folder) else {
        return;
    };
    server.add_user(USER).unwrap();
    let messages = messages();
    for message in &messages {
        server.deliver(USER, message).unwrap();
    }
    let count = u64::try_from(messages.len()).unwrap();
    let mut found = Vec::new();
    for (kind, service) in [
        (ProfileKind::Pop3Smtp, "pop3s"),
        (ProfileKind::ImapSmtp, "imaps"),
    ] {
        let office = Office::new(USER).await;
        let location = format!("{service}://localhost:{}", server.port(service));
        let authority = server.certificate_pem();
        let change = |profile: &mut postroom::core::ServerProfile| {
            profile.incoming.location = Some(location);
            profile.extra_authorities_pem = Some(authority);
        };
        office.read_by(kind, change, (USER, PASSWORD)).await;
        let counts = office.settle().await;
        println!("{service}: {counts:?}");
        assert_eq!(counts.values().sum::<u64>(), count, "{service}: {counts:?}");
        found.push((counts, office.contents().await));
    }
    let [(pop, by_pop), (imap, by_imap)] = found.as_slice() else {
        panic!("two protocols")
    };
    assert_eq!(pop, imap);
    for said in by_pop.keys().chain(by_imap.keys()) {
        let start: String = said.chars().take(1500).collect();
        assert_eq!(by_pop.get(said), by_imap.get(said), "{start}");
    }
}
