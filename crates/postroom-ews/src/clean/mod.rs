//! Answers made fit for a strict XML parser while they arrive, message contents cut out.
//!
//! Exchange sends characters that XML forbids, from subjects and bodies (ews-notes section 20), and
//! wraps whole messages in Base64 (`MimeContent`). [`Cleaner`] takes the bytes chunk by chunk, drops
//! the former, and decodes the latter straight into a [`ContentSink`], leaving only an index in
//! their place: a message of 150 MB never becomes part of a tree.

mod base64;

#[cfg(test)]
mod tests;

use std::io::Write as _;

use memchr::{memchr, memchr2, memchr3};
use postroom_core::RawMessage;
use postroom_provider::{Spool, SpoolWriter};

use self::base64::Decoder;

/// Bounds of an answer without the contents that are cut out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes.
    pub(crate) bytes_max: usize,
    /// Elements within each other.
    pub(crate) depth_max: usize,
    /// Bytes of a tag: the parser compares each of its attributes with all before it.
    pub(crate) tag_bytes_max: usize,
    /// Namespaces declared by an element and those around it: the parser copies the list for each
    /// element that declares another.
    pub(crate) namespaces_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: 16 * 1024 * 1024,
            depth_max: 128,
            tag_bytes_max: 8 * 1024,
            namespaces_max: 32,
        }
    }
}

/// Why an answer cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CleanError {
    #[error("the answer is larger than the bound")]
    TooLarge,
    #[error("the answer is nested deeper than the bound")]
    TooDeep,
    #[error("an element of the answer has more attributes or namespaces than the bound")]
    TooManyAttributes,
    #[error("the answer has a document type, which is refused")]
    DocumentType,
    #[error("the answer ends in the middle")]
    Truncated,
}

/// Takes the contents that are cut out.
pub(crate) trait ContentSink {
    /// A content begins; answers its index.
    fn begin(&mut self) -> usize;
    /// So many bytes of it are about to come, roughly; a hint.
    fn expect(&mut self, _bytes: usize) {}
    /// Decoded bytes of it.
    fn write(&mut self, bytes: &[u8]);
    /// It is complete.
    fn end(&mut self);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first byte that counts.
    Start,
    /// Between markup.
    Text,
    /// After `<`, its kind not known yet; where it begins in the output.
    Markup(usize),
    /// In a tag; where it begins in the output, and the open quote.
    Tag(usize, Option<u8>),
    /// In a comment, a CDATA section or a processing instruction, with its end.
    Until(&'static [u8], usize),
    /// After `&`, in text or (where it begins, the quote) in a tag.
    Reference(Option<(usize, Option<u8>)>),
    /// In a content.
    Content,
    /// After `&` in a content.
    ContentReference,
}

/// Longest reference that is looked at, without `&` and `;`.
const REFERENCE_MAX: usize = 12;

/// See the module.
pub(crate) struct Cleaner<S> {
    state: State,
    out: Vec<u8>,
    reference: Vec<u8>,
    decoder: Decoder,
    depth: usize,
    /// How many namespaces each open element declares, and all of them together.
    declared: Vec<usize>,
    namespaces: usize,
    limits: Limits,
    sink: S,
}

/// Whether XML forbids the control character.
const fn forbidden(byte: u8) -> bool {
    byte < 0x20 && byte != b'\t' && byte != b'\n' && byte != b'\r'
}

impl<S: ContentSink> Cleaner<S> {
    pub(crate) fn new(limits: Limits, sink: S) -> Self {
        Self {
            state: State::Start,
            out: Vec::with_capacity(16 * 1024),
            reference: Vec::new(),
            decoder: Decoder::default(),
            depth: 0,
            declared: Vec::new(),
            namespaces: 0,
            limits,
            sink,
        }
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), CleanError> {
        let mut rest = chunk;
        while let Some((&byte, after)) = rest.split_first() {
            match self.state {
                State::Start => {
                    // A byte order mark, blanks and NULs before the document.
                    if matches!(byte, 0xEF | 0xBB | 0xBF) || byte <= b' ' {
                        rest = after;
                    } else {
                        self.state = State::Text;
                    }
                }
                State::Text => rest = self.text(rest)?,
                State::Content => rest = self.content(rest),
                State::ContentReference => match memchr2(b';', b'<', rest) {
                    Some(at) => {
                        self.state = State::Content;
                        let skip = if rest.get(at) == Some(&b';') {
                            at + 1
                        } else {
                            at
                        };
                        rest = rest.get(skip..).unwrap_or_default();
                    }
                    None => return Ok(()),
                },
                State::Reference(within) => {
                    if self.reference_byte(byte, within) {
                        rest = after;
                    }
                }
                State::Markup(start) => {
                    rest = after;
                    self.markup(byte, start)?;
                }
                State::Tag(start, quote) => {
                    rest = after;
                    self.tag(byte, start, quote)?;
                }
                State::Until(end, start) => {
                    rest = after;
                    if !forbidden(byte) {
                        self.out.push(byte);
                        // The opening must not count as part of the end: `<!-->` is no comment.
                        let within = self.out.get(start..).unwrap_or_default();
                        if byte == b'>'
                            && within.ends_with(end)
                            && within.len() >= 4 + end.len() - 1
                        {
                            self.state = State::Text;
                        }
                    }
                }
            }
            if self.out.len() > self.limits.bytes_max {
                return Err(CleanError::TooLarge);
            }
        }
        Ok(())
    }

