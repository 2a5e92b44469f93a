//! What can be observed of a run at one moment.

use std::time::Duration;

use postroom_core::alert::Alert;
use postroom_core::ledger::LedgerState;
use postroom_core::outbox::OutboxState;
use postroom_core::tracking::CorrelationMethod;
use postroom_core::{LedgerId, Mailbox, MailboxId, OutboxId, PartyId, RecordId, Timestamp};

use crate::history::Entry;

/// What can be observed, and what really happened.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// What really happened.
    pub history: Vec<Entry>,
    /// True time of the observation.
    pub now: Duration,
    /// What the engine's clock says then.
    pub clock: Timestamp,
    /// Whether the faults have stopped and the world was given its time to settle: only then is
    /// judged what takes time.
    pub settled: bool,
    /// All emails on record.
    pub records: Vec<Record>,
    /// The ledger.
    pub ledger: Vec<Row>,
    /// The outbox.
    pub outbox: Vec<Outgoing>,
    /// Alerts, open and closed.
    pub alerts: Vec<Alert>,
    /// Mailboxes as stored.
    pub mailboxes: Vec<Mailbox>,
    /// Every message in every folder of every account.
    pub copies: Vec<Copy>,
    /// What left for the world outside, one for each submission.
    pub outside: Vec<Outside>,
    /// What the engine answers when it is asked to explain rows; `None` where nobody asked.
    pub explained: Vec<Explained>,
    /// Tests that have not come to an end, by id.
    pub open_jobs: Vec<String>,
    /// Emails on record and the tokens that they were sent with.
    pub tokens: Vec<(RecordId, String)>,
    /// Emails that lie in queues.
    pub queued: Vec<(PartyId, RecordId)>,
    /// What the engine says about workloads.
    pub workloads: Vec<WorkloadShown>,
    /// Everything written or said in which a secret might stand: log, alerts, errors, answers,
    /// bytes of files.
    pub texts: Vec<Text>,
}

/// An email on record.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its id.
    pub id: RecordId,
    /// The marker in its content.
    pub marker: Option<String>,
    /// Whether it came in (else somebody wrote it in the application).
    pub incoming: bool,
    /// The status, in the application's word: `received`, `pending_send`, `sent`, ...
    pub status: String,
    /// The email that it belongs to.
    pub correlated: Option<RecordId>,
    /// How that was found.
    pub method: Option<CorrelationMethod>,
    /// Whether the bytes on record are those that arrived; `None` where the world cannot tell.
    pub intact: Option<bool>,
}

/// A row of the ledger.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its id.
    pub id: LedgerId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The folder, as its provider spells it.
    pub folder: String,
    /// The message, spelled as in the history.
    pub remote: String,
    /// When it was first listed, on the engine's clock.
    pub first_seen: Timestamp,
    /// Its state.
    pub state: LedgerState,
}

/// An entry of the outbox.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its id.
    pub id: OutboxId,
    /// The mailbox that sends it.
    pub mailbox: MailboxId,
    /// The record; `None` for Postroom's own messages.
    pub record: Option<RecordId>,
    /// Its state.
    pub state: OutboxState,
}

/// A message in a folder.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Whose mailbox, by address.
    pub account: String,
    /// The folder's name; well-known ones without blanks: `Inbox`,
    /// `SentItems`, `Drafts`, `Outbox`, `DeletedItems`.
    pub folder: String,
    /// Its id, spelled as in the history.
    pub remote: String,
    /// The marker in its content.
    pub marker: Option<String>,
    /// The author's address.
    pub from: String,
    /// The addresses in To and Cc.
    pub to: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The Message-ID, as it stands in the header.
    pub message_id: String,
    /// Whether it is a draft.
    pub draft: bool,
}

/// A message that left.
#[derive(Clone, Debug)]
pub struct Outside {
    /// The envelope's sender; empty for a server's reports.
    pub sender: String,
    /// The recipients outside.
    pub recipients: Vec<String>,
    /// The marker in its content.
    pub marker: Option<String>,
    /// The subject.
    pub subject: String,
    /// The author's address in the header.
    pub from: String,
    /// The addresses in To and Cc.
    pub named: Vec<String>,
    /// Whether a header names somebody who was to get a blind copy; `None` where nobody was.
    pub shows_bcc: Option<bool>,
}

/// An answer to "why".
#[derive(Clone, Debug)]
pub struct Explained {
    /// What was asked about.
    pub what: String,
    /// The answer: how the state is described, the evidence, when next, why not yet; an error's
    /// code where there was none.
    pub answer: Result<Answer, String>,
}

/// What an explanation says.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The state in a sentence.
    pub state: String,
    /// The evidence.
    pub evidence: Vec<String>,
    /// Whether it says when something happens next.
    pub next: bool,
    /// Why it has not happened yet.
    pub why_not_yet: Option<String>,
    /// The state's name: `pending`, `filtered`, `sent`, ...
    pub name: &'static str,
}

/// What the engine says about a workload.
#[derive(Clone, Debug)]
pub struct WorkloadShown {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// `incoming`, `outgoing` or `items`.
    pub workload: &'static str,
    /// When it is due and why, or why not at all.
    pub why: String,
}

/// Something written or said.
#[derive(Clone, Debug)]
pub struct Text {
    /// Where.
    pub source: String,
    /// What.
    pub bytes: Vec<u8>,
}

impl View {
    /// The record with that id.
    #[must_use]
    pub fn record(&self, id: RecordId) -> Option<&Record> {
        self.records.iter().find(|record| record.id == id)
    }

    /// What the engine's clock said at a moment of true time, as far as it has not jumped since.
    #[must_use]
    pub fn age(&self, at: Timestamp) -> Duration {
        self.clock.since(at)
    }
}
