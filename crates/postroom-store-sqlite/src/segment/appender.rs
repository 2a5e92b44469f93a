//! Bytes on their way to the end of a file.
//!
//! What is appended is collected and written in large parts. Where bytes are to be durable at once
//! anyway, whole blocks go past the system's cache: nobody is going to read them soon, and copying
//! them there costs more than everything else about them. The blocks at the ends of a transaction,
//! which are not whole, and little ones go through the cache as usual.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::thread::JoinHandle;

use postroom_core::RawMessage;

/// What parts that go past the cache are made of.
const BLOCK_BYTES: usize = 4096;
/// So much is collected before it is written.
const COLLECTED_BYTES: usize = 1024 * 1024;
/// Less than this goes through the cache.
const PAST_CACHE_MIN: usize = 128 * 1024;
/// Read at a time from messages that are not in memory.
const READ_BYTES: usize = 64 * 1024;

/// Appends to a file.
#[derive(Debug)]
pub(super) struct Appender {
    /// Keeps the lock, too.
    file: File,
    past_cache: Option<PastCache>,
    sync: bool,
    /// Where the next byte goes, behind what is collected.
    position: u64,
    collected: Buffer,
}

impl Appender {
    /// Appends to `file`, which is at `path`, from `position` on.
    pub(super) fn new(path: &Path, file: File, position: u64, sync: bool) -> Self {
        let mut collected = Buffer::default();
        collected.begin_at(position);
        Self {
            file,
            // Without waits for the disk, the cache is where the bytes should stay.
            past_cache: if sync { PastCache::open(path) } else { None },
            sync,
            position,
            collected,
        }
    }

    /// Where the next byte goes.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// Goes back to a place: what was appended behind it is written over.
    pub(super) fn go_back(&mut self, position: u64) {
        if let Some(past_cache) = &mut self.past_cache {
            // Whatever came of it: those bytes count no more.
            let _ = past_cache.finish();
        }
        self.position = position;
        self.collected.begin_at(position);
    }

    /// Appends a message; answers the length and checksum of what was read.
    pub(super) fn append(&mut self, raw: &RawMessage) -> io::Result<(u64, u32)> {
        if let Some(bytes) = raw.in_memory() {
            self.push(bytes)?;
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            return Ok((length, crc32fast::hash(bytes)));
        }
        let mut source = raw.open()?;
        let mut checksum = crc32fast::Hasher::new();
        let mut length = 0_u64;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let read = source.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return Ok((length, checksum.finalize()));
            };
            self.push(bytes)?;
            checksum.update(bytes);
            length = length.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        }
    }

    fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            let taken = self.collected.push(bytes);
            self.position = self
                .position
                .saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
            bytes = bytes.get(taken..).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(());
            }
            self.write_collected(false)?;
        }
    }

    /// Brings everything to the disk.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.write_collected(true)?;
        if let Some(past_cache) = &mut self.past_cache {
            let refused = past_cache.finish()?;
            self.write_refused(&refused)?;
        }
        if self.sync {
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Writes what is collected; `all` of it, or what makes whole blocks.
    fn write_collected(&mut self, all: bool) -> io::Result<()> {
        let filled = self.collected.filled;
        let base = self
            .position
            .saturating_sub(u64::try_from(filled).unwrap_or(u64::MAX));
        let lead = to_next_block(base).min(filled);
        let whole = (filled - lead) / BLOCK_BYTES * BLOCK_BYTES;
        let next = self.position;
        if self.past_cache.is_none() || whole < PAST_CACHE_MIN {
            let collected = std::mem::take(&mut self.collected);
            self.write_at(base, collected.bytes())?;
            self.collected = collected;
            self.collected.begin_at(next);
            return Ok(());
        }
        let part = Part {
            lead,
            length: whole,
            offset: base.saturating_add(u64::try_from(lead).unwrap_or(u64::MAX)),
        };
        let behind = part
            .offset
            .saturating_add(u64::try_from(whole).unwrap_or(u64::MAX));
        let full = std::mem::take(&mut self.collected);
        self.write_at(base, full.bytes().get(..lead).unwrap_or_default())?;
        let tail = full.bytes().get(lead + whole..).unwrap_or_default();
        let mut collected = self
            .past_cache
            .as_mut()
            .and_then(|past_cache| past_cache.spare.take())
            .unwrap_or_default();
        if all {
            self.write_at(behind, tail)?;
            collected.begin_at(next);
        } else {
            collected.begin_at(behind);
            collected.push(tail);
        }
        self.collected = collected;
        if let Some(past_cache) = &mut self.past_cache {
            let refused = past_cache.begin(full, part)?;
            self.write_refused(&refused)?;
        }
        Ok(())
    }

    /// Writes what the file system does not take past the cache, and gives that up.
    fn write_refused(&mut self, refused: &[(Buffer, Part)]) -> io::Result<()> {
        for (buffer, part) in refused {
            self.past_cache = None;
            self.write_at(part.offset, part.of(buffer))?;
        }
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(bytes)
    }
}

