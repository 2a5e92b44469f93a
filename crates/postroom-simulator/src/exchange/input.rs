//! Items as clients send them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use postroom_core::Timestamp;
use roxmltree::Node;

use super::call::{Call, Outcome, child, child_text, is_true};
use super::code::Refusal;
use super::path::Extended;
use super::schema::schema;
use crate::model::{
    Address, Attachment, Body, Field, Item, ItemKind, NewItem, PropertyPath, PropertyValue,
    compose, header_addresses, header_text,
};

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Base64 with or without line breaks.
pub(super) fn base64(text: &str) -> Option<Bytes> {
    if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        let joined: Vec<u8> = text
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        return LENIENT.decode(joined).ok().map(Bytes::from);
    }
    LENIENT.decode(text).ok().map(Bytes::from)
}

/// The extended property in a `t:ExtendedProperty`.
pub(super) fn property(node: Node<'_, '_>) -> Outcome<(PropertyPath, PropertyValue)> {
    let invalid = || Refusal::new("ErrorInvalidExtendedProperty");
    let path = Extended::read(child(node, "ExtendedFieldURI").ok_or_else(invalid)?)?;
    let array = path.kind.ends_with("Array");
    let value = match (child(node, "Value"), child(node, "Values")) {
        (Some(value), None) if !array => {
            PropertyValue::one(&path.kind, value.text().unwrap_or_default())
        }
        (None, Some(values)) if array => {
            let all = values
                .children()
                .filter(Node::is_element)
                .map(|value| value.text().unwrap_or_default().to_owned());
            PropertyValue::many(&path.kind, all.collect())
        }
        _ => return Err(Refusal::new("ErrorInvalidExtendedPropertyValue")),
    };
    let scalar = path.kind.trim_end_matches("Array");
    let fits = |text: &String| match scalar {
        "Integer" | "Short" | "Long" => text.trim().parse::<i64>().is_ok(),
        "Boolean" => matches!(text.trim(), "true" | "false" | "1" | "0"),
        "Binary" => base64(text).is_some(),
        "Double" | "Float" => text.trim().parse::<f64>().is_ok(),
        _ => true,
    };
    if !value.values.iter().all(fits) {
        return Err(Refusal::new("ErrorInvalidExtendedPropertyValue"));
    }
    let mut value = value;
    for text in &mut value.values {
        match scalar {
            "Boolean" => *text = boolean(text),
            "SystemTime" => *text = date_time(text),
            _ => {}
        }
    }
    Ok((path.path, value))
}

/// A property of an item, and all below it, as a field.
pub(super) fn field(node: Node<'_, '_>) -> Field {
    let of = node
        .parent()
        .and_then(|item| schema().type_of("t:NonEmptyArrayOfAllItemsType", item.tag_name().name()))
        .and_then(|item| schema().type_of(item, node.tag_name().name()));
    typed_field(node, of)
}

/// An element of that type as a field.
pub(super) fn typed_field(node: Node<'_, '_>, of: Option<&str>) -> Field {
    let mut field = Field::text(node.tag_name().name(), "");
    for attribute in node.attributes() {
        field = field.with(attribute.name(), attribute.value());
    }
    let children: Vec<Field> = node
        .children()
        .filter(Node::is_element)
        .map(|child| {
            let name = child.tag_name().name();
            typed_field(child, of.and_then(|of| schema().type_of(of, name)))
        })
        .collect();
    if children.is_empty() {
        let text = node.text().unwrap_or_default();
        field.text = match of {
            Some("xs:boolean") => boolean(text),
            Some("xs:dateTime") => date_time(text),
            _ => text.to_owned(),
        };
    }
    field.children = children;
    field
}

/// A boolean as the server writes it, whichever of the two ways the client wrote it in.
fn boolean(text: &str) -> String {
    if is_true(text) { "true" } else { "false" }.to_owned()
}

