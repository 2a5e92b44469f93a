//! A small world in which all is well, made by hand, for the checks to be tried on.

use std::time::Duration;

use postroom_core::alert::{Alert, Incident, Subject};
use postroom_core::ledger::{FilterReason, LedgerState};
use postroom_core::mailbox::{DeliveryMethod, MailboxOwner, Workload};
use postroom_core::outbox::{OutboxState, SentReceipt};
use postroom_core::tracking::TrackingFilter;
use postroom_core::{
    AlertId, Code, LedgerId, Mailbox, MailboxId, OutboxId, PartyId, ProfileId, RecordId, Timestamp,
};

use super::view::{Copy, Outgoing, Outside, Record, Row, View};
use crate::history::{
    Actor, CallEnd, Entry, Event, Letter, MailboxFacts, ProfileFacts, Side, Thread,
};

pub(super) const ADA: &str = "ada@contoso.example";
pub(super) const DESK: &str = "desk@contoso.example";
pub(super) const JO: &str = "jo@fabrikam.example";

pub(super) fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// Two mailboxes of one profile: Ada's, which tracks replies, and a queue's, which tracks all. Jo
/// wrote `m1` to the desk, Ada wrote `w1` to Jo.
pub(super) struct World {
    pub(super) view: View,
    pub(super) ada: MailboxId,
    pub(super) desk: MailboxId,
    profile: ProfileId,
    calls: u64,
    drawn: u8,
}

impl World {
    pub(super) fn good() -> Self {
        let mut world = Self {
            view: View::default(),
            ada: MailboxId::from_random([1; 16]),
            desk: MailboxId::from_random([2; 16]),
            profile: ProfileId::from_random([3; 16]),
            calls: 0,
            drawn: 100,
        };
        world.view.now = Duration::from_secs(48 * 3600);
        world.view.clock = Timestamp::from_seconds(1_800_000_000);
        world.view.settled = true;
        world.configure();
        world.push(minutes(240), Event::FaultsEnded);
        world.arrives("m1", "i1", "Inbox");
        let record = world.recorded("m1", "i1", None);
        world.row(
            "i1",
            LedgerState::Delivered {
                record,
                created: true,
            },
        );
        world.lies_in_queue(record);
        world.fetch(&["i1"]);
        world.writes();
        world
    }

    fn configure(&mut self) {
        let profile = self.profile_facts();
        self.push(minutes(0), Event::EngineStarted { engine: 0 });
        self.push(minutes(0), Event::ProfileConfigured(profile));
        for (id, name, address) in [(self.ada, "Ada", ADA), (self.desk, "Desk", DESK)] {
            let facts = self.facts(id, address);
            self.push(minutes(0), Event::MailboxConfigured(facts));
            self.push(
                minutes(1),
                Event::TestRequested {
                    mailbox: id,
                    job: None,
                    enables: true,
                },
            );
            self.call(minutes(1), id, "mail.changes", CallEnd::Ok);
            self.call(minutes(1), id, "submit.send", CallEnd::Ok);
            let party = PartyId::from_random([id.as_uuid().as_bytes()[0]; 16]);
            let owner = if id == self.desk {
                MailboxOwner::Queue(party)
            } else {
                MailboxOwner::User(party)
            };
            let mut mailbox = Mailbox::new(id, name, owner, Some(address.parse().unwrap()));
            mailbox.profile = Some(self.profile);
            for workload in [Workload::Incoming, Workload::Outgoing] {
                let state = mailbox.workload_mut(workload);
                state.method = DeliveryMethod::ServerSide;
                state.enabled = true;
                state.last_succeeded = Some(self.view.clock.minus(minutes(5)));
            }
            self.view.mailboxes.push(mailbox);
        }
        self.push(
            minutes(0),
            Event::SecretSet {
                canary: "canary-of-the-profile-1".to_owned(),
            },
        );
        self.view.history.sort_by_key(|entry| entry.at);
    }

