//! The content of a message as it goes over the wire.
//!
//! Lines end in CRLF whatever they ended in: a lone CR or LF is what lets one message pass for two where a server and
//! the one behind it disagree. Dots at the beginning of a line are doubled, and blind copies are not named.

use std::io::{self, Read};

use postroom_core::RawMessage;

/// Longest header line that is held to see whether it names blind copies.
const LINE_MAX: usize = 64 * 1024;
/// What is read at a time where the message does not lie in memory.
const CHUNK: usize = 64 * 1024;
/// Up to that many bytes are made ready at once, and written in one piece.
const SMALL: u64 = 512 * 1024;

/// What a message takes to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// There are bytes above 127.
    pub(crate) eight_bit: bool,
    /// There are some in the header.
    pub(crate) utf8_header: bool,
}

/// What a message takes, by its bytes.
pub(crate) fn needs(raw: &RawMessage) -> io::Result<Needs> {
    let mut scan = Scan::default();
    if let Some(bytes) = raw.in_memory() {
        scan.feed(bytes);
    } else {
        each_chunk(raw, |chunk| scan.feed(chunk))?;
    }
    Ok(scan.needs)
}

fn each_chunk(raw: &RawMessage, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut reader = raw.open()?;
    let mut buffer = vec![0; CHUNK];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => take(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[derive(Debug, Default)]
struct Scan {
    needs: Needs,
    in_body: bool,
    line_is_empty: Option<bool>,
}

impl Scan {
    fn feed(&mut self, bytes: &[u8]) {
        if self.in_body {
            self.needs.eight_bit |= !bytes.is_ascii();
            return;
        }
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' => {
                    if self.line_is_empty == Some(true) {
                        self.in_body = true;
                        return self.feed(bytes.get(at + 1..).unwrap_or_default());
                    }
                    self.line_is_empty = Some(true);
                }
                b'\r' => {}
                _ => {
                    self.line_is_empty = Some(false);
                    if !byte.is_ascii() {
                        self.needs.eight_bit = true;
                        self.needs.utf8_header = true;
                    }
                }
            }
        }
    }
}

/// A message on its way, piece by piece.
pub(crate) struct Content {
    raw: RawMessage,
    reader: Option<Box<dyn Read + Send>>,
    stuffer: Stuffer,
    done: bool,
}

impl Content {
    /// The content of a message.
    pub(crate) fn new(raw: &RawMessage) -> Self {
        Self {
            raw: raw.clone(),
            reader: None,
            stuffer: Stuffer::default(),
            done: false,
        }
    }

    /// The next piece, and whether it is the last, which ends in the final dot; `None` behind it.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Vec<u8>, bool)>> {
        if self.done {
            return Ok(None);
        }
        let mut out = Vec::new();
        if let Some(bytes) = self.raw.in_memory().filter(|_| self.raw.len() <= SMALL) {
            out.reserve(bytes.len() + bytes.len() / 32 + 16);
            self.stuffer.feed(bytes, &mut out);
            self.stuffer.finish(&mut out);
            self.done = true;
            return Ok(Some((out, true)));
        }
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => self.reader.insert(self.raw.open()?),
        };
        let mut buffer = vec![0; CHUNK];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => {
                    self.stuffer.finish(&mut out);
                    self.done = true;
                    return Ok(Some((out, true)));
                }
                Ok(read) => {
                    let read = buffer.get(..read).unwrap_or_default();
                    self.stuffer.feed(read, &mut out);
                    if !out.is_empty() {
                        return Ok(Some((out, false)));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Makes content ready for the wire, whatever the pieces that it comes in.
#[derive(Debug)]
pub(crate) struct Stuffer {
    in_header: bool,
    /// The header line that is being read, where it may have to be left out.
    line: Vec<u8>,
    /// The field that is being read is left out.
    hidden: bool,
    at_line_start: bool,
    pending_cr: bool,
}

impl Default for Stuffer {
    fn default() -> Self {
        Self {
            in_header: true,
            line: Vec::new(),
            hidden: false,
            at_line_start: true,
            pending_cr: false,
        }
    }
}

impl Stuffer {
    /// Takes the next bytes.
    pub(crate) fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while let Some(first) = input.first() {
            if self.pending_cr {
                self.pending_cr = false;
                self.end_line(out);
                if *first == b'\n' {
                    input = input.get(1..).unwrap_or_default();
                    continue;
                }
            }
            let Some(at) = memchr::memchr2(b'\r', b'\n', input) else {
                self.text(input, out);
                return;
            };
            let (text, rest) = input.split_at(at);
            self.text(text, out);
            if rest.first() == Some(&b'\r') {
                self.pending_cr = true;
            } else {
                self.end_line(out);
            }
            input = rest.get(1..).unwrap_or_default();
        }
    }

    /// The end: completes the last line, and puts the final dot behind it.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.pending_cr) || !self.at_line_start || !self.line.is_empty() {
            self.end_line(out);
        }
        out.extend_from_slice(b".\r\n");
    }

    fn text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if self.in_header && self.at_line_start {
            self.line.extend_from_slice(text);
            if self.line.len() > LINE_MAX {
                self.decide(out);
            }
            return;
        }
        self.put(text, out);
    }

    /// A line of the header, or what of it is there: in or out?
    fn decide(&mut self, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        let folded = matches!(line.first(), Some(b' ' | b'\t'));
        if !folded {
            self.hidden = hides(&line);
        }
        self.put(&line, out);
    }

    fn put(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if !(self.in_header && self.hidden) {
            if self.at_line_start && text.first() == Some(&b'.') {
                out.push(b'.');
            }
            out.extend_from_slice(text);
        }
        self.at_line_start = false;
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        if self.in_header && self.at_line_start {
            if self.line.is_empty() {
                self.in_header = false;
            } else {
                self.decide(out);
            }
        }
        if !(self.in_header && self.hidden) {
            out.extend_from_slice(b"\r\n");
        }
        self.at_line_start = true;
    }
}

