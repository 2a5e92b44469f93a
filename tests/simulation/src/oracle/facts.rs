//! The history, put in order: lives of copies, calls, windows of faults, configuration over time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use postroom_core::mailbox::Workload;
use postroom_core::{LedgerId, MailboxId, ProfileId, RecordId};

use super::leases::Leases;
use crate::history::{
    Actor, CallEnd, Entry, Event, FaultClass, FaultFacts, Letter, MailboxFacts, ProfileFacts, Side,
};

/// A copy of a message in one place under one id.
#[derive(Clone, Debug)]
pub struct Life {
    /// Whose mailbox.
    pub account: String,
    /// Its id there.
    pub remote: String,
    /// Its marker.
    pub marker: String,
    /// The folder.
    pub folder: String,
    /// Since when it lies there.
    pub from: Duration,
    /// When the server first received the message for this account.
    pub received: Duration,
    /// Until when, and who ended it.
    pub until: Option<(Duration, Actor)>,
}

/// A call over a seam.
#[derive(Clone, Debug)]
pub struct Call {
    /// Of which kind.
    pub side: Side,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The profile.
    pub profile: ProfileId,
    /// The operation without its family: `changes`, `send`.
    pub operation: String,
    /// What it names.
    pub items: Vec<String>,
    /// Which engine called.
    pub engine: u32,
    /// When it began.
    pub from: Duration,
    /// When it ended.
    pub until: Option<Duration>,
    /// How; `None` while it is under way.
    pub end: Option<CallEnd>,
    /// Items that failed on their own, with their codes.
    pub failed: Vec<(String, String)>,
}

impl Call {
    /// The workload that makes such calls.
    #[must_use]
    pub fn workload(&self) -> Option<Workload> {
        match self.operation.as_str() {
            "list_folders" | "find_folder" | "ensure_folder" | "changes" | "headers" | "fetch"
            | "move_to" | "delete" => Some(Workload::Incoming),
            "stage" | "send" | "find" | "discard" => Some(Workload::Outgoing),
            _ => None,
        }
    }

    /// Whether it was answered without an error.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.end == Some(CallEnd::Ok)
    }
}

/// A window of a fault.
#[derive(Clone, Debug)]
pub struct Window {
    /// The fault.
    pub facts: FaultFacts,
    /// From when.
    pub from: Duration,
    /// Until when.
    pub until: Option<Duration>,
}

impl Window {
    /// Whether it concerns an account.
    #[must_use]
    pub fn concerns(&self, account: &str) -> bool {
        self.facts.accounts.is_empty()
            || self
                .facts
                .accounts
                .iter()
                .any(|one| one.eq_ignore_ascii_case(account))
    }

    /// Whether it was open at some moment between two.
    #[must_use]
    pub fn overlaps(&self, from: Duration, until: Duration) -> bool {
        self.from <= until && self.until.is_none_or(|end| end >= from)
    }
}

/// A call that was struck.
#[derive(Clone, Debug)]
pub struct Strike {
    /// When.
    pub at: Duration,
    /// What the fault does.
    pub class: FaultClass,
    /// The operation.
    pub operation: String,
    /// The mailbox, where it is known.
    pub mailbox: Option<MailboxId>,
    /// Whether the caller cannot know if the call had its effect.
    pub ambiguous: bool,
}

/// An email that somebody put into Pending Send.
#[derive(Clone, Debug)]
pub struct Written {
    /// When.
    pub at: Duration,
    /// The record.
    pub record: RecordId,
    /// The mailbox that is to send it.
    pub mailbox: Option<MailboxId>,
    /// Recipients outside.
    pub outside: Vec<String>,
    /// Recipients inside.
    pub inside: Vec<String>,
    /// The marker of the message that it answers.
    pub answers: Option<String>,
}

/// A configuration over time: when, whether it is in force for certain, what.
pub type Timeline<T> = Vec<(Duration, bool, T)>;

