//! The store's files, damaged: every call ends, in a result or a coded error.

use std::path::Path;

use futures_util::FutureExt as _;
use postroom_core::email::{ContentKey, Email, EmailHeaders};
use postroom_core::mailbox::MailboxOwner;
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::party::PartyKind;
use postroom_core::profile::ProfileKind;
use postroom_core::tracking::CorrelationQuery;
use postroom_core::{
    Mailbox, MailboxId, Organization, OrganizationId, PartyId, ProfileId, RawMessage, RecordId,
    ServerProfile,
};
use postroom_store::{
    AlertFilter, Crm as _, EmailWrite, KnownQuery, LedgerFilter, MailboxFilter, OutboxFilter, Page,
    StoreError,
};
use postroom_store_sqlite::{EmailFilter, NewEmail, PartyFilter, SqliteStorage, StorageOptions};

use super::sqlite_file::PAGE;
use super::wire::NOW;
use super::{Target, magnitude, observed, sqlite_file};
use crate::bytes::Source;
use crate::family::Family;

const FILES: [&str; 3] = [
    "postroom.sqlite",
    "postroom.sqlite-wal",
    "postroom.sqlite-segments/00000001.segment",
];

/// A change that begins with this or more knows the format of the file.
const STRUCTURED: u8 = 96;

/// In the first byte: the checksums of the log are right, whatever is in it.
const SEALED: u8 = 2;

/// The store's files.
pub(super) struct Database {
    /// As a running process has them, most of it in the log; and as one leaves them that ends in good
    /// order, all in the database.
    sets: [[Vec<u8>; 3]; 2],
    folder: tempfile::TempDir,
    records: Vec<RecordId>,
    left: std::cell::Cell<Option<u64>>,
}

/// What must not wait, as the store works inline.
fn now<T>(future: impl Future<Output = T>) -> T {
    future
        .now_or_never()
        .expect("a store that works inline does not wait")
}

fn options(folder: &Path) -> StorageOptions {
    StorageOptions::new(folder).inline().without_sync()
}

/// A folder that is fast, where there is one.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a temporary folder")
}

fn write(n: u8) -> EmailWrite {
    let mut headers = EmailHeaders::default();
    headers.subject = format!("Number {n}");
    headers.message_id = format!("{n}@x.example").parse().ok();
    EmailWrite::incoming(
        ContentKey::from_bytes([n; 32]),
        Email::new(headers),
        RawMessage::from_bytes(vec![n; 3000]),
        NOW,
        MailboxId::from_random([1; 16]),
    )
}

impl Database {
    pub(super) fn new() -> Self {
        let folder = folder();
        let organization = Organization::new(
            OrganizationId::from_random([9; 16]),
            "Contoso",
            Deployment::new(DeploymentKind::OnPremises),
        );
        drop(SqliteStorage::create(&options(folder.path()), &organization).expect("a store"));
        let storage = SqliteStorage::open(&options(folder.path())).expect("a store");
        let (store, crm) = (storage.store(), storage.crm());
        let address = "ada@contoso.example".parse().expect("an address");
        let ada = now(crm.create_party(PartyKind::User, "Ada", &[address], None)).expect("a party");
        let profile = ServerProfile::new(
            ProfileId::from_random([2; 16]),
            "Main",
            ProfileKind::Custom("memory".to_owned()),
        );
        now(store.save_profile(&profile)).expect("a profile");
        let mailbox = Mailbox::new(
            MailboxId::from_random([1; 16]),
            "Ada",
            MailboxOwner::User(ada),
            "ada@contoso.example".parse().ok(),
        );
        now(store.create_mailbox(&mailbox)).expect("a mailbox");
        let writes: Vec<_> = (1..=5).map(write).collect();
        let records = now(crm.record_emails(&writes)).expect("records");
        let from: postroom_core::EmailAddress = "ada@contoso.example".parse().expect("an address");
        let mut email = NewEmail::new(ada, from.clone().into(), "Offer");
        email.to = vec![from.into()];
        now(crm.send_email(&email, NOW)).expect("an email");
        // The log still holds everything since the store was made.
        let read = || FILES.map(|name| std::fs::read(folder.path().join(name)).unwrap_or_default());
        let running = read();
        assert!(!running[1].is_empty(), "there is a log");
        drop((storage, store, crm));
        let ended = read();
        assert!(
            ended[1].is_empty() && !ended[0].is_empty(),
            "there is no log"
        );
        Self {
            records: records
                .into_iter()
                .map(|record| record.expect("recorded").record)
                .collect(),
            sets: [running, ended],
            folder: self::folder(),
            left: std::cell::Cell::new(None),
        }
    }

