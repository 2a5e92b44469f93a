//! Headers: one outcome for each input, and right ones.

use postroom_core::email::{Importance, MessageId};
use postroom_core::{NamedAddress, Timestamp};
use postroom_provider::{DeleteMode, ErrorKind, MailHeaders, WellKnownFolder};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::provider::case::Case;
use crate::provider::sample::{AUTHOR, Sample};

/// A batch above this is not tried: it would say more about the machine than about the provider.
const BATCH_TRIED_MAX: usize = 10_000;

fn message_id(headers: &MailHeaders) -> Option<&str> {
    headers.headers.message_id.as_ref().map(MessageId::as_str)
}

pub(in crate::provider) async fn outcomes_come_in_order(case: &Case<'_>) -> CheckResult {
    let wanted = case.deliver_many(3).await?;
    let inbox = case.inbox().await?;
    let listed = case.listed(&inbox).await?;
    let most = case.capabilities().mail_batch_max;
    // Neither the order of arrival nor that of ids.
    let order: Vec<&String> = [2, 0, 1].iter().filter_map(|&at| wanted.get(at)).collect();
    for order in order.chunks(most.max(1)) {
        let ids: Vec<_> = order
            .iter()
            .filter_map(|id| listed.get(*id).cloned())
            .collect();
        let outcomes = case.mail()?.headers(&case.ctx, &inbox, &ids).await?;
        ensure_eq!(outcomes.len(), order.len(), "number of outcomes");
        for (outcome, wanted) in outcomes.into_iter().zip(order) {
            let headers = outcome?;
            ensure_eq!(message_id(&headers), Some(wanted.as_str()), "Message-ID");
        }
    }
    Ok(())
}

pub(in crate::provider) async fn each_input_has_an_outcome(case: &Case<'_>) -> CheckResult {
    let (inbox, ids) = case.filled_inbox(1).await?;
    if case.capabilities().mail_batch_max < 3 {
        return Err(Stop::skipped("a batch holds fewer than three"));
    }
    let batch: Vec<_> = ids.iter().cycle().take(3).cloned().collect();
    let outcomes = case.mail()?.headers(&case.ctx, &inbox, &batch).await?;
    ensure_eq!(
        outcomes.len(),
        3,
        "number of outcomes for one message asked for thrice"
    );
    for outcome in outcomes {
        outcome?;
    }
    Ok(())
}

pub(in crate::provider) async fn a_missing_message_costs_only_itself(
    case: &Case<'_>,
) -> CheckResult {
    let (inbox, mut ids) = case.filled_inbox(2).await?;
    let gone = case.vanished(&inbox).await?;
    ids.insert(1, gone);
    if case.capabilities().mail_batch_max < ids.len() {
        return Err(Stop::skipped("a batch holds fewer than three"));
    }
    let outcomes = case.mail()?.headers(&case.ctx, &inbox, &ids).await?;
    let kinds: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.as_ref().err().map(|error| error.kind()))
        .collect();
    let expected = [None, Some(ErrorKind::NotFound), None];
    ensure_eq!(kinds, expected, "failures by input, the second missing");
    Ok(())
}

pub(in crate::provider) async fn an_empty_batch_is_nothing(case: &Case<'_>) -> CheckResult {
    let (mail, inbox, ctx) = (case.mail()?, case.inbox().await?, &case.ctx);
    ensure!(
        mail.headers(ctx, &inbox, &[]).await?.is_empty(),
        "headers of nothing are something"
    );
    ensure!(
        mail.fetch(ctx, &inbox, &[]).await?.is_empty(),
        "fetching nothing brings something"
    );
    let deleted = mail
        .delete(ctx, &inbox, &[], DeleteMode::Permanently)
        .await?;
    ensure!(deleted.is_empty(), "deleting nothing deletes something");
    if case.capabilities().mail_move {
        let moved = mail.move_to(ctx, &inbox, &[], &inbox).await?;
        ensure!(moved.is_empty(), "moving nothing moves something");
    }
    Ok(())
}

pub(in crate::provider) async fn an_oversized_batch_is_refused(case: &Case<'_>) -> CheckResult {
    let most = case.capabilities().mail_batch_max;
    if most > BATCH_TRIED_MAX {
        return Err(Stop::skipped(format!("a batch may hold {most}")));
    }
    let (inbox, ids) = case.filled_inbox(1).await?;
    let batch: Vec<_> = ids.iter().cycle().take(most + 1).cloned().collect();
    let mail = case.mail()?;
    let headers = mail.headers(&case.ctx, &inbox, &batch).await;
    let kind = headers.err().map(|error| error.kind());
    ensure_eq!(kind, Some(ErrorKind::InvalidInput), "answer of headers");
    let fetched = mail.fetch(&case.ctx, &inbox, &batch).await;
    let kind = fetched.err().map(|error| error.kind());
    ensure_eq!(kind, Some(ErrorKind::InvalidInput), "answer of fetch");
    Ok(())
}

async fn only_headers(case: &Case<'_>) -> CheckResult<MailHeaders> {
    let inbox = case.inbox().await?;
    let told = case.changes(&inbox, None, 10).await?;
    let ids: Vec<_> = told.present().into_keys().collect();
    ensure_eq!(ids.len(), 1, "number of messages");
    let outcomes = case.mail()?.headers(&case.ctx, &inbox, &ids).await?;
    match outcomes.into_iter().next() {
        Some(outcome) => Ok(outcome?),
        None => Err(Stop::failed("headers have no outcome")),
    }
}

