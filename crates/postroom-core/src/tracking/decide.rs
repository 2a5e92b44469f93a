//! The accept decision: whether a message becomes a record, and on whose behalf.
//!
//! Order, first that applies decides (domain section 6, "Accept decision"):
//! 1. a message of Postroom itself, a draft, a message from before the start: not recorded;
//! 2. content on record: joined. An email between two users is the exception where the organization
//!    wants two activities: then the sent one on record does not stand for the received one;
//! 3. the filter of **every** user and queue that a recipient resolves to, in the order of the
//!    recipients. The first that accepts is the accepting one;
//! 4. the mailbox itself, where no recipient names it: its filter `All` accepts (Bcc, lists);
//! 5. otherwise not recorded.
//!
//! All filters but `None` accept what correlates: who wants email from contacts wants the contact's
//! colleague to be able to answer, too.

use crate::address::EmailAddress;
use crate::email::{Direction, EmailHeaders, KnownEmail};
use crate::id::PartyId;
use crate::ledger::FilterReason;
use crate::mailbox::Mailbox;
use crate::party::{Party, PartyKind};
use crate::profile::ServerProfile;
use crate::time::Timestamp;
use crate::tracking::{
    AcceptReason, Correlation, Decision, RecipientVerdict, TrackingFilter, Verdict,
};

/// At most so many recipients are evaluated; further ones cannot accept a message.
pub const RECIPIENTS_MAX: usize = 500;

/// A recipient that resolves to a user or queue with a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvedRecipient {
    /// The address in To, Cc, Bcc or Delivered-To.
    pub address: EmailAddress,
    /// The user or queue.
    pub party: PartyId,
    /// The filter of its mailbox.
    pub filter: TrackingFilter,
}

impl ResolvedRecipient {
    /// A user or queue behind an address.
    #[must_use]
    pub const fn new(address: EmailAddress, party: PartyId, filter: TrackingFilter) -> Self {
        Self {
            address,
            party,
            filter,
        }
    }
}

/// All that the decision weighs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DecisionInput<'a> {
    /// The message's headers.
    pub headers: &'a EmailHeaders,
    /// When the server received it.
    pub received_at: Timestamp,
    /// The mailbox that it was found in.
    pub mailbox: &'a Mailbox,
    /// From when on email is processed; see [`process_from`].
    pub start: Option<Timestamp>,
    /// Whether it is a draft.
    pub draft: bool,
    /// Whether it is a message of Postroom itself, such as the test message.
    pub own: bool,
    /// Whom the sender resolves to; see [`crate::party::resolve_sender`].
    pub sender: Option<&'a Party>,
    /// Users and queues with a mailbox that To, Cc, Bcc and Delivered-To resolve to, in this order.
    pub recipients: &'a [ResolvedRecipient],
    /// The email on record that it is a copy of; see [`join_target`](super::join_target).
    pub known: Option<&'a KnownEmail>,
    /// What it correlates with.
    pub correlation: Correlation,
    /// Whether email between two users becomes two activities.
    pub internal_email_as_two_activities: bool,
    /// Only the filter of the mailbox that it arrived in decides.
    pub filter_of_mailbox_only: bool,
}

impl<'a> DecisionInput<'a> {
    /// A message in a mailbox about which nothing else is known yet; fill in what applies.
    #[must_use]
    pub fn new(headers: &'a EmailHeaders, received_at: Timestamp, mailbox: &'a Mailbox) -> Self {
        Self {
            headers,
            received_at,
            mailbox,
            start: None,
            draft: false,
            own: false,
            sender: None,
            recipients: &[],
            known: None,
            correlation: Correlation::default(),
            internal_email_as_two_activities: false,
            filter_of_mailbox_only: false,
        }
    }
}

/// From when on a mailbox's incoming email is processed: the later of what mailbox and profile say;
/// where neither says anything, the moment the mailbox was first enabled, so that old email stays
/// alone. `None` where it was never enabled either.
///
/// A later date of the profile holds for all its mailboxes, an earlier one only for those that come
/// to it afterwards, unless the mailbox has a date of its own. Source: seed 000, Process Email From.
#[must_use]
pub fn process_from(mailbox: &Mailbox, profile: &ServerProfile) -> Option<Timestamp> {
    if mailbox.process_email_from.is_some() {
        // Somebody has said it for this mailbox: the later of the two.
        return mailbox.process_email_from.max(profile.process_email_from);
    }
    let enabled = mailbox.incoming_enabled_at.map(whole_second);
    let from_profile = match &mailbox.associated {
        None => profile.process_email_from,
        Some(then) => {
            let begun = then.process_email_from.or(enabled);
            match profile.process_email_from {
                Some(now) => Some(begun.map_or(now, |begun| now.max(begun))),
                None => then.process_email_from,
            }
        }
    };
    from_profile.or(enabled)
}

/// Servers tell in whole seconds when they received a message (EWS DateTimeReceived): a message that
/// came right after the mailbox was enabled must not seem older than that.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_seconds(time.as_millis().div_euclid(1000))
}