/// Whether a header line begins a field that names blind copies.
fn hides(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    let name = name.trim_ascii_end();
    line.contains(&b':')
        && (name.eq_ignore_ascii_case(b"bcc") || name.eq_ignore_ascii_case(b"resent-bcc"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stuffed(parts: &[&[u8]]) -> String {
        let (mut stuffer, mut out) = (Stuffer::default(), Vec::new());
        for part in parts {
            stuffer.feed(part, &mut out);
        }
        stuffer.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_dots_and_ends() {
        for (raw, wire) in [
            ("", ".\r\n"),
            ("a: b\r\n\r\nhi\r\n", "a: b\r\n\r\nhi\r\n.\r\n"),
            (
                "a: b\n\n.\n..x\nno end",
                "a: b\r\n\r\n..\r\n...x\r\nno end\r\n.\r\n",
            ),
            ("a: b\r\r\r\nx\r", "a: b\r\n\r\n\r\nx\r\n.\r\n"),
            ("\n.\r\nDATA\n", "\r\n..\r\nDATA\r\n.\r\n"),
            (".a: b\n\n", "..a: b\r\n\r\n.\r\n"),
        ] {
            assert_eq!(stuffed(&[raw.as_bytes()]), wire, "{raw:?}");
        }
    }

    #[test]
    fn blind_copies_are_not_named() {
        let raw = "From: a\r\nbcc: x@example.org,\r\n y@example.org\r\nTo: b\r\nResent-Bcc : z\r\n\r\nBcc: is text here\r\n";
        let wire = "From: a\r\nTo: b\r\n\r\nBcc: is text here\r\n.\r\n";
        assert_eq!(stuffed(&[raw.as_bytes()]), wire);
        let long = format!("Bcc: {}\r\nTo: b\r\n\r\n", "a@b, ".repeat(LINE_MAX));
        assert_eq!(stuffed(&[long.as_bytes()]), "To: b\r\n\r\n.\r\n");
    }

    #[test]
    fn what_a_message_takes() {
        let needs = |text: &str| {
            let found = needs(&RawMessage::from_bytes(text.as_bytes().to_vec())).unwrap();
            (found.eight_bit, found.utf8_header)
        };
        assert_eq!(needs("a: b\r\n\r\nc"), (false, false));
        assert_eq!(needs("a: b\r\n\r\nä"), (true, false));
        assert_eq!(needs("a: ä\r\n\r\n"), (true, true));
        assert_eq!(needs("a: b\n\nä"), (true, false));
    }

    #[test]
    fn a_large_message_comes_in_pieces() {
        let body = "0123456789abcde\r\n".repeat(100_000);
        let raw = RawMessage::from_bytes(format!("a: b\r\n\r\n{body}").into_bytes());
        let mut content = Content::new(&raw);
        let (mut whole, mut lasts) = (Vec::new(), Vec::new());
        while let Some((piece, last)) = content.next().unwrap() {
            assert!(piece.len() <= 2 * CHUNK);
            whole.extend(piece);
            lasts.push(last);
        }
        assert_eq!(whole, format!("a: b\r\n\r\n{body}.\r\n").into_bytes());
        assert!(lasts.len() > 10 && lasts.pop() == Some(true) && !lasts.contains(&true));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(raw in "[Bbc: .\r\nx]{0,80}", at in 0_usize..80) {
            let (one, other) = raw.as_bytes().split_at(at.min(raw.len()));
            let wire = stuffed(&[one, other]);
            prop_assert_eq!(&wire, &stuffed(&[raw.as_bytes()]));
            prop_assert!(wire.ends_with(".\r\n"));
            let inside = wire.strip_suffix(".\r\n").unwrap();
            prop_assert!(!inside.contains("\r\n.\r\n") && !inside.starts_with(".\r\n"));
            let bare = inside.replace("\r\n", "");
            prop_assert!(!bare.contains(['\r', '\n']));
        }
    }
}
