//! The listing of a folder, page by page; beside the work on what is listed, too.

use postroom_core::ledger::{FolderId, LedgerEntry};
use postroom_core::{Code, LedgerId, planted};
use postroom_provider::{
    ChangePage, ErrorKind, MailChange, MailSource, PageLimit, ProviderError,
    Result as ProviderResult, SyncCursor,
};
use postroom_store::{FolderState, PageRecord};

use crate::plan::failure::CycleStop;
use crate::run::cycle::Cycle;

use super::PAGES_MAX;

/// What asking for a page came to.
pub(super) enum Step {
    /// It is recorded.
    Taken,
    /// The server says no.
    Refused(ProviderError),
}

/// Whether asking for the rest would bring the same page again, for as long as one asks: the server
/// has more, as it says, but from where this page began.
fn stands_still(page: &ChangePage<MailChange>, state: &FolderState) -> bool {
    page.more && state.cursor.as_ref() == Some(&page.cursor)
}

/// How far a folder is listed.
pub(super) struct Listing {
    page_max: u32,
    /// So many messages are listed before they are worked on.
    together: u64,
    /// Where the folder stood when the cycle began; taken by the first page.
    state: Option<FolderState>,
    /// What the server answered when it was asked ahead, and the cursor that it was asked with.
    ahead: Option<(SyncCursor, ProviderResult<ChangePage<MailChange>>)>,
    /// Whether the last page left room for work beside the next one.
    beside: bool,
    pages: u32,
    /// Messages that are listed and were not taken up yet.
    pub(super) waiting: u64,
    /// Whether any message was new.
    pub(super) found: bool,
    /// Whether any page told anything, be it known.
    pub(super) told: bool,
    /// Whether there are more pages.
    pub(super) more: bool,
}

impl Listing {
    pub(super) const fn new(page_max: u32, together: u64, state: Option<FolderState>) -> Self {
        Self {
            page_max,
            together,
            state,
            ahead: None,
            beside: true,
            pages: 0,
            waiting: 0,
            found: false,
            told: false,
            more: true,
        }
    }

    /// Whether as many messages are listed as are put in order together.
    pub(super) const fn is_full(&self) -> bool {
        self.waiting >= self.together
    }

    /// Whether a page can be listed beside work.
    pub(super) const fn goes_on_beside(&self) -> bool {
        self.more && self.beside && !self.is_full() && self.pages < PAGES_MAX
    }

    /// Records the next page, nothing being in hand.
    pub(super) async fn next(
        &mut self,
        cycle: &Cycle<'_>,
        source: &dyn MailSource,
        folder: &FolderId,
    ) -> Result<Step, CycleStop> {
        let state = self.state(cycle, folder).await?;
        match self.page(cycle, source, folder, &state).await {
            Err(error) => Ok(Step::Refused(error)),
            Ok(page) if page.changes.is_empty() && stands_still(&page, &state) => {
                let code = Code::ProtocolViolation;
                let error = ProviderError::new(ErrorKind::Protocol, code, "mail.changes");
                Ok(Step::Refused(error.with(
                    "context",
                    "there is said to be more, and nothing is told",
                )))
            }
            Ok(page) => {
                self.record(cycle, source, folder, &state, page).await?;
                self.beside = true;
                Ok(Step::Taken)
            }
        }
    }

    /// Records the next page while messages are worked on, provided that it only adds to them. One that
    /// takes messages away, or none at all, waits until nothing is in hand.
    pub(super) async fn next_beside(
        &mut self,
        cycle: &Cycle<'_>,
        source: &dyn MailSource,
        folder: &FolderId,
    ) -> Result<(), CycleStop> {
        self.pages += 1;
        let state = self.state(cycle, folder).await?;
        let Some(cursor) = state.cursor.clone().filter(|_| !state.relisting) else {
            self.beside = false;
            return Ok(());
        };
        let page = self.page(cycle, source, folder, &state).await;
        let adds = |change: &MailChange| matches!(change, MailChange::Present(_));
        match page {
            Ok(page) if page.changes.iter().all(adds) && !stands_still(&page, &state) => {
                self.record(cycle, source, folder, &state, page).await
            }
            page => {
                self.beside = false;
                self.ahead = Some((cursor, page));
                Ok(())
            }
        }
    }

    async fn state(
        &mut self,
        cycle: &Cycle<'_>,
        folder: &FolderId,
    ) -> Result<FolderState, CycleStop> {
        if let Some(state) = self.state.take() {
            return Ok(state);
        }
        let store = &cycle.environment.store;
        Ok(store.folder_state(cycle.mailbox().id, folder).await?)
    }

    async fn page(
        &mut self,
        cycle: &Cycle<'_>,
        source: &dyn MailSource,
        folder: &FolderId,
        state: &FolderState,
    ) -> ProviderResult<ChangePage<MailChange>> {
        if let Some((cursor, page)) = self.ahead.take()
            && state.cursor.as_ref() == Some(&cursor)
        {
            return page;
        }
        let limit = PageLimit::new(self.page_max);
        let cursor = state.cursor.as_ref();
        let ctx = cycle.op().await?;
        source.changes(&ctx, folder, cursor, limit).await
    }

    async fn record(
        &mut self,
        cycle: &Cycle<'_>,
        source: &dyn MailSource,
        folder: &FolderId,
        state: &FolderState,
        page: ChangePage<MailChange>,
    ) -> Result<(), CycleStop> {
        let environment = cycle.environment;
        let store = &environment.store;
        let mailbox = cycle.mailbox().id;
        self.more = page.more && !stands_still(&page, state);
        self.told |= !page.changes.is_empty();
        let same_place = state.cursor.as_ref() == Some(&page.cursor) && !state.relisting;
        if page.changes.is_empty() && same_place {
            // Nothing to write: the most common answer of all.
            return Ok(());
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
                    let folder = folder.clone();
                    let mut entry = LedgerEntry::listed(id, mailbox, folder, listing.id, now);
                    entry.received_at = listing.received_at;
                    entry.size = listing.size;
                    listed.push(entry);
                }
                MailChange::Removed(id) => removed.push(id),
            }
        }
        if planted!(CursorBeforeRows) {
            let (folder, cursor) = (folder.clone(), page.cursor.clone());
            let record = PageRecord::new(folder, Vec::new(), Vec::new(), cursor, !page.more);
            store.record_page(&cycle.lease, &record, now).await?;
        }
        let count = u64::try_from(listed.len()).unwrap_or(u64::MAX);
        let goes_on = self.more && self.waiting.saturating_add(count) < self.together;
        let cursor = page.cursor.clone();
        let record = PageRecord::new(folder.clone(), listed, removed, page.cursor, !page.more);
        let recording = store.record_page(&cycle.lease, &record, now);
        // The next page is asked for meanwhile. It is recorded after this one, or not at all.
        let asking = async {
            if !goes_on {
                return None;
            }
            let limit = PageLimit::new(self.page_max);
            let page = match cycle.op().await {
                Ok(ctx) => source.changes(&ctx, folder, Some(&cursor), limit).await,
                Err(error) => Err(error),
            };
            Some(page)
        };
        let (outcome, ahead) = futures_util::join!(recording, asking);
        let outcome = outcome?;
        self.ahead = ahead.map(|page| (cursor, page));
        self.found |= outcome.new > 0;
        self.waiting = self.waiting.saturating_add(outcome.new);
        Ok(())
    }
}
