//! Which fields an answer shall have.

use std::collections::BTreeSet;

use roxmltree::Node;

use super::call::{Outcome, child, child_text, is_true};
use super::code::Refusal;
use super::path::{Extended, Path};

/// From which operation the answer comes: lists know less than single items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// FindItem.
    List,
    /// SyncFolderItems.
    Sync,
    /// GetItem.
    Single,
}

/// What a response shape asks for.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) base: Base,
    /// Elements by name.
    pub(super) fields: BTreeSet<String>,
    /// Entries of dictionaries: element and key.
    pub(super) entries: Vec<(String, String)>,
    pub(super) extended: Vec<Extended>,
    pub(super) mime: bool,
    pub(super) body: BodyKind,
    pub(super) view: View,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    IdOnly,
    Default,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyKind {
    Best,
    Html,
    Text,
}

/// Fields that the table behind a list does not hold.
const NOT_IN_LISTS: [&str; 10] = [
    "MimeContent",
    "Body",
    "UniqueBody",
    "TextBody",
    "NormalizedBody",
    "Attachments",
    "ToRecipients",
    "CcRecipients",
    "BccRecipients",
    "InternetMessageHeaders",
];

impl Shape {
    /// Ids and nothing else.
    pub(super) const fn ids(view: View) -> Self {
        Self {
            base: Base::IdOnly,
            fields: BTreeSet::new(),
            entries: Vec::new(),
            extended: Vec::new(),
            mime: false,
            body: BodyKind::Best,
            view,
        }
    }

    /// Reads an `ItemShape`, `FolderShape` or `AttachmentShape`.
    pub(super) fn read(node: Node<'_, '_>, view: View) -> Outcome<Self> {
        let mut shape = Self::ids(view);
        shape.base = match child_text(node, "BaseShape") {
            "Default" => Base::Default,
            "AllProperties" => Base::All,
            _ => Base::IdOnly,
        };
        shape.mime = is_true(child_text(node, "IncludeMimeContent"));
        shape.body = match child_text(node, "BodyType") {
            "HTML" => BodyKind::Html,
            "Text" => BodyKind::Text,
            _ => BodyKind::Best,
        };
        let additional = child(node, "AdditionalProperties");
        for path in additional
            .into_iter()
            .flat_map(|list| list.children())
            .filter(Node::is_element)
        {
            match Path::read(path)? {
                Some(Path::Field { uri, element }) => {
                    if view == View::List && NOT_IN_LISTS.contains(&element.as_str()) {
                        return Err(Refusal::new("ErrorInvalidPropertyRequest").path(&uri));
                    }
                    shape.fields.insert(element);
                }
                Some(Path::Entry { element, key, .. }) => shape.entries.push((element, key)),
                Some(Path::Extended(extended)) if !shape.extended.contains(&extended) => {
                    shape.extended.push(extended);
                }
                Some(Path::Extended(_)) | None => {}
            }
        }
        if shape.fields.remove("MimeContent") {
            shape.mime = true;
        }
        if view != View::Single {
            shape.mime = false;
        }
        Ok(shape)
    }

    /// Whether a field is wanted.
    pub(super) fn wants(&self, name: &str, default: &[&str]) -> bool {
        if self.view != View::Single && NOT_IN_LISTS.contains(&name) {
            return false;
        }
        let base = match self.base {
            Base::IdOnly => matches!(name, "ItemId" | "FolderId"),
            Base::Default => default.contains(&name) || matches!(name, "ItemId" | "FolderId"),
            // These cost the server a conversion each, and come only when they are named.
            Base::All => !matches!(
                name,
                "UniqueBody" | "NormalizedBody" | "TextBody" | "Preview" | "MimeContent"
            ),
        };
        base || self.fields.contains(name)
    }
}
