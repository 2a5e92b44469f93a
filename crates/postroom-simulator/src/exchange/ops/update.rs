//! UpdateItem.

use std::sync::Arc;

use roxmltree::Node;

use super::items::refuse_item;
use crate::exchange::call::{Call, Outcome, is_true, required};
use crate::exchange::code::Refusal;
use crate::exchange::input::{self, MimeEdits};
use crate::exchange::path::Path;
use crate::exchange::value::element_of;
use crate::exchange::xml::Xml;
use crate::model::{Field, Item, ItemKind, ModelError};

pub(super) fn items(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    call.refuse_writing()?;
    call.batch(xml, required(request, "ItemChanges")?, |xml, change| {
        let outcome = one(call, request, change);
        call.respond(
            xml,
            outcome.map(|item| {
                move |xml: &mut Xml| {
                    // What was sent is no longer where it was, and its new place is not told.
                    let stays = !sends(request) || item.kind != ItemKind::Message || !item.draft;
                    super::items::id_only(call, xml, stays.then_some(&item));
                    if item.kind == ItemKind::Message {
                        xml.open("m:ConflictResults", &[]);
                        xml.leaf("t:Count", "0");
                        xml.close("m:ConflictResults");
                    }
                }
            }),
        );
    });
    Ok(())
}

fn sends(request: Node<'_, '_>) -> bool {
    request
        .attribute("MessageDisposition")
        .is_some_and(|how| how != "SaveOnly")
}

fn one(call: &Call<'_>, request: Node<'_, '_>, change: Node<'_, '_>) -> Outcome<Arc<Item>> {
    let id = change
        .children()
        .find(Node::is_element)
        .ok_or_else(|| Refusal::new("ErrorInvalidRequest"))?;
    let (item, key) = call.item(id)?;
    refuse_item(call, &item)?;
    match (request.attribute("ConflictResolution"), key) {
        (Some("AlwaysOverwrite"), _) => {}
        (Some("AutoResolve"), None) => {
            return Err(Refusal::new("ErrorChangeKeyRequiredForWriteOperations"));
        }
        // What two clients change at once is merged where it can be, which is nearly always.
        (Some("AutoResolve"), Some(_)) => {}
        (_, None) => return Err(Refusal::new("ErrorChangeKeyRequiredForWriteOperations")),
        (_, Some(key)) if key != item.change => {
            return Err(Refusal::new("ErrorIrresolvableConflict"));
        }
        (_, Some(_)) => {}
    }
    if item.kind == ItemKind::Message && request.attribute("MessageDisposition").is_none() {
        return Err(Refusal::new("ErrorMessageDispositionRequired"));
    }
    if item.kind == ItemKind::Appointment
        && request
            .attribute("SendMeetingInvitationsOrCancellations")
            .is_none()
    {
        return Err(Refusal::new(
            "ErrorSendMeetingInvitationsOrCancellationsRequired",
        ));
    }
    let edits: Vec<Node<'_, '_>> = required(change, "Updates")?
        .children()
        .filter(Node::is_element)
        .collect();
    let mut new = Item::clone(&item);
    let mut mime = MimeEdits::default();
    let mut only_read = !edits.is_empty();
    for edit in edits {
        only_read &= apply(&mut new, &mut mime, edit)?;
    }
    if only_read {
        return Ok(call.mail.set_read(item.id, new.read)?);
    }
    if !mime.is_empty() {
        if !item.draft {
            let sealed = mime
                .headers
                .iter()
                .find(|(name, _)| !matches!(*name, "Subject" | "Importance"));
            if sealed.is_some() {
                return Err(Refusal::new("ErrorInvalidPropertyUpdateSentMessage"));
            }
        }
        let content = mime.apply(
            item.content(),
            || input::parts_of(&item),
            &call.server.boundary(),
        );
        new.set_content(content);
    }
    input::derive(new.kind, &mut new.fields);
    let saved = call
        .mail
        .update(item.id, Some(item.change), |slot| *slot = new)
        .map_err(|error| match error {
            ModelError::Stale => Refusal::new("ErrorIrresolvableConflict"),
            other => other.into(),
        })?;
    if sends(request) && saved.draft {
        let known = crate::model::WellKnown::SentItems;
        let copy = request.attribute("MessageDisposition") == Some("SendAndSaveCopy");
        let file_in = if copy {
            Some(call.mail.well_known(call.account, known)?)
        } else {
            None
        };
        call.mail.send_item(saved.id, None, file_in)?;
    }
    Ok(saved)
}

