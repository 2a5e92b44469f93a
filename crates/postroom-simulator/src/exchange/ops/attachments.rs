//! Attachments.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use roxmltree::Node;

use crate::exchange::call::{Call, Outcome, child, child_text, is_true, required};
use crate::exchange::code::Refusal;
use crate::exchange::ids::{self, Named};
use crate::exchange::input::{self, MimeEdits};
use crate::exchange::shape::View;
use crate::exchange::value::{attachment_head, mailbox};
use crate::exchange::xml::Xml;
use crate::model::{Attachment, Field, Item, Summary};

fn named(call: &Call<'_>, node: Node<'_, '_>) -> Outcome<(Arc<Item>, u32)> {
    match ids::decode(node.attribute("Id").unwrap_or_default()) {
        Ok(Named::Attachment(item, number)) => {
            let item = call.mail.item(item)?;
            if !call.may_open(call.mail.folder(item.folder)?.account) {
                return Err(Refusal::new("ErrorItemNotFound"));
            }
            Ok((item, number))
        }
        _ => Err(Refusal::new("ErrorInvalidAttachmentId")),
    }
}

pub(super) fn get(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let with_mime = child(request, "AttachmentShape")
        .is_some_and(|shape| is_true(child_text(shape, "IncludeMimeContent")));
    call.batch(xml, required(request, "AttachmentIds")?, |xml, node| {
        let outcome = named(call, node).and_then(|(item, number)| {
            let (index, attachment) = numbers(&item)
                .iter()
                .position(|other| *other == number)
                .and_then(|index| Some((index, item.all_attachments().get(index).cloned()?)))
                .ok_or_else(|| Refusal::new("ErrorItemNotFound"))?;
            Ok((attachment_head(call, &item, index, &attachment), attachment))
        });
        call.respond(
            xml,
            outcome.map(|(head, attachment)| {
                move |xml: &mut Xml| {
                    xml.open("m:Attachments", &[]);
                    write(xml, &head, &attachment, with_mime);
                    xml.close("m:Attachments");
                }
            }),
        );
    });
    Ok(())
}

/// The numbers of an item's attachments, in their order.
fn numbers(item: &Item) -> Vec<u32> {
    let all = item.all_attachments();
    (0..all.len())
        .map(|index| ids::attachment_number(all, index))
        .collect()
}

fn write(xml: &mut Xml, head: &[Field], attachment: &Attachment, with_mime: bool) {
    let name = if attachment.message {
        "t:ItemAttachment"
    } else {
        "t:FileAttachment"
    };
    xml.open(name, &[]);
    for field in head {
        xml.field(field);
    }
    if attachment.message {
        write_message(xml, &attachment.content, with_mime);
    } else {
        xml.base64("t:Content", &[], &attachment.content);
    }
    xml.close(name);
}

/// An attached message: it is no item of any folder, so it has no id.
fn write_message(xml: &mut Xml, content: &Bytes, with_mime: bool) {
    let summary = Summary::read(content);
    let body = crate::model::MessageParts::read(content).body;
    xml.open("t:Message", &[]);
    if with_mime {
        xml.base64("t:MimeContent", &[("CharacterSet", "UTF-8")], content);
    }
    xml.leaf("t:ItemClass", "IPM.Note");
    xml.leaf("t:Subject", &summary.subject);
    let (kind, text) = body
        .html
        .as_deref()
        .map_or(("Text", body.text.as_str()), |html| ("HTML", html));
    xml.leaf_with("t:Body", &[("BodyType", kind)], text);
    if !summary.to.is_empty() {
        xml.field(&Field::tree(
            "ToRecipients",
            summary
                .to
                .iter()
                .map(|to| mailbox(to, View::Single))
                .collect(),
        ));
    }
    if let Some(from) = &summary.from {
        xml.field(&Field::tree("From", vec![mailbox(from, View::Single)]));
    }
    if !summary.message_id.is_empty() {
        xml.leaf("t:InternetMessageId", &summary.message_id);
    }
    xml.close("t:Message");
}

/// Stores an item with other attachments.
fn store(call: &Call<'_>, item: &Arc<Item>, attachments: Vec<Attachment>) -> Outcome<Arc<Item>> {
    let saved = call.mail.update(item.id, None, |slot| {
        if slot.content().is_empty() {
            slot.attachments = attachments;
        } else {
            let edits = MimeEdits {
                attachments: Some(attachments),
                ..MimeEdits::default()
            };
            let content = edits.apply(
                item.content(),
                || input::parts_of(item),
                &call.server.boundary(),
            );
            slot.set_content(content);
        }
    })?;
    Ok(saved)
}

pub(super) fn create(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    call.refuse_writing()?;
    let parent = call
        .item(required(request, "ParentItemId")?)
        .map(|(item, _)| item.id);
    call.batch(xml, required(request, "Attachments")?, |xml, node| {
        let outcome = parent.clone().and_then(|id| {
            let item = call.mail.item(id)?;
            let mut all = item.all_attachments().to_vec();
            all.push(input::attachment(node)?);
            let index = all.len().saturating_sub(1);
            let saved = store(call, &item, all)?;
            let number = ids::attachment_number(saved.all_attachments(), index);
            Ok((number, saved))
        });
        call.respond(
            xml,
            outcome.map(|(number, item)| {
                move |xml: &mut Xml| {
                    let (root, key) = call.item_id(&item);
                    let id = ids::encode(call.owner(&item), Named::Attachment(item.id, number));
                    let message = node.tag_name().name() == "ItemAttachment";
                    let name = if message {
                        "t:ItemAttachment"
                    } else {
                        "t:FileAttachment"
                    };
                    xml.open("m:Attachments", &[]);
                    xml.open(name, &[]);
                    xml.empty(
                        "t:AttachmentId",
                        &[
                            ("Id", &id),
                            ("RootItemId", &root),
                            ("RootItemChangeKey", &key),
                        ],
                    );
                    xml.close(name);
                    xml.close("m:Attachments");
                }
            }),
        );
    });
    Ok(())
}

pub(super) fn delete(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    call.refuse_writing()?;
    // Of equal attachments the second would be renumbered when the first is gone, so the numbers
    // are those from before the request.
    let mut left: BTreeMap<crate::model::ItemId, Vec<u32>> = BTreeMap::new();
    call.batch(xml, required(request, "AttachmentIds")?, |xml, node| {
        let outcome = named(call, node).and_then(|(item, number)| {
            let left = left.entry(item.id).or_insert_with(|| numbers(&item));
            let mut all = item.all_attachments().to_vec();
            let at = left
                .iter()
                .position(|other| *other == number)
                .filter(|at| *at < all.len())
                .ok_or_else(|| Refusal::new("ErrorItemNotFound"))?;
            left.remove(at);
            all.remove(at);
            store(call, &item, all)
        });
        call.respond(
            xml,
            outcome.map(|item| {
                move |xml: &mut Xml| {
                    let (id, key) = call.item_id(&item);
                    xml.empty(
                        "m:RootItemId",
                        &[("RootItemId", &id), ("RootItemChangeKey", &key)],
                    );
                }
            }),
        );
    });
    Ok(())
}
