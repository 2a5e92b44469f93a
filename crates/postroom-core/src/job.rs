//! Background jobs: durable, with visible progress.

use serde::{Deserialize, Serialize};

use crate::catalogue::Code;
use crate::id::{JobId, MailboxId, ProfileId};
use crate::mailbox::Workload;
use crate::time::Timestamp;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobKind {
    /// Test the mailbox, enable what passes. Source: seed 000, "Test & Enable".
    TestAndEnable,
    /// Test without side effects: nothing is sent, nothing is enabled.
    TestOnly,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "runner and listings match every state"
)]
pub enum JobState {
    /// Waiting.
    Queued,
    /// Under way, or was when the process ended: then it is run again.
    Running,
    /// Done; the report says with what outcome.
    Done,
}

/// One step of a test, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TestStep {
    /// The workload that it belongs to; `None` for those that all share.
    pub workload: Option<Workload>,
    /// The step, such as `authenticate`.
    pub name: String,
    /// The failure, if it failed.
    pub failure: Option<Code>,
    /// Whether it was not reached because an earlier one failed.
    pub skipped: bool,
    /// What was seen, for people; bounded, without secrets.
    pub evidence: String,
}

impl TestStep {
    /// A step that passed.
    #[must_use]
    pub fn passed(
        workload: Option<Workload>,
        name: impl Into<String>,
        evidence: impl Into<String>,
    ) -> Self {
        Self {
            workload,
            name: name.into(),
            failure: None,
            skipped: false,
            evidence: evidence.into(),
        }
    }

    /// A step that failed.
    #[must_use]
    pub fn failed(
        workload: Option<Workload>,
        name: impl Into<String>,
        code: Code,
        evidence: impl Into<String>,
    ) -> Self {
        Self {
            failure: Some(code),
            ..Self::passed(workload, name, evidence)
        }
    }

    /// A step that was not reached.
    #[must_use]
    pub fn skipped(workload: Option<Workload>, name: impl Into<String>) -> Self {
        Self {
            skipped: true,
            ..Self::passed(workload, name, "")
        }
    }
}

/// A background job for one mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// For which mailbox.
    pub mailbox: MailboxId,
    /// Who asked for it.
    pub requested_by: String,
    /// When.
    pub requested_at: Timestamp,
    /// How far it is.
    pub state: JobState,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The steps so far.
    pub steps: Vec<TestStep>,
    /// The first job of those that were asked for together; its own id where it is the first.
    #[serde(default)]
    pub batch: Option<JobId>,
    /// The profile of the mailbox when the test was asked for: one profile must not keep the others
    /// from being tested.
    #[serde(default)]
    pub profile: Option<ProfileId>,
    /// Once incoming email is enabled, email received from then on is processed.
    #[serde(default)]
    pub incoming_from: Option<Timestamp>,
}

impl Job {
    /// A job that waits.
    #[must_use]
    pub fn queued(
        id: JobId,
        kind: JobKind,
        mailbox: MailboxId,
        requested_by: impl Into<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            kind,
            mailbox,
            requested_by: requested_by.into(),
            requested_at: now,
            state: JobState::Queued,
            finished_at: None,
            steps: Vec::new(),
            batch: None,
            profile: None,
            incoming_from: None,
        }
    }

    /// The first failure, where a step failed.
    #[must_use]
    pub fn first_failure(&self) -> Option<Code> {
        self.steps.iter().find_map(|step| step.failure)
    }
}
