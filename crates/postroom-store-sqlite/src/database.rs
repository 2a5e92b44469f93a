//! The connections and the one way to them.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postroom_core::Code;
use postroom_store::{ErrorKind, Result, StoreError, TransactionScope};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use crate::decoded::Decoded;
use crate::executor::{Executor, Lane};
use crate::failure::{Failure, Outcome};
use crate::log::{Log, Syncer, not_synced};
use crate::seal::Keys;
use crate::segment::{Place, Segments};
use crate::sql::change;
use crate::storage::StorageOptions;

/// How long a write waits for another process to finish its own.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Readers that are kept open when nobody uses them.
const IDLE_READERS_MAX: usize = 4;
const STATEMENTS_CACHED: usize = 256;
/// Look-ups in the correlation index read this much of the file without copying it: they touch many
/// pages a little, and a private cache of a few megabytes would mostly miss.
const MAPPED_BYTES: u64 = 1 << 30;

/// Fills bytes with randomness.
pub(crate) type Fill =
    Arc<dyn Fn(&mut [u8]) -> std::result::Result<(), getrandom::Error> + Send + Sync>;

/// One open file: a connection that writes, some that read, and the segment files.
pub(crate) struct Database {
    path: PathBuf,
    segment_directory: PathBuf,
    sync: bool,
    /// There is one connection, and it reads, too: all work is done where it is asked for, and a
    /// second connection would find its pages outdated after each write of the first.
    single: bool,
    writer: Mutex<Writer>,
    readers: Mutex<Vec<Connection>>,
    /// The same with the file mapped.
    mapped_readers: Mutex<Vec<Connection>>,
    pub(crate) keys: Keys,
    pub(crate) decoded: Decoded,
    fill: Fill,
    log: Arc<Log>,
    /// Waits for the disk beside the writer; without it, each write waits by itself.
    syncer: Option<Syncer>,
}

struct Writer {
    connection: Connection,
    segments: Segments,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A write under way: one transaction, and the segment files that belong to it.
pub(crate) struct Write<'a> {
    connection: &'a Connection,
    pub(crate) segments: &'a mut Segments,
    pub(crate) database: &'a Database,
}

impl Deref for Write<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl<'a> Write<'a> {
    /// The connection, for statements that are kept while the write goes on.
    pub(crate) const fn connection(&self) -> &'a Connection {
        self.connection
    }

    /// Appends a raw message to the segment files; answers where it lies.
    pub(crate) fn append(&mut self, raw: &postroom_core::RawMessage) -> Outcome<Place> {
        self.segments.append(self.connection, raw)
    }

    /// Runs queries as the transaction sees them.
    pub(crate) fn reading<T>(&self, work: impl FnOnce(&Read<'_>) -> Outcome<T>) -> Outcome<T> {
        work(&Read {
            connection: self.connection,
            database: self.database,
        })
    }

    /// Sixteen random bytes for an identifier.
    pub(crate) fn random(&self) -> Outcome<[u8; 16]> {
        let mut bytes = [0; 16];
        self.database.fill(&mut bytes)?;
        Ok(bytes)
    }
}

/// A read under way: one snapshot.
pub(crate) struct Read<'a> {
    connection: &'a Connection,
    pub(crate) database: &'a Database,
}

impl Deref for Read<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Read<'_> {
    /// Where the segment files are.
    pub(crate) fn segments(&self) -> &Path {
        &self.database.segment_directory
    }
}

