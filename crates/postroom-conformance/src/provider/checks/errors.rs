//! Errors: kinds, retry, hints, cancellation, deadlines, privacy.

use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use postroom_core::Timestamp;
use postroom_provider::{
    DeleteMode, ErrorKind, MailSource, OpContext, PageLimit, ProviderError, Retry, SyncCursor,
    WellKnownFolder,
};
use tokio_util::sync::CancellationToken;

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::provider::case::Case;
use crate::provider::fixture::Fault;
use crate::provider::sample::{AUTHOR, BODY_WORD, SUBJECT_WORD};

/// How long a slow server takes: longer than any check.
const SLOW: Duration = Duration::from_secs(600);
/// An answer within this much is prompt.
const PROMPT: Duration = Duration::from_secs(10);

/// The simplest call that needs the server.
async fn called(case: &Case<'_>, ctx: &OpContext) -> CheckResult<Result<(), ProviderError>> {
    if let Some(mail) = case.provider.mail() {
        return Ok(mail.list_folders(ctx).await.map(drop));
    }
    let submitter = case.submitter()?;
    let submission = case.submission().await?;
    Ok(submitter.send(ctx, &submission, None).await.map(drop))
}

/// The error of a call while a fault is armed; the next call must work again.
async fn struck(case: &Case<'_>, fault: Fault) -> CheckResult<ProviderError> {
    case.warm_up().await?;
    case.account.arm(fault).await?;
    let answer = called(case, &case.ctx).await?;
    case.account.disarm().await?;
    if let Err(error) = called(case, &case.ctx).await? {
        return Err(Stop::failed(format!("the next call fails, too: {error}")));
    }
    match answer {
        Err(error) => Ok(error),
        Ok(()) => Err(Stop::failed("the call succeeded in spite of the fault")),
    }
}

pub(in crate::provider) async fn unavailable_may_be_tried_again(case: &Case<'_>) -> CheckResult {
    let error = struck(case, Fault::Unavailable).await?;
    ensure_eq!(error.kind(), ErrorKind::Unavailable, "kind");
    let retry = error.retry();
    ensure!(
        matches!(retry, Retry::After(_)),
        "whether to try again: {retry:?}"
    );
    Ok(())
}

pub(in crate::provider) async fn a_hint_to_slow_down_is_carried(case: &Case<'_>) -> CheckResult {
    let hint = Duration::from_secs(17);
    let error = struck(case, Fault::Throttle(hint)).await?;
    ensure_eq!(error.kind(), ErrorKind::RateLimited, "kind");
    ensure_eq!(
        error.retry(),
        Retry::After(Some(hint)),
        "whether to try again"
    );
    Ok(())
}

pub(in crate::provider) async fn a_broken_connection_may_be_tried_again(
    case: &Case<'_>,
) -> CheckResult {
    let error = struck(case, Fault::DropBeforeEffect).await?;
    let kind = error.kind();
    ensure!(
        matches!(kind, ErrorKind::Unavailable | ErrorKind::Protocol),
        "kind of a broken connection: {kind:?}"
    );
    let retry = error.retry();
    ensure!(
        matches!(retry, Retry::After(_) | Retry::OutcomeUnknown),
        "whether to try again: {retry:?}"
    );
    Ok(())
}

type Call<'a> = (&'static str, BoxFuture<'a, Result<(), ProviderError>>);

