//! Header fields: splitting a block, unfolding a value, decoding its text.

use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::parsers::MessageStream;

/// Encoded words are at most 75 characters long (RFC 2047 section 2); senders exceed that, but not
/// by this much.
const ENCODED_WORD_MAX: usize = 1200;

/// So many unterminated encoded words in one field are an attack, not an accident.
const BROKEN_WORDS_MAX: usize = 16;

/// One field as it stands in the block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) value: &'a [u8],
}

impl Field<'_> {
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Whether a line begins a field: a name of printable characters, then a colon. RFC 5322 section
/// 2.2 allows no space before the colon; old software writes one.
pub(crate) fn begins_field(line: &[u8]) -> Option<usize> {
    let colon = memchr::memchr(b':', line.get(..200).unwrap_or(line))?;
    let name = line.get(..colon)?.trim_ascii_end();
    (!name.is_empty() && name.iter().all(|byte| (33..=126).contains(byte))).then_some(colon)
}

/// The fields of a header block, in order. A line that neither begins a field nor is indented
/// continues the field before it: Exchange 2010 is known to break folding that way.
pub(crate) fn split(block: &[u8]) -> Vec<Field<'_>> {
    let mut fields: Vec<(usize, usize, usize)> = Vec::new();
    let mut at = 0;
    for line in block.split_inclusive(|byte| *byte == b'\n') {
        let folded = matches!(line.first(), Some(b' ' | b'\t'));
        match begins_field(line).filter(|_| !folded) {
            Some(colon) => fields.push((at, at + colon, at + line.len())),
            None => {
                if let Some(last) = fields.last_mut() {
                    last.2 = at + line.len();
                }
            }
        }
        at += line.len();
    }
    fields
        .into_iter()
        .filter_map(|(start, colon, end)| {
            Some(Field {
                name: block.get(start..colon)?.trim_ascii_end(),
                value: block.get(colon + 1..end)?,
            })
        })
        .collect()
}

/// The value on one line, as UTF-8, at most `limit` bytes of it, with a line feed at the end as the
/// parser of single fields wants it.
///
/// Bytes that are not UTF-8 are read as Windows-1252: raw 8-bit headers come from old programs of
/// western Europe more often than from anywhere else.
pub(crate) fn unfold(value: &[u8], limit: usize) -> Vec<u8> {
    let mut line = unfold_verbatim(value, limit);
    line.pop();
    defuse(&mut line);
    line.push(b'\n');
    line
}

/// The same for values in which nothing is an encoded word, whatever it looks like.
pub(crate) fn unfold_verbatim(value: &[u8], limit: usize) -> Vec<u8> {
    let cut = value.len() > limit;
    let value = value.get(..limit).unwrap_or(value).trim_ascii();
    let mut line = Vec::with_capacity(value.len() + 1);
    let mut after_break = false;
    for &byte in value {
        match byte {
            b'\r' | b'\n' => {
                if !after_break {
                    line.push(b' ');
                }
                after_break = true;
            }
            // The break became the space.
            b' ' | b'\t' if after_break => {}
            b'\t' | 0 => line.push(b' '),
            _ => {
                after_break = false;
                line.push(byte);
            }
        }
    }
    if let Err(err) = std::str::from_utf8(&line) {
        if cut && err.error_len().is_none() {
            // The cut went through a character; that is no sign of another encoding.
            line.truncate(err.valid_up_to());
        } else {
            line = outside_words_from_windows_1252(&line);
        }
    }
    line.push(b'\n');
    line
}

/// Where the encoded word that begins at `at` ends, its last `?=` included.
fn encoded_word_end(line: &[u8], at: usize) -> Option<usize> {
    let word = line.get(at..line.len().min(at + ENCODED_WORD_MAX))?;
    let charset = memchr::memchr(b'?', word.get(2..)?)? + 2;
    // One letter says how it is encoded.
    if word.get(charset + 2) != Some(&b'?') {
        return None;
    }
    let text = charset + 3;
    memchr::memmem::find(word.get(text..)?, b"?=").map(|end| at + text + end + 2)
}