/// Decides whether a message becomes a record.
#[must_use]
pub fn decide(input: DecisionInput<'_>) -> Decision {
    let mut recipients = Vec::new();
    let (verdict, because) = verdict(&input, &mut recipients);
    Decision {
        verdict,
        recipients,
        sender: input.sender.map(|party| (party.id, party.kind)),
        because,
        correlation: input.correlation,
    }
}

fn filtered(reason: FilterReason, because: impl Into<String>) -> (Verdict, String) {
    (Verdict::Filter { reason }, because.into())
}

fn verdict(input: &DecisionInput<'_>, evidence: &mut Vec<RecipientVerdict>) -> (Verdict, String) {
    if input.own {
        return filtered(
            FilterReason::OwnMessage,
            "it is a message of Postroom itself, or a report on one",
        );
    }
    if input.draft {
        return filtered(FilterReason::Draft, "it is a draft that nobody has sent");
    }
    if let Some(start) = input.start.filter(|start| input.received_at < *start) {
        return filtered(
            FilterReason::BeforeStart,
            format!("it was received before {start}, from when on email is processed"),
        );
    }
    let internal = input
        .sender
        .is_some_and(|party| party.kind == PartyKind::User);
    if let Some(known) = input.known {
        let second_activity = known.direction == Direction::Outgoing
            && internal
            && input.internal_email_as_two_activities;
        if !second_activity {
            let because = match known.direction {
                Direction::Incoming => "the same message is on record already",
                Direction::Outgoing if internal => {
                    "it is the received copy of an email between users, and one activity stands for both"
                }
                Direction::Outgoing => {
                    "it is an email that was sent from here and is on record already"
                }
            };
            let record = known.record;
            return (Verdict::Join { record }, because.to_owned());
        }
    }
    by_filters(input, evidence)
}

fn by_filters(
    input: &DecisionInput<'_>,
    evidence: &mut Vec<RecipientVerdict>,
) -> (Verdict, String) {
    let mut accepted: Option<(PartyId, AcceptReason)> = None;
    let owner = input.mailbox.owner.party();
    for recipient in input.recipients.iter().take(RECIPIENTS_MAX) {
        if input.filter_of_mailbox_only && owner.is_some_and(|owner| owner != recipient.party) {
            continue;
        }
        if evidence.iter().any(|seen| seen.party == recipient.party) {
            continue;
        }
        let answer = accepts(recipient.filter, input);
        if accepted.is_none() {
            accepted = answer.map(|reason| (recipient.party, reason));
        }
        evidence.push(RecipientVerdict {
            party: recipient.party,
            filter: recipient.filter,
            accepted: answer,
        });
    }
    if let Some((party, reason)) = accepted {
        let verdict = Verdict::Track {
            reason,
            accepting: Some(party),
        };
        return (
            verdict,
            format!("a recipient's filter accepts it: {}", reason_text(reason)),
        );
    }
    let named = owner.is_some_and(|owner| evidence.iter().any(|seen| seen.party == owner));
    if !named && input.mailbox.filter == TrackingFilter::All {
        let reason = AcceptReason::AcceptAll;
        if let Some(party) = owner {
            evidence.push(RecipientVerdict {
                party,
                filter: TrackingFilter::All,
                accepted: Some(reason),
            });
        }
        let verdict = Verdict::Track {
            reason,
            accepting: owner,
        };
        return (
            verdict,
            "the mailbox that it arrived in takes all email".to_owned(),
        );
    }
    if evidence.is_empty() {
        return filtered(
            FilterReason::NoRecipientMatch,
            "no recipient is a user or queue, and the mailbox does not take all email",
        );
    }
    if input.headers.from.is_none() {
        return filtered(
            FilterReason::NoSender,
            "it has no usable sender, and no recipient's filter takes all email",
        );
    }
    filtered(
        FilterReason::NoFilterAccepts,
        match evidence.len() {
            1 => "the recipient's filter does not accept it".to_owned(),
            count => format!("none of {count} recipients' filters accepts it"),
        },
    )
}

fn accepts(filter: TrackingFilter, input: &DecisionInput<'_>) -> Option<AcceptReason> {
    let correlated = input
        .correlation
        .matched
        .is_some()
        .then_some(AcceptReason::CorrelationMatch);
    let sender_is = |kinds: fn(PartyKind) -> bool| {
        input
            .sender
            .is_some_and(|party| kinds(party.kind))
            .then_some(AcceptReason::SenderMatch)
    };
    match filter {
        TrackingFilter::All => Some(AcceptReason::AcceptAll),
        TrackingFilter::RepliesToCrmEmail => correlated,
        TrackingFilter::FromLeadsContactsAccounts => sender_is(|kind| {
            matches!(
                kind,
                PartyKind::Lead | PartyKind::Contact | PartyKind::Account
            )
        })
        .or(correlated),
        TrackingFilter::FromEmailEnabledRecords => sender_is(|_| true).or(correlated),
        TrackingFilter::None => None,
    }
}

const fn reason_text(reason: AcceptReason) -> &'static str {
    match reason {
        AcceptReason::AcceptAll => "it takes all email",
        AcceptReason::CorrelationMatch => "it correlates with an email on record",
        AcceptReason::SenderMatch => "the sender is one whom it accepts",
    }
}

#[cfg(test)]
mod tests;
