//! What the fields of an item hold.

use postroom_core::Timestamp;

use super::call::Call;
use super::ids::{self, Named};
use super::shape::{BodyKind, Shape, View};
use crate::model::{Address, Attachment, Field, Item, ItemKind};

/// The element and the schema type that stand for an item.
pub(super) fn element_of(item: &Item) -> (&'static str, &'static str) {
    let class = item.class.to_ascii_lowercase();
    match item.kind {
        ItemKind::Message if class.starts_with("ipm.schedule.meeting.request") => {
            ("MeetingRequest", "t:MeetingRequestMessageType")
        }
        ItemKind::Message if class.starts_with("ipm.schedule.meeting.resp") => {
            ("MeetingResponse", "t:MeetingResponseMessageType")
        }
        ItemKind::Message if class.starts_with("ipm.schedule.meeting.canceled") => {
            ("MeetingCancellation", "t:MeetingCancellationMessageType")
        }
        ItemKind::Message => ("Message", "t:MessageType"),
        ItemKind::Appointment => ("CalendarItem", "t:CalendarItemType"),
        ItemKind::Contact => ("Contact", "t:ContactItemType"),
        ItemKind::ContactGroup => ("DistributionList", "t:DistributionListType"),
        ItemKind::Task => ("Task", "t:TaskType"),
        ItemKind::Other if class.starts_with("ipm.post") => ("PostItem", "t:PostItemType"),
        ItemKind::Other => ("Item", "t:ItemType"),
    }
}

/// The Default shape of an item.
///
/// Source: "Property sets and response shapes" of the EWS documentation.
pub(super) const fn default_fields(item: &Item) -> &'static [&'static str] {
    match item.kind {
        ItemKind::Appointment => &[
            "Subject",
            "Sensitivity",
            "Body",
            "Attachments",
            "Size",
            "DateTimeSent",
            "DateTimeCreated",
            "HasAttachments",
            "Start",
            "End",
            "LegacyFreeBusyStatus",
            "Location",
            "CalendarItemType",
            "IsResponseRequested",
            "Organizer",
        ],
        ItemKind::Contact | ItemKind::ContactGroup => &[
            "Attachments",
            "HasAttachments",
            "FileAs",
            "DisplayName",
            "CompanyName",
            "EmailAddresses",
            "PhysicalAddresses",
            "PhoneNumbers",
        ],
        ItemKind::Task => &[
            "Subject",
            "Sensitivity",
            "Body",
            "Attachments",
            "HasAttachments",
            "DueDate",
            "PercentComplete",
            "StartDate",
            "Status",
        ],
        _ => &[
            "Subject",
            "Sensitivity",
            "Body",
            "Attachments",
            "Size",
            "Importance",
            "DateTimeSent",
            "DateTimeCreated",
            "HasAttachments",
            "Sender",
            "ToRecipients",
            "CcRecipients",
            "BccRecipients",
            "IsReadReceiptRequested",
            "IsDeliveryReceiptRequested",
            "From",
            "References",
            "IsRead",
            "IsResponseRequested",
        ],
    }
}

/// A time as EWS writes it: whole seconds, UTC.
pub(super) fn date_time(time: Timestamp) -> String {
    Timestamp::from_seconds(time.as_millis().div_euclid(1000)).to_string()
}

fn flag(name: &str, on: bool) -> Option<Field> {
    Some(Field::text(name, if on { "true" } else { "false" }))
}

fn some_text(name: &str, text: &str) -> Option<Field> {
    (!text.is_empty()).then(|| Field::text(name, text))
}

/// One recipient.
pub(super) fn mailbox(address: &Address, view: View) -> Field {
    let mut parts = vec![Field::text("Name", address.shown())];
    // The table behind a list holds the name for people only.
    if view == View::Single && !address.address.is_empty() {
        parts.push(Field::text("EmailAddress", &address.address));
        parts.push(Field::text("RoutingType", "SMTP"));
        parts.push(Field::text("MailboxType", "OneOff"));
    }
    Field::tree("Mailbox", parts)
}

