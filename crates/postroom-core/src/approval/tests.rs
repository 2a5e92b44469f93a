use super::*;
use crate::id::{MailboxId, OrganizationId, PartyId, ProfileId};
use crate::organization::{Deployment, DeploymentKind};
use crate::time::Timestamp;

#[test]
fn the_whole_table_of_transitions() {
    use ApprovalEvent as E;
    use ApprovalState::{Approved, Empty, Pending, Rejected};
    for (state, after) in [
        (Empty, [Some(Pending), Some(Empty), None, None]),
        (
            Pending,
            [Some(Pending), Some(Empty), Some(Approved), Some(Rejected)],
        ),
        (
            Approved,
            [Some(Pending), Some(Empty), Some(Approved), Some(Rejected)],
        ),
        (
            Rejected,
            [Some(Pending), Some(Empty), Some(Approved), Some(Rejected)],
        ),
    ] {
        for (event, expected) in [E::Set, E::Clear, E::Approve, E::Reject]
            .into_iter()
            .zip(after)
        {
            assert_eq!(state.next(event).ok(), expected, "{state:?} {event:?}");
        }
    }
}

#[test]
fn only_another_address_needs_another_approval() {
    let a: EmailAddress = "ada@example.org".parse().unwrap();
    let same: EmailAddress = "Ada@Example.org".parse().unwrap();
    let other: EmailAddress = "eve@example.org".parse().unwrap();
    let approved = ApprovalState::Approved;
    assert_eq!(
        approved.after_edit(Some(&a), Some(&same)),
        ApprovalState::Approved
    );
    assert_eq!(
        approved.after_edit(Some(&a), Some(&other)),
        ApprovalState::Pending
    );
    assert_eq!(approved.after_edit(Some(&a), None), ApprovalState::Empty);
    assert_eq!(
        ApprovalState::Empty.after_edit(None, Some(&a)),
        ApprovalState::Pending
    );
    assert_eq!(
        ApprovalState::Rejected.after_edit(Some(&a), Some(&other)),
        ApprovalState::Pending
    );
}

type Answer = Result<(), Code>;

/// What differs from a workload that passes.
type Change = fn(&mut Organization, &mut Mailbox, &mut ServerProfile);

/// The answers for processing and for a test.
fn answers(change: Change, workload: Workload) -> (Answer, Answer) {
    let mut organization = Organization::new(
        OrganizationId::from_random([1; 16]),
        "o",
        Deployment::new(DeploymentKind::OnPremises),
    );
    let mut profile = ServerProfile::new(
        ProfileId::from_random([2; 16]),
        "p",
        ProfileKind::ExchangeServer,
    );
    let owner = MailboxOwner::User(PartyId::from_random([3; 16]));
    let mut mailbox = Mailbox::new(
        MailboxId::from_random([4; 16]),
        "m",
        owner,
        Some("ada@example.org".parse().unwrap()),
    );
    mailbox.profile = Some(profile.id);
    mailbox.approval = ApprovalState::Approved;
    for workload in Workload::ALL {
        let state = mailbox.workload_mut(workload);
        state.method = DeliveryMethod::ServerSide;
        state.enabled = true;
    }
    change(&mut organization, &mut mailbox, &mut profile);
    let answer = |purpose| gate(&organization, &mailbox, Some(&profile), workload, purpose);
    (answer(Purpose::Process), answer(Purpose::Test))
}

#[test]
fn the_gate_holds_for_every_condition() {
    let cases: [(&str, Change, Answer, Answer); 14] = [
        ("all well", |_, _, _| {}, Ok(()), Ok(())),
        (
            "inactive",
            |_, m, _| m.active = false,
            Err(Code::MailboxInactive),
            Err(Code::MailboxInactive),
        ),
        (
            "no address",
            |_, m, _| m.address = None,
            Err(Code::NoAddress),
            Err(Code::NoAddress),
        ),
        (
            "pending",
            |_, m, _| m.approval = ApprovalState::Pending,
            Err(Code::NotApproved),
            Err(Code::NotApproved),
        ),
        (
            "pending, approval not asked for",
            |o, m, _| {
                m.approval = ApprovalState::Pending;
                o.settings.process_only_approved_users = false;
            },
            Ok(()),
            Ok(()),
        ),
        (
            "queue pending, approval asked for queues only",
            |o, m, _| {
                m.owner = MailboxOwner::Queue(PartyId::from_random([3; 16]));
                m.approval = ApprovalState::Pending;
                o.settings.process_only_approved_users = false;
            },
            Err(Code::NotApproved),
            Err(Code::NotApproved),
        ),
        (
            "rejected, approval not asked for",
            |o, m, _| {
                m.approval = ApprovalState::Rejected;
                o.settings.process_only_approved_users = false;
            },
            Err(Code::NotApproved),
            Err(Code::NotApproved),
        ),
        (
            "no profile",
            |_, m, _| m.profile = None,
            Err(Code::NoProfile),
            Err(Code::NoProfile),
        ),
        (
            "another profile",
            |_, m, _| m.profile = Some(ProfileId::from_random([9; 16])),
            Err(Code::NoProfile),
            Err(Code::NoProfile),
        ),
        (
            "inactive profile",
            |_, _, p| p.active = false,
            Err(Code::NoProfile),
            Err(Code::NoProfile),
        ),
        (
            "method none",
            |_, m, _| m.incoming.method = DeliveryMethod::None,
            Err(Code::MethodNone),
            Err(Code::MethodNone),
        ),
        (
            "forwarded",
            |_, m, _| m.incoming.method = DeliveryMethod::ForwardMailbox,
            Err(Code::MethodNone),
            Err(Code::MethodNone),
        ),
        (
            "not enabled",
            |_, m, _| m.incoming.enabled = false,
            Err(Code::NotEnabled),
            Ok(()),
        ),
        (
            "disabled",
            |_, m, _| {
                m.incoming.enabled = false;
                m.incoming.health = Health::Disabled {
                    code: Code::CredentialsRejected,
                    since: Timestamp::EPOCH,
                };
            },
            Err(Code::CredentialsRejected),
            Ok(()),
        ),
    ];
    for (name, change, process, test) in cases {
        assert_eq!(
            answers(change, Workload::Incoming),
            (process, test),
            "{name}"
        );
    }
}

#[test]
fn workloads_that_cannot_be_are_refused() {
    let unsupported = (Err(Code::MethodNotSupported), Err(Code::MethodNotSupported));
    assert_eq!(
        answers(
            |_, m, _| m.owner = MailboxOwner::Forward,
            Workload::Outgoing
        ),
        unsupported
    );
    assert_eq!(
        answers(
            |_, m, _| m.owner = MailboxOwner::Forward,
            Workload::Incoming
        ),
        (Ok(()), Ok(()))
    );
    assert_eq!(
        answers(
            |_, m, _| m.owner = MailboxOwner::Queue(PartyId::from_random([3; 16])),
            Workload::Items
        ),
        unsupported
    );
    assert_eq!(
        answers(|_, _, p| p.kind = ProfileKind::ImapSmtp, Workload::Items),
        unsupported
    );
    assert_eq!(answers(|_, _, _| {}, Workload::Items), (Ok(()), Ok(())));
}

#[test]
fn trouble_that_goes_away_does_not_close_the_gate() {
    let failing: Change = |_, m, _| {
        m.incoming.health = Health::Failing {
            code: Code::ServerUnavailable,
            failures: 99,
            since: Timestamp::EPOCH,
        };
    };
    assert_eq!(answers(failing, Workload::Incoming), (Ok(()), Ok(())));
}
