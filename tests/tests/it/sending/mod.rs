//! Sending where one protocol reads and another one sends, by the public API and against simulated servers on one
//! mailbox model: what arrives, what is filed, and what is said when an answer is lost.

mod office;

use postroom::core::Code;
use postroom::core::outbox::OutboxState;
use postroom::core::profile::{OutgoingProtocol, ProfileKind};
use postroom::engine::OutgoingDecision;
use postroom_simulator::model::WellKnown;
use postroom_simulator::smtp::{SmtpFault, SmtpFaultRule};

use office::Office;

fn lose_the_answer(office: &Office) {
    let rule = SmtpFaultRule::new(SmtpFault::LoseAnswer)
        .on("CONTENT")
        .times(1);
    office.smtp.arm(rule);
}

/// Whatever reads and whatever sends: an email leaves once, and mail that comes is recorded.
#[tokio::test]
async fn any_way_in_goes_with_any_way_out() {
    use OutgoingProtocol::{Ews, Smtp};
    let mixes = [
        (ProfileKind::Pop3Smtp, None),
        (ProfileKind::ImapSmtp, None),
        (ProfileKind::ExchangeServer, Some(Smtp)),
        (ProfileKind::Pop3Smtp, Some(Ews)),
        (ProfileKind::ImapSmtp, Some(Ews)),
    ];
    for (kind, outgoing) in mixes {
        let by_smtp = outgoing != Some(Ews);
        let office = Office::open(kind.clone(), outgoing).await;
        office.write("Offer").await;
        office.sync().await;
        let name = format!("{kind:?} {outgoing:?}");
        assert!(
            matches!(office.outcome().await, OutboxState::Sent { .. }),
            "{name}"
        );
        assert_eq!(office.left(), 1, "{name}");
        // The test's message went the same way.
        assert_eq!(
            office.smtp.messages(),
            if by_smtp { 2 } else { 0 },
            "{name}"
        );
        office.mail.deliver(office::question(), &[office::DESK]);
        office.sync().await;
        assert_eq!(office.recorded().await, 1, "{name}");
    }
}

#[tokio::test]
async fn a_copy_is_filed_once_where_nobody_else_does() {
    let office = Office::open(ProfileKind::ImapSmtp, None).await;
    office.write("Offer").await;
    office.sync().await;
    assert_eq!(
        office.in_folder(WellKnown::SentItems),
        1,
        "the test's is not filed"
    );
    office.sync().await;
    assert_eq!(office.in_folder(WellKnown::SentItems), 1);
}

#[tokio::test]
async fn a_copy_that_cannot_be_filed_undoes_nothing() {
    let office = Office::open(ProfileKind::ImapSmtp, None).await;
    office.refuse_append();
    office.write("Offer").await;
    office.sync().await;
    assert!(matches!(office.outcome().await, OutboxState::Sent { .. }));
    office.sync().await;
    assert_eq!(
        (office.left(), office.in_folder(WellKnown::SentItems)),
        (1, 0)
    );
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_among_the_sent() {
    let office = Office::open(ProfileKind::ImapSmtp, None).await;
    office.smtp.offer(|offers| offers.files_copy = true);
    lose_the_answer(&office);
    office.write("Offer").await;
    office.sync().await;
    let OutboxState::Sent { receipt, .. } = office.outcome().await else {
        panic!("found means sent");
    };
    assert!(receipt.reconciled);
    assert_eq!(office.left(), 1);
}

#[tokio::test]
async fn what_is_not_found_is_unknown_and_never_repeated() {
    let office = Office::open(ProfileKind::ImapSmtp, None).await;
    lose_the_answer(&office);
    office.write("Offer").await;
    for _ in 0..4 {
        office.sync().await;
    }
    assert!(matches!(
        office.outcome().await,
        OutboxState::Unknown { .. }
    ));
    assert_eq!(office.alerts(Code::OutcomeUnknown).await, 1);
    assert_eq!(office.left(), 1, "it had left, and nobody sent it again");
    // The copy turns up later: nobody needs to decide.
    office.file_what_left();
    office.write("Another").await;
    office.sync().await;
    assert!(matches!(office.outcome().await, OutboxState::Sent { .. }));
    assert_eq!(office.alerts(Code::OutcomeUnknown).await, 0);
}

#[tokio::test]
async fn blind_doubt_waits_for_a_decision() {
    let office = Office::open(ProfileKind::Pop3Smtp, None).await;
    lose_the_answer(&office);
    office.write("Offer").await;
    for _ in 0..3 {
        office.sync().await;
    }
    assert!(matches!(
        office.outcome().await,
        OutboxState::Unknown { .. }
    ));
    assert_eq!(office.alerts(Code::OutcomeUnknown).await, 1);
    assert_eq!(office.left(), 1);
    office.decide(OutgoingDecision::Resend).await;
    office.sync().await;
    assert!(matches!(office.outcome().await, OutboxState::Sent { .. }));
    assert_eq!(office.left(), 2, "as somebody decided");
    assert_eq!(office.alerts(Code::OutcomeUnknown).await, 0);
}

#[tokio::test]
async fn a_refused_recipient_stands_in_the_receipt() {
    let office = Office::open(ProfileKind::Pop3Smtp, None).await;
    let refusal =
        SmtpFault::RefuseRecipient(office::SECOND.to_owned(), "550 5.1.1 nobody".to_owned());
    office.smtp.arm(SmtpFaultRule::new(refusal));
    office
        .write_to("Offer", &[office::CUSTOMER, office::SECOND])
        .await;
    office.sync().await;
    let OutboxState::Sent { receipt, .. } = office.outcome().await else {
        panic!("one of them got it");
    };
    assert_eq!(receipt.refused.len(), 1);
    assert_eq!(receipt.refused[0].address.as_str(), office::SECOND);
    assert_eq!(receipt.refused[0].reason, "550 5.1.1 nobody");
}
