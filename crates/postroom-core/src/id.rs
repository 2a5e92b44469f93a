//! Identifiers: one newtype each, so that one can never be passed for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

/// The text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id; ids look like 0193b8a0-5d3e-7c41-9f4e-2b7d1c0a6e55, and lists show them")]
#[non_exhaustive]
pub struct ParseIdError;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes an id of 16 random bytes (version and variant bits are set here).
            #[must_use]
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
            }

            /// Makes an id that sorts by when it was made, of 16 random bytes, most of which are used.
            /// Where many are kept, such ids stay close together.
            ///
            /// Source: RFC 9562 section 5.7 (version 7).
            #[must_use]
            pub fn in_order(made_at: Timestamp, random: [u8; 16]) -> Self {
                let millis = u64::try_from(made_at.as_millis()).unwrap_or_default();
                let [_, _, _, _, _, _, random @ ..] = random;
                let id = uuid::Builder::from_unix_timestamp_millis(millis, &random);
                Self(id.into_uuid())
            }

            /// Takes an id that already exists, from the store or the application.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID inside.
            #[must_use]
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.as_hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self).map_err(|_unreadable| ParseIdError)
            }
        }
    )*};
}

id! {
    /// An organization: one store holds exactly one.
    OrganizationId;
    /// A server profile: how to reach a mail system.
    ProfileId;
    /// A mailbox: one address of one user or queue.
    MailboxId;
    /// A party: a user, queue, contact, account or lead of the application.
    PartyId;
    /// A record of the application, such as an email activity or the case it regards.
    RecordId;
    /// A row of the ledger: one server message that was ever in scope.
    LedgerId;
    /// An entry of the outbox: one outgoing email.
    OutboxId;
    /// An alert.
    AlertId;
    /// A background job, such as a Test & Enable run.
    JobId;
    /// Whoever holds leases: one running engine.
    HolderId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_order_sort_by_time_and_differ_by_chance() {
        let at = |millis, byte| LedgerId::in_order(Timestamp::from_millis(millis), [byte; 16]);
        assert!(at(1_800_000_000_000, 255) < at(1_800_000_000_001, 0));
        assert_ne!(at(1_800_000_000_000, 1), at(1_800_000_000_000, 2));
        // A clock before 1970 is no reason to fail.
        assert_ne!(at(-1, 1), at(-1, 2));
    }
}
