//! The parts of a message, found in one pass over its lines.
//!
//! Nothing is decoded or kept here but the header blocks: a part is a range of bytes. That takes
//! the same memory for 150 bytes and for 150 MB, and time in proportion to the size, however the
//! parts are nested. A general parser that builds a tree does neither on hostile input, which is
//! why this one exists.
//!
//! Attached messages (`message/rfc822`) are leaves. Source: RFC 2046 section 5.1.

use std::io::{self, BufRead};
use std::ops::Range;

use mail_parser::HeaderValue;
use mail_parser::parsers::MessageStream;

use crate::decode::{Counter, Decoder, TransferEncoding};
use crate::fields::{begins_field, split, text, unfold, without_controls};
use crate::limits::ParseLimits;

/// Longest piece of a line that is handled at once, in bytes.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// Longest MIME field that is looked at, in bytes.
const MIME_FIELD_BYTES_MAX: usize = 8 * 1024;

/// Longest header block of a part below the root, in bytes.
const PART_HEADER_BYTES_MAX: usize = 64 * 1024;

/// What the header of a part says about its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// Lower case, such as `text/plain`.
    pub(crate) media_type: String,
    pub(crate) charset: Option<String>,
    pub(crate) encoding: TransferEncoding,
    /// File name, decoded, not yet made safe; empty where there is none.
    pub(crate) name: String,
    pub(crate) content_id: Option<String>,
    pub(crate) disposition: Disposition,
    boundary: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Disposition {
    #[default]
    Unsaid,
    Inline,
    Attachment,
}

/// A part without parts.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// Its number among all parts, multiparts included, in the order of the message.
    pub(crate) index: u32,
    pub(crate) content: Content,
    /// Its encoded bytes within the raw message.
    pub(crate) range: Range<u64>,
    /// Its decoded size.
    pub(crate) size: u64,
    /// The multipart that it stands in directly, by number, and that one's media type.
    pub(crate) parent: Option<(u32, String)>,
}

/// What a pass over a message found.
#[derive(Debug, Default)]
pub(crate) struct Structure {
    pub(crate) header_block: Vec<u8>,
    pub(crate) leaves: Vec<Leaf>,
    /// There is more than the limits allow to look at.
    pub(crate) limited: bool,
}

pub(crate) fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n" | b"\r")
}

/// The separator of mbox files, which programs leave at the head of single messages.
pub(crate) fn is_mbox_line(line: &[u8]) -> bool {
    line.starts_with(b"From ") || line.starts_with(b">From ")
}

/// Finds the parts of a message that lies in memory.
///
/// The same as [`scan`], but what is between two lines that may be boundaries is taken in one piece.
pub(crate) fn scan_slice(bytes: &[u8], limits: &ParseLimits) -> Structure {
    let mut scanner = Scanner::new(limits);
    let candidate = memchr::memmem::Finder::new(b"\n--");
    let mut at = 0;
    let mut at_line_start = true;
    while !matches!(scanner.state, State::Done) {
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        let in_bulk = matches!(scanner.state, State::Body(_) | State::Between)
            && !(at_line_start && rest.starts_with(b"--"));
        let end = if in_bulk {
            candidate.find(rest).map(|found| found + 1)
        } else {
            let window = rest.get(..LINE_BYTES_MAX).unwrap_or(rest);
            memchr::memchr(b'\n', window)
                .map(|found| found + 1)
                .or(Some(window.len()))
        };
        let taken = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
        let piece = Piece {
            offset: u64::try_from(at).unwrap_or(u64::MAX),
            starts_line: at_line_start,
        };
        scanner.take(&piece, taken);
        at += taken.len();
        at_line_start = taken.ends_with(b"\n");
    }
    scanner.finish(u64::try_from(at).unwrap_or(u64::MAX));
    scanner.structure
}

/// Finds the parts.
pub(crate) fn scan(reader: impl BufRead, limits: &ParseLimits) -> io::Result<Structure> {
    let mut lines = Lines {
        reader,
        offset: 0,
        at_line_start: true,
        piece: Vec::with_capacity(256),
    };
    let mut scanner = Scanner::new(limits);
    while !matches!(scanner.state, State::Done) {
        let Some(piece) = lines.next()? else {
            break;
        };
        scanner.take(&piece, &lines.piece);
    }
    scanner.finish(lines.offset);
    Ok(scanner.structure)
}

