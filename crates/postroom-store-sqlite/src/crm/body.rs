//! Bodies of emails: where they lie in the segment files.
//!
//! The text of a received message that needs no decoding stands in its raw form already, but for
//! line ends. Then only its place is noted; reading it back gives the same text. Others are kept
//! beside the raw form.

use std::io::Read as _;

use memchr::{memchr, memmem};
use postroom_core::RawMessage;

use crate::database::{Read, Write};
use crate::failure::{Failure, Outcome};
use crate::segment::Place;
use crate::sql::Row;

/// Shorter bodies are not looked for.
const LOOKED_FOR_MIN: usize = 64;
/// So much of the beginning is looked for, as it may stand in the raw form.
const BEGINNING_BYTES: usize = 48;
/// So many places that begin like the body are compared.
const COMPARED_MAX: usize = 4;

/// How the bytes at a place become the text.
const AS_IT_STANDS: u8 = 0;
const LINES_END_IN_CRLF: u8 = 1;

/// Keeps a body; answers its column. `raw` is the message it is of, and where that lies.
pub(super) fn keep(
    write: &mut Write<'_>,
    body: &str,
    raw: Option<(&RawMessage, Place)>,
) -> Outcome<Vec<u8>> {
    let (place, form) = match raw.and_then(|(raw, place)| within(raw, place, body)) {
        Some(place) => (place, LINES_END_IN_CRLF),
        None => {
            let bytes = RawMessage::from_bytes(body.as_bytes());
            (write.append(&bytes)?, AS_IT_STANDS)
        }
    };
    let mut column = place.pack().to_vec();
    column.push(form);
    Ok(column)
}

/// Reads the body that a column tells the place of.
pub(super) fn read(read: &Read<'_>, row: &Row<'_>, column: usize) -> Outcome<Option<String>> {
    let Some(bytes) = row.maybe_bytes(column)? else {
        return Ok(None);
    };
    let damaged = || row.corrupt(column);
    let (form, place) = bytes.split_last().ok_or_else(damaged)?;
    let place = Place::unpack(place).ok_or_else(damaged)?;
    let mut body = Vec::new();
    place
        .read(read.segments())
        .open()
        .and_then(|mut bytes| bytes.read_to_end(&mut body))
        .map_err(Failure::Segment)?;
    let mut text = String::from_utf8(body).map_err(|_not_text| damaged())?;
    match *form {
        AS_IT_STANDS => {}
        LINES_END_IN_CRLF => text = text.replace("\r\n", "\n"),
        _ => return Err(damaged()),
    }
    Ok(Some(text))
}

/// Where a body stands in the raw form with CRLF in place of each LF, if it does.
fn within(raw: &RawMessage, place: Place, body: &str) -> Option<Place> {
    let (bytes, body) = (raw.in_memory()?, body.as_bytes());
    if body.len() < LOOKED_FOR_MIN {
        return None;
    }
    let mut beginning = Vec::with_capacity(2 * BEGINNING_BYTES);
    for byte in body.iter().take(BEGINNING_BYTES) {
        if *byte == b'\n' {
            beginning.push(b'\r');
        }
        beginning.push(*byte);
    }
    memmem::find_iter(bytes, &beginning)
        .take(COMPARED_MAX)
        .find_map(|start| {
            let length = stands_at(bytes.get(start..)?, body)?;
            let found = bytes.get(start..)?.get(..length)?;
            Some(place.part(start, found))
        })
}

/// How many bytes the body takes at the beginning of `bytes`, if it stands there.
fn stands_at(bytes: &[u8], body: &[u8]) -> Option<usize> {
    let (mut bytes_left, mut body_left) = (bytes, body);
    loop {
        let line_end = memchr(b'\n', body_left);
        let (line, rest) = body_left.split_at_checked(line_end.unwrap_or(body_left.len()))?;
        bytes_left = bytes_left.strip_prefix(line)?;
        if line_end.is_none() {
            return Some(bytes.len() - bytes_left.len());
        }
        bytes_left = bytes_left.strip_prefix(b"\r\n")?;
        body_left = rest.strip_prefix(b"\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_found_with_other_line_ends_only() {
        let same = |raw: &[u8], body: &str| stands_at(raw, body.as_bytes());
        assert_eq!(same(b"one\r\ntwo\r\n--", "one\ntwo"), Some(8));
        assert_eq!(same(b"one\r\ntwo\r\n--", "one\ntwo\n"), Some(10));
        assert_eq!(same(b"a\r\r\nb", "a\r\nb"), Some(5));
        assert_eq!(same(b"one\ntwo", "one\ntwo"), None);
        assert_eq!(same(b"one\r\ntw", "one\ntwo"), None);
        assert_eq!(same(b"one=20\r\ntwo", "one \ntwo"), None);
    }
}
