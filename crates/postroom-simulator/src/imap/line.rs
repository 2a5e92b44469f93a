//! Commands, as far as clients make them.

/// A word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// An atom, brackets and what is in them included.
    Atom(String),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    /// Words in parentheses.
    List(Vec<Self>),
}

impl Word {
    /// An atom or a string, as text.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Atom(text) => text.clone(),
            Self::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::List(_) => String::new(),
        }
    }

    /// The words of a list; a word by itself is a list of one.
    pub(super) fn words(&self) -> &[Self] {
        match self {
            Self::List(words) => words,
            other => std::slice::from_ref(other),
        }
    }

    /// Whether it is that atom.
    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self, Self::Atom(text) if text.eq_ignore_ascii_case(name))
    }
}

/// Reads the words of a command, its literals in place.
pub(super) fn words(bytes: &[u8]) -> Option<Vec<Word>> {
    let mut reader = Reader { bytes, at: 0 };
    let words = reader.list(0)?;
    (reader.at == bytes.len()).then_some(words)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Words up to the end, or to a closing parenthesis.
    fn list(&mut self, depth: u32) -> Option<Vec<Word>> {
        let mut words = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b' ' => self.at += 1,
                b')' => return (depth > 0).then_some(words),
                b'(' if depth < 8 => {
                    self.at += 1;
                    let inner = self.list(depth + 1)?;
                    if self.peek() != Some(b')') {
                        return None;
                    }
                    self.at += 1;
                    words.push(Word::List(inner));
                }
                b'"' => words.push(Word::Text(self.quoted()?)),
                b'{' => words.push(Word::Text(self.literal()?)),
                _ => words.push(Word::Atom(self.atom())),
            }
        }
        (depth == 0).then_some(words)
    }

    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        loop {
            self.at += 1;
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    self.at += 1;
                    text.push(self.peek()?);
                }
                byte => text.push(byte),
            }
        }
        self.at += 1;
        Some(text)
    }

    fn literal(&mut self) -> Option<Vec<u8>> {
        let rest = self.bytes.get(self.at + 1..)?;
        let end = rest.iter().position(|byte| *byte == b'}')?;
        let number = std::str::from_utf8(rest.get(..end)?).ok()?;
        let length: usize = number.trim_end_matches('+').parse().ok()?;
        let from = self.at + 1 + end + 3;
        let text = self.bytes.get(from..from.checked_add(length)?)?.to_vec();
        self.at = from + length;
        Some(text)
    }

    fn atom(&mut self) -> String {
        let from = self.at;
        let mut bracket = false;
        while let Some(byte) = self.peek() {
            match byte {
                b'[' => bracket = true,
                b']' => bracket = false,
                b' ' | b'(' | b')' if !bracket => break,
                _ => {}
            }
            self.at += 1;
        }
        String::from_utf8_lossy(self.bytes.get(from..self.at).unwrap_or_default()).into_owned()
    }
}

/// The UIDs or numbers that a set names, of those that there are; `*` is the last of them.
pub(super) fn chosen(set: &str, there: &[u32]) -> Option<Vec<u32>> {
    let last = there.iter().max().copied().unwrap_or(0);
    let number = |text: &str| match text {
        "*" => Some(last),
        text => text.parse::<u32>().ok(),
    };
    let mut ranges = Vec::new();
    for part in set.split(',') {
        let (from, to) = part.split_once(':').unwrap_or((part, part));
        let (from, to) = (number(from)?, number(to)?);
        ranges.push((from.min(to), from.max(to)));
    }
    let named = |uid: &&u32| ranges.iter().any(|(from, to)| (from..=to).contains(uid));
    Some(there.iter().filter(named).copied().collect())
}

/// As a server writes a string.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Numbers in runs: `1:4,7`.
pub(super) fn runs(numbers: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match parts.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*number) => *last = *number,
            _ => parts.push((*number, *number)),
        }
    }
    let written = |(from, to): (u32, u32)| {
        if from == to {
            from.to_string()
        } else {
            format!("{from}:{to}")
        }
    };
    parts.into_iter().map(written).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        let read = words(
            b"UID FETCH 1:*,7 (UID BODY.PEEK[HEADER.FIELDS (A B)]<0.5>) \"a\\\"b\" {3}\r\nx y",
        )
        .unwrap();
        let list = Word::List(vec![
            Word::Atom("UID".into()),
            Word::Atom("BODY.PEEK[HEADER.FIELDS (A B)]<0.5>".into()),
        ]);
        assert_eq!(read[3], list);
        assert_eq!(read[4].text(), "a\"b");
        assert_eq!(read[5].text(), "x y");
        for bad in ["(", ")", "\"", "{5}\r\nx", "(a))"] {
            assert_eq!(words(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn sets_are_read() {
        let there = [2, 3, 5, 9];
        assert_eq!(chosen("3:*", &there), Some(vec![3, 5, 9]));
        assert_eq!(chosen("20:*", &there), Some(vec![9]));
        assert_eq!(chosen("2,5:4", &there), Some(vec![2, 5]));
        assert_eq!(chosen("x", &there), None);
        assert_eq!(runs(&there), "2:3,5,9");
    }
}
