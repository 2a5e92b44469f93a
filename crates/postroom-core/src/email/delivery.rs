//! What mail systems say afterwards about an email that was sent: delivery status notifications.
//!
//! Source: RFC 3464; ews-notes section 12.

use serde::{Deserialize, Serialize};

use crate::address::EmailAddress;
use crate::email::MessageId;
use crate::time::Timestamp;

/// Longest diagnostic that is kept, in characters.
const DIAGNOSTIC_LENGTH_MAX: usize = 500;

/// What has become of an email on its way to one recipient. Source: RFC 3464 section 2.3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliveryOutcome {
    /// It cannot be delivered, and nobody tries again.
    Failed,
    /// It is not delivered yet; attempts go on.
    Delayed,
    /// It is in the recipient's mailbox.
    Delivered,
    /// It went to a system that tells no more.
    Relayed,
    /// It went to the members of a list.
    Expanded,
}

impl DeliveryOutcome {
    /// Whether nothing more is to be expected.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Delayed)
    }

    /// In a word, as stored and shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }
}

/// What was said about one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecipientDelivery {
    /// The recipient, as it was addressed where the report tells, and as it failed otherwise.
    pub address: EmailAddress,
    /// What has become of it.
    pub outcome: DeliveryOutcome,
    /// The enhanced status code, such as `5.1.1`. Source: RFC 3463.
    pub status: Option<String>,
    /// The words of the system that refused or took it, at most 500 characters; empty where there are none.
    pub diagnostic: String,
    /// When that was told.
    pub at: Timestamp,
}

impl RecipientDelivery {
    /// Something that was said about a recipient.
    #[must_use]
    pub const fn new(address: EmailAddress, outcome: DeliveryOutcome, at: Timestamp) -> Self {
        Self {
            address,
            outcome,
            status: None,
            diagnostic: String::new(),
            at,
        }
    }

    /// The same with a diagnostic, cut to what is kept.
    #[must_use]
    pub fn with_diagnostic(mut self, text: &str) -> Self {
        self.diagnostic = text.chars().take(DIAGNOSTIC_LENGTH_MAX).collect();
        self
    }
}

/// A delivery status notification, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryReport {
    /// The email that it is about, where it tells.
    pub message_id: Option<MessageId>,
    /// What it says, recipient by recipient.
    pub recipients: Vec<RecipientDelivery>,
}

impl DeliveryReport {
    /// What the report says about the recipients of an email.
    ///
    /// Mail that is forwarded fails under an address that nobody here has written to. Where there is but one
    /// recipient it is the one that is meant; otherwise it cannot be told.
    #[must_use]
    pub fn about(&self, recipients: &[EmailAddress]) -> Vec<RecipientDelivery> {
        let mut told: Vec<RecipientDelivery> = Vec::new();
        let only = match recipients {
            [only] => Some(only),
            _ => None,
        };
        for said in &self.recipients {
            let named = recipients
                .iter()
                .find(|address| address.normalized() == said.address.normalized());
            let Some(address) = named.or(only) else {
                continue;
            };
            let mut said = said.clone();
            said.address = address.clone();
            merge(&mut told, said);
        }
        told
    }
}

/// Adds what was said about a recipient: the newest word counts, but a delay does not take back an end.
pub(crate) fn merge(told: &mut Vec<RecipientDelivery>, said: RecipientDelivery) {
    match told.iter_mut().find(|known| known.address == said.address) {
        None => told.push(said),
        Some(known) => {
            let newer = said.at >= known.at;
            let ends = said.outcome.is_final() && !known.outcome.is_final();
            let takes_back = known.outcome.is_final() && !said.outcome.is_final();
            if ends || newer && !takes_back {
                *known = said;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeliveryOutcome::{Delayed, Delivered, Failed};

    fn said(address: &str, outcome: DeliveryOutcome, seconds: i64) -> RecipientDelivery {
        let at = Timestamp::from_seconds(seconds);
        RecipientDelivery::new(address.parse().unwrap(), outcome, at)
    }

    #[test]
    fn the_newest_word_counts_but_a_delay_takes_nothing_back() {
        let check = |words: &[(DeliveryOutcome, i64)], expected| {
            let mut told = Vec::new();
            for (outcome, at) in words {
                merge(&mut told, said("a@example.org", *outcome, *at));
            }
            assert_eq!(told.len(), 1);
            assert_eq!(told[0].outcome, expected, "{words:?}");
        };
        check(&[(Delayed, 1), (Failed, 2)], Failed);
        check(&[(Failed, 1), (Delayed, 2)], Failed);
        // Reports come in any order.
        check(&[(Delayed, 5), (Failed, 2)], Failed);
        check(&[(Delivered, 1), (Failed, 2)], Failed);
        check(&[(Failed, 2), (Delivered, 1)], Failed);
    }

    #[test]
    fn recipients_are_found_without_case_and_a_forwarded_one_where_it_is_the_only_one() {
        let mut report = DeliveryReport {
            message_id: None,
            recipients: vec![
                said("Ada@Example.org", Failed, 1),
                said("stranger@elsewhere.example", Failed, 1),
            ],
        };
        let two = ["ada@example.org", "bob@example.org"].map(|a| a.parse().unwrap());
        let told = report.about(&two);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].address.as_str(), "ada@example.org");
        report.recipients.remove(0);
        assert_eq!(report.about(&two), []);
        let one = ["bob@example.org".parse().unwrap()];
        assert_eq!(report.about(&one)[0].address.as_str(), "bob@example.org");
    }
}