fn single(name: &str, address: Option<&Address>, view: View) -> Option<Field> {
    address.map(|address| Field::tree(name, vec![mailbox(address, view)]))
}

fn list(name: &str, addresses: &[Address], view: View) -> Option<Field> {
    let all: Vec<Field> = addresses
        .iter()
        .map(|address| mailbox(address, view))
        .collect();
    (!all.is_empty()).then(|| Field::tree(name, all))
}

fn display(name: &str, addresses: &[Address]) -> Option<Field> {
    let names: Vec<&str> = addresses.iter().map(Address::shown).collect();
    Some(Field::text(name, names.join("; ")))
}

/// An attachment without its content.
pub(super) fn attachment_field(
    call: &Call<'_>,
    item: &Item,
    index: usize,
    attachment: &Attachment,
) -> Field {
    let name = if attachment.message {
        "ItemAttachment"
    } else {
        "FileAttachment"
    };
    Field::tree(name, attachment_head(call, item, index, attachment))
}

/// What both kinds of attachments begin with.
pub(super) fn attachment_head(
    call: &Call<'_>,
    item: &Item,
    index: usize,
    attachment: &Attachment,
) -> Vec<Field> {
    let id = ids::encode(
        call.owner(item),
        Named::Attachment(
            item.id,
            ids::attachment_number(item.all_attachments(), index),
        ),
    );
    let mut parts = vec![
        Field::text("AttachmentId", "").with("Id", id),
        Field::text("Name", &attachment.name),
    ];
    if !attachment.message {
        parts.push(Field::text("ContentType", &attachment.media_type));
    }
    if !attachment.content_id.is_empty() {
        parts.push(Field::text("ContentId", &attachment.content_id));
    }
    parts.push(Field::text("Size", attachment.content.len().to_string()));
    parts.push(Field::text("LastModifiedTime", date_time(item.modified)));
    parts.push(Field::text(
        "IsInline",
        if attachment.inline { "true" } else { "false" },
    ));
    parts
}

fn body(item: &Item, name: &str, kind: BodyKind) -> Option<Field> {
    let stored = item.fields.get("Body");
    let (html, text) = match stored {
        Some(field) if field.attribute("BodyType") == Some("HTML") => {
            (Some(field.text.clone()), field.text.clone())
        }
        Some(field) => (None, field.text.clone()),
        None if item.content().is_empty() => return None,
        None => {
            let body = &item.parts().body;
            (body.html.clone(), body.text.clone())
        }
    };
    let (kind, value) = match (kind, html) {
        (BodyKind::Best | BodyKind::Html, Some(html)) => ("HTML", html),
        (BodyKind::Html, None) => (
            "HTML",
            format!(
                "<html><body><pre>{}</pre></body></html>",
                quick_xml::escape::escape(text.as_str())
            ),
        ),
        (BodyKind::Best | BodyKind::Text, _) => ("Text", text),
    };
    Some(Field::text(name, value).with("BodyType", kind))
}

