//! The key, and what it seals.
//!
//! XChaCha20-Poly1305 with random nonces of 24 bytes. The associated data of a secret names its
//! organization and its owner, so that a sealed value moved to another row does not open.

use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use postroom_core::{Code, Secret, planted};
use postroom_store::{ErrorKind, Result, StoreError};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::failure::{Failure, Outcome};
use crate::segment::create_private;

const KEY_BYTES: usize = 32;
pub(crate) const NONCE_BYTES: usize = 24;
/// What a key file or variable begins with.
const KEY_PREFIX: &str = "postroom-key-1";

/// Where the sealing key comes from. It never lies in the database.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum KeySource {
    /// There is none: secrets can be neither stored nor read.
    #[default]
    None,
    /// A file, as [`create_key_file`] makes it.
    File(PathBuf),
    /// An environment variable that holds what a key file would.
    Environment(String),
    /// The text of a key file.
    Text(Secret),
}

/// Makes a key file that only its owner can read, with a new random key.
///
/// The text is `postroom-key-1:<key id>:<64 hexadecimal digits>`.
///
/// # Errors
/// `AlreadyExists` where there is a file: a key is never written over. `Unavailable` otherwise.
pub fn create_key_file(path: &Path) -> Result<()> {
    const OPERATION: &str = "key.create";
    let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
    getrandom::fill(&mut *key).map_err(|source| Failure::Entropy(source).told(OPERATION))?;
    let written = create_private(path).and_then(|mut file| {
        let text = Zeroizing::new(format!("{KEY_PREFIX}:{}:{}\n", key_id(&key), &*hex(&*key)));
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| {
        let (kind, code) = if source.kind() == io::ErrorKind::AlreadyExists {
            (ErrorKind::AlreadyExists, Code::AlreadyExists)
        } else {
            (ErrorKind::Unavailable, Code::StoreUnavailable)
        };
        StoreError::new(kind, code, OPERATION)
            .with("path", path.display())
            .with_source(source)
    })
}

/// What the next key's file is called beside the one in use.
const NEXT_SUFFIX: &str = ".new";

fn next_key_file(path: &Path) -> PathBuf {
    let mut next = path.as_os_str().to_owned();
    next.push(NEXT_SUFFIX);
    next.into()
}

/// Makes the key that is to come after the one in a key file, in a file beside it; answers its text.
/// One that an earlier attempt left there is taken up again.
///
/// The rotation is: this, then [`Store::rotate_key`](postroom_store::Store::rotate_key) with the
/// text, then [`finish_key_rotation`]. It may be cut short anywhere: a store that finds itself sealed
/// with the key beside its own takes that one, and puts it into place.
///
/// # Errors
/// `Unavailable` where the file cannot be written or read.
pub fn begin_key_rotation(path: &Path) -> Result<Secret> {
    const OPERATION: &str = "key.rotate";
    let next = next_key_file(path);
    let failed = |error| unusable(OPERATION, &next, error);
    if let Some(text) = begun(&next).map_err(failed)? {
        return Ok(text);
    }
    create_key_file(&next)?;
    begun(&next)
        .and_then(|text| text.ok_or_else(|| io::ErrorKind::InvalidData.into()))
        .map_err(failed)
}

/// The key in the file of the next one, safe on the disk with its name: it may be all that opens the
/// passwords from now on. What holds no key was cut short while it was written, so that nothing was
/// ever sealed with it: it is removed. One that cannot be read stays, as it may be the one in use.
fn begun(next: &Path) -> io::Result<Option<Secret>> {
    let text = match std::fs::read_to_string(next) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Zeroizing::default(),
        Err(error) => return Err(error),
    };
    if parse(&text).is_none() {
        std::fs::remove_file(next)?;
        return Ok(None);
    }
    std::fs::File::open(next)?.sync_all()?;
    sync_folder_of(next);
    Ok(Some(Secret::new(text.as_str())))
}