/// Makes one edit; true if it concerned the read flag and nothing else.
fn apply(item: &mut Item, mime: &mut MimeEdits, edit: Node<'_, '_>) -> Outcome<bool> {
    let path =
        Path::among(edit)?.ok_or_else(|| Refusal::new("ErrorIncorrectUpdatePropertyCount"))?;
    let holder = edit.children().filter(Node::is_element).nth(1);
    let verb = edit.tag_name().name();
    let given = match (verb, holder) {
        ("DeleteItemField", _) => None,
        (_, None) => return Err(Refusal::new("ErrorIncorrectUpdatePropertyCount")),
        (_, Some(holder)) => {
            let expected = element_of(item).0;
            if holder.tag_name().name() != expected && holder.tag_name().name() != "Item" {
                return Err(Refusal::new("ErrorObjectTypeChanged"));
            }
            let mut values = holder.children().filter(Node::is_element);
            let (Some(value), None) = (values.next(), values.next()) else {
                return Err(Refusal::new("ErrorIncorrectUpdatePropertyCount"));
            };
            Some(value)
        }
    };
    if verb == "AppendToItemField" {
        return append(item, mime, &path, given).map(|()| false);
    }
    match &path {
        Path::Extended(wanted) => {
            // What was sent keeps its headers, and has the property beside them.
            let header = input::header_of(&wanted.path)
                .filter(|_| item.kind == ItemKind::Message && item.draft);
            match given {
                None => {
                    item.properties.remove(&wanted.path);
                    if let Some(name) = header {
                        mime.named.push((name.to_owned(), None));
                    }
                }
                Some(given) => {
                    if given.tag_name().name() != "ExtendedProperty" {
                        return Err(Refusal::new("ErrorUpdatePropertyMismatch"));
                    }
                    let (path, value) = input::property(given)?;
                    if path != wanted.path {
                        return Err(Refusal::new("ErrorUpdatePropertyMismatch"));
                    }
                    if let Some(name) = header {
                        let value = input::header_value(&value);
                        mime.named.push((name.to_owned(), Some(value)));
                    } else {
                        item.properties.insert(path, value);
                    }
                }
            }
            Ok(false)
        }
        Path::Entry { element, key, uri } => entry(item, element, key, uri, given).map(|()| false),
        Path::Field { element, uri } => {
            if given.is_some_and(|given| given.tag_name().name() != element) {
                return Err(Refusal::new("ErrorUpdatePropertyMismatch"));
            }
            field(item, mime, element, uri, given)
        }
    }
}

fn field(
    item: &mut Item,
    mime: &mut MimeEdits,
    element: &str,
    uri: &str,
    given: Option<Node<'_, '_>>,
) -> Outcome<bool> {
    match element {
        "IsRead" => {
            item.read = given.is_some_and(|given| is_true(given.text().unwrap_or_default()));
            return Ok(true);
        }
        "Categories" => item.categories = given.map(input::strings).unwrap_or_default(),
        "BccRecipients" => item.bcc = given.map(input::addresses).unwrap_or_default(),
        "ItemClass" => match given.and_then(|given| given.text()) {
            Some(class) => class.clone_into(&mut item.class),
            None => return Err(Refusal::new("ErrorInvalidPropertyDelete").path(uri)),
        },
        "ItemId"
        | "ParentFolderId"
        | "Size"
        | "DateTimeReceived"
        | "DateTimeSent"
        | "DateTimeCreated"
        | "LastModifiedTime"
        | "HasAttachments"
        | "Attachments"
        | "IsDraft"
        | "ConversationId"
        | "EffectiveRights"
        | "InternetMessageHeaders" => {
            return Err(Refusal::new("ErrorInvalidPropertySet").path(uri));
        }
        "MimeContent" => {
            let content = given.and_then(|given| input::base64(given.text().unwrap_or_default()));
            item.set_content(content.ok_or_else(|| Refusal::new("ErrorMimeContentInvalid"))?);
        }
        _ if item.kind == ItemKind::Message && mime.set(element, given)? => {}
        _ => match given {
            Some(given) => {
                item.fields.insert(element.to_owned(), input::field(given));
            }
            None => {
                item.fields.remove(element);
            }
        },
    }
    Ok(false)
}

