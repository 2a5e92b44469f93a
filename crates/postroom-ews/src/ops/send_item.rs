//! SendItem: sends a draft. Source: ews-notes section 10.

use crate::client::Reply;
use crate::ops::{FolderRef, ItemId};
use crate::soap::{Refusal, messages};
use crate::xml::Xml;

pub(crate) fn write(xml: &mut Xml, item: &ItemId, saved_in: FolderRef<'_>) {
    xml.start("m:SendItem", &[("SaveItemToFolder", "true")])
        .start("m:ItemIds", &[]);
    match &item.change_key {
        Some(key) => xml.empty("t:ItemId", &[("Id", item.id.as_str()), ("ChangeKey", key)]),
        None => xml.empty("t:ItemId", &[("Id", item.id.as_str())]),
    };
    xml.end().start("m:SavedItemFolderId", &[]);
    saved_in.write(xml);
    xml.end().end();
}

/// One outcome per item; for operations that answer with nothing else.
pub(crate) fn read(reply: &Reply<'_, '_>) -> Option<Vec<Result<(), Refusal>>> {
    Some(
        messages(reply.response)
            .into_iter()
            .map(|message| message.into_result().map(|_| ()))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Distinguished;
    use crate::ops::test_support::written;
    use postroom_provider::RemoteId;

    #[test]
    fn names_the_version_of_the_draft() {
        let item = ItemId {
            id: RemoteId::new("1"),
            change_key: Some("k".to_owned()),
        };
        let sent = FolderRef::Distinguished(Distinguished::SentItems, None);
        assert_eq!(
            written(|xml| write(xml, &item, sent)),
            "<m:SendItem SaveItemToFolder=\"true\"><m:ItemIds><t:ItemId Id=\"1\" ChangeKey=\"k\"/></m:ItemIds>\
             <m:SavedItemFolderId><t:DistinguishedFolderId Id=\"sentitems\"/></m:SavedItemFolderId></m:SendItem>"
        );
    }
}
