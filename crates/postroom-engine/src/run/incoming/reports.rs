//! Delivery status notifications: read before they are decided about, as their body tells what they belong to;
//! and what they say goes to the email that they report on.

use std::collections::BTreeMap;
use std::time::Duration;

use postroom_core::alert::Subject;
use postroom_core::email::{DeliveryOutcome, DeliveryReport, RecipientDelivery};
use postroom_core::ledger::{FolderId, LedgerEvent};
use postroom_core::outbox::{OutboxEntry, OutboxEvent, OutboxState};
use postroom_core::tracking::CorrelationQuery;
use postroom_core::{Code, Timestamp, Workload};
use postroom_mime::{ParseLimits, delivery_report};
use postroom_store::{ErrorKind, IncidentPattern, OutboxFilter, Page, Settlement};

use crate::environment::Environment;
use crate::plan::alerts::About;
use crate::plan::failure::CycleStop;
use crate::run::cycle::Cycle;
use crate::run::message::outbox_id;

use super::Reading;
use super::prepare::{Batch, Met, halted, take_failure};

/// A report may be faster than the answer to the submission: so long its email's own cycle is left to find
/// out that it was sent.
const SUBMISSION_TIME_MAX: Duration = Duration::from_secs(10 * 60);
/// Until then the report is put off.
const LATER: Duration = Duration::from_secs(60);
/// So often a state that others change, too, is tried to be changed.
const CONFLICTS_MAX: u32 = 5;

/// A report and the outgoing email that it is about, where that is one of ours.
#[derive(Debug)]
pub(super) struct Reported {
    pub(super) report: DeliveryReport,
    pub(super) entry: OutboxEntry,
}

/// Reads those messages of a batch that look like reports. What cannot be read, or has to wait, leaves the
/// batch.
pub(super) async fn read_reports(
    cycle: &Cycle<'_>,
    reading: &Reading<'_>,
    met: Vec<Met>,
    batch: &mut Batch,
) -> Result<Vec<Met>, CycleStop> {
    if !met.iter().any(|met| met.headers.headers.delivery_report) {
        return Ok(met);
    }
    let mut limits = ParseLimits::default();
    limits.message_bytes_max = cycle.loaded.organization.settings.message_bytes_max;
    let mut read = Vec::with_capacity(met.len());
    let mut by_folder: BTreeMap<FolderId, Vec<Met>> = BTreeMap::new();
    for met in met {
        if met.headers.headers.delivery_report {
            let folder = met.entry.folder.clone();
            by_folder.entry(folder).or_default().push(met);
        } else {
            read.push(met);
        }
    }
    for (folder, reports) in by_folder {
        let mut answers = Vec::with_capacity(reports.len());
        let ids: Vec<_> = reports
            .iter()
            .map(|met| met.entry.remote_id.clone())
            .collect();
        for ids in ids.chunks(reading.request_max) {
            match reading.fetch(cycle, &folder, ids).await {
                Ok(all) => answers.extend(all),
                Err(halt) => {
                    let entries: Vec<_> = reports.into_iter().map(|met| met.entry).collect();
                    return Err(halted(&entries, answers, halt, batch));
                }
            }
        }
        for (mut met, answer) in reports.into_iter().zip(answers) {
            let message = match answer {
                Ok(message) => message,
                Err(error) => {
                    let identity = Some(met.identity);
                    take_failure(cycle.environment, met.entry, identity, &error, batch).await?;
                    continue;
                }
            };
            let at = met.headers.received_at;
            // A report that cannot be read is a message like any other.
            if let Ok(Some(report)) = delivery_report(&message.raw, at, &limits) {
                met.headers.headers.reported.clone_from(&report.message_id);
                met.reported = reported(cycle.environment, report).await?;
            }
            let environment = cycle.environment;
            match &met.reported {
                Some(reported) if has_to_wait(&reported.entry.state, at, environment.now()) => {
                    let event = LedgerEvent::Postpone {
                        code: Code::OutcomeUnknown,
                        not_before: environment.now().plus(LATER),
                    };
                    batch.settlements.push(Settlement::new(met.entry.id, event));
                }
                _ => read.push(met),
            }
        }
    }
    read.sort_by_key(|met| met.headers.received_at);
    Ok(read)
}

