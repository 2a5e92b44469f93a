//! The connection limit of a profile, against a server that enforces it.

use std::time::Duration;

use postroom_simulator::exchange::Exchange;
use postroom_simulator::model::Account;

use crate::support::{Office, PASSWORD, SERVICE};

const ADA: &str = "ada@example.org";

#[tokio::test]
async fn one_connection_is_one_request_at_a_time() {
    let exchange = Exchange::builder()
        .account(
            Account::new(SERVICE)
                .login(SERVICE, PASSWORD)
                .impersonates_everybody()
                .without_mailbox(),
        )
        .account(Account::new(ADA).login("ada", PASSWORD))
        // One more at a time, and the server says that it is busy.
        .concurrency_max(1)
        .latency(Duration::from_millis(5))
        .build()
        .unwrap();
    let office = Office::at(exchange).await;
    let url = office.listening.url();
    let more = ["--ca", "ca.pem", "--default", "--connections", "1"];
    office
        .profile("Office", &url, SERVICE, "password", &more)
        .await
        .ok();
    for arguments in [
        &["user", "create", "Ada", ADA][..],
        &["mailbox", "edit", ADA, "--filter", "all"],
        &["approve", ADA],
        &["test", ADA],
    ] {
        office.run(arguments).await.ok();
    }
    for number in 0..1200 {
        let text = format!(
            "From: a@far.example\r\nTo: {ADA}\r\nSubject: {number}\r\nMessage-ID: <{number}@far.example>\r\n\r\nHi.\r\n"
        );
        office.exchange.mail().deliver(text.into_bytes(), &[ADA]);
    }
    office.run(&["sync", ADA]).await.ok();
    let counts = office
        .run(&["status", "--output", "json"])
        .await
        .ok()
        .json();
    assert_eq!(counts["status"]["incoming"]["delivered"], 1200, "{counts}");
    let alerts = office
        .run(&["alert", "list", "--output", "json"])
        .await
        .ok();
    assert!(!alerts.out.contains("server-busy"), "{}", alerts.out);
}
