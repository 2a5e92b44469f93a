//! Faults that the servers have to play themselves, and those that only whoever drives the run can
//! bring about.

use std::collections::BTreeMap;
use std::time::Duration;

use postroom_core::Code;
use postroom_provider::ErrorKind;
use postroom_simulator::exchange::{Fault, FaultId, FaultRule};
use postroom_simulator::memory::{FaultEffect, MemoryFault, MemoryFaultId, remote_id};
use postroom_simulator::model::{AccountId, Backup, WellKnown};

use super::seams::Tally;
use super::window::{FaultKind, FaultWindow, Target};
use crate::history::{Event, FaultFacts, History};
use crate::post::marker_in;
use crate::servers::{System, folder_name, remote};
use crate::setup::{Protocol, Setup};

/// What whoever drives the run has to do at a border of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Set the engine's clock wrong by so many milliseconds.
    Skew(i64),
    /// Freeze the engine and start a second one beside it ([`Seams::rival`](super::Seams::rival)).
    StartRival,
    /// Thaw the engine; let both run for a moment; then stop the second one.
    StopRival,
}

/// The servers of a run, and what is wrong with them.
#[derive(Debug)]
pub struct ServerFaults {
    setup: Setup,
    systems: Vec<System>,
    history: History,
    tally: Tally,
    active: BTreeMap<u32, Active>,
}

#[derive(Debug, Default)]
struct Active {
    rules: Vec<(usize, FaultId)>,
    memory: Vec<(usize, MemoryFaultId)>,
    backup: Option<(usize, Backup)>,
}

impl ServerFaults {
    /// Nothing is wrong yet.
    #[must_use]
    pub fn new(setup: Setup, systems: Vec<System>, history: History, tally: Tally) -> Self {
        Self {
            setup,
            systems,
            history,
            tally,
            active: BTreeMap::new(),
        }
    }

    /// A window begins; `number` names it within the run.
    pub fn apply(&mut self, number: u32, window: &FaultWindow) -> Vec<Order> {
        let mailboxes = self.mailboxes(window.target);
        let everybody = window.target == Target::Everybody;
        let accounts = mailboxes.iter().map(|mailbox| self.setup.address(*mailbox));
        self.history.push(Event::FaultBegan(FaultFacts {
            window: number,
            name: window.fault.name().to_owned(),
            class: window.fault.class(),
            hint: window.fault.hint(),
            accounts: if everybody {
                Vec::new()
            } else {
                accounts.collect()
            },
        }));
        let mut active = Active::default();
        let mut orders = Vec::new();
        match window.fault {
            FaultKind::SyncReset => self.reset(&mailboxes),
            FaultKind::Migrated(folders_too) => self.migrate(&mailboxes, folders_too),
            FaultKind::Restored => {
                if let Target::System(system) = window.target {
                    active.backup = Some((system, self.systems[system].mail.snapshot()));
                }
            }
            FaultKind::ClockBack(by) => orders.push(Order::Skew(-(by as i64))),
            FaultKind::ClockForward(by) => orders.push(Order::Skew(by as i64)),
            FaultKind::StaleLease => orders.push(Order::StartRival),
            _ => {
                for mailbox in mailboxes {
                    self.arm(&mut active, mailbox, window);
                }
            }
        }
        let one_shot = matches!(
            window.fault,
            FaultKind::SyncReset
                | FaultKind::Migrated(_)
                | FaultKind::Restored
                | FaultKind::ClockBack(_)
                | FaultKind::ClockForward(_)
                | FaultKind::StaleLease
        );
        self.tally.add(window.fault.name(), u64::from(one_shot));
        self.active.insert(number, active);
        orders
    }

    /// A window ends.
    pub fn clear(&mut self, number: u32, window: &FaultWindow) -> Vec<Order> {
        let Some(active) = self.active.remove(&number) else {
            return Vec::new();
        };
        let mut hits = 0;
        for (system, id) in active.rules {
            let faults = self.systems[system].exchange.faults();
            hits += faults.hits(id);
            faults.remove(id);
        }
        for (system, id) in active.memory {
            hits += self.systems[system].memory.disarm_one(id);
        }
        self.tally.add(window.fault.name(), hits);
        if let Some((system, backup)) = active.backup {
            self.systems[system].mail.restore(&backup);
            for mailbox in self.mailboxes(Target::System(system)) {
                self.replaced(mailbox);
            }
        }
        self.history.push(Event::FaultEnded { window: number });
        match window.fault {
            FaultKind::ClockBack(_) | FaultKind::ClockForward(_) => vec![Order::Skew(0)],
            FaultKind::StaleLease => vec![Order::StopRival],
            _ => Vec::new(),
        }
    }