/// The history, put in order.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Messages by marker.
    pub letters: BTreeMap<String, Letter>,
    /// Copies in places, in the order in which they came to lie there.
    pub lives: Vec<Life>,
    /// How often transport brought a message to an account.
    pub brought: BTreeMap<(String, String), u32>,
    /// Calls in the order in which they began.
    pub calls: Vec<Call>,
    /// Windows of faults.
    pub windows: Vec<Window>,
    /// Calls that were struck.
    pub strikes: Vec<Strike>,
    /// When engines started.
    pub starts: Vec<Duration>,
    /// When engines ended in good order.
    pub stops: Vec<Duration>,
    /// When engines crashed.
    pub crashes: Vec<Duration>,
    /// When the clock jumped, and by how many milliseconds.
    pub jumps: Vec<(Duration, i64)>,
    /// When the faults stopped.
    pub faults_ended: Option<Duration>,
    /// Messages that could not be read, and in which accounts (`None`: all).
    pub poisoned: BTreeMap<String, Vec<(Duration, Option<String>)>>,
    /// Messages to whose header somebody added with another client.
    pub edited: BTreeSet<String>,
    /// When mailboxes were restored or migrated.
    pub replaced: BTreeMap<String, Vec<Duration>>,
    /// Emails written in the application, by marker.
    pub written: BTreeMap<String, Written>,
    /// What people decided about emails.
    pub decided: Vec<(Duration, RecordId, String)>,
    /// Mailboxes over time.
    pub mailboxes: BTreeMap<MailboxId, Timeline<MailboxFacts>>,
    /// Profiles over time.
    pub profiles: BTreeMap<ProfileId, Timeline<ProfileFacts>>,
    /// Tests that were asked for, and whether they enable.
    pub tests: BTreeMap<MailboxId, Vec<(Duration, bool)>>,
    /// When somebody wanted a mailbox to run.
    pub syncs: BTreeMap<MailboxId, Vec<Duration>>,
    /// Messages that somebody wanted tried again.
    pub replays: Vec<(Duration, LedgerId)>,
    /// Calls of administrators: when they began, what they were, when they were answered.
    pub admin: BTreeMap<u32, (Duration, String, Option<Duration>)>,
    /// Changes of passwords on the servers, by login.
    pub passwords: Vec<(Duration, String)>,
    /// Passwords.
    pub canaries: BTreeSet<String>,
    /// Whom the application knows, by address in lower case, and whether as a customer.
    pub known: BTreeMap<String, bool>,
    /// Who held the leases of workloads.
    pub leases: Leases,
}

impl Facts {
    /// Puts a history in order.
    #[must_use]
    pub fn of(history: &[Entry]) -> Self {
        let mut facts = Self::default();
        let mut open: BTreeMap<u64, usize> = BTreeMap::new();
        for (number, entry) in (0..).zip(history) {
            // What happens in one moment still has its order.
            let at = entry.at + Duration::from_nanos(number);
            facts.take(at, &entry.event, &mut open);
        }
        facts
    }

