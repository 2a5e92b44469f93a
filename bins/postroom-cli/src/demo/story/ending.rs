//! Chapters 12 to 14: alerts, explanations, and the account.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::mail::header;
use super::super::world::World;
use super::super::{Report, account};
use super::{Cast, ledger};
use crate::api::{AlertFilter, LedgerState, OutboxFilter, Page};
use crate::command::explain;
use crate::failure::Result;
use crate::view;

pub(super) async fn alerts(world: &World<'_>) -> Result {
    world.chapter("12  What somebody should know");
    let (admin, principal) = (&world.app.admin, &world.app.principal);
    let alerts = admin
        .alerts(principal, &AlertFilter::default(), Page::first(100))
        .await?;
    let rows = alerts.iter().map(|alert| {
        [
            view::words(&alert.level),
            alert.text.clone(),
            alert.incident.code.spec().remedy.to_owned(),
        ]
    });
    world.output.table(["Level", "What", "What to do"], rows);
    Ok(())
}

pub(super) async fn explanations(world: &World<'_>, cast: &Cast) -> Result {
    world.chapter("13  Why? One that is on record, and one that is not");
    let entries = ledger(world, &cast.ada).await?;
    let tracked = entries
        .iter()
        .find(|entry| matches!(entry.state, LedgerState::Delivered { .. }));
    let refused = entries
        .iter()
        .rev()
        .find(|entry| matches!(entry.state, LedgerState::Filtered { .. }));
    for entry in [tracked, refused].into_iter().flatten() {
        let id = entry.id.to_string();
        for explanation in world.app.admin.explain(&world.app.principal, &id).await? {
            explain::print(&world.app, &explanation).await?;
        }
    }
    Ok(())
}

pub(super) async fn accounts(world: &World<'_>, arrived: usize, attempts: u32) -> Result<Report> {
    world.chapter("14  Every message accounted for");
    // Once more, so that nothing of our own doing is left unseen.
    world.sync().await?;
    let lines = account::lines(world).await?;
    let incoming_matches = account::print(world, &lines);
    let (outgoing, outgoing_matches) = outgoing(world).await?;
    world.say("On the server: what lies in Inbox and Undeliverable. Filtered counts the test messages, the");
    world.say("message from before the approval, the cold mail and the spam.");
    let sums_match = incoming_matches && outgoing_matches;
    Ok(Report {
        sums_match,
        document: json!({
            "arrived": arrived,
            "quarantine_attempts": attempts,
            "mailboxes": account::document(&lines),
            "outgoing": outgoing,
            "sums_match": sums_match,
        }),
    })
}

/// Each email of the outbox, and how often the server sent it.
async fn outgoing(world: &World<'_>) -> Result<(Value, bool)> {
    let (admin, principal) = (&world.app.admin, &world.app.principal);
    let entries = admin
        .outbox(principal, &OutboxFilter::default(), Page::first(1000))
        .await?;
    let mut copies: BTreeMap<String, u64> = BTreeMap::new();
    for message in world.exchange.mail().outside() {
        let text = String::from_utf8_lossy(&message.content).into_owned();
        let id = header(&text, "Message-ID")
            .unwrap_or_default()
            .trim_matches(['<', '>'])
            .to_owned();
        *copies.entry(id).or_default() += 1;
    }
    let written: Vec<_> = entries
        .iter()
        .filter(|entry| entry.record.is_some())
        .collect();
    let tests = entries.len() - written.len();
    let once = written
        .iter()
        .filter(|entry| copies.get(entry.message_id.as_str()) == Some(&1))
        .count();
    let left: u64 = copies.values().sum();
    let matches = once == written.len() && left == u64::try_from(written.len()).unwrap_or(u64::MAX);
    world.show(format!(
        "outgoing: {} written, {once} sent exactly once, {left} left the server; {tests} test messages stayed inside: {}",
        written.len(),
        if matches { "match" } else { "DO NOT MATCH" },
    ));
    let document = json!({ "written": written.len(), "sent_once": once, "left_the_server": left, "tests": tests, "match": matches });
    Ok((document, matches))
}
