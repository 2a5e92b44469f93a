//! What is offered works; what is not offered is refused before a byte is sent.

use postroom_core::outbox::StagedSubmission;
use postroom_provider::{
    ErrorKind, MailSource, MailSubmitter, RemoteId, Retry, Submission, SubmissionIdentity,
};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::provider::case::Case;

pub(in crate::provider) async fn families_are_there_as_promised(case: &Case<'_>) -> CheckResult {
    let capabilities = case.capabilities();
    let (mail, submit) = (case.provider.mail(), case.provider.submitter());
    ensure_eq!(mail.is_some(), capabilities.mail, "there is a mail source");
    ensure_eq!(
        submit.is_some(),
        capabilities.submit,
        "there is a submitter"
    );
    ensure!(
        capabilities.mail || capabilities.submit,
        "the provider offers nothing at all"
    );
    Ok(())
}

pub(in crate::provider) async fn limits_can_be_used(case: &Case<'_>) -> CheckResult {
    let capabilities = case.capabilities();
    ensure!(capabilities.mail_batch_max > 0, "a batch may hold nothing");
    ensure!(capabilities.mail_page_max > 0, "a page may hold nothing");
    ensure!(
        capabilities.submit_size_max != Some(0),
        "no message is small enough to be sent"
    );
    Ok(())
}

pub(in crate::provider) async fn offered_options_work(case: &Case<'_>) -> CheckResult {
    let capabilities = case.capabilities();
    if let Some(mail) = case.provider.mail() {
        if capabilities.mail_create_folder {
            mail.ensure_folder(&case.ctx, None, "Conformance").await?;
        }
        if capabilities.mail_move {
            let (inbox, ids) = case.filled_inbox(1).await?;
            let target = case.other_folder().await?;
            for outcome in mail.move_to(&case.ctx, &inbox, &ids, &target).await? {
                outcome?;
            }
        }
    }
    if let Some(submitter) = case.provider.submitter()
        && capabilities.submit_staged
    {
        let submission = case.submission().await?;
        let staged = submitter.stage(&case.ctx, &submission).await?;
        submitter.discard(&case.ctx, &staged).await?;
    }
    if let Some(submitter) = case.provider.submitter()
        && capabilities.submit_traceable
    {
        submitter.find(&case.ctx, &stranger(case)?).await?;
    }
    Ok(())
}

/// A submission that was never made.
fn stranger(case: &Case<'_>) -> CheckResult<SubmissionIdentity> {
    let key = postroom_core::outbox::SubmissionKey::from_random(case.ctx.randomness.bytes16());
    let message_id = case.message_id().parse().map_err(Stop::failed)?;
    Ok(SubmissionIdentity::new(key, message_id))
}

/// Calls what is not offered; the kinds of the answers by option, `None` where it worked.
async fn refusals(case: &Case<'_>) -> CheckResult<Vec<(&'static str, Option<ErrorKind>, bool)>> {
    let mut answers = Vec::new();
    if let Some(mail) = case.provider.mail() {
        refused_by_source(case, mail, &mut answers).await?;
    }
    if let Some(submitter) = case.provider.submitter() {
        let address = case.account.address();
        let submission = case.submission_to(&address, &[])?;
        refused_by_submitter(case, submitter, &submission, &mut answers).await?;
    }
    if answers.is_empty() {
        return Err(Stop::skipped("every option is offered"));
    }
    Ok(answers)
}

fn noted<T>(
    option: &'static str,
    answer: Result<T, postroom_provider::ProviderError>,
) -> (&'static str, Option<ErrorKind>, bool) {
    match answer {
        Ok(_) => (option, None, false),
        Err(error) => (option, Some(error.kind()), error.retry() == Retry::Never),
    }
}

async fn refused_by_source(
    case: &Case<'_>,
    mail: &dyn MailSource,
    answers: &mut Vec<(&'static str, Option<ErrorKind>, bool)>,
) -> CheckResult {
    let capabilities = case.capabilities();
    // Made up, so that nothing has to be asked for: the refusal must not depend on them.
    let folder = postroom_provider::FolderId::new("conformance");
    let ids = [RemoteId::new("conformance")];
    if !capabilities.mail_create_folder {
        let made = mail.ensure_folder(&case.ctx, None, "Conformance").await;
        answers.push(noted("mail_create_folder", made));
    }
    if !capabilities.mail_move {
        let moved = mail.move_to(&case.ctx, &folder, &ids, &folder).await;
        answers.push(noted("mail_move", moved));
    }
    Ok(())
}

async fn refused_by_submitter(
    case: &Case<'_>,
    submitter: &dyn MailSubmitter,
    submission: &Submission,
    answers: &mut Vec<(&'static str, Option<ErrorKind>, bool)>,
) -> CheckResult {
    let capabilities = case.capabilities();
    if !capabilities.submit_staged {
        let staged = submitter.stage(&case.ctx, submission).await;
        answers.push(noted("submit_staged", staged));
        let draft = StagedSubmission::new(RemoteId::new("conformance"), None);
        let sent = submitter.send(&case.ctx, submission, Some(&draft)).await;
        answers.push(noted("submit_staged", sent));
        let discarded = submitter.discard(&case.ctx, &draft).await;
        answers.push(noted("submit_staged", discarded));
    }
    if !capabilities.submit_traceable {
        let found = submitter.find(&case.ctx, &stranger(case)?).await;
        answers.push(noted("submit_traceable", found));
    }
    Ok(())
}

pub(in crate::provider) async fn missing_options_are_refused(case: &Case<'_>) -> CheckResult {
    for (option, kind, never) in refusals(case).await? {
        ensure_eq!(
            kind,
            Some(ErrorKind::Unsupported),
            "answer where {option} is not offered"
        );
        ensure!(never, "the refusal of {option} suggests to try again");
    }
    Ok(())
}

pub(in crate::provider) async fn refusals_send_nothing(case: &Case<'_>) -> CheckResult {
    case.warm_up().await?;
    let before = case.account.requests().await?;
    refusals(case).await?;
    let after = case.account.requests().await?;
    ensure_eq!(after, before, "requests seen by the server");
    Ok(())
}

pub(in crate::provider) async fn the_kind_is_named(case: &Case<'_>) -> CheckResult {
    let info = case.provider.info();
    ensure!(
        !info.kind.trim().is_empty(),
        "the provider's kind has no name"
    );
    ensure!(!info.protocol.trim().is_empty(), "the protocol has no name");
    case.warm_up().await?;
    ensure_eq!(case.provider.info(), info, "what the provider is");
    Ok(())
}