/// The value of a field; `None` where the item does not have it.
pub(super) fn value(call: &Call<'_>, item: &Item, name: &str, shape: &Shape) -> Option<Field> {
    let view = shape.view;
    let summary = item.summary();
    let message = !item.content().is_empty();
    match name {
        "ItemId" => {
            let (id, key) = call.item_id(item);
            return Some(Field::text(name, "").with("Id", id).with("ChangeKey", key));
        }
        "ParentFolderId" => {
            let folder = call.mail.folder(item.folder).ok()?;
            let id = ids::encode(folder.account, Named::Folder(folder.id));
            return Some(
                Field::text(name, "")
                    .with("Id", id)
                    .with("ChangeKey", ids::folder_change_key(&folder)),
            );
        }
        "Body" => return body(item, name, shape.body),
        "TextBody" => return body(item, name, BodyKind::Text),
        "UniqueBody" | "NormalizedBody" => return body(item, name, shape.body),
        "ItemClass" => return some_text(name, &item.class),
        "Categories" => {
            let all: Vec<Field> = item
                .categories
                .iter()
                .map(|one| Field::text("String", one))
                .collect();
            return (!all.is_empty()).then(|| Field::tree(name, all));
        }
        _ => {}
    }
    if let Some(field) = item.fields.get(name) {
        return Some(field.clone());
    }
    match name {
        "Subject" if message => Some(Field::text(name, &summary.subject)),
        "Sensitivity" => Some(Field::text(name, "Normal")),
        "Attachments" => {
            let all = item
                .all_attachments()
                .iter()
                .enumerate()
                .map(|(index, attachment)| attachment_field(call, item, index, attachment));
            let all: Vec<Field> = all.collect();
            (!all.is_empty()).then(|| Field::tree(name, all))
        }
        "DateTimeReceived" => Some(Field::text(name, date_time(item.received))),
        "Size" => Some(Field::text(name, item.size().min(0x7fff_ffff).to_string())),
        "Importance" => Some(Field::text(
            name,
            if message {
                &summary.importance
            } else {
                "Normal"
            },
        )),
        "InReplyTo" => some_text(name, &summary.in_reply_to),
        "IsSubmitted"
        | "IsFromMe"
        | "IsResend"
        | "ReminderIsSet"
        | "IsReadReceiptRequested"
        | "IsDeliveryReceiptRequested"
        | "IsResponseRequested" => flag(name, false),
        "IsUnmodified" => flag(name, item.created == item.modified),
        "IsDraft" => flag(name, item.draft),
        "InternetMessageHeaders" if message && item.sent.is_some() => {
            let lines = crate::model::header_lines(item.content());
            let all: Vec<Field> = lines
                .into_iter()
                .map(|(header, value)| {
                    Field::text("InternetMessageHeader", value).with("HeaderName", header)
                })
                .collect();
            (!all.is_empty()).then(|| Field::tree(name, all))
        }
        "DateTimeSent" => item
            .sent
            .or(Some(item.created))
            .map(|at| Field::text(name, date_time(at))),
        "DateTimeCreated" => Some(Field::text(name, date_time(item.created))),
        "LastModifiedTime" => Some(Field::text(name, date_time(item.modified))),
        "LastModifiedName" => Some(Field::text(name, &call.info.display_name)),
        "ReminderMinutesBeforeStart" => Some(Field::text(name, "0")),
        "DisplayTo" => display(name, &summary.to),
        "DisplayCc" => display(name, &summary.cc),
        "HasAttachments" => flag(name, item.has_attachments()),
        "Culture" => Some(Field::text(name, "en-US")),
        "EffectiveRights" => Some(effective_rights(name)),
        "IsAssociated" => flag(name, item.hidden),
        "ConversationId" => Some(Field::text(name, "").with("Id", conversation_id(item))),
        "Flag" => Some(Field::tree(
            name,
            vec![Field::text("FlagStatus", "NotFlagged")],
        )),
        "InstanceKey" => Some(Field::text(
            name,
            ids::base64(&item.id.number().to_be_bytes()),
        )),
        "SearchKey" => Some(Field::text(name, ids::base64(&item.search_key))),
        "Preview" if message => Some(Field::text(
            name,
            item.parts().body.text.chars().take(255).collect::<String>(),
        )),
        _ if message => message_value(call, item, name, view),
        _ => other_value(call, item, name, view),
    }
}

fn message_value(call: &Call<'_>, item: &Item, name: &str, view: View) -> Option<Field> {
    let summary = item.summary();
    let owner = Address::new(&call.info.display_name, &call.info.address);
    match name {
        "Sender" => single(
            name,
            summary.sender.as_ref().or(summary.from.as_ref()),
            view,
        ),
        "From" => single(name, summary.from.as_ref(), view),
        "ToRecipients" => list(name, &summary.to, view),
        "CcRecipients" => list(name, &summary.cc, view),
        "BccRecipients" => list(name, &item.bcc, view),
        "ReplyTo" => list(name, &summary.reply_to, view),
        "ConversationIndex" => some_text(name, &summary.thread_index),
        "ConversationTopic" => some_text(name, conversation_topic(item)),
        // A draft shows none before it is sent, whatever its MIME said.
        "InternetMessageId" if !item.draft => some_text(name, &summary.message_id),
        "References" => some_text(name, &summary.references),
        "IsRead" => flag(name, item.read),
        "ReceivedBy" | "ReceivedRepresenting" if !item.draft => single(name, Some(&owner), view),
        _ => None,
    }
}

