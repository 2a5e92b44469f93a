//! Deleting, which the end of a session makes so.

use postroom_provider::DeleteMode;
use postroom_simulator::pop3::{Pop3Fault, Pop3FaultRule};

use crate::support::{World, inbox};

#[tokio::test(start_paused = true)]
async fn what_is_deleted_is_gone_when_the_call_returns() {
    let world = World::new();
    world.deliver(5);
    let mailbox = world.open();
    let (ids, cursor) = mailbox.listed(None).await;
    let twice = [ids[0].clone(), ids[3].clone(), ids[0].clone()];
    let mode = DeleteMode::ToDeletedItems;
    let source = mailbox.source();
    let deleted = source
        .delete(&mailbox.ctx, &inbox(), &twice, mode)
        .await
        .unwrap();
    assert!(deleted.iter().all(Result::is_ok) && deleted.len() == 3);
    assert_eq!(world.stored(), 3);
    // Nothing new: what is left was told.
    assert_eq!(mailbox.listed(Some(cursor)).await.0, []);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_before_the_end_deletes_nothing() {
    let world = World::new();
    world.deliver(3);
    let mailbox = world.open();
    let (ids, _) = mailbox.listed(None).await;
    let before_the_end = Pop3FaultRule::new(Pop3Fault::CloseBefore)
        .on("QUIT")
        .times(1);
    world.server.arm(before_the_end);
    let mode = DeleteMode::Permanently;
    let source = mailbox.source();
    let error = source
        .delete(&mailbox.ctx, &inbox(), &ids, mode)
        .await
        .unwrap_err();
    assert_eq!(error.code().as_str(), "connection-lost");
    assert_eq!(world.stored(), 3);
    // With the last answer lost it is done, and doing it again is fine.
    world.server.arm(
        Pop3FaultRule::new(Pop3Fault::LoseAnswer)
            .on("QUIT")
            .times(1),
    );
    source
        .delete(&mailbox.ctx, &inbox(), &ids, mode)
        .await
        .unwrap_err();
    assert_eq!(world.stored(), 0);
    let again = source
        .delete(&mailbox.ctx, &inbox(), &ids, mode)
        .await
        .unwrap();
    assert!(again.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_refused_deletion_is_one_messages_trouble() {
    let world = World::new();
    world.deliver(3);
    let mailbox = world.open();
    let (ids, _) = mailbox.listed(None).await;
    let refuse = Pop3Fault::Refuse("this one stays".to_owned());
    world
        .server
        .arm(Pop3FaultRule::new(refuse).on("DELE").times(1));
    let source = mailbox.source();
    let (folder, mode) = (inbox(), DeleteMode::Permanently);
    let deleted = source.delete(&mailbox.ctx, &folder, &ids, mode).await;
    let deleted = deleted.unwrap();
    let error = deleted[0].as_ref().unwrap_err();
    assert_eq!(error.kind(), postroom_provider::ErrorKind::PermissionDenied);
    assert!(deleted[1].is_ok() && deleted[2].is_ok());
    assert_eq!(world.stored(), 1);
}
