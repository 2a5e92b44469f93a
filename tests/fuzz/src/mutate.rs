//! Valid input made wrong: bytes, lines, numbers, tokens and elements are changed, repeated, moved,
//! nested and cut.

use std::ops::Range;

use crate::random::Random;

/// Bytes that mean something to some parser.
const BYTES: &[u8] =
    b"\0\t\n\r !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\x7f\x80\xa0\xc0\xe2\xf0\xff09AZaz";

/// Texts that mean something to some parser, whatever the format.
const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\n\n",
    b"=?utf-8?q?",
    b"=?utf-8?b?",
    b"?=",
    b"=\r\n",
    b"&#0;",
    b"&#xD800;",
    b"&amp;",
    b"<![CDATA[",
    b"]]>",
    b"<!--",
    b"-->",
    b"<?x",
    b"\xef\xbb\xbf",
    b"\xef\xbf\xbe",
    b"\xe2\x80\xae",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"\xcc\x81",
    b"\xc4\xb0",
    b"\xef\xac\x83",
    b"<>",
    b"<a@b>",
    b"a@b",
    b"()",
    b"((((",
    b"\"",
    b"\\",
];

/// Numbers at the ends of somebody's range.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "127",
    "128",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551616",
    "1e400",
    "00",
    "-9223372036854775809",
    "99999999999999999999999999",
];

/// Changes an input in one to eight ways; `other` is another input to take pieces from.
pub fn mutate(
    random: &mut Random,
    input: &mut Vec<u8>,
    other: &[u8],
    dictionary: &[&[u8]],
    length_max: usize,
) {
    for _ in 0..=random.mostly_small(8) {
        once(random, input, other, dictionary, length_max);
        input.truncate(length_max);
    }
}

fn once(
    random: &mut Random,
    input: &mut Vec<u8>,
    other: &[u8],
    dictionary: &[&[u8]],
    length_max: usize,
) {
    let length = input.len();
    let at = random.below(length + 1);
    match random.below(24) {
        0 if at < length => input[at] ^= 1 << random.below(8),
        1 if at < length => input[at] = *random.pick(BYTES),
        2 => {
            let count = 1 + random.mostly_small(8);
            let bytes: Vec<u8> = (0..count).map(|_| random.next() as u8).collect();
            input.splice(at..at, bytes);
        }
        3 => {
            input.drain(range(random, length));
        }
        4 => {
            let piece = input[range(random, length)].to_vec();
            input.splice(at..at, piece);
        }
        5 => {
            let piece = input[small_range(random, length)].to_vec();
            repeat(random, input, at, &piece, length_max);
        }
        6 | 7 => {
            let token = token(random, dictionary).to_vec();
            input.splice(at..at, token);
        }
        8 => {
            let token = token(random, dictionary).to_vec();
            let end = length.min(at + token.len());
            input.splice(at..end, token);
        }
        9 => {
            let piece = other[range(random, other.len())].to_vec();
            let end = at + random.mostly_small(length - at + 1);
            input.splice(at..end, piece);
        }
        10 => {
            let line = line_at(input, at);
            let line = input[line].to_vec();
            let to = line_at(input, random.below(length + 1)).start;
            input.splice(to..to, line);
        }
        11 => {
            let line = line_at(input, at);
            input.drain(line);
        }
        12 if random.one_in(3) => input.truncate(at),
        13 => {
            if let Some(digits) = digits_at(input, at) {
                let number = random.pick(NUMBERS).as_bytes().to_vec();
                input.splice(digits, number);
            }
        }
        14 => {
            if let Some(element) = element_at(input, at) {
                input.drain(element);
            }
        }
        15 => {
            if let Some(element) = element_at(input, at) {
                let piece = input[element.clone()].to_vec();
                repeat(random, input, element.end, &piece, length_max);
            }
        }
        16 => {
            if let Some(element) = element_at(input, at) {
                nest(random, input, element, length_max);
            }
        }
        17 => {
            let theirs = element_at(other, random.below(other.len() + 1));
            if let (Some(ours), Some(theirs)) = (element_at(input, at), theirs) {
                input.splice(ours, other[theirs].iter().copied());
            }
        }
        18 => {
            let (one, two) = (range(random, length), range(random, length));
            if one.end <= two.start {
                let second = input[two.clone()].to_vec();
                let first = input[one.clone()].to_vec();
                input.splice(two, first);
                input.splice(one, second);
            }
        }
        19 => input[range(random, length)].iter_mut().for_each(|byte| {
            if byte.is_ascii_alphabetic() {
                *byte ^= 0x20;
            }
        }),
        20 => {
            let token = token(random, dictionary).to_vec();
            repeat(random, input, at, &token, length_max);
        }
        21 => {
            let piece = input[range(random, length)].to_vec();
            let mut reversed = piece.clone();
            reversed.reverse();
            input.splice(at..at, reversed);
        }
        22 => {
            // A line moved elsewhere.
            let line = line_at(input, at);
            let piece: Vec<u8> = input.drain(line).collect();
            let to = line_at(input, random.below(input.len() + 1)).start;
            input.splice(to..to, piece);
        }
        _ => {
            let byte = *random.pick(BYTES);
            let count = random.mostly_small(length_max.saturating_sub(length).min(4096) + 1);
            input.splice(at..at, std::iter::repeat_n(byte, count));
        }
    }
}

