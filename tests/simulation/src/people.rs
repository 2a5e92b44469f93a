//! What customers, colleagues and other mail clients do.

use std::sync::PoisonError;

use postroom_core::{EmailAddress, NamedAddress};
use postroom_simulator::exchange::{Fault, FaultRule};
use postroom_simulator::memory::{self, FaultEffect, MemoryFault};
use postroom_simulator::model::{Disposal, FolderId, Item, Summary, WellKnown, with_headers};
use postroom_store_sqlite::NewEmail;
use std::sync::Arc;

use crate::action::{Answer, ClientAction, Number, Recipient, Shape};
use crate::history::{Actor, Event, Thread};
use crate::post::{self, Draft, Seen, header, marker_in, marker_line};
use crate::randomness::Draw;
use crate::servers::{folder_name, letter, remote};
use crate::setup::{Protocol, Setup};
use crate::world::World;

/// Where people put what they want to keep.
const ARCHIVE: &str = "Archive";

/// A message from outside, as the scenario has it.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// Its number.
    pub number: Number,
    /// The sender, by position.
    pub from: usize,
    /// The mailboxes, by position.
    pub to: &'a [usize],
    /// How it looks.
    pub shape: Shape,
    /// What it answers.
    pub answer: Answer,
}

impl World {
    /// How a message looked to whoever may answer it: what came in as it was written, what was
    /// written in the application as it arrived outside.
    fn look_up(&mut self, number: Number) -> Option<Seen> {
        if let Some(seen) = self.seen.get(&number) {
            return Some(seen.clone());
        }
        let marker = self.marker(number);
        let mut copies = self.systems.iter().flat_map(|system| system.mail.outside());
        let copy =
            copies.find(|copy| marker_in(&copy.content).as_deref() == Some(marker.as_str()))?;
        let find = |name| header(&copy.content, name).unwrap_or_default();
        let seen = Seen {
            id: find("Message-ID"),
            // As people read it: a long one comes in encoded words.
            subject: Summary::read(&copy.content).subject,
            index: find("Thread-Index"),
        };
        self.seen.insert(number, seen.clone());
        Some(seen)
    }

    /// A message comes in.
    pub fn deliver(&mut self, incoming: &Incoming<'_>) {
        let Incoming { number, to, .. } = *incoming;
        let marker = self.marker(number);
        let of = match incoming.answer {
            Answer::Nothing => None,
            Answer::Id(of)
            | Answer::Token(of)
            | Answer::Subject(of)
            | Answer::Index(of)
            | Answer::Forward(of) => Some(of),
        };
        let seen = of.and_then(|of| self.look_up(of));
        let repeats = match incoming.shape {
            Shape::RepeatedId(of) => self.seen.get(&of).map(|seen| seen.id.clone()),
            _ => None,
        };
        let addresses: Vec<String> = to.iter().map(|at| self.setup.address(*at)).collect();
        let from = Setup::outsider(incoming.from);
        let draft = Draft {
            marker: &marker,
            from: &from,
            to: &addresses,
            now: self.time.now(),
            shape: incoming.shape,
            answer: incoming.answer,
            seen: seen.as_ref(),
            repeats: repeats.as_deref().filter(|id| !id.is_empty()),
        };
        let mut draw = Draw::new(self.seed, 1_000 + u64::from(number));
        let (raw, looks) = post::write(&draft, &mut draw, number);
        let thread = match (incoming.answer, of, &seen) {
            (Answer::Id(_), Some(of), Some(seen)) if !seen.id.is_empty() => {
                Thread::ReplyTo(self.marker(of))
            }
            (_, Some(of), Some(_)) => Thread::Maybe(self.marker(of)),
            _ => Thread::None,
        };
        self.threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(marker.clone(), thread);
        let begin: String = looks.subject.chars().take(80).collect();
        self.seen.insert(number, looks);
        self.trace.line(format_args!(
            "deliver {marker} from {from} to {to:?}: {:?} {:?} {begin}",
            incoming.shape, incoming.answer
        ));
        if incoming.shape == Shape::Poison {
            self.note(Event::Poisoned {
                account: None,
                marker,
            });
        }
        for system in 0..self.systems.len() {
            let here = to.iter().filter(|at| self.boxes[**at].system == system);
            let addresses: Vec<String> = here.map(|at| self.setup.address(*at)).collect();
            if addresses.is_empty() {
                continue;
            }
            let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
            let copies = self.systems[system].mail.deliver(raw.clone(), &addresses);
            if incoming.shape == Shape::Poison {
                for copy in copies {
                    let item = self.systems[system].mail.item(copy).expect("a new item");
                    self.poison(system, &item);
                }
            }
        }
    }