/// The topic of a conversation: the subject without what replies put in front of it.
pub(super) fn conversation_topic(item: &Item) -> &str {
    let summary = item.summary();
    if !summary.thread_topic.is_empty() {
        return &summary.thread_topic;
    }
    let mut topic = summary.subject.trim();
    while let Some((prefix, rest)) = topic.split_once(':') {
        if !(1..=3).contains(&prefix.len())
            || !prefix.bytes().all(|byte| byte.is_ascii_alphabetic())
        {
            break;
        }
        topic = rest.trim_start();
    }
    topic
}

fn conversation_id(item: &Item) -> String {
    // FNV-1a: items of one topic share a conversation, and nothing more is promised.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in conversation_topic(item).to_lowercase().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let mut bytes = vec![0, 3, 0x24, 0x10, 0];
    bytes.extend_from_slice(&hash.to_be_bytes());
    bytes.extend_from_slice(&hash.rotate_left(29).to_be_bytes());
    ids::base64(&bytes)
}

pub(super) fn effective_rights(name: &str) -> Field {
    let rights = [
        "CreateAssociated",
        "CreateContents",
        "CreateHierarchy",
        "Delete",
        "Modify",
        "Read",
        "ViewPrivateItems",
    ];
    Field::tree(
        name,
        rights
            .into_iter()
            .map(|right| Field::text(right, "true"))
            .collect(),
    )
}

fn other_value(call: &Call<'_>, item: &Item, name: &str, view: View) -> Option<Field> {
    match item.kind {
        ItemKind::Appointment => match name {
            "UID" => Some(Field::text(name, global_object_id(item))),
            "DateTimeStamp" => Some(Field::text(name, date_time(item.modified))),
            "IsAllDayEvent"
            | "IsMeeting"
            | "IsCancelled"
            | "MeetingRequestWasSent"
            | "IsOnlineMeeting" => flag(name, false),
            "IsOrganizer" => flag(name, true),
            "IsRecurring" => flag(name, item.fields.contains_key("Recurrence")),
            "LegacyFreeBusyStatus" => Some(Field::text(name, "Busy")),
            "CalendarItemType" => {
                let master = item.fields.contains_key("Recurrence");
                Some(Field::text(
                    name,
                    if master { "RecurringMaster" } else { "Single" },
                ))
            }
            "MyResponseType" => Some(Field::text(name, "Organizer")),
            "Organizer" => single(
                name,
                Some(&Address::new(&call.info.display_name, &call.info.address)),
                view,
            ),
            "AppointmentState"
            | "AppointmentSequenceNumber"
            | "ConflictingMeetingCount"
            | "AdjacentMeetingCount" => Some(Field::text(name, "0")),
            _ => None,
        },
        ItemKind::Task => match name {
            "ChangeCount" => Some(Field::text(name, "1")),
            "IsComplete" => flag(
                name,
                item.fields
                    .get("Status")
                    .is_some_and(|status| status.text == "Completed"),
            ),
            "IsRecurring" => flag(name, item.fields.contains_key("Recurrence")),
            "IsTeamTask" => flag(name, false),
            "PercentComplete" => {
                let done = item
                    .fields
                    .get("Status")
                    .is_some_and(|status| status.text == "Completed");
                Some(Field::text(name, if done { "100" } else { "0" }))
            }
            "Status" => Some(Field::text(name, "NotStarted")),
            "Owner" => Some(Field::text(name, &call.info.display_name)),
            _ => None,
        },
        _ => None,
    }
}

/// A UID for an appointment that was given none: the text of a global object id.
pub(super) fn global_object_id(item: &Item) -> String {
    let mut text =
        "040000008200E00074C5B7101A82E008000000000000000000000000000000000000000010000000"
            .to_owned();
    for byte in item.search_key {
        text.push_str(&format!("{byte:02X}"));
    }
    text
}
