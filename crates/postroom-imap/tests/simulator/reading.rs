//! Reading: in parts, in bounds, and one bad message costs only itself.

use postroom_provider::{ErrorKind, Spool};
use postroom_simulator::imap::{ImapFault, ImapFaultRule, ImapOffers};

use crate::support::{World, inbox};

fn large(bytes: usize) -> String {
    let line = "0123456789".repeat(7);
    let mut text = String::from("From: a@b.example\r\nMessage-ID: <large@b>\r\n\r\n");
    while text.len() < bytes {
        text.push_str(&line);
        text.push_str("\r\n");
    }
    text.truncate(bytes);
    text
}

#[tokio::test(start_paused = true)]
async fn large_messages_come_in_parts_and_stay_out_of_memory() {
    const PART: usize = 1024 * 1024;
    for partial in [true, false] {
        for bytes in [PART - 1, PART, PART + 1, 5 * PART, 9 * PART + 17] {
            let world = World::new();
            world.server.offer(|has| has.partial = partial);
            world.deliver(1);
            let raw = large(bytes);
            world.deliver_raw(&raw);
            let stored = world
                .stored()
                .iter()
                .map(|item| item.content().to_vec())
                .collect::<Vec<_>>();
            let mut mailbox = world.open();
            let folder = tempfile::tempdir().unwrap();
            mailbox.ctx.spool = Spool::in_folder(folder.path()).unwrap();
            let (ids, _) = mailbox.listed(None).await;
            let fetched = mailbox
                .source()
                .fetch(&mailbox.ctx, &inbox(), &ids)
                .await
                .unwrap();
            assert!(mailbox.ctx.spool.bytes_in_memory() < 300_000);
            assert!(fetched.iter().all(Result::is_ok));
            assert_eq!(mailbox.content(&ids).await, stored, "{bytes} {partial}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_costs_only_itself() {
    use ErrorKind::{Corrupt, NotFound, Protocol};
    type Make = fn(postroom_simulator::model::ItemId) -> ImapFault;
    let cases: [(Make, ErrorKind); 4] = [
        (ImapFault::Damaged, Corrupt),
        (ImapFault::Empty, Corrupt),
        (ImapFault::ExpungedWhileFetching, NotFound),
        (ImapFault::HugeLiteral, Protocol),
    ];
    for offers in [ImapOffers::default(), ImapOffers::plain_rev1()] {
        for (fault, kind) in cases {
            let world = World::new();
            world.server.offer(|has| *has = offers.clone());
            world.deliver(5);
            let mailbox = world.open();
            let (ids, _) = mailbox.listed(None).await;
            world.arm(fault(world.stored()[2].id));
            let kinds = |errors: Vec<Option<ErrorKind>>| {
                assert_eq!(errors, [None, None, Some(kind), None, None]);
            };
            let headers = mailbox.source().headers(&mailbox.ctx, &inbox(), &ids).await;
            let headers = headers.unwrap();
            kinds(
                headers
                    .iter()
                    .map(|o| o.as_ref().err().map(|e| e.kind()))
                    .collect(),
            );
            let fetched = mailbox.source().fetch(&mailbox.ctx, &inbox(), &ids).await;
            let fetched = fetched.unwrap();
            kinds(
                fetched
                    .iter()
                    .map(|o| o.as_ref().err().map(|e| e.kind()))
                    .collect(),
            );
            let error = fetched[2].as_ref().unwrap_err();
            assert_eq!(error.scope(), postroom_core::Scope::Item);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lies_about_every_message_costs_the_call() {
    let world = World::new();
    world.deliver(6);
    let mailbox = world.open();
    let (ids, _) = mailbox.listed(None).await;
    for item in world.stored() {
        world.arm(ImapFault::HugeLiteral(item.id));
    }
    let error = mailbox.source().fetch(&mailbox.ctx, &inbox(), &ids).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Protocol);
}

#[tokio::test(start_paused = true)]
async fn sizes_are_hints_and_nothing_more() {
    let world = World::new();
    world.deliver(3);
    world.arm(ImapFault::WrongSizes);
    let mailbox = world.open();
    let (ids, _) = mailbox.listed(None).await;
    assert_eq!(mailbox.content(&ids).await.len(), 3);
    assert!(mailbox.ctx.spool.bytes_in_memory() < 10_000);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_within_a_message_gives_no_half_of_it() {
    let world = World::new();
    world.deliver(3);
    let mailbox = world.open();
    let (ids, _) = mailbox.listed(None).await;
    let cut = ImapFaultRule::new(ImapFault::Cut).on("UID FETCH").times(1);
    world.server.arm(cut);
    let error = mailbox.source().fetch(&mailbox.ctx, &inbox(), &ids).await;
    assert_eq!(error.unwrap_err().code().as_str(), "connection-lost");
    assert_eq!(mailbox.content(&ids).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn mail_that_another_session_has_seen_is_found() {
    let world = World::new();
    world.deliver(1);
    let mailbox = world.open();
    mailbox.listed(None).await;
    world.deliver(1);
    let ids: Vec<_> = world
        .stored()
        .iter()
        .map(|item| world.id_of(item))
        .collect();
    assert_eq!(mailbox.content(&ids).await.len(), 2);
    // And one that is asked for twice comes twice.
    let twice = [ids[1].clone(), ids[1].clone()];
    assert_eq!(mailbox.content(&twice).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_marked_as_read() {
    let world = World::new();
    world.deliver(3);
    let mailbox = world.open();
    let (ids, _) = mailbox.listed(None).await;
    mailbox.message_ids(&ids).await;
    mailbox.content(&ids).await;
    assert!(world.stored().iter().all(|item| !item.read));
}
