//! The table of settings.

use std::time::Duration;

use super::{Access, MailboxSetting, Setting, SettingKind, SettingScope, SettingValue};
use crate::approval::PermissionModel;
use crate::mailbox::DeliveryMethod;
use crate::organization::DeploymentKind;
use crate::support::SupportPolicy;
use crate::tracking::TrackingFilter;

macro_rules! switch {
    ($($field:ident).+) => {
        Access {
            kind: SettingKind::Switch,
            get: |organization| SettingValue::Switch(organization.$($field).+),
            put: |organization, value| {
                if let SettingValue::Switch(on) = value {
                    organization.$($field).+ = on;
                }
            },
        }
    };
}

macro_rules! number {
    ($min:literal..=$max:literal, $($field:ident).+) => {
        Access {
            kind: SettingKind::Number { min: $min, max: $max },
            get: |organization| SettingValue::Number(u64::from(organization.$($field).+)),
            put: |organization, value| {
                if let SettingValue::Number(number) = value
                    && let Ok(number) = number.try_into()
                {
                    organization.$($field).+ = number;
                }
            },
        }
    };
}

macro_rules! seconds {
    ($min:literal..=$max:literal, $($field:ident).+) => {
        Access {
            kind: SettingKind::Seconds { min: $min, max: $max },
            get: |organization| SettingValue::Number(organization.$($field).+.as_secs()),
            put: |organization, value| {
                if let SettingValue::Number(seconds) = value {
                    organization.$($field).+ = Duration::from_secs(seconds);
                }
            },
        }
    };
}

macro_rules! text {
    ($min:literal..=$max:literal, $($field:ident).+) => {
        Access {
            kind: SettingKind::Text { min: $min, max: $max },
            get: |organization| SettingValue::Text(organization.$($field).+.clone()),
            put: |organization, value| {
                if let SettingValue::Text(text) = value {
                    organization.$($field).+ = text;
                }
            },
        }
    };
}

macro_rules! choice {
    ([$($name:literal = $value:expr),+ $(,)?], $($field:ident).+) => {
        Access {
            kind: SettingKind::Choice(&[$($name),+]),
            get: |organization| {
                let value = organization.$($field).+;
                let found = [$(($name, $value)),+].into_iter().find(|(_, each)| *each == value);
                // A value that no name stands for cannot be set; validation reports it.
                SettingValue::Choice(found.map_or("", |(name, _)| name))
            },
            put: |organization, value| {
                if let SettingValue::Choice(name) = value
                    && let Some((_, value)) = [$(($name, $value)),+]
                        .into_iter()
                        .find(|(each, _)| *each == name)
                {
                    organization.$($field).+ = value;
                }
            },
        }
    };
}

macro_rules! filter {
    ($($field:ident).+) => {
        choice!(
            [
                "all" = TrackingFilter::All,
                "replies_to_crm_email" = TrackingFilter::RepliesToCrmEmail,
                "from_leads_contacts_accounts" = TrackingFilter::FromLeadsContactsAccounts,
                "from_email_enabled_records" = TrackingFilter::FromEmailEnabledRecords,
                "none" = TrackingFilter::None,
            ],
            $($field).+
        )
    };
}

const FILTERS: SettingKind = SettingKind::Choice(&[
    "all",
    "replies_to_crm_email",
    "from_leads_contacts_accounts",
    "from_email_enabled_records",
    "none",
]);

const fn setting(
    name: &'static str,
    access: Access,
    doc: &'static str,
    source: &'static str,
) -> Setting {
    Setting {
        name,
        doc,
        source,
        access,
    }
}

const EMAIL_TAB: &str = "seed 000, Configure default email processing; domain section 2";
const OURS: &str = "ours";

