//! Replies: a code, perhaps an enhanced one, and text.

use std::str::FromStr as _;

use bytes::Bytes;
use lettre::transport::smtp::response::{Response, Severity};

/// Most lines of a reply.
pub(crate) const LINES_MAX: usize = 200;

/// How a line of a reply begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineKind {
    /// More lines follow.
    More,
    /// It is the last.
    Last,
    /// It is no line of a reply.
    Alien,
}

/// What a line is.
pub(crate) fn kind(line: &[u8]) -> LineKind {
    let digits = line.iter().take_while(|b| b.is_ascii_digit()).count();
    match (digits, line.get(3)) {
        (3, Some(b'-')) => LineKind::More,
        // The blank is missing where the text is.
        (3, Some(b' ') | None) => LineKind::Last,
        _ => LineKind::Alien,
    }
}

/// An enhanced status code (RFC 3463) without its class, which is the reply's: subject and detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Enhanced {
    pub(crate) subject: u16,
    pub(crate) detail: u16,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    response: Response,
}

impl Reply {
    /// The reply in these lines; `None` where they are none.
    pub(crate) fn read(lines: &[Bytes]) -> Option<Self> {
        let mut text = String::new();
        for line in lines {
            let line = String::from_utf8_lossy(line);
            text.push_str(&line);
            if line.len() == 3 {
                text.push(' ');
            }
            text.push_str("\r\n");
        }
        let response = Response::from_str(&text).ok()?;
        Some(Self { response })
    }

    /// The three digits.
    pub(crate) fn code(&self) -> u16 {
        self.response.code().into()
    }

    /// 2yz.
    pub(crate) fn is_done(&self) -> bool {
        self.response.code().severity == Severity::PositiveCompletion
    }

    /// 4yz.
    pub(crate) fn is_transient(&self) -> bool {
        self.response.code().severity == Severity::TransientNegativeCompletion
    }

    /// 4yz or 5yz.
    pub(crate) fn is_negative(&self) -> bool {
        !self.response.is_positive()
    }

    /// The enhanced code, where the text begins with one of the reply's class (RFC 2034 section 4).
    pub(crate) fn enhanced(&self) -> Option<Enhanced> {
        let word = self.response.first_word()?;
        let mut parts = word.split('.').map(|part| {
            let number = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            number.then(|| part.parse::<u16>().ok()).flatten()
        });
        let (class, subject, detail) = (parts.next()??, parts.next()??, parts.next()??);
        (parts.next().is_none() && class == self.code() / 100)
            .then_some(Enhanced { subject, detail })
    }

    /// The lines of text.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.response.message()
    }

    /// The underlying reply.
    pub(crate) const fn response(&self) -> &Response {
        &self.response
    }

    /// Whether the text holds one of these words, in any case.
    pub(crate) fn says(&self, words: &[&str]) -> bool {
        let text = self.lines().collect::<Vec<_>>().join(" ").to_lowercase();
        words.iter().any(|word| text.contains(word))
    }

    /// The server's words, without what names a person.
    pub(crate) fn said(&self, user: Option<&str>) -> String {
        let user = user.map(str::to_lowercase);
        let mut said = self.code().to_string();
        let mut first = true;
        for line in self.lines() {
            for (at, word) in line.split_whitespace().enumerate() {
                let code = at == 0 && !first && self.response.first_word() == Some(word);
                if code {
                    continue;
                }
                let named = word.contains('@')
                    || user
                        .as_deref()
                        .is_some_and(|user| user.len() > 2 && word.to_lowercase().contains(user));
                said.push(' ');
                said.push_str(if named { "..." } else { word });
            }
            first = false;
        }
        said.chars().take(SAID_CHARS_MAX).collect()
    }
}

/// Most of the server's words that are kept.
const SAID_CHARS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Reply> {
        let lines: Vec<Bytes> = text
            .split("\r\n")
            .map(|line| Bytes::copy_from_slice(line.as_bytes()))
            .collect();
        Reply::read(&lines)
    }

    #[test]
    fn a_reply_is_read_whatever_its_form() {
        let reply = read("550-5.1.1 no such\r\n550 5.1.1 user <ada@example.org>").unwrap();
        assert_eq!(reply.code(), 550);
        let enhanced = Enhanced {
            subject: 1,
            detail: 1,
        };
        assert_eq!(reply.enhanced(), Some(enhanced));
        assert_eq!(reply.said(None), "550 5.1.1 no such user ...");
        assert!(read("250").unwrap().is_done());
        assert!(read("450 4.7.1 wait").unwrap().is_transient());
        assert_eq!(
            read("450 5.7.1 wait").unwrap().enhanced(),
            None,
            "of another class"
        );
        for alien in ["+OK", "25", "250-a\r\n251 b", "999 x", "250x", ""] {
            assert_eq!(read(alien), None, "{alien:?}");
        }
    }

    #[test]
    fn lines_are_told_apart() {
        assert_eq!(kind(b"250-PIPELINING"), LineKind::More);
        assert_eq!(kind(b"250 SIZE"), LineKind::Last);
        assert_eq!(kind(b"354"), LineKind::Last);
        for alien in [&b"* OK"[..], b"2500 x", b"SSH-2.0", b""] {
            assert_eq!(kind(alien), LineKind::Alien);
        }
    }

    #[test]
    fn nobody_is_named() {
        let reply = read("535 5.7.8 Error: ada.lovelace is locked, ask root@example.org").unwrap();
        let said = reply.said(Some("Ada.Lovelace"));
        assert_eq!(said, "535 5.7.8 Error: ... is locked, ask ...");
        assert!(
            read(&format!("550 {}", "x ".repeat(900)))
                .unwrap()
                .said(None)
                .len()
                <= 300
        );
    }
}
