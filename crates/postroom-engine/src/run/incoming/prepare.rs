//! The first two thirds of a batch: headers and decisions; then the parsed content of what is tracked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use futures_util::stream::{FuturesOrdered, StreamExt as _};
use postroom_core::email::{ContentIdentity, Direction, Email, EmailHeaders, KnownEmail};
use postroom_core::ledger::{FolderId, GoneEvidence, LedgerEntry, LedgerEvent, RemoteId};
use postroom_core::mailbox::MailboxOwner;
use postroom_core::tracking::{
    CorrelationMethod, Decision, DecisionInput, Verdict, correlate, decide, index_entry,
    join_target, process_from,
};
use postroom_core::{Code, PartyId, RawMessage, RecordId, Timestamp, planted};
use postroom_mime::ParseLimits;
use postroom_provider::{
    DeleteMode, FetchedMessage, MailHeaders, ProviderError, Result as ProviderResult,
};
use postroom_store::{EmailParty, Settlement};

use crate::environment::Environment;
use crate::plan::failure::{CycleFailure, CycleStop, Weight, weigh};
use crate::plan::incoming::{
    Provisional, Upcoming, email_parties, groups, owner, placeholder, queues, resolved_recipients,
    sender,
};
use crate::run::cycle::Cycle;

use super::Reading;
use super::isolate::Halt;
use super::knowledge::{Knowledge, look_up};
use super::parsing::Parsing;
use super::reports::{Reported, read_reports};

/// A message that is to be recorded, with everything its record needs but the parsed content.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) entry: LedgerEntry,
    pub(super) identity: ContentIdentity,
    pub(super) decision: Decision,
    pub(super) index: postroom_core::tracking::IndexedEmail,
    pub(super) received_at: Timestamp,
    pub(super) parties: Vec<EmailParty>,
    pub(super) owner: Option<PartyId>,
    pub(super) queues: Vec<PartyId>,
    pub(super) raw: RawMessage,
    pub(super) defects: Vec<postroom_core::email::Defect>,
}

/// A message whose attempt failed.
#[derive(Debug)]
pub(super) struct FailedItem {
    pub(super) entry: LedgerEntry,
    pub(super) code: Code,
    pub(super) identity: Option<ContentIdentity>,
    pub(super) raw: Option<RawMessage>,
}

/// A batch, decided about and fetched, not stored yet.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Outcomes that are final.
    pub(super) settlements: Vec<Settlement>,
    /// Messages that join a record, perhaps one that this cycle is about to make.
    pub(super) joins: Vec<(LedgerEntry, ContentIdentity, Decision, RecordId)>,
    /// Messages to record, in order.
    pub(super) tracked: Vec<(Tracked, Email)>,
    /// Attempts that failed.
    pub(super) failed: Vec<FailedItem>,
    /// What later batches are to see of it.
    pub(super) provisional: Vec<Arc<Provisional>>,
    /// Every id that its decisions may name and that no record has yet.
    pub(super) placeholders: BTreeSet<RecordId>,
    /// What delivery reports among its messages say about email of ours.
    pub(super) reports: Vec<Reported>,
    /// What ended the cycle while the batch was read, where attempts had failed by then.
    pub(super) stop: Option<CycleStop>,
}

impl Batch {
    /// What is left of a batch when the cycle ends: the attempts that failed by the messages' own fault.
    /// They count, lest a bad message be tried again and again beside a server in trouble. Nothing else
    /// goes on: what comes after a message that could not be read is decided about after it.
    fn halted(self, stop: CycleStop) -> Result<Self, CycleStop> {
        if self.failed.is_empty() || !matches!(stop, CycleStop::Failed(_)) {
            return Err(stop);
        }
        Ok(Self {
            failed: self.failed,
            stop: Some(stop),
            ..Self::default()
        })
    }
}

/// A batch that is decided about; what is tracked is to be fetched.
#[derive(Debug, Default)]
pub(super) struct Decided {
    pub(super) batch: Batch,
    wanted: Vec<Wanted>,
}

impl Decided {
    /// Whether the cycle ended while it was read.
    pub(super) const fn is_halted(&self) -> bool {
        self.batch.stop.is_some()
    }
}

