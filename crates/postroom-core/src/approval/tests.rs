use super::*;
use crate::id::{MailboxId, OrganizationId, PartyId, ProfileId};
use crate::organization::Deployment;
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

fn principal(roles: &[Role]) -> Principal {
    let mut principal = Principal::user(PartyId::from_random([1; 16]), "somebody")
        .with_privilege(Privilege::ApproveEmailAddresses);
    principal.roles.extend(roles);
    principal
}

/// The columns of the tables, line by line.
#[test]
fn who_may_approve_is_what_the_tables_say() {
    use Role::{
        DelegatedMailboxApprover, ExchangeAdministrator, GlobalAdministrator, ServiceAdministrator,
        SystemAdministrator,
    };
    let columns: [&[Role]; 7] = [
        &[GlobalAdministrator, SystemAdministrator],
        &[ExchangeAdministrator, SystemAdministrator],
        &[DelegatedMailboxApprover, SystemAdministrator],
        &[SystemAdministrator],
        &[ServiceAdministrator],
        &[ExchangeAdministrator],
        &[GlobalAdministrator],
    ];
    let (online, here) = (DeploymentKind::Online, DeploymentKind::OnPremises);
    for (model, deployment, kind, expected) in [
        (
            PermissionModel::Seed,
            online,
            ProfileKind::ExchangeOnline,
            "yy.....",
        ),
        (
            PermissionModel::Seed,
            online,
            ProfileKind::ExchangeServer,
            "yy.....",
        ),
        (
            PermissionModel::Seed,
            online,
            ProfileKind::ImapSmtp,
            "yyyy...",
        ),
        (
            PermissionModel::Seed,
            here,
            ProfileKind::ExchangeOnline,
            "yyyy...",
        ),
        (
            PermissionModel::Seed,
            here,
            ProfileKind::ExchangeServer,
            "yyyy...",
        ),
        (
            PermissionModel::Seed,
            here,
            ProfileKind::Pop3Smtp,
            "yyyy...",
        ),
        (
            PermissionModel::Seed,
            here,
            ProfileKind::Custom("x".to_owned()),
            "yyyy...",
        ),
        (
            PermissionModel::Newest,
            online,
            ProfileKind::ExchangeOnline,
            "yyy....",
        ),
        (
            PermissionModel::Newest,
            online,
            ProfileKind::ExchangeServer,
            "yyyy...",
        ),
        (
            PermissionModel::Newest,
            here,
            ProfileKind::ExchangeOnline,
            "yyyy...",
        ),
        (
            PermissionModel::Newest,
            here,
            ProfileKind::ExchangeServer,
            "yyyy...",
        ),
    ] {
        let got: String = columns
            .iter()
            .map(|roles| {
                let allowed =
                    may_approve(&principal(roles), deployment, Some(&kind), model).is_ok();
                if allowed { 'y' } else { '.' }
            })
            .collect();
        assert_eq!(got, expected, "{model:?} {deployment:?} {kind:?}");
    }
}

#[test]
fn the_privilege_is_needed_beside_the_roles_and_the_refusal_names_what_is_missing() {
    let mut administrator = principal(&[Role::SystemAdministrator]);
    let refusal = may_approve(
        &administrator,
        DeploymentKind::Online,
        None,
        PermissionModel::Seed,
    )
    .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "approving this address needs the roles Global Administrator and System Administrator, \
         or Exchange Administrator and System Administrator"
    );
    assert_eq!(refusal.code(), Code::PermissionDenied);
    assert!(
        may_approve(
            &administrator,
            DeploymentKind::OnPremises,
            None,
            PermissionModel::Seed
        )
        .is_ok()
    );
    administrator.privileges.clear();
    let refusal = may_approve(
        &administrator,
        DeploymentKind::OnPremises,
        None,
        PermissionModel::Seed,
    )
    .unwrap_err();
    assert!(refusal.to_string().contains("privilege"));
    let operator = Principal::operator("root");
    assert!(
        may_approve(
            &operator,
            DeploymentKind::Online,
            None,
            PermissionModel::Seed
        )
        .is_ok()
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