impl Database {
    pub(crate) fn new(
        options: &StorageOptions,
        connection: Connection,
        segments: Segments,
        segment_directory: PathBuf,
        keys: Keys,
        log: Arc<Log>,
        syncer: Option<Syncer>,
    ) -> Self {
        Self {
            path: options.path.clone(),
            segment_directory,
            sync: options.sync,
            single: options.single,
            writer: Mutex::new(Writer {
                connection,
                segments,
            }),
            readers: Mutex::new(Vec::new()),
            mapped_readers: Mutex::new(Vec::new()),
            keys,
            decoded: Decoded::default(),
            fill: Arc::clone(&options.fill),
            log,
            syncer,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn fill(&self, bytes: &mut [u8]) -> Outcome<()> {
        (self.fill)(bytes).map_err(Failure::Entropy)
    }

    /// Runs one unit of work: all of it is durable when this answers, or none of it happened.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&mut Write<'_>) -> Outcome<T>) -> Outcome<T> {
        let done = self.commit(work)?;
        if self.sync {
            self.log.sync().map_err(|error| not_synced(&error))?;
        }
        Ok(done)
    }

    /// Runs one unit of work: all of it is committed when this answers, or none of it happened. It is
    /// durable with the next one that is.
    fn commit<T>(&self, work: impl FnOnce(&mut Write<'_>) -> Outcome<T>) -> Outcome<T> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Writer {
            connection,
            segments,
        } = &mut *writer;
        let connection: &Connection = connection;
        // A job that ended by a defect may have left bytes that no row names.
        segments.rolled_back();
        let transaction = Transaction::begin(connection, "BEGIN IMMEDIATE")?;
        let changes = connection.total_changes();
        let done = work(&mut Write {
            connection,
            segments,
            database: self,
        })
        .and_then(|value| segments.sync(connection).map(|()| value))
        .and_then(|value| transaction.end("COMMIT").map(|()| value));
        match &done {
            Ok(_) => segments.committed(),
            Err(_) => segments.rolled_back(),
        }
        if done.is_ok() && connection.total_changes() != changes {
            self.log.committed();
        }
        done
    }

    /// Runs a single query: it sees one snapshot by itself.
    fn query<T>(&self, work: impl FnOnce(&Read<'_>) -> Outcome<T>) -> Outcome<T> {
        let read = |connection: &Connection| {
            work(&Read {
                connection,
                database: self,
            })
        };
        if self.single {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            return read(&writer.connection);
        }
        let pooled = self.readers.lock();
        let pooled = pooled.unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => connect(&self.path, self.sync)?,
        };
        let done = read(&connection);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < IDLE_READERS_MAX {
            readers.push(connection);
        }
        done
    }

    /// Runs queries on one snapshot.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Read<'_>) -> Outcome<T>) -> Outcome<T> {
        self.read_from(&self.readers, || connect(&self.path, self.sync), work)
    }

    /// The same for look-ups that jump about in a large file.
    pub(crate) fn read_mapped<T>(&self, work: impl FnOnce(&Read<'_>) -> Outcome<T>) -> Outcome<T> {
        let connect = || {
            let connection = connect(&self.path, self.sync)?;
            connection
                .execute_batch(&format!("PRAGMA mmap_size = {MAPPED_BYTES}"))
                .map_err(|source| Failure::sql("map the file", source))?;
            Ok(connection)
        };
        self.read_from(&self.mapped_readers, connect, work)
    }

    fn read_from<T>(
        &self,
        pool: &Mutex<Vec<Connection>>,
        connect: impl FnOnce() -> Outcome<Connection>,
        work: impl FnOnce(&Read<'_>) -> Outcome<T>,
    ) -> Outcome<T> {
        if self.single {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let snapshot = Transaction::begin(&writer.connection, "BEGIN")?;
            let done = work(&Read {
                connection: &writer.connection,
                database: self,
            });
            let ended = snapshot.end("ROLLBACK");
            return done.and_then(|value| ended.map(|()| value));
        }
        let pooled = pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => connect()?,
        };
        let snapshot = Transaction::begin(&connection, "BEGIN")?;
        let done = work(&Read {
            connection: &connection,
            database: self,
        });
        let ended = snapshot.end("ROLLBACK");
        if ended.is_ok() {
            let mut readers = pool.lock().unwrap_or_else(PoisonError::into_inner);
            if readers.len() < IDLE_READERS_MAX {
                readers.push(connection);
            }
        }
        done.and_then(|value| ended.map(|()| value))
    }
}

/// A transaction whose statements are prepared once; rolled back unless it was ended.
struct Transaction<'c> {
    connection: &'c Connection,
}

