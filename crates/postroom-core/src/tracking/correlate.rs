//! Picks the email that a message belongs to, or says why there is none.
//!
//! Order: what a delivery report is about, In-Reply-To, References, tracking token, conversation index, smart matching. The first
//! that finds one answer decides; the others are not tried. What was tried is kept as evidence.
//!
//! **One answer.** Several candidates are one answer when they regard the same record (none at all
//! counts as the same: nothing is inherited then), or when all lie in one conversation; the newest
//! wins. Otherwise the method is ambiguous and does not guess. An exact identifier is never
//! ambiguous: where aliases collide, the newest wins and the evidence says so.
//!
//! Source: domain sections 7 and 8, design section 6.

use crate::email::{EmailHeaders, MessageId};
use crate::tracking::terms::{address_terms, shared};
use crate::tracking::{
    CANDIDATES_MAX, Candidates, Correlation, CorrelationMatch, CorrelationMethod, CorrelationQuery,
    CorrelationRules, CorrelationStep, IndexedEmail, StepOutcome,
};

use CorrelationMethod as Method;

type ByMethod = fn(&EmailHeaders, &CorrelationQuery, &Candidates, &CorrelationRules) -> Finding;

const METHODS: [ByMethod; 6] = [
    by_delivery_report,
    by_in_reply_to,
    by_references,
    by_token,
    by_conversation,
    by_smart_matching,
];

/// Picks the email that a message belongs to, or says why there is none.
///
/// `query` is what the index was asked, and `candidates` what it answered. Smart matching is tried
/// only where the query asks for it; ask for it when the exact methods led to nothing
/// (see [`CorrelationQuery::smart`]).
#[must_use]
pub fn correlate(
    headers: &EmailHeaders,
    query: &CorrelationQuery,
    candidates: &Candidates,
    rules: &CorrelationRules,
) -> Correlation {
    let mut correlation = Correlation::default();
    // Nearly no message is a report: the others need not hear of it.
    let first = usize::from(headers.reported.is_none());
    for method in METHODS.iter().skip(first) {
        let Finding { step, matched } = method(headers, query, candidates, rules);
        correlation.steps.push(step);
        if matched.is_some() {
            correlation.matched = matched;
            break;
        }
    }
    correlation
}

/// What one method came to.
struct Finding {
    step: CorrelationStep,
    matched: Option<CorrelationMatch>,
}

impl Finding {
    fn none(
        method: Method,
        outcome: StepOutcome,
        candidates: usize,
        note: impl Into<String>,
    ) -> Self {
        Self {
            step: CorrelationStep {
                method,
                outcome,
                candidates: u32::try_from(candidates).unwrap_or(u32::MAX),
                note: note.into(),
            },
            matched: None,
        }
    }

    fn matched(
        method: Method,
        email: &IndexedEmail,
        parent: bool,
        candidates: usize,
        note: String,
    ) -> Self {
        Self {
            matched: Some(CorrelationMatch {
                method,
                email: email.record,
                regarding: email.regarding,
                parent,
            }),
            ..Self::none(method, StepOutcome::Matched, candidates, note)
        }
    }
}

/// The newest of several emails; the record's id decides between equals, so that the answer never
/// depends on the order of the index.
fn newest<'a>(emails: impl IntoIterator<Item = &'a IndexedEmail>) -> Option<&'a IndexedEmail> {
    emails
        .into_iter()
        .max_by_key(|email| (email.at, email.record))
}

fn one_answer<'a>(emails: &[&'a IndexedEmail]) -> Option<&'a IndexedEmail> {
    let first = emails.first()?;
    let same_regarding = emails
        .iter()
        .all(|email| email.regarding == first.regarding);
    let root =
        |email: &'a IndexedEmail| email.conversation_index.as_ref().map(|index| index.root());
    let same_conversation =
        root(first).is_some() && emails.iter().all(|email| root(email) == root(first));
    if same_regarding || same_conversation {
        newest(emails.iter().copied())
    } else {
        None
    }
}

/// A report belongs to what it reports on, whatever is switched off for answers.
fn by_delivery_report(
    headers: &EmailHeaders,
    _: &CorrelationQuery,
    candidates: &Candidates,
    _: &CorrelationRules,
) -> Finding {
    by_identifiers(Method::DeliveryReport, headers.reported.iter(), candidates)
}

