//! What can be found out after an unclear outcome.

use postroom_core::outbox::StagedSubmission;
use postroom_provider::{ProviderError, Retry, Submission, SubmissionIdentity, SubmissionTrace};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::provider::case::Case;
use crate::provider::fixture::{Effect, Fault};

fn identity(submission: &Submission) -> SubmissionIdentity {
    SubmissionIdentity::new(submission.key.clone(), submission.message_id.clone())
}

fn traceable(case: &Case<'_>) -> CheckResult {
    case.submitter()?;
    case.needs("submit_traceable", |offers| offers.submit_traceable)
}

async fn trace(case: &Case<'_>, submission: &Submission) -> CheckResult<SubmissionTrace> {
    let submitter = case.submitter()?;
    Ok(submitter.find(&case.ctx, &identity(submission)).await?)
}

async fn found_sent(case: &Case<'_>, submission: &Submission) -> CheckResult {
    match trace(case, submission).await? {
        SubmissionTrace::Sent(receipt) => {
            ensure!(receipt.reconciled, "what was found is told as answered");
            Ok(())
        }
        trace => Err(Stop::failed(format!(
            "a sent message is traced as {trace:?}"
        ))),
    }
}

/// A draft where the provider stages.
async fn prepared(case: &Case<'_>) -> CheckResult<(Submission, Option<StagedSubmission>)> {
    let submitter = case.submitter()?;
    let submission = case.submission().await?;
    let staged = match case.capabilities().submit_staged {
        true => Some(submitter.stage(&case.ctx, &submission).await?),
        false => None,
    };
    Ok((submission, staged))
}

pub(in crate::provider) async fn an_unknown_submission_is_nowhere(case: &Case<'_>) -> CheckResult {
    traceable(case)?;
    // Others are there, and must not be taken for it.
    let other = case.submission().await?;
    case.submitter()?.send(&case.ctx, &other, None).await?;
    let submission = case.submission().await?;
    let trace = trace(case, &submission).await?;
    ensure_eq!(trace, SubmissionTrace::Nowhere, "trace");
    Ok(())
}

pub(in crate::provider) async fn a_draft_is_found(case: &Case<'_>) -> CheckResult {
    traceable(case)?;
    case.needs("submit_staged", |offers| offers.submit_staged)?;
    let (submission, staged) = prepared(case).await?;
    match trace(case, &submission).await? {
        SubmissionTrace::Staged(found) => {
            let staged = staged.map(|staged| staged.remote_id);
            ensure_eq!(Some(found.remote_id), staged, "id of the draft");
            Ok(())
        }
        trace => Err(Stop::failed(format!("a draft is traced as {trace:?}"))),
    }
}

pub(in crate::provider) async fn a_sent_message_is_found(case: &Case<'_>) -> CheckResult {
    traceable(case)?;
    let (submission, staged) = prepared(case).await?;
    let submitter = case.submitter()?;
    submitter
        .send(&case.ctx, &submission, staged.as_ref())
        .await?;
    found_sent(case, &submission).await
}

/// Sends while the answer is lost; the error that comes of it.
async fn unanswered(
    case: &Case<'_>,
    submission: &Submission,
    staged: Option<&StagedSubmission>,
) -> CheckResult<ProviderError> {
    case.account.arm(Fault::LoseAnswer(Effect::Send)).await?;
    let answer = case.submitter()?.send(&case.ctx, submission, staged).await;
    case.account.disarm().await?;
    match answer {
        Err(error) => Ok(error),
        Ok(_) => Err(Stop::failed("a lost answer is told as success")),
    }
}

pub(in crate::provider) async fn a_lost_answer_is_an_unknown_outcome(
    case: &Case<'_>,
) -> CheckResult {
    let (submission, staged) = prepared(case).await?;
    let error = unanswered(case, &submission, staged.as_ref()).await?;
    ensure_eq!(
        error.retry(),
        Retry::OutcomeUnknown,
        "whether to send again"
    );
    let copies = case.arrivals(&submission).await?;
    ensure_eq!(copies, 1, "copies at the recipient");
    Ok(())
}

pub(in crate::provider) async fn a_lost_answer_is_found_sent(case: &Case<'_>) -> CheckResult {
    traceable(case)?;
    let (submission, staged) = prepared(case).await?;
    unanswered(case, &submission, staged.as_ref()).await?;
    found_sent(case, &submission).await?;
    if let Some(staged) = &staged {
        // The draft is gone: that is no licence to send the bytes.
        let again = case
            .submitter()?
            .send(&case.ctx, &submission, Some(staged))
            .await;
        if let Err(error) = again {
            let retry = error.retry();
            ensure_eq!(retry, Retry::OutcomeUnknown, "answer to sending it again");
        }
    }
    let copies = case.arrivals(&submission).await?;
    ensure_eq!(copies, 1, "copies at the recipient");
    Ok(())
}

pub(in crate::provider) async fn a_lost_answer_to_staging_is_found(case: &Case<'_>) -> CheckResult {
    traceable(case)?;
    case.needs("submit_staged", |offers| offers.submit_staged)?;
    let submission = case.submission().await?;
    case.account.arm(Fault::LoseAnswer(Effect::Stage)).await?;
    let answer = case.submitter()?.stage(&case.ctx, &submission).await;
    case.account.disarm().await?;
    ensure!(answer.is_err(), "a lost answer is told as success");
    let SubmissionTrace::Staged(draft) = trace(case, &submission).await? else {
        return Err(Stop::failed(
            "a draft whose making went unanswered is not found",
        ));
    };
    let submitter = case.submitter()?;
    submitter.send(&case.ctx, &submission, Some(&draft)).await?;
    let copies = case.arrivals(&submission).await?;
    ensure_eq!(
        copies,
        1,
        "copies at the recipient once the found draft is sent"
    );
    Ok(())
}

pub(in crate::provider) async fn a_connection_that_broke_before_is_no_success(
    case: &Case<'_>,
) -> CheckResult {
    let (submission, staged) = prepared(case).await?;
    case.account.arm(Fault::DropBeforeEffect).await?;
    let answer = case
        .submitter()?
        .send(&case.ctx, &submission, staged.as_ref())
        .await;
    case.account.disarm().await?;
    let Err(error) = answer else {
        return Err(Stop::failed("a message that did not leave is told as sent"));
    };
    ensure!(
        matches!(error.retry(), Retry::OutcomeUnknown | Retry::After(_)),
        "a broken connection is told as a refusal for good"
    );
    let copies = case.arrivals(&submission).await?;
    ensure_eq!(copies, 0, "copies at the recipient");
    if case.capabilities().submit_traceable {
        let trace = trace(case, &submission).await?;
        ensure!(
            !matches!(trace, SubmissionTrace::Sent(_) | SubmissionTrace::InTransit),
            "a message that did not leave is traced as {trace:?}"
        );
    }
    Ok(())
}
