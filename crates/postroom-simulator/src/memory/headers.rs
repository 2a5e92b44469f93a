//! The headers of a stored message.

use base64::Engine as _;
use postroom_core::email::{ConversationIndex, EmailHeaders, Importance, MessageId, Sensitivity};
use postroom_core::{EmailAddress, NamedAddress};

use crate::model::{Address, Item, header_lines};

/// What the headers of the item say, its blind copies included: the server keeps those beside it.
pub(super) fn read(item: &Item) -> EmailHeaders {
    let summary = item.summary();
    let mut headers = EmailHeaders::default();
    headers.message_id = message_ids(&summary.message_id).into_iter().next();
    headers.in_reply_to = message_ids(&summary.in_reply_to);
    headers.references = message_ids(&summary.references);
    headers.conversation_index = conversation_index(&summary.thread_index);
    headers.subject.clone_from(&summary.subject);
    headers.from = summary.from.as_ref().and_then(named);
    headers.sender = summary.sender.as_ref().and_then(named);
    headers.reply_to = all_named(&summary.reply_to);
    headers.to = all_named(&summary.to);
    headers.cc = all_named(&summary.cc);
    headers.bcc = all_named(&item.bcc);
    headers.sent_at = summary.date;
    headers.importance = match summary.importance.as_str() {
        "High" => Importance::High,
        "Low" => Importance::Low,
        _ => Importance::Normal,
    };
    for (name, value) in header_lines(item.content()) {
        match name.to_ascii_lowercase().as_str() {
            "delivered-to" | "x-original-to" | "envelope-to" => {
                headers.delivered_to.extend(value.parse::<EmailAddress>());
            }
            "auto-submitted" => {
                let value = value.to_ascii_lowercase();
                headers.auto_submitted = (value != "no").then_some(value);
            }
            "sensitivity" => headers.sensitivity = sensitivity(&value),
            _ => {}
        }
    }
    headers
}

fn sensitivity(value: &str) -> Sensitivity {
    match value.to_ascii_lowercase().as_str() {
        "personal" => Sensitivity::Personal,
        "private" => Sensitivity::Private,
        "company-confidential" => Sensitivity::Confidential,
        _ => Sensitivity::Normal,
    }
}

/// The identifiers of a header: what stands in angle brackets, or bare words where none do.
fn message_ids(value: &str) -> Vec<MessageId> {
    let bracketed: Vec<MessageId> = value
        .split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>'))
        .filter_map(|(id, _)| id.parse().ok())
        .collect();
    if !bracketed.is_empty() {
        return bracketed;
    }
    let words = value.split_ascii_whitespace();
    words.filter_map(|word| word.parse().ok()).collect()
}

fn conversation_index(value: &str) -> Option<ConversationIndex> {
    let packed: String = value.split_ascii_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(packed)
        .ok()?;
    ConversationIndex::from_bytes(bytes)
}

fn named(address: &Address) -> Option<NamedAddress> {
    let parsed = address.address.parse().ok()?;
    Some(NamedAddress::new(address.name.clone(), parsed))
}

fn all_named(list: &[Address]) -> Vec<NamedAddress> {
    list.iter().filter_map(named).collect()
}