/// A message whose headers are known.
pub(super) struct Met {
    pub(super) entry: LedgerEntry,
    pub(super) headers: MailHeaders,
    pub(super) identity: ContentIdentity,
    /// What it reports on, where it is a delivery report about an email of ours.
    pub(super) reported: Option<Reported>,
}

/// Reads the headers of a batch and decides about it. `earlier` is what the batches before it are
/// about to record.
pub(super) async fn prepare(
    cycle: &Cycle<'_>,
    reading: &Reading<'_>,
    entries: Vec<LedgerEntry>,
    earlier: Vec<Arc<Provisional>>,
) -> Result<Decided, CycleStop> {
    let mut batch = Batch::default();
    batch
        .placeholders
        .extend(earlier.iter().map(|email| email.known.record));
    let start = process_from(cycle.mailbox(), cycle.profile);
    let (old, entries): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| {
        start.is_some_and(|start| entry.received_at < Some(start)) && entry.received_at.is_some()
    });
    for entry in old {
        batch.settlements.push(before_start(cycle, &entry, start));
    }
    match read_headers(cycle, reading, entries, &mut batch).await {
        Ok(met) => {
            let wanted = decide_all(cycle, met, earlier, &mut batch).await?;
            Ok(Decided { batch, wanted })
        }
        Err(stop) => Ok(Decided {
            batch: batch.halted(stop)?,
            wanted: Vec::new(),
        }),
    }
}

/// The listing alone tells that it is too old: no need to read it.
fn before_start(cycle: &Cycle<'_>, entry: &LedgerEntry, start: Option<Timestamp>) -> Settlement {
    let nothing = EmailHeaders::default();
    let received_at = entry.received_at.unwrap_or_default();
    let mut input = DecisionInput::new(&nothing, received_at, cycle.mailbox());
    input.start = start;
    let decision = decide(input);
    let reason = postroom_core::ledger::FilterReason::BeforeStart;
    let mut settlement = Settlement::new(entry.id, LedgerEvent::Filter { reason });
    settlement.decision = Some(decision);
    settlement
}

async fn read_headers(
    cycle: &Cycle<'_>,
    reading: &Reading<'_>,
    entries: Vec<LedgerEntry>,
    batch: &mut Batch,
) -> Result<Vec<Met>, CycleStop> {
    let mut met = Vec::with_capacity(entries.len());
    for (folder, entries) in by_folder(entries) {
        let ids = ids(&entries);
        let mut answers = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(reading.request_max) {
            match reading.headers(cycle, &folder, chunk).await {
                Ok(all) => answers.extend(all),
                Err(halt) => return Err(halted(&entries, answers, halt, batch)),
            }
        }
        for (entry, answer) in entries.into_iter().zip(answers) {
            match answer {
                Ok(headers) => {
                    let mut identity = ContentIdentity::of(&headers.headers, headers.received_at);
                    let mut own = EmailHeaders::default();
                    if planted!(DuplicatePerMailbox) {
                        let within = format!("{}.{}", entry.mailbox, identity.key());
                        own.message_id = within.parse().ok();
                        identity = ContentIdentity::of(&own, headers.received_at);
                    }
                    if planted!(IdentityByServerId) {
                        own.message_id = entry.remote_id.as_str().parse().ok();
                        identity = ContentIdentity::of(&own, headers.received_at);
                    }
                    met.push(Met {
                        entry,
                        headers,
                        identity,
                        reported: None,
                    });
                }
                Err(error) => take_failure(cycle.environment, entry, None, &error, batch).await?,
            }
        }
    }
    // As if they came one by one.
    met.sort_by_key(|met| met.headers.received_at);
    read_reports(cycle, reading, met, batch).await
}

/// Why a batch came to an end after so many answers. What failed by its own fault by then counts.
pub(super) fn halted<T>(
    entries: &[LedgerEntry],
    answers: Vec<ProviderResult<T>>,
    halt: Halt,
    batch: &mut Batch,
) -> CycleStop {
    let before = entries.iter().cloned().zip(answers);
    let failed = before.filter_map(|(entry, answer)| Some((entry, answer.err()?)));
    let failed = failed.chain(named(entries, halt.failed)).collect();
    take_failures(failed, batch);
    halt.error.into()
}

