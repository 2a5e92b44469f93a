//! What the server says that it has.

use std::collections::BTreeSet;

/// The server's capabilities, in upper case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities(BTreeSet<String>);

impl Capabilities {
    /// Of the words that follow `CAPABILITY`.
    pub(crate) fn read(words: &str) -> Self {
        let words = words.split_ascii_whitespace();
        Self(words.map(str::to_ascii_uppercase).collect())
    }

    /// Whether the server has it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Whether the server takes that SASL mechanism.
    pub(crate) fn authenticates(&self, mechanism: &str) -> bool {
        self.0.contains(&format!("AUTH={mechanism}"))
    }

    /// How the server lets people sign in, for people.
    pub(crate) fn ways_in(&self) -> String {
        let ways: Vec<&str> = self
            .0
            .iter()
            .filter(|name| name.starts_with("AUTH=") || *name == "LOGINDISABLED")
            .map(String::as_str)
            .collect();
        if ways.is_empty() {
            "it names none".to_owned()
        } else {
            ways.join(" ").chars().take(100).collect()
        }
    }

    /// Whether expunging can be limited to messages of one's own choice.
    pub(crate) fn uid_plus(&self) -> bool {
        self.has("UIDPLUS") || self.has("IMAP4REV2")
    }

    /// Whether messages can be moved in one step.
    pub(crate) fn moves(&self) -> bool {
        self.has("MOVE") || self.has("IMAP4REV2")
    }

    /// Whether the server tells which messages vanished.
    pub(crate) fn vanished(&self) -> bool {
        self.has("QRESYNC") && self.has("ENABLE")
    }

    /// Longest literal that may be sent without waiting; none where it is always to be waited for.
    pub(crate) fn literal_at_once(&self) -> usize {
        if self.has("LITERAL+") {
            usize::MAX
        } else if self.has("LITERAL-") || self.has("IMAP4REV2") {
            4096
        } else {
            0
        }
    }
}
