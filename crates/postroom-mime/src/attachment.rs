//! The content of one attachment, streamed out of the raw message.

use std::io::{Read, Write};

use postroom_core::RawMessage;

use crate::decode::{Decoder, Sink};
use crate::error::MimeError;
use crate::limits::ParseLimits;
use crate::parse::structure_of;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Writes the decoded content of an attachment, and tells how many bytes that were.
///
/// `part` is [`Attachment::part`](postroom_core::email::Attachment::part) as
/// [`parse`](crate::parse) told it with the same structural limits. Memory does not grow with the
/// attachment.
///
/// # Errors
/// [`Code::NotFound`](postroom_core::Code::NotFound) where there is no such part, and
/// [`Code::StoreUnavailable`](postroom_core::Code::StoreUnavailable) where reading or writing fails.
pub fn write_attachment(
    raw: &RawMessage,
    part: u32,
    limits: &ParseLimits,
    out: &mut dyn Write,
) -> Result<u64, MimeError> {
    let structure = structure_of(raw, limits)?;
    let leaf = structure
        .leaves
        .iter()
        .find(|leaf| leaf.index == part)
        .ok_or_else(MimeError::no_such_part)?;
    let mut reader = raw.open().map_err(MimeError::reading)?;
    std::io::copy(
        &mut reader.by_ref().take(leaf.range.start),
        &mut std::io::sink(),
    )
    .map_err(MimeError::reading)?;
    let mut encoded = reader.take(leaf.range.end - leaf.range.start);
    let mut decoder = Decoder::new(leaf.content.encoding);
    let mut sink = Forward {
        out,
        written: 0,
        error: None,
    };
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = match encoded.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(err) if err.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(err) => return Err(MimeError::reading(err)),
        };
        let mut decoded = Vec::with_capacity(count);
        decoder.push(piece.get(..count).unwrap_or_default(), &mut decoded);
        sink.put(&decoded);
        if let Some(err) = sink.error.take() {
            return Err(MimeError::writing(err));
        }
    }
    let mut rest = Vec::new();
    decoder.finish(&mut rest);
    sink.put(&rest);
    match sink.error {
        Some(err) => Err(MimeError::writing(err)),
        None => Ok(sink.written),
    }
}

/// The decoded content of an attachment of at most `bytes_max` bytes.
///
/// # Errors
/// As [`write_attachment`], and [`Code::TooLarge`](postroom_core::Code::TooLarge) above the limit.
pub fn attachment_content(
    raw: &RawMessage,
    part: u32,
    limits: &ParseLimits,
    bytes_max: usize,
) -> Result<Vec<u8>, MimeError> {
    let mut bounded = Bounded {
        bytes: Vec::new(),
        bytes_max,
    };
    let written = write_attachment(raw, part, limits, &mut bounded);
    match written {
        Err(_) if bounded.bytes.len() > bytes_max => Err(MimeError::too_large()),
        Err(err) => Err(err),
        Ok(_) => Ok(bounded.bytes),
    }
}

struct Forward<'a> {
    out: &'a mut dyn Write,
    written: u64,
    error: Option<std::io::Error>,
}

impl Sink for Forward<'_> {
    fn put(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            match self.out.write_all(bytes) {
                Ok(()) => self.written += u64::try_from(bytes.len()).unwrap_or_default(),
                Err(err) => self.error = Some(err),
            }
        }
    }
}

/// Takes one piece beyond its limit, and then no more.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > self.bytes_max {
            return Err(std::io::Error::other("larger than was asked for"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