/// Failures with the rows of the messages that they are about.
fn named(
    entries: &[LedgerEntry],
    failed: Vec<(RemoteId, ProviderError)>,
) -> impl Iterator<Item = (LedgerEntry, ProviderError)> {
    failed.into_iter().filter_map(|(id, error)| {
        let mut entries = entries.iter();
        let entry = entries.find(|entry| entry.remote_id == id)?;
        Some((entry.clone(), error))
    })
}

/// What failed by its own fault before the cycle ended: it counts.
fn take_failures(failed: Vec<(LedgerEntry, ProviderError)>, batch: &mut Batch) {
    for (entry, error) in failed {
        if let Weight::Item(code) = weigh(&error) {
            batch.failed.push(FailedItem {
                entry,
                code,
                identity: None,
                raw: None,
            });
        }
    }
}

/// What a failure of one message comes to.
pub(super) async fn take_failure(
    environment: &Environment,
    entry: LedgerEntry,
    identity: Option<ContentIdentity>,
    error: &ProviderError,
    batch: &mut Batch,
) -> Result<(), CycleStop> {
    match weigh(error) {
        Weight::Cycle(stop) => return Err(stop),
        Weight::Item(_) if planted!(FailedMessageSkipped) => {
            let evidence = GoneEvidence::NotFoundOnFetch;
            let event = LedgerEvent::Vanish { evidence };
            batch.settlements.push(Settlement::new(entry.id, event));
        }
        Weight::Item(code) if planted!(BadItemStopsMailbox) => {
            return Err(CycleFailure::new(code, error.to_string()).into());
        }
        Weight::Item(code) => batch.failed.push(FailedItem {
            entry,
            code,
            identity,
            raw: None,
        }),
        Weight::Vanished => {
            // One that is replayed may be kept here though the server has lost it.
            let kept = environment.store.quarantined_raw(entry.id).await?;
            if kept.is_some() {
                let code = Code::ItemNotFound;
                let raw = kept;
                batch.failed.push(FailedItem {
                    entry,
                    code,
                    identity,
                    raw,
                });
            } else {
                let evidence = GoneEvidence::NotFoundOnFetch;
                let event = LedgerEvent::Vanish { evidence };
                batch.settlements.push(Settlement::new(entry.id, event));
            }
        }
    }
    Ok(())
}

/// A message that is to be fetched.
#[derive(Debug)]
struct Wanted {
    tracked: Tracked,
    size: Option<u64>,
}

