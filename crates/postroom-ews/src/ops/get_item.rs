//! GetItem: headers, content or identity of messages. Source: ews-notes section 9.

use postroom_provider::RemoteId;
use roxmltree::Node;

use crate::client::{Content, Reply};
use crate::ops::{first_item, item_ids, stamp_path};
use crate::soap::{Refusal, messages};
use crate::xml::{Xml, child};

/// What is asked of the items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// What decisions are made of.
    Headers,
    /// The whole message as MIME.
    Mime,
    /// What a message can be rebuilt from.
    Properties,
    /// Change key, stamp and whether it is a draft.
    Identity,
}

/// Properties that headers can be made of where there are no transport headers.
const HEADERS: &[&str] = &[
    "item:ItemClass",
    "item:Subject",
    "item:Sensitivity",
    "item:DateTimeReceived",
    "item:Size",
    "item:Importance",
    "item:InReplyTo",
    "item:IsDraft",
    "item:DateTimeSent",
    "item:DateTimeCreated",
    "message:Sender",
    "message:ToRecipients",
    "message:CcRecipients",
    "message:BccRecipients",
    "message:ConversationIndex",
    "message:From",
    "message:InternetMessageId",
    "message:References",
    "message:ReplyTo",
];

pub(crate) fn write(xml: &mut Xml, shape: Shape, ids: &[RemoteId]) {
    xml.start("m:GetItem", &[])
        .start("m:ItemShape", &[])
        .text("t:BaseShape", "IdOnly");
    if shape == Shape::Mime {
        xml.text("t:IncludeMimeContent", "true");
    }
    if shape == Shape::Properties {
        xml.text("t:BodyType", "Best");
    }
    if shape != Shape::Mime {
        xml.start("t:AdditionalProperties", &[]);
        match shape {
            Shape::Headers | Shape::Properties => {
                for path in HEADERS {
                    xml.empty("t:FieldURI", &[("FieldURI", path)]);
                }
                if shape == Shape::Properties {
                    xml.empty("t:FieldURI", &[("FieldURI", "item:Body")]);
                }
                // The transport headers in one piece; `item:InternetMessageHeaders` wraps each in
                // an element, which doubles the answer.
                xml.empty(
                    "t:ExtendedFieldURI",
                    &[("PropertyTag", "0x007D"), ("PropertyType", "String")],
                );
            }
            Shape::Identity | Shape::Mime => {
                for path in ["item:IsSubmitted", "item:IsDraft"] {
                    xml.empty("t:FieldURI", &[("FieldURI", path)]);
                }
            }
        }
        stamp_path(xml);
        xml.end();
    }
    xml.end();
    item_ids(xml, ids);
    xml.end();
}

/// One outcome per item, each read by `read`; `None` of it means that the answer has not the
/// expected shape.
pub(crate) fn read<T>(
    reply: &Reply<'_, '_>,
    read: impl Fn(Node<'_, '_>) -> Option<T>,
) -> Option<Vec<Result<T, Refusal>>> {
    messages(reply.response)
        .into_iter()
        .map(|message| match message.into_result() {
            Ok(node) => first_item(node).and_then(&read).map(Ok),
            Err(refusal) => Some(Err(refusal)),
        })
        .collect()
}

/// The content of an item, `None` where the answer has none.
pub(crate) fn content(item: Node<'_, '_>, contents: &[Content]) -> Option<Content> {
    let index: usize = child(item, "MimeContent")?.text()?.trim().parse().ok()?;
    contents.get(index).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::stamp_of;
    use crate::ops::test_support::{answer, written};
    use postroom_core::RawMessage;

    #[test]
    fn mime_asks_for_nothing_else() {
        let ids = [RemoteId::new("A="), RemoteId::new("B&")];
        assert_eq!(
            written(|xml| write(xml, Shape::Mime, &ids)),
            "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:IncludeMimeContent>true\
             </t:IncludeMimeContent></m:ItemShape><m:ItemIds><t:ItemId Id=\"A=\"/><t:ItemId Id=\"B&amp;\"/>\
             </m:ItemIds></m:GetItem>"
        );
        let properties = written(|xml| write(xml, Shape::Properties, &ids));
        let position = |what: &str| properties.find(what).unwrap();
        assert!(position("BodyType") < position("AdditionalProperties"));
    }

    #[test]
    fn good_and_bad_items_keep_their_order() {
        let response = "<m:GetItemResponse xmlns:m='M' xmlns:t='T'><m:ResponseMessages>\
            <m:X ResponseClass='Success'><m:ResponseCode>NoError</m:ResponseCode><m:Items><t:Message>\
            <t:MimeContent CharacterSet='UTF-8'>0</t:MimeContent><t:ItemId Id='1'/></t:Message></m:Items></m:X>\
            <m:X ResponseClass='Error'><m:ResponseCode>ErrorItemCorrupt</m:ResponseCode><m:Items/></m:X>\
            <m:X ResponseClass='Success'><m:ResponseCode>NoError</m:ResponseCode><m:Items><t:Item>\
            <t:ItemId Id='3'/></t:Item></m:Items></m:X></m:ResponseMessages></m:GetItemResponse>";
        let contents = [Ok(RawMessage::from_bytes(b"Subject: x\r\n".to_vec()))];
        let items = answer(response, &contents, |reply| {
            read(reply, |item| {
                Some(content(item, reply.contents).map(|c| c.unwrap().len()))
            })
        })
        .unwrap();
        assert_eq!(items[0], Ok(Some(12)));
        assert_eq!(items[1].as_ref().unwrap_err().code, "ErrorItemCorrupt");
        assert_eq!(items[2], Ok(None));
    }

    #[test]
    fn a_success_without_item_is_none() {
        let response = "<R><ResponseMessages><X ResponseClass='Success'><ResponseCode>NoError\
            </ResponseCode><Items/></X></ResponseMessages></R>";
        assert!(answer(response, &[], |r| read(r, |_| Some(()))).is_none());
    }

    #[test]
    fn the_stamp_of_another_set_is_not_ours() {
        let text = "<a><ExtendedProperty><ExtendedFieldURI PropertySetId='00062004-0000-0000-C000-000000000046' \
            PropertyName='submission'/><Value>x</Value></ExtendedProperty></a>";
        let document = roxmltree::Document::parse(text).unwrap();
        assert_eq!(stamp_of(document.root_element()), None);
    }
}
