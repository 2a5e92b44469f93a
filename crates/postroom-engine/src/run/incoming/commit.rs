//! The second half of a batch: record, settle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use postroom_core::email::{ContentKey, Email};
use postroom_core::ledger::{LedgerEvent, LedgerState};
use postroom_core::{Code, LedgerId, RecordId, planted};
use postroom_store::{EmailWrite, RecordedEmail, Settlement, StoreError};
use tracing::warn;

use crate::plan::failure::{CycleStop, crm_failure, item_retry_at};
use crate::plan::incoming::{failed, is_last, placeholder};
use crate::run::cycle::Cycle;
use crate::run::feed;

use super::Reading;
use super::aftermath::{Quarantined, aftermath};
use super::prepare::{Batch, FailedItem, Tracked, raw_of};
use super::reports::note;

/// The records that messages became, by the placeholder that others saw them under.
pub(super) type Records = BTreeMap<RecordId, RecordId>;

/// Records a batch and settles all of its rows; remembers the records that it made or met.
pub(super) async fn commit(
    cycle: &Cycle<'_>,
    reading: &Reading<'_>,
    mut batch: Batch,
) -> Result<(), CycleStop> {
    let parsed = std::mem::take(&mut batch.tracked);
    if planted!(AckBeforeCommit) {
        let (store, created) = (&cycle.environment.store, true);
        let acknowledged: Vec<_> = parsed
            .iter()
            .map(|(one, _)| (one.entry.id, placeholder(one.entry.id)))
            .map(|(id, record)| Settlement::new(id, LedgerEvent::Deliver { record, created }))
            .collect();
        store.settle(&cycle.lease, &acknowledged).await?;
    }
    let reports = std::mem::take(&mut batch.reports);
    for report in &reports {
        note(cycle, report).await?;
    }
    if !reports.is_empty()
        && let Err(error) = feed::report(cycle.environment).await
    {
        // The application hears of it with what it is told next.
        warn!(code = %error.code(), %error, "the application could not be told");
    }
    let mut recording = Recording {
        cycle,
        known: &reading.records,
        made: Records::new(),
        joint: cycle.environment.joint && !planted!(OutageCountsAsAttempt),
        writes: Vec::new(),
        placeholders: std::mem::take(&mut batch.placeholders),
        settlements: std::mem::take(&mut batch.settlements),
        failed: std::mem::take(&mut batch.failed),
        delivered: Vec::new(),
    };
    recording.record(parsed).await?;
    recording.join(batch);
    let quarantined = recording.quarantine(reading).await?;
    recording.settle().await?;
    let Recording {
        made, delivered, ..
    } = recording;
    reading
        .records
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(made);
    aftermath(cycle, reading, &delivered, quarantined).await
}

struct Recording<'a, 'c> {
    cycle: &'a Cycle<'c>,
    /// Records of earlier batches of this cycle.
    known: &'a Mutex<Records>,
    /// Records of this batch; where they are made together with the settlements, what stands for
    /// them until then.
    made: Records,
    /// Whether messages are recorded and rows settled in one unit of work.
    joint: bool,
    /// What is to be recorded with the settlements.
    writes: Vec<EmailWrite>,
    /// Ids of this batch and those before it in hand that stand for records that may never be made: their
    /// message may fail before or while it is recorded.
    placeholders: BTreeSet<RecordId>,
    settlements: Vec<Settlement>,
    failed: Vec<FailedItem>,
    delivered: Vec<postroom_core::ledger::LedgerEntry>,
}

