use std::sync::LazyLock;

use super::*;
use crate::id::{MailboxId, ProfileId, RecordId};
use crate::mailbox::MailboxOwner;
use crate::profile::ProfileKind;
use crate::tracking::{CorrelationMatch, CorrelationMethod};

const START: Timestamp = Timestamp::from_seconds(1000);
const LATER: Timestamp = Timestamp::from_seconds(2000);

const ALL_FILTERS: [TrackingFilter; 5] = [
    TrackingFilter::All,
    TrackingFilter::RepliesToCrmEmail,
    TrackingFilter::FromLeadsContactsAccounts,
    TrackingFilter::FromEmailEnabledRecords,
    TrackingFilter::None,
];

fn party(n: u8) -> PartyId {
    PartyId::from_random([n; 16])
}

fn record(n: u8) -> RecordId {
    RecordId::from_random([n; 16])
}

fn mailbox(filter: TrackingFilter) -> Mailbox {
    let address = "owner@crm.example".parse().unwrap();
    let mut mailbox = Mailbox::new(
        MailboxId::from_random([1; 16]),
        "m",
        MailboxOwner::User(party(1)),
        Some(address),
    );
    mailbox.filter = filter;
    mailbox
}

fn headers() -> EmailHeaders {
    EmailHeaders {
        from: Some(
            "customer@example.org"
                .parse::<EmailAddress>()
                .unwrap()
                .into(),
        ),
        ..EmailHeaders::default()
    }
}

fn recipient(n: u8, filter: TrackingFilter) -> ResolvedRecipient {
    ResolvedRecipient::new(
        format!("r{n}@crm.example").parse().unwrap(),
        party(n),
        filter,
    )
}

fn correlated() -> Correlation {
    Correlation {
        matched: Some(CorrelationMatch {
            method: CorrelationMethod::TrackingToken,
            email: record(5),
            regarding: None,
            parent: false,
        }),
        steps: Vec::new(),
    }
}

fn sender(kind: PartyKind) -> Party {
    Party::new(party(50), kind, "")
}

static HEADERS: LazyLock<EmailHeaders> = LazyLock::new(headers);
static MAILBOX: LazyLock<Mailbox> = LazyLock::new(|| mailbox(TrackingFilter::RepliesToCrmEmail));

fn check<'a>(change: impl FnOnce(&mut DecisionInput<'a>)) -> Decision {
    let mut input = DecisionInput::new(&HEADERS, LATER, &MAILBOX);
    change(&mut input);
    decide(input)
}

fn filtered_by(decision: &Decision) -> Option<FilterReason> {
    match decision.verdict {
        Verdict::Filter { reason } => Some(reason),
        Verdict::Track { .. } | Verdict::Join { .. } => None,
    }
}

/// Each filter against each kind of sender, with and without correlation.
#[test]
fn the_whole_table_of_filters() {
    let senders = [
        None,
        Some(PartyKind::User),
        Some(PartyKind::Contact),
        Some(PartyKind::Account),
        Some(PartyKind::Lead),
        Some(PartyKind::Queue),
        Some(PartyKind::Other),
    ];
    // a: accept all, c: correlation, s: sender, -: no. One letter for each sender.
    let expected = [
        (TrackingFilter::All, "aaaaaaa", "aaaaaaa"),
        (TrackingFilter::RepliesToCrmEmail, "-------", "ccccccc"),
        (
            TrackingFilter::FromLeadsContactsAccounts,
            "--sss--",
            "ccssscc",
        ),
        (
            TrackingFilter::FromEmailEnabledRecords,
            "-ssssss",
            "cssssss",
        ),
        (TrackingFilter::None, "-------", "-------"),
    ];
    for (filter, alone, with_correlation) in expected {
        for (correlation, row) in [
            (Correlation::default(), alone),
            (correlated(), with_correlation),
        ] {
            for (kind, letter) in senders.into_iter().zip(row.chars()) {
                let sender = kind.map(sender);
                let recipients = [recipient(1, filter)];
                let decision = check(|input| {
                    input.sender = sender.as_ref();
                    input.recipients = &recipients;
                    input.correlation = correlation.clone();
                });
                let got = match decision.verdict {
                    Verdict::Track { reason, accepting } => {
                        assert_eq!(accepting, Some(party(1)));
                        match reason {
                            AcceptReason::AcceptAll => 'a',
                            AcceptReason::CorrelationMatch => 'c',
                            AcceptReason::SenderMatch => 's',
                        }
                    }
                    Verdict::Join { .. } => 'j',
                    Verdict::Filter { reason } => {
                        assert_eq!(reason, FilterReason::NoFilterAccepts);
                        '-'
                    }
                };
                assert_eq!(
                    got,
                    letter,
                    "{filter:?} {kind:?} {:?}",
                    correlation.matched.is_some()
                );
            }
        }
    }
}