    /// The mailboxes that a target names.
    fn mailboxes(&self, target: Target) -> Vec<usize> {
        let all = 0..self.setup.mailboxes.len();
        let concerned = |mailbox: &usize| match target {
            Target::Everybody => true,
            Target::Profile(profile) => self.setup.mailboxes[*mailbox].profile == profile,
            Target::Mailbox(wanted) => *mailbox == wanted,
            Target::System(system) => self.setup.system_of(*mailbox) == system,
        };
        all.filter(concerned).collect()
    }

    fn account(&self, mailbox: usize) -> Option<(&System, AccountId)> {
        let system = &self.systems[self.setup.system_of(mailbox)];
        let account = system.mail.account(&self.setup.address(mailbox))?;
        Some((system, account))
    }

    fn protocol(&self, mailbox: usize) -> Protocol {
        self.setup.profiles[self.setup.mailboxes[mailbox].profile].protocol
    }

    fn reset(&self, mailboxes: &[usize]) {
        for mailbox in mailboxes {
            if let Some((system, account)) = self.account(*mailbox) {
                for folder in system.mail.folders(account) {
                    system
                        .mail
                        .invalidate_sync(folder.id)
                        .expect("a folder that was listed");
                }
            }
        }
    }

    fn migrate(&self, mailboxes: &[usize], folders_too: bool) {
        for mailbox in mailboxes {
            if let Some((system, account)) = self.account(*mailbox) {
                system
                    .mail
                    .migrate(account, folders_too)
                    .expect("an account that was found");
                self.replaced(*mailbox);
            }
        }
    }

    /// Writes down what lies in a mailbox now.
    fn replaced(&self, mailbox: usize) {
        let Some((system, account)) = self.account(mailbox) else {
            return;
        };
        let protocol = self.protocol(mailbox);
        let mut contents = Vec::new();
        for folder in system.mail.folders(account) {
            let hidden = [
                WellKnown::RecoverableItems,
                WellKnown::Deletions,
                WellKnown::Purges,
            ];
            if folder
                .well_known
                .is_some_and(|known| hidden.contains(&known))
            {
                continue;
            }
            for item in system.mail.items(folder.id) {
                if let Some(marker) = marker_in(item.content()) {
                    let remote = remote(protocol, account, item.id);
                    if protocol == Protocol::Memory && self.is_poisoned(&marker) {
                        // The fault goes by the id, and that is another one now.
                        let corrupt = FaultEffect::Corrupt(remote_id(item.id));
                        system.memory.arm(MemoryFault::new(corrupt));
                    }
                    contents.push((folder_name(&folder), marker, remote));
                }
            }
        }
        let account = self.setup.address(mailbox);
        self.history.push(Event::Replaced { account, contents });
    }

    fn is_poisoned(&self, marker: &str) -> bool {
        self.history.with(|entries| {
            let mut poisoned = false;
            for entry in entries {
                match &entry.event {
                    Event::Poisoned { marker: of, .. } if of == marker => poisoned = true,
                    Event::Cured { marker: of } if of == marker => poisoned = false,
                    _ => {}
                }
            }
            poisoned
        })
    }

    fn arm(&self, active: &mut Active, mailbox: usize, window: &FaultWindow) {
        let system = self.setup.system_of(mailbox);
        let address = self.setup.address(mailbox);
        let chance = |rule: FaultRule| {
            if window.per_mille < 1000 {
                rule.chance(window.per_mille)
            } else {
                rule
            }
        };
        match self.protocol(mailbox) {
            Protocol::Ews => {
                if let Some(fault) = exchange_fault(window.fault) {
                    let rule = chance(FaultRule::new(fault)).mailbox(&address);
                    let faults = self.systems[system].exchange.faults();
                    active.rules.push((system, faults.add(rule)));
                }
            }
            Protocol::Memory => {
                let shared = matches!(
                    window.fault,
                    FaultKind::ItemCorrupt | FaultKind::MimeFailure
                );
                for (effect, operation) in memory_faults(window.fault, window.per_mille) {
                    let mut fault = MemoryFault::new(effect).for_account(&address);
                    if let Some(operation) = operation {
                        fault = fault.on(operation);
                    }
                    if window.per_mille < 1000 && !shared {
                        fault = fault.chance(window.per_mille);
                    }
                    let id = self.systems[system].memory.arm(fault);
                    active.memory.push((system, id));
                }
            }
        }
    }
}

