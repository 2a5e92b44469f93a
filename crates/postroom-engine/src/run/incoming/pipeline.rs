//! The stages that batches go through side by side: decided about, fetched and parsed, committed.
//! Beside them the next pages are listed, and taken up before the last batch is through.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use postroom_core::ledger::LedgerEntry;
use postroom_core::{LedgerId, Timestamp};

use crate::plan::failure::CycleStop;
use crate::plan::incoming::{Provisional, groups};
use crate::run::cycle::Cycle;

use super::commit::commit;
use super::listing::Listing;
use super::prepare::{Batch, Decided, fetch, prepare};
use super::{Reading, pending};

/// Listed messages are taken up when so many batches wait.
const BATCHES_LOW: usize = 2;

/// The batches that are worked on. Each stage has one of them, and between two stages one may wait:
/// a stage that is ahead stops until the next one catches up.
#[derive(Debug)]
struct InHand {
    waiting: VecDeque<Vec<LedgerEntry>>,
    decided: Option<Decided>,
    fetched: Option<Batch>,
    /// What each batch that is decided about and not committed is going to record, the oldest first.
    provisional: VecDeque<Vec<Arc<Provisional>>>,
    /// The rows of each batch that was begun and is not committed, the oldest first.
    rows: VecDeque<Vec<LedgerId>>,
    /// Messages of batches that were begun.
    begun: u64,
}

/// What a stage came to.
enum Step {
    Decided(Result<Decided, CycleStop>),
    Fetched(Result<Batch, CycleStop>),
    Committed(Result<(), CycleStop>),
    Listed(Listing, Result<(), CycleStop>),
    TakenUp(Result<Vec<LedgerEntry>, CycleStop>),
}

impl InHand {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.decided.is_none() && self.fetched.is_none()
    }

    /// Rows that are pending and taken up.
    fn taken_up(&self) -> BTreeSet<LedgerId> {
        let waiting = self.waiting.iter().flatten().map(|entry| entry.id);
        self.rows.iter().flatten().copied().chain(waiting).collect()
    }
}

