use super::*;
use crate::address::EmailAddress;
use crate::email::{ConversationIndex, Direction};
use crate::id::RecordId;
use crate::time::Timestamp;
use crate::tracking::{CorrelationSettings, TrackingToken, index_entry};

const DAY: i64 = 86_400;
const NOW: Timestamp = Timestamp::from_seconds(1000 * DAY);

fn rules(change: impl FnOnce(&mut CorrelationSettings)) -> CorrelationRules {
    let mut settings = CorrelationSettings::default();
    change(&mut settings);
    CorrelationRules::new(settings).unwrap()
}

fn defaults() -> CorrelationRules {
    rules(|_| {})
}

fn id(n: u8) -> RecordId {
    RecordId::from_random([n; 16])
}

fn headers(from: &str, to: &str, subject: &str) -> EmailHeaders {
    let named = |text: &str| text.parse::<EmailAddress>().unwrap().into();
    EmailHeaders {
        from: Some(named(from)),
        to: vec![named(to)],
        subject: subject.to_owned(),
        ..EmailHeaders::default()
    }
}

/// The email that was sent from here, stored `days` ago.
fn stored(n: u8, days: i64, regarding: Option<u8>, subject: &str) -> IndexedEmail {
    let mut headers = headers("me@crm.example", "customer@example.org", subject);
    headers.message_id = Some(format!("{n}@crm.example").parse().unwrap());
    let at = Timestamp::from_seconds((1000 - days) * DAY);
    let token = Some(TrackingToken::new(&format!("CRM:001{n:03}")));
    index_entry(
        id(n),
        Direction::Outgoing,
        &headers,
        at,
        token,
        regarding.map(id),
        &defaults(),
    )
}

fn reply(subject: &str) -> EmailHeaders {
    let mut reply = headers("customer@example.org", "me@crm.example", subject);
    reply.message_id = Some("reply@example.org".parse().unwrap());
    reply
}

fn run(headers: &EmailHeaders, candidates: &Candidates, rules: &CorrelationRules) -> Correlation {
    correlate(
        headers,
        &CorrelationQuery::full(headers, rules, NOW),
        candidates,
        rules,
    )
}

fn outcome(correlation: &Correlation, method: Method) -> StepOutcome {
    correlation
        .steps
        .iter()
        .find(|step| step.method == method)
        .map(|step| step.outcome)
        .unwrap()
}

fn everything(emails: Vec<IndexedEmail>) -> Candidates {
    Candidates {
        by_message_id: emails.clone(),
        by_token: emails.clone(),
        by_conversation: emails.clone(),
        by_smart_matching: emails,
        ..Candidates::default()
    }
}

#[test]
fn in_reply_to_decides_before_everything_else() {
    let mut message = reply("Re: Offer CRM:001002");
    message.in_reply_to = vec!["1@crm.example".parse().unwrap()];
    let found = run(
        &message,
        &everything(vec![
            stored(2, 1, Some(8), "Offer"),
            stored(1, 2, Some(9), "Offer"),
        ]),
        &defaults(),
    );
    let matched = found.matched.unwrap();
    assert_eq!(
        (
            matched.method,
            matched.email,
            matched.regarding,
            matched.parent
        ),
        (Method::InReplyTo, id(1), Some(id(9)), true)
    );
    assert_eq!(found.steps.len(), 1);
}

#[test]
fn references_match_where_the_answered_message_is_not_on_record() {
    let mut message = reply("something else");
    message.in_reply_to = vec!["colleague@example.org".parse().unwrap()];
    message.references = ["1@crm.example", "2@crm.example", "colleague@example.org"]
        .map(|id| id.parse().unwrap())
        .into();
    let found = run(
        &message,
        &everything(vec![stored(1, 2, None, "a"), stored(2, 1, None, "b")]),
        &defaults(),
    );
    let matched = found.matched.unwrap();
    assert_eq!(
        (matched.method, matched.email, matched.parent),
        (Method::References, id(2), false)
    );
    assert_eq!(outcome(&found, Method::InReplyTo), StepOutcome::NoMatch);
}