impl Recording<'_, '_> {
    /// The record behind an id that may be a placeholder: `None` where it is one whose record was
    /// not made.
    fn resolve(&self, id: RecordId) -> Option<RecordId> {
        if let Some(record) = self.made.get(&id) {
            return Some(*record);
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = known.get(&id) {
            return Some(*record);
        }
        (!self.placeholders.contains(&id)).then_some(id)
    }

    /// Records messages, those first that others of the batch answer: in one call where the
    /// application lets writes name earlier ones of the same call.
    async fn record(&mut self, parsed: Vec<(Tracked, Email)>) -> Result<(), CycleStop> {
        let together = self.cycle.environment.crm.resolves_provisional();
        let mut in_order = Vec::new();
        let mut placed = BTreeSet::new();
        let mut waiting = parsed;
        // Each wave makes at least one record or gives one up, so there are at most as many.
        while !waiting.is_empty() {
            let (ready, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(tracked, _)| {
                let matched = tracked.decision.correlation.matched;
                let ready = matched.is_none_or(|matched| {
                    self.resolve(matched.email).is_some() || placed.contains(&matched.email)
                });
                if ready && together {
                    placed.insert(placeholder(tracked.entry.id));
                }
                ready
            });
            if ready.is_empty() {
                // What they answer could not be recorded: they are decided about anew.
                for (tracked, _) in later {
                    self.postpone(tracked.entry.id);
                }
                break;
            }
            if together {
                in_order.extend(ready);
            } else {
                self.record_wave(ready).await?;
            }
            waiting = later;
        }
        if in_order.is_empty() {
            return Ok(());
        }
        self.record_wave(in_order).await
    }

    async fn record_wave(&mut self, wave: Vec<(Tracked, Email)>) -> Result<(), CycleStop> {
        let mut tracked = Vec::with_capacity(wave.len());
        let mut writes = Vec::with_capacity(wave.len());
        for (mut one, email) in wave {
            if let Some(matched) = &mut one.decision.correlation.matched
                && let Some(record) = self.resolve(matched.email)
            {
                matched.email = record;
            }
            writes.push(write(self.cycle, &one, email));
            tracked.push(one);
        }
        if self.joint {
            // What stands for a record is resolved where it is made.
            for one in tracked {
                let record = placeholder(one.entry.id);
                self.deliver(one, RecordedEmail::new(record, true));
            }
            self.writes = writes;
            return Ok(());
        }
        let crm = &self.cycle.environment.crm;
        let outcomes = match crm.record_emails(&writes).await {
            Err(error) if planted!(OutageCountsAsAttempt) => {
                self.failed
                    .extend(tracked.into_iter().map(|one| FailedItem {
                        entry: one.entry,
                        code: error.code(),
                        identity: Some(one.identity),
                        raw: Some(one.raw),
                    }));
                return Ok(());
            }
            outcomes => outcomes.map_err(|error| crm_failure(&error))?,
        };
        drop(writes);
        if outcomes.len() != tracked.len() {
            let error = StoreError::new(
                postroom_store::ErrorKind::Internal,
                Code::Internal,
                "crm.record_emails",
            );
            return Err(crm_failure(&error));
        }
        let mut unavailable = None;
        for (one, outcome) in tracked.into_iter().zip(outcomes) {
            match outcome {
                Ok(recorded) => self.deliver(one, recorded),
                Err(_) if self.lacks_parent(&one) => self.postpone(one.entry.id),
                Err(error) if error.kind() == postroom_store::ErrorKind::Unavailable => {
                    // Nothing is counted against the message; the row stays as it is.
                    unavailable.get_or_insert(error);
                }
                Err(error) => self.failed.push(FailedItem {
                    entry: one.entry,
                    code: match error.kind() {
                        postroom_store::ErrorKind::Rejected => Code::CrmRejected,
                        _ => error.code(),
                    },
                    identity: Some(one.identity),
                    raw: Some(one.raw),
                }),
            }
        }
        match unavailable {
            // What was recorded of this wave is met again by its key.
            Some(error) => Err(crm_failure(&error)),
            None => Ok(()),
        }
    }

    /// Whether the message belongs to one of the same batch that was not recorded.
    fn lacks_parent(&self, one: &Tracked) -> bool {
        let matched = one.decision.correlation.matched;
        matched.is_some_and(|matched| self.resolve(matched.email).is_none())
    }

    fn deliver(&mut self, mut one: Tracked, recorded: RecordedEmail) {
        let RecordedEmail {
            record, created, ..
        } = recorded;
        if let Some(matched) = &mut one.decision.correlation.matched
            && let Some(email) = self.resolve(matched.email)
        {
            matched.email = email;
        }
        self.made.insert(placeholder(one.entry.id), record);
        let mut settlement =
            Settlement::new(one.entry.id, LedgerEvent::Deliver { record, created });
        settlement.identity = Some(one.identity);
        settlement.decision = Some(one.decision);
        let mut index = one.index;
        index.record = record;
        settlement.index = Some((index, Some(one.identity.key())));
        self.settlements.push(settlement);
        self.delivered.push(one.entry);
    }

    /// Messages whose content is on record.
    fn join(&mut self, batch: Batch) {
        for (entry, identity, mut decision, record) in batch.joins {
            let Some(record) = self.resolve(record) else {
                self.postpone(entry.id);
                continue;
            };
            decision.verdict = postroom_core::tracking::Verdict::Join { record };
            let created = false;
            let mut settlement =
                Settlement::new(entry.id, LedgerEvent::Deliver { record, created });
            settlement.identity = Some(identity);
            settlement.decision = Some(decision);
            self.settlements.push(settlement);
            self.delivered.push(entry);
        }
    }

    /// Stores what came of every row, and the records where they were not made yet.
    async fn settle(&mut self) -> Result<(), CycleStop> {
        let settlements = std::mem::take(&mut self.settlements);
        let writes = std::mem::take(&mut self.writes);
        if settlements.is_empty() {
            return Ok(());
        }
        let (store, lease) = (&self.cycle.environment.store, &self.cycle.lease);
        if writes.is_empty() {
            return Ok(store.settle(lease, &settlements).await?);
        }
        let names: Vec<_> = writes.iter().map(|write| write.provisional).collect();
        let recorded = store.record_and_settle(lease, writes, settlements).await?;
        for (name, recorded) in names.into_iter().zip(recorded) {
            if let Some(name) = name {
                self.made.insert(name, recorded.record);
            }
        }
        Ok(())
    }

    fn postpone(&mut self, id: LedgerId) {
        let event = LedgerEvent::Postpone {
            code: Code::CrmRejected,
            not_before: item_retry_at(0, self.cycle.environment.now()),
        };
        self.settlements.push(Settlement::new(id, event));
    }

    /// Counts the attempts that failed; the last one sets the message aside.
    async fn quarantine(&mut self, reading: &Reading<'_>) -> Result<Vec<Quarantined>, CycleStop> {
        let now = self.cycle.environment.now();
        let attempts_max = self.cycle.loaded.organization.settings.item_attempts_max;
        let mut quarantined = Vec::new();
        for item in std::mem::take(&mut self.failed) {
            let attempts = match item.entry.state {
                LedgerState::Pending { attempts, .. } => attempts,
                _ => 0,
            };
            let last = is_last(attempts, attempts_max);
            let raw = match item.raw {
                None if last => raw_of(self.cycle, reading, &item.entry).await,
                raw => raw,
            };
            let event = failed(&item.entry, item.code, attempts_max, raw.is_some(), now);
            let mut settlement = Settlement::new(item.entry.id, event);
            settlement.identity = item.identity;
            settlement.raw = raw.filter(|_| last);
            self.settlements.push(settlement);
            if last {
                let one = Quarantined {
                    entry: item.entry,
                    code: item.code,
                };
                one.alert(self.cycle).await?;
                quarantined.push(one);
            }
        }
        Ok(quarantined)
    }
}

fn write(cycle: &Cycle<'_>, tracked: &Tracked, email: Email) -> EmailWrite {
    let key = if planted!(NewWriteKeyPerAttempt) {
        let random = cycle.environment.bytes16();
        let byte = |at: usize| random.get(at % 16).copied().unwrap_or_default();
        ContentKey::from_bytes(std::array::from_fn(byte))
    } else {
        tracked.identity.key()
    };
    let mut write = EmailWrite::incoming(
        key,
        email,
        tracked.raw.clone(),
        tracked.received_at,
        cycle.mailbox().id,
    );
    write.provisional = Some(placeholder(tracked.entry.id));
    if let postroom_core::tracking::Verdict::Track { accepting, .. } = tracked.decision.verdict {
        write.accepting = accepting;
    }
    write.owner = tracked.owner;
    write.parties.clone_from(&tracked.parties);
    write.queues.clone_from(&tracked.queues);
    if let Some(matched) = tracked.decision.correlation.matched {
        write.regarding = matched.regarding;
        write.correlated = Some((matched.email, matched.method));
        write.parent = matched.parent.then_some(matched.email);
    }
    write
}
