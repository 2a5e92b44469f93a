//! Transfer encodings, decoded leniently and piece by piece.

/// How a part's bytes are encoded. Source: RFC 2045 section 6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TransferEncoding {
    /// As they are.
    #[default]
    Identity,
    /// Base64.
    Base64,
    /// Quoted-printable.
    QuotedPrintable,
}

impl TransferEncoding {
    pub(crate) fn from_value(value: &str) -> Self {
        let value = value.trim().trim_matches('"');
        if value.eq_ignore_ascii_case("base64") {
            Self::Base64
        } else if value.eq_ignore_ascii_case("quoted-printable") {
            Self::QuotedPrintable
        } else {
            Self::Identity
        }
    }
}

/// Decodes a part piece by piece; garbage is skipped (base64) or kept as it is (quoted-printable).
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    encoding: TransferEncoding,
    /// Base64: bits not yet given out, and how many.
    bits: u32,
    bit_count: u32,
    /// Base64: what a piece decodes to, collected before it is given out.
    decoded: Vec<u8>,
    /// Quoted-printable: what follows an equals sign so far; `=` itself included.
    escape: Vec<u8>,
    /// Quoted-printable: white space that counts only if something follows on the line.
    blanks: Vec<u8>,
}

/// White space at the end of a line beyond which it is given out all the same.
const BLANKS_MAX: usize = 1000;