/// One call of every operation that is offered, on things that are there.
async fn every_call<'a>(case: &'a Case<'_>, ctx: &'a OpContext) -> CheckResult<Vec<Call<'a>>> {
    let mut calls: Vec<Call<'a>> = Vec::new();
    let capabilities = case.capabilities();
    if let Some(mail) = case.provider.mail() {
        let (inbox, ids) = case.filled_inbox(1).await?;
        let folder = inbox.clone();
        calls.push((
            "list_folders",
            Box::pin(async { mail.list_folders(ctx).await.map(drop) }),
        ));
        calls.push((
            "find_folder",
            Box::pin(async {
                mail.find_folder(ctx, WellKnownFolder::Inbox)
                    .await
                    .map(drop)
            }),
        ));
        calls.push((
            "changes",
            Box::pin(async move {
                let limit = PageLimit::new(10);
                mail.changes(ctx, &folder, None, limit).await.map(drop)
            }),
        ));
        let (folder, asked) = (inbox.clone(), ids.clone());
        calls.push((
            "headers",
            Box::pin(async move { mail.headers(ctx, &folder, &asked).await.map(drop) }),
        ));
        let (folder, asked) = (inbox.clone(), ids.clone());
        calls.push((
            "fetch",
            Box::pin(async move { mail.fetch(ctx, &folder, &asked).await.map(drop) }),
        ));
        if capabilities.mail_move {
            let target = case.other_folder().await?;
            let (folder, asked) = (inbox.clone(), ids.clone());
            calls.push((
                "move_to",
                Box::pin(
                    async move { mail.move_to(ctx, &folder, &asked, &target).await.map(drop) },
                ),
            ));
        }
        calls.push((
            "delete",
            Box::pin(async move {
                let mode = DeleteMode::Permanently;
                mail.delete(ctx, &inbox, &ids, mode).await.map(drop)
            }),
        ));
    }
    if let Some(submitter) = case.provider.submitter() {
        let submission = case.submission_to(&case.account.address(), &[])?;
        if capabilities.submit_staged {
            let submission = submission.clone();
            calls.push((
                "stage",
                Box::pin(async move { submitter.stage(ctx, &submission).await.map(drop) }),
            ));
        }
        calls.push((
            "send",
            Box::pin(async move { submitter.send(ctx, &submission, None).await.map(drop) }),
        ));
    }
    Ok(calls)
}

pub(in crate::provider) async fn a_cancelled_call_says_so(case: &Case<'_>) -> CheckResult {
    let token = CancellationToken::new();
    token.cancel();
    let ctx = case.ctx.with_cancellation(token);
    for (name, call) in every_call(case, &ctx).await? {
        let kind = call.await.err().map(|error| error.kind());
        ensure_eq!(
            kind,
            Some(ErrorKind::Cancelled),
            "answer of {name} when cancelled"
        );
    }
    Ok(())
}

/// How long a future takes by the clock of the case.
async fn timed<T>(case: &Case<'_>, future: impl Future<Output = T> + Send) -> (T, Duration) {
    let began: Timestamp = case.ctx.clock.now();
    let result = future.await;
    (result, case.ctx.clock.now().since(began))
}

pub(in crate::provider) async fn cancelling_ends_a_slow_call(case: &Case<'_>) -> CheckResult {
    case.warm_up().await?;
    case.account.arm(Fault::Slow(SLOW)).await?;
    let token = CancellationToken::new();
    let ctx = case.ctx.with_cancellation(token.clone());
    let cancel = async {
        case.ctx.clock.sleep(Duration::from_millis(50)).await;
        token.cancel();
    };
    let both = async { tokio::join!(called(case, &ctx), cancel) };
    let ((answer, ()), took) = timed(case, both).await;
    case.account.disarm().await?;
    let kind = answer?.err().map(|error| error.kind());
    ensure_eq!(kind, Some(ErrorKind::Cancelled), "answer");
    ensure!(took < PROMPT, "it took {} s to notice", took.as_secs());
    Ok(())
}

pub(in crate::provider) async fn a_passed_deadline_is_a_timeout(case: &Case<'_>) -> CheckResult {
    let mut ctx = case.ctx.clone();
    ctx.deadline = Some(case.ctx.clock.now().minus(Duration::from_secs(1)));
    for (name, call) in every_call(case, &ctx).await? {
        let kind = call.await.err().map(|error| error.kind());
        ensure_eq!(
            kind,
            Some(ErrorKind::Timeout),
            "answer of {name} after the deadline"
        );
    }
    Ok(())
}

pub(in crate::provider) async fn a_slow_server_is_a_timeout(case: &Case<'_>) -> CheckResult {
    case.warm_up().await?;
    case.account.arm(Fault::Slow(SLOW)).await?;
    let ctx = case.ctx.within(Duration::from_millis(200));
    let (answer, took) = timed(case, called(case, &ctx)).await;
    case.account.disarm().await?;
    let kind = answer?.err().map(|error| error.kind());
    ensure_eq!(kind, Some(ErrorKind::Timeout), "answer");
    ensure!(took < PROMPT, "it took {} s to notice", took.as_secs());
    Ok(())
}

