use std::time::Duration;

use postroom_core::{Code, Scope};
use postroom_provider::{ErrorKind, PageLimit, ProviderError, Retry, WellKnownFolder};
use postroom_simulator::exchange::{Fault, ServerVersion};
use tokio_util::sync::CancellationToken;

use crate::support::{DESK, Lab, builder, impatient, inbox, listed, mail, raw, submitter};
use postroom_simulator::exchange::ListenOptions;

/// The error of opening the inbox while a fault is armed once.
async fn struck_by(fault: Fault) -> ProviderError {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    inbox(&lab, &provider).await;
    lab.arm(fault);
    let source = mail(&provider);
    let error = source
        .find_folder(&lab.ctx, WellKnownFolder::Inbox)
        .await
        .unwrap_err();
    // It goes on afterwards, on a new connection where the old one broke.
    inbox(&lab, &provider).await;
    let text = format!("{error} {error:?}");
    assert!(
        !text.contains(DESK) && !text.contains("service-pw"),
        "{text}"
    );
    error
}

#[tokio::test]
async fn every_failure_has_its_code() {
    let wait = Duration::from_secs(7);
    let code = |code: &str| Fault::Code(code.to_owned());
    for (fault, kind, condition, retry) in [
        (
            Fault::Throttle { back_off: wait },
            ErrorKind::RateLimited,
            Code::ServerBusy,
            Retry::After(Some(wait)),
        ),
        (
            Fault::Busy { back_off: wait },
            ErrorKind::RateLimited,
            Code::ServerBusy,
            Retry::After(Some(wait)),
        ),
        (
            Fault::Throttle {
                back_off: Duration::ZERO,
            },
            ErrorKind::RateLimited,
            Code::ServerBusy,
            Retry::After(None),
        ),
        (
            Fault::Unavailable {
                retry_after: Some(wait),
            },
            ErrorKind::Unavailable,
            Code::ServerUnavailable,
            Retry::After(Some(wait)),
        ),
        (
            Fault::Unavailable { retry_after: None },
            ErrorKind::Unavailable,
            Code::ServerUnavailable,
            Retry::After(None),
        ),
        (
            Fault::Reset,
            ErrorKind::Unavailable,
            Code::ConnectionLost,
            Retry::After(None),
        ),
        (
            Fault::LostAnswer,
            ErrorKind::Unavailable,
            Code::ConnectionLost,
            Retry::After(None),
        ),
        (
            Fault::LostRequest,
            ErrorKind::Unavailable,
            Code::ConnectionLost,
            Retry::After(None),
        ),
        (
            Fault::Truncated,
            ErrorKind::Unavailable,
            Code::ConnectionLost,
            Retry::After(None),
        ),
        (
            Fault::HtmlPage,
            ErrorKind::Unavailable,
            Code::ServerFault,
            Retry::After(None),
        ),
        (
            Fault::Unauthorized,
            ErrorKind::Unauthenticated,
            Code::CredentialsRejected,
            Retry::Never,
        ),
        (
            Fault::ImpersonationRevoked,
            ErrorKind::PermissionDenied,
            Code::ImpersonationDenied,
            Retry::Never,
        ),
        (
            code("ErrorMailboxStoreUnavailable"),
            ErrorKind::Unavailable,
            Code::ServerUnavailable,
            Retry::After(None),
        ),
        (
            code("ErrorAccessDenied"),
            ErrorKind::PermissionDenied,
            Code::AccessDenied,
            Retry::Never,
        ),
        (
            code("ErrorSomethingNew"),
            ErrorKind::Protocol,
            Code::RequestRefused,
            Retry::Never,
        ),
    ] {
        let shown = format!("{fault:?}");
        let error = struck_by(fault).await;
        assert_eq!(
            (error.kind(), error.code(), error.retry()),
            (kind, condition, retry),
            "{shown} {error:?}"
        );
    }
}

#[tokio::test]
async fn the_scope_says_how_far_it_reaches() {
    assert_eq!(struck_by(Fault::Unauthorized).await.scope(), Scope::Profile);
    let error = struck_by(Fault::Code("ErrorMailboxStoreUnavailable".to_owned())).await;
    assert_eq!(error.scope(), Scope::Mailbox);
    let busy = Fault::Busy {
        back_off: Duration::ZERO,
    };
    assert_eq!(struck_by(busy).await.scope(), Scope::Profile);
}

