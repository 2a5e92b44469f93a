//! The pieces of the museum, and which of them is planted.

use std::cell::Cell;

macro_rules! collection {
    ($($defect:ident, $name:literal, $promises:expr, $what:literal, $seen:literal;)*) => {
        /// A defect that can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Defect {
            $(#[doc = $what] $defect,)*
        }

        impl Defect {
            /// Every defect, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$defect,)*];

            /// Its name, in words joined by hyphens.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$defect => $name,)* }
            }

            /// What is done wrong, in one sentence.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self { $(Self::$defect => $what,)* }
            }

            /// In what kind of system, and where, such a thing was seen.
            #[must_use]
            pub const fn seen(self) -> &'static str {
                match self { $(Self::$defect => $seen,)* }
            }

            /// The promises that it breaks, by number, the plainest first; 0: that things settle.
            #[must_use]
            pub const fn promises(self) -> &'static [u8] {
                match self { $(Self::$defect => &$promises,)* }
            }
        }
    };
}

collection! {
    // Losing mail.
    AckBeforeCommit, "ack-before-commit", [1],
        "A message is settled as delivered before its record is committed.",
        "consumers of queues that acknowledge on receipt";
    CursorBeforeRows, "cursor-before-rows", [1],
        "The cursor of a page is stored in a transaction of its own, before the page's rows.",
        "synchronizers with a state file beside their database";
    FailedMessageSkipped, "failed-message-skipped", [1],
        "A message that cannot be fetched is passed over, and the cursor with it.",
        "fetchers that log an error and take the next";
    LookBackTooShort, "look-back-too-short", [1],
        "Only what was received within the last hour is looked at.",
        "pollers that search by date instead of keeping a cursor";
    WatermarkByReceivedTime, "watermark-by-received-time", [1],
        "What was received before the last successful cycle counts as seen.",
        "pollers whose cursor is the newest time seen; mail moved back into the Inbox is older";
    InvalidCursorStartsFromNow, "invalid-cursor-starts-from-now", [1],
        "When the server no longer knows the cursor, what lies in the folder counts as seen.",
        "clients that answer an invalid sync state by taking a new one";
    GoneStaysGone, "gone-stays-gone", [1],
        "A message that left the folder unread and came back is not looked at again.",
        "ledgers whose final states are final";
    PageTailDropped, "page-tail-dropped", [1],
        "The last change of a page with more to come is dropped.",
        "paging by inclusive bounds, off by one";
    MessageIdAloneIsIdentity, "message-id-alone-is-identity", [1],
        "Two messages with one Message-ID are the same message, whatever else they say.",
        "duplicate checks by Message-ID; scanners and devices repeat them";
    OutageCountsAsAttempt, "outage-counts-as-attempt", [1, 6, 9],
        "While the application is away, messages use up their attempts.",
        "import queues with one retry counter for all causes";
    DeleteBeforeRecord, "delete-before-record", [4, 1],
        "With deletion after processing, a message is deleted once it is fetched, not once it is recorded.",
        "mail drop readers that send DELE after RETR";
    // Recording twice.
    NewWriteKeyPerAttempt, "new-write-key-per-attempt", [2, 7],
        "Each attempt to record a message has an idempotency key of its own.",
        "keys made where the request is made, inside the loop of retries";
    DuplicatePerMailbox, "duplicate-per-mailbox", [2, 7],
        "A message to several mailboxes becomes a record for each.",
        "duplicate checks within one mailbox; the mass duplicates of roll-outs";
    IdentityByServerId, "identity-by-server-id", [7, 2],
        "A message is recognised by its id on the server alone.",
        "caches keyed by UID or item id, after UIDVALIDITY or a migration changed them";
    TestMessageTracked, "test-message-tracked", [2, 5],
        "The message of Test & Enable becomes a record.",
        "set-up checks whose message the product then processes";
    TokenCounterWraps, "token-counter-wraps", [2],
        "The counter of tracking tokens wraps round, and nobody looks whether the token is taken.",
        "trackers with a fixed number of digits";
    // Sending twice.
    SendBeforeRecording, "send-before-recording", [3],
        "That an email is being sent is written down after it was sent.",
        "outboxes that mark a row when the server has answered";
    AbsenceLicensesRepeat, "absence-licenses-repeat", [3],
        "No copy in Sent Items means that it was not sent: it is sent again.",
        "clients whose saving to the Sent folder failed";
    RetryAfterLostAnswer, "retry-after-lost-answer", [3],
        "A connection lost while the server's final answer was awaited is a failure to send.",
        "mail transfer after the final dot, RFC 1047";
    UnknownResent, "unknown-resent", [3],
        "An email whose fate is unknown goes back into the queue after a while.",
        "job queues with a visibility timeout";
    ReportedBeforeTold, "reported-before-told", [3, 11, 0],
        "The fate of an email is marked as told before the application was told.",
        "webhooks without confirmation";
    FeedCursorBeforeEnqueue, "feed-cursor-before-enqueue", [3, 1, 0],
        "The application's feed is acknowledged before its emails are in the outbox.",
        "change feeds with automatic offsets";
    // Destroying, and reaching the wrong person.
    DeleteAfterQuarantine, "delete-after-quarantine", [4],
        "With deletion after processing, what could not be recorded is deleted, too.",
        "clean-up after a batch, whatever became of its items";
    DeleteForEverybody, "delete-for-everybody", [4],
        "Deletion after processing deletes from people's mailboxes, not only from those that want it.",
        "a setting read from the wrong place";
    WrongMailboxSends, "wrong-mailbox-sends", [5, 3],
        "The sender looked up for the first email of a page sends them all.",
        "caches that outlive the loop's turn";
    // Poison.
    PoisonNotCounted, "poison-not-counted", [6, 0],
        "A failed attempt does not count, so that a bad message is tried for ever.",
        "redelivery without a limit";
    BadItemStopsMailbox, "bad-item-stops-mailbox", [6, 0],
        "One message that cannot be read ends the cycle of its mailbox.",
        "a reference system, on an extended property without a value";
    // Gates and limits.
    ConnectionLimitPerMailbox, "connection-limit-per-mailbox", [8],
        "The limit of an account that all mailboxes share is counted for each mailbox.",
        "throttling of service accounts";
    ThrottlingHintIgnored, "throttling-hint-ignored", [8],
        "How long to wait is taken from the own table, not from the server's answer.",
        "clients without Retry-After";
    PollingMinimumIgnored, "polling-minimum-ignored", [8],
        "The profile's polling interval is not looked at.",
        "a constant left over from a test";
    ApprovalUncheckedOutgoing, "approval-unchecked-outgoing", [8],
        "The approval of an address is asked for when receiving only.",
        "gates that were written for one direction first";
    DisabledStillSends, "disabled-still-sends", [8],
        "Outgoing email goes on after it was switched off.",
        "schedulers that look at the switch when a job is made, not when it runs";
    LeaseSeenOnce, "lease-seen-once", [8],
        "A worker looks at its lease when a cycle begins, and no more however long the cycle takes.",
        "leaders elected by a lock with a time limit, after a pause of the whole process";
    CachedProfileNotRenewed, "cached-profile-not-renewed", [8, 9, 0],
        "A connection that is kept does not notice that its profile was edited.",
        "pools keyed by name";
    // Outages.
    OutageDisables, "outage-disables", [9, 1, 0],
        "Retries used up disable the workload, whoever is to blame.",
        "a reference system: a long server outage disables every mailbox";
    AlertStorm, "alert-storm", [9, 0],
        "Each failure is an alert of its own.",
        "alerting without an incident";
    AlertStaysOpen, "alert-stays-open", [9, 0],
        "When a workload is well again, its alert stays.",
        "alert walls that only people clear";
    ProbeNeverEnds, "probe-never-ends", [9, 1, 0],
        "A probe that fails leaves the circuit breaker in the state of probing.",
        "half-open breakers without a way back";
    BackOffNeverGrows, "back-off-never-grows", [9],
        "A server that is away is asked again every half minute, for days.",
        "counters that are reset by the attempt instead of by its success";
    ScheduledPermitLeaked, "scheduled-permit-leaked", [9, 0],
        "A cycle that could not be recorded keeps its place in the schedule's count.",
        "semaphores and early returns";
    JobsLostOnRestart, "jobs-lost-on-restart", [11, 9, 0],
        "A test that was claimed when the process died is never taken up again.",
        "job tables with a state called running";
    ClockBackStopsFeed, "clock-back-stops-feed", [9, 3, 0],
        "After the clock was set back nothing is read from the application until it has caught up.",
        "intervals measured by the wall clock";
    // Secrets.
    SecretLogged, "secret-logged", [10],
        "A line of the log shows the password.",
        "debugging lines that were left in";
    SecretInReport, "secret-in-report", [10],
        "The report of a failed test shows the password.",
        "errors that print the request";
    SecretUnsealed, "secret-unsealed", [10],
        "Passwords are stored as they are.",
        "encodings taken for encryption";
    // Explaining.
    IdleWaitUnbounded, "idle-wait-unbounded", [11, 1, 0],
        "The wait of a mailbox in which nothing happens doubles without a limit.",
        "a reference system: idle mailboxes served every six hours";
    DecisionNotKept, "decision-not-kept", [11],
        "Why a message was filtered is not written down.",
        "filters that return a bool";
}

