//! Large bytes in append-only files beside the database.
//!
//! A transaction appends its pieces, syncs the file once, and only then commits the rows that name
//! them: a row never names bytes that are not on the disk. What a crash leaves behind the last named
//! piece is cut off when the file is taken up again.
//!
//! A file is appended to by one open store at a time, which holds its lock: the command line beside
//! a running engine gets a file of its own.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use postroom_core::RawMessage;
use postroom_core::raw::RawSource;
use rusqlite::{Connection, params};

use crate::failure::{Failure, Outcome};
use crate::sql::{Row, change, int, one};

/// What every segment file begins with.
const MAGIC: &[u8; 8] = b"PRSEG\0\0\x01";
const HEADER_BYTES: u64 = 8;
/// A file is not extended beyond this, but for a single piece that is larger.
pub(crate) const SEGMENT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// So many of the newest files are tried before another one is begun.
const TRIED_MAX: usize = 4;
const BUFFER_BYTES: usize = 64 * 1024;
/// Small pieces are collected up to this many bytes and then written: few enough that they are still
/// in the processor's cache when the system copies them.
const COLLECTED_MAX: usize = 256 * 1024;
/// After so many bytes their way to the disk is begun.
const AHEAD_BYTES: u64 = 2 * 1024 * 1024;

/// Where bytes lie in the segment files, and their checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    segment: i64,
    offset: u64,
    length: u64,
    checksum: u32,
}

impl Place {
    /// So many bytes a place takes in a column.
    pub(crate) const BYTES: usize = 28;

    /// A part of what lies here.
    pub(crate) fn part(&self, start: usize, bytes: &[u8]) -> Self {
        Self {
            offset: self
                .offset
                .saturating_add(u64::try_from(start).unwrap_or(u64::MAX)),
            length: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            checksum: crc32fast::hash(bytes),
            ..*self
        }
    }

    /// As a column keeps it: segment, offset, length, checksum, most significant byte first.
    pub(crate) fn pack(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let fields = self
            .segment
            .to_be_bytes()
            .into_iter()
            .chain(self.offset.to_be_bytes())
            .chain(self.length.to_be_bytes())
            .chain(self.checksum.to_be_bytes());
        for (target, byte) in bytes.iter_mut().zip(fields) {
            *target = byte;
        }
        bytes
    }

    /// What [`Self::pack`] made.
    pub(crate) fn unpack(bytes: &[u8]) -> Option<Self> {
        let (segment, rest) = bytes.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        Some(Self {
            segment: i64::from_be_bytes(*segment),
            offset: u64::from_be_bytes(*offset),
            length: u64::from_be_bytes(*length),
            checksum: u32::from_be_bytes(rest.try_into().ok()?),
        })
    }

    /// The bytes, as a handle.
    pub(crate) fn read(self, directory: &Path) -> RawMessage {
        let source = Piece {
            path: directory.join(name_of(self.segment)),
            offset: self.offset,
            length: self.length,
            checksum: self.checksum,
        };
        RawMessage::new(Arc::new(source), self.length)
    }
}

/// The bytes whose place a column holds.
pub(crate) fn placed(directory: &Path, row: &Row<'_>, column: usize) -> Outcome<RawMessage> {
    Place::unpack(row.bytes(column)?)
        .map(|place| place.read(directory))
        .ok_or_else(|| row.corrupt(column))
}

/// The same, where there may be none.
pub(crate) fn maybe_placed(
    directory: &Path,
    row: &Row<'_>,
    column: usize,
) -> Outcome<Option<RawMessage>> {
    match row.maybe_bytes(column)? {
        Some(_) => placed(directory, row, column).map(Some),
        None => Ok(None),
    }
}

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
    /// Keeps the lock, too.
    file: File,
    /// Where the next piece goes, behind what is collected.
    position: u64,
    /// The end of the segment that is not in the file yet.
    collected: Vec<u8>,
    /// Where the sync that was begun last, or the last full one, ended.
    ahead_to: u64,
    /// Brings what is in the file to the disk while the rows are written.
    ahead: SyncAhead,
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
        let start = segment.position;
        let (length, checksum) = segment
            .write(raw)
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
            Some(segment) if segment.dirty => segment.end(connection, self.sync),
            _ => Ok(()),
        }
    }

    /// Rows name the bytes now.
    pub(crate) const fn committed(&mut self) {
        if let Some(segment) = &mut self.current {
            segment.committed = segment.position;
            segment.dirty = false;
        }
    }

    /// No row names what was appended since the last commit: it is written over.
    pub(crate) fn rolled_back(&mut self) {
        if let Some(segment) = &mut self.current {
            // Whatever came of it: no row names those bytes.
            let _ = segment.ahead.finish();
            segment.collected.clear();
            segment.position = segment.committed;
            segment.ahead_to = segment.committed;
            segment.dirty = false;
        }
    }

    fn writable(&mut self, connection: &Connection) -> Outcome<&mut Segment> {
        if let Some(mut full) = self
            .current
            .take_if(|segment| segment.position >= self.bytes_max)
        {
            // Its bytes belong to the transaction under way; only the sync of the next file follows.
            if full.dirty {
                full.end(connection, self.sync)?;
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
            file,
            position: HEADER_BYTES,
            committed: HEADER_BYTES,
            collected: Vec::new(),
            ahead_to: HEADER_BYTES,
            ahead: SyncAhead::new(self.sync),
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
            file,
            position: end,
            committed: end,
            collected: Vec::new(),
            ahead_to: end,
            ahead: SyncAhead::new(self.sync),
            dirty: false,
        }))
    }
}

