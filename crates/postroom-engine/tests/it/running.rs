//! The engine as it runs by itself, in the background of one thread.

use std::time::Duration;

use postroom_engine::ErrorKind;
use postroom_simulator::memory::{FaultEffect, MemoryFault};

use crate::world::{DESK, World};

/// Lets the engine work until `done`, or gives up.
async fn until(world: &World, mut done: impl AsyncFnMut(&World) -> bool) -> bool {
    for _ in 0..2000 {
        if done(world).await {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

#[tokio::test]
async fn picks_up_work_by_itself_and_stops_cleanly() {
    let world = World::ready().await;
    let running = world.engine.start();
    world.mail_from_jo(&[DESK], "a@x", "By itself", "");
    let record = world.ada_writes("Offer").await;
    let ids = [world.desk_mailbox];
    running
        .admin()
        .sync_now(&world.operator, &ids)
        .await
        .remove(0)
        .1
        .unwrap();
    let done = until(&world, async |world| {
        world.emails().await.len() == 2 && world.seen_outside("Offer") == 1
    });
    assert!(done.await, "{:?}", world.states().await);
    assert!(world.crm().email(record).await.unwrap().is_some());
    let second = world.engine.step().await;
    assert_eq!(
        second.unwrap_err().kind(),
        ErrorKind::Locked,
        "one engine for one store"
    );
    running.stop().await.unwrap();
    world.step().await;
    // Every lease was given back: everything is due again at its time.
    world.pass(Duration::from_secs(3600)).await;
    let now = postroom_provider::Clock::now(&*world.clock);
    let due = world.store().due(now, 10).await.unwrap();
    assert!(due.is_empty(), "{due:?}");
}

#[tokio::test]
async fn a_change_made_elsewhere_is_picked_up() {
    let world = World::bare().await;
    let running = world.engine.start();
    // Another handle, as the command line has one.
    let admin = running.admin().clone();
    let ids = [world.desk_mailbox];
    admin
        .approve(&world.operator, &ids)
        .await
        .remove(0)
        .1
        .unwrap();
    let kind = postroom_core::job::JobKind::TestAndEnable;
    let job = admin
        .test_mailbox(&world.operator, ids[0], kind)
        .await
        .unwrap();
    let done = until(&world, async |world| {
        let job = world.store().job(job.id).await.unwrap().unwrap();
        job.state == postroom_core::job::JobState::Done
    });
    assert!(done.await);
    assert!(world.mailbox(world.desk_mailbox).await.incoming.enabled);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_stop_the_feed() {
    let world = World::ready().await;
    let running = world.engine.start();
    let settled = until(&world, async |world| world.server.requests() > 0);
    assert!(settled.await);
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    world.clock.set_back(Duration::from_secs(24 * 3600));
    world.ada_writes("Offer").await;
    let taken = until(&world, async |world| {
        let entries = world.outbox().await;
        entries.iter().any(|entry| entry.record.is_some())
    });
    assert!(taken.await);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_clock_that_ran_ahead_and_is_corrected_stops_nobody() {
    const DAYS: Duration = Duration::from_secs(3 * 24 * 3600);
    for restarts in [false, true] {
        let mut world = World::ready().await;
        let mut running = world.engine.start();
        world.clock.advance(DAYS);
        world.mail_from_jo(&[DESK], "a@x", "Ahead", "");
        let read = until(&world, async |world| world.emails().await.len() == 1);
        assert!(read.await, "while the clock is ahead");
        if restarts {
            running.stop().await.unwrap();
            world.clock.set_back(DAYS);
            world.restart(None);
            running = world.engine.start();
        } else {
            world.clock.set_back(DAYS);
        }
        world.mail_from_jo(&[DESK], "b@x", "Corrected", "");
        world.ada_writes("Offer").await;
        let mut done = false;
        for _ in 0..6 {
            done |= until(&world, async |world| {
                world.emails().await.len() == 3 && world.seen_outside("Offer") == 1
            })
            .await;
            world.clock.advance(Duration::from_secs(600));
        }
        assert!(done, "within an hour; restarts: {restarts}");
        running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_asked_for_while_a_cycle_runs_is_done_after_it() {
    let world = World::ready().await;
    world.mail_from_jo(&[DESK], "a@x", "First", "");
    let slow = FaultEffect::Slow(Duration::from_secs(10));
    world
        .server
        .arm(MemoryFault::new(slow).on("mail.fetch").times(1));
    world.clock.advance(Duration::from_secs(900));
    let asking = async {
        world.clock.advance(Duration::from_secs(1));
        world.mail_from_jo(&[DESK], "b@x", "Second", "");
        let ids = [world.desk_mailbox];
        let asked = world.admin().sync_now(&world.operator, &ids).await;
        assert!(asked.iter().all(|(_, outcome)| outcome.is_ok()));
    };
    let (stepped, ()) = tokio::join!(world.engine.step(), asking);
    stepped.unwrap();
    assert_eq!(world.emails().await.len(), 2);
}
