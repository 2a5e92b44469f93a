//! The stages that batches go through side by side: decided about, fetched and parsed, committed.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use postroom_core::Timestamp;
use postroom_core::ledger::LedgerEntry;

use crate::plan::failure::CycleStop;
use crate::plan::incoming::{Provisional, groups};
use crate::run::cycle::Cycle;

use super::Reading;
use super::commit::commit;
use super::prepare::{Batch, Decided, fetch, prepare};

/// The batches that are worked on. Each stage has one of them, and between two stages one may wait:
/// a stage that is ahead stops until the next one catches up.
#[derive(Debug)]
struct InHand {
    waiting: VecDeque<Vec<LedgerEntry>>,
    decided: Option<Decided>,
    fetched: Option<Batch>,
    /// What each batch that is decided about and not committed is going to record, the oldest first.
    provisional: VecDeque<Vec<Arc<Provisional>>>,
    /// Messages of batches that were begun.
    begun: u64,
}

/// What a stage came to.
enum Step {
    Decided(Result<Decided, CycleStop>),
    Fetched(Result<Batch, CycleStop>),
    Committed(Result<(), CycleStop>),
}

impl InHand {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.decided.is_none() && self.fetched.is_none()
    }
}

impl Reading<'_> {
    /// Works on messages, batch by batch.
    pub(super) async fn pipeline(
        &mut self,
        cycle: &mut Cycle<'_>,
        pending: Vec<LedgerEntry>,
    ) -> Result<(), CycleStop> {
        let bounds = &cycle.environment.bounds;
        let mut hand = InHand {
            waiting: batches(pending, bounds.batch, bounds.batch_bytes),
            decided: None,
            fetched: None,
            provisional: VecDeque::new(),
            begun: 0,
        };
        while !hand.is_empty() {
            cycle.checkpoint().await?;
            let flowed = self.flow(cycle, &mut hand).await;
            self.worked += std::mem::take(&mut hand.begun);
            flowed?;
        }
        Ok(())
    }

    /// Lets batches through the stages until all are through, one failed, or the cycle has to pause
    /// for its lease. What is under way is brought to its end in any case, and what is fetched is
    /// committed even where a later batch failed.
    async fn flow(&self, cycle: &Cycle<'_>, hand: &mut InHand) -> Result<(), CycleStop> {
        let mut stages = FuturesUnordered::new();
        let (mut deciding, mut fetching, mut committing) = (false, false, false);
        let mut stop = None;
        let mut commits = true;
        loop {
            // The very first steps are taken in any case: a loop over pauses must end.
            let pause = !stages.is_empty() && cycle.needs_checkpoint();
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
            if !fetching
                && go
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
                let earlier = hand.provisional.iter().flatten().cloned().collect();
                let step =
                    async move { Step::Decided(prepare(cycle, self, entries, earlier).await) };
                stages.push(step.boxed());
            }
            match stages.next().await {
                Some(Step::Decided(outcome)) => {
                    deciding = false;
                    match outcome {
                        Ok(decided) => {
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
                        Ok(batch) => hand.fetched = Some(batch),
                        Err(error) => stop = stop.or(Some(error)),
                    }
                }
                Some(Step::Committed(outcome)) => {
                    committing = false;
                    match outcome {
                        Ok(()) => {
                            hand.provisional.pop_front();
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
