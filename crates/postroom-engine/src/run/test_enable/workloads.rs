//! What is tried for each workload.

use postroom_core::job::{Job, JobKind, TestStep};
use postroom_core::ledger::FolderId;
use postroom_core::outbox::OutboxState;
use postroom_core::{Code, OutboxId, Workload};
use postroom_provider::{PageLimit, WellKnownFolder};
use postroom_store::NewOutgoing;

use crate::plan::failure::{CycleFailure, CycleStop};
use crate::run::cycle::Cycle;
use crate::run::message::test_message;
use crate::run::outgoing::deliver;
use crate::run::providers::Direction;

/// Opens and lists the Inbox.
pub(super) async fn test_incoming(
    cycle: &Cycle<'_>,
    inbox: Option<&FolderId>,
    steps: &mut Vec<TestStep>,
) -> Result<(), CycleStop> {
    let workload = Some(Workload::Incoming);
    let provider = cycle
        .environment
        .provider(cycle.mailbox(), cycle.profile, Direction::Incoming)
        .await?;
    let Some(source) = provider.mail() else {
        let failure = CycleFailure::new(Code::MethodNotSupported, "the provider cannot read mail");
        return Err(failure.into());
    };
    let inbox = match inbox {
        Some(inbox) => inbox.clone(),
        None => {
            let ctx = cycle.op().await?;
            source.find_folder(&ctx, WellKnownFolder::Inbox).await?
        }
    };
    let providers = &cycle.environment.providers;
    providers.remember_inbox(cycle.lease.mailbox, &inbox);
    steps.push(TestStep::passed(
        workload,
        "open inbox",
        "the Inbox was found",
    ));
    let ctx = cycle.op().await?;
    let page = source
        .changes(&ctx, &inbox, None, PageLimit::new(1))
        .await?;
    let evidence = if page.changes.is_empty() {
        "the Inbox can be listed; it is empty"
    } else {
        "the Inbox can be listed"
    };
    steps.push(TestStep::passed(workload, "read", evidence));
    Ok(())
}

/// Sends the test message to the mailbox itself.
pub(super) async fn test_outgoing(
    cycle: &mut Cycle<'_>,
    job: &Job,
    steps: &mut Vec<TestStep>,
) -> Result<(), CycleStop> {
    let workload = Some(Workload::Outgoing);
    let environment = cycle.environment;
    let provider = environment
        .provider(cycle.mailbox(), cycle.profile, Direction::Outgoing)
        .await?;
    if provider.submitter().is_none() {
        let failure = CycleFailure::new(Code::MethodNotSupported, "the provider cannot send mail");
        return Err(failure.into());
    }
    if job.kind == JobKind::TestOnly {
        let evidence = "the provider can send; nothing was sent, as asked for";
        steps.push(TestStep::passed(workload, "send", evidence));
        return Ok(());
    }
    let id = OutboxId::from_uuid(*job.id.as_uuid());
    let entry = match environment.store.outbox_entry(id).await? {
        Some(entry) => entry,
        None => {
            let address =
                cycle.mailbox().address.clone().ok_or_else(|| {
                    CycleFailure::new(Code::NoAddress, "the mailbox has no address")
                })?;
            let composed = test_message(
                id,
                cycle.mailbox(),
                &address,
                &cycle.loaded.organization.name,
                environment.now(),
            )?;
            let new = NewOutgoing::new(composed.entry.clone(), composed.raw, None);
            environment.store.enqueue_outgoing(&[new], None).await?;
            composed.entry
        }
    };
    let delivered = deliver(cycle, provider.as_ref(), entry).await;
    if !matches!(delivered, Ok(OutboxState::Sent { .. })) {
        give_up(cycle, id).await?;
    }
    match delivered? {
        OutboxState::Sent { .. } => {
            let evidence = "the test message was sent to the mailbox itself";
            steps.push(TestStep::passed(workload, "send", evidence));
            Ok(())
        }
        OutboxState::Failed { code } | OutboxState::Unknown { code, .. } => {
            Err(CycleFailure::new(code, code.spec().summary).into())
        }
        OutboxState::PendingSend { last, .. } => {
            let code = last.unwrap_or(Code::ServerUnavailable);
            Err(CycleFailure::new(code, "the test message waits to be sent").into())
        }
        OutboxState::Sending { .. } => {
            let code = Code::OutcomeUnknown;
            Err(CycleFailure::new(code, "the server still has the test message").into())
        }
    }
}

/// A test message that waits is not sent later: the next test sends its own.
async fn give_up(cycle: &Cycle<'_>, id: OutboxId) -> Result<(), CycleStop> {
    let store = &cycle.environment.store;
    let Some(entry) = store.outbox_entry(id).await? else {
        return Ok(());
    };
    let OutboxState::PendingSend { last, .. } = entry.state else {
        return Ok(());
    };
    let code = last.unwrap_or(Code::ServerUnavailable);
    let failed = OutboxState::Failed { code };
    let lease = Some(&cycle.lease);
    store
        .advance_outgoing(lease, id, &entry.state, &failed, None)
        .await?;
    Ok(())
}
