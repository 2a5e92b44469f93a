//! Why a message was or was not recorded or sent, on what evidence, and what comes next. Promise 11.

use postroom_core::alert::Subject;
use postroom_core::approval::{Purpose, gate};
use postroom_core::email::MessageId;
use postroom_core::ledger::{LedgerEntry, LedgerState};
use postroom_core::outbox::{OutboxEntry, OutboxState, SendPhase};
use postroom_core::principal::Principal;
use postroom_core::tracking::{Decision, StepOutcome, Verdict};
use postroom_core::{LedgerId, MailboxId, OutboxId, RecordId, Timestamp, Workload};
use postroom_store::{KnownQuery, LedgerFilter, OutboxFilter, Page};
use serde::Serialize;

use super::Admin;
use super::overview::why;
use crate::error::{EngineError, Result};
use crate::plan::authorize::Right;

/// At most so many rows are explained at once.
const ROWS_MAX: u32 = 100;
/// At most so many ledger rows are looked through for the server's id of a message.
const SCAN_MAX: u64 = 200_000;

/// What is explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[expect(clippy::exhaustive_enums, reason = "a message comes in or goes out")]
pub enum ExplanationKind {
    /// A message that was met in a mailbox.
    Incoming {
        /// Its ledger row.
        entry: LedgerEntry,
    },
    /// An email that was to be sent.
    Outgoing {
        /// Its outbox entry.
        entry: OutboxEntry,
    },
}

/// Why a message is where it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The row itself, with the decision where there is one.
    #[serde(flatten)]
    pub kind: ExplanationKind,
    /// The mailbox's name.
    pub mailbox: String,
    /// The state in one sentence.
    pub state: String,
    /// The evidence, step by step, for people.
    pub evidence: Vec<String>,
    /// When something happens next by itself; `None` where nothing does.
    pub next: Option<Timestamp>,
    /// Why it has not happened yet, or that nothing will.
    pub why_not_yet: Option<String>,
}

