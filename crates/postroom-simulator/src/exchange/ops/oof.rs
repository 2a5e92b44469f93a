//! Out of office. Nothing is ever answered automatically: settings are kept and given back.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use roxmltree::Node;

use crate::exchange::call::{Call, Outcome, child, child_text, refusal_head, required};
use crate::exchange::code::Refusal;
use crate::exchange::input;
use crate::exchange::xml::Xml;
use crate::model::{AccountId, Field};

/// The settings of those who ever made some.
pub(in crate::exchange) type OutOfOffice = BTreeMap<AccountId, Vec<Field>>;

const FIELDS: [&str; 5] = [
    "OofState",
    "ExternalAudience",
    "Duration",
    "InternalReply",
    "ExternalReply",
];

/// Whose settings; only one's own.
fn owner(call: &Call<'_>, request: Node<'_, '_>) -> Outcome<AccountId> {
    let address = child_text(required(request, "Mailbox")?, "Address").trim();
    match call.mail.account(address) {
        Some(account) if account == call.account => Ok(account),
        Some(_) => Err(Refusal::new("ErrorAccessDenied")),
        None => Err(Refusal::new("ErrorNonExistentMailbox")),
    }
}

pub(super) fn get(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let owner = owner(call, request)?;
    let kept = call.server.out_of_office.lock();
    let kept = kept
        .unwrap_or_else(PoisonError::into_inner)
        .get(&owner)
        .cloned();
    let settings = kept.unwrap_or_else(|| {
        vec![
            Field::text("OofState", "Disabled"),
            Field::text("ExternalAudience", "None"),
        ]
    });
    xml.open("t:OofSettings", &[]);
    for field in &settings {
        xml.field(field);
    }
    xml.close("t:OofSettings");
    xml.leaf("m:AllowExternalOof", "All");
    Ok(())
}

pub(super) fn set(call: &Call<'_>, request: Node<'_, '_>, _: &mut Xml) -> Outcome {
    let owner = owner(call, request)?;
    let given = required(request, "UserOofSettings")?;
    let scheduled = child_text(given, "OofState").trim() == "Scheduled";
    if scheduled && child(given, "Duration").is_none() {
        return Err(Refusal::new("ErrorInvalidScheduledOofDuration"));
    }
    let settings = FIELDS
        .iter()
        .filter_map(|name| child(given, name))
        .map(|node| match child(node, "Message") {
            // Its language is the only thing besides, and has a namespace that fields lack.
            Some(message) => Field::tree(
                node.tag_name().name(),
                vec![Field::text("Message", message.text().unwrap_or_default())],
            ),
            None => input::typed_field(
                node,
                (node.tag_name().name() == "Duration").then_some("t:Duration"),
            ),
        });
    let settings = settings.collect();
    call.server
        .out_of_office
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(owner, settings);
    Ok(())
}

/// These operations have answers of a shape of their own.
pub(in crate::exchange) fn answer(xml: &mut Xml, outcome: Outcome, content: Xml) {
    match outcome {
        Ok(()) => {
            xml.open("m:ResponseMessage", &[("ResponseClass", "Success")]);
            xml.leaf("m:ResponseCode", "NoError");
            xml.close("m:ResponseMessage");
            xml.append(content);
        }
        Err(refusal) => {
            xml.open("m:ResponseMessage", &[("ResponseClass", "Error")]);
            refusal_head(xml, &refusal);
            xml.close("m:ResponseMessage");
        }
    }
}
