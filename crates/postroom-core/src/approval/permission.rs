//! Who may approve and reject: a table, not code. Source: seed 001, "Permission model".

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::catalogue::Code;
use crate::organization::DeploymentKind;
use crate::principal::{Principal, Privilege, Role};
use crate::profile::ProfileKind;

/// The mail systems that the permission model tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "the rows of a published table")]
pub enum MailServer {
    /// Exchange Online.
    ExchangeOnline,
    /// Exchange Server, on premises.
    ExchangeServer,
    /// POP3, IMAP and SMTP servers, and providers of an integrator: no published table lists them.
    Other,
}

impl From<&ProfileKind> for MailServer {
    fn from(kind: &ProfileKind) -> Self {
        match kind {
            ProfileKind::ExchangeOnline => Self::ExchangeOnline,
            ProfileKind::ExchangeServer => Self::ExchangeServer,
            ProfileKind::Pop3Smtp | ProfileKind::ImapSmtp | ProfileKind::Custom(_) => Self::Other,
        }
    }
}

/// What the table says about a set of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the three answers of a published table"
)]
pub enum Permission {
    /// Who holds them may approve.
    Yes,
    /// They are roles of this deployment and mail system, and not enough.
    No,
    /// They say nothing about this deployment and mail system ("n/a"): they neither allow it nor stand
    /// in the way of a set that does.
    NotApplicable,
}

impl Permission {
    /// As the tables write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::NotApplicable => "n/a",
        }
    }
}

/// The columns of the tables: each a set of roles that somebody holds together.
pub const ROLE_SETS: [&[Role]; 7] = [
    &[Role::GlobalAdministrator, Role::SystemAdministrator],
    &[Role::ExchangeAdministrator, Role::SystemAdministrator],
    &[Role::DelegatedMailboxApprover, Role::SystemAdministrator],
    &[Role::SystemAdministrator],
    &[Role::ServiceAdministrator],
    &[Role::ExchangeAdministrator],
    &[Role::GlobalAdministrator],
];

/// One line of a permission model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PermissionRow {
    /// Where the application runs.
    pub deployment: DeploymentKind,
    /// The mail system of the mailbox's profile.
    pub server: MailServer,
    /// What it says about each of [`ROLE_SETS`], in their order.
    pub cells: [Permission; 7],
    /// Where the line comes from.
    pub source: &'static str,
}

const Y: Permission = Permission::Yes;
const N: Permission = Permission::No;
const X: Permission = Permission::NotApplicable;

const fn row(
    deployment: DeploymentKind,
    server: MailServer,
    cells: [Permission; 7],
    source: &'static str,
) -> PermissionRow {
    PermissionRow {
        deployment,
        server,
        cells,
        source,
    }
}

const S1: &str = "seed 001, permission model";
const LATER: &str = "domain section 3, newest table";
const OURS: &str = "design section 6";

/// System Administrator alone; nobody else's role has to do with it.
const ADMINISTRATOR: [Permission; 7] = [X, X, X, Y, X, X, X];

/// The table of seed 001, which does not know the delegated approver.
const SEED: [PermissionRow; 6] = {
    use DeploymentKind::{OnPremises, Online};
    use MailServer::{ExchangeOnline, ExchangeServer, Other};
    [
        row(Online, ExchangeOnline, [Y, Y, X, N, N, N, N], S1),
        row(Online, ExchangeServer, [Y, Y, X, N, N, X, X], S1),
        row(Online, Other, ADMINISTRATOR, OURS),
        row(OnPremises, ExchangeOnline, ADMINISTRATOR, S1),
        row(OnPremises, ExchangeServer, ADMINISTRATOR, S1),
        row(OnPremises, Other, ADMINISTRATOR, OURS),
    ]
};

/// The newest published table.
const NEWEST: [PermissionRow; 6] = {
    use DeploymentKind::{OnPremises, Online};
    use MailServer::{ExchangeOnline, ExchangeServer, Other};
    [
        row(Online, ExchangeOnline, [Y, Y, Y, N, N, N, N], LATER),
        row(Online, ExchangeServer, [X, X, X, Y, N, X, X], LATER),
        row(Online, Other, ADMINISTRATOR, OURS),
        row(OnPremises, ExchangeOnline, ADMINISTRATOR, LATER),
        row(OnPremises, ExchangeServer, ADMINISTRATOR, LATER),
        row(OnPremises, Other, ADMINISTRATOR, OURS),
    ]
};

