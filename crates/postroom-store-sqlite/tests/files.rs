//! What lies on the disk: crashes, damage, foreign and newer files, keys.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests stop at what they did not expect"
)]

use std::future::Future;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use postroom_core::email::{ContentKey, Email, EmailHeaders};
use postroom_core::mailbox::MailboxOwner;
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::{
    Code, Mailbox, MailboxId, Organization, OrganizationId, PartyId, RawMessage, RecordId, Secret,
    Timestamp,
};
use postroom_store::{Crm, EmailWrite, ErrorKind, Page, Result, SecretOwner, StoreError};
use postroom_store_sqlite::{
    EmailFilter, KeySource, SqliteStorage, StorageOptions, create_key_file,
};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The answer of a store that works inline.
fn now<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().unwrap()
}

fn organization() -> Organization {
    Organization::new(
        OrganizationId::from_random([9; 16]),
        "Contoso",
        Deployment::new(DeploymentKind::OnPremises),
    )
}

fn options(folder: &Path) -> StorageOptions {
    StorageOptions::new(folder).inline().without_sync()
}

fn create(folder: &TempDir) -> SqliteStorage {
    SqliteStorage::create(&options(folder.path()), &organization()).unwrap()
}

fn failure<T>(answer: Result<T>) -> StoreError {
    match answer {
        Ok(_) => panic!("it was done"),
        Err(error) => error,
    }
}

fn content(n: u8) -> Vec<u8> {
    vec![n; 1000 + usize::from(n)]
}

fn write(n: u8) -> EmailWrite {
    EmailWrite::incoming(
        ContentKey::from_bytes([n; 32]),
        Email::new(EmailHeaders::default()),
        RawMessage::from_bytes(content(n)),
        NOW,
        MailboxId::from_random([1; 16]),
    )
}

fn record(storage: &SqliteStorage, n: u8) -> RecordId {
    now(storage.crm().record_emails(&[write(n)]))
        .unwrap()
        .remove(0)
        .unwrap()
        .record
}

fn read(storage: &SqliteStorage, record: RecordId) -> std::io::Result<Vec<u8>> {
    let raw = now(storage.crm().raw(record)).unwrap().unwrap();
    let mut bytes = Vec::new();
    raw.open()?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn database(folder: &Path) -> PathBuf {
    folder.join("postroom.sqlite")
}

fn segment(folder: &Path) -> PathBuf {
    folder.join("postroom.sqlite-segments/00000001.segment")
}

/// A copy of the files as a crash leaves them: the process is still running.
fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for name in ["postroom.sqlite", "postroom.sqlite-wal"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.path().join(name)).unwrap();
        }
    }
    std::fs::create_dir(to.path().join("postroom.sqlite-segments")).unwrap();
    std::fs::copy(segment(from), segment(to.path())).unwrap();
    to
}

