//! Rotation of the key, as a whole and cut short at every point.

#![expect(
    clippy::expect_used,
    reason = "helpers of tests: a failure is a failed test"
)]

use std::path::{Path, PathBuf};

use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::profile::ProfileKind;
use postroom_core::{Code, Organization, OrganizationId, ProfileId, Secret, ServerProfile};
use postroom_store::{ErrorKind, SecretOwner};
use postroom_store_sqlite::{
    KeySource, SqliteStorage, StorageOptions, begin_key_rotation, create_key_file,
    finish_key_rotation,
};
use tempfile::TempDir;

struct Office {
    folder: TempDir,
    key: PathBuf,
}

const PROFILES: u8 = 20;

fn owner(n: u8) -> SecretOwner {
    SecretOwner::ProfileIncoming(ProfileId::from_random([n; 16]))
}

impl Office {
    async fn open() -> (Self, SqliteStorage) {
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("key");
        create_key_file(&key).expect("a key");
        let office = Self { folder, key };
        let organization = Organization::new(
            OrganizationId::from_random([9; 16]),
            "Contoso",
            Deployment::new(DeploymentKind::OnPremises),
        );
        let storage = SqliteStorage::create(&office.options(), &organization).expect("a store");
        for n in 1..=PROFILES {
            let id = ProfileId::from_random([n; 16]);
            let profile =
                ServerProfile::new(id, format!("Profile {n}"), ProfileKind::ExchangeServer);
            let store = storage.store();
            store.save_profile(&profile).await.expect("a profile");
            store
                .put_secret(owner(n), &Secret::new(format!("secret {n}")))
                .await
                .expect("a secret");
        }
        (office, storage)
    }

    fn options(&self) -> StorageOptions {
        self.with(KeySource::File(self.key.clone()))
    }

    fn with(&self, key: KeySource) -> StorageOptions {
        StorageOptions::new(self.folder.path())
            .with_key(key)
            .without_sync()
    }

    fn next(&self) -> PathBuf {
        self.folder.path().join("key.new")
    }
}

async fn check(storage: &SqliteStorage) {
    for n in 1..=PROFILES {
        assert_eq!(
            storage.store().secret(owner(n)).await.expect("a secret"),
            Some(Secret::new(format!("secret {n}")))
        );
    }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a key file")
}

#[tokio::test]
async fn every_secret_is_sealed_anew_and_the_old_key_is_wrong() {
    let (office, storage) = Office::open().await;
    let old = text(&office.key);
    let key = begin_key_rotation(&office.key).unwrap();
    let count = storage.store().rotate_key(&key).await.unwrap();
    assert_eq!(count, u64::from(PROFILES));
    check(&storage).await;
    finish_key_rotation(&office.key).unwrap();
    assert!(!office.next().exists());
    assert_ne!(text(&office.key), old);
    drop(storage);
    check(&SqliteStorage::open(&office.options()).unwrap()).await;
    let error = SqliteStorage::open(&office.with(KeySource::Text(Secret::new(old)))).unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Key, Code::KeyWrong)
    );
    // Secrets that come later are sealed with the new one, too.
    let storage = SqliteStorage::open(&office.options()).unwrap();
    let store = storage.store();
    store
        .put_secret(owner(1), &Secret::new("secret 1"))
        .await
        .unwrap();
    check(&storage).await;
}

#[tokio::test]
async fn a_rotation_cut_short_before_anything_was_sealed_is_taken_up_again() {
    let (office, storage) = Office::open().await;
    let first = begin_key_rotation(&office.key).unwrap();
    drop(storage);
    let storage = SqliteStorage::open(&office.options()).unwrap();
    check(&storage).await;
    assert!(
        office.next().exists(),
        "the old key is still the one in use"
    );
    let again = begin_key_rotation(&office.key).unwrap();
    assert!(again == first, "the same key is taken up");
    // A file that was cut while it was written is made anew.
    std::fs::write(office.next(), "postroom-key-1:12").unwrap();
    let fresh = begin_key_rotation(&office.key).unwrap();
    assert!(fresh != first);
    // What cannot be read may be the one in use: it stays, and says so.
    std::fs::remove_file(office.next()).unwrap();
    std::fs::create_dir(office.next()).unwrap();
    let error = begin_key_rotation(&office.key).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(office.next().is_dir());
    std::fs::remove_dir(office.next()).unwrap();
    let fresh = begin_key_rotation(&office.key).unwrap();
    storage.store().rotate_key(&fresh).await.unwrap();
    finish_key_rotation(&office.key).unwrap();
    finish_key_rotation(&office.key).unwrap();
    check(&SqliteStorage::open(&office.options()).unwrap()).await;
}

#[tokio::test]
async fn a_rotation_cut_short_after_the_sealing_is_finished_by_the_next_who_opens() {
    let (office, storage) = Office::open().await;
    let key = begin_key_rotation(&office.key).unwrap();
    storage.store().rotate_key(&key).await.unwrap();
    drop(storage);
    let old = text(&office.key);
    check(&SqliteStorage::open(&office.options()).unwrap()).await;
    assert_ne!(text(&office.key), old, "the new key has come into place");
    assert!(!office.next().exists());
}

#[tokio::test]
async fn whoever_has_the_store_open_follows() {
    let (office, storage) = Office::open().await;
    let beside = SqliteStorage::open(&office.options()).unwrap();
    check(&beside).await;
    let key = begin_key_rotation(&office.key).unwrap();
    storage.store().rotate_key(&key).await.unwrap();
    // Not in place yet.
    check(&beside).await;
    finish_key_rotation(&office.key).unwrap();
    check(&beside).await;
    let key = begin_key_rotation(&office.key).unwrap();
    storage.store().rotate_key(&key).await.unwrap();
    finish_key_rotation(&office.key).unwrap();
    // In place.
    check(&beside).await;
    beside
        .store()
        .put_secret(owner(2), &Secret::new("secret 2"))
        .await
        .unwrap();
    check(&storage).await;
}

#[tokio::test]
async fn what_is_no_key_changes_nothing() {
    let (office, storage) = Office::open().await;
    let error = storage
        .store()
        .rotate_key(&Secret::new("no key"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Key);
    check(&storage).await;
    // A store that was opened without its key cannot rotate.
    drop(storage);
    let blind = SqliteStorage::open(&office.with(KeySource::None)).unwrap();
    let key = begin_key_rotation(&office.key).unwrap();
    assert_eq!(
        blind.store().rotate_key(&key).await.unwrap_err().kind(),
        ErrorKind::Key
    );
    drop(blind);
    check(&SqliteStorage::open(&office.options()).unwrap()).await;
}

#[tokio::test]
async fn the_secrets_do_not_lie_in_the_file() {
    let (office, storage) = Office::open().await;
    let key = begin_key_rotation(&office.key).unwrap();
    storage.store().rotate_key(&key).await.unwrap();
    drop(storage);
    for entry in std::fs::read_dir(office.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(
                !bytes.windows(8).any(|window| window == b"secret 1"),
                "{}",
                path.display()
            );
        }
    }
}
