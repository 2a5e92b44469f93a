//! The organization: deployment, defaults and settings.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::approval::PermissionModel;
use crate::health::HealthPolicy;
use crate::id::{OrganizationId, ProfileId};
use crate::mailbox::DeliveryMethod;
use crate::party::PartySettings;
use crate::profile::ServerProfile;
use crate::support::SupportPolicy;
use crate::tracking::{CorrelationSettings, TrackingFilter};

/// Where the application runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "the permission and support tables match it in full"
)]
pub enum DeploymentKind {
    /// On the organization's own servers.
    OnPremises,
    /// As an online service, in a tenant.
    Online,
}

/// How the application is deployed, and what that allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Deployment {
    /// Where it runs.
    pub kind: DeploymentKind,
    /// Whether only FIPS-validated systems may be used (seed 003).
    pub fips: bool,
    /// Whether credentials may be entered over a connection that is not encrypted (seed 000).
    pub allow_credentials_entry_via_non_secure_channels: bool,
}

impl Deployment {
    /// A deployment with the cautious settings.
    #[must_use]
    pub const fn new(kind: DeploymentKind) -> Self {
        Self {
            kind,
            fips: false,
            allow_credentials_entry_via_non_secure_channels: false,
        }
    }
}

/// What a mailbox gets when it is created, and what "Apply defaults" sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct MailboxDefaults {
    /// The default profile.
    pub profile: Option<ProfileId>,
    /// How incoming email is delivered.
    pub incoming: DeliveryMethod,
    /// How outgoing email is delivered.
    pub outgoing: DeliveryMethod,
    /// How appointments, contacts and tasks are synchronized.
    pub items: DeliveryMethod,
    /// Which incoming email is tracked for new users (email in response to the application's).
    pub user_filter: TrackingFilter,
    /// Which incoming email is tracked for new queues and forward mailboxes (all).
    pub queue_filter: TrackingFilter,
}

impl Default for MailboxDefaults {
    fn default() -> Self {
        Self {
            profile: None,
            incoming: DeliveryMethod::ServerSide,
            outgoing: DeliveryMethod::ServerSide,
            items: DeliveryMethod::None,
            user_filter: TrackingFilter::RepliesToCrmEmail,
            queue_filter: TrackingFilter::All,
        }
    }
}

/// Which levels of alerts are kept. Source: domain section 5.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AlertSettings {
    /// Keep errors (on).
    pub errors: bool,
    /// Keep warnings (on: a warning here is a message set aside or a server that is retried).
    pub warnings: bool,
    /// Keep information (on).
    pub information: bool,
    /// Tell the mailbox owner of profile errors too (off).
    pub notify_mailbox_owner: bool,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            errors: true,
            warnings: true,
            information: true,
            notify_mailbox_owner: false,
        }
    }
}

/// Settings of the organization, with the seeds' defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct OrganizationSettings {
    /// Process email only for approved users (on). Source: seed 001.
    pub process_only_approved_users: bool,
    /// Process email only for approved queues (on). Source: seed 001.
    pub process_only_approved_queues: bool,
    /// Defaults for mailboxes.
    pub mailbox_defaults: MailboxDefaults,
    /// Token, smart matching, conversation.
    pub correlation: CorrelationSettings,
    /// What happens where an address belongs to several parties.
    pub parties: PartySettings,
    /// Which permission model says who may approve addresses.
    pub permission_model: PermissionModel,
    /// When trouble becomes serious, and how often it is tried meanwhile.
    pub health: HealthPolicy,
    /// Which alerts are kept.
    pub alerts: AlertSettings,
    /// Track email between two users as two activities, one sent and one received (off).
    pub internal_email_as_two_activities: bool,
    /// Messages above this many bytes are recorded by headers and structure only, the raw form kept (150 MB).
    pub message_bytes_max: u64,
    /// Outgoing email with a recipient that resolves to no party may be sent (on).
    pub send_to_unresolved_recipients: bool,
    /// How long an idle workload's interval may grow.
    pub idle_interval_max: Duration,
    /// Attempts before a message is quarantined (3).
    pub item_attempts_max: u32,
    /// What happens to configurations that the reference does not support (they are allowed).
    pub support_policy: SupportPolicy,
    /// A date from which email is processed may lie at most so many days back (0: no limit).
    pub process_email_from_days_max: u32,
    /// Only the filter of the mailbox that an email arrived in decides (off).
    pub filter_of_mailbox_only: bool,
}

impl Default for OrganizationSettings {
    fn default() -> Self {
        Self {
            process_only_approved_users: true,
            process_only_approved_queues: true,
            mailbox_defaults: MailboxDefaults::default(),
            correlation: CorrelationSettings::default(),
            parties: PartySettings::default(),
            permission_model: PermissionModel::default(),
            health: HealthPolicy::default(),
            alerts: AlertSettings::default(),
            internal_email_as_two_activities: false,
            message_bytes_max: 150 * 1024 * 1024,
            send_to_unresolved_recipients: true,
            idle_interval_max: Duration::from_secs(12 * 60),
            item_attempts_max: 3,
            support_policy: SupportPolicy::default(),
            process_email_from_days_max: 0,
            filter_of_mailbox_only: false,
        }
    }
}

/// One organization: what one store holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Organization {
    /// Its id, also the stamp in mailboxes.
    pub id: OrganizationId,
    /// Its name, for people.
    pub name: String,
    /// How it is deployed.
    pub deployment: Deployment,
    /// Its settings.
    pub settings: OrganizationSettings,
}

impl Organization {
    /// An organization with default settings.
    #[must_use]
    pub fn new(id: OrganizationId, name: impl Into<String>, deployment: Deployment) -> Self {
        Self {
            id,
            name: name.into(),
            deployment,
            settings: OrganizationSettings::default(),
        }
    }

    /// The profile that there is from the start where the deployment is online: the default of new
    /// mailboxes unless another one is. Source: seed 001, "Verify you have the profile".
    pub fn begin_with_profile(&mut self, id: ProfileId) -> Option<ServerProfile> {
        if self.deployment.kind != DeploymentKind::Online {
            return None;
        }
        self.settings.mailbox_defaults.profile.get_or_insert(id);
        Some(ServerProfile::exchange_online(id))
    }
}