#[test]
fn of_colliding_identifiers_the_newest_wins_and_the_evidence_says_so() {
    let mut message = reply("x");
    message.in_reply_to = vec!["1@crm.example".parse().unwrap()];
    let mut other = stored(3, 1, Some(8), "x");
    other.add_alias("1@crm.example".parse().unwrap());
    for emails in [
        vec![stored(1, 5, Some(9), "x"), other.clone()],
        vec![other.clone(), stored(1, 5, Some(9), "x")],
    ] {
        let found = run(&message, &everything(emails), &defaults());
        assert_eq!(found.matched.unwrap().email, id(3));
        assert_eq!(found.steps[0].candidates, 2);
        assert!(found.steps[0].note.contains("newest"));
    }
}

#[test]
fn a_message_that_names_itself_is_no_answer() {
    let mut message = reply("x");
    message.in_reply_to = vec!["reply@example.org".parse().unwrap()];
    let mut own = stored(1, 1, None, "x");
    own.message_ids = vec!["reply@example.org".parse().unwrap()];
    let found = run(
        &message,
        &Candidates {
            by_message_id: vec![own],
            ..Candidates::default()
        },
        &defaults(),
    );
    assert_eq!(outcome(&found, Method::InReplyTo), StepOutcome::NoMatch);
    assert!(found.matched.is_none());
}

#[test]
fn a_token_needs_somebody_who_takes_part_in_both() {
    let candidates = Candidates {
        by_token: vec![stored(1, 1, Some(9), "Offer")],
        ..Candidates::default()
    };
    let found = run(&reply("Other words crm:001001"), &candidates, &defaults());
    let matched = found.matched.unwrap();
    assert_eq!(
        (matched.method, matched.regarding, matched.parent),
        (Method::TrackingToken, Some(id(9)), false)
    );
    assert_eq!(
        found.steps.last().unwrap().note,
        "token CRM:001001 is on one stored email, with 2 participants in common"
    );

    let stranger = headers(
        "stranger@elsewhere.example",
        "sales@crm.example",
        "Hello CRM:001001",
    );
    let found = run(&stranger, &candidates, &defaults());
    assert_eq!(outcome(&found, Method::TrackingToken), StepOutcome::Refused);
    assert!(found.matched.is_none());
    let trusting = rules(|settings| settings.token.require_shared_participant = false);
    assert!(run(&stranger, &candidates, &trusting).matched.is_some());
}

#[test]
fn a_token_on_emails_of_different_records_is_ambiguous_and_others_are_tried() {
    let mut second = stored(2, 1, Some(8), "Offer");
    second.token = Some(TrackingToken::new("CRM:001001"));
    let candidates = Candidates {
        by_token: vec![stored(1, 2, Some(9), "Offer"), second],
        ..Candidates::default()
    };
    let found = run(&reply("Re: Offer CRM:001001"), &candidates, &defaults());
    assert_eq!(
        outcome(&found, Method::TrackingToken),
        StepOutcome::Ambiguous
    );
    assert_eq!(outcome(&found, Method::SmartMatching), StepOutcome::NoMatch);
}

#[test]
fn of_several_tokens_the_first_that_is_known_decides() {
    let candidates = Candidates {
        by_token: vec![stored(2, 1, None, "Offer")],
        ..Candidates::default()
    };
    let found = run(&reply("CRM:001001 CRM:001002"), &candidates, &defaults());
    assert_eq!(found.matched.unwrap().email, id(2));
}

fn indexed(n: u8, days: i64, regarding: Option<u8>, length: usize) -> IndexedEmail {
    let mut email = stored(n, days, regarding, "Talk");
    email.conversation_index = ConversationIndex::from_bytes(vec![7; length]);
    email
}

