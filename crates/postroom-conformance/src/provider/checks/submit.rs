//! Sending: one visible delivery, blind copies, drafts.

use std::io::{self, Read, Write as _};
use std::sync::Arc;

use postroom_core::RawMessage;
use postroom_core::outbox::StagedSubmission;
use postroom_core::raw::RawSource;
use postroom_provider::{ErrorKind, ProviderError, Retry, Spool, Submission, WellKnownFolder};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::provider::case::Case;
use crate::provider::sample::Sample;

/// Sends the way the provider prefers: by a draft where it stages.
async fn sent(case: &Case<'_>, submission: &Submission) -> CheckResult {
    let submitter = case.submitter()?;
    let staged = match case.capabilities().submit_staged {
        true => Some(submitter.stage(&case.ctx, submission).await?),
        false => None,
    };
    let receipt = submitter
        .send(&case.ctx, submission, staged.as_ref())
        .await?;
    ensure!(receipt.refused.is_empty(), "recipients were refused");
    ensure!(!receipt.reconciled, "an answer is told as found afterwards");
    Ok(())
}

async fn staged(case: &Case<'_>) -> CheckResult<(Submission, StagedSubmission)> {
    let submitter = case.submitter()?;
    case.needs("submit_staged", |offers| offers.submit_staged)?;
    let submission = case.submission().await?;
    let staged = submitter.stage(&case.ctx, &submission).await?;
    Ok((submission, staged))
}

pub(in crate::provider) async fn a_message_arrives_once(case: &Case<'_>) -> CheckResult {
    let submitter = case.submitter()?;
    // By the bytes, and by a draft where there are drafts.
    let submission = case.submission().await?;
    submitter.send(&case.ctx, &submission, None).await?;
    let copies = case.arrivals(&submission).await?;
    ensure_eq!(copies, 1, "copies with its Message-ID at the recipient");
    let submission = case.submission().await?;
    sent(case, &submission).await?;
    let copies = case.arrivals(&submission).await?;
    ensure_eq!(copies, 1, "copies with its Message-ID at the recipient");
    Ok(())
}

pub(in crate::provider) async fn everybody_in_the_envelope_gets_it(case: &Case<'_>) -> CheckResult {
    case.submitter()?;
    let (to, blind) = case.recipients().await?;
    let submission = case.submission_to(&to, std::slice::from_ref(&blind))?;
    sent(case, &submission).await?;
    for recipient in [&to, &blind] {
        let copies = case.copies(&submission, recipient).await?;
        ensure_eq!(copies, 1, "copies at each recipient");
    }
    Ok(())
}

pub(in crate::provider) async fn blind_copies_stay_blind(case: &Case<'_>) -> CheckResult {
    case.submitter()?;
    let (to, blind) = case.recipients().await?;
    let submission = case.submission_to(&to, std::slice::from_ref(&blind))?;
    sent(case, &submission).await?;
    let name = blind.normalized();
    for recipient in [&to, &blind] {
        for raw in case.account.received(recipient).await? {
            let head = head_of(&raw);
            // Trace headers may name who a copy was delivered to, to that one alone.
            let named = head
                .lines()
                .any(|line| line.contains(&name) && (recipient == &to || line.starts_with("bcc")));
            ensure!(!named, "a recipient can read who got a blind copy");
        }
    }
    Ok(())
}

fn head_of(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw).to_lowercase();
    let end = text.find("\r\n\r\n").unwrap_or(text.len());
    text.get(..end).unwrap_or_default().to_owned()
}

pub(in crate::provider) async fn a_spooled_message_arrives(case: &Case<'_>) -> CheckResult {
    case.submitter()?;
    let (to, _) = case.recipients().await?;
    let mut submission = case.submission_to(&to, &[])?;
    let spool = Spool::with_bounds(std::env::temp_dir(), 0, 0, 1024 * 1024)?;
    let mut writer = spool.writer();
    let id = submission.message_id.as_str();
    let sample = Sample::outgoing(id, &case.account.address(), &to);
    writer.write_all(&sample.raw)?;
    submission.raw = writer.finish()?;
    ensure!(
        submission.raw.in_memory().is_none(),
        "the suite could not spool a message"
    );
    sent(case, &submission).await?;
    let copies = case.arrivals(&submission).await?;
    ensure_eq!(copies, 1, "copies at the recipient");
    Ok(())
}

pub(in crate::provider) async fn nobody_is_no_recipient(case: &Case<'_>) -> CheckResult {
    let submitter = case.submitter()?;
    let address = case.account.address();
    let mut submission = case.submission_to(&address, &[])?;
    submission.recipients.clear();
    let answer = submitter.send(&case.ctx, &submission, None).await;
    let retry = answer.err().map(|error| error.retry());
    ensure_eq!(retry, Some(Retry::Never), "whether to send to nobody again");
    let copies = case.copies(&submission, &address).await;
    match copies {
        Ok(copies) => ensure_eq!(copies, 0, "copies sent to the address in the header"),
        Err(Stop::Skipped(_)) => {}
        Err(failed) => return Err(failed),
    }
    Ok(())
}

