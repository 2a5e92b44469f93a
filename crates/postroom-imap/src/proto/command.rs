//! What is said to the server.

use std::fmt;

use postroom_core::Secret;

/// A command without its tag, in parts: text, and literals between.
#[derive(Clone, Default)]
pub(crate) struct Command {
    parts: Vec<Part>,
}

#[derive(Clone)]
pub(crate) enum Part {
    /// Text of a line.
    Text(Secret),
    /// Bytes of any kind.
    Literal(Secret),
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("parts", &self.parts.len())
            .finish_non_exhaustive()
    }
}

impl Command {
    /// A command of plain text.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            parts: vec![Part::Text(Secret::new(text))],
        }
    }

    /// Adds a space and text that is safe as it is.
    #[must_use]
    pub(crate) fn word(mut self, text: &str) -> Self {
        self.add_text(" ");
        self.add_text(text);
        self
    }

    /// Adds a space and a string: quoted where a line can hold it, a literal otherwise. A zero byte fits in
    /// neither; see [`can_be_said`].
    #[must_use]
    pub(crate) fn string(mut self, text: &str) -> Self {
        self.add_text(" ");
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.len() < 1000 {
            let quoted = Secret::new(text.replace('\\', "\\\\").replace('"', "\\\""));
            self.add_text("\"");
            self.add_text(quoted.expose());
            self.add_text("\"");
        } else {
            self.parts.push(Part::Literal(Secret::new(text)));
        }
        self
    }

    fn add_text(&mut self, text: &str) {
        if let Some(Part::Text(last)) = self.parts.last_mut() {
            *last = Secret::new([last.expose(), text].concat());
        } else {
            self.parts.push(Part::Text(Secret::new(text)));
        }
    }

    /// Its parts.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Its first words, for errors; arguments may tell too much.
    pub(crate) fn name(&self) -> String {
        let Some(Part::Text(text)) = self.parts.first() else {
            return String::new();
        };
        let mut words = text.expose().split(' ');
        let first = words.next().unwrap_or_default();
        match words.next() {
            Some(second) if first == "UID" => format!("{first} {second}"),
            _ => first.to_owned(),
        }
    }
}

/// Whether a string can be said at all.
pub(crate) fn can_be_said(text: &str) -> bool {
    !text.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(command: &Command) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.expose().to_owned(),
            Part::Literal(text) => format!("{{{}}}{}", text.expose().len(), text.expose()),
        };
        command.parts().iter().map(part).collect()
    }

    #[test]
    fn strings_are_said_as_they_can_be() {
        let login = |password| written(&Command::new("LOGIN").string("ada").string(password));
        assert_eq!(login("pw"), "LOGIN \"ada\" \"pw\"");
        assert_eq!(login("a\"b\\"), "LOGIN \"ada\" \"a\\\"b\\\\\"");
        assert_eq!(login("\r\n"), "LOGIN \"ada\" {2}\r\n");
        assert_eq!(login("\u{e9}"), "LOGIN \"ada\" {2}\u{e9}");
        assert_eq!(Command::new("UID FETCH 1 (FLAGS)").name(), "UID FETCH");
        assert_eq!(Command::new("LOGIN").string("x").name(), "LOGIN");
    }

    #[test]
    fn nothing_is_shown() {
        let command = Command::new("LOGIN").string("ada").string("open sesame");
        assert!(!format!("{command:?}").contains("sesame"));
    }
}
