//! Refusals in the words of EWS.

use crate::model::ModelError;

/// An EWS response code with what goes with it.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) text: String,
    /// `t:Value` elements of the MessageXml.
    pub(super) values: Vec<(String, String)>,
    /// A field URI that is to blame.
    pub(super) path: Option<String>,
    pub(super) warning: bool,
}

impl Refusal {
    pub(super) fn new(code: impl Into<String>) -> Self {
        let code = code.into();
        Self {
            text: text_of(&code).to_owned(),
            code,
            values: Vec::new(),
            path: None,
            warning: false,
        }
    }

    pub(super) fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    pub(super) fn value(mut self, name: &str, value: impl ToString) -> Self {
        self.values.push((name.to_owned(), value.to_string()));
        self
    }

    pub(super) fn path(mut self, uri: &str) -> Self {
        self.path = Some(uri.to_owned());
        self
    }

    pub(super) const fn warning(mut self) -> Self {
        self.warning = true;
        self
    }
}

fn text_of(code: &str) -> &'static str {
    match code {
        "ErrorItemNotFound" => "There is no such item in the store.",
        "ErrorFolderNotFound" => "There is no such folder in the store.",
        "ErrorServerBusy" => "The server cannot serve this request now. Try again later.",
        "ErrorImpersonateUserDenied" => "The account may not impersonate the requested user.",
        "ErrorNonExistentMailbox" => "No mailbox has that SMTP address.",
        "ErrorNonPrimarySmtpAddress" => "Only the primary SMTP address of a mailbox may be used.",
        "ErrorFolderExists" => "A folder of that name exists already.",
        "ErrorIrresolvableConflict" => {
            "The change key is not that of the present version of the item."
        }
        "ErrorStaleObject" => "The item has been changed since it was read.",
        "ErrorInvalidSyncStateData" => "The sync state cannot be used for this request.",
        "ErrorSchemaValidation" => "The request does not follow the schema.",
        "ErrorInvalidServerVersion" => "The requested server version is not valid.",
        "ErrorItemCorrupt" => "The item cannot be read.",
        "ErrorMimeContentConversionFailed" => "The item cannot be turned into MIME.",
        "ErrorBatchProcessingStopped" => "The batch was stopped before this item.",
        "ErrorInvalidRecipients" => "At least one recipient is not valid.",
        "ErrorSendAsDenied" => "The account may not send in that name.",
        "ErrorQuotaExceeded" => "The mailbox is full.",
        "ErrorInvalidIdMalformed" => "The id is malformed.",
        "ErrorInvalidIdEmpty" => "The id is empty.",
        "ErrorInvalidChangeKey" => "The change key is not valid.",
        "ErrorInvalidAttachmentId" => "The attachment id is not valid.",
        "ErrorInvalidFolderId" => "The folder id is not valid.",
        "ErrorCannotUseFolderIdForItemId" => "The id of a folder cannot stand for an item.",
        "ErrorCannotUseItemIdForFolderId" => "The id of an item cannot stand for a folder.",
        "ErrorChangeKeyRequiredForWriteOperations" => "To write, the change key is needed too.",
        "ErrorMessageDispositionRequired" => "For messages the MessageDisposition is needed.",
        "ErrorSendMeetingInvitationsRequired" => "SendMeetingInvitations is needed.",
        "ErrorSendMeetingCancellationsRequired" => "SendMeetingCancellations is needed.",
        "ErrorSendMeetingInvitationsOrCancellationsRequired" => {
            "SendMeetingInvitationsOrCancellations is needed."
        }
        "ErrorAffectedTaskOccurrencesRequired" => "AffectedTaskOccurrences is needed.",
        "ErrorSavedItemFolderNotFound" => "The folder to save the item in was not found.",
        "ErrorToFolderNotFound" => "The folder to move or copy to was not found.",
        "ErrorSyncFolderNotFound" => "The folder to synchronize was not found.",
        "ErrorParentFolderNotFound" => "The folder to create the new one in was not found.",
        "ErrorDeleteDistinguishedFolder" => "Distinguished folders cannot be deleted.",
        "ErrorMoveDistinguishedFolder" => "Distinguished folders cannot be moved.",
        "ErrorMoveCopyFailed" => "The move or copy failed.",
        "ErrorCrossMailboxMoveCopy" => "Nothing can be moved or copied to another mailbox.",
        "ErrorFolderSavePropertyError" => "A property of the folder could not be saved.",
        "ErrorInvalidPropertySet" => "The property cannot be set.",
        "ErrorInvalidPropertyDelete" => "The property cannot be deleted.",
        "ErrorInvalidPropertyAppend" => "Nothing can be appended to the property.",
        "ErrorInvalidPropertyRequest" => "The property cannot be asked for in this request.",
        "ErrorInvalidPropertyUpdateSentMessage" => {
            "The property cannot be changed in a message that was sent."
        }
        "ErrorUpdatePropertyMismatch" => "The value is not one of the named property.",
        "ErrorIncorrectUpdatePropertyCount" => "An update must name one property and one value.",
        "ErrorObjectTypeChanged" => "The kind of an item cannot be changed.",
        "ErrorInvalidExtendedProperty" => "The extended property is not named in a valid way.",
        "ErrorInvalidExtendedPropertyValue" => {
            "The value of the extended property is not one of its type."
        }
        "ErrorMimeContentInvalidBase64String" => "The MIME content is not Base64.",
        "ErrorInvalidSendItemSaveSettings" => {
            "A folder was given for a copy that is not to be kept."
        }
        "ErrorSubscriptionNotFound" => "The subscription was not found.",
        "ErrorInvalidSubscription" => "The subscription is not valid.",
        "ErrorInvalidWatermark" => "The watermark is not valid.",
        "ErrorInvalidRestriction" => "The restriction is not valid.",
        "ErrorInvalidExchangeImpersonationHeaderData" => "The impersonation header names nobody.",
        "ErrorAccessDenied" => "Access is denied.",
        _ => "The request cannot be served.",
    }
}

impl From<ModelError> for Refusal {
    fn from(error: ModelError) -> Self {
        Self::new(match error {
            ModelError::NoAccount => "ErrorNonExistentMailbox",
            ModelError::AccountExists => "ErrorInternalServerError",
            ModelError::NoFolder => "ErrorFolderNotFound",
            ModelError::FolderExists => "ErrorFolderExists",
            ModelError::WellKnownFolder => "ErrorDeleteDistinguishedFolder",
            ModelError::FolderLoop => "ErrorMoveCopyFailed",
            ModelError::NoItem => "ErrorItemNotFound",
            ModelError::Stale => "ErrorIrresolvableConflict",
            ModelError::CrossAccount => "ErrorCrossMailboxMoveCopy",
            ModelError::NoRecipients => "ErrorInvalidRecipients",
            ModelError::SendAsDenied => "ErrorSendAsDenied",
        })
    }
}
