//! What the model refuses.

/// Why a call on the model failed. Every server translates it into its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each server must say something for every refusal"
)]
pub enum ModelError {
    /// No such account.
    #[error("no such account")]
    NoAccount,
    /// An address or a login is taken already.
    #[error("address or login already in use")]
    AccountExists,
    /// No such folder.
    #[error("no such folder")]
    NoFolder,
    /// A folder of that name exists below the same parent.
    #[error("folder exists already")]
    FolderExists,
    /// A default folder can be neither deleted nor moved.
    #[error("a default folder cannot be deleted or moved")]
    WellKnownFolder,
    /// A folder cannot move below itself.
    #[error("a folder cannot be moved into itself")]
    FolderLoop,
    /// No such item.
    #[error("no such item")]
    NoItem,
    /// The item has been changed since the change key that was named.
    #[error("the item has been changed in the meantime")]
    Stale,
    /// Source and target belong to different accounts.
    #[error("items cannot be moved between mailboxes")]
    CrossAccount,
    /// A message without recipients cannot be sent.
    #[error("the message has no valid recipient")]
    NoRecipients,
    /// The account may not send in the name that the message bears.
    #[error("sending in that name is not permitted")]
    SendAsDenied,
}