/// Whether the email is under way still, so that its own cycle will know in a moment.
fn has_to_wait(state: &OutboxState, told_at: Timestamp, now: Timestamp) -> bool {
    matches!(state, OutboxState::Sending { .. }) && now < told_at.plus(SUBMISSION_TIME_MAX)
}

/// The outgoing email that a report is about: by the Message-ID that it was given, or by the one that a server
/// put in its place.
async fn reported(
    environment: &Environment,
    report: DeliveryReport,
) -> Result<Option<Reported>, CycleStop> {
    let Some(message_id) = report.message_id.clone() else {
        return Ok(None);
    };
    let store = &environment.store;
    let local = message_id.as_str().split('@').next();
    if let Some(id) = local.and_then(outbox_id)
        && let Some(entry) = store.outbox_entry(id).await?
    {
        return Ok(Some(Reported { report, entry }));
    }
    let mut query = CorrelationQuery::default();
    query.message_ids = vec![message_id];
    let found = store.candidates(&[query]).await?.pop().unwrap_or_default();
    let Some(email) = found.by_message_id.into_iter().next() else {
        return Ok(None);
    };
    let mut filter = OutboxFilter::default();
    filter.record = Some(email.record);
    let entry = store.outbox(&filter, Page::first(1)).await?.pop();
    Ok(entry.map(|entry| Reported { report, entry }))
}

/// Notes what was said about an email's recipients, and tells who has to know. Doing it again changes
/// nothing.
pub(super) async fn note(cycle: &Cycle<'_>, reported: &Reported) -> Result<(), CycleStop> {
    let environment = cycle.environment;
    let store = &environment.store;
    let deliveries = reported.report.about(&reported.entry.recipients);
    let mut entry = reported.entry.clone();
    for tried in 1..=CONFLICTS_MAX {
        let now = environment.now();
        let event = OutboxEvent::Report {
            deliveries: deliveries.clone(),
            at: now,
        };
        // In any other state somebody has decided about it meanwhile.
        let Ok(next) = entry.state.next(&event) else {
            return Ok(());
        };
        if next == entry.state {
            return Ok(());
        }
        if let (OutboxState::Unknown { .. }, Some(record)) = (&entry.state, entry.record) {
            let doubt = IncidentPattern::about(Subject::Record(record));
            store.close_alerts(&doubt, now).await?;
        }
        // Raised first: a crash in between raises it again, and it is one incident.
        alert(cycle, &entry, failed(&next)).await?;
        let advanced = store.advance_outgoing(None, entry.id, &entry.state, &next, None);
        match advanced.await {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Conflict && tried < CONFLICTS_MAX => {
                match store.outbox_entry(entry.id).await? {
                    Some(current) => entry = current,
                    None => return Ok(()),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn failed(state: &OutboxState) -> Vec<&RecipientDelivery> {
    match state {
        OutboxState::Sent { receipt, .. } => receipt
            .deliveries
            .iter()
            .filter(|said| said.outcome == DeliveryOutcome::Failed)
            .collect(),
        _ => Vec::new(),
    }
}

/// Tells the owner of the mailbox that sent it, where somebody will not get it who was not told of before.
async fn alert(
    cycle: &Cycle<'_>,
    entry: &OutboxEntry,
    failed_now: Vec<&RecipientDelivery>,
) -> Result<(), CycleStop> {
    let known = failed(&entry.state);
    let new = failed_now.iter().any(|said| !known.contains(said));
    let (true, Some(record)) = (new, entry.record) else {
        return Ok(());
    };
    let code = Code::DeliveryFailed;
    let mailbox = cycle.environment.store.mailbox(entry.mailbox).await?;
    let about = About {
        record: Some(record),
        mailbox: mailbox.as_ref(),
        profile: (entry.mailbox == cycle.mailbox().id).then_some(cycle.profile),
        workload: Some(Workload::Outgoing),
    };
    let mut details = BTreeMap::new();
    details.insert("outbox".to_owned(), entry.id.to_string());
    details.insert("recipients".to_owned(), failed_now.len().to_string());
    if let Some(status) = failed_now.iter().find_map(|said| said.status.clone()) {
        details.insert("status".to_owned(), status);
    }
    let settings = &cycle.loaded.organization.settings.alerts;
    cycle
        .environment
        .raise(code, code.spec().level, &about, details, settings)
        .await?;
    Ok(())
}