#[tokio::test]
async fn a_sync_state_that_the_server_rejects_is_an_invalid_cursor() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let inbox = inbox(&lab, &provider).await;
    let limit = PageLimit::new(5);
    let source = mail(&provider);
    let page = source.changes(&lab.ctx, &inbox, None, limit).await.unwrap();
    lab.arm(Fault::InvalidSyncState);
    let error = source
        .changes(&lab.ctx, &inbox, Some(&page.cursor), limit)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CursorInvalid);
}

#[tokio::test]
async fn a_phantom_costs_only_itself() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let inbox = inbox(&lab, &provider).await;
    lab.deliver(raw(1, "x"));
    lab.arm(Fault::PhantomItem);
    let ids = listed(&lab, &provider, &inbox).await;
    assert_eq!(ids.len(), 2);
    let read = mail(&provider)
        .headers(&lab.ctx, &inbox, &ids)
        .await
        .unwrap();
    assert_eq!(read.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let bad = read.into_iter().find_map(Result::err).unwrap();
    assert_eq!(bad.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    lab.arm(Fault::Slow {
        by: Duration::from_secs(3600),
    });
    let error = mail(&provider)
        .find_folder(&impatient(), WellKnownFolder::Inbox)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Timeout, Code::ConnectionTimedOut)
    );
}

#[tokio::test]
async fn who_has_given_up_asks_for_nothing() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let source = mail(&provider);
    let ctx = lab.ctx.with_cancellation(cancelled);
    let error = source
        .find_folder(&ctx, WellKnownFolder::Inbox)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let late = lab.ctx.within(Duration::ZERO);
    let error = source
        .find_folder(&late, WellKnownFolder::Inbox)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(lab.exchange.requests("GetFolder"), 0);
}

#[tokio::test]
async fn cancelling_ends_a_request_that_hangs() {
    let lab = Lab::new().await;
    let provider = lab.provider(DESK);
    lab.arm(Fault::Slow {
        by: Duration::from_secs(3600),
    });
    let token = CancellationToken::new();
    let ctx = lab.ctx.with_cancellation(token.clone());
    let source = mail(&provider);
    let (outcome, ()) = tokio::join!(source.find_folder(&ctx, WellKnownFolder::Inbox), async {
        // The server has got the request, and hangs.
        while lab.exchange.requests("GetFolder") == 0 {
            tokio::task::yield_now().await;
        }
        token.cancel();
    });
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn an_older_server_is_spoken_to_in_its_version() {
    let lab = Lab::of(
        builder().version(ServerVersion::exchange_2010()),
        ListenOptions::http(),
    )
    .await;
    let provider = lab.provider(DESK);
    let inbox = inbox(&lab, &provider).await;
    lab.deliver(raw(1, "x"));
    let ids = listed(&lab, &provider, &inbox).await;
    assert!(mail(&provider).fetch(&lab.ctx, &inbox, &ids).await.unwrap()[0].is_ok());
    let capabilities = provider.capabilities();
    assert!(
        capabilities
            .server_product
            .as_ref()
            .unwrap()
            .starts_with("Exchange 2010 (14.")
    );
    assert!(capabilities.mail_move_tells_id);
}

#[tokio::test]
async fn a_server_that_is_too_old_is_said_to_be() {
    let lab = Lab::of(
        builder().version(ServerVersion::new([8, 0, 1, 0], "Exchange2007")),
        ListenOptions::http(),
    )
    .await;
    let provider = lab.provider(DESK);
    let error = mail(&provider)
        .find_folder(&lab.ctx, WellKnownFolder::Inbox)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::VersionUnsupported);
}

#[tokio::test]
async fn a_message_above_the_servers_limit_is_too_large() {
    let lab = Lab::of(builder().request_max(100_000), ListenOptions::http()).await;
    let provider = lab.provider(DESK);
    let from: postroom_core::EmailAddress = DESK.parse().unwrap();
    let submission = postroom_provider::Submission::new(
        postroom_core::outbox::SubmissionKey::from_text("large"),
        "large@x.example".parse().unwrap(),
        from.clone().into(),
        vec![from],
        postroom_core::RawMessage::from_bytes(raw(1, &"x".repeat(200_000))),
    );
    let error = submitter(&provider)
        .stage(&lab.ctx, &submission)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}");
}
