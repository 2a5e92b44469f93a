//! What really happened: the world's own truth, written by the world and by the probes nearest to
//! the servers, never by the engine.
//!
//! Times are true time since the start of the run (tokio's paused clock), which faults of the
//! clock do not touch; what the engine's clock said can be told from [`Event::ClockJumped`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postroom_core::mailbox::Workload;
use postroom_core::tracking::TrackingFilter;
use postroom_core::{JobId, LedgerId, MailboxId, ProfileId, RecordId};
use serde::{Deserialize, Serialize};

/// Who did something to a message on a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// Mail came from outside, or from another mailbox.
    Transport,
    /// A person with a mail client.
    Person,
    /// The operators of the mail system: a backup was restored, a mailbox migrated.
    Operator,
}

/// What a message answers, as its writer made it: what the engine may find out about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Thread {
    /// Nothing that the CRM could know; also no token and no subject that others have.
    #[default]
    None,
    /// In-Reply-To names the Message-ID of the message with that marker, as the writer saw it.
    ReplyTo(String),
    /// It answers the message with that marker, in a way that the engine may or may not recognise
    /// (token, subject, thread index): both fates are right.
    Maybe(String),
}

/// A message that was delivered, and each of its copies the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Its marker; unique for each content, the same in each copy.
    pub marker: String,
    /// Message-ID, where it has one.
    pub message_id: Option<String>,
    /// The Date header as written, where there is one.
    pub date: Option<String>,
    /// The sender's address.
    pub from: String,
    /// Everybody in To and Cc, by address.
    pub to: Vec<String>,
    /// What it answers.
    pub thread: Thread,
    /// The subject as it arrived.
    #[serde(default)]
    pub subject: String,
    /// The Thread-Index, where it has one.
    #[serde(default)]
    pub index: Option<String>,
}

/// What matters of a mailbox's configuration to gates and filters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxFacts {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its address: the account on the server.
    pub address: Option<String>,
    /// Its profile.
    pub profile: Option<ProfileId>,
    /// Whether it is active.
    pub active: bool,
    /// Whether its address is approved.
    pub approved: bool,
    /// Whether incoming email is delivered by Postroom.
    pub incoming: bool,
    /// Whether outgoing email is delivered by Postroom.
    pub outgoing: bool,
    /// Whether incoming email is switched on.
    pub incoming_enabled: bool,
    /// Whether outgoing email is switched on.
    pub outgoing_enabled: bool,
    /// Its filter.
    pub filter: TrackingFilter,
    /// Whether it belongs to a queue.
    pub queue: bool,
    /// Whether recorded messages are deleted from the server.
    pub delete_after_processing: bool,
}

/// What matters of a profile's configuration to gates and limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileFacts {
    /// The profile.
    pub profile: ProfileId,
    /// Whether it is active.
    pub active: bool,
    /// Simultaneous connections.
    pub connections_max: u16,
    /// Whether that holds for each mailbox; otherwise for all mailboxes of the profile together.
    pub per_mailbox: bool,
    /// The shortest polling interval.
    pub polling_interval_min: Duration,
    /// Whether what could not be recorded moves to Undeliverable.
    pub move_undelivered: bool,
}

/// What a fault does, as far as promises depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FaultClass {
    /// Goes away by itself: lost connections, outages, throttling, delays, partial batches.
    Transient,
    /// As an engine sees it only a person can mend it: sign-in, rights, quota.
    Permanent,
    /// Concerns messages, not the connection: corrupt, never parses, phantom.
    Item,
    /// The identity of what is on the server: sync state, ids, backups.
    Identity,
    /// The engine's own side: store, CRM, disk.
    Local,
    /// The process: crashes, a frozen worker.
    Process,
    /// The clock.
    Clock,
}

/// A window in which faults may strike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultFacts {
    /// Names the window within the run.
    pub window: u32,
    /// The fault, by name.
    pub name: String,
    /// What it does.
    pub class: FaultClass,
    /// The accounts it concerns, by address; all where empty.
    pub accounts: Vec<String>,
    /// How long the server asks to wait, where it does.
    #[serde(default)]
    pub hint: Option<Duration>,
}

