//! What a test can make go wrong.

use std::time::Duration;

use crate::model::ItemId;

/// One way in which POP3 servers, or what lies before them, are known to fail or to be odd.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pop3Fault {
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
    /// The command is refused with these words, response code included.
    Refuse(String),
    /// One message cannot be read.
    Damaged(ItemId),
    /// LIST tells sizes of 2 GB.
    WrongSizes,
    /// All messages have one UIDL.
    SameUidl,
    /// Lines end in a bare LF.
    BareLf,
    /// Dots at the beginning of lines are not doubled.
    NotStuffed,
    /// The status line has a megabyte.
    LongLine,
    /// Clear text follows the agreement to begin TLS, as an attacker would put it there.
    InjectAfterStls,
    /// An answer of many lines ends in the middle.
    Cut,
}

/// A fault and when it strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pop3FaultRule {
    /// What goes wrong.
    pub fault: Pop3Fault,
    command: Option<String>,
    times: Option<u32>,
}

/// The name of the greeting, where faults are meant for it.
pub(super) const GREETING: &str = "GREETING";

impl Pop3FaultRule {
    /// A fault that strikes every time until it is taken away.
    #[must_use]
    pub const fn new(fault: Pop3Fault) -> Self {
        Self {
            fault,
            command: None,
            times: None,
        }
    }

    /// Only for one command, such as `RETR`, or for the `GREETING`.
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
                Pop3Fault::Silent => true,
                Pop3Fault::Greets(_) => command == GREETING,
                Pop3Fault::InjectAfterStls => command == "STLS",
                Pop3Fault::BareLf => true,
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
pub(super) fn striking(rules: &mut Vec<Pop3FaultRule>, command: &str) -> Vec<Pop3Fault> {
    let struck = rules
        .iter_mut()
        .filter_map(|rule| rule.strikes(command).then(|| rule.fault.clone()))
        .collect();
    rules.retain(|rule| rule.times != Some(0));
    struck
}