/// So many bytes are left of the block that `offset` is in; none at its beginning.
fn to_next_block(offset: u64) -> usize {
    (BLOCK_BYTES - in_block(offset)) % BLOCK_BYTES
}

fn in_block(offset: u64) -> usize {
    usize::try_from(offset % 4096).unwrap_or_default()
}
const _: () = assert!(BLOCK_BYTES == 4096, "the size that offsets are divided by");

/// Collected bytes. They lie in memory as they will lie in the file, with respect to blocks.
#[derive(Debug, Default)]
struct Buffer {
    memory: Vec<u8>,
    start: usize,
    filled: usize,
}

impl Buffer {
    /// Empties it, for bytes that go to that offset.
    fn begin_at(&mut self, offset: u64) {
        if self.memory.is_empty() {
            self.memory = vec![0; COLLECTED_BYTES + 2 * BLOCK_BYTES];
        }
        let to_block = self.memory.as_ptr().align_offset(BLOCK_BYTES) % BLOCK_BYTES;
        self.start = to_block + in_block(offset);
        self.filled = 0;
    }

    /// Takes as many bytes as there is room for.
    fn push(&mut self, bytes: &[u8]) -> usize {
        let room = self
            .memory
            .get_mut(self.start + self.filled..)
            .unwrap_or_default();
        let taken = room.len().min(bytes.len());
        if let (Some(room), Some(bytes)) = (room.get_mut(..taken), bytes.get(..taken)) {
            room.copy_from_slice(bytes);
        }
        self.filled += taken;
        taken
    }

    fn bytes(&self) -> &[u8] {
        self.memory
            .get(self.start..self.start + self.filled)
            .unwrap_or_default()
    }
}

/// Whole blocks of a buffer, and where they go.
#[derive(Clone, Copy, Debug)]
struct Part {
    lead: usize,
    length: usize,
    offset: u64,
}

impl Part {
    fn of(self, buffer: &Buffer) -> &[u8] {
        buffer
            .bytes()
            .get(self.lead..self.lead + self.length)
            .unwrap_or_default()
    }
}

/// Buffers of which a part could not be written.
type Refused = Vec<(Buffer, Part)>;

/// Writes whole blocks past the system's cache, beside the work that fills the next ones.
#[derive(Debug)]
struct PastCache {
    file: File,
    running: Option<JoinHandle<(Buffer, Part, io::Result<()>)>>,
    spare: Option<Buffer>,
}

impl PastCache {
    /// `None` where the system or the file system does not have that.
    #[cfg(target_os = "linux")]
    fn open(path: &Path) -> Option<Self> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).ok()?;
        let file = File::options()
            .write(true)
            .custom_flags(flags)
            .open(path)
            .ok()?;
        Some(Self {
            file,
            running: None,
            spare: None,
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn open(_: &Path) -> Option<Self> {
        None
    }

    /// Begins to write a part; answers what could not be written this way.
    ///
    /// # Errors
    /// Those of the one before, and where it cannot be begun.
    fn begin(&mut self, buffer: Buffer, part: Part) -> io::Result<Refused> {
        let mut refused = self.finish()?;
        if !refused.is_empty() {
            refused.push((buffer, part));
            return Ok(refused);
        }
        let mut file = self.file.try_clone()?;
        let thread = std::thread::Builder::new().name("store-segment".to_owned());
        self.running = Some(thread.spawn(move || {
            let written = file
                .seek(SeekFrom::Start(part.offset))
                .and_then(|_| file.write_all(part.of(&buffer)));
            (buffer, part, written)
        })?);
        Ok(refused)
    }

    /// Waits for the one that is under way.
    ///
    /// # Errors
    /// Those of the medium. That it cannot be written this way is none.
    fn finish(&mut self) -> io::Result<Refused> {
        match self.running.take().map(JoinHandle::join) {
            Some(Ok((buffer, _, Ok(())))) => {
                self.spare = Some(buffer);
                Ok(Vec::new())
            }
            Some(Ok((buffer, part, Err(error)))) => match error.kind() {
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => {
                    Ok(vec![(buffer, part)])
                }
                _ => Err(error),
            },
            Some(Err(_)) => Err(io::Error::other("a write ended without an answer")),
            None => Ok(Vec::new()),
        }
    }
}

impl Drop for PastCache {
    fn drop(&mut self) {
        // Nothing may write to the file any more once its lock is given back.
        let _ = self.finish();
    }
}

#[cfg(test)]
mod tests;