fn cut(path: &Path, length: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

#[test]
fn what_a_crash_left_behind_the_last_message_is_reclaimed() {
    let folder = tempfile::tempdir().unwrap();
    let storage = create(&folder);
    let first = record(&storage, 1);
    drop(storage);
    let committed = length(&segment(folder.path()));
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(segment(folder.path()))
        .unwrap();
    file.write_all(&[0xee; 5000]).unwrap();
    drop(file);
    let storage = SqliteStorage::open(&options(folder.path())).unwrap();
    assert_eq!(read(&storage, first).unwrap(), content(1));
    let second = record(&storage, 2);
    assert_eq!(read(&storage, second).unwrap(), content(2));
    assert_eq!(read(&storage, first).unwrap(), content(1));
    assert_eq!(length(&segment(folder.path())), committed + 1002);
}

#[test]
fn a_write_that_failed_leaves_no_bytes_that_count() {
    let folder = tempfile::tempdir().unwrap();
    let storage = create(&folder);
    record(&storage, 1);
    let before = length(&segment(folder.path()));
    // The second message says that it is longer than it is: nothing of the batch is kept.
    let mut lying = write(3);
    lying.raw = RawMessage::new(std::sync::Arc::new(Short), 999);
    let error = failure(now(storage.crm().record_emails(&[write(2), lying])));
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(
        now(storage.crm().count_emails(&EmailFilter::default())).unwrap(),
        1
    );
    let second = record(&storage, 2);
    assert_eq!(read(&storage, second).unwrap(), content(2));
    // What is left of the longer batch goes when the file is taken up again.
    drop(storage);
    let storage = SqliteStorage::open(&options(folder.path())).unwrap();
    let third = record(&storage, 3);
    assert_eq!(read(&storage, second).unwrap(), content(2));
    assert_eq!(read(&storage, third).unwrap(), content(3));
    assert_eq!(length(&segment(folder.path())), before + 1002 + 1003);
}

#[derive(Debug)]
struct Short;

impl postroom_core::raw::RawSource for Short {
    fn open(&self) -> std::io::Result<Box<dyn std::io::Read + Send>> {
        Ok(Box::new(std::io::Cursor::new(b"short")))
    }
}

#[test]
fn a_segment_cut_anywhere_costs_only_what_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    let storage = create(&folder);
    let records: Vec<_> = (1..=4).map(|n| record(&storage, n)).collect();
    let full = length(&segment(folder.path()));
    let ends: Vec<u64> = (1..=4_u64)
        .map(|n| 8 + 1000 * n + (1..=n).sum::<u64>())
        .collect();
    assert_eq!(ends[3], full);
    for kept in [
        0,
        3,
        8,
        500,
        ends[0] - 1,
        ends[0],
        ends[1] + 1,
        ends[2] - 1,
        full - 1,
        full,
    ] {
        let copy = copy(folder.path());
        cut(&segment(copy.path()), kept);
        let storage = SqliteStorage::open(&options(copy.path())).unwrap();
        for (n, (record, end)) in (1..).zip(records.iter().zip(&ends)) {
            match read(&storage, *record) {
                Ok(bytes) => {
                    assert!(
                        *end <= kept,
                        "{n} is whole though the file was cut at {kept}"
                    );
                    assert_eq!(bytes, content(n));
                }
                Err(error) => {
                    assert!(*end > kept, "{n} is lost though the file was cut at {kept}");
                    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
                }
            }
        }
        // The key still knows its record, and new messages are kept.
        let again = now(storage.crm().record_emails(&[write(4)]))
            .unwrap()
            .remove(0)
            .unwrap();
        assert_eq!((again.record, again.created), (records[3], false));
        let next = record(&storage, 5);
        assert_eq!(read(&storage, next).unwrap(), content(5));
    }
}

#[test]
fn a_log_cut_anywhere_leaves_whole_transactions() {
    let folder = tempfile::tempdir().unwrap();
    drop(create(&folder));
    let storage = SqliteStorage::open(&options(folder.path())).unwrap();
    let records: Vec<_> = (1..=6).map(|n| record(&storage, n)).collect();
    let wal = folder.path().join("postroom.sqlite-wal");
    let full = length(&wal);
    assert!(full > 0);
    let mut seen = std::collections::BTreeSet::new();
    for step in 0..=40 {
        let copy = copy(folder.path());
        cut(&copy.path().join("postroom.sqlite-wal"), full * step / 40);
        let storage = SqliteStorage::open(&options(copy.path())).unwrap();
        let kept = now(storage
            .crm()
            .emails(&EmailFilter::default(), Page::first(100)))
        .unwrap();
        for email in &kept {
            let n = records
                .iter()
                .position(|record| *record == email.record)
                .unwrap();
            assert!(
                n < kept.len(),
                "a later transaction is there and an earlier one is not"
            );
            let n = u8::try_from(n).unwrap() + 1;
            assert_eq!(read(&storage, email.record).unwrap(), content(n));
        }
        // Writing everything again fills the gaps, and only them.
        for n in 1..=6 {
            record(&storage, n);
        }
        let count = now(storage.crm().count_emails(&EmailFilter::default())).unwrap();
        assert_eq!(count, 6);
        seen.insert(kept.len());
    }
    assert!(seen.contains(&0) && seen.contains(&6), "{seen:?}");
}

#[test]
fn a_damaged_message_says_so_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let storage = create(&folder);
    let first = record(&storage, 1);
    let mut bytes = std::fs::read(segment(folder.path())).unwrap();
    bytes[500] ^= 1;
    std::fs::write(segment(folder.path()), bytes).unwrap();
    let error = read(&storage, first).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}