/// Where a call crosses from the engine to what is outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// A method of the provider.
    Provider,
    /// A request to a server.
    Request,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallEnd {
    /// The caller got an answer.
    Ok,
    /// The caller got an error.
    Failed {
        /// The catalogue's code, as text, or the transport's word.
        code: String,
    },
    /// Nobody waits for the answer any more: the future was dropped, or the process is gone.
    Dropped,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    // ---- the process -------------------------------------------------------------------------
    /// An engine runs from now on.
    EngineStarted {
        /// Counts engines, from 0.
        engine: u32,
    },
    /// It is gone without notice.
    EngineCrashed {
        /// Which.
        engine: u32,
        /// Whether the files lost what was not synced.
        torn: bool,
    },
    /// It ended in good order.
    EngineStopped {
        /// Which.
        engine: u32,
    },
    /// A worker holds the lease of a workload from now on, for so long.
    LeaseHeld {
        /// Which engine.
        engine: u32,
        /// The mailbox.
        mailbox: MailboxId,
        /// The workload.
        workload: Workload,
        /// For how long, unless it is renewed.
        lasts: Duration,
    },
    /// It gave the lease back.
    LeaseReturned {
        /// Which engine.
        engine: u32,
        /// The mailbox.
        mailbox: MailboxId,
        /// The workload.
        workload: Workload,
    },
    /// A process that was frozen goes on, where it stood.
    EngineThawed {
        /// Which.
        engine: u32,
    },
    /// The engine's clock jumped.
    ClockJumped {
        /// By so much; negative: back.
        by_millis: i64,
    },

    // ---- faults ------------------------------------------------------------------------------
    /// A window began.
    FaultBegan(FaultFacts),
    /// A window ended.
    FaultEnded {
        /// Which.
        window: u32,
    },
    /// One call was struck.
    FaultStruck {
        /// The fault, by name.
        name: String,
        /// What it does.
        class: FaultClass,
        /// The operation, such as `submit.send`, `SendItem`, `record_page`.
        operation: String,
        /// The mailbox, where it is known.
        mailbox: Option<MailboxId>,
        /// Whether the caller cannot know if the call had its effect.
        ambiguous: bool,
    },
    /// From now on the server cannot give this message, or not so that it can be read.
    Poisoned {
        /// Whose copy, by address; every copy where `None`.
        account: Option<String>,
        /// Which message.
        marker: String,
    },
    /// The server can give it again.
    Cured {
        /// Which message.
        marker: String,
    },
    /// No fault strikes from now on; the run only settles.
    FaultsEnded,

    // ---- calls (probes) ----------------------------------------------------------------------
    /// A call began.
    CallBegan {
        /// Names the call within the run.
        call: u64,
        /// Of which kind.
        side: Side,
        /// The mailbox.
        mailbox: MailboxId,
        /// The profile.
        profile: ProfileId,
        /// The operation, such as `mail.changes` or `GetItem`.
        operation: String,
        /// Ids on the server that it names; markers for what is staged and sent.
        items: Vec<String>,
        /// Which engine called.
        engine: u32,
    },
    /// It ended.
    CallEnded {
        /// Which.
        call: u64,
        /// How.
        end: CallEnd,
        /// Items of the batch that failed on their own: id on the server and code.
        items: Vec<(String, String)>,
    },

    // ---- mail on the servers -----------------------------------------------------------------
    /// A copy lies in a folder from now on.
    Arrived {
        /// Whose mailbox, by address.
        account: String,
        /// The folder's name: `Inbox` where the engine looks.
        folder: String,
        /// Its id as providers spell it.
        remote: String,
        /// The message.
        letter: Letter,
        /// Who put it there.
        by: Actor,
    },
    /// A copy was moved; it has a new id.
    Moved {
        /// Whose mailbox, by address.
        account: String,
        /// Its marker.
        marker: String,
        /// From where.
        from: String,
        /// Its id there: there may be copies of the same.
        was: String,
        /// To where.
        to: String,
        /// Its id from now on.
        remote: String,
        /// Who did it.
        by: Actor,
    },
    /// A copy's header fields were changed; it keeps its id.
    Edited {
        /// Whose mailbox, by address.
        account: String,
        /// Its marker.
        marker: String,
    },
    /// A copy is gone for good.
    Deleted {
        /// Whose mailbox, by address.
        account: String,
        /// Its marker.
        marker: String,
        /// From where.
        folder: String,
        /// Its id.
        remote: String,
        /// Who did it.
        by: Actor,
    },
    /// The operators restored or migrated a mailbox: this is all that lies in it now.
    Replaced {
        /// Whose mailbox, by address.
        account: String,
        /// Folder, marker and id of each message that has a marker.
        contents: Vec<(String, String, String)>,
    },

    // ---- outgoing email ----------------------------------------------------------------------
    /// Somebody put an email into Pending Send.
    Written {
        /// The record.
        record: RecordId,
        /// Its marker.
        marker: String,
        /// The mailbox that is to send it; `None` where the sender has none.
        mailbox: Option<MailboxId>,
        /// Recipients outside.
        outside: Vec<String>,
        /// Recipients with a mailbox on the same mail system.
        inside: Vec<String>,
        /// The marker of the message that it answers.
        #[serde(default)]
        answers: Option<String>,
    },
    /// Somebody decided about an email that is unknown or failed.
    Decided {
        /// The record.
        record: RecordId,
        /// `sent`, `resend` or `failed`.
        decision: String,
    },

    // ---- administration ----------------------------------------------------------------------
    /// The application knows somebody by this address.
    Known {
        /// The address.
        address: String,
        /// Whether it is a lead, a contact or an account; otherwise a user or a queue.
        customer: bool,
    },
    /// A call to `Admin` begins.
    AdminBegan {
        /// Names the call within the run.
        number: u32,
        /// What it is.
        action: String,
    },
    /// It was answered; missing where a crash cut it off.
    AdminEnded {
        /// Which.
        number: u32,
        /// The error's code, where it failed.
        failed: Option<String>,
    },
    /// A mailbox is about to be so configured (written before the call).
    MailboxIntended(MailboxFacts),
    /// A mailbox is so configured (written after the call, and after each start, as found).
    MailboxConfigured(MailboxFacts),
    /// A profile is about to be so configured.
    ProfileIntended(ProfileFacts),
    /// A profile is so configured.
    ProfileConfigured(ProfileFacts),
    /// A test was asked for.
    TestRequested {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its job, where the call was answered.
        job: Option<JobId>,
        /// Whether it enables what works.
        enables: bool,
    },
    /// Somebody wants a workload to run now.
    SyncRequested {
        /// The mailbox.
        mailbox: MailboxId,
        /// The workload; all where `None`.
        workload: Option<Workload>,
    },
    /// Somebody wants a message tried again.
    Replayed {
        /// The ledger row.
        row: LedgerId,
    },
    /// A password was set somewhere, unlike any other text of the run.
    SecretSet {
        /// The password.
        canary: String,
    },
    /// The operators of the mail system changed the password of a login: what the engine knows no
    /// longer opens it, until somebody tells.
    PasswordChanged {
        /// The login: an account's address, or a service account of a profile.
        login: String,
    },
    /// Anything else that is worth a line in the trace.
    Note(String),
}

/// An event and when it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// True time since the start.
    pub at: Duration,
    /// What.
    pub event: Event,
}

/// What has happened so far. Cheap to clone: all clones write into the same history.
#[derive(Clone, Debug)]
pub struct History {
    start: tokio::time::Instant,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl History {
    /// An empty history that begins now, on tokio's clock.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: tokio::time::Instant::now(),
            entries: Arc::default(),
        }
    }

    /// True time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Writes down what happens now.
    pub fn push(&self, event: Event) {
        let at = self.elapsed();
        self.lock().push(Entry { at, event });
    }

    /// Everything so far.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    /// Looks at everything so far without copying it.
    pub fn with<T>(&self, look: impl FnOnce(&[Entry]) -> T) -> T {
        look(&self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}
