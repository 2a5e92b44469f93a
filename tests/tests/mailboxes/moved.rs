//! A mailbox that is moved from one protocol to another: nothing twice, nothing lost, nothing sent.

use std::net::SocketAddr;
use std::sync::Arc;

use postroom::core::profile::ProfileKind;
use postroom_simulator::exchange::{Exchange, ListenOptions};
use postroom_simulator::imap::ImapServer;
use postroom_simulator::model::Account;
use postroom_simulator::pop3::Pop3Server;

use crate::office::Office;

const DESK: &str = "desk@here.example";
const PASSWORD: &str = "open sesame";
const SERVICE: &str = "service@here.example";

fn message(number: usize) -> String {
    // Every fifth has no Message-ID: it is known by what it says.
    let id = if number % 5 == 4 {
        String::new()
    } else {
        format!("Message-ID: <m{number}@far.example>\r\n")
    };
    format!(
        "From: Customer <c{number}@far.example>\r\nTo: <{DESK}>\r\nSubject: Order {number}\r\n{id}Date: Sun, 22 Nov 2026 10:00:{:02} +0000\r\n\r\nThis is message {number}.\r\n",
        number % 60
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_goes_from_pop3_to_imap_and_to_ews_without_a_second_record() {
    let exchange = Exchange::builder()
        .account(Account::new(DESK).login(DESK, PASSWORD))
        .account(
            Account::new(SERVICE)
                .login(SERVICE, PASSWORD)
                .impersonates_everybody(),
        )
        .build()
        .unwrap();
    let mail = exchange.mail();
    let pop3 = Pop3Server::new(Arc::clone(mail)).unwrap();
    let imap = ImapServer::new(Arc::clone(mail)).unwrap();
    let pop3 = pop3.listen(ListenOptions::http()).await.unwrap();
    let imap = imap.listen(ListenOptions::http()).await.unwrap();
    let ews = exchange.listen(ListenOptions::http()).await.unwrap();
    let at = |scheme: &str, address: SocketAddr| format!("{scheme}://{address}");
    let office = Office::new(DESK).await;
    let (mut sent, mut wanted) = (0, 0);
    for (kind, location, user) in [
        (ProfileKind::Pop3Smtp, at("pop3", pop3.address()), DESK),
        (ProfileKind::ImapSmtp, at("imap", imap.address()), DESK),
        (ProfileKind::ExchangeServer, ews.url(), SERVICE),
        (ProfileKind::ImapSmtp, at("imap", imap.address()), DESK),
    ] {
        // Some come while the mailbox is read by nobody.
        for _ in 0..20 {
            assert_eq!(mail.deliver(message(sent), &[DESK]).len(), 1);
            sent += 1;
        }
        let change = |profile: &mut postroom::core::ServerProfile| {
            profile.name = format!("{location} {sent}");
            profile.incoming.location = Some(location.clone());
            profile.incoming.ssl = profile.kind.is_exchange();
            profile.danger_allow_plain_http = true;
        };
        office.read_by(kind.clone(), change, (user, PASSWORD)).await;
        office.settle().await;
        wanted += 20;
        let emails = office.emails().await;
        let mut subjects: Vec<_> = emails
            .iter()
            .map(|email| email.headers.subject.clone())
            .collect();
        subjects.sort();
        subjects.dedup();
        assert_eq!(emails.len(), wanted, "records, read by {kind:?}");
        assert_eq!(subjects.len(), wanted, "different ones, read by {kind:?}");
    }
    assert!(mail.outside().is_empty(), "nothing was sent");
}
