//! Items: messages, and generically everything else that a mailbox holds.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use postroom_core::Timestamp;

use super::folder::FolderId;
use super::message::{self, Address, Attachment, MessageParts, Summary};
use super::property::{PropertyPath, PropertyValue};

/// Names one item in one folder. A move or a copy gives a new id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub(crate) u64);

impl ItemId {
    /// The number behind the id; later items have higher ones.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// What sort of thing an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ItemKind {
    /// A message, reports included.
    Message,
    /// An appointment.
    Appointment,
    /// A contact.
    Contact,
    /// A distribution list among the contacts.
    ContactGroup,
    /// A task.
    Task,
    /// A note, a post, or anything else.
    Other,
}

impl ItemKind {
    /// The message class of a plain item of this kind.
    #[must_use]
    pub const fn default_class(self) -> &'static str {
        match self {
            Self::Message => "IPM.Note",
            Self::Appointment => "IPM.Appointment",
            Self::Contact => "IPM.Contact",
            Self::ContactGroup => "IPM.DistList",
            Self::Task => "IPM.Task",
            Self::Other => "IPM.Post",
        }
    }
}

/// A property with structure, such as a contact's addresses: a small tree in the words of EWS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Field {
    /// Name of the element, without a namespace.
    pub name: String,
    /// Attributes in order.
    pub attributes: Vec<(String, String)>,
    /// Text; empty where there are children.
    pub text: String,
    /// Children in order.
    pub children: Vec<Self>,
}

impl Field {
    /// A field with text.
    #[must_use]
    pub fn text(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
            ..Self::default()
        }
    }

    /// A field with children.
    #[must_use]
    pub fn tree(name: impl Into<String>, children: Vec<Self>) -> Self {
        Self {
            name: name.into(),
            children,
            ..Self::default()
        }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// The first child of that name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// MIME bytes and what was read from them.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) bytes: Bytes,
    pub(super) summary: Summary,
    parts: OnceLock<MessageParts>,
}

impl Content {
    pub(super) fn new(bytes: Bytes) -> Arc<Self> {
        let summary = Summary::read(&bytes);
        Arc::new(Self {
            bytes,
            summary,
            parts: OnceLock::new(),
        })
    }
}

/// One item, as it was at one moment: changing the item makes a new value.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Item {
    /// Its id in its folder.
    pub id: ItemId,
    /// Where it is.
    pub folder: FolderId,
    /// Change key: grows with each save.
    pub change: u64,
    /// Its place in the folder by time of arrival there.
    pub arrival: u64,
    /// What sort of thing it is.
    pub kind: ItemKind,
    /// Message class, such as `IPM.Note`.
    pub class: String,
    /// PR_SEARCH_KEY: stays the same through moves and copies.
    pub search_key: [u8; 16],
    /// When it came into being.
    pub created: Timestamp,
    /// When it was delivered.
    pub received: Timestamp,
    /// When it was sent; `None` on drafts and on things that are not sent.
    pub sent: Option<Timestamp>,
    /// When it was last saved.
    pub modified: Timestamp,
    /// Read flag.
    pub read: bool,
    /// Whether it is a draft (`MSGFLAG_UNSENT`).
    pub draft: bool,
    /// Whether it is hidden from people (associated contents).
    pub hidden: bool,
    /// Categories, in order.
    pub categories: Vec<String>,
    /// Blind carbon copies: kept beside the MIME, which never names them.
    pub bcc: Vec<Address>,
    /// MAPI properties that a client set.
    pub properties: BTreeMap<PropertyPath, PropertyValue>,
    /// Fields that a client set and that the MIME does not hold.
    pub fields: BTreeMap<String, Field>,
    /// Attachments of an item that has no MIME (appointments, contacts, tasks).
    pub attachments: Vec<Attachment>,
    pub(super) content: Arc<Content>,
}

impl Item {
    /// The MIME bytes; empty for an item that is not a message.
    #[must_use]
    pub fn content(&self) -> &Bytes {
        &self.content.bytes
    }

