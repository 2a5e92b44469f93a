//! CreateItem: a message from MIME, stamped. Source: ews-notes section 10.

use postroom_provider::Submission;

use crate::client::Reply;
use crate::ops::{FolderRef, ItemId, first_item, item_id, stamp_path};
use crate::soap::{Refusal, messages};
use crate::xml::Xml;

/// What becomes of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// It stays a draft.
    Save,
    /// It is sent at once; the answer names no item.
    Send,
}

pub(crate) fn write(
    xml: &mut Xml,
    disposition: Disposition,
    folder: FolderRef<'_>,
    submission: &Submission,
) {
    let value = match disposition {
        Disposition::Save => "SaveOnly",
        Disposition::Send => "SendAndSaveCopy",
    };
    xml.start("m:CreateItem", &[("MessageDisposition", value)])
        .start("m:SavedItemFolderId", &[]);
    folder.write(xml);
    xml.end().start("m:Items", &[]).start("t:Message", &[]);
    xml.start("t:MimeContent", &[("CharacterSet", "UTF-8")])
        .base64(&submission.raw)
        .end();
    xml.start("t:ExtendedProperty", &[]);
    stamp_path(xml);
    xml.text("t:Value", submission.key.as_str()).end();
    // MIME carries no blind copies.
    if !submission.bcc.is_empty() {
        xml.start("t:BccRecipients", &[]);
        for address in &submission.bcc {
            xml.start("t:Mailbox", &[])
                .text("t:EmailAddress", address.as_str())
                .end();
        }
        xml.end();
    }
    xml.end().end().end();
}

/// The item; `Ok(None)` where the answer names none, as after sending.
pub(crate) fn read(reply: &Reply<'_, '_>) -> Option<Result<Option<ItemId>, Refusal>> {
    let message = messages(reply.response).into_iter().next()?;
    Some(
        message
            .into_result()
            .map(|node| first_item(node).and_then(item_id)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Distinguished;
    use crate::ops::test_support::{answer, written};
    use postroom_core::RawMessage;
    use postroom_core::outbox::SubmissionKey;

    #[test]
    fn content_first_then_stamp_then_blind_copies() {
        let from: postroom_core::EmailAddress = "a@x.example".parse().unwrap();
        let mut submission = Submission::new(
            SubmissionKey::from_text("key"),
            "1@x.example".parse().unwrap(),
            from.into(),
            vec![
                "b@x.example".parse().unwrap(),
                "c@x.example".parse().unwrap(),
            ],
            RawMessage::from_bytes(b"abcd".to_vec()),
        );
        submission.bcc = vec!["c@x.example".parse().unwrap()];
        let text = written(|xml| {
            let drafts = FolderRef::Distinguished(Distinguished::Drafts, None);
            write(xml, Disposition::Save, drafts, &submission);
        });
        assert_eq!(
            text,
            "<m:CreateItem MessageDisposition=\"SaveOnly\"><m:SavedItemFolderId>\
             <t:DistinguishedFolderId Id=\"drafts\"/></m:SavedItemFolderId><m:Items><t:Message>\
             <t:MimeContent CharacterSet=\"UTF-8\">{8 bytes}</t:MimeContent><t:ExtendedProperty>\
             <t:ExtendedFieldURI PropertySetId=\"72a957d4-21d5-4cb2-b25b-80976dbbd6c3\" \
             PropertyName=\"submission\" PropertyType=\"String\"/><t:Value>key</t:Value></t:ExtendedProperty>\
             <t:BccRecipients><t:Mailbox><t:EmailAddress>c@x.example</t:EmailAddress></t:Mailbox>\
             </t:BccRecipients></t:Message></m:Items></m:CreateItem>"
        );
    }

    #[test]
    fn reads_id_and_change_key() {
        let text = "<R><ResponseMessages><X ResponseClass='Success'><ResponseCode>NoError</ResponseCode>\
            <Items><Message><ItemId Id='1' ChangeKey='k'/></Message></Items></X></ResponseMessages></R>";
        let item = answer(text, &[], read).unwrap().unwrap().unwrap();
        assert_eq!(
            (item.id.as_str(), item.change_key.as_deref()),
            ("1", Some("k"))
        );
        assert!(answer("<R/>", &[], read).is_none());
    }
}
