//! Hearing of changes.

use std::time::Duration;

use postroom_provider::{ErrorKind, Result, SyncCursor};
use postroom_simulator::imap::{ImapFault, ImapFaultRule};

use crate::support::{Mailbox, World, inbox};

async fn wait(mailbox: &Mailbox, since: Option<&SyncCursor>) -> Result<()> {
    let watcher = mailbox.provider.watcher().unwrap();
    watcher.wait(&mailbox.ctx, &inbox(), since).await
}

/// Waits, and does something once the server has heard that somebody waits.
async fn wait_while(
    world: &World,
    mailbox: &Mailbox,
    since: Option<&SyncCursor>,
    act: impl FnOnce(),
) -> Result<()> {
    let before = world.server.idling();
    let acting = async {
        while world.server.idling() == before {
            tokio::task::yield_now().await;
        }
        act();
    };
    let (heard, ()) = tokio::join!(wait(mailbox, since), acting);
    heard
}

#[tokio::test]
async fn what_comes_and_what_goes_is_heard() {
    let world = World::new();
    world.deliver(2);
    let mailbox = world.open();
    let (_, cursor) = mailbox.listed(None).await;
    assert!(mailbox.provider.capabilities().watch);
    let comes = || world.deliver(1);
    wait_while(&world, &mailbox, Some(&cursor), comes)
        .await
        .unwrap();
    let (there, _, cursor) = mailbox.told(&cursor).await;
    assert_eq!(there.len(), 1);
    let goes = || world.delete(&world.stored()[0]);
    wait_while(&world, &mailbox, Some(&cursor), goes)
        .await
        .unwrap();
    let (_, gone, _) = mailbox.told(&cursor).await;
    assert_eq!(gone.len(), 1);
    // Without a cursor, whatever comes next.
    let comes = || world.deliver(1);
    wait_while(&world, &mailbox, None, comes).await.unwrap();
    mailbox.provider.watcher().unwrap().rest(&mailbox.ctx).await;
}

#[tokio::test(start_paused = true)]
async fn what_came_before_is_not_waited_for() {
    let world = World::new();
    world.deliver(2);
    let mailbox = world.open();
    let (_, cursor) = mailbox.listed(None).await;
    world.deliver(1);
    wait(&mailbox, Some(&cursor)).await.unwrap();
    let mail = world.server.mail();
    mail.invalidate_sync(world.stored()[0].folder).unwrap();
    let error = wait(&mailbox, Some(&cursor)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CursorInvalid);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_server_is_waited_for_until_the_deadline() {
    let world = World::new();
    let mut mailbox = world.open();
    mailbox.listed(None).await;
    let idling = world.server.idling();
    mailbox.ctx.clock = std::sync::Arc::new(Paused(tokio::time::Instant::now()));
    mailbox.ctx = mailbox.ctx.within(Duration::from_secs(3600));
    let error = wait(&mailbox, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    // The profile gives up on silence after half a minute; each time the server is asked anew.
    let asked = world.server.idling() - idling;
    assert!((100..=121).contains(&asked), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn servers_that_cannot_or_do_not() {
    let world = World::new();
    world.server.offer(|has| has.idle = false);
    let mailbox = world.open();
    assert_eq!(
        wait(&mailbox, None).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert!(!mailbox.provider.capabilities().watch);
    for (fault, kind) in [
        (ImapFault::CloseBefore, ErrorKind::Unavailable),
        (ImapFault::Bye("enough".to_owned()), ErrorKind::Unavailable),
        (
            ImapFault::Refuse("[LIMIT] no".to_owned()),
            ErrorKind::RateLimited,
        ),
    ] {
        let world = World::new();
        world.server.arm(ImapFaultRule::new(fault).on("IDLE"));
        let error = wait(&world.open(), None).await.unwrap_err();
        assert_eq!(error.kind(), kind);
    }
}

/// The clock of tokio, which stands still while tests run and jumps while they wait.
#[derive(Debug)]
struct Paused(tokio::time::Instant);

#[async_trait::async_trait]
impl postroom_provider::Clock for Paused {
    fn now(&self) -> postroom_core::Timestamp {
        postroom_core::Timestamp::from_seconds(1_795_000_000).plus(self.0.elapsed())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