fn by_in_reply_to(
    headers: &EmailHeaders,
    query: &CorrelationQuery,
    candidates: &Candidates,
    rules: &CorrelationRules,
) -> Finding {
    if !rules.settings().in_reply_to {
        return Finding::none(Method::InReplyTo, StepOutcome::Off, 0, "switched off");
    }
    if headers.in_reply_to.is_empty() {
        return Finding::none(
            Method::InReplyTo,
            StepOutcome::NotApplicable,
            0,
            "the message has no In-Reply-To",
        );
    }
    by_identifiers(
        Method::InReplyTo,
        query
            .message_ids
            .iter()
            .filter(|id| headers.in_reply_to.contains(id)),
        candidates,
    )
}

fn by_references(
    headers: &EmailHeaders,
    query: &CorrelationQuery,
    candidates: &Candidates,
    rules: &CorrelationRules,
) -> Finding {
    if !rules.settings().in_reply_to {
        return Finding::none(Method::References, StepOutcome::Off, 0, "switched off");
    }
    if headers.references.is_empty() {
        return Finding::none(
            Method::References,
            StepOutcome::NotApplicable,
            0,
            "the message has no References",
        );
    }
    by_identifiers(Method::References, query.message_ids.iter(), candidates)
}

/// The newest email with the first identifier that any email has.
fn by_identifiers<'a>(
    method: Method,
    ids: impl Iterator<Item = &'a MessageId>,
    candidates: &Candidates,
) -> Finding {
    let known = candidates
        .by_message_id
        .get(..CANDIDATES_MAX)
        .unwrap_or(&candidates.by_message_id);
    for id in ids {
        let found: Vec<_> = known
            .iter()
            .filter(|email| email.message_ids.contains(id))
            .collect();
        let Some(email) = newest(found.iter().copied()) else {
            continue;
        };
        let note = if found.len() == 1 {
            "the message that it answers is on record".to_owned()
        } else {
            format!(
                "{} emails on record have the identifier that it answers; the newest was taken",
                found.len()
            )
        };
        return Finding::matched(
            method,
            email,
            matches!(method, Method::InReplyTo | Method::DeliveryReport),
            found.len(),
            note,
        );
    }
    Finding::none(
        method,
        StepOutcome::NoMatch,
        0,
        "no email on record has an identifier that it names",
    )
}

fn by_token(
    headers: &EmailHeaders,
    query: &CorrelationQuery,
    candidates: &Candidates,
    rules: &CorrelationRules,
) -> Finding {
    let settings = &rules.settings().token;
    if !settings.enabled {
        return Finding::none(Method::TrackingToken, StepOutcome::Off, 0, "switched off");
    }
    if query.tokens.is_empty() {
        return Finding::none(
            Method::TrackingToken,
            StepOutcome::NotApplicable,
            0,
            "the subject has no token",
        );
    }
    let known = candidates
        .by_token
        .get(..CANDIDATES_MAX)
        .unwrap_or(&candidates.by_token);
    // Hashing is worth it only where there is something to compare with.
    let participants = if known.is_empty() {
        Vec::new()
    } else {
        address_terms(headers, rules)
    };
    let mut failure = Finding::none(
        Method::TrackingToken,
        StepOutcome::NoMatch,
        0,
        format!(
            "no email on record has {}",
            counted(query.tokens.len(), "the token", "one of the tokens")
        ),
    );
    for token in &query.tokens {
        let holders: Vec<_> = known
            .iter()
            .filter(|email| email.token.as_ref() == Some(token))
            .collect();
        if holders.is_empty() {
            continue;
        }
        let in_common = |email: &IndexedEmail| shared(&email.address_terms, &participants);
        let accepted: Vec<_> = holders
            .iter()
            .copied()
            .filter(|email| !settings.require_shared_participant || in_common(email) > 0)
            .collect();
        if accepted.is_empty() {
            failure = Finding::none(
                Method::TrackingToken,
                StepOutcome::Refused,
                holders.len(),
                format!(
                    "token {} is on {}, but nobody takes part in both",
                    token.as_str(),
                    counted(holders.len(), "one stored email", "stored emails")
                ),
            );
            continue;
        }
        let Some(email) = one_answer(&accepted) else {
            failure = Finding::none(
                Method::TrackingToken,
                StepOutcome::Ambiguous,
                accepted.len(),
                format!(
                    "token {} is on {} stored emails that regard different records",
                    token.as_str(),
                    accepted.len()
                ),
            );
            continue;
        };
        let note = format!(
            "token {} is on {}, with {} in common",
            token.as_str(),
            counted(accepted.len(), "one stored email", "stored emails"),
            counted(in_common(email), "one participant", "participants"),
        );
        return Finding::matched(Method::TrackingToken, email, false, accepted.len(), note);
    }
    failure
}

