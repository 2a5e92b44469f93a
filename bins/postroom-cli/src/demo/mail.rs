//! The messages of the demo.

/// A message to be written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Letter<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) cc: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) id: &'a str,
    pub(crate) in_reply_to: &'a str,
    pub(crate) text: &'a str,
}

impl Letter<'_> {
    /// The message as it crosses the network. RFC 5322.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut message = String::new();
        for (name, value) in [
            ("From", self.from),
            ("To", self.to),
            ("Cc", self.cc),
            ("Subject", self.subject),
            ("Message-ID", self.id),
            ("In-Reply-To", self.in_reply_to),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=utf-8"),
        ] {
            if !value.is_empty() {
                message.push_str(name);
                message.push_str(": ");
                message.push_str(value);
                message.push_str("\r\n");
            }
        }
        message.push_str("\r\n");
        message.push_str(&self.text.replace('\n', "\r\n"));
        message.push_str("\r\n");
        message.into_bytes()
    }
}

/// The value of a header that stands on one line.
pub(crate) fn header<'m>(message: &'m str, name: &str) -> Option<&'m str> {
    message
        .lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_headers_are_left_out() {
        let letter = Letter {
            from: "a@b",
            subject: "Hi",
            text: "one\ntwo",
            ..Letter::default()
        };
        let text = String::from_utf8(letter.write()).unwrap();
        assert!(text.starts_with("From: a@b\r\nSubject: Hi\r\nMIME-Version"));
        assert!(text.ends_with("\r\n\r\none\r\ntwo\r\n"));
        assert_eq!(header(&text, "subject"), Some("Hi"));
        assert_eq!(header(&text, "cc"), None);
    }
}
