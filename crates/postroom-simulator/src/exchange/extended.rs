//! Extended properties: stored ones, and those that follow from the item itself.

use super::ids;
use super::path::Extended;
use super::value::{conversation_topic, date_time, global_object_id};
use super::xml::Xml;
use crate::model::{Folder, Item, ItemKind, PropertyPath, PropertyValue};

const MEETING_SET: &str = "6ed8da90-450b-101b-98da-00aa003f1305";
pub(super) const INTERNET_HEADERS: &str = "00020386-0000-0000-c000-000000000046";

/// The value of an extended property of an item; `None` where there is none.
///
/// Source: property names and tags of MS-OXPROPS.
pub(super) fn item_value(item: &Item, wanted: &Extended) -> Option<PropertyValue> {
    let kind = wanted.kind.as_str();
    if let Some(value) = item.properties.get(&wanted.path) {
        // MAPI keeps a property under its type, too.
        return (value.kind == kind).then(|| value.clone());
    }
    let summary = item.summary();
    let message = !item.content().is_empty();
    let text = |text: &str| (kind == "String" && !text.is_empty()).then(|| text.to_owned());
    let time = |time: postroom_core::Timestamp| (kind == "SystemTime").then(|| date_time(time));
    let binary = |bytes: &[u8]| (kind == "Binary").then(|| ids::base64(bytes));
    let integer = |number: u64| matches!(kind, "Integer" | "Long").then(|| number.to_string());
    let boolean = |on: bool| (kind == "Boolean").then(|| on.to_string());
    let value = match &wanted.path {
        PropertyPath::Tag(tag) => match tag {
            0x001A => text(&item.class),
            0x0037 => text(&summary.subject),
            0x0039 => item.sent.and_then(time),
            0x0070 => text(conversation_topic(item)),
            0x0071 => (kind == "Binary")
                .then(|| summary.thread_index.clone())
                .filter(|index| !index.is_empty()),
            0x007D if message && item.sent.is_some() => {
                let head = item
                    .content()
                    .get(..summary.header_length)
                    .unwrap_or_default();
                text(&String::from_utf8_lossy(head))
            }
            0x0E06 => time(item.received),
            0x0E07 => integer(flags(item)),
            0x0E08 => integer(item.size()),
            0x0E1B => boolean(item.has_attachments()),
            0x1035 if !item.draft => text(&summary.message_id),
            0x1039 => text(&summary.references),
            0x1042 => text(&summary.in_reply_to),
            0x10F4 => boolean(item.hidden),
            0x3007 => time(item.created),
            0x3008 => time(item.modified),
            0x300B => binary(&item.search_key),
            _ => None,
        },
        PropertyPath::Named { set, name } if set == INTERNET_HEADERS && message => {
            let lines = crate::model::header_lines(item.content());
            lines
                .into_iter()
                .find(|(header, _)| header.eq_ignore_ascii_case(name))
                .and_then(|(_, value)| text(&value))
        }
        PropertyPath::Numbered { set, id: 3 | 35 }
            if set == MEETING_SET && item.kind == ItemKind::Appointment =>
        {
            let uid = item
                .fields
                .get("UID")
                .map_or_else(|| global_object_id(item), |uid| uid.text.clone());
            binary(&object_id_bytes(&uid))
        }
        _ => None,
    };
    value.map(|value| PropertyValue::one(kind, value))
}

/// PR_MESSAGE_FLAGS.
fn flags(item: &Item) -> u64 {
    u64::from(item.read)
        | if item.draft { 0x08 } else { 0 }
        | if item.has_attachments() { 0x10 } else { 0 }
}

/// The binary form of a UID.
///
/// Source: MS-OXCICAL, the UID property; exchangelib's class UID.
fn object_id_bytes(uid: &str) -> Vec<u8> {
    const HEAD: &str = "040000008200E00074C5B7101A82E008";
    let hex = |text: &str| -> Option<Vec<u8>> {
        let bytes = text.as_bytes();
        bytes
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect()
    };
    if uid.to_ascii_uppercase().starts_with(HEAD)
        && let Some(bytes) = hex(uid)
    {
        return bytes;
    }
    let mut bytes = hex(HEAD).unwrap_or_default();
    bytes.extend_from_slice(&[0; 20]);
    let mut data = b"vCal-Uid\x01\x00\x00\x00".to_vec();
    data.extend_from_slice(uid.as_bytes());
    data.push(0);
    bytes.extend_from_slice(&u32::try_from(data.len()).unwrap_or_default().to_le_bytes());
    bytes.extend_from_slice(&data);
    bytes
}

/// The value of an extended property of a folder.
pub(super) fn folder_value(folder: &Folder, wanted: &Extended) -> Option<PropertyValue> {
    let kind = wanted.kind.as_str();
    let value = match &wanted.path {
        PropertyPath::Tag(0x670A) if kind == "SystemTime" => Some(date_time(folder.changed)),
        PropertyPath::Tag(0x670B) if kind == "Integer" => Some(folder.deleted_count.to_string()),
        PropertyPath::Tag(0x3001) if kind == "String" => Some(folder.name.clone()),
        PropertyPath::Tag(0x3613) if kind == "String" && !folder.class.is_empty() => {
            Some(folder.class.clone())
        }
        PropertyPath::Tag(0x10F4) if kind == "Boolean" => Some("false".to_owned()),
        _ => None,
    };
    value.map(|value| PropertyValue::one(kind, value))
}

/// How extended properties go wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Oddities {
    pub(super) without_value: bool,
    pub(super) respelled: bool,
}

pub(super) fn write(xml: &mut Xml, wanted: &Extended, value: &PropertyValue, odd: Oddities) {
    let spelled = if odd.respelled {
        wanted.respelled()
    } else {
        wanted.spelled.clone()
    };
    let attributes: Vec<(&str, &str)> = spelled
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    xml.open("t:ExtendedProperty", &[]);
    xml.empty("t:ExtendedFieldURI", &attributes);
    if odd.without_value {
        // The path alone, against the schema: seen from real servers.
    } else if value.kind.ends_with("Array") {
        xml.open("t:Values", &[]);
        for one in &value.values {
            xml.leaf("t:Value", one);
        }
        xml.close("t:Values");
    } else {
        xml.leaf("t:Value", value.text());
    }
    xml.close("t:ExtendedProperty");
}
