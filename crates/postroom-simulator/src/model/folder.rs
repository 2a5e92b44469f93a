//! Folders.

use std::collections::BTreeMap;

use postroom_core::Timestamp;

use super::account::AccountId;
use super::changes::Log;
use super::item::ItemId;

/// Names one folder of a [`MailSystem`](super::MailSystem). It outlives renames and moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderId(pub(crate) u64);

impl FolderId {
    /// The number behind the id.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// A folder that every mailbox has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WellKnown {
    /// Above everything, not visible to people.
    Root,
    /// The top of what people see.
    MessageRoot,
    /// Inbox.
    Inbox,
    /// Drafts.
    Drafts,
    /// Outbox.
    Outbox,
    /// Sent Items.
    SentItems,
    /// Deleted Items.
    DeletedItems,
    /// Junk Email.
    JunkEmail,
    /// Calendar.
    Calendar,
    /// Contacts.
    Contacts,
    /// Tasks.
    Tasks,
    /// Notes.
    Notes,
    /// Journal.
    Journal,
    /// Where search folders live.
    SearchFolders,
    /// Recoverable Items.
    RecoverableItems,
    /// Recoverable Items: softly deleted.
    Deletions,
    /// Recoverable Items: purged, held for compliance.
    Purges,
}

impl WellKnown {
    /// All of them, parents before children.
    pub const ALL: [Self; 17] = [
        Self::Root,
        Self::MessageRoot,
        Self::SearchFolders,
        Self::RecoverableItems,
        Self::Deletions,
        Self::Purges,
        Self::Calendar,
        Self::Contacts,
        Self::DeletedItems,
        Self::Drafts,
        Self::Inbox,
        Self::Journal,
        Self::JunkEmail,
        Self::Notes,
        Self::Outbox,
        Self::SentItems,
        Self::Tasks,
    ];

    /// The name EWS has for it, such as `sentitems`.
    ///
    /// Source: `DistinguishedFolderIdNameType` of the EWS schema.
    #[must_use]
    pub const fn ews_name(self) -> &'static str {
        self.facts().0
    }

    /// The folder of that EWS name.
    #[must_use]
    pub fn from_ews_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.ews_name() == name)
    }

    /// The display name in an English mailbox.
    #[must_use]
    pub const fn display_name(self) -> &'static str {
        self.facts().1
    }

    /// What it holds, such as `IPF.Note`; empty where it has no class.
    #[must_use]
    pub const fn class(self) -> &'static str {
        self.facts().2
    }

    pub(super) const fn parent(self) -> Option<Self> {
        match self {
            Self::Root => None,
            Self::MessageRoot | Self::SearchFolders | Self::RecoverableItems => Some(Self::Root),
            Self::Deletions | Self::Purges => Some(Self::RecoverableItems),
            _ => Some(Self::MessageRoot),
        }
    }

    const fn facts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Root => ("root", "Root", ""),
            Self::MessageRoot => ("msgfolderroot", "Top of Information Store", ""),
            Self::Inbox => ("inbox", "Inbox", "IPF.Note"),
            Self::Drafts => ("drafts", "Drafts", "IPF.Note"),
            Self::Outbox => ("outbox", "Outbox", "IPF.Note"),
            Self::SentItems => ("sentitems", "Sent Items", "IPF.Note"),
            Self::DeletedItems => ("deleteditems", "Deleted Items", "IPF.Note"),
            Self::JunkEmail => ("junkemail", "Junk Email", "IPF.Note"),
            Self::Calendar => ("calendar", "Calendar", "IPF.Appointment"),
            Self::Contacts => ("contacts", "Contacts", "IPF.Contact"),
            Self::Tasks => ("tasks", "Tasks", "IPF.Task"),
            Self::Notes => ("notes", "Notes", "IPF.StickyNote"),
            Self::Journal => ("journal", "Journal", "IPF.Journal"),
            Self::SearchFolders => ("searchfolders", "Finder", ""),
            Self::RecoverableItems => ("recoverableitemsroot", "Recoverable Items", ""),
            Self::Deletions => ("recoverableitemsdeletions", "Deletions", "IPF.Note"),
            Self::Purges => ("recoverableitemspurges", "Purges", "IPF.Note"),
        }
    }
}

/// One folder.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Folder {
    /// Its id.
    pub id: FolderId,
    /// Whose it is.
    pub account: AccountId,
    /// The folder above; only the root has none.
    pub parent: Option<FolderId>,
    /// Set on the folders that every mailbox has.
    pub well_known: Option<WellKnown>,
    /// Display name, unique below its parent without regard to case.
    pub name: String,
    /// What it holds, such as `IPF.Note`; empty where it has no class.
    pub class: String,
    /// Grows with each change of the folder itself or its contents.
    pub change: u64,
    /// When something in it last changed.
    pub changed: Timestamp,
    /// How many items were ever deleted from it.
    pub deleted_count: u64,
    /// Grows when all sync states made before stop being valid.
    pub epoch: u32,
    /// How many items it holds, hidden ones included.
    pub count: usize,
}

/// A folder with its contents.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) info: Folder,
    pub(super) items: BTreeMap<u64, ItemId>,
    pub(super) log: Log<ItemId>,
}

impl Place {
    pub(super) fn snapshot(&self) -> Folder {
        Folder {
            count: self.items.len(),
            ..self.info.clone()
        }
    }
}

impl std::ops::Deref for Place {
    type Target = Folder;
    fn deref(&self) -> &Folder {
        &self.info
    }
}

impl std::ops::DerefMut for Place {
    fn deref_mut(&mut self) -> &mut Folder {
        &mut self.info
    }
}

impl Place {
    pub(super) fn new(
        id: FolderId,
        account: AccountId,
        parent: Option<FolderId>,
        name: &str,
        class: &str,
        now: Timestamp,
    ) -> Self {
        let info = Folder {
            id,
            account,
            parent,
            well_known: None,
            name: name.to_owned(),
            class: class.to_owned(),
            change: id.0,
            changed: now,
            deleted_count: 0,
            epoch: 0,
            count: 0,
        };
        Self {
            info,
            items: BTreeMap::new(),
            log: Log::default(),
        }
    }
}