/// Makes names in the folder of a file durable, where folders can be synced.
fn sync_folder_of(path: &Path) {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    if let Ok(folder) = std::fs::File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Puts the new key into the place of the old one, which is gone then.
///
/// # Errors
/// `Unavailable` where the file cannot be renamed.
pub fn finish_key_rotation(path: &Path) -> Result<()> {
    let next = next_key_file(path);
    match std::fs::rename(&next, path) {
        Ok(()) => {
            // Where folders cannot be synced the rename is done again by the next who opens it.
            sync_folder_of(path);
            Ok(())
        }
        // Whoever opened the store meanwhile has done it.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => Ok(()),
        Err(error) => Err(unusable("key.rotate", path, error)),
    }
}

fn unusable(operation: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::new(ErrorKind::Unavailable, Code::StoreUnavailable, operation)
        .with("path", path.display())
        .with_source(source)
}

/// The keys that an open store knows, and where it finds the one that follows.
#[derive(Debug)]
pub(crate) struct Keys {
    source: KeySource,
    /// The configured one first.
    known: RwLock<Vec<Arc<Seal>>>,
}

impl Keys {
    pub(crate) fn load(source: &KeySource) -> Outcome<Self> {
        let seal = match Seal::load(source) {
            Ok(seal) => seal,
            Err(failure) => match source {
                // Cut short between the old key's end and the new one's coming into place.
                KeySource::File(path) if !path.exists() && next_key_file(path).exists() => {
                    Seal::load(&KeySource::File(next_key_file(path)))?
                }
                _ => return Err(failure),
            },
        };
        Ok(Self {
            source: source.clone(),
            known: RwLock::new(vec![Arc::new(seal)]),
        })
    }

    /// The key that the secrets are sealed with, by its id; `None` where there are none yet. A key
    /// that is not among the known ones is looked for where the configured one came from: somebody
    /// else may have rotated it.
    pub(crate) fn find(&self, wanted: Option<&str>) -> Arc<Seal> {
        let known = |id: &str| {
            self.read()
                .iter()
                .find(|seal| seal.key_id() == Some(id))
                .map(Arc::clone)
        };
        let Some(wanted) = wanted else {
            return self.configured();
        };
        if let Some(seal) = known(wanted) {
            return seal;
        }
        self.follow(wanted).unwrap_or_else(|| self.configured())
    }

    /// The key that was given when the store was opened, or has taken its place.
    pub(crate) fn configured(&self) -> Arc<Seal> {
        self.read()
            .first()
            .map_or_else(|| Arc::new(Seal { key: None }), Arc::clone)
    }

    fn follow(&self, wanted: &str) -> Option<Arc<Seal>> {
        let KeySource::File(path) = &self.source else {
            return None;
        };
        let next = next_key_file(path);
        for (candidate, in_place) in [(path, true), (&next, false)] {
            let Ok(seal) = Seal::load(&KeySource::File(candidate.clone())) else {
                continue;
            };
            if seal.key_id() != Some(wanted) {
                continue;
            }
            let seal = Arc::new(seal);
            if !in_place {
                // Where that fails it stays beside, and is found there again.
                let _ = finish_key_rotation(path);
            }
            self.replace(Arc::clone(&seal));
            return Some(seal);
        }
        None
    }

    /// Knows another key from now on, too.
    pub(crate) fn add(&self, seal: Arc<Seal>) {
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(seal);
    }

    /// Forgets every key but this one.
    pub(crate) fn replace(&self, seal: Arc<Seal>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = vec![seal];
    }

    /// Forgets a key that was not taken into use.
    pub(crate) fn remove(&self, seal: &Arc<Seal>) {
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|known| !Arc::ptr_eq(known, seal));
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Vec<Arc<Seal>>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of an open store, if it has one.
pub(crate) struct Seal {
    key: Option<Key>,
}

struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "Seal(key {})", key.id),
            None => f.write_str("Seal(no key)"),
        }
    }
}

/// A sealed value.
pub(crate) struct Sealed {
    pub(crate) nonce: [u8; NONCE_BYTES],
    pub(crate) bytes: Vec<u8>,
}

