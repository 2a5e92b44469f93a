use super::*;
use crate::id::PartyId;

fn principal(roles: &[Role]) -> Principal {
    let mut principal = Principal::user(PartyId::from_random([1; 16]), "somebody")
        .with_privilege(Privilege::ApproveEmailAddresses);
    principal.roles.extend(roles);
    principal
}

/// The published tables, written down once more: a column for each set of roles, `y` yes, `n` no, `-`
/// not applicable.
const PUBLISHED: [(PermissionModel, DeploymentKind, MailServer, &str); 12] = {
    use DeploymentKind::{OnPremises, Online};
    use MailServer::{ExchangeOnline, ExchangeServer, Other};
    use PermissionModel::{Newest, Seed};
    [
        (Seed, Online, ExchangeOnline, "yy-nnnn"),
        (Seed, Online, ExchangeServer, "yy-nn--"),
        (Seed, Online, Other, "---y---"),
        (Seed, OnPremises, ExchangeOnline, "---y---"),
        (Seed, OnPremises, ExchangeServer, "---y---"),
        (Seed, OnPremises, Other, "---y---"),
        (Newest, Online, ExchangeOnline, "yyynnnn"),
        (Newest, Online, ExchangeServer, "---yn--"),
        (Newest, Online, Other, "---y---"),
        (Newest, OnPremises, ExchangeOnline, "---y---"),
        (Newest, OnPremises, ExchangeServer, "---y---"),
        (Newest, OnPremises, Other, "---y---"),
    ]
};

fn kinds(server: MailServer) -> Vec<ProfileKind> {
    match server {
        MailServer::ExchangeOnline => vec![ProfileKind::ExchangeOnline],
        MailServer::ExchangeServer => vec![ProfileKind::ExchangeServer],
        MailServer::Other => vec![
            ProfileKind::Pop3Smtp,
            ProfileKind::ImapSmtp,
            ProfileKind::Custom("x".to_owned()),
        ],
    }
}

#[test]
fn every_cell_is_what_was_published() {
    assert_eq!(PUBLISHED.len(), SEED.len() + NEWEST.len());
    for (model, deployment, server, expected) in PUBLISHED {
        let row = permission_table(model)
            .iter()
            .find(|row| row.deployment == deployment && row.server == server)
            .unwrap();
        let got: String = row
            .cells
            .iter()
            .map(|cell| match cell {
                Permission::Yes => 'y',
                Permission::No => 'n',
                Permission::NotApplicable => '-',
            })
            .collect();
        assert_eq!(got, expected, "{model:?} {deployment:?} {server:?}");
    }
}

/// Cell by cell: who holds exactly the roles of a column, and the privilege.
#[test]
fn who_may_approve_is_what_the_tables_say() {
    for (model, deployment, server, cells) in PUBLISHED {
        for kind in kinds(server) {
            for (set, cell) in ROLE_SETS.into_iter().zip(cells.chars()) {
                let told = format!("{model:?} {deployment:?} {kind:?} {set:?}");
                let holder = principal(set);
                let answer = permission(&holder.roles, deployment, Some(&kind), model);
                let may = may_approve(&holder, deployment, Some(&kind), model);
                match cell {
                    'y' => assert_eq!((answer, may), (Permission::Yes, Ok(())), "{told}"),
                    'n' => {
                        assert_eq!(answer, Permission::No, "{told}");
                        let refusal = may.unwrap_err().to_string();
                        assert!(!refusal.contains("nothing to do with"), "{told}: {refusal}");
                    }
                    // It neither allows nor forbids: System Administrator, where that is part of the
                    // set, is what decides.
                    _ if set.len() == 2 => {
                        let alone = principal(&[Role::SystemAdministrator]);
                        let alone = permission(&alone.roles, deployment, Some(&kind), model);
                        assert_eq!(answer, alone, "{told}");
                    }
                    _ => {
                        assert_eq!(answer, Permission::NotApplicable, "{told}");
                        let refusal = may.unwrap_err().to_string();
                        assert!(refusal.contains("nothing to do with"), "{told}: {refusal}");
                    }
                }
                // Without the privilege nobody may.
                let mut powerless = holder;
                powerless.privileges.clear();
                assert!(
                    may_approve(&powerless, deployment, Some(&kind), model).is_err(),
                    "{told}"
                );
            }
        }
    }
}

#[test]
fn nobody_without_roles_may_and_more_roles_take_nothing_away() {
    for (model, deployment, server, _) in PUBLISHED {
        for kind in kinds(server) {
            let ask = |roles: &[Role]| {
                permission(&principal(roles).roles, deployment, Some(&kind), model)
            };
            assert_eq!(ask(&[]), Permission::NotApplicable);
            let all: Vec<Role> = ROLE_SETS.concat();
            assert_eq!(ask(&all), Permission::Yes);
        }
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
