use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::model::{Account, MailSystem, ManualClock, WellKnown};

fn server() -> ImapServer {
    let clock = ManualClock::at("2026-11-22T10:00:00Z".parse().unwrap());
    let mail = Arc::new(MailSystem::new(clock, 1));
    mail.add_account(Account::new("desk@example.org").login("desk", "pw"))
        .unwrap();
    for text in ["one", "two"] {
        let raw = format!("From: a@b.example\r\nMessage-ID: <{text}@b>\r\n\r\n{text}");
        mail.deliver(raw, &["desk@example.org"]);
    }
    ImapServer::new(mail).unwrap()
}

/// Everything that the server says to these commands.
async fn dialogue(server: &ImapServer, commands: &str) -> String {
    let mut stream = server.connect(false);
    stream.write_all(commands.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.unwrap();
    String::from_utf8(said).unwrap()
}

#[tokio::test]
async fn a_session_from_end_to_end() {
    let server = server();
    let mail = server.mail();
    let account = mail.account("desk@example.org").unwrap();
    let inbox = mail.well_known(account, WellKnown::Inbox).unwrap();
    let uids: Vec<u32> = mail
        .items(inbox)
        .iter()
        .map(|item| uid(mail, item))
        .collect();
    let (first, second) = (uids[0], uids[1]);
    let commands = format!(
        "a LOGIN desk {{2}}\r\npw\r\nb EXAMINE inbox\r\nc UID FETCH {first} (UID FLAGS BODY.PEEK[]<0.5>)\r\nd UID STORE {first} +FLAGS (\\Deleted)\r\n\
         e SELECT INBOX\r\nf UID SEARCH HEADER Message-ID \"<TWO@b>\"\r\ng UID STORE {first} +FLAGS (\\Deleted)\r\nh UID EXPUNGE {second}\r\ni EXPUNGE\r\n\
         j UID MOVE {second} \"Sent Items\"\r\nk LOGOUT\r\n"
    );
    let said = dialogue(&server, &commands).await;
    assert!(said.contains("* 2 EXISTS"), "{said}");
    assert!(
        said.contains(&format!(
            "* 1 FETCH (UID {first} FLAGS () BODY[]<0> {{5}}\r\n"
        )),
        "{said}"
    );
    assert!(said.contains("d NO [READ-ONLY]"), "{said}");
    assert!(said.contains(&format!("* SEARCH {second}\r\n")), "{said}");
    assert!(
        said.contains("h OK done\r\n* 1 EXPUNGE\r\ni OK done"),
        "{said}"
    );
    assert!(said.contains("[COPYUID "), "{said}");
    assert_eq!(mail.items(inbox).len(), 0);
}

#[tokio::test]
async fn what_vanished_is_told() {
    let server = server();
    let mail = server.mail();
    let account = mail.account("desk@example.org").unwrap();
    let inbox = mail.well_known(account, WellKnown::Inbox).unwrap();
    let (before, item) = (mail.change_number(), mail.items(inbox).remove(0));
    let gone = uid(mail, &item);
    mail.delete_item(item.id, crate::model::Disposal::Hard)
        .unwrap();
    let validity = uid_validity(mail, inbox);
    let commands = format!(
        "a LOGIN desk pw\r\nb EXAMINE INBOX (QRESYNC ({validity} {before}))\r\nc ENABLE QRESYNC\r\nd EXAMINE INBOX (QRESYNC ({validity} {before}))\r\ne LOGOUT\r\n"
    );
    let said = dialogue(&server, &commands).await;
    assert!(said.contains("b BAD"), "{said}");
    let vanished = said
        .lines()
        .find_map(|line| line.strip_prefix("* VANISHED (EARLIER) "));
    let there: Vec<u32> = mail
        .items(inbox)
        .iter()
        .map(|item| uid(mail, item))
        .collect();
    let known = [vec![gone], there].concat();
    let told = vanished.and_then(|set| line::chosen(set, &known));
    assert_eq!(told, Some(vec![gone]), "{said}");
}

#[tokio::test]
async fn faults_strike_when_and_where_they_are_told_to() {
    let server = server();
    let fault = ImapFaultRule::new(ImapFault::LoseAnswer)
        .on("noop")
        .times(1);
    server.arm(fault);
    let commands = "a LOGIN desk pw\r\nb NOOP\r\nc NOOP\r\nd LOGOUT\r\n";
    let said = dialogue(&server, commands).await;
    assert!(said.ends_with("welcome\r\n"), "{said}");
    assert!(dialogue(&server, commands).await.ends_with("d OK done\r\n"));
    server.arm(ImapFaultRule::new(ImapFault::Greets("220 SMTP".to_owned())));
    assert!(
        dialogue(&server, "a LOGOUT\r\n")
            .await
            .starts_with("220 SMTP\r\n")
    );
}
