//! The folder with the database: made, opened, copied as a crash leaves it, torn as a power failure
//! leaves it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::{Organization, OrganizationId, Secret};
use postroom_provider::Randomness;
use postroom_store_sqlite::{KeySource, SqliteStorage, StorageOptions};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::randomness::{Draw, SimRandomness};

const DATABASE: &str = "postroom.sqlite";
const SEGMENTS: &str = "postroom.sqlite-segments";

/// The text of a key file; nobody's but the simulation's.
fn key() -> Secret {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| {
        let key = [0x5a_u8; 32];
        let mut hash = Sha256::new();
        hash.update(b"postroom.key-id.v1\0");
        hash.update(key);
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        format!(
            "postroom-key-1:{}:{}\n",
            hex(&hash.finalize()[..8]),
            hex(&key)
        )
    });
    Secret::new(text.as_str())
}

/// Where simulations keep their files: in memory, where the system offers that.
fn root() -> PathBuf {
    if let Some(folder) = std::env::var_os("POSTROOM_SIM_FOLDER") {
        return folder.into();
    }
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

fn new_folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("postroom-sim-")
        .tempdir_in(root())
        .expect("the simulation needs a folder to write to")
}

fn options(folder: &Path, randomness: &Arc<SimRandomness>) -> StorageOptions {
    let randomness = Arc::clone(randomness);
    StorageOptions::new(folder.join(DATABASE))
        .with_key(KeySource::Text(key()))
        .with_randomness(move |buffer| {
            randomness.fill(buffer);
            Ok(())
        })
        .with_segment_bytes_max(256 * 1024)
        .inline()
        .exclusive()
        .without_sync()
}

/// A new, empty database, made once: making one takes longer than many a simulation's first day.
fn template() -> &'static [u8] {
    static TEMPLATE: OnceLock<Vec<u8>> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let folder = new_folder();
        let organization = Organization::new(
            OrganizationId::from_random([1; 16]),
            "Contoso",
            Deployment::new(DeploymentKind::OnPremises),
        );
        let randomness = Arc::new(SimRandomness::new(0, 0));
        let options = options(folder.path(), &randomness);
        drop(SqliteStorage::create(&options, &organization).expect("a new store"));
        std::fs::read(folder.path().join(DATABASE)).expect("the store's file")
    })
}

/// How long the files are: enough to tell what one call wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    /// The database itself, and the bytes of its header that change with it.
    database: (u64, Vec<u8>),
    /// The write-ahead log.
    log: u64,
    /// The newest segment.
    segment: Option<(PathBuf, u64)>,
}

/// The files of one run.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
    randomness: Arc<SimRandomness>,
}

impl Disk {
    /// A new database.
    #[must_use]
    pub fn create(seed: u64) -> Self {
        let folder = new_folder();
        std::fs::write(folder.path().join(DATABASE), template()).expect("a store's file");
        Self {
            folder,
            randomness: Arc::new(SimRandomness::new(seed, 2)),
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Opens the database.
    ///
    /// # Errors
    /// As the store says.
    pub fn open(&self) -> postroom_store::Result<SqliteStorage> {
        SqliteStorage::open(&options(self.folder.path(), &self.randomness))
    }

    /// The files as a crash of the process leaves them, in a new folder: whoever still has the old
    /// ones open (and would tidy up when closing them) changes nothing any more.
    pub fn crash(&mut self) {
        let next = new_folder();
        let old = self.folder.path();
        for name in [DATABASE.to_owned(), format!("{DATABASE}-wal")] {
            let from = old.join(&name);
            if from.exists() {
                std::fs::copy(&from, next.path().join(&name)).expect("a copy of the store");
            }
        }
        let segments = old.join(SEGMENTS);
        if segments.is_dir() {
            let to = next.path().join(SEGMENTS);
            std::fs::create_dir(&to).expect("a copy of the segments");
            for entry in std::fs::read_dir(&segments).expect("the segments") {
                let entry = entry.expect("a segment");
                std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a segment's copy");
            }
        }
        self.folder = next;
    }

    /// How long the files are now.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        lengths(self.folder.path())
    }

    /// Cuts the files between what they were before a call and after it, as a power failure in the
    /// middle of it may. Answers whether there was anything to cut.
    ///
    /// A log that is not whole may stand beside a segment that is not either; what a whole log names
    /// was synced before.
    pub fn tear(&self, before: &Lengths, after: &Lengths, draw: &mut Draw) -> bool {
        if before.database != after.database || after.log <= before.log {
            return false;
        }
        let log = draw.between(before.log, after.log);
        cut(&self.folder.path().join(format!("{DATABASE}-wal")), log);
        if log == before.log
            && let Some((name, length)) = &after.segment
        {
            let earlier = match &before.segment {
                Some((other, length)) if other == name => *length,
                _ => 0,
            };
            let segment = self.folder.path().join(SEGMENTS).join(name);
            cut(&segment, draw.between(earlier, *length));
        }
        true
    }
}

fn cut(path: &Path, length: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(path);
    file.and_then(|file| file.set_len(length))
        .expect("a file can be cut");
}

/// How long the files in a store's folder are.
#[must_use]
pub fn lengths(folder: &Path) -> Lengths {
    use std::io::Read as _;

    let length = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let database = folder.join(DATABASE);
    let mut header = vec![0; 100];
    let read = std::fs::File::open(&database).and_then(|mut file| file.read_exact(&mut header));
    if read.is_err() {
        header.clear();
    }
    let newest = std::fs::read_dir(folder.join(SEGMENTS))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| PathBuf::from(entry.file_name()))
        .max();
    Lengths {
        database: (length(&database), header),
        log: length(&folder.join(format!("{DATABASE}-wal"))),
        segment: newest.map(|name| {
            let length = length(&folder.join(SEGMENTS).join(&name));
            (name, length)
        }),
    }
}
