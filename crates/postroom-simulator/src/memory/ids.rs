//! The ids of the model as the texts that the traits speak of.

use postroom_provider::{FolderId, RemoteId};

use crate::model;

/// The text for an item.
#[must_use]
pub fn remote_id(item: model::ItemId) -> RemoteId {
    RemoteId::new(format!("m{}", item.number()))
}

/// The item of a text; `None` where the text is not one of ours.
#[must_use]
pub fn item_id(id: &RemoteId) -> Option<model::ItemId> {
    number(id.as_str(), "m").map(model::ItemId)
}

/// The text for a folder.
#[must_use]
pub fn folder_id(folder: model::FolderId) -> FolderId {
    FolderId::new(format!("f{}", folder.number()))
}

/// The folder of a text; `None` where the text is not one of ours.
#[must_use]
pub fn model_folder_id(id: &FolderId) -> Option<model::FolderId> {
    number(id.as_str(), "f").map(model::FolderId)
}

fn number(text: &str, prefix: &str) -> Option<u64> {
    let digits = text.strip_prefix(prefix)?;
    // `parse` alone would take `+1`, and then two texts would name one thing.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}
