//! What the server's refusals mean. Source: ews-notes sections 18 and 19.

use std::time::Duration;

use postroom_core::{Code, Scope};
use postroom_provider::{ErrorKind, ProviderError, Retry};

use crate::soap::Refusal;

/// Longest wait that is taken from a server; above it the value is a mistake.
const BACK_OFF_MAX: Duration = Duration::from_secs(60 * 60);

/// What a refusal is about: decides what a code means that is not in the table, and how far one
/// reaches that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The whole request, or the mailbox.
    Request,
    /// One folder.
    Folder,
    /// One item of a batch.
    Item,
}

/// Whether the effect of a refused request may have happened all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Surely not.
    None,
    /// It may.
    Unclear,
}

/// One line of the table: what a response code means.
struct Meaning {
    code: &'static str,
    kind: ErrorKind,
    condition: Code,
    again: bool,
    scope: Scope,
    effect: Effect,
}

macro_rules! meanings {
    ($($code:literal: $kind:ident, $condition:ident, $again:ident, $scope:ident, $effect:ident;)*) => {
        &[$(Meaning {
            code: $code, kind: ErrorKind::$kind, condition: Code::$condition,
            again: again::$again, scope: Scope::$scope, effect: Effect::$effect,
        },)*]
    };
}

#[expect(non_upper_case_globals, reason = "they are words of the table")]
mod again {
    pub(super) const Never: bool = false;
    pub(super) const Later: bool = true;
}