    /// The server will never again be able to give that message.
    fn poison(&self, system: usize, item: &Item) {
        let system = &self.systems[system];
        system
            .exchange
            .faults()
            .add(FaultRule::new(Fault::Corrupt).item(item));
        let corrupt = FaultEffect::Corrupt(memory::remote_id(item.id));
        system.memory.arm(MemoryFault::new(corrupt));
    }

    /// Somebody writes an email in the application.
    pub async fn write(
        &mut self,
        number: Number,
        from: usize,
        to: &[Recipient],
        answers: Option<Number>,
    ) {
        let marker = self.marker(number);
        let sender = self.boxes[from].clone();
        let address: EmailAddress = sender.address.parse().expect("an address");
        let mut draw = Draw::new(self.seed, 1_000_000 + u64::from(number));
        let answered = answers.and_then(|of| self.seen.get(&of)).cloned();
        let subject = answered.map_or_else(
            || post::subject(&mut draw, number),
            |seen| format!("RE: {}", seen.subject.chars().take(200).collect::<String>()),
        );
        let mut email = NewEmail::new(sender.party, address.into(), subject);
        email.text = Some(format!("Dear all,\r\n{}\r\nRegards", marker_line(&marker)));
        if draw.chance(300) {
            email.html = Some(format!("<p>Dear all, {}</p>", marker_line(&marker)));
        }
        let (mut outside, mut inside) = (Vec::new(), Vec::new());
        for (place, recipient) in to.iter().enumerate() {
            let address = match *recipient {
                Recipient::Outside(at) => Setup::outsider(at),
                Recipient::Inside(at) => self.setup.address(at),
            };
            let here = match *recipient {
                Recipient::Outside(_) => false,
                Recipient::Inside(at) => self.boxes[at].system == sender.system,
            };
            if here {
                inside.push(address.clone());
            } else {
                outside.push(address.clone());
            }
            let named: NamedAddress = address
                .parse::<EmailAddress>()
                .expect("an address of ours")
                .into();
            match place {
                1 => email.cc.push(named),
                2 => email.bcc.push(named),
                _ => email.to.push(named),
            }
        }
        self.threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(
                marker.clone(),
                answers.map_or(Thread::None, |of| Thread::Maybe(self.marker(of))),
            );
        let now = self.now();
        let record = self
            .crm()
            .send_email(&email, now)
            .await
            .expect("the application stores an email");
        self.written.insert(number, record);
        self.note(Event::Written {
            record,
            marker,
            mailbox: Some(sender.id),
            outside,
            inside,
            answers: answers.map(|of| self.marker(of)),
        });
    }

