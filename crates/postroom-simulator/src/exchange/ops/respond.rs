//! Response objects: replies and forwards that the server puts together.

use roxmltree::Node;

use crate::exchange::call::{Call, Outcome, child, child_text, required};
use crate::exchange::code::Refusal;
use crate::exchange::input;
use crate::model::{
    Address, Attachment, Body, Item, ItemKind, NewItem, compose, header_addresses, header_text,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Response {
    Reply,
    ReplyAll,
    Forward,
}

/// The draft that a response object stands for; `None` if the node is no response object.
pub(super) fn draft(call: &Call<'_>, node: Node<'_, '_>) -> Outcome<Option<NewItem>> {
    let response = match node.tag_name().name() {
        "ReplyToItem" => Response::Reply,
        "ReplyAllToItem" => Response::ReplyAll,
        "ForwardItem" => Response::Forward,
        _ => return Ok(None),
    };
    let (original, change) = call.item(required(node, "ReferenceItemId")?)?;
    if change.is_none() {
        return Err(Refusal::new("ErrorChangeKeyRequiredForWriteOperations"));
    }
    // Only what was sent can be replied to; a draft can be forwarded.
    let answerable = original.kind == ItemKind::Message && !original.draft;
    if !answerable && response != Response::Forward {
        return Err(Refusal::new("ErrorInvalidOperation")
            .text("Only a received message can be replied to."));
    }
    let attachments = if response == Response::Forward {
        original.all_attachments().to_vec()
    } else {
        Vec::new()
    };
    let mut new = NewItem::draft(mime(call, node, response, &original, &attachments));
    new.read = true;
    if let Some(bcc) = child(node, "BccRecipients") {
        new.bcc = input::addresses(bcc);
    }
    Ok(Some(new))
}

/// Whether the node only says that no receipt shall be sent, which this server never does.
pub(super) fn suppresses_receipt(node: Node<'_, '_>) -> bool {
    node.tag_name().name() == "SuppressReadReceipt"
}

fn mime(
    call: &Call<'_>,
    node: Node<'_, '_>,
    response: Response,
    original: &Item,
    attachments: &[Attachment],
) -> bytes::Bytes {
    let summary = original.summary();
    let topic = crate::exchange::value::conversation_topic(original);
    let prefix = if response == Response::Forward {
        "FW"
    } else {
        "RE"
    };
    let subject = match child_text(node, "Subject") {
        "" => format!("{prefix}: {topic}"),
        given => given.to_owned(),
    };
    let given = |name| child(node, name).map(input::addresses);
    let others = |all: &[Address]| -> Vec<Address> {
        all.iter()
            .filter(|one| !call.info.owns(&one.address))
            .cloned()
            .collect()
    };
    let author = || {
        if summary.reply_to.is_empty() {
            summary.from.iter().cloned().collect()
        } else {
            summary.reply_to.clone()
        }
    };
    let to = given("ToRecipients").unwrap_or_else(|| match response {
        Response::Reply => author(),
        Response::ReplyAll => [author(), others(&summary.to)].concat(),
        Response::Forward => Vec::new(),
    });
    let cc = given("CcRecipients").unwrap_or_else(|| match response {
        Response::ReplyAll => others(&summary.cc),
        Response::Reply | Response::Forward => Vec::new(),
    });
    let references = [summary.references.as_str(), summary.message_id.as_str()]
        .join(" ")
        .trim()
        .to_owned();
    let threaded = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let headers = [
        ("Subject", Some(header_text(&subject))),
        (
            "From",
            given("From").and_then(|from| header_addresses(&from)),
        ),
        ("To", header_addresses(&to)),
        ("Cc", header_addresses(&cc)),
        ("In-Reply-To", threaded(&summary.message_id)),
        ("References", threaded(&references)),
        (
            "Thread-Topic",
            threaded(topic).map(|topic| header_text(&topic)),
        ),
    ];
    let headers: Vec<(String, String)> = headers
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    compose(
        &headers,
        &body(node, original),
        attachments,
        &call.server.boundary(),
    )
}

/// The new text above the old one. A given `Body` is the whole of it.
fn body(node: Node<'_, '_>, original: &Item) -> Body {
    let html = |node: Node<'_, '_>| node.attribute("BodyType") == Some("HTML");
    if let Some(whole) = child(node, "Body") {
        let text = whole.text().unwrap_or_default();
        return if html(whole) {
            Body::html(text)
        } else {
            Body::plain(text)
        };
    }
    let new = child(node, "NewBodyContent");
    let text = new.and_then(|new| new.text()).unwrap_or_default();
    let old = match original.fields.get("Body") {
        Some(field) => Body::plain(&field.text),
        None => original.parts().body.clone(),
    };
    let heading = heading(original);
    if !new.is_some_and(html) && old.html.is_none() {
        return Body::plain(format!(
            "{text}\r\n\r\n________________________________\r\n{}\r\n\r\n{}",
            heading.join("\r\n"),
            old.text
        ));
    }
    let new = if new.is_some_and(html) {
        text.to_owned()
    } else {
        escaped(text)
    };
    let heading: Vec<String> = heading.iter().map(|line| escaped(line)).collect();
    let old = old.html.unwrap_or_else(|| escaped(&old.text));
    Body::html(format!(
        "<html><body>{new}<hr><div id=\"divRplyFwdMsg\">{}</div><div>{old}</div></body></html>",
        heading.join("<br>")
    ))
}

/// Who wrote the old text to whom, when and about what.
fn heading(original: &Item) -> Vec<String> {
    let summary = original.summary();
    let shown = |all: &[Address]| -> String {
        let all: Vec<&str> = all.iter().map(Address::shown).collect();
        all.join("; ")
    };
    let mut lines = vec![format!("From: {}", shown(summary.from.as_slice()))];
    if let Some(sent) = original.sent {
        lines.push(format!("Sent: {}", crate::exchange::value::date_time(sent)));
    }
    lines.push(format!("To: {}", shown(&summary.to)));
    if !summary.cc.is_empty() {
        lines.push(format!("Cc: {}", shown(&summary.cc)));
    }
    lines.push(format!("Subject: {}", summary.subject));
    lines
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\n', "<br>\n")
}
