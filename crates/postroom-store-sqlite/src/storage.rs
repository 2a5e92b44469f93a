//! Making and opening a store.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use postroom_core::organization::DeploymentKind;
use postroom_core::{Code, Organization, ProfileId};
use postroom_store::{ErrorKind, Result, Store, StoreError, TransactionScope};
use rusqlite::{Connection, params};

use crate::crm::SqliteCrm;
use crate::database::{Database, Fill, Handle, connect};
use crate::executor::{Executor, InlineExecutor, ThreadExecutor};
use crate::failure::{Failure, Outcome};
use crate::log::{Log, Syncer};
use crate::migrate::{FileKind, kind_of, migrate};
use crate::seal::{KeySource, Keys};
use crate::segment::{SEGMENT_BYTES_MAX, Segments, create_private};
use crate::sql::{Id, change, json};
use crate::store::{SqliteStore, secrets};

/// The name of the file where only a folder is given.
const FILE_NAME: &str = "postroom.sqlite";
const READERS: usize = 2;

/// Where a store is and how it is opened.
#[derive(Clone)]
pub struct StorageOptions {
    pub(crate) path: PathBuf,
    key: KeySource,
    executor: Option<Arc<dyn Executor>>,
    pub(crate) single: bool,
    exclusive: bool,
    pub(crate) fill: Fill,
    segment_bytes_max: u64,
    pub(crate) sync: bool,
    discard_secrets: bool,
}

impl fmt::Debug for StorageOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageOptions")
            .field("path", &self.path)
            .field("key", &self.key)
            .field("executor", &self.executor)
            .finish_non_exhaustive()
    }
}

impl StorageOptions {
    /// The store in that file, or in `postroom.sqlite` where there is a folder of that name; no key,
    /// threads of its own. Raw messages go to a folder beside the file, `postroom.sqlite-segments`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            path: if path.is_dir() {
                path.join(FILE_NAME)
            } else {
                path
            },
            key: KeySource::None,
            executor: None,
            single: false,
            exclusive: false,
            fill: Arc::new(getrandom::fill),
            segment_bytes_max: SEGMENT_BYTES_MAX,
            sync: true,
            discard_secrets: false,
        }
    }

    /// Takes the sealing key from there.
    #[must_use]
    pub fn with_key(mut self, key: KeySource) -> Self {
        self.key = key;
        self
    }

    /// Runs the work there.
    #[must_use]
    pub fn with_executor(mut self, executor: Arc<dyn Executor>) -> Self {
        self.executor = Some(executor);
        self
    }

    /// Runs the work at once on the calling thread, over one connection.
    #[must_use]
    pub fn inline(mut self) -> Self {
        self.single = true;
        self.with_executor(Arc::new(InlineExecutor::new()))
    }

    /// Keeps everybody else off the file while it is open, and is spared the locks of each statement.
    /// Only for [`inline`](Self::inline) work: threads have a connection each.
    #[must_use]
    pub const fn exclusive(mut self) -> Self {
        self.exclusive = true;
        self
    }

    /// Takes randomness (nonces, ids of records) from there: for simulations that repeat.
    #[must_use]
    pub fn with_randomness(
        mut self,
        fill: impl Fn(&mut [u8]) -> std::result::Result<(), getrandom::Error> + Send + Sync + 'static,
    ) -> Self {
        self.fill = Arc::new(fill);
        self
    }

    /// Begins another segment file when one has grown to this many bytes (256 MiB).
    #[must_use]
    pub const fn with_segment_bytes_max(mut self, bytes: u64) -> Self {
        self.segment_bytes_max = bytes;
        self
    }

    /// Leaves out the waits for the disk: for tests on throw-away files only. A process may still
    /// die at any point; a power failure loses everything.
    #[must_use]
    pub const fn without_sync(mut self) -> Self {
        self.sync = false;
        self
    }

    /// Forgets every sealed secret when opening, for somebody who has lost the key: passwords have
    /// to be set anew.
    #[must_use]
    pub const fn discard_secrets(mut self) -> Self {
        self.discard_secrets = true;
        self
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// An open store: the engine's truth and the embedded records, in one file.
///
/// ```
/// use postroom_core::organization::{Deployment, DeploymentKind};
/// use postroom_core::{Organization, OrganizationId};
/// use postroom_store_sqlite::{SqliteStorage, StorageOptions};
///
/// let folder = tempfile::tempdir()?;
/// let options = StorageOptions::new(folder.path());
/// let organization = Organization::new(
///     OrganizationId::from_random([1; 16]),
///     "Contoso",
///     Deployment::new(DeploymentKind::OnPremises),
/// );
/// let storage = SqliteStorage::create(&options, &organization)?;
/// let found = futures_util::FutureExt::now_or_never(storage.store().profiles());
/// # drop(found);
/// drop(storage);
/// SqliteStorage::open(&options)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStorage {
    store: Arc<SqliteStore>,
    crm: Arc<SqliteCrm>,
}

