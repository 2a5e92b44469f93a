//! Places in segment files, and reading what lies there.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use postroom_core::RawMessage;
use postroom_core::raw::RawSource;

use super::name_of;
use crate::failure::Outcome;
use crate::sql::Row;

/// Where bytes lie in the segment files, and their checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) segment: i64,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) checksum: u32,
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