    /// Lays the files out anew, damaged as the input says.
    fn damage(&self, input: &[u8]) {
        let mut source = Source::new(input);
        let first = source.byte();
        let mut files = self.sets[usize::from(first) % 2].clone();
        while !source.is_empty() {
            let which = source.byte();
            let kind = source.byte();
            // With the format in mind, or anywhere.
            if which >= STRUCTURED {
                let (at, value) = (source.number(), source.byte());
                match which % 2 {
                    0 => sqlite_file::damage_database(&mut files[0], kind, at, value),
                    _ => sqlite_file::damage_log(&mut files[1], kind, at, value),
                }
                continue;
            }
            let file = &mut files[usize::from(which) % 3];
            let length = file.len();
            let at = source.number() as usize % (length + 1);
            let value = source.byte();
            match kind % 8 {
                0 | 1 if at < length => file[at] = value,
                2 if at < length => file[at] ^= 1 << (value % 8),
                3 if kind >= 200 => file.truncate(at),
                4 => {
                    let end = length.min(at + usize::from(value) * 16);
                    file[at..end].fill(if kind < 128 { 0 } else { 0xff });
                }
                5 => {
                    // A page in the place of another.
                    let (from, to) = (at / PAGE * PAGE, usize::from(value) * PAGE);
                    if from + PAGE <= length && to + PAGE <= length {
                        file.copy_within(from..from + PAGE, to);
                    }
                }
                6 => {
                    let bytes = [0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, value];
                    let end = length.min(at + usize::from(value) % 9);
                    let count = end - at;
                    file[at..end].copy_from_slice(&bytes[..count]);
                }
                // The header of the file is where most is decided.
                _ if at < length => file[at % 100.min(length)] = value,
                _ => {}
            }
        }
        if first & SEALED != 0 {
            sqlite_file::seal_log(&mut files[1]);
        }
        let folder = self.folder.path();
        let _ = std::fs::remove_dir_all(folder.join("postroom.sqlite-segments"));
        let _ = std::fs::remove_file(folder.join("postroom.sqlite-shm"));
        std::fs::create_dir(folder.join("postroom.sqlite-segments")).expect("a folder");
        for (name, bytes) in FILES.iter().zip(files) {
            std::fs::write(folder.join(name), bytes).expect("a file");
        }
    }

    fn use_it(&self, storage: &SqliteStorage) -> Vec<Option<StoreError>> {
        let (store, crm) = (storage.store(), storage.crm());
        let page = Page::first(100);
        let mailbox = MailboxId::from_random([1; 16]);
        let key = ContentKey::from_bytes([1; 32]);
        let mut query = CorrelationQuery::default();
        query.message_ids = ["1@x.example".parse().expect("an identifier")].to_vec();
        let mut outcomes = vec![
            now(store.organization()).err(),
            now(store.profiles()).err(),
            now(store.mailboxes(&MailboxFilter::default(), page)).err(),
            now(store.mailbox(mailbox)).err(),
            now(store.due(NOW, 10)).err(),
            now(store.next_due()).err(),
            now(store.ledger(&LedgerFilter::default(), page)).err(),
            now(store.ledger_counts(None)).err(),
            now(store.outbox(&OutboxFilter::default(), page)).err(),
            now(store.alerts(&AlertFilter::default(), page)).err(),
            now(store.audit_trail(page)).err(),
            now(store.known_emails(&[KnownQuery::new(key, "2@x.example".parse().ok())])).err(),
            now(store.candidates(&[query])).err(),
            now(crm.emails(&EmailFilter::default(), page)).err(),
            now(crm.count_emails(&EmailFilter::default())).err(),
            now(crm.list_parties(&PartyFilter::default(), page)).err(),
            now(crm.outgoing(None, 10)).err(),
        ];
        for record in &self.records {
            outcomes.push(now(crm.email(*record)).err());
            match now(crm.raw(*record)) {
                // Damage that the checksum tells, or a file that ends early.
                Ok(Some(raw)) => drop(raw.read_up_to(10_000)),
                Ok(None) => {}
                Err(error) => outcomes.push(Some(error)),
            }
        }
        outcomes.push(match now(crm.record_emails(&[write(9)])) {
            Ok(written) => written.into_iter().find_map(Result::err),
            Err(error) => Some(error),
        });
        // How much is left of what was there.
        self.left
            .set(now(crm.count_emails(&EmailFilter::default())).ok());
        outcomes.push(now(store.next_token_numbers(PartyId::from_random([4; 16]))).err());
        outcomes
    }
}