fn by_conversation(
    headers: &EmailHeaders,
    _query: &CorrelationQuery,
    candidates: &Candidates,
    rules: &CorrelationRules,
) -> Finding {
    if !rules.settings().conversation_index {
        return Finding::none(
            Method::ConversationIndex,
            StepOutcome::Off,
            0,
            "switched off",
        );
    }
    let Some(index) = &headers.conversation_index else {
        return Finding::none(
            Method::ConversationIndex,
            StepOutcome::NotApplicable,
            0,
            "the message has no conversation index",
        );
    };
    let known = candidates
        .by_conversation
        .get(..CANDIDATES_MAX)
        .unwrap_or(&candidates.by_conversation);
    let members: Vec<_> = known
        .iter()
        .filter(|email| {
            email
                .conversation_index
                .as_ref()
                .is_some_and(|other| other.root() == index.root())
        })
        .collect();
    // Each reply appends five bytes to the index of what it answers.
    let parent = newest(members.iter().copied().filter(|email| {
        email.conversation_index.as_ref().is_some_and(|other| {
            other.as_bytes().len() + 5 == index.as_bytes().len()
                && index.as_bytes().starts_with(other.as_bytes())
        })
    }));
    if let Some(email) = parent {
        let note = "the message that it answers in the conversation is on record".to_owned();
        return Finding::matched(Method::ConversationIndex, email, true, members.len(), note);
    }
    let agreed = members
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if a.regarding == b.regarding));
    if candidates.conversation_cut && !agreed {
        return Finding::none(
            Method::ConversationIndex,
            StepOutcome::Ambiguous,
            members.len(),
            "the conversation has more emails on record than are looked at, and they regard different records",
        );
    }
    match newest(members.iter().copied()) {
        Some(email) => {
            let note = format!(
                "{} of the conversation on record",
                counted(members.len(), "one email is", "emails are")
            );
            Finding::matched(Method::ConversationIndex, email, false, members.len(), note)
        }
        None => Finding::none(
            Method::ConversationIndex,
            StepOutcome::NoMatch,
            0,
            "no email of the conversation is on record",
        ),
    }
}

fn by_smart_matching(
    _headers: &EmailHeaders,
    query: &CorrelationQuery,
    candidates: &Candidates,
    rules: &CorrelationRules,
) -> Finding {
    if !rules.settings().smart_matching.enabled {
        return Finding::none(Method::SmartMatching, StepOutcome::Off, 0, "switched off");
    }
    let Some(smart) = &query.smart else {
        return Finding::none(
            Method::SmartMatching,
            StepOutcome::NotApplicable,
            0,
            "the subject has no words to compare, or the message names too few addresses",
        );
    };
    let delta = usize::from(smart.subject_delta);
    let known = candidates
        .by_smart_matching
        .get(..CANDIDATES_MAX)
        .unwrap_or(&candidates.by_smart_matching);
    let alike: Vec<_> = known
        .iter()
        .filter(|email| {
            let words = shared(&email.subject_terms, &smart.subject_terms);
            email.at >= smart.since
                && words > 0
                && email.subject_terms.len() - words <= delta
                && smart.subject_terms.len().saturating_sub(words) <= delta
                && shared(&email.address_terms, &smart.address_terms)
                    >= usize::from(smart.addresses_min)
        })
        .collect();
    if alike.is_empty() {
        return Finding::none(
            Method::SmartMatching,
            StepOutcome::NoMatch,
            known.len(),
            "no email on record has the same subject words and enough addresses in common",
        );
    }
    let answer = if candidates.smart_cut {
        None
    } else {
        one_answer(&alike)
    };
    match answer {
        Some(email) => {
            let note = format!(
                "{} the same subject words, with {} in common",
                counted(
                    alike.len(),
                    "one email on record has",
                    "emails on record have"
                ),
                counted(
                    shared(&email.address_terms, &smart.address_terms),
                    "one address",
                    "addresses"
                ),
            );
            Finding::matched(Method::SmartMatching, email, false, alike.len(), note)
        }
        None => Finding::none(
            Method::SmartMatching,
            StepOutcome::Ambiguous,
            alike.len(),
            if candidates.smart_cut {
                "more emails are alike than are looked at".to_owned()
            } else {
                format!(
                    "{} emails are alike and regard different records",
                    alike.len()
                )
            },
        ),
    }
}

/// "one stored email" or "3 stored emails".
fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 {
        one.to_owned()
    } else {
        format!("{count} {many}")
    }
}

#[cfg(test)]
mod tests;