/// Sorted by code: it is searched by halves.
#[rustfmt::skip]
const TABLE: &[Meaning] = meanings! {
    "ErrorADOperation": Unavailable, ServerUnavailable, Later, Mailbox, Unclear;
    "ErrorADUnavailable": Unavailable, ServerUnavailable, Later, Profile, None;
    "ErrorAccessDenied": PermissionDenied, AccessDenied, Never, Mailbox, None;
    "ErrorAccountDisabled": PermissionDenied, AccountUnavailable, Never, Mailbox, None;
    "ErrorAccountSuspend": RateLimited, SendingLimitReached, Later, Mailbox, None;
    "ErrorAttachmentNestLevelLimitExceeded": Corrupt, ItemCorrupt, Never, Item, None;
    "ErrorAttachmentSizeLimitExceeded": TooLarge, TooLarge, Never, Item, None;
    "ErrorBatchProcessingStopped": Unavailable, ServerFault, Later, Item, Unclear;
    "ErrorCannotOpenFileAttachment": Corrupt, ItemCorrupt, Never, Item, None;
    "ErrorChangeKeyRequired": Conflict, ItemChanged, Later, Item, None;
    "ErrorChangeKeyRequiredForWriteOperations": Conflict, ItemChanged, Later, Item, None;
    "ErrorClientDisconnected": Unavailable, ConnectionLost, Later, Mailbox, Unclear;
    "ErrorConnectionFailed": Unavailable, ServerUnavailable, Later, Mailbox, Unclear;
    "ErrorConnectionFailedTransientError": Unavailable, ServerUnavailable, Later, Mailbox, Unclear;
    "ErrorContentConversionFailed": Corrupt, ItemCorrupt, Never, Item, None;
    "ErrorCorruptData": Corrupt, ItemCorrupt, Never, Item, None;
    "ErrorCreateItemAccessDenied": PermissionDenied, AccessDenied, Never, Mailbox, None;
    "ErrorCreateSubfolderAccessDenied": PermissionDenied, AccessDenied, Never, Mailbox, None;
    "ErrorCrossSiteRequest": Unavailable, ServerUnavailable, Later, Mailbox, None;
    "ErrorDataSizeLimitExceeded": TooLarge, TooLarge, Never, Item, None;
    "ErrorDeleteItemsFailed": Unavailable, ServerFault, Later, Item, Unclear;
    "ErrorExceededConnectionCount": RateLimited, ServerBusy, Later, Profile, None;
    "ErrorExceededFindCountLimit": RateLimited, ServerBusy, Later, Mailbox, None;
    "ErrorExceededMaxRecipientLimit": InvalidInput, RecipientsRefused, Never, Item, None;
    "ErrorExceededMessageLimit": RateLimited, SendingLimitReached, Later, Mailbox, None;
    "ErrorFolderCorrupt": Corrupt, ServerFault, Later, Mailbox, None;
    "ErrorFolderExists": AlreadyExists, AlreadyExists, Never, Item, None;
    "ErrorFolderNotFound": NotFound, FolderNotFound, Never, Mailbox, None;
    "ErrorFolderSave": Unavailable, ServerFault, Later, Mailbox, Unclear;
    "ErrorImpersonateUserDenied": PermissionDenied, ImpersonationDenied, Never, Profile, None;
    "ErrorImpersonationDenied": PermissionDenied, ImpersonationDenied, Never, Profile, None;
    "ErrorImpersonationFailed": PermissionDenied, ImpersonationDenied, Never, Profile, None;
    "ErrorInsufficientResources": Unavailable, ServerUnavailable, Later, Profile, Unclear;
    "ErrorInternalServerError": Unavailable, ServerFault, Later, Mailbox, Unclear;
    "ErrorInternalServerTransientError": Unavailable, ServerFault, Later, Mailbox, Unclear;
    "ErrorInvalidChangeKey": Conflict, ItemChanged, Later, Item, None;
    "ErrorInvalidExchangeImpersonationHeaderData": ConfigInvalid, MailboxNotFound, Never, Mailbox, None;
    "ErrorInvalidFolderId": NotFound, FolderNotFound, Never, Mailbox, None;
    "ErrorInvalidId": NotFound, ItemNotFound, Never, Item, None;
    "ErrorInvalidIdEmpty": NotFound, ItemNotFound, Never, Item, None;
    "ErrorInvalidIdMalformed": NotFound, ItemNotFound, Never, Item, None;
    "ErrorInvalidIdMalformedEwsLegacyIdFormat": NotFound, ItemNotFound, Never, Item, None;
    "ErrorInvalidIdMonikerTooLong": NotFound, ItemNotFound, Never, Item, None;
    "ErrorInvalidIdStoreObjectIdTooLong": NotFound, ItemNotFound, Never, Item, None;
    "ErrorInvalidIdTooManyAttachmentLevels": NotFound, ItemNotFound, Never, Item, None;
    "ErrorInvalidIdXml": NotFound, ItemNotFound, Never, Item, None;
    "ErrorInvalidLicense": PermissionDenied, AccountUnavailable, Never, Mailbox, None;
    "ErrorInvalidRecipients": InvalidInput, RecipientsRefused, Never, Item, None;
    "ErrorInvalidSyncStateData": CursorInvalid, CursorInvalid, Never, Mailbox, None;
    "ErrorIrresolvableConflict": Conflict, ItemChanged, Later, Item, None;
    "ErrorItemCorrupt": Corrupt, ItemCorrupt, Never, Item, None;
    "ErrorItemNotFound": NotFound, ItemNotFound, Never, Item, None;
    "ErrorItemPropertyRequestFailed": Corrupt, ItemCorrupt, Never, Item, None;
    "ErrorItemSave": Unavailable, ServerFault, Later, Item, Unclear;
    "ErrorMailboxFailover": Unavailable, ServerUnavailable, Later, Mailbox, Unclear;
    "ErrorMailboxLogonFailed": Unavailable, ServerUnavailable, Later, Mailbox, None;
    "ErrorMailboxMoveInProgress": Unavailable, ServerUnavailable, Later, Mailbox, None;
    "ErrorMailboxStoreUnavailable": Unavailable, ServerUnavailable, Later, Mailbox, Unclear;
    "ErrorMessagePerFolderCountReceiveQuotaExceeded": QuotaExceeded, QuotaExceeded, Never, Mailbox, None;
    "ErrorMessageSizeExceeded": TooLarge, TooLarge, Never, Item, None;
    "ErrorMessageSubmissionBlocked": RateLimited, SendingLimitReached, Later, Mailbox, None;
    "ErrorMessageTrackingTransientError": Unavailable, ServerFault, Later, Mailbox, None;
    "ErrorMimeContentConversionFailed": Corrupt, ItemCorrupt, Never, Item, None;
    "ErrorMimeContentInvalid": InvalidInput, RequestRefused, Never, Item, None;
    "ErrorMimeContentInvalidBase64String": InvalidInput, RequestRefused, Never, Item, None;
    "ErrorMissingEmailAddress": NotFound, MailboxNotFound, Never, Mailbox, None;
    "ErrorMissingRecipients": InvalidInput, RecipientsRefused, Never, Item, None;
    "ErrorMoveCopyFailed": Unavailable, ServerFault, Later, Item, Unclear;
    "ErrorNoApplicableProxyCASServersAvailable": Unavailable, ServerUnavailable, Later, Profile, None;
    "ErrorNoOAuthServerAvailableForRequest": Unauthenticated, CredentialsRejected, Never, Profile, None;
    "ErrorNoPublicFolderServerAvailable": Unavailable, ServerUnavailable, Later, Mailbox, None;
    "ErrorNoRespondingCASInDestinationSite": Unavailable, ServerUnavailable, Later, Profile, None;
    "ErrorNonExistentMailbox": NotFound, MailboxNotFound, Never, Mailbox, None;
    "ErrorNonPrimarySmtpAddress": ConfigInvalid, MailboxNotFound, Never, Mailbox, None;
    "ErrorNotEnoughMemory": Unavailable, ServerUnavailable, Later, Profile, Unclear;
    "ErrorObjectTypeChanged": Conflict, ItemChanged, Later, Item, None;
    "ErrorOrganizationAccessBlocked": PermissionDenied, EwsDisabled, Never, Profile, None;
    "ErrorParentFolderNotFound": NotFound, FolderNotFound, Never, Mailbox, None;
    "ErrorPasswordChangeRequired": Unauthenticated, CredentialsRejected, Never, Mailbox, None;
    "ErrorPasswordExpired": Unauthenticated, CredentialsRejected, Never, Mailbox, None;
    "ErrorProxiedSubscriptionCallFailure": Unavailable, ServerFault, Later, Mailbox, None;
    "ErrorProxyRequestNotAllowed": Unavailable, ServerUnavailable, Later, Mailbox, None;
    "ErrorProxyRequestProcessingFailed": Unavailable, ServerUnavailable, Later, Mailbox, Unclear;
    "ErrorQuotaExceeded": QuotaExceeded, QuotaExceeded, Never, Mailbox, None;
    "ErrorRequestStreamTooBig": TooLarge, TooLarge, Never, Item, None;
    "ErrorSavedItemFolderNotFound": NotFound, FolderNotFound, Never, Mailbox, None;
    "ErrorSendAsDenied": PermissionDenied, SendAsDenied, Never, Item, None;
    "ErrorServerBusy": RateLimited, ServerBusy, Later, Profile, None;
    "ErrorServiceUnavailable": Unavailable, ServerUnavailable, Later, Profile, Unclear;
    "ErrorStaleObject": Conflict, ItemChanged, Later, Item, None;
    "ErrorSubmissionQuotaExceeded": RateLimited, SendingLimitReached, Later, Mailbox, None;
    "ErrorSyncFolderNotFound": NotFound, FolderNotFound, Never, Mailbox, None;
    "ErrorTimeoutExpired": Unavailable, ServerFault, Later, Mailbox, Unclear;
    "ErrorToFolderNotFound": NotFound, FolderNotFound, Never, Mailbox, None;
    "ErrorTooManyObjectsOpened": RateLimited, ServerBusy, Later, Mailbox, None;
    "ErrorUnsupportedMimeConversion": Corrupt, ItemCorrupt, Never, Item, None;
    "ErrorVirusDetected": Corrupt, ItemCorrupt, Never, Item, None;
    "ErrorVirusMessageDeleted": NotFound, ItemNotFound, Never, Item, None;
    "ErrorWrongServerVersion": Unavailable, ServerUnavailable, Later, Mailbox, None;
};

