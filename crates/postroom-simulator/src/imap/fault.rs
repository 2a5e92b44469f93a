//! What a test can make go wrong.

use std::time::Duration;

use crate::model::ItemId;

/// One way in which IMAP servers, or what lies before them, are known to fail or to be odd.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImapFault {
    /// Nothing is said: no greeting, no answer, and the connection stays open.
    Silent,
    /// Another first line than a greeting.
    Greets(String),
    /// The connection breaks before the command has any effect; at the greeting, before it.
    CloseBefore,
    /// The connection breaks after the effect and before the answer.
    LoseAnswer,
    /// The connection breaks after the answer.
    CloseAfter,
    /// The answer takes so long.
    Slow(Duration),
    /// The command is refused with these words, response code included: `[INUSE] repair is running`.
    Refuse(String),
    /// The server says goodbye with these words, and goes.
    Bye(String),
    /// One message cannot be read: a FETCH that names it ends in NO.
    Damaged(ItemId),
    /// One message has no content: NIL.
    Empty(ItemId),
    /// One message is deleted by somebody else while messages are fetched, before its turn.
    ExpungedWhileFetching(ItemId),
    /// Sizes of 4 GB are told.
    WrongSizes,
    /// One message is announced with 2 GB.
    HugeLiteral(ItemId),
    /// An answer begins with a line of a megabyte.
    LongLine,
    /// An answer begins with lines that nobody can make sense of, zero bytes among them.
    Garbage,
    /// Clear text follows the agreement to begin TLS, as an attacker would put it there.
    InjectAfterStartTls,
    /// An answer ends in the middle.
    Cut,
}

/// A fault and when it strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImapFaultRule {
    /// What goes wrong.
    pub fault: ImapFault,
    command: Option<String>,
    times: Option<u32>,
}

/// The name of the greeting, where faults are meant for it.
pub(super) const GREETING: &str = "GREETING";

impl ImapFaultRule {
    /// A fault that strikes every time until it is taken away.
    #[must_use]
    pub const fn new(fault: ImapFault) -> Self {
        Self {
            fault,
            command: None,
            times: None,
        }
    }

    /// Only for one command, such as `UID FETCH`, or for the `GREETING`.
    #[must_use]
    pub fn on(mut self, command: &str) -> Self {
        self.command = Some(command.to_ascii_uppercase());
        self
    }

    /// Only so many times.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Whether it strikes now; counts.
    fn strikes(&mut self, command: &str) -> bool {
        let meant = match &self.command {
            Some(wanted) => wanted == command,
            // What is said about commands leaves the greeting alone.
            None => match self.fault {
                ImapFault::Silent => true,
                ImapFault::Greets(_) => command == GREETING,
                ImapFault::InjectAfterStartTls => command == "STARTTLS",
                _ => command != GREETING,
            },
        };
        if !meant || self.times == Some(0) {
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }
}

/// The faults that strike a command.
pub(super) fn striking(rules: &mut Vec<ImapFaultRule>, command: &str) -> Vec<ImapFault> {
    let struck = rules
        .iter_mut()
        .filter_map(|rule| rule.strikes(command).then(|| rule.fault.clone()))
        .collect();
    rules.retain(|rule| rule.times != Some(0));
    struck
}