/// Every setting of the organization, by subject.
pub const SETTINGS: &[Setting] = &[
    setting(
        "name",
        text!(1..=200, name),
        "The organization's name, for people.",
        OURS,
    ),
    setting(
        "deployment.kind",
        choice!(
            [
                "on_premises" = DeploymentKind::OnPremises,
                "online" = DeploymentKind::Online,
            ],
            deployment.kind
        ),
        "Where the application runs: on own servers, or as an online service. Decides about permissions, support and the profile for Exchange Online.",
        "seeds 000 to 003",
    ),
    setting(
        "deployment.fips",
        switch!(deployment.fips),
        "Only systems validated by FIPS 140-2 may be used.",
        "seed 003",
    ),
    setting(
        "deployment.allow_credentials_entry_via_non_secure_channels",
        switch!(deployment.allow_credentials_entry_via_non_secure_channels),
        "User names and passwords may be entered over connections that are not encrypted.",
        "seed 000",
    ),
    setting(
        "support_policy",
        choice!(
            [
                "extended" = SupportPolicy::Extended,
                "strict" = SupportPolicy::Strict,
            ],
            settings.support_policy
        ),
        "What happens to configurations that the reference does not support: extended allows what works here and says so, strict refuses it.",
        "seed 003; the extended policy is ours",
    ),
    setting(
        "process_only_approved_users",
        switch!(settings.process_only_approved_users),
        "Process email of users only where their address is approved.",
        "seed 001, Remove requirement to approve mailboxes",
    ),
    setting(
        "process_only_approved_queues",
        switch!(settings.process_only_approved_queues),
        "Process email of queues only where their address is approved.",
        "seed 001, Remove requirement to approve mailboxes",
    ),
    setting(
        "permission_model",
        choice!(
            [
                "seed" = PermissionModel::Seed,
                "newest" = PermissionModel::Newest,
            ],
            settings.permission_model
        ),
        "Which table says who may approve addresses: seed 001's, or the newest published one, which knows the delegated approver.",
        "seed 001; domain section 3",
    ),
    setting(
        "mailbox_defaults.profile",
        Access {
            kind: SettingKind::Profile,
            get: |organization| {
                SettingValue::Profile(organization.settings.mailbox_defaults.profile)
            },
            put: |organization, value| {
                if let SettingValue::Profile(profile) = value {
                    organization.settings.mailbox_defaults.profile = profile;
                }
            },
        },
        "The server profile of new mailboxes, and what applying the defaults sets.",
        EMAIL_TAB,
    ),
    setting(
        "mailbox_defaults.incoming",
        choice!(
            [
                "none" = DeliveryMethod::None,
                "server_side" = DeliveryMethod::ServerSide,
                "forward_mailbox" = DeliveryMethod::ForwardMailbox,
                "other" = DeliveryMethod::Other,
            ],
            settings.mailbox_defaults.incoming
        ),
        "How incoming email of new mailboxes is delivered.",
        EMAIL_TAB,
    ),
    setting(
        "mailbox_defaults.outgoing",
        choice!(
            [
                "none" = DeliveryMethod::None,
                "server_side" = DeliveryMethod::ServerSide,
                "other" = DeliveryMethod::Other,
            ],
            settings.mailbox_defaults.outgoing
        ),
        "How outgoing email of new mailboxes is delivered; forward mailboxes have none.",
        EMAIL_TAB,
    ),
    setting(
        "mailbox_defaults.items",
        choice!(
            [
                "none" = DeliveryMethod::None,
                "server_side" = DeliveryMethod::ServerSide,
                "other" = DeliveryMethod::Other,
            ],
            settings.mailbox_defaults.items
        ),
        "How appointments, contacts and tasks of new mailboxes of users are synchronized.",
        EMAIL_TAB,
    ),
    setting(
        "mailbox_defaults.user_filter",
        filter!(settings.mailbox_defaults.user_filter),
        "Which incoming email is tracked for new users, until they choose.",
        "domain section 6, Filter",
    ),
    setting(
        "mailbox_defaults.queue_filter",
        filter!(settings.mailbox_defaults.queue_filter),
        "Which incoming email is tracked for new queues and forward mailboxes.",
        "domain sections 6 and 13",
    ),
    setting(
        "process_email_from_days_max",
        number!(0..=36500, settings.process_email_from_days_max),
        "A date from which email is processed may lie at most so many days back; 0 sets no limit.",
        "domain section 1, ProcessEmailSinceMaximumDaysAllowed",
    ),
    setting(
        "correlation.in_reply_to",
        switch!(settings.correlation.in_reply_to),
        "Correlate by In-Reply-To and References.",
        "domain sections 7 and 12",
    ),
    setting(
        "correlation.conversation_index",
        switch!(settings.correlation.conversation_index),
        "Correlate by the conversation index.",
        "domain sections 7 and 12",
    ),
    setting(
        "correlation.token.enabled",
        switch!(settings.correlation.token.enabled),
        "Add tracking tokens to subjects, and correlate by them.",
        "seed 004, CRM Global Email settings",
    ),
    setting(
        "correlation.token.prefix",
        text!(1..=20, settings.correlation.token.prefix),
        "What a token begins with. The one before stays valid for matching if it is put into former_prefixes.",
        "seed 004; domain section 7",
    ),
    setting(
        "correlation.token.former_prefixes",
        Access {
            kind: SettingKind::Texts {
                max: 32,
                characters: 20,
            },
            get: |organization| {
                SettingValue::Texts(
                    organization
                        .settings
                        .correlation
                        .token
                        .former_prefixes
                        .clone(),
                )
            },
            put: |organization, value| {
                if let SettingValue::Texts(texts) = value {
                    organization.settings.correlation.token.former_prefixes = texts;
                }
            },
        },
        "Prefixes in use before: tokens that begin with them still match.",
        OURS,
    ),
    setting(
        "correlation.token.base",
        number!(0..=2147483647, settings.correlation.token.base),
        "Added to the numbers of users in tokens.",
        "domain section 7",
    ),
    setting(
        "correlation.token.user_digits",
        number!(1..=10, settings.correlation.token.user_digits),
        "Digits of the user's number in tokens.",
        "domain section 7",
    ),
    setting(
        "correlation.token.counter_digits",
        number!(1..=9, settings.correlation.token.counter_digits),
        "Digits of the message's number in tokens; one more where a number is still in use.",
        "domain section 7",
    ),
    setting(
        "correlation.token.require_shared_participant",
        switch!(settings.correlation.token.require_shared_participant),
        "A token matches only an email with a participant in common.",
        OURS,
    ),
    setting(
        "correlation.token.subject_length_max",
        number!(1..=998, settings.correlation.token.subject_length_max),
        "Subject and token together have at most so many characters.",
        "domain section 12, MaximumSubjectLengthOnMailServer",
    ),
    setting(
        "correlation.smart_matching.enabled",
        switch!(settings.correlation.smart_matching.enabled),
        "Correlate by words of the subject and addresses in common.",
        "seed 004, CRM Global Email settings",
    ),
    setting(
        "correlation.smart_matching.filter_keywords",
        text!(
            0..=2000,
            settings.correlation.smart_matching.filter_keywords
        ),
        "A regular expression: every match is taken out of subjects before they are compared.",
        "domain section 8",
    ),
    setting(
        "correlation.smart_matching.hash_count_max",
        number!(1..=100, settings.correlation.smart_matching.hash_count_max),
        "At most so many words of the subject, and addresses, are looked at.",
        "domain section 8",
    ),
    setting(
        "correlation.smart_matching.subject_delta",
        number!(0..=20, settings.correlation.smart_matching.subject_delta),
        "So many words of the subject may differ.",
        "domain section 8",
    ),
    setting(
        "correlation.smart_matching.addresses_min",
        number!(1..=20, settings.correlation.smart_matching.addresses_min),
        "So many addresses must be in common.",
        "domain section 8",
    ),
    setting(
        "correlation.smart_matching.window_days",
        number!(1..=3650, settings.correlation.smart_matching.window_days),
        "Only emails of the last so many days are candidates.",
        OURS,
    ),
    setting(
        "parties.unresolve_multiple_senders",
        switch!(settings.parties.unresolve_multiple_senders),
        "Leave the sender unresolved where several parties have the address.",
        "domain section 6",
    ),
    setting(
        "parties.unresolve_multiple_recipients",
        switch!(settings.parties.unresolve_multiple_recipients),
        "Leave a recipient unresolved where several parties have the address.",
        "domain section 6",
    ),
    setting(
        "parties.resolve_inactive",
        switch!(settings.parties.resolve_inactive),
        "Addresses of inactive parties resolve to them, too.",
        "domain section 12, ResolveForInactiveEntities",
    ),
    setting(
        "filter_of_mailbox_only",
        switch!(settings.filter_of_mailbox_only),
        "Only the filter of the mailbox that an email arrived in decides, not those of other recipients.",
        "domain section 12, UseFilteringMethodOfSyncingMailboxOnlyForCorrelation",
    ),
    setting(
        "internal_email_as_two_activities",
        switch!(settings.internal_email_as_two_activities),
        "Email between two users is two records, one sent and one received.",
        "domain sections 2 and 6",
    ),
    setting(
        "send_to_unresolved_recipients",
        switch!(settings.send_to_unresolved_recipients),
        "Outgoing email may go to addresses that resolve to no party.",
        "domain section 2",
    ),
    setting(
        "message_bytes_max",
        number!(1..=2147483648, settings.message_bytes_max),
        "Messages above so many bytes are recorded by headers and structure only; the raw form is kept.",
        OURS,
    ),
    setting(
        "item_attempts_max",
        number!(1..=100, settings.item_attempts_max),
        "Attempts before a message is set aside.",
        OURS,
    ),
    setting(
        "idle_interval_max_seconds",
        seconds!(0..=86400, settings.idle_interval_max),
        "The interval of a mailbox in which nothing happens grows to this at most.",
        "domain section 12, Frequency",
    ),
    setting(
        "health.failures_before_failing",
        number!(1..=1000, settings.health.failures_before_failing),
        "After so many failures in a row a workload counts as failing.",
        "domain section 4, MaxMailboxTransientFailures",
    ),
    setting(
        "health.delay_min_seconds",
        seconds!(0..=3600, settings.health.delay_min),
        "The wait after the first failure; doubled after each further one.",
        OURS,
    ),
    setting(
        "health.delay_max_seconds",
        seconds!(1..=86400, settings.health.delay_max),
        "The longest wait while a failure is tried again.",
        "domain section 4, MailboxBackoffOnTransientError",
    ),
    setting(
        "health.probe_delay_seconds",
        seconds!(1..=86400, settings.health.probe_delay),
        "The wait between probes while a workload is failing.",
        OURS,
    ),
    setting(
        "alerts.errors",
        switch!(settings.alerts.errors),
        "Keep alerts that are errors.",
        "domain section 5",
    ),
    setting(
        "alerts.warnings",
        switch!(settings.alerts.warnings),
        "Keep alerts that are warnings. Off in the reference; on here, as a warning is a message set aside or a server in trouble.",
        "domain section 5",
    ),
    setting(
        "alerts.information",
        switch!(settings.alerts.information),
        "Keep alerts that are information.",
        "domain section 5",
    ),
    setting(
        "alerts.notify_mailbox_owner",
        switch!(settings.alerts.notify_mailbox_owner),
        "Tell the owners of mailboxes of errors of their profile, too.",
        "domain section 5",
    ),
];