impl SqliteStorage {
    /// Makes a new store for an organization, and opens it. Where the deployment is online it has the
    /// profile for Exchange Online from the start. Blocks for a moment.
    ///
    /// # Errors
    /// `AlreadyExists` where the file is a store, `Corrupt` where it is something else, `Key`,
    /// `Unavailable`.
    pub fn create(options: &StorageOptions, organization: &Organization) -> Result<Self> {
        const OPERATION: &str = "store.create";
        if let Some(folder) = options
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder)
                .map_err(|error| unusable(&options.path, OPERATION, error))?;
        }
        match create_private(&options.path) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unusable(&options.path, OPERATION, error)),
        }
        create(options, organization)
            .and_then(|connection| open(options, connection))
            .map_err(|failure| failure.told(OPERATION).with("path", options.path.display()))
    }

    /// Opens a store, and brings it to this version where it is older. Blocks for a moment.
    ///
    /// # Errors
    /// `NotFound` where there is no such file, `Corrupt` where it is no store, `TooNew`, `Key` where
    /// the key is missing or not the one that sealed the stored secrets, `Unavailable`.
    pub fn open(options: &StorageOptions) -> Result<Self> {
        const OPERATION: &str = "store.open";
        if !options.path.exists() {
            return Err(
                StoreError::not_found(OPERATION, "store").with("path", options.path.display())
            );
        }
        connect(&options.path, options.sync)
            .and_then(|connection| match kind_of(&connection)? {
                FileKind::Store => open(options, connection),
                FileKind::Empty | FileKind::Foreign => Err(no_store()),
            })
            .map_err(|failure| failure.told(OPERATION).with("path", options.path.display()))
    }

    /// The engine's truth.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::<SqliteStore>::clone(&self.store)
    }

    /// The embedded records.
    #[must_use]
    pub fn crm(&self) -> Arc<SqliteCrm> {
        Arc::clone(&self.crm)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.store.path()
    }
}

fn create(options: &StorageOptions, organization: &Organization) -> Outcome<Connection> {
    let mut connection = connect(&options.path, options.sync)?;
    match kind_of(&connection)? {
        FileKind::Empty => {}
        FileKind::Store => return Err(Failure::exists("store")),
        FileKind::Foreign => return Err(no_store()),
    }
    let mut organization = organization.clone();
    let profile = if organization.deployment.kind == DeploymentKind::Online {
        let mut bytes = [0; 16];
        (options.fill)(&mut bytes).map_err(Failure::Entropy)?;
        organization.begin_with_profile(ProfileId::from_random(bytes))
    } else {
        None
    };
    migrate(&mut connection, |connection| {
        change(
            connection,
            "INSERT INTO organization (only_row, id, definition) VALUES (1, ?1, ?2)",
            params![organization.id.bytes(), json(&organization)?],
        )?;
        if let Some(profile) = &profile {
            change(
                connection,
                "INSERT INTO profiles (id, name_key, definition) VALUES (?1, ?2, ?3)",
                params![
                    profile.id.bytes(),
                    profile.name.to_lowercase(),
                    json(profile)?
                ],
            )?;
        }
        Ok(())
    })?;
    Ok(connection)
}

fn open(options: &StorageOptions, mut connection: Connection) -> Outcome<SqliteStorage> {
    if options.exclusive && options.single {
        connection
            .execute_batch("PRAGMA locking_mode = EXCLUSIVE")
            .map_err(|source| Failure::sql("lock the file", source))?;
    }
    migrate(&mut connection, |_| Ok(()))?;
    let keys = Keys::load(&options.key)?;
    let executor = match &options.executor {
        Some(executor) => Arc::clone(executor),
        None => Arc::new(ThreadExecutor::start(READERS).map_err(Failure::Segment)?),
    };
    if options.sync {
        // From here on the log is waited for outside of SQLite.
        connection
            .execute_batch("PRAGMA synchronous = NORMAL")
            .map_err(|source| Failure::sql("configure the connection", source))?;
    }
    let log = Arc::new(Log::of(&options.path));
    // Whose executor is somebody else's has no thread of ours.
    let syncer = if options.sync && options.executor.is_none() {
        Some(Syncer::start(Arc::clone(&log)).map_err(Failure::Segment)?)
    } else {
        None
    };
    let mut segment_directory = options.path.clone().into_os_string();
    segment_directory.push("-segments");
    let segment_directory = PathBuf::from(segment_directory);
    let database = Database::new(
        options,
        connection,
        Segments::new(
            segment_directory.clone(),
            options.segment_bytes_max,
            options.sync,
        ),
        segment_directory,
        keys,
        log,
        syncer,
    );
    if options.discard_secrets {
        database.write(|write| secrets::discard(write))?;
    }
    database.read(secrets::check_key)?;
    let handle = Handle {
        database: Arc::new(database),
        executor,
        scope: TransactionScope::new(),
    };
    Ok(SqliteStorage {
        store: Arc::new(SqliteStore::new(handle.clone())),
        crm: Arc::new(SqliteCrm::new(handle)),
    })
}

fn no_store() -> Failure {
    Failure::refused(ErrorKind::Corrupt, Code::StoreCorrupt).with("what", "the file is no store")
}

fn unusable(path: &Path, operation: &'static str, error: std::io::Error) -> StoreError {
    StoreError::new(ErrorKind::Unavailable, Code::StoreUnavailable, operation)
        .with("path", path.display())
        .with_source(error)
}
