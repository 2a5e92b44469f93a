//! One request on its way through an operation.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use roxmltree::Node;

use super::code::Refusal;
use super::fault::Fault;
use super::ids::{self, Named};
use super::server::Inner;
use super::xml::Xml;
use crate::model::{Account, AccountId, Folder, FolderId, Item, MailSystem, WellKnown};

pub(super) type Outcome<T = ()> = Result<T, Refusal>;

/// Who asks for what.
pub(super) struct Call<'a> {
    pub(super) server: &'a Inner,
    pub(super) mail: &'a MailSystem,
    /// Whose mailbox is open.
    pub(super) account: AccountId,
    pub(super) info: Arc<Account>,
    pub(super) operation: &'a str,
    pub(super) faults: Vec<Fault>,
    /// Set where the answer says that nothing has changed, and depends on this account only.
    pub(super) idle: Cell<bool>,
}

impl Call<'_> {
    pub(super) fn has_fault(&self, wanted: &Fault) -> bool {
        self.faults.contains(wanted)
    }

    pub(super) fn item_faults(&self, item: &Item) -> Vec<Fault> {
        self.server
            .faults
            .strike_item(self.operation, &self.info.address, item)
    }

    /// The most entries that a page may have.
    pub(super) fn page_limit(&self, asked: usize) -> usize {
        let faults = self.faults.iter().filter_map(|fault| match fault {
            Fault::ShortPages { at_most } => Some(*at_most),
            _ => None,
        });
        faults.fold(asked, usize::min).max(1)
    }

    /// How many items of a batch are served.
    pub(super) fn batch_limit(&self) -> usize {
        let faults = self.faults.iter().filter_map(|fault| match fault {
            Fault::BatchStopped { after } => Some(*after),
            _ => None,
        });
        faults.fold(usize::MAX, usize::min)
    }

    /// The folder that a `FolderId` or `DistinguishedFolderId` names.
    pub(super) fn folder(&self, node: Node<'_, '_>) -> Outcome<Folder> {
        let id = node.attribute("Id").unwrap_or_default();
        match node.tag_name().name() {
            "FolderId" => match ids::decode(id)? {
                Named::Folder(folder) => self.own_folder(folder),
                Named::Item(_) | Named::Attachment(..) => Err(Refusal::new("ErrorInvalidFolderId")),
            },
            "DistinguishedFolderId" => {
                if !self.info.has_mailbox {
                    return Err(Refusal::new("ErrorMissingEmailAddress"));
                }
                let owner = node
                    .descendants()
                    .find(|child| child.tag_name().name() == "EmailAddress");
                let account = match owner.and_then(|owner| owner.text()) {
                    None => self.account,
                    Some(address) => self
                        .mail
                        .account(address.trim())
                        .ok_or_else(|| Refusal::new("ErrorNonExistentMailbox"))?,
                };
                let known = WellKnown::from_ews_name(id)
                    .filter(|_| self.may_open(account))
                    .ok_or_else(|| Refusal::new("ErrorFolderNotFound"))?;
                Ok(self.mail.folder(self.mail.well_known(account, known)?)?)
            }
            _ => Err(Refusal::new("ErrorInvalidFolderId")),
        }
    }

    /// Whether the caller may see the mailbox: the one that the request opens, or another by right.
    pub(super) fn may_open(&self, account: AccountId) -> bool {
        account == self.account
            || self
                .mail
                .account_info(account)
                .is_ok_and(|other| other.has_mailbox && self.info.may_open(&other))
    }

    /// The account in whose mailbox an item lies.
    pub(super) fn owner(&self, item: &Item) -> AccountId {
        if self.info.full_access.is_empty() {
            return self.account;
        }
        let folder = self.mail.folder(item.folder);
        folder.map_or(self.account, |folder| folder.account)
    }

    fn own_folder(&self, id: FolderId) -> Outcome<Folder> {
        let folder = self.mail.folder(id)?;
        if self.may_open(folder.account) {
            Ok(folder)
        } else {
            Err(Refusal::new("ErrorFolderNotFound"))
        }
    }

    /// The folder that the first element child of `node` names.
    pub(super) fn folder_in(&self, node: Node<'_, '_>) -> Outcome<Folder> {
        let child = node
            .children()
            .find(Node::is_element)
            .ok_or_else(|| Refusal::new("ErrorInvalidFolderId"))?;
        self.folder(child)
    }

    /// The item that an `ItemId` names, and the change number that was given with it.
    pub(super) fn item(&self, node: Node<'_, '_>) -> Outcome<(Arc<Item>, Option<u64>)> {
        if node.tag_name().name() != "ItemId"
            && node.tag_name().name() != "ParentItemId"
            && node.tag_name().name() != "ReferenceItemId"
        {
            return Err(Refusal::new("ErrorUnsupportedTypeForConversion")
                .text("Occurrences are not kept by this server."));
        }
        let change = node
            .attribute("ChangeKey")
            .filter(|key| !key.is_empty())
            .map(ids::decode_change_key)
            .transpose()?;
        match ids::decode(node.attribute("Id").unwrap_or_default())? {
            Named::Item(id) => {
                let item = self.mail.item(id)?;
                match self.own_folder(item.folder) {
                    Ok(_) => Ok((item, change)),
                    Err(_) => Err(Refusal::new("ErrorItemNotFound")),
                }
            }
            Named::Folder(_) => Err(Refusal::new("ErrorCannotUseFolderIdForItemId")),
            Named::Attachment(..) => Err(Refusal::new("ErrorCannotUseItemIdForFolderId")
                .text("An attachment id is not an item id.")),
        }
    }

    pub(super) fn item_id(&self, item: &Item) -> (String, String) {
        (
            ids::encode(self.owner(item), Named::Item(item.id)),
            ids::item_change_key(item),
        )
    }

    pub(super) fn write_item_id(&self, xml: &mut Xml, name: &str, item: &Item) {
        let (id, key) = self.item_id(item);
        xml.empty(name, &[("Id", &id), ("ChangeKey", &key)]);
    }

    /// What the schema demands in a response message even of an error.
    fn tail(&self) -> Option<&'static str> {
        match self.operation {
            "GetItem" | "CreateItem" | "UpdateItem" | "MoveItem" | "CopyItem" => Some("m:Items"),
            "GetAttachment" | "CreateAttachment" => Some("m:Attachments"),
            "GetServerTimeZones" => Some("m:TimeZoneDefinitions"),
            _ => None,
        }
    }

    /// Writes a good response message.
    pub(super) fn success(&self, xml: &mut Xml, content: impl FnOnce(&mut Xml)) {
        let name = format!("m:{}ResponseMessage", self.operation);
        xml.open(&name, &[("ResponseClass", "Success")]);
        xml.leaf("m:ResponseCode", "NoError");
        content(xml);
        xml.close(&name);
    }

    /// Writes a response message that refuses.
    pub(super) fn refuse(&self, xml: &mut Xml, refusal: &Refusal) {
        let name = format!("m:{}ResponseMessage", self.operation);
        xml.open(
            &name,
            &[(
                "ResponseClass",
                if refusal.warning { "Warning" } else { "Error" },
            )],
        );
        refusal_head(xml, refusal);
        if let Some(tail) = self.tail() {
            xml.empty(tail, &[]);
        }
        // Clients read these before they look at the class of the response.
        // Source: the error examples of the SyncFolderHierarchy and SyncFolderItems pages.
        let last = match self.operation {
            "SyncFolderHierarchy" => Some("m:IncludesLastFolderInRange"),
            "SyncFolderItems" => Some("m:IncludesLastItemInRange"),
            _ => None,
        };
        if let Some(last) = last {
            xml.empty("m:SyncState", &[]);
            xml.leaf(last, "true");
        }
        xml.close(&name);
    }

    /// Writes one response message, good or bad.
    pub(super) fn respond(&self, xml: &mut Xml, outcome: Outcome<impl FnOnce(&mut Xml)>) {
        match outcome {
            Ok(content) => self.success(xml, content),
            Err(refusal) => self.refuse(xml, &refusal),
        }
    }

    /// Serves a batch, one response message for each input; stops early if a fault says so.
    pub(super) fn batch<'n, 'i: 'n>(
        &self,
        xml: &mut Xml,
        list: Node<'n, 'i>,
        mut one: impl FnMut(&mut Xml, Node<'n, 'i>),
    ) {
        let limit = self.batch_limit();
        for (index, node) in list.children().filter(Node::is_element).enumerate() {
            if index < limit {
                one(xml, node);
            } else {
                self.refuse(xml, &Refusal::new("ErrorBatchProcessingStopped").warning());
            }
        }
    }
}