#[test]
fn two_open_stores_append_to_different_files() {
    let folder = tempfile::tempdir().unwrap();
    let engine = create(&folder);
    let beside = SqliteStorage::open(&options(folder.path())).unwrap();
    let one = record(&engine, 1);
    let two = record(&beside, 2);
    let three = record(&engine, 3);
    for (n, record) in [(1, one), (2, two), (3, three)] {
        assert_eq!(read(&engine, record).unwrap(), content(n));
        assert_eq!(read(&beside, record).unwrap(), content(n));
    }
    let segments = std::fs::read_dir(folder.path().join("postroom.sqlite-segments")).unwrap();
    assert_eq!(segments.count(), 2);
}

#[test]
fn full_files_are_followed_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path()).with_segment_bytes_max(3000);
    let storage = SqliteStorage::create(&options, &organization()).unwrap();
    let writes: Vec<_> = (1..=10).map(write).collect();
    let recorded = now(storage.crm().record_emails(&writes)).unwrap();
    drop(storage);
    let storage = SqliteStorage::open(&options).unwrap();
    for (n, recorded) in (1..).zip(recorded) {
        assert_eq!(
            read(&storage, recorded.unwrap().record).unwrap(),
            content(n)
        );
    }
    let segments = std::fs::read_dir(folder.path().join("postroom.sqlite-segments")).unwrap();
    assert_eq!(segments.count(), 4);
}

#[test]
fn files_that_are_no_store_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let missing = failure(SqliteStorage::open(&options));
    assert_eq!(missing.kind(), ErrorKind::NotFound);

    std::fs::write(
        database(folder.path()),
        b"this is a letter, not a database. ".repeat(40),
    )
    .unwrap();
    for error in [
        failure(SqliteStorage::open(&options)),
        failure(SqliteStorage::create(&options, &organization())),
    ] {
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Corrupt, Code::StoreCorrupt)
        );
        assert!(error.to_string().contains("postroom.sqlite"));
    }

    std::fs::remove_file(database(folder.path())).unwrap();
    let foreign = rusqlite::Connection::open(database(folder.path())).unwrap();
    foreign
        .execute_batch("CREATE TABLE songs (title TEXT)")
        .unwrap();
    drop(foreign);
    let error = failure(SqliteStorage::open(&options));
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(
        failure(SqliteStorage::create(&options, &organization())).kind(),
        ErrorKind::Corrupt
    );
}

#[test]
fn a_store_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    drop(create(&folder));
    let again = failure(SqliteStorage::create(
        &options(folder.path()),
        &organization(),
    ));
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    let storage = SqliteStorage::open(&options(folder.path())).unwrap();
    assert_eq!(now(storage.store().organization()).unwrap(), organization());
}

#[test]
fn a_newer_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(create(&folder));
    let newer = rusqlite::Connection::open(database(folder.path())).unwrap();
    newer
        .execute_batch("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    drop(newer);
    let before = std::fs::read(database(folder.path())).unwrap();
    let error = failure(SqliteStorage::open(&options(folder.path())));
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::TooNew, Code::StoreTooNew)
    );
    assert_eq!(std::fs::read(database(folder.path())).unwrap(), before);
}

#[test]
fn a_migration_that_was_changed_afterwards_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    drop(create(&folder));
    let hand = rusqlite::Connection::open(database(folder.path())).unwrap();
    hand.execute_batch("UPDATE schema_migrations SET checksum = x'00'")
        .unwrap();
    drop(hand);
    let error = failure(SqliteStorage::open(&options(folder.path())));
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.context()["table"], "schema_migrations");
}

fn mailbox(n: u8) -> Mailbox {
    let owner = MailboxOwner::User(PartyId::from_random([n; 16]));
    Mailbox::new(
        MailboxId::from_random([n; 16]),
        format!("mailbox {n}"),
        owner,
        None,
    )
}

