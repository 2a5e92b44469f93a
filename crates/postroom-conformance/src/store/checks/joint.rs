//! What a store and the application's records write together, where they can.

use postroom_core::catalogue::Code;
use postroom_core::email::{ContentKey, Email, EmailHeaders};
use postroom_core::ledger::{LedgerEvent, LedgerState};
use postroom_core::outbox::{OutboxState, SendPhase};
use postroom_core::party::PartyKind;
use postroom_core::{MailboxId, OutboxId, RawMessage, RecordId};
use postroom_store::{
    EmailWrite, ErrorKind, LedgerFilter, OutgoingReport, OutgoingStatus, Page, Settlement,
};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::store::case::{Case, NOW, address, indexed, ledger_id, outgoing, record, refused};

/// Goes on where the store has the application's scope.
fn together(case: &Case) -> CheckResult {
    let scope = case.crm()?.transaction_scope();
    if scope.is_none() || scope != case.store().transaction_scope() {
        return Err(Stop::skipped("store and records are written separately"));
    }
    Ok(())
}

/// What stands for the record of the message with that number until it is made.
fn name(n: u8) -> RecordId {
    record(u64::from(n) + 1000)
}

fn write(mailbox: MailboxId, n: u8, key: u8) -> EmailWrite {
    let mut write = EmailWrite::incoming(
        ContentKey::from_bytes([key; 32]),
        Email::new(EmailHeaders::default()),
        RawMessage::from_bytes(format!("Subject: email {n}\r\n\r\n").into_bytes()),
        NOW,
        mailbox,
    );
    write.provisional = Some(name(n));
    write
}

fn deliver(mailbox: MailboxId, n: u8, stands_for: u8, created: bool) -> Settlement {
    let record = name(stands_for);
    let event = LedgerEvent::Deliver { record, created };
    Settlement::new(ledger_id(mailbox, n), event)
}

async fn delivered(case: &Case, mailbox: MailboxId) -> CheckResult<Vec<(RecordId, bool)>> {
    let mut filter = LedgerFilter::default();
    filter.mailbox = Some(mailbox);
    let mut rows = case.store().ledger(&filter, Page::first(10)).await?;
    rows.reverse();
    Ok(rows
        .into_iter()
        .filter_map(|row| match row.state {
            LedgerState::Delivered { record, created } => Some((record, created)),
            _ => None,
        })
        .collect())
}

pub(in crate::store) async fn records_are_made_with_the_rows_that_name_them(
    case: &mut Case,
) -> CheckResult {
    together(case)?;
    let (user, lease) = case.incoming(1).await?;
    case.list(&lease, &[1, 2, 3]).await?;
    // The third is the content of the first, met again by the engine; the second has the key of the
    // first, so that it makes no record of its own.
    let mut first = deliver(user.id, 1, 1, true);
    let mut index = indexed(1, 0, &[1], &[1, 2]);
    index.record = name(1);
    first.index = Some((index, Some(ContentKey::from_bytes([7; 32]))));
    let settlements = vec![
        first,
        deliver(user.id, 2, 2, true),
        deliver(user.id, 3, 1, false),
    ];
    let writes = vec![write(user.id, 1, 7), write(user.id, 2, 7)];
    let recorded = case
        .store()
        .record_and_settle(&lease, writes, settlements)
        .await?;
    case.reopen().await?;
    let outcomes: Vec<_> = recorded
        .iter()
        .map(|recorded| (recorded.record, recorded.created))
        .collect();
    let made = outcomes.first().map(|(record, _)| *record);
    let made = made.ok_or_else(|| Stop::failed("no outcome"))?;
    ensure!(made != name(1), "a record is what only stood for it");
    ensure_eq!(outcomes, [(made, true), (made, false)], "the outcomes");
    ensure_eq!(
        delivered(case, user.id).await?,
        [(made, true), (made, false), (made, false)],
        "the rows"
    );
    ensure!(
        case.store().indexed(made).await?.is_some(),
        "the index does not hold the record"
    );
    Ok(())
}

