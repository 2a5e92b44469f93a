//! SyncFolderItems: what changed in a folder. Source: ews-notes section 7.

use postroom_provider::{FolderId, MailChange, MailListing};
use roxmltree::Node;

use crate::client::Reply;
use crate::map::time;
use crate::ops::item_id;
use crate::soap::{Refusal, messages};
use crate::xml::{Xml, child, children, flag_of, text_of};

/// Most changes of one page. Source: the schema, MaxSyncChangesReturnedType.
pub(crate) const PAGE_MAX: u32 = 512;

pub(crate) fn write(xml: &mut Xml, folder: &FolderId, state: Option<&str>, limit: u32) {
    xml.start("m:SyncFolderItems", &[])
        .start("m:ItemShape", &[])
        .text("t:BaseShape", "IdOnly")
        .start("t:AdditionalProperties", &[]);
    for path in ["item:DateTimeReceived", "item:Size"] {
        xml.empty("t:FieldURI", &[("FieldURI", path)]);
    }
    xml.end()
        .end()
        .start("m:SyncFolderId", &[])
        .empty("t:FolderId", &[("Id", folder.as_str())])
        .end();
    if let Some(state) = state {
        xml.text("m:SyncState", state);
    }
    xml.text(
        "m:MaxChangesReturned",
        &limit.clamp(1, PAGE_MAX).to_string(),
    )
    .end();
}

/// One page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyncPage {
    pub(crate) changes: Vec<MailChange>,
    pub(crate) state: String,
    pub(crate) more: bool,
}

pub(crate) fn read(reply: &Reply<'_, '_>) -> Option<Result<SyncPage, Refusal>> {
    let message = messages(reply.response).into_iter().next()?;
    let node = match message.into_result() {
        Ok(node) => node,
        Err(refusal) => return Some(Err(refusal)),
    };
    let state = text_of(node, "SyncState")?.to_owned();
    let changes = child(node, "Changes")
        .map(|list| children(list).filter_map(change).collect())
        .unwrap_or_default();
    Some(Ok(SyncPage {
        changes,
        state,
        // Missing counts as the last: a loop over pages must end.
        more: flag_of(node, "IncludesLastItemInRange") == Some(false),
    }))
}

/// A change; `None` for a kind that is not known, or one without id.
fn change(node: Node<'_, '_>) -> Option<MailChange> {
    match node.tag_name().name() {
        "Create" | "Update" => {
            let item = children(node).next()?;
            let mut listing = MailListing::new(item_id(item)?.id);
            listing.received_at = text_of(item, "DateTimeReceived").and_then(time);
            listing.size = text_of(item, "Size").and_then(|text| text.parse().ok());
            Some(MailChange::Present(listing))
        }
        // Carries the id only. The message is there, which is all that counts.
        "ReadFlagChange" => Some(MailChange::Present(MailListing::new(item_id(node)?.id))),
        "Delete" => Some(MailChange::Removed(item_id(node)?.id)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::test_support::{answer, written};
    use postroom_provider::RemoteId;

    #[test]
    fn asks_in_the_order_of_the_schema() {
        let text = written(|xml| write(xml, &FolderId::new("F"), Some("S+/="), 9999));
        assert_eq!(
            text,
            "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>\
             <t:FieldURI FieldURI=\"item:DateTimeReceived\"/><t:FieldURI FieldURI=\"item:Size\"/>\
             </t:AdditionalProperties></m:ItemShape><m:SyncFolderId><t:FolderId Id=\"F\"/></m:SyncFolderId>\
             <m:SyncState>S+/=</m:SyncState><m:MaxChangesReturned>512</m:MaxChangesReturned></m:SyncFolderItems>"
        );
        assert!(!written(|xml| write(xml, &FolderId::new("F"), None, 0)).contains("SyncState"));
    }

    #[test]
    fn reads_every_kind_of_change() {
        let page = answer(
            "<m:R xmlns:m='M' xmlns:t='T'><m:ResponseMessages><m:X ResponseClass='Success'>\
             <m:ResponseCode>NoError</m:ResponseCode><m:SyncState>S2</m:SyncState>\
             <m:IncludesLastItemInRange>false</m:IncludesLastItemInRange><m:Changes>\
             <t:Create><t:Message><t:ItemId Id='1' ChangeKey='a'/><t:DateTimeReceived>2026-11-22T10:00:00Z\
             </t:DateTimeReceived><t:Size>1234</t:Size></t:Message></t:Create>\
             <t:Update><t:MeetingRequest><t:ItemId Id='2'/></t:MeetingRequest></t:Update>\
             <t:ReadFlagChange><t:ItemId Id='3'/><t:IsRead>true</t:IsRead></t:ReadFlagChange>\
             <t:Delete><t:ItemId Id='4'/></t:Delete><t:Future/><t:Create><t:Message/></t:Create>\
             </m:Changes></m:X></m:ResponseMessages></m:R>",
            &[],
            read,
        )
        .unwrap()
        .unwrap();
        assert_eq!((page.state.as_str(), page.more), ("S2", true));
        let mut first = MailListing::new(RemoteId::new("1"));
        first.received_at = Some("2026-11-22T10:00:00Z".parse().unwrap());
        first.size = Some(1234);
        assert_eq!(
            page.changes,
            [
                MailChange::Present(first),
                MailChange::Present(MailListing::new(RemoteId::new("2"))),
                MailChange::Present(MailListing::new(RemoteId::new("3"))),
                MailChange::Removed(RemoteId::new("4")),
            ]
        );
    }

    #[test]
    fn an_answer_without_state_is_none() {
        let text = "<R><ResponseMessages><M ResponseClass='Success'><ResponseCode>NoError</ResponseCode>\
                    </M></ResponseMessages></R>";
        assert!(answer(text, &[], read).is_none());
        assert!(answer("<R/>", &[], read).is_none());
    }
}
