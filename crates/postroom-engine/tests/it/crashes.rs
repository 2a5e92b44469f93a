//! The process dies at every call of a small day, before and after the call's effect; another one
//! begins on what is left. Promises 1, 2 and 3.

use std::time::Duration;

use postroom_core::Code;
use postroom_core::catalogue::Class;
use postroom_core::outbox::OutboxState;
use postroom_simulator::memory::{FaultEffect, MemoryFault};

use crate::crash::Fuse;
use crate::world::{ADA, DESK, World};

/// More calls than the day has; reaching it means that the day never ends.
const CALLS_MAX: i64 = 2000;

/// Mail for two mailboxes at once, a conversation in one batch, a repeated message, an email out.
async fn day(world: &World) {
    world.mail_from_jo(&[ADA, DESK], "both@x", "To both", "");
    world.mail_from_jo(&[DESK], "first@x", "First", "");
    world.mail_from_jo(&[DESK], "second@x", "Second", "\r\nIn-Reply-To: <first@x>");
    world.mail_from_jo(&[DESK], "first@x", "First", "");
    world.ada_writes("Offer").await;
    world.clock.advance(Duration::from_secs(900));
}

async fn dies_at(call: i64, after_effect: bool) -> bool {
    let mut world = World::ready().await;
    day(&world).await;
    let fuse = Fuse::new(call, after_effect);
    world.restart(Some(&fuse));
    let _ = world.engine.step().await;
    let died = fuse.blown();
    world.restart(None);
    for _ in 0..4 {
        world.pass(Duration::from_secs(900)).await;
    }
    let at = format!("died at call {call}, after its effect: {after_effect}");
    let emails = world.emails().await;
    assert_eq!(emails.len(), 4, "{at}: {emails:?}");
    assert_eq!(world.seen_outside("Offer"), 1, "{at}");
    let rows = world.ledger().await;
    assert_eq!(rows.len(), 2 + 5, "{at}: two tests and five copies");
    let open = rows
        .iter()
        .filter(|row| row.state.name() == "pending")
        .count();
    assert_eq!(open, 0, "{at}: {rows:?}");
    let entries = world.outbox().await;
    assert_eq!(entries.len(), 3, "{at}: two tests and an email");
    for entry in &entries {
        assert!(
            matches!(entry.state, OutboxState::Sent { .. }),
            "{at}: {entry:?}"
        );
    }
    let second = emails
        .iter()
        .find(|email| email.headers.subject == "Second");
    let first = emails.iter().find(|email| email.headers.subject == "First");
    let correlated = second.unwrap().correlated.map(|(record, _)| record);
    assert_eq!(correlated, Some(first.unwrap().record), "{at}");
    died
}

async fn every_call(after_effect: bool) {
    let mut call = 0;
    while dies_at(call, after_effect).await {
        call += 1;
        assert!(call < CALLS_MAX);
    }
    assert!(call > 40, "only {call} calls: the fuse does not see them");
}

#[tokio::test]
async fn dying_before_any_call_loses_and_repeats_nothing() {
    every_call(false).await;
}

#[tokio::test]
async fn dying_after_any_call_loses_and_repeats_nothing() {
    every_call(true).await;
}

/// An alert that was raised must close when its cause is gone, whatever was written down of the
/// failure.
async fn dies_in_trouble_at(call: i64, after_effect: bool) -> bool {
    let mut world = World::ready().await;
    world.clock.advance(Duration::from_secs(900));
    let lost = MemoryFault::new(FaultEffect::DropBeforeEffect);
    world.server.arm(lost.on("mail.changes"));
    let fuse = Fuse::new(call, after_effect);
    world.restart(Some(&fuse));
    let _ = world.engine.step().await;
    let died = fuse.blown();
    world.server.disarm();
    world.restart(None);
    for _ in 0..4 {
        world.pass(Duration::from_secs(900)).await;
    }
    let at = format!("died at call {call}, after its effect: {after_effect}");
    let codes = world.alert_codes().await;
    let over = |code: &Code| code.spec().class == Class::Transient;
    assert!(!codes.iter().any(over), "{at}: {codes:?}");
    died
}

#[tokio::test]
async fn dying_while_a_failure_is_written_down_leaves_no_alert_open() {
    for after_effect in [false, true] {
        let mut call = 0;
        while dies_in_trouble_at(call, after_effect).await {
            call += 1;
            assert!(call < CALLS_MAX);
        }
        assert!(call > 20, "only {call} calls: the fuse does not see them");
    }
}
