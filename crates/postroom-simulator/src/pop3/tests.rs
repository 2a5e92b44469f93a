use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::model::{Account, MailSystem, ManualClock};

fn server() -> Pop3Server {
    let clock = ManualClock::at("2026-11-22T10:00:00Z".parse().unwrap());
    let mail = Arc::new(MailSystem::new(clock, 1));
    mail.add_account(Account::new("desk@example.org").login("desk", "pw"))
        .unwrap();
    for text in ["one\r\n.dot\r\n", "two"] {
        let raw = format!("From: a@b.example\r\n\r\n{text}");
        mail.deliver(raw, &["desk@example.org"]);
    }
    Pop3Server::new(mail).unwrap()
}

/// Everything that the server says to these commands.
async fn dialogue(server: &Pop3Server, commands: &str) -> String {
    let mut stream = server.connect(false);
    stream.write_all(commands.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.unwrap();
    String::from_utf8(said).unwrap()
}

#[tokio::test]
async fn a_session_from_end_to_end() {
    let server = server();
    let commands = "USER desk\r\nPASS pw\r\nSTAT\r\nUIDL\r\nUIDL 1\r\nUIDL 3\r\nRETR 1\r\nTOP 2 0\r\nDELE 2\r\nLIST\r\nQUIT\r\n";
    let said = dialogue(&server, commands).await;
    assert!(said.contains("\r\none\r\n..dot\r\n.\r\n"), "{said}");
    assert!(said.contains("-ERR no such message"), "{said}");
    assert!(!said.contains("two"), "{said}");
    assert!(said.ends_with("+OK bye, 1 deleted\r\n"), "{said}");
    let said = dialogue(&server, "USER desk\r\nPASS pw\r\nSTAT\r\nQUIT\r\n").await;
    assert!(said.contains("+OK 1 "), "{said}");
}

#[tokio::test]
async fn one_session_at_a_time_and_deletions_need_an_end() {
    let server = server();
    let mut first = server.connect(false);
    first
        .write_all(b"USER desk\r\nPASS pw\r\nDELE 1\r\n")
        .await
        .unwrap();
    let mut said = [0; 4096];
    while server.sessions() == 0 {
        let _ = first.read(&mut said).await.unwrap();
    }
    let said = dialogue(&server, "USER desk\r\nPASS pw\r\nQUIT\r\n").await;
    assert!(said.contains("-ERR [IN-USE]"), "{said}");
    drop(first);
    server.offer(|offers| offers.lock = false);
    let said = dialogue(&server, "USER desk\r\nPASS pw\r\nSTAT\r\nQUIT\r\n").await;
    assert!(said.contains("+OK 2 "), "{said}");
}

#[tokio::test]
async fn faults_strike_when_and_where_they_are_told_to() {
    let server = server();
    server.arm(
        Pop3FaultRule::new(Pop3Fault::LoseAnswer)
            .on("noop")
            .times(1),
    );
    let commands = "USER desk\r\nPASS pw\r\nNOOP\r\nNOOP\r\nQUIT\r\n";
    let said = dialogue(&server, commands).await;
    assert!(said.ends_with("+OK 2 messages\r\n"), "{said}");
    let said = dialogue(&server, commands).await;
    assert!(said.ends_with("bye, 0 deleted\r\n"), "{said}");
    server.arm(Pop3FaultRule::new(Pop3Fault::Greets("220 SMTP".to_owned())));
    assert!(
        dialogue(&server, "QUIT\r\n")
            .await
            .starts_with("220 SMTP\r\n")
    );
}