fn meaning(code: &str) -> Option<&'static Meaning> {
    TABLE
        .binary_search_by(|row| row.code.cmp(code))
        .ok()
        .and_then(|at| TABLE.get(at))
}

/// Whether a refused effect may have happened all the same. A code that nobody knows says nothing.
pub(crate) fn effect(refusal: &Refusal) -> Effect {
    meaning(refusal.effective_code()).map_or(Effect::Unclear, |row| row.effect)
}

/// The refusal as the error of an operation.
pub(crate) fn refused(operation: &'static str, refusal: &Refusal, about: About) -> ProviderError {
    let code = refusal.effective_code();
    let mut error = match meaning(code) {
        Some(row) => {
            let retry = if row.again {
                Retry::After(back_off(refusal.back_off))
            } else {
                Retry::Never
            };
            let scope = match (about, row.condition) {
                // A right that is missing on one item says nothing about the others.
                (About::Item, Code::AccessDenied | Code::ServerFault) => Scope::Item,
                _ => row.scope,
            };
            // Both folders and items answer with it.
            let condition = match (about, row.condition) {
                (About::Folder, Code::ItemNotFound) => Code::FolderNotFound,
                (_, condition) => condition,
            };
            ProviderError::new(row.kind, condition, operation)
                .with_retry(retry)
                .with_scope(scope)
        }
        // In a fault permanent for this request, in a message for this item.
        None => {
            let scope = if about == About::Item {
                Scope::Item
            } else {
                Scope::Mailbox
            };
            ProviderError::new(ErrorKind::Protocol, Code::RequestRefused, operation)
                .with_retry(Retry::Never)
                .with_scope(scope)
        }
    };
    error = error.with("ews_code", code);
    if !refusal.text.is_empty() {
        error = error.with("server_said", redacted(&refusal.text));
    }
    if let Some(place) = &refusal.place {
        error = error.with("place", redacted(place));
    }
    error
}

