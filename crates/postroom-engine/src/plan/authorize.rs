//! Who may do what. Approval has a table of its own: [`postroom_core::approval`].

use postroom_core::principal::{Principal, Privilege, Role};

/// A right that an administrative operation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// See mailboxes and what became of their messages.
    ReadMailbox,
    /// Change mailboxes and run tests.
    WriteMailbox,
    /// Change delivery methods and profiles of mailboxes. Source: seed 000, "Edit mailboxes".
    ChangeDelivery,
    /// See server profiles.
    ReadProfile,
    /// Change server profiles.
    WriteProfile,
    /// Change the organization.
    WriteOrganization,
}

impl Right {
    const fn needs(self) -> (&'static [Role], &'static [Privilege], &'static str) {
        match self {
            Self::ReadMailbox => (
                &[],
                &[Privilege::ReadMailbox],
                "the privilege Read on Mailbox",
            ),
            Self::WriteMailbox => (
                &[],
                &[Privilege::ReadMailbox, Privilege::WriteMailbox],
                "the privileges Read and Write on Mailbox",
            ),
            Self::ChangeDelivery => (
                &[Role::SystemAdministrator],
                &[Privilege::ReadMailbox, Privilege::WriteMailbox],
                "the role System Administrator and the privileges Read and Write on Mailbox",
            ),
            Self::ReadProfile => (
                &[],
                &[Privilege::ReadServerProfile],
                "the privilege Read on Email Server Profile",
            ),
            Self::WriteProfile => (
                &[],
                &[Privilege::ReadServerProfile, Privilege::WriteServerProfile],
                "the privileges Read and Write on Email Server Profile",
            ),
            Self::WriteOrganization => (
                &[],
                &[Privilege::WriteOrganization],
                "the privilege Write on Organization",
            ),
        }
    }
}

/// Whether the principal has the right.
///
/// # Errors
/// What is needed, for people.
pub(crate) fn authorize(principal: &Principal, right: Right) -> Result<(), &'static str> {
    let (roles, privileges, needed) = right.needs();
    let holds = roles.iter().all(|role| principal.roles.contains(role))
        && privileges
            .iter()
            .all(|privilege| principal.privileges.contains(privilege));
    if holds { Ok(()) } else { Err(needed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroom_core::PartyId;

    #[test]
    fn every_right_needs_all_that_it_names() {
        let nobody = Principal::user(PartyId::from_random([1; 16]), "nobody");
        let operator = Principal::operator("operator");
        for right in [
            Right::ReadMailbox,
            Right::WriteMailbox,
            Right::ChangeDelivery,
            Right::ReadProfile,
            Right::WriteProfile,
            Right::WriteOrganization,
        ] {
            assert!(authorize(&operator, right).is_ok(), "{right:?}");
            assert!(authorize(&nobody, right).is_err(), "{right:?}");
        }
        let writer = nobody
            .with_privilege(Privilege::ReadMailbox)
            .with_privilege(Privilege::WriteMailbox);
        assert!(authorize(&writer, Right::WriteMailbox).is_ok());
        assert!(
            authorize(&writer, Right::ChangeDelivery).is_err(),
            "delivery methods need the role, too"
        );
        assert!(authorize(&writer, Right::ReadProfile).is_err());
    }
}
