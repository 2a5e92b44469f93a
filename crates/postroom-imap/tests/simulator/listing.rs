//! What a poll costs, and what is told.

use postroom_provider::{ErrorKind, PageLimit};
use postroom_simulator::imap::{ImapFault, ImapOffers};

use crate::support::{World, inbox};

#[tokio::test(start_paused = true)]
async fn a_poll_with_nothing_new_lists_nothing() {
    for offers in [ImapOffers::default(), ImapOffers::plain_rev1()] {
        let world = World::new();
        world.server.offer(|has| *has = offers);
        world.deliver(50);
        let mailbox = world.open();
        let (ids, cursor) = mailbox.listed(None).await;
        assert_eq!(ids.len(), 50);
        mailbox.release().await;
        let (requests, listed) = (world.server.requests(), world.server.listed());
        let (there, gone, again) = mailbox.told(&cursor).await;
        assert_eq!((there.len(), gone.len()), (0, 0));
        assert_eq!(again, cursor, "nothing is to be written");
        assert_eq!(world.server.listed(), listed, "no message was listed");
        let asked = world.server.requests() - requests;
        // And the farewell of the session before.
        assert!(asked <= 4, "sign in, switch on, open: {asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn deletions_are_told_whatever_the_server_has() {
    for offers in [ImapOffers::default(), ImapOffers::plain_rev1()] {
        let world = World::new();
        world.server.offer(|has| *has = offers.clone());
        world.deliver(6);
        let mailbox = world.open();
        let (ids, cursor) = mailbox.listed(None).await;
        let items = world.stored();
        world.delete(&items[1]);
        world.delete(&items[5]);
        world.deliver(1);
        // One that came and went in between is nobody's business.
        world.deliver(1);
        world.delete(world.stored().last().unwrap());
        let listed = world.server.listed();
        let (there, gone, cursor) = mailbox.told(&cursor).await;
        assert_eq!(gone, [ids[1].clone(), ids[5].clone()]);
        assert_eq!(there, [world.id_of(world.stored().last().unwrap())]);
        if offers.qresync {
            let told = world.server.listed() - listed;
            assert!(told <= 2, "only what is new is listed: {told}");
        }
        let (there, gone, _) = mailbox.told(&cursor).await;
        assert_eq!((there.len(), gone.len()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn changes_of_flags_are_told_to_nobody_and_cost_little() {
    let world = World::new();
    world.deliver(5);
    let mailbox = world.open();
    let (_, cursor) = mailbox.listed(None).await;
    for item in world.stored() {
        world.server.mail().set_read(item.id, true).unwrap();
    }
    let listed = world.server.listed();
    let (there, gone, later) = mailbox.told(&cursor).await;
    assert_eq!((there.len(), gone.len()), (0, 0));
    assert_eq!(world.server.listed(), listed);
    // The server is not to tell of these flags again and again.
    assert_ne!(later, cursor);
}

#[tokio::test(start_paused = true)]
async fn mail_that_comes_between_pages_is_told() {
    let world = World::new();
    world.deliver(5);
    let mailbox = world.open();
    let first = mailbox.page(None, 2).await.unwrap();
    assert!(first.more);
    world.deliver(2);
    world.delete(&world.stored()[0]);
    // By another provider, which has only the cursor.
    let (ids, cursor) = {
        let other = world.open();
        let page = other.page(Some(&first.cursor), 100).await.unwrap();
        (page.changes.len(), page.cursor)
    };
    assert_eq!(ids, 1 + 5);
    let (there, gone, _) = mailbox.told(&cursor).await;
    assert_eq!((there.len(), gone.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_told_by_an_invalid_cursor_and_old_ids_name_nothing() {
    let world = World::new();
    world.deliver(3);
    let mailbox = world.open();
    let (ids, cursor) = mailbox.listed(None).await;
    let mail = world.server.mail();
    mail.invalidate_sync(world.stored()[0].folder).unwrap();
    mailbox.release().await;
    let error = mailbox.page(Some(&cursor), 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CursorInvalid);
    let fetched = mailbox.source().fetch(&mailbox.ctx, &inbox(), &ids).await;
    for outcome in fetched.unwrap() {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NotFound);
    }
    let (again, _) = mailbox.listed(None).await;
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|id| !ids.contains(id)));
}

#[tokio::test(start_paused = true)]
async fn uids_that_go_back_are_a_reset() {
    let world = World::new();
    world.deliver(3);
    let mailbox = world.open();
    let (_, cursor) = mailbox.listed(None).await;
    let text = cursor.as_str().replace("\"next\":", "\"next\":9");
    let later = postroom_provider::SyncCursor::new(text);
    let error = mailbox.page(Some(&later), 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CursorInvalid);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_read_in_between_is_passed_over() {
    let world = World::new();
    world.deliver(3);
    world.arm(ImapFault::Garbage);
    let mailbox = world.open();
    let (ids, _) = mailbox.listed(None).await;
    assert_eq!(mailbox.content(&ids).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn folders_have_their_roles_and_names() {
    use postroom_provider::WellKnownFolder::{DeletedItems, Drafts, Junk, SentItems};
    for special_use in [true, false] {
        let world = World::new();
        world.server.offer(|has| has.special_use = special_use);
        let mailbox = world.open();
        let source = mailbox.source();
        let made = source
            .ensure_folder(&mailbox.ctx, None, "Entw\u{fc}rfe & \u{53f0}")
            .await;
        let made = made.unwrap();
        assert_eq!(made.as_str(), "Entw&APw-rfe &- &U,A-");
        let folders = source.list_folders(&mailbox.ctx).await.unwrap();
        let made = folders.iter().find(|folder| folder.id == made).unwrap();
        assert_eq!(made.name, "Entw\u{fc}rfe & \u{53f0}");
        for (role, name) in [
            (SentItems, "Sent Items"),
            (Drafts, "Drafts"),
            (DeletedItems, "Deleted Items"),
            (Junk, "Junk Email"),
        ] {
            let found = source.find_folder(&mailbox.ctx, role).await.unwrap();
            assert_eq!(found.as_str(), name);
        }
        for bad in ["", " ", "a/b", "a\r\nb"] {
            let error = source
                .ensure_folder(&mailbox.ctx, None, bad)
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_is_none_is_not_found_whatever_its_name() {
    let world = World::new();
    let mailbox = world.open();
    for name in ["", "a\0b", "a\r\nb LOGOUT", "no such", "\u{e9}"] {
        let folder = postroom_provider::FolderId::new(name);
        let limit = PageLimit::new(5);
        let page = mailbox
            .source()
            .changes(&mailbox.ctx, &folder, None, limit)
            .await;
        assert_eq!(page.unwrap_err().kind(), ErrorKind::NotFound, "{name:?}");
    }
}