    /// What the headers say.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.content.summary
    }

    /// Body and attachments, read from the MIME when first asked for.
    #[must_use]
    pub fn parts(&self) -> &MessageParts {
        self.content
            .parts
            .get_or_init(|| MessageParts::read(&self.content.bytes))
    }

    /// Whether there are attachments that are not part of the text.
    #[must_use]
    pub fn has_attachments(&self) -> bool {
        if !self.attachments.is_empty() {
            return true;
        }
        message::has_attachments(&self.content.bytes, &self.content.summary, || self.parts())
    }

    /// The attachments, from the MIME or from beside it.
    #[must_use]
    pub fn all_attachments(&self) -> &[Attachment] {
        if self.content.bytes.is_empty() {
            &self.attachments
        } else {
            &self.parts().attachments
        }
    }

    /// Size in bytes, as servers count it.
    #[must_use]
    pub fn size(&self) -> u64 {
        let attached: usize = self
            .attachments
            .iter()
            .map(|attachment| attachment.content.len())
            .sum();
        u64::try_from(
            self.content
                .bytes
                .len()
                .saturating_add(attached)
                .saturating_add(512),
        )
        .unwrap_or(u64::MAX)
    }

    /// Everybody the message goes to: To, Cc and Bcc.
    #[must_use]
    pub fn recipients(&self) -> Vec<Address> {
        let summary = self.summary();
        summary
            .to
            .iter()
            .chain(&summary.cc)
            .chain(&self.bcc)
            .cloned()
            .collect()
    }

    /// Puts other MIME into the item; its other properties stay.
    pub fn set_content(&mut self, bytes: Bytes) {
        self.content = Content::new(bytes);
    }
}

/// An item to be stored.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewItem {
    /// What sort of thing it is.
    pub kind: ItemKind,
    /// Message class.
    pub class: String,
    /// MIME bytes; empty for what is not a message.
    pub content: Bytes,
    /// Read flag.
    pub read: bool,
    /// Whether it is a draft.
    pub draft: bool,
    /// Whether it is hidden from people.
    pub hidden: bool,
    /// When it was delivered; now if `None`.
    pub received: Option<Timestamp>,
    /// When it was sent.
    pub sent: Option<Timestamp>,
    /// Categories.
    pub categories: Vec<String>,
    /// Blind carbon copies.
    pub bcc: Vec<Address>,
    /// MAPI properties.
    pub properties: BTreeMap<PropertyPath, PropertyValue>,
    /// Fields that the MIME does not hold.
    pub fields: BTreeMap<String, Field>,
    /// Attachments of an item without MIME.
    pub attachments: Vec<Attachment>,
}

impl NewItem {
    /// A message as it arrives: unread, not a draft, sent when its Date says.
    #[must_use]
    pub fn message(content: impl Into<Bytes>) -> Self {
        Self {
            content: content.into(),
            ..Self::of(ItemKind::Message)
        }
    }

    /// A message as a client saves it: read, a draft, not sent.
    #[must_use]
    pub fn draft(content: impl Into<Bytes>) -> Self {
        Self {
            content: content.into(),
            read: true,
            draft: true,
            ..Self::of(ItemKind::Message)
        }
    }

    /// An empty item of some kind.
    #[must_use]
    pub fn of(kind: ItemKind) -> Self {
        Self {
            kind,
            class: kind.default_class().to_owned(),
            content: Bytes::new(),
            read: false,
            draft: false,
            hidden: false,
            received: None,
            sent: None,
            categories: Vec::new(),
            bcc: Vec::new(),
            properties: BTreeMap::new(),
            fields: BTreeMap::new(),
            attachments: Vec::new(),
        }
    }

    /// Sets the message class.
    #[must_use]
    pub fn class(mut self, class: impl Into<String>) -> Self {
        self.class = class.into();
        self
    }

    /// Sets a MAPI property.
    #[must_use]
    pub fn property(mut self, path: PropertyPath, value: PropertyValue) -> Self {
        self.properties.insert(path, value);
        self
    }
}
