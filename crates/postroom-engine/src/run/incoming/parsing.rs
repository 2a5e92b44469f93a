//! Parsing beside fetching: it is pure work for a processor, and much of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use postroom_core::Code;
use postroom_core::email::Email;
use postroom_mime::ParseLimits;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::plan::failure::{CycleFailure, CycleStop};

use super::prepare::{FailedItem, Tracked};

/// What parsing a message came to.
type Parsed = Result<(Tracked, Email), Box<FailedItem>>;

/// A group of messages.
#[derive(Debug)]
enum Group {
    Beside(JoinHandle<Vec<Parsed>>),
    Done(Vec<Parsed>),
}

/// Messages that are being parsed, off the async threads unless the engine was built otherwise.
///
/// Dropped, it leaves nothing behind: what has begun ends by itself, and nobody sees it.
#[derive(Debug)]
pub(super) struct Parsing {
    limits: ParseLimits,
    inline: bool,
    groups: Vec<Group>,
}

impl Parsing {
    pub(super) const fn new(limits: ParseLimits, inline: bool) -> Self {
        Self {
            limits,
            inline,
            groups: Vec::new(),
        }
    }

    /// Begins to parse a group of messages.
    pub(super) fn begin(&mut self, group: Vec<Tracked>) {
        let limits = self.limits;
        let parse_all = move || {
            group
                .into_iter()
                .map(|tracked| parse(tracked, &limits))
                .collect()
        };
        self.groups.push(if self.inline {
            Group::Done(parse_all())
        } else {
            Group::Beside(spawn_blocking(parse_all))
        });
    }

    /// Waits for all of them; they come in the order in which they were given.
    pub(super) async fn finish(self) -> Result<Vec<Parsed>, CycleStop> {
        let mut parsed = Vec::new();
        for group in self.groups {
            parsed.extend(match group {
                Group::Done(group) => group,
                Group::Beside(group) => group.await.map_err(|_ended| {
                    CycleFailure::new(Code::Internal, "parsing ended without an answer")
                })?,
            });
        }
        Ok(parsed)
    }
}

fn parse(mut tracked: Tracked, limits: &ParseLimits) -> Parsed {
    // Parsing does not panic as far as arbitrary bytes could show. Should it nevertheless, that is
    // one message's attempt, not the end of every cycle of the mailbox.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        postroom_mime::parse(&tracked.raw, limits)
    }))
    .map_err(|_panic| Code::Internal)
    .and_then(|outcome| outcome.map_err(|error| error.code()));
    match outcome {
        Ok(mut email) => {
            email.defects.append(&mut tracked.defects);
            email.defects.sort();
            email.defects.dedup();
            tracked.identity = tracked.identity.with_content(&email, tracked.raw.len());
            Ok((tracked, email))
        }
        Err(code) => Err(Box::new(FailedItem {
            entry: tracked.entry,
            code,
            identity: Some(tracked.identity),
            raw: Some(tracked.raw),
        })),
    }
}
