//! Large messages: in memory up to a bound, in a file beyond it, one byte budget for all.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use postroom_core::RawMessage;
use postroom_core::raw::RawSource;

/// Messages up to this many bytes stay in memory, unless the budget is used up (256 KiB).
pub const MEMORY_PER_MESSAGE: u64 = 256 * 1024;
/// All messages in memory together take at most this many bytes (32 MiB).
pub const MEMORY_FOR_ALL: u64 = 32 * 1024 * 1024;
/// No message may have more bytes than this (1 GiB).
pub const MESSAGE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Where raw messages are written to while they are worked on. Cheap to clone; clones share the budget.
///
/// ```
/// use std::io::Write;
/// use postroom_provider::Spool;
/// let spool = Spool::in_temporary_folder()?;
/// let mut writer = spool.writer();
/// writer.write_all(b"Subject: hi\r\n\r\n")?;
/// let raw = writer.finish()?;
/// assert_eq!(raw.len(), 15);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Spool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    memory_per_message: u64,
    memory_for_all: u64,
    message_bytes_max: u64,
    in_memory: AtomicU64,
}

impl Spool {
    /// A spool with the default bounds whose files lie in `folder`. The files have no name there:
    /// they vanish with the process.
    ///
    /// # Errors
    /// Where the folder cannot be used.
    pub fn in_folder(folder: impl AsRef<Path>) -> io::Result<Self> {
        Self::with_bounds(
            folder,
            MEMORY_PER_MESSAGE,
            MEMORY_FOR_ALL,
            MESSAGE_BYTES_MAX,
        )
    }

    /// A spool in the system's temporary folder.
    ///
    /// # Errors
    /// Where that folder cannot be used.
    pub fn in_temporary_folder() -> io::Result<Self> {
        Self::in_folder(std::env::temp_dir())
    }

    /// A spool with bounds of its own, in bytes: memory for one message, memory for all together,
    /// and the largest message that is taken at all.
    ///
    /// # Errors
    /// Where the folder cannot be used.
    pub fn with_bounds(
        folder: impl AsRef<Path>,
        memory_per_message: u64,
        memory_for_all: u64,
        message_bytes_max: u64,
    ) -> io::Result<Self> {
        // Found out now rather than in the middle of a message.
        drop(tempfile::tempfile_in(folder.as_ref())?);
        Ok(Self {
            shared: Arc::new(Shared {
                folder: folder.as_ref().to_owned(),
                memory_per_message,
                memory_for_all,
                message_bytes_max,
                in_memory: AtomicU64::new(0),
            }),
        })
    }

    /// Begins a message.
    #[must_use]
    pub fn writer(&self) -> SpoolWriter {
        SpoolWriter {
            body: Body::Memory(
                Vec::new(),
                Reservation {
                    shared: Arc::clone(&self.shared),
                    bytes: 0,
                },
            ),
            length: 0,
        }
    }

    /// How many bytes are held in memory now.
    #[must_use]
    pub fn bytes_in_memory(&self) -> u64 {
        self.shared.in_memory.load(Ordering::Relaxed)
    }
}

/// Bytes of the budget, given back when dropped.
#[derive(Debug)]
struct Reservation {
    shared: Arc<Shared>,
    bytes: u64,
}

impl Reservation {
    /// Takes more of the budget; `false` where a bound is reached.
    fn grow(&mut self, by: u64) -> bool {
        if self.bytes.saturating_add(by) > self.shared.memory_per_message {
            return false;
        }
        let limit = self.shared.memory_for_all;
        let taken =
            self.shared
                .in_memory
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                    now.checked_add(by).filter(|sum| *sum <= limit)
                });
        if taken.is_ok() {
            self.bytes += by;
        }
        taken.is_ok()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shared
            .in_memory
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

enum Body {
    Memory(Vec<u8>, Reservation),
    File(File, Arc<Shared>),
}

/// A message being written. Dropped unfinished, it leaves nothing behind.
pub struct SpoolWriter {
    body: Body,
    length: u64,
}

impl fmt::Debug for SpoolWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolWriter")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl SpoolWriter {
    /// Bytes written so far.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.length
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Makes room for so many more bytes, so that writing them does not move what is there. A hint:
    /// less or more may follow.
    pub fn reserve(&mut self, more: usize) {
        if let Body::Memory(held, reservation) = &mut self.body {
            let bound =
                usize::try_from(reservation.shared.memory_per_message).unwrap_or(usize::MAX);
            if held.len().saturating_add(more) <= bound {
                held.reserve(more);
            }
        }
    }

    /// Ends the message.
    ///
    /// # Errors
    /// Where the spool file cannot be written.
    pub fn finish(self) -> io::Result<RawMessage> {
        match self.body {
            Body::Memory(bytes, reservation) => {
                let held = Held {
                    bytes,
                    _reservation: reservation,
                };
                Ok(RawMessage::new(
                    Arc::new(InMemory(Arc::new(held))),
                    self.length,
                ))
            }
            Body::File(mut file, _) => {
                file.flush()?;
                Ok(RawMessage::new(Arc::new(Spooled { file }), self.length))
            }
        }
    }
}

