//! What a test of a profile's connection found, step by step. Source: domain section 1, "Test
//! Connection".

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::EmailAddress;
use crate::catalogue::Code;
use crate::time::Timestamp;

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "reports show every outcome")]
pub enum StepOutcome {
    /// It works.
    Passed,
    /// It does not.
    Failed(Code),
    /// An earlier step failed, or there was nothing to try it with.
    NotReached,
}

/// One step on the way to a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectionStep {
    /// The step: `resolve`, `connect`, `tls`, `http`, `authenticate`, `impersonate`, `open inbox`.
    pub name: String,
    /// What came of it.
    pub outcome: StepOutcome,
    /// What was seen, for people; bounded, without secrets.
    pub evidence: String,
}

impl ConnectionStep {
    /// A step with what came of it.
    #[must_use]
    pub fn new(name: impl Into<String>, outcome: StepOutcome, evidence: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            outcome,
            evidence: evidence.into(),
        }
    }
}

/// Which settings of a profile were tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "there are two directions")]
pub enum Direction {
    /// Those that carry both directions.
    Both,
    /// Those of incoming email.
    Incoming,
    /// Those of outgoing email.
    Outgoing,
}

impl Direction {
    /// The stable text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Incoming => "incoming",
            Self::Outgoing => "outgoing",
        }
    }
}

/// How far one direction came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DirectionTest {
    /// Which direction.
    pub direction: Direction,
    /// The steps in order.
    pub steps: Vec<ConnectionStep>,
}

impl DirectionTest {
    /// The steps of a direction.
    #[must_use]
    pub const fn new(direction: Direction, steps: Vec<ConnectionStep>) -> Self {
        Self { direction, steps }
    }
}

/// What a test of a connection came to. Source: domain section 1, `LastTestExecutionStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the three of the reference")]
pub enum TestOutcome {
    /// Every step passed.
    Success,
    /// None failed, but not all of them could be tried.
    Warning,
    /// A step failed.
    Failure,
}

/// A test of a profile's connection.
///
/// ```
/// use postroom_core::connection::*;
/// use postroom_core::{Code, Timestamp};
/// use std::time::Duration;
/// let failed = StepOutcome::Failed(Code::NameNotResolved);
/// let steps = vec![
///     ConnectionStep::new("resolve", failed, "no address for that name"),
///     ConnectionStep::new("connect", StepOutcome::NotReached, ""),
/// ];
/// let test = ConnectionTest::new(
///     Timestamp::EPOCH,
///     Duration::ZERO,
///     "admin",
///     None,
///     vec![DirectionTest::new(Direction::Both, steps)],
/// );
/// assert_eq!(test.outcome(), TestOutcome::Failure);
/// let (direction, step, code) = test.first_cause().unwrap();
/// assert_eq!((direction, step.name.as_str()), (Direction::Both, "resolve"));
/// assert!(code.spec().remedy.contains("Check the server location"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectionTest {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Who asked for it.
    pub by: String,
    /// The mailbox that was opened; `None` where the account was tried alone.
    pub mailbox: Option<EmailAddress>,
    /// One entry, or two where the directions have settings of their own.
    pub directions: Vec<DirectionTest>,
}

impl ConnectionTest {
    /// What a test found.
    #[must_use]
    pub fn new(
        at: Timestamp,
        took: Duration,
        by: impl Into<String>,
        mailbox: Option<EmailAddress>,
        directions: Vec<DirectionTest>,
    ) -> Self {
        Self {
            at,
            took,
            by: by.into(),
            mailbox,
            directions,
        }
    }

    /// What it came to.
    #[must_use]
    pub fn outcome(&self) -> TestOutcome {
        let mut outcomes = self.steps().map(|(_, step)| step.outcome);
        if self.first_cause().is_some() {
            TestOutcome::Failure
        } else if outcomes.any(|outcome| outcome == StepOutcome::NotReached) {
            TestOutcome::Warning
        } else {
            TestOutcome::Success
        }
    }

    /// The first step that failed: the cause of everything behind it.
    #[must_use]
    pub fn first_cause(&self) -> Option<(Direction, &ConnectionStep, Code)> {
        self.steps()
            .find_map(|(direction, step)| match step.outcome {
                StepOutcome::Failed(code) => Some((direction, step, code)),
                StepOutcome::Passed | StepOutcome::NotReached => None,
            })
    }

    /// All steps, with their direction.
    pub fn steps(&self) -> impl Iterator<Item = (Direction, &ConnectionStep)> {
        self.directions
            .iter()
            .flat_map(|test| test.steps.iter().map(|step| (test.direction, step)))
    }
}
