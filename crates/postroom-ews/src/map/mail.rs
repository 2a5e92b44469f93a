//! A message's headers, from its transport headers and from its properties.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postroom_core::email::{ConversationIndex, EmailHeaders, Importance, MessageId, Sensitivity};
use postroom_core::outbox::SubmissionKey;
use postroom_core::{EmailAddress, NamedAddress, Timestamp};
use postroom_provider::MailHeaders;
use roxmltree::Node;

use crate::map::time;
use crate::ops::stamp_of;
use crate::xml::{child, children, flag_of, text_of};

/// Most addresses that are taken of one field.
const ADDRESSES_MAX: usize = 2000;
/// Most identifiers that are taken of one field.
const REFERENCES_MAX: usize = 200;

/// Reads an item. What the transport headers do not say (drafts, internal mail and items that were
/// never transported have none) is taken from the properties.
pub(crate) fn headers(item: Node<'_, '_>) -> MailHeaders {
    let mut headers = transport_headers(item).unwrap_or_default();
    complete(&mut headers, item);
    let received_at = text_of(item, "DateTimeReceived")
        .or_else(|| text_of(item, "DateTimeCreated"))
        .and_then(time)
        .or(headers.sent_at)
        .unwrap_or(Timestamp::EPOCH);
    let mut mail = MailHeaders::new(headers, received_at);
    mail.size = text_of(item, "Size").and_then(|text| text.parse().ok());
    mail.draft = flag_of(item, "IsDraft").unwrap_or(false);
    mail.headers.delivery_report |= text_of(item, "ItemClass").is_some_and(is_delivery_report);
    mail.submission_key = stamp_of(item).map(SubmissionKey::from_text);
    mail
}

/// Whether the class is one of Exchange's own reports about delivery: `REPORT.IPM.Note.NDR`. Those about reading
/// end otherwise.
fn is_delivery_report(class: &str) -> bool {
    let class = class.to_ascii_uppercase();
    let mut parts = class.split('.');
    parts.next() == Some("REPORT") && parts.any(|part| matches!(part, "NDR" | "DR" | "DELAYED"))
}

/// The transport headers as one block (PR_TRANSPORT_MESSAGE_HEADERS), or one by one.
fn transport_headers(item: Node<'_, '_>) -> Option<EmailHeaders> {
    let block = children(item)
        .filter(|node| node.tag_name().name() == "ExtendedProperty")
        .find(|property| {
            child(*property, "ExtendedFieldURI")
                .and_then(|path| path.attribute("PropertyTag"))
                .is_some_and(is_transport_headers)
        })
        .and_then(|property| text_of(property, "Value"))
        .map(str::to_owned)
        .or_else(|| {
            let fields = child(item, "InternetMessageHeaders")?;
            let mut block = String::new();
            for field in children(fields) {
                let value = field.text().unwrap_or_default().replace(['\r', '\n'], " ");
                let name = field.attribute("HeaderName").unwrap_or_default();
                block.push_str(&format!("{name}: {value}\r\n"));
            }
            Some(block)
        })?;
    let parsed = postroom_mime::parse_headers(block.as_bytes());
    (parsed.field_count > 0).then_some(parsed.headers)
}

/// The tag may come back in hexadecimal or decimal.
fn is_transport_headers(tag: &str) -> bool {
    let number = match tag.strip_prefix("0x").or_else(|| tag.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => tag.parse().ok(),
    };
    number == Some(0x007D)
}

/// Fills what is missing from the properties.
pub(crate) fn complete(headers: &mut EmailHeaders, item: Node<'_, '_>) {
    if headers.message_id.is_none() {
        headers.message_id = text_of(item, "InternetMessageId").and_then(|t| t.parse().ok());
    }
    if headers.in_reply_to.is_empty() {
        headers.in_reply_to = identifiers(text_of(item, "InReplyTo"));
    }
    if headers.references.is_empty() {
        headers.references = identifiers(text_of(item, "References"));
    }
    if headers.conversation_index.is_none() {
        headers.conversation_index = text_of(item, "ConversationIndex")
            .and_then(|text| STANDARD.decode(text).ok())
            .and_then(ConversationIndex::from_bytes);
    }
    if headers.subject.is_empty()
        && let Some(subject) = text_of(item, "Subject")
    {
        headers.subject = subject.to_owned();
    }
    if headers.from.is_none() {
        headers.from = single(item, "From").or_else(|| single(item, "Sender"));
    }
    if headers.sender.is_none() {
        headers.sender =
            single(item, "Sender").filter(|sender| headers.from.as_ref() != Some(sender));
    }
    for (field, name) in [
        (&mut headers.to, "ToRecipients"),
        (&mut headers.cc, "CcRecipients"),
        (&mut headers.bcc, "BccRecipients"),
        (&mut headers.reply_to, "ReplyTo"),
    ] {
        if field.is_empty()
            && let Some(list) = child(item, name)
        {
            *field = children(list)
                .filter_map(mailbox)
                .take(ADDRESSES_MAX)
                .collect();
        }
    }
    if headers.sent_at.is_none() {
        headers.sent_at = text_of(item, "DateTimeSent").and_then(time);
    }
    if headers.sensitivity == Sensitivity::Normal {
        headers.sensitivity = match text_of(item, "Sensitivity") {
            Some("Personal") => Sensitivity::Personal,
            Some("Private") => Sensitivity::Private,
            Some("Confidential") => Sensitivity::Confidential,
            _ => Sensitivity::Normal,
        };
    }
    if headers.importance == Importance::Normal {
        headers.importance = match text_of(item, "Importance") {
            Some("Low") => Importance::Low,
            Some("High") => Importance::High,
            _ => Importance::Normal,
        };
    }
}

