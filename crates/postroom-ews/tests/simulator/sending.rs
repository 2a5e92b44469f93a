use postroom_core::outbox::SubmissionKey;
use postroom_core::{Code, RawMessage};
use postroom_provider::{
    ErrorKind, Retry, Submission, SubmissionIdentity, SubmissionTrace, WellKnownFolder,
};
use postroom_simulator::exchange::{Fault, FaultRule};
use postroom_simulator::model::WellKnown;

use crate::support::{ADA, DESK, Lab, listed, mail, submitter};

fn submission(key: &str) -> Submission {
    let raw = format!(
        "Message-ID: <{key}@out.example>\r\nFrom: {DESK}\r\nTo: {ADA}\r\nSubject: Out {key}\r\n\
         Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\nhello\r\n"
    );
    let from: postroom_core::EmailAddress = DESK.parse().unwrap();
    let mut submission = Submission::new(
        SubmissionKey::from_text(key),
        format!("{key}@out.example").parse().unwrap(),
        from.into(),
        vec![
            ADA.parse().unwrap(),
            "blind@outside.example".parse().unwrap(),
        ],
        RawMessage::from_bytes(raw.into_bytes()),
    );
    submission.bcc = vec!["blind@outside.example".parse().unwrap()];
    submission
}

fn identity(submission: &Submission) -> SubmissionIdentity {
    SubmissionIdentity::new(submission.key.clone(), submission.message_id.clone())
}

#[tokio::test]
async fn a_draft_is_staged_found_sent_and_found_again() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let out = submitter(&provider);
    let message = submission("k1");
    let who = identity(&message);
    assert_eq!(
        out.find(&lab.ctx, &who).await.unwrap(),
        SubmissionTrace::Nowhere
    );
    let staged = out.stage(&lab.ctx, &message).await.unwrap();
    assert!(lab.items(ADA, WellKnown::Inbox).is_empty());
    let SubmissionTrace::Staged(found) = out.find(&lab.ctx, &who).await.unwrap() else {
        panic!()
    };
    assert_eq!(found.remote_id, staged.remote_id);
    let receipt = out.send(&lab.ctx, &message, Some(&staged)).await.unwrap();
    assert!(!receipt.reconciled);
    let SubmissionTrace::Sent(receipt) = out.find(&lab.ctx, &who).await.unwrap() else {
        panic!()
    };
    assert!(receipt.reconciled && receipt.remote_id.is_some());

    let received = lab.items(ADA, WellKnown::Inbox);
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].summary().message_id, "<k1@out.example>");
    let text = String::from_utf8_lossy(received[0].content().as_ref()).to_lowercase();
    assert!(!text.contains("blind@outside.example"));
    let outside = lab.exchange.mail().outside();
    assert_eq!(outside.len(), 1);
    assert_eq!(outside[0].recipients, ["blind@outside.example"]);

    // The copy in Sent Items carries the stamp.
    let source = mail(&provider);
    let sent = source
        .find_folder(&lab.ctx, WellKnownFolder::SentItems)
        .await
        .unwrap();
    let ids = listed(&lab, &provider, &sent).await;
    let headers = source.headers(&lab.ctx, &sent, &ids).await.unwrap();
    let copy = headers[0].as_ref().unwrap();
    assert_eq!(copy.submission_key.as_ref().unwrap().as_str(), "k1");
    assert!(!copy.draft);

    // The same draft again: nobody gets it twice.
    let error = out
        .send(&lab.ctx, &message, Some(&staged))
        .await
        .unwrap_err();
    assert_eq!(error.retry(), Retry::OutcomeUnknown);
    assert_eq!(lab.items(ADA, WellKnown::Inbox).len(), 1);
}

#[tokio::test]
async fn a_stamp_spelled_otherwise_is_still_ours() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let out = submitter(&provider);
    let message = submission("k2");
    out.stage(&lab.ctx, &message).await.unwrap();
    lab.exchange
        .faults()
        .add(FaultRule::new(Fault::PathSpelledDifferently));
    let found = out.find(&lab.ctx, &identity(&message)).await.unwrap();
    assert!(matches!(found, SubmissionTrace::Staged(_)));
    let other = out
        .find(&lab.ctx, &identity(&submission("k3")))
        .await
        .unwrap();
    assert_eq!(other, SubmissionTrace::Nowhere);
}

#[tokio::test]
async fn a_draft_that_an_assistant_touched_is_sent_all_the_same() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let out = submitter(&provider);
    lab.exchange
        .faults()
        .add(FaultRule::new(Fault::ChangeKeyBumped));
    let message = submission("k4");
    let staged = out.stage(&lab.ctx, &message).await.unwrap();
    out.send(&lab.ctx, &message, Some(&staged)).await.unwrap();
    assert_eq!(lab.items(ADA, WellKnown::Inbox).len(), 1);
    assert_eq!(lab.exchange.requests("SendItem"), 2);
}