/// Errors of every sort that can be brought about.
async fn provoked(case: &Case<'_>, mail: &dyn MailSource) -> CheckResult<Vec<ProviderError>> {
    let (ctx, mut errors) = (&case.ctx, Vec::new());
    let (inbox, ids) = case.filled_inbox(1).await?;
    if let Some(id) = ids.first() {
        let corrupt = Fault::Corrupt(inbox.clone(), id.clone());
        if case.account.arm(corrupt).await.is_ok() {
            for outcome in mail.fetch(ctx, &inbox, &ids).await? {
                errors.extend(outcome.err());
            }
            for outcome in mail.headers(ctx, &inbox, &ids).await? {
                errors.extend(outcome.err());
            }
            case.account.disarm().await?;
        }
    }
    if let Ok(gone) = case.vanished(&inbox).await {
        for outcome in mail.fetch(ctx, &inbox, &[gone]).await? {
            errors.extend(outcome.err());
        }
    }
    let cursor = SyncCursor::new("garbage");
    let limit = PageLimit::new(1);
    errors.extend(mail.changes(ctx, &inbox, Some(&cursor), limit).await.err());
    if let Some(submitter) = case.provider.submitter() {
        let mut submission = case.submission_to(&case.account.address(), &[])?;
        submission.recipients.clear();
        errors.extend(submitter.send(ctx, &submission, None).await.err());
    }
    Ok(errors)
}

pub(in crate::provider) async fn nothing_private_is_told(case: &Case<'_>) -> CheckResult {
    let errors = provoked(case, case.mail()?).await?;
    ensure!(!errors.is_empty(), "no error could be provoked");
    let address = case.account.address().normalized();
    let private = [SUBJECT_WORD, BODY_WORD, AUTHOR, address.as_str()];
    for error in errors {
        let texts = [error.to_string(), format!("{error:?}")];
        for text in texts.map(|text| text.to_lowercase()) {
            ensure!(!text.contains('\n'), "an error has more than one line");
            let told = private.iter().any(|word| text.contains(word));
            ensure!(
                !told,
                "an error of {} tells a subject, a body or an address",
                error.operation()
            );
        }
    }
    Ok(())
}

pub(in crate::provider) async fn calls_run_side_by_side(case: &Case<'_>) -> CheckResult {
    let mail = case.mail()?;
    let wanted = case.deliver_many(6).await?;
    let inbox = case.inbox().await?;
    let listed = case.listed(&inbox).await?;
    let calls = wanted.iter().map(|message_id| {
        let id = listed.get(message_id).cloned();
        let inbox = &inbox;
        async move {
            let ids: Vec<_> = id.into_iter().collect();
            let outcomes = mail.headers(&case.ctx, inbox, &ids).await?;
            let first = outcomes.into_iter().next().transpose()?;
            Ok::<_, ProviderError>(first.and_then(|first| first.headers.message_id))
        }
    });
    for (answer, wanted) in join_all(calls).await.into_iter().zip(&wanted) {
        let seen = answer?.map(|id| id.as_str().to_owned());
        ensure_eq!(
            seen.as_ref(),
            Some(wanted),
            "answer to one of several calls at once"
        );
    }
    Ok(())
}

pub(in crate::provider) async fn a_dropped_call_harms_nothing(case: &Case<'_>) -> CheckResult {
    case.warm_up().await?;
    case.account.arm(Fault::Slow(SLOW)).await?;
    // Dropped in the middle, as when the engine shuts down.
    let wait = case.ctx.clock.sleep(Duration::from_millis(50));
    let dropped = tokio::select! {
        _ = called(case, &case.ctx) => false,
        () = wait => true,
    };
    case.account.disarm().await?;
    ensure!(dropped, "a slow server answers at once");
    let (answer, took) = timed(case, called(case, &case.ctx)).await;
    if let Err(error) = answer? {
        return Err(Stop::failed(format!("the next call fails: {error}")));
    }
    ensure!(took < PROMPT, "the next call took {} s", took.as_secs());
    Ok(())
}
