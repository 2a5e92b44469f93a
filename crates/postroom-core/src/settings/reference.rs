//! The switches that the reference hides from administrators, and what became of each here.

/// What became of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// A setting.
    Setting(&'static str),
    /// It is always so; the text says how.
    Always(&'static str),
    /// It is not offered; the text says why.
    Without(&'static str),
    /// It belongs to appointments, contacts and tasks, or to other work that is still open.
    Later(&'static str),
}

/// A switch of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReferenceSwitch {
    /// Its name there.
    pub name: &'static str,
    /// Whether it is on there unless changed, or its default number.
    pub default: &'static str,
    /// What became of it.
    pub fate: Fate,
}

const fn switch(name: &'static str, default: &'static str, fate: Fate) -> ReferenceSwitch {
    ReferenceSwitch {
        name,
        default,
        fate,
    }
}

use Fate::{Always, Later, Setting, Without};

/// Every switch of domain section 12.
pub const REFERENCE_SWITCHES: &[ReferenceSwitch] = &[
    switch(
        "AutoCreateContactOnPromote",
        "on",
        Without("The application decides whether an unknown sender becomes a contact."),
    ),
    switch(
        "DoNotAutoTrackEmail",
        "on",
        Without("The tracking filter of each mailbox says what is tracked."),
    ),
    switch(
        "AutoTrackSentFolderItems",
        "off",
        Later("Sent folders are not read yet."),
    ),
    switch(
        "TrackCategorizedItems",
        "on",
        Later("Categories are not read yet."),
    ),
    switch(
        "RestrictIRMEmailItems",
        "off",
        Later("Messages under rights management are recorded as they come, without being opened."),
    ),
    switch(
        "IgnoreConversationIndexAndInReplyToForCorrelation",
        "off",
        Setting("correlation.in_reply_to"),
    ),
    switch(
        "UseFilteringMethodOfSyncingMailboxOnlyForCorrelation",
        "off",
        Setting("filter_of_mailbox_only"),
    ),
    switch(
        "ResolveForInactiveEntities",
        "off",
        Setting("parties.resolve_inactive"),
    ),
    switch(
        "MaximumSubjectLengthOnMailServer",
        "255",
        Setting("correlation.token.subject_length_max"),
    ),
    switch(
        "DoNotIgnoreInternalEmailToQueues",
        "on",
        Always("Email from a user to a queue is looked at like any other."),
    ),
    switch(
        "IgnoreInternalEmailDetectionEnhancement",
        "on",
        Setting("internal_email_as_two_activities"),
    ),
    switch(
        "CreateQueueItem*",
        "several",
        Without("Queue items are the application's records."),
    ),
    switch(
        "SSSCreateAdditionalQueueItemsForAlreadyTrackedEmail",
        "off",
        Without("Queue items are the application's records."),
    ),
    switch(
        "SSSSaveOutgoingEmailToExchangeSentFolder",
        "on",
        Always("The sent copy is what tells after a crash that an email was sent."),
    ),
    switch(
        "SSSPropagateAppointmentCancellationsToExchange",
        "off",
        Later("Appointments are not synchronized yet."),
    ),
    switch(
        "SSSUpdatePastMeetingsInNonDraftMode",
        "off",
        Later("Appointments are not synchronized yet."),
    ),
    switch(
        "TrackAppointmentsFromNonOrganizer",
        "on",
        Later("Appointments are not synchronized yet."),
    ),
    switch(
        "AllowSaveAsDraftAppointment",
        "off",
        Later("Appointments are not synchronized yet."),
    ),
    switch(
        "UseCrmOrganizerForEmptyExchangeOrganizer",
        "off",
        Later("Appointments are not synchronized yet."),
    ),
    switch(
        "IgnoreCopiedItemsInSSSForMailbox",
        "on",
        Later("Appointments are not synchronized yet."),
    ),
    switch(
        "DistinctPhysicalAndLogicalDeletesForExchangeSync",
        "off",
        Later("Items are not synchronized yet."),
    ),
    switch(
        "EnableSssItemLevelMonitoring",
        "on",
        Always("Every message has its row in the ledger, with the decision and its evidence."),
    ),
    switch(
        "ExchangeSyncIdMappingPersistenceTimeInDays",
        "3",
        Later("Items are not synchronized yet."),
    ),
    switch(
        "UseXAnchorMailboxInExchangeRequestHeader",
        "on",
        Always("Exchange is told the mailbox that a request is for, where it is impersonated."),
    ),
    switch(
        "EnableMailboxDelegationForOutgoingEmail",
        "on",
        Later("Sending on behalf of others goes by the privilege to send as another user."),
    ),
];