impl Seal {
    /// Reads the key.
    pub(crate) fn load(source: &KeySource) -> Outcome<Self> {
        let text = match source {
            KeySource::None => return Ok(Self { key: None }),
            KeySource::Text(text) => Zeroizing::new(text.expose().to_owned()),
            KeySource::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Zeroizing::new(text),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(wrong("the key file holds no key"));
                }
                Err(_) => return Err(missing("the key file cannot be read")),
            },
            KeySource::Environment(name) => match std::env::var(name) {
                Ok(text) => Zeroizing::new(text),
                Err(_) => return Err(missing("the environment variable with the key is not set")),
            },
        };
        let key =
            parse(&text).ok_or_else(|| wrong("the text holds no key, or was cut or changed"))?;
        let cipher = XChaCha20Poly1305::new_from_slice(&*key)
            .map_err(|_length| wrong("the key has the wrong length"))?;
        Ok(Self {
            key: Some(Key {
                id: key_id(&key),
                cipher,
            }),
        })
    }

    /// The key's id, if there is a key: may be shown.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.key.as_ref().map(|key| key.id.as_str())
    }

    /// Seals a value; only the same associated data opens it again.
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE_BYTES],
        value: &[u8],
        aad: &[u8],
    ) -> Outcome<Sealed> {
        let key = self.key.as_ref().ok_or_else(no_key)?;
        if planted!(SecretUnsealed) {
            let bytes = value.to_vec();
            return Ok(Sealed { nonce, bytes });
        }
        key.cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: value, aad })
            .map(|bytes| Sealed { nonce, bytes })
            .map_err(|_opaque| wrong("the secret cannot be sealed"))
    }

    /// Opens a sealed value.
    pub(crate) fn open(&self, sealed: &Sealed, aad: &[u8]) -> Outcome<Zeroizing<Vec<u8>>> {
        let key = self.key.as_ref().ok_or_else(no_key)?;
        if planted!(SecretUnsealed) {
            return Ok(Zeroizing::new(sealed.bytes.clone()));
        }
        key.cipher
            .decrypt(
                &XNonce::from(sealed.nonce),
                Payload {
                    msg: &sealed.bytes,
                    aad,
                },
            )
            .map(Zeroizing::new)
            .map_err(|_opaque| {
                wrong("the secret was sealed with another key, or for another owner")
            })
    }
}

fn no_key() -> Failure {
    missing("the store was opened without a key")
}

fn missing(what: &str) -> Failure {
    Failure::refused(ErrorKind::Key, Code::KeyMissing).with("what", what)
}

pub(crate) fn wrong(what: &str) -> Failure {
    Failure::refused(ErrorKind::Key, Code::KeyWrong).with("what", what)
}

/// Reads `postroom-key-1:<id>:<hex>`, or bare hexadecimal digits.
fn parse(text: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let text = text.trim();
    let mut fields = text.split(':');
    let (id, digits) = match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (Some(digits), None, None, None) => (None, digits),
        (Some(KEY_PREFIX), Some(id), Some(digits), None) => (Some(id), digits),
        _ => return None,
    };
    let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
    if digits.len() != KEY_BYTES * 2 {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let high = char::from(*high).to_digit(16)?;
        let low = char::from(*low).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    if id.is_some_and(|id| id != key_id(&key)) {
        return None;
    }
    Some(key)
}

/// Names a key without saying anything about it: 16 hexadecimal digits.
fn key_id(key: &[u8; KEY_BYTES]) -> String {
    let mut hash = Sha256::new();
    hash.update(b"postroom.key-id.v1\0");
    hash.update(key);
    let digest: [u8; 32] = hash.finalize().into();
    hex(digest.get(..8).unwrap_or_default()).to_string()
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    use std::fmt::Write as _;
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_reads_back_and_a_cut_one_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        create_key_file(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(parse(&text).is_some());
        assert!(parse(text.get(..text.len() - 4).unwrap()).is_none());
        let last = text.trim().chars().last().unwrap();
        let mut changed = text.trim().to_owned();
        changed.pop();
        changed.push(if last == '0' { '1' } else { '0' });
        assert!(
            parse(&changed).is_none(),
            "the id no longer fits the digits"
        );
        assert_eq!(
            create_key_file(&path).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn only_key_and_associated_data_together_open() {
        let seal =
            |digit: &str| Seal::load(&KeySource::Text(Secret::new(digit.repeat(64)))).unwrap();
        let (one, other) = (seal("1"), seal("2"));
        let sealed = one
            .seal([7; NONCE_BYTES], b"hunter2", b"mailbox 1")
            .unwrap();
        assert_eq!(&**one.open(&sealed, b"mailbox 1").unwrap(), b"hunter2");
        assert!(one.open(&sealed, b"mailbox 2").is_err());
        assert!(other.open(&sealed, b"mailbox 1").is_err());
        assert!(!format!("{one:?}").contains("1111"));
    }
}