impl Admin {
    /// Explains a message by its ledger id, outbox id, record id, Message-ID or the server's id:
    /// one explanation for each copy that is known.
    ///
    /// A Message-ID finds email that is on record or in the outbox. One that was refused is found by
    /// its ledger id or the server's id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn explain(&self, principal: &Principal, text: &str) -> Result<Vec<Explanation>> {
        const ACTION: &str = "explain";
        self.allow(principal, Right::ReadMailbox, ACTION, Subject::Organization)
            .await?;
        let (incoming, outgoing) = self.find(text.trim()).await?;
        let mut explanations = Vec::new();
        for entry in outgoing {
            explanations.push(self.outgoing_explained(entry).await?);
        }
        for entry in incoming {
            explanations.push(self.incoming_explained(entry).await?);
        }
        if explanations.is_empty() {
            return Err(EngineError::not_found(ACTION, "message"));
        }
        Ok(explanations)
    }

    async fn find(&self, text: &str) -> Result<(Vec<LedgerEntry>, Vec<OutboxEntry>)> {
        let store = &self.environment.store;
        if let Ok(id) = text.parse::<LedgerId>()
            && let Some(entry) = store.ledger_entry(id).await?
        {
            return Ok((vec![entry], Vec::new()));
        }
        if let Ok(id) = text.parse::<OutboxId>()
            && let Some(entry) = store.outbox_entry(id).await?
        {
            return Ok((Vec::new(), vec![entry]));
        }
        if let Ok(id) = text.parse::<RecordId>() {
            let found = self.of_record(id).await?;
            if !found.0.is_empty() || !found.1.is_empty() {
                return Ok(found);
            }
        }
        if let Ok(id) = text.parse::<MessageId>() {
            let found = self.of_message_id(id).await?;
            if !found.0.is_empty() || !found.1.is_empty() {
                return Ok(found);
            }
        }
        Ok((self.of_remote_id(text).await?, Vec::new()))
    }

    async fn of_record(&self, record: RecordId) -> Result<(Vec<LedgerEntry>, Vec<OutboxEntry>)> {
        let store = &self.environment.store;
        let mut rows = LedgerFilter::default();
        rows.record = Some(record);
        let mut entries = OutboxFilter::default();
        entries.record = Some(record);
        Ok((
            store.ledger(&rows, Page::first(ROWS_MAX)).await?,
            store.outbox(&entries, Page::first(ROWS_MAX)).await?,
        ))
    }

    async fn of_message_id(&self, id: MessageId) -> Result<(Vec<LedgerEntry>, Vec<OutboxEntry>)> {
        let store = &self.environment.store;
        let own = id.as_str().split('@').next().unwrap_or_default();
        if let Ok(outbox) = own.parse::<OutboxId>()
            && let Some(entry) = store.outbox_entry(outbox).await?
        {
            match entry.record {
                Some(record) => return self.of_record(record).await,
                None => return Ok((Vec::new(), vec![entry])),
            }
        }
        let nothing = postroom_core::email::ContentKey::from_bytes([0; 32]);
        let known = store
            .known_emails(&[KnownQuery::new(nothing, Some(id))])
            .await?;
        let (mut rows, mut entries) = (Vec::new(), Vec::new());
        for email in known.into_iter().flatten().take(10) {
            let (more_rows, more_entries) = self.of_record(email.record).await?;
            rows.extend(more_rows);
            entries.extend(more_entries);
        }
        Ok((rows, entries))
    }

    async fn of_remote_id(&self, text: &str) -> Result<Vec<LedgerEntry>> {
        let mut page = Page::first(5000);
        while page.offset < SCAN_MAX {
            let rows = self
                .environment
                .store
                .ledger(&LedgerFilter::default(), page)
                .await?;
            if rows.is_empty() {
                break;
            }
            let found: Vec<_> = rows
                .into_iter()
                .filter(|row| row.remote_id.as_str() == text)
                .collect();
            if !found.is_empty() {
                return Ok(found);
            }
            page = page.next();
        }
        Ok(Vec::new())
    }

    async fn incoming_explained(&self, entry: LedgerEntry) -> Result<Explanation> {
        let (mailbox, schedule, due) = self.schedule(entry.mailbox, Workload::Incoming).await?;
        let mut evidence = vec![match entry.received_at {
            Some(at) => format!(
                "the server received it at {at}; first listed at {}",
                entry.first_seen
            ),
            None => format!("first listed at {}", entry.first_seen),
        }];
        if let Some(decision) = &entry.decision {
            evidence.extend(decision_evidence(decision));
        }
        let (state, next, why_not_yet) = match &entry.state {
            LedgerState::Pending {
                attempts,
                not_before,
                last,
            } => {
                let state = match last {
                    Some(code) => format!(
                        "pending after {attempts} attempts; the last met {code}: {}",
                        code.spec().summary
                    ),
                    None => "pending: not worked on yet".to_owned(),
                };
                (state, due.map(|due| due.max(*not_before)), Some(schedule))
            }
            LedgerState::Delivered { record, created } => {
                let how = if *created { "recorded as" } else { "joined to" };
                (format!("delivered: {how} {record}"), None, None)
            }
            LedgerState::Filtered { reason } => (
                format!("filtered: {reason:?}"),
                None,
                Some("nothing happens by itself; replay it once a setting was changed".to_owned()),
            ),
            LedgerState::Quarantined { code, raw_kept } => {
                let kept = if *raw_kept {
                    "its raw form is kept"
                } else {
                    "it could not be fetched"
                };
                (
                    format!("set aside after repeated failure with {code}; {kept}"),
                    None,
                    Some(format!("nothing happens by itself: {}", code.spec().remedy)),
                )
            }
            LedgerState::Gone { evidence } => (
                format!("gone from the server before it could be fetched: {evidence:?}"),
                None,
                Some("nothing happens by itself".to_owned()),
            ),
        };
        Ok(Explanation {
            kind: ExplanationKind::Incoming { entry },
            mailbox,
            state,
            evidence,
            next,
            why_not_yet,
        })
    }

    async fn outgoing_explained(&self, entry: OutboxEntry) -> Result<Explanation> {
        let (mailbox, schedule, due) = self.schedule(entry.mailbox, Workload::Outgoing).await?;
        let mut evidence = vec![
            format!(
                "composed at {} with Message-ID {}",
                entry.created_at, entry.message_id
            ),
            format!("to {} recipients", entry.recipients.len()),
        ];
        if let Some(token) = &entry.token {
            evidence.push(format!("token {token} was added to its subject"));
        }
        let (state, next, why_not_yet) = match &entry.state {
            OutboxState::PendingSend {
                attempts,
                not_before,
                last,
            } => {
                let state = match last {
                    Some(code) => format!(
                        "waits after {attempts} attempts; the last met {code}: {}",
                        code.spec().summary
                    ),
                    None => "waits to be sent".to_owned(),
                };
                (state, due.map(|due| due.max(*not_before)), Some(schedule))
            }
            OutboxState::Sending { attempt, phase } => {
                let how = match phase {
                    SendPhase::Staging => "a draft is being made",
                    SendPhase::Submitting { .. } => "it is being handed over",
                };
                (
                    format!("attempt {attempt} is under way: {how}"),
                    due,
                    Some(schedule),
                )
            }
            OutboxState::Sent { receipt, at } => {
                if receipt.reconciled {
                    evidence.push("the sent copy was found on the server".to_owned());
                }
                if !receipt.refused.is_empty() {
                    evidence.push(format!("{} recipients were refused", receipt.refused.len()));
                }
                evidence.extend(receipt.deliveries.iter().map(|said| {
                    let status = said.status.as_deref().unwrap_or("no status");
                    let outcome = said.outcome.name();
                    format!(
                        "{}: {outcome} ({status}), told at {}",
                        said.address, said.at
                    )
                }));
                (format!("sent, known since {at}"), None, None)
            }
            OutboxState::Failed { code } => (
                format!("not sent: {}", code.spec().summary),
                None,
                Some(format!("nothing happens by itself: {}", code.spec().remedy)),
            ),
            OutboxState::Unknown { code, since } => (
                format!("unknown since {since}: {}", code.spec().summary),
                None,
                Some(format!(
                    "it is never sent again by itself: {}",
                    code.spec().remedy
                )),
            ),
        };
        Ok(Explanation {
            kind: ExplanationKind::Outgoing { entry },
            mailbox,
            state,
            evidence,
            next,
            why_not_yet,
        })
    }

    /// The mailbox's name, why its workload is due when it is, and when that is.
    async fn schedule(
        &self,
        id: MailboxId,
        workload: Workload,
    ) -> Result<(String, String, Option<Timestamp>)> {
        let now = self.environment.now();
        let loaded = self.environment.load(id).await?;
        let profile = loaded.profile.as_deref();
        let closed = gate(
            &loaded.organization,
            &loaded.mailbox,
            profile,
            workload,
            Purpose::Process,
        )
        .err();
        let mut text = why(&loaded.mailbox, workload, closed, now);
        if let Some(until) =
            profile.and_then(|profile| self.environment.breakers.open_until(profile.id))
        {
            text = format!(
                "the profile is paused until {until} because its server is in trouble; {text}"
            );
        }
        let due = match closed {
            Some(_) => None,
            None => loaded.mailbox.workload(workload).next_due,
        };
        Ok((loaded.mailbox.name, text, due))
    }
}

fn decision_evidence(decision: &Decision) -> Vec<String> {
    let mut lines = Vec::new();
    for step in &decision.correlation.steps {
        if step.outcome != StepOutcome::NotApplicable {
            lines.push(format!(
                "correlation by {}: {} ({})",
                snake(&step.method),
                snake(&step.outcome),
                step.note
            ));
        }
    }
    lines.push(match decision.sender {
        Some((id, kind)) => format!("the sender is the {} {id}", kind.as_str()),
        None => "the sender is nobody on record".to_owned(),
    });
    for recipient in &decision.recipients {
        let accepted = match recipient.accepted {
            Some(reason) => format!("accepts it: {}", snake(&reason)),
            None => "does not accept it".to_owned(),
        };
        lines.push(format!(
            "the filter {} of {} {accepted}",
            snake(&recipient.filter),
            recipient.party
        ));
    }
    let verdict = match decision.verdict {
        Verdict::Track { .. } => "to be recorded",
        Verdict::Join { .. } => "joined",
        Verdict::Filter { .. } => "not recorded",
    };
    lines.push(format!("{verdict}: {}", decision.because));
    lines
}

/// The name of a value as it stands in JSON.
fn snake(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}