#[test]
fn every_recipient_is_asked_and_the_first_that_accepts_counts() {
    let recipients = [
        recipient(1, TrackingFilter::None),
        recipient(2, TrackingFilter::RepliesToCrmEmail),
        recipient(3, TrackingFilter::All),
        recipient(4, TrackingFilter::All),
        recipient(3, TrackingFilter::All),
    ];
    let decision = check(|input| input.recipients = &recipients);
    assert_eq!(
        decision.verdict,
        Verdict::Track {
            reason: AcceptReason::AcceptAll,
            accepting: Some(party(3))
        }
    );
    let asked: Vec<_> = decision
        .recipients
        .iter()
        .map(|verdict| (verdict.party, verdict.accepted.is_some()))
        .collect();
    assert_eq!(
        asked,
        [
            (party(1), false),
            (party(2), false),
            (party(3), true),
            (party(4), true)
        ]
    );
}

#[test]
fn a_mailbox_that_takes_all_takes_blind_copies_and_list_mail() {
    let headers = headers();
    for filter in ALL_FILTERS {
        let mailbox = mailbox(filter);
        let mut input = DecisionInput::new(&headers, LATER, &mailbox);
        // What correlates does not help a mailbox that nobody named.
        input.correlation = correlated();
        let decision = decide(input);
        if filter == TrackingFilter::All {
            assert_eq!(
                decision.verdict,
                Verdict::Track {
                    reason: AcceptReason::AcceptAll,
                    accepting: Some(party(1))
                }
            );
            assert_eq!(decision.recipients.len(), 1);
        } else {
            assert_eq!(
                filtered_by(&decision),
                Some(FilterReason::NoRecipientMatch),
                "{filter:?}"
            );
        }
    }
    let mut forward = mailbox(TrackingFilter::All);
    forward.owner = MailboxOwner::Forward;
    let decision = decide(DecisionInput::new(&headers, LATER, &forward));
    assert_eq!(
        decision.verdict,
        Verdict::Track {
            reason: AcceptReason::AcceptAll,
            accepting: None
        }
    );
}

#[test]
fn a_mailbox_that_takes_all_also_takes_what_others_refuse() {
    let (headers, mailbox) = (headers(), mailbox(TrackingFilter::All));
    let recipients = [recipient(2, TrackingFilter::None)];
    let mut input = DecisionInput::new(&headers, LATER, &mailbox);
    input.recipients = &recipients;
    let decision = decide(input);
    assert_eq!(
        decision.verdict,
        Verdict::Track {
            reason: AcceptReason::AcceptAll,
            accepting: Some(party(1))
        }
    );
    assert_eq!(decision.recipients.len(), 2);
}

#[test]
fn what_comes_first_decides() {
    let known = KnownEmail::new(record(7), Direction::Incoming);
    let recipients = [recipient(1, TrackingFilter::All)];
    let reason = |own: bool, draft: bool, received_at: Timestamp, known: Option<KnownEmail>| {
        check(|input| {
            input.own = own;
            input.draft = draft;
            input.start = Some(START);
            input.received_at = received_at;
            input.known = known.as_ref();
            input.recipients = &recipients;
        })
        .verdict
    };
    let early = Timestamp::from_seconds(999);
    let filter = |reason| Verdict::Filter { reason };
    assert_eq!(
        reason(true, true, early, Some(known.clone())),
        filter(FilterReason::OwnMessage)
    );
    assert_eq!(
        reason(false, true, early, Some(known.clone())),
        filter(FilterReason::Draft)
    );
    assert_eq!(
        reason(false, false, early, Some(known.clone())),
        filter(FilterReason::BeforeStart)
    );
    assert_eq!(
        reason(false, false, START, Some(known.clone())),
        Verdict::Join { record: record(7) }
    );
    assert!(matches!(
        reason(false, false, START, None),
        Verdict::Track { .. }
    ));
}

