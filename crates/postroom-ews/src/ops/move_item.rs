//! MoveItem: to another folder of the mailbox. Source: ews-notes section 11.

use postroom_provider::{FolderId, RemoteId};

use crate::client::Reply;
use crate::ops::{first_item, item_id, item_ids};
use crate::soap::{Refusal, messages};
use crate::version::SchemaVersion;
use crate::xml::Xml;

pub(crate) fn write(xml: &mut Xml, version: SchemaVersion, target: &FolderId, ids: &[RemoteId]) {
    xml.start("m:MoveItem", &[])
        .start("m:ToFolderId", &[])
        .empty("t:FolderId", &[("Id", target.as_str())])
        .end();
    item_ids(xml, ids);
    if version.tells_new_ids() {
        xml.text("m:ReturnNewItemIds", "true");
    }
    xml.end();
}

/// One outcome per item, with the new id where it is told.
pub(crate) fn read(reply: &Reply<'_, '_>) -> Option<Vec<Result<Option<RemoteId>, Refusal>>> {
    Some(
        messages(reply.response)
            .into_iter()
            .map(|message| {
                message
                    .into_result()
                    .map(|node| Some(item_id(first_item(node)?)?.id))
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::test_support::{answer, written};

    #[test]
    fn asks_for_new_ids_only_where_they_are_told() {
        let text = |version| {
            written(|xml| write(xml, version, &FolderId::new("F"), &[RemoteId::new("1")]))
        };
        assert_eq!(
            text(SchemaVersion::Exchange2013Sp1),
            "<m:MoveItem><m:ToFolderId><t:FolderId Id=\"F\"/></m:ToFolderId><m:ItemIds><t:ItemId Id=\"1\"/>\
             </m:ItemIds><m:ReturnNewItemIds>true</m:ReturnNewItemIds></m:MoveItem>"
        );
        assert!(!text(SchemaVersion::Exchange2007Sp1).contains("ReturnNewItemIds"));
    }

    #[test]
    fn reads_new_ids() {
        let text = "<R><ResponseMessages><X ResponseClass='Success'><ResponseCode>NoError</ResponseCode>\
            <Items><Message><ItemId Id='9'/></Message></Items></X><X ResponseClass='Success'>\
            <ResponseCode>NoError</ResponseCode><Items/></X></ResponseMessages></R>";
        let moved = answer(text, &[], read).unwrap();
        assert_eq!(moved, [Ok(Some(RemoteId::new("9"))), Ok(None)]);
    }
}
