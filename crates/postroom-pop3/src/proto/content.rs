//! Answers of many lines: where they end, and what was stuffed into them. Source: RFC 1939 section 3.

use memchr::memmem;

/// How the server ends its lines.
///
/// The status line of an answer tells. Where it ends with CRLF, only CRLF ends a line of the answer, so that
/// a message that holds a bare LF and a dot can neither end its answer early nor speak for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// As the protocol has it.
    CrLf,
    /// A bare LF.
    Lf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The beginning of a line.
    Start,
    /// Behind a dot that begins a line and was not passed on.
    Dot,
    /// Behind a dot and a CR, neither passed on.
    DotCr,
    /// Somewhere in a line.
    Inside,
    /// Behind a CR in a line.
    Cr,
    /// Behind the line that ends the answer.
    End,
}

/// Takes the dots out and finds the end, piece by piece.
#[derive(Debug)]
pub(crate) struct Content {
    at: At,
    line_end: LineEnd,
    stuffed: memmem::Finder<'static>,
}

impl Content {
    pub(crate) fn new(line_end: LineEnd) -> Self {
        let stuffed: &[u8] = match line_end {
            LineEnd::CrLf => b"\r\n.",
            LineEnd::Lf => b"\n.",
        };
        Self {
            at: At::Start,
            line_end,
            stuffed: memmem::Finder::new(stuffed),
        }
    }

    /// Whether the end was seen.
    pub(crate) fn ended(&self) -> bool {
        self.at == At::End
    }

    /// Passes on what belongs to the content, and answers how many bytes of the input were used: all of
    /// them, unless the end was among them.
    pub(crate) fn feed(&mut self, input: &[u8], mut pass: impl FnMut(&[u8])) -> usize {
        let mut used = 0;
        while let Some(next) = input.get(used) {
            match (self.at, next) {
                (At::End, _) => break,
                (At::Start, b'.') => {
                    self.at = At::Dot;
                    used += 1;
                }
                (At::Dot, b'\r') => {
                    self.at = At::DotCr;
                    used += 1;
                }
                (At::DotCr, b'\n') => {
                    self.at = At::End;
                    used += 1;
                }
                (At::Dot, b'\n') if self.line_end == LineEnd::Lf => {
                    self.at = At::End;
                    used += 1;
                }
                // The first of two dots stays behind. What follows a single one was not stuffed by a
                // server that ought to have done so: its dot is the message's.
                (At::Dot, b'.') => self.at = At::Inside,
                (At::Dot, _) => {
                    pass(b".");
                    self.at = At::Inside;
                }
                (At::DotCr, _) => {
                    pass(b".\r");
                    self.at = At::Cr;
                }
                (At::Cr, b'\n') => {
                    pass(b"\n");
                    self.at = At::Start;
                    used += 1;
                }
                (At::Start | At::Inside | At::Cr, _) => {
                    let rest = input.get(used..).unwrap_or_default();
                    let length = match self.stuffed.find(rest) {
                        // Up to and with the line end before the dot.
                        Some(found) => found + self.stuffed.needle().len() - 1,
                        None => rest.len(),
                    };
                    let part = rest.get(..length).unwrap_or_default();
                    pass(part);
                    used += length;
                    self.at = self.behind(part);
                }
            }
        }
        used
    }

    fn behind(&self, part: &[u8]) -> At {
        match (self.line_end, part) {
            (LineEnd::CrLf, [.., b'\r', b'\n']) | (LineEnd::Lf, [.., b'\n']) => At::Start,
            (LineEnd::CrLf, [.., b'\r']) => At::Cr,
            _ => At::Inside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How lines end, the answer, the content, what is left.
    type Case = (LineEnd, &'static [u8], &'static [u8], &'static [u8]);

    fn decode(line_end: LineEnd, pieces: &[&[u8]]) -> (Vec<u8>, bool, usize) {
        let mut content = Content::new(line_end);
        let (mut out, mut left) = (Vec::new(), 0);
        for piece in pieces {
            let used = content.feed(piece, |part| out.extend_from_slice(part));
            left += piece.len() - used;
        }
        (out, content.ended(), left)
    }

    #[test]
    fn ends_and_dots() {
        use LineEnd::{CrLf, Lf};
        let cases: [Case; 14] = [
            (CrLf, b".\r\n", b"", b""),
            (CrLf, b"a\r\n.\r\n", b"a\r\n", b""),
            (CrLf, b"a\r\n.\r\n+OK next", b"a\r\n", b"+OK next"),
            (CrLf, b"..a\r\n...\r\n.\r\n", b".a\r\n..\r\n", b""),
            // A bare LF and a dot are content, and end nothing.
            (
                CrLf,
                b"a\n.\nb\n.\r\nc\r\n.\r\n",
                b"a\n.\nb\n.\r\nc\r\n",
                b"",
            ),
            (CrLf, b"a\n..\r\n.\r\n", b"a\n..\r\n", b""),
            // Not stuffed, as it ought to be.
            (CrLf, b".a\r\n.\r\n", b".a\r\n", b""),
            (CrLf, b".\rx\r\n.\r\n", b".\rx\r\n", b""),
            (CrLf, b".\r\r\n.\r\n", b".\r\r\n", b""),
            (CrLf, b".\nx\r\n.\r\n", b".\nx\r\n", b""),
            (CrLf, b"\0\r\r\n\xff\r\n.\r\n", b"\0\r\r\n\xff\r\n", b""),
            (Lf, b"a\n..b\n.\n", b"a\n.b\n", b""),
            (Lf, b"a\n.\r\n", b"a\n", b""),
            (Lf, b".\n+OK", b"", b"+OK"),
        ];
        for (line_end, input, expected, left) in cases {
            let whole = decode(line_end, &[input]);
            assert_eq!(whole, (expected.to_vec(), true, left.len()), "{input:?}");
            // Piece by piece it is the same.
            let pieces: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(decode(line_end, &pieces), whole, "{input:?}");
        }
        for open in [&b""[..], b"a", b"a\r\n", b"a\r\n.", b"a\r\n.\r", b"a\n.\n"] {
            assert!(!decode(CrLf, &[open]).1, "{open:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_stuffed_comes_back(
            text in proptest::collection::vec(
                proptest::sample::select(&b".\r\nab\0"[..]), 0..60),
            cuts in proptest::collection::vec(1_usize..5, 60),
        ) {
            let mut text = text;
            text.extend_from_slice(b"\r\n");
            let mut sent = Vec::new();
            let mut start = true;
            for (at, byte) in text.iter().enumerate() {
                if start && *byte == b'.' {
                    sent.push(b'.');
                }
                sent.push(*byte);
                start = text[..=at].ends_with(b"\r\n");
            }
            sent.extend_from_slice(b".\r\n");
            let (mut pieces, mut rest) = (Vec::new(), sent.as_slice());
            for cut in cuts {
                let (piece, left) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = left;
            }
            pieces.push(rest);
            prop_assert_eq!(decode(LineEnd::CrLf, &pieces), (text, true, 0));
        }
    }
}