async fn decide_all(
    cycle: &Cycle<'_>,
    met: Vec<Met>,
    earlier: Vec<Arc<Provisional>>,
    batch: &mut Batch,
) -> Result<Vec<Wanted>, CycleStop> {
    if met.is_empty() {
        return Ok(Vec::new());
    }
    let knowledge = look_up(cycle, &met).await?;
    let settings = &cycle.loaded.organization.settings;
    let rules = &cycle.loaded.rules;
    let start = process_from(cycle.mailbox(), cycle.profile);
    let mut upcoming = Upcoming::default();
    for email in earlier {
        upcoming.push(email);
    }
    let mut wanted = Vec::new();
    let Knowledge {
        known,
        own,
        directory,
        mailboxes,
        correlation,
    } = knowledge;
    for (((mut met, mut known), own), (query, mut candidates)) in
        met.into_iter().zip(known).zip(own).zip(correlation)
    {
        let reported = met.reported.take();
        let own = own
            || reported
                .as_ref()
                .is_some_and(|of| of.entry.record.is_none());
        batch.reports.extend(reported);
        let headers = &met.headers.headers;
        upcoming.add_known(&mut known, &met.identity);
        let same = join_target(&met.identity, headers, &known);
        upcoming.add_candidates(&mut candidates, &query);
        let correlation = correlate(headers, &query, &candidates, rules);
        let from = sender(headers, &directory, cycle.mailbox(), &settings.parties);
        let recipients = resolved_recipients(
            headers,
            &directory,
            &mailboxes,
            cycle.mailbox(),
            &settings.parties,
        );
        let mut input = DecisionInput::new(headers, met.headers.received_at, cycle.mailbox());
        input.start = start;
        input.draft = met.headers.draft;
        input.own = own;
        input.sender = from;
        input.recipients = &recipients;
        input.known = same;
        input.correlation = correlation;
        input.internal_email_as_two_activities = settings.internal_email_as_two_activities;
        input.filter_of_mailbox_only = settings.filter_of_mailbox_only;
        let decision = decide(input);
        match decision.verdict {
            Verdict::Filter { reason } => {
                let event = LedgerEvent::Filter { reason };
                let mut settlement = Settlement::new(met.entry.id, event);
                settlement.identity = Some(met.identity);
                settlement.decision = Some(decision).filter(|_| !planted!(DecisionNotKept));
                batch.settlements.push(settlement);
            }
            Verdict::Join { record } => {
                batch
                    .joins
                    .push((met.entry, met.identity, decision, record));
            }
            Verdict::Track { .. } => {
                let record = placeholder(met.entry.id);
                batch.placeholders.insert(record);
                let matched = decision.correlation.matched;
                let token = matched
                    .filter(|matched| matched.method == CorrelationMethod::TrackingToken)
                    .and_then(|matched| {
                        let mut by_token = candidates.by_token.iter();
                        by_token.find(|email| email.record == matched.email)
                    })
                    .and_then(|email| email.token.clone());
                let index = index_entry(
                    record,
                    Direction::Incoming,
                    headers,
                    met.headers.received_at,
                    token,
                    matched.and_then(|matched| matched.regarding),
                    rules,
                );
                let mut email = KnownEmail::new(record, Direction::Incoming);
                email.key = Some(met.identity.key());
                email.message_ids = headers.message_id.iter().cloned().collect();
                let seen = Arc::new(Provisional {
                    known: email,
                    index: index.clone(),
                });
                upcoming.push(Arc::clone(&seen));
                batch.provisional.push(seen);
                let parties = email_parties(headers, &directory, from, &settings.parties);
                let owner = owner(
                    headers,
                    &directory,
                    &mailboxes,
                    cycle.mailbox(),
                    from,
                    &settings.parties,
                );
                wanted.push(Wanted {
                    size: met.headers.size.or(met.entry.size),
                    tracked: Tracked {
                        identity: met.identity,
                        queues: queues(&decision, &directory, cycle.mailbox()),
                        decision,
                        index,
                        received_at: met.headers.received_at,
                        parties,
                        owner,
                        raw: RawMessage::from_bytes(Vec::new()),
                        defects: Vec::new(),
                        entry: met.entry,
                    },
                });
            }
        }
    }
    Ok(wanted)
}

/// Fetches what is tracked, and parses what has come while the rest comes.
pub(super) async fn fetch(
    cycle: &Cycle<'_>,
    reading: &Reading<'_>,
    decided: Decided,
) -> Result<Batch, CycleStop> {
    let Decided { mut batch, wanted } = decided;
    match fetch_wanted(cycle, reading, wanted, &mut batch).await {
        Ok(()) => Ok(batch),
        Err(stop) => batch.halted(stop),
    }
}

async fn fetch_wanted(
    cycle: &Cycle<'_>,
    reading: &Reading<'_>,
    wanted: Vec<Wanted>,
    batch: &mut Batch,
) -> Result<(), CycleStop> {
    let bounds = &cycle.environment.bounds;
    let mut limits = ParseLimits::default();
    limits.message_bytes_max = cycle.loaded.organization.settings.message_bytes_max;
    let mut parsing = Parsing::new(limits, cycle.environment.inline_parsing);
    let mut by_folder: BTreeMap<FolderId, Vec<Wanted>> = BTreeMap::new();
    for one in wanted {
        let folder = one.tracked.entry.folder.clone();
        by_folder.entry(folder).or_default().push(one);
    }
    let mut groups_of = VecDeque::new();
    for (folder, wanted) in by_folder {
        let sizes: Vec<_> = wanted.iter().map(|one| one.size).collect();
        let mut wanted = wanted.into_iter();
        for group in groups(&sizes, reading.request_max, bounds.batch_bytes) {
            let group: Vec<_> = wanted.by_ref().take(group).map(|one| one.tracked).collect();
            groups_of.push_back((folder.clone(), group));
        }
    }
    let side_by_side = requests_side_by_side(cycle);
    let mut asked = FuturesOrdered::new();
    loop {
        while asked.len() < side_by_side
            && let Some((folder, group)) = groups_of.pop_front()
        {
            asked.push_back(fetch_group(cycle, reading, folder, group));
        }
        let Some(answered) = asked.next().await else {
            break;
        };
        let (group, answers) = match answered {
            Ok(answered) => answered,
            Err(halted) => {
                let mut halts = vec![halted];
                // What is under way comes to its end, for the sake of what it says about messages.
                while let Some(answered) = asked.next().await {
                    halts.extend(answered.err());
                }
                return Err(halted_at(halts, batch));
            }
        };
        let mut fetched = Vec::with_capacity(group.len());
        for (mut tracked, answer) in group.into_iter().zip(answers) {
            match answer {
                Ok(message) => {
                    tracked.raw = message.raw;
                    tracked.defects = message.defects;
                    fetched.push(tracked);
                }
                Err(error) => {
                    let identity = Some(tracked.identity);
                    let environment = cycle.environment;
                    take_failure(environment, tracked.entry, identity, &error, batch).await?;
                }
            }
        }
        parsing.begin(fetched);
    }
    for parsed in parsing.finish().await? {
        match parsed {
            Ok(parsed) => batch.tracked.push(parsed),
            Err(failed) => batch.failed.push(*failed),
        }
    }
    batch
        .tracked
        .sort_by_key(|(tracked, _)| tracked.received_at);
    Ok(())
}