/// Where a piece of a line is.
struct Piece {
    offset: u64,
    starts_line: bool,
}

/// The lines of a message in pieces of bounded length.
struct Lines<R> {
    reader: R,
    offset: u64,
    at_line_start: bool,
    piece: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// Reads the next piece, line end included; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Piece>> {
        self.piece.clear();
        let mut ended = false;
        while !ended && self.piece.len() < LINE_BYTES_MAX {
            let available = match self.reader.fill_buf() {
                Ok(available) => available,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
                Err(err) => return Err(err),
            };
            if available.is_empty() {
                break;
            }
            let room = LINE_BYTES_MAX - self.piece.len();
            let window = available.get(..room).unwrap_or(available);
            let used = match memchr::memchr(b'\n', window) {
                Some(at) => {
                    ended = true;
                    at + 1
                }
                None => window.len(),
            };
            self.piece
                .extend_from_slice(window.get(..used).unwrap_or_default());
            self.reader.consume(used);
        }
        if self.piece.is_empty() {
            return Ok(None);
        }
        let piece = Piece {
            offset: self.offset,
            starts_line: self.at_line_start,
        };
        self.offset += u64::try_from(self.piece.len()).unwrap_or_default();
        self.at_line_start = ended;
        Ok(Some(piece))
    }
}

/// A multipart whose parts are being read.
struct Open {
    index: u32,
    media_type: String,
    boundary: Vec<u8>,
    body_start: u64,
    has_parts: bool,
}

#[derive(Default)]
struct Header {
    block: Vec<u8>,
    /// A line was too long or the block is full: the rest is passed over.
    full: bool,
}

struct Body {
    index: u32,
    content: Content,
    start: u64,
    decoder: Decoder,
    counter: Counter,
    /// The end of line that was seen last and may belong to the boundary that follows.
    held: &'static [u8],
}

enum State {
    Header(Header),
    Body(Box<Body>),
    /// Before the first or after the last part of a multipart.
    Between,
    Done,
}

struct Scanner<'a> {
    limits: &'a ParseLimits,
    structure: Structure,
    open: Vec<Open>,
    next_index: u32,
    state: State,
    /// Length of the end of the line before, which belongs to a boundary that follows it.
    end_of_line: u64,
}

impl<'a> Scanner<'a> {
    fn new(limits: &'a ParseLimits) -> Self {
        Self {
            limits,
            structure: Structure::default(),
            open: Vec::new(),
            next_index: 0,
            state: State::Header(Header::default()),
            end_of_line: 0,
        }
    }

    fn take(&mut self, piece: &Piece, bytes: &[u8]) {
        if piece.starts_line
            && bytes.starts_with(b"--")
            && let Some((level, closes)) = self.boundary(bytes)
        {
            self.reach_boundary(level, closes, piece.offset);
            return;
        }
        let after = piece.offset + u64::try_from(bytes.len()).unwrap_or_default();
        match &mut self.state {
            State::Header(header) => {
                let root = self.next_index == 0;
                if piece.starts_line && is_blank(bytes) {
                    // Blank lines before the header of the message itself do not end it.
                    if !root || !header.block.is_empty() {
                        self.begin_body(after);
                    }
                } else if piece.starts_line
                    && header.block.is_empty()
                    && root
                    && is_mbox_line(bytes)
                {
                } else if piece.starts_line
                    && header.block.is_empty()
                    && !root
                    && begins_field(bytes).is_none()
                {
                    // A part without header whose blank line somebody forgot.
                    let (offset, piece) = (
                        piece.offset,
                        Piece {
                            offset: piece.offset,
                            starts_line: true,
                        },
                    );
                    self.begin_body(offset);
                    self.take(&piece, bytes);
                    return;
                } else {
                    let room = if root {
                        self.limits.header_bytes_max
                    } else {
                        PART_HEADER_BYTES_MAX
                    };
                    header.full |= header.block.len() + bytes.len() > room;
                    if header.full {
                        self.structure.limited = true;
                    } else {
                        header.block.extend_from_slice(bytes);
                    }
                }
            }
            State::Body(body) => {
                let (line, end) = split_line_end(bytes);
                body.decoder.measure(body.held, &mut body.counter);
                body.decoder.measure(line, &mut body.counter);
                body.held = match end.len() {
                    0 => b"",
                    1 => b"\n",
                    _ => b"\r\n",
                };
            }
            State::Between | State::Done => {}
        }
        self.end_of_line = u64::try_from(split_line_end(bytes).1.len()).unwrap_or_default();
    }

