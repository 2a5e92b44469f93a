use std::sync::Arc;

use super::*;
use crate::model::{Account, MailSystem, ManualClock, WellKnown};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn server() -> SmtpServer {
    let clock = ManualClock::at("2026-11-22T10:00:00Z".parse().unwrap());
    let mail = Arc::new(MailSystem::new(clock, 1));
    let desk = Account::new("desk@example.org").login("desk", "pw");
    mail.add_account(desk).unwrap();
    SmtpServer::new(mail).unwrap()
}

/// Everything that is answered to a dialogue in one go.
async fn says(server: &SmtpServer, dialogue: &str) -> String {
    let mut io = server.connect(false);
    io.write_all(dialogue.as_bytes()).await.unwrap();
    let mut heard = String::new();
    io.read_to_string(&mut heard).await.unwrap();
    heard
}

const MESSAGE: &str = "MAIL FROM:<a@b.example>\r\nRCPT TO:<desk@example.org>\r\nDATA\r\nFrom: a@b.example\r\n\r\n..hi\r\n.\r\nQUIT\r\n";

#[tokio::test]
async fn what_is_handed_over_arrives() {
    let server = server();
    let refused = says(&server, MESSAGE).await;
    assert!(refused.contains("530 5.7.0"), "{refused}");
    server.offer(|offers| offers.open = true);
    let heard = says(&server, &format!("EHLO x\r\n{MESSAGE}")).await;
    assert!(
        heard.contains("250-PIPELINING") && heard.contains("250-STARTTLS"),
        "{heard}"
    );
    assert!(!heard.contains("AUTH"), "not in clear: {heard}");
    assert!(heard.contains("250 2.0.0 taken\r\n221"), "{heard}");
    let mail = server.mail();
    let desk = mail.account("desk@example.org").unwrap();
    let inbox = mail.well_known(desk, WellKnown::Inbox).unwrap();
    assert!(mail.items(inbox)[0].content().ends_with(b"\r\n\r\n.hi\r\n"));
    assert_eq!(server.received()[0].recipients, ["desk@example.org"]);
}

#[tokio::test]
async fn faults_strike_where_they_are_meant_to() {
    let server = server();
    server.offer(|offers| offers.open = true);
    server.arm(
        SmtpFaultRule::new(SmtpFault::LoseAnswer)
            .on("CONTENT")
            .times(1),
    );
    let heard = says(&server, MESSAGE).await;
    assert!(heard.ends_with("354 go on\r\n"), "{heard}");
    assert_eq!(server.messages(), 1, "it was taken all the same");
    server.arm(
        SmtpFaultRule::new(SmtpFault::CloseBefore)
            .on("CONTENT")
            .times(1),
    );
    says(&server, MESSAGE).await;
    assert_eq!(server.messages(), 1, "and this one was not");
    let refusal =
        SmtpFault::RefuseRecipient("desk@example.org".to_owned(), "450 4.2.0 later".to_owned());
    server.arm(SmtpFaultRule::new(refusal));
    let heard = says(&server, "MAIL FROM:<a@b.example>\r\nRCPT TO:<x@y.example>\r\nRCPT TO:<Desk@example.org>\r\nQUIT\r\n").await;
    assert!(heard.contains("250 2.1.5 ok\r\n450 4.2.0 later"), "{heard}");
}
