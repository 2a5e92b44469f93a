//! The incoming cycle of a mailbox: list, decide, fetch what is tracked, record, settle.
//!
//! Several batches are in hand at a time: while one is committed, the next one is fetched and parsed,
//! and the one after it is decided about (see [`pipeline`]). Each sees what those before it are about to
//! record (see [`crate::plan::incoming::Provisional`]), so that the order of messages decides as if they
//! came one by one.

mod aftermath;
mod commit;
mod isolate;
mod knowledge;
mod parsing;
mod pipeline;
mod prepare;

use std::sync::Mutex;

use postroom_core::ledger::{FolderId, LedgerEntry};
use postroom_core::{Code, LedgerId, planted};
use postroom_provider::{
    ChangePage, ErrorKind, MailChange, MailSource, PageLimit, ProviderError, SyncCursor,
    WellKnownFolder,
};
use postroom_store::{FolderState, PageRecord};
use tracing::info;

use crate::plan::failure::{CycleFailure, CycleStop};
use crate::run::cycle::{Cycle, CycleEnd};
use crate::run::providers::Direction;

use commit::Records;

/// Pages without anything to work on that one cycle reads at most.
const PAGES_MAX: u32 = 2000;

/// Runs the incoming cycle.
pub(crate) async fn run(cycle: &mut Cycle<'_>) -> Result<CycleEnd, CycleStop> {
    let environment = cycle.environment;
    let provider = environment
        .provider_of(cycle.loaded, cycle.profile, Direction::Incoming)
        .await?;
    let Some(source) = provider.mail() else {
        let failure = CycleFailure::new(Code::MethodNotSupported, "the provider cannot read mail");
        return Err(failure.into());
    };
    let capabilities = provider.capabilities();
    let (folder, remembered) = match environment.providers.inbox(cycle.mailbox().id) {
        Some(inbox) => (inbox, true),
        None => (look_up_inbox(cycle, source).await?, false),
    };
    let mut reading = Reading {
        source,
        folder,
        remembered,
        request_max: environment
            .bounds
            .batch
            .min(capabilities.mail_batch_max)
            .max(1),
        page_max: environment.bounds.page.min(capabilities.mail_page_max),
        can_move: capabilities.mail_move && capabilities.mail_create_folder,
        records: Mutex::default(),
        listed: 0,
        worked: 0,
        state: None,
        ahead: None,
    };
    let folders = &cycle.loaded.folders;
    let known = folders.iter().find(|(folder, _)| *folder == reading.folder);
    reading.state = known.map(|(_, state)| state.clone());
    let waiting = cycle.loaded.pending;
    let mut end = CycleEnd::default();
    let mut relisted = false;
    // What an earlier cycle left comes first.
    if waiting {
        reading.work(cycle).await?;
    }
    for _ in 0..PAGES_MAX {
        cycle.checkpoint().await?;
        let more = reading.list(cycle, &mut relisted, &mut end).await?;
        if more && reading.listed < environment.bounds.messages_per_cycle {
            // Enough to work on keeps fetching and committing busy side by side.
            continue;
        }
        if waiting || reading.listed > 0 {
            reading.listed = 0;
            reading.work(cycle).await?;
        }
        if !more {
            end.found |= reading.worked > 0;
            return Ok(end);
        }
        if reading.worked >= environment.bounds.messages_per_cycle {
            break;
        }
    }
    end.found = true;
    end.unfinished = true;
    Ok(end)
}

async fn look_up_inbox(
    cycle: &Cycle<'_>,
    source: &dyn MailSource,
) -> Result<FolderId, CycleStop> {
    let mailbox = cycle.mailbox().id;
    let inbox = source
        .find_folder(&cycle.op(), WellKnownFolder::Inbox)
        .await?;
    cycle.environment.providers.remember_inbox(mailbox, &inbox);
    Ok(inbox)
}

/// A folder being read in this cycle.
struct Reading<'a> {
    source: &'a dyn MailSource,
    folder: FolderId,
    /// Whether an earlier cycle looked the folder up.
    remembered: bool,
    /// So many messages one request asks for.
    request_max: usize,
    page_max: u32,
    can_move: bool,
    /// The records that this cycle made, by the placeholder that later messages saw them under.
    records: Mutex<Records>,
    /// Messages that were listed and not worked on yet.
    listed: u64,
    worked: u64,
    /// Where the folder stood when the cycle began; taken by the first page.
    state: Option<FolderState>,
    /// What the server answered when it was asked ahead, and the cursor that it was asked with.
    ahead: Option<(SyncCursor, Result<ChangePage<MailChange>, ProviderError>)>,
}