#[test]
fn the_conversation_finds_the_parent_or_the_newest() {
    let mut message = reply("New words");
    message.conversation_index = ConversationIndex::from_bytes(vec![7; 32]);
    let run = |emails| {
        run(
            &message,
            &Candidates {
                by_conversation: emails,
                ..Candidates::default()
            },
            &defaults(),
        )
    };
    let matched = run(vec![indexed(1, 1, Some(9), 22), indexed(2, 3, Some(8), 27)])
        .matched
        .unwrap();
    assert_eq!(
        (matched.method, matched.email, matched.parent),
        (Method::ConversationIndex, id(2), true)
    );
    let matched = run(vec![indexed(1, 3, Some(9), 22), indexed(2, 1, Some(8), 42)])
        .matched
        .unwrap();
    assert_eq!((matched.email, matched.parent), (id(2), false));
    let mut stranger = indexed(3, 1, None, 22);
    stranger.conversation_index = ConversationIndex::from_bytes(vec![8; 22]);
    assert!(run(vec![stranger]).matched.is_none());
}

#[test]
fn a_conversation_that_is_cut_is_ambiguous_where_it_disagrees() {
    let mut message = reply("New words");
    message.conversation_index = ConversationIndex::from_bytes(vec![7; 42]);
    let run = |second: Option<u8>| {
        let candidates = Candidates {
            by_conversation: vec![indexed(1, 1, Some(9), 22), indexed(2, 3, second, 27)],
            conversation_cut: true,
            ..Candidates::default()
        };
        run(&message, &candidates, &defaults())
    };
    assert!(run(Some(9)).matched.is_some());
    assert_eq!(
        outcome(&run(Some(8)), Method::ConversationIndex),
        StepOutcome::Ambiguous
    );
}

fn smart(
    message: &EmailHeaders,
    emails: Vec<IndexedEmail>,
    rules: &CorrelationRules,
) -> Correlation {
    run(
        message,
        &Candidates {
            by_smart_matching: emails,
            ..Candidates::default()
        },
        rules,
    )
}

#[test]
fn smart_matching_needs_equal_words_and_enough_addresses() {
    let rules = defaults();
    let found = smart(
        &reply("AW: OFFER for Müller"),
        vec![stored(1, 1, Some(9), "Offer for Müller CRM:001001")],
        &rules,
    );
    let matched = found.matched.unwrap();
    assert_eq!(
        (matched.method, matched.regarding),
        (Method::SmartMatching, Some(id(9)))
    );
    for subject in ["Offer for Maier", "Offer for Müller again", "Offer for"] {
        assert!(
            smart(
                &reply(subject),
                vec![stored(1, 1, None, "Offer for Müller")],
                &rules
            )
            .matched
            .is_none(),
            "{subject}"
        );
    }
    let half = headers("customer@example.org", "other@crm.example", "Offer");
    assert!(
        smart(&half, vec![stored(1, 1, None, "Offer")], &rules)
            .matched
            .is_none()
    );
}

#[test]
fn the_allowed_difference_counts_on_both_sides() {
    let rules = rules(|settings| settings.smart_matching.subject_delta = 1);
    let run = |subject: &str| {
        smart(
            &reply(subject),
            vec![stored(1, 1, None, "Offer for Müller")],
            &rules,
        )
        .matched
        .is_some()
    };
    assert!(run("Offer for Müller again"));
    assert!(run("Offer for"));
    assert!(run("Offer for Maier"));
    assert!(!run("Offer for Müller once again"));
    assert!(!run("Offer"));
    assert!(!run("Nothing of it"));
}

#[test]
fn smart_matching_looks_back_so_far_and_no_further() {
    let run = |days| {
        smart(
            &reply("Offer"),
            vec![stored(1, days, None, "Offer")],
            &defaults(),
        )
        .matched
        .is_some()
    };
    assert!(run(90));
    assert!(!run(91));
}