pub(in crate::store) async fn what_cannot_be_settled_is_not_recorded(
    case: &mut Case,
) -> CheckResult {
    together(case)?;
    let (user, lease) = case.incoming(1).await?;
    case.list(&lease, &[1]).await?;
    let unknown = vec![deliver(user.id, 1, 1, true), deliver(user.id, 9, 1, true)];
    let answer = case
        .store()
        .record_and_settle(&lease, vec![write(user.id, 1, 7)], unknown)
        .await;
    refused(answer, ErrorKind::NotFound, "a row that does not exist")?;
    case.store().release_lease(&lease).await?;
    let late = vec![deliver(user.id, 1, 1, true)];
    let answer = case
        .store()
        .record_and_settle(&lease, vec![write(user.id, 1, 7)], late)
        .await;
    refused(answer, ErrorKind::LeaseLost, "a lost lease")?;
    ensure_eq!(delivered(case, user.id).await?, [], "the rows");
    let outcomes = case.crm()?.record_emails(&[write(user.id, 1, 7)]).await?;
    let created = outcomes
        .into_iter()
        .flatten()
        .all(|recorded| recorded.created);
    ensure!(created, "what was refused is on record");
    Ok(())
}

/// Whether the email still waits, as far as the application knows.
async fn waits(case: &Case, record: RecordId) -> CheckResult<bool> {
    let page = case.crm()?.outgoing(None, 10).await?;
    Ok(page.emails.iter().any(|email| email.record == record))
}

fn failed() -> (OutboxState, OutgoingStatus) {
    let code = Code::TooLarge;
    (
        OutboxState::Failed { code },
        OutgoingStatus::Failed { code },
    )
}

/// An email of the application in the outbox, an attempt with it under way.
async fn under_way(case: &Case) -> CheckResult<(OutboxId, RecordId, OutboxState)> {
    let user = case.mailbox(1).await?;
    let from = address("user1@contoso.example")?;
    let sender = case.subject().add_party(PartyKind::User, &from).await;
    let sender = sender.map_err(Stop::skipped)?;
    let to = address("ada@example.org")?;
    let written = case.subject().write_email(sender, &from, &to, "one").await;
    let record = written.map_err(Stop::skipped)?;
    let mut email = outgoing(&user, 1)?;
    email.entry.record = Some(record);
    email.index = None;
    let id = email.entry.id;
    let pending = email.entry.state.clone();
    case.store().enqueue_outgoing(&[email], None).await?;
    let sending = OutboxState::Sending {
        attempt: 1,
        phase: SendPhase::Submitting { staged: None },
    };
    case.store()
        .advance_outgoing(None, id, &pending, &sending, None)
        .await?;
    Ok((id, record, sending))
}

pub(in crate::store) async fn an_end_is_told_with_its_state(case: &mut Case) -> CheckResult {
    together(case)?;
    let (id, record, sending) = under_way(case).await?;
    let (state, status) = failed();
    let report = OutgoingReport::new(record, status);
    let elsewhere = OutboxState::pending(NOW);
    let answer = case
        .store()
        .advance_and_report(None, id, &elsewhere, &state, None, &report)
        .await;
    refused(answer, ErrorKind::Conflict, "a state that has moved on")?;
    ensure!(waits(case, record).await?, "what was refused was told");
    case.store()
        .advance_and_report(None, id, &sending, &state, None, &report)
        .await?;
    case.reopen().await?;
    let entry = case.store().outbox_entry(id).await?;
    ensure_eq!(entry.map(|entry| entry.state), Some(state), "the state");
    ensure!(!waits(case, record).await?, "the application was not told");
    let untold = case.store().outbox_unreported(10).await?;
    ensure!(untold.is_empty(), "what was told is to be told again");
    Ok(())
}

pub(in crate::store) async fn only_what_stands_is_told(case: &mut Case) -> CheckResult {
    together(case)?;
    let (id, record, sending) = under_way(case).await?;
    let (state, status) = failed();
    let early = (id, state.clone(), OutgoingReport::new(record, status));
    case.store()
        .report_and_mark(std::slice::from_ref(&early))
        .await?;
    ensure!(
        waits(case, record).await?,
        "a state was told that is not there"
    );
    let untold = case.store().outbox_unreported(10).await?;
    ensure_eq!(untold.len(), 1, "what is to be told");
    let report = OutgoingReport::new(record, OutgoingStatus::Sending);
    case.store()
        .report_and_mark(&[(id, sending, report)])
        .await?;
    case.reopen().await?;
    ensure!(!waits(case, record).await?, "the application was not told");
    let untold = case.store().outbox_unreported(10).await?;
    ensure!(untold.is_empty(), "what was told is to be told again");
    Ok(())
}