/// The log of a store that runs.
#[cfg(test)]
pub(super) fn running_log() -> Vec<u8> {
    let [[_, log, _], _] = Database::new().sets;
    log
}

impl Target for Database {
    fn seeds(&self) -> Vec<Vec<u8>> {
        vec![
            Vec::new(),
            vec![1],
            vec![1, 0, 0, 16, 0, 0, 0, 1],
            vec![1, 1, 203, 0, 40, 0, 0, 0],
            vec![1, 2, 2, 100, 2, 0, 0, 3],
            vec![1, 1, 203, 0, 0, 0, 0, 0, 0, 4, 0, 32, 0, 0, 255],
            vec![1, 0, 5, 0, 16, 0, 0, 3],
            vec![1, 1, 6, 0, 18, 0, 0, 8, 1, 2, 9, 50, 0, 0, 4],
            // Header, free pages, swapped pages, fields of pages, cells; then the same in the log.
            vec![1, 96, 0, 2, 0, 0, 0, 200],
            vec![1, 96, 1, 9, 0, 0, 0, 3],
            vec![1, 96, 2, 4, 0, 0, 0, 7],
            vec![1, 96, 3, 60, 1, 0, 0, 202],
            vec![1, 96, 4, 200, 3, 0, 0, 5],
            vec![1, 96, 5, 11, 0, 0, 0, 8],
            vec![1, 96, 6, 77, 7, 0, 0, 129],
            vec![1, 96, 7, 35, 9, 0, 0, 9],
            vec![0, 97, 0, 3, 0, 0, 0, 1],
            vec![SEALED],
            vec![SEALED, 97, 1, 40, 0, 0, 0, 7],
            vec![SEALED, 97, 2, 30, 0, 0, 0, 0],
            vec![SEALED, 97, 3, 12, 0, 0, 0, 40],
            vec![SEALED, 97, 4, 50, 5, 0, 0, 0],
            vec![SEALED, 97, 29, 50, 5, 0, 0, 202],
            vec![SEALED, 97, 53, 20, 2, 0, 0, 129],
        ]
    }

    fn length_max(&self) -> usize {
        7 * 40
    }

    fn families(&self) -> Vec<Family> {
        Vec::new()
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        self.damage(input);
        let tell = |error: &StoreError| {
            let text = error.to_string();
            assert!(
                !text.chars().any(char::is_control) && text.len() < 8192,
                "{text:?}"
            );
            assert!(!text.contains("ada@") && !text.contains("Number"), "{text}");
            format!("{:?} {}", error.kind(), error.code())
        };
        let outcomes: Vec<Option<String>> = match SqliteStorage::open(&options(self.folder.path()))
        {
            Err(error) => vec![Some(tell(&error))],
            Ok(storage) => self
                .use_it(&storage)
                .iter()
                .map(|error| error.as_ref().map(tell))
                .collect(),
        };
        assert!(
            !matches!(input, [] | [SEALED]) || outcomes.iter().all(Option::is_none),
            "undamaged: {outcomes:?}"
        );
        observed(&(magnitude(outcomes.len()), outcomes, self.left.take()))
    }
}
