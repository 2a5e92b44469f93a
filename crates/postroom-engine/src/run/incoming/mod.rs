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
mod listing;
mod parsing;
mod pipeline;
mod prepare;
mod reports;

use std::sync::Mutex;

use postroom_core::ledger::{FolderId, LedgerEntry};
use postroom_core::{Code, Timestamp};
use postroom_provider::{Capabilities, ErrorKind, MailSource, WellKnownFolder};
use tracing::{info, warn};

use crate::plan::failure::{CycleFailure, CycleStop};
use crate::run::cycle::{Cycle, CycleEnd};
use crate::run::providers::Direction;

use commit::Records;
use listing::{Listing, Step};

/// Pages that one cycle reads at most, with and without anything to work on.
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
    let end = read(cycle, source, &capabilities).await;
    if (capabilities.mail_exclusive || capabilities.mail_keeps_connection)
        && let Err(error) = release(cycle, source).await
    {
        // Everything that was read is recorded, and the next cycle begins anew.
        warn!(code = %error.code(), %error, "the mailbox could not be released");
    }
    end
}

async fn release(cycle: &Cycle<'_>, source: &dyn MailSource) -> postroom_provider::Result<()> {
    source.release(&cycle.op().await?).await
}

async fn read(
    cycle: &mut Cycle<'_>,
    source: &dyn MailSource,
    capabilities: &Capabilities,
) -> Result<CycleEnd, CycleStop> {
    let environment = cycle.environment;
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
        can_move: capabilities.mail_move && capabilities.mail_create_folder,
        records: Mutex::default(),
        worked: 0,
        until: environment.now().plus(environment.bounds.turn),
    };
    let folders = &cycle.loaded.folders;
    let known = folders.iter().find(|(folder, _)| *folder == reading.folder);
    let known = known.map(|(_, state)| state.clone());
    let page_max = environment.bounds.page.min(capabilities.mail_page_max);
    let mut listing = Listing::new(page_max, environment.bounds.listed_together, known);
    let waiting = cycle.loaded.pending;
    let mut end = CycleEnd::default();
    let mut relisted = false;
    // What an earlier cycle left comes first.
    let mut done = true;
    if waiting {
        done = reading.work(cycle, &mut listing).await?;
    }
    for _ in 0..PAGES_MAX {
        if !done || reading.is_over(cycle, 0) {
            break;
        }
        cycle.checkpoint().await?;
        if !reading.list(cycle, &mut listing, &mut relisted).await? {
            continue;
        }
        if listing.more && !listing.is_full() {
            // Enough to work on keeps fetching and committing busy side by side.
            continue;
        }
        if waiting || listing.waiting > 0 {
            done = reading.work(cycle, &mut listing).await?;
        }
        if !listing.more && done {
            end.found = listing.found || reading.worked > 0;
            return Ok(end);
        }
    }
    end.found = true;
    // Pages that tell nothing at all, one after the other: the rest has time until the next cycle is
    // due, lest a server that never comes to an end be asked without a pause.
    end.unfinished = !done || listing.told || reading.worked > 0;
    Ok(end)
}

async fn look_up_inbox(cycle: &Cycle<'_>, source: &dyn MailSource) -> Result<FolderId, CycleStop> {
    let mailbox = cycle.mailbox().id;
    let ctx = cycle.op().await?;
    let inbox = source.find_folder(&ctx, WellKnownFolder::Inbox).await?;
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
    can_move: bool,
    /// The records that this cycle made, by the placeholder that later messages saw them under.
    records: Mutex<Records>,
    worked: u64,
    /// When others get their turn.
    until: Timestamp,
}

impl Reading<'_> {
    /// Whether others get their turn now, with so many messages begun beside those worked on.
    fn is_over(&self, cycle: &Cycle<'_>, begun: u64) -> bool {
        let environment = cycle.environment;
        self.worked.saturating_add(begun) >= environment.bounds.messages_per_cycle
            || environment.now() >= self.until
    }

    /// Records the next page of the folder, nothing being in hand; `false` where there is none before
    /// the next attempt.
    async fn list(
        &mut self,
        cycle: &Cycle<'_>,
        listing: &mut Listing,
        relisted: &mut bool,
    ) -> Result<bool, CycleStop> {
        let error = match listing.next(cycle, self.source, &self.folder).await? {
            Step::Taken => {
                self.remembered = false;
                return Ok(true);
            }
            Step::Refused(error) => error,
        };
        if error.kind() == ErrorKind::CursorInvalid && !*relisted {
            // The folder is compared with the ledger, from the beginning; once a cycle.
            info!("the server no longer knows the cursor; the folder is listed anew");
            *relisted = true;
            let store = &cycle.environment.store;
            store.begin_relisting(&cycle.lease, &self.folder).await?;
            return Ok(false);
        }
        if error.kind() == ErrorKind::NotFound && self.remembered {
            // A mailbox that was moved to another server keeps its Inbox, not the Inbox's id.
            info!("the folder is not found; it is looked up anew");
            self.remembered = false;
            self.folder = look_up_inbox(cycle, self.source).await?;
            return Ok(false);
        }
        Err(error.into())
    }

    /// Works on everything that is pending, batch by batch, and lists what comes after it meanwhile;
    /// `false` where something may be left for the next turn.
    async fn work(
        &mut self,
        cycle: &mut Cycle<'_>,
        listing: &mut Listing,
    ) -> Result<bool, CycleStop> {
        loop {
            listing.waiting = 0;
            let pending = pending(cycle, 0).await?;
            if pending.is_empty() {
                return Ok(true);
            }
            if self.is_over(cycle, 0) {
                return Ok(false);
            }
            self.pipeline(cycle, listing, pending).await?;
        }
    }
}

/// What waits to be worked on; `beside` are in hand, and may be among it.
async fn pending(cycle: &Cycle<'_>, beside: usize) -> Result<Vec<LedgerEntry>, CycleStop> {
    let environment = cycle.environment;
    let most = environment.bounds.listed_together;
    let most = most.saturating_add(u64::try_from(beside).unwrap_or(u64::MAX));
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    let mailbox = cycle.mailbox().id;
    let pending = environment
        .store
        .pending(mailbox, environment.now(), most)
        .await?;
    Ok(pending)
}