pub(super) fn refusal_head(xml: &mut Xml, refusal: &Refusal) {
    xml.leaf("m:MessageText", &refusal.text);
    xml.leaf("m:ResponseCode", &refusal.code);
    xml.leaf("m:DescriptiveLinkKey", "0");
    if !refusal.values.is_empty() || refusal.path.is_some() {
        xml.open("m:MessageXml", &[]);
        if let Some(path) = &refusal.path {
            xml.empty("t:FieldURI", &[("FieldURI", path)]);
        }
        for (name, value) in &refusal.values {
            xml.leaf_with("t:Value", &[("Name", name)], value);
        }
        xml.close("m:MessageXml");
    }
}

/// The first child element of that name.
pub(super) fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children()
        .find(|child| child.is_element() && child.tag_name().name() == name)
}

/// A child that the schema demands.
pub(super) fn required<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Outcome<Node<'a, 'i>> {
    child(node, name).ok_or_else(|| Refusal::new("ErrorInvalidRequest"))
}

/// The text of a child, empty where there is none.
pub(super) fn child_text<'a>(node: Node<'a, '_>, name: &str) -> &'a str {
    child(node, name)
        .and_then(|child| child.text())
        .unwrap_or_default()
}

pub(super) fn is_true(text: &str) -> bool {
    matches!(text.trim(), "true" | "1")
}

/// Counts by name.
pub(super) type Counters = BTreeMap<String, u64>;

impl Call<'_> {
    /// Refuses everything that writes where the mailbox is said to be full.
    pub(super) fn refuse_writing(&self) -> Outcome {
        if self.has_fault(&Fault::QuotaExceeded) {
            return Err(Refusal::new("ErrorQuotaExceeded"));
        }
        Ok(())
    }
}