fn identifiers(text: Option<&str>) -> Vec<MessageId> {
    text.unwrap_or_default()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .take(REFERENCES_MAX)
        .collect()
}

fn single(item: Node<'_, '_>, name: &str) -> Option<NamedAddress> {
    child(item, name)
        .and_then(|field| child(field, "Mailbox"))
        .and_then(mailbox)
}

/// A `t:Mailbox`; `None` for an address of the directory (routing type EX), which is no Internet
/// address.
fn mailbox(node: Node<'_, '_>) -> Option<NamedAddress> {
    let address: EmailAddress = text_of(node, "EmailAddress")?.parse().ok()?;
    Some(NamedAddress::new(
        text_of(node, "Name").unwrap_or_default(),
        address,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soap::parse;

    fn read(inner: &str) -> MailHeaders {
        let text = format!("<t:Message xmlns:t='T'>{inner}</t:Message>");
        let document = parse(&text).unwrap();
        headers(document.root_element())
    }

    const PROPERTIES: &str = "<t:ItemId Id='1' ChangeKey='k'/><t:Subject>Besuch</t:Subject>\
        <t:Sensitivity>Private</t:Sensitivity>\
        <t:DateTimeReceived>2026-11-22T10:00:01Z</t:DateTimeReceived><t:Size>2048</t:Size>\
        <t:Importance>High</t:Importance><t:InReplyTo>&lt;0@x.example&gt;</t:InReplyTo>\
        <t:IsDraft>true</t:IsDraft><t:DateTimeSent>2026-11-22T10:00:00Z</t:DateTimeSent>\
        <t:ExtendedProperty><t:ExtendedFieldURI PropertySetId='{72A957D4-21D5-4CB2-B25B-80976DBBD6C3}' \
        PropertyName='Submission' PropertyType='String'/><t:Value>abc</t:Value></t:ExtendedProperty>\
        <t:ToRecipients><t:Mailbox><t:Name>Bob</t:Name><t:EmailAddress>bob@x.example</t:EmailAddress></t:Mailbox>\
        <t:Mailbox><t:EmailAddress>/o=Org/cn=x</t:EmailAddress><t:RoutingType>EX</t:RoutingType></t:Mailbox></t:ToRecipients>\
        <t:ConversationIndex>AQHR0wECAwQFBgcICQoLDA0ODxAREg==</t:ConversationIndex>\
        <t:From><t:Mailbox><t:Name>Ada</t:Name><t:EmailAddress>ada@x.example</t:EmailAddress></t:Mailbox></t:From>\
        <t:InternetMessageId>&lt;1@x.example&gt;</t:InternetMessageId>\
        <t:References>&lt;a@x.example&gt; &lt;0@x.example&gt;</t:References>";

    #[test]
    fn properties_alone_make_headers() {
        let mail = read(PROPERTIES);
        assert!(mail.draft);
        assert_eq!(mail.size, Some(2048));
        assert_eq!(mail.submission_key.unwrap().as_str(), "abc");
        assert_eq!(mail.received_at.to_string(), "2026-11-22T10:00:01Z");
        let headers = mail.headers;
        assert_eq!(headers.subject, "Besuch");
        assert_eq!(headers.message_id.unwrap().as_str(), "1@x.example");
        assert_eq!(headers.references.len(), 2);
        assert_eq!(headers.in_reply_to.len(), 1);
        assert_eq!(headers.to.len(), 1);
        assert_eq!(headers.from.unwrap().name.as_deref(), Some("Ada"));
        assert_eq!(headers.conversation_index.unwrap().as_bytes().len(), 22);
        assert_eq!(headers.sensitivity, Sensitivity::Private);
        assert_eq!(headers.importance, Importance::High);
    }

    #[test]
    fn transport_headers_come_first_in_either_form() {
        for form in [
            "<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag='125' PropertyType='String'/>\
             <t:Value>Message-ID: &lt;t@x.example&gt;&#xD;\nSubject: =?utf-8?q?sch=C3=B6n?=&#xD;\n\
             Delivered-To: desk@x.example&#xD;\n</t:Value></t:ExtendedProperty>",
            "<t:InternetMessageHeaders><t:InternetMessageHeader HeaderName='Message-ID'>&lt;t@x.example&gt;\
             </t:InternetMessageHeader><t:InternetMessageHeader HeaderName='Subject'>=?utf-8?q?sch=C3=B6n?=\
             </t:InternetMessageHeader><t:InternetMessageHeader HeaderName='Delivered-To'>desk@x.example\
             </t:InternetMessageHeader></t:InternetMessageHeaders>",
        ] {
            let headers = read(&format!("{PROPERTIES}{form}")).headers;
            assert_eq!(headers.message_id.unwrap().as_str(), "t@x.example");
            assert_eq!(headers.subject, "schön");
            assert_eq!(headers.delivered_to.len(), 1);
            // What they do not say comes from the properties.
            assert_eq!(headers.from.unwrap().address.as_str(), "ada@x.example");
        }
    }

    #[test]
    fn properties_without_value_count_as_absent() {
        let mail = read(
            "<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag='0x007d' PropertyType='String'/></t:ExtendedProperty>\
             <t:ExtendedProperty><t:ExtendedFieldURI PropertySetId='72a957d4-21d5-4cb2-b25b-80976dbbd6c3' \
             PropertyName='submission' PropertyType='String'/><t:Value/></t:ExtendedProperty>\
             <t:ExtendedProperty/><t:Subject/><t:DateTimeCreated>2026-01-01T00:00:00</t:DateTimeCreated>",
        );
        assert_eq!(mail.submission_key, None);
        assert_eq!(mail.headers, EmailHeaders::default());
        assert_eq!(mail.received_at.to_string(), "2026-01-01T00:00:00Z");
    }
}
