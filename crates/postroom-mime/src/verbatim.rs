//! Addresses between angle brackets that the parser of fields would take apart.
//!
//! A quoted local part may hold what means something elsewhere: brackets, commas, parentheses. And no
//! part of an address is an encoded word, whatever it looks like (RFC 2047 section 5). The parser of
//! fields knows neither; it is given a stand-in for each, and the address is put back afterwards.

use postroom_core::address::ADDRESS_BYTES_MAX;

use crate::fields::defuse;

/// Begins a stand-in. No address has control characters, and few fields do.
const MARK: u8 = 1;

/// A field with stand-ins, and what they stand for.
#[derive(Debug)]
pub(crate) struct Verbatim<'a> {
    line: Vec<u8>,
    addresses: Vec<&'a str>,
}

impl<'a> Verbatim<'a> {
    /// Puts stand-ins in; `None` where there is nothing to stand in for.
    pub(crate) fn of(line: &'a [u8]) -> Option<Self> {
        let nothing = memchr::memmem::find(line, b"=?").is_none()
            && memchr::memmem::find(line, b"<\"").is_none();
        if nothing || memchr::memchr(MARK, line).is_some() {
            return None;
        }
        let mut this = Self {
            line: Vec::new(),
            addresses: Vec::new(),
        };
        let mut done = 0;
        for open in memchr::memchr_iter(b'<', line) {
            let Some(address) = line
                .get(open + 1..)
                .filter(|_| open >= done)
                .and_then(bracketed)
            else {
                continue;
            };
            this.line.extend_from_slice(line.get(done..=open)?);
            this.line.push(MARK);
            this.line
                .extend_from_slice(this.addresses.len().to_string().as_bytes());
            this.addresses.push(address);
            done = open + 1 + address.len();
        }
        this.line.extend_from_slice(line.get(done..)?);
        (done > 0).then_some(this)
    }

    /// The field to read. What is left of encoded words that never end is made harmless.
    pub(crate) fn take_line(&mut self) -> Vec<u8> {
        let mut line = std::mem::take(&mut self.line);
        defuse(&mut line);
        line
    }

    /// How many stand-ins there are.
    pub(crate) const fn count(&self) -> usize {
        self.addresses.len()
    }

    /// What a stand-in stands for.
    pub(crate) fn address(&self, stand_in: &str) -> Option<&'a str> {
        let number = stand_in.strip_prefix(char::from(MARK))?;
        self.addresses.get(number.parse::<usize>().ok()?).copied()
    }
}

/// The address behind an opening bracket, where it has a quoted local part, or something that looks
/// like an encoded word, and the bracket is closed behind it.
fn bracketed(text: &[u8]) -> Option<&str> {
    let text = text
        .get(..text.len().min(ADDRESS_BYTES_MAX + 1))
        .unwrap_or_default();
    let local = match text.first() {
        Some(b'"') => quoted_end(text)?,
        _ => 0,
    };
    let rest = text.get(local..)?;
    let rest = rest.get(..memchr::memchr(b'>', rest)?)?;
    let is_address = if local > 0 {
        rest.first() == Some(&b'@')
    } else {
        let odd = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'<' | b'"');
        memchr::memmem::find(rest, b"=?").is_some()
            && memchr::memchr(b'@', rest).is_some()
            && !rest.iter().any(odd)
    };
    let address = text.get(..local + rest.len()).filter(|_| is_address)?;
    std::str::from_utf8(address).ok()
}

/// Where a quoted string ends, its last quote included.
fn quoted_end(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_be_taken_apart_is_replaced() {
        for line in [
            &b"Ada <ada@x.example>, <b@x.example>"[..],
            b"<\"open@x.example>",
            b"<\"no at\">",
            b"<=?utf-8?B?YUB4?=>",
            b"<=?a b@x.example>",
            b"\x01 <\"a b\"@x.example>",
            b"<",
        ] {
            assert!(Verbatim::of(line).is_none(), "{line:?}");
        }
        let line = b"A <\"a>\\\" b\"@x.example>, B <=?u?q?a?=@x.example>";
        let mut verbatim = Verbatim::of(line).unwrap();
        assert_eq!(verbatim.take_line(), b"A <\x010>, B <\x011>");
        assert_eq!(verbatim.address("\u{1}0"), Some("\"a>\\\" b\"@x.example"));
        assert_eq!(verbatim.address("\u{1}1"), Some("=?u?q?a?=@x.example"));
        assert_eq!(verbatim.address("\u{1}2"), None);
        assert_eq!(verbatim.address("1"), None);
    }
}
