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
