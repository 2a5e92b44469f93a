//! Whole messages: right content, bounded memory.

use std::io::Read as _;

use postroom_core::email::Defect;
use postroom_provider::{ErrorKind, FetchedMessage, FolderId, OpContext, RemoteId, Spool};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::provider::case::Case;
use crate::provider::fixture::{Fault, Fidelity};
use crate::provider::sample::{BODY_WORD, Sample};

const KIB: u64 = 1024;

async fn fetched(
    case: &Case<'_>,
    ctx: &OpContext,
    folder: &FolderId,
    id: &RemoteId,
) -> CheckResult<FetchedMessage> {
    let ids = [id.clone()];
    let outcomes = case.mail()?.fetch(ctx, folder, &ids).await?;
    ensure_eq!(outcomes.len(), 1, "number of outcomes");
    match outcomes.into_iter().next() {
        Some(outcome) => Ok(outcome?),
        None => Err(Stop::failed("fetching has no outcome")),
    }
}

fn bytes(message: &FetchedMessage) -> CheckResult<Vec<u8>> {
    let mut bytes = Vec::new();
    message.raw.open()?.read_to_end(&mut bytes)?;
    let length = u64::try_from(bytes.len()).ok();
    ensure_eq!(length, Some(message.raw.len()), "length of the message");
    Ok(bytes)
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes
        .windows(part.len().max(1))
        .any(|window| window == part)
}

/// Whether what was fetched is what was delivered, as far as the fixture promises.
fn same(case: &Case<'_>, seen: &[u8], sample: &Sample, body: &str) -> CheckResult {
    match case.account.fidelity() {
        Fidelity::Bytes => ensure!(
            seen.ends_with(&sample.raw),
            "the bytes of a message of {} bytes are not those that were delivered",
            sample.raw.len()
        ),
        Fidelity::Meaning => {
            ensure!(
                holds(seen, sample.message_id.as_bytes()),
                "the Message-ID is lost"
            );
            ensure!(says(seen, body)?, "the text of the body is lost");
        }
    }
    Ok(())
}

fn says(raw: &[u8], body: &str) -> CheckResult<bool> {
    let raw = postroom_core::RawMessage::from_bytes(raw.to_vec());
    let email = postroom_mime::parse(&raw, &postroom_mime::ParseLimits::default())
        .map_err(|error| Stop::failed(format!("what was fetched is no message: {error}")))?;
    Ok(email.text_body.is_some_and(|text| text.contains(body)))
}

pub(in crate::provider) async fn the_content_is_kept(case: &Case<'_>) -> CheckResult {
    let sample = case.deliver().await?;
    let inbox = case.inbox().await?;
    let id = case.id_of(&inbox, &sample.message_id).await?;
    let message = fetched(case, &case.ctx, &inbox, &id).await?;
    same(case, &bytes(&message)?, &sample, BODY_WORD)?;
    // The handle can be read more than once.
    same(case, &bytes(&message)?, &sample, BODY_WORD)
}

pub(in crate::provider) async fn odd_bytes_are_kept(case: &Case<'_>) -> CheckResult {
    let id = case.message_id();
    let body = "Grüße, ]]> & <b> =20 .\r\n.\r\n..\r\nFrom here\r\n".as_bytes();
    let sample = Sample::with_body(&id, &case.account.address(), body);
    case.account.deliver(&sample.raw).await?;
    let inbox = case.inbox().await?;
    let id = case.id_of(&inbox, &sample.message_id).await?;
    let message = fetched(case, &case.ctx, &inbox, &id).await?;
    same(case, &bytes(&message)?, &sample, "Grüße, ]]> & <b>")
}

pub(in crate::provider) async fn outcomes_come_in_order(case: &Case<'_>) -> CheckResult {
    let wanted = case.deliver_many(3).await?;
    let inbox = case.inbox().await?;
    let listed = case.listed(&inbox).await?;
    let most = case.capabilities().mail_batch_max;
    let order: Vec<&String> = [2, 0, 1].iter().filter_map(|&at| wanted.get(at)).collect();
    for order in order.chunks(most.max(1)) {
        let ids: Vec<_> = order
            .iter()
            .filter_map(|id| listed.get(*id).cloned())
            .collect();
        let outcomes = case.mail()?.fetch(&case.ctx, &inbox, &ids).await?;
        ensure_eq!(outcomes.len(), order.len(), "number of outcomes");
        for (outcome, wanted) in outcomes.into_iter().zip(order) {
            let seen = bytes(&outcome?)?;
            ensure!(
                holds(&seen, wanted.as_bytes()),
                "an outcome belongs to another input"
            );
        }
    }
    Ok(())
}

async fn kinds(
    case: &Case<'_>,
    inbox: &FolderId,
    ids: &[RemoteId],
) -> CheckResult<Vec<Option<ErrorKind>>> {
    if case.capabilities().mail_batch_max < ids.len() {
        return Err(Stop::skipped(format!(
            "a batch holds fewer than {}",
            ids.len()
        )));
    }
    let outcomes = case.mail()?.fetch(&case.ctx, inbox, ids).await?;
    Ok(outcomes
        .iter()
        .map(|outcome| outcome.as_ref().err().map(|error| error.kind()))
        .collect())
}