    fn writes(&mut self) {
        let record = RecordId::from_random([50; 16]);
        self.push(
            minutes(260),
            Event::Written {
                record,
                marker: "w1".to_owned(),
                mailbox: Some(self.ada),
                outside: vec![JO.to_owned()],
                inside: Vec::new(),
                answers: None,
            },
        );
        self.view.records.push(Record {
            id: record,
            marker: Some("w1".to_owned()),
            incoming: false,
            status: "sent".to_owned(),
            correlated: None,
            method: None,
            intact: None,
        });
        self.view.outside.push(Outside {
            sender: ADA.to_owned(),
            recipients: vec![JO.to_owned()],
            marker: Some("w1".to_owned()),
            subject: "Greetings".to_owned(),
            from: ADA.to_owned(),
            named: vec![JO.to_owned()],
            shows_bcc: None,
        });
        self.view.outbox.push(Outgoing {
            id: OutboxId::from_random([51; 16]),
            mailbox: self.ada,
            record: Some(record),
            state: OutboxState::Sent {
                receipt: SentReceipt::answered(),
                at: self.view.clock.minus(minutes(2000)),
            },
        });
    }

    pub(super) fn push(&mut self, at: Duration, event: Event) {
        self.view.history.push(Entry { at, event });
    }

    fn facts(&self, mailbox: MailboxId, address: &str) -> MailboxFacts {
        let queue = mailbox == self.desk;
        MailboxFacts {
            mailbox,
            address: Some(address.to_owned()),
            profile: Some(self.profile),
            active: true,
            approved: true,
            incoming: true,
            outgoing: true,
            incoming_enabled: true,
            outgoing_enabled: true,
            filter: if queue {
                TrackingFilter::All
            } else {
                TrackingFilter::RepliesToCrmEmail
            },
            queue,
            delete_after_processing: false,
        }
    }

    pub(super) fn desk_facts(&self) -> MailboxFacts {
        self.facts(self.desk, DESK)
    }

    pub(super) fn profile_facts(&self) -> ProfileFacts {
        ProfileFacts {
            profile: self.profile,
            active: true,
            connections_max: 2,
            per_mailbox: false,
            polling_interval_min: minutes(5),
            move_undelivered: false,
        }
    }

    pub(super) fn desk_deletes(&mut self) {
        let mut facts = self.desk_facts();
        facts.delete_after_processing = true;
        self.push(minutes(200), Event::MailboxConfigured(facts));
    }

    fn letter(marker: &str, to: &str, thread: Thread) -> Letter {
        Letter {
            marker: marker.to_owned(),
            message_id: Some(format!("{marker}@fabrikam.example")),
            date: Some("Mon, 21 Sep 2026 14:13:20 +0000".to_owned()),
            from: JO.to_owned(),
            to: vec![to.to_owned()],
            thread,
            subject: "Hello".to_owned(),
            index: None,
        }
    }

    /// Jo's message arrives at the desk.
    pub(super) fn arrives(&mut self, marker: &str, remote: &str, folder: &str) {
        self.put(
            DESK,
            folder,
            remote,
            Self::letter(marker, DESK, Thread::None),
        );
    }

    /// Jo answers Ada.
    pub(super) fn reply_to_ada(&mut self, marker: &str, remote: &str, thread: Thread) {
        self.put(ADA, "Inbox", remote, Self::letter(marker, ADA, thread));
    }

    fn put(&mut self, account: &str, folder: &str, remote: &str, letter: Letter) {
        self.view.copies.push(Copy {
            account: account.to_owned(),
            folder: folder.to_owned(),
            remote: remote.to_owned(),
            marker: Some(letter.marker.clone()),
            from: JO.to_owned(),
            to: letter.to.clone(),
            subject: "Hello".to_owned(),
            message_id: String::new(),
            draft: false,
        });
        self.push(
            minutes(300),
            Event::Arrived {
                account: account.to_owned(),
                folder: folder.to_owned(),
                remote: remote.to_owned(),
                letter,
                by: Actor::Transport,
            },
        );
    }

    pub(super) fn test_message(&mut self, account: &str) {
        self.view.copies.push(Copy {
            account: account.to_owned(),
            folder: "Inbox".to_owned(),
            remote: "i77".to_owned(),
            marker: None,
            from: account.to_owned(),
            to: vec![account.to_owned()],
            subject: "Test".to_owned(),
            message_id: String::new(),
            draft: false,
        });
    }

    fn draw(&mut self) -> [u8; 16] {
        self.drawn += 1;
        [self.drawn; 16]
    }

    /// A message is on record.
    pub(super) fn recorded(
        &mut self,
        marker: &str,
        _remote: &str,
        correlated: Option<RecordId>,
    ) -> RecordId {
        let id = RecordId::from_random(self.draw());
        self.view.records.push(Record {
            id,
            marker: Some(marker.to_owned()),
            incoming: true,
            status: "received".to_owned(),
            correlated,
            method: None,
            intact: Some(true),
        });
        id
    }

