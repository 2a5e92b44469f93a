//! The application's records.

use postroom_core::email::{ContentKey, Email, EmailHeaders};
use postroom_core::party::PartyKind;
use postroom_core::{MailboxId, RawMessage, RecordId};
use postroom_store::{Crm, CrmCursor, EmailWrite, OutgoingReport, OutgoingStatus};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::store::case::{Case, NOW, address, message_id};

fn write(n: u8) -> EmailWrite {
    let mut email = Email::new(EmailHeaders::default());
    email.headers.subject = format!("email {n}");
    EmailWrite::incoming(
        ContentKey::from_bytes([n; 32]),
        email,
        RawMessage::from_bytes(format!("Subject: email {n}\r\n\r\n").into_bytes()),
        NOW,
        MailboxId::from_random([1; 16]),
    )
}

async fn record(crm: &dyn Crm, writes: &[EmailWrite]) -> CheckResult<Vec<(RecordId, bool)>> {
    let mut recorded = Vec::new();
    for outcome in crm.record_emails(writes).await? {
        let outcome = outcome?;
        recorded.push((outcome.record, outcome.created));
    }
    ensure_eq!(recorded.len(), writes.len(), "outcomes");
    Ok(recorded)
}

pub(in crate::store) async fn parties_answer_in_order(case: &mut Case) -> CheckResult {
    let crm = case.crm()?;
    let (ada, unknown) = (address("Ada@example.org")?, address("nobody@example.org")?);
    let mut expected = Vec::new();
    for kind in [PartyKind::Contact, PartyKind::Lead] {
        expected.push(
            case.subject()
                .add_party(kind, &ada)
                .await
                .map_err(Stop::skipped)?,
        );
    }
    let asked = [unknown, address("ADA@EXAMPLE.org")?];
    let found = crm.parties(&asked).await?;
    let mut seen: Vec<Vec<_>> = found
        .iter()
        .map(|parties| parties.iter().map(|party| party.id).collect())
        .collect();
    for parties in &mut seen {
        parties.sort();
    }
    expected.sort();
    ensure_eq!(seen, [vec![], expected], "the parties of each address");
    Ok(())
}

pub(in crate::store) async fn a_key_makes_one_record(case: &mut Case) -> CheckResult {
    let crm = case.crm()?;
    let recorded = record(crm.as_ref(), &[write(1), write(2), write(1)]).await?;
    let [one, two, again] = <[_; 3]>::try_from(recorded)
        .map_err(|_length| Stop::failed("three writes have not three outcomes"))?;
    ensure!(one.1 && two.1, "a new record does not say so");
    ensure_eq!(
        again,
        (one.0, false),
        "the second write of a key in a batch"
    );
    ensure!(one.0 != two.0, "two keys made one record");
    let later = record(crm.as_ref(), &[write(2), write(3)]).await?;
    ensure_eq!(
        later.first(),
        Some(&(two.0, false)),
        "the second write of a key, later"
    );
    Ok(())
}

pub(in crate::store) async fn a_key_makes_one_record_for_writers_at_once(
    case: &mut Case,
) -> CheckResult {
    let crm = case.crm()?;
    let writers = (0..8).map(|_| {
        let crm = std::sync::Arc::clone(&crm);
        async move { record(crm.as_ref(), &[write(1)]).await }
    });
    let mut recorded = Vec::new();
    for outcome in futures_util::future::join_all(writers).await {
        recorded.extend(outcome?);
    }
    let created = recorded.iter().filter(|(_, created)| *created).count();
    ensure_eq!(created, 1, "records made");
    let first = recorded.first().map(|(record, _)| *record);
    ensure!(
        recorded.iter().all(|(record, _)| Some(*record) == first),
        "writers of one key got different records"
    );
    Ok(())
}

pub(in crate::store) async fn a_key_survives_reopening(case: &mut Case) -> CheckResult {
    let before = record(case.crm()?.as_ref(), &[write(1)]).await?;
    case.reopen().await?;
    let after = record(case.crm()?.as_ref(), &[write(1)]).await?;
    ensure_eq!(
        after
            .iter()
            .map(|(record, created)| (*record, *created))
            .collect::<Vec<_>>(),
        before
            .iter()
            .map(|(record, _)| (*record, false))
            .collect::<Vec<_>>(),
        "the same key after a restart"
    );
    Ok(())
}

async fn written(case: &Case, subjects: &[&str]) -> CheckResult<Vec<RecordId>> {
    let from = address("user@contoso.example")?;
    let sender = case
        .subject()
        .add_party(PartyKind::User, &from)
        .await
        .map_err(Stop::skipped)?;
    let mut records = Vec::new();
    for subject in subjects {
        let to = address("ada@example.org")?;
        let record = case
            .subject()
            .write_email(sender, &from, &to, subject)
            .await;
        records.push(record.map_err(Stop::skipped)?);
    }
    Ok(records)
}

pub(in crate::store) async fn the_feed_is_in_order_and_skips_nothing(
    case: &mut Case,
) -> CheckResult {
    let records = written(case, &["one", "two", "three"]).await?;
    let mut cursor: Option<CrmCursor> = None;
    let mut seen = Vec::new();
    for _ in 0..6 {
        let page = case.crm()?.outgoing(cursor.as_ref(), 1).await?;
        ensure!(
            page.emails.len() <= 1,
            "a page is longer than was asked for"
        );
        for email in &page.emails {
            ensure_eq!(email.to.len(), 1, "recipients");
            if !seen.contains(&email.record) {
                seen.push(email.record);
            }
        }
        cursor = Some(page.cursor);
        case.reopen().await?;
    }
    ensure_eq!(seen, records, "the emails, oldest first");
    let fourth = written(case, &["four"]).await?;
    let page = case.crm()?.outgoing(cursor.as_ref(), 9).await?;
    ensure!(
        page.emails
            .iter()
            .any(|email| fourth.contains(&email.record)),
        "an email that was written after the last page is not in the feed"
    );
    Ok(())
}

pub(in crate::store) async fn reports_may_be_repeated(case: &mut Case) -> CheckResult {
    let records = written(case, &["one"]).await?;
    let record = *records.first().ok_or_else(|| Stop::failed("no record"))?;
    let reports = [
        OutgoingReport::new(record, OutgoingStatus::Sending),
        OutgoingReport::new(
            record,
            OutgoingStatus::Sent {
                at: NOW,
                message_id: message_id("one@postroom.example")?,
                refused: Vec::new(),
                deliveries: Vec::new(),
            },
        ),
    ];
    let crm = case.crm()?;
    crm.report_outgoing(&reports).await?;
    crm.report_outgoing(&reports).await?;
    Ok(())
}