/// Which permission model says who may approve.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PermissionModel {
    /// The table of seed 001.
    #[default]
    Seed,
    /// The newest published table, which knows the delegated approver.
    Newest,
}

/// The table of a model.
#[must_use]
pub const fn permission_table(model: PermissionModel) -> &'static [PermissionRow] {
    match model {
        PermissionModel::Seed => &SEED,
        PermissionModel::Newest => &NEWEST,
    }
}

/// The cells that hold for a mailbox whose profile has that kind.
fn cells(
    deployment: DeploymentKind,
    kind: Option<&ProfileKind>,
    model: PermissionModel,
) -> [Permission; 7] {
    let server = kind.map_or(
        match deployment {
            DeploymentKind::Online => MailServer::ExchangeOnline,
            DeploymentKind::OnPremises => MailServer::ExchangeServer,
        },
        MailServer::from,
    );
    permission_table(model)
        .iter()
        .find(|row| row.deployment == deployment && row.server == server)
        .map_or(ADMINISTRATOR, |row| row.cells)
}

/// What the table says about somebody with those roles, who approves or rejects the address of a
/// mailbox whose profile has that kind; a mailbox without a profile counts as the organization's own
/// kind of Exchange.
///
/// One set that is enough is enough, whatever other roles somebody holds.
#[must_use]
pub fn permission(
    roles: &BTreeSet<Role>,
    deployment: DeploymentKind,
    kind: Option<&ProfileKind>,
    model: PermissionModel,
) -> Permission {
    let held = |set: &&[Role]| set.iter().all(|role| roles.contains(role));
    let said = || {
        ROLE_SETS
            .iter()
            .zip(cells(deployment, kind, model))
            .filter(|(set, _)| held(set))
    };
    // Yes comes before no, and no before n/a.
    said()
        .map(|(_, cell)| cell)
        .min()
        .unwrap_or(Permission::NotApplicable)
}

/// Why somebody may not approve or reject. Its code is [`Code::PermissionDenied`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("approving this address needs {needed}")]
#[non_exhaustive]
pub struct Refusal {
    /// What is needed, for people.
    pub needed: String,
}

impl Refusal {
    pub(crate) const fn new(needed: String) -> Self {
        Self { needed }
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::PermissionDenied
    }
}

/// Whether somebody may approve or reject the address of a mailbox whose profile has that kind.
///
/// The privilege is needed in every case, and roles for which [`permission`] says yes.
///
/// # Errors
/// A [`Refusal`] that names what is needed.
pub fn may_approve(
    principal: &Principal,
    deployment: DeploymentKind,
    kind: Option<&ProfileKind>,
    model: PermissionModel,
) -> Result<(), Refusal> {
    if !principal
        .privileges
        .contains(&Privilege::ApproveEmailAddresses)
    {
        let needed = "the privilege Approve Email Addresses for Users or Queues";
        return Err(Refusal::new(needed.to_owned()));
    }
    let answer = permission(&principal.roles, deployment, kind, model);
    if answer == Permission::Yes {
        return Ok(());
    }
    let sets: Vec<_> = ROLE_SETS
        .iter()
        .zip(cells(deployment, kind, model))
        .filter(|(_, cell)| *cell == Permission::Yes)
        .map(|(set, _)| {
            let names: Vec<_> = set.iter().map(|role| role_name(*role)).collect();
            names.join(" and ")
        })
        .collect();
    let mut needed = format!("the roles {}", sets.join(", or "));
    if answer == Permission::NotApplicable && !principal.roles.is_empty() {
        needed.push_str("; the roles held have nothing to do with this deployment and mail system");
    }
    Err(Refusal::new(needed))
}

/// The name of a role, for people.
#[must_use]
pub const fn role_name(role: Role) -> &'static str {
    match role {
        Role::SystemAdministrator => "System Administrator",
        Role::GlobalAdministrator => "Global Administrator",
        Role::ExchangeAdministrator => "Exchange Administrator",
        Role::ServiceAdministrator => "Service Administrator",
        Role::DelegatedMailboxApprover => "Delegated Mailbox Approver",
    }
}

#[cfg(test)]
mod tests;