    /// An email lies in the queue of the desk.
    pub(super) fn lies_in_queue(&mut self, record: RecordId) {
        let mut mailboxes = self.view.mailboxes.iter();
        let queue = mailboxes.find_map(|mailbox| match mailbox.owner {
            MailboxOwner::Queue(queue) => Some(queue),
            _ => None,
        });
        self.view.queued.push((queue.unwrap(), record));
    }

    /// A message is on record, or filtered.
    pub(super) fn settles(&mut self, marker: &str, remote: &str, tracked: bool) {
        let state = if tracked {
            let (record, created) = (self.recorded(marker, remote, None), true);
            LedgerState::Delivered { record, created }
        } else {
            let reason = FilterReason::NoFilterAccepts;
            LedgerState::Filtered { reason }
        };
        self.row(remote, state);
    }

    /// A row of whoever has the message.
    pub(super) fn row(&mut self, remote: &str, state: LedgerState) {
        let at_ada = self
            .view
            .copies
            .iter()
            .any(|copy| copy.remote == remote && copy.account == ADA);
        let row = Row {
            id: LedgerId::from_random(self.draw()),
            mailbox: if at_ada { self.ada } else { self.desk },
            folder: "f".to_owned(),
            remote: remote.to_owned(),
            first_seen: self.view.clock.minus(minutes(2000)),
            state,
        };
        self.view.ledger.push(row);
    }

    pub(super) fn row_mut(&mut self, remote: &str) -> &mut Row {
        let mut rows = self.view.ledger.iter_mut();
        rows.find(|row| row.remote == remote).unwrap()
    }

    pub(super) fn record_mut(&mut self, marker: &str) -> &mut Record {
        let mut records = self.view.records.iter_mut();
        records
            .find(|record| record.marker.as_deref() == Some(marker))
            .unwrap()
    }

    pub(super) fn copy_mut(&mut self, remote: &str) -> &mut Copy {
        let mut copies = self.view.copies.iter_mut();
        copies.find(|copy| copy.remote == remote).unwrap()
    }

    pub(super) fn poison(&mut self, account: &str, marker: &str) {
        self.push(
            minutes(300),
            Event::Poisoned {
                account: Some(account.to_owned()),
                marker: marker.to_owned(),
            },
        );
    }

    pub(super) fn begin_call(
        &mut self,
        at: Duration,
        call: u64,
        mailbox: MailboxId,
        operation: &str,
    ) {
        let profile = self.profile;
        self.push(
            at,
            Event::CallBegan {
                call,
                side: Side::Provider,
                mailbox,
                profile,
                operation: operation.to_owned(),
                items: Vec::new(),
                engine: 0,
            },
        );
    }

    pub(super) fn call(&mut self, at: Duration, mailbox: MailboxId, operation: &str, end: CallEnd) {
        self.calls += 1;
        let call = self.calls;
        self.begin_call(at, call, mailbox, operation);
        self.push(
            at,
            Event::CallEnded {
                call,
                end,
                items: Vec::new(),
            },
        );
    }

    fn desk_fetch(&mut self, items: &[&str], failed: Vec<(String, String)>) {
        self.calls += 1;
        let call = self.calls;
        let at = minutes(303);
        let (mailbox, profile) = (self.desk, self.profile);
        self.push(
            at,
            Event::CallBegan {
                call,
                side: Side::Provider,
                mailbox,
                profile,
                operation: "mail.fetch".to_owned(),
                items: items.iter().map(|item| (*item).to_owned()).collect(),
                engine: 0,
            },
        );
        self.push(
            at,
            Event::CallEnded {
                call,
                end: CallEnd::Ok,
                items: failed,
            },
        );
    }

    pub(super) fn fetch(&mut self, items: &[&str]) {
        self.desk_fetch(items, Vec::new());
    }

    pub(super) fn fetch_fails(&mut self, item: &str) {
        let failed = vec![(item.to_owned(), "item-corrupt".to_owned())];
        self.desk_fetch(&[item], failed);
    }

    /// An open alert about the desk.
    pub(super) fn alert(&mut self, code: Code, about: &str) {
        let id = AlertId::from_random(self.draw());
        let incident =
            Incident::new(code, Subject::Mailbox(self.desk), Some(Workload::Incoming)).about(about);
        let alert = Alert::new(id, incident, "text", self.view.clock);
        self.view.alerts.push(alert);
    }

    pub(super) fn alert_about_row(&mut self, row: LedgerId) {
        self.alert(Code::MessageQuarantined, &row.to_string());
    }
}