    fn take(&mut self, at: Duration, event: &Event, open: &mut BTreeMap<u64, usize>) {
        match event {
            Event::EngineStarted { .. } => self.starts.push(at),
            Event::EngineCrashed { engine, .. } => {
                self.crashes.push(at);
                self.end_calls(at, *engine, open);
            }
            Event::EngineStopped { engine } => {
                self.stops.push(at);
                self.end_calls(at, *engine, open);
            }
            Event::ClockJumped { by_millis } => self.jumps.push((at, *by_millis)),
            Event::FaultBegan(facts) => self.windows.push(Window {
                facts: facts.clone(),
                from: at,
                until: None,
            }),
            Event::FaultEnded { window } => {
                let found = self
                    .windows
                    .iter_mut()
                    .rev()
                    .find(|known| known.facts.window == *window);
                if let Some(found) = found {
                    found.until = Some(at);
                }
            }
            Event::FaultStruck {
                class,
                operation,
                mailbox,
                ambiguous,
                ..
            } => self.strikes.push(Strike {
                at,
                class: *class,
                operation: operation.clone(),
                mailbox: *mailbox,
                ambiguous: *ambiguous,
            }),
            Event::Poisoned { account, marker } => self
                .poisoned
                .entry(marker.clone())
                .or_default()
                .push((at, account.clone())),
            Event::FaultsEnded => self.faults_ended = Some(at),
            Event::CallBegan { .. } | Event::CallEnded { .. } => self.take_call(at, event, open),
            Event::Arrived { .. }
            | Event::Moved { .. }
            | Event::Edited { .. }
            | Event::Deleted { .. }
            | Event::Replaced { .. } => self.take_mail(at, event),
            Event::Written {
                record,
                marker,
                mailbox,
                outside,
                inside,
                answers,
            } => {
                let written = Written {
                    at,
                    record: *record,
                    mailbox: *mailbox,
                    outside: outside.clone(),
                    inside: inside.clone(),
                    answers: answers.clone(),
                };
                self.written.insert(marker.clone(), written);
            }
            Event::Decided { record, decision } => {
                self.decided.push((at, *record, decision.clone()));
            }
            Event::AdminBegan { number, action } => {
                self.admin.insert(*number, (at, action.clone(), None));
            }
            Event::AdminEnded { number, .. } => {
                if let Some(call) = self.admin.get_mut(number) {
                    call.2 = Some(at);
                }
            }
            Event::MailboxIntended(facts) => self.mailbox(at, false, facts),
            Event::MailboxConfigured(facts) => self.mailbox(at, true, facts),
            Event::ProfileIntended(facts) => self.profile(at, false, facts),
            Event::ProfileConfigured(facts) => self.profile(at, true, facts),
            Event::TestRequested {
                mailbox, enables, ..
            } => self.tests.entry(*mailbox).or_default().push((at, *enables)),
            Event::SyncRequested { mailbox, .. } => {
                self.syncs.entry(*mailbox).or_default().push(at);
            }
            Event::Replayed { row } => self.replays.push((at, *row)),
            Event::SecretSet { canary } => {
                self.canaries.insert(canary.clone());
            }
            Event::PasswordChanged { login } => self.passwords.push((at, login.clone())),
            Event::Known { address, customer } => {
                self.known.insert(address.to_ascii_lowercase(), *customer);
            }
            Event::LeaseHeld { .. } | Event::LeaseReturned { .. } | Event::EngineThawed { .. } => {
                self.leases.take(at, event);
            }
            Event::Cured { .. } | Event::Note(_) => {}
        }
    }

    fn mailbox(&mut self, at: Duration, certain: bool, facts: &MailboxFacts) {
        self.mailboxes
            .entry(facts.mailbox)
            .or_default()
            .push((at, certain, facts.clone()));
    }

    fn profile(&mut self, at: Duration, certain: bool, facts: &ProfileFacts) {
        self.profiles
            .entry(facts.profile)
            .or_default()
            .push((at, certain, facts.clone()));
    }

    fn end_calls(&mut self, at: Duration, engine: u32, open: &mut BTreeMap<u64, usize>) {
        let calls = &mut self.calls;
        open.retain(|_, place| {
            let Some(call) = calls.get_mut(*place).filter(|call| call.engine == engine) else {
                return true;
            };
            call.until = Some(at);
            call.end = Some(CallEnd::Dropped);
            false
        });
    }

    fn take_call(&mut self, at: Duration, event: &Event, open: &mut BTreeMap<u64, usize>) {
        match event {
            Event::CallBegan {
                call,
                side,
                mailbox,
                profile,
                operation,
                items,
                engine,
            } => {
                open.insert(*call, self.calls.len());
                let operation = operation.rsplit('.').next().unwrap_or_default().to_owned();
                self.calls.push(Call {
                    side: *side,
                    mailbox: *mailbox,
                    profile: *profile,
                    operation,
                    items: items.clone(),
                    engine: *engine,
                    from: at,
                    until: None,
                    end: None,
                    failed: Vec::new(),
                });
            }
            Event::CallEnded { call, end, items } => {
                let place = open.remove(call);
                if let Some(call) = place.and_then(|place| self.calls.get_mut(place)) {
                    call.until = Some(at);
                    call.end = Some(end.clone());
                    call.failed.clone_from(items);
                }
            }
            _ => {}
        }
    }

