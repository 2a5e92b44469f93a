//! Large bytes in append-only files beside the database.
//!
//! A transaction appends its pieces, syncs the file once, and only then commits the rows that name
//! them: a row never names bytes that are not on the disk. What a crash leaves behind the last named
//! piece is cut off when the file is taken up again.
//!
//! A file is appended to by one open store at a time, which holds its lock: the command line beside
//! a running engine gets a file of its own.

mod appender;
mod place;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use postroom_core::RawMessage;
use rusqlite::{Connection, params};

use self::appender::Appender;
pub(crate) use self::place::{Place, maybe_placed, placed};
use crate::failure::{Failure, Outcome};
use crate::sql::{change, int, one};

/// What every segment file begins with.
const MAGIC: &[u8; 8] = b"PRSEG\0\0\x01";
const HEADER_BYTES: u64 = 8;
/// A file is not extended beyond this, but for a single piece that is larger.
pub(crate) const SEGMENT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// So many of the newest files are tried before another one is begun.
const TRIED_MAX: usize = 4;
/// The files of one open store.
#[derive(Debug)]
pub(crate) struct Segments {
    directory: PathBuf,
    bytes_max: u64,
    sync: bool,
    current: Option<Segment>,
}

#[derive(Debug)]
struct Segment {
    number: i64,
    appender: Appender,
    /// Up to here rows name the bytes.
    committed: u64,
    dirty: bool,
}

impl Segments {
    pub(crate) const fn new(directory: PathBuf, bytes_max: u64, sync: bool) -> Self {
        Self {
            directory,
            bytes_max,
            sync,
            current: None,
        }
    }

    /// Appends a message; answers where it lies.
    pub(crate) fn append(&mut self, connection: &Connection, raw: &RawMessage) -> Outcome<Place> {
        let directory = self.directory.clone();
        let segment = self.writable(connection)?;
        let start = segment.appender.position();
        segment.dirty = true;
        let (length, checksum) = segment
            .appender
            .append(raw)
            .map_err(|source| at(&directory, source))?;
        if length != raw.len() {
            return Err(Failure::invalid(
                "a raw message has another length than it says",
            ));
        }
        Ok(Place {
            segment: segment.number,
            offset: start,
            length,
            checksum,
        })
    }

    /// Makes everything appended durable and notes its end; to be called before the commit.
    pub(crate) fn sync(&mut self, connection: &Connection) -> Outcome<()> {
        match &mut self.current {
            Some(segment) if segment.dirty => segment.end(connection),
            _ => Ok(()),
        }
    }

    /// Rows name the bytes now.
    pub(crate) const fn committed(&mut self) {
        if let Some(segment) = &mut self.current {
            segment.committed = segment.appender.position();
            segment.dirty = false;
        }
    }

    /// No row names what was appended since the last commit: it is written over.
    pub(crate) fn rolled_back(&mut self) {
        if let Some(segment) = &mut self.current {
            segment.appender.go_back(segment.committed);
            segment.dirty = false;
        }
    }

    fn writable(&mut self, connection: &Connection) -> Outcome<&mut Segment> {
        if let Some(mut full) = self
            .current
            .take_if(|segment| segment.appender.position() >= self.bytes_max)
        {
            // Its bytes belong to the transaction under way; only the sync of the next file follows.
            if full.dirty {
                full.end(connection)?;
            }
        }
        if self.current.is_none() {
            let segment = self.take_up(connection)?;
            return Ok(self.current.insert(segment));
        }
        self.current
            .as_mut()
            .ok_or_else(|| Failure::Segment(io::Error::other("no segment file")))
    }

    /// The newest file that has room and that nobody else appends to, or a new one.
    fn take_up(&self, connection: &Connection) -> Outcome<Segment> {
        let fail = |source| at(&self.directory, source);
        std::fs::create_dir_all(&self.directory).map_err(fail)?;
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.directory).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            if let Some(number) = name.to_str().and_then(number_of) {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        for number in numbers.iter().rev().take(TRIED_MAX) {
            if let Some(segment) = self.reuse(connection, *number)? {
                return Ok(segment);
            }
        }
        let known = one(
            connection,
            "segments",
            "SELECT coalesce(max(number), 0) FROM segments",
            [],
            |row| row.get::<i64>(0),
        )?
        .unwrap_or(0);
        let mut number = numbers.last().copied().unwrap_or(0).max(known);
        loop {
            number = number.saturating_add(1);
            let path = self.directory.join(name_of(number));
            match create_private(&path) {
                Ok(file) => return self.begin(number, file).map_err(fail),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fail(error)),
            }
        }
    }

    fn begin(&self, number: i64, mut file: File) -> io::Result<Segment> {
        lock(&file)?;
        file.write_all(MAGIC)?;
        if self.sync {
            file.sync_all()?;
            // The name must outlive a power failure as well.
            File::open(&self.directory)?.sync_all()?;
        }
        Ok(Segment {
            number,
            appender: Appender::new(file, HEADER_BYTES, self.sync),
            committed: HEADER_BYTES,
            dirty: false,
        })
    }

    /// Takes up an existing file; `None` where it is full, damaged, or somebody else's.
    fn reuse(&self, connection: &Connection, number: i64) -> Outcome<Option<Segment>> {
        let path = self.directory.join(name_of(number));
        let Ok(mut file) = OpenOptions::new().read(true).write(true).open(&path) else {
            return Ok(None);
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return Ok(None),
        }
        let mut magic = [0; 8];
        if file.read_exact(&mut magic).is_err() || &magic != MAGIC {
            return Ok(None);
        }
        // Under the lock: whoever appended before has committed or is gone.
        let end = one(
            connection,
            "segments",
            "SELECT end_offset FROM segments WHERE number = ?1",
            params![number],
            |row| row.unsigned(0),
        )?
        .unwrap_or(HEADER_BYTES)
        .max(HEADER_BYTES);
        let length = file.metadata().map_err(Failure::Segment)?.len();
        if length < end {
            tracing::warn!(
                segment = number,
                "a segment file is shorter than its rows say"
            );
            return Ok(None);
        }
        if end >= self.bytes_max {
            return Ok(None);
        }
        if length > end {
            file.set_len(end).map_err(Failure::Segment)?;
        }
        Ok(Some(Segment {
            number,
            appender: Appender::new(file, end, self.sync),
            committed: end,
            dirty: false,
        }))
    }
}

impl Segment {
    /// Brings everything to the disk and notes how far rows of this transaction may name it.
    fn end(&mut self, connection: &Connection) -> Outcome<()> {
        self.appender.flush().map_err(Failure::Segment)?;
        change(
            connection,
            "INSERT INTO segments (number, end_offset) VALUES (?1, ?2)
             ON CONFLICT (number) DO UPDATE SET end_offset = excluded.end_offset",
            params![self.number, int(self.appender.position())],
        )?;
        Ok(())
    }
}

fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes a file that only its owner can read.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn at(directory: &Path, source: io::Error) -> Failure {
    tracing::debug!(directory = %directory.display(), "a segment file cannot be used");
    Failure::Segment(source)
}

fn name_of(number: i64) -> String {
    format!("{number:08}.segment")
}

fn number_of(name: &str) -> Option<i64> {
    name.strip_suffix(".segment")?
        .parse()
        .ok()
        .filter(|number| *number > 0)
}
