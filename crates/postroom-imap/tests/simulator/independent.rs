//! What another client sees of the simulated server: a server that only its own adapter understands would
//! prove nothing.

use std::collections::BTreeMap;

use async_imap::Client;
use futures_util::TryStreamExt as _;
use postroom_simulator::model::WellKnown;

use crate::support::{ADDRESS, PASSWORD, World};

#[tokio::test]
async fn another_client_reads_moves_and_files_on_the_simulated_server() {
    let world = World::new();
    world.deliver(3);
    let mut client = Client::new(world.server.connect(false));
    let greeting = client.read_response().await.unwrap();
    assert!(greeting.is_some());
    let login = client.login(ADDRESS, PASSWORD).await;
    let mut session = login.map_err(|(error, _)| error).unwrap();

    let inbox = session.select("INBOX").await.unwrap();
    assert_eq!(inbox.exists, 3);
    let fetched = session
        .uid_fetch("1:*", "(UID RFC822.SIZE BODY.PEEK[])")
        .await
        .unwrap();
    let fetched: Vec<_> = fetched.try_collect().await.unwrap();
    let seen: BTreeMap<_, _> = fetched
        .iter()
        .map(|one| (one.uid.unwrap(), one.body().unwrap().to_vec()))
        .collect();
    let stored = world.stored();
    assert_eq!(seen.len(), stored.len());
    for (item, (uid, body)) in stored.iter().zip(&seen) {
        assert_eq!(
            world.id_of(item).as_str(),
            format!("{}.{uid}", inbox.uid_validity.unwrap())
        );
        let text = String::from_utf8_lossy(body);
        assert!(text.contains("Message-ID: <m"), "{text}");
    }

    let found = session
        .uid_search("HEADER Message-ID \"m1@b.example\"")
        .await
        .unwrap();
    let [one] = found.into_iter().collect::<Vec<_>>()[..] else {
        panic!("one message has that identifier");
    };
    session.uid_mv(one.to_string(), "Junk Email").await.unwrap();
    assert_eq!(world.stored().len(), 2);
    assert_eq!(world.stored_in(WellKnown::JunkEmail).len(), 1);

    let copy = "Message-ID: <copy@example.org>\r\nSubject: filed\r\n\r\nbody\r\n";
    session
        .append("Sent Items", Some("(\\Seen)"), None, copy)
        .await
        .unwrap();
    assert_eq!(world.stored_in(WellKnown::SentItems).len(), 1);
    session.logout().await.unwrap();
}