/// What Exchange does; `None` where it is not the server's fault.
fn exchange_fault(fault: FaultKind) -> Option<Fault> {
    Some(match fault {
        FaultKind::Busy(millis) => Fault::Busy {
            back_off: Duration::from_millis(millis),
        },
        FaultKind::Unauthorized => Fault::Unauthorized,
        FaultKind::ImpersonationRevoked => Fault::ImpersonationRevoked,
        FaultKind::QuotaExceeded => Fault::QuotaExceeded,
        FaultKind::SendAsDenied => Fault::SendAsDenied,
        FaultKind::InvalidSyncState => Fault::InvalidSyncState,
        FaultKind::PhantomItem => Fault::PhantomItem,
        FaultKind::PropertyWithoutValue => Fault::PropertyWithoutValue,
        FaultKind::PathSpelledDifferently => Fault::PathSpelledDifferently,
        FaultKind::ForbiddenCharacters => Fault::ForbiddenCharacters,
        FaultKind::ContradictoryPaging => Fault::ContradictoryPaging,
        FaultKind::ShortPages(most) => Fault::ShortPages {
            at_most: most as usize,
        },
        FaultKind::BatchStopped(after) => Fault::BatchStopped {
            after: after as usize,
        },
        FaultKind::ChangeKeyBumped => Fault::ChangeKeyBumped,
        FaultKind::ItemCorrupt => Fault::Corrupt,
        FaultKind::MimeFailure => Fault::MimeFailure,
        _ => return None,
    })
}

/// What the server without a protocol does; what it cannot do is left out.
fn memory_faults(fault: FaultKind, per_mille: u16) -> Vec<(FaultEffect, Option<&'static str>)> {
    const SEND: &str = "submit.send";
    const STAGE: &str = "submit.stage";
    let refuse = FaultEffect::Refuse;
    let denied = ErrorKind::PermissionDenied;
    match fault {
        FaultKind::Busy(millis) => vec![(
            FaultEffect::Throttle(Some(Duration::from_millis(millis))),
            None,
        )],
        FaultKind::Unauthorized => vec![(
            refuse(ErrorKind::Unauthenticated, Code::CredentialsRejected),
            None,
        )],
        FaultKind::ImpersonationRevoked => {
            vec![(refuse(denied, Code::ImpersonationDenied), None)]
        }
        FaultKind::QuotaExceeded => {
            let full = refuse(ErrorKind::QuotaExceeded, Code::QuotaExceeded);
            vec![
                (full.clone(), Some(STAGE)),
                (full.clone(), Some(SEND)),
                (full, Some("mail.move_to")),
            ]
        }
        FaultKind::SendAsDenied => vec![(refuse(denied, Code::SendAsDenied), Some(SEND))],
        FaultKind::InvalidSyncState => vec![(FaultEffect::InvalidCursor, None)],
        FaultKind::PhantomItem => vec![(FaultEffect::Phantom, Some("mail.changes"))],
        FaultKind::ContradictoryPaging => {
            vec![(FaultEffect::ContradictoryPaging, Some("mail.changes"))]
        }
        FaultKind::ShortPages(most) => vec![(FaultEffect::ShortPages(most), None)],
        FaultKind::BatchStopped(after) => {
            vec![(FaultEffect::BatchStopped(after as usize), None)]
        }
        FaultKind::ItemCorrupt | FaultKind::MimeFailure => {
            let share = FaultEffect::CorruptShare(per_mille);
            vec![
                (share.clone(), Some("mail.headers")),
                (share, Some("mail.fetch")),
            ]
        }
        _ => Vec::new(),
    }
}
