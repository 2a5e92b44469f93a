//! Approval of email addresses, and the gate that it is part of.

mod permission;

pub use permission::{
    MailServer, Permission, PermissionModel, PermissionRow, ROLE_SETS, Refusal, may_approve,
    permission, permission_table, role_name,
};

use serde::{Deserialize, Serialize};

use crate::address::EmailAddress;
use crate::catalogue::Code;
use crate::health::Health;
use crate::mailbox::{DeliveryMethod, Mailbox, MailboxOwner, Workload};
use crate::organization::Organization;
use crate::profile::{ProfileKind, ServerProfile};

/// Whether an address may be processed ("Email Address Status"). Source: domain section 3.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "the four states of the reference; gates match all"
)]
pub enum ApprovalState {
    /// There is no address.
    #[default]
    Empty,
    /// There is an address that nobody has decided about.
    Pending,
    /// Somebody who may has approved it.
    Approved,
    /// Somebody who may has rejected it: no traffic.
    Rejected,
}

/// What happens to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the transition table matches all of them"
)]
pub enum ApprovalEvent {
    /// An address was set, or changed to another one.
    Set,
    /// The address was cleared.
    Clear,
    /// Somebody who may approves it.
    Approve,
    /// Somebody who may rejects it.
    Reject,
}

/// There is no address to decide about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no address to approve or reject")]
#[non_exhaustive]
pub struct NoAddress;

impl ApprovalState {
    /// The text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }

    /// The state after an event. Source: design section 6.
    ///
    /// # Errors
    /// [`NoAddress`] where there is nothing to approve or reject.
    pub const fn next(self, event: ApprovalEvent) -> Result<Self, NoAddress> {
        match (self, event) {
            (Self::Empty | Self::Pending | Self::Approved | Self::Rejected, ApprovalEvent::Set) => {
                Ok(Self::Pending)
            }
            (
                Self::Empty | Self::Pending | Self::Approved | Self::Rejected,
                ApprovalEvent::Clear,
            ) => Ok(Self::Empty),
            (Self::Pending | Self::Approved | Self::Rejected, ApprovalEvent::Approve) => {
                Ok(Self::Approved)
            }
            (Self::Pending | Self::Approved | Self::Rejected, ApprovalEvent::Reject) => {
                Ok(Self::Rejected)
            }
            (Self::Empty, ApprovalEvent::Approve | ApprovalEvent::Reject) => Err(NoAddress),
        }
    }

    /// The state after the address was edited; writing it in other case is no change.
    #[must_use]
    pub fn after_edit(self, old: Option<&EmailAddress>, new: Option<&EmailAddress>) -> Self {
        match new {
            None => Self::Empty,
            Some(_) if new == old => self,
            Some(_) => Self::Pending,
        }
    }
}

/// What a workload asks to pass the gate for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the gate matches both")]
pub enum Purpose {
    /// To be processed.
    Process,
    /// To be tested: what a test is to find out need not be so yet.
    Test,
}

/// Whether there may be traffic for a workload at all. Promise 8.
///
/// A test needs everything that processing needs, the approval included, but not that the workload
/// is enabled: enabling it is what the test is for.
///
/// # Errors
/// The code of the first condition that is not met.
pub fn gate(
    organization: &Organization,
    mailbox: &Mailbox,
    profile: Option<&ServerProfile>,
    workload: Workload,
    purpose: Purpose,
) -> Result<(), Code> {
    if !mailbox.active {
        return Err(Code::MailboxInactive);
    }
    if mailbox.address.is_none() {
        return Err(Code::NoAddress);
    }
    let settings = &organization.settings;
    let must_be_approved = match mailbox.owner {
        MailboxOwner::User(_) | MailboxOwner::Forward => settings.process_only_approved_users,
        MailboxOwner::Queue(_) => settings.process_only_approved_queues,
    };
    match mailbox.approval {
        ApprovalState::Approved => {}
        _ if workload == Workload::Outgoing && crate::planted!(ApprovalUncheckedOutgoing) => {}
        // Somebody said no: that holds whatever the organization asks of others.
        ApprovalState::Rejected => return Err(Code::NotApproved),
        ApprovalState::Empty | ApprovalState::Pending => {
            if must_be_approved {
                return Err(Code::NotApproved);
            }
        }
    }
    let Some(profile) =
        profile.filter(|profile| mailbox.profile == Some(profile.id) && profile.active)
    else {
        return Err(Code::NoProfile);
    };
    let state = mailbox.workload(workload);
    let unseen = workload == Workload::Outgoing && crate::planted!(DisabledStillSends);
    if state.method != DeliveryMethod::ServerSide && !unseen {
        return Err(Code::MethodNone);
    }
    let possible = match workload {
        Workload::Incoming => true,
        Workload::Outgoing => mailbox.owner != MailboxOwner::Forward,
        Workload::Items => {
            matches!(mailbox.owner, MailboxOwner::User(_))
                && !matches!(profile.kind, ProfileKind::Pop3Smtp | ProfileKind::ImapSmtp)
        }
    };
    if !possible {
        return Err(Code::MethodNotSupported);
    }
    match purpose {
        Purpose::Test => Ok(()),
        Purpose::Process => match &state.health {
            // More telling than that it is not enabled, which follows from it.
            Health::Disabled { code, .. } => Err(*code),
            Health::Healthy | Health::Retrying { .. } | Health::Failing { .. }
                if !(state.enabled || unseen) =>
            {
                Err(Code::NotEnabled)
            }
            Health::Healthy | Health::Retrying { .. } | Health::Failing { .. } => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests;
