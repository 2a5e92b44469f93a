//! What is done on the server once the ledger holds the outcome.

use postroom_core::alert::{Incident, Subject};
use postroom_core::ledger::{LedgerEntry, RemoteId};
use postroom_core::mailbox::MailboxOwner;
use postroom_core::{Code, Workload, planted};
use postroom_provider::DeleteMode;
use tracing::warn;

use crate::plan::failure::CycleStop;
use crate::run::alerts::detail;
use crate::run::cycle::Cycle;

use super::Reading;

/// The folder for what could not be recorded. Source: seed 000, "Move Failed Emails to Undeliverable
/// Folder".
const UNDELIVERABLE: &str = "Undeliverable";

/// A message that was set aside.
#[derive(Debug)]
pub(super) struct Quarantined {
    pub(super) entry: LedgerEntry,
    pub(super) code: Code,
}

impl Quarantined {
    /// Tells the owner. Raised before the row is settled: a crash in between raises it again, and
    /// it is one incident.
    pub(super) async fn alert(&self, cycle: &Cycle<'_>) -> Result<(), CycleStop> {
        let code = Code::MessageQuarantined;
        let incident = Incident::new(
            code,
            Subject::Mailbox(self.entry.mailbox),
            Some(Workload::Incoming),
        )
        .about(self.entry.id.to_string());
        let mut details = detail("cause", self.code.as_str());
        details.insert("message".to_owned(), self.entry.id.to_string());
        let settings = &cycle.loaded.organization.settings.alerts;
        let level = code.spec().level;
        cycle
            .environment
            .raise_incident(incident, level, &cycle.about(), details, settings)
            .await?;
        Ok(())
    }
}

/// Moves what was set aside, deletes what is recorded, where the settings say so. Nothing here is
/// needed for a promise: what fails is logged, and the message stays where it is.
pub(super) async fn aftermath(
    cycle: &Cycle<'_>,
    reading: &Reading<'_>,
    delivered: &[LedgerEntry],
    quarantined: Vec<Quarantined>,
) -> Result<(), CycleStop> {
    if cycle.profile.move_undelivered && reading.can_move && !quarantined.is_empty() {
        move_undelivered(cycle, reading, &quarantined).await?;
    }
    let deletes = planted!(DeleteForEverybody)
        || cycle.mailbox().delete_after_processing
            && matches!(
                cycle.mailbox().owner,
                MailboxOwner::Queue(_) | MailboxOwner::Forward
            );
    let unwanted = quarantined
        .iter()
        .filter(|_| planted!(DeleteAfterQuarantine));
    let finished = delivered
        .iter()
        .chain(unwanted.map(|quarantined| &quarantined.entry));
    if deletes {
        let ids: Vec<RemoteId> = finished
            .filter(|entry| entry.folder == reading.folder)
            .map(|entry| entry.remote_id.clone())
            .collect();
        let mode = DeleteMode::ToDeletedItems;
        for ids in ids.chunks(reading.request_max) {
            let ctx = cycle.op().await?;
            let deleted = reading
                .source
                .delete(&ctx, &reading.folder, ids, mode)
                .await;
            if let Err(error) = deleted {
                warn!(code = %error.code(), %error, "recorded messages could not be deleted");
            }
        }
    }
    Ok(())
}

async fn move_undelivered(
    cycle: &Cycle<'_>,
    reading: &Reading<'_>,
    quarantined: &[Quarantined],
) -> Result<(), CycleStop> {
    let ctx = cycle.op().await?;
    let target = reading
        .source
        .ensure_folder(&ctx, None, UNDELIVERABLE)
        .await;
    let target = match target {
        Ok(target) => target,
        Err(error) => {
            warn!(code = %error.code(), %error, "the folder Undeliverable could not be made");
            return Ok(());
        }
    };
    for one in quarantined {
        let ids = std::slice::from_ref(&one.entry.remote_id);
        let ctx = cycle.op().await?;
        let moved = reading
            .source
            .move_to(&ctx, &one.entry.folder, ids, &target)
            .await
            .and_then(|mut moved| moved.pop().unwrap_or(Ok(None)));
        match moved {
            Ok(Some(id)) => {
                let store = &cycle.environment.store;
                store
                    .note_moved(&cycle.lease, one.entry.id, &target, &id)
                    .await?;
            }
            Ok(None) => {}
            Err(error) => {
                warn!(code = %error.code(), %error, "a message could not be moved to Undeliverable");
            }
        }
    }
    Ok(())
}