    /// Somebody does something to an item with another client.
    pub fn client(&mut self, at: usize, pick: u32, what: ClientAction) {
        let own = self.boxes[at].clone();
        let system = self.systems[own.system].clone();
        let mail = &system.mail;
        let inbox = mail
            .well_known(own.account, WellKnown::Inbox)
            .expect("an Inbox");
        let place = if what == ClientAction::MoveBack {
            match self.archive(at) {
                Some(archive) => archive,
                None => return,
            }
        } else {
            inbox
        };
        let items: Vec<(Arc<Item>, String)> = mail
            .items(place)
            .into_iter()
            .filter_map(|item| {
                let letter = letter(&item, &self.threads)?;
                Some((item, letter.marker))
            })
            .collect();
        if items.is_empty() {
            return;
        }
        let (item, marker) = &items[pick as usize % items.len()];
        self.trace
            .line(format_args!("client in box{at}: {what:?} {marker}"));
        match what {
            ClientAction::Read(read) => {
                let _ = mail.set_read(item.id, read);
            }
            ClientAction::Touch => {
                let _ = mail.touch(item.id);
            }
            ClientAction::Edit => {
                let edited = Some("edited".to_owned());
                let content = with_headers(item.content(), &[("X-Edited", edited)]);
                let edit = mail.update(item.id, None, |item| item.set_content(content));
                if edit.is_ok() {
                    self.note(Event::Edited {
                        account: own.address.clone(),
                        marker: marker.clone(),
                    });
                }
            }
            ClientAction::Archive => {
                let top = mail
                    .well_known(own.account, WellKnown::MessageRoot)
                    .expect("a root");
                let archive = mail
                    .child(top, ARCHIVE)
                    .or_else(|| mail.create_folder(top, ARCHIVE, "IPF.Note").ok())
                    .expect("a folder");
                self.moved(at, item, marker, archive);
            }
            ClientAction::MoveBack => self.moved(at, item, marker, inbox),
            ClientAction::Bin => {
                let bin = mail
                    .well_known(own.account, WellKnown::DeletedItems)
                    .expect("a bin");
                self.moved(at, item, marker, bin);
            }
            ClientAction::Copy => {
                if let Ok(copy) = mail.copy_item(item.id, inbox) {
                    let letter = letter(&copy, &self.threads).expect("it had one");
                    self.note(Event::Arrived {
                        account: own.address.clone(),
                        folder: "Inbox".to_owned(),
                        remote: remote(own.protocol, own.account, copy.id),
                        letter,
                        by: Actor::Person,
                    });
                }
            }
            ClientAction::Delete => {
                if mail.delete_item(item.id, Disposal::Hard).is_ok() {
                    self.note(Event::Deleted {
                        account: own.address.clone(),
                        marker: marker.clone(),
                        folder: "Inbox".to_owned(),
                        remote: remote(own.protocol, own.account, item.id),
                        by: Actor::Person,
                    });
                }
            }
        }
    }

    fn archive(&self, at: usize) -> Option<FolderId> {
        let own = &self.boxes[at];
        let mail = &self.systems[own.system].mail;
        let top = mail.well_known(own.account, WellKnown::MessageRoot).ok()?;
        mail.child(top, ARCHIVE)
    }

    fn moved(&self, at: usize, item: &Item, marker: &str, to: FolderId) {
        let own = &self.boxes[at];
        let system = &self.systems[own.system];
        let poisoned = self.is_poisoned(marker);
        let name = |folder| {
            system
                .mail
                .folder(folder)
                .map(|folder| folder_name(&folder))
                .unwrap_or_default()
        };
        let from = name(item.folder);
        let Ok(moved) = system.mail.move_item(item.id, to) else {
            return;
        };
        if poisoned && own.protocol == Protocol::Memory {
            self.poison(own.system, &moved);
        }
        self.note(Event::Moved {
            account: own.address.clone(),
            marker: marker.to_owned(),
            from,
            was: remote(own.protocol, own.account, item.id),
            to: name(to),
            remote: remote(own.protocol, own.account, moved.id),
            by: Actor::Person,
        });
    }

    fn is_poisoned(&self, marker: &str) -> bool {
        self.history.with(|entries| {
            entries.iter().any(|entry| {
                matches!(&entry.event, Event::Poisoned { marker: poisoned, .. } if poisoned == marker)
            })
        })
    }
}