pub(in crate::provider) async fn a_missing_message_costs_only_itself(
    case: &Case<'_>,
) -> CheckResult {
    let (inbox, mut ids) = case.filled_inbox(2).await?;
    let gone = case.vanished(&inbox).await?;
    ids.insert(1, gone);
    let expected = [None, Some(ErrorKind::NotFound), None];
    let seen = kinds(case, &inbox, &ids).await?;
    ensure_eq!(seen, expected, "failures by input, the second missing");
    Ok(())
}

pub(in crate::provider) async fn a_corrupt_message_costs_only_itself(
    case: &Case<'_>,
) -> CheckResult {
    let (inbox, ids) = case.filled_inbox(3).await?;
    if case.capabilities().mail_batch_max < ids.len() {
        return Err(Stop::skipped("a batch holds fewer than three"));
    }
    let bad = ids
        .get(1)
        .cloned()
        .ok_or_else(|| Stop::failed("no second"))?;
    case.account.arm(Fault::Corrupt(inbox.clone(), bad)).await?;
    let outcomes = case.mail()?.fetch(&case.ctx, &inbox, &ids).await?;
    case.account.disarm().await?;
    ensure_eq!(outcomes.len(), 3, "number of outcomes");
    for (number, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(message) if number == 1 => ensure!(
                message.defects.contains(&Defect::Rebuilt),
                "a corrupt message is given as if it were sound"
            ),
            Ok(_) => {}
            Err(error) => {
                ensure_eq!(number, 1, "the message that failed");
                ensure!(
                    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Protocol),
                    "a corrupt message is answered by {:?}",
                    error.kind()
                );
            }
        }
    }
    Ok(())
}

pub(in crate::provider) async fn large_messages_stay_out_of_memory(case: &Case<'_>) -> CheckResult {
    let (one, all) = (64 * KIB, 128 * KIB);
    let spool = Spool::with_bounds(std::env::temp_dir(), one, all, 64 * KIB * KIB)?;
    let mut ctx = case.ctx.clone();
    ctx.spool = spool.clone();
    let sample = Sample::large(&case.message_id(), &case.account.address(), 3_000_000);
    case.account.deliver(&sample.raw).await?;
    let inbox = case.inbox().await?;
    let id = case.id_of(&inbox, &sample.message_id).await?;
    let message = fetched(case, &ctx, &inbox, &id).await?;
    ensure!(
        message.raw.in_memory().is_none(),
        "a message above the spool's bound is held in memory"
    );
    ensure!(
        spool.bytes_in_memory() <= all,
        "the spool's budget is exceeded"
    );
    same(case, &bytes(&message)?, &sample, "All work and no play")?;
    drop(message);
    ensure_eq!(
        spool.bytes_in_memory(),
        0,
        "bytes held after the message is dropped"
    );
    Ok(())
}

pub(in crate::provider) async fn a_message_above_the_limit_is_too_large(
    case: &Case<'_>,
) -> CheckResult {
    let most = 100 * KIB;
    let mut ctx = case.ctx.clone();
    ctx.spool = Spool::with_bounds(std::env::temp_dir(), 64 * KIB, 128 * KIB, most)?;
    let large = Sample::large(&case.message_id(), &case.account.address(), 300_000);
    case.account.deliver(&large.raw).await?;
    let small = case.deliver().await?;
    let inbox = case.inbox().await?;
    let listed = case.listed(&inbox).await?;
    let ids: Vec<_> = [&large.message_id, &small.message_id]
        .into_iter()
        .filter_map(|id| listed.get(id).cloned())
        .collect();
    ensure_eq!(ids.len(), 2, "number of delivered messages listed");
    let mut kinds = Vec::new();
    for batch in ids.chunks(case.capabilities().mail_batch_max.max(1)) {
        for outcome in case.mail()?.fetch(&ctx, &inbox, batch).await? {
            kinds.push(outcome.err().map(|error| error.kind()));
        }
    }
    let expected = [Some(ErrorKind::TooLarge), None];
    ensure_eq!(
        kinds,
        expected,
        "failures, the first message above the limit"
    );
    Ok(())
}

pub(in crate::provider) async fn reading_leaves_no_mark(case: &Case<'_>) -> CheckResult {
    let sample = case.deliver().await?;
    let inbox = case.inbox().await?;
    let before = case.account.messages(&inbox).await?;
    if before.iter().any(|message| message.read.is_none()) {
        return Err(Stop::skipped(
            "the mail system has no mark for what was read",
        ));
    }
    let id = case.id_of(&inbox, &sample.message_id).await?;
    fetched(case, &case.ctx, &inbox, &id).await?;
    let after = case.account.messages(&inbox).await?;
    ensure_eq!(after, before, "the folder after its message was fetched");
    Ok(())
}