#[test]
fn odd_values_in_the_file_are_told_by_table_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let storage = create(&folder);
    now(storage.store().create_mailbox(&mailbox(1))).unwrap();
    let hand = rusqlite::Connection::open(database(folder.path())).unwrap();
    for (sql, table, column) in [
        ("UPDATE workloads SET health = '{'", "workloads", "health"),
        (
            "UPDATE workloads SET workload = 'gossip' WHERE workload = 'items'",
            "workloads",
            "workload",
        ),
        (
            "UPDATE mailboxes SET revision = -1",
            "mailboxes",
            "revision",
        ),
        (
            "UPDATE mailboxes SET definition = 'x'",
            "mailboxes",
            "definition",
        ),
    ] {
        hand.execute_batch(sql).unwrap();
        let error = failure(now(storage.store().mailbox(mailbox(1).id)));
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Corrupt, Code::StoreCorrupt),
            "{sql}"
        );
        let seen = (
            error.context()["table"].as_str(),
            error.context()["column"].as_str(),
        );
        assert_eq!(seen, (table, column), "{sql}");
    }
    hand.execute_batch("DROP TABLE audit").unwrap();
    let error = failure(now(storage.store().audit_trail(Page::first(1))));
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_sealed_secret_opens_with_its_key_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let (key, other) = (folder.path().join("key"), folder.path().join("other"));
    create_key_file(&key).unwrap();
    create_key_file(&other).unwrap();
    let with = |source: KeySource| options(folder.path()).with_key(source);
    let file = |path: &Path| KeySource::File(path.to_owned());

    let storage = SqliteStorage::create(&with(KeySource::None), &organization()).unwrap();
    now(storage.store().create_mailbox(&mailbox(1))).unwrap();
    now(storage.store().create_mailbox(&mailbox(2))).unwrap();
    let (one, two) = (
        SecretOwner::Mailbox(mailbox(1).id),
        SecretOwner::Mailbox(mailbox(2).id),
    );
    let no_key = failure(now(storage
        .store()
        .put_secret(one, &Secret::new("hunter2"))));
    assert_eq!(
        (no_key.kind(), no_key.code()),
        (ErrorKind::Key, Code::KeyMissing)
    );
    drop(storage);

    // Without secrets any key will do; the first secret decides.
    drop(SqliteStorage::open(&with(file(&other))).unwrap());
    let storage = SqliteStorage::open(&with(file(&key))).unwrap();
    now(storage.store().put_secret(one, &Secret::new("hunter2"))).unwrap();
    now(storage.store().put_secret(two, &Secret::new("swordfish"))).unwrap();
    drop(storage);

    let wrong = failure(SqliteStorage::open(&with(file(&other))));
    assert_eq!(
        (wrong.kind(), wrong.code()),
        (ErrorKind::Key, Code::KeyWrong)
    );
    let missing = failure(SqliteStorage::open(&with(file(
        &folder.path().join("none"),
    ))));
    assert_eq!(
        (missing.kind(), missing.code()),
        (ErrorKind::Key, Code::KeyMissing)
    );
    let without = SqliteStorage::open(&with(KeySource::None)).unwrap();
    assert_eq!(
        failure(now(without.store().secret(one))).code(),
        Code::KeyMissing
    );
    drop(without);

    // Neither the value nor the key is in the file, and a row moved to another owner stays shut.
    let hand = rusqlite::Connection::open(database(folder.path())).unwrap();
    hand.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let bytes = std::fs::read(database(folder.path())).unwrap();
    assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
    hand.execute(
        "UPDATE secrets SET (nonce, sealed) = (SELECT nonce, sealed FROM secrets WHERE owner = ?1) WHERE owner = ?2",
        [mailbox(1).id.as_uuid().as_bytes(), mailbox(2).id.as_uuid().as_bytes()],
    )
    .unwrap();
    drop(hand);
    let storage = SqliteStorage::open(&with(file(&key))).unwrap();
    assert_eq!(
        now(storage.store().secret(one)).unwrap(),
        Some(Secret::new("hunter2"))
    );
    assert_eq!(
        failure(now(storage.store().secret(two))).code(),
        Code::KeyWrong
    );
    drop(storage);

    // Whoever has lost the key starts anew.
    let storage = SqliteStorage::open(&with(file(&other)).discard_secrets()).unwrap();
    assert_eq!(now(storage.store().secret(one)).unwrap(), None);
    now(storage.store().put_secret(one, &Secret::new("anew"))).unwrap();
    drop(storage);
    assert!(SqliteStorage::open(&with(file(&key))).is_err());
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let storage = create(&folder);
    record(&storage, 1);
    for path in [database(folder.path()), segment(folder.path())] {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}
