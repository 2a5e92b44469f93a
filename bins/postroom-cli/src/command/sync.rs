//! `sync`: one round, now.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use crate::api::{AlertFilter, Code, Counts, ErrorKind, Level, Page};
use crate::app::App;
use crate::command::mailbox::ids;
use crate::failure::{Exit, Failure, Result};

/// At most so many rounds: each works on a bounded number of messages.
const ROUNDS_MAX: u32 = 10_000;

/// Do once what the engine would do.
#[derive(Args, Debug)]
pub(crate) struct Sync {
    /// Only these mailboxes are made due now, by address, name or id; without any, all of them.
    mailboxes: Vec<String>,
    /// Only what is due by its schedule, nothing before its time.
    #[arg(long, conflicts_with = "mailboxes")]
    due: bool,
}

impl Sync {
    pub(crate) async fn run(self, app: &App<'_>) -> Result {
        let (admin, principal) = (&app.admin, &app.principal);
        if !self.due {
            let mailboxes = app.chosen(&self.mailboxes, true).await?;
            for (_, outcome) in admin.sync_now(principal, &ids(&mailboxes)).await {
                outcome?;
            }
        }
        let before = admin.counts(principal, None).await?;
        let mut last = before.clone();
        let (mut jobs, mut cycles, mut failed, mut taken_over) = (0_u64, 0_u64, 0_u64, 0_u64);
        for _ in 0..ROUNDS_MAX {
            let report = match app.engine().step().await {
                Err(error) if error.kind() == ErrorKind::Locked => {
                    app.output
                        .line("an engine runs on this store: it does it within a second");
                    app.output
                        .json(&json!({ "sync": { "engine_running": true } }));
                    return Ok(());
                }
                other => other?,
            };
            jobs += report.jobs;
            cycles += report.cycles;
            failed += report.failed;
            taken_over += report.taken_over;
            // A cycle stops at its bound and goes on in the next round; one that changed nothing has
            // nothing left to do, even where its polling interval is zero.
            let now = admin.counts(principal, None).await?;
            let changed = (&now.ledger, &now.outbox) != (&last.ledger, &last.outbox);
            last = now;
            if !changed || report.failed > 0 {
                break;
            }
        }
        summary(app, &before, &last, cycles, failed);
        app.output.json(&json!({ "sync": {
            "engine_running": false,
            "jobs": jobs, "cycles": cycles, "failed": failed, "taken_over": taken_over,
            "incoming": difference(&before.ledger, &last.ledger),
            "outgoing": difference(&before.outbox, &last.outbox),
            "counts": { "incoming": last.ledger, "outgoing": last.outbox },
        }}));
        match failed {
            0 => Ok(()),
            _ if app.output.is_json() => Err(Failure::said(partly(failed, cycles))),
            _ => {
                let mut trouble = AlertFilter::default();
                trouble.level_min = Some(Level::Warning);
                let open = admin.alerts(principal, &trouble, Page::first(1)).await?;
                let code = open
                    .first()
                    .map_or(Code::Internal, |alert| alert.incident.code);
                let failure = Failure::of(partly(failed, cycles), code);
                Err(failure
                    .message(format!("{failed} of {cycles} cycles failed"))
                    .hint("postroom alert list says why; postroom status says when it goes on."))
            }
        }
    }
}

const fn partly(failed: u64, cycles: u64) -> Exit {
    if failed < cycles {
        Exit::Partly
    } else {
        Exit::MailSystem
    }
}

fn difference(
    before: &BTreeMap<String, u64>,
    after: &BTreeMap<String, u64>,
) -> BTreeMap<String, i64> {
    let count = |counts: &BTreeMap<String, u64>, name: &str| {
        i64::try_from(counts.get(name).copied().unwrap_or_default()).unwrap_or(i64::MAX)
    };
    before
        .keys()
        .chain(after.keys())
        .map(|name| {
            (
                name.clone(),
                count(after, name).saturating_sub(count(before, name)),
            )
        })
        .filter(|(_, change)| *change != 0)
        .collect()
}

fn summary(app: &App<'_>, before: &Counts, after: &Counts, cycles: u64, failed: u64) {
    let words = |counts: BTreeMap<String, i64>| {
        let words: Vec<_> = counts
            .iter()
            .map(|(name, change)| format!("{change:+} {}", name.replace('_', " ")))
            .collect();
        if words.is_empty() {
            "nothing new".to_owned()
        } else {
            words.join(", ")
        }
    };
    app.output.line(format!(
        "incoming: {}",
        words(difference(&before.ledger, &after.ledger))
    ));
    app.output.line(format!(
        "outgoing: {}",
        words(difference(&before.outbox, &after.outbox))
    ));
    if cycles == 0 {
        app.output.note("Nothing was due: no workload is enabled, or none is due yet. postroom status says why.");
    } else {
        app.output.note(format!("{cycles} cycles, {failed} failed"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_told() {
        let counts =
            |pairs: &[(&str, u64)]| pairs.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect();
        let before = counts(&[("pending", 2), ("delivered", 5), ("gone", 1)]);
        let after = counts(&[("delivered", 7), ("filtered", 1), ("gone", 1)]);
        let expected =
            [("delivered", 2), ("filtered", 1), ("pending", -2)].map(|(n, c)| (n.to_owned(), c));
        assert_eq!(difference(&before, &after), expected.into());
    }
}