impl<'c> Transaction<'c> {
    fn begin(connection: &'c Connection, sql: &'static str) -> Outcome<Self> {
        change(connection, sql, [])?;
        Ok(Self { connection })
    }

    fn end(self, sql: &'static str) -> Outcome<()> {
        change(self.connection, sql, []).map(|_| ())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // Ended ones, and those that an error of SQLite rolled back, are none any more.
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

/// Opens the file; does not make one.
pub(crate) fn connect(path: &Path, sync: bool) -> Outcome<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|source| Failure::sql("open", source))?;
    let configured = |source| Failure::sql("configure the connection", source);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(configured)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    // Plans do not depend on the values that are bound: otherwise SQLite prepares a statement anew
    // for each value of a bound LIMIT.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(configured)?;
    connection
        .execute_batch(&format!(
            "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;
             PRAGMA page_size = 4096; PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 8000; PRAGMA journal_size_limit = 67108864; PRAGMA synchronous = {};",
            if sync { "FULL" } else { "OFF" }
        ))
        .map_err(configured)?;
    Ok(connection)
}

/// The database together with where its work is done: what the stores are made of.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) database: Arc<Database>,
    pub(crate) executor: Arc<dyn Executor>,
    /// The stores that are made of it write in the same transactions.
    pub(crate) scope: TransactionScope,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("database", &self.database)
            .field("executor", &self.executor)
            .finish()
    }
}

impl Handle {
    /// Runs a write. It goes to its end even when the caller stops waiting.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Write<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let database = Arc::clone(&self.database);
        self.executor.execute(
            Lane::Write,
            Box::new(move || {
                let syncer = database.syncer.as_ref().filter(|_| database.sync);
                // Nobody may be waiting any more; what was done stays done.
                let Some(syncer) = syncer else {
                    let _ = answer.send(database.write(work));
                    return;
                };
                match database.commit(work) {
                    Ok(done) => syncer.ask(Box::new(move |synced| {
                        let _ = answer.send(synced.map(|()| done));
                    })),
                    Err(failure) => {
                        let _ = answer.send(Err(failure));
                    }
                }
            }),
        );
        told(operation, answered).await
    }

    /// Runs a write that need not outlive a power failure by itself: it is durable with the next one
    /// that is, and none that comes later is durable without it.
    pub(crate) async fn write_behind<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Write<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        self.run(operation, Lane::Write, move |database| {
            database.commit(work)
        })
        .await
    }

    /// Runs a read.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Read<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        self.run(operation, Lane::Read, move |database| database.read(work))
            .await
    }

    /// Runs a read that is a single query.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Read<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        self.run(operation, Lane::Read, move |database| database.query(work))
            .await
    }

    /// Runs a read that jumps about in a large file.
    pub(crate) async fn read_mapped<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Read<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        self.run(operation, Lane::Read, move |database| {
            database.read_mapped(work)
        })
        .await
    }

    /// Runs a write that decides itself what is one transaction.
    pub(crate) async fn with_database<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Database) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        self.run(operation, Lane::Write, work).await
    }

    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        lane: Lane,
        work: impl FnOnce(&Database) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let database = Arc::clone(&self.database);
        self.executor.execute(
            lane,
            Box::new(move || {
                // Nobody may be waiting any more; what was done stays done.
                let _ = answer.send(work(&database));
            }),
        );
        told(operation, answered).await
    }
}

async fn told<T>(operation: &'static str, answered: oneshot::Receiver<Outcome<T>>) -> Result<T> {
    match answered.await {
        Ok(done) => done.map_err(|failure| failure.told(operation)),
        Err(_) => Err(
            StoreError::new(ErrorKind::Internal, Code::Internal, operation)
                .with("what", "the job ended without an answer"),
        ),
    }
}