const fn mailbox_setting(
    name: &'static str,
    scope: SettingScope,
    kind: SettingKind,
    default: &'static str,
    [doc, source]: [&'static str; 2],
) -> MailboxSetting {
    MailboxSetting {
        name,
        scope,
        kind,
        default,
        doc,
        source,
    }
}

/// Settings of mailboxes and users.
pub const MAILBOX_SETTINGS: &[MailboxSetting] = &[
    mailbox_setting(
        "filter",
        SettingScope::User,
        FILTERS,
        "`mailbox_defaults.user_filter` or `mailbox_defaults.queue_filter`",
        [
            "Which incoming email is tracked.",
            "domain section 6, Filter",
        ],
    ),
    mailbox_setting(
        "process_email_from",
        SettingScope::Mailbox,
        SettingKind::Time,
        "none",
        [
            "Process email received from then on; the later of this and the profile's date counts.",
            "seed 000, Process Email From; domain section 4",
        ],
    ),
    mailbox_setting(
        "allow_credentials",
        SettingScope::Mailbox,
        SettingKind::Switch,
        "off, and on once they are set",
        [
            "The mailbox's own user name and password may be used, where the profile takes them from it.",
            "domain section 2",
        ],
    ),
    mailbox_setting(
        "delete_after_processing",
        SettingScope::Mailbox,
        SettingKind::Switch,
        "off",
        [
            "Delete messages from the server once they are recorded; for queues and forward mailboxes only.",
            "domain section 2, ProcessAndDeleteEmails",
        ],
    ),
];