    /// The document and what was cut out of it.
    pub(crate) fn finish(mut self) -> Result<(String, S), CleanError> {
        if self.state != State::Text || self.depth != 0 {
            if self.state == State::Content || self.state == State::ContentReference {
                self.sink.end();
            }
            return Err(CleanError::Truncated);
        }
        let text = String::from_utf8(self.out)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        // U+FFFE and U+FFFF, which XML forbids; all begin with the same byte in UTF-8.
        let text = if memchr::memmem::find(text.as_bytes(), b"\xEF\xBF\xBE").is_some()
            || memchr::memmem::find(text.as_bytes(), b"\xEF\xBF\xBF").is_some()
        {
            text.replace(['\u{FFFE}', '\u{FFFF}'], "")
        } else {
            text
        };
        Ok((text, self.sink))
    }

    fn text<'a>(&mut self, rest: &'a [u8]) -> Result<&'a [u8], CleanError> {
        let plain = memchr2(b'<', b'&', rest).unwrap_or(rest.len());
        let (run, rest) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
        // Without a branch for each byte, so that many are looked at at once; nearly all runs pass.
        if run.iter().fold(false, |any, byte| any | forbidden(*byte)) {
            self.out
                .extend(run.iter().filter(|byte| !forbidden(**byte)));
        } else {
            self.out.extend_from_slice(run);
        }
        let Some((byte, after)) = rest.split_first() else {
            return Ok(rest);
        };
        if *byte == b'<' {
            let start = self.out.len();
            self.out.push(b'<');
            if let Some(tag) = plain_tag(after) {
                self.out.extend_from_slice(tag);
                self.tag_ended(start)?;
                return Ok(after.get(tag.len()..).unwrap_or_default());
            }
            self.state = State::Markup(start);
        } else {
            if let Some(reference) = plain_reference(after) {
                self.out.push(b'&');
                self.out.extend_from_slice(reference);
                return Ok(after.get(reference.len()..).unwrap_or_default());
            }
            self.reference.clear();
            self.state = State::Reference(None);
        }
        Ok(after)
    }

    fn content<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let end = memchr2(b'<', b'&', rest);
        let part = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let sink = &mut self.sink;
        sink.expect(part.len() / 4 * 3 + 3);
        self.decoder.push(part, |bytes| sink.write(bytes));
        let Some(at) = end else {
            return &[];
        };
        if rest.get(at) == Some(&b'&') {
            // Line breaks come as references, too.
            self.state = State::ContentReference;
        } else {
            let sink = &mut self.sink;
            self.decoder.finish(|bytes| sink.write(bytes));
            self.sink.end();
            self.state = State::Markup(self.out.len());
            self.out.push(b'<');
        }
        rest.get(at + 1..).unwrap_or_default()
    }

    /// Takes a byte of a reference; `false` where it belongs to what follows.
    fn reference_byte(&mut self, byte: u8, within: Option<(usize, Option<u8>)>) -> bool {
        if byte != b';'
            && self.reference.len() < REFERENCE_MAX
            && (byte.is_ascii_alphanumeric() || byte == b'#')
        {
            self.reference.push(byte);
            return true;
        }
        self.state = match within {
            None => State::Text,
            Some((start, quote)) => State::Tag(start, quote),
        };
        match (byte, kind_of(&self.reference)) {
            (b';', Reference::Keep) => {
                self.out.push(b'&');
                self.out.extend_from_slice(&self.reference);
                self.out.push(b';');
                true
            }
            (b';', Reference::Drop) => true,
            _ => {
                // A bare ampersand, or an entity that no document without DTD has.
                self.out.extend_from_slice(b"&amp;");
                self.out.extend_from_slice(&self.reference);
                false
            }
        }
    }

    fn markup(&mut self, byte: u8, start: usize) -> Result<(), CleanError> {
        let so_far = self.out.get(start + 1..).unwrap_or_default();
        match (so_far, byte) {
            ([], b'!') => self.out.push(byte),
            ([], b'?') => {
                self.out.push(byte);
                self.state = State::Until(b"?>", start);
            }
            ([b'!'], b'-' | b'[') => self.out.push(byte),
            ([b'!', b'-'], b'-') => {
                self.out.push(byte);
                self.state = State::Until(b"-->", start);
            }
            ([b'!', b'[', ..], _) if so_far.len() < 8 => {
                self.out.push(byte);
                if self.out.ends_with(b"<![CDATA[") {
                    self.state = State::Until(b"]]>", start);
                }
            }
            ([b'!', ..], _) => return Err(CleanError::DocumentType),
            _ => {
                self.state = State::Tag(start, None);
                self.tag(byte, start, None)?;
            }
        }
        Ok(())
    }

    fn tag(&mut self, byte: u8, start: usize, quote: Option<u8>) -> Result<(), CleanError> {
        if forbidden(byte) {
            return Ok(());
        }
        match (byte, quote) {
            (b'&', _) => {
                self.reference.clear();
                self.state = State::Reference(Some((start, quote)));
                return Ok(());
            }
            (b'"' | b'\'', None) => self.state = State::Tag(start, Some(byte)),
            (_, Some(open)) if open == byte => self.state = State::Tag(start, None),
            (b'>', None) => {
                self.out.push(byte);
                return self.tag_ended(start);
            }
            _ => {}
        }
        self.out.push(byte);
        Ok(())
    }

    fn tag_ended(&mut self, start: usize) -> Result<(), CleanError> {
        self.state = State::Text;
        let tag = self.out.get(start + 1..).unwrap_or_default();
        if tag.first() == Some(&b'/') {
            self.depth = self.depth.saturating_sub(1);
            self.namespaces -= self.declared.pop().unwrap_or_default();
            return Ok(());
        }
        let declared = memchr::memmem::find_iter(tag, b"xmlns").count();
        if tag.len() > self.limits.tag_bytes_max
            || self.namespaces + declared > self.limits.namespaces_max
        {
            return Err(CleanError::TooManyAttributes);
        }
        if tag.ends_with(b"/>") {
            return Ok(());
        }
        self.declared.push(declared);
        self.namespaces += declared;
        let name_end = tag
            .iter()
            .position(|byte| byte.is_ascii_whitespace() || *byte == b'>')
            .unwrap_or(tag.len());
        let name = tag.get(..name_end).unwrap_or_default();
        let local = name.rsplit(|byte| *byte == b':').next().unwrap_or(name);
        let is_content = local == b"MimeContent";
        self.depth += 1;
        if self.depth > self.limits.depth_max {
            return Err(CleanError::TooDeep);
        }
        if is_content {
            let index = self.sink.begin();
            self.out.extend_from_slice(index.to_string().as_bytes());
            self.state = State::Content;
        }
        Ok(())
    }
}

