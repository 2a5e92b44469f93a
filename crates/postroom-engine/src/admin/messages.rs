//! What became of messages, and decisions about them.

use postroom_core::alert::Subject;
use postroom_core::ledger::LedgerEntry;
use postroom_core::outbox::{OutboxEntry, OutboxEvent, OutboxState, SentReceipt};
use postroom_core::principal::Principal;
use postroom_core::{Code, LedgerId, OutboxId, RawMessage, Workload};
use postroom_store::{IncidentPattern, LedgerFilter, OutboxFilter, Page};

use super::Admin;
use crate::error::{EngineError, ErrorKind, Result};
use crate::plan::authorize::Right;
use crate::run::feed;

/// What a person decides about an outgoing email whose outcome is unknown, or that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the three answers of the catalogue's remedy"
)]
pub enum OutgoingDecision {
    /// It was sent: somebody saw it.
    Sent,
    /// Send it again.
    Resend,
    /// It was not sent, and is not to be.
    Failed,
}

impl Admin {
    /// Ledger rows, newest first.
    pub async fn ledger(
        &self,
        principal: &Principal,
        filter: &LedgerFilter,
        page: Page,
    ) -> Result<Vec<LedgerEntry>> {
        self.allow(
            principal,
            Right::ReadMailbox,
            "ledger.list",
            Subject::Organization,
        )
        .await?;
        Ok(self.environment.store.ledger(filter, page).await?)
    }

    /// Outgoing email, newest first.
    pub async fn outbox(
        &self,
        principal: &Principal,
        filter: &OutboxFilter,
        page: Page,
    ) -> Result<Vec<OutboxEntry>> {
        self.allow(
            principal,
            Right::ReadMailbox,
            "outbox.list",
            Subject::Organization,
        )
        .await?;
        Ok(self.environment.store.outbox(filter, page).await?)
    }

    /// Decides about an outgoing email whose outcome is unknown, or (`Resend`) that failed. The
    /// application is told at once.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where its state does not allow the decision.
    pub async fn decide_outgoing(
        &self,
        principal: &Principal,
        id: OutboxId,
        decision: OutgoingDecision,
    ) -> Result<OutboxEntry> {
        const ACTION: &str = "outbox.decide";
        let environment = &self.environment;
        let store = &environment.store;
        let mut entry = store
            .outbox_entry(id)
            .await?
            .ok_or_else(|| EngineError::not_found(ACTION, "outgoing email"))?;
        let subject = Subject::Mailbox(entry.mailbox);
        self.allow(principal, Right::WriteMailbox, ACTION, subject)
            .await?;
        let now = environment.now();
        let conflict = || {
            EngineError::new(ErrorKind::Conflict, Code::InvalidInput, ACTION)
                .with("state", entry.state.name())
                .with(
                    "what",
                    "only an email whose outcome is unknown can be decided about",
                )
        };
        let event = match (decision, &entry.state) {
            (OutgoingDecision::Sent, OutboxState::Unknown { .. }) => OutboxEvent::Confirm {
                receipt: SentReceipt::answered(),
                at: now,
            },
            (OutgoingDecision::Failed, OutboxState::Unknown { code, .. }) => {
                OutboxEvent::Reject { code: *code }
            }
            (
                OutgoingDecision::Resend,
                OutboxState::Unknown { .. } | OutboxState::Failed { .. },
            ) => OutboxEvent::Resend { now },
            _ => return Err(conflict()),
        };
        let next = entry
            .state
            .next(&event)
            .map_err(|error| conflict().with_source(error))?;
        store
            .advance_outgoing(None, id, &entry.state, &next, None)
            .await?;
        if let Some(record) = entry.record {
            let pattern = IncidentPattern::about(Subject::Record(record));
            store.close_alerts(&pattern, now).await?;
        }
        let note = format!("{} became {}", entry.state.name(), next.name());
        self.audit(principal, ACTION, subject, note).await?;
        if decision == OutgoingDecision::Resend {
            store
                .set_due(entry.mailbox, Workload::Outgoing, now)
                .await?;
            environment.wake.notify_one();
        }
        feed::report(environment).await?;
        entry.state = next;
        Ok(entry)
    }

    /// Has a message that was filtered, set aside or believed gone tried again.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it is delivered or pending.
    pub async fn replay(&self, principal: &Principal, id: LedgerId) -> Result<LedgerEntry> {
        const ACTION: &str = "ledger.replay";
        let environment = &self.environment;
        let entry = environment
            .store
            .ledger_entry(id)
            .await?
            .ok_or_else(|| EngineError::not_found(ACTION, "message"))?;
        let subject = Subject::Mailbox(entry.mailbox);
        self.allow(principal, Right::WriteMailbox, ACTION, subject)
            .await?;
        let now = environment.now();
        environment.store.replay(id, now).await?;
        let mut pattern = IncidentPattern::about(subject);
        pattern.discriminator = Some(id.to_string());
        environment.store.close_alerts(&pattern, now).await?;
        environment
            .store
            .set_due(entry.mailbox, Workload::Incoming, now)
            .await?;
        self.audit(principal, ACTION, subject, id.to_string())
            .await?;
        environment.wake.notify_one();
        environment
            .store
            .ledger_entry(id)
            .await?
            .ok_or_else(|| EngineError::not_found(ACTION, "message"))
    }

    /// The composed form of an outgoing email.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn outgoing_raw(&self, principal: &Principal, id: OutboxId) -> Result<RawMessage> {
        const ACTION: &str = "outbox.raw";
        self.allow(principal, Right::ReadMailbox, ACTION, Subject::Organization)
            .await?;
        Ok(self.environment.store.outgoing_raw(id).await?)
    }

    /// The raw form of a message that was set aside, where it is kept.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn quarantined_raw(
        &self,
        principal: &Principal,
        id: LedgerId,
    ) -> Result<Option<RawMessage>> {
        const ACTION: &str = "ledger.raw";
        self.allow(principal, Right::ReadMailbox, ACTION, Subject::Organization)
            .await?;
        Ok(self.environment.store.quarantined_raw(id).await?)
    }
}
