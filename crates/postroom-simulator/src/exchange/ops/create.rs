//! CreateItem and SendItem.

use std::sync::Arc;

use roxmltree::Node;

use super::items::{id_only, refuse_item};
use super::respond;
use crate::exchange::call::{Call, Outcome, child, is_true, required};
use crate::exchange::code::Refusal;
use crate::exchange::fault::Fault;
use crate::exchange::ids::{self, Named};
use crate::exchange::input;
use crate::exchange::value::element_of;
use crate::exchange::xml::Xml;
use crate::model::{FolderId, Item, ItemKind, ModelError, Submission, WellKnown};

pub(super) fn items(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    call.refuse_writing()?;
    let folder = child(request, "SavedItemFolderId")
        .map(|node| call.folder_in(node).map_err(saved_folder))
        .transpose();
    let folder = folder.map(|folder| folder.map(|folder| folder.id));
    call.batch(xml, required(request, "Items")?, |xml, node| {
        let outcome = folder
            .clone()
            .and_then(|folder| one(call, request, node, folder));
        call.respond(
            xml,
            outcome.map(|item| move |xml: &mut Xml| created(call, xml, item.as_ref())),
        );
    });
    Ok(())
}

/// Writes the id of a new item and those of its attachments, by which a client knows that they need
/// no CreateAttachment any more.
fn created(call: &Call<'_>, xml: &mut Xml, item: Option<&Arc<Item>>) {
    let attachments = item.map_or(&[][..], |item| item.all_attachments());
    let (Some(item), false) = (item, attachments.is_empty()) else {
        return id_only(call, xml, item);
    };
    let name = format!("t:{}", element_of(item).0);
    xml.open("m:Items", &[]);
    xml.open(&name, &[]);
    call.write_item_id(xml, "t:ItemId", item);
    xml.open("t:Attachments", &[]);
    for (index, attachment) in attachments.iter().enumerate() {
        let kind = if attachment.message {
            "t:ItemAttachment"
        } else {
            "t:FileAttachment"
        };
        let number = ids::attachment_number(attachments, index);
        let id = ids::encode(call.owner(item), Named::Attachment(item.id, number));
        xml.open(kind, &[]);
        xml.empty("t:AttachmentId", &[("Id", &id)]);
        xml.close(kind);
    }
    xml.close("t:Attachments");
    xml.close(&name);
    xml.close("m:Items");
}

fn saved_folder(refusal: Refusal) -> Refusal {
    if refusal.code == "ErrorFolderNotFound" {
        Refusal::new("ErrorSavedItemFolderNotFound")
    } else {
        refusal
    }
}

fn one(
    call: &Call<'_>,
    request: Node<'_, '_>,
    node: Node<'_, '_>,
    folder: Option<FolderId>,
) -> Outcome<Option<Arc<Item>>> {
    if respond::suppresses_receipt(node) {
        return Ok(None);
    }
    let new = match respond::draft(call, node)? {
        Some(draft) => draft,
        None => input::new_item(call, node)?,
    };
    let well_known = |known| call.mail.well_known(call.account, known);
    if new.kind == ItemKind::Appointment && request.attribute("SendMeetingInvitations").is_none() {
        return Err(Refusal::new("ErrorSendMeetingInvitationsRequired"));
    }
    let disposition = match (new.kind, request.attribute("MessageDisposition")) {
        (ItemKind::Message, None) => return Err(Refusal::new("ErrorMessageDispositionRequired")),
        (ItemKind::Message, Some(disposition)) => disposition,
        _ => "SaveOnly",
    };
    if disposition == "SaveOnly" {
        let folder = match folder {
            Some(folder) => folder,
            None => well_known(match new.kind {
                ItemKind::Appointment => WellKnown::Calendar,
                ItemKind::Contact | ItemKind::ContactGroup => WellKnown::Contacts,
                ItemKind::Task => WellKnown::Tasks,
                _ => WellKnown::Drafts,
            })?,
        };
        // A message that is filed among the sent ones bears the date of the filing.
        let sent_items = well_known(WellKnown::SentItems)?;
        let mut new = new;
        if folder == sent_items && new.sent.is_none() && !new.draft {
            new.sent = Some(call.mail.now());
        }
        let item = call.mail.append(folder, new)?;
        if call.has_fault(&Fault::ChangeKeyBumped) {
            call.mail.touch(item.id)?;
        }
        return Ok(Some(item));
    }
    if call.has_fault(&Fault::SendAsDenied) {
        // What could not be sent stays among the drafts.
        call.mail.append(well_known(WellKnown::Drafts)?, new)?;
        return Err(Refusal::new("ErrorSendAsDenied"));
    }
    let summary = crate::model::Summary::read(&new.content);
    let recipients = summary
        .to
        .iter()
        .chain(&summary.cc)
        .chain(&new.bcc)
        .map(|to| to.address.clone())
        .collect();
    let file_in = match (disposition, folder) {
        ("SendOnly", Some(_)) => return Err(Refusal::new("ErrorInvalidSendItemSaveSettings")),
        ("SendOnly", None) => None,
        (_, Some(folder)) => Some(folder),
        (_, None) => Some(well_known(WellKnown::SentItems)?),
    };
    let submission = Submission::new(call.account, new.content.clone(), recipients);
    let draft = new.clone();
    let outcome = call.mail.submit(&submission, file_in, |copy| {
        copy.bcc = new.bcc;
        copy.class = new.class;
        copy.properties = new.properties;
        copy.categories = new.categories;
        copy.fields = new.fields;
    });
    match outcome {
        // Sending at once tells no id.
        Ok(_) => Ok(None),
        Err(ModelError::SendAsDenied) => {
            call.mail.append(well_known(WellKnown::Drafts)?, draft)?;
            Err(ModelError::SendAsDenied.into())
        }
        Err(other) => Err(other.into()),
    }
}

pub(super) fn send(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let keep = request.attribute("SaveItemToFolder").is_some_and(is_true);
    let given = child(request, "SavedItemFolderId");
    if given.is_some() && !keep {
        return Err(Refusal::new("ErrorInvalidSendItemSaveSettings"));
    }
    let file_in = match given {
        Some(node) => Ok(Some(call.folder_in(node).map_err(saved_folder)?.id)),
        None if keep => call
            .mail
            .well_known(call.account, WellKnown::SentItems)
            .map(Some),
        None => Ok(None),
    }?;
    call.batch(xml, required(request, "ItemIds")?, |xml, node| {
        let outcome = call.item(node).and_then(|(item, change)| {
            refuse_item(call, &item)?;
            if call.has_fault(&Fault::SendAsDenied) {
                return Err(Refusal::new("ErrorSendAsDenied"));
            }
            let Some(change) = change else {
                return Err(Refusal::new("ErrorChangeKeyRequiredForWriteOperations"));
            };
            if change != item.change {
                return Err(Refusal::new("ErrorStaleObject"));
            }
            if item.kind != ItemKind::Message || !item.draft {
                return Err(Refusal::new("ErrorInvalidOperation").text("Only a draft can be sent."));
            }
            call.mail
                .send_item(item.id, Some(change), file_in)
                .map_err(|error| match error {
                    ModelError::Stale => Refusal::new("ErrorStaleObject"),
                    other => other.into(),
                })?;
            Ok(())
        });
        call.respond(xml, outcome.map(|()| |_: &mut Xml| ()));
    });
    Ok(())
}