fn append(
    item: &mut Item,
    mime: &mut MimeEdits,
    path: &Path,
    given: Option<Node<'_, '_>>,
) -> Outcome {
    let refused = || Refusal::new("ErrorInvalidPropertyAppend").path(&path.name());
    let Path::Field { element, .. } = path else {
        return Err(refused());
    };
    let given = given.ok_or_else(refused)?;
    match element.as_str() {
        "Body" if item.kind == ItemKind::Message => {
            let mut body = item.parts().body.clone();
            let text = given.text().unwrap_or_default();
            match &mut body.html {
                Some(html) => html.push_str(text),
                None => body.text.push_str(text),
            }
            mime.body = Some(body);
        }
        "Body" => {
            let field = item
                .fields
                .entry("Body".to_owned())
                .or_insert_with(|| Field::text("Body", "").with("BodyType", "Text"));
            field.text.push_str(given.text().unwrap_or_default());
        }
        "ToRecipients" | "CcRecipients" | "ReplyTo" if item.kind == ItemKind::Message => {
            let (name, mut all) = match element.as_str() {
                "ToRecipients" => ("To", item.summary().to.clone()),
                "CcRecipients" => ("Cc", item.summary().cc.clone()),
                _ => ("Reply-To", item.summary().reply_to.clone()),
            };
            all.extend(input::addresses(given));
            mime.headers
                .push((name, crate::model::header_addresses(&all)));
        }
        "BccRecipients" => item.bcc.extend(input::addresses(given)),
        "RequiredAttendees" | "OptionalAttendees" | "Resources" => {
            let added = input::field(given).children;
            item.fields
                .entry(element.clone())
                .or_insert_with(|| Field::tree(element, Vec::new()))
                .children
                .extend(added);
        }
        _ => return Err(refused()),
    }
    Ok(())
}

/// Sets or removes one entry of a dictionary, or one part of a postal address.
fn entry(
    item: &mut Item,
    element: &str,
    key: &str,
    uri: &str,
    given: Option<Node<'_, '_>>,
) -> Outcome {
    let value = match given {
        None => None,
        Some(given) => {
            if given.tag_name().name() != element {
                return Err(Refusal::new("ErrorUpdatePropertyMismatch"));
            }
            let entries = input::field(given).children;
            let found = entries
                .into_iter()
                .find(|entry| entry.attribute("Key") == Some(key));
            Some(found.ok_or_else(|| Refusal::new("ErrorUpdatePropertyMismatch"))?)
        }
    };
    let dictionary = item
        .fields
        .entry(element.to_owned())
        .or_insert_with(|| Field::tree(element, Vec::new()));
    let part = uri.strip_prefix("contacts:PhysicalAddress:");
    let existing = dictionary
        .children
        .iter()
        .position(|entry| entry.attribute("Key") == Some(key));
    match (part, value) {
        (None, value) => {
            dictionary
                .children
                .retain(|entry| entry.attribute("Key") != Some(key));
            dictionary.children.extend(value);
        }
        (Some(part), value) => {
            let index = existing.unwrap_or(dictionary.children.len());
            if existing.is_none() {
                dictionary
                    .children
                    .push(Field::tree("Entry", Vec::new()).with("Key", key));
            }
            if let Some(entry) = dictionary.children.get_mut(index) {
                entry.children.retain(|child| child.name != part);
                entry
                    .children
                    .extend(value.and_then(|value| value.child(part).cloned()));
                // The schema wants the parts in this order.
                let order = ["Street", "City", "State", "CountryOrRegion", "PostalCode"];
                entry
                    .children
                    .sort_by_key(|child| order.iter().position(|name| *name == child.name));
            }
            dictionary
                .children
                .retain(|entry| !entry.children.is_empty());
        }
    }
    if dictionary.children.is_empty() {
        item.fields.remove(element);
    }
    Ok(())
}