    /// The level of the multipart whose boundary this is, innermost first, and whether it closes it.
    fn boundary(&self, line: &[u8]) -> Option<(usize, bool)> {
        let text = line.get(2..)?.trim_ascii_end();
        self.open
            .iter()
            .enumerate()
            .rev()
            .find_map(|(level, open)| {
                let rest = text.strip_prefix(open.boundary.as_slice())?;
                match rest.trim_ascii_start() {
                    b"" => Some((level, false)),
                    b"--" => Some((level, true)),
                    _ => None,
                }
            })
    }

    fn reach_boundary(&mut self, level: usize, closes: bool, offset: u64) {
        self.end_part(offset);
        while self.open.len() > level + 1 {
            self.close_multipart(offset);
        }
        if closes {
            self.close_multipart(offset);
            self.state = State::Between;
        } else {
            if let Some(open) = self.open.last_mut() {
                open.has_parts = true;
            }
            self.state = State::Header(Header::default());
        }
        self.end_of_line = 0;
    }

    /// The header of a part is complete: its body begins.
    fn begin_body(&mut self, offset: u64) {
        let State::Header(header) = std::mem::replace(&mut self.state, State::Between) else {
            return;
        };
        let index = self.next_index;
        if index >= self.limits.parts_max {
            self.structure.limited = true;
            self.state = State::Done;
            return;
        }
        self.next_index += 1;
        let in_digest = self
            .open
            .last()
            .is_some_and(|open| open.media_type == "multipart/digest");
        let mut content = content(&header.block, in_digest);
        if index == 0 {
            self.structure.header_block = header.block;
        }
        self.end_of_line = 0;
        if let Some(boundary) = content.boundary.take() {
            if self.open.len() < self.limits.depth_max {
                self.open.push(Open {
                    index,
                    media_type: content.media_type,
                    boundary,
                    body_start: offset,
                    has_parts: false,
                });
                return;
            }
            self.structure.limited = true;
        }
        let encoding = content.encoding;
        self.state = State::Body(Box::new(Body {
            index,
            content,
            start: offset,
            decoder: Decoder::new(encoding),
            counter: Counter::default(),
            held: b"",
        }));
    }

    /// Whatever part is being read ends before `offset`.
    fn end_part(&mut self, offset: u64) {
        if matches!(self.state, State::Header(_)) {
            self.begin_body(offset);
        }
        match std::mem::replace(&mut self.state, State::Between) {
            State::Body(mut body) => {
                body.decoder.finish(&mut body.counter);
                let end = offset.saturating_sub(self.end_of_line).max(body.start);
                self.structure.leaves.push(Leaf {
                    index: body.index,
                    content: body.content,
                    range: body.start..end,
                    size: body.counter.0,
                    parent: self
                        .open
                        .last()
                        .map(|open| (open.index, open.media_type.clone())),
                });
            }
            State::Done => self.state = State::Done,
            State::Header(_) | State::Between => {}
        }
    }

    /// Closes the innermost multipart. One in which no boundary was ever found is read as text:
    /// better than to lose what it says.
    fn close_multipart(&mut self, offset: u64) {
        let Some(open) = self.open.pop() else {
            return;
        };
        if open.has_parts || open.body_start >= offset {
            return;
        }
        self.structure.leaves.push(Leaf {
            index: open.index,
            content: Content {
                media_type: "text/plain".to_owned(),
                ..Content::default()
            },
            size: offset - open.body_start,
            range: open.body_start..offset,
            parent: self
                .open
                .last()
                .map(|open| (open.index, open.media_type.clone())),
        });
    }

