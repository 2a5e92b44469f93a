//! From the ids that clients know to those of the model, for tests.

use super::ids::{Named, decode};
use super::server::Exchange;
use crate::model::{FolderId, ItemId};

impl Exchange {
    /// The item that clients know under that id; `None` where it names none.
    #[must_use]
    pub fn item_of_client(&self, id: &str) -> Option<ItemId> {
        match decode(id) {
            Ok(Named::Item(item)) => Some(item),
            Ok(Named::Folder(_) | Named::Attachment(..)) | Err(_) => None,
        }
    }

    /// The folder that clients know under that id; `None` where it names none.
    #[must_use]
    pub fn folder_of_client(&self, id: &str) -> Option<FolderId> {
        match decode(id) {
            Ok(Named::Folder(folder)) => Some(folder),
            Ok(Named::Item(_) | Named::Attachment(..)) | Err(_) => None,
        }
    }
}
