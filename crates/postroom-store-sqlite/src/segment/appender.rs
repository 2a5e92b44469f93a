//! Bytes on their way to the end of a file.
//!
//! What is appended is collected and written in parts that are still in the processor's cache when
//! the system copies them. Writing past the system's cache, and syncs begun ahead of the commit, were
//! tried: on a busy disk neither made a commit shorter.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};

use postroom_core::RawMessage;

/// So much is collected before it is written.
const COLLECTED_BYTES: usize = 256 * 1024;
/// Read at a time from messages that are not in memory.
const READ_BYTES: usize = 64 * 1024;

/// Appends to a file.
#[derive(Debug)]
pub(super) struct Appender {
    /// Keeps the lock, too.
    file: File,
    sync: bool,
    /// Where the next byte goes, behind what is collected.
    position: u64,
    /// The end of what was appended that is not in the file yet.
    collected: Vec<u8>,
}

impl Appender {
    /// Appends to `file` from `position` on.
    pub(super) const fn new(file: File, position: u64, sync: bool) -> Self {
        Self {
            file,
            sync,
            position,
            collected: Vec::new(),
        }
    }

    /// Where the next byte goes.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// Goes back to a place: what was appended behind it is written over.
    pub(super) fn go_back(&mut self, position: u64) {
        self.collected.clear();
        self.position = position;
    }

    /// Appends a message; answers the length and checksum of what was read.
    pub(super) fn append(&mut self, raw: &RawMessage) -> io::Result<(u64, u32)> {
        if let Some(bytes) = raw.in_memory() {
            self.push(bytes)?;
            return Ok((length(bytes), crc32fast::hash(bytes)));
        }
        let mut source = raw.open()?;
        let mut checksum = crc32fast::Hasher::new();
        let mut total = 0_u64;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let read = source.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return Ok((total, checksum.finalize()));
            };
            self.push(bytes)?;
            checksum.update(bytes);
            total = total.saturating_add(length(bytes));
        }
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.collected.len().saturating_add(bytes.len()) > COLLECTED_BYTES {
            self.write_collected()?;
        }
        if bytes.len() > COLLECTED_BYTES {
            self.write_at(self.position, bytes)?;
        } else {
            self.collected.extend_from_slice(bytes);
        }
        self.position = self.position.saturating_add(length(bytes));
        Ok(())
    }

    /// Brings everything to the disk.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.write_collected()?;
        if self.sync {
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn write_collected(&mut self) -> io::Result<()> {
        let collected = std::mem::take(&mut self.collected);
        let start = self.position.saturating_sub(length(&collected));
        let written = self.write_at(start, &collected);
        // Its memory is used again; what could not be written stays.
        self.collected = collected;
        if written.is_ok() {
            self.collected.clear();
        }
        written
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(bytes)
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