fn token<'a>(random: &mut Random, dictionary: &[&'a [u8]]) -> &'a [u8] {
    if dictionary.is_empty() || random.one_in(3) {
        random.pick::<&[u8]>(TOKENS)
    } else {
        random.pick::<&[u8]>(dictionary)
    }
}

/// Any range, short ones more often.
fn range(random: &mut Random, length: usize) -> Range<usize> {
    let start = random.below(length + 1);
    let size = random.mostly_small(length - start + 1);
    start..start + size
}

fn small_range(random: &mut Random, length: usize) -> Range<usize> {
    let start = random.below(length + 1);
    let size = random.mostly_small((length - start).min(64) + 1);
    start..start + size
}

fn repeat(random: &mut Random, input: &mut Vec<u8>, at: usize, piece: &[u8], length_max: usize) {
    if piece.is_empty() {
        return;
    }
    let room = length_max.saturating_sub(input.len()) / piece.len();
    let count = random.mostly_small(room.min(5000) + 1);
    let at = at.min(input.len());
    input.splice(at..at, piece.repeat(count));
}

/// Puts an element's own tags around it again and again.
fn nest(random: &mut Random, input: &mut Vec<u8>, element: Range<usize>, length_max: usize) {
    let text = &input[element.clone()];
    let (Some(open_end), Some(close)) = (
        text.iter().position(|byte| *byte == b'>'),
        text.iter().rposition(|byte| *byte == b'<'),
    ) else {
        return;
    };
    let (open, close) = (text[..=open_end].to_vec(), text[close..].to_vec());
    if close.get(1) != Some(&b'/') {
        return;
    }
    let room = length_max.saturating_sub(input.len()) / (open.len() + close.len());
    let depth = random.mostly_small(room.min(2000) + 1);
    input.splice(element.end..element.end, close.repeat(depth));
    input.splice(element.start..element.start, open.repeat(depth));
}

/// The line around a position, its line feed included.
fn line_at(input: &[u8], at: usize) -> Range<usize> {
    let at = at.min(input.len());
    let start = input[..at].iter().rposition(|byte| *byte == b'\n');
    let end = input[at..].iter().position(|byte| *byte == b'\n');
    start.map_or(0, |start| start + 1)..end.map_or(input.len(), |end| at + end + 1)
}

/// The digits at or behind a position.
fn digits_at(input: &[u8], at: usize) -> Option<Range<usize>> {
    let start = at + input.get(at..)?.iter().position(u8::is_ascii_digit)?;
    let size = input[start..]
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .count();
    Some(start..start + size)
}

/// An XML element that begins at or behind a position, with all that is in it.
fn element_at(input: &[u8], at: usize) -> Option<Range<usize>> {
    let starts = |from: usize| {
        input
            .get(from..)?
            .windows(2)
            .position(|pair| pair[0] == b'<' && (pair[1].is_ascii_alphabetic() || pair[1] == b'_'))
    };
    let start = at + starts(at)?;
    let name_end = input[start + 1..]
        .iter()
        .position(|byte| matches!(byte, b' ' | b'>' | b'/' | b'\n' | b'\r' | b'\t'))?;
    let name = &input[start + 1..start + 1 + name_end];
    let mut depth = 0_usize;
    let mut from = start;
    // Answers of tests are small; a bound all the same.
    for _ in 0..10_000 {
        let open = from + input.get(from..)?.iter().position(|byte| *byte == b'<')?;
        let end = open + input[open..].iter().position(|byte| *byte == b'>')? + 1;
        let tag = &input[open + 1..end - 1];
        let closing = tag.strip_prefix(b"/").is_some_and(|tag| tag == name);
        let opening = tag
            .strip_prefix(name)
            .is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_alphanumeric));
        if opening && !tag.ends_with(b"/") {
            depth += 1;
        } else if closing {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            return Some(start..end);
        }
        from = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_whole() {
        let text = b"<a><b x='1'><b/></b>t</a>";
        assert_eq!(&text[element_at(text, 1).unwrap()], b"<b x='1'><b/></b>");
        assert_eq!(element_at(text, 0).unwrap(), 0..text.len());
        assert_eq!(element_at(b"<a><b>", 0), None);
    }

    #[test]
    fn the_same_seed_makes_the_same_input_within_the_bound() {
        let make = |seed| {
            let mut input = b"From: a@b\r\n\r\n<x><y>12</y></x>".to_vec();
            mutate(
                &mut Random::new(seed),
                &mut input,
                b"other\nlines\n",
                &[b"token"],
                500,
            );
            input
        };
        let mut different = std::collections::BTreeSet::new();
        for seed in 0..500 {
            let input = make(seed);
            assert!(input.len() <= 500);
            assert_eq!(input, make(seed));
            different.insert(input);
        }
        assert!(different.len() > 300, "{}", different.len());
    }
}
