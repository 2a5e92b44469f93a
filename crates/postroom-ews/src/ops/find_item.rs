//! FindItem: our messages, by their stamp or by their Message-ID. Source: ews-notes section 8.

use crate::client::Reply;
use crate::ops::{FolderRef, ItemId, item_id, stamp_of, stamp_path};
use crate::soap::{Refusal, messages};
use crate::xml::{Xml, child, children, flag_of};

/// Most that are looked at in one folder.
const FOUND_MAX: u32 = 10;

/// By what.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By<'a> {
    Stamp(&'a str),
    /// With its angle brackets.
    MessageId(&'a str),
}

pub(crate) fn write(xml: &mut Xml, folders: &[FolderRef<'_>], by: By<'_>) {
    xml.start("m:FindItem", &[("Traversal", "Shallow")])
        .start("m:ItemShape", &[])
        .text("t:BaseShape", "IdOnly")
        .start("t:AdditionalProperties", &[]);
    for path in ["item:IsSubmitted", "item:IsDraft"] {
        xml.empty("t:FieldURI", &[("FieldURI", path)]);
    }
    stamp_path(xml);
    xml.end().end().empty(
        "m:IndexedPageItemView",
        &[
            ("MaxEntriesReturned", &FOUND_MAX.to_string()),
            ("Offset", "0"),
            ("BasePoint", "Beginning"),
        ],
    );
    xml.start("m:Restriction", &[]).start("t:IsEqualTo", &[]);
    let value = match by {
        By::Stamp(stamp) => {
            stamp_path(xml);
            stamp
        }
        By::MessageId(id) => {
            xml.empty("t:FieldURI", &[("FieldURI", "message:InternetMessageId")]);
            id
        }
    };
    xml.start("t:FieldURIOrConstant", &[])
        .empty("t:Constant", &[("Value", value)])
        .end()
        .end()
        .end();
    xml.start("m:ParentFolderIds", &[]);
    for folder in folders {
        folder.write(xml);
    }
    xml.end().end();
}

/// A message that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: ItemId,
    pub(crate) stamp: Option<String>,
    pub(crate) submitted: bool,
    pub(crate) draft: bool,
}

/// One outcome per folder.
pub(crate) fn read(reply: &Reply<'_, '_>) -> Option<Vec<Result<Vec<Found>, Refusal>>> {
    messages(reply.response)
        .into_iter()
        .map(|message| match message.into_result() {
            Ok(node) => {
                let root = child(node, "RootFolder")?;
                let found = child(root, "Items")
                    .map(|items| {
                        children(items)
                            .filter_map(|item| {
                                Some(Found {
                                    id: item_id(item)?,
                                    stamp: stamp_of(item).map(str::to_owned),
                                    submitted: flag_of(item, "IsSubmitted").unwrap_or(false),
                                    draft: flag_of(item, "IsDraft").unwrap_or(false),
                                })
                            })
                            .collect()
                    })
                    .unwrap_or_default();
                Some(Ok(found))
            }
            Err(refusal) => Some(Err(refusal)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Distinguished;
    use crate::ops::test_support::{answer, written};

    #[test]
    fn asks_in_the_order_of_the_schema() {
        let drafts = FolderRef::Distinguished(Distinguished::Drafts, None);
        let text = written(|xml| write(xml, &[drafts], By::MessageId("<1@x.example>")));
        let position = |what: &str| text.find(what).unwrap();
        assert!(position("ItemShape") < position("IndexedPageItemView"));
        assert!(position("IndexedPageItemView") < position("Restriction"));
        assert!(position("Restriction") < position("ParentFolderIds"));
        assert!(
            text.contains("<t:Constant Value=\"&lt;1@x.example&gt;\"/>"),
            "{text}"
        );
    }

    #[test]
    fn reads_one_outcome_per_folder() {
        let found = answer(
            "<m:R xmlns:m='M' xmlns:t='T'><m:ResponseMessages><m:X ResponseClass='Success'>\
             <m:ResponseCode>NoError</m:ResponseCode><m:RootFolder TotalItemsInView='1'><t:Items><t:Message>\
             <t:ItemId Id='1' ChangeKey='k'/><t:IsDraft>true</t:IsDraft><t:ExtendedProperty><t:ExtendedFieldURI \
             PropertySetId='72a957d4-21d5-4cb2-b25b-80976dbbd6c3' PropertyName='submission' PropertyType='String'/>\
             <t:Value>key</t:Value></t:ExtendedProperty></t:Message></t:Items></m:RootFolder></m:X>\
             <m:X ResponseClass='Success'><m:ResponseCode>NoError</m:ResponseCode><m:RootFolder/></m:X>\
             <m:X ResponseClass='Error'><m:ResponseCode>ErrorFolderNotFound</m:ResponseCode></m:X>\
             </m:ResponseMessages></m:R>",
            &[],
            read,
        )
        .unwrap();
        let first = &found[0].as_ref().unwrap()[0];
        assert_eq!(first.stamp.as_deref(), Some("key"));
        assert!(first.draft && !first.submitted);
        assert_eq!(found[1], Ok(Vec::new()));
        assert!(found[2].is_err());
    }
}