impl Reading<'_> {
    /// Records the next page of the folder; answers whether more is waiting.
    async fn list(
        &mut self,
        cycle: &Cycle<'_>,
        relisted: &mut bool,
        end: &mut CycleEnd,
    ) -> Result<bool, CycleStop> {
        let environment = cycle.environment;
        let store = &environment.store;
        let mailbox = cycle.mailbox().id;
        let state = match self.state.take() {
            Some(state) => state,
            None => store.folder_state(mailbox, &self.folder).await?,
        };
        let limit = PageLimit::new(self.page_max);
        let page = match self.ahead.take() {
            Some((cursor, page)) if state.cursor.as_ref() == Some(&cursor) => page,
            _ => {
                let cursor = state.cursor.as_ref();
                self.source
                    .changes(&cycle.op(), &self.folder, cursor, limit)
                    .await
            }
        };
        let page = match page {
            Err(error) if error.kind() == ErrorKind::CursorInvalid && !*relisted => {
                // The folder is compared with the ledger, from the beginning; once a cycle.
                info!("the server no longer knows the cursor; the folder is listed anew");
                *relisted = true;
                store.begin_relisting(&cycle.lease, &self.folder).await?;
                return Ok(true);
            }
            Err(error) if error.kind() == ErrorKind::NotFound && self.remembered => {
                // A mailbox that was moved to another server keeps its Inbox, not the Inbox's id.
                info!("the folder is not found; it is looked up anew");
                self.remembered = false;
                self.folder = look_up_inbox(cycle, self.source).await?;
                return Ok(true);
            }
            page => page?,
        };
        self.remembered = false;
        let same_place = state.cursor.as_ref() == Some(&page.cursor) && !state.relisting;
        if page.changes.is_empty() && same_place {
            // Nothing to write: the most common answer of all.
            return Ok(page.more);
        }
        let now = environment.now();
        let mut listed = Vec::new();
        let mut removed = Vec::new();
        let mut changes = page.changes;
        if planted!(PageTailDropped) && page.more {
            changes.pop();
        }
        for change in changes {
            match change {
                MailChange::Present(listing) => {
                    let received = listing.received_at.unwrap_or(now);
                    let seen_until = cycle.mailbox().incoming.last_succeeded;
                    let passed_over = [
                        planted!(LookBackTooShort) && now.since(received).as_secs() > 60 * 60,
                        planted!(WatermarkByReceivedTime) && Some(received) < seen_until,
                        planted!(InvalidCursorStartsFromNow) && state.relisting,
                    ];
                    if passed_over.contains(&true) {
                        continue;
                    }
                    let id = LedgerId::in_order(now, environment.bytes16());
                    let folder = self.folder.clone();
                    let mut entry = LedgerEntry::listed(id, mailbox, folder, listing.id, now);
                    entry.received_at = listing.received_at;
                    entry.size = listing.size;
                    listed.push(entry);
                }
                MailChange::Removed(id) => removed.push(id),
            }
        }
        if planted!(CursorBeforeRows) {
            let (folder, cursor) = (self.folder.clone(), page.cursor.clone());
            let record = PageRecord::new(folder, Vec::new(), Vec::new(), cursor, !page.more);
            store.record_page(&cycle.lease, &record, now).await?;
        }
        let folder = self.folder.clone();
        let count = u64::try_from(listed.len()).unwrap_or(u64::MAX);
        let enough = environment.bounds.messages_per_cycle;
        let goes_on = page.more && self.listed.saturating_add(count) < enough;
        let cursor = page.cursor.clone();
        let record = PageRecord::new(folder, listed, removed, page.cursor, !page.more);
        let recording = store.record_page(&cycle.lease, &record, now);
        // The next page is asked for meanwhile. It is recorded after this one, or not at all.
        let asking = async {
            if !goes_on {
                return None;
            }
            let page = self
                .source
                .changes(&cycle.op(), &self.folder, Some(&cursor), limit)
                .await;
            Some(page)
        };
        let (outcome, ahead) = futures_util::join!(recording, asking);
        let outcome = outcome?;
        self.ahead = ahead.map(|page| (cursor, page));
        end.found |= outcome.new > 0;
        self.listed = self.listed.saturating_add(outcome.new);
        Ok(page.more)
    }

    /// Works on everything that is pending, batch by batch.
    async fn work(&mut self, cycle: &mut Cycle<'_>) -> Result<(), CycleStop> {
        let environment = cycle.environment;
        let bounds = &environment.bounds;
        while self.worked < bounds.messages_per_cycle {
            let left = bounds.messages_per_cycle - self.worked;
            let left = u32::try_from(left).unwrap_or(u32::MAX);
            let pending = environment
                .store
                .pending(cycle.mailbox().id, environment.now(), left)
                .await?;
            if pending.is_empty() {
                break;
            }
            self.pipeline(cycle, pending).await?;
        }
        Ok(())
    }
}