    fn take_mail(&mut self, at: Duration, event: &Event) {
        match event {
            Event::Arrived {
                account,
                folder,
                remote,
                letter,
                by,
            } => {
                if *by == Actor::Transport {
                    let key = (account.clone(), letter.marker.clone());
                    *self.brought.entry(key).or_default() += 1;
                }
                self.letters
                    .entry(letter.marker.clone())
                    .or_insert_with(|| letter.clone());
                // A copy that somebody makes keeps the time of its receipt.
                let anew = *by == Actor::Transport;
                self.begin(at, [account, folder, remote, &letter.marker], anew);
            }
            Event::Moved {
                account,
                marker,
                from,
                was,
                to,
                remote,
                by,
            } => {
                self.end(at, [account, from, was, marker], *by);
                self.begin(at, [account, to, remote, marker], false);
            }
            Event::Deleted {
                account,
                marker,
                folder,
                remote,
                by,
            } => self.end(at, [account, folder, remote, marker], *by),
            Event::Edited { marker, .. } => {
                self.edited.insert(marker.clone());
            }
            Event::Replaced { account, contents } => {
                self.replaced.entry(account.clone()).or_default().push(at);
                self.replace(at, account, contents);
            }
            _ => {}
        }
    }

    fn begin(&mut self, at: Duration, place: [&str; 4], anew: bool) {
        let [account, folder, remote, marker] = place;
        let earlier = self
            .lives
            .iter()
            .rev()
            .find(|life| !anew && life.account == account && life.marker == marker)
            .map(|life| life.received);
        self.lives.push(Life {
            account: account.to_owned(),
            remote: remote.to_owned(),
            marker: marker.to_owned(),
            folder: folder.to_owned(),
            from: at,
            received: earlier.unwrap_or(at),
            until: None,
        });
    }

    fn end(&mut self, at: Duration, place: [&str; 4], by: Actor) {
        let [account, folder, remote, marker] = place;
        let there = |life: &Life| {
            life.until.is_none()
                && life.account == account
                && life.marker == marker
                && life.folder == folder
        };
        let lives = &mut self.lives;
        let found = lives
            .iter()
            .position(|life| there(life) && life.remote == remote)
            .or_else(|| lives.iter().position(there));
        if let Some(found) = found.and_then(|at| lives.get_mut(at)) {
            found.until = Some((at, by));
        }
    }

    fn replace(&mut self, at: Duration, account: &str, contents: &[(String, String, String)]) {
        let stays = |life: &Life| {
            contents.iter().any(|(folder, marker, remote)| {
                life.folder == *folder && life.marker == *marker && life.remote == *remote
            })
        };
        for life in &mut self.lives {
            if life.account == account && life.until.is_none() && !stays(life) {
                life.until = Some((at, Actor::Operator));
            }
        }
        for (folder, marker, remote) in contents {
            let there = self.lives.iter().any(|life| {
                life.until.is_none()
                    && life.account == account
                    && life.folder == *folder
                    && life.marker == *marker
                    && life.remote == *remote
            });
            if !there {
                self.begin(at, [account, folder, remote, marker], false);
            }
        }
    }

    /// The last known configuration of a mailbox.
    #[must_use]
    pub fn mailbox_now(&self, id: MailboxId) -> Option<&MailboxFacts> {
        let timeline = self.mailboxes.get(&id)?;
        let certain = timeline.iter().rev().find(|(_, certain, _)| *certain);
        certain
            .or_else(|| timeline.last())
            .map(|(_, _, facts)| facts)
    }

    /// The last known configuration of a profile.
    #[must_use]
    pub fn profile_now(&self, id: ProfileId) -> Option<&ProfileFacts> {
        let timeline = self.profiles.get(&id)?;
        let certain = timeline.iter().rev().find(|(_, certain, _)| *certain);
        certain
            .or_else(|| timeline.last())
            .map(|(_, _, facts)| facts)
    }

