//! Items: reading, moving, copying and deleting.

use std::sync::Arc;

use roxmltree::Node;

use crate::exchange::call::{Call, Outcome, is_true, required};
use crate::exchange::code::Refusal;
use crate::exchange::fault::Fault;
use crate::exchange::render;
use crate::exchange::shape::{Shape, View};
use crate::exchange::value::element_of;
use crate::exchange::xml::Xml;
use crate::model::{Disposal, Item, ItemKind, WellKnown};

pub(super) fn get(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let shape = Shape::read(required(request, "ItemShape")?, View::Single)?;
    call.batch(xml, required(request, "ItemIds")?, |xml, node| {
        let rendered = call
            .item(node)
            .and_then(|(item, _)| render::item(call, &item, &shape));
        call.respond(
            xml,
            rendered.map(|rendered| {
                move |xml: &mut Xml| {
                    xml.open("m:Items", &[]);
                    rendered.write(xml);
                    xml.close("m:Items");
                }
            }),
        );
    });
    Ok(())
}

/// Writes `m:Items` with one item by its id.
pub(super) fn id_only(call: &Call<'_>, xml: &mut Xml, item: Option<&Arc<Item>>) {
    let Some(item) = item else {
        xml.empty("m:Items", &[]);
        return;
    };
    let name = format!("t:{}", element_of(item).0);
    xml.open("m:Items", &[]);
    xml.open(&name, &[]);
    call.write_item_id(xml, "t:ItemId", item);
    xml.close(&name);
    xml.close("m:Items");
}

/// A refusal about a folder, said of the target of a move.
pub(super) fn as_target(refusal: Refusal) -> Refusal {
    if refusal.code == "ErrorFolderNotFound" {
        Refusal::new("ErrorToFolderNotFound")
    } else {
        refusal
    }
}

/// Faults that concern one item of a writing operation.
pub(super) fn refuse_item(call: &Call<'_>, item: &Item) -> Outcome {
    for fault in call.item_faults(item) {
        if let Fault::Code(code) = fault {
            return Err(Refusal::new(code));
        }
    }
    Ok(())
}

pub(super) fn relocate(
    call: &Call<'_>,
    request: Node<'_, '_>,
    xml: &mut Xml,
    away: bool,
) -> Outcome {
    call.refuse_writing()?;
    let target = call
        .folder_in(required(request, "ToFolderId")?)
        .map_err(as_target);
    let tell = crate::exchange::call::child(request, "ReturnNewItemIds")
        .is_none_or(|node| is_true(node.text().unwrap_or_default()));
    call.batch(xml, required(request, "ItemIds")?, |xml, node| {
        let outcome = target.clone().and_then(|target| {
            let (item, _) = call.item(node)?;
            refuse_item(call, &item)?;
            let moved = if away {
                call.mail.move_item(item.id, target.id)?
            } else {
                call.mail.copy_item(item.id, target.id)?
            };
            Ok(moved)
        });
        call.respond(
            xml,
            outcome.map(|item| move |xml: &mut Xml| id_only(call, xml, tell.then_some(&item))),
        );
    });
    Ok(())
}

pub(super) fn delete(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let disposal = match request.attribute("DeleteType") {
        Some("HardDelete") => Disposal::Hard,
        Some("SoftDelete") => Disposal::Soft,
        _ => Disposal::ToDeletedItems,
    };
    call.batch(xml, required(request, "ItemIds")?, |xml, node| {
        let outcome = call.item(node).and_then(|(item, _)| {
            refuse_item(call, &item)?;
            if item.kind == ItemKind::Appointment
                && request.attribute("SendMeetingCancellations").is_none()
            {
                return Err(Refusal::new("ErrorSendMeetingCancellationsRequired"));
            }
            if item.kind == ItemKind::Task && request.attribute("AffectedTaskOccurrences").is_none()
            {
                return Err(Refusal::new("ErrorAffectedTaskOccurrencesRequired"));
            }
            call.mail.delete_item(item.id, disposal)?;
            Ok(())
        });
        call.respond(xml, outcome.map(|()| |_: &mut Xml| ()));
    });
    Ok(())
}

pub(super) fn mark_as_junk(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let junk = request.attribute("IsJunk").is_some_and(is_true);
    let away = request.attribute("MoveItem").is_some_and(is_true);
    call.batch(xml, required(request, "ItemIds")?, |xml, node| {
        let outcome = call.item(node).and_then(|(item, _)| {
            if !away {
                return Ok(None);
            }
            let to = if junk {
                WellKnown::JunkEmail
            } else {
                WellKnown::Inbox
            };
            Ok(Some(call.mail.move_item(
                item.id,
                call.mail.well_known(call.account, to)?,
            )?))
        });
        call.respond(
            xml,
            outcome.map(|moved| {
                move |xml: &mut Xml| {
                    if let Some(item) = moved {
                        call.write_item_id(xml, "m:MovedItemId", &item);
                    }
                }
            }),
        );
    });
    Ok(())
}
