//! The operations: each writes its request and reads its answer, as pure functions.
//!
//! Source: the schema of Exchange SE, and the pages "NAME operation" of Microsoft's EWS reference.
//! Elements stand in the order of the schema; servers insist on it.

pub(crate) mod create_folder;
pub(crate) mod create_item;
pub(crate) mod delete_item;
pub(crate) mod find_folder;
pub(crate) mod find_item;
pub(crate) mod get_folder;
pub(crate) mod get_item;
pub(crate) mod move_item;
pub(crate) mod send_item;
pub(crate) mod sync_folder_items;

use postroom_provider::{RemoteId, WellKnownFolder};
use roxmltree::Node;

use crate::xml::{Xml, child, children};

/// The property set of our stamp; ours alone, so that no other software's property is met.
const STAMP_SET: &str = "72a957d4-21d5-4cb2-b25b-80976dbbd6c3";
/// The name of the property that holds the submission key.
const STAMP_NAME: &str = "submission";

/// A folder that EWS knows by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distinguished {
    Root,
    Inbox,
    Drafts,
    Outbox,
    SentItems,
    DeletedItems,
    Junk,
}

impl Distinguished {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            // The top of what people see; `root` has a lot beside it.
            Self::Root => "msgfolderroot",
            Self::Inbox => "inbox",
            Self::Drafts => "drafts",
            Self::Outbox => "outbox",
            Self::SentItems => "sentitems",
            Self::DeletedItems => "deleteditems",
            Self::Junk => "junkemail",
        }
    }

    /// `None` for a role that EWS has no name for.
    pub(crate) const fn of(role: WellKnownFolder) -> Option<Self> {
        match role {
            WellKnownFolder::Inbox => Some(Self::Inbox),
            WellKnownFolder::Drafts => Some(Self::Drafts),
            WellKnownFolder::SentItems => Some(Self::SentItems),
            WellKnownFolder::DeletedItems => Some(Self::DeletedItems),
            WellKnownFolder::Junk => Some(Self::Junk),
            _ => None,
        }
    }
}

/// A folder in a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FolderRef<'a> {
    Id(&'a str),
    /// By name, with the owner where the mailbox is another's.
    Distinguished(Distinguished, Option<&'a str>),
}

impl FolderRef<'_> {
    pub(crate) fn write(self, xml: &mut Xml) {
        match self {
            Self::Id(id) => {
                xml.empty("t:FolderId", &[("Id", id)]);
            }
            Self::Distinguished(folder, None) => {
                xml.empty("t:DistinguishedFolderId", &[("Id", folder.name())]);
            }
            Self::Distinguished(folder, Some(owner)) => {
                xml.start("t:DistinguishedFolderId", &[("Id", folder.name())])
                    .start("t:Mailbox", &[])
                    .text("t:EmailAddress", owner)
                    .end()
                    .end();
            }
        }
    }
}

/// Writes a list of item ids.
fn item_ids(xml: &mut Xml, ids: &[RemoteId]) {
    xml.start("m:ItemIds", &[]);
    for id in ids {
        xml.empty("t:ItemId", &[("Id", id.as_str())]);
    }
    xml.end();
}

/// Writes the path of our stamp.
fn stamp_path(xml: &mut Xml) {
    xml.empty(
        "t:ExtendedFieldURI",
        &[
            ("PropertySetId", STAMP_SET),
            ("PropertyName", STAMP_NAME),
            ("PropertyType", "String"),
        ],
    );
}

/// Our stamp on an item. A property without a value counts as absent, and the path may be spelled
/// otherwise than it was asked for (ews-notes section 16).
pub(crate) fn stamp_of<'a>(item: Node<'a, '_>) -> Option<&'a str> {
    children(item)
        .filter(|node| node.tag_name().name() == "ExtendedProperty")
        .find(|property| {
            child(*property, "ExtendedFieldURI").is_some_and(|path| {
                path.attribute("PropertySetId")
                    .is_some_and(|set| set.trim_matches(['{', '}']).eq_ignore_ascii_case(STAMP_SET))
                    && path
                        .attribute("PropertyName")
                        .is_some_and(|name| name.eq_ignore_ascii_case(STAMP_NAME))
            })
        })
        .and_then(|property| crate::xml::text_of(property, "Value"))
}

/// An item's id and change key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ItemId {
    pub(crate) id: RemoteId,
    pub(crate) change_key: Option<String>,
}

/// Reads `ItemId` of an item or of a change.
pub(crate) fn item_id(node: Node<'_, '_>) -> Option<ItemId> {
    let id = child(node, "ItemId")?;
    Some(ItemId {
        id: RemoteId::new(id.attribute("Id").filter(|id| !id.is_empty())?),
        change_key: id.attribute("ChangeKey").map(str::to_owned),
    })
}

/// The first item that a response message carries.
pub(crate) fn first_item<'a, 'i>(message: Node<'a, 'i>) -> Option<Node<'a, 'i>> {
    child(message, "Items").and_then(|items| children(items).next())
}

#[cfg(test)]
pub(crate) mod test_support;
