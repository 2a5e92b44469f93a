//! `demo --messages DIR`: real messages, by the same path as incoming mail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postroom_simulator::model::ItemId;
use serde_json::{Value, json};

use super::world::World;
use super::{Report, account};
use crate::api::{
    LedgerEntry, LedgerFilter, LedgerState, MailboxEdit, Page, PartyKind, TrackingFilter,
};
use crate::command::email::state_words;
use crate::failure::{Failure, Result};
use crate::output::{printable, short};

/// The mailbox that receives them.
const ARCHIVE: &str = "archive@example.org";
/// At most so many rounds of retries.
const ROUNDS_MAX: u32 = 50;
/// How far the clock moves between two rounds.
const ROUND: Duration = Duration::from_secs(15 * 60);

/// A file of the folder.
#[derive(Debug)]
struct Message {
    name: String,
    /// The stored copy, or why the file could not be read.
    item: Result<ItemId, String>,
}

/// Receives every message of the folder and accounts for each.
pub(crate) async fn receive(world: &World<'_>, folder: &Path) -> Result<Report> {
    let files = files(folder)?;
    world.chapter("A queue that tracks everything");
    world.say(
        "A simulated Exchange server, a fresh store, and one mailbox whose filter takes all email.",
    );
    world.create_profile(false).await?;
    let mailbox = world
        .create_owner(PartyKind::Queue, "Archive", ARCHIVE)
        .await?;
    let mut edit = MailboxEdit::new();
    edit.filter = Some(TrackingFilter::All);
    let (admin, principal) = (&world.app.admin, &world.app.principal);
    admin.edit_mailbox(principal, mailbox.id, &edit).await?;
    for (_, outcome) in admin.approve(principal, &[mailbox.id]).await {
        outcome?;
    }
    world.test(&mailbox).await?;
    world.good(format!("{ARCHIVE} is approved, tested and enabled"));

    world.chapter("Receiving");
    let messages = deliver(world, files);
    world.say(format!(
        "{} files arrive at {ARCHIVE}, byte by byte as they are.",
        messages.len()
    ));
    let begun = std::time::Instant::now();
    let mut rounds = 0;
    loop {
        world.sync().await?;
        rounds += 1;
        let counts = admin.counts(principal, Some(mailbox.id)).await?;
        let waiting = counts.ledger.get("pending").copied().unwrap_or_default();
        let known: u64 = counts.ledger.values().sum();
        let listed = known >= u64::try_from(messages.len()).unwrap_or(u64::MAX);
        if (waiting == 0 && listed) || rounds == ROUNDS_MAX {
            break;
        }
        // What failed is tried again after a while: the story's clock does not make us wait for it.
        world.clock.advance(ROUND);
    }
    world.good(format!(
        "done in {:.1} s and {rounds} rounds",
        begun.elapsed().as_secs_f64()
    ));

    world.chapter("What became of each file");
    let entries = entries(world, mailbox.id).await?;
    let (rows, documents, accounted) = by_file(world, &messages, &entries)?;
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for row in &rows {
        let kind = row[1].split(':').next().unwrap_or_default().to_owned();
        *sums.entry(kind).or_default() += 1;
    }
    world.output.table(["File", "Outcome", "Subject"], rows);

    world.chapter("The account");
    let lines = account::lines(world).await?;
    let sums_match = account::print(world, &lines) && accounted;
    let words: Vec<_> = sums
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    world.show(format!("{} files = {}", messages.len(), words.join(" + ")));
    Ok(Report {
        sums_match,
        document: json!({
            "files": documents,
            "sums": sums,
            "mailboxes": account::document(&lines),
            "sums_match": sums_match,
        }),
    })
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Failure::file("read", folder, &error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("eml"))
            && path.is_file()
        {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(
            Failure::not_found(format!("there is no .eml file in {}", folder.display()))
                .hint("Name a folder with messages, one to a file."),
        );
    }
    files.sort();
    Ok(files)
}

fn deliver(world: &World<'_>, files: Vec<PathBuf>) -> Vec<Message> {
    files
        .into_iter()
        .map(|path| {
            let name = path
                .file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            let item = std::fs::read(&path)
                .map_err(|error| error.to_string())
                .and_then(|bytes| {
                    let stored = world.deliver(bytes, &[ARCHIVE]);
                    stored
                        .first()
                        .copied()
                        .ok_or_else(|| "the server did not take it".to_owned())
                });
            Message { name, item }
        })
        .collect()
}

/// Every row of the mailbox's ledger, by the message's id on the server.
async fn entries(
    world: &World<'_>,
    mailbox: crate::api::MailboxId,
) -> Result<BTreeMap<String, LedgerEntry>> {
    let mut filter = LedgerFilter::default();
    filter.mailbox = Some(mailbox);
    let mut entries = BTreeMap::new();
    let mut page = Page::first(1000);
    loop {
        let rows = world
            .app
            .admin
            .ledger(&world.app.principal, &filter, page)
            .await?;
        if rows.is_empty() {
            return Ok(entries);
        }
        entries.extend(
            rows.into_iter()
                .map(|row| (row.remote_id.as_str().to_owned(), row)),
        );
        page = page.next();
    }
}

type ByFile = (Vec<[String; 3]>, Vec<Value>, bool);

/// One row for each file, and whether each has exactly one final state.
fn by_file(
    world: &World<'_>,
    messages: &[Message],
    entries: &BTreeMap<String, LedgerEntry>,
) -> Result<ByFile> {
    let account = world.account(ARCHIVE)?;
    let (mut rows, mut documents, mut accounted) = (Vec::new(), Vec::new(), true);
    for message in messages {
        let (outcome, subject, entry) = match &message.item {
            Err(why) => (format!("unreadable: {why}"), String::new(), None),
            Ok(item) => match entries.get(&world.exchange.client_id(account, *item)) {
                Some(entry) => {
                    accounted &= !matches!(entry.state, LedgerState::Pending { .. });
                    let subject = world
                        .exchange
                        .mail()
                        .item(*item)
                        .map(|item| item.summary().subject.clone());
                    (
                        state_words(&entry.state),
                        subject.unwrap_or_default(),
                        Some(entry),
                    )
                }
                None => {
                    accounted = false;
                    ("NOT ACCOUNTED FOR".to_owned(), String::new(), None)
                }
            },
        };
        documents.push(json!({
            "file": message.name,
            "outcome": outcome,
            "state": entry.map(|entry| &entry.state),
            "id": entry.map(|entry| entry.id.to_string()),
        }));
        rows.push([
            message.name.clone(),
            outcome,
            short(&printable(&subject.replace('\n', " ")), 60),
        ]);
    }
    Ok((rows, documents, accounted))
}