#[test]
fn email_between_users_is_one_activity_or_two_as_the_organization_says() {
    let sent = KnownEmail::new(record(7), Direction::Outgoing);
    let received = KnownEmail::new(record(8), Direction::Incoming);
    let recipients = [recipient(1, TrackingFilter::All)];
    let verdict = |kind, known: &KnownEmail, two| {
        let sender = sender(kind);
        check(|input| {
            input.sender = Some(&sender);
            input.known = Some(known);
            input.recipients = &recipients;
            input.internal_email_as_two_activities = two;
        })
        .verdict
    };
    assert_eq!(
        verdict(PartyKind::User, &sent, false),
        Verdict::Join { record: record(7) }
    );
    assert!(matches!(
        verdict(PartyKind::User, &sent, true),
        Verdict::Track { .. }
    ));
    // A further recipient's copy joins the received one.
    assert_eq!(
        verdict(PartyKind::User, &received, true),
        Verdict::Join { record: record(8) }
    );
    // A queue's own email that comes back is not email between users.
    assert_eq!(
        verdict(PartyKind::Queue, &sent, true),
        Verdict::Join { record: record(7) }
    );
}

#[test]
fn without_a_sender_only_a_filter_for_all_accepts() {
    let headers = EmailHeaders::default();
    let mailbox = mailbox(TrackingFilter::RepliesToCrmEmail);
    for filter in ALL_FILTERS {
        let recipients = [recipient(1, filter)];
        let mut input = DecisionInput::new(&headers, LATER, &mailbox);
        input.recipients = &recipients;
        let decision = decide(input);
        let expected = (filter != TrackingFilter::All).then_some(FilterReason::NoSender);
        assert_eq!(filtered_by(&decision), expected, "{filter:?}");
    }
}

#[test]
fn thousands_of_recipients_are_bounded() {
    let recipients: Vec<_> = (0..=255)
        .cycle()
        .take(100_000)
        .map(|n| recipient(n, TrackingFilter::None))
        .collect();
    let decision = check(|input| input.recipients = &recipients);
    assert_eq!(filtered_by(&decision), Some(FilterReason::NoFilterAccepts));
    assert!(decision.recipients.len() <= RECIPIENTS_MAX);
}

#[test]
fn the_start_is_the_later_date_or_the_moment_of_enabling() {
    let mut profile = ServerProfile::new(
        ProfileId::from_random([2; 16]),
        "p",
        ProfileKind::ExchangeServer,
    );
    let mut mailbox = mailbox(TrackingFilter::All);
    assert_eq!(process_from(&mailbox, &profile), None);
    mailbox.incoming_enabled_at = Some(Timestamp::from_seconds(50));
    assert_eq!(
        process_from(&mailbox, &profile),
        Some(Timestamp::from_seconds(50))
    );
    mailbox.process_email_from = Some(Timestamp::from_seconds(10));
    assert_eq!(
        process_from(&mailbox, &profile),
        Some(Timestamp::from_seconds(10))
    );
    profile.process_email_from = Some(Timestamp::from_seconds(20));
    assert_eq!(
        process_from(&mailbox, &profile),
        Some(Timestamp::from_seconds(20))
    );
    mailbox.process_email_from = Some(Timestamp::from_seconds(30));
    assert_eq!(
        process_from(&mailbox, &profile),
        Some(Timestamp::from_seconds(30))
    );
}

#[test]
fn an_earlier_date_of_the_profile_is_for_mailboxes_that_come_afterwards() {
    use crate::mailbox::{Association, MailboxOwner};
    let seconds = Timestamp::from_seconds;
    let owner = MailboxOwner::Forward;
    let id = MailboxId::from_random([1; 16]);
    let mut mailbox = Mailbox::new(id, "Ada", owner, None);
    let id = ProfileId::from_random([2; 16]);
    let kind = ProfileKind::ExchangeServer;
    let mut profile = ServerProfile::new(id, "Office", kind);
    mailbox.incoming_enabled_at = Some(seconds(50));
    mailbox.associated = Some(Association::new(None));
    for (date, start) in [(None, 50), (Some(20), 50), (Some(70), 70)] {
        profile.process_email_from = date.map(seconds);
        assert_eq!(
            process_from(&mailbox, &profile),
            Some(seconds(start)),
            "{date:?}"
        );
    }
    mailbox.associated = Some(Association::new(Some(seconds(30))));
    for (date, start) in [(None, 30), (Some(20), 30), (Some(70), 70)] {
        profile.process_email_from = date.map(seconds);
        assert_eq!(
            process_from(&mailbox, &profile),
            Some(seconds(start)),
            "{date:?}"
        );
    }
    // One that comes to the profile now takes its date, and a date of its own goes before.
    mailbox.associated = None;
    profile.process_email_from = Some(seconds(20));
    assert_eq!(process_from(&mailbox, &profile), Some(seconds(20)));
    mailbox.associated = Some(Association::new(None));
    mailbox.process_email_from = Some(seconds(25));
    assert_eq!(process_from(&mailbox, &profile), Some(seconds(25)));
}