/// Bytes that nobody holds: a message as large as it says, made while it is read.
#[derive(Debug)]
struct Endless(u64);

impl RawSource for Endless {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(io::repeat(b'x').take(self.0)))
    }
}

pub(in crate::provider) async fn a_message_above_the_limit_is_refused(
    case: &Case<'_>,
) -> CheckResult {
    let submitter = case.submitter()?;
    let Some(most) = case.capabilities().submit_size_max else {
        return Err(Stop::skipped("the server's limit is not known"));
    };
    let mut submission = case.submission().await?;
    let length = most.saturating_add(1);
    submission.raw = RawMessage::new(Arc::new(Endless(length)), length);
    let mut answers = vec![submitter.send(&case.ctx, &submission, None).await.err()];
    if case.capabilities().submit_staged {
        answers.push(submitter.stage(&case.ctx, &submission).await.err());
    }
    for answer in answers {
        let kind = answer.map(|error| error.kind());
        ensure_eq!(kind, Some(ErrorKind::TooLarge), "answer to {length} bytes");
    }
    Ok(())
}

pub(in crate::provider) async fn staging_sends_nothing(case: &Case<'_>) -> CheckResult {
    let (submission, _) = staged(case).await?;
    let copies = case.arrivals(&submission).await?;
    ensure_eq!(copies, 0, "copies at the recipient");
    Ok(())
}

pub(in crate::provider) async fn a_draft_is_sent_once(case: &Case<'_>) -> CheckResult {
    let (submission, draft) = staged(case).await?;
    let submitter = case.submitter()?;
    submitter.send(&case.ctx, &submission, Some(&draft)).await?;
    let copies = case.arrivals(&submission).await?;
    ensure_eq!(copies, 1, "copies at the recipient");
    if let Some(mail) = case.provider.mail() {
        let drafts = mail.find_folder(&case.ctx, WellKnownFolder::Drafts).await?;
        let left = case.holds(&drafts, submission.message_id.as_str()).await;
        if let Ok(left) = left {
            ensure!(!left, "the draft is still there after it was sent");
        }
    }
    Ok(())
}

pub(in crate::provider) async fn sending_a_draft_again_sends_nothing(
    case: &Case<'_>,
) -> CheckResult {
    let (submission, draft) = staged(case).await?;
    let submitter = case.submitter()?;
    submitter.send(&case.ctx, &submission, Some(&draft)).await?;
    // It may say that it was sent, or that it cannot know; never that it surely was not.
    if let Err(error) = submitter.send(&case.ctx, &submission, Some(&draft)).await {
        let retry = error.retry();
        ensure_eq!(
            retry,
            Retry::OutcomeUnknown,
            "answer to sending a sent draft"
        );
    }
    let copies = case.arrivals(&submission).await?;
    ensure_eq!(copies, 1, "copies at the recipient");
    Ok(())
}

pub(in crate::provider) async fn discarding_again_is_fine(case: &Case<'_>) -> CheckResult {
    let (submission, draft) = staged(case).await?;
    let submitter = case.submitter()?;
    submitter.discard(&case.ctx, &draft).await?;
    submitter.discard(&case.ctx, &draft).await?;
    let copies = case.arrivals(&submission).await?;
    ensure_eq!(copies, 0, "copies of a discarded draft at the recipient");
    Ok(())
}

pub(in crate::provider) async fn a_discarded_draft_is_not_sent(case: &Case<'_>) -> CheckResult {
    let (submission, draft) = staged(case).await?;
    let submitter = case.submitter()?;
    submitter.discard(&case.ctx, &draft).await?;
    let answer: Result<_, ProviderError> =
        submitter.send(&case.ctx, &submission, Some(&draft)).await;
    ensure!(answer.is_err(), "a discarded draft is said to be sent");
    let copies = case.arrivals(&submission).await?;
    ensure_eq!(copies, 0, "copies at the recipient");
    Ok(())
}

pub(in crate::provider) async fn a_copy_is_filed_as_promised(case: &Case<'_>) -> CheckResult {
    case.submitter()?;
    let (mail, role) = (case.mail()?, WellKnownFolder::SentItems);
    let folder = mail.find_folder(&case.ctx, role).await?;
    let submission = case.submission().await?;
    sent(case, &submission).await?;
    let copies = case.account.messages(&folder).await?;
    let wanted = submission.message_id.as_str();
    let count = copies
        .iter()
        .filter(|message| message.message_id == wanted)
        .count();
    let promised = usize::from(case.capabilities().submit_files_copy);
    ensure_eq!(count, promised, "copies in Sent Items");
    Ok(())
}
