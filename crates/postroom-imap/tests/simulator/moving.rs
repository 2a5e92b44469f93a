//! Moving and deleting: these messages and no other ones.

use postroom_provider::{DeleteMode, ErrorKind, FolderId};
use postroom_simulator::imap::ImapOffers;
use postroom_simulator::model::WellKnown;

use crate::support::{World, inbox};

#[tokio::test(start_paused = true)]
async fn what_others_marked_as_deleted_is_left_alone() {
    let poor = ImapOffers::plain_rev1();
    let mut copies = ImapOffers::default();
    copies.moves = false;
    for (offers, can) in [(ImapOffers::default(), true), (copies, true), (poor, false)] {
        let world = World::new();
        world.server.offer(|has| *has = offers);
        world.deliver(4);
        let items = world.stored();
        let ids: Vec<_> = items.iter().map(|item| world.id_of(item)).collect();
        world.server.mark_deleted(items[3].id);
        let mailbox = world.open();
        let (source, ctx) = (mailbox.source(), &mailbox.ctx);
        let deleted = source
            .delete(ctx, &inbox(), &ids[..1], DeleteMode::Permanently)
            .await
            .unwrap();
        assert_eq!(deleted[0].is_ok(), can);
        let sent = FolderId::new("Sent Items");
        let moved = source.move_to(ctx, &inbox(), &ids[1..2], &sent).await;
        assert_eq!(moved.is_ok(), can);
        if !can {
            let error = moved.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert!(error.to_string().contains("other messages"), "{error}");
        }
        let left = world.stored().len();
        assert_eq!(left, if can { 2 } else { 4 });
        assert_eq!(
            world.stored_in(WellKnown::SentItems).len(),
            usize::from(can)
        );
        assert!(world.stored().iter().any(|item| item.id == items[3].id));
    }
}

#[tokio::test(start_paused = true)]
async fn without_uidplus_messages_are_deleted_where_nobody_else_deletes() {
    let world = World::new();
    world.server.offer(|has| *has = ImapOffers::plain_rev1());
    world.deliver(3);
    let ids: Vec<_> = world
        .stored()
        .iter()
        .map(|item| world.id_of(item))
        .collect();
    let mailbox = world.open();
    let (source, ctx) = (mailbox.source(), &mailbox.ctx);
    for mode in [DeleteMode::Permanently, DeleteMode::ToDeletedItems] {
        let deleted = source.delete(ctx, &inbox(), &ids[..2], mode).await.unwrap();
        assert!(deleted.iter().all(Result::is_ok));
    }
    assert_eq!(world.stored().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_missing_moves_nothing() {
    let world = World::new();
    world.deliver(1);
    let ids = [world.id_of(&world.stored()[0])];
    let mailbox = world.open();
    let (source, ctx) = (mailbox.source(), &mailbox.ctx);
    let target = FolderId::new("nowhere");
    let error = source
        .move_to(ctx, &inbox(), &ids, &target)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(world.stored().len(), 1);
}
