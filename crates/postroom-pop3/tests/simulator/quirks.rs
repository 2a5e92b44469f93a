//! Odd servers.

use std::collections::BTreeSet;

use postroom_simulator::pop3::Pop3Fault;

use crate::support::World;

#[tokio::test(start_paused = true)]
async fn without_uidl_messages_are_known_by_their_headers() {
    let world = World::new();
    world.server.offer(|offers| offers.uidl = false);
    world.deliver(5);
    // Two that nothing tells apart.
    let same = "From: a@b.example\r\nSubject: same\r\n\r\nsame\r\n";
    world.deliver_raw(same);
    world.deliver_raw(same);
    let mailbox = world.open();
    let (ids, cursor) = mailbox.listed(None).await;
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 7);
    assert!(ids.iter().all(|id| id.as_str().starts_with("c:")));
    let again = world.open();
    mailbox.release().await;
    assert_eq!(again.listed(Some(cursor.clone())).await.0, []);
    world.deliver_raw("From: new@b.example\r\nMessage-ID: <new@b>\r\n\r\nnew\r\n");
    let (new, _) = again.listed(Some(cursor)).await;
    assert_eq!(again.message_ids(&new).await, ["new@b"]);
    assert_eq!(
        again.message_ids(&ids[..2]).await,
        ["m0@b.example", "m1@b.example"]
    );
}

#[tokio::test(start_paused = true)]
async fn messages_that_share_a_uidl_are_told_apart() {
    let world = World::new();
    world.arm(Pop3Fault::SameUidl);
    world.deliver(4);
    let mailbox = world.open();
    let (ids, _) = mailbox.listed(None).await;
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 4);
    let message_ids = mailbox.message_ids(&ids).await;
    assert_eq!(message_ids.iter().collect::<BTreeSet<_>>().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_names_all_messages_anew_is_found_out() {
    let world = World::new();
    world.deliver(5);
    let mailbox = world.open();
    let (ids, cursor) = mailbox.listed(None).await;
    let mail = world.server.mail();
    let inbox = mail.well_known(world.account, postroom_simulator::model::WellKnown::Inbox);
    mail.invalidate_sync(inbox.unwrap()).unwrap();
    let error = mailbox.page(Some(&cursor), 10).await.unwrap_err();
    assert_eq!(error.kind(), postroom_provider::ErrorKind::CursorInvalid);
    let (anew, _) = mailbox.listed(None).await;
    assert_eq!(anew.len(), 5);
    assert!(anew.iter().all(|id| !ids.contains(id)));
}

#[tokio::test(start_paused = true)]
async fn bytes_come_as_they_were_whatever_the_server_offers() {
    let bodies = [
        "plain\r\n",
        ".dot\r\n..dots\r\n.\r\n...\r\n",
        "bare\n.\nlf\n.\r\nand more\r\n",
        "nul \0 and \u{1} and caf\u{e9}\r\n",
        "\r\n\r\n.\r\n",
        "no line end",
        "",
    ];
    for (pipelining, top, capa) in [
        (true, true, true),
        (false, true, true),
        (true, false, true),
        (false, false, false),
    ] {
        let world = World::new();
        world.server.offer(|offers| {
            (offers.pipelining, offers.top, offers.capa) = (pipelining, top, capa);
        });
        for body in bodies {
            world.deliver_raw(&format!(
                "From: a@b.example\r\nMessage-ID: <x@b>\r\n\r\n{body}"
            ));
        }
        let mailbox = world.open();
        let (ids, _) = mailbox.listed(None).await;
        assert!(mailbox.message_ids(&ids).await.iter().all(|id| id == "x@b"));
        for (content, body) in mailbox.content(&ids).await.iter().zip(bodies) {
            let content = String::from_utf8_lossy(content);
            let (_, came) = content.split_once("\r\n\r\n").unwrap();
            assert_eq!(came.trim_end_matches("\r\n"), body.trim_end_matches("\r\n"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bare_line_ends_and_single_dots() {
    for fault in [Pop3Fault::BareLf, Pop3Fault::NotStuffed] {
        let world = World::new();
        world.arm(fault.clone());
        world.deliver_raw("From: a@b.example\r\n\r\none\r\n.two\r\nthree\r\n");
        world.deliver(2);
        let mailbox = world.open();
        let (ids, _) = mailbox.listed(None).await;
        let content = mailbox.content(&ids).await;
        let text = String::from_utf8_lossy(&content[0]).replace("\r\n", "\n");
        assert!(text.ends_with("one\n.two\nthree\n"), "{fault:?}: {text:?}");
        assert_eq!(content.len(), 3);
    }
}