impl Segment {
    /// Brings everything to the disk and notes how far rows of this transaction may name it.
    fn end(&mut self, connection: &Connection, sync: bool) -> Outcome<()> {
        self.flush(sync).map_err(Failure::Segment)?;
        change(
            connection,
            "INSERT INTO segments (number, end_offset) VALUES (?1, ?2)
             ON CONFLICT (number) DO UPDATE SET end_offset = excluded.end_offset",
            params![self.number, int(self.position)],
        )?;
        Ok(())
    }

    /// Brings what is collected into the file, and the file to the disk.
    fn flush(&mut self, sync: bool) -> io::Result<()> {
        self.write_collected()?;
        let ahead = self.ahead.finish();
        if sync {
            self.file.sync_data()?;
        }
        self.ahead_to = self.position;
        ahead
    }

    fn write_collected(&mut self) -> io::Result<()> {
        if self.collected.is_empty() {
            return Ok(());
        }
        let length = u64::try_from(self.collected.len()).unwrap_or(u64::MAX);
        let start = self.position.saturating_sub(length);
        self.file.seek(SeekFrom::Start(start))?;
        self.file.write_all(&self.collected)?;
        self.collected.clear();
        Ok(())
    }

    /// Writes at the end; answers length and checksum of what was written.
    fn write(&mut self, raw: &RawMessage) -> io::Result<(u64, u32)> {
        self.dirty = true;
        if let Some(bytes) = raw.in_memory()
            && bytes.len() < COLLECTED_MAX
        {
            if self.collected.len().saturating_add(bytes.len()) > COLLECTED_MAX {
                self.write_collected()?;
                if self.position.saturating_sub(self.ahead_to) >= AHEAD_BYTES {
                    self.ahead.begin(&self.file)?;
                    self.ahead_to = self.position;
                }
            }
            self.collected.extend_from_slice(bytes);
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.position = self.position.saturating_add(length);
            return Ok((length, crc32fast::hash(bytes)));
        }
        self.write_collected()?;
        self.file.seek(SeekFrom::Start(self.position))?;
        let mut checksum = crc32fast::Hasher::new();
        let mut length = 0_u64;
        if let Some(bytes) = raw.in_memory() {
            self.file.write_all(bytes)?;
            checksum.update(bytes);
            length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        } else {
            let mut source = raw.open()?;
            let mut buffer = vec![0; BUFFER_BYTES];
            loop {
                let read = source.read(&mut buffer)?;
                let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                    break;
                };
                self.file.write_all(bytes)?;
                checksum.update(bytes);
                length = length.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            }
        }
        self.position = self.position.saturating_add(length);
        Ok((length, checksum.finalize()))
    }
}

/// A sync of a file that runs beside the work of its transaction. It makes the sync before the commit
/// short and never stands in for it.
#[derive(Debug)]
struct SyncAhead {
    wanted: bool,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl SyncAhead {
    const fn new(wanted: bool) -> Self {
        Self {
            wanted,
            running: None,
        }
    }

    /// Begins one unless one is under way.
    ///
    /// # Errors
    /// That of the one before.
    fn begin(&mut self, file: &File) -> io::Result<()> {
        if !self.wanted || self.running.as_ref().is_some_and(|one| !one.is_finished()) {
            return Ok(());
        }
        self.finish()?;
        let file = file.try_clone()?;
        let thread = std::thread::Builder::new().name("store-sync".to_owned());
        self.running = Some(thread.spawn(move || file.sync_data())?);
        Ok(())
    }

    /// Waits for it. The system tells of a failed write once only: it must not be lost here.
    fn finish(&mut self) -> io::Result<()> {
        match self.running.take().map(JoinHandle::join) {
            Some(Ok(synced)) => synced,
            Some(Err(_)) => Err(io::Error::other("a sync ended without an answer")),
            None => Ok(()),
        }
    }
}

#[derive(Debug)]
struct Piece {
    path: PathBuf,
    offset: u64,
    length: u64,
    checksum: u32,
}

impl RawSource for Piece {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(Box::new(PieceReader {
            file,
            left: self.length,
            hasher: Some(crc32fast::Hasher::new()),
            expected: self.checksum,
        }))
    }
}

/// Reads one piece and compares the checksum when the last byte has been read.
struct PieceReader {
    file: File,
    left: u64,
    hasher: Option<crc32fast::Hasher>,
    expected: u32,
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let Some(target) = buffer.get_mut(..wanted).filter(|target| !target.is_empty()) else {
            return self.finish().map(|()| 0);
        };
        let read = self.file.read(target)?;
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a segment file ends before the message does",
            ));
        }
        if let (Some(hasher), Some(bytes)) = (&mut self.hasher, target.get(..read)) {
            hasher.update(bytes);
        }
        self.left = self
            .left
            .saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
        if self.left == 0 {
            self.finish()?;
        }
        Ok(read)
    }
}

impl PieceReader {
    fn finish(&mut self) -> io::Result<()> {
        if self.left > 0 {
            // An empty buffer was offered: nothing has ended yet.
            return Ok(());
        }
        match self.hasher.take().map(crc32fast::Hasher::finalize) {
            Some(checksum) if checksum != self.expected => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a message in a segment file is damaged",
            )),
            _ => Ok(()),
        }
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