/// So many requests for content are under way at a time: while the server makes up one answer, another
/// is read. Where connections are few, others are left theirs.
const fn requests_side_by_side(cycle: &Cycle<'_>) -> usize {
    if cycle.profile.connections_max >= 4 {
        2
    } else {
        1
    }
}

/// What is to be fetched together, and what came of it.
type Fetched = (Vec<Tracked>, Vec<ProviderResult<FetchedMessage>>);

/// Groups that ended before all of them was answered: why, and the failures that count.
fn halted_at(halts: Vec<(Vec<LedgerEntry>, Halt)>, batch: &mut Batch) -> CycleStop {
    let mut stop = None;
    for (entries, halt) in halts {
        let why = halted::<()>(&entries, Vec::new(), halt, batch);
        stop.get_or_insert(why);
    }
    stop.unwrap_or(CycleStop::Cancelled)
}

async fn fetch_group(
    cycle: &Cycle<'_>,
    reading: &Reading<'_>,
    folder: FolderId,
    group: Vec<Tracked>,
) -> Result<Fetched, (Vec<LedgerEntry>, Halt)> {
    let ids: Vec<_> = group
        .iter()
        .map(|one| one.entry.remote_id.clone())
        .collect();
    let answers = match reading.fetch(cycle, &folder, &ids).await {
        Ok(answers) => answers,
        Err(halt) => {
            let entries = group.into_iter().map(|one| one.entry).collect();
            return Err((entries, halt));
        }
    };
    let queue = !matches!(cycle.mailbox().owner, MailboxOwner::User(_));
    if planted!(DeleteBeforeRecord) && queue && cycle.mailbox().delete_after_processing {
        let mode = DeleteMode::ToDeletedItems;
        if let Ok(ctx) = cycle.op().await {
            let _ = reading.source.delete(&ctx, &folder, &ids, mode).await;
        }
    }
    Ok((group, answers))
}

fn by_folder(entries: Vec<LedgerEntry>) -> BTreeMap<FolderId, Vec<LedgerEntry>> {
    let mut folders: BTreeMap<FolderId, Vec<LedgerEntry>> = BTreeMap::new();
    for entry in entries {
        folders.entry(entry.folder.clone()).or_default().push(entry);
    }
    folders
}

fn ids(entries: &[LedgerEntry]) -> Vec<RemoteId> {
    entries
        .iter()
        .map(|entry| entry.remote_id.clone())
        .collect()
}

/// The raw form of a message whose headers could not be read, for the quarantine.
pub(super) async fn raw_of(
    cycle: &Cycle<'_>,
    reading: &Reading<'_>,
    entry: &LedgerEntry,
) -> Option<RawMessage> {
    let ids = std::slice::from_ref(&entry.remote_id);
    let answers = reading.fetch(cycle, &entry.folder, ids).await;
    let answer = answers.ok()?.pop()?;
    answer.ok().map(|message| message.raw)
}