fn addresses(list: &[NamedAddress]) -> Vec<String> {
    list.iter()
        .map(|named| named.address.normalized())
        .collect()
}

pub(in crate::provider) async fn rich_headers_are_right(case: &Case<'_>) -> CheckResult {
    let id = case.message_id();
    let to = format!(
        "To: \"Desk, first\" <{}>, Team: ann@conformance.example, ben@conformance.example;",
        case.account.address()
    );
    let lines = [
        "From: =?UTF-8?Q?V=C3=A9ra_Example?= <vera.example@conformance.example>",
        "Sender: secretary@conformance.example",
        "Reply-To: answers@conformance.example",
        &to,
        "Cc: =?UTF-8?B?SsO8cmdlbg==?= <juergen@conformance.example>,",
        "\tcarl@conformance.example",
        "Subject: =?UTF-8?B?5Lya6K2w?= about =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=",
        "Date: Sun, 22 Nov 2026 09:15:00 +0100",
        "In-Reply-To: <parent@conformance.example>",
        "References: <root@conformance.example>",
        " <parent@conformance.example>",
        "Thread-Index: AQHZAQIDBAUGBwgJCgsMDQ4PEBESExQ=",
        "Importance: high",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
    ];
    let sample = Sample::of(&id, &lines, b"Hello.\r\n");
    case.account.deliver(&sample.raw).await?;
    let mail = only_headers(case).await?;
    let seen = &mail.headers;
    ensure_eq!(message_id(&mail), Some(id.as_str()), "Message-ID");
    ensure_eq!(seen.subject, "会議 about Grüße", "subject");
    let from = seen.from.as_ref();
    ensure_eq!(
        from.map(|from| from.address.as_str()),
        Some(AUTHOR),
        "author"
    );
    ensure_eq!(
        from.and_then(|from| from.name.as_deref()),
        Some("Véra Example"),
        "name of the author"
    );
    let sender = seen.sender.as_ref().map(|sender| sender.address.as_str());
    ensure_eq!(sender, Some("secretary@conformance.example"), "sender");
    ensure_eq!(
        addresses(&seen.reply_to),
        ["answers@conformance.example"],
        "Reply-To"
    );
    let to = [
        case.account.address().normalized(),
        "ann@conformance.example".to_owned(),
        "ben@conformance.example".to_owned(),
    ];
    ensure_eq!(addresses(&seen.to), to, "To");
    let cc = ["juergen@conformance.example", "carl@conformance.example"];
    ensure_eq!(addresses(&seen.cc), cc, "Cc");
    let ids = |list: &[MessageId]| -> Vec<String> {
        list.iter().map(|id| id.as_str().to_owned()).collect()
    };
    let (root, parent) = ("root@conformance.example", "parent@conformance.example");
    ensure_eq!(ids(&seen.in_reply_to), [parent], "In-Reply-To");
    ensure_eq!(ids(&seen.references), [root, parent], "References");
    let index = seen
        .conversation_index
        .as_ref()
        .map(|index| index.as_bytes().len());
    ensure_eq!(index, Some(23), "length of the conversation index");
    let sent: Timestamp = Timestamp::from_seconds(1_795_335_300);
    ensure_eq!(seen.sent_at, Some(sent), "time of sending");
    ensure_eq!(seen.importance, Importance::High, "importance");
    let auto = seen.auto_submitted.as_deref();
    ensure_eq!(auto, Some("auto-generated"), "Auto-Submitted");
    Ok(())
}

pub(in crate::provider) async fn what_is_missing_is_not_invented(case: &Case<'_>) -> CheckResult {
    let raw = format!("From: <{AUTHOR}>\r\n\r\nHello.\r\n");
    case.account.deliver(raw.as_bytes()).await?;
    let mail = only_headers(case).await?;
    let seen = &mail.headers;
    ensure_eq!(seen.subject, "", "subject of a message without one");
    ensure!(seen.in_reply_to.is_empty(), "there is an In-Reply-To");
    ensure!(seen.references.is_empty(), "there are References");
    ensure!(seen.recipients().next().is_none(), "there are recipients");
    ensure!(seen.reply_to.is_empty(), "there is a Reply-To");
    ensure_eq!(seen.auto_submitted, None, "Auto-Submitted");
    ensure!(mail.submission_key.is_none(), "there is a submission key");
    Ok(())
}

pub(in crate::provider) async fn drafts_are_marked(case: &Case<'_>) -> CheckResult {
    case.needs("submit_staged", |offers| offers.submit_staged)?;
    let mail = case.mail()?;
    let received = case.deliver().await?;
    let submission = case.submission().await?;
    let staged = case.submitter()?.stage(&case.ctx, &submission).await?;
    let drafts = mail.find_folder(&case.ctx, WellKnownFolder::Drafts).await?;
    let outcomes = mail
        .headers(&case.ctx, &drafts, &[staged.remote_id])
        .await?;
    for outcome in outcomes {
        let headers = outcome?;
        ensure!(headers.draft, "a draft is not marked as one");
        let key = headers.submission_key;
        ensure_eq!(
            key,
            Some(submission.key.clone()),
            "submission key of the draft"
        );
    }
    let inbox = case.inbox().await?;
    let id = case.id_of(&inbox, &received.message_id).await?;
    for outcome in mail.headers(&case.ctx, &inbox, &[id]).await? {
        ensure!(!outcome?.draft, "a received message is marked as a draft");
    }
    Ok(())
}
