//! What to ask the index for one message.

use std::time::Duration;

use crate::email::{EmailHeaders, MessageId};
use crate::time::Timestamp;
use crate::tracking::terms::{address_terms, subject_key, subject_terms};
use crate::tracking::token::find_in_subject;
use crate::tracking::{CorrelationQuery, CorrelationRules, SmartQuery};

/// At most so many identifiers of In-Reply-To are looked up.
pub const IN_REPLY_TO_MAX: usize = 8;

/// At most so many identifiers are looked up in all; of References the nearest ancestors.
pub const MESSAGE_IDS_MAX: usize = 32;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl CorrelationQuery {
    /// What the methods ask that need no guessing: Message-IDs, tokens, conversation.
    #[must_use]
    pub fn exact(headers: &EmailHeaders, rules: &CorrelationRules) -> Self {
        let settings = rules.settings();
        Self {
            message_ids: if settings.in_reply_to {
                message_ids(headers)
            } else {
                headers.reported.iter().cloned().collect()
            },
            tokens: if settings.token.enabled {
                find_in_subject(&headers.subject, &settings.token)
            } else {
                Vec::new()
            },
            conversation_root: headers
                .conversation_index
                .as_ref()
                .filter(|_| settings.conversation_index)
                .map(|index| index.root().to_vec()),
            smart: None,
        }
    }

    /// What smart matching asks; `None` where it is off, the subject has no word, or the message
    /// names fewer addresses than must be shared.
    ///
    /// It is the dearest question: ask it only when [`Self::exact`] led to nothing.
    #[must_use]
    pub fn smart(
        headers: &EmailHeaders,
        rules: &CorrelationRules,
        now: Timestamp,
    ) -> Option<SmartQuery> {
        let settings = &rules.settings().smart_matching;
        if !settings.enabled {
            return None;
        }
        let subject_terms = subject_terms(&headers.subject, rules);
        let address_terms = address_terms(headers, rules);
        let addresses_min = settings.addresses_min.max(1);
        if subject_terms.is_empty() || address_terms.len() < usize::from(addresses_min) {
            return None;
        }
        let since = now.minus(DAY.saturating_mul(u32::from(settings.window_days)));
        let mut query = SmartQuery::new(
            subject_key(&subject_terms),
            subject_terms,
            address_terms,
            since,
        );
        query.subject_delta = settings.subject_delta;
        query.addresses_min = addresses_min;
        Some(query)
    }

    /// Everything at once, for callers that do not mind the cost.
    #[must_use]
    pub fn full(headers: &EmailHeaders, rules: &CorrelationRules, now: Timestamp) -> Self {
        Self {
            smart: Self::smart(headers, rules, now),
            ..Self::exact(headers, rules)
        }
    }

    /// Whether there is nothing to ask.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.message_ids.is_empty()
            && self.tokens.is_empty()
            && self.conversation_root.is_none()
            && self.smart.is_none()
    }
}

/// What it reports on, In-Reply-To, then the ancestors, nearest first; each once, never the message itself.
fn message_ids(headers: &EmailHeaders) -> Vec<MessageId> {
    let mut ids: Vec<MessageId> = Vec::new();
    let parents = headers.in_reply_to.iter().take(IN_REPLY_TO_MAX);
    let parents = headers.reported.iter().chain(parents);
    for id in parents.chain(headers.references.iter().rev().take(MESSAGE_IDS_MAX)) {
        if ids.len() == MESSAGE_IDS_MAX {
            break;
        }
        if headers.message_id.as_ref() != Some(id) && !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracking::CorrelationSettings;

    fn rules(change: impl FnOnce(&mut CorrelationSettings)) -> CorrelationRules {
        let mut settings = CorrelationSettings::default();
        change(&mut settings);
        CorrelationRules::new(settings).unwrap()
    }

    fn headers() -> EmailHeaders {
        EmailHeaders {
            message_id: Some("me@x".parse().unwrap()),
            in_reply_to: vec!["parent@x".parse().unwrap(), "me@x".parse().unwrap()],
            references: ["root@x", "middle@x", "parent@x"]
                .map(|id| id.parse().unwrap())
                .into(),
            subject: "Re: Offer CRM:001001".to_owned(),
            from: Some(
                "a@example.org"
                    .parse::<crate::EmailAddress>()
                    .unwrap()
                    .into(),
            ),
            to: vec![
                "b@example.org"
                    .parse::<crate::EmailAddress>()
                    .unwrap()
                    .into(),
            ],
            ..EmailHeaders::default()
        }
    }

    #[test]
    fn the_nearest_ancestors_come_first_and_the_message_itself_never() {
        let query = CorrelationQuery::exact(&headers(), &rules(|_| {}));
        let ids: Vec<_> = query.message_ids.iter().map(MessageId::as_str).collect();
        assert_eq!(ids, ["parent@x", "middle@x", "root@x"]);
        assert_eq!(query.tokens.len(), 1);
        assert!(query.smart.is_none());
    }

    #[test]
    fn thousands_of_references_are_cut_to_the_nearest() {
        let mut headers = headers();
        headers.references = (0..5000)
            .map(|n| format!("{n}@x").parse().unwrap())
            .collect();
        headers.in_reply_to = headers.references.clone();
        let query = CorrelationQuery::exact(&headers, &rules(|_| {}));
        assert_eq!(query.message_ids.len(), MESSAGE_IDS_MAX);
        assert!(query.message_ids.iter().any(|id| id.as_str() == "4999@x"));
    }

    #[test]
    fn what_is_off_is_not_asked() {
        let rules = rules(|s| {
            s.in_reply_to = false;
            s.token.enabled = false;
            s.conversation_index = false;
            s.smart_matching.enabled = false;
        });
        assert!(CorrelationQuery::full(&headers(), &rules, Timestamp::EPOCH).is_empty());
    }

    #[test]
    fn smart_matching_needs_words_and_addresses() {
        let now = Timestamp::from_seconds(100 * 86_400);
        let query = CorrelationQuery::smart(&headers(), &rules(|_| {}), now).unwrap();
        assert_eq!(query.since, Timestamp::from_seconds(10 * 86_400));
        assert_eq!(query.subject_terms.len(), 1);
        let mut wordless = headers();
        wordless.subject = "Re: CRM:001001".to_owned();
        assert!(CorrelationQuery::smart(&wordless, &rules(|_| {}), now).is_none());
        let mut lonely = headers();
        lonely.to.clear();
        assert!(CorrelationQuery::smart(&lonely, &rules(|_| {}), now).is_none());
    }
}