/// A wait that the server asks for. Zero occurs and means: not told.
pub(crate) fn back_off(told: Option<Duration>) -> Option<Duration> {
    told.filter(|wait| !wait.is_zero())
        .map(|wait| wait.min(BACK_OFF_MAX))
}

/// The server's words without addresses of persons.
pub(crate) fn redacted(text: &str) -> String {
    text.split_whitespace()
        .take(80)
        .map(|word| {
            if word.contains('@') {
                "(address)"
            } else {
                word
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether a refusal of a whole batch may be the fault of one of its items, which asking for fewer
/// would find.
pub(crate) fn may_be_one_items_fault(code: &str) -> bool {
    matches!(
        code,
        "ErrorInternalServerError"
            | "ErrorTimeoutExpired"
            | "ErrorDataSizeLimitExceeded"
            | "ErrorItemCorrupt"
            | "ErrorCorruptData"
            | "ErrorMimeContentConversionFailed"
            | "ErrorContentConversionFailed"
            | "ErrorSchemaValidation"
            | "ErrorInvalidId"
            | "ErrorInvalidIdMalformed"
            | "ErrorInvalidIdEmpty"
            | "ErrorInvalidRequest"
            | "ErrorItemPropertyRequestFailed"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_without_repetition() {
        for pair in TABLE.windows(2) {
            assert!(
                pair[0].code < pair[1].code,
                "{} {}",
                pair[0].code,
                pair[1].code
            );
        }
    }

    #[test]
    fn what_a_person_must_mend_is_not_tried_again_and_what_passes_is() {
        for (code, kind, condition, again) in [
            (
                "ErrorServerBusy",
                ErrorKind::RateLimited,
                Code::ServerBusy,
                true,
            ),
            (
                "ErrorImpersonateUserDenied",
                ErrorKind::PermissionDenied,
                Code::ImpersonationDenied,
                false,
            ),
            (
                "ErrorNonExistentMailbox",
                ErrorKind::NotFound,
                Code::MailboxNotFound,
                false,
            ),
            (
                "ErrorQuotaExceeded",
                ErrorKind::QuotaExceeded,
                Code::QuotaExceeded,
                false,
            ),
            (
                "ErrorSendAsDenied",
                ErrorKind::PermissionDenied,
                Code::SendAsDenied,
                false,
            ),
            (
                "ErrorItemNotFound",
                ErrorKind::NotFound,
                Code::ItemNotFound,
                false,
            ),
            (
                "ErrorMailboxFailover",
                ErrorKind::Unavailable,
                Code::ServerUnavailable,
                true,
            ),
            (
                "ErrorInvalidSyncStateData",
                ErrorKind::CursorInvalid,
                Code::CursorInvalid,
                false,
            ),
            (
                "ErrorNobodyKnowsThis",
                ErrorKind::Protocol,
                Code::RequestRefused,
                false,
            ),
        ] {
            let error = refused("mail.changes", &Refusal::new(code, ""), About::Request);
            assert_eq!((error.kind(), error.code()), (kind, condition), "{code}");
            assert_eq!(matches!(error.retry(), Retry::After(_)), again, "{code}");
            assert_eq!(error.context()["ews_code"], code);
        }
    }

    #[test]
    fn hints_are_kept_and_zero_is_none() {
        let mut busy = Refusal::new("ErrorInternalServerError", "");
        busy.inner = Some("ErrorServerBusy".to_owned());
        for (told, kept) in [
            (29_537, Some(29_537)),
            (0, None),
            (u64::MAX, Some(3_600_000)),
        ] {
            busy.back_off = Some(Duration::from_millis(told));
            let error = refused("mail.fetch", &busy, About::Request);
            assert_eq!(error.code(), Code::ServerBusy);
            assert_eq!(error.retry(), Retry::After(kept.map(Duration::from_millis)));
        }
    }

    #[test]
    fn the_servers_words_come_without_addresses() {
        let refusal = Refusal::new(
            "ErrorNonExistentMailbox",
            "No mailbox for ada@example.org here.",
        );
        let error = refused("mail.changes", &refusal, About::Request);
        assert_eq!(
            error.context()["server_said"],
            "No mailbox for (address) here."
        );
    }

    #[test]
    fn an_unclear_effect_is_never_taken_for_none() {
        assert_eq!(effect(&Refusal::new("ErrorSendAsDenied", "")), Effect::None);
        assert_eq!(
            effect(&Refusal::new("ErrorTimeoutExpired", "")),
            Effect::Unclear
        );
        assert_eq!(
            effect(&Refusal::new("ErrorNobodyKnowsThis", "")),
            Effect::Unclear
        );
    }
}