#[tokio::test]
async fn a_lost_answer_leaves_a_doubt_that_a_search_resolves() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let out = submitter(&provider);
    for (key, fault, sent) in [
        ("k5", Fault::LostAnswer, true),
        ("k6", Fault::LostRequest, false),
        ("k7", Fault::Reset, true),
        ("k8", Fault::Truncated, true),
    ] {
        let message = submission(key);
        let staged = out.stage(&lab.ctx, &message).await.unwrap();
        lab.arm_for("SendItem", fault);
        let error = out
            .send(&lab.ctx, &message, Some(&staged))
            .await
            .unwrap_err();
        assert_eq!(error.retry(), Retry::OutcomeUnknown, "{key} {error:?}");
        let trace = out.find(&lab.ctx, &identity(&message)).await.unwrap();
        if sent {
            assert!(matches!(trace, SubmissionTrace::Sent(_)), "{key} {trace:?}");
        } else {
            let SubmissionTrace::Staged(staged) = trace else {
                panic!("{key} {trace:?}")
            };
            out.send(&lab.ctx, &message, Some(&staged)).await.unwrap();
        }
    }
    assert_eq!(lab.items(ADA, WellKnown::Inbox).len(), 4);
}

#[tokio::test]
async fn a_refusal_is_no_doubt() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let out = submitter(&provider);
    let message = submission("k9");
    let staged = out.stage(&lab.ctx, &message).await.unwrap();
    for (fault, code, again) in [
        (Fault::SendAsDenied, Code::SendAsDenied, false),
        (
            Fault::Code("ErrorSubmissionQuotaExceeded".to_owned()),
            Code::SendingLimitReached,
            true,
        ),
        (
            Fault::Throttle {
                back_off: std::time::Duration::from_secs(3),
            },
            Code::ServerBusy,
            true,
        ),
        (
            Fault::Unavailable { retry_after: None },
            Code::ServerUnavailable,
            true,
        ),
        (Fault::Unauthorized, Code::CredentialsRejected, false),
    ] {
        lab.arm_for("SendItem", fault);
        let error = out
            .send(&lab.ctx, &message, Some(&staged))
            .await
            .unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(matches!(error.retry(), Retry::After(_)), again, "{code}");
    }
    lab.arm_for(
        "SendItem",
        Fault::Code("ErrorInternalServerError".to_owned()),
    );
    let error = out
        .send(&lab.ctx, &message, Some(&staged))
        .await
        .unwrap_err();
    assert_eq!(error.retry(), Retry::OutcomeUnknown);
    out.send(&lab.ctx, &message, Some(&staged)).await.unwrap();
}

#[tokio::test]
async fn a_mailbox_that_is_full_stages_nothing() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    lab.arm(Fault::QuotaExceeded);
    let error = submitter(&provider)
        .stage(&lab.ctx, &submission("q"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    assert!(lab.items(DESK, WellKnown::Drafts).is_empty());
}

#[tokio::test]
async fn discarding_is_repeatable_and_spares_what_was_sent() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let out = submitter(&provider);
    let message = submission("d1");
    let staged = out.stage(&lab.ctx, &message).await.unwrap();
    out.discard(&lab.ctx, &staged).await.unwrap();
    out.discard(&lab.ctx, &staged).await.unwrap();
    assert!(lab.items(DESK, WellKnown::Drafts).is_empty());
    let error = out
        .send(&lab.ctx, &message, Some(&staged))
        .await
        .unwrap_err();
    assert_eq!(error.retry(), Retry::OutcomeUnknown);
    assert!(lab.items(ADA, WellKnown::Inbox).is_empty());

    let message = submission("d2");
    let staged = out.stage(&lab.ctx, &message).await.unwrap();
    out.send(&lab.ctx, &message, Some(&staged)).await.unwrap();
    out.discard(&lab.ctx, &staged).await.unwrap();
    assert_eq!(lab.items(DESK, WellKnown::SentItems).len(), 1);
}

#[tokio::test]
async fn without_a_draft_the_bytes_are_sent_and_can_be_found() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let out = submitter(&provider);
    let message = submission("b1");
    out.send(&lab.ctx, &message, None).await.unwrap();
    assert_eq!(lab.items(ADA, WellKnown::Inbox).len(), 1);
    let trace = out.find(&lab.ctx, &identity(&message)).await.unwrap();
    assert!(matches!(trace, SubmissionTrace::Sent(_)), "{trace:?}");
    let mut nobody = submission("b2");
    nobody.recipients.clear();
    let error = out.send(&lab.ctx, &nobody, None).await.unwrap_err();
    assert_eq!(error.code(), Code::RecipientsRefused);
}
