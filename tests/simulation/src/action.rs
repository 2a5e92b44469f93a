//! What people, customers and administrators do: a scenario as data.

use std::time::Duration;

use postroom_core::tracking::TrackingFilter;
use serde::{Deserialize, Serialize};

use crate::fault::FaultWindow;
use crate::setup::Setup;

/// Numbers the messages of a scenario: marker `m<seed>-<number>`.
pub type Number = u32;

/// What a delivered message answers, and how that shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Nothing.
    Nothing,
    /// In-Reply-To and References name it.
    Id(Number),
    /// Only the subject with the token does.
    Token(Number),
    /// Only the words of the subject do, without the token.
    Subject(Number),
    /// Only Thread-Index does.
    Index(Number),
    /// It is a forward: References and `FW:`.
    Forward(Number),
}

/// What a delivered message looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// Text.
    Plain,
    /// Text and HTML.
    Alternative,
    /// Text and a file of so many bytes.
    Attachment(u32),
    /// Without a Message-ID.
    NoId,
    /// Without Message-ID and Date.
    NoIdNoDate,
    /// With the Message-ID of an earlier message, but another Date and text.
    RepeatedId(Number),
    /// A subject of so many characters.
    LongSubject(u16),
    /// Unusual in one of several ways.
    Odd(u8),
    /// The server says that it is corrupt, for ever.
    Poison,
}

/// Somebody that an email is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recipient {
    /// Somebody outside.
    Outside(usize),
    /// Somebody with a mailbox here.
    Inside(usize),
}

/// What somebody does in a mailbox with another mail client. Items are picked by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientAction {
    /// Marks it read or unread.
    Read(bool),
    /// Changes it.
    Edit,
    /// The server gives it a new change key.
    Touch,
    /// Moves it into a folder of the user's own.
    Archive,
    /// Moves one from there back into the Inbox.
    MoveBack,
    /// Copies it within the Inbox.
    Copy,
    /// Deletes it, to Deleted Items.
    Bin,
    /// Deletes it for good.
    Delete,
}

/// What an administrator does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdminAction {
    /// Approves the address.
    Approve(usize),
    /// Rejects the address.
    Reject(usize),
    /// Gives the mailbox its other address (or, the second time, the first one back).
    ChangeAddress(usize),
    /// Activates or deactivates a mailbox.
    Active(usize, bool),
    /// Has incoming email delivered, or not.
    Incoming(usize, bool),
    /// Has outgoing email delivered, or not.
    Outgoing(usize, bool),
    /// Changes the filter.
    Filter(usize, TrackingFilter),
    /// Tests, and enables where told so.
    Test(usize, bool),
    /// Sync now.
    Sync(usize),
    /// Activates or deactivates a profile.
    ProfileActive(usize, bool),
    /// Changes the shortest polling interval, in minutes.
    Polling(usize, u64),
    /// Changes the number of connections.
    Connections(usize, u16),
    /// Changes whether what cannot be recorded moves to Undeliverable.
    MoveUndelivered(usize, bool),
    /// Tests the connection of a mailbox's profile.
    TestConnection(usize),
    /// Tests the connection of a profile, with whatever mailbox there is.
    TestProfileConnection(usize),
    /// Tests all mailboxes of a profile, and enables where told so.
    TestProfile(usize, bool),
    /// Looks at the walls of a mailbox, its owner and its profile, and at its jobs.
    Walls(usize),
    /// Dismisses one of the open alerts.
    Dismiss(u32),
    /// Has one of the quarantined or filtered messages tried again.
    Replay(u32),
    /// Decides about an email whose outcome is unknown, or that failed: 0 sent, 1 resend, 2 failed.
    Decide(u32, u8),
    /// Asks why, for a mailbox or one of the rows.
    Explain(u32),
    /// Looks at the overview.
    Overview,
    /// Changes the longest idle interval of the organization, in minutes.
    IdleInterval(u64),
    /// The password is changed on the server, and nobody tells the engine. By profile for service
    /// accounts, by mailbox otherwise.
    PasswordOnServer(usize),
    /// The engine is told the password, and a test enables again what had been disabled.
    PasswordTold(usize),
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// A message comes in from outside.
    Deliver {
        /// Its number.
        number: Number,
        /// The sender, by position.
        from: usize,
        /// The mailboxes, by position.
        to: Vec<usize>,
        /// How it looks.
        shape: Shape,
        /// What it answers.
        answer: Answer,
    },
    /// Somebody writes an email in the application.
    Write {
        /// Its number.
        number: Number,
        /// The sender's mailbox, by position.
        from: usize,
        /// The recipients: the first ones in To, a second one in Cc, a third one in Bcc.
        to: Vec<Recipient>,
        /// The message on record that it answers, by number.
        answers: Option<Number>,
    },
    /// Somebody uses another mail client.
    Client {
        /// The mailbox, by position.
        mailbox: usize,
        /// Which item.
        pick: u32,
        /// What is done.
        what: ClientAction,
    },
    /// An administrator does something.
    Admin(AdminAction),
    /// The service is stopped and started again.
    Restart {
        /// How long it is away.
        away_seconds: u64,
    },
    /// The process is killed, wherever it is, and started again.
    Crash,
}

/// Something that happens at some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Since the start.
    #[serde(with = "millis")]
    pub at: Duration,
    /// What.
    pub action: Action,
}

/// A whole run as data: leaving out steps or faults leaves a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Decides everything that is not said here.
    pub seed: u64,
    /// The organization.
    pub setup: Setup,
    /// What happens, in order of time.
    pub steps: Vec<Step>,
    /// What goes wrong.
    pub faults: Vec<FaultWindow>,
}

/// A scenario as JSON, one step and one fault a line.
#[must_use]
pub fn print(scenario: &Scenario) -> String {
    fn lines<T: Serialize>(of: &[T]) -> String {
        let one = |value| serde_json::to_string(value).expect("plain data");
        of.iter().map(one).collect::<Vec<_>>().join(",\n    ")
    }
    let setup = serde_json::to_string(&scenario.setup).expect("plain data");
    format!(
        "{{\n  \"seed\": {},\n  \"setup\": {setup},\n  \"steps\": [\n    {}\n  ],\n  \"faults\": [\n    {}\n  ]\n}}\n",
        scenario.seed,
        lines(&scenario.steps),
        lines(&scenario.faults)
    )
}

/// Durations as whole milliseconds.
pub mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes one.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(duration.as_millis() as u64)
    }

    /// Reads one.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