impl Write for SpoolWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let shared = match &self.body {
            Body::Memory(_, reservation) => &reservation.shared,
            Body::File(_, shared) => shared,
        };
        if self.length.saturating_add(more) > shared.message_bytes_max {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the message is larger than the spool takes",
            ));
        }
        if let Body::Memory(held, reservation) = &mut self.body {
            if reservation.grow(more) {
                held.extend_from_slice(bytes);
                self.length += more;
                return Ok(bytes.len());
            }
            let mut file = tempfile::tempfile_in(&reservation.shared.folder)?;
            file.write_all(held)?;
            self.body = Body::File(file, Arc::clone(&reservation.shared));
        }
        if let Body::File(file, _) = &mut self.body {
            file.write_all(bytes)?;
            self.length += more;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bytes with their share of the budget; readers hold on to both.
struct InMemory(Arc<Held>);

struct Held {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InMemory({} bytes)", self.0.bytes.len())
    }
}

/// Reads the shared bytes without copying them first.
struct HeldReader {
    held: Arc<Held>,
    position: usize,
}

impl Read for HeldReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.held.bytes.get(self.position..).unwrap_or_default();
        let read = rest.read(buffer)?;
        self.position += read;
        Ok(read)
    }
}

impl RawSource for InMemory {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(HeldReader {
            held: Arc::clone(&self.0),
            position: 0,
        }))
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(&self.0.bytes)
    }
}

#[derive(Debug)]
struct Spooled {
    file: File,
}

/// Reads a file that others read, too: each reader keeps its own place.
struct SpooledReader {
    file: File,
    position: u64,
}

impl Read for SpooledReader {
    #[cfg(unix)]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt as _;
        let read = self.file.read_at(buffer, self.position)?;
        self.position += u64::try_from(read).unwrap_or_default();
        Ok(read)
    }

    #[cfg(not(unix))]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use std::io::{Seek as _, SeekFrom};
        self.file.seek(SeekFrom::Start(self.position))?;
        let read = self.file.read(buffer)?;
        self.position += u64::try_from(read).unwrap_or_default();
        Ok(read)
    }
}

impl RawSource for Spooled {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(SpooledReader {
            file: self.file.try_clone()?,
            position: 0,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(spool: &Spool, bytes: &[u8]) -> RawMessage {
        let mut writer = spool.writer();
        for chunk in bytes.chunks(7) {
            writer.write_all(chunk).unwrap();
        }
        writer.finish().unwrap()
    }

    fn all(raw: &RawMessage) -> Vec<u8> {
        let mut bytes = Vec::new();
        raw.open().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn spills_beyond_the_bound_and_reads_back_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::with_bounds(folder.path(), 100, 150, 1000).unwrap();
        let bytes: Vec<u8> = (0..=250).collect();
        let small = written(&spool, &bytes[..100]);
        assert!(small.in_memory().is_some());
        let large = written(&spool, &bytes);
        assert!(large.in_memory().is_none());
        assert_eq!(all(&small), &bytes[..100]);
        // Two readers at once, each with its own place.
        let mut first = large.open().unwrap();
        let mut two = [0; 2];
        first.read_exact(&mut two).unwrap();
        assert_eq!(all(&large), bytes);
        first.read_exact(&mut two).unwrap();
        assert_eq!(two, [2, 3]);
    }

    #[test]
    fn one_budget_for_all_given_back_when_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::with_bounds(folder.path(), 100, 150, 1000).unwrap();
        let first = written(&spool, &[1; 100]);
        let second = written(&spool, &[2; 100]);
        assert!(
            second.in_memory().is_none(),
            "100 + 100 is above the budget of 150"
        );
        assert_eq!(spool.bytes_in_memory(), 100);
        let reader = first.open().unwrap();
        drop(first);
        assert_eq!(
            spool.bytes_in_memory(),
            100,
            "a reader still holds the bytes"
        );
        drop(reader);
        assert_eq!(spool.bytes_in_memory(), 0);
    }

    #[test]
    fn refuses_what_is_too_large() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::with_bounds(folder.path(), 10, 10, 50).unwrap();
        let error = spool.writer().write_all(&[0; 51]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