/// The rest of a tag up to and including `>`, where all of it is there and nothing in it needs to be
/// looked at byte by byte.
fn plain_tag(rest: &[u8]) -> Option<&[u8]> {
    if matches!(rest.first(), None | Some(b'!' | b'?')) {
        return None;
    }
    let mut end = 0;
    loop {
        let ahead = rest.get(end..)?;
        end += memchr3(b'>', b'"', b'\'', ahead)?;
        let quote = *rest.get(end)?;
        end += 1;
        if quote == b'>' {
            break;
        }
        end += memchr(quote, rest.get(end..)?)? + 1;
    }
    let tag = rest.get(..end)?;
    let odd = tag
        .iter()
        .fold(false, |any, byte| any | forbidden(*byte) | (*byte == b'&'));
    (!odd).then_some(tag)
}

/// The rest of a reference up to and including `;`, where all of it is there and it is kept.
fn plain_reference(rest: &[u8]) -> Option<&[u8]> {
    let near = rest.get(..=REFERENCE_MAX).unwrap_or(rest);
    let end = near.iter().position(|byte| *byte == b';')?;
    let reference = near.get(..end)?;
    match kind_of(reference) {
        Reference::Keep => near.get(..=end),
        Reference::Drop | Reference::Unknown => None,
    }
}

