//! What the command line uses of the library, in one place.

pub(crate) use postroom::core::alert::{Alert, Subject};
pub(crate) use postroom::core::approval::ApprovalState;
pub(crate) use postroom::core::channel::Channel;
pub(crate) use postroom::core::connection::{
    ConnectionStep, ConnectionTest, Direction, StepOutcome, TestOutcome,
};
pub(crate) use postroom::core::email::{DeliveryOutcome, RecipientDelivery};
pub(crate) use postroom::core::health::Health;
pub(crate) use postroom::core::job::{Job, JobKind, JobState, TestStep};
pub(crate) use postroom::core::ledger::{LedgerEntry, LedgerState};
pub(crate) use postroom::core::mailbox::{
    DeliveryMethod, MailboxOwner, MailboxStatus, OwnerKind, TestStatus, WorkloadState,
};
pub(crate) use postroom::core::organization::{Deployment, DeploymentKind};
pub(crate) use postroom::core::outbox::{OutboxEntry, OutboxState};
pub(crate) use postroom::core::party::{Participation, PartyKind};
pub(crate) use postroom::core::principal::Principal;
pub(crate) use postroom::core::profile::{
    AuthenticationProtocol, CredentialSource, Endpoint, OutgoingProtocol, PRESETS, Preset,
    PresetServer, ProfileKind,
};
pub(crate) use postroom::core::settings::{SETTINGS, Setting, SettingValue, find as find_setting};
pub(crate) use postroom::core::support::{
    ExchangeVersion, Finding as SupportFinding, MATRIX, RULES, Severity, SupportPolicy,
};
pub(crate) use postroom::core::tracking::TrackingFilter;
pub(crate) use postroom::core::{
    AlertId, Audience, Code, EmailAddress, JobId, LedgerId, Level, Mailbox, MailboxId,
    NamedAddress, Organization, OrganizationId, OutboxId, PartyId, RawMessage, RecordId, Secret,
    ServerProfile, Timestamp, Workload,
};
pub(crate) use postroom::engine::declaration::{
    Action, Change, Declaration, FieldChange, Finding, PasswordSource as DeclaredPassword,
    PlanOptions, Secrets, nearest, plan,
};
pub(crate) use postroom::engine::{
    AfterDefaults, BulkOutcome, Counts, Explanation, ExplanationKind, MailboxEdit, NewMailbox,
    OutgoingDecision, ProfileDirection, SavedProfile, StepReport, SupportReport,
};
pub(crate) use postroom::net::discovery::{
    Discovered, Discoverer, Discovery, FoundBy, MailServer, MailService, UserName,
};
pub(crate) use postroom::net::dns::SystemDns;
pub(crate) use postroom::net::line::Security;
pub(crate) use postroom::net::{ReqwestTransport, TransportSettings};
pub(crate) use postroom::provider::OpContext;
pub(crate) use postroom::provider::context::{Clock, Randomness, SystemClock, SystemRandomness};
pub(crate) use postroom::sqlite::{
    EmailFilter, EmailView, KeySource, NewEmail, PartyFilter, PartyView, SqliteCrm, SqliteStorage,
    StorageOptions, begin_key_rotation, create_key_file, finish_key_rotation,
};
pub(crate) use postroom::store::{
    AlertFilter, JobFilter, LedgerCounts, LedgerFilter, MailboxFilter, OutboxFilter,
    OutgoingAttachment, Page, StoreError, Wall,
};
pub(crate) use postroom::{Admin, AdminError, Engine, ErrorKind, default_providers};
