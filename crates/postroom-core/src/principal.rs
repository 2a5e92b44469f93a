//! Who is asking.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::PartyId;

/// A role of the permission model. Source: seed 001, "Permission model".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Administers the application.
    SystemAdministrator,
    /// Administers the tenant.
    GlobalAdministrator,
    /// Administers Exchange.
    ExchangeAdministrator,
    /// Administers the online service.
    ServiceAdministrator,
    /// May approve mailboxes by delegation.
    DelegatedMailboxApprover,
}

/// A right that a security role can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Privilege {
    /// "Approve Email Addresses for Users or Queues".
    ApproveEmailAddresses,
    /// Read mailboxes.
    ReadMailbox,
    /// Change mailboxes.
    WriteMailbox,
    /// Read server profiles.
    ReadServerProfile,
    /// Change server profiles.
    WriteServerProfile,
    /// Change the organization's settings.
    WriteOrganization,
    /// Send email in another user's name.
    SendAsAnotherUser,
}

/// Who calls an administrative operation, with the roles and privileges that count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Principal {
    /// The user; `None` for the operator of the command line, who owns the machine.
    pub user: Option<PartyId>,
    /// The name that the audit keeps.
    pub name: String,
    /// The roles held.
    pub roles: BTreeSet<Role>,
    /// The privileges held.
    pub privileges: BTreeSet<Privilege>,
}

impl Principal {
    /// A user without roles or privileges; add what applies.
    #[must_use]
    pub fn user(user: PartyId, name: impl Into<String>) -> Self {
        Self {
            user: Some(user),
            name: name.into(),
            roles: BTreeSet::new(),
            privileges: BTreeSet::new(),
        }
    }

    /// The operator of the machine, who may do everything: who can read the store's file and key
    /// can do everything anyway.
    #[must_use]
    pub fn operator(name: impl Into<String>) -> Self {
        Self {
            user: None,
            name: name.into(),
            roles: [
                Role::SystemAdministrator,
                Role::GlobalAdministrator,
                Role::ExchangeAdministrator,
                Role::ServiceAdministrator,
            ]
            .into(),
            privileges: [
                Privilege::ApproveEmailAddresses,
                Privilege::ReadMailbox,
                Privilege::WriteMailbox,
                Privilege::ReadServerProfile,
                Privilege::WriteServerProfile,
                Privilege::WriteOrganization,
                Privilege::SendAsAnotherUser,
            ]
            .into(),
        }
    }

    /// Adds a role.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.roles.insert(role);
        self
    }

    /// Adds a privilege.
    #[must_use]
    pub fn with_privilege(mut self, privilege: Privilege) -> Self {
        self.privileges.insert(privilege);
        self
    }
}