/// The line with raw 8-bit text read as Windows-1252. Encoded words stay as they are: their bytes
/// belong to the charset that they name, even where somebody forgot to encode them.
fn outside_words_from_windows_1252(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len() + 16);
    let mut from = 0;
    for at in memchr::memmem::find_iter(line, b"=?") {
        if at < from {
            continue;
        }
        if let Some(end) = encoded_word_end(line, at) {
            out.extend(windows_1252(line.get(from..at).unwrap_or_default()).into_bytes());
            out.extend_from_slice(line.get(at..end).unwrap_or_default());
            from = end;
        }
    }
    out.extend(windows_1252(line.get(from..).unwrap_or_default()).into_bytes());
    out
}

/// Takes the question mark out of encoded words that never end, where there are many: each would be
/// read to the end of the field, in vain.
pub(crate) fn defuse(line: &mut [u8]) {
    let mut broken = Vec::new();
    let mut from = 0;
    for at in memchr::memmem::find_iter(line, b"=?") {
        // The padding of base64 and the end of its word look like a beginning, too.
        if at < from {
            continue;
        }
        match encoded_word_end(line, at) {
            Some(end) => from = end,
            None => broken.push(at),
        }
    }
    if broken.len() <= BROKEN_WORDS_MAX {
        return;
    }
    for at in broken {
        if let Some(byte) = line.get_mut(at + 1) {
            *byte = b'_';
        }
    }
}

pub(crate) fn windows_1252(bytes: &[u8]) -> String {
    charset_decoder(b"windows-1252").map_or_else(
        || String::from_utf8_lossy(bytes).into_owned(),
        |decode| decode(bytes),
    )
}

/// The text of an unstructured value: unfolded, encoded words decoded, control characters gone.
pub(crate) fn text(value: &[u8], limit: usize) -> String {
    let line = unfold(value, limit);
    let decoded = MessageStream::new(&line).parse_unstructured();
    without_controls(decoded.as_text().unwrap_or_default())
}

/// Encoded words can hold anything, line breaks included.
pub(crate) fn without_controls(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_folded_broken_and_spaced_fields() {
        let block = b"Subject: a\r\n b\r\nFrom : x@y\r\nbroken folding\nX-Long:\n\tz\n";
        let fields = split(block);
        let names: Vec<_> = fields
            .iter()
            .map(|f| String::from_utf8_lossy(f.name))
            .collect();
        assert_eq!(names, ["Subject", "From", "X-Long"]);
        assert_eq!(text(fields[0].value, 100), "a b");
        assert_eq!(text(fields[1].value, 100), "x@y broken folding");
        assert!(split(b"no field at all\n").is_empty());
    }

    #[test]
    fn decodes_what_senders_write() {
        for (value, expected) in [
            (
                &b" =?utf-8?q?caf=C3=A9?= =?utf-8?b?IQ==?="[..],
                "caf\u{e9}!",
            ),
            (b" caf\xc3\xa9", "caf\u{e9}"),
            (b" caf\xe9", "caf\u{e9}"),
            (
                b" \xe9 =?iso-8859-1?q?Fr\xf6sche=21?= \xe9",
                "\u{e9} Fr\u{f6}sche! \u{e9}",
            ),
            (b" =?utf-8?q?a=0D=0ABcc=3A_x?=", "a  Bcc: x"),
            (b" =?unknown?q?open", "=?unknown?q?open"),
            (b"", ""),
        ] {
            assert_eq!(text(value, 1000), expected);
        }
    }

    #[test]
    fn a_value_cut_inside_a_character_stays_utf8() {
        assert_eq!(text("aé".as_bytes(), 2), "a");
    }

    #[test]
    fn many_padded_words_are_all_decoded() {
        let value = b"=?utf-8?B?w6Q=?= ".repeat(1000);
        assert_eq!(text(&value, 64 * 1024), "\u{e4}".repeat(1000));
    }

    #[test]
    fn unterminated_encoded_words_do_not_cost_the_square() {
        let value = b"=?aa?q?".repeat(40_000);
        assert!(!text(&value, 256 * 1024).is_empty());
    }
}
