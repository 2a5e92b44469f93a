//! The mailbox that is open.

use std::ops::RangeInclusive;

use postroom_provider::OpContext;

use super::{Session, SessionError};
use crate::proto::command::Command;
use crate::proto::response::{Response, Status};

/// What is wanted of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    /// Reading; nothing can be changed, not even by mistake.
    Read,
    /// Moving and deleting, too.
    Write,
}

/// A mailbox that is open, and what the server has said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) access: Access,
    pub(crate) validity: u32,
    /// The UID that the next message will have, where the server says so.
    pub(crate) next: Option<u32>,
    /// How many messages there were when it was opened.
    pub(crate) count: u32,
    /// The highest mod-sequence when it was opened; 0 where there is none.
    pub(crate) mod_sequence: u64,
    /// Whether it has changed since.
    pub(crate) stale: bool,
    /// What vanished since the state that was named when it was opened.
    pub(crate) vanished: Vec<RangeInclusive<u32>>,
}

impl Opened {
    /// Hears what the server says meanwhile.
    pub(super) const fn hear(&mut self, response: &Response) {
        if matches!(
            response,
            Response::Exists(_) | Response::Expunge(_) | Response::Vanished(_)
        ) {
            self.stale = true;
        }
    }
}

/// From which state on the server is to tell what vanished.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since {
    pub(crate) validity: u32,
    pub(crate) mod_sequence: u64,
}

impl Session {
    /// Opens a mailbox anew, as it is now. `None` where the server has none of that name, or refuses it: with
    /// what words.
    pub(crate) async fn select(
        &mut self,
        ctx: &OpContext,
        name: &str,
        access: Access,
        since: Option<Since>,
    ) -> Result<&Opened, SessionError> {
        self.opened = None;
        let verb = match access {
            Access::Read => "EXAMINE",
            Access::Write => "SELECT",
        };
        let mut command = Command::new(verb).string(name);
        let enable = self.capabilities.vanished() && !self.tells_vanished;
        if self.capabilities.vanished() {
            command = match since {
                Some(since) => command.word(&format!(
                    "(QRESYNC ({} {}))",
                    since.validity, since.mod_sequence
                )),
                None => command.word("(CONDSTORE)"),
            };
        }
        // Both in one go: the server does one after the other.
        let enabling = if enable {
            Some(self.send(ctx, &Command::new("ENABLE QRESYNC")).await?)
        } else {
            None
        };
        let sent = self.send(ctx, &command).await?;
        if let Some(enabling) = enabling {
            let answer = self.finish(ctx, enabling, &mut super::ignore).await?;
            self.tells_vanished = answer.status == Status::Ok;
        }
        let mut found = Found::default();
        let word = self
            .finish(ctx, sent, &mut |response| found.hear(response))
            .await?
            .ok()?;
        // "READ-ONLY" after SELECT is found out by whoever tries to change something.
        let _ = word;
        let Some(validity) = found.validity else {
            return Err(SessionError::Odd("the mailbox has no UIDVALIDITY"));
        };
        Ok(self.opened.insert(Opened {
            name: name.to_owned(),
            access,
            validity,
            next: found.next,
            count: found.count,
            mod_sequence: found.mod_sequence,
            stale: false,
            vanished: found.vanished,
        }))
    }
}

#[derive(Default)]
struct Found {
    validity: Option<u32>,
    next: Option<u32>,
    count: u32,
    mod_sequence: u64,
    vanished: Vec<RangeInclusive<u32>>,
}

impl Found {
    fn hear(&mut self, response: Response) {
        match response {
            Response::Exists(count) => self.count = count,
            Response::Vanished(uids) => self.vanished.extend(uids),
            Response::Untagged(Status::Ok, word) => {
                let number = |name| word.argument(name)?.parse::<u32>().ok();
                self.validity = number("UIDVALIDITY").filter(|v| *v > 0).or(self.validity);
                self.next = number("UIDNEXT").filter(|next| *next > 0).or(self.next);
                let highest = word.argument("HIGHESTMODSEQ").and_then(|n| n.parse().ok());
                self.mod_sequence = highest.unwrap_or(self.mod_sequence);
            }
            _ => {}
        }
    }
}