    fn finish(&mut self, offset: u64) {
        if matches!(self.state, State::Done) {
            return;
        }
        if let State::Body(body) = &mut self.state {
            body.decoder.measure(body.held, &mut body.counter);
        }
        self.end_of_line = 0;
        self.end_part(offset);
        while !self.open.is_empty() {
            self.close_multipart(offset);
        }
        self.structure.leaves.sort_by_key(|leaf| leaf.index);
    }
}

fn split_line_end(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = if bytes.ends_with(b"\r\n") {
        2
    } else {
        usize::from(bytes.ends_with(b"\n"))
    };
    bytes
        .split_at_checked(bytes.len() - length)
        .unwrap_or((bytes, &[]))
}

/// Reads the MIME fields of a part's header.
fn content(block: &[u8], in_digest: bool) -> Content {
    let mut content = Content::default();
    let mut type_name = None;
    let mut disposition_name = None;
    for field in split(block) {
        if field.is("Content-Type") && content.media_type.is_empty() {
            let line = with_semicolon(unfold(field.value, MIME_FIELD_BYTES_MAX));
            if let HeaderValue::ContentType(parsed) = MessageStream::new(&line).parse_content_type()
            {
                content.media_type = match parsed.subtype() {
                    Some(subtype) => format!("{}/{subtype}", parsed.ctype()).to_ascii_lowercase(),
                    None => parsed.ctype().to_ascii_lowercase(),
                };
                content.charset = parsed.attribute("charset").map(str::to_owned);
                type_name = parsed.attribute("name").map(str::to_owned);
                content.boundary = parsed
                    .attribute("boundary")
                    .map(|text| text.trim_end().as_bytes().to_vec())
                    .filter(|text| {
                        !text.is_empty() && content.media_type.starts_with("multipart/")
                    });
            }
        } else if field.is("Content-Transfer-Encoding") {
            content.encoding =
                TransferEncoding::from_value(&text(field.value, MIME_FIELD_BYTES_MAX));
        } else if field.is("Content-Disposition") {
            let line = unfold(field.value, MIME_FIELD_BYTES_MAX);
            if let HeaderValue::ContentType(parsed) = MessageStream::new(&line).parse_content_type()
            {
                content.disposition = if parsed.ctype().eq_ignore_ascii_case("inline") {
                    Disposition::Inline
                } else {
                    // RFC 2183 section 2.8: what is unknown counts as an attachment.
                    Disposition::Attachment
                };
                disposition_name = parsed.attribute("filename").map(str::to_owned);
            }
        } else if field.is("Content-ID") {
            let id = text(field.value, MIME_FIELD_BYTES_MAX);
            let id = id.trim_matches(['<', '>', ' ']);
            content.content_id = (!id.is_empty()).then(|| id.to_owned());
        }
    }
    content.name = without_controls(&disposition_name.or(type_name).unwrap_or_default());
    let slash = content.media_type.split_once('/');
    if slash.is_none_or(|(kind, subtype)| kind.is_empty() || subtype.is_empty()) {
        content.media_type = match content.media_type.as_str() {
            // Old programs write `Content-Type: text`.
            "" if in_digest => "message/rfc822".to_owned(),
            "" | "text" => "text/plain".to_owned(),
            _ => "application/octet-stream".to_owned(),
        };
    }
    content
}

/// Puts in the semicolon that some senders forget between media type and parameters.
fn with_semicolon(mut line: Vec<u8>) -> Vec<u8> {
    let blank = line
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or_default();
    let rest = line.get(blank..).unwrap_or_default().trim_ascii();
    let head_has_type = line
        .get(..blank)
        .is_some_and(|head| head.contains(&b'/') && !head.contains(&b';'));
    if head_has_type && !rest.is_empty() && !rest.starts_with(b";") && !rest.starts_with(b"/") {
        line.insert(blank, b';');
    }
    line
}

#[cfg(test)]
mod tests;
