//! Whose fault a failure is: the message's, or that of everything behind the cycle.

use std::time::Duration;

use postroom_core::catalogue::Scope;
use postroom_core::schedule::WAIT_MAX;
use postroom_core::{Code, Timestamp, planted};
use postroom_provider::{ErrorKind, ProviderError, Retry};
use postroom_store::StoreError;

use crate::error::EngineError;

/// Why a cycle ended before it was through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CycleStop {
    /// It failed as a whole.
    Failed(CycleFailure),
    /// The engine is stopping.
    Cancelled,
    /// Another worker has the lease.
    LeaseLost,
}

/// What a cycle failed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CycleFailure {
    pub(crate) code: Code,
    /// The wait that the server asked for.
    pub(crate) retry_after: Option<Duration>,
    /// The error in one line, for the alert.
    pub(crate) text: String,
}

impl CycleFailure {
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            retry_after: None,
            text: text.into(),
        }
    }
}

impl From<CycleFailure> for CycleStop {
    fn from(failure: CycleFailure) -> Self {
        Self::Failed(failure)
    }
}

impl From<&ProviderError> for CycleStop {
    fn from(error: &ProviderError) -> Self {
        if error.kind() == ErrorKind::Cancelled {
            if error.code() == Code::LeaseLost {
                return Self::LeaseLost;
            }
            return Self::Cancelled;
        }
        let retry_after = match error.retry() {
            Retry::After(_) if planted!(ThrottlingHintIgnored) => None,
            Retry::After(wait) => wait,
            Retry::Never | Retry::OutcomeUnknown | Retry::Exhausted => None,
        };
        Self::Failed(CycleFailure {
            code: error.code(),
            retry_after,
            text: error.to_string(),
        })
    }
}

impl From<ProviderError> for CycleStop {
    fn from(error: ProviderError) -> Self {
        Self::from(&error)
    }
}

impl From<StoreError> for CycleStop {
    fn from(error: StoreError) -> Self {
        match error.kind() {
            postroom_store::ErrorKind::LeaseLost => Self::LeaseLost,
            _ => CycleFailure::new(error.code(), error.to_string()).into(),
        }
    }
}

impl From<EngineError> for CycleStop {
    fn from(error: EngineError) -> Self {
        match (error.kind(), error.code()) {
            (crate::error::ErrorKind::Cancelled, _) => Self::Cancelled,
            (_, Code::LeaseLost) => Self::LeaseLost,
            (_, code) => CycleFailure::new(code, error.to_string()).into(),
        }
    }
}

/// What the application answered for a whole batch: nothing is counted against a message.
pub(crate) fn crm_failure(error: &StoreError) -> CycleStop {
    let code = match error.kind() {
        postroom_store::ErrorKind::Unavailable => Code::CrmUnavailable,
        _ => error.code(),
    };
    CycleFailure::new(code, error.to_string()).into()
}

/// What a failure that a provider reports for one message means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// The message is no longer there.
    Vanished,
    /// The message's own fault: counts as an attempt.
    Item(Code),
    /// Not its fault: the cycle ends, nothing is counted.
    Cycle(CycleStop),
}

/// Weighs a failure that a provider reports for one message of a batch.
pub(crate) fn weigh(error: &ProviderError) -> Weight {
    match error.kind() {
        ErrorKind::NotFound => Weight::Vanished,
        ErrorKind::Cancelled
        | ErrorKind::Unauthenticated
        | ErrorKind::ConfigInvalid
        | ErrorKind::RateLimited
        | ErrorKind::Unavailable
        | ErrorKind::Timeout
        | ErrorKind::Untrusted
        | ErrorKind::CursorInvalid => Weight::Cycle(error.into()),
        _ if matches!(error.scope(), Scope::Profile | Scope::Organization) => {
            Weight::Cycle(error.into())
        }
        _ => Weight::Item(error.code()),
    }
}

/// Whether a batch that failed as a whole may have failed because of one message in it: an answer
/// that broke off, took too long, or made no sense. Then each message is tried alone. Promise 6.
pub(crate) fn may_be_poisoned(error: &ProviderError) -> bool {
    match error.kind() {
        ErrorKind::Timeout
        | ErrorKind::Protocol
        | ErrorKind::Internal
        | ErrorKind::Corrupt
        | ErrorKind::TooLarge
        | ErrorKind::InvalidInput => true,
        ErrorKind::Unavailable => {
            matches!(error.code(), Code::ConnectionLost | Code::ServerFault)
        }
        _ => false,
    }
}

/// Whether a failure reported for one message says nothing about that message: a server in trouble
/// answers so for every one. Who is to blame shows in what the server answers for others.
pub(crate) fn may_be_the_servers(error: &ProviderError) -> bool {
    match error.kind() {
        ErrorKind::Timeout | ErrorKind::Protocol | ErrorKind::Internal => true,
        ErrorKind::Unavailable => {
            matches!(error.code(), Code::ConnectionLost | Code::ServerFault)
        }
        _ => false,
    }
}

/// When a message that failed is tried again: after one minute, then four, and so on up to an hour.
pub(crate) fn item_retry_at(attempts: u32, now: Timestamp) -> Timestamp {
    let minutes = 4_u64.saturating_pow(attempts.min(8));
    now.plus(Duration::from_secs(minutes * 60).min(WAIT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_message_itself_is_to_blame_for_item_failures() {
        let weigh_as = |kind, code| weigh(&ProviderError::new(kind, code, "mail.fetch"));
        assert_eq!(
            weigh_as(ErrorKind::Corrupt, Code::ItemCorrupt),
            Weight::Item(Code::ItemCorrupt)
        );
        assert_eq!(
            weigh_as(ErrorKind::Protocol, Code::ProtocolViolation),
            Weight::Item(Code::ProtocolViolation)
        );
        assert_eq!(
            weigh_as(ErrorKind::NotFound, Code::ItemNotFound),
            Weight::Vanished
        );
        for (kind, code) in [
            (ErrorKind::Unavailable, Code::ServerUnavailable),
            (ErrorKind::RateLimited, Code::ServerBusy),
            (ErrorKind::Timeout, Code::ConnectionTimedOut),
            (ErrorKind::Unauthenticated, Code::CredentialsRejected),
            (ErrorKind::PermissionDenied, Code::ImpersonationDenied),
        ] {
            assert!(matches!(weigh_as(kind, code), Weight::Cycle(_)), "{code}");
        }
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        let now = Timestamp::EPOCH;
        let minutes: Vec<_> = [0, 1, 2, 3, 100]
            .map(|attempts| item_retry_at(attempts, now).as_millis() / 60_000)
            .into();
        assert_eq!(minutes, [1, 4, 16, 60, 60]);
    }

    #[test]
    fn an_outage_is_not_a_poisoned_batch() {
        let error = |kind, code| ProviderError::new(kind, code, "mail.fetch");
        assert!(may_be_poisoned(&error(
            ErrorKind::Timeout,
            Code::ConnectionTimedOut
        )));
        assert!(may_be_poisoned(&error(
            ErrorKind::Unavailable,
            Code::ConnectionLost
        )));
        assert!(!may_be_poisoned(&error(
            ErrorKind::Unavailable,
            Code::ServerUnavailable
        )));
        assert!(!may_be_poisoned(&error(
            ErrorKind::Unauthenticated,
            Code::CredentialsRejected
        )));
    }
}