thread_local! {
    static PLANTED: Cell<Option<Defect>> = const { Cell::new(None) };
}

/// Plants a defect on this thread, in place of the one before; `None` takes it away.
pub fn plant(defect: Option<Defect>) {
    PLANTED.set(defect);
}

/// Whether that defect is planted on this thread.
#[must_use]
pub fn is_planted(defect: Defect) -> bool {
    PLANTED.get() == Some(defect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_planted_until_asked_for() {
        assert!(Defect::ALL.iter().all(|defect| !is_planted(*defect)));
        plant(Some(Defect::AlertStorm));
        assert!(is_planted(Defect::AlertStorm) && !is_planted(Defect::GoneStaysGone));
        std::thread::spawn(|| assert!(!is_planted(Defect::AlertStorm)))
            .join()
            .unwrap();
        plant(None);
        assert!(!is_planted(Defect::AlertStorm));
    }

    #[test]
    fn names_differ_and_every_piece_breaks_a_promise() {
        let mut names: Vec<_> = Defect::ALL.iter().map(|defect| defect.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Defect::ALL.len());
        assert!(Defect::ALL.len() >= 36);
        for defect in Defect::ALL {
            assert!(!defect.promises().is_empty());
            assert!(
                defect
                    .promises()
                    .iter()
                    .all(|promise| (0..=11).contains(promise))
            );
        }
    }
}