/// What a byte is worth in base64: 0 to 63, or one of the two below.
const BASE64_VALUES: [u8; 256] = base64_values();
const PADDING: u8 = 64;
const GARBAGE: u8 = 65;

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated by the compiler, which refuses an index out of range; values are below 64"
)]
const fn base64_values() -> [u8; 256] {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [GARBAGE; 256];
    let mut at = 0;
    while at < alphabet.len() {
        values[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    // The alphabet of URLs, which some programs use by mistake.
    values[b'-' as usize] = 62;
    values[b'_' as usize] = 63;
    values[b'=' as usize] = PADDING;
    values
}

/// Whether the byte is one of the sixty-four, in either alphabet. Without a table, so that many are
/// looked at at once.
const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() | (byte == b'+') | (byte == b'/') | (byte == b'-') | (byte == b'_')
}

/// How many of the bytes are of the sixty-four. Sixteen sums side by side, each in a byte, which is what
/// processors add fastest.
fn base64_characters(bytes: &[u8]) -> u64 {
    const LANES: usize = 16;
    let mut characters = 0_u64;
    for block in bytes.chunks(LANES * 255) {
        let mut sums = [0_u8; LANES];
        let (rows, rest) = block.as_chunks::<LANES>();
        for row in rows {
            for (sum, byte) in sums.iter_mut().zip(row) {
                *sum = sum.wrapping_add(u8::from(is_base64(*byte)));
            }
        }
        let rest = rest.iter().map(|byte| u8::from(is_base64(*byte)));
        characters += sums.into_iter().chain(rest).map(u64::from).sum::<u64>();
    }
    characters
}

impl Decoder {
    pub(crate) fn new(encoding: TransferEncoding) -> Self {
        Self {
            encoding,
            ..Self::default()
        }
    }

    /// Decodes a piece.
    pub(crate) fn push(&mut self, piece: &[u8], out: &mut impl Sink) {
        match self.encoding {
            TransferEncoding::Identity => out.put(piece),
            TransferEncoding::Base64 => self.push_base64(piece, out),
            TransferEncoding::QuotedPrintable => self.push_quoted_piece(piece, out),
        }
    }

    /// Counts what a piece decodes to, which takes less than to decode it.
    pub(crate) fn measure(&mut self, piece: &[u8], counter: &mut Counter) {
        if self.encoding != TransferEncoding::Base64 {
            return self.push(piece, counter);
        }
        // Padding starts a new run, so it divides the piece; it is rare. What is none of the
        // sixty-four counts for nothing.
        let mut rest = Some(piece);
        while let Some(piece) = rest {
            let end = memchr::memchr(b'=', piece);
            let run = piece.get(..end.unwrap_or(piece.len())).unwrap_or_default();
            let bits =
                u64::from(self.bit_count).saturating_add(base64_characters(run).saturating_mul(6));
            counter.0 = counter.0.saturating_add(bits / 8);
            rest = end.and_then(|end| piece.get(end + 1..));
            self.bit_count = if rest.is_some() {
                0
            } else {
                u32::try_from(bits % 8).unwrap_or(0)
            };
        }
    }

    /// Gives out what was held back.
    pub(crate) fn finish(&mut self, out: &mut impl Sink) {
        // A lone equals sign at the very end is a soft line break.
        if self.escape.len() > 1 {
            out.put(&self.escape);
        }
        self.escape.clear();
        self.blanks.clear();
    }

    fn push_base64(&mut self, piece: &[u8], out: &mut impl Sink) {
        let value = |byte: u8| {
            BASE64_VALUES
                .get(usize::from(byte))
                .copied()
                .unwrap_or(GARBAGE)
        };
        self.decoded.clear();
        let mut rest = piece;
        loop {
            // Four at once, as long as nothing is out of the ordinary.
            while self.bit_count == 0
                && let Some(([a, b, c, d], tail)) = rest.split_first_chunk::<4>()
            {
                let [a, b, c, d] = [value(*a), value(*b), value(*c), value(*d)];
                if (a | b | c | d) >= PADDING {
                    break;
                }
                let bits =
                    u32::from(a) << 18 | u32::from(b) << 12 | u32::from(c) << 6 | u32::from(d);
                let [_, x, y, z] = bits.to_be_bytes();
                self.decoded.extend_from_slice(&[x, y, z]);
                rest = tail;
            }
            let Some((&byte, tail)) = rest.split_first() else {
                break;
            };
            rest = tail;
            match value(byte) {
                GARBAGE => {}
                // Padding ends a run; some senders encode and join several.
                PADDING => self.bit_count = 0,
                value => {
                    self.bits = (self.bits << 6 | u32::from(value)) & 0xff_ffff;
                    self.bit_count += 6;
                    if self.bit_count >= 8 {
                        self.bit_count -= 8;
                        let [.., low] = (self.bits >> self.bit_count).to_be_bytes();
                        self.decoded.push(low);
                    }
                }
            }
        }
        out.put(&self.decoded);
    }

    fn push_quoted_piece(&mut self, piece: &[u8], out: &mut impl Sink) {
        let special = |byte: &u8| matches!(byte, b'=' | b' ' | b'\t' | b'\r' | b'\n');
        let mut rest = piece;
        while let Some((&first, tail)) = rest.split_first() {
            if !self.escape.is_empty() || special(&first) {
                self.push_quoted(first, out);
                rest = tail;
                continue;
            }
            let end = rest.iter().position(special).unwrap_or(rest.len());
            self.release_blanks(out);
            out.put(rest.get(..end).unwrap_or_default());
            rest = rest.get(end..).unwrap_or_default();
        }
    }

    fn push_quoted(&mut self, byte: u8, out: &mut impl Sink) {
        if !self.escape.is_empty() {
            return self.push_escaped(byte, out);
        }
        match byte {
            b'=' => {
                self.release_blanks(out);
                self.escape.push(b'=');
            }
            b' ' | b'\t' => {
                self.blanks.push(byte);
                if self.blanks.len() > BLANKS_MAX {
                    self.release_blanks(out);
                }
            }
            b'\r' => {}
            b'\n' => {
                self.blanks.clear();
                out.put(b"\r\n");
            }
            _ => {
                self.release_blanks(out);
                out.put(&[byte]);
            }
        }
    }

    fn push_escaped(&mut self, byte: u8, out: &mut impl Sink) {
        match (self.escape.as_slice(), byte) {
            (b"=", b' ' | b'\t' | b'\r') => {}
            (b"=", b'\n') => self.escape.clear(),
            (b"=", _) if byte.is_ascii_hexdigit() => self.escape.push(byte),
            ([b'=', first], _) if byte.is_ascii_hexdigit() => {
                let value = hex(*first) << 4 | hex(byte);
                self.escape.clear();
                out.put(&[value]);
            }
            _ => {
                // No escape after all: some programs forget to write `=3D`.
                let literal = std::mem::take(&mut self.escape);
                out.put(&literal);
                self.push_quoted(byte, out);
            }
        }
    }

    fn release_blanks(&mut self, out: &mut impl Sink) {
        if !self.blanks.is_empty() {
            out.put(&self.blanks);
            self.blanks.clear();
        }
    }
}

const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

/// Where decoded bytes go.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts and forgets.
#[derive(Debug, Default)]
pub(crate) struct Counter(pub(crate) u64);

impl Sink for Counter {
    fn put(&mut self, bytes: &[u8]) {
        self.0 = self
            .0
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(encoding: TransferEncoding, text: &[u8]) -> Vec<u8> {
        let mut whole = Vec::new();
        let mut decoder = Decoder::new(encoding);
        decoder.push(text, &mut whole);
        decoder.finish(&mut whole);
        // The same byte by byte: pieces must not matter.
        let mut pieces = Vec::new();
        let mut decoder = Decoder::new(encoding);
        text.iter()
            .for_each(|byte| decoder.push(&[*byte], &mut pieces));
        decoder.finish(&mut pieces);
        assert_eq!(whole, pieces);
        for size in [1, 3, text.len().max(1)] {
            let mut counter = Counter::default();
            let mut decoder = Decoder::new(encoding);
            text.chunks(size)
                .for_each(|piece| decoder.measure(piece, &mut counter));
            decoder.finish(&mut counter);
            assert_eq!(counter.0, u64::try_from(whole.len()).unwrap());
        }
        whole
    }

    #[test]
    fn base64_is_read_with_breaks_garbage_and_missing_padding() {
        use TransferEncoding::Base64;
        assert_eq!(decode(Base64, b"aGVsbG8="), b"hello");
        assert_eq!(decode(Base64, b"aGVs\r\n bG8"), b"hello");
        assert_eq!(decode(Base64, b"aG!Vs*bG8=\r\n\r\n"), b"hello");
        assert_eq!(decode(Base64, b"YQ==YQ=="), b"aa");
        assert_eq!(decode(Base64, b"===="), b"");
    }

    #[test]
    fn quoted_printable_is_read_with_breaks_and_garbage() {
        use TransferEncoding::QuotedPrintable;
        for (text, expected) in [
            (&b"caf=C3=a9"[..], "café"),
            (b"soft=\r\nbreak", "softbreak"),
            (b"soft= \t\nbreak", "softbreak"),
            (b"trailing  \r\nblank", "trailing\r\nblank"),
            (b"a=b=ZZ 100=%", "a=b=ZZ 100=%"),
            (b"end=", "end"),
            (b"lone\nfeed", "lone\r\nfeed"),
            (b"=\r\n=41", "A"),
        ] {
            assert_eq!(
                String::from_utf8_lossy(&decode(QuotedPrintable, text)),
                expected
            );
        }
    }

    #[test]
    fn encodings_are_named_in_any_case() {
        assert_eq!(
            TransferEncoding::from_value(" BASE64 "),
            TransferEncoding::Base64
        );
        assert_eq!(
            TransferEncoding::from_value("Quoted-Printable"),
            TransferEncoding::QuotedPrintable
        );
        assert_eq!(
            TransferEncoding::from_value("8bit"),
            TransferEncoding::Identity
        );
    }
}