#[test]
fn alike_emails_of_different_records_are_ambiguous() {
    let rules = defaults();
    let found = smart(
        &reply("Offer"),
        vec![
            stored(1, 1, Some(8), "Offer"),
            stored(2, 2, Some(9), "Offer"),
        ],
        &rules,
    );
    assert_eq!(
        outcome(&found, Method::SmartMatching),
        StepOutcome::Ambiguous
    );
    assert!(found.matched.is_none());
    // One with a record and one without are two answers as well.
    let found = smart(
        &reply("Offer"),
        vec![stored(1, 1, None, "Offer"), stored(2, 2, Some(9), "Offer")],
        &rules,
    );
    assert!(found.matched.is_none());
}

#[test]
fn alike_emails_of_one_record_or_one_conversation_are_one_answer() {
    let rules = defaults();
    for regarding in [Some(9), None] {
        let emails = vec![
            stored(1, 2, regarding, "Offer"),
            stored(2, 1, regarding, "Offer"),
        ];
        assert_eq!(
            smart(&reply("Offer"), emails, &rules)
                .matched
                .unwrap()
                .email,
            id(2)
        );
    }
    let emails = vec![indexed(1, 2, Some(8), 22), indexed(2, 1, Some(9), 27)];
    assert_eq!(
        smart(&reply("Talk"), emails, &rules).matched.unwrap().email,
        id(2)
    );
}

#[test]
fn more_candidates_than_are_looked_at_are_ambiguous() {
    let message = reply("Offer");
    let candidates = Candidates {
        by_smart_matching: vec![stored(1, 1, None, "Offer")],
        smart_cut: true,
        ..Candidates::default()
    };
    let found = run(&message, &candidates, &defaults());
    assert_eq!(
        outcome(&found, Method::SmartMatching),
        StepOutcome::Ambiguous
    );
}

#[test]
fn what_is_off_or_has_nothing_to_go_by_says_so() {
    let everything_off = rules(|settings| {
        settings.in_reply_to = false;
        settings.conversation_index = false;
        settings.token.enabled = false;
        settings.smart_matching.enabled = false;
    });
    let mut message = reply("Offer CRM:001001");
    message.in_reply_to = vec!["1@crm.example".parse().unwrap()];
    let found = run(
        &message,
        &everything(vec![stored(1, 1, None, "Offer")]),
        &everything_off,
    );
    assert!(found.matched.is_none());
    assert!(
        found
            .steps
            .iter()
            .all(|step| step.outcome == StepOutcome::Off)
    );
    assert_eq!(found.steps.len(), 5);
    let found = run(
        &EmailHeaders::default(),
        &Candidates::default(),
        &defaults(),
    );
    assert!(
        found
            .steps
            .iter()
            .all(|step| step.outcome == StepOutcome::NotApplicable)
    );
}

#[test]
fn notes_name_no_subject_and_no_address() {
    let mut message = reply("Secret plan CRM:001001");
    message.references = vec!["1@crm.example".parse().unwrap()];
    let candidates = [
        Candidates::default(),
        everything(vec![
            stored(1, 1, None, "Secret plan"),
            stored(2, 1, Some(9), "Secret plan"),
        ]),
    ];
    for candidates in &candidates {
        for step in run(&message, candidates, &defaults()).steps {
            let note = step.note.to_lowercase();
            assert!(!note.contains("secret") && !note.contains('@'), "{note}");
        }
    }
}

#[test]
fn more_candidates_than_allowed_are_not_looked_at() {
    let mut message = reply("x");
    message.in_reply_to = vec!["1@crm.example".parse().unwrap()];
    let mut emails: Vec<_> = (0..CANDIDATES_MAX)
        .map(|_| stored(2, 1, None, "x"))
        .collect();
    emails.push(stored(1, 1, None, "x"));
    let found = run(
        &message,
        &Candidates {
            by_message_id: emails,
            ..Candidates::default()
        },
        &defaults(),
    );
    assert!(found.matched.is_none());
}
