//! Mail that is trouble: very large, hardly mail at all, or gone before it could be fetched. The rest
//! of the mailbox does not wait for it, and each message is accounted for.

use std::collections::BTreeMap;

use postroom_simulator::exchange::{Fault, FaultRule};

use crate::support::Office;

const ADA: &str = "ada@example.org";

#[tokio::test]
async fn every_message_is_accounted_for() {
    let office = Office::open().await;
    for arguments in [
        &["user", "create", "Ada", ADA][..],
        &["mailbox", "edit", ADA, "--filter", "all"],
        &["approve", ADA],
        &["test", ADA],
        // The test message is not what this is about.
        &["sync"],
    ] {
        office.run(arguments).await.ok();
    }
    let deliver = |text: Vec<u8>| office.exchange.mail().deliver(text, &[ADA]);

    let mut large = b"From: a@far.example\r\nSubject: Large\r\nMessage-ID: <large@far.example>\r\n\
        Content-Type: application/octet-stream; name=film.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        .to_vec();
    while large.len() < 50_000_000 {
        large.extend_from_slice(&[b'A'; 76]);
        large.extend_from_slice(b"\r\n");
    }
    let size = large.len();
    deliver(large);
    deliver(b"\x00\xff\xfe not a header in sight \r\n\x01\x02".to_vec());
    deliver(
        b"Subject: =?utf-8?B?broken\r\nContent-Type: multipart/mixed; boundary=\r\n\r\n--\r\n"
            .to_vec(),
    );
    deliver(b"From: b@far.example\r\nSubject: Ordinary\r\nMessage-ID: <ordinary@far.example>\r\n\r\nHi.\r\n".to_vec());
    // Listed, and no longer there when it is to be read.
    office.exchange.faults().add(
        FaultRule::new(Fault::PhantomItem)
            .operation("SyncFolderItems")
            .times(1),
    );

    office.run(&["sync"]).await.ok();
    let listed = office
        .run(&["email", "list", "--mailbox", ADA, "--output", "json"])
        .await
        .ok()
        .json();
    let mut states: BTreeMap<String, u32> = BTreeMap::new();
    for message in listed["emails"].as_array().unwrap() {
        let state = message["state"].as_str().unwrap();
        *states.entry(state.to_owned()).or_default() += 1;
    }
    let expected = [("delivered", 4), ("filtered", 1), ("gone", 1)];
    let expected = expected
        .map(|(state, count)| (state.to_owned(), count))
        .into();
    assert_eq!(states, expected, "{}", listed);

    // The large one is kept whole.
    let emails = listed["emails"].as_array().unwrap();
    let large = emails.iter().find(|email| email["subject"] == "Large");
    let record = large.unwrap()["state_detail"]["record"].as_str().unwrap();
    let raw = office.run(&["email", "raw", record]).await.ok();
    assert!(raw.out.len() >= size, "{} of {size} bytes", raw.out.len());
}
