//! The table that accounts for every message.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::world::World;
use crate::api::{LedgerCounts, Mailbox};
use crate::failure::Result;
use crate::view;

/// The states in the order of the table.
const STATES: [&str; 5] = ["delivered", "filtered", "quarantined", "gone", "pending"];

/// What the server has and what the ledger knows, of one mailbox.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) mailbox: String,
    /// Messages in Inbox and Undeliverable, by the server's own count.
    pub(crate) on_server: u64,
    pub(crate) counts: LedgerCounts,
}

impl Line {
    /// Whether every message of the server has a state, and none waits.
    pub(crate) fn matches(&self) -> bool {
        let total: u64 = self.counts.values().sum();
        let gone = self.count("gone");
        let pending = self.count("pending");
        total == self.on_server.saturating_add(gone) && pending == 0
    }

    fn count(&self, state: &str) -> u64 {
        self.counts.get(state).copied().unwrap_or_default()
    }
}

/// Counts both sides.
pub(crate) async fn lines(world: &World<'_>) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for mailbox in world.app.mailboxes().await? {
        let counts = world
            .app
            .admin
            .counts(&world.app.principal, Some(mailbox.id))
            .await?;
        lines.push(Line {
            mailbox: view::address(&mailbox),
            on_server: on_server(world, &mailbox)?,
            counts: counts.ledger,
        });
    }
    Ok(lines)
}

fn on_server(world: &World<'_>, mailbox: &Mailbox) -> Result<u64> {
    let account = world.account(&view::address(mailbox))?;
    let mail = world.exchange.mail();
    let mut items = mail.items(world.inbox(account)?).len();
    for folder in mail.folders(account) {
        if folder.name == UNDELIVERABLE {
            items = items.saturating_add(mail.items(folder.id).len());
        }
    }
    Ok(u64::try_from(items).unwrap_or(u64::MAX))
}

/// The folder that messages go to which could not be recorded.
pub(crate) const UNDELIVERABLE: &str = "Undeliverable";

/// Prints the table; answers whether the sums match.
pub(crate) fn print(world: &World<'_>, lines: &[Line]) -> bool {
    let mut sum: BTreeMap<&str, u64> = BTreeMap::new();
    let mut on_server = 0_u64;
    let mut rows: Vec<[String; 8]> = Vec::new();
    for line in lines {
        on_server = on_server.saturating_add(line.on_server);
        let mut cells = vec![line.mailbox.clone(), line.on_server.to_string()];
        for state in STATES {
            *sum.entry(state).or_default() += line.count(state);
            cells.push(line.count(state).to_string());
        }
        cells.push(verdict(line.matches()));
        rows.extend(cells.try_into());
    }
    let matches = lines.iter().all(Line::matches);
    let mut cells = vec!["all".to_owned(), on_server.to_string()];
    cells.extend(
        STATES
            .iter()
            .map(|state| sum.get(state).copied().unwrap_or_default().to_string()),
    );
    cells.push(verdict(matches));
    rows.extend(cells.try_into());
    world.output.table(
        [
            "Mailbox",
            "On the server",
            "Delivered",
            "Filtered",
            "Quarantined",
            "Gone",
            "Waiting",
            "Sums",
        ],
        rows,
    );
    matches
}

fn verdict(matches: bool) -> String {
    (if matches { "match" } else { "DO NOT MATCH" }).to_owned()
}

/// The same for programs.
pub(crate) fn document(lines: &[Line]) -> Value {
    json!(
        lines
            .iter()
            .map(|line| json!({
                "mailbox": line.mailbox,
                "on_server": line.on_server,
                "ledger": line.counts,
                "match": line.matches(),
            }))
            .collect::<Vec<_>>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(on_server: u64, counts: &[(&str, u64)]) -> Line {
        let counts = counts
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect();
        Line {
            mailbox: "a@b".to_owned(),
            on_server,
            counts,
        }
    }

    #[test]
    fn a_message_without_a_state_does_not_go_unnoticed() {
        assert!(line(3, &[("delivered", 1), ("filtered", 1), ("quarantined", 1)]).matches());
        assert!(line(1, &[("delivered", 1), ("gone", 1)]).matches());
        assert!(!line(2, &[("delivered", 1)]).matches());
        assert!(!line(1, &[("delivered", 2)]).matches());
        assert!(!line(1, &[("pending", 1)]).matches());
    }
}