/// A time as the server writes it: UTC. One without an offset is taken for UTC.
fn date_time(text: &str) -> String {
    let naive = || {
        let time: jiff::civil::DateTime = text.trim().parse().ok()?;
        Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    let time = text.trim().parse::<jiff::Timestamp>().ok().or_else(naive);
    time.map_or_else(
        || text.to_owned(),
        |time| super::value::date_time(Timestamp::from_seconds(time.as_second())),
    )
}

fn address(mailbox: Node<'_, '_>) -> Option<Address> {
    let address = child_text(mailbox, "EmailAddress");
    (!address.is_empty()).then(|| Address::new(child_text(mailbox, "Name"), address))
}

/// The addresses in a list of mailboxes.
pub(super) fn addresses(node: Node<'_, '_>) -> Vec<Address> {
    node.children()
        .filter(|child| child.tag_name().name() == "Mailbox")
        .filter_map(address)
        .collect()
}

/// The kind of item that an element stands for.
pub(super) fn kind_of(element: &str) -> Option<ItemKind> {
    match element {
        "Message"
        | "MeetingRequest"
        | "MeetingResponse"
        | "MeetingCancellation"
        | "MeetingMessage" => Some(ItemKind::Message),
        "CalendarItem" => Some(ItemKind::Appointment),
        "Contact" => Some(ItemKind::Contact),
        "DistributionList" => Some(ItemKind::ContactGroup),
        "Task" => Some(ItemKind::Task),
        "Item" | "PostItem" => Some(ItemKind::Other),
        _ => None,
    }
}

/// Fields of a message that its MIME holds, as edits of its parts.
#[derive(Debug, Default)]
pub(super) struct MimeEdits {
    /// Header and value; `None` removes it.
    pub(super) headers: Vec<(&'static str, Option<String>)>,
    /// The same for headers that were named as extended properties.
    pub(super) named: Vec<(String, Option<String>)>,
    pub(super) body: Option<Body>,
    pub(super) attachments: Option<Vec<Attachment>>,
}

impl MimeEdits {
    pub(super) const fn is_empty(&self) -> bool {
        self.headers.is_empty()
            && self.named.is_empty()
            && self.body.is_none()
            && self.attachments.is_none()
    }

    /// Makes the edit that a field stands for; false if the MIME does not hold that field.
    pub(super) fn set(&mut self, name: &str, node: Option<Node<'_, '_>>) -> Outcome<bool> {
        let text = || {
            node.and_then(|node| node.text())
                .filter(|text| !text.is_empty())
                .map(header_text)
        };
        let list = || node.map(addresses).and_then(|all| header_addresses(&all));
        let edit = match name {
            "Subject" => ("Subject", text()),
            "From" => ("From", list()),
            "Sender" => ("Sender", list()),
            "ToRecipients" => ("To", list()),
            "CcRecipients" => ("Cc", list()),
            "ReplyTo" => ("Reply-To", list()),
            "InternetMessageId" => ("Message-ID", text()),
            "References" => ("References", text()),
            "InReplyTo" => ("In-Reply-To", text()),
            "Importance" => ("Importance", text().filter(|value| value != "Normal")),
            "ConversationIndex" => ("Thread-Index", text()),
            "Body" => {
                let value = node.and_then(|node| node.text()).unwrap_or_default();
                let html = node.and_then(|node| node.attribute("BodyType")) == Some("HTML");
                self.body = Some(if html {
                    Body::html(value)
                } else {
                    Body::plain(value)
                });
                return Ok(true);
            }
            "Attachments" => {
                let all = node
                    .into_iter()
                    .flat_map(|node| node.children())
                    .filter(Node::is_element)
                    .map(attachment);
                self.attachments = Some(all.collect::<Outcome<_>>()?);
                return Ok(true);
            }
            _ => return Ok(false),
        };
        self.headers.push(edit);
        Ok(true)
    }

    /// The MIME with the edits made.
    pub(super) fn apply(
        self,
        content: &Bytes,
        parts: impl FnOnce() -> (Body, Vec<Attachment>),
        boundary: &str,
    ) -> Bytes {
        let mut content = if self.headers.is_empty() && !content.is_empty() {
            content.clone()
        } else {
            crate::model::with_headers(content, &self.headers)
        };
        for (name, value) in self.named {
            content = crate::model::with_headers(&content, &[(&name, value)]);
        }
        if self.body.is_none() && self.attachments.is_none() {
            return content;
        }
        let (body, attachments) = parts();
        let headers = crate::model::header_lines(&content);
        compose(
            &headers,
            &self.body.unwrap_or(body),
            &self.attachments.unwrap_or(attachments),
            boundary,
        )
    }
}

/// An attachment as a client sends it.
pub(super) fn attachment(node: Node<'_, '_>) -> Outcome<Attachment> {
    let mut attachment = Attachment::file(
        child_text(node, "Name"),
        child_text(node, "ContentType"),
        Bytes::new(),
    );
    child_text(node, "ContentId").clone_into(&mut attachment.content_id);
    attachment.inline = is_true(child_text(node, "IsInline"));
    match node.tag_name().name() {
        "FileAttachment" => {
            attachment.content = base64(child_text(node, "Content"))
                .ok_or_else(|| Refusal::new("ErrorSchemaValidation"))?;
            if attachment.media_type.is_empty() {
                "application/octet-stream".clone_into(&mut attachment.media_type);
            }
        }
        "ItemAttachment" => {
            attachment.message = true;
            "message/rfc822".clone_into(&mut attachment.media_type);
            let inner = node
                .children()
                .find(|child| kind_of(child.tag_name().name()).is_some());
            let inner = inner.ok_or_else(|| Refusal::new("ErrorInvalidOperation"))?;
            attachment.content = message_mime(inner, &mut BTreeMap::new(), "attached")?;
        }
        _ => {
            return Err(Refusal::new("ErrorInvalidOperation")
                .text("This server keeps no reference attachments."));
        }
    }
    Ok(attachment)
}

/// Fields that only the server sets; a client's value is a mistake.
const READ_ONLY: [&str; 18] = [
    "ItemId",
    "ParentFolderId",
    "DateTimeReceived",
    "Size",
    "IsSubmitted",
    "IsDraft",
    "IsFromMe",
    "IsUnmodified",
    "InternetMessageHeaders",
    "DateTimeSent",
    "DateTimeCreated",
    "DisplayTo",
    "DisplayCc",
    "HasAttachments",
    "EffectiveRights",
    "LastModifiedName",
    "LastModifiedTime",
    "ConversationId",
];

fn message_mime(
    node: Node<'_, '_>,
    rest: &mut BTreeMap<String, Field>,
    boundary: &str,
) -> Outcome<Bytes> {
    let given = child(node, "MimeContent");
    let mut content = Bytes::new();
    if let Some(given) = given {
        content = base64(given.text().unwrap_or_default())
            .ok_or_else(|| Refusal::new("ErrorMimeContentInvalidBase64String"))?;
        // Blind copies are no part of what Exchange takes from MIME.
        if crate::model::header_lines(&content)
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("bcc"))
        {
            content = crate::model::with_headers(&content, &[("Bcc", None)]);
        }
    }
    let mut edits = MimeEdits::default();
    for element in node.children().filter(Node::is_element) {
        let name = element.tag_name().name();
        if !edits.set(name, Some(element))?
            && !matches!(
                name,
                "MimeContent"
                    | "ExtendedProperty"
                    | "Categories"
                    | "ItemClass"
                    | "BccRecipients"
                    | "IsRead"
            )
        {
            rest.insert(name.to_owned(), field(element));
        }
    }
    if given.is_none() && edits.body.is_none() {
        edits.body = Some(Body::default());
    }
    Ok(edits.apply(
        &content,
        || {
            let parts = crate::model::MessageParts::read(&content);
            (parts.body, parts.attachments)
        },
        boundary,
    ))
}

/// Reads an item that a client wants stored.
pub(super) fn new_item(call: &Call<'_>, node: Node<'_, '_>) -> Outcome<NewItem> {
    let element = node.tag_name().name();
    let kind = kind_of(element).ok_or_else(|| {
        Refusal::new("ErrorInvalidOperation")
            .text("This server does not serve this response object.")
    })?;
    if let Some(wrong) = node
        .children()
        .find(|child| READ_ONLY.contains(&child.tag_name().name()))
    {
        return Err(Refusal::new("ErrorInvalidPropertySet")
            .path(&format!("item:{}", wrong.tag_name().name())));
    }
    let mut new = NewItem::of(kind);
    new.read = true;
    if kind == ItemKind::Message {
        new.draft = true;
        new.content = message_mime(node, &mut new.fields, &call.server.boundary())?;
    } else {
        for element in node.children().filter(Node::is_element) {
            match element.tag_name().name() {
                "MimeContent" => {
                    new.content = base64(element.text().unwrap_or_default())
                        .ok_or_else(|| Refusal::new("ErrorMimeContentInvalidBase64String"))?
                }
                "ExtendedProperty" | "Categories" | "ItemClass" | "IsRead" => {}
                "Attachments" => {
                    let all = element.children().filter(Node::is_element).map(attachment);
                    new.attachments = all.collect::<Outcome<_>>()?;
                }
                name => {
                    new.fields.insert(name.to_owned(), field(element));
                }
            }
        }
        derive(kind, &mut new.fields);
    }
    if let Some(class) = child(node, "ItemClass").and_then(|class| class.text()) {
        class.clone_into(&mut new.class);
    }
    if let Some(categories) = child(node, "Categories") {
        new.categories = strings(categories);
    }
    if let Some(bcc) = child(node, "BccRecipients") {
        new.bcc = addresses(bcc);
    }
    if let Some(read) = child(node, "IsRead") {
        new.read = is_true(read.text().unwrap_or_default());
    }
    for node in node
        .children()
        .filter(|child| child.tag_name().name() == "ExtendedProperty")
    {
        let (path, value) = property(node)?;
        apply_special(&mut new, &path, &value);
        if let Some(name) = header_of(&path).filter(|_| kind == ItemKind::Message) {
            let value = Some(header_value(&value));
            new.content = crate::model::with_headers(&new.content, &[(name, value)]);
            continue;
        }
        new.properties.insert(path, value);
    }
    // These live in the item itself; kept twice they would come to disagree.
    new.properties.remove(&PropertyPath::Tag(0x0E07));
    new.properties.remove(&PropertyPath::Tag(0x0E06));
    new.properties.remove(&PropertyPath::Tag(0x0039));
    Ok(new)
}

/// The header that a property stands for: kept as one, it is sent as one.
pub(super) fn header_of(path: &PropertyPath) -> Option<&str> {
    let PropertyPath::Named { set, name } = path else {
        return None;
    };
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    (set == super::extended::INTERNET_HEADERS && !name.is_empty() && name.bytes().all(fits))
        .then_some(name.as_str())
}

/// The value of such a property as the header has it.
pub(super) fn header_value(value: &PropertyValue) -> String {
    header_text(&value.text().replace(['\r', '\n'], " "))
}

fn apply_special(new: &mut NewItem, path: &PropertyPath, value: &PropertyValue) {
    match path {
        // PR_MESSAGE_FLAGS can be set at creation only: read, unsent.
        PropertyPath::Tag(0x0E07) => {
            let flags: i64 = value.text().trim().parse().unwrap_or_default();
            new.read = flags & 0x01 != 0;
            new.draft = flags & 0x08 != 0;
        }
        PropertyPath::Tag(0x0E06) => new.received = value.text().parse::<Timestamp>().ok(),
        PropertyPath::Tag(0x0039) => new.sent = value.text().parse::<Timestamp>().ok(),
        PropertyPath::Tag(0x10F4) => new.hidden = is_true(value.text()),
        _ => {}
    }
}

/// The strings of a list such as the categories.
pub(super) fn strings(node: Node<'_, '_>) -> Vec<String> {
    node.children()
        .filter(Node::is_element)
        .filter_map(|one| one.text())
        .map(str::to_owned)
        .collect()
}

/// Fields that follow from others.
pub(super) fn derive(kind: ItemKind, fields: &mut BTreeMap<String, Field>) {
    match kind {
        ItemKind::Contact | ItemKind::ContactGroup => {
            let name = ["DisplayName", "FileAs"]
                .iter()
                .find_map(|name| fields.get(*name))
                .map(|field| field.text.clone());
            let given = fields
                .get("GivenName")
                .map_or("", |field| field.text.as_str());
            let surname = fields
                .get("Surname")
                .map_or("", |field| field.text.as_str());
            let name = name.unwrap_or_else(|| format!("{given} {surname}").trim().to_owned());
            for derived in ["DisplayName", "FileAs", "Subject"] {
                fields
                    .entry(derived.to_owned())
                    .or_insert_with(|| Field::text(derived, &name));
            }
        }
        ItemKind::Task => {
            let done = fields
                .get("Status")
                .is_some_and(|status| status.text == "Completed");
            if done {
                fields.insert(
                    "PercentComplete".to_owned(),
                    Field::text("PercentComplete", "100"),
                );
            }
        }
        _ => {}
    }
}

/// What is left of the parts of an item, for an edit of some of them.
pub(super) fn parts_of(item: &Item) -> (Body, Vec<Attachment>) {
    let parts = item.parts();
    (parts.body.clone(), parts.attachments.clone())
}
