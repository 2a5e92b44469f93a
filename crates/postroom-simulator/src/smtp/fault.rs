//! What a test can make go wrong.

use std::time::Duration;

/// One way in which SMTP servers, or what lies before them, are known to fail or to be odd.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SmtpFault {
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
    /// The command is refused with this reply, code included.
    Refuse(String),
    /// One recipient is refused with this reply.
    RefuseRecipient(String, String),
    /// The effect happens, and the answer is this line instead of a reply.
    Garbles(String),
    /// EHLO tells this size.
    TellsSize(u64),
    /// The answer has a line of a megabyte.
    LongLine,
    /// Clear text follows the agreement to begin TLS, as an attacker would put it there.
    InjectAfterStartTls,
}

/// A fault and when it strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmtpFaultRule {
    /// What goes wrong.
    pub fault: SmtpFault,
    command: Option<String>,
    times: Option<u32>,
}

/// The name of the greeting, where faults are meant for it.
pub(super) const GREETING: &str = "GREETING";
/// The name of the message after DATA, its final dot included.
pub(super) const CONTENT: &str = "CONTENT";

impl SmtpFaultRule {
    /// A fault that strikes every time until it is taken away.
    #[must_use]
    pub const fn new(fault: SmtpFault) -> Self {
        Self {
            fault,
            command: None,
            times: None,
        }
    }

    /// Only for one command, such as `RCPT`, for the `GREETING`, or for the `CONTENT` that follows DATA.
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
    fn strikes(&mut self, command: &str, argument: &str) -> bool {
        let meant = match &self.command {
            Some(wanted) => wanted == command,
            // What is said about commands leaves the greeting alone.
            None => match &self.fault {
                SmtpFault::Silent => true,
                SmtpFault::Greets(_) => command == GREETING,
                SmtpFault::InjectAfterStartTls => command == "STARTTLS",
                SmtpFault::TellsSize(_) => command == "EHLO",
                SmtpFault::RefuseRecipient(..) => command == "RCPT",
                _ => command != GREETING,
            },
        };
        let meant = meant
            && match &self.fault {
                SmtpFault::RefuseRecipient(address, _) => argument
                    .to_lowercase()
                    .contains(&format!("<{}>", address.to_lowercase())),
                _ => true,
            };
        if !meant || self.times == Some(0) {
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }
}

/// The faults that strike a command.
pub(super) fn striking(
    rules: &mut Vec<SmtpFaultRule>,
    command: &str,
    argument: &str,
) -> Vec<SmtpFault> {
    let struck = rules
        .iter_mut()
        .filter_map(|rule| rule.strikes(command, argument).then(|| rule.fault.clone()))
        .collect();
    rules.retain(|rule| rule.times != Some(0));
    struck
}