enum Reference {
    Keep,
    Drop,
    Unknown,
}

fn kind_of(reference: &[u8]) -> Reference {
    let text = std::str::from_utf8(reference).unwrap_or_default();
    let number = match text.strip_prefix('#') {
        None if matches!(text, "amp" | "lt" | "gt" | "quot" | "apos") => return Reference::Keep,
        None => return Reference::Unknown,
        Some(number) => match number.strip_prefix('x') {
            Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                u32::from_str_radix(hex, 16).ok()
            }
            Some(_) => return Reference::Unknown,
            None if number.bytes().all(|b| b.is_ascii_digit()) => number.parse().ok(),
            None => return Reference::Unknown,
        },
    };
    match number.and_then(char::from_u32) {
        Some(c) if is_xml_char(c) => Reference::Keep,
        // Forbidden, a lone surrogate, or beyond all characters. `&#;` ends here as well.
        _ => Reference::Drop,
    }
}

/// Whether XML 1.0 allows the character. Source: XML 1.0, production 2.
pub(crate) const fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

/// Why a content could not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentError {
    /// It is above the spool's limit.
    TooLarge,
    /// The spool cannot be written.
    Spool,
}

/// Writes contents to the spool.
pub(crate) struct SpoolSink {
    spool: Spool,
    done: Vec<Result<RawMessage, ContentError>>,
    open: Option<Result<SpoolWriter, ContentError>>,
}

impl SpoolSink {
    pub(crate) const fn new(spool: Spool) -> Self {
        Self {
            spool,
            done: Vec::new(),
            open: None,
        }
    }

    /// The contents, in the order of the answer.
    pub(crate) fn into_contents(self) -> Vec<Result<RawMessage, ContentError>> {
        self.done
    }
}

fn content_error(error: &std::io::Error) -> ContentError {
    if error.kind() == std::io::ErrorKind::FileTooLarge {
        ContentError::TooLarge
    } else {
        ContentError::Spool
    }
}

impl ContentSink for SpoolSink {
    fn begin(&mut self) -> usize {
        self.open = Some(Ok(self.spool.writer()));
        self.done.len()
    }

    fn expect(&mut self, bytes: usize) {
        if let Some(Ok(writer)) = &mut self.open {
            writer.reserve(bytes);
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(Ok(writer)) = &mut self.open
            && let Err(error) = writer.write_all(bytes)
        {
            // The rest is read and dropped: the other items of the answer are good.
            self.open = Some(Err(content_error(&error)));
        }
    }

    fn end(&mut self) {
        if let Some(open) = self.open.take() {
            self.done.push(
                open.and_then(|writer| writer.finish().map_err(|error| content_error(&error))),
            );
        }
    }
}