impl Reading<'_> {
    /// Works on messages, batch by batch.
    pub(super) async fn pipeline(
        &mut self,
        cycle: &mut Cycle<'_>,
        listing: &mut Listing,
        pending: Vec<LedgerEntry>,
    ) -> Result<(), CycleStop> {
        let bounds = &cycle.environment.bounds;
        let mut hand = InHand {
            waiting: batches(pending, bounds.batch, bounds.batch_bytes),
            decided: None,
            fetched: None,
            provisional: VecDeque::new(),
            rows: VecDeque::new(),
            begun: 0,
        };
        while !hand.is_empty() {
            cycle.checkpoint().await?;
            let flowed = self.flow(cycle, &mut hand, listing).await;
            self.worked += std::mem::take(&mut hand.begun);
            flowed?;
        }
        Ok(())
    }

    /// Lets batches through the stages until all are through, one failed, or the cycle has to pause
    /// for its lease. What is under way is brought to its end in any case, and what is fetched is
    /// committed even where a later batch failed.
    async fn flow(
        &self,
        cycle: &Cycle<'_>,
        hand: &mut InHand,
        listing: &mut Listing,
    ) -> Result<(), CycleStop> {
        let bounds = &cycle.environment.bounds;
        let mut stages = FuturesUnordered::new();
        let (mut deciding, mut fetching, mut committing) = (false, false, false);
        let (mut listing_now, mut taking_up) = (false, false);
        let mut stop = None;
        let mut commits = true;
        let mut first = true;
        loop {
            // The very first steps are taken in any case: a loop over pauses must end.
            let pause = !std::mem::take(&mut first) && cycle.needs_checkpoint();
            let go = stop.is_none() && !pause;
            if !committing
                && commits
                && !pause
                && let Some(batch) = hand.fetched.take()
            {
                committing = true;
                let step = async move { Step::Committed(commit(cycle, self, batch).await) };
                stages.push(step.boxed());
            }
            // What the end of the cycle left of a batch goes through.
            let halted = hand.decided.as_ref().is_some_and(Decided::is_halted);
            if !fetching
                && (go || halted && !pause)
                && hand.fetched.is_none()
                && let Some(decided) = hand.decided.take()
            {
                fetching = true;
                let step = async move { Step::Fetched(fetch(cycle, self, decided).await) };
                stages.push(step.boxed());
            }
            if !deciding
                && go
                && hand.decided.is_none()
                && let Some(entries) = hand.waiting.pop_front()
            {
                deciding = true;
                hand.begun += u64::try_from(entries.len()).unwrap_or(u64::MAX);
                hand.rows
                    .push_back(entries.iter().map(|entry| entry.id).collect());
                let earlier = hand.provisional.iter().flatten().cloned().collect();
                let step =
                    async move { Step::Decided(prepare(cycle, self, entries, earlier).await) };
                stages.push(step.boxed());
            }
            let goes_on = go && !taking_up && !self.is_over(cycle, hand.begun);
            if goes_on && !listing_now && listing.goes_on_beside() {
                listing_now = true;
                let mut listing = std::mem::replace(listing, Listing::new(0, 0, None));
                let step = async move {
                    let listed = listing.next_beside(cycle, self.source, &self.folder).await;
                    Step::Listed(listing, listed)
                };
                stages.push(step.boxed());
            }
            if goes_on && !listing_now && listing.waiting > 0 && hand.waiting.len() <= BATCHES_LOW {
                taking_up = true;
                listing.waiting = 0;
                let taken_up = hand.taken_up();
                let step = async move {
                    let pending = pending(cycle, taken_up.len()).await;
                    Step::TakenUp(pending.map(|mut pending| {
                        pending.retain(|entry| !taken_up.contains(&entry.id));
                        pending
                    }))
                };
                stages.push(step.boxed());
            }
            match stages.next().await {
                Some(Step::Listed(now, outcome)) => {
                    listing_now = false;
                    *listing = now;
                    stop = stop.or_else(|| outcome.err());
                }
                Some(Step::TakenUp(outcome)) => {
                    taking_up = false;
                    match outcome {
                        Ok(pending) => {
                            hand.waiting
                                .extend(batches(pending, bounds.batch, bounds.batch_bytes));
                        }
                        Err(error) => stop = stop.or(Some(error)),
                    }
                }
                Some(Step::Decided(outcome)) => {
                    deciding = false;
                    match outcome {
                        Ok(decided) => {
                            stop = stop.or_else(|| decided.batch.stop.clone());
                            hand.provisional
                                .push_back(decided.batch.provisional.clone());
                            hand.decided = Some(decided);
                        }
                        Err(error) => stop = stop.or(Some(error)),
                    }
                }
                Some(Step::Fetched(outcome)) => {
                    fetching = false;
                    match outcome {
                        Ok(batch) => {
                            stop = stop.or_else(|| batch.stop.clone());
                            hand.fetched = Some(batch);
                        }
                        Err(error) => stop = stop.or(Some(error)),
                    }
                }
                Some(Step::Committed(outcome)) => {
                    committing = false;
                    match outcome {
                        Ok(()) => {
                            hand.provisional.pop_front();
                            hand.rows.pop_front();
                        }
                        Err(error) => {
                            commits = false;
                            stop = Some(error);
                        }
                    }
                }
                None => return stop.map_or(Ok(()), Err),
            }
        }
    }
}

/// Batches of messages in the order in which the server received them, as far as it says so.
fn batches(mut pending: Vec<LedgerEntry>, count: usize, bytes: u64) -> VecDeque<Vec<LedgerEntry>> {
    pending.sort_by_key(|entry| entry.received_at.unwrap_or(Timestamp::EPOCH));
    let sizes: Vec<_> = pending.iter().map(|entry| entry.size).collect();
    let mut pending = pending.into_iter();
    groups(&sizes, count, bytes)
        .into_iter()
        .map(|group| pending.by_ref().take(group).collect())
        .collect()
}
