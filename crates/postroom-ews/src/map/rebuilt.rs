//! A message that the server cannot convert to MIME, built anew from its properties.

use postroom_core::email::{EmailHeaders, MessageId};
use postroom_core::{EmailAddress, NamedAddress, RawMessage, Timestamp};
use postroom_mime::{OutgoingEmail, compose};
use roxmltree::Node;

use crate::map::mail;
use crate::xml::{child, text_of};

/// What a message is rebuilt from.
#[derive(Clone, Debug)]
pub(crate) struct Properties {
    headers: EmailHeaders,
    received_at: Timestamp,
    text: Option<String>,
    html: Option<String>,
}

/// Reads an item.
pub(crate) fn properties(item: Node<'_, '_>) -> Properties {
    let read = mail::headers(item);
    let body = text_of(item, "Body").map(str::to_owned);
    let is_html = child(item, "Body").and_then(|body| body.attribute("BodyType")) == Some("HTML");
    let (text, html) = if is_html { (None, body) } else { (body, None) };
    Properties {
        headers: read.headers,
        received_at: read.received_at,
        text,
        html,
    }
}

/// Composes the message: headers and body. Attachments are lost; the defect that goes with it says
/// that the message is not the original. `None` where the properties make no message.
pub(crate) fn compose_from(properties: Properties, id: &str) -> Option<RawMessage> {
    let headers = properties.headers;
    let from = match headers.from {
        Some(from) => from,
        // A reserved name: nobody can be met there.
        None => NamedAddress::from("unknown@rebuilt.invalid".parse::<EmailAddress>().ok()?),
    };
    let message_id = match headers.message_id {
        Some(message_id) => message_id,
        None => replacement_id(id)?,
    };
    let date = headers.sent_at.unwrap_or(properties.received_at);
    let mut email = OutgoingEmail::new(from, headers.subject, message_id, date);
    email.sender = headers.sender;
    email.reply_to = headers.reply_to;
    email.to = headers.to;
    email.cc = headers.cc;
    email.in_reply_to = headers.in_reply_to;
    email.references = headers.references;
    email.conversation_index = headers.conversation_index;
    email.importance = headers.importance;
    email.sensitivity = headers.sensitivity;
    email.text = properties.text;
    email.html = properties.html;
    compose(&email).ok().map(RawMessage::from_bytes)
}

/// An identifier for a message that has none: the same each time it is rebuilt. Item ids differ at
/// their end.
fn replacement_id(id: &str) -> Option<MessageId> {
    let mut tail: Vec<char> = id
        .chars()
        .rev()
        .filter(char::is_ascii_alphanumeric)
        .take(48)
        .collect();
    tail.reverse();
    let tail: String = tail.into_iter().collect();
    format!("{tail}@rebuilt.invalid").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rebuilt(inner: &str) -> String {
        let text = format!("<Message>{inner}</Message>");
        let document = crate::soap::parse(&text).unwrap();
        let raw = compose_from(properties(document.root_element()), "AAMk=id/1").unwrap();
        String::from_utf8(raw.read_up_to(10_000).unwrap()).unwrap()
    }

    #[test]
    fn headers_and_body_survive() {
        let text = rebuilt(
            "<Subject>Hello</Subject><Body BodyType='HTML'>&lt;p&gt;hi&lt;/p&gt;</Body>\
             <DateTimeReceived>2026-11-22T10:00:00Z</DateTimeReceived>\
             <ToRecipients><Mailbox><EmailAddress>b@x.example</EmailAddress></Mailbox></ToRecipients>\
             <From><Mailbox><EmailAddress>a@x.example</EmailAddress></Mailbox></From>\
             <InternetMessageId>&lt;1@x.example&gt;</InternetMessageId>",
        );
        let headers = postroom_mime::parse_headers(text.as_bytes()).headers;
        assert_eq!(headers.subject, "Hello");
        assert_eq!(headers.message_id.unwrap().as_str(), "1@x.example");
        assert_eq!(headers.to.len(), 1);
        assert!(text.contains("text/html"), "{text}");
    }

    #[test]
    fn what_has_nothing_is_still_a_message_and_the_same_each_time() {
        let first = rebuilt("<Body BodyType='Text'>x</Body>");
        let headers = postroom_mime::parse_headers(first.as_bytes()).headers;
        assert_eq!(
            headers.message_id.unwrap().as_str(),
            "AAMkid1@rebuilt.invalid"
        );
        assert_eq!(
            headers.from.unwrap().address.as_str(),
            "unknown@rebuilt.invalid"
        );
    }
}