    /// All addresses that a mailbox has had.
    #[must_use]
    pub fn accounts_of(&self, id: MailboxId) -> BTreeSet<&str> {
        let timeline = self.mailboxes.get(&id).map(Vec::as_slice);
        timeline
            .unwrap_or_default()
            .iter()
            .filter_map(|(_, _, facts)| facts.address.as_deref())
            .collect()
    }

    /// The mailboxes that have had an address at any time.
    #[must_use]
    pub fn mailboxes_at(&self, account: &str) -> Vec<MailboxId> {
        self.mailboxes
            .keys()
            .copied()
            .filter(|id| {
                self.accounts_of(*id)
                    .iter()
                    .any(|one| one.eq_ignore_ascii_case(account))
            })
            .collect()
    }

    /// Whether everything known about a mailbox at any time fits.
    #[must_use]
    pub fn always(&self, id: MailboxId, fits: impl Fn(&MailboxFacts) -> bool) -> bool {
        let timeline = self.mailboxes.get(&id).map(Vec::as_slice);
        timeline.is_some_and(|all| all.iter().all(|(_, _, facts)| fits(facts)))
    }

    /// Whether a copy could not be read at some time.
    #[must_use]
    pub fn is_poisoned(&self, account: &str, marker: &str) -> bool {
        self.poisoned.get(marker).is_some_and(|all| {
            all.iter().any(|(_, one)| {
                one.as_deref()
                    .is_none_or(|one| one.eq_ignore_ascii_case(account))
            })
        })
    }

    /// Whether a window of one of those classes that concerns the account was open between two moments.
    #[must_use]
    pub fn faulted(
        &self,
        account: &str,
        classes: &[FaultClass],
        from: Duration,
        until: Duration,
    ) -> bool {
        self.windows.iter().any(|window| {
            classes.contains(&window.facts.class)
                && window.concerns(account)
                && window.overlaps(from, until)
        })
    }

    /// What can have been in force of a timeline between two moments.
    pub fn in_force<T>(
        timeline: &[(Duration, bool, T)],
        from: Duration,
        until: Duration,
    ) -> impl Iterator<Item = &T> {
        // The last certain one before, all intended ones behind it, and everything in between.
        let first = timeline
            .iter()
            .rposition(|(at, certain, _)| *certain && *at <= from)
            .unwrap_or(0);
        timeline
            .iter()
            .skip(first)
            .take_while(move |(at, _, _)| *at <= until)
            .map(|(_, _, facts)| facts)
    }

    /// Whether anything disturbed the run between two moments: faults, crashes, jumps.
    #[must_use]
    pub fn disturbed(&self, from: Duration, until: Duration) -> bool {
        let within = |at: Duration| at >= from && at <= until;
        self.windows
            .iter()
            .any(|window| window.overlaps(from, until))
            || self.crashes.iter().any(|at| within(*at))
            || self.starts.iter().any(|at| within(*at))
            || self.jumps.iter().any(|(at, _)| within(*at))
            || self.strikes.iter().any(|strike| within(strike.at))
            || self.replaced.values().flatten().any(|at| within(*at))
    }

    /// The marker of an email on record that somebody wrote.
    #[must_use]
    pub fn written_as(&self, record: RecordId) -> Option<(&str, &Written)> {
        self.written
            .iter()
            .find(|(_, written)| written.record == record)
            .map(|(marker, written)| (marker.as_str(), written))
    }

    /// Whether two messages are one to whoever looks for a Message-ID.
    #[must_use]
    pub fn same_id(&self, one: &str, other: &str) -> bool {
        let id = |marker: &str| self.letters.get(marker)?.message_id.as_deref();
        one == other || id(one).is_some() && id(one) == id(other)
    }

    /// What makes two messages the same one: Message-ID and Date, or else the message itself.
    #[must_use]
    pub fn identity(&self, marker: &str) -> String {
        match self.letters.get(marker) {
            Some(Letter {
                message_id: Some(id),
                date,
                ..
            }) => format!("{id} of {}", date.as_deref().unwrap_or_default()),
            _ => marker.to_owned(),
        }
    }
}
